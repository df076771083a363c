/* The simulated Redis link: its life, and which of its nodes are up. */
#include "sim_redis_link.h"

#include <stdlib.h>
#include <string.h>

#include "resvd/assert.h"

enum option { OPTION_TIMEOUT_MS, OPTION_KEY_PREFIX };

static const struct resv_option options[] = {
    [OPTION_TIMEOUT_MS] = {.key = "timeout_ms",
                           .type = RESV_OPTION_INTEGER,
                           .default_text = "500",
                           .minimum = 1,
                           .maximum = 1000000},
    [OPTION_KEY_PREFIX] = {.key = "key_prefix",
                           .type = RESV_OPTION_STRING,
                           .default_text = "resvd:"},
};

const struct resv_option_table redis_options = {
    .section = "redis", .options = options, .count = sizeof options / sizeof options[0]};

const struct resv_metric_table redis_metrics = {.count = 0};

/* --- nodes ------------------------------------------------------------------------------------ */

size_t redis_link_node_count(const struct redis_link *link)
{
    return link->nodes_count;
}

bool redis_link_node_is_up(const struct redis_link *link, size_t node)
{
    RESV_ASSERT(node < link->nodes_count);
    return link->calls[node].state == PIPE_UP;
}

const char *redis_link_run_id(const struct redis_link *link, size_t node)
{
    RESV_ASSERT(node < link->nodes_count);
    return link->run_ids[node];
}

const char *redis_link_key_prefix(const struct redis_link *link)
{
    return resv_option_string(link->host, &redis_options, OPTION_KEY_PREFIX);
}

static void try_to_open(struct redis_link *link)
{
    size_t up = 0;
    size_t tried = 0;
    for (size_t i = 0; i < link->nodes_count; i++) {
        up += link->calls[i].state == PIPE_UP;
        tried += link->calls[i].was_tried;
    }
    uint64_t waited_ns = link->world->schedule.now_ns - link->started_ns;
    if (link->opened || up <= link->nodes_count / 2 ||
        (tried < link->nodes_count && waited_ns < NS_PER_S))
        return;
    link->opened = true;
    schedule_cancel(&link->world->schedule, &link->start);
    link->inside++;
    link->events.opened(link->events.data);
    link->inside--;
}

void redis_link_pipe_changed(struct redis_pipe *pipe)
{
    struct redis_link *link = pipe->link;
    bool up = pipe->state == PIPE_UP;
    if (pipe->hears) {
        for (struct redis_listener *each = link->listeners; each != NULL; each = each->next) {
            each->subscription->listens &= ~(1U << pipe->node);
            if (up)
                pipe_subscribe(pipe, each);
        }
        return;
    }
    if (up)
        memcpy(link->run_ids[pipe->node],
               redis_node(link->world->redis, link->config.use, pipe->node)->run_id,
               REDIS_RUN_ID_SIZE);
    if (link->opened && !link->closing && (up || !pipe->link->dead) &&
        (up || pipe->failures == 0) && link->events.node_changed != NULL) {
        link->inside++;
        link->events.node_changed(link->events.data, pipe->node);
        link->inside--;
    } else if (!link->opened) {
        try_to_open(link);
    }
}

/* --- life ------------------------------------------------------------------------------------- */

/* Again and again until it is open. */
static void start(struct sim_event *event)
{
    struct redis_link *link = event->data;
    struct sim_schedule *schedule = &link->world->schedule;
    if (link->dead || resv_now_ns(link->host) > link->host->start_deadline_ns) {
        link->opened = true; /* nothing more is told */
        link->events.open_failed(link->events.data, 69, "the Redis nodes cannot be reached");
        return;
    }
    schedule_after(schedule, &link->start, 250 * NS_PER_MS);
    try_to_open(link);
}

struct redis_link *redis_link_create(struct resv_host *host, const struct redis_link_config *config,
                                     const struct redis_link_events *events)
{
    struct redis_link *link = calloc(1, sizeof *link);
    RESV_ASSERT(link != NULL && config->calls_max > 0);
    link->host = host;
    link->world = host->world;
    link->config = *config;
    link->events = *events;
    link->nodes_count = config->use == REDIS_STOCK ? 1 : host->world->redis->locks_count;
    link->timeout_ms = (uint64_t)resv_option_integer(host, &redis_options, OPTION_TIMEOUT_MS);
    for (size_t i = 0; i < link->nodes_count; i++) {
        pipe_open(&link->calls[i], link, i, false);
        pipe_open(&link->hears[i], link, i, true);
    }
    redis_calls_open(link);
    link->next = host->redis_links;
    host->redis_links = link;
    return link;
}

void redis_link_start(struct redis_link *link)
{
    struct sim_world *world = link->world;
    link->started_ns = world->schedule.now_ns;
    link->start = sim_host_event(link->host, start, link);
    schedule_after(&world->schedule, &link->start, chance_below(&world->chance, 20 * NS_PER_MS));
    for (size_t i = 0; i < link->nodes_count; i++) {
        pipe_connect(&link->calls[i], chance_below(&world->chance, NS_PER_MS));
        if (link->config.subscribes)
            pipe_connect(&link->hears[i], chance_below(&world->chance, NS_PER_MS));
    }
}

void redis_link_die(struct redis_link *link)
{
    link->dead = true;
    for (size_t i = 0; i < link->nodes_count; i++) {
        pipe_close(&link->calls[i]);
        pipe_close(&link->hears[i]);
    }
    redis_link_interrupt(link);
}

static void close_now(struct sim_event *event)
{
    struct redis_link *link = event->data;
    for (size_t i = 0; i < link->nodes_count; i++) {
        pipe_close(&link->calls[i]);
        pipe_close(&link->hears[i]);
    }
    redis_calls_close(link);
    schedule_cancel(&link->world->schedule, &link->start);
    struct redis_link **place = &link->host->redis_links;
    while (*place != link)
        place = &(*place)->next;
    *place = link->next;
    void (*closed)(void *data) = link->events.closed;
    void *data = link->events.data;
    free(link);
    closed(data);
}

/* Closing may be over at once or later. */
void redis_link_close(struct redis_link *link)
{
    struct sim_world *world = link->world;
    RESV_ASSERT(!link->closing);
    RESV_ASSERT(link->listeners == NULL && link->refused == NULL);
    for (size_t i = 0; i < link->nodes_count; i++)
        RESV_ASSERT(link->calls[i].tickets == NULL);
    link->closing = true;
    link->close = sim_host_event(link->host, close_now, link);
    if (link->inside == 0 && chance_of(&world->chance, 500000))
        close_now(&link->close);
    else
        schedule_after(&world->schedule, &link->close, 2 * NS_PER_MS);
}
