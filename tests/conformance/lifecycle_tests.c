/* Conformance, the operation's life under the dispatcher: clients gone, deadlines, stopping. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

#include "harness.h"
#include "suite.h"

static void open_and_close(void **state)
{
    (void)state; /* tear-down asserts that the loop closes clean */
}

static void what_was_sold_survives_a_restart(void **state)
{
    struct harness *harness = *state;
    struct request request = {0};
    struct resv_id key;
    if (!harness_is_durable())
        return; /* not durable by its own word: nothing is promised */
    make_id(harness, &key);
    reset(harness, 2, 2, 10);
    enum resv_outcome outcome = reserve(harness, &request, &key, 2, 2, 3);
    assert_true(is_granted(outcome));
    harness_reopen(harness);
    assert_int_equal(reserve(harness, &request, &key, 2, 2, 3), outcome);
    assert_true(request.reservation.replay);
    assert_int_equal(audit_of(harness, 2).live, 3);
    assert_int_equal(reserve(harness, &request, NULL, 2, 2, 8), RESV_SOLD_OUT);
    assert_true(is_released(release(harness, &key)));
    harness_reopen(harness);
    settle(harness);
    assert_true(is_granted(reserve(harness, &request, NULL, 2, 2, 10)));
}

/* Every second client leaves: before the first turn, or some turns later. */
static void clients_leave(struct harness *harness, int turns)
{
    enum { COUNT = 400 };
    struct request *requests = calloc(COUNT, sizeof requests[0]);
    assert_non_null(requests);
    reset(harness, 1, 1, 100000);
    for (size_t i = 0; i < COUNT; i++)
        assert_true(request_reserve(harness, &requests[i], NULL, 1, 1, 1));
    for (int turn = 0; turn < turns; turn++)
        harness_turn(harness);
    unsigned gone = 0;
    for (size_t i = 0; i < COUNT; i += 2) {
        gone += requests[i].op != NULL;
        request_client_gone(&requests[i]);
    }
    harness_run_until_idle(harness);
    assert_int_equal(harness_done_without_client(harness), gone);
    settle(harness);
    int64_t seats = 0;
    for (size_t i = 0; i < COUNT; i++) {
        enum resv_outcome outcome = look_up(harness, &requests[i].id, NULL);
        if (requests[i].completions == 1 && is_granted(requests[i].outcome))
            assert_int_equal(outcome, RESV_FOUND);
        seats += outcome == RESV_FOUND;
    }
    assert_int_equal(audit_of(harness, 1).live, seats);
    free(requests);
}

static void clients_leave_at_once(void **state)
{
    clients_leave(*state, 0);
}

static void clients_leave_a_turn_later(void **state)
{
    clients_leave(*state, 1);
}

static void clients_leave_some_turns_later(void **state)
{
    clients_leave(*state, 4);
}

static void deadline_never_lies(void **state)
{
    struct harness *harness = *state;
    enum { COUNT = 3000 };
    struct request *requests = calloc(COUNT, sizeof requests[0]);
    assert_non_null(requests);
    reset(harness, 1, 1, 2000);
    /* All that is not done by the dispatcher's first look is overdue, and past its grace. */
    struct dispatcher_config config = {.operations_max = COUNT, .deadline_ms = 1, .grace_ms = 1};
    if (harness_is_durable())
        harness_restart(harness, &config);
    for (size_t i = 0; i < COUNT; i++) {
        assert_true(request_reserve(harness, &requests[i], NULL, 1, 1, 1));
        if (i % 100 == 0)
            harness_turn(harness);
    }
    harness_run_until_idle(harness);
    config.deadline_ms = config.grace_ms = HARNESS_DEADLINE_MS;
    if (harness_is_durable())
        harness_restart(harness, &config);
    settle(harness);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(requests[i].completions, 1);
        enum resv_outcome found = look_up(harness, &requests[i].id, NULL);
        if (is_granted(requests[i].outcome))
            assert_int_equal(found, RESV_FOUND);
        else if (requests[i].outcome != RESV_UNKNOWN)
            assert_int_equal(found, RESV_NOT_FOUND);
    }
    free(requests);
}

static void nothing_is_taken_while_stopping(void **state)
{
    struct harness *harness = *state;
    struct request request = {0};
    struct request late = {0};
    reset(harness, 1, 1, 10);
    assert_true(request_reserve(harness, &request, NULL, 1, 1, 1));
    dispatcher_set_accepting(harness_dispatcher(harness), false);
    assert_false(request_reserve(harness, &late, NULL, 1, 1, 1));
    harness_run_until_idle(harness);
    assert_int_equal(request.completions, 1);
    assert_true(is_granted(request.outcome));
    dispatcher_set_accepting(harness_dispatcher(harness), true);
}

static void close_with_reads_under_way(void **state)
{
    struct harness *harness = *state;
    enum { COUNT = 200 };
    struct request *requests = calloc(COUNT, sizeof requests[0]);
    assert_non_null(requests);
    reset(harness, 10, 10, 10);
    for (size_t i = 0; i < COUNT; i++) {
        if (i % 2 == 0)
            assert_true(request_catalog(harness, &requests[i], RESV_OP_MEMBER_GET, 0,
                                        (int64_t)(i % 11) + 1));
        else
            assert_true(request_catalog(harness, &requests[i], RESV_OP_CONCERT_GET,
                                        (int64_t)(i % 11) + 1, 0));
    }
    harness_reopen(harness); /* drains first: each must have been answered */
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(requests[i].completions, 1);
        assert_true(requests[i].outcome == (i % 11 == 10 ? RESV_NOT_FOUND : RESV_FOUND));
        request_free(&requests[i]);
    }
    free(requests);
}

int run_lifecycle_tests(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_set_up, harness_tear_down)
        TEST(open_and_close),
        TEST(what_was_sold_survives_a_restart),
        TEST(clients_leave_at_once),
        TEST(clients_leave_a_turn_later),
        TEST(clients_leave_some_turns_later),
        TEST(deadline_never_lies),
        TEST(nothing_is_taken_while_stopping),
        TEST(close_with_reads_under_way),
    };
    return cmocka_run_group_tests_name("lifecycle", tests, NULL, NULL);
}
