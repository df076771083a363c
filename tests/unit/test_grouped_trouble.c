/* The grouped strategy: attempts that fail, answers in doubt, cancel, outage and drain. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "grouped_fixture.h"

/* --- attempts that fail ------------------------------------------------------------------------
 */

static void deadlock_decides_anew(void **state)
{
    struct grouped_fixture *fixture = *state;
    grouped_open(fixture);
    the_link.concerts[1].capacity = 2;
    struct resv_op *one = reserve(fixture, 1, 9, 2);
    struct resv_op *two = reserve(fixture, 1, 9, 1);
    flush();
    execute(0);
    execute(0);
    execute(0);
    assert_string_equal(run_of(0), "TIC"); /* the second would be sold out */
    end_run(0, DATABASE_DEADLOCK, 1, false);
    assert_string_equal(run_of(0), "R"); /* so that the session is kept */
    assert_under_way(two);
    the_link.concerts[1].capacity = 3;
    execute_all();
    assert_granted(one, false);
    assert_granted(two, false);
}

static void cancelled_ones_leave_before_the_next_attempt(void **state)
{
    struct grouped_fixture *fixture = *state;
    grouped_open(fixture);
    struct resv_op *stays = reserve(fixture, 1, 1, 1);
    struct resv_op *goes = reserve(fixture, 1, 1, 1);
    flush();
    cancel(fixture, goes);
    flush();
    assert_under_way(goes); /* its transaction may be committed any moment */
    end_run(0, DATABASE_DEADLOCK, 1, false);
    execute(0); /* ROLLBACK */
    pass_ms(200);
    assert_done(goes, RESV_CANCELLED);
    assert_int_equal(rows_of_insert(0), 1);
    execute(0);
    assert_granted(stays, false);
}

static void refused_statement_is_unavailable(void **state)
{
    struct grouped_fixture *fixture = *state;
    grouped_open(fixture);
    struct resv_op *ops[] = {reserve(fixture, 1, 1, 1), reserve(fixture, 1, 2, 1)};
    flush();
    end_run(0, DATABASE_FAILED, 2, false);
    execute_all();
    assert_done(ops[0], RESV_UNAVAILABLE);
    assert_done(ops[1], RESV_UNAVAILABLE);
}

/* Careful, since one id is there already; its seats are being taken. */
static void until_careful_takes(struct grouped_fixture *fixture, struct resv_op *ops[2])
{
    have_row(7, 1, 2, 2);
    ops[0] = reserve(fixture, 1, 1, 1);
    ops[1] = reserve_keyed(fixture, 1, 2, 2, 7);
    flush();
    execute(0); /* a duplicate */
    execute(0);
    execute(0);
    assert_string_equal(run_of(0), "TIC");
}

/* By what was read there are seats; the table says that there are not. */
static void contradiction_is_unavailable(void **state)
{
    struct grouped_fixture *fixture = *state;
    struct resv_op *ops[2];
    grouped_open(fixture);
    until_careful_takes(fixture, ops);
    end_run(0, DATABASE_REFUSED, 0, false);
    assert_string_equal(run_of(0), "R");
    assert_under_way(ops[0]);
    execute(0);
    assert_string_equal(run_of(0), "");
    assert_done(ops[0], RESV_UNAVAILABLE);
    assert_done(ops[1], RESV_UNAVAILABLE);
    assert_int_equal(fake_host_metric(&the_host, "database_contradictions_total"), 1);
    assert_int_equal(the_link.concerts[1].sold, 2);
}

static void contradiction_in_doubt_is_tried_again(void **state)
{
    struct grouped_fixture *fixture = *state;
    struct resv_op *ops[2];
    grouped_open(fixture);
    until_careful_takes(fixture, ops);
    end_run(0, DATABASE_LOST, 2, false);
    pass_ms(200);
    execute(0); /* END_SESSION */
    execute(0);
    assert_string_equal(run_of(0), "TIC");
    end_run(0, DATABASE_REFUSED, 0, false);
    assert_string_equal(run_of(0), "R");
    execute(0);
    assert_under_way(ops[0]);
    assert_under_way(ops[1]);
    execute_all();
    assert_granted(ops[0], false);
    assert_granted(ops[1], true);
    assert_int_equal(the_link.concerts[1].sold, 3);
}

static void lost_commit_that_was_executed(void **state)
{
    struct grouped_fixture *fixture = *state;
    grouped_open(fixture);
    the_link.concerts[1].capacity = 3;
    struct resv_op *ops[] = {reserve(fixture, 1, 1, 1), reserve_keyed(fixture, 1, 2, 2, 7)};
    flush();
    end_run(0, DATABASE_LOST, 3, true);
    pass_ms(200);
    assert_string_equal(run_of(0), "E"); /* the lost session must be over first */
    execute(0);
    assert_string_equal(run_of(0), "BLim"); /* every id, though the concert is full by now */
    assert_int_equal(the_link.sessions[0].run->steps[2].reservations.count, 2);
    execute(0);
    assert_string_equal(run_of(0), "RD"); /* over is not yet on disk */
    execute(0);
    assert_granted(ops[0], false);
    assert_granted(ops[1], false); /* its own row */
    assert_int_equal(the_link.concerts[1].sold, 3);
}

static void lost_commit_that_was_not_executed(void **state)
{
    struct grouped_fixture *fixture = *state;
    grouped_open(fixture);
    have_row(7, 1, 2, 2);
    struct resv_op *ops[] = {reserve(fixture, 1, 1, 1), reserve_keyed(fixture, 1, 2, 2, 7)};
    flush();
    execute(0); /* a duplicate */
    execute(0);
    execute(0);
    assert_string_equal(run_of(0), "TIC");
    end_run(0, DATABASE_LOST, 2, false);
    execute_all();
    assert_granted(ops[0], false);
    assert_granted(ops[1], true); /* was there before, in doubt or not */
    assert_int_equal(the_link.concerts[1].sold, 3);
}

static void in_doubt_to_the_end_is_unknown(void **state)
{
    struct grouped_fixture *fixture = *state;
    grouped_open(fixture);
    the_link.concerts[1].capacity = 1;
    struct resv_op *sent = reserve(fixture, 1, 1, 1);
    struct resv_op *refused = reserve(fixture, 1, 2, 1);
    flush();
    execute(0);
    execute(0);
    execute(0);
    end_run(0, DATABASE_LOST, 2, true);
    for (int i = 0; i < 1000 && sent->state == RESV_OP_SUBMITTED; i++) {
        if (run_of(0)[0] != '\0')
            end_run(0, DATABASE_LOST, 0, false);
        pass_ms(200);
    }
    assert_done(sent, RESV_UNKNOWN);
    assert_done(refused, RESV_UNAVAILABLE); /* it was no part of that COMMIT */
}

/* --- cancel, outage, drain ---------------------------------------------------------------------
 */

static void cancelled_while_waiting(void **state)
{
    struct grouped_fixture *fixture = *state;
    grouped_open(fixture);
    reserve(fixture, 1, 1, 1);
    flush();
    struct resv_op *one = reserve(fixture, 1, 1, 1);
    struct resv_op *two = reserve(fixture, 1, 1, 1);
    cancel(fixture, one);
    assert_under_way(one); /* not from inside */
    flush();
    assert_done(one, RESV_CANCELLED);
    execute_all();
    assert_granted(two, false);
}

static void group_that_nobody_waits_for_leaves_the_pools_line(void **state)
{
    struct grouped_fixture *fixture = *state;
    grouped_open(fixture);
    the_link.sessions_count = 0;
    struct resv_op *op = reserve(fixture, 1, 1, 1);
    flush();
    assert_non_null(the_link.waits_first);
    cancel(fixture, op);
    resv_strategy_grouped.drain(fixture->instance, the_host.now_ns + 1000000000);
    flush();
    assert_done(op, RESV_CANCELLED);
    assert_null(the_link.waits_first);
    assert_int_equal(the_host.drained, 1);
}

static void no_session_is_unavailable(void **state)
{
    struct grouped_fixture *fixture = *state;
    grouped_open(fixture);
    the_link.sessions_count = 0;
    struct resv_op *ops[] = {reserve(fixture, 1, 1, 1), reserve(fixture, 1, 1, 1)};
    flush();
    struct database_wait *wait = the_link.waits_first;
    database_wait_cancel(&the_link, wait);
    wait->refused(wait, DATABASE_WAITED_OUT);
    flush();
    assert_done(ops[0], RESV_UNAVAILABLE);
    assert_done(ops[1], RESV_UNAVAILABLE);
    the_link.sessions_count = 1;
    struct resv_op *later = reserve(fixture, 1, 1, 1);
    execute_all();
    assert_granted(later, false);
}

static void outage_refuses_who_waits(void **state)
{
    struct grouped_fixture *fixture = *state;
    grouped_open(fixture);
    struct resv_op *in_flight = reserve(fixture, 1, 1, 1);
    flush();
    struct resv_op *waits = reserve(fixture, 1, 1, 1);
    flush();
    set_up(false);
    flush();
    assert_done(waits, RESV_UNAVAILABLE);
    assert_under_way(in_flight);
    struct resv_op *late = reserve(fixture, 1, 1, 1);
    flush();
    assert_done(late, RESV_UNAVAILABLE);
    set_up(true);
    execute_all();
    assert_granted(in_flight, false);
}

static void drain_waits_for_groups(void **state)
{
    struct grouped_fixture *fixture = *state;
    grouped_open(fixture);
    struct resv_op *one = reserve(fixture, 1, 1, 1);
    flush();
    struct resv_op *two = reserve(fixture, 1, 1, 1);
    resv_strategy_grouped.drain(fixture->instance, the_host.now_ns + 1000000000);
    flush();
    assert_int_equal(the_host.drained, 0);
    execute_all();
    assert_granted(one, false);
    assert_granted(two, false);
    assert_int_equal(the_host.drained, 1);
}

static void drain_deadline_ends_everything(void **state)
{
    struct grouped_fixture *fixture = *state;
    grouped_open(fixture);
    the_link.sessions_count = 1;
    struct resv_op *in_flight = reserve(fixture, 1, 1, 1);
    flush();
    struct resv_op *waits = reserve(fixture, 1, 1, 1);
    struct resv_op *no_session = reserve(fixture, 2, 1, 1);
    flush();
    resv_strategy_grouped.drain(fixture->instance, the_host.now_ns + 1000000000);
    pass_ms(1000);
    assert_done(waits, RESV_UNAVAILABLE);
    assert_done(no_session, RESV_UNAVAILABLE);
    assert_under_way(in_flight);
    assert_int_equal(the_host.drained, 0);
    end_run(0, DATABASE_LOST, 3, true);
    assert_done(in_flight, RESV_UNKNOWN);
    assert_int_equal(the_host.drained, 1);
}

static void hold_keeps_the_lock(void **state)
{
    struct grouped_fixture *fixture = *state;
    fake_host_option(&the_host, "hold_ms", "500");
    grouped_open(fixture);
    struct resv_op *op = reserve(fixture, 1, 1, 1);
    flush();
    assert_string_equal(run_of(0), "BLm");
    execute(0);
    assert_true(the_link.sessions[0].open);
    pass_ms(499);
    assert_string_equal(run_of(0), "");
    pass_ms(1);
    assert_string_equal(run_of(0), "TIC");
    execute(0);
    assert_granted(op, false);
}

#define GROUPED_TEST(name) cmocka_unit_test_setup_teardown(name, grouped_set_up, grouped_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        GROUPED_TEST(deadlock_decides_anew),
        GROUPED_TEST(cancelled_ones_leave_before_the_next_attempt),
        GROUPED_TEST(refused_statement_is_unavailable),
        GROUPED_TEST(contradiction_is_unavailable),
        GROUPED_TEST(contradiction_in_doubt_is_tried_again),
        GROUPED_TEST(lost_commit_that_was_executed),
        GROUPED_TEST(lost_commit_that_was_not_executed),
        GROUPED_TEST(in_doubt_to_the_end_is_unknown),
        GROUPED_TEST(cancelled_while_waiting),
        GROUPED_TEST(group_that_nobody_waits_for_leaves_the_pools_line),
        GROUPED_TEST(no_session_is_unavailable),
        GROUPED_TEST(outage_refuses_who_waits),
        GROUPED_TEST(drain_waits_for_groups),
        GROUPED_TEST(drain_deadline_ends_everything),
        GROUPED_TEST(hold_keeps_the_lock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
