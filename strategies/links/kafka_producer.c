/* Events out: publish, what became of each, and a new producer after a fatal error.
 *
 * Every event that was published is told of exactly once: by the delivery report that librdkafka
 * owes for each message, or, where librdkafka did not take it, from the list of refused ones.
 *
 * Persisted is what Kafka has told an offset of. librdkafka says so, too, of a message that was
 * refused for a while (its partition's leader had changed, or was not there yet) when one that was
 * sent behind it was taken: it holds that a broker takes them in their order only. A broker does
 * not while it has nothing of this producer in that partition (Kafka's ProducerStateManager takes
 * any sequence number then), and the message is in no log. So
 *  - one request is under way on a connection at most (kafka_properties.c): nothing is behind it;
 *  - what is told as persisted without an offset is published once more. It may be in the log twice
 *    then, or behind later ones, as if another process had published it. The offsets behind such a
 *    one in a report are none either: librdkafka counts on from the -1 of a refusal.
 *
 * The partition follows from the key and the number of partitions at the start: should the topic
 * get more, the events of a key stay together as long as this process lives. */
#include <stdio.h>

#include "kafka_internal.h"
#include "resvd/assert.h"

#define PRODUCER_PAUSE_NS 1000000000ULL /* from one to the next */

bool kafka_producer_create(struct kafka_link *link, char *why, size_t why_size)
{
    RESV_ASSERT(link->producer == NULL);
    struct kafka_client *client = kafka_client_create(link, KAFKA_PRODUCER, why, why_size);
    if (client == NULL)
        return false;
    link->producer_made_ns = resv_now_ns(link->host);
    kafka_count(link, KAFKA_METRIC_PRODUCERS, 1);
    for (size_t i = 0; i < KAFKA_TARGETS; i++) {
        client->topics[i] = rd_kafka_topic_new(client->handle, link->settings.topics[i], NULL);
        if (client->topics[i] == NULL) {
            snprintf(why, why_size, "topic '%s': %s", link->settings.topics[i],
                     rd_kafka_err2str(rd_kafka_last_error()));
            client->retired = true;
            return false;
        }
    }
    link->producer = client;
    return true;
}

/* --- publish ------------------------------------------------------------------------------------
 */

size_t kafka_room(const struct kafka_link *link)
{
    if (link->state != KAFKA_OPEN || link->producer == NULL)
        return 0;
    return link->config.events_max - link->under_way;
}

static int32_t partition_of(const struct kafka_link *link, const struct kafka_event *event)
{
    int32_t count = event->target == KAFKA_EVENTS ? link->partition_count : link->letter_partitions;
    /* The same as Java's clients, and all others with the partitioner murmur2. */
    return rd_kafka_msg_partitioner_murmur2(link->producer->topics[event->target], event->key,
                                            event->key_size, count, NULL, NULL);
}

void kafka_publish(struct kafka_link *link, struct kafka_event *event)
{
    RESV_ASSERT(kafka_room(link) > 0);
    struct kafka_client *client = link->producer;
    event->result = KAFKA_NOT_PERSISTED;
    event->offset = -1;
    event->repeated = false;
    event->partition = partition_of(link, event);
    link->under_way++;
    /* One without bytes has no value at all: that ends a letter where the topic is compacted. */
    void *payload = event->payload_size > 0 ? (void *)(uintptr_t)event->payload : NULL;
    if (rd_kafka_produce(client->topics[event->target], event->partition, RD_KAFKA_MSG_F_COPY,
                         payload, event->payload_size, event->key, event->key_size, event) == 0) {
        client->under_way++;
        return;
    }
    link->undelivered++;
    link->undelivered_error = rd_kafka_last_error();
    event->next = NULL;
    *link->refused_last = event;
    link->refused_last = &event->next;
    kafka_link_go_on(link);
}

/* --- what became of them ------------------------------------------------------------------------
 */

static void finish(struct kafka_link *link, struct kafka_event *event)
{
    static const size_t metrics[] = {
        [KAFKA_PERSISTED] = KAFKA_METRIC_PERSISTED,
        [KAFKA_NOT_PERSISTED] = KAFKA_METRIC_NOT_PERSISTED,
        [KAFKA_POSSIBLY_PERSISTED] = KAFKA_METRIC_POSSIBLY,
    };
    RESV_ASSERT(link->under_way > 0);
    link->under_way--;
    kafka_count(link, metrics[event->result], 1);
    event->done(event);
}

/* With these a broker refuses what it may have written already: its segment has the bytes, then the
 * index or the sync fails. librdkafka calls that not persisted; a broker that starts again finds it
 * in its log. All other refusals come before anything is written. */
static bool may_be_written(rd_kafka_resp_err_t error)
{
    return error == RD_KAFKA_RESP_ERR_UNKNOWN || error == RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR;
}

static enum kafka_result result_of(const rd_kafka_message_t *message, bool has_offset)
{
    const struct kafka_event *event = message->_private;
    switch (rd_kafka_message_status(message)) {
    case RD_KAFKA_MSG_STATUS_PERSISTED:
        return has_offset ? KAFKA_PERSISTED : KAFKA_POSSIBLY_PERSISTED;
    case RD_KAFKA_MSG_STATUS_NOT_PERSISTED:
        return event->repeated || may_be_written(message->err) ? KAFKA_POSSIBLY_PERSISTED
                                                               : KAFKA_NOT_PERSISTED;
    case RD_KAFKA_MSG_STATUS_POSSIBLY_PERSISTED:
        break;
    }
    return KAFKA_POSSIBLY_PERSISTED;
}

/* What librdkafka takes for persisted, and has no offset: once more. False: that is not possible.
 */
static bool repeat(struct kafka_client *client, const rd_kafka_message_t *message)
{
    struct kafka_link *link = client->link;
    struct kafka_event *event = message->_private;
    if (rd_kafka_message_status(message) != RD_KAFKA_MSG_STATUS_PERSISTED || event->repeated ||
        client->retired || link->state != KAFKA_OPEN ||
        rd_kafka_produce(client->topics[event->target], event->partition, RD_KAFKA_MSG_F_COPY,
                         message->payload, message->len, message->key, message->key_len,
                         event) != 0)
        return false;
    event->repeated = true;
    client->under_way++;
    kafka_count(link, KAFKA_METRIC_REPEATED, 1);
    return true;
}

void kafka_producer_delivered(struct kafka_client *client, rd_kafka_event_t *report)
{
    struct kafka_link *link = client->link;
    bool has_offset = true;
    for (const rd_kafka_message_t *message; (message = rd_kafka_event_message_next(report));) {
        struct kafka_event *event = message->_private;
        RESV_ASSERT(client->under_way > 0);
        client->under_way--;
        has_offset = has_offset && message->offset >= 0;
        event->result = result_of(message, has_offset);
        if (event->result == KAFKA_POSSIBLY_PERSISTED && repeat(client, message))
            continue;
        if (event->result == KAFKA_PERSISTED) {
            event->partition = message->partition;
            event->offset = message->offset;
            kafka_link_set_up(link, true);
        } else {
            link->undelivered++;
            link->undelivered_error = message->err;
        }
        kafka_observe_us(link, KAFKA_METRIC_DELIVERY_SECONDS, rd_kafka_message_latency(message));
        finish(link, event);
    }
}

static void tell_refused(struct kafka_link *link)
{
    struct kafka_event *event = link->refused_first;
    link->refused_first = NULL; /* what is refused from inside comes the next time */
    link->refused_last = &link->refused_first;
    while (event != NULL) {
        struct kafka_event *next = event->next;
        finish(link, event);
        event = next;
    }
}

void kafka_producer_tick(struct kafka_link *link)
{
    if (link->undelivered == 0)
        return;
    char count[24];
    snprintf(count, sizeof count, "%zu", link->undelivered);
    link->undelivered = 0;
    resv_log(link->host, RESV_LOG_WARNING, "events not delivered", "count", count, "last",
             rd_kafka_err2str(link->undelivered_error), NULL);
}

/* --- one after the other ------------------------------------------------------------------------
 */

void kafka_producer_retire(struct kafka_client *client)
{
    client->retired = true;
    if (client->link->producer == client)
        client->link->producer = NULL;
    rd_kafka_purge(client->handle, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
                                       RD_KAFKA_PURGE_F_NON_BLOCKING);
    kafka_link_go_on(client->link);
}

void kafka_producer_fatal(struct kafka_client *client)
{
    struct kafka_link *link = client->link;
    char reason[KAFKA_TEXT_SIZE] = "";
    rd_kafka_resp_err_t error = rd_kafka_fatal_error(client->handle, reason, sizeof reason);
    if (client->kind != KAFKA_PRODUCER) {
        snprintf(link->stuck, sizeof link->stuck,
                 "the consumer cannot go on, restart resvd: %.400s", reason);
        kafka_link_say_health(link);
        return;
    }
    if (client->retired)
        return;
    resv_log(link->host, RESV_LOG_ERROR, "kafka producer failed, making another", "error",
             rd_kafka_err2name(error), "detail", reason, NULL);
    kafka_producer_retire(client);
}

static void replace(struct kafka_link *link)
{
    char why[KAFKA_TEXT_SIZE];
    if (resv_now_ns(link->host) - link->producer_made_ns < PRODUCER_PAUSE_NS)
        return; /* the tick comes back */
    if (!kafka_producer_create(link, why, sizeof why))
        kafka_log_say(link, RESV_LOG_ERROR, "no kafka producer", why);
}

void kafka_producer_go_on(struct kafka_link *link)
{
    tell_refused(link);
    for (struct kafka_client *client = link->clients; client != NULL; client = client->next) {
        /* That of the letters is retired too when it is done. */
        if (client->retired && !client->destroying && client->under_way == 0)
            kafka_client_destroy(client);
    }
    if (link->state == KAFKA_OPEN && link->producer == NULL)
        replace(link);
}
