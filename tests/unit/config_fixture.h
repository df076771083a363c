/* A config over [server] and a fake strategy's table, in a folder of its own, for tests. */
#ifndef RESVD_TESTS_CONFIG_FIXTURE_H
#define RESVD_TESTS_CONFIG_FIXTURE_H

#include <stddef.h>

#include "config/config.h"
#include "resvd/option.h"

/* Positions in fake_table, [strategy.embedded]. */
enum { FILE_NAME, CONCURRENCY, OFFSET, BATCHING, COLOR, PASSWORD, BALANCED, DOTTED };

extern const struct resv_option_table fake_table;
/* server_options, and fake_table twice on purpose. */
extern const struct resv_option_table *const fake_tables[];

#define FIXTURE_PATH "test.conf"

struct fixture {
    struct config *config;
    char folder[64]; /* the working directory meanwhile */
    char *errors;
    char *warnings;
};

/* For cmocka; the fixture is *state. */
int config_set_up(void **state);
int config_tear_down(void **state);

#define CONFIG_TEST(function)                                                                      \
    cmocka_unit_test_setup_teardown(function, config_set_up, config_tear_down)

void write_file(const char *path, const char *data, size_t size);
/* Writes it to FIXTURE_PATH and reads that; the number of errors. */
size_t read_text(struct fixture *fixture, const char *text);

/* All messages so far; valid until the next call. */
const char *errors_of(struct fixture *fixture);
const char *warnings_of(struct fixture *fixture);

size_t count_of(const char *text, const char *part);

#endif
