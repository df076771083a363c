/* Reading the members of JSON objects against a table, with all errors at once. */
#ifndef RESVD_ROUTES_FIELDS_H
#define RESVD_ROUTES_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "json/json.h"

#define FIELD_ERRORS_MAX     100 /* listed in one answer; the rest is only counted */
#define FIELD_NAME_BYTES_MAX 128 /* longer names are cut */
#define FIELDS_MAX           8

enum field_type {
    FIELD_INTEGER, /* int64_t, 1..maximum */
    FIELD_TEXT,    /* char[RESV_TEXT_BYTES_MAX + 1], 1..RESV_TEXT_BYTES_MAX bytes, no controls */
    FIELD_TIME,    /* int64_t, milliseconds since 1970; RFC 3339 in the body */
};

/* For tables: TEXT is no constant. */
#define FIELD_NAME(literal)                                                                        \
    {                                                                                              \
        "" literal, sizeof(literal) - 1                                                            \
    }

struct field {
    struct text name;
    enum field_type type;
    bool required;
    bool nullable; /* null stands for none: 0, "" or INT64_MIN */
    int64_t maximum;
    const char *maximum_error; /* "must be at most 10000" */
    size_t offset;             /* of the value in the target */
};

struct field_errors {
    size_t count; /* found; the first FIELD_ERRORS_MAX of them are listed */
    struct {
        char field[FIELD_NAME_BYTES_MAX + 1];
        const char *detail; /* static */
    } listed[FIELD_ERRORS_MAX];
};

/* `element` of an array gives "[2]" and "[2].capacity"; FIELD_NO_ELEMENT leaves the prefix out. */
#define FIELD_NO_ELEMENT SIZE_MAX
void field_errors_add(struct field_errors *errors, size_t element, struct text name,
                      const char *detail);

/* Reads the object at `token` into `target`; what is absent stays as it is there. Returns a bit
 * (1 << index) for every field that was present. Whether all went well says errors->count. */
unsigned fields_read(const struct json_document *document, size_t token, const struct field *fields,
                     size_t count, void *target, size_t element, struct field_errors *errors);

#endif
