/* The grouped strategy: forming groups, their bounds, and whose turn it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "grouped_fixture.h"

/* --- forming -----------------------------------------------------------------------------------
 */

static void what_waits_shares_one_transaction(void **state)
{
    struct grouped_fixture *fixture = *state;
    grouped_open(fixture);
    struct resv_op *first = reserve(fixture, 1, 1, 1);
    assert_string_equal(run_of(0), ""); /* not before the flush point */
    flush();
    assert_string_equal(run_of(0), "BLIFC");
    struct resv_op *more[5];
    for (size_t i = 0; i < 5; i++)
        more[i] = reserve(fixture, 1, 1 + (int64_t)i, 2);
    flush();
    assert_string_equal(run_of(1), ""); /* one at a time for a concert */
    execute(0);
    assert_granted(first, false);
    assert_int_equal(rows_of_insert(0), 5);
    assert_under_way(more[0]);
    execute(0);
    for (size_t i = 0; i < 5; i++)
        assert_granted(more[i], false);
    assert_int_equal(the_link.runs, 2);
    assert_int_equal(live_seats(1), 11);
}

static void concerts_go_side_by_side(void **state)
{
    struct grouped_fixture *fixture = *state;
    grouped_open(fixture);
    struct resv_op *one = reserve(fixture, 1, 1, 1);
    struct resv_op *two = reserve(fixture, 2, 1, 1);
    flush();
    assert_string_equal(run_of(0), "BLIFC");
    assert_string_equal(run_of(1), "BLIFC");
    execute(1);
    assert_granted(two, false);
    assert_under_way(one);
    execute(0);
    assert_granted(one, false);
}

static void group_takes_what_came_until_its_session(void **state)
{
    struct grouped_fixture *fixture = *state;
    grouped_open(fixture);
    the_link.sessions_count = 1;
    reserve(fixture, 1, 1, 1);
    flush();
    reserve(fixture, 2, 1, 1);
    flush(); /* waits for the session */
    for (int i = 0; i < 3; i++)
        reserve(fixture, 2, 1, 1);
    execute(0);
    assert_int_equal(rows_of_insert(0), 4);
    execute_all();
    assert_int_equal(live_seats(2), 4);
}

static void group_is_bounded(void **state)
{
    struct grouped_fixture *fixture = *state;
    fake_host_option(&the_host, "group_max", "3");
    grouped_open(fixture);
    struct resv_op *ops[8];
    for (size_t i = 0; i < 8; i++)
        ops[i] = reserve(fixture, 1, 1, 1);
    flush();
    assert_int_equal(rows_of_insert(0), 3);
    execute(0);
    assert_granted(ops[2], false);
    assert_under_way(ops[3]);
    assert_int_equal(rows_of_insert(0), 3);
    execute(0);
    assert_int_equal(rows_of_insert(0), 2);
    execute(0);
    assert_granted(ops[7], false);
}

static void several_groups_a_concert(void **state)
{
    struct grouped_fixture *fixture = *state;
    fake_host_option(&the_host, "group_max", "2");
    fake_host_option(&the_host, "groups_per_concert", "2");
    grouped_open(fixture);
    the_link.sessions_count = 4;
    for (size_t i = 0; i < 6; i++)
        reserve(fixture, 1, 1, 1);
    flush();
    assert_int_equal(rows_of_insert(0), 2);
    assert_int_equal(rows_of_insert(1), 2);
    assert_string_equal(run_of(2), "");
    execute(0);
    assert_int_equal(rows_of_insert(0), 2);
    execute_all();
    assert_int_equal(live_seats(1), 6);
}

static void second_group_only_for_what_the_first_leaves(void **state)
{
    struct grouped_fixture *fixture = *state;
    fake_host_option(&the_host, "groups_per_concert", "2");
    grouped_open(fixture);
    for (size_t i = 0; i < 6; i++)
        reserve(fixture, 1, 1, 1);
    flush();
    assert_int_equal(rows_of_insert(0), 6);
    assert_string_equal(run_of(1), "");
}

static void no_concert_starves(void **state)
{
    struct grouped_fixture *fixture = *state;
    fake_host_option(&the_host, "group_max", "1");
    grouped_open(fixture);
    the_link.sessions_count = 1;
    struct resv_op *hot[6];
    for (size_t i = 0; i < 6; i++)
        hot[i] = reserve(fixture, 1, 1, 1);
    struct resv_op *two = reserve(fixture, 2, 1, 1);
    struct resv_op *three = reserve(fixture, 3, 1, 1);
    flush();
    execute(0);
    execute(0);
    execute(0);
    assert_granted(hot[0], false);
    assert_granted(two, false);
    assert_granted(three, false);
    assert_under_way(hot[1]);
}

static void groups_are_bounded(void **state)
{
    struct grouped_fixture *fixture = *state;
    fake_host_option(&the_host, "groups_max", "1");
    grouped_open(fixture);
    reserve(fixture, 1, 1, 1);
    struct resv_op *two = reserve(fixture, 2, 1, 1);
    flush();
    assert_string_equal(run_of(1), "");
    execute(0);
    execute(0);
    assert_granted(two, false);
}

static void too_many_concerts_are_unavailable(void **state)
{
    struct grouped_fixture *fixture = *state;
    fake_host_option(&the_host, "concerts_max", "2");
    grouped_open(fixture);
    reserve(fixture, 1, 1, 1);
    reserve(fixture, 2, 1, 1);
    struct resv_op *three = reserve(fixture, 3, 1, 1);
    struct resv_op *one = reserve(fixture, 1, 1, 1);
    flush();
    assert_done(three, RESV_UNAVAILABLE);
    execute_all();
    assert_granted(one, false);
    three = reserve(fixture, 3, 1, 1); /* their places are free again */
    execute_all();
    assert_granted(three, false);
}

#define GROUPED_TEST(name) cmocka_unit_test_setup_teardown(name, grouped_set_up, grouped_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        GROUPED_TEST(what_waits_shares_one_transaction),
        GROUPED_TEST(concerts_go_side_by_side),
        GROUPED_TEST(group_takes_what_came_until_its_session),
        GROUPED_TEST(group_is_bounded),
        GROUPED_TEST(several_groups_a_concert),
        GROUPED_TEST(second_group_only_for_what_the_first_leaves),
        GROUPED_TEST(no_concert_starves),
        GROUPED_TEST(groups_are_bounded),
        GROUPED_TEST(too_many_concerts_are_unavailable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
