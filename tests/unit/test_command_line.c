/* The command line: every flag in every form, every error's exact words, and --help. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "config/command_line.h"
#include "config/server_options.h"

static const struct resv_option_table *const tables[] = {&server_options, NULL};

struct fixture {
    struct command_line line;
    char *errors;
    size_t error_count;
};

static int set_up(void **state)
{
    *state = calloc(1, sizeof(struct fixture));
    return *state == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    command_line_free(&fixture->line);
    free(fixture->errors);
    free(fixture);
    return 0;
}

/* Arguments up to NULL; "resvd" stands in front. */
__attribute__((sentinel)) static void parse(struct fixture *fixture, ...)
{
    static char program[] = "resvd";
    char *argv[16] = {program};
    int argc = 1;
    va_list arguments;
    va_start(arguments, fixture);
    for (char *argument; (argument = va_arg(arguments, char *)) != NULL;) {
        argv[argc++] = argument;
    }
    va_end(arguments);

    size_t size = 0;
    command_line_free(&fixture->line);
    free(fixture->errors);
    fixture->errors = NULL;
    FILE *errors = open_memstream(&fixture->errors, &size);
    assert_non_null(errors);
    fixture->error_count = command_line_parse(&fixture->line, argc, argv, tables, errors);
    assert_int_equal(fclose(errors), 0);
}

static void assert_setting(const struct fixture *fixture, size_t index, const char *name,
                           const char *value)
{
    assert_true(index < fixture->line.setting_count);
    assert_string_equal(fixture->line.settings[index].name, name);
    assert_string_equal(fixture->line.settings[index].value, value);
}

static void test_nothing(void **state)
{
    struct fixture *fixture = *state;
    parse(fixture, NULL);
    assert_int_equal(fixture->error_count, 0);
    assert_int_equal(fixture->line.action, COMMAND_LINE_RUN);
    assert_null(fixture->line.config_path);
    assert_false(fixture->line.demo);
    assert_false(fixture->line.i_know_this_oversells);
    assert_int_equal(fixture->line.setting_count, 0);
}

static void test_actions(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *argument;
        enum command_line_action action;
    } cases[] = {
        {"--help", COMMAND_LINE_HELP},
        {"-h", COMMAND_LINE_HELP},
        {"--version", COMMAND_LINE_VERSION},
        {"-V", COMMAND_LINE_VERSION},
        {"--list-strategies", COMMAND_LINE_LIST_STRATEGIES},
        {"--check-config", COMMAND_LINE_CHECK_CONFIG},
        {"--print-default-config", COMMAND_LINE_PRINT_DEFAULT_CONFIG},
        {"--print-reference", COMMAND_LINE_PRINT_REFERENCE},
        {"--print-man", COMMAND_LINE_PRINT_MAN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        parse(fixture, cases[i].argument, "--demo", NULL);
        assert_int_equal(fixture->error_count, 0);
        assert_int_equal(fixture->line.action, cases[i].action);
        assert_true(fixture->line.demo);
    }
    parse(fixture, "--version", "--help", "--check-config", NULL);
    assert_int_equal(fixture->error_count, 0);
    assert_int_equal(fixture->line.action, COMMAND_LINE_HELP);
}

static void test_values(void **state)
{
    struct fixture *fixture = *state;
    parse(fixture, "-c", "a.conf", "--strategy", "async", "--log-format=json", "--log-level",
          "debug", "--i-know-this-oversells", "--server.listen=unix:/a=b", "--server.auth", "off",
          "--server.api_keys_file=", "--", NULL);
    assert_string_equal(fixture->errors, "");
    assert_int_equal(fixture->error_count, 0);
    assert_string_equal(fixture->line.config_path, "a.conf");
    assert_true(fixture->line.i_know_this_oversells);
    assert_int_equal(fixture->line.setting_count, 6);
    assert_setting(fixture, 0, "server.strategy", "async");
    assert_setting(fixture, 1, "server.log_format", "json");
    assert_setting(fixture, 2, "server.log_level", "debug");
    assert_setting(fixture, 3, "server.listen", "unix:/a=b");
    assert_setting(fixture, 4, "server.auth", "off");
    assert_setting(fixture, 5, "server.api_keys_file", "");

    static const char *const forms[] = {"-ca.conf", "-c=a.conf", "--config=a.conf"};
    static const char *const paths[] = {"a.conf", "a.conf", "a.conf"};
    for (size_t i = 0; i < 3; i++) {
        parse(fixture, forms[i], NULL);
        assert_int_equal(fixture->error_count, 0);
        assert_string_equal(fixture->line.config_path, paths[i]);
    }
    parse(fixture, "--strategy.redlock.ttl_ms", "5", "--server.operation_grace_ms", "-1", NULL);
    assert_int_equal(fixture->error_count, 0);
    assert_setting(fixture, 0, "strategy.redlock.ttl_ms", "5");
    assert_setting(fixture, 1, "server.operation_grace_ms", "-1");
}

static void test_errors(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *arguments[3];
        size_t count;
        const char *errors;
    } cases[] = {
        {{"--stratgy=async"},
         1,
         "resvd: unknown flag '--stratgy'\n    did you mean '--strategy'?\n"},
        {{"--Config"}, 1, "resvd: unknown flag '--Config'\n    did you mean '--config'?\n"},
        {{"--log_level=info"},
         1,
         "resvd: unknown flag '--log_level'\n    did you mean '--log-level'?\n"},
        {{"--server.lisen", "x"},
         2,
         "resvd: unknown flag '--server.lisen'\n    did you mean '--server.listen'?\n"
         "resvd: unexpected argument '…'\n"}, /* it may be a secret */
        {{"--zzzzzz"}, 1, "resvd: unknown flag '--zzzzzz'\n"},
        {{"--=x"}, 1, "resvd: unknown flag '--'\n"},
        {{"-x"}, 1, "resvd: unknown flag '-x'\n"},
        {{"-hV"}, 1, "resvd: unknown flag '-h…'\n"},
        {{"-\xc3\xa4x"}, 1, "resvd: unknown flag '-\xc3\xa4…'\n"},
        {{"-phunter2"}, 1, "resvd: unknown flag '-p…'\n"},
        {{"-p", "hunter2"}, 2, "resvd: unknown flag '-p'\nresvd: unexpected argument '…'\n"},
        {{"--server.pwd=hunter2"}, 1, "resvd: unknown flag '--server.pwd'\n"},
        {{"--server.api_keys=a", "hunter2"}, 1, "resvd: unexpected argument '…'\n"},
        {{"--strategy.async.password=a", "hunter2"}, 1, "resvd: unexpected argument '…'\n"},
        {{"--server.api_keys_file=a", "b"}, 1, "resvd: unexpected argument '…'\n"},
        {{"--server.listen=a", "start"}, 1, "resvd: unexpected argument 'start'\n"},
        {{"--server.api_keys=a", "--demo", "start"}, 1, "resvd: unexpected argument 'start'\n"},
        {{"-"}, 1, "resvd: unexpected argument '-'\n"},
        {{"--", "--help"}, 1, "resvd: unexpected argument '--help'\n"},
        {{"start\x1b[31m"}, 1, "resvd: unexpected argument 'start\\x1b[31m'\n"},
        {{"--demo=on"}, 1, "resvd: '--demo' takes no value\n"},
        {{"--help="}, 1, "resvd: '--help' takes no value\n"},
        {{"--strategy"}, 1, "resvd: '--strategy' needs a value\n"},
        {{"--strategy", "--demo"}, 1, "resvd: '--strategy' needs a value\n"},
        {{"--server.listen"}, 1, "resvd: '--server.listen' needs a value\n"},
        {{"-c"}, 1, "resvd: '-c' needs a value\n"},
        {{"-c", "a", "--config=b"}, 1, "resvd: --config is given twice\n"},
        {{"--check-config", "--version"},
         1,
         "resvd: --check-config and --version exclude each other\n"},
        {{"--print-mann"}, 1, "resvd: unknown flag '--print-mann'\n"}, /* hidden stays hidden */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *const *arguments = cases[i].arguments;
        parse(fixture, arguments[0], arguments[1], arguments[2], NULL);
        assert_string_equal(fixture->errors, cases[i].errors);
        assert_int_equal(fixture->error_count, cases[i].count);
    }
}

static void test_long_flag(void **state)
{
    struct fixture *fixture = *state;
    char flag[4096];
    memset(flag, '-', sizeof flag - 1);
    flag[sizeof flag - 1] = '\0';
    parse(fixture, flag, NULL);
    assert_int_equal(fixture->error_count, 1);
    assert_int_equal(strlen(fixture->errors), strlen("resvd: unknown flag ''\n") + 99);
}

static void test_apply(void **state)
{
    struct fixture *fixture = *state;
    struct config *config = config_create(tables);
    assert_non_null(config);
    parse(fixture, "--strategy=grouped", "--server.max_connections=0", "--server.auth=off",
          "--server.strategy=async", NULL);
    assert_int_equal(fixture->error_count, 0);
    assert_int_equal(command_line_apply(&fixture->line, config), 1);
    assert_string_equal(config_string(config, &server_options, SERVER_STRATEGY), "async");
    assert_int_equal(config_choice(config, &server_options, SERVER_AUTH), SERVER_AUTH_OFF);
    assert_int_equal(config_integer(config, &server_options, SERVER_MAX_CONNECTIONS), 16384);
    config_destroy(config);
}

static void test_help(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    command_line_print_help(tables, out);
    assert_int_equal(fclose(out), 0);
    assert_non_null(strstr(text, "\n  -c, --config=FILE\n        Read settings from FILE\n"));
    assert_non_null(strstr(text, "\n  --server.api_keys_file=FILE\n"));
    assert_non_null(strstr(text, "\n  --server.max_connections=16384\n"));
    assert_non_null(strstr(text, "\n  64  the command line is wrong\n"));
    assert_null(strstr(text, "--print-reference"));
    for (const char *at = text; *at != '\0'; at += strcspn(at, "\n") + 1) {
        assert_true(strcspn(at, "\n") <= 96);
    }
    free(text);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nothing),   TEST(test_actions), TEST(test_values), TEST(test_errors),
        TEST(test_long_flag), TEST(test_apply),   TEST(test_help),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
