/* From a request to its route: what is checked before a handler sees it, and the life of routes.
 *
 * Order: repeated header 400, path 404, key 401, method 405, not here 404 or 403, media type 415,
 * Idempotency-Key 400, not accepting 503; all that before the body is looked at.
 */
#include "routes/routes.h"

#include <stdlib.h>
#include <strings.h>

#include "resvd/assert.h"
#include "routes/answer.h"
#include "routes/request_metrics.h"
#include "routes/router.h"

#define IDEMPOTENCY_KEY_BYTES_MAX 255
#define SERVER_METHODS                                                                             \
    (1u << METHOD_GET | 1u << METHOD_HEAD | 1u << METHOD_POST | 1u << METHOD_PUT |                 \
     1u << METHOD_DELETE | 1u << METHOD_OPTIONS)

struct routes *routes_create(const struct routes_context *context)
{
    struct routes *routes = calloc(1, sizeof(*routes));
    if (routes == NULL)
        return NULL;
    routes->context = *context;
    routes->random_used = sizeof(routes->random);
    if (!request_metrics_open(context->metrics, context->strategy->name)) {
        free(routes);
        return NULL;
    }
    return routes;
}

void routes_destroy(struct routes *routes)
{
    if (routes == NULL)
        return;
    request_metrics_close();
    free(routes);
}

void routes_set_api_keys(struct routes *routes, const char *const *api_keys)
{
    routes->context.api_keys = api_keys;
}

/* --- checks ---------------------------------------------------------------------------------- */

/* Takes the same time whatever the bytes are; only the length of a key can be told from it. */
static bool equals_secret(struct text given, const char *secret)
{
    if (strlen(secret) != given.size)
        return false;
    volatile unsigned char difference = 0;
    for (size_t i = 0; i < given.size; i++)
        difference |= (unsigned char)(given.data[i] ^ secret[i]);
    return difference == 0;
}

static bool is_authorized(const struct routes *routes, const struct call_request *request)
{
    static const char scheme[] = "Bearer ";
    const size_t scheme_size = sizeof(scheme) - 1;
    if (routes->context.api_keys == NULL)
        return true;
    struct text given = request->authorization;
    if (given.data == NULL || given.size <= scheme_size ||
        strncasecmp(given.data, scheme, scheme_size) != 0)
        return false;
    while (given.size > scheme_size && given.data[scheme_size] == ' ') {
        given.data++;
        given.size--;
    }
    given = (struct text){given.data + scheme_size, given.size - scheme_size};
    bool found = false;
    for (const char *const *key = routes->context.api_keys; *key != NULL; key++)
        found |= (*key)[0] != '\0' && equals_secret(given, *key);
    return found;
}

static bool is_json(const struct call_request *request)
{
    static const char json[] = "application/json";
    const size_t size = sizeof(json) - 1;
    struct text type = request->content_type;
    if (request->content_encoding.data != NULL || type.data == NULL || type.size < size ||
        strncasecmp(type.data, json, size) != 0)
        return false;
    size_t at = size;
    while (at < type.size && (type.data[at] == ' ' || type.data[at] == '\t'))
        at++;
    return at == type.size || type.data[at] == ';';
}

static bool is_good_key(struct text key)
{
    if (key.size < 1 || key.size > IDEMPOTENCY_KEY_BYTES_MAX)
        return false;
    for (size_t i = 0; i < key.size; i++) {
        if (key.data[i] < 0x21 || key.data[i] > 0x7e)
            return false;
    }
    return true;
}

static bool refuse_not_here(const struct routes *routes, struct call *call, unsigned traits)
{
    if ((traits & ROUTE_ASYNC_ONLY) != 0 && !routes->context.strategy->asynchronous) {
        answer_problem(call, PROBLEM_ASYNC_ONLY);
        return true;
    }
    if ((traits & ROUTE_NEEDS_RESET) != 0 && !routes->context.allow_reset) {
        answer_problem(call, PROBLEM_FORBIDDEN);
        return true;
    }
    return false;
}

/* What can be said against a request for this route before its body is read. */
static bool refuse_for_route(struct routes *routes, struct call *call,
                             const struct call_request *request, unsigned traits)
{
    if (refuse_not_here(routes, call, traits))
        return true;
    if ((traits & ROUTE_READS_JSON) != 0 && !is_json(request)) {
        answer_problem(call, PROBLEM_UNSUPPORTED_MEDIA_TYPE);
        return true;
    }
    if ((traits & ROUTE_TAKES_KEY) != 0 && request->idempotency_key.data != NULL &&
        !is_good_key(request->idempotency_key)) {
        answer_problem(call, PROBLEM_INVALID_KEY);
        return true;
    }
    if ((traits & ROUTE_NEEDS_OP) != 0 && !dispatcher_accepting(routes->context.dispatcher)) {
        answer_problem(call, PROBLEM_UNAVAILABLE);
        return true;
    }
    return false;
}

static bool refuse_for_path(struct routes *routes, struct call *call,
                            const struct call_request *request, enum router_result result,
                            const struct router_match *match)
{
    if (!match->without_key && !is_authorized(routes, request)) {
        answer_problem(call, PROBLEM_UNAUTHORIZED);
        return true;
    }
    switch (result) {
    case ROUTER_FOUND:
        return false;
    case ROUTER_NO_PATH:
        answer_problem(call, PROBLEM_NOT_FOUND);
        return true;
    case ROUTER_BAD_ENCODING:
        answer_problem_with(call, PROBLEM_BAD_REQUEST,
                            "A per cent sign in the path needs two hexadecimal digits behind it.",
                            NULL, NULL);
        return true;
    case ROUTER_NO_METHOD:
        call->answer.allow = match->allow;
        if (request->method == METHOD_OPTIONS)
            return false;
        answer_problem(call, PROBLEM_METHOD_NOT_ALLOWED);
        return true;
    }
    RESV_ASSERT(false && "a router result");
    return true;
}

/* The path of nearly all requests costs one comparison. */
static enum router_result find_route(struct routes *routes, const struct call_request *request,
                                     struct router_match *match)
{
    static const struct text reservations = {"/api/reservations", sizeof("/api/reservations") - 1};
    if (request->method == METHOD_POST && request->listener == LISTENER_API &&
        text_equal(request->path, reservations)) {
        *match = (struct router_match){.index = ROUTE_RESERVE};
        return ROUTER_FOUND;
    }
    if (request->method == METHOD_OPTIONS && text_equal(request->path, TEXT("*"))) {
        *match = (struct router_match){.index = route_table_count, .allow = SERVER_METHODS};
        return ROUTER_NO_METHOD;
    }
    if (request->path.size > sizeof(routes->path)) {
        *match = (struct router_match){.index = route_table_count};
        return ROUTER_NO_PATH;
    }
    return router_find(request->listener, request->method, request->path, routes->context.study_api,
                       routes->path, match);
}

/* True when the request has been refused; else match and result tell what it is for. */
static bool refuse(struct routes *routes, struct call *call, const struct call_request *request,
                   struct router_match *match, enum router_result *result)
{
    call->routes = routes;
    call->op = NULL;
    call->form = CALL_FORM_PLAIN;
    call->started_ns = resv_now_ns(routes->context.host);
    answer_start(call);
    *result = find_route(routes, request, match);
    call->route_index = (uint8_t)match->index;
    if (request->header_repeated) {
        answer_problem(call, PROBLEM_REPEATED_HEADER);
        return true;
    }
    if (refuse_for_path(routes, call, request, *result, match))
        return true;
    return *result == ROUTER_FOUND &&
           refuse_for_route(routes, call, request, route_table[match->index].traits);
}

void routes_dispatch(struct routes *routes, struct call *call, const struct call_request *request)
{
    struct router_match match;
    enum router_result result;
    if (refuse(routes, call, request, &match, &result))
        return;
    if (result == ROUTER_NO_METHOD) { /* OPTIONS, with Allow set */
        answer_empty(call, 204);
        return;
    }
    struct route_call self = {
        .routes = routes, .call = call, .request = request, .parameter = match.parameter};
    route_table[match.index].handle(&self);
}

bool routes_refuse_early(struct routes *routes, struct call *call,
                         const struct call_request *request)
{
    struct router_match match;
    enum router_result result;
    return refuse(routes, call, request, &match, &result);
}

void routes_client_gone(struct routes *routes, struct call *call)
{
    struct resv_op *op = call->op;
    if (op == NULL)
        return;
    call->op = NULL;
    dispatcher_client_gone(routes->context.dispatcher, op);
}
