/* The fake store's audit: every concert's numbers, counted anew from its reservations. */
#include "fake_store_internal.h"

#include <stdlib.h>

#include "resvd/assert.h"

static struct resv_audit_line line_of(const struct fake_store *store,
                                      const struct stored_concert *stored, int64_t live)
{
    const struct resv_concert *concert = &stored->concert;
    struct resv_audit_line line = {.concert_id = concert->id,
                                   .capacity = concert->capacity,
                                   .sold = concert->sold,
                                   .live = live,
                                   .stock = -1,
                                   .pending = -1};
    line.consistent = line.sold == line.live && line.sold >= 0 && line.sold <= line.capacity;
    if (!store->asynchronous)
        return line;
    line.pending = stored->pending;
    line.stock = line.capacity - line.sold - line.pending - stored->drift;
    RESV_ASSERT(line.stock >= 0);
    line.consistent = line.consistent && line.stock == line.capacity - line.live - line.pending;
    return line;
}

static int64_t live_seats(const struct fake_store *store, const struct stored_concert *stored)
{
    int64_t seats = stored->unremembered;
    for (uint32_t i = 0; i < store->record_count; i++) {
        const struct resv_reservation *reservation = &store->records[i].reservation;
        if (reservation->concert_id == stored->concert.id &&
            reservation->status == RESV_STATUS_CONFIRMED)
            seats += reservation->quantity;
    }
    return seats;
}

/* One pass over the records for all concerts. */
static void count_live_seats(const struct fake_store *store, struct resv_audit_line *lines)
{
    for (int64_t i = 0; i < store->last_concert_id; i++)
        lines[i].live = store->concerts[i].unremembered;
    for (uint32_t i = 0; i < store->record_count; i++) {
        const struct resv_reservation *reservation = &store->records[i].reservation;
        if (fake_store_concert(store, reservation->concert_id) != NULL &&
            reservation->status == RESV_STATUS_CONFIRMED)
            lines[reservation->concert_id - 1].live += reservation->quantity;
    }
}

enum resv_outcome fake_store_audit(const struct fake_store *store, struct resv_op *op)
{
    struct resv_catalog_request *request = op->catalog;
    struct resv_audit_line *lines =
        calloc((size_t)store->last_concert_id + 1, sizeof request->audit[0]);
    if (lines == NULL)
        return RESV_UNAVAILABLE;
    count_live_seats(store, lines);
    request->audit_consistent = true;
    request->audit_count = 0;
    for (int64_t i = 0; i < store->last_concert_id; i++) {
        if (store->concerts[i].concert.id == 0)
            continue;
        struct resv_audit_line line = line_of(store, &store->concerts[i], lines[i].live);
        request->audit_consistent = request->audit_consistent && line.consistent;
        lines[request->audit_count++] = line;
    }
    request->audit = lines;
    return RESV_FOUND;
}

enum resv_outcome fake_store_reconcile(struct fake_store *store, struct resv_op *op)
{
    struct stored_concert *stored = fake_store_concert(store, op->concert_id);
    if (stored == NULL)
        return RESV_NOT_FOUND;
    op->catalog->audit = malloc(sizeof op->catalog->audit[0]);
    if (op->catalog->audit == NULL)
        return RESV_UNAVAILABLE;
    stored->drift = 0;
    stored->closed = false;
    op->catalog->audit[0] = line_of(store, stored, live_seats(store, stored));
    op->catalog->audit_count = 1;
    return RESV_STORED;
}
