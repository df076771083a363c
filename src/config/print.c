/* The texts that are generated from the option tables: default file, help, reference, man page. */
#include <stdlib.h>
#include <string.h>

#include "config/roff.h"
#include "config/state.h"
#include "config/value.h"

#define FILE_WIDTH 100
#define HELP_WIDTH 80

typedef void print_table(const struct resv_option_table *table, FILE *out);

static void for_each_table(const struct resv_option_table *const *tables, print_table *print,
                           FILE *out)
{
    const struct resv_option_table **unique = config_unique_tables(tables);
    if (unique == NULL) {
        fputs("out of memory\n", out);
        return;
    }
    for (size_t i = 0; unique[i] != NULL; i++) {
        print(unique[i], out);
    }
    free(unique);
}

/* Words of `text` in lines of at most `width`, each behind `prefix`. */
static void print_wrapped(const char *prefix, const char *text, size_t width, FILE *out)
{
    size_t column = 0;
    const char *at = text;
    while (*at != '\0') {
        size_t size = strcspn(at, " ");
        if (column > 0 && column + 1 + size > width) {
            fputc('\n', out);
            column = 0;
        }
        if (column == 0) {
            fputs(prefix, out);
            column = strlen(prefix);
        } else {
            fputc(' ', out);
            column++;
        }
        fwrite(at, 1, size, out);
        column += size;
        at += size;
        at += strspn(at, " ");
    }
    fputc('\n', out);
}

/* --- the default file ----------------------------------------------------------------------- */

static void print_file_table(const struct resv_option_table *table, FILE *out)
{
    fprintf(out, "\n");
    print_wrapped("# ", table->help, FILE_WIDTH, out);
    fprintf(out, "[%s]\n", table->section);
    for (size_t i = 0; i < table->count; i++) {
        const struct resv_option *option = &table->options[i];
        char range[VALUE_WHY_SIZE];
        value_describe(option, range, sizeof range);
        fprintf(out, "\n");
        print_wrapped("# ", option->help, FILE_WIDTH, out);
        fprintf(out, "# (%s%s%s%s)\n", range, option->required ? ", not empty" : "",
                option->secret ? ", secret" : "", option->reloadable ? ", HUP reads it again" : "");
        fprintf(out, "#%s =%s%s\n", option->key, option->default_text[0] == '\0' ? "" : " ",
                option->default_text);
        if (option->secret) {
            fprintf(out, "#%s_file =\n", option->key);
        }
    }
    if (table->properties != NULL) {
        fprintf(out, "\n");
        print_wrapped("# ", table->properties->help, FILE_WIDTH, out);
    }
}

void config_print_default_file(const struct resv_option_table *const *tables, FILE *out)
{
    fputs("# Every setting of resvd with its default; resvd --print-default-config prints this.\n"
          "#\n"
          "# Flag --section.key=value > environment RESVD_SECTION_KEY > this file > default.\n"
          "# A comment begins with # or ; at the start of a line, or with ' ;' behind a value.\n"
          "# resvd --check-config -c FILE tells what is wrong with a file.\n",
          out);
    for_each_table(tables, print_file_table, out);
}

/* --- help ------------------------------------------------------------------------------------ */

static void print_help_table(const struct resv_option_table *table, FILE *out)
{
    fprintf(out, "\n[%s]\n", table->section);
    print_wrapped("  ", table->help, HELP_WIDTH, out);
    for (size_t i = 0; i < table->count; i++) {
        const struct resv_option *option = &table->options[i];
        char range[VALUE_WHY_SIZE];
        value_describe(option, range, sizeof range);
        fprintf(out, "  --%s.%s=%s\n", table->section, option->key,
                option->default_text[0] == '\0' ? "..." : option->default_text);
        print_wrapped("        ", option->help, HELP_WIDTH, out);
        fprintf(out, "        (%s)\n", range);
        if (option->secret) {
            fprintf(out, "  --%s.%s_file=FILE\n        The same, read from a file\n",
                    table->section, option->key);
        }
    }
    if (table->properties != NULL) {
        fprintf(out, "  --%s.PROPERTY=...\n", table->section);
        print_wrapped("        ", table->properties->help, HELP_WIDTH, out);
    }
}

void config_print_option_help(const struct resv_option_table *const *tables, FILE *out)
{
    for_each_table(tables, print_help_table, out);
}

/* --- Markdown -------------------------------------------------------------------------------- */

static void print_cell(const char *text, FILE *out)
{
    for (; *text != '\0'; text++) {
        if (strchr("|\\<*_[]", *text) != NULL) {
            fputc('\\', out);
        }
        fputc(*text, out);
    }
}

static void print_markdown_table(const struct resv_option_table *table, FILE *out)
{
    fprintf(out, "\n## `[%s]`\n\n", table->section);
    print_cell(table->help, out);
    fputs(".\n\n| key | values | default | on HUP | what it does |\n|---|---|---|---|---|\n", out);
    for (size_t i = 0; i < table->count; i++) {
        const struct resv_option *option = &table->options[i];
        char range[VALUE_WHY_SIZE];
        value_describe(option, range, sizeof range);
        fprintf(out, "| `%s`", option->key);
        if (option->secret) {
            fprintf(out, ", `%s_file`", option->key);
        }
        fputs(" | ", out);
        print_cell(range, out);
        fputs(option->required ? ", not empty" : "", out);
        fputs(option->secret ? ", secret" : "", out);
        if (option->default_text[0] == '\0') {
            fputs(" | (empty)", out);
        } else {
            fprintf(out, " | `%s`", option->default_text);
        }
        fputs(option->reloadable ? " | read again | " : " | | ", out);
        print_cell(option->help, out);
        fputs(" |\n", out);
    }
    if (table->properties != NULL) {
        fputc('\n', out);
        print_cell(table->properties->help, out);
        fputs(".\n", out);
    }
}

void config_print_markdown(const struct resv_option_table *const *tables, FILE *out)
{
    for_each_table(tables, print_markdown_table, out);
}

/* --- man page -------------------------------------------------------------------------------- */

static void print_man_table(const struct resv_option_table *table, FILE *out)
{
    fprintf(out, ".SS [%s]\n", table->section);
    roff_print_text(table->help, out);
    fputs(".\n", out);
    for (size_t i = 0; i < table->count; i++) {
        const struct resv_option *option = &table->options[i];
        char range[VALUE_WHY_SIZE];
        value_describe(option, range, sizeof range);
        fprintf(out, ".TP\n.BR %s", option->key);
        if (option->secret) {
            fprintf(out, " \", \" %s_file", option->key);
        }
        fputc('\n', out);
        roff_print_text(option->help, out);
        fputs(".\nValues: ", out);
        roff_print_text(range, out);
        fputs(option->required ? ", not empty" : "", out);
        fputs(option->secret ? ", secret" : "", out);
        fputs(". Default: ", out);
        roff_print_text(option->default_text[0] == '\0' ? "(empty)" : option->default_text, out);
        fputs(option->reloadable ? ".\nHUP reads it again.\n" : ".\n", out);
    }
    if (table->properties != NULL) {
        fputs(".PP\n", out);
        roff_print_text(table->properties->help, out);
        fputs(".\n", out);
    }
}

void config_print_man(const struct resv_option_table *const *tables, FILE *out)
{
    for_each_table(tables, print_man_table, out);
}
