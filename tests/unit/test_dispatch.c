/* The dispatcher: every state of an operation, and who is told what when clients go, time runs out
 * and the strategy is busy. */
#include "dispatch_fixture.h"

#include "op/catalog_request.h"

#define FIRST_SUBMITTED (fixture.submitted[0])

static void one_operation(void **state)
{
    (void)state;
    struct client client = {0};
    struct resv_op *op = submit(RESV_OP_RESERVE, 1, &client);
    assert_int_equal(op->state, RESV_OP_SUBMITTED);
    assert_ptr_equal(FIRST_SUBMITTED, op);
    expect_depths(0, 1);
    complete(op, RESV_SOLD_OUT);
    expect_told(&client, RESV_SOLD_OUT);
    assert_int_equal(client.state, RESV_OP_DONE);
    assert_false(client.gone);
    assert_int_equal(op->state, RESV_OP_FREE);
    assert_null(op->client);
}

static void pool(void **state)
{
    (void)state;
    static struct client clients[OPERATIONS_MAX];
    struct resv_op *ops[OPERATIONS_MAX];
    for (unsigned round = 0; round < 3; round++) {
        for (size_t i = 0; i < OPERATIONS_MAX; i++)
            ops[i] = submit(RESV_OP_LOOKUP, i, &clients[i]);
        assert_null(take(RESV_OP_LOOKUP, 99));
        expect_depths(0, OPERATIONS_MAX);
        complete(ops[7], RESV_FOUND);
        struct resv_op *again = take(RESV_OP_RELEASE, 7);
        assert_ptr_equal(again, ops[7]);
        dispatcher_give_back(fixture.dispatcher, again);
        for (size_t i = 0; i < OPERATIONS_MAX; i++) {
            if (i != 7)
                complete(ops[i], RESV_NOT_FOUND);
            expect_told(&clients[i], i == 7 ? RESV_FOUND : RESV_NOT_FOUND);
        }
    }
    /* What was only taken counts against the pool too. */
    for (size_t i = 0; i < OPERATIONS_MAX; i++)
        assert_non_null(ops[i] = take(RESV_OP_LOOKUP, i));
    assert_null(take(RESV_OP_LOOKUP, 99));
    expect_depths(0, 0);
    for (size_t i = 0; i < OPERATIONS_MAX; i++)
        dispatcher_give_back(fixture.dispatcher, ops[i]);
}

static void accepting(void **state)
{
    (void)state;
    struct client client = {0};
    struct resv_op *op = submit(RESV_OP_RESERVE, 1, &client);
    dispatcher_set_accepting(fixture.dispatcher, false);
    assert_false(dispatcher_accepting(fixture.dispatcher));
    assert_null(dispatcher_take(fixture.dispatcher, RESV_OP_RESERVE));
    complete(op, RESV_GRANTED); /* what is under way goes on */
    expect_told(&client, RESV_GRANTED);
}

/* --- busy --------------------------------------------------------------------------------------
 */

static void busy_then_in_order(void **state)
{
    (void)state;
    struct client clients[4] = {{0}};
    fixture.busy = true;
    for (uint64_t i = 0; i < 3; i++)
        assert_int_equal(submit(RESV_OP_RESERVE, i, &clients[i])->state, RESV_OP_QUEUED);
    expect_depths(3, 0);
    assert_int_equal(fixture.submit_calls, 1); /* those behind the first are not offered */
    resv_host_ready_for_more(host_fixture.host);
    host_turn();
    expect_depths(3, 0); /* busy again */
    fixture.busy = false;
    resv_host_ready_for_more(host_fixture.host);
    resv_host_ready_for_more(host_fixture.host);
    assert_int_equal(fixture.submitted_count, 0); /* not from inside */
    submit(RESV_OP_LOOKUP, 3, &clients[3]);       /* does not overtake */
    assert_int_equal(clients[3].op->state, RESV_OP_QUEUED);
    host_turn();
    expect_depths(0, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_ptr_equal(fixture.submitted[i], clients[i].op);
        complete(fixture.submitted[i], RESV_GRANTED);
    }
}

static void busy_in_the_middle(void **state)
{
    (void)state;
    struct client clients[3] = {{0}};
    fixture.busy = true;
    for (uint64_t i = 0; i < 3; i++)
        submit(RESV_OP_RESERVE, i, &clients[i]);
    dispatcher_client_gone(fixture.dispatcher, clients[0].op); /* the one that was refused goes */
    expect_told(&clients[0], RESV_CANCELLED);
    fixture.busy = false;
    resv_host_ready_for_more(host_fixture.host);
    host_turn();
    assert_int_equal(fixture.submitted_count, 2);
    complete(clients[2].op, RESV_GRANTED);
    complete(clients[1].op, RESV_GRANTED);
}

static void lanes_do_not_block_each_other(void **state)
{
    (void)state;
    struct client clients[4] = {{0}};
    fixture.busy = true;
    submit(RESV_OP_RESERVE, 0, &clients[0]);
    struct resv_op *get = take(RESV_OP_CONCERT_GET, 1);
    get->catalog = catalog_request_create();
    submit_op(get, &clients[1]);
    assert_int_equal(get->state, RESV_OP_SUBMITTED);
    expect_depths(1, 1);
    complete(get, RESV_FOUND);
    expect_told(&clients[1], RESV_FOUND);
    fixture.busy = false;
    fixture.catalog_busy = true;
    submit(RESV_OP_AUDIT, 2, &clients[2]);
    resv_host_ready_for_more(host_fixture.host);
    host_turn();
    assert_int_equal(clients[0].op->state, RESV_OP_SUBMITTED);
    submit(RESV_OP_LOOKUP, 3, &clients[3]);
    assert_int_equal(clients[3].op->state, RESV_OP_SUBMITTED);
    expect_depths(1, 2);
    fixture.catalog_busy = false;
    resv_host_ready_for_more(host_fixture.host);
    host_turn();
    expect_depths(0, 3);
    complete(clients[0].op, RESV_GRANTED);
    complete(clients[2].op, RESV_FOUND);
    complete(clients[3].op, RESV_FOUND);
}

/* --- clients that go ----------------------------------------------------------------------------
 */

static void gone_while_queued(void **state)
{
    (void)state;
    struct client clients[3] = {{0}};
    fixture.busy = true;
    for (uint64_t i = 0; i < 3; i++)
        submit(RESV_OP_RESERVE, i, &clients[i]);
    dispatcher_client_gone(fixture.dispatcher, clients[1].op);
    expect_told(&clients[1], RESV_CANCELLED);
    assert_true(clients[1].gone);
    expect_depths(2, 0);
    fixture.busy = false;
    resv_host_ready_for_more(host_fixture.host);
    host_turn();
    assert_int_equal(fixture.submitted_count, 2); /* never submitted */
    complete(clients[0].op, RESV_GRANTED);
    complete(clients[2].op, RESV_GRANTED);
    assert_int_equal(fixture.cancelled_count, 0);
}

static void gone_while_submitted(void **state)
{
    (void)state;
    struct client client = {0};
    struct resv_op *op = submit(RESV_OP_RESERVE, 1, &client);
    op->keyed = false;
    dispatcher_client_gone(fixture.dispatcher, op);
    assert_int_equal(op->state, RESV_OP_SUBMITTED); /* the seat stays as it will be */
    assert_null(op->client);
    assert_int_equal(client.told, 0);
    dispatcher_client_gone(fixture.dispatcher, op);
    complete(op, RESV_GRANTED);
    expect_told(&client, RESV_GRANTED);
    assert_true(client.gone);
}

/* --- time ----------------------------------------------------------------------------------------
 */

static void queued_too_long(void **state)
{
    (void)state;
    struct client clients[2] = {{0}};
    fixture.busy = true;
    submit(RESV_OP_RESERVE, 1, &clients[0]);
    host_run_ms(30);
    submit(RESV_OP_RESERVE, 2, &clients[1]);
    host_run_ms(DEADLINE_MS - 30 + TICK_MS);
    expect_told(&clients[0], RESV_CANCELLED);
    assert_false(clients[0].gone);
    host_run_ms(30);
    expect_told(&clients[1], RESV_CANCELLED);
    fixture.busy = false;
    resv_host_ready_for_more(host_fixture.host);
    host_turn();
    assert_int_equal(fixture.submitted_count, 0);
    assert_int_equal(fixture.cancelled_count, 0);
}

static void true_outcome_within_grace(void **state)
{
    (void)state;
    struct client client = {0};
    uint64_t before_ns = resv_now_ns(host_fixture.host);
    struct resv_op *op = submit(RESV_OP_RESERVE, 1, &client);
    while (fixture.cancelled_count == 0)
        host_run_ms(5);
    assert_true(resv_now_ns(host_fixture.host) - before_ns >= DEADLINE_MS * 1000000ULL);
    assert_ptr_equal(fixture.cancelled[0], op);
    assert_int_equal(fixture.reason, RESV_CANCEL_DEADLINE);
    assert_int_equal(op->state, RESV_OP_SUBMITTED);
    assert_int_equal(client.told, 0);
    expect_depths(0, 1);
    complete(op, RESV_GRANTED);
    expect_told(&client, RESV_GRANTED);
    host_run_ms(GRACE_MS + TICK_MS);
    expect_told(&client, RESV_GRANTED);
    assert_int_equal(fixture.cancelled_count, 1);
}

static void unknown_after_grace(void **state)
{
    (void)state;
    struct client client = {0};
    struct resv_op *op = take(RESV_OP_RESERVE, 1);
    op->keyed = true;
    uint64_t created_ns = op->created_ns;
    submit_op(op, &client);
    while (client.told == 0)
        host_run_ms(5);
    assert_true(resv_now_ns(host_fixture.host) - created_ns >=
                (DEADLINE_MS + GRACE_MS) * 1000000ULL);
    expect_told(&client, RESV_UNKNOWN);
    assert_int_equal(client.state, RESV_OP_SUBMITTED);
    assert_int_equal(op->state, RESV_OP_SUBMITTED);
    assert_null(op->client);
    expect_depths(0, 1);
    struct resv_id id = id_of(1);
    assert_ptr_equal(dispatcher_find_keyed(fixture.dispatcher, &id), op); /* still running */
    host_run_ms(2 * TICK_MS);
    expect_told(&client, RESV_UNKNOWN); /* once */
    assert_int_equal(fixture.cancelled_count, 1);
    complete(op, RESV_GRANTED); /* swallowed */
    expect_told(&client, RESV_UNKNOWN);
    assert_int_equal(op->state, RESV_OP_FREE);
    assert_null(dispatcher_find_keyed(fixture.dispatcher, &id));
}

static void gone_within_grace(void **state)
{
    (void)state;
    struct client client = {0};
    struct resv_op *op = submit(RESV_OP_RESERVE, 1, &client);
    while (fixture.cancelled_count == 0)
        host_run_ms(5);
    dispatcher_client_gone(fixture.dispatcher, op);
    host_run_ms(GRACE_MS + 2 * TICK_MS);
    assert_int_equal(client.told, 1);
    assert_true(client.gone);
    complete(op, RESV_CANCELLED);
    assert_int_equal(client.told, 1);
}

/* The store may be writing into the request until it completes. */
static void catalog_after_grace(void **state)
{
    (void)state;
    struct client client = {0};
    struct resv_op *op = take(RESV_OP_CONCERT_LIST, 1);
    op->catalog = catalog_request_create();
    submit_op(op, &client);
    host_run_ms(DEADLINE_MS + GRACE_MS + 2 * TICK_MS);
    expect_told(&client, RESV_UNKNOWN);
    assert_int_equal(fixture.cancelled_count, 0); /* a catalog has no cancel */
    op->catalog->concerts = calloc(2, sizeof(struct resv_concert));
    op->catalog->members = calloc(1, sizeof(struct resv_member));
    op->catalog->audit = calloc(1, sizeof(struct resv_audit_line));
    complete(op, RESV_FOUND); /* frees all of it */
    expect_told(&client, RESV_UNKNOWN);
}

/* Several ages at once: each is told when its own time has come, in whatever order they end. */
static void several_ages(void **state)
{
    (void)state;
    static struct client clients[8];
    struct resv_op *ops[8];
    for (uint64_t i = 0; i < 8; i++) {
        ops[i] = submit(i % 2 == 0 ? RESV_OP_RESERVE : RESV_OP_AUDIT, i, &clients[i]);
        host_run_ms(20);
    }
    for (unsigned waited = 0; waited < 60 && clients[7].told == 0; waited++) {
        uint64_t now_ns = resv_now_ns(host_fixture.host);
        for (size_t i = 0; i < 8; i++) {
            uint64_t due_ns = ops[i]->deadline_ns + GRACE_MS * 1000000ULL;
            if (clients[i].told > 0)
                assert_true(now_ns >= due_ns);
            else
                assert_true(now_ns <= due_ns + 500000000);
        }
        host_run_ms(10);
    }
    for (size_t i = 8; i-- > 0;) {
        expect_told(&clients[i], RESV_UNKNOWN);
        complete(ops[i], RESV_GRANTED);
        expect_told(&clients[i], RESV_UNKNOWN);
    }
}

/* --- keyed
 * ---------------------------------------------------------------------------------------- */

static void keyed(void **state)
{
    (void)state;
    static struct client clients[OPERATIONS_MAX];
    struct resv_op *ops[OPERATIONS_MAX];
    for (uint64_t i = 0; i < OPERATIONS_MAX; i++) {
        enum resv_op_kind kind = i == 13 ? RESV_OP_RELEASE : RESV_OP_RESERVE;
        ops[i] = take(kind, i);
        ops[i]->keyed = i != 14;
        struct resv_id id = id_of(i);
        assert_null(dispatcher_find_keyed(fixture.dispatcher, &id));
        fixture.busy = i >= 8; /* QUEUED ones are found too */
        submit_op(ops[i], &clients[i]);
        bool found = dispatcher_find_keyed(fixture.dispatcher, &id) != NULL;
        assert_true(found == (i != 13 && i != 14));
    }
    static const size_t order[] = {3, 0, 15, 9, 6, 12, 1, 2, 4, 5, 7, 8, 10, 11, 13, 14};
    for (size_t i = 0; i < OPERATIONS_MAX; i++) {
        size_t index = order[i];
        if (ops[index]->state == RESV_OP_QUEUED)
            dispatcher_client_gone(fixture.dispatcher, ops[index]);
        else
            complete(ops[index], RESV_GRANTED);
        for (size_t k = 0; k < OPERATIONS_MAX; k++) {
            struct resv_id id = id_of(order[k]);
            bool expected = k > i && order[k] != 13 && order[k] != 14;
            assert_ptr_equal(dispatcher_find_keyed(fixture.dispatcher, &id),
                             expected ? ops[order[k]] : NULL);
        }
    }
}

/* --- idle
 * ----------------------------------------------------------------------------------------- */

static void idle(void *data)
{
    ++*(unsigned *)data;
}

static void when_idle(void **state)
{
    (void)state;
    unsigned count = 0;
    dispatcher_when_idle(fixture.dispatcher, idle, &count);
    assert_int_equal(count, 1); /* at once */
    struct client clients[2] = {{0}};
    struct resv_op *first = submit(RESV_OP_RESERVE, 1, &clients[0]);
    fixture.busy = true;
    struct resv_op *second = submit(RESV_OP_RESERVE, 2, &clients[1]);
    dispatcher_when_idle(fixture.dispatcher, idle, &count);
    assert_int_equal(count, 1);
    complete(first, RESV_GRANTED);
    assert_int_equal(count, 1);
    dispatcher_client_gone(fixture.dispatcher, second);
    assert_int_equal(count, 2);
    submit(RESV_OP_RESERVE, 3, &clients[0]);
    dispatcher_client_gone(fixture.dispatcher, clients[0].op);
    assert_int_equal(count, 2); /* once */
}

/* Told UNKNOWN is not done: nothing may be closed under the strategy. */
static void not_idle_while_overdue(void **state)
{
    (void)state;
    unsigned count = 0;
    struct client client = {0};
    struct resv_op *op = submit(RESV_OP_RESERVE, 1, &client);
    dispatcher_when_idle(fixture.dispatcher, idle, &count);
    host_run_ms(DEADLINE_MS + GRACE_MS + 2 * TICK_MS);
    expect_told(&client, RESV_UNKNOWN);
    assert_int_equal(count, 0);
    complete(op, RESV_UNKNOWN);
    assert_int_equal(count, 1);
}

/* --- from inside done
 * ------------------------------------------------------------------------------ */

static struct client next_client;

static void submit_next(struct client *client)
{
    (void)client;
    submit(RESV_OP_LOOKUP, 50, &next_client);
}

static void done_submits_the_next(void **state)
{
    (void)state;
    next_client = (struct client){0};
    struct client client = {.then = submit_next};
    complete(submit(RESV_OP_RESERVE, 1, &client), RESV_GRANTED);
    expect_told(&client, RESV_GRANTED);
    assert_int_equal(next_client.op->state, RESV_OP_SUBMITTED);
    complete(next_client.op, RESV_FOUND);
    expect_told(&next_client, RESV_FOUND);
    /* Also while the dispatcher goes through its deadlines. */
    fixture.busy = true;
    submit(RESV_OP_RESERVE, 1, &client);
    host_run_ms(DEADLINE_MS + TICK_MS);
    expect_told(&client, RESV_CANCELLED);
    assert_int_equal(next_client.op->state, RESV_OP_QUEUED);
    dispatcher_client_gone(fixture.dispatcher, next_client.op);
}

#define TEST(test)                                                                                 \
    cmocka_unit_test_setup_teardown(test, dispatch_fixture_setup, dispatch_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_operation),
        TEST(pool),
        TEST(accepting),
        TEST(busy_then_in_order),
        TEST(busy_in_the_middle),
        TEST(lanes_do_not_block_each_other),
        TEST(gone_while_queued),
        TEST(gone_while_submitted),
        TEST(queued_too_long),
        TEST(true_outcome_within_grace),
        TEST(unknown_after_grace),
        TEST(gone_within_grace),
        TEST(catalog_after_grace),
        TEST(several_ages),
        TEST(keyed),
        TEST(when_idle),
        TEST(not_idle_while_overdue),
        TEST(done_submits_the_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
