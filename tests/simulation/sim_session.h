/* The simulated link's inside: what sim_link.c (pools), sim_session.c (one connection's client end)
 * and sim_catalog.c share, and what the server calls. */
#ifndef SIMULATION_SESSION_H
#define SIMULATION_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "database.h"
#include "sim_host.h"
#include "sim_server.h"

enum session_state { SESSION_CONNECTING, SESSION_IDLE, SESSION_USED };

struct database_session {
    struct database_link *link;
    struct database_session *next; /* of the link's */
    enum database_pool pool;
    enum session_state state;
    uint64_t number;
    struct database_session_name name;
    struct sim_connection *connection; /* NULL: broken, known or not */
    bool lost;                         /* known to be broken */
    bool in_transaction;               /* as far as is known here */
    struct database_run *run;
    struct sim_packet *answer; /* on its way back; NULL: the connection is lost */
    struct sim_event connected;
    struct sim_event answered;
    struct sim_event gives_up; /* the statement's time-out, or the network breaks */
    /* Requests whose rows the transaction has written so far. */
    uint64_t *touched;
    size_t touched_count;
    size_t touched_capacity;
};

struct wait_line {
    struct database_wait *first, *last;
    size_t count;
};

#define DATABASE_POOLS    2
#define DATABASE_REFUSALS 3

struct database_link {
    struct resv_host *host;
    struct sim_world *world;
    struct database_link_config config;
    struct database_link_events events;
    bool opened;
    bool up;
    bool dead; /* the process has crashed: nothing goes out any more */
    bool closing;
    struct database_session *sessions;
    size_t session_counts[DATABASE_POOLS];
    uint64_t sessions_connected;
    size_t session_max[DATABASE_POOLS];
    size_t pool_min;
    size_t queue_max;
    uint64_t wait_ms;
    uint64_t statement_timeout_ms;
    struct wait_line lines[DATABASE_POOLS];
    struct wait_line refusing[DATABASE_REFUSALS];
    struct sim_event start;
    struct sim_event pump;
    struct sim_event waited_out;
    struct sim_event reconnect;
    struct sim_event close;
    struct resv_catalog catalog;
    struct sim_catalog_call *calls;
    size_t calls_count;
    bool catalog_was_busy;
};

/* sim_link.c */
void link_pump_soon(struct database_link *link);
void link_set_up(struct database_link *link, bool up);
/* The process has died: nothing comes or goes any more, runs end as LOST. */
void link_die(struct database_link *link);

/* sim_session.c */
struct database_session *session_connect(struct database_link *link, enum database_pool pool);
void session_free(struct database_session *session);
/* From the server: a run's answer, and the connection's end. */
void session_answer(struct database_session *session, struct sim_packet *packet);
void session_broken(struct database_session *session);
/* A run under way ends as LOST, soon. */
void session_lose(struct database_session *session, uint64_t delay_ns);

/* sim_catalog.c */
void catalog_open(struct database_link *link);
void catalog_interrupt(struct database_link *link);

#endif
