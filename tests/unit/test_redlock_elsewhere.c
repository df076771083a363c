/* The redlock strategy: another process has the lock, or wants it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "redlock_fixture.h"

/* --- another process ----------------------------------------------------------------------------
 */

static void held_elsewhere_is_asked_for_again_when_it_listens(void **state)
{
    struct database_fixture *fixture = *state;
    redlock_start_warm(fixture, 1);
    node_is_held(0, 900);
    struct resv_op *op = reserve(fixture, 1);
    redis_serves();
    assert_int_equal(metric(fixture, "contended_total"), 1);
    assert_non_null(the_redis.subscription);
    expect_no_run();
    node_is_free(0); /* before we listened: the message is lost */
    node_listens(0);
    assert_string_equal(calls_of(0), "a");
    redis_serves();
    reads(fixture, "c", 20, NO_LIMIT, 30); /* somebody else has had it: what was known is old */
    writes(fixture, 31, 1, 1);
    assert_outcome(op, RESV_GRANTED);
}

static void message_wakes(void **state)
{
    struct database_fixture *fixture = *state;
    redlock_start_warm(fixture, 3);
    for (size_t i = 0; i < 3; i++)
        node_is_held(i, 900);
    reserve(fixture, 1);
    redis_serves();
    node_listens(0);
    assert_string_equal(calls_of(0), "");
    node_listens(1); /* a majority */
    assert_string_equal(calls_of(0), "a");
    redis_serves(); /* held still */
    assert_string_equal(calls_of(0), "");
    for (size_t i = 0; i < 3; i++)
        node_is_free(i);
    node_publishes(0);
    assert_string_equal(calls_of(0), "");
    node_publishes(1);
    assert_string_equal(calls_of(0), "a");
    assert_int_equal(metric(fixture, "woken_by_message_total"), 1);
    redis_serves();
    reads(fixture, "c", 20, NO_LIMIT, 30);
    writes(fixture, 31, 1, 1);
}

static void one_node_of_three_that_says_so_hastens_the_timer(void **state)
{
    struct database_fixture *fixture = *state;
    redlock_start_warm(fixture, 3);
    for (size_t i = 0; i < 3; i++)
        node_is_held(i, 900);
    reserve(fixture, 1);
    redis_serves();
    node_listens(0);
    for (size_t i = 0; i < 3; i++)
        node_is_free(i);
    node_publishes(0);
    fake_host_advance(&fixture->host, 1);
    assert_string_equal(calls_of(0), "");
    fake_host_advance(&fixture->host, 1);
    assert_string_equal(calls_of(0), "a");
    redis_serves();
    reads(fixture, "c", 20, NO_LIMIT, 30);
    writes(fixture, 31, 1, 1);
}

static void message_that_came_while_it_was_asked_for_is_not_lost(void **state)
{
    struct database_fixture *fixture = *state;
    redlock_start_warm(fixture, 1);
    node_is_held(0, 900);
    reserve(fixture, 1);
    redis_serves();
    node_listens(0);
    node_executes(0); /* asked again, held still: */
    fake_host_flush(&fixture->host);
    fake_host_advance(&fixture->host, 50);
    assert_string_equal(calls_of(0), "a"); /* by the timer */
    node_publishes(0);
    node_executes(0); /* what it says is older than the message */
    node_is_free(0);
    fake_host_advance(&fixture->host, 0);
    assert_string_equal(calls_of(0), "a");
    redis_serves();
    reads(fixture, "c", 20, NO_LIMIT, 30);
    writes(fixture, 31, 1, 1);
}

static void lost_messages_cost_the_timer(void **state)
{
    struct database_fixture *fixture = *state;
    redlock_start_warm(fixture, 1);
    node_is_held(0, 900);
    reserve(fixture, 1);
    redis_serves();
    node_is_free(0);
    fake_host_advance(&fixture->host, 24); /* by chance between 25 and 50 */
    assert_string_equal(calls_of(0), "");
    fake_host_advance(&fixture->host, 26);
    assert_string_equal(calls_of(0), "a");
    assert_int_equal(metric(fixture, "woken_by_timer_total"), 1);
    redis_serves();
    reads(fixture, "c", 20, NO_LIMIT, 30);
    writes(fixture, 31, 1, 1);
}

static void lease_that_ends_sooner_is_waited_for(void **state)
{
    struct database_fixture *fixture = *state;
    redlock_start_warm(fixture, 1);
    node_is_held(0, 7);
    reserve(fixture, 1);
    redis_serves();
    fake_host_advance(&fixture->host, 6);
    assert_string_equal(calls_of(0), "");
    fake_host_advance(&fixture->host, 1);
    assert_string_equal(calls_of(0), "a");
    redis_serves();
    reads(fixture, "c", 20, NO_LIMIT, 30);
    writes(fixture, 31, 1, 1);
}

static void channel_is_left_when_nobody_waits_for_a_while(void **state)
{
    struct database_fixture *fixture = *state;
    redlock_start_warm(fixture, 1);
    node_is_held(0, 7);
    reserve(fixture, 1);
    redis_serves();
    fake_host_advance(&fixture->host, 7);
    redis_serves();
    reads(fixture, "c", 20, NO_LIMIT, 30);
    writes(fixture, 31, 1, 1);
    redis_serves();
    assert_non_null(the_redis.subscription);
    fake_host_advance(&fixture->host, 199);
    assert_non_null(the_redis.subscription);
    fake_host_advance(&fixture->host, 1);
    assert_null(the_redis.subscription);
}

/* --- giving way ---------------------------------------------------------------------------------
 */

/* Three wait, handoff is off, and the first release has told of one who listens: the second one's
 * lock has been taken already. When it is served, way is given. */
static void until_way_is_given(struct database_fixture *fixture)
{
    redlock_start_warm(fixture, 1);
    the_redis.nodes[0].listeners = 1;
    for (size_t i = 0; i < 3; i++)
        reserve(fixture, 1);
    redis_serves();
    writes(fixture, 7, 1, 1);
    assert_string_equal(calls_of(0), "ra");
    redis_serves();
    writes(fixture, 8, 1, 1);
    assert_string_equal(calls_of(0), "r");
    assert_int_equal(metric(fixture, "gave_way_total"), 1);
    assert_non_null(the_redis.subscription);
    redis_serves();
}

static void way_is_given_until_the_other_lets_go(void **state)
{
    struct database_fixture *fixture = *state;
    fake_host_option(&fixture->host, "handoff", "off");
    until_way_is_given(fixture);
    node_listens(0);
    assert_string_equal(calls_of(0), ""); /* that says nothing of the lock */
    node_publishes(0);
    assert_string_equal(calls_of(0), "a");
    redis_serves();
    reads(fixture, "c", 20, NO_LIMIT, 30);
    writes(fixture, 31, 1, 1);
}

static void way_is_given_for_a_while_only_and_then_less_often(void **state)
{
    struct database_fixture *fixture = *state;
    fake_host_option(&fixture->host, "handoff", "off");
    until_way_is_given(fixture);
    fake_host_advance(&fixture->host, 50);
    assert_string_equal(calls_of(0), "a");
    redis_serves();
    writes(fixture, 9, 1, 1); /* nobody has come: what is known is not old */
    redis_serves();
    reserve(fixture, 1);
    reserve(fixture, 1);
    assert_string_equal(calls_of(0), "a"); /* in vain last time: not again at once */
    redis_serves();
    writes(fixture, 10, 1, 1);
    assert_string_equal(calls_of(0), "r");
    assert_int_equal(metric(fixture, "gave_way_total"), 2);
    redis_serves();
    fake_host_advance(&fixture->host, 50);
    redis_serves();
    for (size_t i = 0; i < 3; i++)
        reserve(fixture, 1);
    for (int64_t i = 0; i < 3; i++) {
        writes(fixture, 11 + i, 1, 1);
        assert_string_equal(calls_of(0), "ra"); /* in vain twice */
        redis_serves();
    }
    writes(fixture, 14, 1, 1);
    redis_serves();
    assert_int_equal(metric(fixture, "gave_way_total"), 2);
    reserve(fixture, 1);
    assert_string_equal(calls_of(0), "");
    assert_int_equal(metric(fixture, "gave_way_total"), 3);
    fake_host_advance(&fixture->host, 50);
    redis_serves();
    writes(fixture, 15, 1, 1);
}

/* A client that asks again as soon as it is answered would have the lock each time, for it needs no
 * message to know that it is free. */
static void way_is_given_by_who_comes_when_it_was_just_let_go(void **state)
{
    struct database_fixture *fixture = *state;
    redlock_start_warm(fixture, 1);
    node_is_held(0, 7); /* met: the turn stays */
    the_redis.nodes[0].listeners = 1;
    reserve(fixture, 1);
    redis_serves();
    fake_host_advance(&fixture->host, 7);
    redis_serves();
    reads(fixture, "c", 20, NO_LIMIT, 30);
    writes(fixture, 31, 1, 1);
    redis_serves(); /* the release has told of one who listens */
    reserve(fixture, 1);
    assert_string_equal(calls_of(0), "");
    assert_int_equal(metric(fixture, "gave_way_total"), 1);
    node_listens(0);
    node_publishes(0);
    assert_string_equal(calls_of(0), "a");
    redis_serves();
    reads(fixture, "c", 21, NO_LIMIT, 32);
    writes(fixture, 33, 1, 1);
    redis_serves();
    fake_host_advance(&fixture->host, 50); /* whoever heard of it has come by now */
    reserve(fixture, 1);
    assert_string_equal(calls_of(0), "a");
    assert_int_equal(metric(fixture, "gave_way_total"), 1);
    redis_serves();
    writes(fixture, 34, 1, 1);
}

static void own_message_is_no_wake_up(void **state)
{
    struct database_fixture *fixture = *state;
    fake_host_option(&fixture->host, "handoff", "off");
    until_way_is_given(fixture);
    node_listens(0);
    node_publishes(0);
    redis_serves();
    reads(fixture, "c", 20, NO_LIMIT, 30);
    reserve(fixture, 1);
    writes(fixture, 31, 1, 1); /* gives way again, and hears its own release */
    assert_string_equal(calls_of(0), "r");
    redis_serves();
    assert_string_equal(calls_of(0), "");
    node_publishes(0); /* the other's */
    assert_string_equal(calls_of(0), "a");
    redis_serves();
    reads(fixture, "c", 22, NO_LIMIT, 33);
    writes(fixture, 34, 1, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, redlock_set_up, redlock_tear_down)
        TEST(held_elsewhere_is_asked_for_again_when_it_listens),
        TEST(message_wakes),
        TEST(one_node_of_three_that_says_so_hastens_the_timer),
        TEST(message_that_came_while_it_was_asked_for_is_not_lost),
        TEST(lost_messages_cost_the_timer),
        TEST(lease_that_ends_sooner_is_waited_for),
        TEST(channel_is_left_when_nobody_waits_for_a_while),
        TEST(way_is_given_until_the_other_lets_go),
        TEST(way_is_given_for_a_while_only_and_then_less_often),
        TEST(way_is_given_by_who_comes_when_it_was_just_let_go),
        TEST(own_message_is_no_wake_up),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
