/* What was fetched of each partition: taken in, looked at, done with; and where it is fetched from.
 *
 *   librdkafka's queue ─► [held: a list of its messages] ─► peek … pass ─► given back
 *
 * Bounded: half of records_max is for all, the other half is shared out evenly, so that no
 * partition starves where another one is not taken care of. What finds no place stays with
 * librdkafka, whose queue has a bound of its own and stops fetching.
 *
 * Records of a partition come without repetition and in order: `next_offset` only grows. */
#include <stdio.h>
#include <string.h>

#include "kafka_internal.h"
#include "resvd/assert.h"

#define BATCH     256 /* messages asked of librdkafka at once */
#define TRIES_MAX 3

/* --- room ---------------------------------------------------------------------------------------
 */

static size_t share_of(const struct kafka_consumer *consumer)
{
    size_t share = consumer->link->config.records_max / 2 / (size_t)consumer->assigned;
    return share > 0 ? share : 1;
}

void kafka_records_count_common(struct kafka_consumer *consumer)
{
    consumer->common_left = consumer->link->config.records_max / 2;
    if (consumer->assigned == 0)
        return;
    size_t share = share_of(consumer);
    for (int32_t i = 0; i < consumer->link->partition_count; i++) {
        size_t held = consumer->partitions[i].held;
        size_t above = held > share ? held - share : 0;
        consumer->common_left -= above < consumer->common_left ? above : consumer->common_left;
    }
}

/* How many more the partition may hold. */
static size_t room_of(const struct kafka_partition *partition)
{
    size_t share = share_of(partition->consumer);
    size_t own = partition->held < share ? share - partition->held : 0;
    size_t room = own + partition->consumer->common_left;
    /* Shares get smaller when partitions come: what is held may be more than them for a while. */
    size_t free = partition->consumer->held_count - partition->consumer->held_total;
    return room < free ? room : free;
}

/* --- held ---------------------------------------------------------------------------------------
 */

static void hold(struct kafka_partition *partition, rd_kafka_message_t *message)
{
    struct kafka_consumer *consumer = partition->consumer;
    struct kafka_held *held = consumer->held_free;
    RESV_ASSERT(held != NULL);
    if (partition->held >= share_of(consumer) && consumer->common_left > 0)
        consumer->common_left--;
    consumer->held_free = held->next;
    *held = (struct kafka_held){.message = message};
    if (partition->first == NULL)
        partition->first = held;
    else
        partition->last->next = held;
    partition->last = held;
    partition->held++;
    consumer->held_total++;
}

static void release_first(struct kafka_partition *partition)
{
    struct kafka_held *held = partition->first;
    partition->first = held->next;
    partition->held--;
    partition->consumer->held_total--;
    rd_kafka_message_destroy(held->message);
    held->message = NULL;
    held->next = partition->consumer->held_free;
    partition->consumer->held_free = held;
}

void kafka_records_drop(struct kafka_partition *partition)
{
    while (partition->first != NULL)
        release_first(partition);
}

/* --- taking in ----------------------------------------------------------------------------------
 */

/* What was fetched before a request can come out of the queue behind it, once in a while: then the
 * first record is not the one asked for, and it is asked for again. A hole that is really there
 * (records of transactions' ends have offsets too) shows itself by staying. */
static bool is_stale(struct kafka_partition *partition, const rd_kafka_message_t *message)
{
    return !partition->begun && partition->next_offset >= 0 &&
           message->offset > partition->next_offset && partition->tries < TRIES_MAX;
}

/* True: it was taken. */
static bool take_record(struct kafka_partition *partition, rd_kafka_message_t *message)
{
    if (message->offset < partition->next_offset)
        return false;
    partition->begun = true;
    partition->next_offset = message->offset + 1;
    hold(partition, message);
    return true;
}

static void take_error(struct kafka_partition *partition, const rd_kafka_message_t *message)
{
    struct kafka_link *link = partition->consumer->link;
    if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
        message->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE) {
        partition->in_client = false; /* librdkafka has stopped, and would say it again */
        kafka_edges_want(partition, KAFKA_EDGES_GAP);
        return;
    }
    char text[KAFKA_TEXT_SIZE];
    snprintf(text, sizeof text, "partition %d: %s", (int)partition->number,
             rd_kafka_message_errstr(message));
    kafka_log_say(link, RESV_LOG_WARNING, "kafka partition cannot be fetched", text);
}

/* While it is about to be fetched from elsewhere, what comes is not what was asked for. */
static bool is_fetched(const struct kafka_partition *partition)
{
    return partition->in_client && !partition->requested &&
           partition->edges_wanted == KAFKA_EDGES_NONE;
}

/* How many of these were taken; all the others are given back. */
static size_t take(struct kafka_partition *partition, rd_kafka_message_t **messages, size_t count)
{
    size_t taken = 0;
    for (size_t i = 0; i < count; i++) {
        rd_kafka_message_t *message = messages[i];
        bool dropped = !is_fetched(partition); /* by what came before it */
        if (!dropped && message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
            take_error(partition, message);
        else if (!dropped && is_stale(partition, message))
            kafka_records_request(partition);
        else if (!dropped && take_record(partition, message)) {
            taken++;
            continue;
        }
        rd_kafka_message_destroy(message);
    }
    return taken;
}

void kafka_records_collect(struct kafka_partition *partition, bool thorough)
{
    struct kafka_link *link = partition->consumer->link;
    rd_kafka_message_t *messages[BATCH];
    size_t taken = 0;
    partition->limited = false;
    if (!is_fetched(partition) || (!thorough && rd_kafka_queue_length(partition->queue) == 0))
        return;
    while (is_fetched(partition)) {
        size_t room = room_of(partition);
        if (room == 0) {
            partition->limited = true;
            break;
        }
        size_t wanted = room < BATCH ? room : BATCH;
        ssize_t count = rd_kafka_consume_batch_queue(partition->queue, 0, messages, wanted);
        if (count <= 0)
            break;
        taken += take(partition, messages, (size_t)count);
        if ((size_t)count < wanted)
            break;
    }
    if (taken == 0)
        return;
    kafka_count(link, KAFKA_METRIC_RECORDS, taken);
    if (link->state == KAFKA_OPEN)
        link->events.arrived(link->events.data, partition->number);
}

/* --- where it is fetched from -------------------------------------------------------------------
 */

void kafka_records_request(struct kafka_partition *partition)
{
    partition->requested = true;
    partition->consumer->requests = true;
    partition->tries++;
    kafka_link_go_on(partition->consumer->link);
}

void kafka_records_apply_requests(struct kafka_consumer *consumer)
{
    bool any = false;
    consumer->requests = false;
    for (int32_t i = 0; i < consumer->link->partition_count; i++) {
        struct kafka_partition *partition = &consumer->partitions[i];
        any = any || partition->requested;
        partition->in_client = partition->in_client || partition->requested;
        partition->requested = false;
    }
    if (any)
        kafka_consumer_tell_client(consumer);
}

void kafka_fetch_from(struct kafka_link *link, int32_t number, int64_t offset)
{
    RESV_ASSERT(link->consumer != NULL && number >= 0 && number < link->partition_count);
    RESV_ASSERT(offset >= -1);
    struct kafka_partition *partition = &link->consumer->partitions[number];
    if (!partition->assigned || link->consumer->closing)
        return; /* `revoked` was told, or need not be any more */
    kafka_records_drop(partition);
    partition->generation++;
    partition->edges_wanted = KAFKA_EDGES_NONE;
    partition->begun = false;
    partition->tries = 0;
    partition->next_offset = partition->passed = offset;
    partition->committed = -1;
    if (offset >= 0)
        kafka_records_request(partition);
    else
        kafka_edges_want(partition, KAFKA_EDGES_BEGIN);
}

/* --- peek and pass ------------------------------------------------------------------------------
 */

static struct kafka_record record_of(const rd_kafka_message_t *message)
{
    rd_kafka_timestamp_type_t type;
    return (struct kafka_record){
        .offset = message->offset,
        .timestamp_ms = rd_kafka_message_timestamp(message, &type),
        .key = message->key,
        .key_size = message->key_len,
        .payload = message->payload,
        .payload_size = message->len,
    };
}

size_t kafka_peek(struct kafka_link *link, int32_t number, struct kafka_record *records,
                  size_t count)
{
    RESV_ASSERT(link->consumer != NULL && number >= 0 && number < link->partition_count);
    size_t filled = 0;
    for (const struct kafka_held *held = link->consumer->partitions[number].first;
         held != NULL && filled < count; held = held->next)
        records[filled++] = record_of(held->message);
    return filled;
}

void kafka_pass(struct kafka_link *link, int32_t number, int64_t next_offset)
{
    RESV_ASSERT(link->consumer != NULL && number >= 0 && number < link->partition_count);
    struct kafka_partition *partition = &link->consumer->partitions[number];
    if (!partition->assigned)
        return;
    while (partition->first != NULL && partition->first->message->offset < next_offset)
        release_first(partition);
    if (next_offset > partition->passed)
        partition->passed = next_offset;
    for (int32_t i = 0; i < link->partition_count; i++) { /* the room may be another one's */
        if (link->consumer->partitions[i].limited) {
            kafka_link_go_on(link);
            return;
        }
    }
}

/* --- how far behind ------------------------------------------------------------------------------
 */

/* The end as the last fetch told it; 0 where nothing is known. */
static int64_t lag_of(const struct kafka_partition *partition)
{
    const struct kafka_consumer *consumer = partition->consumer;
    int64_t first = RD_KAFKA_OFFSET_INVALID;
    int64_t end = RD_KAFKA_OFFSET_INVALID;
    if (!partition->in_client || partition->passed < 0 ||
        rd_kafka_get_watermark_offsets(consumer->client->handle, kafka_link_topic(consumer->link),
                                       partition->number, &first,
                                       &end) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return 0;
    return end > partition->passed ? end - partition->passed : 0;
}

void kafka_consumer_say_lag(struct kafka_consumer *consumer)
{
    struct kafka_link *link = consumer->link;
    int64_t records = 0, oldest_ms = INT64_MAX;
    for (int32_t i = 0; i < link->partition_count; i++) {
        const struct kafka_partition *partition = &consumer->partitions[i];
        records += lag_of(partition);
        int64_t time_ms = partition->first == NULL
                              ? INT64_MAX
                              : record_of(partition->first->message).timestamp_ms;
        if (time_ms >= 0 && time_ms < oldest_ms)
            oldest_ms = time_ms;
    }
    int64_t age_ms = oldest_ms == INT64_MAX ? 0 : resv_wall_ms(link->host) - oldest_ms;
    kafka_gauge(link, KAFKA_METRIC_LAG_RECORDS, records);
    kafka_gauge(link, KAFKA_METRIC_LAG_SECONDS, age_ms > 0 ? age_ms / 1000 : 0);
    kafka_gauge(link, KAFKA_METRIC_HELD, (int64_t)consumer->held_total);
}
