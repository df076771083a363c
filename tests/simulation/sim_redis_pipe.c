/* The client's end of one connection to a node: what leaves on it, what comes back, and its loss,
 * which may be noticed long after it has happened. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resvd/assert.h"
#include "sim_redis_link.h"

/* An answer, or a message. */
struct pipe_item {
    struct pipe_item *next;
    uint64_t due_ns;
    struct sim_redis_packet *packet; /* NULL: a message */
    char channel[REDIS_CHANNEL_SIZE_MAX];
};

uint64_t redis_network_ns(struct sim_world *world)
{
    return chance_skewed(&world->chance, world->scenario.network_max_us * NS_PER_US);
}

static struct sim_redis_node *node_of(const struct redis_pipe *pipe)
{
    return redis_node(pipe->link->world->redis, pipe->link->config.use, pipe->node);
}

/* --- connecting ------------------------------------------------------------------------------- */

void pipe_connect(struct redis_pipe *pipe, uint64_t delay_ns)
{
    if (!pipe->link->dead && !pipe->link->closing)
        schedule_after(&pipe->link->world->schedule, &pipe->attempt, delay_ns);
}

static void attempt(struct sim_event *event)
{
    struct redis_pipe *pipe = event->data;
    struct redis_link *link = pipe->link;
    struct sim_world *world = link->world;
    struct sim_redis_node *node = node_of(pipe);
    if (pipe->state == PIPE_DOWN) {
        pipe->state = PIPE_CONNECTING;
        pipe_connect(pipe, NS_PER_MS / 10 + 3 * redis_network_ns(world));
        return;
    }
    pipe->was_tried = true;
    if (!node->up || node_is_paused(node) ||
        chance_of(&world->chance, world->scenario.connect_fails)) {
        pipe->state = PIPE_DOWN;
        pipe->failures += pipe->failures < 4;
        pipe_connect(pipe, (chance_below(&world->chance, 100) << pipe->failures) * NS_PER_MS);
    } else {
        pipe->state = PIPE_UP;
        pipe->failures = 0;
        pipe->connection = node_connect(node, pipe);
        SIM_TRACE(world, link->host->who, "is connected to %s%s", node->who,
                  pipe->hears ? " to listen" : "");
    }
    redis_link_pipe_changed(pipe);
}

/* --- loss ------------------------------------------------------------------------------------- */

static void leave_connection(struct redis_pipe *pipe)
{
    struct sim_redis_connection *connection = pipe->connection;
    pipe->connection = NULL;
    /* What was sent last is mostly in the node's socket by now. */
    if (connection != NULL)
        node_client_gone(connection, chance_of(&pipe->link->world->chance, 700000));
}

static void drop_items(struct redis_pipe *pipe)
{
    schedule_cancel(&pipe->link->world->schedule, &pipe->arrival);
    while (pipe->items != NULL) {
        struct pipe_item *item = pipe->items;
        pipe->items = item->next;
        if (item->packet != NULL)
            redis_packet_free(item->packet);
        free(item);
    }
    pipe->items_last = &pipe->items;
}

void pipe_close(struct redis_pipe *pipe)
{
    struct sim_schedule *schedule = &pipe->link->world->schedule;
    leave_connection(pipe);
    drop_items(pipe);
    schedule_cancel(schedule, &pipe->attempt);
    schedule_cancel(schedule, &pipe->loss);
    if (pipe->batch != NULL)
        redis_packet_free(pipe->batch);
    pipe->batch = NULL;
    pipe->state = PIPE_DOWN;
}

void pipe_lose(struct redis_pipe *pipe)
{
    struct redis_link *link = pipe->link;
    bool was_up = pipe->state == PIPE_UP;
    pipe_close(pipe);
    if (was_up)
        SIM_TRACE(link->world, link->host->who, "has lost %s%s", node_of(pipe)->who,
                  pipe->hears ? " to listen to" : "");
    pipe_connect(pipe, chance_below(&link->world->chance, 100 * NS_PER_MS));
    redis_calls_lost(pipe);
    if (was_up)
        redis_link_pipe_changed(pipe);
}

static void loss(struct sim_event *event)
{
    pipe_lose(event->data);
}

/* Mostly soon; but a connection may be dead without a word. */
static void lose_later(struct redis_pipe *pipe)
{
    struct sim_world *world = pipe->link->world;
    uint64_t delay_ns = redis_network_ns(world);
    if (chance_of(&world->chance, 300000))
        delay_ns = chance_skewed(&world->chance, 5 * NS_PER_S);
    schedule_no_later(&world->schedule, &pipe->loss, delay_ns);
}

void pipe_broken(struct redis_pipe *pipe)
{
    pipe->connection = NULL;
    if (chance_of(&pipe->link->world->chance, 500000))
        drop_items(pipe); /* else what was sent before may still come */
    lose_later(pipe);
}

/* --- what comes back -------------------------------------------------------------------------- */

static void deliver(struct redis_pipe *pipe, struct pipe_item *item)
{
    struct redis_link *link = pipe->link;
    struct sim_redis_packet *packet = item->packet;
    if (packet == NULL)
        redis_heard(link, pipe->node, item->channel);
    else if (packet->kind == PACKET_CALLS)
        redis_calls_answered(link, packet);
    else if (packet->kind == PACKET_SUBSCRIBE)
        redis_listening(link, pipe->node, packet->channel, packet->subscription);
    if (packet != NULL)
        redis_packet_free(packet);
    free(item);
}

/* The process is stopped in the middle of what it does next, for longer than any lease. */
static void pause_process(struct redis_link *link)
{
    struct sim_world *world = link->world;
    uint64_t pause_ns = chance_skewed(&world->chance, 8 * NS_PER_S);
    SIM_TRACE(world, link->host->who, "is paused for %llu ms",
              (unsigned long long)(pause_ns / NS_PER_MS));
    link->host->held_until_ns = world->schedule.now_ns + pause_ns;
}

static void arrival(struct sim_event *event)
{
    struct redis_pipe *pipe = event->data;
    struct redis_link *link = pipe->link;
    struct sim_world *world = link->world;
    uint64_t now_ns = world->schedule.now_ns;
    bool answered = false;
    link->inside++;
    while (pipe->items != NULL && pipe->items->due_ns <= now_ns) {
        struct pipe_item *item = pipe->items;
        pipe->items = item->next;
        if (pipe->items == NULL)
            pipe->items_last = &pipe->items;
        answered = answered || (item->packet != NULL && !pipe->hears);
        deliver(pipe, item);
    }
    link->inside--;
    if (pipe->items != NULL)
        schedule_after(&world->schedule, &pipe->arrival, pipe->items->due_ns - now_ns);
    if (answered && !link->dead && chance_of(&world->chance, world->scenario.pauses_on_answer))
        pause_process(link);
}

static struct pipe_item *add_item(struct redis_pipe *pipe, uint64_t delay_ns)
{
    struct sim_schedule *schedule = &pipe->link->world->schedule;
    struct pipe_item *item = calloc(1, sizeof *item);
    RESV_ASSERT(item != NULL);
    item->due_ns = schedule->now_ns + delay_ns;
    for (const struct pipe_item *each = pipe->items; each != NULL; each = each->next) {
        if (each->due_ns > item->due_ns)
            item->due_ns = each->due_ns;
    }
    *pipe->items_last = item;
    pipe->items_last = &item->next;
    if (pipe->items == item)
        schedule_after(schedule, &pipe->arrival, item->due_ns - schedule->now_ns);
    return item;
}

void pipe_answer(struct redis_pipe *pipe, struct sim_redis_packet *packet)
{
    add_item(pipe, redis_network_ns(pipe->link->world))->packet = packet;
}

void pipe_message(struct redis_pipe *pipe, const char *channel)
{
    struct sim_world *world = pipe->link->world;
    uint64_t delay_ns = redis_network_ns(world);
    if (chance_of(&world->chance, world->scenario.late))
        delay_ns += chance_skewed(&world->chance, NS_PER_S);
    memcpy(add_item(pipe, delay_ns)->channel, channel, REDIS_CHANNEL_SIZE_MAX);
}

/* --- what leaves ------------------------------------------------------------------------------ */

/* Some of it arrives, the rest does not, and nothing comes back. */
static void send_broken(struct redis_pipe *pipe, struct sim_redis_packet *packet, uint64_t delay_ns)
{
    packet->whole = (size_t)chance_below(&pipe->link->world->chance, packet->count + 1);
    if (packet->whole > 0) {
        packet->answer_lost = true;
        node_send(pipe->connection, packet, delay_ns);
        return;
    }
    redis_packet_free(packet);
    leave_connection(pipe);
    lose_later(pipe);
}

static void trace_batch(const struct redis_pipe *pipe, const char *fate)
{
    const struct sim_world *world = pipe->link->world;
    char text[200] = "";
    if (world->trace == SIM_TRACE_OFF)
        return;
    for (const struct sim_sent *sent = pipe->batch->first; sent != NULL; sent = sent->next) {
        strncat(text, text[0] != '\0' ? "; " : "", sizeof text - strlen(text) - 1);
        strncat(text, sent->script->name, sizeof text - strlen(text) - 1);
    }
    SIM_TRACE(pipe->link->world, pipe->link->host->who, "sends to %s: %s%s", node_of(pipe)->who,
              text, fate);
}

void pipe_flush(struct redis_pipe *pipe)
{
    struct sim_redis_packet *packet = pipe->batch;
    struct sim_world *world = pipe->link->world;
    const struct sim_scenario *scenario = &world->scenario;
    if (packet == NULL)
        return;
    uint64_t delay_ns = redis_network_ns(world);
    packet->whole = packet->count;
    if (pipe->connection == NULL) {
        trace_batch(pipe, " (on a connection that is lost)");
        redis_packet_free(packet);
    } else if (chance_of(&world->chance, scenario->request_lost)) {
        trace_batch(pipe, " (the connection breaks)");
        send_broken(pipe, packet, delay_ns);
    } else {
        bool late = chance_of(&world->chance, scenario->late);
        packet->answer_lost = chance_of(&world->chance, scenario->answer_lost);
        trace_batch(pipe, late ? " (arrives late)"
                               : (packet->answer_lost ? " (answer will be lost)" : ""));
        if (late)
            delay_ns += chance_skewed(&world->chance, 8 * NS_PER_S);
        node_send(pipe->connection, packet, delay_ns);
    }
    pipe->batch = NULL;
}

void pipe_subscribe(struct redis_pipe *pipe, const struct redis_listener *listener)
{
    if (pipe->connection == NULL)
        return;
    struct sim_redis_packet *packet = redis_packet_new(PACKET_SUBSCRIBE);
    memcpy(packet->channel, listener->subscription->channel, sizeof packet->channel);
    packet->subscription = listener->number;
    node_send(pipe->connection, packet, redis_network_ns(pipe->link->world));
}

void pipe_unsubscribe(struct redis_pipe *pipe, const char *channel)
{
    if (pipe->connection == NULL)
        return;
    struct sim_redis_packet *packet = redis_packet_new(PACKET_UNSUBSCRIBE);
    memcpy(packet->channel, channel, sizeof packet->channel);
    node_send(pipe->connection, packet, redis_network_ns(pipe->link->world));
}

void pipe_open(struct redis_pipe *pipe, struct redis_link *link, size_t node, bool hears)
{
    *pipe = (struct redis_pipe){.link = link, .node = node, .hears = hears};
    pipe->items_last = &pipe->items;
    pipe->attempt = sim_host_event(link->host, attempt, pipe);
    pipe->arrival = sim_host_event(link->host, arrival, pipe);
    pipe->loss = sim_host_event(link->host, loss, pipe);
}
