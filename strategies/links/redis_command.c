/* Commands to bytes: RESP arrays of bulk strings, in a buffer that is kept and grows.
 *
 * What does not fit leaves the buffer as it was and marks it: who puts several pieces asks once, at
 * the end.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis_internal.h"

#define CAPACITY_LEAST 256

static bool make_room(struct redis_buffer *buffer, size_t size)
{
    if (buffer->capacity - buffer->used >= size)
        return true;
    if (size > buffer->maximum || buffer->used > buffer->maximum - size)
        return false;
    size_t capacity = buffer->capacity < CAPACITY_LEAST ? CAPACITY_LEAST : buffer->capacity;
    while (capacity < buffer->used + size)
        capacity *= 2;
    char *bytes = realloc(buffer->bytes, capacity);
    if (bytes == NULL)
        return false;
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    return true;
}

bool redis_buffer_put(struct redis_buffer *buffer, const void *bytes, size_t size)
{
    if (buffer->failed || !make_room(buffer, size)) {
        buffer->failed = true;
        return false;
    }
    if (size > 0)
        memcpy(buffer->bytes + buffer->used, bytes, size);
    buffer->used += size;
    return true;
}

void redis_buffer_free(struct redis_buffer *buffer)
{
    free(buffer->bytes);
    buffer->bytes = NULL;
    buffer->used = buffer->capacity = 0;
}

/* "$12\r\n": digits by hand, as it is done for every word of every call. */
static void put_size(struct redis_buffer *buffer, char kind, size_t size)
{
    char text[24];
    size_t at = sizeof text;
    text[--at] = '\n';
    text[--at] = '\r';
    do {
        text[--at] = (char)('0' + size % 10);
        size /= 10;
    } while (size > 0);
    text[--at] = kind;
    redis_buffer_put(buffer, text + at, sizeof text - at);
}

void redis_put_command(struct redis_buffer *buffer, size_t words)
{
    put_size(buffer, '*', words);
}

void redis_put_word(struct redis_buffer *buffer, const void *bytes, size_t size)
{
    put_size(buffer, '$', size);
    redis_buffer_put(buffer, bytes, size);
    redis_buffer_put(buffer, "\r\n", 2);
}

void redis_put_text(struct redis_buffer *buffer, const char *text)
{
    redis_put_word(buffer, text, strlen(text));
}

void redis_put_number(struct redis_buffer *buffer, size_t number)
{
    char text[24];
    int size = snprintf(text, sizeof text, "%zu", number);
    redis_put_word(buffer, text, (size_t)size);
}
