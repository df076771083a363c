/* The partitions that are this process's: where each is, and its batches.
 *
 *   assigned --> [position read] --> fetching --arrived--> [batch] --committed--> passed, settled
 *                     ^                                       |
 *                     `---------- pause <--- failed, or the position is elsewhere
 *
 * Invariants: a partition has at most one batch in a transaction and one being settled, and they
 * are settled in the order in which they were committed; no transaction begins while a concert of
 * the partition is being rebuilt; where to read from is what the database says, never Kafka's
 * offset; what is passed is committed; a batch from before the partition was revoked changes
 * nothing of what the partition is now. */
#include "consumer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resvd/assert.h"
#include "resvd/crash_point.h"
#include "resvd/fault.h"
#include "resvd/hash.h"

#define BATCHES_COUNT 8
#define PAUSE_MS      200
#define DEAD_TRIES    3

/* --- batches: free or in use -------------------------------------------------------------------
 */

static struct batch *take_batch(struct consumer *consumer)
{
    struct batch *batch = consumer->free;
    if (batch != NULL)
        consumer->free = batch->next;
    return batch;
}

static void free_batch(struct batch *batch)
{
    struct consumer *consumer = batch->async->consumer;
    RESV_ASSERT(batch->place != BATCH_FREE);
    batch->place = BATCH_FREE;
    batch->next = consumer->free;
    consumer->free = batch;
    /* Whoever has waited longest for one is not known; all are looked at, in turn from here on. */
    resv_defer(consumer->async->base.host, &consumer->soon);
    async_idle_changed(consumer->async);
}

/* --- partitions ---------------------------------------------------------------------------------
 */

static void fired(struct resv_timer *timer)
{
    struct partition *partition = timer->data;
    partition->waited = true;
    consumer_look_after(partition);
}

static void start_timer(struct partition *partition, uint64_t delay_ms)
{
    partition->waited = false;
    resv_timer_start(partition->consumer->async->base.host, &partition->timer, delay_ms);
}

static bool is_ours(const struct batch *batch)
{
    return batch->partition->place != PARTITION_NONE && batch->tenure == batch->partition->tenure;
}

/* What is known of the position is void: after a pause it is read again. */
void consumer_start_anew(struct partition *partition)
{
    partition->place = PARTITION_LOST;
    start_timer(partition, PAUSE_MS);
}

/* Partition and topic, which settle.lua knows it by, and random bytes. */
static void new_owner(struct partition *partition)
{
    const struct consumer *consumer = partition->consumer;
    const uint32_t numbers[] = {(uint32_t)partition->number, consumer->topic_hash};
    size_t used = 0;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        for (int shift = 24; shift >= 0; shift -= 8)
            partition->owner[used++] = (char)(numbers[i] >> shift);
    }
    resv_random_bytes(consumer->async->base.host, partition->owner + used, BATCH_OWNER_SIZE - used);
}

void consumer_settle_missed(struct partition *partition)
{
    struct consumer *consumer = partition->consumer;
    new_owner(partition);
    for (size_t i = 0; i < consumer->batches_count; i++) {
        struct batch *batch = &consumer->batches[i];
        if (batch->place != BATCH_FREE && batch->partition == partition)
            memcpy(batch->owner, partition->owner, BATCH_OWNER_SIZE);
    }
}

void consumer_fetch_from(struct partition *partition, int64_t position, int64_t epoch)
{
    struct async *async = partition->consumer->async;
    partition->position = position;
    partition->epoch = epoch;
    partition->has_records = false;
    partition->gap = false; /* one behind the position before */
    async_learn_epoch(async, epoch);
    partition->place = PARTITION_FETCHING;
    complete_moved(partition);
    /* A position of 0 that nobody has ever written is the log's beginning, wherever that is. */
    kafka_fetch_from(async->kafka, partition->number, position > 0 ? position : -1);
}

/* --- what is to be done now
 * -----------------------------------------------------------------------
 */

static void begin_batch(struct partition *partition)
{
    struct consumer *consumer = partition->consumer;
    struct batch *batch = take_batch(consumer);
    if (batch == NULL)
        return; /* free_batch has this looked at again */
    batch->partition = partition;
    batch->partition_number = partition->number;
    batch->tenure = partition->tenure;
    batch->from = partition->position;
    batch->epoch = partition->epoch;
    memcpy(batch->owner, partition->owner, BATCH_OWNER_SIZE);
    batch->place = BATCH_APPLYING;
    if (!fill_batch(batch)) {
        free_batch(batch);
        return;
    }
    batch->began_ns = resv_now_ns(consumer->async->base.host);
    partition->applying = batch;
    RESV_CRASH_POINT(applying);
    apply_start(batch);
}

static bool may_apply(const struct partition *partition)
{
    return partition->applying == NULL && partition->committed == NULL && !partition->rebuilds;
}

void consumer_look_after(struct partition *partition)
{
    struct consumer *consumer = partition->consumer;
    if (consumer->draining)
        return;
    switch (partition->place) {
    case PARTITION_NONE:
    case PARTITION_READING:
    case PARTITION_GAP:
        break;
    case PARTITION_LOST:
        if (partition->applying == NULL && !partition->reads && partition->waited)
            position_read_or_move(partition);
        break;
    case PARTITION_FETCHING:
        if (partition->has_records && may_apply(partition) && partition->waited)
            begin_batch(partition);
        break;
    }
}

static void look_after_all(struct resv_deferred *deferred)
{
    struct consumer *consumer = deferred->data;
    /* Another one first each time, so that none is left without a batch for ever. */
    consumer->turn = (consumer->turn + 1) % consumer->partitions_count;
    for (size_t i = 0; i < consumer->partitions_count; i++)
        consumer_look_after(
            &consumer->partitions[(consumer->turn + i) % consumer->partitions_count]);
}

/* --- what has become of a batch
 * ---------------------------------------------------------------------
 */

static void settle_next(struct partition *partition)
{
    struct batch *batch = partition->committed;
    if (batch == NULL || partition->settling != NULL)
        return;
    partition->committed = NULL;
    partition->settling = batch;
    batch->place = BATCH_SETTLING;
    for (size_t i = 0; i < batch->concerts_count; i++)
        partition->rebuilds |= batch->concerts[i].barrier;
    settle_start(batch);
}

static void pass(struct partition *partition, int64_t to)
{
    struct async *async = partition->consumer->async;
    kafka_pass(async->kafka, partition->number, to);
    partition->has_records =
        kafka_peek(async->kafka, partition->number, partition->consumer->records, 1) > 0;
}

static void committed(struct batch *batch)
{
    struct partition *partition = batch->partition;
    RESV_CRASH_POINT(committed);
    count_batch(batch);
    if (is_ours(batch)) {
        partition->position = batch->applied_to;
        partition->tries = 0;
        partition->waited = true; /* what has come meanwhile has waited */
        if (batch->covered)
            consumer_fetch_from(partition, batch->applied_to, batch->epoch);
        else
            pass(partition, batch->applied_to);
        complete_moved(partition);
    }
    RESV_CRASH_POINT(passed);
    batch->place = BATCH_COMMITTED;
    partition->committed = batch;
    settle_next(partition);
}

/* Tried so often by somebody for whom it cannot be applied: it leaves the log's way. */
static void is_dead(struct batch *batch)
{
    struct partition *partition = batch->partition;
    if (is_ours(batch) && ++partition->tries >= DEAD_TRIES) {
        partition->applying = batch;
        batch->place = BATCH_LETTERS;
        letters_publish(batch);
        return;
    }
    if (is_ours(batch))
        consumer_start_anew(partition);
    free_batch(batch);
}

void consumer_applied(struct batch *batch, enum batch_end end)
{
    struct partition *partition = batch->partition;
    RESV_ASSERT(partition->applying == batch);
    partition->applying = NULL;
    switch (end) {
    case BATCH_APPLIED:
        committed(batch);
        break;
    case BATCH_ELSEWHERE:
        if (is_ours(batch)) {
            consumer_settle_missed(partition); /* what that one has applied */
            consumer_fetch_from(partition, batch->found_at, batch->found_epoch);
        }
        free_batch(batch);
        break;
    case BATCH_FAILED:
        if (is_ours(batch))
            consumer_start_anew(partition);
        if (RESV_FAULT(settles_what_was_rolled_back)) {
            for (size_t i = 0; i < batch->concerts_count; i++)
                batch->concerts[i].seen_good = batch->concerts[i].seen.found;
            batch->place = BATCH_COMMITTED;
            partition->committed = batch;
            settle_next(partition);
            break;
        }
        free_batch(batch);
        break;
    case BATCH_DEAD:
        is_dead(batch);
        break;
    }
    consumer_look_after(partition);
}

void consumer_letters_done(struct batch *batch, bool persisted)
{
    RESV_ASSERT(batch->partition->applying == batch && batch->place == BATCH_LETTERS);
    RESV_CRASH_POINT(lettered);
    if (persisted && is_ours(batch) && !batch->async->consumer->draining) {
        batch->place = BATCH_APPLYING;
        apply_start(batch);
    } else {
        consumer_applied(batch, BATCH_FAILED);
    }
}

void consumer_settled(struct batch *batch)
{
    struct partition *partition = batch->partition;
    RESV_ASSERT(partition->settling == batch);
    RESV_CRASH_POINT(settled);
    partition->settling = NULL;
    partition->rebuilds = false;
    free_batch(batch);
    settle_next(partition);
    consumer_look_after(partition);
}

/* --- what Kafka says
 * --------------------------------------------------------------------------------
 */

/* NULL: before the consumer has begun, or behind its end. */
static struct partition *partition_of(struct async *async, int32_t number)
{
    if (async->consumer == NULL || number < 0 ||
        (size_t)number >= async->consumer->partitions_count)
        return NULL;
    return &async->consumer->partitions[number];
}

void consumer_assigned(void *data, int32_t number)
{
    struct async *async = data;
    struct partition *partition = partition_of(async, number);
    if (partition == NULL)
        return;
    partition->place = PARTITION_LOST;
    partition->tenure++;
    partition->tries = 0;
    partition->has_records = false;
    partition->gap = false;
    partition->waited = true;
    new_owner(partition);
    complete_assigned(partition);
    resv_defer(async->base.host, &async->consumer->soon);
}

void consumer_revoked(void *data, int32_t number)
{
    struct async *async = data;
    struct partition *partition = partition_of(async, number);
    if (partition == NULL)
        return;
    partition->place = PARTITION_NONE;
    partition->tenure++;
    partition->has_records = false;
    resv_timer_stop(async->base.host, &partition->timer);
}

void consumer_arrived(void *data, int32_t number)
{
    struct async *async = data;
    struct partition *partition = partition_of(async, number);
    if (partition == NULL || partition->place != PARTITION_FETCHING || partition->has_records)
        return;
    partition->has_records = true;
    if (async->batch_wait_ms > 0) {
        start_timer(partition, async->batch_wait_ms);
    } else {
        partition->waited = true;
        resv_defer(async->base.host, &async->consumer->soon);
    }
}

/* Events are gone from the log. Those that were not applied are still pending, and the sweep
 * publishes them again. Where the log was made anew, its positions mean nothing to the gates, which
 * have higher ones: they are closed before the position goes back. */
void consumer_gap(void *data, int32_t number, int64_t first, int64_t end)
{
    struct async *async = data;
    struct partition *partition = partition_of(async, number);
    char texts[4][24];
    if (partition == NULL || partition->place != PARTITION_FETCHING)
        return;
    snprintf(texts[0], sizeof texts[0], "%" PRId32, number);
    snprintf(texts[1], sizeof texts[1], "%" PRId64, partition->position);
    snprintf(texts[2], sizeof texts[2], "%" PRId64, first);
    snprintf(texts[3], sizeof texts[3], "%" PRId64, end);
    resv_log(async->base.host, RESV_LOG_ERROR, "events are missing from the log", "partition",
             texts[0], "position", texts[1], "first", texts[2], "end", texts[3], NULL);
    partition->has_records = false;
    partition->gap = true;
    partition->gap_to = first;
    if (partition->position <= end) {
        partition->place = PARTITION_LOST;
        partition->waited = true;
        consumer_look_after(partition);
        return;
    }
    partition->place = PARTITION_GAP;
    sweep_close_gates(async);
}

void consumer_gates_closed(struct async *async)
{
    for (size_t i = 0; i < async->consumer->partitions_count; i++) {
        struct partition *partition = &async->consumer->partitions[i];
        if (partition->place != PARTITION_GAP)
            continue;
        partition->place = PARTITION_LOST;
        partition->waited = true;
        consumer_look_after(partition);
    }
}

/* --- life
 * -------------------------------------------------------------------------------------------
 */

bool consumer_started(struct async *async)
{
    struct consumer *consumer = async->consumer;
    const size_t count = (size_t)kafka_link_partition_count(async->kafka);
    consumer->partitions = calloc(count, sizeof *consumer->partitions);
    if (consumer->partitions == NULL)
        return false;
    consumer->partitions_count = count;
    const char *topic = kafka_link_topic(async->kafka);
    consumer->topic_hash = (uint32_t)resv_hash_bytes(topic, strlen(topic));
    for (size_t i = 0; i < count; i++) {
        struct partition *partition = &consumer->partitions[i];
        partition->consumer = consumer;
        partition->number = (int32_t)i;
        partition->timer = (struct resv_timer){.fired = fired, .data = partition};
    }
    sweep_start(async);
    complete_start(async);
    return true;
}

bool consumer_open(struct async *async)
{
    struct consumer *consumer = calloc(1, sizeof *consumer);
    if (consumer == NULL)
        return false;
    async->consumer = consumer;
    consumer->async = async;
    consumer->soon = (struct resv_deferred){.run = look_after_all, .data = consumer};
    consumer->records = calloc(async->batch_max, sizeof *consumer->records);
    consumer->batches = calloc(BATCHES_COUNT, sizeof *consumer->batches);
    if (consumer->records == NULL || consumer->batches == NULL ||
        !arguments_create(&consumer->arguments, ARGUMENTS_FIXED + 4 * async->batch_max))
        return false;
    consumer->batches_count = BATCHES_COUNT;
    for (size_t i = 0; i < BATCHES_COUNT; i++) {
        if (!allocate_batch(&consumer->batches[i], async))
            return false;
        consumer->batches[i].next = consumer->free;
        consumer->free = &consumer->batches[i];
    }
    return sweep_open(async) && complete_open(async);
}

bool consumer_is_quiet(const struct async *async)
{
    const struct consumer *consumer = async->consumer;
    if (consumer == NULL)
        return true;
    for (size_t i = 0; i < consumer->batches_count; i++) {
        if (consumer->batches[i].place != BATCH_FREE)
            return false;
    }
    for (size_t i = 0; i < consumer->partitions_count; i++) {
        if (consumer->partitions[i].reads)
            return false;
    }
    return (consumer->sweep == NULL || sweep_is_quiet(async)) &&
           (consumer->complete == NULL || complete_is_quiet(async));
}

void consumer_drain(struct async *async)
{
    if (async->consumer == NULL)
        return;
    async->consumer->draining = true;
    for (size_t i = 0; i < async->consumer->partitions_count; i++)
        resv_timer_stop(async->base.host, &async->consumer->partitions[i].timer);
    sweep_drain(async);
    complete_drain(async);
}

void consumer_abandon(struct async *async)
{
    struct consumer *consumer = async->consumer;
    if (consumer == NULL)
        return;
    consumer->abandoned = true;
    for (size_t i = 0; i < consumer->batches_count; i++) {
        struct batch *batch = &consumer->batches[i];
        if (batch->place == BATCH_APPLYING)
            work_abandon(&batch->work);
        else if (batch->place == BATCH_SETTLING)
            settle_stop(batch);
        else if (batch->place == BATCH_REBUILDING)
            rebuild_abandon(batch);
    }
    for (size_t i = 0; i < consumer->partitions_count; i++) {
        if (consumer->partitions[i].reads)
            work_abandon(&consumer->partitions[i].work);
    }
    sweep_abandon(async);
}

void consumer_close(struct async *async)
{
    struct consumer *consumer = async->consumer;
    if (consumer == NULL)
        return;
    sweep_close(async);
    complete_close(async);
    resv_defer_cancel(async->base.host, &consumer->soon);
    for (size_t i = 0; i < consumer->partitions_count; i++)
        resv_timer_stop(async->base.host, &consumer->partitions[i].timer);
    for (size_t i = 0; i < consumer->batches_count; i++)
        release_batch(&consumer->batches[i]);
    arguments_destroy(&consumer->arguments);
    free(consumer->batches);
    free(consumer->records);
    free(consumer->partitions);
    free(consumer);
    async->consumer = NULL;
}
