/* Deadlines without a timer each: lists in order of time, because all members of a list wait for
 * equally long. One tick looks at the heads. */
#ifndef RESVD_HTTP_DEADLINES_H
#define RESVD_HTTP_DEADLINES_H

#include <stddef.h>
#include <stdint.h>

struct deadline_list;

struct deadline {
    struct deadline *next;
    struct deadline *previous;
    struct deadline_list *list; /* NULL when in none */
    uint64_t since_ms;
};

struct deadline_list {
    struct deadline *first;
    struct deadline *last;
};

static inline void deadline_stop(struct deadline *deadline)
{
    struct deadline_list *list = deadline->list;
    if (list == NULL)
        return;
    if (deadline->previous != NULL)
        deadline->previous->next = deadline->next;
    else
        list->first = deadline->next;
    if (deadline->next != NULL)
        deadline->next->previous = deadline->previous;
    else
        list->last = deadline->previous;
    deadline->list = NULL;
}

/* Puts it last; list may be NULL. */
static inline void deadline_start(struct deadline *deadline, struct deadline_list *list,
                                  uint64_t now_ms)
{
    deadline_stop(deadline);
    if (list == NULL)
        return;
    deadline->list = list;
    deadline->since_ms = now_ms;
    deadline->next = NULL;
    deadline->previous = list->last;
    if (list->last != NULL)
        list->last->next = deadline;
    else
        list->first = deadline;
    list->last = deadline;
}

/* The first one that has waited for wait_ms, or NULL. */
static inline struct deadline *deadline_due(const struct deadline_list *list, uint64_t now_ms,
                                            uint64_t wait_ms)
{
    struct deadline *first = list->first;
    return first != NULL && now_ms - first->since_ms >= wait_ms ? first : NULL;
}

#endif
