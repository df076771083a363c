/* What makes the fake asynchronous: a log of events and the one consumer of it, in memory.
 *
 * Reservations and releases are accepted when their event is in the log, and change the store when
 * the consumer applies it. Bounded: with FAKE_EVENTS_MAX events waiting all that needs another one
 * is UNAVAILABLE, and of dead letters the first FAKE_LETTERS_MAX are kept.
 */
#ifndef TESTS_FAKE_EVENTS_H
#define TESTS_FAKE_EVENTS_H

#include "fake_store.h"

#define FAKE_EVENTS_MAX  65536
#define FAKE_LETTERS_MAX 1024

struct fake_events;

/* What happens to the event of a reservation. */
enum fake_fate {
    FAKE_FATE_CONFIRMED,
    FAKE_FATE_REJECTED,
    FAKE_FATE_DEAD_LETTER, /* REJECTED until it is sent again */
};

/* NULL when out of memory. The store must outlive it. */
struct fake_events *fake_events_create(struct fake_store *store);
void fake_events_destroy(struct fake_events *events);

/* Any kind of operation, as fake_store_run for the other kinds. */
enum resv_outcome fake_events_run(struct fake_events *events, struct resv_op *op);
/* A RESERVE without concert or member: ACCEPTED, unless it was before or there is no room. */
enum resv_outcome fake_events_run_scripted(struct fake_events *events, struct resv_op *op,
                                           enum fake_fate fate);

void fake_events_pause(struct fake_events *events, bool paused);
/* There are events, and the consumer is not paused. */
bool fake_events_waiting(const struct fake_events *events);
/* Applies all that wait. */
void fake_events_apply(struct fake_events *events, int64_t wall_ms);

#endif
