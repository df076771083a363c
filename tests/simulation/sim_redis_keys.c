/* A node's key space. Invariant: a name is there once; a hash has at least one field. */
#include <stdlib.h>
#include <string.h>

#include "resvd/assert.h"
#include "sim_redis.h"

static struct sim_redis_key **bucket_of(struct sim_redis_keys *keys, struct redis_text name)
{
    uint64_t hash = 0xcbf29ce484222325;
    for (size_t i = 0; i < name.size; i++)
        hash = (hash ^ (uint8_t)name.bytes[i]) * 0x100000001b3;
    return &keys->buckets[hash % KEYS_BUCKETS];
}

struct sim_redis_key *keys_find(struct sim_redis_keys *keys, struct redis_text name, int64_t now_ms)
{
    struct sim_redis_key *key = *bucket_of(keys, name);
    while (key != NULL && !text_equals(key->name, name))
        key = key->next;
    if (key != NULL && key->expires_ms != 0 && now_ms > key->expires_ms) {
        keys_remove(keys, key);
        return NULL;
    }
    return key;
}

struct sim_redis_key *keys_add(struct sim_redis_keys *keys, struct redis_text name,
                               enum key_type type)
{
    struct sim_redis_key **bucket = bucket_of(keys, name);
    struct sim_redis_key *key = calloc(1, sizeof *key);
    RESV_ASSERT(key != NULL);
    key->name = text_copy(name.bytes, name.size);
    key->type = type;
    key->next = *bucket;
    *bucket = key;
    return key;
}

static void free_key(struct sim_redis_key *key)
{
    for (size_t i = 0; i < key->fields_count; i++) {
        text_free(key->fields[i].name);
        text_free(key->fields[i].value);
    }
    free(key->fields);
    text_free(key->value);
    text_free(key->name);
    free(key);
}

void keys_remove(struct sim_redis_keys *keys, struct sim_redis_key *key)
{
    struct sim_redis_key **link = bucket_of(keys, key->name);
    while (*link != key)
        link = &(*link)->next;
    *link = key->next;
    free_key(key);
}

void keys_clear(struct sim_redis_keys *keys)
{
    for (size_t i = 0; i < KEYS_BUCKETS; i++) {
        while (keys->buckets[i] != NULL) {
            struct sim_redis_key *key = keys->buckets[i];
            keys->buckets[i] = key->next;
            free_key(key);
        }
    }
}

void keys_copy(struct sim_redis_keys *keys, const struct sim_redis_keys *from)
{
    keys_clear(keys);
    for (size_t i = 0; i < KEYS_BUCKETS; i++) {
        for (const struct sim_redis_key *key = from->buckets[i]; key != NULL; key = key->next) {
            struct sim_redis_key *copy = keys_add(keys, key->name, key->type);
            copy->expires_ms = key->expires_ms;
            copy->writer = key->writer;
            if (key->value.bytes != NULL)
                copy->value = text_copy(key->value.bytes, key->value.size);
            for (size_t field = 0; field < key->fields_count; field++) {
                struct redis_text value = key->fields[field].value;
                key_add_field(copy, key->fields[field].name)->value =
                    text_copy(value.bytes, value.size);
            }
        }
    }
}

struct key_field *key_field(struct sim_redis_key *key, struct redis_text name)
{
    for (size_t i = 0; i < key->fields_count; i++) {
        if (text_equals(key->fields[i].name, name))
            return &key->fields[i];
    }
    return NULL;
}

struct key_field *key_add_field(struct sim_redis_key *key, struct redis_text name)
{
    if (key->fields_count == key->fields_capacity) {
        key->fields_capacity = key->fields_capacity * 2 + 4;
        key->fields = realloc(key->fields, key->fields_capacity * sizeof key->fields[0]);
        RESV_ASSERT(key->fields != NULL);
    }
    struct key_field *field = &key->fields[key->fields_count++];
    *field =
        (struct key_field){.name = text_copy(name.bytes, name.size), .number = ++key->fields_added};
    return field;
}

void key_remove_field(struct sim_redis_key *key, struct key_field *field)
{
    text_free(field->name);
    text_free(field->value);
    size_t behind = (size_t)(&key->fields[key->fields_count] - (field + 1));
    memmove(field, field + 1, behind * sizeof *field);
    key->fields_count--;
}
