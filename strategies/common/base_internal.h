/* base's inside: what its files share. */
#ifndef RESVD_COMMON_BASE_INTERNAL_H
#define RESVD_COMMON_BASE_INTERNAL_H

#include "common/base.h"

enum base_metric {
    BASE_METRIC_DEADLOCKS,
    BASE_METRIC_LOCK_WAITS,
    BASE_METRIC_LOST,
    BASE_METRIC_RESOLVED,
    BASE_METRIC_CONTRADICTIONS,
    BASE_METRIC_RELEASES,
    BASE_METRIC_LOOKUPS_JOINED,
};

/* Has the flush point look after what waits; nothing while closing. */
void base_schedule(struct base *base);

/* reads.c: joined lookups. */

/* False when out of memory. */
bool base_reads_create(struct base *base);
void base_reads_destroy(struct base *base); /* nothing under way */
void base_reads_add(struct base *base, struct resv_op *op);
/* Puts what waits into reads; while the database is down, answers it. At the flush point. */
void base_reads_flush(struct base *base);
/* Takes it back if it still waits. */
bool base_reads_cancel(struct base *base, struct resv_op *op);
/* All that waits is UNAVAILABLE; what is under way ends when its run returns. */
void base_reads_abandon(struct base *base);
/* No session is held and none waited for. */
bool base_reads_idle(const struct base *base);

/* release.c */
void base_release(struct base *base, struct resv_op *op);

#endif
