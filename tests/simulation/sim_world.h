/* One schedule: everything that a seed decides hangs on this.
 *
 *   load --> process (strategy, host, link) --> connection --> server (tables, locks)
 *     ^                 |                                         |
 *     `---- answers ----'------------> checker <------ commits ---'
 */
#ifndef SIMULATION_WORLD_H
#define SIMULATION_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "resvd/strategy.h"
#include "sim_chance.h"
#include "sim_scenario.h"
#include "sim_schedule.h"
#include "sim_text.h"

struct sim_checker;
struct sim_kafka;
struct sim_load;
struct sim_process;
struct sim_redis;
struct sim_server;
struct sim_variant;

enum sim_trace_mode {
    SIM_TRACE_OFF,
    SIM_TRACE_HASH, /* the text is made and counted into trace_hash only */
    SIM_TRACE_PRINT,
};

struct sim_world {
    uint64_t seed;
    const struct sim_variant *variant;
    struct sim_scenario scenario;
    struct sim_chance chance;
    struct sim_schedule schedule;
    struct sim_server *server;
    struct sim_redis *redis; /* NULL: the strategy has none */
    struct sim_kafka *kafka; /* the same */
    struct sim_checker *checker;
    struct sim_load *load;
    struct sim_process *processes; /* every one that ever was, newest first */
    size_t process_count;
    enum sim_trace_mode trace;
    uint64_t trace_hash;
    uint64_t began_ns;
    uint64_t rest_until_ns;
    bool ending; /* no process takes another's place any more */
    bool failed;
    char failure[512]; /* the first violation, one line */
};

/* The first one counts; the world stops at its next event. */
void world_violation(struct sim_world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* One line of the story. `who` is "p1", "db 7", "load". */
void sim_trace_line(struct sim_world *world, const char *who, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#define SIM_TRACE(world, who, ...)                                                                 \
    do {                                                                                           \
        if ((world)->trace != SIM_TRACE_OFF)                                                       \
            sim_trace_line((world), (who), __VA_ARGS__);                                           \
    } while (0)

/* A whole schedule from its seed, from nothing to nothing. */
struct sim_result {
    bool failed;
    char failure[512];
    uint64_t hash; /* of events, and of the trace when it was made */
    uint64_t events;
    uint64_t requests;
    uint64_t outcomes[RESV_OUTCOME_COUNT];
    uint64_t rejected; /* of those that were accepted */
};
struct sim_result sim_run(const struct sim_variant *variant, uint64_t seed,
                          enum sim_trace_mode trace);

#endif
