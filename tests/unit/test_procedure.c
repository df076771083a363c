/* The pessimistic strategy, form = procedure, between a host and a link that only record. */
#include <stdlib.h>

#include "database_fixture.h"

extern const struct resv_strategy resv_strategy_pessimistic;

static int set_up(void **state)
{
    struct database_fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    fake_host_init(&fixture->host);
    fake_host_option(&fixture->host, "hold_ms", "500");
    fake_host_option(&fixture->host, "form", "procedure");
    link_reset();
    strategy_start(fixture, &resv_strategy_pessimistic);
    assert_int_equal(the_link.config.isolation, DATABASE_READ_COMMITTED);
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

static void procedure_is_one_call(void **state)
{
    struct database_fixture *fixture = *state;
    assert_true(the_link.config.needs_procedure);
    struct resv_op *op = submit_reserve(fixture, true, 1, 7, 3);
    struct database_run *run = expect_run(DATABASE_CALL_RESERVE, END);
    struct database_call_step *call = &run->steps[0].call;
    assert_int_equal(call->concert_id, 1);
    assert_memory_equal(&call->row.id, &op->id, sizeof op->id);
    assert_int_equal(call->row.member_id, 7);
    assert_int_equal(call->row.quantity, 3);
    assert_int_equal(call->created_ms, fixture->host.wall_ms);
    assert_int_equal(call->hold_ms, 500);
    call->outcome = RESV_GRANTED;
    call->reservation = (struct resv_reservation){.concert_id = 1,
                                                  .member_id = 7,
                                                  .quantity = 3,
                                                  .status = RESV_STATUS_CONFIRMED,
                                                  .replay = true};
    run_done(&fixture->host, run);
    assert_outcome(op, RESV_GRANTED);
    assert_true(op->reservation.replay);
    assert_int_equal(op->reservation.quantity, 3);
    expect_no_run();
    assert_int_equal(the_link.closed_open, 0);
}

static void procedure_says_no(void **state)
{
    static const enum resv_outcome outcomes[] = {RESV_SOLD_OUT, RESV_LIMIT, RESV_UNKNOWN_CONCERT,
                                                 RESV_UNKNOWN_MEMBER, RESV_KEY_REUSED};
    struct database_fixture *fixture = *state;
    for (size_t i = 0; i < sizeof outcomes / sizeof outcomes[0]; i++) {
        struct resv_op *op = submit_reserve(fixture, false, 1, 7, 3);
        struct database_run *run = expect_run(DATABASE_CALL_RESERVE, END);
        run->steps[0].call.outcome = outcomes[i];
        run_done(&fixture->host, run);
        assert_outcome(op, outcomes[i]);
    }
}

static void procedure_whose_answer_was_lost(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = submit_reserve(fixture, false, 1, 7, 3);
    run_fails(&fixture->host, expect_run(DATABASE_CALL_RESERVE, END), DATABASE_LOST, 0);
    fake_host_advance(&fixture->host, 10);
    run_done(&fixture->host, expect_run(DATABASE_END_SESSION, END));
    struct database_run *run = expect_run(DATABASE_CALL_RESERVE, END);
    run->steps[0].call.outcome = RESV_GRANTED;
    run->steps[0].call.reservation.quantity = 3;
    run->steps[0].call.reservation.replay = true;
    run_done(&fixture->host, run);
    assert_outcome(op, RESV_GRANTED);
    assert_false(op->reservation.replay);
}

static void procedure_that_met_a_deadlock_is_called_again(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = submit_reserve(fixture, false, 1, 7, 3);
    run_fails(&fixture->host, expect_run(DATABASE_CALL_RESERVE, END), DATABASE_DEADLOCK, 0);
    run_done(&fixture->host, expect_run(DATABASE_ROLLBACK, END));
    assert_int_equal(the_link.closed_open, 0);
    fake_host_advance(&fixture->host, 10);
    struct database_run *run = expect_run(DATABASE_CALL_RESERVE, END);
    run->steps[0].call.outcome = RESV_SOLD_OUT;
    run_done(&fixture->host, run);
    assert_outcome(op, RESV_SOLD_OUT);
}

static void procedure_that_a_constraint_refuses(void **state)
{
    static const enum database_result results[] = {DATABASE_REFUSED, DATABASE_DUPLICATE,
                                                   DATABASE_NO_PARENT};
    struct database_fixture *fixture = *state;
    for (size_t i = 0; i < 3; i++) {
        struct resv_op *op = submit_reserve(fixture, false, 1, 7, 3);
        run_fails(&fixture->host, expect_run(DATABASE_CALL_RESERVE, END), results[i], 0);
        assert_under_way(op);
        run_done(&fixture->host, expect_run(DATABASE_ROLLBACK, END));
        assert_outcome(op, RESV_UNAVAILABLE);
    }
    expect_no_run();
    assert_int_equal(the_link.closed_open, 0);
    assert_int_equal(fake_host_metric(&fixture->host, "database_contradictions_total"), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(procedure_is_one_call),
        TEST(procedure_says_no),
        TEST(procedure_whose_answer_was_lost),
        TEST(procedure_that_met_a_deadlock_is_called_again),
        TEST(procedure_that_a_constraint_refuses),
    };
    return cmocka_run_group_tests_name("procedure", tests, NULL, NULL);
}
