/* What each reservation of a group gets, decided on what was read: no I/O, no clock, no memory of
 * its own. */
#ifndef RESVD_COMMON_DECIDE_H
#define RESVD_COMMON_DECIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "database.h"
#include "resvd/op.h"

enum verdict {
    VERDICT_ROW, /* there is a row with its id: what that says */
    VERDICT_UNKNOWN_CONCERT,
    VERDICT_UNKNOWN_MEMBER,
    VERDICT_SOLD_OUT,
    VERDICT_LIMIT,
    VERDICT_TAKE, /* it gets its seats */
};

struct decide_concert {
    bool exists;
    int64_t remaining;    /* seats */
    int64_t member_limit; /* RESV_NO_MEMBER_LIMIT for none */
    int64_t fence;        /* as it was read; no part in the decision */
};

/* One reservation of a group, in the group's order of arrival. */
struct request {
    struct resv_op *op;                 /* NULL: it has its answer */
    struct database_reservation *found; /* by id; NULL: its id was not read */
    struct database_member *member;     /* shared with the member's other requests */
    bool sending;                       /* this attempt's run that ends with COMMIT has its row */
    bool sent;                          /* so had one whose COMMIT's answer was lost */
    enum verdict verdict;
    enum resv_outcome outcome;
};

/* What it gets when it is the only one; changes nothing. */
enum verdict decide_one(const struct decide_concert *concert, const struct request *request);

/* All in their order, each knowing what those before it took: fills the verdicts, and counts in
 * concert->remaining, the members' seats and `found` of those that take. Requests without an op are
 * passed over. Returns the seats taken, *takers of them requests. */
int64_t decide_in_order(struct decide_concert *concert, struct request *requests, size_t count,
                        size_t *takers);

#endif
