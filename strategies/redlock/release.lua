-- Lets the lock go if it is still this value's, and wakes who waits for it.
-- KEYS: the lock. ARGV: value, channel.
-- How many listened to the channel; -1: it was not this value's, and nothing was done.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
    return -1
end
redis.call('DEL', KEYS[1])
return redis.call('PUBLISH', ARGV[2], 'free')
