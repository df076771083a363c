/* What the parts of the redlock strategy share: the instance, a concert's turn, and what waits.
 *
 *   reserve --> [concert's line] --> turn: ask --> lock is ours --> group --> sale --> answers
 *             (common/waiting.c)      ^  |                            ^          |
 *                  (line.c)           |  `- another's: listen, wait   |          |
 *                                     |         (turn.c)              `- handoff-+
 *                                     `------- let go <--------------------------'
 *
 * Only the first of a concert's line contends for its lock, by way of the concert's turn. Turns are
 * as many as locks may be contended for or held at a time; concerts without one wait for it in
 * line.
 */
#ifndef RESVD_REDLOCK_REDLOCK_H
#define RESVD_REDLOCK_REDLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base.h"
#include "common/group.h"
#include "common/hints.h"
#include "common/waiting.h"
#include "lock.h"
#include "resvd/strategy.h"

#define REDLOCK_NS_PER_MS 1000000ULL

enum {
    REDLOCK_HANDOFF_MAX = 2000,
    /* Each repeat has found a fence, an id or a member that the attempt before did not know of. */
    REDLOCK_REPEATS_MAX = 8,
    /* Groups that read before they write, after a write was refused that rested on what was
     * remembered: another process sells. */
    REDLOCK_READ_FIRST = 8,
    /* Most releases in a row behind which nobody is let go first, because nobody came. */
    REDLOCK_WAY_SKIPS_MAX = 63,
    /* One node has said that the lock is free: the others are given so long to say it too. */
    REDLOCK_REST_OF_NEWS_MS = 2,
    /* Attempts in a row that nodes which are up do not answer, until nobody is left to wait: one
     * may be a moment's stall, of theirs or of this machine. */
    REDLOCK_SILENCES_MAX = 3,
    /* How many retry delays a turn that has met other processes is kept for nobody. */
    REDLOCK_STAY_DELAYS = 4,
};

struct redlock_concert {
    struct waiting_concert waiting; /* its one user is the turn */
    struct turn *turn;
};

struct redlock_op {
    struct waiting_op waiting;
    uint64_t since_ns; /* arrived */
    struct turn *turn; /* PLACE_GROUP */
    /* Those that wait, in order of arrival: each waits as long as any other. */
    bool limited;
    struct resv_op *limit_next, *limit_previous;
};

/* Where a concert's turn is; changed in one function of turn.c only. */
enum turn_state {
    TURN_FREE,     /* of no concert */
    TURN_QUIET,    /* nobody waits; the lock is let go, or about to be */
    TURN_ASKING,   /* for the lock */
    TURN_RETRYING, /* another has it: until there is news, or the timer */
    TURN_YIELDING, /* others wait, theirs is the lock now: until there is news, or the timer */
    TURN_WORKING,  /* holds the lock; its work is under way */
    TURN_LEAVING,  /* of no concert; its lock has calls under way */
};

struct turn {
    struct group group; /* its work's data is the turn */
    struct lock lock;
    struct redlock *redlock;
    struct redlock_concert *concert;
    struct turn *next_free;
    enum turn_state state;
    struct resv_timer timer;

    unsigned news;       /* nodes that were heard, or listen, since the lock was asked for; bits */
    unsigned heard;      /* nodes that were heard, bits */
    bool stale;          /* somebody else has had the lock: what is remembered is old */
    bool gave_way;       /* the attempt is the first behind a yield */
    unsigned way_skips;  /* releases behind which nobody is let go first */
    unsigned way_vain;   /* what they were the last time */
    unsigned silences;   /* attempts in a row that a majority did not answer */
    unsigned read_first; /* groups */
    uint64_t asked_ns, held_ns, released_ns;
    size_t served;  /* under this lock */
    bool lost_told; /* that validity ended under this lock */

    /* One attempt's of the work. */
    unsigned repeats;
    bool read_all;                     /* ids that are no keys too */
    bool remembered;                   /* the write rests on what is remembered */
    const struct database_step *again; /* the second reading of the concert */
};

struct redlock {
    struct base base;
    struct redis_link *redis;
    struct redis_owner *redis_owner; /* redlock.c */
    bool redis_closing;
    struct lock_settings lock_settings;
    size_t handoff; /* 1: off */
    uint64_t wait_ms, retry_delay_ms, hold_ms, budget_ms;

    struct waiting waiting;
    struct hints hints;
    struct turn *turns;
    size_t turns_count;
    struct turn *free_turn;
    struct resv_op *limit_first, *limit_last;
    struct resv_timer limit_timer;
    struct resv_deferred flush;
    bool closing;
};

/* --- tables.c: options and metrics -------------------------------------------------------------
 */

enum redlock_option {
    OPTION_LEASE_MS,
    OPTION_WAIT_MS,
    OPTION_RETRY_DELAY_MS,
    OPTION_HANDOFF,
    OPTION_NODE_TIMEOUT_MS,
    OPTION_LOCKS_MAX,
    OPTION_CONCERTS_MAX,
    OPTION_HOLD_MS,
};

enum redlock_metric {
    METRIC_ACQUIRE_SECONDS,
    METRIC_HELD_SECONDS,
    METRIC_WAIT_SECONDS,
    METRIC_SERVED_PER_LOCK,
    METRIC_WAITING_OPERATIONS,
    METRIC_CONTENDED,
    METRIC_NO_MAJORITY,
    METRIC_WOKEN_BY_MESSAGE,
    METRIC_WOKEN_BY_TIMER,
    METRIC_GAVE_WAY,
    METRIC_EXTENSIONS,
    METRIC_LOST_LEASE,
    METRIC_FENCED,
};

extern const struct resv_option_table redlock_options;
extern const struct resv_metric_table redlock_metrics;

/* Reads the options. False, after resv_host_start_failed: they do not fit together. */
bool redlock_read_options(struct redlock *redlock, size_t *concerts_max);

/* redlock.c: while closing, a lock has become idle. */
void redlock_close_goes_on(struct redlock *redlock);

/* --- line.c: who waits, and until when ---------------------------------------------------------
 */

static inline struct redlock_op *redlock_op_of(const struct resv_op *op)
{
    return op->strategy_private;
}

void line_schedule(struct redlock *redlock);
void line_flush(struct resv_deferred *deferred);
void line_limit_is_over(struct resv_timer *timer);
/* A RESERVE, taken; its hint that nobody needs it; the drain's deadline. */
void line_add(struct redlock *redlock, struct resv_op *op);
void line_cancel(struct redlock *redlock, struct resv_op *op);
/* All that wait, of all concerts, are answered so. */
void line_refuse_all(struct redlock *redlock, enum resv_outcome outcome);
/* The first of the turn's line goes into its group; NULL when nobody waits. */
struct resv_op *line_take(struct turn *turn);
/* Of the group: it waits again, as long as it may; or goes on. */
void line_wait_again(struct turn *turn, struct resv_op *op);
void line_wait_no_more(struct redlock *redlock, struct resv_op *op);
/* Gives a request of the group its answer at the flush point. */
void line_answer(struct turn *turn, struct request *request, enum resv_outcome outcome);

/* --- turn.c: who contends, and when ------------------------------------------------------------
 */

bool turns_open(struct redlock *redlock); /* false: out of memory */
/* While closing: listens to nothing any more; true when no call is under way either. Else it is to
 * be asked again at the flush point. */
bool turns_close(struct redlock *redlock);
void turns_free(struct redlock *redlock);
/* Turns for the concerts that wait for one. At the flush point. */
void turns_start(struct redlock *redlock);
/* Somebody waits who was not there before. */
void turn_wake(struct redlock *redlock, struct redlock_concert *concert);
/* Nobody may be left who waits. */
void turn_look(struct turn *turn);
/* The lock is ours and there is somebody, or was: the next group, or the lock is let go. From
 * sale.c, when the work has ended. */
void turn_go_on(struct turn *turn);
/* Requests that wait in the line or, without the lock, in the group. */
bool turn_is_waited_for(const struct turn *turn);

/* --- sale.c: what is done under the lock -------------------------------------------------------
 */

/* Takes who waits, as many as the handoff allows, and starts the work. */
void sale_start(struct turn *turn);
/* Somebody has left the group before its work began: when it was the last, the turn goes on. */
void sale_cancel(struct turn *turn);
/* The drain's deadline: the work ends as soon as it can, as is true. */
void sale_abandon(struct turn *turn);
/* No transaction is open and the work is at its owner: all that have a verdict but VERDICT_TAKE get
 * their outcomes, and with `takers_too` those, too; who has no answer waits for the lock again. */
void sale_end(struct turn *turn, bool takers_too);
/* The lock is not ours any more, or not for long enough to begin anything under it. */
void sale_note_lost_lock(struct turn *turn);

/* read.c: the facts, without a lock on the row. */
void sale_read(struct turn *turn);
/* They belong together, or are never going to: on to the decision. sale.c. */
void sale_decide(struct turn *turn);

#endif
