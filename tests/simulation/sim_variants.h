/* What is simulated: each strategy, and each form of one. */
#ifndef SIMULATION_VARIANTS_H
#define SIMULATION_VARIANTS_H

#include <stdbool.h>
#include <stddef.h>

#include "sim_world.h"

struct sim_variant {
    const char *name;                     /* for --strategy, and in the tables of faults */
    const struct resv_strategy *strategy; /* NULL: each process draws one of the sound */
    const char *form;
    bool is_sound; /* part of "all"; naive is not */
    bool locks;    /* by Redis nodes */
    bool accepts;  /* says 202 first: a stock in Redis, events in Kafka, rows later */
};

#define SIM_VARIANTS_MAX 16

extern const struct sim_variant sim_variants[];
extern const size_t sim_variants_count;
const struct sim_variant *sim_variant_find(const char *name); /* or NULL */
/* A process's: the world's, or one that is drawn; of those that accept none is, since their stock
 * must hear of every seat that is sold. */
const struct sim_variant *sim_variant_of_process(struct sim_world *world);
/* Why one that there could be is not in this program; NULL: all are. */
const char *sim_variants_missing(void);

#endif
