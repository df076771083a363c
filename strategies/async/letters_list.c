/* What the admin asks of dead letters: a page of them, or one sent once more.
 *
 * The topic is read from its beginning to its end each time: dead letters are few, and nobody asks
 * often. The last letter of a key counts, and one without bytes ends it.
 *
 * Invariants: of a page no more is kept than WINDOW letters, the first ones behind `after`; a
 * letter leaves the list only when its event is durable in the log again. */
#include <stdlib.h>
#include <string.h>

#include "letters.h"
#include "resvd/assert.h"
#include "resvd/crash_point.h"

#define WINDOW 2000

/* One request; it is allocated, as there is hardly ever any. */
struct reading {
    struct kafka_letters letters;
    struct async *async;
    struct resv_op *op;
    /* A page. */
    struct resv_dead_letter *window; /* sorted by key */
    size_t count;
    bool cut; /* there was no room for some */
    int64_t after_partition, after_offset;
    /* One letter. */
    bool found;
    struct redis_text event; /* into text */
    char text[BATCH_LETTER_SIZE_MAX];
    char key[LETTER_KEY_SIZE_MAX];
    struct kafka_event end;
};

static void finish(struct reading *reading, enum resv_outcome outcome)
{
    struct async *async = reading->async;
    struct resv_op *op = reading->op;
    free(reading->window);
    free(reading);
    base_complete(&async->base, op, outcome);
}

static struct reading *begin(struct async *async, struct resv_op *op)
{
    struct reading *reading = calloc(1, sizeof *reading);
    if (reading == NULL || !kafka_link_is_up(async->kafka)) {
        free(reading);
        base_complete_soon(&async->base, op, RESV_UNAVAILABLE);
        return NULL;
    }
    reading->async = async;
    reading->op = op;
    reading->letters.data = reading;
    return reading;
}

/* --- a page --------------------------------------------------------------------------------------
 */

static int compare(const struct resv_dead_letter *letter, int64_t partition, int64_t offset)
{
    int64_t own_partition, own_offset;
    if (!letter_read_key(letter->id, strlen(letter->id), &own_partition, &own_offset))
        return -1;
    if (own_partition != partition)
        return own_partition < partition ? -1 : 1;
    return (own_offset > offset) - (own_offset < offset);
}

/* Where it is, or would be. */
static size_t find(const struct reading *reading, int64_t partition, int64_t offset, bool *there)
{
    size_t low = 0, high = reading->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(&reading->window[middle], partition, offset) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *there = low < reading->count && compare(&reading->window[low], partition, offset) == 0;
    return low;
}

/* Fit for display: everything but printable ASCII is a question mark. */
static void copy_text(char *target, size_t size_max, struct redis_text text)
{
    const size_t size = text.size < size_max ? text.size : size_max;
    for (size_t i = 0; i < size; i++)
        target[i] = text.bytes[i] >= ' ' && text.bytes[i] <= '~' ? text.bytes[i] : '?';
    target[size] = '\0';
}

static void fill_letter(struct resv_dead_letter *letter, const struct kafka_record *record,
                        int64_t partition, int64_t offset)
{
    struct redis_text reason, text;
    struct event event;
    letter_read(record->payload, record->payload_size, &reason, &text);
    *letter = (struct resv_dead_letter){.failed_at_ms = record->timestamp_ms};
    char key[LETTER_KEY_SIZE_MAX];
    letter_write_key(key, partition, offset);
    copy_text(letter->id, RESV_DEAD_LETTER_ID_BYTES_MAX,
              (struct redis_text){.bytes = key, .size = strlen(key)});
    copy_text(letter->reason, RESV_DEAD_LETTER_REASON_BYTES_MAX, reason);
    copy_text(letter->event, RESV_DEAD_LETTER_EVENT_BYTES_MAX, text);
    if (event_read(text.bytes, text.size, &event) == NULL)
        letter->concert_id = event.concert_id;
}

static void remove_letter(struct reading *reading, size_t at)
{
    reading->count--;
    memmove(&reading->window[at], &reading->window[at + 1],
            (reading->count - at) * sizeof *reading->window);
}

static bool make_room(struct reading *reading, size_t at)
{
    if (reading->count == WINDOW) {
        reading->cut = true;
        if (at == WINDOW)
            return false;
        reading->count--;
    }
    memmove(&reading->window[at + 1], &reading->window[at],
            (reading->count - at) * sizeof *reading->window);
    reading->count++;
    return true;
}

static void list_letter(struct kafka_letters *letters, const struct kafka_record *record)
{
    struct reading *reading = letters->data;
    int64_t partition, offset;
    bool there;
    if (!letter_read_key(record->key, record->key_size, &partition, &offset) ||
        partition < reading->after_partition ||
        (partition == reading->after_partition && offset <= reading->after_offset))
        return;
    size_t at = find(reading, partition, offset, &there);
    if (record->payload_size == 0) {
        if (there)
            remove_letter(reading, at);
        return;
    }
    if (there || make_room(reading, at))
        fill_letter(&reading->window[at], record, partition, offset);
}

static void list_done(struct kafka_letters *letters, bool complete)
{
    struct reading *reading = letters->data;
    struct resv_catalog_request *request = reading->op->catalog;
    if (!complete) {
        finish(reading, RESV_UNAVAILABLE);
        return;
    }
    const size_t limit = (size_t)request->limit;
    request->more = reading->count > limit || reading->cut;
    request->letter_count = reading->count < limit ? reading->count : limit;
    request->letters = reading->window;
    reading->window = NULL;
    finish(reading, RESV_FOUND);
}

void letters_list(struct async *async, struct resv_op *op)
{
    struct reading *reading = begin(async, op);
    if (reading == NULL)
        return;
    reading->window = calloc(WINDOW, sizeof *reading->window);
    if (reading->window == NULL) {
        free(reading);
        base_complete_soon(&async->base, op, RESV_UNAVAILABLE);
        return;
    }
    const char *after = op->catalog->after;
    if (!letter_read_key(after, strlen(after), &reading->after_partition, &reading->after_offset))
        reading->after_partition = -1; /* none: from the first */
    reading->letters.letter = list_letter;
    reading->letters.done = list_done;
    kafka_read_letters(async->kafka, &reading->letters);
}

/* --- once more -----------------------------------------------------------------------------------
 */

static void ended(struct kafka_event *event)
{
    struct reading *reading = event->data;
    /* Else the letter is still in the list; sent again, it is absorbed by its id. */
    finish(reading, event->result == KAFKA_PERSISTED ? RESV_STORED : RESV_UNKNOWN);
}

static void sent_again(void *data, enum kafka_result result)
{
    struct reading *reading = data;
    if (result != KAFKA_PERSISTED) {
        finish(reading, result == KAFKA_NOT_PERSISTED ? RESV_UNAVAILABLE : RESV_UNKNOWN);
        return;
    }
    if (kafka_room(reading->async->kafka) == 0) {
        finish(reading, RESV_UNKNOWN);
        return;
    }
    RESV_CRASH_POINT(letter_sent_again);
    reading->end = (struct kafka_event){
        .target = KAFKA_DEAD_LETTERS,
        .key = reading->key,
        .key_size = strlen(reading->key),
        .data = reading,
        .done = ended,
    };
    kafka_publish(reading->async->kafka, &reading->end);
}

static void retry_letter(struct kafka_letters *letters, const struct kafka_record *record)
{
    struct reading *reading = letters->data;
    struct redis_text reason;
    if (record->key_size != strlen(reading->key) ||
        memcmp(record->key, reading->key, record->key_size) != 0)
        return;
    reading->found = record->payload_size > 0 && record->payload_size <= sizeof reading->text;
    if (!reading->found)
        return;
    memcpy(reading->text, record->payload, record->payload_size);
    letter_read(reading->text, record->payload_size, &reason, &reading->event);
}

static void retry_done(struct kafka_letters *letters, bool complete)
{
    struct reading *reading = letters->data;
    struct event event;
    if (!complete) {
        finish(reading, RESV_UNAVAILABLE);
    } else if (!reading->found) {
        finish(reading, RESV_NOT_FOUND);
    } else {
        /* What cannot be read goes wherever that is, and comes back. */
        const bool good = event_read(reading->event.bytes, reading->event.size, &event) == NULL;
        if (!publish_text(reading->async, good ? event.concert_id : 0, reading->event.bytes,
                          reading->event.size, reading, sent_again))
            finish(reading, RESV_UNAVAILABLE);
    }
}

void letters_retry(struct async *async, struct resv_op *op)
{
    struct reading *reading = begin(async, op);
    if (reading == NULL)
        return;
    RESV_ASSERT(strlen(op->catalog->letter_id) < sizeof reading->key);
    memcpy(reading->key, op->catalog->letter_id, strlen(op->catalog->letter_id) + 1);
    reading->letters.letter = retry_letter;
    reading->letters.done = retry_done;
    kafka_read_letters(async->kafka, &reading->letters);
}
