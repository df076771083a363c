/* redlock: whoever has a concert's lock on a majority of Redis nodes sells, and what it writes
 * carries a fencing token.
 *
 * This file: the seam's functions, and the two links' life: Redis is opened first and closed last
 * but one, so that locks can be let go as long as there is work.
 *
 * The algorithm is that of "Distributed Locks with Redis" by Salvatore Sanfilippo and others; why
 * it is not trusted with more than it can keep is in Martin Kleppmann's "How to do distributed
 * locking" and Salvatore Sanfilippo's "Is Redlock safe?": lock.h and sale.c say what follows from
 * each, and where they are to be read.
 *
 * Invariant: a reservation is granted when the transaction with its row, its seats and its fence
 * has been committed, and only then; whatever becomes of locks, no more seats are sold than there
 * are.
 */
#include "redlock.h"

#include <errno.h>
#include <stdlib.h>

#include "resvd/assert.h"
#include "scripts.h"

enum {
    LOOKUP_ROWS_MAX = 512,
    EXIT_OUT_OF_MEMORY = 1,
};

static const struct redis_script *const scripts[] = {
    &redlock_acquire,
    &redlock_extend,
    &redlock_release,
    NULL,
};

/* The Redis link may be told to close when the instance is gone already: this is what it knows. */
struct redis_owner {
    struct redlock *redlock;
};

/* --- what the Redis link says -------------------------------------------------------------------
 */

static void redis_opened(void *data)
{
    const struct redis_owner *owner = data;
    base_start(owner->redlock);
}

static void redis_open_failed(void *data, int exit_code, const char *message)
{
    const struct redis_owner *owner = data;
    resv_host_start_failed(owner->redlock->base.host, exit_code, message);
}

/* Without a majority nobody who waits can be served: they hear it at once. Who has a lock goes on
 * for as long as it is valid. */
static void redis_node_changed(void *data, size_t node)
{
    const struct redis_owner *owner = data;
    (void)node;
    if (!lock_majority_is_up(&owner->redlock->lock_settings))
        line_refuse_all(owner->redlock, RESV_UNAVAILABLE);
}

static void redis_closed(void *data)
{
    struct redis_owner *owner = data;
    struct redlock *redlock = owner->redlock;
    free(owner);
    if (redlock == NULL)
        return;
    redlock->redis = NULL;
    redlock->redis_owner = NULL;
    base_close(redlock);
}

static bool open_redis(struct redlock *redlock)
{
    struct resv_host *host = redlock->base.host;
    const struct redis_link_config config = {
        .use = REDIS_LOCKS,
        .scripts = scripts,
        .calls_max = redlock->turns_count * LOCK_CALLS,
        .subscribes = true,
    };
    struct redis_owner *owner = calloc(1, sizeof *owner);
    if (owner == NULL) {
        resv_host_start_failed(host, EXIT_OUT_OF_MEMORY, "out of memory");
        return false;
    }
    const struct redis_link_events events = {
        .data = owner,
        .opened = redis_opened,
        .open_failed = redis_open_failed,
        .node_changed = redis_node_changed,
        .closed = redis_closed,
    };
    owner->redlock = redlock;
    redlock->redis = redis_link_create(host, &config, &events);
    if (redlock->redis == NULL) {
        free(owner); /* the link has said why */
        return false;
    }
    redlock->redis_owner = owner;
    redlock->lock_settings.redis = redlock->redis;
    return true;
}

/* --- what base asks for -------------------------------------------------------------------------
 */

static int open_redlock(struct base *base)
{
    struct redlock *redlock = (struct redlock *)base;
    size_t concerts_max;
    redlock->lock_settings.host = base->host;
    redlock->flush = (struct resv_deferred){.run = line_flush, .data = redlock};
    redlock->limit_timer = (struct resv_timer){.fired = line_limit_is_over, .data = redlock};
    if (!redlock_read_options(redlock, &concerts_max))
        return -EINVAL;
    if (redlock->handoff > base->rows_max)
        base->rows_max = redlock->handoff;
    if (!waiting_open(&redlock->waiting, concerts_max, sizeof(struct redlock_concert)) ||
        !turns_open(redlock)) {
        resv_host_start_failed(
            base->host, EXIT_OUT_OF_MEMORY,
            "out of memory: lower [strategy.redlock] handoff, locks_max or concerts_max");
        return -ENOMEM;
    }
    return open_redis(redlock) ? 0 : -EINVAL;
}

/* After a failed open, too: then the Redis link may be there, and goes by itself. */
static void free_redlock(struct base *base)
{
    struct redlock *redlock = (struct redlock *)base;
    resv_defer_cancel(base->host, &redlock->flush);
    resv_timer_stop(base->host, &redlock->limit_timer);
    if (redlock->redis_owner != NULL) {
        redlock->redis_owner->redlock = NULL;
        redis_link_close(redlock->redis);
    }
    turns_free(redlock);
    waiting_close(&redlock->waiting);
}

static void reserve(struct base *base, struct resv_op *op)
{
    line_add((struct redlock *)base, op);
}

static void cancel(struct base *base, struct resv_op *op)
{
    line_cancel((struct redlock *)base, op);
}

static void abandon(struct base *base)
{
    struct redlock *redlock = (struct redlock *)base;
    line_refuse_all(redlock, RESV_UNAVAILABLE);
    for (size_t i = 0; i < redlock->turns_count; i++) {
        if (redlock->turns[i].state == TURN_WORKING)
            sale_abandon(&redlock->turns[i]);
    }
}

static void catalog_changed(struct base *base, int64_t concert_id)
{
    struct redlock *redlock = (struct redlock *)base;
    if (concert_id != 0)
        hints_drop_concert(&redlock->hints, concert_id);
    else
        hints_drop_all(&redlock->hints);
}

static void up_changed(struct base *base)
{
    if (!database_link_is_up(base->link))
        line_refuse_all((struct redlock *)base, RESV_UNAVAILABLE);
}

static const struct base_plan plan = {
    .isolation = DATABASE_READ_COMMITTED,
    .rows_max = LOOKUP_ROWS_MAX,
    .size = sizeof(struct redlock),
    .retries = true,
    .open = open_redlock,
    .free = free_redlock,
    .reserve = reserve,
    .cancel = cancel,
    .abandon = abandon,
    .catalog_changed = catalog_changed,
    .up_changed = up_changed,
};

/* --- the seam -----------------------------------------------------------------------------------
 */

static int redlock_open(struct resv_host *host, void **instance)
{
    return base_open(host, &plan, instance);
}

static void redlock_start(void *instance)
{
    const struct redlock *redlock = instance;
    redis_link_start(redlock->redis);
}

/* Releases may still be under way: each has its own short time-out. */
static void redlock_close(void *instance)
{
    struct redlock *redlock = instance;
    RESV_ASSERT(redlock->limit_first == NULL);
    redlock->closing = true;
    resv_timer_stop(redlock->base.host, &redlock->limit_timer);
    line_schedule(redlock);
}

void redlock_close_goes_on(struct redlock *redlock)
{
    if (redlock->redis_closing || !turns_close(redlock))
        return;
    redlock->redis_closing = true;
    redis_link_close(redlock->redis);
}

static const struct resv_option_table *const option_tables[] = {&redlock_options, &redis_options,
                                                                &database_options, NULL};
static const struct resv_metric_table *const metric_tables[] = {
    &redlock_metrics, &base_metrics, &redis_metrics, &database_metrics, NULL};

extern const struct resv_strategy resv_strategy_redlock;
const struct resv_strategy resv_strategy_redlock = {
    .name = "redlock",
    .summary = "a lock for each concert on Redis nodes, and a fencing token in each write",
    .store = "Redis, and MariaDB or MySQL",
    .option_tables = option_tables,
    .metric_tables = metric_tables,
    .op_private_size = sizeof(struct redlock_op),
    .open = redlock_open,
    .start = redlock_start,
    .submit = base_submit,
    .catalog = base_catalog,
    .cancel = base_cancel,
    .drain = base_drain,
    .close = redlock_close,
};
