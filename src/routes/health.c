/* Health and metrics: /livez never touches a backend, /readyz tells what the backends said last. */
#include "metrics/metrics.h"
#include "resvd/assert.h"
#include "routes/answer.h"
#include "routes/concert_json.h"
#include "routes/query.h"
#include "routes/routes_state.h"
#include "json/json_build.h"

void route_livez(const struct route_call *self)
{
    answer_static(self->call, 200, CONTENT_JSON, TEXT("{\"status\":\"alive\"}"));
}

static const char *state_name(enum resv_health_state state)
{
    switch (state) {
    case RESV_HEALTH_STARTING:
        return "starting";
    case RESV_HEALTH_UP:
        return "up";
    case RESV_HEALTH_MISSED:
        return "missed";
    case RESV_HEALTH_DOWN:
        return "down";
    }
    RESV_ASSERT(false && "a health state");
    return NULL;
}

struct component_list {
    cJSON *array;
    bool good;
};

static void add_component(void *data, const char *component, enum resv_health_state state,
                          uint64_t latency_ns, const char *detail)
{
    struct component_list *list = data;
    cJSON *item = cJSON_CreateObject();
    /* Microseconds as an integer: cJSON's doubles would show digits that nobody measured. */
    bool good = json_build_add(item, "name", cJSON_CreateString(component)) &&
                json_build_add(item, "state", cJSON_CreateString(state_name(state))) &&
                json_build_add(item, "latencyUs",
                               latency_ns > 0 ? json_build_integer((int64_t)(latency_ns / 1000))
                                              : cJSON_CreateNull());
    good = good &&
           json_build_add(item, "detail", json_build_text_or_null(detail != NULL ? detail : ""));
    list->good = list->good && json_build_add(list->array, NULL, json_when_good(item, good));
}

static cJSON *components_json(const struct routes_context *context)
{
    struct component_list list = {.array = cJSON_CreateArray(), .good = true};
    context->components(context->data, add_component, &list);
    return json_when_good(list.array, list.array != NULL && list.good);
}

static void answer_not_ready(const struct route_call *self, const char *reason, cJSON *components)
{
    const struct problem_entry *problem = &problems[PROBLEM_UNAVAILABLE];
    if (reason == NULL)
        reason = "not ready";
    cJSON *item = cJSON_CreateObject();
    bool good = json_build_add(item, "type", cJSON_CreateString("/problems/unavailable")) &&
                json_build_add(item, "title", cJSON_CreateString(problem->title.data)) &&
                json_build_add(item, "status", json_build_integer(problem->status)) &&
                json_build_add(item, "detail", cJSON_CreateString(reason));
    if (components != NULL)
        good = json_build_add(item, "components", components) && good;
    self->call->answer.retry_after_s = problem->retry_after_s;
    answer_json(self->call, problem->status, CONTENT_PROBLEM, json_when_good(item, good));
}

void route_readyz(const struct route_call *self)
{
    const struct routes_context *context = &self->routes->context;
    char buffer[8];
    struct text value;
    bool is_verbose = query_find(self->request->query, TEXT("verbose"), buffer, sizeof(buffer),
                                 &value) != QUERY_ABSENT;
    const char *reason = NULL;
    bool is_ready = context->ready(context->data, &reason);
    cJSON *components = is_verbose ? components_json(context) : NULL;
    if (!is_ready) {
        answer_not_ready(self, reason, components);
    } else if (!is_verbose) {
        answer_static(self->call, 200, CONTENT_JSON, TEXT("{\"status\":\"ready\"}"));
    } else {
        cJSON *item = cJSON_CreateObject();
        bool good = json_build_add(item, "status", cJSON_CreateString("ready"));
        good = json_build_add(item, "components", components) && good;
        answer_json(self->call, 200, CONTENT_JSON, json_when_good(item, good));
    }
}

void route_metrics(const struct route_call *self)
{
    size_t size = 0;
    char *text = metrics_render(self->routes->context.metrics, &size);
    answer_heap(self->call, 200, CONTENT_METRICS, text, size);
}
