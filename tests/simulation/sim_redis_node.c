/* One node: its connections and what arrives on them, its life, its clock. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resvd/assert.h"
#include "sim_checker.h"
#include "sim_redis.h"

/* --- packets ---------------------------------------------------------------------------------- */

struct sim_redis_packet *redis_packet_new(enum sim_packet_kind kind)
{
    struct sim_redis_packet *packet = calloc(1, sizeof *packet);
    RESV_ASSERT(packet != NULL);
    packet->kind = kind;
    packet->last = &packet->first;
    return packet;
}

static void free_texts(struct redis_text *texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        text_free(texts[i]);
    free(texts);
}

void redis_packet_free(struct sim_redis_packet *packet)
{
    while (packet->first != NULL) {
        struct sim_sent *sent = packet->first;
        if (sent->ticket != NULL)
            sent->ticket->sent = NULL;
        packet->first = sent->next;
        free_texts(sent->keys, sent->keys_count);
        free_texts(sent->arguments, sent->arguments_count);
        reply_free(&sent->reply);
        free(sent);
    }
    free(packet);
}

/* --- the clock -------------------------------------------------------------------------------- */

int64_t node_clock_ms(const struct sim_redis_node *node)
{
    const struct sim_world *world = node->world;
    int64_t passed_us = (int64_t)((world->schedule.now_ns - world->began_ns) / NS_PER_US);
    int64_t gained_us = passed_us / 1000 * node->drift_per_million / 1000;
    return 1700000000000 + node->clock_ahead_ms + (passed_us + gained_us) / 1000;
}

bool node_is_paused(const struct sim_redis_node *node)
{
    return node->world->schedule.now_ns < node->paused_until_ns;
}

void node_jump(struct sim_redis_node *node, int64_t ahead_ms)
{
    SIM_TRACE(node->world, node->who, "has its clock set by %" PRId64 " ms", ahead_ms);
    node->clock_ahead_ms += ahead_ms;
    if (ahead_ms < 0)
        node->jumped_back_ms -= ahead_ms;
}

/* --- connections ------------------------------------------------------------------------------ */

static void free_connection(struct sim_redis_connection *connection)
{
    struct sim_redis_node *node = connection->node;
    struct sim_redis_connection **link = &node->connections;
    while (*link != connection)
        link = &(*link)->next;
    *link = connection->next;
    schedule_cancel(&node->world->schedule, &connection->work);
    while (connection->packets != NULL) {
        struct sim_redis_packet *packet = connection->packets;
        connection->packets = packet->next;
        redis_packet_free(packet);
    }
    free(connection->channels);
    free(connection);
}

void node_cut(struct sim_redis_connection *connection)
{
    struct redis_pipe *pipe = connection->pipe;
    free_connection(connection);
    if (pipe != NULL)
        pipe_broken(pipe);
}

static void subscribe(struct sim_redis_connection *connection, const char *channel)
{
    connection->channels = realloc(connection->channels, (connection->channels_count + 1) *
                                                             sizeof connection->channels[0]);
    RESV_ASSERT(connection->channels != NULL);
    memcpy(connection->channels[connection->channels_count++], channel, REDIS_CHANNEL_SIZE_MAX);
}

static void unsubscribe(struct sim_redis_connection *connection, const char *channel)
{
    for (size_t i = 0; i < connection->channels_count; i++) {
        if (strcmp(connection->channels[i], channel) == 0) {
            memmove(connection->channels[i], connection->channels[--connection->channels_count],
                    REDIS_CHANNEL_SIZE_MAX);
            return;
        }
    }
}

size_t node_publish(struct sim_redis_node *node, struct redis_text channel)
{
    size_t receivers = 0;
    for (struct sim_redis_connection *connection = node->connections; connection != NULL;
         connection = connection->next) {
        for (size_t i = 0; i < connection->channels_count; i++) {
            struct redis_text each = {connection->channels[i], strlen(connection->channels[i])};
            if (!text_equals(each, channel))
                continue;
            receivers++;
            if (connection->pipe != NULL)
                pipe_message(connection->pipe, connection->channels[i]);
        }
    }
    return receivers;
}

static void execute(struct sim_redis_node *node, struct sim_redis_packet *packet)
{
    struct sim_sent *sent = packet->at;
    packet->at = sent->next;
    packet->whole--;
    script_run(node, sent);
    SIM_TRACE(node->world, node->who, "%s -> %s", sent->script->name, reply_words(&sent->reply));
    stock_scripted(node);
}

/* The first packet is done with; the next one may be waiting. */
static void finish_packet(struct sim_redis_connection *connection)
{
    struct sim_world *world = connection->node->world;
    struct sim_redis_packet *packet = connection->packets;
    if (packet->at != NULL || packet->answer_lost) {
        node_cut(connection);
        return;
    }
    connection->packets = packet->next;
    packet->next = NULL;
    if (connection->pipe != NULL)
        pipe_answer(connection->pipe, packet);
    else
        redis_packet_free(packet);
    if (connection->packets != NULL) {
        uint64_t now_ns = world->schedule.now_ns;
        uint64_t due_ns = connection->packets->arrives_ns;
        schedule_after(&world->schedule, &connection->work, due_ns > now_ns ? due_ns - now_ns : 0);
    } else if (connection->pipe == NULL) {
        free_connection(connection);
    }
}

/* A script, or the end of a packet; others may come between two scripts. */
static void work(struct sim_event *event)
{
    struct sim_redis_connection *connection = event->data;
    struct sim_redis_packet *packet = connection->packets;
    struct sim_world *world = connection->node->world;
    if (packet == NULL) { /* the client has gone and has left nothing */
        free_connection(connection);
        return;
    }
    if (packet->kind == PACKET_SUBSCRIBE)
        subscribe(connection, packet->channel);
    else if (packet->kind == PACKET_UNSUBSCRIBE)
        unsubscribe(connection, packet->channel);
    while (packet->whole > 0) {
        execute(connection->node, packet);
        if (packet->whole > 0 && chance_of(&world->chance, 200000)) {
            schedule_after(&world->schedule, &connection->work,
                           chance_below(&world->chance, 200 * NS_PER_US));
            return;
        }
    }
    finish_packet(connection);
}

struct sim_redis_connection *node_connect(struct sim_redis_node *node, struct redis_pipe *pipe)
{
    RESV_ASSERT(node->up);
    struct sim_redis_connection *connection = calloc(1, sizeof *connection);
    RESV_ASSERT(connection != NULL);
    connection->node = node;
    connection->pipe = pipe;
    connection->next = node->connections;
    node->connections = connection;
    connection->work = (struct sim_event){
        .fire = work, .data = connection, .held_until_ns = &node->paused_until_ns};
    return connection;
}

void node_send(struct sim_redis_connection *connection, struct sim_redis_packet *packet,
               uint64_t delay_ns)
{
    struct sim_schedule *schedule = &connection->node->world->schedule;
    packet->arrives_ns = schedule->now_ns + delay_ns;
    if (packet->arrives_ns <= connection->last_arrives_ns)
        packet->arrives_ns = connection->last_arrives_ns + 1;
    connection->last_arrives_ns = packet->arrives_ns;
    packet->at = packet->first;
    struct sim_redis_packet **last = &connection->packets;
    while (*last != NULL)
        last = &(*last)->next;
    *last = packet;
    if (connection->packets == packet)
        schedule_after(schedule, &connection->work, packet->arrives_ns - schedule->now_ns);
}

void node_client_gone(struct sim_redis_connection *connection, bool executed)
{
    struct sim_world *world = connection->node->world;
    connection->pipe = NULL;
    if (!executed && connection->packets != NULL) {
        free_connection(connection);
    } else if (connection->packets == NULL) {
        /* The node notices after a while; a channel's messages go nowhere until then. */
        schedule_after(&world->schedule, &connection->work,
                       chance_below(&world->chance, 100 * NS_PER_MS));
    }
}

/* --- what a crash leaves ---------------------------------------------------------------------- */

static void keep(struct sim_event *event)
{
    struct sim_redis_node *node = event->data;
    keys_copy(&node->kept, &node->keys);
}

void node_wrote(struct sim_redis_node *node)
{
    struct sim_world *world = node->world;
    if (world->scenario.nodes_keep == NODES_KEEP_UP_TO_A_SECOND && !schedule_has(&node->keep))
        schedule_after(&world->schedule, &node->keep, chance_below(&world->chance, NS_PER_S));
}

static void new_run_id(struct sim_redis_node *node)
{
    for (size_t i = 0; i + 1 < sizeof node->run_id; i++)
        node->run_id[i] = "0123456789abcdef"[chance_below(&node->world->chance, 16)];
    node->run_id[sizeof node->run_id - 1] = '\0';
}

static void forget(struct sim_redis_node *node)
{
    RESV_ASSERT(node->forgets < NODE_FORGETS_MAX);
    node->forgot_ns[node->forgets++] = node->world->schedule.now_ns;
}

bool node_forgot(const struct sim_redis_node *node, uint64_t from_ns, uint64_t to_ns)
{
    for (size_t i = 0; i < node->forgets; i++) {
        if (node->forgot_ns[i] >= from_ns && node->forgot_ns[i] <= to_ns)
            return true;
    }
    return false;
}

void node_crash(struct sim_redis_node *node)
{
    if (!node->up)
        return;
    SIM_TRACE(node->world, node->who, "crashes");
    node->up = false;
    node->paused_until_ns = 0;
    node->refuses_until_ns = 0;
    schedule_cancel(&node->world->schedule, &node->keep);
    while (node->connections != NULL)
        node_cut(node->connections);
    switch (node->world->scenario.nodes_keep) {
    case NODES_KEEP_NOTHING:
        keys_clear(&node->keys);
        forget(node);
        break;
    case NODES_KEEP_UP_TO_A_SECOND:
        keys_copy(&node->keys, &node->kept);
        forget(node);
        break;
    case NODES_KEEP_ALL:
        break;
    }
}

void node_restart(struct sim_redis_node *node)
{
    if (node->up)
        return;
    SIM_TRACE(node->world, node->who, "is up again");
    node->up = true;
    new_run_id(node);
}

void node_empty(struct sim_redis_node *node)
{
    if (!node->up)
        return;
    SIM_TRACE(node->world, node->who, "is emptied");
    keys_clear(&node->keys);
    keys_clear(&node->kept);
    forget(node);
}

/* --- all of them ------------------------------------------------------------------------------ */

static void open_node(struct sim_redis *redis, struct sim_redis_node *node, const char *who)
{
    struct sim_world *world = redis->world;
    node->world = world;
    node->up = true;
    snprintf(node->who, sizeof node->who, "%s", who);
    node->keep = (struct sim_event){.fire = keep, .data = node};
    if (world->scenario.drift_per_million > 0)
        node->drift_per_million = chance_between(&world->chance, -world->scenario.drift_per_million,
                                                 world->scenario.drift_per_million);
    node->clock_ahead_ms = chance_between(&world->chance, -10000, 10000);
    new_run_id(node);
}

struct sim_redis *redis_create(struct sim_world *world, size_t locks_count)
{
    struct sim_redis *redis = calloc(1, sizeof *redis);
    RESV_ASSERT(redis != NULL && locks_count <= REDIS_NODES_MAX);
    redis->world = world;
    redis->locks_count = locks_count;
    for (size_t i = 0; i < locks_count; i++) {
        char who[16];
        snprintf(who, sizeof who, "lock %zu", i + 1);
        open_node(redis, &redis->locks[i], who);
    }
    open_node(redis, &redis->stock, "stock");
    return redis;
}

static void free_node(struct sim_redis_node *node)
{
    RESV_ASSERT(node->connections == NULL);
    schedule_cancel(&node->world->schedule, &node->keep);
    keys_clear(&node->keys);
    keys_clear(&node->kept);
}

void redis_free(struct sim_redis *redis)
{
    if (redis == NULL)
        return;
    for (size_t i = 0; i < redis->locks_count; i++)
        free_node(&redis->locks[i]);
    free_node(&redis->stock);
    free(redis);
}

struct sim_redis_node *redis_node(struct sim_redis *redis, enum redis_use use, size_t index)
{
    RESV_ASSERT(redis != NULL && (use == REDIS_STOCK ? index == 0 : index < redis->locks_count));
    return use == REDIS_STOCK ? &redis->stock : &redis->locks[index];
}

bool redis_rests(const struct sim_redis *redis)
{
    for (size_t i = 0; i < redis->locks_count; i++) {
        if (redis->locks[i].connections != NULL)
            return false;
    }
    return redis->stock.connections == NULL;
}
