/* What the checker knows of the log: each event that comes into it, when, and where. */
#include <stdlib.h>
#include <string.h>

#include "resvd/assert.h"
#include "sim_checker.h"
#include "sim_kafka.h"

#define VIOLATION(checker, ...) world_violation((checker)->world, __VA_ARGS__)

static int hex_value(char letter)
{
    return letter <= '9' ? letter - '0' : letter - 'a' + 10;
}

/* False: it is not one of these two. */
static bool read_event(const struct kafka_record *record, struct checker_event *event)
{
    static const char *const heads[] = {"1 reserve ", "1 release "};
    const size_t head = strlen(heads[0]);
    if (record->payload_size < head + 36)
        return false;
    event->releases = memcmp(record->payload, heads[1], head) == 0;
    if (!event->releases && memcmp(record->payload, heads[0], head) != 0)
        return false;
    const char *at = record->payload + head;
    for (size_t i = 0; i < RESV_ID_SIZE; i++) {
        at += *at == '-';
        event->id.bytes[i] = (uint8_t)(hex_value(at[0]) * 16 + hex_value(at[1]));
        at += 2;
    }
    event->concert_id = strtoll(at, NULL, 10);
    return true;
}

static void appended(void *data, enum kafka_target target, int32_t partition,
                     const struct kafka_record *record)
{
    struct sim_checker *checker = data;
    struct checker_event event = {
        .partition = partition, .offset = record->offset, .at_ns = checker->world->schedule.now_ns};
    if (target == KAFKA_DEAD_LETTERS)
        VIOLATION(checker, "a dead letter: %.*s", (int)record->payload_size, record->payload);
    if (target == KAFKA_DEAD_LETTERS || !read_event(record, &event))
        return;
    if (checker->events_count == checker->events_capacity) {
        checker->events_capacity = checker->events_capacity > 0 ? checker->events_capacity * 2 : 64;
        checker->events =
            realloc(checker->events, checker->events_capacity * sizeof checker->events[0]);
        RESV_ASSERT(checker->events != NULL);
    }
    checker->events[checker->events_count++] = event;
}

void events_listen(struct sim_checker *checker)
{
    kafka_listen(checker->world->kafka, checker, appended);
}

bool events_same_id(const struct resv_id *left, const struct resv_id *right)
{
    return memcmp(left->bytes, right->bytes, RESV_ID_SIZE) == 0;
}

const struct checker_event *events_find(const struct sim_checker *checker, const struct resv_id *id,
                                        bool releases)
{
    for (size_t i = 0; i < checker->events_count; i++) {
        if (checker->events[i].releases == releases && events_same_id(&checker->events[i].id, id))
            return &checker->events[i];
    }
    return NULL;
}

bool events_release_it(const struct sim_checker *checker, const struct resv_id *id, bool has_row)
{
    const struct checker_event *reserve = events_find(checker, id, false);
    for (size_t i = 0; i < checker->events_count; i++) {
        const struct checker_event *event = &checker->events[i];
        if (event->releases && events_same_id(&event->id, id) &&
            (has_row || (reserve != NULL && reserve->partition == event->partition &&
                         reserve->offset < event->offset)))
            return true;
    }
    return false;
}
