/* One connection to a server, once its address is found: what is put into it in one turn of the
 * loop leaves in one write at the flush point, and every whole reply is handed on.
 *
 *   put, put, put ──► [flush point: one send] ──► server ──► recv ──► reader ──► replied, replied,
 * …
 *
 * It outlives whoever opened it while one of its functions is on the stack, or libuv has one of its
 * requests: pinned. Invariant: once `closed`, nothing is told any more.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "redis_internal.h"
#include "resvd/assert.h"

#define OUTPUT_BYTES_MAX  ((size_t)64 << 20)
#define OUTPUT_BYTES_KEPT ((size_t)256 << 10)
#define READS_A_TURN      4 /* of read_buffer; then others have their turn */

/* --- its end -------------------------------------------------------------------------------------
 */

static void free_when_unused(struct redis_connection *connection)
{
    if (!connection->closed || connection->pins > 0)
        return;
    redis_reader_free(connection->reader);
    redis_buffer_free(&connection->output);
    free(connection);
}

void redis_connection_unpin(struct redis_connection *connection)
{
    RESV_ASSERT(connection->pins > 0);
    connection->pins--;
    free_when_unused(connection);
}

void redis_connection_close(struct redis_connection *connection)
{
    RESV_ASSERT(!connection->closed);
    connection->closed = true;
    resv_timer_stop(connection->link->host, &connection->timer);
    resv_defer_cancel(connection->link->host, &connection->flush);
    redis_connect_stop(connection);
    redis_tls_free(connection->tls);
    connection->tls = NULL;
    if (connection->socket != NULL)
        redis_socket_close(connection->socket);
    connection->socket = NULL;
    redis_link_schedule(connection->link);
    free_when_unused(connection);
}

void redis_connection_fail(struct redis_connection *connection, int exit_code, const char *why)
{
    const struct redis_connection_events events = connection->events;
    char copy[REDIS_WORDS_SIZE]; /* it may be the connection's own */
    snprintf(copy, sizeof copy, "%s", why);
    connection->pins++; /* it is asked how much it has written */
    redis_connection_close(connection);
    events.lost(events.data, exit_code, copy);
    redis_connection_unpin(connection);
}

/* Before it has said anything: a server that wants TLS, and was told a plain AUTH, goes like this.
 */
static void fail_by_other_side(struct redis_connection *connection, const char *why)
{
    char words[REDIS_WORDS_SIZE];
    bool is_plain = connection->tls == NULL && connection->address->host[0] != '\0';
    snprintf(words, sizeof words, "%.400s%s", why,
             is_plain && !connection->replied ? ": is it a TLS port? ([redis] tls)" : "");
    redis_connection_fail(connection, REDIS_EXIT_UNAVAILABLE, words);
}

/* --- writing -------------------------------------------------------------------------------------
 */

struct redis_buffer *redis_connection_output(struct redis_connection *connection)
{
    resv_defer(connection->link->host, &connection->flush);
    return &connection->output;
}

uint64_t redis_connection_put_bytes(const struct redis_connection *connection)
{
    return connection->written_bytes + (connection->output.used - connection->output_sent);
}

static void fail_by_errno(struct redis_connection *connection, const char *what)
{
    char why[REDIS_WORDS_SIZE];
    snprintf(why, sizeof why, "%s: %s", what, uv_strerror(uv_translate_sys_error(errno)));
    fail_by_other_side(connection, why);
}

/* Always for reading: what is closed is to be noticed. */
static void watch(struct redis_connection *connection)
{
    bool writes = connection->output_sent < connection->output.used;
    if (!redis_socket_watch(connection->socket, UV_READABLE | (writes ? UV_WRITABLE : 0)))
        redis_connection_fail(connection, REDIS_EXIT_UNAVAILABLE, "out of memory");
}

static void empty_output(struct redis_connection *connection)
{
    struct redis_buffer *output = &connection->output;
    connection->output_sent = output->used = 0;
    if (output->capacity > OUTPUT_BYTES_KEPT)
        redis_buffer_free(output);
}

static void write_some(struct redis_connection *connection)
{
    struct redis_buffer *output = &connection->output;
    if (output->failed) {
        redis_connection_fail(connection, REDIS_EXIT_UNAVAILABLE,
                              "it takes nothing any more, and too much waits to be sent");
        return;
    }
    const char *bytes = output->bytes + connection->output_sent;
    size_t size = output->used - connection->output_sent;
    if (size == 0)
        return;
    ssize_t sent = connection->tls != NULL
                       ? redis_tls_send(connection->tls, bytes, size)
                       : send(connection->socket->descriptor, bytes, size, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
        fail_by_errno(connection, "sending failed");
        return;
    }
    if (sent > 0) {
        connection->written_bytes += (uint64_t)sent;
        connection->output_sent += (size_t)sent;
    }
    if (connection->output_sent == output->used) {
        empty_output(connection);
    } else if (connection->output_sent > OUTPUT_BYTES_KEPT) {
        output->used -= connection->output_sent;
        memmove(output->bytes, output->bytes + connection->output_sent, output->used);
        connection->output_sent = 0;
    }
    watch(connection);
}

/* Others in line may have more for it: once it lets them pass. */
static void on_flush(struct resv_deferred *deferred)
{
    struct redis_connection *connection = deferred->data;
    if (!connection->flush_is_last) {
        connection->flush_is_last = true;
        resv_defer(connection->link->host, deferred);
        return;
    }
    connection->flush_is_last = false;
    if (connection->state != CONNECTION_OPEN)
        return;
    if (connection->events.flushes != NULL)
        connection->events.flushes(connection->events.data);
    connection->flushed_bytes = redis_connection_put_bytes(connection);
    connection->flushed_ns = resv_now_ns(connection->link->host);
    write_some(connection);
}

/* --- reading -------------------------------------------------------------------------------------
 */

static void hand_on_replies(struct redis_connection *connection)
{
    const struct redis_reply *reply = NULL;
    char why[REDIS_WORDS_SIZE];
    while (!connection->closed) {
        if (!redis_reader_next(connection->reader, &reply, why, sizeof why)) {
            fail_by_other_side(connection, why);
            return;
        }
        if (reply == NULL)
            return;
        connection->replied = true;
        connection->events.replied(connection->events.data, reply);
    }
}

/* False when there is nothing more to read now, or at all. */
static bool read_once(struct redis_connection *connection)
{
    char *buffer = connection->link->read_buffer;
    const size_t capacity = sizeof connection->link->read_buffer;
    ssize_t got = connection->tls != NULL
                      ? redis_tls_receive(connection->tls, buffer, capacity)
                      : recv(connection->socket->descriptor, buffer, capacity, 0);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return false;
    if (got < 0) {
        fail_by_errno(connection, "reading failed");
        return false;
    }
    if (got == 0) {
        fail_by_other_side(connection, "it closed the connection");
        return false;
    }
    connection->received_ns = resv_now_ns(connection->link->host);
    if (!redis_reader_feed(connection->reader, buffer, (size_t)got)) {
        redis_connection_fail(connection, REDIS_EXIT_UNAVAILABLE, "out of memory");
        return false;
    }
    hand_on_replies(connection);
    /* TLS gives one record at a time. */
    return !connection->closed && (connection->tls != NULL || (size_t)got == capacity);
}

static void read_some(struct redis_connection *connection)
{
    unsigned reads = 1;
    while (read_once(connection) && reads < READS_A_TURN)
        reads++;
}

/* When the loop was held up, or the process was stopped, what a timer misses may be there. */
bool redis_connection_look(struct redis_connection *connection)
{
    const uint64_t before_ns = connection->received_ns;
    RESV_ASSERT(connection->state == CONNECTION_OPEN);
    connection->pins++;
    read_some(connection);
    bool has_come = connection->closed || connection->received_ns != before_ns;
    redis_connection_unpin(connection);
    return has_come;
}

/* --- events --------------------------------------------------------------------------------------
 */

void redis_connection_established(struct redis_connection *connection)
{
    connection->state = CONNECTION_OPEN;
    connection->received_ns = resv_now_ns(connection->link->host);
    connection->pins++;
    connection->events.connected(connection->events.data);
    if (!connection->closed)
        watch(connection);
    redis_connection_unpin(connection);
}

void redis_connection_handshake(struct redis_connection *connection)
{
    char why[REDIS_WORDS_SIZE] = "";
    int events = 0;
    switch (redis_tls_handshake(connection->tls, why, sizeof why)) {
    case REDIS_IO_DONE:
        redis_connection_established(connection);
        return;
    case REDIS_IO_WANTS_READ:
        events = UV_READABLE;
        break;
    case REDIS_IO_WANTS_WRITE:
        events = UV_WRITABLE;
        break;
    case REDIS_IO_FAILED:
        redis_connection_fail(connection, REDIS_EXIT_UNAVAILABLE, why);
        return;
    case REDIS_IO_REFUSED:
        redis_connection_fail(connection, REDIS_EXIT_CONFIG, why);
        return;
    }
    if (!redis_socket_watch(connection->socket, events))
        redis_connection_fail(connection, REDIS_EXIT_UNAVAILABLE, "out of memory");
}

void redis_connection_on_event(struct redis_socket *socket, int status, int events)
{
    struct redis_connection *connection = socket->connection;
    connection->pins++;
    switch (connection->state) {
    case CONNECTION_RESOLVING:
        RESV_ASSERT(!"a socket without an address");
        break;
    case CONNECTION_CONNECTING:
        redis_connect_on_event(connection, status);
        break;
    case CONNECTION_HANDSHAKING:
        redis_connection_handshake(connection);
        break;
    case CONNECTION_OPEN:
        /* libuv says an error of the socket as a bad status, and watches no longer: reading tells
         * which it was. */
        if (status < 0 || (events & UV_READABLE) != 0)
            read_some(connection);
        if (!connection->closed && status < 0)
            redis_connection_fail(connection, REDIS_EXIT_UNAVAILABLE, "the connection broke");
        if (!connection->closed && (events & UV_WRITABLE) != 0)
            write_some(connection);
        break;
    }
    redis_connection_unpin(connection);
}

/* --- opening -------------------------------------------------------------------------------------
 */

struct redis_connection *redis_connection_open(struct redis_link *link,
                                               const struct redis_address *address,
                                               const struct redis_connection_events *events)
{
    struct redis_connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL)
        return NULL;
    connection->reader = redis_reader_create();
    if (connection->reader == NULL) {
        free(connection);
        return NULL;
    }
    connection->link = link;
    connection->address = address;
    connection->events = *events;
    connection->output.maximum = OUTPUT_BYTES_MAX;
    connection->flush = (struct resv_deferred){.run = on_flush, .data = connection};
    redis_connect_start(connection);
    return connection;
}

void redis_connection_settled(struct redis_connection *connection)
{
    resv_timer_stop(connection->link->host, &connection->timer);
}
