/* Appending to a buffer that the caller knows to be large enough: no checks, no allocation.
 *
 * Each function writes at `at` and returns the place after what it wrote.
 */
#ifndef RESVD_APPEND_H
#define RESVD_APPEND_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "resvd/op.h"
#include "uuid.h"

#define APPEND_U64_BYTES_MAX 20 /* 18446744073709551615 */

static inline char *append_bytes(char *at, const char *data, size_t size)
{
    memcpy(at, data, size);
    return at + size;
}

/* A string literal, without its NUL. */
#define append_literal(at, literal) append_bytes((at), "" literal, sizeof(literal) - 1)

/* Decimal, at most APPEND_U64_BYTES_MAX bytes. */
static inline char *append_u64(char *at, uint64_t value)
{
    char digits[APPEND_U64_BYTES_MAX];
    size_t first = sizeof(digits);
    do {
        digits[--first] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return append_bytes(at, digits + first, sizeof(digits) - first);
}

/* UUID_TEXT_BYTES bytes. */
static inline char *append_id(char *at, const struct resv_id *id)
{
    uuid_format(id, at);
    return at + UUID_TEXT_BYTES;
}

#endif
