/* Hints: two direct-mapped caches.
 *
 * Invariant: what is found was put under that very id and not dropped since; nothing more. */
#include "common/hints.h"

#include <stddef.h>
#include <string.h>

#include "resvd/hash.h"

/* By the hash's highest bits ids that follow each other never meet while they fit in, by those in
 * the middle nearly half of 9,000 did. */
static size_t place_of(int64_t id, size_t places)
{
    return (size_t)((uint64_t)resv_hash_id(id) * places >> 32);
}

static size_t concert_place(int64_t concert_id)
{
    return place_of(concert_id, HINTS_CONCERTS);
}

static size_t member_place(int64_t member_id)
{
    return place_of(member_id, HINTS_MEMBERS);
}

void hints_put_concert(struct hints *hints, const struct concert_hint *hint)
{
    hints->concerts[concert_place(hint->concert_id)] = *hint;
}

const struct concert_hint *hints_find_concert(const struct hints *hints, int64_t concert_id)
{
    const struct concert_hint *hint = &hints->concerts[concert_place(concert_id)];
    return concert_id != 0 && hint->concert_id == concert_id ? hint : NULL;
}

void hints_take_seats(struct hints *hints, int64_t concert_id, int64_t seats)
{
    struct concert_hint *hint = &hints->concerts[concert_place(concert_id)];
    if (hint->concert_id == concert_id)
        hint->remaining -= seats;
}

void hints_set_fence(struct hints *hints, int64_t concert_id, int64_t fence, uint64_t sessions)
{
    struct concert_hint *hint = &hints->concerts[concert_place(concert_id)];
    if (hint->concert_id != concert_id)
        return;
    hint->fence = fence;
    hint->sessions = sessions;
}

void hints_drop_concert(struct hints *hints, int64_t concert_id)
{
    struct concert_hint *hint = &hints->concerts[concert_place(concert_id)];
    if (hint->concert_id == concert_id)
        *hint = (struct concert_hint){0};
}

void hints_put_member(struct hints *hints, int64_t member_id)
{
    hints->members[member_place(member_id)] = member_id;
}

bool hints_know_member(const struct hints *hints, int64_t member_id)
{
    return member_id != 0 && hints->members[member_place(member_id)] == member_id;
}

void hints_drop_members(struct hints *hints)
{
    memset(hints->members, 0, sizeof hints->members);
}

void hints_drop_all(struct hints *hints)
{
    memset(hints, 0, sizeof *hints);
}
