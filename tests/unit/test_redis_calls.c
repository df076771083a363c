/* Calls to real Redis nodes: answers, order, joined writes, deadlines, errors. */
#include "redis_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define MANY 10000

/* Every send of the link goes through here. */
static unsigned sends;
ssize_t __real_send(int descriptor, const void *bytes, size_t size, int flags);
ssize_t __wrap_send(int descriptor, const void *bytes, size_t size, int flags);
ssize_t __wrap_send(int descriptor, const void *bytes, size_t size, int flags)
{
    sends++;
    return __real_send(descriptor, bytes, size, flags);
}

static struct test_call calls[MANY + 1];

static void test_scripts_run_on_the_node_named(void **state)
{
    (void)state;
    struct test_call call;
    link_open();
    assert_int_equal(redis_link_node_count(the_redis.link), 3);
    assert_string_equal(redis_link_key_prefix(the_redis.link), "resvd:");
    for (size_t node = 0; node < 3; node++) {
        assert_true(redis_link_node_is_up(the_redis.link, node));
        char amount[8];
        snprintf(amount, sizeof amount, "%zu", node + 10);
        run_call(&call, node, &script_add, "resvd:amount", amount);
        assert_int_equal(call.call.result, REDIS_DONE);
        assert_int_equal(call.integer, node + 10);
        assert_string_equal(nodes_do("call %zu GET resvd:amount", node + 1), amount);
    }
    assert_string_not_equal(redis_link_run_id(the_redis.link, 0),
                            redis_link_run_id(the_redis.link, 1));
    assert_int_equal(strlen(redis_link_run_id(the_redis.link, 0)), 40);
}

static const struct redis_script script_shapes = {
    "shapes", "return {1, 'two', false, -9007199254740992, '', {3}, 'a\\0b', {}}"};

static void look_at_shapes(struct redis_call *call)
{
    const struct redis_reply *reply = call->reply;
    assert_int_equal(call->result, REDIS_DONE);
    assert_int_equal(redis_reply_count(reply), 8);
    assert_int_equal(redis_reply_integer(reply, 0), 1);
    assert_null(redis_reply_text(reply, 0).bytes);
    assert_int_equal(redis_reply_integer(reply, 1), INT64_MIN);
    assert_true(redis_text_is(redis_reply_text(reply, 1), "two"));
    assert_int_equal(redis_reply_integer(reply, 2), INT64_MIN);
    assert_null(redis_reply_text(reply, 2).bytes);
    assert_int_equal(redis_reply_integer(reply, 3), -9007199254740992);
    assert_non_null(redis_reply_text(reply, 4).bytes);
    assert_int_equal(redis_reply_text(reply, 4).size, 0);
    assert_int_equal(redis_reply_integer(reply, 5), INT64_MIN);
    assert_int_equal(redis_reply_text(reply, 6).size, 3);
    assert_memory_equal(redis_reply_text(reply, 6).bytes, "a\0b", 3);
    assert_null(redis_reply_text(reply, 8).bytes);
    assert_int_equal(redis_reply_integer(reply, 8), INT64_MIN);
    *(bool *)call->data = true;
}

static void test_replies_of_every_shape(void **state)
{
    (void)state;
    static const struct redis_script *const scripts[] = {&script_shapes, NULL};
    bool seen = false;
    struct redis_call call = {
        .script = &script_shapes, .timeout_ms = 5000, .data = &seen, .done = look_at_shapes};
    the_redis.link_config.scripts = scripts;
    link_open();
    redis_run(the_redis.link, &call);
    run_until(&seen);
}

static void test_calls_of_a_turn_leave_in_one_write_and_in_order(void **state)
{
    (void)state;
    link_open();
    sends = 0;
    for (size_t i = 0; i < 500; i++)
        start_call(&calls[i], 0, &script_add, "resvd:counter", "1", 5000);
    start_call(&calls[500], 1, &script_add, "resvd:counter", "1", 5000);
    assert_int_equal(sends, 0);
    finish_call(&calls[499]);
    finish_call(&calls[500]);
    assert_int_equal(sends, 2); /* a node's each */
    for (size_t i = 0; i < 500; i++)
        assert_int_equal(calls[i].integer, i + 1);
    assert_int_equal(metric("redis_calls_seconds_count", 0), 500);
}

/* A strategy whose own flush makes calls that make calls: the host runs these in the same turn. */
struct chain {
    struct resv_deferred first, second;
    struct test_call calls[3];
};

static void on_second(struct resv_deferred *deferred)
{
    struct chain *chain = deferred->data;
    start_call(&chain->calls[2], 0, &script_echo, "", "c", 5000);
}

static void on_first(struct resv_deferred *deferred)
{
    struct chain *chain = deferred->data;
    start_call(&chain->calls[1], 0, &script_echo, "", "b", 5000);
    resv_defer(the_redis.host, &chain->second);
}

static void test_calls_made_at_the_flush_point_leave_with_the_others(void **state)
{
    (void)state;
    struct chain chain = {.first = {.run = on_first, .data = &chain},
                          .second = {.run = on_second, .data = &chain}};
    link_open();
    sends = 0;
    start_call(&chain.calls[0], 0, &script_echo, "", "a", 5000);
    resv_defer(the_redis.host, &chain.first);
    uv_run(&the_redis.loop, UV_RUN_NOWAIT);
    assert_in_range(sends, 1, 2);
    for (size_t i = 0; i < 3; i++)
        finish_call(&chain.calls[i]);
    assert_string_equal(chain.calls[2].text, "c");
    assert_in_range(sends, 1, 2);
}

/* Whoever else is on the loop takes 500 ms, where the node may take 200: before the call has left,
 * or when its answer is there and not read. */
static void test_a_loop_that_is_held_up_does_not_lose_calls(void **state)
{
    (void)state;
    const struct timespec held_up = {.tv_nsec = 500 * 1000000L};
    struct test_call before, behind;
    link_open();
    for (unsigned i = 0; i < 3; i++) {
        start_call(&before, 0, &script_echo, "", "before", 200);
        nanosleep(&held_up, NULL);
        finish_call(&before);
        assert_int_equal(before.call.result, REDIS_DONE);
        start_call(&behind, 0, &script_echo, "", "behind", 200);
        uv_run(&the_redis.loop, UV_RUN_NOWAIT);
        uv_run(&the_redis.loop, UV_RUN_NOWAIT); /* it has left by now */
        nanosleep(&held_up, NULL);
        finish_call(&behind);
        assert_int_equal(behind.call.result, REDIS_DONE);
        assert_string_equal(behind.text, "behind");
    }
    assert_int_equal(metric("redis_lost_total", 0), 0);
}

/* The same, for so long that the node looks as if it were silent: it answers all the time. */
static void test_a_process_that_was_stopped_keeps_its_connections(void **state)
{
    (void)state;
    const struct timespec stopped = {.tv_nsec = 600 * 1000000L};
    struct test_call call;
    link_open();
    the_redis.node_changes = 0;
    start_call(&call, 0, &script_echo, "", "a", 60);
    uv_run(&the_redis.loop, UV_RUN_NOWAIT);
    uv_run(&the_redis.loop, UV_RUN_NOWAIT);
    for (unsigned i = 0; i < 3; i++)
        nanosleep(&stopped, NULL);
    finish_call(&call);
    assert_int_equal(call.call.result, REDIS_DONE);
    run_ms(50);
    assert_int_equal(the_redis.node_changes, 0);
    assert_true(redis_link_node_is_up(the_redis.link, 0));
}

static void test_a_script_that_is_forgotten_is_loaded_again(void **state)
{
    (void)state;
    link_open();
    nodes_do("call 1 SCRIPT FLUSH");
    for (size_t i = 0; i < 100; i++)
        start_call(&calls[i], 0, &script_add, "resvd:counter", "1", 5000);
    start_call(&calls[100], 0, &script_echo, "", "here", 5000);
    finish_call(&calls[99]);
    finish_call(&calls[100]);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(calls[i].call.result, REDIS_DONE);
    assert_string_equal(calls[100].text, "here");
    assert_string_equal(nodes_do("call 1 GET resvd:counter"), "100"); /* once each */
    assert_int_equal(metric("redis_refused_total", 0), 0);
    /* One load for each script, not for each call: behind the login's and the flush. */
    assert_non_null(strstr(nodes_do("call 1 INFO commandstats"), "cmdstat_script|load:calls="));
}

static void test_a_late_call_takes_nothing_along(void **state)
{
    (void)state;
    struct test_call late, behind, after;
    link_open();
    nodes_do("call 1 CLIENT PAUSE 700 ALL");
    start_call(&late, 0, &script_add, "resvd:counter", "1", 50);
    start_call(&behind, 0, &script_add, "resvd:counter", "1", 5000);
    finish_call(&late);
    assert_int_equal(late.call.result, REDIS_LOST);
    assert_false(behind.done);
    memset(&late, 0xee, sizeof late); /* it is the caller's again */
    finish_call(&behind);
    assert_int_equal(behind.call.result, REDIS_DONE);
    assert_int_equal(behind.integer, 2); /* it was executed nevertheless */
    run_call(&after, 0, &script_add, "resvd:counter", "1");
    assert_int_equal(after.integer, 3);
    assert_int_equal(the_redis.node_changes, 0);
    assert_int_equal(metric("redis_lost_total", 0), 1);
}

static void test_deadlines_of_different_lengths(void **state)
{
    (void)state;
    static const uint64_t timeouts_ms[] = {250, 40, 120, 80};
    link_open();
    nodes_do("call 1 CLIENT PAUSE 2000 ALL");
    for (size_t i = 0; i < 4; i++)
        start_call(&calls[i], 0, &script_echo, "", "x", timeouts_ms[i]);
    finish_call(&calls[0]);
    assert_int_equal(calls[1].turn, 1);
    assert_int_equal(calls[3].turn, 2);
    assert_int_equal(calls[2].turn, 3);
    assert_int_equal(calls[0].turn, 4);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(calls[i].call.result, REDIS_LOST);
}

static void test_calls_max(void **state)
{
    (void)state;
    the_redis.link_config.calls_max = 5;
    link_open();
    nodes_do("call 1 CLIENT PAUSE 700 ALL");
    for (size_t i = 0; i < 6; i++)
        start_call(&calls[i], 0, &script_echo, "", "x", i == 0 ? 20 : 5000);
    finish_call(&calls[5]);
    assert_int_equal(calls[5].call.result, REDIS_DOWN);
    finish_call(&calls[0]);
    assert_int_equal(calls[0].call.result, REDIS_LOST);
    /* Its answer is still owed: it has its place until then. */
    start_call(&calls[6], 0, &script_echo, "", "x", 5000);
    finish_call(&calls[6]);
    assert_int_equal(calls[6].call.result, REDIS_DOWN);
    finish_call(&calls[4]);
    assert_int_equal(calls[4].call.result, REDIS_DONE);
    assert_string_equal(run_call(&calls[7], 0, &script_echo, "", "again")->text, "again");
}

static void test_what_is_too_big_is_not_sent(void **state)
{
    (void)state;
    static char big[2 << 20];
    memset(big, 'x', sizeof big - 1);
    link_open();
    run_call(&calls[0], 0, &script_echo, "", big);
    assert_int_equal(calls[0].call.result, REDIS_DOWN);
    big[100000] = '\0';
    run_call(&calls[0], 0, &script_echo, "", big);
    assert_int_equal(calls[0].call.result, REDIS_DONE);
    assert_int_equal(the_redis.node_changes, 0);
}

static void test_errors_are_told_as_text(void **state)
{
    (void)state;
    link_open();
    run_call(&calls[0], 0, &script_error, "", "MYKIND of error");
    assert_int_equal(calls[0].call.result, REDIS_REFUSED);
    assert_non_null(strstr(calls[0].text, "MYKIND of error"));
    run_call(&calls[0], 0, &script_add, "resvd:counter", "no number");
    assert_int_equal(calls[0].call.result, REDIS_REFUSED);
    assert_true(redis_link_node_is_up(the_redis.link, 0));
    assert_int_equal(metric("redis_refused_total", 0), 2);
    nodes_do("call 1 CONFIG SET maxmemory 1");
    run_call(&calls[0], 0, &script_add, "resvd:counter", "1");
    assert_int_equal(calls[0].call.result, REDIS_REFUSED);
    assert_non_null(strstr(calls[0].text, "OOM"));
    nodes_do("call 1 CONFIG SET maxmemory 0");
    assert_int_equal(run_call(&calls[0], 0, &script_add, "resvd:counter", "1")->integer, 1);
}

static bool first_is_blocked(void)
{
    return !redis_link_node_is_up(the_redis.link, 0) &&
           strstr(health("lock-1")->detail, "SCRIPT KILL") != NULL;
}

static void test_a_script_that_blocks_the_server(void **state)
{
    (void)state;
    setting("timeout_ms", "200");
    link_open();
    nodes_do("call 1 CONFIG SET busy-reply-threshold 50");
    start_call(&calls[0], 0, &script_spin, "", "1e12", 200);
    start_call(&calls[1], 0, &script_echo, "", "x", 200);
    finish_call(&calls[1]);
    assert_int_equal(calls[0].call.result, REDIS_LOST);
    assert_int_equal(calls[1].call.result, REDIS_LOST);
    /* Silent for longer than it may be: closed, and then it says that it is busy. */
    run_until_true(first_is_blocked);
    nodes_do("call 1 SCRIPT KILL");
    while (!redis_link_node_is_up(the_redis.link, 0))
        run_ms(5);
    assert_string_equal(run_call(&calls[2], 0, &script_echo, "", "back")->text, "back");
    nodes_do("call 1 CONFIG SET busy-reply-threshold 5000");
}

static void test_interrupt(void **state)
{
    (void)state;
    link_open();
    nodes_do("call 1 CLIENT PAUSE 700 ALL");
    for (size_t i = 0; i < 3; i++)
        start_call(&calls[i], 0, &script_echo, "", "x", 20000);
    run_ms(20);
    redis_link_interrupt(the_redis.link);
    assert_false(calls[0].done);
    finish_call(&calls[2]);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(calls[i].call.result, REDIS_LOST);
    assert_string_equal(run_call(&calls[3], 0, &script_echo, "", "on")->text, "on");
}

static unsigned left;
static void again(struct redis_call *call)
{
    assert_int_equal(call->result, REDIS_DONE);
    left--;
    if (left >= 1000)
        redis_run(the_redis.link, call);
}

static void test_ten_thousand_calls(void **state)
{
    (void)state;
    const struct redis_text key = {"resvd:counter", 13};
    const struct redis_text one = {"1", 1};
    link_open();
    left = MANY + 1000 - 1;
    for (size_t i = 0; i < 1000; i++) {
        calls[i].call = (struct redis_call){.script = &script_add,
                                            .keys = &key,
                                            .keys_count = 1,
                                            .arguments = &one,
                                            .arguments_count = 1,
                                            .timeout_ms = 15000,
                                            .done = again};
        redis_run(the_redis.link, &calls[i].call);
    }
    while (left > 0 && left != UINT32_MAX)
        run_ms(1);
    assert_int_equal(atoi(nodes_do("call 1 GET resvd:counter")), MANY + 1000 - 1);
    assert_int_equal(metric("redis_lost_total", 0), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, redis_set_up, redis_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_scripts_run_on_the_node_named),
        TEST(test_replies_of_every_shape),
        TEST(test_calls_of_a_turn_leave_in_one_write_and_in_order),
        TEST(test_calls_made_at_the_flush_point_leave_with_the_others),
        TEST(test_a_loop_that_is_held_up_does_not_lose_calls),
        TEST(test_a_process_that_was_stopped_keeps_its_connections),
        TEST(test_a_script_that_is_forgotten_is_loaded_again),
        TEST(test_a_late_call_takes_nothing_along),
        TEST(test_deadlines_of_different_lengths),
        TEST(test_calls_max),
        TEST(test_what_is_too_big_is_not_sent),
        TEST(test_errors_are_told_as_text),
        TEST(test_a_script_that_blocks_the_server),
        TEST(test_interrupt),
        TEST(test_ten_thousand_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
