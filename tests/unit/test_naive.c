/* The naive strategy between a host and a link that only record: it must fail as it should. */
#include <stdlib.h>

#include "database_fixture.h"

extern const struct resv_strategy resv_strategy_naive;

static int set_up(void **state)
{
    struct database_fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    fake_host_init(&fixture->host);
    link_reset();
    strategy_start(fixture, &resv_strategy_naive);
    assert_int_equal(the_link.config.isolation, DATABASE_REPEATABLE_READ);
    assert_true(resv_strategy_naive.may_oversell);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct database_fixture *fixture = *state;
    strategy_stop(fixture);
    free(fixture);
    return 0;
}

static struct resv_op *read_concert(struct database_fixture *fixture, bool keyed, int64_t quantity,
                                    int64_t sold, int64_t limit)
{
    struct resv_op *op = submit_reserve(fixture, keyed, 1, 7, quantity);
    run_done(&fixture->host, expect_run(DATABASE_BEGIN, END));
    struct database_run *run = expect_run(DATABASE_READ_CONCERT, END); /* without a lock */
    fill_concert(&run->steps[0], 10, sold, limit);
    run_done(&fixture->host, run);
    return op;
}

static void writes_back_what_it_has_read(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = read_concert(fixture, false, 3, 4, RESV_NO_MEMBER_LIMIT);
    run_done(&fixture->host, expect_run(DATABASE_INSERT_RESERVATIONS, END));
    struct database_run *run = expect_run(DATABASE_WRITE_SOLD, END);
    assert_int_equal(run->steps[0].seats.concert_id, 1);
    assert_int_equal(run->steps[0].seats.seats, 4 + 3);
    run_done(&fixture->host, run);
    run = expect_run(DATABASE_COMMIT, END);
    assert_under_way(op);
    run_done(&fixture->host, run);
    assert_outcome(op, RESV_GRANTED);
    assert_int_equal(the_link.closed_open, 0);
}

static void deadlock_is_contended_at_once(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = read_concert(fixture, false, 3, 4, RESV_NO_MEMBER_LIMIT);
    run_done(&fixture->host, expect_run(DATABASE_INSERT_RESERVATIONS, END));
    run_fails(&fixture->host, expect_run(DATABASE_WRITE_SOLD, END), DATABASE_DEADLOCK, 0);
    assert_under_way(op);
    run_done(&fixture->host, expect_run(DATABASE_ROLLBACK, END));
    assert_outcome(op, RESV_CONTENDED);
    assert_int_equal(fake_host_metric(&fixture->host, "database_deadlocks_total"), 1);
    expect_no_run();
    assert_int_equal(the_link.closed_open, 0);
}

/* The table forbids more than the capacity, which was lowered since it was read. */
static void capacity_lowered_since_is_contended(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = read_concert(fixture, false, 3, 7, RESV_NO_MEMBER_LIMIT);
    run_done(&fixture->host, expect_run(DATABASE_INSERT_RESERVATIONS, END));
    run_fails(&fixture->host, expect_run(DATABASE_WRITE_SOLD, END), DATABASE_REFUSED, 0);
    assert_under_way(op);
    run_done(&fixture->host, expect_run(DATABASE_ROLLBACK, END)); /* the row goes, too */
    assert_outcome(op, RESV_CONTENDED);
    expect_no_run();
    assert_int_equal(the_link.closed_open, 0);
    assert_int_equal(fake_host_metric(&fixture->host, "database_contradictions_total"), 0);
}

/* Nothing that it has read speaks of the row that it writes. */
static void insert_that_contradicts(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = read_concert(fixture, false, 3, 4, RESV_NO_MEMBER_LIMIT);
    run_fails(&fixture->host, expect_run(DATABASE_INSERT_RESERVATIONS, END), DATABASE_REFUSED, 0);
    run_done(&fixture->host, expect_run(DATABASE_ROLLBACK, END));
    assert_outcome(op, RESV_UNAVAILABLE);
    assert_int_equal(the_link.closed_open, 0);
    assert_int_equal(fake_host_metric(&fixture->host, "database_contradictions_total"), 1);
}

static void lost_commit_is_found_out_all_the_same(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = read_concert(fixture, false, 3, 4, RESV_NO_MEMBER_LIMIT);
    run_done(&fixture->host, expect_run(DATABASE_INSERT_RESERVATIONS, END));
    run_done(&fixture->host, expect_run(DATABASE_WRITE_SOLD, END));
    run_fails(&fixture->host, expect_run(DATABASE_COMMIT, END), DATABASE_LOST, 0);
    fake_host_advance(&fixture->host, 10);
    run_done(&fixture->host, expect_run(DATABASE_END_SESSION, END));
    run_done(&fixture->host, expect_run(DATABASE_BEGIN, END));
    struct database_run *run = expect_run(DATABASE_READ_CONCERT, END);
    fill_concert(&run->steps[0], 10, 7, RESV_NO_MEMBER_LIMIT);
    run_done(&fixture->host, run);
    run_fails(&fixture->host, expect_run(DATABASE_INSERT_RESERVATIONS, END), DATABASE_DUPLICATE, 0);
    run_done(&fixture->host, expect_run(DATABASE_ROLLBACK, END));
    run = expect_run(DATABASE_READ_RESERVATIONS, END);
    fill_row(&run->steps[0], 0, 1, 7, 3, RESV_STATUS_CONFIRMED);
    run_done(&fixture->host, run);
    run_done(&fixture->host, expect_run(DATABASE_SYNC, END));
    assert_outcome(op, RESV_GRANTED);
    assert_false(op->reservation.replay);
}

static void refusals(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = read_concert(fixture, false, 3, 8, RESV_NO_MEMBER_LIMIT);
    struct database_run *run = expect_run(DATABASE_READ_MEMBERS, END);
    run->steps[0].members.items[0].found = true;
    run_done(&fixture->host, run);
    run_done(&fixture->host, expect_run(DATABASE_ROLLBACK, END));
    assert_outcome(op, RESV_SOLD_OUT);

    op = read_concert(fixture, false, 3, 0, 4);
    run = expect_run(DATABASE_READ_MEMBER_SEATS, END);
    run->steps[0].members.items[0].seats = 2;
    run_done(&fixture->host, run);
    run = expect_run(DATABASE_READ_MEMBERS, END);
    run->steps[0].members.items[0].found = true;
    run_done(&fixture->host, run);
    run_done(&fixture->host, expect_run(DATABASE_ROLLBACK, END));
    assert_outcome(op, RESV_LIMIT);

    op = submit_reserve(fixture, false, 1, 7, 3);
    run_done(&fixture->host, expect_run(DATABASE_BEGIN, END));
    run_done(&fixture->host, expect_run(DATABASE_READ_CONCERT, END));
    run_done(&fixture->host, expect_run(DATABASE_ROLLBACK, END));
    assert_outcome(op, RESV_UNKNOWN_CONCERT);

    op = read_concert(fixture, false, 3, 0, RESV_NO_MEMBER_LIMIT);
    run_fails(&fixture->host, expect_run(DATABASE_INSERT_RESERVATIONS, END), DATABASE_NO_PARENT, 0);
    run_done(&fixture->host, expect_run(DATABASE_ROLLBACK, END));
    assert_outcome(op, RESV_UNKNOWN_MEMBER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(writes_back_what_it_has_read),          TEST(deadlock_is_contended_at_once),
        TEST(capacity_lowered_since_is_contended),   TEST(insert_that_contradicts),
        TEST(lost_commit_is_found_out_all_the_same), TEST(refusals),
    };
    return cmocka_run_group_tests_name("naive", tests, NULL, NULL);
}
