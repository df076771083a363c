/* Configuration: option tables, where values come from, and what is said when they are wrong.
 *
 * Precedence: flag > environment RESVD_SECTION_KEY > file > default. All errors are found and
 * printed at once, each with file:line and the line, and with "did you mean".
 */
#ifndef RESVD_CONFIG_CONFIG_H
#define RESVD_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "resvd/option.h"

struct config;

/* Tables that may occur (core's and those of every compiled-in strategy); NULL-terminated array,
 * duplicates are taken once. Fills all defaults. NULL when out of memory. */
struct config *config_create(const struct resv_option_table *const *tables);
void config_destroy(struct config *config);

/* Each returns the number of errors that it added to config_errors. */
size_t config_read_file(struct config *config, const char *path);
size_t config_read_environment(struct config *config, const char *const *environment);
/* "section.key" and its value, from a flag --section.key=value. */
size_t config_set_flag(struct config *config, const char *name, const char *value);
/* After all sources: `key`_file secrets are read, required texts checked. */
size_t config_finish(struct config *config);

/* For checks across options (server_options_check): one message. */
void config_add_error(struct config *config, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* All errors so far, one or more lines each, printed as they should be shown. */
void config_print_errors(const struct config *config, FILE *out);
/* Things that are no errors but should be said (an unknown RESVD_… variable); same form. */
void config_print_warnings(const struct config *config, FILE *out);

int64_t config_integer(const struct config *config, const struct resv_option_table *table,
                       size_t index);
bool config_boolean(const struct config *config, const struct resv_option_table *table,
                    size_t index);
const char *config_string(const struct config *config, const struct resv_option_table *table,
                          size_t index);
size_t config_choice(const struct config *config, const struct resv_option_table *table,
                     size_t index);
/* As resv_option_property. */
bool config_property(const struct config *config, const struct resv_option_table *table,
                     size_t position, struct resv_property *property);
/* Where the value was given, as messages begin: "a.conf:3: key", "RESVD_SERVER_LISTEN",
 * "--server.listen"; NULL for a default. Valid as long as the config. */
const char *config_origin(const struct config *config, const struct resv_option_table *table,
                          size_t index);
/* True when the value does not come from the default. */
bool config_is_set(const struct config *config, const struct resv_option_table *table,
                   size_t index);

/* For HUP: takes over the values of `reloadable` options from `fresh`, which was read anew with no
 * errors. Prints to `out` a line for each value that changed, and for each that changed but needs
 * a restart. */
void config_reload(struct config *config, const struct config *fresh, FILE *out);

/* Generated texts. */
void config_print_default_file(const struct resv_option_table *const *tables, FILE *out);
void config_print_option_help(const struct resv_option_table *const *tables, FILE *out);
void config_print_markdown(const struct resv_option_table *const *tables, FILE *out);
void config_print_man(const struct resv_option_table *const *tables, FILE *out);

#endif
