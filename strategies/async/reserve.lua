-- Takes seats for all reservations that came for one concert in one turn of a process's loop.
-- KEYS: gate, pending, members, settled, settled_before, pending_concerts, complete.
-- ARGV: run, epoch, concert, token that the caller knows (or nothing), the quantities' sum, how many
-- have a key; then each reservation's id and event; then each one's member and quantity.
-- Returns {0}: the gate is closed; {2, epoch}: it is of another epoch; {3, token}: the token is this
-- one, and there are keys whose rows were looked for before that was known; nothing was done; {4}:
-- all are taken. Else {1, answer, answer, ...}: 1 taken; 2 sold out; 3 the member's limit; 4 it has
-- its row already; 5 it is pending in another concert; 6 it has a key, and what was accepted before
-- Redis lost data may not have its row yet (see KEY_COMPLETE); a text: it is pending already, as
-- this event (which is marked now: see keys.h).
-- All checks come before the first write, so that a write that is refused leaves nothing behind.
-- An id without a key is only ever sent again by who sent it first: what is pending is its own.
local run, epoch, concert, token = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local seats, keyed_count = tonumber(ARGV[5]), tonumber(ARGV[6])
local first = 7
local count = (#ARGV - 6) / 4
local behind = first + 2 * count -- members and quantities

local gate = redis.call('HMGET', KEYS[1], 'run', 'epoch', 'stock', 'seats_pending', 'limit')
if gate[1] ~= run then
    return { 0 }
end
if gate[2] ~= epoch then
    return { 2, tonumber(gate[2]) or 0 }
end
local stock, seats_pending = tonumber(gate[3]), tonumber(gate[4])
local limit = tonumber(gate[5]) or 0
if seats_pending > 0 and redis.call('EXISTS', KEYS[2]) == 0 then
    redis.call('HDEL', KEYS[1], 'run') -- evicted: the numbers are to be made anew
    redis.call('DEL', KEYS[7])
    return { 0 }
end

local function integer(number) -- as text: Lua's own has 14 digits
    return string.format('%.0f', number)
end

local function write(key, pairs_of, from, to)
    for at = from, to, 500 do
        redis.call('HSET', key, unpack(pairs_of, at, math.min(at + 499, to)))
    end
end

local function is_keyed(event)
    return string.sub(event, -1) == 'k'
end

local ids = {}
for index = 1, count do
    ids[index] = ARGV[first + 2 * index - 2]
end
local pending = redis.call('HMGET', KEYS[2], unpack(ids))

-- What nearly always is: ids that are new, seats for all of them, and nothing else to look at.
local function all_are_simple()
    if keyed_count > 0 or limit > 0 or seats > stock then
        return false
    end
    for index = 1, count do
        if pending[index] then
            return false
        end
    end
    return true
end

if all_are_simple() then
    local concerts = {}
    for index = 1, count do
        concerts[2 * index - 1] = ids[index]
        concerts[2 * index] = concert
    end
    write(KEYS[2], ARGV, first, behind - 1)
    write(KEYS[6], concerts, 1, 2 * count)
    redis.call('HSET', KEYS[1], 'stock', integer(stock - seats),
        'seats_pending', integer(seats_pending + seats))
    return { 4 }
end

local keyed = {}
for index = 1, count do
    if is_keyed(ARGV[first + 2 * index - 1]) then
        keyed[#keyed + 1] = ids[index]
    end
end
local settled, elsewhere, sure = {}, {}, true
if #keyed > 0 then
    local complete = redis.call('HMGET', KEYS[7], 'run', 'token')
    sure = complete[1] == run
    if sure and complete[2] ~= token then
        return { 3, complete[2] }
    end
    for index, there in ipairs(redis.call('HMGET', KEYS[6], unpack(keyed))) do
        elsewhere[keyed[index]] = there and there ~= concert
    end
    for key = 4, 5 do
        for index, event in ipairs(redis.call('HMGET', KEYS[key], unpack(keyed))) do
            if event then
                settled[keyed[index]] = true
            end
        end
    end
end

local seats_of = {} -- of each member: live and pending
if limit > 0 then
    local fields = {}
    for at = behind, #ARGV, 2 do
        local member = ARGV[at]
        if not seats_of[member] then
            seats_of[member] = 0
            fields[#fields + 1] = member
            fields[#fields + 1] = 'p' .. member
        end
    end
    local counts = redis.call('HMGET', KEYS[3], unpack(fields))
    for index = 1, #fields, 2 do
        seats_of[fields[index]] = (tonumber(counts[index]) or 0) + (tonumber(counts[index + 1]) or 0)
    end
end

local answer, values, concerts, added = { 1 }, {}, {}, {}
local taken, value_of = {}, {} -- the id's event, and where that is in values
for index, id in ipairs(ids) do
    local event = ARGV[first + 2 * index - 1]
    local member, quantity = ARGV[behind + 2 * index - 2], tonumber(ARGV[behind + 2 * index - 1])
    local there = pending[index]
    if taken[id] then -- twice in one turn
        answer[#answer + 1] = taken[id]
        values[value_of[id]] = taken[id] .. '+'
    elseif there and not is_keyed(event) then
        answer[#answer + 1] = 1
    elseif there then
        if string.sub(there, -1) ~= '+' then
            there = there .. '+'
            values[#values + 1] = id
            values[#values + 1] = there
        end
        answer[#answer + 1] = there
    elseif elsewhere[id] then
        answer[#answer + 1] = 5
    elseif settled[id] then
        answer[#answer + 1] = 4
    elseif not sure and is_keyed(event) then
        answer[#answer + 1] = 6
    elseif quantity > stock then
        answer[#answer + 1] = 2
    elseif limit > 0 and quantity > limit - seats_of[member] then
        answer[#answer + 1] = 3
    else
        answer[#answer + 1] = 1
        stock = stock - quantity
        seats_pending = seats_pending + quantity
        values[#values + 1] = id
        values[#values + 1] = event
        concerts[#concerts + 1] = id
        concerts[#concerts + 1] = concert
        taken[id] = event
        value_of[id] = #values
        if limit > 0 then
            seats_of[member] = seats_of[member] + quantity
            added[member] = (added[member] or 0) + quantity
        end
    end
end

-- The members' first: an account may lack the right to it, and nothing has been done then.
for member, quantity in pairs(added) do
    redis.call('HINCRBY', KEYS[3], 'p' .. member, integer(quantity))
end
write(KEYS[2], values, 1, #values)
if #concerts > 0 then
    write(KEYS[6], concerts, 1, #concerts)
    redis.call('HSET', KEYS[1], 'stock', integer(stock), 'seats_pending', integer(seats_pending))
end
return answer
