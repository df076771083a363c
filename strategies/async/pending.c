/* Reservations of which only the id is known: which concert they are pending in, and as what.
 *
 *   pending_find --> pending_concerts: its concert --> the concert's pending: its event
 *
 * Invariant: "not pending" is said only when Redis was asked and answered, and has lost nothing
 * that may not have its row yet; and as an id is in both hashes until its row is there, a look at
 * the rows behind that answer finds what has left them. */
#include <stdlib.h>
#include <string.h>

#include "async.h"
#include "resvd/assert.h"
#include "resvd/crash_point.h"
#include "resvd/fault.h"
#include "scripts.h"

enum { PROBES_MAX = 256 };

struct probe {
    struct redis_call call;
    struct async *async;
    struct resv_op *op;
    bool mark;
    struct probe *next_free;
};

struct pending {
    struct async_list waiting; /* for a probe */
    struct probe *probes;
    struct probe *free;
    struct async_keys keys;
};

static const char mark_text[] = {KEYS_MARK};

static void start(struct async *async, struct resv_op *op);

/* --- answers ------------------------------------------------------------------------------------
 */

static void end(struct probe *probe, enum pending_answer answer, struct redis_text text)
{
    struct async *async = probe->async;
    struct pending *pending = async->pending;
    struct resv_op *op = probe->op;
    probe->op = NULL;
    probe->next_free = pending->free;
    pending->free = probe;
    front_pending(async, op, answer, text);
    if (pending->free != NULL && pending->waiting.count > 0)
        start(async, async_list_take(&pending->waiting));
}

static enum pending_answer answer_of(const struct redis_call *call)
{
    if (call->result != REDIS_DONE)
        return PENDING_UNASKED;
    if (redis_reply_text(call->reply, 0).bytes != NULL)
        return PENDING_IS;
    return redis_reply_integer(call->reply, 0) == 1 ? PENDING_IS_NOT : PENDING_FORGOTTEN;
}

static void run(struct probe *probe, enum async_key key, struct redis_text mark,
                void (*done)(struct redis_call *call))
{
    const struct redis_text *all = probe->async->pending->keys.keys;
    const char *run_id = redis_link_run_id(probe->async->redis, 0);
    const struct redis_text keys[] = {all[key], all[KEY_COMPLETE]};
    const struct redis_text arguments[] = {
        {.bytes = (const char *)probe->op->id.bytes, .size = RESV_ID_SIZE},
        mark,
        {.bytes = run_id, .size = strlen(run_id)}};
    probe->call = (struct redis_call){
        .script = &async_probe,
        .keys = keys,
        .keys_count = sizeof keys / sizeof keys[0],
        .arguments = arguments,
        .arguments_count = sizeof arguments / sizeof arguments[0],
        .data = probe,
        .done = done,
    };
    redis_run(probe->async->redis, &probe->call);
}

static void event_came(struct redis_call *call)
{
    const enum pending_answer answer = answer_of(call);
    struct redis_text text = {0};
    RESV_CRASH_POINT(pending_found);
    if (answer == PENDING_IS)
        text = redis_reply_text(call->reply, 0);
    end(call->data, answer, text);
}

/* 0 for what is no number of a concert. */
static int64_t concert_in(struct redis_text text)
{
    char digits[20];
    if (text.bytes == NULL || text.size == 0 || text.size >= sizeof digits)
        return 0;
    memcpy(digits, text.bytes, text.size);
    digits[text.size] = '\0';
    return strtoll(digits, NULL, 10);
}

static void concert_came(struct redis_call *call)
{
    struct probe *probe = call->data;
    struct pending *pending = probe->async->pending;
    struct redis_text mark = {.bytes = mark_text, .size = probe->mark ? sizeof mark_text : 0};
    const enum pending_answer answer = answer_of(call);
    if (answer != PENDING_IS) {
        end(probe, answer, (struct redis_text){0});
        return;
    }
    const int64_t concert_id = concert_in(redis_reply_text(call->reply, 0));
    if (concert_id <= 0) { /* written by something else than this */
        end(probe, PENDING_FORGOTTEN, (struct redis_text){0});
        return;
    }
    keys_of_concert(&pending->keys, redis_link_key_prefix(probe->async->redis), concert_id);
    run(probe, KEY_PENDING, mark, event_came);
}

/* --- questions ----------------------------------------------------------------------------------
 */

static void start(struct async *async, struct resv_op *op)
{
    struct pending *pending = async->pending;
    struct probe *probe = pending->free;
    pending->free = probe->next_free;
    probe->op = op;
    probe->mark = op->kind == RESV_OP_RELEASE && !RESV_FAULT(release_does_not_mark);
    keys_of_concert(&pending->keys, redis_link_key_prefix(async->redis), 0);
    run(probe, KEY_CONCERTS, (struct redis_text){.bytes = mark_text, .size = 0}, concert_came);
}

void pending_find(struct async *async, struct resv_op *op)
{
    if (async->pending->free == NULL)
        async_list_append(&async->pending->waiting, op);
    else
        start(async, op);
}

/* Those that have a probe end with it. */
void pending_refuse_all(struct async *async)
{
    for (struct resv_op *op; (op = async_list_take(&async->pending->waiting)) != NULL;)
        front_pending(async, op, PENDING_UNASKED, (struct redis_text){0});
}

/* --- life ---------------------------------------------------------------------------------------
 */

bool pending_open(struct async *async)
{
    struct pending *pending = async->pending = calloc(1, sizeof *pending);
    if (pending == NULL)
        return false;
    pending->probes = calloc(PROBES_MAX, sizeof *pending->probes);
    if (pending->probes == NULL)
        return false;
    for (size_t i = PROBES_MAX; i-- > 0;) {
        pending->probes[i].async = async;
        pending->probes[i].next_free = pending->free;
        pending->free = &pending->probes[i];
    }
    return true;
}

void pending_close(struct async *async)
{
    if (async->pending == NULL)
        return;
    free(async->pending->probes);
    free(async->pending);
    async->pending = NULL;
}
