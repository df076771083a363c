/* Building the rarer answers with cJSON: what it does not do by itself.
 *
 * cJSON prints numbers through a double and 15 digits, so 2^53 - 1 comes out wrong and 10^15 as
 * 1e+15: integers go through json_build_integer, never through cJSON_CreateNumber.
 */
#ifndef RESVD_JSON_JSON_BUILD_H
#define RESVD_JSON_JSON_BUILD_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Each gives an item that the caller owns, or NULL when out of memory. */
cJSON *json_build_integer(int64_t value);
/* RFC 3339 in UTC; null for what is not within 1970..9999 (INT64_MIN: not given). */
cJSON *json_build_time(int64_t wall_ms);
/* null for an empty text. */
cJSON *json_build_text_or_null(const char *text);

/* Adds to an object (under `name`, which is copied) or, with name NULL, to an array; takes the item
 * over. False, with the item freed, when out of memory; also when `item` or `container` is NULL, so
 * that a call making the item can be nested. An answer with something missing must not be sent. */
bool json_build_add(cJSON *container, const char *name, cJSON *item);

/* The text without white space, for the caller to free with free(), and its size without the NUL.
 * Frees the item. NULL when out of memory or when the item is NULL. */
char *json_build_print(cJSON *item, size_t *size);

#endif
