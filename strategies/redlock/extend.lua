-- Has the lock run for another lease, if it is still this value's.
-- KEYS: the lock. ARGV: value, lease in ms.
-- 1: it runs on; 0: it is not there any more, or somebody else's.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
    return 0
end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
