/* A database link that only records, and a strategy between it and the fake host: the test gives
 * and refuses sessions, looks at the steps of each run, fills their results and says how it ended.
 *
 * It holds its users to database.h: runs one at a time on a session, nothing but ROLLBACK or BEGIN
 * after a deadlock, a BEGIN or SYNC never inside a transaction, sessions given back once, nothing
 * held when it is closed. */
#ifndef TESTS_DATABASE_FIXTURE_H
#define TESTS_DATABASE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "database.h"
#include "fake_host.h"
#include "resvd/strategy.h"

#define SESSIONS_MAX 64
#define OPS_MAX      64
#define LOCK_WAIT_MS 2000 /* the longest wait for a lock */

struct database_session {
    struct database_link *link;
    enum database_pool pool;
    struct database_run *run; /* under way, or NULL */
    bool held;
    bool lost;
    bool open;        /* a transaction */
    bool rolled_back; /* by a deadlock, and no ROLLBACK or BEGIN since: not known to be outside */
};

struct database_link {
    struct database_link_config config;
    struct database_link_events events;
    bool up;
    bool interrupted;
    bool closed;
    size_t catalog_under_way;
    size_t sessions_free[2]; /* by pool; acquire gives none when 0 */
    struct database_wait *first_wait, *last_wait;
    size_t waits;
    struct database_session sessions[SESSIONS_MAX]; /* each acquired one is a new one */
    size_t sessions_used;
    uint64_t session_number; /* every session's, and the last one's: they are lost all at once */
    size_t held;
    size_t closed_open; /* given back lost, or not known to be outside of a transaction: closed */
};

struct database_fixture {
    struct resv_host host;
    const struct resv_strategy *strategy;
    void *instance;
    struct resv_op ops[OPS_MAX];
    size_t ops_count;
};

extern struct database_link the_link;

/* --- the link ---------------------------------------------------------------------------------
 */

/* Sessions without end, nothing under way. */
void link_reset(void);
/* acquire gives so many more, then none. */
void link_sessions(enum database_pool pool, size_t count);
/* The first who waits gets one; or is told why not. Followed by no flush. */
void link_grant(void);
void link_refuse(enum database_refusal refusal);

/* The one run that is under way; fails the test when it is not of these steps (a list closed by
 * END). With several under way, the one that was started first. */
#define END (-1)
struct database_run *expect_run(int first_kind, ...);
void expect_no_run(void);
size_t runs_under_way(void);
struct database_session *session_of(const struct database_run *run);
/* It has ended, then a flush. failed_at: the step; with DONE there is none. */
void run_done(struct resv_host *host, struct database_run *run);
void run_fails(struct resv_host *host, struct database_run *run, enum database_result result,
               size_t failed_at);

/* --- a strategy -------------------------------------------------------------------------------
 */

/* Opened and started; options are to be set before. */
void strategy_start(struct database_fixture *fixture, const struct resv_strategy *strategy);
/* Drains (unless the test did) and closes; nothing may be left. */
void strategy_stop(struct database_fixture *fixture);

/* Submits and flushes; the operation stays in the fixture. Deadline: in 5 s. */
struct resv_op *submit_kind(struct database_fixture *fixture, enum resv_op_kind kind, uint8_t id);
struct resv_op *submit_reserve(struct database_fixture *fixture, bool keyed, int64_t concert_id,
                               int64_t member_id, int64_t quantity);
void cancel_op(struct database_fixture *fixture, struct resv_op *op);
void drain(struct database_fixture *fixture, uint64_t ms);

/* Fills results. */
void fill_concert(struct database_step *step, int64_t capacity, int64_t sold, int64_t limit);
void fill_row(struct database_step *step, size_t item, int64_t concert_id, int64_t member_id,
              int64_t quantity, enum resv_status status);

#define assert_outcome(op, expected)                                                               \
    do {                                                                                           \
        assert_int_equal((op)->state, RESV_OP_DONE);                                               \
        assert_int_equal((op)->outcome, expected);                                                 \
    } while (0)
#define assert_under_way(op) assert_int_equal((op)->state, RESV_OP_SUBMITTED)

#endif
