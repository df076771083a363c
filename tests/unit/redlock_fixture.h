/* The redlock strategy between the fake host, Redis nodes of the test's own (redlock_redis.h) and a
 * database link that only records (database_fixture.h). All that is sold is concert 1. */
#ifndef TESTS_REDLOCK_FIXTURE_H
#define TESTS_REDLOCK_FIXTURE_H

#include "database_fixture.h"
#include "redlock_redis.h"

#define NO_LIMIT 0

extern const struct resv_strategy resv_strategy_redlock;

/* Options are to be set before redlock_start. */
int redlock_set_up(void **state);
/* Whatever is under way ends (sold to, let go), drains, closes; nothing may be left. */
int redlock_tear_down(void **state);
/* Opened and started with so many nodes. */
void redlock_start(struct database_fixture *fixture, size_t nodes);
/* The same, and concert 1 (fence 5, without a limit, 100 seats of which 10 are sold) and member 1
 * are remembered. The fence is 6 then. */
void redlock_start_warm(struct database_fixture *fixture, size_t nodes);
/* Nothing is listened to, no lock is held, and nothing was forgotten: idle turns are gone. */
void redlock_stop(struct database_fixture *fixture);

/* A RESERVE of one seat for concert 1. */
struct resv_op *reserve(struct database_fixture *fixture, int64_t member_id);
struct resv_op *reserve_keyed(struct database_fixture *fixture, int64_t member_id);

/* The run under way reads the concert (and what else, by letters as in grouped_fixture.h: c i m s);
 * it is done, the concert being so; members exist, and have no seats; nothing is there by id. */
void reads(struct database_fixture *fixture, const char *letters, int64_t sold, int64_t limit,
           int64_t fence);
/* The run under way takes `seats` with this token, and inserts so many rows. */
struct database_run *expect_write(int64_t token, int64_t seats, size_t rows);
/* The same, and it is done. */
void writes(struct database_fixture *fixture, int64_t token, int64_t seats, size_t rows);

int64_t metric(const struct database_fixture *fixture, const char *name); /* without redlock_ */

#endif
