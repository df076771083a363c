-- Takes the lock for this value unless somebody has it.
-- KEYS: the lock. ARGV: value, lease in ms.
-- 0: taken; else the milliseconds, 1 or more, until the lock of whoever has it runs out by itself.
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
    return 0
end
local left = redis.call('PTTL', KEYS[1])
if left == -1 then -- without an end: written by nobody who takes locks in this way
    left = tonumber(ARGV[2])
end
return math.max(left, 1)
