/* One distributed lock, of one concert, on N independent Redis nodes. Knows nothing of requests.
 *
 *   FREE --lock_acquire--> ASKING --majority, in time--> HELD --lock_release--> FREE
 *                            `--no majority any more: refused, let go everywhere--> FREE
 *
 * After Salvatore Sanfilippo and others, "Distributed Locks with Redis"
 * (https://redis.io/docs/latest/develop/use/patterns/distributed-locks/), the algorithm Redlock:
 * one random value an attempt, all nodes asked at once with a short time-out, held by a majority
 * within the lease, let go by compare-and-delete.
 *
 * What it cannot promise is in Martin Kleppmann, "How to do distributed locking" (2016-02-08,
 * https://martin.kleppmann.com/2016/02/08/how-to-do-distributed-locking.html): a holder that stops
 * for longer than its lease (the process, the machine, its packets) goes on after somebody else has
 * the lock; a node's clock that jumps, or a node that comes back without its keys, gives the lock
 * twice. Salvatore Sanfilippo, "Is Redlock safe?" (2016-02-09, http://antirez.com/news/101),
 * answers for clocks (monotonic ones here) and for pauses before the majority is counted (the time
 * is taken before the nodes are asked, and looked at afterwards); not for one after it. So nothing
 * in this strategy is correct because of the lock: it keeps others away who would be turned back,
 * and the write carries a fencing token (sale.c).
 */
#ifndef RESVD_REDLOCK_LOCK_H
#define RESVD_REDLOCK_LOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "redis.h"
#include "resvd/host.h"

enum {
    LOCK_VALUE_SIZE = 20, /* bytes of chance: what the description takes */
    LOCK_KEY_SIZE = REDIS_CHANNEL_SIZE_MAX,
    /* Attempts that may still have calls under way on one node. A node that is slower than the
     * others has so many at a time and is left out of the attempts between. */
    LOCK_GRANTS = 4,
    LOCK_CALLS = LOCK_GRANTS * 3, /* under way on one node */
    /* What a prefix may have: the rest of a key and of a channel is "{c:", 20 characters, "}:lock".
     */
    LOCK_PREFIX_SIZE_MAX = LOCK_KEY_SIZE - 30,
};

struct lock_settings {
    struct resv_host *host;
    struct redis_link *redis;
    uint64_t lease_ms;
    uint64_t node_timeout_ms;
};

/* Clocks of processes and nodes do not run alike: what the description calls drift. */
static inline uint64_t lock_drift_ms(uint64_t lease_ms)
{
    return lease_ms / 100 + 2;
}

/* What must be left of the lease when anything begins under it. A write takes some milliseconds; a
 * quarter of the lease is far more, and an extension, begun at a third and again at two thirds,
 * has had two tries before the last quarter. */
static inline uint64_t lock_budget_ms(uint64_t lease_ms)
{
    return lease_ms / 4;
}

enum lock_refusal {
    LOCK_HELD_BY_OTHER, /* retry_ms says when it may be free by itself */
    LOCK_NO_MAJORITY,   /* so many nodes are down or do not answer that none can be had */
    LOCK_TOO_LATE,      /* granted, but what was left of the lease is less than the budget */
};

enum lock_state { LOCK_FREE, LOCK_ASKING, LOCK_HELD };

struct lock;

/* Never from inside of a function of the lock. */
struct lock_events {
    /* ASKING ended: exactly one of the two, unless lock_release came before. */
    void (*acquired)(struct lock *lock);
    void (*refused)(struct lock *lock, enum lock_refusal refusal, uint64_t retry_ms);
    /* No call is under way any more, and the lock is FREE. */
    void (*idle)(struct lock *lock);
    /* The channel: see redis.h. Not for what this lock's own release has published. */
    void (*listening)(struct lock *lock, size_t node);
    void (*heard)(struct lock *lock, size_t node);
};

/* A node's part in one attempt. */
enum grant_state {
    GRANT_NONE,    /* free for an attempt */
    GRANT_ASKED,   /* not answered yet */
    GRANT_OURS,    /* the node has our value */
    GRANT_UNKNOWN, /* no answer in time, or an error: it may have it, or may have it yet */
    GRANT_NOT,     /* it has it not and never will: somebody else's is there, or it was not asked */
};

struct lock_grant {
    struct lock *lock;
    size_t node;
    enum grant_state state;
    bool over; /* its attempt is: what had to be released is on its way */
    bool echo; /* the release's message will be heard by ourselves */
    uint8_t value[LOCK_VALUE_SIZE];
    uint64_t attempt;
    uint64_t round; /* of extension */
    unsigned calls; /* under way */
    bool extending; /* one of them is the extension */
    struct redis_call acquire, extend, release;
};

struct lock {
    const struct lock_settings *settings;
    const struct lock_events *events;
    void *data;
    char key[LOCK_KEY_SIZE];

    enum lock_state state;
    size_t nodes, quorum;
    uint64_t attempt; /* counted */
    uint64_t valid_until_ns;
    uint64_t retry_ms; /* least of what the nodes said */
    struct lock_grant grants[REDIS_NODES_MAX][LOCK_GRANTS];
    struct lock_grant *current[REDIS_NODES_MAX]; /* the attempt's; NULL: the node has no part */
    size_t busy;                                 /* grants that are not GRANT_NONE */

    struct resv_timer extension;
    uint64_t round;
    uint64_t round_ns;   /* began */
    size_t extended;     /* nodes that said so in this round */
    uint64_t extensions; /* by a majority, of all attempts */

    /* Who else listens: what the last release that was answered was told. */
    uint64_t others_attempt;
    size_t others;
    struct redis_subscription channel;
    bool listens;
    size_t echoes[REDIS_NODES_MAX]; /* messages of our own still to be heard */
};

/* Of a zeroed struct, or of one that is idle and does not listen; settings and events stay. */
void lock_open(struct lock *lock, const struct lock_settings *settings,
               const struct lock_events *events, void *data, int64_t concert_id);

/* FREE to ASKING. False, and it stays FREE: a majority is not up. */
bool lock_acquire(struct lock *lock);
/* HELD or ASKING to FREE. */
void lock_release(struct lock *lock);
/* HELD, and for so long still; false for ever, once it was, until acquired again. */
bool lock_is_valid(const struct lock *lock, uint64_t budget_ms);
bool lock_majority_is_up(const struct lock_settings *settings);
/* No call is under way. */
bool lock_is_idle(const struct lock *lock);

/* channel.c: listening to who lets the lock go. Nothing when it is so already. */
void lock_listen(struct lock *lock);
void lock_unlisten(struct lock *lock);
/* For lock.c: a release is about to be sent, or has ended without a message of ours. */
bool lock_expect_echo(struct lock *lock, size_t node);
void lock_forget_echo(struct lock *lock, size_t node);

#endif
