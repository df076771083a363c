/* A partition's position, as the database has it: read before its records are, and moved over what
 * the log has lost.
 *
 * What was only read may be another process's COMMIT that is not on disk yet: so a DATABASE_SYNC is
 * behind it.
 *
 * Invariants: at most one work of a partition's is under way; what comes of it counts only while
 * the partition still waits for it; a position is moved from where this process knew it to be, or
 * not at all. */
#include "consumer.h"
#include "resvd/assert.h"

#define NS_PER_MS         1000000ULL
#define POSITION_LIMIT_MS 30000

/* A drain may have waited for it. */
static void position_is_over(struct partition *partition)
{
    partition->reads = false;
    async_idle_changed(partition->consumer->async);
}

static void position_read(struct work *work, enum database_result result)
{
    struct partition *partition = work->data;
    RESV_ASSERT(result == DATABASE_DONE);
    const struct database_position_step read = partition->steps[0].position;
    work_finish(work);
    position_is_over(partition);
    if (partition->place == PARTITION_READING) {
        if (read.next_offset != partition->position)
            consumer_settle_missed(partition); /* of who has moved it */
        consumer_fetch_from(partition, read.next_offset, read.epoch);
    }
    consumer_look_after(partition);
}

static void position_moved(struct work *work, enum database_result result)
{
    struct partition *partition = work->data;
    RESV_ASSERT(result == DATABASE_DONE || result == DATABASE_REFUSED);
    if (result == DATABASE_REFUSED) {
        work_rollback(work, position_moved);
        return;
    }
    work_finish(work);
    position_is_over(partition);
    partition->gap = false;
    if (partition->place == PARTITION_READING)
        partition->place = PARTITION_LOST;
    consumer_look_after(partition);
}

/* Behind a gap: on from where the log begins, if nobody has moved the position since. */
static void move_over_gap(struct partition *partition, struct work *work)
{
    struct database_step *steps = partition->steps;
    steps[1] = steps[0];
    steps[0] = (struct database_step){.kind = DATABASE_BEGIN};
    steps[1].kind = DATABASE_MOVE_POSITION;
    steps[1].position.from = partition->position;
    steps[1].position.to = partition->gap_to;
    steps[1].position.epoch = partition->epoch;
    steps[2] = (struct database_step){.kind = DATABASE_COMMIT};
    work_try(work, steps, 3, WORK_DECIDES(DATABASE_REFUSED), position_moved);
}

static void begin_position(struct work *work)
{
    struct partition *partition = work->data;
    struct async *async = partition->consumer->async;
    partition->steps[0] = (struct database_step){
        .kind = DATABASE_READ_POSITION,
        .position = {.topic = kafka_link_topic(async->kafka),
                     .partition = partition->number,
                     .updated_ms = resv_wall_ms(async->base.host)},
    };
    partition->steps[1] = (struct database_step){.kind = DATABASE_SYNC};
    if (partition->gap)
        move_over_gap(partition, work);
    else
        work_run(work, partition->steps, 2, position_read);
}

static void position_gave_up(struct work *work, enum resv_outcome outcome)
{
    struct partition *partition = work->data;
    (void)outcome;
    position_is_over(partition);
    if (partition->place == PARTITION_READING)
        consumer_start_anew(partition);
    consumer_look_after(partition);
}

static const struct work_owner position_owner = {
    .begin = begin_position,
    .gave_up = position_gave_up,
    .pool = DATABASE_SALES,
    .retries = true,
};

void position_read_or_move(struct partition *partition)
{
    struct async *async = partition->consumer->async;
    const uint64_t now_ns = resv_now_ns(async->base.host);
    if (!database_link_is_up(async->base.link)) {
        consumer_start_anew(partition);
        return;
    }
    partition->place = PARTITION_READING;
    partition->reads = true;
    partition->work = (struct work){
        .host = async->base.host,
        .link = async->base.link,
        .owner = &position_owner,
        .counters = &async->base.counters,
        .data = partition,
        .deadline_ns = now_ns + POSITION_LIMIT_MS * NS_PER_MS,
        .doubt_ns = now_ns + POSITION_LIMIT_MS * NS_PER_MS,
    };
    work_start(&partition->work);
}
