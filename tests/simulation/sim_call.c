/* The stored procedure: a whole reservation on the server, its COMMIT or ROLLBACK included. Between
 * its statements others get their turn, as between anybody's. */
#include "resvd/assert.h"
#include "resvd/fault.h"
#include "sim_log.h"

enum phase {
    PHASE_BEGIN,
    PHASE_LOCK,
    PHASE_HOLD,
    PHASE_LOOK,
    PHASE_KEY,
    PHASE_WRITE,
    PHASE_COMMIT
};

static enum step_end next_phase(struct sim_connection *connection)
{
    connection->phase++;
    return STEP_YIELDS;
}

static enum step_end says(struct sim_connection *connection, struct database_call_step *call,
                          enum resv_outcome outcome)
{
    SIM_TRACE(connection->server->world, connection->who, "CALL_RESERVE %s: %s",
              sim_id_text(&call->row.id), sim_outcome_text(outcome));
    call->outcome = outcome;
    tables_rollback(connection);
    return STEP_FINISHED;
}

/* The row may be on its way to the disk: the answer waits for it. */
static enum step_end says_on_disk(struct sim_connection *connection,
                                  struct database_call_step *call, enum resv_outcome outcome)
{
    enum step_end end = says(connection, call, outcome);
    if (!RESV_FAULT(replay_without_sync))
        log_commit(connection);
    return end;
}

static enum step_end says_there(struct sim_connection *connection, struct database_call_step *call,
                                const struct sim_record *record)
{
    const struct resv_reservation *row = &record->content;
    if (row->concert_id != call->concert_id || row->member_id != call->row.member_id ||
        row->quantity != call->row.quantity)
        return says_on_disk(connection, call, RESV_KEY_REUSED);
    call->reservation = *row;
    call->reservation.status = record->live ? RESV_STATUS_CONFIRMED : RESV_STATUS_CANCELLED;
    call->reservation.replay = true;
    return says_on_disk(connection, call, RESV_GRANTED);
}

static enum step_end look(struct sim_connection *connection, struct database_call_step *call,
                          const struct sim_concert *concert)
{
    struct sim_server *server = connection->server;
    const struct sim_record *record = tables_find(server, &call->row.id);
    if (record != NULL && record->exists)
        return says_there(connection, call, record);
    /* One that came in after the lock was tried is not there for this call. */
    if (concert == NULL || !lock_is_held(connection, &concert->lock, true))
        return says(connection, call, RESV_UNKNOWN_CONCERT);
    if (tables_member(server, call->row.member_id) == NULL)
        return says(connection, call, RESV_UNKNOWN_MEMBER);
    int64_t limit = concert->now.member_limit;
    if (limit != RESV_NO_MEMBER_LIMIT &&
        tables_member_live(concert, call->row.member_id) + call->row.quantity > limit)
        return says(connection, call, RESV_LIMIT);
    if (concert->now.sold + call->row.quantity > concert->now.capacity)
        return says(connection, call, RESV_SOLD_OUT);
    return next_phase(connection);
}

static enum step_end key(struct sim_connection *connection, struct database_call_step *call)
{
    struct sim_record *record = tables_record(connection->server, &call->row.id);
    if (record->exists || lock_is_of_others(connection, &record->lock)) {
        enum step_end end = step_lock(connection, &record->lock, false);
        if (end != STEP_FINISHED)
            return end;
    }
    if (record->exists)
        return says_there(connection, call, record);
    enum step_end end = step_lock(connection, &record->lock, true);
    return end == STEP_FINISHED ? next_phase(connection) : end;
}

static enum step_end write(struct sim_connection *connection, struct database_call_step *call,
                           struct sim_concert *concert)
{
    struct sim_record *record = tables_record(connection->server, &call->row.id);
    enum step_end end =
        step_lock(connection, &tables_member(connection->server, call->row.member_id)->lock, false);
    if (end != STEP_FINISHED)
        return end;
    call->reservation = (struct resv_reservation){.concert_id = call->concert_id,
                                                  .member_id = call->row.member_id,
                                                  .quantity = call->row.quantity,
                                                  .status = RESV_STATUS_CONFIRMED};
    tables_insert(connection, record, &call->reservation,
                  *connection->packet->requests[connection->packet->at]);
    concert->now.sold += call->row.quantity;
    if (!RESV_FAULT(fence_left_alone))
        concert->fence_now++;
    return next_phase(connection);
}

static enum step_end commit(struct sim_connection *connection, struct database_call_step *call)
{
    struct sim_world *world = connection->server->world;
    if (chance_of(&world->chance, world->scenario.commit_fails)) {
        tables_rollback(connection);
        return step_failed(connection, DATABASE_LOST);
    }
    bool deceives = chance_of(&world->chance, world->scenario.commit_deceives);
    call->outcome = RESV_GRANTED;
    SIM_TRACE(world, connection->who, "CALL_RESERVE %s: committed%s", sim_id_text(&call->row.id),
              deceives ? ", but an error is answered" : "");
    tables_commit(connection);
    return deceives ? step_failed(connection, DATABASE_LOST) : STEP_FINISHED;
}

enum step_end step_execute_call(struct sim_connection *connection, struct database_step *step)
{
    struct sim_world *world = connection->server->world;
    struct database_call_step *call = &step->call;
    struct sim_concert *concert = tables_concert(connection->server, call->concert_id);
    RESV_ASSERT(connection->packet->count == 1);
    if (server_refuses(connection->server) && connection->phase <= PHASE_WRITE)
        return step_failed(connection, DATABASE_FAILED);
    switch ((enum phase)connection->phase) {
    case PHASE_BEGIN:
        tables_commit(connection);
        connection->open = true;
        return next_phase(connection);
    case PHASE_LOCK:
        if (concert != NULL) {
            enum step_end end = step_lock(connection, &concert->lock, true);
            if (end != STEP_FINISHED)
                return end;
        }
        return next_phase(connection);
    case PHASE_HOLD:
        connection->phase++;
        if (call->hold_ms == 0)
            return STEP_YIELDS;
        schedule_after(&world->schedule, &connection->work, (uint64_t)call->hold_ms * NS_PER_MS);
        return STEP_WAITS;
    case PHASE_LOOK:
        return look(connection, call, concert);
    case PHASE_KEY:
        return key(connection, call);
    case PHASE_WRITE:
        return write(connection, call, concert);
    case PHASE_COMMIT:
        return commit(connection, call);
    }
    return STEP_FINISHED;
}
