/* Redis nodes that come and go: start, login, loss, reconnecting, health. */
#include "redis_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct test_call calls[8];

/* A port of this machine where nobody listens, nor will: it is taken, until this process ends. */
static const char *nobody(void)
{
    static char address[32];
    struct sockaddr_in name;
    socklen_t size = sizeof name;
    int taken = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(uv_ip4_addr("127.0.0.1", 0, &name), 0);
    assert_int_equal(bind(taken, (const struct sockaddr *)&name, size), 0);
    assert_int_equal(getsockname(taken, (struct sockaddr *)&name, &size), 0);
    snprintf(address, sizeof address, "127.0.0.1:%u", ntohs(name.sin_port));
    return address;
}

static void use_stock(const char *address)
{
    the_redis.link_config.use = REDIS_STOCK;
    setting("stock", address);
}

static void expect_failure(int exit_code, const char *a, const char *b)
{
    assert_false(link_start());
    if (the_redis.exit_code != exit_code || strstr(the_redis.message, a) == NULL ||
        strstr(the_redis.message, b) == NULL)
        fail_msg("exit code %d: %s", the_redis.exit_code, the_redis.message);
}

static bool is_up(size_t node)
{
    return redis_link_node_is_up(the_redis.link, node);
}

static bool first_is_up(void)
{
    return is_up(0);
}

static bool first_is_down(void)
{
    return !is_up(0);
}

/* In words; others may come first: a try that was cut short, or refused. */
static const char *expected_words;
static const char *component_of_words;

static bool words_are_said(void)
{
    return strstr(health(component_of_words)->detail, expected_words) != NULL;
}

static void run_until_said(const char *component, const char *words)
{
    component_of_words = component;
    expected_words = words;
    run_until_true(words_are_said);
}

static bool second_is_down(void)
{
    return !is_up(1);
}

static bool third_is_up(void)
{
    return is_up(2);
}

/* --- start ---------------------------------------------------------------------------------------
 */

static void test_a_refused_connection_is_named(void **state)
{
    (void)state;
    the_redis.start_timeout_ms = 900;
    use_stock(nobody());
    expect_failure(69, "[redis] stock: 127.0.0.1:", "connection refused");
    assert_int_equal(health("redis")->state, RESV_HEALTH_DOWN);
}

static void test_a_name_that_is_not_found(void **state)
{
    (void)state;
    the_redis.start_timeout_ms = 900;
    use_stock("no-such-host.invalid:6379");
    expect_failure(69, "no-such-host.invalid:6379", "name");
}

static void test_a_name_is_found(void **state)
{
    (void)state;
    char address[64];
    snprintf(address, sizeof address, "localhost%s", strchr(redis_server_setting("NODE_1"), ':'));
    use_stock(address);
    link_open(); /* ::1 refuses, 127.0.0.1 does not */
    assert_string_equal(run_call(&calls[0], 0, &script_echo, "", "x")->text, "x");
    assert_int_equal(health("redis")->state, RESV_HEALTH_UP);
}

static void test_a_unix_socket(void **state)
{
    (void)state;
    char address[256];
    snprintf(address, sizeof address, "unix:%s", redis_server_setting("SOCKET"));
    use_stock(address);
    link_open();
    assert_string_equal(run_call(&calls[0], 0, &script_echo, "", "x")->text, "x");
    link_shut();
    the_redis.start_timeout_ms = 900;
    use_stock("unix:/no/such/socket");
    expect_failure(69, "unix:/no/such/socket", "no such file");
}

static void test_a_majority_is_enough(void **state)
{
    (void)state;
    nodes_do("kill 2");
    link_open();
    assert_true(is_up(0) && !is_up(1) && is_up(2));
    assert_int_equal(health("lock-2")->state, RESV_HEALTH_MISSED);
    assert_non_null(strstr(health("lock-2")->detail, redis_server_setting("NODE_2")));
    assert_int_equal(health("lock-1")->state, RESV_HEALTH_UP);
    assert_int_equal(metric("redis_up", 1), 0);
    assert_int_equal(metric("redis_up", 2), 1);
    nodes_do("kill 3");
    run_call(&calls[0], 2, &script_echo, "", "x");
    assert_int_not_equal(calls[0].call.result, REDIS_DONE);
    assert_int_equal(health("lock-2")->state, RESV_HEALTH_DOWN); /* of both by now */
    assert_int_equal(health("lock-3")->state, RESV_HEALTH_DOWN);
    assert_int_equal(health("lock-1")->state, RESV_HEALTH_UP);
}

static void test_less_than_a_majority_is_not(void **state)
{
    (void)state;
    the_redis.start_timeout_ms = 1200;
    nodes_do("kill 2");
    nodes_do("kill 3");
    expect_failure(69, "1 of 3 nodes can be used, 2 are needed", redis_server_setting("NODE_3"));
}

static void test_a_node_that_does_not_answer_has_a_second(void **state)
{
    (void)state;
    nodes_do("pause 3");
    uint64_t begin_ns = resv_now_ns(the_redis.host);
    link_open();
    assert_in_range((resv_now_ns(the_redis.host) - begin_ns) / 1000000, 990, 5000); /* it has 10 */
    assert_false(is_up(2));
    nodes_do("resume 3");
    run_until_true(third_is_up);
    assert_int_equal(the_redis.node_changes, 1);
}

static void test_it_waits_for_a_server_that_is_started_later(void **state)
{
    (void)state;
    use_stock(redis_server_setting("NODE_1"));
    nodes_do("kill 1");
    assert_true(link_create());
    redis_link_start(the_redis.link);
    run_ms(200);
    assert_false(the_redis.ended);
    nodes_do("start 1");
    run_until(&the_redis.ended);
    assert_true(the_redis.opened);
}

/* --- login ---------------------------------------------------------------------------------------
 */

static void test_passwords(void **state)
{
    (void)state;
    use_stock(redis_server_setting("NODE_1"));
    nodes_do("call 1 CONFIG SET requirepass secret");
    expect_failure(78, "set [redis] password", "NOAUTH");
    link_shut();
    setting("password", "wrong");
    expect_failure(78, "[redis] user and password", "WRONGPASS");
    assert_null(strstr(the_redis.message, "wrong "));
    link_shut();
    setting("password", "secret");
    link_open();
    link_shut();
    nodes_do("call 1 CONFIG SET requirepass ''");
    expect_failure(78, "it has no password", "empty [redis] password");
}

static void test_a_user_with_little_is_enough(void **state)
{
    (void)state;
    use_stock(redis_server_setting("NODE_1"));
    nodes_do(
        "call 1 ACL SETUSER other reset on >pass ~resvd:* &resvd:* +evalsha +script|load +info "
        "+ping +subscribe +unsubscribe +incrby");
    the_redis.link_config.subscribes = true;
    setting("user", "other");
    setting("password", "pass");
    link_open();
    assert_int_equal(run_call(&calls[0], 0, &script_add, "resvd:a", "2")->integer, 2);
    run_call(&calls[0], 0, &script_add, "others:a", "2");
    assert_int_equal(calls[0].call.result, REDIS_REFUSED);
    assert_non_null(strstr(calls[0].text, "NOPERM"));
    link_shut();
    nodes_do("call 1 ACL SETUSER other -info");
    expect_failure(78, "[redis] user may not do INFO", "ACL SETUSER");
    link_shut();
    nodes_do("call 1 ACL SETUSER other +info -script|load");
    expect_failure(78, "[redis] user may not do SCRIPT LOAD", "ACL SETUSER");
}

static void test_one_wrong_password_of_three_ends_the_start(void **state)
{
    (void)state;
    nodes_do("call 2 CONFIG SET requirepass secret");
    expect_failure(78, redis_server_setting("NODE_2"), "set [redis] password");
}

static void test_a_password_changed_while_it_runs(void **state)
{
    (void)state;
    link_open();
    nodes_do("call 1 CONFIG SET requirepass secret");
    nodes_do("call 1 CLIENT KILL TYPE normal");
    run_until_true(first_is_down);
    run_until_said("lock-1", "[redis] password");
    nodes_do("call 1 CONFIG SET requirepass ''");
    run_until_true(first_is_up);
}

static void test_a_replica_is_not_used(void **state)
{
    (void)state;
    the_redis.start_timeout_ms = 1200;
    const char *port = strchr(redis_server_setting("NODE_2"), ':') + 1;
    use_stock(redis_server_setting("NODE_1"));
    nodes_do("call 1 REPLICAOF 127.0.0.1 %s", port);
    expect_failure(78, "it is a replica of 127.0.0.1:", port);
}

static void test_a_node_that_becomes_a_replica(void **state)
{
    (void)state;
    link_open();
    nodes_do("call 1 REPLICAOF 127.0.0.1 %s", strchr(redis_server_setting("NODE_2"), ':') + 1);
    run_call(&calls[0], 0, &script_add, "resvd:a", "1");
    assert_int_equal(calls[0].call.result, REDIS_REFUSED);
    assert_non_null(strstr(calls[0].text, "READONLY"));
    run_until_true(first_is_down);
    run_until_said("lock-1", "replica");
    nodes_do("call 1 REPLICAOF NO ONE");
    run_until_true(first_is_up);
    assert_int_equal(run_call(&calls[0], 0, &script_add, "resvd:a", "1")->integer, 1);
}

static void test_what_may_be_lost_is_warned_of(void **state)
{
    (void)state;
    use_stock(redis_server_setting("NODE_1"));
    nodes_do("call 1 CONFIG SET appendfsync always");
    link_open();
    assert_string_equal(the_redis.link->nodes[0].warned, "");
    link_shut();
    nodes_do("call 1 CONFIG SET appendfsync everysec");
    link_open();
    assert_non_null(strstr(the_redis.link->nodes[0].warned, "appendfsync=everysec"));
    link_shut();
    nodes_do("call 1 CONFIG SET appendonly no");
    nodes_do("call 1 CONFIG SET maxmemory 100mb");
    nodes_do("call 1 CONFIG SET maxmemory-policy allkeys-lru");
    link_open();
    assert_non_null(strstr(the_redis.link->nodes[0].warned, "appendonly=no"));
    assert_non_null(strstr(the_redis.link->nodes[0].warned, "maxmemory-policy=allkeys-lru"));
    assert_non_null(strstr(the_redis.link->nodes[0].warned, "noeviction"));
    link_shut();
    the_redis.link_config.use = REDIS_LOCKS; /* these are not written for ever */
    link_open();
    assert_null(strstr(the_redis.link->nodes[0].warned, "append"));
    assert_non_null(strstr(the_redis.link->nodes[0].warned, "locks that are held"));
    assert_string_equal(the_redis.link->nodes[1].warned, "");
}

/* --- loss ----------------------------------------------------------------------------------------
 */

static void test_killed_and_started_again(void **state)
{
    (void)state;
    char before[REDIS_RUN_ID_SIZE];
    link_open();
    strcpy(before, redis_link_run_id(the_redis.link, 0));
    nodes_do("pause 1");
    start_call(&calls[0], 0, &script_echo, "", "x", 15000);
    run_ms(20);
    nodes_do("kill 1");
    finish_call(&calls[0]);
    assert_int_equal(calls[0].call.result, REDIS_LOST);
    run_call(&calls[1], 0, &script_echo, "", "x");
    assert_int_equal(calls[1].call.result, REDIS_DOWN);
    assert_int_equal(the_redis.node_changes, 1);
    assert_int_equal(metric("redis_up", 0), 0);
    nodes_do("start 1");
    run_until_true(first_is_up);
    assert_int_equal(the_redis.node_changes, 2);
    assert_string_not_equal(redis_link_run_id(the_redis.link, 0), before);
    assert_string_equal(run_call(&calls[0], 0, &script_echo, "", "y")->text, "y");
    assert_int_equal(metric("redis_reconnects_total", 0), 1);
    assert_int_equal(metric("redis_reconnects_total", 1), 0);
}

static void test_a_call_that_never_left_is_down_not_lost(void **state)
{
    (void)state;
    link_open();
    start_call(&calls[0], 0, &script_echo, "", "x", 5000);
    redis_connection_fail(the_redis.link->nodes[0].connection, 69, "a test");
    finish_call(&calls[0]);
    assert_int_equal(calls[0].call.result, REDIS_DOWN);
    assert_int_equal(metric("redis_lost_total", 0), 0);
}

static void test_a_silent_node_is_connected_to_again(void **state)
{
    (void)state;
    setting("ping_interval_ms", "50");
    setting("timeout_ms", "100");
    setting("connect_timeout_ms", "300");
    link_open();
    nodes_do("pause 2"); /* nobody calls it: the PING finds out */
    run_until_true(second_is_down);
    assert_non_null(strstr(health("lock-2")->detail, "silent"));
    run_until_said("lock-2", "no answer in time");
    nodes_do("resume 2");
    while (!is_up(1))
        run_ms(5);
    assert_true(is_up(0) && is_up(2));
}

static void test_idle_connections_are_kept(void **state)
{
    (void)state;
    setting("ping_interval_ms", "20");
    link_open();
    run_ms(400);
    assert_int_equal(the_redis.node_changes, 0);
    assert_true(health("lock-1")->latency_ns > 0);
}

static void test_other_processes_script_flush_and_kills(void **state)
{
    (void)state;
    link_open();
    for (unsigned i = 0; i < 20; i++) {
        nodes_do(i % 2 == 0 ? "call 1 SCRIPT FLUSH" : "call 1 CLIENT KILL TYPE normal");
        start_call(&calls[0], 0, &script_add, "resvd:n", "1", 5000);
        finish_call(&calls[0]);
        run_until_true(first_is_up);
    }
    assert_string_equal(run_call(&calls[0], 0, &script_echo, "", "x")->text, "x");
}

/* --- close ---------------------------------------------------------------------------------------
 */

static void test_close_at_every_moment_of_the_start(void **state)
{
    (void)state;
    the_redis.link_config.subscribes = true;
    setting("lock_nodes", "localhost:1,127.0.0.1:2,unix:/no/such");
    assert_true(link_create());
    link_shut(); /* never started */
    for (unsigned i = 0; i < 60; i++) {
        if (i == 20)
            setting("lock_nodes", redis_server_setting("NODES"));
        assert_true(link_create());
        redis_link_start(the_redis.link);
        for (unsigned turn = 0; turn < i % 20; turn++)
            uv_run(&the_redis.loop, UV_RUN_NOWAIT);
        link_shut();
    }
}

static void close_from_inside(struct redis_call *call)
{
    assert_int_equal(call->result, REDIS_DONE);
    redis_link_close(the_redis.link);
}

static void test_close_from_inside_done(void **state)
{
    (void)state;
    struct redis_call call = {.script = &script_echo, .done = close_from_inside};
    link_open();
    redis_run(the_redis.link, &call);
    run_until(&the_redis.closed);
    the_redis.link = NULL;
}

static void close_at_once(void *data, int exit_code, const char *message)
{
    (void)message;
    assert_int_equal(exit_code, 69);
    redis_link_close(*(struct redis_link **)data);
}

static void is_closed(void *data)
{
    (void)data;
    the_redis.closed = true;
}

static void never(void *data)
{
    (void)data;
    fail_msg("it opened");
}

static void test_close_from_inside_open_failed(void **state)
{
    (void)state;
    struct redis_link *link = NULL;
    const struct redis_link_events events = {
        .data = &link, .opened = never, .open_failed = close_at_once, .closed = is_closed};
    the_redis.link_config.use = REDIS_STOCK;
    setting("stock", nobody());
    setting("reconnect_min_ms", "60000"); /* nothing of libuv is there when it gives up */
    setting("reconnect_max_ms", "60000");
    link = redis_link_create(the_redis.host, &the_redis.link_config, &events);
    assert_non_null(link);
    host_set_start_deadline(the_redis.host, resv_now_ns(the_redis.host) + 700000000);
    redis_link_start(link);
    run_until(&the_redis.closed);
}

static void close_the_link(struct redis_call *call)
{
    assert_int_equal(call->result, REDIS_DOWN);
    redis_link_close(the_redis.link);
}

static void test_close_from_inside_down(void **state)
{
    (void)state;
    struct redis_call call = {.script = &script_echo, .done = close_the_link};
    assert_true(link_create()); /* not started */
    redis_run(the_redis.link, &call);
    run_until(&the_redis.closed);
    the_redis.link = NULL;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, redis_set_up, redis_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_refused_connection_is_named),
        TEST(test_a_name_that_is_not_found),
        TEST(test_a_name_is_found),
        TEST(test_a_unix_socket),
        TEST(test_a_majority_is_enough),
        TEST(test_less_than_a_majority_is_not),
        TEST(test_a_node_that_does_not_answer_has_a_second),
        TEST(test_it_waits_for_a_server_that_is_started_later),
        TEST(test_passwords),
        TEST(test_a_user_with_little_is_enough),
        TEST(test_one_wrong_password_of_three_ends_the_start),
        TEST(test_a_password_changed_while_it_runs),
        TEST(test_a_replica_is_not_used),
        TEST(test_a_node_that_becomes_a_replica),
        TEST(test_what_may_be_lost_is_warned_of),
        TEST(test_killed_and_started_again),
        TEST(test_a_call_that_never_left_is_down_not_lost),
        TEST(test_a_silent_node_is_connected_to_again),
        TEST(test_idle_connections_are_kept),
        TEST(test_other_processes_script_flush_and_kills),
        TEST(test_close_at_every_moment_of_the_start),
        TEST(test_close_from_inside_done),
        TEST(test_close_from_inside_open_failed),
        TEST(test_close_from_inside_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
