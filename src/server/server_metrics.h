/* What the server measures of itself: loop lag, and the depth of the operation pool. */
#ifndef RESVD_SERVER_SERVER_METRICS_H
#define RESVD_SERVER_SERVER_METRICS_H

#include <stdbool.h>

#include "metrics/metrics.h"
#include "op/dispatch.h"
#include "resvd/strategy.h"

struct server_metrics {
    struct resv_host *host;
    struct metrics *metrics;
    struct dispatcher *dispatcher;
    struct resv_timer timer;
};

extern const struct resv_metric_table server_metric_table;

/* False when out of memory. */
bool server_metrics_start(struct server_metrics *self, struct resv_host *host,
                          struct metrics *metrics, struct dispatcher *dispatcher);
/* The strategy's tables, under its name. False when out of memory. Once in a process. */
bool server_metrics_register_strategy(struct metrics *metrics,
                                      const struct resv_strategy *strategy);
void server_metrics_stop(struct server_metrics *self);

#endif
