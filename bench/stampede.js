// The source study's stampede, for k6: every request on a new connection, from virtual users that
// come all at once and do not think in between. bench/stampede.py starts it, says by STAMPEDE_…
// what is wanted, and reads the summary that it leaves.

import exec from 'k6/execution';
import http from 'k6/http';
import { Counter } from 'k6/metrics';

const target = __ENV.STAMPEDE_TARGET;
const vus = number('VUS');
const upMs = milliseconds('UP_S');
const holdMs = milliseconds('HOLD_S');
const downMs = milliseconds('DOWN_S');
const patienceMs = milliseconds('PATIENCE_S');
// For one that has begun, a little more than its patience: what k6 cuts off is an answer that
// nobody knows.
const grace = `${patienceMs + 1000}ms`;
const concertFirst = number('CONCERT_FIRST');
const concerts = number('CONCERTS');
const memberFirst = number('MEMBER_FIRST');
const members = number('MEMBERS');

function number(name) {
    const value = parseFloat(__ENV[`STAMPEDE_${name}`]);
    if (!(value >= 0)) {
        throw new Error(`STAMPEDE_${name} is no number: start this by bench/stampede.py`);
    }
    return value;
}

function milliseconds(name) {
    return Math.round(number(name) * 1000);
}

export const options = {
    scenarios: {
        stampede: {
            executor: 'ramping-vus',
            startVUs: 0,
            stages: [
                { duration: `${upMs}ms`, target: vus },
                { duration: `${holdMs}ms`, target: vus },
                { duration: `${downMs}ms`, target: 0 },
            ],
            gracefulRampDown: grace,
            gracefulStop: grace,
        },
    },
    noConnectionReuse: true,
    // What nobody looks at costs requests a second: k6's own ceiling is low enough.
    discardResponseBodies: true,
    systemTags: [],
    summaryTrendStats: ['avg', 'med', 'p(95)', 'p(99)', 'max'],
};

const params = { headers: { 'Content-Type': 'application/json' }, timeout: patienceMs };

// k6 has no counter that is made during a run: one for each status that is known to come.
const STATUSES = [200, 201, 202, 400, 404, 408, 409, 415, 422, 429, 500, 502, 503, 504];
const counters = {};
for (const name of [
    'begun', // iterations; those that did not end were cut off by k6
    'status_other',
    'contended', // of status_409: nothing is sold out, the client is to come again
    'not_connected', // nothing was sent
    'timed_out', // no answer within the patience
    'broken', // the connection broke before the answer
    'no_port', // of not_connected: this machine had no local port free
    'no_file', // of not_connected: k6 had too many files open
    'hold_answered', // these two: ended while all virtual users were there
    'hold_accepted',
    ...STATUSES.map((status) => `status_${status}`),
]) {
    counters[name] = new Counter(name);
}

function countAnswer(response) {
    const counter = counters[`status_${response.status}`] || counters.status_other;
    counter.add(1);
    // As resvd says it: "contended" has Retry-After, "sold-out" has not.
    if (response.status === 409 && response.headers['Retry-After'] !== undefined) {
        counters.contended.add(1);
    }
    const elapsedMs = Date.now() - exec.scenario.startTime;
    if (elapsedMs >= upMs && elapsedMs < upMs + holdMs) {
        counters.hold_answered.add(1);
        if (response.status >= 200 && response.status < 300) {
            counters.hold_accepted.add(1);
        }
    }
}

// 1050: no answer in time. 11xx: names, 1210 to 1213: dialling. All else broke in between.
function countFailure(response) {
    const code = response.error_code;
    if (code === 1050) {
        counters.timed_out.add(1);
    } else if ((code >= 1100 && code < 1200) || (code >= 1210 && code < 1220)) {
        counters.not_connected.add(1);
        if (response.error.includes('assign requested address')) {
            counters.no_port.add(1);
        } else if (response.error.includes('too many open files')) {
            counters.no_file.add(1);
        }
    } else {
        counters.broken.add(1);
    }
}

export default function () {
    const concert = concertFirst + Math.floor(Math.random() * concerts);
    const member = memberFirst + Math.floor(Math.random() * members);
    counters.begun.add(1);
    const response = http.post(target, `{"concertId":${concert},"memberId":${member}}`, params);
    if (response.status > 0) {
        countAnswer(response);
    } else {
        countFailure(response);
    }
}

function countOf(data, name) {
    return name in data.metrics ? data.metrics[name].values.count : 0;
}

export function handleSummary(data) {
    const counts = {};
    for (const name of Object.keys(counters)) {
        counts[name] = countOf(data, name);
    }
    // The iteration's time, not the request's: k6's http_req_duration leaves out the wait for a
    // connection, which is where a server that is overrun lets its clients stand.
    const { iteration_duration: iterations } = data.metrics;
    const times = iterations ? iterations.values : {};
    const summary = {
        duration_ms: data.state.testRunDurationMs,
        ended: countOf(data, 'iterations'),
        received_bytes: countOf(data, 'data_received'),
        iteration_ms: {
            avg: times.avg,
            p50: times.med,
            p95: times['p(95)'],
            p99: times['p(99)'],
            max: times.max,
        },
        counts,
    };
    return { [__ENV.STAMPEDE_SUMMARY]: JSON.stringify(summary) };
}
