/* form = procedure: the same transaction inside of the server, one round trip. */
#include "pessimistic.h"
#include "resvd/assert.h"

static void called(struct work *work, enum database_result result)
{
    struct resv_op *op = work->data;
    const struct database_call_step *call = &base_op_of(op)->steps[0].call;
    RESV_ASSERT(result == DATABASE_DONE);
    if (call->outcome == RESV_GRANTED) {
        op->reservation = call->reservation;
        /* In doubt, the row that was there is this work's own. */
        op->reservation.replay = call->reservation.replay && !work->in_doubt;
        pessimistic_committed(op);
    }
    base_work_answer(work, call->outcome);
}

static void begin(struct work *work)
{
    struct resv_op *op = work->data;
    struct base_op *state = base_op_of(op);
    pessimistic_begun(op);
    state->steps[0] = (struct database_step){
        .kind = DATABASE_CALL_RESERVE,
        .call = {.concert_id = op->concert_id,
                 .row = {.id = op->id, .member_id = op->member_id, .quantity = op->quantity},
                 .created_ms = resv_wall_ms(work->host),
                 .hold_ms = (int64_t)pessimistic_of(op)->hold_ms}};
    work_run(work, state->steps, 1, called);
}

const struct work_owner pessimistic_procedure = {
    .begin = begin, .gave_up = base_work_gave_up, .pool = DATABASE_SALES, .retries = true};
