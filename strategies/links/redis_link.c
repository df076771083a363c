/* The life of the Redis link: what is made, what is done at the flush point, interrupt, close.
 *
 *   CREATED ──► STARTING ──► OPEN ──► CLOSING ──► freed at the flush point, once libuv has nothing
 *                  └───────► FAILED ────┘         of it any more
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis_internal.h"
#include "resvd/assert.h"

#define TICK_MS_MAX     250
#define TICK_MS_MIN     5
#define TICKS           4 /* in ping_interval_ms */
#define HEALTH_EVERY_NS (1000 * REDIS_NS_PER_MS)

/* --- what others ask -----------------------------------------------------------------------------
 */

bool redis_link_is_alive(const struct redis_link *link)
{
    return link->state == LINK_STARTING || link->state == LINK_OPEN;
}

size_t redis_link_node_count(const struct redis_link *link)
{
    return link->nodes_count;
}

bool redis_link_node_is_up(const struct redis_link *link, size_t node)
{
    RESV_ASSERT(node < link->nodes_count);
    return link->nodes[node].state == NODE_UP;
}

const char *redis_link_run_id(const struct redis_link *link, size_t node)
{
    RESV_ASSERT(node < link->nodes_count);
    return link->nodes[node].run_id;
}

const char *redis_link_key_prefix(const struct redis_link *link)
{
    return link->settings.key_prefix;
}

size_t redis_link_up_count(const struct redis_link *link)
{
    size_t count = 0;
    for (size_t i = 0; i < link->nodes_count; i++)
        count += link->nodes[i].state == NODE_UP;
    return count;
}

size_t redis_link_majority(const struct redis_link *link)
{
    return link->nodes_count / 2 + 1;
}

/* --- the flush point -----------------------------------------------------------------------------
 */

void redis_link_schedule(struct redis_link *link)
{
    resv_defer(link->host, &link->work);
}

static void free_link(struct redis_link *link)
{
    const struct redis_link_events events = link->events;
    resv_defer_cancel(link->host, &link->work); /* what was closed from inside it is queued again */
    for (size_t i = 0; i < link->nodes_count; i++)
        redis_pipeline_free(&link->nodes[i].pipeline);
    redis_channels_free(&link->channels);
    redis_tls_context_free(link->tls);
    free(link);
    if (events.closed != NULL)
        events.closed(events.data);
}

static void on_work(struct resv_deferred *deferred)
{
    struct redis_link *link = deferred->data;
    link->working = true;
    if (link->interrupted) {
        link->interrupted = false;
        for (size_t i = 0; i < link->nodes_count; i++)
            redis_pipeline_interrupt(&link->nodes[i]);
    }
    redis_calls_tell_down(link);
    if (link->state == LINK_STARTING)
        redis_start_look(link);
    link->working = false;
    if (link->state == LINK_CLOSING && link->uv_open == 0)
        free_link(link);
}

static void on_tick(struct resv_timer *timer)
{
    struct redis_link *link = timer->data;
    uint64_t now_ns = resv_now_ns(link->host);
    uint64_t tick_ms = link->settings.ping_interval_ms / TICKS;
    tick_ms = tick_ms > TICK_MS_MAX ? TICK_MS_MAX : tick_ms;
    tick_ms = tick_ms < TICK_MS_MIN ? TICK_MS_MIN : tick_ms;
    resv_timer_start(link->host, timer, tick_ms);
    for (size_t i = 0; i < link->nodes_count && redis_link_is_alive(link); i++) {
        redis_pipeline_show(&link->nodes[i]);
        redis_node_tick(&link->nodes[i], now_ns);
        if (redis_link_is_alive(link))
            redis_listener_tick(&link->nodes[i], now_ns);
    }
    if (redis_link_is_alive(link) && now_ns - link->health_said_ns >= HEALTH_EVERY_NS) {
        link->health_said_ns = now_ns;
        redis_health_say(link);
    }
}

/* --- interrupt and close -------------------------------------------------------------------------
 */

void redis_link_interrupt(struct redis_link *link)
{
    link->interrupted = true;
    redis_link_schedule(link);
}

void redis_link_close(struct redis_link *link)
{
    RESV_ASSERT(link->state != LINK_CLOSING);
    RESV_ASSERT(link->channels.first == NULL && link->down_first == NULL);
    if (link->state == LINK_CREATED && !link->working) {
        free_link(link); /* nothing to wait for, and after a failed open nobody who waits */
        return;
    }
    link->state = LINK_CLOSING;
    resv_timer_stop(link->host, &link->start_timer);
    resv_timer_stop(link->host, &link->tick);
    for (size_t i = 0; i < link->nodes_count; i++)
        redis_node_stop(&link->nodes[i]);
    redis_link_schedule(link);
}

/* --- create and start ----------------------------------------------------------------------------
 */

static bool create_nodes(struct redis_link *link)
{
    link->nodes_count = link->settings.nodes_count;
    for (size_t i = 0; i < link->nodes_count; i++) {
        struct redis_node *node = &link->nodes[i];
        node->link = link;
        node->index = i;
        node->address = &link->settings.nodes[i];
        node->state = NODE_STOPPED;
        if (!redis_pipeline_create(node, link->config.calls_max))
            return false;
    }
    return redis_channels_create(&link->channels);
}

struct redis_link *redis_link_create(struct resv_host *host, const struct redis_link_config *config,
                                     const struct redis_link_events *events)
{
    RESV_ASSERT(config->calls_max >= 1 && config->scripts[0] != NULL);
    char why[REDIS_WORDS_SIZE] = "out of memory";
    struct redis_link *link = calloc(1, sizeof *link);
    if (link == NULL) {
        resv_host_start_failed(host, 1, why);
        return NULL;
    }
    link->host = host;
    link->config = *config;
    link->events = *events;
    link->events.closed = NULL; /* not for what was never made */
    link->work = (struct resv_deferred){.run = on_work, .data = link};
    link->tick = (struct resv_timer){.fired = on_tick, .data = link};
    while (config->scripts[link->scripts_count] != NULL)
        link->scripts_count++;
    RESV_ASSERT(link->scripts_count <= REDIS_SCRIPTS_MAX);
    int exit_code = 1;
    if (!redis_settings_read(host, config->use, &link->settings, why, sizeof why)) {
        exit_code = REDIS_EXIT_CONFIG;
        goto failed;
    }
    if (link->settings.tls != REDIS_TLS_OFF) {
        link->tls = redis_tls_context_create(&link->settings, why, sizeof why);
        exit_code = REDIS_EXIT_CONFIG;
        if (link->tls == NULL)
            goto failed;
    }
    if (!create_nodes(link)) {
        exit_code = 1;
        snprintf(why, sizeof why, "out of memory: lower what the strategy holds");
        goto failed;
    }
    link->events.closed = events->closed;
    return link;
failed:
    free_link(link);
    resv_host_start_failed(host, exit_code, why);
    return NULL;
}

void redis_link_start(struct redis_link *link)
{
    RESV_ASSERT(link->state == LINK_CREATED);
    resv_timer_start(link->host, &link->tick, 0);
    redis_start_begin(link);
}
