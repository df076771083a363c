/* Conformance, the seam itself: completions come once, later, and after every kind of cancel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "suite.h"

static void step(struct harness *harness, struct seam_op *op)
{
    seam_submit(harness, op);
    seam_run_until_complete(harness);
    assert_int_equal(op->completions, 1);
}

/* By asking for more than there is, until there is an answer. */
static void open_gate(struct harness *harness, int64_t concert_id)
{
    struct seam_op op;
    do {
        seam_op_init(&op, RESV_OP_RESERVE);
        make_id(harness, &op.op.id);
        op.op.concert_id = concert_id;
        op.op.quantity = RESV_INTEGER_MAX;
        step(harness, &op);
        seam_op_free(&op);
    } while (op.op.outcome == RESV_UNAVAILABLE);
    assert_int_equal(op.op.outcome, RESV_SOLD_OUT);
}

static void seam_reset(struct harness *harness, int64_t concerts, int64_t members, int64_t capacity)
{
    struct seam_op op;
    struct resv_catalog_request request = {
        .reset_concerts = concerts, .reset_members = members, .reset_capacity = capacity};
    seam_op_init(&op, RESV_OP_RESET);
    op.op.catalog = &request;
    step(harness, &op);
    assert_int_equal(op.op.outcome, RESV_STORED);
    seam_op_free(&op);
    for (int64_t id = 1; harness_strategy()->asynchronous && id <= concerts; id++)
        open_gate(harness, id);
}

/* With an asynchronous strategy, when nothing is pending: of a concert whose gate is closed nobody
 * knows that. */
static int64_t seats_live(struct harness *harness, int64_t concert_id)
{
    for (;;) {
        struct seam_op op;
        struct resv_catalog_request request = {0};
        seam_op_init(&op, RESV_OP_AUDIT);
        op.op.catalog = &request;
        step(harness, &op);
        assert_int_equal(op.op.outcome, RESV_FOUND);
        int64_t live = -1, closed = 0;
        bool pending = false;
        for (size_t i = 0; i < request.audit_count; i++) {
            pending = pending || request.audit[i].pending > 0;
            if (request.audit[i].stock < 0)
                closed = request.audit[i].concert_id;
            if (request.audit[i].concert_id == concert_id)
                live = request.audit[i].live;
        }
        bool consistent = request.audit_consistent;
        free(request.audit);
        seam_op_free(&op);
        if (closed != 0 && harness_strategy()->asynchronous)
            open_gate(harness, closed);
        if ((pending || closed != 0) && harness_strategy()->asynchronous)
            continue;
        assert_true(consistent);
        return live;
    }
}

static struct seam_op *make_reserves(struct harness *harness, size_t count, int64_t concert_id)
{
    struct seam_op *ops = calloc(count, sizeof ops[0]);
    assert_non_null(ops);
    for (size_t i = 0; i < count; i++) {
        seam_op_init(&ops[i], RESV_OP_RESERVE);
        make_id(harness, &ops[i].op.id);
        ops[i].op.concert_id = concert_id;
    }
    return ops;
}

static void free_ops(struct seam_op *ops, size_t count)
{
    for (size_t i = 0; i < count; i++)
        seam_op_free(&ops[i]);
    free(ops);
}

static int64_t seats_granted(const struct seam_op *ops, size_t count)
{
    int64_t seats = 0;
    for (size_t i = 0; i < count; i++) {
        if (is_granted(ops[i].op.outcome) && !ops[i].op.reservation.replay)
            seats += ops[i].op.quantity;
    }
    return seats;
}

static void every_kind_completes_once_and_later(void **state)
{
    struct harness *harness = *state;
    enum { COUNT = 900 };
    seam_reset(harness, 3, 5, 100);
    struct seam_op *ops = make_reserves(harness, COUNT, 1);
    for (size_t i = 0; i < COUNT; i++) {
        if (i % 3 == 1) {
            ops[i].op.kind = RESV_OP_LOOKUP;
            ops[i].op.id = ops[i - 1].op.id;
        } else if (i % 3 == 2) {
            ops[i].op.kind = RESV_OP_RELEASE;
            ops[i].op.id = ops[i - 2].op.id;
        }
    }
    for (size_t i = 0; i < COUNT; i++)
        seam_submit(harness, &ops[i]);
    seam_run_until_complete(harness);
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(ops[i].completions, 1);
    free_ops(ops, COUNT);
}

static void cancel_in_the_same_turn(void **state)
{
    struct harness *harness = *state;
    enum { COUNT = 600 };
    seam_reset(harness, 1, 1, 1000);
    struct seam_op *ops = make_reserves(harness, COUNT, 1);
    for (size_t i = 0; i < COUNT; i++) {
        seam_submit(harness, &ops[i]);
        if (i % 2 == 0)
            seam_cancel(harness, &ops[i], (enum resv_cancel_reason)(i / 2 % 3));
    }
    seam_run_until_complete(harness);
    int64_t granted = seats_granted(ops, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(ops[i].completions, 1);
        assert_true(is_granted(ops[i].op.outcome) || ops[i].op.outcome == RESV_CANCELLED ||
                    is_try_again(ops[i].op.outcome));
        assert_true(i % 2 == 0 || ops[i].op.outcome != RESV_CANCELLED);
    }
    /* CANCELLED took nothing, GRANTED took its seat: the audit tells. */
    assert_int_equal(seats_live(harness, 1), granted);
    free_ops(ops, COUNT);
}

static void cancel_a_turn_later(void **state)
{
    struct harness *harness = *state;
    enum { COUNT = 600 };
    seam_reset(harness, 1, 1, 1000);
    struct seam_op *ops = make_reserves(harness, COUNT, 1);
    for (size_t i = 0; i < COUNT; i++) {
        seam_submit(harness, &ops[i]);
        if (i % 7 == 0)
            harness_turn(harness);
        if (i > 5)
            seam_cancel(harness, &ops[i - 5], RESV_CANCEL_CLIENT_GONE);
    }
    seam_run_until_complete(harness);
    assert_int_equal(seats_live(harness, 1), seats_granted(ops, COUNT));
    free_ops(ops, COUNT);
}

static void equal_keys_at_once_sell_once(void **state)
{
    struct harness *harness = *state;
    enum { COUNT = 40 };
    seam_reset(harness, 2, 1, 1000);
    struct seam_op *ops = make_reserves(harness, COUNT, 1);
    for (size_t i = 0; i < COUNT; i++) {
        ops[i].op.keyed = true;
        ops[i].op.id = ops[0].op.id;
        ops[i].op.quantity = 3;
        if (i % 4 == 3)
            ops[i].op.quantity = 4; /* the same key for another request */
        if (i % 8 == 6)
            ops[i].op.concert_id = 2;
        seam_submit(harness, &ops[i]);
    }
    seam_run_until_complete(harness);
    unsigned first = 0;
    for (size_t i = 0; i < COUNT; i++) {
        const struct resv_op *op = &ops[i].op;
        assert_int_equal(ops[i].completions, 1);
        if (is_granted(op->outcome)) {
            first += op->reservation.replay ? 0 : 1;
            assert_int_equal(op->reservation.quantity, op->quantity);
            assert_int_equal(op->reservation.concert_id, op->concert_id);
        } else {
            assert_true(op->outcome == RESV_KEY_REUSED || is_try_again(op->outcome));
        }
    }
    assert_int_equal(first, 1);
    int64_t live = seats_live(harness, 1) + seats_live(harness, 2);
    assert_int_equal(live, seats_granted(ops, COUNT));
    free_ops(ops, COUNT);
}

static void drain_with_nothing_under_way(void **state)
{
    struct harness *harness = *state;
    seam_drain(harness, 5000);
    seam_run_until_drained(harness);
}

static void drain_finishes_what_is_under_way(void **state)
{
    struct harness *harness = *state;
    enum { COUNT = 500 };
    seam_reset(harness, 1, 1, 1000);
    struct seam_op *ops = make_reserves(harness, COUNT, 1);
    for (size_t i = 0; i < COUNT; i++) {
        seam_submit(harness, &ops[i]);
        assert_true(ops[i].taken); /* one that is busy now would be submitted after drain */
    }
    seam_drain(harness, 15000);
    seam_run_until_drained(harness); /* the harness asserts that no completion comes after */
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(ops[i].completions, 1);
    int64_t granted = seats_granted(ops, COUNT);
    assert_int_equal(granted, COUNT); /* there was time enough */
    if (harness_is_durable()) {
        harness_reopen(harness);
        assert_int_equal(seats_live(harness, 1), granted);
    }
    free_ops(ops, COUNT);
}

static void drain_whose_deadline_has_passed_says_the_truth(void **state)
{
    struct harness *harness = *state;
    enum { COUNT = 500 };
    seam_reset(harness, 1, 1, 1000);
    struct seam_op *ops = make_reserves(harness, COUNT, 1);
    for (size_t i = 0; i < COUNT; i++)
        seam_submit(harness, &ops[i]);
    seam_drain(harness, 0);
    seam_run_until_drained(harness);
    int64_t unknown = 0;
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(ops[i].completions, 1);
        unknown += ops[i].op.outcome == RESV_UNKNOWN;
    }
    int64_t granted = seats_granted(ops, COUNT);
    if (harness_is_durable()) {
        harness_reopen(harness);
        int64_t live = seats_live(harness, 1);
        assert_true(live >= granted && live <= granted + unknown);
    }
    free_ops(ops, COUNT);
}

int run_seam_tests(void)
{
    const struct CMUnitTest tests[] = {
#define SEAM_TEST(name)                                                                            \
    cmocka_unit_test_setup_teardown(name, harness_set_up_seam, harness_tear_down)
        SEAM_TEST(every_kind_completes_once_and_later),
        SEAM_TEST(cancel_in_the_same_turn),
        SEAM_TEST(cancel_a_turn_later),
        SEAM_TEST(equal_keys_at_once_sell_once),
        SEAM_TEST(drain_with_nothing_under_way),
        SEAM_TEST(drain_finishes_what_is_under_way),
        SEAM_TEST(drain_whose_deadline_has_passed_says_the_truth),
    };
    return cmocka_run_group_tests_name("seam", tests, NULL, NULL);
}
