/* --check-config: what the strategy itself says about its settings. */
#ifndef RESVD_SERVER_CHECK_H
#define RESVD_SERVER_CHECK_H

#include "config/config.h"
#include "resvd/strategy.h"

/* Opens the strategy, which does no I/O, and closes it again without a start. Prints to stderr what
 * is wrong; the exit code. */
int server_check(const struct config *config, const struct resv_strategy *strategy);

#endif
