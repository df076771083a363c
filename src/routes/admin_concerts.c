/* Concerts for the admin: make one or many, change one. */
#include <stdlib.h>

#include "routes/answer.h"
#include "routes/concert_json.h"
#include "routes/outcomes.h"
#include "routes/routes_state.h"

#define INTEGER_ERROR "must be at most 9007199254740991"

/* Bit i of what fields_read gives is 1 << i, which is enum resv_concert_field by this order. */
enum { TITLE, VENUE, STARTS_AT, CAPACITY, MEMBER_LIMIT, FIELD_COUNT };
_Static_assert(RESV_CONCERT_TITLE == 1 << TITLE && RESV_CONCERT_VENUE == 1 << VENUE &&
                   RESV_CONCERT_STARTS_AT == 1 << STARTS_AT &&
                   RESV_CONCERT_CAPACITY == 1 << CAPACITY &&
                   RESV_CONCERT_MEMBER_LIMIT == 1 << MEMBER_LIMIT,
               "the order of the fields");

#define CONCERT_FIELDS(is_new)                                                                     \
    {                                                                                              \
        [TITLE] = {FIELD_NAME("title"),                                                            \
                   FIELD_TEXT,                                                                     \
                   is_new,                                                                         \
                   false,                                                                          \
                   0,                                                                              \
                   NULL,                                                                           \
                   offsetof(struct resv_concert, title)},                                          \
        [VENUE] = {FIELD_NAME("venue"),                                                            \
                   FIELD_TEXT,                                                                     \
                   false,                                                                          \
                   true,                                                                           \
                   0,                                                                              \
                   NULL,                                                                           \
                   offsetof(struct resv_concert, venue)},                                          \
        [STARTS_AT] = {FIELD_NAME("startsAt"),                                                     \
                       FIELD_TIME,                                                                 \
                       false,                                                                      \
                       true,                                                                       \
                       0,                                                                          \
                       NULL,                                                                       \
                       offsetof(struct resv_concert, starts_at_ms)},                               \
        [CAPACITY] = {FIELD_NAME("capacity"),                                                      \
                      FIELD_INTEGER,                                                               \
                      is_new,                                                                      \
                      false,                                                                       \
                      RESV_INTEGER_MAX,                                                            \
                      INTEGER_ERROR,                                                               \
                      offsetof(struct resv_concert, capacity)},                                    \
        [MEMBER_LIMIT] = {FIELD_NAME("memberLimit"),                                               \
                          FIELD_INTEGER,                                                           \
                          false,                                                                   \
                          true,                                                                    \
                          RESV_INTEGER_MAX,                                                        \
                          INTEGER_ERROR,                                                           \
                          offsetof(struct resv_concert, member_limit)},                            \
    }
static const struct field create_fields[FIELD_COUNT] = CONCERT_FIELDS(true);
static const struct field update_fields[FIELD_COUNT] = CONCERT_FIELDS(false);

static struct resv_concert *allocate(size_t count)
{
    struct resv_concert *concerts = calloc(count, sizeof(*concerts));
    for (size_t i = 0; concerts != NULL && i < count; i++)
        concerts[i].starts_at_ms = INT64_MIN;
    return concerts;
}

/* --- making ---------------------------------------------------------------------------------- */

static void create_done(struct resv_op *op)
{
    struct call *call = routes_detach(op);
    if (call != NULL && !outcome_refuse(call, op)) {
        const struct resv_catalog_request *made = op->catalog;
        cJSON *item = call->form == CALL_FORM_ARRAY ? concerts_json(made->concerts, made->count)
                                                    : concert_json(&made->concerts[0]);
        answer_json(call, outcome_answers[op->outcome].status, CONTENT_JSON, item);
    }
    routes_catalog_done(op);
}

static void submit_create(const struct route_call *self, struct resv_concert *concerts,
                          size_t count)
{
    struct resv_op *op = routes_take_catalog(self, RESV_OP_CONCERT_CREATE);
    if (op == NULL) {
        free(concerts);
        return;
    }
    op->catalog->concerts = concerts;
    op->catalog->count = count;
    routes_submit(self, op, create_done);
}

void route_concert_create(const struct route_call *self)
{
    struct json_document document;
    size_t count;
    if (!routes_parse_body(self, &document) || !routes_count_elements(self, &document, &count))
        return;
    struct resv_concert *concerts = allocate(count);
    if (concerts == NULL) {
        answer_problem(self->call, PROBLEM_UNAVAILABLE);
        return;
    }
    for (size_t i = 0, token = 0; i < count; i++) {
        size_t element = routes_next_element(self, &document, i, &token);
        fields_read(&document, token, create_fields, FIELD_COUNT, &concerts[i], element,
                    &self->routes->errors);
    }
    if (self->routes->errors.count > 0) {
        free(concerts);
        routes_answer_errors(self);
        return;
    }
    submit_create(self, concerts, count);
}

/* --- changing -------------------------------------------------------------------------------- */

static void update_done(struct resv_op *op)
{
    struct call *call = routes_detach(op);
    if (call != NULL && !outcome_refuse(call, op))
        answer_json(call, 200, CONTENT_JSON, concert_json(&op->catalog->concerts[0]));
    routes_catalog_done(op);
}

static void submit_update(const struct route_call *self, int64_t id,
                          const struct resv_concert *concert, unsigned fields)
{
    struct resv_op *op = routes_take_catalog(self, RESV_OP_CONCERT_UPDATE);
    if (op == NULL)
        return;
    op->catalog->concerts = allocate(1);
    if (op->catalog->concerts == NULL) {
        routes_catalog_give_back(self, op);
        answer_problem(self->call, PROBLEM_UNAVAILABLE);
        return;
    }
    op->concert_id = id;
    op->catalog->concerts[0] = *concert;
    op->catalog->concerts[0].id = id;
    op->catalog->count = 1;
    op->catalog->fields = fields;
    routes_submit(self, op, update_done);
}

void route_concert_update(const struct route_call *self)
{
    struct json_document document;
    struct resv_concert concert = {.starts_at_ms = INT64_MIN};
    int64_t id;
    if (!routes_parse_number(self->parameter, &id)) {
        answer_problem_with(self->call, PROBLEM_NOT_FOUND, "There is no concert with this id.",
                            NULL, NULL);
        return;
    }
    if (!routes_parse_body(self, &document))
        return;
    struct field_errors *errors = &self->routes->errors;
    errors->count = 0;
    unsigned fields =
        fields_read(&document, 0, update_fields, FIELD_COUNT, &concert, FIELD_NO_ELEMENT, errors);
    if (fields == 0 && errors->count == 0)
        field_errors_add(errors, FIELD_NO_ELEMENT, TEXT("body"), "must hold a field to change");
    if (errors->count > 0) {
        routes_answer_errors(self);
        return;
    }
    submit_update(self, id, &concert, fields);
}
