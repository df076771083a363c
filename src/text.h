/* A view of bytes that somebody else owns; not NUL-terminated. */
#ifndef RESVD_TEXT_H
#define RESVD_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct text {
    const char *data;
    size_t size;
};

#define TEXT(literal) ((struct text){.data = (literal), .size = sizeof(literal) - 1})

static inline bool text_equal(struct text a, struct text b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

#endif
