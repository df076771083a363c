/* The fake strategy from inside: for the files in this folder only. */
#ifndef TESTS_FAKE_INTERNAL_H
#define TESTS_FAKE_INTERNAL_H

#include "fake_events.h"
#include "fake_list.h"
#include "fake_store.h"
#include "resvd/strategy.h"

enum {
    METRIC_COMPLETED,
    METRIC_RESERVE_TAKEN,
    METRIC_BUSY,
    METRIC_CANCEL,
    METRIC_GRANTED,
    METRIC_HELD
};
extern const struct resv_metric_table fake_metric_table;

enum operation_place { PLACE_READY, PLACE_TIMER, PLACE_HELD };

struct fake;

struct operation {
    struct fake *fake;
    enum operation_place place;
    struct resv_timer timer; /* SCRIPT_LATER */
    enum resv_outcome forced;
    bool is_forced; /* cancelled by script or at the end of drain: the outcome is `forced` */
};

struct fake {
    struct resv_host *host;
    struct fake_store *store;
    struct fake_events *events; /* NULL: not asynchronous */
    struct resv_catalog catalog;
    struct operation_list ready; /* completed at the next deferred point */
    struct operation_list held;  /* in the order they were asked */
    struct operation_list timed; /* SCRIPT_LATER */
    struct resv_deferred complete_ready;
    struct resv_timer start_timer;
    struct resv_timer busy_timer;
    struct resv_timer drain_timer;
    struct resv_timer apply_timer;
    size_t under_way;
    uint64_t reserves_taken; /* since the last deferred point */
    int64_t held_count;
    bool busy_over; /* the timer of SCRIPT_BUSY_FOR_A_TIME has fired: the next one is taken */
    bool draining;
    bool drained;
};

static inline struct operation *operation_of(const struct resv_op *op)
{
    return op->strategy_private;
}

/* Completes at the next deferred point. */
void fake_make_ready(struct fake *fake, struct resv_op *op);
/* Then with this outcome, whatever the script says. */
void fake_force(struct resv_op *op, enum resv_outcome outcome);
void fake_count_held(struct fake *fake, int64_t change);

/* --- the scripts: fake_script.c --- */

bool fake_is_script(const struct fake *fake, const struct resv_op *op);
/* At submit. */
bool fake_script_is_busy(struct fake *fake, const struct resv_op *op);
void fake_script_take(struct fake *fake, struct resv_op *op);
/* When it completes. */
enum resv_outcome fake_script_decide(struct fake *fake, struct resv_op *op);
void fake_script_cancel(struct fake *fake, struct resv_op *op);
/* SCRIPT_BUSY_FOR_A_TIME is over. */
void fake_script_busy_over(struct resv_timer *timer);

#endif
