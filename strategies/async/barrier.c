/* Barriers: events that take nothing, behind which a concert's numbers are settled or made anew. */
#include "barrier.h"

bool barrier_publish(struct async *async, int64_t concert_id, void *data,
                     void (*done)(void *data, enum kafka_result result))
{
    struct event event = {
        .kind = EVENT_SETTLE,
        .concert_id = concert_id,
        .created_ms = resv_wall_ms(async->base.host),
        .epoch = async->epoch,
    };
    char text[EVENT_SIZE_MAX];
    resv_random_bytes(async->base.host, event.id.bytes, sizeof event.id.bytes);
    const size_t size = event_write(&event, text);
    return publish_text(async, concert_id, text, size, data, done);
}
