/* What the registry holds, for the files of this folder only. */
#ifndef RESVD_METRICS_REGISTRY_H
#define RESVD_METRICS_REGISTRY_H

#include "metrics/histogram.h"
#include "metrics/metrics.h"

#define METRICS_COLLECTORS_MAX 16

union metric_value {
    uint64_t counter;
    int64_t gauge;
    struct histogram *histogram;
};

struct metrics_sample {
    union metric_value value;
    bool is_touched; /* added to, set or observed */
};

struct metrics_table {
    const struct resv_metric_table *table;
    const char *labels; /* NULL for none */
    struct metrics_sample *samples;
    struct histogram *histograms; /* what the values of histograms point into */
    struct metrics_table *next;
};

struct metric_family {
    const struct resv_metric *metric;
    const struct histogram_scale *scale; /* NULL unless a histogram */
    const char *const *labels;
    size_t series;
    union metric_value *values;   /* NULL when a histogram */
    struct histogram *histograms; /* NULL unless a histogram */
    struct metric_family *next;
};

struct metrics {
    struct metrics_table *tables;
    struct metrics_table *last_used; /* most calls in a row are for one table */
    struct metric_family *families;
    struct {
        void (*collect)(void *data);
        void *data;
    } collectors[METRICS_COLLECTORS_MAX];
    size_t collectors_count;
};

#endif
