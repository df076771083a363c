-- Closes a concert's gate: nothing is sold until its numbers have been made anew.
-- KEYS: gate, pending, members, settled, settled_before, pending_concerts. ARGV: 'all' (a reset: what is pending and
-- what is remembered goes too) or 'gate'. Who is making its numbers anew will not open it: it is to be
-- done wholly behind this.
-- 1: it is closed.
if ARGV[1] == 'all' then
    redis.call('DEL', KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6])
else
    redis.call('HDEL', KEYS[1], 'run', 'builder')
end
return 1
