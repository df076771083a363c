/* One node: connecting, up, lost, and connecting again, for ever, with growing pauses.
 *
 *   WAITING ──► CONNECTING ──(login)──► UP
 *      ▲            │                   │
 *      └────────────┴───────────────────┘ redis_node_lose
 *
 * Invariant: calls are under way in state UP only.
 */
#include <stdio.h>
#include <string.h>

#include "redis_internal.h"
#include "resvd/assert.h"

#define SILENCE_NS_LEAST (1000 * REDIS_NS_PER_MS)

/* Full jitter: anything up to a limit that doubles with every failure. */
uint64_t redis_backoff_ms(struct redis_link *link, unsigned failures)
{
    uint64_t limit_ms = link->settings.reconnect_min_ms;
    for (unsigned i = 1; i < failures && limit_ms < link->settings.reconnect_max_ms; i++)
        limit_ms *= 2;
    if (limit_ms > link->settings.reconnect_max_ms)
        limit_ms = link->settings.reconnect_max_ms;
    uint64_t chance;
    resv_random_bytes(link->host, &chance, sizeof chance);
    return 1 + chance % limit_ms;
}

/* --- the connection's events ---------------------------------------------------------------------
 */

static void on_connected(void *data)
{
    redis_login_start(data);
}

static void on_replied(void *data, const struct redis_reply *reply)
{
    redis_answer(data, reply);
}

static void on_flush(void *data)
{
    redis_pipeline_flushes(data);
}

static void on_lost(void *data, int exit_code, const char *why)
{
    redis_node_lose(data, exit_code, exit_code == REDIS_EXIT_CONFIG, why);
}

static void connect_node(struct redis_node *node)
{
    const struct redis_connection_events events = {.data = node,
                                                   .connected = on_connected,
                                                   .replied = on_replied,
                                                   .flushes = on_flush,
                                                   .lost = on_lost};
    node->state = NODE_CONNECTING;
    node->connection = redis_connection_open(node->link, node->address, &events);
    if (node->connection == NULL)
        redis_node_lose(node, REDIS_EXIT_UNAVAILABLE, false, "out of memory");
}

static void on_retry(struct resv_timer *timer)
{
    connect_node(timer->data);
}

/* --- up and down ---------------------------------------------------------------------------------
 */

static void say_up(struct redis_node *node)
{
    if (node->was_up)
        resv_metric_add(node->link->host, &redis_metrics,
                        redis_metric_of(REDIS_METRIC_RECONNECTS, node->index), 1);
    resv_log(node->link->host, RESV_LOG_INFO, "Redis node connected", "node", node->address->text,
             "server", node->facts.software, "version", node->facts.version, NULL);
    node->was_up = true;
}

void redis_node_is_up(struct redis_node *node)
{
    struct redis_link *link = node->link;
    redis_connection_settled(node->connection);
    say_up(node);
    node->state = NODE_UP;
    node->answered = true;
    node->failures = 0;
    node->exit_code = 0;
    node->final = false;
    redis_refusal_forget(node);
    node->problem[0] = node->said[0] = '\0';
    resv_metric_set(link->host, &redis_metrics, redis_metric_of(REDIS_METRIC_UP, node->index), 1);
    redis_listener_start(node);
    redis_health_say(link);
    redis_link_schedule(link);
    if (link->state == LINK_OPEN)
        link->events.node_changed(link->events.data, node->index);
}

/* Once for each reason, not for each try. That it is down is said by its health. */
static void say_reason(struct redis_node *node, bool was_down)
{
    bool is_said = strcmp(node->said, node->problem) == 0;
    memcpy(node->said, node->problem, sizeof node->said);
    if (is_said || !was_down)
        return;
    resv_log(node->link->host, RESV_LOG_WARNING, "Redis node still down", "node",
             node->address->text, "reason", node->problem, "next", "tries again", NULL);
}

void redis_node_lose(struct redis_node *node, int exit_code, bool final, const char *why)
{
    struct redis_link *link = node->link;
    bool was_up = node->state == NODE_UP;
    bool was_down = node->answered && !was_up;
    uint64_t written_bytes = 0;
    RESV_ASSERT(node->state != NODE_STOPPED);
    snprintf(node->problem, sizeof node->problem, "%s", why);
    node->exit_code = exit_code;
    node->final = final;
    node->answered = true;
    node->failures++;
    node->state = NODE_WAITING;
    redis_refusal_forget(node);
    if (node->connection != NULL) {
        written_bytes = node->connection->written_bytes;
        if (!node->connection->closed)
            redis_connection_close(node->connection);
        node->connection = NULL;
    }
    say_reason(node, was_down);
    resv_metric_set(link->host, &redis_metrics, redis_metric_of(REDIS_METRIC_UP, node->index), 0);
    resv_timer_start(link->host, &node->retry, redis_backoff_ms(link, node->failures));
    redis_health_say(link);
    redis_link_schedule(link);
    redis_pipeline_give_up(node, written_bytes);
    if (was_up && node->state != NODE_STOPPED && link->state == LINK_OPEN)
        link->events.node_changed(link->events.data, node->index);
}

/* --- silence -------------------------------------------------------------------------------------
 */

static void ping(struct redis_node *node)
{
    struct redis_buffer *output = redis_connection_output(node->connection);
    redis_put_command(output, 1);
    redis_put_text(output, "PING");
    redis_pipeline_add(node, ENTRY_PING, 0);
}

static void ask_whether_it_is_there(struct redis_node *node)
{
    if (node->refusal.refuses)
        redis_refusal_probe(node);
    else
        ping(node);
}

void redis_node_tick(struct redis_node *node, uint64_t now_ns)
{
    struct redis_pipeline *pipeline = &node->pipeline;
    if (node->state != NODE_UP)
        return;
    redis_refusal_tick(node, now_ns);
    uint64_t since_ns = node->connection->received_ns;
    if (pipeline->count == 0) {
        if (now_ns - since_ns >= node->link->settings.ping_interval_ms * REDIS_NS_PER_MS)
            ask_whether_it_is_there(node);
        return;
    }
    uint64_t made_ns = redis_pipeline_at(pipeline, 0)->made_ns;
    if (since_ns < made_ns)
        since_ns = made_ns;
    uint64_t limit_ns = 2 * pipeline->longest_ms * REDIS_NS_PER_MS;
    if (limit_ns < SILENCE_NS_LEAST)
        limit_ns = SILENCE_NS_LEAST;
    /* It is not the server that is slow if nothing was sent yet, or nothing was read. */
    if (now_ns <= since_ns + limit_ns || node->connection->flushed_ns < made_ns ||
        redis_connection_look(node->connection))
        return;
    char why[REDIS_WORDS_SIZE];
    snprintf(why, sizeof why, "silent for %llu ms, though it is asked",
             (unsigned long long)((now_ns - since_ns) / REDIS_NS_PER_MS));
    redis_node_lose(node, REDIS_EXIT_UNAVAILABLE, false, why);
}

/* --- start and stop ------------------------------------------------------------------------------
 */

/* A series of a node is shown once it was set: so that all have a beginning. */
static void show_zeros(struct redis_node *node)
{
    static const enum redis_metric counters[] = {REDIS_METRIC_RECONNECTS, REDIS_METRIC_LOST,
                                                 REDIS_METRIC_REFUSED};
    struct resv_host *host = node->link->host;
    for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++)
        resv_metric_add(host, &redis_metrics, redis_metric_of(counters[i], node->index), 0);
    if (node->link->config.subscribes) {
        resv_metric_add(host, &redis_metrics,
                        redis_metric_of(REDIS_METRIC_LISTENER_RECONNECTS, node->index), 0);
        resv_metric_set(host, &redis_metrics,
                        redis_metric_of(REDIS_METRIC_LISTENER_UP, node->index), 0);
    }
    resv_metric_set(host, &redis_metrics, redis_metric_of(REDIS_METRIC_UP, node->index), 0);
    redis_pipeline_show(node);
}

void redis_node_start(struct redis_node *node)
{
    RESV_ASSERT(node->state == NODE_STOPPED);
    show_zeros(node);
    node->retry = (struct resv_timer){.fired = on_retry, .data = node};
    connect_node(node);
}

void redis_node_stop(struct redis_node *node)
{
    redis_listener_stop(node);
    if (node->state == NODE_STOPPED)
        return;
    node->state = NODE_STOPPED;
    resv_timer_stop(node->link->host, &node->retry);
    resv_timer_stop(node->link->host, &node->pipeline.deadline);
    if (node->connection != NULL && !node->connection->closed)
        redis_connection_close(node->connection);
    node->connection = NULL;
}
