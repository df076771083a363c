/* Events that cannot be applied leave the log's way: each is published to the dead letters.
 *
 * Invariant: the position moves over such an event only when its letter is persisted; a letter that
 * comes twice has the same key, and is one. */
#include "letters.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "resvd/assert.h"

/* --- text ----------------------------------------------------------------------------------------
 */

size_t letter_write(char text[BATCH_LETTER_SIZE_MAX], const char *reason, const char *payload,
                    size_t size)
{
    int head = snprintf(text, BATCH_LETTER_SIZE_MAX, "%s\n", reason);
    RESV_ASSERT(head > 0 && (size_t)head < BATCH_LETTER_SIZE_MAX);
    const size_t room = BATCH_LETTER_SIZE_MAX - (size_t)head;
    const size_t kept = size < room ? size : room;
    if (kept > 0)
        memcpy(text + head, payload, kept);
    return (size_t)head + kept;
}

void letter_read(const char *payload, size_t size, struct redis_text *reason,
                 struct redis_text *event)
{
    const char *end = memchr(payload, '\n', size);
    const size_t head = end == NULL ? size : (size_t)(end - payload);
    *reason = (struct redis_text){.bytes = payload, .size = head};
    *event = end == NULL ? (struct redis_text){.bytes = payload + size, .size = 0}
                         : (struct redis_text){.bytes = end + 1, .size = size - head - 1};
}

void letter_write_key(char key[LETTER_KEY_SIZE_MAX], int64_t partition, int64_t offset)
{
    int size = snprintf(key, LETTER_KEY_SIZE_MAX, "%" PRId64 "-%" PRId64, partition, offset);
    RESV_ASSERT(size > 0 && size < LETTER_KEY_SIZE_MAX);
}

/* Up to `end`, which is not a digit; false: no number, or too large. */
static bool read_number(const char *at, const char *end, int64_t *number)
{
    *number = 0;
    if (at == end || (*at == '0' && end - at > 1))
        return false;
    for (; at < end; at++) {
        if (*at < '0' || *at > '9')
            return false;
        *number = *number * 10 + (*at - '0');
        if (*number > RESV_INTEGER_MAX)
            return false;
    }
    return true;
}

bool letter_read_key(const char *key, size_t size, int64_t *partition, int64_t *offset)
{
    const char *hyphen = size > 0 ? memchr(key, '-', size) : NULL;
    return hyphen != NULL && read_number(key, hyphen, partition) &&
           read_number(hyphen + 1, key + size, offset);
}

/* --- publishing ----------------------------------------------------------------------------------
 */

static void over(struct batch *batch)
{
    const bool persisted = !batch->letters_failed;
    batch->letters_count = 0;
    consumer_letters_done(batch, persisted);
}

static void published(struct kafka_event *event)
{
    struct batch *batch = event->data;
    const struct batch_letter *letter = (const struct batch_letter *)event;
    if (event->result == KAFKA_PERSISTED)
        batch->events[letter->index].lettered = true;
    else
        batch->letters_failed = true;
    RESV_ASSERT(batch->letters_awaited > 0);
    if (--batch->letters_awaited == 0)
        over(batch);
}

/* Those that could be read, but not applied; the others were kept when they were read. */
static void collect(struct batch *batch)
{
    char text[EVENT_SIZE_MAX];
    for (size_t i = 0; i < batch->count && batch->letters_count < BATCH_LETTERS_MAX; i++) {
        const struct batch_event *own = &batch->events[i];
        if (own->fate != FATE_DEAD || own->lettered)
            continue;
        struct batch_letter *letter = &batch->letters[batch->letters_count++];
        letter->index = i;
        letter_write_key(letter->key, batch->partition_number, own->offset);
        size_t size = event_write(&own->event, text);
        letter->size = letter_write(letter->text, own->bad, text, size);
    }
}

static void publish(struct batch *batch, struct batch_letter *letter)
{
    struct kafka_link *kafka = batch->async->kafka;
    if (kafka_room(kafka) == 0) {
        batch->letters_failed = true;
        return;
    }
    letter->event = (struct kafka_event){
        .target = KAFKA_DEAD_LETTERS,
        .key = letter->key,
        .key_size = strlen(letter->key),
        .payload = letter->text,
        .payload_size = letter->size,
        .data = batch,
        .done = published,
    };
    batch->letters_awaited++;
    kafka_publish(kafka, &letter->event);
    char reason[64];
    snprintf(reason, sizeof reason, "%.*s", (int)strcspn(letter->text, "\n"), letter->text);
    resv_log(batch->async->base.host, RESV_LOG_ERROR, "an event becomes a dead letter", "id",
             letter->key, "reason", reason, "see", "GET /admin/dead-letters", NULL);
}

static void nothing_published(struct resv_timer *timer)
{
    over(timer->data);
}

void letters_publish(struct batch *batch)
{
    collect(batch);
    batch->letters_awaited = 0;
    batch->letters_failed = false;
    for (size_t i = 0; i < batch->letters_count; i++)
        publish(batch, &batch->letters[i]);
    if (batch->letters_awaited > 0)
        return;
    batch->pause = (struct resv_timer){.fired = nothing_published, .data = batch};
    resv_timer_start(batch->async->base.host, &batch->pause, 0);
}
