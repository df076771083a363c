/* The Redis link's metrics: each of them for each of five nodes, told apart by a label. */
#include "redis_internal.h"
#include "resvd/assert.h"

#define FOR_NODE(metric_name, metric_type, metric_help, number)                                    \
    {                                                                                              \
        .name = (metric_name), .type = (metric_type), .help = (metric_help),                       \
        .labels = "node=\"" number "\""                                                            \
    }
#define FOR_NODES(metric_name, metric_type, metric_help)                                           \
    FOR_NODE(metric_name, metric_type, metric_help, "1"),                                          \
        FOR_NODE(metric_name, metric_type, metric_help, "2"),                                      \
        FOR_NODE(metric_name, metric_type, metric_help, "3"),                                      \
        FOR_NODE(metric_name, metric_type, metric_help, "4"),                                      \
        FOR_NODE(metric_name, metric_type, metric_help, "5")

/* In the order of enum redis_metric. */
#define METRICS(METRIC)                                                                            \
    METRIC("redis_up", RESV_METRIC_GAUGE,                                                          \
           "1 when the Redis node is connected and does not refuse all calls, else 0")             \
    METRIC("redis_calls_seconds", RESV_METRIC_HISTOGRAM_SECONDS,                                   \
           "A call to a Redis node, until its answer")                                             \
    METRIC("redis_calls_under_way", RESV_METRIC_GAUGE,                                             \
           "Calls that a Redis node has not answered yet")                                         \
    METRIC("redis_reconnects_total", RESV_METRIC_COUNTER,                                          \
           "Connections made to a Redis node after the first")                                     \
    METRIC("redis_listener_up", RESV_METRIC_GAUGE,                                                 \
           "1 when messages of the Redis node are heard, else 0")                                  \
    METRIC("redis_listener_reconnects_total", RESV_METRIC_COUNTER,                                 \
           "Connections for messages of a Redis node that were made after the first")              \
    METRIC("redis_lost_total", RESV_METRIC_COUNTER,                                                \
           "Calls to a Redis node of which no answer came in time")                                \
    METRIC("redis_refused_total", RESV_METRIC_COUNTER,                                             \
           "Calls and subscriptions that a Redis node answered with an error")

#define ENTRIES(name, type, help) FOR_NODES(name, type, help),

static const struct resv_metric metrics[] = {METRICS(ENTRIES)};

const struct resv_metric_table redis_metrics = {
    .metrics = metrics,
    .count = sizeof metrics / sizeof metrics[0],
    .title = "Redis nodes",
};

size_t redis_metric_of(enum redis_metric metric, size_t node)
{
    RESV_ASSERT(node < REDIS_NODES_MAX);
    return (size_t)metric * REDIS_NODES_MAX + node;
}
