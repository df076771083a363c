/* What the parts of the grouped strategy share: the instance, a group, and its way.
 *
 *   reserve --> [concert's line] --+--> group with a session --> plain ----------------> answers
 *             (common/waiting.c)   |                         |     | refused, duplicate   ^
 *                                  |                         |     v                      |
 *        flush point: one group    |                         +-> careful -----------------+
 *        a concert, round robin ---+                         |     ^ may fit              |
 *                                                            +-> look (no lock) ----------+
 *
 * A group takes its operations when it has its session, so what arrives until then shares it. All
 * answers are given at the flush point, after the new groups have been started.
 */
#ifndef RESVD_GROUPED_GROUPED_H
#define RESVD_GROUPED_GROUPED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base.h"
#include "common/group.h"
#include "common/hints.h"
#include "common/waiting.h"
#include "resvd/strategy.h"

enum {
    /* Each repeat has found at least one id or member that the attempt before did not know of. */
    GROUPED_REPEATS_MAX = 8,
};

/* Something waits for it, or it has groups: as many as its users. */
struct grouped_concert {
    struct waiting_concert waiting;
    size_t groups_unbound; /* without a session yet, and so without operations */
};

struct grouped_group {
    struct group group; /* its work's data; first: see grouped_group_of */
    struct grouped *grouped;
    struct grouped_concert *concert; /* NULL: free */
    struct grouped_group *next_free;
    bool bound; /* has its operations */
    uint64_t bound_ns;
    uint64_t grace_ns; /* from the work's deadline to the end of finding out */

    /* One attempt's. */
    unsigned repeats; /* of the careful way */
    bool read_all;    /* an id that is no key was there already */
};

struct grouped {
    struct base base;
    size_t group_max;
    size_t groups_per_concert;
    size_t groups_count;
    uint64_t hold_ms;

    struct waiting waiting;
    struct grouped_group *groups;
    struct grouped_group *free_group;
    struct hints hints;
    struct resv_deferred flush;
    bool look_for_idle; /* somebody left a line: a group may be waiting for nobody */
};

enum grouped_option {
    OPTION_GROUP_MAX,
    OPTION_GROUPS_PER_CONCERT,
    OPTION_GROUPS_MAX,
    OPTION_CONCERTS_MAX,
    OPTION_HOLD_MS,
};

enum grouped_metric {
    METRIC_GROUP_OPERATIONS,
    METRIC_TRANSACTION_SECONDS,
    METRIC_WAITING_OPERATIONS,
    METRIC_PLAIN,
    METRIC_LOOK,
    METRIC_CAREFUL,
};

extern const struct resv_option_table grouped_options;
extern const struct resv_metric_table grouped_metrics;

static inline struct grouped_group *grouped_group_of(struct group *group)
{
    return (struct grouped_group *)group;
}

/* groups.c: forming groups, and their ends. */
bool grouped_open_groups(struct grouped *grouped); /* false: out of memory */
void grouped_close_groups(struct grouped *grouped);
void grouped_flush(struct resv_deferred *deferred);
/* A RESERVE, taken. */
void grouped_add(struct grouped *grouped, struct resv_op *op);
void grouped_cancel(struct grouped *grouped, struct resv_op *op);
/* What waits is UNAVAILABLE, what is under way ends as is true as soon as its run returns. */
void grouped_abandon(struct grouped *grouped);
/* All that waits is answered so at the flush point. */
void grouped_refuse_waiting(struct grouped *grouped, enum resv_outcome outcome);
/* Gives one request its answer at the flush point; it is no part of the group any more. */
void grouped_answer(struct group *group, struct request *request, enum resv_outcome outcome);
/* Every request gets its .outcome; the session goes back. No transaction may be open. */
void grouped_finish(struct group *group);
/* The same, and the same outcome for all. */
void grouped_finish_all(struct group *group, enum resv_outcome outcome);

/* The ways: each starts its first run, in a session without a transaction. */
void grouped_go_plain(struct group *group);
void grouped_look(struct group *group);
void grouped_go_carefully(struct group *group);

#endif
