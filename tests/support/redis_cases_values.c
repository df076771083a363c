/* Redis cases: values of Lua to replies and back, and what fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "redis_case_kit.h"

static const struct case_call *value(struct redis_cases *cases, const char *name)
{
    return CASE_RUN(cases, &case_value, NULL, name);
}

static void single_values(struct redis_cases *cases)
{
    case_is_integer(value(cases, "integer"), 42);
    case_is_integer(value(cases, "negative"), -7);
    case_is_integer(value(cases, "huge"), 9007199254740992);
    case_is_integer(value(cases, "fraction"), 3);
    case_is_integer(value(cases, "negative_fraction"), -3);
    case_is_text(value(cases, "text"), "words");
    case_is_text(value(cases, "empty"), "");
    case_is_integer(value(cases, "yes"), 1);
    case_is_nil(value(cases, "no"));
    case_is_nil(value(cases, "not_there"));
    case_is_text(value(cases, "status"), "FINE");
    case_is_text(value(cases, "status_table"), "FINE");
}

static void lists(struct redis_cases *cases)
{
    const struct case_call *call = value(cases, "list");
    case_is_list(call, 5);
    case_item_is_integer(call, 0, 1);
    case_item_is_text(call, 1, "two");
    case_item_is_nil(call, 2);
    case_item_is_integer(call, 3, 1);
    case_item_is_integer(call, 4, 5);
    call = value(cases, "hole");
    case_is_list(call, 1);
    case_item_is_integer(call, 0, 1);
    case_is_list(value(cases, "nothing"), 0);
    case_is_list(value(cases, "named"), 0);
    case_is_list(value(cases, "wrong_status"), 0);
    call = value(cases, "mixed");
    case_is_list(call, 2);
    case_item_is_integer(call, 1, 2);
    call = value(cases, "status_inside");
    case_is_list(call, 1);
    case_item_is_text(call, 0, "FINE");
}

static void errors(struct redis_cases *cases)
{
    case_is_refused(value(cases, "error"), "MYCODE some words");
    case_is_refused(value(cases, "error_dash"), "MYCODE x");
    case_is_refused(value(cases, "error_word"), "ERR MYCODE");
    case_is_refused(value(cases, "error_table"), "MYCODE some words");
    case_is_refused(value(cases, "raise"), "ERR user_script:");
    case_is_refused(value(cases, "raise_table"), "MYCODE some words");
    case_is_refused(value(cases, "read_global"), "ERR user_script:");
    case_is_refused(value(cases, "write_global"), "ERR user_script:");
    case_is_refused(value(cases, "no_argument"),
                    "ERR Please specify at least one argument for this redis lib call");
    case_is_refused(value(cases, "table_argument"),
                    "ERR Lua redis lib command arguments must be strings or integers");
    case_is_refused(value(cases, "nil_argument"),
                    "ERR Lua redis lib command arguments must be strings or integers");
    /* What failed has left nothing behind. */
    case_is_refused(value(cases, "read_global"), "ERR user_script:");
    case_is_integer(value(cases, "integer"), 42);
}

/* A script that fails has done what it had done. */
static void half_way(struct redis_cases *cases)
{
    struct case_name key = case_name(cases);
    struct case_call *call = case_run(cases, &case_halfway, key.text, NULL, 0);
    case_is_refused(call, "ERR value is not an integer or out of range");
    case_is_text(CASE_COMMAND(cases, "GET", key.text), "before");
    call = case_run(cases, &case_caught, key.text, NULL, 0);
    case_is_list(call, 2);
    case_item_is_text(call, 0, "ERR value is not an integer or out of range");
    case_item_is_text(call, 1, "after");
    case_is_refused(CASE_RUN(cases, &case_pcommand, NULL, "INCRBY", key.text, "1"),
                    "ERR value is not an integer or out of range");
    case_is_text(CASE_RUN(cases, &case_pcommand, NULL, "GET", key.text), "after");
}

static void expect_look(struct redis_cases *cases, const struct case_call *call,
                        const char *const *expected, size_t count)
{
    (void)cases;
    case_is_list(call, count);
    for (size_t i = 0; i < count; i++)
        case_item_is_text(call, i, expected[i]);
}

#define LOOK(cases, words, ...)                                                                    \
    expect_look(cases,                                                                             \
                case_run(cases, &case_look, NULL, words, sizeof(words) / sizeof((words)[0])),      \
                (const char *const[]){__VA_ARGS__},                                                \
                sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

static void what_scripts_see(struct redis_cases *cases)
{
    struct case_name key = case_name(cases), hash = case_name(cases);
    const char *const get[] = {"GET", key.text};
    const char *const set[] = {"SET", key.text, "5"};
    const char *const set_again[] = {"SET", key.text, "6", "NX"};
    const char *const exists[] = {"EXISTS", key.text};
    const char *const wrong[] = {"HLEN", key.text};
    const char *const fields[] = {"HMGET", hash.text, "a", "b", "c"};
    const char *const all[] = {"HGETALL", hash.text};
    LOOK(cases, get, "boolean", "false");
    LOOK(cases, set, "status", "OK");
    LOOK(cases, set_again, "boolean", "false");
    LOOK(cases, get, "string", "5");
    LOOK(cases, exists, "number", "1");
    LOOK(cases, wrong, "error",
         "WRONGTYPE Operation against a key holding the wrong kind of value");
    LOOK(cases, all, "list");
    CASE_COMMAND(cases, "HSET", hash.text, "a", "1", "c", "3");
    LOOK(cases, fields, "list", "string", "1", "boolean", "false", "string", "3");
    LOOK(cases, all, "list", "string", "a", "string", "1", "string", "c", "string", "3");
}

static void keys_and_arguments(struct redis_cases *cases)
{
    static struct case_call call;
    const struct redis_text keys[] = {{"one", 3}, {"two", 3}};
    const struct redis_text arguments[] = {{"a", 1}, {"", 0}, {"\0\xff\r\n$", 5}};
    case_call_start_texts(cases, &call, &case_count, keys, 2, arguments, 3);
    case_call_finish(cases, &call);
    case_is_list(&call, 4);
    case_item_is_integer(&call, 0, 2);
    case_item_is_integer(&call, 1, 3);
    case_item_is_text(&call, 2, "two");
    assert_int_equal(call.texts[3].size, 5);
    assert_memory_equal(call.texts[3].bytes, "\0\xff\r\n$", 5);
    case_call_start_texts(cases, &call, &case_count, NULL, 0, NULL, 0);
    case_call_finish(cases, &call);
    case_is_list(&call, 4);
    case_item_is_integer(&call, 0, 0);
    case_item_is_integer(&call, 1, 0);
    case_item_is_nil(&call, 2);
    case_item_is_nil(&call, 3);
}

static void bytes(struct redis_cases *cases)
{
    static struct case_call call;
    struct case_name name = case_name(cases);
    char key[CASE_NAME_SIZE + 3];
    size_t length = strlen(name.text);
    memcpy(key, name.text, length);
    memcpy(key + length, "\0\xfe\n", 3);
    const struct redis_text keys[] = {{key, length + 3}};
    const struct redis_text mine[] = {{"\0\1\2\377\r\n", 6}, {"60000", 5}};
    const struct redis_text theirs[] = {{"\0\1\2\376\r\n", 6}, {"60000", 5}};
    case_call_start_texts(cases, &call, &case_take, keys, 1, mine, 2);
    case_call_finish(cases, &call);
    case_is_integer(&call, 1);
    case_call_start_texts(cases, &call, &case_let_go, keys, 1, theirs, 1);
    case_call_finish(cases, &call);
    case_is_integer(&call, 0);
    case_is_integer(CASE_COMMAND(cases, "EXISTS", name.text), 0);
    case_call_start_texts(cases, &call, &case_let_go, keys, 1, mine, 1);
    case_call_finish(cases, &call);
    case_is_integer(&call, 1);
}

static void many_words(struct redis_cases *cases)
{
    const char *words[CASE_WORDS_MAX];
    struct case_name key = case_name(cases);
    words[0] = "DEL";
    for (size_t i = 1; i < CASE_WORDS_MAX; i++)
        words[i] = key.text;
    CASE_COMMAND(cases, "SET", key.text, "1");
    case_is_integer(case_run(cases, &case_command, NULL, words, CASE_WORDS_MAX), 1);
}

const struct redis_case redis_cases_values[] = {
    {"single_values", single_values},
    {"lists", lists},
    {"errors", errors},
    {"half_way", half_way},
    {"what_scripts_see", what_scripts_see},
    {"keys_and_arguments", keys_and_arguments},
    {"bytes", bytes},
    {"many_words", many_words},
    {0},
};
