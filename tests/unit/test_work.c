/* The machine of common/work.h: attempts that fail, and what is said when time is up. */
#include "work_fixture.h"

static void begin_comes_later(void **state)
{
    struct work_fixture *fixture = *state;
    work_start(&fixture->work);
    assert_int_equal(fixture->begun, 0);
    fake_host_flush(&fixture->host);
    assert_int_equal(fixture->begun, 1);
    assert_int_equal(the_link.held, 1);
    work_finish(&fixture->work);
    assert_int_equal(fixture->counters.resolved, 0);
}

static void begins_when_its_turn_has_come(void **state)
{
    struct work_fixture *fixture = *state;
    link_sessions(DATABASE_SALES, 0);
    work_start(&fixture->work);
    fake_host_flush(&fixture->host);
    assert_int_equal(the_link.waits, 1);
    assert_int_equal(fixture->begun, 0);
    link_grant();
    assert_int_equal(fixture->begun, 1);
    work_finish(&fixture->work);
}

static const enum database_result constraints[] = {DATABASE_DUPLICATE, DATABASE_NO_PARENT,
                                                   DATABASE_REFUSED};
static const unsigned all_constraints = WORK_DECIDES(DATABASE_DUPLICATE) |
                                        WORK_DECIDES(DATABASE_NO_PARENT) |
                                        WORK_DECIDES(DATABASE_REFUSED);

static void what_the_owner_decides_on(void **state)
{
    struct work_fixture *fixture = *state;
    start_work(fixture);
    struct database_run *run = owner_runs(fixture, DATABASE_READ_CONCERT, END);
    run_done(&fixture->host, run);
    assert_int_equal(fixture->result, DATABASE_DONE);
    for (size_t i = 0; i < 3; i++) {
        run = owner_tries(fixture, WORK_DECIDES(constraints[i]), DATABASE_BEGIN,
                          DATABASE_INSERT_RESERVATIONS, DATABASE_COMMIT, END);
        run_fails(&fixture->host, run, constraints[i], 1);
        assert_int_equal(fixture->result, constraints[i]);
        assert_int_equal(work_failed_at(&fixture->work), 1);
        work_rollback(&fixture->work, owner_next);
        run_done(&fixture->host, expect_run(DATABASE_ROLLBACK, END));
        assert_int_equal(fixture->result, DATABASE_DONE);
    }
    assert_int_equal(fixture->nexts, 7);
    assert_int_equal(fixture->begun, 1);
    assert_int_equal(fixture->counters.contradictions, 0);
    work_finish(&fixture->work);
    assert_int_equal(the_link.closed_open, 0);
}

/* A constraint that the owner cannot mean: never the end of the process, nor tried again, since
 * what is stored would say the same. */
static void what_it_does_not_is_a_contradiction(void **state)
{
    struct work_fixture *fixture = *state;
    struct work fresh = fixture->work;
    for (size_t i = 0; i < 3; i++) {
        fixture->work = fresh;
        fixture->begun = fixture->gave_up = 0;
        start_work(fixture);
        /* What an earlier run's owner decided on is not this one's. */
        run_done(&fixture->host, owner_tries(fixture, all_constraints, DATABASE_BEGIN, END));
        unsigned others = all_constraints & ~WORK_DECIDES(constraints[i]);
        struct database_run *run =
            i == 2 ? owner_runs(fixture, DATABASE_GIVE_BACK_SEATS, DATABASE_COMMIT, END)
                   : owner_tries(fixture, others, DATABASE_INSERT_RESERVATIONS, END);
        run_fails(&fixture->host, run, constraints[i], 0);
        assert_int_equal(fixture->gave_up, 0);
        machine_rolls_back(fixture);
        assert_gave_up(fixture, RESV_UNAVAILABLE);
        assert_int_equal(fixture->begun, 1);
        assert_int_equal(fixture->nexts, i + 1);
        assert_int_equal(fixture->counters.contradictions, i + 1);
    }
    assert_int_equal(the_link.closed_open, 0);
    assert_int_equal(fixture->counters.deadlocks + fixture->counters.lock_waits, 0);
}

static void contradiction_after_a_deadlock_is_not_contended(void **state)
{
    struct work_fixture *fixture = *state;
    start_work(fixture);
    run_fails(&fixture->host, owner_runs(fixture, DATABASE_BEGIN, DATABASE_TAKE_SEATS, END),
              DATABASE_DEADLOCK, 1);
    machine_rolls_back(fixture);
    until_next_attempt(fixture);
    run_fails(&fixture->host, owner_runs(fixture, DATABASE_BEGIN, DATABASE_TAKE_SEATS, END),
              DATABASE_REFUSED, 1);
    machine_rolls_back(fixture);
    assert_gave_up(fixture, RESV_UNAVAILABLE);
}

static void contradiction_whose_session_is_lost(void **state)
{
    struct work_fixture *fixture = *state;
    start_work(fixture);
    run_fails(&fixture->host,
              owner_runs(fixture, DATABASE_BEGIN, DATABASE_GIVE_BACK_SEATS, DATABASE_COMMIT, END),
              DATABASE_REFUSED, 1);
    run_fails(&fixture->host, expect_run(DATABASE_ROLLBACK, END), DATABASE_LOST, 0);
    assert_gave_up(fixture, RESV_UNAVAILABLE); /* the COMMIT was not reached: nothing in doubt */
    assert_int_equal(the_link.closed_open, 1);
}

static void owner_pauses_with_its_session(void **state)
{
    struct work_fixture *fixture = *state;
    start_work(fixture);
    work_pause(&fixture->work, 500, owner_next);
    fake_host_advance(&fixture->host, 499);
    assert_int_equal(fixture->nexts, 0);
    assert_int_equal(the_link.held, 1);
    fake_host_advance(&fixture->host, 1);
    assert_int_equal(fixture->nexts, 1);
    assert_int_equal(fixture->result, DATABASE_DONE);
    work_finish(&fixture->work);
}

/* The server has rolled back; the ROLLBACK is for the link, which keeps a session only when it
 * knows that nothing is open. */
static void deadlock_begins_anew_and_keeps_its_session(void **state)
{
    struct work_fixture *fixture = *state;
    start_work(fixture);
    for (unsigned attempt = 1; attempt <= 3; attempt++) {
        struct database_run *run =
            owner_runs(fixture, DATABASE_BEGIN, DATABASE_LOCK_CONCERT, DATABASE_COMMIT, END);
        run_fails(&fixture->host, run, DATABASE_DEADLOCK, 1);
        assert_int_equal(the_link.held, 1);
        machine_rolls_back(fixture);
        expect_no_run();
        assert_int_equal(the_link.held, 0);
        assert_int_equal(the_link.closed_open, 0);
        until_next_attempt(fixture);
        assert_int_equal(fixture->begun, attempt + 1);
    }
    assert_int_equal(fixture->counters.deadlocks, 3);
    assert_int_equal(fixture->nexts, 0);
    work_finish(&fixture->work);
}

static void deadlock_whose_session_is_lost(void **state)
{
    struct work_fixture *fixture = *state;
    start_work(fixture);
    struct database_run *run =
        owner_runs(fixture, DATABASE_BEGIN, DATABASE_LOCK_CONCERT, DATABASE_COMMIT, END);
    run_fails(&fixture->host, run, DATABASE_DEADLOCK, 1);
    run_fails(&fixture->host, expect_run(DATABASE_ROLLBACK, END), DATABASE_LOST, 0);
    assert_int_equal(the_link.closed_open, 1);
    assert_false(fixture->work.in_doubt);
    until_next_attempt(fixture);
    expect_no_run(); /* nothing has to be ended */
    assert_int_equal(fixture->begun, 2);
    work_finish(&fixture->work);
}

static void lock_wait_rolls_back_first(void **state)
{
    struct work_fixture *fixture = *state;
    start_work(fixture);
    struct database_run *run = owner_runs(fixture, DATABASE_BEGIN, DATABASE_LOCK_CONCERT, END);
    struct database_session *session = session_of(run);
    run_fails(&fixture->host, run, DATABASE_LOCK_WAIT, 1);
    run = expect_run(DATABASE_ROLLBACK, END);
    assert_ptr_equal(session_of(run), session);
    run_done(&fixture->host, run);
    assert_int_equal(the_link.closed_open, 0);
    until_next_attempt(fixture);
    assert_int_equal(fixture->begun, 2);
    assert_int_equal(fixture->counters.lock_waits, 1);
    /* The ROLLBACK fails too: the session is closed, and it begins anew. */
    run = owner_runs(fixture, DATABASE_BEGIN, DATABASE_LOCK_CONCERT, END);
    run_fails(&fixture->host, run, DATABASE_LOCK_WAIT, 1);
    run_fails(&fixture->host, expect_run(DATABASE_ROLLBACK, END), DATABASE_LOST, 0);
    assert_int_equal(the_link.closed_open, 1);
    assert_false(fixture->work.in_doubt);
    until_next_attempt(fixture);
    assert_int_equal(fixture->begun, 3);
    work_finish(&fixture->work);
}

static void without_retries_locks_are_contended(void **state)
{
    struct work_fixture *fixture = *state;
    work_set_retries(fixture, false);
    start_work(fixture);
    run_fails(&fixture->host, owner_runs(fixture, DATABASE_BEGIN, DATABASE_WRITE_SOLD, END),
              DATABASE_DEADLOCK, 1);
    assert_int_equal(fixture->gave_up, 0);
    machine_rolls_back(fixture);
    assert_gave_up(fixture, RESV_CONTENDED);
    assert_int_equal(the_link.closed_open, 0);
}

static void without_retries_a_lock_wait_rolls_back(void **state)
{
    struct work_fixture *fixture = *state;
    work_set_retries(fixture, false);
    start_work(fixture);
    run_fails(&fixture->host, owner_runs(fixture, DATABASE_BEGIN, DATABASE_WRITE_SOLD, END),
              DATABASE_LOCK_WAIT, 1);
    assert_int_equal(fixture->gave_up, 0);
    run_done(&fixture->host, expect_run(DATABASE_ROLLBACK, END));
    assert_gave_up(fixture, RESV_CONTENDED);
    assert_int_equal(the_link.closed_open, 0);
}

static void refused_statement_is_unavailable(void **state)
{
    struct work_fixture *fixture = *state;
    start_work(fixture);
    run_fails(&fixture->host, owner_runs(fixture, DATABASE_BEGIN, DATABASE_TAKE_SEATS, END),
              DATABASE_FAILED, 1);
    run_done(&fixture->host, expect_run(DATABASE_ROLLBACK, END));
    assert_gave_up(fixture, RESV_UNAVAILABLE);
    assert_int_equal(the_link.closed_open, 0);
}

static void lost_before_commit_took_nothing(void **state)
{
    struct work_fixture *fixture = *state;
    start_work(fixture);
    struct database_run *run =
        owner_runs(fixture, DATABASE_BEGIN, DATABASE_LOCK_CONCERT, DATABASE_TAKE_SEATS, END);
    run_fails(&fixture->host, run, DATABASE_LOST, 2);
    assert_int_equal(the_link.closed_open, 1);
    assert_false(fixture->work.in_doubt);
    until_next_attempt(fixture);
    expect_no_run(); /* nothing has to be ended */
    assert_int_equal(fixture->begun, 2);
    assert_int_equal(fixture->counters.lost, 1);
    work_finish(&fixture->work);
    assert_int_equal(fixture->counters.resolved, 0);
}

static void refusals_of_a_session(void **state)
{
    static const enum database_refusal refusals[] = {DATABASE_DOWN, DATABASE_POOL_FULL,
                                                     DATABASE_WAITED_OUT};
    struct work_fixture *fixture = *state;
    struct work fresh = fixture->work;
    link_sessions(DATABASE_SALES, 0);
    for (size_t i = 0; i < 3; i++) {
        fixture->work = fresh;
        fixture->gave_up = 0;
        work_start(&fixture->work);
        link_refuse(refusals[i]);
        assert_gave_up(fixture, RESV_UNAVAILABLE);
    }
    assert_int_equal(fixture->begun, 0);
}

static void no_session_before_the_deadline(void **state)
{
    struct work_fixture *fixture = *state;
    link_sessions(DATABASE_SALES, 0);
    work_start(&fixture->work);
    fake_host_advance(&fixture->host, DEADLINE_MS);
    link_grant();
    assert_gave_up(fixture, RESV_UNAVAILABLE);
    assert_int_equal(fixture->begun, 0);
}

/* Time is up; what the last attempt ended for is what is said. */
static void time_up_after(struct work_fixture *fixture, enum database_result result,
                          enum resv_outcome outcome)
{
    start_work(fixture);
    struct database_run *run = owner_runs(fixture, DATABASE_BEGIN, DATABASE_LOCK_CONCERT, END);
    fake_host_advance(&fixture->host, DEADLINE_MS - 1);
    run_fails(&fixture->host, run, result, 1);
    if (result != DATABASE_LOST)
        machine_rolls_back(fixture);
    assert_gave_up(fixture, outcome);
    assert_int_equal(fixture->begun, 1);
}

static void time_up_after_a_deadlock(void **state)
{
    time_up_after(*state, DATABASE_DEADLOCK, RESV_CONTENDED);
}

static void time_up_after_a_lock_wait(void **state)
{
    time_up_after(*state, DATABASE_LOCK_WAIT, RESV_CONTENDED);
}

static void time_up_after_a_loss(void **state)
{
    time_up_after(*state, DATABASE_LOST, RESV_UNAVAILABLE);
}

static void pauses_grow_and_stay_bounded(void **state)
{
    struct work_fixture *fixture = *state;
    fixture->work.deadline_ns = UINT64_MAX;
    uint64_t longest_ms = 0;
    fixture->host.chance = 7000;
    start_work(fixture);
    for (unsigned attempt = 0; attempt < 50; attempt++) {
        fixture->host.chance += 36;
        run_fails(&fixture->host, owner_runs(fixture, DATABASE_BEGIN, DATABASE_LOCK_CONCERT, END),
                  DATABASE_DEADLOCK, 1);
        machine_rolls_back(fixture);
        uint64_t before_ns = fixture->host.now_ns;
        until_next_attempt(fixture);
        uint64_t ms = (fixture->host.now_ns - before_ns) / FAKE_NS_PER_MS;
        assert_true(ms >= 1 && ms <= (attempt == 0 ? 10 : 100));
        longest_ms = ms > longest_ms ? ms : longest_ms;
    }
    assert_true(longest_ms > 50);
    work_finish(&fixture->work);
}

/* --- lock waits near the deadline -------------------------------------------------------------
 */

/* An attempt ends so when there are left_ms until the deadline. */
static void attempt_ends(struct work_fixture *fixture, enum database_result result,
                         uint64_t left_ms)
{
    struct database_run *run = owner_runs(fixture, DATABASE_BEGIN, DATABASE_LOCK_CONCERT, END);
    uint64_t when_ns = fixture->work.deadline_ns - left_ms * FAKE_NS_PER_MS;
    assert_true(when_ns >= fixture->host.now_ns);
    fake_host_advance(&fixture->host, (when_ns - fixture->host.now_ns) / FAKE_NS_PER_MS);
    run_fails(&fixture->host, run, result, 1);
    if (result != DATABASE_LOST)
        machine_rolls_back(fixture);
}

/* A further wait for the same lock would end when the client has gone; said now, it is true. */
static void lock_wait_that_could_not_end_in_time(void **state)
{
    struct work_fixture *fixture = *state;
    start_work(fixture);
    attempt_ends(fixture, DATABASE_LOCK_WAIT, LOCK_WAIT_MS + 1); /* the pause is 1 ms or more */
    assert_gave_up(fixture, RESV_CONTENDED);
    assert_int_equal(fixture->begun, 1);
    assert_int_equal(the_link.closed_open, 0);
}

static void lock_wait_that_can_end_in_time(void **state)
{
    struct work_fixture *fixture = *state;
    start_work(fixture);
    attempt_ends(fixture, DATABASE_LOCK_WAIT, LOCK_WAIT_MS + 11); /* the first is 10 ms or less */
    until_next_attempt(fixture);
    assert_int_equal(fixture->begun, 2);
    attempt_ends(fixture, DATABASE_LOCK_WAIT, 500);
    assert_gave_up(fixture, RESV_CONTENDED);
}

static void lock_wait_and_then_a_line_for_a_session(void **state)
{
    struct work_fixture *fixture = *state;
    start_work(fixture);
    attempt_ends(fixture, DATABASE_LOCK_WAIT, LOCK_WAIT_MS + 100);
    link_sessions(DATABASE_SALES, 0);
    fake_host_advance(&fixture->host, 100);
    assert_int_equal(the_link.waits, 1);
    link_grant();
    assert_gave_up(fixture, RESV_CONTENDED);
    assert_int_equal(fixture->begun, 1);
}

/* Only a lock that was waited for in vain is expected to be so again. */
static void other_ends_leave_time_until_the_deadline(void **state)
{
    static const enum database_result results[] = {DATABASE_DEADLOCK, DATABASE_LOST};
    struct work_fixture *fixture = *state;
    struct work fresh = fixture->work;
    for (size_t i = 0; i < 2; i++) {
        fixture->work = fresh;
        fixture->work.deadline_ns = fixture->host.now_ns + DEADLINE_MS * FAKE_NS_PER_MS;
        fixture->begun = 0;
        start_work(fixture);
        attempt_ends(fixture, DATABASE_LOCK_WAIT, LOCK_WAIT_MS + 500); /* of an earlier attempt */
        until_next_attempt(fixture);
        attempt_ends(fixture, results[i], 500);
        until_next_attempt(fixture);
        assert_int_equal(fixture->begun, 3);
        work_finish(&fixture->work);
    }
}

static void first_attempt_needs_no_time_for_a_lock(void **state)
{
    struct work_fixture *fixture = *state;
    link_sessions(DATABASE_SALES, 0);
    work_start(&fixture->work);
    fake_host_advance(&fixture->host, DEADLINE_MS - 1);
    link_grant();
    assert_int_equal(fixture->begun, 1);
    work_finish(&fixture->work);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, work_set_up, work_tear_down)
        TEST(begin_comes_later),
        TEST(begins_when_its_turn_has_come),
        TEST(what_the_owner_decides_on),
        TEST(what_it_does_not_is_a_contradiction),
        TEST(contradiction_after_a_deadlock_is_not_contended),
        TEST(contradiction_whose_session_is_lost),
        TEST(owner_pauses_with_its_session),
        TEST(deadlock_begins_anew_and_keeps_its_session),
        TEST(deadlock_whose_session_is_lost),
        TEST(lock_wait_rolls_back_first),
        TEST(without_retries_locks_are_contended),
        TEST(without_retries_a_lock_wait_rolls_back),
        TEST(refused_statement_is_unavailable),
        TEST(lost_before_commit_took_nothing),
        TEST(refusals_of_a_session),
        TEST(no_session_before_the_deadline),
        TEST(time_up_after_a_deadlock),
        TEST(time_up_after_a_lock_wait),
        TEST(time_up_after_a_loss),
        TEST(pauses_grow_and_stay_bounded),
        TEST(lock_wait_that_could_not_end_in_time),
        TEST(lock_wait_that_can_end_in_time),
        TEST(lock_wait_and_then_a_line_for_a_session),
        TEST(other_ends_leave_time_until_the_deadline),
        TEST(first_attempt_needs_no_time_for_a_lock),
    };
    return cmocka_run_group_tests_name("work", tests, NULL, NULL);
}
