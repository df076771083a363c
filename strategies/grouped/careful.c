/* The careful way: lock the concert, read what the decision needs, decide, write. Two round trips;
 * three for the first group of a concert with a member limit.
 *
 * Invariants: every fact that a decision rests on is read behind the lock, in the transaction that
 * writes; no answer is given before that transaction has ended, since a refusal may rest on seats
 * that it takes, and an answer given again on a row that is still on its way to the disk; in doubt
 * every id is read, so that what an attempt before has written is found and never taken twice. */
#include "grouped.h"
#include "resvd/assert.h"
#include "resvd/fault.h"

/* --- the end ------------------------------------------------------------------------------------
 */

static void nothing_written(struct work *work, enum database_result result)
{
    RESV_ASSERT(result == DATABASE_DONE);
    grouped_finish(work->data);
}

/* Rows that were read and are answers have no COMMIT of this group's behind them: so a
 * DATABASE_SYNC sees to it that they are on disk. */
static void end_without_rows(struct group *group)
{
    struct database_step *steps = group->steps;
    size_t count = 0;
    steps[count++] = (struct database_step){.kind = DATABASE_ROLLBACK};
    if (group_promises_rows(group))
        steps[count++] = (struct database_step){.kind = DATABASE_SYNC};
    work_run(&group->work, steps, count, nothing_written);
}

static void contended(struct work *work, enum database_result result)
{
    RESV_ASSERT(result == DATABASE_DONE);
    grouped_finish_all(work->data, RESV_CONTENDED);
}

static void begin_anew(struct work *work, enum database_result result)
{
    RESV_ASSERT(result == DATABASE_DONE);
    grouped_go_carefully(work->data);
}

/* An id or a member was not as it was read: again, reading more. */
static void repeat(struct group *group)
{
    struct grouped_group *own = grouped_group_of(group);
    group_settle_rows(group);
    own->repeats++;
    work_rollback(&group->work, own->repeats < GROUPED_REPEATS_MAX ? begin_anew : contended);
}

static void written(struct work *work, enum database_result result)
{
    struct group *group = work->data;
    struct hints *hints = group->hints;
    switch (result) {
    case DATABASE_DONE:
        /* The seats were counted behind the lock that this transaction held until now. */
        RESV_ASSERT(group->steps[0].kind != DATABASE_TAKE_SEATS || group->steps[0].seats.changed);
        hints_take_seats(hints, group->concert_id, group->seats);
        grouped_finish(group);
        return;
    case DATABASE_DUPLICATE: /* somebody elsewhere, for another concert */
        grouped_group_of(group)->read_all = true;
        break;
    case DATABASE_NO_PARENT: /* a reset */
        hints_drop_members(hints);
        break;
    case DATABASE_REFUSED:
    case DATABASE_LOCK_WAIT:
    case DATABASE_DEADLOCK:
    case DATABASE_FAILED:
    case DATABASE_LOST:
        RESV_ASSERT(!"none of its steps says so, or the machine's own");
    }
    repeat(group);
}

/* --- write --------------------------------------------------------------------------------------
 */

static void answer_early(struct group *group)
{
    for (size_t i = 0; i < group->count; i++) {
        if (group->requests[i].op != NULL)
            grouped_answer(group, &group->requests[i], group->requests[i].outcome);
    }
}

static void write_rows(struct group *group)
{
    const int64_t concert_id = group->concert_id;
    struct database_step *steps = group->steps;
    const struct database_concert_step read = group->concert_step->concert;
    steps[0] = (struct database_step){
        .kind = DATABASE_TAKE_SEATS,
        .seats = {.concert_id = concert_id, .seats = group->seats},
    };
    if (RESV_FAULT(take_without_condition))
        steps[0] = (struct database_step){
            .kind = DATABASE_WRITE_SOLD,
            .seats = {.concert_id = concert_id, .seats = read.sold + group->seats},
        };
    steps[1] = (struct database_step){
        .kind = DATABASE_INSERT_RESERVATIONS,
        .insert = {.concert_id = concert_id,
                   .rows = group->rows,
                   .count = group->rows_count,
                   .created_ms = resv_wall_ms(group->work.host)},
    };
    steps[2] = (struct database_step){.kind = DATABASE_COMMIT};
    if (RESV_FAULT(answer_before_commit))
        answer_early(group);
    work_try(&group->work, steps, 3,
             WORK_DECIDES(DATABASE_DUPLICATE) | WORK_DECIDES(DATABASE_NO_PARENT), written);
}

static void held(struct work *work, enum database_result result)
{
    RESV_ASSERT(result == DATABASE_DONE);
    write_rows(work->data);
}

/* --- decide -------------------------------------------------------------------------------------
 */

static void decide(struct group *group)
{
    size_t takers;
    struct work *work = &group->work;
    const uint64_t hold_ms = grouped_group_of(group)->grouped->hold_ms;
    int64_t seats = decide_in_order(&group->seen, group->requests, group->count, &takers);
    for (size_t i = 0; i < group->count; i++) {
        if (group->requests[i].op != NULL)
            group_fill_outcome(&group->requests[i]);
    }
    if (takers == 0) {
        end_without_rows(group);
        return;
    }
    group_fill_rows(group);
    group->seats = seats;
    if (hold_ms > 0)
        work_pause(work, hold_ms, held);
    else
        write_rows(group);
}

/* --- read ---------------------------------------------------------------------------------------
 */

static struct database_step member_seats_step(const struct group *group)
{
    return (struct database_step){
        .kind = DATABASE_READ_MEMBER_SEATS,
        .members = {.concert_id = group->concert_id,
                    .items = group->members,
                    .count = group->members_count},
    };
}

static void seats_read(struct work *work, enum database_result result)
{
    RESV_ASSERT(result == DATABASE_DONE);
    decide(work->data);
}

/* With the members' seats already, in the same run. */
static void all_read(struct work *work, enum database_result result)
{
    struct group *group = work->data;
    RESV_ASSERT(result == DATABASE_DONE);
    group_note_concert(group);
    group_note_strangers(group);
    decide(group);
}

static void concert_read(struct work *work, enum database_result result)
{
    struct group *group = work->data;
    RESV_ASSERT(result == DATABASE_DONE);
    group_note_concert(group);
    group_note_strangers(group);
    if (group->seen.member_limit == RESV_NO_MEMBER_LIMIT) {
        decide(group);
        return;
    }
    /* Not known before: one more round trip, behind the lock. The concert's step stays in place. */
    struct database_step *step = &group->steps[GROUP_STEPS - 1];
    *step = member_seats_step(group);
    work_run(work, step, 1, seats_read);
}

void grouped_go_carefully(struct group *group)
{
    struct database_step *steps = group->steps;
    size_t count = 0;
    const struct concert_hint *hint = hints_find_concert(group->hints, group->concert_id);
    const bool limited = hint != NULL && hint->member_limit != RESV_NO_MEMBER_LIMIT;
    const bool in_doubt = group->work.in_doubt && !RESV_FAULT(in_doubt_goes_plain);
    group_prepare_reads(group, in_doubt || grouped_group_of(group)->read_all);

    steps[count++] = (struct database_step){.kind = DATABASE_BEGIN};
    if (limited && RESV_FAULT(member_limit_before_lock))
        steps[count++] = member_seats_step(group);
    group->concert_step = &steps[count];
    steps[count++] = (struct database_step){
        .kind = RESV_FAULT(take_without_condition) ? DATABASE_READ_CONCERT : DATABASE_LOCK_CONCERT,
        .concert = {.concert_id = group->concert_id}};
    if (group->reservations_count > 0)
        steps[count++] = (struct database_step){
            .kind = DATABASE_READ_RESERVATIONS,
            .reservations = {.items = group->reservations, .count = group->reservations_count}};
    if (group->strangers_count > 0)
        steps[count++] = (struct database_step){
            .kind = DATABASE_READ_MEMBERS,
            .members = {.items = group->strangers, .count = group->strangers_count}};
    if (limited && !RESV_FAULT(member_limit_before_lock))
        steps[count++] = member_seats_step(group);
    resv_metric_add(group->work.host, &grouped_metrics, METRIC_CAREFUL, 1);
    work_run(&group->work, steps, count, limited ? all_read : concert_read);
}
