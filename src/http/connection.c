/* A connection's life: accepted, at rest or busy, drained, closed; and its clocks. */
#include "http/connection.h"

#include <stdlib.h>

#include "resvd/assert.h"

void connection_mark_dirty(struct connection *connection)
{
    struct http_server *server = connection->server;
    if (connection->dirty)
        return;
    connection->dirty = true;
    connection->previous_dirty = NULL;
    connection->next_dirty = server->dirty_first;
    if (server->dirty_first != NULL)
        server->dirty_first->previous_dirty = connection;
    server->dirty_first = connection;
}

static void unmark_dirty(struct connection *connection)
{
    if (!connection->dirty)
        return;
    connection->dirty = false;
    if (connection->previous_dirty != NULL)
        connection->previous_dirty->next_dirty = connection->next_dirty;
    else
        connection->server->dirty_first = connection->next_dirty;
    if (connection->next_dirty != NULL)
        connection->next_dirty->previous_dirty = connection->previous_dirty;
}

/* Which clock runs: lingering > half a request > nothing under way at all. */
static void update_clock(struct connection *connection)
{
    struct http_server *server = connection->server;
    struct deadline_list *list = NULL;
    uint8_t request = (uint8_t)connection->requests;
    if (connection->lingering)
        return; /* runs since start_lingering */
    if (connection->stop_parsing)
        list = NULL;
    else if (parser_in_request(&connection->parser) && connection->reading)
        list = &server->request;
    else if (connection->exchange_count == 0 && !connection->writing)
        list = &server->idle;
    if (connection->clock.list == list &&
        (list != &server->request || connection->clock_request == request))
        return;
    connection->clock_request = request;
    deadline_start(&connection->clock, list, uv_now(server->config.loop));
}

void connection_settle(struct connection *connection)
{
    if (connection->closing)
        return;
    if (connection->peer_eof && connection->held == NULL && !connection->stop_parsing) {
        connection->stop_parsing = true;
        if (connection->last != NULL)
            connection->last->close_after = true;
    }
    bool at_rest = connection->exchange_count == 0 && !connection->writing;
    bool finished = connection->lingering ? connection->peer_eof : connection->stop_parsing;
    if (at_rest && finished) {
        connection_close(connection);
        return;
    }
    update_clock(connection);
}

void connection_drain(struct connection *connection)
{
    if (!connection->open || connection->closing || connection->stop_parsing)
        return;
    if (parser_in_request(&connection->parser) && connection->held == NULL)
        return; /* its answer will say close */
    connection->stop_parsing = true;
    if (connection->last != NULL)
        connection->last->close_after = true;
    else if (!connection->writing)
        connection_close(connection);
}

static void connection_closed(uv_handle_t *handle)
{
    struct connection *connection = handle->data;
    struct http_server *server = connection->server;
    enum listener_kind kind = connection->kind;
    server->connection_count[kind]--;
    if (!connection->refused)
        server->served_count[kind]--;
    connection->open = false;
    connection->next_free = server->free_connections;
    server->free_connections = connection;
    if (server->connection_count[kind] == 0 && server->drained[kind] != NULL) {
        void (*drained)(void *data) = server->drained[kind];
        server->drained[kind] = NULL;
        drained(server->drained_data[kind]);
    }
}

void connection_close(struct connection *connection)
{
    struct http_server *server = connection->server;
    if (connection->closing)
        return;
    connection->closing = true;
    deadline_stop(&connection->clock);
    deadline_stop(&connection->stall);
    unmark_dirty(connection);
    while (connection->first != NULL) {
        struct exchange *exchange = connection->first;
        connection->first = exchange->next;
        if (!exchange->done)
            routes_client_gone(server->config.routes, &exchange->call);
        exchange_free(connection, exchange);
    }
    connection->last = NULL;
    connection->exchange_count = 0;
    if (connection->held != NULL) {
        budget_give(&server->request_budget, connection->held_size);
        free(connection->held);
        connection->held = NULL;
    }
    parser_free(&connection->parser);
    uv_close(&connection->socket.handle, connection_closed);
}

static struct connection *take_connection(struct http_server *server, struct listener *listener)
{
    struct connection *connection = server->free_connections;
    if (connection == NULL)
        return NULL;
    server->free_connections = connection->next_free;
    memset(connection, 0, offsetof(struct connection, own));
    connection->server = server;
    connection->kind = listener->kind;
    connection->open = true;
    size_t served_max = listener->kind == LISTENER_API ? server->config.connections_max : ADMIN_MAX;
    connection->refused = server->served_count[listener->kind] >= served_max;
    parser_init(&connection->parser, &server->request_budget);
    if (listener->unix_socket)
        uv_pipe_init(server->config.loop, &connection->socket.pipe, 0);
    else
        uv_tcp_init(server->config.loop, &connection->socket.tcp);
    connection->socket.handle.data = connection;
    server->connection_count[listener->kind]++;
    if (!connection->refused)
        server->served_count[listener->kind]++;
    if (server->tick.heap_index == 0) /* it rests while there are no connections */
        resv_timer_start(server->config.host, &server->tick, DEADLINE_TICK_MS);
    return connection;
}

/* Every slot is taken, those for refusals too: the client hears nothing, but does not hang. */
static void drop(uv_handle_t *handle)
{
    free(handle);
}

static void accept_and_drop(struct http_server *server, struct listener *listener)
{
    uv_stream_t *stream;
    if (listener->unix_socket) {
        uv_pipe_t *pipe = malloc(sizeof(*pipe));
        RESV_ASSERT(pipe != NULL);
        uv_pipe_init(server->config.loop, pipe, 0);
        stream = (uv_stream_t *)pipe;
    } else {
        uv_tcp_t *tcp = malloc(sizeof(*tcp));
        RESV_ASSERT(tcp != NULL);
        uv_tcp_init(server->config.loop, tcp);
        stream = (uv_stream_t *)tcp;
    }
    uv_accept(&listener->socket.stream, stream);
    uv_close((uv_handle_t *)stream, drop);
}

void connection_accept(struct http_server *server, struct listener *listener)
{
    struct connection *connection = take_connection(server, listener);
    server->counters.accepted++;
    if (connection == NULL) {
        server->counters.refused++;
        accept_and_drop(server, listener);
        return;
    }
    if (uv_accept(&listener->socket.stream, &connection->socket.stream) != 0) {
        connection_close(connection);
        return;
    }
    if (!listener->unix_socket)
        uv_tcp_nodelay(&connection->socket.tcp, 1);
    if (connection->refused) {
        server->counters.refused++;
        connection_answer_fault(connection, "too-many-connections", NULL);
        return;
    }
    connection_read_start(connection);
    connection_settle(connection);
}
