/* Where a partition begins and ends, as brokers say when they are asked: that is then, and is told
 * later. */
#include <inttypes.h>

#include "resvd/assert.h"
#include "sim_kafka_link.h"

static void ask_soon(struct link_partition *partition)
{
    struct sim_kafka *kafka = partition->link->kafka;
    schedule_no_later(&kafka->world->schedule, &partition->ask, kafka_network_ns(kafka));
}

/* The question arrives, or nobody answers it. */
static void ask(struct sim_event *event)
{
    struct link_partition *partition = event->data;
    struct kafka_link *link = partition->link;
    struct sim_kafka *kafka = link->kafka;
    struct sim_schedule *schedule = &kafka->world->schedule;
    if (link->dead || link->closing || !partition->assigned)
        return;
    if (!kafka_reaches(link) || !kafka_leads(kafka, KAFKA_EVENTS, partition->number)) {
        schedule_after(schedule, &partition->ask,
                       (50 + chance_below(&kafka->world->chance, 100)) * NS_PER_MS);
        return;
    }
    partition->end_wanted = false;
    partition->begin = kafka_first(kafka, KAFKA_EVENTS, partition->number);
    partition->end = kafka_end(kafka, KAFKA_EVENTS, partition->number);
    schedule_after(schedule, &partition->answer, kafka_network_ns(kafka));
}

static void answer(struct sim_event *event)
{
    struct link_partition *partition = event->data;
    struct kafka_link *link = partition->link;
    if (link->dead || link->closing || !partition->assigned)
        return;
    SIM_TRACE(link->kafka->world, link->host->who, "partition %d ends at %" PRId64,
              (int)partition->number, partition->end);
    if (partition->end_wanted)
        ask_soon(partition);
    link->inside++;
    link->events.end(link->events.data, partition->number, partition->begin, partition->end);
    link->inside--;
}

void kafka_find_end(struct kafka_link *link, int32_t number)
{
    RESV_ASSERT(link->opened && link->config.consumes && number >= 0 &&
                number < kafka_partitions(link->kafka, KAFKA_EVENTS));
    struct link_partition *partition = &link->partitions[number];
    if (!partition->assigned || link->closing)
        return; /* `revoked` was told, or need not be any more */
    partition->end_wanted = true;
    if (!schedule_has(&partition->answer))
        ask_soon(partition);
}

void ends_open(struct link_partition *partition)
{
    partition->ask = sim_host_event(partition->link->host, ask, partition);
    partition->answer = sim_host_event(partition->link->host, answer, partition);
}

void ends_drop(struct link_partition *partition)
{
    struct sim_schedule *schedule = &partition->link->kafka->world->schedule;
    partition->end_wanted = false;
    schedule_cancel(schedule, &partition->ask);
    schedule_cancel(schedule, &partition->answer);
}
