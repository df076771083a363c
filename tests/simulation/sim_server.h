/* The simulated database server: connections, transactions, row locks, tables.
 *
 *   sim_server.c   connections: packets, one step after another, death
 *   sim_steps.c    what each step of database.h does; reservations' rows in sim_rows.c, a
 *                  consumer's positions in sim_positions.c
 *   sim_call.c     the stored procedure
 *   sim_locks.c    shared and exclusive locks, waiting in line, deadlocks
 *   sim_tables.c   concerts, members, reservations: committed, and of open transactions
 *   sim_log.c      when a commit is on disk, and which ones a crash loses
 *
 * Only the semantics that strategies rely on: row locks of UPDATE, SELECT … FOR UPDATE and of an
 * INSERT's keys (unique: waits for who inserted the same; foreign: shared locks on the parents),
 * READ COMMITTED, a statement undone as a whole when it fails, autocommit when no transaction is
 * open, the CHECK on sold, the fence. Between any two steps everybody else may get a turn. */
#ifndef SIMULATION_SERVER_H
#define SIMULATION_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "database.h"
#include "sim_world.h"

struct sim_connection;
struct sim_packet;

/* --- locks ------------------------------------------------------------------------------------ */

struct sim_hold {
    struct sim_lock *lock;
    struct sim_connection *connection;
    bool exclusive;
    struct sim_hold *next_of_lock;
    struct sim_hold *next_of_connection;
};

struct sim_lock {
    struct sim_hold *holds;
    struct sim_connection *waiters; /* in line, by wait_next */
    struct sim_concert *concert;    /* whose lock this is, or NULL */
    struct sim_position *position;  /* the same */
};

enum lock_try {
    LOCK_HELD,
    LOCK_WAITS,    /* the step is tried again when it is there */
    LOCK_DEADLOCK, /* this one was chosen as the victim and has been rolled back */
};
enum lock_try lock_take(struct sim_connection *connection, struct sim_lock *lock, bool exclusive);
bool lock_is_held(const struct sim_connection *connection, const struct sim_lock *lock,
                  bool exclusive);
bool lock_is_of_others(const struct sim_connection *connection, const struct sim_lock *lock);
void lock_let_go(struct sim_connection *connection, struct sim_lock *lock);
void lock_release_all(struct sim_connection *connection);
void lock_stop_waiting(struct sim_connection *connection);

/* --- tables ----------------------------------------------------------------------------------- */

struct sim_concert {
    struct sim_lock lock;
    struct resv_concert committed;
    struct resv_concert now; /* what the holder of the exclusive lock sees */
    int64_t fence;           /* committed */
    int64_t fence_now;       /* what the holder sees */
    int64_t token;           /* that its transaction took seats with; 0 none */
    bool overwritten;        /* its transaction wrote `sold` as it pleased */
    int64_t live;            /* seats of committed live rows */
    uint64_t created_ns;
    struct sim_record *rows;
};

/* An id that was ever inserted; a row when it exists. */
struct sim_record {
    struct resv_id id;
    struct sim_record *hash_next;
    struct sim_record *concert_next; /* set once the record belongs to a concert */
    struct sim_record *transaction_next;
    struct sim_lock lock;
    bool exists; /* committed */
    bool live;   /* committed */
    struct resv_reservation content;
    struct sim_connection *inserter; /* in an open transaction */
    struct sim_connection *canceller;
    uint64_t creator; /* request that wrote it; 0 none that is known */
    uint64_t ender;   /* request that cancelled it */
    uint64_t created_ns;
    uint64_t created_at; /* in the log */
    uint64_t ended_ns;
    uint64_t ended_at; /* in the log */
    uint64_t lost_ns;  /* when a crash has last taken something of it back; 0 never */
};

/* A concert as a snapshot has it. */
struct sim_snapshot {
    struct resv_concert concert;
    int64_t fence;
};

/* How far a partition's events were applied. */
struct sim_position {
    struct sim_lock lock;
    struct sim_position *next;
    char topic[DATABASE_TOPIC_MAX + 1];
    int32_t partition;
    bool exists;         /* committed */
    bool exists_now;     /* what the holder of the lock sees */
    int64_t next_offset; /* committed; 0 while it does not exist */
    int64_t next_now;
};

#define SIM_BUCKETS 1024

struct sim_member {
    struct sim_lock lock;
    uint64_t created_ns;
};

struct sim_concert *tables_concert(struct sim_server *server, int64_t id); /* or NULL */
struct sim_member *tables_member(struct sim_server *server, int64_t id);   /* or NULL */
/* The record of an id, made when there is none. */
struct sim_record *tables_record(struct sim_server *server, const struct resv_id *id);
struct sim_record *tables_find(struct sim_server *server, const struct resv_id *id); /* or NULL */
bool tables_sees(const struct sim_connection *connection, const struct sim_record *record);
bool tables_sees_live(const struct sim_connection *connection, const struct sim_record *record);
/* In the connection's transaction, locks taken before. */
void tables_insert(struct sim_connection *connection, struct sim_record *record,
                   const struct resv_reservation *content, uint64_t creator);
void tables_uninsert(struct sim_connection *connection, struct sim_record *record);
void tables_cancel(struct sim_connection *connection, struct sim_record *record, uint64_t ender);
/* A crash has lost the commit that did this. */
void tables_take_back(struct sim_server *server, struct sim_record *record, bool inserted,
                      bool cancelled);
/* Ends the transaction and lets its locks go. */
void tables_commit(struct sim_connection *connection);
void tables_rollback(struct sim_connection *connection);
struct sim_concert *tables_add_concert(struct sim_server *server,
                                       const struct resv_concert *concert);
void tables_add_member(struct sim_server *server);
void tables_reset(struct sim_server *server);
int64_t tables_member_live(const struct sim_concert *concert, int64_t member_id);

/* --- connections ------------------------------------------------------------------------------ */

/* A run as it travels: a copy of its steps with all that they point to. */
struct sim_packet {
    size_t count;
    struct database_step *steps;
    uint64_t **requests; /* for each step: the request behind each of its rows, or NULL */
    bool answer_lost;
    enum database_result result;
    size_t at; /* the step that is executed; in the end, failed_at */
};

struct sim_connection {
    struct sim_server *server;
    struct sim_connection *next;
    uint64_t number;
    char who[16]; /* for the trace */
    struct database_session_name name;
    struct database_session *session; /* the client's end; NULL when it has gone */
    struct sim_catalog_call *catalog; /* a catalog operation's own connection */
    enum database_isolation isolation;
    bool client_gone;

    /* The transaction. */
    bool open; /* by BEGIN */
    bool wrote;
    struct sim_hold *holds;
    struct sim_record *rows;
    struct sim_snapshot *snapshot; /* REPEATABLE READ: the concerts at the first read */
    size_t snapshot_count;

    uint64_t committed_at; /* in the log, its last commit; 0 none */

    /* What is executed. */
    struct sim_packet *packet;
    struct sim_event work; /* the next step, or the packet's arrival */
    unsigned phase;        /* within a step */
    size_t row;            /* within a step */
    uint64_t step_began_ns;
    bool flushing;                /* the step is over when committed_at is on disk */
    enum database_result failure; /* of a step that failed */
    bool deceived;                /* the failure came after the commit */

    /* Waiting for a lock. */
    struct sim_lock *waits_for;
    bool waits_exclusive;
    bool timed_out;
    struct sim_connection *wait_next;
    struct sim_event wait_end;

    bool killed;
    struct sim_event end;
};

struct sim_log {
    struct sim_commit *commits; /* not on disk yet, newest first */
    uint64_t end;               /* position of the last commit, from 1 */
    uint64_t durable;           /* of the last one on disk */
    uint64_t flushing_to;
    struct sim_event flush;
};

struct sim_server {
    struct sim_world *world;
    bool up;
    uint64_t stalled_until_ns;
    uint64_t refuses_until_ns; /* read-only, or the disk is full */
    struct sim_log log;
    struct sim_connection *connections;
    uint64_t connection_numbers;
    struct sim_concert **concerts;
    size_t concert_count;
    int64_t first_fence; /* of a new concert: above all before the last reset */
    int64_t epoch;       /* resets */
    struct sim_position *positions;
    struct sim_member **members;
    size_t member_count;
    struct sim_record *buckets[SIM_BUCKETS];
    struct sim_hold *free_holds;
};

struct sim_server *server_create(struct sim_world *world);
void server_free(struct sim_server *server);

/* Asserts that the server is up. */
struct sim_connection *server_connect(struct sim_server *server,
                                      const struct database_session_name *name,
                                      struct database_session *session,
                                      enum database_isolation isolation);
/* The packet is the connection's from now on; it arrives after the delay. */
void server_send(struct sim_connection *connection, struct sim_packet *packet, uint64_t delay_ns);
/* The client's end is closed: what has arrived is executed, then the connection ends. */
void server_client_gone(struct sim_connection *connection, uint64_t delay_ns);
/* The connection ends now: rollback, locks gone, packet dropped. */
void server_end(struct sim_connection *connection);
void server_crash(struct sim_server *server);
/* A step that waited for a lock, or for the disk, goes on. */
void server_wake(struct sim_connection *connection);
/* Chosen as a deadlock's victim while it waited. */
void server_victim(struct sim_connection *connection);
bool server_refuses(const struct sim_server *server);

enum step_end { STEP_FINISHED, STEP_WAITS, STEP_YIELDS, STEP_FAILED };
enum step_end step_execute(struct sim_connection *connection, struct database_step *step);
enum step_end step_execute_call(struct sim_connection *connection, struct database_step *step);
void rows_read(struct sim_connection *connection, struct database_reservations_step *step);
void rows_read_members(struct sim_connection *connection, struct database_members_step *step,
                       bool seats);
void rows_read_member_page(struct sim_connection *connection,
                           struct database_member_page_step *step);
enum step_end rows_insert(struct sim_connection *connection, const struct database_step *step,
                          const uint64_t *requests);
enum step_end rows_cancel(struct sim_connection *connection, struct database_cancel_step *step,
                          const uint64_t *request);
void position_read(struct sim_connection *connection, struct database_position_step *step);
enum step_end position_lock(struct sim_connection *connection, struct database_position_step *step);
enum step_end position_move(struct sim_connection *connection,
                            const struct database_position_step *step);
void positions_free(struct sim_server *server);
/* STEP_FINISHED when it is held. */
enum step_end step_lock(struct sim_connection *connection, struct sim_lock *lock, bool exclusive);
enum step_end step_failed(struct sim_connection *connection, enum database_result failure);
const char *step_name(enum database_step_kind kind);

struct sim_packet *packet_copy(const struct database_step *steps, size_t count);
/* Results of the steps before `count` go to where they are waited for. */
void packet_results(const struct sim_packet *packet, struct database_step *steps, size_t count);
void packet_free(struct sim_packet *packet);

#endif
