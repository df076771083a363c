/* How the Kafka link ends: step by step, none of which waits on the loop.
 *
 *   the consumer leaves its group, calls in the pool end ─► producers are empty
 *     ─► handles end in the pool ─► event descriptor ─► freed, closed
 *
 * Leaving is bounded by CLOSE_MS; then its handle is ended all the same. That waits in the pool for
 * what librdkafka has under way: a commit (session.timeout.ms at most, socket.timeout.ms where the
 * broker has the connection) and its words of leaving (5 s). */
#include <stdlib.h>
#include <unistd.h>

#include "kafka_internal.h"
#include "resvd/assert.h"

#define CLOSE_MS 3000

void kafka_close_free(struct kafka_link *link)
{
    void (*closed)(void *data) = link->events.closed;
    void *data = link->events.data;
    if (link->consumer != NULL)
        kafka_consumer_free(link->consumer);
    resv_timer_stop(link->host, &link->tick);
    resv_timer_stop(link->host, &link->start.retry);
    resv_timer_stop(link->host, &link->letters_deadline);
    resv_defer_cancel(link->host, &link->go_on);
    free(link);
    closed(data);
}

static void poll_closed(uv_handle_t *handle)
{
    struct kafka_link *link = handle->data;
    close(link->event_descriptor);
    kafka_close_free(link);
}

static bool is_late(const struct kafka_link *link)
{
    return resv_now_ns(link->host) >= link->close_deadline_ns;
}

static bool consumer_is_gone(struct kafka_link *link)
{
    struct kafka_consumer *consumer = link->consumer;
    if (consumer == NULL || consumer->client == NULL)
        return true;
    if ((!kafka_consumer_close(consumer) && !is_late(link)) || link->works > 0)
        return false; /* calls in the pool use its handle */
    struct kafka_client *client = consumer->client;
    kafka_consumer_end(consumer);
    consumer->client = NULL;
    kafka_client_destroy(client);
    return true;
}

static void end_producers(struct kafka_link *link)
{
    for (struct kafka_client *client = link->clients; client != NULL; client = client->next) {
        if (client->kind == KAFKA_PRODUCER && !client->retired)
            kafka_producer_retire(client);
    }
    kafka_producer_go_on(link);
}

void kafka_close_go_on(struct kafka_link *link)
{
    if (link->poll_closing)
        return;
    if (link->close_deadline_ns == 0) {
        link->close_deadline_ns = resv_now_ns(link->host) + CLOSE_MS * KAFKA_NS_PER_MS;
        resv_timer_stop(link->host, &link->start.retry);
        kafka_letters_abort(link);
    }
    if (!consumer_is_gone(link) || link->works > 0)
        return;
    end_producers(link);
    if (link->clients != NULL)
        return; /* each that ends brings us here */
    if (link->event_descriptor < 0) {
        kafka_close_free(link);
        return;
    }
    link->poll_closing = true;
    uv_close((uv_handle_t *)&link->poll, poll_closed);
}
