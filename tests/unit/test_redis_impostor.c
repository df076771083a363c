/* Whoever answers in a Redis node's place: old, another kind of server, broken, or malicious. The
 * link says what it is, takes no more memory than it wants to, and tries again.
 *
 * The impostor answers what comes first on a connection with `login`, and what comes then with
 * `answer`, again and again if it is to `repeat` it. */
#include "redis_fixture.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MAX  64
#define SENT_MAX         ((size_t)64 << 20)
#define SHA1             "$40\r\n0123456789012345678901234567890123456789\r\n"
#define LOADED           SHA1 SHA1 SHA1 SHA1
#define INFO_OF(version) "# Server\r\nredis_version:" version "\r\nredis_mode:standalone\r\n"

struct impostor {
    pthread_t thread, servers[CONNECTIONS_MAX];
    int listener, descriptors[CONNECTIONS_MAX];
    const char *login, *answer, *other_login; /* other: of all connections but the first */
    size_t answer_size;
    bool repeat, closes;
    atomic_size_t connections, sent;
    char address[32];
};
static struct impostor impostor;
static char login[2048];

/* CLIENT SETNAME, CONFIG GET, INFO, four times SCRIPT LOAD. */
static const char *login_with(const char *info)
{
    snprintf(login, sizeof login,
             "+OK\r\n*2\r\n$11\r\nappendfsync\r\n$6\r\nalways\r\n$%zu\r\n%s\r\n%s", strlen(info),
             info, LOADED);
    return login;
}

static bool say(int descriptor, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(descriptor, bytes, size, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        bytes += sent;
        size -= (size_t)sent;
        atomic_fetch_add(&impostor.sent, (size_t)sent);
    }
    return true;
}

static void *serve(void *data)
{
    size_t number = (size_t)(uintptr_t)data;
    int descriptor = impostor.descriptors[number];
    const char *first =
        number == 0 || impostor.other_login == NULL ? impostor.login : impostor.other_login;
    char bytes[4096];
    bool is_in = false;
    while (recv(descriptor, bytes, sizeof bytes, 0) > 0) {
        if (!is_in) {
            is_in = true;
            say(descriptor, first, strlen(first));
            continue;
        }
        while (say(descriptor, impostor.answer, impostor.answer_size) && impostor.repeat &&
               atomic_load(&impostor.sent) < SENT_MAX)
            ;
        if (impostor.closes)
            break;
    }
    shutdown(descriptor, SHUT_RDWR);
    return NULL;
}

static void *impose(void *data)
{
    (void)data;
    size_t count;
    int descriptor;
    while ((count = atomic_load(&impostor.connections)) < CONNECTIONS_MAX &&
           (descriptor = accept(impostor.listener, NULL, NULL)) >= 0) {
        impostor.descriptors[count] = descriptor;
        atomic_store(&impostor.connections, count + 1);
        if (pthread_create(&impostor.servers[count], NULL, serve, (void *)(uintptr_t)count) != 0)
            abort();
    }
    return NULL;
}

static void start_impostor(const char *its_login, const char *answer)
{
    the_redis.node_changes = 0;
    memset(&impostor, 0, sizeof impostor);
    impostor.login = its_login;
    impostor.answer = answer;
    impostor.answer_size = strlen(answer);
    impostor.listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    assert_int_equal(bind(impostor.listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(impostor.listener, 8), 0);
    assert_int_equal(getsockname(impostor.listener, (struct sockaddr *)&address, &size), 0);
    snprintf(impostor.address, sizeof impostor.address, "127.0.0.1:%u", ntohs(address.sin_port));
    the_redis.link_config.use = REDIS_STOCK;
    the_redis.start_timeout_ms = 1200;
    setting("stock", impostor.address);
    setting("connect_timeout_ms", "300");
    assert_int_equal(pthread_create(&impostor.thread, NULL, impose, NULL), 0);
}

static void stop_impostor(void)
{
    link_shut();
    shutdown(impostor.listener, SHUT_RDWR);
    assert_int_equal(pthread_join(impostor.thread, NULL), 0);
    close(impostor.listener);
    size_t connections = atomic_load(&impostor.connections);
    assert_true(connections > 0);
    for (size_t i = 0; i < connections; i++) {
        shutdown(impostor.descriptors[i], SHUT_RDWR);
        assert_int_equal(pthread_join(impostor.servers[i], NULL), 0);
        close(impostor.descriptors[i]);
    }
}

/* --- what it says of itself ----------------------------------------------------------------------
 */

static void test_who_is_not_taken(void **state)
{
    (void)state;
    static const struct {
        const char *login;
        int exit_code;
        const char *words;
    } cases[] = {
        {"+OK\r\n*0\r\n$24\r\nredis_version:6.0.16\r\n\r\n\r\n", 78, "needs Redis 6.2 or newer"},
        {"+OK\r\n*0\r\n$0\r\n\r\n", 78, "of an unknown version"},
        {"+OK\r\n*0\r\n:7\r\n", 78, "does not say what it is"},
        {"+OK\r\n*0\r\n$49\r\nredis_version:7.0.15\r\nredis_mode:sentinel\r\nrole:x\r\n", 78,
         "runs as sentinel"},
        {"+OK\r\n*0\r\n$48\r\nredis_version:7.0.15\r\nredis_mode:cluster\r\nrole:x\r\n", 78,
         "runs as cluster"},
        {"+OK\r\n*0\r\n$70\r\nredis_version:7.2.0\r\nrole:master\r\nloading:1\r\nloading_loaded_"
         "perc:"
         "12.5\r\n\r\n",
         69, "loading its data (12.5% done)"},
        {"-DENIED Redis is running in protected mode\r\n", 78, "protected mode"},
        {"-ERR max number of clients reached\r\n", 69, "max number of clients"},
        {"-LOADING Redis is loading the dataset in memory\r\n", 69, "ends by itself"},
        {"HTTP/1.1 400 Bad Request\r\n\r\n", 69, "not Redis' protocol"},
        {"\x15\x03\x03\x00\x02\x02\x50", 69, "not Redis' protocol: is it a TLS port?"},
        {"", 69, "no answer in time"}, /* it may be another kind of trouble */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        start_impostor(cases[i].login, "");
        assert_false(link_start());
        if (the_redis.exit_code != cases[i].exit_code ||
            strstr(the_redis.message, cases[i].words) == NULL)
            fail_msg("case %zu: %d %s", i, the_redis.exit_code, the_redis.message);
        assert_non_null(strstr(the_redis.message, "[redis] stock: 127.0.0.1:"));
        stop_impostor();
    }
}

static void test_who_is_taken(void **state)
{
    (void)state;
    static const struct {
        const char *info, *software, *version;
    } cases[] = {
        {INFO_OF("6.2.0") "role:master\r\nrun_id:ab\r\n", "Redis", "6.2.0"},
        {INFO_OF("7.2.4") "server_name:valkey\r\nvalkey_version:8.1.1\r\nrole:master\r\n", "Valkey",
         "8.1.1"},
        {"redis_version:10.0.0\nrole:master", "Redis", "10.0.0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        start_impostor(login_with(cases[i].info), "");
        link_open();
        assert_string_equal(the_redis.link->nodes[0].facts.software, cases[i].software);
        assert_string_equal(the_redis.link->nodes[0].facts.version, cases[i].version);
        assert_string_equal(redis_link_run_id(the_redis.link, 0), i == 0 ? "ab" : "");
        stop_impostor();
    }
}

static void test_scripts_are_not_loaded(void **state)
{
    (void)state;
    static const char good[] = "+OK\r\n*0\r\n$35\r\nredis_version:7.0.15\r\nrole:master\r\n\r\n";
    static const char *const answers[] = {"-NOPERM no\r\n", "-ERR Error compiling script\r\n",
                                          "$3\r\nabc\r\n"};
    static const char *const words[] = {"may not do SCRIPT LOAD", "does not understand our script",
                                        "as Redis does"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(login, sizeof login, "%s%s", good, answers[i]);
        start_impostor(login, "");
        assert_false(link_start());
        assert_int_equal(the_redis.exit_code, 78);
        assert_non_null(strstr(the_redis.message, words[i]));
        stop_impostor();
    }
}

/* --- what it answers -----------------------------------------------------------------------------
 */

static struct test_call call;

/* The call is lost, the node is down, its words have one of these in them. */
static void expect_loss_of(const char *words, const char *or_words)
{
    link_open();
    run_call(&call, 0, &script_echo, "", "x");
    const char *detail = health("redis")->detail;
    if (call.call.result != REDIS_LOST ||
        (strstr(detail, words) == NULL && strstr(detail, or_words) == NULL))
        fail_msg("result %d: %s", (int)call.call.result, health("redis")->detail);
    assert_int_equal(the_redis.node_changes, 1);
    stop_impostor();
}

static void expect_loss(const char *words)
{
    expect_loss_of(words, words);
}

static const char *good_login(void)
{
    return login_with(INFO_OF("7.0.15") "role:master\r\n");
}

static void test_garbage(void **state)
{
    (void)state;
    static const char *const garbage[] = {"hello\r\n", "$-2\r\n", "*-2\r\n", "$1x\r\n",
                                          ":99999999999999999999999\r\n"};
    for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++) {
        start_impostor(good_login(), garbage[i]);
        expect_loss("not Redis' protocol");
    }
}

static void test_closed_in_the_middle_of_a_reply(void **state)
{
    (void)state;
    start_impostor(good_login(), "*3\r\n$10\r\nabc");
    impostor.closes = true;
    expect_loss("closed the connection");
}

static void test_more_answers_than_questions(void **state)
{
    (void)state;
    start_impostor(good_login(), "+OK\r\n+OK\r\n");
    link_open();
    run_call(&call, 0, &script_echo, "", "x");
    assert_int_equal(call.call.result, REDIS_DONE); /* the first is taken for the answer */
    while (the_redis.node_changes == 0)
        run_ms(5);
    assert_non_null(strstr(health("redis")->detail, "what was not asked"));
    stop_impostor();
}

static void test_replies_without_end(void **state)
{
    (void)state;
    static const char *const begins[] = {"$1073741824\r\n", "+", "*1000000000\r\n",
                                         "*3\r\n$300000\r\n", "*100000\r\n:1\r\n"};
    static char flood[65537];
    for (size_t i = 0; i < sizeof begins / sizeof begins[0]; i++) {
        memset(flood, 'x', sizeof flood - 1);
        memcpy(flood, begins[i], strlen(begins[i]));
        start_impostor(good_login(), flood);
        impostor.repeat = true;
        link_open();
        run_call(&call, 0, &script_echo, "", "x");
        assert_int_equal(call.call.result, REDIS_LOST);
        assert_non_null(strstr(health("redis")->detail, "a reply of more than 256 KiB"));
        stop_impostor();
        /* What the sockets hold, too; far from all that it had. */
        assert_true(atomic_load(&impostor.sent) < SENT_MAX / 2);
    }
}

static void test_lists_in_lists_without_end(void **state)
{
    (void)state;
    static char nested[4 * 10000 + 1];
    for (size_t i = 0; i < 10000; i++)
        memcpy(nested + 4 * i, "*1\r\n", 5);
    start_impostor(good_login(), nested);
    /* hiredis before 1.1 knows seven levels. */
    expect_loss_of("not Redis' protocol", "a reply of more than 256 KiB");
}

static bool it_was_connected_to_again(void)
{
    return the_redis.node_changes > 0 && metric("redis_reconnects_total", 0) > 0;
}

static void test_no_answer_at_all(void **state)
{
    (void)state;
    setting("timeout_ms", "100");
    start_impostor(good_login(), "");
    link_open();
    start_call(&call, 0, &script_echo, "", "x", 100);
    finish_call(&call);
    assert_int_equal(call.call.result, REDIS_LOST);
    assert_int_equal(the_redis.node_changes, 0);
    run_until_true(it_was_connected_to_again);
    stop_impostor();
}

static void test_noscript_for_ever(void **state)
{
    (void)state;
    start_impostor(good_login(), "-NOSCRIPT No matching script.\r\n");
    link_open();
    run_call(&call, 0, &script_echo, "", "x");
    /* Its answers to SCRIPT LOAD are errors, too: given up after some tries. */
    assert_int_not_equal(call.call.result, REDIS_DONE);
    stop_impostor();
}

static bool it_is_down(void)
{
    return health("redis")->state == RESV_HEALTH_DOWN;
}

/* Nobody calls: the pings tell. Who may not ping may sell. */
static void test_pings_that_are_refused(void **state)
{
    (void)state;
    setting("ping_interval_ms", "50");
    start_impostor(good_login(), "-BUSY Redis is busy running a script\r\n");
    link_open();
    run_until_true(it_is_down);
    assert_non_null(strstr(health("redis")->detail, "SCRIPT KILL"));
    assert_int_equal(the_redis.node_changes, 0);
    stop_impostor();
    start_impostor(good_login(), "-NOPERM this user has no permissions to run 'ping'\r\n");
    link_open();
    run_ms(1600);
    assert_int_equal(health("redis")->state, RESV_HEALTH_UP);
    stop_impostor();
}

static void test_a_broken_listener_leaves_the_node_up(void **state)
{
    (void)state;
    static const char *const broken[] = {"hello\r\n", "-ERR no\r\n", "+OK\r\n+PONG\r\n+PONG\r\n",
                                         "+OK\r\n*3\r\n$7\r\nmessage\r\n:1\r\n:2\r\n*0\r\nx"};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        start_impostor(good_login(), "+OK\r\n");
        impostor.other_login = broken[i];
        the_redis.link_config.subscribes = true;
        link_open();
        while (metric("redis_listener_reconnects_total", 0) < 2)
            run_ms(5);
        assert_true(redis_link_node_is_up(the_redis.link, 0));
        assert_int_equal(the_redis.node_changes, 0);
        stop_impostor();
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, redis_set_up_alone, redis_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_who_is_not_taken),
        TEST(test_who_is_taken),
        TEST(test_scripts_are_not_loaded),
        TEST(test_garbage),
        TEST(test_closed_in_the_middle_of_a_reply),
        TEST(test_more_answers_than_questions),
        TEST(test_replies_without_end),
        TEST(test_lists_in_lists_without_end),
        TEST(test_no_answer_at_all),
        TEST(test_noscript_for_ever),
        TEST(test_pings_that_are_refused),
        TEST(test_a_broken_listener_leaves_the_node_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
