/* Redis nodes of the test's own, behind the link's header: one lock and one channel on each. Calls
 * wait until the test has a node execute them, or lose them. What the scripts do is done here: the
 * scripts themselves are tested where a Redis or a Lua runs them.
 *
 * It holds its users to redis.h: memory of calls and subscriptions, nothing left when it is closed.
 */
#ifndef TESTS_REDLOCK_REDIS_H
#define TESTS_REDLOCK_REDIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fake_host.h"
#include "redis.h"

struct fake_node {
    bool down;
    struct redis_call *first, *last;
    /* The lock: empty when it is over. */
    uint8_t value[20];
    uint64_t until_ns;
    size_t listeners; /* besides this process */
    unsigned published;
    char acquired_key[96];
};

struct redis_link {
    struct resv_host *host;
    struct redis_link_config config;
    struct redis_link_events events;
    struct fake_node nodes[REDIS_NODES_MAX];
    size_t nodes_count;
    struct redis_subscription *subscription; /* one at a time is enough here */
    bool fails_to_open;
    bool closed;
};

extern struct redis_link the_redis;

/* So many nodes, up and empty. Before the strategy or the lock is opened. */
void redis_reset(struct resv_host *host, size_t nodes);
/* Calls that wait on the node, as one letter each: a acquire, e extend, r release. */
const char *calls_of(size_t node);
/* The first call that waits there is executed, and its caller told; no flush. */
void node_executes(size_t node);
/* The first call is lost; whether it was executed. */
void node_loses(size_t node, bool executed);
/* It is answered with an error, not executed. */
void node_refuses(size_t node);
/* Everything that waits, everywhere, in order, and what follows from it; then the flush point. */
void redis_serves(void);
void node_is_up(size_t node, bool up);

/* Somebody else has the lock for so long, or lets it go. */
void node_is_held(size_t node, uint64_t ms);
void node_is_free(size_t node);
bool node_has_lock(size_t node); /* anybody */

/* Our listening connection of the node is there; somebody lets the lock go, and we hear it. */
void node_listens(size_t node);
void node_publishes(size_t node);

#endif
