/* How the Redis link starts: opened by a majority of its nodes, once the others have had their
 * chance; or failed, with what each node said.
 *
 *   every node has answered, or a second has passed, and a majority is up   ──► opened
 *   one says what waiting will not cure (a wrong password, a wrong version) ──► failed, 78
 *   the start's time is over                                                ──► failed, 69
 */
#include <stdio.h>
#include <string.h>

#include "redis_internal.h"
#include "resvd/assert.h"

#define PATIENCE_MS 1000 /* with those that do not answer, where a majority is up */
/* Kept of the start's time for our own words, which say more than "did not start in time". */
#define START_MARGIN_MS 500

uint64_t redis_start_deadline_ns(const struct redis_link *link)
{
    uint64_t deadline_ns = resv_host_start_deadline_ns(link->host);
    return deadline_ns == UINT64_MAX ? UINT64_MAX : deadline_ns - START_MARGIN_MS * REDIS_NS_PER_MS;
}

static const char *setting_of(const struct redis_link *link)
{
    return link->config.use == REDIS_STOCK ? "stock" : "lock_nodes";
}

static void fail_start(struct redis_link *link, int exit_code, const char *message)
{
    link->patient = false;
    redis_health_say(link);
    link->state = LINK_FAILED;
    resv_timer_stop(link->host, &link->start_timer);
    resv_timer_stop(link->host, &link->tick);
    for (size_t i = 0; i < link->nodes_count; i++)
        redis_node_stop(&link->nodes[i]);
    link->events.open_failed(link->events.data, exit_code, message);
}

static void fail_for_node(struct redis_link *link, const struct redis_node *node)
{
    char message[REDIS_NODE_NAME_SIZE + REDIS_WORDS_SIZE + 64];
    snprintf(message, sizeof message, "[redis] %s: %s: %s", setting_of(link), node->address->text,
             node->problem);
    fail_start(link, node->exit_code, message);
}

static void give_up(struct redis_link *link)
{
    char message[1024];
    int exit_code = REDIS_EXIT_CONFIG;
    size_t used = (size_t)snprintf(message, sizeof message, "[redis] %s: ", setting_of(link));
    if (link->nodes_count > 1)
        used += (size_t)snprintf(
            message + used, sizeof message - used,
            "%zu of %zu nodes can be used, %zu are needed: ", redis_link_up_count(link),
            link->nodes_count, redis_link_majority(link));
    const char *between = "";
    for (size_t i = 0; i < link->nodes_count; i++) {
        const struct redis_node *node = &link->nodes[i];
        if (node->state == NODE_UP || used >= sizeof message)
            continue;
        if (node->exit_code != REDIS_EXIT_CONFIG)
            exit_code = REDIS_EXIT_UNAVAILABLE;
        used += (size_t)snprintf(message + used, sizeof message - used, "%s%.90s: %.160s", between,
                                 node->address->text,
                                 node->problem[0] != '\0' ? node->problem : "no answer in time");
        between = "; ";
    }
    fail_start(link, exit_code, message);
}

static void finish_start(struct redis_link *link)
{
    char up[24], of[24];
    snprintf(up, sizeof up, "%zu", redis_link_up_count(link));
    snprintf(of, sizeof of, "%zu", link->nodes_count);
    link->state = LINK_OPEN;
    link->patient = false;
    resv_timer_stop(link->host, &link->start_timer);
    redis_health_say(link);
    resv_log(link->host, RESV_LOG_INFO, "Redis opened", "nodes_up", up, "of", of, NULL);
    link->events.opened(link->events.data);
}

void redis_start_look(struct redis_link *link)
{
    RESV_ASSERT(link->state == LINK_STARTING);
    bool all_answered = true;
    for (size_t i = 0; i < link->nodes_count; i++) {
        struct redis_node *node = &link->nodes[i];
        if (node->final && node->state != NODE_UP) {
            fail_for_node(link, node);
            return;
        }
        all_answered = all_answered && node->answered;
    }
    uint64_t now_ns = resv_now_ns(link->host);
    bool was_patient = link->patient;
    link->patient = was_patient && now_ns - link->started_ns < PATIENCE_MS * REDIS_NS_PER_MS;
    if (redis_link_up_count(link) >= redis_link_majority(link) &&
        (all_answered || !link->patient)) {
        finish_start(link);
        return;
    }
    if (was_patient && !link->patient)
        redis_health_say(link);
    uint64_t deadline_ns = redis_start_deadline_ns(link);
    if (now_ns >= deadline_ns) {
        give_up(link);
        return;
    }
    /* Not often: answers come by themselves. */
    if (link->start_timer.heap_index == 0)
        resv_timer_start(link->host, &link->start_timer, 50);
}

static void on_timer(struct resv_timer *timer)
{
    redis_link_schedule(timer->data);
}

void redis_start_begin(struct redis_link *link)
{
    link->state = LINK_STARTING;
    link->patient = true;
    link->started_ns = resv_now_ns(link->host);
    link->start_timer = (struct resv_timer){.fired = on_timer, .data = link};
    for (size_t i = 0; i < link->nodes_count; i++)
        redis_node_start(&link->nodes[i]);
    redis_health_say(link);
    redis_link_schedule(link);
}
