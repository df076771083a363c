/* The catalog of the simulated link: each operation a transaction on a connection of its own. */
#include "sim_catalog.h"

#include <stdlib.h>
#include <string.h>

#include "resvd/assert.h"
#include "sim_log.h"
#include "sim_session.h"

struct sim_catalog_call {
    struct database_link *link;
    struct sim_catalog_call *next;
    struct resv_op *op;
    struct sim_connection *connection;
    struct sim_event event; /* going out, then coming back */
    bool done;
    bool wrote;
    bool committed; /* and waits until that is on disk */
    int64_t changed_concert;
    enum resv_outcome outcome;
};

/* --- the end ---------------------------------------------------------------------------------- */

static void complete(struct sim_catalog_call *call)
{
    struct database_link *link = call->link;
    struct sim_catalog_call **place = &link->calls;
    while (*place != call)
        place = &(*place)->next;
    *place = call->next;
    link->calls_count--;
    if (call->wrote && call->outcome == RESV_STORED && link->events.catalog_changed != NULL)
        link->events.catalog_changed(link->events.data, call->changed_concert);
    if (link->events.catalog_answered != NULL)
        link->events.catalog_answered(link->events.data, call->op, call->outcome);
    else
        resv_op_complete(link->host, call->op, call->outcome);
    if (link->events.catalog_done != NULL)
        link->events.catalog_done(link->events.data);
    if (link->catalog_was_busy) {
        link->catalog_was_busy = false;
        resv_host_ready_for_more(link->host);
    }
    free(call);
}

static void finish(struct sim_catalog_call *call, enum resv_outcome outcome)
{
    struct sim_world *world = call->link->world;
    struct sim_connection *connection = call->connection;
    call->connection = NULL;
    call->done = true;
    call->outcome = outcome;
    if (connection != NULL) {
        connection->catalog = NULL;
        server_end(connection);
    }
    schedule_after(&world->schedule, &call->event,
                   chance_skewed(&world->chance, world->scenario.network_max_us * NS_PER_US));
}

void catalog_failed(struct sim_catalog_call *call)
{
    call->connection->catalog = NULL;
    call->connection = NULL;
    call->done = true;
    call->outcome = RESV_UNAVAILABLE;
    schedule_no_later(&call->link->world->schedule, &call->event, 0);
}

/* --- what each does --------------------------------------------------------------------------- */

static void take_fields(struct resv_concert *concert, const struct resv_concert *wanted,
                        unsigned fields)
{
    if (fields & RESV_CONCERT_TITLE)
        memcpy(concert->title, wanted->title, sizeof concert->title);
    if (fields & RESV_CONCERT_VENUE)
        memcpy(concert->venue, wanted->venue, sizeof concert->venue);
    if (fields & RESV_CONCERT_STARTS_AT)
        concert->starts_at_ms = wanted->starts_at_ms;
    if (fields & RESV_CONCERT_CAPACITY)
        concert->capacity = wanted->capacity;
    if (fields & RESV_CONCERT_MEMBER_LIMIT)
        concert->member_limit = wanted->member_limit;
}

static void update(struct sim_catalog_call *call)
{
    struct sim_connection *connection = call->connection;
    if (call->committed) {
        finish(call, RESV_STORED);
        return;
    }
    struct resv_concert *wanted = &call->op->catalog->concerts[0];
    struct sim_concert *concert = tables_concert(connection->server, call->op->concert_id);
    if (concert == NULL) {
        finish(call, RESV_NOT_FOUND);
        return;
    }
    switch (lock_take(connection, &concert->lock, true)) {
    case LOCK_HELD:
        break;
    case LOCK_WAITS:
        return;
    case LOCK_DEADLOCK:
        finish(call, RESV_UNAVAILABLE);
        return;
    }
    take_fields(&concert->now, wanted, call->op->catalog->fields);
    if (concert->now.capacity < concert->now.sold) {
        tables_rollback(connection);
        finish(call, RESV_CAPACITY_TOO_LOW);
        return;
    }
    SIM_TRACE(connection->server->world, connection->who,
              "catalog: concert %lld has capacity %lld, limit %lld", (long long)concert->now.id,
              (long long)concert->now.capacity, (long long)concert->now.member_limit);
    *wanted = concert->now;
    if (call->op->catalog->fields & (RESV_CONCERT_CAPACITY | RESV_CONCERT_MEMBER_LIMIT))
        concert->fence_now++;
    connection->wrote = true;
    call->wrote = true;
    call->changed_concert = concert->now.id;
    tables_commit(connection);
    call->committed = true;
    connection->flushing = !log_is_durable(connection->server, connection->committed_at);
    if (!connection->flushing)
        finish(call, RESV_STORED);
}

static void create(struct sim_catalog_call *call)
{
    struct sim_server *server = call->connection->server;
    struct resv_catalog_request *request = call->op->catalog;
    log_flush_all(server);
    for (size_t i = 0; i < request->count; i++) {
        if (call->op->kind == RESV_OP_CONCERT_CREATE) {
            request->concerts[i] = tables_add_concert(server, &request->concerts[i])->committed;
        } else {
            tables_add_member(server);
            request->members[i].id = (int64_t)server->member_count;
        }
    }
    call->wrote = true;
    finish(call, RESV_STORED);
}

static void reset(struct sim_catalog_call *call)
{
    struct sim_server *server = call->connection->server;
    const struct resv_catalog_request *request = call->op->catalog;
    const struct resv_concert concert = {.capacity = request->reset_capacity};
    tables_reset(server);
    server->epoch++;
    for (int64_t i = 0; i < request->reset_concerts; i++)
        tables_add_concert(server, &concert);
    for (int64_t i = 0; i < request->reset_members; i++)
        tables_add_member(server);
    call->wrote = true;
    finish(call, RESV_STORED);
}

static void audit(struct sim_catalog_call *call)
{
    struct sim_server *server = call->connection->server;
    struct resv_catalog_request *request = call->op->catalog;
    request->audit = calloc(server->concert_count + 1, sizeof request->audit[0]);
    RESV_ASSERT(request->audit != NULL);
    request->audit_count = server->concert_count;
    request->audit_consistent = true;
    for (size_t i = 0; i < server->concert_count; i++) {
        const struct sim_concert *concert = server->concerts[i];
        bool consistent = concert->committed.sold == concert->live &&
                          concert->live <= concert->committed.capacity;
        request->audit[i] = (struct resv_audit_line){.concert_id = concert->committed.id,
                                                     .capacity = concert->committed.capacity,
                                                     .sold = concert->committed.sold,
                                                     .live = concert->live,
                                                     .stock = -1,
                                                     .pending = -1,
                                                     .consistent = consistent};
        request->audit_consistent = request->audit_consistent && consistent;
    }
    finish(call, RESV_FOUND);
}

static void get(struct sim_catalog_call *call)
{
    struct sim_server *server = call->connection->server;
    struct resv_op *op = call->op;
    if (op->kind == RESV_OP_MEMBER_GET) {
        finish(call, tables_member(server, op->member_id) != NULL ? RESV_FOUND : RESV_NOT_FOUND);
        return;
    }
    const struct sim_concert *concert = tables_concert(server, op->concert_id);
    if (concert != NULL) {
        op->catalog = calloc(1, sizeof *op->catalog);
        RESV_ASSERT(op->catalog != NULL);
        op->catalog->count = 1;
        op->catalog->concerts = malloc(sizeof *op->catalog->concerts);
        RESV_ASSERT(op->catalog->concerts != NULL);
        op->catalog->concerts[0] = concert->committed;
    }
    finish(call, concert != NULL ? RESV_FOUND : RESV_NOT_FOUND);
}

void catalog_work(struct sim_catalog_call *call)
{
    switch (call->op->kind) {
    case RESV_OP_CONCERT_UPDATE:
        update(call);
        break;
    case RESV_OP_CONCERT_CREATE:
    case RESV_OP_MEMBER_CREATE:
        create(call);
        break;
    case RESV_OP_RESET:
        reset(call);
        break;
    case RESV_OP_AUDIT:
        audit(call);
        break;
    case RESV_OP_CONCERT_GET:
    case RESV_OP_MEMBER_GET:
        get(call);
        break;
    case RESV_OP_CONCERT_LIST:
    case RESV_OP_RESERVE:
    case RESV_OP_RELEASE:
    case RESV_OP_LOOKUP:
    case RESV_OP_DEAD_LETTER_LIST:
    case RESV_OP_DEAD_LETTER_RETRY:
    case RESV_OP_RECONCILE:
        RESV_ASSERT(!"not an operation of the simulated catalog");
        break;
    }
}

/* --- the seam --------------------------------------------------------------------------------- */

static void event_due(struct sim_event *event)
{
    struct sim_catalog_call *call = event->data;
    struct database_link *link = call->link;
    if (call->done) {
        complete(call);
        return;
    }
    if (!link->up || link->dead || !link->world->server->up) {
        finish(call, RESV_UNAVAILABLE);
        return;
    }
    call->connection = server_connect(link->world->server, NULL, NULL, DATABASE_READ_COMMITTED);
    call->connection->catalog = call;
    schedule_after(&link->world->schedule, &call->connection->work, 0);
}

static bool submit(void *self, struct resv_op *op)
{
    struct database_link *link = self;
    if (link->calls_count >= link->config.catalog_max) {
        link->catalog_was_busy = true;
        return false;
    }
    struct sim_catalog_call *call = calloc(1, sizeof *call);
    RESV_ASSERT(call != NULL);
    call->link = link;
    call->op = op;
    call->next = link->calls;
    call->event = sim_host_event(link->host, event_due, call);
    link->calls = call;
    link->calls_count++;
    schedule_after(&link->world->schedule, &call->event,
                   chance_below(&link->world->chance, 20 * NS_PER_MS));
    return true;
}

void catalog_open(struct database_link *link)
{
    link->catalog = (struct resv_catalog){.self = link, .submit = submit};
}

/* What has not been executed is not. */
void catalog_interrupt(struct database_link *link)
{
    for (struct sim_catalog_call *call = link->calls; call != NULL; call = call->next) {
        if (call->done)
            continue;
        if (call->connection != NULL) {
            struct sim_connection *connection = call->connection;
            catalog_failed(call);
            server_end(connection);
        } else {
            finish(call, RESV_UNAVAILABLE);
        }
    }
}

struct resv_catalog *database_link_catalog(struct database_link *link)
{
    return &link->catalog;
}

size_t database_link_catalog_under_way(const struct database_link *link)
{
    return link->calls_count;
}
