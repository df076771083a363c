/* Concerts and members as JSON, the same in the API and the admin API. */
#ifndef RESVD_ROUTES_CONCERT_JSON_H
#define RESVD_ROUTES_CONCERT_JSON_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "resvd/catalog.h"

/* The caller owns the item; NULL when out of memory. */
cJSON *concert_json(const struct resv_concert *concert);
cJSON *member_json(const struct resv_member *member);
/* An array of all of them. */
cJSON *concerts_json(const struct resv_concert *concerts, size_t count);
cJSON *members_json(const struct resv_member *members, size_t count);
/* The item when `good`, else frees it and gives NULL. */
cJSON *json_when_good(cJSON *item, bool good);

#endif
