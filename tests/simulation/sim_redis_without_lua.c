/* In place of sim_redis_script.c where Lua 5.1 is not installed: no variant has Redis nodes then
 * (sim_variants.c), so no script is ever run. */
#include "resvd/assert.h"
#include "sim_redis.h"

void script_run(struct sim_redis_node *node, struct sim_sent *sent)
{
    (void)node;
    (void)sent;
    RESV_ASSERT(!"scripts need Lua");
}
