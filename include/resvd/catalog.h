/* The catalog: concerts and members, the audit and the reset; the dead letters.
 *
 * Implemented once for each kind of store (SQLite; MariaDB/MySQL), so that strategies do not
 * repeat it. Operations are the same struct resv_op and obey the same lifecycle. What only an
 * asynchronous strategy has (dead letters, reconciling) it answers itself: those kinds never come
 * to a store.
 */
#ifndef RESVD_CATALOG_H
#define RESVD_CATALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "resvd/op.h"

struct resv_concert {
    int64_t id;
    char title[RESV_TEXT_BYTES_MAX + 1];
    char venue[RESV_TEXT_BYTES_MAX + 1]; /* empty when not given */
    int64_t starts_at_ms;                /* since 1970 UTC; INT64_MIN when not given */
    int64_t capacity;
    int64_t sold;
    int64_t member_limit; /* RESV_NO_MEMBER_LIMIT for none */
};

struct resv_member {
    int64_t id;
    char name[RESV_TEXT_BYTES_MAX + 1];
};

/* Which fields of concerts[0] an UPDATE sets. */
enum resv_concert_field {
    RESV_CONCERT_TITLE = 1,
    RESV_CONCERT_VENUE = 2,
    RESV_CONCERT_STARTS_AT = 4,
    RESV_CONCERT_CAPACITY = 8,
    RESV_CONCERT_MEMBER_LIMIT = 16,
};

/* All in seats. */
struct resv_audit_line {
    int64_t concert_id;
    int64_t capacity;
    int64_t sold;    /* the concert's own count */
    int64_t live;    /* sum over its HELD and CONFIRMED rows */
    int64_t stock;   /* async only, else -1 */
    int64_t pending; /* async only, else -1 */
    bool consistent;
};

/* "partition-offset", two numbers 0..RESV_INTEGER_MAX in decimal without leading zeros: where the
 * event was in the log when it failed. Core lets nothing else through. */
#define RESV_DEAD_LETTER_ID_BYTES_MAX     40
#define RESV_DEAD_LETTER_REASON_BYTES_MAX 200
#define RESV_DEAD_LETTER_EVENT_BYTES_MAX  400

/* An event that could not be applied. All text is NUL-terminated UTF-8 without control characters:
 * the store makes it so, whatever bytes the event was made of, and cuts what is too long. */
struct resv_dead_letter {
    char id[RESV_DEAD_LETTER_ID_BYTES_MAX + 1];
    int64_t concert_id;   /* 0: the event does not tell */
    int64_t failed_at_ms; /* since 1970 UTC; INT64_MIN when it is not known */
    char reason[RESV_DEAD_LETTER_REASON_BYTES_MAX + 1];
    char event[RESV_DEAD_LETTER_EVENT_BYTES_MAX + 1];
};

/* The parts of a catalog operation that are too large for every op to carry. Core allocates it,
 * with its arrays, before submitting, and frees it after the answer. Arrays that the store fills
 * (lists, audit) are allocated by the store with malloc and freed by core with free. */
struct resv_catalog_request {
    /* CREATE, UPDATE, GET, LIST: request in, result out (ids and sold filled by the store).
     * GET: core passes NULL, the store allocates one. */
    struct resv_concert *concerts;
    struct resv_member *members;
    size_t count;
    unsigned fields; /* UPDATE: enum resv_concert_field */
    /* LIST: concerts with id > after_id, in order of id, at most limit (1..1000). */
    int64_t after_id;
    int64_t limit;
    bool more; /* result of both kinds of LIST: there is something after the last one */
    /* RESET: everything goes, then so many are made: "Concert 1" with capacity seats, … */
    int64_t reset_concerts; /* 0..10,000; ids start at 1 again */
    int64_t reset_members;  /* 0..1,000,000 */
    int64_t reset_capacity;
    /* AUDIT result; of RECONCILE: the one concert's line, as it is now. */
    struct resv_audit_line *audit;
    size_t audit_count;
    bool audit_consistent;
    /* DEAD_LETTER_LIST: letters behind the one with id `after` (which may be gone by now; "": from
     * the first), in an order of the store's own that stays the same; at most `limit`. RETRY: the
     * letter `letter_id`, which leaves the list when its event is durable in the log again. */
    char after[RESV_DEAD_LETTER_ID_BYTES_MAX + 1];
    char letter_id[RESV_DEAD_LETTER_ID_BYTES_MAX + 1];
    struct resv_dead_letter *letters; /* LIST result */
    size_t letter_count;
};

/* The interface that a store gives; `self` is its own. submit as in struct resv_strategy: true,
 * taken; false, busy. Completion through resv_op_complete. */
struct resv_catalog {
    void *self;
    bool (*submit)(void *self, struct resv_op *op);
};

#endif
