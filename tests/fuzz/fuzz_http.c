/* Fuzz target: a connection's bytes through the request parser, the routes and the rendering of
 * heads, without sockets.
 *
 * The first four bytes say in which sizes the rest is read. Whatever the sizes, the same requests
 * and the same fault must come of it; and with little memory for half received requests either the
 * same, or less of it and then 503. Memory is back at nothing afterwards (http_trace_run sees to
 * that). */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/render.h"
#include "resvd/assert.h"
#include "routes/routes.h"
#include "support/http_trace.h"

#define SIZES          4
#define SIZE_MAX_BYTES 65536
#define BUDGET_BYTES   (1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* --- host and dispatcher: every operation ends at once, as its numbers say
 * ------------------------- */

static struct resv_op operation;
static bool operation_taken;

uint64_t resv_now_ns(struct resv_host *host)
{
    (void)host;
    return 1000000000;
}

int64_t resv_wall_ms(struct resv_host *host)
{
    (void)host;
    return 1795375800000;
}

void resv_random_bytes(struct resv_host *host, void *buffer, size_t size)
{
    (void)host;
    memset(buffer, 0x5a, size);
}

bool dispatcher_accepting(const struct dispatcher *dispatcher)
{
    (void)dispatcher;
    return true;
}

struct resv_op *dispatcher_take(struct dispatcher *dispatcher, enum resv_op_kind kind)
{
    (void)dispatcher;
    RESV_ASSERT(!operation_taken);
    operation = (struct resv_op){.kind = kind};
    operation_taken = true;
    return &operation;
}

void dispatcher_give_back(struct dispatcher *dispatcher, struct resv_op *op)
{
    (void)dispatcher;
    RESV_ASSERT(op == &operation && operation_taken && op->catalog == NULL);
    operation_taken = false;
}

void dispatcher_submit(struct dispatcher *dispatcher, struct resv_op *op, void *client,
                       void (*done)(struct resv_op *op))
{
    (void)dispatcher;
    RESV_ASSERT(op == &operation && operation_taken);
    op->client = client;
    op->done = done;
    op->state = RESV_OP_SUBMITTED;
}

void dispatcher_client_gone(struct dispatcher *dispatcher, struct resv_op *op)
{
    (void)dispatcher;
    op->client = NULL;
}

struct resv_op *dispatcher_find_keyed(struct dispatcher *dispatcher, const struct resv_id *id)
{
    (void)dispatcher;
    return id->bytes[15] == 7 ? &operation : NULL;
}

static enum resv_outcome outcome_of(struct resv_op *op)
{
    static const enum resv_outcome reserved[] = {
        RESV_GRANTED,         RESV_ACCEPTED,       RESV_SOLD_OUT,    RESV_LIMIT,
        RESV_CONTENDED,       RESV_CANCELLED,      RESV_UNAVAILABLE, RESV_UNKNOWN,
        RESV_UNKNOWN_CONCERT, RESV_UNKNOWN_MEMBER, RESV_KEY_REUSED,
    };
    static const enum resv_outcome released[] = {RESV_RELEASED, RESV_RELEASE_ACCEPTED,
                                                 RESV_NOT_FOUND, RESV_UNKNOWN};
    op->reservation = (struct resv_reservation){op->concert_id, op->member_id, op->quantity,
                                                RESV_STATUS_CONFIRMED, op->keyed};
    switch (op->kind) {
    case RESV_OP_RESERVE:
        RESV_ASSERT(op->concert_id > 0 && op->member_id > 0 && op->quantity > 0);
        return reserved[(uint64_t)op->concert_id % (sizeof(reserved) / sizeof(reserved[0]))];
    case RESV_OP_RELEASE:
        return released[op->id.bytes[0] % 4];
    case RESV_OP_LOOKUP:
        return op->id.bytes[0] % 2 == 0 ? RESV_FOUND : RESV_NOT_FOUND;
    case RESV_OP_CONCERT_GET:
    case RESV_OP_MEMBER_GET:
    case RESV_OP_CONCERT_UPDATE:
    case RESV_OP_RECONCILE:
        return RESV_NOT_FOUND;
    case RESV_OP_DEAD_LETTER_LIST:
        return RESV_FOUND; /* a page with nothing on it */
    case RESV_OP_DEAD_LETTER_RETRY:
        return RESV_STORED;
    case RESV_OP_CONCERT_LIST:
    case RESV_OP_CONCERT_CREATE:
    case RESV_OP_MEMBER_CREATE:
    case RESV_OP_RESET:
    case RESV_OP_AUDIT:
        return RESV_UNAVAILABLE;
    }
    return RESV_UNAVAILABLE;
}

static void end_operation(void)
{
    operation.outcome = outcome_of(&operation);
    operation.state = RESV_OP_DONE;
    operation.done(&operation);
    RESV_ASSERT(operation.catalog == NULL);
    operation_taken = false;
}

/* --- one request
 * ------------------------------------------------------------------------------------ */

static struct exchange exchange; /* as the connection's: not zeroed between requests */

static void answered(struct call *call)
{
    RESV_ASSERT(call == &exchange.call && !exchange.done);
    exchange.done = true;
}

static void dispatch(void *data, const struct call_request *request, struct http_trace *trace)
{
    static struct render_clock clock;
    struct routes *routes = data;
    struct call_request both = *request;
    for (both.listener = LISTENER_API; both.listener <= LISTENER_ADMIN; both.listener++) {
        exchange_reset(&exchange);
        exchange.call.answered = answered;
        exchange.head_only = request->method == METHOD_HEAD;
        routes_dispatch(routes, &exchange.call, &both);
        RESV_ASSERT(exchange.done == (exchange.call.op == NULL));
        if (!exchange.done)
            end_operation();
        RESV_ASSERT(exchange.done && !operation_taken);
        char head[RENDER_HEAD_BYTES_MAX];
        render_clock_update(&clock, 1795375800000);
        size_t size = render_head(&exchange, &clock, head);
        RESV_ASSERT(size > 4 && memcmp(head + size - 4, "\r\n\r\n", 4) == 0);
        http_trace_add(trace, " %u %u\n", both.listener, exchange.call.answer.status);
        free(exchange.call.answer.heap);
    }
}

/* --- the target
 * ------------------------------------------------------------------------------------- */

static bool ready(void *data, const char **reason)
{
    (void)data;
    *reason = "a reason";
    return false;
}

static void components(void *data,
                       void (*each)(void *each_data, const char *component,
                                    enum resv_health_state state, uint64_t latency_ns,
                                    const char *detail),
                       void *each_data)
{
    (void)data;
    each(each_data, "store", RESV_HEALTH_DOWN, 1000, "detail");
}

static struct routes *create_routes(void)
{
    static struct resv_strategy strategy = {.name = "fuzzed", .asynchronous = true};
    struct routes_context context = {
        .strategy = &strategy,
        .study_api = true,
        .allow_reset = true,
        .metrics = metrics_create(),
        .ready = ready,
        .components = components,
    };
    RESV_ASSERT(context.metrics != NULL);
    struct routes *routes = routes_create(&context);
    RESV_ASSERT(routes != NULL);
    return routes;
}

static void fail(const char *what, const struct http_trace *whole, const struct http_trace *cut)
{
    fprintf(stderr, "fuzz_http: %s\n--- whole ---\n%s\n--- cut ---\n%s\n", what, whole->text,
            cut->text);
    abort();
}

static void compare(const struct http_trace *whole, const char *data, size_t size,
                    const size_t *sizes, size_t count, size_t budget_bytes, struct routes *routes)
{
    struct http_trace cut;
    http_trace_run(&cut, data, size, sizes, count, budget_bytes, dispatch, routes);
    bool ran_out = cut.slug != NULL && strcmp(cut.slug, "unavailable") == 0;
    if (ran_out && budget_bytes < BUDGET_BYTES) {
        size_t before = cut.size - strlen("fault unavailable\n");
        if (before > whole->size || memcmp(cut.text, whole->text, before) != 0)
            fail("another story with little memory", whole, &cut);
    } else if (strcmp(cut.text, whole->text) != 0) {
        fail("another story", whole, &cut);
    }
    free(cut.text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct routes *routes;
    if (routes == NULL)
        routes = create_routes();
    if (size < SIZES || size > SIZE_MAX_BYTES)
        return -1;
    size_t sizes[SIZES];
    for (size_t i = 0; i < SIZES; i++)
        sizes[i] = (size_t)data[i] + 1;
    size_t little = (size_t)data[0] * 64;
    const char *bytes = (const char *)data + SIZES;
    size -= SIZES;
    struct http_trace whole;
    http_trace_run(&whole, bytes, size, (size_t[]){SIZE_MAX}, 1, BUDGET_BYTES, dispatch, routes);
    compare(&whole, bytes, size, sizes, SIZES, BUDGET_BYTES, routes);
    compare(&whole, bytes, size, (size_t[]){1}, 1, BUDGET_BYTES, routes);
    compare(&whole, bytes, size, sizes, SIZES, little, routes);
    free(whole.text);
    return 0;
}
