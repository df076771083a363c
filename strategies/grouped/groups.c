/* Groups: who gets one, what goes into it, which way it takes, and its end.
 *
 * Invariants: a concert has at most groups_per_concert groups at a time; an operation is in at most
 * one, and leaves it with exactly one answer; what was decided in an attempt that the machine gave
 * up is void; hints choose the way only. */
#include <stdlib.h>

#include "grouped.h"
#include "resvd/assert.h"
#include "resvd/fault.h"

static const struct work_owner group_owner;

/* --- memory -------------------------------------------------------------------------------------
 */

static bool allocate_group(struct grouped *grouped, struct group *group)
{
    const size_t count = grouped->group_max;
    group->grouped = grouped;
    group->requests = calloc(count, sizeof *group->requests);
    group->rows = calloc(count, sizeof *group->rows);
    group->reservations = calloc(count, sizeof *group->reservations);
    group->members = calloc(count, sizeof *group->members);
    group->strangers = calloc(count, sizeof *group->strangers);
    return group->requests != NULL && group->rows != NULL && group->reservations != NULL &&
           group->members != NULL && group->strangers != NULL;
}

bool groups_open(struct grouped *grouped)
{
    grouped->groups = calloc(grouped->groups_count, sizeof *grouped->groups);
    if (grouped->groups == NULL)
        return false;
    for (size_t i = grouped->groups_count; i-- > 0;) {
        struct group *group = &grouped->groups[i];
        if (!allocate_group(grouped, group))
            return false;
        group->next_free = grouped->free_group;
        grouped->free_group = group;
    }
    return true;
}

void groups_close(struct grouped *grouped)
{
    for (size_t i = 0; grouped->groups != NULL && i < grouped->groups_count; i++) {
        struct group *group = &grouped->groups[i];
        free(group->requests);
        free(group->rows);
        free(group->reservations);
        free(group->members);
        free(group->strangers);
    }
    free(grouped->groups);
    grouped->groups = NULL;
}

/* --- answers and ends ---------------------------------------------------------------------------
 */

void groups_schedule(struct grouped *grouped)
{
    if (!grouped->base.closing)
        resv_defer(grouped->base.host, &grouped->flush);
}

void group_answer(struct group *group, struct request *request, enum resv_outcome outcome)
{
    waiting_answer(&group->grouped->waiting, request->op, outcome);
    request->op = NULL;
    groups_schedule(group->grouped);
}

size_t group_size(const struct group *group)
{
    size_t size = 0;
    for (size_t i = 0; i < group->count; i++)
        size += group->requests[i].op != NULL;
    return size;
}

static void release_group(struct group *group)
{
    struct grouped *grouped = group->grouped;
    struct concert *concert = group->concert;
    RESV_ASSERT(group_size(group) == 0 && group->bound);
    concert->groups--;
    if (concert->waiting.count > 0)
        waiting_set_ready(&grouped->waiting, concert);
    else
        waiting_let_go(&grouped->waiting, concert);
    group->concert = NULL;
    group->next_free = grouped->free_group;
    grouped->free_group = group;
    groups_schedule(grouped);
}

static void answer_and_release(struct group *group)
{
    if (group->count > 0)
        resv_metric_observe(group_host(group), &grouped_metrics, METRIC_TRANSACTION_SECONDS,
                            resv_now_ns(group_host(group)) - group->bound_ns);
    for (size_t i = 0; i < group->count; i++) {
        struct request *request = &group->requests[i];
        if (request->op != NULL)
            group_answer(group, request, request->outcome);
    }
    release_group(group);
}

void group_finish(struct group *group)
{
    work_finish(&group->work);
    answer_and_release(group);
}

void group_finish_all(struct group *group, enum resv_outcome outcome)
{
    for (size_t i = 0; i < group->count; i++)
        group->requests[i].outcome = outcome;
    group_finish(group);
}

/* --- the operations of a group ------------------------------------------------------------------
 */

/* What waits now, as much as fits. The group is tried for as long as the last of them may wait. */
static void bind(struct group *group)
{
    struct grouped *grouped = group->grouped;
    struct work *work = &group->work;
    struct resv_op *op;
    work->deadline_ns = 0;
    group->bound = true;
    group->bound_ns = resv_now_ns(grouped->base.host);
    group->concert->groups_unbound--;
    group->count = 0;
    while (group->count < grouped->group_max &&
           (op = waiting_take(&grouped->waiting, group->concert)) != NULL) {
        group->requests[group->count++] = (struct request){.op = op};
        if (op->deadline_ns > work->deadline_ns)
            work->deadline_ns = op->deadline_ns;
    }
    work->doubt_ns = work->deadline_ns + group->grace_ns;
    /* Another group was started for more than are left by now: it waits for nobody. */
    if (group->concert->waiting.count == 0 && group->concert->groups_unbound > 0) {
        grouped->look_for_idle = true;
        groups_schedule(grouped);
    }
    if (group->count == 0)
        return;
    resv_metric_observe(grouped->base.host, &grouped_metrics, METRIC_GROUP_OPERATIONS,
                        group->count);
    if (group->concert->waiting.count > 0 && group->concert->groups < grouped->groups_per_concert) {
        waiting_set_ready(&grouped->waiting, group->concert);
        groups_schedule(grouped);
    }
}

/* Nothing was taken so far: who is not waited for any more need not be part of the next attempt. */
static void drop_cancelled(struct group *group)
{
    for (size_t i = 0; i < group->count; i++) {
        struct request *request = &group->requests[i];
        if (request->op != NULL && grouped_op_of(request->op)->cancelled)
            group_answer(group, request, RESV_CANCELLED);
    }
}

/* --- which way ----------------------------------------------------------------------------------
 */

/* What the requests ask for together, and the least of them. */
static int64_t sum_of_seats(const struct group *group, int64_t *smallest)
{
    int64_t sum = 0;
    *smallest = RESV_INTEGER_MAX;
    for (size_t i = 0; i < group->count; i++) {
        const struct resv_op *op = group->requests[i].op;
        if (op == NULL)
            continue;
        if (op->quantity < *smallest)
            *smallest = op->quantity;
        /* Beyond what any concert holds it does not matter how much. */
        sum = sum + op->quantity > RESV_INTEGER_MAX ? RESV_INTEGER_MAX : sum + op->quantity;
    }
    return sum;
}

static void answer_from_memory(struct group *group)
{
    for (size_t i = 0; i < group->count; i++)
        group->requests[i].outcome = RESV_SOLD_OUT;
    group_finish(group);
}

static void choose_way(struct group *group)
{
    struct grouped *grouped = group->grouped;
    int64_t smallest;
    const int64_t sum = sum_of_seats(group, &smallest);
    const struct concert_hint *hint = hints_find_concert(&grouped->hints, group->concert->id);
    const bool in_doubt = group->work.in_doubt && !RESV_FAULT(in_doubt_goes_plain);
    const bool beyond_any = sum == RESV_INTEGER_MAX;
    if (in_doubt || grouped->hold_ms > 0 || beyond_any) {
        group_go_carefully(group);
    } else if (hint == NULL) {
        group_go_plain(group);
    } else if (hint->exists && smallest > hint->remaining && RESV_FAULT(sold_out_from_memory)) {
        answer_from_memory(group);
    } else if (!hint->exists || smallest > hint->remaining) {
        group_look(group);
    } else if (hint->member_limit != RESV_NO_MEMBER_LIMIT || sum > hint->remaining) {
        group_go_carefully(group);
    } else {
        group_go_plain(group);
    }
}

static void group_begin(struct work *work)
{
    struct group *group = work->data;
    if (!group->bound)
        bind(group);
    else if (!work->in_doubt)
        drop_cancelled(group);
    group_settle_rows(group);
    group->repeats = 0;
    group->read_all = false;
    if (group_size(group) == 0)
        group_finish(group);
    else
        choose_way(group);
}

static void group_gave_up(struct work *work, enum resv_outcome outcome)
{
    struct group *group = work->data;
    if (!group->bound)
        bind(group);
    group_settle_rows(group);
    for (size_t i = 0; i < group->count; i++) {
        struct request *request = &group->requests[i];
        /* Only what was part of a COMMIT can have been taken. */
        request->outcome = outcome == RESV_UNKNOWN && !request->sent ? RESV_UNAVAILABLE : outcome;
    }
    answer_and_release(group);
}

static const struct work_owner group_owner = {
    .begin = group_begin,
    .gave_up = group_gave_up,
    .pool = DATABASE_SALES,
    .retries = true,
};

/* --- the flush point ----------------------------------------------------------------------------
 */

static void start_group(struct grouped *grouped, struct concert *concert)
{
    struct group *group = grouped->free_group;
    grouped->free_group = group->next_free;
    group->concert = concert;
    group->bound = false;
    group->count = 0;
    group->commits_lost = 0;
    concert->groups++;
    concert->groups_unbound++;
    base_prepare_work(&grouped->base, &group->work, concert->waiting.first, &group_owner);
    group->work.data = group;
    /* How long it waits for a session is the pool's to say; the rest, who is in it then. */
    group->grace_ns = group->work.doubt_ns - group->work.deadline_ns;
    group->work.deadline_ns = group->work.doubt_ns = UINT64_MAX;
    work_start(&group->work);
}

/* One group a concert and turn of the line. */
static void start_groups(struct grouped *grouped)
{
    struct concert *concert;
    while (grouped->free_group != NULL &&
           (concert = waiting_take_ready(&grouped->waiting)) != NULL) {
        /* Groups that have no session yet will take what waits. */
        if (concert->waiting.count <= concert->groups_unbound * grouped->group_max ||
            concert->groups >= grouped->groups_per_concert) {
            waiting_let_go(&grouped->waiting, concert);
            continue;
        }
        start_group(grouped, concert);
        if (concert->groups < grouped->groups_per_concert)
            waiting_set_ready(&grouped->waiting, concert);
    }
}

/* Groups that were waiting for a session for operations that have all left since. They must be gone
 * before those are answered: nothing may be under way when the last operation is. */
static void end_idle_groups(struct grouped *grouped)
{
    grouped->look_for_idle = false;
    for (size_t i = 0; i < grouped->groups_count; i++) {
        struct group *group = &grouped->groups[i];
        if (group->concert == NULL || group->bound || group->concert->waiting.count > 0)
            continue;
        bool over = work_cancel(&group->work);
        RESV_ASSERT(over); /* it had not begun */
        bind(group);
        release_group(group);
    }
}

void groups_flush(struct resv_deferred *deferred)
{
    struct grouped *grouped = deferred->data;
    enum resv_outcome outcome;
    if (grouped->look_for_idle)
        end_idle_groups(grouped);
    start_groups(grouped);
    resv_metric_set(grouped->base.host, &grouped_metrics, METRIC_WAITING_OPERATIONS,
                    (int64_t)grouped->waiting.count);
    /* Completing may bring new operations, but not to this list. */
    for (size_t left = grouped->waiting.answers.count; left > 0; left--) {
        struct resv_op *op = waiting_take_answer(&grouped->waiting, &outcome);
        base_complete(&grouped->base, op, outcome);
    }
}

/* --- from outside -------------------------------------------------------------------------------
 */

void groups_add(struct grouped *grouped, struct resv_op *op)
{
    if (waiting_add(&grouped->waiting, op)) {
        const struct concert *concert = grouped_op_of(op)->concert;
        if (concert->groups < grouped->groups_per_concert)
            waiting_set_ready(&grouped->waiting, grouped_op_of(op)->concert);
    } else {
        waiting_answer(&grouped->waiting, op, RESV_UNAVAILABLE);
    }
    groups_schedule(grouped);
}

void groups_cancel(struct grouped *grouped, struct resv_op *op)
{
    switch (grouped_op_of(op)->place) {
    case PLACE_WAITING:
        waiting_answer(&grouped->waiting, op, RESV_CANCELLED);
        grouped->look_for_idle = true;
        groups_schedule(grouped);
        break;
    case PLACE_GROUP: /* ends as is true */
        grouped_op_of(op)->cancelled = true;
        break;
    case PLACE_ANSWERS: /* on its way */
    case PLACE_ELSEWHERE:
        break;
    }
}

void groups_refuse_waiting(struct grouped *grouped, enum resv_outcome outcome)
{
    for (size_t i = 0; i < grouped->waiting.concerts_count; i++) {
        struct concert *concert = &grouped->waiting.concerts[i];
        while (concert->waiting.first != NULL)
            waiting_answer(&grouped->waiting, concert->waiting.first, outcome);
    }
    grouped->look_for_idle = true;
    groups_schedule(grouped);
}

void groups_abandon(struct grouped *grouped)
{
    groups_refuse_waiting(grouped, RESV_UNAVAILABLE);
    end_idle_groups(grouped);
    for (size_t i = 0; i < grouped->groups_count; i++) {
        if (grouped->groups[i].concert != NULL)
            work_abandon(&grouped->groups[i].work);
    }
}
