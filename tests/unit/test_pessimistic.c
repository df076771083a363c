/* The pessimistic strategy, form = statements, between a host and a link that only record. */
#include <stdlib.h>
#include <string.h>

#include "database_fixture.h"

extern const struct resv_strategy resv_strategy_pessimistic;

static struct database_fixture *new_fixture(void)
{
    struct database_fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    fake_host_init(&fixture->host);
    link_reset();
    return fixture;
}

static int start(struct database_fixture *fixture, void **state)
{
    strategy_start(fixture, &resv_strategy_pessimistic);
    assert_int_equal(the_link.config.isolation, DATABASE_READ_COMMITTED);
    *state = fixture;
    return 0;
}

static int set_up(void **state)
{
    return start(new_fixture(), state);
}

static int set_up_hold(void **state)
{
    struct database_fixture *fixture = new_fixture();
    fake_host_option(&fixture->host, "hold_ms", "500");
    return start(fixture, state);
}

static int tear_down(void **state)
{
    struct database_fixture *fixture = *state;
    strategy_stop(fixture);
    free(fixture);
    return 0;
}

/* --- steps on the way --------------------------------------------------------------------------
 */

/* BEGIN is done and the concert locked: it has 10 seats. */
static void lock(struct database_fixture *fixture, int64_t sold, int64_t limit)
{
    run_done(&fixture->host, expect_run(DATABASE_BEGIN, END));
    struct database_run *run = expect_run(DATABASE_LOCK_CONCERT, END);
    assert_int_equal(run->steps[0].concert.concert_id, 1);
    fill_concert(&run->steps[0], 10, sold, limit);
    run_done(&fixture->host, run);
}

static void take(struct database_fixture *fixture, int64_t seats)
{
    struct database_run *run = expect_run(DATABASE_TAKE_SEATS, END);
    assert_int_equal(run->steps[0].seats.concert_id, 1);
    assert_int_equal(run->steps[0].seats.seats, seats);
    assert_int_equal(run->steps[0].seats.token, 0); /* it needs none: the concert is locked */
    run->steps[0].seats.changed = true;
    run_done(&fixture->host, run);
}

static struct database_run *expect_insert(struct database_fixture *fixture,
                                          const struct resv_op *op)
{
    struct database_run *run = expect_run(DATABASE_INSERT_RESERVATIONS, END);
    const struct database_insert_step *insert = &run->steps[0].insert;
    assert_int_equal(insert->concert_id, op->concert_id);
    assert_int_equal(insert->count, 1);
    assert_int_equal(insert->created_ms, fixture->host.wall_ms);
    assert_memory_equal(&insert->rows[0].id, &op->id, sizeof op->id);
    assert_int_equal(insert->rows[0].member_id, op->member_id);
    assert_int_equal(insert->rows[0].quantity, op->quantity);
    return run;
}

/* What is read before a refusal is said; the row of this id is not there. */
static void look(struct database_fixture *fixture, bool with_row, bool member_exists)
{
    struct database_run *run =
        with_row ? expect_run(DATABASE_READ_RESERVATIONS, DATABASE_READ_MEMBERS, END)
                 : expect_run(DATABASE_READ_MEMBERS, END);
    struct database_members_step *members = &run->steps[run->count - 1].members;
    assert_int_equal(members->count, 1);
    members->items[0].found = member_exists;
    run_done(&fixture->host, run);
    run_done(&fixture->host, expect_run(DATABASE_ROLLBACK, END));
}

static void assert_nothing_left(const struct database_fixture *fixture)
{
    (void)fixture;
    expect_no_run();
    assert_int_equal(the_link.held, 0);
    assert_int_equal(the_link.closed_open, 0);
}

/* --- a reservation -----------------------------------------------------------------------------
 */

static void granted_after_five_statements(void **state)
{
    struct database_fixture *fixture = *state;
    assert_false(the_link.config.needs_procedure);
    struct resv_op *op = submit_reserve(fixture, false, 1, 7, 3);
    lock(fixture, 7, RESV_NO_MEMBER_LIMIT);
    take(fixture, 3);
    run_done(&fixture->host, expect_insert(fixture, op));
    struct database_run *run = expect_run(DATABASE_COMMIT, END);
    assert_under_way(op); /* never before */
    run_done(&fixture->host, run);
    assert_outcome(op, RESV_GRANTED);
    assert_int_equal(op->reservation.member_id, 7);
    assert_false(op->reservation.replay);
    assert_nothing_left(fixture);
}

static void sold_out_says_so_after_a_rollback(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = submit_reserve(fixture, false, 1, 7, 3);
    lock(fixture, 8, RESV_NO_MEMBER_LIMIT);
    look(fixture, false, true);
    assert_outcome(op, RESV_SOLD_OUT);
    op = submit_reserve(fixture, false, 1, 7, RESV_INTEGER_MAX);
    lock(fixture, 0, RESV_NO_MEMBER_LIMIT);
    look(fixture, false, true);
    assert_outcome(op, RESV_SOLD_OUT);
    assert_nothing_left(fixture);
}

static void condition_has_the_last_word(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = submit_reserve(fixture, false, 1, 7, 3);
    lock(fixture, 0, RESV_NO_MEMBER_LIMIT);
    run_done(&fixture->host, expect_run(DATABASE_TAKE_SEATS, END)); /* no row changed */
    look(fixture, false, true);
    assert_outcome(op, RESV_SOLD_OUT);
}

static void unknown_member_goes_before_sold_out(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = submit_reserve(fixture, false, 1, 7, 3);
    lock(fixture, 10, RESV_NO_MEMBER_LIMIT);
    look(fixture, false, false);
    assert_outcome(op, RESV_UNKNOWN_MEMBER);
}

static void unknown_member_is_found_by_the_insert(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = submit_reserve(fixture, true, 1, 7, 3);
    lock(fixture, 0, RESV_NO_MEMBER_LIMIT);
    take(fixture, 3);
    run_fails(&fixture->host, expect_insert(fixture, op), DATABASE_NO_PARENT, 0);
    run_done(&fixture->host, expect_run(DATABASE_ROLLBACK, END));
    assert_outcome(op, RESV_UNKNOWN_MEMBER);
    assert_nothing_left(fixture);
}

static void unknown_concert(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = submit_reserve(fixture, false, 99, 7, 3);
    run_done(&fixture->host, expect_run(DATABASE_BEGIN, END));
    run_done(&fixture->host, expect_run(DATABASE_LOCK_CONCERT, END));
    run_done(&fixture->host, expect_run(DATABASE_ROLLBACK, END));
    assert_outcome(op, RESV_UNKNOWN_CONCERT);
    /* A key that stood for another request is said first. */
    op = submit_reserve(fixture, true, 99, 7, 3);
    run_done(&fixture->host, expect_run(DATABASE_BEGIN, END));
    run_done(&fixture->host, expect_run(DATABASE_LOCK_CONCERT, END));
    struct database_run *run = expect_run(DATABASE_READ_RESERVATIONS, END);
    fill_row(&run->steps[0], 0, 1, 7, 3, RESV_STATUS_CONFIRMED);
    run_done(&fixture->host, run);
    run_done(&fixture->host, expect_run(DATABASE_ROLLBACK, END));
    assert_outcome(op, RESV_KEY_REUSED);
    assert_nothing_left(fixture);
}

static void replay_finds_its_first_answer(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = submit_reserve(fixture, true, 1, 7, 3);
    lock(fixture, 3, RESV_NO_MEMBER_LIMIT);
    take(fixture, 3);
    run_fails(&fixture->host, expect_insert(fixture, op), DATABASE_DUPLICATE, 0);
    run_done(&fixture->host, expect_run(DATABASE_ROLLBACK, END)); /* the seats go back */
    struct database_run *run = expect_run(DATABASE_READ_RESERVATIONS, END);
    fill_row(&run->steps[0], 0, 1, 7, 3, RESV_STATUS_CANCELLED);
    run_done(&fixture->host, run);
    run = expect_run(DATABASE_SYNC, END); /* it may not be on disk yet */
    assert_under_way(op);
    run_done(&fixture->host, run);
    assert_outcome(op, RESV_GRANTED);
    assert_true(op->reservation.replay);
    assert_int_equal(op->reservation.status, RESV_STATUS_CANCELLED);
    assert_nothing_left(fixture);
}

static void replay_when_nothing_is_left(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = submit_reserve(fixture, true, 1, 7, 3);
    lock(fixture, 10, RESV_NO_MEMBER_LIMIT);
    struct database_run *run = expect_run(DATABASE_READ_RESERVATIONS, DATABASE_READ_MEMBERS, END);
    fill_row(&run->steps[0], 0, 1, 7, 3, RESV_STATUS_CONFIRMED);
    run_done(&fixture->host, run);
    run_done(&fixture->host, expect_run(DATABASE_ROLLBACK, DATABASE_SYNC, END));
    assert_outcome(op, RESV_GRANTED);
    assert_true(op->reservation.replay);
    /* No such row: then it is sold out. */
    op = submit_reserve(fixture, true, 1, 7, 3);
    lock(fixture, 10, RESV_NO_MEMBER_LIMIT);
    look(fixture, true, true);
    assert_outcome(op, RESV_SOLD_OUT);
}

static void replay_of_another_request(void **state)
{
    static const struct resv_reservation others[] = {
        {.concert_id = 2, .member_id = 7, .quantity = 3},
        {.concert_id = 1, .member_id = 8, .quantity = 3},
        {.concert_id = 1, .member_id = 7, .quantity = 2}};
    struct database_fixture *fixture = *state;
    for (size_t i = 0; i < 3; i++) {
        struct resv_op *op = submit_reserve(fixture, true, 1, 7, 3);
        lock(fixture, 0, RESV_NO_MEMBER_LIMIT);
        take(fixture, 3);
        run_fails(&fixture->host, expect_insert(fixture, op), DATABASE_DUPLICATE, 0);
        run_done(&fixture->host, expect_run(DATABASE_ROLLBACK, END));
        struct database_run *run = expect_run(DATABASE_READ_RESERVATIONS, END);
        fill_row(&run->steps[0], 0, others[i].concert_id, others[i].member_id, others[i].quantity,
                 RESV_STATUS_CONFIRMED);
        run_done(&fixture->host, run);
        assert_outcome(op, RESV_KEY_REUSED);
    }
}

static void row_that_went_away_meanwhile(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = submit_reserve(fixture, true, 1, 7, 3);
    lock(fixture, 0, RESV_NO_MEMBER_LIMIT);
    take(fixture, 3);
    run_fails(&fixture->host, expect_insert(fixture, op), DATABASE_DUPLICATE, 0);
    run_done(&fixture->host, expect_run(DATABASE_ROLLBACK, END));
    run_done(&fixture->host, expect_run(DATABASE_READ_RESERVATIONS, END));
    assert_outcome(op, RESV_CONTENDED);
}

static void member_limit_counts_under_the_lock(void **state)
{
    struct database_fixture *fixture = *state;
    static const struct {
        int64_t seats, quantity;
        bool within;
    } cases[] = {{0, 3, true}, {1, 3, false}, {2, 1, true}, {3, 1, false}, {0, 4, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct resv_op *op = submit_reserve(fixture, false, 1, 7, cases[i].quantity);
        lock(fixture, 0, 3);
        struct database_run *run = expect_run(DATABASE_READ_MEMBER_SEATS, END);
        assert_int_equal(run->steps[0].members.concert_id, 1);
        assert_int_equal(run->steps[0].members.items[0].id, 7);
        run->steps[0].members.items[0].seats = cases[i].seats;
        run_done(&fixture->host, run);
        if (!cases[i].within) {
            look(fixture, false, true);
            assert_outcome(op, RESV_LIMIT);
            continue;
        }
        take(fixture, cases[i].quantity);
        run_done(&fixture->host, expect_insert(fixture, op));
        run_done(&fixture->host, expect_run(DATABASE_COMMIT, END));
        assert_outcome(op, RESV_GRANTED);
    }
}

/* A lost COMMIT; END_SESSION; the next attempt until its lock. */
static struct resv_op *in_doubt_until_begin(struct database_fixture *fixture)
{
    struct resv_op *op = submit_reserve(fixture, false, 1, 7, 3);
    lock(fixture, 7, RESV_NO_MEMBER_LIMIT);
    take(fixture, 3);
    run_done(&fixture->host, expect_insert(fixture, op));
    run_fails(&fixture->host, expect_run(DATABASE_COMMIT, END), DATABASE_LOST, 0);
    assert_under_way(op);
    fake_host_advance(&fixture->host, 10);
    run_done(&fixture->host, expect_run(DATABASE_END_SESSION, END));
    return op;
}

static void in_doubt_it_had_the_last_seats(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = in_doubt_until_begin(fixture);
    lock(fixture, 10, RESV_NO_MEMBER_LIMIT); /* sold out: by itself */
    struct database_run *run = expect_run(DATABASE_READ_RESERVATIONS, DATABASE_READ_MEMBERS, END);
    fill_row(&run->steps[0], 0, 1, 7, 3, RESV_STATUS_CONFIRMED);
    run_done(&fixture->host, run);
    run_done(&fixture->host, expect_run(DATABASE_ROLLBACK, DATABASE_SYNC, END));
    assert_outcome(op, RESV_GRANTED);
    assert_false(op->reservation.replay); /* its own */
    assert_int_equal(fake_host_metric(&fixture->host, "database_commits_resolved_total"), 1);
}

static void in_doubt_its_row_is_there(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = in_doubt_until_begin(fixture);
    lock(fixture, 3, RESV_NO_MEMBER_LIMIT);
    take(fixture, 3);
    run_fails(&fixture->host, expect_insert(fixture, op), DATABASE_DUPLICATE, 0);
    run_done(&fixture->host, expect_run(DATABASE_ROLLBACK, END));
    struct database_run *run = expect_run(DATABASE_READ_RESERVATIONS, END);
    fill_row(&run->steps[0], 0, 1, 7, 3, RESV_STATUS_CONFIRMED);
    run_done(&fixture->host, run);
    run_done(&fixture->host, expect_run(DATABASE_SYNC, END));
    assert_outcome(op, RESV_GRANTED);
    assert_false(op->reservation.replay);
}

static void in_doubt_nothing_was_executed_and_others_were_first(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = in_doubt_until_begin(fixture);
    lock(fixture, 10, RESV_NO_MEMBER_LIMIT);
    look(fixture, true, true);
    assert_outcome(op, RESV_SOLD_OUT);
}

static void attempt_after_a_deadlock_starts_from_the_lock(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = submit_reserve(fixture, false, 1, 7, 3);
    lock(fixture, 0, RESV_NO_MEMBER_LIMIT);
    take(fixture, 3);
    run_fails(&fixture->host, expect_insert(fixture, op), DATABASE_DEADLOCK, 0);
    run_done(&fixture->host, expect_run(DATABASE_ROLLBACK, END));
    fake_host_advance(&fixture->host, 10);
    lock(fixture, 9, RESV_NO_MEMBER_LIMIT); /* what was read before is void */
    look(fixture, false, true);
    assert_outcome(op, RESV_SOLD_OUT);
    assert_nothing_left(fixture); /* the session was kept */
}

static void assert_contradictions(struct database_fixture *fixture, int count)
{
    assert_int_equal(fake_host_metric(&fixture->host, "database_contradictions_total"), count);
}

/* By what was read there are seats; the table says that there are not. */
static void seats_that_contradict_are_unavailable(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = submit_reserve(fixture, true, 1, 7, 3);
    lock(fixture, 4, RESV_NO_MEMBER_LIMIT);
    run_fails(&fixture->host, expect_run(DATABASE_TAKE_SEATS, END), DATABASE_REFUSED, 0);
    assert_under_way(op);
    run_done(&fixture->host, expect_run(DATABASE_ROLLBACK, END));
    assert_outcome(op, RESV_UNAVAILABLE);
    assert_nothing_left(fixture);
    assert_contradictions(fixture, 1);
}

static void row_that_contradicts_is_unavailable(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = submit_reserve(fixture, false, 1, 7, 3);
    lock(fixture, 4, RESV_NO_MEMBER_LIMIT);
    take(fixture, 3);
    run_fails(&fixture->host, expect_insert(fixture, op), DATABASE_REFUSED, 0);
    run_done(&fixture->host, expect_run(DATABASE_ROLLBACK, END)); /* the seats go back */
    assert_outcome(op, RESV_UNAVAILABLE);
    assert_nothing_left(fixture);
    assert_contradictions(fixture, 1);
}

static void in_doubt_a_contradiction_is_tried_again(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = in_doubt_until_begin(fixture);
    lock(fixture, 4, RESV_NO_MEMBER_LIMIT);
    run_fails(&fixture->host, expect_run(DATABASE_TAKE_SEATS, END), DATABASE_REFUSED, 0);
    run_done(&fixture->host, expect_run(DATABASE_ROLLBACK, END));
    assert_under_way(op);
    fake_host_advance(&fixture->host, 100);
    lock(fixture, 4, RESV_NO_MEMBER_LIMIT);
    take(fixture, 3);
    run_done(&fixture->host, expect_insert(fixture, op));
    run_done(&fixture->host, expect_run(DATABASE_COMMIT, END));
    assert_outcome(op, RESV_GRANTED);
    assert_contradictions(fixture, 1);
}

static void cancelled_before_anything_was_sent(void **state)
{
    struct database_fixture *fixture = *state;
    link_sessions(DATABASE_SALES, 0);
    struct resv_op *op = submit_reserve(fixture, false, 1, 7, 3);
    cancel_op(fixture, op);
    assert_outcome(op, RESV_CANCELLED);
    assert_int_equal(the_link.waits, 0);
}

static void holds_the_lock_so_long(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = submit_reserve(fixture, false, 1, 7, 3);
    lock(fixture, 0, RESV_NO_MEMBER_LIMIT);
    fake_host_advance(&fixture->host, 499);
    expect_no_run();
    assert_int_equal(the_link.held, 1);
    fake_host_advance(&fixture->host, 1);
    take(fixture, 3);
    run_done(&fixture->host, expect_insert(fixture, op));
    run_done(&fixture->host, expect_run(DATABASE_COMMIT, END));
    assert_outcome(op, RESV_GRANTED);
    assert_int_equal(fake_host_metric(&fixture->host, "pessimistic_transaction_seconds"),
                     500 * FAKE_NS_PER_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(granted_after_five_statements),
        TEST(sold_out_says_so_after_a_rollback),
        TEST(condition_has_the_last_word),
        TEST(unknown_member_goes_before_sold_out),
        TEST(unknown_member_is_found_by_the_insert),
        TEST(unknown_concert),
        TEST(replay_finds_its_first_answer),
        TEST(replay_when_nothing_is_left),
        TEST(replay_of_another_request),
        TEST(row_that_went_away_meanwhile),
        TEST(member_limit_counts_under_the_lock),
        TEST(in_doubt_it_had_the_last_seats),
        TEST(in_doubt_its_row_is_there),
        TEST(in_doubt_nothing_was_executed_and_others_were_first),
        TEST(attempt_after_a_deadlock_starts_from_the_lock),
        TEST(seats_that_contradict_are_unavailable),
        TEST(row_that_contradicts_is_unavailable),
        TEST(in_doubt_a_contradiction_is_tried_again),
        TEST(cancelled_before_anything_was_sent),
        cmocka_unit_test_setup_teardown(holds_the_lock_so_long, set_up_hold, tear_down),
    };
    return cmocka_run_group_tests_name("pessimistic", tests, NULL, NULL);
}
