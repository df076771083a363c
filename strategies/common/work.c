/* One transaction's way through everything that can go wrong with it: the machine of work.h. */
#include "common/work.h"

#include <string.h>

#include "resvd/assert.h"
#include "resvd/fault.h"

#define NS_PER_MS    1000000ULL
#define PAUSE_MS_MIN 1
#define PAUSE_MS_MAX 100 /* of the longest pause before an attempt; the first is up to 10 ms */

static void go_on(struct work *work);
static void try_again(struct work *work);

/* --- the one writer of a work's state --------------------------------------------------------- */

static bool may_follow(enum work_state from, enum work_state to)
{
    switch (from) {
    case WORK_IDLE:
        return to == WORK_WAITING || to == WORK_READY;
    case WORK_WAITING:
        return to == WORK_ENDING || to == WORK_DECIDING || to == WORK_PAUSING || to == WORK_OVER ||
               to == WORK_IDLE;
    case WORK_READY:
        return to == WORK_ENDING || to == WORK_DECIDING || to == WORK_OVER || to == WORK_IDLE;
    case WORK_ENDING:
        return to == WORK_DECIDING || to == WORK_PAUSING || to == WORK_IDLE;
    case WORK_DECIDING:
        return to == WORK_RUNNING || to == WORK_HOLDING || to == WORK_OVER || to == WORK_IDLE;
    case WORK_RUNNING:
        return to == WORK_DECIDING || to == WORK_ROLLING || to == WORK_PAUSING ||
               to == WORK_READY || to == WORK_IDLE;
    case WORK_HOLDING:
        return to == WORK_DECIDING || to == WORK_OVER;
    case WORK_ROLLING:
        return to == WORK_PAUSING || to == WORK_IDLE;
    case WORK_PAUSING:
        return to == WORK_WAITING || to == WORK_READY || to == WORK_OVER || to == WORK_IDLE;
    case WORK_OVER:
        return to == WORK_IDLE;
    }
    return false;
}

static void set_state(struct work *work, enum work_state state)
{
    RESV_ASSERT(may_follow(work->state, state));
    work->state = state;
}

/* --- the end ---------------------------------------------------------------------------------- */

static void let_go_of_session(struct work *work)
{
    struct database_session *session = work->session;
    work->session = NULL;
    if (session != NULL)
        database_give_back(session);
}

/* Not from inside work_start, work_cancel or work_abandon. Invariant: in doubt, UNKNOWN is all that
 * is ever said. */
static void give_up(struct work *work, enum resv_outcome outcome)
{
    RESV_ASSERT(outcome == RESV_CONTENDED || outcome == RESV_UNAVAILABLE);
    let_go_of_session(work);
    set_state(work, WORK_IDLE);
    bool doubt = work->in_doubt && !RESV_FAULT(given_up_in_doubt_is_nothing_taken);
    work->owner->gave_up(work, doubt ? RESV_UNKNOWN : outcome);
}

static enum resv_outcome reason(const struct work *work)
{
    return work->contended ? RESV_CONTENDED : RESV_UNAVAILABLE;
}

static void give_up_soon(struct work *work)
{
    set_state(work, WORK_OVER);
    resv_defer(work->host, &work->soon);
}

/* What is in doubt is found out, whoever has gone; nothing else begins anew for nobody. Nor where
 * another wait for the same lock would end behind the deadline: by then the client has heard that
 * the outcome is unknown, when in truth nothing was taken. */
static bool may_begin(const struct work *work, uint64_t when_ns)
{
    if (work->abandoned || (work->cancelled && !work->in_doubt))
        return false;
    if (work->in_doubt)
        return when_ns < work->doubt_ns;
    if (work->waited_for_lock)
        when_ns += database_link_lock_wait_ms(work->link) * NS_PER_MS;
    return when_ns < work->deadline_ns;
}

/* --- a session -------------------------------------------------------------------------------- */

static void acquired(struct database_wait *wait, struct database_session *session)
{
    struct work *work = wait->data;
    work->session = session;
    go_on(work);
}

static void refused(struct database_wait *wait, enum database_refusal refusal)
{
    struct work *work = wait->data;
    (void)refusal; /* the link counts them */
    work->contended = false;
    if (work->in_doubt)
        try_again(work);
    else
        give_up(work, RESV_UNAVAILABLE);
}

/* With a session at hand, it goes on at the flush point, so that nothing comes from inside. */
static void get_session(struct work *work)
{
    work->session = database_acquire(work->link, work->owner->pool);
    if (work->session != NULL) {
        set_state(work, WORK_READY);
        resv_defer(work->host, &work->soon);
        return;
    }
    set_state(work, WORK_WAITING);
    /* Whoever is in doubt has waited, and was given room, before. */
    work->wait = (struct database_wait){.pool = work->owner->pool,
                                        .urgent = work->in_doubt,
                                        .data = work,
                                        .acquired = acquired,
                                        .refused = refused};
    database_wait(work->link, &work->wait);
}

static void soon(struct resv_deferred *deferred)
{
    struct work *work = deferred->data;
    if (work->state == WORK_READY)
        go_on(work);
    else
        give_up(work, reason(work));
}

/* --- again ------------------------------------------------------------------------------------ */

static void pause_over(struct resv_timer *timer)
{
    struct work *work = timer->data;
    if (work->state == WORK_HOLDING) {
        set_state(work, WORK_DECIDING);
        work->next(work, DATABASE_DONE);
        return;
    }
    RESV_ASSERT(work->state == WORK_PAUSING);
    get_session(work);
}

/* Chance parts those who met at a lock; growing, it thins them out. */
static uint64_t next_pause_ms(struct work *work)
{
    uint64_t bound_ms = 10ULL << (work->pauses < 4 ? work->pauses : 4);
    uint32_t chance;
    work->pauses++;
    resv_random_bytes(work->host, &chance, sizeof chance);
    return PAUSE_MS_MIN + chance % (bound_ms < PAUSE_MS_MAX ? bound_ms : PAUSE_MS_MAX);
}

/* The attempt is over, and nothing of it is open: begins anew, or gives up. */
static void try_again(struct work *work)
{
    let_go_of_session(work);
    uint64_t pause_ms = next_pause_ms(work);
    if (!may_begin(work, resv_now_ns(work->host) + pause_ms * NS_PER_MS)) {
        give_up(work, reason(work));
        return;
    }
    set_state(work, WORK_PAUSING);
    resv_timer_start(work->host, &work->pause, pause_ms);
}

/* Locks stood in the way, or the server refused. */
static void attempt_failed(struct work *work)
{
    if ((work->contended && work->owner->retries) || work->in_doubt)
        try_again(work);
    else
        give_up(work, reason(work));
}

static void rolled_back(struct database_run *run)
{
    /* Whatever became of it: a session that is not known to be outside of a transaction is closed
     * by the link when it is given back. */
    attempt_failed(run->data);
}

/* A lock wait leaves the transaction open: what it took so far would be committed by whatever comes
 * next on the session. */
static void roll_back(struct work *work)
{
    set_state(work, WORK_ROLLING);
    work->step = (struct database_step){.kind = DATABASE_ROLLBACK};
    work->run =
        (struct database_run){.steps = &work->step, .count = 1, .data = work, .done = rolled_back};
    database_run(work->session, &work->run);
}

/* --- an attempt ------------------------------------------------------------------------------- */

static bool has_lost_session(const struct work *work)
{
    static const struct database_session_name none;
    return memcmp(&work->lost, &none, sizeof none) != 0;
}

static void begin(struct work *work)
{
    set_state(work, WORK_DECIDING);
    work->attempts++;
    work->waited_for_lock = false; /* the attempt before did, if any */
    work->owner->begin(work);
}

static void lost_session_ended(struct database_run *run)
{
    struct work *work = run->data;
    if (run->result != DATABASE_DONE) {
        /* Not over yet, or this session is of no use either: it has sent nothing that writes, so
         * the lost one stays the one to be ended. */
        work->contended = false;
        try_again(work);
        return;
    }
    work->lost = (struct database_session_name){0};
    if (may_begin(work, resv_now_ns(work->host)))
        begin(work);
    else
        give_up(work, reason(work));
}

/* A session is there. Invariant: no attempt begins while a lost session may still execute its
 * COMMIT. Each lost one is ended before the next attempt, so there is never more than one. */
static void go_on(struct work *work)
{
    if (!may_begin(work, resv_now_ns(work->host))) {
        give_up(work, reason(work));
    } else if (has_lost_session(work) && !RESV_FAULT(no_end_session)) {
        RESV_ASSERT(work->in_doubt || RESV_FAULT(lost_commit_is_nothing_taken));
        set_state(work, WORK_ENDING);
        work->step =
            (struct database_step){.kind = DATABASE_END_SESSION, .end_session = work->lost};
        work->run = (struct database_run){
            .steps = &work->step, .count = 1, .data = work, .done = lost_session_ended};
        database_run(work->session, &work->run);
    } else {
        begin(work);
    }
}

/* --- the owner's runs ------------------------------------------------------------------------- */

static bool commits(const struct database_step *step)
{
    return step->kind == DATABASE_COMMIT || step->kind == DATABASE_CALL_RESERVE;
}

/* The COMMIT was behind failed_at in any case: it is the last step. Invariant: from here on
 * in_doubt stays set, and the session is known by name until it is over. */
static void lost(struct work *work)
{
    work->counters->lost++;
    work->contended = false;
    if (commits(&work->run.steps[work->run.count - 1])) {
        if (RESV_FAULT(lost_commit_is_granted)) {
            set_state(work, WORK_DECIDING);
            work->next(work, DATABASE_DONE);
            return;
        }
        if (!RESV_FAULT(lost_commit_is_nothing_taken)) {
            work->in_doubt = true;
            work->commits_lost++;
            work->lost = database_session_name(work->session);
        }
    }
    try_again(work);
}

static void lock_wait(struct work *work)
{
    work->counters->lock_waits++;
    work->contended = true;
    work->waited_for_lock = true;
    if (RESV_FAULT(no_rollback_after_lock_wait)) {
        set_state(work, WORK_READY);
        resv_defer(work->host, &work->soon);
        return;
    }
    roll_back(work);
}

/* The server has rolled back and nothing is open: a further statement of this attempt would commit
 * by itself. None is sent but ROLLBACK, whose answer lets the link know that nothing is open: the
 * session stays of use. */
static void deadlock(struct work *work)
{
    work->counters->deadlocks++;
    work->contended = true;
    if (RESV_FAULT(go_on_after_deadlock)) {
        work->run.steps += work->run.failed_at;
        work->run.count -= work->run.failed_at;
        database_run(work->session, &work->run);
        return;
    }
    roll_back(work);
}

/* A constraint said no where the owner cannot mean it: what is stored contradicts itself (`naive`
 * ran on it, or somebody's hand), or was changed by somebody else in between. */
static void contradicted(struct work *work)
{
    work->counters->contradictions++;
    work->contended = false;
    roll_back(work);
}

/* An answer, or something that the owner decides on. */
static void to_owner(struct work *work)
{
    const struct database_run *run = &work->run;
    if (run->result != DATABASE_DONE && (work->decides & WORK_DECIDES(run->result)) == 0) {
        contradicted(work);
        return;
    }
    bool answered = run->result == DATABASE_DONE && commits(&run->steps[run->count - 1]);
    if (work->abandoned && !answered) {
        give_up(work, reason(work));
        return;
    }
    set_state(work, WORK_DECIDING);
    work->next(work, run->result);
}

static void run_done(struct database_run *run)
{
    struct work *work = run->data;
    RESV_ASSERT(work->state == WORK_RUNNING);
    switch (run->result) {
    case DATABASE_DONE:
    case DATABASE_DUPLICATE:
    case DATABASE_NO_PARENT:
    case DATABASE_REFUSED:
        to_owner(work);
        break;
    case DATABASE_LOCK_WAIT:
        lock_wait(work);
        break;
    case DATABASE_DEADLOCK:
        deadlock(work);
        break;
    case DATABASE_FAILED:
        work->contended = false;
        roll_back(work);
        break;
    case DATABASE_LOST:
        lost(work);
        break;
    }
}

/* --- what the owner calls --------------------------------------------------------------------- */

void work_start(struct work *work)
{
    RESV_ASSERT(work->state == WORK_IDLE && work->attempts == 0 && work->counters != NULL);
    work->pause = (struct resv_timer){.fired = pause_over, .data = work};
    work->soon = (struct resv_deferred){.run = soon, .data = work};
    get_session(work);
}

void work_run(struct work *work, struct database_step *steps, size_t count,
              void (*next)(struct work *work, enum database_result result))
{
    work_try(work, steps, count, 0, next);
}

void work_try(struct work *work, struct database_step *steps, size_t count, unsigned decides,
              void (*next)(struct work *work, enum database_result result))
{
    RESV_ASSERT(work->state == WORK_DECIDING && count > 0);
    for (size_t i = 0; i + 1 < count; i++)
        RESV_ASSERT(!commits(&steps[i]));
    if (work->abandoned) {
        give_up_soon(work);
        return;
    }
    work->next = next;
    work->decides = decides;
    set_state(work, WORK_RUNNING);
    work->run =
        (struct database_run){.steps = steps, .count = count, .data = work, .done = run_done};
    database_run(work->session, &work->run);
}

size_t work_failed_at(const struct work *work)
{
    return work->run.failed_at;
}

void work_rollback(struct work *work, void (*next)(struct work *work, enum database_result result))
{
    work->step = (struct database_step){.kind = DATABASE_ROLLBACK};
    work_run(work, &work->step, 1, next);
}

void work_pause(struct work *work, uint64_t pause_ms,
                void (*next)(struct work *work, enum database_result result))
{
    RESV_ASSERT(work->state == WORK_DECIDING);
    if (work->abandoned) {
        give_up_soon(work);
        return;
    }
    work->next = next;
    set_state(work, WORK_HOLDING);
    resv_timer_start(work->host, &work->pause, pause_ms);
}

void work_finish(struct work *work)
{
    RESV_ASSERT(work->state == WORK_DECIDING);
    if (work->in_doubt)
        work->counters->resolved++;
    let_go_of_session(work);
    set_state(work, WORK_IDLE);
}

bool work_cancel(struct work *work)
{
    work->cancelled = true;
    bool has_begun = work->attempts > 0;
    switch (work->state) {
    case WORK_WAITING:
        if (work->in_doubt)
            return false;
        database_wait_cancel(work->link, &work->wait);
        break;
    case WORK_READY:
        if (work->in_doubt)
            return false;
        resv_defer_cancel(work->host, &work->soon);
        if (!has_begun)
            let_go_of_session(work);
        break;
    case WORK_PAUSING:
        if (work->in_doubt)
            return false;
        resv_timer_stop(work->host, &work->pause);
        break;
    case WORK_IDLE:
    case WORK_ENDING:
    case WORK_DECIDING:
    case WORK_RUNNING:
    case WORK_HOLDING:
    case WORK_ROLLING:
    case WORK_OVER:
        return false;
    }
    if (has_begun)
        give_up_soon(work);
    else
        set_state(work, WORK_IDLE);
    return !has_begun;
}

void work_abandon(struct work *work)
{
    work->abandoned = true;
    switch (work->state) {
    case WORK_WAITING:
        database_wait_cancel(work->link, &work->wait);
        give_up_soon(work);
        break;
    case WORK_HOLDING:
    case WORK_PAUSING:
        resv_timer_stop(work->host, &work->pause);
        give_up_soon(work);
        break;
    case WORK_IDLE:
    case WORK_READY: /* sees it at the flush point */
    case WORK_ENDING:
    case WORK_DECIDING:
    case WORK_RUNNING:
    case WORK_ROLLING:
    case WORK_OVER:
        break;
    }
}
