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

static void draw_settings(struct sim_scenario *scenario, struct sim_chance *chance,
                          const char *form)
{
    if (form != NULL) {
        struct sim_setting *setting = &scenario->settings[scenario->settings_count++];
        setting->key = "form";
        snprintf(setting->text, sizeof setting->text, "%s", form);
    }
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
    scenario->deadline_ms = 10000;
    scenario->gap_max_us = 300000;
}

void scenario_draw(struct sim_scenario *scenario, struct sim_chance *chance, const char *form)
{
    *scenario = (struct sim_scenario){0};
    draw_settings(scenario, chance, form);
    draw_load(scenario, chance);
    if (chance_below(chance, 8) > 0)
        draw_faults(scenario, chance);
    if (chance_below(chance, 10) == 0)
        draw_seesaw(scenario, chance);
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
}
