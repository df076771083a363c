/* Database cases: what each step does and says, one session at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "database_case_kit.h"

static void reserve_in_one_run(struct database_cases *cases)
{
    case_reset(cases, 2, 3, 10);
    struct database_session *session = case_acquire(cases);
    struct database_row rows[] = {case_row(cases, 1), case_row(cases, 3)};
    rows[1].quantity = 4;
    struct database_step steps[] = {step_of(DATABASE_BEGIN), step_seats(DATABASE_TAKE_SEATS, 2, 5),
                                    step_insert(2, rows, 2), step_concert(DATABASE_READ_CONCERT, 2),
                                    step_of(DATABASE_COMMIT)};
    assert_int_equal(case_run(cases, session, steps, 5, NULL), DATABASE_DONE);
    assert_true(steps[1].seats.changed);
    assert_true(steps[3].concert.found);
    assert_int_equal(steps[3].concert.sold, 5);
    database_give_back(session);
    struct database_concert_step concert = case_read_concert(cases, 2);
    assert_true(concert.found);
    assert_int_equal(concert.capacity, 10);
    assert_int_equal(concert.sold, 5);
    assert_int_equal(concert.member_limit, RESV_NO_MEMBER_LIMIT);
    struct database_reservation item = case_read_reservation(cases, rows[1].id);
    assert_true(item.found);
    assert_int_equal(item.row.concert_id, 2);
    assert_int_equal(item.row.member_id, 3);
    assert_int_equal(item.row.quantity, 4);
    assert_int_equal(item.row.status, RESV_STATUS_CONFIRMED);
    case_expect_seats(cases, 2, 5, 5);
    case_expect_seats(cases, 1, 0, 0);
}

static void rollback_leaves_nothing(struct database_cases *cases)
{
    case_reset(cases, 1, 1, 10);
    struct database_session *session = case_acquire(cases);
    struct database_row row = case_row(cases, 1);
    CASE_DONE(cases, session, step_of(DATABASE_BEGIN), step_seats(DATABASE_TAKE_SEATS, 1, 1),
              step_insert(1, &row, 1), step_of(DATABASE_ROLLBACK));
    database_give_back(session);
    case_expect_row(cases, row.id, false);
    case_expect_sold(cases, 1, 0);
}

static void given_back_in_a_transaction_leaves_nothing(struct database_cases *cases)
{
    case_reset(cases, 1, 1, 10);
    struct database_row row = case_row(cases, 1);
    for (int i = 0; i < 6; i++) { /* more than there are sessions: each is replaced */
        struct database_session *session = case_acquire(cases);
        CASE_DONE(cases, session, step_of(DATABASE_BEGIN), step_seats(DATABASE_TAKE_SEATS, 1, 1),
                  step_insert(1, &row, 1));
        database_give_back(session);
    }
    struct database_session *session = case_acquire(cases);
    CASE_DONE(cases, session, step_concert(DATABASE_LOCK_CONCERT, 1)); /* nobody holds it */
    database_give_back(session);
    case_expect_row(cases, row.id, false);
    case_expect_sold(cases, 1, 0);
}

static void seats_are_taken_while_they_fit(struct database_cases *cases)
{
    case_reset(cases, 2, 1, 3);
    struct database_session *session = case_acquire(cases);
    struct database_step steps[] = {
        step_seats(DATABASE_TAKE_SEATS, 1, 2),     step_seats(DATABASE_TAKE_SEATS, 1, 2),
        step_seats(DATABASE_TAKE_SEATS, 1, 1),     step_seats(DATABASE_TAKE_SEATS, 1, 1),
        step_seats(DATABASE_TAKE_SEATS, 77, 1),    step_seats(DATABASE_TAKE_SEATS, 2, 4),
        step_seats(DATABASE_GIVE_BACK_SEATS, 1, 3)};
    assert_int_equal(case_run(cases, session, steps, 7, NULL), DATABASE_DONE);
    static const bool changed[] = {true, false, true, false, false, false};
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(steps[i].seats.changed, changed[i]);
    /* Outside of a transaction each commits by itself. */
    database_give_back(session);
    case_expect_sold(cases, 1, 0);
    case_expect_sold(cases, 2, 0);
}

static void largest_numbers_do_not_overflow(struct database_cases *cases)
{
    case_reset(cases, 1, 1, RESV_INTEGER_MAX);
    struct database_session *session = case_acquire(cases);
    struct database_row row = case_row(cases, 1);
    row.quantity = RESV_INTEGER_MAX;
    struct database_step steps[] = {step_seats(DATABASE_TAKE_SEATS_OR_FAIL, 1, RESV_INTEGER_MAX),
                                    step_insert(1, &row, 1),
                                    step_seats(DATABASE_TAKE_SEATS, 1, RESV_INTEGER_MAX)};
    assert_int_equal(case_run(cases, session, steps, 3, NULL), DATABASE_DONE);
    assert_false(steps[2].seats.changed);
    struct database_step more = step_seats(DATABASE_TAKE_SEATS_OR_FAIL, 1, RESV_INTEGER_MAX);
    assert_int_equal(case_step(cases, session, &more), DATABASE_REFUSED);
    struct database_member member = {.id = 1};
    CASE_DONE(cases, session, step_members(DATABASE_READ_MEMBER_SEATS, 1, &member, 1));
    assert_true(member.seats == RESV_INTEGER_MAX);
    database_give_back(session);
    struct database_reservation item = case_read_reservation(cases, row.id);
    assert_true(item.found && item.row.quantity == RESV_INTEGER_MAX);
    case_expect_sold(cases, 1, RESV_INTEGER_MAX);
}

/* --- TAKE_SEATS_OR_FAIL ----------------------------------------------------------------------- */

static void or_fail_stops_what_is_behind(struct database_cases *cases)
{
    case_reset(cases, 2, 1, 2);
    struct database_session *session = case_acquire(cases);
    struct database_row first = case_row(cases, 1), second = case_row(cases, 1);
    struct database_step steps[] = {
        step_of(DATABASE_BEGIN),    step_seats(DATABASE_TAKE_SEATS_OR_FAIL, 1, 2),
        step_insert(1, &first, 1),  step_seats(DATABASE_TAKE_SEATS_OR_FAIL, 1, 1),
        step_insert(1, &second, 1), step_seats(DATABASE_TAKE_SEATS, 2, 1),
        step_of(DATABASE_COMMIT)};
    size_t failed_at;
    assert_int_equal(case_run(cases, session, steps, 7, &failed_at), DATABASE_REFUSED);
    assert_int_equal(failed_at, 3);
    case_expect_sold(cases, 1, 0); /* not committed: nothing behind was executed */
    case_expect_row(cases, first.id, false);
    /* It is open, and holds what was done before. */
    CASE_DONE(cases, session, step_of(DATABASE_COMMIT));
    database_give_back(session);
    case_expect_sold(cases, 1, 2);
    case_expect_sold(cases, 2, 0);
    case_expect_row(cases, first.id, true);
    case_expect_row(cases, second.id, false);
}

static void or_fail_refuses_a_limit(struct database_cases *cases)
{
    case_reset(cases, 2, 1, 100);
    case_set_limit(cases, 1, 5);
    struct database_session *session = case_acquire(cases);
    struct database_row row = case_row(cases, 1);
    struct database_step steps[] = {step_of(DATABASE_BEGIN),
                                    step_seats(DATABASE_TAKE_SEATS_OR_FAIL, 1, 1),
                                    step_insert(1, &row, 1), step_of(DATABASE_COMMIT)};
    size_t failed_at;
    assert_int_equal(case_run(cases, session, steps, 4, &failed_at), DATABASE_REFUSED);
    assert_int_equal(failed_at, 1);
    struct database_step after[] = {step_of(DATABASE_ROLLBACK),
                                    step_seats(DATABASE_TAKE_SEATS, 1, 1)};
    assert_int_equal(case_run(cases, session, after, 2, NULL), DATABASE_DONE);
    assert_true(after[1].seats.changed); /* which knows no limit */
    database_give_back(session);
    assert_int_equal(case_read_concert(cases, 1).member_limit, 5);
    case_expect_row(cases, row.id, false);
}

static void or_fail_of_no_concert_fails_by_the_insert(struct database_cases *cases)
{
    case_reset(cases, 1, 1, 100);
    struct database_session *session = case_acquire(cases);
    struct database_row row = case_row(cases, 1);
    struct database_step steps[] = {step_of(DATABASE_BEGIN),
                                    step_seats(DATABASE_TAKE_SEATS_OR_FAIL, 9, 1),
                                    step_insert(9, &row, 1), step_of(DATABASE_COMMIT)};
    size_t failed_at;
    assert_int_equal(case_run(cases, session, steps, 4, &failed_at), DATABASE_NO_PARENT);
    assert_int_equal(failed_at, 2);
    CASE_DONE(cases, session, step_of(DATABASE_ROLLBACK));
    database_give_back(session);
    case_expect_row(cases, row.id, false);
}

/* --- INSERT_RESERVATIONS ---------------------------------------------------------------------- */

static void one_duplicate_spoils_the_insert_only(struct database_cases *cases)
{
    case_reset(cases, 1, 3, 100);
    struct database_session *session = case_acquire(cases);
    struct database_row rows[3];
    for (size_t i = 0; i < 3; i++)
        rows[i] = case_row(cases, 1);
    CASE_DONE(cases, session, step_insert(1, &rows[1], 1));
    struct database_step steps[] = {step_of(DATABASE_BEGIN), step_seats(DATABASE_TAKE_SEATS, 1, 3),
                                    step_concert(DATABASE_READ_CONCERT, 1), step_insert(1, rows, 3),
                                    step_of(DATABASE_COMMIT)};
    size_t failed_at;
    assert_int_equal(case_run(cases, session, steps, 5, &failed_at), DATABASE_DUPLICATE);
    assert_int_equal(failed_at, 3);
    assert_true(steps[1].seats.changed);
    assert_int_equal(steps[2].concert.sold, 3);
    CASE_DONE(cases, session, step_of(DATABASE_COMMIT));
    database_give_back(session);
    case_expect_sold(cases, 1, 3);
    case_expect_row(cases, rows[0].id, false);
    case_expect_row(cases, rows[1].id, true);
    case_expect_row(cases, rows[2].id, false);
}

static void duplicate_within_one_insert(struct database_cases *cases)
{
    case_reset(cases, 1, 3, 100);
    struct database_session *session = case_acquire(cases);
    struct database_row rows[2] = {case_row(cases, 1), case_row(cases, 2)};
    rows[1].id = rows[0].id;
    struct database_step step = step_insert(1, rows, 2);
    assert_int_equal(case_step(cases, session, &step), DATABASE_DUPLICATE);
    database_give_back(session);
    case_expect_row(cases, rows[0].id, false);
}

static void insert_needs_its_parents(struct database_cases *cases)
{
    case_reset(cases, 1, 2, 100);
    struct database_session *session = case_acquire(cases);
    struct database_row rows[2] = {case_row(cases, 2), case_row(cases, 3)};
    struct database_step member = step_insert(1, rows, 2);
    assert_int_equal(case_step(cases, session, &member), DATABASE_NO_PARENT);
    struct database_step concert = step_insert(2, rows, 1);
    assert_int_equal(case_step(cases, session, &concert), DATABASE_NO_PARENT);
    CASE_DONE(cases, session, step_insert(1, rows, 1));
    database_give_back(session);
    case_expect_row(cases, rows[0].id, true);
    case_expect_row(cases, rows[1].id, false);
}

/* Rows are written in order, and of one row the id is looked at before the parents. */
static void first_bad_row_decides(struct database_cases *cases)
{
    case_reset(cases, 1, 1, 100);
    struct database_session *session = case_acquire(cases);
    struct database_row there = case_row(cases, 1);
    CASE_DONE(cases, session, step_insert(1, &there, 1));
    struct database_row both = there, orphan = case_row(cases, 5);
    both.member_id = 5;
    struct database_row rows[][2] = {{orphan, there}, {there, orphan}, {both, orphan}};
    static const enum database_result results[] = {DATABASE_NO_PARENT, DATABASE_DUPLICATE,
                                                   DATABASE_DUPLICATE};
    for (size_t i = 0; i < 3; i++) {
        struct database_step step = step_insert(1, rows[i], 2);
        assert_int_equal(case_step(cases, session, &step), results[i]);
    }
    database_give_back(session);
}

static void many_rows_in_one_step(struct database_cases *cases)
{
    enum { COUNT = 500 };
    case_reset(cases, 1, COUNT, 1000);
    struct database_row *rows = calloc(COUNT, sizeof *rows);
    struct database_reservation *items = calloc(COUNT, sizeof *items);
    struct database_member *members = calloc(COUNT, sizeof *members);
    assert_true(rows != NULL && items != NULL && members != NULL);
    for (size_t i = 0; i < COUNT; i++) {
        rows[i] = case_row(cases, (int64_t)(COUNT - i));
        rows[i].quantity = (int64_t)i + 1;
        items[i].id = rows[i].id; /* ids grow */
        members[i].id = (int64_t)i + 1;
    }
    struct database_session *session = case_acquire(cases);
    /* Every second is there. */
    struct database_row *half = calloc(COUNT / 2, sizeof *half);
    assert_non_null(half);
    for (size_t i = 0; i < COUNT / 2; i++)
        half[i] = rows[i * 2];
    CASE_DONE(cases, session, step_insert(1, half, COUNT / 2));
    CASE_DONE(cases, session, step_reservations(items, COUNT),
              step_members(DATABASE_READ_MEMBER_SEATS, 1, members, COUNT));
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(items[i].found, i % 2 == 0);
        if (items[i].found) {
            assert_int_equal(items[i].row.quantity, i + 1);
            assert_int_equal(items[i].row.member_id, COUNT - i);
        }
        size_t row = COUNT - 1 - i; /* of this member */
        assert_int_equal(members[i].seats, row % 2 == 0 ? row + 1 : 0);
    }
    database_give_back(session);
    free(half);
    free(members);
    free(items);
    free(rows);
}

/* --- reading ---------------------------------------------------------------------------------- */

static void reads_say_what_is_not_there(struct database_cases *cases)
{
    case_reset(cases, 2, 2, 7);
    struct database_session *session = case_acquire(cases);
    struct database_reservation items[2] = {{.id = case_id(cases), .found = true},
                                            {.id = case_id(cases), .found = true}};
    struct database_member members[] = {{.id = -5, .found = true},
                                        {.id = 1},
                                        {.id = 3, .found = true},
                                        {.id = RESV_INTEGER_MAX, .found = true}};
    struct database_step steps[] = {
        step_concert(DATABASE_READ_CONCERT, 3), step_concert(DATABASE_LOCK_CONCERT, -1),
        step_concert(DATABASE_LOCK_CONCERT, 2), step_reservations(items, 2),
        step_members(DATABASE_READ_MEMBERS, 0, members, 4)};
    steps[0].concert.found = steps[1].concert.found = true;
    assert_int_equal(case_run(cases, session, steps, 5, NULL), DATABASE_DONE);
    assert_false(steps[0].concert.found);
    assert_false(steps[1].concert.found);
    assert_true(steps[2].concert.found);
    assert_int_equal(steps[2].concert.capacity, 7);
    assert_false(items[0].found);
    assert_false(items[1].found);
    assert_false(members[0].found);
    assert_true(members[1].found);
    assert_false(members[2].found);
    assert_false(members[3].found);
    database_give_back(session);
}

static void member_seats_are_the_live_ones_of_the_concert(struct database_cases *cases)
{
    case_reset(cases, 2, 4, 100);
    struct database_session *session = case_acquire(cases);
    struct database_row rows[] = {case_row(cases, 1), case_row(cases, 1), case_row(cases, 1),
                                  case_row(cases, 2)};
    rows[1].quantity = 3;
    rows[2].quantity = 10;
    struct database_row other = case_row(cases, 2);
    CASE_DONE(cases, session, step_insert(1, rows, 4), step_insert(2, &other, 1),
              step_cancel(rows[2].id), step_cancel(rows[3].id));
    struct database_member members[] = {
        {.id = 1}, {.id = 2, .seats = 9}, {.id = 3, .seats = 9}, {.id = 99, .seats = 9}};
    CASE_DONE(cases, session, step_members(DATABASE_READ_MEMBER_SEATS, 1, members, 4));
    assert_int_equal(members[0].seats, 4);
    for (size_t i = 1; i < 4; i++)
        assert_int_equal(members[i].seats, 0);
    database_give_back(session);
}

static void uncommitted_is_seen_by_its_own_session_only(struct database_cases *cases)
{
    case_reset(cases, 1, 1, 10);
    struct database_session *session = case_acquire(cases);
    struct database_row row = case_row(cases, 1);
    struct database_reservation item = {.id = row.id};
    CASE_DONE(cases, session, step_of(DATABASE_BEGIN), step_seats(DATABASE_TAKE_SEATS, 1, 1),
              step_insert(1, &row, 1), step_reservations(&item, 1));
    assert_true(item.found);
    case_expect_row(cases, row.id, false); /* without waiting */
    case_expect_sold(cases, 1, 0);
    CASE_DONE(cases, session, step_of(DATABASE_COMMIT));
    database_give_back(session);
    case_expect_row(cases, row.id, true);
    case_expect_sold(cases, 1, 1);
}

static void isolation_is_as_asked_for(struct database_cases *cases)
{
    case_reset(cases, 1, 1, 10);
    struct database_session *reader = case_acquire(cases), *writer = case_acquire(cases);
    CASE_DONE(cases, reader, step_of(DATABASE_BEGIN), step_concert(DATABASE_READ_CONCERT, 1));
    CASE_DONE(cases, writer, step_seats(DATABASE_TAKE_SEATS, 1, 4));
    struct database_step again = step_concert(DATABASE_READ_CONCERT, 1);
    assert_int_equal(case_step(cases, reader, &again), DATABASE_DONE);
    assert_int_equal(again.concert.sold, cases->isolation == DATABASE_REPEATABLE_READ ? 0 : 4);
    CASE_DONE(cases, reader, step_of(DATABASE_COMMIT));
    assert_int_equal(case_step(cases, reader, &again), DATABASE_DONE);
    assert_int_equal(again.concert.sold, 4);
    database_give_back(writer);
    database_give_back(reader);
}

/* --- giving back, writing --------------------------------------------------------------------- */

static void cancelled_once(struct database_cases *cases)
{
    case_reset(cases, 1, 1, 10);
    struct database_session *session = case_acquire(cases);
    struct database_row row = case_row(cases, 1);
    row.quantity = 3;
    CASE_DONE(cases, session, step_seats(DATABASE_TAKE_SEATS, 1, 3), step_insert(1, &row, 1));
    struct database_step steps[] = {step_cancel(row.id), step_cancel(row.id),
                                    step_cancel(case_id(cases)),
                                    step_seats(DATABASE_GIVE_BACK_SEATS, 1, 3)};
    steps[1].reservation.changed = steps[2].reservation.changed = true;
    assert_int_equal(case_run(cases, session, steps, 4, NULL), DATABASE_DONE);
    assert_true(steps[0].reservation.changed);
    assert_false(steps[1].reservation.changed);
    assert_false(steps[2].reservation.changed);
    database_give_back(session);
    assert_int_equal(case_read_reservation(cases, row.id).row.status, RESV_STATUS_CANCELLED);
    case_expect_seats(cases, 1, 0, 0);
    /* A cancelled row keeps its id. */
    session = case_acquire(cases);
    struct database_step insert = step_insert(1, &row, 1);
    assert_int_equal(case_step(cases, session, &insert), DATABASE_DUPLICATE);
    database_give_back(session);
}

static void sold_is_written_whatever_it_was(struct database_cases *cases)
{
    case_reset(cases, 1, 1, 10);
    struct database_session *session = case_acquire(cases);
    CASE_DONE(cases, session, step_seats(DATABASE_TAKE_SEATS, 1, 9),
              step_seats(DATABASE_WRITE_SOLD, 1, 2), step_seats(DATABASE_WRITE_SOLD, 5, 1));
    case_expect_sold(cases, 1, 2);
    struct database_step too_many = step_seats(DATABASE_WRITE_SOLD, 1, 11);
    assert_int_equal(case_step(cases, session, &too_many), DATABASE_REFUSED);
    database_give_back(session);
    case_expect_sold(cases, 1, 2);
    case_expect_seats(cases, 1, 2, 0);
}

/* A count that was wrong before: rows can be given back nevertheless. */
static void giving_back_ends_at_zero(struct database_cases *cases)
{
    case_reset(cases, 1, 1, 10);
    struct database_session *session = case_acquire(cases);
    CASE_DONE(cases, session, step_seats(DATABASE_WRITE_SOLD, 1, 5),
              step_seats(DATABASE_GIVE_BACK_SEATS, 1, 2));
    case_expect_sold(cases, 1, 3);
    CASE_DONE(cases, session, step_seats(DATABASE_GIVE_BACK_SEATS, 1, 4));
    case_expect_sold(cases, 1, 0);
    CASE_DONE(cases, session, step_seats(DATABASE_GIVE_BACK_SEATS, 1, 1));
    database_give_back(session);
    case_expect_seats(cases, 1, 0, 0);
}

/* --- on disk ---------------------------------------------------------------------------------- */

static void sync_changes_nothing_of_a_sale(struct database_cases *cases)
{
    case_reset(cases, 1, 1, 10);
    struct database_session *writer = case_acquire(cases), *reader = case_acquire(cases);
    struct database_row row = case_row(cases, 1);
    struct database_reservation item = {.id = row.id};
    CASE_DONE(cases, writer, step_of(DATABASE_BEGIN), step_seats(DATABASE_TAKE_SEATS, 1, 1),
              step_insert(1, &row, 1));
    CASE_DONE(cases, reader, step_of(DATABASE_SYNC)); /* nor waits for a transaction */
    CASE_DONE(cases, writer, step_of(DATABASE_COMMIT), step_of(DATABASE_SYNC));
    CASE_DONE(cases, reader, step_of(DATABASE_BEGIN), step_reservations(&item, 1),
              step_of(DATABASE_ROLLBACK), step_of(DATABASE_SYNC), step_of(DATABASE_SYNC));
    assert_true(item.found);
    /* It is a transaction of its own, over when it is done. */
    struct database_row second = case_row(cases, 1);
    CASE_DONE(cases, reader, step_of(DATABASE_SYNC), step_of(DATABASE_BEGIN),
              step_insert(1, &second, 1), step_of(DATABASE_ROLLBACK));
    database_give_back(reader);
    database_give_back(writer);
    case_expect_row(cases, second.id, false);
    case_expect_seats(cases, 1, 1, 1);
}

static void many_sync_at_once(struct database_cases *cases)
{
    enum { SESSIONS = 4, ROUNDS = 20 };
    case_reset(cases, 1, 1, 1);
    struct database_session *sessions[SESSIONS];
    struct database_step steps[SESSIONS];
    struct case_run runs[SESSIONS];
    for (size_t i = 0; i < SESSIONS; i++)
        sessions[i] = case_acquire(cases);
    for (size_t round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < SESSIONS; i++) {
            steps[i] = step_of(DATABASE_SYNC);
            case_start(&runs[i], sessions[i], &steps[i], 1);
        }
        for (size_t i = 0; i < SESSIONS; i++)
            assert_int_equal(case_finish(cases, &runs[i]), DATABASE_DONE);
    }
    for (size_t i = 0; i < SESSIONS; i++)
        database_give_back(sessions[i]);
}

const struct database_case database_cases_steps[] = {
    {"reserve in one run", reserve_in_one_run},
    {"rollback leaves nothing", rollback_leaves_nothing},
    {"given back in a transaction leaves nothing", given_back_in_a_transaction_leaves_nothing},
    {"seats are taken while they fit", seats_are_taken_while_they_fit},
    {"largest numbers do not overflow", largest_numbers_do_not_overflow},
    {"or_fail stops what is behind", or_fail_stops_what_is_behind},
    {"or_fail refuses a limit", or_fail_refuses_a_limit},
    {"or_fail of no concert fails by the insert", or_fail_of_no_concert_fails_by_the_insert},
    {"one duplicate spoils the insert only", one_duplicate_spoils_the_insert_only},
    {"duplicate within one insert", duplicate_within_one_insert},
    {"insert needs its parents", insert_needs_its_parents},
    {"first bad row decides", first_bad_row_decides},
    {"many rows in one step", many_rows_in_one_step},
    {"reads say what is not there", reads_say_what_is_not_there},
    {"member seats are the live ones of the concert",
     member_seats_are_the_live_ones_of_the_concert},
    {"uncommitted is seen by its own session only", uncommitted_is_seen_by_its_own_session_only},
    {"isolation is as asked for", isolation_is_as_asked_for},
    {"cancelled once", cancelled_once},
    {"sold is written whatever it was", sold_is_written_whatever_it_was},
    {"giving back ends at zero", giving_back_ends_at_zero},
    {"sync changes nothing of a sale", sync_changes_nothing_of_a_sale},
    {"many sync at once", many_sync_at_once},
    {NULL, NULL},
};
