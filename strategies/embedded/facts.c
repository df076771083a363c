/* Committed facts: two direct-mapped caches. */
#include "facts.h"

#include <string.h>

#include "resvd/hash.h"

static struct concert_fact *concert_place(struct facts *facts, int64_t concert_id)
{
    return &facts->concerts[resv_hash_id(concert_id) & (FACTS_CONCERTS - 1)];
}

void facts_put_concert(struct facts *facts, int64_t concert_id, int64_t remaining)
{
    *concert_place(facts, concert_id) = (struct concert_fact){
        .concert_id = concert_id, .remaining = remaining, .version = ++facts->version};
}

const struct concert_fact *facts_find_concert(const struct facts *facts, int64_t concert_id)
{
    const struct concert_fact *fact =
        &facts->concerts[resv_hash_id(concert_id) & (FACTS_CONCERTS - 1)];
    return concert_id != 0 && fact->concert_id == concert_id ? fact : NULL;
}

void facts_drop_concert(struct facts *facts, int64_t concert_id)
{
    struct concert_fact *fact = concert_place(facts, concert_id);
    if (fact->concert_id == concert_id)
        *fact = (struct concert_fact){0};
}

void facts_drop_concerts(struct facts *facts)
{
    memset(facts->concerts, 0, sizeof facts->concerts);
}

void facts_put_member(struct facts *facts, int64_t member_id)
{
    facts->members[resv_hash_id(member_id) & (FACTS_MEMBERS - 1)] = member_id;
}

bool facts_know_member(const struct facts *facts, int64_t member_id)
{
    return member_id != 0 &&
           facts->members[resv_hash_id(member_id) & (FACTS_MEMBERS - 1)] == member_id;
}

void facts_drop_members(struct facts *facts)
{
    memset(facts->members, 0, sizeof facts->members);
}
