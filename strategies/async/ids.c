/* Releases and lookups: of both, only the id is known at first.
 *
 *   RELEASE  NEW --> LOOKING --> PUBLISHING (the reservation, if it is pending; then the release)
 *                    rows, pending, rows
 *   LOOKUP   rows (base), LOOKING: pending, rows (base)
 *
 * Invariants: RELEASE_ACCEPTED is said of an event that is in the log, behind the event of what it
 * releases; NOT_FOUND, when it was not in the rows after it was not pending: what leaves pending
 * has its row by then; and of what a Redis has lost, only when all of that has its row, too. */
#include "front.h"
#include "resvd/fault.h"

/* --- RELEASE ------------------------------------------------------------------------------------
 */

void front_release(struct base *base, struct resv_op *op)
{
    front_look((struct async *)base, op);
}

static void publish_release(struct async *async, struct resv_op *op)
{
    if (!kafka_link_is_up(async->kafka) || !publish_reserve_room(async)) {
        front_answer(async, op, RESV_UNAVAILABLE);
        return;
    }
    front_move(op, ASYNC_PUBLISHING);
    publish_op(async, op);
}

static void release_concert(struct async *async, struct resv_op *op, int64_t concert_id)
{
    async_op_of(op)->confirmed = true;
    front_write_text(async, op, EVENT_RELEASE, concert_id);
    publish_release(async, op);
}

/* Behind the second look for its row. */
static void answer_missed(struct async *async, struct resv_op *op)
{
    const bool forgotten = async_op_of(op)->forgotten && !RESV_FAULT(not_found_though_forgotten);
    front_answer(async, op, forgotten ? RESV_UNAVAILABLE : RESV_NOT_FOUND);
}

/* A row that was cancelled became so by an event in the log: if the database forgot it in a crash,
 * its consumer would come to that event again. So RELEASED needs no DATABASE_SYNC here. But one
 * that was rejected may find a seat then: its release goes to the log, too. */
void release_known(struct async *async, struct resv_op *op, const struct known_row *known)
{
    if (!known->row_found) {
        if (async_op_of(op)->looks > 1)
            answer_missed(async, op);
        else
            pending_find(async, op);
        return;
    }
    const enum resv_status status = known->row.status;
    if (status == RESV_STATUS_CANCELLED || status == RESV_STATUS_EXPIRED)
        front_answer(async, op, RESV_RELEASED);
    else
        release_concert(async, op, known->row.concert_id);
}

/* A release must be behind its reservation in the log, which may not be there yet: so that goes
 * first, once more. */
void release_published(struct async *async, struct resv_op *op, enum kafka_result result)
{
    struct async_op *state = async_op_of(op);
    if (!state->confirmed) {
        if (result == KAFKA_PERSISTED)
            release_concert(async, op, state->concert_id);
        else
            front_answer(async, op, RESV_UNAVAILABLE);
        return;
    }
    switch (result) {
    case KAFKA_PERSISTED:
        front_answer(async, op, RESV_RELEASE_ACCEPTED);
        break;
    case KAFKA_NOT_PERSISTED:
        front_answer(async, op, RESV_UNAVAILABLE);
        break;
    case KAFKA_POSSIBLY_PERSISTED:
        front_answer(async, op, RESV_UNKNOWN);
        break;
    }
}

/* --- what is pending ----------------------------------------------------------------------------
 */

void front_lookup_missed(struct base *base, struct resv_op *op)
{
    struct async *async = (struct async *)base;
    if (async_op_of(op)->looks++ > 0) {
        answer_missed(async, op);
        return;
    }
    front_move(op, ASYNC_LOOKING);
    pending_find(async, op);
}

/* What has left pending between the two looks has its row now. */
static void not_pending(struct async *async, struct resv_op *op)
{
    if (RESV_FAULT(no_second_look) && op->kind != RESV_OP_RESERVE)
        front_answer(async, op, RESV_NOT_FOUND);
    else if (op->kind == RESV_OP_LOOKUP)
        base_lookup(&async->base, op);
    else
        front_look(async, op);
}

static void is_pending(struct async *async, struct resv_op *op, struct redis_text text)
{
    struct event event;
    if (!front_read_pending(text, &event)) {
        not_pending(async, op); /* written by something else than this */
    } else if (op->kind == RESV_OP_LOOKUP) {
        front_fill_pending(op, &event, false);
        front_answer(async, op, RESV_FOUND);
    } else if (op->kind == RESV_OP_RESERVE) {
        if (!reserve_is_of_another(async, op, &event))
            not_pending(async, op);
    } else {
        front_set_text(op, text, &event);
        if (RESV_FAULT(release_before_its_reservation))
            release_concert(async, op, event.concert_id);
        else
            publish_release(async, op);
    }
}

void front_pending(struct async *async, struct resv_op *op, enum pending_answer answer,
                   struct redis_text text)
{
    switch (answer) {
    case PENDING_IS:
        is_pending(async, op, text);
        break;
    case PENDING_FORGOTTEN:
        async_op_of(op)->forgotten = true;
        not_pending(async, op);
        break;
    case PENDING_IS_NOT:
        not_pending(async, op);
        break;
    case PENDING_UNASKED:
        front_answer(async, op, RESV_UNAVAILABLE);
        break;
    }
}
