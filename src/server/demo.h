/* The demonstration: fills an empty catalog, so that the first sale is one curl line away. */
#ifndef RESVD_SERVER_DEMO_H
#define RESVD_SERVER_DEMO_H

#include "op/dispatch.h"

/* Asks for the catalog, fills it when it is empty, and then prints lines that work. `api` and
 * `admin` are what curl wants in front of the path. */
void demo_start(struct resv_host *host, struct dispatcher *dispatcher, const char *api,
                const char *admin);

#endif
