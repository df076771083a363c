/* Positions of consumers: how far events were applied, as rows that are locked like any others.
 *
 * Neither a reset nor anybody else deletes one. */
#include <stdlib.h>
#include <string.h>

#include "resvd/assert.h"
#include "sim_checker.h"

/* Made when there is none: its lock is there before its row. */
static struct sim_position *find(struct sim_server *server,
                                 const struct database_position_step *step)
{
    size_t size = strlen(step->topic);
    RESV_ASSERT(size > 0 && size <= DATABASE_TOPIC_MAX);
    struct sim_position *position = server->positions;
    while (position != NULL &&
           (position->partition != step->partition || strcmp(position->topic, step->topic) != 0))
        position = position->next;
    if (position != NULL)
        return position;
    position = calloc(1, sizeof *position);
    RESV_ASSERT(position != NULL);
    memcpy(position->topic, step->topic, size);
    position->partition = step->partition;
    position->lock.position = position;
    position->next = server->positions;
    server->positions = position;
    return position;
}

static void take_result(struct sim_connection *connection, const struct sim_position *position,
                        struct database_position_step *step)
{
    bool held = lock_is_held(connection, &position->lock, true);
    step->found = held ? position->exists_now : position->exists;
    step->next_offset = held ? position->next_now : position->next_offset;
    step->epoch = connection->server->epoch;
    SIM_TRACE(connection->server->world, connection->who, "position of %s %d is %lld, epoch %lld",
              position->topic, (int)position->partition, (long long)step->next_offset,
              (long long)step->epoch);
}

void position_read(struct sim_connection *connection, struct database_position_step *step)
{
    take_result(connection, find(connection->server, step), step);
}

enum step_end position_lock(struct sim_connection *connection, struct database_position_step *step)
{
    struct sim_position *position = find(connection->server, step);
    if (server_refuses(connection->server)) /* it may have to write */
        return step_failed(connection, DATABASE_FAILED);
    enum step_end end = step_lock(connection, &position->lock, true);
    if (end != STEP_FINISHED)
        return end;
    take_result(connection, position, step);
    if (!step->found) {
        position->exists_now = true;
        connection->wrote = true;
    }
    return STEP_FINISHED;
}

enum step_end position_move(struct sim_connection *connection,
                            const struct database_position_step *step)
{
    struct sim_server *server = connection->server;
    struct sim_position *position = find(server, step);
    RESV_ASSERT(step->from >= 0 && step->to >= 0);
    if (server_refuses(server))
        return step_failed(connection, DATABASE_FAILED);
    bool held = lock_is_held(connection, &position->lock, true);
    bool there = held ? position->exists_now : position->exists;
    if (step->epoch != server->epoch || (step->from != 0 && !there)) {
        SIM_TRACE(server->world, connection->who, "position of %s %d stays: epoch %lld, not %lld",
                  position->topic, (int)position->partition, (long long)server->epoch,
                  (long long)step->epoch);
        return step_failed(connection, DATABASE_REFUSED);
    }
    enum step_end end = step_lock(connection, &position->lock, true);
    if (end != STEP_FINISHED)
        return end;
    SIM_TRACE(server->world, connection->who, "position of %s %d: %lld, from %lld to %lld",
              position->topic, (int)position->partition, (long long)position->next_now,
              (long long)step->from, (long long)step->to);
    if (position->next_now != step->from)
        return step_failed(connection, DATABASE_REFUSED);
    position->exists_now = true;
    position->next_now = step->to;
    connection->wrote = true;
    return STEP_FINISHED;
}

void positions_free(struct sim_server *server)
{
    while (server->positions != NULL) {
        struct sim_position *position = server->positions;
        server->positions = position->next;
        free(position);
    }
}
