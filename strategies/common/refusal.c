/* Why a reservation is not granted now. */
#include "common/refusal.h"

#include "resvd/assert.h"
#include "resvd/fault.h"

static void looked(struct work *work, enum database_result result)
{
    struct resv_op *op = work->data;
    struct base_op *state = base_op_of(op);
    RESV_ASSERT(result == DATABASE_DONE);
    enum resv_outcome outcome = state->answer;
    if (state->found.found)
        outcome = base_answer_from_row(op, &state->found.row, work->in_doubt);
    else if (outcome != RESV_UNKNOWN_CONCERT && !state->member.found)
        outcome = RESV_UNKNOWN_MEMBER;
    base_work_refuse(work, outcome);
}

void refusal_explain(struct work *work, enum resv_outcome refusal)
{
    const struct resv_op *op = work->data;
    struct base_op *state = base_op_of(op);
    /* A replay finds its first answer although nothing is left; in doubt, the row may be this
     * work's own, and have taken the last seat. */
    bool may_be_there = (op->keyed || work->in_doubt) && !RESV_FAULT(sold_out_without_look);
    size_t count = 0;
    state->answer = refusal;
    state->found = (struct database_reservation){.id = op->id};
    state->member = (struct database_member){.id = op->member_id};
    if (may_be_there)
        state->steps[count++] =
            (struct database_step){.kind = DATABASE_READ_RESERVATIONS,
                                   .reservations = {.items = &state->found, .count = 1}};
    if (refusal != RESV_UNKNOWN_CONCERT)
        state->steps[count++] = (struct database_step){
            .kind = DATABASE_READ_MEMBERS, .members = {.items = &state->member, .count = 1}};
    if (count == 0)
        base_work_refuse(work, refusal);
    else
        work_run(work, state->steps, count, looked);
}

/* Outside of the transaction now. */
static void row_read(struct work *work, enum database_result result)
{
    struct resv_op *op = work->data;
    struct base_op *state = base_op_of(op);
    RESV_ASSERT(result == DATABASE_DONE);
    if (state->found.found)
        base_work_answer_read(work, base_answer_from_row(op, &state->found.row, work->in_doubt));
    else
        base_work_answer_read(work, RESV_CONTENDED); /* gone since: a reset; nothing is taken */
}

static void rolled_back(struct work *work, enum database_result result)
{
    const struct resv_op *op = work->data;
    struct base_op *state = base_op_of(op);
    RESV_ASSERT(result == DATABASE_DONE);
    state->found = (struct database_reservation){.id = op->id};
    state->steps[0] = (struct database_step){.kind = DATABASE_READ_RESERVATIONS,
                                             .reservations = {.items = &state->found, .count = 1}};
    work_run(work, state->steps, 1, row_read);
}

void refusal_of_insert(struct work *work, enum database_result result)
{
    if (result == DATABASE_DUPLICATE) {
        work_rollback(work, rolled_back);
        return;
    }
    RESV_ASSERT(result == DATABASE_NO_PARENT);
    base_work_refuse(work, RESV_UNKNOWN_MEMBER);
}
