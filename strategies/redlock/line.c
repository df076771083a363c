/* Who waits for which lock, and until when.
 *
 * Invariants: an operation that waits (in its concert's line, or without the lock in a turn's
 * group) is in the list of limits, and no other is; that list is in order of arrival, so its first
 * is the next whose wait is over; every answer is given at the flush point, once. */
#include "redlock.h"
#include "resvd/assert.h"
#include "resvd/fault.h"

void line_schedule(struct redlock *redlock)
{
    resv_defer(redlock->base.host, &redlock->flush);
}

/* --- limits -------------------------------------------------------------------------------------
 */

static uint64_t limit_ns(const struct redlock *redlock, const struct resv_op *op)
{
    return redlock_op_of(op)->since_ns + redlock->wait_ms * REDLOCK_NS_PER_MS;
}

static void arm_limit(struct redlock *redlock)
{
    const uint64_t now_ns = resv_now_ns(redlock->base.host);
    if (redlock->limit_first == NULL || redlock->limit_timer.heap_index != 0 ||
        RESV_FAULT(limit_not_watched))
        return;
    const uint64_t due_ns = limit_ns(redlock, redlock->limit_first);
    const uint64_t left_ns = due_ns > now_ns ? due_ns - now_ns : 0;
    resv_timer_start(redlock->base.host, &redlock->limit_timer,
                     (left_ns + REDLOCK_NS_PER_MS - 1) / REDLOCK_NS_PER_MS);
}

static void insert_before(struct redlock *redlock, struct resv_op *op, struct resv_op *next)
{
    struct redlock_op *state = redlock_op_of(op);
    struct resv_op *previous =
        next == NULL ? redlock->limit_last : redlock_op_of(next)->limit_previous;
    RESV_ASSERT(!state->limited);
    state->limited = true;
    state->limit_next = next;
    state->limit_previous = previous;
    if (previous == NULL)
        redlock->limit_first = op;
    else
        redlock_op_of(previous)->limit_next = op;
    if (next == NULL)
        redlock->limit_last = op;
    else
        redlock_op_of(next)->limit_previous = op;
    arm_limit(redlock);
}

/* The timer stays: when it fires too early, it is set anew. */
void line_wait_no_more(struct redlock *redlock, struct resv_op *op)
{
    struct redlock_op *state = redlock_op_of(op);
    RESV_ASSERT(state->limited);
    state->limited = false;
    if (state->limit_previous == NULL)
        redlock->limit_first = state->limit_next;
    else
        redlock_op_of(state->limit_previous)->limit_next = state->limit_next;
    if (state->limit_next == NULL)
        redlock->limit_last = state->limit_previous;
    else
        redlock_op_of(state->limit_next)->limit_previous = state->limit_previous;
    state->limit_next = state->limit_previous = NULL;
}

/* It came before nearly all that wait. */
void line_wait_again(struct turn *turn, struct resv_op *op)
{
    struct resv_op *next = turn->redlock->limit_first;
    while (next != NULL && redlock_op_of(next)->since_ns <= redlock_op_of(op)->since_ns)
        next = redlock_op_of(next)->limit_next;
    insert_before(turn->redlock, op, next);
}

/* --- answers ------------------------------------------------------------------------------------
 */

void line_answer(struct turn *turn, struct request *request, enum resv_outcome outcome)
{
    struct redlock *redlock = turn->redlock;
    struct resv_op *op = request->op;
    if (redlock_op_of(op)->limited)
        line_wait_no_more(redlock, op);
    waiting_answer(&redlock->waiting, op, outcome);
    request->op = NULL;
    line_schedule(redlock);
}

static struct request *request_of(struct turn *turn, const struct resv_op *op)
{
    size_t i = 0;
    while (i < turn->group.count && turn->group.requests[i].op != op)
        i++;
    RESV_ASSERT(i < turn->group.count);
    return &turn->group.requests[i];
}

static struct turn *turn_of(const struct resv_op *op)
{
    const struct redlock_op *state = redlock_op_of(op);
    if (state->waiting.place == PLACE_GROUP)
        return state->turn;
    return ((struct redlock_concert *)state->waiting.concert)->turn;
}

static void answer_waiter(struct redlock *redlock, struct resv_op *op, enum resv_outcome outcome)
{
    if (redlock_op_of(op)->waiting.place == PLACE_GROUP) {
        struct turn *turn = turn_of(op);
        line_answer(turn, request_of(turn, op), outcome);
        return;
    }
    line_wait_no_more(redlock, op);
    waiting_answer(&redlock->waiting, op, outcome);
    line_schedule(redlock);
}

void line_limit_is_over(struct resv_timer *timer)
{
    struct redlock *redlock = timer->data;
    const uint64_t now_ns = resv_now_ns(redlock->base.host);
    struct resv_op *op;
    while ((op = redlock->limit_first) != NULL && limit_ns(redlock, op) <= now_ns) {
        struct turn *turn = turn_of(op);
        answer_waiter(redlock, op, RESV_CONTENDED);
        if (turn != NULL)
            turn_look(turn);
    }
    arm_limit(redlock);
}

void line_refuse_all(struct redlock *redlock, enum resv_outcome outcome)
{
    while (redlock->limit_first != NULL)
        answer_waiter(redlock, redlock->limit_first, outcome);
    for (size_t i = 0; i < redlock->turns_count; i++)
        turn_look(&redlock->turns[i]);
}

/* --- the flush point ----------------------------------------------------------------------------
 */

void line_flush(struct resv_deferred *deferred)
{
    struct redlock *redlock = deferred->data;
    enum resv_outcome outcome;
    if (redlock->closing) {
        redlock_close_goes_on(redlock);
        return;
    }
    turns_start(redlock);
    resv_metric_set(redlock->base.host, &redlock_metrics, METRIC_WAITING_OPERATIONS,
                    (int64_t)redlock->waiting.count);
    /* Completing may bring new operations, but not to this list. */
    for (size_t left = redlock->waiting.answers.count; left > 0; left--) {
        struct resv_op *op = waiting_take_answer(&redlock->waiting, &outcome);
        base_complete(&redlock->base, op, outcome);
    }
}

/* --- from outside -------------------------------------------------------------------------------
 */

void line_add(struct redlock *redlock, struct resv_op *op)
{
    struct redlock_op *state = redlock_op_of(op);
    state->since_ns = resv_now_ns(redlock->base.host);
    line_schedule(redlock);
    /* Nobody waits where nothing can be had: that ends when the link says so. */
    if (!lock_majority_is_up(&redlock->lock_settings) || !waiting_add(&redlock->waiting, op)) {
        waiting_answer(&redlock->waiting, op, RESV_UNAVAILABLE);
        return;
    }
    insert_before(redlock, op, NULL);
    turn_wake(redlock, (struct redlock_concert *)state->waiting.concert);
}

struct resv_op *line_take(struct turn *turn)
{
    struct redlock *redlock = turn->redlock;
    struct resv_op *op = waiting_take(&redlock->waiting, &turn->concert->waiting);
    if (op == NULL)
        return NULL;
    redlock_op_of(op)->turn = turn;
    line_wait_no_more(redlock, op);
    resv_metric_observe(redlock->base.host, &redlock_metrics, METRIC_WAIT_SECONDS,
                        resv_now_ns(redlock->base.host) - redlock_op_of(op)->since_ns);
    return op;
}

/* In a group whose work has not begun, nothing was sent. */
static void cancel_in_group(struct redlock *redlock, struct resv_op *op)
{
    struct turn *turn = redlock_op_of(op)->turn;
    if (turn->state != TURN_WORKING) {
        answer_waiter(redlock, op, RESV_CANCELLED);
        turn_look(turn);
    } else if (turn->group.work.attempts == 0) {
        line_answer(turn, request_of(turn, op), RESV_CANCELLED);
        sale_cancel(turn);
    } else {
        redlock_op_of(op)->waiting.cancelled = true; /* it ends as is true */
    }
}

void line_cancel(struct redlock *redlock, struct resv_op *op)
{
    struct turn *turn;
    switch (redlock_op_of(op)->waiting.place) {
    case PLACE_WAITING:
        turn = turn_of(op);
        answer_waiter(redlock, op, RESV_CANCELLED);
        if (turn != NULL)
            turn_look(turn);
        break;
    case PLACE_GROUP:
        cancel_in_group(redlock, op);
        break;
    case PLACE_ANSWERS: /* on its way */
    case PLACE_ELSEWHERE:
        break;
    }
}
