/* The timer heap: sift up, sift down, and the positions kept in the timers. */
#include "host/timer_heap.h"

#include "resvd/assert.h"

static void place(struct timer_heap *heap, size_t index, struct resv_timer *timer)
{
    heap->timers[index] = timer;
    timer->heap_index = index + 1;
}

static void sift_up(struct timer_heap *heap, size_t index, struct resv_timer *timer)
{
    while (index > 0) {
        size_t parent = (index - 1) / 2;
        if (heap->timers[parent]->due_ns <= timer->due_ns)
            break;
        place(heap, index, heap->timers[parent]);
        index = parent;
    }
    place(heap, index, timer);
}

static void sift_down(struct timer_heap *heap, size_t index, struct resv_timer *timer)
{
    for (;;) {
        size_t child = index * 2 + 1;
        if (child >= heap->count)
            break;
        if (child + 1 < heap->count &&
            heap->timers[child + 1]->due_ns < heap->timers[child]->due_ns)
            child++;
        if (timer->due_ns <= heap->timers[child]->due_ns)
            break;
        place(heap, index, heap->timers[child]);
        index = child;
    }
    place(heap, index, timer);
}

void timer_heap_insert(struct timer_heap *heap, struct resv_timer *timer)
{
    RESV_ASSERT(timer->heap_index == 0);
    if (heap->count == heap->capacity) {
        size_t capacity = heap->capacity == 0 ? 64 : heap->capacity * 2;
        struct resv_timer **timers = realloc(heap->timers, capacity * sizeof(*timers));
        RESV_ASSERT(timers != NULL);
        heap->timers = timers;
        heap->capacity = capacity;
    }
    heap->count++;
    sift_up(heap, heap->count - 1, timer);
}

void timer_heap_remove(struct timer_heap *heap, struct resv_timer *timer)
{
    RESV_ASSERT(timer->heap_index > 0 && timer->heap_index <= heap->count);
    size_t index = timer->heap_index - 1;
    RESV_ASSERT(heap->timers[index] == timer);
    struct resv_timer *last = heap->timers[--heap->count];
    timer->heap_index = 0;
    if (last == timer)
        return;
    if (index > 0 && last->due_ns < heap->timers[(index - 1) / 2]->due_ns)
        sift_up(heap, index, last);
    else
        sift_down(heap, index, last);
}

struct resv_timer *timer_heap_first(const struct timer_heap *heap)
{
    return heap->count == 0 ? NULL : heap->timers[0];
}

void timer_heap_free(struct timer_heap *heap)
{
    free(heap->timers);
    *heap = (struct timer_heap){0};
}
