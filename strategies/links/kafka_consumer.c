/* The group: partitions come and go, and Kafka is told how far they are.
 *
 * librdkafka's assignment and the group's are not the same here: what the group gives this process
 * is `assigned`, and librdkafka is told of a partition (`in_client`) only once it is known from
 * where on its records are wanted. Each time it is told, it is told of all of them, and from where.
 *
 * Rebalances are eager: all partitions go, then those come that are this process's from then on.
 * Cooperative ones would keep what stays, but librdkafka before 2.3 aborts the process when a
 * consumer ends after it was asked into the group and before it got its partitions (its issue
 * 4312): no order of calls keeps that from happening when the broker goes away in between.
 *
 * Each partition has a queue of its own, so that one whose records nobody takes holds up no other
 * one. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kafka_internal.h"
#include "resvd/assert.h"

#define COMMIT_NS 1000000000ULL /* from one to the next */

rd_kafka_topic_partition_list_t *kafka_consumer_list(struct kafka_consumer *consumer)
{
    rd_kafka_topic_partition_list_t *list = consumer->list;
    while (list->cnt > 0)
        rd_kafka_topic_partition_list_del_by_idx(list, list->cnt - 1);
    return list;
}

/* --- create and free ----------------------------------------------------------------------------
 */

static bool allocate(struct kafka_consumer *consumer)
{
    struct kafka_link *link = consumer->link;
    size_t partitions = (size_t)link->partition_count;
    /* Each partition may have one, however many there are. */
    consumer->held_count = link->config.records_max + partitions;
    consumer->partitions = calloc(partitions, sizeof *consumer->partitions);
    consumer->held = calloc(consumer->held_count, sizeof *consumer->held);
    consumer->list = rd_kafka_topic_partition_list_new(link->partition_count);
    if (consumer->partitions == NULL || consumer->held == NULL || consumer->list == NULL)
        return false;
    for (size_t i = 0; i < partitions; i++) {
        consumer->partitions[i].consumer = consumer;
        consumer->partitions[i].number = (int32_t)i;
    }
    for (size_t i = 0; i < consumer->held_count; i++) {
        consumer->held[i].next = consumer->held_free;
        consumer->held_free = &consumer->held[i];
    }
    return true;
}

void kafka_consumer_free(struct kafka_consumer *consumer)
{
    if (consumer->list != NULL)
        rd_kafka_topic_partition_list_destroy(consumer->list);
    free(consumer->partitions);
    free(consumer->held);
    free(consumer);
}

struct kafka_consumer *kafka_consumer_create(struct kafka_link *link, char *why, size_t why_size)
{
    struct kafka_consumer *consumer = calloc(1, sizeof *consumer);
    if (consumer == NULL) {
        snprintf(why, why_size, "out of memory");
        return NULL;
    }
    consumer->link = link;
    if (!allocate(consumer)) {
        snprintf(why, why_size, "out of memory");
        kafka_consumer_free(consumer);
        return NULL;
    }
    consumer->client = kafka_client_create(link, KAFKA_CONSUMER, why, why_size);
    if (consumer->client == NULL) {
        kafka_consumer_free(consumer);
        return NULL;
    }
    rd_kafka_topic_partition_list_t *topics = kafka_consumer_list(consumer);
    rd_kafka_topic_partition_list_add(topics, kafka_link_topic(link), RD_KAFKA_PARTITION_UA);
    RESV_ASSERT(rd_kafka_subscribe(consumer->client->handle, topics) == RD_KAFKA_RESP_ERR_NO_ERROR);
    kafka_gauge(link, KAFKA_METRIC_PARTITIONS, 0);
    return consumer;
}

/* --- offsets, for others to see -----------------------------------------------------------------
 */

static void add_to_commit(struct kafka_partition *partition, rd_kafka_topic_partition_list_t *list)
{
    if (partition->passed <= partition->committed)
        return;
    partition->committed = partition->passed;
    rd_kafka_topic_partition_list_add(list, kafka_link_topic(partition->consumer->link),
                                      partition->number)
        ->offset = partition->passed;
}

/* Not without a broker: one that waits for it would hold up the consumer's end. */
static void commit(struct kafka_consumer *consumer)
{
    if (!consumer->link->up)
        return;
    rd_kafka_topic_partition_list_t *list = kafka_consumer_list(consumer);
    for (int32_t i = 0; i < consumer->link->partition_count; i++) {
        if (consumer->partitions[i].assigned)
            add_to_commit(&consumer->partitions[i], list);
    }
    if (list->cnt > 0) /* nobody waits for it: nothing rests on these offsets */
        rd_kafka_commit(consumer->client->handle, list, 1);
}

/* --- what librdkafka fetches -------------------------------------------------------------------
 */

/* NULL: of none. librdkafka (its issue 5573, every version until 2026) aborts the process when it
 * is told again while a partition from the last time is still about to stop. Its main thread takes
 * everything in order, a stop first and then its answer: who was answered twice by it meanwhile
 * comes behind both. */
static rd_kafka_resp_err_t tell(struct kafka_consumer *consumer,
                                const rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; i < 2; i++) {
        rd_kafka_topic_partition_list_t *now = NULL;
        if (rd_kafka_assignment(consumer->client->handle, &now) == RD_KAFKA_RESP_ERR_NO_ERROR)
            rd_kafka_topic_partition_list_destroy(now);
    }
    return rd_kafka_assign(consumer->client->handle, list);
}

/* One that is fetched already goes on behind what was taken of it: the rest of what librdkafka had
 * of it is fetched again. */
void kafka_consumer_tell_client(struct kafka_consumer *consumer)
{
    rd_kafka_topic_partition_list_t *list = kafka_consumer_list(consumer);
    for (int32_t i = 0; i < consumer->link->partition_count; i++) {
        const struct kafka_partition *partition = &consumer->partitions[i];
        if (partition->in_client)
            rd_kafka_topic_partition_list_add(list, kafka_link_topic(consumer->link), i)->offset =
                partition->next_offset;
    }
    rd_kafka_resp_err_t error = tell(consumer, list);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
        kafka_log_say(consumer->link, RESV_LOG_WARNING, "kafka partitions not fetched",
                      rd_kafka_err2str(error));
}

/* --- partitions come ----------------------------------------------------------------------------
 */

static void assign(struct kafka_partition *partition)
{
    struct kafka_consumer *consumer = partition->consumer;
    struct kafka_link *link = consumer->link;
    RESV_ASSERT(!partition->assigned);
    partition->assigned = true;
    partition->next_offset = partition->passed = partition->committed = -1;
    partition->generation++;
    partition->edges_wanted = KAFKA_EDGES_NONE;
    partition->queue = rd_kafka_queue_get_partition(consumer->client->handle,
                                                    kafka_link_topic(link), partition->number);
    RESV_ASSERT(partition->queue != NULL);
    rd_kafka_queue_forward(partition->queue, NULL);
    kafka_client_watch(link, partition->queue);
    consumer->assigned++;
}

static void partitions_come(struct kafka_consumer *consumer,
                            const rd_kafka_topic_partition_list_t *come)
{
    struct kafka_link *link = consumer->link;
    kafka_consumer_tell_client(consumer); /* of none yet: it waits for the call */
    for (int i = 0; i < come->cnt; i++) {
        int32_t number = come->elems[i].partition;
        if (consumer->closing)
            continue;
        if (number >= link->partition_count) {
            link->changed_partitions = true;
            kafka_link_say_health(link);
        } else if (!consumer->partitions[number].assigned) {
            assign(&consumer->partitions[number]);
        }
    }
    for (int i = 0; i < come->cnt && link->state == KAFKA_OPEN; i++) {
        if (come->elems[i].partition < link->partition_count)
            link->events.assigned(link->events.data, come->elems[i].partition);
    }
}

/* --- partitions go ------------------------------------------------------------------------------
 */

static void unassign(struct kafka_partition *partition)
{
    kafka_records_drop(partition);
    kafka_client_unwatch(partition->queue);
    rd_kafka_queue_destroy(partition->queue);
    partition->queue = NULL;
    partition->assigned = false;
    partition->in_client = false;
    partition->requested = false;
    partition->limited = false;
    partition->generation++;
    partition->edges_wanted = KAFKA_EDGES_NONE;
    partition->end_wanted = partition->end_asking = false;
    partition->consumer->assigned--;
}

static void partitions_go(struct kafka_consumer *consumer)
{
    struct kafka_link *link = consumer->link;
    bool lost = rd_kafka_assignment_lost(consumer->client->handle) != 0;
    if (!lost)
        commit(consumer);
    tell(consumer, NULL);
    for (int32_t i = 0; i < link->partition_count; i++) {
        if (!consumer->partitions[i].assigned)
            continue;
        unassign(&consumer->partitions[i]);
        if (link->state == KAFKA_OPEN)
            link->events.revoked(link->events.data, i);
    }
    if (lost)
        kafka_log_say(link, RESV_LOG_WARNING, "kafka partitions lost",
                      "the group has given them to others: this process was away too long");
}

void kafka_consumer_rebalance(struct kafka_client *client, rd_kafka_event_t *event)
{
    struct kafka_link *link = client->link;
    struct kafka_consumer *consumer = link->consumer;
    RESV_ASSERT(consumer != NULL && consumer->client == client);
    const rd_kafka_topic_partition_list_t *partitions = rd_kafka_event_topic_partition_list(event);
    rd_kafka_resp_err_t what = rd_kafka_event_error(event);
    char count[16];
    snprintf(count, sizeof count, "%d", partitions->cnt);
    kafka_count(link, KAFKA_METRIC_REBALANCES, 1);
    if (what == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        resv_log(link->host, RESV_LOG_INFO, "kafka partitions assigned", "count", count, NULL);
        partitions_come(consumer, partitions);
    } else {
        resv_log(link->host, RESV_LOG_INFO, "kafka partitions revoked", "count", count, NULL);
        partitions_go(consumer);
    }
    kafka_gauge(link, KAFKA_METRIC_PARTITIONS, consumer->assigned);
}

/* --- from time to time --------------------------------------------------------------------------
 */

void kafka_consumer_go_on(struct kafka_consumer *consumer)
{
    if (consumer->closing || consumer->client == NULL)
        return;
    if (consumer->requests)
        kafka_records_apply_requests(consumer);
    bool thorough = consumer->thorough;
    consumer->thorough = false;
    kafka_records_count_common(consumer);
    for (int32_t i = 0; i < consumer->link->partition_count; i++)
        kafka_records_collect(&consumer->partitions[i], thorough);
    kafka_edges_go_on(consumer);
}

void kafka_consumer_tick(struct kafka_consumer *consumer)
{
    struct kafka_link *link = consumer->link;
    if (consumer->closing || consumer->client == NULL || link->state != KAFKA_OPEN)
        return;
    consumer->thorough = true;
    uint64_t now_ns = resv_now_ns(link->host);
    if (now_ns - consumer->commit_ns < COMMIT_NS)
        return;
    consumer->commit_ns = now_ns;
    commit(consumer);
    kafka_consumer_say_lag(consumer);
}

void kafka_consumer_end(struct kafka_consumer *consumer)
{
    for (int32_t i = 0; i < consumer->link->partition_count; i++) {
        if (consumer->partitions[i].assigned)
            unassign(&consumer->partitions[i]);
    }
}

bool kafka_consumer_close(struct kafka_consumer *consumer)
{
    struct kafka_client *client = consumer->client;
    if (consumer->closing)
        return rd_kafka_consumer_closed(client->handle) != 0;
    consumer->closing = true;
    commit(consumer);
    for (int32_t i = 0; i < consumer->link->partition_count; i++) {
        struct kafka_partition *partition = &consumer->partitions[i];
        kafka_records_drop(partition);
    }
    client->close_queue = rd_kafka_queue_new(client->handle);
    kafka_client_watch(consumer->link, client->close_queue);
    rd_kafka_error_t *error = rd_kafka_consumer_close_queue(client->handle, client->close_queue);
    bool failed = error != NULL;
    rd_kafka_error_destroy(error);
    return failed || rd_kafka_consumer_closed(client->handle) != 0;
}
