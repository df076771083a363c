/* Members for everybody: one by id. */
#include "routes/answer.h"
#include "routes/concert_json.h"
#include "routes/outcomes.h"
#include "routes/routes_state.h"

static void get_done(struct resv_op *op)
{
    struct call *call = routes_detach(op);
    if (call != NULL && !outcome_refuse(call, op))
        answer_json(call, outcome_answers[op->outcome].status, CONTENT_JSON,
                    member_json(&op->catalog->members[0]));
    routes_catalog_done(op);
}

void route_member_get(const struct route_call *self)
{
    int64_t id;
    if (!routes_parse_number(self->parameter, &id)) {
        answer_problem_with(self->call, PROBLEM_NOT_FOUND, "There is no member with this id.", NULL,
                            NULL);
        return;
    }
    struct resv_op *op = routes_take_catalog(self, RESV_OP_MEMBER_GET);
    if (op == NULL)
        return;
    op->member_id = id;
    routes_submit(self, op, get_done);
}
