/* A host that only records: the test moves the clock, says when the flush point comes, and what is
 * configured. For strategies and what they share, tested without a loop. */
#ifndef TESTS_FAKE_HOST_H
#define TESTS_FAKE_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "resvd/host.h"
#include "resvd/metric.h"
#include "resvd/op.h"
#include "resvd/option.h"

#define FAKE_TIMERS_MAX  32
#define FAKE_OPTIONS_MAX 16
#define FAKE_METRICS_MAX 64

#define FAKE_NS_PER_MS 1000000ULL

struct resv_host {
    uint64_t now_ns; /* not 0 at first */
    int64_t wall_ms;
    struct resv_timer *timers[FAKE_TIMERS_MAX]; /* armed; NULL between */
    struct resv_deferred *deferred_first, **deferred_last;
    uint32_t chance; /* what resv_random_bytes gives, counted up */

    unsigned started, start_failed, drained, closed, ready_for_more;
    unsigned completed; /* operations */
    int exit_code;
    char message[256];
    enum resv_role role;
    bool inside; /* of submit, cancel or another call that must not complete anything */

    struct {
        const char *key, *text;
    } options[FAKE_OPTIONS_MAX]; /* instead of their defaults */
    size_t options_count;
    struct {
        const char *name;
        int64_t value; /* sum of what was added or observed; last of what was set */
        uint64_t count;
    } metrics[FAKE_METRICS_MAX];
    size_t metrics_count;
};

void fake_host_init(struct resv_host *host);
/* The option of this key has this text, in whatever table. */
void fake_host_option(struct resv_host *host, const char *key, const char *text);
/* The flush point: runs what is deferred, and what that defers in turn. */
void fake_host_flush(struct resv_host *host);
/* Time passes: timers fire in order, each followed by a flush. */
void fake_host_advance(struct resv_host *host, uint64_t ms);
size_t fake_host_timers(const struct resv_host *host); /* armed */
/* 0 when it was never touched. */
int64_t fake_host_metric(const struct resv_host *host, const char *name);

#endif
