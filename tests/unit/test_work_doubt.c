/* The machine of common/work.h, in doubt (a COMMIT's answer was lost), cancelled and abandoned. */
#include "work_fixture.h"

/* --- in doubt ---------------------------------------------------------------------------------
 */

static void lost_session_is_ended_before_the_next_attempt(void **state)
{
    struct work_fixture *fixture = *state;
    start_work(fixture);
    lose_commit(fixture);
    until_next_attempt(fixture);
    assert_int_equal(fixture->begun, 1);
    run_done(&fixture->host, expect_end_session(1));
    assert_int_equal(fixture->begun, 2);
    assert_true(fixture->work.in_doubt);
    run_done(&fixture->host, owner_runs(fixture, DATABASE_BEGIN, DATABASE_COMMIT, END));
    assert_int_equal(fixture->result, DATABASE_DONE);
    work_finish(&fixture->work);
    assert_int_equal(fixture->counters.resolved, 1);
}

/* Wherever the answers stopped: what is behind may have been executed. */
static void every_loss_of_a_commit_is_in_doubt(void **state)
{
    struct work_fixture *fixture = *state;
    struct work fresh = fixture->work;
    for (size_t failed_at = 0; failed_at < 3; failed_at++) {
        fixture->work = fresh;
        fixture->begun = 0;
        start_work(fixture);
        run_fails(&fixture->host,
                  owner_runs(fixture, DATABASE_BEGIN, DATABASE_TAKE_SEATS, DATABASE_COMMIT, END),
                  DATABASE_LOST, failed_at);
        assert_true(fixture->work.in_doubt);
        until_next_attempt(fixture);
        run_done(&fixture->host, expect_run(DATABASE_END_SESSION, END));
        work_finish(&fixture->work);
    }
}

static void lost_procedure_is_in_doubt(void **state)
{
    struct work_fixture *fixture = *state;
    start_work(fixture);
    run_fails(&fixture->host, owner_runs(fixture, DATABASE_CALL_RESERVE, END), DATABASE_LOST, 0);
    assert_true(fixture->work.in_doubt);
    until_next_attempt(fixture);
    run_done(&fixture->host, expect_end_session(1));
    work_finish(&fixture->work);
}

static void not_over_yet_is_asked_again(void **state)
{
    static const enum database_result results[] = {DATABASE_LOCK_WAIT, DATABASE_LOST,
                                                   DATABASE_FAILED, DATABASE_DEADLOCK};
    struct work_fixture *fixture = *state;
    start_work(fixture);
    lose_commit(fixture);
    for (size_t i = 0; i < 4; i++) {
        until_next_attempt(fixture);
        run_fails(&fixture->host, expect_end_session(1), results[i], 0);
        assert_int_equal(fixture->begun, 1);
    }
    until_next_attempt(fixture);
    run_done(&fixture->host, expect_end_session(1));
    assert_int_equal(fixture->begun, 2);
    work_finish(&fixture->work);
}

static void lost_twice_in_doubt(void **state)
{
    struct work_fixture *fixture = *state;
    start_work(fixture);
    lose_commit(fixture);
    until_next_attempt(fixture);
    run_done(&fixture->host, expect_end_session(1));
    lose_commit(fixture);
    until_next_attempt(fixture);
    run_done(&fixture->host, expect_end_session(2));
    assert_int_equal(fixture->begun, 3);
    /* Lost before its COMMIT was sent: nothing to be ended, but the first doubt stays. */
    run_fails(&fixture->host, owner_runs(fixture, DATABASE_BEGIN, DATABASE_TAKE_SEATS, END),
              DATABASE_LOST, 1);
    assert_true(fixture->work.in_doubt);
    until_next_attempt(fixture);
    expect_no_run();
    assert_int_equal(fixture->begun, 4);
    work_finish(&fixture->work);
    assert_int_equal(fixture->counters.resolved, 1);
}

static void in_doubt_no_refusal_is_an_answer(void **state)
{
    static const enum database_refusal refusals[] = {DATABASE_DOWN, DATABASE_POOL_FULL,
                                                     DATABASE_WAITED_OUT};
    struct work_fixture *fixture = *state;
    start_work(fixture);
    lose_commit(fixture);
    for (size_t i = 0; i < 12; i++) {
        link_sessions(DATABASE_SALES, 0);
        fake_host_advance(&fixture->host, 100);
        assert_int_equal(the_link.waits, 1);
        link_refuse(refusals[i % 3]);
    }
    fake_host_advance(&fixture->host, DEADLINE_MS); /* it is found out behind the deadline too */
    link_grant();
    run_done(&fixture->host, expect_end_session(1));
    assert_int_equal(fixture->begun, 2);
    work_finish(&fixture->work);
}

static void in_doubt_until_its_time_is_up(void **state)
{
    struct work_fixture *fixture = *state;
    start_work(fixture);
    lose_commit(fixture);
    unsigned refused = 0;
    while (fixture->gave_up == 0) {
        link_sessions(DATABASE_SALES, 0);
        fake_host_advance(&fixture->host, 100);
        if (the_link.waits == 1) {
            link_refuse(DATABASE_DOWN);
            refused++;
        }
    }
    assert_gave_up(fixture, RESV_UNKNOWN);
    assert_true(refused > 100);
    assert_true(fixture->host.now_ns >= fixture->work.doubt_ns - 200 * FAKE_NS_PER_MS);
    assert_int_equal(fixture->counters.resolved, 0);
}

/* What else would have been an answer is none in doubt. */
static void in_doubt_every_failure_is_tried_again(void **state)
{
    struct work_fixture *fixture = *state;
    work_set_retries(fixture, false);
    start_work(fixture);
    lose_commit(fixture);
    until_next_attempt(fixture);
    run_done(&fixture->host, expect_end_session(1));
    run_fails(&fixture->host, owner_runs(fixture, DATABASE_BEGIN, DATABASE_TAKE_SEATS, END),
              DATABASE_DEADLOCK, 1);
    machine_rolls_back(fixture);
    until_next_attempt(fixture);
    assert_int_equal(fixture->begun, 3);
    run_fails(&fixture->host, owner_runs(fixture, DATABASE_BEGIN, DATABASE_TAKE_SEATS, END),
              DATABASE_FAILED, 1);
    machine_rolls_back(fixture);
    until_next_attempt(fixture);
    assert_int_equal(fixture->begun, 4);
    run_fails(&fixture->host, owner_runs(fixture, DATABASE_BEGIN, DATABASE_TAKE_SEATS, END),
              DATABASE_REFUSED, 1);
    machine_rolls_back(fixture);
    assert_int_equal(fixture->counters.contradictions, 1);
    until_next_attempt(fixture);
    assert_int_equal(fixture->begun, 5);
    /* No lock wait is too long for it. */
    struct database_run *run = owner_runs(fixture, DATABASE_BEGIN, DATABASE_TAKE_SEATS, END);
    fake_host_advance(&fixture->host, DEADLINE_MS);
    run_fails(&fixture->host, run, DATABASE_LOCK_WAIT, 1);
    machine_rolls_back(fixture);
    until_next_attempt(fixture);
    assert_int_equal(fixture->begun, 6);
    run = owner_runs(fixture, DATABASE_BEGIN, DATABASE_TAKE_SEATS, END);
    fake_host_advance(&fixture->host, DOUBT_MS);
    run_fails(&fixture->host, run, DATABASE_LOCK_WAIT, 1);
    run_done(&fixture->host, expect_run(DATABASE_ROLLBACK, END));
    assert_gave_up(fixture, RESV_UNKNOWN);
}

static void contradiction_to_the_end_is_unknown(void **state)
{
    struct work_fixture *fixture = *state;
    start_work(fixture);
    lose_commit(fixture);
    until_next_attempt(fixture);
    run_done(&fixture->host, expect_end_session(1));
    struct database_run *run = owner_runs(fixture, DATABASE_BEGIN, DATABASE_TAKE_SEATS, END);
    fake_host_advance(&fixture->host, DOUBT_MS);
    run_fails(&fixture->host, run, DATABASE_REFUSED, 1);
    machine_rolls_back(fixture);
    assert_gave_up(fixture, RESV_UNKNOWN);
    assert_int_equal(fixture->counters.resolved, 0);
}

/* --- cancel -----------------------------------------------------------------------------------
 */

static bool cancel(struct work_fixture *fixture)
{
    fixture->host.inside = true;
    bool over = work_cancel(&fixture->work);
    fixture->host.inside = false;
    fake_host_flush(&fixture->host);
    return over;
}

static void cancelled_in_line(void **state)
{
    struct work_fixture *fixture = *state;
    link_sessions(DATABASE_SALES, 0);
    work_start(&fixture->work);
    assert_true(cancel(fixture));
    assert_int_equal(the_link.waits, 0);
    assert_int_equal(fixture->gave_up, 0);
}

static void cancelled_with_a_session_at_hand(void **state)
{
    struct work_fixture *fixture = *state;
    work_start(&fixture->work);
    assert_int_equal(the_link.held, 1);
    assert_true(cancel(fixture));
    assert_int_equal(the_link.held, 0);
    assert_int_equal(fixture->begun, 0);
    assert_int_equal(fixture->gave_up, 0);
}

static void cancelled_while_running(void **state)
{
    struct work_fixture *fixture = *state;
    start_work(fixture);
    struct database_run *run = owner_runs(fixture, DATABASE_BEGIN, DATABASE_COMMIT, END);
    assert_false(cancel(fixture));
    run_done(&fixture->host, run);
    assert_int_equal(fixture->result, DATABASE_DONE); /* goes on to its end */
    run = owner_runs(fixture, DATABASE_BEGIN, DATABASE_TAKE_SEATS, END);
    run_fails(&fixture->host, run, DATABASE_DEADLOCK, 1);
    machine_rolls_back(fixture);
    assert_gave_up(fixture, RESV_CONTENDED); /* but begins no further attempt */
}

static void cancelled_between_attempts(void **state)
{
    struct work_fixture *fixture = *state;
    start_work(fixture);
    run_fails(&fixture->host, owner_runs(fixture, DATABASE_BEGIN, DATABASE_TAKE_SEATS, END),
              DATABASE_LOST, 1);
    assert_int_equal(fixture->work.state, WORK_PAUSING);
    assert_false(cancel(fixture));
    assert_gave_up(fixture, RESV_UNAVAILABLE);
}

static void cancelled_in_line_between_attempts(void **state)
{
    struct work_fixture *fixture = *state;
    start_work(fixture);
    run_fails(&fixture->host, owner_runs(fixture, DATABASE_BEGIN, DATABASE_TAKE_SEATS, END),
              DATABASE_DEADLOCK, 1);
    machine_rolls_back(fixture);
    link_sessions(DATABASE_SALES, 0);
    fake_host_advance(&fixture->host, 10);
    assert_int_equal(the_link.waits, 1);
    assert_false(cancel(fixture));
    assert_gave_up(fixture, RESV_CONTENDED);
}

static void cancelled_in_doubt_it_goes_on(void **state)
{
    struct work_fixture *fixture = *state;
    start_work(fixture);
    lose_commit(fixture);
    assert_false(cancel(fixture)); /* while it pauses */
    link_sessions(DATABASE_SALES, 0);
    fake_host_advance(&fixture->host, 100);
    assert_false(cancel(fixture)); /* in line */
    assert_int_equal(fixture->gave_up, 0);
    link_grant();
    run_done(&fixture->host, expect_end_session(1));
    assert_int_equal(fixture->begun, 2);
    lose_commit(fixture);
    until_next_attempt(fixture);
    assert_false(cancel(fixture)); /* END_SESSION under way */
    run_done(&fixture->host, expect_end_session(2));
    assert_int_equal(fixture->begun, 3);
    work_finish(&fixture->work);
    assert_false(cancel(fixture)); /* over */
}

/* --- abandon ----------------------------------------------------------------------------------
 */

static void abandon(struct work_fixture *fixture)
{
    fixture->host.inside = true;
    work_abandon(&fixture->work);
    fixture->host.inside = false;
    fake_host_flush(&fixture->host);
}

static void abandoned_in_line(void **state)
{
    struct work_fixture *fixture = *state;
    link_sessions(DATABASE_SALES, 0);
    work_start(&fixture->work);
    abandon(fixture);
    assert_gave_up(fixture, RESV_UNAVAILABLE);
}

static void abandoned_with_a_session_at_hand(void **state)
{
    struct work_fixture *fixture = *state;
    work_start(&fixture->work);
    abandon(fixture);
    assert_gave_up(fixture, RESV_UNAVAILABLE);
    assert_int_equal(fixture->begun, 0);
}

static void abandoned_while_the_owner_holds(void **state)
{
    struct work_fixture *fixture = *state;
    start_work(fixture);
    run_done(&fixture->host, owner_runs(fixture, DATABASE_BEGIN, DATABASE_LOCK_CONCERT, END));
    work_pause(&fixture->work, 60000, owner_next);
    abandon(fixture);
    assert_gave_up(fixture, RESV_UNAVAILABLE);
    assert_int_equal(the_link.closed_open, 1);
    assert_int_equal(fixture->nexts, 1);
}

static void abandoned_while_running(void **state)
{
    struct work_fixture *fixture = *state;
    start_work(fixture);
    struct database_run *run = owner_runs(fixture, DATABASE_BEGIN, DATABASE_LOCK_CONCERT, END);
    abandon(fixture);
    assert_int_equal(fixture->gave_up, 0);
    run_done(&fixture->host, run);
    assert_gave_up(fixture, RESV_UNAVAILABLE);
    assert_int_equal(fixture->nexts, 0);
}

static void abandoned_with_its_commit_done(void **state)
{
    struct work_fixture *fixture = *state;
    start_work(fixture);
    struct database_run *run = owner_runs(fixture, DATABASE_BEGIN, DATABASE_COMMIT, END);
    abandon(fixture);
    run_done(&fixture->host, run);
    assert_int_equal(fixture->nexts, 1);
    assert_int_equal(fixture->result, DATABASE_DONE);
    /* An owner that wants more than its answer does not get it. */
    work_run(&fixture->work, fixture->steps, 1, owner_next);
    expect_no_run();
    fake_host_flush(&fixture->host);
    assert_gave_up(fixture, RESV_UNAVAILABLE);
}

static void abandoned_with_its_commit_lost(void **state)
{
    struct work_fixture *fixture = *state;
    start_work(fixture);
    struct database_run *run = owner_runs(fixture, DATABASE_BEGIN, DATABASE_COMMIT, END);
    abandon(fixture);
    run_fails(&fixture->host, run, DATABASE_LOST, 1);
    assert_gave_up(fixture, RESV_UNKNOWN);
}

static void abandoned_in_doubt(void **state)
{
    struct work_fixture *fixture = *state;
    struct work fresh = fixture->work;
    start_work(fixture);
    lose_commit(fixture);
    abandon(fixture); /* while it pauses */
    assert_gave_up(fixture, RESV_UNKNOWN);

    fixture->work = fresh;
    fixture->begun = fixture->gave_up = 0;
    start_work(fixture);
    lose_commit(fixture);
    until_next_attempt(fixture);
    abandon(fixture); /* END_SESSION under way */
    run_done(&fixture->host, expect_run(DATABASE_END_SESSION, END));
    assert_gave_up(fixture, RESV_UNKNOWN);
    assert_int_equal(fixture->begun, 1);
}

static void abandoned_while_rolling_back(void **state)
{
    struct work_fixture *fixture = *state;
    start_work(fixture);
    run_fails(&fixture->host, owner_runs(fixture, DATABASE_BEGIN, DATABASE_TAKE_SEATS, END),
              DATABASE_LOCK_WAIT, 1);
    abandon(fixture);
    run_fails(&fixture->host, expect_run(DATABASE_ROLLBACK, END), DATABASE_LOST, 0);
    assert_gave_up(fixture, RESV_CONTENDED);
    abandon(fixture); /* over: nothing */
    assert_int_equal(fixture->gave_up, 1);
}

static void abandoned_before_a_contradiction(void **state)
{
    struct work_fixture *fixture = *state;
    start_work(fixture);
    struct database_run *run =
        owner_runs(fixture, DATABASE_BEGIN, DATABASE_GIVE_BACK_SEATS, DATABASE_COMMIT, END);
    abandon(fixture);
    run_fails(&fixture->host, run, DATABASE_REFUSED, 1);
    machine_rolls_back(fixture);
    assert_gave_up(fixture, RESV_UNAVAILABLE);
    assert_int_equal(fixture->nexts, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, work_set_up, work_tear_down)
        TEST(lost_session_is_ended_before_the_next_attempt),
        TEST(every_loss_of_a_commit_is_in_doubt),
        TEST(lost_procedure_is_in_doubt),
        TEST(not_over_yet_is_asked_again),
        TEST(lost_twice_in_doubt),
        TEST(in_doubt_no_refusal_is_an_answer),
        TEST(in_doubt_until_its_time_is_up),
        TEST(in_doubt_every_failure_is_tried_again),
        TEST(contradiction_to_the_end_is_unknown),
        TEST(cancelled_in_line),
        TEST(cancelled_with_a_session_at_hand),
        TEST(cancelled_while_running),
        TEST(cancelled_between_attempts),
        TEST(cancelled_in_line_between_attempts),
        TEST(cancelled_in_doubt_it_goes_on),
        TEST(abandoned_in_line),
        TEST(abandoned_with_a_session_at_hand),
        TEST(abandoned_while_the_owner_holds),
        TEST(abandoned_while_running),
        TEST(abandoned_with_its_commit_done),
        TEST(abandoned_with_its_commit_lost),
        TEST(abandoned_in_doubt),
        TEST(abandoned_while_rolling_back),
        TEST(abandoned_before_a_contradiction),
    };
    return cmocka_run_group_tests_name("work in doubt", tests, NULL, NULL);
}
