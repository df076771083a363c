/* A dispatcher on a real host, with a strategy that does what the test says. */
#include "dispatch_fixture.h"

#include <stdio.h>

struct dispatch_fixture fixture;

static bool record(struct resv_op *op)
{
    assert_int_equal(op->state, RESV_OP_QUEUED);
    assert_true(fixture.submitted_count < sizeof(fixture.submitted) / sizeof(void *));
    fixture.submitted[fixture.submitted_count++] = op;
    if (fixture.completes_inside)
        resv_op_complete(host_fixture.host, op, RESV_GRANTED);
    return true;
}

static bool strategy_submit(void *instance, struct resv_op *op)
{
    assert_ptr_equal(instance, &fixture);
    assert_true(op->kind <= RESV_OP_LOOKUP);
    fixture.submit_calls++;
    if (fixture.busy)
        return false;
    static const uint8_t zeros[PRIVATE_BYTES];
    assert_memory_equal(op->strategy_private, zeros, PRIVATE_BYTES);
    memset(op->strategy_private, 0x5a, PRIVATE_BYTES);
    return record(op);
}

static bool catalog_submit(void *self, struct resv_op *op)
{
    assert_ptr_equal(self, &fixture.catalog);
    assert_true(op->kind > RESV_OP_LOOKUP);
    return !fixture.catalog_busy && record(op);
}

static struct resv_catalog *strategy_catalog(void *instance)
{
    assert_ptr_equal(instance, &fixture);
    return &fixture.catalog;
}

static void strategy_cancel(void *instance, struct resv_op *op, enum resv_cancel_reason reason)
{
    assert_ptr_equal(instance, &fixture);
    assert_int_equal(op->state, RESV_OP_SUBMITTED);
    assert_true(op->cancelled);
    fixture.cancelled[fixture.cancelled_count++] = op;
    fixture.reason = reason;
}

int dispatch_fixture_setup(void **state)
{
    host_fixture_setup(state);
    memset(&fixture, 0, sizeof(fixture));
    fixture.strategy = (struct resv_strategy){
        .name = "scripted",
        .op_private_size = PRIVATE_BYTES,
        .submit = strategy_submit,
        .catalog = strategy_catalog,
        .cancel = strategy_cancel,
    };
    fixture.catalog = (struct resv_catalog){.self = &fixture.catalog, .submit = catalog_submit};
    struct dispatcher_config config = {
        .strategy = &fixture.strategy,
        .operations_max = OPERATIONS_MAX,
        .deadline_ms = DEADLINE_MS,
        .grace_ms = GRACE_MS,
    };
    assert_true(dispatcher_memory_bytes(&config) >= OPERATIONS_MAX * sizeof(struct resv_op));
    fixture.dispatcher = dispatcher_create(host_fixture.host, &config);
    assert_non_null(fixture.dispatcher);
    assert_null(dispatcher_take(fixture.dispatcher, RESV_OP_LOOKUP)); /* not yet */
    dispatcher_set_instance(fixture.dispatcher, &fixture);
    dispatcher_set_accepting(fixture.dispatcher, true);
    return 0;
}

int dispatch_fixture_teardown(void **state)
{
    expect_depths(0, 0);
    dispatcher_destroy(fixture.dispatcher);
    return host_fixture_teardown(state);
}

struct resv_id id_of(uint64_t number)
{
    /* The first eight bytes are few, so that ids share buckets. */
    struct resv_id id = {{(uint8_t)(number % 3)}};
    memcpy(id.bytes + 8, &number, sizeof(number));
    return id;
}

struct resv_op *take(enum resv_op_kind kind, uint64_t number)
{
    struct resv_op *op = dispatcher_take(fixture.dispatcher, kind);
    if (op == NULL)
        return NULL;
    assert_int_equal(op->kind, kind);
    assert_int_equal(op->state, RESV_OP_FREE);
    assert_false(op->keyed || op->cancelled || op->catalog != NULL || op->client != NULL);
    assert_int_equal(op->deadline_ns - op->created_ns, DEADLINE_MS * 1000000ULL);
    op->id = id_of(number);
    return op;
}

static void done(struct resv_op *op)
{
    /* The client may be gone; where it was, submit_op has left in the operation. */
    struct client *client = op->client;
    if (client == NULL) {
        client = (struct client *)(uintptr_t)op->member_id;
        client->gone = true;
    }
    client->told++;
    client->outcome = op->outcome;
    client->state = op->state;
    client->op = NULL;
    if (client->then != NULL)
        client->then(client);
}

void submit_op(struct resv_op *op, struct client *client)
{
    client->op = op;
    client->told = 0;
    client->gone = false;
    op->member_id = (int64_t)(uintptr_t)client;
    dispatcher_submit(fixture.dispatcher, op, client, done);
    if (!fixture.completes_inside)
        assert_int_equal(client->told, 0); /* never from inside */
}

struct resv_op *submit(enum resv_op_kind kind, uint64_t number, struct client *client)
{
    struct resv_op *op = take(kind, number);
    assert_non_null(op);
    submit_op(op, client);
    return op;
}

void complete(struct resv_op *op, enum resv_outcome outcome)
{
    resv_op_complete(host_fixture.host, op, outcome);
}

void expect_depths(size_t queued, size_t submitted_operations)
{
    struct dispatcher_depths depths = dispatcher_depths(fixture.dispatcher);
    assert_int_equal(depths.operations_max, OPERATIONS_MAX);
    assert_int_equal(depths.queued, queued);
    assert_int_equal(depths.submitted, submitted_operations);
}

void expect_told(const struct client *client, enum resv_outcome outcome)
{
    assert_int_equal(client->told, 1);
    assert_int_equal(client->outcome, outcome);
}
