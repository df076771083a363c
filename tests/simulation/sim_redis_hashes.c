/* The commands that scripts may call: on hashes. */
#include <stdlib.h>
#include <strings.h>

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

/* --- scanning --------------------------------------------------------------------------------- */

static bool take_scan_count(struct command_call *call, int64_t *count)
{
    *count = 10;
    if (call->count == 3)
        return true;
    if (call->count != 5 || call->arguments[3].size != 5 ||
        strncasecmp(call->arguments[3].bytes, "COUNT", 5) != 0) {
        world_violation(call->node->world, "%s: options of HSCAN are not simulated",
                        call->node->who);
        return false;
    }
    if (!command_integer(call, 4, count))
        return false;
    if (*count < 1)
        reply_error(call->reply, "ERR syntax error");
    return *count >= 1;
}

/* As Redis is by default: few fields that are all short may come as a whole, whatever was asked
 * for.
 */
static bool is_small(const struct sim_redis_key *key)
{
    for (size_t i = 0; i < key->fields_count; i++) {
        if (key->fields[i].name.size > 64 || key->fields[i].value.size > 64)
            return false;
    }
    return key->fields_count <= 512;
}

/* How many of those that are left this page has: about as many as were asked for. */
static size_t page_size(struct command_call *call, const struct sim_redis_key *key, size_t left,
                        int64_t count)
{
    struct sim_chance *chance = &call->node->world->chance;
    if (left == key->fields_count && is_small(key) && chance_of(chance, 500000))
        return left;
    uint64_t most = (uint64_t)count > left ? left : (uint64_t)count;
    size_t size = 1 + chance_below(chance, most + 2);
    return size < left ? size : left;
}

static void reply_page(struct command_call *call, const struct key_field *first, size_t count,
                       uint64_t cursor)
{
    char buffer[24];
    reply_list(call->reply, 2);
    struct redis_text text = integer_text((int64_t)cursor, buffer);
    reply_text(&call->reply->items[0], REPLY_TEXT, text.bytes, text.size);
    struct redis_reply *page = &call->reply->items[1];
    reply_list(page, count * 2);
    for (size_t i = 0; i < count; i++) {
        reply_text(&page->items[i * 2], REPLY_TEXT, first[i].name.bytes, first[i].name.size);
        reply_text(&page->items[i * 2 + 1], REPLY_TEXT, first[i].value.bytes, first[i].value.size);
    }
}

/* What is there from the first page to the last comes at least once; a page may begin with what
 * came before. */
static void run_hscan(struct command_call *call)
{
    bool wrong;
    int64_t cursor, count;
    struct sim_chance *chance = &call->node->world->chance;
    if (!command_integer(call, 2, &cursor) || cursor < 0) {
        reply_free(call->reply);
        reply_error(call->reply, "ERR invalid cursor");
        return;
    }
    if (!take_scan_count(call, &count))
        return;
    const struct sim_redis_key *key = find_hash(call, &wrong);
    if (wrong)
        return;
    if (key == NULL) {
        reply_page(call, NULL, 0, 0);
        return;
    }
    size_t at = 0;
    while (at < key->fields_count && key->fields[at].number <= (uint64_t)cursor)
        at++;
    size_t again = at > 0 && chance_of(chance, 200000) ? chance_below(chance, at) % 3 : 0;
    size_t left = key->fields_count - at;
    size_t size = left > 0 ? page_size(call, key, left, count) : 0;
    uint64_t next = size < left ? key->fields[at + size - 1].number : 0;
    reply_page(call, key->fields + at - again, size + again, next);
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
    {"HGET", 3, false, false, run_hget},       {"HSET", -4, true, true, run_hset},
    {"HDEL", -3, true, false, run_hdel},       {"HLEN", 2, false, false, run_hlen},
    {"HEXISTS", 3, false, false, run_hexists}, {"HMGET", -3, false, false, run_hmget},
    {"HGETALL", 2, false, false, run_hgetall}, {"HINCRBY", 4, true, true, run_hincrby},
    {"HSCAN", -3, false, false, run_hscan},    {0},
};
