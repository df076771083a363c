/* Reading the settings and choosing the strategy by them. */
#include "settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/server_options.h"
#include "config/suggest.h"
#include "log.h"
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
static size_t check_strategy(struct config *config, bool demo)
{
    const char *name = config_string(config, &server_options, SERVER_STRATEGY);
    struct suggestion suggestion;
    suggestion_begin(&suggestion, name);
    for (size_t i = 0; resv_strategies[i] != NULL; i++) {
        if (strcmp(resv_strategies[i]->name, name) == 0)
            return server_options_check_role(config, resv_strategies[i]->asynchronous, demo);
        suggestion_offer(&suggestion, resv_strategies[i]->name);
    }
    const char *best = suggestion_best(&suggestion);
    const char *origin = config_origin(config, &server_options, SERVER_STRATEGY);
    if (origin == NULL)
        origin = "[server] strategy";
    if (best != NULL)
        config_add_error(config, "%s: '%s' is not in this binary\n    did you mean '%s'?", origin,
                         name, best);
    else
        config_add_error(config,
                         "%s: '%s' is not in this binary\n    --list-strategies shows those that "
                         "are; meson's -Dstrategies= builds others in",
                         origin, name);
    return 1;
}

/* As they are; as JSON each one a line of the log. The lines of a note but its first are indented.
 */
static void say(const struct config *config, void (*print)(const struct config *config, FILE *out),
                enum resv_log_level level, const char *event)
{
    if (log_current_format() != LOG_FORMAT_JSON) {
        print(config, stderr);
        return;
    }
    char *notes = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&notes, &size);
    RESV_ASSERT(out != NULL);
    print(config, out);
    RESV_ASSERT(fclose(out) == 0);
    for (char *note = notes; *note != '\0';) {
        char *next = note;
        do {
            next = strchr(next, '\n');
            RESV_ASSERT(next != NULL); /* each ends with one */
            next++;
        } while (strncmp(next, "    ", 4) == 0);
        next[-1] = '\0';
        log_event(level, event, "message", note, NULL);
        note = next;
    }
    free(notes);
}

/* At the first reading errors are already said in the format asked for; at HUP it is the running
 * server's. --check-config is for people. */
static void choose_log_format(const struct config *config, const struct command_line *line)
{
    if (line->action == COMMAND_LINE_RUN && log_current_format() == LOG_FORMAT_AUTO)
        log_configure(
            (enum log_format)config_choice(config, &server_options, SERVER_LOG_FORMAT),
            (enum resv_log_level)config_choice(config, &server_options, SERVER_LOG_LEVEL));
}

struct config *settings_read(const struct command_line *line)
{
    struct config *config = config_create(settings_tables());
    if (config == NULL) {
        log_start_failure("out of memory");
        return NULL;
    }
    size_t errors = 0;
    if (line->config_path != NULL)
        errors += config_read_file(config, line->config_path);
    errors += config_read_environment(config, (const char *const *)environ);
    errors += command_line_apply(line, config);
    errors += config_finish(config);
    errors += check_strategy(config, line->demo);
    if (errors == 0)
        errors += server_options_check(config);
    choose_log_format(config, line);
    say(config, config_print_warnings, RESV_LOG_WARNING, "configuration warning");
    say(config, config_print_errors, RESV_LOG_ERROR, "configuration error");
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
        char message[256];
        snprintf(message, sizeof(message),
                 "strategy '%s' sells seats more than once and exists to show that; to run it all "
                 "the same add --i-know-this-oversells",
                 name);
        log_start_failure(message);
        return NULL;
    }
    return found;
}
