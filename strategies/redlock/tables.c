/* redlock's options and metrics, and which of its options fit together.
 *
 * Invariant: settings under which a lock that was granted in the last moment could not be used, or
 * a waiter would never ask again, are refused at the start. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redlock.h"

enum { EXIT_CONFIGURATION = 78 };

/* --- options ------------------------------------------------------------------------------------
 */

/* 1 for "off"; 0 for what is neither "off" nor a number that it can be. */
static size_t parse_handoff(const char *text)
{
    char *end;
    if (strcmp(text, "off") == 0)
        return 1;
    if (text[0] < '0' || text[0] > '9')
        return 0;
    errno = 0;
    unsigned long number = strtoul(text, &end, 10);
    return *end == '\0' && errno == 0 && number >= 2 && number <= REDLOCK_HANDOFF_MAX ? number : 0;
}

static bool check_handoff(const char *text, char *why, size_t why_size)
{
    if (parse_handoff(text) > 0)
        return true;
    snprintf(why, why_size, "'%.40s' is neither off nor a number from 2 to %d", text,
             REDLOCK_HANDOFF_MAX);
    return false;
}

static const struct resv_option options[] = {
    [OPTION_LEASE_MS] = {.key = "lease_ms",
                         .type = RESV_OPTION_INTEGER,
                         .default_text = "1000",
                         .minimum = 100,
                         .maximum = 60000,
                         .unit = "ms",
                         .help = "how long a lock is granted for; it is extended while work goes "
                                 "on, and so long others wait when its holder has died"},
    [OPTION_WAIT_MS] = {.key = "wait_ms",
                        .type = RESV_OPTION_INTEGER,
                        .default_text = "2000",
                        .minimum = 1,
                        .maximum = 60000,
                        .unit = "ms",
                        .help = "the longest that a reservation waits for its concert's lock; then "
                                "it is answered as contended"},
    [OPTION_RETRY_DELAY_MS] = {.key = "retry_delay_ms",
                               .type = RESV_OPTION_INTEGER,
                               .default_text = "50",
                               .minimum = 2,
                               .maximum = 10000,
                               .unit = "ms",
                               .help = "a lock that is held elsewhere is asked for again when it "
                                       "is said to be free, or after half to all of this, by "
                                       "chance"},
    [OPTION_HANDOFF] = {.key = "handoff",
                        .type = RESV_OPTION_STRING,
                        .default_text = "16",
                        .help = "off: each reservation has the lock and a transaction to itself; "
                                "or 2 to 2000: so many waiting ones a holder serves before it lets "
                                "the lock go, those that wait at the same moment in one "
                                "transaction",
                        .required = true,
                        .check = check_handoff},
    [OPTION_NODE_TIMEOUT_MS] = {.key = "node_timeout_ms",
                                .type = RESV_OPTION_INTEGER,
                                .default_text = "50",
                                .minimum = 1,
                                .maximum = 30000,
                                .unit = "ms",
                                .help = "how long a lock node may take to answer before it counts "
                                        "as down for this attempt"},
    [OPTION_LOCKS_MAX] = {.key = "locks_max",
                          .type = RESV_OPTION_INTEGER,
                          .default_text = "128",
                          .minimum = 1,
                          .maximum = 1024,
                          .unit = "locks",
                          .help = "most locks that are held or contended for at a time; other "
                                  "concerts wait for their turn"},
    [OPTION_CONCERTS_MAX] = {.key = "concerts_max",
                             .type = RESV_OPTION_INTEGER,
                             .default_text = "20000",
                             .minimum = 1,
                             .maximum = 1000000,
                             .unit = "concerts",
                             .help = "most concerts that are waited for at the same moment"},
    [OPTION_HOLD_MS] = {.key = "hold_ms",
                        .type = RESV_OPTION_INTEGER,
                        .default_text = "0",
                        .minimum = 0,
                        .maximum = 60000,
                        .unit = "ms",
                        .help = "for experiments: a pause between reading and writing, while the "
                                "lock is held"},
};

const struct resv_option_table redlock_options = {
    .section = "strategy.redlock",
    .help = "A distributed lock for each concert, on one, three or five Redis nodes",
    .options = options,
    .count = sizeof options / sizeof options[0],
};

static bool fits_together(struct redlock *redlock)
{
    char message[300];
    const uint64_t lease_ms = redlock->lock_settings.lease_ms;
    const uint64_t spent_ms = redlock->budget_ms + lock_drift_ms(lease_ms);
    if (redlock->lock_settings.node_timeout_ms + spent_ms > lease_ms) {
        snprintf(message, sizeof message,
                 "[strategy.redlock] node_timeout_ms = %" PRIu64 " does not fit into lease_ms = "
                 "%" PRIu64 ": a lock that is granted so late must still have %" PRIu64
                 " ms (a quarter for the work, and the clocks' drift); at most %" PRIu64 " does",
                 redlock->lock_settings.node_timeout_ms, lease_ms, spent_ms, lease_ms - spent_ms);
    } else if (redlock->retry_delay_ms > redlock->wait_ms) {
        snprintf(message, sizeof message,
                 "[strategy.redlock] retry_delay_ms = %" PRIu64 " is more than wait_ms = %" PRIu64
                 ": a lock that is held elsewhere would never be asked for again",
                 redlock->retry_delay_ms, redlock->wait_ms);
    } else {
        return true;
    }
    resv_host_start_failed(redlock->base.host, EXIT_CONFIGURATION, message);
    return false;
}

static uint64_t milliseconds(const struct redlock *redlock, enum redlock_option option)
{
    return (uint64_t)resv_option_integer(redlock->base.host, &redlock_options, option);
}

bool redlock_read_options(struct redlock *redlock, size_t *concerts_max)
{
    struct resv_host *host = redlock->base.host;
    redlock->lock_settings.lease_ms = milliseconds(redlock, OPTION_LEASE_MS);
    redlock->lock_settings.node_timeout_ms = milliseconds(redlock, OPTION_NODE_TIMEOUT_MS);
    redlock->wait_ms = milliseconds(redlock, OPTION_WAIT_MS);
    redlock->retry_delay_ms = milliseconds(redlock, OPTION_RETRY_DELAY_MS);
    redlock->hold_ms = milliseconds(redlock, OPTION_HOLD_MS);
    redlock->budget_ms = lock_budget_ms(redlock->lock_settings.lease_ms);
    redlock->handoff = parse_handoff(resv_option_string(host, &redlock_options, OPTION_HANDOFF));
    redlock->turns_count = (size_t)resv_option_integer(host, &redlock_options, OPTION_LOCKS_MAX);
    *concerts_max = (size_t)resv_option_integer(host, &redlock_options, OPTION_CONCERTS_MAX);
    return fits_together(redlock);
}

/* --- metrics ------------------------------------------------------------------------------------
 */

static const struct resv_metric metrics[] = {
    [METRIC_ACQUIRE_SECONDS] = {.name = "redlock_acquire_seconds",
                                .type = RESV_METRIC_HISTOGRAM_SECONDS,
                                .help = "Attempts that got the lock: from asking the nodes until a "
                                        "majority had granted it"},
    [METRIC_HELD_SECONDS] = {.name = "redlock_held_seconds",
                             .type = RESV_METRIC_HISTOGRAM_SECONDS,
                             .help = "Locks, from being granted until they were let go"},
    [METRIC_WAIT_SECONDS] = {.name = "redlock_wait_seconds",
                             .type = RESV_METRIC_HISTOGRAM_SECONDS,
                             .help = "Reservations, from their arrival until they were served "
                                     "under their concert's lock"},
    [METRIC_SERVED_PER_LOCK] = {.name = "redlock_served_per_lock",
                                .type = RESV_METRIC_HISTOGRAM_COUNT,
                                .help = "Reservations answered under one lock"},
    [METRIC_WAITING_OPERATIONS] = {.name = "redlock_waiting_operations",
                                   .type = RESV_METRIC_GAUGE,
                                   .help = "Reservations in line for their concert's lock"},
    [METRIC_CONTENDED] = {.name = "redlock_contended_total",
                          .type = RESV_METRIC_COUNTER,
                          .help = "Attempts that found the lock held elsewhere, or had it too "
                                  "late"},
    [METRIC_NO_MAJORITY] = {.name = "redlock_no_majority_total",
                            .type = RESV_METRIC_COUNTER,
                            .help = "Attempts that failed because too many lock nodes were down or "
                                    "did not answer"},
    [METRIC_WOKEN_BY_MESSAGE] = {.name = "redlock_woken_by_message_total",
                                 .type = RESV_METRIC_COUNTER,
                                 .help = "Waits for a lock held elsewhere that ended when it was "
                                         "said to be free"},
    [METRIC_WOKEN_BY_TIMER] = {.name = "redlock_woken_by_timer_total",
                               .type = RESV_METRIC_COUNTER,
                               .help = "Waits for a lock held elsewhere that ended by the timer"},
    [METRIC_GAVE_WAY] = {.name = "redlock_gave_way_total",
                         .type = RESV_METRIC_COUNTER,
                         .help = "Locks let go to other processes although more waited here"},
    [METRIC_EXTENSIONS] = {.name = "redlock_extensions_total",
                           .type = RESV_METRIC_COUNTER,
                           .help = "Leases extended by a majority"},
    [METRIC_LOST_LEASE] = {.name = "redlock_lost_lease_total",
                           .type = RESV_METRIC_COUNTER,
                           .help = "Locks whose lease was over, or nearly, before the work was"},
    [METRIC_FENCED] = {.name = "redlock_fenced_total",
                       .type = RESV_METRIC_COUNTER,
                       .help = "Writes that changed no row, because somebody else had sold since "
                               "the concert was read"},
};

const struct resv_metric_table redlock_metrics = {
    .metrics = metrics,
    .count = sizeof metrics / sizeof metrics[0],
};
