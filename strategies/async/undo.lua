-- Gives back what was taken for an event that is not in the log for certain, and never will be.
-- KEYS: gate, pending, members, settled, settled_before, pending_concerts.
-- ARGV: run, id, event, member, quantity.
-- 1: it is given back; 0: it is not pending, or somebody else may have published it too (then its
-- text is marked), so that it may be in the log after all: nothing was done.
if redis.call('HGET', KEYS[2], ARGV[2]) ~= ARGV[3] then
    return 0
end
local gate = redis.call('HMGET', KEYS[1], 'run', 'stock', 'seats_pending', 'limit')
redis.call('HDEL', KEYS[2], ARGV[2])
redis.call('HDEL', KEYS[6], ARGV[2])
if gate[1] ~= ARGV[1] then
    return 1 -- closed: its numbers will be made of what is pending then
end
local function integer(number) -- as text: Lua's own has 14 digits
    return string.format('%.0f', number)
end
local quantity = tonumber(ARGV[5])
redis.call('HSET', KEYS[1], 'stock', integer(tonumber(gate[2]) + quantity),
    'seats_pending', integer(tonumber(gate[3]) - quantity))
if (tonumber(gate[4]) or 0) > 0
    and redis.call('HINCRBY', KEYS[3], 'p' .. ARGV[4], '-' .. ARGV[5]) <= 0 then
    redis.call('HDEL', KEYS[3], 'p' .. ARGV[4])
end
return 1
