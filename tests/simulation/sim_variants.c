/* The strategies that this program holds: the same objects as resvd's. */
#include "sim_variants.h"

#include <string.h>

extern const struct resv_strategy resv_strategy_grouped;
extern const struct resv_strategy resv_strategy_naive;
extern const struct resv_strategy resv_strategy_pessimistic;
#ifdef SIMULATED_REDLOCK
extern const struct resv_strategy resv_strategy_redlock;
#define WITH_LOCKS true
#else
#define WITH_LOCKS false
#endif
#ifdef SIMULATED_ASYNC
extern const struct resv_strategy resv_strategy_async;
#endif

const struct sim_variant sim_variants[] = {
    {"grouped", &resv_strategy_grouped, NULL, true, false, false},
    {"pessimistic", &resv_strategy_pessimistic, "statements", true, false, false},
    {"procedure", &resv_strategy_pessimistic, "procedure", true, false, false},
#ifdef SIMULATED_REDLOCK
    {"redlock", &resv_strategy_redlock, NULL, true, true, false},
#endif
#ifdef SIMULATED_ASYNC
    {"async", &resv_strategy_async, NULL, true, false, true},
#endif
    {"mixed", NULL, NULL, true, WITH_LOCKS, false},
    {"naive", &resv_strategy_naive, NULL, false, false, false},
};

_Static_assert(sizeof sim_variants / sizeof sim_variants[0] <= SIM_VARIANTS_MAX, "see there");
const size_t sim_variants_count = sizeof sim_variants / sizeof sim_variants[0];

const struct sim_variant *sim_variant_find(const char *name)
{
    for (size_t i = 0; i < sim_variants_count; i++) {
        if (strcmp(sim_variants[i].name, name) == 0)
            return &sim_variants[i];
    }
    return NULL;
}

const struct sim_variant *sim_variant_of_process(struct sim_world *world)
{
    const struct sim_variant *found = world->variant;
    uint64_t seen = 0;
    for (size_t i = 0; world->variant->strategy == NULL && i < sim_variants_count; i++) {
        if (sim_variants[i].is_sound && sim_variants[i].strategy != NULL &&
            !sim_variants[i].accepts && chance_below(&world->chance, ++seen) == 0)
            found = &sim_variants[i];
    }
    return found;
}

const char *sim_variants_missing(void)
{
#if defined SIMULATED_REDLOCK && defined SIMULATED_ASYNC
    return NULL;
#else
    return "redlock or async is not simulated here: when this was built, Lua 5.1 "
           "(liblua5.1-0-dev) or what the strategy needs was not installed";
#endif
}
