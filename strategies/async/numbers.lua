-- A concert's numbers, for the audit.
-- KEYS: gate, pending, members, settled, settled_before, pending_concerts. ARGV: run.
-- Returns {stock, seats_pending} as texts; {} while the gate is closed.
local gate = redis.call('HMGET', KEYS[1], 'run', 'stock', 'seats_pending')
if gate[1] ~= ARGV[1] then
    return {}
end
return { gate[2], gate[3] }
