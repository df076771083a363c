/* The simulated host: everything of resvd/host.h, option.h and metric.h, for one process. */
#ifndef SIMULATION_HOST_H
#define SIMULATION_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/timer_heap.h"
#include "sim_world.h"

struct database_link;
struct database_step;
struct kafka_link;
struct redis_link;

/* What the process is told; `request_of` may be NULL. */
struct sim_host_events {
    void *data;
    void (*started)(void *data);
    void (*start_failed)(void *data, int exit_code, const char *message);
    void (*ready_for_more)(void *data);
    void (*drained)(void *data);
    void (*closed)(void *data);
    void (*complete)(void *data, struct resv_op *op, enum resv_outcome outcome);
    /* The serial of the request under way that a step is for, or 0; `step` is where its owner
     * keeps it. */
    uint64_t (*request_of)(void *data, const struct database_step *step, const struct resv_id *id);
};

struct resv_host {
    struct sim_world *world;
    const char *form; /* of the strategy; NULL for the default */
    char who[16];
    uint64_t held_until_ns; /* the process is paused */
    struct sim_host_events events;
    enum resv_role role;
    uint64_t start_deadline_ns;
    uint64_t clock_ahead_ns;
    int64_t wall_ahead_ms;
    struct timer_heap timers;
    struct sim_event timers_due;
    struct resv_deferred *deferred_first;
    struct resv_deferred **deferred_last;
    struct sim_event flush;
    struct database_link *link;     /* the one that was made on it */
    struct redis_link *redis_links; /* by next */
    struct kafka_link *kafka_link;  /* the one that was made on it */
};

void sim_host_open(struct resv_host *host, struct sim_world *world, const char *who,
                   const struct sim_host_events *events);
/* A violation when anything is armed or queued. */
void sim_host_close(struct resv_host *host);
/* An event of this process: none happens while it is paused. */
struct sim_event sim_host_event(struct resv_host *host, void (*fire)(struct sim_event *event),
                                void *data);

#endif
