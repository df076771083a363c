/* A node's second connection, which hears messages. Its loss does not make the node down: who waits
 * for a message has a timer, too.
 *
 * The server answers every command on it in order, with messages in between. So commands are
 * numbered, and a subscription knows the number of its own SUBSCRIBE: the confirmation of an
 * earlier one to the same channel, which was given up meanwhile, is not taken for it. One that is
 * refused (a right is missing, a script blocks the server) is asked for again every
 * ping_interval_ms.
 *
 * Invariant: `answered` <= `asked`; a subscription's bit in `listens` is set only while the
 * connection lives on which its own SUBSCRIBE was confirmed; `hears` is set by the answer to a PING
 * only, behind which no subscription was refused.
 */
#include <stdio.h>
#include <string.h>

#include "redis_internal.h"
#include "resvd/assert.h"

#define CLIENT_NAME "resvd-listener"
/* What may wait to be sent: for a server that takes nothing; besides what each subscription needs.
 */
#define OUTPUT_BYTES_MAX    ((size_t)4 << 20)
#define SUBSCRIBE_BYTES_MAX (REDIS_CHANNEL_SIZE_MAX + 64)
#define SILENCE_NS_LEAST    (1000 * REDIS_NS_PER_MS)

static void connect_listener(struct redis_node *node);

static void set_hears(struct redis_node *node, bool hears)
{
    struct redis_listener *listener = &node->listener;
    listener->hears = hears;
    resv_metric_set(node->link->host, &redis_metrics,
                    redis_metric_of(REDIS_METRIC_LISTENER_UP, node->index), hears);
    if (!hears || !listener->said_deaf)
        return;
    listener->said_deaf = false;
    listener->said[0] = '\0';
    resv_log(node->link->host, RESV_LOG_INFO, "Redis messages are heard again", "node",
             node->address->text, NULL);
}

/* --- lost ----------------------------------------------------------------------------------------
 */

static void forget_connection(struct redis_node *node)
{
    struct redis_listener *listener = &node->listener;
    struct redis_connection *connection = listener->connection;
    listener->connection = NULL;
    listener->logged_in = listener->refused = false;
    if (listener->hears)
        set_hears(node, false);
    for (struct redis_subscription *at = node->link->channels.first; at != NULL; at = at->next)
        at->listens &= ~(1U << node->index);
    if (connection != NULL && !connection->closed)
        redis_connection_close(connection);
}

static void lose(struct redis_node *node, const char *why)
{
    struct redis_listener *listener = &node->listener;
    char text[REDIS_WORDS_SIZE];
    snprintf(text, sizeof text, "%s", why);
    forget_connection(node);
    listener->failures++;
    resv_timer_start(node->link->host, &listener->retry,
                     redis_backoff_ms(node->link, listener->failures));
    if (node->state != NODE_UP || strcmp(text, listener->said) == 0)
        return; /* the node's own words say it */
    memcpy(listener->said, text, sizeof text);
    listener->said_deaf = true;
    resv_log(node->link->host, RESV_LOG_WARNING, "Redis messages are not heard", "node",
             node->address->text, "reason", text, "next", "tries again; timers serve until then",
             NULL);
}

static void on_retry(struct resv_timer *timer)
{
    struct redis_node *node = timer->data;
    if (node->state == NODE_UP) /* else it starts again with the node */
        connect_listener(node);
}

/* --- commands ------------------------------------------------------------------------------------
 */

static void ask(struct redis_node *node, const char *command, const char *channel)
{
    struct redis_listener *listener = &node->listener;
    struct redis_buffer *output = redis_connection_output(listener->connection);
    size_t limit = OUTPUT_BYTES_MAX + node->link->channels.count * SUBSCRIBE_BYTES_MAX;
    if (output->used - listener->connection->output_sent > limit)
        output->failed = true; /* the flush will lose it */
    redis_put_command(output, channel != NULL ? 2 : 1);
    redis_put_text(output, command);
    if (channel != NULL)
        redis_put_text(output, channel);
    if (listener->asked++ == listener->answered)
        listener->asked_ns = resv_now_ns(node->link->host);
}

static void ask_ping(struct redis_node *node)
{
    ask(node, "PING", NULL);
    node->listener.ping = node->listener.asked;
}

void redis_listener_subscribe(struct redis_node *node, struct redis_subscription *subscription)
{
    if (!node->listener.logged_in)
        return;
    ask(node, "SUBSCRIBE", subscription->channel);
    subscription->asked[node->index] = node->listener.asked;
}

void redis_listener_unsubscribe(struct redis_node *node,
                                const struct redis_subscription *subscription)
{
    if (node->listener.logged_in)
        ask(node, "UNSUBSCRIBE", subscription->channel);
}

/* --- answers -------------------------------------------------------------------------------------
 */

static void on_login_answer(struct redis_node *node, const struct redis_reply *reply)
{
    struct redis_listener *listener = &node->listener;
    if (reply->kind == REDIS_KIND_ERROR && strncmp(reply->text.bytes, "NOPERM", 6) != 0) {
        char why[REDIS_WORDS_SIZE];
        snprintf(why, sizeof why, "the login failed: %.200s", reply->text.bytes);
        lose(node, why);
        return;
    }
    if (--listener->login_left > 0)
        return;
    redis_connection_settled(listener->connection);
    listener->logged_in = true;
    listener->asked = listener->answered = listener->ping = 0;
    struct redis_subscription *subscription = node->link->channels.first;
    for (; subscription != NULL; subscription = subscription->next)
        redis_listener_subscribe(node, subscription);
    ask_ping(node); /* so that something is answered in any case */
}

static struct redis_subscription *subscription_of(struct redis_node *node,
                                                  const struct redis_reply *reply)
{
    struct redis_text channel = redis_reply_text(reply, 1);
    return channel.bytes == NULL ? NULL : redis_channels_find(&node->link->channels, channel);
}

static void on_message(struct redis_node *node, const struct redis_reply *reply)
{
    struct redis_subscription *subscription = subscription_of(node, reply);
    if (subscription != NULL && (subscription->listens & 1U << node->index) != 0)
        subscription->heard(subscription, node->index);
}

static void on_refusal(struct redis_node *node, const char *text)
{
    struct redis_listener *listener = &node->listener;
    struct resv_host *host = node->link->host;
    redis_error_say(node, "SUBSCRIBE", text);
    resv_metric_add(host, &redis_metrics, redis_metric_of(REDIS_METRIC_REFUSED, node->index), 1);
    listener->refused = listener->said_deaf = true;
    listener->refused_ns = resv_now_ns(host);
    if (listener->hears)
        set_hears(node, false);
}

/* Whatever it is answered by: all that was asked before has been answered. */
static void on_pong(struct redis_node *node, const struct redis_reply *reply)
{
    if (reply->kind == REDIS_KIND_ERROR)
        redis_error_say(node, "PING", reply->text.bytes);
    if (!node->listener.refused && !node->listener.hears)
        set_hears(node, true);
}

static void on_answer(struct redis_node *node, const struct redis_reply *reply)
{
    struct redis_listener *listener = &node->listener;
    if (listener->answered == listener->asked) {
        lose(node, "it answers what was not asked");
        return;
    }
    listener->answered++;
    listener->asked_ns = resv_now_ns(node->link->host);
    listener->failures = 0; /* it works again */
    if (listener->answered == listener->ping) {
        on_pong(node, reply);
        return;
    }
    if (reply->kind == REDIS_KIND_ERROR) {
        on_refusal(node, reply->text.bytes);
        return;
    }
    if (!redis_text_is(redis_reply_text(reply, 0), "subscribe"))
        return;
    struct redis_subscription *subscription = subscription_of(node, reply);
    if (subscription == NULL || subscription->asked[node->index] != listener->answered)
        return;
    subscription->listens |= 1U << node->index;
    subscription->listening(subscription, node->index);
}

/* --- the connection's events ---------------------------------------------------------------------
 */

static void on_connected(void *data)
{
    struct redis_node *node = data;
    struct redis_listener *listener = &node->listener;
    listener->login_left =
        redis_login_put(node->link, redis_connection_output(listener->connection), CLIENT_NAME);
}

static void on_replied(void *data, const struct redis_reply *reply)
{
    struct redis_node *node = data;
    if (!node->listener.logged_in)
        on_login_answer(node, reply);
    else if (reply->kind == REDIS_KIND_LIST && redis_text_is(redis_reply_text(reply, 0), "message"))
        on_message(node, reply);
    else
        on_answer(node, reply);
}

static void on_lost(void *data, int exit_code, const char *why)
{
    (void)exit_code;
    lose(data, why);
}

static void connect_listener(struct redis_node *node)
{
    struct redis_listener *listener = &node->listener;
    const struct redis_connection_events events = {
        .data = node, .connected = on_connected, .replied = on_replied, .lost = on_lost};
    RESV_ASSERT(listener->connection == NULL);
    if (listener->was_there)
        resv_metric_add(node->link->host, &redis_metrics,
                        redis_metric_of(REDIS_METRIC_LISTENER_RECONNECTS, node->index), 1);
    listener->was_there = true;
    listener->connection = redis_connection_open(node->link, node->address, &events);
    if (listener->connection == NULL)
        lose(node, "out of memory");
}

/* --- life ----------------------------------------------------------------------------------------
 */

/* The node is up: another server process than before is listened to anew. */
void redis_listener_start(struct redis_node *node)
{
    struct redis_listener *listener = &node->listener;
    if (!node->link->config.subscribes)
        return;
    listener->retry.fired = on_retry;
    listener->retry.data = node;
    resv_timer_stop(node->link->host, &listener->retry);
    if (listener->connection != NULL && strcmp(listener->run_id, node->run_id) == 0)
        return;
    memcpy(listener->run_id, node->run_id, sizeof listener->run_id);
    forget_connection(node);
    connect_listener(node);
}

void redis_listener_stop(struct redis_node *node)
{
    resv_timer_stop(node->link->host, &node->listener.retry);
    forget_connection(node);
}

/* What was refused may be allowed by now. */
static void ask_again(struct redis_node *node)
{
    struct redis_subscription *subscription = node->link->channels.first;
    node->listener.refused = false;
    for (; subscription != NULL; subscription = subscription->next) {
        if ((subscription->listens & 1U << node->index) == 0)
            redis_listener_subscribe(node, subscription);
    }
    ask_ping(node);
}

void redis_listener_tick(struct redis_node *node, uint64_t now_ns)
{
    struct redis_listener *listener = &node->listener;
    const struct redis_settings *settings = &node->link->settings;
    if (!listener->logged_in)
        return;
    uint64_t since_ns = listener->connection->received_ns;
    if (listener->asked == listener->answered) {
        const uint64_t interval_ns = settings->ping_interval_ms * REDIS_NS_PER_MS;
        if (listener->refused && now_ns - listener->refused_ns >= interval_ns)
            ask_again(node);
        else if (now_ns - since_ns >= interval_ns)
            ask_ping(node);
        return;
    }
    uint64_t limit_ns = 2 * settings->timeout_ms * REDIS_NS_PER_MS;
    if (limit_ns < SILENCE_NS_LEAST)
        limit_ns = SILENCE_NS_LEAST;
    if (since_ns < listener->asked_ns)
        since_ns = listener->asked_ns;
    if (now_ns > since_ns + limit_ns && listener->connection->flushed_ns >= listener->asked_ns &&
        !redis_connection_look(listener->connection))
        lose(node, "silent, though it is asked");
}
