/* TLS to a real Redis node: whose certificate is accepted, and what goes through it. */
#include "redis_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct test_call calls[2000];

static void use_tls_node(const char *host, const char *mode, const char *authority)
{
    static char address[64];
    snprintf(address, sizeof address, "%s:%s", host, redis_server_setting("TLS_PORT"));
    the_redis.link_config.use = REDIS_STOCK;
    the_redis.start_timeout_ms = 1500;
    setting("stock", address);
    setting("tls", mode);
    setting("tls_ca", redis_server_setting(authority));
}

static void expect_failure(int exit_code, const char *words)
{
    assert_false(link_start());
    if (the_redis.exit_code != exit_code || strstr(the_redis.message, words) == NULL)
        fail_msg("exit code %d: %s", the_redis.exit_code, the_redis.message);
    link_shut();
}

static void test_a_good_certificate(void **state)
{
    (void)state;
    static const char *const hosts[] = {"127.0.0.1", "localhost"};
    for (size_t i = 0; i < 2; i++) {
        use_tls_node(hosts[i], "on", "CA");
        link_open();
        calls[0].text[0] = '\0';
        run_call(&calls[0], 0, &script_echo, "", "through");
        assert_string_equal(calls[0].text, "through");
        link_shut();
    }
}

static void test_another_authority(void **state)
{
    (void)state;
    static const char *const modes[] = {"on", "verify_ca"};
    for (size_t i = 0; i < 2; i++) {
        use_tls_node("127.0.0.1", modes[i], "OTHER_CA");
        expect_failure(78, "certificate is not accepted");
    }
}

static void test_another_host(void **state)
{
    (void)state;
    use_tls_node("127.0.0.2", "on", "CA");
    expect_failure(78, "certificate is not accepted");
    setting("tls_name", "elsewhere.example");
    expect_failure(78, "certificate is not accepted");
    setting("tls_name", "localhost"); /* what it is for */
    link_open();
    link_shut();
    setting("tls_name", "");
    use_tls_node("127.0.0.2", "verify_ca", "CA");
    link_open();
}

static void test_a_port_without_tls(void **state)
{
    (void)state;
    use_tls_node("127.0.0.1", "on", "CA");
    setting("connect_timeout_ms", "300");
    setting("stock", redis_server_setting("NODE_1"));
    assert_false(link_start());
    assert_non_null(strstr(the_redis.message, "is it a TLS port?"));
}

static void test_tls_is_not_spoken_to_a_tls_port(void **state)
{
    (void)state;
    use_tls_node("127.0.0.1", "off", "CA");
    setting("tls_ca", "");
    expect_failure(69, "is it a TLS port? ([redis] tls)");
}

static void test_files_that_cannot_be_read(void **state)
{
    (void)state;
    use_tls_node("127.0.0.1", "on", "CA");
    setting("tls_ca", "/no/such/file.pem");
    assert_false(link_create());
    assert_int_equal(the_redis.exit_code, 78);
    assert_non_null(
        strstr(the_redis.message,
               "[redis] tls_ca: /no/such/file.pem cannot be read: no such file or directory"));
    setting("tls_ca", redis_server_setting("CA"));
    setting("tls_cert", "/no/such/cert.pem");
    the_redis.ended = false;
    assert_false(link_create());
    assert_non_null(strstr(the_redis.message, "tls_cert and tls_key go together"));
    setting("tls_key", "/no/such/key.pem");
    the_redis.ended = false;
    assert_false(link_create());
    assert_non_null(strstr(the_redis.message, "[redis] tls_cert: /no/such/cert.pem"));
}

/* A setting of [redis] that is a file in the folder of RESVD_TEST_REDIS_<authority>. */
static void setting_beside(const char *key, const char *authority, const char *file)
{
    char path[512];
    const char *beside = redis_server_setting(authority);
    snprintf(path, sizeof path, "%.*s/%s", (int)(strrchr(beside, '/') - beside), beside, file);
    setting(key, path);
}

static void expect_no_link(const char *words)
{
    the_redis.ended = false;
    assert_false(link_create());
    assert_int_equal(the_redis.exit_code, 78);
    if (strstr(the_redis.message, words) == NULL)
        fail_msg("%s", the_redis.message);
}

static void test_files_of_another_kind(void **state)
{
    (void)state;
    static const char encrypted[] = "-----BEGIN EC PRIVATE KEY-----\n"
                                    "Proc-Type: 4,ENCRYPTED\n"
                                    "DEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\n"
                                    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
                                    "-----END EC PRIVATE KEY-----\n";
    char path[] = "/tmp/resvd-test-key-XXXXXX";
    use_tls_node("127.0.0.1", "on", "CA");
    setting("tls_ca", "/");
    expect_no_link("[redis] tls_ca: / cannot be read: illegal operation on a directory");
    setting("tls_ca", "/dev/null");
    expect_no_link("[redis] tls_ca: /dev/null: is not PEM");
    setting_beside("tls_ca", "CA", "extensions.cnf");
    expect_no_link("extensions.cnf: is not PEM");
    setting("tls_ca", redis_server_setting("CA"));
    setting_beside("tls_cert", "CA", "server.pem");
    setting_beside("tls_key", "CA", "server.pem");
    expect_no_link("server.pem: is not PEM, or not of what belongs there");
    setting_beside("tls_key", "OTHER_CA", "server-key.pem");
    expect_no_link("server-key.pem: does not belong to tls_cert");
    int descriptor = mkstemp(path);
    assert_int_equal(write(descriptor, encrypted, sizeof encrypted - 1), sizeof encrypted - 1);
    close(descriptor);
    setting("tls_key", path);
    expect_no_link("is encrypted: resvd needs it without a pass phrase");
    unlink(path);
    setting_beside("tls_key", "CA", "server-key.pem");
    setting_beside("tls_cert", "CA", "server-key.pem");
    expect_no_link("[redis] tls_cert: ");
    assert_non_null(strstr(the_redis.message, "server-key.pem: is not PEM"));
    setting_beside("tls_cert", "CA", "server.pem");
    link_open();
}

static void test_all_that_does_not_fit_is_said_at_once(void **state)
{
    (void)state;
    use_tls_node("127.0.0.1", "off", "CA");
    expect_no_link("[redis] tls = off, and tls_ca set");
    setting("tls_cert", "a.pem");
    setting("tls_name", "localhost");
    setting("reconnect_min_ms", "5000");
    expect_no_link("tls_ca, tls_cert, tls_name set: set tls = on");
    assert_non_null(strstr(the_redis.message, "[redis] reconnect_min_ms is above"));
    assert_non_null(strstr(the_redis.message, "; tls_cert and tls_key go together"));
    setting("tls", "verify_ca");
    setting("tls_ca", "");
    expect_no_link("; tls = verify_ca needs tls_ca");
    assert_non_null(strstr(the_redis.message, "[redis] reconnect_min_ms is above"));
}

static void test_much_in_both_directions(void **state)
{
    (void)state;
    static char big[64001];
    memset(big, 'x', sizeof big - 1);
    use_tls_node("127.0.0.1", "on", "CA");
    link_open();
    for (size_t i = 0; i < 200; i++)
        start_call(&calls[i], 0, &script_echo, "", big, 15000);
    for (size_t i = 200; i < 1000; i++)
        start_call(&calls[i], 0, &script_add, "resvd:n", "1", 15000);
    for (size_t i = 0; i < 1000; i++) {
        finish_call(&calls[i]);
        assert_int_equal(calls[i].call.result, REDIS_DONE);
        assert_int_equal(calls[i].integer, i < 200 ? INT64_MIN : (int64_t)i - 199);
    }
    nodes_do("kill 1");
    run_call(&calls[0], 0, &script_echo, "", "x");
    assert_int_not_equal(calls[0].call.result, REDIS_DONE);
    nodes_do("start 1");
    while (!redis_link_node_is_up(the_redis.link, 0))
        run_ms(5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, redis_set_up, redis_tear_down)

int main(void)
{
    if (!redis_tls_is_built_in()) {
        puts("built without OpenSSL: nothing to test");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        TEST(test_a_good_certificate),
        TEST(test_another_authority),
        TEST(test_another_host),
        TEST(test_a_port_without_tls),
        TEST(test_tls_is_not_spoken_to_a_tls_port),
        TEST(test_files_that_cannot_be_read),
        TEST(test_files_of_another_kind),
        TEST(test_all_that_does_not_fit_is_said_at_once),
        TEST(test_much_in_both_directions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
