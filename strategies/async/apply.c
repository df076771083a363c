/* A batch's transaction: the plain way, and what both ways share.
 *
 * Plain: one run, for reservations of concerts without a member limit, where everybody is known and
 * all fit: the position moves, the rows go in, each concert's seats are taken if they fit, and what
 * the concerts are then is read. Whatever does not go that way is rolled back and goes the careful
 * way (careful.c).
 *
 * Invariants: the position moves from where this process knows it to be, in the transaction that
 * writes the rows, or nothing is written: so an event is applied once, whoever else reads it; in
 * doubt about a COMMIT it is the position that tells; what is settled was read in the transaction
 * that was committed, or behind a DATABASE_SYNC. */
#include <stdlib.h>
#include <string.h>

#include "batch.h"
#include "resvd/assert.h"
#include "resvd/crash_point.h"
#include "resvd/fault.h"

#define NS_PER_MS 1000000ULL
#define LIMIT_MS  30000
#define DOUBT_MS  60000

/* --- steps ---------------------------------------------------------------------------------------
 */

struct database_step *apply_add_step(struct batch *batch, enum database_step_kind kind)
{
    RESV_ASSERT(batch->steps_count < BATCH_STEPS_MAX);
    struct database_step *step = &batch->steps[batch->steps_count++];
    *step = (struct database_step){.kind = kind};
    return step;
}

void apply_add_position(struct batch *batch, enum database_step_kind kind)
{
    struct database_step *step = apply_add_step(batch, kind);
    step->position = (struct database_position_step){
        .topic = kafka_link_topic(batch->async->kafka),
        .partition = batch->partition_number,
        .from = batch->from,
        .to = batch->to,
        .updated_ms = resv_wall_ms(batch->async->base.host),
        .epoch = batch->epoch,
    };
}

void apply_add_seen(struct batch *batch)
{
    for (size_t i = 0; i < batch->concerts_count; i++) {
        struct database_step *step = apply_add_step(batch, DATABASE_READ_CONCERT);
        step->concert.concert_id = batch->concerts[i].seen.concert_id;
    }
}

void apply_note_seen(struct batch *batch)
{
    size_t at = 0;
    while (batch->steps[at].kind != DATABASE_READ_CONCERT && at < batch->steps_count)
        at++;
    for (size_t i = 0; i < batch->concerts_count; i++, at++) {
        const struct database_concert_step *read = &batch->steps[at].concert;
        RESV_ASSERT(batch->steps[at].kind == DATABASE_READ_CONCERT &&
                    read->concert_id == batch->concerts[i].seen.concert_id);
        batch->concerts[i].seen = *read;
        batch->concerts[i].seen_good = read->found;
        const struct concert_hint hint = {
            .concert_id = read->concert_id,
            .exists = read->found,
            .remaining = read->capacity - read->sold,
            .member_limit = read->member_limit,
            .fence = read->fence,
        };
        hints_put_concert(&batch->async->hints, &hint);
    }
}

/* --- the end -------------------------------------------------------------------------------------
 */

void apply_end(struct batch *batch, enum batch_end end)
{
    work_finish(&batch->work);
    consumer_applied(batch, end);
}

static void gave_up(struct work *work, enum resv_outcome outcome)
{
    (void)outcome; /* whatever it was: the position will tell */
    consumer_applied(work->data, BATCH_FAILED);
}

/* --- the plain way -------------------------------------------------------------------------------
 */

static void rolled_back(struct work *work, enum database_result result)
{
    RESV_ASSERT(result == DATABASE_DONE);
    careful_begin(work->data);
}

static void plain_done(struct work *work, enum database_result result)
{
    struct batch *batch = work->data;
    if (result != DATABASE_DONE) {
        batch->plain = false;
        work_rollback(work, rolled_back);
        return;
    }
    for (size_t i = 0; i < batch->count; i++)
        batch->events[i].fate = FATE_CONFIRMED;
    apply_note_seen(batch);
    apply_end(batch, BATCH_APPLIED);
}

static int compare_rows(const void *left, const void *right)
{
    const struct database_event_row *one = left, *other = right;
    return memcmp(one->id.bytes, other->id.bytes, RESV_ID_SIZE);
}

static void fill_plain_rows(struct batch *batch)
{
    for (size_t i = 0; i < batch->concerts_count; i++)
        batch->concerts[i].taken = batch->concerts[i].given = 0;
    for (size_t i = 0; i < batch->count; i++) {
        const struct event *event = &batch->events[i].event;
        batch->rows[i] = (struct database_event_row){
            .id = event->id,
            .concert_id = event->concert_id,
            .member_id = event->member_id,
            .quantity = event->quantity,
            .created_ms = event->created_ms,
            .status = RESV_STATUS_CONFIRMED,
        };
        batch->concerts[batch->events[i].concert].taken += event->quantity;
    }
    batch->rows_count = batch->count;
    qsort(batch->rows, batch->rows_count, sizeof batch->rows[0], compare_rows);
}

static void go_plainly(struct batch *batch)
{
    fill_plain_rows(batch);
    batch->applied_to = batch->to;
    batch->steps_count = 0;
    if (!RESV_FAULT(position_by_itself)) /* each statement commits then */
        apply_add_step(batch, DATABASE_BEGIN);
    apply_add_position(batch, DATABASE_MOVE_POSITION);
    apply_add_step(batch, DATABASE_INSERT_EVENTS)->events =
        (struct database_events_step){.rows = batch->rows, .count = batch->rows_count};
    for (size_t i = 0; i < batch->concerts_count; i++)
        apply_add_step(batch, DATABASE_TAKE_SEATS_OR_FAIL)->seats = (struct database_seats_step){
            .concert_id = batch->concerts[i].seen.concert_id, .seats = batch->concerts[i].taken};
    apply_add_seen(batch);
    apply_add_step(batch, DATABASE_COMMIT);
    work_try(&batch->work, batch->steps, batch->steps_count,
             WORK_DECIDES(DATABASE_DUPLICATE) | WORK_DECIDES(DATABASE_NO_PARENT) |
                 WORK_DECIDES(DATABASE_REFUSED),
             plain_done);
    RESV_CRASH_POINT(committing);
}

/* --- begin ---------------------------------------------------------------------------------------
 */

/* Sums that no concert could have: they would not even be numbers to take. */
static bool sums_are_sane(const struct batch *batch)
{
    int64_t left = RESV_INTEGER_MAX;
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->events[i].event.quantity > left)
            return false;
        left -= batch->events[i].event.quantity;
    }
    return true;
}

static void begin(struct work *work)
{
    struct batch *batch = work->data;
    if (work->in_doubt || !sums_are_sane(batch))
        batch->plain = false;
    if (batch->plain)
        go_plainly(batch);
    else
        careful_begin(batch);
}

static const struct work_owner owner = {
    .begin = begin,
    .gave_up = gave_up,
    .pool = DATABASE_SALES,
    .retries = true,
};

void apply_start(struct batch *batch)
{
    struct async *async = batch->async;
    const uint64_t now_ns = resv_now_ns(async->base.host);
    batch->work = (struct work){
        .host = async->base.host,
        .link = async->base.link,
        .owner = &owner,
        .counters = &async->base.counters,
        .data = batch,
        .deadline_ns = now_ns + LIMIT_MS * NS_PER_MS,
        .doubt_ns = now_ns + DOUBT_MS * NS_PER_MS,
    };
    work_start(&batch->work);
}
