/* Drawing a scenario. */
#include "sim_scenario.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void set(struct sim_scenario *scenario, const char *key, uint64_t value)
{
    struct sim_setting *setting = &scenario->settings[scenario->settings_count++];
    setting->key = key;
    snprintf(setting->text, sizeof setting->text, "%" PRIu64, value);
}

const char *scenario_setting(const struct sim_scenario *scenario, const char *key)
{
    for (size_t i = 0; i < scenario->settings_count; i++) {
        if (strcmp(scenario->settings[i].key, key) == 0)
            return scenario->settings[i].text;
    }
    return NULL;
}

static uint64_t one_of(struct sim_chance *chance, const uint64_t *values, size_t count)
{
    return values[chance_below(chance, count)];
}

#define ONE_OF(chance, ...)                                                                        \
    one_of(chance, (const uint64_t[]){__VA_ARGS__},                                                \
           sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

static void draw_settings(struct sim_scenario *scenario, struct sim_chance *chance)
{
    set(scenario, "group_max", ONE_OF(chance, 1, 2, 3, 5, 8, 16, 50));
    set(scenario, "groups_per_concert", ONE_OF(chance, 1, 1, 2, 3, 8));
    set(scenario, "groups_max", ONE_OF(chance, 1, 2, 4, 16));
    set(scenario, "concerts_max", ONE_OF(chance, 1, 2, 50, 50));
    set(scenario, "hold_ms", ONE_OF(chance, 0, 0, 0, 0, 0, 0, 1, 40));
    set(scenario, "pool_min", ONE_OF(chance, 0, 1, 2));
    set(scenario, "pool_max", ONE_OF(chance, 1, 2, 3, 4, 8));
    set(scenario, "catalog_pool", ONE_OF(chance, 0, 1, 2));
    set(scenario, "pool_wait_ms", ONE_OF(chance, 50, 1000, 3000, 10000));
    set(scenario, "pool_queue_max", ONE_OF(chance, 1, 10, 1000, 1000, 1000));
    set(scenario, "statement_timeout_ms", ONE_OF(chance, 300, 1000, 3000, 10000));
}

static void draw_load(struct sim_scenario *scenario, struct sim_chance *chance)
{
    scenario->processes = ONE_OF(chance, 1, 1, 2, 2, 3, 4);
    scenario->concerts = chance_between(chance, 1, 5);
    scenario->members = chance_between(chance, 1, 12);
    scenario->capacity_max = (int64_t)ONE_OF(chance, 1, 4, 10, 30, 200);
    scenario->limited = ONE_OF(chance, 0, 0, 300000, 1000000);
    scenario->hot = ONE_OF(chance, 0, 500000, 900000, 1000000);
    scenario->quantity_max = (int64_t)ONE_OF(chance, 1, 1, 2, 4);
    scenario->requests = 20 + chance_skewed(chance, 200);
    scenario->burst_max = ONE_OF(chance, 1, 3, 10, 40);
    scenario->gap_max_us = ONE_OF(chance, 1000, 10000, 100000, 100000, 1000000);
    scenario->keyed = ONE_OF(chance, 0, 300000, 800000, 1000000);
    scenario->repeated = ONE_OF(chance, 0, 100000, 400000);
    scenario->changed = ONE_OF(chance, 0, 100000, 300000);
    scenario->releases = ONE_OF(chance, 0, 50000, 200000);
    scenario->lookups = ONE_OF(chance, 0, 50000, 100000);
    scenario->catalog = ONE_OF(chance, 0, 0, 20000, 100000);
    scenario->nobody = ONE_OF(chance, 0, 0, 50000);
    scenario->gone = ONE_OF(chance, 0, 0, 100000);
    scenario->deadline_ms = ONE_OF(chance, 300, 3000, 10000, 10000);
    scenario->step_max_us = ONE_OF(chance, 100, 1000, 1000, 10000, 50000);
    scenario->network_max_us = ONE_OF(chance, 50, 500, 500, 5000, 50000);
    scenario->flush_max_us = ONE_OF(chance, 50, 500, 5000, 50000, 200000);
    scenario->lock_wait_ms = ONE_OF(chance, 20, 1000, 2000);
    scenario->end_wait_ms = ONE_OF(chance, 100, 1000, 2000);
}

/* Per million; mostly none of this kind. */
static uint64_t rate(struct sim_chance *chance, uint64_t bound)
{
    return chance_below(chance, 3) == 0 ? chance_skewed(chance, bound) + 1000 : 0;
}

static unsigned some(struct sim_chance *chance, unsigned most)
{
    return chance_below(chance, 4) == 0 ? 1 + (unsigned)chance_below(chance, most) : 0;
}

static void draw_faults(struct sim_scenario *scenario, struct sim_chance *chance)
{
    scenario->request_lost = rate(chance, 200000);
    scenario->answer_lost = rate(chance, 200000);
    scenario->late = rate(chance, 300000);
    scenario->commit_fails = rate(chance, 200000);
    scenario->commit_deceives = rate(chance, 200000);
    scenario->victim = rate(chance, 100000);
    scenario->lock_waits = rate(chance, 100000);
    scenario->refused = rate(chance, 50000);
    scenario->connect_fails = rate(chance, 100000);
    scenario->slow_kill = rate(chance, 500000);
    scenario->server_crashes = some(chance, 3);
    scenario->server_stalls = some(chance, 2);
    scenario->read_only = some(chance, 2);
    scenario->kills = some(chance, 10);
    scenario->process_crashes = some(chance, 4);
    scenario->process_pauses = some(chance, 3);
    scenario->drains = some(chance, 2);
    scenario->clock_jumps = some(chance, 3);
}

/* Few seats that come and go while packets are late: what a late one finds is not what its second
 * try found. */
static void draw_seesaw(struct sim_scenario *scenario, struct sim_chance *chance)
{
    scenario->concerts = 1;
    scenario->capacity_max = chance_between(chance, 1, 3);
    scenario->limited = 0;
    scenario->quantity_max = 1;
    scenario->releases = 300000;
    scenario->catalog = ONE_OF(chance, 0, 0, 50000);
    scenario->requests = 150;
    scenario->burst_max = 3;
    scenario->late = 150000;
    scenario->harmless = false;
    scenario->deadline_ms = 10000;
    scenario->gap_max_us = 300000;
}

void scenario_draw(struct sim_scenario *scenario, struct sim_chance *chance)
{
    *scenario = (struct sim_scenario){0};
    draw_settings(scenario, chance);
    draw_load(scenario, chance);
    scenario->harmless = chance_below(chance, 8) == 0;
    if (!scenario->harmless)
        draw_faults(scenario, chance);
    if (chance_below(chance, 10) == 0)
        draw_seesaw(scenario, chance);
}

/* Leases that are shorter than many a write, and others. */
static void draw_lock_settings(struct sim_scenario *scenario, struct sim_chance *chance)
{
    uint64_t lease_ms = ONE_OF(chance, 100, 100, 200, 500, 2000, 10000);
    uint64_t wait_ms = ONE_OF(chance, 100, 500, 2000, 2000, 10000);
    uint64_t retry_delay_ms = ONE_OF(chance, 2, 10, 50, 200);
    uint64_t node_timeout_ms = ONE_OF(chance, 5, 20, 50, 50, 200, 2000);
    /* Where most answers come too late there is no story. */
    if (node_timeout_ms < scenario->network_max_us / 500 && !chance_of(chance, 200000))
        node_timeout_ms = scenario->network_max_us / 500;
    scenario->lock_nodes = ONE_OF(chance, 1, 3, 3, 5);
    scenario->lease_ms = lease_ms;
    scenario->wait_ms = wait_ms;
    /* What does not fit together is refused at the start. */
    set(scenario, "lease_ms", lease_ms);
    set(scenario, "wait_ms", wait_ms);
    set(scenario, "retry_delay_ms", retry_delay_ms < wait_ms ? retry_delay_ms : wait_ms);
    set(scenario, "node_timeout_ms",
        node_timeout_ms < lease_ms / 2 ? node_timeout_ms : lease_ms / 2);
    set(scenario, "locks_max", ONE_OF(chance, 1, 2, 8, 16, 16));
    if (chance_of(chance, 400000)) {
        struct sim_setting *setting = &scenario->settings[scenario->settings_count++];
        *setting = (struct sim_setting){.key = "handoff", .text = "off"};
    } else {
        set(scenario, "handoff", ONE_OF(chance, 2, 2, 4, 16, 64));
    }
}

static void draw_lock_faults(struct sim_scenario *scenario, struct sim_chance *chance)
{
    scenario->nodes_keep = (enum nodes_keep)chance_below(chance, NODES_KEEP_ALL + 1);
    scenario->drift_per_million = (int64_t)ONE_OF(chance, 0, 0, 1000, 10000);
    scenario->pauses_on_answer = rate(chance, 50000);
    scenario->drops_on_timeout = ONE_OF(chance, 0, 300000, 1000000);
    scenario->node_crashes = some(chance, 6);
    scenario->node_pauses = some(chance, 6);
    scenario->node_refusals = some(chance, 3);
    scenario->node_clock_jumps = some(chance, 6);
    scenario->node_cuts = some(chance, 10);
}

/* A server that forgets what was seen, and limits that come afterwards: what is remembered of the
 * time before must not be sold on. */
static void draw_forgotten(struct sim_scenario *scenario)
{
    scenario->harmless = false;
    scenario->processes = 2;
    scenario->concerts = 1;
    scenario->members = 1;
    scenario->capacity_max = 200;
    scenario->limited = 0;
    scenario->quantity_max = 1;
    scenario->requests = 200;
    scenario->burst_max = 1;
    scenario->gap_max_us = 500000;
    scenario->deadline_ms = 3000;
    scenario->keyed = 0;
    scenario->releases = 0;
    scenario->catalog = 400000;
    scenario->new_limits = 900000;
    scenario->nobody = 0;
    scenario->strangers = 500000;
    scenario->changed = 0;
    scenario->repeated = 0;
    scenario->lookups = 0;
    scenario->flush_max_us = 1000000;
    scenario->server_crashes = 20;
    scenario->outage_max_ms = 20;
}

/* Few seats, and holders that are overtaken by those who come after their lease. */
static void draw_overtaken(struct sim_scenario *scenario, struct sim_chance *chance)
{
    scenario->harmless = false;
    scenario->processes = ONE_OF(chance, 2, 3, 4);
    scenario->concerts = 1;
    scenario->capacity_max = chance_between(chance, 2, 20);
    scenario->limited = 0;
    scenario->quantity_max = 1;
    scenario->requests = 100;
    scenario->burst_max = 10;
    scenario->deadline_ms = 10000;
    scenario->gap_max_us = 300000;
    scenario->late = 50000;
}

void scenario_draw_locks(struct sim_scenario *scenario, struct sim_chance *chance)
{
    uint64_t kind = chance_below(chance, 8);
    bool overtaken = kind == 0;
    if (overtaken)
        draw_overtaken(scenario, chance);
    else if (kind == 1)
        draw_forgotten(scenario);
    draw_lock_settings(scenario, chance);
    if (!scenario->harmless && kind != 1)
        draw_lock_faults(scenario, chance);
    if (overtaken)
        scenario->pauses_on_answer += 30000;
}

/* --- stock and events ------------------------------------------------------------------------- */

/* Somebody sells and somebody consumes. */
static void draw_roles(struct sim_scenario *scenario, struct sim_chance *chance)
{
    bool split = scenario->processes > 1 && chance_of(chance, 400000);
    for (size_t i = 0; split && i < scenario->processes; i++)
        scenario->roles[i] =
            i == 0   ? RESV_ROLE_API
            : i == 1 ? RESV_ROLE_CONSUMER
                     : (enum resv_role)chance_between(chance, RESV_ROLE_ALL, RESV_ROLE_CONSUMER);
}

static void draw_event_settings(struct sim_scenario *scenario, struct sim_chance *chance)
{
    /* Gates are closed at first: a load that is over by then sells nothing. */
    if (scenario->gap_max_us < 100000)
        scenario->gap_max_us = ONE_OF(chance, 10000, 100000, 300000);
    scenario->begins_ms = ONE_OF(chance, 0, 1000, 3000);
    scenario->partitions = (int32_t)ONE_OF(chance, 1, 1, 2, 3, 8);
    scenario->event_timeout_ms = ONE_OF(chance, 300, 1000, 5000);
    scenario->session_ms = ONE_OF(chance, 500, 2000, 6000);
    scenario->zombie_max_ms = ONE_OF(chance, 100, 3000, 6000);
    set(scenario, "batch_max", ONE_OF(chance, 1, 2, 5, 20, 1000, 1000));
    set(scenario, "batch_wait_ms", ONE_OF(chance, 0, 1, 5, 90));
    set(scenario, "events_max", ONE_OF(chance, 3, 20, 20000, 20000, 20000));
    set(scenario, "vector_max", ONE_OF(chance, 1, 3, 500));
}

static void draw_event_faults(struct sim_scenario *scenario, struct sim_chance *chance)
{
    scenario->nodes_keep = (enum nodes_keep)chance_below(chance, NODES_KEEP_ALL + 1);
    scenario->pauses_on_answer = rate(chance, 20000);
    scenario->drops_on_timeout = ONE_OF(chance, 0, 300000, 1000000);
    scenario->event_refused = rate(chance, 100000);
    scenario->event_lost = rate(chance, 100000);
    scenario->event_late = rate(chance, 200000);
    scenario->event_answer_lost = rate(chance, 200000);
    scenario->report_late = rate(chance, 200000);
    scenario->event_repeated = rate(chance, 300000);
    scenario->event_stays_queued = rate(chance, 100000);
    scenario->revoked_late = rate(chance, 500000);
    scenario->node_crashes = some(chance, 4);
    scenario->node_pauses = some(chance, 4);
    scenario->node_refusals = some(chance, 3);
    scenario->node_cuts = some(chance, 10);
    scenario->node_empties = some(chance, 3);
    scenario->broker_losses = some(chance, 3);
    scenario->broker_stalls = some(chance, 3);
    scenario->leader_losses = some(chance, 4);
    scenario->broker_cuts = some(chance, 4);
    scenario->producer_failures = some(chance, 4);
    scenario->rebalances = some(chance, 8);
    scenario->expulsions = some(chance, 6);
}

/* Consumers that do not know yet that they are none, while seats come and go: what they settle late
 * must not be believed. */
static void draw_zombies(struct sim_scenario *scenario, struct sim_chance *chance)
{
    scenario->harmless = false;
    scenario->processes = ONE_OF(chance, 2, 3);
    scenario->concerts = 1;
    scenario->capacity_max = chance_between(chance, 2, 20);
    scenario->limited = ONE_OF(chance, 0, 0, 1000000);
    scenario->quantity_max = 1;
    scenario->requests = 120;
    scenario->burst_max = 5;
    scenario->gap_max_us = 300000;
    scenario->deadline_ms = 10000;
    scenario->releases = ONE_OF(chance, 0, 150000, 300000);
    scenario->partitions = 1;
    if (chance_of(chance, 600000)) { /* and an admin, while somebody decides */
        scenario->catalog = 300000;
        scenario->limited = 1000000;
        scenario->step_max_us = 20000;
        scenario->network_max_us = 20000;
    }
}

/* Publishers that die behind Redis' answer, or whose events do not come into the log, or stay in
 * their queue while others publish them: what is pending must be found by somebody else. */
static void draw_orphans(struct sim_scenario *scenario, struct sim_chance *chance)
{
    scenario->harmless = false;
    scenario->processes = ONE_OF(chance, 2, 3);
    scenario->concerts = chance_between(chance, 1, 2);
    scenario->capacity_max = chance_between(chance, 2, 30);
    scenario->requests = 120;
    scenario->burst_max = 10;
    scenario->gap_max_us = 300000;
    scenario->keyed = ONE_OF(chance, 800000, 1000000);
    scenario->repeated = ONE_OF(chance, 0, 300000);
    scenario->releases = ONE_OF(chance, 200000, 400000);
    scenario->deadline_ms = 10000;
    scenario->event_timeout_ms = 5000;
}

/* A Redis that loses everything again and again, while keys are sent again. */
static void draw_forgetful(struct sim_scenario *scenario, struct sim_chance *chance)
{
    scenario->harmless = false;
    scenario->concerts = 1;
    scenario->capacity_max = chance_between(chance, 5, 40);
    scenario->limited = ONE_OF(chance, 0, 0, 1000000);
    scenario->requests = 200;
    scenario->burst_max = ONE_OF(chance, 5, 20);
    scenario->gap_max_us = 300000;
    scenario->keyed = 1000000;
    scenario->repeated = 500000;
    scenario->changed = 10000;
    scenario->releases = 0;
    scenario->deadline_ms = 10000;
    scenario->flush_max_us = 200000; /* so that consumers are behind */
    scenario->partitions = 1;
}

/* A database that forgets what was seen and not on disk, and answers that are lost. */
static void draw_unflushed(struct sim_scenario *scenario, struct sim_chance *chance)
{
    scenario->harmless = false;
    scenario->concerts = chance_between(chance, 1, 2);
    scenario->capacity_max = chance_between(chance, 10, 200);
    scenario->requests = 200;
    scenario->burst_max = 3;
    scenario->gap_max_us = 300000;
    scenario->flush_max_us = 1000000;
    scenario->outage_max_ms = 20;
    scenario->deadline_ms = 3000;
}

enum event_story {
    STORY_ANY,
    STORY_ZOMBIES,
    STORY_ORPHANS,
    STORY_FORGETFUL,
    STORY_UNFLUSHED,
};

static void draw_more_faults(struct sim_scenario *scenario, enum event_story story)
{
    switch (story) {
    case STORY_ANY:
        break;
    case STORY_ZOMBIES:
        scenario->expulsions += 3;
        scenario->process_pauses += 3;
        scenario->late += 50000;
        break;
    case STORY_ORPHANS:
        scenario->process_crashes += 2;
        scenario->event_lost += 50000;
        scenario->event_stays_queued += 150000;
        scenario->event_refused += 50000;
        break;
    case STORY_FORGETFUL:
        scenario->node_empties += 2;
        break;
    case STORY_UNFLUSHED:
        scenario->server_crashes = 15;
        scenario->answer_lost += 50000;
        scenario->commit_deceives += 50000;
        break;
    }
}

void scenario_draw_events(struct sim_scenario *scenario, struct sim_chance *chance)
{
    static const enum event_story stories[] = {STORY_ANY,       STORY_ANY,      STORY_ANY,
                                               STORY_ANY,       STORY_ZOMBIES,  STORY_ORPHANS,
                                               STORY_FORGETFUL, STORY_UNFLUSHED};
    enum event_story story = stories[chance_below(chance, sizeof stories / sizeof stories[0])];
    draw_event_settings(scenario, chance);
    if (story == STORY_ZOMBIES)
        draw_zombies(scenario, chance);
    else if (story == STORY_ORPHANS)
        draw_orphans(scenario, chance);
    else if (story == STORY_FORGETFUL)
        draw_forgetful(scenario, chance);
    else if (story == STORY_UNFLUSHED)
        draw_unflushed(scenario, chance);
    bool sweeps_soon = story == STORY_ORPHANS || story == STORY_FORGETFUL;
    scenario->sweep_after_ms = sweeps_soon ? 100 : ONE_OF(chance, 100, 300, 1000, 5000);
    set(scenario, "sweep_after_ms", scenario->sweep_after_ms);
    draw_roles(scenario, chance);
    if (!scenario->harmless)
        draw_event_faults(scenario, chance);
    draw_more_faults(scenario, story);
}

void scenario_calm(struct sim_scenario *scenario)
{
    scenario->request_lost = 0;
    scenario->answer_lost = 0;
    scenario->late = 0;
    scenario->commit_fails = 0;
    scenario->commit_deceives = 0;
    scenario->victim = 0;
    scenario->lock_waits = 0;
    scenario->refused = 0;
    scenario->connect_fails = 0;
    scenario->slow_kill = 0;
    scenario->pauses_on_answer = 0;
}

void scenario_hurry(struct sim_scenario *scenario)
{
    scenario->step_max_us = 100;
    scenario->network_max_us = 50;
    scenario->flush_max_us = 50;
    scenario->deadline_ms = 30000;
    scenario->gone = 0;
}
