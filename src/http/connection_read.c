/* Reading: bytes to requests to the routes, and holding back when there is no room. */
#include <stdlib.h>
#include <string.h>

#include "http/connection.h"
#include "http/limits.h"
#include "resvd/assert.h"

static void answered(struct call *call)
{
    struct exchange *exchange = (struct exchange *)call;
    struct connection *connection = exchange->connection;
    struct answer *answer = &call->answer;
    RESV_ASSERT(!exchange->done);
    struct budget *budget = &connection->server->answer_budget;
    if (answer->heap != NULL && !exchange->is_read) {
        /* What was done is said, whatever the memory: such answers are small, or an operator's. */
        budget_take_anyway(budget, answer->body_size);
    } else if (answer->heap != NULL && !budget_take(budget, answer->body_size)) {
        free(answer->heap);
        answer->heap = NULL;
        routes_answer_problem(call, "unavailable", NULL); /* static text: comes back here once */
        return;
    }
    exchange->done = true;
    if (connection->first == exchange)
        connection_mark_dirty(connection);
}

/* One is always there for a connection that waits for no answer. */
static struct exchange *take_exchange(struct connection *connection)
{
    struct exchange *exchange;
    if (!connection->own_used) {
        exchange = &connection->own;
        exchange_reset(exchange);
        connection->own_used = true;
    } else {
        exchange = exchange_take(&connection->server->exchanges);
        RESV_ASSERT(exchange != NULL);
    }
    exchange->connection = connection;
    exchange->call.answered = answered;
    if (connection->last != NULL)
        connection->last->next = exchange;
    else
        connection->first = exchange;
    connection->last = exchange;
    connection->exchange_count++;
    return exchange;
}

static bool has_room(const struct connection *connection)
{
    return connection->exchange_count < HTTP_PIPELINED_MAX &&
           (!connection->own_used || connection->server->exchanges.free != NULL);
}

void connection_answer_fault(struct connection *connection, const char *slug, const char *detail)
{
    struct exchange *exchange = take_exchange(connection);
    exchange->close_after = true;
    exchange->head_only = connection->parser.line.method == METHOD_HEAD;
    connection->stop_parsing = true;
    connection->server->counters.faults++;
    routes_answer_problem(&exchange->call, slug, detail);
    if (exchange->call.answer.status == 405) /* CONNECT, on whatever path */
        exchange->call.answer.allow = 1U << METHOD_GET | 1U << METHOD_HEAD | 1U << METHOD_OPTIONS;
}

void connection_time_out_request(struct connection *connection)
{
    if (has_room(connection)) {
        connection_answer_fault(connection, "request-timeout", "the request was not whole in time");
        return;
    }
    connection->stop_parsing = true;
    connection->last->close_after = true; /* there is one: it took the connection's own exchange */
}

static void dispatch(struct connection *connection, bool early)
{
    struct http_server *server = connection->server;
    struct parser *parser = &connection->parser;
    struct call_request request = {.listener = connection->kind};
    parser_request(parser, &request);
    struct exchange *exchange = take_exchange(connection);
    exchange->head_only = request.method == METHOD_HEAD;
    exchange->is_read = request.method == METHOD_GET || request.method == METHOD_HEAD;
    exchange->http_1_0 = parser->line.version_minor == 0;
    if (early) {
        if (!routes_refuse_early(server->config.routes, &exchange->call, &request)) {
            exchange->interim = true;
            answered(&exchange->call);
            return;
        }
        /* The body may or may not follow: nothing that comes can be told apart from it. */
        exchange->close_after = true;
        connection->stop_parsing = true;
        return;
    }
    connection->requests++;
    exchange->close_after =
        !parser->keep_alive || server->draining[connection->kind] ||
        connection->requests >= server->config.timeouts.requests_per_connection_max;
    if (exchange->close_after)
        connection->stop_parsing = true;
    routes_dispatch(server->config.routes, &exchange->call, &request);
    parser_next_request(parser);
}

/* Returns how many bytes were used; what is left found no room. */
static size_t consume(struct connection *connection, const char *data, size_t size)
{
    size_t at = 0;
    while (at < size && !connection->stop_parsing && has_room(connection)) {
        size_t used;
        enum parser_event event = parser_feed(&connection->parser, data + at, size - at, &used);
        at += used;
        switch (event) {
        case PARSER_MORE:
            break;
        case PARSER_CONTINUE:
            dispatch(connection, true);
            break;
        case PARSER_REQUEST:
            dispatch(connection, false);
            break;
        case PARSER_FAULT:
            connection_answer_fault(connection, connection->parser.fault.slug,
                                    connection->parser.fault.detail);
            break;
        }
    }
    return connection->stop_parsing ? size : at;
}

static void free_held(struct connection *connection)
{
    budget_give(&connection->server->request_budget, connection->held_size);
    free(connection->held);
    connection->held = NULL;
    connection->held_size = connection->held_offset = 0;
}

/* Reading stops until answers have gone and made room. */
static void hold(struct connection *connection, const char *data, size_t size)
{
    if (connection->reading) {
        uv_read_stop(&connection->socket.stream);
        connection->reading = false;
    }
    if (size == 0)
        return;
    RESV_ASSERT(connection->held == NULL);
    if (!budget_take(&connection->server->request_budget, size)) {
        connection_close(connection);
        return;
    }
    connection->held = malloc(size);
    connection->held_size = size;
    RESV_ASSERT(connection->held != NULL);
    memcpy(connection->held, data, size);
}

static void allocate_read_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void)suggested;
    struct connection *connection = handle->data;
    *buffer = uv_buf_init(connection->server->read_buffer, READ_BUFFER_BYTES);
}

static void read_done(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
    struct connection *connection = stream->data;
    if (size == 0)
        return;
    if (size == UV_EOF) {
        connection->peer_eof = true;
        connection->reading = false;
        uv_read_stop(stream);
        connection_settle(connection);
        return;
    }
    if (size < 0) {
        connection_close(connection);
        return;
    }
    connection->server->counters.bytes_received += (size_t)size;
    if (connection->stop_parsing)
        return; /* behind a request that ends the connection nothing counts */
    size_t used = consume(connection, buffer->base, (size_t)size);
    if (!connection->stop_parsing && (used < (size_t)size || !has_room(connection)))
        hold(connection, buffer->base + used, (size_t)size - used);
    connection_settle(connection);
    struct http_server *server = connection->server;
    if (++server->reads_since_flush >= READS_PER_FLUSH)
        host_flush(server->config.host);
}

void connection_read_start(struct connection *connection)
{
    if (connection->reading || connection->peer_eof || connection->closing)
        return;
    if (uv_read_start(&connection->socket.stream, allocate_read_buffer, read_done) == 0)
        connection->reading = true;
}

void connection_resume(struct connection *connection)
{
    if (connection->closing)
        return;
    if (connection->held != NULL && has_room(connection)) {
        size_t left = connection->held_size - connection->held_offset;
        connection->held_offset +=
            consume(connection, connection->held + connection->held_offset, left);
        if (connection->held_offset == connection->held_size)
            free_held(connection);
    }
    if (connection->held == NULL && (has_room(connection) || connection->stop_parsing))
        connection_read_start(connection);
    connection_settle(connection);
}
