/* The values of all options: their defaults, and how a source gives or replaces one. */
#include "config/config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "config/state.h"
#include "config/value.h"
#include "config/whole_file.h"
#include "resvd/assert.h"

#define LINE_SHOWN_BYTES_MAX 200

const struct resv_option_table **config_unique_tables(const struct resv_option_table *const *tables)
{
    size_t count = 0;
    while (tables[count] != NULL) {
        count++;
    }
    const struct resv_option_table **unique = calloc(count + 1, sizeof(*unique));
    if (unique == NULL) {
        return NULL;
    }
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        size_t j = 0;
        while (j < used && unique[j] != tables[i]) {
            /* Two tables for one section would each have their own values. */
            RESV_ASSERT(strcmp(unique[j]->section, tables[i]->section) != 0);
            j++;
        }
        if (j == used) {
            unique[used++] = tables[i];
        }
    }
    return unique;
}

static bool fill_defaults(struct config_section *section)
{
    const struct resv_option_table *table = section->table;
    section->slots = calloc(config_key_count(table) + 1, sizeof(*section->slots));
    if (section->slots == NULL) {
        return false;
    }
    for (size_t i = 0; i < table->count; i++) {
        const struct resv_option *option = &table->options[i];
        char why[VALUE_WHY_SIZE];
        RESV_ASSERT(
            value_parse(option, option->default_text, &section->slots[i].number, why, sizeof why));
        section->slots[i].text = strdup(option->default_text);
        if (section->slots[i].text == NULL) {
            return false;
        }
    }
    return true;
}

struct config *config_create(const struct resv_option_table *const *tables)
{
    struct config *config = calloc(1, sizeof *config);
    if (config == NULL) {
        return NULL;
    }
    config->tables = config_unique_tables(tables);
    if (config->tables == NULL) {
        config_destroy(config);
        return NULL;
    }
    while (config->tables[config->section_count] != NULL) {
        config->section_count++;
    }
    config->sections = calloc(config->section_count + 1, sizeof(*config->sections));
    if (config->sections == NULL) {
        config_destroy(config);
        return NULL;
    }
    for (size_t i = 0; i < config->section_count; i++) {
        config->sections[i].table = config->tables[i];
        if (!fill_defaults(&config->sections[i])) {
            config_destroy(config);
            return NULL;
        }
    }
    return config;
}

static void destroy_section(struct config_section *section)
{
    size_t count = config_key_count(section->table);
    for (size_t i = 0; section->slots != NULL && i < count; i++) {
        free(section->slots[i].text);
        free(section->slots[i].origin);
    }
    free(section->slots);
}

void config_destroy(struct config *config)
{
    if (config == NULL) {
        return;
    }
    for (size_t i = 0; config->sections != NULL && i < config->section_count; i++) {
        destroy_section(&config->sections[i]);
    }
    while (config->old_texts != NULL) {
        struct config_old_text *old = config->old_texts;
        config->old_texts = old->next;
        free(old->text);
        free(old);
    }
    notes_free(&config->errors);
    notes_free(&config->warnings);
    free(config->sections);
    free(config->tables);
    free(config);
}

struct config_section *config_find_section(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->section_count; i++) {
        if (strcmp(config->sections[i].table->section, name) == 0) {
            return &config->sections[i];
        }
    }
    return NULL;
}

bool config_find_key(struct config_section *section, const char *name, struct config_key *key)
{
    const struct resv_option_table *table = section->table;
    size_t count = config_key_count(table);
    for (size_t i = 0; i < count; i++) {
        struct resv_option option = config_key_option(table, i);
        size_t size = strlen(option.key);
        if (strncmp(name, option.key, size) != 0) {
            continue;
        }
        bool plain = name[size] == '\0';
        bool from_file = option.secret && strcmp(name + size, "_file") == 0;
        if (plain || from_file) {
            *key = (struct config_key){.section = section, .index = i, .from_file = from_file};
            return true;
        }
    }
    return false;
}

void config_offer_keys(const struct resv_option_table *table, struct suggestion *suggestion)
{
    size_t count = config_key_count(table);
    for (size_t i = 0; i < count; i++) {
        struct resv_option option = config_key_option(table, i);
        suggestion_offer(suggestion, option.key);
        if (option.secret) {
            char name[SUGGEST_WORD_BYTES_MAX + 1];
            snprintf(name, sizeof name, "%s_file", option.key);
            suggestion_offer(suggestion, name);
        }
    }
}

const char *config_section_known_elsewhere(size_t index)
{
    static const char *const names[] = {
        "strategy.embedded", "strategy.naive", "strategy.pessimistic",
        "strategy.redlock",  "strategy.async", "strategy.grouped",
        "database",          "redis",          "kafka",
    };
    return index < sizeof names / sizeof names[0] ? names[index] : NULL;
}

bool config_section_is_known_elsewhere(const char *name)
{
    const char *known = NULL;
    for (size_t i = 0; (known = config_section_known_elsewhere(i)) != NULL; i++) {
        if (strcmp(known, name) == 0) {
            return true;
        }
    }
    return false;
}

void config_show_line(const char *line, enum config_shown shown, char *out, size_t out_size)
{
    out[0] = '\0';
    if (line == NULL) {
        return;
    }
    size_t size = strlen(line);
    const char *rest = "";
    if (shown != CONFIG_SHOW_LINE) {
        size = strcspn(line, " \t=:");
        const char *behind = line + size + strspn(line + size, " \t");
        /* A key has no blanks: "password x=" is a password without its delimiter. */
        bool is_key = shown == CONFIG_SHOW_KEY && (*behind == '=' || *behind == ':');
        rest = *behind == '\0' ? "" : is_key ? " = …" : " …";
        rest += size == 0 && *rest == ' ' ? 1 : 0;
    }
    char quoted[LINE_SHOWN_BYTES_MAX];
    notes_quote(quoted, sizeof quoted, line, size);
    snprintf(out, out_size, "\n    %s%s", quoted, rest);
}

static size_t add_value_error(struct config *config, const struct config_given *given, bool secret,
                              const char *why)
{
    char shown[LINE_SHOWN_BYTES_MAX + 16];
    config_show_line(given->line, secret ? CONFIG_SHOW_KEY : CONFIG_SHOW_LINE, shown, sizeof shown);
    notes_add(&config->errors, "%s: %s%s", given->origin, why, shown);
    return 1;
}

size_t config_give(struct config *config, const struct config_key *key,
                   const struct config_given *given)
{
    const struct resv_option_table *table = key->section->table;
    struct config_slot *slot = &key->section->slots[key->index];
    char why[VALUE_WHY_SIZE] = "";
    int64_t number = 0;
    /* The path of a secret is no secret. */
    bool secret = config_key_option(table, key->index).secret && !key->from_file;

    if (key->from_file) {
        if (given->value[0] == '\0') {
            return add_value_error(config, given, secret, "must be the path of a file");
        }
    } else if (!config_check_text(table, key->index, given->value, &number, why, sizeof why)) {
        return add_value_error(config, given, secret, why);
    }
    if (slot->source > given->source) {
        return 0;
    }
    if (slot->source == given->source && slot->from_file != key->from_file &&
        given->source != CONFIG_FROM_FILE) { /* file.c has checked it, whatever the order */
        snprintf(why, sizeof why, "excludes %s, which is given too", slot->origin);
        return add_value_error(config, given, secret, why);
    }
    char *text = strdup(given->value);
    char *origin = strdup(given->origin);
    if (text == NULL || origin == NULL) {
        free(text);
        free(origin);
        return add_value_error(config, given, secret, "out of memory");
    }
    free(slot->text);
    free(slot->origin);
    slot->text = text;
    slot->origin = origin;
    slot->number = number;
    slot->source = given->source;
    slot->from_file = key->from_file;
    return 0;
}

/* Puts what the file says in place of its path. NULL, or what went wrong. */
static const char *read_secret(const struct resv_option_table *table, size_t index,
                               struct config_slot *slot, char *why, size_t why_size)
{
    char *data = NULL;
    size_t size = 0;
    char path[VALUE_WHY_SIZE / 4];
    notes_quote(path, sizeof path, slot->text, strlen(slot->text));
    int error = whole_file_read(slot->text, CONFIG_SECRET_BYTES_MAX, &data, &size);
    if (error == EFBIG) {
        snprintf(why, why_size, "'%s' has more than %d bytes", path, CONFIG_SECRET_BYTES_MAX);
        return why;
    }
    if (error != 0) {
        snprintf(why, why_size, "cannot read '%s': %s", path, strerror(error));
        return why;
    }
    if (memchr(data, '\0', size) != NULL) {
        free(data);
        snprintf(why, why_size, "'%s' has a NUL byte in it", path);
        return why;
    }
    if (size > 0 && data[size - 1] == '\n') {
        data[size - 1] = '\0';
    }
    char check_why[VALUE_WHY_SIZE / 4];
    int64_t number = 0;
    if (!config_check_text(table, index, data, &number, check_why, sizeof check_why)) {
        free(data);
        snprintf(why, why_size, "'%s': %s", path, check_why);
        return why;
    }
    free(slot->text);
    slot->text = data;
    slot->number = number;
    return NULL;
}

static size_t finish_slot(struct config *config, const struct resv_option_table *table,
                          size_t index, struct config_slot *slot)
{
    struct resv_option option = config_key_option(table, index);
    char why[VALUE_WHY_SIZE];
    if (slot->from_file && read_secret(table, index, slot, why, sizeof why) != NULL) {
        notes_add(&config->errors, "%s: %s", slot->origin, why);
        return 1;
    }
    if (option.required && slot->text[0] == '\0') {
        if (slot->source == CONFIG_FROM_DEFAULT) {
            notes_add(&config->errors, "[%s] %s: must be given", table->section, option.key);
        } else {
            notes_add(&config->errors, "%s: must not be empty", slot->origin);
        }
        return 1;
    }
    return 0;
}

size_t config_finish(struct config *config)
{
    size_t errors = 0;
    for (size_t i = 0; i < config->section_count; i++) {
        const struct config_section *section = &config->sections[i];
        size_t count = config_key_count(section->table);
        for (size_t j = 0; j < count; j++) {
            errors += finish_slot(config, section->table, j, &section->slots[j]);
        }
    }
    return errors;
}

void config_add_error(struct config *config, const char *format, ...)
{
    char *message = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&message, format, arguments);
    va_end(arguments);
    notes_add(&config->errors, "%s", length < 0 ? "out of memory" : message);
    if (length >= 0) {
        free(message);
    }
}

void config_print_errors(const struct config *config, FILE *out)
{
    notes_print(&config->errors, out);
}

void config_print_warnings(const struct config *config, FILE *out)
{
    notes_print(&config->warnings, out);
}

static const struct config_slot *slot_of(const struct config *config,
                                         const struct resv_option_table *table, size_t index)
{
    const struct config_slot *slot = NULL;
    for (size_t i = 0; i < config->section_count; i++) {
        if (config->sections[i].table == table) {
            RESV_ASSERT(index < table->count);
            slot = &config->sections[i].slots[index];
        }
    }
    RESV_ASSERT(slot != NULL);
    return slot;
}

int64_t config_integer(const struct config *config, const struct resv_option_table *table,
                       size_t index)
{
    const struct config_slot *slot = slot_of(config, table, index);
    RESV_ASSERT(table->options[index].type == RESV_OPTION_INTEGER);
    return slot->number;
}

bool config_boolean(const struct config *config, const struct resv_option_table *table,
                    size_t index)
{
    const struct config_slot *slot = slot_of(config, table, index);
    RESV_ASSERT(table->options[index].type == RESV_OPTION_BOOLEAN);
    return slot->number != 0;
}

const char *config_string(const struct config *config, const struct resv_option_table *table,
                          size_t index)
{
    const struct config_slot *slot = slot_of(config, table, index);
    RESV_ASSERT(table->options[index].type == RESV_OPTION_STRING);
    return slot->text;
}

size_t config_choice(const struct config *config, const struct resv_option_table *table,
                     size_t index)
{
    const struct config_slot *slot = slot_of(config, table, index);
    RESV_ASSERT(table->options[index].type == RESV_OPTION_CHOICE);
    return (size_t)slot->number;
}

const char *config_origin(const struct config *config, const struct resv_option_table *table,
                          size_t index)
{
    return slot_of(config, table, index)->origin;
}

bool config_is_set(const struct config *config, const struct resv_option_table *table, size_t index)
{
    return slot_of(config, table, index)->source != CONFIG_FROM_DEFAULT;
}
