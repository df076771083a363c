/* The life of the Kafka link: its event descriptor, its turn of work, up and down, health.
 *
 *   CREATED ──► STARTING ──► OPEN ──► CLOSING ──► freed
 *                   └──► FAILED ──────────┘
 *
 * All that the link does happens in one of three places: its event descriptor is readable, its
 * deferred call (kafka_link_go_on) comes, or the tick, which is there for what has no event of its
 * own. A call from outside only notes what is wanted and asks for the deferred call. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "kafka_internal.h"
#include "resvd/assert.h"

#define TICK_MS 200

/* --- what the strategy asks ---------------------------------------------------------------------
 */

bool kafka_link_is_up(const struct kafka_link *link)
{
    return link->up;
}

int32_t kafka_link_partition_count(const struct kafka_link *link)
{
    return link->partition_count;
}

const char *kafka_link_topic(const struct kafka_link *link)
{
    return link->settings.topics[KAFKA_EVENTS];
}

bool kafka_link_is_closing(const struct kafka_link *link)
{
    return link->state == KAFKA_CLOSING;
}

/* --- health -------------------------------------------------------------------------------------
 */

void kafka_link_say_health(struct kafka_link *link)
{
    if (link->state != KAFKA_OPEN)
        return;
    char text[KAFKA_TEXT_SIZE * 2] = "";
    enum resv_health_state state = RESV_HEALTH_DOWN;
    if (!link->up)
        snprintf(text, sizeof text, "no broker of %s answers: %s", link->settings.servers,
                 link->said);
    else if (link->changed_partitions)
        snprintf(text, sizeof text,
                 "topic '%s' has another number of partitions than the %d at the start: restart "
                 "all resvd processes at once, with nothing pending, or events of one concert are "
                 "on two partitions",
                 kafka_link_topic(link), (int)link->partition_count);
    else if (link->stuck[0] != '\0')
        snprintf(text, sizeof text, "%s", link->stuck);
    else
        state = RESV_HEALTH_UP;
    resv_host_health(link->host, KAFKA_COMPONENT, state, link->round_trip_ns,
                     text[0] == '\0' ? NULL : text);
}

void kafka_link_set_up(struct kafka_link *link, bool up)
{
    if (link->up == up)
        return;
    link->up = up;
    kafka_gauge(link, KAFKA_METRIC_UP, up ? 1 : 0);
    kafka_link_say_health(link);
    kafka_link_go_on(link); /* which tells the strategy */
}

void kafka_link_error(struct kafka_client *client, rd_kafka_resp_err_t error, const char *reason)
{
    struct kafka_link *link = client->link;
    if (error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        if (client == link->producer)
            kafka_link_set_up(link, false);
        return; /* says less than what came before it */
    }
    bool refused = kafka_error_is_refusal(error);
    snprintf(link->said, sizeof link->said, "%s", reason == NULL ? "" : reason);
    if (link->state == KAFKA_STARTING && refused) {
        kafka_start_fail(link, KAFKA_EXIT_CONFIG, link->said);
        return;
    }
    kafka_log_say(link, refused ? RESV_LOG_ERROR : RESV_LOG_WARNING, "kafka trouble", link->said);
}

/* --- the turn of work ---------------------------------------------------------------------------
 */

void kafka_link_go_on(struct kafka_link *link)
{
    resv_defer(link->host, &link->go_on);
}

void kafka_link_drain(struct kafka_link *link)
{
    uint64_t count = 0;
    ssize_t size = read(link->event_descriptor, &count, sizeof count);
    RESV_ASSERT(size == (ssize_t)sizeof count || (size < 0 && errno == EAGAIN));
    bool all = true;
    /* New ones come in front; none goes while this runs. */
    for (struct kafka_client *client = link->clients; client != NULL; client = client->next)
        all = kafka_client_serve(client) && all;
    if (link->consumer != NULL)
        kafka_consumer_go_on(link->consumer);
    if (!all)
        kafka_link_go_on(link);
}

static void tell_up(struct kafka_link *link)
{
    if (link->state != KAFKA_OPEN || link->up == link->up_told)
        return;
    link->up_told = link->up;
    link->events.up_changed(link->events.data);
}

static void on_go_on(struct resv_deferred *deferred)
{
    struct kafka_link *link = deferred->data;
    if (link->event_descriptor >= 0)
        kafka_link_drain(link);
    kafka_producer_go_on(link);
    tell_up(link);
    kafka_letters_go_on(link);
    if (link->state == KAFKA_CLOSING)
        kafka_close_go_on(link); /* the last: it may free the link */
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct kafka_link *link = poll->data;
    (void)status;
    (void)events;
    kafka_link_drain(link);
    tell_up(link);
    if (link->state == KAFKA_CLOSING)
        kafka_link_go_on(link);
}

static void on_tick(struct resv_timer *timer)
{
    struct kafka_link *link = timer->data;
    resv_timer_start(link->host, &link->tick, TICK_MS);
    kafka_log_tick(link);
    kafka_producer_tick(link);
    kafka_gauge(link, KAFKA_METRIC_UNDER_WAY, (int64_t)link->under_way);
    if (link->consumer != NULL)
        kafka_consumer_tick(link->consumer);
    kafka_link_go_on(link);
}

int kafka_link_open_events(struct kafka_link *link)
{
    link->event_descriptor = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (link->event_descriptor < 0)
        return -errno;
    int error = uv_poll_init(resv_host_loop(link->host), &link->poll, link->event_descriptor);
    if (error != 0) {
        close(link->event_descriptor);
        link->event_descriptor = -1;
        return error;
    }
    link->poll.data = link;
    RESV_ASSERT(uv_poll_start(&link->poll, UV_READABLE, on_readable) == 0);
    resv_timer_start(link->host, &link->tick, TICK_MS);
    return 0;
}

/* --- interrupt and close ------------------------------------------------------------------------
 */

void kafka_link_interrupt(struct kafka_link *link)
{
    for (struct kafka_client *client = link->clients; client != NULL; client = client->next) {
        if (client->kind == KAFKA_PRODUCER && !client->destroying)
            rd_kafka_purge(client->handle, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
                                               RD_KAFKA_PURGE_F_NON_BLOCKING);
    }
    resv_timer_start(link->host, &link->letters_deadline, 0);
}

void kafka_link_close(struct kafka_link *link)
{
    RESV_ASSERT(link->state != KAFKA_CLOSING && link->under_way == 0);
    if (link->state == KAFKA_CREATED) {
        kafka_close_free(link); /* nothing to wait for, and after a failed open nobody who waits */
        return;
    }
    link->state = KAFKA_CLOSING;
    kafka_link_go_on(link);
}

/* --- create -------------------------------------------------------------------------------------
 */

/* Says at --check-config already what librdkafka does not take together. */
static bool can_configure(struct kafka_link *link, char *why, size_t why_size)
{
    char said[KAFKA_TEXT_SIZE];
    if (strcmp(link->settings.topics[KAFKA_EVENTS], link->settings.topics[KAFKA_DEAD_LETTERS]) ==
        0) {
        snprintf(why, why_size, "[kafka] topic and dead_letter_topic are the same: '%s'",
                 link->settings.topics[KAFKA_EVENTS]);
        return false;
    }
    for (enum kafka_client_kind kind = KAFKA_PRODUCER; kind <= KAFKA_LETTERS; kind++) {
        rd_kafka_conf_t *conf = kafka_conf_create(link, kind, said, sizeof said);
        if (conf == NULL) {
            snprintf(why, why_size, "[kafka] %s", said);
            return false;
        }
        rd_kafka_conf_destroy(conf);
    }
    return true;
}

struct kafka_link *kafka_link_create(struct resv_host *host, const struct kafka_link_config *config,
                                     const struct kafka_link_events *events)
{
    RESV_ASSERT(config->events_max >= 1 && config->payload_max >= 1);
    RESV_ASSERT(!config->consumes || config->records_max >= 1);
    struct kafka_link *link = calloc(1, sizeof *link);
    if (link == NULL) {
        resv_host_start_failed(host, KAFKA_EXIT_FAILURE, "out of memory");
        return NULL;
    }
    link->host = host;
    link->config = *config;
    link->events = *events;
    link->event_descriptor = -1;
    link->refused_last = &link->refused_first;
    link->letters_last = &link->letters_first;
    link->go_on = (struct resv_deferred){.run = on_go_on, .data = link};
    link->tick = (struct resv_timer){.fired = on_tick, .data = link};
    kafka_letters_init(link);
    kafka_start_init(link);
    kafka_settings_read(host, &link->settings);
    char why[KAFKA_TEXT_SIZE * 2];
    if (!can_configure(link, why, sizeof why)) {
        free(link);
        resv_host_start_failed(host, KAFKA_EXIT_CONFIG, why);
        return NULL;
    }
    return link;
}
