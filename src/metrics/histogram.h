/* Histograms with fixed buckets: durations from 50 us to 10 s, and plain counts. */
#ifndef RESVD_METRICS_HISTOGRAM_H
#define RESVD_METRICS_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#include "resvd/metric.h"

#define HISTOGRAM_BUCKETS_MAX 18 /* the last one of each scale is +Inf */

/* Which value goes into which bucket; static. */
struct histogram_scale {
    const uint64_t *bounds;   /* inclusive upper bounds, without +Inf */
    const char *const *names; /* the same as Prometheus' le, without +Inf */
    size_t bounds_count;
};
/* NULL for metric types that are no histogram. */
const struct histogram_scale *histogram_scale(enum resv_metric_type type);

struct histogram {
    uint64_t buckets[HISTOGRAM_BUCKETS_MAX]; /* not cumulative */
    uint64_t sum;                            /* in the unit that is observed */
};
void histogram_observe(struct histogram *histogram, const struct histogram_scale *scale,
                       uint64_t value);

#endif
