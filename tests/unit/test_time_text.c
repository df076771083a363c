/* RFC 3339 times: the RFC's examples, every field's edges, and days against the C library. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "time_text.h"

static int64_t parsed_ms(const char *text)
{
    /* A heap block of just that size, so that a sanitizer sees reads behind it. */
    size_t size = strlen(text);
    char *exact = malloc(size + (size == 0));
    assert_non_null(exact);
    memcpy(exact, text, size);
    int64_t wall_ms = -77;
    bool parsed = time_text_parse((struct text){exact, size}, &wall_ms);
    free(exact);
    if (!parsed) {
        assert_int_equal(wall_ms, -77);
        return INT64_MIN;
    }
    return wall_ms;
}

static void assert_format(int64_t wall_ms, const char *expected)
{
    char text[TIME_TEXT_BYTES_MAX + 1];
    memset(text, '#', sizeof(text));
    size_t size = time_text_format(wall_ms, text);
    assert_int_equal(size, strlen(expected));
    assert_memory_equal(text, expected, size);
    assert_int_equal(text[size], '#');
}

static void test_parses(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t wall_ms;
    } rows[] = {
        /* RFC 3339, 5.8. */
        {"1985-04-12T23:20:50.52Z", 482196050520},
        {"1996-12-19T16:39:57-08:00", 851042397000},
        {"1996-12-20T00:39:57Z", 851042397000},
        {"2026-11-22T19:30:00Z", 1795375800000},
        {"2026-11-22t19:30:00z", 1795375800000},
        {"2026-11-22T20:30:00+01:00", 1795375800000},
        {"2026-11-22T19:30:00-00:00", 1795375800000},
        {"2026-11-23T19:29:00+23:59", 1795375800000},
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01T00:00:00.001Z", 1},
        {"1970-01-01T00:00:00.0019999999999999999999999Z", 1},
        {"1970-01-01T00:00:00.9Z", 900},
        {"1970-01-01T00:00:00.98Z", 980},
        {"1970-01-01T00:00:00.999999Z", 999},
        {"1969-12-31T23:30:00-01:00", 1800000},
        {"1970-01-01T01:00:00+01:00", 0},
        {"2000-02-29T00:00:00Z", 951782400000},
        {"2024-02-29T23:59:59Z", 1709251199000},
        {"9999-12-31T23:59:59.999Z", TIME_TEXT_MS_MAX},
        {"9999-12-31T23:59:59.999+01:00", TIME_TEXT_MS_MAX - 3600000},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t wall_ms = parsed_ms(rows[i].text);
        if (wall_ms != rows[i].wall_ms) {
            fail_msg("%s gives %lld", rows[i].text, (long long)wall_ms);
        }
    }
}

static void test_refuses(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "2026",
        "2026-11-22",
        "2026-11-22T19:30:00",
        "2026-11-22T19:30Z",
        "2026-11-22 19:30:00Z",
        " 2026-11-22T19:30:00Z",
        "2026-11-22T19:30:00Z ",
        "2026-11-22T19:30:00ZZ",
        "2026-11-22T19:30:00.Z",
        "2026-11-22T19:30:00,5Z",
        "2026-11-22T19:30:00.5",
        "2026-11-22T19:30:00.-5Z",
        "2026-11-22T19:30:00+01",
        "2026-11-22T19:30:00+0100",
        "2026-11-22T19:30:00+1:00",
        "2026-11-22T19:30:00+01:0",
        "2026-11-22T19:30:00+01:00Z",
        "2026-11-22T19:30:00+24:00",
        "2026-11-22T19:30:00+01:60",
        "2026-11-22T19:30:00\342\210\22201:00", /* U+2212, the typographer's minus */
        "20261122T193000Z",
        "2026-W47-7T19:30:00Z",
        "+2026-11-22T19:30:00Z",
        "-026-11-22T19:30:00Z",
        "02026-11-22T19:30:00Z",
        "26-11-22T19:30:00Z",
        "2026-1-22T19:30:00Z",
        "2026-11-2T19:30:00Z",
        "2026-11-22T9:30:00Z",
        "2026-00-22T19:30:00Z",
        "2026-13-22T19:30:00Z",
        "2026-11-00T19:30:00Z",
        "2026-11-31T19:30:00Z",
        "2026-12-32T19:30:00Z",
        "2026-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2024-02-30T00:00:00Z",
        "2026-11-22T24:00:00Z",
        "2026-11-22T19:60:00Z",
        "2026-11-22T19:30:60Z",
        /* RFC 3339, 5.8, real leap seconds. */
        "1990-12-31T23:59:60Z",
        "1990-12-31T15:59:60-08:00",
        /* RFC 3339, 5.8, before 1970. */
        "1937-01-01T12:00:27.87+00:20",
        "1969-12-31T23:59:59.999Z",
        "1970-01-01T00:59:59+01:00",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59-00:01",
        "10000-01-01T00:00:00Z",
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (parsed_ms(rows[i]) != INT64_MIN) {
            fail_msg("accepted: %s", rows[i]);
        }
    }
    int64_t wall_ms;
    assert_false(time_text_parse((struct text){NULL, 0}, &wall_ms));
    /* A NUL within. */
    assert_false(time_text_parse(TEXT("2026-11-22\00019:30:00Z"), &wall_ms));
    assert_false(time_text_parse(TEXT("2026-11-22T19:30:00\0"), &wall_ms));
}

static void test_refuses_every_prefix(void **state)
{
    (void)state;
    char text[] = "2026-11-22T19:30:00.123+01:30";
    assert_true(parsed_ms(text) != INT64_MIN);
    for (size_t size = strlen(text); size > 0; size--) {
        text[size - 1] = '\0';
        assert_true(parsed_ms(text) == INT64_MIN);
    }
}

static void test_formats(void **state)
{
    (void)state;
    assert_format(0, "1970-01-01T00:00:00Z");
    assert_format(1, "1970-01-01T00:00:00.001Z");
    assert_format(120, "1970-01-01T00:00:00.120Z");
    assert_format(1000, "1970-01-01T00:00:01Z");
    assert_format(1795375800000, "2026-11-22T19:30:00Z");
    assert_format(951782400000, "2000-02-29T00:00:00Z");
    assert_format(TIME_TEXT_MS_MAX, "9999-12-31T23:59:59.999Z");
    char text[TIME_TEXT_BYTES_MAX];
    assert_int_equal(time_text_format(-1, text), 0);
    assert_int_equal(time_text_format(INT64_MIN, text), 0);
    assert_int_equal(time_text_format(TIME_TEXT_MS_MAX + 1, text), 0);
    assert_int_equal(time_text_format(INT64_MAX, text), 0);
}

/* Every day of the range, with a time of day that moves along, against gmtime, and back. */
static void test_every_day(void **state)
{
    (void)state;
    for (int64_t day = 0; day * 86400000 <= TIME_TEXT_MS_MAX; day++) {
        int64_t wall_ms = day * 86400000 + day * 7919 % 86400000;
        char text[TIME_TEXT_BYTES_MAX];
        char expected[64];
        size_t size = time_text_format(wall_ms, text);
        time_t seconds = (time_t)(wall_ms / 1000);
        struct tm utc;
        assert_non_null(gmtime_r(&seconds, &utc));
        strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S", &utc);
        if (memcmp(text, expected, 19) != 0) {
            fail_msg("%.*s is not %s", (int)size, text, expected);
        }
        int64_t back_ms = -1;
        if (!time_text_parse((struct text){text, size}, &back_ms) || back_ms != wall_ms) {
            fail_msg("%.*s does not come back", (int)size, text);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parses),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_refuses_every_prefix),
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_every_day),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
