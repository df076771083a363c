/* Conformance, releasing: the seat comes back once and can be sold again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

#include "harness.h"
#include "suite.h"

static void release_and_sell_again(void **state)
{
    struct harness *harness = *state;
    struct request request = {0};
    reset(harness, 1, 2, 5);
    assert_true(is_granted(reserve(harness, &request, NULL, 1, 1, 5)));
    settle(harness);
    struct resv_id all_seats = request.id;
    assert_int_equal(reserve(harness, &request, NULL, 1, 2, 1), RESV_SOLD_OUT);
    assert_true(is_released(release(harness, &all_seats)));
    settle(harness);
    assert_int_equal(get_concert(harness, 1).sold, 0);
    struct resv_reservation found = {0};
    assert_int_equal(look_up(harness, &all_seats, &found), RESV_FOUND);
    assert_int_equal(found.status, RESV_STATUS_CANCELLED);
    assert_int_equal(found.quantity, 5);
    assert_true(is_granted(reserve(harness, &request, NULL, 1, 2, 5)));
    settle(harness);
    assert_int_equal(reserve(harness, &request, NULL, 1, 2, 1), RESV_SOLD_OUT);
}

static void release_twice_frees_once(void **state)
{
    struct harness *harness = *state;
    struct request request = {0};
    reset(harness, 1, 1, 10);
    assert_true(is_granted(reserve(harness, &request, NULL, 1, 1, 3)));
    struct resv_id three_seats = request.id;
    assert_true(is_granted(reserve(harness, &request, NULL, 1, 1, 4)));
    settle(harness);
    for (int i = 0; i < 3; i++) {
        assert_true(is_released(release(harness, &three_seats)));
        settle(harness);
        assert_int_equal(audit_of(harness, 1).live, 4);
    }
}

static void release_at_once_frees_once(void **state)
{
    struct harness *harness = *state;
    enum { COUNT = 50 };
    struct request request = {0};
    struct request releases[COUNT] = {0};
    reset(harness, 1, 1, 100);
    assert_true(is_granted(reserve(harness, &request, NULL, 1, 1, 3)));
    struct resv_id id = request.id;
    assert_true(is_granted(reserve(harness, &request, NULL, 1, 1, 90)));
    settle(harness);
    for (size_t i = 0; i < COUNT; i++)
        assert_true(request_of_id(harness, &releases[i], RESV_OP_RELEASE, &id));
    harness_run_until_idle(harness);
    for (size_t i = 0; i < COUNT; i++)
        assert_true(is_released(releases[i].outcome) || is_try_again(releases[i].outcome));
    assert_int_equal(audit_of(harness, 1).live, 90);
}

static void release_of_nothing(void **state)
{
    struct harness *harness = *state;
    struct resv_id id;
    make_id(harness, &id);
    reset(harness, 1, 1, 10);
    assert_int_equal(release(harness, &id), RESV_NOT_FOUND);
    assert_int_equal(audit_of(harness, 1).live, 0);
}

static void replay_after_release_sells_nothing(void **state)
{
    struct harness *harness = *state;
    struct request request = {0};
    struct resv_id key;
    reset(harness, 1, 1, 10);
    make_id(harness, &key);
    enum resv_outcome outcome = reserve(harness, &request, &key, 1, 1, 2);
    assert_true(is_granted(outcome));
    settle(harness);
    assert_true(is_released(release(harness, &key)));
    settle(harness);
    assert_int_equal(reserve(harness, &request, &key, 1, 1, 2), outcome);
    assert_true(request.reservation.replay);
    assert_int_equal(request.reservation.status, RESV_STATUS_CANCELLED);
    assert_int_equal(reserve(harness, &request, &key, 1, 1, 3), RESV_KEY_REUSED);
    assert_int_equal(audit_of(harness, 1).live, 0);
}

static void selling_and_releasing_at_once(void **state)
{
    struct harness *harness = *state;
    enum { ROUNDS = 12, COUNT = 150 };
    struct request *sales = calloc(ROUNDS * COUNT, sizeof sales[0]);
    struct request *releases = calloc(ROUNDS * COUNT, sizeof releases[0]);
    assert_non_null(sales);
    assert_non_null(releases);
    reset(harness, 1, 5, 100);
    size_t release_count = 0;
    int64_t live = 0;
    for (size_t round = 0; round < ROUNDS; round++) {
        struct request *now = &sales[round * COUNT];
        for (size_t i = 0; i < COUNT; i++) {
            assert_true(request_reserve(harness, &now[i], NULL, 1, 1 + (int64_t)(i % 5), 1));
            /* What the round before was granted goes back while this round asks. */
            struct request *before = round == 0 ? NULL : &sales[(round - 1) * COUNT + i];
            if (before != NULL && is_granted(before->outcome) && i % 3 != 0) {
                assert_true(request_of_id(harness, &releases[release_count++], RESV_OP_RELEASE,
                                          &before->id));
                live -= before->reservation.quantity;
            }
        }
        harness_run_until_idle(harness);
        settle(harness);
        for (size_t i = 0; i < COUNT; i++)
            live += is_granted(now[i].outcome) ? now[i].reservation.quantity : 0;
        assert_true(live <= 100);
        assert_int_equal(audit_of(harness, 1).live, live);
    }
    for (size_t i = 0; i < release_count; i++)
        assert_true(is_released(releases[i].outcome));
    free(sales);
    free(releases);
}

int run_release_tests(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_set_up, harness_tear_down)
        TEST(release_and_sell_again),
        TEST(release_twice_frees_once),
        TEST(release_at_once_frees_once),
        TEST(release_of_nothing),
        TEST(replay_after_release_sells_nothing),
        TEST(selling_and_releasing_at_once),
    };
    return cmocka_run_group_tests_name("release", tests, NULL, NULL);
}
