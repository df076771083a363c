/* resvd: what the command line asks for. */
#include <stdio.h>
#include <string.h>

#include "build_info.h"
#include "config/command_line.h"
#include "resvd/strategy.h"
#include "server/check.h"
#include "server/metric_reference.h"
#include "server/server.h"
#include "settings.h"

static void print_version(void)
{
    printf("resvd %s (%s)\n", RESVD_VERSION, RESVD_COMMIT);
    printf("compiler: %s\n", RESVD_COMPILER);
    printf("libraries: libuv %s, llhttp %s, cJSON %s, inih %s, %s\n", RESVD_LIBUV_VERSION,
           RESVD_LLHTTP_VERSION, RESVD_CJSON_VERSION, RESVD_INIH_VERSION, RESVD_STRATEGY_LIBRARIES);
}

static void print_strategies(void)
{
    for (size_t i = 0; resv_strategies[i] != NULL; i++) {
        const struct resv_strategy *strategy = resv_strategies[i];
        printf("%-12s %s\n%-12s store: %s%s\n", strategy->name, strategy->summary, "",
               strategy->store, strategy->may_oversell ? "; needs --i-know-this-oversells" : "");
    }
}

static struct config *read_again(void *data)
{
    return settings_read(data);
}

/* Reads everything; runs, or only says that it could. */
static int run(struct command_line *line)
{
    struct config *config = settings_read(line);
    if (config == NULL)
        return EXIT_CODE_CONFIG;
    int exit_code = EXIT_CODE_CONFIG;
    const struct resv_strategy *strategy = settings_strategy(config, line);
    if (strategy != NULL && line->action == COMMAND_LINE_CHECK_CONFIG) {
        exit_code = server_check(config, strategy);
        if (exit_code == EXIT_CODE_OK)
            printf("configuration is good; strategy %s\n", strategy->name);
    } else if (strategy != NULL) {
        struct server_start start = {.config = config,
                                     .strategy = strategy,
                                     .demo = line->demo,
                                     .read_again = read_again,
                                     .data = line};
        exit_code = server_run(&start);
    }
    config_destroy(config);
    return exit_code;
}

static int act(struct command_line *line)
{
    const struct resv_option_table *const *tables = settings_tables();
    switch (line->action) {
    case COMMAND_LINE_RUN:
    case COMMAND_LINE_CHECK_CONFIG:
        return run(line);
    case COMMAND_LINE_HELP:
        command_line_print_help(tables, stdout);
        break;
    case COMMAND_LINE_VERSION:
        print_version();
        break;
    case COMMAND_LINE_LIST_STRATEGIES:
        print_strategies();
        break;
    case COMMAND_LINE_PRINT_DEFAULT_CONFIG:
        config_print_default_file(tables, stdout);
        break;
    case COMMAND_LINE_PRINT_REFERENCE:
        command_line_print_reference(tables, stdout);
        break;
    case COMMAND_LINE_PRINT_MAN:
        command_line_print_man(tables, stdout);
        break;
    case COMMAND_LINE_PRINT_METRICS:
        metric_reference_print(stdout);
        break;
    }
    if (fflush(stdout) == 0 && !ferror(stdout))
        return EXIT_CODE_OK;
    perror("resvd: standard output");
    return EXIT_CODE_FAILURE;
}

int main(int argc, char **argv)
{
    struct command_line line;
    int exit_code = EXIT_CODE_USAGE;
    if (command_line_parse(&line, argc, argv, settings_tables(), stderr) == 0)
        exit_code = act(&line);
    command_line_free(&line);
    return exit_code;
}
