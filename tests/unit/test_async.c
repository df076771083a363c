/* The async strategy's api side: what becomes of a reservation that Redis and Kafka answer. */
#include <string.h>

#include "async_fixture.h"

#define RESERVE_1 "1 reserve * 1 1 2 * 3 -"
/* --- the way ------------------------------------------------------------------------------------
 */

static void accepted_when_kafka_has_it(void **state)
{
    struct database_fixture *fixture = *state;
    remember(fixture);
    struct resv_op *op = reserve(fixture, false, 1);
    expect_no_run();
    struct fake_call *call = expect_call("reserve");
    assert_string_equal(call->key, "t:{c:1}:gate");
    assert_int_equal(call->arguments_count, 10);
    assert_string_equal(call->arguments[0].bytes, "R");
    assert_string_equal(call->arguments[1].bytes, "3");
    assert_string_equal(call->arguments[2].bytes, "1");
    assert_int_equal(call->arguments[3].size, 0); /* no token is known, and none is needed */
    assert_string_equal(call->arguments[4].bytes, "2");
    assert_string_equal(call->arguments[5].bytes, "0"); /* has a key */
    assert_memory_equal(call->arguments[6].bytes, op->id.bytes, RESV_ID_SIZE);
    assert_string_equal(call->arguments[8].bytes, "1");
    assert_string_equal(call->arguments[9].bytes, "2");
    expect_no_event();
    call_says(fixture, "reserve", N(4));
    assert_string_equal(expect_event(RESERVE_1)->key, "1");
    assert_under_way(op);
    event_is(fixture, KAFKA_PERSISTED);
    assert_outcome(op, RESV_ACCEPTED);
    assert_int_equal(op->reservation.status, RESV_STATUS_PENDING);
    assert_int_equal(op->reservation.quantity, 2);
    assert_false(op->reservation.replay);
}

static void what_comes_in_one_turn_shares_a_call(void **state)
{
    struct database_fixture *fixture = *state;
    remember(fixture);
    /* Strangers, so that one read ends for all of them in one turn. */
    struct resv_op *ops[3];
    for (int i = 0; i < 3; i++)
        ops[i] = reserve(fixture, false, 10 + i);
    expect_run(DATABASE_READ_CONCERT, DATABASE_READ_MEMBERS, DATABASE_READ_EPOCH, END);
    knows(fixture, true, true);
    knows(fixture, true, true);
    knows(fixture, true, true);
    assert_int_equal(the_redis.count, 2); /* a read each: three came in three turns */
    for (int i = 0; i < 3; i++)
        call_says(fixture, "reserve", N(0)); /* all come to a closed gate */
    assert_int_equal(the_kafka.count, 1);
    expect_event("1 settle * 1 - - * 3 -");
    event_is(fixture, KAFKA_PERSISTED);
    expect_no_call();
    fake_host_advance(&fixture->host, 10);
    assert_int_equal(expect_call("reserve")->arguments_count, 6 + 3 * 4);
    call_says(fixture, "reserve", N(1), N(1), N(2), N(3));
    assert_outcome(ops[1], RESV_SOLD_OUT);
    assert_outcome(ops[2], RESV_LIMIT);
    event_is(fixture, KAFKA_PERSISTED);
    assert_outcome(ops[0], RESV_ACCEPTED);
}

static void what_comes_meanwhile_shares_the_next_call(void **state)
{
    struct database_fixture *fixture = *state;
    remember(fixture);
    struct resv_op *ops[5];
    for (int i = 0; i < 5; i++)
        ops[i] = reserve(fixture, false, 1);
    assert_int_equal(the_redis.count, 2); /* one for each of the first */
    cancel_op(fixture, ops[3]);
    call_says(fixture, "reserve", N(4));
    assert_int_equal(the_redis.count, 2);
    call_says(fixture, "reserve", N(1), N(2));
    assert_int_equal(expect_call("reserve")->arguments_count, 6 + 2 * 4);
    call_says(fixture, "reserve", N(4));
    expect_no_call();
    assert_outcome(ops[1], RESV_SOLD_OUT);
    assert_outcome(ops[3], RESV_CANCELLED);
    for (size_t i = 0; i < 3; i++)
        event_is(fixture, KAFKA_PERSISTED);
    assert_outcome(ops[0], RESV_ACCEPTED);
    assert_outcome(ops[2], RESV_ACCEPTED);
    assert_outcome(ops[4], RESV_ACCEPTED);
}

/* Its event is void: nothing is taken for it in the gate from behind the reset. */
static void an_event_from_before_a_reset_takes_nothing(void **state)
{
    struct database_fixture *fixture = *state;
    remember(fixture);
    struct resv_op *ops[3];
    for (int i = 0; i < 3; i++)
        ops[i] = reserve(fixture, false, 1);
    assert_int_equal(the_redis.count, 2);    /* the third waits for one of them to end */
    async_learn_epoch(async_of(fixture), 4); /* by another read, or the consumer */
    call_says(fixture, "reserve", N(4));     /* of before */
    assert_int_equal(the_redis.count, 1);    /* the one that waited is not sent: looked for anew */
    call_fails(fixture, "reserve", REDIS_LOST);
    fake_host_advance(&fixture->host, 10);
    expect_no_call();
    assert_outcome(ops[1], RESV_UNKNOWN);
    knows(fixture, false, true);
    assert_outcome(ops[2], RESV_UNKNOWN_CONCERT); /* gone with the reset */
    event_is(fixture, KAFKA_PERSISTED);
    assert_outcome(ops[0], RESV_ACCEPTED);
}

static void strangers_are_looked_for(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = reserve(fixture, false, 1);
    expect_run(DATABASE_READ_CONCERT, DATABASE_READ_MEMBERS, DATABASE_READ_EPOCH, END);
    knows(fixture, false, true);
    assert_outcome(op, RESV_UNKNOWN_CONCERT);
    op = reserve(fixture, false, 5);
    knows(fixture, true, false);
    assert_outcome(op, RESV_UNKNOWN_MEMBER);
    expect_no_call();
}

static void a_lost_read_is_made_once_more(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = reserve(fixture, false, 6);
    for (int i = 0; i < 2; i++)
        run_fails(
            &fixture->host,
            expect_run(DATABASE_READ_CONCERT, DATABASE_READ_MEMBERS, DATABASE_READ_EPOCH, END),
            DATABASE_LOST, 0);
    assert_outcome(op, RESV_UNAVAILABLE);
    expect_no_call();
    op = reserve(fixture, false, 6);
    run_fails(&fixture->host,
              expect_run(DATABASE_READ_CONCERT, DATABASE_READ_MEMBERS, DATABASE_READ_EPOCH, END),
              DATABASE_LOST, 0);
    knows(fixture, true, true);
    call_says(fixture, "reserve", N(1), N(2));
    assert_outcome(op, RESV_SOLD_OUT);
}

static void the_database_may_be_away(void **state)
{
    struct database_fixture *fixture = *state;
    remember(fixture);
    the_link.up = false;
    struct resv_op *op = reserve(fixture, false, 1);
    struct resv_op *stranger = reserve(fixture, false, 7);
    assert_outcome(stranger, RESV_UNAVAILABLE);
    call_says(fixture, "reserve", N(1), N(1));
    event_is(fixture, KAFKA_PERSISTED);
    assert_outcome(op, RESV_ACCEPTED);
    the_link.up = true;
}

/* --- nothing is taken ---------------------------------------------------------------------------
 */

static void without_redis_or_kafka_or_room_nothing_is_asked(void **state)
{
    struct database_fixture *fixture = *state;
    remember(fixture);
    the_redis.down = true;
    assert_outcome(reserve(fixture, false, 1), RESV_UNAVAILABLE);
    the_redis.down = false;
    the_kafka.down = true;
    assert_outcome(reserve(fixture, false, 1), RESV_UNAVAILABLE);
    the_kafka.down = false;
    the_kafka.room = 1;
    struct resv_op *op = reserve(fixture, false, 1);
    assert_outcome(reserve(fixture, false, 2), RESV_UNAVAILABLE); /* its room is the first one's */
    assert_int_equal(the_redis.count, 1);
    call_says(fixture, "reserve", N(1), N(2));
    assert_outcome(op, RESV_SOLD_OUT);
    op = reserve(fixture, false, 1); /* the room is back */
    call_fails(fixture, "reserve", REDIS_DOWN);
    assert_outcome(op, RESV_UNAVAILABLE);
    op = reserve(fixture, false, 1);
    call_fails(fixture, "reserve", REDIS_REFUSED);
    assert_outcome(op, RESV_UNAVAILABLE);
    expect_no_event();
}

static void closed_for_too_long(void **state)
{
    struct database_fixture *fixture = *state;
    remember(fixture);
    struct resv_op *op = reserve(fixture, false, 1);
    call_says(fixture, "reserve", N(0));
    for (int i = 0; i < 50 && op->state == RESV_OP_SUBMITTED; i++) {
        fake_host_advance(&fixture->host, 10);
        call_says(fixture, "reserve", N(0));
    }
    assert_outcome(op, RESV_UNAVAILABLE);
    assert_int_equal(the_kafka.count, 3); /* barriers: at 0, 200 and 400 ms, and no more */
    assert_int_equal(fake_host_metric(&fixture->host, "async_gate_closed_total"), 1);
    for (int i = 0; i < 3; i++)
        event_is(fixture, KAFKA_NOT_PERSISTED);
    expect_no_call();
}

static void another_epoch_is_looked_into(void **state)
{
    struct database_fixture *fixture = *state;
    remember(fixture);
    struct resv_op *op = reserve(fixture, false, 1);
    call_says(fixture, "reserve", N(2), N(5));
    assert_int_equal(async_of(fixture)->epoch, 5);
    knows(fixture, true, true); /* all that was remembered is forgotten */
    assert_string_equal(expect_call("reserve")->arguments[1].bytes, "5");
    call_says(fixture, "reserve", N(2), N(4)); /* the gate is from before the reset */
    expect_event("1 settle * 1 - - * 5 -");
    event_is(fixture, KAFKA_PERSISTED);
    fake_host_advance(&fixture->host, 10);
    call_says(fixture, "reserve", N(1), N(1));
    expect_event("1 reserve * 1 1 2 * 5 -");
    event_is(fixture, KAFKA_PERSISTED);
    assert_outcome(op, RESV_ACCEPTED);
}

/* --- an answer is lost --------------------------------------------------------------------------
 */

static void a_lost_call_is_made_again(void **state)
{
    struct database_fixture *fixture = *state;
    remember(fixture);
    struct resv_op *op = reserve(fixture, false, 1);
    char text[EVENT_SIZE_MAX];
    memcpy(text, expect_call("reserve")->arguments[7].bytes, sizeof text);
    call_fails(fixture, "reserve", REDIS_LOST);
    fixture->host.wall_ms += 1000;
    fake_host_advance(&fixture->host, 10);
    assert_string_equal(expect_call("reserve")->arguments[7].bytes, text); /* the same event */
    call_says(fixture, "reserve", N(1), N(1));
    event_is(fixture, KAFKA_PERSISTED);
    assert_outcome(op, RESV_ACCEPTED);
}

static void behind_a_lost_call_no_refusal_is_certain(void **state)
{
    struct database_fixture *fixture = *state;
    static const int64_t refusals[] = {2, 3, 5};
    remember(fixture);
    for (size_t i = 0; i < 3; i++) {
        struct resv_op *op = reserve(fixture, false, 1);
        call_fails(fixture, "reserve", REDIS_LOST);
        fake_host_advance(&fixture->host, 10);
        call_says(fixture, "reserve", N(1), N(refusals[i]));
        assert_outcome(op, RESV_UNKNOWN);
    }
    struct resv_op *op = reserve(fixture, false, 1);
    call_fails(fixture, "reserve", REDIS_LOST);
    the_redis.down = true;
    fake_host_advance(&fixture->host, 400);
    assert_under_way(op);
    fake_host_advance(&fixture->host, 200);
    assert_outcome(op, RESV_UNKNOWN);
    the_redis.down = false;
    op = reserve(fixture, false, 1);
    call_fails(fixture, "reserve", REDIS_LOST);
    fake_host_advance(&fixture->host, 10);
    call_says(fixture, "reserve", N(1), N(1));
    event_is(fixture, KAFKA_NOT_PERSISTED);
    call_says(fixture, "undo", N(1));
    assert_outcome(op, RESV_UNKNOWN); /* the lost call may take it yet */
}

/* --- Kafka does not have it ---------------------------------------------------------------------
 */

static void what_is_not_in_the_log_is_undone(void **state)
{
    struct database_fixture *fixture = *state;
    remember(fixture);
    struct resv_op *op = reserve(fixture, false, 1);
    call_says(fixture, "reserve", N(1), N(1));
    event_is(fixture, KAFKA_NOT_PERSISTED);
    struct fake_call *call = expect_call("undo");
    assert_memory_equal(call->arguments[1].bytes, op->id.bytes, RESV_ID_SIZE);
    assert_string_equal(call->arguments[3].bytes, "1");
    assert_string_equal(call->arguments[4].bytes, "2");
    assert_under_way(op);
    call_says(fixture, "undo", N(1));
    assert_outcome(op, RESV_UNAVAILABLE);
    assert_int_equal(fake_host_metric(&fixture->host, "async_undone_total"), 1);

    op = reserve(fixture, false, 1);
    call_says(fixture, "reserve", N(1), N(1));
    event_is(fixture, KAFKA_NOT_PERSISTED);
    call_says(fixture, "undo", N(0)); /* somebody else may have published it */
    assert_outcome(op, RESV_UNKNOWN);

    op = reserve(fixture, false, 1);
    call_says(fixture, "reserve", N(1), N(1));
    event_is(fixture, KAFKA_NOT_PERSISTED);
    call_fails(fixture, "undo", REDIS_LOST);
    assert_outcome(op, RESV_UNKNOWN);
}

static void what_may_be_in_the_log_stays_taken(void **state)
{
    struct database_fixture *fixture = *state;
    remember(fixture);
    struct resv_op *op = reserve(fixture, false, 1);
    call_says(fixture, "reserve", N(1), N(1));
    event_is(fixture, KAFKA_POSSIBLY_PERSISTED);
    assert_outcome(op, RESV_UNKNOWN);
    expect_no_call();
}

static void redis_is_another_one_by_then(void **state)
{
    struct database_fixture *fixture = *state;
    remember(fixture);
    struct resv_op *op = reserve(fixture, false, 1);
    call_says(fixture, "reserve", N(1), N(1));
    redis_restarts("R"); /* the connection only */
    event_is(fixture, KAFKA_PERSISTED);
    assert_outcome(op, RESV_ACCEPTED);
    op = reserve(fixture, false, 1);
    call_says(fixture, "reserve", N(1), N(1));
    redis_restarts("S");
    event_is(fixture, KAFKA_PERSISTED);
    assert_outcome(op, RESV_UNKNOWN); /* its seats may have been sold again meanwhile */
    op = reserve(fixture, false, 1);
    call_says(fixture, "reserve", N(1), N(1));
    the_redis.down = true; /* who knows which one will come back */
    event_is(fixture, KAFKA_PERSISTED);
    assert_outcome(op, RESV_UNKNOWN);
    the_redis.down = false;
    op = reserve_keyed(fixture);
    call_says(fixture, "reserve", N(1), T(PENDING_KEYED("1 1 2") "+"));
    redis_restarts("T");
    event_is(fixture, KAFKA_PERSISTED);
    assert_outcome(op, RESV_UNKNOWN);
    op = reserve(fixture, false, 1);
    assert_string_equal(expect_call("reserve")->arguments[0].bytes, "T");
    call_says(fixture, "reserve", N(1), N(2));
    assert_outcome(op, RESV_SOLD_OUT);
}

/* --- cancel and drain ---------------------------------------------------------------------------
 */

static void cancelled_where_nothing_was_sent(void **state)
{
    struct database_fixture *fixture = *state;
    remember(fixture);
    link_sessions(DATABASE_READS, 0);
    struct resv_op *stranger = reserve(fixture, false, 7); /* waits for a session */
    cancel_op(fixture, stranger);
    assert_outcome(stranger, RESV_CANCELLED);
    link_grant();
    fake_host_flush(&fixture->host);
    struct resv_op *op = reserve(fixture, false, 1);
    cancel_op(fixture, op);
    assert_under_way(op); /* it was sent */
    call_says(fixture, "reserve", N(0));
    event_is(fixture, KAFKA_PERSISTED);
    fake_host_advance(&fixture->host, 10);
    assert_outcome(op, RESV_CANCELLED);
    remember(fixture);
    op = reserve(fixture, false, 1);
    call_says(fixture, "reserve", N(0));
    cancel_op(fixture, op);
    assert_outcome(op, RESV_CANCELLED);
    fake_host_advance(&fixture->host, 20); /* nobody waits at the gate */
    expect_no_call();
}

static void at_the_drains_deadline_all_ends(void **state)
{
    struct database_fixture *fixture = *state;
    remember(fixture);
    struct resv_op *taking = reserve(fixture, false, 1);
    struct resv_op *publishing = reserve(fixture, false, 1);
    struct resv_op *at_gate = reserve(fixture, false, 1);
    call_fails(fixture, "reserve", REDIS_LOST);
    (void)taking;
    call_says(fixture, "reserve", N(1), N(1));
    call_says(fixture, "reserve", N(0));
    drain(fixture, 0);
    assert_true(the_redis.interrupted && the_kafka.interrupted && the_link.interrupted);
    assert_outcome(taking, RESV_UNKNOWN);
    assert_outcome(at_gate, RESV_UNAVAILABLE);
    assert_under_way(publishing);
    assert_int_equal(fixture->host.drained, 0);
    event_is(fixture, KAFKA_POSSIBLY_PERSISTED);
    assert_outcome(publishing, RESV_UNKNOWN);
    event_is(fixture, KAFKA_POSSIBLY_PERSISTED); /* the barrier: of nobody, but under way */
    assert_int_equal(fixture->host.drained, 1);
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, async_set_up, async_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(accepted_when_kafka_has_it),
        TEST(what_comes_in_one_turn_shares_a_call),
        TEST(what_comes_meanwhile_shares_the_next_call),
        TEST(an_event_from_before_a_reset_takes_nothing),
        TEST(strangers_are_looked_for),
        TEST(a_lost_read_is_made_once_more),
        TEST(the_database_may_be_away),
        TEST(without_redis_or_kafka_or_room_nothing_is_asked),
        TEST(closed_for_too_long),
        TEST(another_epoch_is_looked_into),
        TEST(a_lost_call_is_made_again),
        TEST(behind_a_lost_call_no_refusal_is_certain),
        TEST(what_is_not_in_the_log_is_undone),
        TEST(what_may_be_in_the_log_stays_taken),
        TEST(redis_is_another_one_by_then),
        TEST(cancelled_where_nothing_was_sent),
        TEST(at_the_drains_deadline_all_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
