/* The only clock there is, and what happens next on it.
 *
 * Events at the same instant come in an order of chance. An event is owned by whoever schedules it;
 * what is held (a paused process, a stalled server) comes when it is let go. */
#ifndef SIMULATION_SCHEDULE_H
#define SIMULATION_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim_chance.h"

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S  UINT64_C(1000000000)

struct sim_event {
    void (*fire)(struct sim_event *event);
    void *data;
    const uint64_t *held_until_ns; /* NULL: nothing holds it */
    /* The schedule's. */
    uint64_t due_ns;
    uint64_t order;
    size_t heap_index; /* position + 1, 0 when not scheduled */
};

struct sim_schedule {
    struct sim_chance *chance;
    uint64_t now_ns;
    uint64_t fired; /* events */
    uint64_t hash;  /* of when each came: equal seeds have equal ones */
    struct sim_event **heap;
    size_t count;
    size_t capacity;
};

/* Moves it when it is scheduled. */
void schedule_after(struct sim_schedule *schedule, struct sim_event *event, uint64_t delay_ns);
/* Only if it is not scheduled for earlier. */
void schedule_no_later(struct sim_schedule *schedule, struct sim_event *event, uint64_t delay_ns);
void schedule_cancel(struct sim_schedule *schedule, struct sim_event *event);
static inline bool schedule_has(const struct sim_event *event)
{
    return event->heap_index != 0;
}
/* The next event happens; false when there is none. */
bool schedule_turn(struct sim_schedule *schedule);
void schedule_free(struct sim_schedule *schedule);

#endif
