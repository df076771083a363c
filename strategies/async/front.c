/* What becomes of a reservation, and all moves from place to place. Releases and lookups: ids.c.
 *
 *   RESERVE  NEW --> [LOOKING] --> WAITING --> TAKING --> PUBLISHING --> ANSWERED
 *                       ^            ^  ^        |            |
 *                       |            |  AT_GATE <+            `--> UNDOING --> ANSWERED
 *                       `-- a key: refused, or settled
 *
 * Invariants:
 *  - ACCEPTED is said of an event that is in the log, only;
 *  - a refusal is said only when nothing was taken and nothing will be: not after a script's answer
 *    was lost, since that call may yet be executed; not of an event that others may have published;
 *  - seats are given back only for an event that nobody but this operation may have published;
 *  - to an id with a key nothing is refused without a look for its row behind that refusal: a
 *    reservation is in pending, or in settled, or has its row;
 *  - of all requests with one key, to however many processes and for whatever concerts, seats are
 *    taken for one at most: pending and settled are looked into for all concerts in the step that
 *    takes, and the row was looked for since Redis last lost data and all of that had its row. Were
 *    this to fail, the id would still be one row, the first event's that is applied: nothing is
 *    oversold, but a 202 of another content could have been said. */
#include <string.h>

#include "front.h"
#include "resvd/assert.h"
#include "resvd/crash_point.h"
#include "resvd/fault.h"

enum { LOOKS_MAX = 4 };

/* --- places -------------------------------------------------------------------------------------
 */

static bool move_is_possible(enum async_place from, enum async_place to)
{
    switch (from) {
    case ASYNC_NEW:
    case ASYNC_LOOKING:
        return to == ASYNC_LOOKING || to == ASYNC_WAITING || to == ASYNC_AT_GATE ||
               to == ASYNC_PUBLISHING || to == ASYNC_ANSWERED;
    case ASYNC_WAITING:
        return to == ASYNC_TAKING || to == ASYNC_LOOKING || to == ASYNC_AT_GATE ||
               to == ASYNC_ANSWERED;
    case ASYNC_AT_GATE:
        return to == ASYNC_WAITING || to == ASYNC_LOOKING || to == ASYNC_AT_GATE ||
               to == ASYNC_ANSWERED;
    case ASYNC_TAKING:
        return to == ASYNC_LOOKING || to == ASYNC_AT_GATE || to == ASYNC_PUBLISHING ||
               to == ASYNC_ANSWERED;
    case ASYNC_PUBLISHING:
        return to == ASYNC_PUBLISHING || to == ASYNC_UNDOING || to == ASYNC_ANSWERED;
    case ASYNC_UNDOING:
        return to == ASYNC_ANSWERED;
    case ASYNC_ANSWERED:
        return false;
    }
    return false;
}

void front_move(struct resv_op *op, enum async_place place)
{
    struct async_op *state = async_op_of(op);
    RESV_ASSERT(move_is_possible(state->place, place));
    state->place = place;
}

void front_answer(struct async *async, struct resv_op *op, enum resv_outcome outcome)
{
    front_move(op, ASYNC_ANSWERED);
    base_complete_soon(&async->base, op, outcome);
}

/* Nothing was taken, as far as this process knows. */
static void refuse(struct async *async, struct resv_op *op, enum resv_outcome outcome)
{
    const bool certain = !async_op_of(op)->tried || RESV_FAULT(refusal_after_lost_answer);
    front_answer(async, op, certain ? outcome : RESV_UNKNOWN);
}

/* --- a reservation's content --------------------------------------------------------------------
 */

void front_fill_pending(struct resv_op *op, const struct event *event, bool replay)
{
    op->reservation = (struct resv_reservation){
        .concert_id = event->concert_id,
        .member_id = event->member_id,
        .quantity = event->quantity,
        .status = RESV_STATUS_PENDING,
        .replay = replay,
    };
}

static bool is_same(const struct resv_op *op, const struct event *event)
{
    return op->concert_id == event->concert_id && op->member_id == event->member_id &&
           op->quantity == event->quantity;
}

bool front_read_pending(struct redis_text text, struct event *event)
{
    const size_t size = keys_event_size(text.bytes, text.size);
    return event_read(text.bytes, size, event) == NULL && event->kind == EVENT_RESERVE;
}

void front_set_text(struct resv_op *op, struct redis_text text, const struct event *event)
{
    struct async_op *state = async_op_of(op);
    state->text_size = keys_event_size(text.bytes, text.size);
    memcpy(state->text, text.bytes, state->text_size);
    state->concert_id = event->concert_id;
}

void front_write_text(struct async *async, struct resv_op *op, enum event_kind kind,
                      int64_t concert_id)
{
    struct async_op *state = async_op_of(op);
    const bool reserves = kind == EVENT_RESERVE;
    const struct event event = {
        .kind = kind,
        .id = op->id,
        .concert_id = concert_id,
        .member_id = reserves ? op->member_id : 0,
        .quantity = reserves ? op->quantity : 0,
        .created_ms = resv_wall_ms(async->base.host),
        .epoch = async->epoch,
        .keyed = reserves && op->keyed,
    };
    state->epoch = event.epoch;
    state->text_size = event_write(&event, state->text);
    state->concert_id = concert_id;
}

/* --- RESERVE: taking ----------------------------------------------------------------------------
 */

/* Its row may have come since it was looked for. */
static void look_again(struct async *async, struct resv_op *op)
{
    if (async_op_of(op)->looks < LOOKS_MAX)
        front_look(async, op);
    else
        refuse(async, op, RESV_UNAVAILABLE);
}

/* What was written once stays: the call whose answer was lost has it, too. */
static void take(struct async *async, struct resv_op *op)
{
    struct async_op *state = async_op_of(op);
    if (state->cancelled && !state->tried) {
        front_answer(async, op, RESV_CANCELLED);
        return;
    }
    if (async->base.abandoned) {
        refuse(async, op, RESV_UNAVAILABLE);
        return;
    }
    if (state->tried && !async_node_is_up(async) && gate_wait(async, op))
        return; /* for the answer that was lost */
    if (op->keyed && state->looked != async->tokens && !RESV_FAULT(key_without_look)) {
        look_again(async, op);
        return;
    }
    if (!async_node_is_up(async) || !kafka_link_is_up(async->kafka) ||
        !publish_reserve_room(async)) {
        refuse(async, op, RESV_UNAVAILABLE);
        return;
    }
    if (!state->tried)
        front_write_text(async, op, EVENT_RESERVE, op->concert_id);
    stock_take(async, op);
}

void front_try_again(struct async *async, struct resv_op *op)
{
    take(async, op);
}

void front_look(struct async *async, struct resv_op *op)
{
    struct async_op *state = async_op_of(op);
    state->looks++;
    state->looked = async->tokens;
    front_move(op, ASYNC_LOOKING);
    known_look(async, op);
}

static void begin(struct async *async, struct resv_op *op)
{
    const struct concert_hint *hint = hints_find_concert(&async->hints, op->concert_id);
    const bool known =
        hint != NULL && hint->exists && hints_know_member(&async->hints, op->member_id);
    if ((op->keyed && !RESV_FAULT(key_without_look)) || !known)
        front_look(async, op);
    else
        take(async, op);
}

void front_reserve(struct base *base, struct resv_op *op)
{
    async_op_of(op)->refusal = RESV_OUTCOME_COUNT;
    begin((struct async *)base, op);
}

/* --- RESERVE: what Redis says -------------------------------------------------------------------
 */

static void publish_taken(struct async *async, struct resv_op *op)
{
    struct async_op *state = async_op_of(op);
    state->taken_ns = resv_now_ns(async->base.host);
    state->runs = async->redis_runs;
    front_move(op, ASYNC_PUBLISHING);
    if (RESV_FAULT(accepted_before_the_log)) {
        front_fill_pending(op,
                           &(struct event){.concert_id = op->concert_id,
                                           .member_id = op->member_id,
                                           .quantity = op->quantity},
                           false);
        publish_return_room(async);
        publish_text(async, op->concert_id, state->text, state->text_size, NULL, NULL);
        front_answer(async, op, RESV_ACCEPTED);
        return;
    }
    publish_op(async, op);
}

/* Its first answer may not be known to anybody, and its event not be in the log: so it is published
 * again, and is accepted when it is there. */
static void publish_pending(struct async *async, struct resv_op *op, struct redis_text text)
{
    struct async_op *state = async_op_of(op);
    struct event event;
    if (!front_read_pending(text, &event)) {
        publish_return_room(async);
        front_answer(async, op, RESV_UNKNOWN); /* written by something else than this */
        return;
    }
    if (!is_same(op, &event)) {
        publish_return_room(async);
        refuse(async, op, RESV_KEY_REUSED);
        return;
    }
    const size_t size = keys_event_size(text.bytes, text.size);
    const bool own =
        state->tried && size == state->text_size && memcmp(state->text, text.bytes, size) == 0;
    front_fill_pending(op, &event, !own);
    front_set_text(op, text, &event);
    state->shared = !RESV_FAULT(undo_what_is_shared);
    publish_taken(async, op);
}

static void refused_by_stock(struct async *async, struct resv_op *op, enum resv_outcome refusal)
{
    struct async_op *state = async_op_of(op);
    if (!op->keyed || state->tried || RESV_FAULT(key_without_look)) {
        refuse(async, op, refusal);
        return;
    }
    state->refusal = refusal;
    front_look(async, op);
}

static void wait_at_gate(struct async *async, struct resv_op *op)
{
    if (!gate_wait(async, op))
        refuse(async, op, RESV_UNAVAILABLE);
}

static void not_taken(struct async *async, struct resv_op *op, enum stock_answer answer)
{
    struct async_op *state = async_op_of(op);
    switch (answer) {
    case STOCK_TAKEN:
    case STOCK_PENDING:
        RESV_ASSERT(false);
        break;
    case STOCK_SOLD_OUT:
        refused_by_stock(async, op, RESV_SOLD_OUT);
        break;
    case STOCK_LIMIT:
        refused_by_stock(async, op, RESV_LIMIT);
        break;
    case STOCK_ELSEWHERE:
        refuse(async, op, RESV_KEY_REUSED);
        break;
    case STOCK_SETTLED:
    case STOCK_LOOK:
        look_again(async, op);
        break;
    case STOCK_EPOCH:
        if (state->tried) /* the event that was sent is void */
            refuse(async, op, RESV_UNAVAILABLE);
        else
            look_again(async, op);
        break;
    case STOCK_UNSURE:
        wait_at_gate(async, op);
        break;
    case STOCK_CLOSED:
        resv_metric_add(async->base.host, &async_metrics, METRIC_GATES_CLOSED, !state->closed);
        state->closed = true;
        gate_ask(async, op->concert_id);
        /* There may have been a reset: the next one looks. */
        hints_drop_concert(&async->hints, op->concert_id);
        wait_at_gate(async, op);
        break;
    case STOCK_DOWN:
        refuse(async, op, RESV_UNAVAILABLE);
        break;
    case STOCK_LOST:
        state->tried = true;
        wait_at_gate(async, op);
        break;
    }
}

void front_stock_said(struct async *async, struct resv_op *op, enum stock_answer answer,
                      struct redis_text text)
{
    if (answer == STOCK_TAKEN) {
        RESV_CRASH_POINT(taken);
        front_fill_pending(op,
                           &(struct event){.concert_id = op->concert_id,
                                           .member_id = op->member_id,
                                           .quantity = op->quantity},
                           false);
        publish_taken(async, op);
    } else if (answer == STOCK_PENDING) {
        publish_pending(async, op, text);
    } else {
        publish_return_room(async);
        not_taken(async, op, answer);
    }
}

/* --- RESERVE: what Kafka says -------------------------------------------------------------------
 */

/* Where Redis is another one by now, or away and may be, its numbers may have been made before this
 * event came, and its seats may have gone to somebody else: it is decided when it is applied. */
static enum resv_outcome outcome_of_persisted(const struct async *async, const struct resv_op *op)
{
    const struct async_op *state = async_op_of(op);
    return state->runs == async->redis_runs && async_node_is_up(async) ? RESV_ACCEPTED
                                                                       : RESV_UNKNOWN;
}

static void reserve_published(struct async *async, struct resv_op *op, enum kafka_result result)
{
    struct async_op *state = async_op_of(op);
    switch (result) {
    case KAFKA_PERSISTED: {
        const uint64_t now_ns = resv_now_ns(async->base.host);
        resv_metric_observe(async->base.host, &async_metrics, METRIC_ACCEPT_SECONDS,
                            now_ns - state->taken_ns);
        front_answer(async, op, outcome_of_persisted(async, op));
        break;
    }
    case KAFKA_NOT_PERSISTED:
        /* Where Redis is another one by now, it may have lost that its event is shared. */
        if (state->shared || state->runs != async->redis_runs) {
            front_answer(async, op, RESV_UNKNOWN);
            break;
        }
        front_move(op, ASYNC_UNDOING);
        stock_undo(async, op);
        break;
    case KAFKA_POSSIBLY_PERSISTED:
        if (RESV_FAULT(undo_what_may_be_in_the_log)) {
            front_move(op, ASYNC_UNDOING);
            stock_undo(async, op);
            break;
        }
        front_answer(async, op, RESV_UNKNOWN); /* pending: the sweeper publishes it again */
        break;
    }
}

void front_undone(struct async *async, struct resv_op *op, bool undone)
{
    if (undone)
        resv_metric_add(async->base.host, &async_metrics, METRIC_UNDONE, 1);
    refuse(async, op, undone ? RESV_UNAVAILABLE : RESV_UNKNOWN);
}

void front_published(struct async *async, struct resv_op *op, enum kafka_result result)
{
    if (op->kind == RESV_OP_RESERVE)
        reserve_published(async, op, result);
    else
        release_published(async, op, result);
}

/* --- what there is already ----------------------------------------------------------------------
 */

/* A row with this id was ACCEPTED once, and that event is in the log: so it may be said again,
 * whether or not the row is on disk yet. */
static enum resv_outcome answer_from_row(struct resv_op *op, const struct resv_reservation *row)
{
    const enum resv_outcome outcome = base_answer_from_row(op, row, false);
    return outcome == RESV_GRANTED ? RESV_ACCEPTED : outcome;
}

/* Without a row. RESV_OUTCOME_COUNT: nothing is known against it. */
static enum resv_outcome refusal_of(const struct async_op *state, const struct known_row *known)
{
    if (!known->concert_found)
        return RESV_UNKNOWN_CONCERT;
    return known->member_found ? state->refusal : RESV_UNKNOWN_MEMBER;
}

static void reserve_known(struct async *async, struct resv_op *op, const struct known_row *known)
{
    const struct async_op *state = async_op_of(op);
    const enum resv_outcome refusal = refusal_of(state, known);
    if (known->row_found)
        front_answer(async, op, answer_from_row(op, &known->row));
    else if (refusal == RESV_OUTCOME_COUNT)
        take(async, op);
    else if (op->keyed && !state->tried && state->looks == 1)
        pending_find(async, op); /* the key may be another reservation's that is pending */
    else
        refuse(async, op, refusal);
}

bool reserve_is_of_another(struct async *async, struct resv_op *op, const struct event *pending)
{
    if (is_same(op, pending))
        return false;
    front_answer(async, op, RESV_KEY_REUSED);
    return true;
}

void front_known(struct async *async, struct resv_op *op, const struct known_row *known)
{
    if (!known->read)
        refuse(async, op, RESV_UNAVAILABLE);
    else if (op->kind == RESV_OP_RESERVE)
        reserve_known(async, op, known);
    else
        release_known(async, op, known);
}

/* --- hints that nobody needs it -----------------------------------------------------------------
 */

void front_cancel(struct base *base, struct resv_op *op)
{
    struct async *async = (struct async *)base;
    struct async_op *state = async_op_of(op);
    state->cancelled = true;
    if (state->tried)
        return;
    if (known_cancel(async, op) || gate_cancel(async, op)) {
        front_answer(async, op, RESV_CANCELLED);
    } else if (stock_cancel(async, op)) {
        publish_return_room(async);
        front_answer(async, op, RESV_CANCELLED);
    }
}

/* Everything that waits is answered; everything that was sent ends soon. */
void front_abandon(struct base *base)
{
    struct async *async = (struct async *)base;
    gate_release_all(async);
    known_refuse_all(async);
    pending_refuse_all(async);
    stock_refuse_all(async);
    redis_link_interrupt(async->redis);
    kafka_link_interrupt(async->kafka);
}
