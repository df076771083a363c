/* Database cases: what a consumer of events asks for: rows of events, positions, the epoch, pages.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "database_case_kit.h"

static struct database_event_row event_row(struct database_cases *cases, int64_t concert_id,
                                           int64_t member_id)
{
    return (struct database_event_row){.id = case_id(cases),
                                       .concert_id = concert_id,
                                       .member_id = member_id,
                                       .quantity = 1,
                                       .created_ms = CASE_WALL_MS,
                                       .status = RESV_STATUS_CONFIRMED};
}

static struct database_step step_events(const struct database_event_row *rows, size_t count)
{
    return (struct database_step){.kind = DATABASE_INSERT_EVENTS,
                                  .events = {.rows = rows, .count = count}};
}

static void expect_rows(struct database_cases *cases, const struct database_event_row *rows,
                        size_t count, bool found)
{
    for (size_t i = 0; i < count; i++) {
        struct database_reservation item = case_read_reservation(cases, rows[i].id);
        assert_int_equal(item.found, found);
        if (!found)
            continue;
        assert_true(item.row.concert_id == rows[i].concert_id);
        assert_true(item.row.member_id == rows[i].member_id);
        assert_true(item.row.quantity == rows[i].quantity);
        assert_int_equal(item.row.status, rows[i].status);
    }
}

/* --- rows ------------------------------------------------------------------------------------- */

static void events_have_all_that_is_their_own(struct database_cases *cases)
{
    case_reset(cases, 3, 3, 10);
    struct database_event_row rows[] = {event_row(cases, 3, 1), event_row(cases, 1, 2),
                                        event_row(cases, 3, 3), event_row(cases, 2, 3)};
    rows[0].quantity = 4;
    rows[1].status = RESV_STATUS_REJECTED;
    rows[2].created_ms = 0;
    rows[3].quantity = RESV_INTEGER_MAX;
    rows[3].created_ms = INT64_MAX;
    rows[3].status = RESV_STATUS_REJECTED;
    struct database_session *session = case_acquire(cases);
    CASE_DONE(cases, session, step_of(DATABASE_BEGIN), step_events(rows, 4),
              step_seats(DATABASE_TAKE_SEATS, 3, 5), step_of(DATABASE_COMMIT));
    database_give_back(session);
    expect_rows(cases, rows, 4, true);
    case_expect_seats(cases, 1, 0, 0);
    case_expect_seats(cases, 2, 0, 0);
    case_expect_seats(cases, 3, 5, 5);
}

static void one_bad_event_spoils_all(struct database_cases *cases)
{
    case_reset(cases, 2, 2, 10);
    struct database_session *session = case_acquire(cases);
    struct database_event_row there = event_row(cases, 1, 1);
    CASE_DONE(cases, session, step_events(&there, 1));
    struct database_event_row rejected = there, no_concert = event_row(cases, 3, 1),
                              no_member = event_row(cases, 2, 3);
    rejected.status = RESV_STATUS_REJECTED; /* has no seats, but an id */
    no_concert.status = RESV_STATUS_REJECTED;
    const struct {
        struct database_event_row bad;
        enum database_result result;
    } each[] = {{there, DATABASE_DUPLICATE},
                {rejected, DATABASE_DUPLICATE},
                {no_concert, DATABASE_NO_PARENT},
                {no_member, DATABASE_NO_PARENT}};
    for (size_t i = 0; i < sizeof each / sizeof each[0]; i++) {
        struct database_event_row rows[] = {event_row(cases, 1, 1), each[i].bad,
                                            event_row(cases, 2, 2)};
        struct database_step steps[] = {step_of(DATABASE_BEGIN),
                                        step_seats(DATABASE_TAKE_SEATS, 2, 1), step_events(rows, 3),
                                        step_of(DATABASE_COMMIT)};
        size_t failed_at;
        assert_int_equal(case_run(cases, session, steps, 4, &failed_at), each[i].result);
        assert_int_equal(failed_at, 2);
        CASE_DONE(cases, session, step_events(&rows[2], 1), step_of(DATABASE_COMMIT)); /* open */
        expect_rows(cases, &rows[0], 1, false);
        expect_rows(cases, &rows[2], 1, true);
    }
    struct database_event_row twice[] = {event_row(cases, 1, 1), event_row(cases, 2, 2)};
    twice[1].id = twice[0].id;
    struct database_step step = step_events(twice, 2);
    assert_int_equal(case_step(cases, session, &step), DATABASE_DUPLICATE);
    database_give_back(session);
    expect_rows(cases, twice, 1, false);
    case_expect_seats(cases, 2, 4, 4);
}

static void rejected_row_has_no_seats(struct database_cases *cases)
{
    case_reset(cases, 1, 1, 10);
    struct database_session *session = case_acquire(cases);
    struct database_event_row rows[] = {event_row(cases, 1, 1), event_row(cases, 1, 1)};
    rows[0].status = RESV_STATUS_REJECTED;
    rows[0].quantity = 5;
    struct database_member member = {.id = 1};
    for (int committed = 0; committed < 2; committed++) {
        if (!committed)
            CASE_DONE(cases, session, step_of(DATABASE_BEGIN), step_events(rows, 2),
                      step_seats(DATABASE_TAKE_SEATS, 1, 1));
        CASE_DONE(cases, session, step_members(DATABASE_READ_MEMBER_SEATS, 1, &member, 1));
        assert_true(member.seats == 1);
        struct database_step cancel = step_cancel(rows[0].id);
        assert_int_equal(case_step(cases, session, &cancel), DATABASE_DONE);
        assert_false(cancel.reservation.changed);
        if (!committed)
            CASE_DONE(cases, session, step_of(DATABASE_COMMIT));
    }
    CASE_DONE(cases, session, step_of(DATABASE_BEGIN), step_cancel(rows[1].id),
              step_seats(DATABASE_GIVE_BACK_SEATS, 1, 1), step_of(DATABASE_COMMIT));
    database_give_back(session);
    rows[1].status = RESV_STATUS_CANCELLED;
    expect_rows(cases, rows, 2, true);
    case_expect_seats(cases, 1, 0, 0);
}

/* --- a batch ---------------------------------------------------------------------------------- */

static void batch_in_one_run(struct database_cases *cases)
{
    case_reset(cases, 3, 2, 10);
    int32_t partition = case_partition(cases);
    int64_t epoch = case_epoch(cases);
    struct database_event_row rows[] = {event_row(cases, 1, 1), event_row(cases, 2, 2),
                                        event_row(cases, 1, 2), event_row(cases, 3, 1)};
    rows[1].quantity = 10;
    struct database_step steps[] = {step_of(DATABASE_BEGIN),
                                    step_move(partition, epoch, 0, 4),
                                    step_events(rows, 4),
                                    step_seats(DATABASE_TAKE_SEATS_OR_FAIL, 1, 2),
                                    step_seats(DATABASE_TAKE_SEATS_OR_FAIL, 2, 10),
                                    step_seats(DATABASE_TAKE_SEATS_OR_FAIL, 3, 1),
                                    step_concert(DATABASE_READ_CONCERT, 1),
                                    step_concert(DATABASE_READ_CONCERT, 2),
                                    step_concert(DATABASE_READ_CONCERT, 3),
                                    step_of(DATABASE_COMMIT)};
    enum { COUNT = sizeof steps / sizeof steps[0] };
    struct database_session *session = case_acquire(cases);
    assert_int_equal(case_run(cases, session, steps, COUNT, NULL), DATABASE_DONE);
    static const int64_t sold[] = {2, 10, 1};
    for (size_t i = 0; i < 3; i++) { /* as this transaction has it, before its end */
        assert_true(steps[6 + i].concert.found);
        assert_true(steps[6 + i].concert.sold == sold[i]);
        assert_true(steps[6 + i].concert.capacity == 10);
        case_expect_seats(cases, (int64_t)i + 1, sold[i], sold[i]);
    }
    /* A second time nothing is executed, and a third, which starts where it is, is refused by a
     * concert that is full: none of it stays. */
    for (int64_t from = 0; from <= 4; from += 4) {
        struct database_event_row more[] = {event_row(cases, 1, 1), event_row(cases, 2, 1)};
        struct database_step again[] = {step_of(DATABASE_BEGIN),
                                        step_move(partition, epoch, from, from + 2),
                                        step_events(more, 2),
                                        step_seats(DATABASE_TAKE_SEATS_OR_FAIL, 1, 1),
                                        step_seats(DATABASE_TAKE_SEATS_OR_FAIL, 2, 1),
                                        step_of(DATABASE_COMMIT)};
        size_t failed_at;
        assert_int_equal(case_run(cases, session, again, 6, &failed_at), DATABASE_REFUSED);
        assert_int_equal(failed_at, from == 0 ? 1 : 4);
        struct database_reservation item = {.id = more[0].id};
        CASE_DONE(cases, session, step_reservations(&item, 1)); /* it is open */
        assert_int_equal(item.found, from == 4);
        CASE_DONE(cases, session, step_of(DATABASE_ROLLBACK));
        expect_rows(cases, more, 2, false);
    }
    database_give_back(session);
    assert_true(case_read_position(cases, partition).next_offset == 4);
    case_expect_sold(cases, 1, 2);
}

/* As many steps as a consumer of many concerts has in one run, and as many rows. */
static void many_steps_in_one_run(struct database_cases *cases)
{
    enum { CONCERTS = 100, ROWS = 500, COUNT = 5 + 3 * CONCERTS };
    case_reset(cases, CONCERTS, 10, 100);
    struct database_event_row *rows = calloc(ROWS, sizeof *rows);
    struct database_step *steps = calloc(COUNT, sizeof *steps);
    assert_true(rows != NULL && steps != NULL);
    for (size_t i = 0; i < ROWS; i++)
        rows[i] = event_row(cases, 1 + (int64_t)i % CONCERTS, 1 + (int64_t)i % 10);
    int32_t partition = case_partition(cases);
    size_t count = 0;
    steps[count++] = step_of(DATABASE_BEGIN);
    steps[count++] = step_position(DATABASE_LOCK_POSITION, partition);
    for (int64_t i = 1; i <= CONCERTS; i++)
        steps[count++] = step_concert(DATABASE_LOCK_CONCERT, i);
    steps[count++] = step_events(rows, ROWS);
    for (int64_t i = 1; i <= CONCERTS; i++)
        steps[count++] = step_seats(DATABASE_TAKE_SEATS_OR_FAIL, i, ROWS / CONCERTS);
    steps[count++] = step_move(partition, case_epoch(cases), 0, ROWS);
    for (int64_t i = 1; i <= CONCERTS; i++)
        steps[count++] = step_concert(DATABASE_READ_CONCERT, i);
    steps[count++] = step_of(DATABASE_COMMIT);
    assert_int_equal(count, COUNT);
    struct database_session *session = case_acquire(cases);
    assert_int_equal(case_run(cases, session, steps, COUNT, NULL), DATABASE_DONE);
    assert_false(steps[1].position.found);
    for (size_t i = 0; i < CONCERTS; i++) {
        assert_true(steps[2 + i].concert.found && steps[2 + i].concert.sold == 0);
        assert_true(steps[COUNT - 1 - CONCERTS + i].concert.sold == ROWS / CONCERTS);
    }
    /* Behind a step that is two statements, it is still known which one failed. */
    steps[0] = step_of(DATABASE_BEGIN);
    steps[CONCERTS + 2] = step_seats(DATABASE_TAKE_SEATS_OR_FAIL, 7, 1000);
    size_t failed_at;
    assert_int_equal(case_run(cases, session, steps, COUNT, &failed_at), DATABASE_REFUSED);
    assert_int_equal(failed_at, CONCERTS + 2);
    assert_true(steps[1].position.found && steps[1].position.next_offset == ROWS);
    assert_true(steps[1 + CONCERTS].concert.sold == ROWS / CONCERTS);
    CASE_DONE(cases, session, step_of(DATABASE_ROLLBACK));
    database_give_back(session);
    expect_rows(cases, &rows[ROWS - 1], 1, true);
    assert_true(case_read_position(cases, partition).next_offset == ROWS);
    free(steps);
    free(rows);
}

/* --- pages ------------------------------------------------------------------------------------ */

static void concerts_by_pages(struct database_cases *cases)
{
    case_reset(cases, 5, 1, 10);
    case_set_limit(cases, 4, 3);
    struct database_session *session = case_acquire(cases);
    CASE_DONE(cases, session, step_seats(DATABASE_TAKE_SEATS, 2, 7));
    int64_t after = INT64_MIN, seen = 0;
    static const size_t counts[] = {2, 2, 1, 0};
    for (size_t page = 0; page < sizeof counts / sizeof counts[0]; page++) {
        struct database_concert_step items[2];
        struct database_step step = {
            .kind = DATABASE_READ_CONCERTS,
            .concert_page = {.after_concert_id = after, .items = items, .room = 2, .count = 99}};
        assert_int_equal(case_step(cases, session, &step), DATABASE_DONE);
        assert_int_equal(step.concert_page.count, counts[page]);
        for (size_t i = 0; i < counts[page]; i++) {
            struct database_concert_step same = case_read_concert(cases, ++seen);
            assert_true(items[i].concert_id == seen && items[i].found);
            assert_true(items[i].capacity == 10 && items[i].sold == (seen == 2 ? 7 : 0));
            assert_true(items[i].member_limit == (seen == 4 ? 3 : RESV_NO_MEMBER_LIMIT));
            assert_true(items[i].fence == same.fence);
            after = seen;
        }
    }
    assert_true(seen == 5);
    database_give_back(session);
}

static void live_seats_by_pages(struct database_cases *cases)
{
    enum { MEMBERS = 30 };
    case_reset(cases, 2, MEMBERS, 1000);
    struct database_session *session = case_acquire(cases);
    struct database_event_row rows[3 * MEMBERS];
    size_t count = 0;
    for (int64_t member = MEMBERS; member >= 1; member--) {
        rows[count] = event_row(cases, 2, member); /* another's */
        rows[count++].quantity = 100;
        if (member % 3 == 0)
            continue; /* has none */
        rows[count] = event_row(cases, 1, member);
        rows[count++].quantity = member;
        rows[count] = event_row(cases, 1, member);
        rows[count++].status = member % 2 == 0 ? RESV_STATUS_REJECTED : RESV_STATUS_CONFIRMED;
    }
    CASE_DONE(cases, session, step_of(DATABASE_BEGIN), step_events(rows, count));
    for (size_t i = 0; i < count; i++) {
        if (rows[i].concert_id == 1 && rows[i].member_id >= 29)
            CASE_DONE(cases, session, step_cancel(rows[i].id));
    }
    int64_t next = 1, after = INT64_MIN;
    for (bool last = false; !last;) { /* as this transaction has it */
        struct database_member items[4];
        struct database_step step = {
            .kind = DATABASE_READ_ALL_MEMBER_SEATS,
            .member_page = {
                .concert_id = 1, .after_member_id = after, .items = items, .room = 4, .count = 99}};
        assert_int_equal(case_step(cases, session, &step), DATABASE_DONE);
        last = step.member_page.count < 4;
        for (size_t i = 0; i < step.member_page.count; i++, next++) {
            if (next % 3 == 0)
                next++;
            assert_true(items[i].id == next);
            assert_true(items[i].seats == next + (next % 2 == 0 ? 0 : 1));
            after = next;
        }
    }
    assert_true(after == 28);
    CASE_DONE(cases, session, step_of(DATABASE_ROLLBACK));
    database_give_back(session);
}

const struct database_case database_cases_events[] = {
    {"events: have all that is their own", events_have_all_that_is_their_own},
    {"events: one bad event spoils all", one_bad_event_spoils_all},
    {"events: rejected row has no seats", rejected_row_has_no_seats},
    {"events: batch in one run", batch_in_one_run},
    {"events: many steps in one run", many_steps_in_one_run},
    {"events: concerts by pages", concerts_by_pages},
    {"events: live seats by pages", live_seats_by_pages},
    {NULL, NULL},
};
