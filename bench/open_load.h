/* The load: when each request is due, who sends it, and what became of all of them.
 *
 *   OPENING -> RUNNING -> GRACE -> OVER
 *      |          |         |
 *      +----------+---------+--> (the last is reached from each, where something fails)
 *
 * A request is its index: what is due and has no connection waits as a difference of two numbers.
 *
 *   planned:  0 … sent … next … due … planned
 *                 answered,   ^ waits in line
 *                 or under way
 */
#ifndef RESVD_BENCH_OPEN_LOAD_H
#define RESVD_BENCH_OPEN_LOAD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <uv.h>

#include "open_histogram.h"
#include "open_options.h"
#include "open_pool.h"

#define OPEN_FAILURE_BYTES 320

enum open_phase { OPEN_OPENING, OPEN_RUNNING, OPEN_GRACE, OPEN_OVER };

/* Once it is over: sent = answered + broken + unanswered, planned = answered + lower_bounds. */
struct open_counts {
    uint64_t planned;
    uint64_t answered;
    uint64_t lower_bounds;     /* never sent, broken or unanswered: so many latencies were longer */
    uint64_t broken;           /* the connection ended before the answer: outcome unknown */
    uint64_t unanswered;       /* when the grace was over: outcome unknown */
    uint64_t sold_out;         /* answers of 409 that say so */
    uint64_t sold_out_in_time; /* before the grace began */
    uint64_t sold_out_after;   /* of those: since the last accepted answer */
    uint64_t no_id;            /* answers of 200 to 299 without the id of a reservation */
    uint64_t statuses[OPEN_STATUSES];
    uint64_t statuses_in_time[OPEN_STATUSES]; /* before the grace began */
};

struct open_load {
    const struct open_options *options;
    uv_loop_t loop;
    uv_timer_t tick;
    uv_poll_t wake; /* on wake_file: a timer of the kernel, for less than a millisecond */
    int wake_file;
    uint64_t wake_ns; /* when it fires; 0: it has */
    struct open_pool pool;
    enum open_phase phase;              /* written by set_phase only */
    uint64_t begun_ns, end_ns, over_ns; /* of RUNNING, of it, and OVER's begin */
    uint64_t next; /* index of the request that is sent next: so many were sent */
    uint64_t cpu_begun_us, cpu_end_us, cpu_over_us; /* of this process at these moments */

    struct open_counts counts;
    uint64_t last_accepted_ns;      /* when the last answer with 201 or 202 came; 0: none did */
    struct open_histogram latency;  /* of all planned requests, from their planned time */
    struct open_histogram accepted; /* of those answered with 201 or 202 */
    struct open_histogram late;     /* from due with a free connection until it was written */

    char head[OPEN_REQUEST_BYTES]; /* of all requests, up to the number of Content-Length */
    size_t head_size;
    FILE *ids;
    char failure[OPEN_FAILURE_BYTES]; /* why it cannot go on; "": it can */
};

/* Runs it from its begin to its end. False: `failure` says why there is no result. */
bool open_load_run(struct open_load *load, const struct open_options *options);

#endif
