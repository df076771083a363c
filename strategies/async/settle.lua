-- Settles one concert after a batch was committed: what has its row leaves pending, and the numbers
-- are those that the database had at this position of the log.
-- KEYS: gate, pending, members, settled, settled_before, pending_concerts.
-- ARGV: run, epoch, position, capacity, sold, limit, newest created_ms applied, wall clock in ms,
-- owner (the partition and the topic in four bytes each, random bytes), how many ids; for each id: it, and k (it has a key and a row) or -; then for
-- each member whose live seats may have changed: it, and its live seats.
-- Returns {code, stock, seats_pending}: 1 the numbers are these; 0 the gate has newer ones, and only
-- the ids were removed; -1 the gate is closed, and only the ids were removed; -3 the same, it was
-- open until now: the numbers must be made anew; -2 of a database that has been reset since, nothing
-- was done.
-- Each batch tells only of its own members. So they are right only while nothing is missing between
-- the batches that were settled, which is so for one owner's: another one's settle has them counted.
-- Positions of two partitions say nothing of each other: where a concert's events are in another
-- partition than they were (there are more of them now), or in another topic, the gate is closed, too.
-- So it is where another owner comes while seats are pending: what the one before had committed and
-- not settled has rows, and is pending all the same. That is to be looked for.
-- Numbers only move forward in the log: a consumer that has lost its partition and does not know it
-- yet must not put seats back that are sold. What it removes is removed rightly: it has rows. And as
-- the newer numbers count these rows as sold, the stock stays what it should be.
-- Behind a closed gate that somebody is about to open, it leaves word how far it came: numbers from
-- before that would count rows neither as sold nor as pending.
local run, epoch, position = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local capacity, sold, limit = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local applied_ms, now_ms, owner = tonumber(ARGV[7]), tonumber(ARGV[8]), ARGV[9]
local count = tonumber(ARGV[10])
local first_id, first_member = 11, 11 + 2 * count

local function integer(number) -- as text: Lua's own has 14 digits
    return string.format('%.0f', number)
end

local gate = redis.call('HMGET', KEYS[1], 'run', 'epoch', 'position', 'capacity', 'sold', 'limit',
    'seats_pending', 'applied_ms', 'builder', 'settled_to', 'owner')
local gate_epoch = tonumber(gate[2]) or epoch
if gate_epoch > epoch then
    return { -2, 0, 0 }
end
local open = gate[1] == run and gate_epoch == epoch
local moved = open and string.sub(gate[11] or '', 1, 8) ~= string.sub(owner, 1, 8)
if moved then
    redis.call('HDEL', KEYS[1], 'run')
    open = false
end
local gate_limit = tonumber(gate[6]) or 0
local newer = open and position >= tonumber(gate[3])

local ids, events = {}, {}
for at = first_id, first_member - 1, 2 do
    ids[#ids + 1] = ARGV[at]
end
for at = 1, #ids, 500 do
    local page = redis.call('HMGET', KEYS[2], unpack(ids, at, math.min(at + 499, #ids)))
    for index = 1, #page do
        events[#events + 1] = page[index]
    end
end

-- What is to be removed, and whose seats these are. An id may come twice: its event is in one batch
-- twice. One with a key that was not pending (Redis has lost it) is remembered, too: a repeat may
-- have looked for its row before that was there, and have waited at the gate since.
local removed, keyed, seats, seats_of, done = {}, {}, 0, {}, {}
for index, id in ipairs(ids) do
    local event = not done[id] and events[index]
    if event then
        local member, quantity = string.match(event, '^1 %a+ %S+ %d+ (%d+) (%d+) ')
        if member then
            quantity = tonumber(quantity)
            seats = seats + quantity
            seats_of[member] = (seats_of[member] or 0) + quantity
        end
        removed[#removed + 1] = id
    end
    if ARGV[first_id + 2 * index - 1] == 'k' and not done[id] then
        keyed[#keyed + 1] = id
        keyed[#keyed + 1] = ''
    end
    done[id] = true
end

local code = -1
local stock, seats_pending = 0, 0
-- A full server refuses a script's first write only: this one it takes, and what follows frees memory.
redis.call('HDEL', KEYS[1], 'none')

-- Of the two hashes of settled ids the younger one is written to, until it is a minute old.
if #keyed > 0 then
    local since = { tonumber(redis.call('HGET', KEYS[4], 'since')) or 0,
        tonumber(redis.call('HGET', KEYS[5], 'since')) or 0 }
    local younger = since[2] > since[1] and 2 or 1
    local age = now_ms - since[younger]
    if age >= 60000 or age <= -60000 then
        if age < 0 then -- that clock was wrong, or this one is
            redis.call('HSET', KEYS[3 + younger], 'since', integer(now_ms - 1))
        end
        younger = 3 - younger
        redis.call('UNLINK', KEYS[3 + younger])
        redis.call('HSET', KEYS[3 + younger], 'since', integer(now_ms))
    end
    for at = 1, #keyed, 500 do
        redis.call('HSET', KEYS[3 + younger], unpack(keyed, at, math.min(at + 499, #keyed)))
    end
    redis.call('PEXPIRE', KEYS[3 + younger], 180000)
end
for at = 1, #removed, 500 do
    redis.call('HDEL', KEYS[2], unpack(removed, at, math.min(at + 499, #removed)))
    redis.call('HDEL', KEYS[6], unpack(removed, at, math.min(at + 499, #removed)))
end

if open then
    code = newer and 1 or 0
    if not newer then
        capacity, sold, limit = tonumber(gate[4]), tonumber(gate[5]), gate_limit
        position = tonumber(gate[3])
    end
    seats_pending = tonumber(gate[7]) - seats
    stock = capacity - sold - seats_pending
    -- A clock that is ahead would have the sweep take all that is pending for overtaken.
    applied_ms = math.max(math.min(applied_ms, now_ms), tonumber(gate[8]))
    redis.call('HSET', KEYS[1], 'position', integer(position), 'capacity', integer(capacity),
        'sold', integer(sold), 'limit', integer(limit), 'seats_pending', integer(seats_pending),
        'stock', integer(stock), 'applied_ms', integer(applied_ms))
end

if not open then
    if gate[9] and position > (tonumber(gate[10]) or 0) then
        redis.call('HSET', KEYS[1], 'settled_to', integer(position))
    end
    return { moved and -3 or code, 0, 0 }
end
local another = newer and gate[11] ~= owner
if limit > 0 and (gate_limit <= 0 or another) or another and seats_pending > 0 then
    redis.call('HDEL', KEYS[1], 'run')
    return { -3, 0, 0 }
end
if limit <= 0 then
    if gate_limit > 0 then
        redis.call('DEL', KEYS[3])
    end
    return { code, stock, seats_pending }
end
for member, gone in pairs(seats_of) do
    if redis.call('HINCRBY', KEYS[3], 'p' .. member, -gone) <= 0 then
        redis.call('HDEL', KEYS[3], 'p' .. member)
    end
end
if newer then
    for at = first_member, #ARGV, 2 do
        if tonumber(ARGV[at + 1]) > 0 then
            redis.call('HSET', KEYS[3], ARGV[at], ARGV[at + 1])
        else
            redis.call('HDEL', KEYS[3], ARGV[at])
        end
    end
end
return { code, stock, seats_pending }
