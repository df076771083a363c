/* async: Redis takes the seat, Kafka makes it durable, a consumer writes the rows in batches.
 *
 * This file: the seam's functions, and the three links' life. They are opened in the order
 * database, Redis, Kafka, so that nothing comes from the log before there is somewhere to write it;
 * and closed in the opposite one.
 *
 * Invariant: the links are there from open until after `free_parts`; what they say of an instance
 * that has gone, because its opening failed half-way, reaches nobody. */
#include "async.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "resvd/assert.h"
#include "scripts.h"

enum {
    LOOKUP_ROWS_MAX = 512,
    CALLS_MAX = 4096,   /* of Redis, under way: of all files together */
    LETTERS_MAX = 256,  /* dead letters on their way */
    PAYLOAD_MAX = 2048, /* of events and of dead letters */
    BATCHES_FETCHED = 16,
    EXIT_OUT_OF_MEMORY = 1,
    EXIT_UNAVAILABLE = 69,
    EXIT_CONFIG = 78,
};

static const struct redis_script *const scripts[] = {
    &async_reserve,  &async_undo,    &async_probe,   &async_close,
    &async_complete, &async_numbers, &async_rebuild, &async_scan,
    &async_settle,   &async_sweep,   NULL,
};

/* A link may be told to close when the instance has gone already: this is what they know. */
struct async_links {
    struct async *async; /* NULL: gone */
    size_t open;         /* links that are there */
    char run_id[REDIS_RUN_ID_SIZE];
    /* The epoch is read at the start. */
    bool reads;
    struct work work;
    struct database_step step;
};

static void go_on_closing(struct async *async);

/* --- what is known ------------------------------------------------------------------------------
 */

void async_learn_epoch(struct async *async, int64_t epoch)
{
    if (epoch <= async->epoch)
        return;
    async->epoch = epoch;
    hints_drop_all(&async->hints);
}

void async_learn_token(struct async *async, struct redis_text token)
{
    RESV_ASSERT(token.bytes != NULL && token.size <= sizeof async->token);
    if (token.size == async->token_size && memcmp(token.bytes, async->token, token.size) == 0)
        return;
    memcpy(async->token, token.bytes, token.size);
    async->token_size = token.size;
    async->tokens++;
    stock_look_again(async);
}

void async_idle_changed(struct async *async)
{
    base_idle_changed(&async->base);
}

/* --- what the links say -------------------------------------------------------------------------
 */

static void open_failed(void *data, int exit_code, const char *message)
{
    const struct async_links *links = data;
    resv_host_start_failed(links->async->base.host, exit_code, message);
}

static void link_is_closed(struct async_links *links)
{
    struct async *async = links->async;
    links->open--;
    if (async != NULL)
        go_on_closing(async);
    else if (links->open == 0)
        free(links);
}

static void note_run_id(struct async_links *links)
{
    const char *run_id = redis_link_run_id(links->async->redis, 0);
    if (strcmp(run_id, links->run_id) == 0)
        return;
    strncpy(links->run_id, run_id, sizeof links->run_id - 1);
    links->async->redis_runs++;
}

static void redis_opened(void *data)
{
    struct async_links *links = data;
    note_run_id(links);
    kafka_link_start(links->async->kafka);
}

static void redis_node_changed(void *data, size_t node)
{
    struct async_links *links = data;
    if (!redis_link_node_is_up(links->async->redis, node))
        return;
    note_run_id(links);
    if (links->async->consumer != NULL)
        consumer_redis_is_up(links->async);
}

static void redis_closed(void *data)
{
    struct async_links *links = data;
    if (links->async != NULL)
        links->async->redis = NULL;
    link_is_closed(links);
}

static void kafka_opened(void *data)
{
    const struct async_links *links = data;
    struct async *async = links->async;
    if (async->consumer != NULL && !consumer_started(async)) {
        resv_host_start_failed(async->base.host, EXIT_OUT_OF_MEMORY, "out of memory");
        return;
    }
    resv_host_started(async->base.host);
}

/* What waits for Kafka is told by Kafka; what comes is refused by front.c. */
static void kafka_up_changed(void *data)
{
    (void)data;
}

static void kafka_assigned(void *data, int32_t partition)
{
    const struct async_links *links = data;
    consumer_assigned(links->async, partition);
}

static void kafka_revoked(void *data, int32_t partition)
{
    const struct async_links *links = data;
    consumer_revoked(links->async, partition);
}

static void kafka_arrived(void *data, int32_t partition)
{
    const struct async_links *links = data;
    consumer_arrived(links->async, partition);
}

static void kafka_gap(void *data, int32_t partition, int64_t first, int64_t end)
{
    const struct async_links *links = data;
    consumer_gap(links->async, partition, first, end);
}

static void kafka_end(void *data, int32_t partition, int64_t first, int64_t end)
{
    const struct async_links *links = data;
    consumer_end(links->async, partition, first, end);
}

static void kafka_closed(void *data)
{
    struct async_links *links = data;
    if (links->async != NULL)
        links->async->kafka = NULL;
    link_is_closed(links);
}

/* --- open ---------------------------------------------------------------------------------------
 */

static bool open_redis(struct async *async)
{
    const struct redis_link_config config = {
        .use = REDIS_STOCK, .scripts = scripts, .calls_max = CALLS_MAX, .subscribes = false};
    const struct redis_link_events events = {
        .data = async->links,
        .opened = redis_opened,
        .open_failed = open_failed,
        .node_changed = redis_node_changed,
        .closed = redis_closed,
    };
    async->redis = redis_link_create(async->base.host, &config, &events);
    async->links->open += async->redis != NULL;
    return async->redis != NULL;
}

static bool open_kafka(struct async *async)
{
    const struct kafka_link_config config = {
        .consumes = async->consumer != NULL,
        .events_max = async->events_max + PUBLISH_LOOSE_MAX + LETTERS_MAX,
        .payload_max = PAYLOAD_MAX,
        .records_max = async->batch_max * BATCHES_FETCHED,
    };
    const struct kafka_link_events events = {
        .data = async->links,
        .opened = kafka_opened,
        .open_failed = open_failed,
        .up_changed = kafka_up_changed,
        .assigned = kafka_assigned,
        .revoked = kafka_revoked,
        .arrived = kafka_arrived,
        .gap = kafka_gap,
        .end = kafka_end,
        .closed = kafka_closed,
    };
    async->kafka = kafka_link_create(async->base.host, &config, &events);
    async->links->open += async->kafka != NULL;
    return async->kafka != NULL;
}

static bool read_options(struct async *async)
{
    struct resv_host *host = async->base.host;
    async->batch_max = (size_t)resv_option_integer(host, &async_options, OPTION_BATCH_MAX);
    async->batch_wait_ms =
        (uint64_t)resv_option_integer(host, &async_options, OPTION_BATCH_WAIT_MS);
    async->events_max = (size_t)resv_option_integer(host, &async_options, OPTION_EVENTS_MAX);
    async->sweep_after_ms =
        (uint64_t)resv_option_integer(host, &async_options, OPTION_SWEEP_AFTER_MS);
    async->role = resv_host_role(host);
    if (async->batch_max > async->base.rows_max)
        async->base.rows_max = async->batch_max;
    async->base.steps_max = DATABASE_STEPS_MAX;
    if (async->batch_wait_ms < async->sweep_after_ms)
        return true;
    resv_host_start_failed(
        host, EXIT_CONFIG,
        "[strategy.async] batch_wait_ms must be below sweep_after_ms: what waits "
        "for its batch would be taken for lost");
    return false;
}

static bool open_parts(struct async *async)
{
    return known_open(async) && pending_open(async) && stock_open(async) && publish_open(async) &&
           gate_open(async) && admin_open(async) &&
           (async->role == RESV_ROLE_API || consumer_open(async));
}

static int open_async(struct base *base)
{
    struct async *async = (struct async *)base;
    if (!read_options(async))
        return -EINVAL;
    async->links = calloc(1, sizeof *async->links);
    if (async->links == NULL || !open_parts(async)) {
        resv_host_start_failed(base->host, EXIT_OUT_OF_MEMORY,
                               "out of memory: lower [strategy.async] concerts_max or batch_max");
        return -ENOMEM;
    }
    async->links->async = async;
    return open_redis(async) && open_kafka(async) ? 0 : -EINVAL;
}

static void free_parts(struct async *async)
{
    if (async->consumer != NULL)
        consumer_close(async);
    if (async->admin != NULL)
        admin_close(async);
    gate_close(async);
    publish_close(async);
    stock_close(async);
    pending_close(async);
    known_close(async);
}

/* After a failed open the links may be there, and go by themselves. */
static void free_async(struct base *base)
{
    struct async *async = (struct async *)base;
    struct async_links *links = async->links;
    struct redis_link *redis = async->redis;
    struct kafka_link *kafka = async->kafka;
    free_parts(async);
    if (links == NULL)
        return;
    links->async = NULL;
    links->open++; /* ours, until here is nothing more to close */
    if (kafka != NULL)
        kafka_link_close(kafka);
    if (redis != NULL)
        redis_link_close(redis);
    link_is_closed(links);
}

/* --- start --------------------------------------------------------------------------------------
 */

static void epoch_read(struct work *work, enum database_result result)
{
    struct async_links *links = work->data;
    RESV_ASSERT(result == DATABASE_DONE);
    work_finish(work);
    links->reads = false;
    async_learn_epoch(links->async, links->step.epoch.epoch);
    if (links->async->closing)
        go_on_closing(links->async);
    else
        redis_link_start(links->async->redis);
}

static void begin_to_read(struct work *work)
{
    struct async_links *links = work->data;
    links->step = (struct database_step){.kind = DATABASE_READ_EPOCH};
    work_run(work, &links->step, 1, epoch_read);
}

static void gave_up(struct work *work, enum resv_outcome outcome)
{
    struct async_links *links = work->data;
    (void)outcome;
    links->reads = false;
    if (links->async->closing)
        go_on_closing(links->async);
    else
        resv_host_start_failed(links->async->base.host, EXIT_UNAVAILABLE,
                               "the database was lost while its epoch was read: see [database]");
}

static const struct work_owner epoch_owner = {
    .begin = begin_to_read, .gave_up = gave_up, .pool = DATABASE_READS, .retries = true};

static void opened(struct base *base)
{
    struct async *async = (struct async *)base;
    struct async_links *links = async->links;
    links->reads = true;
    links->work = (struct work){
        .host = base->host,
        .link = base->link,
        .owner = &epoch_owner,
        .counters = &base->counters,
        .data = links,
        .deadline_ns = resv_host_start_deadline_ns(base->host),
        .doubt_ns = resv_host_start_deadline_ns(base->host),
    };
    work_start(&links->work);
}

/* --- what base asks for -------------------------------------------------------------------------
 */

static void drain(struct base *base)
{
    struct async *async = (struct async *)base;
    if (async->consumer != NULL)
        consumer_drain(async);
}

static bool is_idle(const struct base *base)
{
    const struct async *async = (const struct async *)base;
    return known_is_quiet(async) && publish_is_quiet(async) && admin_is_quiet(async) &&
           (async->consumer == NULL || consumer_is_quiet(async));
}

static void abandon(struct base *base)
{
    struct async *async = (struct async *)base;
    if (async->consumer != NULL)
        consumer_abandon(async);
    admin_abandon(async);
    front_abandon(base);
}

static void catalog_answered(struct base *base, struct resv_op *op, enum resv_outcome outcome)
{
    admin_answered((struct async *)base, op, outcome);
}

static void catalog_changed(struct base *base, int64_t concert_id)
{
    struct async *async = (struct async *)base;
    if (concert_id != 0)
        hints_drop_concert(&async->hints, concert_id);
    else
        hints_drop_all(&async->hints);
}

static const struct base_plan plan = {
    .isolation = DATABASE_READ_COMMITTED,
    .rows_max = LOOKUP_ROWS_MAX,
    .size = sizeof(struct async),
    .retries = true,
    .open = open_async,
    .free = free_async,
    .reserve = front_reserve,
    .cancel = front_cancel,
    .sells_without_database = true,
    .release = front_release,
    .lookup_missed = front_lookup_missed,
    .opened = opened,
    .drain = drain,
    .is_idle = is_idle,
    .abandon = abandon,
    .catalog_answered = catalog_answered,
    .catalog_changed = catalog_changed,
};

/* --- the seam -----------------------------------------------------------------------------------
 */

static int seam_open(struct resv_host *host, void **instance)
{
    return base_open(host, &plan, instance);
}

/* One after the other; the last is base's. */
static void go_on_closing(struct async *async)
{
    if (async->links->reads)
        return; /* it ends first */
    if (async->kafka != NULL)
        kafka_link_close(async->kafka);
    else if (async->redis != NULL)
        redis_link_close(async->redis);
    else
        base_close(async);
}

static void seam_close(void *instance)
{
    struct async *async = instance;
    async->closing = true;
    free_parts(async);
    if (async->links->reads)
        work_abandon(&async->links->work);
    go_on_closing(async);
}

static const struct resv_option_table *const option_tables[] = {
    &async_options, &redis_options, &kafka_options, &database_options, NULL};
static const struct resv_metric_table *const metric_tables[] = {
    &async_metrics, &base_metrics, &redis_metrics, &kafka_metrics, &database_metrics, NULL};

extern const struct resv_strategy resv_strategy_async;
const struct resv_strategy resv_strategy_async = {
    .name = "async",
    .summary = "one atomic step in Redis, the answer when Kafka has the event, rows in batches",
    .store = "Redis, Kafka, and MariaDB or MySQL",
    .asynchronous = true,
    .option_tables = option_tables,
    .metric_tables = metric_tables,
    .op_private_size = sizeof(struct async_op),
    .open = seam_open,
    .start = base_start,
    .submit = base_submit,
    .catalog = admin_catalog,
    .cancel = base_cancel,
    .drain = base_drain,
    .close = seam_close,
};
