/* The embedded strategy's decisions: group commit, answers from committed facts, cancel, drain. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "embedded_fixture.h"

static void assert_done(const struct resv_op *op, enum resv_outcome outcome)
{
    assert_int_equal(op->state, RESV_OP_DONE);
    assert_int_equal(op->outcome, outcome);
}

static void assert_under_way(const struct resv_op *op)
{
    assert_int_equal(op->state, RESV_OP_SUBMITTED);
}

/* --- group commit ------------------------------------------------------------------------------
 */

static void what_queues_up_is_the_next_batch(void **state)
{
    struct embedded_fixture *fixture = *state;
    struct resv_op *first = submit_reserve(fixture, 1, 1, 1);
    assert_null(the_link.batch); /* not before the flush point */
    flush(fixture);
    assert_int_equal(the_link.batch->count, 1);
    struct resv_op *ops[6];
    for (size_t i = 0; i < 6; i++)
        ops[i] = submit_reserve(fixture, 1, 1, 1);
    flush(fixture);
    assert_int_equal(the_link.batches, 1);
    commit(fixture, 1, 100);
    assert_done(first, RESV_GRANTED);
    assert_int_equal(the_link.batches, 2);
    assert_int_equal(the_link.batch->count, 4); /* batch_max */
    for (size_t i = 0; i < 4; i++)
        assert_ptr_equal(the_link.batch->items[i].user, ops[i]);
    commit(fixture, 1, 96);
    assert_int_equal(the_link.batch->count, 2);
    assert_under_way(ops[5]);
    commit(fixture, 1, 94);
    assert_done(ops[5], RESV_GRANTED);
    assert_null(the_link.batch);
}

static void full_queue_is_busy(void **state)
{
    struct embedded_fixture *fixture = *state;
    struct resv_op *op, *refused;
    for (size_t i = 0; i < 10; i++)
        assert_true(try_submit(fixture, &op));
    assert_false(try_submit(fixture, &refused));
    flush(fixture); /* four go to the writer */
    assert_int_equal(fixture->host.ready_for_more, 1);
    assert_true(try_submit(fixture, &op));
}

static void nothing_is_sent_to_a_writer_in_doubt(void **state)
{
    struct embedded_fixture *fixture = *state;
    the_link.writable = false;
    struct resv_op *reserve = submit_reserve(fixture, 1, 1, 1);
    struct resv_op *look = submit_kind(fixture, RESV_OP_LOOKUP);
    flush(fixture);
    assert_done(reserve, RESV_UNAVAILABLE);
    assert_null(the_link.batch);
    read_row(fixture, (struct resv_reservation){.quantity = 2});
    assert_done(look, RESV_FOUND);
    assert_int_equal(look->reservation.quantity, 2);
}

/* --- sold out ----------------------------------------------------------------------------------
 */

static void sold_out_costs_no_transaction(void **state)
{
    struct embedded_fixture *fixture = *state;
    sell_out(fixture, 1);
    struct resv_op *op = submit_reserve(fixture, 1, 1, 1);
    assert_under_way(op);
    flush(fixture);
    assert_done(op, RESV_SOLD_OUT);
    assert_null(the_link.batch);
    assert_int_equal(the_link.lookups_count, 0);
    struct resv_op *other = submit_reserve(fixture, 2, 1, 1);
    flush(fixture);
    assert_int_equal(the_link.batch->count, 1);
    commit(fixture, 2, 1);
    assert_done(other, RESV_GRANTED);
}

static void what_still_fits_is_the_writers(void **state)
{
    struct embedded_fixture *fixture = *state;
    submit_reserve(fixture, 1, 1, 1);
    flush(fixture);
    commit(fixture, 1, 2);
    struct resv_op *three = submit_reserve(fixture, 1, 1, 3);
    struct resv_op *two = submit_reserve(fixture, 1, 1, 2);
    flush(fixture);
    assert_done(three, RESV_SOLD_OUT);
    assert_int_equal(the_link.batch->count, 1);
    assert_ptr_equal(the_link.batch->items[0].user, two);
}

static void queued_ones_hear_of_it_too(void **state)
{
    struct embedded_fixture *fixture = *state;
    submit_reserve(fixture, 1, 1, 1);
    flush(fixture);
    struct resv_op *waiting = submit_reserve(fixture, 1, 1, 1);
    struct resv_op *keyed = submit_keyed(fixture, 1, 1, 1);
    flush(fixture);
    commit(fixture, 1, 0);
    assert_done(waiting, RESV_SOLD_OUT);
    assert_null(the_link.batch);
    assert_under_way(keyed);
    read_nothing(fixture, true);
    assert_done(keyed, RESV_SOLD_OUT);
}

static void a_release_under_way_may_bring_seats(void **state)
{
    struct embedded_fixture *fixture = *state;
    sell_out(fixture, 1);
    struct resv_op *release = submit_kind(fixture, RESV_OP_RELEASE);
    struct resv_op *reserve = submit_reserve(fixture, 1, 1, 1);
    flush(fixture);
    assert_int_equal(the_link.batch->count, 2);
    struct resv_op *later = submit_reserve(fixture, 1, 1, 1);
    flush(fixture);
    assert_under_way(later);
    commit(fixture, 1, 0);
    assert_done(release, RESV_RELEASED);
    assert_done(reserve, RESV_GRANTED);
    assert_done(later, RESV_SOLD_OUT); /* the release has been counted */
    assert_null(the_link.batch);
}

static void a_cancelled_release_brings_none(void **state)
{
    struct embedded_fixture *fixture = *state;
    sell_out(fixture, 1);
    struct resv_op *release = submit_kind(fixture, RESV_OP_RELEASE);
    resv_strategy_embedded.cancel(fixture->instance, release, RESV_CANCEL_DEADLINE);
    struct resv_op *reserve = submit_reserve(fixture, 1, 1, 1);
    flush(fixture);
    assert_done(release, RESV_CANCELLED);
    assert_done(reserve, RESV_SOLD_OUT);
}

static void keys_are_looked_up_first(void **state)
{
    struct embedded_fixture *fixture = *state;
    sell_out(fixture, 1);
    struct resv_reservation row = {
        .concert_id = 1, .member_id = 1, .quantity = 2, .status = RESV_STATUS_CANCELLED};
    struct resv_op *same = submit_keyed(fixture, 1, 1, 2);
    flush(fixture);
    assert_under_way(same);
    read_row(fixture, row);
    assert_done(same, RESV_GRANTED);
    assert_true(same->reservation.replay);
    assert_int_equal(same->reservation.status, RESV_STATUS_CANCELLED);
    for (int different = 0; different < 3; different++) {
        struct resv_op *op = submit_keyed(fixture, 1, 1, 2);
        struct resv_reservation other = row;
        other.concert_id += different == 0;
        other.quantity += different == 1;
        other.member_id += different == 2;
        flush(fixture);
        read_row(fixture, other);
        assert_done(op, RESV_KEY_REUSED);
    }
    struct resv_op *fresh = submit_keyed(fixture, 1, 1, 2);
    flush(fixture);
    read_nothing(fixture, true);
    assert_done(fresh, RESV_SOLD_OUT);
    assert_int_equal(the_link.batches, 1);
}

/* While the reader looked, a batch touched the concert: it may have made this key's row. */
static void a_commit_meanwhile_sends_the_key_to_the_writer(void **state)
{
    struct embedded_fixture *fixture = *state;
    sell_out(fixture, 1);
    struct resv_op *elsewhere = submit_reserve(fixture, 2, 1, 1);
    flush(fixture);
    struct resv_op *keyed = submit_keyed(fixture, 1, 1, 1);
    flush(fixture);
    assert_int_equal(the_link.lookups_count, 1);
    commit(fixture, 1, 0);
    assert_done(elsewhere, RESV_GRANTED);
    read_nothing(fixture, true);
    assert_under_way(keyed);
    assert_int_equal(the_link.batch->count, 1);
    assert_ptr_equal(the_link.batch->items[0].user, keyed);
    commit(fixture, 1, 0);
    assert_done(keyed, RESV_GRANTED);
}

static void unseen_members_are_looked_up_once(void **state)
{
    struct embedded_fixture *fixture = *state;
    sell_out(fixture, 1);
    struct resv_op *unknown = submit_reserve(fixture, 1, 99, 1);
    flush(fixture);
    assert_int_equal(the_link.lookups[0]->items[0].member_id, 99);
    assert_false(the_link.lookups[0]->items[0].want_reservation);
    read_nothing(fixture, false);
    assert_done(unknown, RESV_UNKNOWN_MEMBER);
    struct resv_op *known = submit_reserve(fixture, 1, 98, 1);
    flush(fixture);
    read_nothing(fixture, true);
    assert_done(known, RESV_SOLD_OUT);
    struct resv_op *again = submit_reserve(fixture, 1, 98, 1);
    flush(fixture);
    assert_done(again, RESV_SOLD_OUT);
    assert_int_equal(the_link.lookups_count, 0);
}

static void an_unreadable_file_is_the_writers(void **state)
{
    struct embedded_fixture *fixture = *state;
    sell_out(fixture, 1);
    struct resv_op *op = submit_reserve(fixture, 1, 99, 1);
    struct resv_op *look = submit_kind(fixture, RESV_OP_LOOKUP);
    flush(fixture);
    for (size_t i = 0; i < the_link.lookups_count; i++)
        for (size_t j = 0; j < the_link.lookups[i]->count; j++)
            the_link.lookups[i]->items[j].failed = true;
    while (the_link.lookups_count > 0)
        read_nothing(fixture, false);
    assert_done(look, RESV_UNAVAILABLE);
    assert_under_way(op);
    assert_ptr_equal(the_link.batch->items[0].user, op);
}

static void changes_by_the_admin_are_heard(void **state)
{
    struct embedded_fixture *fixture = *state;
    sell_out(fixture, 1);
    the_link.events.catalog_changed(the_link.events.data, 1); /* more seats, perhaps */
    struct resv_op *op = submit_reserve(fixture, 1, 1, 1);
    flush(fixture);
    assert_int_equal(the_link.batch->count, 1);
    commit(fixture, 1, 0);
    assert_done(op, RESV_GRANTED);
    /* A reset: also the members are gone, and what the reader saw before it counts for nothing. */
    struct resv_op *checked = submit_reserve(fixture, 1, 50, 1);
    flush(fixture);
    the_link.events.catalog_changed(the_link.events.data, 0);
    read_nothing(fixture, true);
    assert_under_way(checked);
    assert_ptr_equal(the_link.batch->items[0].user, checked);
    the_link.batch->items[0].outcome = RESV_UNKNOWN_MEMBER;
    commit(fixture, 1, 0);
    assert_done(checked, RESV_UNKNOWN_MEMBER);
    for (int64_t member = 1; member <= 50; member += 49) {
        struct resv_op *gone = submit_reserve(fixture, 1, member, 1);
        flush(fixture);
        assert_under_way(gone);
        read_nothing(fixture, false);
        assert_done(gone, RESV_UNKNOWN_MEMBER);
    }
}

static void failed_commits_are_no_facts(void **state)
{
    struct embedded_fixture *fixture = *state;
    sell_out(fixture, 1);
    struct resv_op *release = submit_kind(fixture, RESV_OP_RELEASE);
    flush(fixture);
    commit_fails(fixture, RESV_UNKNOWN);
    assert_done(release, RESV_UNKNOWN);
    struct resv_op *op = submit_reserve(fixture, 1, 1, 1);
    flush(fixture);
    assert_under_way(op); /* the seat may be back */
    assert_int_equal(the_link.batch->count, 1);
    commit_fails(fixture, RESV_UNAVAILABLE);
    assert_done(op, RESV_UNAVAILABLE);
}

/* --- cancel, drain -----------------------------------------------------------------------------
 */

static void cancel_takes_back_what_was_not_sent(void **state)
{
    struct embedded_fixture *fixture = *state;
    struct resv_op *sent = submit_reserve(fixture, 1, 1, 1);
    flush(fixture);
    struct resv_op *queued[3];
    for (size_t i = 0; i < 3; i++)
        queued[i] = submit_reserve(fixture, 1, 1, 1);
    flush(fixture);
    struct resv_op *arrived = submit_reserve(fixture, 1, 1, 1);
    struct resv_op *canceled[] = {sent, queued[1], arrived};
    for (size_t i = 0; i < 3; i++) {
        resv_strategy_embedded.cancel(fixture->instance, canceled[i], RESV_CANCEL_CLIENT_GONE);
        assert_under_way(canceled[i]); /* never from inside */
    }
    flush(fixture);
    assert_done(queued[1], RESV_CANCELLED);
    assert_done(arrived, RESV_CANCELLED);
    assert_under_way(sent);
    commit(fixture, 1, 9);
    assert_done(sent, RESV_GRANTED);
    assert_int_equal(the_link.batch->count, 2);
    assert_ptr_equal(the_link.batch->items[0].user, queued[0]);
    assert_ptr_equal(the_link.batch->items[1].user, queued[2]);
}

static void cancel_while_being_read(void **state)
{
    struct embedded_fixture *fixture = *state;
    sell_out(fixture, 1);
    struct resv_op *keyed = submit_keyed(fixture, 1, 1, 1);
    struct resv_op *look = submit_kind(fixture, RESV_OP_LOOKUP);
    flush(fixture);
    resv_strategy_embedded.cancel(fixture->instance, keyed, RESV_CANCEL_DEADLINE);
    resv_strategy_embedded.cancel(fixture->instance, look, RESV_CANCEL_DEADLINE);
    while (the_link.lookups_count > 0)
        read_nothing(fixture, true);
    assert_done(keyed, RESV_CANCELLED);
    assert_done(look, RESV_CANCELLED);
}

static void drain_finishes_first(void **state)
{
    struct embedded_fixture *fixture = *state;
    struct resv_op *ops[5];
    for (size_t i = 0; i < 5; i++)
        ops[i] = submit_reserve(fixture, 1, 1, 1);
    struct resv_op *look = submit_kind(fixture, RESV_OP_LOOKUP);
    resv_strategy_embedded.drain(fixture->instance, fixture->host.now_ns + 2000 * FAKE_NS_PER_MS);
    flush(fixture);
    commit(fixture, 1, 9);
    commit(fixture, 1, 8);
    assert_int_equal(fixture->host.drained, 0);
    read_nothing(fixture, false);
    assert_int_equal(fixture->host.drained, 1);
    assert_done(look, RESV_NOT_FOUND);
    for (size_t i = 0; i < 5; i++)
        assert_done(ops[i], RESV_GRANTED);
}

static void drains_deadline_tells_the_truth(void **state)
{
    struct embedded_fixture *fixture = *state;
    struct resv_op *sent = submit_reserve(fixture, 1, 1, 1);
    struct resv_op *look = submit_kind(fixture, RESV_OP_LOOKUP);
    flush(fixture);
    struct resv_op *queued = submit_reserve(fixture, 1, 1, 1);
    resv_strategy_embedded.drain(fixture->instance, fixture->host.now_ns + 2000 * FAKE_NS_PER_MS);
    flush(fixture);
    assert_int_equal(fixture->host.drained, 0);
    fake_host_advance(&fixture->host, 1999);
    assert_int_equal(fixture->host.drained, 0);
    fake_host_advance(&fixture->host, 1);
    assert_int_equal(fixture->host.drained, 1);
    assert_done(sent, RESV_UNKNOWN);
    assert_done(look, RESV_UNAVAILABLE);
    assert_done(queued, RESV_UNAVAILABLE);
    assert_true(the_link.interrupted);
    /* The tear-down closes: the writer's late answer finds nobody. */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, embedded_set_up, embedded_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_queues_up_is_the_next_batch),
        TEST(full_queue_is_busy),
        TEST(nothing_is_sent_to_a_writer_in_doubt),
        TEST(sold_out_costs_no_transaction),
        TEST(what_still_fits_is_the_writers),
        TEST(queued_ones_hear_of_it_too),
        TEST(a_release_under_way_may_bring_seats),
        TEST(a_cancelled_release_brings_none),
        TEST(keys_are_looked_up_first),
        TEST(a_commit_meanwhile_sends_the_key_to_the_writer),
        TEST(unseen_members_are_looked_up_once),
        TEST(an_unreadable_file_is_the_writers),
        TEST(changes_by_the_admin_are_heard),
        TEST(failed_commits_are_no_facts),
        TEST(cancel_takes_back_what_was_not_sent),
        TEST(cancel_while_being_read),
        TEST(drain_finishes_first),
        TEST(drains_deadline_tells_the_truth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
