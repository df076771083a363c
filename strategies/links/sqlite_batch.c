/* A batch: many reservations and releases, in order, in one transaction.
 *
 * A concert's row is read once and written once; between, its seats are counted here. The first
 * that fit win. Rows are inserted first and refusals explained afterwards: the usual case is one
 * statement an item. */
#include <string.h>

#include "resvd/assert.h"
#include "resvd/hash.h"
#include "sqlite_internal.h"

static int read_concert(struct sqlite_writer *writer, struct sqlite_batch_concert *concert)
{
    sqlite3_stmt *query = writer->statements[WRITE_CONCERT_SEATS];
    sqlite3_bind_int64(query, 1, concert->id);
    int result = sqlite_statement_row(query);
    if (result == SQLITE_DONE)
        return SQLITE_OK;
    if (result != SQLITE_ROW)
        return result;
    concert->exists = true;
    concert->capacity = sqlite3_column_int64(query, 0);
    concert->sold_before = concert->sold = sqlite3_column_int64(query, 1);
    concert->member_limit = sqlite3_column_int64(query, 2);
    sqlite3_reset(query);
    return SQLITE_OK;
}

/* The batch's copy of the concert, read when it is asked for the first time. */
static int find_concert(struct sqlite_writer *writer, int64_t id,
                        struct sqlite_batch_concert **concert)
{
    size_t position = resv_hash_id(id) & writer->slots_mask;
    while (writer->slots[position].generation == writer->generation) {
        *concert = &writer->concerts[writer->slots[position].index];
        if ((*concert)->id == id)
            return SQLITE_OK;
        position = (position + 1) & writer->slots_mask;
    }
    struct sqlite_batch_concert *fresh = &writer->concerts[writer->concerts_count];
    *fresh = (struct sqlite_batch_concert){.id = id};
    int error = read_concert(writer, fresh);
    if (error != SQLITE_OK)
        return error;
    writer->slots[position] = (struct sqlite_batch_slot){.generation = writer->generation,
                                                         .index = (uint32_t)writer->concerts_count};
    writer->concerts_count++;
    *concert = fresh;
    return SQLITE_OK;
}

static int get_member_seats(struct sqlite_writer *writer, int64_t concert_id, int64_t member_id,
                            int64_t *seats)
{
    sqlite3_stmt *query = writer->statements[WRITE_MEMBER_SEATS_GET];
    sqlite3_bind_int64(query, 1, concert_id);
    sqlite3_bind_int64(query, 2, member_id);
    *seats = 0;
    int result = sqlite_statement_row(query);
    if (result == SQLITE_ROW) {
        *seats = sqlite3_column_int64(query, 0);
        sqlite3_reset(query);
    }
    return result == SQLITE_ROW || result == SQLITE_DONE ? SQLITE_OK : result;
}

/* `statement` adds them or gives them back. */
static int change_member_seats(struct sqlite_writer *writer, enum sqlite_writer_statement statement,
                               const struct resv_reservation *reservation)
{
    sqlite3_stmt *change = writer->statements[statement];
    sqlite3_bind_int64(change, 1, reservation->concert_id);
    sqlite3_bind_int64(change, 2, reservation->member_id);
    sqlite3_bind_int64(change, 3, reservation->quantity);
    return sqlite_statement_run(change);
}

/* SQLITE_ROW, SQLITE_DONE (there is none) or an error. */
static int get_reservation(struct sqlite_writer *writer, const struct resv_id *id,
                           struct resv_reservation *reservation)
{
    sqlite3_stmt *query = writer->statements[WRITE_RESERVATION_GET];
    sqlite3_bind_blob(query, 1, id->bytes, RESV_ID_SIZE, SQLITE_STATIC);
    int result = sqlite_statement_row(query);
    if (result == SQLITE_ROW) {
        int error = sqlite_reservation_from_row(query, reservation);
        sqlite3_reset(query);
        if (error != SQLITE_OK)
            return error;
    }
    return result;
}

/* Whether a row with the item's id is there already, and then what that means. */
static int explain_existing(struct sqlite_writer *writer, struct sqlite_item *item, bool *existing)
{
    struct resv_reservation found;
    int result = get_reservation(writer, &item->id, &found);
    *existing = result == SQLITE_ROW;
    if (result == SQLITE_DONE)
        return SQLITE_OK;
    if (result != SQLITE_ROW)
        return result;
    if (found.concert_id == item->concert_id && found.member_id == item->member_id &&
        found.quantity == item->quantity) {
        item->outcome = RESV_GRANTED;
        item->reservation = found;
        item->reservation.replay = true;
    } else {
        item->outcome = RESV_KEY_REUSED;
    }
    return SQLITE_OK;
}

/* Nothing was inserted: why. Sold out goes before the member's limit, as it does where it is said
 * without a transaction. */
static int explain_refusal(struct sqlite_writer *writer, struct sqlite_item *item,
                           const struct sqlite_batch_concert *concert, bool within_limit)
{
    if (item->keyed) {
        bool existing;
        int error = explain_existing(writer, item, &existing);
        if (error != SQLITE_OK || existing)
            return error;
    }
    if (!concert->exists) {
        item->outcome = RESV_UNKNOWN_CONCERT;
        return SQLITE_OK;
    }
    sqlite3_stmt *query = writer->statements[WRITE_MEMBER_EXISTS];
    sqlite3_bind_int64(query, 1, item->member_id);
    int result = sqlite_statement_row(query);
    if (result == SQLITE_ROW)
        sqlite3_reset(query);
    else if (result != SQLITE_DONE)
        return result;
    if (result == SQLITE_DONE)
        item->outcome = RESV_UNKNOWN_MEMBER;
    else
        item->outcome = within_limit ? RESV_SOLD_OUT : RESV_LIMIT;
    return SQLITE_OK;
}

static int grant(struct sqlite_writer *writer, struct sqlite_item *item,
                 struct sqlite_batch_concert *concert)
{
    concert->sold += item->quantity;
    item->outcome = RESV_GRANTED;
    item->reservation = (struct resv_reservation){
        .concert_id = item->concert_id,
        .member_id = item->member_id,
        .quantity = item->quantity,
        .status = RESV_STATUS_CONFIRMED,
    };
    if (concert->member_limit == RESV_NO_MEMBER_LIMIT)
        return SQLITE_OK;
    return change_member_seats(writer, WRITE_MEMBER_SEATS_ADD, &item->reservation);
}

static int apply_reserve(struct sqlite_writer *writer, struct sqlite_item *item)
{
    struct sqlite_batch_concert *concert;
    int error = find_concert(writer, item->concert_id, &concert);
    if (error != SQLITE_OK)
        return error;
    bool fits = concert->exists && item->quantity <= concert->capacity - concert->sold;
    bool within_limit = true;
    if (fits && concert->member_limit != RESV_NO_MEMBER_LIMIT) {
        int64_t seats;
        error = get_member_seats(writer, item->concert_id, item->member_id, &seats);
        if (error != SQLITE_OK)
            return error;
        within_limit = item->quantity <= concert->member_limit - seats;
    }
    if (!fits || !within_limit)
        return explain_refusal(writer, item, concert, within_limit);

    sqlite3_stmt *insert = writer->statements[WRITE_RESERVATION_INSERT];
    sqlite3_bind_blob(insert, 1, item->id.bytes, RESV_ID_SIZE, SQLITE_STATIC);
    sqlite3_bind_int64(insert, 2, item->concert_id);
    sqlite3_bind_int64(insert, 3, item->member_id);
    sqlite3_bind_int64(insert, 4, item->quantity);
    error = sqlite_statement_run(insert);
    switch (error) {
    case SQLITE_OK:
        return grant(writer, item, concert);
    case SQLITE_CONSTRAINT_FOREIGNKEY:
        item->outcome = RESV_UNKNOWN_MEMBER; /* the concert exists */
        return SQLITE_OK;
    case SQLITE_CONSTRAINT_PRIMARYKEY: {
        bool existing;
        error = explain_existing(writer, item, &existing);
        RESV_ASSERT(error != SQLITE_OK || existing);
        return error;
    }
    default:
        return error;
    }
}

static int apply_release(struct sqlite_writer *writer, struct sqlite_item *item, int64_t wall_ms)
{
    struct resv_reservation found;
    int result = get_reservation(writer, &item->id, &found);
    if (result == SQLITE_DONE) {
        item->outcome = RESV_NOT_FOUND;
        return SQLITE_OK;
    }
    if (result != SQLITE_ROW)
        return result;
    item->outcome = RESV_RELEASED;
    if (found.status != RESV_STATUS_HELD && found.status != RESV_STATUS_CONFIRMED)
        return SQLITE_OK; /* its seats are back already */
    struct sqlite_batch_concert *concert;
    int error = find_concert(writer, found.concert_id, &concert);
    if (error != SQLITE_OK)
        return error;
    sqlite3_stmt *cancel = writer->statements[WRITE_RESERVATION_CANCEL];
    sqlite3_bind_blob(cancel, 1, item->id.bytes, RESV_ID_SIZE, SQLITE_STATIC);
    sqlite3_bind_int64(cancel, 2, wall_ms);
    error = sqlite_statement_run(cancel);
    if (error != SQLITE_OK)
        return error;
    concert->sold -= found.quantity;
    if (concert->member_limit == RESV_NO_MEMBER_LIMIT)
        return SQLITE_OK;
    return change_member_seats(writer, WRITE_MEMBER_SEATS_GIVE_BACK, &found);
}

static int write_concerts(struct sqlite_writer *writer)
{
    sqlite3_stmt *update = writer->statements[WRITE_CONCERT_SELL];
    for (size_t i = 0; i < writer->concerts_count; i++) {
        const struct sqlite_batch_concert *concert = &writer->concerts[i];
        if (concert->sold == concert->sold_before)
            continue;
        sqlite3_bind_int64(update, 1, concert->id);
        sqlite3_bind_int64(update, 2, concert->sold - concert->sold_before);
        int error = sqlite_statement_run(update);
        if (error != SQLITE_OK)
            return error;
        /* Nobody else can have written since BEGIN IMMEDIATE; no row changed means that the counts
         * in the file contradict its rows. */
        if (sqlite3_changes(writer->worker.handle) != 1)
            return SQLITE_CORRUPT;
    }
    return SQLITE_OK;
}

static int apply_items(struct sqlite_writer *writer, struct sqlite_batch *batch)
{
    writer->concerts_count = 0;
    if (++writer->generation == 0) {
        memset(writer->slots, 0, (writer->slots_mask + 1) * sizeof *writer->slots);
        writer->generation = 1;
    }
    sqlite3_bind_int64(writer->statements[WRITE_RESERVATION_INSERT], 5, batch->wall_ms);
    for (size_t i = 0; i < batch->count; i++) {
        struct sqlite_item *item = &batch->items[i];
        int error = SQLITE_OK;
        switch (item->kind) {
        case SQLITE_ITEM_RESERVE:
            error = apply_reserve(writer, item);
            break;
        case SQLITE_ITEM_RELEASE:
            error = apply_release(writer, item, batch->wall_ms);
            break;
        }
        if (error != SQLITE_OK)
            return error;
    }
    return write_concerts(writer);
}

/* Nothing was committed for certain. With `outcome` UNKNOWN, what would have changed something may
 * have; all else rested on facts that were never committed. */
static void refuse_items(struct sqlite_batch *batch, enum resv_outcome outcome)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct sqlite_item *item = &batch->items[i];
        bool wrote = item->outcome == RESV_GRANTED || item->outcome == RESV_RELEASED;
        item->outcome = wrote ? outcome : RESV_UNAVAILABLE;
    }
}

void sqlite_batch_run(struct sqlite_worker *worker, struct sqlite_message *message)
{
    struct sqlite_writer *writer = (struct sqlite_writer *)worker;
    struct sqlite_batch *batch = (struct sqlite_batch *)message;
    uint64_t started_ns = sqlite_monotonic_ns();
    batch->committed = false;
    batch->concerts_count = 0;
    int error = sqlite_writer_begin(writer);
    if (error == SQLITE_OK)
        error = apply_items(writer, batch);
    if (error != SQLITE_OK) {
        sqlite_writer_failed(writer, error);
        refuse_items(batch, RESV_UNAVAILABLE);
        return;
    }
    enum resv_outcome outcome = sqlite_writer_commit(writer);
    batch->commit_ns = sqlite_monotonic_ns() - started_ns;
    if (outcome != RESV_GRANTED) {
        refuse_items(batch, outcome);
        return;
    }
    batch->committed = true;
    for (size_t i = 0; i < writer->concerts_count; i++) {
        const struct sqlite_batch_concert *concert = &writer->concerts[i];
        if (concert->exists)
            batch->concerts[batch->concerts_count++] = (struct sqlite_concert_seats){
                .concert_id = concert->id, .remaining = concert->capacity - concert->sold};
    }
}
