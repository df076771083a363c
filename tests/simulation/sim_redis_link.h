/* The simulated Redis link's inside: what sim_redis_link.c (its life), sim_redis_pipe.c (the
 * client's end of one connection) and sim_redis_calls.c (calls and channels) share.
 *
 *   redis_run --> batch --(flush point)--> connection --> node
 *   done <------- items <------------------------------------'
 */
#ifndef SIMULATION_REDIS_LINK_H
#define SIMULATION_REDIS_LINK_H

#include "sim_host.h"
#include "sim_redis.h"

enum pipe_state { PIPE_DOWN, PIPE_CONNECTING, PIPE_UP };

struct pipe_item;

struct redis_pipe {
    struct redis_link *link;
    size_t node;
    bool hears; /* the node's second connection: channels */
    enum pipe_state state;
    bool was_tried;
    unsigned failures;
    struct sim_redis_connection *connection; /* NULL: lost, known or not */
    struct sim_redis_packet *batch;          /* leaves at the flush point */
    struct pipe_item *items, **items_last;   /* on their way back, in order */
    struct redis_ticket *tickets, *tickets_last;
    size_t tickets_count;
    struct sim_event attempt; /* to connect: its beginning, or its end */
    struct sim_event arrival; /* of the first item */
    struct sim_event loss;    /* is noticed */
};

struct redis_listener {
    struct redis_listener *next;
    struct redis_subscription *subscription;
    uint64_t number; /* from 1: one that takes another's place is another */
};

struct redis_link {
    struct redis_link *next; /* on the same host */
    struct resv_host *host;
    struct sim_world *world;
    struct redis_link_config config;
    struct redis_link_events events;
    size_t nodes_count;
    uint64_t timeout_ms;
    uint64_t started_ns;
    bool opened;
    bool dead; /* the process has crashed: nothing goes out any more */
    bool closing;
    unsigned inside; /* callbacks */
    struct redis_pipe calls[REDIS_NODES_MAX];
    struct redis_pipe hears[REDIS_NODES_MAX];
    char run_ids[REDIS_NODES_MAX][REDIS_RUN_ID_SIZE];
    struct redis_ticket *refused; /* to be told REDIS_DOWN */
    struct redis_listener *listeners;
    uint64_t subscriptions;
    struct resv_deferred flush;
    struct sim_event refuse;
    struct sim_event timeouts;
    struct sim_event interrupt;
    struct sim_event start;
    struct sim_event close;
};

/* sim_redis_link.c */
/* The process has died: what has left may still be executed, the rest ends as REDIS_LOST. */
void redis_link_die(struct redis_link *link);
void redis_link_pipe_changed(struct redis_pipe *pipe);

/* sim_redis_pipe.c */
uint64_t redis_network_ns(struct sim_world *world);
void pipe_open(struct redis_pipe *pipe, struct redis_link *link, size_t node, bool hears);
void pipe_connect(struct redis_pipe *pipe, uint64_t delay_ns);
/* What it has in hand leaves, or is lost. */
void pipe_flush(struct redis_pipe *pipe);
void pipe_subscribe(struct redis_pipe *pipe, const struct redis_listener *listener);
void pipe_unsubscribe(struct redis_pipe *pipe, const char *channel);
/* The client gives the connection up: calls under way end as LOST, and it connects again. */
void pipe_lose(struct redis_pipe *pipe);
/* Nothing comes back any more. */
void pipe_close(struct redis_pipe *pipe);

/* sim_redis_calls.c */
void redis_calls_open(struct redis_link *link);
void redis_calls_close(struct redis_link *link);
void redis_calls_answered(struct redis_link *link, struct sim_redis_packet *packet);
void redis_calls_lost(struct redis_pipe *pipe);
void redis_heard(struct redis_link *link, size_t node, const char *channel);
void redis_listening(struct redis_link *link, size_t node, const char *channel, uint64_t number);

#endif
