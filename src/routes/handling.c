/* What several handlers do the same way: read a body, take an operation, let go of it. */
#include <stdio.h>

#include "op/catalog_request.h"
#include "routes/answer.h"
#include "routes/query.h"
#include "routes/routes_state.h"
#include "json/json_build.h"

#define LIMIT_DEFAULT 50
#define LIMIT_MAX     1000
#define LIMIT_ERROR   "must be a whole number from 1 to 1000"

bool routes_parse_body(const struct route_call *self, struct json_document *document)
{
    *document =
        (struct json_document){.tokens = self->routes->tokens, .tokens_max = ROUTES_TOKENS_MAX};
    struct text body = self->request->body;
    struct json_error error;
    if (json_parse(document, body.size > 0 ? body.data : "", body.size, &error))
        return true;
    char detail[160];
    snprintf(detail, sizeof(detail), "The body is not valid JSON: %s, at byte %zu.", error.what,
             error.offset);
    answer_problem_with(self->call, PROBLEM_MALFORMED_JSON, detail, NULL, NULL);
    return false;
}

static bool add_error(cJSON *errors, const char *field, const char *detail)
{
    cJSON *error = cJSON_CreateObject();
    bool good = json_build_add(error, "field", cJSON_CreateString(field)) &&
                json_build_add(error, "detail", cJSON_CreateString(detail));
    if (good)
        return json_build_add(errors, NULL, error);
    cJSON_Delete(error);
    return false;
}

void routes_answer_errors(const struct route_call *self)
{
    const struct field_errors *found = &self->routes->errors;
    cJSON *errors = cJSON_CreateArray();
    bool good = errors != NULL;
    for (size_t i = 0; good && i < found->count && i < FIELD_ERRORS_MAX; i++)
        good = add_error(errors, found->listed[i].field, found->listed[i].detail);
    if (!good) {
        cJSON_Delete(errors);
        answer_problem(self->call, PROBLEM_INVALID_FIELDS);
        return;
    }
    char detail[96];
    if (found->count == 1)
        snprintf(detail, sizeof(detail), "One field is not valid.");
    else if (found->count <= FIELD_ERRORS_MAX)
        snprintf(detail, sizeof(detail), "%zu fields are not valid.", found->count);
    else
        snprintf(detail, sizeof(detail), "%zu fields are not valid; the first %d are listed.",
                 found->count, FIELD_ERRORS_MAX);
    answer_problem_with(self->call, PROBLEM_INVALID_FIELDS, detail, NULL, errors);
}

void routes_answer_error(const struct route_call *self, const char *field, const char *detail)
{
    self->routes->errors.count = 0;
    field_errors_add(&self->routes->errors, FIELD_NO_ELEMENT, (struct text){field, strlen(field)},
                     detail);
    routes_answer_errors(self);
}

bool routes_count_elements(const struct route_call *self, const struct json_document *document,
                           size_t *count)
{
    const struct json_token *value = &document->tokens[0];
    self->routes->errors.count = 0;
    *count = 1;
    if (value->type != JSON_ARRAY)
        return true;
    self->call->form = CALL_FORM_ARRAY;
    *count = value->count;
    if (value->count > 0)
        return true;
    routes_answer_error(self, "body", "must hold at least one object");
    return false;
}

size_t routes_next_element(const struct route_call *self, const struct json_document *document,
                           size_t index, size_t *token)
{
    if (self->call->form != CALL_FORM_ARRAY)
        return FIELD_NO_ELEMENT;
    *token = index == 0 ? 1 : document->tokens[*token].next;
    return index;
}

struct resv_op *routes_take(const struct route_call *self, enum resv_op_kind kind)
{
    struct resv_op *op = dispatcher_take(self->routes->context.dispatcher, kind);
    if (op == NULL)
        answer_problem(self->call, PROBLEM_UNAVAILABLE);
    return op;
}

struct resv_op *routes_take_catalog(const struct route_call *self, enum resv_op_kind kind)
{
    struct resv_op *op = routes_take(self, kind);
    if (op == NULL)
        return NULL;
    op->catalog = catalog_request_create();
    if (op->catalog == NULL) {
        dispatcher_give_back(self->routes->context.dispatcher, op);
        answer_problem(self->call, PROBLEM_UNAVAILABLE);
        return NULL;
    }
    return op;
}

void routes_catalog_give_back(const struct route_call *self, struct resv_op *op)
{
    catalog_request_free(op->catalog);
    op->catalog = NULL;
    dispatcher_give_back(self->routes->context.dispatcher, op);
}

void routes_submit(const struct route_call *self, struct resv_op *op,
                   void (*done)(struct resv_op *op))
{
    self->call->op = op;
    dispatcher_submit(self->routes->context.dispatcher, op, self->call, done);
}

struct call *routes_detach(struct resv_op *op)
{
    struct call *call = op->client;
    if (call != NULL)
        call->op = NULL;
    return call;
}

/* An operation whose client was told UNKNOWN before its end is still SUBMITTED: the store may be
 * writing into the request, and the dispatcher frees it when the operation has ended. */
void routes_catalog_done(struct resv_op *op)
{
    if (op->state != RESV_OP_DONE)
        return;
    catalog_request_free(op->catalog);
    op->catalog = NULL;
}

void routes_read_limit(const struct route_call *self, int64_t *limit)
{
    struct text value;
    char buffer[32];
    *limit = LIMIT_DEFAULT;
    enum query_result result =
        query_find(self->request->query, TEXT("limit"), buffer, sizeof(buffer), &value);
    if (result == QUERY_BAD ||
        (result == QUERY_GIVEN && (!routes_parse_number(value, limit) || *limit > LIMIT_MAX)))
        field_errors_add(&self->routes->errors, FIELD_NO_ELEMENT, TEXT("limit"), LIMIT_ERROR);
}

bool routes_parse_number(struct text text, int64_t *number)
{
    if (text.size < 1 || text.size > 16 || text.data[0] == '0')
        return false;
    int64_t value = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        value = value * 10 + (text.data[i] - '0');
    }
    if (value > RESV_INTEGER_MAX)
        return false;
    *number = value;
    return true;
}
