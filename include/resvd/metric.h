/* Metrics: counters, gauges and histograms as tables beside the code that counts.
 *
 * Names follow Prometheus: lower case, unit last (_seconds, _bytes), counters end in _total.
 * Core adds the prefix "resvd_" and renders /metrics and docs/metrics.md from the tables.
 * All values live on the loop thread; other threads report through their completions.
 */
#ifndef RESVD_METRIC_H
#define RESVD_METRIC_H

#include <stddef.h>
#include <stdint.h>

struct resv_host;

enum resv_metric_type {
    RESV_METRIC_COUNTER,
    RESV_METRIC_GAUGE,
    RESV_METRIC_HISTOGRAM_SECONDS, /* observed in nanoseconds, 50 µs to 10 s buckets */
    RESV_METRIC_HISTOGRAM_COUNT,   /* observed as plain numbers, buckets 1, 2, 5 … 10,000 */
};

struct resv_metric {
    const char *name; /* without "resvd_" */
    enum resv_metric_type type;
    const char *help;
    /* As they stand between the braces: `node="1"`; NULL for none. Entries that differ in their
     * labels only stand one behind the other, with the same name, type and help.
     * An entry with labels is shown from the first call for it on, adding or setting 0 included;
     * before that its series does not exist (nothing is said of nodes that are not configured). */
    const char *labels;
};

/* A static table; the host registers the tables that the strategy lists. */
struct resv_metric_table {
    const struct resv_metric *metrics;
    size_t count;
    const char *title; /* heading in docs/metrics.md; NULL: a strategy's own, under its name */
};

/* Position in the table given; aborts when out of range. */
void resv_metric_add(struct resv_host *host, const struct resv_metric_table *table, size_t index,
                     uint64_t amount);
void resv_metric_set(struct resv_host *host, const struct resv_metric_table *table, size_t index,
                     int64_t value);
void resv_metric_observe(struct resv_host *host, const struct resv_metric_table *table,
                         size_t index, uint64_t value);

#endif
