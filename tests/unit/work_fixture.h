/* One work between the fake host and a link that only records; the test is its owner. */
#ifndef TESTS_WORK_FIXTURE_H
#define TESTS_WORK_FIXTURE_H

#include "common/work.h"
#include "database_fixture.h"

#define DEADLINE_MS 5000 /* more than two lock waits */
#define DOUBT_MS    15000

struct work_fixture {
    struct resv_host host;
    struct work work;
    struct work_counters counters;
    struct database_step steps[4];
    unsigned begun, gave_up, nexts;
    enum resv_outcome outcome;
    enum database_result result;
};

/* A work that has not been started; deadline and doubt as above. */
int work_set_up(void **state);
/* Fails when anything is left: a session, a wait, a timer, a deferred call. */
int work_tear_down(void **state);
void work_set_retries(struct work_fixture *fixture, bool retries);

/* Starts and flushes; it has begun. */
void start_work(struct work_fixture *fixture);
/* The owner runs these kinds (closed by END). */
struct database_run *owner_runs(struct work_fixture *fixture, int first_kind, ...);
/* The same, and it decides on these results (WORK_DECIDES). */
struct database_run *owner_tries(struct work_fixture *fixture, unsigned decides, int first_kind,
                                 ...);
void owner_next(struct work *work, enum database_result result);
/* Time passes, at most 100 ms, until the next attempt has begun or END_SESSION is under way. */
void until_next_attempt(struct work_fixture *fixture);
/* The machine's own ROLLBACK is under way, on the session that was had last; it is done. */
void machine_rolls_back(struct work_fixture *fixture);
/* A commit is sent and its answer lost: in doubt, before the pause is over. */
void lose_commit(struct work_fixture *fixture);
/* END_SESSION of this session (1: the first that was had) is under way. */
struct database_run *expect_end_session(unsigned session);

#define assert_gave_up(fixture, expected)                                                          \
    do {                                                                                           \
        assert_int_equal((fixture)->gave_up, 1);                                                   \
        assert_int_equal((fixture)->outcome, expected);                                            \
        assert_int_equal(the_link.held, 0);                                                        \
    } while (0)

#endif
