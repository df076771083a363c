/* Redis cases: what scripts may do with keys and strings, and what becomes of it in time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "redis_case_kit.h"

/* --- strings ---------------------------------------------------------------------------------- */

static void set_and_get(struct redis_cases *cases)
{
    struct case_name key = case_name(cases);
    case_is_nil(CASE_COMMAND(cases, "GET", key.text));
    case_is_integer(CASE_COMMAND(cases, "EXISTS", key.text), 0);
    case_is_text(CASE_COMMAND(cases, "SET", key.text, "one"), "OK");
    case_is_text(CASE_COMMAND(cases, "GET", key.text), "one");
    case_is_text(CASE_COMMAND(cases, "set", key.text, ""), "OK");
    case_is_text(CASE_COMMAND(cases, "GET", key.text), "");
    case_is_integer(CASE_COMMAND(cases, "EXISTS", key.text, key.text), 2);
    case_is_integer(CASE_COMMAND(cases, "DEL", key.text, key.text), 1);
    case_is_integer(CASE_COMMAND(cases, "DEL", key.text), 0);
    case_is_nil(CASE_COMMAND(cases, "GET", key.text));
}

static void set_only_if(struct redis_cases *cases)
{
    struct case_name key = case_name(cases);
    case_is_nil(CASE_COMMAND(cases, "SET", key.text, "one", "XX"));
    case_is_nil(CASE_COMMAND(cases, "GET", key.text));
    case_is_text(CASE_COMMAND(cases, "SET", key.text, "one", "NX"), "OK");
    case_is_nil(CASE_COMMAND(cases, "SET", key.text, "two", "NX"));
    case_is_text(CASE_COMMAND(cases, "GET", key.text), "one");
    case_is_text(CASE_COMMAND(cases, "SET", key.text, "three", "xx"), "OK");
    case_is_text(CASE_COMMAND(cases, "GET", key.text), "three");
    case_is_refused(CASE_COMMAND(cases, "SET", key.text, "x", "NX", "XX"), "ERR syntax error");
    case_is_refused(CASE_COMMAND(cases, "SET", key.text, "x", "PX"), "ERR syntax error");
    case_is_refused(CASE_COMMAND(cases, "SET", key.text, "x", "PX", "5", "EX", "5"),
                    "ERR syntax error");
    case_is_refused(CASE_COMMAND(cases, "SET", key.text, "x", "PX", "0"),
                    "ERR invalid expire time in 'set' command");
    case_is_refused(CASE_COMMAND(cases, "SET", key.text, "x", "PX", "5x"),
                    "ERR value is not an integer or out of range");
    case_is_text(CASE_COMMAND(cases, "GET", key.text), "three");
}

static void add(struct redis_cases *cases)
{
    struct case_name key = case_name(cases);
    case_is_integer(CASE_COMMAND(cases, "INCRBY", key.text, "5"), 5);
    case_is_integer(CASE_COMMAND(cases, "DECRBY", key.text, "7"), -2);
    case_is_text(CASE_COMMAND(cases, "GET", key.text), "-2");
    static const char *const wrong[] = {"1x", " 1", "1.5", "", "+1", "01", "99999999999999999999"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        case_is_refused(CASE_COMMAND(cases, "INCRBY", key.text, wrong[i]),
                        "ERR value is not an integer or out of range");
    CASE_COMMAND(cases, "SET", key.text, "9223372036854775807");
    case_is_refused(CASE_COMMAND(cases, "INCRBY", key.text, "1"),
                    "ERR increment or decrement would overflow");
    case_is_refused(CASE_COMMAND(cases, "DECRBY", key.text, "-9223372036854775808"),
                    "ERR decrement would overflow");
    case_is_text(CASE_COMMAND(cases, "GET", key.text), "9223372036854775807");
    CASE_COMMAND(cases, "SET", key.text, "words");
    case_is_refused(CASE_COMMAND(cases, "INCRBY", key.text, "1"),
                    "ERR value is not an integer or out of range");
    /* Lua has no greater integers than these. */
    CASE_COMMAND(cases, "SET", key.text, "9007199254740992");
    case_is_integer(CASE_COMMAND(cases, "INCRBY", key.text, "1"), 9007199254740992);
    case_is_text(CASE_COMMAND(cases, "GET", key.text), "9007199254740993");
}

/* --- time ------------------------------------------------------------------------------------- */

static void keys_run_out(struct redis_cases *cases)
{
    struct case_name key = case_name(cases), stays = case_name(cases);
    case_is_integer(CASE_COMMAND(cases, "PTTL", key.text), -2);
    case_is_integer(CASE_COMMAND(cases, "TTL", key.text), -2);
    CASE_COMMAND(cases, "SET", key.text, "one", "PX", "1000");
    CASE_COMMAND(cases, "SET", stays.text, "one", "EX", "100");
    case_is_integer(CASE_COMMAND(cases, "TTL", stays.text), 100);
    assert_in_range(CASE_COMMAND(cases, "PTTL", key.text)->integers[0], 1, 1000);
    assert_in_range(CASE_COMMAND(cases, "PTTL", stays.text)->integers[0], 90000, 100000);
    cases->run_for_ms(cases->data, 1100);
    case_is_nil(CASE_COMMAND(cases, "GET", key.text));
    case_is_integer(CASE_COMMAND(cases, "DEL", key.text), 0);
    case_is_text(CASE_COMMAND(cases, "SET", key.text, "two", "NX"), "OK");
    case_is_integer(CASE_COMMAND(cases, "PTTL", key.text), -1);
    case_is_integer(CASE_COMMAND(cases, "TTL", key.text), -1);
    /* Written anew, it has no end any more, unless that is kept. */
    case_is_text(CASE_COMMAND(cases, "SET", stays.text, "two", "KEEPTTL"), "OK");
    assert_in_range(CASE_COMMAND(cases, "PTTL", stays.text)->integers[0], 90000, 100000);
    CASE_COMMAND(cases, "SET", stays.text, "three");
    case_is_integer(CASE_COMMAND(cases, "PTTL", stays.text), -1);
}

static void ends_are_moved(struct redis_cases *cases)
{
    struct case_name key = case_name(cases);
    case_is_integer(CASE_COMMAND(cases, "PEXPIRE", key.text, "100"), 0);
    CASE_COMMAND(cases, "INCRBY", key.text, "1");
    case_is_integer(CASE_COMMAND(cases, "PEXPIRE", key.text, "1000"), 1);
    case_is_integer(CASE_COMMAND(cases, "INCRBY", key.text, "1"), 2);
    assert_in_range(CASE_COMMAND(cases, "PTTL", key.text)->integers[0], 1, 1000);
    case_is_integer(CASE_COMMAND(cases, "EXPIRE", key.text, "50"), 1);
    assert_in_range(CASE_COMMAND(cases, "PTTL", key.text)->integers[0], 40000, 50000);
    cases->run_for_ms(cases->data, 1100);
    case_is_text(CASE_COMMAND(cases, "GET", key.text), "2");
    case_is_refused(CASE_COMMAND(cases, "PEXPIRE", key.text, "1.5"),
                    "ERR value is not an integer or out of range");
    case_is_integer(CASE_COMMAND(cases, "PEXPIRE", key.text, "-1"), 1);
    case_is_integer(CASE_COMMAND(cases, "EXISTS", key.text), 0);
}

static void time_goes_on(struct redis_cases *cases)
{
    struct case_call *call = CASE_COMMAND(cases, "TIME");
    case_is_list(call, 2);
    char buffer[32];
    snprintf(buffer, sizeof buffer, "%.*s", (int)call->texts[0].size, call->texts[0].bytes);
    long long seconds = strtoll(buffer, NULL, 10);
    assert_true(seconds > 1600000000);
    cases->run_for_ms(cases->data, 2000);
    call = CASE_COMMAND(cases, "TIME");
    snprintf(buffer, sizeof buffer, "%.*s", (int)call->texts[0].size, call->texts[0].bytes);
    assert_in_range(strtoll(buffer, NULL, 10) - seconds, 1, 4);
    snprintf(buffer, sizeof buffer, "%.*s", (int)call->texts[1].size, call->texts[1].bytes);
    assert_in_range(strtoll(buffer, NULL, 10), 0, 999999);
}

/* --- a lock ----------------------------------------------------------------------------------- */

static void lock(struct redis_cases *cases)
{
    struct case_name key = case_name(cases);
    case_is_integer(CASE_RUN(cases, &case_take, key.text, "mine", "1000"), 1);
    case_is_integer(CASE_RUN(cases, &case_take, key.text, "theirs", "1000"), 0);
    case_is_integer(CASE_RUN(cases, &case_take, key.text, "mine", "1000"), 0);
    case_is_integer(CASE_RUN(cases, &case_let_go, key.text, "theirs"), 0);
    case_is_integer(CASE_RUN(cases, &case_let_go, key.text, "mine"), 1);
    case_is_integer(CASE_RUN(cases, &case_let_go, key.text, "mine"), 0);
    case_is_integer(CASE_RUN(cases, &case_take, key.text, "theirs", "1000"), 1);
    cases->run_for_ms(cases->data, 1100);
    case_is_integer(CASE_RUN(cases, &case_let_go, key.text, "theirs"), 0);
    case_is_integer(CASE_RUN(cases, &case_take, key.text, "mine", "60000"), 1);
    case_is_integer(CASE_RUN(cases, &case_let_go, key.text, "mine"), 1);
}

static void wrong_types(struct redis_cases *cases)
{
    struct case_name key = case_name(cases), hash = case_name(cases);
    CASE_COMMAND(cases, "SET", key.text, "one");
    CASE_COMMAND(cases, "HSET", hash.text, "field", "one");
    case_is_refused(CASE_COMMAND(cases, "GET", hash.text), "WRONGTYPE ");
    case_is_refused(CASE_COMMAND(cases, "INCRBY", hash.text, "1"), "WRONGTYPE ");
    static const char *const readers[] = {"HLEN", "HGETALL"};
    for (size_t i = 0; i < 2; i++)
        case_is_refused(CASE_COMMAND(cases, readers[i], key.text), "WRONGTYPE ");
    static const char *const fields[] = {"HGET", "HMGET", "HDEL", "HEXISTS"};
    for (size_t i = 0; i < 4; i++)
        case_is_refused(CASE_COMMAND(cases, fields[i], key.text, "field"), "WRONGTYPE ");
    case_is_refused(CASE_COMMAND(cases, "HSET", key.text, "field", "x"), "WRONGTYPE ");
    case_is_refused(CASE_COMMAND(cases, "HINCRBY", key.text, "field", "1"), "WRONGTYPE ");
    case_is_integer(CASE_COMMAND(cases, "PTTL", hash.text), -1);
    case_is_text(CASE_COMMAND(cases, "SET", hash.text, "no hash any more"), "OK");
    case_is_text(CASE_COMMAND(cases, "GET", hash.text), "no hash any more");
    case_is_integer(CASE_COMMAND(cases, "DEL", key.text, hash.text), 2);
}

static void too_few_words(struct redis_cases *cases)
{
    static const char *const commands[] = {"GET",    "SET",     "DEL",     "EXISTS", "INCRBY",
                                           "DECRBY", "EXPIRE",  "PEXPIRE", "TTL",    "PTTL",
                                           "HGET",   "HSET",    "HDEL",    "HLEN",   "HEXISTS",
                                           "HMGET",  "HGETALL", "HINCRBY", "PUBLISH"};
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        case_is_refused(CASE_COMMAND(cases, commands[i]),
                        "ERR Wrong number of args calling Redis command from script");
    struct case_name key = case_name(cases);
    case_is_refused(CASE_COMMAND(cases, "HSET", key.text, "field"), "ERR ");
    case_is_refused(CASE_COMMAND(cases, "HSET", key.text, "a", "1", "b"), "ERR ");
    case_is_refused(CASE_COMMAND(cases, "GET", key.text, "more"),
                    "ERR Wrong number of args calling Redis command from script");
    case_is_integer(CASE_COMMAND(cases, "EXISTS", key.text), 0);
}

const struct redis_case redis_cases_commands[] = {
    {"set_and_get", set_and_get},
    {"set_only_if", set_only_if},
    {"add", add},
    {"keys_run_out", keys_run_out},
    {"ends_are_moved", ends_are_moved},
    {"time_goes_on", time_goes_on},
    {"lock", lock},
    {"wrong_types", wrong_types},
    {"too_few_words", too_few_words},
    {0},
};
