/* What the database cases are written with: sessions, runs, steps, ids. */
#include "database_case_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- the catalog ------------------------------------------------------------------------------ */

void case_reset(struct database_cases *cases, int64_t concerts, int64_t members, int64_t capacity)
{
    struct resv_catalog_request request = {
        .reset_concerts = concerts, .reset_members = members, .reset_capacity = capacity};
    struct resv_op op = {.kind = RESV_OP_RESET, .catalog = &request};
    assert_int_equal(cases->catalog(cases->data, &op), RESV_STORED);
}

void case_set_limit(struct database_cases *cases, int64_t concert_id, int64_t limit)
{
    struct resv_concert concert = {.member_limit = limit};
    struct resv_catalog_request request = {
        .concerts = &concert, .count = 1, .fields = RESV_CONCERT_MEMBER_LIMIT};
    struct resv_op op = {
        .kind = RESV_OP_CONCERT_UPDATE, .concert_id = concert_id, .catalog = &request};
    assert_int_equal(cases->catalog(cases->data, &op), RESV_STORED);
    assert_true(concert.member_limit == limit);
}

void case_expect_seats(struct database_cases *cases, int64_t concert_id, int64_t sold, int64_t live)
{
    struct resv_catalog_request request = {0};
    struct resv_op op = {.kind = RESV_OP_AUDIT, .catalog = &request};
    assert_int_equal(cases->catalog(cases->data, &op), RESV_FOUND);
    bool found = false;
    for (size_t i = 0; i < request.audit_count; i++) {
        if (request.audit[i].concert_id != concert_id)
            continue;
        found = true;
        assert_true(request.audit[i].sold == sold);
        assert_true(request.audit[i].live == live);
    }
    assert_true(found);
    free(request.audit);
}

/* --- sessions --------------------------------------------------------------------------------- */

struct acquiring {
    struct database_wait wait;
    struct database_session *session;
    bool done;
};

static void acquired(struct database_wait *wait, struct database_session *session)
{
    struct acquiring *acquiring = wait->data;
    acquiring->session = session;
    acquiring->done = true;
}

static void refused(struct database_wait *wait, enum database_refusal refusal)
{
    (void)refusal;
    struct acquiring *acquiring = wait->data;
    acquiring->done = true;
}

struct database_session *case_acquire(struct database_cases *cases)
{
    struct database_session *session = database_acquire(cases->link, DATABASE_SALES);
    if (session != NULL)
        return session;
    struct acquiring acquiring = {
        .wait = {.pool = DATABASE_SALES, .acquired = acquired, .refused = refused}};
    acquiring.wait.data = &acquiring;
    database_wait(cases->link, &acquiring.wait);
    assert_false(acquiring.done);
    cases->run_until(cases->data, &acquiring.done);
    assert_non_null(acquiring.session);
    return acquiring.session;
}

/* --- runs ------------------------------------------------------------------------------------- */

static void run_done(struct database_run *run)
{
    struct case_run *self = run->data;
    assert_false(self->done);
    self->done = true;
}

void case_start(struct case_run *run, struct database_session *session, struct database_step *steps,
                size_t count)
{
    *run =
        (struct case_run){.run = {.steps = steps, .count = count, .data = run, .done = run_done}};
    database_run(session, &run->run);
    assert_false(run->done);
}

enum database_result case_finish(struct database_cases *cases, struct case_run *run)
{
    cases->run_until(cases->data, &run->done);
    if (run->run.result == DATABASE_DONE)
        assert_int_equal(run->run.failed_at, run->run.count);
    else
        assert_true(run->run.failed_at < run->run.count);
    return run->run.result;
}

void case_expect_waiting(struct database_cases *cases, const struct case_run *run)
{
    cases->run_for_ms(cases->data, 200);
    assert_false(run->done);
}

enum database_result case_run(struct database_cases *cases, struct database_session *session,
                              struct database_step *steps, size_t count, size_t *failed_at)
{
    struct case_run run;
    case_start(&run, session, steps, count);
    enum database_result result = case_finish(cases, &run);
    if (failed_at != NULL)
        *failed_at = run.run.failed_at;
    return result;
}

enum database_result case_step(struct database_cases *cases, struct database_session *session,
                               struct database_step *step)
{
    return case_run(cases, session, step, 1, NULL);
}

/* --- steps ------------------------------------------------------------------------------------ */

struct resv_id case_id(struct database_cases *cases)
{
    struct resv_id id = {.bytes = {0x01, '\'', '\\', 0x00, 0xff, '"', '\n', 0x1a}};
    uint64_t number = ++cases->ids;
    for (size_t i = RESV_ID_SIZE; i > 8; i--, number >>= 8)
        id.bytes[i - 1] = (uint8_t)number;
    return id;
}

struct database_row case_row(struct database_cases *cases, int64_t member_id)
{
    return (struct database_row){.id = case_id(cases), .member_id = member_id, .quantity = 1};
}

struct database_step step_of(enum database_step_kind kind)
{
    return (struct database_step){.kind = kind};
}

struct database_step step_end_session(struct database_session_name name)
{
    return (struct database_step){.kind = DATABASE_END_SESSION, .end_session = name};
}

struct database_step step_concert(enum database_step_kind kind, int64_t concert_id)
{
    return (struct database_step){.kind = kind, .concert = {.concert_id = concert_id}};
}

struct database_step step_seats(enum database_step_kind kind, int64_t concert_id, int64_t seats)
{
    return (struct database_step){.kind = kind,
                                  .seats = {.concert_id = concert_id, .seats = seats}};
}

struct database_step step_insert(int64_t concert_id, const struct database_row *rows, size_t count)
{
    return (struct database_step){
        .kind = DATABASE_INSERT_RESERVATIONS,
        .insert = {
            .concert_id = concert_id, .rows = rows, .count = count, .created_ms = CASE_WALL_MS}};
}

struct database_step step_cancel(struct resv_id id)
{
    return (struct database_step){.kind = DATABASE_CANCEL_RESERVATION,
                                  .reservation = {.id = id, .updated_ms = CASE_WALL_MS + 1}};
}

struct database_step step_reservations(struct database_reservation *items, size_t count)
{
    return (struct database_step){.kind = DATABASE_READ_RESERVATIONS,
                                  .reservations = {.items = items, .count = count}};
}

struct database_step step_members(enum database_step_kind kind, int64_t concert_id,
                                  struct database_member *items, size_t count)
{
    return (struct database_step){
        .kind = kind, .members = {.concert_id = concert_id, .items = items, .count = count}};
}

struct database_step step_call(int64_t concert_id, struct database_row row)
{
    return (struct database_step){
        .kind = DATABASE_CALL_RESERVE,
        .call = {.concert_id = concert_id, .row = row, .created_ms = CASE_WALL_MS}};
}

struct database_step step_position(enum database_step_kind kind, int32_t partition)
{
    return (struct database_step){.kind = kind,
                                  .position = {.topic = CASE_TOPIC,
                                               .partition = partition,
                                               .updated_ms = CASE_WALL_MS,
                                               .found = true}};
}

struct database_step step_move(int32_t partition, int64_t epoch, int64_t from, int64_t to)
{
    struct database_step step = step_position(DATABASE_MOVE_POSITION, partition);
    step.position.epoch = epoch;
    step.position.from = from;
    step.position.to = to;
    return step;
}

int32_t case_partition(struct database_cases *cases)
{
    int32_t partition;
    do {
        partition = (int32_t)(++cases->ids & INT32_MAX);
    } while (case_read_position(cases, partition).found);
    return partition;
}

/* --- what is committed ------------------------------------------------------------------------ */

struct database_concert_step case_read_concert(struct database_cases *cases, int64_t concert_id)
{
    struct database_session *session = case_acquire(cases);
    struct database_step step = step_concert(DATABASE_READ_CONCERT, concert_id);
    assert_int_equal(case_step(cases, session, &step), DATABASE_DONE);
    database_give_back(session);
    return step.concert;
}

struct database_reservation case_read_reservation(struct database_cases *cases, struct resv_id id)
{
    struct database_session *session = case_acquire(cases);
    struct database_reservation item = {.id = id};
    struct database_step step = step_reservations(&item, 1);
    assert_int_equal(case_step(cases, session, &step), DATABASE_DONE);
    database_give_back(session);
    return item;
}

void case_expect_sold(struct database_cases *cases, int64_t concert_id, int64_t sold)
{
    struct database_concert_step concert = case_read_concert(cases, concert_id);
    assert_true(concert.found);
    assert_true(concert.sold == sold);
}

void case_expect_row(struct database_cases *cases, struct resv_id id, bool found)
{
    struct database_reservation item = case_read_reservation(cases, id);
    assert_int_equal(item.found, found);
}

int64_t case_epoch(struct database_cases *cases)
{
    struct database_session *session = case_acquire(cases);
    struct database_step step = step_of(DATABASE_READ_EPOCH);
    assert_int_equal(case_step(cases, session, &step), DATABASE_DONE);
    database_give_back(session);
    return step.epoch.epoch;
}

struct database_position_step case_read_position(struct database_cases *cases, int32_t partition)
{
    struct database_session *session = case_acquire(cases);
    struct database_step step = step_position(DATABASE_READ_POSITION, partition);
    assert_int_equal(case_step(cases, session, &step), DATABASE_DONE);
    database_give_back(session);
    return step.position;
}
