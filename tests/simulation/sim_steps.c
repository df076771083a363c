/* What each step of database.h does, on one connection, as the server would.
 *
 * A step that has to wait is called again when it may go on; `phase` and `row` of the connection
 * say how far it had come. */
#include <stdlib.h>
#include <string.h>

#include "resvd/assert.h"
#include "resvd/fault.h"
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
        [DATABASE_INSERT_EVENTS] = "INSERT_EVENTS",
        [DATABASE_READ_POSITION] = "READ_POSITION",
        [DATABASE_LOCK_POSITION] = "LOCK_POSITION",
        [DATABASE_MOVE_POSITION] = "MOVE_POSITION",
        [DATABASE_READ_EPOCH] = "READ_EPOCH",
        [DATABASE_READ_ALL_MEMBER_SEATS] = "READ_ALL_MEMBER_SEATS",
        [DATABASE_READ_CONCERTS] = "READ_CONCERTS",
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
static const struct resv_concert *as_seen(struct sim_connection *connection, int64_t concert_id,
                                          int64_t *fence)
{
    struct sim_server *server = connection->server;
    struct sim_concert *concert = tables_concert(server, concert_id);
    if (concert == NULL)
        return NULL;
    *fence = concert->fence;
    if (lock_is_held(connection, &concert->lock, true)) {
        *fence = concert->fence_now;
        return &concert->now;
    }
    if (connection->isolation != DATABASE_REPEATABLE_READ || !connection->open)
        return &concert->committed;
    if (connection->snapshot == NULL) {
        connection->snapshot = calloc(server->concert_count, sizeof connection->snapshot[0]);
        RESV_ASSERT(connection->snapshot != NULL);
        connection->snapshot_count = server->concert_count;
        for (size_t i = 0; i < server->concert_count; i++)
            connection->snapshot[i] = (struct sim_snapshot){
                .concert = server->concerts[i]->committed, .fence = server->concerts[i]->fence};
    }
    if ((size_t)concert_id > connection->snapshot_count)
        return NULL;
    *fence = connection->snapshot[concert_id - 1].fence;
    return &connection->snapshot[concert_id - 1].concert;
}

static void read_concert(struct sim_connection *connection, struct database_concert_step *step)
{
    int64_t fence = 0;
    const struct resv_concert *concert = as_seen(connection, step->concert_id, &fence);
    step->found = concert != NULL;
    if (concert != NULL) {
        step->capacity = concert->capacity;
        step->sold = concert->sold;
        step->member_limit = concert->member_limit;
        step->fence = fence;
    }
    SIM_TRACE(connection->server->world, connection->who,
              "reads concert %lld: sold %lld of %lld, limit %lld, fence %lld",
              (long long)step->concert_id, concert != NULL ? (long long)step->sold : -1,
              concert != NULL ? (long long)step->capacity : -1,
              concert != NULL ? (long long)step->member_limit : -1, (long long)fence);
}

static void read_concert_page(struct sim_connection *connection,
                              struct database_concert_page_step *step)
{
    int64_t last = (int64_t)connection->server->concert_count;
    int64_t id = step->after_concert_id < 0 ? 1 : step->after_concert_id + 1;
    step->count = 0;
    for (; id <= last && step->count < step->room; id++) {
        struct database_concert_step *item = &step->items[step->count];
        *item = (struct database_concert_step){.concert_id = id};
        read_concert(connection, item);
        if (item->found)
            step->count++;
    }
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

/* Locked. Whether it took them: with a token, only while that is above the fence. */
static enum step_end take_seats(struct sim_connection *connection, struct sim_concert *concert,
                                struct database_seats_step *step)
{
    bool stale = step->token != 0 && concert->fence_now >= step->token;
    bool fits = concert->now.sold + step->seats <= concert->now.capacity;
    step->changed = fits && !stale;
    if (!step->changed) {
        SIM_TRACE(connection->server->world, connection->who,
                  "%lld seats of concert %lld %s: %lld of %lld, fence %lld, token %lld",
                  (long long)step->seats, (long long)step->concert_id,
                  stale ? "are not taken any more" : "do not fit", (long long)concert->now.sold,
                  (long long)concert->now.capacity, (long long)concert->fence_now,
                  (long long)step->token);
        return STEP_FINISHED;
    }
    enum step_end end = change_sold(connection, concert, concert->now.sold + step->seats);
    if (end == STEP_FINISHED && step->token != 0)
        concert->fence_now = concert->token = step->token;
    else if (end == STEP_FINISHED && !RESV_FAULT(fence_left_alone))
        concert->fence_now++;
    return end;
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
    if (kind == DATABASE_WRITE_SOLD) {
        concert->overwritten = true;
        return change_sold(connection, concert, step->seats);
    }
    bool or_fail = kind == DATABASE_TAKE_SEATS_OR_FAIL;
    if (or_fail && step->token == 0 && concert->now.member_limit != RESV_NO_MEMBER_LIMIT)
        return step_failed(connection, DATABASE_REFUSED);
    end = take_seats(connection, concert, step);
    if (or_fail && !step->changed)
        return step_failed(connection, DATABASE_REFUSED);
    /* READ COMMITTED lets go of a row that did not match. */
    if (!step->changed && !held)
        lock_let_go(connection, &concert->lock);
    return end;
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
    case DATABASE_READ_CONCERTS:
        read_concert_page(connection, &step->concert_page);
        return STEP_FINISHED;
    case DATABASE_READ_RESERVATIONS:
        rows_read(connection, &step->reservations);
        return STEP_FINISHED;
    case DATABASE_READ_MEMBERS:
    case DATABASE_READ_MEMBER_SEATS:
        rows_read_members(connection, &step->members, step->kind == DATABASE_READ_MEMBER_SEATS);
        return STEP_FINISHED;
    case DATABASE_READ_ALL_MEMBER_SEATS:
        rows_read_member_page(connection, &step->member_page);
        return STEP_FINISHED;
    case DATABASE_TAKE_SEATS:
    case DATABASE_TAKE_SEATS_OR_FAIL:
    case DATABASE_WRITE_SOLD:
    case DATABASE_GIVE_BACK_SEATS:
        return seats(connection, step->kind, &step->seats);
    case DATABASE_INSERT_RESERVATIONS:
    case DATABASE_INSERT_EVENTS:
        return rows_insert(connection, step, requests);
    case DATABASE_CANCEL_RESERVATION:
        return rows_cancel(connection, &step->reservation, requests);
    case DATABASE_CALL_RESERVE:
        return step_execute_call(connection, step);
    case DATABASE_SYNC:
        return sync_log(connection);
    case DATABASE_READ_POSITION:
        position_read(connection, &step->position);
        return STEP_FINISHED;
    case DATABASE_LOCK_POSITION:
        return position_lock(connection, &step->position);
    case DATABASE_MOVE_POSITION:
        return position_move(connection, &step->position);
    case DATABASE_READ_EPOCH:
        step->epoch.epoch = connection->server->epoch;
        return STEP_FINISHED;
    }
    return STEP_FINISHED;
}
