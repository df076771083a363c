/* The simulated brokers' logs, and whether they can be reached. Invariant: a record's offset never
 * changes, and offsets of a partition have no holes. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "resvd/assert.h"
#include "sim_kafka_link.h"

/* --- what is reachable ------------------------------------------------------------------------ */

static bool is_there(const struct sim_kafka *kafka)
{
    return kafka->world->schedule.now_ns >= kafka->lost_until_ns;
}

bool kafka_works(const struct sim_kafka *kafka)
{
    return is_there(kafka) && kafka->world->schedule.now_ns >= kafka->stalled_until_ns;
}

bool kafka_reaches(const struct kafka_link *link)
{
    return is_there(link->kafka) && !link->dead &&
           link->kafka->world->schedule.now_ns >= link->cut_until_ns;
}

bool kafka_leads(const struct sim_kafka *kafka, enum kafka_target target, int32_t partition)
{
    return kafka_works(kafka) && kafka->world->schedule.now_ns >=
                                     kafka_log(kafka, target, partition)->leaderless_until_ns;
}

uint64_t kafka_network_ns(const struct sim_kafka *kafka)
{
    struct sim_world *world = kafka->world;
    uint64_t most_us = world->scenario.network_max_us;
    return chance_skewed(&world->chance, (most_us > 0 ? most_us : 1) * NS_PER_US);
}

uint64_t kafka_late_ns(const struct sim_kafka *kafka)
{
    uint64_t most_ms = kafka->rates.late_max_ms > 0 ? kafka->rates.late_max_ms : 3000;
    return chance_skewed(&kafka->world->chance, most_ms * NS_PER_MS);
}

static void notice_soon(struct kafka_link *link)
{
    if (link->opened && !link->closing && !link->dead)
        schedule_no_later(&link->kafka->world->schedule, &link->notice,
                          chance_skewed(&link->kafka->world->chance, NS_PER_S));
}

static void no_later_than(uint64_t *until_ns, const struct sim_kafka *kafka, uint64_t length_ns)
{
    uint64_t end_ns = kafka->world->schedule.now_ns + length_ns;
    if (*until_ns < end_ns)
        *until_ns = end_ns;
}

void kafka_lose(struct sim_kafka *kafka, uint64_t length_ns)
{
    SIM_TRACE(kafka->world, "kafka", "all brokers are gone for %" PRIu64 " ms",
              length_ns / NS_PER_MS);
    no_later_than(&kafka->lost_until_ns, kafka, length_ns);
    for (struct kafka_link *link = kafka->links; link != NULL; link = link->next)
        notice_soon(link);
}

void kafka_stall(struct sim_kafka *kafka, uint64_t length_ns)
{
    SIM_TRACE(kafka->world, "kafka", "stalls for %" PRIu64 " ms", length_ns / NS_PER_MS);
    no_later_than(&kafka->stalled_until_ns, kafka, length_ns);
}

void kafka_lose_leader(struct sim_kafka *kafka, int32_t partition, uint64_t length_ns)
{
    SIM_TRACE(kafka->world, "kafka", "partition %d has no leader for %" PRIu64 " ms",
              (int)partition, length_ns / NS_PER_MS);
    no_later_than(&kafka_log(kafka, KAFKA_EVENTS, partition)->leaderless_until_ns, kafka,
                  length_ns);
}

void kafka_cut(struct kafka_link *link, uint64_t length_ns)
{
    SIM_TRACE(link->kafka->world, link->host->who, "reaches no broker for %" PRIu64 " ms",
              length_ns / NS_PER_MS);
    no_later_than(&link->cut_until_ns, link->kafka, length_ns);
    notice_soon(link);
}

void kafka_calm(struct sim_kafka *kafka)
{
    kafka->rates = (struct sim_kafka_rates){.timeout_ms = kafka->rates.timeout_ms,
                                            .session_ms = kafka->rates.session_ms,
                                            .late_max_ms = kafka->rates.late_max_ms,
                                            .zombie_max_ms = kafka->rates.zombie_max_ms};
    kafka->lost_until_ns = kafka->stalled_until_ns = 0;
    for (int32_t i = 0; i < kafka->topics[KAFKA_EVENTS].count; i++)
        kafka->topics[KAFKA_EVENTS].logs[i].leaderless_until_ns = 0;
    for (struct kafka_link *link = kafka->links; link != NULL; link = link->next) {
        link->cut_until_ns = 0;
        notice_soon(link);
    }
}

/* --- records ---------------------------------------------------------------------------------- */

static char *copy_bytes(const char *bytes, size_t size)
{
    char *copy = malloc(size > 0 ? size : 1);
    RESV_ASSERT(copy != NULL);
    if (size > 0)
        memcpy(copy, bytes, size);
    return copy;
}

struct sim_record record_copy(const char *key, size_t key_size, const char *payload,
                              size_t payload_size)
{
    return (struct sim_record){.key = copy_bytes(key, key_size),
                               .key_size = key_size,
                               .payload = copy_bytes(payload, payload_size),
                               .payload_size = payload_size};
}

void record_free(struct sim_record *record)
{
    free(record->key);
    free(record->payload);
    *record = (struct sim_record){0};
}

struct kafka_record record_view(const struct sim_record *record, int64_t offset)
{
    return (struct kafka_record){.offset = offset,
                                 .timestamp_ms = record->timestamp_ms,
                                 .key = record->key,
                                 .key_size = record->key_size,
                                 .payload = record->payload,
                                 .payload_size = record->payload_size};
}

/* --- logs ------------------------------------------------------------------------------------- */

struct sim_log *kafka_log(const struct sim_kafka *kafka, enum kafka_target target,
                          int32_t partition)
{
    const struct sim_topic *topic = &kafka->topics[target];
    RESV_ASSERT(partition >= 0 && partition < topic->count);
    return &topic->logs[partition];
}

int64_t log_append(struct sim_kafka *kafka, enum kafka_target target, int32_t partition,
                   const struct sim_record *record)
{
    struct sim_log *log = kafka_log(kafka, target, partition);
    if (log->count == log->capacity) {
        log->capacity = log->capacity * 2 + 16;
        log->records = realloc(log->records, log->capacity * sizeof log->records[0]);
        RESV_ASSERT(log->records != NULL);
    }
    struct sim_record *copy = &log->records[log->count];
    *copy = record_copy(record->key, record->key_size, record->payload, record->payload_size);
    copy->timestamp_ms = (int64_t)(kafka->world->schedule.now_ns / NS_PER_MS) + 1700000000000;
    int64_t offset = log->first + (int64_t)log->count++;
    SIM_TRACE(kafka->world, "kafka", "%s %d has %.*s at %" PRId64,
              target == KAFKA_EVENTS ? "partition" : "letters", (int)partition,
              (int)record->payload_size, record->payload, offset);
    if (kafka->appended != NULL) {
        const struct kafka_record view = record_view(copy, offset);
        kafka->appended(kafka->data, target, partition, &view);
    }
    if (target == KAFKA_EVENTS)
        fetch_wake(kafka, partition);
    return offset;
}

int64_t kafka_inject(struct sim_kafka *kafka, enum kafka_target target, int32_t partition,
                     const char *key, size_t key_size, const char *payload, size_t payload_size)
{
    struct sim_record record = record_copy(key, key_size, payload, payload_size);
    int64_t offset = log_append(kafka, target, partition, &record);
    record_free(&record);
    return offset;
}

static void remove_front(struct sim_log *log, size_t count)
{
    if (count > log->count)
        count = log->count;
    if (count == 0)
        return;
    for (size_t i = 0; i < count; i++)
        record_free(&log->records[i]);
    memmove(log->records, log->records + count, (log->count - count) * sizeof log->records[0]);
    log->count -= count;
    log->first += (int64_t)count;
}

void kafka_remove_front(struct sim_kafka *kafka, int32_t partition, size_t count)
{
    struct sim_log *log = kafka_log(kafka, KAFKA_EVENTS, partition);
    remove_front(log, count);
    SIM_TRACE(kafka->world, "kafka", "partition %d begins with %" PRId64 " now", (int)partition,
              log->first);
    fetch_wake(kafka, partition);
}

void kafka_make_anew(struct sim_kafka *kafka)
{
    SIM_TRACE(kafka->world, "kafka", "the event topic is made anew");
    for (int32_t i = 0; i < kafka->topics[KAFKA_EVENTS].count; i++) {
        struct sim_log *log = kafka_log(kafka, KAFKA_EVENTS, i);
        remove_front(log, log->count);
        log->first = 0;
        fetch_wake(kafka, i);
    }
}

/* --- looking at them -------------------------------------------------------------------------- */

int32_t kafka_partitions(const struct sim_kafka *kafka, enum kafka_target target)
{
    return kafka->topics[target].count;
}

/* Not Kafka's own way of it: only that equal keys come together matters. */
int32_t kafka_partition_of(const struct sim_kafka *kafka, enum kafka_target target, const char *key,
                           size_t key_size)
{
    uint32_t hash = 2166136261;
    for (size_t i = 0; i < key_size; i++)
        hash = (hash ^ (unsigned char)key[i]) * 16777619;
    return (int32_t)((hash ^ (hash >> 16)) % (uint32_t)kafka->topics[target].count);
}

int64_t kafka_first(const struct sim_kafka *kafka, enum kafka_target target, int32_t partition)
{
    return kafka_log(kafka, target, partition)->first;
}

int64_t kafka_end(const struct sim_kafka *kafka, enum kafka_target target, int32_t partition)
{
    const struct sim_log *log = kafka_log(kafka, target, partition);
    return log->first + (int64_t)log->count;
}

void kafka_walk(const struct sim_kafka *kafka, enum kafka_target target, void *data,
                void (*visit)(void *data, int32_t partition, const struct kafka_record *record))
{
    for (int32_t partition = 0; partition < kafka->topics[target].count; partition++) {
        const struct sim_log *log = kafka_log(kafka, target, partition);
        for (size_t i = 0; i < log->count; i++) {
            const struct kafka_record view = record_view(&log->records[i], log->first + (int64_t)i);
            visit(data, partition, &view);
        }
    }
}

void kafka_listen(struct sim_kafka *kafka, void *data,
                  void (*appended)(void *data, enum kafka_target target, int32_t partition,
                                   const struct kafka_record *record))
{
    kafka->data = data;
    kafka->appended = appended;
}

/* --- life ------------------------------------------------------------------------------------- */

static void open_topic(struct sim_topic *topic, int32_t partitions)
{
    topic->count = partitions;
    topic->logs = calloc((size_t)partitions, sizeof topic->logs[0]);
    RESV_ASSERT(topic->logs != NULL);
}

struct sim_kafka *kafka_create(struct sim_world *world, int32_t partitions)
{
    struct sim_kafka *kafka = calloc(1, sizeof *kafka);
    RESV_ASSERT(kafka != NULL && partitions >= 1 && partitions <= KAFKA_PARTITIONS_MAX);
    kafka->world = world;
    open_topic(&kafka->topics[KAFKA_EVENTS], partitions);
    open_topic(&kafka->topics[KAFKA_DEAD_LETTERS], 1 + (int32_t)chance_below(&world->chance, 3));
    group_open(kafka);
    return kafka;
}

void kafka_free(struct sim_kafka *kafka)
{
    if (kafka == NULL)
        return;
    RESV_ASSERT(kafka_rests(kafka));
    group_close(kafka);
    for (size_t target = 0; target < SIM_KAFKA_TARGETS; target++) {
        struct sim_topic *topic = &kafka->topics[target];
        for (int32_t i = 0; i < topic->count; i++) {
            remove_front(&topic->logs[i], topic->logs[i].count);
            free(topic->logs[i].records);
        }
        free(topic->logs);
    }
    free(kafka);
}

struct sim_kafka_rates *kafka_rates(struct sim_kafka *kafka)
{
    return &kafka->rates;
}

bool kafka_rests(const struct sim_kafka *kafka)
{
    return kafka->links == NULL && kafka->lanes == NULL;
}
