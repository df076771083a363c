/* Bytes to replies, by hiredis' reader with memory of our own: one block a connection, emptied
 * after each reply. So nothing is allocated for a reply, and a server that sends one without end is
 * found out.
 *
 * Invariant: a reply and all that it points to lies in the block, and bytes that are not yet part
 * of it in hiredis' buffer, neither more than REDIS_REPLY_BYTES_MAX.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hiredis.h>

#include "redis_internal.h"
#include "resvd/assert.h"

struct redis_reader {
    redisReader *hiredis;
    char *block;
    size_t used;
};

/* --- memory --------------------------------------------------------------------------------------
 */

static void *take(struct redis_reader *reader, size_t size, size_t alignment)
{
    size_t at = (reader->used + alignment - 1) / alignment * alignment;
    if (at > REDIS_REPLY_BYTES_MAX || size > REDIS_REPLY_BYTES_MAX - at)
        return NULL;
    reader->used = at + size;
    return reader->block + at;
}

/* The element's place in its list, or a place for the reply itself. */
static struct redis_reply *place(const redisReadTask *task)
{
    if (task->parent != NULL) {
        struct redis_reply *list = task->parent->obj;
        RESV_ASSERT((size_t)task->idx < list->count);
        return &list->elements[task->idx];
    }
    return take(task->privdata, sizeof(struct redis_reply), _Alignof(struct redis_reply));
}

static struct redis_reply *create(const redisReadTask *task, enum redis_reply_kind kind)
{
    struct redis_reply *reply = place(task);
    if (reply != NULL)
        *reply = (struct redis_reply){.kind = kind};
    return reply;
}

/* --- what hiredis calls --------------------------------------------------------------------------
 */

static void *create_string(const redisReadTask *task, char *bytes, size_t size)
{
    char *copy = take(task->privdata, size + 1, 1);
    struct redis_reply *reply =
        create(task, task->type == REDIS_REPLY_ERROR ? REDIS_KIND_ERROR : REDIS_KIND_TEXT);
    if (copy == NULL || reply == NULL)
        return NULL;
    memcpy(copy, bytes, size);
    copy[size] = '\0';
    reply->text = (struct redis_text){.bytes = copy, .size = size};
    return reply;
}

static void *create_list(const redisReadTask *task, size_t count)
{
    struct redis_reply *reply = create(task, REDIS_KIND_LIST);
    if (reply == NULL || count > REDIS_REPLY_BYTES_MAX / sizeof(struct redis_reply))
        return NULL;
    reply->elements =
        take(task->privdata, count * sizeof(struct redis_reply), _Alignof(struct redis_reply));
    if (reply->elements == NULL)
        return NULL;
    memset(reply->elements, 0, count * sizeof(struct redis_reply));
    reply->count = count;
    return reply;
}

#if HIREDIS_MAJOR >= 1
static void *create_array(const redisReadTask *task, size_t count)
{
    return create_list(task, count);
}

/* RESP3's, which are not asked for: no text that we know. */
static void *create_double(const redisReadTask *task, double value, char *bytes, size_t size)
{
    (void)value;
    return create_string(task, bytes, size);
}

static void *create_boolean(const redisReadTask *task, int value)
{
    struct redis_reply *reply = create(task, REDIS_KIND_INTEGER);
    if (reply != NULL)
        reply->integer = value != 0;
    return reply;
}
#else
static void *create_array(const redisReadTask *task, int count)
{
    return create_list(task, (size_t)count);
}
#endif

static void *create_integer(const redisReadTask *task, long long value)
{
    struct redis_reply *reply = create(task, REDIS_KIND_INTEGER);
    if (reply != NULL)
        reply->integer = value;
    return reply;
}

static void *create_nil(const redisReadTask *task)
{
    return create(task, REDIS_KIND_NIL);
}

static void free_object(void *object)
{
    (void)object; /* it goes with the block */
}

static redisReplyObjectFunctions functions = {
    .createString = create_string,
    .createArray = create_array,
    .createInteger = create_integer,
    .createNil = create_nil,
    .freeObject = free_object,
#if HIREDIS_MAJOR >= 1
    .createDouble = create_double,
    .createBool = create_boolean,
#endif
};

/* --- the reader ----------------------------------------------------------------------------------
 */

struct redis_reader *redis_reader_create(void)
{
    struct redis_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL)
        return NULL;
    reader->block = malloc(REDIS_REPLY_BYTES_MAX);
    reader->hiredis = redisReaderCreateWithFunctions(&functions);
    if (reader->block == NULL || reader->hiredis == NULL) {
        redis_reader_free(reader);
        return NULL;
    }
    reader->hiredis->privdata = reader;
    return reader;
}

void redis_reader_free(struct redis_reader *reader)
{
    if (reader == NULL)
        return;
    if (reader->hiredis != NULL)
        redisReaderFree(reader->hiredis);
    free(reader->block);
    free(reader);
}

bool redis_reader_feed(struct redis_reader *reader, const char *bytes, size_t size)
{
    return redisReaderFeed(reader->hiredis, bytes, size) == REDIS_OK;
}

bool redis_reader_next(struct redis_reader *reader, const struct redis_reply **reply, char *why,
                       size_t why_size)
{
    void *found = NULL;
    redisReader *hiredis = reader->hiredis;
    *reply = NULL;
    if (hiredis->ridx == -1) /* the last one is complete, and read */
        reader->used = 0;
    if (redisReaderGetReply(hiredis, &found) != REDIS_OK) {
        if (hiredis->err == REDIS_ERR_OOM)
            snprintf(why, why_size, "a reply of more than %zu KiB", REDIS_REPLY_BYTES_MAX >> 10);
        else
            snprintf(why, why_size, "what it sends is not Redis' protocol");
        return false;
    }
    if (found == NULL && hiredis->len - hiredis->pos > REDIS_REPLY_BYTES_MAX) {
        snprintf(why, why_size, "a reply of more than %zu KiB", REDIS_REPLY_BYTES_MAX >> 10);
        return false;
    }
    *reply = found;
    return true;
}

/* --- what the caller asks ------------------------------------------------------------------------
 */

static const struct redis_reply *element(const struct redis_reply *reply, size_t index)
{
    if (reply->kind == REDIS_KIND_LIST)
        return index < reply->count ? &reply->elements[index] : NULL;
    return index == 0 ? reply : NULL;
}

size_t redis_reply_count(const struct redis_reply *reply)
{
    return reply->kind == REDIS_KIND_LIST ? reply->count : 1;
}

int64_t redis_reply_integer(const struct redis_reply *reply, size_t index)
{
    const struct redis_reply *found = element(reply, index);
    return found != NULL && found->kind == REDIS_KIND_INTEGER ? found->integer : INT64_MIN;
}

struct redis_text redis_reply_text(const struct redis_reply *reply, size_t index)
{
    const struct redis_reply *found = element(reply, index);
    return found != NULL ? found->text : (struct redis_text){0};
}

bool redis_text_is(struct redis_text text, const char *expected)
{
    size_t size = strlen(expected);
    return text.bytes != NULL && text.size == size && memcmp(text.bytes, expected, size) == 0;
}
