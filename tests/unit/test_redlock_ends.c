/* The redlock strategy: refusals by the database, cancel, drain, and a start that fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "redlock_fixture.h"

/* --- the database refuses -----------------------------------------------------------------------
 */

static void pool_that_refuses_is_unavailable_and_the_lock_is_let_go(void **state)
{
    struct database_fixture *fixture = *state;
    redlock_start_warm(fixture, 1);
    link_sessions(DATABASE_SALES, 0);
    struct resv_op *op = reserve(fixture, 1);
    redis_serves();
    link_refuse(DATABASE_POOL_FULL);
    fake_host_flush(&fixture->host);
    assert_outcome(op, RESV_UNAVAILABLE);
    assert_string_equal(calls_of(0), "r");
}

static void database_that_is_down_refuses_who_waits(void **state)
{
    struct database_fixture *fixture = *state;
    redlock_start_warm(fixture, 1);
    node_is_held(0, 900);
    struct resv_op *op = reserve(fixture, 1);
    redis_serves();
    the_link.up = false;
    the_link.events.up_changed(the_link.events.data);
    fake_host_flush(&fixture->host);
    assert_outcome(op, RESV_UNAVAILABLE);
    redis_serves();
}

static void deadlock_is_tried_again_under_the_same_lock(void **state)
{
    struct database_fixture *fixture = *state;
    redlock_start_warm(fixture, 1);
    struct resv_op *stays = reserve(fixture, 1);
    struct resv_op *goes = reserve(fixture, 1);
    redis_serves();
    cancel_op(fixture, goes);
    assert_under_way(goes); /* it may be committed any moment */
    run_fails(&fixture->host, expect_write(7, 2, 2), DATABASE_DEADLOCK, 1);
    run_done(&fixture->host, expect_run(DATABASE_ROLLBACK, END));
    fake_host_advance(&fixture->host, 100);
    assert_outcome(goes, RESV_CANCELLED);
    assert_string_equal(calls_of(0), "");
    writes(fixture, 7, 1, 1);
    assert_outcome(stays, RESV_GRANTED);
}

/* --- cancel -------------------------------------------------------------------------------------
 */

static void cancel_in_line_and_while_waiting_elsewhere(void **state)
{
    struct database_fixture *fixture = *state;
    redlock_start_warm(fixture, 1);
    node_is_held(0, 900);
    struct resv_op *one = reserve(fixture, 1);
    struct resv_op *two = reserve(fixture, 1);
    redis_serves();
    cancel_op(fixture, two);
    assert_outcome(two, RESV_CANCELLED);
    cancel_op(fixture, one);
    assert_outcome(one, RESV_CANCELLED);
    fake_host_advance(&fixture->host, 1000);
    assert_string_equal(calls_of(0), ""); /* asked for by nobody */
}

static void cancel_before_the_session_is_there(void **state)
{
    struct database_fixture *fixture = *state;
    redlock_start_warm(fixture, 1);
    link_sessions(DATABASE_SALES, 0);
    struct resv_op *one = reserve(fixture, 1);
    struct resv_op *two = reserve(fixture, 1);
    redis_serves();
    cancel_op(fixture, one);
    assert_outcome(one, RESV_CANCELLED);
    assert_int_equal(the_link.waits, 1);
    cancel_op(fixture, two);
    assert_outcome(two, RESV_CANCELLED);
    assert_int_equal(the_link.waits, 0);
    assert_string_equal(calls_of(0), "r");
}

/* --- drain --------------------------------------------------------------------------------------
 */

static void drain_lets_all_be_served(void **state)
{
    struct database_fixture *fixture = *state;
    fake_host_option(&fixture->host, "handoff", "off");
    redlock_start_warm(fixture, 1);
    struct resv_op *one = reserve(fixture, 1);
    struct resv_op *two = reserve(fixture, 1);
    drain(fixture, 1000);
    redis_serves();
    writes(fixture, 7, 1, 1);
    redis_serves();
    writes(fixture, 8, 1, 1);
    assert_outcome(one, RESV_GRANTED);
    assert_outcome(two, RESV_GRANTED);
    assert_int_equal(fixture->host.drained, 1);
    redlock_stop(fixture); /* the release is under way */
    assert_false(node_has_lock(0));
}

static void drain_ends_while_the_lock_is_asked_for(void **state)
{
    struct database_fixture *fixture = *state;
    redlock_start_warm(fixture, 1);
    struct resv_op *op = reserve(fixture, 1);
    drain(fixture, 0);
    assert_outcome(op, RESV_UNAVAILABLE);
    redlock_stop(fixture);
    assert_false(node_has_lock(0));
}

static void drain_ends_while_another_has_the_lock(void **state)
{
    struct database_fixture *fixture = *state;
    redlock_start_warm(fixture, 1);
    node_is_held(0, 5000);
    struct resv_op *op = reserve(fixture, 1);
    redis_serves();
    drain(fixture, 100);
    assert_under_way(op);
    fake_host_advance(&fixture->host, 100);
    assert_outcome(op, RESV_UNAVAILABLE);
    redlock_stop(fixture);
    assert_true(node_has_lock(0));
}

static void drain_ends_while_a_session_is_waited_for(void **state)
{
    struct database_fixture *fixture = *state;
    redlock_start_warm(fixture, 1);
    link_sessions(DATABASE_SALES, 0);
    struct resv_op *one = reserve(fixture, 1);
    redis_serves();
    struct resv_op *two = reserve(fixture, 1);
    drain(fixture, 0);
    assert_outcome(one, RESV_UNAVAILABLE);
    assert_outcome(two, RESV_UNAVAILABLE);
    redlock_stop(fixture);
    assert_false(node_has_lock(0));
}

static void drain_ends_while_the_commit_is_under_way(void **state)
{
    struct database_fixture *fixture = *state;
    redlock_start_warm(fixture, 1);
    struct resv_op *one = reserve(fixture, 1);
    redis_serves();
    struct resv_op *two = reserve(fixture, 1);
    drain(fixture, 0);
    assert_true(the_link.interrupted);
    assert_outcome(two, RESV_UNAVAILABLE);
    assert_under_way(one);
    run_fails(&fixture->host, expect_write(7, 1, 1), DATABASE_LOST, 3);
    fake_host_advance(&fixture->host, 0);
    assert_outcome(one, RESV_UNKNOWN);
    redlock_stop(fixture);
    assert_false(node_has_lock(0));
}

/* --- start --------------------------------------------------------------------------------------
 */

static void expect_refused(struct database_fixture *fixture, const char *words)
{
    redis_reset(&fixture->host, 1);
    assert_true(resv_strategy_redlock.open(&fixture->host, &fixture->instance) < 0);
    assert_int_equal(fixture->host.exit_code, 78);
    assert_non_null(strstr(fixture->host.message, words));
    fixture->instance = NULL;
}

static void node_timeout_must_fit_into_the_lease(void **state)
{
    struct database_fixture *fixture = *state;
    fake_host_option(&fixture->host, "lease_ms", "100");
    fake_host_option(&fixture->host, "node_timeout_ms", "73");
    expect_refused(fixture, "at most 72 does");
}

static void node_timeout_that_just_fits(void **state)
{
    struct database_fixture *fixture = *state;
    fake_host_option(&fixture->host, "lease_ms", "100");
    fake_host_option(&fixture->host, "node_timeout_ms", "72");
    redlock_start(fixture, 1);
}

static void retry_delay_must_fit_into_the_wait(void **state)
{
    struct database_fixture *fixture = *state;
    fake_host_option(&fixture->host, "wait_ms", "49");
    expect_refused(fixture, "retry_delay_ms = 50 is more than wait_ms = 49");
}

static void handoff_is_off_or_a_number(void **state)
{
    (void)state;
    const struct resv_option_table *table = resv_strategy_redlock.option_tables[0];
    const struct resv_option *handoff = NULL;
    char why[200];
    for (size_t i = 0; i < table->count; i++) {
        if (strcmp(table->options[i].key, "handoff") == 0)
            handoff = &table->options[i];
    }
    assert_non_null(handoff);
    static const char *const good[] = {"off", "2", "16", "2000"};
    static const char *const bad[] = {
        "0", "1", "2001", "on", "-2", "+2", " 16", "16 ", "1e3", "Off", "99999999999999999999"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(handoff->check(good[i], why, sizeof why));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(handoff->check(bad[i], why, sizeof why));
        assert_non_null(strstr(why, bad[i]));
    }
}

static void redis_that_cannot_be_opened_ends_the_start(void **state)
{
    struct database_fixture *fixture = *state;
    redis_reset(&fixture->host, 3);
    the_redis.fails_to_open = true;
    assert_int_equal(resv_strategy_redlock.open(&fixture->host, &fixture->instance), 0);
    resv_strategy_redlock.start(fixture->instance);
    assert_int_equal(fixture->host.start_failed, 1);
    assert_int_equal(fixture->host.exit_code, 69);
    assert_int_equal(fixture->host.started, 0);
    resv_strategy_redlock.close(fixture->instance);
    fake_host_flush(&fixture->host);
    assert_int_equal(fixture->host.closed, 1);
    fixture->instance = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, redlock_set_up, redlock_tear_down)
        TEST(pool_that_refuses_is_unavailable_and_the_lock_is_let_go),
        TEST(database_that_is_down_refuses_who_waits),
        TEST(deadlock_is_tried_again_under_the_same_lock),
        TEST(cancel_in_line_and_while_waiting_elsewhere),
        TEST(cancel_before_the_session_is_there),
        TEST(drain_lets_all_be_served),
        TEST(drain_ends_while_the_lock_is_asked_for),
        TEST(drain_ends_while_another_has_the_lock),
        TEST(drain_ends_while_a_session_is_waited_for),
        TEST(drain_ends_while_the_commit_is_under_way),
        TEST(node_timeout_must_fit_into_the_lease),
        TEST(node_timeout_that_just_fits),
        TEST(retry_delay_must_fit_into_the_wait),
        TEST(handoff_is_off_or_a_number),
        TEST(redis_that_cannot_be_opened_ends_the_start),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
