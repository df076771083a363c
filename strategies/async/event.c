/* Events as text.
 *
 * Invariant: what event_read takes, event_write makes again byte for byte: nothing else is an
 * event, so two processes never read the same record differently. */
#include "async/event.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "resvd/assert.h"

enum { FIELDS = 9, ID_TEXT_SIZE = 36 };

static const char *const kind_names[] = {
    [EVENT_RESERVE] = "reserve",
    [EVENT_RELEASE] = "release",
    [EVENT_SETTLE] = "settle",
};

/* --- writing ------------------------------------------------------------------------------------
 */

static bool dash_before(size_t byte)
{
    return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

static char *put_id(char *at, const struct resv_id *id)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < RESV_ID_SIZE; i++) {
        if (dash_before(i))
            *at++ = '-';
        *at++ = digits[id->bytes[i] >> 4];
        *at++ = digits[id->bytes[i] & 15];
    }
    return at;
}

static char *put_text(char *at, const char *text)
{
    size_t size = strlen(text);
    memcpy(at, text, size);
    return at + size;
}

char *event_put_number(char *at, int64_t number)
{
    char digits[20];
    size_t count = 0;
    RESV_ASSERT(number >= 0);
    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    while (count > 0)
        *at++ = digits[--count];
    return at;
}

static char *put_number(char *at, int64_t number)
{
    RESV_ASSERT(number <= RESV_INTEGER_MAX);
    *at++ = ' ';
    return event_put_number(at, number);
}

/* This is on the path of every reservation: no printf. */
size_t event_write(const struct event *event, char text[EVENT_SIZE_MAX])
{
    char *at = put_text(text, "1 ");
    at = put_text(at, kind_names[event->kind]);
    *at++ = ' ';
    at = put_id(at, &event->id);
    at = put_number(at, event->concert_id);
    if (event->kind == EVENT_RESERVE) {
        at = put_number(at, event->member_id);
        at = put_number(at, event->quantity);
    } else {
        at = put_text(at, " - -");
    }
    at = put_number(at, event->created_ms);
    at = put_number(at, event->epoch);
    at = put_text(at, event->keyed ? " k" : " -");
    *at = '\0';
    return (size_t)(at - text);
}

/* --- reading ------------------------------------------------------------------------------------
 */

struct field {
    const char *bytes;
    size_t size;
};

/* False when there are not just so many, one blank between them. */
static bool split(const char *text, size_t size, struct field fields[FIELDS])
{
    size_t count = 0;
    size_t begin = 0;
    for (size_t i = 0; i <= size; i++) {
        if (i < size && text[i] != ' ')
            continue;
        if (count == FIELDS || i == begin)
            return false;
        fields[count++] = (struct field){.bytes = text + begin, .size = i - begin};
        begin = i + 1;
    }
    return count == FIELDS;
}

static bool is_text(const struct field *field, const char *text)
{
    return field->size == strlen(text) && memcmp(field->bytes, text, field->size) == 0;
}

static int digit_of(char character)
{
    if (character >= '0' && character <= '9')
        return character - '0';
    return character >= 'a' && character <= 'f' ? character - 'a' + 10 : -1;
}

static bool read_id(const struct field *field, struct resv_id *id)
{
    const char *at = field->bytes;
    if (field->size != ID_TEXT_SIZE)
        return false;
    for (size_t i = 0; i < RESV_ID_SIZE; i++) {
        if (dash_before(i) && *at++ != '-')
            return false;
        int high = digit_of(at[0]);
        int low = digit_of(at[1]);
        if (high < 0 || low < 0)
            return false;
        id->bytes[i] = (uint8_t)(high << 4 | low);
        at += 2;
    }
    return true;
}

/* minimum..RESV_INTEGER_MAX, as put_number writes them. */
static bool read_number(const struct field *field, int64_t minimum, int64_t *number)
{
    int64_t value = 0;
    if (field->size == 0 || field->size > 16 || (field->size > 1 && field->bytes[0] == '0'))
        return false;
    for (size_t i = 0; i < field->size; i++) {
        if (field->bytes[i] < '0' || field->bytes[i] > '9')
            return false;
        value = value * 10 + (field->bytes[i] - '0');
    }
    *number = value;
    return value >= minimum && value <= RESV_INTEGER_MAX;
}

static bool read_kind(const struct field *field, enum event_kind *kind)
{
    static const enum event_kind kinds[] = {EVENT_RESERVE, EVENT_RELEASE, EVENT_SETTLE};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (is_text(field, kind_names[kinds[i]])) {
            *kind = kinds[i];
            return true;
        }
    }
    return false;
}

static const char *read_seats(const struct field fields[FIELDS], struct event *event)
{
    if (event->kind != EVENT_RESERVE)
        return is_text(&fields[4], "-") && is_text(&fields[5], "-") && !event->keyed
                   ? NULL
                   : "member, quantity and key are a reservation's only";
    if (!read_number(&fields[4], 1, &event->member_id))
        return "the member is no number from 1 on";
    return read_number(&fields[5], 1, &event->quantity) ? NULL
                                                        : "the quantity is no number from 1 on";
}

const char *event_read(const char *text, size_t size, struct event *event)
{
    struct field fields[FIELDS];
    *event = (struct event){.kind = EVENT_SETTLE};
    if (size >= EVENT_SIZE_MAX)
        return "the event is too long";
    if (size == 0)
        return "the event is empty";
    if (size >= 2 && text[1] == ' ' && text[0] >= '2' && text[0] <= '9')
        return "the event is of a version that is not known here";
    if (!split(text, size, fields) || !is_text(&fields[0], "1"))
        return "this is no event";
    if (!read_kind(&fields[1], &event->kind))
        return "the event is of a kind that is not known here";
    if (!read_id(&fields[2], &event->id))
        return "the id is no UUID";
    if (!read_number(&fields[3], 1, &event->concert_id))
        return "the concert is no number from 1 on";
    if (!read_number(&fields[6], 0, &event->created_ms))
        return "the time is no number";
    if (!read_number(&fields[7], 0, &event->epoch))
        return "the epoch is no number";
    event->keyed = is_text(&fields[8], "k");
    if (!event->keyed && !is_text(&fields[8], "-"))
        return "the last field is neither k nor -";
    return read_seats(fields, event);
}
