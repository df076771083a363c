/* Calls under way on a node, in the order in which they will be answered; their deadlines.
 *
 *   redis_run ──► [pipeline: a ring] ──► answer ──► done
 *       │              │ deadline: done(LOST), the entry stays until its answer is swallowed
 *       └── node down, pipeline full ──► [down list] ──► flush point: done(DOWN)
 *
 * Invariant: an entry for each answer that the server still owes, in order. A call that was told
 * that it is lost leaves its entry without a call; so one slow answer takes nothing along.
 * Entries and the buffers in them are used again: nothing is allocated once they have grown.
 */
#include <stdlib.h>
#include <string.h>

#include "redis_internal.h"
#include "resvd/assert.h"

#define COMMAND_BYTES_MAX  ((size_t)1 << 20)
#define COMMAND_BYTES_KEPT ((size_t)16 << 10)
/* Entries that are no calls: a login's, a PING. */
#define ENTRIES_BESIDES 8

/* --- the ring ------------------------------------------------------------------------------------
 */

static void on_deadline(struct resv_timer *timer);

bool redis_pipeline_create(struct redis_node *node, size_t calls_max)
{
    struct redis_pipeline *pipeline = &node->pipeline;
    pipeline->capacity = calls_max + node->link->scripts_count + ENTRIES_BESIDES;
    pipeline->entries = calloc(pipeline->capacity, sizeof pipeline->entries[0]);
    if (pipeline->entries == NULL)
        return false;
    for (size_t i = 0; i < pipeline->capacity; i++)
        pipeline->entries[i].buffer.maximum = COMMAND_BYTES_MAX;
    pipeline->deadline = (struct resv_timer){.fired = on_deadline, .data = node};
    return true;
}

void redis_pipeline_free(struct redis_pipeline *pipeline)
{
    for (size_t i = 0; i < pipeline->capacity && pipeline->entries != NULL; i++)
        redis_buffer_free(&pipeline->entries[i].buffer);
    free(pipeline->entries);
    pipeline->entries = NULL;
}

struct redis_entry *redis_pipeline_at(const struct redis_pipeline *pipeline, size_t position)
{
    RESV_ASSERT(position < pipeline->count);
    return &pipeline->entries[(pipeline->first + position) % pipeline->capacity];
}

struct redis_entry *redis_pipeline_push(struct redis_pipeline *pipeline)
{
    RESV_ASSERT(pipeline->count < pipeline->capacity);
    pipeline->count++;
    struct redis_entry *entry = redis_pipeline_at(pipeline, pipeline->count - 1);
    struct redis_buffer buffer = entry->buffer;
    buffer.used = 0;
    buffer.failed = false;
    *entry = (struct redis_entry){.buffer = buffer};
    return entry;
}

static void forget(struct redis_pipeline *pipeline, struct redis_entry *entry)
{
    if (entry->kind == ENTRY_CALL)
        pipeline->calls--;
    entry->call = NULL;
    if (entry->buffer.capacity > COMMAND_BYTES_KEPT)
        redis_buffer_free(&entry->buffer);
    pipeline->count--;
    if (pipeline->count == 0)
        pipeline->longest_ms = 0;
}

void redis_pipeline_pop(struct redis_pipeline *pipeline)
{
    struct redis_entry *entry = redis_pipeline_at(pipeline, 0);
    pipeline->first = (pipeline->first + 1) % pipeline->capacity;
    forget(pipeline, entry);
}

void redis_pipeline_add(struct redis_node *node, enum redis_entry_kind kind, size_t script)
{
    struct redis_entry *entry = redis_pipeline_push(&node->pipeline);
    entry->kind = kind;
    entry->script = script;
    entry->made_ns = resv_now_ns(node->link->host);
    entry->ends_at = redis_connection_put_bytes(node->connection);
    uint64_t timeout_ms = node->link->settings.timeout_ms;
    if (node->pipeline.longest_ms < timeout_ms)
        node->pipeline.longest_ms = timeout_ms;
}

void redis_pipeline_show(struct redis_node *node)
{
    resv_metric_set(node->link->host, &redis_metrics,
                    redis_metric_of(REDIS_METRIC_UNDER_WAY, node->index),
                    (int64_t)node->pipeline.calls);
}

/* --- ends of calls -------------------------------------------------------------------------------
 */

void redis_call_finish(struct redis_node *node, struct redis_call *call, enum redis_result result,
                       const struct redis_reply *reply)
{
    struct resv_host *host = node->link->host;
    if (result == REDIS_LOST)
        resv_metric_add(host, &redis_metrics, redis_metric_of(REDIS_METRIC_LOST, node->index), 1);
    else if (result == REDIS_REFUSED)
        resv_metric_add(host, &redis_metrics, redis_metric_of(REDIS_METRIC_REFUSED, node->index),
                        1);
    RESV_ASSERT(call->pending);
    call->pending = false;
    call->result = result;
    call->reply = reply;
    call->done(call); /* may free it, or make another call with it */
}

void redis_pipeline_give_up(struct redis_node *node, uint64_t written_bytes)
{
    struct redis_pipeline *pipeline = &node->pipeline;
    resv_timer_stop(node->link->host, &pipeline->deadline);
    memset(node->loading, 0, sizeof node->loading);
    while (pipeline->count > 0) {
        struct redis_call *call = redis_pipeline_at(pipeline, 0)->call;
        /* A command of which a part has left is not executed: the server waits for the rest. */
        bool sent = redis_pipeline_at(pipeline, 0)->ends_at <= written_bytes;
        redis_pipeline_pop(pipeline);
        if (call != NULL)
            redis_call_finish(node, call, sent ? REDIS_LOST : REDIS_DOWN, NULL);
    }
}

static void arm(struct redis_node *node, uint64_t due_ns)
{
    struct resv_timer *timer = &node->pipeline.deadline;
    if (timer->heap_index != 0 && timer->due_ns <= due_ns)
        return;
    uint64_t now_ns = resv_now_ns(node->link->host);
    uint64_t left_ns = due_ns > now_ns ? due_ns - now_ns : 0;
    resv_timer_start(node->link->host, timer, (left_ns + REDIS_NS_PER_MS - 1) / REDIS_NS_PER_MS);
}

/* A call's time begins at the flush point: whatever else the loop did before is not its server's. A
 * call that is made again keeps its deadline. */
void redis_pipeline_flushes(struct redis_node *node)
{
    const struct redis_pipeline *pipeline = &node->pipeline;
    const uint64_t now_ns = resv_now_ns(node->link->host);
    for (size_t i = pipeline->count; i-- > 0;) {
        const struct redis_entry *entry = redis_pipeline_at(pipeline, i);
        if (entry->ends_at <= node->connection->flushed_bytes)
            break;
        if (entry->call == NULL)
            continue;
        if (entry->tries == 0)
            entry->call->due_ns += now_ns - entry->made_ns;
        arm(node, entry->call->due_ns);
    }
}

/* When the first of those that have left is due; UINT64_MAX for none. */
static uint64_t first_due_ns(const struct redis_node *node)
{
    uint64_t first_ns = UINT64_MAX;
    for (size_t i = 0; i < node->pipeline.count; i++) {
        const struct redis_entry *entry = redis_pipeline_at(&node->pipeline, i);
        if (entry->ends_at > node->connection->flushed_bytes)
            break;
        if (entry->call != NULL && entry->call->due_ns < first_ns)
            first_ns = entry->call->due_ns;
    }
    return first_ns;
}

/* Loses those that are due by then, of what was flushed so far, and returns when the next one is;
 * UINT64_MAX for none. What done does may lengthen the ring or, by a close, empty it. */
static uint64_t lose_until(struct redis_node *node, uint64_t due_ns, uint64_t flushed_bytes)
{
    struct redis_pipeline *pipeline = &node->pipeline;
    uint64_t next_ns = UINT64_MAX;
    for (size_t i = 0; i < pipeline->count; i++) {
        struct redis_entry *entry = redis_pipeline_at(pipeline, i);
        struct redis_call *call = entry->call;
        if (call == NULL || entry->ends_at > flushed_bytes)
            continue;
        if (call->due_ns > due_ns) {
            next_ns = call->due_ns < next_ns ? call->due_ns : next_ns;
            continue;
        }
        entry->call = NULL;
        redis_call_finish(node, call, REDIS_LOST, NULL);
    }
    return next_ns;
}

static void on_deadline(struct resv_timer *timer)
{
    struct redis_node *node = timer->data;
    const uint64_t now_ns = resv_now_ns(node->link->host);
    const uint64_t flushed_bytes = node->connection->flushed_bytes;
    uint64_t next_ns = first_due_ns(node);
    if (next_ns <= now_ns) {
        redis_connection_look(node->connection);
        next_ns = lose_until(node, now_ns, flushed_bytes);
    }
    if (next_ns != UINT64_MAX && node->state == NODE_UP)
        arm(node, next_ns);
}

void redis_pipeline_interrupt(struct redis_node *node)
{
    lose_until(node, UINT64_MAX, UINT64_MAX);
}

/* --- calls that are not sent ---------------------------------------------------------------------
 */

static void tell_down_later(struct redis_link *link, struct redis_call *call)
{
    call->next = NULL;
    if (link->down_last != NULL)
        link->down_last->next = call;
    else
        link->down_first = call;
    link->down_last = call;
    redis_link_schedule(link);
}

/* Those that are there now: what they make anew waits for the next time. */
void redis_calls_tell_down(struct redis_link *link)
{
    struct redis_call *call = link->down_first;
    link->down_first = link->down_last = NULL;
    while (call != NULL) {
        struct redis_call *next = call->next;
        redis_call_finish(&link->nodes[call->node], call, REDIS_DOWN, NULL);
        call = next;
    }
}

/* --- making a call -------------------------------------------------------------------------------
 */

static size_t script_index(const struct redis_link *link, const struct redis_script *script)
{
    size_t index = 0;
    while (link->config.scripts[index] != script) {
        RESV_ASSERT(link->config.scripts[index] != NULL);
        index++;
    }
    return index;
}

static void put_call(struct redis_buffer *buffer, const struct redis_call *call, const char *sha1)
{
    redis_put_command(buffer, 3 + call->keys_count + call->arguments_count);
    redis_put_word(buffer, "EVALSHA", 7);
    redis_put_word(buffer, sha1, REDIS_SHA1_SIZE - 1);
    redis_put_number(buffer, call->keys_count);
    for (size_t i = 0; i < call->keys_count; i++)
        redis_put_word(buffer, call->keys[i].bytes, call->keys[i].size);
    for (size_t i = 0; i < call->arguments_count; i++)
        redis_put_word(buffer, call->arguments[i].bytes, call->arguments[i].size);
}

/* False when it does not fit. */
static bool send_call(struct redis_node *node, struct redis_call *call)
{
    struct redis_pipeline *pipeline = &node->pipeline;
    if (node->state != NODE_UP || pipeline->calls == node->link->config.calls_max)
        return false;
    struct redis_entry *entry = redis_pipeline_push(pipeline);
    entry->script = script_index(node->link, call->script);
    put_call(&entry->buffer, call, node->link->sha1[entry->script]);
    if (entry->buffer.failed || !redis_buffer_put(redis_connection_output(node->connection),
                                                  entry->buffer.bytes, entry->buffer.used)) {
        entry->kind = ENTRY_PING; /* was not counted */
        forget(pipeline, entry);
        return false;
    }
    entry->kind = ENTRY_CALL;
    entry->call = call;
    entry->made_ns = resv_now_ns(node->link->host);
    entry->ends_at = redis_connection_put_bytes(node->connection);
    pipeline->calls++;
    return true;
}

void redis_run(struct redis_link *link, struct redis_call *call)
{
    RESV_ASSERT(!call->pending && call->node < link->nodes_count);
    struct redis_node *node = &link->nodes[call->node];
    call->pending = true;
    call->reply = NULL;
    if (!send_call(node, call)) {
        tell_down_later(link, call);
        return;
    }
    uint64_t timeout_ms = call->timeout_ms != 0 ? call->timeout_ms : link->settings.timeout_ms;
    call->due_ns = resv_now_ns(link->host) + timeout_ms * REDIS_NS_PER_MS;
    if (node->pipeline.longest_ms < timeout_ms)
        node->pipeline.longest_ms = timeout_ms;
    arm(node, call->due_ns);
}
