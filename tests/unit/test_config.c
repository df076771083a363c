/* Configuration: environment, flags, precedence, secrets, checks across options, reload. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "config/server_options.h"
#include "config_fixture.h"
#include "resvd/host.h"

static void test_defaults(void **state)
{
    struct fixture *fixture = *state;
    struct config *config = fixture->config;
    assert_int_equal(config_integer(config, &fake_table, CONCURRENCY), 8);
    assert_int_equal(config_integer(config, &fake_table, OFFSET), -1);
    assert_true(config_boolean(config, &fake_table, BATCHING));
    assert_int_equal(config_choice(config, &fake_table, COLOR), 1);
    assert_string_equal(config_string(config, &server_options, SERVER_LISTEN), "127.0.0.1:8080");
    assert_int_equal(config_integer(config, &server_options, SERVER_ANSWER_MEMORY_BYTES), 67108864);
    assert_false(config_is_set(config, &fake_table, CONCURRENCY));
    assert_string_equal(errors_of(fixture), "");
    assert_string_equal(warnings_of(fixture), "");
}

/* --- environment and flags ---------------------------------------------------------------------
 */

static void test_environment(void **state)
{
    struct fixture *fixture = *state;
    const char *const environment[] = {"HOME=/",
                                       "RESVD_STRATEGY_EMBEDDED_FILE=a=b",
                                       "RESVD_STRATEGY_EMBEDDED_CONCURRENCY=9",
                                       "RESVD_STRATEGY_EMBEDDED_BOOTSTRAP_SERVERS=k",
                                       "RESVD_STRATEGY_EMBEDDED_COLOR=blue",
                                       "RESVD_STRATEGY_EMBEDDED_PASSWORD=hunter2",
                                       "RESVD_STRATEGY_EMBEDDED_PASSWORD_FILE=/p",
                                       "RESVD_SERVER_API_KEYS=hunter2\x01",
                                       "RESVD_SERVICE_HOST=10.0.0.1",
                                       "RESVD_SERVER_LISEN=hunter2",
                                       "RESVD_STRATEGY_ASYNC_FOO=1",
                                       "RESVD_",
                                       NULL};
    assert_int_equal(config_read_environment(fixture->config, environment), 3);
    assert_string_equal(config_string(fixture->config, &fake_table, FILE_NAME), "a=b");
    assert_int_equal(config_integer(fixture->config, &fake_table, CONCURRENCY), 9);
    assert_string_equal(config_string(fixture->config, &fake_table, DOTTED), "k");
    assert_string_equal(
        errors_of(fixture),
        "RESVD_STRATEGY_EMBEDDED_COLOR: must be one of red, green, not 'blue'\n"
        "RESVD_STRATEGY_EMBEDDED_PASSWORD_FILE: excludes RESVD_STRATEGY_EMBEDDED_PASSWORD, "
        "which is given too\n"
        "RESVD_SERVER_API_KEYS: key 1 of the list is not visible ASCII\n");
    assert_string_equal(
        warnings_of(fixture),
        "unknown environment variable RESVD_SERVICE_HOST; ignored\n"
        "unknown environment variable RESVD_SERVER_LISEN; ignored\n"
        "    did you mean RESVD_SERVER_LISTEN?\n"
        "RESVD_STRATEGY_ASYNC_FOO: this binary was built without [strategy.async]; ignored\n");
}

static void test_flags(void **state)
{
    struct fixture *fixture = *state;
    struct config *config = fixture->config;
    assert_int_equal(config_set_flag(config, "strategy.embedded.concurrency", "7"), 0);
    assert_int_equal(config_set_flag(config, "strategy.embedded.concurrency", "6"), 0);
    assert_int_equal(config_set_flag(config, "strategy.embedded.bootstrap.servers", "k"), 0);
    assert_int_equal(config_set_flag(config, "strategy.embedded.concurrency", "x"), 1);
    assert_int_equal(config_set_flag(config, "strategy.embedded.concurency", "x"), 1);
    assert_int_equal(config_set_flag(config, "nothing", "x"), 1);
    assert_int_equal(config_set_flag(config, "strategy.redlock.ttl_ms", "x"), 0);
    assert_int_equal(config_integer(config, &fake_table, CONCURRENCY), 6);
    assert_string_equal(config_string(config, &fake_table, DOTTED), "k");
    assert_string_equal(
        errors_of(fixture),
        "--strategy.embedded.concurrency: must be a whole number from 1 to 64 threads, not 'x'\n"
        "unknown flag '--strategy.embedded.concurency'\n"
        "    did you mean '--strategy.embedded.concurrency'?\n"
        "unknown flag '--nothing'\n");
    assert_string_equal(warnings_of(fixture), "--strategy.redlock.ttl_ms: this binary was built "
                                              "without [strategy.redlock]; ignored\n");
}

static void give_from(struct fixture *fixture, int source)
{
    const char *const environment[] = {"RESVD_STRATEGY_EMBEDDED_CONCURRENCY=20", NULL};
    switch (source) {
    case 0:
        assert_int_equal(read_text(fixture, "[strategy.embedded]\nconcurrency = 10\n"), 0);
        break;
    case 1:
        assert_int_equal(config_read_environment(fixture->config, environment), 0);
        break;
    case 2:
        assert_int_equal(config_set_flag(fixture->config, "strategy.embedded.concurrency", "30"),
                         0);
        break;
    }
}

/* Every subset of the sources in both directions: the highest wins. */
static void test_precedence(void **state)
{
    struct fixture *fixture = *state;
    for (unsigned subset = 1; subset < 8; subset++) {
        for (int reverse = 0; reverse < 2; reverse++) {
            config_destroy(fixture->config);
            fixture->config = config_create(fake_tables);
            int highest = 0;
            for (int i = 0; i < 3; i++) {
                int source = reverse ? 2 - i : i;
                if (subset & (1u << source)) {
                    give_from(fixture, source);
                    highest = source > highest ? source : highest;
                }
            }
            assert_int_equal(config_integer(fixture->config, &fake_table, CONCURRENCY),
                             (highest + 1) * 10);
        }
    }
}

/* --- secrets and finish ------------------------------------------------------------------------
 */

static void test_secret_file(void **state)
{
    struct fixture *fixture = *state;
    write_file("secret", "two\nlines\n\n", 11);
    assert_int_equal(read_text(fixture, "[strategy.embedded]\nfile = f\npassword = plain\n"), 0);
    assert_int_equal(config_set_flag(fixture->config, "strategy.embedded.password_file", "secret"),
                     0);
    assert_int_equal(config_finish(fixture->config), 0);
    assert_string_equal(config_string(fixture->config, &fake_table, PASSWORD), "two\nlines\n");
}

static void test_secret_file_errors(void **state)
{
    struct fixture *fixture = *state;
    char *large = calloc(1, 65537);
    assert_non_null(large);
    memset(large, 'k', 65537);
    write_file("secret", large, 65537);
    assert_int_equal(read_text(fixture, "[strategy.embedded]\nfile = f\npassword_file = secret\n"
                                        "[server]\napi_keys_file = nowhere\n"),
                     0);
    assert_int_equal(config_finish(fixture->config), 2);
    write_file("secret", "a\0b", 3);
    assert_int_equal(config_finish(fixture->config), 2);
    write_file("secret", large, 65536);
    free(large);
    assert_int_equal(config_set_flag(fixture->config, "server.api_keys_file", "secret"), 0);
    assert_int_equal(config_finish(fixture->config), 1);
    assert_string_equal(
        errors_of(fixture),
        "test.conf:5: api_keys_file: cannot read 'nowhere': No such file or directory\n"
        "test.conf:3: password_file: 'secret' has more than 65536 bytes\n"
        "test.conf:5: api_keys_file: cannot read 'nowhere': No such file or directory\n"
        "test.conf:3: password_file: 'secret' has a NUL byte in it\n"
        "--server.api_keys_file: 'secret': key 1 of the list has more than 255 bytes\n");
    assert_int_equal(strlen(config_string(fixture->config, &fake_table, PASSWORD)), 65536);
}

static void test_required(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(config_set_flag(fixture->config, "server.listen", ""), 0);
    assert_int_equal(config_finish(fixture->config), 2);
    assert_string_equal(errors_of(fixture), "--server.listen: must not be empty\n"
                                            "[strategy.embedded] file: must be given\n");
}

static void test_open_listeners_need_keys(void **state)
{
    struct fixture *fixture = *state;
    struct config *config = fixture->config;
    assert_int_equal(server_options_check(config), 0);
    assert_int_equal(config_set_flag(config, "server.listen", "localhost:1,0.0.0.0:80"), 0);
    assert_int_equal(config_set_flag(config, "server.admin_listen", "[::]:90"), 0);
    assert_int_equal(server_options_check(config), 2);
    assert_string_equal(
        errors_of(fixture),
        "[server] listen: other machines can reach 0.0.0.0:80, and no api_keys are given\n"
        "    give api_keys or api_keys_file, or write out auth = off\n"
        "[server] admin_listen: other machines can reach [::]:90, and no api_keys are given\n"
        "    give api_keys or api_keys_file, or write out auth = off\n");
    assert_int_equal(config_set_flag(config, "server.auth", "off"), 0);
    assert_int_equal(server_options_check(config), 0);
    assert_int_equal(config_set_flag(config, "server.auth", "keys"), 0);
    assert_int_equal(config_set_flag(config, "server.api_keys", "k"), 0);
    assert_int_equal(server_options_check(config), 0);
}

static void test_roles(void **state)
{
    struct fixture *fixture = *state;
    struct config *config = fixture->config;
    static const char *const roles[] = {"all", "api", "consumer"};
    for (size_t role = RESV_ROLE_ALL; role <= RESV_ROLE_CONSUMER; role++) {
        assert_int_equal(config_set_flag(config, "server.role", roles[role]), 0);
        assert_int_equal(config_choice(config, &server_options, SERVER_ROLE), role);
        assert_int_equal(server_options_check_role(config, true, false), 0);
    }
    /* A consumer opens no API listener, so that nobody can reach it; its admin listener counts. */
    assert_int_equal(config_set_flag(config, "server.listen", "0.0.0.0:80"), 0);
    assert_int_equal(server_options_check(config), 0);
    assert_int_equal(config_set_flag(config, "server.admin_listen", "0.0.0.0:90"), 0);
    assert_int_equal(server_options_check(config), 1);
    assert_int_equal(server_options_check_role(config, true, true), 1);
    assert_int_equal(server_options_check_role(config, false, false), 1);
    assert_int_equal(config_set_flag(config, "server.role", "all"), 0);
    assert_int_equal(server_options_check_role(config, false, true), 0);
    assert_int_equal(server_options_check(config), 2);
    assert_string_equal(
        errors_of(fixture),
        "[server] admin_listen: other machines can reach 0.0.0.0:90, and no api_keys are given\n"
        "    give api_keys or api_keys_file, or write out auth = off\n"
        "[server] role = consumer: there is no API to try --demo's commands on\n"
        "    give --demo to a process with role = all or api\n"
        "[server] role = consumer: strategy 'embedded' has no work to share out, only an "
        "asynchronous one has\n"
        "    leave role out, or choose such a strategy\n"
        "[server] listen: other machines can reach 0.0.0.0:80, and no api_keys are given\n"
        "    give api_keys or api_keys_file, or write out auth = off\n"
        "[server] admin_listen: other machines can reach 0.0.0.0:90, and no api_keys are given\n"
        "    give api_keys or api_keys_file, or write out auth = off\n");
}

/* --- reload ------------------------------------------------------------------------------------
 */

static void test_reload(void **state)
{
    struct fixture *fixture = *state;
    struct config *fresh = config_create(fake_tables);
    assert_non_null(fresh);
    const char *old_password = config_string(fixture->config, &fake_table, PASSWORD);
    assert_int_equal(read_text(fixture, "[strategy.embedded]\nbatching = yes\nfile = a\n"), 0);
    write_file(FIXTURE_PATH,
               "[strategy.embedded]\nbatching = on\nconcurrency=9\nfile=b\n"
               "password=hunter2\n",
               strlen("[strategy.embedded]\nbatching = on\nconcurrency=9\nfile=b\n"
                      "password=hunter2\n"));
    assert_int_equal(config_read_file(fresh, FIXTURE_PATH), 0);
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    config_reload(fixture->config, fresh, out);
    config_destroy(fresh);
    fclose(out);
    assert_string_equal(text, "[strategy.embedded] file: 'a' -> 'b'; needs a restart\n"
                              "[strategy.embedded] concurrency: '8' -> '9'\n"
                              "[strategy.embedded] password: changed\n");
    free(text);
    assert_string_equal(config_string(fixture->config, &fake_table, FILE_NAME), "a");
    assert_int_equal(config_integer(fixture->config, &fake_table, CONCURRENCY), 9);
    assert_true(config_is_set(fixture->config, &fake_table, CONCURRENCY));
    assert_string_equal(config_string(fixture->config, &fake_table, PASSWORD), "hunter2");
    assert_string_equal(old_password, ""); /* still alive: the sanitizer would tell */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CONFIG_TEST(test_defaults),    CONFIG_TEST(test_environment),
        CONFIG_TEST(test_flags),       CONFIG_TEST(test_precedence),
        CONFIG_TEST(test_secret_file), CONFIG_TEST(test_secret_file_errors),
        CONFIG_TEST(test_required),    CONFIG_TEST(test_open_listeners_need_keys),
        CONFIG_TEST(test_roles),       CONFIG_TEST(test_reload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
