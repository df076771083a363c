/* The Prometheus text format 0.0.4 of the registry, and the rows of docs/metrics.md. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "build_info.h"
#include "metrics/metrics.h"
#include "metrics/process.h"
#include "metrics/registry.h"
#include "resvd/assert.h"

#define PREFIX        "resvd_"
#define NS_PER_SECOND 1000000000ULL

static const char *type_name(enum resv_metric_type type)
{
    switch (type) {
    case RESV_METRIC_COUNTER:
        return "counter";
    case RESV_METRIC_GAUGE:
        return "gauge";
    case RESV_METRIC_HISTOGRAM_SECONDS:
    case RESV_METRIC_HISTOGRAM_COUNT:
        return "histogram";
    }
    RESV_ASSERT(false && "a metric type");
    return NULL;
}

static void print_head(FILE *out, const struct resv_metric *metric)
{
    fprintf(out, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s %s\n", metric->name, metric->help,
            metric->name, type_name(metric->type));
}

/* What stands between the braces of a sample; NULL or "" for none. */
struct labels {
    const char *shared; /* by all of a table */
    const char *own;
};

static bool is_given(const char *labels)
{
    return labels != NULL && labels[0] != '\0';
}

/* `{labels}` or nothing; `bound` is that of a bucket, or NULL. */
static void print_labels(FILE *out, struct labels labels, const char *bound)
{
    const char *before = "{";
    if (is_given(labels.shared)) {
        fprintf(out, "%s%s", before, labels.shared);
        before = ",";
    }
    if (is_given(labels.own)) {
        fprintf(out, "%s%s", before, labels.own);
        before = ",";
    }
    if (bound != NULL) {
        fprintf(out, "%sle=\"%s\"", before, bound);
        before = ",";
    }
    if (before[0] == ',')
        fputc('}', out);
}

static void print_number(FILE *out, const struct resv_metric *metric, union metric_value value,
                         struct labels labels)
{
    fprintf(out, PREFIX "%s", metric->name);
    print_labels(out, labels, NULL);
    if (metric->type == RESV_METRIC_COUNTER)
        fprintf(out, " %" PRIu64 "\n", value.counter);
    else
        fprintf(out, " %" PRId64 "\n", value.gauge);
}

static void print_bucket(FILE *out, const struct resv_metric *metric, struct labels labels,
                         const char *bound, uint64_t count)
{
    fprintf(out, PREFIX "%s_bucket", metric->name);
    print_labels(out, labels, bound);
    fprintf(out, " %" PRIu64 "\n", count);
}

static void print_histogram(FILE *out, const struct resv_metric *metric,
                            const struct histogram *histogram, struct labels labels)
{
    const struct histogram_scale *scale = histogram_scale(metric->type);
    uint64_t count = 0;
    for (size_t i = 0; i <= scale->bounds_count; i++) {
        count += histogram->buckets[i];
        print_bucket(out, metric, labels, i < scale->bounds_count ? scale->names[i] : "+Inf",
                     count);
    }
    fprintf(out, PREFIX "%s_sum", metric->name);
    print_labels(out, labels, NULL);
    if (metric->type == RESV_METRIC_HISTOGRAM_SECONDS) /* exact: no detour through a double */
        fprintf(out, " %" PRIu64 ".%09" PRIu64 "\n", (uint64_t)(histogram->sum / NS_PER_SECOND),
                (uint64_t)(histogram->sum % NS_PER_SECOND));
    else
        fprintf(out, " %" PRIu64 "\n", histogram->sum);
    fprintf(out, PREFIX "%s_count", metric->name);
    print_labels(out, labels, NULL);
    fprintf(out, " %" PRIu64 "\n", count);
}

/* The table is sound: what shares a name stands together. */
static bool begins_name(const struct resv_metric_table *table, size_t index)
{
    return index == 0 || strcmp(table->metrics[index - 1].name, table->metrics[index].name) != 0;
}

static void print_table(FILE *out, const struct metrics_table *entry)
{
    for (size_t i = 0; i < entry->table->count; i++) {
        const struct resv_metric *metric = &entry->table->metrics[i];
        const struct metrics_sample *sample = &entry->samples[i];
        struct labels labels = {.shared = entry->labels, .own = metric->labels};
        if (begins_name(entry->table, i))
            print_head(out, metric);
        if (metric->labels != NULL && !sample->is_touched)
            continue;
        if (histogram_scale(metric->type) != NULL)
            print_histogram(out, metric, sample->value.histogram, labels);
        else
            print_number(out, metric, sample->value, labels);
    }
}

static bool is_empty(const struct histogram *histogram)
{
    uint64_t seen = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS_MAX; i++)
        seen |= histogram->buckets[i];
    return seen == 0;
}

static void print_family(FILE *out, const struct metric_family *family)
{
    print_head(out, family->metric);
    for (size_t i = 0; i < family->series; i++) {
        struct labels labels = {.own = family->labels[i]};
        if (family->scale != NULL) {
            if (!is_empty(&family->histograms[i]))
                print_histogram(out, family->metric, &family->histograms[i], labels);
        } else if (family->values[i].counter != 0) {
            print_number(out, family->metric, family->values[i], labels);
        }
    }
}

static void print_process_seconds(FILE *out, const char *name, const char *type, const char *help,
                                  double seconds)
{
    if (seconds >= 0)
        fprintf(out, "# HELP %s %s\n# TYPE %s %s\n%s %.2f\n", name, help, name, type, name,
                seconds);
}

static void print_process_gauge(FILE *out, const char *name, const char *help, int64_t value)
{
    if (value >= 0)
        fprintf(out, "# HELP %s %s\n# TYPE %s gauge\n%s %" PRId64 "\n", name, help, name, name,
                value);
}

/* These names are a convention of all Prometheus clients, and so have no prefix of ours. */
static void print_process(FILE *out)
{
    struct process_figures figures;
    process_read(&figures);
    print_process_seconds(out, "process_cpu_seconds_total", "counter",
                          "User and system CPU time of all threads.", figures.cpu_seconds);
    print_process_gauge(out, "process_resident_memory_bytes", "Resident memory.",
                        figures.resident_bytes);
    print_process_gauge(out, "process_virtual_memory_bytes", "Virtual memory.",
                        figures.virtual_bytes);
    print_process_gauge(out, "process_open_fds", "Open file descriptors.", figures.open_fds);
    print_process_gauge(out, "process_max_fds", "Limit of open file descriptors.", figures.max_fds);
    print_process_seconds(out, "process_start_time_seconds", "gauge",
                          "When the process started, in seconds since 1970.",
                          figures.start_seconds);
}

/* Compilers' names may hold anything. */
static void print_label_value(FILE *out, const char *value)
{
    for (const char *at = value; *at != '\0'; at++) {
        if (*at == '\n') {
            fputs("\\n", out);
            continue;
        }
        if (*at == '"' || *at == '\\')
            fputc('\\', out);
        fputc(*at, out);
    }
}

static void print_build_info(FILE *out)
{
    fputs("# HELP " PREFIX "build_info What this binary was built from; always 1.\n"
          "# TYPE " PREFIX "build_info gauge\n" PREFIX "build_info{version=\"",
          out);
    print_label_value(out, RESVD_VERSION);
    fputs("\",commit=\"", out);
    print_label_value(out, RESVD_COMMIT);
    fputs("\",compiler=\"", out);
    print_label_value(out, RESVD_COMPILER);
    fputs("\"} 1\n", out);
}

char *metrics_render(struct metrics *metrics, size_t *size)
{
    for (size_t i = 0; i < metrics->collectors_count; i++)
        metrics->collectors[i].collect(metrics->collectors[i].data);
    char *text = NULL;
    FILE *out = open_memstream(&text, size);
    if (out == NULL)
        return NULL;
    print_build_info(out);
    print_process(out);
    for (const struct metrics_table *entry = metrics->tables; entry != NULL; entry = entry->next)
        print_table(out, entry);
    for (const struct metric_family *family = metrics->families; family != NULL;
         family = family->next)
        print_family(out, family);
    bool is_whole = ferror(out) == 0;
    if (fclose(out) != 0 || !is_whole) {
        free(text);
        return NULL;
    }
    return text;
}

void metrics_print_markdown(const struct resv_metric_table *table, FILE *out)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct resv_metric *metric = &table->metrics[i];
        if (begins_name(table, i))
            fprintf(out, "| `" PREFIX "%s` | %s | %s", metric->name, type_name(metric->type),
                    metric->help);
        if (metric->labels != NULL)
            fprintf(out, "%s`{%s}`", begins_name(table, i) ? " (" : ", ", metric->labels);
        if (i + 1 == table->count || begins_name(table, i + 1))
            fputs(metric->labels != NULL ? ") |\n" : " |\n", out);
    }
}
