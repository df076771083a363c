/* Connections to one server that are kept open, with one request at a time on each.
 *
 *            +----------- reopened at once, or by the next tick -----------+
 *            v                                                             |
 *   CLOSED -> CONNECTING -> FREE -> BUSY -> FREE -> …                      |
 *                 |          |       |                                     |
 *                 +----------+-------+----> CLOSING ---------------------> CLOSED
 *
 * FREE ones stand in a list, those that have been free longest first. All calls come on the loop's
 * thread; events may send on what is free, and may close the pool. */
#ifndef RESVD_BENCH_OPEN_POOL_H
#define RESVD_BENCH_OPEN_POOL_H

#include <llhttp.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#define OPEN_REQUEST_BYTES 768
#define OPEN_BODY_BYTES    1024 /* of an answer's body; what is beyond is not kept */
#define OPEN_STATUSES      1000
#define OPEN_CONNECT_S     10 /* so long may opening one take */

enum open_state {
    OPEN_CLOSED,
    OPEN_CONNECTING,
    OPEN_FREE,
    OPEN_BUSY,
    OPEN_CLOSING,
    OPEN_STATE_COUNT
};

struct open_connection {
    struct open_pool *pool;
    struct open_connection *next; /* FREE: in the list */
    enum open_state state;        /* written by set_state only */
    uint64_t since_ns;            /* in this state */
    uint64_t planned_ns;          /* BUSY: the owner's, of its request */
    bool has_answered;            /* since it was opened */
    bool is_writing;              /* `write` is under way */

    /* The answer that is being read. */
    bool begun, complete, keep_alive;
    size_t body_size;
    char body[OPEN_BODY_BYTES];

    char request[OPEN_REQUEST_BYTES];
    uv_tcp_t tcp;
    uv_connect_t connect;
    uv_write_t write;
    llhttp_t parser;
};

/* What the pool tells its owner; `data` is the pool's. */
struct open_events {
    /* Its request has its answer: status, and `body` as far as it was kept. */
    void (*answered)(void *data, struct open_connection *connection, unsigned status,
                     uint64_t now_ns);
    /* It ended while it was BUSY: whether its request was carried out is not known. */
    void (*broken)(void *data, const struct open_connection *connection);
    /* One is FREE now. */
    void (*freed)(void *data);
};

struct open_pool {
    uv_loop_t *loop;
    struct open_events events;
    void *data;
    struct sockaddr_in address;
    struct open_connection *connections;
    size_t count;
    size_t in_state[OPEN_STATE_COUNT];
    struct open_connection *free_first, **free_last;
    llhttp_settings_t settings;
    bool reopens;    /* what is closed is opened again */
    char error[160]; /* why opening one failed the last time; "": it never did */

    /* How often, so far. */
    uint64_t lost;             /* ended by the server, or after a malformed answer */
    uint64_t malformed;        /* answers that are no HTTP, or that nobody asked for */
    uint64_t connect_failures; /* refused, or not open in time */
};

/* Takes memory for all of them, and begins to open them. False: there is no memory. */
bool open_pool_start(struct open_pool *pool, uv_loop_t *loop, const struct sockaddr_in *address,
                     size_t count, struct open_events events, void *data);
/* To be called several times a second: opens again what could not be opened, and gives up what is
 * opened for too long. */
void open_pool_tick(struct open_pool *pool);
/* Sends the first `size` bytes of connection->request; it must be FREE. That it fails is told as
 * broken, also before this returns. */
void open_pool_send(struct open_connection *connection, size_t size, uint64_t planned_ns,
                    uint64_t now_ns);
/* Nothing is told any more; memory stays until open_pool_free, after the loop has run dry. */
void open_pool_close(struct open_pool *pool);
void open_pool_free(struct open_pool *pool);

#endif
