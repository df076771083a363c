/* A release: one transaction that takes its locks in the order concert, reservation.
 *
 *   read the row --> BEGIN, lock its concert, live to CANCELLED --> give back the seats, COMMIT
 *
 * The row is read first, without a lock, for its concert (which never changes) and for those
 * releases that have nothing to do. Whether it is this release that ends the reservation is known
 * only from the conditional change, under the lock. Where it was another, that one's COMMIT may not
 * be on disk yet: base sees to it before RELEASED is said. */
#include "base_internal.h"
#include "resvd/assert.h"
#include "resvd/fault.h"

static void committed(struct work *work, enum database_result result)
{
    const struct resv_op *op = work->data;
    RESV_ASSERT(result == DATABASE_DONE);
    resv_metric_add(base_op_of(op)->base->host, &base_metrics, BASE_METRIC_RELEASES, 1);
    base_work_answer(work, RESV_RELEASED);
}

static void row_changed(struct work *work, enum database_result result)
{
    const struct resv_op *op = work->data;
    struct base_op *state = base_op_of(op);
    struct database_step *steps = state->steps;
    RESV_ASSERT(result == DATABASE_DONE);
    if (!steps[2].reservation.changed && !RESV_FAULT(release_twice_gives_back_twice)) {
        base_work_refuse(work, RESV_RELEASED); /* somebody else's release was first */
        return;
    }
    if (RESV_FAULT(release_answers_before_commit)) {
        base_work_answer(work, RESV_RELEASED);
        return;
    }
    steps[0] = (struct database_step){
        .kind = DATABASE_GIVE_BACK_SEATS,
        .seats = {.concert_id = state->found.row.concert_id, .seats = state->found.row.quantity}};
    steps[1] = (struct database_step){.kind = DATABASE_COMMIT};
    work_run(work, steps, 2, committed);
}

static void row_read(struct work *work, enum database_result result)
{
    const struct resv_op *op = work->data;
    struct base_op *state = base_op_of(op);
    RESV_ASSERT(result == DATABASE_DONE);
    if (!state->found.found) {
        base_work_answer_read(work, RESV_NOT_FOUND);
        return;
    }
    const struct resv_reservation *row = &state->found.row;
    if (row->status != RESV_STATUS_HELD && row->status != RESV_STATUS_CONFIRMED) {
        base_work_answer_read(work, RESV_RELEASED); /* its seats are back already */
        return;
    }
    state->steps[0] = (struct database_step){.kind = DATABASE_BEGIN};
    state->steps[1] = (struct database_step){.kind = DATABASE_LOCK_CONCERT,
                                             .concert = {.concert_id = row->concert_id}};
    state->steps[2] = (struct database_step){
        .kind = DATABASE_CANCEL_RESERVATION,
        .reservation = {.id = op->id, .updated_ms = resv_wall_ms(work->host)}};
    work_run(work, state->steps, 3, row_changed);
}

/* In doubt too: the row then says whether the lost COMMIT was executed. */
static void begin(struct work *work)
{
    const struct resv_op *op = work->data;
    struct base_op *state = base_op_of(op);
    state->found = (struct database_reservation){.id = op->id};
    state->steps[0] = (struct database_step){.kind = DATABASE_READ_RESERVATIONS,
                                             .reservations = {.items = &state->found, .count = 1}};
    work_run(work, state->steps, 1, row_read);
}

static const struct work_owner owner_with_retries = {
    .begin = begin, .gave_up = base_work_gave_up, .pool = DATABASE_SALES, .retries = true};
static const struct work_owner owner_without = {
    .begin = begin, .gave_up = base_work_gave_up, .pool = DATABASE_SALES, .retries = false};

void base_release(struct base *base, struct resv_op *op)
{
    base_work_start(base, op, base->plan->retries ? &owner_with_retries : &owner_without);
}
