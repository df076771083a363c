/* A doubly linked list of operations, first in first out, through resv_op.next and .previous. */
#ifndef RESVD_OP_OP_LIST_H
#define RESVD_OP_OP_LIST_H

#include <stddef.h>

#include "resvd/op.h"

struct op_list {
    struct resv_op *first;
    struct resv_op *last;
    size_t count;
};

static inline void op_list_append(struct op_list *list, struct resv_op *op)
{
    op->next = NULL;
    op->previous = list->last;
    if (list->last != NULL)
        list->last->next = op;
    else
        list->first = op;
    list->last = op;
    list->count++;
}

static inline void op_list_prepend(struct op_list *list, struct resv_op *op)
{
    op->previous = NULL;
    op->next = list->first;
    if (list->first != NULL)
        list->first->previous = op;
    else
        list->last = op;
    list->first = op;
    list->count++;
}

static inline void op_list_remove(struct op_list *list, struct resv_op *op)
{
    if (op->previous != NULL)
        op->previous->next = op->next;
    else
        list->first = op->next;
    if (op->next != NULL)
        op->next->previous = op->previous;
    else
        list->last = op->previous;
    op->next = op->previous = NULL;
    list->count--;
}

#endif
