/* The commands that scripts may call: on keys, strings and channels. What a real server does with
 * them is in tests/support/redis_cases.h, which holds both to the same. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "resvd/assert.h"
#include "sim_redis.h"

#define NOT_AN_INTEGER "ERR value is not an integer or out of range"

struct sim_redis_key *command_key(struct command_call *call, enum key_type type, bool *wrong)
{
    struct sim_redis_node *node = call->node;
    struct sim_redis_key *key = keys_find(&node->keys, call->arguments[1], node->now_ms);
    *wrong = key != NULL && key->type != type;
    if (*wrong)
        reply_error(call->reply,
                    "WRONGTYPE Operation against a key holding the wrong kind of value");
    return key;
}

bool command_integer(struct command_call *call, size_t index, int64_t *number)
{
    if (text_to_integer(call->arguments[index], number))
        return true;
    reply_error(call->reply, NOT_AN_INTEGER);
    return false;
}

struct redis_text integer_text(int64_t number, char buffer[static 24])
{
    int length = snprintf(buffer, 24, "%" PRId64, number);
    return (struct redis_text){buffer, (size_t)length};
}

/* --- strings ---------------------------------------------------------------------------------- */

static void run_get(struct command_call *call)
{
    bool wrong;
    const struct sim_redis_key *key = command_key(call, KEY_STRING, &wrong);
    if (key != NULL && !wrong)
        reply_text(call->reply, REPLY_TEXT, key->value.bytes, key->value.size);
}

struct set_options {
    bool if_absent;
    bool if_there;
    bool keeps_end;
    int64_t expires_ms; /* 0: never */
};

static bool is_word(struct redis_text text, const char *word)
{
    return text.size == strlen(word) && strncasecmp(text.bytes, word, text.size) == 0;
}

static bool take_set_options(struct command_call *call, struct set_options *options)
{
    for (size_t i = 3; i < call->count; i++) {
        struct redis_text word = call->arguments[i];
        bool milliseconds = is_word(word, "PX");
        if (is_word(word, "NX") && !options->if_there) {
            options->if_absent = true;
        } else if (is_word(word, "XX") && !options->if_absent) {
            options->if_there = true;
        } else if (is_word(word, "KEEPTTL") && options->expires_ms == 0) {
            options->keeps_end = true;
        } else if ((milliseconds || is_word(word, "EX")) && i + 1 < call->count &&
                   options->expires_ms == 0 && !options->keeps_end) {
            int64_t length;
            if (!command_integer(call, ++i, &length))
                return false;
            if (length <= 0 || length > INT64_MAX / 2000) {
                reply_error(call->reply, "ERR invalid expire time in 'set' command");
                return false;
            }
            options->expires_ms = call->node->now_ms + (milliseconds ? length : length * 1000);
        } else {
            reply_error(call->reply, "ERR syntax error");
            return false;
        }
    }
    return true;
}

static void run_set(struct command_call *call)
{
    struct sim_redis_node *node = call->node;
    struct set_options options = {0};
    if (!take_set_options(call, &options))
        return;
    struct sim_redis_key *key = keys_find(&node->keys, call->arguments[1], node->now_ms);
    if ((key != NULL && options.if_absent) || (key == NULL && options.if_there))
        return;
    int64_t expires_ms = key != NULL && options.keeps_end ? key->expires_ms : options.expires_ms;
    if (key != NULL && key->type != KEY_STRING) {
        keys_remove(&node->keys, key);
        key = NULL;
    }
    if (key == NULL)
        key = keys_add(&node->keys, call->arguments[1], KEY_STRING);
    text_free(key->value);
    key->value = text_copy(call->arguments[2].bytes, call->arguments[2].size);
    key->expires_ms = expires_ms;
    key->writer = node->caller;
    reply_text(call->reply, REPLY_STATUS, "OK", 2);
}

static void add_to(struct command_call *call, int64_t more)
{
    bool wrong;
    struct sim_redis_key *key = command_key(call, KEY_STRING, &wrong);
    int64_t sum = 0;
    char buffer[24];
    if (wrong)
        return;
    if (key != NULL && !text_to_integer(key->value, &sum)) {
        reply_error(call->reply, NOT_AN_INTEGER);
        return;
    }
    if (__builtin_add_overflow(sum, more, &sum)) {
        reply_error(call->reply, "ERR increment or decrement would overflow");
        return;
    }
    if (key == NULL)
        key = keys_add(&call->node->keys, call->arguments[1], KEY_STRING);
    text_free(key->value);
    struct redis_text text = integer_text(sum, buffer);
    key->value = text_copy(text.bytes, text.size);
    reply_integer(call->reply, sum);
}

static void run_incrby(struct command_call *call)
{
    int64_t more;
    if (command_integer(call, 2, &more))
        add_to(call, more);
}

static void run_decrby(struct command_call *call)
{
    int64_t less;
    if (!command_integer(call, 2, &less))
        return;
    if (less == INT64_MIN)
        reply_error(call->reply, "ERR decrement would overflow");
    else
        add_to(call, -less);
}

/* --- keys ------------------------------------------------------------------------------------- */

static void run_del(struct command_call *call)
{
    struct sim_redis_node *node = call->node;
    int64_t removed = 0;
    for (size_t i = 1; i < call->count; i++) {
        struct sim_redis_key *key = keys_find(&node->keys, call->arguments[i], node->now_ms);
        if (key == NULL)
            continue;
        keys_remove(&node->keys, key);
        removed++;
    }
    reply_integer(call->reply, removed);
}

static void run_exists(struct command_call *call)
{
    struct sim_redis_node *node = call->node;
    int64_t there = 0;
    for (size_t i = 1; i < call->count; i++)
        there += keys_find(&node->keys, call->arguments[i], node->now_ms) != NULL;
    reply_integer(call->reply, there);
}

static void expire(struct command_call *call, int64_t unit_ms)
{
    struct sim_redis_node *node = call->node;
    int64_t length;
    if (!command_integer(call, 2, &length))
        return;
    if (call->count > 3) {
        world_violation(node->world, "%s: options of %s are not simulated", node->who,
                        call->arguments[0].bytes);
        return;
    }
    struct sim_redis_key *key = keys_find(&node->keys, call->arguments[1], node->now_ms);
    if (key != NULL && length <= 0)
        keys_remove(&node->keys, key);
    else if (key != NULL)
        key->expires_ms = node->now_ms + length * unit_ms;
    reply_integer(call->reply, key != NULL);
}

static void run_expire(struct command_call *call)
{
    expire(call, 1000);
}

static void run_pexpire(struct command_call *call)
{
    expire(call, 1);
}

/* -2: no such key; -1: it stays. */
static int64_t left_ms(const struct command_call *call)
{
    struct sim_redis_node *node = call->node;
    const struct sim_redis_key *key = keys_find(&node->keys, call->arguments[1], node->now_ms);
    if (key == NULL)
        return -2;
    return key->expires_ms == 0 ? -1 : key->expires_ms - node->now_ms;
}

static void run_pttl(struct command_call *call)
{
    reply_integer(call->reply, left_ms(call));
}

static void run_ttl(struct command_call *call)
{
    int64_t left = left_ms(call);
    reply_integer(call->reply, left < 0 ? left : (left + 500) / 1000);
}

/* --- others ----------------------------------------------------------------------------------- */

static void run_publish(struct command_call *call)
{
    reply_integer(call->reply, (int64_t)node_publish(call->node, call->arguments[1]));
}

static void run_time(struct command_call *call)
{
    char buffer[24];
    reply_list(call->reply, 2);
    struct redis_text text = integer_text(call->node->now_ms / 1000, buffer);
    reply_text(&call->reply->items[0], REPLY_TEXT, text.bytes, text.size);
    text = integer_text(call->node->now_ms % 1000 * 1000, buffer);
    reply_text(&call->reply->items[1], REPLY_TEXT, text.bytes, text.size);
}

/* --- which there are -------------------------------------------------------------------------- */

static const struct command commands[] = {
    {"GET", 2, false, false, run_get},         {"SET", -3, true, true, run_set},
    {"DEL", -2, true, false, run_del},         {"UNLINK", -2, true, false, run_del},
    {"EXISTS", -2, false, false, run_exists},  {"INCRBY", 3, true, true, run_incrby},
    {"DECRBY", 3, true, true, run_decrby},     {"EXPIRE", -3, true, false, run_expire},
    {"PEXPIRE", -3, true, false, run_pexpire}, {"TTL", 2, false, false, run_ttl},
    {"PTTL", 2, false, false, run_pttl},       {"PUBLISH", 3, false, false, run_publish},
    {"TIME", 1, false, false, run_time},       {0},
};

static const struct command *find_command(struct redis_text name)
{
    const struct command *const lists[] = {commands, commands_of_hashes};
    for (size_t list = 0; list < sizeof lists / sizeof lists[0]; list++) {
        for (const struct command *each = lists[list]; each->name != NULL; each++) {
            if (is_word(name, each->name))
                return each;
        }
    }
    return NULL;
}

static bool is_refused(const struct command_call *call, const struct command *command)
{
    const struct sim_redis_node *node = call->node;
    enum node_refusal refusal =
        node->world->schedule.now_ns < node->refuses_until_ns ? node->refusal : NODE_TAKES_ALL;
    if (refusal == NODE_OUT_OF_MEMORY && command->grows && !node->script_wrote)
        reply_error(call->reply, "OOM command not allowed when used memory > 'maxmemory'.");
    else if (refusal == NODE_READ_ONLY && command->writes)
        reply_error(call->reply, "READONLY You can't write against a read only replica.");
    return call->reply->kind == REPLY_ERROR;
}

static void trace(const struct command_call *call)
{
    char line[200] = "";
    size_t length = 0;
    for (size_t i = 0; i < call->count && length < sizeof line; i++) {
        struct redis_text text = call->arguments[i];
        length += (size_t)snprintf(line + length, sizeof line - length, "%s%.40s", i > 0 ? " " : "",
                                   text.bytes);
    }
    for (size_t i = 0; line[i] != '\0'; i++) {
        if ((unsigned char)(line[i] - ' ') > '~' - ' ')
            line[i] = '?';
    }
    SIM_TRACE(call->node->world, call->node->who, "  %s -> %s", line, reply_words(call->reply));
}

void command_run(struct command_call *call)
{
    struct sim_redis_node *node = call->node;
    const struct command *command = find_command(call->arguments[0]);
    *call->reply = (struct redis_reply){.kind = REPLY_NIL};
    if (command == NULL) {
        world_violation(node->world, "%s: the command %s is not simulated", node->who,
                        call->arguments[0].bytes);
        reply_error(call->reply, "ERR Unknown Redis command called from script");
        return;
    }
    size_t words = (size_t)abs(command->words);
    if (call->count < words || (command->words > 0 && call->count > words))
        reply_error(call->reply, "ERR Wrong number of args calling Redis command from script");
    else if (!is_refused(call, command))
        command->run(call);
    if (command->writes && call->reply->kind != REPLY_ERROR) {
        node->script_wrote = true;
        node_wrote(node);
    }
    if (node->world->trace != SIM_TRACE_OFF)
        trace(call);
}
