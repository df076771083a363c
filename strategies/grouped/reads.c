/* What a group reads before it decides: rows of its ids, members, the concert.
 *
 * Invariants: what is asked for is sorted and unique; each request points to the entry of its id
 * (if that is read) and of its member; two requests of one member share one entry. */
#include <stdlib.h>
#include <string.h>

#include "grouped.h"
#include "resvd/assert.h"

/* --- sorting ------------------------------------------------------------------------------------
 * In place (the C library's qsort may allocate), never slower than n log n. */

typedef int compare_function(const void *a, const void *b);

static void swap(char *a, char *b, size_t size)
{
    char kept[sizeof(struct database_reservation)];
    memcpy(kept, a, size);
    memcpy(a, b, size);
    memcpy(b, kept, size);
}

/* Lets the item at `root` sink to its place in the heap of `count` items. */
static void sink(char *items, size_t root, size_t count, size_t size, compare_function *compare)
{
    for (size_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && compare(items + child * size, items + (child + 1) * size) < 0)
            child++;
        if (compare(items + root * size, items + child * size) >= 0)
            return;
        swap(items + root * size, items + child * size, size);
    }
}

/* Sorts, drops what is there twice, and returns how many are left. */
static size_t sort_unique(void *array, size_t count, size_t size, compare_function *compare)
{
    char *items = array;
    RESV_ASSERT(size <= sizeof(struct database_reservation));
    for (size_t root = count / 2; root-- > 0;)
        sink(items, root, count, size, compare);
    for (size_t last = count; last-- > 1;) {
        swap(items, items + last * size, size);
        sink(items, 0, last, size, compare);
    }
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept > 0 && compare(items + (kept - 1) * size, items + i * size) == 0)
            continue;
        if (kept != i)
            memcpy(items + kept * size, items + i * size, size);
        kept++;
    }
    return kept;
}

static int compare_reservations(const void *a, const void *b)
{
    const struct database_reservation *first = a;
    const struct database_reservation *second = b;
    return memcmp(first->id.bytes, second->id.bytes, RESV_ID_SIZE);
}

static int compare_members(const void *a, const void *b)
{
    const struct database_member *first = a;
    const struct database_member *second = b;
    return (first->id > second->id) - (first->id < second->id);
}

/* --- what is asked for --------------------------------------------------------------------------
 */

static void prepare_reservations(struct group *group, bool all_ids)
{
    group->reservations_count = 0;
    for (size_t i = 0; i < group->count; i++) {
        const struct resv_op *op = group->requests[i].op;
        if (op != NULL && (op->keyed || all_ids))
            group->reservations[group->reservations_count++] =
                (struct database_reservation){.id = op->id};
    }
    group->reservations_count = sort_unique(group->reservations, group->reservations_count,
                                            sizeof *group->reservations, compare_reservations);
}

static void prepare_members(struct group *group)
{
    group->members_count = 0;
    for (size_t i = 0; i < group->count; i++) {
        const struct resv_op *op = group->requests[i].op;
        if (op != NULL)
            group->members[group->members_count++] = (struct database_member){
                .id = op->member_id,
                .found = hints_know_member(&group->grouped->hints, op->member_id),
            };
    }
    group->members_count =
        sort_unique(group->members, group->members_count, sizeof *group->members, compare_members);
    group->strangers_count = 0;
    for (size_t i = 0; i < group->members_count; i++) {
        if (!group->members[i].found)
            group->strangers[group->strangers_count++] = group->members[i];
    }
}

void group_prepare_reads(struct group *group, bool all_ids)
{
    prepare_reservations(group, all_ids);
    prepare_members(group);
    for (size_t i = 0; i < group->count; i++) {
        struct request *request = &group->requests[i];
        if (request->op == NULL)
            continue;
        const struct database_reservation id = {.id = request->op->id};
        const struct database_member member = {.id = request->op->member_id};
        request->found = bsearch(&id, group->reservations, group->reservations_count,
                                 sizeof *group->reservations, compare_reservations);
        request->member = bsearch(&member, group->members, group->members_count,
                                  sizeof *group->members, compare_members);
        RESV_ASSERT(request->member != NULL);
    }
}

/* --- what came back -----------------------------------------------------------------------------
 */

void group_note_strangers(struct group *group)
{
    size_t position = 0;
    for (size_t i = 0; i < group->strangers_count; i++) {
        const struct database_member *stranger = &group->strangers[i];
        while (group->members[position].id != stranger->id)
            position++; /* both are sorted, and each stranger is one of the members */
        group->members[position].found = stranger->found;
        if (stranger->found)
            hints_put_member(&group->grouped->hints, stranger->id);
    }
}

void group_note_concert(struct group *group)
{
    const struct database_concert_step *read = &group->concert_step->concert;
    group->seen = (struct decide_concert){.exists = read->found};
    if (read->found) {
        group->seen.remaining = read->capacity - read->sold;
        group->seen.member_limit = read->member_limit;
    }
    const struct concert_hint hint = {
        .concert_id = group->concert->id,
        .exists = group->seen.exists,
        .remaining = group->seen.remaining,
        .member_limit = group->seen.member_limit,
    };
    hints_put_concert(&group->grouped->hints, &hint);
}

/* --- what it says -------------------------------------------------------------------------------
 */

void group_fill_outcome(struct request *request)
{
    switch (request->verdict) {
    case VERDICT_ROW:
        /* A row that no lost COMMIT of this group can have written is an answer given again. */
        request->outcome = base_answer_from_row(request->op, &request->found->row, request->sent);
        break;
    case VERDICT_UNKNOWN_CONCERT:
        request->outcome = RESV_UNKNOWN_CONCERT;
        break;
    case VERDICT_UNKNOWN_MEMBER:
        request->outcome = RESV_UNKNOWN_MEMBER;
        break;
    case VERDICT_SOLD_OUT:
        request->outcome = RESV_SOLD_OUT;
        break;
    case VERDICT_LIMIT:
        request->outcome = RESV_LIMIT;
        break;
    case VERDICT_TAKE:
        break;
    }
}

bool group_promises_rows(const struct group *group)
{
    for (size_t i = 0; i < group->count; i++) {
        const struct request *request = &group->requests[i];
        if (request->op != NULL && request->verdict == VERDICT_ROW &&
            base_is_promise(request->outcome))
            return true;
    }
    return false;
}

/* --- what is written ----------------------------------------------------------------------------
 */

void group_fill_rows(struct group *group)
{
    group->rows_count = 0;
    group->seats = 0;
    for (size_t i = 0; i < group->count; i++) {
        struct request *request = &group->requests[i];
        const struct resv_op *op = request->op;
        if (op == NULL || request->verdict != VERDICT_TAKE)
            continue;
        group->rows[group->rows_count++] = (struct database_row){
            .id = op->id, .member_id = op->member_id, .quantity = op->quantity};
        group->seats += op->quantity;
        request->sending = true;
        request->outcome = base_granted(request->op);
    }
}

void group_settle_rows(struct group *group)
{
    const bool lost = group->work.commits_lost > group->commits_lost;
    for (size_t i = 0; i < group->count; i++) {
        struct request *request = &group->requests[i];
        request->sent = request->sent || (request->sending && lost);
        request->sending = false;
    }
    group->commits_lost = group->work.commits_lost;
}
