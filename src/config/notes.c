/* Notes: messages collected to be shown together, bounded in number. */
#include "config/notes.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "resvd/assert.h"

void notes_add(struct notes *notes, const char *format, ...)
{
    notes->count++;
    if (notes->count > NOTES_COUNT_MAX) {
        return;
    }
    char *message = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&message, format, arguments);
    va_end(arguments);
    if (length < 0) {
        notes->out_of_memory = true;
        return;
    }
    size_t size = (size_t)length;
    char *text = realloc(notes->text, notes->size + size + 1);
    if (text == NULL) {
        notes->out_of_memory = true;
    } else {
        memcpy(text + notes->size, message, size);
        text[notes->size + size] = '\n';
        notes->text = text;
        notes->size += size + 1;
    }
    free(message);
}

void notes_print(const struct notes *notes, FILE *out)
{
    if (notes->size > 0) {
        fwrite(notes->text, 1, notes->size, out);
    }
    if (notes->count > NOTES_COUNT_MAX) {
        fprintf(out, "and %zu more\n", notes->count - NOTES_COUNT_MAX);
    }
    if (notes->out_of_memory) {
        fputs("out of memory: some messages are missing\n", out);
    }
}

void notes_free(struct notes *notes)
{
    free(notes->text);
    *notes = (struct notes){0};
}

void notes_quote(char *out, size_t out_size, const char *data, size_t size)
{
    RESV_ASSERT(out_size >= 8);
    size_t used = 0;
    size_t cut = 0; /* where "..." can go: at the start of a character */
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)data[i];
        bool control = byte < 0x20 || byte == 0x7f;
        bool continues = (byte & 0xc0) == 0x80;
        if (!continues && used + 4 <= out_size) {
            cut = used;
        }
        if (used + (control ? 4 : 1) >= out_size) {
            memcpy(out + cut, "...", 4);
            return;
        }
        if (control) {
            snprintf(out + used, 5, "\\x%02x", byte);
            used += 4;
        } else {
            out[used++] = data[i];
        }
    }
    out[used] = '\0';
}
