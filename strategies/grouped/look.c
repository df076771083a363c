/* A look without a lock: for a concert that is remembered as sold out, or as not there.
 *
 * Invariant: what is answered here was true when the concert was read, at which time every request
 * of the group was waiting already. The rows are read after the concert: whoever has one got it
 * before, and hears of it instead of a refusal. Whoever may get seats goes on carefully. */
#include "grouped.h"
#include "resvd/assert.h"

static void answer_one(struct group *group, struct request *request)
{
    struct resv_op *op = request->op;
    switch (decide_one(&group->seen, request)) {
    case VERDICT_ROW:
        group_answer(group, request, base_answer_from_row(op, &request->found->row, false));
        break;
    case VERDICT_UNKNOWN_CONCERT:
        group_answer(group, request, RESV_UNKNOWN_CONCERT);
        break;
    case VERDICT_UNKNOWN_MEMBER:
        group_answer(group, request, RESV_UNKNOWN_MEMBER);
        break;
    case VERDICT_SOLD_OUT:
        group_answer(group, request, RESV_SOLD_OUT);
        break;
    case VERDICT_LIMIT: /* is not looked at here */
    case VERDICT_TAKE:
        break;
    }
}

static void looked(struct work *work, enum database_result result)
{
    struct group *group = work->data;
    RESV_ASSERT(result == DATABASE_DONE);
    group_note_concert(group);
    group_note_strangers(group);
    for (size_t i = 0; i < group->count; i++) {
        if (group->requests[i].op != NULL)
            answer_one(group, &group->requests[i]);
    }
    if (group_size(group) == 0)
        group_finish(group);
    else
        group_go_carefully(group);
}

void group_look(struct group *group)
{
    struct database_step *steps = group->steps;
    size_t count = 0;
    group_prepare_reads(group, false);
    group->concert_step = &steps[count];
    steps[count++] = (struct database_step){.kind = DATABASE_READ_CONCERT,
                                            .concert = {.concert_id = group->concert->id}};
    if (group->reservations_count > 0)
        steps[count++] = (struct database_step){
            .kind = DATABASE_READ_RESERVATIONS,
            .reservations = {.items = group->reservations, .count = group->reservations_count}};
    if (group->strangers_count > 0)
        steps[count++] = (struct database_step){
            .kind = DATABASE_READ_MEMBERS,
            .members = {.items = group->strangers, .count = group->strangers_count}};
    resv_metric_add(group_host(group), &grouped_metrics, METRIC_LOOK, 1);
    work_run(&group->work, steps, count, looked);
}
