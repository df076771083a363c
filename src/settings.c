/* Reading the settings and choosing the strategy by them. */
#include "settings.h"

#include <stdio.h>
#include <string.h>

#include "config/server_options.h"
#include "config/suggest.h"
#include "resvd/assert.h"
#include "resvd/strategy.h"

#define TABLES_MAX 32

extern char **environ;

const struct resv_option_table *const *settings_tables(void)
{
    static const struct resv_option_table *tables[TABLES_MAX + 1];
    size_t count = 0;
    tables[count++] = &server_options;
    for (size_t i = 0; resv_strategies[i] != NULL; i++) {
        const struct resv_option_table *const *of = resv_strategies[i]->option_tables;
        for (size_t k = 0; of != NULL && of[k] != NULL; k++) {
            RESV_ASSERT(count < TABLES_MAX);
            tables[count++] = of[k];
        }
    }
    tables[count] = NULL;
    return tables;
}

/* Among the other errors, so that all are seen at once. */
static size_t check_strategy(struct config *config)
{
    const char *name = config_string(config, &server_options, SERVER_STRATEGY);
    struct suggestion suggestion;
    suggestion_begin(&suggestion, name);
    for (size_t i = 0; resv_strategies[i] != NULL; i++) {
        if (strcmp(resv_strategies[i]->name, name) == 0)
            return 0;
        suggestion_offer(&suggestion, resv_strategies[i]->name);
    }
    const char *best = suggestion_best(&suggestion);
    if (best != NULL)
        config_add_error(config,
                         "[server] strategy: '%s' is not in this binary\n    did you mean '%s'?",
                         name, best);
    else
        config_add_error(config,
                         "[server] strategy: '%s' is not in this binary\n    --list-strategies "
                         "shows those that are; meson's -Dstrategies= builds others in",
                         name);
    return 1;
}

struct config *settings_read(const struct command_line *line)
{
    struct config *config = config_create(settings_tables());
    if (config == NULL) {
        fprintf(stderr, "resvd: out of memory\n");
        return NULL;
    }
    size_t errors = 0;
    if (line->config_path != NULL)
        errors += config_read_file(config, line->config_path);
    errors += config_read_environment(config, (const char *const *)environ);
    errors += command_line_apply(line, config);
    errors += config_finish(config);
    errors += check_strategy(config);
    if (errors == 0)
        errors += server_options_check(config);
    config_print_warnings(config, stderr);
    config_print_errors(config, stderr);
    if (errors == 0)
        return config;
    config_destroy(config);
    return NULL;
}

const struct resv_strategy *settings_strategy(const struct config *config,
                                              const struct command_line *line)
{
    const char *name = config_string(config, &server_options, SERVER_STRATEGY);
    const struct resv_strategy *found = NULL;
    for (size_t i = 0; resv_strategies[i] != NULL && found == NULL; i++) {
        if (strcmp(resv_strategies[i]->name, name) == 0)
            found = resv_strategies[i];
    }
    RESV_ASSERT(found != NULL); /* settings_read has checked it */
    if (found->may_oversell && !line->i_know_this_oversells) {
        fprintf(stderr,
                "resvd: strategy '%s' sells seats more than once and exists to show that; to run "
                "it all the same add --i-know-this-oversells\n",
                name);
        return NULL;
    }
    return found;
}
