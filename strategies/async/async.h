/* What the parts of the async strategy share: the instance, and who does what.
 *
 *              api                                              consumer
 *   reserve --> [look up] --> vector of its concert      assigned --> read position --> fetch
 *    (front.c)  (known.c)        (stock.c)                        (consumer.c)
 *                              reserve.lua on Redis       arrived --> batch --> ONE transaction
 *                                  |                                 (apply.c, careful.c)
 *                              [Kafka: event]                            |
 *                               (publish.c)                      settle.lua on Redis (settle.c)
 *                                  | persisted                           |
 *                               ACCEPTED (202)                   kafka_pass: offset, advisory
 *
 * Invariants, each kept by the file named first:
 *  - a 202 is only said of an event that Kafka has on all replicas in sync (publish.c);
 *  - a seat that Redis took is in `pending` until its row is there, or until it is certain that its
 *    event is not in the log and will never be (publish.c, settle.c);
 *  - rows, seats sold and the position in the log change in one transaction: an event is applied
 *    once, whoever reads it how often (apply.c);
 *  - Redis' stock is never above capacity - live seats - pending seats (stock.c, settle.c): it may
 *    be below it for as long as a batch takes;
 *  - Redis that has lost data, or is another than before, sells nothing until its numbers have been
 *    made anew behind a barrier in the log (gate.c);
 *  - and until all that was accepted before has its row, no id is said to be nobody's, no key is
 *    taken for a new one (complete.c, ids.c, front.c).
 */
#ifndef RESVD_ASYNC_ASYNC_H
#define RESVD_ASYNC_ASYNC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "async/event.h"
#include "async/keys.h"
#include "common/base.h"
#include "common/hints.h"
#include "kafka.h"
#include "redis.h"
#include "resvd/strategy.h"

enum {
    ASYNC_VECTOR_MAX = 500, /* reservations in one script call, at most */
    ASYNC_BATCH_MAX = 2000  /* events in one transaction */
};

enum { PUBLISH_LOOSE_MAX = 1024 /* events of no operation, under way */ };

#define ASYNC_TOKEN_SIZE_MAX 32

struct async;

/* Where an operation is; changed in front.c only. */
enum async_place {
    ASYNC_NEW,
    ASYNC_LOOKING,    /* for what there is already (known.c, pending.c) */
    ASYNC_WAITING,    /* in its concert's vector of this turn (stock.c) */
    ASYNC_AT_GATE,    /* its concert's gate is closed, or Redis away, for a moment (gate.c) */
    ASYNC_TAKING,     /* its script call is under way */
    ASYNC_PUBLISHING, /* its event is on its way to Kafka (publish.c) */
    ASYNC_UNDOING,    /* its event is not in the log for certain: the seat goes back (stock.c) */
    ASYNC_ANSWERED,
};

/* Operations in order of arrival; each is on one list at most (lists.c). */
struct async_list {
    struct resv_op *first, *last;
    size_t count;
};

void async_list_append(struct async_list *list, struct resv_op *op);
/* From whichever list it is on. */
void async_list_remove(struct resv_op *op);
/* NULL when it is empty. */
struct resv_op *async_list_take(struct async_list *list);

/* At resv_op.strategy_private. */
struct async_op {
    struct base_op base;
    enum async_place place;
    struct async_list *list; /* that it is on, or NULL */
    struct resv_op *next, *previous;
    struct kafka_event event;
    char text[EVENT_SIZE_MAX];
    size_t text_size;
    char key[24];
    int64_t concert_id; /* of the event: a RELEASE learns it */
    bool tried;     /* a script's answer was lost: its seats may be taken; no refusal is certain */
    bool shared;    /* its event is somebody else's, too: its seats may not be given back here */
    bool confirmed; /* RELEASE: what it releases is in the log */
    bool forgotten; /* not pending, in a Redis that may have lost it: it may be in the log */
    bool cancelled;
    bool read_again;           /* a read of it was lost with its connection */
    int64_t epoch;             /* in its event's text */
    unsigned looks;            /* how often it was looked for */
    uint64_t looked;           /* RESERVE with a key: async->tokens when that began last */
    enum resv_outcome refusal; /* what Redis said to a key: said when the row is not there */
    uint64_t runs;             /* async->redis_runs when its seats were taken */
    uint64_t taken_ns;         /* when Redis had said so */
    uint64_t gate_ns;          /* when it first had to wait (gate.c); 0: it has not */
    bool closed;               /* it has found its gate closed: counted */
};

enum async_option {
    OPTION_BATCH_MAX,
    OPTION_BATCH_WAIT_MS,
    OPTION_EVENTS_MAX,     /* published and unanswered */
    OPTION_SWEEP_AFTER_MS, /* pending for so long: published again */
    OPTION_CONCERTS_MAX,   /* with reservations under way at a time */
    OPTION_VECTOR_MAX,     /* reservations in one script call */
};

extern const struct resv_option_table async_options;
extern const struct resv_metric_table async_metrics;

enum async_metric {
    METRIC_TAKEN_PER_CALL,  /* histogram: reservations in one script call */
    METRIC_ACCEPT_SECONDS,  /* histogram: taken until 202 */
    METRIC_ROW_SECONDS,     /* histogram: event made until its row was durable */
    METRIC_BATCH_EVENTS,    /* histogram */
    METRIC_BATCH_SECONDS,   /* histogram: one transaction */
    METRIC_PLAIN,           /* counter: transactions that way */
    METRIC_CAREFUL,         /* counter */
    METRIC_REJECTED,        /* counter: accepted reservations that did not fit any more */
    METRIC_DUPLICATES,      /* counter: events whose row was there already */
    METRIC_STALE,           /* counter: events from before a reset */
    METRIC_DEAD_LETTERS,    /* counter */
    METRIC_SWEPT,           /* counter: events published again */
    METRIC_UNDONE,          /* counter: seats given back, their event not being in the log */
    METRIC_GATES_CLOSED,    /* counter: reservations that found a gate closed, each once */
    METRIC_GATES_OPENED,    /* counter */
    METRIC_SETTLES_IGNORED, /* counter: by the script, being older than the last */
    METRIC_PENDING_SEATS,   /* gauge: of all concerts, as last swept */
};

struct async {
    struct base base;
    struct redis_link *redis;
    struct kafka_link *kafka;
    enum resv_role role;
    struct async_links *links; /* async.c */
    uint64_t redis_runs;       /* how many Redis servers, one after the other, there have been */
    int64_t epoch;             /* resets of the database, as last known; never goes down */
    char token[ASYNC_TOKEN_SIZE_MAX]; /* of KEY_COMPLETE, as last known */
    size_t token_size;
    uint64_t tokens; /* how many different ones, one after the other, there have been */
    uint64_t batch_wait_ms, sweep_after_ms;
    size_t batch_max, events_max;
    struct hints hints; /* members and concerts known to exist: choose the way only */
    struct known *known;
    struct pending *pending;
    struct stock *stock;
    struct publish *publish;
    struct consumer *consumer; /* NULL with role api */
    struct gate *gate;
    struct admin *admin;
    bool closing;
};

static inline struct async_op *async_op_of(const struct resv_op *op)
{
    return op->strategy_private;
}

/* --- front.c: what becomes of an operation ---------------------------------------------------- */

void front_reserve(struct base *base, struct resv_op *op);
void front_release(struct base *base, struct resv_op *op);
/* The row of a LOOKUP is not there: it may be pending. */
void front_lookup_missed(struct base *base, struct resv_op *op);
void front_cancel(struct base *base, struct resv_op *op);
void front_abandon(struct base *base);
/* The only way from one place to the next; asserts that it is allowed. */
void front_move(struct resv_op *op, enum async_place place);
/* Completes at the flush point. */
void front_answer(struct async *async, struct resv_op *op, enum resv_outcome outcome);
/* Calls are sent; else they are REDIS_DOWN. */
static inline bool async_node_is_up(const struct async *async)
{
    return redis_link_node_is_up(async->redis, 0);
}

/* --- known.c: what there is already -------------------------------------------------------------
 * Joined reads of the database: the row of the op's id (RESERVE with a key, RELEASE), its concert
 * and member (RESERVE). */

struct known_row {
    bool read; /* false: the database was not to be asked, and the rest is void */
    bool row_found;
    struct resv_reservation row;
    bool concert_found, member_found; /* RESERVE */
};

bool known_open(struct async *async); /* false: out of memory */
void known_close(struct async *async);
/* The op is ASYNC_LOOKING. Ends in front_known, later. */
void known_look(struct async *async, struct resv_op *op);
void front_known(struct async *async, struct resv_op *op, const struct known_row *known);
/* Takes it back if it still waits. */
bool known_cancel(struct async *async, struct resv_op *op);
/* All that waits hears that the database was not to be asked. */
void known_refuse_all(struct async *async);
bool known_is_quiet(const struct async *async);

/* --- stock.c: Redis takes the seats -------------------------------------------------------------
 * One call of reserve.lua for all that came for a concert in this turn. */

enum stock_answer {
    STOCK_TAKEN,
    STOCK_SOLD_OUT,
    STOCK_LIMIT,
    STOCK_SETTLED,   /* it has its row */
    STOCK_ELSEWHERE, /* it is pending in another concert */
    STOCK_PENDING,   /* it is pending already, as the event in `text` */
    STOCK_CLOSED,    /* the gate is */
    STOCK_EPOCH,     /* this process had not heard of a reset: it has now */
    STOCK_LOOK,      /* its row is to be looked for again: Redis has lost data since */
    STOCK_UNSURE,    /* not known to Redis, which has lost data: not all of that has its row yet */
    STOCK_DOWN,      /* not executed */
    STOCK_LOST,      /* executed or not, or later */
};

bool stock_open(struct async *async); /* false: out of memory */
void stock_close(struct async *async);
/* With room for its event reserved. Ends in front_stock_said, later. */
void stock_take(struct async *async, struct resv_op *op);
void front_stock_said(struct async *async, struct resv_op *op, enum stock_answer answer,
                      struct redis_text text);
/* Its event is not in the log for certain. Ends in front_undone, later; false: nobody knows. */
void stock_undo(struct async *async, struct resv_op *op);
void front_undone(struct async *async, struct resv_op *op, bool undone);
/* Takes it back if it still waits. */
bool stock_cancel(struct async *async, struct resv_op *op);
/* All that waits is told STOCK_DOWN. */
void stock_refuse_all(struct async *async);
/* All with a key that wait are told STOCK_LOOK. */
void stock_look_again(struct async *async);

/* --- pending.c: reservations of which only the id is known --------------------------------------
 * The op is ASYNC_LOOKING. A RELEASE will publish its event, which is marked for that: see keys.h.
 * Ends in front_pending, later. */

enum pending_answer {
    PENDING_IS,        /* as the event in `text`, which has the mark */
    PENDING_IS_NOT,    /* if a look for its row finds none now, there is none */
    PENDING_FORGOTTEN, /* not known to Redis, which has lost data: it may be in the log */
    PENDING_UNASKED,   /* Redis was not to be asked */
};

bool pending_open(struct async *async);
void pending_close(struct async *async);
void pending_find(struct async *async, struct resv_op *op);
/* All that wait for their turn hear that Redis was not to be asked. */
void pending_refuse_all(struct async *async);
void front_pending(struct async *async, struct resv_op *op, enum pending_answer answer,
                   struct redis_text text);

/* --- publish.c: events go to Kafka ------------------------------------------------------------ */

bool publish_open(struct async *async);
void publish_close(struct async *async);
/* Room for an operation's event, before Redis is asked for its seats; false: full, nothing may be
 * taken. */
bool publish_reserve_room(struct async *async);
void publish_return_room(struct async *async);
/* The op's text, with its room reserved, which it uses up. Ends in front_published, later. */
void publish_op(struct async *async, struct resv_op *op);
void front_published(struct async *async, struct resv_op *op, enum kafka_result result);
/* An event of no operation (a barrier, the sweeper's, a letter's retry); `done` may be NULL. False:
 * no room. */
bool publish_text(struct async *async, int64_t concert_id, const char *text, size_t size,
                  void *data, void (*done)(void *data, enum kafka_result result));
/* No event of no operation is under way. */
bool publish_is_quiet(const struct async *async);

/* --- gate.c: closed gates -----------------------------------------------------------------------
 * A barrier for the concert is published, a few a second and process at most. */
bool gate_open(struct async *async);
void gate_close(struct async *async);
void gate_ask(struct async *async, int64_t concert_id);
/* The op waits for a moment and is then taken again (front_try_again); false: too many wait, or it
 * has waited long enough. */
bool gate_wait(struct async *async, struct resv_op *op);
void front_try_again(struct async *async, struct resv_op *op);
/* Takes it back if it still waits. */
bool gate_cancel(struct async *async, struct resv_op *op);
/* All that wait try again at once, the last time. */
void gate_release_all(struct async *async);

/* --- consumer.c: partitions, batches ------------------------------------------------------------
 */

bool consumer_open(struct async *async);
void consumer_close(struct async *async);
/* True when nothing of it is under way: for a drain. */
bool consumer_is_quiet(const struct async *async);
void consumer_drain(struct async *async);
/* The drain's deadline has come: transactions, calls and rebuilds end as soon as they can. Before
 * the links are interrupted. */
void consumer_abandon(struct async *async);
/* The Kafka link is open and the number of partitions known; assigned comes after it. False: out of
 * memory. */
bool consumer_started(struct async *async);
/* Of struct kafka_link_events, whose data is the struct async. */
void consumer_assigned(void *data, int32_t partition);
void consumer_revoked(void *data, int32_t partition);
void consumer_arrived(void *data, int32_t partition);
void consumer_gap(void *data, int32_t partition, int64_t first, int64_t end);
void consumer_end(void *data, int32_t partition, int64_t first, int64_t end);
/* Redis is there, or there again: perhaps another one. */
void consumer_redis_is_up(struct async *async);

/* --- admin.c: the catalog, with what only this strategy has ------------------------------------
 * Changes of capacity and limit are followed by a barrier; audit, reset, dead letters, reconcile.
 */
bool admin_open(struct async *async);
void admin_close(struct async *async);
/* The seam's `catalog`: instance is the async. What is the store's goes on to the database link's.
 */
struct resv_catalog *admin_catalog(void *instance);
bool admin_is_quiet(const struct async *async);
/* Of struct base_plan: catalog_answered. */
void admin_answered(struct async *async, struct resv_op *op, enum resv_outcome outcome);
/* The drain's deadline has come; before the links are interrupted. */
void admin_abandon(struct async *async);

/* --- async.c -------------------------------------------------------------------------------------
 */

/* A reset was heard of: `epoch` is higher than what was known. Nothing when it is not. */
void async_learn_epoch(struct async *async, int64_t epoch);
/* This is the token of KEY_COMPLETE. Nothing when it is known. */
void async_learn_token(struct async *async, struct redis_text token);
/* Something of no operation has ended: a drain may be over. */
void async_idle_changed(struct async *async);

#endif
