/* One schedule, from its seed to its rest. */
#include "sim_world.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "resvd/assert.h"
#include "sim_checker.h"
#include "sim_load.h"
#include "sim_process.h"
#include "sim_server.h"
#include "sim_trouble.h"

void world_violation(struct sim_world *world, const char *format, ...)
{
    if (world->failed)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(world->failure, sizeof world->failure, format, arguments);
    va_end(arguments);
    world->failed = true;
    SIM_TRACE(world, "CHECKER", "%s", world->failure);
}

/* Turns until `is_over`; a violation when that takes longer than it may. */
static void turn_until(struct sim_world *world, bool (*is_over)(const struct sim_world *world),
                       uint64_t most_ns, const char *what)
{
    uint64_t end_ns = world->schedule.now_ns + most_ns;
    while (!world->failed && !is_over(world)) {
        if (world->schedule.now_ns > end_ns || !schedule_turn(&world->schedule))
            world_violation(world, "%s, %" PRIu64 " s after the last fault", what,
                            most_ns / NS_PER_S);
    }
}

static bool nobody_waits(const struct sim_world *world)
{
    return processes_busy(world) == 0;
}

static bool server_rests(const struct sim_world *world)
{
    return world->server->connections == NULL;
}

static void run_load(struct sim_world *world)
{
    struct sim_troubles *troubles = troubles_plan(world);
    world->load = load_create(world);
    while (!world->failed && !(load_is_over(world->load) && troubles_are_over(troubles)))
        RESV_ASSERT(schedule_turn(&world->schedule));
    troubles_free(troubles);
    scenario_calm(&world->scenario);
    SIM_TRACE(world, "load", "no more requests, no more faults; %zu are under way",
              processes_busy(world));
    /* A deadline, the time in which a doubt is found out, and a lock that nobody lets go. */
    turn_until(world, nobody_waits, (world->scenario.deadline_ms + 30000) * NS_PER_MS,
               "requests are not answered");
}

static void run_end(struct sim_world *world)
{
    world->ending = true;
    /* Those that are starting become ready first, or fail. */
    for (bool starting = true; starting && !world->failed;) {
        starting = false;
        for (struct sim_process *process = world->processes; process != NULL;
             process = process->next) {
            process_drain(process, 2000);
            starting = starting || process->stage == PROCESS_STARTING;
        }
        if (starting)
            RESV_ASSERT(schedule_turn(&world->schedule));
    }
    turn_until(world, processes_closed, 30 * NS_PER_S, "a process does not close");
    turn_until(world, server_rests, 60 * NS_PER_S, "a connection does not end");
    if (!world->failed)
        checker_final(world->checker);
}

static void free_world(struct sim_world *world)
{
    load_free(world->load);
    process_free_all(world);
    server_free(world->server);
    checker_free(world->checker);
    schedule_free(&world->schedule);
}

static void trace_scenario(struct sim_world *world)
{
    const struct sim_scenario *scenario = &world->scenario;
    SIM_TRACE(world, "load",
              "seed %" PRIu64 ": %s, %zu processes, %zu requests, deadline %" PRIu64 " ms",
              world->seed, world->strategy->name, scenario->processes, scenario->requests,
              scenario->deadline_ms);
    for (size_t i = 0; i < scenario->settings_count; i++)
        SIM_TRACE(world, "load", "%s = %s", scenario->settings[i].key, scenario->settings[i].text);
}

struct sim_result sim_run(const struct resv_strategy *strategy, const char *form, uint64_t seed,
                          enum sim_trace_mode trace)
{
    struct sim_world world = {.seed = seed, .strategy = strategy, .trace = trace};
    chance_seed(&world.chance, seed);
    world.schedule.chance = &world.chance;
    world.schedule.now_ns = 1000 * NS_PER_S;
    world.began_ns = world.schedule.now_ns;
    scenario_draw(&world.scenario, &world.chance, form);
    trace_scenario(&world);
    world.server = server_create(&world);
    world.checker = checker_create(&world);
    run_load(&world);
    if (!world.failed)
        run_end(&world);
    struct sim_result result = {.failed = world.failed,
                                .hash = world.schedule.hash ^ world.trace_hash,
                                .events = world.schedule.fired,
                                .requests = world.checker->count};
    memcpy(result.failure, world.failure, sizeof result.failure);
    memcpy(result.outcomes, world.checker->outcomes, sizeof result.outcomes);
    /* A world that failed is in no state to be taken down; whoever ran it is about to end. */
    if (!world.failed)
        free_world(&world);
    return result;
}
