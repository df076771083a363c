/* The redlock strategy: COMMITs whose answer is lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "redlock_fixture.h"

/* COMMIT's answer is lost; the lost session is over; all ids are being read. */
static struct database_run *until_doubt_is_read(struct database_fixture *fixture)
{
    run_fails(&fixture->host, expect_write(7, 1, 1), DATABASE_LOST, 3);
    fake_host_advance(&fixture->host, 100);
    run_done(&fixture->host, expect_run(DATABASE_END_SESSION, END));
    struct database_run *run = expect_run(DATABASE_READ_CONCERT, DATABASE_READ_RESERVATIONS, END);
    fill_concert(&run->steps[0], 100, 30, NO_LIMIT);
    run->steps[0].concert.fence = 7;
    return run;
}

static void row_that_is_there_was_ours(void **state)
{
    struct database_fixture *fixture = *state;
    redlock_start_warm(fixture, 1);
    struct resv_op *op = reserve(fixture, 1);
    redis_serves();
    struct database_run *run = until_doubt_is_read(fixture);
    fill_row(&run->steps[1], 0, 1, 1, 1, RESV_STATUS_CONFIRMED);
    run_done(&fixture->host, run);
    run_done(&fixture->host, expect_run(DATABASE_SYNC, END));
    assert_outcome(op, RESV_GRANTED);
    assert_false(op->reservation.replay);
}

static void row_that_is_not_there_is_written_again(void **state)
{
    struct database_fixture *fixture = *state;
    redlock_start_warm(fixture, 1);
    struct resv_op *op = reserve(fixture, 1);
    redis_serves();
    run_done(&fixture->host, until_doubt_is_read(fixture));
    writes(fixture, 8, 1, 1);
    assert_outcome(op, RESV_GRANTED);
}

/* The run under way reads all with a limit of 2 in doubt, and the fence moves meanwhile. */
static void moves_while_it_is_read(struct database_fixture *fixture, bool there, int64_t fence)
{
    struct database_run *run = expect_run(DATABASE_READ_CONCERT, DATABASE_READ_RESERVATIONS,
                                          DATABASE_READ_MEMBER_SEATS, DATABASE_READ_CONCERT, END);
    fill_concert(&run->steps[0], 100, 30, 2);
    fill_concert(&run->steps[3], 100, 30, 2);
    run->steps[0].concert.fence = fence;
    run->steps[3].concert.fence = fence + 1;
    if (there)
        fill_row(&run->steps[1], 0, 1, 1, 1, RESV_STATUS_CONFIRMED);
    run_done(&fixture->host, run);
}

/* A row that is there is the answer, however much is sold around it. */
static void row_that_is_there_is_found_where_nothing_holds_still(void **state)
{
    struct database_fixture *fixture = *state;
    for (int round = 0; round < 2; round++) {
        const bool there = round == 0;
        if (there)
            redlock_start(fixture, 1);
        struct resv_op *op = reserve(fixture, 1);
        redis_serves();
        if (there) {
            reads(fixture, "cm", 10, 2, 5);
            reads(fixture, "sc", 10, 2, 5);
        } else {
            reads(fixture, "csc", 10, 2, 5);
        }
        run_fails(&fixture->host, expect_write(6, 1, 1), DATABASE_LOST, 3);
        fake_host_advance(&fixture->host, 100);
        run_done(&fixture->host, expect_run(DATABASE_END_SESSION, END));
        for (int64_t i = 0; i < 8; i++) {
            assert_under_way(op);
            moves_while_it_is_read(fixture, there, 6 + i);
        }
        if (there)
            run_done(&fixture->host, expect_run(DATABASE_SYNC, END));
        assert_outcome(op, there ? RESV_GRANTED : RESV_CONTENDED);
        expect_no_run();
        redis_serves();
    }
}

/* Two, of whom one fitted: its row is there. The other fits now, but is always turned away. */
static void row_that_is_there_is_told_though_the_rest_is_contended(void **state)
{
    struct database_fixture *fixture = *state;
    redlock_start(fixture, 1);
    struct resv_op *one = submit_reserve(fixture, false, 1, 1, 2);
    struct resv_op *two = submit_reserve(fixture, false, 1, 1, 2);
    redis_serves();
    reads(fixture, "cm", 97, NO_LIMIT, 5);
    run_fails(&fixture->host, expect_write(6, 2, 1), DATABASE_LOST, 3);
    fake_host_advance(&fixture->host, 100);
    run_done(&fixture->host, expect_run(DATABASE_END_SESSION, END));
    for (int64_t i = 0; i <= 8; i++) {
        struct database_run *run =
            expect_run(DATABASE_READ_CONCERT, DATABASE_READ_RESERVATIONS, END);
        fill_concert(&run->steps[0], 100, 30, NO_LIMIT);
        run->steps[0].concert.fence = 10 + i;
        bool first = memcmp(&run->steps[1].reservations.items[0].id, &one->id, RESV_ID_SIZE) == 0;
        fill_row(&run->steps[1], first ? 0 : 1, 1, 1, 2, RESV_STATUS_CONFIRMED);
        assert_under_way(one);
        run_done(&fixture->host, run);
        if (i == 8)
            break;
        run_fails(&fixture->host, expect_write(11 + i, 2, 1), DATABASE_REFUSED, 1);
        run_done(&fixture->host, expect_run(DATABASE_ROLLBACK, END));
    }
    run_done(&fixture->host, expect_run(DATABASE_SYNC, END));
    assert_outcome(one, RESV_GRANTED);
    assert_false(one->reservation.replay);
    assert_outcome(two, RESV_CONTENDED);
}

static void without_the_lock_the_truth_is_found_and_nothing_written(void **state)
{
    struct database_fixture *fixture = *state;
    redlock_start_warm(fixture, 1);
    struct resv_op *one = reserve(fixture, 1);
    struct resv_op *two = reserve(fixture, 1);
    redis_serves();
    run_fails(&fixture->host, expect_write(7, 2, 2), DATABASE_LOST, 3);
    fake_host_advance(&fixture->host, 100);
    struct database_run *run = expect_run(DATABASE_END_SESSION, END);
    fake_host_advance(&fixture->host, 900); /* nobody extends */
    run_done(&fixture->host, run);
    run = expect_run(DATABASE_READ_CONCERT, DATABASE_READ_RESERVATIONS, END);
    fill_concert(&run->steps[0], 100, 30, NO_LIMIT);
    run->steps[0].concert.fence = 7;
    assert_int_equal(run->steps[1].reservations.count, 2);
    bool first = memcmp(&run->steps[1].reservations.items[0].id, &one->id, RESV_ID_SIZE) == 0;
    fill_row(&run->steps[1], first ? 0 : 1, 1, 1, 1, RESV_STATUS_CONFIRMED);
    run_done(&fixture->host, run);
    run_done(&fixture->host, expect_run(DATABASE_SYNC, END));
    assert_outcome(one, RESV_GRANTED);
    assert_under_way(two);
    expect_no_run();
    assert_int_equal(metric(fixture, "lost_lease_total"), 1);
    redis_serves(); /* had again */
    writes(fixture, 8, 1, 1);
    assert_outcome(two, RESV_GRANTED);
}

static void doubt_that_is_never_ended_is_unknown(void **state)
{
    struct database_fixture *fixture = *state;
    redlock_start_warm(fixture, 1);
    struct resv_op *op = reserve(fixture, 1);
    redis_serves();
    run_fails(&fixture->host, expect_write(7, 1, 1), DATABASE_LOST, 3);
    link_sessions(DATABASE_SALES, 0);
    for (unsigned i = 0; i < 1000 && op->state != RESV_OP_DONE; i++) {
        fake_host_advance(&fixture->host, 100);
        redis_serves();
        if (the_link.waits > 0)
            link_refuse(DATABASE_DOWN);
        fake_host_flush(&fixture->host);
    }
    assert_outcome(op, RESV_UNKNOWN);
    redis_serves();
    assert_false(node_has_lock(0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, redlock_set_up, redlock_tear_down)
        TEST(row_that_is_there_was_ours),
        TEST(row_that_is_not_there_is_written_again),
        TEST(row_that_is_there_is_found_where_nothing_holds_still),
        TEST(row_that_is_there_is_told_though_the_rest_is_contended),
        TEST(without_the_lock_the_truth_is_found_and_nothing_written),
        TEST(doubt_that_is_never_ended_is_unknown),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
