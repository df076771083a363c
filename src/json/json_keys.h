/* Finding a duplicate key in an object. Internal to src/json. */
#ifndef RESVD_JSON_JSON_KEYS_H
#define RESVD_JSON_JSON_KEYS_H

#include <stdint.h>

#include "json/json.h"

/* The object's token is complete, and so are all inside it. Index of a key that was there before
 * under the same decoded name, or 0 when all differ (0 is never a key). When one is found, the
 * tokens are left in disorder. */
uint32_t json_keys_duplicate(const struct json_document *document, uint32_t object);

#endif
