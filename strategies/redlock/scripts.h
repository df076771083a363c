/* The Lua scripts beside this file, built in: what a lock does on one node. Each file's first lines
 * say what it is given and what it returns. */
#ifndef RESVD_REDLOCK_SCRIPTS_H
#define RESVD_REDLOCK_SCRIPTS_H

#include "redis.h"

extern const struct redis_script redlock_acquire;
extern const struct redis_script redlock_extend;
extern const struct redis_script redlock_release;

#endif
