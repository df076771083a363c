/* Lists of operations.
 *
 * Invariant: an operation's `list` is the one that it is on; on no list, its links are NULL. */
#include "async.h"
#include "resvd/assert.h"

void async_list_append(struct async_list *list, struct resv_op *op)
{
    struct async_op *state = async_op_of(op);
    RESV_ASSERT(state->list == NULL);
    state->list = list;
    state->next = NULL;
    state->previous = list->last;
    if (list->last == NULL)
        list->first = op;
    else
        async_op_of(list->last)->next = op;
    list->last = op;
    list->count++;
}

void async_list_remove(struct resv_op *op)
{
    struct async_op *state = async_op_of(op);
    struct async_list *list = state->list;
    RESV_ASSERT(list != NULL && list->count > 0);
    if (state->previous == NULL)
        list->first = state->next;
    else
        async_op_of(state->previous)->next = state->next;
    if (state->next == NULL)
        list->last = state->previous;
    else
        async_op_of(state->next)->previous = state->previous;
    state->list = NULL;
    state->next = state->previous = NULL;
    list->count--;
}

struct resv_op *async_list_take(struct async_list *list)
{
    struct resv_op *op = list->first;
    if (op != NULL)
        async_list_remove(op);
    return op;
}
