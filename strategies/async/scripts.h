/* The Lua scripts beside this file, built in. Each file's first lines say what it is given and what
 * it returns. */
#ifndef RESVD_ASYNC_SCRIPTS_H
#define RESVD_ASYNC_SCRIPTS_H

#include "redis.h"

/* The api's. */
extern const struct redis_script async_reserve;
extern const struct redis_script async_undo;
extern const struct redis_script async_probe;
/* The consumer's and the admin's. */
extern const struct redis_script async_close;
extern const struct redis_script async_complete;
extern const struct redis_script async_numbers;
extern const struct redis_script async_rebuild;
extern const struct redis_script async_scan;
extern const struct redis_script async_settle;
extern const struct redis_script async_sweep;

#endif
