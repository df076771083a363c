/* Metrics: the edges of buckets, and that the text is what Prometheus reads. */
#include <ctype.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "metrics/histogram.h"
#include "metrics/metrics.h"
#include "metrics/process.h"
#include "routes/request_metrics.h"

enum { SALES, DEPTH, WAIT, BATCH };
static const struct resv_metric rows[] = {
    [SALES] = {.name = "sales_total", .type = RESV_METRIC_COUNTER, .help = "Sales."},
    [DEPTH] = {.name = "queue_depth", .type = RESV_METRIC_GAUGE, .help = "Depth."},
    [WAIT] = {.name = "wait_seconds", .type = RESV_METRIC_HISTOGRAM_SECONDS, .help = "Wait."},
    [BATCH] = {.name = "batch_size", .type = RESV_METRIC_HISTOGRAM_COUNT, .help = "Batch."},
};
static const struct resv_metric_table table = {.metrics = rows,
                                               .count = sizeof(rows) / sizeof(rows[0])};
static const struct resv_metric other_rows[] = {
    {.name = "other_total", .type = RESV_METRIC_COUNTER, .help = "Other."}};
static const struct resv_metric_table other_table = {.metrics = other_rows, .count = 1};

static struct metrics *metrics;
static char *text;

static int setup(void **state)
{
    (void)state;
    metrics = metrics_create();
    assert_non_null(metrics);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(text);
    text = NULL;
    metrics_destroy(metrics);
    return 0;
}

static void render(void)
{
    size_t size;
    free(text);
    text = metrics_render(metrics, &size);
    assert_non_null(text);
    assert_int_equal(strlen(text), size);
}

static void expect_line(const char *line)
{
    size_t size = strlen(line);
    for (const char *at = text; at != NULL && *at != '\0'; at = strchr(at, '\n') + 1) {
        if (strncmp(at, line, size) == 0 && at[size] == '\n')
            return;
    }
    fail_msg("no line %s in\n%s", line, text);
}

/* --- buckets --------------------------------------------------------------------------------- */

static size_t bucket_of(enum resv_metric_type type, uint64_t value)
{
    struct histogram histogram = {{0}, 0};
    const struct histogram_scale *scale = histogram_scale(type);
    histogram_observe(&histogram, scale, value);
    for (size_t i = 0; i <= scale->bounds_count; i++) {
        if (histogram.buckets[i] != 0)
            return i;
    }
    return SIZE_MAX;
}

static void test_bucket_edges(void **state)
{
    (void)state;
    static const enum resv_metric_type types[] = {RESV_METRIC_HISTOGRAM_SECONDS,
                                                  RESV_METRIC_HISTOGRAM_COUNT};
    for (size_t t = 0; t < 2; t++) {
        const struct histogram_scale *scale = histogram_scale(types[t]);
        assert_int_equal(bucket_of(types[t], 0), 0);
        for (size_t i = 0; i < scale->bounds_count; i++) {
            assert_int_equal(bucket_of(types[t], scale->bounds[i] - 1),
                             i > 0 && scale->bounds[i] - 1 == scale->bounds[i - 1] ? i - 1 : i);
            assert_int_equal(bucket_of(types[t], scale->bounds[i]), i);
            assert_int_equal(bucket_of(types[t], scale->bounds[i] + 1), i + 1);
            double unit = types[t] == RESV_METRIC_HISTOGRAM_SECONDS ? 1e9 : 1;
            double difference = strtod(scale->names[i], NULL) * unit - (double)scale->bounds[i];
            assert_true(difference < 1e-3 && difference > -1e-3);
        }
        assert_int_equal(bucket_of(types[t], UINT64_MAX), scale->bounds_count);
    }
    assert_int_equal(histogram_scale(RESV_METRIC_HISTOGRAM_SECONDS)->bounds_count, 17);
    assert_null(histogram_scale(RESV_METRIC_COUNTER));
    assert_null(histogram_scale(RESV_METRIC_GAUGE));
}

/* --- the text -------------------------------------------------------------------------------- */

static void test_values(void **state)
{
    (void)state;
    assert_true(metrics_register(metrics, &table, "strategy=\"x\""));
    assert_true(metrics_register(metrics, &table, "again=\"no-op\""));
    assert_true(metrics_register(metrics, &other_table, NULL));
    metrics_add(metrics, &table, SALES, UINT64_MAX - 1);
    metrics_add(metrics, &other_table, 0, 3);
    metrics_add(metrics, &table, SALES, 1);
    metrics_set(metrics, &table, DEPTH, -5);
    metrics_observe(metrics, &table, WAIT, 50000);
    metrics_observe(metrics, &table, WAIT, 60000);
    metrics_observe(metrics, &table, WAIT, 12000000001);
    metrics_observe(metrics, &table, BATCH, 3);
    render();
    expect_line("# TYPE resvd_sales_total counter");
    expect_line("# HELP resvd_sales_total Sales.");
    expect_line("resvd_sales_total{strategy=\"x\"} 18446744073709551615");
    expect_line("resvd_queue_depth{strategy=\"x\"} -5");
    expect_line("resvd_other_total 3");
    expect_line("# TYPE resvd_wait_seconds histogram");
    expect_line("resvd_wait_seconds_bucket{strategy=\"x\",le=\"5e-05\"} 1");
    expect_line("resvd_wait_seconds_bucket{strategy=\"x\",le=\"0.0001\"} 2");
    expect_line("resvd_wait_seconds_bucket{strategy=\"x\",le=\"10\"} 2");
    expect_line("resvd_wait_seconds_bucket{strategy=\"x\",le=\"+Inf\"} 3");
    expect_line("resvd_wait_seconds_sum{strategy=\"x\"} 12.000110001");
    expect_line("resvd_wait_seconds_count{strategy=\"x\"} 3");
    expect_line("resvd_batch_size_bucket{strategy=\"x\",le=\"2\"} 0");
    expect_line("resvd_batch_size_bucket{strategy=\"x\",le=\"5\"} 1");
    expect_line("resvd_batch_size_sum{strategy=\"x\"} 3");
}

static void test_families(void **state)
{
    (void)state;
    static const char *const labels[] = {"a=\"1\"", "a=\"2\"", "a=\"3\""};
    struct metric_family *counter = metrics_register_family(metrics, &rows[SALES], labels, 3);
    struct metric_family *gauge = metrics_register_family(metrics, &rows[DEPTH], labels, 3);
    struct metric_family *wait = metrics_register_family(metrics, &rows[WAIT], labels, 3);
    metric_family_add(counter, 1, 2);
    metric_family_set(gauge, 2, -1);
    metric_family_observe(wait, 0, 0);
    render();
    expect_line("resvd_sales_total{a=\"2\"} 2");
    expect_line("resvd_queue_depth{a=\"3\"} -1");
    expect_line("resvd_wait_seconds_bucket{a=\"1\",le=\"5e-05\"} 1");
    expect_line("resvd_wait_seconds_sum{a=\"1\"} 0.000000000");
    assert_null(strstr(text, "sales_total{a=\"1\"}")); /* zero: not rendered */
    assert_null(strstr(text, "queue_depth{a=\"1\"}"));
    assert_null(strstr(text, "wait_seconds_count{a=\"2\"}"));
}

/* --- several series of one name in a table ---------------------------------------------------- */

#define NODE(count) "node=\"" #count "\""
#define ROW_OF(n, t, h, count)                                                                     \
    {                                                                                              \
        .name = (n), .type = (t), .help = (h), .labels = NODE(count)                               \
    }
#define WAIT_OF(count) ROW_OF("wait_seconds", RESV_METRIC_HISTOGRAM_SECONDS, "Wait.", count)
#define UP_OF(count)   ROW_OF("up", RESV_METRIC_GAUGE, "Up.", count)
#define LOST_OF(count) ROW_OF("lost_total", RESV_METRIC_COUNTER, "Lost.", count)

enum { WAIT_1, WAIT_2, WAIT_3, UP_1, UP_2, UP_3, ALL, LOST_1, LOST_2 };
static const struct resv_metric node_rows[] = {
    [WAIT_1] = WAIT_OF(1),
    [WAIT_2] = WAIT_OF(2),
    [WAIT_3] = WAIT_OF(3),
    [UP_1] = UP_OF(1),
    [UP_2] = UP_OF(2),
    [UP_3] = UP_OF(3),
    [ALL] = {.name = "all_total", .type = RESV_METRIC_COUNTER, .help = "All."},
    [LOST_1] = LOST_OF(1),
    [LOST_2] = LOST_OF(2),
};
#define NODE_ROWS (sizeof(node_rows) / sizeof(node_rows[0]))
static const struct resv_metric_table node_table = {.metrics = node_rows, .count = NODE_ROWS};

static void check_text(void);

static size_t count_of(const char *words)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, words)) != NULL; at++)
        count++;
    return count;
}

static void test_labels(void **state)
{
    (void)state;
    assert_true(metrics_register(metrics, &node_table, "strategy=\"x\""));
    assert_true(metrics_register(metrics, &other_table, NULL));
    metrics_observe(metrics, &node_table, WAIT_1, 60000);
    metrics_observe(metrics, &node_table, WAIT_2, 70000);
    metrics_observe(metrics, &node_table, WAIT_2, 70000);
    metrics_set(metrics, &node_table, UP_1, 1);
    metrics_set(metrics, &node_table, UP_2, 0); /* a zero that was said is shown */
    metrics_add(metrics, &node_table, LOST_1, 0);
    metrics_add(metrics, &node_table, LOST_2, 4);
    render();
    check_text(); /* HELP and TYPE once, with all samples behind them */
    expect_line("resvd_wait_seconds_bucket{strategy=\"x\",node=\"1\",le=\"0.0001\"} 1");
    expect_line("resvd_wait_seconds_bucket{strategy=\"x\",node=\"2\",le=\"+Inf\"} 2");
    expect_line("resvd_wait_seconds_sum{strategy=\"x\",node=\"2\"} 0.000140000");
    expect_line("resvd_wait_seconds_count{strategy=\"x\",node=\"1\"} 1");
    expect_line("resvd_up{strategy=\"x\",node=\"1\"} 1");
    expect_line("resvd_up{strategy=\"x\",node=\"2\"} 0");
    expect_line("resvd_all_total{strategy=\"x\"} 0"); /* no labels of its own: always shown */
    expect_line("resvd_lost_total{strategy=\"x\",node=\"1\"} 0");
    expect_line("resvd_lost_total{strategy=\"x\",node=\"2\"} 4");
    expect_line("resvd_other_total 0");
    assert_int_equal(count_of("# HELP resvd_up "), 1);
    assert_int_equal(count_of("# TYPE resvd_wait_seconds "), 1);
    assert_int_equal(count_of("node=\"3\""), 0); /* nothing was said for it */
    metrics_set(metrics, &node_table, UP_3, 0);
    render();
    expect_line("resvd_up{strategy=\"x\",node=\"3\"} 0");
    assert_int_equal(count_of("node=\"3\""), 1);
}

static void test_labels_alone(void **state)
{
    (void)state;
    assert_true(metrics_register(metrics, &node_table, NULL));
    metrics_observe(metrics, &node_table, WAIT_3, 1);
    metrics_add(metrics, &node_table, LOST_2, 1);
    render();
    check_text();
    expect_line("resvd_wait_seconds_bucket{node=\"3\",le=\"5e-05\"} 1");
    expect_line("resvd_wait_seconds_sum{node=\"3\"} 0.000000001");
    expect_line("resvd_lost_total{node=\"2\"} 1");
    expect_line("resvd_all_total 0");
}

static struct resv_metric changed_rows[NODE_ROWS];
static const struct resv_metric_table changed_table = {.metrics = changed_rows, .count = NODE_ROWS};

static void change(size_t row, struct resv_metric metric)
{
    memcpy(changed_rows, node_rows, sizeof(changed_rows));
    changed_rows[row] = metric;
}

static void test_unsound_tables(void **state)
{
    (void)state;
    assert_true(metrics_table_is_sound(&table));
    assert_true(metrics_table_is_sound(&node_table));
    struct resv_metric metric = node_rows[UP_2];
    change(UP_2, metric);
    assert_true(metrics_table_is_sound(&changed_table));
    metric.labels = NODE(3);
    change(UP_2, metric); /* UP_3 has them, too */
    assert_false(metrics_table_is_sound(&changed_table));
    metric.labels = NULL;
    change(UP_2, metric);
    assert_false(metrics_table_is_sound(&changed_table));
    metric = node_rows[UP_1];
    metric.labels = NULL;
    change(UP_1, metric);
    assert_false(metrics_table_is_sound(&changed_table));
    metric.labels = "";
    change(UP_1, metric);
    assert_false(metrics_table_is_sound(&changed_table));
    metric = node_rows[UP_3];
    metric.help = "Other words.";
    change(UP_3, metric);
    assert_false(metrics_table_is_sound(&changed_table));
    metric = node_rows[LOST_2];
    metric.type = RESV_METRIC_GAUGE;
    change(LOST_2, metric);
    assert_false(metrics_table_is_sound(&changed_table));
    metric = node_rows[UP_3];
    metric.labels = NODE(4);
    change(LOST_2, metric); /* apart from its own */
    assert_false(metrics_table_is_sound(&changed_table));
    change(ALL, node_rows[UP_3]);
    assert_false(metrics_table_is_sound(&changed_table));
}

static void collect(void *data)
{
    metrics_set(metrics, &table, DEPTH, *(const int64_t *)data);
}

static void test_collectors(void **state)
{
    (void)state;
    int64_t depth = 7;
    metrics_register(metrics, &table, NULL);
    metrics_on_collect(metrics, collect, &depth);
    render();
    expect_line("resvd_queue_depth 7");
    depth = 8;
    render();
    expect_line("resvd_queue_depth 8");
}

/* --- the grammar ----------------------------------------------------------------------------- */

static bool ends_with(const char *name, const char *end)
{
    return strlen(name) >= strlen(end) && strcmp(name + strlen(name) - strlen(end), end) == 0;
}

/* Behind the name: {label="value",…}. Returns the byte behind it. */
static const char *skip_labels(const char *at)
{
    if (*at != '{')
        return at;
    do {
        at++;
        assert_true(isalpha((unsigned char)*at) || *at == '_');
        while (isalnum((unsigned char)*at) || *at == '_')
            at++;
        assert_memory_equal(at, "=\"", 2);
        for (at += 2; *at != '"'; at++) {
            assert_true((unsigned char)*at >= 0x20);
            if (*at == '\\')
                at++;
        }
        at++;
    } while (*at == ',');
    assert_int_equal(*at, '}');
    return at + 1;
}

static void check_sample(const char *line, const char *family, const char *type)
{
    char name[128];
    size_t size = strspn(line, "abcdefghijklmnopqrstuvwxyz0123456789_");
    assert_in_range(size, 1, sizeof(name) - 1);
    memcpy(name, line, size);
    name[size] = '\0';
    const char *at = skip_labels(line + size);
    assert_int_equal(*at, ' ');
    char *end;
    strtod(at + 1, &end);
    assert_int_equal(*end, '\n');
    assert_true(end > at + 1);
    assert_memory_equal(name, family, strlen(family));
    const char *suffix = name + strlen(family);
    if (strcmp(type, "histogram") == 0)
        assert_true(strcmp(suffix, "_bucket") == 0 || strcmp(suffix, "_sum") == 0 ||
                    strcmp(suffix, "_count") == 0);
    else
        assert_string_equal(suffix, "");
    assert_true((strcmp(type, "counter") == 0) == ends_with(family, "_total"));
}

/* Every line is HELP, TYPE or a sample of the family that was announced just before; none twice. */
static void check_text(void)
{
    char family[128] = "";
    char type[32] = "";
    for (const char *at = text; *at != '\0'; at = strchr(at, '\n') + 1) {
        assert_non_null(strchr(at, '\n'));
        if (strncmp(at, "# HELP ", 7) == 0) {
            assert_int_equal(sscanf(at, "# HELP %127s", family), 1);
            char head[160];
            snprintf(head, sizeof(head), "# HELP %s ", family);
            assert_ptr_equal(strstr(text, head), at);
            type[0] = '\0';
        } else if (strncmp(at, "# TYPE ", 7) == 0) {
            char name[128];
            assert_int_equal(sscanf(at, "# TYPE %127s %31s", name, type), 2);
            assert_string_equal(name, family);
        } else {
            assert_true(type[0] != '\0');
            check_sample(at, family, type);
        }
    }
}

static void test_grammar(void **state)
{
    (void)state;
    static const char *const labels[] = {"a=\"1\",b=\"2\""};
    static const struct resv_metric family = {
        .name = "f_total", .type = RESV_METRIC_COUNTER, .help = "F."};
    metrics_register(metrics, &table, "strategy=\"a\\\"b\"");
    metrics_register(metrics, &other_table, "");
    metric_family_add(metrics_register_family(metrics, &family, labels, 1), 0, 1);
    metrics_observe(metrics, &table, WAIT, 1);
    assert_true(request_metrics_open(metrics, "x"));
    request_metrics_close();
    render();
    check_text();
    expect_line("resvd_other_total 0");
}

static void test_help_lists_outcomes(void **state)
{
    (void)state;
    assert_true(request_metrics_open(metrics, "x"));
    for (int outcome = 0; outcome <= RESV_OUTCOME_COUNT; outcome++) {
        struct resv_op op = {.outcome = outcome < RESV_OUTCOME_COUNT ? (enum resv_outcome)outcome
                                                                     : RESV_GRANTED};
        op.reservation.replay = outcome == RESV_OUTCOME_COUNT;
        request_metrics_reservation(&op);
    }
    request_metrics_close();
    render();
    const char *help = strstr(text, "# HELP resvd_reservations_total ");
    assert_non_null(help);
    const char *help_end = strchr(help, '\n');
    size_t found = 0;
    for (const char *at = help_end; (at = strstr(at, ",outcome=\"")) != NULL; found++) {
        at += strlen(",outcome=\"");
        char name[64];
        snprintf(name, sizeof(name), " %.*s", (int)strcspn(at, "\""), at);
        const char *listed = strstr(help, name);
        assert_true(listed != NULL && listed < help_end);
        assert_non_null(strchr(",.", listed[strlen(name)]));
    }
    assert_true(found >= 13);
}

static void test_process(void **state)
{
    (void)state;
    struct process_figures before;
    struct process_figures after;
    process_read(&before);
    assert_true(before.cpu_seconds >= 0);
    assert_true(before.start_seconds > 1e9);
    assert_true(before.resident_bytes > 0);
    assert_true(before.virtual_bytes >= before.resident_bytes);
    int open_fds = 0;
    for (int fd = 0; fd < 4096; fd++)
        open_fds += fcntl(fd, F_GETFD) >= 0;
    assert_int_equal(before.open_fds, open_fds);
    int fd = dup(0);
    process_read(&after);
    assert_int_equal(after.open_fds, before.open_fds + 1);
    close(fd);
    assert_true(after.start_seconds >= before.start_seconds - 0.001 &&
                after.start_seconds <= before.start_seconds + 0.001);
    render();
    static const char *const names[] = {
        "\nprocess_cpu_seconds_total ",    "\nprocess_resident_memory_bytes ",
        "\nprocess_virtual_memory_bytes ", "\nprocess_open_fds ",
        "\nprocess_start_time_seconds ",   "\nresvd_build_info{version=\"",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_non_null(strstr(text, names[i]));
}

static void test_markdown(void **state)
{
    (void)state;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    metrics_print_markdown(&table, out);
    fclose(out);
    assert_string_equal(text, "| `resvd_sales_total` | counter | Sales. |\n"
                              "| `resvd_queue_depth` | gauge | Depth. |\n"
                              "| `resvd_wait_seconds` | histogram | Wait. |\n"
                              "| `resvd_batch_size` | histogram | Batch. |\n");
    free(text);
    out = open_memstream(&text, &size);
    assert_non_null(out);
    metrics_print_markdown(&node_table, out);
    fclose(out);
    assert_string_equal(text, "| `resvd_wait_seconds` | histogram | Wait. (`{node=\"1\"}`, "
                              "`{node=\"2\"}`, `{node=\"3\"}`) |\n"
                              "| `resvd_up` | gauge | Up. (`{node=\"1\"}`, `{node=\"2\"}`, "
                              "`{node=\"3\"}`) |\n"
                              "| `resvd_all_total` | counter | All. |\n"
                              "| `resvd_lost_total` | counter | Lost. (`{node=\"1\"}`, "
                              "`{node=\"2\"}`) |\n");
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(test_bucket_edges), ROW(test_values),       ROW(test_families),
        ROW(test_labels),       ROW(test_labels_alone), ROW(test_unsound_tables),
        ROW(test_collectors),   ROW(test_grammar),      ROW(test_help_lists_outcomes),
        ROW(test_process),      ROW(test_markdown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
