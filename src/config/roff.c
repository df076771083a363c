/* Text in a man page. */
#include "config/roff.h"

void roff_print_text(const char *text, FILE *out)
{
    if (*text == '.' || *text == '\'') {
        fputs("\\&", out); /* else the line is a request */
    }
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '\\':
            fputs("\\e", out);
            break;
        case '-':
            fputs("\\-", out);
            break;
        default:
            fputc(*text, out);
        }
    }
}
