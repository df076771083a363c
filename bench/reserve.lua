-- The load for wrk: POST with a JSON body, the same bytes for every server.
--
--   wrk … -s reserve.lua URL -- DEPTH MEMBER_FIRST MEMBER_COUNT CONCERTS
--
-- DEPTH requests are sent at once and then all their answers awaited. Members go round in order,
-- from a random start in each thread; their numbers have one length, and so have all requests for
-- concerts 1 to 9. Each request's concert was drawn from 1 to CONCERTS.
-- All texts are made beforehand, so that wrk's own work per request is small.

local texts = {}
local position = 0

local function body_of(concert, member)
    return '{"concertId":' .. concert .. ',"memberId":' .. member .. ',"quantity":1}'
end

function init(args)
    local depth = tonumber(args[1])
    local first = tonumber(args[2])
    local count = tonumber(args[3])
    local concerts = tonumber(args[4])
    wrk.headers["Content-Type"] = "application/json"
    if depth == 1 and count == 1 then
        -- Without a request function wrk sends one fixed text, which costs it least.
        wrk.method = "POST"
        wrk.body = body_of(1, first)
        return
    end
    math.randomseed(os.time() + tonumber(string.match(tostring({}), "0x(%x+)") or "0", 16) % 100000)
    for i = 0, count - 1 do
        local parts = {}
        for k = 1, depth do
            local member = first + (i * depth + k - 1) % count
            parts[k] = wrk.format("POST", nil, nil, body_of(math.random(1, concerts), member))
        end
        texts[i + 1] = table.concat(parts)
    end
    position = math.random(0, count - 1)
    request = function()
        position = position % #texts + 1
        return texts[position]
    end
end

function done(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format(
        'RESULT {"requests":%d,"duration_us":%d,"bytes":%d,"connect":%d,"read":%d,"write":%d,' ..
        '"status":%d,"timeout":%d,"p50_us":%.0f,"p90_us":%.0f,"p95_us":%.0f,"p99_us":%.0f,' ..
        '"max_us":%.0f}\n',
        summary.requests, summary.duration, summary.bytes, errors.connect, errors.read,
        errors.write, errors.status, errors.timeout, latency:percentile(50),
        latency:percentile(90), latency:percentile(95), latency:percentile(99), latency.max))
end
