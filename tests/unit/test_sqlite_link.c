/* The SQLite link: batches, lookups, its life, on a real file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sqlite_fixture.h"

#define OUTCOME(item, expected) assert_int_equal((item).outcome, (expected))

/* --- batches ---------------------------------------------------------------------------------- */

static void first_that_fit_win(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, 4);
    struct sqlite_item items[6];
    struct sqlite_concert_seats seats[6];
    for (size_t i = 0; i < 6; i++)
        items[i] = item_reserve(fixture, 1, 1 + (int64_t)i);
    items[1].quantity = 2;
    items[2].quantity = 2; /* 1 seat is left: does not fit, but the next does */
    assert_int_equal(fixture_apply_seats(fixture, items, 6, seats), 1);
    OUTCOME(items[0], RESV_GRANTED);
    OUTCOME(items[1], RESV_GRANTED);
    OUTCOME(items[2], RESV_SOLD_OUT);
    OUTCOME(items[3], RESV_GRANTED);
    OUTCOME(items[4], RESV_SOLD_OUT);
    OUTCOME(items[5], RESV_SOLD_OUT);
    assert_int_equal(seats[0].concert_id, 1);
    assert_int_equal(seats[0].remaining, 0);
    assert_int_equal(items[1].reservation.quantity, 2);
    assert_int_equal(items[1].reservation.member_id, 2);
    assert_int_equal(items[1].reservation.status, RESV_STATUS_CONFIRMED);
    assert_false(items[1].reservation.replay);
    assert_int_equal(fixture_sold(fixture, 1), 4);
    assert_int_equal(fixture_sold(fixture, 2), 0);
    fixture_audit(fixture);
}

static void capacity_is_exact_over_many_batches(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, 1234);
    size_t granted = 0;
    for (unsigned round = 0; round < 7; round++) {
        static struct sqlite_item items[200];
        for (size_t i = 0; i < 200; i++) {
            items[i] = item_reserve(fixture, 2, 1 + (int64_t)(i % 10));
            items[i].id.bytes[1] = (uint8_t)round;
        }
        assert_true(fixture_apply(fixture, items, 200));
        for (size_t i = 0; i < 200; i++) {
            bool fits = round * 200 + i < 1234;
            OUTCOME(items[i], fits ? RESV_GRANTED : RESV_SOLD_OUT);
            granted += items[i].outcome == RESV_GRANTED;
        }
    }
    assert_int_equal(granted, 1234);
    assert_int_equal(fixture_sold(fixture, 2), 1234);
    fixture_audit(fixture);
}

static void many_concerts_in_one_batch(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, 1);
    struct resv_catalog_request request = {
        .reset_concerts = 500, .reset_members = 1, .reset_capacity = 1};
    struct resv_op reset = {.kind = RESV_OP_RESET, .catalog = &request};
    assert_int_equal(fixture_catalog(fixture, &reset), RESV_STORED);
    static struct sqlite_item items[1000];
    static struct sqlite_concert_seats seats[1000];
    for (size_t i = 0; i < 1000; i++) {
        items[i] = item_reserve(fixture, 1 + (int64_t)(i % 500), 1);
        items[i].id.bytes[1] = (uint8_t)(i >> 8);
        items[i].id.bytes[2] = (uint8_t)i;
    }
    assert_int_equal(fixture_apply_seats(fixture, items, 1000, seats), 500);
    for (size_t i = 0; i < 1000; i++)
        OUTCOME(items[i], i < 500 ? RESV_GRANTED : RESV_SOLD_OUT);
    for (size_t i = 0; i < 500; i++)
        assert_int_equal(seats[i].remaining, 0);
    fixture_audit(fixture);
}

static void replays_and_reused_keys(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, 2);
    struct sqlite_item items[6];
    items[0] = item_reserve(fixture, 1, 7);
    items[0].keyed = true;
    for (size_t i = 1; i < 6; i++)
        items[i] = items[0];
    struct sqlite_item another_member = items[0];
    another_member.member_id = 8;
    items[2].quantity = 2;
    items[3].concert_id = 2;
    items[4].concert_id = 99; /* unknown, but the key stands for another request */
    assert_true(fixture_apply(fixture, items, 6));
    OUTCOME(items[0], RESV_GRANTED);
    assert_false(items[0].reservation.replay);
    OUTCOME(items[1], RESV_GRANTED); /* in the same batch */
    assert_true(items[1].reservation.replay);
    OUTCOME(items[2], RESV_KEY_REUSED);
    OUTCOME(items[3], RESV_KEY_REUSED);
    OUTCOME(items[4], RESV_KEY_REUSED);
    assert_int_equal(fixture_sold(fixture, 1), 1);

    /* Sold out by others: the replay is still found, also with its row cancelled. */
    assert_true(fixture_apply(fixture, &another_member, 1));
    OUTCOME(another_member, RESV_KEY_REUSED);
    struct sqlite_item other = item_reserve(fixture, 1, 8);
    assert_true(fixture_apply(fixture, &other, 1));
    OUTCOME(other, RESV_GRANTED);
    assert_true(fixture_apply(fixture, &items[5], 1));
    OUTCOME(items[5], RESV_GRANTED);
    assert_true(items[5].reservation.replay);
    assert_int_equal(items[5].reservation.status, RESV_STATUS_CONFIRMED);
    struct sqlite_item more[2] = {item_release(&items[0]), items[0]};
    assert_true(fixture_apply(fixture, more, 2));
    OUTCOME(more[0], RESV_RELEASED);
    OUTCOME(more[1], RESV_GRANTED);
    assert_true(more[1].reservation.replay);
    assert_int_equal(more[1].reservation.status, RESV_STATUS_CANCELLED);
    assert_int_equal(fixture_sold(fixture, 1), 1);
    fixture_audit(fixture);
}

static void unknown_ones_are_said_first(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, 1);
    struct sqlite_item items[5];
    struct sqlite_concert_seats seats[5];
    items[0] = item_reserve(fixture, 1, 11); /* seats are left */
    items[1] = item_reserve(fixture, 9, 1);
    items[2] = item_reserve(fixture, 1, 1);
    items[3] = item_reserve(fixture, 1, 11); /* sold out by now */
    items[4] = item_reserve(fixture, 1, 2);
    assert_int_equal(fixture_apply_seats(fixture, items, 5, seats), 1);
    OUTCOME(items[0], RESV_UNKNOWN_MEMBER);
    OUTCOME(items[1], RESV_UNKNOWN_CONCERT);
    OUTCOME(items[2], RESV_GRANTED);
    OUTCOME(items[3], RESV_UNKNOWN_MEMBER);
    OUTCOME(items[4], RESV_SOLD_OUT);
    fixture_audit(fixture);
}

static void seats_come_back_and_sell_again(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, 3);
    struct sqlite_item first = item_reserve(fixture, 1, 1);
    first.quantity = 3;
    assert_true(fixture_apply(fixture, &first, 1));
    struct sqlite_item items[7];
    items[0] = item_reserve(fixture, 1, 2);
    items[1] = item_release(&first);
    items[2] = item_reserve(fixture, 1, 3);
    items[3] = item_release(&first); /* again: nothing more comes back */
    items[4] = item_reserve(fixture, 1, 4);
    items[4].quantity = 2;
    items[5] = item_reserve(fixture, 1, 5);
    struct sqlite_item never = item_reserve(fixture, 1, 1);
    items[6] = item_release(&never);
    assert_true(fixture_apply(fixture, items, 7));
    OUTCOME(items[0], RESV_SOLD_OUT);
    OUTCOME(items[1], RESV_RELEASED);
    OUTCOME(items[2], RESV_GRANTED);
    OUTCOME(items[3], RESV_RELEASED);
    OUTCOME(items[4], RESV_GRANTED);
    OUTCOME(items[5], RESV_SOLD_OUT);
    OUTCOME(items[6], RESV_NOT_FOUND);
    assert_int_equal(fixture_sold(fixture, 1), 3);
    fixture_audit(fixture);
}

static void member_limit_holds(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, 10);
    struct sqlite_item before = item_reserve(fixture, 1, 1);
    assert_true(fixture_apply(fixture, &before, 1)); /* counted although the limit comes later */
    fixture_set_limit(fixture, 1, 2);
    struct sqlite_item items[8];
    items[0] = item_reserve(fixture, 1, 1);
    items[0].keyed = true;
    items[1] = item_reserve(fixture, 1, 1);
    items[2] = items[0]; /* a replay is no further seat */
    items[3] = item_reserve(fixture, 1, 2);
    items[3].quantity = 3;
    items[4] = item_release(&before);
    items[5] = item_reserve(fixture, 1, 1);
    items[6] = item_reserve(fixture, 2, 1); /* no limit there */
    items[7] = item_reserve(fixture, 1, 1);
    assert_true(fixture_apply(fixture, items, 8));
    OUTCOME(items[0], RESV_GRANTED);
    OUTCOME(items[1], RESV_LIMIT);
    OUTCOME(items[2], RESV_GRANTED);
    assert_true(items[2].reservation.replay);
    OUTCOME(items[3], RESV_LIMIT);
    OUTCOME(items[4], RESV_RELEASED);
    OUTCOME(items[5], RESV_GRANTED);
    OUTCOME(items[6], RESV_GRANTED);
    OUTCOME(items[7], RESV_LIMIT);
    fixture_set_limit(fixture, 1, 3);
    struct sqlite_item third = item_reserve(fixture, 1, 1);
    assert_true(fixture_apply(fixture, &third, 1));
    OUTCOME(third, RESV_GRANTED);
    fixture_set_limit(fixture, 1, RESV_NO_MEMBER_LIMIT);
    struct sqlite_item fourth = item_reserve(fixture, 1, 1);
    struct sqlite_item fifth = item_reserve(fixture, 1, 1);
    assert_true(fixture_apply(fixture, &fourth, 1));
    OUTCOME(fourth, RESV_GRANTED);
    fixture_set_limit(fixture, 1, 4);
    assert_true(fixture_apply(fixture, &fifth, 1));
    OUTCOME(fifth, RESV_LIMIT);
    fixture_audit(fixture);
}

static void largest_numbers(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, RESV_INTEGER_MAX);
    struct sqlite_item items[3];
    for (size_t i = 0; i < 3; i++) {
        items[i] = item_reserve(fixture, 1, 1);
        items[i].quantity = RESV_INTEGER_MAX;
    }
    items[1].member_id = RESV_INTEGER_MAX;
    items[2].concert_id = RESV_INTEGER_MAX;
    assert_true(fixture_apply(fixture, items, 3));
    OUTCOME(items[0], RESV_GRANTED);
    OUTCOME(items[1], RESV_UNKNOWN_MEMBER);
    OUTCOME(items[2], RESV_UNKNOWN_CONCERT);
    fixture_audit(fixture);
}

static void everything_is_there_after_reopening(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, 5);
    struct sqlite_item items[2] = {item_reserve(fixture, 1, 1), item_reserve(fixture, 1, 2)};
    struct sqlite_item release = item_release(&items[1]);
    assert_true(fixture_apply(fixture, items, 2));
    assert_true(fixture_apply(fixture, &release, 1));
    fixture_close(fixture);
    assert_int_equal(fixture_sql(fixture, "SELECT sold FROM concerts WHERE id = 1"), 1);
    assert_int_equal(fixture_sql(fixture, "SELECT created_at FROM reservations"), 1700000000123);
    assert_true(fixture_start(fixture));
    struct sqlite_lookup found[2] = {{.want_reservation = true, .id = items[0].id},
                                     {.want_reservation = true, .id = items[1].id}};
    fixture_look_up(fixture, found, 2);
    assert_int_equal(found[0].reservation.status, RESV_STATUS_CONFIRMED);
    assert_int_equal(found[1].reservation.status, RESV_STATUS_CANCELLED);
    fixture_audit(fixture);
}

/* --- lookups ---------------------------------------------------------------------------------- */

static void lookups_see_what_is_committed(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, 5);
    struct sqlite_item item = item_reserve(fixture, 3, 4);
    item.quantity = 2;
    assert_true(fixture_apply(fixture, &item, 1));
    struct sqlite_lookup lookups[4] = {
        {.want_reservation = true, .id = item.id},
        {.want_reservation = true, .id = {{1}}, .member_id = 10},
        {.member_id = 11},
        {.want_reservation = true, .id = item.id, .member_id = 1},
    };
    fixture_look_up(fixture, lookups, 4);
    assert_true(lookups[0].found);
    assert_int_equal(lookups[0].reservation.concert_id, 3);
    assert_int_equal(lookups[0].reservation.member_id, 4);
    assert_int_equal(lookups[0].reservation.quantity, 2);
    assert_false(lookups[1].found);
    assert_true(lookups[1].member_exists);
    assert_false(lookups[2].member_exists);
    assert_true(lookups[3].found && lookups[3].member_exists);
    for (size_t i = 0; i < 4; i++)
        assert_false(lookups[i].failed);
}

/* --- life ------------------------------------------------------------------------------------- */

static void the_log_stays_small(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.wal_max_bytes = 1 << 16;
    fixture_open(fixture, 1000000);
    for (unsigned round = 0; round < 300; round++) {
        struct sqlite_item item = item_reserve(fixture, 1, 1);
        item.id.bytes[1] = (uint8_t)(round >> 8);
        item.id.bytes[2] = (uint8_t)round;
        assert_true(fixture_apply(fixture, &item, 1));
    }
    char path[PATH_MAX + 8];
    snprintf(path, sizeof path, "%s-wal", fixture->file);
    uv_fs_t status;
    assert_int_equal(uv_fs_stat(NULL, &status, path, NULL), 0);
    assert_true(status.statbuf.st_size < 3 << 16);
    uv_fs_req_cleanup(&status);
    fixture_audit(fixture);
}

static void batch_done_flag(struct sqlite_batch *batch)
{
    *(bool *)batch->data = true;
}

static void closes_with_work_in_the_inbox(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, 5);
    bool applied = false;
    struct sqlite_item item = item_reserve(fixture, 1, 1);
    struct sqlite_concert_seats seats[1];
    struct sqlite_batch batch = {
        .data = &applied, .done = batch_done_flag, .items = &item, .count = 1, .concerts = seats};
    sqlite_link_apply(fixture->link, &batch);
    fixture_close(fixture);
    assert_true(applied);
    OUTCOME(item, RESV_GRANTED);
    assert_int_equal(fixture_sql(fixture, "SELECT sold FROM concerts WHERE id = 1"), 1);
}

static void closed_flag(void *data)
{
    ((struct fixture *)data)->closed = true;
}

static void closes_without_having_started(void **state)
{
    struct fixture *fixture = *state;
    const struct sqlite_link_events events = {.data = fixture, .closed = closed_flag};
    struct sqlite_link *link = sqlite_link_create(&fixture->host, &fixture->config, &events);
    assert_non_null(link);
    sqlite_link_close(link);
    assert_true(fixture->closed);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(first_that_fit_win),
        TEST(capacity_is_exact_over_many_batches),
        TEST(many_concerts_in_one_batch),
        TEST(replays_and_reused_keys),
        TEST(unknown_ones_are_said_first),
        TEST(seats_come_back_and_sell_again),
        TEST(member_limit_holds),
        TEST(largest_numbers),
        TEST(everything_is_there_after_reopening),
        TEST(lookups_see_what_is_committed),
        TEST(the_log_stays_small),
        TEST(closes_with_work_in_the_inbox),
        TEST(closes_without_having_started),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
