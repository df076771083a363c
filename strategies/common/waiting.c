/* A line of operations for each concert, and a line of concerts for groups.
 *
 * Invariants: an operation is in the list of its place and in no other; a concert has an entry
 * while something waits for it, the strategy uses it, or it is in line; a concert that got a group
 * goes to the end of the line, so that none starves. All memory is allocated at the start. */
#include "common/waiting.h"

#include <stdlib.h>
#include <string.h>

#include "resvd/assert.h"

static struct waiting_concert *concert_at(const struct waiting *waiting, size_t index)
{
    return (struct waiting_concert *)(void *)(waiting->concerts + index * waiting->concert_size);
}

bool waiting_open(struct waiting *waiting, size_t concerts_max, size_t concert_size)
{
    size_t buckets = 1;
    while (buckets < concerts_max)
        buckets *= 2;
    RESV_ASSERT(concert_size >= sizeof(struct waiting_concert));
    *waiting = (struct waiting){
        .concerts_count = concerts_max, .concert_size = concert_size, .buckets_mask = buckets - 1};
    waiting->concerts = calloc(concerts_max, concert_size);
    waiting->buckets = calloc(buckets, sizeof *waiting->buckets);
    if (waiting->concerts == NULL || waiting->buckets == NULL)
        return false;
    for (size_t i = concerts_max; i-- > 0;) {
        concert_at(waiting, i)->hash_next = waiting->free;
        waiting->free = concert_at(waiting, i);
    }
    return true;
}

void waiting_close(struct waiting *waiting)
{
    free(waiting->concerts);
    free(waiting->buckets);
    *waiting = (struct waiting){0};
}

/* --- lists of operations ------------------------------------------------------------------------
 */

static void append(struct op_list *list, struct resv_op *op)
{
    struct waiting_op *state = waiting_op_of(op);
    state->next = NULL;
    state->previous = list->last;
    if (list->last == NULL)
        list->first = op;
    else
        waiting_op_of(list->last)->next = op;
    list->last = op;
    list->count++;
}

static void take_off(struct op_list *list, struct resv_op *op)
{
    struct waiting_op *state = waiting_op_of(op);
    if (state->previous == NULL)
        list->first = state->next;
    else
        waiting_op_of(state->previous)->next = state->next;
    if (state->next == NULL)
        list->last = state->previous;
    else
        waiting_op_of(state->next)->previous = state->previous;
    state->next = state->previous = NULL;
    list->count--;
}

static bool move_is_possible(enum place from, enum place to)
{
    switch (from) {
    case PLACE_ELSEWHERE:
        return to == PLACE_WAITING || to == PLACE_ANSWERS;
    case PLACE_WAITING:
        return to == PLACE_GROUP || to == PLACE_ANSWERS;
    case PLACE_GROUP:
        return to == PLACE_ANSWERS;
    case PLACE_ANSWERS:
        return to == PLACE_ELSEWHERE;
    }
    return false;
}

static void move(struct waiting *waiting, struct resv_op *op, enum place place)
{
    struct waiting_op *state = waiting_op_of(op);
    RESV_ASSERT(move_is_possible(state->place, place));
    if (state->place == PLACE_WAITING) {
        take_off(&state->concert->line, op);
        waiting->count--;
    } else if (state->place == PLACE_ANSWERS) {
        take_off(&waiting->answers, op);
    }
    state->place = place;
    if (place == PLACE_WAITING) {
        append(&state->concert->line, op);
        waiting->count++;
    } else if (place == PLACE_ANSWERS) {
        append(&waiting->answers, op);
    }
}

/* --- concerts -----------------------------------------------------------------------------------
 */

static struct waiting_concert **bucket_of(struct waiting *waiting, int64_t id)
{
    uint64_t hash = (uint64_t)id * 0x9e3779b97f4a7c15;
    return &waiting->buckets[(hash >> 32) & waiting->buckets_mask];
}

static struct waiting_concert *find(struct waiting *waiting, int64_t id)
{
    struct waiting_concert **bucket = bucket_of(waiting, id);
    for (struct waiting_concert *concert = *bucket; concert != NULL; concert = concert->hash_next) {
        if (concert->id == id)
            return concert;
    }
    struct waiting_concert *concert = waiting->free;
    if (concert == NULL)
        return NULL;
    waiting->free = concert->hash_next;
    memset(concert, 0, waiting->concert_size);
    concert->id = id;
    concert->hash_next = *bucket;
    *bucket = concert;
    return concert;
}

void waiting_let_go(struct waiting *waiting, struct waiting_concert *concert)
{
    if (concert->line.count > 0 || concert->users > 0 || concert->ready)
        return;
    struct waiting_concert **link = bucket_of(waiting, concert->id);
    while (*link != concert) {
        RESV_ASSERT(*link != NULL);
        link = &(*link)->hash_next;
    }
    *link = concert->hash_next;
    concert->hash_next = waiting->free;
    waiting->free = concert;
}

void waiting_set_ready(struct waiting *waiting, struct waiting_concert *concert)
{
    if (concert->ready)
        return;
    concert->ready = true;
    concert->ready_next = NULL;
    if (waiting->ready_first == NULL)
        waiting->ready_first = concert;
    else
        waiting->ready_last->ready_next = concert;
    waiting->ready_last = concert;
}

struct waiting_concert *waiting_take_ready(struct waiting *waiting)
{
    struct waiting_concert *concert = waiting->ready_first;
    if (concert == NULL)
        return NULL;
    waiting->ready_first = concert->ready_next;
    concert->ready = false;
    return concert;
}

/* --- operations ---------------------------------------------------------------------------------
 */

bool waiting_add(struct waiting *waiting, struct resv_op *op)
{
    struct waiting_concert *concert = find(waiting, op->concert_id);
    if (concert == NULL)
        return false;
    waiting_op_of(op)->concert = concert;
    move(waiting, op, PLACE_WAITING);
    return true;
}

struct resv_op *waiting_take(struct waiting *waiting, struct waiting_concert *concert)
{
    struct resv_op *op = concert->line.first;
    if (op != NULL)
        move(waiting, op, PLACE_GROUP);
    return op;
}

void waiting_answer(struct waiting *waiting, struct resv_op *op, enum resv_outcome outcome)
{
    waiting_op_of(op)->answer = outcome;
    move(waiting, op, PLACE_ANSWERS);
}

void waiting_answer_all(struct waiting *waiting, enum resv_outcome outcome)
{
    for (size_t i = 0; i < waiting->concerts_count; i++) {
        struct waiting_concert *concert = concert_at(waiting, i);
        while (concert->line.first != NULL)
            waiting_answer(waiting, concert->line.first, outcome);
    }
}

struct resv_op *waiting_take_answer(struct waiting *waiting, enum resv_outcome *outcome)
{
    struct resv_op *op = waiting->answers.first;
    if (op == NULL)
        return NULL;
    *outcome = waiting_op_of(op)->answer;
    move(waiting, op, PLACE_ELSEWHERE);
    return op;
}
