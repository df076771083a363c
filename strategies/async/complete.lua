-- Which partitions of the log are complete (KEY_COMPLETE in keys.h), for who consumes them.
-- KEYS: complete. ARGV: run, owner (random bytes), token (random bytes), how many partitions there
-- are; then for each of the owner's: it, and 1 (all that was in it when the owner was written here
-- is applied) or 0.
-- Returns for each of these: 1 it is complete; 2 it waits for that, the owner being there; 0 the
-- owner was written just now: what was in it until now is to be applied.
-- The owner goes whenever Redis has lost its data, or is another: then nothing is true any more that
-- was found out before.
local run, token, total = ARGV[1], ARGV[3], tonumber(ARGV[4])
local owner = run .. ' ' .. ARGV[2]
local answer = {}
for at = 5, #ARGV, 2 do
    local partition = ARGV[at]
    local there = redis.call('HMGET', KEYS[1], partition, 'b' .. partition)
    if there[1] == run then
        answer[#answer + 1] = 1
    elseif there[2] == owner and ARGV[at + 1] == '1' then
        redis.call('HSET', KEYS[1], partition, run)
        answer[#answer + 1] = 1
    elseif there[2] == owner then
        answer[#answer + 1] = 2
    else
        redis.call('HSET', KEYS[1], 'b' .. partition, owner)
        answer[#answer + 1] = 0
    end
end
if redis.call('HGET', KEYS[1], 'run') ~= run then
    for partition = 0, total - 1 do
        if redis.call('HGET', KEYS[1], tostring(partition)) ~= run then
            return answer
        end
    end
    redis.call('HSET', KEYS[1], 'run', run, 'token', token)
end
return answer
