/* form = statements: what a careful application does, each statement a round trip of its own.
 *
 *   BEGIN --> SELECT … FOR UPDATE --> [hold] --> [the member's seats] --> UPDATE --> INSERT -->
 * COMMIT
 *
 * The lock on the concert is the first of every transaction: so there is no order in which two of
 * them could wait for each other, and what is read behind it stays true until COMMIT. */
#include "common/refusal.h"
#include "pessimistic.h"
#include "resvd/assert.h"
#include "resvd/fault.h"

static void committed(struct work *work, enum database_result result)
{
    struct resv_op *op = work->data;
    RESV_ASSERT(result == DATABASE_DONE);
    pessimistic_committed(op);
    base_work_answer(work, base_granted(op));
}

static void inserted(struct work *work, enum database_result result)
{
    struct resv_op *op = work->data;
    struct base_op *state = base_op_of(op);
    if (result != DATABASE_DONE) {
        refusal_of_insert(work, result);
        return;
    }
    if (RESV_FAULT(answer_before_commit)) {
        base_work_answer(work, base_granted(op));
        return;
    }
    state->steps[0] = (struct database_step){.kind = DATABASE_COMMIT};
    work_run(work, state->steps, 1, committed);
}

static void taken(struct work *work, enum database_result result)
{
    struct resv_op *op = work->data;
    struct base_op *state = base_op_of(op);
    RESV_ASSERT(result == DATABASE_DONE);
    if (state->steps[0].kind == DATABASE_TAKE_SEATS && !state->steps[0].seats.changed) {
        refusal_explain(work, RESV_SOLD_OUT); /* the condition has the last word */
        return;
    }
    state->row =
        (struct database_row){.id = op->id, .member_id = op->member_id, .quantity = op->quantity};
    state->steps[0] = (struct database_step){.kind = DATABASE_INSERT_RESERVATIONS,
                                             .insert = {.concert_id = op->concert_id,
                                                        .rows = &state->row,
                                                        .count = 1,
                                                        .created_ms = resv_wall_ms(work->host)}};
    work_try(work, state->steps, 1, REFUSALS_OF_INSERT, inserted);
}

/* `sold` is what was read of the concert. */
static void take(struct work *work, int64_t sold)
{
    struct resv_op *op = work->data;
    struct base_op *state = base_op_of(op);
    state->steps[0] =
        (struct database_step){.kind = DATABASE_TAKE_SEATS,
                               .seats = {.concert_id = op->concert_id, .seats = op->quantity}};
    if (RESV_FAULT(take_without_condition)) {
        state->steps[0].kind = DATABASE_WRITE_SOLD;
        state->steps[0].seats.seats += sold;
    }
    work_run(work, state->steps, 1, taken);
}

static void seats_of_member_read(struct work *work, enum database_result result)
{
    struct resv_op *op = work->data;
    struct base_op *state = base_op_of(op);
    RESV_ASSERT(result == DATABASE_DONE);
    const struct database_concert_step *concert = &state->steps[1].concert;
    if (op->quantity > concert->member_limit - state->member.seats)
        refusal_explain(work, RESV_LIMIT);
    else
        take(work, concert->sold);
}

/* The concert is ours. steps[1] keeps what was read of it. */
static void check(struct work *work, enum database_result result)
{
    struct resv_op *op = work->data;
    struct base_op *state = base_op_of(op);
    RESV_ASSERT(result == DATABASE_DONE);
    const struct database_concert_step *concert = &state->steps[1].concert;
    if (op->quantity > concert->capacity - concert->sold) {
        refusal_explain(work, RESV_SOLD_OUT);
        return;
    }
    if (concert->member_limit == RESV_NO_MEMBER_LIMIT) {
        take(work, concert->sold);
        return;
    }
    if (RESV_FAULT(limit_before_lock)) {
        seats_of_member_read(work, DATABASE_DONE);
        return;
    }
    state->member = (struct database_member){.id = op->member_id};
    state->steps[0] = (struct database_step){
        .kind = DATABASE_READ_MEMBER_SEATS,
        .members = {.concert_id = op->concert_id, .items = &state->member, .count = 1}};
    work_run(work, state->steps, 1, seats_of_member_read);
}

static void locked(struct work *work, enum database_result result)
{
    struct resv_op *op = work->data;
    struct pessimistic *pessimistic = pessimistic_of(op);
    RESV_ASSERT(result == DATABASE_DONE);
    resv_metric_observe(work->host, &pessimistic_metrics, METRIC_LOCK_SECONDS,
                        resv_now_ns(work->host) - pessimistic_op_of(op)->since_ns);
    if (!base_op_of(op)->steps[1].concert.found)
        refusal_explain(work, RESV_UNKNOWN_CONCERT);
    else if (pessimistic->hold_ms > 0)
        work_pause(work, pessimistic->hold_ms, check);
    else
        check(work, DATABASE_DONE);
}

static void transaction_begun(struct work *work, enum database_result result)
{
    struct resv_op *op = work->data;
    struct base_op *state = base_op_of(op);
    RESV_ASSERT(result == DATABASE_DONE);
    pessimistic_op_of(op)->since_ns = resv_now_ns(work->host);
    state->steps[1] = (struct database_step){.kind = DATABASE_LOCK_CONCERT,
                                             .concert = {.concert_id = op->concert_id}};
    if (RESV_FAULT(take_without_condition))
        state->steps[1].kind = DATABASE_READ_CONCERT;
    work_run(work, &state->steps[1], 1, locked);
}

static void begin(struct work *work)
{
    struct resv_op *op = work->data;
    struct base_op *state = base_op_of(op);
    size_t count = 1;
    pessimistic_begun(op);
    state->steps[0] = (struct database_step){.kind = DATABASE_BEGIN};
    if (RESV_FAULT(limit_before_lock)) {
        state->member = (struct database_member){.id = op->member_id};
        state->steps[count++] = (struct database_step){
            .kind = DATABASE_READ_MEMBER_SEATS,
            .members = {.concert_id = op->concert_id, .items = &state->member, .count = 1}};
    }
    work_run(work, state->steps, count, transaction_begun);
}

const struct work_owner pessimistic_statements = {
    .begin = begin, .gave_up = base_work_gave_up, .pool = DATABASE_SALES, .retries = true};
