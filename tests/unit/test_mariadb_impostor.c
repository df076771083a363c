/* Whoever answers in the server's place learns no password from the MariaDB link.
 *
 * The impostor is a thread of its own: it greets as a server does, with or without TLS, asks for
 * whatever plugin it likes, and keeps every byte that it is sent. */
#include "mariadb_fixture.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PASSWORD            "hunter2secret"
#define BYTES_MAX           4096
#define FLAGS_LOW           0xf7ffU            /* all of the lower half but TLS (0x0800) */
#define FLAGS_UPPER         0x00ffU            /* plugins by name and so on */
#define LOOPBACK_AS_ANOTHER "::ffff:127.0.0.1" /* this machine, but not by an address for that */

struct impostor {
    pthread_t thread;
    int listener;
    const char *plugin; /* to switch to; NULL: answers nothing more */
    bool at_once;       /* asks for it together with the greeting */
    unsigned connections;
    size_t bytes_count; /* of all connections */
    unsigned char bytes[BYTES_MAX];
};
static struct impostor impostor;

static size_t packet(unsigned char *out, unsigned number, const void *body, size_t size)
{
    out[0] = (unsigned char)size;
    out[1] = out[2] = 0;
    out[3] = (unsigned char)number;
    memcpy(out + 4, body, size);
    return size + 4;
}

static size_t greeting(unsigned char *out)
{
    unsigned char body[128];
    size_t used = 0;
    body[used++] = 10;
    memcpy(body + used, "5.5.5-10.11.0-MariaDB", 22);
    used += 22;
    memcpy(body + used, "\1\0\0\0abcdefgh", 13); /* connection, scramble, NUL */
    used += 13;
    body[used++] = FLAGS_LOW & 0xff;
    body[used++] = FLAGS_LOW >> 8;
    memcpy(body + used, "\x2d\2\0", 3); /* character set, status */
    used += 3;
    body[used++] = FLAGS_UPPER & 0xff;
    body[used++] = FLAGS_UPPER >> 8;
    body[used++] = 21;
    memset(body + used, 0, 10);
    used += 10;
    memcpy(body + used, "ijklmnopqrst", 13);
    used += 13;
    memcpy(body + used, "mysql_native_password", 22);
    return packet(out, 0, body, used + 22);
}

static size_t switch_plugin(unsigned char *out, unsigned number)
{
    unsigned char body[96] = {0xfe};
    size_t size = strlen(impostor.plugin) + 1;
    memcpy(body + 1, impostor.plugin, size);
    memcpy(body + 1 + size, "abcdefghijklmnopqrst", 21);
    return packet(out, number, body, 1 + size + 21);
}

static void *impose(void *data)
{
    (void)data;
    int connection;
    while ((connection = accept(impostor.listener, NULL, NULL)) >= 0) {
        impostor.connections++;
        unsigned char out[512];
        size_t size = greeting(out);
        bool asked = impostor.plugin == NULL;
        if (impostor.at_once) {
            size += switch_plugin(out + size, 2);
            asked = true;
        }
        if (send(connection, out, size, MSG_NOSIGNAL) < 0)
            asked = true;
        ssize_t got;
        while (impostor.bytes_count < BYTES_MAX &&
               (got = recv(connection, impostor.bytes + impostor.bytes_count,
                           BYTES_MAX - impostor.bytes_count, 0)) > 0) {
            impostor.bytes_count += (size_t)got;
            if (!asked && send(connection, out, switch_plugin(out, 2), MSG_NOSIGNAL) > 0)
                asked = true;
        }
        close(connection);
    }
    return NULL;
}

static void start_impostor(const char *plugin, bool at_once)
{
    impostor = (struct impostor){.plugin = plugin, .at_once = at_once};
    impostor.listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    assert_int_equal(bind(impostor.listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(impostor.listener, 8), 0);
    assert_int_equal(getsockname(impostor.listener, (struct sockaddr *)&address, &size), 0);
    char port[8];
    snprintf(port, sizeof port, "%u", ntohs(address.sin_port));
    setting("port", port);
    setting("password", PASSWORD);
    setting("connect_timeout_ms", "300");
    setting("reconnect_max_ms", "50");
    the_database.start_timeout_ms = 1200;
    assert_int_equal(pthread_create(&impostor.thread, NULL, impose, NULL), 0);
}

static void stop_impostor(void)
{
    database_shut();
    shutdown(impostor.listener, SHUT_RDWR);
    assert_int_equal(pthread_join(impostor.thread, NULL), 0);
    close(impostor.listener);
    assert_true(impostor.connections > 0);
    assert_null(memmem(impostor.bytes, impostor.bytes_count, PASSWORD, strlen(PASSWORD)));
}

static void test_nothing_is_sent_where_tls_is_a_must(void **state)
{
    (void)state;
    static const char *const modes[] = {"required", "verify_ca", "verify_identity"};
    static const char *const plugins[] = {NULL, "mysql_clear_password", "caching_sha2_password"};
    setting("ssl_ca", server_setting("CA"));
    for (size_t i = 0; i < 3; i++) {
        setting("ssl_mode", modes[i]);
        start_impostor(plugins[i], plugins[i] != NULL);
        assert_false(database_start());
        assert_int_equal(the_database.exit_code, 78);
        assert_non_null(strstr(the_database.message, "offers no TLS"));
        assert_non_null(strstr(the_database.message, "ssl_mode"));
        stop_impostor();
        assert_int_equal(impostor.bytes_count, 0);
    }
}

static void test_preferred_goes_on_without(void **state)
{
    (void)state;
    setting("ssl_mode", "preferred");
    setting("host", LOOPBACK_AS_ANOTHER);
    start_impostor(NULL, false);
    assert_false(database_start());
    assert_int_equal(the_database.exit_code, 69); /* it gets no answer */
    stop_impostor();
    assert_true(impostor.connections >= 2);
    assert_true(impostor.bytes_count > 0);
}

static void test_preferred_takes_what_there_is(void **state)
{
    (void)state;
    setting("ssl_mode", "preferred");
    setting("host", LOOPBACK_AS_ANOTHER);
    database_open();
    struct database_session *session = get_session(DATABASE_SALES);
    assert_int_equal(query_number(session, "SELECT VARIABLE_VALUE <> '' FROM "
                                           "information_schema.SESSION_STATUS "
                                           "WHERE VARIABLE_NAME = 'Ssl_cipher'"),
                     1);
    database_give_back(session);
}

static void test_clear_text_is_never_sent_without_tls(void **state)
{
    (void)state;
    static const char *const plugins[] = {"mysql_clear_password", "dialog", "mysql_old_password"};
    for (size_t i = 0; i < 3; i++) {
        setting("ssl_mode", "off");
        start_impostor(plugins[i], false);
        assert_false(database_start());
        assert_int_equal(the_database.exit_code, 78);
        assert_non_null(strstr(the_database.message, "plugin"));
        stop_impostor();
    }
}

/* MySQL 8's plugin asks whoever answers for the key that hides the password. */
static void test_no_key_is_taken_from_another_machine(void **state)
{
    (void)state;
    setting("ssl_mode", "off");
    setting("host", LOOPBACK_AS_ANOTHER);
    start_impostor("caching_sha2_password", false);
    assert_false(database_start());
    assert_int_equal(the_database.exit_code, 78);
    assert_non_null(strstr(the_database.message, "ssl_mode = required"));
    assert_non_null(strstr(the_database.message, "get_server_public_key = on"));
    stop_impostor();
    /* Only if it was allowed; it has no key, and so gets no password. */
    setting("get_server_public_key", "on");
    start_impostor("caching_sha2_password", false);
    assert_false(database_start());
    assert_int_equal(the_database.exit_code, 69);
    stop_impostor();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, mariadb_set_up, mariadb_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_is_sent_where_tls_is_a_must),
        TEST(test_preferred_goes_on_without),
        TEST(test_preferred_takes_what_there_is),
        TEST(test_clear_text_is_never_sent_without_tls),
        TEST(test_no_key_is_taken_from_another_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
