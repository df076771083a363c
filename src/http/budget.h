/* A budget of bytes: memory that is allocated outside of pools, but only up to a configured sum. */
#ifndef RESVD_HTTP_BUDGET_H
#define RESVD_HTTP_BUDGET_H

#include <stdbool.h>
#include <stddef.h>

struct budget {
    size_t used_bytes;
    size_t max_bytes;
};

static inline bool budget_take(struct budget *budget, size_t bytes)
{
    if (budget->used_bytes > budget->max_bytes || bytes > budget->max_bytes - budget->used_bytes)
        return false;
    budget->used_bytes += bytes;
    return true;
}

/* For the little that must not be refused, because refusing would be a lie. */
static inline void budget_take_anyway(struct budget *budget, size_t bytes)
{
    budget->used_bytes += bytes;
}

static inline void budget_give(struct budget *budget, size_t bytes)
{
    budget->used_bytes -= bytes;
}

#endif
