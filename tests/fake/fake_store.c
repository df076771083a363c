/* The fake strategy's store: concerts, members and reservations in memory. See the header. */
#include "fake_store_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resvd/assert.h"

#define INDEX_SIZE (2 * FAKE_RECORDS_MAX) /* a power of two */

/* --- reservations ----------------------------------------------------------------------------- */

static uint32_t *index_slot(const struct fake_store *store, const struct resv_id *id)
{
    uint64_t hash;
    memcpy(&hash, id->bytes + 8, sizeof hash);
    hash *= 0x9e3779b97f4a7c15U;
    size_t slot = (size_t)(hash >> 32) & (INDEX_SIZE - 1);
    while (store->record_index[slot] != 0 &&
           memcmp(store->records[store->record_index[slot] - 1].id.bytes, id->bytes,
                  RESV_ID_SIZE) != 0)
        slot = (slot + 1) & (INDEX_SIZE - 1);
    return &store->record_index[slot];
}

struct record *fake_store_record(const struct fake_store *store, const struct resv_id *id)
{
    uint32_t position = *index_slot(store, id);
    return position == 0 ? NULL : &store->records[position - 1];
}

bool fake_store_has_record(const struct fake_store *store, const struct resv_op *op)
{
    return op->keyed && fake_store_record(store, &op->id) != NULL;
}

static bool record_add(struct fake_store *store, const struct resv_op *op)
{
    if (store->record_count == FAKE_RECORDS_MAX)
        return false;
    uint32_t *slot = index_slot(store, &op->id);
    RESV_ASSERT(*slot == 0);
    store->records[store->record_count] =
        (struct record){.id = op->id, .reservation = op->reservation};
    *slot = ++store->record_count;
    return true;
}

/* True when the key has stood for something before: the answer is then in *outcome. */
static bool find_first_answer(const struct fake_store *store, struct resv_op *op,
                              enum resv_outcome granted, enum resv_outcome *outcome)
{
    if (!op->keyed)
        return false;
    const struct record *record = fake_store_record(store, &op->id);
    if (record == NULL)
        return false;
    if (record->reservation.concert_id != op->concert_id ||
        record->reservation.member_id != op->member_id ||
        record->reservation.quantity != op->quantity) {
        *outcome = RESV_KEY_REUSED;
        return true;
    }
    op->reservation = record->reservation;
    op->reservation.replay = true;
    *outcome = granted;
    return true;
}

static int64_t live_seats_of_member(const struct fake_store *store, int64_t concert_id,
                                    int64_t member_id)
{
    int64_t seats = 0;
    for (uint32_t i = 0; i < store->record_count; i++) {
        const struct resv_reservation *reservation = &store->records[i].reservation;
        if (reservation->concert_id == concert_id && reservation->member_id == member_id &&
            (reservation->status == RESV_STATUS_CONFIRMED ||
             reservation->status == RESV_STATUS_PENDING))
            seats += reservation->quantity;
    }
    return seats;
}

struct stored_concert *fake_store_concert(const struct fake_store *store, int64_t id)
{
    if (id < 1 || id > store->last_concert_id || store->concerts[id - 1].concert.id == 0)
        return NULL;
    return &store->concerts[id - 1];
}

bool fake_store_has_concert(const struct fake_store *store, int64_t concert_id)
{
    return fake_store_concert(store, concert_id) != NULL;
}

static void fill_reservation(struct resv_op *op, enum resv_status status)
{
    op->reservation = (struct resv_reservation){.concert_id = op->concert_id,
                                                .member_id = op->member_id,
                                                .quantity = op->quantity,
                                                .status = status};
}

static enum resv_outcome reserve(struct fake_store *store, struct resv_op *op)
{
    enum resv_outcome first;
    enum resv_outcome sold = store->asynchronous ? RESV_ACCEPTED : RESV_GRANTED;
    if (find_first_answer(store, op, sold, &first))
        return first;
    struct stored_concert *stored = fake_store_concert(store, op->concert_id);
    if (stored == NULL)
        return RESV_UNKNOWN_CONCERT;
    if (op->member_id < 1 || op->member_id > store->members_count)
        return RESV_UNKNOWN_MEMBER;
    struct resv_concert *concert = &stored->concert;
    if (concert->member_limit != RESV_NO_MEMBER_LIMIT &&
        op->quantity >
            concert->member_limit - live_seats_of_member(store, op->concert_id, op->member_id))
        return RESV_LIMIT;
    if (op->quantity > concert->capacity - concert->sold - stored->pending - stored->drift)
        return RESV_SOLD_OUT;
    fill_reservation(op, store->asynchronous ? RESV_STATUS_PENDING : RESV_STATUS_CONFIRMED);
    if (stored->counted_only && !op->keyed)
        stored->unremembered += op->quantity;
    else if (!record_add(store, op))
        return RESV_UNAVAILABLE;
    if (store->asynchronous)
        stored->pending += op->quantity;
    else
        concert->sold += op->quantity;
    return sold;
}

enum resv_outcome fake_store_run_scripted(struct fake_store *store, struct resv_op *op,
                                          enum resv_outcome outcome)
{
    enum resv_outcome first;
    if (find_first_answer(store, op, outcome, &first))
        return first;
    fill_reservation(op, outcome == RESV_ACCEPTED ? RESV_STATUS_PENDING : RESV_STATUS_CONFIRMED);
    return record_add(store, op) ? outcome : RESV_UNAVAILABLE;
}

static enum resv_outcome release(struct fake_store *store, const struct resv_op *op)
{
    struct record *record = fake_store_record(store, &op->id);
    if (record == NULL)
        return RESV_NOT_FOUND;
    if (record->reservation.status == RESV_STATUS_CANCELLED)
        return RESV_RELEASED;
    record->reservation.status = RESV_STATUS_CANCELLED;
    struct stored_concert *stored = fake_store_concert(store, record->reservation.concert_id);
    if (stored != NULL)
        stored->concert.sold -= record->reservation.quantity;
    return RESV_RELEASED;
}

static enum resv_outcome look_up(const struct fake_store *store, struct resv_op *op)
{
    const struct record *record = fake_store_record(store, &op->id);
    if (record == NULL)
        return RESV_NOT_FOUND;
    op->reservation = record->reservation;
    return RESV_FOUND;
}

/* --- catalog ---------------------------------------------------------------------------------- */

static bool concerts_reserve(struct fake_store *store, int64_t count)
{
    if (count > FAKE_CONCERTS_MAX)
        return false;
    if (count <= store->concerts_max)
        return true;
    struct stored_concert *concerts =
        realloc(store->concerts, (size_t)count * sizeof store->concerts[0]);
    if (concerts == NULL)
        return false;
    memset(concerts + store->concerts_max, 0,
           (size_t)(count - store->concerts_max) * sizeof concerts[0]);
    store->concerts = concerts;
    store->concerts_max = count;
    return true;
}

static int64_t next_concert_id(const struct fake_store *store)
{
    int64_t id = store->last_concert_id + 1;
    return id >= FAKE_SCRIPT_FIRST && id <= FAKE_SCRIPT_LAST ? FAKE_SCRIPT_LAST + 1 : id;
}

static bool concert_add(struct fake_store *store, int64_t id, const struct resv_concert *concert)
{
    if (!concerts_reserve(store, id))
        return false;
    store->concerts[id - 1] = (struct stored_concert){.concert = *concert, .closed = store->gates};
    store->concerts[id - 1].concert.id = id;
    store->concerts[id - 1].concert.sold = 0;
    store->last_concert_id = id;
    return true;
}

static enum resv_outcome create_concerts(struct fake_store *store, struct resv_op *op)
{
    struct resv_catalog_request *request = op->catalog;
    if (store->last_concert_id + (int64_t)request->count + 100 > FAKE_CONCERTS_MAX)
        return RESV_UNAVAILABLE;
    for (size_t i = 0; i < request->count; i++) {
        int64_t id = next_concert_id(store);
        if (!concert_add(store, id, &request->concerts[i]))
            return RESV_UNAVAILABLE;
        request->concerts[i] = store->concerts[id - 1].concert;
    }
    return RESV_STORED;
}

static enum resv_outcome update_concert(struct fake_store *store, struct resv_op *op)
{
    struct stored_concert *stored = fake_store_concert(store, op->concert_id);
    struct resv_concert *wanted = &op->catalog->concerts[0];
    unsigned fields = op->catalog->fields;
    if (stored == NULL)
        return RESV_NOT_FOUND;
    struct resv_concert *concert = &stored->concert;
    if ((fields & RESV_CONCERT_CAPACITY) != 0 &&
        wanted->capacity < concert->sold + stored->pending + stored->drift)
        return RESV_CAPACITY_TOO_LOW;
    if ((fields & RESV_CONCERT_CAPACITY) != 0)
        concert->capacity = wanted->capacity;
    if ((fields & RESV_CONCERT_TITLE) != 0)
        memcpy(concert->title, wanted->title, sizeof concert->title);
    if ((fields & RESV_CONCERT_VENUE) != 0)
        memcpy(concert->venue, wanted->venue, sizeof concert->venue);
    if ((fields & RESV_CONCERT_STARTS_AT) != 0)
        concert->starts_at_ms = wanted->starts_at_ms;
    if ((fields & RESV_CONCERT_MEMBER_LIMIT) != 0)
        concert->member_limit = wanted->member_limit;
    *wanted = *concert;
    return RESV_STORED;
}

static enum resv_outcome get_concert(const struct fake_store *store, struct resv_op *op)
{
    const struct stored_concert *stored = fake_store_concert(store, op->concert_id);
    if (stored == NULL)
        return RESV_NOT_FOUND;
    op->catalog->concerts = malloc(sizeof op->catalog->concerts[0]);
    if (op->catalog->concerts == NULL)
        return RESV_UNAVAILABLE;
    op->catalog->concerts[0] = stored->concert;
    op->catalog->count = 1;
    return RESV_FOUND;
}

static enum resv_outcome list_concerts(const struct fake_store *store, struct resv_op *op)
{
    struct resv_catalog_request *request = op->catalog;
    RESV_ASSERT(request->limit >= 1 && request->limit <= 1000);
    request->concerts = malloc((size_t)request->limit * sizeof request->concerts[0]);
    if (request->concerts == NULL)
        return RESV_UNAVAILABLE;
    request->count = 0;
    request->more = false;
    int64_t after = request->after_id < 0 ? 0 : request->after_id;
    for (int64_t id = after + 1; id <= store->last_concert_id; id++) {
        const struct stored_concert *stored = fake_store_concert(store, id);
        if (stored == NULL)
            continue;
        if ((int64_t)request->count == request->limit) {
            request->more = true;
            break;
        }
        request->concerts[request->count++] = stored->concert;
    }
    return RESV_FOUND;
}

static void member_names_clear(struct fake_store *store)
{
    for (int64_t i = 0; i < store->member_names_max; i++)
        free(store->member_names[i]);
    free(store->member_names);
    store->member_names = NULL;
    store->member_names_max = 0;
}

static bool member_name_set(struct fake_store *store, int64_t id, const char *name)
{
    if (id > FAKE_MEMBER_NAMES_MAX)
        return false;
    if (id > store->member_names_max) {
        int64_t names_max = 2 * id;
        char **names = realloc(store->member_names, (size_t)names_max * sizeof names[0]);
        if (names == NULL)
            return false;
        for (int64_t i = store->member_names_max; i < names_max; i++)
            names[i] = NULL;
        store->member_names = names;
        store->member_names_max = names_max;
    }
    store->member_names[id - 1] = strdup(name);
    return store->member_names[id - 1] != NULL;
}

static enum resv_outcome create_members(struct fake_store *store, struct resv_op *op)
{
    for (size_t i = 0; i < op->catalog->count; i++) {
        if (!member_name_set(store, store->members_count + 1, op->catalog->members[i].name))
            return RESV_UNAVAILABLE;
        op->catalog->members[i].id = ++store->members_count;
    }
    return RESV_STORED;
}

static enum resv_outcome get_member(const struct fake_store *store, struct resv_op *op)
{
    int64_t id = op->member_id;
    if (id < 1 || id > store->members_count)
        return RESV_NOT_FOUND;
    struct resv_member *member = calloc(1, sizeof *member);
    if (member == NULL)
        return RESV_UNAVAILABLE;
    member->id = id;
    if (id <= store->member_names_max && store->member_names[id - 1] != NULL)
        snprintf(member->name, sizeof member->name, "%s", store->member_names[id - 1]);
    else
        snprintf(member->name, sizeof member->name, "Member %lld", (long long)id);
    op->catalog->members = member;
    op->catalog->count = 1;
    return RESV_FOUND;
}

static bool refill(struct fake_store *store, int64_t concerts, int64_t members, int64_t capacity)
{
    memset(store->record_index, 0, INDEX_SIZE * sizeof store->record_index[0]);
    store->record_count = 0;
    member_names_clear(store);
    store->members_count = members;
    if (store->concerts != NULL)
        memset(store->concerts, 0, (size_t)store->concerts_max * sizeof store->concerts[0]);
    store->last_concert_id = 0;
    for (int64_t id = 1; id <= concerts; id++) {
        struct resv_concert concert = {.capacity = capacity, .starts_at_ms = INT64_MIN};
        snprintf(concert.title, sizeof concert.title, "Concert %lld", (long long)id);
        if (!concert_add(store, id, &concert))
            return false;
    }
    return true;
}

static enum resv_outcome reset(struct fake_store *store, const struct resv_op *op)
{
    return refill(store, op->catalog->reset_concerts, op->catalog->reset_members,
                  op->catalog->reset_capacity)
               ? RESV_STORED
               : RESV_UNAVAILABLE;
}

enum resv_outcome fake_store_run(struct fake_store *store, struct resv_op *op)
{
    switch (op->kind) {
    case RESV_OP_RESERVE:
        return reserve(store, op);
    case RESV_OP_RELEASE:
        return release(store, op);
    case RESV_OP_LOOKUP:
        return look_up(store, op);
    case RESV_OP_CONCERT_GET:
        return get_concert(store, op);
    case RESV_OP_CONCERT_LIST:
        return list_concerts(store, op);
    case RESV_OP_MEMBER_GET:
        return get_member(store, op);
    case RESV_OP_CONCERT_CREATE:
        return create_concerts(store, op);
    case RESV_OP_CONCERT_UPDATE:
        return update_concert(store, op);
    case RESV_OP_MEMBER_CREATE:
        return create_members(store, op);
    case RESV_OP_RESET:
        return reset(store, op);
    case RESV_OP_AUDIT:
        return fake_store_audit(store, op);
    case RESV_OP_DEAD_LETTER_LIST:
    case RESV_OP_DEAD_LETTER_RETRY:
    case RESV_OP_RECONCILE:
        break;
    }
    RESV_ASSERT(false); /* fake_events.c has these */
    return RESV_UNAVAILABLE;
}

void fake_store_drift(struct fake_store *store, int64_t concert_id, int64_t seats)
{
    struct stored_concert *stored = fake_store_concert(store, concert_id);
    if (stored != NULL)
        stored->drift += seats;
}

/* --- life ------------------------------------------------------------------------------------- */

struct fake_store *fake_store_create(bool asynchronous, bool gates)
{
    struct fake_store *store = calloc(1, sizeof *store);
    if (store == NULL)
        return NULL;
    store->asynchronous = asynchronous;
    store->gates = gates;
    store->records = calloc(FAKE_RECORDS_MAX, sizeof store->records[0]);
    store->record_index = calloc(INDEX_SIZE, sizeof store->record_index[0]);
    if (store->records == NULL || store->record_index == NULL ||
        !refill(store, FAKE_CONCERTS_FIRST, FAKE_MEMBERS_FIRST, FAKE_CAPACITY_FIRST)) {
        fake_store_destroy(store);
        return NULL;
    }
    store->concerts[0].counted_only = !asynchronous;
    return store;
}

void fake_store_destroy(struct fake_store *store)
{
    if (store == NULL)
        return;
    member_names_clear(store);
    free(store->concerts);
    free(store->records);
    free(store->record_index);
    free(store);
}
