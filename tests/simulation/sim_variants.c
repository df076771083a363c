/* The strategies that this program holds: the same objects as resvd's. */
#include "sim_variants.h"

#include <string.h>

extern const struct resv_strategy resv_strategy_grouped;
extern const struct resv_strategy resv_strategy_naive;
extern const struct resv_strategy resv_strategy_pessimistic;

const struct sim_variant sim_variants[] = {
    {"grouped", &resv_strategy_grouped, NULL, true},
    {"pessimistic", &resv_strategy_pessimistic, "statements", true},
    {"procedure", &resv_strategy_pessimistic, "procedure", true},
    {"naive", &resv_strategy_naive, NULL, false},
};

const size_t sim_variants_count = sizeof sim_variants / sizeof sim_variants[0];

const struct sim_variant *sim_variant_find(const char *name)
{
    for (size_t i = 0; i < sim_variants_count; i++) {
        if (strcmp(sim_variants[i].name, name) == 0)
            return &sim_variants[i];
    }
    return NULL;
}
