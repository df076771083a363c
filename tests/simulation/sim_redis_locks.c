/* What the checker knows of locks: who has one, and what is left of them. The only place here that
 * knows how the strategy names them. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sim_host.h"
#include "sim_redis.h"

/* Whether it is there by the node's clock; it is removed when it is used the next time. */
static bool is_there(const struct sim_redis_node *node, const struct sim_redis_key *key)
{
    return key->expires_ms == 0 || node_clock_ms(node) <= key->expires_ms;
}

size_t redis_count_locks(struct sim_redis *redis)
{
    size_t count = 0;
    for (size_t i = 0; i < redis->locks_count; i++) {
        const struct sim_redis_node *node = &redis->locks[i];
        for (size_t bucket = 0; bucket < KEYS_BUCKETS; bucket++) {
            for (const struct sim_redis_key *key = node->keys.buckets[bucket]; key != NULL;
                 key = key->next)
                count += is_there(node, key);
        }
    }
    return count;
}

static void check_end(struct sim_redis_node *node, const struct sim_redis_key *key)
{
    int64_t left_ms = key->expires_ms - node_clock_ms(node);
    if (key->expires_ms == 0)
        world_violation(node->world, "%s: %s is left without an end", node->who, key->name.bytes);
    else if (left_ms > (int64_t)node->world->scenario.lease_ms + node->jumped_back_ms)
        world_violation(node->world, "%s: %s is left for %" PRId64 " ms more", node->who,
                        key->name.bytes, left_ms);
}

void redis_check_locks(struct sim_redis *redis)
{
    for (size_t i = 0; i < redis->locks_count; i++) {
        struct sim_redis_node *node = &redis->locks[i];
        for (size_t bucket = 0; bucket < KEYS_BUCKETS; bucket++) {
            for (const struct sim_redis_key *key = node->keys.buckets[bucket]; key != NULL;
                 key = key->next)
                check_end(node, key);
        }
    }
}

static struct redis_text name_of_lock(int64_t concert_id, char buffer[static 64])
{
    int length = snprintf(buffer, 64, "resvd:{c:%" PRId64 "}:lock", concert_id);
    return (struct redis_text){buffer, (size_t)length};
}

/* A clock that jumps, or a node that forgets, gives a lock twice: the fence is for that. */
static bool locks_can_be_trusted(const struct sim_scenario *scenario)
{
    return scenario->node_clock_jumps == 0 &&
           (scenario->node_crashes == 0 || scenario->nodes_keep == NODES_KEEP_ALL);
}

static const struct sim_redis_key *lock_on(struct sim_redis_node *node, struct redis_text name)
{
    return keys_find(&node->keys, name, node_clock_ms(node));
}

void redis_check_holder(struct sim_redis *redis, const struct resv_host *host, int64_t concert_id)
{
    char buffer[64];
    struct redis_text name = name_of_lock(concert_id, buffer);
    size_t most = 0;
    if (!locks_can_be_trusted(&redis->world->scenario))
        return;
    for (size_t i = 0; i < redis->locks_count; i++) {
        const struct sim_redis_key *lock = lock_on(&redis->locks[i], name);
        size_t same = 0;
        for (size_t other = 0; lock != NULL && other < redis->locks_count; other++) {
            const struct sim_redis_key *that = lock_on(&redis->locks[other], name);
            same += that != NULL && that->writer == host && lock->writer == host &&
                    text_equals(that->value, lock->value);
        }
        if (same > most)
            most = same;
    }
    if (most <= redis->locks_count / 2)
        world_violation(redis->world,
                        "%s takes seats of concert %" PRId64 " with its lock on %zu of %zu nodes",
                        host->who, concert_id, most, redis->locks_count);
}

void redis_plant_lock(struct sim_redis *redis, int64_t concert_id, uint64_t lease_ms)
{
    char buffer[64];
    struct redis_text name = name_of_lock(concert_id, buffer);
    redis_remove_locks(redis);
    for (size_t i = 0; i < redis->locks_count; i++) {
        struct sim_redis_key *lock = keys_add(&redis->locks[i].keys, name, KEY_STRING);
        lock->value = text_copy("somebody's", strlen("somebody's"));
        lock->expires_ms = node_clock_ms(&redis->locks[i]) + (int64_t)lease_ms;
    }
}

void redis_remove_locks(struct sim_redis *redis)
{
    for (size_t i = 0; i < redis->locks_count; i++)
        keys_clear(&redis->locks[i].keys);
}
