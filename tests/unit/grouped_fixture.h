/* The grouped strategy between the fake host and a database of the test's own: a few concerts,
 * members and rows in memory. The test says when a session's run is executed, and how it fails. */
#ifndef TESTS_GROUPED_FIXTURE_H
#define TESTS_GROUPED_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "database.h"
#include "fake_host.h"
#include "resvd/strategy.h"

extern const struct resv_strategy resv_strategy_grouped;

enum {
    OPS_MAX = 128,
    ROWS_MAX = 256,
    CONCERTS = 8,    /* ids 1..8; the last are not there until the test gives them a capacity */
    MEMBERS_MAX = 9, /* ids 1..MEMBERS_MAX exist */
    SESSIONS_MAX = 4,
};

struct fake_concert {
    bool exists;
    int64_t capacity, sold, member_limit;
};

struct fake_row {
    struct resv_id id;
    struct resv_reservation row;
    size_t session; /* + 1, while its transaction is open */
};

struct database_session {
    size_t number;
    bool given;
    bool lost;
    struct database_run *run; /* under way */
    bool open;                /* a transaction */
    int64_t taken[CONCERTS + 1];
};

struct grouped_fixture {
    void *instance;
    struct resv_op ops[OPS_MAX];
    size_t ops_count;
};

struct database_link {
    struct database_link_events events;
    bool up;
    bool closed;
    struct database_session sessions[SESSIONS_MAX];
    size_t sessions_count; /* the pool */
    struct database_wait *waits_first, *waits_last;
    struct fake_concert concerts[CONCERTS + 1];
    bool members[MEMBERS_MAX + 1];
    struct fake_row rows[ROWS_MAX];
    size_t rows_count;
    size_t runs; /* so far */
};

extern struct resv_host the_host;
extern struct database_link the_link;

/* grouped_database.c: a step on what is in memory; a transaction's end without its commit. */
enum database_result grouped_execute_step(struct database_session *session,
                                          struct database_step *step);
void grouped_roll_back(struct database_session *session);

/* The test sets options by fake_host_option, and opens. */
int grouped_set_up(void **state);
/* Opens and starts: concerts 1 to 4 of 1000 seats, all members, two sessions. That the concerts are
 * there is remembered, and member 9 is. */
void grouped_open(struct grouped_fixture *fixture);
/* Runs everything to its end, drains, closes; nothing may be left. */
int grouped_tear_down(void **state);

/* An operation for it, not yet submitted; id from its number. */
struct resv_op *make_op(struct grouped_fixture *fixture, int64_t concert_id, int64_t member_id,
                        int64_t quantity);
struct resv_op *reserve(struct grouped_fixture *fixture, int64_t concert_id, int64_t member_id,
                        int64_t quantity);
struct resv_op *reserve_keyed(struct grouped_fixture *fixture, int64_t concert_id,
                              int64_t member_id, int64_t quantity, uint8_t key);
void submit(struct grouped_fixture *fixture, struct resv_op *op);
void cancel(struct grouped_fixture *fixture, struct resv_op *op);
/* A row that is there, its seats counted. */
void have_row(uint8_t key, int64_t concert_id, int64_t member_id, int64_t quantity);

/* The flush point of a loop turn: all deferred calls. */
void flush(void);
/* Time passes; timers that are due fire, then a flush. */
void pass_ms(uint64_t ms);
/* The run under way on this session, as one letter a step; "" for none. B begin, C commit,
 * R rollback, E end session, c read concert, L lock concert, i read reservations, m read members,
 * s member seats, T take seats, F take or fail, W write sold, I insert, D sync (durable). */
const char *run_of(size_t session);
/* Executes it, calls its done, and flushes. */
void execute(size_t session);
/* The same but ends so at step failed_at. LOST: `executed` says whether the server did it all. */
void end_run(size_t session, enum database_result result, size_t failed_at, bool executed);
/* Executes everything until nothing is under way. */
void execute_all(void);
void set_up(bool up);

/* Where an operation stands, and what it was told. */
void assert_done(const struct resv_op *op, enum resv_outcome outcome);
void assert_granted(const struct resv_op *op, bool replay);
void assert_under_way(const struct resv_op *op);
/* Of the run under way on this session; 0 when it inserts nothing. */
size_t rows_of_insert(size_t session);

int64_t live_seats(int64_t concert_id);

#endif
