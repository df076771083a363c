/* What is simulated: each strategy, and each form of one. */
#ifndef SIMULATION_VARIANTS_H
#define SIMULATION_VARIANTS_H

#include <stdbool.h>
#include <stddef.h>

#include "sim_world.h"

struct sim_variant {
    const char *name; /* for --strategy, and in the tables of faults */
    const struct resv_strategy *strategy;
    const char *form;
    bool is_sound; /* part of "all"; naive is not */
};

extern const struct sim_variant sim_variants[];
extern const size_t sim_variants_count;
const struct sim_variant *sim_variant_find(const char *name); /* or NULL */

#endif
