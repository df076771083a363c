/* Reading JSON strictly: RFC 8259 and the API page's additions, checked before anything is used.
 *
 * json_parse checks the whole text (UTF-8, no BOM, no lone surrogate, no control byte in a string,
 * no duplicate key even when escaped differently, depth, nothing after the value) and leaves a
 * flat list of tokens; nothing is allocated. Numbers are judged on their text, never through a
 * double, so that they are exact up to 2^53 - 1.
 */
#ifndef RESVD_JSON_JSON_H
#define RESVD_JSON_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"

#define JSON_DEPTH_MAX 16 /* [[…]] nested 16 deep is the deepest that is accepted */

enum json_type {
    JSON_OBJECT,
    JSON_ARRAY,
    JSON_STRING,
    JSON_NUMBER,
    JSON_TRUE,
    JSON_FALSE,
    JSON_NULL
};

struct json_token {
    enum json_type type;
    uint32_t start; /* offset of the first byte; for strings, after the quote */
    uint32_t size;  /* bytes of text; for strings, without the quotes, still escaped */
    uint32_t count; /* members of an object, elements of an array; for strings 1 when there are
                       escapes to decode, 0 when the bytes are the string itself; else 0 */
    uint32_t next;  /* index of the token after this value and all inside it */
};

/* Tokens of an object: key, value, key, value, …; keys are JSON_STRING tokens. */
struct json_document {
    const char *text;
    struct json_token *tokens;
    size_t token_count;
    size_t tokens_max;
};

/* What is wrong, static text fit for a client ("duplicate key"), and where. */
struct json_error {
    const char *what;
    size_t offset;
};

/* Fills document->token_count. False and *error when the text is not strictly JSON; "too many
 * values" when tokens_max (set by the caller, with tokens) does not suffice. */
bool json_parse(struct json_document *document, const char *text, size_t size,
                struct json_error *error);

enum json_integer_state {
    JSON_INTEGER_OK,
    JSON_INTEGER_NOT_A_NUMBER,
    JSON_INTEGER_FRACTION,  /* 1.0, 1.5, 1e-1: a fraction part without exponent, or no integer */
    JSON_INTEGER_TOO_LARGE, /* |value| > 2^53 - 1 */
};
/* Exact; "1e2" and "1.5e1" are integers, "1.0" is not (it has a fraction part). "-0" gives 0. */
enum json_integer_state json_integer(const struct json_document *document, size_t token,
                                     int64_t *value);

/* Decodes the escapes of a string token to UTF-8; returns bytes written, without NUL (there is
 * none added), or SIZE_MAX when it does not fit in `size`. */
size_t json_string(const struct json_document *document, size_t token, char *buffer, size_t size);
/* True when the (decoded) string equals the text. */
bool json_string_equal(const struct json_document *document, size_t token, struct text text);

#endif
