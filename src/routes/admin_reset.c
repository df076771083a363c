/* POST /admin/reset: everything goes, and so many concerts and members are made anew. */
#include <inttypes.h>
#include <stdio.h>

#include "log.h"
#include "routes/answer.h"
#include "routes/concert_json.h"
#include "routes/outcomes.h"
#include "routes/routes_state.h"
#include "json/json_build.h"

struct reset_body {
    int64_t concerts;
    int64_t capacity;
    int64_t members;
};

static const struct field reset_fields[] = {
    {FIELD_NAME("concerts"), FIELD_INTEGER, true, false, 10000, "must be at most 10000",
     offsetof(struct reset_body, concerts)},
    {FIELD_NAME("capacity"), FIELD_INTEGER, true, false, RESV_INTEGER_MAX,
     "must be at most 9007199254740991", offsetof(struct reset_body, capacity)},
    {FIELD_NAME("members"), FIELD_INTEGER, true, false, 1000000, "must be at most 1000000",
     offsetof(struct reset_body, members)},
};

/* Everything that was there is gone: that is told, whoever asked for it. */
static void log_reset(const struct resv_op *op)
{
    const struct resv_catalog_request *reset = op->catalog;
    char numbers[3][24];
    snprintf(numbers[0], sizeof(numbers[0]), "%" PRId64, reset->reset_concerts);
    snprintf(numbers[1], sizeof(numbers[1]), "%" PRId64, reset->reset_capacity);
    snprintf(numbers[2], sizeof(numbers[2]), "%" PRId64, reset->reset_members);
    log_event(RESV_LOG_INFO, "everything was deleted and made anew", "concerts", numbers[0],
              "capacity", numbers[1], "members", numbers[2], NULL);
}

static void reset_done(struct resv_op *op)
{
    struct call *call = routes_detach(op);
    if (op->outcome == RESV_STORED)
        log_reset(op);
    if (call != NULL && !outcome_refuse(call, op)) {
        const struct resv_catalog_request *reset = op->catalog;
        cJSON *item = cJSON_CreateObject();
        bool good = json_build_add(item, "concerts", json_build_integer(reset->reset_concerts)) &&
                    json_build_add(item, "capacity", json_build_integer(reset->reset_capacity)) &&
                    json_build_add(item, "members", json_build_integer(reset->reset_members));
        answer_json(call, 200, CONTENT_JSON, json_when_good(item, good));
    }
    routes_catalog_done(op);
}

void route_reset(const struct route_call *self)
{
    struct json_document document;
    struct reset_body body = {0};
    if (!routes_parse_body(self, &document))
        return;
    self->routes->errors.count = 0;
    fields_read(&document, 0, reset_fields, sizeof(reset_fields) / sizeof(reset_fields[0]), &body,
                FIELD_NO_ELEMENT, &self->routes->errors);
    if (self->routes->errors.count > 0) {
        routes_answer_errors(self);
        return;
    }
    struct resv_op *op = routes_take_catalog(self, RESV_OP_RESET);
    if (op == NULL)
        return;
    op->catalog->reset_concerts = body.concerts;
    op->catalog->reset_capacity = body.capacity;
    op->catalog->reset_members = body.members;
    routes_submit(self, op, reset_done);
}
