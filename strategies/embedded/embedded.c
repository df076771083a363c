/* embedded, the default strategy: one SQLite file, one writer, group commit.
 *
 * This file: the seam's functions, and the tables of options and metrics. */
#include "embedded.h"

#include <errno.h>
#include <stdlib.h>

#include "resvd/assert.h"

static const struct resv_option options[] = {
    [OPTION_FILE] = {.key = "file",
                     .type = RESV_OPTION_STRING,
                     .default_text = "resvd.db",
                     .required = true,
                     .help = "the database; made when it is not there, its folder must be"},
    [OPTION_BATCH_MAX] = {.key = "batch_max",
                          .type = RESV_OPTION_INTEGER,
                          .default_text = "1000",
                          .minimum = 1,
                          .maximum = 10000,
                          .unit = "operations",
                          .help = "most operations that share one transaction"},
    [OPTION_QUEUE_MAX] = {.key = "queue_max",
                          .type = RESV_OPTION_INTEGER,
                          .default_text = "20000",
                          .minimum = 1,
                          .maximum = 1000000,
                          .unit = "operations",
                          .help = "most operations that wait for the writer"},
    [OPTION_CACHE_BYTES] = {.key = "cache_bytes",
                            .type = RESV_OPTION_INTEGER,
                            .default_text = "67108864",
                            .minimum = 1 << 20,
                            .maximum = 1LL << 40,
                            .unit = "bytes",
                            .help = "page cache of the writer; the two readers take a quarter of "
                                    "it each"},
    [OPTION_WAL_MAX_BYTES] = {.key = "wal_max_bytes",
                              .type = RESV_OPTION_INTEGER,
                              .default_text = "4194304",
                              .minimum = 1 << 16,
                              .maximum = 1LL << 40,
                              .unit = "bytes",
                              .help = "size of the write-ahead log at which it is moved into the "
                                      "file; a scan under way lets it grow further"},
};

const struct resv_option_table embedded_options = {
    .section = "strategy.embedded",
    .help = "One SQLite file on this machine",
    .options = options,
    .count = sizeof options / sizeof options[0],
};

static const struct resv_metric metrics[] = {
    [METRIC_BATCH_OPERATIONS] = {.name = "embedded_batch_operations",
                                 .type = RESV_METRIC_HISTOGRAM_COUNT,
                                 .help = "Operations that shared a transaction"},
    [METRIC_COMMIT_SECONDS] = {.name = "embedded_commit_seconds",
                               .type = RESV_METRIC_HISTOGRAM_SECONDS,
                               .help = "A transaction, from its begin until it was durable"},
    [METRIC_QUEUED_OPERATIONS] = {.name = "embedded_queued_operations",
                                  .type = RESV_METRIC_GAUGE,
                                  .help = "Operations that wait for the writer or the reader"},
    [METRIC_QUEUE_MAX_OPERATIONS] = {.name = "embedded_queue_max_operations",
                                     .type = RESV_METRIC_GAUGE,
                                     .help = "Most operations that may wait"},
    [METRIC_SOLD_OUT_FAST] = {.name = "embedded_sold_out_without_transaction_total",
                              .type = RESV_METRIC_COUNTER,
                              .help = "Sold-out answers from committed facts in memory"},
    [METRIC_CHECKS] = {.name = "embedded_sold_out_checks_total",
                       .type = RESV_METRIC_COUNTER,
                       .help = "Looks at the rows before such an answer (key, or unseen member)"},
};

const struct resv_metric_table embedded_metrics = {
    .metrics = metrics,
    .count = sizeof metrics / sizeof metrics[0],
};

/* --- what the link says ----------------------------------------------------------------------- */

static void link_opened(void *data)
{
    struct embedded *embedded = data;
    resv_metric_set(embedded->host, &embedded_metrics, METRIC_QUEUE_MAX_OPERATIONS,
                    (int64_t)embedded->queue_max);
    resv_host_started(embedded->host);
}

static void link_open_failed(void *data, int exit_code, const char *message)
{
    struct embedded *embedded = data;
    resv_host_start_failed(embedded->host, exit_code, message);
}

static void link_writable_changed(void *data)
{
    struct embedded *embedded = data;
    facts_drop_concerts(&embedded->facts);
    embedded_schedule(embedded);
}

static void link_catalog_changed(void *data, int64_t concert_id)
{
    struct embedded *embedded = data;
    if (concert_id != 0) {
        facts_drop_concert(&embedded->facts, concert_id);
        return;
    }
    embedded->epoch++;
    facts_drop_concerts(&embedded->facts);
    facts_drop_members(&embedded->facts);
}

static void link_catalog_done(void *data)
{
    struct embedded *embedded = data;
    if (embedded->draining)
        embedded_schedule(embedded);
}

static void free_instance(struct embedded *embedded)
{
    for (size_t i = 0; i < BATCHES; i++) {
        free(embedded->batches[i].items);
        free(embedded->batches[i].concerts);
    }
    for (size_t i = 0; i < LOOKUPS; i++)
        free(embedded->lookups[i].items);
    free(embedded);
}

static void link_closed(void *data)
{
    struct embedded *embedded = data;
    struct resv_host *host = embedded->host;
    free_instance(embedded);
    resv_host_closed(host);
}

/* --- the seam --------------------------------------------------------------------------------- */

static bool allocate_messages(struct embedded *embedded)
{
    bool done = true;
    for (size_t i = 0; i < BATCHES; i++) {
        struct sqlite_batch *batch = &embedded->batches[i];
        batch->data = embedded;
        batch->done = embedded_batch_done;
        batch->items = calloc(embedded->batch_max, sizeof *batch->items);
        batch->concerts = calloc(embedded->batch_max, sizeof *batch->concerts);
        done = done && batch->items != NULL && batch->concerts != NULL;
    }
    for (size_t i = 0; i < LOOKUPS; i++) {
        struct sqlite_lookups *lookups = &embedded->lookups[i];
        lookups->data = embedded;
        lookups->done = embedded_lookups_done;
        lookups->items = calloc(LOOKUPS_MAX, sizeof *lookups->items);
        done = done && lookups->items != NULL;
    }
    return done;
}

static void drain_deadline(struct resv_timer *timer);

static int embedded_open(struct resv_host *host, void **instance)
{
    struct embedded *embedded = calloc(1, sizeof *embedded);
    if (embedded == NULL)
        goto failed;
    embedded->host = host;
    embedded->batch_max = (size_t)resv_option_integer(host, &embedded_options, OPTION_BATCH_MAX);
    embedded->queue_max = (size_t)resv_option_integer(host, &embedded_options, OPTION_QUEUE_MAX);
    embedded->flush = (struct resv_deferred){.run = embedded_flush, .data = embedded};
    embedded->drain_timer = (struct resv_timer){.fired = drain_deadline, .data = embedded};
    if (!allocate_messages(embedded))
        goto failed;
    const struct sqlite_link_config config = {
        .file = resv_option_string(host, &embedded_options, OPTION_FILE),
        .setting = "[strategy.embedded] file",
        .batch_max = embedded->batch_max,
        .catalog_max = CATALOG_MAX,
        .cache_bytes = resv_option_integer(host, &embedded_options, OPTION_CACHE_BYTES),
        .wal_max_bytes = resv_option_integer(host, &embedded_options, OPTION_WAL_MAX_BYTES),
    };
    const struct sqlite_link_events events = {
        .data = embedded,
        .opened = link_opened,
        .open_failed = link_open_failed,
        .writable_changed = link_writable_changed,
        .catalog_changed = link_catalog_changed,
        .catalog_done = link_catalog_done,
        .closed = link_closed,
    };
    embedded->link = sqlite_link_create(host, &config, &events);
    if (embedded->link == NULL)
        goto failed;
    *instance = embedded;
    return 0;
failed:
    if (embedded != NULL)
        free_instance(embedded);
    resv_host_start_failed(host, 1, "out of memory: lower [strategy.embedded] batch_max");
    return -ENOMEM;
}

static void embedded_start(void *instance)
{
    struct embedded *embedded = instance;
    sqlite_link_start(embedded->link);
}

static bool embedded_submit(void *instance, struct resv_op *op)
{
    struct embedded *embedded = instance;
    RESV_ASSERT(op->kind == RESV_OP_RESERVE || op->kind == RESV_OP_RELEASE ||
                op->kind == RESV_OP_LOOKUP);
    RESV_ASSERT(!embedded->draining);
    if (embedded_waiting(embedded) >= embedded->queue_max) {
        embedded->was_busy = true;
        return false;
    }
    *embedded_op_of(op) = (struct embedded_op){.place = PLACE_ELSEWHERE};
    embedded_move(embedded, op, op->kind == RESV_OP_LOOKUP ? PLACE_CHECKS : PLACE_ARRIVED);
    embedded_schedule(embedded);
    return true;
}

static struct resv_catalog *embedded_catalog(void *instance)
{
    struct embedded *embedded = instance;
    return sqlite_link_catalog(embedded->link);
}

static void embedded_cancel(void *instance, struct resv_op *op, enum resv_cancel_reason reason)
{
    (void)reason;
    struct embedded *embedded = instance;
    struct embedded_op *state = embedded_op_of(op);
    switch (state->place) {
    case PLACE_ARRIVED:
    case PLACE_QUEUE:
    case PLACE_CHECKS:
        state->answer = RESV_CANCELLED;
        embedded_move(embedded, op, PLACE_ANSWERS);
        embedded_schedule(embedded);
        break;
    case PLACE_READER: /* has only read so far */
        state->cancelled = true;
        break;
    case PLACE_WRITER:    /* its transaction ends as it ends */
    case PLACE_ANSWERS:   /* on its way */
    case PLACE_ELSEWHERE: /* the catalog's */
        break;
    }
}

static void drain_deadline(struct resv_timer *timer)
{
    struct embedded *embedded = timer->data;
    embedded_abandon(embedded);
    sqlite_link_interrupt(embedded->link);
    embedded_schedule(embedded);
}

static void embedded_drain(void *instance, uint64_t deadline_ns)
{
    struct embedded *embedded = instance;
    embedded->draining = true;
    uint64_t now_ns = resv_now_ns(embedded->host);
    uint64_t left_ms = deadline_ns > now_ns ? (deadline_ns - now_ns) / 1000000 : 0;
    resv_timer_start(embedded->host, &embedded->drain_timer, left_ms);
    embedded_schedule(embedded);
}

static void embedded_close(void *instance)
{
    struct embedded *embedded = instance;
    embedded->closing = true;
    resv_timer_stop(embedded->host, &embedded->drain_timer);
    resv_defer_cancel(embedded->host, &embedded->flush);
    sqlite_link_close(embedded->link);
}

static const struct resv_option_table *const option_tables[] = {&embedded_options, NULL};
static const struct resv_metric_table *const metric_tables[] = {&embedded_metrics,
                                                                &sqlite_link_metrics, NULL};

extern const struct resv_strategy resv_strategy_embedded;
const struct resv_strategy resv_strategy_embedded = {
    .name = "embedded",
    .summary = "one machine, no other server: durable sales into a file, many in one transaction",
    .store = "SQLite file",
    .option_tables = option_tables,
    .metric_tables = metric_tables,
    .op_private_size = sizeof(struct embedded_op),
    .open = embedded_open,
    .start = embedded_start,
    .submit = embedded_submit,
    .catalog = embedded_catalog,
    .cancel = embedded_cancel,
    .drain = embedded_drain,
    .close = embedded_close,
};
