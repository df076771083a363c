/* Faults put back on purpose: which there are, which is on, and whether each is found. */
#ifndef SIMULATION_FAULTS_H
#define SIMULATION_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

/* True in the program that holds the second copy of the strategies. */
bool faults_are_built_in(void);
/* False when there is none of this name. */
bool faults_turn_on(const char *name);
void faults_list(void);
/* Every one, each for so long at most, as TAP; and naive, which needs no fault. The number of those
 * that were not found. */
int faults_table(double seconds_each);

#endif
