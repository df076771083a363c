/* A look without a lock: for a concert that is remembered as sold out, or as not there.
 *
 * Invariant: what is answered here was true when the concert was read, at which time every request
 * of the group was waiting already. The rows are read after the concert: whoever has one got it
 * before, and hears of it instead of a refusal, as soon as the row is on disk. Whoever may get
 * seats goes on carefully. */
#include "grouped.h"
#include "resvd/assert.h"

static void answer_one(struct group *group, struct request *request)
{
    switch (request->verdict) {
    case VERDICT_ROW:
    case VERDICT_UNKNOWN_CONCERT:
    case VERDICT_UNKNOWN_MEMBER:
    case VERDICT_SOLD_OUT:
        grouped_answer(group, request, request->outcome);
        break;
    case VERDICT_LIMIT: /* is not looked at here */
    case VERDICT_TAKE:
        break;
    }
}

static void answer(struct work *work, enum database_result result)
{
    struct group *group = work->data;
    RESV_ASSERT(result == DATABASE_DONE);
    for (size_t i = 0; i < group->count; i++) {
        if (group->requests[i].op != NULL)
            answer_one(group, &group->requests[i]);
    }
    if (group_size(group) == 0)
        grouped_finish(group);
    else
        grouped_go_carefully(group);
}

static void looked(struct work *work, enum database_result result)
{
    struct group *group = work->data;
    RESV_ASSERT(result == DATABASE_DONE);
    group_note_concert(group);
    group_note_strangers(group);
    for (size_t i = 0; i < group->count; i++) {
        struct request *request = &group->requests[i];
        if (request->op == NULL)
            continue;
        request->verdict = decide_one(&group->seen, request);
        group_fill_outcome(request);
    }
    if (group_promises_rows(group)) {
        group->steps[0] = (struct database_step){.kind = DATABASE_SYNC};
        work_run(work, group->steps, 1, answer);
    } else {
        answer(work, DATABASE_DONE);
    }
}

void grouped_look(struct group *group)
{
    struct database_step *steps = group->steps;
    size_t count = 0;
    group_prepare_reads(group, false);
    group->concert_step = &steps[count];
    steps[count++] = (struct database_step){.kind = DATABASE_READ_CONCERT,
                                            .concert = {.concert_id = group->concert_id}};
    if (group->reservations_count > 0)
        steps[count++] = (struct database_step){
            .kind = DATABASE_READ_RESERVATIONS,
            .reservations = {.items = group->reservations, .count = group->reservations_count}};
    if (group->strangers_count > 0)
        steps[count++] = (struct database_step){
            .kind = DATABASE_READ_MEMBERS,
            .members = {.items = group->strangers, .count = group->strangers_count}};
    resv_metric_add(group->work.host, &grouped_metrics, METRIC_LOOK, 1);
    work_run(&group->work, steps, count, looked);
}
