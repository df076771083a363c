/* What every strategy on a database shares: its life, admission, and the count of what is under
 * way. */
#include "common/base.h"

#include <errno.h>
#include <stdlib.h>

#include "base_internal.h"
#include "resvd/assert.h"
#include "resvd/fault.h"

#define NS_PER_MS   1000000ULL
#define CATALOG_MAX 256                    /* catalog operations under way */
#define DOUBT_NS    (10000ULL * NS_PER_MS) /* behind the deadline: to find out what was taken */

/* --- metrics ----------------------------------------------------------------------------------
 */

static const struct resv_metric metrics[] = {
    [BASE_METRIC_DEADLOCKS] = {.name = "database_deadlocks_total",
                               .type = RESV_METRIC_COUNTER,
                               .help = "Transactions that the server ended for a deadlock"},
    [BASE_METRIC_LOCK_WAITS] = {.name = "database_lock_wait_timeouts_total",
                                .type = RESV_METRIC_COUNTER,
                                .help = "Transactions rolled back for a lock not had in time"},
    [BASE_METRIC_LOST] = {.name = "database_transactions_lost_total",
                          .type = RESV_METRIC_COUNTER,
                          .help = "Transactions whose connection was lost"},
    [BASE_METRIC_RESOLVED] = {.name = "database_commits_resolved_total",
                              .type = RESV_METRIC_COUNTER,
                              .help = "Commits without an answer of which the truth was found out"},
    [BASE_METRIC_CONTRADICTIONS] = {.name = "database_contradictions_total",
                                    .type = RESV_METRIC_COUNTER,
                                    .help = "Transactions refused by a constraint although what "
                                            "was read allowed them: see GET /admin/audit"},
    [BASE_METRIC_RELEASES] = {.name = "database_releases_total",
                              .type = RESV_METRIC_COUNTER,
                              .help = "Reservations cancelled, their seats given back"},
    [BASE_METRIC_LOOKUPS_JOINED] = {.name = "database_lookups_joined",
                                    .type = RESV_METRIC_HISTOGRAM_COUNT,
                                    .help = "Lookups that shared one read"},
};

const struct resv_metric_table base_metrics = {
    .metrics = metrics,
    .count = sizeof metrics / sizeof metrics[0],
    .title = "Transactions on a database",
};

static void show_one(struct base *base, enum base_metric metric, uint64_t counted, uint64_t *shown)
{
    if (counted == *shown)
        return;
    resv_metric_add(base->host, &base_metrics, metric, counted - *shown);
    *shown = counted;
}

static void show_counters(struct base *base)
{
    const struct work_counters *counters = &base->counters;
    show_one(base, BASE_METRIC_DEADLOCKS, counters->deadlocks, &base->shown.deadlocks);
    show_one(base, BASE_METRIC_LOCK_WAITS, counters->lock_waits, &base->shown.lock_waits);
    show_one(base, BASE_METRIC_LOST, counters->lost, &base->shown.lost);
    show_one(base, BASE_METRIC_RESOLVED, counters->resolved, &base->shown.resolved);
    show_one(base, BASE_METRIC_CONTRADICTIONS, counters->contradictions,
             &base->shown.contradictions);
}

/* --- lists and completions --------------------------------------------------------------------
 */

void base_list_append(struct base_op_list *list, struct resv_op *op)
{
    struct base_op *state = base_op_of(op);
    RESV_ASSERT(state->list == NULL);
    state->list = list;
    state->previous = list->last;
    op->strategy_next = NULL;
    if (list->last == NULL)
        list->first = op;
    else
        list->last->strategy_next = op;
    list->last = op;
    list->count++;
}

void base_list_remove(struct base_op_list *list, struct resv_op *op)
{
    struct base_op *state = base_op_of(op);
    RESV_ASSERT(state->list == list && list->count > 0);
    if (state->previous == NULL)
        list->first = op->strategy_next;
    else
        state->previous->strategy_next = op->strategy_next;
    if (op->strategy_next == NULL)
        list->last = state->previous;
    else
        base_op_of(op->strategy_next)->previous = state->previous;
    op->strategy_next = NULL;
    state->previous = NULL;
    state->list = NULL;
    list->count--;
}

void base_schedule(struct base *base)
{
    if (!base->closing)
        resv_defer(base->host, &base->flush);
}

void base_complete(struct base *base, struct resv_op *op, enum resv_outcome outcome)
{
    RESV_ASSERT(base_op_of(op)->list == NULL && base->under_way > 0);
    base->under_way--;
    show_counters(base);
    if (base->draining)
        base_schedule(base);
    resv_op_complete(base->host, op, outcome);
}

void base_complete_soon(struct base *base, struct resv_op *op, enum resv_outcome outcome)
{
    base_op_of(op)->answer = outcome;
    base_list_append(&base->answers, op);
    base_schedule(base);
}

/* Those that were there when the call began: a completion may bring new ones. */
static void give_answers(struct base *base)
{
    for (size_t left = base->answers.count; left > 0; left--) {
        struct resv_op *op = base->answers.first;
        base_list_remove(&base->answers, op);
        base_complete(base, op, base_op_of(op)->answer);
    }
}

/* --- the flush point --------------------------------------------------------------------------
 */

static bool idle(const struct base *base)
{
    return base->under_way == 0 && base_reads_idle(base) &&
           database_link_catalog_under_way(base->link) == 0 &&
           (base->plan->is_idle == NULL || base->plan->is_idle(base));
}

static void flush(struct resv_deferred *deferred)
{
    struct base *base = deferred->data;
    give_answers(base);
    base_reads_flush(base);
    if (base->draining && !base->drained && idle(base)) {
        base->drained = true;
        resv_timer_stop(base->host, &base->drain_timer);
        resv_host_drained(base->host);
    }
}

void base_idle_changed(struct base *base)
{
    if (base->draining)
        base_schedule(base);
}

void base_lookup(struct base *base, struct resv_op *op)
{
    base_reads_add(base, op);
}

/* --- operations with a work of their own ------------------------------------------------------
 */

void base_prepare_work(struct base *base, struct work *work, const struct resv_op *op,
                       const struct work_owner *owner)
{
    *work = (struct work){
        .host = base->host,
        .link = base->link,
        .owner = owner,
        .counters = &base->counters,
        .deadline_ns = op->deadline_ns,
        .doubt_ns = op->deadline_ns + DOUBT_NS,
    };
}

void base_work_start(struct base *base, struct resv_op *op, const struct work_owner *owner)
{
    struct base_op *state = base_op_of(op);
    state->works = true;
    base_list_append(&base->works, op);
    base_prepare_work(base, &state->work, op, owner);
    state->work.data = op;
    work_start(&state->work);
}

static void end_work(struct resv_op *op, enum resv_outcome outcome)
{
    struct base *base = base_op_of(op)->base;
    base_op_of(op)->works = false;
    base_list_remove(&base->works, op);
    base_complete(base, op, outcome);
}

void base_work_answer(struct work *work, enum resv_outcome outcome)
{
    work_finish(work);
    end_work(work->data, outcome);
}

bool base_is_promise(enum resv_outcome outcome)
{
    return (outcome == RESV_GRANTED && !RESV_FAULT(replay_without_sync)) ||
           (outcome == RESV_RELEASED && !RESV_FAULT(release_again_without_sync));
}

static void ready_to_answer(struct work *work, enum database_result result)
{
    RESV_ASSERT(result == DATABASE_DONE);
    const struct resv_op *op = work->data;
    base_work_answer(work, base_op_of(op)->answer);
}

static void answer_read(struct work *work, enum resv_outcome outcome, bool open)
{
    const struct resv_op *op = work->data;
    struct base_op *state = base_op_of(op);
    size_t count = 0;
    state->answer = outcome;
    if (open)
        state->steps[count++] = (struct database_step){.kind = DATABASE_ROLLBACK};
    if (base_is_promise(outcome))
        state->steps[count++] = (struct database_step){.kind = DATABASE_SYNC};
    if (count > 0)
        work_run(work, state->steps, count, ready_to_answer);
    else
        base_work_answer(work, outcome);
}

void base_work_answer_read(struct work *work, enum resv_outcome outcome)
{
    answer_read(work, outcome, false);
}

void base_work_refuse(struct work *work, enum resv_outcome outcome)
{
    answer_read(work, outcome, true);
}

void base_work_gave_up(struct work *work, enum resv_outcome outcome)
{
    end_work(work->data, outcome);
}

/* --- answers ----------------------------------------------------------------------------------
 */

enum resv_outcome base_answer_from_row(struct resv_op *op, const struct resv_reservation *row,
                                       bool in_doubt)
{
    bool same = row->concert_id == op->concert_id && row->member_id == op->member_id &&
                row->quantity == op->quantity;
    if (!same && !RESV_FAULT(replay_not_compared))
        return RESV_KEY_REUSED;
    op->reservation = *row;
    op->reservation.replay = !in_doubt;
    return RESV_GRANTED;
}

enum resv_outcome base_granted(struct resv_op *op)
{
    op->reservation = (struct resv_reservation){
        .concert_id = op->concert_id,
        .member_id = op->member_id,
        .quantity = op->quantity,
        .status = RESV_STATUS_CONFIRMED,
    };
    return RESV_GRANTED;
}

/* --- what the link says -----------------------------------------------------------------------
 */

static void link_opened(void *data)
{
    struct base *base = data;
    if (base->plan->opened != NULL)
        base->plan->opened(base);
    else
        resv_host_started(base->host);
}

static void link_open_failed(void *data, int exit_code, const char *message)
{
    struct base *base = data;
    resv_host_start_failed(base->host, exit_code, message);
}

static void link_up_changed(void *data)
{
    struct base *base = data;
    base_schedule(base); /* lookups that wait are answered while it is down */
    if (base->plan->up_changed != NULL)
        base->plan->up_changed(base);
}

static void link_catalog_changed(void *data, int64_t concert_id)
{
    struct base *base = data;
    if (base->plan->catalog_changed != NULL)
        base->plan->catalog_changed(base, concert_id);
}

static void link_catalog_answered(void *data, struct resv_op *op, enum resv_outcome outcome)
{
    struct base *base = data;
    base_op_of(op)->base = base;
    base->under_way++;
    base->plan->catalog_answered(base, op, outcome);
}

static void link_catalog_done(void *data)
{
    struct base *base = data;
    if (base->draining)
        base_schedule(base);
}

static void free_instance(struct base *base)
{
    if (base->plan->free != NULL)
        base->plan->free(base);
    base_reads_destroy(base);
    free(base);
}

static void link_closed(void *data)
{
    struct base *base = data;
    struct resv_host *host = base->host;
    free_instance(base);
    resv_host_closed(host);
}

/* --- the seam ---------------------------------------------------------------------------------
 */

static void drain_deadline(struct resv_timer *timer);

int base_open(struct resv_host *host, const struct base_plan *plan, void **instance)
{
    RESV_ASSERT(plan->size >= sizeof(struct base));
    struct base *base = calloc(1, plan->size);
    if (base == NULL)
        goto out_of_memory;
    base->host = host;
    base->plan = plan;
    base->rows_max = plan->rows_max;
    base->flush = (struct resv_deferred){.run = flush, .data = base};
    base->drain_timer = (struct resv_timer){.fired = drain_deadline, .data = base};
    if (!base_reads_create(base))
        goto out_of_memory;
    int error = plan->open != NULL ? plan->open(base) : 0;
    if (error != 0) {
        free_instance(base);
        return error;
    }
    const struct database_link_config config = {
        .isolation = plan->isolation,
        .rows_max = base->rows_max,
        .steps_max = base->steps_max,
        .catalog_max = CATALOG_MAX,
        .needs_procedure = base->needs_procedure,
        .may_be_away = plan->sells_without_database && resv_host_role(host) != RESV_ROLE_CONSUMER};
    const struct database_link_events events = {
        .data = base,
        .opened = link_opened,
        .open_failed = link_open_failed,
        .up_changed = link_up_changed,
        .catalog_answered = plan->catalog_answered != NULL ? link_catalog_answered : NULL,
        .catalog_changed = link_catalog_changed,
        .catalog_done = link_catalog_done,
        .closed = link_closed,
    };
    base->link = database_link_create(host, &config, &events);
    if (base->link == NULL) {
        free_instance(base); /* the link has said why */
        return -EINVAL;
    }
    *instance = base;
    return 0;
out_of_memory:
    if (base != NULL)
        free_instance(base);
    resv_host_start_failed(host, 1, "out of memory: lower [database] pool_max");
    return -ENOMEM;
}

void base_start(void *instance)
{
    struct base *base = instance;
    database_link_start(base->link);
}

bool base_submit(void *instance, struct resv_op *op)
{
    struct base *base = instance;
    struct base_op *state = base_op_of(op);
    RESV_ASSERT(!base->draining && !base->closing);
    state->base = base;
    base->under_way++;
    const bool sells = op->kind == RESV_OP_RESERVE && base->plan->sells_without_database;
    if (!sells && !database_link_is_up(base->link)) {
        base_complete_soon(base, op, RESV_UNAVAILABLE);
        return true;
    }
    if (op->kind == RESV_OP_RESERVE) {
        base->plan->reserve(base, op);
    } else if (op->kind == RESV_OP_RELEASE) {
        if (base->plan->release != NULL)
            base->plan->release(base, op);
        else
            base_release(base, op);
    } else {
        RESV_ASSERT(op->kind == RESV_OP_LOOKUP);
        base_reads_add(base, op);
    }
    return true;
}

struct resv_catalog *base_catalog(void *instance)
{
    struct base *base = instance;
    return database_link_catalog(base->link);
}

void base_cancel(void *instance, struct resv_op *op, enum resv_cancel_reason reason)
{
    struct base *base = instance;
    struct base_op *state = base_op_of(op);
    (void)reason;
    if (state->list == &base->answers)
        return; /* on its way */
    if (state->works) {
        if (!work_cancel(&state->work))
            return; /* it ends as is true */
        state->works = false;
        base_list_remove(&base->works, op);
        base_complete_soon(base, op, RESV_CANCELLED);
    } else if (op->kind == RESV_OP_LOOKUP) {
        if (base_reads_cancel(base, op))
            base_complete_soon(base, op, RESV_CANCELLED);
    } else if (op->kind == RESV_OP_RESERVE || op->kind == RESV_OP_RELEASE) {
        if (base->plan->cancel != NULL)
            base->plan->cancel(base, op);
    }
}

static void drain_deadline(struct resv_timer *timer)
{
    struct base *base = timer->data;
    base->abandoned = true;
    /* First the works, so that they know it when their runs return. */
    for (struct resv_op *op = base->works.first; op != NULL; op = op->strategy_next)
        work_abandon(&base_op_of(op)->work);
    base_reads_abandon(base);
    if (base->plan->abandon != NULL)
        base->plan->abandon(base);
    database_link_interrupt(base->link);
    base_schedule(base);
}

void base_drain(void *instance, uint64_t deadline_ns)
{
    struct base *base = instance;
    base->draining = true;
    if (base->plan->drain != NULL)
        base->plan->drain(base);
    uint64_t now_ns = resv_now_ns(base->host);
    uint64_t left_ms = deadline_ns > now_ns ? (deadline_ns - now_ns) / NS_PER_MS : 0;
    resv_timer_start(base->host, &base->drain_timer, left_ms);
    base_schedule(base);
}

void base_close(void *instance)
{
    struct base *base = instance;
    RESV_ASSERT(base->under_way == 0);
    base->closing = true;
    resv_timer_stop(base->host, &base->drain_timer);
    resv_defer_cancel(base->host, &base->flush);
    database_link_close(base->link);
}
