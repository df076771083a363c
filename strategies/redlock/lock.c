/* The lock itself: asking, counting, extending, letting go.
 *
 * Invariants: HELD is said only when a majority of all nodes had said that the attempt's value is
 * theirs, and the lease, counted from before they were asked, leaves the budget; a value is used
 * for one attempt; when an attempt is over, every node that has its value, or may have it or get it
 * yet, was sent the release behind what it was sent before, and a grant's memory is used again only
 * when no call of it is under way; validity is counted on the monotonic clock, and only a majority
 * that extended it moves it. */
#include "lock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "resvd/assert.h"
#include "resvd/fault.h"
#include "scripts.h"

#define NS_PER_MS 1000000ULL

#ifdef RESVD_FAULTS
static const struct redis_script release_any = {
    .name = "release_any",
    .text = "redis.call('DEL', KEYS[1]) return redis.call('PUBLISH', ARGV[2], 'free')",
};
#endif

/* --- state --------------------------------------------------------------------------------------
 */

static void set_state(struct lock *lock, enum lock_state state)
{
    switch (lock->state) {
    case LOCK_FREE:
        RESV_ASSERT(state == LOCK_ASKING);
        break;
    case LOCK_ASKING:
        RESV_ASSERT(state == LOCK_HELD || state == LOCK_FREE);
        break;
    case LOCK_HELD:
        RESV_ASSERT(state == LOCK_FREE);
        break;
    }
    lock->state = state;
}

bool lock_is_idle(const struct lock *lock)
{
    return lock->state == LOCK_FREE && lock->busy == 0;
}

bool lock_is_valid(const struct lock *lock, uint64_t budget_ms)
{
    if (lock->state != LOCK_HELD)
        return false;
    return RESV_FAULT(validity_ignored) ||
           resv_now_ns(lock->settings->host) + budget_ms * NS_PER_MS <= lock->valid_until_ns;
}

bool lock_majority_is_up(const struct lock_settings *settings)
{
    const size_t nodes = redis_link_node_count(settings->redis);
    size_t up = 0;
    for (size_t i = 0; i < nodes; i++)
        up += redis_link_node_is_up(settings->redis, i);
    return up >= nodes / 2 + 1;
}

/* --- calls --------------------------------------------------------------------------------------
 */

/* Every script is given the key, the value, and a second argument: the lease, or the channel. */
static void run(struct lock_grant *grant, struct redis_call *call,
                const struct redis_script *script, struct redis_text second,
                void (*done)(struct redis_call *call))
{
    struct lock *lock = grant->lock;
    const struct redis_text key = {.bytes = lock->key, .size = strlen(lock->key)};
    const struct redis_text arguments[] = {
        {.bytes = (const char *)grant->value, .size = LOCK_VALUE_SIZE},
        second,
    };
    *call = (struct redis_call){
        .node = grant->node,
        .script = script,
        .keys = &key,
        .keys_count = 1,
        .arguments = arguments,
        .arguments_count = 2,
        .timeout_ms = lock->settings->node_timeout_ms,
        .data = grant,
        .done = done,
    };
    grant->calls++;
    redis_run(lock->settings->redis, call);
}

static void run_with_lease(struct lock_grant *grant, struct redis_call *call,
                           const struct redis_script *script, void (*done)(struct redis_call *call))
{
    char lease[24];
    int size = snprintf(lease, sizeof lease, "%" PRIu64, grant->lock->settings->lease_ms);
    run(grant, call, script, (struct redis_text){.bytes = lease, .size = (size_t)size}, done);
}

/* Its attempt is over and nothing is under way: the place is free. */
static void settle(struct lock_grant *grant)
{
    if (!grant->over || grant->calls > 0)
        return;
    RESV_ASSERT(grant->state != GRANT_NONE);
    grant->state = GRANT_NONE;
    grant->lock->busy--;
}

/* The last that each call's done does: until then its grant is not free, whatever was called. */
static void call_is_over(struct lock_grant *grant)
{
    struct lock *lock = grant->lock;
    grant->calls--;
    settle(grant);
    if (lock_is_idle(lock))
        lock->events->idle(lock);
}

/* --- letting go ---------------------------------------------------------------------------------
 */

/* Several nodes tell of one release: the most that any knows of. */
static void note_others(struct lock *lock, const struct lock_grant *grant, int64_t receivers)
{
    size_t others = receivers > 0 ? (size_t)receivers : 0;
    if (grant->echo && others > 0)
        others--;
    if (grant->attempt < lock->others_attempt)
        return;
    if (grant->attempt > lock->others_attempt || others > lock->others)
        lock->others = others;
    lock->others_attempt = grant->attempt;
}

static void release_done(struct redis_call *call)
{
    struct lock_grant *grant = call->data;
    struct lock *lock = grant->lock;
    int64_t receivers = call->result == REDIS_DONE ? redis_reply_integer(call->reply, 0) : -1;
    if (receivers >= 0)
        note_others(lock, grant, receivers);
    else if (grant->echo)
        lock_forget_echo(lock, grant->node);
    call_is_over(grant);
}

static const struct redis_script *release_script(void)
{
#ifdef RESVD_FAULTS
    if (RESV_FAULT(release_without_compare))
        return &release_any;
#endif
    return &redlock_release;
}

/* Where the node has nothing of ours, and never will, nothing is sent. */
static void end_grant(struct lock *lock, size_t node)
{
    struct lock_grant *grant = lock->current[node];
    lock->current[node] = NULL;
    if (grant == NULL)
        return;
    grant->over = true;
    bool certain = grant->state == GRANT_OURS || grant->state == GRANT_NOT;
    if (grant->state != GRANT_NOT && (certain || !RESV_FAULT(lost_grant_not_released))) {
        grant->echo = lock_expect_echo(lock, node);
        run(grant, &grant->release, release_script(),
            (struct redis_text){.bytes = lock->channel.channel,
                                .size = strlen(lock->channel.channel)},
            release_done);
    }
    settle(grant);
}

void lock_release(struct lock *lock)
{
    resv_timer_stop(lock->settings->host, &lock->extension);
    set_state(lock, LOCK_FREE);
    for (size_t i = 0; i < lock->nodes; i++)
        end_grant(lock, i);
}

/* --- asking -------------------------------------------------------------------------------------
 */

static void refuse(struct lock *lock, enum lock_refusal refusal)
{
    lock_release(lock);
    lock->events->refused(lock, refusal, lock->retry_ms);
}

/* At a third of the lease, and of each that follows. */
static void arm_extension(struct lock *lock)
{
    uint64_t third_ms = lock->settings->lease_ms / 3;
    resv_timer_start(lock->settings->host, &lock->extension, third_ms);
}

/* Nodes that have no part are counted as down. As soon as it is certain, either way. */
static void count(struct lock *lock)
{
    size_t ours = 0, asked = 0, others = 0;
    for (size_t i = 0; i < lock->nodes; i++) {
        const struct lock_grant *grant = lock->current[i];
        if (grant == NULL)
            continue;
        ours += grant->state == GRANT_OURS;
        asked += grant->state == GRANT_ASKED;
        others += grant->state == GRANT_NOT && grant->acquire.result == REDIS_DONE;
    }
    const size_t silent = lock->nodes - ours - asked - others;
    if (ours >= (RESV_FAULT(held_without_majority) ? 1 : lock->quorum)) {
        set_state(lock, LOCK_HELD);
        if (lock_is_valid(lock, lock_budget_ms(lock->settings->lease_ms))) {
            arm_extension(lock);
            lock->events->acquired(lock);
        } else {
            refuse(lock, LOCK_TOO_LATE);
        }
    } else if (ours + asked < lock->quorum) {
        refuse(lock, silent > lock->nodes - lock->quorum ? LOCK_NO_MAJORITY : LOCK_HELD_BY_OTHER);
    }
}

static void note_answer(struct lock_grant *grant, const struct redis_call *call)
{
    switch (call->result) {
    case REDIS_DONE: {
        int64_t left_ms = redis_reply_integer(call->reply, 0);
        if (left_ms < 0) {
            grant->state = GRANT_UNKNOWN; /* not what the script returns */
        } else if (left_ms == 0) {
            grant->state = GRANT_OURS;
        } else {
            grant->state = GRANT_NOT;
            if (grant->attempt == grant->lock->attempt && (uint64_t)left_ms < grant->lock->retry_ms)
                grant->lock->retry_ms = (uint64_t)left_ms;
        }
        break;
    }
    case REDIS_DOWN:
        grant->state = GRANT_NOT;
        break;
    case REDIS_REFUSED:
    case REDIS_LOST:
        grant->state = GRANT_UNKNOWN;
        break;
    }
}

static void acquire_done(struct redis_call *call)
{
    struct lock_grant *grant = call->data;
    struct lock *lock = grant->lock;
    note_answer(grant, call);
    /* Later ones are noted only: there is something to extend and to let go. */
    if (!grant->over && lock->state == LOCK_ASKING)
        count(lock);
    call_is_over(grant);
}

static struct lock_grant *free_grant(struct lock *lock, size_t node)
{
    for (size_t i = 0; i < LOCK_GRANTS; i++) {
        if (lock->grants[node][i].state == GRANT_NONE)
            return &lock->grants[node][i];
    }
    return NULL;
}

static void ask(struct lock *lock, struct lock_grant *grant, size_t node, const uint8_t *value)
{
    *grant = (struct lock_grant){
        .lock = lock, .node = node, .state = GRANT_ASKED, .attempt = lock->attempt};
    memcpy(grant->value, value, LOCK_VALUE_SIZE);
    lock->busy++;
    lock->current[node] = grant;
    run_with_lease(grant, &grant->acquire, &redlock_acquire, acquire_done);
}

bool lock_acquire(struct lock *lock)
{
    struct lock_grant *places[REDIS_NODES_MAX] = {NULL};
    struct resv_host *host = lock->settings->host;
    uint8_t value[LOCK_VALUE_SIZE] = {0};
    size_t reachable = 0;
    RESV_ASSERT(lock->state == LOCK_FREE);
    for (size_t i = 0; i < lock->nodes; i++) {
        if (redis_link_node_is_up(lock->settings->redis, i))
            places[i] = free_grant(lock, i);
        reachable += places[i] != NULL;
    }
    if (reachable < lock->quorum)
        return false;
    set_state(lock, LOCK_ASKING);
    lock->attempt++;
    lock->retry_ms = lock->settings->lease_ms;
    lock->valid_until_ns =
        resv_now_ns(host) +
        (lock->settings->lease_ms - lock_drift_ms(lock->settings->lease_ms)) * NS_PER_MS;
    if (!RESV_FAULT(value_reused))
        resv_random_bytes(host, value, sizeof value);
    for (size_t i = 0; i < lock->nodes; i++) {
        if (places[i] != NULL)
            ask(lock, places[i], i, value);
    }
    return true;
}

/* --- extending ----------------------------------------------------------------------------------
 */

static void extend_done(struct redis_call *call)
{
    struct lock_grant *grant = call->data;
    struct lock *lock = grant->lock;
    grant->extending = false;
    if (!grant->over && call->result == REDIS_DONE) {
        /* A node that did not answer when it was asked may say now whose it is. */
        bool ours = redis_reply_integer(call->reply, 0) == 1;
        grant->state = ours ? GRANT_OURS : GRANT_NOT;
        lock->extended += ours && grant->round == lock->round;
        if (ours && grant->round == lock->round && lock->extended == lock->quorum) {
            lock->valid_until_ns =
                lock->round_ns +
                (lock->settings->lease_ms - lock_drift_ms(lock->settings->lease_ms)) * NS_PER_MS;
            lock->extensions++;
        }
    }
    call_is_over(grant);
}

/* What is not valid any more is not extended: somebody else may have had it in between. A node that
 * has not answered the round before is left out of this one. */
static void extension_due(struct resv_timer *timer)
{
    struct lock *lock = timer->data;
    RESV_ASSERT(lock->state == LOCK_HELD);
    if (!lock_is_valid(lock, 0))
        return;
    lock->round++;
    lock->round_ns = resv_now_ns(lock->settings->host);
    lock->extended = 0;
    for (size_t i = 0; i < lock->nodes; i++) {
        struct lock_grant *grant = lock->current[i];
        bool may_be_ours = grant != NULL && grant->state != GRANT_NOT;
        if (!may_be_ours || grant->extending)
            continue;
        grant->round = lock->round;
        grant->extending = true;
        run_with_lease(grant, &grant->extend, &redlock_extend, extend_done);
    }
    arm_extension(lock);
}

/* --- life ---------------------------------------------------------------------------------------
 */

void lock_open(struct lock *lock, const struct lock_settings *settings,
               const struct lock_events *events, void *data, int64_t concert_id)
{
    const char *prefix = redis_link_key_prefix(settings->redis);
    RESV_ASSERT(lock_is_idle(lock) && !lock->listens && strlen(prefix) <= LOCK_PREFIX_SIZE_MAX);
    *lock = (struct lock){.settings = settings, .events = events, .data = data};
    lock->nodes = redis_link_node_count(settings->redis);
    lock->quorum = lock->nodes / 2 + 1;
    lock->extension = (struct resv_timer){.fired = extension_due, .data = lock};
    snprintf(lock->key, sizeof lock->key, "%s{c:%" PRId64 "}:lock", prefix, concert_id);
    snprintf(lock->channel.channel, sizeof lock->channel.channel, "%s{c:%" PRId64 "}:free", prefix,
             concert_id);
}
