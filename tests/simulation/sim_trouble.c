/* Faults of the large kind: when they come, and how long they stay. */
#include "sim_trouble.h"

#include <inttypes.h>
#include <stdlib.h>

#include "resvd/assert.h"
#include "sim_process.h"
#include "sim_redis.h"

enum trouble_kind {
    TROUBLE_SERVER_CRASH,
    TROUBLE_SERVER_STALL,
    TROUBLE_READ_ONLY,
    TROUBLE_KILL,
    TROUBLE_PROCESS_CRASH,
    TROUBLE_PROCESS_PAUSE,
    TROUBLE_DRAIN,
    TROUBLE_CLOCK_JUMP,
    TROUBLE_NODE_CRASH,
    TROUBLE_NODE_PAUSE,
    TROUBLE_NODE_REFUSES,
    TROUBLE_NODE_CLOCK_JUMP,
    TROUBLE_NODE_CUT,
};

struct trouble {
    struct sim_troubles *all;
    enum trouble_kind kind;
    bool begun;
    struct sim_redis_node *node; /* that it befell */
    struct sim_event event;
};

struct sim_troubles {
    struct sim_world *world;
    struct trouble *troubles;
    size_t count;
    size_t left;
};

static struct sim_process *any_process(struct sim_world *world)
{
    struct sim_process *found = NULL;
    uint64_t seen = 0;
    for (struct sim_process *process = world->processes; process != NULL; process = process->next) {
        if (process->stage < PROCESS_CLOSING && !process->crashed &&
            chance_below(&world->chance, ++seen) == 0)
            found = process;
    }
    return found;
}

static void kill_connection(struct sim_world *world)
{
    struct sim_connection *found = NULL;
    uint64_t seen = 0;
    for (struct sim_connection *each = world->server->connections; each != NULL;
         each = each->next) {
        if (each->catalog == NULL && chance_below(&world->chance, ++seen) == 0)
            found = each;
    }
    if (found == NULL)
        return;
    SIM_TRACE(world, found->who, "is killed by an administrator");
    server_end(found);
}

static void trouble_process(struct sim_world *world, struct sim_process *process,
                            enum trouble_kind kind)
{
    struct sim_chance *chance = &world->chance;
    uint64_t now_ns = world->schedule.now_ns;
    if (process == NULL)
        return;
    if (kind == TROUBLE_PROCESS_CRASH) {
        process->restart_ns = 1 + chance_skewed(chance, 3 * NS_PER_S);
        process_crash(process);
    } else if (kind == TROUBLE_PROCESS_PAUSE) {
        uint64_t pause_ns = chance_skewed(chance, 12 * NS_PER_S);
        SIM_TRACE(world, process->host.who, "is paused for %" PRIu64 " ms", pause_ns / NS_PER_MS);
        process->host.held_until_ns = now_ns + pause_ns;
    } else if (kind == TROUBLE_DRAIN && process->host.held_until_ns <= now_ns) {
        if (process_drain(process, chance_skewed(chance, 5000)))
            process->restart_ns = 1 + chance_skewed(chance, 3 * NS_PER_S);
    }
}

/* A connection of a resvd process, rather than one that nobody has any more. */
static void cut_connection(struct sim_world *world, struct sim_redis_node *node)
{
    struct sim_redis_connection *found = NULL;
    uint64_t seen = 0;
    for (struct sim_redis_connection *each = node->connections; each != NULL; each = each->next) {
        if (each->pipe != NULL && chance_below(&world->chance, ++seen) == 0)
            found = each;
    }
    if (found == NULL)
        return;
    SIM_TRACE(world, node->who, "has a connection cut");
    node_cut(found);
}

static uint64_t begin_at_node(struct sim_world *world, struct sim_redis_node *node,
                              enum trouble_kind kind)
{
    struct sim_chance *chance = &world->chance;
    uint64_t now_ns = world->schedule.now_ns;
    uint64_t length_ns = chance_skewed(chance, 12 * NS_PER_S) + NS_PER_MS;
    if (kind == TROUBLE_NODE_CRASH) {
        node_crash(node);
        return length_ns;
    }
    if (kind == TROUBLE_NODE_PAUSE) {
        SIM_TRACE(world, node->who, "is paused for %" PRIu64 " ms", length_ns / NS_PER_MS);
        node->paused_until_ns = now_ns + length_ns;
        return length_ns;
    }
    if (kind == TROUBLE_NODE_REFUSES) {
        node->refusal = (enum node_refusal)chance_between(chance, NODE_OUT_OF_MEMORY, NODE_BUSY);
        node->refuses_until_ns = now_ns + length_ns;
        SIM_TRACE(world, node->who, "refuses for %" PRIu64 " ms", length_ns / NS_PER_MS);
        return length_ns;
    }
    if (kind == TROUBLE_NODE_CUT) {
        cut_connection(world, node);
    } else {
        int64_t ahead_ms = (int64_t)chance_skewed(chance, 20000);
        node_jump(node, chance_of(chance, 500000) ? ahead_ms : -ahead_ms);
    }
    return 0;
}

/* How long it stays; what is over at once is 0. */
static uint64_t begin(struct sim_world *world, enum trouble_kind kind)
{
    struct sim_server *server = world->server;
    struct sim_chance *chance = &world->chance;
    uint64_t now_ns = world->schedule.now_ns;
    uint64_t length_ns = chance_skewed(chance, 12 * NS_PER_S);
    switch (kind) {
    case TROUBLE_SERVER_CRASH:
        server_crash(server);
        if (world->scenario.outage_max_ms > 0)
            length_ns %= world->scenario.outage_max_ms * NS_PER_MS;
        return length_ns + NS_PER_MS;
    case TROUBLE_SERVER_STALL:
        SIM_TRACE(world, "db", "stalls for %" PRIu64 " ms", length_ns / NS_PER_MS);
        server->stalled_until_ns = now_ns + length_ns;
        return length_ns;
    case TROUBLE_READ_ONLY:
        SIM_TRACE(world, "db", "refuses to write for %" PRIu64 " ms", length_ns / NS_PER_MS);
        server->refuses_until_ns = now_ns + length_ns;
        return length_ns;
    case TROUBLE_KILL:
        kill_connection(world);
        return 0;
    case TROUBLE_PROCESS_PAUSE:
        trouble_process(world, any_process(world), kind);
        return 12 * NS_PER_S;
    case TROUBLE_PROCESS_CRASH:
    case TROUBLE_DRAIN:
        trouble_process(world, any_process(world), kind);
        return 0;
    case TROUBLE_CLOCK_JUMP: {
        struct sim_process *process = any_process(world);
        if (process != NULL)
            process->host.wall_ahead_ms += chance_between(chance, -5000000, 5000000);
        return 0;
    }
    case TROUBLE_NODE_CRASH:
    case TROUBLE_NODE_PAUSE:
    case TROUBLE_NODE_REFUSES:
    case TROUBLE_NODE_CLOCK_JUMP:
    case TROUBLE_NODE_CUT:
        break;
    }
    return 0;
}

static void over(struct sim_world *world, const struct trouble *trouble)
{
    if (trouble->kind == TROUBLE_SERVER_CRASH) {
        world->server->up = true;
        SIM_TRACE(world, "db", "is up again");
    } else if (trouble->kind == TROUBLE_NODE_CRASH) {
        node_restart(trouble->node);
    }
}

static void due(struct sim_event *event)
{
    struct trouble *trouble = event->data;
    struct sim_world *world = trouble->all->world;
    uint64_t length_ns = 0;
    if (trouble->begun) {
        over(world, trouble);
    } else if (trouble->kind >= TROUBLE_NODE_CRASH) {
        size_t index = (size_t)chance_below(&world->chance, world->redis->locks_count);
        trouble->node = &world->redis->locks[index];
        length_ns = begin_at_node(world, trouble->node, trouble->kind);
    } else {
        length_ns = begin(world, trouble->kind);
    }
    trouble->begun = true;
    if (length_ns > 0)
        schedule_after(&world->schedule, &trouble->event, length_ns);
    else
        trouble->all->left--;
}

static void add(struct sim_troubles *troubles, enum trouble_kind kind, unsigned count,
                uint64_t span_ns)
{
    struct sim_world *world = troubles->world;
    for (; count > 0; count--) {
        struct trouble *trouble = &troubles->troubles[troubles->count++];
        *trouble = (struct trouble){.all = troubles, .kind = kind};
        trouble->event = (struct sim_event){.fire = due, .data = trouble};
        schedule_after(&world->schedule, &trouble->event, chance_below(&world->chance, span_ns));
    }
}

struct sim_troubles *troubles_plan(struct sim_world *world)
{
    const struct sim_scenario *scenario = &world->scenario;
    struct sim_troubles *troubles = calloc(1, sizeof *troubles);
    RESV_ASSERT(troubles != NULL);
    unsigned total = scenario->server_crashes + scenario->server_stalls + scenario->read_only +
                     scenario->kills + scenario->process_crashes + scenario->process_pauses +
                     scenario->drains + scenario->clock_jumps + scenario->node_crashes +
                     scenario->node_pauses + scenario->node_refusals + scenario->node_clock_jumps +
                     scenario->node_cuts;
    troubles->world = world;
    troubles->troubles = calloc(total + 1, sizeof troubles->troubles[0]);
    RESV_ASSERT(troubles->troubles != NULL);
    /* As long as the load, about, and a little more. */
    uint64_t bursts = scenario->requests * 4 / (scenario->burst_max + 3) + 1;
    uint64_t span_ns = bursts * scenario->gap_max_us * NS_PER_US / 4 + 200 * NS_PER_MS;
    add(troubles, TROUBLE_SERVER_CRASH, scenario->server_crashes, span_ns);
    add(troubles, TROUBLE_SERVER_STALL, scenario->server_stalls, span_ns);
    add(troubles, TROUBLE_READ_ONLY, scenario->read_only, span_ns);
    add(troubles, TROUBLE_KILL, scenario->kills, span_ns);
    add(troubles, TROUBLE_PROCESS_CRASH, scenario->process_crashes, span_ns);
    add(troubles, TROUBLE_PROCESS_PAUSE, scenario->process_pauses, span_ns);
    add(troubles, TROUBLE_DRAIN, scenario->drains, span_ns);
    add(troubles, TROUBLE_CLOCK_JUMP, scenario->clock_jumps, span_ns);
    add(troubles, TROUBLE_NODE_CRASH, scenario->node_crashes, span_ns);
    add(troubles, TROUBLE_NODE_PAUSE, scenario->node_pauses, span_ns);
    add(troubles, TROUBLE_NODE_REFUSES, scenario->node_refusals, span_ns);
    add(troubles, TROUBLE_NODE_CLOCK_JUMP, scenario->node_clock_jumps, span_ns);
    add(troubles, TROUBLE_NODE_CUT, scenario->node_cuts, span_ns);
    troubles->left = troubles->count;
    return troubles;
}

bool troubles_are_over(const struct sim_troubles *troubles)
{
    return troubles->left == 0;
}

void troubles_free(struct sim_troubles *troubles)
{
    for (size_t i = 0; i < troubles->count; i++)
        schedule_cancel(&troubles->world->schedule, &troubles->troubles[i].event);
    free(troubles->troubles);
    free(troubles);
}
