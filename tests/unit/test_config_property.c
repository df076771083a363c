/* Tests of src/config/property.c: a section that takes a library's properties by their own names,
 * from every source, with what is said when they are wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/command_line.h"
#include "config/config.h"
#include "config_fixture.h"

enum { TOPIC, SERVERS };

static const struct resv_option options[] = {
    [TOPIC] = {.key = "topic",
               .type = RESV_OPTION_STRING,
               .default_text = "events",
               .help = "Where to"},
    [SERVERS] = {.key = "bootstrap.servers",
                 .type = RESV_OPTION_STRING,
                 .default_text = "",
                 .help = "Whom to ask first"},
};

static const char *name_of(size_t index)
{
    static const char *const names[] = {"bootstrap.servers", "linger.ms", "sasl.mechanism",
                                        "sasl.password", NULL};
    return names[index];
}

static bool is_secret(const char *name)
{
    return strcmp(name, "sasl.password") == 0;
}

static bool check(const char *name, const char *text, char *why, size_t why_size)
{
    bool is_number = text[strspn(text, "0123456789")] == '\0';
    snprintf(why, why_size, "must be a number");
    return strcmp(name, "linger.ms") != 0 || is_number;
}

static const struct resv_property_table properties = {
    .help = "Any property of the library",
    .name = name_of,
    .is_secret = is_secret,
    .check = check,
};

static const struct resv_option_table table = {
    .section = "kafka",
    .help = "A section for tests",
    .options = options,
    .count = sizeof options / sizeof options[0],
    .properties = &properties,
};

static const struct resv_option_table *const tables[] = {&table, &fake_table, NULL};

static int set_up(void **state)
{
    int result = config_set_up(state);
    struct fixture *fixture = *state;
    config_destroy(fixture->config);
    fixture->config = config_create(tables);
    if (result != 0 || fixture->config == NULL)
        return -1;
    return (int)config_set_flag(fixture->config, "strategy.embedded.file", "required");
}

/* "name=text name=text", as the host gives them. */
static const char *given(const struct config *config)
{
    static char text[512];
    size_t length = 0;
    struct resv_property property;
    text[0] = '\0';
    for (size_t i = 0; config_property(config, &table, i, &property); i++)
        length += (size_t)snprintf(text + length, sizeof text - length, "%s%s=%s",
                                   i == 0 ? "" : " ", property.name, property.text);
    return text;
}

static void test_sources(void **state)
{
    struct fixture *fixture = *state;
    struct config *config = fixture->config;
    assert_string_equal(given(config), "");
    const char *const environment[] = {"RESVD_KAFKA_LINGER_MS=2", "RESVD_KAFKA_SASL_PASSWORD=p",
                                       "RESVD_KAFKA_TOPIC=t", "RESVD_KAFKA_BOOTSTRAP_SERVERS=e:1",
                                       NULL};
    assert_int_equal(read_text(fixture, "[kafka]\nlinger.ms = 1\nsasl.mechanism: PLAIN ; why\n"
                                        "bootstrap.servers = a:1,b:2\n"),
                     0);
    assert_string_equal(given(config), "linger.ms=1 sasl.mechanism=PLAIN");
    /* A name that is an option's is the option. */
    assert_string_equal(config_string(config, &table, SERVERS), "a:1,b:2");
    assert_int_equal(config_read_environment(config, environment), 0);
    assert_string_equal(given(config), "linger.ms=2 sasl.mechanism=PLAIN sasl.password=p");
    assert_string_equal(config_string(config, &table, TOPIC), "t");
    assert_string_equal(config_string(config, &table, SERVERS), "e:1");
    assert_int_equal(config_set_flag(config, "kafka.linger.ms", "3"), 0);
    /* The empty text takes it back. */
    assert_int_equal(config_set_flag(config, "kafka.sasl.mechanism", ""), 0);
    assert_string_equal(given(config), "linger.ms=3 sasl.password=p");
    assert_int_equal(config_finish(config), 0);
    assert_string_equal(warnings_of(fixture), "");
    assert_string_equal(errors_of(fixture), "");
}

static void test_errors(void **state)
{
    struct fixture *fixture = *state;
    struct config *config = fixture->config;
    assert_int_equal(read_text(fixture, "[kafka]\n"
                                        "linger.ms = soon\n"
                                        "sasl.mechanims = PLAIN\n"
                                        "linger.ms = 1\n"
                                        "linger.ms_file = x\n"
                                        "[strategy.embedded]\n"
                                        "sasl.mechanism = PLAIN\n"),
                     5);
    assert_string_equal(errors_of(fixture),
                        "test.conf:2: linger.ms: must be a number\n"
                        "    linger.ms = soon\n"
                        "test.conf:3: unknown key 'sasl.mechanims' in [kafka]\n"
                        "    sasl.mechanims = …\n"
                        "    did you mean 'sasl.mechanism'?\n"
                        "test.conf:4: duplicate key 'linger.ms' in [kafka], first on line 2\n"
                        "    linger.ms = 1\n"
                        "test.conf:5: unknown key 'linger.ms_file' in [kafka]\n"
                        "    linger.ms_file = …\n"
                        "test.conf:7: unknown key 'sasl.mechanism' in [strategy.embedded]\n"
                        "    sasl.mechanism = …\n"
                        "    did you mean 'sasl.mechanism' in [kafka]?\n");
    assert_int_equal(config_set_flag(config, "kafka.linger.mss", "1"), 1);
    assert_non_null(strstr(errors_of(fixture), "did you mean '--kafka.linger.ms'?"));
    const char *const environment[] = {"RESVD_KAFKA_LINGER_MSS=1", NULL};
    assert_int_equal(config_read_environment(config, environment), 0);
    assert_non_null(strstr(warnings_of(fixture), "did you mean RESVD_KAFKA_LINGER_MS?"));
}

static void test_secret(void **state)
{
    struct fixture *fixture = *state;
    struct config *config = fixture->config;
    write_file("secret", "hidden\n", 7);
    assert_int_equal(read_text(fixture, "[kafka]\nsasl.password_file = secret\n"), 0);
    assert_int_equal(config_finish(config), 0);
    assert_string_equal(given(config), "sasl.password=hidden");
    /* Both, and neither is shown. */
    assert_int_equal(read_text(fixture, "[kafka]\nsasl.password = a\nsasl.password = hunter2\n"),
                     1);
    assert_null(strstr(errors_of(fixture), "hunter2"));
    assert_non_null(strstr(errors_of(fixture), "sasl.password = …"));
}

static void test_flags_are_known(void **state)
{
    (void)state;
    char *arguments[] = {
        "resvd", "--kafka.sasl.password", "x", "--kafka.linger.ms=4", "--kafka.linger.m=4", NULL};
    char *said = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&said, &size);
    struct command_line line;
    assert_int_equal(command_line_parse(&line, 5, arguments, tables, out), 1);
    assert_int_equal(fclose(out), 0);
    assert_non_null(strstr(said, "did you mean '--kafka.linger.ms'?"));
    assert_int_equal(line.setting_count, 2);
    command_line_free(&line);
    free(said);
}

static void test_reload(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(read_text(fixture, "[kafka]\nlinger.ms = 1\nsasl.mechanism = a\n"), 0);
    struct config *fresh = config_create(tables);
    assert_int_equal(config_set_flag(fresh, "strategy.embedded.file", "required"), 0);
    assert_int_equal(config_set_flag(fresh, "kafka.linger.ms", "2"), 0);
    assert_int_equal(config_set_flag(fresh, "kafka.sasl.password", "hunter2"), 0);
    char *said = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&said, &size);
    config_reload(fixture->config, fresh, out);
    assert_int_equal(fclose(out), 0);
    assert_string_equal(said, "[kafka] linger.ms: '1' -> '2'; needs a restart\n"
                              "[kafka] sasl.mechanism: 'a' -> ''; needs a restart\n"
                              "[kafka] sasl.password: changed; needs a restart\n");
    assert_string_equal(given(fixture->config), "linger.ms=1 sasl.mechanism=a");
    free(said);
    config_destroy(fresh);
}

typedef void print(const struct resv_option_table *const *of, FILE *out);

static void expect_said(print *function, const char *text)
{
    char *said = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&said, &size);
    function(tables, out);
    assert_int_equal(fclose(out), 0);
    assert_non_null(strstr(said, text));
    free(said);
}

static void test_generated_texts(void **state)
{
    (void)state;
    expect_said(config_print_default_file, "\n# Any property of the library\n");
    expect_said(config_print_option_help, "  --kafka.PROPERTY=...\n        Any property of");
    expect_said(config_print_markdown, "\nAny property of the library.\n");
    expect_said(config_print_man, ".PP\nAny property of the library.\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sources, set_up, config_tear_down),
        cmocka_unit_test_setup_teardown(test_errors, set_up, config_tear_down),
        cmocka_unit_test_setup_teardown(test_secret, set_up, config_tear_down),
        cmocka_unit_test_setup_teardown(test_reload, set_up, config_tear_down),
        cmocka_unit_test(test_flags_are_known),
        cmocka_unit_test(test_generated_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
