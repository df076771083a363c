/* Database cases: the fence of a concert, and tokens that must be above it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "database_case_kit.h"

static int64_t fence_of(struct database_cases *cases, int64_t concert_id)
{
    struct database_concert_step concert = case_read_concert(cases, concert_id);
    assert_true(concert.found);
    return concert.fence;
}

static struct database_step step_token(enum database_step_kind kind, int64_t concert_id,
                                       int64_t seats, int64_t token)
{
    struct database_step step = step_seats(kind, concert_id, seats);
    step.seats.token = token;
    return step;
}

/* By itself, so that it commits by itself. Whether it took them: which each kind says otherwise. */
static bool takes(struct database_cases *cases, struct database_session *session,
                  struct database_step step)
{
    step.seats.changed = true;
    enum database_result result = case_step(cases, session, &step);
    if (step.kind == DATABASE_TAKE_SEATS) {
        assert_int_equal(result, DATABASE_DONE);
        return step.seats.changed;
    }
    assert_true(result == DATABASE_DONE || result == DATABASE_REFUSED);
    return result == DATABASE_DONE;
}

static const enum database_step_kind kinds[] = {DATABASE_TAKE_SEATS, DATABASE_TAKE_SEATS_OR_FAIL};
#define KINDS (sizeof kinds / sizeof kinds[0])

static enum resv_outcome change(struct database_cases *cases, int64_t concert_id, unsigned fields,
                                struct resv_concert concert)
{
    struct resv_catalog_request request = {.concerts = &concert, .count = 1, .fields = fields};
    struct resv_op op = {
        .kind = RESV_OP_CONCERT_UPDATE, .concert_id = concert_id, .catalog = &request};
    return cases->catalog(cases->data, &op);
}

/* --- without a token -------------------------------------------------------------------------- */

static void seats_taken_raise_it(struct database_cases *cases)
{
    case_reset(cases, 2, 1, 3);
    int64_t fence = fence_of(cases, 1), other = fence_of(cases, 2);
    struct database_session *session = case_acquire(cases);
    for (size_t i = 0; i < KINDS; i++) {
        assert_true(takes(cases, session, step_seats(kinds[i], 1, 1)));
        assert_true(fence_of(cases, 1) > fence);
        fence = fence_of(cases, 1);
        assert_false(takes(cases, session, step_seats(kinds[i], 1, 3))); /* do not fit */
        assert_true(fence_of(cases, 1) == fence);
    }
    /* More can be sold than before, or somebody writes what he likes. */
    CASE_DONE(cases, session, step_seats(DATABASE_GIVE_BACK_SEATS, 1, 1),
              step_seats(DATABASE_WRITE_SOLD, 1, 3));
    database_give_back(session);
    assert_true(fence_of(cases, 1) == fence);
    assert_true(fence_of(cases, 2) == other);
    case_expect_sold(cases, 1, 3);
}

static void call_raises_it(struct database_cases *cases)
{
    case_reset(cases, 2, 1, 2);
    case_set_limit(cases, 2, 2); /* which is decided elsewhere in the procedure */
    struct database_session *session = case_acquire(cases);
    for (int64_t concert = 1; concert <= 2; concert++) {
        struct database_row first = case_row(cases, 1);
        static const enum resv_outcome refusals[] = {RESV_SOLD_OUT, RESV_LIMIT};
        for (int seat = 0; seat < 2; seat++) {
            int64_t fence = fence_of(cases, concert);
            struct database_step call = step_call(concert, seat == 0 ? first : case_row(cases, 1));
            assert_int_equal(case_step(cases, session, &call), DATABASE_DONE);
            assert_int_equal(call.call.outcome, RESV_GRANTED);
            assert_true(fence_of(cases, concert) > fence);
        }
        int64_t fence = fence_of(cases, concert);
        struct database_step again = step_call(concert, first);
        assert_int_equal(case_step(cases, session, &again), DATABASE_DONE);
        assert_true(again.call.outcome == RESV_GRANTED && again.call.reservation.replay);
        struct database_step refused = step_call(concert, case_row(cases, 1));
        if (concert == 2)
            assert_int_equal(
                change(cases, 2, RESV_CONCERT_CAPACITY, (struct resv_concert){.capacity = 9}),
                RESV_STORED);
        int64_t changed = fence_of(cases, concert);
        assert_true(concert == 1 ? changed == fence : changed > fence);
        assert_int_equal(case_step(cases, session, &refused), DATABASE_DONE);
        assert_int_equal(refused.call.outcome, refusals[concert - 1]);
        assert_true(fence_of(cases, concert) == changed);
    }
    database_give_back(session);
}

/* Whoever has read the concert before has a stale token then. */
static void catalog_changes_raise_it(struct database_cases *cases)
{
    case_reset(cases, 2, 1, 10);
    struct database_session *session = case_acquire(cases);
    CASE_DONE(cases, session, step_seats(DATABASE_TAKE_SEATS, 1, 4));
    const struct {
        unsigned fields;
        struct resv_concert concert;
    } changes[] = {
        {RESV_CONCERT_CAPACITY, {.capacity = 8}},
        {RESV_CONCERT_MEMBER_LIMIT, {.member_limit = 2}},
        {RESV_CONCERT_MEMBER_LIMIT, {.member_limit = 1}},
        {RESV_CONCERT_CAPACITY | RESV_CONCERT_MEMBER_LIMIT, {.capacity = 7, .member_limit = 3}},
    };
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        int64_t fence = fence_of(cases, 1);
        assert_int_equal(change(cases, 1, changes[i].fields, changes[i].concert), RESV_STORED);
        assert_true(fence_of(cases, 1) > fence);
        for (size_t kind = 0; kind < KINDS; kind++)
            assert_false(takes(cases, session, step_token(kinds[kind], 1, 1, fence + 1)));
        case_expect_sold(cases, 1, 4);
    }
    int64_t fence = fence_of(cases, 1);
    assert_int_equal(change(cases, 1, RESV_CONCERT_CAPACITY, (struct resv_concert){.capacity = 3}),
                     RESV_CAPACITY_TOO_LOW); /* nothing was changed */
    assert_true(fence_of(cases, 1) == fence);
    assert_true(takes(cases, session, step_token(DATABASE_TAKE_SEATS, 1, 1, fence + 1)));
    database_give_back(session);
}

/* --- with one --------------------------------------------------------------------------------- */

static void fresh_token_takes_and_is_the_fence(struct database_cases *cases)
{
    case_reset(cases, 2, 1, 10);
    struct database_session *session = case_acquire(cases);
    for (size_t i = 0; i < KINDS; i++) {
        int64_t token = fence_of(cases, 1) + 2, other = fence_of(cases, 2);
        assert_true(takes(cases, session, step_token(kinds[i], 1, 1, token)));
        assert_true(fence_of(cases, 1) == token);
        case_expect_sold(cases, 1, 3 * (int64_t)i + 1);
        /* Equal, below, and as low as they come. */
        assert_false(takes(cases, session, step_token(kinds[i], 1, 1, token)));
        assert_false(takes(cases, session, step_token(kinds[i], 1, 1, token - 1)));
        assert_false(takes(cases, session, step_token(kinds[i], 1, 1, INT64_MIN)));
        assert_true(fence_of(cases, 1) == token);
        case_expect_sold(cases, 1, 3 * (int64_t)i + 1);
        /* Some may be left out. */
        assert_true(takes(cases, session, step_token(kinds[i], 1, 1, token + 1000)));
        assert_true(takes(cases, session, step_seats(kinds[i], 1, 1)));
        assert_true(fence_of(cases, 1) == token + 1001);
        assert_true(fence_of(cases, 2) == other);
        assert_true(takes(cases, session, step_token(kinds[i], 2, 1, other + 1)));
    }
    database_give_back(session);
    case_expect_sold(cases, 1, 6);
    case_expect_sold(cases, 2, 2);
}

static void token_takes_no_more_than_there_is(struct database_cases *cases)
{
    case_reset(cases, 1, 1, 3);
    struct database_session *session = case_acquire(cases);
    int64_t fence = fence_of(cases, 1);
    for (size_t i = 0; i < KINDS; i++) {
        assert_false(takes(cases, session, step_token(kinds[i], 1, 4, fence + 1)));
        assert_true(takes(cases, session, step_token(kinds[i], 9, 1, 1)) ==
                    (kinds[i] == DATABASE_TAKE_SEATS_OR_FAIL)); /* no concert: no error */
    }
    assert_true(fence_of(cases, 1) == fence); /* which is as good as before */
    assert_true(takes(cases, session, step_token(DATABASE_TAKE_SEATS_OR_FAIL, 1, 3, fence + 1)));
    database_give_back(session);
    case_expect_sold(cases, 1, 3);
}

/* More digits than a floating-point number has. */
static void large_tokens_are_exact(struct database_cases *cases)
{
    case_reset(cases, 1, 1, 10);
    int64_t token = fence_of(cases, 1) + (INT64_C(1) << 60);
    struct database_session *session = case_acquire(cases);
    for (size_t i = 0; i < KINDS; i++) {
        token++;
        assert_true(takes(cases, session, step_token(kinds[i], 1, 1, token)));
        assert_false(takes(cases, session, step_token(kinds[i], 1, 1, token)));
        assert_true(fence_of(cases, 1) == token);
    }
    database_give_back(session);
}

/* It was looked at when the fence was read, and has not changed since. */
static void token_stands_for_the_member_limit(struct database_cases *cases)
{
    case_reset(cases, 1, 1, 10);
    case_set_limit(cases, 1, 1);
    struct database_session *session = case_acquire(cases);
    int64_t fence = fence_of(cases, 1);
    assert_false(takes(cases, session, step_seats(DATABASE_TAKE_SEATS_OR_FAIL, 1, 1)));
    assert_true(fence_of(cases, 1) == fence);
    assert_true(takes(cases, session, step_token(DATABASE_TAKE_SEATS_OR_FAIL, 1, 3, fence + 1)));
    assert_true(takes(cases, session, step_token(DATABASE_TAKE_SEATS, 1, 3, fence + 2)));
    database_give_back(session);
    case_expect_sold(cases, 1, 6);
}

static void stale_token_stops_what_is_behind(struct database_cases *cases)
{
    case_reset(cases, 1, 1, 10);
    int64_t fence = fence_of(cases, 1);
    struct database_session *session = case_acquire(cases);
    CASE_DONE(cases, session, step_seats(DATABASE_TAKE_SEATS, 1, 1));
    struct database_row row = case_row(cases, 1);
    struct database_step steps[] = {step_of(DATABASE_BEGIN),
                                    step_token(DATABASE_TAKE_SEATS_OR_FAIL, 1, 1, fence + 1),
                                    step_insert(1, &row, 1), step_of(DATABASE_COMMIT)};
    size_t failed_at;
    assert_int_equal(case_run(cases, session, steps, 4, &failed_at), DATABASE_REFUSED);
    assert_int_equal(failed_at, 1);
    steps[1].seats.token = fence + 2; /* the transaction is open: it may go on */
    assert_int_equal(case_run(cases, session, &steps[1], 3, NULL), DATABASE_DONE);
    database_give_back(session);
    case_expect_row(cases, row.id, true);
    assert_true(fence_of(cases, 1) == fence + 2);
    case_expect_sold(cases, 1, 2);
}

/* --- transactions ----------------------------------------------------------------------------- */

static void rollback_restores_it(struct database_cases *cases)
{
    case_reset(cases, 1, 1, 10);
    int64_t fence = fence_of(cases, 1);
    struct database_session *session = case_acquire(cases);
    struct database_step steps[] = {
        step_of(DATABASE_BEGIN), step_token(DATABASE_TAKE_SEATS, 1, 1, fence + 7),
        step_seats(DATABASE_TAKE_SEATS_OR_FAIL, 1, 1), step_concert(DATABASE_READ_CONCERT, 1)};
    assert_int_equal(case_run(cases, session, steps, 4, NULL), DATABASE_DONE);
    assert_true(steps[3].concert.fence == fence + 8); /* its own */
    assert_true(fence_of(cases, 1) == fence);         /* is nobody else's, yet */
    CASE_DONE(cases, session, step_of(DATABASE_ROLLBACK));
    assert_true(fence_of(cases, 1) == fence);
    assert_true(takes(cases, session, step_token(DATABASE_TAKE_SEATS, 1, 1, fence + 1)));
    database_give_back(session);
    assert_true(fence_of(cases, 1) == fence + 1);
    case_expect_sold(cases, 1, 1);
}

static void fence_that_was_locked_stays(struct database_cases *cases)
{
    case_reset(cases, 1, 1, 10);
    struct database_session *holder = case_acquire(cases), *other = case_acquire(cases);
    CASE_DONE(cases, holder, step_of(DATABASE_BEGIN));
    struct database_step lock = step_concert(DATABASE_LOCK_CONCERT, 1);
    assert_int_equal(case_step(cases, holder, &lock), DATABASE_DONE);
    struct database_step take = step_seats(DATABASE_TAKE_SEATS, 1, 1);
    struct case_run run;
    case_start(&run, other, &take, 1);
    case_expect_waiting(cases, &run);
    CASE_DONE(cases, holder, step_token(DATABASE_TAKE_SEATS_OR_FAIL, 1, 1, lock.concert.fence + 1),
              step_of(DATABASE_COMMIT));
    assert_int_equal(case_finish(cases, &run), DATABASE_DONE);
    assert_true(take.seats.changed);
    database_give_back(other);
    database_give_back(holder);
    assert_true(fence_of(cases, 1) == lock.concert.fence + 2);
}

/* Both have read the same fence. The one that comes second waits for the row, and for nothing when
 * the first one took its seats. */
static void one_of_two_with_the_same_token(struct database_cases *cases)
{
    for (size_t i = 0; i < KINDS; i++) {
        for (int committed = 0; committed < 2; committed++) {
            case_reset(cases, 1, 2, 10);
            struct database_session *first = case_acquire(cases), *second = case_acquire(cases);
            struct database_row rows[] = {case_row(cases, 1), case_row(cases, 2)};
            struct database_step read = step_concert(DATABASE_READ_CONCERT, 1);
            assert_int_equal(case_step(cases, first, &read), DATABASE_DONE);
            int64_t token = read.concert.fence + 1;
            CASE_DONE(cases, second, step_of(DATABASE_BEGIN), read); /* a snapshot, if there are */
            CASE_DONE(cases, first, step_of(DATABASE_BEGIN), step_token(kinds[i], 1, 1, token),
                      step_insert(1, &rows[0], 1));
            struct database_step take = step_token(kinds[i], 1, 1, token);
            struct case_run run;
            case_start(&run, second, &take, 1);
            case_expect_waiting(cases, &run);
            CASE_DONE(cases, first, step_of(committed ? DATABASE_COMMIT : DATABASE_ROLLBACK));
            bool refused = kinds[i] == DATABASE_TAKE_SEATS_OR_FAIL && committed;
            assert_int_equal(case_finish(cases, &run), refused ? DATABASE_REFUSED : DATABASE_DONE);
            if (kinds[i] == DATABASE_TAKE_SEATS)
                assert_int_equal(take.seats.changed, !committed);
            if (!committed)
                CASE_DONE(cases, second, step_insert(1, &rows[1], 1));
            CASE_DONE(cases, second, step_of(DATABASE_COMMIT));
            database_give_back(second);
            database_give_back(first);
            case_expect_row(cases, rows[committed ? 0 : 1].id, true);
            case_expect_row(cases, rows[committed ? 1 : 0].id, false);
            assert_true(fence_of(cases, 1) == token);
            case_expect_seats(cases, 1, 1, 1);
        }
    }
}

/* A COMMIT whose answer was lost, by a session that was ended before it or after it. */
static void lost_commit_with_a_token(struct database_cases *cases)
{
    for (int executed = 0; executed < 2; executed++) {
        case_reset(cases, 1, 1, 10);
        struct database_session *victim = case_acquire(cases), *other = case_acquire(cases);
        int64_t token = fence_of(cases, 1) + 1;
        struct database_row row = case_row(cases, 1);
        CASE_DONE(cases, victim, step_of(DATABASE_BEGIN),
                  step_token(DATABASE_TAKE_SEATS_OR_FAIL, 1, 1, token), step_insert(1, &row, 1));
        if (executed)
            CASE_DONE(cases, victim, step_of(DATABASE_COMMIT));
        struct database_step again[] = {step_end_session(database_session_name(victim)),
                                        step_of(DATABASE_BEGIN),
                                        step_token(DATABASE_TAKE_SEATS_OR_FAIL, 1, 1, token),
                                        step_insert(1, &row, 1), step_of(DATABASE_COMMIT)};
        size_t failed_at;
        assert_int_equal(case_run(cases, other, again, 5, &failed_at),
                         executed ? DATABASE_REFUSED : DATABASE_DONE);
        assert_int_equal(failed_at, executed ? 2 : 5);
        CASE_DONE(cases, other, step_of(DATABASE_ROLLBACK));
        database_give_back(victim);
        database_give_back(other);
        case_expect_row(cases, row.id, true);
        assert_true(fence_of(cases, 1) == token);
        case_expect_seats(cases, 1, 1, 1);
    }
}

/* --- the reset -------------------------------------------------------------------------------- */

static int64_t create_concert(struct database_cases *cases)
{
    struct resv_concert concert = {.title = "later", .capacity = 10, .starts_at_ms = INT64_MIN};
    struct resv_catalog_request request = {.concerts = &concert, .count = 1};
    struct resv_op op = {.kind = RESV_OP_CONCERT_CREATE, .catalog = &request};
    assert_int_equal(cases->catalog(cases->data, &op), RESV_STORED);
    return concert.id;
}

/* Of a concert that had the same id. */
static void token_from_before_a_reset_is_stale(struct database_cases *cases)
{
    case_reset(cases, 2, 1, 10);
    struct database_session *session = case_acquire(cases);
    int64_t token = fence_of(cases, 1);
    for (int64_t concerts = 2; concerts >= 0; concerts--) {
        token += INT64_C(1) << 40; /* much has been sold */
        CASE_DONE(cases, session, step_token(DATABASE_TAKE_SEATS, 1, 1, token));
        case_reset(cases, 0, 1, 10); /* which leaves none to look at for the second */
        case_reset(cases, concerts, 1, 10);
        int64_t concert_id = concerts > 0 ? concerts : create_concert(cases);
        for (size_t i = 0; i < KINDS; i++)
            assert_false(takes(cases, session, step_token(kinds[i], concert_id, 1, token + 1)));
        case_expect_sold(cases, concert_id, 0);
        assert_true(fence_of(cases, concert_id) > token);
        token = fence_of(cases, concert_id);
    }
    int64_t made = create_concert(cases); /* beside one that there is */
    assert_true(fence_of(cases, made) >= token);
    assert_true(
        takes(cases, session, step_token(DATABASE_TAKE_SEATS, made, 1, fence_of(cases, made) + 1)));
    database_give_back(session);
}

const struct database_case database_cases_fence[] = {
    {"fence: seats taken raise it", seats_taken_raise_it},
    {"fence: call raises it", call_raises_it},
    {"fence: catalog changes raise it", catalog_changes_raise_it},
    {"fence: fresh token takes and is the fence", fresh_token_takes_and_is_the_fence},
    {"fence: token takes no more than there is", token_takes_no_more_than_there_is},
    {"fence: large tokens are exact", large_tokens_are_exact},
    {"fence: token stands for the member limit", token_stands_for_the_member_limit},
    {"fence: stale token stops what is behind", stale_token_stops_what_is_behind},
    {"fence: rollback restores it", rollback_restores_it},
    {"fence: fence that was locked stays", fence_that_was_locked_stays},
    {"fence: one of two with the same token", one_of_two_with_the_same_token},
    {"fence: lost commit with a token", lost_commit_with_a_token},
    {"fence: token from before a reset is stale", token_from_before_a_reset_is_stale},
    {NULL, NULL},
};
