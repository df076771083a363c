/* docs/metrics.md, from the tables of everything that counts. */
#ifndef RESVD_SERVER_METRIC_REFERENCE_H
#define RESVD_SERVER_METRIC_REFERENCE_H

#include <stdio.h>

void metric_reference_print(FILE *out);

#endif
