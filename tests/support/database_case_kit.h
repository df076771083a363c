/* What the database cases are written with: sessions, runs, steps, ids. */
#ifndef TESTS_SUPPORT_DATABASE_CASE_KIT_H
#define TESTS_SUPPORT_DATABASE_CASE_KIT_H

#include "database_cases.h"

#define CASE_TOPIC   "reservations"
#define CASE_WALL_MS 1700000000123 /* what cases write as created_ms and updated_ms */

/* The lists that database_cases_all is made of. */
extern const struct database_case database_cases_steps[];
extern const struct database_case database_cases_locks[];
extern const struct database_case database_cases_call[];
extern const struct database_case database_cases_fence[];
extern const struct database_case database_cases_events[];
extern const struct database_case database_cases_positions[];

/* Resets to so many concerts and members; every concert has so many seats. */
void case_reset(struct database_cases *cases, int64_t concerts, int64_t members, int64_t capacity);
void case_set_limit(struct database_cases *cases, int64_t concert_id, int64_t limit);
/* The audit finds the concert's own count and the sum of its live rows like this. */
void case_expect_seats(struct database_cases *cases, int64_t concert_id, int64_t sold,
                       int64_t live);

struct database_session *case_acquire(struct database_cases *cases);

/* A run that is waited for later. In place until case_finish. */
struct case_run {
    struct database_run run;
    bool done;
};
void case_start(struct case_run *run, struct database_session *session, struct database_step *steps,
                size_t count);
enum database_result case_finish(struct database_cases *cases, struct case_run *run);
/* Turns the loop for 200 ms and asserts that the run still waits. */
void case_expect_waiting(struct database_cases *cases, const struct case_run *run);

/* Starts and finishes; *failed_at may be NULL. */
enum database_result case_run(struct database_cases *cases, struct database_session *session,
                              struct database_step *steps, size_t count, size_t *failed_at);
/* One step. */
enum database_result case_step(struct database_cases *cases, struct database_session *session,
                               struct database_step *step);
#define CASE_DONE(cases, session, ...)                                                             \
    do {                                                                                           \
        struct database_step case_steps[] = {__VA_ARGS__};                                         \
        assert_int_equal(                                                                          \
            case_run(cases, session, case_steps, sizeof case_steps / sizeof case_steps[0], NULL),  \
            DATABASE_DONE);                                                                        \
    } while (0)

struct resv_id case_id(struct database_cases *cases);
/* A row of one seat with a new id. */
struct database_row case_row(struct database_cases *cases, int64_t member_id);

struct database_step step_of(enum database_step_kind kind); /* BEGIN, COMMIT, ROLLBACK, SYNC */
struct database_step step_end_session(struct database_session_name name);
struct database_step step_concert(enum database_step_kind kind, int64_t concert_id);
struct database_step step_seats(enum database_step_kind kind, int64_t concert_id, int64_t seats);
struct database_step step_insert(int64_t concert_id, const struct database_row *rows, size_t count);
struct database_step step_cancel(struct resv_id id);
struct database_step step_reservations(struct database_reservation *items, size_t count);
struct database_step step_members(enum database_step_kind kind, int64_t concert_id,
                                  struct database_member *items, size_t count);
struct database_step step_call(int64_t concert_id, struct database_row row);

struct database_step step_position(enum database_step_kind kind, int32_t partition);
struct database_step step_move(int32_t partition, int64_t epoch, int64_t from, int64_t to);

/* One that has no position yet: they outlive a reset. */
int32_t case_partition(struct database_cases *cases);

/* What is committed, read by another session. */
int64_t case_epoch(struct database_cases *cases);
struct database_position_step case_read_position(struct database_cases *cases, int32_t partition);
struct database_concert_step case_read_concert(struct database_cases *cases, int64_t concert_id);
struct database_reservation case_read_reservation(struct database_cases *cases, struct resv_id id);
void case_expect_sold(struct database_cases *cases, int64_t concert_id, int64_t sold);
void case_expect_row(struct database_cases *cases, struct resv_id id, bool found);

#endif
