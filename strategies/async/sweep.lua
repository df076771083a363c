-- What of a concert has been pending for too long: a page of it, for whoever sweeps.
-- KEYS: gate, pending, members, settled, settled_before, pending_concerts.
-- ARGV: run, wall clock in ms, pending for so many ms is too long, cursor (0: the first page), how
-- many about; sold, capacity and limit as the database has them; anything: nothing is marked (a
-- mistake that tests put back).
-- Returns {next cursor as text ('0': this was the last), behind, seats pending, event, event, ...}.
-- Events that were made well before others which have been applied are not in the log, or come
-- later: they are to be published again. Of those that were not overtaken nothing is known: the
-- consumer may be behind, and would get all of them twice. `behind` is 1 then, or when the numbers
-- are not the database's: a barrier in the log settles the one and overtakes the other.
-- Events to be published again are marked: see keys.h.
-- One sweep of a concert in that time is enough, whoever does it: the next one hears nothing.
local run, now_ms, after_ms = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local gate = redis.call('HMGET', KEYS[1], 'run', 'swept_ms', 'applied_ms', 'sold', 'capacity',
    'limit', 'seats_pending')
local seats_pending = tonumber(gate[7]) or 0
if ARGV[4] == '0' then
    local swept_ms = tonumber(gate[2]) or 0
    if now_ms >= swept_ms and now_ms - swept_ms < after_ms then
        return { '0', 0, seats_pending }
    end
    if redis.call('EXISTS', KEYS[1]) == 0 and redis.call('EXISTS', KEYS[2]) == 0 then
        return { '0', 0, seats_pending } -- nobody has asked for it since this Redis lost its data
    end
    -- A full server refuses a script's first write only: this one it takes.
    redis.call('HDEL', KEYS[1], 'none')
    redis.call('HSET', KEYS[1], 'swept_ms', ARGV[2])
end
local applied_ms = gate[1] == run and tonumber(gate[3]) or 0
local behind = 0
if gate[1] == run and (gate[4] ~= ARGV[6] or gate[5] ~= ARGV[7] or gate[6] ~= ARGV[8]) then
    behind = 1
end
local page = redis.call('HSCAN', KEYS[2], ARGV[4], 'COUNT', ARGV[5])
local answer = { page[1], 0, seats_pending }
for at = 2, #page[2], 2 do
    local created_ms = tonumber(string.match(page[2][at], '^1 %a+ %S+ %d+ %d+ %d+ (%d+) '))
    if created_ms and created_ms + after_ms <= applied_ms then
        local event = page[2][at]
        if string.sub(event, -1) ~= '+' and not ARGV[9] then
            event = event .. '+'
            redis.call('HSET', KEYS[2], page[2][at - 1], event)
        end
        answer[#answer + 1] = event
    elseif not created_ms or created_ms + after_ms <= now_ms then
        behind = 1
    end
end
answer[2] = behind
return answer
