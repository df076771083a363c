/* The conformance harness: instance, loop, watchdog and the two ways of driving it. */
#include "harness_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "config/config.h"
#include "host/host.h"
#include "metrics/metrics.h"
#include "resvd/assert.h"

#define ARGUMENTS_MAX  32
#define ARGUMENT_BYTES 512

static const struct resv_strategy *strategy_under_test;
static char *arguments[ARGUMENTS_MAX];
static size_t argument_count;
static bool store_is_shared; /* by all tests: it is emptied for each */

/* --- arguments and folders ---------------------------------------------------------------------
 */

bool harness_arguments(int argc, char **argv)
{
    if (argc < 2 || argc - 2 > ARGUMENTS_MAX) {
        fprintf(stderr, "usage: %s STRATEGY [--section.key=value]...\n", argv[0]);
        return false;
    }
    for (size_t i = 0; resv_strategies[i] != NULL; i++) {
        if (strcmp(resv_strategies[i]->name, argv[1]) == 0)
            strategy_under_test = resv_strategies[i];
    }
    if (strategy_under_test == NULL) {
        fprintf(stderr, "no strategy \"%s\" in this binary\n", argv[1]);
        return false;
    }
    for (int i = 2; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) != 0 || strchr(argv[i], '=') == NULL) {
            fprintf(stderr, "not --section.key=value: %s\n", argv[i]);
            return false;
        }
        arguments[argument_count++] = argv[i];
    }
    return true;
}

const struct resv_strategy *harness_strategy(void)
{
    return strategy_under_test;
}

bool harness_is_durable(void)
{
    return strcmp(strategy_under_test->store, "memory") != 0;
}

/* What stands between braces: the test's folder, or a variable of the environment that says where a
 * server is. */
static const char *value_of(const struct harness *harness, const char *name)
{
    if (strcmp(name, "tmp") == 0)
        return harness->folder;
    const char *value = getenv(name);
    if (value == NULL)
        fail_msg("{%s}: there is no such variable (see tests/support/with_database.py)", name);
    store_is_shared = true;
    return value;
}

static void set_argument(struct harness *harness, const char *argument)
{
    char name[ARGUMENT_BYTES];
    char value[ARGUMENT_BYTES];
    const char *equals = strchr(argument, '=');
    snprintf(name, sizeof name, "%.*s", (int)(equals - argument - 2), argument + 2);
    const char *open = strchr(equals, '{');
    const char *close = open == NULL ? NULL : strchr(open, '}');
    if (close != NULL) {
        char place[ARGUMENT_BYTES];
        snprintf(place, sizeof place, "%.*s", (int)(close - open - 1), open + 1);
        snprintf(value, sizeof value, "%.*s%s%s", (int)(open - equals - 1), equals + 1,
                 value_of(harness, place), close + 1);
    } else {
        snprintf(value, sizeof value, "%s", equals + 1);
    }
    config_set_flag(harness->config, name, value);
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void)status;
    (void)type;
    (void)place;
    return remove(path);
}

/* --- running the loop ---------------------------------------------------------------------------
 */

static void bark(uv_timer_t *timer)
{
    struct harness *harness = timer->data;
    harness->watchdog_barked = true;
    uv_stop(&harness->loop);
}

void harness_run_until(struct harness *harness, const bool *flag, const char *what)
{
    uv_timer_start(&harness->watchdog, bark, WATCHDOG_MS, 0);
    while (!*flag && !harness->watchdog_barked)
        uv_run(&harness->loop, UV_RUN_ONCE);
    uv_timer_stop(&harness->watchdog);
    if (harness->watchdog_barked)
        fail_msg("waited %d s for: %s", WATCHDOG_MS / 1000, what);
}

void harness_wake(struct harness *harness)
{
    uv_stop(&harness->loop);
}

static void on_started(void *data)
{
    struct harness *harness = data;
    assert_false(harness->started);
    harness->started = true;
    harness_wake(harness);
}

static void on_start_failed(void *data, int exit_code, const char *message)
{
    (void)data;
    fail_msg("start failed with %d: %s", exit_code, message);
}

static void on_drained(void *data)
{
    struct harness *harness = data;
    assert_false(harness->drained);
    harness->drained = true;
    harness_wake(harness);
}

static void on_closed(void *data)
{
    struct harness *harness = data;
    assert_false(harness->closed);
    harness->closed = true;
    harness_wake(harness);
}

static void on_host_closed(void *data)
{
    ((struct harness *)data)->host_closed = true;
}

static void on_idle(void *data)
{
    struct harness *harness = data;
    harness->idle = true;
    harness_wake(harness);
}

void harness_run_until_idle(struct harness *harness)
{
    harness->idle = false;
    dispatcher_when_idle(harness->dispatcher, on_idle, harness);
    harness_run_until(harness, &harness->idle, "all operations to be done");
}

void harness_turn(struct harness *harness)
{
    uv_run(&harness->loop, UV_RUN_NOWAIT);
}

/* --- life ----------------------------------------------------------------------------------------
 */

static void open_instance(struct harness *harness, const struct dispatcher_config *config)
{
    assert_int_equal(uv_loop_init(&harness->loop), 0);
    uv_timer_init(&harness->loop, &harness->watchdog);
    harness->watchdog.data = harness;
    harness->config = config_create(strategy_under_test->option_tables);
    assert_non_null(harness->config);
    for (size_t i = 0; i < argument_count; i++)
        set_argument(harness, arguments[i]);
    config_finish(harness->config);
    config_print_errors(harness->config, stderr);
    harness->metrics = metrics_create();
    for (size_t i = 0; strategy_under_test->metric_tables[i] != NULL; i++)
        assert_true(
            metrics_register(harness->metrics, strategy_under_test->metric_tables[i], NULL));
    harness->started = harness->drained = harness->closed = harness->host_closed = false;
    harness->host = host_create(&(struct host_config){.loop = &harness->loop,
                                                      .config = harness->config,
                                                      .metrics = harness->metrics,
                                                      .events = {.started = on_started,
                                                                 .start_failed = on_start_failed,
                                                                 .drained = on_drained,
                                                                 .closed = on_closed,
                                                                 .data = harness}});
    assert_non_null(harness->host);
    if (config != NULL) {
        harness->dispatcher_config = *config;
        harness->dispatcher = dispatcher_create(harness->host, config);
        assert_non_null(harness->dispatcher);
    } else {
        harness->dispatcher = NULL;
        harness_seam_attach(harness);
    }
    assert_int_equal(strategy_under_test->open(harness->host, &harness->instance), 0);
    if (harness->dispatcher != NULL)
        dispatcher_set_instance(harness->dispatcher, harness->instance);
    strategy_under_test->start(harness->instance);
    harness_run_until(harness, &harness->started, "started");
    if (harness->dispatcher != NULL)
        dispatcher_set_accepting(harness->dispatcher, true);
}

static void close_instance(struct harness *harness)
{
    if (harness->dispatcher != NULL) {
        dispatcher_set_accepting(harness->dispatcher, false);
        harness_run_until_idle(harness);
    }
    if (!harness->drained)
        seam_drain(harness, WATCHDOG_MS);
    seam_run_until_drained(harness);
    strategy_under_test->close(harness->instance);
    harness_run_until(harness, &harness->closed, "closed");
    dispatcher_destroy(harness->dispatcher);
    host_close(harness->host, on_host_closed, harness);
    uv_close((uv_handle_t *)&harness->watchdog, NULL);
    while (uv_run(&harness->loop, UV_RUN_DEFAULT) != 0) {
        /* An uv_stop from before ends the first run early; nothing is left to wait for. */
    }
    assert_true(harness->host_closed);
    host_destroy(harness->host);
    assert_int_equal(uv_loop_close(&harness->loop), 0);
    metrics_destroy(harness->metrics);
    config_destroy(harness->config);
}

static struct harness *harness_new(void)
{
    struct harness *harness = calloc(1, sizeof *harness);
    assert_non_null(harness);
    snprintf(harness->folder, sizeof harness->folder, "/tmp/resvd-conformance-XXXXXX");
    assert_non_null(mkdtemp(harness->folder));
    return harness;
}

static struct dispatcher_config usual_config(void)
{
    return (struct dispatcher_config){.strategy = strategy_under_test,
                                      .operations_max = 8192,
                                      .deadline_ms = HARNESS_DEADLINE_MS,
                                      .grace_ms = HARNESS_GRACE_MS};
}

int harness_set_up(void **state)
{
    struct harness *harness = harness_new();
    struct dispatcher_config config = usual_config();
    open_instance(harness, &config);
    if (store_is_shared)
        reset(harness, 0, 0, 0);
    *state = harness;
    return 0;
}

int harness_set_up_seam(void **state)
{
    struct harness *harness = harness_new();
    open_instance(harness, NULL);
    *state = harness;
    return 0;
}

int harness_tear_down(void **state)
{
    struct harness *harness = *state;
    if (harness->dispatcher != NULL)
        settle(harness);
    close_instance(harness);
    free(harness->released);
    nftw(harness->folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(harness);
    return 0;
}

void harness_restart(struct harness *harness, const struct dispatcher_config *config)
{
    struct dispatcher_config full = *config;
    full.strategy = strategy_under_test;
    close_instance(harness);
    open_instance(harness, &full);
}

void harness_reopen(struct harness *harness)
{
    bool with_dispatcher = harness->dispatcher != NULL;
    close_instance(harness);
    open_instance(harness, with_dispatcher ? &harness->dispatcher_config : NULL);
}

struct dispatcher *harness_dispatcher(struct harness *harness)
{
    return harness->dispatcher;
}

unsigned harness_done_without_client(const struct harness *harness)
{
    return harness->done_without_client;
}
