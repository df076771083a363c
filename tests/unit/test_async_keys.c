/* The async strategy's api side: requests with an Idempotency-Key, and what of them a Redis that
 * has lost data does not know any more. */
#include "async_fixture.h"

/* --- keys ---------------------------------------------------------------------------------------
 */

static void a_row_is_the_first_answer(void **state)
{
    struct database_fixture *fixture = *state;
    static const struct {
        int64_t quantity;
        enum resv_outcome outcome;
    } cases[] = {{2, RESV_ACCEPTED}, {3, RESV_KEY_REUSED}};
    for (size_t i = 0; i < 2; i++) {
        struct resv_op *op = reserve(fixture, true, 1);
        struct database_run *run = expect_run(DATABASE_READ_CONCERT, DATABASE_READ_RESERVATIONS,
                                              DATABASE_READ_MEMBERS, DATABASE_READ_EPOCH, END);
        fill_row(&run->steps[1], 0, 1, 1, cases[i].quantity, RESV_STATUS_REJECTED);
        knows(fixture, true, true);
        assert_outcome(op, cases[i].outcome);
        assert_int_equal(op->reservation.replay, i == 0);
    }
    expect_no_call();
}

static void what_is_pending_is_published_again(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = reserve_keyed(fixture);
    call_says(fixture, "reserve", N(1), T(PENDING_KEYED("1 1 2") "+"));
    expect_event(PENDING_KEYED("1 1 2")); /* as it stands there, without the mark */
    assert_under_way(op);
    event_is(fixture, KAFKA_PERSISTED);
    assert_outcome(op, RESV_ACCEPTED);
    assert_true(op->reservation.replay);
    op = reserve_keyed(fixture);
    call_says(fixture, "reserve", N(1), T(PENDING_KEYED("1 1 2") "+"));
    event_is(fixture, KAFKA_NOT_PERSISTED);
    assert_outcome(op, RESV_UNKNOWN); /* not this one's to undo */
    op = reserve_keyed(fixture);
    call_says(fixture, "reserve", N(1), T(PENDING_KEYED("1 1 3") "+"));
    assert_outcome(op, RESV_KEY_REUSED);
    op = reserve_keyed(fixture);
    call_says(fixture, "reserve", N(1), N(5));
    assert_outcome(op, RESV_KEY_REUSED);
    expect_no_event();
    expect_no_call();
}

static void refused_only_behind_a_look(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = reserve_keyed(fixture);
    call_says(fixture, "reserve", N(1), N(2));
    assert_under_way(op);
    knows(fixture, true, true);
    assert_outcome(op, RESV_SOLD_OUT);
    op = reserve_keyed(fixture);
    call_says(fixture, "reserve", N(1), N(3));
    struct database_run *run = expect_run(DATABASE_READ_CONCERT, DATABASE_READ_RESERVATIONS,
                                          DATABASE_READ_MEMBERS, DATABASE_READ_EPOCH, END);
    fill_row(&run->steps[1], 0, 1, 1, 2, RESV_STATUS_CONFIRMED);
    knows(fixture, true, true);
    assert_outcome(op, RESV_ACCEPTED);
    assert_int_equal(op->reservation.status, RESV_STATUS_CONFIRMED);
    op = reserve_keyed(fixture);
    call_says(fixture, "reserve", N(1), N(4)); /* settled: its row is there now */
    run = expect_run(DATABASE_READ_CONCERT, DATABASE_READ_RESERVATIONS, DATABASE_READ_MEMBERS,
                     DATABASE_READ_EPOCH, END);
    fill_row(&run->steps[1], 0, 1, 1, 2, RESV_STATUS_CONFIRMED);
    knows(fixture, true, true);
    assert_outcome(op, RESV_ACCEPTED);
    assert_true(op->reservation.replay);
}

/* The row of a key, as it was reserved, or not there. */
static void row_is(struct database_fixture *fixture, bool found, int64_t quantity)
{
    struct database_run *run = expect_run(DATABASE_READ_CONCERT, DATABASE_READ_RESERVATIONS,
                                          DATABASE_READ_MEMBERS, DATABASE_READ_EPOCH, END);
    if (found)
        fill_row(&run->steps[1], 0, 1, 1, quantity, RESV_STATUS_CONFIRMED);
    knows(fixture, true, true);
}

/* A key that is used is said to be, before its member or concert is said to be unknown. */
static void an_unknown_member_with_a_used_key(void **state)
{
    struct database_fixture *fixture = *state;
    static const struct {
        const char *pending;
        enum resv_outcome outcome;
    } cases[] = {{PENDING_KEYED("1 1 3"), RESV_KEY_REUSED},
                 {PENDING_KEYED("1 1 2"), RESV_UNKNOWN_MEMBER},
                 {NULL, RESV_UNKNOWN_MEMBER}};
    for (size_t i = 0; i < 3; i++) {
        struct resv_op *op = reserve(fixture, true, 1);
        knows(fixture, true, false);
        assert_int_equal(expect_call("probe")->arguments[1].size, 0);
        if (cases[i].pending != NULL) {
            call_says(fixture, "probe", T("1"));
            assert_int_equal(expect_call("probe")->arguments[1].size, 0); /* it is not marked */
            call_says(fixture, "probe", T(cases[i].pending));
        } else {
            call_says(fixture, "probe", N(1));
        }
        if (cases[i].outcome == RESV_UNKNOWN_MEMBER)
            knows(fixture, true, false);
        assert_outcome(op, cases[i].outcome);
    }
    struct resv_op *op = reserve(fixture, true, 1);
    knows(fixture, false, true);
    call_says(fixture, "probe", N(0));
    row_is(fixture, true, 3); /* applied just now */
    assert_outcome(op, RESV_KEY_REUSED);
    expect_no_event();
}

/* --- keys, and a Redis that has lost data -------------------------------------------------------
 */

static void looked_for_again_when_data_was_lost(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = reserve_keyed(fixture);
    call_says(fixture, "reserve", N(3), T("token"));
    row_is(fixture, false, 0);
    struct fake_call *call = expect_call("reserve");
    assert_string_equal(call->arguments[3].bytes, "token");
    call_says(fixture, "reserve", N(1), N(1));
    event_is(fixture, KAFKA_PERSISTED);
    assert_outcome(op, RESV_ACCEPTED);
    assert_false(op->reservation.replay);
    /* What is in the log is applied behind the first look, before the next token. */
    static const struct {
        int64_t quantity;
        enum resv_outcome outcome;
    } cases[] = {{2, RESV_ACCEPTED}, {3, RESV_KEY_REUSED}};
    for (size_t i = 0; i < 2; i++) {
        op = reserve_keyed(fixture);
        assert_string_equal(expect_call("reserve")->arguments[3].bytes, i == 0 ? "token" : "other");
        call_says(fixture, "reserve", N(3), T(i == 0 ? "other" : "third"));
        row_is(fixture, true, cases[i].quantity);
        assert_outcome(op, cases[i].outcome);
    }
    expect_no_call();
    expect_no_event();
}

static void waits_until_what_was_lost_has_its_rows(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = reserve_keyed(fixture);
    call_says(fixture, "reserve", N(1), N(6));
    expect_no_event(); /* no barrier: the gate is open */
    expect_no_call();
    fake_host_advance(&fixture->host, 10);
    call_says(fixture, "reserve", N(3), T("token"));
    row_is(fixture, true, 2);
    assert_outcome(op, RESV_ACCEPTED);
    op = reserve_keyed(fixture);
    for (int i = 0; i < 60 && op->state == RESV_OP_SUBMITTED; i++) {
        call_says(fixture, "reserve", N(1), N(6));
        fake_host_advance(&fixture->host, 10);
    }
    assert_outcome(op, RESV_UNAVAILABLE);
    expect_no_call();
}

/* It has waited at the gate, or in its vector, while the token became another. */
static void a_look_from_before_the_token_does_not_count(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *at_gate = reserve_keyed(fixture);
    call_says(fixture, "reserve", N(0));
    event_is(fixture, KAFKA_PERSISTED); /* the barrier */
    struct resv_op *taking = reserve_keyed(fixture);
    struct resv_op *unkeyed = reserve(fixture, false, 1); /* known by now */
    assert_int_equal(the_redis.count, 2);
    call_says(fixture, "reserve", N(3), T("token"));
    row_is(fixture, true, 2);
    assert_outcome(taking, RESV_ACCEPTED);
    call_says(fixture, "reserve", N(1), N(1));
    event_is(fixture, KAFKA_PERSISTED);
    assert_outcome(unkeyed, RESV_ACCEPTED);
    fake_host_advance(&fixture->host, 10);
    expect_no_call();
    row_is(fixture, true, 2);
    assert_outcome(at_gate, RESV_ACCEPTED);
    assert_true(at_gate->reservation.replay);
}

static void those_in_a_vector_look_again(void **state)
{
    struct database_fixture *fixture = *state;
    struct async *async = async_of(fixture);
    struct resv_op *keyed = reserve_keyed(fixture);
    call_says(fixture, "reserve", N(0));
    remember(fixture); /* a closed gate is forgotten */
    struct resv_op *unkeyed = reserve(fixture, false, 1);
    call_says(fixture, "reserve", N(0));
    event_is(fixture, KAFKA_PERSISTED); /* the barrier */
    gate_release_all(async);            /* both are in the vector now */
    async_learn_token(async, (struct redis_text){.bytes = "token", .size = 5});
    fake_host_flush(&fixture->host);
    assert_int_equal(expect_call("reserve")->arguments_count, 6 + 4);
    call_says(fixture, "reserve", N(1), N(1));
    event_is(fixture, KAFKA_PERSISTED);
    assert_outcome(unkeyed, RESV_ACCEPTED);
    row_is(fixture, false, 0);
    call_says(fixture, "reserve", N(1), N(2));
    row_is(fixture, false, 0);
    assert_outcome(keyed, RESV_SOLD_OUT);
}

static void behind_a_lost_call_a_key_is_looked_for(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = reserve_keyed(fixture);
    call_fails(fixture, "reserve", REDIS_LOST);
    redis_restarts("S");
    fake_host_advance(&fixture->host, 10);
    call_says(fixture, "reserve", N(3), T("token"));
    row_is(fixture, true, 2); /* the sweep had published it */
    assert_outcome(op, RESV_ACCEPTED);

    op = reserve_keyed(fixture);
    call_fails(fixture, "reserve", REDIS_LOST);
    fake_host_advance(&fixture->host, 10);
    call_says(fixture, "reserve", N(1), N(4));
    row_is(fixture, true, 2);
    assert_outcome(op, RESV_ACCEPTED);

    op = reserve_keyed(fixture);
    call_fails(fixture, "reserve", REDIS_LOST);
    fake_host_advance(&fixture->host, 10);
    call_says(fixture, "reserve", N(1), N(4));
    for (int i = 0; i < 2; i++)
        run_fails(&fixture->host,
                  expect_run(DATABASE_READ_CONCERT, DATABASE_READ_RESERVATIONS,
                             DATABASE_READ_MEMBERS, DATABASE_READ_EPOCH, END),
                  DATABASE_LOST, 0);
    assert_outcome(op, RESV_UNKNOWN);

    op = reserve_keyed(fixture);
    call_fails(fixture, "reserve", REDIS_LOST);
    fake_host_advance(&fixture->host, 10);
    call_says(fixture, "reserve", N(2), N(4)); /* a reset: the lost event is void */
    assert_outcome(op, RESV_UNKNOWN);

    op = reserve_keyed(fixture);
    for (int i = 0; i < 3; i++) {
        call_says(fixture, "reserve", N(1), N(4));
        row_is(fixture, false, 0); /* settled without a row: of before a reset */
    }
    call_says(fixture, "reserve", N(1), N(4));
    assert_outcome(op, RESV_UNAVAILABLE);
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, async_set_up, async_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_row_is_the_first_answer),
        TEST(what_is_pending_is_published_again),
        TEST(refused_only_behind_a_look),
        TEST(an_unknown_member_with_a_used_key),
        TEST(looked_for_again_when_data_was_lost),
        TEST(waits_until_what_was_lost_has_its_rows),
        TEST(a_look_from_before_the_token_does_not_count),
        TEST(those_in_a_vector_look_again),
        TEST(behind_a_lost_call_a_key_is_looked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
