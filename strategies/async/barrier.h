/* Barriers. */
#ifndef RESVD_ASYNC_BARRIER_H
#define RESVD_ASYNC_BARRIER_H

#include "async.h"

/* As publish_text. False: no room. */
bool barrier_publish(struct async *async, int64_t concert_id, void *data,
                     void (*done)(void *data, enum kafka_result result));

#endif
