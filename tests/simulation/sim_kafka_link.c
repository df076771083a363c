/* The simulated Kafka link: its life, its options, whether it finds a broker, and what is published
 * on it. */
#include "sim_kafka_link.h"

#include <stdlib.h>

#include "resvd/assert.h"

enum option { OPTION_TOPIC, OPTION_TIMEOUT_MS };

static const struct resv_option options[] = {
    [OPTION_TOPIC] = {.key = "topic", .type = RESV_OPTION_STRING, .default_text = "resvd-events"},
    [OPTION_TIMEOUT_MS] = {.key = "timeout_ms",
                           .type = RESV_OPTION_INTEGER,
                           .default_text = "5000",
                           .minimum = 100,
                           .maximum = 600000},
};

const struct resv_option_table kafka_options = {
    .section = "kafka", .options = options, .count = sizeof options / sizeof options[0]};

const struct resv_metric_table kafka_metrics = {.count = 0};

/* --- what the strategy asks ------------------------------------------------------------------- */

bool kafka_link_is_up(const struct kafka_link *link)
{
    return link->up;
}

int32_t kafka_link_partition_count(const struct kafka_link *link)
{
    return link->opened ? kafka_partitions(link->kafka, KAFKA_EVENTS) : 0;
}

const char *kafka_link_topic(const struct kafka_link *link)
{
    return resv_option_string(link->host, &kafka_options, OPTION_TOPIC);
}

size_t kafka_room(const struct kafka_link *link)
{
    if (!link->opened || link->closing ||
        link->kafka->world->schedule.now_ns < link->producer_back_ns)
        return 0;
    return link->config.events_max - link->under_way;
}

static bool is_under_way(const struct kafka_link *link, const struct kafka_event *event)
{
    const struct sim_sending *sending = link->sendings;
    while (sending != NULL && sending->event != event)
        sending = sending->link_next;
    return sending != NULL;
}

void kafka_publish(struct kafka_link *link, struct kafka_event *event)
{
    RESV_ASSERT(kafka_room(link) > 0);
    RESV_ASSERT(event->payload_size <= link->config.payload_max);
    RESV_ASSERT(event->key_size > 0 && event->done != NULL && !is_under_way(link, event));
    event->result = KAFKA_NOT_PERSISTED;
    event->offset = -1;
    event->partition = kafka_partition_of(link->kafka, event->target, event->key, event->key_size);
    SIM_TRACE(link->kafka->world, link->host->who, "publishes%s to partition %d: %.*s",
              event->target == KAFKA_EVENTS ? "" : " a letter", (int)event->partition,
              (int)event->payload_size, event->payload);
    sending_start(link, event);
}

void kafka_link_interrupt(struct kafka_link *link)
{
    sendings_give_up(link);
    letters_hurry(link);
}

void kafka_fail_producer(struct kafka_link *link)
{
    struct sim_world *world = link->kafka->world;
    if (!link->opened || link->dead || link->closing)
        return;
    SIM_TRACE(world, link->host->who, "has a producer that failed, %zu events under way",
              link->under_way);
    link->producer_back_ns =
        world->schedule.now_ns + NS_PER_S + chance_below(&world->chance, 200 * NS_PER_MS);
    sendings_give_up(link);
    lanes_detach(link, true);
}

/* --- up and down ------------------------------------------------------------------------------ */

static void notice(struct sim_event *event)
{
    struct kafka_link *link = event->data;
    struct sim_world *world = link->kafka->world;
    if (link->dead || link->closing)
        return;
    bool up = kafka_reaches(link);
    if (!up)
        schedule_after(&world->schedule, &link->notice,
                       (50 + chance_below(&world->chance, 500)) * NS_PER_MS);
    if (up == link->up)
        return;
    SIM_TRACE(world, link->host->who, "%s", up ? "finds a broker again" : "finds no broker");
    link->up = up;
    link->inside++;
    link->events.up_changed(link->events.data);
    link->inside--;
}

/* --- life ------------------------------------------------------------------------------------- */

/* Again and again until it is open. */
static void start(struct sim_event *event)
{
    struct kafka_link *link = event->data;
    struct sim_world *world = link->kafka->world;
    if (link->closing)
        return;
    if (link->dead || resv_now_ns(link->host) > link->host->start_deadline_ns) {
        link->inside++;
        link->events.open_failed(link->events.data, 69, "no Kafka broker can be reached");
        link->inside--;
        return;
    }
    if (!kafka_reaches(link) || !kafka_works(link->kafka)) {
        schedule_after(&world->schedule, &link->start,
                       (50 + chance_below(&world->chance, 500)) * NS_PER_MS);
        return;
    }
    link->opened = link->up = true;
    if (link->config.consumes)
        group_link_open(link);
    link->inside++;
    link->events.opened(link->events.data);
    link->inside--;
}

static void close_now(struct sim_event *event)
{
    struct kafka_link *link = event->data;
    struct sim_kafka *kafka = link->kafka;
    letters_abort(link);
    lanes_detach(link, false);
    struct sim_event *events[] = {&link->start, &link->notice, &link->close};
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++)
        schedule_cancel(&kafka->world->schedule, events[i]);
    group_link_close(link, true);
    fetch_close(link);
    struct kafka_link **place = &kafka->links;
    while (*place != link)
        place = &(*place)->next;
    *place = link->next;
    link->host->kafka_link = NULL;
    void (*closed)(void *data) = link->events.closed;
    void *data = link->events.data;
    free(link);
    closed(data);
}

struct kafka_link *kafka_link_create(struct resv_host *host, const struct kafka_link_config *config,
                                     const struct kafka_link_events *events)
{
    struct kafka_link *link = calloc(1, sizeof *link);
    RESV_ASSERT(link != NULL && host->kafka_link == NULL && host->world->kafka != NULL);
    RESV_ASSERT(config->events_max >= 1 && config->payload_max >= 1);
    RESV_ASSERT(!config->consumes || config->records_max >= 1);
    link->host = host;
    link->kafka = host->world->kafka;
    link->config = *config;
    link->events = *events;
    link->timeout_ms = (uint64_t)resv_option_integer(host, &kafka_options, OPTION_TIMEOUT_MS);
    link->start = sim_host_event(host, start, link);
    link->notice = sim_host_event(host, notice, link);
    link->close = sim_host_event(host, close_now, link);
    letters_open(link);
    fetch_open(link);
    link->next = link->kafka->links;
    link->kafka->links = link;
    host->kafka_link = link;
    return link;
}

void kafka_link_start(struct kafka_link *link)
{
    struct sim_world *world = link->kafka->world;
    schedule_after(&world->schedule, &link->start, chance_below(&world->chance, 20 * NS_PER_MS));
}

void kafka_link_die(struct kafka_link *link)
{
    link->dead = true;
    link->up = false;
    sendings_give_up(link);
    lanes_detach(link, true);
    group_link_close(link, false);
    letters_hurry(link);
}

/* Closing may be over at once or later. */
void kafka_link_close(struct kafka_link *link)
{
    struct sim_world *world = link->kafka->world;
    RESV_ASSERT(!link->closing && link->under_way == 0);
    link->closing = true;
    if (link->inside == 0 && chance_of(&world->chance, 500000))
        close_now(&link->close);
    else
        schedule_after(&world->schedule, &link->close,
                       1 + chance_skewed(&world->chance, 20 * NS_PER_MS));
}
