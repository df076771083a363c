/* The async strategy's consumer: each event is applied once, in one transaction with the position,
 * and settled behind it. */
#include <string.h>

#include "consumer_fixture.h"

#define NOW(fixture) (&(fixture)->host)

static void assert_argument(const struct log_call *call, size_t index, const char *text)
{
    assert_true(index < call->count);
    assert_string_equal(call->arguments[index].bytes, text);
}

/* The careful way's first run, for concert 1: position, capacity, sold; all members exist, no row
 * does. `index` of the first step after the concert is returned by the run's shape. */
static struct database_run *facts(struct database_fixture *fixture, int64_t position,
                                  int64_t capacity, int64_t sold, int64_t limit)
{
    struct database_run *run =
        expect_run(DATABASE_BEGIN, DATABASE_LOCK_POSITION, DATABASE_LOCK_CONCERT,
                   DATABASE_READ_RESERVATIONS, DATABASE_READ_MEMBERS, END);
    (void)fixture;
    run->steps[1].position.next_offset = position;
    run->steps[1].position.epoch = 3;
    fill_concert(&run->steps[2], capacity, sold, limit);
    for (size_t i = 0; i < run->steps[4].members.count; i++)
        run->steps[4].members.items[i].found = true;
    return run;
}

/* Concert 1 and members 1 and 2 are known from here on; position 12, 3 seats sold of 100. */
static void applied_once(struct database_fixture *fixture)
{
    is_assigned(fixture, 10);
    arrive(fixture, 10, reserve_of(1, 1, 1), reserve_of(2, 2, 2), NULL);
    run_done(NOW(fixture), facts(fixture, 10, 100, 0, RESV_NO_MEMBER_LIMIT));
    struct database_run *run = expect_run(DATABASE_MOVE_POSITION, DATABASE_INSERT_EVENTS,
                                          DATABASE_TAKE_SEATS, DATABASE_COMMIT, END);
    run->steps[2].seats.changed = true;
    run_done(NOW(fixture), run);
    call_returns(fixture, "settle", NULL, (int64_t)1, (int64_t)97, (int64_t)0, INT64_MIN);
}

static void a_batch_is_one_transaction(void **state)
{
    struct database_fixture *fixture = *state;
    is_assigned(fixture, 10);
    assert_int_equal(the_kafka.fetched_from, 10);
    arrive(fixture, 10, reserve_of(1, 1, 1), reserve_of(2, 2, 2), NULL);
    run_done(NOW(fixture), facts(fixture, 10, 100, 5, RESV_NO_MEMBER_LIMIT));
    struct database_run *run = expect_run(DATABASE_MOVE_POSITION, DATABASE_INSERT_EVENTS,
                                          DATABASE_TAKE_SEATS, DATABASE_COMMIT, END);
    assert_int_equal(run->steps[0].position.from, 10);
    assert_int_equal(run->steps[0].position.to, 12);
    assert_int_equal(run->steps[0].position.epoch, 3);
    assert_int_equal(run->steps[1].events.count, 2);
    assert_int_equal(run->steps[1].events.rows[1].status, RESV_STATUS_CONFIRMED);
    assert_int_equal(run->steps[2].seats.seats, 3);
    run->steps[2].seats.changed = true;
    assert_int_equal(the_redis.count, 0);
    assert_int_equal(the_kafka.passed, -1);
    run_done(NOW(fixture), run);
    assert_int_equal(the_kafka.passed, 12);
    const struct log_call *call = the_call("settle");
    assert_argument(call, 0, "R");
    assert_argument(call, 1, "3");
    assert_argument(call, 2, "12");
    assert_argument(call, 3, "100");
    assert_argument(call, 4, "8");
    assert_argument(call, 5, "0");
    assert_argument(call, 6, "1700");
    assert_int_equal(call->arguments[8].size, 16);
    assert_argument(call, 9, "2");
    assert_int_equal(call->arguments[10].bytes[15], 1);
    assert_argument(call, 11, "-");
    assert_int_equal(call->count, 14);
    call_returns(fixture, "settle", NULL, (int64_t)1, (int64_t)92, (int64_t)0, INT64_MIN);
    assert_int_equal(fake_host_metric(NOW(fixture), "async_settles_ignored_total"), 0);
}

static void known_ones_go_plainly(void **state)
{
    struct database_fixture *fixture = *state;
    applied_once(fixture);
    arrive(fixture, 12, reserve_of(3, 1, 4), NULL);
    struct database_run *run =
        expect_run(DATABASE_BEGIN, DATABASE_MOVE_POSITION, DATABASE_INSERT_EVENTS,
                   DATABASE_TAKE_SEATS_OR_FAIL, DATABASE_READ_CONCERT, DATABASE_COMMIT, END);
    assert_int_equal(run->steps[1].position.from, 12);
    assert_int_equal(run->steps[1].position.to, 13);
    assert_int_equal(run->steps[3].seats.seats, 4);
    fill_concert(&run->steps[4], 100, 7, RESV_NO_MEMBER_LIMIT);
    run_done(NOW(fixture), run);
    assert_argument(the_call("settle"), 4, "7");
    /* The next transaction does not wait for the settle, but its own settle does. */
    arrive(fixture, 13, reserve_of(4, 1, 1), NULL);
    run = expect_run(DATABASE_BEGIN, DATABASE_MOVE_POSITION, DATABASE_INSERT_EVENTS,
                     DATABASE_TAKE_SEATS_OR_FAIL, DATABASE_READ_CONCERT, DATABASE_COMMIT, END);
    fill_concert(&run->steps[4], 100, 8, RESV_NO_MEMBER_LIMIT);
    run_done(NOW(fixture), run);
    assert_argument(the_call("settle"), 2, "13");
    call_returns(fixture, "settle", NULL, (int64_t)1, (int64_t)93, (int64_t)0, INT64_MIN);
    assert_argument(the_call("settle"), 2, "14");
    call_returns(fixture, "settle", NULL, (int64_t)1, (int64_t)92, (int64_t)0, INT64_MIN);
}

/* From before a reset, among others that could go plainly. */
static void void_events_get_no_rows(void **state)
{
    struct database_fixture *fixture = *state;
    applied_once(fixture);
    arrive(fixture, 12, "1 reserve 00000000-0000-0000-0000-000000000009 2 1 5 1700 2 -",
           reserve_of(3, 1, 4), NULL);
    run_done(NOW(fixture), facts(fixture, 12, 100, 3, RESV_NO_MEMBER_LIMIT));
    struct database_run *run = expect_run(DATABASE_MOVE_POSITION, DATABASE_INSERT_EVENTS,
                                          DATABASE_TAKE_SEATS, DATABASE_COMMIT, END);
    assert_int_equal(run->steps[0].position.to, 14);
    assert_int_equal(run->steps[1].events.count, 1);
    assert_int_equal(run->steps[1].events.rows[0].id.bytes[15], 3);
    assert_int_equal(run->steps[2].seats.seats, 4);
    run->steps[2].seats.changed = true;
    run_done(NOW(fixture), run);
    call_returns(fixture, "settle", NULL, (int64_t)1, (int64_t)93, (int64_t)0, INT64_MIN);
    assert_int_equal(fake_host_metric(NOW(fixture), "async_stale_total"), 1);
}

static void what_does_not_fit_becomes_a_row_that_says_so(void **state)
{
    struct database_fixture *fixture = *state;
    applied_once(fixture);
    arrive(fixture, 12, reserve_of(3, 1, 2), reserve_of(4, 2, 1), NULL);
    struct database_run *run =
        expect_run(DATABASE_BEGIN, DATABASE_MOVE_POSITION, DATABASE_INSERT_EVENTS,
                   DATABASE_TAKE_SEATS_OR_FAIL, DATABASE_READ_CONCERT, DATABASE_COMMIT, END);
    run_fails(NOW(fixture), run, DATABASE_REFUSED, 3);
    run_done(NOW(fixture), expect_run(DATABASE_ROLLBACK, END));
    run_done(NOW(fixture), facts(fixture, 12, 4, 3, RESV_NO_MEMBER_LIMIT));
    run = expect_run(DATABASE_MOVE_POSITION, DATABASE_INSERT_EVENTS, DATABASE_TAKE_SEATS,
                     DATABASE_COMMIT, END);
    assert_int_equal(run->steps[1].events.rows[0].status, RESV_STATUS_REJECTED);
    assert_int_equal(run->steps[1].events.rows[1].status, RESV_STATUS_CONFIRMED);
    assert_int_equal(run->steps[2].seats.seats, 1);
    run_done(NOW(fixture), run);
    assert_argument(the_call("settle"), 9, "2");
    call_returns(fixture, "settle", NULL, (int64_t)1, (int64_t)0, (int64_t)0, INT64_MIN);
}

static void a_release_flips_its_row_once(void **state)
{
    struct database_fixture *fixture = *state;
    is_assigned(fixture, 10);
    arrive(fixture, 10, release_of(1), release_of(1), release_of(2), NULL);
    struct database_run *run = expect_run(DATABASE_BEGIN, DATABASE_LOCK_POSITION,
                                          DATABASE_LOCK_CONCERT, DATABASE_READ_RESERVATIONS, END);
    run->steps[1].position.next_offset = 10;
    run->steps[1].position.epoch = 3;
    fill_concert(&run->steps[2], 100, 5, RESV_NO_MEMBER_LIMIT);
    assert_int_equal(run->steps[3].reservations.count, 2);
    fill_row(&run->steps[3], 0, 1, 1, 4, RESV_STATUS_CONFIRMED);
    fill_row(&run->steps[3], 1, 1, 1, 1, RESV_STATUS_REJECTED);
    run_done(NOW(fixture), run);
    run = expect_run(DATABASE_MOVE_POSITION, DATABASE_CANCEL_RESERVATION, DATABASE_GIVE_BACK_SEATS,
                     DATABASE_COMMIT, END);
    assert_int_equal(run->steps[1].reservation.id.bytes[15], 1);
    assert_int_equal(run->steps[2].seats.seats, 4);
    run_done(NOW(fixture), run);
    assert_argument(the_call("settle"), 4, "1");
    assert_argument(the_call("settle"), 9, "0");
    call_returns(fixture, "settle", NULL, (int64_t)1, (int64_t)99, (int64_t)0, INT64_MIN);
}

static void limits_are_counted_and_told(void **state)
{
    struct database_fixture *fixture = *state;
    is_assigned(fixture, 10);
    arrive(fixture, 10, reserve_of(1, 7, 2), reserve_of(2, 7, 1), reserve_of(3, 8, 3), NULL);
    run_done(NOW(fixture), facts(fixture, 10, 100, 5, 3));
    struct database_run *run = expect_run(DATABASE_READ_MEMBER_SEATS, END);
    assert_int_equal(run->steps[0].members.count, 2);
    run->steps[0].members.items[0].seats = 1;
    run_done(NOW(fixture), run);
    run = expect_run(DATABASE_MOVE_POSITION, DATABASE_INSERT_EVENTS, DATABASE_TAKE_SEATS,
                     DATABASE_COMMIT, END);
    assert_int_equal(run->steps[1].events.rows[0].status, RESV_STATUS_CONFIRMED);
    assert_int_equal(run->steps[1].events.rows[1].status, RESV_STATUS_REJECTED);
    assert_int_equal(run->steps[1].events.rows[2].status, RESV_STATUS_CONFIRMED);
    run_done(NOW(fixture), run);
    const struct log_call *call = the_call("settle");
    assert_argument(call, 9, "3");
    assert_argument(call, 16, "7");
    assert_argument(call, 17, "3");
    assert_argument(call, 18, "8");
    assert_argument(call, 19, "3");
    call_returns(fixture, "settle", NULL, (int64_t)1, (int64_t)90, (int64_t)0, INT64_MIN);
}

static void in_doubt_the_position_tells(void **state)
{
    struct database_fixture *fixture = *state;
    applied_once(fixture);
    arrive(fixture, 12, reserve_of(3, 1, 4), NULL);
    struct database_run *run =
        expect_run(DATABASE_BEGIN, DATABASE_MOVE_POSITION, DATABASE_INSERT_EVENTS,
                   DATABASE_TAKE_SEATS_OR_FAIL, DATABASE_READ_CONCERT, DATABASE_COMMIT, END);
    run_fails(NOW(fixture), run, DATABASE_LOST, 5);
    fake_host_advance(NOW(fixture), 1000);
    run_done(NOW(fixture), expect_run(DATABASE_END_SESSION, END));
    run = facts(fixture, 13, 100, 7, RESV_NO_MEMBER_LIMIT);
    fill_row(&run->steps[3], 0, 1, 1, 4, RESV_STATUS_CONFIRMED);
    run_done(NOW(fixture), run);
    assert_int_equal(the_redis.count, 0);
    run_done(NOW(fixture), expect_run(DATABASE_ROLLBACK, DATABASE_SYNC, END));
    assert_argument(the_call("settle"), 2, "13");
    assert_argument(the_call("settle"), 4, "7");
    assert_argument(the_call("settle"), 9, "1");
    assert_int_equal(the_kafka.fetched_from, 13);
    call_returns(fixture, "settle", NULL, (int64_t)1, (int64_t)93, (int64_t)0, INT64_MIN);
}

static void who_is_elsewhere_begins_there(void **state)
{
    struct database_fixture *fixture = *state;
    is_assigned(fixture, 10);
    arrive(fixture, 10, reserve_of(1, 1, 1), reserve_of(2, 2, 2), NULL);
    run_done(NOW(fixture), facts(fixture, 11, 100, 5, RESV_NO_MEMBER_LIMIT));
    run_done(NOW(fixture), expect_run(DATABASE_ROLLBACK, END));
    assert_int_equal(the_kafka.fetched_from, 11);
    assert_int_equal(the_redis.count, 0);
    arrive(fixture, 11, reserve_of(2, 2, 2), NULL);
    /* What was read was remembered: so the rest goes plainly. */
    struct database_run *run =
        expect_run(DATABASE_BEGIN, DATABASE_MOVE_POSITION, DATABASE_INSERT_EVENTS,
                   DATABASE_TAKE_SEATS_OR_FAIL, DATABASE_READ_CONCERT, DATABASE_COMMIT, END);
    assert_int_equal(run->steps[1].position.from, 11);
    assert_int_equal(run->steps[2].events.count, 1);
    fill_concert(&run->steps[4], 100, 7, RESV_NO_MEMBER_LIMIT);
    run_done(NOW(fixture), run);
    call_returns(fixture, "settle", NULL, (int64_t)1, (int64_t)93, (int64_t)0, INT64_MIN);
}

static void a_settle_that_was_lost_is_sent_again(void **state)
{
    struct database_fixture *fixture = *state;
    is_assigned(fixture, 10);
    arrive(fixture, 10, reserve_of(1, 1, 1), NULL);
    run_done(NOW(fixture), facts(fixture, 10, 100, 0, RESV_NO_MEMBER_LIMIT));
    run_done(NOW(fixture), expect_run(DATABASE_MOVE_POSITION, DATABASE_INSERT_EVENTS,
                                      DATABASE_TAKE_SEATS, DATABASE_COMMIT, END));
    call_ends(fixture, "settle", REDIS_LOST);
    assert_int_equal(the_redis.count, 0);
    fake_host_advance(NOW(fixture), 100);
    assert_argument(the_call("settle"), 2, "11");
    assert_argument(the_call("settle"), 9, "1");
    call_returns(fixture, "settle", NULL, (int64_t)0, (int64_t)99, (int64_t)0, INT64_MIN);
}

static void revoked_in_mid_batch_passes_nothing(void **state)
{
    struct database_fixture *fixture = *state;
    is_assigned(fixture, 10);
    arrive(fixture, 10, reserve_of(1, 1, 1), NULL);
    the_kafka.events.revoked(the_kafka.events.data, 0);
    run_done(NOW(fixture), facts(fixture, 10, 100, 0, RESV_NO_MEMBER_LIMIT));
    run_done(NOW(fixture), expect_run(DATABASE_MOVE_POSITION, DATABASE_INSERT_EVENTS,
                                      DATABASE_TAKE_SEATS, DATABASE_COMMIT, END));
    assert_int_equal(the_kafka.passed, -1);
    call_returns(fixture, "settle", NULL, (int64_t)1, (int64_t)99, (int64_t)0, INT64_MIN);
}

static void what_cannot_be_read_goes_to_the_letters(void **state)
{
    struct database_fixture *fixture = *state;
    is_assigned(fixture, 10);
    for (int i = 0; i < 3; i++) {
        arrive(fixture, 10, "rubbish", NULL);
        struct database_run *run = expect_run(DATABASE_BEGIN, DATABASE_LOCK_POSITION, END);
        run->steps[1].position.next_offset = 10;
        run->steps[1].position.epoch = 3;
        run_done(NOW(fixture), run);
        run_done(NOW(fixture), expect_run(DATABASE_ROLLBACK, END));
        if (i == 2)
            break;
        assert_int_equal(the_kafka.waiting_count, 0);
        fake_host_advance(NOW(fixture), 200);
        run = expect_run(DATABASE_READ_POSITION, DATABASE_SYNC, END);
        run->steps[0].position.next_offset = 10;
        run->steps[0].position.epoch = 3;
        run_done(NOW(fixture), run);
    }
    assert_int_equal(the_kafka.waiting_count, 1);
    assert_int_equal(the_kafka.waiting[0].event->target, KAFKA_DEAD_LETTERS);
    assert_string_equal(the_kafka.waiting[0].key, "0-10");
    assert_non_null(strstr(the_kafka.waiting[0].payload, "\nrubbish"));
    expect_no_run();
    event_ends(fixture, KAFKA_PERSISTED);
    struct database_run *run = expect_run(DATABASE_BEGIN, DATABASE_LOCK_POSITION, END);
    run->steps[1].position.next_offset = 10;
    run->steps[1].position.epoch = 3;
    run_done(NOW(fixture), run);
    run = expect_run(DATABASE_MOVE_POSITION, DATABASE_COMMIT, END);
    assert_int_equal(run->steps[0].position.to, 11);
    run_done(NOW(fixture), run);
    assert_int_equal(the_kafka.passed, 11);
    fake_host_advance(NOW(fixture), 1);
}

/* A barrier before a closed gate; up to the page of what is pending. */
static void barrier_applied(struct database_fixture *fixture)
{
    is_assigned(fixture, 10);
    arrive(fixture, 10, barrier_of(1), NULL);
    struct database_run *run =
        expect_run(DATABASE_BEGIN, DATABASE_LOCK_POSITION, DATABASE_LOCK_CONCERT, END);
    run->steps[1].position.next_offset = 10;
    run->steps[1].position.epoch = 3;
    fill_concert(&run->steps[2], 100, 5, RESV_NO_MEMBER_LIMIT);
    run_done(NOW(fixture), run);
    run_done(NOW(fixture), expect_run(DATABASE_MOVE_POSITION, DATABASE_COMMIT, END));
    call_returns(fixture, "settle", NULL, (int64_t)-1, (int64_t)0, (int64_t)0, INT64_MIN);
    assert_argument(the_call("rebuild"), 0, "clear");
    /* Nothing is applied meanwhile. */
    arrive(fixture, 11, reserve_of(1, 1, 1), NULL);
    expect_no_run();
    call_returns(fixture, "rebuild", NULL, (int64_t)1, INT64_MIN);
    call_returns(fixture, "scan", "0", INT64_MIN);
}

static struct database_run *concert_and_position(int64_t position)
{
    struct database_run *run = expect_run(DATABASE_READ_CONCERT, DATABASE_READ_POSITION, END);
    fill_concert(&run->steps[0], 100, 5, RESV_NO_MEMBER_LIMIT);
    run->steps[1].position.next_offset = position;
    run->steps[1].position.epoch = 3;
    return run;
}

static void a_barrier_opens_a_closed_gate(void **state)
{
    struct database_fixture *fixture = *state;
    barrier_applied(fixture);
    run_done(NOW(fixture), concert_and_position(11));
    const struct log_call *call = the_call("rebuild");
    assert_argument(call, 0, "open");
    assert_argument(call, 4, "11");
    assert_argument(call, 5, "100");
    assert_argument(call, 6, "5");
    call_returns(fixture, "rebuild", NULL, (int64_t)1, INT64_MIN);
    run_fails(NOW(fixture), facts(fixture, 11, 100, 5, RESV_NO_MEMBER_LIMIT), DATABASE_FAILED, 1);
    run_done(NOW(fixture), expect_run(DATABASE_ROLLBACK, END));
}

static void who_has_lost_the_partition_opens_nothing(void **state)
{
    struct database_fixture *fixture = *state;
    barrier_applied(fixture);
    run_done(NOW(fixture), concert_and_position(12));
    assert_int_equal(the_redis.count, 0);
    run_fails(NOW(fixture), facts(fixture, 12, 100, 5, RESV_NO_MEMBER_LIMIT), DATABASE_FAILED, 1);
    run_done(NOW(fixture), expect_run(DATABASE_ROLLBACK, END));
}

static void over_a_gap_the_position_is_moved(void **state)
{
    struct database_fixture *fixture = *state;
    is_assigned(fixture, 10);
    the_kafka.events.gap(the_kafka.events.data, 0, 50, 60);
    fake_host_flush(NOW(fixture));
    struct database_run *run =
        expect_run(DATABASE_BEGIN, DATABASE_MOVE_POSITION, DATABASE_COMMIT, END);
    assert_int_equal(run->steps[1].position.from, 10);
    assert_int_equal(run->steps[1].position.to, 50);
    run_done(NOW(fixture), run);
    run = expect_run(DATABASE_READ_POSITION, DATABASE_SYNC, END);
    run->steps[0].position.next_offset = 50;
    run->steps[0].position.epoch = 3;
    run_done(NOW(fixture), run);
    assert_int_equal(the_kafka.fetched_from, 50);
}

/* The log was made anew: its positions are lower than those that gates know. */
static void behind_a_new_log_gates_are_closed_first(void **state)
{
    struct database_fixture *fixture = *state;
    is_assigned(fixture, 10);
    the_kafka.events.gap(the_kafka.events.data, 0, 0, 4);
    fake_host_advance(NOW(fixture), 1);
    struct database_run *run = expect_run(DATABASE_READ_CONCERTS, END);
    run->steps[0].concert_page.count = 1;
    run->steps[0].concert_page.items[0] = (struct database_concert_step){.concert_id = 1};
    run_done(NOW(fixture), run);
    assert_argument(the_call("close"), 0, "gate");
    expect_no_run();
    call_returns(fixture, "close", NULL, (int64_t)1, INT64_MIN);
    run = expect_run(DATABASE_BEGIN, DATABASE_MOVE_POSITION, DATABASE_COMMIT, END);
    assert_int_equal(run->steps[1].position.to, 0);
    run_done(NOW(fixture), run);
    run_done(NOW(fixture), expect_run(DATABASE_READ_POSITION, DATABASE_SYNC, END));
}

enum { OWNER_SIZE = 16 }; /* partition, topic, random */

/* One batch's whole way, up to what it is settled by; the position is in its facts. */
static struct log_call *is_applied(struct database_fixture *fixture, struct database_run *facts)
{
    run_done(NOW(fixture), facts);
    run_done(NOW(fixture), expect_run(DATABASE_READ_MEMBER_SEATS, END));
    run_done(NOW(fixture), expect_run(DATABASE_MOVE_POSITION, DATABASE_INSERT_EVENTS,
                                      DATABASE_TAKE_SEATS, DATABASE_COMMIT, END));
    return the_call("settle");
}

/* What that one has applied may not be settled: the gate must not take this one's word for it. */
static void behind_anothers_batch_it_is_a_new_owner(void **state)
{
    struct database_fixture *fixture = *state;
    char first[OWNER_SIZE], second[OWNER_SIZE];
    is_assigned(fixture, 10);
    arrive(fixture, 10, reserve_of(1, 7, 1), NULL);
    struct log_call *settle = is_applied(fixture, facts(fixture, 10, 100, 0, 3));
    memcpy(first, settle->arguments[8].bytes, sizeof first);
    call_returns(fixture, "settle", NULL, (int64_t)1, (int64_t)99, (int64_t)0, INT64_MIN);
    arrive(fixture, 11, reserve_of(2, 8, 2), reserve_of(3, 7, 1), NULL);
    run_done(NOW(fixture), facts(fixture, 12, 100, 3, 3)); /* 11 is another's */
    run_done(NOW(fixture), expect_run(DATABASE_ROLLBACK, END));
    assert_int_equal(the_kafka.fetched_from, 12);
    arrive(fixture, 12, reserve_of(3, 7, 1), NULL);
    settle = is_applied(fixture, facts(fixture, 12, 100, 3, 3));
    memcpy(second, settle->arguments[8].bytes, sizeof second);
    call_returns(fixture, "settle", NULL, (int64_t)1, (int64_t)96, (int64_t)0, INT64_MIN);
    assert_memory_equal(first, second, 8); /* partition and topic */
    assert_memory_not_equal(first, second, sizeof first);
}

static void a_gap_that_others_have_passed_is_forgotten(void **state)
{
    struct database_fixture *fixture = *state;
    is_assigned(fixture, 10);
    arrive(fixture, 10, reserve_of(1, 1, 1), NULL);
    struct database_run *run = facts(fixture, 100, 100, 5, RESV_NO_MEMBER_LIMIT);
    the_kafka.events.gap(the_kafka.events.data, 0, 50, 200);
    fake_host_flush(NOW(fixture));
    run_done(NOW(fixture), run); /* it was applied long ago, by another process */
    run_done(NOW(fixture), expect_run(DATABASE_ROLLBACK, DATABASE_SYNC, END));
    assert_int_equal(the_kafka.fetched_from, 100);
    call_returns(fixture, "settle", NULL, (int64_t)1, (int64_t)95, (int64_t)0, INT64_MIN);
    arrive(fixture, 100, reserve_of(2, 1, 1), NULL);
    run_fails(NOW(fixture),
              expect_run(DATABASE_BEGIN, DATABASE_MOVE_POSITION, DATABASE_INSERT_EVENTS,
                         DATABASE_TAKE_SEATS_OR_FAIL, DATABASE_READ_CONCERT, DATABASE_COMMIT, END),
              DATABASE_FAILED, 1);
    run_done(NOW(fixture), expect_run(DATABASE_ROLLBACK, END));
    fake_host_advance(NOW(fixture), 250);
    run_done(NOW(fixture), expect_run(DATABASE_READ_POSITION, DATABASE_SYNC, END));
}

int main(void)
{
#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, consumer_set_up, consumer_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_batch_is_one_transaction),
        TEST(known_ones_go_plainly),
        TEST(void_events_get_no_rows),
        TEST(what_does_not_fit_becomes_a_row_that_says_so),
        TEST(a_release_flips_its_row_once),
        TEST(limits_are_counted_and_told),
        TEST(in_doubt_the_position_tells),
        TEST(who_is_elsewhere_begins_there),
        TEST(a_settle_that_was_lost_is_sent_again),
        TEST(revoked_in_mid_batch_passes_nothing),
        TEST(what_cannot_be_read_goes_to_the_letters),
        TEST(a_barrier_opens_a_closed_gate),
        TEST(who_has_lost_the_partition_opens_nothing),
        TEST(over_a_gap_the_position_is_moved),
        TEST(behind_a_new_log_gates_are_closed_first),
        TEST(behind_anothers_batch_it_is_a_new_owner),
        TEST(a_gap_that_others_have_passed_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
