/* The health of each node, in words, as its host shows it. */
#include <stdio.h>

#include "redis_internal.h"

static const char *const lock_names[REDIS_NODES_MAX] = {"lock-1", "lock-2", "lock-3", "lock-4",
                                                        "lock-5"};

static const char *name_of(const struct redis_node *node)
{
    return node->link->config.use == REDIS_STOCK ? "redis" : lock_names[node->index];
}

/* Not down already because the others are not up yet: only one of these lines is true. */
static enum resv_health_state state_of(const struct redis_node *node, bool has_majority)
{
    bool is_up = node->state == NODE_UP;
    if (is_up && !node->refusal.refuses)
        return RESV_HEALTH_UP;
    if (!is_up && (!node->answered || node->link->patient))
        return RESV_HEALTH_STARTING;
    return has_majority ? RESV_HEALTH_MISSED : RESV_HEALTH_DOWN;
}

static void say_node(struct redis_node *node, bool has_majority)
{
    struct redis_link *link = node->link;
    char detail[REDIS_NODE_NAME_SIZE + REDIS_WORDS_SIZE + 16];
    bool refuses = node->refusal.refuses;
    const char *problem = refuses ? node->refusal.words : node->problem;
    snprintf(detail, sizeof detail, "%s: %s%s", node->address->text, refuses ? "refuses: " : "",
             problem);
    resv_host_health(link->host, name_of(node), state_of(node, has_majority), node->latency_ns,
                     problem[0] != '\0' ? detail : NULL);
}

void redis_health_say(struct redis_link *link)
{
    if (!redis_link_is_alive(link))
        return;
    size_t usable = 0;
    for (size_t i = 0; i < link->nodes_count; i++)
        usable += link->nodes[i].state == NODE_UP && !link->nodes[i].refusal.refuses;
    bool has_majority = usable >= redis_link_majority(link);
    for (size_t i = 0; i < link->nodes_count; i++)
        say_node(&link->nodes[i], has_majority);
}
