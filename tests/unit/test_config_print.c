/* The texts generated from the option tables: default file, reference, man page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "config/command_line.h"
#include "config/server_options.h"
#include "config_fixture.h"

typedef void print_text(const struct resv_option_table *const *print_tables, FILE *out);

static char *generated(print_text *print)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    print(fake_tables, out);
    assert_int_equal(fclose(out), 0);
    return text;
}

/* Takes the # off each "#key = …", so that every default is given. */
static void uncomment(char *text)
{
    char *write = text;
    bool line_start = true;
    for (char *read = text; *read != '\0'; read++) {
        if (line_start && *read == '#' && read[1] >= 'a' && read[1] <= 'z') {
            size_t key_size = strcspn(read + 1, " =");
            if (key_size < 5 || strncmp(read + 1 + key_size - 5, "_file", 5) != 0) {
                line_start = false;
                continue;
            }
        }
        line_start = *read == '\n';
        *write++ = *read;
    }
    *write = '\0';
}

static void test_default_file_is_valid(void **state)
{
    struct fixture *fixture = *state;
    char *text = generated(config_print_default_file);
    assert_int_equal(count_of(text, "\n[strategy.embedded]\n"), 1);
    assert_non_null(strstr(text, "\n# How many\n"
                                 "# (1 to 64 threads, HUP reads it again)\n"
                                 "#concurrency = 8\n"));
    assert_non_null(strstr(text, "\n# (text, secret, HUP reads it again)\n"
                                 "#password =\n"
                                 "#password_file =\n"));
    assert_int_equal(read_text(fixture, text), 0);
    assert_false(config_is_set(fixture->config, &server_options, SERVER_LISTEN));

    uncomment(text);
    assert_int_equal(read_text(fixture, text), 0);
    assert_string_equal(errors_of(fixture), "");
    assert_string_equal(warnings_of(fixture), "");
    for (size_t i = 0; i < server_options.count; i++) {
        assert_true(config_is_set(fixture->config, &server_options, i));
    }
    free(text);
}

static void test_reference(void **state)
{
    (void)state;
    char *text = generated(command_line_print_reference);
    assert_int_equal(count_of(text, "\n## `[strategy.embedded]`\n"), 1);
    assert_non_null(strstr(text, "\n| `concurrency` | 1 to 64 threads | `8` | read again | "
                                 "How many |\n"));
    assert_non_null(strstr(text, "| Which \\| colour |\n"));
    assert_non_null(strstr(text, "| `password`, `password_file` | text, secret | (empty) | "
                                 "read again | What opens it |\n"));
    assert_non_null(strstr(text, "\n| `-c, --config=FILE` | Read settings from FILE |\n"));
    assert_non_null(strstr(text, "\n| 78 | the configuration is wrong |\n"));
    assert_null(strstr(text, "--print-man"));
    free(text);
}

static void test_man_page(void **state)
{
    (void)state;
    char *text = generated(command_line_print_man);
    assert_non_null(strstr(text, "\n.TP\n.BR concurrency\nHow many.\nValues: 1 to 64 threads. "
                                 "Default: 8.\nHUP reads it again.\n"));
    assert_non_null(strstr(text, "\n.TP\n.B \\-c, \\-\\-config=FILE\nRead settings from FILE.\n"));
    assert_non_null(strstr(text, "Default: \\-1.\n"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CONFIG_TEST(test_default_file_is_valid),
        CONFIG_TEST(test_reference),
        CONFIG_TEST(test_man_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
