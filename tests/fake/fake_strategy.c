/* The fake strategy: no server, no file; scripted through what is asked of it (see fake_script.c).
 *
 * What has been decided is answered at the next deferred point. Drain waits for the timers of
 * scripts; what is held at the drain's deadline completes CANCELLED.
 */
#include "fake_strategy.h"

#include <errno.h>
#include <stdlib.h>

#include "fake_internal.h"
#include "resvd/assert.h"

enum { OPTION_START_DELAY_MS, OPTION_START_EXIT_CODE, OPTION_APPLY_DELAY_MS, OPTION_GATES };
static const struct resv_option options[] = {
    [OPTION_START_DELAY_MS] = {.key = "start_delay_ms",
                               .type = RESV_OPTION_INTEGER,
                               .default_text = "0",
                               .minimum = 0,
                               .maximum = 60000,
                               .unit = "ms",
                               .help = "How long the fake takes to be ready"},
    [OPTION_START_EXIT_CODE] = {.key = "start_exit_code",
                                .type = RESV_OPTION_INTEGER,
                                .default_text = "0",
                                .minimum = 0,
                                .maximum = 78,
                                .help = "Other than 0: start fails with it"},
    [OPTION_APPLY_DELAY_MS] = {.key = "apply_delay_ms",
                               .type = RESV_OPTION_INTEGER,
                               .default_text = "0",
                               .minimum = 0,
                               .maximum = 60000,
                               .unit = "ms",
                               .help = "fake_async: how long an event waits for its consumer"},
    [OPTION_GATES] = {.key = "gates",
                      .type = RESV_OPTION_BOOLEAN,
                      .default_text = "off",
                      .help = "fake_async: the first request for a concert is UNAVAILABLE and "
                              "opens it"},
};
static const struct resv_option_table option_table = {
    .section = "strategy.fake",
    .help = "Scripted strategy for tests",
    .options = options,
    .count = sizeof options / sizeof options[0],
};

static const struct resv_metric metrics[] = {
    [METRIC_COMPLETED] = {.name = "fake_completed_total",
                          .type = RESV_METRIC_COUNTER,
                          .help = "Operations completed, of all kinds"},
    [METRIC_RESERVE_TAKEN] = {.name = "fake_reserve_taken_total",
                              .type = RESV_METRIC_COUNTER,
                              .help = "RESERVE operations that submit took"},
    [METRIC_BUSY] = {.name = "fake_busy_total",
                     .type = RESV_METRIC_COUNTER,
                     .help = "Times that submit said busy"},
    [METRIC_CANCEL] = {.name = "fake_cancel_total",
                       .type = RESV_METRIC_COUNTER,
                       .help = "Calls of cancel"},
    [METRIC_GRANTED] = {.name = "fake_granted_total",
                        .type = RESV_METRIC_COUNTER,
                        .help = "Reservations granted, replays not counted"},
    [METRIC_HELD] = {.name = "fake_held_operations",
                     .type = RESV_METRIC_GAUGE,
                     .help = "Operations held by the script"},
};
const struct resv_metric_table fake_metric_table = {.metrics = metrics,
                                                    .count = sizeof metrics / sizeof metrics[0]};

/* --- completing ------------------------------------------------------------------------------- */

void fake_make_ready(struct fake *fake, struct resv_op *op)
{
    operation_of(op)->place = PLACE_READY;
    list_append(&fake->ready, op);
    resv_defer(fake->host, &fake->complete_ready);
}

void fake_force(struct resv_op *op, enum resv_outcome outcome)
{
    operation_of(op)->forced = outcome;
    operation_of(op)->is_forced = true;
}

void fake_count_held(struct fake *fake, int64_t change)
{
    fake->held_count += change;
    resv_metric_set(fake->host, &fake_metric_table, METRIC_HELD, fake->held_count);
}

static void say_drained_when_done(struct fake *fake)
{
    if (!fake->draining || fake->drained || fake->under_way > 0)
        return;
    fake->drained = true;
    resv_timer_stop(fake->host, &fake->drain_timer);
    resv_host_drained(fake->host);
}

static enum resv_outcome decide(struct fake *fake, struct resv_op *op)
{
    if (fake_is_script(fake, op))
        return fake_script_decide(fake, op);
    return fake->events != NULL ? fake_events_run(fake->events, op)
                                : fake_store_run(fake->store, op);
}

/* The consumer works in turns of its own: no row is there before it was promised. */
static void wake_consumer(struct fake *fake)
{
    if (fake->events == NULL || !fake_events_waiting(fake->events) ||
        fake->apply_timer.heap_index != 0 || resv_host_role(fake->host) == RESV_ROLE_API)
        return;
    int64_t delay_ms = resv_option_integer(fake->host, &option_table, OPTION_APPLY_DELAY_MS);
    resv_timer_start(fake->host, &fake->apply_timer, (uint64_t)delay_ms);
}

static void apply_events(struct resv_timer *timer)
{
    struct fake *fake = timer->data;
    fake_events_apply(fake->events, resv_wall_ms(fake->host));
}

static void run_complete_ready(struct resv_deferred *deferred)
{
    struct fake *fake = deferred->data;
    struct operation_list ready = fake->ready;
    fake->ready = (struct operation_list){0};
    uint64_t granted = 0;
    uint64_t completed = 0;
    uint64_t reserves_taken = fake->reserves_taken;
    fake->reserves_taken = 0;
    for (struct resv_op *op; (op = list_pop(&ready)) != NULL;) {
        enum resv_outcome outcome = decide(fake, op);
        granted += outcome == RESV_GRANTED && !op->reservation.replay;
        completed++;
        RESV_ASSERT(fake->under_way > 0);
        fake->under_way--;
        resv_op_complete(fake->host, op, outcome);
    }
    if (granted > 0)
        resv_metric_add(fake->host, &fake_metric_table, METRIC_GRANTED, granted);
    if (reserves_taken > 0)
        resv_metric_add(fake->host, &fake_metric_table, METRIC_RESERVE_TAKEN, reserves_taken);
    if (completed > 0)
        resv_metric_add(fake->host, &fake_metric_table, METRIC_COMPLETED, completed);
    wake_consumer(fake);
    say_drained_when_done(fake);
}

static bool fake_submit(void *instance, struct resv_op *op)
{
    struct fake *fake = instance;
    RESV_ASSERT(!fake->drained);
    bool script = fake_is_script(fake, op);
    if (script && fake_script_is_busy(fake, op)) {
        resv_metric_add(fake->host, &fake_metric_table, METRIC_BUSY, 1);
        return false;
    }
    fake->under_way++;
    operation_of(op)->fake = fake;
    if (op->kind == RESV_OP_RESERVE)
        fake->reserves_taken++; /* counted once a turn: cheap enough for benchmarks */
    resv_defer(fake->host, &fake->complete_ready);
    if (script && !fake_store_has_record(fake->store, op))
        fake_script_take(fake, op);
    else
        fake_make_ready(fake, op);
    return true;
}

static bool fake_catalog_submit(void *self, struct resv_op *op)
{
    return fake_submit(self, op);
}

static void fake_cancel(void *instance, struct resv_op *op, enum resv_cancel_reason reason)
{
    struct fake *fake = instance;
    (void)reason;
    resv_metric_add(fake->host, &fake_metric_table, METRIC_CANCEL, 1);
    if (operation_of(op)->place == PLACE_HELD)
        fake_script_cancel(fake, op);
}

/* --- life ------------------------------------------------------------------------------------- */

static void start_now(struct resv_timer *timer)
{
    struct fake *fake = timer->data;
    int64_t exit_code = resv_option_integer(fake->host, &option_table, OPTION_START_EXIT_CODE);
    if (exit_code != 0) {
        resv_host_start_failed(fake->host, (int)exit_code,
                               "[strategy.fake] start_exit_code says so");
        return;
    }
    resv_host_health(fake->host, "script", RESV_HEALTH_UP, 1000000, NULL);
    resv_host_started(fake->host);
}

static void drain_deadline(struct resv_timer *timer)
{
    struct fake *fake = timer->data;
    for (struct resv_op *op; (op = list_pop(&fake->held)) != NULL;) {
        fake_count_held(fake, -1);
        fake_force(op, RESV_CANCELLED);
        fake_make_ready(fake, op);
    }
    for (struct resv_op *op; (op = list_pop(&fake->timed)) != NULL;) {
        resv_timer_stop(fake->host, &operation_of(op)->timer);
        fake_force(op, RESV_CANCELLED);
        fake_make_ready(fake, op);
    }
    resv_defer(fake->host, &fake->complete_ready);
}

static int open_fake(struct resv_host *host, bool asynchronous, void **instance)
{
    struct fake *fake = calloc(1, sizeof *fake);
    if (fake == NULL)
        return -ENOMEM;
    bool gates = resv_option_boolean(host, &option_table, OPTION_GATES);
    fake->store = fake_store_create(asynchronous, asynchronous && gates);
    fake->events = asynchronous && fake->store != NULL ? fake_events_create(fake->store) : NULL;
    if (fake->store == NULL || (asynchronous && fake->events == NULL)) {
        fake_store_destroy(fake->store);
        free(fake);
        return -ENOMEM;
    }
    fake->host = host;
    fake->catalog = (struct resv_catalog){.self = fake, .submit = fake_catalog_submit};
    fake->complete_ready = (struct resv_deferred){.run = run_complete_ready, .data = fake};
    fake->start_timer = (struct resv_timer){.fired = start_now, .data = fake};
    fake->busy_timer = (struct resv_timer){.fired = fake_script_busy_over, .data = fake};
    fake->drain_timer = (struct resv_timer){.fired = drain_deadline, .data = fake};
    fake->apply_timer = (struct resv_timer){.fired = apply_events, .data = fake};
    *instance = fake;
    return 0;
}

static int fake_open(struct resv_host *host, void **instance)
{
    return open_fake(host, false, instance);
}

static int fake_async_open(struct resv_host *host, void **instance)
{
    return open_fake(host, true, instance);
}

static void fake_start(void *instance)
{
    struct fake *fake = instance;
    int64_t delay_ms = resv_option_integer(fake->host, &option_table, OPTION_START_DELAY_MS);
    resv_host_health(fake->host, "script", RESV_HEALTH_STARTING, 0, NULL);
    if (delay_ms > 0)
        resv_timer_start(fake->host, &fake->start_timer, (uint64_t)delay_ms);
    else
        start_now(&fake->start_timer);
}

static struct resv_catalog *fake_catalog(void *instance)
{
    return &((struct fake *)instance)->catalog;
}

static void fake_drain(void *instance, uint64_t deadline_ns)
{
    struct fake *fake = instance;
    uint64_t now_ns = resv_now_ns(fake->host);
    fake->draining = true;
    resv_timer_start(fake->host, &fake->drain_timer,
                     deadline_ns > now_ns ? (deadline_ns - now_ns) / 1000000 : 0);
    resv_defer(fake->host, &fake->complete_ready);
}

static void fake_close(void *instance)
{
    struct fake *fake = instance;
    struct resv_host *host = fake->host;
    RESV_ASSERT(fake->under_way == 0);
    resv_timer_stop(host, &fake->start_timer);
    resv_timer_stop(host, &fake->busy_timer);
    resv_timer_stop(host, &fake->drain_timer);
    resv_timer_stop(host, &fake->apply_timer);
    resv_defer_cancel(host, &fake->complete_ready);
    fake_events_destroy(fake->events);
    fake_store_destroy(fake->store);
    free(fake);
    resv_host_closed(host);
}

static const struct resv_option_table *const option_tables[] = {&option_table, NULL};
static const struct resv_metric_table *const metric_tables[] = {&fake_metric_table, NULL};

const struct resv_strategy resv_strategy_fake = {
    .name = "fake",
    .summary = "scripted answers for tests of everything above the seam",
    .store = "memory",
    .option_tables = option_tables,
    .metric_tables = metric_tables,
    .op_private_size = sizeof(struct operation),
    .open = fake_open,
    .start = fake_start,
    .submit = fake_submit,
    .catalog = fake_catalog,
    .cancel = fake_cancel,
    .drain = fake_drain,
    .close = fake_close,
};

const struct resv_strategy resv_strategy_fake_async = {
    .name = "fake_async",
    .summary = "the same, asynchronous",
    .store = "memory",
    .asynchronous = true,
    .option_tables = option_tables,
    .metric_tables = metric_tables,
    .op_private_size = sizeof(struct operation),
    .open = fake_async_open,
    .start = fake_start,
    .submit = fake_submit,
    .catalog = fake_catalog,
    .cancel = fake_cancel,
    .drain = fake_drain,
    .close = fake_close,
};
