/* The SQLite link's catalog: concerts, members, audit, reset, on a real file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sqlite_fixture.h"

#define OUTCOME(item, expected) assert_int_equal((item).outcome, (expected))

static void concerts_are_created_updated_listed(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, 5);
    struct resv_concert concerts[2] = {
        {.title = "Zähringen", .venue = "Hall", .starts_at_ms = INT64_MIN, .capacity = 7},
        {.title = "B", .starts_at_ms = -1, .capacity = 0, .member_limit = 2},
    };
    memset(concerts[1].title, 'x', RESV_TEXT_BYTES_MAX);
    struct resv_catalog_request request = {.concerts = concerts, .count = 2};
    struct resv_op create = {.kind = RESV_OP_CONCERT_CREATE, .catalog = &request};
    assert_int_equal(fixture_catalog(fixture, &create), RESV_STORED);
    assert_int_equal(concerts[0].id, 4);
    assert_int_equal(concerts[1].id, 5);
    assert_int_equal(concerts[0].sold, 0);

    struct resv_catalog_request listing = {.after_id = 3, .limit = 1};
    struct resv_op list = {.kind = RESV_OP_CONCERT_LIST, .catalog = &listing};
    assert_int_equal(fixture_catalog(fixture, &list), RESV_FOUND);
    assert_int_equal(listing.count, 1);
    assert_true(listing.more);
    assert_string_equal(listing.concerts[0].title, "Zähringen");
    assert_true(listing.concerts[0].starts_at_ms == INT64_MIN);
    free(listing.concerts);
    listing = (struct resv_catalog_request){.after_id = 4, .limit = 1};
    assert_int_equal(fixture_catalog(fixture, &list), RESV_FOUND);
    assert_int_equal(listing.count, 1);
    assert_false(listing.more);
    assert_int_equal(strlen(listing.concerts[0].title), RESV_TEXT_BYTES_MAX);
    assert_int_equal(listing.concerts[0].starts_at_ms, -1);
    assert_int_equal(listing.concerts[0].member_limit, 2);
    free(listing.concerts);
    listing = (struct resv_catalog_request){.after_id = 5, .limit = 1000};
    assert_int_equal(fixture_catalog(fixture, &list), RESV_FOUND);
    assert_int_equal(listing.count, 0);
    free(listing.concerts);
}

static void capacity_does_not_go_below_sold(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, 3);
    struct sqlite_item item = item_reserve(fixture, 1, 1);
    item.quantity = 3;
    assert_true(fixture_apply(fixture, &item, 1));
    struct resv_concert wanted = {.capacity = 2, .title = "not taken"};
    struct resv_catalog_request request = {
        .concerts = &wanted, .count = 1, .fields = RESV_CONCERT_CAPACITY};
    struct resv_op update = {.kind = RESV_OP_CONCERT_UPDATE, .concert_id = 1, .catalog = &request};
    assert_int_equal(fixture_catalog(fixture, &update), RESV_CAPACITY_TOO_LOW);
    wanted.capacity = 4;
    assert_int_equal(fixture_catalog(fixture, &update), RESV_STORED);
    assert_string_equal(wanted.title, "Concert 1");
    assert_int_equal(wanted.sold, 3);
    update.concert_id = 77;
    assert_int_equal(fixture_catalog(fixture, &update), RESV_NOT_FOUND);
    struct sqlite_item more[2] = {item_reserve(fixture, 1, 1), item_reserve(fixture, 1, 1)};
    assert_true(fixture_apply(fixture, more, 2));
    OUTCOME(more[0], RESV_GRANTED);
    OUTCOME(more[1], RESV_SOLD_OUT);
}

static void members_are_created_and_read(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, 3);
    struct resv_member members[2] = {{.name = "Ada"}, {.name = ""}};
    struct resv_catalog_request request = {.members = members, .count = 2};
    struct resv_op create = {.kind = RESV_OP_MEMBER_CREATE, .catalog = &request};
    assert_int_equal(fixture_catalog(fixture, &create), RESV_STORED);
    assert_int_equal(members[1].id, 12);
    struct resv_catalog_request reading = {0};
    struct resv_op get = {.kind = RESV_OP_MEMBER_GET, .member_id = 11, .catalog = &reading};
    assert_int_equal(fixture_catalog(fixture, &get), RESV_FOUND);
    assert_string_equal(reading.members[0].name, "Ada");
    free(reading.members);
    reading.members = NULL;
    get.member_id = 13;
    assert_int_equal(fixture_catalog(fixture, &get), RESV_NOT_FOUND);
    assert_null(reading.members);
}

static void reset_starts_over(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, 3);
    fixture_set_limit(fixture, 1, 1);
    struct sqlite_item item = item_reserve(fixture, 1, 1);
    assert_true(fixture_apply(fixture, &item, 1));
    struct resv_concert extra = {.title = "extra", .capacity = 1, .starts_at_ms = INT64_MIN};
    struct resv_catalog_request creation = {.concerts = &extra, .count = 1};
    struct resv_op create = {.kind = RESV_OP_CONCERT_CREATE, .catalog = &creation};
    assert_int_equal(fixture_catalog(fixture, &create), RESV_STORED);
    size_t before = fixture->everything_changes;
    struct resv_catalog_request request = {
        .reset_concerts = 2, .reset_members = 50000, .reset_capacity = 9};
    struct resv_op reset = {.kind = RESV_OP_RESET, .catalog = &request};
    assert_int_equal(fixture_catalog(fixture, &reset), RESV_STORED);
    assert_int_equal(fixture->everything_changes, before + 1);
    struct sqlite_item items[4] = {item_reserve(fixture, 1, 50000), item_reserve(fixture, 1, 50001),
                                   item_reserve(fixture, 3, 1), item_release(&item)};
    assert_true(fixture_apply(fixture, items, 4));
    OUTCOME(items[0], RESV_GRANTED);
    OUTCOME(items[1], RESV_UNKNOWN_MEMBER);
    OUTCOME(items[2], RESV_UNKNOWN_CONCERT);
    OUTCOME(items[3], RESV_NOT_FOUND);
    assert_int_equal(fixture_catalog(fixture, &create), RESV_STORED);
    assert_int_equal(extra.id, 3);
    request = (struct resv_catalog_request){0};
    assert_int_equal(fixture_catalog(fixture, &reset), RESV_STORED);
    fixture_audit(fixture);
    assert_int_equal(fixture_catalog(fixture, &create), RESV_STORED);
    assert_int_equal(extra.id, 1);
    fixture_close(fixture);
    assert_int_equal(fixture_sql(fixture, "SELECT count(*) FROM members"), 0);
    assert_int_equal(fixture_sql(fixture, "SELECT count(*) FROM member_seats"), 0);
}

static void audit_finds_what_is_wrong(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, 5);
    struct sqlite_item item = item_reserve(fixture, 2, 1);
    assert_true(fixture_apply(fixture, &item, 1));
    fixture_close(fixture);
    fixture_sql(fixture, "UPDATE concerts SET sold = 4 WHERE id = 2");
    assert_true(fixture_start(fixture));
    struct resv_catalog_request request = {0};
    struct resv_op op = {.kind = RESV_OP_AUDIT, .catalog = &request};
    assert_int_equal(fixture_catalog(fixture, &op), RESV_FOUND);
    assert_false(request.audit_consistent);
    assert_int_equal(request.audit_count, 3);
    assert_true(request.audit[0].consistent);
    assert_false(request.audit[1].consistent);
    assert_int_equal(request.audit[1].sold, 4);
    assert_int_equal(request.audit[1].live, 1);
    free(request.audit);
}

static void catalog_is_bounded(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, 5);
    struct resv_catalog *catalog = sqlite_link_catalog(fixture->link);
    struct resv_catalog_request requests[5] = {{0}};
    struct resv_op gets[5];
    for (size_t i = 0; i < 5; i++) {
        gets[i] = (struct resv_op){.kind = RESV_OP_CONCERT_GET,
                                   .state = RESV_OP_SUBMITTED,
                                   .concert_id = 1,
                                   .catalog = &requests[i]};
        assert_int_equal(catalog->submit(catalog->self, &gets[i]), i < 4);
    }
    assert_int_equal(sqlite_link_catalog_under_way(fixture->link), 4);
    while (sqlite_link_catalog_under_way(fixture->link) > 0)
        uv_run(&fixture->host.loop, UV_RUN_ONCE);
    assert_int_equal(fixture->host.ready_for_more, 1);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(gets[i].outcome, RESV_FOUND);
        free(requests[i].concerts);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(concerts_are_created_updated_listed), TEST(capacity_does_not_go_below_sold),
        TEST(members_are_created_and_read),        TEST(reset_starts_over),
        TEST(audit_finds_what_is_wrong),           TEST(catalog_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
