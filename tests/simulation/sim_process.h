/* One resvd process: a strategy between its simulated host and the load; its life and death. */
#ifndef SIMULATION_PROCESS_H
#define SIMULATION_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim_checker.h"
#include "sim_host.h"
#include "sim_world.h"

enum process_stage {
    PROCESS_STARTING,
    PROCESS_RUNNING,
    PROCESS_DRAINING,
    PROCESS_CLOSING,
    PROCESS_CLOSED,
};

/* A request under way in a process. */
struct sim_task {
    struct sim_task *next, *previous;
    struct sim_task *queue_next;
    struct sim_process *process;
    struct sim_request *request;
    struct resv_op *op;
    struct resv_catalog_request *catalog;
    bool queued;
    bool cancelled;
    struct sim_event deadline; /* or the client goes away */
};

struct sim_process {
    struct sim_process *next;
    struct sim_world *world;
    const struct resv_strategy *strategy;
    struct resv_host host;
    void *instance;
    enum process_stage stage;
    bool crashed;
    uint64_t restart_ns; /* after its end another takes its place, so much later; 0: none does */
    struct sim_task *tasks;
    size_t task_count;
    struct sim_task *queue; /* not taken yet, in order of arrival */
    struct resv_deferred pump;
    struct resv_op *submitting;
    struct sim_event life; /* the next change of stage */
};

struct sim_process *process_start(struct sim_world *world, enum resv_role role);
/* Its memory is gone, nobody hears of it any more. */
void process_crash(struct sim_process *process);
/* False when it is not running. */
bool process_drain(struct sim_process *process, uint64_t deadline_ms);
bool process_accepts(const struct sim_process *process);
bool process_has_key(const struct sim_process *process, const struct resv_id *id);
/* The request's content is filled; `catalog` is the task's to free. */
void process_submit(struct sim_process *process, struct sim_request *request,
                    struct resv_catalog_request *catalog);
void process_free_all(struct sim_world *world);
/* Requests under way, zombies' too. */
size_t processes_busy(const struct sim_world *world);
bool processes_closed(const struct sim_world *world);
/* Each is ready, or has ended with another in its place. */
bool processes_run(const struct sim_world *world);

#endif
