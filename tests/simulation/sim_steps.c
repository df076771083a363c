/* What each step of database.h does, on one connection, as the server would.
 *
 * A step that has to wait is called again when it may go on; `phase` and `row` of the connection
 * say how far it had come. */
#include <stdlib.h>
#include <string.h>

#include "resvd/assert.h"
#include "sim_checker.h"
#include "sim_log.h"

const char *step_name(enum database_step_kind kind)
{
    static const char *const names[] = {
        [DATABASE_BEGIN] = "BEGIN",
        [DATABASE_COMMIT] = "COMMIT",
        [DATABASE_ROLLBACK] = "ROLLBACK",
        [DATABASE_END_SESSION] = "END_SESSION",
        [DATABASE_READ_CONCERT] = "READ_CONCERT",
        [DATABASE_LOCK_CONCERT] = "LOCK_CONCERT",
        [DATABASE_READ_RESERVATIONS] = "READ_RESERVATIONS",
        [DATABASE_READ_MEMBERS] = "READ_MEMBERS",
        [DATABASE_READ_MEMBER_SEATS] = "READ_MEMBER_SEATS",
        [DATABASE_TAKE_SEATS] = "TAKE_SEATS",
        [DATABASE_TAKE_SEATS_OR_FAIL] = "TAKE_SEATS_OR_FAIL",
        [DATABASE_WRITE_SOLD] = "WRITE_SOLD",
        [DATABASE_INSERT_RESERVATIONS] = "INSERT_RESERVATIONS",
        [DATABASE_CANCEL_RESERVATION] = "CANCEL_RESERVATION",
        [DATABASE_GIVE_BACK_SEATS] = "GIVE_BACK_SEATS",
        [DATABASE_CALL_RESERVE] = "CALL_RESERVE",
        [DATABASE_SYNC] = "SYNC",
    };
    return names[kind];
}

/* --- transactions ----------------------------------------------------------------------------- */

static enum step_end commit(struct sim_connection *connection)
{
    struct sim_world *world = connection->server->world;
    const struct sim_scenario *scenario = &world->scenario;
    bool fails = connection->wrote && (chance_of(&world->chance, scenario->commit_fails) ||
                                       server_refuses(connection->server));
    if (fails) {
        SIM_TRACE(world, connection->who, "COMMIT fails, nothing is committed");
        tables_rollback(connection);
        return step_failed(connection, DATABASE_LOST);
    }
    bool deceives = connection->wrote && chance_of(&world->chance, scenario->commit_deceives);
    SIM_TRACE(world, connection->who, "COMMIT%s",
              deceives ? ", but an error is answered"
                       : (connection->open ? "" : ", but no transaction is open"));
    tables_commit(connection);
    return deceives ? step_failed(connection, DATABASE_LOST) : STEP_FINISHED;
}

static struct sim_connection *find_session(struct sim_server *server,
                                           const struct database_session_name *name)
{
    struct sim_connection *connection = server->connections;
    while (connection != NULL &&
           memcmp(connection->name.bytes, name->bytes, sizeof name->bytes) != 0)
        connection = connection->next;
    return connection;
}

static enum step_end end_session(struct sim_connection *connection,
                                 const struct database_session_name *name)
{
    struct sim_world *world = connection->server->world;
    struct sim_connection *victim = find_session(connection->server, name);
    if (victim == NULL) {
        SIM_TRACE(world, connection->who, "END_SESSION: it is over");
        return STEP_FINISHED;
    }
    RESV_ASSERT(victim != connection);
    if (connection->phase == 0) {
        connection->phase = 1;
        uint64_t delay_ms = chance_of(&world->chance, world->scenario.slow_kill) ? 5000 : 20;
        SIM_TRACE(world, connection->who, "END_SESSION kills %s", victim->who);
        victim->killed = true;
        schedule_no_later(&world->schedule, &victim->end,
                          chance_below(&world->chance, delay_ms * NS_PER_MS));
    }
    uint64_t waited_ns = world->schedule.now_ns - connection->step_began_ns;
    if (waited_ns > world->scenario.end_wait_ms * NS_PER_MS)
        return step_failed(connection, DATABASE_LOCK_WAIT);
    schedule_after(&world->schedule, &connection->work,
                   (1 + chance_below(&world->chance, 20)) * NS_PER_MS);
    return STEP_WAITS;
}

/* --- reads ------------------------------------------------------------------------------------ */

/* REPEATABLE READ sees the concerts as they were at the transaction's first read. */
static const struct resv_concert *as_seen(struct sim_connection *connection, int64_t concert_id)
{
    struct sim_server *server = connection->server;
    struct sim_concert *concert = tables_concert(server, concert_id);
    if (concert == NULL)
        return NULL;
    if (lock_is_held(connection, &concert->lock, true))
        return &concert->now;
    if (connection->isolation != DATABASE_REPEATABLE_READ || !connection->open)
        return &concert->committed;
    if (connection->snapshot == NULL) {
        connection->snapshot = calloc(server->concert_count, sizeof connection->snapshot[0]);
        RESV_ASSERT(connection->snapshot != NULL);
        connection->snapshot_count = server->concert_count;
        for (size_t i = 0; i < server->concert_count; i++)
            connection->snapshot[i] = server->concerts[i]->committed;
    }
    return (size_t)concert_id <= connection->snapshot_count ? &connection->snapshot[concert_id - 1]
                                                            : NULL;
}

static void read_concert(struct sim_connection *connection, struct database_concert_step *step)
{
    const struct resv_concert *concert = as_seen(connection, step->concert_id);
    step->found = concert != NULL;
    if (concert != NULL) {
        step->capacity = concert->capacity;
        step->sold = concert->sold;
        step->member_limit = concert->member_limit;
        step->fence = 0;
    }
    SIM_TRACE(connection->server->world, connection->who,
              "reads concert %lld: sold %lld of %lld, limit %lld", (long long)step->concert_id,
              concert != NULL ? (long long)step->sold : -1,
              concert != NULL ? (long long)step->capacity : -1,
              concert != NULL ? (long long)step->member_limit : -1);
}

static enum step_end lock_concert(struct sim_connection *connection,
                                  struct database_concert_step *step)
{
    struct sim_concert *concert = tables_concert(connection->server, step->concert_id);
    if (concert != NULL) {
        enum step_end end = step_lock(connection, &concert->lock, true);
        if (end != STEP_FINISHED)
            return end;
    }
    read_concert(connection, step);
    return STEP_FINISHED;
}

static void read_reservations(struct sim_connection *connection,
                              struct database_reservations_step *step)
{
    for (size_t i = 0; i < step->count; i++) {
        struct database_reservation *item = &step->items[i];
        const struct sim_record *record = tables_find(connection->server, &item->id);
        item->found = record != NULL && tables_sees(connection, record);
        if (!item->found)
            continue;
        item->row = record->content;
        item->row.status =
            tables_sees_live(connection, record) ? RESV_STATUS_CONFIRMED : RESV_STATUS_CANCELLED;
    }
}

static void read_members(struct sim_connection *connection, struct database_members_step *step,
                         bool seats)
{
    const struct sim_concert *concert = tables_concert(connection->server, step->concert_id);
    for (size_t i = 0; i < step->count; i++) {
        struct database_member *member = &step->items[i];
        if (!seats) {
            member->found = tables_member(connection->server, member->id) != NULL;
            continue;
        }
        member->seats = concert == NULL ? 0 : tables_member_live(concert, member->id);
        for (const struct sim_record *row = connection->rows; row != NULL;
             row = row->transaction_next) {
            if (row->content.member_id != member->id || row->content.concert_id != step->concert_id)
                continue;
            if (row->inserter == connection && row->canceller != connection)
                member->seats += row->content.quantity;
            else if (row->exists && row->live && row->canceller == connection)
                member->seats -= row->content.quantity;
        }
    }
}

/* --- seats ------------------------------------------------------------------------------------ */

static enum step_end change_sold(struct sim_connection *connection, struct sim_concert *concert,
                                 int64_t sold)
{
    struct sim_world *world = connection->server->world;
    if (sold < 0 || sold > concert->now.capacity) {
        checker_check_failed(world->checker, concert, sold);
        return step_failed(connection, DATABASE_REFUSED);
    }
    SIM_TRACE(world, connection->who, "sold of concert %lld: %lld to %lld of %lld",
              (long long)concert->now.id, (long long)concert->now.sold, (long long)sold,
              (long long)concert->now.capacity);
    concert->now.sold = sold;
    connection->wrote = true;
    return STEP_FINISHED;
}

static enum step_end seats(struct sim_connection *connection, enum database_step_kind kind,
                           struct database_seats_step *step)
{
    struct sim_world *world = connection->server->world;
    struct sim_concert *concert = tables_concert(connection->server, step->concert_id);
    step->changed = false;
    if (concert == NULL)
        return STEP_FINISHED;
    if (server_refuses(connection->server))
        return step_failed(connection, DATABASE_FAILED);
    bool held = lock_is_held(connection, &concert->lock, true);
    enum step_end end = step_lock(connection, &concert->lock, true);
    if (end != STEP_FINISHED)
        return end;
    if (kind == DATABASE_GIVE_BACK_SEATS) {
        int64_t rest = concert->now.sold - step->seats;
        if (rest < 0) /* no error for who gives back, but it was counted wrong before */
            checker_check_failed(world->checker, concert, rest);
        return change_sold(connection, concert, rest < 0 ? 0 : rest);
    }
    if (kind == DATABASE_WRITE_SOLD)
        return change_sold(connection, concert, step->seats);
    bool fits = concert->now.sold + step->seats <= concert->now.capacity;
    if (kind == DATABASE_TAKE_SEATS_OR_FAIL &&
        (!fits || concert->now.member_limit != RESV_NO_MEMBER_LIMIT))
        return step_failed(connection, DATABASE_REFUSED);
    step->changed = fits;
    if (fits)
        return change_sold(connection, concert, concert->now.sold + step->seats);
    SIM_TRACE(world, connection->who, "%lld seats of concert %lld do not fit: %lld of %lld",
              (long long)step->seats, (long long)step->concert_id, (long long)concert->now.sold,
              (long long)concert->now.capacity);
    /* READ COMMITTED lets go of a row that did not match. */
    if (!held)
        lock_release(connection, &concert->lock);
    return STEP_FINISHED;
}

/* --- rows ------------------------------------------------------------------------------------- */

/* One row: the key, then the parents. */
static enum step_end insert_row(struct sim_connection *connection,
                                const struct database_insert_step *step, size_t index,
                                uint64_t request)
{
    struct sim_server *server = connection->server;
    const struct database_row *row = &step->rows[index];
    struct sim_record *record = tables_record(server, &row->id);
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
        const struct resv_reservation content = {.concert_id = step->concert_id,
                                                 .member_id = row->member_id,
                                                 .quantity = row->quantity,
                                                 .status = RESV_STATUS_CONFIRMED};
        tables_insert(connection, record, &content, request);
        connection->phase = 1;
    } else if (connection->phase == 0) {
        return step_failed(connection, DATABASE_DUPLICATE);
    }
    struct sim_concert *concert = tables_concert(server, step->concert_id);
    struct sim_member *member = tables_member(server, row->member_id);
    if (concert == NULL || member == NULL)
        return step_failed(connection, DATABASE_NO_PARENT);
    end = step_lock(connection, &concert->lock, false);
    if (end != STEP_FINISHED)
        return end;
    return step_lock(connection, &member->lock, false);
}

static enum step_end insert(struct sim_connection *connection,
                            const struct database_insert_step *step, const uint64_t *requests)
{
    struct sim_world *world = connection->server->world;
    if (server_refuses(connection->server))
        return step_failed(connection, DATABASE_FAILED);
    while (connection->row < step->count) {
        enum step_end end = insert_row(connection, step, connection->row,
                                       requests != NULL ? requests[connection->row] : 0);
        if (end == STEP_FINISHED) {
            SIM_TRACE(world, connection->who, "row %s: member %lld, %lld of concert %lld",
                      sim_id_text(&step->rows[connection->row].id),
                      (long long)step->rows[connection->row].member_id,
                      (long long)step->rows[connection->row].quantity, (long long)step->concert_id);
            connection->row++;
            connection->phase = 0;
            continue;
        }
        if (end == STEP_FAILED && connection->failure != DATABASE_DEADLOCK) {
            /* The statement as a whole is undone; the row that failed only if it got as far. */
            size_t inserted = connection->row + (connection->phase == 1 ? 1 : 0);
            for (size_t i = 0; i < inserted; i++)
                tables_uninsert(connection, tables_record(connection->server, &step->rows[i].id));
        }
        return end;
    }
    return STEP_FINISHED;
}

static enum step_end cancel(struct sim_connection *connection, struct database_cancel_step *step,
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
        lock_release(connection, &record->lock);
    return STEP_FINISHED;
}

/* --- on disk ---------------------------------------------------------------------------------- */

/* A write of its own, to nothing that anybody reads; the step is over when it is on disk. */
static enum step_end sync_log(struct sim_connection *connection)
{
    struct sim_world *world = connection->server->world;
    RESV_ASSERT(!connection->open);
    if (server_refuses(connection->server))
        return step_failed(connection, DATABASE_FAILED);
    if (chance_of(&world->chance, world->scenario.lock_waits))
        return step_failed(connection, DATABASE_LOCK_WAIT);
    log_commit(connection);
    return STEP_FINISHED;
}

/* --- all -------------------------------------------------------------------------------------- */

enum step_end step_execute(struct sim_connection *connection, struct database_step *step)
{
    struct sim_world *world = connection->server->world;
    const uint64_t *requests = connection->packet->requests[connection->packet->at];
    if (connection->phase == 0 && connection->row == 0 && !connection->timed_out &&
        step->kind > DATABASE_END_SESSION && chance_of(&world->chance, world->scenario.refused))
        return step_failed(connection, DATABASE_FAILED);
    switch (step->kind) {
    case DATABASE_BEGIN: /* commits what is open, as the server does */
        tables_commit(connection);
        connection->open = true;
        return STEP_FINISHED;
    case DATABASE_COMMIT:
        return commit(connection);
    case DATABASE_ROLLBACK:
        SIM_TRACE(world, connection->who, "ROLLBACK");
        tables_rollback(connection);
        return STEP_FINISHED;
    case DATABASE_END_SESSION:
        return end_session(connection, &step->end_session);
    case DATABASE_READ_CONCERT:
        read_concert(connection, &step->concert);
        return STEP_FINISHED;
    case DATABASE_LOCK_CONCERT:
        return lock_concert(connection, &step->concert);
    case DATABASE_READ_RESERVATIONS:
        read_reservations(connection, &step->reservations);
        return STEP_FINISHED;
    case DATABASE_READ_MEMBERS:
    case DATABASE_READ_MEMBER_SEATS:
        read_members(connection, &step->members, step->kind == DATABASE_READ_MEMBER_SEATS);
        return STEP_FINISHED;
    case DATABASE_TAKE_SEATS:
    case DATABASE_TAKE_SEATS_OR_FAIL:
    case DATABASE_WRITE_SOLD:
    case DATABASE_GIVE_BACK_SEATS:
        return seats(connection, step->kind, &step->seats);
    case DATABASE_INSERT_RESERVATIONS:
        return insert(connection, &step->insert, requests);
    case DATABASE_CANCEL_RESERVATION:
        return cancel(connection, &step->reservation, requests);
    case DATABASE_CALL_RESERVE:
        return step_execute_call(connection, step);
    case DATABASE_SYNC:
        return sync_log(connection);
    }
    return STEP_FINISHED;
}
