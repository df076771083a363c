/* Splitting the configured keys. */
#include "server/api_keys.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "resvd/assert.h"

static const char separators[] = ", \t\r\n";

void api_keys_free(struct api_keys *keys)
{
    free(keys->text);
    free(keys->list);
    *keys = (struct api_keys){0};
}

void api_keys_set(struct api_keys *keys, const char *text)
{
    api_keys_free(keys);
    if (text[strspn(text, separators)] == '\0')
        return;
    keys->text = strdup(text);
    /* At most every second byte starts a key. */
    keys->list = calloc(strlen(text) / 2 + 2, sizeof(char *));
    RESV_ASSERT(keys->text != NULL && keys->list != NULL);
    size_t count = 0;
    char *rest = NULL;
    for (char *key = strtok_r(keys->text, separators, &rest); key != NULL;
         key = strtok_r(NULL, separators, &rest))
        keys->list[count++] = key;
}

const char *const *api_keys_list(const struct api_keys *keys)
{
    return keys->list;
}
