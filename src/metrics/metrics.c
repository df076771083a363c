/* The registry: storage for tables and families. Counting is an index and an addition. */
#include "metrics/metrics.h"

#include <stdlib.h>
#include <string.h>

#include "metrics/registry.h"
#include "resvd/assert.h"

struct metrics *metrics_create(void)
{
    return calloc(1, sizeof(struct metrics));
}

static void free_table(struct metrics_table *entry)
{
    free(entry->samples);
    free(entry->histograms);
    free(entry);
}

static void free_family(struct metric_family *family)
{
    free(family->values);
    free(family->histograms);
    free(family);
}

void metrics_destroy(struct metrics *metrics)
{
    if (metrics == NULL)
        return;
    while (metrics->tables != NULL) {
        struct metrics_table *entry = metrics->tables;
        metrics->tables = entry->next;
        free_table(entry);
    }
    while (metrics->families != NULL) {
        struct metric_family *family = metrics->families;
        metrics->families = family->next;
        free_family(family);
    }
    free(metrics);
}

/* --- tables ---------------------------------------------------------------------------------- */

static struct metrics_table *find_table(struct metrics *metrics,
                                        const struct resv_metric_table *table)
{
    struct metrics_table *entry = metrics->last_used;
    if (entry != NULL && entry->table == table)
        return entry;
    for (entry = metrics->tables; entry != NULL; entry = entry->next) {
        if (entry->table == table) {
            metrics->last_used = entry;
            return entry;
        }
    }
    return NULL;
}

/* Prometheus takes each name once, so that two tables may not share one. */
static bool is_name_taken(const struct metrics *metrics, const char *name)
{
    for (const struct metrics_table *entry = metrics->tables; entry != NULL; entry = entry->next) {
        for (size_t i = 0; i < entry->table->count; i++) {
            if (strcmp(entry->table->metrics[i].name, name) == 0)
                return true;
        }
    }
    for (const struct metric_family *family = metrics->families; family != NULL;
         family = family->next) {
        if (strcmp(family->metric->name, name) == 0)
            return true;
    }
    return false;
}

static bool is_in_table(const struct resv_metric_table *table, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(table->metrics[i].name, name) == 0)
            return true;
    }
    return false;
}

/* Entry `index` differs from each of its name before it in its labels, and in nothing else. */
static bool is_another_series(const struct resv_metric_table *table, size_t index)
{
    const struct resv_metric *metric = &table->metrics[index];
    if (metric->labels == NULL)
        return false;
    for (size_t i = index; i > 0; i--) {
        const struct resv_metric *before = &table->metrics[i - 1];
        if (strcmp(before->name, metric->name) != 0)
            return !is_in_table(table, i - 1, metric->name);
        if (before->labels == NULL || strcmp(before->labels, metric->labels) == 0 ||
            before->type != metric->type || strcmp(before->help, metric->help) != 0)
            return false;
    }
    return true;
}

bool metrics_table_is_sound(const struct resv_metric_table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct resv_metric *metric = &table->metrics[i];
        if (metric->labels != NULL && metric->labels[0] == '\0')
            return false;
        if (is_in_table(table, i, metric->name) && !is_another_series(table, i))
            return false;
    }
    return true;
}

static size_t count_histograms(const struct resv_metric_table *table)
{
    size_t count = 0;
    for (size_t i = 0; i < table->count; i++)
        count += histogram_scale(table->metrics[i].type) != NULL;
    return count;
}

bool metrics_register(struct metrics *metrics, const struct resv_metric_table *table,
                      const char *labels)
{
    if (find_table(metrics, table) != NULL)
        return true;
    RESV_ASSERT(metrics_table_is_sound(table));
    for (size_t i = 0; i < table->count; i++)
        RESV_ASSERT(!is_name_taken(metrics, table->metrics[i].name));
    struct metrics_table *entry = calloc(1, sizeof(*entry));
    if (entry == NULL)
        return false;
    *entry = (struct metrics_table){
        .table = table,
        .labels = labels,
        .samples = calloc(table->count + 1, sizeof(*entry->samples)),
        .histograms = calloc(count_histograms(table) + 1, sizeof(*entry->histograms)),
    };
    if (entry->samples == NULL || entry->histograms == NULL) {
        free_table(entry);
        return false;
    }
    struct histogram *histogram = entry->histograms;
    for (size_t i = 0; i < table->count; i++) {
        if (histogram_scale(table->metrics[i].type) != NULL)
            entry->samples[i].value.histogram = histogram++;
    }
    struct metrics_table **last = &metrics->tables;
    while (*last != NULL)
        last = &(*last)->next;
    *last = entry;
    return true;
}

static union metric_value *touch(struct metrics *metrics, const struct resv_metric_table *table,
                                 size_t index)
{
    struct metrics_table *entry = find_table(metrics, table);
    RESV_ASSERT(entry != NULL && index < table->count);
    entry->samples[index].is_touched = true;
    return &entry->samples[index].value;
}

void metrics_add(struct metrics *metrics, const struct resv_metric_table *table, size_t index,
                 uint64_t amount)
{
    union metric_value *value = touch(metrics, table, index);
    RESV_ASSERT(table->metrics[index].type == RESV_METRIC_COUNTER);
    value->counter += amount;
}

void metrics_set(struct metrics *metrics, const struct resv_metric_table *table, size_t index,
                 int64_t number)
{
    union metric_value *value = touch(metrics, table, index);
    RESV_ASSERT(table->metrics[index].type == RESV_METRIC_GAUGE);
    value->gauge = number;
}

void metrics_observe(struct metrics *metrics, const struct resv_metric_table *table, size_t index,
                     uint64_t number)
{
    union metric_value *value = touch(metrics, table, index);
    const struct histogram_scale *scale = histogram_scale(table->metrics[index].type);
    RESV_ASSERT(scale != NULL);
    histogram_observe(value->histogram, scale, number);
}

/* --- families -------------------------------------------------------------------------------- */

struct metric_family *metrics_register_family(struct metrics *metrics,
                                              const struct resv_metric *metric,
                                              const char *const *labels, size_t series)
{
    RESV_ASSERT(!is_name_taken(metrics, metric->name));
    struct metric_family *family = calloc(1, sizeof(*family));
    if (family == NULL)
        return NULL;
    *family = (struct metric_family){.metric = metric,
                                     .scale = histogram_scale(metric->type),
                                     .labels = labels,
                                     .series = series};
    if (family->scale == NULL)
        family->values = calloc(series, sizeof(*family->values));
    else
        family->histograms = calloc(series, sizeof(*family->histograms));
    if (family->values == NULL && family->histograms == NULL) {
        free_family(family);
        return NULL;
    }
    struct metric_family **last = &metrics->families;
    while (*last != NULL)
        last = &(*last)->next;
    *last = family;
    return family;
}

void metric_family_add(struct metric_family *family, size_t series, uint64_t amount)
{
    RESV_ASSERT(series < family->series && family->metric->type == RESV_METRIC_COUNTER);
    family->values[series].counter += amount;
}

void metric_family_set(struct metric_family *family, size_t series, int64_t value)
{
    RESV_ASSERT(series < family->series && family->metric->type == RESV_METRIC_GAUGE);
    family->values[series].gauge = value;
}

void metric_family_observe(struct metric_family *family, size_t series, uint64_t value)
{
    RESV_ASSERT(series < family->series && family->scale != NULL);
    histogram_observe(&family->histograms[series], family->scale, value);
}

void metrics_on_collect(struct metrics *metrics, void (*collect)(void *data), void *data)
{
    RESV_ASSERT(metrics->collectors_count < METRICS_COLLECTORS_MAX);
    metrics->collectors[metrics->collectors_count].collect = collect;
    metrics->collectors[metrics->collectors_count].data = data;
    metrics->collectors_count++;
}
