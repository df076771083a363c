/* The SQLite link on the loop: start, hand-over, what comes back, close.
 *
 *   CREATED --start--> STARTING --writer, then reader and scanner have opened--> OPEN
 *                          \--one of them could not--> FAILED
 *   any --close--> CLOSING: reader and scanner end, then the writer (the last connection to close
 *   checkpoints), then the async handle, then `closed`.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resvd/assert.h"
#include "sqlite_internal.h"

#define COMPONENT          "sqlite"
#define HEALTH_INTERVAL_NS 1000000000ULL

enum {
    METRIC_WRITABLE,
    METRIC_WAL_BYTES,
    METRIC_CHECKPOINTS,
    METRIC_CHECKPOINT_SECONDS,
};

static const struct resv_metric metrics[] = {
    [METRIC_WRITABLE] = {.name = "sqlite_writable",
                         .type = RESV_METRIC_GAUGE,
                         .help = "1 while transactions can be committed, else 0"},
    [METRIC_WAL_BYTES] = {.name = "sqlite_wal_bytes",
                          .type = RESV_METRIC_GAUGE,
                          .help = "Size of the write-ahead log in use"},
    [METRIC_CHECKPOINTS] = {.name = "sqlite_checkpoints_total",
                            .type = RESV_METRIC_COUNTER,
                            .help = "Times that the write-ahead log was moved into the file"},
    [METRIC_CHECKPOINT_SECONDS] = {.name = "sqlite_checkpoint_seconds",
                                   .type = RESV_METRIC_HISTOGRAM_SECONDS,
                                   .help = "How long a checkpoint took"},
};

const struct resv_metric_table sqlite_link_metrics = {
    .metrics = metrics,
    .count = sizeof metrics / sizeof metrics[0],
    .title = "SQLite file",
};

/* --- from the workers' threads ---------------------------------------------------------------- */

void sqlite_link_finished(struct sqlite_link *link, struct sqlite_message *message)
{
    message->next = NULL;
    pthread_mutex_lock(&link->mutex);
    if (link->last == NULL)
        link->first = message;
    else
        link->last->next = message;
    link->last = message;
    /* Inside the lock: when the loop has seen this message it may close the handle. */
    uv_async_send(&link->async);
    pthread_mutex_unlock(&link->mutex);
}

void sqlite_link_report(struct sqlite_link *link, const struct sqlite_writer_report *report)
{
    pthread_mutex_lock(&link->mutex);
    uint64_t unseen_ns = link->report.checkpoint_ns;
    link->report = *report;
    if (report->checkpoint_ns == 0)
        link->report.checkpoint_ns = unseen_ns;
    uv_async_send(&link->async);
    pthread_mutex_unlock(&link->mutex);
}

/* --- the loop --------------------------------------------------------------------------------- */

static void say_health(struct sqlite_link *link, uint64_t latency_ns)
{
    bool good = link->seen.state == SQLITE_WRITER_GOOD;
    resv_host_health(link->host, COMPONENT, good ? RESV_HEALTH_UP : RESV_HEALTH_DOWN, latency_ns,
                     good ? NULL : link->seen.detail);
    resv_metric_set(link->host, &sqlite_link_metrics, METRIC_WRITABLE, good);
    link->health_said_ns = resv_now_ns(link->host);
}

static bool state_is_writable(enum sqlite_writer_state state)
{
    switch (state) {
    case SQLITE_WRITER_GOOD:
    case SQLITE_WRITER_REFUSED:
        return true;
    case SQLITE_WRITER_UNTRUSTED:
    case SQLITE_WRITER_DAMAGED:
        return false;
    }
    return false;
}

static void log_state(struct sqlite_link *link)
{
    switch (link->seen.state) {
    case SQLITE_WRITER_GOOD:
        resv_log(link->host, RESV_LOG_INFO, "sqlite commits again", "file", link->writer.file.path,
                 NULL);
        break;
    case SQLITE_WRITER_REFUSED:
        resv_log(link->host, RESV_LOG_ERROR, "sqlite cannot commit", "detail", link->seen.detail,
                 "nothing_taken", "yes", NULL);
        break;
    case SQLITE_WRITER_UNTRUSTED:
        resv_log(link->host, RESV_LOG_ERROR, "sqlite failed half way", "detail", link->seen.detail,
                 "until", "the log has been checkpointed", NULL);
        break;
    case SQLITE_WRITER_DAMAGED:
        resv_log(link->host, RESV_LOG_ERROR, "sqlite file is damaged", "detail", link->seen.detail,
                 "until", "a restart with a repaired file", NULL);
        break;
    }
}

static void take_report(struct sqlite_link *link, const struct sqlite_writer_report *report)
{
    struct sqlite_writer_report before = link->seen;
    link->seen = *report;
    resv_metric_add(link->host, &sqlite_link_metrics, METRIC_CHECKPOINTS,
                    report->checkpoints - before.checkpoints);
    if (report->checkpoint_ns > 0)
        resv_metric_observe(link->host, &sqlite_link_metrics, METRIC_CHECKPOINT_SECONDS,
                            report->checkpoint_ns);
    if (before.state == report->state || link->state != SQLITE_LINK_OPEN)
        return;
    log_state(link);
    say_health(link, 0);
    if (state_is_writable(before.state) != state_is_writable(report->state))
        link->events.writable_changed(link->events.data);
}

static void take_finished(uv_async_t *async)
{
    struct sqlite_link *link = async->data;
    pthread_mutex_lock(&link->mutex);
    struct sqlite_message *message = link->first;
    link->first = link->last = NULL;
    struct sqlite_writer_report report = link->report;
    link->report.checkpoint_ns = 0;
    pthread_mutex_unlock(&link->mutex);
    take_report(link, &report);
    resv_metric_set(link->host, &sqlite_link_metrics, METRIC_WAL_BYTES,
                    atomic_load_explicit(&link->wal_bytes, memory_order_relaxed));
    while (message != NULL) {
        struct sqlite_message *next = message->next; /* its memory may be reused by the call */
        message->finished(link, message);
        message = next;
    }
}

bool sqlite_link_writable(const struct sqlite_link *link)
{
    return link->state == SQLITE_LINK_OPEN && state_is_writable(link->seen.state);
}

struct resv_catalog *sqlite_link_catalog(struct sqlite_link *link)
{
    return &link->catalog;
}

size_t sqlite_link_catalog_under_way(const struct sqlite_link *link)
{
    return link->catalog_under_way;
}

static void batch_finished(struct sqlite_link *link, struct sqlite_message *message)
{
    struct sqlite_batch *batch = (struct sqlite_batch *)message;
    if (batch->committed && link->state == SQLITE_LINK_OPEN &&
        resv_now_ns(link->host) - link->health_said_ns > HEALTH_INTERVAL_NS)
        say_health(link, batch->commit_ns);
    batch->done(batch);
}

void sqlite_link_apply(struct sqlite_link *link, struct sqlite_batch *batch)
{
    RESV_ASSERT(link->state == SQLITE_LINK_OPEN);
    RESV_ASSERT(batch->count >= 1 && batch->count <= link->config.batch_max);
    batch->message.run = sqlite_batch_run;
    batch->message.finished = batch_finished;
    sqlite_worker_post(&link->writer.worker, &batch->message);
}

static void lookups_finished(struct sqlite_link *link, struct sqlite_message *message)
{
    (void)link;
    struct sqlite_lookups *lookups = (struct sqlite_lookups *)message;
    lookups->done(lookups);
}

void sqlite_link_look_up(struct sqlite_link *link, struct sqlite_lookups *lookups)
{
    RESV_ASSERT(link->state == SQLITE_LINK_OPEN);
    lookups->message.run = sqlite_lookups_run;
    lookups->message.finished = lookups_finished;
    sqlite_worker_post(&link->reader.worker, &lookups->message);
}

void sqlite_link_interrupt(struct sqlite_link *link)
{
    atomic_store(&link->interrupted, true);
}

/* --- start ------------------------------------------------------------------------------------ */

static void open_failed(struct sqlite_link *link, int exit_code, const char *message)
{
    if (link->state != SQLITE_LINK_STARTING)
        return;
    link->state = SQLITE_LINK_FAILED;
    resv_host_health(link->host, COMPONENT, RESV_HEALTH_DOWN, 0, message);
    link->events.open_failed(link->events.data, exit_code, message);
}

static void start_worker(struct sqlite_link *link, struct sqlite_worker *worker)
{
    int error = sqlite_worker_start(worker);
    if (error == 0)
        return;
    char message[128];
    snprintf(message, sizeof message, "thread %s cannot be started: %s", worker->name,
             strerror(error));
    open_failed(link, SQLITE_EXIT_UNAVAILABLE, message);
}

static void opened(struct sqlite_link *link)
{
    link->state = SQLITE_LINK_OPEN;
    char version[24];
    snprintf(version, sizeof version, "%" PRId64, sqlite_schema_latest());
    resv_log(link->host, RESV_LOG_INFO, "sqlite opened", "file", link->writer.file.path, "schema",
             version, "after_crash", link->writer.file.unclean ? "yes" : "no", NULL);
    say_health(link, 0);
    link->events.opened(link->events.data);
}

static void worker_opened(struct sqlite_link *link, struct sqlite_message *message)
{
    struct sqlite_worker *worker =
        (void *)((char *)message - offsetof(struct sqlite_worker, opened_message));
    if (!worker->opened) {
        open_failed(link, worker->problem.exit_code, worker->problem.message);
        return;
    }
    link->workers_opened++;
    if (link->state != SQLITE_LINK_STARTING)
        return;
    if (worker == &link->writer.worker) {
        start_worker(link, &link->reader.worker);
        start_worker(link, &link->scanner.worker);
    } else if (link->workers_opened == 3) {
        opened(link);
    }
}

void sqlite_link_start(struct sqlite_link *link)
{
    RESV_ASSERT(link->state == SQLITE_LINK_CREATED);
    link->state = SQLITE_LINK_STARTING;
    resv_host_health(link->host, COMPONENT, RESV_HEALTH_STARTING, 0, NULL);
    link->writer.file.wall_ms = resv_wall_ms(link->host);
    int error = uv_async_init(resv_host_loop(link->host), &link->async, take_finished);
    if (error != 0) {
        open_failed(link, SQLITE_EXIT_UNAVAILABLE, uv_strerror(error));
        return;
    }
    link->async.data = link;
    link->async_open = true;
    start_worker(link, &link->writer.worker);
}

/* --- close ------------------------------------------------------------------------------------ */

static void free_link(struct sqlite_link *link)
{
    sqlite_worker_destroy(&link->scanner.worker);
    sqlite_worker_destroy(&link->reader.worker);
    sqlite_worker_destroy(&link->writer.worker);
    pthread_mutex_destroy(&link->mutex);
    sqlite_writer_destroy(&link->writer);
    free(link->catalog_messages);
    free(link);
}

static void finish_close(struct sqlite_link *link)
{
    struct sqlite_link_events events = link->events;
    free_link(link);
    events.closed(events.data);
}

static void async_closed(uv_handle_t *handle)
{
    finish_close(handle->data);
}

static void go_on_closing(struct sqlite_link *link)
{
    struct sqlite_worker *reader = &link->reader.worker, *scanner = &link->scanner.worker;
    if (reader->started)
        sqlite_worker_stop(reader);
    if (scanner->started)
        sqlite_worker_stop(scanner);
    if (reader->started || scanner->started)
        return;
    if (link->writer.worker.started) {
        sqlite_worker_stop(&link->writer.worker);
        return;
    }
    RESV_ASSERT(link->catalog_under_way == 0);
    if (link->async_open)
        uv_close((uv_handle_t *)&link->async, async_closed);
    else
        finish_close(link);
}

static void worker_ended(struct sqlite_link *link, struct sqlite_message *message)
{
    struct sqlite_worker *worker =
        (void *)((char *)message - offsetof(struct sqlite_worker, ended_message));
    /* Its last message was this one: it is returning. */
    pthread_join(worker->thread, NULL);
    worker->started = false;
    if (link->state == SQLITE_LINK_CLOSING)
        go_on_closing(link);
}

void sqlite_link_close(struct sqlite_link *link)
{
    RESV_ASSERT(link->state != SQLITE_LINK_CLOSING);
    link->state = SQLITE_LINK_CLOSING;
    sqlite_link_interrupt(link);
    go_on_closing(link);
}

/* --- create ----------------------------------------------------------------------------------- */

struct sqlite_link *sqlite_link_create(struct resv_host *host,
                                       const struct sqlite_link_config *config,
                                       const struct sqlite_link_events *events)
{
    RESV_ASSERT(config->batch_max >= 1 && config->batch_max <= 100000 && config->catalog_max >= 1);
    struct sqlite_link *link = calloc(1, sizeof *link);
    if (link == NULL)
        return NULL;
    link->host = host;
    link->config = *config;
    link->events = *events;
    sqlite_reader_init(&link->reader, link, "resvd-reader");
    sqlite_reader_init(&link->scanner, link, "resvd-scanner");
    struct sqlite_worker *workers[] = {&link->writer.worker, &link->reader.worker,
                                       &link->scanner.worker};
    size_t ready = 0;
    bool made = sqlite_writer_init(&link->writer, link) && sqlite_catalog_init(link) &&
                pthread_mutex_init(&link->mutex, NULL) == 0;
    if (!made)
        goto failed;
    for (; ready < sizeof workers / sizeof workers[0]; ready++) {
        if (!sqlite_worker_init(workers[ready])) {
            pthread_mutex_destroy(&link->mutex);
            goto failed;
        }
        workers[ready]->opened_message.finished = worker_opened;
        workers[ready]->ended_message.finished = worker_ended;
    }
    return link;
failed:
    while (ready > 0)
        sqlite_worker_destroy(workers[--ready]);
    sqlite_writer_destroy(&link->writer);
    free(link->catalog_messages);
    free(link);
    return NULL;
}
