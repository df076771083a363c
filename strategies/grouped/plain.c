/* The plain way: a group whose every request gets its seats, in one round trip.
 *
 * Invariant: all or nothing. The database itself refuses when the seats do not fit, the concert has
 * a member limit, an id is there already, or a member or the concert is not there; then nothing was
 * taken, and the careful way finds out for whom. Never taken in doubt: a row of the attempt before
 * would count its seats twice in what fits.
 *
 * The rows go before the seats: once they are in, their foreign key keeps the concert there, so the
 * UPDATE finds it. The other way round, a concert that is made between the two would have rows and
 * no seats taken. The lock comes first of all, since two transactions that both have the foreign
 * key's shared lock could only deadlock; and what it reads is remembered. */
#include "grouped.h"
#include "resvd/assert.h"
#include "resvd/fault.h"

static void rolled_back(struct work *work, enum database_result result)
{
    struct group *group = work->data;
    RESV_ASSERT(result == DATABASE_DONE);
    if (RESV_FAULT(neighbours_granted_after_refusal))
        grouped_finish(group);
    else
        grouped_go_carefully(group);
}

static void done(struct work *work, enum database_result result)
{
    struct group *group = work->data;
    struct hints *hints = group->hints;
    switch (result) {
    case DATABASE_DONE:
        group_note_concert(group);
        hints_take_seats(hints, group->concert_id, group->seats);
        for (size_t i = 0; i < group->rows_count; i++)
            hints_put_member(hints, group->rows[i].member_id);
        grouped_finish(group);
        return;
    case DATABASE_NO_PARENT:
        hints_drop_members(hints); /* after a reset somebody remembered may be gone */
        break;
    case DATABASE_DUPLICATE:
    case DATABASE_REFUSED:
        break;
    case DATABASE_LOCK_WAIT:
    case DATABASE_DEADLOCK:
    case DATABASE_FAILED:
    case DATABASE_LOST:
        RESV_ASSERT(!"the machine's own");
    }
    group_settle_rows(group);
    work_rollback(work, rolled_back);
}

void grouped_go_plain(struct group *group)
{
    struct resv_host *host = group->work.host;
    const int64_t concert_id = group->concert_id;
    for (size_t i = 0; i < group->count; i++)
        group->requests[i].verdict = VERDICT_TAKE;
    group_fill_rows(group);
    struct database_step *steps = group->steps;
    steps[0] = (struct database_step){.kind = DATABASE_BEGIN};
    group->concert_step = &steps[1];
    steps[1] = (struct database_step){.kind = DATABASE_LOCK_CONCERT,
                                      .concert = {.concert_id = concert_id}};
    steps[2] = (struct database_step){
        .kind = DATABASE_INSERT_RESERVATIONS,
        .insert = {.concert_id = concert_id,
                   .rows = group->rows,
                   .count = group->rows_count,
                   .created_ms = resv_wall_ms(host)},
    };
    steps[3] = (struct database_step){
        .kind = DATABASE_TAKE_SEATS_OR_FAIL,
        .seats = {.concert_id = concert_id, .seats = group->seats},
    };
    steps[4] = (struct database_step){.kind = DATABASE_COMMIT};
    resv_metric_add(host, &grouped_metrics, METRIC_PLAIN, 1);
    work_try(&group->work, steps, 5,
             WORK_DECIDES(DATABASE_DUPLICATE) | WORK_DECIDES(DATABASE_NO_PARENT) |
                 WORK_DECIDES(DATABASE_REFUSED),
             done);
}
