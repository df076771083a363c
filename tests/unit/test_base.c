/* What strategies on a database share: admission, releases, drain and close. */
#include <errno.h>

#include "base_fixture.h"

/* --- admission --------------------------------------------------------------------------------
 */

static void reserves_go_to_the_strategy(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *first = submit_reserve(fixture, false, 1, 2, 3);
    struct resv_op *second = submit_reserve(fixture, false, 1, 2, 3);
    assert_under_way(first);
    assert_int_equal(plain_of(fixture)->base.under_way, 2);
    cancel_op(fixture, second);
    assert_outcome(second, RESV_CANCELLED);
    complete_reserves(fixture);
    assert_outcome(first, RESV_GRANTED);
    assert_int_equal(first->reservation.quantity, 3);
    assert_int_equal(first->reservation.status, RESV_STATUS_CONFIRMED);
    assert_int_equal(plain_of(fixture)->base.under_way, 0);
}

static void while_it_is_down_all_is_unavailable_at_once(void **state)
{
    struct database_fixture *fixture = *state;
    the_link.up = false;
    struct resv_op *ops[] = {submit_reserve(fixture, false, 1, 1, 1),
                             submit_kind(fixture, RESV_OP_RELEASE, 1),
                             submit_kind(fixture, RESV_OP_LOOKUP, 1)};
    for (size_t i = 0; i < 3; i++)
        assert_outcome(ops[i], RESV_UNAVAILABLE);
    assert_int_equal(the_link.sessions_used, 0);
    the_link.up = true;
    struct resv_op *later = submit_reserve(fixture, false, 1, 1, 1);
    assert_under_way(later);
    complete_reserves(fixture);
}

static void cancel_of_what_is_answered_already(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op ops[2] = {{.kind = RESV_OP_RESERVE}, {.kind = RESV_OP_LOOKUP}};
    struct base_op states[2] = {{.base = NULL}, {.base = NULL}};
    the_link.up = false;
    for (size_t i = 0; i < 2; i++) {
        ops[i].state = RESV_OP_SUBMITTED;
        ops[i].strategy_private = &states[i];
        assert_true(base_submit(fixture->instance, &ops[i]));
        base_cancel(fixture->instance, &ops[i], RESV_CANCEL_CLIENT_GONE);
    }
    fake_host_flush(&fixture->host);
    for (size_t i = 0; i < 2; i++)
        assert_outcome(&ops[i], RESV_UNAVAILABLE);
    fixture->host.completed -= 2; /* not the fixture's */
}

static void events_are_passed_on(void **state)
{
    struct database_fixture *fixture = *state;
    the_link.events.catalog_changed(the_link.events.data, 7);
    assert_int_equal(plain_of(fixture)->concert_changed, 7);
    the_link.events.up_changed(the_link.events.data);
    assert_int_equal(plain_of(fixture)->up_changed, 1);
    assert_ptr_equal(base_catalog(fixture->instance)->self, &the_link);
}

/* --- releases ---------------------------------------------------------------------------------
 */

/* The row was read: 3 seats of concert 9, confirmed; its concert is locked, the row changed. */
static struct database_run *release_until_changed(struct database_fixture *fixture, bool changed)
{
    struct database_run *run = expect_run(DATABASE_READ_RESERVATIONS, END);
    fill_row(&run->steps[0], 0, 9, 1, 3, RESV_STATUS_CONFIRMED);
    run_done(&fixture->host, run);
    run = expect_run(DATABASE_BEGIN, DATABASE_LOCK_CONCERT, DATABASE_CANCEL_RESERVATION, END);
    assert_int_equal(run->steps[1].concert.concert_id, 9);
    assert_int_equal(run->steps[2].reservation.id.bytes[0], 5);
    assert_int_equal(run->steps[2].reservation.updated_ms, fixture->host.wall_ms);
    run->steps[2].reservation.changed = changed;
    run_done(&fixture->host, run);
    return changed ? expect_run(DATABASE_GIVE_BACK_SEATS, DATABASE_COMMIT, END)
                   : expect_run(DATABASE_ROLLBACK, DATABASE_SYNC, END);
}

static void release_gives_the_seats_back(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = submit_kind(fixture, RESV_OP_RELEASE, 5);
    struct database_run *run = release_until_changed(fixture, true);
    assert_int_equal(run->steps[0].seats.concert_id, 9);
    assert_int_equal(run->steps[0].seats.seats, 3);
    assert_under_way(op);
    run_done(&fixture->host, run);
    assert_outcome(op, RESV_RELEASED);
    assert_int_equal(the_link.held, 0);
    assert_int_equal(fake_host_metric(&fixture->host, "database_releases_total"), 1);
}

static void release_that_another_was_before(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = submit_kind(fixture, RESV_OP_RELEASE, 5);
    run_done(&fixture->host, release_until_changed(fixture, false));
    assert_outcome(op, RESV_RELEASED);
    assert_int_equal(fake_host_metric(&fixture->host, "database_releases_total"), 0);
    assert_int_equal(the_link.closed_open, 0);
}

static void release_with_nothing_to_do(void **state)
{
    struct database_fixture *fixture = *state;
    static const enum resv_status over[] = {RESV_STATUS_CANCELLED, RESV_STATUS_EXPIRED,
                                            RESV_STATUS_REJECTED};
    struct resv_op *op = submit_kind(fixture, RESV_OP_RELEASE, 5);
    run_done(&fixture->host, expect_run(DATABASE_READ_RESERVATIONS, END));
    assert_outcome(op, RESV_NOT_FOUND);
    for (size_t i = 0; i < 3; i++) {
        op = submit_kind(fixture, RESV_OP_RELEASE, 5);
        struct database_run *run = expect_run(DATABASE_READ_RESERVATIONS, END);
        fill_row(&run->steps[0], 0, 9, 1, 3, over[i]);
        run_done(&fixture->host, run);
        run = expect_run(DATABASE_SYNC, END); /* the other release may not be on disk yet */
        assert_under_way(op);
        run_done(&fixture->host, run);
        assert_outcome(op, RESV_RELEASED);
    }
    expect_no_run();
}

static void release_of_what_cannot_be_made_durable(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = submit_kind(fixture, RESV_OP_RELEASE, 5);
    struct database_run *run = expect_run(DATABASE_READ_RESERVATIONS, END);
    fill_row(&run->steps[0], 0, 9, 1, 3, RESV_STATUS_CANCELLED);
    run_done(&fixture->host, run);
    run_fails(&fixture->host, expect_run(DATABASE_SYNC, END), DATABASE_FAILED, 0);
    run_done(&fixture->host, expect_run(DATABASE_ROLLBACK, END));
    assert_outcome(op, RESV_UNAVAILABLE);
    /* A lost session leaves nothing in doubt: it is read again. */
    op = submit_kind(fixture, RESV_OP_RELEASE, 5);
    run = release_until_changed(fixture, false);
    run_fails(&fixture->host, run, DATABASE_LOST, 1);
    fake_host_advance(&fixture->host, 10);
    run_done(&fixture->host, release_until_changed(fixture, false));
    assert_outcome(op, RESV_RELEASED);
}

static void release_after_a_deadlock(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = submit_kind(fixture, RESV_OP_RELEASE, 5);
    run_fails(&fixture->host, release_until_changed(fixture, true), DATABASE_DEADLOCK, 0);
    run_done(&fixture->host, expect_run(DATABASE_ROLLBACK, END));
    expect_no_run();
    fake_host_advance(&fixture->host, 10);
    run_done(&fixture->host, release_until_changed(fixture, true));
    assert_outcome(op, RESV_RELEASED);
    assert_int_equal(fake_host_metric(&fixture->host, "database_deadlocks_total"), 1);
    assert_int_equal(the_link.closed_open, 0);
}

/* The concert has fewer seats sold than the reservation has: they cannot be given back. */
static void release_that_contradicts_what_is_sold(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = submit_kind(fixture, RESV_OP_RELEASE, 5);
    run_fails(&fixture->host, release_until_changed(fixture, true), DATABASE_REFUSED, 0);
    assert_under_way(op);
    run_done(&fixture->host, expect_run(DATABASE_ROLLBACK, END));
    assert_outcome(op, RESV_UNAVAILABLE);
    expect_no_run();
    assert_int_equal(the_link.held, 0);
    assert_int_equal(the_link.closed_open, 0);
    assert_int_equal(fake_host_metric(&fixture->host, "database_contradictions_total"), 1);
    assert_int_equal(fake_host_metric(&fixture->host, "database_releases_total"), 0);
}

static void release_in_doubt_finds_itself(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = submit_kind(fixture, RESV_OP_RELEASE, 5);
    run_fails(&fixture->host, release_until_changed(fixture, true), DATABASE_LOST, 1);
    fake_host_advance(&fixture->host, 10);
    run_done(&fixture->host, expect_run(DATABASE_END_SESSION, END));
    struct database_run *run = expect_run(DATABASE_READ_RESERVATIONS, END);
    fill_row(&run->steps[0], 0, 9, 1, 3, RESV_STATUS_CANCELLED);
    run_done(&fixture->host, run);
    run_done(&fixture->host, expect_run(DATABASE_SYNC, END));
    assert_outcome(op, RESV_RELEASED);
    expect_no_run();
    assert_int_equal(fake_host_metric(&fixture->host, "database_commits_resolved_total"), 1);
}

static void release_in_doubt_that_was_not_executed(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = submit_kind(fixture, RESV_OP_RELEASE, 5);
    run_fails(&fixture->host, release_until_changed(fixture, true), DATABASE_LOST, 0);
    fake_host_advance(&fixture->host, 10);
    run_done(&fixture->host, expect_run(DATABASE_END_SESSION, END));
    run_done(&fixture->host, release_until_changed(fixture, true));
    assert_outcome(op, RESV_RELEASED);
}

static void release_in_doubt_that_contradicts_is_tried_again(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = submit_kind(fixture, RESV_OP_RELEASE, 5);
    run_fails(&fixture->host, release_until_changed(fixture, true), DATABASE_LOST, 1);
    fake_host_advance(&fixture->host, 10);
    run_done(&fixture->host, expect_run(DATABASE_END_SESSION, END));
    run_fails(&fixture->host, release_until_changed(fixture, true), DATABASE_REFUSED, 0);
    run_done(&fixture->host, expect_run(DATABASE_ROLLBACK, END));
    assert_under_way(op);
    fake_host_advance(&fixture->host, 100);
    run_done(&fixture->host, release_until_changed(fixture, true));
    assert_outcome(op, RESV_RELEASED);
    assert_int_equal(fake_host_metric(&fixture->host, "database_contradictions_total"), 1);
}

static void cancelled_release(void **state)
{
    struct database_fixture *fixture = *state;
    link_sessions(DATABASE_SALES, 0);
    struct resv_op *waiting = submit_kind(fixture, RESV_OP_RELEASE, 5);
    cancel_op(fixture, waiting);
    assert_outcome(waiting, RESV_CANCELLED);
    assert_int_equal(the_link.waits, 0);
    link_sessions(DATABASE_SALES, 1);
    struct resv_op *running = submit_kind(fixture, RESV_OP_RELEASE, 5);
    cancel_op(fixture, running);
    assert_under_way(running);
    run_done(&fixture->host, release_until_changed(fixture, true));
    assert_outcome(running, RESV_RELEASED);
}

/* --- drain and close --------------------------------------------------------------------------
 */

static void drain_waits_for_all(void **state)
{
    struct database_fixture *fixture = *state;
    the_link.catalog_under_way = 1;
    struct resv_op *release = submit_kind(fixture, RESV_OP_RELEASE, 5);
    struct resv_op *lookup = submit_kind(fixture, RESV_OP_LOOKUP, 5);
    submit_reserve(fixture, false, 1, 1, 1);
    drain(fixture, 1000);
    run_done(&fixture->host, release_until_changed(fixture, true));
    run_done(&fixture->host, expect_run(DATABASE_READ_RESERVATIONS, END));
    assert_outcome(release, RESV_RELEASED);
    assert_outcome(lookup, RESV_NOT_FOUND);
    complete_reserves(fixture);
    fake_host_advance(&fixture->host, 500);
    assert_int_equal(fixture->host.drained, 0);
    the_link.catalog_under_way = 0;
    the_link.events.catalog_done(the_link.events.data);
    fake_host_flush(&fixture->host);
    assert_int_equal(fixture->host.drained, 1);
    assert_false(the_link.interrupted);
    assert_int_equal(fake_host_timers(&fixture->host), 0);
}

static void drain_whose_deadline_comes(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *committing = submit_kind(fixture, RESV_OP_RELEASE, 5);
    struct database_run *commit = release_until_changed(fixture, true);
    struct resv_op *reading = submit_kind(fixture, RESV_OP_LOOKUP, 5);
    link_sessions(DATABASE_SALES, 0);
    link_sessions(DATABASE_READS, 0);
    struct resv_op *in_line = submit_kind(fixture, RESV_OP_RELEASE, 6);
    struct resv_op *waiting = submit_kind(fixture, RESV_OP_LOOKUP, 6);
    struct resv_op *reserve = submit_reserve(fixture, false, 1, 1, 1);
    drain(fixture, 1000);
    fake_host_advance(&fixture->host, 999);
    assert_int_equal(fixture->host.completed, 0);
    fake_host_advance(&fixture->host, 1);
    assert_true(the_link.interrupted);
    assert_int_equal(plain_of(fixture)->abandoned, 1);
    assert_int_equal(the_link.waits, 0);
    assert_outcome(in_line, RESV_UNAVAILABLE);
    assert_outcome(waiting, RESV_UNAVAILABLE);
    assert_outcome(reserve, RESV_UNAVAILABLE);
    assert_int_equal(fixture->host.drained, 0);
    run_fails(&fixture->host, commit, DATABASE_LOST, 1);
    assert_outcome(committing, RESV_UNKNOWN);
    run_fails(&fixture->host, expect_run(DATABASE_READ_RESERVATIONS, END), DATABASE_LOST, 0);
    assert_outcome(reading, RESV_UNAVAILABLE);
    assert_int_equal(fixture->host.drained, 1);
}

static void open_that_fails(void **state)
{
    (void)state;
    struct resv_host host;
    void *instance = NULL;
    fake_host_init(&host);
    link_reset();
    plain_freed = 0;
    plain_open_result = -EINVAL;
    assert_int_equal(plain_strategy.open(&host, &instance), -EINVAL);
    assert_null(instance);
    assert_int_equal(plain_freed, 1);
    assert_int_equal(host.start_failed, 1);
    assert_string_equal(host.message, "not like this");
}

static void close_after_a_start_that_failed(void **state)
{
    (void)state;
    struct resv_host host;
    void *instance = NULL;
    fake_host_init(&host);
    link_reset();
    plain_freed = 0;
    plain_open_result = 0;
    assert_int_equal(plain_strategy.open(&host, &instance), 0);
    the_link.events.open_failed(the_link.events.data, 69, "no server");
    assert_int_equal(host.exit_code, 69);
    assert_string_equal(host.message, "no server");
    plain_strategy.close(instance);
    assert_int_equal(host.closed, 1);
    assert_int_equal(host.started, 0);
    assert_int_equal(plain_freed, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, plain_set_up, plain_tear_down)
        TEST(reserves_go_to_the_strategy),
        TEST(while_it_is_down_all_is_unavailable_at_once),
        TEST(cancel_of_what_is_answered_already),
        TEST(events_are_passed_on),
        TEST(release_gives_the_seats_back),
        TEST(release_that_another_was_before),
        TEST(release_with_nothing_to_do),
        TEST(release_of_what_cannot_be_made_durable),
        TEST(release_after_a_deadlock),
        TEST(release_that_contradicts_what_is_sold),
        TEST(release_in_doubt_finds_itself),
        TEST(release_in_doubt_that_was_not_executed),
        TEST(release_in_doubt_that_contradicts_is_tried_again),
        TEST(cancelled_release),
        TEST(drain_waits_for_all),
        TEST(drain_whose_deadline_comes),
        cmocka_unit_test(open_that_fails),
        cmocka_unit_test(close_after_a_start_that_failed),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
