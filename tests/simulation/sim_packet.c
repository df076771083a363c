/* A run on its way: its steps are copied, for the client may be gone when the server reads them. */
#include <stdlib.h>
#include <string.h>

#include "resvd/assert.h"
#include "sim_server.h"

static void *copy_of(const void *items, size_t count, size_t size)
{
    RESV_ASSERT(count > 0);
    void *copy = malloc(count * size);
    RESV_ASSERT(copy != NULL);
    memcpy(copy, items, count * size);
    return copy;
}

/* Items are sorted and unique, as database.h demands. */
static void check_order(const struct database_step *step)
{
    if (step->kind == DATABASE_READ_RESERVATIONS) {
        const struct database_reservation *items = step->reservations.items;
        for (size_t i = 1; i < step->reservations.count; i++)
            RESV_ASSERT(memcmp(items[i - 1].id.bytes, items[i].id.bytes, RESV_ID_SIZE) < 0);
    } else {
        for (size_t i = 1; i < step->members.count; i++)
            RESV_ASSERT(step->members.items[i - 1].id < step->members.items[i].id);
    }
}

struct sim_packet *packet_copy(const struct database_step *steps, size_t count)
{
    struct sim_packet *packet = calloc(1, sizeof *packet);
    RESV_ASSERT(packet != NULL);
    packet->count = count;
    packet->steps = copy_of(steps, count, sizeof *steps);
    packet->requests = calloc(count, sizeof packet->requests[0]);
    RESV_ASSERT(packet->requests != NULL);
    for (size_t i = 0; i < count; i++) {
        struct database_step *step = &packet->steps[i];
        switch (step->kind) {
        case DATABASE_READ_RESERVATIONS:
            check_order(step);
            step->reservations.items = copy_of(step->reservations.items, step->reservations.count,
                                               sizeof step->reservations.items[0]);
            break;
        case DATABASE_READ_MEMBERS:
        case DATABASE_READ_MEMBER_SEATS:
            check_order(step);
            step->members.items =
                copy_of(step->members.items, step->members.count, sizeof step->members.items[0]);
            break;
        case DATABASE_INSERT_RESERVATIONS:
            step->insert.rows =
                copy_of(step->insert.rows, step->insert.count, sizeof step->insert.rows[0]);
            packet->requests[i] = calloc(step->insert.count, sizeof packet->requests[i][0]);
            RESV_ASSERT(packet->requests[i] != NULL);
            break;
        case DATABASE_INSERT_EVENTS:
            step->events.rows =
                copy_of(step->events.rows, step->events.count, sizeof step->events.rows[0]);
            packet->requests[i] = calloc(step->events.count, sizeof packet->requests[i][0]);
            RESV_ASSERT(packet->requests[i] != NULL);
            break;
        case DATABASE_READ_POSITION:
        case DATABASE_LOCK_POSITION:
        case DATABASE_MOVE_POSITION:
            step->position.topic =
                copy_of(step->position.topic, strlen(step->position.topic) + 1, 1);
            break;
        case DATABASE_READ_ALL_MEMBER_SEATS:
            step->member_page.items = copy_of(step->member_page.items, step->member_page.room,
                                              sizeof step->member_page.items[0]);
            break;
        case DATABASE_READ_CONCERTS:
            step->concert_page.items = copy_of(step->concert_page.items, step->concert_page.room,
                                               sizeof step->concert_page.items[0]);
            break;
        case DATABASE_CANCEL_RESERVATION:
        case DATABASE_CALL_RESERVE:
            packet->requests[i] = calloc(1, sizeof packet->requests[i][0]);
            RESV_ASSERT(packet->requests[i] != NULL);
            break;
        case DATABASE_BEGIN:
        case DATABASE_COMMIT:
        case DATABASE_ROLLBACK:
        case DATABASE_END_SESSION:
        case DATABASE_READ_CONCERT:
        case DATABASE_LOCK_CONCERT:
        case DATABASE_TAKE_SEATS:
        case DATABASE_TAKE_SEATS_OR_FAIL:
        case DATABASE_WRITE_SOLD:
        case DATABASE_GIVE_BACK_SEATS:
        case DATABASE_SYNC:
        case DATABASE_READ_EPOCH:
            break;
        }
    }
    return packet;
}

void packet_results(const struct sim_packet *packet, struct database_step *steps, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct database_step *to = &steps[i];
        const struct database_step *from = &packet->steps[i];
        switch (from->kind) {
        case DATABASE_READ_CONCERT:
        case DATABASE_LOCK_CONCERT:
            to->concert = from->concert;
            break;
        case DATABASE_READ_RESERVATIONS:
            for (size_t row = 0; row < from->reservations.count; row++) {
                bool replay = to->reservations.items[row].row.replay;
                to->reservations.items[row] = from->reservations.items[row];
                to->reservations.items[row].row.replay = replay;
            }
            break;
        case DATABASE_READ_MEMBERS:
            for (size_t row = 0; row < from->members.count; row++)
                to->members.items[row].found = from->members.items[row].found;
            break;
        case DATABASE_READ_MEMBER_SEATS:
            for (size_t row = 0; row < from->members.count; row++)
                to->members.items[row].seats = from->members.items[row].seats;
            break;
        case DATABASE_TAKE_SEATS:
            to->seats.changed = from->seats.changed;
            break;
        case DATABASE_CANCEL_RESERVATION:
            to->reservation.changed = from->reservation.changed;
            break;
        case DATABASE_CALL_RESERVE:
            to->call.outcome = from->call.outcome;
            to->call.reservation = from->call.reservation;
            break;
        case DATABASE_BEGIN:
        case DATABASE_COMMIT:
        case DATABASE_ROLLBACK:
        case DATABASE_END_SESSION:
        case DATABASE_TAKE_SEATS_OR_FAIL:
        case DATABASE_WRITE_SOLD:
        case DATABASE_INSERT_RESERVATIONS:
        case DATABASE_GIVE_BACK_SEATS:
        case DATABASE_SYNC:
        case DATABASE_INSERT_EVENTS:
        case DATABASE_MOVE_POSITION:
            break;
        case DATABASE_READ_POSITION:
        case DATABASE_LOCK_POSITION:
            to->position.epoch = from->position.epoch;
            to->position.found = from->position.found;
            to->position.next_offset = from->position.next_offset;
            break;
        case DATABASE_READ_EPOCH:
            to->epoch = from->epoch;
            break;
        case DATABASE_READ_ALL_MEMBER_SEATS:
            to->member_page.count = from->member_page.count;
            memcpy(to->member_page.items, from->member_page.items,
                   from->member_page.count * sizeof from->member_page.items[0]);
            break;
        case DATABASE_READ_CONCERTS:
            to->concert_page.count = from->concert_page.count;
            memcpy(to->concert_page.items, from->concert_page.items,
                   from->concert_page.count * sizeof from->concert_page.items[0]);
            break;
        }
    }
}

/* What packet_copy has copied for the step, or NULL. */
static const void *copied(const struct database_step *step)
{
    switch (step->kind) {
    case DATABASE_READ_RESERVATIONS:
        return step->reservations.items;
    case DATABASE_READ_MEMBERS:
    case DATABASE_READ_MEMBER_SEATS:
        return step->members.items;
    case DATABASE_INSERT_RESERVATIONS:
        return step->insert.rows;
    case DATABASE_INSERT_EVENTS:
        return step->events.rows;
    case DATABASE_READ_POSITION:
    case DATABASE_LOCK_POSITION:
    case DATABASE_MOVE_POSITION:
        return step->position.topic;
    case DATABASE_READ_ALL_MEMBER_SEATS:
        return step->member_page.items;
    case DATABASE_READ_CONCERTS:
        return step->concert_page.items;
    case DATABASE_BEGIN:
    case DATABASE_COMMIT:
    case DATABASE_ROLLBACK:
    case DATABASE_END_SESSION:
    case DATABASE_READ_CONCERT:
    case DATABASE_LOCK_CONCERT:
    case DATABASE_TAKE_SEATS:
    case DATABASE_TAKE_SEATS_OR_FAIL:
    case DATABASE_WRITE_SOLD:
    case DATABASE_CANCEL_RESERVATION:
    case DATABASE_GIVE_BACK_SEATS:
    case DATABASE_CALL_RESERVE:
    case DATABASE_SYNC:
    case DATABASE_READ_EPOCH:
        break;
    }
    return NULL;
}

void packet_free(struct sim_packet *packet)
{
    if (packet == NULL)
        return;
    for (size_t i = 0; i < packet->count; i++) {
        struct database_step *step = &packet->steps[i];
        free((void *)(uintptr_t)copied(step));
        free(packet->requests[i]);
    }
    free(packet->requests);
    free(packet->steps);
    free(packet);
}
