/* The async strategy's events as text, and the names of its keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "async/event.h"
#include "async/keys.h"

#define ID_BYTES 0x01, 0x92, 0xff, 0x00, 0xab, 0xcd, 0x7e, 0xf0, 0x80, 1, 2, 3, 4, 5, 6, 7
#define ID       "0192ff00-abcd-7ef0-8001-020304050607"

static void assert_same(const struct event *a, const struct event *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_memory_equal(a->id.bytes, b->id.bytes, RESV_ID_SIZE);
    assert_int_equal(a->concert_id, b->concert_id);
    assert_int_equal(a->member_id, b->member_id);
    assert_int_equal(a->quantity, b->quantity);
    assert_int_equal(a->created_ms, b->created_ms);
    assert_int_equal(a->epoch, b->epoch);
    assert_int_equal(a->keyed, b->keyed);
}

static void written_and_read(void **state)
{
    (void)state;
    static const struct {
        struct event event;
        const char *text;
    } cases[] = {
        {{EVENT_RESERVE, {{ID_BYTES}}, 7, 12, 3, 1700000000000, 2, true},
         "1 reserve " ID " 7 12 3 1700000000000 2 k"},
        {{EVENT_RESERVE, {{ID_BYTES}}, 1, 1, 1, 0, 0, false}, "1 reserve " ID " 1 1 1 0 0 -"},
        {{EVENT_RESERVE,
          {{ID_BYTES}},
          RESV_INTEGER_MAX,
          RESV_INTEGER_MAX,
          RESV_INTEGER_MAX,
          RESV_INTEGER_MAX,
          RESV_INTEGER_MAX,
          true},
         "1 reserve " ID " 9007199254740991 9007199254740991 9007199254740991 9007199254740991 "
         "9007199254740991 k"},
        {{EVENT_RELEASE, {{ID_BYTES}}, 7, 0, 0, 5, 2, false}, "1 release " ID " 7 - - 5 2 -"},
        {{EVENT_SETTLE, {{ID_BYTES}}, 7, 0, 0, 5, 2, false}, "1 settle " ID " 7 - - 5 2 -"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[EVENT_SIZE_MAX];
        struct event event;
        size_t size = event_write(&cases[i].event, text);
        assert_string_equal(text, cases[i].text);
        assert_int_equal(size, strlen(cases[i].text));
        assert_true(size < EVENT_SIZE_MAX);
        assert_null(event_read(text, size, &event));
        assert_same(&event, &cases[i].event);
    }
}

static void what_is_no_event(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"", "the event is empty"},
        {"hello", "this is no event"},
        {"2 reserve", "the event is of a version that is not known here"},
        {"0 settle " ID " 7 - - 5 2 -", "this is no event"},
        {"1 settle " ID " 7 - - 5 2 - ", "this is no event"},
        {" 1 settle " ID " 7 - - 5 2 -", "this is no event"},
        {"1  settle " ID " 7 - - 5 2 -", "this is no event"},
        {"1 settle " ID " 7 - - 5 2", "this is no event"},
        {"1 settle " ID " 7 - - 5 2 - -", "this is no event"},
        {"1 Settle " ID " 7 - - 5 2 -", "the event is of a kind that is not known here"},
        {"1 settle 0192FF00-abcd-7ef0-8001-020304050607 7 - - 5 2 -", "the id is no UUID"},
        {"1 settle 0192ff00abcd-7ef0-8001-0203040506070 7 - - 5 2 -", "the id is no UUID"},
        {"1 settle 0192ff00-abcd-7ef0-8001-02030405060 7 - - 5 2 -", "the id is no UUID"},
        {"1 settle " ID " 0 - - 5 2 -", "the concert is no number from 1 on"},
        {"1 settle " ID " 07 - - 5 2 -", "the concert is no number from 1 on"},
        {"1 settle " ID " +7 - - 5 2 -", "the concert is no number from 1 on"},
        {"1 settle " ID " 9007199254740992 - - 5 2 -", "the concert is no number from 1 on"},
        {"1 settle " ID " 10000000000000000000 - - 5 2 -", "the concert is no number from 1 on"},
        {"1 settle " ID " 7 - - x 2 -", "the time is no number"},
        {"1 settle " ID " 7 - - 5 -1 -", "the epoch is no number"},
        {"1 settle " ID " 7 - - 5 2 k", "member, quantity and key are a reservation's only"},
        {"1 release " ID " 7 1 - 5 2 -", "member, quantity and key are a reservation's only"},
        {"1 reserve " ID " 7 - 1 5 2 -", "the member is no number from 1 on"},
        {"1 reserve " ID " 7 1 0 5 2 -", "the quantity is no number from 1 on"},
        {"1 reserve " ID " 7 1 1 5 2 K", "the last field is neither k nor -"},
        {"1 reserve " ID " 7 1 1 5 2 k+", "the last field is neither k nor -"},
    };
    struct event event;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *why = event_read(cases[i].text, strlen(cases[i].text), &event);
        assert_non_null(why);
        assert_string_equal(why, cases[i].why);
    }
    char long_text[EVENT_SIZE_MAX];
    memset(long_text, '1', sizeof long_text);
    assert_string_equal(event_read(long_text, sizeof long_text, &event), "the event is too long");
    assert_non_null(event_read("1 settle\0" ID " 7 - - 5 2 -", 50, &event));
}

static void the_mark_is_not_the_events(void **state)
{
    (void)state;
    assert_int_equal(keys_event_size("1 x k+", 6), 5);
    assert_int_equal(keys_event_size("1 x k", 5), 5);
    assert_int_equal(keys_event_size("", 0), 0);
}

static void names_of_keys(void **state)
{
    (void)state;
    struct async_keys keys;
    keys_of_concert(&keys, "resvd:", RESV_INTEGER_MAX);
    assert_string_equal(keys.texts[KEY_GATE], "resvd:{c:9007199254740991}:gate");
    assert_string_equal(keys.texts[KEY_PENDING], "resvd:{c:9007199254740991}:pending");
    assert_string_equal(keys.texts[KEY_SETTLED_BEFORE], "resvd:settled_before");
    assert_string_equal(keys.texts[KEY_CONCERTS], "resvd:pending_concerts");
    assert_string_equal(keys.texts[KEY_COMPLETE], "resvd:complete");
    for (size_t i = 0; i < KEY_COUNT; i++) {
        assert_ptr_equal(keys.keys[i].bytes, keys.texts[i]);
        assert_int_equal(keys.keys[i].size, strlen(keys.texts[i]));
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(keys.texts[i], keys.texts[k]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_and_read),
        cmocka_unit_test(what_is_no_event),
        cmocka_unit_test(the_mark_is_not_the_events),
        cmocka_unit_test(names_of_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
