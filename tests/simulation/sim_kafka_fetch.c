/* Records of the simulated link: fetched, looked at, passed. What is looked at is a copy that is
 * freed when it is passed, fetched anew or revoked: whoever looks at it later is found out. */
#include <inttypes.h>
#include <stdlib.h>

#include "resvd/assert.h"
#include "sim_kafka_link.h"

/* --- held ------------------------------------------------------------------------------------- */

static void hold(struct link_partition *partition, const struct sim_record *record)
{
    struct sim_held *held = calloc(1, sizeof *held);
    RESV_ASSERT(held != NULL);
    held->offset = partition->next_offset++;
    held->record =
        record_copy(record->key, record->key_size, record->payload, record->payload_size);
    held->record.timestamp_ms = record->timestamp_ms;
    if (partition->first == NULL)
        partition->first = held;
    else
        partition->last->next = held;
    partition->last = held;
    partition->held++;
    partition->link->held++;
}

static void release_first(struct link_partition *partition)
{
    struct sim_held *held = partition->first;
    partition->first = held->next;
    partition->held--;
    partition->link->held--;
    record_free(&held->record);
    free(held);
}

void fetch_drop(struct link_partition *partition)
{
    while (partition->first != NULL)
        release_first(partition);
}

/* Half of records_max is for all, the rest is shared out, and each may have one. */
static size_t room_of(const struct link_partition *partition)
{
    const struct kafka_link *link = partition->link;
    size_t half = link->config.records_max / 2;
    size_t share = half / link->assigned > 0 ? half / link->assigned : 1;
    size_t common = half;
    int32_t count = kafka_partitions(link->kafka, KAFKA_EVENTS);
    for (int32_t i = 0; i < count; i++) {
        size_t held = link->partitions[i].held;
        size_t above = held > share ? held - share : 0;
        common -= above < common ? above : common;
    }
    size_t room = (partition->held < share ? share - partition->held : 0) + common;
    size_t most = link->config.records_max + (size_t)count - link->held;
    return room < most ? room : most;
}

/* --- fetching --------------------------------------------------------------------------------- */

static void fetch_soon(struct link_partition *partition)
{
    struct sim_kafka *kafka = partition->link->kafka;
    schedule_no_later(&kafka->world->schedule, &partition->fetch,
                      kafka_network_ns(kafka) + kafka_network_ns(kafka));
}

void fetch_wake(struct sim_kafka *kafka, int32_t number)
{
    for (struct kafka_link *link = kafka->links; link != NULL; link = link->next) {
        if (link->opened && link->config.consumes && link->partitions[number].fetching &&
            !link->dead && !link->closing)
            fetch_soon(&link->partitions[number]);
    }
}

void fetch_wake_limited(struct kafka_link *link)
{
    for (int32_t i = 0; i < kafka_partitions(link->kafka, KAFKA_EVENTS); i++) {
        struct link_partition *partition = &link->partitions[i];
        if (partition->limited && partition->fetching)
            fetch_soon(partition);
        partition->limited = false;
    }
}

static void tell_gap(struct link_partition *partition)
{
    struct kafka_link *link = partition->link;
    int64_t first = kafka_first(link->kafka, KAFKA_EVENTS, partition->number);
    int64_t end = kafka_end(link->kafka, KAFKA_EVENTS, partition->number);
    SIM_TRACE(link->kafka->world, link->host->who,
              "partition %d has no offset %" PRId64 ": it has %" PRId64 " to %" PRId64,
              (int)partition->number, partition->next_offset, first, end);
    partition->fetching = false;
    link->inside++;
    link->events.gap(link->events.data, partition->number, first, end);
    link->inside--;
}

/* What is there from next_offset on, as far as there is room; mostly all, now and then little. */
static void take(struct link_partition *partition)
{
    struct kafka_link *link = partition->link;
    const struct sim_log *log = kafka_log(link->kafka, KAFKA_EVENTS, partition->number);
    struct sim_chance *chance = &link->kafka->world->chance;
    size_t at = (size_t)(partition->next_offset - log->first);
    size_t there = log->count - at;
    size_t room = room_of(partition);
    if (there == 0)
        return; /* the next that comes wakes it */
    partition->limited = room < there;
    if (room == 0)
        return;
    size_t count = room < there ? room : there;
    if (chance_of(chance, 200000))
        count = 1 + chance_below(chance, count);
    for (size_t i = 0; i < count; i++)
        hold(partition, &log->records[at + i]);
    if (count < there && count < room)
        fetch_soon(partition);
    SIM_TRACE(link->kafka->world, link->host->who, "has partition %d up to %" PRId64,
              (int)partition->number, partition->next_offset);
    link->inside++;
    link->events.arrived(link->events.data, partition->number);
    link->inside--;
}

static void fetch(struct sim_event *fired)
{
    struct link_partition *partition = fired->data;
    struct kafka_link *link = partition->link;
    struct sim_kafka *kafka = link->kafka;
    if (link->dead || link->closing || !partition->fetching)
        return;
    if (!kafka_reaches(link) || !kafka_leads(kafka, KAFKA_EVENTS, partition->number)) {
        schedule_after(&kafka->world->schedule, &partition->fetch,
                       (10 + chance_below(&kafka->world->chance, 50)) * NS_PER_MS);
        return;
    }
    int64_t first = kafka_first(kafka, KAFKA_EVENTS, partition->number);
    if (partition->next_offset < 0)
        partition->next_offset = first;
    if (partition->next_offset < first ||
        partition->next_offset > kafka_end(kafka, KAFKA_EVENTS, partition->number))
        tell_gap(partition);
    else
        take(partition);
}

/* --- what the strategy asks ------------------------------------------------------------------- */

static struct link_partition *partition_of(const struct kafka_link *link, int32_t number)
{
    RESV_ASSERT(link->opened && link->config.consumes);
    RESV_ASSERT(number >= 0 && number < kafka_partitions(link->kafka, KAFKA_EVENTS));
    return &link->partitions[number];
}

void kafka_fetch_from(struct kafka_link *link, int32_t number, int64_t offset)
{
    struct link_partition *partition = partition_of(link, number);
    RESV_ASSERT(offset >= -1);
    if (!partition->assigned || link->closing)
        return; /* `revoked` was told, or need not be any more */
    SIM_TRACE(link->kafka->world, link->host->who, "fetches partition %d from %" PRId64,
              (int)number, offset);
    fetch_drop(partition);
    partition->fetching = true;
    partition->next_offset = offset;
    schedule_cancel(&link->kafka->world->schedule, &partition->fetch);
    fetch_soon(partition);
    fetch_wake_limited(link);
}

size_t kafka_peek(struct kafka_link *link, int32_t number, struct kafka_record *records,
                  size_t count)
{
    const struct sim_held *held = partition_of(link, number)->first;
    size_t filled = 0;
    for (; held != NULL && filled < count; held = held->next)
        records[filled++] = record_view(&held->record, held->offset);
    return filled;
}

void kafka_pass(struct kafka_link *link, int32_t number, int64_t next_offset)
{
    struct link_partition *partition = partition_of(link, number);
    if (!partition->assigned)
        return;
    while (partition->first != NULL && partition->first->offset < next_offset)
        release_first(partition);
    fetch_wake_limited(link);
}

/* --- life ------------------------------------------------------------------------------------- */

void fetch_open(struct kafka_link *link)
{
    int32_t count = kafka_partitions(link->kafka, KAFKA_EVENTS);
    link->partitions = calloc((size_t)count, sizeof link->partitions[0]);
    RESV_ASSERT(link->partitions != NULL);
    for (int32_t i = 0; i < count; i++) {
        struct link_partition *partition = &link->partitions[i];
        partition->link = link;
        partition->number = i;
        partition->fetch = sim_host_event(link->host, fetch, partition);
        ends_open(partition);
    }
}

void fetch_close(struct kafka_link *link)
{
    for (int32_t i = 0; i < kafka_partitions(link->kafka, KAFKA_EVENTS); i++) {
        fetch_drop(&link->partitions[i]);
        ends_drop(&link->partitions[i]);
        schedule_cancel(&link->kafka->world->schedule, &link->partitions[i].fetch);
    }
    free(link->partitions);
}
