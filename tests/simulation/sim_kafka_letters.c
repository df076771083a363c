/* Dead letters, read by one link: from the beginning to the end, as it was at first. */
#include <stdlib.h>
#include <string.h>

#include "resvd/assert.h"
#include "sim_kafka_link.h"

static struct sim_schedule *schedule_of(const struct kafka_link *link)
{
    return &link->kafka->world->schedule;
}

static void go_on(struct kafka_link *link);

static void finish(struct kafka_link *link, bool complete)
{
    struct kafka_letters *letters = link->letters;
    link->letters = letters->next;
    link->letters_begun = false;
    free(link->letters_ends);
    link->letters_ends = NULL;
    schedule_cancel(schedule_of(link), &link->letters_work);
    schedule_cancel(schedule_of(link), &link->letters_due);
    go_on(link);
    SIM_TRACE(link->kafka->world, link->host->who, "has read the dead letters%s",
              complete ? "" : ", not to the end");
    link->inside++;
    letters->done(letters, complete);
    link->inside--;
}

/* The next one in line. */
static void go_on(struct kafka_link *link)
{
    struct sim_chance *chance = &link->kafka->world->chance;
    if (link->letters == NULL || link->letters_begun)
        return;
    link->letters_begun = true;
    link->letters_partition = 0;
    link->letters_offset = -1;
    if (link->dead || !link->opened || link->closing) {
        schedule_after(schedule_of(link), &link->letters_due, chance_below(chance, NS_PER_MS));
        return;
    }
    schedule_after(schedule_of(link), &link->letters_due, link->timeout_ms * NS_PER_MS);
    if (!chance_of(chance, link->kafka->rates.letters_fail))
        schedule_after(schedule_of(link), &link->letters_work, kafka_network_ns(link->kafka));
}

static void due(struct sim_event *event)
{
    finish(event->data, false);
}

static void note_ends(struct kafka_link *link)
{
    int32_t count = kafka_partitions(link->kafka, KAFKA_DEAD_LETTERS);
    if (link->letters_ends != NULL)
        return;
    link->letters_ends = calloc((size_t)count, sizeof link->letters_ends[0]);
    RESV_ASSERT(link->letters_ends != NULL);
    for (int32_t i = 0; i < count; i++)
        link->letters_ends[i] = kafka_end(link->kafka, KAFKA_DEAD_LETTERS, i);
}

/* The topic is compacted, sooner or later: of a key's letters only the last is there for certain.
 */
static bool is_compacted_away(const struct kafka_link *link, size_t index)
{
    const struct sim_log *log = kafka_log(link->kafka, KAFKA_DEAD_LETTERS, link->letters_partition);
    const struct sim_record *record = &log->records[index];
    for (size_t i = index + 1; i < log->count; i++) {
        if (log->records[i].key_size == record->key_size &&
            memcmp(log->records[i].key, record->key, record->key_size) == 0)
            return chance_of(&link->kafka->world->chance, 300000);
    }
    return false;
}

/* Some of one partition; false when all are read. */
static bool read_some(struct kafka_link *link)
{
    struct sim_kafka *kafka = link->kafka;
    struct kafka_letters *letters = link->letters;
    if (link->letters_partition == kafka_partitions(kafka, KAFKA_DEAD_LETTERS))
        return false;
    const struct sim_log *log = kafka_log(kafka, KAFKA_DEAD_LETTERS, link->letters_partition);
    if (link->letters_offset < 0)
        link->letters_offset = log->first;
    size_t most = 1 + chance_below(&kafka->world->chance, 50);
    for (; most > 0 && link->letters_offset < link->letters_ends[link->letters_partition]; most--) {
        size_t index = (size_t)(link->letters_offset++ - log->first);
        const struct kafka_record view =
            record_view(&log->records[index], link->letters_offset - 1);
        if (is_compacted_away(link, index))
            continue;
        link->inside++;
        letters->letter(letters, &view);
        link->inside--;
    }
    if (most > 0) {
        link->letters_partition++;
        link->letters_offset = -1;
    }
    return true;
}

static void work(struct sim_event *event)
{
    struct kafka_link *link = event->data;
    struct sim_kafka *kafka = link->kafka;
    if (link->closing)
        return;
    if (!kafka_reaches(link) || !kafka_works(kafka)) {
        schedule_after(schedule_of(link), &link->letters_work, 20 * NS_PER_MS);
        return;
    }
    note_ends(link);
    if (!read_some(link))
        finish(link, true);
    else if (!link->closing)
        schedule_after(schedule_of(link), &link->letters_work, kafka_network_ns(kafka));
}

void letters_open(struct kafka_link *link)
{
    link->letters_work = sim_host_event(link->host, work, link);
    link->letters_due = sim_host_event(link->host, due, link);
}

void letters_hurry(struct kafka_link *link)
{
    if (link->letters == NULL)
        return;
    schedule_cancel(schedule_of(link), &link->letters_work);
    schedule_after(schedule_of(link), &link->letters_due,
                   chance_below(&link->kafka->world->chance, NS_PER_MS));
}

void letters_abort(struct kafka_link *link)
{
    while (link->letters != NULL)
        finish(link, false);
    schedule_cancel(schedule_of(link), &link->letters_work);
    schedule_cancel(schedule_of(link), &link->letters_due);
}

void kafka_read_letters(struct kafka_link *link, struct kafka_letters *letters)
{
    struct kafka_letters **last = &link->letters;
    RESV_ASSERT(!link->closing);
    while (*last != NULL)
        last = &(*last)->next;
    letters->next = NULL;
    *last = letters;
    go_on(link);
}
