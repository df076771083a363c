/* The audit: does every number of seats agree with every other? And making them agree. */
#include "resvd/assert.h"
#include "routes/answer.h"
#include "routes/concert_json.h"
#include "routes/outcomes.h"
#include "routes/routes_state.h"
#include "json/json_build.h"

/* -1 stands for a number that this strategy does not have. */
static bool add_seats(cJSON *item, const char *name, int64_t seats)
{
    return seats < 0 || json_build_add(item, name, json_build_integer(seats));
}

static cJSON *line_json(const struct resv_audit_line *line)
{
    cJSON *item = cJSON_CreateObject();
    bool good = json_build_add(item, "id", json_build_integer(line->concert_id)) &&
                json_build_add(item, "capacity", json_build_integer(line->capacity)) &&
                json_build_add(item, "sold", json_build_integer(line->sold)) &&
                json_build_add(item, "live", json_build_integer(line->live)) &&
                add_seats(item, "stock", line->stock) &&
                add_seats(item, "pending", line->pending) &&
                json_build_add(item, "consistent", cJSON_CreateBool(line->consistent));
    return json_when_good(item, good);
}

static cJSON *lines_json(const struct resv_audit_line *lines, size_t count)
{
    cJSON *array = cJSON_CreateArray();
    bool good = array != NULL;
    for (size_t i = 0; good && i < count; i++)
        good = json_build_add(array, NULL, line_json(&lines[i]));
    return json_when_good(array, good);
}

static void audit_done(struct resv_op *op)
{
    struct call *call = routes_detach(op);
    if (call != NULL && !outcome_refuse(call, op)) {
        const struct resv_catalog_request *audit = op->catalog;
        cJSON *item = cJSON_CreateObject();
        bool good = json_build_add(item, "consistent", cJSON_CreateBool(audit->audit_consistent)) &&
                    json_build_add(item, "concerts", lines_json(audit->audit, audit->audit_count));
        answer_json(call, outcome_answers[op->outcome].status, CONTENT_JSON,
                    json_when_good(item, good));
    }
    routes_catalog_done(op);
}

void route_audit(const struct route_call *self)
{
    struct resv_op *op = routes_take_catalog(self, RESV_OP_AUDIT);
    if (op != NULL)
        routes_submit(self, op, audit_done);
}

static void reconcile_done(struct resv_op *op)
{
    struct call *call = routes_detach(op);
    if (call != NULL && !outcome_refuse(call, op)) {
        RESV_ASSERT(op->catalog->audit_count == 1);
        answer_json(call, 200, CONTENT_JSON, line_json(&op->catalog->audit[0]));
    }
    routes_catalog_done(op);
}

/* Of asynchronous strategies; the router has refused this for all others. */
void route_reconcile(const struct route_call *self)
{
    int64_t id;
    if (!routes_parse_number(self->parameter, &id)) {
        answer_problem_with(self->call, PROBLEM_NOT_FOUND, "There is no concert with this id.",
                            NULL, NULL);
        return;
    }
    struct resv_op *op = routes_take_catalog(self, RESV_OP_RECONCILE);
    if (op == NULL)
        return;
    op->concert_id = id;
    routes_submit(self, op, reconcile_done);
}
