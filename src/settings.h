/* The settings of this run: every source of configuration, read in one go. */
#ifndef RESVD_SETTINGS_H
#define RESVD_SETTINGS_H

#include "config/command_line.h"
#include "config/config.h"

/* The option tables of core and of every strategy compiled in, NULL-terminated; static. */
const struct resv_option_table *const *settings_tables(void);

/* File, environment and flags; prints warnings and errors to stderr. NULL when there were errors
 * (or no memory); else the caller destroys it. */
struct config *settings_read(const struct command_line *line);

/* The strategy that the settings choose; NULL after printing why there is none. */
const struct resv_strategy *settings_strategy(const struct config *config,
                                              const struct command_line *line);

#endif
