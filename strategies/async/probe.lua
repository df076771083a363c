-- Looks one id up: in pending_concerts, or in a concert's pending.
-- KEYS: that hash, complete. ARGV: id; what is to close the value's text from now on, or nothing;
-- run.
-- Returns the value, as it is now. Not there: 1; or 0, when Redis has lost data, and what it forgot
-- may not have its row yet (see KEY_COMPLETE).
local value = redis.call('HGET', KEYS[1], ARGV[1])
if not value then
    return redis.call('HGET', KEYS[2], 'run') == ARGV[3] and 1 or 0
end
if ARGV[2] ~= '' and string.sub(value, -1) ~= ARGV[2] then
    value = value .. ARGV[2]
    redis.call('HSET', KEYS[1], ARGV[1], value)
end
return value
