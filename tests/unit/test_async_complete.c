/* The async strategy's consumer: when it says of a partition that it is complete, and whose settles
 * count members' seats. */
#include <string.h>

#include "consumer_fixture.h"

#define HOST(fixture) (&(fixture)->host)
#define TICK_MS       500

/* --- complete ------------------------------------------------------------------------------------
 */

static int set_up(void **state)
{
    const int result = consumer_set_up(state);
    the_redis.complete_waits = true;
    return result;
}

static int tear_down(void **state)
{
    struct database_fixture *fixture = *state;
    the_redis.complete_waits = false;
    if (the_redis.complete.call != NULL)
        complete_returns(fixture, 1);
    return consumer_tear_down(state);
}

/* The call says of partition 0 that it is applied up to its end, or not. */
static void expect_said(bool applied)
{
    const struct log_call *call = &the_redis.complete;
    assert_non_null(call->call);
    assert_int_equal(call->call->keys_count, 1);
    assert_int_equal(call->count, 6);
    assert_string_equal(call->arguments[0].bytes, "R");
    assert_string_equal(call->arguments[3].bytes, "2");
    assert_string_equal(call->arguments[4].bytes, "0");
    assert_string_equal(call->arguments[5].bytes, applied ? "1" : "0");
}

static void end_is(struct database_fixture *fixture, int64_t first, int64_t end)
{
    the_kafka.events.end(the_kafka.events.data, 0, first, end);
    fake_host_advance(HOST(fixture), 1);
}

/* Position 10; the owner is written, and the end asked for. */
static void begun(struct database_fixture *fixture)
{
    is_assigned(fixture, 10);
    fake_host_advance(HOST(fixture), 1);
    expect_said(false);
    assert_int_equal(the_kafka.ends_asked, 0);
    complete_returns(fixture, 0);
    assert_int_equal(the_kafka.ends_asked, 1);
}

/* Offset 10 is applied: it is from before a reset, and only passed over. */
static void one_applied(struct database_fixture *fixture)
{
    arrive(fixture, 10, "1 reserve 00000000-0000-4000-8000-000000000001 1 1 1 1700 2 -", NULL);
    struct database_run *run = expect_run(DATABASE_BEGIN, DATABASE_LOCK_POSITION, END);
    run->steps[1].position.next_offset = 10;
    run->steps[1].position.epoch = 3;
    run_done(HOST(fixture), run);
    run_done(HOST(fixture), expect_run(DATABASE_MOVE_POSITION, DATABASE_COMMIT, END));
    fake_host_advance(HOST(fixture), 1);
}

static void complete_when_applied_to_its_end(void **state)
{
    struct database_fixture *fixture = *state;
    begun(fixture);
    end_is(fixture, 0, 11);
    assert_null(the_redis.complete.call);
    fake_host_advance(HOST(fixture), TICK_MS);
    expect_said(false);
    complete_returns(fixture, 2);
    assert_int_equal(the_kafka.ends_asked, 1); /* it is known */
    one_applied(fixture);
    expect_said(true);
    complete_returns(fixture, 1);
    fake_host_advance(HOST(fixture), TICK_MS);
    expect_said(false);
    complete_returns(fixture, 1);
    assert_int_equal(the_kafka.ends_asked, 1);
    fake_host_advance(HOST(fixture), TICK_MS); /* Redis has lost it */
    complete_returns(fixture, 0);
    assert_int_equal(the_kafka.ends_asked, 2);
}

static void at_once_when_there_is_nothing(void **state)
{
    struct database_fixture *fixture = *state;
    begun(fixture);
    end_is(fixture, 0, 10);
    expect_said(true);
    complete_returns(fixture, 1);
}

/* Everything that ever was in it is gone, and nobody has written a position. */
static void an_empty_log_may_begin_anywhere(void **state)
{
    struct database_fixture *fixture = *state;
    is_assigned(fixture, 0);
    fake_host_advance(HOST(fixture), 1);
    complete_returns(fixture, 0);
    end_is(fixture, 60, 60);
    expect_said(true);
    complete_returns(fixture, 1);
}

static void an_end_from_before_counts_for_nothing(void **state)
{
    struct database_fixture *fixture = *state;
    begun(fixture);
    fake_host_advance(HOST(fixture), TICK_MS);
    complete_returns(fixture, 0); /* Redis was lost meanwhile; the end has not been told yet */
    assert_int_equal(the_kafka.ends_asked, 1);
    end_is(fixture, 0, 10);
    assert_null(the_redis.complete.call);
    assert_int_equal(the_kafka.ends_asked, 2);
    end_is(fixture, 0, 10);
    expect_said(true);
    complete_returns(fixture, 0); /* and once more, when it was known */
    assert_int_equal(the_kafka.ends_asked, 3);
    fake_host_advance(HOST(fixture), TICK_MS);
    expect_said(false);
    complete_returns(fixture, 2);
}

static void after_a_lost_answer_all_begins_anew(void **state)
{
    struct database_fixture *fixture = *state;
    char owner[16];
    begun(fixture);
    end_is(fixture, 0, 10);
    expect_said(true);
    memcpy(owner, the_redis.complete.arguments[1].bytes, sizeof owner);
    complete_ends(fixture, REDIS_LOST);
    fake_host_advance(HOST(fixture), TICK_MS);
    expect_said(false);
    assert_memory_not_equal(owner, the_redis.complete.arguments[1].bytes, sizeof owner);
    complete_returns(fixture, 0);
    assert_int_equal(the_kafka.ends_asked, 2);
}

static void who_comes_back_asks_again(void **state)
{
    struct database_fixture *fixture = *state;
    begun(fixture);
    end_is(fixture, 0, 11);
    the_kafka.events.revoked(the_kafka.events.data, 0);
    fake_host_advance(HOST(fixture), TICK_MS);
    assert_null(the_redis.complete.call); /* nothing is its own */
    is_assigned(fixture, 12);
    fake_host_advance(HOST(fixture), 1);
    expect_said(false);
    complete_returns(fixture, 2); /* its own word is still there, but not what it rested on */
    assert_int_equal(the_kafka.ends_asked, 2);
    end_is(fixture, 0, 12);
    expect_said(true);
    complete_returns(fixture, 1);
}

static void without_a_position_nothing_is_applied(void **state)
{
    struct database_fixture *fixture = *state;
    the_kafka.events.assigned(the_kafka.events.data, 0);
    fake_host_advance(HOST(fixture), 1);
    complete_returns(fixture, 0);
    end_is(fixture, 0, 0);
    assert_null(the_redis.complete.call);
    struct database_run *run = expect_run(DATABASE_READ_POSITION, DATABASE_SYNC, END);
    run->steps[0].position.epoch = 3;
    run_done(HOST(fixture), run);
    fake_host_advance(HOST(fixture), 1);
    expect_said(true);
    complete_returns(fixture, 1);
}

/* --- owners --------------------------------------------------------------------------------------
 */

/* A batch at this offset of one event is committed, and its settle is under way; whose it is. */
static void settles(struct database_fixture *fixture, int64_t offset, char owner[16])
{
    arrive(fixture, offset, reserve_of((uint8_t)offset, 1, 1), NULL);
    struct database_run *run =
        expect_run(DATABASE_BEGIN, DATABASE_LOCK_POSITION, DATABASE_LOCK_CONCERT,
                   DATABASE_READ_RESERVATIONS, DATABASE_READ_MEMBERS, END);
    run->steps[1].position.next_offset = offset;
    run->steps[1].position.epoch = 3;
    fill_concert(&run->steps[2], 100, 0, 4);
    run->steps[4].members.items[0].found = true;
    run_done(HOST(fixture), run);
    run_done(HOST(fixture), expect_run(DATABASE_READ_MEMBER_SEATS, END));
    run_done(HOST(fixture), expect_run(DATABASE_MOVE_POSITION, DATABASE_INSERT_EVENTS,
                                       DATABASE_TAKE_SEATS, DATABASE_COMMIT, END));
    const struct log_call *call = the_call("settle");
    assert_int_equal(call->arguments[8].size, 16);
    memcpy(owner, call->arguments[8].bytes, 16);
}

static void settled(struct database_fixture *fixture, int64_t code)
{
    call_returns(fixture, "settle", NULL, code, (int64_t)0, (int64_t)0, INT64_MIN);
}

static void settles_without_a_hole_are_one_owners(void **state)
{
    struct database_fixture *fixture = *state;
    char first[16], second[16];
    is_assigned(fixture, 10);
    settles(fixture, 10, first);
    settled(fixture, 1);
    settles(fixture, 11, second);
    assert_memory_equal(first, second, 16);
    settled(fixture, 1);
    the_kafka.events.revoked(the_kafka.events.data, 0);
    is_assigned(fixture, 12);
    settles(fixture, 12, second);
    assert_memory_not_equal(first, second, 16);
    settled(fixture, 1);
}

static void behind_a_settle_that_was_given_up_it_is_another(void **state)
{
    struct database_fixture *fixture = *state;
    char first[16], second[16];
    is_assigned(fixture, 10);
    settles(fixture, 10, first);
    /* It is committed and filled before the one before it is given up. */
    arrive(fixture, 11, "1 reserve 00000000-0000-4000-8000-000000000001 2 1 1 1700 3 -", NULL);
    struct database_run *run =
        expect_run(DATABASE_BEGIN, DATABASE_LOCK_POSITION, DATABASE_LOCK_CONCERT,
                   DATABASE_READ_RESERVATIONS, DATABASE_READ_MEMBERS, END);
    run->steps[1].position.next_offset = 11;
    run->steps[1].position.epoch = 3;
    fill_concert(&run->steps[2], 100, 0, RESV_NO_MEMBER_LIMIT);
    run->steps[4].members.items[0].found = true;
    run_done(HOST(fixture), run);
    run_done(HOST(fixture), expect_run(DATABASE_MOVE_POSITION, DATABASE_INSERT_EVENTS,
                                       DATABASE_TAKE_SEATS, DATABASE_COMMIT, END));
    for (int i = 0; i < 20; i++) {
        assert_memory_equal(the_call("settle")->arguments[8].bytes, first, 16);
        call_ends(fixture, "settle", REDIS_LOST);
        fake_host_advance(HOST(fixture), TICK_MS);
    }
    memcpy(second, the_call("settle")->arguments[8].bytes, 16);
    assert_string_equal(the_call("settle")->arguments[2].bytes, "12");
    assert_memory_not_equal(first, second, 16);
    settled(fixture, 1);
    run_done(HOST(fixture), expect_run(DATABASE_READ_CONCERTS, END)); /* the sweep's */
}

/* So that its members are counted soon, and not only when somebody wants to buy. */
static void a_gate_that_a_settle_has_closed_gets_a_barrier(void **state)
{
    struct database_fixture *fixture = *state;
    char owner[16];
    is_assigned(fixture, 10);
    settles(fixture, 10, owner);
    settled(fixture, -3);
    assert_int_equal(the_kafka.waiting_count, 1);
    assert_memory_equal(the_kafka.waiting[0].payload, "1 settle ", 9);
    event_ends(fixture, KAFKA_PERSISTED);
    settles(fixture, 11, owner);
    settled(fixture, -1); /* it is closed, which others have seen to */
    assert_int_equal(the_kafka.waiting_count, 0);
}

/* --- many concerts -------------------------------------------------------------------------------
 */

/* Each is settled with its own ids, wherever these are in the batch. */
static void every_concert_is_told_of_its_own(void **state)
{
    struct database_fixture *fixture = *state;
    is_assigned(fixture, 10);
    arrive(fixture, 10, "1 reserve 00000000-0000-4000-8000-00000000000a 7 1 1 1700 3 -",
           "1 reserve 00000000-0000-4000-8000-00000000000b 2 1 1 1800 3 -",
           "1 reserve 00000000-0000-4000-8000-00000000000c 7 1 2 1900 3 -", NULL);
    struct database_run *run =
        expect_run(DATABASE_BEGIN, DATABASE_LOCK_POSITION, DATABASE_LOCK_CONCERT,
                   DATABASE_LOCK_CONCERT, DATABASE_READ_RESERVATIONS, DATABASE_READ_MEMBERS, END);
    run->steps[1].position.next_offset = 10;
    run->steps[1].position.epoch = 3;
    fill_concert(&run->steps[2], 100, 0, RESV_NO_MEMBER_LIMIT);
    fill_concert(&run->steps[3], 100, 0, RESV_NO_MEMBER_LIMIT);
    run->steps[5].members.items[0].found = true;
    run_done(HOST(fixture), run);
    run_done(HOST(fixture),
             expect_run(DATABASE_MOVE_POSITION, DATABASE_INSERT_EVENTS, DATABASE_TAKE_SEATS,
                        DATABASE_TAKE_SEATS, DATABASE_COMMIT, END));
    assert_int_equal(the_redis.count, 2);
    const struct log_call *two = &the_redis.calls[0], *seven = &the_redis.calls[1];
    assert_string_equal(two->arguments[6].bytes, "1800");
    assert_string_equal(two->arguments[9].bytes, "1");
    assert_int_equal(two->arguments[10].bytes[15], 0xb);
    assert_string_equal(seven->arguments[6].bytes, "1900");
    assert_string_equal(seven->arguments[4].bytes, "3");
    assert_string_equal(seven->arguments[9].bytes, "2");
    assert_int_equal(seven->arguments[10].bytes[15], 0xa);
    assert_int_equal(seven->arguments[12].bytes[15], 0xc);
    struct redis_call *second = the_redis.calls[1].call;
    the_redis.count = 1;
    settled(fixture, 1);
    the_redis.count = 1;
    the_redis.calls[0].call = second;
    settled(fixture, 1);
}

int main(void)
{
#define TEST(NAME)       cmocka_unit_test_setup_teardown(NAME, set_up, tear_down)
#define OWNER_TEST(NAME) cmocka_unit_test_setup_teardown(NAME, consumer_set_up, consumer_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(complete_when_applied_to_its_end),
        TEST(at_once_when_there_is_nothing),
        TEST(an_empty_log_may_begin_anywhere),
        TEST(an_end_from_before_counts_for_nothing),
        TEST(after_a_lost_answer_all_begins_anew),
        TEST(who_comes_back_asks_again),
        TEST(without_a_position_nothing_is_applied),
        OWNER_TEST(settles_without_a_hole_are_one_owners),
        OWNER_TEST(behind_a_settle_that_was_given_up_it_is_another),
        OWNER_TEST(a_gate_that_a_settle_has_closed_gets_a_barrier),
        OWNER_TEST(every_concert_is_told_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
