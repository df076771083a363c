/* An exchange: one request on a connection and the answer to it, in the order of arrival.
 *
 *   connection.first -> [done] -> [done] -> [running] -> [done]      (answers keep this order)
 *                        \________flushed_/    \__wait_/
 *
 * Each connection owns one, so that a connection that does not pipeline never waits for another;
 * the others come from a shared pool.
 */
#ifndef RESVD_HTTP_EXCHANGE_H
#define RESVD_HTTP_EXCHANGE_H

#include <stdbool.h>

#include "routes/call.h"

struct connection;

struct exchange {
    struct call call; /* first: the routes' call and the exchange are one object */
    struct connection *connection;
    struct exchange *next;
    bool done;
    bool interim;     /* stands for "100 Continue", has no call */
    bool head_only;   /* HEAD: the body is counted, not sent */
    bool is_read;     /* GET, HEAD: nothing was changed, so that 503 instead is no lie */
    bool close_after; /* the last answer of the connection */
    bool http_1_0;
    bool from_pool;
};

struct exchange_pool {
    struct exchange *exchanges;
    struct exchange *free;
    size_t count;
    size_t used;
};

bool exchange_pool_create(struct exchange_pool *pool, size_t count);
void exchange_pool_destroy(struct exchange_pool *pool);
/* NULL when the pool is used up. The answer's inline bytes are not zeroed. */
struct exchange *exchange_take(struct exchange_pool *pool);
void exchange_give_back(struct exchange_pool *pool, struct exchange *exchange);
/* Clears all but the inline bytes. */
void exchange_reset(struct exchange *exchange);

#endif
