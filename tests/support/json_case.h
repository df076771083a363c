/* One text given to json_parse, as the unit tests do it. */
#ifndef RESVD_TESTS_SUPPORT_JSON_CASE_H
#define RESVD_TESTS_SUPPORT_JSON_CASE_H

#include <stdbool.h>
#include <stddef.h>

#include "json/json.h"

/* A view in a static table, where TEXT's compound literal may not stand. */
#define ROW(literal)                                                                               \
    {                                                                                              \
        .data = (literal), .size = sizeof(literal) - 1                                             \
    }

/* What the last json_case_parse left; valid until the next. */
struct json_case {
    struct json_document document;
    struct json_error error;
};
extern struct json_case json_case;

/* Parses a copy on a heap block of just that size, so that a sanitizer sees reads behind it. */
bool json_case_parse(const char *text, size_t size);
/* Accepted, and cJSON reads the same. */
void json_case_accepted(const char *text, size_t size);
/* Refused, with this reason at this offset. */
void json_case_refused(const char *text, size_t size, const char *what, size_t offset);

#endif
