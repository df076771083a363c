/* Assertions for what is impossible: always compiled in, no side effects, die at once. What can
 * happen (bad input, a failed server) is handled, never asserted. */
#ifndef RESVD_ASSERT_H
#define RESVD_ASSERT_H

#include <stdio.h>
#include <stdlib.h>

#define RESV_ASSERT(condition)                                                                     \
    ((condition) ? (void)0 : resv_assert_failed(#condition, __FILE__, __LINE__, __func__))

_Noreturn static inline void resv_assert_failed(const char *condition, const char *file, int line,
                                                const char *function)
{
    fprintf(stderr, "resvd: impossible: %s (%s:%d, %s)\n", condition, file, line, function);
    abort();
}

#endif
