/* A config over [server] and a fake strategy's table, in a folder of its own, for tests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/server_options.h"
#include "config_fixture.h"

static const char *const color_choices[] = {"red", "green", NULL};

static bool check_even(const char *text, char *why, size_t why_size)
{
    snprintf(why, why_size, "is odd");
    return strlen(text) % 2 == 0;
}

static const struct resv_option fake_options[] = {
    [FILE_NAME] = {.key = "file",
                   .type = RESV_OPTION_STRING,
                   .default_text = "",
                   .required = true,
                   .help = "Where it is"},
    [CONCURRENCY] = {.key = "concurrency",
                     .type = RESV_OPTION_INTEGER,
                     .default_text = "8",
                     .minimum = 1,
                     .maximum = 64,
                     .unit = "threads",
                     .reloadable = true,
                     .help = "How many"},
    [OFFSET] = {.key = "offset",
                .type = RESV_OPTION_INTEGER,
                .default_text = "-1",
                .minimum = INT64_MIN,
                .maximum = INT64_MAX,
                .help = "How far"},
    [BATCHING] = {.key = "batching",
                  .type = RESV_OPTION_BOOLEAN,
                  .default_text = "on",
                  .help = "Whether"},
    [COLOR] = {.key = "color",
               .type = RESV_OPTION_CHOICE,
               .default_text = "green",
               .choices = color_choices,
               .help = "Which | colour"},
    [PASSWORD] = {.key = "password",
                  .type = RESV_OPTION_STRING,
                  .default_text = "",
                  .secret = true,
                  .reloadable = true,
                  .help = "What opens it"},
    [BALANCED] = {.key = "balanced",
                  .type = RESV_OPTION_STRING,
                  .default_text = "",
                  .check = check_even,
                  .help = "An even text"},
    [DOTTED] = {.key = "bootstrap.servers",
                .type = RESV_OPTION_STRING,
                .default_text = "",
                .help = "A key with a dot"},
};

const struct resv_option_table fake_table = {
    .section = "strategy.embedded",
    .help = "A strategy for tests",
    .options = fake_options,
    .count = sizeof fake_options / sizeof fake_options[0],
};

const struct resv_option_table *const fake_tables[] = {&server_options, &fake_table, &fake_table,
                                                       NULL};

int config_set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    strcpy(fixture->folder, "/tmp/resvd-test-config-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    assert_int_equal(chdir(fixture->folder), 0);
    fixture->config = config_create(fake_tables);
    assert_non_null(fixture->config);
    *state = fixture;
    return 0;
}

int config_tear_down(void **state)
{
    struct fixture *fixture = *state;
    config_destroy(fixture->config);
    free(fixture->errors);
    free(fixture->warnings);
    unlink("test.conf");
    unlink("secret");
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(rmdir(fixture->folder), 0);
    free(fixture);
    return 0;
}

void write_file(const char *path, const char *data, size_t size)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

size_t read_text(struct fixture *fixture, const char *text)
{
    write_file(FIXTURE_PATH, text, strlen(text));
    return config_read_file(fixture->config, FIXTURE_PATH);
}

typedef void print_notes(const struct config *config, FILE *out);

static void collect(print_notes *print, const struct config *config, char **text)
{
    size_t size = 0;
    free(*text);
    *text = NULL;
    FILE *out = open_memstream(text, &size);
    assert_non_null(out);
    print(config, out);
    assert_int_equal(fclose(out), 0);
}

const char *errors_of(struct fixture *fixture)
{
    collect(config_print_errors, fixture->config, &fixture->errors);
    return fixture->errors;
}

const char *warnings_of(struct fixture *fixture)
{
    collect(config_print_warnings, fixture->config, &fixture->warnings);
    return fixture->warnings;
}

size_t count_of(const char *text, const char *part)
{
    size_t count = 0;
    while ((text = strstr(text, part)) != NULL) {
        count++;
        text += strlen(part);
    }
    return count;
}
