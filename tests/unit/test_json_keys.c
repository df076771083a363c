/* Duplicate keys among many, and what looking for them costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "support/json_case.h"
#include "json/json.h"

static const char duplicate_text[] = "duplicate key";

static char many[65536];

/* An object of `count` keys made by `format` from 0, 1, …, then one of `last`, if any. */
static size_t many_keys(const char *format, unsigned count, unsigned last)
{
    size_t size = 0;
    many[size++] = '{';
    for (unsigned i = 0; i <= count; i++) {
        unsigned number = i < count ? i : last;
        if (number != UINT32_MAX) {
            size += (size_t)sprintf(many + size, i == 0 ? "\"" : ",\"");
            size += (size_t)sprintf(many + size, format, number);
            size += (size_t)sprintf(many + size, "\":0");
        }
    }
    many[size++] = '}';
    many[size] = '\0';
    return size;
}

/* On both sides of every size at which the method changes, wherever the first of the pair is. */
static void test_finds_duplicates_among_many(void **state)
{
    (void)state;
    static const char *const formats[] = {"%u", "\\u0061%u", "long-common-beginning-of-keys-%u"};
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        for (unsigned count = 1; count <= 80; count++) {
            json_case_accepted(many, many_keys(formats[i], count, UINT32_MAX));
            for (unsigned last = 0; last < count; last++) {
                size_t size = many_keys(formats[i], count, last);
                assert_false(json_case_parse(many, size));
                assert_string_equal(json_case.error.what, duplicate_text);
                assert_int_equal(json_case.error.offset, strrchr(many, ',') + 1 - many);
            }
        }
    }
}

static void test_finds_an_escaped_duplicate_among_many(void **state)
{
    (void)state;
    size_t size = many_keys("k%u", 1000, UINT32_MAX);
    size--;
    size += (size_t)sprintf(many + size, ",\"\\u006b50\\u0030\":0}");
    json_case_refused(many, size, duplicate_text, size - 19);
}

/* Tokens are whole again after the sort. */
static void test_tokens_of_many_keys(void **state)
{
    (void)state;
    assert_true(json_case_parse(many, many_keys("\\u006b%u", 500, UINT32_MAX)));
    assert_int_equal(json_case.document.token_count, 1001);
    assert_int_equal(json_case.document.tokens[0].count, 500);
    for (unsigned i = 0; i < 500; i++) {
        char key[16];
        size_t size = (size_t)snprintf(key, sizeof(key), "k%u", i);
        assert_int_equal(json_case.document.tokens[1 + 2 * i].next, 2 + 2 * i);
        assert_int_equal(json_case.document.tokens[1 + 2 * i].count, 1);
        assert_true(json_string_equal(&json_case.document, 1 + 2 * i, (struct text){key, size}));
    }
}

/* A whole body of keys, plain and each fully escaped, and keys that share a long beginning: far
 * below the time that comparing all pairs takes (3.6 million for the first). */
static void test_many_keys_take_little_time(void **state)
{
    (void)state;
    static const struct {
        const char *format;
        unsigned count;
    } bodies[] = {{"%x", 2400}, {"\\u0061\\u%04x", 900}, {"aaaaaaaaaaaaaaaa%04x", 630}};
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        size_t size = many_keys(bodies[i].format, bodies[i].count, UINT32_MAX);
        struct timespec before, after;
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
        for (int round = 0; round < 20; round++) {
            json_case_parse(many, size);
        }
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
        double seconds =
            (double)(after.tv_sec - before.tv_sec) + (double)(after.tv_nsec - before.tv_nsec) / 1e9;
        /* 2 ms each, with room for a sanitizer. */
        assert_true(seconds / 20 < 0.010);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_duplicates_among_many),
        cmocka_unit_test(test_finds_an_escaped_duplicate_among_many),
        cmocka_unit_test(test_tokens_of_many_keys),
        cmocka_unit_test(test_many_keys_take_little_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
