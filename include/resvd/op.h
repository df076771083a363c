/* An operation: one thing that somebody wants done to a seat or to the catalog.
 *
 * It lives in a fixed pool in core and outlives the connection it came from: it holds copies of
 * all that it needs. Lifecycle, with one function in core as the only writer of the state:
 *
 *   FREE -> QUEUED -> SUBMITTED -> DONE -> FREE
 *             |                      ^
 *             +--(never submitted)---+
 *
 * Completion: exactly once, on the loop thread, through resv_op_complete, never from inside
 * submit. Cancel is a hint; the completion still comes, with the outcome that is true.
 */
#ifndef RESVD_OP_H
#define RESVD_OP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct resv_catalog_result;

#define RESV_ID_SIZE         16
#define RESV_INTEGER_MAX     9007199254740991LL /* 2^53 - 1, the largest exact JSON integer */
#define RESV_TEXT_BYTES_MAX  200                /* title, venue, name: bytes of UTF-8 */
#define RESV_NO_MEMBER_LIMIT 0

struct resv_id {
    uint8_t bytes[RESV_ID_SIZE];
};

enum resv_op_state { RESV_OP_FREE, RESV_OP_QUEUED, RESV_OP_SUBMITTED, RESV_OP_DONE };

enum resv_op_kind {
    RESV_OP_RESERVE, /* id, keyed, concert_id, member_id, quantity */
    RESV_OP_RELEASE, /* id */
    RESV_OP_LOOKUP,  /* id */
    /* The kinds below go to the strategy's resv_catalog. */
    RESV_OP_CONCERT_GET,    /* concert_id */
    RESV_OP_CONCERT_LIST,   /* list.after_id, list.limit */
    RESV_OP_MEMBER_GET,     /* member_id */
    RESV_OP_CONCERT_CREATE, /* create.concerts, create.count */
    RESV_OP_CONCERT_UPDATE, /* concert_id, create.concerts[0], create.fields */
    RESV_OP_MEMBER_CREATE,  /* create.members, create.count */
    RESV_OP_RESET,          /* reset.* */
    RESV_OP_AUDIT,
    /* Only asynchronous strategies get these. */
    RESV_OP_DEAD_LETTER_LIST,  /* catalog->limit, catalog->after */
    RESV_OP_DEAD_LETTER_RETRY, /* catalog->letter_id */
    RESV_OP_RECONCILE,         /* concert_id: the fast store's numbers anew from the database */
};

/* What happened to the seat, not what broke inside. */
enum resv_outcome {
    RESV_GRANTED,          /* durable now */
    RESV_ACCEPTED,         /* counted and durable in the event log; the row follows */
    RESV_SOLD_OUT,         /* fewer seats are left than were asked for */
    RESV_LIMIT,            /* the member has theirs */
    RESV_CONTENDED,        /* lock not won in time; nothing taken */
    RESV_CANCELLED,        /* deadline or client gone won the race; nothing taken */
    RESV_UNAVAILABLE,      /* a backend is down or a queue is full; nothing taken */
    RESV_UNKNOWN,          /* write sent, answer lost: the reservation can be looked up */
    RESV_UNKNOWN_CONCERT,  /* nothing taken */
    RESV_UNKNOWN_MEMBER,   /* nothing taken */
    RESV_KEY_REUSED,       /* the same idempotency key stood for another request; nothing taken */
    RESV_FOUND,            /* LOOKUP, *_GET, *_LIST, AUDIT: result filled */
    RESV_NOT_FOUND,        /* LOOKUP, RELEASE, *_GET, UPDATE, *_RETRY, RECONCILE */
    RESV_RELEASED,         /* RELEASE: the seat is back now (or was before) */
    RESV_RELEASE_ACCEPTED, /* RELEASE: durable in the event log, the row follows */
    RESV_STORED,           /* *_CREATE, UPDATE, RESET, *_RETRY, RECONCILE */
    RESV_CAPACITY_TOO_LOW, /* UPDATE: below what is sold; nothing changed */
    RESV_OUTCOME_COUNT
};

enum resv_status {
    RESV_STATUS_PENDING, /* accepted, no row yet */
    RESV_STATUS_HELD,
    RESV_STATUS_CONFIRMED,
    RESV_STATUS_CANCELLED,
    RESV_STATUS_EXPIRED,
    RESV_STATUS_REJECTED,
    RESV_STATUS_COUNT
};
/* "CONFIRMED"; static. */
const char *resv_status_name(enum resv_status status);

enum resv_cancel_reason { RESV_CANCEL_DEADLINE, RESV_CANCEL_CLIENT_GONE, RESV_CANCEL_SHUTDOWN };

/* Filled by the strategy before it completes RESERVE (granted, accepted, replay) and LOOKUP. */
struct resv_reservation {
    int64_t concert_id;
    int64_t member_id;
    int64_t quantity;
    enum resv_status status;
    bool replay; /* RESERVE: this is the first answer to the same key, given again */
};

struct resv_op {
    enum resv_op_kind kind;
    enum resv_op_state state; /* written by core's op_set_state only */
    enum resv_outcome outcome;
    bool keyed; /* id follows from (member, Idempotency-Key): it may exist already */
    bool cancelled;
    struct resv_id id;
    int64_t concert_id;
    int64_t member_id;
    int64_t quantity;    /* 1..RESV_INTEGER_MAX */
    uint64_t created_ns; /* monotonic, when core took it */
    uint64_t deadline_ns;
    struct resv_reservation reservation;
    struct resv_catalog_request *catalog; /* catalog kinds: request and result, core's */

    /* Core's. */
    void *client; /* who waits for it; NULL when they have gone */
    void (*done)(struct resv_op *op);
    struct resv_op *next, *previous;
    struct resv_op *hash_next;

    /* The strategy's while SUBMITTED: intrusive list and room for op_private_size bytes. */
    struct resv_op *strategy_next;
    void *strategy_private;
};

/* Strategy to core. Asserts SUBMITTED and that no submit is on the stack for this operation. */
struct resv_host;
void resv_op_complete(struct resv_host *host, struct resv_op *op, enum resv_outcome outcome);

#endif
