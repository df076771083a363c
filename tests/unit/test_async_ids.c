/* The async strategy's api side: releases and lookups, which begin with an id only; and its life.
 */
#include <errno.h>

#include "async_fixture.h"

#define ID      "05000000-0000-0000-0000-000000000000"
#define PENDING "1 reserve " ID " 7 1 2 1700 3 -"
#define RELEASE "1 release " ID " 7 - - * 3 -"

static struct resv_op *release(struct database_fixture *fixture)
{
    return submit_kind(fixture, RESV_OP_RELEASE, 5);
}

static struct resv_op *look_up(struct database_fixture *fixture)
{
    return submit_kind(fixture, RESV_OP_LOOKUP, 5);
}

/* The read of a release: its row, of concert 7, or none. */
static void row_is(struct database_fixture *fixture, bool found, enum resv_status status)
{
    struct database_run *run = expect_run(DATABASE_READ_RESERVATIONS, DATABASE_READ_EPOCH, END);
    assert_int_equal(run->steps[0].reservations.items[0].id.bytes[0], 5);
    if (found)
        fill_row(&run->steps[0], 0, 7, 1, 2, status);
    run->steps[1].epoch.epoch = 3;
    run_done(&fixture->host, run);
}

/* The read of a lookup. */
static void looked_up_row_is(struct database_fixture *fixture, bool found)
{
    struct database_run *run = expect_run(DATABASE_READ_RESERVATIONS, END);
    if (found)
        fill_row(&run->steps[0], 0, 7, 1, 2, RESV_STATUS_CONFIRMED);
    run_done(&fixture->host, run);
}

/* Its concert is asked for, and then its event there. */
static void pending_is(struct database_fixture *fixture, const char *event, const char *mark)
{
    struct fake_call *call = expect_call("probe");
    assert_string_equal(call->key, "t:pending_concerts");
    assert_int_equal(call->arguments[0].bytes[0], 5);
    assert_int_equal(call->arguments[1].size, 0);
    assert_string_equal(call->arguments[2].bytes, "R");
    call_says(fixture, "probe", T("7"));
    call = expect_call("probe");
    assert_string_equal(call->key, "t:{c:7}:pending");
    assert_string_equal(call->arguments[1].bytes, mark);
    if (event != NULL)
        call_says(fixture, "probe", T(event));
    else
        call_says(fixture, "probe", N(1));
}

/* --- releases -----------------------------------------------------------------------------------
 */

static void a_live_row_is_released_by_an_event(void **state)
{
    struct database_fixture *fixture = *state;
    static const struct {
        enum kafka_result result;
        enum resv_outcome outcome;
    } cases[] = {{KAFKA_PERSISTED, RESV_RELEASE_ACCEPTED},
                 {KAFKA_NOT_PERSISTED, RESV_UNAVAILABLE},
                 {KAFKA_POSSIBLY_PERSISTED, RESV_UNKNOWN}};
    for (size_t i = 0; i < 3; i++) {
        struct resv_op *op = release(fixture);
        row_is(fixture, true, i == 1 ? RESV_STATUS_HELD : RESV_STATUS_CONFIRMED);
        assert_string_equal(expect_event(RELEASE)->key, "7");
        assert_under_way(op);
        event_is(fixture, cases[i].result);
        assert_outcome(op, cases[i].outcome);
    }
    expect_no_call();
}

static void what_is_not_live_is_released(void **state)
{
    struct database_fixture *fixture = *state;
    static const enum resv_status statuses[] = {RESV_STATUS_CANCELLED, RESV_STATUS_EXPIRED};
    for (size_t i = 0; i < 2; i++) {
        struct resv_op *op = release(fixture);
        row_is(fixture, true, statuses[i]);
        assert_outcome(op, RESV_RELEASED);
    }
    expect_no_event();
    /* Whoever applies its event anew, after the database has forgotten it, may have a seat. */
    struct resv_op *op = release(fixture);
    row_is(fixture, true, RESV_STATUS_REJECTED);
    expect_event(RELEASE);
    event_is(fixture, KAFKA_PERSISTED);
    assert_outcome(op, RESV_RELEASE_ACCEPTED);
}

static void what_is_pending_goes_first(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = release(fixture);
    row_is(fixture, false, RESV_STATUS_PENDING);
    pending_is(fixture, PENDING "+", "+");
    expect_event(PENDING);
    event_is(fixture, KAFKA_PERSISTED);
    assert_under_way(op);
    expect_event(RELEASE);
    event_is(fixture, KAFKA_PERSISTED);
    assert_outcome(op, RESV_RELEASE_ACCEPTED);

    op = release(fixture);
    row_is(fixture, false, RESV_STATUS_PENDING);
    pending_is(fixture, PENDING "+", "+");
    event_is(fixture, KAFKA_POSSIBLY_PERSISTED); /* the reservation; the release is not sent */
    assert_outcome(op, RESV_UNAVAILABLE);
    expect_no_event();
}

static void not_found_only_behind_a_second_look(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = release(fixture);
    row_is(fixture, false, RESV_STATUS_PENDING);
    call_says(fixture, "probe", N(1));
    assert_under_way(op);
    row_is(fixture, false, RESV_STATUS_PENDING);
    assert_outcome(op, RESV_NOT_FOUND);

    op = release(fixture);
    row_is(fixture, false, RESV_STATUS_PENDING);
    pending_is(fixture, NULL, "+"); /* it has left pending just now */
    row_is(fixture, true, RESV_STATUS_CONFIRMED);
    expect_event(RELEASE);
    event_is(fixture, KAFKA_PERSISTED);
    assert_outcome(op, RESV_RELEASE_ACCEPTED);

    op = release(fixture);
    row_is(fixture, false, RESV_STATUS_PENDING);
    call_fails(fixture, "probe", REDIS_LOST);
    assert_outcome(op, RESV_UNAVAILABLE);
}

/* --- lookups ------------------------------------------------------------------------------------
 */

static void a_row_is_found_without_redis(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = look_up(fixture);
    looked_up_row_is(fixture, true);
    assert_outcome(op, RESV_FOUND);
    assert_int_equal(op->reservation.status, RESV_STATUS_CONFIRMED);
    expect_no_call();
}

static void pending_until_its_row_is_there(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = look_up(fixture);
    looked_up_row_is(fixture, false);
    pending_is(fixture, PENDING, "");
    assert_outcome(op, RESV_FOUND);
    assert_int_equal(op->reservation.status, RESV_STATUS_PENDING);
    assert_int_equal(op->reservation.concert_id, 7);
    assert_int_equal(op->reservation.member_id, 1);
    assert_int_equal(op->reservation.quantity, 2);
}

static void a_lookup_looks_twice(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = look_up(fixture);
    looked_up_row_is(fixture, false);
    pending_is(fixture, NULL, "");
    looked_up_row_is(fixture, true);
    assert_outcome(op, RESV_FOUND);
    op = look_up(fixture);
    looked_up_row_is(fixture, false);
    call_says(fixture, "probe", N(1));
    looked_up_row_is(fixture, false);
    assert_outcome(op, RESV_NOT_FOUND);
    op = look_up(fixture);
    looked_up_row_is(fixture, false);
    call_fails(fixture, "probe", REDIS_DOWN);
    assert_outcome(op, RESV_UNAVAILABLE);
}

/* --- a Redis that has lost data -----------------------------------------------------------------
 */

/* In the first answer, and in the second: it has lost the event between the two. */
static void what_redis_forgot_is_not_missing(void **state)
{
    struct database_fixture *fixture = *state;
    for (int i = 0; i < 2; i++) {
        struct resv_op *op = look_up(fixture);
        looked_up_row_is(fixture, false);
        if (i == 1)
            call_says(fixture, "probe", T("7"));
        call_says(fixture, "probe", N(0));
        looked_up_row_is(fixture, false);
        assert_outcome(op, RESV_UNAVAILABLE);

        op = release(fixture);
        row_is(fixture, false, RESV_STATUS_PENDING);
        if (i == 1)
            call_says(fixture, "probe", T("7"));
        call_says(fixture, "probe", N(0));
        row_is(fixture, false, RESV_STATUS_PENDING);
        assert_outcome(op, RESV_UNAVAILABLE);
    }
    struct resv_op *op = look_up(fixture);
    looked_up_row_is(fixture, false);
    call_says(fixture, "probe", N(0));
    looked_up_row_is(fixture, true); /* applied just now */
    assert_outcome(op, RESV_FOUND);
    op = look_up(fixture);
    looked_up_row_is(fixture, false);
    call_says(fixture, "probe", T("no concert"));
    looked_up_row_is(fixture, false);
    assert_outcome(op, RESV_UNAVAILABLE);
    expect_no_event();
}

/* --- its life -----------------------------------------------------------------------------------
 */

static void a_reset_is_heard_of_with_the_rows(void **state)
{
    struct database_fixture *fixture = *state;
    remember(fixture);
    struct resv_op *op = release(fixture);
    struct database_run *run = expect_run(DATABASE_READ_RESERVATIONS, DATABASE_READ_EPOCH, END);
    fill_row(&run->steps[0], 0, 7, 1, 2, RESV_STATUS_CONFIRMED);
    run->steps[1].epoch.epoch = 4;
    run_done(&fixture->host, run);
    assert_int_equal(async_of(fixture)->epoch, 4);
    assert_null(hints_find_concert(&async_of(fixture)->hints, 1));
    expect_event("1 release " ID " 7 - - * 4 -");
    event_is(fixture, KAFKA_PERSISTED);
    assert_outcome(op, RESV_RELEASE_ACCEPTED);
    async_learn_epoch(async_of(fixture), 2);
    assert_int_equal(async_of(fixture)->epoch, 4);
}

static void events_of_nobody_have_room_of_their_own(void **state)
{
    struct database_fixture *fixture = *state;
    struct async *async = async_of(fixture);
    the_kafka.room = 2;
    assert_true(publish_reserve_room(async));
    assert_true(publish_text(async, 1, "text", 4, NULL, NULL));
    assert_false(publish_text(async, 1, "text", 4, NULL, NULL)); /* the last is reserved */
    assert_false(publish_reserve_room(async));
    publish_return_room(async);
    assert_false(publish_is_quiet(async));
    event_is(fixture, KAFKA_PERSISTED);
    assert_true(publish_is_quiet(async));
    the_kafka.room = 1000;
    for (size_t i = 0; i < async->events_max && i < 900; i++)
        assert_true(publish_reserve_room(async));
    for (size_t i = 0; i < async->events_max && i < 900; i++)
        publish_return_room(async);
}

static void an_open_that_fails_half_way_leaves_nothing(void **state)
{
    struct resv_host host;
    void *instance = NULL;
    (void)state;
    fake_host_init(&host);
    host.role = RESV_ROLE_API;
    kafka_cannot_be_made = true;
    assert_int_equal(resv_strategy_async.open(&host, &instance), -EINVAL);
    kafka_cannot_be_made = false;
    assert_null(instance);
    assert_int_equal(host.exit_code, 78);
    assert_true(the_redis.closed);
    assert_null(host.deferred_first);
    assert_int_equal(fake_host_timers(&host), 0);
}

/* Closed while the epoch is being read. */
static void closed_before_it_is_started(void **state)
{
    struct resv_host host;
    void *instance = NULL;
    (void)state;
    fake_host_init(&host);
    host.role = RESV_ROLE_API;
    link_reset();
    assert_int_equal(resv_strategy_async.open(&host, &instance), 0);
    resv_strategy_async.start(instance);
    fake_host_flush(&host);
    struct database_run *run = expect_run(DATABASE_READ_EPOCH, END);
    resv_strategy_async.close(instance);
    assert_int_equal(host.closed, 0);
    run_done(&host, run);
    assert_int_equal(host.closed, 1);
    assert_int_equal(host.started, 0);
    assert_true(the_redis.closed && the_kafka.closed && the_link.closed);
    assert_int_equal(fake_host_timers(&host), 0);
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, async_set_up, async_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_live_row_is_released_by_an_event),
        TEST(what_is_not_live_is_released),
        TEST(what_is_pending_goes_first),
        TEST(not_found_only_behind_a_second_look),
        TEST(a_row_is_found_without_redis),
        TEST(pending_until_its_row_is_there),
        TEST(a_lookup_looks_twice),
        TEST(what_redis_forgot_is_not_missing),
        TEST(a_reset_is_heard_of_with_the_rows),
        TEST(events_of_nobody_have_room_of_their_own),
        cmocka_unit_test(an_open_that_fails_half_way_leaves_nothing),
        cmocka_unit_test(closed_before_it_is_started),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
