/* Generated documents and mutants of them, held against cJSON. A failure prints its seed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/json_differential.h"

static uint64_t random_state;

/* SplitMix64. */
static uint64_t random_number(void)
{
    uint64_t number = random_state += 0x9E3779B97F4A7C15U;
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9U;
    number = (number ^ number >> 27) * 0x94D049BB133111EBU;
    return number ^ number >> 31;
}

static size_t random_below(size_t limit)
{
    return (size_t)(random_number() % limit);
}

#define GENERATED_MAX 8192

static char generated[GENERATED_MAX];
static size_t generated_size;

static void put(const char *text)
{
    size_t size = strlen(text);
    assert_true(generated_size + size <= GENERATED_MAX);
    memcpy(generated + generated_size, text, size);
    generated_size += size;
}

static void put_one_of(const char *const *texts, size_t count)
{
    put(texts[random_below(count)]);
}
#define PUT_ONE_OF(...)                                                                            \
    do {                                                                                           \
        static const char *const texts[] = {__VA_ARGS__};                                          \
        put_one_of(texts, sizeof(texts) / sizeof(texts[0]));                                       \
    } while (0)

static void put_space(void)
{
    if (random_below(6) == 0) {
        PUT_ONE_OF(" ", "\n", "\r\n", "\t", "  ");
    }
}

static void put_characters(void)
{
    for (size_t i = random_below(5); i > 0; i--) {
        PUT_ONE_OF("a", "b", "0", " ", "\\n", "\\\"", "\\\\", "\\/", "\\u0061", "\\u0000",
                   "\\u00E9", "\\u20ac", "\\ud83d\\ude00", "\xc3\xa9", "\xe2\x82\xac",
                   "\xf0\x9f\x98\x80", "concertId", "\x7f");
    }
}

static void put_value(int depth);

static void put_container(int depth, bool object)
{
    put(object ? "{" : "[");
    put_space();
    size_t count = random_below(20) == 0 ? 18 + random_below(30) : random_below(5);
    for (size_t i = 0; i < count; i++) {
        char prefix[24];
        put(i == 0 ? "" : ",");
        put_space();
        if (object) {
            snprintf(prefix, sizeof(prefix), "\"%zu", i);
            put(prefix);
            put("~");
            put_characters();
            put("\"");
            put_space();
            put(":");
            put_space();
        }
        put_value(count > 5 ? 0 : depth - 1);
        put_space();
    }
    put(object ? "}" : "]");
}

static void put_value(int depth)
{
    switch (random_below(depth > 0 ? 8 : 5)) {
    case 0:
        put("\"");
        put_characters();
        put("\"");
        break;
    case 1:
        PUT_ONE_OF("true", "false", "null");
        break;
    case 2:
    case 3:
        PUT_ONE_OF("0", "-0", "1", "7", "-12", "1.5", "1e2", "1.5e1", "10e-1", "1E-2", "0.0",
                   "9007199254740991", "9007199254740992", "-9007199254740993", "1e15", "1e300",
                   "1e-300", "12345678901234567890123456789", "0.000001e6", "4503599627370497.5");
        break;
    case 4:
        put(random_below(2) == 0 ? "{}" : "[]");
        break;
    default:
        put_container(depth, random_below(2) == 0);
        break;
    }
}

/* Most changes are small, so that many mutants stay valid. */
static void mutate(void)
{
    static const char *const pieces[] = {
        "\"",
        ",",
        ":",
        "{",
        "}",
        "[",
        "]",
        "\\",
        "\\u0061",
        "\\ud800",
        "\\u00",
        "\xc0\x80",
        "\xed\xa0\x80",
        "\x80",
        "-",
        "0",
        ".",
        "e",
        "e+5",
        "1",
        " ",
        "\n",
        "\x01",
        "null",
        "true",
        "\"a\":",
        "99999999",
        "\"a\":1,",
        "\"0~\":",
        "/",
        "\xef\xbb\xbf",
        "[[[[[[[[",
        "]]]]]]]]",
    };
    size_t at = random_below(generated_size + 1);
    size_t size = random_below(4) + 1;
    if (at + size > generated_size) {
        size = generated_size - at;
    }
    switch (random_below(5)) {
    case 0: /* a byte is another */
        if (at < generated_size) {
            generated[at] = (char)random_below(256);
        }
        break;
    case 1: /* a piece too many */
    case 2: {
        const char *piece = pieces[random_below(sizeof(pieces) / sizeof(pieces[0]))];
        size_t piece_size = strlen(piece);
        if (generated_size + piece_size <= GENERATED_MAX) {
            memmove(generated + at + piece_size, generated + at, generated_size - at);
            memcpy(generated + at, piece, piece_size);
            generated_size += piece_size;
        }
        break;
    }
    case 3: /* something missing */
        memmove(generated + at, generated + at + size, generated_size - at - size);
        generated_size -= size;
        break;
    default: { /* a part again elsewhere, in place of what was there */
        size_t from = random_below(generated_size + 1);
        size = size > generated_size - from ? generated_size - from : size;
        memmove(generated + at, generated + from, size > generated_size - at ? 0 : size);
        break;
    }
    }
}

static enum json_verdict judge(uint64_t seed)
{
    char *block = malloc(generated_size + (generated_size == 0));
    assert_non_null(block);
    memcpy(block, generated, generated_size);
    const char *why = NULL;
    enum json_verdict verdict = json_differential(block, generated_size, &why);
    free(block);
    if (verdict == JSON_VERDICT_WRONG) {
        fail_msg("seed %llu: %s: %.*s", (unsigned long long)seed, why, (int)generated_size,
                 generated);
    }
    return verdict;
}

static void test_generated_against_cjson(void **state)
{
    (void)state;
    size_t mutants_accepted = 0;
    size_t mutants_refused = 0;
    for (uint64_t seed = 1; seed <= 60000; seed++) {
        random_state = seed;
        generated_size = 0;
        put_space();
        put_value(4);
        put_space();
        if (judge(seed) != JSON_VERDICT_ACCEPTED) {
            fail_msg("seed %llu: a valid document was refused: %.*s", (unsigned long long)seed,
                     (int)generated_size, generated);
        }
        for (int i = 0; i < 4; i++) {
            mutate();
            if (judge(seed) == JSON_VERDICT_ACCEPTED) {
                mutants_accepted++;
            } else {
                mutants_refused++;
            }
        }
    }
    print_message("%zu mutants accepted, %zu refused\n", mutants_accepted, mutants_refused);
    assert_true(mutants_accepted > 20000);
    assert_true(mutants_refused > 20000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_generated_against_cjson),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
