/* What is remembered of concerts and members: which way a group had better take.
 *
 * Several processes may sell on one database, so nothing here is ever an answer: a hint that is
 * wrong costs a round trip, and what that reads puts it right. Both are caches of fixed size in
 * which a new entry takes the place of an old one. */
#ifndef RESVD_COMMON_HINTS_H
#define RESVD_COMMON_HINTS_H

#include <stdbool.h>
#include <stdint.h>

#define HINTS_CONCERTS 4096  /* a power of two */
#define HINTS_MEMBERS  65536 /* a power of two */

struct concert_hint {
    int64_t concert_id; /* 0: empty */
    bool exists;
    int64_t remaining;    /* seats */
    int64_t member_limit; /* RESV_NO_MEMBER_LIMIT for none */
    int64_t fence;        /* the last known */
    /* database_link_sessions_connected when it was asked for: good to write on, with a token, on a
     * session with no higher number only. */
    uint64_t sessions;
};

struct hints {
    struct concert_hint concerts[HINTS_CONCERTS];
    int64_t members[HINTS_MEMBERS]; /* known to exist, which only a reset ends; 0: empty */
};

void hints_put_concert(struct hints *hints, const struct concert_hint *hint);
/* NULL when nothing is remembered. */
const struct concert_hint *hints_find_concert(const struct hints *hints, int64_t concert_id);
/* Seats were taken by this process; nothing when nothing is remembered of the concert. */
void hints_take_seats(struct hints *hints, int64_t concert_id, int64_t seats);
/* A write of this process, begun with so many sessions connected, has made the fence this; nothing
 * when nothing is remembered. */
void hints_set_fence(struct hints *hints, int64_t concert_id, int64_t fence, uint64_t sessions);
void hints_drop_concert(struct hints *hints, int64_t concert_id);

void hints_put_member(struct hints *hints, int64_t member_id);
bool hints_know_member(const struct hints *hints, int64_t member_id);
void hints_drop_members(struct hints *hints);

void hints_drop_all(struct hints *hints);

#endif
