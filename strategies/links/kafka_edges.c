/* Where partitions begin and end: asked for in the pool, since librdkafka's call waits; one call
 * under way at most, for all partitions that want it.
 *
 * Asked when a partition shall be fetched from its beginning, and when the offset asked for is not
 * there: then an answer counts only if nothing else was asked of the partition meanwhile. And asked
 * when the strategy wants to know the end: then an answer counts if it was asked for after that.
 *
 * rd_kafka_query_watermark_offsets would be the one made for this, but does not keep to its time
 * (librdkafka 2.0: it waits until a broker answers); the offsets "of the times" -2 and -1 are the
 * same, and that call does. */
#include <stdio.h>

#include "kafka_internal.h"
#include "resvd/assert.h"

#define QUERY_MS       1000
#define PAUSE_NS       100000000ULL /* after a failure */
#define TIME_BEGINNING (-2)         /* of Kafka's ListOffsets */
#define TIME_END       (-1)

/* --- asking -------------------------------------------------------------------------------------
 */

/* In the pool: the partitions' facts are not touched by the loop while `edges_asking`. */
static rd_kafka_resp_err_t query(struct kafka_consumer *consumer, int64_t time)
{
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new(consumer->link->partition_count);
    for (int32_t i = 0; i < consumer->link->partition_count; i++) {
        if (consumer->partitions[i].edges_asking)
            rd_kafka_topic_partition_list_add(list, kafka_link_topic(consumer->link), i)->offset =
                time;
    }
    rd_kafka_resp_err_t error =
        rd_kafka_offsets_for_times(consumer->client->handle, list, QUERY_MS);
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *answer = &list->elems[i];
        struct kafka_partition *partition = &consumer->partitions[answer->partition];
        if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
            partition->edges_error = error;
        else if (answer->err != RD_KAFKA_RESP_ERR_NO_ERROR)
            partition->edges_error = answer->err;
        else if (time == TIME_BEGINNING)
            partition->edges_first = answer->offset;
        else
            partition->edges_end = answer->offset;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return error;
}

static void ask(uv_work_t *work)
{
    struct kafka_consumer *consumer = work->data;
    if (query(consumer, TIME_BEGINNING) == RD_KAFKA_RESP_ERR_NO_ERROR)
        query(consumer, TIME_END);
}

/* --- answers ------------------------------------------------------------------------------------
 */

static void tell_gap(struct kafka_partition *partition)
{
    struct kafka_link *link = partition->consumer->link;
    char text[KAFKA_TEXT_SIZE];
    snprintf(text, sizeof text, "partition %d: offset %lld is not there; it has %lld to %lld",
             (int)partition->number, (long long)partition->next_offset,
             (long long)partition->edges_first, (long long)partition->edges_end);
    resv_log(link->host, RESV_LOG_ERROR, "kafka gap", "detail", text, NULL);
    kafka_count(link, KAFKA_METRIC_GAPS, 1);
    if (link->state == KAFKA_OPEN)
        link->events.gap(link->events.data, partition->number, partition->edges_first,
                         partition->edges_end);
}

static void use_answer(struct kafka_partition *partition)
{
    enum kafka_edges_reason reason = partition->edges_wanted;
    partition->edges_wanted = KAFKA_EDGES_NONE;
    if (reason == KAFKA_EDGES_BEGIN) {
        partition->next_offset = partition->passed = partition->edges_first;
        kafka_records_request(partition);
    } else if (reason == KAFKA_EDGES_GAP && partition->next_offset >= partition->edges_first &&
               partition->next_offset <= partition->edges_end) {
        kafka_records_request(partition); /* it is there after all: a leader was behind */
    } else if (reason == KAFKA_EDGES_GAP) {
        tell_gap(partition);
    }
}

static void tell_end(struct kafka_partition *partition)
{
    struct kafka_link *link = partition->consumer->link;
    if (!partition->end_asking)
        return; /* nobody wants it, or it was revoked meanwhile */
    partition->end_asking = false;
    if (link->state == KAFKA_OPEN)
        link->events.end(link->events.data, partition->number, partition->edges_first,
                         partition->edges_end);
}

static void take_answer(struct kafka_partition *partition, rd_kafka_resp_err_t *failed)
{
    struct kafka_consumer *consumer = partition->consumer;
    partition->edges_asking = false;
    if (partition->edges_error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        partition->end_wanted = partition->end_wanted || partition->end_asking;
        partition->end_asking = false;
        consumer->edges_again_ns = resv_now_ns(consumer->link->host) + PAUSE_NS;
        *failed = partition->edges_error;
        return;
    }
    if (partition->assigned && partition->generation == partition->edges_generation)
        use_answer(partition); /* else something else was wanted meanwhile */
    tell_end(partition);
}

static void asked(uv_work_t *work, int status)
{
    struct kafka_consumer *consumer = work->data;
    struct kafka_link *link = consumer->link;
    RESV_ASSERT(status == 0 && link->works > 0);
    link->works--;
    consumer->edges_asking = false;
    rd_kafka_resp_err_t failed = RD_KAFKA_RESP_ERR_NO_ERROR;
    for (int32_t i = 0; i < link->partition_count; i++) {
        if (consumer->partitions[i].edges_asking)
            take_answer(&consumer->partitions[i], &failed);
    }
    if (failed != RD_KAFKA_RESP_ERR_NO_ERROR)
        kafka_log_say(link, RESV_LOG_WARNING, "kafka partitions' offsets not known",
                      rd_kafka_err2str(failed));
    kafka_link_go_on(link);
}

/* --- what is wanted -----------------------------------------------------------------------------
 */

void kafka_edges_want(struct kafka_partition *partition, enum kafka_edges_reason reason)
{
    partition->edges_wanted = reason;
    partition->consumer->edges_wanted = true;
    kafka_link_go_on(partition->consumer->link);
}

void kafka_find_end(struct kafka_link *link, int32_t number)
{
    RESV_ASSERT(link->consumer != NULL && number >= 0 && number < link->partition_count);
    struct kafka_partition *partition = &link->consumer->partitions[number];
    if (!partition->assigned || link->consumer->closing)
        return; /* `revoked` was told, or need not be any more */
    partition->end_wanted = true;
    partition->consumer->edges_wanted = true;
    kafka_link_go_on(link);
}

void kafka_edges_go_on(struct kafka_consumer *consumer)
{
    struct kafka_link *link = consumer->link;
    if (!consumer->edges_wanted || consumer->edges_asking || link->state != KAFKA_OPEN ||
        resv_now_ns(link->host) < consumer->edges_again_ns)
        return;
    consumer->edges_wanted = false;
    for (int32_t i = 0; i < link->partition_count; i++) {
        struct kafka_partition *partition = &consumer->partitions[i];
        if (partition->edges_wanted == KAFKA_EDGES_NONE && !partition->end_wanted)
            continue;
        partition->edges_asking = true;
        partition->end_asking = partition->end_wanted;
        partition->end_wanted = false;
        partition->edges_generation = partition->generation;
        partition->edges_error = RD_KAFKA_RESP_ERR_NO_ERROR;
        consumer->edges_wanted = true; /* until the answer was used */
        consumer->edges_asking = true;
    }
    if (!consumer->edges_asking)
        return;
    consumer->edges_work.data = consumer;
    link->works++;
    RESV_ASSERT(uv_queue_work(resv_host_loop(link->host), &consumer->edges_work, ask, asked) == 0);
}
