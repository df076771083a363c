/* A batch: events of one partition that are applied in one transaction, and then settled.
 *
 *   consumer.c fills it --> apply.c (plain), careful.c: transaction --> consumer.c: position
 *                                                                          |
 *                         settle.c: one script call a concert <------------'
 *                                    | a barrier found the gate closed
 *                         rebuild.c: the concert's numbers anew, gate opened
 *
 * Invariants: events are in the log's order, `to` is behind the last; a batch is committed with all
 * of its fates or not at all; concerts are sorted by id, unique, and own the events whose `concert`
 * is their index. */
#ifndef RESVD_ASYNC_BATCH_H
#define RESVD_ASYNC_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arguments.h"
#include "async.h"
#include "common/work.h"

enum {
    BATCH_CONCERTS_MAX = 200, /* different ones: 2 steps each at most, of DATABASE_STEPS_MAX */
    BATCH_RELEASES_MAX = 300, /* a step each */
    BATCH_LETTERS_MAX = 8,
    BATCH_OWNER_SIZE = 16,        /* partition and topic in four bytes each, and random ones */
    BATCH_LETTER_SIZE_MAX = 1024, /* reason and the original's beginning */
    BATCH_STEPS_MAX = BATCH_CONCERTS_MAX * 2 + BATCH_RELEASES_MAX + 8,
};

_Static_assert((int)BATCH_STEPS_MAX <= (int)DATABASE_STEPS_MAX, "a run's steps");

/* What has become of an event; decided anew in every attempt, but for STALE, DEAD and UNREADABLE.
 */
enum fate {
    FATE_OPEN,
    FATE_CONFIRMED,  /* its row was inserted */
    FATE_REJECTED,   /* its row was inserted, without seats */
    FATE_THERE,      /* its row was there before */
    FATE_RELEASED,   /* its row was live until now */
    FATE_NOTHING,    /* a release of what is not live, a barrier */
    FATE_STALE,      /* from before a reset */
    FATE_DEAD,       /* cannot be applied, and is among the dead letters */
    FATE_UNREADABLE, /* the same, of which not even the concert is known */
};

struct batch_event {
    struct event event;
    int64_t offset;
    const char *bad; /* why it cannot be applied, static; NULL: it can, as far as is known */
    bool lettered;   /* it is among the dead letters, durably */
    enum fate fate;
    size_t concert; /* index; none when UNREADABLE or STALE */
    struct database_reservation *found;
    struct database_member *member; /* RESERVE */
};

struct batch_concert {
    struct database_concert_step seen; /* as it was when the transaction ended */
    int64_t taken, given;              /* seats, by this batch */
    int64_t applied_ms;                /* created_ms of its newest event */
    size_t events, first;              /* how many, and where they begin in batch->order */
    bool barrier;
    struct database_member
        *members; /* with a limit: those of its events, sorted, with live seats */
    size_t members_count;
    bool seen_good; /* `seen` is what is durable: a settle may rest on it */
    bool closed;    /* the settle found the gate closed */
    bool settled;
    struct batch *batch;
    struct redis_call call;
};

enum batch_place {
    BATCH_FREE,
    BATCH_APPLYING,  /* its transaction */
    BATCH_LETTERS,   /* dead letters are on their way; no transaction is open */
    BATCH_COMMITTED, /* waits until the partition's batch before it is settled */
    BATCH_SETTLING,
    BATCH_REBUILDING,
};

/* How its transaction ended. */
enum batch_end {
    BATCH_APPLIED,   /* committed */
    BATCH_ELSEWHERE, /* the database's position is another, see `found_at`: nothing was written */
    BATCH_FAILED,    /* not known, or nothing was written */
    BATCH_DEAD,      /* some events are `bad`: nothing was written */
};

struct partition;

struct batch {
    struct async *async;
    struct partition *partition;
    int32_t partition_number;
    uint64_t tenure; /* the partition's when it was filled: another one by now: not ours any more */
    enum batch_place place;
    char owner[BATCH_OWNER_SIZE]; /* the partition's when it was filled */
    int64_t from, to;             /* positions */
    int64_t epoch;
    int64_t found_at; /* ELSEWHERE: the database's position */
    int64_t found_epoch;
    uint64_t began_ns;
    struct batch *next; /* in the free list */

    struct batch_event *events; /* room for batch_max */
    size_t count;
    size_t *order; /* indexes of those that have a concert, by concert, then as in the log */
    size_t reserves, releases;
    bool plain;         /* may go the plain way */
    bool covered;       /* somebody had applied it: nothing was written */
    int64_t applied_to; /* the database's position at the end; covered: may be behind `to` */
    struct batch_concert concerts[BATCH_CONCERTS_MAX];
    size_t concerts_count;

    /* The transaction's; arrays have room for batch_max. */
    struct work work;
    struct database_step steps[BATCH_STEPS_MAX];
    size_t steps_count;
    struct database_event_row *rows;
    size_t rows_count;
    struct database_reservation *reservations;
    size_t reservations_count;
    struct database_member *members; /* all, sorted, unique */
    size_t members_count;
    struct database_member *seats; /* by concert, each sorted */
    enum batch_end planned_end;    /* behind a ROLLBACK */

    /* Dead letters: payloads are kept, as what was peeked at does not stay. */
    struct batch_letter { /* its event comes first */
        struct kafka_event event;
        char key[42];
        char text[BATCH_LETTER_SIZE_MAX];
        size_t size;
        size_t index; /* of the batch's event */
    } letters[BATCH_LETTERS_MAX];
    size_t letters_count; /* with a text */
    size_t letters_awaited;
    bool letters_failed;

    /* settle.c, rebuild.c */
    size_t calls; /* under way */
    unsigned settle_tries;
    struct resv_timer pause;
    struct rebuild *rebuild;
};

/* --- apply.c, careful.c: the transaction --------------------------------------------------------
 */

/* Ends with consumer_applied, later. */
void apply_start(struct batch *batch);
void apply_end(struct batch *batch, enum batch_end end);
/* No transaction is open. */
void careful_begin(struct batch *batch);
/* The run that is to be appended to: MOVE_POSITION and what reads the concerts at the end. */
struct database_step *apply_add_step(struct batch *batch, enum database_step_kind kind);
void apply_add_position(struct batch *batch, enum database_step_kind kind);
void apply_add_seen(struct batch *batch);
/* Takes what was read at the end as what is durable now. */
void apply_note_seen(struct batch *batch);

/* --- consumer.c ----------------------------------------------------------------------------------
 */

void consumer_applied(struct batch *batch, enum batch_end end);
void consumer_letters_done(struct batch *batch, bool persisted);
/* All its concerts are settled (or never will be, and others heal that), gates are open. */
void consumer_settled(struct batch *batch);

/* --- settle.c, rebuild.c
 * -------------------------------------------------------------------------- */

/* A call for each concert, at once; ends with consumer_settled, later. */
void settle_start(struct batch *batch);
void settle_stop(struct batch *batch);
bool rebuild_create(struct batch *batch); /* false: out of memory */
void rebuild_destroy(struct batch *batch);
/* For a concert with a barrier whose gate was closed; ends with settle_rebuilt, later. */
void rebuild_start(struct batch *batch, size_t concert);
void rebuild_abandon(struct batch *batch);
void settle_rebuilt(struct batch *batch, bool opened);

/* --- letters.c
 * ------------------------------------------------------------------------------------ */

/* The text of a letter: reason and the original, which is made fit for display when it is read. */
size_t letter_write(char text[BATCH_LETTER_SIZE_MAX], const char *reason, const char *payload,
                    size_t size);
void letters_publish(struct batch *batch);

#endif
