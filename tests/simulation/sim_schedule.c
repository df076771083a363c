/* A binary heap of events by time, then by chance. */
#include "sim_schedule.h"

#include <stdlib.h>

#include "resvd/assert.h"

static bool before(const struct sim_event *left, const struct sim_event *right)
{
    return left->due_ns != right->due_ns ? left->due_ns < right->due_ns
                                         : left->order < right->order;
}

static void place(struct sim_schedule *schedule, size_t index, struct sim_event *event)
{
    schedule->heap[index] = event;
    event->heap_index = index + 1;
}

static void rise(struct sim_schedule *schedule, size_t index, struct sim_event *event)
{
    while (index > 0) {
        size_t parent = (index - 1) / 2;
        if (!before(event, schedule->heap[parent]))
            break;
        place(schedule, index, schedule->heap[parent]);
        index = parent;
    }
    place(schedule, index, event);
}

static void sink(struct sim_schedule *schedule, size_t index, struct sim_event *event)
{
    for (;;) {
        size_t child = 2 * index + 1;
        if (child >= schedule->count)
            break;
        if (child + 1 < schedule->count && before(schedule->heap[child + 1], schedule->heap[child]))
            child++;
        if (!before(schedule->heap[child], event))
            break;
        place(schedule, index, schedule->heap[child]);
        index = child;
    }
    place(schedule, index, event);
}

static void insert(struct sim_schedule *schedule, struct sim_event *event)
{
    if (schedule->count == schedule->capacity) {
        schedule->capacity = schedule->capacity > 0 ? schedule->capacity * 2 : 256;
        schedule->heap = realloc(schedule->heap, schedule->capacity * sizeof schedule->heap[0]);
        RESV_ASSERT(schedule->heap != NULL);
    }
    rise(schedule, schedule->count++, event);
}

void schedule_cancel(struct sim_schedule *schedule, struct sim_event *event)
{
    if (event->heap_index == 0)
        return;
    size_t index = event->heap_index - 1;
    event->heap_index = 0;
    struct sim_event *last = schedule->heap[--schedule->count];
    if (last == event)
        return;
    if (index > 0 && before(last, schedule->heap[(index - 1) / 2]))
        rise(schedule, index, last);
    else
        sink(schedule, index, last);
}

void schedule_after(struct sim_schedule *schedule, struct sim_event *event, uint64_t delay_ns)
{
    schedule_cancel(schedule, event);
    event->due_ns = schedule->now_ns + delay_ns;
    event->order = chance_next(schedule->chance);
    insert(schedule, event);
}

void schedule_no_later(struct sim_schedule *schedule, struct sim_event *event, uint64_t delay_ns)
{
    if (!schedule_has(event) || event->due_ns > schedule->now_ns + delay_ns)
        schedule_after(schedule, event, delay_ns);
}

bool schedule_turn(struct sim_schedule *schedule)
{
    if (schedule->count == 0)
        return false;
    struct sim_event *event = schedule->heap[0];
    schedule_cancel(schedule, event);
    RESV_ASSERT(event->due_ns >= schedule->now_ns);
    schedule->now_ns = event->due_ns;
    if (event->held_until_ns != NULL && *event->held_until_ns > schedule->now_ns) {
        event->due_ns = *event->held_until_ns;
        insert(schedule, event);
        return true;
    }
    schedule->fired++;
    schedule->hash = (schedule->hash ^ event->due_ns ^ event->order) * 0x100000001b3;
    event->fire(event);
    return true;
}

void schedule_free(struct sim_schedule *schedule)
{
    free(schedule->heap);
    schedule->heap = NULL;
}
