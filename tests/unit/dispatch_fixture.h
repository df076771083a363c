/* A dispatcher on a real host, with a strategy that does what the test says. */
#ifndef RESVD_TESTS_UNIT_DISPATCH_FIXTURE_H
#define RESVD_TESTS_UNIT_DISPATCH_FIXTURE_H

#include "host_fixture.h"
#include "op/dispatch.h"

#define DEADLINE_MS    80
#define GRACE_MS       80
#define TICK_MS        60 /* one look of the dispatcher at its deadlines, and a little */
#define OPERATIONS_MAX 16
#define PRIVATE_BYTES  24

struct dispatch_fixture {
    struct resv_strategy strategy;
    struct resv_catalog catalog;
    struct dispatcher *dispatcher;
    /* What the strategy does. */
    bool busy;
    bool catalog_busy;
    bool completes_inside;
    /* What it was asked. */
    struct resv_op *submitted[4096];
    size_t submitted_count;
    size_t submit_calls;
    struct resv_op *cancelled[64];
    size_t cancelled_count;
    enum resv_cancel_reason reason;
};
extern struct dispatch_fixture fixture;

/* Who waits for an operation; `told` counts. */
struct client {
    struct resv_op *op;
    unsigned told;
    bool gone; /* client was NULL when told */
    enum resv_outcome outcome;
    enum resv_op_state state; /* while told */
    void (*then)(struct client *client);
};

int dispatch_fixture_setup(void **state);
int dispatch_fixture_teardown(void **state);

/* Taken, with an id of its number. */
struct resv_op *take(enum resv_op_kind kind, uint64_t number);
/* Taken and submitted; the client's told and gone start at 0. */
struct resv_op *submit(enum resv_op_kind kind, uint64_t number, struct client *client);
void submit_op(struct resv_op *op, struct client *client);
/* As the strategy does. */
void complete(struct resv_op *op, enum resv_outcome outcome);
struct resv_id id_of(uint64_t number);
void expect_depths(size_t queued, size_t submitted_operations);
void expect_told(const struct client *client, enum resv_outcome outcome);

#endif
