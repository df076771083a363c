/* The state of the routes, and what their files share; for this folder only. */
#ifndef RESVD_ROUTES_ROUTES_STATE_H
#define RESVD_ROUTES_ROUTES_STATE_H

#include "routes/fields.h"
#include "routes/routes.h"
#include "uuid.h"
#include "json/json.h"

#define ROUTES_RANDOM_BYTES   10    /* that a UUIDv7 takes */
#define ROUTES_RANDOM_AT_ONCE 128   /* how many of those are asked of the host together */
#define ROUTES_TARGET_BYTES   8192  /* longest request target that the HTTP layer lets through */
#define ROUTES_TOKENS_MAX     8256  /* a body of 16 KiB cannot hold more values than half of it */
#define ROUTES_BODY_BYTES     16384 /* longest body that the HTTP layer lets through */

struct routes {
    struct routes_context context;
    struct uuid_v7_state uuid;
    uint8_t random[ROUTES_RANDOM_AT_ONCE * ROUTES_RANDOM_BYTES];
    size_t random_used;
    /* Scratch, used within one routes_dispatch only. */
    char path[ROUTES_TARGET_BYTES];
    struct json_token tokens[ROUTES_TOKENS_MAX];
    struct field_errors errors;
};

/* A request whose route has been found. */
struct route_call {
    struct routes *routes;
    struct call *call;
    const struct call_request *request;
    struct text parameter; /* the {…} of the path, decoded; within routes->path */
};

/* Parses the body. False when the answer has been given: 400. */
bool routes_parse_body(const struct route_call *self, struct json_document *document);
/* 422 with all of routes->errors. */
void routes_answer_errors(const struct route_call *self);
/* 422 with one. */
void routes_answer_error(const struct route_call *self, const char *field, const char *detail);
/* For a body that is one object or an array of them: the number of objects, at least 1. False when
 * the answer has been given: 422 for an empty array. Sets the call's form and clears errors. */
bool routes_count_elements(const struct route_call *self, const struct json_document *document,
                           size_t *count);
/* Moves *token, 0 before the first, to element `index`; returns the element for fields_read. */
size_t routes_next_element(const struct route_call *self, const struct json_document *document,
                           size_t index, size_t *token);
/* Takes an operation for the call, or answers 503 and gives NULL. */
struct resv_op *routes_take(const struct route_call *self, enum resv_op_kind kind);
/* The same with a catalog request. */
struct resv_op *routes_take_catalog(const struct route_call *self, enum resv_op_kind kind);
/* Gives a catalog operation back that was never submitted, and frees its request. */
void routes_catalog_give_back(const struct route_call *self, struct resv_op *op);
void routes_submit(const struct route_call *self, struct resv_op *op,
                   void (*done)(struct resv_op *op));
/* The call that waits for an operation that is done, NULL when it has gone. */
struct call *routes_detach(struct resv_op *op);
/* Frees what belongs to a catalog operation, at the end of its done. */
void routes_catalog_done(struct resv_op *op);
/* The query's `limit` of a list, 1..1000, 50 when it is not given; else an error more. */
void routes_read_limit(const struct route_call *self, int64_t *limit);
/* A decimal number 1..RESV_INTEGER_MAX as it stands in a path: "7", not "07" nor "+7". */
bool routes_parse_number(struct text text, int64_t *number);

/* The handlers, one a route. */
void route_reserve(const struct route_call *self);
void route_reserve_async(const struct route_call *self);
void route_reservation_get(const struct route_call *self);
void route_reservation_release(const struct route_call *self);
void route_concert_list(const struct route_call *self);
void route_concert_get(const struct route_call *self);
void route_member_get(const struct route_call *self);
void route_concert_create(const struct route_call *self);
void route_concert_update(const struct route_call *self);
void route_member_create(const struct route_call *self);
void route_reset(const struct route_call *self);
void route_audit(const struct route_call *self);
void route_reconcile(const struct route_call *self);
void route_dead_letter_list(const struct route_call *self);
void route_dead_letter_retry(const struct route_call *self);
void route_livez(const struct route_call *self);
void route_readyz(const struct route_call *self);
void route_metrics(const struct route_call *self);
void route_problem_page(const struct route_call *self);
void route_openapi(const struct route_call *self);
void route_study_init(const struct route_call *self);
void route_study_request(const struct route_call *self);

#endif
