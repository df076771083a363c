/* How the MariaDB link starts: ways to the server, TLS, and what it says when it cannot. */
#include "mariadb_fixture.h"
#include "mariadb_session_internal.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* It does not start, ends with this code, and its words have all of these; a list closed by NULL.
 * The password is not among them. */
static void assert_fails(int exit_code, const char *word, ...)
{
    setting("password", "hunter2secret");
    if (database_start())
        fail_msg("it has opened");
    if (the_database.exit_code != exit_code)
        fail_msg("ended with %d, not %d: %s", the_database.exit_code, exit_code,
                 the_database.message);
    va_list words;
    va_start(words, word);
    for (; word != NULL; word = va_arg(words, const char *)) {
        if (strstr(the_database.message, word) == NULL)
            fail_msg("'%s' does not say '%s'", the_database.message, word);
    }
    va_end(words);
    assert_null(strstr(the_database.message, "hunter2"));
    assert_null(strchr(the_database.message, '\n'));
    assert_int_equal(health()->state, RESV_HEALTH_DOWN);
}

static void assert_not_made(const char *first, const char *second)
{
    assert_false(database_create());
    assert_true(the_database.failed);
    assert_int_equal(the_database.exit_code, 78);
    assert_non_null(strstr(the_database.message, first));
    assert_non_null(strstr(the_database.message, second));
}

static bool uses_tls(void)
{
    struct database_session *session = get_session(DATABASE_SALES);
    struct test_query query;
    run_query(&query, session,
              "SELECT VARIABLE_VALUE <> '' FROM information_schema.SESSION_STATUS "
              "WHERE VARIABLE_NAME = 'Ssl_cipher'");
    assert_int_equal(query.query.error, 0);
    database_give_back(session);
    return query.number == 1;
}

/* Opens, and large answers come through whole. */
static void assert_opens(bool by_tls)
{
    database_open();
    assert_true(uses_tls() == by_tls);
    struct database_session *session = get_session(DATABASE_SALES);
    assert_int_equal(query_number(session, "SELECT 4711, REPEAT('x', 2000000)"), 4711);
    database_give_back(session);
}

static void test_options_that_do_not_fit(void **state)
{
    (void)state;
    setting("pool_min", "9");
    assert_not_made("pool_min", "pool_max");
    setting("pool_min", "1");
    setting("ssl_mode", "verify_ca");
    assert_not_made("ssl_mode", "ssl_ca");
    setting("ssl_mode", "off");
    setting("ssl_key", "/somewhere");
    assert_not_made("ssl_cert", "ssl_key");
    setting("ssl_key", "");
    setting("reconnect_min_ms", "5000");
    assert_not_made("reconnect_min_ms", "reconnect_max_ms");
}

static void test_unix_socket_wins(void **state)
{
    (void)state;
    setting("socket", server_setting("SOCKET"));
    setting("port", "1");
    setting("ssl_mode", "required"); /* it never leaves this machine */
    assert_opens(false);
}

static void test_host_by_name(void **state)
{
    (void)state;
    setting("host",
            "localhost"); /* by TCP, and ::1 first where there is one: nobody listens there */
    assert_opens(false);
}

static void test_tls_modes(void **state)
{
    (void)state;
    static const struct {
        const char *mode, *host;
        bool tls;
    } cases[] = {
        {"off", "127.0.0.1", false},
        {"preferred", "127.0.0.1", false},
        {"required", "127.0.0.1", true},
        {"required", "127.0.0.2", true},
        {"verify_ca", "127.0.0.1", true},
        {"verify_ca", "127.0.0.2", true},
        {"verify_identity", "127.0.0.1", true},
        {"verify_identity", "localhost", true},
    };
    setting("ssl_ca", server_setting("CA"));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        setting("ssl_mode", cases[i].mode);
        setting("host", cases[i].host);
        assert_opens(cases[i].tls);
        database_shut();
    }
}

static void test_tls_sessions_are_lost_like_others(void **state)
{
    (void)state;
    setting("ssl_mode", "required");
    setting("pool_min", "1");
    database_open();
    struct database_session *session = get_session(DATABASE_SALES);
    long long connection = query_number(session, "SELECT CONNECTION_ID()");
    struct test_query query;
    start_query(&query, session, "SELECT SLEEP(20)", 50);
    finish_query(&query);
    assert_true(query.query.lost);
    database_give_back(session);
    session = get_session(DATABASE_SALES);
    connection = query_number(session, "SELECT CONNECTION_ID()");
    start_query(&query, session, "SELECT SLEEP(20)", 5000);
    run_ms(20);
    server("sql KILL %lld", connection);
    finish_query(&query);
    assert_true(query.query.lost);
    database_give_back(session);
    session = get_session(DATABASE_SALES);
    server("sql KILL %lld", query_number(session, "SELECT CONNECTION_ID()"));
    run_until_lost(session);
    database_give_back(session);
    database_give_back(get_session(DATABASE_SALES));
}

/* Debian has the plugin in a package that starts a server of its own: not every machine has it. */
static void test_ed25519_where_the_server_has_that_plugin(void **state)
{
    (void)state;
    if (server("sql SELECT LOAD_FILE(CONCAT(@@plugin_dir, 'auth_ed25519.so')) IS NOT NULL") == 0)
        skip();
    server("sql INSTALL SONAME 'auth_ed25519'");
    server("sql CREATE OR REPLACE USER starter@'127.0.0.1' IDENTIFIED VIA ed25519 USING "
           "PASSWORD('hunter2secret'); GRANT ALL ON resvd.* TO starter@'127.0.0.1'");
    setting("user", "starter");
    setting("password", "hunter2secret");
    database_open();
    database_shut();
    server("sql DROP USER starter@'127.0.0.1'; UNINSTALL SONAME 'auth_ed25519'");
}

static void assert_server_is(const char *version, bool innodb, const char *problem)
{
    struct mariadb_attempt attempt = {.innodb_found = innodb};
    char why[256] = "";
    snprintf(attempt.version, sizeof attempt.version, "%s", version);
    bool good = mariadb_server_check(the_database.link, &attempt, why, sizeof why);
    assert_true(good == (problem == NULL));
    if (problem != NULL && strstr(why, problem) == NULL)
        fail_msg("'%s' does not say '%s'", why, problem);
}

static void test_which_servers_are_too_old(void **state)
{
    (void)state;
    assert_true(database_create());
    assert_server_is("10.6.0-MariaDB", true, NULL);
    assert_true(mariadb_link_server_is_mariadb(the_database.link));
    assert_server_is("11.8.2-MariaDB-ubu2404", true, NULL);
    assert_server_is("8.4.3", true, NULL);
    assert_false(mariadb_link_server_is_mariadb(the_database.link));
    assert_server_is("8.0.19-commercial", true, NULL);
    assert_server_is("9.1.0", true, NULL);
    assert_server_is("10.5.29-MariaDB", true, "needs 10.6.0 or newer");
    assert_server_is("5.5.68-MariaDB", true, "MariaDB 5.5.68");
    assert_server_is("8.0.18", true, "needs 8.0.19 or newer");
    assert_server_is("5.7.44-log", true, "MySQL 5.7.44");
    assert_server_is("8.4.3", false, "InnoDB");
    assert_server_is("TiDB", true, "is not one of MariaDB or MySQL");
}

static void test_warns_of_what_may_lose_a_sale(void **state)
{
    (void)state;
    server("sql SET GLOBAL innodb_flush_log_at_trx_commit=2");
    database_open();
    assert_non_null(strstr(the_database.link->durability, "innodb_flush_log_at_trx_commit=2"));
    assert_null(strstr(the_database.link->durability, "sync_binlog")); /* the binlog is off */
    database_shut();
    server("sql SET GLOBAL innodb_flush_log_at_trx_commit=1");
    database_open();
    assert_string_equal(the_database.link->durability, "");
}

static void test_packet_too_small_for_a_group(void **state)
{
    (void)state;
    server("sql SET GLOBAL max_allowed_packet=16384");
    bool opened = database_start();
    server("sql SET GLOBAL max_allowed_packet=32768");
    assert_false(opened);
    assert_int_equal(the_database.exit_code, 78);
    static const char *const words[] = {"max_allowed_packet is 16384", "100 reservations",
                                        "[strategy.grouped] group_max"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        assert_non_null(strstr(the_database.message, words[i]));
    database_shut();
    opened = database_start();
    server("sql SET GLOBAL max_allowed_packet=DEFAULT");
    assert_true(opened);
}

static void test_unknown_authority(void **state)
{
    (void)state;
    setting("ssl_mode", "verify_ca");
    setting("ssl_ca", server_setting("OTHER_CA"));
    assert_fails(78, "certificate", "ssl_ca", NULL);
}

static void test_certificate_for_another(void **state)
{
    (void)state;
    setting("ssl_mode", "verify_identity");
    setting("ssl_ca", server_setting("CA"));
    setting("host", "127.0.0.2");
    assert_fails(78, "127.0.0.2", "verify_identity", NULL);
}

static void test_authority_file_is_missing(void **state)
{
    (void)state;
    setting("ssl_mode", "verify_ca");
    setting("ssl_ca", "/nonexistent/ca.pem");
    assert_fails(78, "ssl_ca", "/nonexistent/ca.pem", NULL);
}

static void test_wrong_password(void **state)
{
    (void)state;
    assert_fails(78, "Access denied", "[database] user and password", "CREATE USER 'resvd'", NULL);
}

static void test_unknown_database(void **state)
{
    (void)state;
    server("sql CREATE OR REPLACE USER starter@'127.0.0.1' IDENTIFIED BY 'hunter2secret'; "
           "GRANT ALL ON *.* TO starter@'127.0.0.1'");
    setting("user", "starter");
    setting("name", "nowhere");
    assert_fails(78, "Unknown database 'nowhere'", "[database] name", "CREATE DATABASE `nowhere`",
                 NULL);
}

static void test_no_right_on_the_database(void **state)
{
    (void)state;
    server("sql CREATE OR REPLACE USER starter@'127.0.0.1' IDENTIFIED BY 'hunter2secret'");
    setting("user", "starter");
    assert_fails(78, "Access denied", "GRANT ALL ON `resvd`.* TO 'starter'", NULL);
}

static void test_no_right_to_make_tables(void **state)
{
    (void)state;
    server("sql CREATE DATABASE IF NOT EXISTS barren; CREATE OR REPLACE USER starter@'127.0.0.1' "
           "IDENTIFIED BY 'hunter2secret'; GRANT SELECT ON barren.* TO starter@'127.0.0.1'");
    setting("user", "starter");
    setting("name", "barren");
    assert_fails(78, "denied", "GRANT", NULL);
}

static void test_refused_until_the_time_is_over(void **state)
{
    (void)state;
    the_database.start_timeout_ms = 1000;
    setting("port", "1");
    setting("reconnect_max_ms", "100");
    uint64_t began_ns = uv_hrtime();
    assert_fails(69, "127.0.0.1:1", "is it running?", "[database] host and port", NULL);
    assert_in_range(uv_hrtime() - began_ns, 300000000, 5000000000); /* its own words */
    assert_true(metric("db_connect_failures_total") > 2);
}

static void test_unknown_host(void **state)
{
    (void)state;
    the_database.start_timeout_ms = 700;
    setting("host", "no-such-host.invalid");
    assert_fails(69, "no-such-host.invalid", "[database] host", NULL);
}

static void test_waits_for_a_server_that_comes_late(void **state)
{
    (void)state;
    server("stop");
    setting("reconnect_max_ms", "50");
    assert_true(database_create());
    database_link_start(the_database.link);
    run_ms(200);
    assert_false(the_database.ended);
    assert_int_equal(health()->state, RESV_HEALTH_STARTING);
    server("start");
    run_until(&the_database.ended);
    assert_true(the_database.opened);
}

static void test_closes_in_the_middle_of_a_start(void **state)
{
    (void)state;
    for (uint64_t ms = 0; ms < 12; ms++) {
        setting("ssl_mode", ms % 2 == 0 ? "off" : "required");
        assert_true(database_create());
        database_link_start(the_database.link);
        run_ms(ms);
        database_shut();
    }
}

static void test_no_answer_from_what_listens(void **state)
{
    (void)state;
    /* Accepts, and never says a word. */
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, 8), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    char port[8];
    snprintf(port, sizeof port, "%u", ntohs(address.sin_port));
    setting("port", port);
    setting("connect_timeout_ms", "200");
    setting("reconnect_max_ms", "60");
    static const char *const modes[] = {"off", "required"};
    for (size_t i = 0; i < 2; i++) {
        setting("ssl_mode", modes[i]);
        the_database.start_timeout_ms = 900;
        uint64_t began_ns = uv_hrtime();
        assert_fails(69, "within 200 ms", "connect_timeout_ms", NULL);
        assert_in_range(uv_hrtime() - began_ns, 300000000, 5000000000);
        database_shut();
    }
    close(listener);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, mariadb_set_up, mariadb_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_options_that_do_not_fit),
        TEST(test_unix_socket_wins),
        TEST(test_host_by_name),
        TEST(test_tls_modes),
        TEST(test_tls_sessions_are_lost_like_others),
        TEST(test_ed25519_where_the_server_has_that_plugin),
        TEST(test_which_servers_are_too_old),
        TEST(test_warns_of_what_may_lose_a_sale),
        TEST(test_packet_too_small_for_a_group),
        TEST(test_unknown_authority),
        TEST(test_certificate_for_another),
        TEST(test_authority_file_is_missing),
        TEST(test_wrong_password),
        TEST(test_unknown_database),
        TEST(test_no_right_on_the_database),
        TEST(test_no_right_to_make_tables),
        TEST(test_refused_until_the_time_is_over),
        TEST(test_unknown_host),
        TEST(test_waits_for_a_server_that_comes_late),
        TEST(test_closes_in_the_middle_of_a_start),
        TEST(test_no_answer_from_what_listens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
