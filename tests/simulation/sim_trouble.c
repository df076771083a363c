/* Faults of the large kind: when they come, and how long they stay. */
#include "sim_trouble.h"

#include <inttypes.h>
#include <stdlib.h>

#include "resvd/assert.h"
#include "sim_kafka.h"
#include "sim_process.h"
#include "sim_redis.h"
#include "sim_variants.h"

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
    TROUBLE_NODE_EMPTY,
    TROUBLE_BROKERS_LOST,
    TROUBLE_BROKERS_STALL,
    TROUBLE_LEADER_LOST,
    TROUBLE_BROKERS_CUT,
    TROUBLE_PRODUCER_FAILS,
    TROUBLE_REBALANCE,
    TROUBLE_EXPEL,
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
    } else if (kind == TROUBLE_NODE_EMPTY) {
        node_empty(node);
    } else {
        int64_t ahead_ms = (int64_t)chance_skewed(chance, 20000);
        node_jump(node, chance_of(chance, 500000) ? ahead_ms : -ahead_ms);
    }
    return 0;
}

static uint64_t begin_at_kafka(struct sim_world *world, enum trouble_kind kind)
{
    struct sim_chance *chance = &world->chance;
    struct sim_kafka *kafka = world->kafka;
    uint64_t length_ns = chance_skewed(chance, 12 * NS_PER_S) + NS_PER_MS;
    int32_t partition = (int32_t)chance_below(chance, (uint64_t)world->scenario.partitions);
    struct sim_process *process = any_process(world);
    struct kafka_link *link = process != NULL ? process->host.kafka_link : NULL;
    if (kind == TROUBLE_BROKERS_LOST) {
        kafka_lose(kafka, length_ns);
    } else if (kind == TROUBLE_BROKERS_STALL) {
        kafka_stall(kafka, length_ns);
    } else if (kind == TROUBLE_LEADER_LOST) {
        kafka_lose_leader(kafka, partition, length_ns);
    } else if (kind == TROUBLE_REBALANCE) {
        kafka_rebalance(kafka);
        length_ns = 0;
    } else if (kind == TROUBLE_BROKERS_CUT && link != NULL) {
        kafka_cut(link, length_ns);
    } else {
        length_ns = 0;
        if (kind == TROUBLE_PRODUCER_FAILS && link != NULL)
            kafka_fail_producer(link);
        else if (kind == TROUBLE_EXPEL && link != NULL)
            kafka_expel(link);
    }
    return length_ns;
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
        /* Where events carry their time, days would be a story of their own. */
        int64_t most_ms = world->variant->accepts ? 3000 : 5000000;
        if (process != NULL)
            process->host.wall_ahead_ms += chance_between(chance, -most_ms, most_ms);
        return 0;
    }
    case TROUBLE_NODE_CRASH:
    case TROUBLE_NODE_PAUSE:
    case TROUBLE_NODE_REFUSES:
    case TROUBLE_NODE_CLOCK_JUMP:
    case TROUBLE_NODE_CUT:
    case TROUBLE_NODE_EMPTY:
    case TROUBLE_BROKERS_LOST:
    case TROUBLE_BROKERS_STALL:
    case TROUBLE_LEADER_LOST:
    case TROUBLE_BROKERS_CUT:
    case TROUBLE_PRODUCER_FAILS:
    case TROUBLE_REBALANCE:
    case TROUBLE_EXPEL:
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

/* The stock's, where there is no lock. */
static struct sim_redis_node *any_node(struct sim_redis *redis)
{
    if (redis->locks_count == 0)
        return &redis->stock;
    return &redis->locks[chance_below(&redis->world->chance, redis->locks_count)];
}

static void due(struct sim_event *event)
{
    struct trouble *trouble = event->data;
    struct sim_world *world = trouble->all->world;
    uint64_t length_ns = 0;
    if (trouble->begun) {
        over(world, trouble);
    } else if (trouble->kind >= TROUBLE_BROKERS_LOST) {
        length_ns = begin_at_kafka(world, trouble->kind);
    } else if (trouble->kind >= TROUBLE_NODE_CRASH) {
        trouble->node = any_node(world->redis);
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
        schedule_after(&world->schedule, &trouble->event,
                       world->scenario.begins_ms * NS_PER_MS +
                           chance_below(&world->chance, span_ns));
    }
}

struct sim_troubles *troubles_plan(struct sim_world *world)
{
    const struct sim_scenario *scenario = &world->scenario;
    const unsigned counts[] = {
        [TROUBLE_SERVER_CRASH] = scenario->server_crashes,
        [TROUBLE_SERVER_STALL] = scenario->server_stalls,
        [TROUBLE_READ_ONLY] = scenario->read_only,
        [TROUBLE_KILL] = scenario->kills,
        [TROUBLE_PROCESS_CRASH] = scenario->process_crashes,
        [TROUBLE_PROCESS_PAUSE] = scenario->process_pauses,
        [TROUBLE_DRAIN] = scenario->drains,
        [TROUBLE_CLOCK_JUMP] = scenario->clock_jumps,
        [TROUBLE_NODE_CRASH] = scenario->node_crashes,
        [TROUBLE_NODE_PAUSE] = scenario->node_pauses,
        [TROUBLE_NODE_REFUSES] = scenario->node_refusals,
        [TROUBLE_NODE_CLOCK_JUMP] = scenario->node_clock_jumps,
        [TROUBLE_NODE_CUT] = scenario->node_cuts,
        [TROUBLE_NODE_EMPTY] = scenario->node_empties,
        [TROUBLE_BROKERS_LOST] = scenario->broker_losses,
        [TROUBLE_BROKERS_STALL] = scenario->broker_stalls,
        [TROUBLE_LEADER_LOST] = scenario->leader_losses,
        [TROUBLE_BROKERS_CUT] = scenario->broker_cuts,
        [TROUBLE_PRODUCER_FAILS] = scenario->producer_failures,
        [TROUBLE_REBALANCE] = scenario->rebalances,
        [TROUBLE_EXPEL] = scenario->expulsions,
    };
    const size_t kinds = sizeof counts / sizeof counts[0];
    struct sim_troubles *troubles = calloc(1, sizeof *troubles);
    RESV_ASSERT(troubles != NULL);
    size_t total = 0;
    for (size_t kind = 0; kind < kinds; kind++)
        total += counts[kind];
    troubles->world = world;
    troubles->troubles = calloc(total + 1, sizeof troubles->troubles[0]);
    RESV_ASSERT(troubles->troubles != NULL);
    /* As long as the load, about, and a little more. */
    uint64_t bursts = scenario->requests * 4 / (scenario->burst_max + 3) + 1;
    uint64_t span_ns = bursts * scenario->gap_max_us * NS_PER_US / 4 + 200 * NS_PER_MS;
    for (size_t kind = 0; kind < kinds; kind++)
        add(troubles, (enum trouble_kind)kind, counts[kind], span_ns);
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
