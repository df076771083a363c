/* A list of operations, in order, through strategy_next. */
#ifndef TESTS_FAKE_LIST_H
#define TESTS_FAKE_LIST_H

#include <stddef.h>

#include "resvd/assert.h"
#include "resvd/op.h"

struct operation_list {
    struct resv_op *first;
    struct resv_op *last;
};

static inline void list_append(struct operation_list *list, struct resv_op *op)
{
    op->strategy_next = NULL;
    if (list->last == NULL)
        list->first = op;
    else
        list->last->strategy_next = op;
    list->last = op;
}

static inline void list_prepend(struct operation_list *list, struct resv_op *op)
{
    op->strategy_next = list->first;
    list->first = op;
    if (list->last == NULL)
        list->last = op;
}

static inline struct resv_op *list_pop(struct operation_list *list)
{
    struct resv_op *op = list->first;
    if (op == NULL)
        return NULL;
    list->first = op->strategy_next;
    if (list->first == NULL)
        list->last = NULL;
    op->strategy_next = NULL;
    return op;
}

static inline void list_remove(struct operation_list *list, struct resv_op *op)
{
    struct resv_op *previous = NULL;
    for (struct resv_op *at = list->first; at != op; at = at->strategy_next) {
        RESV_ASSERT(at != NULL);
        previous = at;
    }
    if (previous == NULL)
        list->first = op->strategy_next;
    else
        previous->strategy_next = op->strategy_next;
    if (list->last == op)
        list->last = previous;
    op->strategy_next = NULL;
}

#endif
