/* The pool of exchanges. */
#include "http/exchange.h"

#include <stdlib.h>
#include <string.h>

#include "resvd/assert.h"

bool exchange_pool_create(struct exchange_pool *pool, size_t count)
{
    *pool = (struct exchange_pool){.count = count};
    pool->exchanges = calloc(count, sizeof(struct exchange));
    if (pool->exchanges == NULL)
        return false;
    for (size_t i = count; i-- > 0;) {
        pool->exchanges[i].next = pool->free;
        pool->free = &pool->exchanges[i];
    }
    return true;
}

void exchange_pool_destroy(struct exchange_pool *pool)
{
    free(pool->exchanges);
    *pool = (struct exchange_pool){0};
}

void exchange_reset(struct exchange *exchange)
{
    memset(exchange, 0, offsetof(struct exchange, call.answer.inline_body));
    size_t rest = offsetof(struct exchange, connection);
    memset((char *)exchange + rest, 0, sizeof(*exchange) - rest);
}

struct exchange *exchange_take(struct exchange_pool *pool)
{
    struct exchange *exchange = pool->free;
    if (exchange == NULL)
        return NULL;
    pool->free = exchange->next;
    pool->used++;
    exchange_reset(exchange);
    exchange->from_pool = true;
    return exchange;
}

void exchange_give_back(struct exchange_pool *pool, struct exchange *exchange)
{
    RESV_ASSERT(exchange->from_pool && pool->used > 0);
    exchange->next = pool->free;
    pool->free = exchange;
    pool->used--;
}
