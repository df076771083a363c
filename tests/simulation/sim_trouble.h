/* Faults of the large kind, at times of chance: crashes, stalls, pauses, drains, jumps. */
#ifndef SIMULATION_TROUBLE_H
#define SIMULATION_TROUBLE_H

#include <stdbool.h>

#include "sim_world.h"

struct sim_troubles;
struct sim_troubles *troubles_plan(struct sim_world *world);
bool troubles_are_over(const struct sim_troubles *troubles);
void troubles_free(struct sim_troubles *troubles);

#endif
