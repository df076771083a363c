/* Building the rarer answers with cJSON. */
#include "json/json_build.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "time_text.h"

cJSON *json_build_integer(int64_t value)
{
    char digits[sizeof("-9223372036854775808")];
    snprintf(digits, sizeof(digits), "%" PRId64, value);
    return cJSON_CreateRaw(digits);
}

cJSON *json_build_time(int64_t wall_ms)
{
    char text[TIME_TEXT_BYTES_MAX + 1];
    size_t size = time_text_format(wall_ms, text);
    if (size == 0) {
        return cJSON_CreateNull();
    }
    text[size] = '\0';
    return cJSON_CreateString(text);
}

cJSON *json_build_text_or_null(const char *text)
{
    return text[0] == '\0' ? cJSON_CreateNull() : cJSON_CreateString(text);
}

bool json_build_add(cJSON *container, const char *name, cJSON *item)
{
    bool added = false;
    if (container != NULL && item != NULL) {
        added = name == NULL ? cJSON_AddItemToArray(container, item)
                             : cJSON_AddItemToObject(container, name, item);
    }
    if (!added) {
        cJSON_Delete(item);
    }
    return added;
}

char *json_build_print(cJSON *item, size_t *size)
{
    char *text = item == NULL ? NULL : cJSON_PrintUnformatted(item);
    cJSON_Delete(item);
    *size = text == NULL ? 0 : strlen(text);
    return text;
}
