/* What the parts of the grouped strategy share: the instance, a group, and its way.
 *
 *   reserve --> [concert's line] --+--> group with a session --> plain ----------------> answers
 *                 (waiting.c)      |                         |     | refused, duplicate   ^
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
#include "decide.h"
#include "hints.h"
#include "resvd/strategy.h"
#include "waiting.h"

enum {
    GROUP_MAX_MAX = 10000, /* operations */
    GROUP_STEPS = 8,       /* of one run */
    /* Each repeat has found at least one id or member that the attempt before did not know of. */
    GROUP_REPEATS_MAX = 8,
};

struct group {
    struct work work;
    struct grouped *grouped;
    struct concert *concert; /* NULL: free */
    struct group *next_free;
    bool bound; /* has its operations */
    uint64_t bound_ns;
    uint64_t grace_ns; /* from the work's deadline to the end of finding out */

    struct request *requests; /* in order of arrival; all arrays have room for group_max */
    size_t count;

    /* One attempt's. */
    unsigned commits_lost; /* of the work, as far as the requests know of them */
    unsigned repeats;      /* of the careful way */
    bool read_all;         /* an id that is no key was there already */
    struct database_step steps[GROUP_STEPS];
    const struct database_step *concert_step; /* the one that read the concert */
    struct decide_concert seen;
    struct database_row *rows;
    size_t rows_count;
    int64_t seats; /* of the rows */
    struct database_reservation *reservations;
    size_t reservations_count;
    struct database_member *members; /* of all requests */
    size_t members_count;
    struct database_member *strangers; /* of them: not known to exist */
    size_t strangers_count;
};

struct grouped {
    struct base base;
    size_t group_max;
    size_t groups_per_concert;
    size_t groups_count;
    uint64_t hold_ms;

    struct waiting waiting;
    struct group *groups;
    struct group *free_group;
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

static inline struct resv_host *group_host(const struct group *group)
{
    return group->grouped->base.host;
}

/* groups.c: forming groups, and their ends. */
bool groups_open(struct grouped *grouped); /* false: out of memory */
void groups_close(struct grouped *grouped);
void groups_schedule(struct grouped *grouped);
void groups_flush(struct resv_deferred *deferred);
/* A RESERVE, taken. */
void groups_add(struct grouped *grouped, struct resv_op *op);
void groups_cancel(struct grouped *grouped, struct resv_op *op);
/* What waits is UNAVAILABLE, what is under way ends as is true as soon as its run returns. */
void groups_abandon(struct grouped *grouped);
/* All that waits is answered so at the flush point. */
void groups_refuse_waiting(struct grouped *grouped, enum resv_outcome outcome);
/* Gives one request its answer at the flush point; it is no part of the group any more. */
void group_answer(struct group *group, struct request *request, enum resv_outcome outcome);
size_t group_size(const struct group *group); /* requests without an answer */
/* Every request gets its .outcome; the session goes back. No transaction may be open. */
void group_finish(struct group *group);
/* The same, and the same outcome for all. */
void group_finish_all(struct group *group, enum resv_outcome outcome);

/* reads.c: what a group asks the database for. */
/* Fills reservations (of requests with a key, or of all), members and strangers, and has requests
 * point into them. */
void group_prepare_reads(struct group *group, bool all_ids);
/* What strangers turned out to be, for `members` and for the hints. */
void group_note_strangers(struct group *group);
/* What its verdict says, but for VERDICT_TAKE: that is with its row. */
void group_fill_outcome(struct request *request);
/* Some outcome rests on a row that was read, and is a promise (base_is_promise). */
bool group_promises_rows(const struct group *group);
/* group->seen from its concert_step, for the hints too. */
void group_note_concert(struct group *group);
/* Rows, and seats, of the requests that take theirs; granted when the run is done. */
void group_fill_rows(struct group *group);
/* The run with the rows has ended otherwise: they count as sent if its COMMIT may be executed. */
void group_settle_rows(struct group *group);

/* The ways: each starts its first run, in a session without a transaction. */
void group_go_plain(struct group *group);
void group_look(struct group *group);
void group_go_carefully(struct group *group);

#endif
