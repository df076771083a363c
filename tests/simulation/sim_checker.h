/* The checker: knows the whole truth, and holds every answer and every commit against it.
 *
 *   at each commit     sold == seats of live rows <= capacity, no row for a request that was told
 *                      that nothing was taken; less can be sold than before only with a higher
 *                      fence, and a token was above it
 *   at each answer     it is true: now and on disk (granted, released), or at some instant since it
 *                      was asked (sold out, limit, unknown, looked up)
 */
#ifndef SIMULATION_CHECKER_H
#define SIMULATION_CHECKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim_server.h"

/* What the checker itself asks in the end, when all is well: the answer is known. */
enum request_probe {
    PROBE_NONE,
    PROBE_FIRST,  /* it may find a closed gate, or a connection that is broken */
    PROBE_FREE,   /* nobody else holds anything for long: it is about seats */
    PROBE_LOCKED, /* somebody who has died has the lock: contended, when the wait is over */
};

/* One attempt of somebody at something, as the checker remembers it for the whole schedule. */
struct sim_request {
    uint64_t serial; /* from 1 */
    struct sim_process *process;
    struct resv_op *op; /* while under way */
    enum resv_op_kind kind;
    bool keyed;
    struct resv_id id;
    int64_t concert_id;
    int64_t member_id;
    int64_t quantity;
    uint64_t submitted_ns;
    bool answered;
    uint64_t answered_ns;
    bool discarded; /* its process died: nobody heard the answer */
    enum resv_outcome outcome;
    unsigned doubts; /* runs with its COMMIT whose answer was lost */
    enum request_probe probe;
};

struct sim_checker {
    struct sim_world *world;
    struct sim_request **requests; /* by serial - 1 */
    size_t count;
    size_t capacity;
    struct checker_history *histories; /* of concerts */
    size_t histories_count;
    uint64_t outcomes[RESV_OUTCOME_COUNT]; /* how often each was answered */
    uint64_t rejected;                     /* accepted, and in the end there was no seat */
    struct checker_event *events;          /* in the log */
    size_t events_count;
    size_t events_capacity;
};

/* All of these do nothing when the checker is NULL (the link is tried by itself). */
struct sim_checker *checker_create(struct sim_world *world);
void checker_free(struct sim_checker *checker);
struct sim_request *checker_request(struct sim_checker *checker); /* a new one */
void checker_answered(struct sim_checker *checker, struct sim_request *request,
                      enum resv_outcome outcome);
void checker_doubt(struct sim_checker *checker, uint64_t serial);
/* While the transaction's rows are still listed. */
void checker_committed(struct sim_checker *checker, struct sim_connection *connection);
/* A crash has lost a commit that changed the concert, and the member's seats (0: nobody's). */
void checker_lost(struct sim_checker *checker, const struct sim_concert *concert,
                  int64_t member_id);
void checker_concert_made(struct sim_checker *checker, const struct sim_concert *concert);
/* The CHECK on sold has refused a write. */
void checker_check_failed(struct sim_checker *checker, const struct sim_concert *concert,
                          int64_t sold);
/* Everything has come to rest. */
void checker_final(struct sim_checker *checker);

/* sim_history.c: what was committed when. */
void history_note(struct sim_checker *checker, const struct sim_concert *concert,
                  int64_t member_id);
/* The concert as it was noted last. False: never. */
struct sim_seen {
    int64_t capacity;
    int64_t sold;
    int64_t limit;
    int64_t fence;
};
bool history_last(const struct sim_checker *checker, int64_t concert_id, struct sim_seen *last);
/* Its capacity has been lowered at some time, or its limit changed. */
bool history_was_lowered(const struct sim_checker *checker, int64_t concert_id);
bool history_limit_changed(const struct sim_checker *checker, int64_t concert_id);
/* The lowest since then; RESV_NO_MEMBER_LIMIT: there was none. */
int64_t history_lowest_limit(const struct sim_checker *checker, int64_t concert_id,
                             uint64_t since_ns);
/* At some instant since then, fewer than so many seats were free. */
bool history_was_short(const struct sim_checker *checker, int64_t concert_id, int64_t quantity,
                       uint64_t since_ns);
/* The same for who has the rows as they were at some instant since then, and knows what has been
 * pending in Redis since it was asked. */
bool history_seemed_short(const struct sim_checker *checker, const struct sim_request *request,
                          uint64_t since_ns);
/* At some instant since then, so many more were over the member's limit. */
bool history_was_over_limit(const struct sim_checker *checker, int64_t concert_id,
                            int64_t member_id, int64_t quantity, uint64_t since_ns);
void history_free(struct sim_checker *checker);

/* sim_events.c: what has come into the log, for a strategy that has one. */
struct checker_event {
    struct resv_id id;
    bool releases;
    int64_t concert_id; /* of a reservation */
    int32_t partition;
    int64_t offset;
    uint64_t at_ns;
};
/* The world has its Kafka. */
void events_listen(struct sim_checker *checker);
bool events_same_id(const struct resv_id *left, const struct resv_id *right);
/* The first of this kind, or NULL. */
const struct checker_event *events_find(const struct sim_checker *checker, const struct resv_id *id,
                                        bool releases);
/* A release of it is there, behind it, unless its row is there already. */
bool events_release_it(const struct sim_checker *checker, const struct resv_id *id, bool has_row);

/* sim_accepted.c: for a strategy that answers first, and writes the rows later. NULL: it is true.
 */
const char *accepted_untrue(struct sim_checker *checker, const struct sim_request *request,
                            enum resv_outcome outcome);
void accepted_check_row(struct sim_checker *checker, const struct sim_record *row, bool ended);
void accepted_final(struct sim_checker *checker);

/* sim_stock.c: for the same, what is in Redis. */
struct sim_redis_node;
void stock_scripted(struct sim_redis_node *node); /* one has been executed there */
/* Seats; of whoever it is (0). */
int64_t stock_pending(struct sim_world *world, int64_t concert_id, int64_t member_id);
/* A crash of the database has lost this row. */
void stock_check_lost(struct sim_world *world, const struct sim_record *row);
/* Nothing is pending, and all that is in the log is applied. */
bool stock_rests(const struct sim_world *world);
void stock_tell_unrest(struct sim_world *world); /* a violation, if it does not */
void stock_check_at_rest(struct sim_world *world, bool must_be_open);

#endif
