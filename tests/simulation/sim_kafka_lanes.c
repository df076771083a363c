/* Events on their way from a link to a log. Invariants: those of a lane come into the log in the
 * order in which they were sent; what is told as KAFKA_PERSISTED is there, and what is told as
 * KAFKA_NOT_PERSISTED is not and never comes. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "resvd/assert.h"
#include "sim_kafka_link.h"

/* --- lists ------------------------------------------------------------------------------------ */

static void append(struct sending_list *list, struct sim_sending *sending)
{
    sending->next = NULL;
    if (list->first == NULL)
        list->first = sending;
    else
        list->last->next = sending;
    list->last = sending;
}

static void take_off(struct sending_list *list, struct sim_sending *sending)
{
    struct sim_sending *previous = NULL;
    for (struct sim_sending *each = list->first; each != sending; each = each->next) {
        RESV_ASSERT(each != NULL);
        previous = each;
    }
    if (previous != NULL)
        previous->next = sending->next;
    else
        list->first = sending->next;
    if (list->last == sending)
        list->last = previous;
    sending->lane = NULL;
}

static void free_if_over(struct sim_sending *sending)
{
    if (sending->lane != NULL || sending->event != NULL)
        return;
    record_free(&sending->record);
    free(sending);
}

static void free_lane_if_over(struct sim_lane *lane)
{
    struct sim_lane **place = &lane->kafka->lanes;
    if (lane->link != NULL || lane->flying.first != NULL)
        return;
    RESV_ASSERT(lane->queued.first == NULL && !schedule_has(&lane->leave));
    schedule_cancel(&lane->kafka->world->schedule, &lane->arrive);
    while (*place != lane)
        place = &(*place)->next;
    *place = lane->next;
    free(lane);
}

/* --- what became of it ------------------------------------------------------------------------ */

static const char *result_words(enum kafka_result result)
{
    static const char *const words[] = {[KAFKA_PERSISTED] = "PERSISTED",
                                        [KAFKA_NOT_PERSISTED] = "NOT_PERSISTED",
                                        [KAFKA_POSSIBLY_PERSISTED] = "POSSIBLY_PERSISTED"};
    return words[result];
}

static void tell(struct sim_sending *sending)
{
    struct kafka_link *link = sending->link;
    struct kafka_event *event = sending->event;
    struct sim_schedule *schedule = &link->kafka->world->schedule;
    schedule_cancel(schedule, &sending->report);
    schedule_cancel(schedule, &sending->due);
    if (sending->link_previous != NULL)
        sending->link_previous->link_next = sending->link_next;
    else
        link->sendings = sending->link_next;
    if (sending->link_next != NULL)
        sending->link_next->link_previous = sending->link_previous;
    link->under_way--;
    event->result = sending->result;
    event->offset = sending->result == KAFKA_PERSISTED ? sending->offset : -1;
    SIM_TRACE(link->kafka->world, link->host->who, "event %s at %" PRId64 ": %.*s",
              result_words(event->result), event->offset, (int)sending->record.payload_size,
              sending->record.payload);
    sending->event = NULL;
    free_if_over(sending);
    link->inside++;
    event->done(event);
    link->inside--;
}

static void report(struct sim_event *fired)
{
    struct sim_sending *sending = fired->data;
    struct sim_world *world = sending->link->kafka->world;
    if (!sending->decided && !kafka_reaches(sending->link))
        schedule_after(&world->schedule, &sending->report,
                       (10 + chance_below(&world->chance, 40)) * NS_PER_MS);
    else
        tell(sending);
}

/* One that was not sent will not be. */
static void give_up(struct sim_sending *sending)
{
    if (sending->decided)
        return;
    if (!sending->sent && sending->lane != NULL)
        take_off(&sending->lane->queued, sending);
    sending->result = sending->sent ? KAFKA_POSSIBLY_PERSISTED : KAFKA_NOT_PERSISTED;
    sending->decided = true;
}

static void due(struct sim_event *fired)
{
    struct sim_sending *sending = fired->data;
    give_up(sending);
    tell(sending);
}

void sendings_give_up(struct kafka_link *link)
{
    struct sim_world *world = link->kafka->world;
    for (struct sim_sending *sending = link->sendings; sending != NULL;
         sending = sending->link_next) {
        bool answered = schedule_has(&sending->report);
        if (!answered || chance_of(&world->chance, 500000))
            give_up(sending);
        schedule_cancel(&world->schedule, &sending->due);
        sending->decided = true;
        schedule_no_later(&world->schedule, &sending->report,
                          chance_below(&world->chance, NS_PER_MS));
    }
}

/* From a broker. It may come too late. */
static void answer(struct sim_lane *lane, struct sim_sending *sending, enum kafka_result result,
                   int64_t offset, uint64_t delay_ns)
{
    struct sim_schedule *schedule = &lane->kafka->world->schedule;
    if (sending->event == NULL || sending->decided)
        return;
    uint64_t comes_ns = schedule->now_ns + delay_ns;
    if (comes_ns <= lane->last_report_ns)
        comes_ns = lane->last_report_ns + 1;
    lane->last_report_ns = comes_ns;
    sending->result = result;
    sending->offset = offset;
    schedule_after(schedule, &sending->report, comes_ns - schedule->now_ns);
}

/* --- lanes ------------------------------------------------------------------------------------ */

static void fly(struct sim_lane *lane, struct sim_sending *sending, uint64_t delay_ns)
{
    struct sim_schedule *schedule = &lane->kafka->world->schedule;
    sending->arrives_ns = schedule->now_ns + delay_ns;
    if (sending->arrives_ns <= lane->last_arrives_ns)
        sending->arrives_ns = lane->last_arrives_ns + 1;
    lane->last_arrives_ns = sending->arrives_ns;
    sending->lane = lane;
    append(&lane->flying, sending);
    schedule_no_later(schedule, &lane->arrive, sending->arrives_ns - schedule->now_ns);
}

static void leave(struct sim_event *fired)
{
    struct sim_lane *lane = fired->data;
    struct sim_kafka *kafka = lane->kafka;
    struct sim_world *world = kafka->world;
    struct sim_sending *sending;
    while ((sending = lane->queued.first) != NULL) {
        uint64_t now_ns = world->schedule.now_ns;
        if (sending->leaves_ns > now_ns) {
            schedule_after(&world->schedule, &lane->leave, sending->leaves_ns - now_ns);
            return;
        }
        if (!kafka_reaches(lane->link) || !kafka_leads(kafka, lane->target, lane->partition)) {
            schedule_after(&world->schedule, &lane->leave,
                           (10 + chance_below(&world->chance, 90)) * NS_PER_MS);
            return;
        }
        take_off(&lane->queued, sending);
        sending->sent = true;
        if (chance_of(&world->chance, kafka->rates.lost))
            continue; /* nobody hears of it; its time-out comes */
        sending->refused = chance_of(&world->chance, kafka->rates.refused);
        bool late = chance_of(&world->chance, kafka->rates.late);
        fly(lane, sending, kafka_network_ns(kafka) + (late ? kafka_late_ns(kafka) : 0));
    }
}

static struct sim_lane *new_lane(struct sim_kafka *kafka, enum kafka_target target,
                                 int32_t partition);

/* Once more, as if somebody had sent it again. */
static void repeat(struct sim_kafka *kafka, const struct sim_sending *sending)
{
    struct sim_sending *copy = calloc(1, sizeof *copy);
    RESV_ASSERT(copy != NULL);
    const struct sim_record *record = &sending->record;
    copy->record =
        record_copy(record->key, record->key_size, record->payload, record->payload_size);
    copy->sent = true;
    fly(new_lane(kafka, sending->target, sending->partition), copy, kafka_late_ns(kafka));
}

/* Its answer tells no offset: the link sends it once more. It may be in the log already, and what
 * was sent behind it may come into the log before it. False: it does not. */
static bool sent_again(struct sim_lane *lane, struct sim_sending *sending)
{
    struct sim_kafka *kafka = lane->kafka;
    struct sim_chance *chance = &kafka->world->chance;
    if (lane->link == NULL || sending->event == NULL || sending->decided || sending->again ||
        !chance_of(chance, kafka->rates.answer_lost))
        return false;
    if (chance_of(chance, 500000))
        log_append(kafka, lane->target, lane->partition, &sending->record);
    sending->again = true;
    sending->refused = chance_of(chance, kafka->rates.refused);
    fly(lane, sending, kafka_late_ns(kafka));
    return true;
}

static void arrived(struct sim_lane *lane, struct sim_sending *sending)
{
    struct sim_kafka *kafka = lane->kafka;
    struct sim_chance *chance = &kafka->world->chance;
    const struct sim_kafka_rates *rates = &kafka->rates;
    uint64_t delay_ns = kafka_network_ns(kafka);
    if (sending->refused) {
        answer(lane, sending, sending->again ? KAFKA_POSSIBLY_PERSISTED : KAFKA_NOT_PERSISTED, -1,
               delay_ns);
        return;
    }
    if (sent_again(lane, sending))
        return;
    int64_t offset = log_append(kafka, lane->target, lane->partition, &sending->record);
    if (chance_of(chance, rates->reports_late))
        delay_ns += kafka_late_ns(kafka);
    answer(lane, sending, KAFKA_PERSISTED, offset, delay_ns);
    if (lane->link != NULL && chance_of(chance, rates->repeated))
        repeat(kafka, sending);
}

/* The brokers that had it are gone, and nobody sends it again: its process is gone, or has given it
 * up. Then it may have been with them in time, or not. */
static bool is_lost(const struct sim_lane *lane, const struct sim_sending *sending)
{
    struct sim_world *world = lane->kafka->world;
    bool orphan = lane->link == NULL || sending->event == NULL || sending->decided;
    return orphan && world->schedule.now_ns < lane->kafka->lost_until_ns &&
           chance_of(&world->chance, 50000);
}

static void arrive(struct sim_event *fired)
{
    struct sim_lane *lane = fired->data;
    struct sim_kafka *kafka = lane->kafka;
    struct sim_world *world = kafka->world;
    struct sim_sending *sending;
    while ((sending = lane->flying.first) != NULL) {
        uint64_t now_ns = world->schedule.now_ns;
        if (sending->arrives_ns > now_ns) {
            schedule_after(&world->schedule, &lane->arrive, sending->arrives_ns - now_ns);
            return;
        }
        bool taken = kafka_leads(kafka, lane->target, lane->partition);
        if (!taken && !is_lost(lane, sending)) {
            schedule_after(&world->schedule, &lane->arrive,
                           (5 + chance_below(&world->chance, 45)) * NS_PER_MS);
            return;
        }
        take_off(&lane->flying, sending);
        if (taken)
            arrived(lane, sending);
        free_if_over(sending);
    }
    free_lane_if_over(lane);
}

static struct sim_lane *new_lane(struct sim_kafka *kafka, enum kafka_target target,
                                 int32_t partition)
{
    struct sim_lane *lane = calloc(1, sizeof *lane);
    RESV_ASSERT(lane != NULL);
    lane->kafka = kafka;
    lane->target = target;
    lane->partition = partition;
    lane->arrive = (struct sim_event){.fire = arrive, .data = lane};
    lane->next = kafka->lanes;
    kafka->lanes = lane;
    return lane;
}

static struct sim_lane *lane_of(struct kafka_link *link, enum kafka_target target,
                                int32_t partition)
{
    for (struct sim_lane *lane = link->kafka->lanes; lane != NULL; lane = lane->next) {
        if (lane->link == link && lane->target == target && lane->partition == partition)
            return lane;
    }
    struct sim_lane *lane = new_lane(link->kafka, target, partition);
    lane->link = link;
    lane->leave = sim_host_event(link->host, leave, lane);
    return lane;
}

static void detach(struct sim_lane *lane, bool loses)
{
    struct sim_world *world = lane->kafka->world;
    struct sim_sending *sending;
    schedule_cancel(&world->schedule, &lane->leave);
    lane->link = NULL;
    RESV_ASSERT(lane->queued.first == NULL); /* given up before */
    size_t count = 0;
    for (sending = lane->flying.first; sending != NULL; sending = sending->next)
        count++;
    for (size_t left = loses ? chance_below(&world->chance, count + 1) : 0; left > 0; left--) {
        sending = lane->flying.last;
        take_off(&lane->flying, sending);
        free_if_over(sending);
    }
    free_lane_if_over(lane);
}

void lanes_detach(struct kafka_link *link, bool loses)
{
    struct sim_lane *next;
    for (struct sim_lane *lane = link->kafka->lanes; lane != NULL; lane = next) {
        next = lane->next;
        if (lane->link == link)
            detach(lane, loses);
    }
}

/* --- in --------------------------------------------------------------------------------------- */

static uint64_t timeout_ns(const struct kafka_link *link)
{
    struct sim_world *world = link->kafka->world;
    uint64_t most_ns = link->timeout_ms * NS_PER_MS;
    if (link->kafka->rates.timeout_ms > 0)
        most_ns = link->kafka->rates.timeout_ms * NS_PER_MS;
    return most_ns + chance_below(&world->chance, NS_PER_S); /* it is looked for once a second */
}

void sending_start(struct kafka_link *link, struct kafka_event *event)
{
    struct sim_world *world = link->kafka->world;
    struct sim_sending *sending = calloc(1, sizeof *sending);
    RESV_ASSERT(sending != NULL);
    sending->link = link;
    sending->event = event;
    sending->target = event->target;
    sending->partition = event->partition;
    sending->result = KAFKA_NOT_PERSISTED;
    sending->record = record_copy(event->key, event->key_size, event->payload, event->payload_size);
    sending->report = sim_host_event(link->host, report, sending);
    sending->due = sim_host_event(link->host, due, sending);
    sending->link_next = link->sendings;
    if (sending->link_next != NULL)
        sending->link_next->link_previous = sending;
    link->sendings = sending;
    link->under_way++;
    if (link->dead) {
        sending->decided = true;
        schedule_after(&world->schedule, &sending->report, chance_below(&world->chance, NS_PER_MS));
        return;
    }
    uint64_t most_ns = timeout_ns(link);
    sending->lane = lane_of(link, event->target, event->partition);
    sending->leaves_ns = world->schedule.now_ns + chance_skewed(&world->chance, 2 * NS_PER_MS);
    if (chance_of(&world->chance, link->kafka->rates.stays_queued))
        sending->leaves_ns += chance_below(&world->chance, 2 * most_ns);
    append(&sending->lane->queued, sending);
    schedule_no_later(&world->schedule, &sending->lane->leave,
                      sending->leaves_ns - world->schedule.now_ns);
    schedule_after(&world->schedule, &sending->due, most_ns);
}
