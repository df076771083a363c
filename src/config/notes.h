/* Notes: messages collected to be shown together, bounded in number. */
#ifndef RESVD_CONFIG_NOTES_H
#define RESVD_CONFIG_NOTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define NOTES_COUNT_MAX 100 /* more are counted, not kept */

/* Zeroed before first use. */
struct notes {
    char *text;
    size_t size;
    size_t count; /* all that were added, kept or not */
    bool out_of_memory;
};

/* One message, which may have several lines; a newline is added at its end. */
void notes_add(struct notes *notes, const char *format, ...) __attribute__((format(printf, 2, 3)));
void notes_print(const struct notes *notes, FILE *out);
void notes_free(struct notes *notes);

/* Copies `data` so that it can be shown: control bytes become \xNN, what does not fit is cut and
 * closed with "...". Always NUL-terminated; out_size at least 8. */
void notes_quote(char *out, size_t out_size, const char *data, size_t size);

#endif
