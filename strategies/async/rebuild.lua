-- Makes a concert's numbers anew, behind a closed gate, and opens it.
-- KEYS: gate, pending, members, settled, settled_before, pending_concerts, complete.
-- ARGV: what, run, epoch, builder (random bytes); then
--   clear: partition. The gate gets its builder, members go.
--   members: for each member with live seats: it, and these.
--   open: position, capacity, sold, limit, wall clock in ms, owner (see settle.lua), partition.
-- Returns 1: done; 0: the gate is open already; -1: somebody else has begun since, who will open
-- it, or has settled what comes after this position; -2: of a database that has been reset since;
-- -3: the partition is not complete. The barrier may be older than the loss of what was pending, and
-- behind it in the log there may be events that neither are rows at this position nor are pending.
-- What is pending now has no row at this position: who calls this has removed the others (settle).
local what, run, epoch, builder = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]

local function integer(number)
    return string.format('%.0f', number)
end

local gate = redis.call('HMGET', KEYS[1], 'run', 'epoch', 'builder', 'settled_to')
if tonumber(gate[2]) and tonumber(gate[2]) > epoch then
    return -2
end
if gate[1] == run and tonumber(gate[2]) == epoch then
    return 0
end
local function is_complete(partition)
    return redis.call('HGET', KEYS[7], partition) == run
end
if what == 'clear' then
    if not is_complete(ARGV[5]) then
        return -3
    end
    redis.call('HSET', KEYS[1], 'builder', builder)
    redis.call('HDEL', KEYS[1], 'run', 'epoch', 'settled_to')
    redis.call('DEL', KEYS[3])
    return 1
end
if gate[3] ~= builder then
    return -1
end
if what == 'members' then
    for at = 5, #ARGV, 2 do
        redis.call('HSET', KEYS[3], ARGV[at], ARGV[at + 1])
    end
    return 1
end

if not is_complete(ARGV[11]) then
    return -3
end
if (tonumber(gate[4]) or 0) > tonumber(ARGV[5]) then
    return -1 -- a batch behind this position has taken its rows out of pending meanwhile
end
local position, capacity, sold, limit = ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8]
local seats_pending, seats_of = 0, {}
local entries = redis.call('HGETALL', KEYS[2])
for at = 2, #entries, 2 do
    local member, quantity = string.match(entries[at], '^1 %a+ %S+ %d+ (%d+) (%d+) ')
    if member then
        quantity = tonumber(quantity)
        seats_pending = seats_pending + quantity
        seats_of[member] = (seats_of[member] or 0) + quantity
    end
end
if tonumber(limit) > 0 then
    for member, seats in pairs(seats_of) do
        redis.call('HSET', KEYS[3], 'p' .. member, integer(seats))
    end
end
redis.call('HSET', KEYS[1], 'epoch', integer(epoch), 'position', position,
    'capacity', integer(capacity), 'sold', integer(sold), 'limit', limit,
    'seats_pending', integer(seats_pending), 'stock', integer(capacity - sold - seats_pending),
    'applied_ms', '0', 'swept_ms', ARGV[9], 'owner', ARGV[10], 'run', run)
redis.call('HDEL', KEYS[1], 'builder', 'settled_to')
return 1
