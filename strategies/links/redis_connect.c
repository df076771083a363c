/* The way to a server: the name's addresses, one after the other, then TLS where it is wanted.
 *
 *   name ──► uv_getaddrinfo ──► address ──► connected ──► TLS ──► redis_connection_established
 *                                  │ refused, no answer
 *                                  └──► next address
 *
 * The whole way has one deadline, and so has the login behind it; each address that is left gets an
 * equal share of what is left of it. libuv tells of a refused connection by a bad status only: what
 * it was is asked of the socket.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "redis_internal.h"
#include "resvd/assert.h"

/* --- sockets -------------------------------------------------------------------------------------
 */

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct redis_socket *socket = poll->data;
    if (status < 0)
        socket->watched = 0; /* libuv has stopped it */
    if (socket->connection != NULL)
        redis_connection_on_event(socket, status, events);
}

static void on_closed(uv_handle_t *handle)
{
    struct redis_socket *socket = handle->data;
    struct redis_link *link = socket->link;
    free(socket);
    link->uv_open--;
    redis_link_schedule(link);
}

static bool start_connecting(int descriptor, const struct sockaddr *address, socklen_t size)
{
    const int yes = 1;
    if (address->sa_family != AF_UNIX)
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return connect(descriptor, address, size) == 0 || errno == EINPROGRESS;
}

struct redis_socket *redis_socket_create(struct redis_connection *connection, int family,
                                         const struct sockaddr *address, socklen_t address_size)
{
    struct redis_link *link = connection->link;
    struct redis_socket *created = calloc(1, sizeof *created);
    if (created == NULL)
        return NULL;
    int error = 0;
    created->descriptor = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (created->descriptor < 0 || !start_connecting(created->descriptor, address, address_size))
        error = errno;
    else
        error = -uv_poll_init(resv_host_loop(link->host), &created->poll, created->descriptor);
    if (error != 0) {
        if (created->descriptor >= 0)
            close(created->descriptor);
        free(created);
        errno = error;
        return NULL;
    }
    created->link = link;
    created->connection = connection;
    created->poll.data = created;
    link->uv_open++;
    return created;
}

bool redis_socket_watch(struct redis_socket *socket, int events)
{
    if (socket->watched == events) /* it would be taken out of epoll and put in again */
        return true;
    socket->watched = events;
    return uv_poll_start(&socket->poll, events, on_poll) == 0;
}

void redis_socket_close(struct redis_socket *socket)
{
    socket->connection = NULL;
    uv_close((uv_handle_t *)&socket->poll, on_closed);
    close(socket->descriptor);
}

/* --- addresses -----------------------------------------------------------------------------------
 */

static void try_next(struct redis_connection *connection);

static void give_up(struct redis_connection *connection)
{
    redis_connection_fail(connection, REDIS_EXIT_UNAVAILABLE, connection->problem);
}

static void note_problem(struct redis_connection *connection, const char *text)
{
    snprintf(connection->problem, sizeof connection->problem, "%s", text);
}

static void start_timer(struct redis_connection *connection, uint64_t shares)
{
    uint64_t now_ns = resv_now_ns(connection->link->host);
    uint64_t left_ns = connection->deadline_ns > now_ns ? connection->deadline_ns - now_ns : 0;
    resv_timer_start(connection->link->host, &connection->timer,
                     left_ns / shares / REDIS_NS_PER_MS + 1);
}

static void on_timer(struct resv_timer *timer)
{
    struct redis_connection *connection = timer->data;
    switch (connection->state) {
    case CONNECTION_RESOLVING:
        note_problem(connection, "its name was not found in time");
        break;
    case CONNECTION_CONNECTING:
        note_problem(connection, "no answer in time");
        try_next(connection);
        return;
    case CONNECTION_HANDSHAKING:
        note_problem(connection, "no answer to TLS in time: is it a TLS port?");
        break;
    case CONNECTION_OPEN:
        note_problem(connection, "no answer in time");
        break;
    }
    give_up(connection);
}

/* TLS, or done. */
static void on_connected(struct redis_connection *connection)
{
    struct redis_link *link = connection->link;
    start_timer(connection, 1);
    if (link->tls == NULL || connection->address->host[0] == '\0') {
        redis_connection_established(connection);
        return;
    }
    const char *name =
        link->settings.tls_name[0] != '\0' ? link->settings.tls_name : connection->address->host;
    connection->state = CONNECTION_HANDSHAKING;
    connection->tls = redis_tls_create(link->tls, connection->socket->descriptor, name);
    if (connection->tls == NULL) {
        note_problem(connection, "out of memory");
        give_up(connection);
        return;
    }
    redis_connection_handshake(connection);
}

void redis_connect_on_event(struct redis_connection *connection, int status)
{
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(connection->socket->descriptor, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error == 0 && status < 0)
        error = -status;
    if (error == 0) {
        on_connected(connection);
        return;
    }
    note_problem(connection, uv_strerror(uv_translate_sys_error(error)));
    try_next(connection);
}

static bool try_address(struct redis_connection *connection, int family,
                        const struct sockaddr *address, socklen_t size)
{
    connection->state = CONNECTION_CONNECTING;
    connection->socket = redis_socket_create(connection, family, address, size);
    if (connection->socket == NULL) {
        note_problem(connection, uv_strerror(uv_translate_sys_error(errno)));
        return false;
    }
    if (!redis_socket_watch(connection->socket, UV_READABLE | UV_WRITABLE)) {
        note_problem(connection, "out of memory");
        return false;
    }
    return true;
}

static void drop_socket(struct redis_connection *connection)
{
    if (connection->socket != NULL)
        redis_socket_close(connection->socket);
    connection->socket = NULL;
}

static void try_next(struct redis_connection *connection)
{
    while (connection->next_address != NULL) {
        const struct addrinfo *address = connection->next_address;
        uint64_t shares = 0;
        for (const struct addrinfo *left = address; left != NULL; left = left->ai_next)
            shares++;
        connection->next_address = address->ai_next;
        drop_socket(connection);
        if (try_address(connection, address->ai_family, address->ai_addr, address->ai_addrlen)) {
            start_timer(connection, shares);
            return;
        }
    }
    give_up(connection);
}

static void try_unix(struct redis_connection *connection)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, connection->address->path, sizeof address.sun_path);
    if (!try_address(connection, AF_UNIX, (const struct sockaddr *)&address, sizeof address))
        give_up(connection);
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *addresses)
{
    struct redis_connection *connection = request->data;
    connection->resolving = false;
    connection->link->uv_open--;
    redis_link_schedule(connection->link);
    if (connection->closed) {
        uv_freeaddrinfo(addresses);
    } else if (status != 0) {
        char text[REDIS_WORDS_SIZE];
        snprintf(text, sizeof text, "its name is not found: %s", uv_strerror(status));
        note_problem(connection, text);
        give_up(connection);
    } else {
        connection->addresses = connection->next_address = addresses;
        try_next(connection);
    }
    redis_connection_unpin(connection);
}

/* --- start and stop ------------------------------------------------------------------------------
 */

/* At the flush point: nothing is told from inside redis_connection_open. */
static void begin(struct resv_deferred *deferred)
{
    struct redis_connection *connection = deferred->data;
    connection->pins++;
    if (connection->address->host[0] == '\0') {
        try_unix(connection);
        redis_connection_unpin(connection);
        return;
    }
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};
    char port[8];
    snprintf(port, sizeof port, "%u", connection->address->port);
    connection->resolve.data = connection;
    int error = uv_getaddrinfo(resv_host_loop(connection->link->host), &connection->resolve,
                               on_resolved, connection->address->host, port, &hints);
    if (error == 0) { /* keeps the pin */
        connection->resolving = true;
        connection->link->uv_open++;
        return;
    }
    note_problem(connection, uv_strerror(error));
    give_up(connection);
    redis_connection_unpin(connection);
}

void redis_connect_start(struct redis_connection *connection)
{
    struct redis_link *link = connection->link;
    connection->state = CONNECTION_RESOLVING;
    connection->timer = (struct resv_timer){.fired = on_timer, .data = connection};
    connection->deadline_ns =
        resv_now_ns(link->host) + link->settings.connect_timeout_ms * REDIS_NS_PER_MS;
    start_timer(connection, 1);
    connection->begin = (struct resv_deferred){.run = begin, .data = connection};
    resv_defer(link->host, &connection->begin);
}

void redis_connect_stop(struct redis_connection *connection)
{
    resv_defer_cancel(connection->link->host, &connection->begin);
    if (connection->resolving)
        uv_cancel((uv_req_t *)&connection->resolve); /* or it comes back by itself */
    if (connection->addresses != NULL)
        uv_freeaddrinfo(connection->addresses);
    connection->addresses = connection->next_address = NULL;
}
