/* One schedule, from its seed to its rest. */
#include "sim_world.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "resvd/assert.h"
#include "sim_checker.h"
#include "sim_kafka.h"
#include "sim_load.h"
#include "sim_process.h"
#include "sim_redis.h"
#include "sim_server.h"
#include "sim_trouble.h"
#include "sim_variants.h"

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
    return world->server->connections == NULL &&
           (world->redis == NULL || redis_rests(world->redis)) &&
           (world->kafka == NULL || kafka_rests(world->kafka));
}

static void run_load(struct sim_world *world)
{
    struct sim_troubles *troubles = troubles_plan(world);
    world->load = load_create(world);
    while (!world->failed && !(load_is_over(world->load) && troubles_are_over(troubles)))
        RESV_ASSERT(schedule_turn(&world->schedule));
    troubles_free(troubles);
    scenario_calm(&world->scenario);
    if (world->kafka != NULL)
        kafka_calm(world->kafka);
    SIM_TRACE(world, "load", "no more requests, no more faults; %zu are under way",
              processes_busy(world));
    /* A deadline, the time in which a doubt is found out, and a lock that nobody lets go. */
    turn_until(world, nobody_waits, (world->scenario.deadline_ms + 30000) * NS_PER_MS,
               "requests are not answered");
}

static bool time_is_over(const struct sim_world *world)
{
    return world->schedule.now_ns >= world->rest_until_ns;
}

static void tick(struct sim_event *event)
{
    (void)event;
}

/* So long after the last fault, what was left behind is gone: late packets and the sessions that
 * they are for, leases, pauses between tries to connect. */
static void rest(struct sim_world *world, uint64_t length_ns)
{
    struct sim_event event = {.fire = tick};
    world->rest_until_ns = world->schedule.now_ns + length_ns;
    schedule_after(&world->schedule, &event, length_ns);
    turn_until(world, time_is_over, length_ns, "time does not pass");
}

static void probe(struct sim_world *world, enum request_probe what, int64_t concert_id,
                  const char *words)
{
    if (world->failed)
        return;
    SIM_TRACE(world, "load", "%s: everybody asks once more", words);
    load_probe(world->load, what, concert_id);
    turn_until(world, nobody_waits, 20 * NS_PER_S, "requests are not answered");
}

/* Where nothing was lost, no lock is left when nobody works; and with a majority of the nodes up
 * nobody starves, and nobody waits for longer than he said. Who has no lock waits for none. */
static void run_probes(struct sim_world *world)
{
    redis_check_locks(world->redis);
    if (world->scenario.harmless) {
        rest(world, NS_PER_S);
        size_t left = redis_count_locks(world->redis);
        if (left > 0)
            world_violation(world, "%zu locks are left, and nobody works", left);
    }
    scenario_hurry(&world->scenario);
    rest(world, 60 * NS_PER_S);
    probe(world, PROBE_FREE, 1, "all is well");
    rest(world, 20 * NS_PER_S);
    if (world->scenario.wait_ms > 500 || world->failed)
        return; /* a long story of asking again and again */
    redis_plant_lock(world->redis, 1, 3600 * 1000);
    probe(world, PROBE_LOCKED, 1, "somebody has died with the lock");
    redis_remove_locks(world->redis);
}

static void settle(struct sim_world *world)
{
    uint64_t end_ns = world->schedule.now_ns + 60 * NS_PER_S;
    while (!world->failed && !stock_rests(world)) {
        if (world->schedule.now_ns > end_ns || !schedule_turn(&world->schedule))
            stock_tell_unrest(world);
    }
}

static void probe_all(struct sim_world *world, enum request_probe what, const char *words)
{
    for (size_t i = 0; i < world->server->concert_count; i++)
        probe(world, what, (int64_t)i + 1, words);
    settle(world);
}

/* Where answers come before rows: with everybody there again all that was accepted gets its row,
 * nothing stays pending, and the stock becomes the truth. A gate opens for who asks. */
static void run_settling(struct sim_world *world)
{
    turn_until(world, processes_run, 90 * NS_PER_S, "a process does not start");
    rest(world, 20 * NS_PER_S);
    scenario_hurry(&world->scenario);
    settle(world);
    rest(world, NS_PER_S + 3 * world->scenario.sweep_after_ms * NS_PER_MS);
    if (!world->failed)
        stock_check_at_rest(world, false);
    for (int i = 0; i < 3; i++) {
        probe_all(world, PROBE_FIRST, "gates may be closed, connections may be broken");
        rest(world, 2 * NS_PER_S);
    }
    probe_all(world, PROBE_FREE, "all is well");
    rest(world, 2 * NS_PER_S);
    if (!world->failed)
        stock_check_at_rest(world, true);
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
    if (!world->failed && world->redis != NULL)
        redis_check_locks(world->redis);
    if (!world->failed)
        checker_final(world->checker);
}

static void free_world(struct sim_world *world)
{
    load_free(world->load);
    process_free_all(world);
    server_free(world->server);
    redis_free(world->redis);
    kafka_free(world->kafka);
    checker_free(world->checker);
    schedule_free(&world->schedule);
}

static void trace_scenario(struct sim_world *world)
{
    const struct sim_scenario *scenario = &world->scenario;
    SIM_TRACE(world, "load",
              "seed %" PRIu64 ": %s, %zu processes, %zu requests, deadline %" PRIu64 " ms",
              world->seed, world->variant->name, scenario->processes, scenario->requests,
              scenario->deadline_ms);
    for (size_t i = 0; i < scenario->settings_count; i++)
        SIM_TRACE(world, "load", "%s = %s", scenario->settings[i].key, scenario->settings[i].text);
}

static void make_kafka(struct sim_world *world)
{
    const struct sim_scenario *scenario = &world->scenario;
    world->kafka = kafka_create(world, scenario->partitions);
    *kafka_rates(world->kafka) = (struct sim_kafka_rates){
        .timeout_ms = scenario->event_timeout_ms,
        .session_ms = scenario->session_ms,
        .zombie_max_ms = scenario->zombie_max_ms,
        .refused = scenario->event_refused,
        .lost = scenario->event_lost,
        .late = scenario->event_late,
        .answer_lost = scenario->event_answer_lost,
        .reports_late = scenario->report_late,
        .repeated = scenario->event_repeated,
        .stays_queued = scenario->event_stays_queued,
        .revoked_late = scenario->revoked_late,
    };
    events_listen(world->checker);
}

struct sim_result sim_run(const struct sim_variant *variant, uint64_t seed,
                          enum sim_trace_mode trace)
{
    struct sim_world world = {.seed = seed, .variant = variant, .trace = trace};
    chance_seed(&world.chance, seed);
    world.schedule.chance = &world.chance;
    world.schedule.now_ns = 1000 * NS_PER_S;
    world.began_ns = world.schedule.now_ns;
    scenario_draw(&world.scenario, &world.chance);
    if (variant->locks)
        scenario_draw_locks(&world.scenario, &world.chance);
    if (variant->accepts)
        scenario_draw_events(&world.scenario, &world.chance);
    trace_scenario(&world);
    world.server = server_create(&world);
    if (variant->locks || variant->accepts)
        world.redis = redis_create(&world, world.scenario.lock_nodes);
    world.checker = checker_create(&world);
    if (variant->accepts)
        make_kafka(&world);
    run_load(&world);
    if (!world.failed && variant->locks && variant->strategy != NULL)
        run_probes(&world);
    if (!world.failed && variant->accepts)
        run_settling(&world);
    if (!world.failed)
        run_end(&world);
    struct sim_result result = {.failed = world.failed,
                                .hash = world.schedule.hash ^ world.trace_hash,
                                .events = world.schedule.fired,
                                .requests = world.checker->count,
                                .rejected = world.checker->rejected};
    memcpy(result.failure, world.failure, sizeof result.failure);
    memcpy(result.outcomes, world.checker->outcomes, sizeof result.outcomes);
    /* A world that failed is in no state to be taken down; whoever ran it is about to end. */
    if (!world.failed)
        free_world(&world);
    return result;
}
