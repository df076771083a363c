/* Replies, and the texts in them. */
#include "sim_redis.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resvd/assert.h"

/* --- texts ------------------------------------------------------------------------------------ */

struct redis_text text_copy(const char *bytes, size_t size)
{
    char *copy = malloc(size + 1);
    RESV_ASSERT(copy != NULL);
    if (size > 0)
        memcpy(copy, bytes, size);
    copy[size] = '\0';
    return (struct redis_text){copy, size};
}

void text_free(struct redis_text text)
{
    free((void *)(uintptr_t)text.bytes);
}

bool text_equals(struct redis_text left, struct redis_text right)
{
    return left.size == right.size &&
           (left.size == 0 || memcmp(left.bytes, right.bytes, left.size) == 0);
}

bool text_to_integer(struct redis_text text, int64_t *number)
{
    char buffer[24];
    if (text.size == 0 || text.size >= sizeof buffer)
        return false;
    memcpy(buffer, text.bytes, text.size);
    buffer[text.size] = '\0';
    char *end;
    long long value = strtoll(buffer, &end, 10);
    char again[24];
    snprintf(again, sizeof again, "%lld", value);
    if (*end != '\0' || strcmp(again, buffer) != 0)
        return false;
    *number = value;
    return true;
}

/* --- making ----------------------------------------------------------------------------------- */

void reply_free(struct redis_reply *reply)
{
    for (size_t i = 0; i < reply->count; i++)
        reply_free(&reply->items[i]);
    free(reply->items);
    text_free(reply->text);
    *reply = (struct redis_reply){.kind = REPLY_NIL};
}

void reply_integer(struct redis_reply *reply, int64_t integer)
{
    *reply = (struct redis_reply){.kind = REPLY_INTEGER, .integer = integer};
}

void reply_text(struct redis_reply *reply, enum reply_kind kind, const char *bytes, size_t size)
{
    *reply = (struct redis_reply){.kind = kind, .text = text_copy(bytes, size)};
}

void reply_error(struct redis_reply *reply, const char *words)
{
    reply_text(reply, REPLY_ERROR, words, strlen(words));
}

void reply_list(struct redis_reply *reply, size_t count)
{
    *reply = (struct redis_reply){.kind = REPLY_LIST, .count = count};
    reply->items = calloc(count + 1, sizeof reply->items[0]);
    RESV_ASSERT(reply->items != NULL);
}

/* --- reading: redis.h ------------------------------------------------------------------------- */

static const struct redis_reply *item_of(const struct redis_reply *reply, size_t index)
{
    if (index >= redis_reply_count(reply))
        return NULL;
    return reply->kind == REPLY_LIST ? &reply->items[index] : reply;
}

size_t redis_reply_count(const struct redis_reply *reply)
{
    return reply->kind == REPLY_LIST ? reply->count : 1;
}

int64_t redis_reply_integer(const struct redis_reply *reply, size_t index)
{
    const struct redis_reply *item = item_of(reply, index);
    return item != NULL && item->kind == REPLY_INTEGER ? item->integer : INT64_MIN;
}

struct redis_text redis_reply_text(const struct redis_reply *reply, size_t index)
{
    const struct redis_reply *item = item_of(reply, index);
    return item != NULL ? item->text : (struct redis_text){NULL, 0};
}

/* --- words ------------------------------------------------------------------------------------ */

static size_t words_into(const struct redis_reply *reply, char *buffer, size_t size)
{
    int length = 0;
    switch (reply->kind) {
    case REPLY_NIL:
        length = snprintf(buffer, size, "nil");
        break;
    case REPLY_INTEGER:
        length = snprintf(buffer, size, "%" PRId64, reply->integer);
        break;
    case REPLY_TEXT:
    case REPLY_STATUS:
    case REPLY_ERROR:
        length = snprintf(buffer, size, "%s%s", reply->kind == REPLY_ERROR ? "error " : "",
                          reply->text.bytes);
        for (int i = 0; i < length && (size_t)i < size; i++) {
            if (buffer[i] != '\0' && (unsigned char)(buffer[i] - ' ') > '~' - ' ')
                buffer[i] = '?';
        }
        break;
    case REPLY_LIST:
        length = snprintf(buffer, size, "list");
        for (size_t i = 0; i < reply->count && (size_t)length + 2 < size; i++) {
            buffer[length++] = ' ';
            length += (int)words_into(&reply->items[i], buffer + length, size - (size_t)length);
        }
        break;
    }
    return (size_t)length < size ? (size_t)length : size - 1;
}

const char *reply_words(const struct redis_reply *reply)
{
    static char buffers[4][96];
    static unsigned next;
    char *buffer = buffers[next++ % 4];
    words_into(reply, buffer, sizeof buffers[0]);
    return buffer;
}
