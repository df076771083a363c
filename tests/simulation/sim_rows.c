/* Rows of reservations: what the steps that read, insert and cancel them do.
 *
 * A step that has to wait is called again when it may go on; `phase` and `row` of the connection
 * say how far it had come. */
#include <string.h>

#include "resvd/assert.h"
#include "sim_checker.h"

/* --- reading ---------------------------------------------------------------------------------- */

void rows_read(struct sim_connection *connection, struct database_reservations_step *step)
{
    for (size_t i = 0; i < step->count; i++) {
        struct database_reservation *item = &step->items[i];
        const struct sim_record *record = tables_find(connection->server, &item->id);
        item->found = record != NULL && tables_sees(connection, record);
        if (!item->found)
            continue;
        item->row = record->content;
        if (record->content.status == RESV_STATUS_CONFIRMED &&
            !tables_sees_live(connection, record))
            item->row.status = RESV_STATUS_CANCELLED;
    }
}

/* What is committed of them, and what this transaction has changed. */
static int64_t member_seats(const struct sim_connection *connection, int64_t concert_id,
                            int64_t member_id)
{
    const struct sim_concert *concert = tables_concert(connection->server, concert_id);
    int64_t seats = concert == NULL ? 0 : tables_member_live(concert, member_id);
    for (const struct sim_record *row = connection->rows; row != NULL;
         row = row->transaction_next) {
        if (row->content.member_id != member_id || row->content.concert_id != concert_id ||
            row->content.status != RESV_STATUS_CONFIRMED)
            continue;
        if (row->inserter == connection && row->canceller != connection)
            seats += row->content.quantity;
        else if (row->exists && row->live && row->canceller == connection)
            seats -= row->content.quantity;
    }
    return seats;
}

void rows_read_members(struct sim_connection *connection, struct database_members_step *step,
                       bool seats)
{
    for (size_t i = 0; i < step->count; i++) {
        struct database_member *member = &step->items[i];
        if (seats)
            member->seats = member_seats(connection, step->concert_id, member->id);
        else
            member->found = tables_member(connection->server, member->id) != NULL;
    }
}

void rows_read_member_page(struct sim_connection *connection,
                           struct database_member_page_step *step)
{
    int64_t last = (int64_t)connection->server->member_count;
    int64_t id = step->after_member_id < 0 ? 1 : step->after_member_id + 1;
    step->count = 0;
    for (; id <= last && step->count < step->room; id++) {
        int64_t seats = member_seats(connection, step->concert_id, id);
        if (seats > 0)
            step->items[step->count++] = (struct database_member){.id = id, .seats = seats};
    }
}

/* --- writing ---------------------------------------------------------------------------------- */

/* One row of either kind of INSERT. */
struct row {
    const struct resv_id *id;
    struct resv_reservation content;
};

static size_t count_of(const struct database_step *step)
{
    return step->kind == DATABASE_INSERT_EVENTS ? step->events.count : step->insert.count;
}

static struct row row_of(const struct database_step *step, size_t index)
{
    if (step->kind == DATABASE_INSERT_EVENTS) {
        const struct database_event_row *row = &step->events.rows[index];
        RESV_ASSERT(row->status == RESV_STATUS_CONFIRMED || row->status == RESV_STATUS_REJECTED);
        return (struct row){.id = &row->id,
                            .content = {.concert_id = row->concert_id,
                                        .member_id = row->member_id,
                                        .quantity = row->quantity,
                                        .status = row->status}};
    }
    const struct database_row *row = &step->insert.rows[index];
    return (struct row){.id = &row->id,
                        .content = {.concert_id = step->insert.concert_id,
                                    .member_id = row->member_id,
                                    .quantity = row->quantity,
                                    .status = RESV_STATUS_CONFIRMED}};
}

/* The key, then the parents. */
static enum step_end insert_row(struct sim_connection *connection, const struct row *row,
                                uint64_t request)
{
    struct sim_server *server = connection->server;
    struct sim_record *record = tables_record(server, row->id);
    enum step_end end;
    if (record->inserter != connection) {
        /* Whoever finds the key locked waits with a shared lock and looks again. */
        if (record->exists || lock_is_of_others(connection, &record->lock)) {
            end = step_lock(connection, &record->lock, false);
            if (end != STEP_FINISHED)
                return end;
        }
        if (record->exists)
            return step_failed(connection, DATABASE_DUPLICATE);
        end = step_lock(connection, &record->lock, true);
        if (end != STEP_FINISHED)
            return end;
        tables_insert(connection, record, &row->content, request);
        connection->phase = 1;
    } else if (connection->phase == 0) {
        return step_failed(connection, DATABASE_DUPLICATE);
    }
    struct sim_concert *concert = tables_concert(server, row->content.concert_id);
    struct sim_member *member = tables_member(server, row->content.member_id);
    if (concert == NULL || member == NULL)
        return step_failed(connection, DATABASE_NO_PARENT);
    end = step_lock(connection, &concert->lock, false);
    if (end != STEP_FINISHED)
        return end;
    return step_lock(connection, &member->lock, false);
}

enum step_end rows_insert(struct sim_connection *connection, const struct database_step *step,
                          const uint64_t *requests)
{
    struct sim_world *world = connection->server->world;
    if (server_refuses(connection->server))
        return step_failed(connection, DATABASE_FAILED);
    while (connection->row < count_of(step)) {
        const struct row row = row_of(step, connection->row);
        enum step_end end =
            insert_row(connection, &row, requests != NULL ? requests[connection->row] : 0);
        if (end == STEP_FINISHED) {
            SIM_TRACE(world, connection->who, "row %s: member %lld, %lld of concert %lld%s",
                      sim_id_text(row.id), (long long)row.content.member_id,
                      (long long)row.content.quantity, (long long)row.content.concert_id,
                      row.content.status == RESV_STATUS_REJECTED ? ", rejected" : "");
            connection->row++;
            connection->phase = 0;
            continue;
        }
        if (end == STEP_FAILED && connection->failure != DATABASE_DEADLOCK) {
            /* The statement as a whole is undone; the row that failed only if it got as far. */
            size_t inserted = connection->row + (connection->phase == 1 ? 1 : 0);
            for (size_t i = 0; i < inserted; i++)
                tables_uninsert(connection, tables_record(connection->server, row_of(step, i).id));
        }
        return end;
    }
    return STEP_FINISHED;
}

enum step_end rows_cancel(struct sim_connection *connection, struct database_cancel_step *step,
                          const uint64_t *request)
{
    struct sim_record *record = tables_find(connection->server, &step->id);
    step->changed = false;
    if (record == NULL || (!record->exists && record->inserter == NULL))
        return STEP_FINISHED;
    if (server_refuses(connection->server))
        return step_failed(connection, DATABASE_FAILED);
    bool held = lock_is_held(connection, &record->lock, true);
    enum step_end end = step_lock(connection, &record->lock, true);
    if (end != STEP_FINISHED)
        return end;
    step->changed = tables_sees_live(connection, record);
    SIM_TRACE(connection->server->world, connection->who, "cancels row %s: %s",
              sim_id_text(&step->id), step->changed ? "was live" : "no change");
    if (step->changed)
        tables_cancel(connection, record, *request);
    else if (!held)
        lock_let_go(connection, &record->lock);
    return STEP_FINISHED;
}
