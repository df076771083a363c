/* Groups: who gets one, what goes into it, which way it takes, and its end.
 *
 * Invariants: a concert has at most groups_per_concert groups at a time; an operation is in at most
 * one, and leaves it with exactly one answer; what was decided in an attempt that the machine gave
 * up is void; hints choose the way only. */
#include <stdlib.h>

#include "grouped.h"
#include "resvd/assert.h"
#include "resvd/fault.h"

static const struct work_owner owner;

/* --- memory -------------------------------------------------------------------------------------
 */

bool grouped_open_groups(struct grouped *grouped)
{
    grouped->groups = calloc(grouped->groups_count, sizeof *grouped->groups);
    if (grouped->groups == NULL)
        return false;
    for (size_t i = grouped->groups_count; i-- > 0;) {
        struct grouped_group *own = &grouped->groups[i];
        own->grouped = grouped;
        if (!group_allocate(&own->group, &grouped->hints, grouped->group_max))
            return false;
        own->next_free = grouped->free_group;
        grouped->free_group = own;
    }
    return true;
}

void grouped_close_groups(struct grouped *grouped)
{
    for (size_t i = 0; grouped->groups != NULL && i < grouped->groups_count; i++)
        group_free(&grouped->groups[i].group);
    free(grouped->groups);
    grouped->groups = NULL;
}

/* --- answers and ends ---------------------------------------------------------------------------
 */

static void schedule(struct grouped *grouped)
{
    if (!grouped->base.closing)
        resv_defer(grouped->base.host, &grouped->flush);
}

void grouped_answer(struct group *group, struct request *request, enum resv_outcome outcome)
{
    struct grouped *grouped = grouped_group_of(group)->grouped;
    waiting_answer(&grouped->waiting, request->op, outcome);
    request->op = NULL;
    schedule(grouped);
}

static void release_group(struct grouped_group *own)
{
    struct grouped *grouped = own->grouped;
    struct waiting_concert *concert = &own->concert->waiting;
    RESV_ASSERT(group_size(&own->group) == 0 && own->bound);
    concert->entry.users--;
    if (concert->line.count > 0)
        waiting_set_ready(&grouped->waiting, concert);
    else
        waiting_let_go(&grouped->waiting, concert);
    own->concert = NULL;
    own->next_free = grouped->free_group;
    grouped->free_group = own;
    schedule(grouped);
}

static void answer_and_release(struct grouped_group *own)
{
    struct group *group = &own->group;
    struct resv_host *host = own->grouped->base.host;
    if (group->count > 0)
        resv_metric_observe(host, &grouped_metrics, METRIC_TRANSACTION_SECONDS,
                            resv_now_ns(host) - own->bound_ns);
    for (size_t i = 0; i < group->count; i++) {
        struct request *request = &group->requests[i];
        if (request->op != NULL)
            grouped_answer(group, request, request->outcome);
    }
    release_group(own);
}

void grouped_finish(struct group *group)
{
    work_finish(&group->work);
    answer_and_release(grouped_group_of(group));
}

void grouped_finish_all(struct group *group, enum resv_outcome outcome)
{
    for (size_t i = 0; i < group->count; i++)
        group->requests[i].outcome = outcome;
    grouped_finish(group);
}

/* --- the operations of a group ------------------------------------------------------------------
 */

/* What waits now, as much as fits. The group is tried for as long as the last of them may wait. */
static void bind(struct grouped_group *own)
{
    struct grouped *grouped = own->grouped;
    struct group *group = &own->group;
    struct waiting_concert *concert = &own->concert->waiting;
    struct work *work = &group->work;
    struct resv_op *op;
    work->deadline_ns = 0;
    own->bound = true;
    own->bound_ns = resv_now_ns(grouped->base.host);
    own->concert->groups_unbound--;
    group->count = 0;
    while (group->count < group->requests_max &&
           (op = waiting_take(&grouped->waiting, concert)) != NULL) {
        group->requests[group->count++] = (struct request){.op = op};
        if (op->deadline_ns > work->deadline_ns)
            work->deadline_ns = op->deadline_ns;
    }
    work->doubt_ns = work->deadline_ns + own->grace_ns;
    /* Another group was started for more than are left by now: it waits for nobody. */
    if (concert->line.count == 0 && own->concert->groups_unbound > 0) {
        grouped->look_for_idle = true;
        schedule(grouped);
    }
    if (group->count == 0)
        return;
    resv_metric_observe(grouped->base.host, &grouped_metrics, METRIC_GROUP_OPERATIONS,
                        group->count);
    if (concert->line.count > 0 && concert->entry.users < grouped->groups_per_concert) {
        waiting_set_ready(&grouped->waiting, concert);
        schedule(grouped);
    }
}

/* Nothing was taken so far: who is not waited for any more need not be part of the next attempt. */
static void drop_cancelled(struct group *group)
{
    for (size_t i = 0; i < group->count; i++) {
        struct request *request = &group->requests[i];
        if (request->op != NULL && waiting_op_of(request->op)->cancelled)
            grouped_answer(group, request, RESV_CANCELLED);
    }
}

/* --- which way ----------------------------------------------------------------------------------
 */

static void answer_from_memory(struct group *group)
{
    for (size_t i = 0; i < group->count; i++)
        group->requests[i].outcome = RESV_SOLD_OUT;
    grouped_finish(group);
}

static void choose_way(struct group *group)
{
    int64_t smallest;
    const int64_t sum = group_sum_of_seats(group, &smallest);
    const struct concert_hint *hint = hints_find_concert(group->hints, group->concert_id);
    const bool in_doubt = group->work.in_doubt && !RESV_FAULT(in_doubt_goes_plain);
    const bool holds = grouped_group_of(group)->grouped->hold_ms > 0;
    const bool beyond_any = sum == RESV_INTEGER_MAX;
    if (in_doubt || holds || beyond_any) {
        grouped_go_carefully(group);
    } else if (hint == NULL) {
        grouped_go_plain(group);
    } else if (hint->exists && smallest > hint->remaining && RESV_FAULT(sold_out_from_memory)) {
        answer_from_memory(group);
    } else if (!hint->exists || smallest > hint->remaining) {
        grouped_look(group);
    } else if (hint->member_limit != RESV_NO_MEMBER_LIMIT || sum > hint->remaining) {
        grouped_go_carefully(group);
    } else {
        grouped_go_plain(group);
    }
}

static void begin(struct work *work)
{
    struct group *group = work->data;
    struct grouped_group *own = grouped_group_of(group);
    if (!own->bound)
        bind(own);
    else if (!work->in_doubt)
        drop_cancelled(group);
    group_settle_rows(group);
    own->repeats = 0;
    own->read_all = false;
    if (group_size(group) == 0)
        grouped_finish(group);
    else
        choose_way(group);
}

static void gave_up(struct work *work, enum resv_outcome outcome)
{
    struct group *group = work->data;
    struct grouped_group *own = grouped_group_of(group);
    if (!own->bound)
        bind(own);
    group_settle_rows(group);
    for (size_t i = 0; i < group->count; i++) {
        struct request *request = &group->requests[i];
        /* Only what was part of a COMMIT can have been taken. */
        request->outcome = outcome == RESV_UNKNOWN && !request->sent ? RESV_UNAVAILABLE : outcome;
    }
    answer_and_release(own);
}

static const struct work_owner owner = {
    .begin = begin,
    .gave_up = gave_up,
    .pool = DATABASE_SALES,
    .retries = true,
};

/* --- the flush point ----------------------------------------------------------------------------
 */

static void start_group(struct grouped *grouped, struct grouped_concert *concert)
{
    struct grouped_group *own = grouped->free_group;
    struct group *group = &own->group;
    grouped->free_group = own->next_free;
    own->concert = concert;
    own->bound = false;
    group->concert_id = concert->waiting.entry.id;
    group->count = 0;
    group->commits_lost = 0;
    concert->waiting.entry.users++;
    concert->groups_unbound++;
    base_prepare_work(&grouped->base, &group->work, concert->waiting.line.first, &owner);
    group->work.data = group;
    /* How long it waits for a session is the pool's to say; the rest, who is in it then. */
    own->grace_ns = group->work.doubt_ns - group->work.deadline_ns;
    group->work.deadline_ns = group->work.doubt_ns = UINT64_MAX;
    work_start(&group->work);
}

/* One group a concert and turn of the line. */
static void start_groups(struct grouped *grouped)
{
    struct waiting_concert *waiting;
    while (grouped->free_group != NULL &&
           (waiting = waiting_take_ready(&grouped->waiting)) != NULL) {
        struct grouped_concert *concert = (struct grouped_concert *)waiting;
        /* Groups that have no session yet will take what waits. */
        if (waiting->line.count <= concert->groups_unbound * grouped->group_max ||
            waiting->entry.users >= grouped->groups_per_concert) {
            waiting_let_go(&grouped->waiting, waiting);
            continue;
        }
        start_group(grouped, concert);
        if (waiting->entry.users < grouped->groups_per_concert)
            waiting_set_ready(&grouped->waiting, waiting);
    }
}

/* Groups that were waiting for a session for operations that have all left since. They must be gone
 * before those are answered: nothing may be under way when the last operation is. */
static void end_idle_groups(struct grouped *grouped)
{
    grouped->look_for_idle = false;
    for (size_t i = 0; i < grouped->groups_count; i++) {
        struct grouped_group *own = &grouped->groups[i];
        if (own->concert == NULL || own->bound || own->concert->waiting.line.count > 0)
            continue;
        bool over = work_cancel(&own->group.work);
        RESV_ASSERT(over); /* it had not begun */
        bind(own);
        release_group(own);
    }
}

void grouped_flush(struct resv_deferred *deferred)
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

void grouped_add(struct grouped *grouped, struct resv_op *op)
{
    if (waiting_add(&grouped->waiting, op)) {
        struct waiting_concert *concert = waiting_op_of(op)->concert;
        if (concert->entry.users < grouped->groups_per_concert)
            waiting_set_ready(&grouped->waiting, concert);
    } else {
        waiting_answer(&grouped->waiting, op, RESV_UNAVAILABLE);
    }
    schedule(grouped);
}

void grouped_cancel(struct grouped *grouped, struct resv_op *op)
{
    switch (waiting_op_of(op)->place) {
    case PLACE_WAITING:
        waiting_answer(&grouped->waiting, op, RESV_CANCELLED);
        grouped->look_for_idle = true;
        schedule(grouped);
        break;
    case PLACE_GROUP: /* ends as is true */
        waiting_op_of(op)->cancelled = true;
        break;
    case PLACE_ANSWERS: /* on its way */
    case PLACE_ELSEWHERE:
        break;
    }
}

void grouped_refuse_waiting(struct grouped *grouped, enum resv_outcome outcome)
{
    waiting_answer_all(&grouped->waiting, outcome);
    grouped->look_for_idle = true;
    schedule(grouped);
}

void grouped_abandon(struct grouped *grouped)
{
    grouped_refuse_waiting(grouped, RESV_UNAVAILABLE);
    end_idle_groups(grouped);
    for (size_t i = 0; i < grouped->groups_count; i++) {
        if (grouped->groups[i].concert != NULL)
            work_abandon(&grouped->groups[i].group.work);
    }
}
