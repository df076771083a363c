/* The flags that are not --section.key, as a table that parsing and the generated texts share. */
#ifndef RESVD_CONFIG_FLAG_TABLE_H
#define RESVD_CONFIG_FLAG_TABLE_H

#include <stdbool.h>
#include <stddef.h>

enum flag_kind {
    FLAG_ACTION,   /* command_line_action, no value */
    FLAG_CONFIG,   /* -c FILE */
    FLAG_DEMO,     /* no value */
    FLAG_OVERSELL, /* no value */
    FLAG_SETTING,  /* the same as --setting=VALUE */
};

struct flag {
    const char *name; /* "--config" */
    char letter;      /* 'c' for -c, or 0 */
    enum flag_kind kind;
    int action;             /* enum command_line_action, for FLAG_ACTION */
    const char *setting;    /* "server.strategy", for FLAG_SETTING */
    const char *value_name; /* "FILE"; NULL: takes no value */
    bool hidden;            /* for those who build the project */
    const char *help;
};

extern const struct flag flags[];
extern const size_t flag_count;

struct exit_code_text {
    int code;
    const char *help;
};

extern const struct exit_code_text exit_code_texts[];
extern const size_t exit_code_text_count;

#endif
