/* The command line: what to do, and the settings that flags give. */
#include "config/command_line.h"

#include <stdlib.h>
#include <string.h>

#include "config/flag.h"
#include "config/flag_table.h"
#include "config/notes.h"
#include "config/suggest.h"

#define QUOTED_SIZE 100

const struct flag flags[] = {
    {.name = "--help",
     .letter = 'h',
     .kind = FLAG_ACTION,
     .action = COMMAND_LINE_HELP,
     .help = "Show this text"},
    {.name = "--version",
     .letter = 'V',
     .kind = FLAG_ACTION,
     .action = COMMAND_LINE_VERSION,
     .help = "Show the version, commit, compiler and libraries"},
    {.name = "--list-strategies",
     .kind = FLAG_ACTION,
     .action = COMMAND_LINE_LIST_STRATEGIES,
     .help = "Show the strategies that this binary was built with"},
    {.name = "--check-config",
     .kind = FLAG_ACTION,
     .action = COMMAND_LINE_CHECK_CONFIG,
     .help = "Read file, environment and flags, show what is wrong, and exit"},
    {.name = "--print-default-config",
     .kind = FLAG_ACTION,
     .action = COMMAND_LINE_PRINT_DEFAULT_CONFIG,
     .help = "Show a config file with every setting and its default"},
    {.name = "--print-reference",
     .kind = FLAG_ACTION,
     .action = COMMAND_LINE_PRINT_REFERENCE,
     .hidden = true,
     .help = "Show docs/configuration.md"},
    {.name = "--print-man",
     .kind = FLAG_ACTION,
     .action = COMMAND_LINE_PRINT_MAN,
     .hidden = true,
     .help = "Show docs/resvd.1"},
    {.name = "--print-metrics",
     .kind = FLAG_ACTION,
     .action = COMMAND_LINE_PRINT_METRICS,
     .hidden = true,
     .help = "Show docs/metrics.md"},
    {.name = "--config",
     .letter = 'c',
     .kind = FLAG_CONFIG,
     .value_name = "FILE",
     .help = "Read settings from FILE"},
    {.name = "--strategy",
     .kind = FLAG_SETTING,
     .setting = "server.strategy",
     .value_name = "NAME",
     .help = "Sell by this strategy; the same as --server.strategy"},
    {.name = "--role",
     .kind = FLAG_SETTING,
     .setting = "server.role",
     .value_name = "ROLE",
     .help = "all, api or consumer, for asynchronous strategies; the same as --server.role"},
    {.name = "--log-format",
     .kind = FLAG_SETTING,
     .setting = "server.log_format",
     .value_name = "FORMAT",
     .help = "auto, text, logfmt or json; the same as --server.log_format"},
    {.name = "--log-level",
     .kind = FLAG_SETTING,
     .setting = "server.log_level",
     .value_name = "LEVEL",
     .help = "debug, info, warning or error; the same as --server.log_level"},
    {.name = "--demo",
     .kind = FLAG_DEMO,
     .help = "Fill an empty database with concerts and members, and show commands to try"},
    {.name = "--i-know-this-oversells",
     .kind = FLAG_OVERSELL,
     .help = "Needed by strategies that may sell a seat twice"},
};
const size_t flag_count = sizeof flags / sizeof flags[0];

const struct exit_code_text exit_code_texts[] = {
    {EXIT_CODE_OK, "done, or stopped in order by TERM or INT"},
    {EXIT_CODE_FAILURE, "something failed"},
    {EXIT_CODE_USAGE, "the command line is wrong"},
    {EXIT_CODE_UNREACHABLE, "a server that the strategy needs could not be reached at start"},
    {EXIT_CODE_CONFIG, "the configuration is wrong"},
};
const size_t exit_code_text_count = sizeof exit_code_texts / sizeof exit_code_texts[0];

/* Where the parser stands. */
struct parser {
    struct command_line *line;
    int argc;
    char *const *argv;
    int next; /* argument */
    const struct resv_option_table *const *tables;
    FILE *errors;
    size_t error_count;
    bool hide_next; /* an argument that nobody expects may belong to a secret before it */
};

static void complain(struct parser *parser, const char *before, const char *argument,
                     size_t argument_size, const char *behind)
{
    char quoted[QUOTED_SIZE];
    notes_quote(quoted, sizeof quoted, argument, argument_size);
    fprintf(parser->errors, "resvd: %s'%s'%s\n", before, quoted, behind);
    parser->error_count++;
}

static void unknown_flag(struct parser *parser, const char *argument, size_t name_size)
{
    complain(parser, "unknown flag ", argument, name_size, "");
    if (name_size > SUGGEST_WORD_BYTES_MAX) {
        return;
    }
    char name[SUGGEST_WORD_BYTES_MAX + 1];
    memcpy(name, argument, name_size);
    name[name_size] = '\0';
    struct suggestion suggestion;
    suggestion_begin(&suggestion, name);
    for (size_t i = 0; i < flag_count; i++) {
        if (!flags[i].hidden) {
            suggestion_offer(&suggestion, flags[i].name);
        }
    }
    config_offer_flags(parser->tables, &suggestion);
    if (suggestion_best(&suggestion) != NULL) {
        fprintf(parser->errors, "    did you mean '%s'?\n", suggestion_best(&suggestion));
    }
}

static void add_setting(struct parser *parser, const char *name, size_t name_size,
                        const char *value)
{
    struct command_line *line = parser->line;
    struct command_line_setting *settings =
        realloc(line->settings, (line->setting_count + 1) * sizeof(*settings));
    char *copy = strndup(name, name_size);
    if (settings != NULL) {
        line->settings = settings;
    }
    if (settings == NULL || copy == NULL) {
        free(copy);
        fputs("resvd: out of memory\n", parser->errors);
        parser->error_count++;
        return;
    }
    settings[line->setting_count++] = (struct command_line_setting){.name = copy, .value = value};
}

static void take_action(struct parser *parser, const struct flag *flag)
{
    enum command_line_action action = (enum command_line_action)flag->action;
    struct command_line *line = parser->line;
    if (line->action == COMMAND_LINE_RUN || line->action == action || action == COMMAND_LINE_HELP) {
        line->action = action;
    } else if (line->action != COMMAND_LINE_HELP) {
        const char *other = "";
        for (size_t i = 0; i < flag_count; i++) {
            if (flags[i].kind == FLAG_ACTION && flags[i].action == (int)line->action) {
                other = flags[i].name;
            }
        }
        fprintf(parser->errors, "resvd: %s and %s exclude each other\n", other, flag->name);
        parser->error_count++;
    }
}

static void take_flag(struct parser *parser, const struct flag *flag, const char *value)
{
    switch (flag->kind) {
    case FLAG_ACTION:
        take_action(parser, flag);
        return;
    case FLAG_CONFIG:
        if (parser->line->config_path != NULL) {
            fputs("resvd: --config is given twice\n", parser->errors);
            parser->error_count++;
        }
        parser->line->config_path = value;
        return;
    case FLAG_DEMO:
        parser->line->demo = true;
        return;
    case FLAG_OVERSELL:
        parser->line->i_know_this_oversells = true;
        return;
    case FLAG_SETTING:
        add_setting(parser, flag->setting, strlen(flag->setting), value);
        return;
    }
}

/* -pSECRET as another program takes it: only the letter is shown. */
static void unknown_letter(struct parser *parser, const char *argument)
{
    char shown[QUOTED_SIZE];
    size_t size = 2;
    while (size < 5 && (argument[size] & 0xc0) == 0x80) {
        size++; /* the rest of a UTF-8 character */
    }
    snprintf(shown, sizeof shown, "%.*s%s", (int)size, argument, argument[size] == '\0' ? "" : "…");
    complain(parser, "unknown flag ", shown, strlen(shown), "");
    parser->hide_next = true;
}

/* The value behind '=', or the next argument. NULL after an error. */
static const char *take_value(struct parser *parser, const char *argument, size_t name_size)
{
    if (argument[name_size] == '=') {
        return argument + name_size + 1;
    }
    if (parser->next < parser->argc && strncmp(parser->argv[parser->next], "--", 2) != 0) {
        return parser->argv[parser->next++];
    }
    complain(parser, "", argument, name_size, " needs a value");
    return NULL;
}

static void take_long(struct parser *parser, const char *argument)
{
    size_t name_size = strcspn(argument, "=");
    for (size_t i = 0; i < flag_count; i++) {
        if (strlen(flags[i].name) != name_size ||
            strncmp(flags[i].name, argument, name_size) != 0) {
            continue;
        }
        parser->hide_next = false;
        const char *value = NULL;
        if (flags[i].value_name == NULL && argument[name_size] == '=') {
            complain(parser, "", argument, name_size, " takes no value");
        } else if (flags[i].value_name == NULL ||
                   (value = take_value(parser, argument, name_size)) != NULL) {
            take_flag(parser, &flags[i], value);
        }
        return;
    }
    char name[SUGGEST_WORD_BYTES_MAX + 1] = "";
    if (name_size > 2 && name_size - 2 < sizeof name) {
        memcpy(name, argument + 2, name_size - 2);
    }
    if (name[0] == '\0' || !config_flag_is_known(parser->tables, name)) {
        unknown_flag(parser, argument, name_size);
        parser->hide_next = true;
        return;
    }
    parser->hide_next = config_flag_is_secret(parser->tables, name);
    const char *value = take_value(parser, argument, name_size);
    if (value != NULL) {
        add_setting(parser, name, strlen(name), value);
    }
}

/* -c FILE, -cFILE, -c=FILE, -h, -V; letters are not joined. */
static void take_short(struct parser *parser, const char *argument)
{
    for (size_t i = 0; i < flag_count; i++) {
        if (flags[i].letter == '\0' || flags[i].letter != argument[1]) {
            continue;
        }
        parser->hide_next = false;
        if (flags[i].value_name == NULL && argument[2] != '\0') {
            break;
        }
        const char *value = NULL;
        if (flags[i].value_name != NULL) {
            value = argument[2] == '\0' || argument[2] == '=' ? take_value(parser, argument, 2)
                                                              : argument + 2;
            if (value == NULL) {
                return;
            }
        }
        take_flag(parser, &flags[i], value);
        return;
    }
    unknown_letter(parser, argument);
}

size_t command_line_parse(struct command_line *line, int argc, char *const *argv,
                          const struct resv_option_table *const *tables, FILE *errors)
{
    *line = (struct command_line){.action = COMMAND_LINE_RUN};
    struct parser parser = {
        .line = line, .argc = argc, .argv = argv, .next = 1, .tables = tables, .errors = errors};
    bool flags_ended = false;
    while (parser.next < argc) {
        const char *argument = argv[parser.next++];
        if (!flags_ended && strcmp(argument, "--") == 0) {
            flags_ended = true;
        } else if (!flags_ended && strncmp(argument, "--", 2) == 0) {
            take_long(&parser, argument);
        } else if (!flags_ended && argument[0] == '-' && argument[1] != '\0') {
            take_short(&parser, argument);
        } else {
            const char *shown = parser.hide_next ? "…" : argument;
            complain(&parser, "unexpected argument ", shown, strlen(shown), "");
        }
    }
    return parser.error_count;
}

void command_line_free(struct command_line *line)
{
    for (size_t i = 0; i < line->setting_count; i++) {
        free(line->settings[i].name);
    }
    free(line->settings);
    *line = (struct command_line){0};
}

size_t command_line_apply(const struct command_line *line, struct config *config)
{
    size_t errors = 0;
    for (size_t i = 0; i < line->setting_count; i++) {
        errors += config_set_flag(config, line->settings[i].name, line->settings[i].value);
    }
    return errors;
}
