/* The database link: MariaDB or MySQL, in the terms of reservations.
 *
 * What a strategy does with it: it gets a session (one connection of a bounded pool), runs steps on
 * it, reads what came back, decides, and gives the session back. Steps handed over together travel
 * in one write and are executed in order; the server stops at the first that fails. All steps of
 * one run are therefore one round trip, and the strategy chooses where the round trips are.
 *
 *   database_acquire / database_wait --> session --> database_run* --> database_give_back
 *
 * Every function is called on the loop thread and none blocks. Callbacks come on the loop thread
 * and never from inside a call. Memory of waits, runs and steps is the caller's and must stay in
 * place until the callback.
 *
 * What makes answers true when a connection is lost while a COMMIT (or a CALL_RESERVE) is on its
 * way: each session holds a named lock on the server for as long as it lives there. END_SESSION on
 * another session kills the lost one and waits for its lock: after it, nothing that the lost
 * session sent can still be executed, so what a later step reads or writes is the truth.
 *
 * What makes answers last: a COMMIT is answered when it is on disk, but others see it before that,
 * and a server that dies in between has lost what they saw. So a promise that rests on a row that
 * was only read needs a DATABASE_SYNC, or a COMMIT of its own that wrote something, after the read.
 * This is so for a row that a lost session wrote, too: its lock may come free before its COMMIT is
 * on disk, and by its id alone the row may be another process's.
 *
 * What makes facts that were read without a lock good enough to write on: every transaction after
 * which less can be sold than before (seats taken by whatever strategy, a capacity or a member
 * limit changed) raises the concert's fence. `naive` does not, and is not to be mixed with others.
 *
 * What makes events count once, and only for the database that they were meant for: their consumer
 * moves its position in the transaction that applies them, from where it was and in the epoch that
 * the events are of, or not at all. A reset leaves positions alone and raises the epoch, in one
 * with all that it replaces: a transaction that has read the epoch, or moved a position, is wholly
 * before the reset or wholly after it.
 *
 * The same header is implemented by the simulation (tests/simulation/).
 */
#ifndef RESVD_LINKS_DATABASE_H
#define RESVD_LINKS_DATABASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "resvd/catalog.h"
#include "resvd/host.h"
#include "resvd/metric.h"
#include "resvd/op.h"
#include "resvd/option.h"

struct database_link;
struct database_session;

/* --- the link ----------------------------------------------------------------------------------
 */

enum database_isolation {
    DATABASE_READ_COMMITTED,
    DATABASE_REPEATABLE_READ, /* for `naive`, which reproduces a study that ran under it */
};

struct database_link_config {
    enum database_isolation isolation;
    size_t rows_max;      /* rows or ids in one step, 1..10,000: sizes the buffers */
    size_t steps_max;     /* steps in one run, up to DATABASE_STEPS_MAX; 0: DATABASE_STEPS_FEW */
    size_t catalog_max;   /* catalog operations under way; more are refused as busy */
    bool needs_procedure; /* CALL_RESERVE will be used: opening fails when it cannot be made; else
                           * that is a warning in the log */
    bool may_be_away;     /* health says MISSED, not DOWN, while it cannot be reached */
};

struct database_link_events {
    void *data;
    /* Exactly one of these two follows database_link_start. */
    void (*opened)(void *data);
    void (*open_failed)(void *data, int exit_code, const char *message);
    /* The server was lost, or is there again: see database_link_is_up. */
    void (*up_changed)(void *data);
    /* A catalog write of this process was done: what was remembered of the concert may be wrong.
     * concert_id 0: of everything, members too. Comes before the operation completes. */
    void (*catalog_changed)(void *data, int64_t concert_id);
    /* May be NULL. A catalog operation has its outcome and its result: who has this completes it,
     * now or later, instead of the link, which has done with it. */
    void (*catalog_answered)(void *data, struct resv_op *op, enum resv_outcome outcome);
    /* A catalog operation has completed. */
    void (*catalog_done)(void *data);
    /* After database_link_close: all memory is freed. May come from inside it. */
    void (*closed)(void *data);
};

/* [database]; and the link's own metrics. The strategy lists both beside its own. */
extern const struct resv_option_table database_options;
extern const struct resv_metric_table database_metrics;

/* No I/O. Reads [database] through the host; copies config and events. NULL after
 * resv_host_start_failed was told why: settings that do not fit together, or no memory. */
struct database_link *database_link_create(struct resv_host *host,
                                           const struct database_link_config *config,
                                           const struct database_link_events *events);
/* Connects (retrying within the host's start time-out what may go away), checks the server, creates
 * or migrates the schema, and fills the pools to their minimum. Then `opened` or `open_failed`. */
void database_link_start(struct database_link *link);
/* False while the server cannot be reached: waits are refused at once. */
bool database_link_is_up(const struct database_link *link);
/* The longest that one statement waits for a lock, before it ends as DATABASE_LOCK_WAIT. */
uint64_t database_link_lock_wait_ms(const struct database_link *link);
/* Catalog operations and runs under way are given up: they end as DATABASE_LOST or UNAVAILABLE. For
 * a drain whose deadline has come. */
void database_link_interrupt(struct database_link *link);
/* All sessions must have been given back and no wait be pending. Closes connections, frees the
 * link. Allowed in every state, once. */
void database_link_close(struct database_link *link);

/* Concerts, members, audit, reset: on the catalog's own pool. Completes operations itself. Busy
 * when catalog_max are under way; says resv_host_ready_for_more afterwards. */
struct resv_catalog *database_link_catalog(struct database_link *link);
size_t database_link_catalog_under_way(const struct database_link *link);

/* --- sessions ----------------------------------------------------------------------------------
 */

enum database_pool {
    DATABASE_SALES, /* pool_min..pool_max */
    DATABASE_READS, /* catalog_pool; the same as DATABASE_SALES when that is 0 */
};

enum database_refusal {
    DATABASE_DOWN,       /* the server cannot be reached */
    DATABASE_POOL_FULL,  /* as many wait as may (pool_queue_max) */
    DATABASE_WAITED_OUT, /* no session came free within pool_wait_ms */
};

/* Names a session for END_SESSION, also after it is lost. All zero: none. No padding: may be
 * compared as bytes. */
struct database_session_name {
    uint8_t bytes[16];
    /* Which server it is on, a number made of what the server says of itself and keeps when it is
     * restarted: after a failover another server knows nothing of the session, and cannot say that
     * it is over. 0 where there is only one. */
    uint64_t server;
};

struct database_wait {
    enum database_pool pool;
    bool urgent; /* goes before all that are not, and is never refused as POOL_FULL: for a few */
    void *data;
    /* Exactly one of the two, later. */
    void (*acquired)(struct database_wait *wait, struct database_session *session);
    void (*refused)(struct database_wait *wait, enum database_refusal refusal);
    /* The link's. */
    struct database_wait *next, *previous;
    uint64_t since_ns;
    bool pending;
};

/* A session that is idle right now, or NULL. First come, first served: NULL too while others wait.
 */
struct database_session *database_acquire(struct database_link *link, enum database_pool pool);
/* Waits in line; `refused` too comes later, never from inside. */
void database_wait(struct database_link *link, struct database_wait *wait);
/* Leaves the line; no callback follows. Nothing when not pending. */
void database_wait_cancel(struct database_link *link, struct database_wait *wait);

struct database_session_name database_session_name(const struct database_session *session);
/* Sessions are numbered from 1 in the order in which this link has connected them; the number of
 * the last one. A session does not outlive its server: what was read when so many sessions had been
 * connected is what a session with that number or a lower one goes on from. On a later one the
 * server may be another, or the same after a crash, which knows less than was read: a commit that
 * was seen and was not on disk, or had not been replicated, is gone, and the fence is back with it.
 */
uint64_t database_session_number(const struct database_session *session);
uint64_t database_link_sessions_connected(const struct database_link *link);

/* No run may be under way. A session that was lost, or that is not known to be outside of a
 * transaction, is closed and replaced; any other is handed to the next who waits. */
void database_give_back(struct database_session *session);

/* --- steps -------------------------------------------------------------------------------------
 */

enum database_step_kind {
    DATABASE_BEGIN,
    DATABASE_COMMIT,
    DATABASE_ROLLBACK,
    DATABASE_END_SESSION,         /* .end_session; LOCK_WAIT on a session of another server */
    DATABASE_READ_CONCERT,        /* .concert: what is committed, without a lock */
    DATABASE_LOCK_CONCERT,        /* .concert: SELECT … FOR UPDATE by primary key */
    DATABASE_READ_RESERVATIONS,   /* .reservations: what is committed (or this transaction's) */
    DATABASE_READ_MEMBERS,        /* .members: .found of each */
    DATABASE_READ_MEMBER_SEATS,   /* .members: .seats of each, live ones of concert_id */
    DATABASE_TAKE_SEATS,          /* .seats: sold += seats if they fit; .changed */
    DATABASE_TAKE_SEATS_OR_FAIL,  /* .seats: the same as an error (REFUSED) when they do not fit, or
                                   * the token is stale, or without a token the concert has a member
                                   * limit. An unknown concert is no error here: lock it or read it
                                   * first, or it may be made before the INSERT */
    DATABASE_WRITE_SOLD,          /* .seats: sold = seats, whatever it was (naive) */
    DATABASE_INSERT_RESERVATIONS, /* .insert: CONFIRMED rows, all or none */
    DATABASE_CANCEL_RESERVATION,  /* .reservation: live to CANCELLED; .changed */
    DATABASE_GIVE_BACK_SEATS,     /* .seats: sold -= seats, but not below 0: a count that was wrong
                                   * before must not keep seats from ever being given back */
    DATABASE_CALL_RESERVE,        /* .call: a whole reservation by the stored procedure, COMMIT or
                                   * ROLLBACK included; alone in its run. A row that was there
                                   * before is on disk when it is told */
    DATABASE_SYNC,                /* all that was committed before, by anybody, is on disk when it
                                   * is done. Outside of a transaction only: a write of its own */
    DATABASE_INSERT_EVENTS,       /* .events: rows, each with all that is its own; all or none. The
                                   * first that cannot be decides: DUPLICATE, NO_PARENT */
    DATABASE_READ_POSITION,       /* .position: .next_offset, .found and .epoch, without a lock */
    DATABASE_LOCK_POSITION,       /* .position: the same with the row locked; a position that nobody
                                   * has had before is made, as 0, and is locked like any other */
    DATABASE_MOVE_POSITION,       /* .position: .from to .to; an error (REFUSED) when it is not
                                   * exactly at .from, 0 where there is none, or when the epoch is
                                   * not .epoch. Locks it */
    DATABASE_READ_EPOCH,          /* .epoch */
    DATABASE_READ_ALL_MEMBER_SEATS, /* .member_page: who has live seats of a concert, and how many
                                     */
    DATABASE_READ_CONCERTS,         /* .concert_page */
};

#define DATABASE_STEPS_FEW     8
#define DATABASE_STEPS_MAX     1000
#define DATABASE_POSITIONS_MAX 16  /* of the steps of one run, so many may be of positions */
#define DATABASE_TOPIC_MAX     249 /* bytes of a topic's name; Kafka's own limit */

struct database_concert_step {
    int64_t concert_id;
    /* Result. */
    bool found;
    int64_t capacity;
    int64_t sold;
    int64_t member_limit; /* RESV_NO_MEMBER_LIMIT for none */
    int64_t fence;
};

struct database_reservation {
    struct resv_id id;
    /* Result. */
    bool found;
    struct resv_reservation row; /* .replay is left alone */
};

struct database_reservations_step {
    struct database_reservation *items; /* sorted by id (memcmp), unique */
    size_t count;                       /* 1..rows_max */
};

struct database_member {
    int64_t id;
    /* Result. */
    bool found;    /* READ_MEMBERS */
    int64_t seats; /* READ_MEMBER_SEATS */
};

struct database_members_step {
    int64_t concert_id;            /* READ_MEMBER_SEATS */
    struct database_member *items; /* sorted by id, unique */
    size_t count;                  /* 1..rows_max */
};

struct database_seats_step {
    int64_t concert_id;
    int64_t seats;
    /* TAKE_SEATS, TAKE_SEATS_OR_FAIL: a fencing token, one more than the fence that was read of the
     * concert. They take only while the concert's fence is below it, and it is the fence then: so
     * nothing that was read has changed since to where less could be sold (and a member limit is
     * not looked at again). 0: none; the fence goes up by one. */
    int64_t token;
    bool changed; /* result: TAKE_SEATS */
};

struct database_row {
    struct resv_id id;
    int64_t member_id;
    int64_t quantity;
};

struct database_insert_step {
    int64_t concert_id;
    const struct database_row *rows;
    size_t count;       /* 1..rows_max */
    int64_t created_ms; /* wall clock */
};

/* One reservation that an event has decided. */
struct database_event_row {
    struct resv_id id;
    int64_t concert_id;
    int64_t member_id;
    int64_t quantity;
    int64_t created_ms;      /* wall clock; also when it was last changed */
    enum resv_status status; /* CONFIRMED, or REJECTED: a row that has no seats */
};

struct database_events_step {
    const struct database_event_row *rows; /* in order of id they are written fastest */
    size_t count;                          /* 1..rows_max */
};

/* How far one partition's events have been applied. */
struct database_position_step {
    const char *topic; /* 1..DATABASE_TOPIC_MAX bytes, no blank last; in place until the callback */
    int32_t partition;
    int64_t from, to;   /* MOVE_POSITION; 0 or more */
    int64_t updated_ms; /* MOVE_POSITION and LOCK_POSITION: wall clock, for who looks at the table
                         */
    /* How often the database has been reset. MOVE_POSITION: must be so many; the others: result. */
    int64_t epoch;
    /* Result of READ_POSITION and LOCK_POSITION. */
    bool found;          /* it was there before; else next_offset is 0 */
    int64_t next_offset; /* of the first event that is not applied yet */
};

struct database_epoch_step {
    int64_t epoch; /* result: how often the database has been reset */
};

/* Pages: all that are above `after`, in order, as far as there is room. */
struct database_member_page_step {
    int64_t concert_id;
    int64_t after_member_id;
    struct database_member *items; /* result, the first `count`: .id and .seats, more than 0 */
    size_t room;                   /* 1..rows_max */
    size_t count;                  /* result; less than `room`: these were the last */
};

struct database_concert_page_step {
    int64_t after_concert_id;
    struct database_concert_step *items; /* result, the first `count`: all of each */
    size_t room;                         /* 1..rows_max */
    size_t count;                        /* result; less than `room`: these were the last */
};

struct database_cancel_step {
    struct resv_id id;
    int64_t updated_ms; /* wall clock */
    bool changed;       /* result: it was live until now */
};

struct database_call_step {
    int64_t concert_id;
    struct database_row row;
    int64_t created_ms;
    int64_t hold_ms; /* sleeps so long while it has the lock; 0 but for experiments */
    /* Result: GRANTED (reservation filled; .replay when the row was there before), SOLD_OUT, LIMIT,
     * UNKNOWN_CONCERT, UNKNOWN_MEMBER, KEY_REUSED. */
    enum resv_outcome outcome;
    struct resv_reservation reservation;
};

struct database_step {
    enum database_step_kind kind;
    union {
        struct database_session_name end_session;
        struct database_concert_step concert;
        struct database_reservations_step reservations;
        struct database_members_step members;
        struct database_seats_step seats;
        struct database_insert_step insert;
        struct database_cancel_step reservation;
        struct database_call_step call;
        struct database_events_step events;
        struct database_position_step position;
        struct database_epoch_step epoch;
        struct database_member_page_step member_page;
        struct database_concert_page_step concert_page;
    };
};

/* Where the session stands afterwards is part of each. */
enum database_result {
    DATABASE_DONE,      /* every step was executed */
    DATABASE_DUPLICATE, /* INSERT: an id is there already; the transaction is open */
    DATABASE_NO_PARENT, /* INSERT: the concert or a member does not exist; it is open */
    DATABASE_REFUSED,   /* TAKE_SEATS_OR_FAIL, MOVE_POSITION; it is open */
    DATABASE_LOCK_WAIT, /* 1205, or END_SESSION: not over yet; the transaction is STILL open */
    DATABASE_DEADLOCK,  /* 1213: the server has rolled the transaction back, it is gone: a further
                         * statement would commit by itself */
    DATABASE_FAILED,    /* the server refused the statement (read-only, disk full, a privilege);
                         * nothing of it was taken; the transaction may be open */
    DATABASE_LOST,      /* the connection is gone, the answer did not come in time, or the server
                         * answered a COMMIT with an error. Steps from failed_at on may have been
                         * executed or may be yet: END_SESSION tells */
};

/* Of the steps of one run, those that insert have rows_max rows in all, and those that look for
 * ids or members as many of each kind: what is larger may be FAILED, as too long for the server. */
struct database_run {
    struct database_step *steps;
    size_t count; /* 1..steps_max */
    void *data;
    /* Results of the steps before failed_at are filled. May start the next run. */
    void (*done)(struct database_run *run);
    /* Result. */
    enum database_result result;
    size_t failed_at; /* step; count when DONE */
};

/* One at a time on a session. */
void database_run(struct database_session *session, struct database_run *run);

#endif
