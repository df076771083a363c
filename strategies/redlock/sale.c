/* What is done under the lock: facts, decision, and one write that carries a fencing token.
 *
 *   start --> [session] --> remembered? --------------------> BEGIN, take, INSERT, COMMIT -->
 * answers
 *                             `- no: read (read.c) -> decide ---^   | refused: roll back,
 *                                      ^                            | read again while the lock
 *                                      `----------------------------' is valid
 *
 * After Martin Kleppmann, "How to do distributed locking" (2016,
 * https://martin.kleppmann.com/2016/02/08/how-to-do-distributed-locking.html): what makes a lease
 * safe is a token that grows and that the storage checks with each write. Redlock has none.
 * Salvatore Sanfilippo, "Is Redlock safe?" (2016, http://antirez.com/news/101), answers that a
 * store that can check one can as well compare what it has with what was read: so it is done here.
 * The token is one more than the concert's fence that was read, the database takes it only while
 * its fence is below, and whatever leaves less to sell raises the fence. So a write of a holder
 * whose lease ran out changes no row once anybody has sold, and the lock only keeps such attempts
 * few.
 *
 * Invariants: seats are taken with the token of the very facts that were decided on; no answer is
 * given before the transaction that it rests on has ended; nothing begins under a lock that is not
 * valid for the budget any more; who has no answer when the lock is lost, and nothing of whom may
 * have been written, waits for it again in front of all others; in doubt, rows that are there are
 * found before anything is said or written. */
#include "redlock.h"
#include "resvd/assert.h"
#include "resvd/fault.h"

static const struct work_owner sale_owner;

static struct resv_host *host_of(const struct turn *turn)
{
    return turn->redlock->base.host;
}

static void count_metric(const struct turn *turn, enum redlock_metric metric)
{
    resv_metric_add(host_of(turn), &redlock_metrics, metric, 1);
}

static bool may_begin(const struct turn *turn)
{
    return lock_is_valid(&turn->lock, turn->redlock->budget_ms);
}

/* --- the group ----------------------------------------------------------------------------------
 */

/* Those from before first. */
static void keep_those_who_wait(struct turn *turn)
{
    struct group *group = &turn->group;
    size_t kept = 0;
    for (size_t i = 0; i < group->count; i++) {
        const struct request *request = &group->requests[i];
        if (request->op == NULL)
            continue;
        line_wait_no_more(turn->redlock, request->op);
        group->requests[kept++] = (struct request){.op = request->op};
    }
    group->count = kept;
}

static void take_more(struct turn *turn)
{
    struct group *group = &turn->group;
    struct resv_op *op;
    while (turn->served + group->count < turn->redlock->handoff && (op = line_take(turn)) != NULL)
        group->requests[group->count++] = (struct request){.op = op};
}

/* It is tried for as long as the last of them may wait. */
static void set_deadlines(struct group *group)
{
    const uint64_t grace_ns = group->work.doubt_ns - group->work.deadline_ns;
    for (size_t i = 0; i < group->count; i++) {
        const struct resv_op *op = group->requests[i].op;
        if (op != NULL && op->deadline_ns > group->work.deadline_ns)
            group->work.deadline_ns = op->deadline_ns;
    }
    group->work.doubt_ns = group->work.deadline_ns + grace_ns;
}

void sale_start(struct turn *turn)
{
    struct group *group = &turn->group;
    keep_those_who_wait(turn);
    take_more(turn);
    RESV_ASSERT(group->count > 0);
    group->commits_lost = 0;
    base_prepare_work(&turn->redlock->base, &group->work, group->requests[0].op, &sale_owner);
    group->work.data = turn;
    set_deadlines(group);
    work_start(&group->work);
}

void sale_cancel(struct turn *turn)
{
    if (group_size(&turn->group) > 0)
        return;
    if (work_cancel(&turn->group.work))
        turn_go_on(turn); /* else it was abandoned, and will say so */
}

void sale_abandon(struct turn *turn)
{
    work_abandon(&turn->group.work);
}

/* Nothing was taken so far: who is not waited for any more need not be part of the next attempt. */
static void drop_cancelled(struct turn *turn)
{
    for (size_t i = 0; i < turn->group.count; i++) {
        struct request *request = &turn->group.requests[i];
        if (request->op != NULL && redlock_op_of(request->op)->waiting.cancelled)
            line_answer(turn, request, RESV_CANCELLED);
    }
}

/* --- the end ------------------------------------------------------------------------------------
 */

void sale_note_lost_lock(struct turn *turn)
{
    if (!turn->lost_told)
        count_metric(turn, METRIC_LOST_LEASE);
    turn->lost_told = true;
}

static void answer(struct turn *turn, struct request *request, enum resv_outcome outcome)
{
    turn->served++;
    line_answer(turn, request, outcome);
}

/* The work has ended. */
static void go_on(struct turn *turn)
{
    struct group *group = &turn->group;
    if (!lock_is_valid(&turn->lock, 0))
        sale_note_lost_lock(turn);
    for (size_t i = 0; i < group->count; i++) {
        struct request *request = &group->requests[i];
        if (request->op == NULL)
            continue;
        if (redlock_op_of(request->op)->waiting.cancelled)
            line_answer(turn, request, RESV_CANCELLED);
        else
            line_wait_again(turn, request->op);
    }
    turn_go_on(turn);
}

void sale_end(struct turn *turn, bool takers_too)
{
    struct group *group = &turn->group;
    work_finish(&group->work);
    for (size_t i = 0; i < group->count; i++) {
        struct request *request = &group->requests[i];
        if (request->op != NULL && (takers_too || request->verdict != VERDICT_TAKE))
            answer(turn, request, request->outcome);
    }
    go_on(turn);
}

static void contended(struct turn *turn)
{
    for (size_t i = 0; i < turn->group.count; i++)
        turn->group.requests[i].outcome = RESV_CONTENDED;
    sale_end(turn, true);
}

/* Nothing of it can be written: it was not sent, or has been rolled back. Not in doubt. */
static void lost_lock(struct turn *turn)
{
    RESV_ASSERT(!turn->group.work.in_doubt);
    sale_note_lost_lock(turn);
    work_finish(&turn->group.work);
    go_on(turn);
}

static void gave_up(struct work *work, enum resv_outcome outcome)
{
    struct turn *turn = work->data;
    group_settle_rows(&turn->group);
    for (size_t i = 0; i < turn->group.count; i++) {
        struct request *request = &turn->group.requests[i];
        if (request->op == NULL)
            continue;
        /* Only what was part of a COMMIT can have been taken. */
        bool nothing = outcome == RESV_UNKNOWN && !request->sent;
        answer(turn, request, nothing ? RESV_UNAVAILABLE : outcome);
    }
    go_on(turn);
}

/* --- write --------------------------------------------------------------------------------------
 */

static void read_again(struct work *work, enum database_result result)
{
    struct turn *turn = work->data;
    RESV_ASSERT(result == DATABASE_DONE);
    if (may_begin(turn) || work->in_doubt)
        sale_read(turn); /* also for the last time: for rows that are there */
    else
        lost_lock(turn);
}

/* By what was read it would have fitted, had others of the group not taken theirs. Seats may have
 * been given back since (that leaves the fence as it is), so it need not have been true at any
 * moment. */
static bool rests_on_neighbours(const struct group *group, const struct request *request)
{
    if (request->verdict == VERDICT_SOLD_OUT)
        return request->op->quantity <= group->seen.remaining + group->seats;
    for (size_t i = 0; request->verdict == VERDICT_LIMIT && i < group->rows_count; i++) {
        if (group->rows[i].member_id == request->op->member_id)
            return true;
    }
    return false;
}

/* Committed. Who was refused for what the others took waits once more: in front, and decided first.
 */
static void end_with_rows(struct turn *turn)
{
    struct group *group = &turn->group;
    work_finish(&group->work);
    for (size_t i = 0; i < group->count; i++) {
        struct request *request = &group->requests[i];
        if (request->op != NULL &&
            (!rests_on_neighbours(group, request) || RESV_FAULT(neighbours_seats_refuse)))
            answer(turn, request, request->outcome);
        request->sent = false;
    }
    go_on(turn);
}

static void written(struct work *work, enum database_result result)
{
    struct turn *turn = work->data;
    struct group *group = &turn->group;
    switch (result) {
    case DATABASE_DONE:
        hints_take_seats(group->hints, group->concert_id, group->seats);
        hints_set_fence(group->hints, group->concert_id, group->seen.fence + 1, group->sessions);
        for (size_t i = 0; i < group->rows_count; i++)
            hints_put_member(group->hints, group->rows[i].member_id);
        end_with_rows(turn);
        return;
    case DATABASE_REFUSED: /* somebody else has sold, or less may be sold, since it was read */
        count_metric(turn, METRIC_FENCED);
        if (turn->remembered)
            turn->read_first = REDLOCK_READ_FIRST;
        break;
    case DATABASE_DUPLICATE:
        turn->read_all = true;
        break;
    case DATABASE_NO_PARENT: /* a reset */
        hints_drop_members(group->hints);
        hints_drop_concert(group->hints, group->concert_id);
        break;
    case DATABASE_LOCK_WAIT:
    case DATABASE_DEADLOCK:
    case DATABASE_FAILED:
    case DATABASE_LOST:
        RESV_ASSERT(!"the machine's own");
    }
    group_settle_rows(group);
    turn->repeats++;
    work_rollback(work, read_again);
}

/* The concert was there when it was read, and only a reset takes it away. So the UPDATE finds it,
 * and can go first: its lock is the only one that two writers meet at. */
static void write_rows(struct turn *turn)
{
    struct group *group = &turn->group;
    struct database_step *steps = group->steps;
    const int64_t sold = group->concert_step == NULL ? 0 : group->concert_step->concert.sold;
    struct database_step take = {
        .kind = DATABASE_TAKE_SEATS_OR_FAIL,
        .seats = {.concert_id = group->concert_id,
                  .seats = group->seats,
                  .token = group->seen.fence + 1},
    };
    if (RESV_FAULT(no_fencing)) {
        take.kind = DATABASE_WRITE_SOLD;
        take.seats.seats += sold;
    } else if (RESV_FAULT(fence_ignored_for_limit) &&
               group->seen.member_limit != RESV_NO_MEMBER_LIMIT) {
        take.kind = DATABASE_TAKE_SEATS;
        take.seats.token = 0;
    }
    steps[0] = (struct database_step){.kind = DATABASE_BEGIN};
    steps[1] = take;
    steps[2] = (struct database_step){
        .kind = DATABASE_INSERT_RESERVATIONS,
        .insert = {.concert_id = group->concert_id,
                   .rows = group->rows,
                   .count = group->rows_count,
                   .created_ms = resv_wall_ms(host_of(turn))},
    };
    steps[3] = (struct database_step){.kind = DATABASE_COMMIT};
    work_try(&group->work, steps, 4,
             WORK_DECIDES(DATABASE_DUPLICATE) | WORK_DECIDES(DATABASE_NO_PARENT) |
                 WORK_DECIDES(DATABASE_REFUSED),
             written);
}

static void held(struct work *work, enum database_result result)
{
    struct turn *turn = work->data;
    RESV_ASSERT(result == DATABASE_DONE);
    if (may_begin(turn))
        write_rows(turn);
    else if (work->in_doubt)
        sale_read(turn); /* for the rows that are there */
    else
        lost_lock(turn);
}

/* --- decide -------------------------------------------------------------------------------------
 */

/* All that may be tried has been: who has no answer by then is CONTENDED. */
static bool is_worn_out(const struct turn *turn)
{
    return turn->repeats >= REDLOCK_REPEATS_MAX;
}

static void rows_are_on_disk(struct work *work, enum database_result result)
{
    struct turn *turn = work->data;
    RESV_ASSERT(result == DATABASE_DONE);
    sale_end(turn, is_worn_out(turn));
}

/* Rows that were read and are answers have no COMMIT of this group's behind them. */
static void end_without_rows(struct turn *turn)
{
    struct group *group = &turn->group;
    if (group_promises_rows(group)) {
        group->steps[0] = (struct database_step){.kind = DATABASE_SYNC};
        work_run(&group->work, group->steps, 1, rows_are_on_disk);
    } else {
        sale_end(turn, is_worn_out(turn));
    }
}

/* Nothing more is written. Only rows that are there can be answers; refusals of the rest would rest
 * on seats that others of the group then do not take. */
static void decide_on_rows(struct turn *turn)
{
    struct group *group = &turn->group;
    for (size_t i = 0; i < group->count; i++) {
        struct request *request = &group->requests[i];
        bool there = request->op != NULL && request->found != NULL && request->found->found;
        request->verdict = there ? VERDICT_ROW : VERDICT_TAKE;
        request->outcome = RESV_CONTENDED;
        if (there)
            group_fill_outcome(request);
    }
    end_without_rows(turn);
}

void sale_decide(struct turn *turn)
{
    struct group *group = &turn->group;
    size_t takers;
    if (!may_begin(turn))
        sale_note_lost_lock(turn);
    if (!may_begin(turn) || is_worn_out(turn)) {
        decide_on_rows(turn);
        return;
    }
    turn->remembered = false;
    decide_in_order(&group->seen, group->requests, group->count, &takers);
    for (size_t i = 0; i < group->count; i++) {
        if (group->requests[i].op != NULL)
            group_fill_outcome(&group->requests[i]);
    }
    if (takers == 0) {
        end_without_rows(turn);
        return;
    }
    group_fill_rows(group);
    if (turn->redlock->hold_ms > 0)
        work_pause(&group->work, turn->redlock->hold_ms, held);
    else
        write_rows(turn);
}

/* --- begin --------------------------------------------------------------------------------------
 */

/* All that reading could tell is known, by all that is known: a mistake is refused by the write. */
static bool is_remembered(const struct turn *turn)
{
    const struct group *group = &turn->group;
    const struct concert_hint *hint = hints_find_concert(group->hints, group->concert_id);
    int64_t smallest;
    if (hint == NULL || !hint->exists || hint->member_limit != RESV_NO_MEMBER_LIMIT ||
        group_sum_of_seats(group, &smallest) > hint->remaining)
        return false;
    if (database_session_number(group->work.session) > hint->sessions &&
        !RESV_FAULT(remembered_over_a_crash))
        return false;
    if (group->work.in_doubt || turn->stale || turn->read_first > 0 || turn->redlock->hold_ms > 0 ||
        RESV_FAULT(no_fencing))
        return false;
    for (size_t i = 0; i < group->count; i++) {
        const struct request *request = &group->requests[i];
        if (request->op == NULL)
            continue;
        if (request->op->keyed || !hints_know_member(group->hints, request->op->member_id))
            return false;
    }
    return true;
}

static void write_at_once(struct turn *turn)
{
    struct group *group = &turn->group;
    const struct concert_hint *hint = hints_find_concert(group->hints, group->concert_id);
    turn->remembered = true;
    group->concert_step = NULL;
    group->seen = (struct decide_concert){.exists = true,
                                          .remaining = hint->remaining,
                                          .member_limit = hint->member_limit,
                                          .fence = hint->fence};
    for (size_t i = 0; i < group->count; i++)
        group->requests[i].verdict = VERDICT_TAKE;
    group_fill_rows(group);
    write_rows(turn);
}

static void begin(struct work *work)
{
    struct turn *turn = work->data;
    struct group *group = &turn->group;
    if (work->attempts == 1) { /* those who have come while it waited for its session */
        take_more(turn);
        set_deadlines(group);
    }
    group->sessions = database_link_sessions_connected(work->link);
    group_settle_rows(group);
    if (!work->in_doubt)
        drop_cancelled(turn);
    turn->repeats = 0;
    turn->read_all = false;
    if (group_size(group) == 0)
        sale_end(turn, true);
    else if (work->in_doubt && !may_begin(turn) && RESV_FAULT(given_up_but_written))
        contended(turn);
    else if (!work->in_doubt && !may_begin(turn))
        lost_lock(turn);
    else if (is_remembered(turn))
        write_at_once(turn);
    else
        sale_read(turn);
}

static const struct work_owner sale_owner = {
    .begin = begin,
    .gave_up = gave_up,
    .pool = DATABASE_SALES,
    .retries = true,
};
