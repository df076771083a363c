/* Turns: who contends for which lock, and when.
 *
 * Invariants: a concert has one turn at most, and a turn one concert; only a turn in WORKING holds
 * a lock, and it lets it go before it is in any other state; a turn that waits (RETRYING, YIELDING)
 * has its timer armed, so a message that is lost costs that timer and nothing else; a turn gets
 * another concert only when its lock has no call under way and listens to nothing.
 *
 * Between processes: who finds a lock held listens for its release. A release is told how many
 * listen; when others do, the next here asks a little later than they can. When nobody came, that
 * is not done again for a number of releases that grows: those who listen may have nobody who waits
 * any more. */
#include <stdlib.h>

#include "redlock.h"
#include "resvd/assert.h"
#include "resvd/fault.h"

static const struct lock_events lock_events;

/* --- state --------------------------------------------------------------------------------------
 */

static bool may_follow(enum turn_state from, enum turn_state to)
{
    switch (from) {
    case TURN_FREE:
        return to == TURN_QUIET;
    case TURN_QUIET:
        return to == TURN_ASKING || to == TURN_YIELDING || to == TURN_LEAVING;
    case TURN_ASKING:
        return to == TURN_WORKING || to == TURN_RETRYING || to == TURN_QUIET;
    case TURN_RETRYING:
    case TURN_YIELDING:
        return to == TURN_ASKING || to == TURN_QUIET;
    case TURN_WORKING:
        return to == TURN_ASKING || to == TURN_YIELDING || to == TURN_QUIET;
    case TURN_LEAVING:
        return to == TURN_FREE;
    }
    return false;
}

/* The only place where it changes. */
static void set_state(struct turn *turn, enum turn_state state)
{
    RESV_ASSERT(may_follow(turn->state, state));
    RESV_ASSERT((turn->lock.state == LOCK_HELD) == (state == TURN_WORKING));
    resv_timer_stop(turn->redlock->base.host, &turn->timer);
    turn->state = state;
}

bool turn_is_waited_for(const struct turn *turn)
{
    return turn->concert->waiting.line.count > 0 || group_size(&turn->group) > 0;
}

static void add_metric(const struct turn *turn, enum redlock_metric metric, uint64_t amount)
{
    resv_metric_add(turn->redlock->base.host, &redlock_metrics, metric, amount);
}

static uint64_t by_chance_ms(const struct turn *turn, uint64_t least_ms, uint64_t most_ms)
{
    uint32_t chance;
    resv_random_bytes(turn->redlock->base.host, &chance, sizeof chance);
    return least_ms + chance % (most_ms - least_ms + 1);
}

static size_t count_bits(unsigned bits)
{
    return bits == 0 ? 0 : (bits & 1) + count_bits(bits >> 1);
}

/* --- coming and going ---------------------------------------------------------------------------
 */

static void set_free(struct turn *turn)
{
    struct redlock *redlock = turn->redlock;
    set_state(turn, TURN_FREE);
    turn->next_free = redlock->free_turn;
    redlock->free_turn = turn;
    if (redlock->waiting.concerts.ready_first != NULL)
        line_schedule(redlock);
}

/* From QUIET; the concert goes to the end of the line for turns if somebody waits. */
static void leave(struct turn *turn)
{
    struct redlock *redlock = turn->redlock;
    struct redlock_concert *concert = turn->concert;
    RESV_ASSERT(group_size(&turn->group) == 0);
    lock_unlisten(&turn->lock);
    set_state(turn, TURN_LEAVING);
    turn->concert = NULL;
    concert->turn = NULL;
    concert->waiting.entry.users--;
    if (concert->waiting.line.count > 0)
        waiting_set_ready(&redlock->waiting, &concert->waiting);
    else
        waiting_let_go(&redlock->waiting, &concert->waiting);
    if (lock_is_idle(&turn->lock))
        set_free(turn);
}

static bool knows_of_others(const struct turn *turn)
{
    return turn->lock.listens || turn->read_first > 0;
}

/* Who has met other processes stays for a while, for the next one who waits may come soon. */
static void go_quiet(struct turn *turn)
{
    struct redlock *redlock = turn->redlock;
    if (turn->state != TURN_QUIET)
        set_state(turn, TURN_QUIET);
    if (knows_of_others(turn) && !redlock->closing)
        resv_timer_start(redlock->base.host, &turn->timer,
                         redlock->retry_delay_ms * REDLOCK_STAY_DELAYS);
    else if (lock_is_idle(&turn->lock))
        leave(turn);
}

static void take_concert(struct turn *turn, struct redlock_concert *concert)
{
    struct redlock *redlock = turn->redlock;
    lock_open(&turn->lock, &redlock->lock_settings, &lock_events, turn, concert->waiting.entry.id);
    turn->concert = concert;
    concert->turn = turn;
    concert->waiting.entry.users++;
    turn->group.concert_id = concert->waiting.entry.id;
    turn->group.count = 0;
    turn->stale = turn->gave_way = false;
    turn->released_ns = 0;
    turn->way_skips = turn->way_vain = turn->silences = turn->read_first = 0;
    set_state(turn, TURN_QUIET);
}

/* NULL when all are in use. One that only listens gives way. */
static struct turn *take_turn(struct redlock *redlock)
{
    for (size_t i = 0; redlock->free_turn == NULL && i < redlock->turns_count; i++) {
        struct turn *turn = &redlock->turns[i];
        if (turn->state == TURN_QUIET && lock_is_idle(&turn->lock))
            leave(turn);
    }
    struct turn *turn = redlock->free_turn;
    if (turn != NULL)
        redlock->free_turn = turn->next_free;
    return turn;
}

/* --- contending ---------------------------------------------------------------------------------
 */

static void refuse_all(struct turn *turn, enum resv_outcome outcome)
{
    struct redlock *redlock = turn->redlock;
    for (size_t i = 0; i < turn->group.count; i++) {
        if (turn->group.requests[i].op != NULL)
            line_answer(turn, &turn->group.requests[i], outcome);
    }
    struct resv_op *op;
    while ((op = turn->concert->waiting.line.first) != NULL) {
        line_wait_no_more(redlock, op);
        waiting_answer(&redlock->waiting, op, outcome);
    }
    line_schedule(redlock);
}

static void no_majority(struct turn *turn)
{
    turn->silences = 0;
    refuse_all(turn, RESV_UNAVAILABLE);
    go_quiet(turn);
}

/* Somebody waits. The turn may have left when this returns. */
static void contend(struct turn *turn)
{
    turn->news = turn->heard = 0;
    turn->asked_ns = resv_now_ns(turn->redlock->base.host);
    if (lock_acquire(&turn->lock)) {
        set_state(turn, TURN_ASKING);
        return;
    }
    add_metric(turn, METRIC_NO_MAJORITY, 1);
    no_majority(turn);
}

/* A turn that others wait for is not kept behind a release. */
static bool is_wanted_elsewhere(const struct turn *turn)
{
    const struct redlock *redlock = turn->redlock;
    return redlock->waiting.concerts.ready_first != NULL && redlock->free_turn == NULL &&
           group_size(&turn->group) == 0;
}

static void give_way(struct turn *turn)
{
    set_state(turn, TURN_YIELDING);
    turn->news = turn->heard = 0;
    turn->gave_way = true;
    add_metric(turn, METRIC_GAVE_WAY, 1);
    lock_listen(&turn->lock);
    resv_timer_start(turn->redlock->base.host, &turn->timer,
                     by_chance_ms(turn, 1, turn->redlock->retry_delay_ms));
}

/* Who has just let it go is faster than those who hear of it. */
static void contend_behind_others(struct turn *turn)
{
    const struct redlock *redlock = turn->redlock;
    const uint64_t since_ns = resv_now_ns(redlock->base.host) - turn->released_ns;
    bool has_just_had_it = since_ns < redlock->retry_delay_ms * REDLOCK_NS_PER_MS;
    if (has_just_had_it && turn->lock.others > 0 && turn->way_skips == 0) {
        give_way(turn);
    } else {
        turn->way_skips -= has_just_had_it && turn->way_skips > 0;
        contend(turn);
    }
}

/* The lock is free again as far as we are concerned. */
static void next(struct turn *turn)
{
    if (turn->redlock->base.abandoned)
        refuse_all(turn, RESV_UNAVAILABLE);
    if (!turn_is_waited_for(turn)) {
        go_quiet(turn);
    } else if (is_wanted_elsewhere(turn)) {
        set_state(turn, TURN_QUIET);
        leave(turn);
    } else {
        contend_behind_others(turn); /* in one write with the release, and executed behind it */
    }
}

static void let_go(struct turn *turn)
{
    struct resv_host *host = turn->redlock->base.host;
    resv_metric_observe(host, &redlock_metrics, METRIC_HELD_SECONDS,
                        resv_now_ns(host) - turn->held_ns);
    resv_metric_observe(host, &redlock_metrics, METRIC_SERVED_PER_LOCK, turn->served);
    if (turn->lock.extensions > 0)
        add_metric(turn, METRIC_EXTENSIONS, turn->lock.extensions);
    turn->lock.extensions = 0;
    turn->released_ns = resv_now_ns(host);
    lock_release(&turn->lock);
    next(turn);
}

void turn_go_on(struct turn *turn)
{
    const struct redlock *redlock = turn->redlock;
    RESV_ASSERT(turn->state == TURN_WORKING);
    if (turn_is_waited_for(turn) && turn->served < redlock->handoff && !redlock->base.abandoned &&
        lock_is_valid(&turn->lock, redlock->budget_ms))
        sale_start(turn);
    else
        let_go(turn);
}

/* --- what the lock says -------------------------------------------------------------------------
 */

/* Whom it was given way to, has not come: they may be listening for nobody. */
static void note_way(struct turn *turn)
{
    if (!turn->gave_way)
        return;
    turn->gave_way = false;
    turn->way_vain = turn->stale ? 0 : 2 * turn->way_vain + 1;
    if (turn->way_vain > REDLOCK_WAY_SKIPS_MAX)
        turn->way_vain = REDLOCK_WAY_SKIPS_MAX;
    turn->way_skips = turn->way_vain;
}

static void acquired(struct lock *lock)
{
    struct turn *turn = lock->data;
    struct resv_host *host = turn->redlock->base.host;
    set_state(turn, TURN_WORKING);
    turn->held_ns = resv_now_ns(host);
    turn->served = 0;
    turn->silences = 0;
    turn->lost_told = false;
    note_way(turn);
    resv_metric_observe(host, &redlock_metrics, METRIC_ACQUIRE_SECONDS,
                        turn->held_ns - turn->asked_ns);
    if (turn_is_waited_for(turn) && !turn->redlock->base.abandoned)
        sale_start(turn);
    else
        let_go(turn);
}

static bool has_news(const struct turn *turn)
{
    return count_bits(turn->news) >= turn->lock.quorum && !RESV_FAULT(wake_up_lost);
}

/* What was heard since the lock was asked for has been too late for that: once more, at once. */
static void retry(struct turn *turn, uint64_t retry_ms)
{
    const uint64_t delay_ms = turn->redlock->retry_delay_ms;
    uint64_t pause_ms = by_chance_ms(turn, delay_ms / 2, delay_ms);
    set_state(turn, TURN_RETRYING);
    lock_listen(&turn->lock);
    if (has_news(turn))
        pause_ms = 0;
    else if (retry_ms < pause_ms)
        pause_ms = retry_ms;
    if (!RESV_FAULT(wake_up_lost))
        resv_timer_start(turn->redlock->base.host, &turn->timer, pause_ms);
}

/* A majority was down, or did not answer in time. Where it is not known to be down it is asked once
 * more, after a short pause (its time-out was one) and without listening to it; but not again and
 * again. */
static void not_answered(struct turn *turn)
{
    const struct redlock *redlock = turn->redlock;
    add_metric(turn, METRIC_NO_MAJORITY, 1);
    turn->silences++;
    if (redlock->base.abandoned || !turn_is_waited_for(turn) ||
        turn->silences >= REDLOCK_SILENCES_MAX || !lock_majority_is_up(&redlock->lock_settings)) {
        no_majority(turn);
        return;
    }
    set_state(turn, TURN_RETRYING);
    resv_timer_start(redlock->base.host, &turn->timer,
                     by_chance_ms(turn, 1, redlock->retry_delay_ms / 2));
}

static void refused(struct lock *lock, enum lock_refusal refusal, uint64_t retry_ms)
{
    struct turn *turn = lock->data;
    if (refusal == LOCK_NO_MAJORITY) {
        not_answered(turn);
        return;
    }
    add_metric(turn, METRIC_CONTENDED, 1);
    turn->silences = 0;
    turn->stale = true;
    turn->gave_way = false;
    turn->way_vain = turn->way_skips = 0;
    if (turn->redlock->base.abandoned)
        refuse_all(turn, RESV_UNAVAILABLE);
    if (turn_is_waited_for(turn))
        retry(turn, retry_ms);
    else
        go_quiet(turn);
}

static void idle(struct lock *lock)
{
    struct turn *turn = lock->data;
    struct redlock *redlock = turn->redlock;
    if (turn->state == TURN_QUIET && (redlock->closing || !knows_of_others(turn)))
        leave(turn);
    else if (turn->state == TURN_LEAVING)
        set_free(turn);
    if (redlock->closing || redlock->waiting.concerts.ready_first != NULL)
        line_schedule(redlock);
}

static void contend_for_news(struct turn *turn)
{
    add_metric(turn, METRIC_WOKEN_BY_MESSAGE, 1);
    contend(turn);
}

/* From now on no release is missed; the one before may have been. */
static void listening(struct lock *lock, size_t node)
{
    struct turn *turn = lock->data;
    turn->news |= 1U << node;
    if (turn->state == TURN_RETRYING && has_news(turn))
        contend(turn);
}

/* A majority that is free is enough; what the others say comes soon, or not at all. */
static void heard(struct lock *lock, size_t node)
{
    struct turn *turn = lock->data;
    if (turn->state == TURN_WORKING)
        return; /* somebody has given up who had a node or two */
    turn->news |= 1U << node;
    turn->heard |= 1U << node;
    turn->stale = true;
    if (turn->state == TURN_RETRYING && has_news(turn)) {
        contend_for_news(turn);
    } else if (turn->state == TURN_YIELDING && count_bits(turn->heard) >= lock->quorum) {
        contend_for_news(turn);
    } else if (turn->state == TURN_RETRYING && !RESV_FAULT(wake_up_lost)) {
        uint64_t now_ns = resv_now_ns(turn->redlock->base.host);
        if (turn->timer.due_ns > now_ns + REDLOCK_REST_OF_NEWS_MS * REDLOCK_NS_PER_MS)
            resv_timer_start(turn->redlock->base.host, &turn->timer, REDLOCK_REST_OF_NEWS_MS);
    }
}

static const struct lock_events lock_events = {
    .acquired = acquired,
    .refused = refused,
    .idle = idle,
    .listening = listening,
    .heard = heard,
};

static void timer_fired(struct resv_timer *timer)
{
    struct turn *turn = timer->data;
    if (turn->state == TURN_QUIET) {
        lock_unlisten(&turn->lock);
        turn->read_first = 0;
        go_quiet(turn);
        return;
    }
    RESV_ASSERT(turn->state == TURN_RETRYING || turn->state == TURN_YIELDING);
    add_metric(turn, METRIC_WOKEN_BY_TIMER, turn->state == TURN_RETRYING && turn->silences == 0);
    if (is_wanted_elsewhere(turn)) {
        set_state(turn, TURN_QUIET);
        leave(turn);
    } else {
        contend(turn);
    }
}

/* --- from outside -------------------------------------------------------------------------------
 */

void turn_wake(struct redlock *redlock, struct redlock_concert *concert)
{
    if (concert->turn == NULL)
        waiting_set_ready(&redlock->waiting, &concert->waiting);
    else if (concert->turn->state == TURN_QUIET)
        contend_behind_others(concert->turn);
}

void turn_look(struct turn *turn)
{
    bool waits = turn->state == TURN_RETRYING || turn->state == TURN_YIELDING;
    if (waits && !turn_is_waited_for(turn))
        go_quiet(turn);
}

void turns_start(struct redlock *redlock)
{
    struct turn *turn;
    while (redlock->waiting.concerts.ready_first != NULL && (turn = take_turn(redlock)) != NULL) {
        struct redlock_concert *concert =
            (struct redlock_concert *)waiting_take_ready(&redlock->waiting);
        RESV_ASSERT(concert->turn == NULL);
        take_concert(turn, concert);
        if (turn_is_waited_for(turn))
            contend(turn);
        else
            go_quiet(turn);
    }
}

bool turns_open(struct redlock *redlock)
{
    redlock->turns = calloc(redlock->turns_count, sizeof *redlock->turns);
    if (redlock->turns == NULL)
        return false;
    for (size_t i = redlock->turns_count; i-- > 0;) {
        struct turn *turn = &redlock->turns[i];
        turn->redlock = redlock;
        turn->timer = (struct resv_timer){.fired = timer_fired, .data = turn};
        turn->next_free = redlock->free_turn;
        redlock->free_turn = turn;
        if (!group_allocate(&turn->group, &redlock->hints, redlock->handoff))
            return false;
    }
    return true;
}

void turns_free(struct redlock *redlock)
{
    for (size_t i = 0; redlock->turns != NULL && i < redlock->turns_count; i++)
        group_free(&redlock->turns[i].group);
    free(redlock->turns);
    redlock->turns = NULL;
}

bool turns_close(struct redlock *redlock)
{
    bool over = true;
    for (size_t i = 0; i < redlock->turns_count; i++) {
        struct turn *turn = &redlock->turns[i];
        lock_unlisten(&turn->lock);
        if (turn->state == TURN_QUIET) {
            resv_timer_stop(redlock->base.host, &turn->timer);
            go_quiet(turn);
        }
        over = over && turn->state == TURN_FREE;
    }
    return over;
}
