/* Faults put back on purpose, for the simulation to find.
 *
 * RESV_FAULT(name) is false, and no code, in everything but the second copy of the strategies that
 * tests/simulation builds with RESVD_FAULTS: there it asks whether the fault of this name is on.
 */
#ifndef RESVD_FAULT_H
#define RESVD_FAULT_H

#ifdef RESVD_FAULTS
#include <stdbool.h>
bool resv_fault_is_on(const char *name);
#define RESV_FAULT(name) resv_fault_is_on(#name)
#else
#define RESV_FAULT(name) 0
#endif

#endif
