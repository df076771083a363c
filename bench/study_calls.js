// The calls of the source study's k6 script, made as that script makes them: a client that knows
// only the study's paths must find resvd to be the server it was written for. For k6:
//
//     k6 run -e BASE_URL=http://127.0.0.1:8080 bench/study_calls.js
//
// resvd: --strategy=async --server.study_api=on --server.allow_reset=on; what was sold is deleted.
// On a broker that has only just started, the first requests for a concert may hear 503 (its gate
// takes longer to open than they wait): let a moment pass and run this once more.
//
// VUS and ITERATIONS say how many call, and how often all together. Exits non-zero when any answer
// is not what the script counts on.

import { check, fail, sleep } from 'k6';
import http from 'k6/http';
import { Counter } from 'k6/metrics';

const base = __ENV.BASE_URL || 'http://127.0.0.1:8080';
const waitMs = 10000; // for a status that is final
const pollSeconds = 0.05;
const UNDER_WAY = ['PENDING', 'PROCESSING'];

export const options = {
    scenarios: {
        study: {
            executor: 'shared-iterations',
            vus: Number(__ENV.VUS || 10),
            iterations: Number(__ENV.ITERATIONS || 100),
            maxDuration: '60s',
        },
    },
    noConnectionReuse: true,
    thresholds: {
        checks: ['rate==1'],
        confirmed: [`count==${Number(__ENV.ITERATIONS || 100)}`],
    },
};

const confirmed = new Counter('confirmed');

function jsonOf(response) {
    try {
        return response.json() || {};
    } catch (error) {
        return {};
    }
}

function said(call, response) {
    return `${call}: ${response.status} ${response.body || response.error}`;
}

function isListOfIds(value) {
    return Array.isArray(value) && value.length > 0 && value.every(Number.isInteger);
}

export function setup() {
    const response = http.post(`${base}/api/test/init`);
    const init = jsonOf(response);
    const good = check(response, {
        'init: 2xx': (r) => r.status >= 200 && r.status < 300,
        'init: concertIds': () => isListOfIds(init.concertIds),
        'init: memberIds': () => isListOfIds(init.memberIds),
        'init: counts': () => init.concertCount === (init.concertIds || []).length
            && init.memberCount === (init.memberIds || []).length,
    });
    if (!good) {
        fail(said('POST /api/test/init', response));
    }
    return { concertIds: init.concertIds, memberIds: init.memberIds };
}

function anyOf(list) {
    return list[Math.floor(Math.random() * list.length)];
}

// The last answer: the first one whose status is final, or that is none at all.
function poll(requestId) {
    const giveUp = Date.now() + waitMs;
    for (;;) {
        const response = http.get(`${base}/api/reservations/request/${requestId}`);
        const found = jsonOf(response);
        if (response.status !== 200 || !UNDER_WAY.includes(found.status) || Date.now() > giveUp) {
            return [response, found];
        }
        sleep(pollSeconds);
    }
}

export default function (data) {
    const wanted = { concertId: anyOf(data.concertIds), memberId: anyOf(data.memberIds) };
    const response = http.post(`${base}/api/reservations/async`, JSON.stringify(wanted), {
        headers: { 'Content-Type': 'application/json' },
    });
    const { requestId } = jsonOf(response);
    const accepted = check(response, {
        'async: 202': (r) => r.status === 202,
        'async: requestId': () => typeof requestId === 'string' && requestId !== '',
    });
    if (!accepted) {
        console.error(said('POST /api/reservations/async', response));
        return;
    }
    const [last, found] = poll(requestId);
    const good = check(last, {
        'request: 200': (r) => r.status === 200,
        'request: the same one': () => found.requestId === requestId
            && found.concertId === wanted.concertId && found.memberId === wanted.memberId,
        'request: reservationId': () => Boolean(found.reservationId),
        'request: CONFIRMED in the end': () => found.status === 'CONFIRMED',
    });
    if (good) {
        confirmed.add(1);
    } else {
        console.error(said('GET /api/reservations/request/…', last));
    }
}
