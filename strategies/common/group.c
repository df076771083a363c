/* A group: its memory, what it asks the database for, what came back says, and what is written.
 *
 * Invariants: those of group.h. What is known of a member without asking is from the hints, and
 * only that it exists. */
#include "common/group.h"

#include <stdlib.h>
#include <string.h>

#include "resvd/assert.h"

/* --- memory -------------------------------------------------------------------------------------
 */

bool group_allocate(struct group *group, struct hints *hints, size_t requests_max)
{
    RESV_ASSERT(requests_max > 0 && requests_max <= GROUP_REQUESTS_MAX);
    group->hints = hints;
    group->requests_max = requests_max;
    group->requests = calloc(requests_max, sizeof *group->requests);
    group->rows = calloc(requests_max, sizeof *group->rows);
    group->reservations = calloc(requests_max, sizeof *group->reservations);
    group->members = calloc(requests_max, sizeof *group->members);
    group->strangers = calloc(requests_max, sizeof *group->strangers);
    return group->requests != NULL && group->rows != NULL && group->reservations != NULL &&
           group->members != NULL && group->strangers != NULL;
}

void group_free(struct group *group)
{
    free(group->requests);
    free(group->rows);
    free(group->reservations);
    free(group->members);
    free(group->strangers);
}

/* --- sizes --------------------------------------------------------------------------------------
 */

size_t group_size(const struct group *group)
{
    size_t size = 0;
    for (size_t i = 0; i < group->count; i++)
        size += group->requests[i].op != NULL;
    return size;
}

int64_t group_sum_of_seats(const struct group *group, int64_t *smallest)
{
    int64_t sum = 0;
    *smallest = RESV_INTEGER_MAX;
    for (size_t i = 0; i < group->count; i++) {
        const struct resv_op *op = group->requests[i].op;
        if (op == NULL)
            continue;
        if (op->quantity < *smallest)
            *smallest = op->quantity;
        /* Beyond what any concert holds it does not matter how much. */
        sum = sum + op->quantity > RESV_INTEGER_MAX ? RESV_INTEGER_MAX : sum + op->quantity;
    }
    return sum;
}

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
                .found = hints_know_member(group->hints, op->member_id),
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
            hints_put_member(group->hints, stranger->id);
    }
}

void group_note_concert(struct group *group)
{
    const struct database_concert_step *read = &group->concert_step->concert;
    group->seen = (struct decide_concert){.exists = read->found};
    if (read->found) {
        group->seen.remaining = read->capacity - read->sold;
        group->seen.member_limit = read->member_limit;
        group->seen.fence = read->fence;
    }
    const struct concert_hint hint = {
        .concert_id = group->concert_id,
        .exists = group->seen.exists,
        .remaining = group->seen.remaining,
        .member_limit = group->seen.member_limit,
        .fence = group->seen.fence,
        .sessions = group->sessions,
    };
    hints_put_concert(group->hints, &hint);
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
