/* What every strategy on a database shares, whatever its way to reserve: its life, lookups,
 * releases, and the count of what is under way.
 *
 * Lookups that wait at the same moment are joined into one read on the catalog's pool. A release is
 * one transaction: the row names its concert (which never changes), the concert is locked first, so
 * that every transaction takes its locks in the order concert, reservation; then the row goes from
 * live to CANCELLED, and only if it did, the seats go back.
 */
#ifndef RESVD_COMMON_BASE_H
#define RESVD_COMMON_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/work.h"
#include "database.h"
#include "resvd/strategy.h"

struct base;

/* What a strategy adds. */
struct base_plan {
    enum database_isolation isolation;
    size_t rows_max; /* of one step */
    size_t size;     /* of the strategy's instance, whose first member is a struct base */
    bool retries;    /* see struct work_owner; releases too */
    /* All that follows is on the loop thread; NULL where nothing is to be done. */
    /* Allocates; 0 or -errno after resv_host_start_failed. base->link is not there yet. */
    int (*open)(struct base *base);
    void (*free)(struct base *base); /* what open allocated; may come after a failed open */
    /* A RESERVE: taken; completes once, later, through base_complete. */
    void (*reserve)(struct base *base, struct resv_op *op);
    void (*cancel)(struct base *base, struct resv_op *op);
    /* RESERVEs come even while the database cannot be reached; else base says UNAVAILABLE. */
    bool sells_without_database;
    /* A RELEASE, as a RESERVE, cancel too; NULL: base's own transaction. */
    void (*release)(struct base *base, struct resv_op *op);
    /* A LOOKUP whose row is not there; NULL: it is not found. */
    void (*lookup_missed)(struct base *base, struct resv_op *op);
    /* The database is open: what else there is to open, then resv_host_started or
     * resv_host_start_failed. NULL: it is started. */
    void (*opened)(struct base *base);
    /* A drain has begun; and whether what the strategy does besides operations has come to its end
     * (base_idle_changed when it has). */
    void (*drain)(struct base *base);
    bool (*is_idle)(const struct base *base);
    /* The drain's deadline has come: everything of its own ends as soon as it can, as is true. */
    void (*abandon)(struct base *base);
    /* See struct database_link_events. The operation is counted as under way: base_complete. */
    void (*catalog_answered)(struct base *base, struct resv_op *op, enum resv_outcome outcome);
    void (*catalog_changed)(struct base *base, int64_t concert_id);
    void (*up_changed)(struct base *base);
};

/* At the head of resv_op.strategy_private; a strategy's own struct begins with it. */
struct base_op {
    /* The list that it is on, or NULL; next there is op->strategy_next. base_list_* write these. */
    struct base_op_list *list;
    struct resv_op *previous;
    /* An operation that is answered by a work of its own: every RELEASE, and RESERVE where a
     * strategy wants it so (base_work_start). */
    bool works;
    struct base *base;
    struct work work;
    struct database_step steps[4];
    struct database_reservation found;
    struct database_member member;
    struct database_row row;
    enum resv_outcome answer; /* to be given at the flush point, or when rolled back */
};

struct base_op_list {
    struct resv_op *first, *last;
    size_t count;
};

struct base {
    struct resv_host *host;
    struct database_link *link;
    const struct base_plan *plan;
    size_t rows_max;               /* plan->open may raise it above the plan's */
    size_t steps_max;              /* plan->open may set it: see struct database_link_config */
    bool needs_procedure;          /* plan->open sets it: see struct database_link_config */
    struct work_counters counters; /* of every work; shown as metrics by base */
    size_t under_way;              /* operations taken and not completed */
    bool draining;
    bool drained;
    bool abandoned;
    bool closing;
    /* base's own. */
    struct base_reads *reads;
    struct base_op_list works;   /* operations with a work of their own */
    struct base_op_list answers; /* decided; complete at the flush point */
    struct resv_deferred flush;
    struct resv_timer drain_timer;
    struct work_counters shown;
};

/* Transactions that were tried again, by why; answers that were found out. */
extern const struct resv_metric_table base_metrics;

/* The seam's functions; a strategy's own are these with its plan. */
int base_open(struct resv_host *host, const struct base_plan *plan, void **instance);
void base_start(void *instance);
bool base_submit(void *instance, struct resv_op *op);
struct resv_catalog *base_catalog(void *instance);
void base_cancel(void *instance, struct resv_op *op, enum resv_cancel_reason reason);
void base_drain(void *instance, uint64_t deadline_ns);
void base_close(void *instance);

static inline struct base_op *base_op_of(const struct resv_op *op)
{
    return op->strategy_private;
}

/* Reads the row of a LOOKUP (again), which is on no list; from everywhere. */
void base_lookup(struct base *base, struct resv_op *op);
/* See plan->is_idle; from everywhere. */
void base_idle_changed(struct base *base);

/* A list of operations; each is on one at most. */
void base_list_append(struct base_op_list *list, struct resv_op *op);
void base_list_remove(struct base_op_list *list, struct resv_op *op);

/* Completes an operation that base handed over and that is on no list; not from inside submit or
 * cancel. */
void base_complete(struct base *base, struct resv_op *op, enum resv_outcome outcome);
/* The same at the flush point: from everywhere. base has it on a list until then. */
void base_complete_soon(struct base *base, struct resv_op *op, enum resv_outcome outcome);

/* --- operations with a work of their own -------------------------------------------------------
 * base lists them, and cancels and abandons their works itself. work.data is the operation. */

void base_work_start(struct base *base, struct resv_op *op, const struct work_owner *owner);
/* The answer of a COMMIT: finishes the work (no transaction may be open) and completes the
 * operation. */
void base_work_answer(struct work *work, enum resv_outcome outcome);
/* An answer that rests on what was read; no transaction may be open. GRANTED and RELEASED are
 * promises, given when what was read is on disk (base_is_promise). */
void base_work_answer_read(struct work *work, enum resv_outcome outcome);
/* The same from inside of a transaction: rolls back first. */
void base_work_refuse(struct work *work, enum resv_outcome outcome);
/* For the owner's gave_up. */
void base_work_gave_up(struct work *work, enum resv_outcome outcome);

/* --- for works ---------------------------------------------------------------------------------
 */

/* Zeroes the work and fills the owner's part of it for this operation, but for data. */
void base_prepare_work(struct base *base, struct work *work, const struct resv_op *op,
                       const struct work_owner *owner);

/* Whether an outcome that rests on a row that was read, not on a COMMIT behind that read, must wait
 * for DATABASE_SYNC: what others have committed is seen before it is on disk. So is a row of this
 * work's own whose COMMIT's answer was lost; and with a key it may be another process's. A refusal
 * promises nothing. */
bool base_is_promise(enum resv_outcome outcome);
/* What a row with the operation's id says to a RESERVE: GRANTED with op->reservation filled (a
 * replay unless in doubt, when it is this operation's own), or KEY_REUSED. */
enum resv_outcome base_answer_from_row(struct resv_op *op, const struct resv_reservation *row,
                                       bool in_doubt);
/* GRANTED, op->reservation filled from the operation itself. */
enum resv_outcome base_granted(struct resv_op *op);

#endif
