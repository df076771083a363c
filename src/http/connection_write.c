/* Writing: answers leave in the order of their requests, joined into one write a loop turn. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "http/connection.h"
#include "resvd/assert.h"

/* What the socket did not take at once. Owned by libuv until write_done. */
struct write_job {
    uv_write_t request;
    struct connection *connection;
    struct budget *budget;
    size_t size;
    char data[];
};

void exchange_free(struct connection *connection, struct exchange *exchange)
{
    struct http_server *server = connection->server;
    if (exchange->call.answer.heap != NULL) {
        budget_give(&server->answer_budget, exchange->call.answer.body_size);
        free(exchange->call.answer.heap);
    }
    if (exchange->from_pool)
        exchange_give_back(&server->exchanges, exchange);
    else
        connection->own_used = false;
}

static void linger_shutdown_done(uv_shutdown_t *request, int status)
{
    (void)request;
    (void)status; /* a failed shutdown is seen by the reads or ends with the linger time */
}

/* Our last answer is written: no more from us, and the client gets time to read it before its own
 * unread bytes would make the kernel answer with a reset. */
static void start_lingering(struct connection *connection)
{
    connection->lingering = true;
    connection->stop_parsing = true;
    if (uv_shutdown(&connection->shutdown, &connection->socket.stream, linger_shutdown_done) != 0 ||
        (connection->peer_eof && !connection->writing)) {
        connection_close(connection);
        return;
    }
    deadline_start(&connection->clock, &connection->server->linger,
                   uv_now(connection->server->config.loop));
    connection_read_start(connection);
}

static void write_done(uv_write_t *request, int status)
{
    struct write_job *job = request->data;
    struct connection *connection = job->connection;
    budget_give(job->budget, job->size);
    if (status == 0)
        connection->server->counters.bytes_sent += job->size;
    free(job);
    connection->writing = false;
    if (connection->closing)
        return;
    deadline_stop(&connection->stall);
    if (status != 0 || (connection->lingering && connection->peer_eof)) {
        connection_close(connection);
        return;
    }
    connection_mark_dirty(connection);
}

static bool write_later(struct connection *connection, const char *head, size_t head_size,
                        const char *body, size_t body_size)
{
    struct budget *budget = &connection->server->answer_budget;
    size_t size = head_size + body_size;
    if (!budget_take(budget, size))
        return false;
    struct write_job *job = malloc(sizeof(*job) + size);
    if (job == NULL) {
        budget_give(budget, size);
        return false;
    }
    *job = (struct write_job){.connection = connection, .budget = budget, .size = size};
    job->request.data = job;
    memcpy(job->data, head, head_size);
    if (body_size > 0)
        memcpy(job->data + head_size, body, body_size);
    uv_buf_t buffer = uv_buf_init(job->data, (unsigned)size);
    if (uv_write(&job->request, &connection->socket.stream, &buffer, 1, write_done) != 0) {
        budget_give(budget, size);
        free(job);
        return false;
    }
    connection->writing = true;
    connection->stalled_bytes = uv_stream_get_write_queue_size(&connection->socket.stream);
    deadline_start(&connection->stall, &connection->server->stall,
                   uv_now(connection->server->config.loop));
    return true;
}

/* Straight to the socket: uv_try_write does the same through write(2), which costs a few per cent
 * more a request. Only called while libuv has nothing queued for it. Bytes taken, or -1. */
static ssize_t send_now(struct connection *connection, const char *data, size_t size)
{
    int descriptor;
    if (uv_fileno(&connection->socket.handle, &descriptor) != 0)
        return -1;
    for (;;) {
        ssize_t sent = send(descriptor, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0)
            return sent;
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return 0;
        if (errno != EINTR)
            return -1;
    }
}

/* False when the connection had to be closed. */
static bool write_now(struct connection *connection, const char *data, size_t size)
{
    ssize_t sent = send_now(connection, data, size);
    if (sent >= 0) {
        connection->server->counters.bytes_sent += (size_t)sent;
        if ((size_t)sent == size ||
            write_later(connection, data + sent, size - (size_t)sent, NULL, 0))
            return true;
    }
    connection_close(connection);
    return false;
}

/* An answer that does not fit in the scratch goes out by itself. */
static bool write_large(struct connection *connection, const struct exchange *exchange)
{
    char head[RENDER_HEAD_BYTES_MAX];
    size_t head_size = render_head(exchange, &connection->server->clock, head);
    if (write_later(connection, head, head_size, exchange->call.answer.body,
                    exchange->call.answer.body_size))
        return true;
    connection_close(connection);
    return false;
}

static struct exchange *take_done(struct connection *connection)
{
    struct exchange *exchange = connection->first;
    if (exchange == NULL || !exchange->done)
        return NULL;
    return exchange;
}

static void remove_first(struct connection *connection)
{
    struct exchange *exchange = connection->first;
    connection->first = exchange->next;
    if (connection->first == NULL)
        connection->last = NULL;
    connection->exchange_count--;
    exchange_free(connection, exchange);
}

void connection_flush(struct connection *connection)
{
    struct http_server *server = connection->server;
    size_t size = 0;
    bool last = false;
    struct exchange *exchange;
    while (!last && !connection->writing && (exchange = take_done(connection)) != NULL) {
        size_t body_size = render_has_body(exchange) ? exchange->call.answer.body_size : 0;
        if (size + RENDER_HEAD_BYTES_MAX + body_size > SCRATCH_BYTES) {
            if (size > 0) {
                if (!write_now(connection, server->scratch, size))
                    return;
                size = 0;
                continue;
            }
            if (!write_large(connection, exchange))
                return;
        } else {
            size += render_head(exchange, &server->clock, server->scratch + size);
            if (body_size > 0)
                memcpy(server->scratch + size, exchange->call.answer.body, body_size);
            size += body_size;
        }
        last = exchange->close_after;
        remove_first(connection);
    }
    if (size > 0 && !write_now(connection, server->scratch, size))
        return;
    if (last)
        start_lingering(connection);
    else
        connection_resume(connection);
}
