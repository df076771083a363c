/* What the parts of the embedded strategy share: the instance, and an operation's way through it.
 *
 *   submit --> arrived --+--> queue ------> [writer: one batch at a time] --> done
 *                        |      ^  \
 *                        |      |   +-(committed facts say sold out)--------> done
 *                        |      |
 *                        +--> checks -----> [reader] -----------------------> done
 *
 * A reservation that committed facts say does not fit is answered without a transaction: at once
 * when its member is known and it has no key, else after a look at the rows (it may be a replay;
 * an unknown member must be told so). Lookups take the reader's way too.
 */
#ifndef RESVD_EMBEDDED_EMBEDDED_H
#define RESVD_EMBEDDED_EMBEDDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "facts.h"
#include "resvd/strategy.h"
#include "sqlite.h"

enum {
    BATCHES = 2,       /* one with the writer, one whose answers are being given */
    LOOKUPS = 2,       /* messages that the reader may have */
    LOOKUPS_MAX = 512, /* items in each */
    CATALOG_MAX = 256, /* catalog operations under way */
};

/* Where an operation is; it changes in op_queue.c only. */
enum place {
    PLACE_ELSEWHERE, /* a catalog operation: the link's */
    PLACE_ARRIVED,   /* since the last flush point */
    PLACE_QUEUE,     /* waits for the writer */
    PLACE_CHECKS,    /* waits for the reader */
    PLACE_READER,
    PLACE_WRITER,
    PLACE_ANSWERS, /* decided; completes at the flush point */
};

struct embedded_op {
    enum place place;
    struct resv_op *previous; /* in its list; next is the operation's strategy_next */
    bool only_writer;         /* facts changed while it was being checked: the writer decides */
    bool cancelled;           /* while at the reader */
    uint64_t fact_version;    /* of its concert when the reader was asked */
    enum resv_outcome answer; /* PLACE_ANSWERS */
};

struct op_list {
    struct resv_op *first, *last;
    size_t count;
};

struct embedded {
    struct resv_host *host;
    struct sqlite_link *link;
    size_t batch_max;
    size_t queue_max;

    struct op_list arrived;
    struct op_list queue;
    struct op_list checks;
    struct op_list answers;
    size_t releases; /* under way: arrived, queued or at the writer; they may bring seats back */
    bool was_busy;

    struct sqlite_batch batches[BATCHES];
    bool batch_in_use[BATCHES];
    bool writer_has_batch;
    struct sqlite_lookups lookups[LOOKUPS];
    bool lookups_in_use[LOOKUPS];
    uint64_t lookups_epoch[LOOKUPS];

    struct facts facts;
    uint64_t epoch; /* changes when everything may be different (reset) */

    struct resv_deferred flush;
    struct resv_timer drain_timer;
    bool draining;
    bool drained;
    bool closing;
};

extern const struct resv_option_table embedded_options;
extern const struct resv_metric_table embedded_metrics;

enum embedded_option {
    OPTION_FILE,
    OPTION_BATCH_MAX,
    OPTION_QUEUE_MAX,
    OPTION_CACHE_BYTES,
    OPTION_WAL_MAX_BYTES,
};

enum embedded_metric {
    METRIC_BATCH_OPERATIONS,
    METRIC_COMMIT_SECONDS,
    METRIC_QUEUED_OPERATIONS,
    METRIC_QUEUE_MAX_OPERATIONS,
    METRIC_SOLD_OUT_FAST,
    METRIC_CHECKS,
};

/* op_queue.c: lists and places. */
struct embedded_op *embedded_op_of(const struct resv_op *op);
/* Takes the operation off the list it is on, if any, and puts it where it belongs now. */
void embedded_move(struct embedded *embedded, struct resv_op *op, enum place place);
/* Takes it off, and completes it. Not from inside submit or cancel. */
void embedded_complete(struct embedded *embedded, struct resv_op *op, enum resv_outcome outcome);
size_t embedded_waiting(const struct embedded *embedded);

/* flow.c: what happens to operations. */
/* Has the flush point run embedded_flush; nothing while closing. */
void embedded_schedule(struct embedded *embedded);
void embedded_flush(struct resv_deferred *deferred);
void embedded_batch_done(struct sqlite_batch *batch);
void embedded_lookups_done(struct sqlite_lookups *lookups);
/* Everything still under way completes now, as is true. */
void embedded_abandon(struct embedded *embedded);
bool embedded_idle(const struct embedded *embedded);

#endif
