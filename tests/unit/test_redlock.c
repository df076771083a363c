/* The redlock strategy: what is done under the lock, handoff, how long is waited, lost majorities,
 * many concerts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "redlock_fixture.h"

/* --- one process --------------------------------------------------------------------------------
 */

static void first_reads_under_the_lock_and_writes_with_its_token(void **state)
{
    struct database_fixture *fixture = *state;
    redlock_start(fixture, 1);
    struct resv_op *op = reserve(fixture, 7);
    assert_string_equal(calls_of(0), "a");
    expect_no_run(); /* nothing before the lock is ours */
    redis_serves();
    reads(fixture, "cm", 10, NO_LIMIT, 41);
    struct database_run *run = expect_write(42, 1, 1);
    assert_under_way(op);
    assert_true(node_has_lock(0));
    assert_string_equal(calls_of(0), "");
    run_done(&fixture->host, run);
    assert_outcome(op, RESV_GRANTED);
    assert_string_equal(calls_of(0), "r");
    redis_serves();
    assert_false(node_has_lock(0));
    assert_int_equal(metric(fixture, "served_per_lock"), 1);
}

static void what_is_remembered_is_not_read(void **state)
{
    struct database_fixture *fixture = *state;
    redlock_start_warm(fixture, 1);
    struct resv_op *op = reserve(fixture, 1);
    redis_serves();
    writes(fixture, 7, 1, 1);
    assert_outcome(op, RESV_GRANTED);
    redis_serves();
    reserve(fixture, 2); /* a stranger */
    redis_serves();
    reads(fixture, "cm", 12, NO_LIMIT, 7);
    writes(fixture, 8, 1, 1);
    redis_serves();
    reserve_keyed(fixture, 1); /* may be there already */
    redis_serves();
    reads(fixture, "ci", 13, NO_LIMIT, 8);
    writes(fixture, 9, 1, 1);
}

static void what_does_not_fit_by_memory_is_read(void **state)
{
    struct database_fixture *fixture = *state;
    redlock_start_warm(fixture, 1);
    struct resv_op *op = submit_reserve(fixture, false, 1, 1, 90);
    redis_serves();
    reads(fixture, "c", 11, NO_LIMIT, 6);
    assert_outcome(op, RESV_SOLD_OUT);
    expect_no_run();
    assert_int_equal(the_link.held, 0);
}

/* The database may have forgotten in a crash what is remembered here: the fence is back then, and a
 * token made of the old one would pass. */
static void what_an_older_session_read_is_read_again_on_a_newer_one(void **state)
{
    struct database_fixture *fixture = *state;
    redlock_start_warm(fixture, 1);
    the_link.session_number = 2;
    reserve(fixture, 1);
    redis_serves();
    reads(fixture, "c", 8, NO_LIMIT, 4);
    writes(fixture, 5, 1, 1);
    redis_serves();
    reserve(fixture, 1); /* and this one was read on the newer */
    redis_serves();
    writes(fixture, 6, 1, 1);
}

static void catalog_change_makes_it_read_again(void **state)
{
    struct database_fixture *fixture = *state;
    redlock_start_warm(fixture, 1);
    the_link.events.catalog_changed(the_link.events.data, 1);
    reserve(fixture, 1);
    redis_serves();
    reads(fixture, "c", 11, NO_LIMIT, 9);
    writes(fixture, 10, 1, 1);
}

/* --- handoff ------------------------------------------------------------------------------------
 */

static void handoff_off_is_one_lock_each(void **state)
{
    struct database_fixture *fixture = *state;
    fake_host_option(&fixture->host, "handoff", "off");
    redlock_start_warm(fixture, 1);
    struct resv_op *ops[3];
    for (size_t i = 0; i < 3; i++)
        ops[i] = reserve(fixture, 1);
    assert_string_equal(calls_of(0), "a");
    for (size_t i = 0; i < 3; i++) {
        redis_serves();
        assert_int_equal(runs_under_way(), 1);
        writes(fixture, 7 + (int64_t)i, 1, 1);
        assert_outcome(ops[i], RESV_GRANTED); /* in order of arrival */
        assert_string_equal(calls_of(0), i < 2 ? "ra" : "r");
    }
}

static void those_who_wait_share_a_transaction(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *ops[5];
    fake_host_option(&fixture->host, "handoff", "4");
    redlock_start_warm(fixture, 1);
    for (size_t i = 0; i < 5; i++)
        ops[i] = reserve(fixture, 1);
    redis_serves();
    writes(fixture, 7, 4, 4);
    assert_string_equal(calls_of(0), "ra");
    for (size_t i = 0; i < 4; i++)
        assert_outcome(ops[i], RESV_GRANTED);
    assert_under_way(ops[4]);
    redis_serves();
    writes(fixture, 8, 1, 1);
    assert_outcome(ops[4], RESV_GRANTED);
}

static void holder_goes_on_with_later_ones_until_its_number_is_served(void **state)
{
    struct database_fixture *fixture = *state;
    fake_host_option(&fixture->host, "handoff", "3");
    redlock_start_warm(fixture, 1);
    reserve(fixture, 1);
    redis_serves();
    reserve(fixture, 1);
    writes(fixture, 7, 1, 1);
    assert_string_equal(calls_of(0), ""); /* the same lock */
    for (size_t i = 0; i < 3; i++)
        reserve(fixture, 1);
    writes(fixture, 8, 1, 1);
    assert_string_equal(calls_of(0), "");
    writes(fixture, 9, 1, 1); /* three are served */
    assert_string_equal(calls_of(0), "ra");
    redis_serves();
    writes(fixture, 10, 2, 2);
    redis_serves();
}

static void later_ones_join_while_the_session_is_waited_for(void **state)
{
    struct database_fixture *fixture = *state;
    redlock_start_warm(fixture, 1);
    link_sessions(DATABASE_SALES, 0);
    reserve(fixture, 1);
    redis_serves();
    assert_int_equal(the_link.waits, 1);
    reserve(fixture, 1);
    link_grant();
    fake_host_flush(&fixture->host);
    writes(fixture, 7, 2, 2);
}

/* --- how long -----------------------------------------------------------------------------------
 */

static void who_waits_too_long_is_contended(void **state)
{
    struct database_fixture *fixture = *state;
    redlock_start_warm(fixture, 1);
    node_is_held(0, 60000);
    struct resv_op *first = reserve(fixture, 1);
    redis_serves();
    node_listens(0);
    for (unsigned i = 0; i < 40; i++) {
        redis_serves();
        fake_host_advance(&fixture->host, 25);
    }
    struct resv_op *second = reserve(fixture, 1);
    for (unsigned i = 0; i < 999; i++) {
        redis_serves();
        fake_host_advance(&fixture->host, 1);
    }
    assert_under_way(first);
    fake_host_advance(&fixture->host, 1); /* 2 s */
    assert_outcome(first, RESV_CONTENDED);
    assert_under_way(second);
    node_is_free(0);
    node_publishes(0);
    redis_serves();
    reads(fixture, "c", 22, NO_LIMIT, 33);
    writes(fixture, 34, 1, 1);
    assert_outcome(second, RESV_GRANTED);
}

static void those_behind_a_holder_of_our_own_have_limits_too(void **state)
{
    struct database_fixture *fixture = *state;
    fake_host_option(&fixture->host, "handoff", "off");
    redlock_start_warm(fixture, 1);
    struct resv_op *first = reserve(fixture, 1);
    struct resv_op *second = reserve(fixture, 1);
    redis_serves();
    for (unsigned i = 0; i < 20; i++) {
        fake_host_advance(&fixture->host, 100);
        redis_serves(); /* it is extended */
    }
    assert_outcome(second, RESV_CONTENDED);
    assert_under_way(first); /* its write is under way */
    writes(fixture, 7, 1, 1);
    assert_outcome(first, RESV_GRANTED);
    assert_true(metric(fixture, "extensions_total") >= 5);
    assert_int_equal(metric(fixture, "lost_lease_total"), 0);
}

static void lock_that_comes_for_nobody_is_let_go(void **state)
{
    struct database_fixture *fixture = *state;
    redlock_start_warm(fixture, 1);
    struct resv_op *op = reserve(fixture, 1);
    fake_host_advance(&fixture->host, 2000);
    assert_outcome(op, RESV_CONTENDED);
    node_loses(0, true); /* in truth after node_timeout_ms */
    fake_host_flush(&fixture->host);
    redis_serves();
    assert_false(node_has_lock(0));
    op = reserve(fixture, 1);
    cancel_op(fixture, op);
    assert_outcome(op, RESV_CANCELLED);
    redis_serves();
    assert_false(node_has_lock(0));
    expect_no_run();
}

/* --- no majority --------------------------------------------------------------------------------
 */

static void without_a_majority_everybody_hears_it_at_once(void **state)
{
    struct database_fixture *fixture = *state;
    redlock_start_warm(fixture, 3);
    for (size_t i = 0; i < 3; i++)
        node_is_held(i, 5000);
    struct resv_op *one = reserve(fixture, 1);
    redis_serves();
    struct resv_op *two = reserve(fixture, 1);
    node_is_up(0, false);
    assert_under_way(one);
    node_is_up(1, false);
    assert_outcome(one, RESV_UNAVAILABLE);
    assert_outcome(two, RESV_UNAVAILABLE);
    struct resv_op *three = reserve(fixture, 1);
    assert_outcome(three, RESV_UNAVAILABLE); /* nobody is asked */
    node_is_up(0, true);
    node_is_free(0);
    node_is_free(2);
    struct resv_op *four = reserve(fixture, 1);
    redis_serves();
    reads(fixture, "c", 22, NO_LIMIT, 33);
    writes(fixture, 34, 1, 1);
    assert_outcome(four, RESV_GRANTED);
}

/* Two of three lose what they are asked, for so many attempts. */
static void majority_is_silent(struct database_fixture *fixture, unsigned attempts)
{
    for (unsigned i = 0; i < attempts; i++) {
        if (i > 0)
            fake_host_advance(&fixture->host, 25);
        assert_string_equal(calls_of(0), "a");
        assert_string_equal(calls_of(2), "a");
        node_loses(0, true);
        node_loses(2, true);
        fake_host_flush(&fixture->host);
        assert_string_equal(calls_of(0), "r");
        redis_serves();
    }
}

static void nodes_that_do_not_answer_are_no_majority(void **state)
{
    struct database_fixture *fixture = *state;
    redlock_start_warm(fixture, 3);
    struct resv_op *one = reserve(fixture, 1);
    struct resv_op *two = reserve(fixture, 1);
    majority_is_silent(fixture, 2);
    assert_under_way(one);
    assert_under_way(two);
    fake_host_advance(&fixture->host, 25);
    majority_is_silent(fixture, 1);
    assert_outcome(one, RESV_UNAVAILABLE);
    assert_outcome(two, RESV_UNAVAILABLE);
    assert_int_equal(metric(fixture, "no_majority_total"), 3);
    for (size_t i = 0; i < 3; i++)
        assert_false(node_has_lock(i));
    /* Counted from the start for those who come then. */
    struct resv_op *three = reserve(fixture, 1);
    majority_is_silent(fixture, 2);
    assert_under_way(three);
    fake_host_advance(&fixture->host, 25);
    redis_serves();
    writes(fixture, 7, 1, 1);
    assert_outcome(three, RESV_GRANTED);
}

/* A moment's stall: nobody hears of it; what waits meanwhile can be cancelled, or is over. */
static void nodes_that_are_slow_once_are_asked_again(void **state)
{
    struct database_fixture *fixture = *state;
    redlock_start_warm(fixture, 3);
    struct resv_op *one = reserve(fixture, 1);
    struct resv_op *two = reserve(fixture, 1);
    majority_is_silent(fixture, 1);
    cancel_op(fixture, two);
    assert_outcome(two, RESV_CANCELLED);
    assert_string_equal(calls_of(1), ""); /* not at once */
    fake_host_advance(&fixture->host, 25);
    redis_serves();
    writes(fixture, 7, 1, 1);
    assert_outcome(one, RESV_GRANTED);
    redis_serves();
    assert_int_equal(metric(fixture, "no_majority_total"), 1);
    assert_int_equal(metric(fixture, "woken_by_timer_total"), 0);
    one = reserve(fixture, 1);
    majority_is_silent(fixture, 1);
    cancel_op(fixture, one);
    fake_host_advance(&fixture->host, 100);
    assert_string_equal(calls_of(0), ""); /* for nobody */
    two = reserve(fixture, 1);
    majority_is_silent(fixture, 1);
    node_is_up(0, false);
    node_is_up(1, false); /* known to be down */
    assert_outcome(two, RESV_UNAVAILABLE);
}

/* Who holds the lock has it as long as it is valid. */
static void holder_goes_on_when_the_majority_is_lost(void **state)
{
    struct database_fixture *fixture = *state;
    redlock_start_warm(fixture, 3);
    struct resv_op *one = reserve(fixture, 1);
    redis_serves();
    struct resv_op *two = reserve(fixture, 1);
    node_is_up(0, false);
    node_is_up(1, false);
    assert_outcome(two, RESV_UNAVAILABLE);
    writes(fixture, 7, 1, 1);
    assert_outcome(one, RESV_GRANTED);
}

/* --- many concerts ------------------------------------------------------------------------------
 */

static void concerts_share_out_the_turns(void **state)
{
    struct database_fixture *fixture = *state;
    fake_host_option(&fixture->host, "locks_max", "1");
    fake_host_option(&fixture->host, "handoff", "off");
    redlock_start_warm(fixture, 1);
    struct resv_op *one = reserve(fixture, 1);
    struct resv_op *again = reserve(fixture, 1);
    struct resv_op *other = submit_reserve(fixture, false, 2, 1, 1);
    redis_serves();
    writes(fixture, 7, 1, 1);
    assert_outcome(one, RESV_GRANTED);
    assert_string_equal(calls_of(0), "r"); /* not again before the other concert */
    redis_serves();
    assert_string_equal(the_redis.nodes[0].acquired_key, "test:{c:2}:lock");
    reads(fixture, "c", 0, NO_LIMIT, 0);
    struct database_run *run = expect_run(DATABASE_BEGIN, DATABASE_TAKE_SEATS_OR_FAIL,
                                          DATABASE_INSERT_RESERVATIONS, DATABASE_COMMIT, END);
    run_done(&fixture->host, run);
    assert_outcome(other, RESV_GRANTED);
    redis_serves();
    writes(fixture, 8, 1, 1);
    assert_outcome(again, RESV_GRANTED);
}

static void one_that_only_listens_makes_room(void **state)
{
    struct database_fixture *fixture = *state;
    fake_host_option(&fixture->host, "locks_max", "1");
    redlock_start_warm(fixture, 1);
    node_is_held(0, 5);
    reserve(fixture, 1);
    redis_serves();
    fake_host_advance(&fixture->host, 5);
    redis_serves();
    reads(fixture, "c", 22, NO_LIMIT, 33);
    writes(fixture, 34, 1, 1);
    redis_serves();
    assert_non_null(the_redis.subscription);
    struct resv_op *other = submit_reserve(fixture, false, 2, 1, 1);
    assert_null(the_redis.subscription);
    redis_serves();
    reads(fixture, "c", 100, NO_LIMIT, 0);
    assert_outcome(other, RESV_SOLD_OUT);
}

static void too_many_concerts_are_unavailable(void **state)
{
    struct database_fixture *fixture = *state;
    fake_host_option(&fixture->host, "concerts_max", "1");
    redlock_start_warm(fixture, 1);
    struct resv_op *one = reserve(fixture, 1);
    struct resv_op *other = submit_reserve(fixture, false, 2, 1, 1);
    assert_outcome(other, RESV_UNAVAILABLE);
    redis_serves();
    writes(fixture, 7, 1, 1);
    assert_outcome(one, RESV_GRANTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, redlock_set_up, redlock_tear_down)
        TEST(first_reads_under_the_lock_and_writes_with_its_token),
        TEST(what_is_remembered_is_not_read),
        TEST(what_does_not_fit_by_memory_is_read),
        TEST(what_an_older_session_read_is_read_again_on_a_newer_one),
        TEST(catalog_change_makes_it_read_again),
        TEST(handoff_off_is_one_lock_each),
        TEST(those_who_wait_share_a_transaction),
        TEST(holder_goes_on_with_later_ones_until_its_number_is_served),
        TEST(later_ones_join_while_the_session_is_waited_for),
        TEST(who_waits_too_long_is_contended),
        TEST(those_behind_a_holder_of_our_own_have_limits_too),
        TEST(lock_that_comes_for_nobody_is_let_go),
        TEST(without_a_majority_everybody_hears_it_at_once),
        TEST(nodes_that_do_not_answer_are_no_majority),
        TEST(nodes_that_are_slow_once_are_asked_again),
        TEST(holder_goes_on_when_the_majority_is_lost),
        TEST(concerts_share_out_the_turns),
        TEST(one_that_only_listens_makes_room),
        TEST(too_many_concerts_are_unavailable),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
