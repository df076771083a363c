/* Counting requests: an index for route and status each, no text work per request.
 *
 * There is one set of them in a process: an operation whose client has gone, and an error of the
 * HTTP layer, have no way to a struct routes, but are to be counted too.
 */
#include "routes/request_metrics.h"

#include <stdio.h>
#include <stdlib.h>

#include "resvd/assert.h"
#include "routes/router.h"

enum { REQUESTS, DURATION, RESERVATIONS };
static const struct resv_metric request_metrics[] = {
    [REQUESTS] = {.name = "http_requests_total",
                  .type = RESV_METRIC_COUNTER,
                  .help = "Requests answered, by method, route and status."},
    [DURATION] = {.name = "http_request_duration_seconds",
                  .type = RESV_METRIC_HISTOGRAM_SECONDS,
                  .help = "Time from the whole request to its answer, by method and route."},
    [RESERVATIONS] =
        {.name = "reservations_total",
         .type = RESV_METRIC_COUNTER,
         .help = "Reservation requests that ended, by strategy and outcome: granted, replayed, "
                 "accepted, sold_out, member_limit, contended, cancelled, unavailable, "
                 "unknown, unknown_concert, unknown_member, key_reused, other."},
};
const struct resv_metric_table request_metrics_table = {
    .metrics = request_metrics,
    .count = sizeof(request_metrics) / sizeof(request_metrics[0]),
    .title = "Requests",
};

/* Every status that the routes or the HTTP layer give. */
static const uint16_t statuses[] = {200, 201, 202, 204, 400, 401, 403, 404, 405, 408, 409,
                                    413, 414, 415, 417, 422, 431, 500, 501, 503, 504, 505};
#define STATUS_COUNT (sizeof(statuses) / sizeof(statuses[0]))
#define STATUS_LIMIT 600

#define ROUTES_MAX  64 /* routes and "none" */
#define LABEL_BYTES 128
#define REPLAYED    RESV_OUTCOME_COUNT /* one more series: nothing was sold by it */

/* Only those that end a RESERVE; the rest stays zero and is not shown. */
static const char *const outcome_names[RESV_OUTCOME_COUNT + 1] = {
    [RESV_GRANTED] = "granted",
    [RESV_ACCEPTED] = "accepted",
    [RESV_SOLD_OUT] = "sold_out",
    [RESV_LIMIT] = "member_limit",
    [RESV_CONTENDED] = "contended",
    [RESV_CANCELLED] = "cancelled",
    [RESV_UNAVAILABLE] = "unavailable",
    [RESV_UNKNOWN] = "unknown",
    [RESV_UNKNOWN_CONCERT] = "unknown_concert",
    [RESV_UNKNOWN_MEMBER] = "unknown_member",
    [RESV_KEY_REUSED] = "key_reused",
    [RESV_FOUND] = "other",
    [RESV_NOT_FOUND] = "other",
    [RESV_RELEASED] = "other",
    [RESV_RELEASE_ACCEPTED] = "other",
    [RESV_STORED] = "other",
    [RESV_CAPACITY_TOO_LOW] = "other",
    [REPLAYED] = "replayed",
};

static struct {
    struct metrics *metrics; /* NULL while closed */
    struct metric_family *requests;
    struct metric_family *durations;
    struct metric_family *reservations;
    uint8_t status_index[STATUS_LIMIT];
    /* Labels, which the families point to. */
    char request_labels[ROUTES_MAX * STATUS_COUNT][LABEL_BYTES];
    const char *request_pointers[ROUTES_MAX * STATUS_COUNT];
    char duration_labels[ROUTES_MAX][LABEL_BYTES];
    const char *duration_pointers[ROUTES_MAX];
    char reservation_labels[RESV_OUTCOME_COUNT + 1][LABEL_BYTES];
    const char *reservation_pointers[RESV_OUTCOME_COUNT + 1];
} counters;

static void print_route(char label[LABEL_BYTES], size_t route)
{
    bool is_none = route == route_table_count;
    int size = snprintf(label, LABEL_BYTES, "method=\"%s\",route=\"%s\"",
                        is_none ? "any" : http_method_name(route_table[route].method),
                        is_none ? "none" : route_table[route].path);
    RESV_ASSERT(size < LABEL_BYTES);
}

static void fill_labels(const char *strategy_name)
{
    for (size_t route = 0; route <= route_table_count; route++) {
        print_route(counters.duration_labels[route], route);
        counters.duration_pointers[route] = counters.duration_labels[route];
        for (size_t i = 0; i < STATUS_COUNT; i++) {
            size_t series = route * STATUS_COUNT + i;
            char *label = counters.request_labels[series];
            int size = snprintf(label, LABEL_BYTES, "%s,status=\"%u\"",
                                counters.duration_labels[route], (unsigned)statuses[i]);
            RESV_ASSERT(size < LABEL_BYTES);
            counters.request_pointers[series] = label;
        }
    }
    for (size_t i = 0; i <= RESV_OUTCOME_COUNT; i++) {
        char *label = counters.reservation_labels[i];
        int size = snprintf(label, LABEL_BYTES, "strategy=\"%s\",outcome=\"%s\"", strategy_name,
                            outcome_names[i]);
        RESV_ASSERT(size < LABEL_BYTES);
        counters.reservation_pointers[i] = label;
    }
}

bool request_metrics_open(struct metrics *metrics, const char *strategy_name)
{
    RESV_ASSERT(counters.metrics == NULL && route_table_count < ROUTES_MAX);
    for (size_t status = 0; status < STATUS_LIMIT; status++)
        counters.status_index[status] = STATUS_COUNT;
    for (size_t i = 0; i < STATUS_COUNT; i++)
        counters.status_index[statuses[i]] = (uint8_t)i;
    fill_labels(strategy_name);
    counters.requests =
        metrics_register_family(metrics, &request_metrics[REQUESTS], counters.request_pointers,
                                (route_table_count + 1) * STATUS_COUNT);
    counters.durations = metrics_register_family(metrics, &request_metrics[DURATION],
                                                 counters.duration_pointers, route_table_count + 1);
    counters.reservations =
        metrics_register_family(metrics, &request_metrics[RESERVATIONS],
                                counters.reservation_pointers, RESV_OUTCOME_COUNT + 1);
    if (counters.requests == NULL || counters.durations == NULL || counters.reservations == NULL)
        return false;
    counters.metrics = metrics;
    return true;
}

void request_metrics_close(void)
{
    counters.metrics = NULL;
}

void request_metrics_count(const struct call *call)
{
    if (counters.metrics == NULL)
        return;
    uint16_t status = call->answer.status;
    RESV_ASSERT(status < STATUS_LIMIT && counters.status_index[status] < STATUS_COUNT);
    size_t route = call->routes != NULL ? call->route_index : route_table_count;
    metric_family_add(counters.requests, route * STATUS_COUNT + counters.status_index[status], 1);
    if (call->routes == NULL)
        return; /* the HTTP layer's own: there was no whole request to time */
    uint64_t now_ns = resv_now_ns(call->routes->context.host);
    metric_family_observe(counters.durations, route, now_ns - call->started_ns);
}

void request_metrics_reservation(const struct resv_op *op)
{
    if (counters.metrics == NULL)
        return;
    bool is_sale = op->outcome == RESV_GRANTED || op->outcome == RESV_ACCEPTED;
    metric_family_add(counters.reservations,
                      is_sale && op->reservation.replay ? (size_t)REPLAYED : op->outcome, 1);
}
