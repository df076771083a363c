-- A page of what is pending, for who makes a concert's numbers anew.
-- KEYS: gate, pending, members, settled, settled_before, pending_concerts. ARGV: cursor (0: the first page), how many
-- about.
-- Returns {next cursor as text ('0': this was the last), id, id, ...}; an id may come twice.
local page = redis.call('HSCAN', KEYS[2], ARGV[1], 'COUNT', ARGV[2])
local answer = { page[1] }
for at = 1, #page[2], 2 do
    answer[#answer + 1] = page[2][at]
end
return answer
