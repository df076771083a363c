/* Redis nodes that answer, but refuse; and what is said, once, of what is lost and found. */
#include "redis_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

/* The first is what a node is judged by. */
static const struct redis_script *const add_first[] = {&script_add, &script_echo, NULL};

static struct test_call call;

static enum resv_health_state state_of(const char *component)
{
    return health(component)->state;
}

static bool first_is_usable(void)
{
    return state_of("lock-1") == RESV_HEALTH_UP;
}

static bool second_is_usable(void)
{
    return state_of("lock-2") == RESV_HEALTH_UP;
}

static bool first_is_missed(void)
{
    return state_of("lock-1") == RESV_HEALTH_MISSED;
}

static bool nothing_is_refused(void)
{
    return strstr(health("lock-1")->detail, "OOM") == NULL;
}

static bool first_refuses(void)
{
    return state_of("lock-1") == RESV_HEALTH_DOWN;
}

static enum redis_result add(size_t node)
{
    return run_call(&call, node, &script_add, "resvd:counter", "1")->call.result;
}

static void be_refused(size_t node, unsigned times)
{
    for (unsigned i = 0; i < times; i++)
        assert_int_equal(add(node), REDIS_REFUSED);
}

static void open_to_add(const char *ping_interval_ms)
{
    the_redis.link_config.scripts = add_first;
    setting("ping_interval_ms", ping_interval_ms);
    link_open();
    the_redis.node_changes = 0;
}

/* --- a node that refuses all ---------------------------------------------------------------------
 */

static void test_full_memory_is_down_and_up_without_calls(void **state)
{
    (void)state;
    open_to_add("50");
    nodes_do("call 1 CONFIG SET maxmemory 1");
    nodes_do("call 2 CONFIG SET maxmemory 1");
    be_refused(0, 3);
    assert_true(first_is_usable()); /* not at once */
    run_ms(900);
    /* What needs no memory goes through: that is not what the node is for. */
    assert_int_equal(run_call(&call, 0, &script_echo, "", "x")->call.result, REDIS_DONE);
    run_until_true(first_is_missed);
    assert_non_null(strstr(health("lock-1")->detail, "refuses: OOM"));
    assert_non_null(strstr(health("lock-1")->detail, "raise maxmemory"));
    assert_int_equal(metric("redis_up", 0), 0);
    assert_int_equal(metric("redis_up", 1), 1);
    be_refused(1, 3);
    run_until_true(first_refuses); /* a majority: nothing can be sold */
    assert_int_equal(state_of("lock-2"), RESV_HEALTH_DOWN);
    assert_int_equal(state_of("lock-3"), RESV_HEALTH_UP);
    run_ms(300); /* the probes are refused, too */
    assert_true(first_refuses());
    assert_true(redis_link_node_is_up(the_redis.link, 0)); /* calls are still made */
    assert_int_equal(the_redis.node_changes, 0);
    nodes_do("call 1 CONFIG SET maxmemory 0");
    nodes_do("call 2 CONFIG SET maxmemory 0");
    run_until_true(first_is_usable);
    run_until_true(second_is_usable);
    assert_int_equal(metric("redis_up", 0), 1);
    assert_string_equal(nodes_do("call 1 DBSIZE"), "0"); /* the probe leaves nothing */
}

static void test_up_again_at_the_first_call_done(void **state)
{
    (void)state;
    open_to_add("60000");
    nodes_do("call 1 CONFIG SET maxmemory 1");
    be_refused(0, 3);
    run_until_true(first_is_missed);
    nodes_do("call 1 CONFIG SET maxmemory 0");
    assert_true(first_is_missed());
    assert_int_equal(add(0), REDIS_DONE);
    assert_true(first_is_usable());
    assert_null(strstr(health("lock-1")->detail, "OOM"));
}

static void test_some_refusals_are_not_all(void **state)
{
    (void)state;
    open_to_add("60000");
    nodes_do("call 1 CONFIG SET maxmemory 1");
    be_refused(0, 2);
    run_ms(1400);
    assert_true(first_is_usable()); /* two are few */
    nodes_do("call 1 CONFIG SET maxmemory 0");
    assert_int_equal(add(0), REDIS_DONE);
    nodes_do("call 1 CONFIG SET maxmemory 1");
    be_refused(0, 2); /* counted from here: it may go on for a second */
    run_ms(300);
    be_refused(0, 1);
    assert_true(first_is_usable());
    nodes_do("call 1 CONFIG SET maxmemory 0");
    assert_int_equal(add(0), REDIS_DONE);
    run_ms(700);
    assert_true(first_is_usable());
    assert_int_equal(metric("redis_refused_total", 0), 5);
}

static void test_a_right_that_is_taken(void **state)
{
    (void)state;
    open_to_add("50");
    nodes_do("call 1 ACL SETUSER default -evalsha");
    be_refused(0, 3);
    run_until_true(first_is_missed);
    assert_non_null(strstr(health("lock-1")->detail, "[redis] user"));
    run_ms(200);
    assert_true(first_is_missed());
    nodes_do("call 1 ACL SETUSER default +evalsha");
    run_until_true(first_is_usable);
}

/* A new connection is judged anew. */
static void test_a_node_that_refuses_and_is_lost(void **state)
{
    (void)state;
    open_to_add("60000");
    nodes_do("call 1 CONFIG SET maxmemory 1");
    be_refused(0, 3);
    run_until_true(first_is_missed);
    nodes_do("kill 1");
    run_until_true(nothing_is_refused);
    assert_true(first_is_missed());
    nodes_do("start 1");
    run_until_true(first_is_usable);
    assert_int_equal(add(0), REDIS_DONE);
}

static void test_a_command_forbidden_inside_a_script(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "ERR ACL failure in script: User other has no permissions to run the 'set' command",
        "ERR @user_script: 1: The user executing the script can't run this command or subcommand",
        "NOPERM this user has no permissions to access one of the channels used as arguments",
    };
    char words[REDIS_WORDS_SIZE];
    nodes_do("call 1 ACL SETUSER other reset on >pass ~* &* +@all -incrby");
    the_redis.link_config.use = REDIS_STOCK;
    setting("user", "other");
    setting("password", "pass");
    link_open();
    assert_int_equal(add(0), REDIS_REFUSED);
    redis_error_explain(call.text, words, sizeof words);
    assert_non_null(strstr(words, "can't run this command"));
    assert_non_null(strstr(words, "[redis] user"));
    assert_non_null(strstr(words, "ACL SETUSER"));
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        redis_error_explain(texts[i], words, sizeof words);
        assert_non_null(strstr(words, "ACL SETUSER"));
    }
    redis_error_explain("ERR syntax error", words, sizeof words);
    assert_null(strstr(words, "ACL SETUSER"));
}

/* --- subscriptions -------------------------------------------------------------------------------
 */

struct test_channel {
    struct redis_subscription subscription;
    unsigned listenings;
};
static struct test_channel good, bad;

static void on_listening(struct redis_subscription *subscription, size_t node)
{
    struct test_channel *channel = subscription->data;
    channel->listenings += node == 0;
}

static void on_heard(struct redis_subscription *subscription, size_t node)
{
    (void)subscription;
    (void)node;
}

static void subscribe(struct test_channel *channel, const char *name)
{
    *channel = (struct test_channel){
        .subscription = {.data = channel, .listening = on_listening, .heard = on_heard}};
    snprintf(channel->subscription.channel, sizeof channel->subscription.channel, "resvd:%s", name);
    redis_subscribe(the_redis.link, &channel->subscription);
}

static bool bad_is_listened_to(void)
{
    return bad.listenings > 0;
}

static bool good_is_listened_to(void)
{
    return good.listenings > 0;
}

static bool good_is_listened_to_again(void)
{
    return good.listenings > 1;
}

static bool bad_was_refused_often(void)
{
    return metric("redis_refused_total", 0) >= 3;
}

static bool all_is_heard(void)
{
    return metric("redis_listener_up", 0) == 1;
}

static void test_a_refused_subscription_is_counted_and_tried_again(void **state)
{
    (void)state;
    nodes_do("call 1 ACL SETUSER other reset on >pass ~* resetchannels &resvd:good +@all");
    the_redis.link_config.use = REDIS_STOCK;
    the_redis.link_config.subscribes = true;
    setting("ping_interval_ms", "50");
    setting("user", "other");
    setting("password", "pass");
    link_open();
    run_until_true(all_is_heard); /* there is nothing yet */
    uint64_t begin_ns = uv_hrtime();
    subscribe(&good, "good");
    subscribe(&bad, "bad");
    run_ms(400);
    run_until_true(good_is_listened_to);
    run_until_true(bad_was_refused_often);
    assert_int_equal(good.listenings, 1);
    assert_int_equal(bad.listenings, 0);
    assert_in_range(metric("redis_refused_total", 0), 3, 1 + (uv_hrtime() - begin_ns) / 50000000);
    assert_int_equal(metric("redis_listener_up", 0), 0);
    assert_int_equal(metric("redis_listener_reconnects_total", 0), 0);
    nodes_do("call 1 ACL SETUSER other &resvd:bad");
    run_until_true(bad_is_listened_to);
    run_until_true(all_is_heard);
    const long long refused = metric("redis_refused_total", 0);
    run_ms(200);
    assert_int_equal(metric("redis_refused_total", 0), refused);
    assert_int_equal(good.listenings, 1);
    assert_int_equal(bad.listenings, 1);
    redis_unsubscribe(the_redis.link, &good.subscription);
    redis_unsubscribe(the_redis.link, &bad.subscription);
}

/* --- what is logged ------------------------------------------------------------------------------
 */

static FILE *log_file;
static int stderr_before;

static void log_begin(void)
{
    log_file = tmpfile();
    assert_non_null(log_file);
    fflush(stderr);
    stderr_before = dup(STDERR_FILENO);
    assert_true(dup2(fileno(log_file), STDERR_FILENO) >= 0);
    log_configure(LOG_FORMAT_LOGFMT, RESV_LOG_INFO);
}

static char logged[16384];

static void log_end(void)
{
    log_configure(LOG_FORMAT_AUTO, RESV_LOG_INFO);
    fflush(stderr);
    dup2(stderr_before, STDERR_FILENO);
    close(stderr_before);
    rewind(log_file);
    logged[fread(logged, 1, sizeof logged - 1, log_file)] = '\0';
    fclose(log_file);
    log_file = NULL;
    fputs(logged, stderr);
}

/* A test that fails in between: what was logged until then is shown, too. */
static int tear_down(void **state)
{
    if (log_file != NULL)
        log_end();
    return redis_tear_down(state);
}

static unsigned count_logged(const char *words)
{
    unsigned count = 0;
    for (const char *at = logged; (at = strstr(at, words)) != NULL; at++)
        count++;
    return count;
}

static void test_messages_are_heard_again_is_said_once(void **state)
{
    (void)state;
    the_redis.link_config.subscribes = true;
    link_open();
    subscribe(&good, "good");
    run_until_true(good_is_listened_to); /* else there is nothing to be killed yet */
    run_until_true(all_is_heard);
    log_begin();
    nodes_do("call 1 CLIENT KILL TYPE pubsub");
    run_until_true(good_is_listened_to_again);
    run_until_true(all_is_heard);
    run_ms(100);
    log_end();
    assert_int_equal(count_logged("event=\"Redis messages are not heard\""), 1);
    assert_int_equal(count_logged("event=\"Redis messages are heard again\""), 1);
    redis_unsubscribe(the_redis.link, &good.subscription);
}

static void test_a_start_says_of_a_node_what_is_true(void **state)
{
    (void)state;
    nodes_do("kill 2");
    log_begin();
    link_open();
    log_end();
    assert_int_equal(count_logged("level=error"), 0);
    assert_int_equal(count_logged("component=lock-2"), 1);
    assert_int_equal(count_logged("event=\"backend down, going on without it\""), 1);
}

static bool two_are_down(void)
{
    return state_of("lock-2") == RESV_HEALTH_DOWN && state_of("lock-3") == RESV_HEALTH_DOWN;
}

static void test_a_start_without_a_majority_says_so_while_it_tries(void **state)
{
    (void)state;
    nodes_do("kill 2");
    nodes_do("kill 3");
    assert_true(link_create());
    redis_link_start(the_redis.link);
    run_ms(1300);
    run_until_true(two_are_down);
    assert_false(the_redis.ended);
    nodes_do("start 2");
    run_until(&the_redis.ended);
    assert_true(the_redis.opened);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, redis_set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_full_memory_is_down_and_up_without_calls),
        TEST(test_up_again_at_the_first_call_done),
        TEST(test_some_refusals_are_not_all),
        TEST(test_a_right_that_is_taken),
        TEST(test_a_node_that_refuses_and_is_lost),
        TEST(test_a_command_forbidden_inside_a_script),
        TEST(test_a_refused_subscription_is_counted_and_tried_again),
        TEST(test_messages_are_heard_again_is_said_once),
        TEST(test_a_start_says_of_a_node_what_is_true),
        TEST(test_a_start_without_a_majority_says_so_while_it_tries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
