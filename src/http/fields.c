/* Header fields: names, bytes, and the grammar of Transfer-Encoding. */
#include "http/fields.h"

#include <strings.h>

static bool is_token_byte(char byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
           (byte >= 'A' && byte <= 'Z') || (byte != '\0' && strchr("!#$%&'*+-.^_`|~", byte));
}

bool field_equal(struct text a, struct text b)
{
    return a.size == b.size && strncasecmp(a.data, b.data, a.size) == 0;
}

enum field field_by_name(struct text name)
{
    static const struct {
        struct text name;
        enum field field;
    } known[] = {
        {{"host", 4}, FIELD_HOST},
        {{"expect", 6}, FIELD_EXPECT},
        {{"upgrade", 7}, FIELD_UPGRADE},
        {{"connection", 10}, FIELD_CONNECTION},
        {{"content-type", 12}, FIELD_CONTENT_TYPE},
        {{"authorization", 13}, FIELD_AUTHORIZATION},
        {{"content-length", 14}, FIELD_CONTENT_LENGTH},
        {{"idempotency-key", 15}, FIELD_IDEMPOTENCY_KEY},
        {{"content-encoding", 16}, FIELD_CONTENT_ENCODING},
        {{"transfer-encoding", 17}, FIELD_TRANSFER_ENCODING},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (known[i].name.size == name.size && field_equal(known[i].name, name))
            return known[i].field;
    }
    return FIELD_OTHER;
}

bool field_bytes_allowed(struct text value)
{
    bool allowed = true;
    for (size_t i = 0; i < value.size; i++) { /* no early exit: the compiler makes it wide */
        uint8_t byte = (uint8_t)value.data[i];
        allowed &= (byte >= 0x20 && byte != 0x7f) || byte == '\t';
    }
    return allowed;
}

struct text field_trim(struct text value)
{
    while (value.size > 0 && (value.data[0] == ' ' || value.data[0] == '\t')) {
        value.data++;
        value.size--;
    }
    while (value.size > 0 &&
           (value.data[value.size - 1] == ' ' || value.data[value.size - 1] == '\t'))
        value.size--;
    return value;
}

bool field_list_has(struct text list, struct text wanted)
{
    for (;;) {
        const char *comma = list.size == 0 ? NULL : memchr(list.data, ',', list.size);
        size_t size = comma == NULL ? list.size : (size_t)(comma - list.data);
        if (field_equal(field_trim((struct text){list.data, size}), wanted))
            return true;
        if (comma == NULL)
            return false;
        list = (struct text){comma + 1, list.size - size - 1};
    }
}

/* A coding's name, and its parameters if it has any: token *(OWS ";" OWS token "=" word). */
static bool coding_is_well_formed(struct text coding, struct text *name)
{
    size_t i = 0;
    while (i < coding.size && is_token_byte(coding.data[i]))
        i++;
    *name = (struct text){coding.data, i};
    if (i == 0)
        return false;
    struct text rest = field_trim((struct text){coding.data + i, coding.size - i});
    if (rest.size == 0)
        return true;
    if (rest.data[0] != ';')
        return false;
    for (size_t k = 1; k < rest.size; k++) {
        if (!is_token_byte(rest.data[k]) && memchr("=; \t\"", rest.data[k], 5) == NULL)
            return false;
    }
    return memchr(rest.data, '=', rest.size) != NULL;
}

enum transfer_coding transfer_coding_of(struct text value)
{
    unsigned codings = 0;
    bool chunked_seen = false;
    bool chunked_only = false;
    bool ended = false;
    while (!ended) {
        const char *comma = value.size == 0 ? NULL : memchr(value.data, ',', value.size);
        size_t size = comma == NULL ? value.size : (size_t)(comma - value.data);
        ended = comma == NULL;
        struct text coding = field_trim((struct text){value.data, size});
        struct text name;
        if (chunked_seen || !coding_is_well_formed(coding, &name))
            return CODING_MALFORMED; /* nothing may come after chunked, not even chunked */
        codings++;
        if (field_equal(name, TEXT("chunked"))) {
            chunked_seen = true;
            chunked_only = codings == 1 && name.size == coding.size;
        }
        if (!ended)
            value = (struct text){comma + 1, value.size - size - 1};
    }
    return chunked_only ? CODING_CHUNKED : CODING_OTHER;
}
