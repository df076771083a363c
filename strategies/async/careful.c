/* A batch's transaction, the careful way: the position and the concerts are locked, what the
 * decision needs is read, each event is decided in the log's order, and all of it is written.
 *
 * Invariants: every fact that a decision rests on is read behind the locks, in the transaction that
 * writes; an id that is there takes nothing again; what does not fit becomes a row that says so;
 * seats go back only when a row goes from live to cancelled; no event is passed over without a row,
 * but those that take nothing and those that are durable among the dead letters. */
#include <stdlib.h>
#include <string.h>

#include "batch.h"
#include "resvd/assert.h"
#include "resvd/crash_point.h"
#include "resvd/fault.h"

/* --- the end -------------------------------------------------------------------------------------
 */

static void nothing_written(struct work *work, enum database_result result)
{
    RESV_ASSERT(result == DATABASE_DONE);
    struct batch *batch = work->data;
    apply_end(batch, batch->planned_end);
}

static void end_without_writing(struct batch *batch, enum batch_end end)
{
    batch->planned_end = end;
    batch->steps_count = 0;
    apply_add_step(batch, DATABASE_ROLLBACK);
    /* What was read is settled: so it must be on disk. */
    if (end == BATCH_APPLIED && !RESV_FAULT(settles_what_is_not_durable))
        apply_add_step(batch, DATABASE_SYNC);
    work_run(&batch->work, batch->steps, batch->steps_count, nothing_written);
}

static void written(struct work *work, enum database_result result)
{
    struct batch *batch = work->data;
    switch (result) {
    case DATABASE_DONE:
        for (size_t i = 0; i < batch->concerts_count; i++) {
            struct batch_concert *concert = &batch->concerts[i];
            int64_t sold = concert->seen.sold + concert->taken - concert->given;
            concert->seen.sold = sold > 0 ? sold : 0;
            concert->seen_good = concert->seen.found;
        }
        apply_end(batch, BATCH_APPLIED);
        return;
    case DATABASE_DUPLICATE: /* written by another strategy, after it was looked for */
    case DATABASE_NO_PARENT: /* a member is gone since */
        break;
    case DATABASE_REFUSED:
    case DATABASE_LOCK_WAIT:
    case DATABASE_DEADLOCK:
    case DATABASE_FAILED:
    case DATABASE_LOST:
        RESV_ASSERT(false); /* none of its steps says so, or it is the machine's own */
    }
    end_without_writing(batch, BATCH_FAILED);
}

/* --- write ---------------------------------------------------------------------------------------
 */

static int compare_rows(const void *left, const void *right)
{
    const struct database_event_row *one = left, *other = right;
    return memcmp(one->id.bytes, other->id.bytes, RESV_ID_SIZE);
}

static void fill_rows(struct batch *batch)
{
    batch->rows_count = 0;
    for (size_t i = 0; i < batch->count; i++) {
        const struct batch_event *own = &batch->events[i];
        if (own->fate != FATE_CONFIRMED && own->fate != FATE_REJECTED)
            continue;
        batch->rows[batch->rows_count++] = (struct database_event_row){
            .id = own->event.id,
            .concert_id = own->event.concert_id,
            .member_id = own->event.member_id,
            .quantity = own->event.quantity,
            .created_ms = own->event.created_ms,
            .status = own->fate == FATE_CONFIRMED ? RESV_STATUS_CONFIRMED : RESV_STATUS_REJECTED,
        };
    }
    qsort(batch->rows, batch->rows_count, sizeof batch->rows[0], compare_rows);
}

static void add_seats(struct batch *batch, const struct batch_concert *concert)
{
    const int64_t net = concert->taken - concert->given;
    if (net == 0)
        return;
    struct database_step *step =
        apply_add_step(batch, net > 0 ? DATABASE_TAKE_SEATS : DATABASE_GIVE_BACK_SEATS);
    step->seats = (struct database_seats_step){.concert_id = concert->seen.concert_id,
                                               .seats = net > 0 ? net : -net};
}

static void write(struct batch *batch)
{
    const int64_t now_ms = resv_wall_ms(batch->work.host);
    RESV_CRASH_POINT(decided);
    fill_rows(batch);
    batch->steps_count = 0;
    apply_add_position(batch, DATABASE_MOVE_POSITION);
    if (batch->rows_count > 0)
        apply_add_step(batch, DATABASE_INSERT_EVENTS)->events =
            (struct database_events_step){.rows = batch->rows, .count = batch->rows_count};
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->events[i].fate == FATE_RELEASED)
            apply_add_step(batch, DATABASE_CANCEL_RESERVATION)->reservation =
                (struct database_cancel_step){.id = batch->events[i].event.id,
                                              .updated_ms = now_ms};
    }
    for (size_t i = 0; i < batch->concerts_count; i++)
        add_seats(batch, &batch->concerts[i]);
    apply_add_step(batch, DATABASE_COMMIT);
    work_try(&batch->work, batch->steps, batch->steps_count,
             WORK_DECIDES(DATABASE_DUPLICATE) | WORK_DECIDES(DATABASE_NO_PARENT), written);
    RESV_CRASH_POINT(committing);
}

/* --- decide --------------------------------------------------------------------------------------
 */

static int compare_members(const void *left, const void *right)
{
    const struct database_member *one = left, *other = right;
    return (one->id > other->id) - (one->id < other->id);
}

static struct database_member *seats_of(const struct batch_concert *concert, int64_t member_id)
{
    const struct database_member wanted = {.id = member_id};
    return concert->members_count == 0 ? NULL
                                       : bsearch(&wanted, concert->members, concert->members_count,
                                                 sizeof wanted, compare_members);
}

/* An accepted reservation may not fit: Redis had lost data and sold its seats twice, or capacity or
 * the limit were lowered meanwhile. The admin API refuses a capacity below what is sold, not one
 * below what is sold and pending, of which the database knows nothing: what is pending beyond it
 * becomes rows that say REJECTED: whatever comes in the log when nothing is left. */
static bool fits(const struct batch_concert *concert, const struct event *event,
                 const struct database_member *seats)
{
    const int64_t sold = concert->seen.sold + concert->taken - concert->given;
    if (event->quantity > concert->seen.capacity - sold)
        return false;
    return concert->seen.member_limit == RESV_NO_MEMBER_LIMIT ||
           event->quantity <= concert->seen.member_limit - seats->seats;
}

static enum fate decide_reserve(struct batch_event *own, struct batch_concert *concert)
{
    const struct event *event = &own->event;
    if (own->found->found)
        return FATE_THERE;
    if (!concert->seen.found || !own->member->found) {
        own->bad = concert->seen.found ? "unknown member" : "unknown concert";
        return FATE_DEAD;
    }
    struct database_member *seats = seats_of(concert, event->member_id);
    const bool taken = fits(concert, event, seats);
    if (taken) {
        concert->taken += event->quantity;
        if (seats != NULL)
            seats->seats += event->quantity;
    }
    own->found->found = true;
    own->found->row = (struct resv_reservation){
        .concert_id = event->concert_id,
        .member_id = event->member_id,
        .quantity = event->quantity,
        .status = taken ? RESV_STATUS_CONFIRMED : RESV_STATUS_REJECTED,
    };
    return taken ? FATE_CONFIRMED : FATE_REJECTED;
}

static enum fate decide_release(const struct batch_event *own, struct batch_concert *concert)
{
    struct resv_reservation *row = &own->found->row;
    const bool live = own->found->found && row->concert_id == own->event.concert_id &&
                      (row->status == RESV_STATUS_CONFIRMED || row->status == RESV_STATUS_HELD);
    if (!live && !(RESV_FAULT(release_twice_gives_back_twice) && own->found->found))
        return FATE_NOTHING;
    concert->given += row->quantity;
    struct database_member *seats = seats_of(concert, row->member_id);
    if (seats != NULL)
        seats->seats -= row->quantity;
    row->status = RESV_STATUS_CANCELLED;
    return FATE_RELEASED;
}

/* False: an event cannot be applied and is not among the dead letters yet. */
static bool decide_event(struct batch *batch, struct batch_event *own)
{
    if (own->fate == FATE_STALE)
        return true;
    if (own->fate == FATE_UNREADABLE)
        return own->lettered;
    struct batch_concert *concert = &batch->concerts[own->concert];
    switch (own->event.kind) {
    case EVENT_RESERVE:
        own->fate = decide_reserve(own, concert);
        break;
    case EVENT_RELEASE:
        own->fate = decide_release(own, concert);
        break;
    case EVENT_SETTLE:
        own->fate = FATE_NOTHING;
        break;
    }
    return own->fate != FATE_DEAD || own->lettered;
}

static void decide(struct batch *batch)
{
    bool good = true;
    for (size_t i = 0; i < batch->count; i++)
        good &= decide_event(batch, &batch->events[i]);
    if (good)
        write(batch);
    else
        end_without_writing(batch, BATCH_DEAD);
}

/* It was applied, by this process (whose COMMIT's answer was lost) or another. What is there is
 * settled again. */
static void tell_covered(struct batch *batch, int64_t position)
{
    batch->covered = true;
    batch->applied_to = position;
    for (size_t i = 0; i < batch->concerts_count; i++)
        batch->concerts[i].seen_good = batch->concerts[i].seen.found;
    for (size_t i = 0; i < batch->count; i++) {
        struct batch_event *own = &batch->events[i];
        if (own->fate == FATE_STALE || own->fate == FATE_UNREADABLE)
            continue;
        own->fate = own->event.kind != EVENT_RESERVE ? FATE_NOTHING
                    : own->found->found              ? FATE_THERE
                                                     : FATE_DEAD;
    }
    end_without_writing(batch, BATCH_APPLIED);
}

/* --- read ----------------------------------------------------------------------------------------
 */

static void go_on(struct batch *batch)
{
    const int64_t position = batch->found_at;
    if (position == batch->from)
        decide(batch);
    else
        tell_covered(batch, position);
}

static void seats_read(struct work *work, enum database_result result)
{
    RESV_ASSERT(result == DATABASE_DONE);
    struct batch *batch = work->data;
    go_on(batch);
}

/* Members of a concert's events, into what is left of batch->seats. */
static size_t collect_members(const struct batch *batch, const struct batch_concert *concert,
                              struct database_member *members)
{
    size_t count = 0, unique = 0;
    for (size_t i = 0; i < concert->events; i++) {
        const struct batch_event *own = &batch->events[batch->order[concert->first + i]];
        if (own->event.kind == EVENT_RESERVE)
            members[count++] = (struct database_member){.id = own->event.member_id};
        else if (own->event.kind == EVENT_RELEASE && own->found->found)
            members[count++] = (struct database_member){.id = own->found->row.member_id};
    }
    if (count == 0)
        return 0;
    qsort(members, count, sizeof *members, compare_members);
    for (size_t i = 1; i < count; i++) {
        if (members[i].id != members[unique].id)
            members[++unique] = members[i];
    }
    return unique + 1;
}

static void read_seats(struct batch *batch)
{
    struct database_member *room = batch->seats;
    batch->steps_count = 0;
    for (size_t i = 0; i < batch->concerts_count; i++) {
        struct batch_concert *concert = &batch->concerts[i];
        concert->members = room;
        concert->members_count = 0;
        if (!concert->seen.found || concert->seen.member_limit == RESV_NO_MEMBER_LIMIT)
            continue;
        concert->members_count = collect_members(batch, concert, room);
        room += concert->members_count;
        if (concert->members_count > 0)
            apply_add_step(batch, DATABASE_READ_MEMBER_SEATS)->members =
                (struct database_members_step){.concert_id = concert->seen.concert_id,
                                               .items = concert->members,
                                               .count = concert->members_count};
    }
    if (batch->steps_count > 0)
        work_run(&batch->work, batch->steps, batch->steps_count, seats_read);
    else
        go_on(batch);
}

static void note_concerts(struct batch *batch)
{
    struct hints *hints = &batch->async->hints;
    for (size_t i = 0; i < batch->concerts_count; i++) {
        struct batch_concert *concert = &batch->concerts[i];
        concert->seen = batch->steps[2 + i].concert; /* behind BEGIN and LOCK_POSITION */
        concert->taken = concert->given = 0;
        const struct concert_hint hint = {
            .concert_id = concert->seen.concert_id,
            .exists = concert->seen.found,
            .remaining = concert->seen.capacity - concert->seen.sold,
            .member_limit = concert->seen.member_limit,
            .fence = concert->seen.fence,
        };
        hints_put_concert(hints, &hint);
    }
    for (size_t i = 0; i < batch->members_count; i++) {
        if (batch->members[i].found)
            hints_put_member(hints, batch->members[i].id);
    }
}

static void facts_read(struct work *work, enum database_result result)
{
    RESV_ASSERT(result == DATABASE_DONE);
    struct batch *batch = work->data;
    const struct database_position_step *position = &batch->steps[1].position;
    batch->found_at = position->next_offset;
    batch->found_epoch = position->epoch;
    note_concerts(batch);
    const bool ahead = batch->found_at >= batch->to;
    if (batch->found_epoch != batch->epoch || (batch->found_at != batch->from && !ahead)) {
        end_without_writing(batch, BATCH_ELSEWHERE);
        return;
    }
    read_seats(batch);
}

/* --- what is asked for ---------------------------------------------------------------------------
 */

static int compare_ids(const void *left, const void *right)
{
    const struct database_reservation *one = left, *other = right;
    return memcmp(one->id.bytes, other->id.bytes, RESV_ID_SIZE);
}

/* Does its row have a part in what becomes of it? */
static bool has_row(const struct batch_event *own)
{
    return own->fate != FATE_STALE && own->fate != FATE_UNREADABLE &&
           own->event.kind != EVENT_SETTLE;
}

static void collect_ids(struct batch *batch)
{
    size_t count = 0, unique = 0;
    struct database_reservation *items = batch->reservations;
    for (size_t i = 0; i < batch->count; i++) {
        if (has_row(&batch->events[i]))
            items[count++] = (struct database_reservation){.id = batch->events[i].event.id};
    }
    batch->reservations_count = 0;
    if (count == 0)
        return;
    qsort(items, count, sizeof *items, compare_ids);
    for (size_t i = 1; i < count; i++) {
        if (compare_ids(&items[i], &items[unique]) != 0)
            items[++unique] = items[i];
    }
    batch->reservations_count = unique + 1;
}

static void collect_all_members(struct batch *batch)
{
    size_t count = 0, unique = 0;
    struct database_member *items = batch->members;
    for (size_t i = 0; i < batch->count; i++) {
        if (has_row(&batch->events[i]) && batch->events[i].event.kind == EVENT_RESERVE)
            items[count++] = (struct database_member){.id = batch->events[i].event.member_id};
    }
    batch->members_count = 0;
    if (count == 0)
        return;
    qsort(items, count, sizeof *items, compare_members);
    for (size_t i = 1; i < count; i++) {
        if (items[i].id != items[unique].id)
            items[++unique] = items[i];
    }
    batch->members_count = unique + 1;
}

static void point_to_facts(struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct batch_event *own = &batch->events[i];
        if (!has_row(own))
            continue;
        const struct database_reservation id = {.id = own->event.id};
        own->found =
            bsearch(&id, batch->reservations, batch->reservations_count, sizeof id, compare_ids);
        if (own->event.kind != EVENT_RESERVE)
            continue;
        const struct database_member member = {.id = own->event.member_id};
        own->member =
            bsearch(&member, batch->members, batch->members_count, sizeof member, compare_members);
    }
}

void careful_begin(struct batch *batch)
{
    batch->covered = false;
    batch->applied_to = batch->to;
    collect_ids(batch);
    collect_all_members(batch);
    point_to_facts(batch);
    batch->steps_count = 0;
    apply_add_step(batch, DATABASE_BEGIN);
    const bool locks = !RESV_FAULT(decides_without_locks);
    apply_add_position(batch, locks ? DATABASE_LOCK_POSITION : DATABASE_READ_POSITION);
    for (size_t i = 0; i < batch->concerts_count; i++)
        apply_add_step(batch, locks ? DATABASE_LOCK_CONCERT : DATABASE_READ_CONCERT)
            ->concert.concert_id = batch->concerts[i].seen.concert_id;
    if (batch->reservations_count > 0)
        apply_add_step(batch, DATABASE_READ_RESERVATIONS)->reservations =
            (struct database_reservations_step){.items = batch->reservations,
                                                .count = batch->reservations_count};
    if (batch->members_count > 0)
        apply_add_step(batch, DATABASE_READ_MEMBERS)->members =
            (struct database_members_step){.items = batch->members, .count = batch->members_count};
    work_run(&batch->work, batch->steps, batch->steps_count, facts_read);
}
