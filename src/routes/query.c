/* Finding a parameter in a query string. */
#include "routes/query.h"

#include <stdlib.h>

static int hex_value(char digit)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *found = digit != '\0' ? strchr(digits, digit) : NULL;
    return found != NULL ? (int)((found - digits) % 16) : -1;
}

static bool decode(struct text encoded, char *buffer, size_t size, struct text *value)
{
    size_t used = 0;
    for (size_t i = 0; i < encoded.size; i++) {
        char byte = encoded.data[i];
        if (byte == '%') {
            int high = i + 1 < encoded.size ? hex_value(encoded.data[i + 1]) : -1;
            int low = i + 2 < encoded.size ? hex_value(encoded.data[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            byte = (char)(high * 16 + low);
            i += 2;
        }
        if (used == size)
            return false;
        buffer[used++] = byte;
    }
    *value = (struct text){buffer, used};
    return true;
}

enum query_result query_find(struct text query, struct text name, char *buffer, size_t size,
                             struct text *value)
{
    enum query_result result = QUERY_ABSENT;
    size_t at = 0;
    while (at < query.size) {
        const char *start = query.data + at;
        const char *ampersand = memchr(start, '&', query.size - at);
        size_t whole = ampersand != NULL ? (size_t)(ampersand - start) : query.size - at;
        const char *equals = memchr(start, '=', whole);
        size_t name_size = equals != NULL ? (size_t)(equals - start) : whole;
        at += whole + 1;
        if (!text_equal((struct text){start, name_size}, name))
            continue;
        size_t value_at = equals != NULL ? name_size + 1 : whole;
        if (result != QUERY_ABSENT ||
            !decode((struct text){start + value_at, whole - value_at}, buffer, size, value))
            return QUERY_BAD;
        result = QUERY_GIVEN;
    }
    return result;
}
