/* Strings of a parsed document: decoding their escapes, and comparing them. */
#include "json/json.h"

#include <string.h>

#include "resvd/assert.h"
#include "json/json_bytes.h"

static uint32_t hexadecimal_digit(unsigned char character)
{
    if (character <= '9') {
        return (uint32_t)(character - '0');
    }
    return (uint32_t)((character | 0x20) - 'a' + 10);
}

/* Four digits, known to be there. */
static uint32_t code_unit(const unsigned char *digits)
{
    return hexadecimal_digit(digits[0]) << 12 | hexadecimal_digit(digits[1]) << 8 |
           hexadecimal_digit(digits[2]) << 4 | hexadecimal_digit(digits[3]);
}

/* Puts the UTF-8 of a code point into `pending`, first byte lowest. */
static void put_code_point(struct json_bytes *bytes, uint32_t code_point)
{
    if (code_point < 0x80) {
        bytes->pending = code_point;
        bytes->pending_count = 1;
    } else if (code_point < 0x800) {
        bytes->pending = (0xC0 | code_point >> 6) | (0x80 | (code_point & 0x3F)) << 8;
        bytes->pending_count = 2;
    } else if (code_point < 0x10000) {
        bytes->pending = (0xE0 | code_point >> 12) | (0x80 | (code_point >> 6 & 0x3F)) << 8 |
                         (0x80 | (code_point & 0x3F)) << 16;
        bytes->pending_count = 3;
    } else {
        bytes->pending = (0xF0 | code_point >> 18) | (0x80 | (code_point >> 12 & 0x3F)) << 8 |
                         (0x80 | (code_point >> 6 & 0x3F)) << 16 |
                         (0x80 | (code_point & 0x3F)) << 24;
        bytes->pending_count = 4;
    }
}

static int take_pending(struct json_bytes *bytes)
{
    int byte = (int)(bytes->pending & 0xFF);
    bytes->pending >>= 8;
    bytes->pending_count--;
    return byte;
}

/* `at` is behind the backslash. */
static int take_escape(struct json_bytes *bytes)
{
    unsigned char kind = *bytes->at++;
    switch (kind) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'u':
        break;
    default:
        return kind; /* quote, backslash, slash */
    }
    uint32_t code_point = code_unit(bytes->at);
    bytes->at += 4;
    if (code_point >= 0xD800 && code_point <= 0xDBFF) {
        uint32_t low = code_unit(bytes->at + 2);
        bytes->at += 6;
        code_point = 0x10000 + ((code_point - 0xD800) << 10) + (low - 0xDC00);
    }
    put_code_point(bytes, code_point);
    return take_pending(bytes);
}

void json_bytes_start(struct json_bytes *bytes, const char *text, const struct json_token *token)
{
    bytes->at = (const unsigned char *)text + token->start;
    bytes->end = bytes->at + token->size;
    bytes->pending = 0;
    bytes->pending_count = 0;
}

int json_bytes_next(struct json_bytes *bytes)
{
    if (bytes->pending_count > 0) {
        return take_pending(bytes);
    }
    if (bytes->at == bytes->end) {
        return -1;
    }
    unsigned char byte = *bytes->at++;
    return byte == '\\' ? take_escape(bytes) : byte;
}

static const struct json_token *string_token(const struct json_document *document, size_t token)
{
    RESV_ASSERT(token < document->token_count);
    RESV_ASSERT(document->tokens[token].type == JSON_STRING);
    return &document->tokens[token];
}

size_t json_string(const struct json_document *document, size_t token, char *buffer, size_t size)
{
    const struct json_token *string = string_token(document, token);
    if (string->count == 0) {
        if (string->size > size) {
            return SIZE_MAX;
        }
        if (string->size > 0) {
            memcpy(buffer, document->text + string->start, string->size);
        }
        return string->size;
    }
    struct json_bytes bytes;
    json_bytes_start(&bytes, document->text, string);
    size_t written = 0;
    for (int byte = json_bytes_next(&bytes); byte >= 0; byte = json_bytes_next(&bytes)) {
        if (written == size) {
            return SIZE_MAX;
        }
        buffer[written++] = (char)byte;
    }
    return written;
}

bool json_string_equal(const struct json_document *document, size_t token, struct text text)
{
    const struct json_token *string = string_token(document, token);
    if (string->count == 0) {
        struct text raw = {.data = document->text + string->start, .size = string->size};
        return text_equal(raw, text);
    }
    struct json_bytes bytes;
    json_bytes_start(&bytes, document->text, string);
    for (size_t i = 0; i < text.size; i++) {
        if (json_bytes_next(&bytes) != (unsigned char)text.data[i]) {
            return false;
        }
    }
    return json_bytes_next(&bytes) < 0;
}
