/* A call: one request as the routes see it, and the answer that they give.
 *
 * The HTTP layer embeds a struct call in its exchange, passes it to routes_dispatch with the
 * request, and is told by `answered`, exactly once, from inside routes_dispatch or later on the
 * loop thread. It renders status line, Date, Content-Length, Connection and the extra headers
 * that the answer asks for; routes render the body.
 */
#ifndef RESVD_ROUTES_CALL_H
#define RESVD_ROUTES_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "resvd/op.h"
#include "text.h"

enum http_method {
    METHOD_GET,
    METHOD_HEAD,
    METHOD_POST,
    METHOD_PUT,
    METHOD_DELETE,
    METHOD_OPTIONS,
    METHOD_PATCH,
    METHOD_TRACE,
    METHOD_CONNECT,
    METHOD_COUNT
};
/* "GET"; static. */
const char *http_method_name(enum http_method method);

enum listener_kind { LISTENER_API, LISTENER_ADMIN };

/* Views are valid during routes_dispatch only. */
struct call_request {
    enum listener_kind listener;
    enum http_method method;
    struct text path;  /* as sent, percent-encoded, starts with '/', or "*"; without the query */
    struct text query; /* without '?'; data NULL when there was none */
    struct text body;
    struct text content_type;     /* data NULL when absent */
    struct text content_encoding; /* data NULL when absent */
    struct text idempotency_key;  /* data NULL when absent */
    struct text authorization;    /* data NULL when absent */
    bool header_repeated;         /* one of the four above came twice: the routes answer 400 K */
};

enum content_type { CONTENT_JSON, CONTENT_PROBLEM, CONTENT_TEXT, CONTENT_METRICS, CONTENT_OPENAPI };

#define ANSWER_INLINE_BYTES 448

struct answer {
    uint16_t status;
    enum content_type content_type; /* sent only when there is a body */
    bool has_location;              /* Location: /api/reservations/{location} */
    bool replay;                    /* Idempotent-Replay: true */
    bool www_authenticate;          /* WWW-Authenticate: Bearer */
    uint16_t retry_after_s;         /* Retry-After; 0 sends none */
    unsigned allow;                 /* Allow: bit (1 << enum http_method); 0 sends none */
    struct resv_id location;
    /* Points to inline_body, to heap (freed by the HTTP layer), or to static text. */
    const char *body;
    size_t body_size;
    char *heap; /* NULL when the body is not on the heap */
    char inline_body[ANSWER_INLINE_BYTES];
};

/* What the answer to an operation looks like where one kind of operation has several forms. */
enum call_form {
    CALL_FORM_PLAIN,
    CALL_FORM_ARRAY,         /* the request was an array, and so is the answer */
    CALL_FORM_STUDY_ASYNC,   /* the study's requestId besides id */
    CALL_FORM_STUDY_REQUEST, /* the study's requestId and reservationId in place of id */
    CALL_FORM_STUDY_INIT,    /* the study's counts and ids after a reset */
};

struct call {
    void (*answered)(struct call *call);
    struct resv_op *op; /* the operation that runs for it; NULL when there is none */

    /* Routes', set by routes_dispatch and routes_answer_problem. */
    struct routes *routes; /* NULL for the HTTP layer's own errors */
    uint8_t route_index;   /* for the metrics */
    enum call_form form;
    uint64_t started_ns;
    struct answer answer;
};

struct routes;

/* Answers the request, now or later. */
void routes_dispatch(struct routes *routes, struct call *call, const struct call_request *request);

/* For Expect: 100-continue, with all but the body known: true when the answer is an error that does
 * not depend on the body (404, 405, 415, 401, bad key); it has then been given. */
bool routes_refuse_early(struct routes *routes, struct call *call,
                         const struct call_request *request);

/* The client has gone; `call` is not touched again. What was submitted goes on to its end. */
void routes_client_gone(struct routes *routes, struct call *call);

/* The HTTP layer's own errors in the same form, for problem `slug` of the table in problems.h. */
void routes_answer_problem(struct call *call, const char *slug, const char *detail);

#endif
