/* What the parts of the naive strategy share. */
#ifndef RESVD_NAIVE_NAIVE_H
#define RESVD_NAIVE_NAIVE_H

#include <stdint.h>

#include "common/base.h"

struct naive {
    struct base base;
    uint64_t hold_ms;
};

/* transaction.c: read, insert, write back. */
extern const struct work_owner naive_transaction;

#endif
