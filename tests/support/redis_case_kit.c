/* What the Redis cases are written with: scripts, names, calls. */
#include "redis_case_kit.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* --- scripts ---------------------------------------------------------------------------------- */

const struct redis_script case_command = {"command", "return redis.call(unpack(ARGV))"};
const struct redis_script case_pcommand = {"pcommand", "return redis.pcall(unpack(ARGV))"};

const struct redis_script case_value = {
    "value",
    "local values = {\n"
    "  integer = 42, negative = -7, huge = 2 ^ 53, fraction = 3.99, negative_fraction = -3.99,\n"
    "  text = 'words', empty = '', yes = true, no = false,\n"
    "  list = {1, 'two', false, true, 5.9}, hole = {1, nil, 3}, nothing = {},\n"
    "  named = {first = 1, second = 2}, mixed = {1, 2, name = 3},\n"
    "  status = redis.status_reply('FINE'), status_table = {ok = 'FINE'},\n"
    "  wrong_status = {ok = 1},\n"
    "  error = redis.error_reply('MYCODE some words'), error_dash = redis.error_reply('-MYCODE "
    "x'),\n"
    "  error_word = redis.error_reply('MYCODE'), error_table = {err = 'MYCODE some words'},\n"
    "  error_inside = {1, {err = 'MYCODE some words'}, 3},\n"
    "  status_inside = {{ok = 'FINE'}},\n"
    "}\n"
    "if ARGV[1] == 'raise' then error('on purpose') end\n"
    "if ARGV[1] == 'raise_table' then error({err = 'MYCODE some words'}) end\n"
    "if ARGV[1] == 'read_global' then return there_is_no_such_thing end\n"
    "if ARGV[1] == 'write_global' then a_new_thing = 1 end\n"
    "if ARGV[1] == 'no_argument' then return redis.call() end\n"
    "if ARGV[1] == 'table_argument' then return redis.call('GET', {}) end\n"
    "if ARGV[1] == 'nil_argument' then return redis.call('GET', nil) end\n"
    "return values[ARGV[1]]"};

const struct redis_script case_halfway = {"halfway", "redis.call('SET', KEYS[1], 'before')\n"
                                                     "redis.call('INCRBY', KEYS[1], 1)\n"
                                                     "redis.call('SET', KEYS[1], 'after')"};

const struct redis_script case_caught = {"caught",
                                         "redis.call('SET', KEYS[1], 'before')\n"
                                         "local failed = redis.pcall('INCRBY', KEYS[1], 1)\n"
                                         "redis.call('SET', KEYS[1], 'after')\n"
                                         "return {failed.err, redis.call('GET', KEYS[1])}"};

const struct redis_script case_take = {
    "take", "if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end\n"
            "return 0"};

const struct redis_script case_let_go = {
    "let_go", "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end\n"
              "return redis.call('DEL', KEYS[1])"};

const struct redis_script case_look = {
    "look", "local reply = redis.pcall(unpack(ARGV))\n"
            "if type(reply) ~= 'table' then return {type(reply), tostring(reply)} end\n"
            "if reply.ok then return {'status', reply.ok} end\n"
            "if reply.err then return {'error', reply.err} end\n"
            "local seen = {'list'}\n"
            "for place = 1, #reply do\n"
            "  seen[#seen + 1] = type(reply[place])\n"
            "  seen[#seen + 1] = tostring(reply[place])\n"
            "end\n"
            "return seen"};

const struct redis_script case_count = {
    "count", "return {#KEYS, #ARGV, KEYS[#KEYS] or false, ARGV[#ARGV] or false}"};

const struct redis_script case_scan = {
    "scan", "local cursor, seen, kept, pages = '0', {}, 0, 0\n"
            "repeat\n"
            "  local page = redis.call('HSCAN', KEYS[1], cursor, 'COUNT', ARGV[1])\n"
            "  cursor, pages = page[1], pages + 1\n"
            "  for at = 1, #page[2], 2 do\n"
            "    local name = page[2][at]\n"
            "    if not seen[name] and string.sub(name, 1, 1) == 'k' then kept = kept + 1 end\n"
            "    seen[name] = true\n"
            "    if page[2][at + 1] ~= name then return {-1, pages} end\n"
            "  end\n"
            "  redis.call('HDEL', KEYS[1], 'gone' .. pages)\n"
            "  if pages < 10 then redis.call('HSET', KEYS[1], 'new' .. pages, 'new' .. pages) end\n"
            "until cursor == '0'\n"
            "return {kept, pages}"};

const struct redis_script *const redis_cases_scripts[] = {
    &case_command, &case_pcommand, &case_value, &case_halfway, &case_caught, &case_take,
    &case_let_go,  &case_look,     &case_count, &case_scan,    NULL,
};

/* --- calls ------------------------------------------------------------------------------------ */

struct case_name case_name(struct redis_cases *cases)
{
    struct case_name name;
    snprintf(name.text, sizeof name.text, "%.30scase:%" PRIu64, redis_link_key_prefix(cases->link),
             ++cases->names);
    return name;
}

static void copy_text(struct case_call *self, size_t index, struct redis_text text)
{
    if (text.bytes == NULL)
        return;
    assert_true(self->used + text.size < CASE_BYTES_MAX);
    memcpy(self->bytes + self->used, text.bytes, text.size);
    self->texts[index] = (struct redis_text){self->bytes + self->used, text.size};
    self->used += text.size + 1;
}

static void call_done(struct redis_call *call)
{
    struct case_call *self = call->data;
    assert_false(self->done);
    assert_false(call->pending);
    self->done = true;
    self->result = call->result;
    self->used = 0;
    self->count = 0;
    bool answered = call->result == REDIS_DONE || call->result == REDIS_REFUSED;
    assert_true(answered == (call->reply != NULL));
    if (!answered)
        return;
    self->count = redis_reply_count(call->reply);
    assert_true(self->count < CASE_REPLY_MAX);
    for (size_t i = 0; i < self->count + 1; i++) { /* and one that is not there */
        self->integers[i] = redis_reply_integer(call->reply, i);
        self->texts[i] = (struct redis_text){NULL, 0};
        copy_text(self, i, redis_reply_text(call->reply, i));
    }
    assert_true(self->integers[self->count] == INT64_MIN);
    assert_null(self->texts[self->count].bytes);
}

void case_call_start_texts(struct redis_cases *cases, struct case_call *call,
                           const struct redis_script *script, const struct redis_text *keys,
                           size_t keys_count, const struct redis_text *arguments,
                           size_t arguments_count)
{
    call->done = false;
    call->call = (struct redis_call){.script = script,
                                     .keys = keys,
                                     .keys_count = keys_count,
                                     .arguments = arguments,
                                     .arguments_count = arguments_count,
                                     .data = call,
                                     .done = call_done};
    redis_run(cases->link, &call->call);
    assert_false(call->done);
}

void case_call_start(struct redis_cases *cases, struct case_call *call,
                     const struct redis_script *script, const char *key, const char *const *words,
                     size_t count)
{
    struct redis_text arguments[CASE_WORDS_MAX];
    struct redis_text keys[1] = {{key, key != NULL ? strlen(key) : 0}};
    assert_true(count <= CASE_WORDS_MAX);
    for (size_t i = 0; i < count; i++)
        arguments[i] = (struct redis_text){words[i], strlen(words[i])};
    case_call_start_texts(cases, call, script, keys, key != NULL, arguments, count);
}

void case_call_finish(struct redis_cases *cases, struct case_call *call)
{
    cases->run_until(cases->data, &call->done);
}

struct case_call *case_run(struct redis_cases *cases, const struct redis_script *script,
                           const char *key, const char *const *words, size_t count)
{
    static struct case_call call;
    case_call_start(cases, &call, script, key, words, count);
    case_call_finish(cases, &call);
    return &call;
}

/* --- what it brought -------------------------------------------------------------------------- */

void case_item_is_integer(const struct case_call *call, size_t index, int64_t integer)
{
    assert_true(index < call->count);
    assert_true(call->integers[index] == integer);
    assert_null(call->texts[index].bytes);
}

void case_item_is_text(const struct case_call *call, size_t index, const char *text)
{
    assert_true(index < call->count);
    assert_non_null(call->texts[index].bytes);
    assert_int_equal(call->texts[index].size, strlen(text));
    assert_memory_equal(call->texts[index].bytes, text, strlen(text));
    assert_true(call->integers[index] == INT64_MIN);
}

void case_item_is_nil(const struct case_call *call, size_t index)
{
    assert_true(index < call->count);
    assert_true(call->integers[index] == INT64_MIN);
    assert_null(call->texts[index].bytes);
}

void case_is_list(const struct case_call *call, size_t count)
{
    assert_int_equal(call->result, REDIS_DONE);
    assert_int_equal(call->count, count);
}

void case_is_integer(const struct case_call *call, int64_t integer)
{
    case_is_list(call, 1);
    case_item_is_integer(call, 0, integer);
}

void case_is_text(const struct case_call *call, const char *text)
{
    case_is_list(call, 1);
    case_item_is_text(call, 0, text);
}

void case_is_nil(const struct case_call *call)
{
    case_is_list(call, 1);
    case_item_is_nil(call, 0);
}

void case_is_refused(const struct case_call *call, const char *beginning)
{
    assert_int_equal(call->result, REDIS_REFUSED);
    assert_int_equal(call->count, 1);
    assert_non_null(call->texts[0].bytes);
    if (call->texts[0].size < strlen(beginning) ||
        memcmp(call->texts[0].bytes, beginning, strlen(beginning)) != 0)
        fail_msg("'%.*s' does not begin with '%s'", (int)call->texts[0].size, call->texts[0].bytes,
                 beginning);
}
