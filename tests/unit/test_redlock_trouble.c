/* The redlock strategy: limits, fences, leases that end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "redlock_fixture.h"

#define BUDGET_MS 250

/* --- member limits ------------------------------------------------------------------------------
 */

static void facts_with_a_limit_are_of_one_moment(void **state)
{
    struct database_fixture *fixture = *state;
    redlock_start(fixture, 1);
    struct resv_op *op = reserve(fixture, 1);
    redis_serves();
    reads(fixture, "cm", 10, 2, 5); /* that there is a limit was not known */
    struct database_run *run = expect_run(DATABASE_READ_MEMBER_SEATS, DATABASE_READ_CONCERT, END);
    run->steps[0].members.items[0].seats = 2;
    fill_concert(&run->steps[1], 100, 11, 2);
    run->steps[1].concert.fence = 6; /* somebody has sold: the seats may be older or newer */
    run_done(&fixture->host, run);
    run = expect_run(DATABASE_READ_CONCERT, DATABASE_READ_MEMBER_SEATS, DATABASE_READ_CONCERT, END);
    fill_concert(&run->steps[0], 100, 11, 2);
    fill_concert(&run->steps[2], 100, 11, 2);
    run->steps[0].concert.fence = run->steps[2].concert.fence = 6;
    run->steps[1].members.items[0].seats = 1;
    run_done(&fixture->host, run);
    writes(fixture, 7, 1, 1);
    assert_outcome(op, RESV_GRANTED);
}

static void limit_counts_those_before_in_the_group(void **state)
{
    struct database_fixture *fixture = *state;
    redlock_start(fixture, 1);
    struct resv_op *ops[3];
    for (size_t i = 0; i < 3; i++)
        ops[i] = reserve(fixture, 1);
    redis_serves();
    reads(fixture, "cm", 10, 2, 5);
    reads(fixture, "sc", 10, 2, 5);
    writes(fixture, 6, 2, 2);
    assert_outcome(ops[0], RESV_GRANTED);
    assert_outcome(ops[1], RESV_GRANTED);
    /* Seats may have been given back since they were read: it is looked at once more for the third,
     * under the same lock. */
    assert_under_way(ops[2]);
    assert_string_equal(calls_of(0), "");
    struct database_run *run =
        expect_run(DATABASE_READ_CONCERT, DATABASE_READ_MEMBER_SEATS, DATABASE_READ_CONCERT, END);
    fill_concert(&run->steps[0], 100, 12, 2);
    fill_concert(&run->steps[2], 100, 12, 2);
    run->steps[1].members.items[0].seats = 2;
    run_done(&fixture->host, run);
    assert_outcome(ops[2], RESV_LIMIT);
    redis_serves();
    /* Remembered to have a limit: never by memory. */
    struct resv_op *op = reserve(fixture, 2);
    redis_serves();
    reads(fixture, "cmsc", 12, 2, 6);
    writes(fixture, 7, 1, 1);
    assert_outcome(op, RESV_GRANTED);
}

static void facts_that_never_hold_still_are_contended(void **state)
{
    struct database_fixture *fixture = *state;
    redlock_start(fixture, 1);
    struct resv_op *op = reserve(fixture, 1);
    redis_serves();
    reads(fixture, "cm", 10, 2, 5);
    reads(fixture, "sc", 10, 2, 6);
    for (int64_t i = 0; i < 7; i++) {
        struct database_run *run = expect_run(DATABASE_READ_CONCERT, DATABASE_READ_MEMBER_SEATS,
                                              DATABASE_READ_CONCERT, END);
        fill_concert(&run->steps[0], 100, 10, 2);
        fill_concert(&run->steps[2], 100, 10, 2);
        run->steps[2].concert.fence = 7 + i;
        assert_under_way(op);
        run_done(&fixture->host, run);
    }
    assert_outcome(op, RESV_CONTENDED);
}

/* --- the fence ----------------------------------------------------------------------------------
 */

static void refused_write_is_rolled_back_and_decided_anew(void **state)
{
    struct database_fixture *fixture = *state;
    redlock_start_warm(fixture, 1);
    struct resv_op *op = reserve(fixture, 1);
    redis_serves();
    run_fails(&fixture->host, expect_write(7, 1, 1), DATABASE_REFUSED, 1);
    assert_int_equal(metric(fixture, "fenced_total"), 1);
    run_done(&fixture->host, expect_run(DATABASE_ROLLBACK, END));
    reads(fixture, "c", 30, NO_LIMIT, 40);
    writes(fixture, 41, 1, 1);
    assert_outcome(op, RESV_GRANTED);
    /* Another process sells: what is remembered is looked at first, for a while. */
    for (int64_t i = 0; i < 7; i++) {
        redis_serves();
        reserve(fixture, 1);
        redis_serves();
        reads(fixture, "c", 31 + i, NO_LIMIT, 41 + i);
        writes(fixture, 42 + i, 1, 1);
    }
    redis_serves();
    reserve(fixture, 1);
    redis_serves();
    writes(fixture, 49, 1, 1);
}

/* Two ask for the last seats: the second is refused only by what is read when the first has them.
 */
static void refusal_for_a_neighbours_seats_is_looked_at_again(void **state)
{
    struct database_fixture *fixture = *state;
    redlock_start(fixture, 1);
    struct resv_op *one = submit_reserve(fixture, false, 1, 1, 2);
    struct resv_op *two = submit_reserve(fixture, false, 1, 1, 2);
    struct resv_op *never = submit_reserve(fixture, false, 1, 1, 5);
    redis_serves();
    reads(fixture, "cm", 97, NO_LIMIT, 5);
    writes(fixture, 6, 2, 1);
    assert_outcome(one, RESV_GRANTED);
    assert_outcome(never, RESV_SOLD_OUT);
    assert_under_way(two);
    reads(fixture, "c", 98, NO_LIMIT, 6); /* one was given back */
    writes(fixture, 7, 2, 1);
    assert_outcome(two, RESV_GRANTED);
}

static void seats_that_others_took_in_between_are_sold_out(void **state)
{
    struct database_fixture *fixture = *state;
    redlock_start_warm(fixture, 1);
    struct resv_op *op = reserve(fixture, 1);
    redis_serves();
    run_fails(&fixture->host, expect_write(7, 1, 1), DATABASE_REFUSED, 1);
    run_done(&fixture->host, expect_run(DATABASE_ROLLBACK, END));
    reads(fixture, "c", 100, NO_LIMIT, 99);
    assert_outcome(op, RESV_SOLD_OUT);
    expect_no_run();
}

static void write_that_is_always_refused_ends_as_contended(void **state)
{
    struct database_fixture *fixture = *state;
    redlock_start_warm(fixture, 1);
    struct resv_op *op = reserve(fixture, 1);
    redis_serves();
    for (int64_t i = 0; i < 8; i++) {
        assert_under_way(op);
        if (i > 0)
            reads(fixture, "c", 30, NO_LIMIT, 40 + i);
        run_fails(&fixture->host, expect_write(i > 0 ? 41 + i : 7, 1, 1), DATABASE_REFUSED, 1);
        run_done(&fixture->host, expect_run(DATABASE_ROLLBACK, END));
    }
    assert_under_way(op);
    reads(fixture, "c", 30, NO_LIMIT, 60); /* for rows that are there only */
    assert_outcome(op, RESV_CONTENDED);
}

static void id_that_is_there_is_found(void **state)
{
    struct database_fixture *fixture = *state;
    redlock_start_warm(fixture, 1);
    struct resv_op *op = reserve(fixture, 1);
    redis_serves();
    run_fails(&fixture->host, expect_write(7, 1, 1), DATABASE_DUPLICATE, 2);
    run_done(&fixture->host, expect_run(DATABASE_ROLLBACK, END));
    struct database_run *run = expect_run(DATABASE_READ_CONCERT, DATABASE_READ_RESERVATIONS, END);
    fill_concert(&run->steps[0], 100, 30, NO_LIMIT);
    fill_row(&run->steps[1], 0, 1, 1, 1, RESV_STATUS_CONFIRMED);
    run_done(&fixture->host, run);
    assert_under_way(op); /* until that row is on disk */
    run_done(&fixture->host, expect_run(DATABASE_SYNC, END));
    assert_outcome(op, RESV_GRANTED);
    assert_true(op->reservation.replay);
}

static void member_that_is_gone_is_looked_for(void **state)
{
    struct database_fixture *fixture = *state;
    redlock_start_warm(fixture, 1);
    struct resv_op *op = reserve(fixture, 1);
    redis_serves();
    run_fails(&fixture->host, expect_write(7, 1, 1), DATABASE_NO_PARENT, 2);
    run_done(&fixture->host, expect_run(DATABASE_ROLLBACK, END));
    struct database_run *run = expect_run(DATABASE_READ_CONCERT, DATABASE_READ_MEMBERS, END);
    fill_concert(&run->steps[0], 100, 30, NO_LIMIT);
    run_done(&fixture->host, run);
    assert_outcome(op, RESV_UNKNOWN_MEMBER);
}

static void unknown_concert_is_said_and_remembered(void **state)
{
    struct database_fixture *fixture = *state;
    redlock_start(fixture, 1);
    struct resv_op *op = reserve(fixture, 1);
    redis_serves();
    run_done(&fixture->host, expect_run(DATABASE_READ_CONCERT, DATABASE_READ_MEMBERS, END));
    assert_outcome(op, RESV_UNKNOWN_CONCERT);
    expect_no_run();
}

/* --- the lease ----------------------------------------------------------------------------------
 */

/* The only node does not extend, and the lease nearly ends while the facts are read. */
static struct resv_op *until_lease_is_short(struct database_fixture *fixture, uint64_t left_ms)
{
    redlock_start(fixture, 1);
    struct resv_op *op = reserve(fixture, 1);
    redis_serves();
    fake_host_advance(&fixture->host, 1000 - 12 - left_ms);
    return op;
}

static void what_is_left_is_enough_to_write(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = until_lease_is_short(fixture, BUDGET_MS);
    reads(fixture, "cm", 10, NO_LIMIT, 5);
    writes(fixture, 6, 1, 1);
    assert_outcome(op, RESV_GRANTED);
}

static void what_is_left_is_not_and_it_waits_in_front(void **state)
{
    struct database_fixture *fixture = *state;
    fake_host_option(&fixture->host, "handoff", "off");
    struct resv_op *op = until_lease_is_short(fixture, BUDGET_MS - 1);
    struct resv_op *behind = reserve(fixture, 1);
    reads(fixture, "cm", 10, NO_LIMIT, 5);
    expect_no_run();
    assert_under_way(op);
    assert_int_equal(metric(fixture, "lost_lease_total"), 1);
    assert_int_equal(the_link.held, 0);
    assert_string_equal(calls_of(0), "era"); /* let go, and asked for again */
    redis_serves();
    writes(fixture, 6, 1, 1);
    assert_outcome(op, RESV_GRANTED);
    assert_under_way(behind);
    redis_serves();
    writes(fixture, 7, 1, 1);
    assert_outcome(behind, RESV_GRANTED);
}

static void lost_lock_that_is_not_had_again_is_contended(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = until_lease_is_short(fixture, 0);
    node_loses(0, false); /* the extension */
    node_is_held(0, 60000);
    reads(fixture, "cm", 10, NO_LIMIT, 5);
    redis_serves();
    assert_under_way(op);
    struct resv_op *gone = reserve(fixture, 1);
    cancel_op(fixture, gone);
    for (unsigned i = 0; i < 1012; i++) {
        assert_under_way(op);
        fake_host_advance(&fixture->host, 1);
        redis_serves();
    }
    assert_outcome(op, RESV_CONTENDED);
}

static void lost_lock_can_be_cancelled_or_lose_the_majority(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = until_lease_is_short(fixture, 0);
    struct resv_op *other = reserve(fixture, 1);
    node_loses(0, false);
    node_is_held(0, 60000);
    reads(fixture, "cm", 10, NO_LIMIT, 5);
    cancel_op(fixture, op);
    assert_outcome(op, RESV_CANCELLED);
    redis_serves();
    assert_under_way(other);
    node_is_up(0, false);
    assert_outcome(other, RESV_UNAVAILABLE);
}

static void hold_ms_pauses_between_reading_and_writing(void **state)
{
    struct database_fixture *fixture = *state;
    fake_host_option(&fixture->host, "hold_ms", "3000");
    redlock_start(fixture, 1);
    struct resv_op *op = reserve(fixture, 1);
    redis_serves();
    reads(fixture, "cm", 10, NO_LIMIT, 5);
    for (unsigned i = 0; i < 299; i++) {
        fake_host_advance(&fixture->host, 10);
        redis_serves();
    }
    expect_no_run();
    assert_true(node_has_lock(0));
    fake_host_advance(&fixture->host, 10);
    writes(fixture, 6, 1, 1);
    assert_outcome(op, RESV_GRANTED);
    redis_serves();
    reserve(fixture, 1); /* never by memory */
    redis_serves();
    reads(fixture, "c", 11, NO_LIMIT, 6);
    fake_host_advance(&fixture->host, 990); /* and nobody extends */
    expect_no_run();
    fake_host_advance(&fixture->host, 2010);
    expect_no_run();
    assert_int_equal(metric(fixture, "lost_lease_total"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, redlock_set_up, redlock_tear_down)
        TEST(facts_with_a_limit_are_of_one_moment),
        TEST(limit_counts_those_before_in_the_group),
        TEST(facts_that_never_hold_still_are_contended),
        TEST(refused_write_is_rolled_back_and_decided_anew),
        TEST(refusal_for_a_neighbours_seats_is_looked_at_again),
        TEST(seats_that_others_took_in_between_are_sold_out),
        TEST(write_that_is_always_refused_ends_as_contended),
        TEST(id_that_is_there_is_found),
        TEST(member_that_is_gone_is_looked_for),
        TEST(unknown_concert_is_said_and_remembered),
        TEST(what_is_left_is_enough_to_write),
        TEST(what_is_left_is_not_and_it_waits_in_front),
        TEST(lost_lock_that_is_not_had_again_is_contended),
        TEST(lost_lock_can_be_cancelled_or_lose_the_majority),
        TEST(hold_ms_pauses_between_reading_and_writing),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
