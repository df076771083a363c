/* The metric registry: storage for metric tables, histograms, and the Prometheus text of them. */
#ifndef RESVD_METRICS_METRICS_H
#define RESVD_METRICS_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "resvd/metric.h"

struct metrics;

struct metrics *metrics_create(void);
void metrics_destroy(struct metrics *metrics);

/* Whether each name stands for one metric: entries that share a name stand one behind the other,
 * with the same type and help, and each has labels of its own. */
bool metrics_table_is_sound(const struct resv_metric_table *table);
/* Registers a table (once; again is a no-op) that is sound and shares no name with what is there.
 * `labels` is static text put between the braces of every sample, before the entry's own, such as
 * "strategy=\"embedded\"", or NULL. False when out of memory. */
bool metrics_register(struct metrics *metrics, const struct resv_metric_table *table,
                      const char *labels);
void metrics_add(struct metrics *metrics, const struct resv_metric_table *table, size_t index,
                 uint64_t amount);
void metrics_set(struct metrics *metrics, const struct resv_metric_table *table, size_t index,
                 int64_t value);
void metrics_observe(struct metrics *metrics, const struct resv_metric_table *table, size_t index,
                     uint64_t value);

/* Samples with labels of their own (requests by route and status). A family has a fixed number of
 * series; series s of it has labels labels[s], e.g. "route=\"/livez\",status=\"200\"". Series that
 * are still zero are not rendered. Returned pointer lives as long as the registry. */
struct metric_family;
struct metric_family *metrics_register_family(struct metrics *metrics,
                                              const struct resv_metric *metric,
                                              const char *const *labels, size_t series);
void metric_family_add(struct metric_family *family, size_t series, uint64_t amount);
void metric_family_set(struct metric_family *family, size_t series, int64_t value);
void metric_family_observe(struct metric_family *family, size_t series, uint64_t value);

/* Called before rendering so that gauges can be brought up to date. */
void metrics_on_collect(struct metrics *metrics, void (*collect)(void *data), void *data);

/* Prometheus text format 0.0.4, including process_* and resvd_build_info. The caller frees it. */
char *metrics_render(struct metrics *metrics, size_t *size);
/* docs/metrics.md rows of a table, one a name. */
void metrics_print_markdown(const struct resv_metric_table *table, FILE *out);

#endif
