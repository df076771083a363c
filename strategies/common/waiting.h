/* Who waits for which concert, and whose turn it is. For strategies that answer all their RESERVEs
 * out of these lines. */
#ifndef RESVD_COMMON_WAITING_H
#define RESVD_COMMON_WAITING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base.h"
#include "common/concerts.h"
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

/* A concert for which something waits or is under way. A strategy's own struct begins with it; the
 * rest of that is zeroed when the entry is new. */
struct waiting_concert {
    struct concert_entry entry;
    struct op_list line; /* who waits, in order of arrival */
};

/* At resv_op.strategy_private. */
struct waiting_op {
    struct base_op base;
    enum place place;
    struct resv_op *next, *previous;
    struct waiting_concert *concert; /* PLACE_WAITING */
    enum resv_outcome answer;        /* PLACE_ANSWERS */
    bool cancelled;                  /* PLACE_GROUP: nobody needs it any more */
};

struct waiting {
    struct concerts concerts;
    struct op_list answers;
    size_t count; /* operations that wait, of all concerts */
};

/* concert_size: of the struct that begins with struct waiting_concert. False when out of memory. */
bool waiting_open(struct waiting *waiting, size_t concerts_max, size_t concert_size);
void waiting_close(struct waiting *waiting);

static inline struct waiting_op *waiting_op_of(const struct resv_op *op)
{
    return op->strategy_private;
}

/* To the end of its concert's line. False, nothing done: for too many concerts at once. */
bool waiting_add(struct waiting *waiting, struct resv_op *op);
/* The first of the concert's line, now PLACE_GROUP; NULL when nobody waits. */
struct resv_op *waiting_take(struct waiting *waiting, struct waiting_concert *concert);
/* To be answered at the flush point: from its line, or new. */
void waiting_answer(struct waiting *waiting, struct resv_op *op, enum resv_outcome outcome);
/* All that wait, of all concerts. */
void waiting_answer_all(struct waiting *waiting, enum resv_outcome outcome);
/* The next to be answered, now PLACE_ELSEWHERE; NULL when there is none. */
struct resv_op *waiting_take_answer(struct waiting *waiting, enum resv_outcome *outcome);

/* Puts the concert at the end of the line for groups, unless it is in it. */
void waiting_set_ready(struct waiting *waiting, struct waiting_concert *concert);
/* Takes the first off that line; NULL when there is none. */
struct waiting_concert *waiting_take_ready(struct waiting *waiting);
/* Gives the entry back when nothing needs it: nobody waits, no users, not in line for a group. */
void waiting_let_go(struct waiting *waiting, struct waiting_concert *concert);

#endif
