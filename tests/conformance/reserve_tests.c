/* Conformance, reserving: ids, replays, refusals, and never one seat too many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "suite.h"

static bool same_id(const struct resv_id *a, const struct resv_id *b)
{
    return memcmp(a->bytes, b->bytes, RESV_ID_SIZE) == 0;
}

static void granted_is_found_under_its_id(void **state)
{
    struct harness *harness = *state;
    struct request request = {0};
    reset(harness, 2, 3, 10);
    enum resv_outcome outcome = reserve(harness, &request, NULL, 2, 3, 4);
    assert_true(is_granted(outcome));
    assert_int_equal(outcome == RESV_ACCEPTED, harness_strategy()->asynchronous);
    assert_int_equal(request.reservation.concert_id, 2);
    assert_int_equal(request.reservation.member_id, 3);
    assert_int_equal(request.reservation.quantity, 4);
    assert_false(request.reservation.replay);
    assert_int_equal(request.reservation.status,
                     outcome == RESV_ACCEPTED ? RESV_STATUS_PENDING : RESV_STATUS_CONFIRMED);
    settle(harness);
    struct resv_reservation found = {0};
    assert_int_equal(look_up(harness, &request.id, &found), RESV_FOUND);
    assert_int_equal(found.concert_id, 2);
    assert_int_equal(found.member_id, 3);
    assert_int_equal(found.quantity, 4);
    assert_int_equal(found.status, RESV_STATUS_CONFIRMED);
    assert_int_equal(get_concert(harness, 2).sold, 4);
    assert_int_equal(get_concert(harness, 1).sold, 0);
}

static void unknown_id_is_not_found(void **state)
{
    struct harness *harness = *state;
    struct resv_id id;
    struct resv_id zero = {0};
    make_id(harness, &id);
    assert_int_equal(look_up(harness, &id, NULL), RESV_NOT_FOUND);
    assert_int_equal(look_up(harness, &zero, NULL), RESV_NOT_FOUND);
    memset(id.bytes, 0xff, sizeof id.bytes);
    assert_int_equal(look_up(harness, &id, NULL), RESV_NOT_FOUND);
}

static void key_again_gives_the_first_answer(void **state)
{
    struct harness *harness = *state;
    struct request first = {0};
    struct request again = {0};
    struct resv_id key;
    reset(harness, 1, 1, 10);
    make_id(harness, &key);
    enum resv_outcome outcome = reserve(harness, &first, &key, 1, 1, 7);
    assert_true(is_granted(outcome));
    assert_false(first.reservation.replay);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(reserve(harness, &again, &key, 1, 1, 7), outcome);
        assert_true(again.reservation.replay);
        assert_true(same_id(&again.id, &first.id));
        assert_int_equal(again.reservation.quantity, 7);
        settle(harness);
    }
    assert_int_equal(get_concert(harness, 1).sold, 7);
}

static void key_again_when_sold_out_gives_the_first_answer(void **state)
{
    struct harness *harness = *state;
    struct request request = {0};
    struct resv_id key;
    reset(harness, 1, 2, 3);
    make_id(harness, &key);
    assert_true(is_granted(reserve(harness, &request, &key, 1, 1, 2)));
    assert_true(is_granted(reserve(harness, &request, NULL, 1, 2, 1)));
    settle(harness);
    assert_int_equal(reserve(harness, &request, NULL, 1, 2, 1), RESV_SOLD_OUT);
    assert_true(is_granted(reserve(harness, &request, &key, 1, 1, 2)));
    assert_true(request.reservation.replay);
}

static void key_for_another_request_is_refused(void **state)
{
    struct harness *harness = *state;
    struct request request = {0};
    struct resv_id key;
    reset(harness, 2, 2, 10);
    make_id(harness, &key);
    assert_true(is_granted(reserve(harness, &request, &key, 1, 1, 2)));
    assert_int_equal(reserve(harness, &request, &key, 1, 1, 3), RESV_KEY_REUSED);
    assert_int_equal(reserve(harness, &request, &key, 2, 1, 2), RESV_KEY_REUSED);
    assert_int_equal(reserve(harness, &request, &key, 1, 2, 2), RESV_KEY_REUSED);
    assert_int_equal(reserve(harness, &request, &key, 99, 1, 2), RESV_KEY_REUSED);
    settle(harness);
    assert_int_equal(get_concert(harness, 1).sold, 2);
    assert_int_equal(get_concert(harness, 2).sold, 0);
}

static void refusals_are_not_remembered(void **state)
{
    struct harness *harness = *state;
    struct request request = {0};
    struct resv_id key;
    reset(harness, 1, 1, 5);
    make_id(harness, &key);
    assert_int_equal(reserve(harness, &request, &key, 1, 1, 6), RESV_SOLD_OUT);
    assert_int_equal(look_up(harness, &key, NULL), RESV_NOT_FOUND);
    assert_int_equal(reserve(harness, &request, &key, 2, 1, 6), RESV_UNKNOWN_CONCERT);
    struct resv_concert concert = {.id = 1, .capacity = 6};
    assert_int_equal(update_concert(harness, &concert, RESV_CONCERT_CAPACITY), RESV_STORED);
    settle(harness);
    assert_true(is_granted(reserve(harness, &request, &key, 1, 1, 6)));
    assert_false(request.reservation.replay);
}

static void unknown_concert_or_member(void **state)
{
    struct harness *harness = *state;
    struct request request = {0};
    static const int64_t unknown[] = {3, 4, 1000000, RESV_INTEGER_MAX};
    reset(harness, 2, 2, 1);
    assert_true(is_granted(reserve(harness, &request, NULL, 2, 1, 1)));
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        assert_int_equal(reserve(harness, &request, NULL, unknown[i], 1, 1), RESV_UNKNOWN_CONCERT);
        assert_int_equal(reserve(harness, &request, NULL, 1, unknown[i], 1), RESV_UNKNOWN_MEMBER);
        /* Also where there is nothing left to sell. */
        assert_int_equal(reserve(harness, &request, NULL, 2, unknown[i], 1), RESV_UNKNOWN_MEMBER);
        assert_int_equal(reserve(harness, &request, NULL, unknown[i], unknown[i], 1),
                         RESV_UNKNOWN_CONCERT);
        assert_int_equal(look_up(harness, &request.id, NULL), RESV_NOT_FOUND);
    }
    assert_int_equal(audit_of(harness, 1).sold, 0);
}

static void more_than_there_is(void **state)
{
    struct harness *harness = *state;
    struct request request = {0};
    reset(harness, 1, 1, 10);
    assert_int_equal(reserve(harness, &request, NULL, 1, 1, 11), RESV_SOLD_OUT);
    assert_int_equal(reserve(harness, &request, NULL, 1, 1, RESV_INTEGER_MAX), RESV_SOLD_OUT);
    assert_true(is_granted(reserve(harness, &request, NULL, 1, 1, 4)));
    assert_int_equal(reserve(harness, &request, NULL, 1, 1, 7), RESV_SOLD_OUT);
    assert_int_equal(reserve(harness, &request, NULL, 1, 1, RESV_INTEGER_MAX), RESV_SOLD_OUT);
    assert_true(is_granted(reserve(harness, &request, NULL, 1, 1, 6)));
    assert_int_equal(reserve(harness, &request, NULL, 1, 1, 1), RESV_SOLD_OUT);
    assert_int_equal(audit_of(harness, 1).live, 10);
}

static void largest_capacity_there_is(void **state)
{
    struct harness *harness = *state;
    struct request request = {0};
    reset(harness, 1, 1, RESV_INTEGER_MAX);
    assert_true(is_granted(reserve(harness, &request, NULL, 1, 1, RESV_INTEGER_MAX - 1)));
    assert_int_equal(reserve(harness, &request, NULL, 1, 1, RESV_INTEGER_MAX), RESV_SOLD_OUT);
    assert_int_equal(reserve(harness, &request, NULL, 1, 1, 2), RESV_SOLD_OUT);
    assert_true(is_granted(reserve(harness, &request, NULL, 1, 1, 1)));
    assert_int_equal(reserve(harness, &request, NULL, 1, 1, 1), RESV_SOLD_OUT);
    assert_true(audit_of(harness, 1).live == RESV_INTEGER_MAX);
}

static void member_limit(void **state)
{
    struct harness *harness = *state;
    struct request request = {0};
    reset(harness, 2, 3, 100);
    struct resv_concert concert = {.id = 1, .member_limit = 3};
    assert_int_equal(update_concert(harness, &concert, RESV_CONCERT_MEMBER_LIMIT), RESV_STORED);
    settle(harness);
    assert_int_equal(reserve(harness, &request, NULL, 1, 1, 4), RESV_LIMIT);
    /* Over the limit and more than there is: either refusal is true. */
    enum resv_outcome outcome = reserve(harness, &request, NULL, 1, 1, RESV_INTEGER_MAX);
    assert_true(outcome == RESV_LIMIT || outcome == RESV_SOLD_OUT);
    assert_true(is_granted(reserve(harness, &request, NULL, 1, 1, 2)));
    struct resv_id two_seats = request.id;
    assert_int_equal(reserve(harness, &request, NULL, 1, 1, 2), RESV_LIMIT);
    assert_true(is_granted(reserve(harness, &request, NULL, 1, 1, 1)));
    assert_int_equal(reserve(harness, &request, NULL, 1, 1, 1), RESV_LIMIT);
    /* Others are not touched by it: neither members nor concerts. */
    assert_true(is_granted(reserve(harness, &request, NULL, 1, 2, 3)));
    assert_true(is_granted(reserve(harness, &request, NULL, 2, 1, 50)));
    settle(harness);
    assert_true(is_released(release(harness, &two_seats)));
    settle(harness);
    assert_true(is_granted(reserve(harness, &request, NULL, 1, 1, 2)));
    assert_int_equal(reserve(harness, &request, NULL, 1, 1, 1), RESV_LIMIT);
}

static void member_limit_holds_at_once(void **state)
{
    struct harness *harness = *state;
    enum { COUNT = 400, MEMBERS = 10 };
    struct request *requests = calloc(COUNT, sizeof requests[0]);
    assert_non_null(requests);
    reset(harness, 1, MEMBERS, 100000);
    struct resv_concert concert = {.id = 1, .member_limit = 5};
    assert_int_equal(update_concert(harness, &concert, RESV_CONCERT_MEMBER_LIMIT), RESV_STORED);
    settle(harness);
    int64_t seats[MEMBERS + 1] = {0};
    for (size_t i = 0; i < COUNT; i++)
        assert_true(request_reserve(harness, &requests[i], NULL, 1, (int64_t)(i % MEMBERS) + 1,
                                    (int64_t)(i / MEMBERS % 2) + 1));
    harness_run_until_idle(harness);
    for (size_t i = 0; i < COUNT; i++) {
        if (is_granted(requests[i].outcome))
            seats[i % MEMBERS + 1] += requests[i].reservation.quantity;
        else
            assert_true(requests[i].outcome == RESV_LIMIT || is_try_again(requests[i].outcome));
    }
    int64_t all = 0;
    for (size_t member = 1; member <= MEMBERS; member++) {
        assert_true(seats[member] <= 5);
        all += seats[member];
    }
    assert_int_equal(audit_of(harness, 1).live, all);
    free(requests);
}

/* Asks with `quantity` until it is refused for good; says the seats that were granted. */
static int64_t buy_the_rest(struct harness *harness, int64_t concert_id, int64_t quantity)
{
    struct request request = {0};
    for (int64_t seats = 0;;) {
        enum resv_outcome outcome = reserve(harness, &request, NULL, concert_id, 1, quantity);
        if (outcome == RESV_SOLD_OUT)
            return seats;
        assert_true(is_granted(outcome) || is_try_again(outcome));
        if (is_granted(outcome))
            seats += quantity;
    }
}

static void stampede(struct harness *harness, size_t count, int64_t capacity, int64_t largest)
{
    struct request *requests = calloc(count, sizeof requests[0]);
    assert_non_null(requests);
    reset(harness, 1, 10, capacity);
    int64_t seats = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t quantity = 1 + (int64_t)(i * 7919 % (size_t)largest);
        assert_true(
            request_reserve(harness, &requests[i], NULL, 1, 1 + (int64_t)(i % 10), quantity));
        if (i % 97 == 0)
            harness_turn(harness); /* arrivals are spread over turns of the loop */
    }
    harness_run_until_idle(harness);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(requests[i].completions, 1);
        if (is_granted(requests[i].outcome))
            seats += requests[i].reservation.quantity;
        else
            assert_true(requests[i].outcome == RESV_SOLD_OUT || is_try_again(requests[i].outcome));
    }
    assert_true(seats <= capacity);
    seats += buy_the_rest(harness, 1, 1);
    struct resv_audit_line line = audit_of(harness, 1);
    assert_int_equal(line.live, capacity);
    assert_int_equal(line.sold, capacity);
    assert_int_equal(seats, capacity);
    free(requests);
}

static void five_thousand_for_a_hundred_seats(void **state)
{
    stampede(*state, 5000, 100, 1);
}

static void mixed_quantities_fill_to_the_last_seat(void **state)
{
    stampede(*state, 3000, 997, 5);
}

static void many_concerts_at_once(void **state)
{
    struct harness *harness = *state;
    enum { COUNT = 4000, CONCERTS = 20 };
    struct request *requests = calloc(COUNT, sizeof requests[0]);
    assert_non_null(requests);
    reset(harness, CONCERTS, 5, 50);
    for (size_t i = 0; i < COUNT; i++)
        assert_true(request_reserve(harness, &requests[i], NULL, 1 + (int64_t)(i % CONCERTS),
                                    1 + (int64_t)(i % 5), 1 + (int64_t)(i / CONCERTS % 3)));
    harness_run_until_idle(harness);
    int64_t seats[CONCERTS + 1] = {0};
    for (size_t i = 0; i < COUNT; i++) {
        if (is_granted(requests[i].outcome))
            seats[requests[i].reservation.concert_id] += requests[i].reservation.quantity;
    }
    for (int64_t concert_id = 1; concert_id <= CONCERTS; concert_id++) {
        seats[concert_id] += buy_the_rest(harness, concert_id, 1);
        assert_int_equal(seats[concert_id], 50);
        assert_int_equal(audit_of(harness, concert_id).live, 50);
    }
    free(requests);
}

static void pool_used_up_takes_nothing(void **state)
{
    struct harness *harness = *state;
    enum { POOL = 16 };
    struct request requests[POOL + 1] = {0};
    struct dispatcher_config config = {
        .operations_max = POOL, .deadline_ms = HARNESS_DEADLINE_MS, .grace_ms = HARNESS_GRACE_MS};
    harness_restart(harness, &config);
    reset(harness, 1, 1, 1000);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < POOL; i++)
            assert_true(request_reserve(harness, &requests[i], NULL, 1, 1, 1));
        assert_false(request_reserve(harness, &requests[POOL], NULL, 1, 1, 1));
        harness_run_until_idle(harness);
        for (size_t i = 0; i < POOL; i++)
            assert_int_equal(requests[i].completions, 1);
    }
}

int run_reserve_tests(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_set_up, harness_tear_down)
        TEST(granted_is_found_under_its_id),
        TEST(unknown_id_is_not_found),
        TEST(key_again_gives_the_first_answer),
        TEST(key_again_when_sold_out_gives_the_first_answer),
        TEST(key_for_another_request_is_refused),
        TEST(refusals_are_not_remembered),
        TEST(unknown_concert_or_member),
        TEST(more_than_there_is),
        TEST(largest_capacity_there_is),
        TEST(member_limit),
        TEST(member_limit_holds_at_once),
        TEST(five_thousand_for_a_hundred_seats),
        TEST(mixed_quantities_fill_to_the_last_seat),
        TEST(many_concerts_at_once),
        TEST(pool_used_up_takes_nothing),
    };
    return cmocka_run_group_tests_name("reserve", tests, NULL, NULL);
}
