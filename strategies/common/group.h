/* Reservations of one concert that are decided together and share one transaction.
 *
 * A strategy embeds this and adds its way to the database: how it reads the facts (behind a lock,
 * or with a fencing token), when it writes, how it ends. Here is what all ways share: the memory,
 * what is asked for, what came back, what it says for each request, and which rows are written.
 *
 * Invariants: what is asked for is sorted and unique; each request points to the entry of its id
 * (if that is read) and of its member; two requests of one member share one entry; a request whose
 * row was in a run whose COMMIT's answer was lost is `sent` from then on.
 */
#ifndef RESVD_COMMON_GROUP_H
#define RESVD_COMMON_GROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base.h"
#include "common/decide.h"
#include "common/hints.h"

enum {
    GROUP_REQUESTS_MAX = 10000,
    GROUP_STEPS = 8, /* of one run */
};

struct group {
    struct work work;
    struct hints *hints;
    int64_t concert_id;

    struct request *requests; /* in order of arrival; all arrays have room for requests_max */
    size_t requests_max;
    size_t count;

    /* One attempt's. */
    unsigned commits_lost; /* of the work, as far as the requests know of them */
    uint64_t sessions;     /* connected when it began; for who writes on hints */
    struct database_step steps[GROUP_STEPS];
    const struct database_step *concert_step; /* the one that read the concert */
    struct decide_concert seen;               /* of it */
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

/* False: out of memory; group_free all the same. */
bool group_allocate(struct group *group, struct hints *hints, size_t requests_max);
void group_free(struct group *group);

size_t group_size(const struct group *group); /* requests without an answer */
/* What the requests ask for together (RESV_INTEGER_MAX when it is more), and the least of them. */
int64_t group_sum_of_seats(const struct group *group, int64_t *smallest);

/* Fills reservations (of requests with a key, or of all), members and strangers, and has requests
 * point into them. */
void group_prepare_reads(struct group *group, bool all_ids);
/* What strangers turned out to be, for `members` and for the hints. */
void group_note_strangers(struct group *group);
/* group->seen from its concert_step, for the hints too. */
void group_note_concert(struct group *group);
/* request->outcome from its verdict, but for VERDICT_TAKE: that is with its row. */
void group_fill_outcome(struct request *request);
/* Some outcome rests on a row that was read, and is a promise (base_is_promise). */
bool group_promises_rows(const struct group *group);
/* Rows, and seats, of the requests that take theirs; granted when the run is done. */
void group_fill_rows(struct group *group);
/* The run with the rows has ended otherwise: they count as sent if its COMMIT may be executed. */
void group_settle_rows(struct group *group);

#endif
