/* Database cases: sessions that wait for each other, deadlocks, and the end of a session. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "database_case_kit.h"

/* --- waiting ---------------------------------------------------------------------------------- */

static void locked_concert_is_waited_for(struct database_cases *cases)
{
    case_reset(cases, 2, 1, 10);
    struct database_session *holder = case_acquire(cases), *waiter = case_acquire(cases);
    CASE_DONE(cases, holder, step_of(DATABASE_BEGIN), step_concert(DATABASE_LOCK_CONCERT, 1));
    struct database_step lock[] = {step_of(DATABASE_BEGIN), step_concert(DATABASE_LOCK_CONCERT, 1)};
    struct case_run run;
    case_start(&run, waiter, lock, 2);
    case_expect_waiting(cases, &run);
    case_expect_sold(cases, 1, 0);                                   /* reading does not wait */
    CASE_DONE(cases, holder, step_seats(DATABASE_TAKE_SEATS, 2, 1)); /* nor another concert */
    CASE_DONE(cases, holder, step_seats(DATABASE_TAKE_SEATS, 1, 6), step_of(DATABASE_COMMIT));
    assert_int_equal(case_finish(cases, &run), DATABASE_DONE);
    assert_int_equal(lock[1].concert.sold, 6); /* the newest, not what was when it began */
    CASE_DONE(cases, waiter, step_of(DATABASE_ROLLBACK));
    database_give_back(waiter);
    database_give_back(holder);
}

/* Every step that writes a concert waits for who has it; and an INSERT's foreign key has it too. */
static void writers_wait_for_each_other(struct database_cases *cases)
{
    case_reset(cases, 1, 2, 10);
    struct database_session *holder = case_acquire(cases), *waiter = case_acquire(cases);
    struct database_row first = case_row(cases, 1), second = case_row(cases, 2);
    struct database_step holds[] = {
        step_seats(DATABASE_TAKE_SEATS, 1, 1), step_seats(DATABASE_WRITE_SOLD, 1, 1),
        step_seats(DATABASE_GIVE_BACK_SEATS, 1, 0), step_insert(1, &first, 1)};
    struct database_step waits[] = {step_seats(DATABASE_TAKE_SEATS_OR_FAIL, 1, 1),
                                    step_concert(DATABASE_LOCK_CONCERT, 1),
                                    step_seats(DATABASE_TAKE_SEATS, 1, 1)};
    for (size_t i = 0; i < sizeof holds / sizeof holds[0]; i++) {
        for (size_t j = 0; j < sizeof waits / sizeof waits[0]; j++) {
            CASE_DONE(cases, holder, step_of(DATABASE_BEGIN), holds[i]);
            CASE_DONE(cases, waiter, step_of(DATABASE_BEGIN));
            struct case_run run;
            case_start(&run, waiter, &waits[j], 1);
            case_expect_waiting(cases, &run);
            CASE_DONE(cases, holder, step_of(DATABASE_ROLLBACK));
            assert_int_equal(case_finish(cases, &run), DATABASE_DONE);
            CASE_DONE(cases, waiter, step_of(DATABASE_ROLLBACK));
        }
    }
    /* Two INSERTs share the concert, and an INSERT waits for a writer. */
    CASE_DONE(cases, holder, step_of(DATABASE_BEGIN), step_insert(1, &first, 1));
    CASE_DONE(cases, waiter, step_of(DATABASE_BEGIN), step_insert(1, &second, 1),
              step_of(DATABASE_ROLLBACK));
    CASE_DONE(cases, holder, step_of(DATABASE_ROLLBACK), step_of(DATABASE_BEGIN),
              step_seats(DATABASE_TAKE_SEATS, 1, 1));
    struct database_step insert = step_insert(1, &second, 1);
    struct case_run run;
    case_start(&run, waiter, &insert, 1);
    case_expect_waiting(cases, &run);
    CASE_DONE(cases, holder, step_of(DATABASE_COMMIT));
    assert_int_equal(case_finish(cases, &run), DATABASE_DONE);
    database_give_back(waiter);
    database_give_back(holder);
    case_expect_seats(cases, 1, 1, 1);
}

static void same_id_waits_for_the_first(struct database_cases *cases)
{
    case_reset(cases, 2, 1, 10);
    for (int committed = 0; committed < 2; committed++) {
        struct database_session *first = case_acquire(cases), *second = case_acquire(cases);
        struct database_row row = case_row(cases, 1);
        CASE_DONE(cases, first, step_of(DATABASE_BEGIN), step_insert(1, &row, 1));
        struct database_step insert = step_insert(2, &row, 1);
        struct case_run run;
        case_start(&run, second, &insert, 1);
        case_expect_waiting(cases, &run);
        CASE_DONE(cases, first, step_of(committed ? DATABASE_COMMIT : DATABASE_ROLLBACK));
        assert_int_equal(case_finish(cases, &run), committed ? DATABASE_DUPLICATE : DATABASE_DONE);
        database_give_back(second);
        database_give_back(first);
        assert_int_equal(case_read_reservation(cases, row.id).row.concert_id, committed ? 1 : 2);
    }
}

static void lock_wait_leaves_the_transaction_open(struct database_cases *cases)
{
    case_reset(cases, 2, 1, 10);
    struct database_session *holder = case_acquire(cases), *waiter = case_acquire(cases);
    struct database_row row = case_row(cases, 1);
    CASE_DONE(cases, holder, step_of(DATABASE_BEGIN), step_concert(DATABASE_LOCK_CONCERT, 1));
    struct database_step steps[] = {step_of(DATABASE_BEGIN), step_seats(DATABASE_TAKE_SEATS, 2, 1),
                                    step_insert(2, &row, 1), step_seats(DATABASE_TAKE_SEATS, 1, 1),
                                    step_of(DATABASE_COMMIT)};
    size_t failed_at;
    assert_int_equal(case_run(cases, waiter, steps, 5, &failed_at), DATABASE_LOCK_WAIT);
    assert_int_equal(failed_at, 3);
    assert_true(steps[1].seats.changed);
    case_expect_row(cases, row.id, false);
    CASE_DONE(cases, waiter, step_of(DATABASE_COMMIT));
    CASE_DONE(cases, holder, step_of(DATABASE_ROLLBACK));
    database_give_back(waiter);
    database_give_back(holder);
    case_expect_row(cases, row.id, true); /* still open: so it could be committed */
    case_expect_seats(cases, 2, 1, 1);
    case_expect_seats(cases, 1, 0, 0);
}

/* --- deadlocks -------------------------------------------------------------------------------- */

static void deadlock_ends_one_transaction(struct database_cases *cases)
{
    case_reset(cases, 2, 2, 10);
    struct database_session *sessions[2] = {case_acquire(cases), case_acquire(cases)};
    struct database_row rows[2] = {case_row(cases, 1), case_row(cases, 2)};
    for (int i = 0; i < 2; i++)
        CASE_DONE(cases, sessions[i], step_of(DATABASE_BEGIN),
                  step_seats(DATABASE_TAKE_SEATS, i + 1, 1), step_insert(i + 1, &rows[i], 1));
    struct database_step crossing[2] = {step_seats(DATABASE_TAKE_SEATS, 2, 1),
                                        step_seats(DATABASE_TAKE_SEATS, 1, 1)};
    struct case_run runs[2];
    case_start(&runs[0], sessions[0], &crossing[0], 1);
    case_expect_waiting(cases, &runs[0]);
    case_start(&runs[1], sessions[1], &crossing[1], 1);
    enum database_result results[2] = {case_finish(cases, &runs[0]), case_finish(cases, &runs[1])};
    int victim = results[0] == DATABASE_DEADLOCK ? 0 : 1;
    assert_int_equal(results[victim], DATABASE_DEADLOCK);
    assert_int_equal(results[1 - victim], DATABASE_DONE);
    /* The victim's is gone: a COMMIT has nothing to commit. */
    CASE_DONE(cases, sessions[victim], step_of(DATABASE_COMMIT));
    CASE_DONE(cases, sessions[1 - victim], step_of(DATABASE_COMMIT));
    for (int i = 0; i < 2; i++)
        database_give_back(sessions[i]);
    case_expect_row(cases, rows[victim].id, false);
    case_expect_row(cases, rows[1 - victim].id, true);
    case_expect_sold(cases, 1, 1);
    case_expect_sold(cases, 2, 1);
}

/* What `naive` is about: both have the concert by their INSERT's foreign key, both want to write.
 */
static void inserts_before_the_concert_deadlock(struct database_cases *cases)
{
    case_reset(cases, 1, 2, 10);
    struct database_session *sessions[2] = {case_acquire(cases), case_acquire(cases)};
    struct database_row rows[2] = {case_row(cases, 1), case_row(cases, 2)};
    for (int i = 0; i < 2; i++)
        CASE_DONE(cases, sessions[i], step_of(DATABASE_BEGIN), step_insert(1, &rows[i], 1));
    struct database_step writes[2] = {step_seats(DATABASE_WRITE_SOLD, 1, 1),
                                      step_seats(DATABASE_WRITE_SOLD, 1, 1)};
    struct case_run runs[2];
    for (int i = 0; i < 2; i++) {
        case_start(&runs[i], sessions[i], &writes[i], 1);
        if (i == 0)
            case_expect_waiting(cases, &runs[0]);
    }
    enum database_result results[2] = {case_finish(cases, &runs[0]), case_finish(cases, &runs[1])};
    assert_true((results[0] == DATABASE_DONE && results[1] == DATABASE_DEADLOCK) ||
                (results[0] == DATABASE_DEADLOCK && results[1] == DATABASE_DONE));
    for (int i = 0; i < 2; i++) {
        CASE_DONE(cases, sessions[i], step_of(DATABASE_COMMIT));
        database_give_back(sessions[i]);
    }
    case_expect_seats(cases, 1, 1, 1);
}

/* --- END_SESSION ------------------------------------------------------------------------------ */

static void no_session_of_that_name(struct database_cases *cases)
{
    case_reset(cases, 1, 1, 10);
    struct database_session *session = case_acquire(cases);
    struct database_session_name name = {.bytes = {1, 2, 3, 0, '\'', 0xff},
                                         .server = database_session_name(session).server};
    CASE_DONE(cases, session, step_end_session(name));
    CASE_DONE(cases, session, step_end_session(name), step_of(DATABASE_BEGIN),
              step_seats(DATABASE_TAKE_SEATS, 1, 2), step_of(DATABASE_COMMIT));
    database_give_back(session);
    case_expect_sold(cases, 1, 2);
}

static void ended_session_leaves_nothing(struct database_cases *cases)
{
    case_reset(cases, 1, 1, 10);
    struct database_session *victim = case_acquire(cases), *other = case_acquire(cases);
    struct database_session_name name = database_session_name(victim);
    struct database_row row = case_row(cases, 1);
    CASE_DONE(cases, victim, step_of(DATABASE_BEGIN), step_seats(DATABASE_TAKE_SEATS, 1, 1),
              step_insert(1, &row, 1));
    struct database_reservation item = {.id = row.id, .found = true};
    CASE_DONE(cases, other, step_end_session(name), step_concert(DATABASE_LOCK_CONCERT, 1),
              step_reservations(&item, 1));
    assert_false(item.found);
    struct database_step commit = step_of(DATABASE_COMMIT);
    assert_int_equal(case_step(cases, victim, &commit), DATABASE_LOST);
    CASE_DONE(cases, other, step_end_session(name)); /* again: nothing left to do */
    database_give_back(victim);
    database_give_back(other);
    case_expect_row(cases, row.id, false);
    case_expect_seats(cases, 1, 0, 0);
}

/* The victim waits for a lock with its COMMIT already sent: it never gets to it. */
static void ended_session_executes_nothing_more(struct database_cases *cases)
{
    case_reset(cases, 1, 1, 10);
    struct database_session *victim = case_acquire(cases), *holder = case_acquire(cases),
                            *other = case_acquire(cases);
    struct database_session_name name = database_session_name(victim);
    struct database_row row = case_row(cases, 1);
    CASE_DONE(cases, holder, step_of(DATABASE_BEGIN), step_concert(DATABASE_LOCK_CONCERT, 1));
    struct database_step steps[] = {step_of(DATABASE_BEGIN), step_seats(DATABASE_TAKE_SEATS, 1, 1),
                                    step_insert(1, &row, 1), step_of(DATABASE_COMMIT)};
    struct case_run run;
    case_start(&run, victim, steps, 4);
    case_expect_waiting(cases, &run);
    CASE_DONE(cases, other, step_end_session(name));
    CASE_DONE(cases, holder, step_of(DATABASE_ROLLBACK));
    assert_int_equal(case_finish(cases, &run), DATABASE_LOST);
    assert_true(run.run.failed_at <= 1);
    database_give_back(victim);
    database_give_back(holder);
    database_give_back(other);
    case_expect_row(cases, row.id, false);
    case_expect_seats(cases, 1, 0, 0);
}

/* The same id again on another session: what a lost COMMIT is resolved by. */
static void committed_before_its_end_stays(struct database_cases *cases)
{
    case_reset(cases, 1, 1, 10);
    struct database_session *victim = case_acquire(cases), *other = case_acquire(cases);
    struct database_row row = case_row(cases, 1);
    CASE_DONE(cases, victim, step_of(DATABASE_BEGIN), step_seats(DATABASE_TAKE_SEATS, 1, 1),
              step_insert(1, &row, 1), step_of(DATABASE_COMMIT));
    struct database_step again[] = {step_end_session(database_session_name(victim)),
                                    step_of(DATABASE_BEGIN), step_seats(DATABASE_TAKE_SEATS, 1, 1),
                                    step_insert(1, &row, 1), step_of(DATABASE_COMMIT)};
    size_t failed_at;
    assert_int_equal(case_run(cases, other, again, 5, &failed_at), DATABASE_DUPLICATE);
    assert_int_equal(failed_at, 3);
    CASE_DONE(cases, other, step_of(DATABASE_ROLLBACK));
    struct database_step dead = step_of(DATABASE_BEGIN);
    assert_int_equal(case_step(cases, victim, &dead), DATABASE_LOST);
    database_give_back(victim);
    database_give_back(other);
    case_expect_seats(cases, 1, 1, 1);
}

const struct database_case database_cases_locks[] = {
    {"locked concert is waited for", locked_concert_is_waited_for},
    {"writers wait for each other", writers_wait_for_each_other},
    {"same id waits for the first", same_id_waits_for_the_first},
    {"lock wait leaves the transaction open", lock_wait_leaves_the_transaction_open},
    {"deadlock ends one transaction", deadlock_ends_one_transaction},
    {"inserts before the concert deadlock", inserts_before_the_concert_deadlock},
    {"no session of that name", no_session_of_that_name},
    {"ended session leaves nothing", ended_session_leaves_nothing},
    {"ended session executes nothing more", ended_session_executes_nothing_more},
    {"committed before its end stays", committed_before_its_end_stays},
    {NULL, NULL},
};
