/* Conformance, asynchronous strategies only: what was accepted is found at once, and when all is
 * quiet the rows are as promised and the fast store's numbers are the database's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "suite.h"

/* All numbers of a concert when nothing is pending. */
static void assert_quiet(struct harness *harness, int64_t concert_id, int64_t capacity,
                         int64_t live)
{
    struct resv_audit_line line = audit_of(harness, concert_id);
    assert_int_equal(line.capacity, capacity);
    assert_int_equal(line.live, live);
    assert_int_equal(line.sold, live);
    assert_int_equal(line.pending, 0);
    assert_int_equal(line.stock, capacity - live);
}

static void accepted_is_found_at_once(void **state)
{
    struct harness *harness = *state;
    struct request request = {0};
    struct resv_reservation found = {0};
    reset(harness, 1, 2, 10);
    assert_int_equal(reserve(harness, &request, NULL, 1, 2, 3), RESV_ACCEPTED);
    assert_int_equal(request.reservation.status, RESV_STATUS_PENDING);
    for (int i = 0; i < 20; i++) { /* never a moment in which nobody knows it */
        assert_int_equal(look_up(harness, &request.id, &found), RESV_FOUND);
        assert_true(found.status == RESV_STATUS_PENDING || found.status == RESV_STATUS_CONFIRMED);
        assert_int_equal(found.concert_id, 1);
        assert_int_equal(found.member_id, 2);
        assert_int_equal(found.quantity, 3);
    }
    assert_quiet(harness, 1, 10, 3);
    assert_int_equal(look_up(harness, &request.id, &found), RESV_FOUND);
    assert_int_equal(found.status, RESV_STATUS_CONFIRMED);
}

static void every_accepted_one_becomes_its_row(void **state)
{
    struct harness *harness = *state;
    enum { COUNT = 3000, CONCERTS = 3, CAPACITY = 900 };
    struct request *requests = calloc(COUNT, sizeof requests[0]);
    assert_non_null(requests);
    reset(harness, CONCERTS, 7, CAPACITY);
    for (size_t i = 0; i < COUNT; i++) {
        assert_true(request_reserve(harness, &requests[i], NULL, 1 + (int64_t)(i % CONCERTS),
                                    1 + (int64_t)(i % 7), 1 + (int64_t)(i / CONCERTS % 2)));
        if (i % 50 == 0)
            harness_turn(harness);
    }
    harness_run_until_idle(harness);
    settle(harness);
    int64_t seats[CONCERTS + 1] = {0};
    for (size_t i = 0; i < COUNT; i++) {
        struct resv_reservation found = {0};
        enum resv_outcome outcome = look_up(harness, &requests[i].id, &found);
        if (requests[i].outcome != RESV_ACCEPTED) {
            assert_int_equal(outcome, RESV_NOT_FOUND);
            continue;
        }
        assert_int_equal(outcome, RESV_FOUND);
        assert_int_equal(found.status, RESV_STATUS_CONFIRMED);
        assert_int_equal(found.quantity, requests[i].reservation.quantity);
        seats[1 + i % CONCERTS] += found.quantity;
    }
    for (int64_t id = 1; id <= CONCERTS; id++) {
        assert_true(seats[id] > 0);
        assert_quiet(harness, id, CAPACITY, seats[id]);
    }
    free(requests);
}

static void a_replays_status_goes_on(void **state)
{
    struct harness *harness = *state;
    struct request first = {0};
    struct request again = {0};
    struct resv_id key;
    static const enum resv_status last[] = {RESV_STATUS_CONFIRMED, RESV_STATUS_CANCELLED};
    reset(harness, 1, 1, 10);
    make_id(harness, &key);
    assert_int_equal(reserve(harness, &first, &key, 1, 1, 4), RESV_ACCEPTED);
    assert_false(first.reservation.replay);
    assert_int_equal(reserve(harness, &again, &key, 1, 1, 4), RESV_ACCEPTED);
    assert_true(again.reservation.replay);
    assert_int_equal(reserve(harness, &again, &key, 1, 1, 5), RESV_KEY_REUSED);
    for (size_t i = 0; i < 2; i++) {
        settle(harness);
        assert_int_equal(reserve(harness, &again, &key, 1, 1, 4), RESV_ACCEPTED);
        assert_true(again.reservation.replay);
        assert_int_equal(again.reservation.status, last[i]);
        assert_int_equal(reserve(harness, &again, &key, 1, 1, 5), RESV_KEY_REUSED);
        assert_true(is_released(release(harness, &key)));
    }
    assert_quiet(harness, 1, 10, 0);
}

/* At once after the answer: the release's event is behind the reservation's. */
static void pending_is_released(void **state)
{
    struct harness *harness = *state;
    enum { COUNT = 100 };
    struct request requests[COUNT] = {0};
    struct request releases[COUNT] = {0};
    reset(harness, 1, 1, COUNT);
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(reserve(harness, &requests[i], NULL, 1, 1, 1), RESV_ACCEPTED);
    for (size_t i = 0; i < COUNT; i++)
        assert_true(request_of_id(harness, &releases[i], RESV_OP_RELEASE, &requests[i].id));
    harness_run_until_idle(harness);
    for (size_t i = 0; i < COUNT; i++) {
        assert_true(is_released(releases[i].outcome));
        assert_true(is_released(release(harness, &requests[i].id)));
    }
    assert_quiet(harness, 1, COUNT, 0);
    for (size_t i = 0; i < COUNT; i++) {
        struct resv_reservation found = {0};
        assert_int_equal(look_up(harness, &requests[i].id, &found), RESV_FOUND);
        assert_int_equal(found.status, RESV_STATUS_CANCELLED);
        assert_int_equal(release(harness, &requests[i].id), RESV_RELEASED);
    }
    assert_int_equal(reserve(harness, &requests[0], NULL, 1, 1, COUNT), RESV_ACCEPTED);
}

static void reconciling_changes_nothing_that_is_right(void **state)
{
    struct harness *harness = *state;
    struct request request = {0};
    struct resv_audit_line line = {0};
    reset(harness, 2, 1, 50);
    assert_int_equal(reconcile(harness, 3, &line), RESV_NOT_FOUND);
    assert_int_equal(reconcile(harness, 1, &line), RESV_STORED);
    assert_true(line.consistent);
    assert_int_equal(line.stock, 50);
    for (int i = 1; i <= 20; i++) {
        assert_int_equal(reserve(harness, &request, NULL, 1, 1, 1), RESV_ACCEPTED);
        if (i % 5 != 0)
            continue;
        assert_int_equal(reconcile(harness, 1, &line), RESV_STORED); /* with some pending */
        assert_int_equal(line.live + line.pending, i);
        assert_int_equal(line.stock, 50 - i);
    }
    assert_quiet(harness, 1, 50, 20);
    assert_quiet(harness, 2, 50, 0);
}

static void no_letters(struct harness *harness, int64_t limit, const char *after)
{
    struct request request = {.catalog = {.limit = limit}};
    snprintf(request.catalog.after, sizeof request.catalog.after, "%s", after);
    assert_true(request_catalog(harness, &request, RESV_OP_DEAD_LETTER_LIST, 0, 0));
    harness_run_until_idle(harness);
    assert_int_equal(request.outcome, RESV_FOUND);
    assert_int_equal(request.catalog.letter_count, 0);
    assert_false(request.catalog.more);
    request_free(&request);
}

static void no_dead_letters_at_first(void **state)
{
    struct harness *harness = *state;
    static const char *const ids[] = {"0-0", "1-0", "0-9007199254740991",
                                      "9007199254740991-9007199254740991"};
    reset(harness, 1, 1, 5);
    no_letters(harness, 1, "");
    no_letters(harness, 1000, "");
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        struct request request = {0};
        no_letters(harness, 50, ids[i]);
        snprintf(request.catalog.letter_id, sizeof request.catalog.letter_id, "%s", ids[i]);
        assert_true(request_catalog(harness, &request, RESV_OP_DEAD_LETTER_RETRY, 0, 0));
        harness_run_until_idle(harness);
        assert_int_equal(request.outcome, RESV_NOT_FOUND);
        request_free(&request);
    }
}

static void a_changed_capacity_is_the_new_stock(void **state)
{
    struct harness *harness = *state;
    struct request request = {0};
    struct resv_concert concert = {.id = 1, .capacity = 8};
    reset(harness, 1, 1, 5);
    assert_int_equal(reserve(harness, &request, NULL, 1, 1, 4), RESV_ACCEPTED);
    assert_int_equal(update_concert(harness, &concert, RESV_CONCERT_CAPACITY), RESV_STORED);
    assert_quiet(harness, 1, 8, 4);
    assert_int_equal(reserve(harness, &request, NULL, 1, 1, 4), RESV_ACCEPTED);
    assert_int_equal(reserve(harness, &request, NULL, 1, 1, 1), RESV_SOLD_OUT);
    assert_quiet(harness, 1, 8, 8);
}

int run_asynchronous_tests(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_set_up, harness_tear_down)
        TEST(accepted_is_found_at_once),
        TEST(every_accepted_one_becomes_its_row),
        TEST(a_replays_status_goes_on),
        TEST(pending_is_released),
        TEST(reconciling_changes_nothing_that_is_right),
        TEST(no_dead_letters_at_first),
        TEST(a_changed_capacity_is_the_new_stock),
    };
    if (!harness_strategy()->asynchronous)
        return 0;
    return cmocka_run_group_tests_name("asynchronous", tests, NULL, NULL);
}
