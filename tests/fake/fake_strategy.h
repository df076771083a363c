/* The fake strategy, scripted through what is asked of it; the table is in fake_strategy.c. */
#ifndef TESTS_FAKE_STRATEGY_H
#define TESTS_FAKE_STRATEGY_H

#include "resvd/strategy.h"

extern const struct resv_strategy resv_strategy_fake;
extern const struct resv_strategy resv_strategy_fake_async;

#endif
