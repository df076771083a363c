/* A binary heap of the host's timers, earliest first. Owned timers stay where they are; the heap
 * holds pointers and writes each timer's position into it. */
#ifndef RESVD_HOST_TIMER_HEAP_H
#define RESVD_HOST_TIMER_HEAP_H

#include <stddef.h>

#include "resvd/host.h"

struct timer_heap {
    struct resv_timer **timers;
    size_t count;
    size_t capacity;
};

/* Grows when full; running out of memory here is fatal (there are tens of timers, not thousands).
 */
void timer_heap_insert(struct timer_heap *heap, struct resv_timer *timer);
void timer_heap_remove(struct timer_heap *heap, struct resv_timer *timer);
/* The earliest, or NULL. */
struct resv_timer *timer_heap_first(const struct timer_heap *heap);
void timer_heap_free(struct timer_heap *heap);

#endif
