/* A connection, and the insides of the server that connections share. For src/http only.
 *
 *                     read            dispatch              answered
 *   socket --> [read buffer] --> parser --> exchange --> routes ... --> exchange done
 *      ^            | no room: [held]                                      |
 *      |            v reading stops                                        v [dirty list]
 *      +--- [write job, when the socket is full] <--- scratch <--- flush, once a loop turn
 *
 * Memory: the read buffer and the scratch are the server's; a connection at rest has none. A half
 * received request is kept within the request budget, unsent answers within the answer budget.
 */
#ifndef RESVD_HTTP_CONNECTION_H
#define RESVD_HTTP_CONNECTION_H

#include <uv.h>

#include "http/budget.h"
#include "http/deadlines.h"
#include "http/exchange.h"
#include "http/http_server.h"
#include "http/parser.h"
#include "http/render.h"

#define READ_BUFFER_BYTES 65536
#define SCRATCH_BYTES     262144
#define LISTENERS_MAX     32
#define ADMIN_MAX         256  /* connections of the admin listener: places of its own */
#define REFUSED_MAX       64   /* connections over the limit that hear 503 at the same time */
#define LINGER_MS         1000 /* for the client to read the last answer before the close */
#define DRAIN_REQUEST_MS  1000 /* while draining, for a request that is half received */
#define DEADLINE_TICK_MS  50
#define READS_PER_FLUSH   64 /* so that clients get work while many others are still read */
#define LISTEN_BACKLOG    4096

struct connection {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } socket;
    struct http_server *server;
    enum listener_kind kind;
    struct parser parser;

    struct exchange *first;
    struct exchange *last;
    unsigned exchange_count;
    uint64_t requests;

    char *held; /* bytes read but not parsed, for want of room; counted in the request budget */
    size_t held_size;
    size_t held_offset;

    bool open;
    bool refused;      /* over max_connections: hears 503 and is closed */
    bool reading;      /* uv_read_start is in force */
    bool stop_parsing; /* no request after this one: what comes is thrown away */
    bool peer_eof;
    bool dirty;
    bool writing;   /* a write job is under way: nothing else is written */
    bool lingering; /* our side is shut down */
    bool closing;
    bool own_used;
    uint8_t clock_request; /* low bits of `requests` that the request clock runs for */

    struct deadline clock; /* in the idle, request or linger list */
    struct deadline stall; /* in the stall list while writing */
    size_t stalled_bytes;  /* of the write job, when the stall clock was last looked at */
    struct connection *next_dirty;
    struct connection *previous_dirty;
    struct connection *next_free;
    uv_shutdown_t shutdown;
    struct exchange own; /* last: its inline bytes are seldom needed together with the rest */
};

struct listener {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } socket;
    struct http_server *server;
    enum listener_kind kind;
    bool unix_socket;
    bool open;
};

struct http_counters {
    uint64_t accepted;
    uint64_t refused;
    uint64_t bytes_received;
    uint64_t bytes_sent;
    uint64_t faults;
    uint64_t timeouts;
};

struct http_server {
    struct http_config config;
    struct listener listeners[LISTENERS_MAX];
    size_t listener_count;
    size_t open_listeners;

    struct connection *connections;
    struct connection *free_connections;
    size_t connection_count[2]; /* by enum listener_kind, refused ones included */
    size_t served_count[2];     /* not refused: counts against the limit of its kind */
    bool draining[2];
    void (*drained[2])(void *data);
    void *drained_data[2];
    void (*closed)(void *data);
    void *closed_data;

    struct exchange_pool exchanges;
    struct budget request_budget;
    struct budget answer_budget;
    struct connection *dirty_first;
    unsigned reads_since_flush;
    struct deadline_list idle, request, linger, stall;
    struct resv_timer tick;
    struct render_clock clock;
    struct http_counters counters, reported;
    char *read_buffer;
    char *scratch;
};

/* connection.c */
void connection_accept(struct http_server *server, struct listener *listener);
/* Idempotent. Reached from: read and write errors, the client's end, every timeout, the end of
 * lingering, exhausted memory, and the server's close. Never from inside routes_dispatch. */
void connection_close(struct connection *connection);
/* After anything that may have changed what the connection waits for. May close it. */
void connection_settle(struct connection *connection);
void connection_mark_dirty(struct connection *connection);
/* No request after what has been parsed; closes now when nothing is under way. */
void connection_drain(struct connection *connection);

/* connection_read.c */
void connection_read_start(struct connection *connection);
/* Parses what is held, now that there is room. */
void connection_resume(struct connection *connection);
/* Answers a problem and ends the connection after it. */
void connection_answer_fault(struct connection *connection, const char *slug, const char *detail);
/* 408; where no exchange is to be had for it, the answers that are under way are the last ones. */
void connection_time_out_request(struct connection *connection);

/* connection_write.c */
void connection_flush(struct connection *connection);
void exchange_free(struct connection *connection, struct exchange *exchange);

#endif
