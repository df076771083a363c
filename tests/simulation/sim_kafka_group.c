/* The consumer group. Partitions are called in from everybody, and dealt out when all have given
 * theirs up, or when those who have not have had session_ms: they are out, and go on believing
 * until they hear of it. Invariant: a partition has one owner at most; a link that is no member
 * hears `revoked` of all that it believes in before it becomes one again. */
#include <stdlib.h>

#include "resvd/assert.h"
#include "sim_kafka_link.h"

static struct sim_schedule *schedule_of(const struct sim_kafka *kafka)
{
    return &kafka->world->schedule;
}

static uint64_t session_ns(const struct sim_kafka *kafka)
{
    return (kafka->rates.session_ms > 0 ? kafka->rates.session_ms : 6000) * NS_PER_MS;
}

static uint64_t zombie_ns(const struct sim_kafka *kafka)
{
    uint64_t most_ms = kafka->rates.zombie_max_ms > 0 ? kafka->rates.zombie_max_ms : 3000;
    return chance_skewed(&kafka->world->chance, most_ms * NS_PER_MS);
}

/* --- members go ------------------------------------------------------------------------------- */

static void remove_member(struct sim_kafka *kafka, struct sim_member *member)
{
    struct sim_member **place = &kafka->members;
    while (*place != member)
        place = &(*place)->next;
    *place = member->next;
    for (int32_t i = 0; i < kafka_partitions(kafka, KAFKA_EVENTS); i++) {
        if (kafka->owners[i] == member)
            kafka->owners[i] = NULL;
    }
    struct kafka_link *link = member->link;
    if (link != NULL) {
        link->member = NULL;
        schedule_cancel(schedule_of(kafka), &link->assign);
        schedule_cancel(schedule_of(kafka), &link->join);
    }
    free(member);
    if (kafka->members == NULL) {
        kafka->dealing = false;
        schedule_cancel(schedule_of(kafka), &kafka->deal);
        schedule_cancel(schedule_of(kafka), &kafka->heartbeat);
    }
}

/* The group goes on without it; it hears of that in its own time. */
static void expel(struct sim_kafka *kafka, struct sim_member *member)
{
    struct kafka_link *link = member->link;
    SIM_TRACE(kafka->world, "kafka", "%s is out of the group",
              link != NULL ? link->host->who : "one that is gone");
    remove_member(kafka, member);
    if (link != NULL && !schedule_has(&link->revoke))
        schedule_after(schedule_of(kafka), &link->revoke, zombie_ns(kafka));
}

/* --- calling in ------------------------------------------------------------------------------- */

static void deal_if_all_are_in(struct sim_kafka *kafka)
{
    for (const struct sim_member *member = kafka->members; member != NULL; member = member->next) {
        if (!member->rejoined)
            return;
    }
    schedule_no_later(schedule_of(kafka), &kafka->deal, kafka_network_ns(kafka));
}

static void call_in(struct sim_kafka *kafka)
{
    struct sim_chance *chance = &kafka->world->chance;
    if (kafka->members == NULL || kafka->dealing)
        return;
    kafka->dealing = true;
    schedule_after(schedule_of(kafka), &kafka->deal, session_ns(kafka));
    for (struct sim_member *member = kafka->members; member != NULL; member = member->next) {
        struct kafka_link *link = member->link;
        member->rejoined = false;
        if (link == NULL)
            continue;
        bool late = chance_of(chance, kafka->rates.revoked_late);
        schedule_cancel(schedule_of(kafka), &link->assign);
        schedule_cancel(schedule_of(kafka), &link->join);
        schedule_after(schedule_of(kafka), &link->revoke,
                       late ? session_ns(kafka) + zombie_ns(kafka)
                            : chance_skewed(chance, 200 * NS_PER_MS));
    }
}

void kafka_rebalance(struct sim_kafka *kafka)
{
    call_in(kafka);
}

void kafka_expel(struct kafka_link *link)
{
    if (link->member == NULL)
        return;
    expel(link->kafka, link->member);
    call_in(link->kafka);
}

/* All that it believes in goes; then it comes back. */
static void revoke(struct sim_event *event)
{
    struct kafka_link *link = event->data;
    if (link->closing || link->dead)
        return;
    for (int32_t i = 0; i < kafka_partitions(link->kafka, KAFKA_EVENTS); i++) {
        struct link_partition *partition = &link->partitions[i];
        if (!partition->assigned)
            continue;
        SIM_TRACE(link->kafka->world, link->host->who, "partition %d is revoked", (int)i);
        fetch_drop(partition);
        ends_drop(partition);
        schedule_cancel(schedule_of(link->kafka), &partition->fetch);
        partition->assigned = partition->fetching = partition->limited = false;
        link->assigned--;
        if (link->closing)
            continue;
        link->inside++;
        link->events.revoked(link->events.data, i);
        link->inside--;
    }
    if (!link->closing)
        schedule_after(schedule_of(link->kafka), &link->join, kafka_network_ns(link->kafka));
}

static void heartbeat(struct sim_event *event);

static void add_member(struct kafka_link *link)
{
    struct sim_kafka *kafka = link->kafka;
    struct sim_member *member = calloc(1, sizeof *member);
    RESV_ASSERT(member != NULL && link->assigned == 0);
    member->link = link;
    member->seen_ns = schedule_of(kafka)->now_ns;
    call_in(kafka); /* the others */
    if (!kafka->dealing)
        schedule_after(schedule_of(kafka), &kafka->deal, session_ns(kafka));
    kafka->dealing = true;
    member->next = kafka->members;
    kafka->members = member;
    link->member = member;
    if (!schedule_has(&kafka->heartbeat))
        schedule_after(schedule_of(kafka), &kafka->heartbeat, session_ns(kafka) / 4);
}

static void join(struct sim_event *event)
{
    struct kafka_link *link = event->data;
    struct sim_kafka *kafka = link->kafka;
    if (link->closing || link->dead)
        return;
    if (!kafka_reaches(link) || !kafka_works(kafka)) {
        schedule_after(schedule_of(kafka), &link->join,
                       (50 + chance_below(&kafka->world->chance, 100)) * NS_PER_MS);
        return;
    }
    if (link->member == NULL)
        add_member(link);
    link->member->rejoined = true;
    link->member->seen_ns = schedule_of(kafka)->now_ns;
    deal_if_all_are_in(kafka);
}

/* --- dealing out ------------------------------------------------------------------------------ */

static struct sim_member *member_at(const struct sim_kafka *kafka, size_t index)
{
    struct sim_member *member = kafka->members;
    while (index-- > 0)
        member = member->next;
    return member;
}

static void deal(struct sim_event *event)
{
    struct sim_kafka *kafka = event->data;
    struct sim_chance *chance = &kafka->world->chance;
    if (!kafka_works(kafka)) {
        schedule_after(schedule_of(kafka), &kafka->deal, 100 * NS_PER_MS);
        return;
    }
    kafka->dealing = false;
    size_t count = 0;
    for (struct sim_member *member = kafka->members, *next; member != NULL; member = next) {
        next = member->next;
        count += member->rejoined;
        if (!member->rejoined)
            expel(kafka, member);
    }
    if (count == 0)
        return;
    bool evenly = chance_of(chance, 700000);
    size_t first = chance_below(chance, count);
    for (int32_t i = 0; i < kafka_partitions(kafka, KAFKA_EVENTS); i++)
        kafka->owners[i] =
            member_at(kafka, evenly ? (first + (size_t)i) % count : chance_below(chance, count));
    for (struct sim_member *member = kafka->members; member != NULL; member = member->next) {
        if (member->link != NULL)
            schedule_after(schedule_of(kafka), &member->link->assign,
                           chance_skewed(chance, 100 * NS_PER_MS));
    }
}

static void assign(struct sim_event *event)
{
    struct kafka_link *link = event->data;
    struct sim_kafka *kafka = link->kafka;
    int32_t count = kafka_partitions(kafka, KAFKA_EVENTS);
    if (link->closing || link->dead)
        return;
    RESV_ASSERT(link->member != NULL && link->assigned == 0);
    if (!kafka_reaches(link)) {
        schedule_after(schedule_of(kafka), &link->assign,
                       (20 + chance_below(&kafka->world->chance, 100)) * NS_PER_MS);
        return;
    }
    for (int32_t i = 0; i < count; i++) {
        link->partitions[i].assigned = kafka->owners[i] == link->member;
        link->assigned += link->partitions[i].assigned;
    }
    for (int32_t i = 0; i < count && !link->closing; i++) {
        if (!link->partitions[i].assigned)
            continue;
        SIM_TRACE(kafka->world, link->host->who, "partition %d is assigned", (int)i);
        link->inside++;
        link->events.assigned(link->events.data, i);
        link->inside--;
    }
}

/* --- who is there ----------------------------------------------------------------------------- */

static void heartbeat(struct sim_event *event)
{
    struct sim_kafka *kafka = event->data;
    uint64_t now_ns = schedule_of(kafka)->now_ns;
    bool works = kafka_works(kafka);
    bool changed = false;
    for (struct sim_member *member = kafka->members, *next; member != NULL; member = next) {
        const struct kafka_link *link = member->link;
        next = member->next;
        if (!works || (link != NULL && kafka_reaches(link) && link->host->held_until_ns <= now_ns))
            member->seen_ns = now_ns;
        else if (now_ns - member->seen_ns > session_ns(kafka)) {
            expel(kafka, member);
            changed = true;
        }
    }
    if (kafka->members == NULL)
        return;
    schedule_after(schedule_of(kafka), &kafka->heartbeat, session_ns(kafka) / 4);
    if (changed)
        call_in(kafka);
    if (kafka->dealing)
        deal_if_all_are_in(kafka);
}

const struct kafka_link *kafka_owner(const struct sim_kafka *kafka, int32_t partition)
{
    const struct sim_member *member = kafka->owners[partition];
    return member != NULL ? member->link : NULL;
}

size_t kafka_believers(const struct sim_kafka *kafka, int32_t partition)
{
    size_t count = 0;
    for (const struct kafka_link *link = kafka->links; link != NULL; link = link->next)
        count +=
            link->opened && !link->dead && !link->closing && link->partitions[partition].assigned;
    return count;
}

/* --- life ------------------------------------------------------------------------------------- */

void group_open(struct sim_kafka *kafka)
{
    kafka->owners = calloc((size_t)kafka_partitions(kafka, KAFKA_EVENTS), sizeof kafka->owners[0]);
    RESV_ASSERT(kafka->owners != NULL);
    kafka->deal = (struct sim_event){.fire = deal, .data = kafka};
    kafka->heartbeat = (struct sim_event){.fire = heartbeat, .data = kafka};
}

void group_close(struct sim_kafka *kafka)
{
    while (kafka->members != NULL)
        remove_member(kafka, kafka->members);
    free(kafka->owners);
}

void group_link_open(struct kafka_link *link)
{
    link->join = sim_host_event(link->host, join, link);
    link->revoke = sim_host_event(link->host, revoke, link);
    link->assign = sim_host_event(link->host, assign, link);
    schedule_after(schedule_of(link->kafka), &link->join,
                   chance_skewed(&link->kafka->world->chance, 200 * NS_PER_MS));
}

void group_link_close(struct kafka_link *link, bool leaves)
{
    struct sim_kafka *kafka = link->kafka;
    struct sim_member *member = link->member;
    schedule_cancel(schedule_of(kafka), &link->join);
    schedule_cancel(schedule_of(kafka), &link->revoke);
    schedule_cancel(schedule_of(kafka), &link->assign);
    link->member = NULL;
    if (member == NULL)
        return;
    member->link = NULL;
    if (!leaves)
        return;
    remove_member(kafka, member);
    call_in(kafka);
}
