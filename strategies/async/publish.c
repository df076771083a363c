/* Events go to Kafka: those of operations, and those of none.
 *
 * Invariants: room is reserved before Redis is asked for seats, so that no seat is taken for an
 * event that cannot be published; events of operations never use up the room of the others; what
 * became of each event is passed on as Kafka says it, once. */
#include <stdlib.h>
#include <string.h>

#include "async.h"
#include "resvd/assert.h"
#include "resvd/crash_point.h"

/* An event of no operation. */
struct loose {
    struct kafka_event event;
    struct async *async;
    char key[24];
    void *data;
    void (*done)(void *data, enum kafka_result result);
    struct loose *next_free;
};

struct publish {
    size_t reserved;    /* rooms, and not published yet */
    size_t operations;  /* events of them, under way */
    size_t loose_count; /* under way */
    struct loose *loose;
    struct loose *free;
};

static size_t write_key(char key[24], int64_t concert_id)
{
    return (size_t)(event_put_number(key, concert_id) - key);
}

/* --- events of operations -----------------------------------------------------------------------
 */

bool publish_reserve_room(struct async *async)
{
    struct publish *publish = async->publish;
    if (publish->reserved + publish->operations >= async->events_max ||
        kafka_room(async->kafka) <= publish->reserved)
        return false;
    publish->reserved++;
    return true;
}

void publish_return_room(struct async *async)
{
    RESV_ASSERT(async->publish->reserved > 0);
    async->publish->reserved--;
}

static void op_done(struct kafka_event *event)
{
    struct resv_op *op = event->data;
    struct async *async = (struct async *)async_op_of(op)->base.base;
    RESV_CRASH_POINT(reported);
    RESV_ASSERT(async->publish->operations > 0);
    async->publish->operations--;
    front_published(async, op, event->result);
}

void publish_op(struct async *async, struct resv_op *op)
{
    struct async_op *state = async_op_of(op);
    struct publish *publish = async->publish;
    publish_return_room(async);
    if (kafka_room(async->kafka) == 0) { /* the producer has gone since: it was never given it */
        front_published(async, op, KAFKA_NOT_PERSISTED);
        return;
    }
    publish->operations++;
    state->event = (struct kafka_event){
        .target = KAFKA_EVENTS,
        .key = state->key,
        .key_size = write_key(state->key, state->concert_id),
        .payload = state->text,
        .payload_size = state->text_size,
        .data = op,
        .done = op_done,
    };
    RESV_CRASH_POINT(publishing);
    kafka_publish(async->kafka, &state->event);
    RESV_CRASH_POINT(published);
}

/* --- events of none -----------------------------------------------------------------------------
 */

static void loose_done(struct kafka_event *event)
{
    struct loose *loose = event->data;
    struct async *async = loose->async;
    struct publish *publish = async->publish;
    void (*done)(void *data, enum kafka_result result) = loose->done;
    void *data = loose->data;
    loose->next_free = publish->free;
    publish->free = loose;
    publish->loose_count--;
    if (done != NULL)
        done(data, event->result);
    async_idle_changed(async);
}

bool publish_text(struct async *async, int64_t concert_id, const char *text, size_t size,
                  void *data, void (*done)(void *data, enum kafka_result result))
{
    struct publish *publish = async->publish;
    struct loose *loose = publish->free;
    if (loose == NULL || kafka_room(async->kafka) <= publish->reserved)
        return false;
    publish->free = loose->next_free;
    publish->loose_count++;
    loose->data = data;
    loose->done = done;
    loose->event = (struct kafka_event){
        .target = KAFKA_EVENTS,
        .key = loose->key,
        .key_size = write_key(loose->key, concert_id),
        .payload = text,
        .payload_size = size,
        .data = loose,
        .done = loose_done,
    };
    kafka_publish(async->kafka, &loose->event);
    return true;
}

bool publish_is_quiet(const struct async *async)
{
    return async->publish->loose_count == 0;
}

/* --- life ---------------------------------------------------------------------------------------
 */

bool publish_open(struct async *async)
{
    struct publish *publish = async->publish = calloc(1, sizeof *publish);
    if (publish == NULL)
        return false;
    publish->loose = calloc(PUBLISH_LOOSE_MAX, sizeof *publish->loose);
    if (publish->loose == NULL)
        return false;
    for (size_t i = PUBLISH_LOOSE_MAX; i-- > 0;) {
        publish->loose[i].async = async;
        publish->loose[i].next_free = publish->free;
        publish->free = &publish->loose[i];
    }
    return true;
}

void publish_close(struct async *async)
{
    if (async->publish == NULL)
        return;
    free(async->publish->loose);
    free(async->publish);
    async->publish = NULL;
}
