/* The server's stages, each with one way out to the next:
 *
 *   OPENING -> STARTING -> SERVING -> DRAINING -> CLOSING_STRATEGY -> CLOSING -> (loop ends)
 *      |           |                     ^ TERM, INT
 *      +-----------+--- a failed start goes straight to closing
 *
 * Draining: the API stops accepting, what was asked is answered with Connection: close; when the
 * last of it is answered, the strategy finishes what is under way. The admin listener answers
 * until the end, so that /readyz can say 503. A second signal ends the process at once.
 */
#include "server/server.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "config/command_line.h"
#include "config/server_options.h"
#include "host/host.h"
#include "http/http_server.h"
#include "log.h"
#include "op/dispatch.h"
#include "resvd/assert.h"
#include "routes/routes.h"
#include "server/api_keys.h"
#include "server/demo.h"
#include "server/listen.h"
#include "server/server_metrics.h"
#include "server/systemd.h"

#define DRAIN_LAST_MS    2000
#define DRAIN_ANSWERS_MS 1000 /* of these: the strategy has given up, and answers */

enum stage { OPENING, STARTING, SERVING, DRAINING, CLOSING_STRATEGY, CLOSING };

struct server {
    const struct server_start *start;
    enum stage stage;
    int exit_code;
    uv_loop_t loop;
    uv_signal_t signals[3];
    unsigned open_signals;
    struct metrics *metrics;
    struct resv_host *host;
    struct dispatcher *dispatcher;
    struct routes *routes;
    struct http_server *http;
    struct server_metrics server_metrics;
    struct api_keys api_keys;
    struct listen_result listening;
    struct resv_timer start_timer;
    struct resv_timer drain_timer;
    struct resv_deferred close_later;
    bool strategy_drains;
    void *instance;
};

static const int signal_numbers[] = {SIGTERM, SIGINT, SIGHUP};

static size_t size_option(const struct config *config, enum server_option option)
{
    return (size_t)config_integer(config, &server_options, option);
}

/* --- closing: strategy, then HTTP, host and signals ----------------------------------------------
 */

static void host_is_closed(void *data)
{
    (void)data;
}

static void signal_is_closed(uv_handle_t *handle)
{
    (void)handle;
}

static void http_is_closed(void *data)
{
    struct server *server = data;
    server_metrics_stop(&server->server_metrics);
    resv_timer_stop(server->host, &server->start_timer);
    resv_timer_stop(server->host, &server->drain_timer);
    if (server->host != NULL)
        host_close(server->host, host_is_closed, server);
    for (unsigned i = 0; i < server->open_signals; i++)
        uv_close((uv_handle_t *)&server->signals[i], signal_is_closed);
}

static void close_rest(struct server *server)
{
    server->stage = CLOSING;
    if (server->http != NULL)
        http_server_close(server->http, http_is_closed, server);
    else
        http_is_closed(server);
}

static void strategy_is_closed(void *data)
{
    struct server *server = data;
    server->instance = NULL;
    close_rest(server);
}

static void close_strategy(struct server *server)
{
    server->stage = CLOSING_STRATEGY;
    if (server->instance != NULL)
        server->start->strategy->close(server->instance);
    else
        close_rest(server);
}

/* --- draining ------------------------------------------------------------------------------------
 */

static uint64_t drain_left_ms(const struct server *server)
{
    uint64_t now_ns = resv_now_ns(server->host);
    uint64_t due_ns = server->drain_timer.due_ns;
    return due_ns > now_ns ? (due_ns - now_ns) / 1000000 : 0;
}

static void strategy_is_drained(void *data)
{
    struct server *server = data;
    if (server->stage != DRAINING)
        return;
    resv_timer_stop(server->host, &server->drain_timer);
    log_event(RESV_LOG_INFO, "drained", NULL);
    close_strategy(server);
}

static void drain_hangs(struct resv_timer *timer)
{
    (void)timer;
    log_event(RESV_LOG_ERROR, "the strategy does not end, exit at once", NULL);
    _exit(EXIT_CODE_FAILURE);
}

static void operations_are_done(void *data)
{
    struct server *server = data;
    if (server->stage != DRAINING || server->strategy_drains)
        return;
    server->strategy_drains = true;
    uint64_t left_ms = drain_left_ms(server);
    /* What it gives up at its deadline it must still be able to answer: that is before ours. */
    if (server->drain_timer.fired == drain_hangs)
        left_ms = left_ms > DRAIN_ANSWERS_MS ? left_ms - DRAIN_ANSWERS_MS : 0;
    uint64_t deadline_ns = resv_now_ns(server->host) + left_ms * 1000000;
    server->start->strategy->drain(server->instance, deadline_ns);
}

static void api_is_drained(void *data)
{
    struct server *server = data;
    dispatcher_set_accepting(server->dispatcher, false);
    dispatcher_when_idle(server->dispatcher, operations_are_done, server);
}

/* Whoever still reads slowly or has sent half a request is cut off; what is under way with the
 * strategy gets a last moment. Exit code 1 only says that operations were left without an answer.
 */
static void drain_took_too_long(struct resv_timer *timer)
{
    struct server *server = timer->data;
    struct dispatcher_depths depths = dispatcher_depths(server->dispatcher);
    char under_way[32];
    snprintf(under_way, sizeof(under_way), "%zu", depths.queued + depths.submitted);
    log_event(RESV_LOG_ERROR, "drain took too long", "operations_under_way", under_way, "raise",
              "[server] drain_timeout_ms", NULL);
    timer->fired = drain_hangs;
    resv_timer_start(server->host, timer, DRAIN_LAST_MS);
    dispatcher_set_accepting(server->dispatcher, false);
    if (depths.queued + depths.submitted == 0) {
        http_server_cut(server->http, LISTENER_API);
        return;
    }
    server->exit_code = EXIT_CODE_FAILURE;
    dispatcher_cancel_queued(server->dispatcher);
    operations_are_done(server); /* the strategy completes the others, as is true */
}

static void begin_drain(struct server *server)
{
    server->stage = DRAINING;
    log_event(RESV_LOG_INFO, "draining", NULL);
    systemd_notify("STOPPING=1");
    resv_timer_start(server->host, &server->drain_timer,
                     size_option(server->start->config, SERVER_DRAIN_TIMEOUT_MS));
    http_server_drain(server->http, LISTENER_API, api_is_drained, server);
}

/* --- signals -------------------------------------------------------------------------------------
 */

static struct http_timeouts timeouts_of(const struct config *config)
{
    return (struct http_timeouts){
        .request_ms = size_option(config, SERVER_REQUEST_TIMEOUT_MS),
        .idle_ms = size_option(config, SERVER_IDLE_TIMEOUT_MS),
        .write_ms = size_option(config, SERVER_WRITE_TIMEOUT_MS),
        .requests_per_connection_max = size_option(config, SERVER_MAX_REQUESTS_PER_CONNECTION),
    };
}

static void apply_log_options(const struct config *config)
{
    log_configure((enum log_format)config_choice(config, &server_options, SERVER_LOG_FORMAT),
                  (enum resv_log_level)config_choice(config, &server_options, SERVER_LOG_LEVEL));
}

/* Takes over what may change; each change is a line of the log. */
static void log_changes(struct config *config, const struct config *fresh)
{
    char *lines = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&lines, &size);
    RESV_ASSERT(out != NULL);
    config_reload(config, fresh, out);
    RESV_ASSERT(fclose(out) == 0);
    char *rest = NULL;
    for (char *line = strtok_r(lines, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest))
        log_event(RESV_LOG_INFO, "setting differs", "setting", line, NULL);
    free(lines);
}

static void reload(struct server *server)
{
    struct config *config = server->start->config;
    struct config *fresh = server->start->read_again(server->start->data);
    if (fresh == NULL) {
        log_event(RESV_LOG_ERROR, "configuration has errors, the old one stays", NULL);
        return;
    }
    log_changes(config, fresh);
    config_destroy(fresh);
    struct http_timeouts timeouts = timeouts_of(config);
    http_server_set_timeouts(server->http, &timeouts);
    apply_log_options(config);
    api_keys_set(&server->api_keys, config_string(config, &server_options, SERVER_API_KEYS));
    routes_set_api_keys(server->routes, api_keys_list(&server->api_keys));
    log_event(RESV_LOG_INFO, "configuration read again", NULL);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct server *server = handle->data;
    if (number == SIGHUP) {
        if (server->stage <= SERVING)
            reload(server);
        return;
    }
    switch (server->stage) {
    case OPENING:
    case STARTING:
        resv_timer_stop(server->host, &server->start_timer);
        close_strategy(server);
        break;
    case SERVING:
        begin_drain(server);
        break;
    case DRAINING:
    case CLOSING_STRATEGY:
    case CLOSING:
        log_event(RESV_LOG_WARNING, "second signal, exit at once", NULL);
        _exit(EXIT_CODE_FAILURE);
    }
}

static void open_signals(struct server *server)
{
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof(signal_numbers) / sizeof(signal_numbers[0]); i++) {
        uv_signal_init(&server->loop, &server->signals[i]);
        server->signals[i].data = server;
        uv_signal_start(&server->signals[i], on_signal, signal_numbers[i]);
        server->open_signals++;
    }
}

/* --- starting ------------------------------------------------------------------------------------
 */

static void fail_start(struct server *server, int exit_code, const char *message)
{
    if (server->stage > STARTING)
        return;
    log_start_failure(message);
    server->exit_code = exit_code;
    resv_timer_stop(server->host, &server->start_timer);
    server->stage = CLOSING_STRATEGY;
    if (server->host != NULL)
        resv_defer(server->host, &server->close_later); /* the strategy may be on the stack */
    else
        close_strategy(server);
}

static void close_strategy_later(struct resv_deferred *deferred)
{
    close_strategy(deferred->data);
}

static void strategy_start_failed(void *data, int exit_code, const char *message)
{
    fail_start(data, exit_code, message);
}

static void start_took_too_long(struct resv_timer *timer)
{
    fail_start(timer->data, EXIT_CODE_UNREACHABLE,
               "the strategy was not ready within [server] start_timeout_ms; the log above says "
               "what it waited for");
}

static void strategy_is_started(void *data)
{
    struct server *server = data;
    if (server->stage != STARTING)
        return;
    server->stage = SERVING;
    resv_timer_stop(server->host, &server->start_timer);
    dispatcher_set_accepting(server->dispatcher, true);
    const struct resv_strategy *strategy = server->start->strategy;
    size_t role = config_choice(server->start->config, &server_options, SERVER_ROLE);
    log_event(RESV_LOG_INFO, "ready", "strategy", strategy->name, "api", server->listening.api,
              "admin", server->listening.admin, strategy->asynchronous ? "role" : NULL,
              server_options.options[SERVER_ROLE].choices[role], NULL);
    systemd_notify("READY=1");
    if (server->start->demo)
        demo_start(server->host, server->dispatcher, server->listening.first_api,
                   server->listening.first_admin);
}

static bool is_ready(void *data, const char **reason)
{
    struct server *server = data;
    size_t count;
    const struct host_component *components = host_components(server->host, &count);
    if (server->stage != SERVING) {
        *reason = server->stage < SERVING ? "starting" : "stopping";
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (components[i].state == RESV_HEALTH_DOWN) {
            *reason = components[i].name;
            return false;
        }
    }
    return true;
}

static void each_component(void *data,
                           void (*each)(void *each_data, const char *component,
                                        enum resv_health_state state, uint64_t latency_ns,
                                        const char *detail),
                           void *each_data)
{
    struct server *server = data;
    size_t count;
    const struct host_component *components = host_components(server->host, &count);
    for (size_t i = 0; i < count; i++)
        each(each_data, components[i].name, components[i].state, components[i].latency_ns,
             components[i].detail);
}

static bool create_dispatcher(struct server *server, struct dispatcher_config *config)
{
    const struct config *settings = server->start->config;
    struct host_config host_config = {
        .loop = &server->loop,
        .config = settings,
        .metrics = server->metrics,
        .events = {.started = strategy_is_started,
                   .start_failed = strategy_start_failed,
                   .drained = strategy_is_drained,
                   .closed = strategy_is_closed,
                   .data = server},
        .role = (enum resv_role)config_choice(settings, &server_options, SERVER_ROLE),
    };
    *config = (struct dispatcher_config){
        .strategy = server->start->strategy,
        .operations_max = size_option(settings, SERVER_MAX_OPERATIONS),
        .deadline_ms = size_option(settings, SERVER_OPERATION_TIMEOUT_MS),
        .grace_ms = size_option(settings, SERVER_OPERATION_GRACE_MS),
    };
    server->host = host_create(&host_config);
    if (server->host == NULL)
        return false;
    server->dispatcher = dispatcher_create(server->host, config);
    return server->dispatcher != NULL;
}

static bool create_routes(struct server *server)
{
    const struct config *settings = server->start->config;
    struct routes_context context = {
        .host = server->host,
        .dispatcher = server->dispatcher,
        .metrics = server->metrics,
        .strategy = server->start->strategy,
        .study_api = config_boolean(settings, &server_options, SERVER_STUDY_API),
        .allow_reset = config_boolean(settings, &server_options, SERVER_ALLOW_RESET),
        .api_keys = api_keys_list(&server->api_keys),
        .ready = is_ready,
        .components = each_component,
        .data = server,
    };
    server->routes = routes_create(&context);
    return server->routes != NULL;
}

/* As many as configured, or as the limit on open files lets there be. */
static size_t connections_allowed(const struct config *settings)
{
    size_t connections = size_option(settings, SERVER_MAX_CONNECTIONS);
    size_t limit;
    if (listen_raise_file_limit(connections, &limit))
        return connections;
    char text[32];
    snprintf(text, sizeof(text), "%zu", limit);
    log_event(RESV_LOG_WARNING, "the limit on open files allows fewer connections", "instead", text,
              "way_out", "raise it (ulimit -n), or lower [server] max_connections", NULL);
    return limit;
}

static bool create_http(struct server *server, struct http_config *config)
{
    const struct config *settings = server->start->config;
    *config = (struct http_config){
        .loop = &server->loop,
        .host = server->host,
        .routes = server->routes,
        .metrics = server->metrics,
        .connections_max = connections_allowed(settings),
        .exchanges_max = size_option(settings, SERVER_MAX_OPERATIONS),
        .request_memory_bytes = size_option(settings, SERVER_REQUEST_MEMORY_BYTES),
        .answer_memory_bytes = size_option(settings, SERVER_ANSWER_MEMORY_BYTES),
        .timeouts = timeouts_of(settings),
    };
    server->http = http_server_create(config);
    return server->http != NULL;
}

static bool create_core(struct server *server)
{
    struct dispatcher_config dispatcher_config;
    struct http_config http_config;
    server->metrics = metrics_create();
    if (server->metrics == NULL || !create_dispatcher(server, &dispatcher_config) ||
        !create_routes(server) || !create_http(server, &http_config))
        return false;
    size_t bytes =
        dispatcher_memory_bytes(&dispatcher_config) + http_server_memory_bytes(&http_config);
    char bound[32];
    snprintf(bound, sizeof(bound), "%zu", bytes / (1024 * 1024));
    log_event(RESV_LOG_INFO, "memory is bounded", "pools_and_buffers_mib", bound, NULL);
    return server_metrics_start(&server->server_metrics, server->host, server->metrics,
                                server->dispatcher);
}

static void start(struct server *server)
{
    const struct resv_strategy *strategy = server->start->strategy;
    if (!create_core(server) || !server_metrics_register_strategy(server->metrics, strategy)) {
        fail_start(server, EXIT_CODE_FAILURE,
                   "out of memory; lower max_connections or max_operations in [server]");
        return;
    }
    listen_open(server->http, &server->loop, server->start->config, &server->listening);
    if (server->listening.exit_code != 0) {
        fail_start(server, server->listening.exit_code, server->listening.message);
        return;
    }
    if (strategy->may_oversell)
        log_event(RESV_LOG_WARNING, "this strategy oversells; it is here to show what breaks",
                  "strategy", strategy->name, NULL);
    if (strategy->open(server->host, &server->instance) != 0) {
        server->instance = NULL;
        if (server->stage == OPENING) /* it said nothing itself */
            fail_start(server, EXIT_CODE_FAILURE, "the strategy could not be opened");
        return;
    }
    server->stage = STARTING;
    dispatcher_set_instance(server->dispatcher, server->instance);
    uint64_t start_timeout_ms = size_option(server->start->config, SERVER_START_TIMEOUT_MS);
    resv_timer_start(server->host, &server->start_timer, start_timeout_ms);
    host_set_start_deadline(server->host, resv_now_ns(server->host) + start_timeout_ms * 1000000);
    strategy->start(server->instance);
}

int server_run(const struct server_start *server_start)
{
    struct server server = {.start = server_start};
    apply_log_options(server_start->config);
    api_keys_set(&server.api_keys,
                 config_string(server_start->config, &server_options, SERVER_API_KEYS));
    RESV_ASSERT(uv_loop_init(&server.loop) == 0);
    open_signals(&server);
    server.start_timer = (struct resv_timer){.fired = start_took_too_long, .data = &server};
    server.close_later = (struct resv_deferred){.run = close_strategy_later, .data = &server};
    server.drain_timer = (struct resv_timer){.fired = drain_took_too_long, .data = &server};
    start(&server);
    uv_run(&server.loop, UV_RUN_DEFAULT);
    dispatcher_destroy(server.dispatcher);
    http_server_destroy(server.http);
    routes_destroy(server.routes);
    host_destroy(server.host);
    metrics_destroy(server.metrics);
    api_keys_free(&server.api_keys);
    RESV_ASSERT(uv_loop_close(&server.loop) == 0);
    log_event(RESV_LOG_INFO, "stopped", NULL);
    return server.exit_code;
}
