/* The dispatcher: the fixed pool of operations, their queue, deadlines and the strategy behind.
 *
 *   route -> take -> submit -> [QUEUED fifo] -> strategy -> [SUBMITTED] -> done -> pool
 *
 * Invariants: op_set_state is the only writer of an operation's state; `done` is called exactly
 * once for each operation submitted; an operation is back in the pool when its done has returned.
 */
#ifndef RESVD_OP_DISPATCH_H
#define RESVD_OP_DISPATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "resvd/strategy.h"

struct dispatcher;

struct dispatcher_config {
    const struct resv_strategy *strategy;
    size_t operations_max; /* QUEUED and SUBMITTED together */
    uint64_t deadline_ms;  /* from take to CANCELLED/UNKNOWN */
    uint64_t grace_ms;     /* after cancel, how long the true outcome is waited for */
};

/* All memory is allocated here. NULL when there is not enough of it. */
struct dispatcher *dispatcher_create(struct resv_host *host,
                                     const struct dispatcher_config *config);
void dispatcher_destroy(struct dispatcher *dispatcher); /* all operations FREE */
size_t dispatcher_memory_bytes(const struct dispatcher_config *config);

/* After open; before that and while stopping, take gives NULL. */
void dispatcher_set_instance(struct dispatcher *dispatcher, void *instance);
/* started: take works. stopping: take gives NULL, what is under way goes on. */
void dispatcher_set_accepting(struct dispatcher *dispatcher, bool accepting);
bool dispatcher_accepting(const struct dispatcher *dispatcher);

/* A zeroed operation (kind, ids and so on are the caller's to fill), or NULL: the pool is used up
 * or nothing is accepted; the answer is then 503 and nothing was taken. */
struct resv_op *dispatcher_take(struct dispatcher *dispatcher, enum resv_op_kind kind);
/* Gives back one that was never submitted. */
void dispatcher_give_back(struct dispatcher *dispatcher, struct resv_op *op);
/* done(op) comes later, never from inside, with op->outcome; op->client may be NULL by then. */
void dispatcher_submit(struct dispatcher *dispatcher, struct resv_op *op, void *client,
                       void (*done)(struct resv_op *op));
/* The client has gone: a QUEUED operation ends here (done is called with client NULL), a
 * SUBMITTED one loses its client and goes on. */
void dispatcher_client_gone(struct dispatcher *dispatcher, struct resv_op *op);

/* The keyed RESERVE under way with this id, or NULL. */
struct resv_op *dispatcher_find_keyed(struct dispatcher *dispatcher, const struct resv_id *id);

/* What the strategy has not taken yet ends as CANCELLED: for a drain that has waited long enough.
 */
void dispatcher_cancel_queued(struct dispatcher *dispatcher);

struct dispatcher_depths {
    size_t operations_max;
    size_t queued;
    size_t submitted;
};
struct dispatcher_depths dispatcher_depths(const struct dispatcher *dispatcher);
/* Calls idle(data) once when nothing is under way; at once when that is so now. */
void dispatcher_when_idle(struct dispatcher *dispatcher, void (*idle)(void *data), void *data);

#endif
