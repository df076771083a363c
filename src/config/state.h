/* What the sources of configuration (file, environment, flags) share: the values and where each
 * came from. For src/config/ only. */
#ifndef RESVD_CONFIG_STATE_H
#define RESVD_CONFIG_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "config/notes.h"
#include "config/suggest.h"

#define CONFIG_FILE_BYTES_MAX    (1024 * 1024)
#define CONFIG_LINE_BYTES_MAX    (16 * 1024)
#define CONFIG_SECRET_BYTES_MAX  (64 * 1024)
#define CONFIG_SECTION_BYTES_MAX 49 /* inih cuts longer section names */
#define CONFIG_KEY_BYTES_MAX     100

/* In order of precedence. */
enum config_source {
    CONFIG_FROM_DEFAULT,
    CONFIG_FROM_FILE,
    CONFIG_FROM_ENVIRONMENT,
    CONFIG_FROM_FLAG,
};

struct config_slot {
    enum config_source source;
    bool from_file;  /* `key`_file was given; until config_finish `text` is the path */
    char *text;      /* NULL: a property that is not given */
    char *origin;    /* how messages begin: "a.conf:3: key", "RESVD_SERVER_LISTEN" */
    int64_t number;  /* integer, boolean, index of the choice */
    size_t lines[2]; /* in the file being read: of `key` and of `key`_file; 0 is none */
};

struct config_section {
    const struct resv_option_table *table;
    struct config_slot *slots; /* config_key_count(table) */
};

/* Texts that a reload has replaced: they live as long as the config. */
struct config_old_text {
    struct config_old_text *next;
    char *text;
};

struct config {
    const struct resv_option_table **tables; /* without duplicates, NULL-terminated */
    struct config_section *sections;
    size_t section_count;
    struct notes errors;
    struct notes warnings;
    struct config_old_text *old_texts;
};

/* Which option or property a name means. */
struct config_key {
    struct config_section *section;
    size_t index;   /* of the table's options; behind these, of its properties */
    bool from_file; /* the name was `key`_file */
};

/* One value as a source gives it. */
struct config_given {
    enum config_source source;
    const char *origin; /* as in struct config_slot */
    const char *value;
    const char *line; /* the line of the file, to be shown below the message; or NULL */
};

/* NULL when there is none. */
struct config_section *config_find_section(const struct config *config, const char *name);
/* False when the section has no such key. */
bool config_find_key(struct config_section *section, const char *name, struct config_key *key);
void config_offer_keys(const struct resv_option_table *table, struct suggestion *suggestion);

/* How many options and properties the table has. */
size_t config_key_count(const struct resv_option_table *table);
/* What is known of one of them. For a property, `check` is not it: see config_check_text. */
struct resv_option config_key_option(const struct resv_option_table *table, size_t index);
/* As value_parse, for an option or a property. */
bool config_check_text(const struct resv_option_table *table, size_t index, const char *text,
                       int64_t *number, char *why, size_t why_size);

/* True for sections of strategies and servers that the project knows, whether or not this binary
 * was built with them. */
bool config_section_is_known_elsewhere(const char *name);
/* They, one by one; NULL behind the last. */
const char *config_section_known_elsewhere(size_t index);

/* Checks the value and keeps it if no higher source has given one. Returns the number of errors
 * that it added, 0 or 1. */
size_t config_give(struct config *config, const struct config_key *key,
                   const struct config_given *given);

/* How much of a line may be seen: a secret may be where nobody expects it. */
enum config_shown {
    CONFIG_SHOW_LINE, /* a known key that is no secret */
    CONFIG_SHOW_KEY,  /* secrets, and keys that are unknown and could be meant for one */
    CONFIG_SHOW_WORD, /* the first word: of a line that is no pair */
};
/* The line below a message, indented; "…" stands for what is not shown. Empty without a line. */
void config_show_line(const char *line, enum config_shown shown, char *out, size_t out_size);

/* Each table once, in the order of their first occurrence. NULL when out of memory. */
const struct resv_option_table **
config_unique_tables(const struct resv_option_table *const *tables);

#endif
