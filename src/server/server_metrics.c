/* Loop lag by a timer that should fire every 100 ms, and gauges read when somebody asks. */
#include "server/server_metrics.h"

#include <stdio.h>

#define LAG_INTERVAL_MS 100

enum server_metric {
    METRIC_LOOP_LAG,
    METRIC_QUEUED,
    METRIC_SUBMITTED,
    METRIC_OPERATIONS_MAX,
    METRIC_COUNT
};

static const struct resv_metric metric_list[METRIC_COUNT] = {
    [METRIC_LOOP_LAG] = {.name = "loop_lag_seconds",
                         .type = RESV_METRIC_HISTOGRAM_SECONDS,
                         .help = "how late a timer of the event loop fires"},
    [METRIC_QUEUED] = {.name = "operations_queued",
                       .type = RESV_METRIC_GAUGE,
                       .help = "operations that wait for the strategy to take them"},
    [METRIC_SUBMITTED] = {.name = "operations_submitted",
                          .type = RESV_METRIC_GAUGE,
                          .help = "operations that the strategy works on"},
    [METRIC_OPERATIONS_MAX] = {.name = "operations_max",
                               .type = RESV_METRIC_GAUGE,
                               .help = "the limit on queued and submitted operations together"},
};

const struct resv_metric_table server_metric_table = {
    .metrics = metric_list, .count = METRIC_COUNT, .title = "Loop and operations"};

static void measure_lag(struct resv_timer *timer)
{
    struct server_metrics *self = timer->data;
    uint64_t now_ns = resv_now_ns(self->host);
    metrics_observe(self->metrics, &server_metric_table, METRIC_LOOP_LAG,
                    now_ns > timer->due_ns ? now_ns - timer->due_ns : 0);
    resv_timer_start(self->host, timer, LAG_INTERVAL_MS);
}

static void collect(void *data)
{
    struct server_metrics *self = data;
    struct dispatcher_depths depths = dispatcher_depths(self->dispatcher);
    metrics_set(self->metrics, &server_metric_table, METRIC_QUEUED, (int64_t)depths.queued);
    metrics_set(self->metrics, &server_metric_table, METRIC_SUBMITTED, (int64_t)depths.submitted);
    metrics_set(self->metrics, &server_metric_table, METRIC_OPERATIONS_MAX,
                (int64_t)depths.operations_max);
}

bool server_metrics_start(struct server_metrics *self, struct resv_host *host,
                          struct metrics *metrics, struct dispatcher *dispatcher)
{
    *self = (struct server_metrics){
        .host = host,
        .metrics = metrics,
        .dispatcher = dispatcher,
        .timer = {.fired = measure_lag},
    };
    self->timer.data = self;
    if (!metrics_register(metrics, &server_metric_table, NULL))
        return false;
    metrics_on_collect(metrics, collect, self);
    resv_timer_start(host, &self->timer, LAG_INTERVAL_MS);
    return true;
}

bool server_metrics_register_strategy(struct metrics *metrics, const struct resv_strategy *strategy)
{
    static char labels[128]; /* the metrics point to it */
    snprintf(labels, sizeof(labels), "strategy=\"%s\"", strategy->name);
    for (size_t i = 0; strategy->metric_tables != NULL && strategy->metric_tables[i] != NULL; i++) {
        if (!metrics_register(metrics, strategy->metric_tables[i], labels))
            return false;
    }
    return true;
}

void server_metrics_stop(struct server_metrics *self)
{
    if (self->host != NULL)
        resv_timer_stop(self->host, &self->timer);
}
