/* The connections: opening, sending, reading answers, and what becomes of those that break. */
#include "open_pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resvd/assert.h"

#define NS_PER_S   1000000000ULL
#define READ_BYTES 65536

/* What is read is used up before the next is read, on whatever connection. */
static char read_buffer[READ_BYTES];

static void open_one(struct open_connection *connection);

/* --- states --------------------------------------------------------------------------------- */

/* From row to column. */
static const bool may_change[OPEN_STATE_COUNT][OPEN_STATE_COUNT] = {
    [OPEN_CLOSED] = {[OPEN_CONNECTING] = true},
    [OPEN_CONNECTING] = {[OPEN_FREE] = true, [OPEN_CLOSING] = true},
    [OPEN_FREE] = {[OPEN_BUSY] = true, [OPEN_CLOSING] = true},
    [OPEN_BUSY] = {[OPEN_FREE] = true, [OPEN_CLOSING] = true},
    [OPEN_CLOSING] = {[OPEN_CLOSED] = true},
};

static void remove_from_free(struct open_connection *connection)
{
    struct open_pool *pool = connection->pool;
    struct open_connection **place = &pool->free_first;
    while (*place != connection)
        place = &(*place)->next;
    *place = connection->next;
    if (pool->free_last == &connection->next)
        pool->free_last = place;
    connection->next = NULL;
}

/* The only writer of `state`. */
static void set_state(struct open_connection *connection, enum open_state state, uint64_t now_ns)
{
    struct open_pool *pool = connection->pool;
    RESV_ASSERT(may_change[connection->state][state]);
    if (connection->state == OPEN_FREE)
        remove_from_free(connection);
    pool->in_state[connection->state]--;
    pool->in_state[state]++;
    connection->state = state;
    connection->since_ns = now_ns;
    if (state == OPEN_FREE) {
        *pool->free_last = connection;
        pool->free_last = &connection->next;
    }
}

/* --- closing -------------------------------------------------------------------------------- */

static void on_closed(uv_handle_t *handle)
{
    struct open_connection *connection = handle->data;
    set_state(connection, OPEN_CLOSED, uv_hrtime());
    /* What never answered waits for the tick: a server that ends each connection at once must not
     * have us open them without end. */
    if (connection->pool->reopens && connection->has_answered)
        open_one(connection);
}

/* Idempotent. Reached from: connecting that failed or took too long; the server's end of the
 * connection, also with its last answer; malformed answers; writing that failed; the pool's end. */
static void close_one(struct open_connection *connection)
{
    if (connection->state == OPEN_CLOSED || connection->state == OPEN_CLOSING)
        return;
    set_state(connection, OPEN_CLOSING, uv_hrtime());
    uv_close((uv_handle_t *)&connection->tcp, on_closed);
}

static void lose(struct open_connection *connection)
{
    struct open_pool *pool = connection->pool;
    bool was_busy = connection->state == OPEN_BUSY;
    pool->lost++;
    close_one(connection);
    if (was_busy)
        pool->events.broken(pool->data, connection);
}

/* --- answers -------------------------------------------------------------------------------- */

static int on_message_begin(llhttp_t *parser)
{
    struct open_connection *connection = parser->data;
    if (connection->begun || connection->state != OPEN_BUSY)
        return -1; /* nobody asked for it */
    connection->begun = true;
    connection->body_size = 0;
    return 0;
}

static int on_body(llhttp_t *parser, const char *data, size_t size)
{
    struct open_connection *connection = parser->data;
    size_t room = OPEN_BODY_BYTES - connection->body_size;
    size_t kept = size < room ? size : room;
    memcpy(connection->body + connection->body_size, data, kept);
    connection->body_size += kept;
    return 0;
}

static int on_message_complete(llhttp_t *parser)
{
    struct open_connection *connection = parser->data;
    if (parser->status_code >= OPEN_STATUSES || parser->status_code == 101)
        return -1;
    if (parser->status_code < 200) {
        connection->begun = false; /* the answer follows */
        return 0;
    }
    connection->complete = true;
    connection->keep_alive = llhttp_should_keep_alive(parser) != 0;
    return 0;
}

static void finish_answer(struct open_connection *connection, uint64_t now_ns)
{
    struct open_pool *pool = connection->pool;
    connection->begun = false;
    connection->complete = false;
    connection->has_answered = true;
    pool->events.answered(pool->data, connection, connection->parser.status_code, now_ns);
    if (connection->keep_alive && !connection->is_writing) {
        set_state(connection, OPEN_FREE, now_ns);
        pool->events.freed(pool->data);
    } else {
        close_one(connection);
    }
}

static void give_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void)handle;
    (void)suggested;
    *buffer = uv_buf_init(read_buffer, READ_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
    struct open_connection *connection = stream->data;
    if (size == 0 || connection->state == OPEN_CLOSING)
        return;
    uint64_t now_ns = uv_hrtime();
    enum llhttp_errno error;
    if (size > 0)
        error = llhttp_execute(&connection->parser, buffer->base, (size_t)size);
    else /* an answer without a length ends with the connection */
        error = size == UV_EOF ? llhttp_finish(&connection->parser) : HPE_OK;
    if (size > 0 && error != HPE_OK) {
        /* Also where a whole answer stands before what is wrong: it cannot be trusted. */
        connection->pool->malformed++;
        lose(connection);
        return;
    }
    if (size < 0)
        connection->keep_alive = false;
    if (connection->complete)
        finish_answer(connection, now_ns);
    else if (size < 0)
        lose(connection);
}

/* --- opening -------------------------------------------------------------------------------- */

static void fail_to_open(struct open_connection *connection, const char *why)
{
    struct open_pool *pool = connection->pool;
    pool->connect_failures++;
    snprintf(pool->error, sizeof pool->error, "%s", why);
    close_one(connection);
}

static void on_connected(uv_connect_t *request, int status)
{
    struct open_connection *connection = request->data;
    if (connection->state != OPEN_CONNECTING)
        return; /* given up meanwhile */
    if (status == 0)
        status = uv_read_start((uv_stream_t *)&connection->tcp, give_buffer, on_read);
    if (status != 0) {
        fail_to_open(connection, uv_strerror(status));
        return;
    }
    set_state(connection, OPEN_FREE, uv_hrtime());
    connection->pool->events.freed(connection->pool->data);
}

static void open_one(struct open_connection *connection)
{
    struct open_pool *pool = connection->pool;
    connection->has_answered = false;
    connection->is_writing = false;
    connection->begun = false;
    connection->complete = false;
    int error = uv_tcp_init(pool->loop, &connection->tcp);
    RESV_ASSERT(error == 0); /* nothing is asked of the kernel yet */
    connection->tcp.data = connection;
    connection->connect.data = connection;
    connection->write.data = connection;
    llhttp_init(&connection->parser, HTTP_RESPONSE, &pool->settings);
    connection->parser.data = connection;
    set_state(connection, OPEN_CONNECTING, uv_hrtime());
    error = uv_tcp_connect(&connection->connect, &connection->tcp,
                           (const struct sockaddr *)&pool->address, on_connected);
    if (error == 0)
        error = uv_tcp_nodelay(&connection->tcp, 1);
    if (error != 0)
        fail_to_open(connection, uv_strerror(error));
}

bool open_pool_start(struct open_pool *pool, uv_loop_t *loop, const struct sockaddr_in *address,
                     size_t count, struct open_events events, void *data)
{
    *pool = (struct open_pool){.loop = loop,
                               .events = events,
                               .data = data,
                               .address = *address,
                               .count = count,
                               .reopens = true};
    pool->connections = calloc(count, sizeof *pool->connections);
    if (pool->connections == NULL)
        return false;
    pool->free_last = &pool->free_first;
    pool->in_state[OPEN_CLOSED] = count;
    llhttp_settings_init(&pool->settings);
    pool->settings.on_message_begin = on_message_begin;
    pool->settings.on_body = on_body;
    pool->settings.on_message_complete = on_message_complete;
    for (size_t i = 0; i < count; i++) {
        pool->connections[i].pool = pool;
        open_one(&pool->connections[i]);
    }
    return true;
}

void open_pool_tick(struct open_pool *pool)
{
    uint64_t now_ns = uv_hrtime();
    for (size_t i = 0; i < pool->count; i++) {
        struct open_connection *connection = &pool->connections[i];
        if (connection->state == OPEN_CLOSED && pool->reopens)
            open_one(connection);
        else if (connection->state == OPEN_CONNECTING &&
                 now_ns - connection->since_ns > OPEN_CONNECT_S * NS_PER_S)
            fail_to_open(connection, "it was not open after 10 s");
    }
}

/* --- sending -------------------------------------------------------------------------------- */

static void on_written(uv_write_t *request, int status)
{
    struct open_connection *connection = request->data;
    connection->is_writing = false;
    if (status != 0 && connection->state == OPEN_BUSY)
        lose(connection);
}

void open_pool_send(struct open_connection *connection, size_t size, uint64_t planned_ns,
                    uint64_t now_ns)
{
    uv_buf_t buffer = uv_buf_init(connection->request, (unsigned)size);
    uv_stream_t *stream = (uv_stream_t *)&connection->tcp;
    connection->planned_ns = planned_ns;
    set_state(connection, OPEN_BUSY, now_ns);
    int written = uv_try_write(stream, &buffer, 1);
    if (written == (int)size)
        return; /* as nearly always: nothing else is in the socket's buffer */
    if (written < 0 && written != UV_EAGAIN) {
        lose(connection);
        return;
    }
    size_t begun = written > 0 ? (size_t)written : 0;
    buffer = uv_buf_init(connection->request + begun, (unsigned)(size - begun));
    connection->is_writing = true;
    if (uv_write(&connection->write, stream, &buffer, 1, on_written) != 0) {
        connection->is_writing = false;
        lose(connection);
    }
}

/* --- the end -------------------------------------------------------------------------------- */

void open_pool_close(struct open_pool *pool)
{
    pool->reopens = false;
    for (size_t i = 0; i < pool->count; i++)
        close_one(&pool->connections[i]);
}

void open_pool_free(struct open_pool *pool)
{
    RESV_ASSERT(pool->in_state[OPEN_CLOSED] == pool->count);
    free(pool->connections);
}
