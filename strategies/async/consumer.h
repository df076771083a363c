/* The consumer's inside: partitions, and what its files share. */
#ifndef RESVD_ASYNC_CONSUMER_H
#define RESVD_ASYNC_CONSUMER_H

#include "batch.h"

/* Where a partition is; changed in consumer.c only. */
enum partition_place {
    PARTITION_NONE,     /* not this process's */
    PARTITION_LOST,     /* its position is to be read when it has `waited` */
    PARTITION_READING,  /* is being read, or moved over a gap */
    PARTITION_GAP,      /* waits until gates are closed */
    PARTITION_FETCHING, /* its records come */
};

struct partition {
    struct consumer *consumer;
    int32_t number;
    enum partition_place place;
    uint64_t tenure; /* counted up whenever it comes or goes */
    int64_t position, epoch;
    bool has_records;
    bool waited;   /* the timer is over, or there was no reason to wait */
    bool rebuilds; /* a batch with a barrier is being settled: no transaction may begin */
    bool gap;
    int64_t gap_to;
    char owner[BATCH_OWNER_SIZE]; /* another one whenever a settle may be missing: see settle.c */
    unsigned tries;               /* of the batch at its head, with events that cannot be applied */
    struct batch *applying, *committed, *settling;
    struct resv_timer timer;
    /* Of complete.c. */
    bool complete;
    bool end_asked, end_void; /* what is asked was asked too early */
    bool end_known;
    int64_t end; /* when end_known: all that was there in time is below */
    /* Of its position. */
    bool reads;
    struct work work;
    struct database_step steps[3];
};

enum {
    ARGUMENTS_FIXED = 16 /* of settle.lua's, and two for each id, two for each of as many members */
};

struct consumer {
    struct async *async;
    struct partition *partitions; /* from consumer_started on */
    size_t partitions_count;
    uint32_t topic_hash;
    size_t turn;
    struct batch *batches;
    size_t batches_count;
    struct batch *free;
    struct kafka_record *records; /* room for batch_max */
    struct resv_deferred soon;
    struct arguments arguments; /* of one call, while it is made */
    bool draining, abandoned;
    struct sweep *sweep;
    struct complete *complete;
};

/* --- consumer.c ---------------------------------------------------------------------------------
 */

/* Does what is to be done for it now. */
void consumer_look_after(struct partition *partition);
/* Its position is this; its records come from there on. */
void consumer_fetch_from(struct partition *partition, int64_t position, int64_t epoch);
/* What is known of its position is void: after a pause it is read again. */
void consumer_start_anew(struct partition *partition);
/* A batch of it has not been settled and will not be: those behind it are another owner's. */
void consumer_settle_missed(struct partition *partition);

/* --- position.c ----------------------------------------------------------------------------------
 */

/* With `gap`: moves it to gap_to; else reads it and goes on there. */
void position_read_or_move(struct partition *partition);

/* --- fill.c: records become a batch
 * ---------------------------------------------------------------- */

bool allocate_batch(struct batch *batch, struct async *async);
void release_batch(struct batch *batch);
/* From what has arrived; false when that is nothing. */
bool fill_batch(struct batch *batch);
/* It is committed: metrics. */
void count_batch(const struct batch *batch);

/* --- complete.c: which partitions are wholly applied, as far as Redis cannot know
 * ------------------ */

bool complete_open(struct async *async);
void complete_start(struct async *async);
void complete_drain(struct async *async);
bool complete_is_quiet(const struct async *async);
void complete_close(struct async *async);
/* It is this process's from now on. */
void complete_assigned(struct partition *partition);
/* Its position has moved, or is known now. */
void complete_moved(struct partition *partition);

/* --- sweep.c: what was left behind, and gates
 * ------------------------------------------------------ */

bool sweep_open(struct async *async);
void sweep_start(struct async *async); /* rounds begin */
void sweep_drain(struct async *async);
void sweep_abandon(struct async *async);
bool sweep_is_quiet(const struct async *async);
void sweep_close(struct async *async);
/* Closes all concerts' gates; then consumer_gates_closed. */
void sweep_close_gates(struct async *async);
void consumer_gates_closed(struct async *async);

#endif
