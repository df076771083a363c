/* Catalog operations of the simulated link, as the server sees them. */
#ifndef SIMULATION_CATALOG_H
#define SIMULATION_CATALOG_H

struct sim_catalog_call;

/* Its connection may go on. */
void catalog_work(struct sim_catalog_call *call);
/* Its connection is over, or was chosen as a victim, or has waited too long. */
void catalog_failed(struct sim_catalog_call *call);

#endif
