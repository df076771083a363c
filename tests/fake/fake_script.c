/* What the fake strategy does follows from what is asked of it.
 *
 * Tests of the layers above drive it with nothing but requests: no side channel, no sleeps. What a
 * RESERVE does follows from its concertId:
 *
 *   id          what happens
 *   ---------   ------------------------------------------------------------------------------
 *   any concert of the catalog (1..10 from the start, with members 1..1000; see fake_store.h):
 *               decided at the next deferred point, exactly: capacity, member limit, replays,
 *               unknown concert or member
 *   1           the same, but as long as nothing was reset its unkeyed reservations are counted
 *               and not remembered: GET of them is 404. For benchmarks; not so in fake_async
 *   the numbers below, unless a reset has made concerts with them:
 *   100         GRANTED after `quantity` milliseconds
 *   101         held until somebody asks for 102 or 103, then GRANTED; cancel is ignored
 *   102         releases all that is held (101, 104, 105, 106), in the order it was asked: 101,
 *               105 and 106 GRANTED, 104 CANCELLED; then is GRANTED itself
 *   103         the same in reverse order; it is GRANTED itself before them
 *   104         held; completes CANCELLED once cancelled
 *   105         held, also after cancel, until 102 or 103
 *   106         held; cancel loses the race: completes GRANTED once cancelled
 *   107         held; completes UNKNOWN once cancelled
 *   110..120    GRANTED, ACCEPTED, SOLD_OUT, LIMIT, CONTENDED, CANCELLED, UNAVAILABLE, UNKNOWN,
 *               UNKNOWN_CONCERT, UNKNOWN_MEMBER, KEY_REUSED at the next deferred point; members
 *               are not looked at
 *   121         submit says busy, for `quantity` milliseconds after it said so first; then GRANTED
 *   122         submit says busy while anything is held; then GRANTED
 *   124..126    health of the component "script" goes DOWN, UP, MISSED; then GRANTED
 *   others      UNKNOWN_CONCERT
 *
 * "fake_async" is the same, asynchronous: what it sells is ACCEPTED and PENDING, and CONFIRMED once
 * its consumer has applied the event, a turn or `apply_delay_ms` later (see fake_events.h). More
 * numbers for it:
 *
 *   127         the consumer pauses; then GRANTED
 *   128         the consumer goes on; then GRANTED
 *   129         concert 1's stock loses `quantity` seats until it is reconciled; then GRANTED
 *   130         ACCEPTED; the consumer makes it REJECTED
 *   131         ACCEPTED; its event becomes a dead letter (and it REJECTED), and is good when it is
 *               sent again
 *
 * What was GRANTED (or ACCEPTED: PENDING) is remembered, with its Idempotency-Key or without, and
 * found by LOOKUP, RELEASE and replays: a replay is answered at the next deferred point. All other
 * kinds are answered at the next deferred point from the store in memory.
 */
#include "fake_internal.h"

enum script {
    SCRIPT_LATER = 100,
    SCRIPT_HELD = 101,
    SCRIPT_RELEASE_IN_ORDER = 102,
    SCRIPT_RELEASE_REVERSED = 103,
    SCRIPT_HELD_CANCELLABLE = 104,
    SCRIPT_HELD_STUBBORN = 105,
    SCRIPT_HELD_RACED = 106,
    SCRIPT_HELD_UNKNOWN = 107,
    SCRIPT_OUTCOME_FIRST = 110,
    SCRIPT_BUSY_FOR_A_TIME = 121,
    SCRIPT_BUSY_WHILE_HELD = 122,
    SCRIPT_HEALTH_DOWN = 124,
    SCRIPT_HEALTH_UP = 125,
    SCRIPT_HEALTH_MISSED = 126,
    SCRIPT_PAUSE = 127,
    SCRIPT_GO_ON = 128,
    SCRIPT_DRIFT = 129,
    SCRIPT_REJECTED = 130,
    SCRIPT_DEAD_LETTER = 131,
};

static const enum resv_outcome scripted_outcomes[] = {
    RESV_GRANTED,         RESV_ACCEPTED,       RESV_SOLD_OUT,    RESV_LIMIT,
    RESV_CONTENDED,       RESV_CANCELLED,      RESV_UNAVAILABLE, RESV_UNKNOWN,
    RESV_UNKNOWN_CONCERT, RESV_UNKNOWN_MEMBER, RESV_KEY_REUSED,
};
#define SCRIPTED_OUTCOMES (sizeof scripted_outcomes / sizeof scripted_outcomes[0])

bool fake_is_script(const struct fake *fake, const struct resv_op *op)
{
    return op->kind == RESV_OP_RESERVE && op->concert_id >= FAKE_SCRIPT_FIRST &&
           op->concert_id <= FAKE_SCRIPT_LAST &&
           !fake_store_has_concert(fake->store, op->concert_id);
}

static bool is_known_script(const struct fake *fake, int64_t id)
{
    int64_t last = fake->events != NULL ? SCRIPT_DEAD_LETTER : SCRIPT_HEALTH_MISSED;
    return id <= last && id != 108 && id != 109 && id != 123;
}

static enum fake_fate fate_of(int64_t script)
{
    if (script == SCRIPT_REJECTED)
        return FAKE_FATE_REJECTED;
    return script == SCRIPT_DEAD_LETTER ? FAKE_FATE_DEAD_LETTER : FAKE_FATE_CONFIRMED;
}

enum resv_outcome fake_script_decide(struct fake *fake, struct resv_op *op)
{
    enum resv_outcome outcome = RESV_GRANTED;
    int64_t position = op->concert_id - SCRIPT_OUTCOME_FIRST;
    if (operation_of(op)->is_forced)
        outcome = operation_of(op)->forced;
    else if (position >= 0 && position < (int64_t)SCRIPTED_OUTCOMES)
        outcome = scripted_outcomes[position];
    else if (!is_known_script(fake, op->concert_id))
        outcome = RESV_UNKNOWN_CONCERT;
    else if (op->concert_id == SCRIPT_REJECTED || op->concert_id == SCRIPT_DEAD_LETTER)
        outcome = RESV_ACCEPTED;
    if (outcome == RESV_ACCEPTED && fake->events != NULL)
        return fake_events_run_scripted(fake->events, op, fate_of(op->concert_id));
    /* UNKNOWN: "the write was sent, its answer lost"; here the write did arrive. */
    if (outcome == RESV_UNKNOWN)
        fake_store_run_scripted(fake->store, op, RESV_GRANTED);
    if (outcome == RESV_GRANTED || outcome == RESV_ACCEPTED)
        outcome = fake_store_run_scripted(fake->store, op, outcome);
    return outcome;
}

static void later_fired(struct resv_timer *timer)
{
    struct resv_op *op = timer->data;
    struct fake *fake = operation_of(op)->fake;
    list_remove(&fake->timed, op);
    fake_make_ready(fake, op);
}

/* --- the script at submit --------------------------------------------------------------------- */

static void hold(struct fake *fake, struct resv_op *op)
{
    operation_of(op)->place = PLACE_HELD;
    list_append(&fake->held, op);
    fake_count_held(fake, 1);
}

static void let_go(struct fake *fake, struct resv_op *op)
{
    list_remove(&fake->held, op);
    fake_count_held(fake, -1);
    fake_make_ready(fake, op);
    if (fake->held_count == 0)
        resv_host_ready_for_more(fake->host);
}

static void release_held(struct fake *fake, struct resv_op *asker, bool reversed)
{
    struct operation_list taken = {0};
    for (struct resv_op *op; (op = list_pop(&fake->held)) != NULL;) {
        if (op->concert_id == SCRIPT_HELD_CANCELLABLE)
            fake_force(op, RESV_CANCELLED);
        if (reversed)
            list_prepend(&taken, op);
        else
            list_append(&taken, op);
        fake_count_held(fake, -1);
    }
    if (reversed)
        list_prepend(&taken, asker);
    else
        list_append(&taken, asker);
    for (struct resv_op *op; (op = list_pop(&taken)) != NULL;)
        fake_make_ready(fake, op);
    resv_host_ready_for_more(fake->host);
}

void fake_script_busy_over(struct resv_timer *timer)
{
    struct fake *fake = timer->data;
    fake->busy_over = true;
    resv_host_ready_for_more(fake->host);
}

bool fake_script_is_busy(struct fake *fake, const struct resv_op *op)
{
    if (op->concert_id == SCRIPT_BUSY_WHILE_HELD)
        return fake->held_count > 0;
    if (op->concert_id != SCRIPT_BUSY_FOR_A_TIME)
        return false;
    if (fake->busy_over) {
        fake->busy_over = false;
        return false;
    }
    if (fake->busy_timer.heap_index == 0)
        resv_timer_start(fake->host, &fake->busy_timer, (uint64_t)op->quantity);
    return true;
}

void fake_script_take(struct fake *fake, struct resv_op *op)
{
    switch (op->concert_id) {
    case SCRIPT_LATER:
        operation_of(op)->place = PLACE_TIMER;
        operation_of(op)->timer.fired = later_fired;
        operation_of(op)->timer.data = op;
        list_append(&fake->timed, op);
        resv_timer_start(fake->host, &operation_of(op)->timer, (uint64_t)op->quantity);
        break;
    case SCRIPT_HELD:
    case SCRIPT_HELD_CANCELLABLE:
    case SCRIPT_HELD_STUBBORN:
    case SCRIPT_HELD_RACED:
    case SCRIPT_HELD_UNKNOWN:
        hold(fake, op);
        break;
    case SCRIPT_RELEASE_IN_ORDER:
    case SCRIPT_RELEASE_REVERSED:
        release_held(fake, op, op->concert_id == SCRIPT_RELEASE_REVERSED);
        break;
    case SCRIPT_HEALTH_DOWN:
        resv_host_health(fake->host, "script", RESV_HEALTH_DOWN, 0, "scripted");
        fake_make_ready(fake, op);
        break;
    case SCRIPT_HEALTH_UP:
        resv_host_health(fake->host, "script", RESV_HEALTH_UP, 1000000, NULL);
        fake_make_ready(fake, op);
        break;
    case SCRIPT_HEALTH_MISSED:
        resv_host_health(fake->host, "script", RESV_HEALTH_MISSED, 0, "scripted");
        fake_make_ready(fake, op);
        break;
    case SCRIPT_PAUSE:
    case SCRIPT_GO_ON:
        if (fake->events != NULL)
            fake_events_pause(fake->events, op->concert_id == SCRIPT_PAUSE);
        fake_make_ready(fake, op);
        break;
    case SCRIPT_DRIFT:
        if (fake->events != NULL)
            fake_store_drift(fake->store, 1, op->quantity);
        fake_make_ready(fake, op);
        break;
    default:
        fake_make_ready(fake, op);
        break;
    }
}

void fake_script_cancel(struct fake *fake, struct resv_op *op)
{
    switch (op->concert_id) {
    case SCRIPT_HELD_CANCELLABLE:
        fake_force(op, RESV_CANCELLED);
        let_go(fake, op);
        break;
    case SCRIPT_HELD_RACED:
        let_go(fake, op);
        break;
    case SCRIPT_HELD_UNKNOWN:
        fake_force(op, RESV_UNKNOWN);
        let_go(fake, op);
        break;
    default:
        break;
    }
}
