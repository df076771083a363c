/* The Redis link: one or more independent Redis (or Valkey) nodes, in terms of scripts.
 *
 * What a strategy does with it: it runs a script on a node, or on each of them, and is told what
 * became of that; and it listens to channels. All calls that are made in one turn of the loop leave
 * in one write a node, at the flush point, and a node executes them in the order in which they were
 * made, as long as its connection lives.
 *
 *   redis_run ----> [node's connection] ----> done(call)
 *   redis_subscribe -> [node's second connection] -> listening, heard, heard, … (again listening)
 *
 * Nodes know nothing of each other: each has its own fate. A node is up when it is connected,
 * logged in, is no replica, and has the scripts.
 *
 * Every function is called on the loop thread and none blocks. Callbacks come on the loop thread
 * and never from inside a call. Memory of calls and subscriptions is the caller's and must stay in
 * place until done, or until redis_unsubscribe.
 *
 * The same header is implemented by the simulation (tests/simulation/), which runs the same
 * scripts.
 */
#ifndef RESVD_LINKS_REDIS_H
#define RESVD_LINKS_REDIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "resvd/host.h"
#include "resvd/metric.h"
#include "resvd/option.h"

struct redis_link;

#define REDIS_NODES_MAX        5
#define REDIS_CHANNEL_SIZE_MAX 96
#define REDIS_RUN_ID_SIZE      41 /* with the closing NUL */

/* Bytes, not closed by NUL. */
struct redis_text {
    const char *bytes;
    size_t size;
};

/* Static. Known to the server by its SHA1; loaded again whenever the server has forgotten it. */
struct redis_script {
    const char *name; /* for the log and for traces: "acquire" */
    const char *text; /* Lua 5.1, as Redis runs it */
};

/* --- the link ----------------------------------------------------------------------------------
 */

enum redis_use {
    REDIS_LOCKS, /* the nodes of [redis] lock_nodes: 1, 3 or 5; a majority makes the link open */
    REDIS_STOCK, /* the node of [redis] stock */
};

struct redis_link_config {
    enum redis_use use;
    /* All that will be run; NULL-terminated. The first is what a node is judged by: its health is
     * down while it refuses that one all the time (redis_link_node_is_up does not change). */
    const struct redis_script *const *scripts;
    size_t calls_max; /* under way on one node; what is beyond is REDIS_DOWN */
    bool subscribes;  /* redis_subscribe will be used: each node has a second connection */
};

struct redis_link_events {
    void *data;
    /* Exactly one of these two follows redis_link_start. */
    void (*opened)(void *data);
    void (*open_failed)(void *data, int exit_code, const char *message);
    /* The node is up, or down: see redis_link_node_is_up. After `opened` only. */
    void (*node_changed)(void *data, size_t node);
    /* After redis_link_close: all memory is freed. Comes from inside it when the link was never
     * started and no call of it is just ending, and may at other times. */
    void (*closed)(void *data);
};

/* [redis]; and the link's own metrics, for each node. The strategy lists both beside its own. */
extern const struct resv_option_table redis_options;
extern const struct resv_metric_table redis_metrics;

/* No I/O. Reads [redis] through the host; copies config and events. NULL after
 * resv_host_start_failed was told why: settings that do not fit together, or no memory. */
struct redis_link *redis_link_create(struct resv_host *host, const struct redis_link_config *config,
                                     const struct redis_link_events *events);
/* Connects to all nodes, retrying within the host's start time-out what may go away; checks each
 * (version, role, and the settings by which it would lose data silently: these are warnings that
 * name the setting), loads the scripts. `opened` comes when a majority is up and the others have
 * answered or have had a second. A node that is lost is connected to again, with growing delays. */
void redis_link_start(struct redis_link *link);
size_t redis_link_node_count(const struct redis_link *link);
bool redis_link_node_is_up(const struct redis_link *link, size_t node);
/* The server process that the node's connection leads to: another one after each restart. "" before
 * the first connection. */
const char *redis_link_run_id(const struct redis_link *link, size_t node);
/* [redis] key_prefix: what all keys and channels begin with. */
const char *redis_link_key_prefix(const struct redis_link *link);
/* Calls under way are given up, soon: they end as REDIS_LOST. For a drain whose deadline has come.
 */
void redis_link_interrupt(struct redis_link *link);
/* No call may be under way and no subscription be there. Closes connections, frees the link.
 * Allowed in every state, once. */
void redis_link_close(struct redis_link *link);

/* --- calls -------------------------------------------------------------------------------------
 */

struct redis_reply;

enum redis_result {
    REDIS_DONE,    /* executed: `reply` is what the script returned */
    REDIS_REFUSED, /* the server answered with an error, which is in `reply` as text: it is out of
                    * memory, read-only, busy, or forbids a command. What the script had done before
                    * the command that failed is done */
    REDIS_DOWN,    /* not sent, so never executed: the node is down, or calls_max are under way */
    REDIS_LOST,    /* sent, and no answer came in time: it may have been executed or may be yet */
};

struct redis_call {
    /* The caller's. Keys and arguments are copied by redis_run. */
    size_t node;
    const struct redis_script *script;
    const struct redis_text *keys;
    size_t keys_count;
    const struct redis_text *arguments;
    size_t arguments_count;
    uint64_t timeout_ms; /* from the flush point on at which it leaves; 0: [redis] timeout_ms */
    void *data;
    /* Once. The struct may be used again from inside. */
    void (*done)(struct redis_call *call);
    /* Result; the reply is there during done only, NULL unless DONE or REFUSED. */
    enum redis_result result;
    const struct redis_reply *reply;
    /* The link's. */
    struct redis_call *next, *previous;
    uint64_t due_ns;
    bool pending;
};

/* A command of more than 1 MiB is REDIS_DOWN; an answer of more than 256 KiB is taken for a broken
 * server's: the connection is closed. */
void redis_run(struct redis_link *link, struct redis_call *call);

/* A reply is one value, or a list of values (of which a script returns no deeper ones). */
size_t redis_reply_count(const struct redis_reply *reply); /* 1 when it is no list */
/* INT64_MIN when that is no integer, or is not there. */
int64_t redis_reply_integer(const struct redis_reply *reply, size_t index);
/* Bytes NULL when that is no text, or is not there. Lives as long as the reply. */
struct redis_text redis_reply_text(const struct redis_reply *reply, size_t index);

/* --- channels ----------------------------------------------------------------------------------
 */

/* A channel on all nodes. */
struct redis_subscription {
    /* The caller's. */
    char channel[REDIS_CHANNEL_SIZE_MAX]; /* prefix included; closed by NUL */
    void *data;
    /* From now on messages of this node are heard; what it published before may have been missed.
     * Again after each time that its connection was lost. */
    void (*listening)(struct redis_subscription *subscription, size_t node);
    void (*heard)(struct redis_subscription *subscription, size_t node);
    /* The link's. */
    struct redis_subscription *next, *previous;
    struct redis_subscription *hash_next;
    bool pending;
    unsigned listens;                /* nodes, as bits */
    uint64_t asked[REDIS_NODES_MAX]; /* number of its SUBSCRIBE on the node's connection */
};

/* One subscription a channel; config.subscribes must have been set. */
void redis_subscribe(struct redis_link *link, struct redis_subscription *subscription);
/* No callback follows. Nothing when it is not there. */
void redis_unsubscribe(struct redis_link *link, struct redis_subscription *subscription);

#endif
