/* Committed facts that embedded remembers, so that a sold-out answer costs no transaction: seats
 * left of concerts, and members known to exist. Both are caches of fixed size in which a new entry
 * takes the place of an old one; what is not in them is asked of the file. */
#ifndef RESVD_EMBEDDED_FACTS_H
#define RESVD_EMBEDDED_FACTS_H

#include <stdbool.h>
#include <stdint.h>

#define FACTS_CONCERTS 4096  /* a power of two */
#define FACTS_MEMBERS  65536 /* a power of two */

struct concert_fact {
    int64_t concert_id; /* 0: empty */
    int64_t remaining;  /* seats, as of the last commit that touched the concert */
    uint64_t version;   /* changes with each such commit */
};

struct facts {
    uint64_t version;
    struct concert_fact concerts[FACTS_CONCERTS];
    int64_t members[FACTS_MEMBERS]; /* ids; 0: empty */
};

void facts_put_concert(struct facts *facts, int64_t concert_id, int64_t remaining);
/* NULL when nothing is known. */
const struct concert_fact *facts_find_concert(const struct facts *facts, int64_t concert_id);
void facts_drop_concert(struct facts *facts, int64_t concert_id);
void facts_drop_concerts(struct facts *facts);

void facts_put_member(struct facts *facts, int64_t member_id);
bool facts_know_member(const struct facts *facts, int64_t member_id);
void facts_drop_members(struct facts *facts);

#endif
