/* Times as text: RFC 3339 date-times and milliseconds since 1970-01-01T00:00:00Z. */
#ifndef RESVD_TIME_TEXT_H
#define RESVD_TIME_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"

#define TIME_TEXT_BYTES_MAX 24                /* 2026-11-22T19:30:00.123Z */
#define TIME_TEXT_MS_MAX    253402300799999LL /* 9999-12-31T23:59:59.999Z */

/* Always UTC, "2026-11-22T19:30:00Z"; milliseconds (".123") only when they are not zero. Returns
 * bytes written, without NUL; 0 when wall_ms is not within 0..TIME_TEXT_MS_MAX. */
size_t time_text_format(int64_t wall_ms, char text[TIME_TEXT_BYTES_MAX]);

/* A whole RFC 3339 date-time, with Z or an offset (T and Z in either case); digits of the fraction
 * beyond milliseconds are cut off. False, and *wall_ms untouched, when it is anything else, no real
 * date, a leap second (:60; a count of milliseconds has no place for it), or an instant outside
 * 0..TIME_TEXT_MS_MAX. */
bool time_text_parse(struct text text, int64_t *wall_ms);

#endif
