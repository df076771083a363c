/* Finding a parameter in a query string. */
#include "routes/query.h"

#include "routes/percent.h"

#include <stdlib.h>

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
            !percent_decode((struct text){start + value_at, whole - value_at}, buffer, size, value))
            return QUERY_BAD;
        result = QUERY_GIVEN;
    }
    return result;
}
