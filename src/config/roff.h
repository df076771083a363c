/* Text in a man page. */
#ifndef RESVD_CONFIG_ROFF_H
#define RESVD_CONFIG_ROFF_H

#include <stdio.h>

/* Writes `text` so that troff takes no character of it for its own; no newline at the end. */
void roff_print_text(const char *text, FILE *out);

#endif
