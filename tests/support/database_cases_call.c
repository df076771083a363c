/* Database cases: the stored procedure's whole reservation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "database_case_kit.h"

static struct database_call_step call(struct database_cases *cases,
                                      struct database_session *session, int64_t concert_id,
                                      struct database_row row)
{
    struct database_step step = step_call(concert_id, row);
    step.call.outcome = RESV_OUTCOME_COUNT;
    step.call.reservation.replay = true;
    assert_int_equal(case_step(cases, session, &step), DATABASE_DONE);
    return step.call;
}

static void expect_call(struct database_cases *cases, struct database_session *session,
                        int64_t concert_id, struct database_row row, enum resv_outcome outcome)
{
    assert_int_equal(call(cases, session, concert_id, row).outcome, outcome);
}

static void granted_until_sold_out(struct database_cases *cases)
{
    case_reset(cases, 2, 2, 3);
    struct database_session *session = case_acquire(cases);
    struct database_row row = case_row(cases, 2);
    row.quantity = 2;
    struct database_call_step granted = call(cases, session, 1, row);
    assert_int_equal(granted.outcome, RESV_GRANTED);
    assert_int_equal(granted.reservation.concert_id, 1);
    assert_int_equal(granted.reservation.member_id, 2);
    assert_int_equal(granted.reservation.quantity, 2);
    assert_int_equal(granted.reservation.status, RESV_STATUS_CONFIRMED);
    assert_false(granted.reservation.replay);
    case_expect_row(cases, row.id, true); /* committed */
    struct database_row more = case_row(cases, 1);
    more.quantity = 2;
    expect_call(cases, session, 1, more, RESV_SOLD_OUT);
    more.quantity = 1;
    expect_call(cases, session, 1, more, RESV_GRANTED);
    expect_call(cases, session, 1, case_row(cases, 1), RESV_SOLD_OUT);
    more = case_row(cases, 1);
    more.quantity = RESV_INTEGER_MAX;
    expect_call(cases, session, 2, more, RESV_SOLD_OUT);
    database_give_back(session);
    case_expect_seats(cases, 1, 3, 3);
    case_expect_seats(cases, 2, 0, 0);
}

static void unknown_parents(struct database_cases *cases)
{
    case_reset(cases, 1, 1, 3);
    struct database_session *session = case_acquire(cases);
    expect_call(cases, session, 9, case_row(cases, 1), RESV_UNKNOWN_CONCERT);
    expect_call(cases, session, 9, case_row(cases, 9), RESV_UNKNOWN_CONCERT);
    expect_call(cases, session, 1, case_row(cases, 9), RESV_UNKNOWN_MEMBER);
    database_give_back(session);
    case_expect_seats(cases, 1, 0, 0);
}

static void same_id_again(struct database_cases *cases)
{
    case_reset(cases, 2, 2, 3);
    struct database_session *session = case_acquire(cases);
    struct database_row row = case_row(cases, 1);
    row.quantity = 3; /* so that it is sold out, too */
    expect_call(cases, session, 1, row, RESV_GRANTED);
    struct database_call_step again = call(cases, session, 1, row);
    assert_int_equal(again.outcome, RESV_GRANTED);
    assert_true(again.reservation.replay);
    assert_int_equal(again.reservation.quantity, 3);
    assert_int_equal(again.reservation.status, RESV_STATUS_CONFIRMED);
    struct database_row other = row;
    other.quantity = 1;
    expect_call(cases, session, 1, other, RESV_KEY_REUSED);
    other = row;
    other.member_id = 2;
    expect_call(cases, session, 1, other, RESV_KEY_REUSED);
    expect_call(cases, session, 2, row, RESV_KEY_REUSED);
    expect_call(cases, session, 9, row, RESV_KEY_REUSED); /* the id stands for another request */
    CASE_DONE(cases, session, step_cancel(row.id), step_seats(DATABASE_GIVE_BACK_SEATS, 1, 3));
    again = call(cases, session, 1, row);
    assert_int_equal(again.outcome, RESV_GRANTED);
    assert_true(again.reservation.replay);
    assert_int_equal(again.reservation.status, RESV_STATUS_CANCELLED);
    database_give_back(session);
    case_expect_seats(cases, 1, 0, 0);
    case_expect_seats(cases, 2, 0, 0);
}

static void limit_of_a_member(struct database_cases *cases)
{
    case_reset(cases, 2, 2, 10);
    case_set_limit(cases, 1, 3);
    struct database_session *session = case_acquire(cases);
    struct database_row row = case_row(cases, 1);
    row.quantity = 4;
    expect_call(cases, session, 1, row, RESV_LIMIT);
    row.quantity = 2;
    expect_call(cases, session, 1, row, RESV_GRANTED);
    struct database_row two = case_row(cases, 1);
    two.quantity = 2;
    expect_call(cases, session, 1, two, RESV_LIMIT);
    two.quantity = 1;
    expect_call(cases, session, 1, two, RESV_GRANTED);
    expect_call(cases, session, 1, case_row(cases, 1), RESV_LIMIT);
    expect_call(cases, session, 1, case_row(cases, 2), RESV_GRANTED);
    expect_call(cases, session, 2, case_row(cases, 1), RESV_GRANTED); /* another concert */
    assert_int_equal(call(cases, session, 1, row).reservation.replay, true);
    CASE_DONE(cases, session, step_cancel(two.id), step_seats(DATABASE_GIVE_BACK_SEATS, 1, 1));
    expect_call(cases, session, 1, case_row(cases, 1), RESV_GRANTED);
    expect_call(cases, session, 1, case_row(cases, 9), RESV_UNKNOWN_MEMBER);
    database_give_back(session);
    case_expect_seats(cases, 1, 4, 4);
}

static void call_waits_for_the_concert(struct database_cases *cases)
{
    case_reset(cases, 1, 1, 1);
    struct database_session *holder = case_acquire(cases), *caller = case_acquire(cases);
    struct database_row row = case_row(cases, 1);
    CASE_DONE(cases, holder, step_of(DATABASE_BEGIN), step_seats(DATABASE_TAKE_SEATS, 1, 1),
              step_insert(1, &row, 1));
    struct database_step step = step_call(1, case_row(cases, 1));
    struct case_run run;
    case_start(&run, caller, &step, 1);
    case_expect_waiting(cases, &run);
    CASE_DONE(cases, holder, step_of(DATABASE_COMMIT));
    assert_int_equal(case_finish(cases, &run), DATABASE_DONE);
    assert_int_equal(step.call.outcome, RESV_SOLD_OUT);
    /* The same id, while the first is not committed. */
    CASE_DONE(cases, holder, step_seats(DATABASE_WRITE_SOLD, 1, 0), step_cancel(row.id));
    row = case_row(cases, 1);
    CASE_DONE(cases, holder, step_of(DATABASE_BEGIN), step_seats(DATABASE_TAKE_SEATS, 1, 1),
              step_insert(1, &row, 1));
    step = step_call(1, row);
    case_start(&run, caller, &step, 1);
    case_expect_waiting(cases, &run);
    CASE_DONE(cases, holder, step_of(DATABASE_COMMIT));
    assert_int_equal(case_finish(cases, &run), DATABASE_DONE);
    assert_int_equal(step.call.outcome, RESV_GRANTED);
    assert_true(step.call.reservation.replay);
    database_give_back(caller);
    database_give_back(holder);
    case_expect_seats(cases, 1, 1, 1);
}

static void call_that_waits_too_long_takes_nothing(struct database_cases *cases)
{
    case_reset(cases, 1, 1, 5);
    struct database_session *holder = case_acquire(cases), *caller = case_acquire(cases);
    CASE_DONE(cases, holder, step_of(DATABASE_BEGIN), step_concert(DATABASE_LOCK_CONCERT, 1));
    struct database_row row = case_row(cases, 1);
    struct database_step step = step_call(1, row);
    assert_int_equal(case_step(cases, caller, &step), DATABASE_LOCK_WAIT);
    CASE_DONE(cases, holder, step_of(DATABASE_ROLLBACK));
    CASE_DONE(cases, caller, step_of(DATABASE_ROLLBACK));
    case_expect_row(cases, row.id, false);
    expect_call(cases, caller, 1, row, RESV_GRANTED);
    database_give_back(caller);
    database_give_back(holder);
    case_expect_seats(cases, 1, 1, 1);
}

static void call_holds_the_lock_as_long_as_told(struct database_cases *cases)
{
    case_reset(cases, 1, 1, 5);
    struct database_session *holder = case_acquire(cases), *other = case_acquire(cases);
    struct database_step hold = step_call(1, case_row(cases, 1));
    hold.call.hold_ms = 1100;
    struct case_run holding, waiting;
    case_start(&holding, holder, &hold, 1);
    case_expect_waiting(cases, &holding);
    struct database_step lock = step_concert(DATABASE_LOCK_CONCERT, 1);
    case_start(&waiting, other, &lock, 1);
    case_expect_waiting(cases, &waiting);
    assert_int_equal(case_finish(cases, &holding), DATABASE_DONE);
    assert_int_equal(case_finish(cases, &waiting), DATABASE_DONE);
    assert_int_equal(lock.concert.sold, 1);
    database_give_back(other);
    database_give_back(holder);
}

/* No two of them deadlock, and every seat goes once. */
static void calls_at_the_same_moment(struct database_cases *cases)
{
    enum { SESSIONS = 4, ROUNDS = 25 };
    case_reset(cases, 1, 4, 60);
    struct database_session *sessions[SESSIONS];
    struct database_step steps[SESSIONS];
    struct case_run runs[SESSIONS];
    size_t granted = 0;
    for (size_t i = 0; i < SESSIONS; i++)
        sessions[i] = case_acquire(cases);
    for (size_t round = 0; round < ROUNDS; round++) {
        struct database_row shared = case_row(cases, 1); /* the first two have the same id */
        for (size_t i = 0; i < SESSIONS; i++) {
            steps[i] = step_call(1, i < 2 ? shared : case_row(cases, (int64_t)i + 1));
            case_start(&runs[i], sessions[i], &steps[i], 1);
        }
        for (size_t i = 0; i < SESSIONS; i++) {
            assert_int_equal(case_finish(cases, &runs[i]), DATABASE_DONE);
            assert_true(steps[i].call.outcome == RESV_GRANTED ||
                        steps[i].call.outcome == RESV_SOLD_OUT);
            if (steps[i].call.outcome == RESV_GRANTED && !steps[i].call.reservation.replay)
                granted++;
        }
    }
    for (size_t i = 0; i < SESSIONS; i++)
        database_give_back(sessions[i]);
    assert_int_equal(granted, 60);
    case_expect_seats(cases, 1, 60, 60);
}

const struct database_case database_cases_call[] = {
    {"call: granted until sold out", granted_until_sold_out},
    {"call: unknown parents", unknown_parents},
    {"call: same id again", same_id_again},
    {"call: limit of a member", limit_of_a_member},
    {"call: waits for the concert", call_waits_for_the_concert},
    {"call: that waits too long takes nothing", call_that_waits_too_long_takes_nothing},
    {"call: holds the lock as long as told", call_holds_the_lock_as_long_as_told},
    {"call: at the same moment", calls_at_the_same_moment},
    {NULL, NULL},
};
