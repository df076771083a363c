/* The HTTP server: pools, listeners, the flush, the tick of all deadlines, drain and close. */
#include "http/http_server.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "http/connection.h"
#include "resvd/assert.h"

enum http_metric {
    METRIC_CONNECTIONS,
    METRIC_CONNECTIONS_MAX,
    METRIC_ACCEPTED,
    METRIC_REFUSED,
    METRIC_RECEIVED,
    METRIC_SENT,
    METRIC_FAULTS,
    METRIC_TIMEOUTS,
    METRIC_EXCHANGES,
    METRIC_EXCHANGES_MAX,
    METRIC_REQUEST_MEMORY,
    METRIC_REQUEST_MEMORY_MAX,
    METRIC_ANSWER_MEMORY,
    METRIC_ANSWER_MEMORY_MAX,
    METRIC_COUNT
};

static const struct resv_metric metrics[METRIC_COUNT] = {
    [METRIC_CONNECTIONS] = {.name = "http_connections",
                            .type = RESV_METRIC_GAUGE,
                            .help = "open connections to the API"},
    [METRIC_CONNECTIONS_MAX] = {.name = "http_connections_max",
                                .type = RESV_METRIC_GAUGE,
                                .help = "the limit on open connections"},
    [METRIC_ACCEPTED] = {.name = "http_connections_accepted_total",
                         .type = RESV_METRIC_COUNTER,
                         .help = "connections accepted"},
    [METRIC_REFUSED] = {.name = "http_connections_refused_total",
                        .type = RESV_METRIC_COUNTER,
                        .help = "connections over the limit, answered 503"},
    [METRIC_RECEIVED] = {.name = "http_received_bytes_total",
                         .type = RESV_METRIC_COUNTER,
                         .help = "bytes received"},
    [METRIC_SENT] = {.name = "http_sent_bytes_total",
                     .type = RESV_METRIC_COUNTER,
                     .help = "bytes sent"},
    [METRIC_FAULTS] = {.name = "http_faults_total",
                       .type = RESV_METRIC_COUNTER,
                       .help = "requests refused by the HTTP layer itself"},
    [METRIC_TIMEOUTS] = {.name = "http_timeouts_total",
                         .type = RESV_METRIC_COUNTER,
                         .help =
                             "connections closed for idling, stalling or an unfinished request"},
    [METRIC_EXCHANGES] = {.name = "http_pipelined_requests",
                          .type = RESV_METRIC_GAUGE,
                          .help = "requests that wait behind another one of their connection"},
    [METRIC_EXCHANGES_MAX] = {.name = "http_pipelined_requests_max",
                              .type = RESV_METRIC_GAUGE,
                              .help = "the limit on those"},
    [METRIC_REQUEST_MEMORY] = {.name = "http_request_memory_bytes",
                               .type = RESV_METRIC_GAUGE,
                               .help = "memory of half received requests"},
    [METRIC_REQUEST_MEMORY_MAX] = {.name = "http_request_memory_max_bytes",
                                   .type = RESV_METRIC_GAUGE,
                                   .help = "the limit on that"},
    [METRIC_ANSWER_MEMORY] = {.name = "http_answer_memory_bytes",
                              .type = RESV_METRIC_GAUGE,
                              .help = "memory of large and unsent answers"},
    [METRIC_ANSWER_MEMORY_MAX] = {.name = "http_answer_memory_max_bytes",
                                  .type = RESV_METRIC_GAUGE,
                                  .help = "the limit on that"},
};

const struct resv_metric_table http_metric_table = {
    .metrics = metrics, .count = METRIC_COUNT, .title = "Connections"};

static void collect(void *data)
{
    struct http_server *server = data;
    struct metrics *registry = server->config.metrics;
    const struct http_counters *now = &server->counters;
    const struct http_counters *then = &server->reported;
    const struct resv_metric_table *table = &http_metric_table;
    metrics_set(registry, table, METRIC_CONNECTIONS, (int64_t)server->served_count[LISTENER_API]);
    metrics_set(registry, table, METRIC_CONNECTIONS_MAX, (int64_t)server->config.connections_max);
    metrics_add(registry, table, METRIC_ACCEPTED, now->accepted - then->accepted);
    metrics_add(registry, table, METRIC_REFUSED, now->refused - then->refused);
    metrics_add(registry, table, METRIC_RECEIVED, now->bytes_received - then->bytes_received);
    metrics_add(registry, table, METRIC_SENT, now->bytes_sent - then->bytes_sent);
    metrics_add(registry, table, METRIC_FAULTS, now->faults - then->faults);
    metrics_add(registry, table, METRIC_TIMEOUTS, now->timeouts - then->timeouts);
    metrics_set(registry, table, METRIC_EXCHANGES, (int64_t)server->exchanges.used);
    metrics_set(registry, table, METRIC_EXCHANGES_MAX, (int64_t)server->exchanges.count);
    metrics_set(registry, table, METRIC_REQUEST_MEMORY, (int64_t)server->request_budget.used_bytes);
    metrics_set(registry, table, METRIC_REQUEST_MEMORY_MAX,
                (int64_t)server->request_budget.max_bytes);
    metrics_set(registry, table, METRIC_ANSWER_MEMORY, (int64_t)server->answer_budget.used_bytes);
    metrics_set(registry, table, METRIC_ANSWER_MEMORY_MAX,
                (int64_t)server->answer_budget.max_bytes);
    server->reported = server->counters;
}

/* --- the loop turn ------------------------------------------------------------------------------
 */

static void flush(void *data)
{
    struct http_server *server = data;
    server->reads_since_flush = 0;
    if (server->dirty_first == NULL)
        return;
    render_clock_update(&server->clock, resv_wall_ms(server->config.host));
    /* What resumes may answer at once and be dirty again; each round takes from bytes that were
     * held before, so this ends. */
    while (server->dirty_first != NULL) {
        struct connection *connection = server->dirty_first;
        server->dirty_first = connection->next_dirty;
        if (server->dirty_first != NULL)
            server->dirty_first->previous_dirty = NULL;
        connection->dirty = false;
        connection_flush(connection);
    }
}

static struct connection *of_clock(struct deadline *deadline)
{
    return (struct connection *)((char *)deadline - offsetof(struct connection, clock));
}

static struct connection *of_stall(struct deadline *deadline)
{
    return (struct connection *)((char *)deadline - offsetof(struct connection, stall));
}

/* A write job that the socket takes from, however slowly, is progress. */
static bool stalled_made_progress(struct connection *connection)
{
    size_t queued = uv_stream_get_write_queue_size(&connection->socket.stream);
    bool progress = queued < connection->stalled_bytes;
    connection->stalled_bytes = queued;
    return progress;
}

static void tick(struct resv_timer *timer)
{
    struct http_server *server = timer->data;
    const struct http_timeouts *timeouts = &server->config.timeouts;
    uint64_t now_ms = uv_now(server->config.loop);
    struct deadline *due;
    uint64_t request_ms = timeouts->request_ms;
    if (server->draining[LISTENER_API] && request_ms > DRAIN_REQUEST_MS)
        request_ms = DRAIN_REQUEST_MS;
    while ((due = deadline_due(&server->request, now_ms, request_ms)) != NULL) {
        struct connection *connection = of_clock(due);
        server->counters.timeouts++;
        deadline_stop(due);
        connection_time_out_request(connection);
    }
    while ((due = deadline_due(&server->idle, now_ms, timeouts->idle_ms)) != NULL) {
        server->counters.timeouts++;
        connection_close(of_clock(due));
    }
    while ((due = deadline_due(&server->linger, now_ms, LINGER_MS)) != NULL) {
        if (of_clock(due)->writing)
            deadline_start(due, &server->linger, now_ms); /* the stall clock decides */
        else
            connection_close(of_clock(due));
    }
    while ((due = deadline_due(&server->stall, now_ms, timeouts->write_ms)) != NULL) {
        struct connection *connection = of_stall(due);
        if (stalled_made_progress(connection)) {
            deadline_start(due, &server->stall, now_ms);
            continue;
        }
        server->counters.timeouts++;
        connection_close(connection);
    }
    if (server->connection_count[LISTENER_API] + server->connection_count[LISTENER_ADMIN] > 0)
        resv_timer_start(server->config.host, timer, DEADLINE_TICK_MS);
}

/* --- listeners ----------------------------------------------------------------------------------
 */

static void incoming(uv_stream_t *stream, int status)
{
    struct listener *listener = stream->data;
    if (status == 0)
        connection_accept(listener->server, listener);
}

static void listener_closed(uv_handle_t *handle)
{
    struct listener *listener = handle->data;
    struct http_server *server = listener->server;
    listener->open = false;
    server->open_listeners--;
}

static struct listener *add_listener(struct http_server *server, enum listener_kind kind,
                                     bool unix_socket)
{
    if (server->listener_count == LISTENERS_MAX)
        return NULL;
    struct listener *listener = &server->listeners[server->listener_count++];
    *listener = (struct listener){.server = server, .kind = kind, .unix_socket = unix_socket};
    if (unix_socket)
        uv_pipe_init(server->config.loop, &listener->socket.pipe, 0);
    else
        uv_tcp_init(server->config.loop, &listener->socket.tcp);
    listener->socket.handle.data = listener;
    listener->open = true;
    server->open_listeners++;
    return listener;
}

static int start_listener(struct listener *listener, int bound)
{
    if (bound == 0)
        bound = uv_listen(&listener->socket.stream, LISTEN_BACKLOG, incoming);
    if (bound != 0)
        uv_close(&listener->socket.handle, listener_closed);
    return bound;
}

int http_server_listen_address(struct http_server *server, enum listener_kind kind,
                               const struct sockaddr *address, bool ipv6_only)
{
    struct listener *listener = add_listener(server, kind, false);
    if (listener == NULL)
        return UV_ENFILE;
    unsigned flags = ipv6_only ? UV_TCP_IPV6ONLY : 0;
    return start_listener(listener, uv_tcp_bind(&listener->socket.tcp, address, flags));
}

int http_server_listen_path(struct http_server *server, enum listener_kind kind, const char *path)
{
    struct listener *listener = add_listener(server, kind, true);
    if (listener == NULL)
        return UV_ENFILE;
    return start_listener(listener, uv_pipe_bind(&listener->socket.pipe, path));
}

int http_server_listen_socket(struct http_server *server, enum listener_kind kind, int socket)
{
    struct sockaddr_storage name;
    socklen_t size = sizeof(name);
    if (getsockname(socket, (struct sockaddr *)&name, &size) != 0)
        return UV_ENOTSOCK;
    bool unix_socket = name.ss_family == AF_UNIX;
    struct listener *listener = add_listener(server, kind, unix_socket);
    if (listener == NULL)
        return UV_ENFILE;
    int opened = unix_socket ? uv_pipe_open(&listener->socket.pipe, socket)
                             : uv_tcp_open(&listener->socket.tcp, socket);
    return start_listener(listener, opened);
}

uint16_t http_server_port(const struct http_server *server)
{
    struct sockaddr_storage name;
    int size = sizeof(name);
    if (server->listener_count == 0)
        return 0;
    const struct listener *last = &server->listeners[server->listener_count - 1];
    if (last->unix_socket ||
        uv_tcp_getsockname(&last->socket.tcp, (struct sockaddr *)&name, &size) != 0)
        return 0;
    if (name.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&name)->sin6_port);
    return ntohs(((struct sockaddr_in *)&name)->sin_port);
}

static void close_listeners(struct http_server *server, enum listener_kind kind)
{
    for (size_t i = 0; i < server->listener_count; i++) {
        struct listener *listener = &server->listeners[i];
        if (listener->kind == kind && listener->open && !uv_is_closing(&listener->socket.handle))
            uv_close(&listener->socket.handle, listener_closed);
    }
}

/* --- drain, close, life --------------------------------------------------------------------------
 */

static size_t slots(const struct http_config *config)
{
    return config->connections_max + ADMIN_MAX + REFUSED_MAX;
}

void http_server_drain(struct http_server *server, enum listener_kind kind,
                       void (*drained)(void *data), void *data)
{
    close_listeners(server, kind);
    server->draining[kind] = true;
    for (size_t i = 0; i < slots(&server->config); i++) {
        struct connection *connection = &server->connections[i];
        if (connection->open && connection->kind == kind)
            connection_drain(connection);
    }
    if (server->connection_count[kind] == 0) {
        drained(data);
        return;
    }
    server->drained[kind] = drained;
    server->drained_data[kind] = data;
}

void http_server_cut(struct http_server *server, enum listener_kind kind)
{
    for (size_t i = 0; i < slots(&server->config); i++) {
        struct connection *connection = &server->connections[i];
        if (connection->open && connection->kind == kind)
            connection_close(connection);
    }
}

static void check_closed(void *data)
{
    struct http_server *server = data;
    if (server->connection_count[LISTENER_API] + server->connection_count[LISTENER_ADMIN] > 0 ||
        server->open_listeners > 0 || server->closed == NULL)
        return;
    void (*closed)(void *) = server->closed;
    server->closed = NULL;
    closed(server->closed_data);
}

static void tick_until_closed(struct resv_timer *timer)
{
    struct http_server *server = timer->data;
    check_closed(server);
    if (server->closed != NULL)
        resv_timer_start(server->config.host, timer, 1);
}

void http_server_close(struct http_server *server, void (*closed)(void *data), void *data)
{
    server->drained[LISTENER_API] = server->drained[LISTENER_ADMIN] = NULL;
    close_listeners(server, LISTENER_API);
    close_listeners(server, LISTENER_ADMIN);
    flush(server); /* answers of this very turn still go out */
    http_server_cut(server, LISTENER_API);
    http_server_cut(server, LISTENER_ADMIN);
    host_on_flush(server->config.host, NULL, NULL);
    server->closed = closed;
    server->closed_data = data;
    server->tick.fired = tick_until_closed;
    resv_timer_start(server->config.host, &server->tick, 1);
}

void http_server_set_timeouts(struct http_server *server, const struct http_timeouts *timeouts)
{
    server->config.timeouts = *timeouts;
}

size_t http_server_memory_bytes(const struct http_config *config)
{
    return sizeof(struct http_server) + slots(config) * sizeof(struct connection) +
           config->exchanges_max * sizeof(struct exchange) + config->request_memory_bytes +
           config->answer_memory_bytes + READ_BUFFER_BYTES + SCRATCH_BYTES;
}

struct http_server *http_server_create(const struct http_config *config)
{
    struct http_server *server = calloc(1, sizeof(*server));
    if (server == NULL)
        return NULL;
    server->config = *config;
    server->request_budget.max_bytes = config->request_memory_bytes;
    server->answer_budget.max_bytes = config->answer_memory_bytes;
    server->connections = calloc(slots(config), sizeof(struct connection));
    server->read_buffer = malloc(READ_BUFFER_BYTES);
    server->scratch = malloc(SCRATCH_BYTES);
    if (server->connections == NULL || server->read_buffer == NULL || server->scratch == NULL ||
        !exchange_pool_create(&server->exchanges, config->exchanges_max) ||
        !metrics_register(config->metrics, &http_metric_table, NULL)) {
        http_server_destroy(server);
        return NULL;
    }
    for (size_t i = slots(config); i-- > 0;) {
        server->connections[i].next_free = server->free_connections;
        server->free_connections = &server->connections[i];
    }
    metrics_on_collect(config->metrics, collect, server);
    host_on_flush(config->host, flush, server);
    server->tick = (struct resv_timer){.fired = tick, .data = server};
    return server;
}

void http_server_destroy(struct http_server *server)
{
    if (server == NULL)
        return;
    exchange_pool_destroy(&server->exchanges);
    free(server->connections);
    free(server->read_buffer);
    free(server->scratch);
    free(server);
}
