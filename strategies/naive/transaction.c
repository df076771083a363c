/* Read, insert, write back, under REPEATABLE READ and without any lock of its own: as it stands in
 * many an application.
 *
 *   BEGIN --> SELECT --> [hold] --> INSERT --> UPDATE sold = what was read + n --> COMMIT
 *
 * Two at once read the same count. The INSERT's foreign key takes a shared lock on the concert, so
 * both then hold what the other's UPDATE needs: a deadlock, and one of them is ended. And a count
 * read before another's COMMIT is written over it: a lost update. Both are the point of it. */
#include "common/refusal.h"
#include "naive.h"
#include "resvd/assert.h"

static void committed(struct work *work, enum database_result result)
{
    RESV_ASSERT(result == DATABASE_DONE);
    base_work_answer(work, base_granted(work->data));
}

static void written(struct work *work, enum database_result result)
{
    const struct resv_op *op = work->data;
    struct base_op *state = base_op_of(op);
    if (result != DATABASE_DONE) {
        /* The capacity was lowered since it was read: the one thing that the table itself forbids.
         */
        base_work_refuse(work, RESV_CONTENDED);
        return;
    }
    state->steps[0] = (struct database_step){.kind = DATABASE_COMMIT};
    work_run(work, state->steps, 1, committed);
}

static void inserted(struct work *work, enum database_result result)
{
    const struct resv_op *op = work->data;
    struct base_op *state = base_op_of(op);
    if (result != DATABASE_DONE) {
        refusal_of_insert(work, result);
        return;
    }
    state->steps[0] =
        (struct database_step){.kind = DATABASE_WRITE_SOLD,
                               .seats = {.concert_id = op->concert_id,
                                         .seats = state->steps[1].concert.sold + op->quantity}};
    work_try(work, state->steps, 1, WORK_DECIDES(DATABASE_REFUSED), written);
}

static void insert(struct work *work, enum database_result result)
{
    const struct resv_op *op = work->data;
    struct base_op *state = base_op_of(op);
    RESV_ASSERT(result == DATABASE_DONE);
    state->row =
        (struct database_row){.id = op->id, .member_id = op->member_id, .quantity = op->quantity};
    state->steps[0] = (struct database_step){.kind = DATABASE_INSERT_RESERVATIONS,
                                             .insert = {.concert_id = op->concert_id,
                                                        .rows = &state->row,
                                                        .count = 1,
                                                        .created_ms = resv_wall_ms(work->host)}};
    work_try(work, state->steps, 1, REFUSALS_OF_INSERT, inserted);
}

static void hold(struct work *work)
{
    const struct resv_op *op = work->data;
    const struct naive *naive = (const struct naive *)base_op_of(op)->base;
    if (naive->hold_ms > 0)
        work_pause(work, naive->hold_ms, insert);
    else
        insert(work, DATABASE_DONE);
}

static void seats_of_member_read(struct work *work, enum database_result result)
{
    const struct resv_op *op = work->data;
    const struct base_op *state = base_op_of(op);
    RESV_ASSERT(result == DATABASE_DONE);
    if (op->quantity > state->steps[1].concert.member_limit - state->member.seats)
        refusal_explain(work, RESV_LIMIT);
    else
        hold(work);
}

/* steps[1] keeps what was read of the concert. */
static void concert_read(struct work *work, enum database_result result)
{
    const struct resv_op *op = work->data;
    struct base_op *state = base_op_of(op);
    RESV_ASSERT(result == DATABASE_DONE);
    const struct database_concert_step *concert = &state->steps[1].concert;
    if (!concert->found) {
        refusal_explain(work, RESV_UNKNOWN_CONCERT);
    } else if (op->quantity > concert->capacity - concert->sold) {
        refusal_explain(work, RESV_SOLD_OUT);
    } else if (concert->member_limit == RESV_NO_MEMBER_LIMIT) {
        hold(work);
    } else {
        state->member = (struct database_member){.id = op->member_id};
        state->steps[0] = (struct database_step){
            .kind = DATABASE_READ_MEMBER_SEATS,
            .members = {.concert_id = op->concert_id, .items = &state->member, .count = 1}};
        work_run(work, state->steps, 1, seats_of_member_read);
    }
}

static void transaction_begun(struct work *work, enum database_result result)
{
    const struct resv_op *op = work->data;
    struct base_op *state = base_op_of(op);
    RESV_ASSERT(result == DATABASE_DONE);
    state->steps[1] = (struct database_step){.kind = DATABASE_READ_CONCERT,
                                             .concert = {.concert_id = op->concert_id}};
    work_run(work, &state->steps[1], 1, concert_read);
}

static void begin(struct work *work)
{
    const struct resv_op *op = work->data;
    struct base_op *state = base_op_of(op);
    state->steps[0] = (struct database_step){.kind = DATABASE_BEGIN};
    work_run(work, state->steps, 1, transaction_begun);
}

const struct work_owner naive_transaction = {
    .begin = begin, .gave_up = base_work_gave_up, .pool = DATABASE_SALES, .retries = false};
