/* One librdkafka handle: its queues, what comes out of them, and its end.
 *
 * librdkafka writes to the event descriptor when an empty queue gets something, and not again until
 * the queue has been looked at: so every queue is emptied each time.
 * A queue's handle is unwatched before it is let go: librdkafka keeps the queue, and would write to
 * whatever has the descriptor's number by then. */
#include <stdio.h>
#include <stdlib.h>

#include "kafka_internal.h"
#include "resvd/assert.h"

#define EVENTS_MAX                                                                                 \
    4096 /* of one queue in one turn; a delivery report counts once for its batch                  \
          */

void kafka_client_watch(struct kafka_link *link, rd_kafka_queue_t *queue)
{
    static const uint64_t one = 1;
    rd_kafka_queue_io_event_enable(queue, link->event_descriptor, &one, sizeof one);
}

void kafka_client_unwatch(rd_kafka_queue_t *queue)
{
    rd_kafka_queue_io_event_enable(queue, -1, NULL, 0);
}

struct kafka_client *kafka_client_create(struct kafka_link *link, enum kafka_client_kind kind,
                                         char *why, size_t why_size)
{
    struct kafka_client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        snprintf(why, why_size, "out of memory");
        return NULL;
    }
    client->link = link;
    client->kind = kind;
    rd_kafka_conf_t *conf = kafka_conf_create(link, kind, why, why_size);
    if (conf == NULL) {
        free(client);
        return NULL;
    }
    rd_kafka_type_t type = kind == KAFKA_PRODUCER ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER;
    client->handle = rd_kafka_new(type, conf, why, why_size);
    if (client->handle == NULL) {
        rd_kafka_conf_destroy(conf);
        free(client);
        return NULL;
    }
    rd_kafka_set_log_queue(client->handle, NULL);
    client->main_queue = rd_kafka_queue_get_main(client->handle);
    kafka_client_watch(link, client->main_queue);
    if (kind != KAFKA_PRODUCER) {
        client->consumer_queue = rd_kafka_queue_get_consumer(client->handle);
        kafka_client_watch(link, client->consumer_queue);
    }
    client->next = link->clients;
    link->clients = client;
    kafka_link_go_on(link); /* what came before it was watched */
    return client;
}

/* --- what comes --------------------------------------------------------------------------------
 */

static void take_error(struct kafka_client *client, rd_kafka_event_t *event)
{
    if (client->kind == KAFKA_LETTERS)
        kafka_letters_event(client, event);
    else if (rd_kafka_event_error_is_fatal(event))
        kafka_producer_fatal(client);
    else
        kafka_link_error(client, rd_kafka_event_error(event), rd_kafka_event_error_string(event));
}

static void take(struct kafka_client *client, rd_kafka_event_t *event)
{
    switch (rd_kafka_event_type(event)) {
    case RD_KAFKA_EVENT_DR:
        kafka_producer_delivered(client, event);
        return;
    case RD_KAFKA_EVENT_FETCH:
        if (client->kind == KAFKA_LETTERS)
            kafka_letters_event(client, event);
        return; /* of a partition that has no queue of its own any more: not ours */
    case RD_KAFKA_EVENT_ERROR:
        take_error(client, event);
        return;
    case RD_KAFKA_EVENT_REBALANCE:
        kafka_consumer_rebalance(client, event);
        return;
    case RD_KAFKA_EVENT_STATS:
        kafka_stats_take(client, rd_kafka_event_stats(event));
        return;
    case RD_KAFKA_EVENT_LOG:
        kafka_log_line(client, event);
        return;
    case RD_KAFKA_EVENT_CREATETOPICS_RESULT:
        kafka_topics_created(client, event);
        return;
    case RD_KAFKA_EVENT_DESCRIBECONFIGS_RESULT:
        kafka_topics_described(client, event);
        return;
    }
}

static bool serve(struct kafka_client *client, rd_kafka_queue_t *queue)
{
    for (unsigned i = 0; queue != NULL && i < EVENTS_MAX; i++) {
        rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 0);
        if (event == NULL)
            return true;
        take(client, event);
        rd_kafka_event_destroy(event);
    }
    return queue == NULL;
}

bool kafka_client_serve(struct kafka_client *client)
{
    if (client->destroying)
        return true;
    bool all = serve(client, client->main_queue);
    all = serve(client, client->consumer_queue) && all;
    return serve(client, client->close_queue) && all;
}

/* --- its end -----------------------------------------------------------------------------------
 */

static void end(uv_work_t *work)
{
    struct kafka_client *client = work->data;
    /* Whatever a consumer has to say has been said, or took too long. */
    rd_kafka_destroy_flags(client->handle, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

static void ended(uv_work_t *work, int status)
{
    struct kafka_client *client = work->data;
    struct kafka_link *link = client->link;
    RESV_ASSERT(status == 0);
    struct kafka_client **place = &link->clients;
    while (*place != client)
        place = &(*place)->next;
    *place = client->next;
    free(client);
    kafka_link_go_on(link);
}

static void let_go(rd_kafka_queue_t **queue)
{
    if (*queue == NULL)
        return;
    kafka_client_unwatch(*queue);
    rd_kafka_queue_destroy(*queue);
    *queue = NULL;
}

void kafka_client_destroy(struct kafka_client *client)
{
    RESV_ASSERT(!client->destroying && client->under_way == 0);
    client->destroying = true;
    let_go(&client->close_queue);
    let_go(&client->consumer_queue);
    let_go(&client->main_queue);
    for (size_t i = 0; i < KAFKA_TARGETS; i++) {
        if (client->topics[i] != NULL)
            rd_kafka_topic_destroy(client->topics[i]);
    }
    client->work.data = client;
    RESV_ASSERT(uv_queue_work(resv_host_loop(client->link->host), &client->work, end, ended) == 0);
}
