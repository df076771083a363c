/* What strategies on a database share: lookups that are joined into one read. */
#include "base_fixture.h"

static void lookups_share_a_read(void **state)
{
    struct database_fixture *fixture = *state;
    static const uint8_t ids[] = {3, 1, 3, 2};
    struct resv_op *ops[4];
    link_sessions(DATABASE_READS, 0);
    for (size_t i = 0; i < 4; i++)
        ops[i] = submit_kind(fixture, RESV_OP_LOOKUP, ids[i]);
    assert_int_equal(the_link.waits, 1); /* for one read, not for four */
    assert_int_equal(the_link.first_wait->pool, DATABASE_READS);
    link_grant();
    struct database_run *run = expect_run(DATABASE_READ_RESERVATIONS, END);
    struct database_reservations_step *step = &run->steps[0].reservations;
    assert_int_equal(step->count, 3); /* equal ids once, in order */
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(step->items[i].id.bytes[0], i + 1);
    fill_row(&run->steps[0], 2, 1, 2, 5, RESV_STATUS_CANCELLED);
    run_done(&fixture->host, run);
    for (size_t i = 0; i < 4; i++)
        assert_outcome(ops[i], ids[i] == 3 ? RESV_FOUND : RESV_NOT_FOUND);
    assert_int_equal(ops[2]->reservation.quantity, 5);
    assert_int_equal(ops[2]->reservation.status, RESV_STATUS_CANCELLED);
    assert_int_equal(the_link.held, 0);
    assert_int_equal(fake_host_metric(&fixture->host, "database_lookups_joined"), 4);
}

static void few_reads_at_once_then_the_rest(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *ops[20];
    for (uint8_t i = 0; i < 20; i++)
        ops[i] = submit_kind(fixture, RESV_OP_LOOKUP, (uint8_t)(20 - i));
    size_t reads = 0;
    assert_int_equal(runs_under_way(), 3);
    while (runs_under_way() > 0) {
        struct database_run *run = expect_run(DATABASE_READ_RESERVATIONS, END);
        assert_true(run->steps[0].reservations.count <= 4);
        run_done(&fixture->host, run);
        assert_true(runs_under_way() <= 3);
        reads++;
    }
    assert_int_equal(reads, 3 + 5); /* each of the first alone, then full ones */
    for (size_t i = 0; i < 20; i++)
        assert_outcome(ops[i], RESV_NOT_FOUND);
}

static void failed_read_is_unavailable(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = submit_kind(fixture, RESV_OP_LOOKUP, 1);
    run_fails(&fixture->host, expect_run(DATABASE_READ_RESERVATIONS, END), DATABASE_LOST, 0);
    assert_outcome(op, RESV_UNAVAILABLE);
    assert_int_equal(the_link.held, 0);
}

static void refused_read_is_unavailable(void **state)
{
    struct database_fixture *fixture = *state;
    link_sessions(DATABASE_READS, 0);
    struct resv_op *op = submit_kind(fixture, RESV_OP_LOOKUP, 1);
    link_refuse(DATABASE_WAITED_OUT);
    fake_host_flush(&fixture->host);
    assert_outcome(op, RESV_UNAVAILABLE);
    assert_int_equal(the_link.waits, 0);
}

static void lookups_end_when_the_database_goes_down(void **state)
{
    struct database_fixture *fixture = *state;
    link_sessions(DATABASE_READS, 0);
    struct resv_op *op = submit_kind(fixture, RESV_OP_LOOKUP, 1);
    the_link.up = false;
    the_link.events.up_changed(the_link.events.data);
    fake_host_flush(&fixture->host);
    assert_outcome(op, RESV_UNAVAILABLE);
    link_grant(); /* nobody wants it any more: it goes back */
    expect_no_run();
    fake_host_flush(&fixture->host);
    assert_int_equal(the_link.held, 0);
}

static void cancelled_lookups(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *reading = submit_kind(fixture, RESV_OP_LOOKUP, 1);
    cancel_op(fixture, reading);
    assert_under_way(reading); /* its read is under way */
    link_sessions(DATABASE_READS, 0);
    struct resv_op *waiting = submit_kind(fixture, RESV_OP_LOOKUP, 2);
    cancel_op(fixture, waiting);
    assert_outcome(waiting, RESV_CANCELLED);
    run_done(&fixture->host, expect_run(DATABASE_READ_RESERVATIONS, END));
    assert_outcome(reading, RESV_NOT_FOUND);
    link_grant();
    fake_host_flush(&fixture->host);
    assert_int_equal(the_link.held, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, plain_set_up, plain_tear_down)
        TEST(lookups_share_a_read),
        TEST(few_reads_at_once_then_the_rest),
        TEST(failed_read_is_unavailable),
        TEST(refused_read_is_unavailable),
        TEST(lookups_end_when_the_database_goes_down),
        TEST(cancelled_lookups),
    };
    return cmocka_run_group_tests_name("base: lookups", tests, NULL, NULL);
}
