/* Dead letters: read from the beginning to the end by a consumer that lives just as long.
 *
 * It joins no group. Each partition's end is told once it is reached; the deadline ends what does
 * not come to an end. */
#include <stdio.h>
#include <stdlib.h>

#include "kafka_internal.h"
#include "resvd/assert.h"

static void finish(struct kafka_link *link, bool complete)
{
    struct kafka_letters *letters = link->letters_first;
    struct kafka_client *client = link->letters_client;
    link->letters_first = letters->next;
    if (link->letters_first == NULL)
        link->letters_last = &link->letters_first;
    link->letters_client = NULL;
    resv_timer_stop(link->host, &link->letters_deadline);
    if (client != NULL)
        client->retired = true; /* ends when nothing of it is on the stack */
    kafka_link_go_on(link);
    letters->done(letters, complete);
}

static bool begin(struct kafka_link *link)
{
    char why[KAFKA_TEXT_SIZE];
    resv_timer_start(link->host, &link->letters_deadline, (uint64_t)link->settings.timeout_ms);
    link->letters_client = kafka_client_create(link, KAFKA_LETTERS, why, sizeof why);
    if (link->letters_client == NULL) {
        kafka_log_say(link, RESV_LOG_ERROR, "dead letters cannot be read", why);
        return false;
    }
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new(link->letter_partitions);
    for (int32_t i = 0; i < link->letter_partitions; i++)
        rd_kafka_topic_partition_list_add(list, link->settings.topics[KAFKA_DEAD_LETTERS], i)
            ->offset = RD_KAFKA_OFFSET_BEGINNING;
    link->letters_open = link->letter_partitions;
    rd_kafka_resp_err_t error = rd_kafka_assign(link->letters_client->handle, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
        kafka_log_say(link, RESV_LOG_ERROR, "dead letters cannot be read", rd_kafka_err2str(error));
    return error == RD_KAFKA_RESP_ERR_NO_ERROR;
}

static void take_record(struct kafka_link *link, const rd_kafka_message_t *message)
{
    rd_kafka_timestamp_type_t type;
    const struct kafka_record record = {
        .offset = message->offset,
        .timestamp_ms = rd_kafka_message_timestamp(message, &type),
        .key = message->key,
        .key_size = message->key_len,
        .payload = message->payload,
        .payload_size = message->len,
    };
    link->letters_first->letter(link->letters_first, &record);
}

void kafka_letters_event(struct kafka_client *client, rd_kafka_event_t *event)
{
    struct kafka_link *link = client->link;
    if (link->letters_client != client)
        return; /* it has been given up */
    if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR) {
        rd_kafka_resp_err_t error = rd_kafka_event_error(event);
        if (error != RD_KAFKA_RESP_ERR__PARTITION_EOF)
            kafka_log_say(link, RESV_LOG_WARNING, "dead letters cannot be read",
                          rd_kafka_event_error_string(event));
        else if (--link->letters_open == 0)
            finish(link, true);
        return;
    }
    for (const rd_kafka_message_t *message; (message = rd_kafka_event_message_next(event));) {
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR && link->letters_client == client)
            take_record(link, message);
    }
}

static void on_deadline(struct resv_timer *timer)
{
    struct kafka_link *link = timer->data;
    if (link->letters_first != NULL)
        finish(link, false);
}

void kafka_letters_init(struct kafka_link *link)
{
    link->letters_deadline = (struct resv_timer){.fired = on_deadline, .data = link};
}

void kafka_letters_go_on(struct kafka_link *link)
{
    if (link->letters_first == NULL || link->letters_client != NULL)
        return;
    if (link->state != KAFKA_OPEN || !begin(link))
        finish(link, false);
}

void kafka_letters_abort(struct kafka_link *link)
{
    while (link->letters_first != NULL)
        finish(link, false);
}

void kafka_read_letters(struct kafka_link *link, struct kafka_letters *letters)
{
    letters->next = NULL;
    *link->letters_last = letters;
    link->letters_last = &letters->next;
    kafka_link_go_on(link);
}
