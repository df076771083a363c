/* A node that answers, but refuses what it is there for: its memory is full, a script of somebody
 * else's runs there for seconds, a right is gone. Its health is down then, though it is connected.
 *
 *   call refused, 3 times and for a second at least, none DONE ──► refuses ──► DONE: no longer
 *
 * The link's first script is what a node is judged by: others may be let through where that one is
 * not (letting a lock go needs no memory). Where nobody calls, a probe goes in the ping's place: a
 * script of our own with a write that never happens, which is refused for what writes are refused.
 *
 * Calls are made all the same: redis_link_node_is_up is not changed by it. Invariant: `refuses`
 * only while the node is up.
 */
#include <stdio.h>
#include <string.h>

#include "redis_internal.h"

#define REFUSES_CALLS 3
#define REFUSES_NS    (1000 * REDIS_NS_PER_MS)

/* Nobody has that key, and SET with XX makes none: nothing is written or kept. */
static const struct redis_script script_probe = {"probe",
                                                 "redis.call('SET', KEYS[1], '', 'XX') return 1"};
#define PROBE_KEY "probe"

static void show(struct redis_node *node)
{
    resv_metric_set(node->link->host, &redis_metrics, redis_metric_of(REDIS_METRIC_UP, node->index),
                    node->refusal.refuses ? 0 : 1);
    redis_health_say(node->link);
}

void redis_refusal_forget(struct redis_node *node)
{
    node->refusal = (struct redis_refusal){0};
}

void redis_refusal_note(struct redis_node *node, const char *error)
{
    struct redis_refusal *refusal = &node->refusal;
    if (error == NULL) {
        bool refused = refusal->refuses;
        refusal->refuses = false;
        refusal->calls = 0;
        if (refused)
            show(node);
        return;
    }
    if (refusal->calls == 0)
        refusal->since_ns = resv_now_ns(node->link->host);
    if (refusal->calls < REFUSES_CALLS)
        refusal->calls++;
    redis_error_explain(error, refusal->words, sizeof refusal->words);
}

void redis_refusal_tick(struct redis_node *node, uint64_t now_ns)
{
    struct redis_refusal *refusal = &node->refusal;
    if (refusal->refuses || refusal->calls < REFUSES_CALLS ||
        now_ns - refusal->since_ns < REFUSES_NS)
        return;
    refusal->refuses = true;
    show(node);
}

/* --- the probe -----------------------------------------------------------------------------------
 */

void redis_refusal_probe(struct redis_node *node)
{
    redis_put_load(redis_connection_output(node->connection), &script_probe);
    redis_pipeline_add(node, ENTRY_PROBE_LOAD, 0);
}

static void run_probe(struct redis_node *node, struct redis_text sha1)
{
    struct redis_buffer *output = redis_connection_output(node->connection);
    char key[REDIS_CHANNEL_SIZE_MAX];
    snprintf(key, sizeof key, "%s" PROBE_KEY, node->link->settings.key_prefix);
    redis_put_command(output, 4);
    redis_put_text(output, "EVALSHA");
    redis_put_word(output, sha1.bytes, sha1.size);
    redis_put_number(output, 1);
    redis_put_text(output, key);
    redis_pipeline_add(node, ENTRY_PROBE, 0);
}

void redis_refusal_answer(struct redis_node *node, enum redis_entry_kind kind,
                          const struct redis_reply *reply)
{
    struct redis_text sha1 = redis_reply_text(reply, 0);
    if (reply->kind == REDIS_KIND_ERROR)
        redis_refusal_note(node, reply->text.bytes);
    else if (kind == ENTRY_PROBE)
        redis_refusal_note(node, NULL);
    else if (sha1.bytes != NULL)
        run_probe(node, sha1);
}
