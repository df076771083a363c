/* Walks over the members of one JSON object until it is at the one wanted: no tree, no memory. What
 * stands behind that one is not looked at. */
#include "open_answer.h"

#include <string.h>

#define UUID_TEXT_BYTES 36

struct cursor {
    const char *at;
    const char *end;
};

static void skip_blanks(struct cursor *cursor)
{
    while (cursor->at < cursor->end && memchr(" \t\r\n", *cursor->at, 4) != NULL)
        cursor->at++;
}

/* Takes the character, and the blanks before it. False: another is there. */
static bool take(struct cursor *cursor, char character)
{
    skip_blanks(cursor);
    if (cursor->at == cursor->end || *cursor->at != character)
        return false;
    cursor->at++;
    return true;
}

/* A string as it is written, without its quotes. */
static bool take_string(struct cursor *cursor, const char **text, size_t *size)
{
    if (!take(cursor, '"'))
        return false;
    *text = cursor->at;
    while (cursor->at < cursor->end && *cursor->at != '"')
        cursor->at += *cursor->at == '\\' ? 2 : 1;
    if (cursor->at >= cursor->end) {
        cursor->at = cursor->end;
        return false;
    }
    *size = (size_t)(cursor->at++ - *text);
    return true;
}

/* Up to the comma or the bracket behind it, which stays. */
static bool skip_value(struct cursor *cursor)
{
    const char *text;
    size_t size;
    int depth = 0;
    for (; cursor->at < cursor->end; cursor->at++) {
        switch (*cursor->at) {
        case '"':
            if (!take_string(cursor, &text, &size))
                return false;
            cursor->at--;
            break;
        case '{':
        case '[':
            depth++;
            break;
        case '}':
        case ']':
            if (depth == 0)
                return true;
            depth--;
            break;
        case ',':
            if (depth == 0)
                return true;
            break;
        }
    }
    return false;
}

static int digit_of(char character)
{
    if (character >= '0' && character <= '9')
        return character - '0';
    if (character >= 'a' && character <= 'f')
        return character - 'a' + 10;
    if (character >= 'A' && character <= 'F')
        return character - 'A' + 10;
    return -1;
}

static bool parse_uuid(const char *text, size_t size, uint8_t id[OPEN_ID_BYTES])
{
    if (size != UUID_TEXT_BYTES)
        return false;
    for (size_t i = 0; i < OPEN_ID_BYTES; i++) {
        if ((i == 4 || i == 6 || i == 8 || i == 10) && *text++ != '-')
            return false;
        int high = digit_of(text[0]);
        int low = digit_of(text[1]);
        if (high < 0 || low < 0)
            return false;
        id[i] = (uint8_t)(high << 4 | low);
        text += 2;
    }
    return true;
}

/* The first of the object's own members with that name, which must be a string. */
static bool find_text(const char *body, size_t size, const char *name, const char **text,
                      size_t *text_size)
{
    struct cursor cursor = {body, body + size};
    if (!take(&cursor, '{'))
        return false;
    do {
        if (!take_string(&cursor, text, text_size) || !take(&cursor, ':'))
            return false;
        if (*text_size == strlen(name) && memcmp(*text, name, *text_size) == 0)
            return take_string(&cursor, text, text_size);
        if (!skip_value(&cursor))
            return false;
    } while (take(&cursor, ','));
    return false;
}

bool open_answer_id(const char *body, size_t size, uint8_t id[OPEN_ID_BYTES])
{
    const char *text;
    size_t text_size;
    return find_text(body, size, "id", &text, &text_size) && parse_uuid(text, text_size, id);
}

bool open_answer_is_sold_out(const char *body, size_t size)
{
    static const char wanted[] = "/problems/sold-out";
    const char *text;
    size_t text_size;
    return find_text(body, size, "type", &text, &text_size) && text_size == sizeof wanted - 1 &&
           memcmp(text, wanted, text_size) == 0;
}
