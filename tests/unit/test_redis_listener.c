/* Messages of real Redis nodes: subscribing, hearing, losing the connection, and again. */
#include "redis_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MANY 10000

struct test_channel {
    struct redis_subscription subscription;
    unsigned listenings[3], heards[3];
};
static struct test_channel channels[2000];

static void on_listening(struct redis_subscription *subscription, size_t node)
{
    struct test_channel *channel = subscription->data;
    channel->listenings[node]++;
}

static void on_heard(struct redis_subscription *subscription, size_t node)
{
    struct test_channel *channel = subscription->data;
    assert_true(channel->listenings[node] > 0);
    channel->heards[node]++;
}

static void subscribe(struct test_channel *channel, const char *name)
{
    *channel = (struct test_channel){
        .subscription = {.data = channel, .listening = on_listening, .heard = on_heard}};
    snprintf(channel->subscription.channel, sizeof channel->subscription.channel, "resvd:%s", name);
    redis_subscribe(the_redis.link, &channel->subscription);
    assert_int_equal(channel->listenings[0], 0); /* never from inside */
}

static void unsubscribe(struct test_channel *channel)
{
    redis_unsubscribe(the_redis.link, &channel->subscription);
}

static void run_until_equal(const unsigned *number, unsigned expected)
{
    for (unsigned i = 0; *number < expected; i++) {
        if (i == 3000)
            fail_msg("%u, not %u", *number, expected);
        run_ms(5);
    }
    assert_int_equal(*number, expected);
}

static void run_until_not_listening(const struct test_channel *channel, size_t node)
{
    for (unsigned i = 0; (channel->subscription.listens & 1U << node) != 0; i++) {
        assert_true(i < 3000);
        run_ms(5);
    }
}

static void run_until_said(const char *command, const char *expected)
{
    for (unsigned i = 0; strcmp(nodes_do("%s", command), expected) != 0; i++) {
        if (i == 3000)
            fail_msg("%s: not %s", command, expected);
        run_ms(5);
    }
}

static int set_up(void **state)
{
    int result = redis_set_up(state);
    the_redis.link_config.subscribes = true;
    return result;
}

static void test_messages_are_heard_of_each_node(void **state)
{
    (void)state;
    struct test_channel *a = &channels[0], *b = &channels[1];
    link_open();
    subscribe(a, "a");
    subscribe(b, "b");
    for (size_t node = 0; node < 3; node++) {
        run_until_equal(&a->listenings[node], 1);
        run_until_equal(&b->listenings[node], 1);
        assert_string_equal(nodes_do("call %zu PUBLISH resvd:a hello", node + 1), "1");
        run_until_equal(&a->heards[node], 1);
        assert_int_equal(b->heards[node], 0);
    }
    assert_int_equal(a->subscription.listens, 7);
    unsubscribe(a);
    unsubscribe(a); /* nothing */
    run_until_said("call 1 PUBLISH resvd:a hello", "0");
    nodes_do("call 1 PUBLISH resvd:b hello");
    run_until_equal(&b->heards[0], 1);
    assert_int_equal(a->heards[0], 1);
    unsubscribe(b);
}

static void test_subscribed_before_the_link_is_open(void **state)
{
    (void)state;
    assert_true(link_create());
    subscribe(&channels[0], "early");
    redis_link_start(the_redis.link);
    run_until_equal(&channels[0].listenings[2], 1);
    unsubscribe(&channels[0]);
}

/* The confirmation of the first is not taken for that of the second. */
static void test_given_up_and_taken_up_again(void **state)
{
    (void)state;
    struct test_channel *first = &channels[0], *second = &channels[1], *before = &channels[2];
    link_open();
    subscribe(before, "before");
    run_until_equal(&before->listenings[0], 1); /* the connection is there */
    subscribe(first, "same");
    unsubscribe(first);
    subscribe(second, "same");
    run_until_equal(&second->listenings[0], 1);
    run_ms(50);
    assert_int_equal(first->listenings[0], 0);
    assert_int_equal(second->listenings[0], 1);
    /* All three answers have come by then: what is published is heard. */
    nodes_do("call 1 PUBLISH resvd:same hello");
    run_until_equal(&second->heards[0], 1);
    assert_int_equal(the_redis.link->nodes[0].listener.asked,
                     the_redis.link->nodes[0].listener.answered);
    unsubscribe(second);
    unsubscribe(before);
}

static void test_the_connection_is_lost_and_listened_on_again(void **state)
{
    (void)state;
    struct test_channel *channel = &channels[0];
    link_open();
    subscribe(channel, "a");
    run_until_equal(&channel->listenings[0], 1);
    for (unsigned i = 1; i <= 3; i++) {
        nodes_do("call 1 CLIENT KILL TYPE pubsub");
        run_until_equal(&channel->listenings[0], 1 + i);
        nodes_do("call 1 PUBLISH resvd:a hello");
        run_until_equal(&channel->heards[0], i);
    }
    assert_true(redis_link_node_is_up(the_redis.link, 0));
    assert_int_equal(the_redis.node_changes, 0);
    assert_int_equal(metric("redis_listener_reconnects_total", 0), 3);
    assert_int_equal(metric("redis_listener_reconnects_total", 1), 0);
    run_until_equal(&channel->listenings[1], 1);
    unsubscribe(channel);
}

static void test_the_node_is_restarted(void **state)
{
    (void)state;
    struct test_channel *channel = &channels[0];
    link_open();
    subscribe(channel, "a");
    run_until_equal(&channel->listenings[0], 1);
    nodes_do("kill 1");
    run_until_not_listening(channel, 0);
    nodes_do("start 1");
    run_until_equal(&channel->listenings[0], 2);
    nodes_do("call 1 PUBLISH resvd:a hello");
    run_until_equal(&channel->heards[0], 1);
    unsubscribe(channel);
}

static void test_ten_thousand_messages(void **state)
{
    (void)state;
    static const struct redis_script script_publish = {
        "publish",
        "for i = 1, tonumber(ARGV[1]) do redis.call('PUBLISH', KEYS[1], i) end return 1"};
    static const struct redis_script *const scripts[] = {&script_publish, NULL};
    struct test_call call;
    the_redis.link_config.scripts = scripts;
    link_open();
    subscribe(&channels[0], "many");
    run_until_equal(&channels[0].listenings[1], 1);
    run_call(&call, 1, &script_publish, "resvd:many", "10000");
    assert_int_equal(call.call.result, REDIS_DONE);
    run_until_equal(&channels[0].heards[1], MANY);
    unsubscribe(&channels[0]);
}

static void test_two_thousand_channels(void **state)
{
    (void)state;
    const size_t count = sizeof channels / sizeof channels[0];
    char name[24];
    link_open();
    for (size_t i = 0; i < count; i++) {
        snprintf(name, sizeof name, "channel-%zu", i);
        subscribe(&channels[i], name);
    }
    for (size_t i = 0; i < count; i++)
        run_until_equal(&channels[i].listenings[0], 1);
    nodes_do("call 1 CLIENT KILL TYPE pubsub");
    for (size_t i = 0; i < count; i++)
        run_until_equal(&channels[i].listenings[0], 2);
    nodes_do("call 1 PUBLISH resvd:channel-1234 x");
    run_until_equal(&channels[1234].heards[0], 1);
    for (size_t i = 0; i < count; i += 2)
        unsubscribe(&channels[i]);
    run_until_equal(&channels[1999].listenings[1], 1);
    nodes_do("call 2 PUBLISH resvd:channel-1999 x");
    run_until_equal(&channels[1999].heards[1], 1);
    for (size_t i = 1; i < count; i += 2)
        unsubscribe(&channels[i]);
    run_until_said("call 1 PUBSUB CHANNELS resvd:*", "[]");
}

static void test_a_channel_that_is_forbidden(void **state)
{
    (void)state;
    struct test_call call;
    nodes_do("call 1 ACL SETUSER other reset on >pass ~* resetchannels &resvd:good +@all");
    the_redis.link_config.use = REDIS_STOCK;
    setting("user", "other");
    setting("password", "pass");
    link_open();
    subscribe(&channels[0], "bad");
    subscribe(&channels[1], "good");
    run_until_equal(&channels[1].listenings[0], 1);
    assert_int_equal(channels[0].listenings[0], 0);
    assert_string_equal(run_call(&call, 0, &script_echo, "", "x")->text, "x");
    nodes_do("call 1 PUBLISH resvd:good x");
    run_until_equal(&channels[1].heards[0], 1);
    unsubscribe(&channels[0]);
    unsubscribe(&channels[1]);
}

static void test_a_dead_connection_is_noticed(void **state)
{
    (void)state;
    setting("ping_interval_ms", "50");
    setting("timeout_ms", "100");
    setting("connect_timeout_ms", "300");
    link_open();
    subscribe(&channels[0], "a");
    run_until_equal(&channels[0].listenings[0], 1);
    nodes_do("pause 1");
    run_until_not_listening(&channels[0], 0);
    nodes_do("resume 1");
    run_until_equal(&channels[0].listenings[0], 2);
    unsubscribe(&channels[0]);
}

static struct test_channel *dropped;
static void drop_others(struct redis_subscription *subscription, size_t node)
{
    on_heard(subscription, node);
    unsubscribe(dropped);
    unsubscribe(subscription->data);
}

static void test_unsubscribed_from_inside(void **state)
{
    (void)state;
    link_open();
    subscribe(&channels[0], "a");
    subscribe(&channels[1], "b");
    channels[0].subscription.heard = drop_others;
    dropped = &channels[1];
    run_until_equal(&channels[1].listenings[0], 1);
    nodes_do("call 1 EVAL \"redis.call('PUBLISH','resvd:a',1) redis.call('PUBLISH','resvd:b',1) "
             "redis.call('PUBLISH','resvd:a',1)\" 0");
    run_until_equal(&channels[0].heards[0], 1);
    run_ms(50);
    assert_int_equal(channels[0].heards[0], 1);
    assert_int_equal(channels[1].heards[0], 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, redis_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_messages_are_heard_of_each_node),
        TEST(test_subscribed_before_the_link_is_open),
        TEST(test_given_up_and_taken_up_again),
        TEST(test_the_connection_is_lost_and_listened_on_again),
        TEST(test_the_node_is_restarted),
        TEST(test_ten_thousand_messages),
        TEST(test_two_thousand_channels),
        TEST(test_a_channel_that_is_forbidden),
        TEST(test_a_dead_connection_is_noticed),
        TEST(test_unsubscribed_from_inside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
