/* One connection's client end: runs go out, and come back or do not. */
#include "sim_session.h"

#include <stdlib.h>
#include <string.h>

#include "resvd/assert.h"
#include "sim_checker.h"
#include "sim_redis.h"

static uint64_t network_ns(struct sim_world *world)
{
    return chance_skewed(&world->chance, world->scenario.network_max_us * NS_PER_US);
}

/* --- connecting ------------------------------------------------------------------------------- */

static void connected(struct sim_event *event)
{
    struct database_session *session = event->data;
    struct database_link *link = session->link;
    struct sim_world *world = link->world;
    if (!world->server->up || chance_of(&world->chance, world->scenario.connect_fails)) {
        session_free(session);
        /* With others that still work, it is no more than that. */
        if (!world->server->up || !link->up || chance_of(&world->chance, 300000))
            link_set_up(link, false);
        else
            link_pump_soon(link);
        return;
    }
    resv_random_bytes(link->host, session->name.bytes, sizeof session->name.bytes);
    session->connection =
        server_connect(world->server, &session->name, session, link->config.isolation);
    session->state = SESSION_IDLE;
    session->number = ++link->sessions_connected;
    SIM_TRACE(world, link->host->who, "connects as %s", session->connection->who);
    link_set_up(link, true);
    link_pump_soon(link);
}

static void answered(struct sim_event *event);
static void gives_up(struct sim_event *event);

struct database_session *session_connect(struct database_link *link, enum database_pool pool)
{
    struct database_session *session = calloc(1, sizeof *session);
    RESV_ASSERT(session != NULL);
    session->link = link;
    session->pool = pool;
    session->next = link->sessions;
    session->connected = sim_host_event(link->host, connected, session);
    session->answered = sim_host_event(link->host, answered, session);
    session->gives_up = sim_host_event(link->host, gives_up, session);
    link->sessions = session;
    link->session_counts[pool]++;
    schedule_after(&link->world->schedule, &session->connected,
                   NS_PER_MS / 10 + 3 * network_ns(link->world));
    return session;
}

/* The server finds out after a while, and until then locks are held. */
static void leave_connection(struct database_session *session, uint64_t notice_ns)
{
    if (session->connection == NULL)
        return;
    server_client_gone(session->connection, notice_ns);
    session->connection = NULL;
}

void session_free(struct database_session *session)
{
    struct database_link *link = session->link;
    struct sim_schedule *schedule = &link->world->schedule;
    struct database_session **place = &link->sessions;
    RESV_ASSERT(session->run == NULL);
    while (*place != session)
        place = &(*place)->next;
    *place = session->next;
    link->session_counts[session->pool]--;
    leave_connection(session, network_ns(link->world));
    schedule_cancel(schedule, &session->connected);
    schedule_cancel(schedule, &session->answered);
    schedule_cancel(schedule, &session->gives_up);
    free(session->touched);
    free(session);
}

/* --- which requests a transaction is for ------------------------------------------------------ */

static void touch(struct database_session *session, uint64_t serial)
{
    if (serial == 0)
        return;
    if (session->touched_count == session->touched_capacity) {
        session->touched_capacity = session->touched_capacity * 2 + 16;
        session->touched =
            realloc(session->touched, session->touched_capacity * sizeof session->touched[0]);
        RESV_ASSERT(session->touched != NULL);
    }
    session->touched[session->touched_count++] = serial;
}

static void tag(struct database_session *session, const struct database_step *steps,
                struct sim_packet *packet)
{
    const struct sim_host_events *events = &session->link->host->events;
    if (events->request_of == NULL)
        return;
    for (size_t i = 0; i < packet->count; i++) {
        const struct database_step *step = &steps[i];
        uint64_t *requests = packet->requests[i];
        if (step->kind == DATABASE_BEGIN) {
            session->touched_count = 0;
        } else if (step->kind == DATABASE_INSERT_RESERVATIONS) {
            for (size_t row = 0; row < step->insert.count; row++) {
                requests[row] = events->request_of(events->data, step, &step->insert.rows[row].id);
                touch(session, requests[row]);
            }
        } else if (step->kind == DATABASE_INSERT_EVENTS) {
            for (size_t row = 0; row < step->events.count; row++) {
                requests[row] = events->request_of(events->data, step, &step->events.rows[row].id);
                touch(session, requests[row]);
            }
        } else if (step->kind == DATABASE_CANCEL_RESERVATION) {
            requests[0] = events->request_of(events->data, step, &step->reservation.id);
            touch(session, requests[0]);
        } else if (step->kind == DATABASE_CALL_RESERVE) {
            session->touched_count = 0;
            requests[0] = events->request_of(events->data, step, &step->call.row.id);
            touch(session, requests[0]);
        }
    }
}

/* --- runs ------------------------------------------------------------------------------------- */

static void trace_run(struct database_session *session, const struct database_run *run,
                      const char *fate)
{
    char text[200] = "";
    for (size_t i = 0; i < run->count; i++) {
        strncat(text, i > 0 ? "; " : "", sizeof text - strlen(text) - 1);
        strncat(text, step_name(run->steps[i].kind), sizeof text - strlen(text) - 1);
    }
    SIM_TRACE(session->link->world, session->link->host->who, "sends to %s: %s%s",
              session->connection != NULL ? session->connection->who : "a broken connection", text,
              fate);
}

/* A write that has a token is made under a lock. */
static void check_locks(const struct database_session *session, const struct database_run *run)
{
    const struct database_link *link = session->link;
    for (size_t i = 0; link->world->redis != NULL && !link->dead && i < run->count; i++) {
        const struct database_step *step = &run->steps[i];
        bool takes = step->kind == DATABASE_TAKE_SEATS || step->kind == DATABASE_TAKE_SEATS_OR_FAIL;
        if (takes && step->seats.token != 0)
            redis_check_holder(link->world->redis, link->host, step->seats.concert_id);
    }
}

static void check_order(const struct database_session *session, const struct database_run *run)
{
    bool open = session->in_transaction && !session->lost;
    size_t steps_max = session->link->config.steps_max;
    RESV_ASSERT(run->count <= (steps_max == 0 ? DATABASE_STEPS_FEW : steps_max));
    for (size_t i = 0; i < run->count; i++) {
        enum database_step_kind kind = run->steps[i].kind;
        RESV_ASSERT(kind != DATABASE_SYNC || !open);
        if (kind == DATABASE_BEGIN)
            open = true;
        else if (kind == DATABASE_COMMIT || kind == DATABASE_ROLLBACK)
            open = false;
    }
}

void database_run(struct database_session *session, struct database_run *run)
{
    struct database_link *link = session->link;
    struct sim_world *world = link->world;
    const struct sim_scenario *scenario = &world->scenario;
    RESV_ASSERT(session->run == NULL && session->state == SESSION_USED && run->count > 0);
    check_order(session, run);
    check_locks(session, run);
    session->run = run;
    run->failed_at = 0;
    uint64_t delay_ns = network_ns(world);
    struct sim_packet *packet = packet_copy(run->steps, run->count);
    tag(session, run->steps, packet);
    if (session->connection == NULL || session->lost || link->dead) {
        packet_free(packet);
        session_lose(session, delay_ns);
        return;
    }
    uint64_t patience_ns = link->statement_timeout_ms * NS_PER_MS;
    if (chance_of(&world->chance, scenario->request_lost)) {
        trace_run(session, run, " (never arrives)");
        packet_free(packet);
        leave_connection(session, chance_skewed(&world->chance, 10 * NS_PER_S));
        session_lose(session, chance_of(&world->chance, 500000) ? delay_ns : patience_ns);
        return;
    }
    bool late = chance_of(&world->chance, scenario->late);
    packet->answer_lost = chance_of(&world->chance, scenario->answer_lost);
    trace_run(session, run,
              late ? " (arrives late)" : (packet->answer_lost ? " (answer will be lost)" : ""));
    if (late) {
        uint64_t gives_up_ns = delay_ns + chance_skewed(&world->chance, patience_ns);
        delay_ns += chance_skewed(&world->chance, 8 * NS_PER_S);
        if (gives_up_ns < patience_ns)
            patience_ns = gives_up_ns;
    }
    schedule_after(&world->schedule, &session->gives_up, patience_ns);
    server_send(session->connection, packet, delay_ns);
}

static bool run_commits(const struct database_run *run)
{
    for (size_t i = 0; i < run->count; i++) {
        if (run->steps[i].kind == DATABASE_COMMIT || run->steps[i].kind == DATABASE_CALL_RESERVE)
            return true;
    }
    return false;
}

/* Where the session stands behind this run, as a client can know it. */
static void note_transaction(struct database_session *session, const struct database_run *run)
{
    for (size_t i = 0; i < run->failed_at; i++) {
        enum database_step_kind kind = run->steps[i].kind;
        if (kind == DATABASE_BEGIN)
            session->in_transaction = true;
        else if (kind == DATABASE_COMMIT || kind == DATABASE_ROLLBACK ||
                 kind == DATABASE_CALL_RESERVE)
            session->in_transaction = false;
    }
    if (run->result == DATABASE_DEADLOCK)
        session->in_transaction = false;
    else if (run->result != DATABASE_DONE && run->steps[run->failed_at].kind <= DATABASE_ROLLBACK)
        session->in_transaction = true;
    else if (run->result != DATABASE_DONE &&
             run->steps[run->failed_at].kind == DATABASE_CALL_RESERVE)
        session->in_transaction = true;
}

static void finish(struct database_session *session, enum database_result result, size_t failed_at)
{
    struct database_run *run = session->run;
    struct sim_world *world = session->link->world;
    schedule_cancel(&world->schedule, &session->gives_up);
    schedule_cancel(&world->schedule, &session->answered);
    session->run = NULL;
    run->result = result;
    run->failed_at = failed_at;
    if (result == DATABASE_LOST) {
        session->lost = true;
        if (run_commits(run)) {
            for (size_t i = 0; i < session->touched_count; i++)
                checker_doubt(world->checker, session->touched[i]);
        }
        leave_connection(session, chance_skewed(&world->chance, 10 * NS_PER_S));
    } else {
        note_transaction(session, run);
    }
    SIM_TRACE(world, session->link->host->who, "gets %s%s%s", database_result_text(result),
              result == DATABASE_DONE ? "" : " at ",
              result == DATABASE_DONE ? "" : step_name(run->steps[failed_at].kind));
    run->done(run);
}

static void gives_up(struct sim_event *event)
{
    struct database_session *session = event->data;
    packet_free(session->answer);
    session->answer = NULL;
    finish(session, DATABASE_LOST, 0);
}

static void answered(struct sim_event *event)
{
    struct database_session *session = event->data;
    struct sim_packet *packet = session->answer;
    session->answer = NULL;
    if (packet == NULL) {
        if (session->run != NULL)
            finish(session, DATABASE_LOST, 0);
        else
            session->lost = true; /* an idle one; found when it is wanted */
        return;
    }
    enum database_result result = packet->result;
    size_t at = packet->at;
    packet_results(packet, session->run->steps, at);
    packet_free(packet);
    finish(session, result, at);
}

void session_answer(struct database_session *session, struct sim_packet *packet)
{
    struct sim_world *world = session->link->world;
    if (packet->answer_lost) {
        packet_free(packet);
        leave_connection(session, network_ns(world));
        session_lose(session, network_ns(world));
        return;
    }
    session->answer = packet;
    schedule_after(&world->schedule, &session->answered, network_ns(world));
}

void session_lose(struct database_session *session, uint64_t delay_ns)
{
    struct sim_world *world = session->link->world;
    packet_free(session->answer);
    session->answer = NULL;
    schedule_after(&world->schedule, &session->answered, delay_ns);
}

void session_broken(struct database_session *session)
{
    struct sim_world *world = session->link->world;
    session->connection = NULL;
    if (session->answer != NULL && chance_of(&world->chance, 500000))
        return; /* what was sent before still comes */
    session_lose(session, network_ns(world));
}

struct database_session_name database_session_name(const struct database_session *session)
{
    return session->name;
}

uint64_t database_session_number(const struct database_session *session)
{
    return session->number;
}
