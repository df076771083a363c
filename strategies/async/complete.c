/* Says in Redis which of this process's partitions are complete: KEY_COMPLETE.
 *
 *   tick --> complete.lua --not complete--> kafka_find_end --end--> applied up to there? --.
 *    ^                                                                                     |
 *    `---------------------------------- complete.lua <------------------------------------'
 *
 * A reservation that was accepted is pending in Redis, or has its row; but where Redis has lost
 * what was pending, its event is only in the log until it is applied. So "there is no such
 * reservation" may be said only when each partition is complete: applied up to an end that was
 * asked for when this Redis had been met. What comes behind that end is pending in this Redis.
 *
 * Invariants: an end counts only if it was asked for after complete.lua had written this process
 * down as the owner, under this run id, and while that is there; after a call of which nobody knows
 * whether it was executed all begins anew, as another owner; a position counts only while the
 * partition is fetched from there, and is on disk. */
#include <stdlib.h>

#include "consumer.h"
#include "resvd/assert.h"
#include "resvd/fault.h"
#include "scripts.h"

#define LOOK_MS    500
#define OWNER_SIZE 16

struct asked_partition {
    int32_t number;
    uint64_t tenure;
};

struct complete {
    struct async *async;
    struct resv_timer timer;
    bool stopping;
    bool calling;
    bool again; /* something has been reached since the call was made */
    char owner[OWNER_SIZE], token[OWNER_SIZE];
    struct redis_call call;
    struct async_keys keys;
    struct arguments arguments;
    struct asked_partition asked[KAFKA_PARTITIONS_MAX]; /* in the call */
    size_t asked_count;
};

/* --- one partition -------------------------------------------------------------------------------
 */

static void forget_end(struct partition *partition)
{
    partition->complete = false;
    partition->end_known = false;
    partition->end_void = partition->end_asked;
}

static void want_end(struct partition *partition)
{
    if (partition->end_asked || partition->end_known)
        return;
    partition->end_asked = true;
    kafka_find_end(partition->consumer->async->kafka, partition->number);
}

static bool is_reached(const struct partition *partition)
{
    return partition->place == PARTITION_FETCHING && partition->end_known &&
           partition->position >= partition->end;
}

static void take_answer(struct partition *partition, int64_t answer)
{
    if (answer == 1) {
        partition->complete = true;
        partition->end_known = false;
        return;
    }
    partition->complete = false;
    if (answer == 0)
        forget_end(partition);
    want_end(partition);
}

/* --- the call ------------------------------------------------------------------------------------
 */

static void wait(struct complete *complete, uint64_t delay_ms)
{
    if (!complete->stopping)
        resv_timer_start(complete->async->base.host, &complete->timer, delay_ms);
}

static void nobody_knows(struct complete *complete)
{
    struct consumer *consumer = complete->async->consumer;
    resv_random_bytes(complete->async->base.host, complete->owner, OWNER_SIZE);
    for (size_t i = 0; i < consumer->partitions_count; i++)
        forget_end(&consumer->partitions[i]);
}

static void answered(struct redis_call *call)
{
    struct complete *complete = call->data;
    struct consumer *consumer = complete->async->consumer;
    complete->calling = false;
    if (call->result != REDIS_DONE)
        nobody_knows(complete);
    for (size_t i = 0; call->result == REDIS_DONE && i < complete->asked_count; i++) {
        const struct asked_partition *asked = &complete->asked[i];
        struct partition *partition = &consumer->partitions[asked->number];
        if (partition->place != PARTITION_NONE && partition->tenure == asked->tenure)
            take_answer(partition, redis_reply_integer(call->reply, i));
    }
    wait(complete, complete->again && call->result == REDIS_DONE ? 0 : LOOK_MS);
    complete->again = false;
    async_idle_changed(complete->async);
}

static void fill_arguments(struct complete *complete)
{
    struct async *async = complete->async;
    arguments_clear(&complete->arguments);
    arguments_add_run(&complete->arguments, async);
    arguments_add(&complete->arguments, complete->owner, OWNER_SIZE);
    resv_random_bytes(async->base.host, complete->token, OWNER_SIZE);
    arguments_add(&complete->arguments, complete->token, OWNER_SIZE);
    arguments_add_number(&complete->arguments, (int64_t)async->consumer->partitions_count);
    complete->asked_count = 0;
    for (size_t i = 0; i < async->consumer->partitions_count; i++) {
        const struct partition *partition = &async->consumer->partitions[i];
        if (partition->place == PARTITION_NONE)
            continue;
        arguments_add_number(&complete->arguments, partition->number);
        const bool reached = is_reached(partition) || RESV_FAULT(complete_before_its_end);
        arguments_add_text(&complete->arguments, reached ? "1" : "0");
        complete->asked[complete->asked_count++] =
            (struct asked_partition){.number = partition->number, .tenure = partition->tenure};
    }
}

static void fired(struct resv_timer *timer)
{
    struct complete *complete = timer->data;
    struct async *async = complete->async;
    fill_arguments(complete);
    if (complete->asked_count == 0 || !async_node_is_up(async)) {
        wait(complete, LOOK_MS);
        return;
    }
    keys_of_concert(&complete->keys, redis_link_key_prefix(async->redis), 0);
    complete->call = (struct redis_call){
        .script = &async_complete,
        .keys = &complete->keys.keys[KEY_COMPLETE],
        .keys_count = 1,
        .arguments = complete->arguments.texts,
        .arguments_count = complete->arguments.count,
        .data = complete,
        .done = answered,
    };
    complete->calling = true;
    redis_run(async->redis, &complete->call);
}

/* Soon, and not only at the next tick. */
static void look_soon(struct complete *complete)
{
    if (complete->calling)
        complete->again = true;
    else
        wait(complete, 0);
}

/* --- what others say -----------------------------------------------------------------------------
 */

void complete_assigned(struct partition *partition)
{
    partition->complete = partition->end_known = false;
    partition->end_asked = partition->end_void = false;
    look_soon(partition->consumer->complete);
}

void consumer_redis_is_up(struct async *async)
{
    if (async->consumer->partitions != NULL)
        look_soon(async->consumer->complete);
}

void complete_moved(struct partition *partition)
{
    if (!partition->complete && is_reached(partition))
        look_soon(partition->consumer->complete);
}

void consumer_end(void *data, int32_t number, int64_t first, int64_t end)
{
    const struct async *async = data;
    if (async->consumer == NULL)
        return; /* it has been closed already */
    RESV_ASSERT(number >= 0 && (size_t)number < async->consumer->partitions_count);
    struct partition *partition = &async->consumer->partitions[number];
    if (!partition->end_asked)
        return;
    partition->end_asked = false;
    if (partition->end_void) {
        partition->end_void = false;
        if (!async->consumer->complete->calling)
            want_end(partition);
        return; /* else the answer asks for another */
    }
    partition->end_known = true;
    partition->end = first < end ? end : 0; /* an empty log may begin anywhere */
    complete_moved(partition);
}

/* --- life ----------------------------------------------------------------------------------------
 */

bool complete_open(struct async *async)
{
    struct complete *complete = calloc(1, sizeof *complete);
    async->consumer->complete = complete;
    if (complete == NULL)
        return false;
    complete->async = async;
    complete->timer = (struct resv_timer){.fired = fired, .data = complete};
    resv_random_bytes(async->base.host, complete->owner, OWNER_SIZE);
    return arguments_create(&complete->arguments, 4 + 2 * KAFKA_PARTITIONS_MAX);
}

void complete_start(struct async *async)
{
    wait(async->consumer->complete, LOOK_MS);
}

void complete_drain(struct async *async)
{
    struct complete *complete = async->consumer->complete;
    complete->stopping = true;
    resv_timer_stop(async->base.host, &complete->timer);
}

bool complete_is_quiet(const struct async *async)
{
    return !async->consumer->complete->calling;
}

void complete_close(struct async *async)
{
    struct complete *complete = async->consumer->complete;
    if (complete == NULL)
        return;
    RESV_ASSERT(!complete->calling);
    resv_timer_stop(async->base.host, &complete->timer);
    arguments_destroy(&complete->arguments);
    free(complete);
    async->consumer->complete = NULL;
}
