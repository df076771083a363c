/* Records become a batch: read, sorted by concert, the way chosen.
 *
 * Invariants: a batch ends before the event with which it would be too large for one run of steps;
 * an event belongs to its concert if it can be read and is of the database's epoch; what a record
 * holds is copied, as it does not stay. */
#include <stdlib.h>

#include "consumer.h"
#include "letters.h"
#include "resvd/assert.h"

#define NS_PER_MS 1000000ULL

/* --- memory -------------------------------------------------------------------------------------
 */

bool allocate_batch(struct batch *batch, struct async *async)
{
    const size_t max = async->batch_max;
    batch->async = async;
    batch->events = calloc(max, sizeof *batch->events);
    batch->order = calloc(max, sizeof *batch->order);
    batch->rows = calloc(max, sizeof *batch->rows);
    batch->reservations = calloc(max, sizeof *batch->reservations);
    batch->members = calloc(max, sizeof *batch->members);
    batch->seats = calloc(max, sizeof *batch->seats);
    return batch->events != NULL && batch->order != NULL && batch->rows != NULL &&
           batch->reservations != NULL && batch->members != NULL && batch->seats != NULL &&
           rebuild_create(batch);
}

void release_batch(struct batch *batch)
{
    free(batch->events);
    free(batch->order);
    free(batch->rows);
    free(batch->reservations);
    free(batch->members);
    free(batch->seats);
    rebuild_destroy(batch);
}

/* --- events -------------------------------------------------------------------------------------
 */

/* Behind what was read, in any order; sorted when the batch is full. NULL: no room. */
static struct batch_concert *add_concert(struct batch *batch, int64_t concert_id)
{
    for (size_t i = batch->concerts_count; i > 0; i--) {
        if (batch->concerts[i - 1].seen.concert_id == concert_id)
            return &batch->concerts[i - 1];
    }
    if (batch->concerts_count == BATCH_CONCERTS_MAX)
        return NULL;
    struct batch_concert *concert = &batch->concerts[batch->concerts_count++];
    *concert = (struct batch_concert){.batch = batch};
    concert->seen.concert_id = concert_id;
    return concert;
}

static void keep_letter(struct batch *batch, const struct kafka_record *record, const char *reason)
{
    struct batch_letter *letter = &batch->letters[batch->letters_count++];
    letter->index = batch->count;
    letter_write_key(letter->key, batch->partition_number, record->offset);
    letter->size = letter_write(letter->text, reason, record->payload, record->payload_size);
}

static bool knows(const struct hints *hints, const struct event *event)
{
    const struct concert_hint *hint = hints_find_concert(hints, event->concert_id);
    return hint != NULL && hint->exists && hint->member_limit == RESV_NO_MEMBER_LIMIT &&
           hints_know_member(hints, event->member_id);
}

/* False: it does not fit into this batch. */
static bool add_event(struct batch *batch, const struct kafka_record *record)
{
    struct batch_event *own = &batch->events[batch->count];
    *own = (struct batch_event){.offset = record->offset};
    const char *bad = record->payload == NULL
                          ? "empty"
                          : event_read(record->payload, record->payload_size, &own->event);
    if (bad != NULL) {
        if (batch->letters_count == BATCH_LETTERS_MAX)
            return false;
        own->bad = bad;
        own->fate = FATE_UNREADABLE;
        keep_letter(batch, record, bad);
        batch->plain = false;
        return true;
    }
    /* A barrier takes nothing, and who wrote it may not have heard of the reset yet. */
    if (own->event.epoch < batch->epoch && own->event.kind != EVENT_SETTLE) {
        own->fate = FATE_STALE;
        batch->plain = false; /* that way makes a row of each */
        return true;
    }
    if (own->event.kind == EVENT_RELEASE && batch->releases == BATCH_RELEASES_MAX)
        return false;
    struct batch_concert *concert = add_concert(batch, own->event.concert_id);
    if (concert == NULL)
        return false;
    concert->events++;
    concert->barrier |= own->event.kind == EVENT_SETTLE;
    if (own->event.created_ms > concert->applied_ms)
        concert->applied_ms = own->event.created_ms;
    batch->reserves += own->event.kind == EVENT_RESERVE;
    batch->releases += own->event.kind == EVENT_RELEASE;
    if (own->event.kind != EVENT_RESERVE || own->event.epoch != batch->epoch ||
        !knows(&batch->async->hints, &own->event))
        batch->plain = false;
    return true;
}

static int compare_concerts(const void *left, const void *right)
{
    const struct batch_concert *one = left, *other = right;
    return (one->seen.concert_id > other->seen.concert_id) -
           (one->seen.concert_id < other->seen.concert_id);
}

static size_t index_of(const struct batch *batch, int64_t concert_id)
{
    struct batch_concert wanted = {.seen = {.concert_id = concert_id}};
    const struct batch_concert *found =
        bsearch(&wanted, batch->concerts, batch->concerts_count, sizeof wanted, compare_concerts);
    RESV_ASSERT(found != NULL);
    return (size_t)(found - batch->concerts);
}

static void sort_concerts(struct batch *batch)
{
    size_t next = 0;
    qsort(batch->concerts, batch->concerts_count, sizeof batch->concerts[0], compare_concerts);
    for (size_t i = 0; i < batch->concerts_count; i++) {
        struct batch_concert *concert = &batch->concerts[i];
        concert->first = next;
        next += concert->events;
        concert->events = 0;
    }
    for (size_t i = 0; i < batch->count; i++) {
        struct batch_event *own = &batch->events[i];
        if (own->fate == FATE_UNREADABLE || own->fate == FATE_STALE)
            continue;
        own->concert = index_of(batch, own->event.concert_id);
        struct batch_concert *concert = &batch->concerts[own->concert];
        batch->order[concert->first + concert->events++] = i;
    }
}

bool fill_batch(struct batch *batch)
{
    struct partition *partition = batch->partition;
    struct async *async = batch->async;
    struct kafka_record *records = async->consumer->records;
    batch->count = batch->concerts_count = batch->reserves = batch->releases = 0;
    batch->letters_count = 0;
    batch->settle_tries = 0;
    batch->plain = true;
    batch->covered = false;
    batch->to = batch->from;
    size_t count = kafka_peek(async->kafka, partition->number, records, async->batch_max);
    for (size_t i = 0; i < count; i++) {
        if (records[i].offset < batch->from)
            continue; /* applied already */
        if (!add_event(batch, &records[i]))
            break;
        batch->count++;
        batch->to = records[i].offset + 1;
    }
    partition->has_records = false; /* told again when the batch is over */
    sort_concerts(batch);
    return batch->count > 0;
}

/* --- metrics ------------------------------------------------------------------------------------
 */

static void count_event(const struct batch *batch, const struct batch_event *own, int64_t now_ms)
{
    struct resv_host *host = batch->async->base.host;
    switch (own->fate) {
    case FATE_CONFIRMED:
    case FATE_REJECTED:
        resv_metric_observe(host, &async_metrics, METRIC_ROW_SECONDS,
                            now_ms > own->event.created_ms
                                ? (uint64_t)(now_ms - own->event.created_ms) * NS_PER_MS
                                : 0);
        if (own->fate == FATE_REJECTED)
            resv_metric_add(host, &async_metrics, METRIC_REJECTED, 1);
        break;
    case FATE_THERE:
        resv_metric_add(host, &async_metrics, METRIC_DUPLICATES, 1);
        break;
    case FATE_STALE:
        resv_metric_add(host, &async_metrics, METRIC_STALE, 1);
        break;
    case FATE_DEAD:
    case FATE_UNREADABLE:
        resv_metric_add(host, &async_metrics, METRIC_DEAD_LETTERS, 1);
        break;
    case FATE_OPEN:
    case FATE_RELEASED:
    case FATE_NOTHING:
        break;
    }
}

void count_batch(const struct batch *batch)
{
    struct resv_host *host = batch->async->base.host;
    const int64_t now_ms = resv_wall_ms(host);
    for (size_t i = 0; i < batch->count; i++)
        count_event(batch, &batch->events[i], now_ms);
    resv_metric_add(host, &async_metrics, batch->plain ? METRIC_PLAIN : METRIC_CAREFUL, 1);
    resv_metric_observe(host, &async_metrics, METRIC_BATCH_EVENTS, batch->count);
    resv_metric_observe(host, &async_metrics, METRIC_BATCH_SECONDS,
                        resv_now_ns(host) - batch->began_ns);
}
