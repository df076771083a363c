/* Lists of operations, and the one function that moves an operation from place to place. */
#include "embedded.h"
#include "resvd/assert.h"

struct embedded_op *embedded_op_of(const struct resv_op *op)
{
    return op->strategy_private;
}

static struct op_list *list_of(struct embedded *embedded, enum place place)
{
    switch (place) {
    case PLACE_ARRIVED:
        return &embedded->arrived;
    case PLACE_QUEUE:
        return &embedded->queue;
    case PLACE_CHECKS:
        return &embedded->checks;
    case PLACE_ANSWERS:
        return &embedded->answers;
    case PLACE_READER:
    case PLACE_WRITER:
    case PLACE_ELSEWHERE:
        return NULL;
    }
    return NULL;
}

static void append(struct op_list *list, struct resv_op *op)
{
    op->strategy_next = NULL;
    embedded_op_of(op)->previous = list->last;
    if (list->last == NULL)
        list->first = op;
    else
        list->last->strategy_next = op;
    list->last = op;
    list->count++;
}

static void take_off(struct op_list *list, struct resv_op *op)
{
    struct embedded_op *state = embedded_op_of(op);
    if (state->previous == NULL)
        list->first = op->strategy_next;
    else
        state->previous->strategy_next = op->strategy_next;
    if (op->strategy_next == NULL)
        list->last = state->previous;
    else
        embedded_op_of(op->strategy_next)->previous = state->previous;
    op->strategy_next = NULL;
    state->previous = NULL;
    list->count--;
}

/* A release may still bring seats back while it is on its way to a commit. */
static bool counts_as_release(const struct resv_op *op, enum place place)
{
    return op->kind == RESV_OP_RELEASE &&
           (place == PLACE_ARRIVED || place == PLACE_QUEUE || place == PLACE_WRITER);
}

static bool move_is_possible(enum place from, enum place to)
{
    switch (from) {
    case PLACE_ELSEWHERE:
        return to == PLACE_ARRIVED || to == PLACE_CHECKS;
    case PLACE_ARRIVED:
        return to != PLACE_ARRIVED && to != PLACE_READER && to != PLACE_WRITER;
    case PLACE_QUEUE:
        return to == PLACE_WRITER || to == PLACE_CHECKS || to == PLACE_ANSWERS ||
               to == PLACE_ELSEWHERE;
    case PLACE_CHECKS:
        return to == PLACE_READER || to == PLACE_ANSWERS || to == PLACE_ELSEWHERE;
    case PLACE_READER:
        return to == PLACE_QUEUE || to == PLACE_ELSEWHERE;
    case PLACE_WRITER:
    case PLACE_ANSWERS:
        return to == PLACE_ELSEWHERE;
    }
    return false;
}

void embedded_move(struct embedded *embedded, struct resv_op *op, enum place place)
{
    struct embedded_op *state = embedded_op_of(op);
    RESV_ASSERT(move_is_possible(state->place, place));
    struct op_list *from = list_of(embedded, state->place);
    struct op_list *to = list_of(embedded, place);
    if (from != NULL)
        take_off(from, op);
    if (counts_as_release(op, state->place))
        embedded->releases--;
    if (counts_as_release(op, place))
        embedded->releases++;
    state->place = place;
    if (to != NULL)
        append(to, op);
}

void embedded_complete(struct embedded *embedded, struct resv_op *op, enum resv_outcome outcome)
{
    embedded_move(embedded, op, PLACE_ELSEWHERE);
    resv_op_complete(embedded->host, op, outcome);
}

size_t embedded_waiting(const struct embedded *embedded)
{
    return embedded->arrived.count + embedded->queue.count + embedded->checks.count;
}
