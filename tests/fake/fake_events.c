/* The fake's log of events, its consumer and its dead letters. See the header.
 *
 * Invariant: a concert's `pending` is the seats of its PENDING records, and each of these has its
 * one reserve event in the log.
 */
#include "fake_events.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_store_internal.h"
#include "resvd/assert.h"

enum event_kind { EVENT_RESERVE, EVENT_RELEASE, EVENT_OPEN_GATE };

struct event {
    enum event_kind kind;
    struct resv_id id;
    int64_t concert_id;
    enum fake_fate fate;
};

struct letter {
    struct resv_dead_letter shown;
    int64_t offset;
    struct event event;
};

struct fake_events {
    struct fake_store *store;
    bool paused;
    struct event *log; /* a ring */
    size_t first;
    size_t count;
    struct letter *letters; /* by offset */
    size_t letter_count;
    int64_t next_letter_offset;
};

/* --- the log ---------------------------------------------------------------------------------- */

static bool has_room(const struct fake_events *events)
{
    return events->count < FAKE_EVENTS_MAX;
}

static void append(struct fake_events *events, const struct event *event)
{
    RESV_ASSERT(has_room(events));
    events->log[(events->first + events->count++) % FAKE_EVENTS_MAX] = *event;
}

void fake_events_pause(struct fake_events *events, bool paused)
{
    events->paused = paused;
}

bool fake_events_waiting(const struct fake_events *events)
{
    return events->count > 0 && !events->paused;
}

/* --- the consumer ----------------------------------------------------------------------------- */

static void add_letter(struct fake_events *events, const struct event *event,
                       const struct resv_reservation *reservation, int64_t wall_ms)
{
    if (events->letter_count == FAKE_LETTERS_MAX)
        return;
    struct letter *letter = &events->letters[events->letter_count++];
    *letter = (struct letter){.event = *event, .offset = events->next_letter_offset++};
    struct resv_dead_letter *shown = &letter->shown;
    shown->concert_id = reservation->concert_id;
    shown->failed_at_ms = wall_ms;
    snprintf(shown->id, sizeof shown->id, "0-%" PRId64, letter->offset);
    snprintf(shown->reason, sizeof shown->reason, "scripted");
    snprintf(shown->event, sizeof shown->event, "reserve %" PRId64 " %" PRId64 " %" PRId64,
             reservation->concert_id, reservation->member_id, reservation->quantity);
    letter->event.fate = FAKE_FATE_CONFIRMED; /* the next time it goes well */
}

static void apply_reserve(struct fake_events *events, const struct event *event, int64_t wall_ms)
{
    struct record *record = fake_store_record(events->store, &event->id);
    RESV_ASSERT(record != NULL && record->reservation.status == RESV_STATUS_PENDING);
    struct stored_concert *stored = fake_store_concert(events->store, event->concert_id);
    bool confirmed = event->fate == FAKE_FATE_CONFIRMED;
    record->reservation.status = confirmed ? RESV_STATUS_CONFIRMED : RESV_STATUS_REJECTED;
    if (stored != NULL) {
        stored->pending -= record->reservation.quantity;
        stored->concert.sold += confirmed ? record->reservation.quantity : 0;
    }
    if (event->fate == FAKE_FATE_DEAD_LETTER)
        add_letter(events, event, &record->reservation, wall_ms);
}

/* The second release of the same reservation finds nothing to do. */
static void apply_release(struct fake_events *events, const struct event *event)
{
    struct record *record = fake_store_record(events->store, &event->id);
    RESV_ASSERT(record != NULL);
    if (record->reservation.status != RESV_STATUS_CONFIRMED)
        return;
    record->reservation.status = RESV_STATUS_CANCELLED;
    struct stored_concert *stored = fake_store_concert(events->store, event->concert_id);
    if (stored != NULL)
        stored->concert.sold -= record->reservation.quantity;
}

static void apply(struct fake_events *events, const struct event *event, int64_t wall_ms)
{
    switch (event->kind) {
    case EVENT_RESERVE:
        apply_reserve(events, event, wall_ms);
        break;
    case EVENT_RELEASE:
        apply_release(events, event);
        break;
    case EVENT_OPEN_GATE:
        fake_store_concert(events->store, event->concert_id)->closed = false;
        break;
    }
}

void fake_events_apply(struct fake_events *events, int64_t wall_ms)
{
    while (fake_events_waiting(events)) {
        struct event event = events->log[events->first];
        events->first = (events->first + 1) % FAKE_EVENTS_MAX;
        events->count--;
        apply(events, &event, wall_ms);
    }
}

/* --- reservations ----------------------------------------------------------------------------- */

static void append_reserve(struct fake_events *events, const struct resv_op *op,
                           enum fake_fate fate)
{
    append(events,
           &(struct event){
               .kind = EVENT_RESERVE, .id = op->id, .concert_id = op->concert_id, .fate = fate});
}

static enum resv_outcome reserve(struct fake_events *events, struct resv_op *op)
{
    const struct stored_concert *stored = fake_store_concert(events->store, op->concert_id);
    if (!has_room(events))
        return RESV_UNAVAILABLE;
    if (stored != NULL && stored->closed) {
        append(events, &(struct event){.kind = EVENT_OPEN_GATE, .concert_id = op->concert_id});
        return RESV_UNAVAILABLE;
    }
    enum resv_outcome outcome = fake_store_run(events->store, op);
    if (outcome == RESV_ACCEPTED && !op->reservation.replay)
        append_reserve(events, op, FAKE_FATE_CONFIRMED);
    return outcome;
}

enum resv_outcome fake_events_run_scripted(struct fake_events *events, struct resv_op *op,
                                           enum fake_fate fate)
{
    if (!has_room(events))
        return RESV_UNAVAILABLE;
    enum resv_outcome outcome = fake_store_run_scripted(events->store, op, RESV_ACCEPTED);
    if (outcome == RESV_ACCEPTED && !op->reservation.replay)
        append_reserve(events, op, fate);
    return outcome;
}

static enum resv_outcome release(struct fake_events *events, struct resv_op *op)
{
    const struct record *record = fake_store_record(events->store, &op->id);
    if (record == NULL)
        return RESV_NOT_FOUND;
    enum resv_status status = record->reservation.status;
    if (status != RESV_STATUS_PENDING && status != RESV_STATUS_CONFIRMED)
        return RESV_RELEASED;
    if (!has_room(events))
        return RESV_UNAVAILABLE;
    append(events, &(struct event){.kind = EVENT_RELEASE,
                                   .id = op->id,
                                   .concert_id = record->reservation.concert_id});
    return RESV_RELEASE_ACCEPTED;
}

/* --- dead letters ----------------------------------------------------------------------------- */

/* All letters are in partition 0. */
static int64_t offset_of(const char *id)
{
    const char *hyphen = strchr(id, '-');
    RESV_ASSERT(hyphen != NULL);
    return strtoll(id, NULL, 10) == 0 ? strtoll(hyphen + 1, NULL, 10) : INT64_MAX;
}

static enum resv_outcome list_letters(const struct fake_events *events,
                                      struct resv_catalog_request *request)
{
    RESV_ASSERT(request->limit >= 1 && request->limit <= 1000);
    int64_t after = request->after[0] == '\0' ? -1 : offset_of(request->after);
    request->letters = malloc((size_t)request->limit * sizeof request->letters[0]);
    if (request->letters == NULL)
        return RESV_UNAVAILABLE;
    for (size_t i = 0; i < events->letter_count; i++) {
        if (events->letters[i].offset <= after)
            continue;
        if ((int64_t)request->letter_count == request->limit) {
            request->more = true;
            break;
        }
        request->letters[request->letter_count++] = events->letters[i].shown;
    }
    return RESV_FOUND;
}

static enum resv_outcome retry_letter(struct fake_events *events, const char *id)
{
    int64_t offset = offset_of(id);
    size_t i = 0;
    while (i < events->letter_count && events->letters[i].offset != offset)
        i++;
    if (i == events->letter_count)
        return RESV_NOT_FOUND;
    if (!has_room(events))
        return RESV_UNAVAILABLE;
    struct event event = events->letters[i].event;
    struct record *record = fake_store_record(events->store, &event.id);
    RESV_ASSERT(record != NULL && fake_store_concert(events->store, event.concert_id) == NULL);
    record->reservation.status = RESV_STATUS_PENDING; /* only scripts make letters: no seats */
    append(events, &event);
    events->letter_count--;
    memmove(&events->letters[i], &events->letters[i + 1],
            (events->letter_count - i) * sizeof events->letters[0]);
    return RESV_STORED;
}

/* --- all ---------------------------------------------------------------------------------------
 */

static enum resv_outcome reset(struct fake_events *events, struct resv_op *op)
{
    enum resv_outcome outcome = fake_store_run(events->store, op);
    events->first = 0;
    events->count = 0;
    events->letter_count = 0;
    return outcome;
}

enum resv_outcome fake_events_run(struct fake_events *events, struct resv_op *op)
{
    switch (op->kind) {
    case RESV_OP_RESERVE:
        return reserve(events, op);
    case RESV_OP_RELEASE:
        return release(events, op);
    case RESV_OP_RESET:
        return reset(events, op);
    case RESV_OP_DEAD_LETTER_LIST:
        return list_letters(events, op->catalog);
    case RESV_OP_DEAD_LETTER_RETRY:
        return retry_letter(events, op->catalog->letter_id);
    case RESV_OP_RECONCILE:
        return fake_store_reconcile(events->store, op);
    case RESV_OP_LOOKUP:
    case RESV_OP_CONCERT_GET:
    case RESV_OP_CONCERT_LIST:
    case RESV_OP_MEMBER_GET:
    case RESV_OP_CONCERT_CREATE:
    case RESV_OP_CONCERT_UPDATE:
    case RESV_OP_MEMBER_CREATE:
    case RESV_OP_AUDIT:
        break;
    }
    return fake_store_run(events->store, op);
}

struct fake_events *fake_events_create(struct fake_store *store)
{
    struct fake_events *events = calloc(1, sizeof *events);
    if (events == NULL)
        return NULL;
    events->store = store;
    events->log = calloc(FAKE_EVENTS_MAX, sizeof events->log[0]);
    events->letters = calloc(FAKE_LETTERS_MAX, sizeof events->letters[0]);
    if (events->log == NULL || events->letters == NULL) {
        fake_events_destroy(events);
        return NULL;
    }
    return events;
}

void fake_events_destroy(struct fake_events *events)
{
    if (events == NULL)
        return;
    free(events->log);
    free(events->letters);
    free(events);
}
