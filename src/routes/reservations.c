/* Reservations: take a seat, look it up, give it back.
 *
 * POST /api/reservations is the hottest path of the server: no allocation, the body rendered by
 * hand into the answer.
 */
#include <string.h>

#include "append.h"
#include "routes/answer.h"
#include "routes/outcomes.h"
#include "routes/request_metrics.h"
#include "routes/routes_state.h"

#define INTEGER_ERROR    "must be at most 9007199254740991"
#define STATUS_BYTES_MAX 16 /* the longest name of a status */

struct reserve_body {
    int64_t concert_id;
    int64_t member_id;
    int64_t quantity;
};

static const struct field reserve_fields[] = {
    {FIELD_NAME("concertId"), FIELD_INTEGER, true, false, RESV_INTEGER_MAX, INTEGER_ERROR,
     offsetof(struct reserve_body, concert_id)},
    {FIELD_NAME("memberId"), FIELD_INTEGER, true, false, RESV_INTEGER_MAX, INTEGER_ERROR,
     offsetof(struct reserve_body, member_id)},
    {FIELD_NAME("quantity"), FIELD_INTEGER, false, false, RESV_INTEGER_MAX, INTEGER_ERROR,
     offsetof(struct reserve_body, quantity)},
};
#define RESERVE_FIELDS_COUNT (sizeof(reserve_fields) / sizeof(reserve_fields[0]))

/* --- bodies ---------------------------------------------------------------------------------- */

/* {"id":"…", "requestId":"…", three integers of 16 digits, a status}: */
_Static_assert(2 * (UUID_TEXT_BYTES + 24) + 3 * (APPEND_U64_BYTES_MAX + 16) + STATUS_BYTES_MAX +
                       16 <=
                   ANSWER_INLINE_BYTES,
               "a reservation fits into the answer");

static char *append_member_id(char *at, const char *name_and_colon, const struct resv_id *id)
{
    at = append_bytes(at, name_and_colon, strlen(name_and_colon));
    at = append_literal(at, "\"");
    at = append_id(at, id);
    return append_literal(at, "\",");
}

static size_t render_reservation(char *body, const struct resv_op *op, enum call_form form)
{
    const struct resv_reservation *reservation = &op->reservation;
    char *at = append_literal(body, "{");
    if (form == CALL_FORM_STUDY_REQUEST) {
        at = append_member_id(at, "\"requestId\":", &op->id);
        at = append_member_id(at, "\"reservationId\":", &op->id);
    } else {
        at = append_member_id(at, "\"id\":", &op->id);
    }
    if (form == CALL_FORM_STUDY_ASYNC)
        at = append_member_id(at, "\"requestId\":", &op->id);
    at = append_literal(at, "\"concertId\":");
    at = append_u64(at, (uint64_t)reservation->concert_id);
    at = append_literal(at, ",\"memberId\":");
    at = append_u64(at, (uint64_t)reservation->member_id);
    if (form != CALL_FORM_STUDY_REQUEST) {
        at = append_literal(at, ",\"quantity\":");
        at = append_u64(at, (uint64_t)reservation->quantity);
    }
    at = append_literal(at, ",\"status\":\"");
    const char *status = resv_status_name(reservation->status);
    at = append_bytes(at, status, strlen(status));
    at = append_literal(at, "\"}");
    return (size_t)(at - body);
}

static void answer_reservation(struct call *call, const struct resv_op *op)
{
    size_t size = render_reservation(call->answer.inline_body, op, call->form);
    answer_inline(call, outcome_answers[op->outcome].status, CONTENT_JSON, size);
}

/* --- reserving ------------------------------------------------------------------------------- */

static void reserve_done(struct resv_op *op)
{
    request_metrics_reservation(op);
    struct call *call = routes_detach(op);
    if (call == NULL || outcome_refuse(call, op))
        return;
    call->answer.has_location = true;
    call->answer.location = op->id;
    call->answer.replay = op->reservation.replay;
    answer_reservation(call, op);
}

static void make_id(struct routes *routes, struct resv_id *id)
{
    if (routes->random_used == sizeof(routes->random)) {
        resv_random_bytes(routes->context.host, routes->random, sizeof(routes->random));
        routes->random_used = 0;
    }
    uuid_v7(&routes->uuid, resv_wall_ms(routes->context.host), routes->random + routes->random_used,
            id);
    routes->random_used += ROUTES_RANDOM_BYTES;
}

static bool read_reserve_body(const struct route_call *self, struct reserve_body *body)
{
    struct json_document document;
    if (!routes_parse_body(self, &document))
        return false;
    struct field_errors *errors = &self->routes->errors;
    errors->count = 0;
    *body = (struct reserve_body){.quantity = 1};
    fields_read(&document, 0, reserve_fields, RESERVE_FIELDS_COUNT, body, FIELD_NO_ELEMENT, errors);
    if (errors->count == 0)
        return true;
    routes_answer_errors(self);
    return false;
}

void route_reserve(const struct route_call *self)
{
    struct routes *routes = self->routes;
    struct reserve_body body;
    struct resv_id id;
    if (!read_reserve_body(self, &body))
        return;
    bool keyed = self->request->idempotency_key.data != NULL;
    if (keyed) {
        uuid_v5_of_key(body.member_id, self->request->idempotency_key, &id);
        if (dispatcher_find_keyed(routes->context.dispatcher, &id) != NULL) {
            answer_problem_with(self->call, PROBLEM_IN_PROGRESS, NULL, &id, NULL);
            return;
        }
    } else {
        make_id(routes, &id);
    }
    struct resv_op *op = routes_take(self, RESV_OP_RESERVE);
    if (op == NULL)
        return;
    op->id = id;
    op->keyed = keyed;
    op->concert_id = body.concert_id;
    op->member_id = body.member_id;
    op->quantity = body.quantity;
    routes_submit(self, op, reserve_done);
}

void route_reserve_async(const struct route_call *self)
{
    if (self->routes->context.study_api)
        self->call->form = CALL_FORM_STUDY_ASYNC;
    route_reserve(self);
}

/* --- looking up and releasing ---------------------------------------------------------------- */

static void submit_for_id(const struct route_call *self, enum resv_op_kind kind,
                          void (*done)(struct resv_op *op))
{
    struct resv_id id;
    if (!uuid_parse(self->parameter, &id)) {
        answer_problem_with(self->call, PROBLEM_NOT_FOUND, "There is no reservation with this id.",
                            NULL, NULL);
        return;
    }
    struct resv_op *op = routes_take(self, kind);
    if (op == NULL)
        return;
    op->id = id;
    routes_submit(self, op, done);
}

static void lookup_done(struct resv_op *op)
{
    struct call *call = routes_detach(op);
    if (call == NULL || outcome_refuse(call, op))
        return;
    answer_reservation(call, op);
}

void route_reservation_get(const struct route_call *self)
{
    submit_for_id(self, RESV_OP_LOOKUP, lookup_done);
}

void route_study_request(const struct route_call *self)
{
    self->call->form = CALL_FORM_STUDY_REQUEST;
    submit_for_id(self, RESV_OP_LOOKUP, lookup_done);
}

static void release_done(struct resv_op *op)
{
    struct call *call = routes_detach(op);
    if (call == NULL || outcome_refuse(call, op))
        return;
    uint16_t status = outcome_answers[op->outcome].status;
    if (op->outcome == RESV_RELEASED) {
        answer_empty(call, status);
        return;
    }
    /* Where the release can be seen to have happened. */
    call->answer.has_location = true;
    call->answer.location = op->id;
    char *body = call->answer.inline_body;
    char *at = append_literal(body, "{\"id\":\"");
    at = append_id(at, &op->id);
    at = append_literal(at, "\"}");
    answer_inline(call, status, CONTENT_JSON, (size_t)(at - body));
}

void route_reservation_release(const struct route_call *self)
{
    submit_for_id(self, RESV_OP_RELEASE, release_done);
}
