/* The metrics of requests: by route and status, how long, and what became of reservations. */
#ifndef RESVD_ROUTES_REQUEST_METRICS_H
#define RESVD_ROUTES_REQUEST_METRICS_H

#include <stdbool.h>

#include "metrics/metrics.h"
#include "routes/call.h"

/* For docs/metrics.md; the values are families, not this table. */
extern const struct resv_metric_table request_metrics_table;

/* Once in a process at a time. False when out of memory. */
bool request_metrics_open(struct metrics *metrics, const char *strategy_name);
void request_metrics_close(void);

/* An answer that is about to be given. */
void request_metrics_count(const struct call *call);
/* A RESERVE that is done, also when its client has gone. */
void request_metrics_reservation(const struct resv_op *op);

#endif
