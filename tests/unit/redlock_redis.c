/* Redis nodes of the test's own. */
#include "redlock_redis.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct redis_reply {
    int64_t integer;
};

struct redis_link the_redis;

const struct resv_option_table redis_options;
const struct resv_metric_table redis_metrics;

/* --- the link -----------------------------------------------------------------------------------
 */

struct redis_link *redis_link_create(struct resv_host *host, const struct redis_link_config *config,
                                     const struct redis_link_events *events)
{
    assert_ptr_equal(the_redis.host, host);
    assert_int_equal(config->use, REDIS_LOCKS);
    assert_true(config->subscribes);
    the_redis.config = *config;
    the_redis.events = *events;
    return &the_redis;
}

void redis_link_start(struct redis_link *link)
{
    if (link->fails_to_open)
        link->events.open_failed(link->events.data, 69, "no majority");
    else
        link->events.opened(link->events.data);
}

size_t redis_link_node_count(const struct redis_link *link)
{
    return link->nodes_count;
}

bool redis_link_node_is_up(const struct redis_link *link, size_t node)
{
    assert_true(node < link->nodes_count);
    return !link->nodes[node].down;
}

const char *redis_link_key_prefix(const struct redis_link *link)
{
    (void)link;
    return "test:";
}

void redis_link_close(struct redis_link *link)
{
    assert_false(link->closed);
    assert_null(link->subscription);
    for (size_t i = 0; i < link->nodes_count; i++)
        assert_null(link->nodes[i].first);
    link->closed = true;
    link->events.closed(link->events.data);
}

/* --- calls --------------------------------------------------------------------------------------
 */

/* Arguments are copied by the link: here those that count are kept in what is ours of the call. */
struct copied {
    uint8_t value[20];
    uint64_t lease_ms;
};
static struct copied copies[256];
static size_t copies_used;

static struct copied *copy_of(const struct redis_call *call)
{
    return &copies[call->due_ns];
}

void redis_run(struct redis_link *link, struct redis_call *call)
{
    assert_true(call->node < link->nodes_count);
    assert_int_equal(call->keys_count, 1);
    assert_int_equal(call->arguments_count, 2);
    assert_int_equal(call->arguments[0].size, 20);
    struct fake_node *node = &link->nodes[call->node];
    for (const struct redis_call *at = node->first; at != NULL; at = at->next)
        assert_ptr_not_equal(at, call);
    call->due_ns = copies_used++ % (sizeof copies / sizeof copies[0]);
    struct copied *copy = copy_of(call);
    memcpy(copy->value, call->arguments[0].bytes, 20);
    copy->lease_ms = 0;
    if (call->script->name[0] == 'r') {
        assert_memory_equal(call->arguments[1].bytes, "test:{c:1}:free", 8);
    } else {
        assert_true(call->arguments[1].size < 16);
        char text[16] = {0};
        memcpy(text, call->arguments[1].bytes, call->arguments[1].size);
        copy->lease_ms = strtoull(text, NULL, 10);
    }
    memset(node->acquired_key, 0, sizeof node->acquired_key);
    memcpy(node->acquired_key, call->keys[0].bytes, call->keys[0].size);
    call->keys = NULL; /* are the caller's again */
    call->arguments = NULL;
    call->pending = true;
    call->next = NULL;
    if (node->first == NULL)
        node->first = call;
    else
        node->last->next = call;
    node->last = call;
}

static bool is_held(const struct fake_node *node)
{
    return node->until_ns > the_redis.host->now_ns;
}

static int64_t execute(struct fake_node *node, const struct redis_call *call)
{
    const struct copied *copy = copy_of(call);
    const uint64_t now_ns = the_redis.host->now_ns;
    const bool ours = is_held(node) && memcmp(node->value, copy->value, 20) == 0;
    static const char *const known[] = {"acquire", "extend", "release"};
    assert_true(strcmp(call->script->name, known[0]) == 0 ||
                strcmp(call->script->name, known[1]) == 0 ||
                strcmp(call->script->name, known[2]) == 0);
    switch (call->script->name[0]) {
    case 'a':
        if (is_held(node))
            return (int64_t)((node->until_ns - now_ns + FAKE_NS_PER_MS - 1) / FAKE_NS_PER_MS);
        memcpy(node->value, copy->value, 20);
        node->until_ns = now_ns + copy->lease_ms * FAKE_NS_PER_MS;
        return 0;
    case 'e':
        if (ours)
            node->until_ns = now_ns + copy->lease_ms * FAKE_NS_PER_MS;
        return ours;
    default: {
        if (!ours)
            return -1;
        node->until_ns = 0;
        node->published++;
        const size_t index = (size_t)(node - the_redis.nodes);
        const struct redis_subscription *listener = the_redis.subscription;
        const bool listens = listener != NULL && (listener->listens & (1U << index)) != 0;
        return (int64_t)(node->listeners + listens);
    }
    }
}

static struct redis_call *take_call(size_t index)
{
    struct fake_node *node = &the_redis.nodes[index];
    struct redis_call *call = node->first;
    assert_non_null(call);
    node->first = call->next;
    call->pending = false;
    return call;
}

static void tell(struct redis_call *call, enum redis_result result, const struct redis_reply *reply)
{
    call->result = result;
    call->reply = reply;
    call->done(call);
}

void node_executes(size_t index)
{
    struct redis_call *call = take_call(index);
    struct fake_node *node = &the_redis.nodes[index];
    const unsigned before = node->published;
    const struct redis_reply reply = {.integer = execute(node, call)};
    struct redis_subscription *listener = the_redis.subscription;
    const bool hears = listener != NULL && (listener->listens & (1U << index)) != 0;
    tell(call, REDIS_DONE, &reply);
    if (node->published > before && hears && the_redis.subscription == listener)
        listener->heard(listener, index);
}

void node_loses(size_t index, bool executed)
{
    struct redis_call *call = take_call(index);
    if (executed)
        execute(&the_redis.nodes[index], call);
    tell(call, REDIS_LOST, NULL);
}

void node_refuses(size_t index)
{
    static const struct redis_reply none;
    tell(take_call(index), REDIS_REFUSED, &none);
}

int64_t redis_reply_integer(const struct redis_reply *reply, size_t index)
{
    assert_int_equal(index, 0);
    return reply->integer;
}

/* --- channels -----------------------------------------------------------------------------------
 */

void redis_subscribe(struct redis_link *link, struct redis_subscription *subscription)
{
    assert_null(link->subscription);
    assert_string_equal(subscription->channel, "test:{c:1}:free");
    subscription->listens = 0;
    link->subscription = subscription;
}

void redis_unsubscribe(struct redis_link *link, struct redis_subscription *subscription)
{
    assert_ptr_equal(link->subscription, subscription);
    subscription->listens = 0;
    link->subscription = NULL;
}

void node_listens(size_t node)
{
    struct redis_subscription *subscription = the_redis.subscription;
    assert_non_null(subscription);
    subscription->listens |= 1U << node;
    subscription->listening(subscription, node);
    fake_host_flush(the_redis.host);
}

void node_publishes(size_t node)
{
    struct redis_subscription *subscription = the_redis.subscription;
    assert_non_null(subscription);
    assert_true(subscription->listens & (1U << node));
    subscription->heard(subscription, node);
    fake_host_flush(the_redis.host);
}

/* --- what the test does -------------------------------------------------------------------------
 */

void redis_reset(struct resv_host *host, size_t nodes)
{
    the_redis = (struct redis_link){.host = host, .nodes_count = nodes};
}

const char *calls_of(size_t node)
{
    static char text[64];
    size_t count = 0;
    for (const struct redis_call *call = the_redis.nodes[node].first; call != NULL;
         call = call->next)
        text[count++] = call->script->name[0];
    text[count] = '\0';
    return text;
}

void redis_serves(void)
{
    bool found = true;
    for (unsigned turns = 0; found && turns < 1000; turns++) {
        found = false;
        for (size_t i = 0; i < the_redis.nodes_count; i++) {
            if (the_redis.nodes[i].first == NULL)
                continue;
            node_executes(i);
            found = true;
        }
        fake_host_flush(the_redis.host);
    }
    assert_false(found);
}

void node_is_up(size_t node, bool up)
{
    the_redis.nodes[node].down = !up;
    if (the_redis.events.node_changed != NULL)
        the_redis.events.node_changed(the_redis.events.data, node);
    fake_host_flush(the_redis.host);
}

void node_is_held(size_t node, uint64_t ms)
{
    memset(the_redis.nodes[node].value, 0xee, 20);
    the_redis.nodes[node].until_ns = the_redis.host->now_ns + ms * FAKE_NS_PER_MS;
}

void node_is_free(size_t node)
{
    the_redis.nodes[node].until_ns = 0;
}

bool node_has_lock(size_t node)
{
    return is_held(&the_redis.nodes[node]);
}
