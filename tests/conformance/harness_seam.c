/* The conformance harness in the dispatcher's place: sees the seam itself. */
#include "harness_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "host/host.h"

static void try_seam_submit(struct harness *harness, struct resv_op *op)
{
    bool taken;
    harness->inside_strategy = true;
    if (op->kind <= RESV_OP_LOOKUP) {
        taken = harness_strategy()->submit(harness->instance, op);
    } else {
        struct resv_catalog *catalog = harness_strategy()->catalog(harness->instance);
        taken = catalog->submit(catalog->self, op);
    }
    harness->inside_strategy = false;
    if (taken) {
        ((struct seam_op *)op->client)->taken = true;
        op->state = RESV_OP_SUBMITTED;
        return;
    }
    op->next = NULL;
    *harness->busy_last = op;
    harness->busy_last = &op->next;
}

static void run_retry_busy(struct resv_deferred *deferred)
{
    struct harness *harness = deferred->data;
    struct resv_op *op = harness->busy_first;
    harness->busy_first = NULL;
    harness->busy_last = &harness->busy_first;
    while (op != NULL) {
        struct resv_op *next = op->next;
        try_seam_submit(harness, op);
        op = next;
    }
}

static void on_ready_for_more(void *data)
{
    struct harness *harness = data;
    resv_defer(harness->host, &harness->retry_busy);
}

static void on_complete(void *data, struct resv_op *op, enum resv_outcome outcome)
{
    struct harness *harness = data;
    struct seam_op *seam_op = op->client;
    assert_false(harness->inside_strategy); /* never from inside submit or cancel */
    assert_false(harness->drained);         /* drained was said too early */
    assert_true(seam_op->taken);
    assert_int_equal(op->state, RESV_OP_SUBMITTED);
    assert_int_equal(seam_op->completions, 0);
    seam_op->completions++;
    op->state = RESV_OP_DONE;
    op->outcome = outcome;
    harness->seam_under_way--;
    harness->seam_idle = harness->seam_under_way == 0;
    harness_wake(harness);
}

void seam_op_init(struct seam_op *op, enum resv_op_kind kind)
{
    *op = (struct seam_op){.op = {.kind = kind, .member_id = 1, .quantity = 1}};
    op->op.client = op;
    op->op.strategy_private = calloc(1, harness_strategy()->op_private_size + 1);
    assert_non_null(op->op.strategy_private);
}

void seam_op_free(struct seam_op *op)
{
    free(op->op.strategy_private);
}

void seam_submit(struct harness *harness, struct seam_op *op)
{
    op->op.state = RESV_OP_QUEUED;
    op->op.created_ns = resv_now_ns(harness->host);
    op->op.deadline_ns = op->op.created_ns + HARNESS_DEADLINE_MS * 1000000ULL;
    harness->seam_under_way++;
    harness->seam_idle = false;
    try_seam_submit(harness, &op->op);
}

void seam_cancel(struct harness *harness, struct seam_op *op, enum resv_cancel_reason reason)
{
    if (op->op.state != RESV_OP_SUBMITTED)
        return;
    op->op.cancelled = true;
    harness->inside_strategy = true;
    harness_strategy()->cancel(harness->instance, &op->op, reason);
    harness->inside_strategy = false;
}

void seam_run_until_complete(struct harness *harness)
{
    if (harness->seam_under_way > 0)
        harness_run_until(harness, &harness->seam_idle, "every operation to complete");
}

void seam_drain(struct harness *harness, uint64_t deadline_ms)
{
    harness->inside_strategy = true;
    harness_strategy()->drain(harness->instance,
                              resv_now_ns(harness->host) + deadline_ms * 1000000ULL);
    harness->inside_strategy = false;
}

bool seam_drained(const struct harness *harness)
{
    return harness->drained;
}

void seam_run_until_drained(struct harness *harness)
{
    harness_run_until(harness, &harness->drained, "drained");
}

void harness_seam_attach(struct harness *harness)
{
    harness->busy_first = NULL;
    harness->busy_last = &harness->busy_first;
    harness->retry_busy = (struct resv_deferred){.run = run_retry_busy, .data = harness};
    host_set_operations(harness->host,
                        &(struct host_operations){.complete = on_complete,
                                                  .ready_for_more = on_ready_for_more,
                                                  .data = harness});
}
