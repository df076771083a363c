/* Members for the admin: make one or many. */
#include <stdlib.h>

#include "routes/answer.h"
#include "routes/concert_json.h"
#include "routes/outcomes.h"
#include "routes/routes_state.h"

static const struct field member_fields[] = {
    {FIELD_NAME("name"), FIELD_TEXT, true, false, 0, NULL, offsetof(struct resv_member, name)},
};

static void create_done(struct resv_op *op)
{
    struct call *call = routes_detach(op);
    if (call != NULL && !outcome_refuse(call, op)) {
        const struct resv_catalog_request *made = op->catalog;
        cJSON *item = call->form == CALL_FORM_ARRAY ? members_json(made->members, made->count)
                                                    : member_json(&made->members[0]);
        answer_json(call, outcome_answers[op->outcome].status, CONTENT_JSON, item);
    }
    routes_catalog_done(op);
}

static void submit_create(const struct route_call *self, struct resv_member *members, size_t count)
{
    struct resv_op *op = routes_take_catalog(self, RESV_OP_MEMBER_CREATE);
    if (op == NULL) {
        free(members);
        return;
    }
    op->catalog->members = members;
    op->catalog->count = count;
    routes_submit(self, op, create_done);
}

void route_member_create(const struct route_call *self)
{
    struct json_document document;
    size_t count;
    if (!routes_parse_body(self, &document) || !routes_count_elements(self, &document, &count))
        return;
    struct resv_member *members = calloc(count, sizeof(*members));
    if (members == NULL) {
        answer_problem(self->call, PROBLEM_UNAVAILABLE);
        return;
    }
    for (size_t i = 0, token = 0; i < count; i++) {
        size_t element = routes_next_element(self, &document, i, &token);
        fields_read(&document, token, member_fields, 1, &members[i], element,
                    &self->routes->errors);
    }
    if (self->routes->errors.count > 0) {
        free(members);
        routes_answer_errors(self);
        return;
    }
    submit_create(self, members, count);
}
