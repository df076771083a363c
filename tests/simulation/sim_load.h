/* The load: people, who ask, ask again, give back, look up; and an admin. */
#ifndef SIMULATION_LOAD_H
#define SIMULATION_LOAD_H

#include <stdbool.h>

#include "sim_checker.h"
#include "sim_world.h"

struct sim_load *load_create(struct sim_world *world);
bool load_is_over(const struct sim_load *load);
/* Everything is well again: somebody asks for a seat of the concert at each process that is ready.
 * Nobody else asks. */
void load_probe(struct sim_load *load, enum request_probe probe, int64_t concert_id);
void load_free(struct sim_load *load);

#endif
