/* Connections: a packet's steps one after another, each after a delay of its own, and death. */
#include "sim_server.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "resvd/assert.h"
#include "sim_catalog.h"
#include "sim_log.h"
#include "sim_session.h"

bool server_refuses(const struct sim_server *server)
{
    return server->refuses_until_ns > server->world->schedule.now_ns;
}

static uint64_t step_delay_ns(const struct sim_server *server)
{
    struct sim_world *world = server->world;
    return chance_skewed(&world->chance, world->scenario.step_max_us * NS_PER_US);
}

/* --- answers ---------------------------------------------------------------------------------- */

static void end_now(struct sim_event *event)
{
    struct sim_connection *connection = event->data;
    SIM_TRACE(connection->server->world, connection->who, "is over%s%s",
              connection->killed ? ", killed" : "", connection->open ? ", rolls back" : "");
    server_end(connection);
}

static void answer(struct sim_connection *connection, enum database_result result)
{
    struct sim_packet *packet = connection->packet;
    connection->packet = NULL;
    connection->phase = 0;
    packet->result = result;
    if (connection->session != NULL) {
        session_answer(connection->session, packet);
        return;
    }
    packet_free(packet);
    /* It reads on, and finds that the client has gone. */
    schedule_no_later(&connection->server->world->schedule, &connection->end, 0);
}

/* --- executing -------------------------------------------------------------------------------- */

static void failed(struct sim_connection *connection, enum database_result failure)
{
    struct sim_world *world = connection->server->world;
    SIM_TRACE(world, connection->who, "%s fails: %s",
              step_name(connection->packet->steps[connection->packet->at].kind),
              database_result_text(failure));
    /* A statement by itself leaves nothing behind. */
    if (!connection->open)
        tables_rollback(connection);
    answer(connection, failure);
}

/* Or waits until what it has committed is on disk. */
static void step_is_over(struct sim_connection *connection)
{
    struct sim_world *world = connection->server->world;
    struct sim_packet *packet = connection->packet;
    connection->flushing = !log_is_durable(connection->server, connection->committed_at);
    if (connection->flushing)
        return;
    connection->phase = 0;
    connection->row = 0;
    connection->timed_out = false;
    packet->at++;
    if (packet->at == packet->count)
        answer(connection, DATABASE_DONE);
    else
        schedule_after(&world->schedule, &connection->work, step_delay_ns(connection->server));
}

static void work(struct sim_event *event)
{
    struct sim_connection *connection = event->data;
    struct sim_world *world = connection->server->world;
    if (connection->catalog != NULL) {
        catalog_work(connection->catalog);
        return;
    }
    struct sim_packet *packet = connection->packet;
    RESV_ASSERT(packet != NULL && packet->at < packet->count);
    if (connection->flushing) {
        step_is_over(connection);
        return;
    }
    struct database_step *step = &packet->steps[packet->at];
    if (connection->phase == 0)
        connection->step_began_ns = world->schedule.now_ns;
    switch (step_execute(connection, step)) {
    case STEP_WAITS:
        break;
    case STEP_YIELDS:
        schedule_after(&world->schedule, &connection->work, step_delay_ns(connection->server));
        break;
    case STEP_FAILED:
        failed(connection, connection->failure);
        break;
    case STEP_FINISHED:
        if (!connection->open)
            tables_commit(connection);
        step_is_over(connection);
        break;
    }
}

void server_wake(struct sim_connection *connection)
{
    schedule_after(&connection->server->world->schedule, &connection->work,
                   step_delay_ns(connection->server));
}

void server_victim(struct sim_connection *connection)
{
    lock_stop_waiting(connection);
    tables_rollback(connection);
    if (connection->catalog != NULL) {
        catalog_failed(connection->catalog);
        schedule_after(&connection->server->world->schedule, &connection->end, 0);
    } else {
        failed(connection, DATABASE_DEADLOCK);
    }
}

static void wait_ends(struct sim_event *event)
{
    struct sim_connection *connection = event->data;
    lock_stop_waiting(connection);
    if (connection->catalog != NULL) {
        tables_rollback(connection);
        catalog_failed(connection->catalog);
        schedule_after(&connection->server->world->schedule, &connection->end, 0);
        return;
    }
    connection->timed_out = true;
    work(&connection->work);
}

enum step_end step_failed(struct sim_connection *connection, enum database_result failure)
{
    connection->failure = failure;
    connection->timed_out = false;
    return STEP_FAILED;
}

enum step_end step_lock(struct sim_connection *connection, struct sim_lock *lock, bool exclusive)
{
    struct sim_world *world = connection->server->world;
    if (lock_is_held(connection, lock, exclusive))
        return STEP_FINISHED;
    if (connection->timed_out || chance_of(&world->chance, world->scenario.lock_waits))
        return step_failed(connection, DATABASE_LOCK_WAIT);
    if (chance_of(&world->chance, world->scenario.victim)) {
        tables_rollback(connection);
        return step_failed(connection, DATABASE_DEADLOCK);
    }
    switch (lock_take(connection, lock, exclusive)) {
    case LOCK_HELD:
        return STEP_FINISHED;
    case LOCK_WAITS:
        return STEP_WAITS;
    case LOCK_DEADLOCK:
        break;
    }
    return step_failed(connection, DATABASE_DEADLOCK);
}

/* --- life ------------------------------------------------------------------------------------- */

struct sim_connection *server_connect(struct sim_server *server,
                                      const struct database_session_name *name,
                                      struct database_session *session,
                                      enum database_isolation isolation)
{
    RESV_ASSERT(server->up);
    struct sim_connection *connection = calloc(1, sizeof *connection);
    RESV_ASSERT(connection != NULL);
    connection->server = server;
    connection->session = session;
    connection->isolation = isolation;
    if (name != NULL)
        connection->name = *name;
    connection->number = ++server->connection_numbers;
    snprintf(connection->who, sizeof connection->who, "db %" PRIu64, connection->number);
    connection->work = (struct sim_event){
        .fire = work, .data = connection, .held_until_ns = &server->stalled_until_ns};
    connection->wait_end = connection->work;
    connection->wait_end.fire = wait_ends;
    connection->end = connection->work;
    connection->end.fire = end_now;
    connection->next = server->connections;
    server->connections = connection;
    return connection;
}

void server_send(struct sim_connection *connection, struct sim_packet *packet, uint64_t delay_ns)
{
    RESV_ASSERT(connection->packet == NULL);
    connection->packet = packet;
    connection->phase = 0;
    connection->row = 0;
    schedule_after(&connection->server->world->schedule, &connection->work, delay_ns);
}

void server_client_gone(struct sim_connection *connection, uint64_t delay_ns)
{
    connection->session = NULL;
    connection->client_gone = true;
    if (connection->packet == NULL)
        schedule_no_later(&connection->server->world->schedule, &connection->end, delay_ns);
}

void server_end(struct sim_connection *connection)
{
    struct sim_server *server = connection->server;
    struct sim_world *world = server->world;
    struct sim_connection **link = &server->connections;
    while (*link != connection)
        link = &(*link)->next;
    *link = connection->next;
    schedule_cancel(&world->schedule, &connection->work);
    schedule_cancel(&world->schedule, &connection->wait_end);
    schedule_cancel(&world->schedule, &connection->end);
    tables_rollback(connection);
    packet_free(connection->packet);
    connection->packet = NULL;
    if (connection->session != NULL)
        session_broken(connection->session);
    if (connection->catalog != NULL)
        catalog_failed(connection->catalog);
    free(connection);
}

void server_crash(struct sim_server *server)
{
    SIM_TRACE(server->world, "db", "crashes");
    server->up = false;
    while (server->connections != NULL)
        server_end(server->connections);
    log_crash(server);
}

struct sim_server *server_create(struct sim_world *world)
{
    struct sim_server *server = calloc(1, sizeof *server);
    RESV_ASSERT(server != NULL);
    server->world = world;
    server->up = true;
    log_open(server);
    return server;
}

void server_free(struct sim_server *server)
{
    RESV_ASSERT(server->connections == NULL);
    tables_reset(server);
    positions_free(server);
    while (server->free_holds != NULL) {
        struct sim_hold *hold = server->free_holds;
        server->free_holds = hold->next_of_lock;
        free(hold);
    }
    free(server);
}
