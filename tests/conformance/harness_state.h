/* The harness's inside: shared by the files that make it up. */
#ifndef TESTS_CONFORMANCE_HARNESS_STATE_H
#define TESTS_CONFORMANCE_HARNESS_STATE_H

#include <uv.h>

#include "harness.h"

#define WATCHDOG_MS 20000

struct harness {
    uv_loop_t loop;
    uv_timer_t watchdog;
    bool watchdog_barked;
    char folder[64];
    struct config *config;
    struct metrics *metrics;
    struct resv_host *host;
    struct dispatcher *dispatcher; /* NULL while the harness is in its place */
    struct dispatcher_config dispatcher_config;
    void *instance;
    bool started;
    bool drained;
    bool closed;
    bool host_closed;
    bool idle;
    unsigned done_without_client;
    struct resv_id *released; /* release accepted, its row not seen yet; see settle */
    size_t released_count;

    /* In the dispatcher's place. */
    bool inside_strategy;
    size_t seam_under_way;
    bool seam_idle;
    struct resv_op *busy_first;
    struct resv_op **busy_last;
    struct resv_deferred retry_busy;
};

/* Turns the loop until the flag is set; fails the test after WATCHDOG_MS. */
void harness_run_until(struct harness *harness, const bool *flag, const char *what);
/* Makes the turn that is on now the last one of uv_run: its poll does not wait. */
void harness_wake(struct harness *harness);
/* The seam driver: takes the dispatcher's place behind the host. */
void harness_seam_attach(struct harness *harness);

#endif
