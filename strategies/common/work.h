/* One transaction's way through everything that can go wrong with it.
 *
 * A piece of work is a transaction that its owner writes as runs of steps, together with one or
 * more operations that it answers. This machine gets it a session, starts it again when a deadlock,
 * a lock wait or a lost connection took nothing, and finds out what happened when a COMMIT's answer
 * was lost. The owner sees only what it has to decide on.
 *
 *                  .------------ again, after a pause: nothing was taken ------------.
 *                  v                                                                 |
 *   start --> [session] --> begin --> run … run(COMMIT) --DONE--> owner --> finish   |
 *                  ^                    |        |                                   |
 *                  |                    |        `-- answer lost: [END_SESSION] -----+  (in_doubt)
 *                  |                    `-- deadlock, lock wait, lost, failed --------'
 *                  `-- out of time: gave_up(outcome)
 *
 * Invariant: once a COMMIT was sent and not answered, `in_doubt` stays set until the work ends, and
 * no new attempt begins before the lost session is known to be over. An attempt in doubt writes the
 * same ids again: a row that is there is this work's own, from before. So what the owner then says
 * is true; and a work that is given up in doubt says UNKNOWN, never that nothing was taken.
 */
#ifndef RESVD_COMMON_WORK_H
#define RESVD_COMMON_WORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "database.h"
#include "resvd/host.h"

struct work;

struct work_counters {
    uint64_t deadlocks;
    uint64_t lock_waits;
    uint64_t lost;
    uint64_t resolved;       /* answers lost at COMMIT that were found out */
    uint64_t contradictions; /* refused by a constraint that what was read did not speak of */
};

struct work_owner {
    /* A session is there: the owner starts its first run. Called again for every attempt: whatever
     * the attempt before has computed is void. */
    void (*begin)(struct work *work);
    /* The end without an answer of the database; no session is held any more. CONTENDED: locks were
     * not to be had in time. UNAVAILABLE: no session, no server, or it refuses. Both: nothing
     * taken. UNKNOWN: in doubt. */
    void (*gave_up)(struct work *work, enum resv_outcome outcome);
    enum database_pool pool;
    bool retries; /* false (naive): a deadlock or lock wait is CONTENDED at once */
};

/* Where a work is; it changes in one function of work.c only. */
enum work_state {
    WORK_IDLE, /* before work_start; after work_finish, gave_up or a work_cancel that said true */
    WORK_WAITING,  /* in the line for a session */
    WORK_READY,    /* has a session; goes on at the flush point */
    WORK_ENDING,   /* END_SESSION of the lost session is under way */
    WORK_DECIDING, /* begin or next has been called: the owner's turn */
    WORK_RUNNING,  /* the owner's steps are under way */
    WORK_HOLDING,  /* the owner's pause */
    WORK_ROLLING,  /* the machine's own ROLLBACK is under way */
    WORK_PAUSING,  /* before the next attempt; has no session */
    WORK_OVER,     /* gives up at the flush point */
};

struct work {
    /* The owner's, before work_start. */
    struct resv_host *host;
    struct database_link *link;
    const struct work_owner *owner;
    struct work_counters *counters;
    void *data;
    uint64_t deadline_ns; /* no further attempt begins after it */
    uint64_t doubt_ns;    /* in doubt, it is tried until then: deadline and grace */

    /* Read by the owner. */
    bool in_doubt;
    unsigned commits_lost; /* COMMITs whose answer did not come */

    struct database_session *session; /* during an attempt */

    /* The machine's. */
    struct database_session_name lost;
    struct database_wait wait;
    struct database_run run;
    struct database_step step; /* its own: ROLLBACK, END_SESSION */
    void (*next)(struct work *work, enum database_result result);
    enum work_state state;
    struct resv_timer pause;
    struct resv_deferred soon;
    unsigned attempts; /* that have begun */
    unsigned pauses;
    unsigned decides;     /* results of the run that are the owner's: WORK_DECIDES */
    bool waited_for_lock; /* what the last attempt ended for was a lock wait */
    bool contended;       /* what the last attempt ended for was locks */
    bool cancelled;
    bool abandoned;
};

/* begin, or gave_up, comes later, never from inside. The struct was zeroed but for the owner's
 * part.
 */
void work_start(struct work *work);

/* Runs steps (they stay in place until next). next is called with DONE; every other result is the
 * machine's: it begins again or gives up. A run with COMMIT or CALL_RESERVE must have it last. */
void work_run(struct work *work, struct database_step *steps, size_t count,
              void (*next)(struct work *work, enum database_result result));
/* The same, for an owner that decides on some of DUPLICATE, NO_PARENT and REFUSED itself: next is
 * called with these too (work_failed_at tells the step; the transaction is open). */
#define WORK_DECIDES(result) (1U << (result))
void work_try(struct work *work, struct database_step *steps, size_t count, unsigned decides,
              void (*next)(struct work *work, enum database_result result));
size_t work_failed_at(const struct work *work);

/* Rolls back, then calls next with DONE; on failure the machine goes on as above. For an owner that
 * wants to say no, or to begin anew in another way, on the same session. */
void work_rollback(struct work *work, void (*next)(struct work *work, enum database_result result));

/* The owner pauses inside its attempt (hold_ms), then next with DONE. */
void work_pause(struct work *work, uint64_t pause_ms,
                void (*next)(struct work *work, enum database_result result));

/* The owner has its answer: gives the session back. No transaction may be open. The struct may be
 * reused at once. */
void work_finish(struct work *work);

/* Nobody needs it any more: true when it was still waiting for its first session and is now over
 * (no callback follows: nothing was sent); false: it goes on, but begins no further attempt unless
 * in doubt. */
bool work_cancel(struct work *work);

/* For a drain whose deadline has come: it ends with gave_up, later, never from inside; with a run
 * under way as soon as that returns (database_link_interrupt makes runs return), unless it was the
 * COMMIT and it is done: then the owner has its answer. Nothing when the work is over. */
void work_abandon(struct work *work);

#endif
