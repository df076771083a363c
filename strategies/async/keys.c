/* The names of a concert's keys.
 *
 * Invariant: no two concerts share a name but those from KEY_SETTLED on, whatever the prefix is. */
#include "async/keys.h"

#include <string.h>

#include "async/event.h"
#include "resvd/assert.h"

/* Of a prefix, the longest name and "{c:}:" with a number's digits. */
enum { ROOM_BEHIND_PREFIX = 48 };

static const struct redis_text names[KEY_COUNT] = {
#define NAME(TEXT)                                                                                 \
    {                                                                                              \
        .bytes = (TEXT), .size = sizeof(TEXT) - 1                                                  \
    }
    [KEY_GATE] = NAME("gate"),
    [KEY_PENDING] = NAME("pending"),
    [KEY_MEMBERS] = NAME("members"),
    [KEY_SETTLED] = NAME("settled"),
    [KEY_SETTLED_BEFORE] = NAME("settled_before"),
    [KEY_CONCERTS] = NAME("pending_concerts"),
    [KEY_COMPLETE] = NAME("complete"),
#undef NAME
};

/* This is on the path of every call: no printf. */
void keys_of_concert(struct async_keys *keys, const char *prefix, int64_t concert_id)
{
    char tag[32] = "{c:";
    char *behind = event_put_number(tag + 3, concert_id);
    *behind++ = '}';
    *behind++ = ':';
    const size_t tag_size = (size_t)(behind - tag);
    const size_t prefix_size = strlen(prefix);
    RESV_ASSERT(prefix_size <= KEY_SIZE_MAX - ROOM_BEHIND_PREFIX);
    for (size_t i = 0; i < KEY_COUNT; i++) {
        char *text = keys->texts[i];
        char *at = text + prefix_size;
        memcpy(text, prefix, prefix_size);
        if (i < KEY_SETTLED) {
            memcpy(at, tag, tag_size);
            at += tag_size;
        }
        memcpy(at, names[i].bytes, names[i].size);
        at += names[i].size;
        *at = '\0';
        keys->keys[i] = (struct redis_text){.bytes = text, .size = (size_t)(at - text)};
    }
}
