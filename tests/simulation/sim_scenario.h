/* What a seed decides before anything happens: sizes, options, load, and which faults there are.
 *
 * Most faults are absent from most schedules (swarm testing): a schedule with all of them would
 * never get far enough for the interesting ones. */
#ifndef SIMULATION_SCENARIO_H
#define SIMULATION_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "resvd/host.h"
#include "sim_chance.h"

#define SIM_SETTINGS_MAX  24
#define SIM_PROCESSES_MAX 4

/* An option's value where it is not the default; one that the strategy lacks is passed over. */
struct sim_setting {
    const char *key;
    char text[24];
};

/* What a Redis node has after a crash. */
enum nodes_keep {
    NODES_KEEP_NOTHING,
    NODES_KEEP_UP_TO_A_SECOND, /* what was written in the last second may be gone */
    NODES_KEEP_ALL,
};

struct sim_scenario {
    /* The fleet. */
    size_t processes;                        /* 1..SIM_PROCESSES_MAX */
    enum resv_role roles[SIM_PROCESSES_MAX]; /* of each, and of whoever takes its place */
    size_t settings_count;
    struct sim_setting settings[SIM_SETTINGS_MAX];

    /* What is sold. */
    int64_t concerts;
    int64_t members;
    int64_t capacity_max; /* of a concert; each has its own */
    uint64_t limited;     /* per million: a concert has a member limit */
    uint64_t hot;         /* per million: a request is for concert 1 */
    int64_t quantity_max; /* seats of a request */
    /* The load. */
    size_t requests;
    size_t burst_max;
    uint64_t gap_max_us; /* between bursts */
    uint64_t keyed;      /* the rest: per million of requests */
    uint64_t repeated;
    uint64_t changed; /* of repeats */
    uint64_t releases;
    uint64_t lookups;
    uint64_t catalog;
    uint64_t new_limits; /* of those: one seat each, or no limit */
    uint64_t nobody;     /* an unknown concert or member */
    uint64_t strangers;  /* an unknown member: reads, and writes nothing */
    uint64_t gone;       /* the client goes away */
    uint64_t deadline_ms;

    /* Times. */
    uint64_t step_max_us;
    uint64_t network_max_us;
    uint64_t flush_max_us; /* until a commit that is seen is on disk */
    uint64_t lock_wait_ms;
    uint64_t end_wait_ms; /* how long END_SESSION waits */

    /* Chances of faults, per million of runs (or steps, or connects). */
    uint64_t request_lost;
    uint64_t answer_lost;
    uint64_t late;            /* the client has given up, the packet is executed later */
    uint64_t commit_fails;    /* an error, nothing was committed */
    uint64_t commit_deceives; /* an error, and yet it was committed */
    uint64_t victim;          /* a deadlock that the sessions here did not make */
    uint64_t lock_waits;      /* a lock wait out of nothing */
    uint64_t refused;         /* a statement that the server refuses */
    uint64_t connect_fails;
    uint64_t slow_kill; /* END_SESSION takes long */

    /* Faults of the large kind, in the time of the load. */
    unsigned server_crashes;
    uint64_t outage_max_ms; /* 0: long */
    unsigned server_stalls;
    unsigned read_only;
    unsigned kills; /* of one connection */
    unsigned process_crashes;
    unsigned process_pauses;
    unsigned drains;
    unsigned clock_jumps;

    /* Redis nodes: none but for strategies that have them. */
    size_t lock_nodes;
    uint64_t lease_ms, wait_ms; /* the strategy's settings */
    bool harmless;              /* no faults at all, and a lease that no work outlasts */
    enum nodes_keep nodes_keep;
    int64_t drift_per_million; /* of a node's clock, either way */
    uint64_t pauses_on_answer; /* per million of a node's answers: the process stops there */
    uint64_t drops_on_timeout; /* per million: a call without an answer ends its connection */
    unsigned node_crashes;
    unsigned node_pauses; /* longer than most leases */
    unsigned node_refusals;
    unsigned node_clock_jumps;
    unsigned node_cuts; /* of one connection */

    /* Stock in Redis, events in Kafka: where the strategy accepts first. Rates as in sim_kafka.h.
     */
    uint64_t begins_ms; /* load and troubles: partitions are shared out before, gates may be open */
    int32_t partitions;
    uint64_t sweep_after_ms; /* the strategy's setting */
    uint64_t event_timeout_ms;
    uint64_t session_ms;
    uint64_t zombie_max_ms;
    uint64_t event_refused;
    uint64_t event_lost;
    uint64_t event_late;
    uint64_t event_answer_lost;
    uint64_t report_late;
    uint64_t event_repeated;
    uint64_t event_stays_queued;
    uint64_t revoked_late;
    unsigned node_empties; /* everything is deleted, and it runs on */
    unsigned broker_losses;
    unsigned broker_stalls;
    unsigned leader_losses;
    unsigned broker_cuts; /* of one process from the brokers */
    unsigned producer_failures;
    unsigned rebalances;
    unsigned expulsions; /* of one process from the group */
};

void scenario_draw(struct sim_scenario *scenario, struct sim_chance *chance);
/* After that: what a strategy with lock nodes has besides. */
void scenario_draw_locks(struct sim_scenario *scenario, struct sim_chance *chance);
/* The same, for one that accepts first. */
void scenario_draw_events(struct sim_scenario *scenario, struct sim_chance *chance);
/* No more small faults. */
void scenario_calm(struct sim_scenario *scenario);
/* And all is quick. */
void scenario_hurry(struct sim_scenario *scenario);
const char *scenario_setting(const struct sim_scenario *scenario, const char *key);

#endif
