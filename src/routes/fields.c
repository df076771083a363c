/* Reading fields. */
#include "routes/fields.h"

#include <stdio.h>
#include <string.h>

#include "resvd/assert.h"
#include "resvd/op.h"
#include "time_text.h"

#define WHOLE_BODY "body" /* the name of the value itself, where it is no object */

/* As much of a UTF-8 text as fits in `size` bytes without cutting a character in two. */
static size_t cut(struct text text, size_t size)
{
    if (text.size <= size)
        return text.size;
    while (size > 0 && ((unsigned char)text.data[size] & 0xc0) == 0x80)
        size--;
    return size;
}

void field_errors_add(struct field_errors *errors, size_t element, struct text name,
                      const char *detail)
{
    size_t index = errors->count++;
    if (index >= FIELD_ERRORS_MAX)
        return;
    char *field = errors->listed[index].field;
    size_t used = 0;
    if (element != FIELD_NO_ELEMENT)
        used = (size_t)snprintf(field, FIELD_NAME_BYTES_MAX, "[%zu]%s", element,
                                name.size > 0 ? "." : "");
    size_t size = cut(name, FIELD_NAME_BYTES_MAX - used);
    memcpy(field + used, name.data, size);
    field[used + size] = '\0';
    errors->listed[index].detail = detail;
}

/* NULL when it is good, else what is wrong. */
static const char *read_integer(const struct json_document *document, size_t token,
                                const struct field *field, int64_t *value)
{
    int64_t number = 0;
    switch (json_integer(document, token, &number)) {
    case JSON_INTEGER_NOT_A_NUMBER:
        return "must be a number";
    case JSON_INTEGER_FRACTION:
        return "must be a whole number";
    case JSON_INTEGER_TOO_LARGE:
        return document->text[document->tokens[token].start] == '-' ? "must be at least 1"
                                                                    : field->maximum_error;
    case JSON_INTEGER_OK:
        break;
    }
    if (number < 1)
        return "must be at least 1";
    if (number > field->maximum)
        return field->maximum_error;
    *value = number;
    return NULL;
}

/* C0, DEL and (as UTF-8: C2 80 to C2 9F) C1. */
static bool has_control_character(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte < 0x20 || byte == 0x7f)
            return true;
        if (byte == 0xc2 && i + 1 < size && (unsigned char)text[i + 1] < 0xa0)
            return true;
    }
    return false;
}

static const char *read_text(const struct json_document *document, size_t token, char *value)
{
    char text[RESV_TEXT_BYTES_MAX];
    if (document->tokens[token].type != JSON_STRING)
        return "must be a text";
    size_t size = json_string(document, token, text, sizeof(text));
    if (size == SIZE_MAX)
        return "must be at most 200 bytes of UTF-8";
    if (size == 0)
        return "must not be empty";
    if (has_control_character(text, size))
        return "must not hold control characters";
    memcpy(value, text, size);
    value[size] = '\0';
    return NULL;
}

static const char *read_time(const struct json_document *document, size_t token, int64_t *value)
{
    static const char error[] = "must be a time like 2026-11-22T19:30:00Z, from 1970 to 9999";
    char text[64];
    if (document->tokens[token].type != JSON_STRING)
        return error;
    size_t size = json_string(document, token, text, sizeof(text));
    if (size == SIZE_MAX || !time_text_parse((struct text){text, size}, value))
        return error;
    return NULL;
}

static void set_none(const struct field *field, char *value)
{
    int64_t none = field->type == FIELD_TIME ? INT64_MIN : 0;
    if (field->type == FIELD_TEXT)
        value[0] = '\0';
    else
        memcpy(value, &none, sizeof(none));
}

static const char *read_field(const struct json_document *document, size_t token,
                              const struct field *field, char *target)
{
    char *value = target + field->offset;
    if (field->nullable && document->tokens[token].type == JSON_NULL) {
        set_none(field, value);
        return NULL;
    }
    switch (field->type) {
    case FIELD_INTEGER:
        return read_integer(document, token, field, (int64_t *)(void *)value);
    case FIELD_TEXT:
        return read_text(document, token, value);
    case FIELD_TIME:
        return read_time(document, token, (int64_t *)(void *)value);
    }
    RESV_ASSERT(false && "a field type");
    return NULL;
}

static size_t find_field(const struct json_document *document, size_t key,
                         const struct field *fields, size_t count)
{
    size_t index = 0;
    while (index < count && !json_string_equal(document, key, fields[index].name))
        index++;
    return index;
}

static void add_unknown(const struct json_document *document, size_t key, size_t element,
                        struct field_errors *errors)
{
    /* Escapes only make a name longer: twice the room suffices for all that is shown, and what
     * does not fit is shown as it was written. */
    char name[FIELD_NAME_BYTES_MAX * 2];
    size_t size = json_string(document, key, name, sizeof(name));
    struct text text = {name, size};
    if (size == SIZE_MAX)
        text =
            (struct text){document->text + document->tokens[key].start, document->tokens[key].size};
    field_errors_add(errors, element, text, "is not known here");
}

unsigned fields_read(const struct json_document *document, size_t token, const struct field *fields,
                     size_t count, void *target, size_t element, struct field_errors *errors)
{
    RESV_ASSERT(count <= FIELDS_MAX);
    const struct json_token *tokens = document->tokens;
    if (tokens[token].type != JSON_OBJECT) {
        struct text name = element == FIELD_NO_ELEMENT ? TEXT(WHOLE_BODY) : TEXT("");
        field_errors_add(errors, element, name, "must be an object");
        return 0;
    }
    unsigned present = 0;
    size_t key = token + 1;
    for (uint32_t i = 0; i < tokens[token].count; i++) {
        size_t value = tokens[key].next;
        size_t index = find_field(document, key, fields, count);
        if (index < count) {
            const char *error = read_field(document, value, &fields[index], target);
            present |= 1u << index;
            if (error != NULL)
                field_errors_add(errors, element, fields[index].name, error);
        } else {
            add_unknown(document, key, element, errors);
        }
        key = tokens[value].next;
    }
    for (size_t i = 0; i < count; i++) {
        if (fields[i].required && (present & (1u << i)) == 0)
            field_errors_add(errors, element, fields[i].name, "is missing");
    }
    return present;
}
