/* Options: what can be configured, as tables beside the code that uses them.
 *
 * Core parses, checks and stores the values and generates --help, --print-default-config, the
 * man page and docs/configuration.md from the same tables.
 */
#ifndef RESVD_OPTION_H
#define RESVD_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct resv_host;

enum resv_option_type {
    RESV_OPTION_INTEGER, /* decimal, minimum..maximum */
    RESV_OPTION_BOOLEAN, /* on|off|true|false|yes|no */
    RESV_OPTION_STRING,  /* any text; the empty text is allowed unless `required` */
    RESV_OPTION_CHOICE,  /* one of `choices` */
};

struct resv_option {
    const char *key; /* lower_case, unit last: "batch_wait_ms" */
    enum resv_option_type type;
    const char *default_text; /* as it would be written in the file */
    int64_t minimum;          /* integers only, inclusive */
    int64_t maximum;
    const char *const *choices; /* choices only: NULL-terminated */
    const char *unit;           /* "ms", "bytes", "seats"; NULL when it has none */
    const char *help;           /* one sentence, no full stop needed by callers */
    bool secret;                /* never printed; `key`_file is accepted too */
    bool reloadable;            /* HUP may change it while running */
    bool required;              /* strings only: the empty text is an error */
    /* Strings only, may be NULL: a further check of a text that is not empty. False, and what is
     * wrong in `why` ("'abc' has no port; write host:port"), which is shown behind file:line and
     * key. For a secret, `why` must not repeat the text. */
    bool (*check)(const char *text, char *why, size_t why_size);
};

/* Properties: what a section takes besides its options, namely all that the library behind it can
 * be told, by the names that they have there. Texts, not given unless somebody gives them (the
 * empty text is not given either). */
struct resv_property_table {
    const char *help; /* which these are and where they are described, one sentence */
    /* The names that there are; NULL behind the last. Live as long as the process. A name that one
     * of the section's options has means the option. */
    const char *(*name)(size_t index);
    /* Never printed; `name`_file is accepted too. */
    bool (*is_secret)(const char *name);
    /* As `check` of an option. */
    bool (*check)(const char *name, const char *text, char *why, size_t why_size);
};

/* One section of the file. A table is static and outlives the process's use of it. */
struct resv_option_table {
    const char *section; /* "server", "strategy.embedded", "database" */
    const char *help;    /* what the section is about, one sentence */
    const struct resv_option *options;
    size_t count;
    const struct resv_property_table *properties; /* NULL: nothing but the options */
};

/* Values by table and position in it. Asking for another type than the table says aborts.
 * Strings are owned by the host and live until close (a reload keeps the old one alive). */
int64_t resv_option_integer(struct resv_host *host, const struct resv_option_table *table,
                            size_t index);
bool resv_option_boolean(struct resv_host *host, const struct resv_option_table *table,
                         size_t index);
const char *resv_option_string(struct resv_host *host, const struct resv_option_table *table,
                               size_t index);
/* Index into `choices`. */
size_t resv_option_choice(struct resv_host *host, const struct resv_option_table *table,
                          size_t index);

struct resv_property {
    const char *name;
    const char *text; /* never empty */
};
/* The properties that were given, one by one from 0 on, in the order of their names in the table;
 * false behind the last. They live as strings do. */
bool resv_option_property(struct resv_host *host, const struct resv_option_table *table,
                          size_t position, struct resv_property *property);

#endif
