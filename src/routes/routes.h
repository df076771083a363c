/* The routes: which path does what, on which listener. */
#ifndef RESVD_ROUTES_ROUTES_H
#define RESVD_ROUTES_ROUTES_H

#include "metrics/metrics.h"
#include "op/dispatch.h"
#include "routes/call.h"

/* What the routes need to know about the process; the server fills it and keeps it current. */
struct routes_context {
    struct resv_host *host;
    struct dispatcher *dispatcher;
    struct metrics *metrics;
    const struct resv_strategy *strategy;
    bool study_api;
    bool allow_reset;
    /* Bearer keys, NULL-terminated, or NULL when none are asked for; API and admin listener
     * alike, /livez and /readyz excepted. */
    const char *const *api_keys;
    /* Readiness, from the server: true when ready; else a short reason. */
    bool (*ready)(void *data, const char **reason);
    /* Each backend: calls `each` for the components in order. */
    void (*components)(void *data,
                       void (*each)(void *each_data, const char *component,
                                    enum resv_health_state state, uint64_t latency_ns,
                                    const char *detail),
                       void *each_data);
    void *data;
};

/* Copies the context. NULL when out of memory. Registers the request metrics. */
struct routes *routes_create(const struct routes_context *context);
void routes_destroy(struct routes *routes);
/* HUP. */
void routes_set_api_keys(struct routes *routes, const char *const *api_keys);

#endif
