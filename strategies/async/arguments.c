/* Arguments of a script's call.
 *
 * Invariant: there is never one more than was asked room for: who fills them knows how many. */
#include "arguments.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resvd/assert.h"

bool arguments_create(struct arguments *arguments, size_t max)
{
    arguments->max = max;
    arguments->texts = calloc(max, sizeof *arguments->texts);
    arguments->bytes = calloc(max, ARGUMENT_SIZE_MAX);
    return arguments->texts != NULL && arguments->bytes != NULL;
}

void arguments_destroy(struct arguments *arguments)
{
    free(arguments->texts);
    free(arguments->bytes);
}

void arguments_clear(struct arguments *arguments)
{
    arguments->count = 0;
}

void arguments_add(struct arguments *arguments, const void *bytes, size_t size)
{
    RESV_ASSERT(arguments->count < arguments->max);
    arguments->texts[arguments->count++] = (struct redis_text){.bytes = bytes, .size = size};
}

void arguments_add_text(struct arguments *arguments, const char *text)
{
    arguments_add(arguments, text, strlen(text));
}

void arguments_add_run(struct arguments *arguments, const struct async *async)
{
    arguments_add_text(arguments, redis_link_run_id(async->redis, 0));
}

void arguments_set_number(struct arguments *arguments, size_t index, int64_t number)
{
    RESV_ASSERT(index < arguments->count);
    char *bytes = arguments->bytes + index * ARGUMENT_SIZE_MAX;
    int size = snprintf(bytes, ARGUMENT_SIZE_MAX, "%" PRId64, number);
    RESV_ASSERT(size > 0 && size < ARGUMENT_SIZE_MAX);
    arguments->texts[index] = (struct redis_text){.bytes = bytes, .size = (size_t)size};
}

void arguments_add_number(struct arguments *arguments, int64_t number)
{
    arguments_add(arguments, NULL, 0);
    arguments_set_number(arguments, arguments->count - 1, number);
}

void arguments_run(const struct arguments *arguments, struct async *async, struct redis_call *call,
                   const struct redis_script *script, int64_t concert_id)
{
    struct async_keys keys;
    keys_of_concert(&keys, redis_link_key_prefix(async->redis), concert_id);
    call->node = 0;
    call->script = script;
    call->keys = keys.keys;
    call->keys_count = KEY_COUNT;
    call->arguments = arguments->texts;
    call->arguments_count = arguments->count;
    call->timeout_ms = 0;
    redis_run(async->redis, call);
}
