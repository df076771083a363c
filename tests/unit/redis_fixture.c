/* A Redis link on real nodes and a real host. */
#include "redis_fixture.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WAIT_MS_MAX 20000

struct redis_fixture the_redis;
static unsigned turns;

const struct redis_script script_echo = {"echo", "return ARGV"};
const struct redis_script script_add = {"add", "return redis.call('INCRBY', KEYS[1], ARGV[1])"};
const struct redis_script script_error = {"error", "return redis.error_reply(ARGV[1])"};
const struct redis_script script_spin = {
    "spin", "local sum = 0 for i = 1, tonumber(ARGV[1]) do sum = sum + i end return sum"};
static const struct redis_script *const scripts[] = {&script_echo, &script_add, &script_error,
                                                     &script_spin, NULL};

/* --- the nodes -----------------------------------------------------------------------------------
 */

const char *redis_server_setting(const char *name)
{
    char full[64];
    snprintf(full, sizeof full, "RESVD_TEST_REDIS_%s", name);
    const char *value = getenv(full);
    if (value == NULL)
        fail_msg("%s is not set: run this test by tests/support/with_redis.py", full);
    return value;
}

const char *nodes_do(const char *format, ...)
{
    static char line[8192];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    assert_in_range(length, 1, sizeof line - 2);
    line[length] = '\n';
    int control = atoi(redis_server_setting("CONTROL"));
    assert_int_equal(write(control, line, (size_t)length + 1), length + 1);
    size_t used = 0;
    for (;;) {
        char byte;
        assert_int_equal(read(control, &byte, 1), 1);
        if (byte == '\n')
            break;
        if (used < sizeof line - 1)
            line[used++] = byte;
    }
    line[used] = '\0';
    if (strncmp(line, "ok", 2) != 0)
        fail_msg("the nodes' keeper: %s", line);
    return line[2] == ' ' ? line + 3 : line + 2;
}

/* --- the loop ------------------------------------------------------------------------------------
 */

static void set_flag(struct resv_timer *timer)
{
    *(bool *)timer->data = true;
}

static void wake(struct resv_timer *timer)
{
    resv_timer_start(timer->data, timer, 1);
}

/* A callback may come at the flush point, just before the loop waits: so it never waits long. */
void run_until(const bool *flag)
{
    bool late = false;
    struct resv_timer limit = {.fired = set_flag, .data = &late};
    struct resv_timer pulse = {.fired = wake, .data = the_redis.host};
    resv_timer_start(the_redis.host, &limit, WAIT_MS_MAX);
    resv_timer_start(the_redis.host, &pulse, 1);
    while (!*flag && !late)
        uv_run(&the_redis.loop, UV_RUN_ONCE);
    resv_timer_stop(the_redis.host, &limit);
    resv_timer_stop(the_redis.host, &pulse);
    assert_false(late);
}

void run_ms(uint64_t milliseconds)
{
    bool passed = false;
    struct resv_timer timer = {.fired = set_flag, .data = &passed};
    resv_timer_start(the_redis.host, &timer, milliseconds);
    run_until(&passed);
}

void run_until_true(bool (*check)(void))
{
    for (unsigned i = 0; !check(); i++) {
        assert_true(i < WAIT_MS_MAX / 5);
        run_ms(5);
    }
}

/* --- the link ------------------------------------------------------------------------------------
 */

static void on_opened(void *data)
{
    (void)data;
    assert_false(the_redis.ended);
    the_redis.opened = the_redis.ended = true;
}

static void on_open_failed(void *data, int exit_code, const char *message)
{
    (void)data;
    assert_false(the_redis.ended);
    the_redis.failed = the_redis.ended = true;
    the_redis.exit_code = exit_code;
    snprintf(the_redis.message, sizeof the_redis.message, "%s", message);
}

static void on_node_changed(void *data, size_t node)
{
    (void)data;
    assert_true(node < redis_link_node_count(the_redis.link));
    the_redis.node_changes++;
}

static void on_closed(void *data)
{
    (void)data;
    the_redis.closed = true;
}

void setting(const char *key, const char *text)
{
    char name[64];
    snprintf(name, sizeof name, "redis.%s", key);
    if (config_set_flag(the_redis.config, name, text) != 0) {
        config_print_errors(the_redis.config, stderr);
        fail_msg("[redis] %s = %s", key, text);
    }
}

int redis_set_up_alone(void **state)
{
    (void)state;
    static const struct resv_option_table *const tables[] = {&redis_options, NULL};
    signal(SIGPIPE, SIG_IGN); /* as main() does */
    memset(&the_redis, 0, sizeof the_redis);
    turns = 0;
    the_redis.start_timeout_ms = 10000;
    the_redis.link_config = (struct redis_link_config){
        .use = REDIS_LOCKS, .scripts = scripts, .calls_max = 1000, .subscribes = false};
    the_redis.config = config_create(tables);
    the_redis.metrics = metrics_create();
    if (the_redis.config == NULL || the_redis.metrics == NULL ||
        !metrics_register(the_redis.metrics, &redis_metrics, NULL) ||
        uv_loop_init(&the_redis.loop) != 0)
        return -1;
    const struct host_config config = {.loop = &the_redis.loop,
                                       .config = the_redis.config,
                                       .metrics = the_redis.metrics,
                                       .events = {.start_failed = on_open_failed}};
    the_redis.host = host_create(&config);
    setting("reconnect_max_ms", "200");
    return the_redis.host != NULL ? 0 : -1;
}

int redis_set_up(void **state)
{
    nodes_do("reset");
    if (redis_set_up_alone(state) != 0)
        return -1;
    setting("lock_nodes", redis_server_setting("NODES"));
    setting("stock", redis_server_setting("NODE_1"));
    return 0;
}

static void host_is_closed(void *data)
{
    *(bool *)data = true;
}

int redis_tear_down(void **state)
{
    (void)state;
    bool closed = false;
    if (the_redis.link != NULL)
        link_shut();
    host_close(the_redis.host, host_is_closed, &closed);
    while (!closed)
        uv_run(&the_redis.loop, UV_RUN_ONCE);
    host_destroy(the_redis.host);
    metrics_destroy(the_redis.metrics);
    config_destroy(the_redis.config);
    return uv_loop_close(&the_redis.loop);
}

bool link_create(void)
{
    const struct redis_link_events events = {
        .data = &the_redis,
        .opened = on_opened,
        .open_failed = on_open_failed,
        .node_changed = on_node_changed,
        .closed = on_closed,
    };
    the_redis.opened = the_redis.failed = the_redis.ended = the_redis.closed = false;
    the_redis.link = redis_link_create(the_redis.host, &the_redis.link_config, &events);
    return the_redis.link != NULL;
}

bool link_start(void)
{
    assert_true(link_create());
    host_set_start_deadline(the_redis.host,
                            resv_now_ns(the_redis.host) + the_redis.start_timeout_ms * 1000000);
    redis_link_start(the_redis.link);
    assert_false(the_redis.ended); /* never from inside */
    run_until(&the_redis.ended);
    return the_redis.opened;
}

void link_open(void)
{
    if (!link_start())
        fail_msg("it did not open: %s", the_redis.message);
}

void link_shut(void)
{
    redis_link_close(the_redis.link);
    the_redis.link = NULL;
    run_until(&the_redis.closed);
}

/* --- calls ---------------------------------------------------------------------------------------
 */

static void on_done(struct redis_call *call)
{
    struct test_call *test = call->data;
    assert_false(test->done);
    test->done = true;
    test->turn = ++turns;
    assert_true((call->reply != NULL) ==
                (call->result == REDIS_DONE || call->result == REDIS_REFUSED));
    if (call->reply == NULL)
        return;
    test->count = redis_reply_count(call->reply);
    test->integer = redis_reply_integer(call->reply, 0);
    struct redis_text text = redis_reply_text(call->reply, 0);
    if (text.bytes != NULL)
        snprintf(test->text, sizeof test->text, "%.*s", (int)text.size, text.bytes);
}

void start_call(struct test_call *test, size_t node, const struct redis_script *script,
                const char *key, const char *argument, uint64_t timeout_ms)
{
    /* Copied by redis_run: so these need not live longer. */
    const struct redis_text key_text = {key, strlen(key)};
    const struct redis_text argument_text = {argument, strlen(argument)};
    *test = (struct test_call){.call = {.node = node,
                                        .script = script,
                                        .keys = &key_text,
                                        .keys_count = key[0] != '\0',
                                        .arguments = &argument_text,
                                        .arguments_count = 1,
                                        .timeout_ms = timeout_ms,
                                        .data = test,
                                        .done = on_done}};
    redis_run(the_redis.link, &test->call);
    assert_false(test->done); /* never from inside */
}

struct test_call *finish_call(struct test_call *test)
{
    run_until(&test->done);
    return test;
}

struct test_call *run_call(struct test_call *test, size_t node, const struct redis_script *script,
                           const char *key, const char *argument)
{
    start_call(test, node, script, key, argument, 5000);
    return finish_call(test);
}

/* --- what the link shows -------------------------------------------------------------------------
 */

const struct host_component *health(const char *component)
{
    size_t count = 0;
    const struct host_component *components = host_components(the_redis.host, &count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(components[i].name, component) == 0)
            return &components[i];
    }
    fail_msg("the link has not said how %s is", component);
    return NULL;
}

long long metric(const char *name, size_t node)
{
    size_t size = 0;
    char *text = metrics_render(the_redis.metrics, &size);
    char wanted[96];
    snprintf(wanted, sizeof wanted, "\nresvd_%s{node=\"%zu\"} ", name, node + 1);
    const char *found = strstr(text, wanted);
    if (found == NULL)
        fail_msg("no metric %s of node %zu", name, node + 1);
    long long value = strtoll(found + strlen(wanted), NULL, 10);
    free(text);
    return value;
}
