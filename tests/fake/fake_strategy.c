/* The fake strategy: no server, no file; scripted through what is asked of it.
 *
 * Tests of the layers above drive it with nothing but requests: no side channel, no sleeps. What a
 * RESERVE does follows from its concertId:
 *
 *   id          what happens
 *   ---------   ------------------------------------------------------------------------------
 *   any concert of the catalog (1..10 from the start, with members 1..1000; see fake_store.h):
 *               decided at the next deferred point, exactly: capacity, member limit, replays,
 *               unknown concert or member
 *   1           the same, but as long as nothing was reset its unkeyed reservations are counted
 *               and not remembered: GET of them is 404. For benchmarks
 *   the numbers below, unless a reset has made concerts with them:
 *   100         GRANTED after `quantity` milliseconds
 *   101         held until somebody asks for 102 or 103, then GRANTED; cancel is ignored
 *   102         releases all that is held (101, 104, 105, 106), in the order it was asked: 101,
 *               105 and 106 GRANTED, 104 CANCELLED; then is GRANTED itself
 *   103         the same in reverse order; it is GRANTED itself before them
 *   104         held; completes CANCELLED once cancelled
 *   105         held, also after cancel, until 102 or 103
 *   106         held; cancel loses the race: completes GRANTED once cancelled
 *   107         held; completes UNKNOWN once cancelled
 *   110..120    GRANTED, ACCEPTED, SOLD_OUT, LIMIT, CONTENDED, CANCELLED, UNAVAILABLE, UNKNOWN,
 *               UNKNOWN_CONCERT, UNKNOWN_MEMBER, KEY_REUSED at the next deferred point; members
 *               are not looked at
 *   121         submit says busy, for `quantity` milliseconds after it said so first; then GRANTED
 *   122         submit says busy while anything is held; then GRANTED
 *   124, 125    health of the component "script" goes DOWN, UP; then GRANTED
 *   others      UNKNOWN_CONCERT
 *
 * What was GRANTED (or ACCEPTED: PENDING) is remembered, with its Idempotency-Key or without, and
 * found by LOOKUP, RELEASE and replays: a replay is answered at the next deferred point. All other
 * kinds are answered at the next deferred point from the store in memory.
 *
 * Drain waits for the timers of 100; what is held at the drain's deadline completes CANCELLED.
 */
#include "fake_strategy.h"

#include <errno.h>
#include <stdlib.h>

#include "fake_store.h"
#include "resvd/assert.h"

enum script {
    SCRIPT_LATER = 100,
    SCRIPT_HELD = 101,
    SCRIPT_RELEASE_IN_ORDER = 102,
    SCRIPT_RELEASE_REVERSED = 103,
    SCRIPT_HELD_CANCELLABLE = 104,
    SCRIPT_HELD_STUBBORN = 105,
    SCRIPT_HELD_RACED = 106,
    SCRIPT_HELD_UNKNOWN = 107,
    SCRIPT_OUTCOME_FIRST = 110,
    SCRIPT_BUSY_FOR_A_TIME = 121,
    SCRIPT_BUSY_WHILE_HELD = 122,
    SCRIPT_HEALTH_DOWN = 124,
    SCRIPT_HEALTH_UP = 125,
};

static const enum resv_outcome scripted_outcomes[] = {
    RESV_GRANTED,         RESV_ACCEPTED,       RESV_SOLD_OUT,    RESV_LIMIT,
    RESV_CONTENDED,       RESV_CANCELLED,      RESV_UNAVAILABLE, RESV_UNKNOWN,
    RESV_UNKNOWN_CONCERT, RESV_UNKNOWN_MEMBER, RESV_KEY_REUSED,
};
#define SCRIPTED_OUTCOMES (sizeof scripted_outcomes / sizeof scripted_outcomes[0])

enum { OPTION_START_DELAY_MS, OPTION_START_EXIT_CODE };
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
};
static const struct resv_option_table option_table = {
    .section = "strategy.fake",
    .help = "Scripted strategy for tests",
    .options = options,
    .count = sizeof options / sizeof options[0],
};

enum {
    METRIC_COMPLETED,
    METRIC_RESERVE_TAKEN,
    METRIC_BUSY,
    METRIC_CANCEL,
    METRIC_GRANTED,
    METRIC_HELD
};
static const struct resv_metric metrics[] = {
    [METRIC_COMPLETED] = {"fake_completed_total", RESV_METRIC_COUNTER,
                          "Operations completed, of all kinds"},
    [METRIC_RESERVE_TAKEN] = {"fake_reserve_taken_total", RESV_METRIC_COUNTER,
                              "RESERVE operations that submit took"},
    [METRIC_BUSY] = {"fake_busy_total", RESV_METRIC_COUNTER, "Times that submit said busy"},
    [METRIC_CANCEL] = {"fake_cancel_total", RESV_METRIC_COUNTER, "Calls of cancel"},
    [METRIC_GRANTED] = {"fake_granted_total", RESV_METRIC_COUNTER,
                        "Reservations granted, replays not counted"},
    [METRIC_HELD] = {"fake_held_operations", RESV_METRIC_GAUGE, "Operations held by the script"},
};
static const struct resv_metric_table metric_table = {.metrics = metrics,
                                                      .count = sizeof metrics / sizeof metrics[0]};

enum operation_place { PLACE_READY, PLACE_TIMER, PLACE_HELD };

struct fake;

struct operation {
    struct fake *fake;
    enum operation_place place;
    struct resv_timer timer; /* SCRIPT_LATER */
    enum resv_outcome forced;
    bool is_forced; /* cancelled by script or at the end of drain: the outcome is `forced` */
};

struct operation_list {
    struct resv_op *first;
    struct resv_op *last;
};

struct fake {
    struct resv_host *host;
    struct fake_store *store;
    struct resv_catalog catalog;
    struct operation_list ready; /* completed at the next deferred point */
    struct operation_list held;  /* in the order they were asked */
    struct operation_list timed; /* SCRIPT_LATER */
    struct resv_deferred complete_ready;
    struct resv_timer start_timer;
    struct resv_timer busy_timer;
    struct resv_timer drain_timer;
    size_t under_way;
    uint64_t reserves_taken; /* since the last deferred point */
    int64_t held_count;
    bool busy_over; /* the timer of SCRIPT_BUSY_FOR_A_TIME has fired: the next one is taken */
    bool draining;
    bool drained;
};

/* --- lists ------------------------------------------------------------------------------------ */

static struct operation *operation_of(const struct resv_op *op)
{
    return op->strategy_private;
}

static void list_append(struct operation_list *list, struct resv_op *op)
{
    op->strategy_next = NULL;
    if (list->last == NULL)
        list->first = op;
    else
        list->last->strategy_next = op;
    list->last = op;
}

static void list_prepend(struct operation_list *list, struct resv_op *op)
{
    op->strategy_next = list->first;
    list->first = op;
    if (list->last == NULL)
        list->last = op;
}

static struct resv_op *list_pop(struct operation_list *list)
{
    struct resv_op *op = list->first;
    if (op == NULL)
        return NULL;
    list->first = op->strategy_next;
    if (list->first == NULL)
        list->last = NULL;
    op->strategy_next = NULL;
    return op;
}

static void list_remove(struct operation_list *list, struct resv_op *op)
{
    struct resv_op *previous = NULL;
    for (struct resv_op *at = list->first; at != op; at = at->strategy_next) {
        RESV_ASSERT(at != NULL);
        previous = at;
    }
    if (previous == NULL)
        list->first = op->strategy_next;
    else
        previous->strategy_next = op->strategy_next;
    if (list->last == op)
        list->last = previous;
    op->strategy_next = NULL;
}

/* --- completing ------------------------------------------------------------------------------- */

static void make_ready(struct fake *fake, struct resv_op *op)
{
    operation_of(op)->place = PLACE_READY;
    list_append(&fake->ready, op);
    resv_defer(fake->host, &fake->complete_ready);
}

static void force(struct resv_op *op, enum resv_outcome outcome)
{
    operation_of(op)->forced = outcome;
    operation_of(op)->is_forced = true;
}

static void count_held(struct fake *fake, int64_t change)
{
    fake->held_count += change;
    resv_metric_set(fake->host, &metric_table, METRIC_HELD, fake->held_count);
}

static bool is_script(const struct fake *fake, const struct resv_op *op)
{
    return op->kind == RESV_OP_RESERVE && op->concert_id >= FAKE_SCRIPT_FIRST &&
           op->concert_id <= FAKE_SCRIPT_LAST &&
           !fake_store_has_concert(fake->store, op->concert_id);
}

static enum resv_outcome decide_script(struct fake *fake, struct resv_op *op)
{
    enum resv_outcome outcome = RESV_GRANTED;
    int64_t position = op->concert_id - SCRIPT_OUTCOME_FIRST;
    if (operation_of(op)->is_forced)
        outcome = operation_of(op)->forced;
    else if (position >= 0 && position < (int64_t)SCRIPTED_OUTCOMES)
        outcome = scripted_outcomes[position];
    else if (op->concert_id > SCRIPT_HEALTH_UP || op->concert_id == 108 || op->concert_id == 109 ||
             op->concert_id == 123)
        outcome = RESV_UNKNOWN_CONCERT;
    /* UNKNOWN: "the write was sent, its answer lost"; here the write did arrive. */
    if (outcome == RESV_UNKNOWN)
        fake_store_run_scripted(fake->store, op, RESV_GRANTED);
    if (outcome == RESV_GRANTED || outcome == RESV_ACCEPTED)
        outcome = fake_store_run_scripted(fake->store, op, outcome);
    return outcome;
}

static void say_drained_when_done(struct fake *fake)
{
    if (!fake->draining || fake->drained || fake->under_way > 0)
        return;
    fake->drained = true;
    resv_timer_stop(fake->host, &fake->drain_timer);
    resv_host_drained(fake->host);
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
        enum resv_outcome outcome =
            is_script(fake, op) ? decide_script(fake, op) : fake_store_run(fake->store, op);
        granted += outcome == RESV_GRANTED && !op->reservation.replay;
        completed++;
        RESV_ASSERT(fake->under_way > 0);
        fake->under_way--;
        resv_op_complete(fake->host, op, outcome);
    }
    if (granted > 0)
        resv_metric_add(fake->host, &metric_table, METRIC_GRANTED, granted);
    if (reserves_taken > 0)
        resv_metric_add(fake->host, &metric_table, METRIC_RESERVE_TAKEN, reserves_taken);
    if (completed > 0)
        resv_metric_add(fake->host, &metric_table, METRIC_COMPLETED, completed);
    say_drained_when_done(fake);
}

static void later_fired(struct resv_timer *timer)
{
    struct resv_op *op = timer->data;
    struct fake *fake = operation_of(op)->fake;
    list_remove(&fake->timed, op);
    make_ready(fake, op);
}

/* --- the script at submit --------------------------------------------------------------------- */

static void hold(struct fake *fake, struct resv_op *op)
{
    operation_of(op)->place = PLACE_HELD;
    list_append(&fake->held, op);
    count_held(fake, 1);
}

static void let_go(struct fake *fake, struct resv_op *op)
{
    list_remove(&fake->held, op);
    count_held(fake, -1);
    make_ready(fake, op);
    if (fake->held_count == 0)
        resv_host_ready_for_more(fake->host);
}

static void release_held(struct fake *fake, struct resv_op *asker, bool reversed)
{
    struct operation_list taken = {0};
    for (struct resv_op *op; (op = list_pop(&fake->held)) != NULL;) {
        if (op->concert_id == SCRIPT_HELD_CANCELLABLE)
            force(op, RESV_CANCELLED);
        if (reversed)
            list_prepend(&taken, op);
        else
            list_append(&taken, op);
        count_held(fake, -1);
    }
    if (reversed)
        list_prepend(&taken, asker);
    else
        list_append(&taken, asker);
    for (struct resv_op *op; (op = list_pop(&taken)) != NULL;)
        make_ready(fake, op);
    resv_host_ready_for_more(fake->host);
}

static void busy_over(struct resv_timer *timer)
{
    struct fake *fake = timer->data;
    fake->busy_over = true;
    resv_host_ready_for_more(fake->host);
}

static bool is_busy(struct fake *fake, const struct resv_op *op)
{
    if (op->concert_id == SCRIPT_BUSY_WHILE_HELD)
        return fake->held_count > 0;
    if (op->concert_id != SCRIPT_BUSY_FOR_A_TIME)
        return false;
    if (fake->busy_over) {
        fake->busy_over = false;
        return false;
    }
    if (fake->busy_timer.heap_index == 0)
        resv_timer_start(fake->host, &fake->busy_timer, (uint64_t)op->quantity);
    return true;
}

static void take_script(struct fake *fake, struct resv_op *op)
{
    switch (op->concert_id) {
    case SCRIPT_LATER:
        operation_of(op)->place = PLACE_TIMER;
        operation_of(op)->timer.fired = later_fired;
        operation_of(op)->timer.data = op;
        list_append(&fake->timed, op);
        resv_timer_start(fake->host, &operation_of(op)->timer, (uint64_t)op->quantity);
        break;
    case SCRIPT_HELD:
    case SCRIPT_HELD_CANCELLABLE:
    case SCRIPT_HELD_STUBBORN:
    case SCRIPT_HELD_RACED:
    case SCRIPT_HELD_UNKNOWN:
        hold(fake, op);
        break;
    case SCRIPT_RELEASE_IN_ORDER:
    case SCRIPT_RELEASE_REVERSED:
        release_held(fake, op, op->concert_id == SCRIPT_RELEASE_REVERSED);
        break;
    case SCRIPT_HEALTH_DOWN:
        resv_host_health(fake->host, "script", RESV_HEALTH_DOWN, 0, "scripted");
        make_ready(fake, op);
        break;
    case SCRIPT_HEALTH_UP:
        resv_host_health(fake->host, "script", RESV_HEALTH_UP, 1000000, NULL);
        make_ready(fake, op);
        break;
    default:
        make_ready(fake, op);
        break;
    }
}

static bool fake_submit(void *instance, struct resv_op *op)
{
    struct fake *fake = instance;
    RESV_ASSERT(!fake->drained);
    bool script = is_script(fake, op);
    if (script && is_busy(fake, op)) {
        resv_metric_add(fake->host, &metric_table, METRIC_BUSY, 1);
        return false;
    }
    fake->under_way++;
    operation_of(op)->fake = fake;
    if (op->kind == RESV_OP_RESERVE)
        fake->reserves_taken++; /* counted once a turn: cheap enough for benchmarks */
    resv_defer(fake->host, &fake->complete_ready);
    if (script && !fake_store_has_record(fake->store, op))
        take_script(fake, op);
    else
        make_ready(fake, op);
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
    resv_metric_add(fake->host, &metric_table, METRIC_CANCEL, 1);
    if (operation_of(op)->place != PLACE_HELD)
        return;
    switch (op->concert_id) {
    case SCRIPT_HELD_CANCELLABLE:
        force(op, RESV_CANCELLED);
        let_go(fake, op);
        break;
    case SCRIPT_HELD_RACED:
        let_go(fake, op);
        break;
    case SCRIPT_HELD_UNKNOWN:
        force(op, RESV_UNKNOWN);
        let_go(fake, op);
        break;
    default:
        break;
    }
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
        count_held(fake, -1);
        force(op, RESV_CANCELLED);
        make_ready(fake, op);
    }
    for (struct resv_op *op; (op = list_pop(&fake->timed)) != NULL;) {
        resv_timer_stop(fake->host, &operation_of(op)->timer);
        force(op, RESV_CANCELLED);
        make_ready(fake, op);
    }
    resv_defer(fake->host, &fake->complete_ready);
}

static int fake_open(struct resv_host *host, void **instance)
{
    struct fake *fake = calloc(1, sizeof *fake);
    if (fake == NULL)
        return -ENOMEM;
    fake->store = fake_store_create();
    if (fake->store == NULL) {
        free(fake);
        return -ENOMEM;
    }
    fake->host = host;
    fake->catalog = (struct resv_catalog){.self = fake, .submit = fake_catalog_submit};
    fake->complete_ready = (struct resv_deferred){.run = run_complete_ready, .data = fake};
    fake->start_timer = (struct resv_timer){.fired = start_now, .data = fake};
    fake->busy_timer = (struct resv_timer){.fired = busy_over, .data = fake};
    fake->drain_timer = (struct resv_timer){.fired = drain_deadline, .data = fake};
    *instance = fake;
    return 0;
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
    resv_defer_cancel(host, &fake->complete_ready);
    fake_store_destroy(fake->store);
    free(fake);
    resv_host_closed(host);
}

static const struct resv_option_table *const option_tables[] = {&option_table, NULL};
static const struct resv_metric_table *const metric_tables[] = {&metric_table, NULL};

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
