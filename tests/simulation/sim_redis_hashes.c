/* The commands that scripts may call: on hashes. */
#include <stdlib.h>

#include "sim_redis.h"

static struct sim_redis_key *find_hash(struct command_call *call, bool *wrong)
{
    return command_key(call, KEY_HASH, wrong);
}

/* The reply is nil when there is no such field. */
static void reply_field(struct redis_reply *reply, struct sim_redis_key *key,
                        struct redis_text name)
{
    const struct key_field *field = key != NULL ? key_field(key, name) : NULL;
    if (field != NULL)
        reply_text(reply, REPLY_TEXT, field->value.bytes, field->value.size);
}

static void run_hget(struct command_call *call)
{
    bool wrong;
    struct sim_redis_key *key = find_hash(call, &wrong);
    if (!wrong)
        reply_field(call->reply, key, call->arguments[2]);
}

static void run_hmget(struct command_call *call)
{
    bool wrong;
    struct sim_redis_key *key = find_hash(call, &wrong);
    if (wrong)
        return;
    reply_list(call->reply, call->count - 2);
    for (size_t i = 2; i < call->count; i++)
        reply_field(&call->reply->items[i - 2], key, call->arguments[i]);
}

static void run_hgetall(struct command_call *call)
{
    bool wrong;
    const struct sim_redis_key *key = find_hash(call, &wrong);
    if (wrong)
        return;
    reply_list(call->reply, key != NULL ? key->fields_count * 2 : 0);
    for (size_t i = 0; key != NULL && i < key->fields_count; i++) {
        const struct key_field *field = &key->fields[i];
        struct redis_reply *items = &call->reply->items[i * 2];
        reply_text(&items[0], REPLY_TEXT, field->name.bytes, field->name.size);
        reply_text(&items[1], REPLY_TEXT, field->value.bytes, field->value.size);
    }
}

static void run_hlen(struct command_call *call)
{
    bool wrong;
    const struct sim_redis_key *key = find_hash(call, &wrong);
    if (!wrong)
        reply_integer(call->reply, key != NULL ? (int64_t)key->fields_count : 0);
}

static void run_hexists(struct command_call *call)
{
    bool wrong;
    struct sim_redis_key *key = find_hash(call, &wrong);
    if (!wrong)
        reply_integer(call->reply, key != NULL && key_field(key, call->arguments[2]) != NULL);
}

/* --- writing ---------------------------------------------------------------------------------- */

/* True when the field is new. */
static bool set_field(struct sim_redis_key *key, struct redis_text name, struct redis_text value)
{
    struct key_field *field = key_field(key, name);
    bool is_new = field == NULL;
    if (is_new)
        field = key_add_field(key, name);
    else
        text_free(field->value);
    field->value = text_copy(value.bytes, value.size);
    return is_new;
}

static void run_hset(struct command_call *call)
{
    bool wrong;
    if (call->count % 2 != 0) {
        reply_error(call->reply, "ERR wrong number of arguments for 'hset' command");
        return;
    }
    struct sim_redis_key *key = find_hash(call, &wrong);
    if (wrong)
        return;
    if (key == NULL)
        key = keys_add(&call->node->keys, call->arguments[1], KEY_HASH);
    int64_t added = 0;
    for (size_t i = 2; i < call->count; i += 2)
        added += set_field(key, call->arguments[i], call->arguments[i + 1]);
    reply_integer(call->reply, added);
}

static void run_hdel(struct command_call *call)
{
    bool wrong;
    struct sim_redis_key *key = find_hash(call, &wrong);
    int64_t removed = 0;
    if (wrong)
        return;
    for (size_t i = 2; key != NULL && i < call->count; i++) {
        struct key_field *field = key_field(key, call->arguments[i]);
        if (field == NULL)
            continue;
        key_remove_field(key, field);
        removed++;
    }
    if (key != NULL && key->fields_count == 0)
        keys_remove(&call->node->keys, key);
    reply_integer(call->reply, removed);
}

static void run_hincrby(struct command_call *call)
{
    bool wrong;
    int64_t more;
    int64_t sum = 0;
    char buffer[24];
    if (!command_integer(call, 3, &more))
        return;
    struct sim_redis_key *key = find_hash(call, &wrong);
    if (wrong)
        return;
    const struct key_field *field = key != NULL ? key_field(key, call->arguments[2]) : NULL;
    if (field != NULL && !text_to_integer(field->value, &sum)) {
        reply_error(call->reply, "ERR hash value is not an integer");
    } else if (__builtin_add_overflow(sum, more, &sum)) {
        reply_error(call->reply, "ERR increment or decrement would overflow");
    } else {
        if (key == NULL)
            key = keys_add(&call->node->keys, call->arguments[1], KEY_HASH);
        set_field(key, call->arguments[2], integer_text(sum, buffer));
        reply_integer(call->reply, sum);
    }
}

const struct command commands_of_hashes[] = {
    {"HGET", 3, false, false, run_hget},
    {"HSET", -4, true, true, run_hset},
    {"HDEL", -3, true, false, run_hdel},
    {"HLEN", 2, false, false, run_hlen},
    {"HEXISTS", 3, false, false, run_hexists},
    {"HMGET", -3, false, false, run_hmget},
    {"HGETALL", 2, false, false, run_hgetall},
    {"HINCRBY", 4, true, true, run_hincrby},
    {0},
};
