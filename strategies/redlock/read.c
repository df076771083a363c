/* What a decision under the lock rests on: read without a row lock and without a transaction.
 *
 * Invariants: the concert is read first, so that whoever has a row got it before or is found with
 * it, and what is refused was so at that moment; with a member limit it is read once more behind
 * the members' seats, and the facts are used only when its fence has not moved in between: then
 * nobody has sold, and no limit has changed. In doubt every id is read, so that what an attempt
 * before has written is found. Nothing here makes a write safe: the fence that was read first does
 * (sale.c). */
#include "redlock.h"
#include "resvd/assert.h"

/* The last two places: the rest of the steps stays as it was read. */
enum { STEP_SEATS = GROUP_STEPS - 2, STEP_CONCERT_AGAIN = GROUP_STEPS - 1 };

static struct database_step concert_step(const struct turn *turn)
{
    return (struct database_step){.kind = DATABASE_READ_CONCERT,
                                  .concert = {.concert_id = turn->group.concert_id}};
}

static struct database_step seats_step(const struct turn *turn)
{
    return (struct database_step){.kind = DATABASE_READ_MEMBER_SEATS,
                                  .members = {.concert_id = turn->group.concert_id,
                                              .items = turn->group.members,
                                              .count = turn->group.members_count}};
}

/* Steps that read the members' seats between two looks at the concert: have they seen the same? */
static void seats_read(struct work *work, enum database_result result)
{
    struct turn *turn = work->data;
    struct group *group = &turn->group;
    const struct database_concert_step *before = &group->concert_step->concert;
    const struct database_concert_step *after = &turn->again->concert;
    RESV_ASSERT(result == DATABASE_DONE);
    const bool as_before = before->found == after->found && before->fence == after->fence;
    /* When it has moved too often, nothing is decided on it but rows that are there. */
    if (as_before || turn->repeats >= REDLOCK_REPEATS_MAX || ++turn->repeats == REDLOCK_REPEATS_MAX)
        sale_decide(turn);
    else
        sale_read(turn);
}

static void all_read(struct work *work, enum database_result result)
{
    struct turn *turn = work->data;
    RESV_ASSERT(result == DATABASE_DONE);
    group_note_concert(&turn->group);
    group_note_strangers(&turn->group);
    turn->stale = false;
    seats_read(work, DATABASE_DONE);
}

static void concert_read(struct work *work, enum database_result result)
{
    struct turn *turn = work->data;
    struct group *group = &turn->group;
    RESV_ASSERT(result == DATABASE_DONE);
    group_note_concert(group);
    group_note_strangers(group);
    turn->stale = false;
    if (group->seen.member_limit == RESV_NO_MEMBER_LIMIT) {
        sale_decide(turn);
        return;
    }
    /* Not known before: one more round trip. */
    turn->again = &group->steps[STEP_CONCERT_AGAIN];
    group->steps[STEP_SEATS] = seats_step(turn);
    group->steps[STEP_CONCERT_AGAIN] = concert_step(turn);
    work_run(work, &group->steps[STEP_SEATS], 2, seats_read);
}

void sale_read(struct turn *turn)
{
    struct group *group = &turn->group;
    struct database_step *steps = group->steps;
    size_t count = 0;
    const struct concert_hint *hint = hints_find_concert(group->hints, group->concert_id);
    const bool limited = hint != NULL && hint->member_limit != RESV_NO_MEMBER_LIMIT;
    group_prepare_reads(group, group->work.in_doubt || turn->read_all);

    group->concert_step = &steps[count];
    steps[count++] = concert_step(turn);
    if (group->reservations_count > 0)
        steps[count++] = (struct database_step){
            .kind = DATABASE_READ_RESERVATIONS,
            .reservations = {.items = group->reservations, .count = group->reservations_count}};
    if (group->strangers_count > 0)
        steps[count++] = (struct database_step){
            .kind = DATABASE_READ_MEMBERS,
            .members = {.items = group->strangers, .count = group->strangers_count}};
    if (limited) {
        steps[count++] = seats_step(turn);
        turn->again = &steps[count];
        steps[count++] = concert_step(turn);
    }
    if (turn->read_first > 0)
        turn->read_first--;
    work_run(&group->work, steps, count, limited ? all_read : concert_read);
}
