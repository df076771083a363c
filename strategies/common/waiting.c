/* A line of operations for each concert, and a line of concerts for groups.
 *
 * Invariants: an operation is in the list of its place and in no other; a concert has an entry
 * while something waits for it, the strategy uses it, or it is in line; a concert that got a group
 * goes to the end of the line, so that none starves. All memory is allocated at the start. */
#include "common/waiting.h"

#include "resvd/assert.h"

bool waiting_open(struct waiting *waiting, size_t concerts_max, size_t concert_size)
{
    RESV_ASSERT(concert_size >= sizeof(struct waiting_concert));
    *waiting = (struct waiting){0};
    return concerts_open(&waiting->concerts, concerts_max, concert_size);
}

void waiting_close(struct waiting *waiting)
{
    concerts_close(&waiting->concerts);
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

void waiting_let_go(struct waiting *waiting, struct waiting_concert *concert)
{
    if (concert->line.count == 0)
        concerts_let_go(&waiting->concerts, &concert->entry);
}

void waiting_set_ready(struct waiting *waiting, struct waiting_concert *concert)
{
    concerts_set_ready(&waiting->concerts, &concert->entry);
}

struct waiting_concert *waiting_take_ready(struct waiting *waiting)
{
    return (struct waiting_concert *)concerts_take_ready(&waiting->concerts);
}

/* --- operations ---------------------------------------------------------------------------------
 */

bool waiting_add(struct waiting *waiting, struct resv_op *op)
{
    struct waiting_concert *concert =
        (struct waiting_concert *)concerts_find(&waiting->concerts, op->concert_id);
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
    for (size_t i = 0; i < waiting->concerts.entries_count; i++) {
        struct waiting_concert *concert =
            (struct waiting_concert *)concerts_at(&waiting->concerts, i);
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
