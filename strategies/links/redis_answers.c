/* Answers of a node: each to the command that is first in its pipeline. A script that the server
 * has forgotten (it was restarted, or somebody said SCRIPT FLUSH) is loaded and the call made
 * again; the caller sees nothing of it but that calls behind it may have been executed before it.
 */
#include <stdio.h>
#include <string.h>

#include "redis_internal.h"
#include "resvd/assert.h"

#define TRIES_MAX 3 /* of a call whose script is forgotten again and again */

/* A command's own answer takes it off; a call that is made again keeps its bytes, and its deadline.
 */
static void run_again(struct redis_node *node)
{
    struct redis_pipeline *pipeline = &node->pipeline;
    struct redis_entry *first = redis_pipeline_at(pipeline, 0);
    struct redis_entry kept = *first;
    size_t capacity = first->buffer.capacity;
    first->buffer.capacity = 0; /* not for the pop to free */
    redis_pipeline_pop(pipeline);
    first->buffer.capacity = capacity;
    if (!node->loading[kept.script]) {
        node->loading[kept.script] = true;
        redis_put_load(redis_connection_output(node->connection),
                       node->link->config.scripts[kept.script]);
        redis_pipeline_add(node, ENTRY_LOAD, kept.script);
    }
    struct redis_entry *again = redis_pipeline_push(pipeline);
    struct redis_buffer spare = again->buffer;
    *again = kept;
    again->tries++;
    if (again != first)
        first->buffer = spare;
    pipeline->calls++;
    redis_buffer_put(redis_connection_output(node->connection), again->buffer.bytes,
                     again->buffer.used);
    again->ends_at = redis_connection_put_bytes(node->connection);
}

static void answer_call(struct redis_node *node, const struct redis_reply *reply)
{
    struct redis_entry *entry = redis_pipeline_at(&node->pipeline, 0);
    struct redis_call *call = entry->call;
    const struct redis_script *script = node->link->config.scripts[entry->script];
    const struct redis_connection *connection = node->connection;
    bool failed = reply->kind == REDIS_KIND_ERROR;
    node->latency_ns = resv_now_ns(node->link->host) - entry->made_ns;
    resv_metric_observe(node->link->host, &redis_metrics,
                        redis_metric_of(REDIS_METRIC_SECONDS, node->index), node->latency_ns);
    bool forgotten = failed && redis_error_is_noscript(reply->text.bytes);
    if (forgotten && call != NULL && entry->tries < TRIES_MAX) {
        run_again(node);
        return;
    }
    redis_pipeline_pop(&node->pipeline);
    if (failed && !(forgotten && call == NULL))
        redis_error_say(node, script->name, reply->text.bytes);
    if (script == node->link->config.scripts[0] && !(forgotten && call == NULL))
        redis_refusal_note(node, failed ? reply->text.bytes : NULL);
    if (call != NULL)
        redis_call_finish(node, call, failed ? REDIS_REFUSED : REDIS_DONE, reply);
    if (failed && node->connection == connection && redis_error_is_readonly(reply->text.bytes))
        redis_node_lose(node, REDIS_EXIT_CONFIG, false, "it is a replica by now");
}

/* Of a script that is loaded again, while calls go on. */
static void answer_load(struct redis_node *node, size_t script, const struct redis_reply *reply)
{
    node->loading[script] = false;
    if (reply->kind == REDIS_KIND_ERROR)
        redis_error_say(node, "SCRIPT LOAD", reply->text.bytes);
}

/* Who may not PING may sell. */
static void answer_ping(struct redis_node *node, const struct redis_reply *reply)
{
    if (reply->kind != REDIS_KIND_ERROR)
        return;
    redis_error_say(node, "PING", reply->text.bytes);
    if (!redis_error_is_noperm(reply->text.bytes))
        redis_refusal_note(node, reply->text.bytes);
}

void redis_answer(struct redis_node *node, const struct redis_reply *reply)
{
    struct redis_pipeline *pipeline = &node->pipeline;
    if (pipeline->count == 0) {
        char why[REDIS_WORDS_SIZE] = "it answers what was not asked";
        if (reply->kind == REDIS_KIND_ERROR)
            snprintf(why, sizeof why, "it says: %.200s", reply->text.bytes);
        redis_node_lose(node, REDIS_EXIT_UNAVAILABLE, false, why);
        return;
    }
    struct redis_entry *entry = redis_pipeline_at(pipeline, 0);
    enum redis_entry_kind kind = entry->kind;
    size_t script = entry->script;
    uint64_t took_ns = resv_now_ns(node->link->host) - entry->made_ns;
    if (kind == ENTRY_CALL) {
        answer_call(node, reply);
        return;
    }
    redis_pipeline_pop(pipeline);
    if (kind == ENTRY_PING) {
        node->latency_ns = took_ns;
        answer_ping(node, reply);
    } else if (kind == ENTRY_PROBE_LOAD || kind == ENTRY_PROBE) {
        node->latency_ns = took_ns;
        redis_refusal_answer(node, kind, reply);
    } else if (node->state == NODE_UP) {
        RESV_ASSERT(kind == ENTRY_LOAD);
        answer_load(node, script, reply);
    } else {
        node->latency_ns = took_ns;
        redis_login_answer(node, kind, script, reply);
    }
}
