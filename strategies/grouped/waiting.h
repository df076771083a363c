/* Who waits for which concert, and whose turn it is. */
#ifndef RESVD_GROUPED_WAITING_H
#define RESVD_GROUPED_WAITING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base.h"
#include "resvd/op.h"

/* Where a RESERVE is; changed in waiting.c only. */
enum place {
    PLACE_ELSEWHERE, /* new, or being completed */
    PLACE_WAITING,   /* for its concert's next group */
    PLACE_GROUP,     /* in a group that has a session */
    PLACE_ANSWERS,   /* decided without a group; completes at the flush point */
};

struct op_list {
    struct resv_op *first, *last;
    size_t count;
};

/* A concert for which something waits or is under way. */
struct concert {
    int64_t id;
    struct op_list waiting; /* in order of arrival */
    size_t groups;          /* started and not ended */
    size_t groups_unbound;  /* of them: without a session yet, and so without operations */
    bool ready;             /* in line for a group */
    struct concert *ready_next;
    struct concert *hash_next; /* or in the free list */
};

/* At resv_op.strategy_private. */
struct grouped_op {
    struct base_op base;
    enum place place;
    struct resv_op *next, *previous;
    struct concert *concert;  /* PLACE_WAITING */
    enum resv_outcome answer; /* PLACE_ANSWERS */
    bool cancelled;           /* PLACE_GROUP: nobody needs it any more */
};

struct waiting {
    struct concert *concerts;
    size_t concerts_count;
    struct concert *free;
    struct concert **buckets;
    size_t buckets_mask;
    struct concert *ready_first, *ready_last;
    struct op_list answers;
    size_t count; /* operations that wait, of all concerts */
};

/* False when out of memory. */
bool waiting_open(struct waiting *waiting, size_t concerts_max);
void waiting_close(struct waiting *waiting);

static inline struct grouped_op *grouped_op_of(const struct resv_op *op)
{
    return op->strategy_private;
}

/* To the end of its concert's line. False, nothing done: for too many concerts at once. */
bool waiting_add(struct waiting *waiting, struct resv_op *op);
/* The first of the concert's line, now PLACE_GROUP; NULL when nobody waits. */
struct resv_op *waiting_take(struct waiting *waiting, struct concert *concert);
/* To be answered at the flush point: from its line, or new. */
void waiting_answer(struct waiting *waiting, struct resv_op *op, enum resv_outcome outcome);
/* The next to be answered, now PLACE_ELSEWHERE; NULL when there is none. */
struct resv_op *waiting_take_answer(struct waiting *waiting, enum resv_outcome *outcome);

/* Puts the concert at the end of the line for groups, unless it is in it. */
void waiting_set_ready(struct waiting *waiting, struct concert *concert);
/* Takes the first off that line; NULL when there is none. */
struct concert *waiting_take_ready(struct waiting *waiting);
/* Gives the entry back when nothing needs it. */
void waiting_let_go(struct waiting *waiting, struct concert *concert);

#endif
