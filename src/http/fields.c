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

/* `known` is lower case, letters and '-' only; a name is a token, so that setting the bit of lower
 * case cannot make a known name of anything but that name. */
static bool name_is(struct text name, const char *known)
{
    const uint64_t lower = 0x2020202020202020;
    uint64_t difference = 0;
    size_t i = 0;
    for (; i + sizeof(lower) <= name.size; i += sizeof(lower)) {
        uint64_t given;
        uint64_t wanted;
        memcpy(&given, name.data + i, sizeof(given));
        memcpy(&wanted, known + i, sizeof(wanted));
        difference |= (given | lower) ^ wanted;
    }
    for (; i < name.size; i++)
        difference |= (uint64_t)((unsigned char)(name.data[i] | 0x20) ^ (unsigned char)known[i]);
    return difference == 0;
}

enum field field_by_name(struct text name)
{
    switch (name.size) {
    case 4:
        return name_is(name, "host") ? FIELD_HOST : FIELD_OTHER;
    case 6:
        return name_is(name, "expect") ? FIELD_EXPECT : FIELD_OTHER;
    case 7:
        return name_is(name, "upgrade") ? FIELD_UPGRADE : FIELD_OTHER;
    case 10:
        return name_is(name, "connection") ? FIELD_CONNECTION : FIELD_OTHER;
    case 12:
        return name_is(name, "content-type") ? FIELD_CONTENT_TYPE : FIELD_OTHER;
    case 13:
        return name_is(name, "authorization") ? FIELD_AUTHORIZATION : FIELD_OTHER;
    case 14:
        return name_is(name, "content-length") ? FIELD_CONTENT_LENGTH : FIELD_OTHER;
    case 15:
        return name_is(name, "idempotency-key") ? FIELD_IDEMPOTENCY_KEY : FIELD_OTHER;
    case 16:
        return name_is(name, "content-encoding") ? FIELD_CONTENT_ENCODING : FIELD_OTHER;
    case 17:
        return name_is(name, "transfer-encoding") ? FIELD_TRANSFER_ENCODING : FIELD_OTHER;
    default:
        return FIELD_OTHER;
    }
}

static bool byte_is_allowed(uint8_t byte)
{
    return (byte >= 0x20 && byte != 0x7f) || byte == '\t';
}

/* Eight bytes at once: whether any of them is below 0x20 or is 0x7f. May be true for no reason
 * (of bytes above 0x7f), never false for none. */
static bool word_needs_a_look(uint64_t word)
{
    const uint64_t ones = 0x0101010101010101;
    const uint64_t high_bits = 0x80 * ones;
    uint64_t low = (word - 0x20 * ones) & ~word;
    uint64_t del = word ^ (0x7f * ones);
    return ((low | ((del - ones) & ~del)) & high_bits) != 0;
}

bool field_bytes_allowed(struct text value)
{
    size_t i = 0;
    while (i + sizeof(uint64_t) <= value.size) {
        uint64_t word;
        memcpy(&word, value.data + i, sizeof(word));
        if (word_needs_a_look(word))
            break;
        i += sizeof(word);
    }
    for (; i < value.size; i++) {
        if (!byte_is_allowed((uint8_t)value.data[i]))
            return false;
    }
    return true;
}

static void skip_blanks(struct text *rest)
{
    while (rest->size > 0 && (rest->data[0] == ' ' || rest->data[0] == '\t')) {
        rest->data++;
        rest->size--;
    }
}

struct text field_trim(struct text value)
{
    skip_blanks(&value);
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

/* --- Transfer-Encoding: a cursor over the rest of the value ------------------------------------
 */

static bool take_byte(struct text *rest, char byte)
{
    if (rest->size == 0 || rest->data[0] != byte)
        return false;
    rest->data++;
    rest->size--;
    return true;
}

static bool take_token(struct text *rest, struct text *token)
{
    size_t size = 0;
    while (size < rest->size && is_token_byte(rest->data[size]))
        size++;
    *token = (struct text){rest->data, size};
    rest->data += size;
    rest->size -= size;
    return size > 0;
}

static bool take_quoted_string(struct text *rest)
{
    if (!take_byte(rest, '"'))
        return false;
    while (rest->size > 0 && rest->data[0] != '"') {
        if (take_byte(rest, '\\') && rest->size == 0)
            return false;
        rest->data++;
        rest->size--;
    }
    return take_byte(rest, '"');
}

/* A coding's name, and its parameters if it has any: OWS ";" OWS token BWS "=" BWS word. */
static bool take_coding(struct text *rest, struct text *name, bool *has_parameters)
{
    struct text token;
    *has_parameters = false;
    if (!take_token(rest, name))
        return false;
    skip_blanks(rest);
    while (take_byte(rest, ';')) {
        *has_parameters = true;
        skip_blanks(rest);
        if (!take_token(rest, &token))
            return false;
        skip_blanks(rest);
        if (!take_byte(rest, '='))
            return false;
        skip_blanks(rest);
        if (!take_token(rest, &token) && !take_quoted_string(rest))
            return false;
        skip_blanks(rest);
    }
    return true;
}

enum transfer_coding transfer_coding_of(struct text value)
{
    struct text rest = value;
    enum transfer_coding coding = CODING_OTHER;
    bool chunked_seen = false;
    bool first = true;
    do {
        struct text name;
        bool has_parameters;
        skip_blanks(&rest);
        if (chunked_seen || !take_coding(&rest, &name, &has_parameters))
            return CODING_MALFORMED; /* nothing may come after chunked, not even chunked */
        chunked_seen = field_equal(name, TEXT("chunked"));
        if (chunked_seen && first && !has_parameters)
            coding = CODING_CHUNKED;
        first = false;
    } while (take_byte(&rest, ','));
    return rest.size == 0 ? coding : CODING_MALFORMED;
}
