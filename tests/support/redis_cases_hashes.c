/* Redis cases: hashes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "redis_case_kit.h"

static void fields(struct redis_cases *cases)
{
    struct case_name key = case_name(cases);
    case_is_nil(CASE_COMMAND(cases, "HGET", key.text, "a"));
    case_is_integer(CASE_COMMAND(cases, "HLEN", key.text), 0);
    case_is_integer(CASE_COMMAND(cases, "HEXISTS", key.text, "a"), 0);
    case_is_integer(CASE_COMMAND(cases, "HSET", key.text, "a", "1", "b", "2"), 2);
    case_is_integer(CASE_COMMAND(cases, "HSET", key.text, "a", "3", "c", "", "a", "4"), 1);
    case_is_text(CASE_COMMAND(cases, "HGET", key.text, "a"), "4");
    case_is_text(CASE_COMMAND(cases, "HGET", key.text, "c"), "");
    case_is_nil(CASE_COMMAND(cases, "HGET", key.text, "d"));
    case_is_integer(CASE_COMMAND(cases, "HLEN", key.text), 3);
    case_is_integer(CASE_COMMAND(cases, "HEXISTS", key.text, "b"), 1);
    case_is_integer(CASE_COMMAND(cases, "HDEL", key.text, "a", "d", "a", "b"), 2);
    case_is_integer(CASE_COMMAND(cases, "HDEL", key.text, "d"), 0);
    case_is_integer(CASE_COMMAND(cases, "EXISTS", key.text), 1);
    case_is_integer(CASE_COMMAND(cases, "HDEL", key.text, "c"), 1);
    case_is_integer(CASE_COMMAND(cases, "EXISTS", key.text), 0);
}

static void many_fields(struct redis_cases *cases)
{
    struct case_name key = case_name(cases);
    const struct case_call *call = CASE_COMMAND(cases, "HMGET", key.text, "a", "b");
    case_is_list(call, 2);
    case_item_is_nil(call, 0);
    case_item_is_nil(call, 1);
    case_is_list(CASE_COMMAND(cases, "HGETALL", key.text), 0);
    CASE_COMMAND(cases, "HSET", key.text, "z", "1", "a", "2", "m", "3");
    call = CASE_COMMAND(cases, "HMGET", key.text, "a", "x", "z", "a");
    case_is_list(call, 4);
    case_item_is_text(call, 0, "2");
    case_item_is_nil(call, 1);
    case_item_is_text(call, 2, "1");
    case_item_is_text(call, 3, "2");
    /* While they are few, in the order in which they came. */
    CASE_COMMAND(cases, "HDEL", key.text, "z");
    CASE_COMMAND(cases, "HSET", key.text, "z", "4", "a", "5");
    call = CASE_COMMAND(cases, "HGETALL", key.text);
    static const char *const expected[] = {"a", "5", "m", "3", "z", "4"};
    case_is_list(call, 6);
    for (size_t i = 0; i < 6; i++)
        case_item_is_text(call, i, expected[i]);
}

static void counters(struct redis_cases *cases)
{
    struct case_name key = case_name(cases);
    case_is_integer(CASE_COMMAND(cases, "HINCRBY", key.text, "a", "5"), 5);
    case_is_integer(CASE_COMMAND(cases, "HINCRBY", key.text, "a", "-8"), -3);
    case_is_text(CASE_COMMAND(cases, "HGET", key.text, "a"), "-3");
    CASE_COMMAND(cases, "HSET", key.text, "words", "x", "most", "9223372036854775807");
    case_is_refused(CASE_COMMAND(cases, "HINCRBY", key.text, "words", "1"),
                    "ERR hash value is not an integer");
    case_is_refused(CASE_COMMAND(cases, "HINCRBY", key.text, "most", "1"),
                    "ERR increment or decrement would overflow");
    case_is_refused(CASE_COMMAND(cases, "HINCRBY", key.text, "a", "1.5"),
                    "ERR value is not an integer or out of range");
    case_is_integer(CASE_COMMAND(cases, "HLEN", key.text), 3);
}

static void hashes_run_out(struct redis_cases *cases)
{
    struct case_name key = case_name(cases);
    CASE_COMMAND(cases, "HSET", key.text, "a", "1");
    case_is_integer(CASE_COMMAND(cases, "PEXPIRE", key.text, "1000"), 1);
    CASE_COMMAND(cases, "HSET", key.text, "b", "1");
    assert_in_range(CASE_COMMAND(cases, "PTTL", key.text)->integers[0], 1, 1000);
    cases->run_for_ms(cases->data, 1100);
    case_is_integer(CASE_COMMAND(cases, "HLEN", key.text), 0);
    case_is_integer(CASE_COMMAND(cases, "HSET", key.text, "b", "1"), 1);
    case_is_integer(CASE_COMMAND(cases, "PTTL", key.text), -1);
}

static void hundreds_of_fields(struct redis_cases *cases)
{
    struct case_name key = case_name(cases);
    char names[100][8];
    const char *words[202] = {"HSET", key.text};
    for (size_t i = 0; i < 100; i++) {
        snprintf(names[i], sizeof names[i], "f%zu", i);
        words[2 + i * 2] = words[3 + i * 2] = names[i];
    }
    case_is_integer(case_run(cases, &case_command, NULL, words, 202), 100);
    const struct case_call *call = CASE_COMMAND(cases, "HGETALL", key.text);
    case_is_list(call, 200);
    for (size_t i = 0; i < 200; i++)
        case_item_is_text(call, i, names[i / 2]);
}

/* What is there all the time comes, whatever comes and goes meanwhile, in a small hash and in one
 * of several pages (which one long field makes it). */
static void pages(struct redis_cases *cases)
{
    static const char long_name[] =
        "a field whose name and value have more than 64 bytes: a hash that "
        "has one is never packed";
    for (size_t count = 6; count <= 180; count += 174) {
        struct case_name key = case_name(cases);
        char names[180][8];
        const char *words[364] = {"HSET", key.text, long_name, long_name};
        for (size_t i = 0; i < count; i++) {
            snprintf(names[i], sizeof names[i], i % 3 == 0 ? "gone%zu" : "k%zu", i / 3 * 2 + i % 3);
            words[4 + i * 2] = words[5 + i * 2] = names[i];
        }
        case_run(cases, &case_command, NULL, words, 4 + count * 2);
        const struct case_call *call = CASE_RUN(cases, &case_scan, key.text, "5");
        case_item_is_integer(call, 0, (int64_t)count / 3 * 2);
        if (count == 180)
            assert_in_range(call->integers[1], 2, 1000);
        CASE_COMMAND(cases, "HDEL", key.text, long_name);
        case_item_is_integer(CASE_RUN(cases, &case_scan, key.text, "5"), 0, (int64_t)count / 3 * 2);
    }
    struct case_name packed = case_name(cases);
    CASE_COMMAND(cases, "HSET", packed.text, "k1", "k1", "k2", "k2", "gone1", "gone1", "k3", "k3");
    case_item_is_integer(CASE_RUN(cases, &case_scan, packed.text, "1"), 0, 3);
    struct case_name none = case_name(cases);
    case_item_is_integer(CASE_RUN(cases, &case_scan, none.text, "5"), 0, 0);
    case_is_refused(CASE_COMMAND(cases, "HSCAN", none.text, "x"), "ERR invalid cursor");
    case_is_refused(CASE_COMMAND(cases, "HSCAN", none.text, "0", "COUNT", "0"), "ERR syntax error");
}

const struct redis_case redis_cases_hashes[] = {
    {"fields", fields},
    {"many_fields", many_fields},
    {"counters", counters},
    {"hashes_run_out", hashes_run_out},
    {"hundreds_of_fields", hundreds_of_fields},
    {"pages", pages},
    {0},
};
