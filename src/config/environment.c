/* Values from the environment, RESVD_SECTION_KEY, and from flags, --section.key=value. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "config/flag.h"
#include "config/state.h"

#define PREFIX "RESVD_"

/* RESVD_STRATEGY_EMBEDDED_FILE for [strategy.embedded] file. `key` may be empty: the prefix that
 * all keys of the section have. */
static void environment_name(const char *section, const char *key, const char *suffix, char *out,
                             size_t out_size)
{
    snprintf(out, out_size, PREFIX "%s_%s%s", section, key, suffix);
    for (char *at = out; *at != '\0'; at++) {
        *at = (char)(isalnum((unsigned char)*at) ? toupper((unsigned char)*at) : '_');
    }
}

/* Does the name mean this option? Offers the names that it goes by. */
static bool names_option(const char *name, struct config_section *section, size_t index,
                         struct suggestion *suggestion, struct config_key *key)
{
    struct resv_option option = config_key_option(section->table, index);
    for (int from_file = 0; from_file <= (option.secret ? 1 : 0); from_file++) {
        char candidate[SUGGEST_WORD_BYTES_MAX + 1];
        environment_name(section->table->section, option.key, from_file ? "_file" : "", candidate,
                         sizeof candidate);
        suggestion_offer(suggestion, candidate);
        if (strcmp(candidate, name) == 0) {
            *key = (struct config_key){
                .section = section, .index = index, .from_file = from_file != 0};
            return true;
        }
    }
    return false;
}

static bool belongs_elsewhere(const struct config *config, const char *name, const char **section)
{
    for (size_t i = 0; (*section = config_section_known_elsewhere(i)) != NULL; i++) {
        char prefix[SUGGEST_WORD_BYTES_MAX + 1];
        environment_name(*section, "", "", prefix, sizeof prefix);
        if (strncmp(name, prefix, strlen(prefix)) == 0 &&
            config_find_section(config, *section) == NULL) {
            return true;
        }
    }
    return false;
}

static size_t read_variable(struct config *config, const char *name, const char *value)
{
    struct suggestion suggestion;
    suggestion_begin(&suggestion, name);
    for (size_t i = 0; i < config->section_count; i++) {
        size_t count = config_key_count(config->sections[i].table);
        for (size_t j = 0; j < count; j++) {
            struct config_key key;
            if (names_option(name, &config->sections[i], j, &suggestion, &key)) {
                struct config_given given = {
                    .source = CONFIG_FROM_ENVIRONMENT, .origin = name, .value = value};
                return config_give(config, &key, &given);
            }
        }
    }
    char quoted[SUGGEST_WORD_BYTES_MAX + 1];
    const char *section = NULL;
    notes_quote(quoted, sizeof quoted, name, strlen(name));
    if (suggestion_best(&suggestion) == NULL && belongs_elsewhere(config, name, &section)) {
        notes_add(&config->warnings, "%s: this binary was built without [%s]; ignored", quoted,
                  section);
    } else if (suggestion_best(&suggestion) != NULL) {
        notes_add(&config->warnings,
                  "unknown environment variable %s; ignored\n    did you mean %s?", quoted,
                  suggestion_best(&suggestion));
    } else {
        notes_add(&config->warnings, "unknown environment variable %s; ignored", quoted);
    }
    return 0;
}

size_t config_read_environment(struct config *config, const char *const *environment)
{
    size_t errors = 0;
    for (size_t i = 0; environment[i] != NULL; i++) {
        const char *equals = strchr(environment[i], '=');
        if (equals == NULL || strncmp(environment[i], PREFIX, strlen(PREFIX)) != 0) {
            continue;
        }
        char *name = strndup(environment[i], (size_t)(equals - environment[i]));
        if (name == NULL) {
            notes_add(&config->errors, "out of memory");
            return errors + 1;
        }
        errors += read_variable(config, name, equals + 1);
        free(name);
    }
    return errors;
}

/* The part behind "section." when `name` begins so, else NULL. */
static const char *key_in_section(const char *name, const char *section)
{
    size_t size = strlen(section);
    return strncmp(name, section, size) == 0 && name[size] == '.' ? name + size + 1 : NULL;
}

static const char *uncompiled_section(const char *name)
{
    const char *section = NULL;
    for (size_t i = 0; (section = config_section_known_elsewhere(i)) != NULL; i++) {
        if (key_in_section(name, section) != NULL) {
            return section;
        }
    }
    return NULL;
}

bool config_flag_is_known(const struct resv_option_table *const *tables, const char *name)
{
    bool section_is_here = false;
    for (size_t i = 0; tables[i] != NULL; i++) {
        const char *key_name = key_in_section(name, tables[i]->section);
        struct config_section section = {.table = tables[i]};
        struct config_key key;
        if (key_name != NULL && config_find_key(&section, key_name, &key)) {
            return true;
        }
        section_is_here = section_is_here || key_name != NULL;
    }
    return !section_is_here && uncompiled_section(name) != NULL;
}

bool config_flag_is_secret(const struct resv_option_table *const *tables, const char *name)
{
    for (size_t i = 0; tables[i] != NULL; i++) {
        const char *key_name = key_in_section(name, tables[i]->section);
        struct config_section section = {.table = tables[i]};
        struct config_key key;
        if (key_name != NULL && config_find_key(&section, key_name, &key)) {
            return config_key_option(tables[i], key.index).secret;
        }
    }
    return true; /* of a section that is not built in, nobody knows */
}

void config_offer_flags(const struct resv_option_table *const *tables,
                        struct suggestion *suggestion)
{
    for (size_t i = 0; tables[i] != NULL; i++) {
        size_t count = config_key_count(tables[i]);
        for (size_t j = 0; j < count; j++) {
            struct resv_option option = config_key_option(tables[i], j);
            char name[SUGGEST_WORD_BYTES_MAX + 1];
            snprintf(name, sizeof name, "--%s.%s", tables[i]->section, option.key);
            suggestion_offer(suggestion, name);
            if (option.secret) {
                snprintf(name, sizeof name, "--%s.%s_file", tables[i]->section, option.key);
                suggestion_offer(suggestion, name);
            }
        }
    }
}

size_t config_set_flag(struct config *config, const char *name, const char *value)
{
    char origin[SUGGEST_WORD_BYTES_MAX + 1];
    notes_quote(origin, sizeof origin, name, strlen(name));
    char flag[sizeof origin + 2];
    snprintf(flag, sizeof flag, "--%s", origin);
    for (size_t i = 0; i < config->section_count; i++) {
        const char *key_name = key_in_section(name, config->sections[i].table->section);
        struct config_key key;
        if (key_name != NULL && config_find_key(&config->sections[i], key_name, &key)) {
            struct config_given given = {
                .source = CONFIG_FROM_FLAG, .origin = flag, .value = value};
            return config_give(config, &key, &given);
        }
    }
    if (config_flag_is_known(config->tables, name)) {
        notes_add(&config->warnings, "%s: this binary was built without [%s]; ignored", flag,
                  uncompiled_section(name));
        return 0;
    }
    struct suggestion suggestion;
    suggestion_begin(&suggestion, flag);
    config_offer_flags(config->tables, &suggestion);
    const char *best = suggestion_best(&suggestion);
    notes_add(&config->errors, "unknown flag '%s'%s%s%s", flag,
              best == NULL ? "" : "\n    did you mean '", best == NULL ? "" : best,
              best == NULL ? "" : "'?");
    return 1;
}
