/* Conformance, the catalog: concerts, members, lists, changes, reset and audit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "suite.h"

static struct resv_concert *alloc_concerts(size_t count)
{
    struct resv_concert *concerts = calloc(count, sizeof concerts[0]);
    assert_non_null(concerts);
    for (size_t i = 0; i < count; i++) {
        snprintf(concerts[i].title, sizeof concerts[i].title, "Title %zu", i);
        concerts[i].starts_at_ms = INT64_MIN;
        concerts[i].capacity = 10 + (int64_t)i;
    }
    return concerts;
}

static void assert_same_concert(const struct resv_concert *a, const struct resv_concert *b)
{
    assert_int_equal(a->id, b->id);
    assert_string_equal(a->title, b->title);
    assert_string_equal(a->venue, b->venue);
    assert_true(a->starts_at_ms == b->starts_at_ms);
    assert_true(a->capacity == b->capacity);
    assert_true(a->sold == b->sold);
    assert_true(a->member_limit == b->member_limit);
}

static void create_and_get_concerts(void **state)
{
    struct harness *harness = *state;
    enum { COUNT = 4 };
    struct request request = {.catalog = {.concerts = alloc_concerts(COUNT), .count = COUNT}};
    struct resv_concert *concerts = request.catalog.concerts;
    reset(harness, 3, 0, 5);
    memset(concerts[1].title, 'x', RESV_TEXT_BYTES_MAX);
    for (size_t i = 0; i + 4 <= RESV_TEXT_BYTES_MAX; i += 4)
        memcpy(concerts[1].venue + i, "\xf0\x9f\x8e\xb6", 4);
    snprintf(concerts[2].title, sizeof concerts[2].title, "'; DROP TABLE concerts; --\"\\");
    concerts[2].starts_at_ms = 0;
    concerts[2].capacity = RESV_INTEGER_MAX;
    concerts[2].member_limit = RESV_INTEGER_MAX;
    concerts[3].starts_at_ms = 253402300799999; /* the last instant of the year 9999 */
    concerts[3].capacity = 1;
    concerts[3].member_limit = 1;
    assert_true(request_catalog(harness, &request, RESV_OP_CONCERT_CREATE, 0, 0));
    harness_run_until_idle(harness);
    assert_int_equal(request.outcome, RESV_STORED);
    concerts = request.catalog.concerts;
    for (size_t i = 0; i < COUNT; i++) {
        assert_true(concerts[i].id > 3);
        assert_true(i == 0 || concerts[i].id > concerts[i - 1].id);
        assert_int_equal(concerts[i].sold, 0);
        struct resv_concert found = get_concert(harness, concerts[i].id);
        assert_same_concert(&found, &concerts[i]);
    }
    request_free(&request);
}

static void concert_not_found(void **state)
{
    struct harness *harness = *state;
    static const int64_t unknown[] = {0, 3, RESV_INTEGER_MAX, -1};
    reset(harness, 2, 2, 5);
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        struct request request = {0};
        assert_true(request_catalog(harness, &request, RESV_OP_CONCERT_GET, unknown[i], 0));
        harness_run_until_idle(harness);
        assert_int_equal(request.outcome, RESV_NOT_FOUND);
        request_free(&request);
        assert_true(request_catalog(harness, &request, RESV_OP_MEMBER_GET, 0, unknown[i]));
        harness_run_until_idle(harness);
        assert_int_equal(request.outcome, RESV_NOT_FOUND);
        request_free(&request);
        struct resv_concert concert = {.id = unknown[i], .capacity = 9};
        assert_int_equal(update_concert(harness, &concert, RESV_CONCERT_CAPACITY), RESV_NOT_FOUND);
    }
}

static void thousand_created_are_listed_in_pages(void **state)
{
    struct harness *harness = *state;
    enum { COUNT = 1000 };
    struct request create = {.catalog = {.concerts = alloc_concerts(COUNT), .count = COUNT}};
    reset(harness, 0, 0, 5);
    assert_true(request_catalog(harness, &create, RESV_OP_CONCERT_CREATE, 0, 0));
    harness_run_until_idle(harness);
    assert_int_equal(create.outcome, RESV_STORED);
    static const int64_t limits[] = {1000, 999, 7, 334};
    for (size_t l = 0; l < sizeof limits / sizeof limits[0]; l++) {
        int64_t after_id = 0;
        size_t seen = 0;
        for (bool more = true; more;) {
            struct request list = {.catalog = {.after_id = after_id, .limit = limits[l]}};
            assert_true(request_catalog(harness, &list, RESV_OP_CONCERT_LIST, 0, 0));
            harness_run_until_idle(harness);
            assert_int_equal(list.outcome, RESV_FOUND);
            assert_true(list.catalog.count <= (size_t)limits[l]);
            for (size_t i = 0; i < list.catalog.count; i++) {
                assert_true(seen < COUNT);
                assert_same_concert(&list.catalog.concerts[i], &create.catalog.concerts[seen]);
                after_id = list.catalog.concerts[i].id;
                seen++;
            }
            more = list.catalog.more;
            assert_true(!more || list.catalog.count == (size_t)limits[l]);
            request_free(&list);
        }
        assert_int_equal(seen, COUNT);
    }
    request_free(&create);
}

static void list_after_the_end(void **state)
{
    struct harness *harness = *state;
    reset(harness, 3, 0, 5);
    static const int64_t after[] = {3, 4, RESV_INTEGER_MAX};
    for (size_t i = 0; i < sizeof after / sizeof after[0]; i++) {
        struct request list = {.catalog = {.after_id = after[i], .limit = 10}};
        assert_true(request_catalog(harness, &list, RESV_OP_CONCERT_LIST, 0, 0));
        harness_run_until_idle(harness);
        assert_int_equal(list.outcome, RESV_FOUND);
        assert_int_equal(list.catalog.count, 0);
        assert_false(list.catalog.more);
        request_free(&list);
    }
}

static void update_sets_what_it_is_told(void **state)
{
    struct harness *harness = *state;
    reset(harness, 2, 1, 5);
    struct resv_concert untouched = get_concert(harness, 2);
    struct resv_concert before = get_concert(harness, 1);
    struct resv_concert concert = {.id = 1,
                                   .title = "New title",
                                   .venue = "Caf\xc3\xa9",
                                   .starts_at_ms = 1234567890123,
                                   .capacity = 77,
                                   .member_limit = 2};
    static const unsigned each[] = {RESV_CONCERT_TITLE, RESV_CONCERT_VENUE, RESV_CONCERT_STARTS_AT,
                                    RESV_CONCERT_CAPACITY, RESV_CONCERT_MEMBER_LIMIT};
    unsigned set = 0;
    for (size_t i = 0; i < sizeof each / sizeof each[0]; i++) {
        struct resv_concert change = concert;
        assert_int_equal(update_concert(harness, &change, each[i]), RESV_STORED);
        set |= each[i];
        struct resv_concert found = get_concert(harness, 1);
        assert_same_concert(&found, &change); /* the result shows the whole concert */
        assert_string_equal(found.title, set & RESV_CONCERT_TITLE ? "New title" : before.title);
        assert_string_equal(found.venue, set & RESV_CONCERT_VENUE ? "Caf\xc3\xa9" : "");
        assert_true(found.starts_at_ms ==
                    (set & RESV_CONCERT_STARTS_AT ? 1234567890123 : before.starts_at_ms));
        assert_int_equal(found.capacity, set & RESV_CONCERT_CAPACITY ? 77 : 5);
        assert_int_equal(found.member_limit, set & RESV_CONCERT_MEMBER_LIMIT ? 2 : 0);
    }
    struct resv_concert clear = {.id = 1, .starts_at_ms = INT64_MIN};
    assert_int_equal(
        update_concert(harness, &clear,
                       RESV_CONCERT_STARTS_AT | RESV_CONCERT_VENUE | RESV_CONCERT_MEMBER_LIMIT),
        RESV_STORED);
    assert_true(get_concert(harness, 1).starts_at_ms == INT64_MIN);
    struct resv_concert other = get_concert(harness, 2);
    assert_same_concert(&other, &untouched);
}

static void capacity_follows_the_admin(void **state)
{
    struct harness *harness = *state;
    struct request request = {0};
    reset(harness, 1, 1, 5);
    assert_true(is_granted(reserve(harness, &request, NULL, 1, 1, 4)));
    settle(harness);
    struct resv_concert concert = {.id = 1, .capacity = 3, .title = "no"};
    assert_int_equal(update_concert(harness, &concert, RESV_CONCERT_CAPACITY | RESV_CONCERT_TITLE),
                     RESV_CAPACITY_TOO_LOW);
    assert_int_equal(get_concert(harness, 1).capacity, 5);
    assert_string_not_equal(get_concert(harness, 1).title, "no");
    concert.capacity = 4;
    assert_int_equal(update_concert(harness, &concert, RESV_CONCERT_CAPACITY), RESV_STORED);
    settle(harness);
    assert_int_equal(reserve(harness, &request, NULL, 1, 1, 1), RESV_SOLD_OUT);
    concert.capacity = 6;
    assert_int_equal(update_concert(harness, &concert, RESV_CONCERT_CAPACITY), RESV_STORED);
    settle(harness);
    assert_int_equal(reserve(harness, &request, NULL, 1, 1, 3), RESV_SOLD_OUT);
    assert_true(is_granted(reserve(harness, &request, NULL, 1, 1, 2)));
    assert_int_equal(reserve(harness, &request, NULL, 1, 1, 1), RESV_SOLD_OUT);
    assert_int_equal(audit_of(harness, 1).capacity, 6);
}

static void members(void **state)
{
    struct harness *harness = *state;
    enum { COUNT = 1000 };
    struct request create = {
        .catalog = {.members = calloc(COUNT, sizeof(struct resv_member)), .count = COUNT}};
    assert_non_null(create.catalog.members);
    reset(harness, 1, 2, 10);
    for (size_t i = 0; i < COUNT; i++)
        snprintf(create.catalog.members[i].name, RESV_TEXT_BYTES_MAX, "%zu \xe2\x82\xac", i);
    memset(create.catalog.members[5].name, 'n', RESV_TEXT_BYTES_MAX);
    assert_true(request_catalog(harness, &create, RESV_OP_MEMBER_CREATE, 0, 0));
    harness_run_until_idle(harness);
    assert_int_equal(create.outcome, RESV_STORED);
    for (size_t i = 0; i < COUNT; i += i < 10 ? 1 : 99) {
        const struct resv_member *made = &create.catalog.members[i];
        assert_true(made->id > 2);
        struct request get = {0};
        assert_true(request_catalog(harness, &get, RESV_OP_MEMBER_GET, 0, made->id));
        harness_run_until_idle(harness);
        assert_int_equal(get.outcome, RESV_FOUND);
        assert_int_equal(get.catalog.members[0].id, made->id);
        assert_string_equal(get.catalog.members[0].name, made->name);
        request_free(&get);
        struct request request = {0};
        enum resv_outcome outcome = reserve(harness, &request, NULL, 1, made->id, 1);
        assert_true(is_granted(outcome) || outcome == RESV_SOLD_OUT);
    }
    request_free(&create);
}

static void reset_forgets_everything(void **state)
{
    struct harness *harness = *state;
    struct request request = {0};
    struct resv_id key;
    make_id(harness, &key);
    reset(harness, 5, 5, 5);
    assert_true(is_granted(reserve(harness, &request, &key, 5, 5, 5)));
    settle(harness);
    reset(harness, 2, 2, 7);
    assert_int_equal(look_up(harness, &key, NULL), RESV_NOT_FOUND);
    assert_int_equal(get_concert(harness, 1).capacity, 7);
    assert_int_equal(get_concert(harness, 2).sold, 0);
    assert_string_equal(get_concert(harness, 2).title, "Concert 2");
    assert_int_equal(reserve(harness, &request, NULL, 3, 1, 1), RESV_UNKNOWN_CONCERT);
    assert_int_equal(reserve(harness, &request, NULL, 1, 3, 1), RESV_UNKNOWN_MEMBER);
    assert_true(is_granted(reserve(harness, &request, &key, 1, 1, 7)));
    assert_false(request.reservation.replay);
    settle(harness);
    reset(harness, 0, 0, 0);
    assert_int_equal(reserve(harness, &request, NULL, 1, 1, 1), RESV_UNKNOWN_CONCERT);
}

static void reads_during_a_stampede(void **state)
{
    struct harness *harness = *state;
    enum { COUNT = 2000 };
    struct request *requests = calloc(COUNT, sizeof requests[0]);
    assert_non_null(requests);
    reset(harness, 1, 1, 500);
    for (size_t i = 0; i < COUNT; i++) {
        if (i % 4 == 3)
            assert_true(request_catalog(harness, &requests[i], RESV_OP_CONCERT_GET, 1, 0));
        else
            assert_true(request_reserve(harness, &requests[i], NULL, 1, 1, 1));
        if (i % 50 == 0)
            harness_turn(harness);
    }
    harness_run_until_idle(harness);
    for (size_t i = 3; i < COUNT; i += 4) {
        assert_int_equal(requests[i].outcome, RESV_FOUND);
        const struct resv_concert *concert = &requests[i].catalog.concerts[0];
        assert_true(concert->sold >= 0 && concert->sold <= concert->capacity);
        request_free(&requests[i]);
    }
    free(requests);
}

int run_catalog_tests(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_set_up, harness_tear_down)
        TEST(create_and_get_concerts),
        TEST(concert_not_found),
        TEST(thousand_created_are_listed_in_pages),
        TEST(list_after_the_end),
        TEST(update_sets_what_it_is_told),
        TEST(capacity_follows_the_admin),
        TEST(members),
        TEST(reset_forgets_everything),
        TEST(reads_during_a_stampede),
    };
    return cmocka_run_group_tests_name("catalog", tests, NULL, NULL);
}
