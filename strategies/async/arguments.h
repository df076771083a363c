/* Arguments of a script's call, put together; for the consumer's and the admin's scripts, whose
 * first ones are always the run id and the epoch (close.lua and numbers.lua take fewer). */
#ifndef RESVD_ASYNC_ARGUMENTS_H
#define RESVD_ASYNC_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "async.h"

#define ARGUMENT_SIZE_MAX 24 /* a number as text */

/* Copied when the call is made, and free for the next one then. */
struct arguments {
    struct redis_text *texts;
    char *bytes; /* of numbers */
    size_t max, count;
};

/* False: out of memory; arguments_destroy all the same. */
bool arguments_create(struct arguments *arguments, size_t max);
void arguments_destroy(struct arguments *arguments);
/* Empty. */
void arguments_clear(struct arguments *arguments);
/* The id of the server run that calls are sent to now. */
void arguments_add_run(struct arguments *arguments, const struct async *async);
/* The bytes stay in place until the call is made. */
void arguments_add(struct arguments *arguments, const void *bytes, size_t size);
void arguments_add_text(struct arguments *arguments, const char *text);
void arguments_add_number(struct arguments *arguments, int64_t number);
void arguments_set_number(struct arguments *arguments, size_t index, int64_t number);
/* Makes the call, on the one node, for this concert; data and done are the caller's. */
void arguments_run(const struct arguments *arguments, struct async *async, struct redis_call *call,
                   const struct redis_script *script, int64_t concert_id);

#endif
