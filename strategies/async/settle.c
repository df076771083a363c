/* After a COMMIT: each of its concerts' numbers in Redis become the database's, and the ids that
 * have their rows leave pending (settle.lua).
 *
 * Invariants: nothing is settled that is not durable; an id that may still get a row stays in
 * pending; a settle whose answer was lost is sent again as it was, which changes nothing if it was
 * executed. One that cannot be sent for long is given up: the next one of its concert, or the
 * sweep, puts right what it leaves behind, which is never too much stock; and members' seats are
 * counted anew then, as behind a batch that was never settled because its consumer had died. For
 * that each settle names its owner: who has settled everything of the partition since it came. */
#include <string.h>

#include "barrier.h"
#include "consumer.h"
#include "resvd/assert.h"
#include "resvd/crash_point.h"
#include "resvd/fault.h"
#include "scripts.h"

#define TRIES_MAX      20
#define PAUSE_FIRST_MS 10
#define PAUSE_MAX_MS   500

/* --- calls ---------------------------------------------------------------------------------------
 */

static void all_answered(struct batch *batch);

static void note_answer(struct batch_concert *concert, const struct redis_reply *reply)
{
    struct resv_host *host = concert->batch->async->base.host;
    concert->settled = true;
    switch (redis_reply_integer(reply, 0)) {
    case -3: /* who wants to sell need not find that out first; no room is no harm */
        if (!concert->barrier && kafka_link_is_up(concert->batch->async->kafka))
            barrier_publish(concert->batch->async, concert->seen.concert_id, NULL, NULL);
        concert->closed = true;
        break;
    case -1:
        concert->closed = true;
        break;
    case 0:
        resv_metric_add(host, &async_metrics, METRIC_SETTLES_IGNORED, 1);
        break;
    default:
        break;
    }
}

static void answered(struct redis_call *call)
{
    struct batch_concert *concert = call->data;
    struct batch *batch = concert->batch;
    if (call->result == REDIS_DONE)
        note_answer(concert, call->reply);
    RESV_ASSERT(batch->calls > 0);
    batch->calls--;
    if (batch->calls == 0)
        all_answered(batch);
}

/* Its row is there for good, or it will never have one. */
static bool has_left_pending(const struct batch_event *own)
{
    switch (own->fate) {
    case FATE_CONFIRMED:
    case FATE_REJECTED:
    case FATE_THERE:
    case FATE_DEAD:
        return own->event.kind == EVENT_RESERVE;
    case FATE_OPEN:
    case FATE_RELEASED:
    case FATE_NOTHING:
    case FATE_STALE:
    case FATE_UNREADABLE:
        break;
    }
    return false;
}

static void add_ids(struct arguments *arguments, const struct batch *batch, size_t index)
{
    const size_t count_at = arguments->count;
    int64_t count = 0;
    arguments_add_number(arguments, 0);
    const struct batch_concert *concert = &batch->concerts[index];
    for (size_t i = 0; i < concert->events; i++) {
        const struct batch_event *own = &batch->events[batch->order[concert->first + i]];
        if (!has_left_pending(own))
            continue;
        arguments_add(arguments, own->event.id.bytes, RESV_ID_SIZE);
        arguments_add(arguments, own->event.keyed && own->fate != FATE_DEAD ? "k" : "-", 1);
        count++;
    }
    arguments_set_number(arguments, count_at, count);
}

static void settle_one(struct batch *batch, size_t index)
{
    struct async *async = batch->async;
    struct arguments *arguments = &async->consumer->arguments;
    struct batch_concert *concert = &batch->concerts[index];
    const struct database_concert_step *seen = &concert->seen;
    arguments_clear(arguments);
    arguments_add_run(arguments, async);
    arguments_add_number(arguments, batch->epoch);
    arguments_add_number(arguments, RESV_FAULT(settle_without_position) ? RESV_INTEGER_MAX
                                                                        : batch->applied_to);
    arguments_add_number(arguments, concert->seen_good ? seen->capacity : 0);
    arguments_add_number(arguments, concert->seen_good ? seen->sold : 0);
    arguments_add_number(arguments, concert->seen_good ? seen->member_limit : 0);
    arguments_add_number(arguments, concert->applied_ms);
    arguments_add_number(arguments, resv_wall_ms(async->base.host));
    arguments_add(arguments, batch->owner, BATCH_OWNER_SIZE);
    add_ids(arguments, batch, index);
    for (size_t i = 0; i < concert->members_count; i++) {
        arguments_add_number(arguments, concert->members[i].id);
        arguments_add_number(arguments, concert->members[i].seats);
    }
    concert->call.data = concert;
    concert->call.done = answered;
    batch->calls++;
    arguments_run(arguments, async, &concert->call, &async_settle, seen->concert_id);
}

static void send_all(struct batch *batch)
{
    for (size_t i = 0; i < batch->concerts_count; i++) {
        if (!batch->concerts[i].settled)
            settle_one(batch, i);
    }
    RESV_CRASH_POINT(settling);
}

/* --- the end -------------------------------------------------------------------------------------
 */

/* Gates that a barrier found closed are opened one by one. */
static void rebuild_next(struct batch *batch)
{
    for (size_t i = 0; i < batch->concerts_count; i++) {
        struct batch_concert *concert = &batch->concerts[i];
        if (!concert->barrier || !concert->closed || !concert->seen_good)
            continue;
        if (batch->async->consumer->abandoned)
            break;
        concert->closed = false;
        batch->place = BATCH_REBUILDING;
        rebuild_start(batch, i);
        return;
    }
    consumer_settled(batch);
}

void settle_rebuilt(struct batch *batch, bool opened)
{
    if (opened)
        resv_metric_add(batch->async->base.host, &async_metrics, METRIC_GATES_OPENED, 1);
    batch->place = BATCH_SETTLING;
    rebuild_next(batch);
}

static void pause_over(struct resv_timer *timer)
{
    send_all(timer->data);
}

static void all_answered(struct batch *batch)
{
    struct async *async = batch->async;
    bool settled = true;
    for (size_t i = 0; i < batch->concerts_count; i++)
        settled &= batch->concerts[i].settled;
    if (settled || async->consumer->abandoned || ++batch->settle_tries >= TRIES_MAX) {
        if (!settled)
            consumer_settle_missed(batch->partition);
        rebuild_next(batch);
        return;
    }
    uint64_t pause_ms = (uint64_t)PAUSE_FIRST_MS
                        << (batch->settle_tries < 6 ? batch->settle_tries : 6);
    resv_timer_start(async->base.host, &batch->pause,
                     pause_ms < PAUSE_MAX_MS ? pause_ms : PAUSE_MAX_MS);
}

static void nothing_to_settle(struct resv_timer *timer)
{
    consumer_settled(timer->data);
}

void settle_start(struct batch *batch)
{
    RESV_ASSERT(batch->calls == 0);
    batch->pause = (struct resv_timer){.fired = pause_over, .data = batch};
    /* What others have applied since is in these numbers, but not their members' seats. */
    if (batch->covered && batch->applied_to != batch->to)
        consumer_settle_missed(batch->partition);
    for (size_t i = 0; i < batch->concerts_count; i++)
        batch->concerts[i].settled = batch->concerts[i].closed = false;
    if (batch->concerts_count > 0) {
        send_all(batch);
        return;
    }
    batch->pause.fired = nothing_to_settle;
    resv_timer_start(batch->async->base.host, &batch->pause, 0);
}

/* A call under way comes back by itself. */
void settle_stop(struct batch *batch)
{
    if (batch->calls > 0 || batch->concerts_count == 0)
        return;
    resv_timer_start(batch->async->base.host, &batch->pause, 0);
    batch->pause.fired = nothing_to_settle;
}
