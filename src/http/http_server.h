/* The HTTP server: two kinds of listeners, a fixed pool of connections, one flush a loop turn. */
#ifndef RESVD_HTTP_HTTP_SERVER_H
#define RESVD_HTTP_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/host.h"
#include "metrics/metrics.h"
#include "routes/call.h"

struct http_server;
struct sockaddr;

/* For docs/metrics.md. */
extern const struct resv_metric_table http_metric_table;

/* May change while running. */
struct http_timeouts {
    uint64_t request_ms; /* from a request's first byte until it is whole */
    uint64_t idle_ms;
    uint64_t write_ms; /* without progress of a slow reader */
    uint64_t requests_per_connection_max;
};

struct http_config {
    struct uv_loop_s *loop;
    struct resv_host *host;
    struct routes *routes;
    struct metrics *metrics;
    size_t connections_max;
    size_t exchanges_max;        /* pipelined requests beyond one a connection */
    size_t request_memory_bytes; /* half received requests */
    size_t answer_memory_bytes;  /* large and unsent answers */
    struct http_timeouts timeouts;
};

/* Everything is allocated here; NULL when there is not enough memory. */
struct http_server *http_server_create(const struct http_config *config);
size_t http_server_memory_bytes(const struct http_config *config);

/* 0 or a negative libuv error. Addresses are copied. */
int http_server_listen_address(struct http_server *server, enum listener_kind kind,
                               const struct sockaddr *address, bool ipv6_only);
int http_server_listen_path(struct http_server *server, enum listener_kind kind, const char *path);
/* A socket that is bound (and perhaps listening) already; the server owns it from now on. */
int http_server_listen_socket(struct http_server *server, enum listener_kind kind, int socket);
/* Port of the listener added last (TCP), for port 0; 0 when there is none. */
uint16_t http_server_port(const struct http_server *server);

void http_server_set_timeouts(struct http_server *server, const struct http_timeouts *timeouts);

/* Stops accepting on this kind of listener; connections at rest close, the others after the answer
 * to what they have asked (Connection: close). drained(data) comes when none is left. */
void http_server_drain(struct http_server *server, enum listener_kind kind,
                       void (*drained)(void *data), void *data);
/* For a drain that has waited long enough: closes what connections of the kind are left. */
void http_server_cut(struct http_server *server, enum listener_kind kind);
/* Closes everything at once; closed(data) comes from the loop. Then destroy. */
void http_server_close(struct http_server *server, void (*closed)(void *data), void *data);
void http_server_destroy(struct http_server *server);

#endif
