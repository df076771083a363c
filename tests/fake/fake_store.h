/* The fake strategy's store: concerts, members and reservations in memory, decided at once.
 *
 * Bounded: FAKE_RECORDS_MAX reservations are remembered, after that a RESERVE that would need
 * another one is UNAVAILABLE. The first concert of a new store is not remembered unless keyed
 * (its seats are only counted): that is the path that benchmarks of the HTTP side take, and it
 * allocates and looks up nothing.
 */
#ifndef TESTS_FAKE_STORE_H
#define TESTS_FAKE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "resvd/catalog.h"
#include "resvd/op.h"

#define FAKE_RECORDS_MAX      65536
#define FAKE_CONCERTS_FIRST   10               /* concerts 1..10 and */
#define FAKE_MEMBERS_FIRST    1000             /* members 1..1000 are there from the start */
#define FAKE_CAPACITY_FIRST   1000000000000000 /* seats of each of them */
#define FAKE_SCRIPT_FIRST     100              /* CREATE leaves these ids out: they are scripts */
#define FAKE_SCRIPT_LAST      199
#define FAKE_CONCERTS_MAX     20000
#define FAKE_MEMBER_NAMES_MAX 1000000

struct fake_store;

/* NULL when out of memory. Asynchronous: RESERVE gives ACCEPTED and leaves the reservation PENDING,
 * and its seats `pending`, for fake_events.c to apply; nothing is only counted. With gates a
 * concert sells nothing until fake_events.c has opened its gate. */
struct fake_store *fake_store_create(bool asynchronous, bool gates);
void fake_store_destroy(struct fake_store *store);

/* A keyed RESERVE whose id is remembered: a replay, or a key used for something else. */
bool fake_store_has_record(const struct fake_store *store, const struct resv_op *op);

bool fake_store_has_concert(const struct fake_store *store, int64_t concert_id);

/* Any kind of operation but those that fake_events.c has: does it, fills the result and says the
 * outcome. */
enum resv_outcome fake_store_run(struct fake_store *store, struct resv_op *op);

/* A scripted RESERVE with outcome GRANTED or ACCEPTED: remembers it without concert or member;
 * replays and reused keys are found as by fake_store_run. */
enum resv_outcome fake_store_run_scripted(struct fake_store *store, struct resv_op *op,
                                          enum resv_outcome outcome);

/* So many seats of the concert's stock are lost until it is reconciled. */
void fake_store_drift(struct fake_store *store, int64_t concert_id, int64_t seats);

#endif
