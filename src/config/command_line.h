/* The command line: what to do, and the settings that flags give. */
#ifndef RESVD_CONFIG_COMMAND_LINE_H
#define RESVD_CONFIG_COMMAND_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "config/config.h"
#include "resvd/option.h"

/* Documented in --help and in the man page. */
enum exit_code {
    EXIT_CODE_OK = 0,
    EXIT_CODE_FAILURE = 1,
    EXIT_CODE_USAGE = 64,
    EXIT_CODE_UNREACHABLE = 69,
    EXIT_CODE_CONFIG = 78,
};

enum command_line_action {
    COMMAND_LINE_RUN,
    COMMAND_LINE_HELP,
    COMMAND_LINE_VERSION,
    COMMAND_LINE_LIST_STRATEGIES,
    COMMAND_LINE_CHECK_CONFIG,
    COMMAND_LINE_PRINT_DEFAULT_CONFIG,
    COMMAND_LINE_PRINT_REFERENCE,
    COMMAND_LINE_PRINT_MAN,
    COMMAND_LINE_PRINT_METRICS,
};

/* From a flag --section.key=value, or one of the short forms of it. */
struct command_line_setting {
    char *name; /* "section.key" */
    const char *value;
};

struct command_line {
    enum command_line_action action;
    const char *config_path; /* NULL when -c was not given */
    bool demo;
    bool i_know_this_oversells;
    struct command_line_setting *settings; /* in the order given */
    size_t setting_count;
};

/* Fills `line`, which points into argv afterwards; command_line_free frees the rest, also after an
 * error. All errors are printed to `errors`, one or more lines each; returns how many there were:
 * not 0, exit with EXIT_CODE_USAGE. Values are not checked here but by command_line_apply. */
size_t command_line_parse(struct command_line *line, int argc, char *const *argv,
                          const struct resv_option_table *const *tables, FILE *errors);
void command_line_free(struct command_line *line);

/* Gives the settings to the config (config_set_flag). Returns the number of errors added there. */
size_t command_line_apply(const struct command_line *line, struct config *config);

/* --help, --print-reference (docs/configuration.md) and --print-man (docs/resvd.1): the flags, the
 * exit codes, and the options of the tables. */
void command_line_print_help(const struct resv_option_table *const *tables, FILE *out);
void command_line_print_reference(const struct resv_option_table *const *tables, FILE *out);
void command_line_print_man(const struct resv_option_table *const *tables, FILE *out);

#endif
