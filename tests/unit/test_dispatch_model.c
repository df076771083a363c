/* The dispatcher under random schedules, held against what must be true in every one of them; and
 * the misuse that must abort. */
#include "dispatch_fixture.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "op/catalog_request.h"

/* --- random schedules
 * ------------------------------------------------------------------------------ */

static uint64_t seed;

static uint64_t chance(uint64_t below)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (seed >> 33) % below;
}

struct waiting {
    struct client client; /* first */
    struct resv_op *op;   /* until the strategy is done with it */
    bool in_use;
    bool must_not_run; /* told while it was QUEUED */
};
static struct waiting slots[OPERATIONS_MAX];
static uint64_t told_in_all;

static void check_told(struct client *client)
{
    struct waiting *slot = (struct waiting *)client;
    assert_int_equal(client->told, 1);
    told_in_all++;
    if (client->state == RESV_OP_DONE)
        slot->in_use = false;
    if (chance(4) == 0)
        fixture.busy = !fixture.busy;
}

static void submit_one(uint64_t step)
{
    static const enum resv_op_kind kinds[] = {RESV_OP_RESERVE, RESV_OP_RESERVE,
                                              RESV_OP_LOOKUP,  RESV_OP_RELEASE,
                                              RESV_OP_AUDIT,   RESV_OP_CONCERT_GET};
    struct resv_op *op = take(kinds[chance(6)], step);
    size_t free_slot = 0;
    while (free_slot < OPERATIONS_MAX && slots[free_slot].in_use)
        free_slot++;
    assert_true((op == NULL) == (free_slot == OPERATIONS_MAX));
    if (op == NULL)
        return;
    if (op->kind > RESV_OP_LOOKUP)
        op->catalog = catalog_request_create();
    if (chance(10) == 0) {
        dispatcher_give_back(fixture.dispatcher, op);
        return;
    }
    op->keyed = chance(2) == 0;
    slots[free_slot] = (struct waiting){.client = {.then = check_told}, .op = op, .in_use = true};
    submit_op(op, &slots[free_slot].client);
}

static void act(uint64_t step)
{
    struct waiting *slot = &slots[chance(OPERATIONS_MAX)];
    struct resv_op *op = slot->op;
    switch (chance(6)) {
    case 0:
    case 1:
        submit_one(step);
        break;
    case 2:
    case 3:
        if (slot->in_use && op->state == RESV_OP_SUBMITTED) {
            complete(op, (enum resv_outcome)chance(RESV_OUTCOME_COUNT));
            assert_int_equal(slot->client.told, 1);
            slot->in_use = false;
        }
        break;
    case 4:
        if (slot->in_use && slot->client.told == 0)
            dispatcher_client_gone(fixture.dispatcher, op);
        break;
    case 5:
        fixture.busy = chance(2) == 0;
        fixture.catalog_busy = chance(2) == 0;
        resv_host_ready_for_more(host_fixture.host);
        break;
    }
}

static void check(void)
{
    size_t queued = 0;
    size_t submitted_operations = 0;
    for (size_t i = 0; i < OPERATIONS_MAX; i++) {
        if (!slots[i].in_use)
            continue;
        queued += slots[i].op->state == RESV_OP_QUEUED;
        submitted_operations += slots[i].op->state == RESV_OP_SUBMITTED;
        struct resv_op *found = dispatcher_find_keyed(fixture.dispatcher, &slots[i].op->id);
        bool keyed = slots[i].op->keyed && slots[i].op->kind == RESV_OP_RESERVE;
        assert_ptr_equal(found, keyed ? slots[i].op : NULL);
    }
    expect_depths(queued, submitted_operations);
}

static void schedule(uint64_t number)
{
    seed = number;
    memset(slots, 0, sizeof(slots));
    fixture.busy = fixture.catalog_busy = false;
    fixture.submitted_count = 0;
    fixture.cancelled_count = 0;
    for (uint64_t step = 0; step < 300; step++) {
        act(step);
        check();
        if (chance(4) == 0)
            host_turn();
    }
    if (number % 100 == 0) /* let all of them run out of time */
        host_run_ms(DEADLINE_MS + GRACE_MS + 2 * TICK_MS);
    fixture.busy = fixture.catalog_busy = false;
    resv_host_ready_for_more(host_fixture.host);
    for (unsigned turn = 0; turn < 3; turn++)
        host_turn();
    for (size_t i = 0; i < OPERATIONS_MAX; i++) {
        fixture.busy = false;
        resv_host_ready_for_more(host_fixture.host);
        host_turn();
        if (slots[i].in_use) {
            assert_int_equal(slots[i].op->state, RESV_OP_SUBMITTED);
            complete(slots[i].op, RESV_GRANTED);
            assert_int_equal(slots[i].client.told, 1);
            slots[i].in_use = false;
        }
    }
    expect_depths(0, 0);
}

static void random_schedules(void **state)
{
    (void)state;
    for (uint64_t number = 1; number <= 400; number++)
        schedule(number);
    assert_true(told_in_all > 10000);
}

/* --- misuse
 * ------------------------------------------------------------------------------------------ */

/* Runs it in a process of its own, which must abort. */
static void expect_abort(void (*misuse)(void))
{
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        fclose(stderr); /* what the assertion says is not news */
        misuse();
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

static struct client client;

static void completes_inside_submit(void)
{
    fixture.completes_inside = true;
    submit(RESV_OP_RESERVE, 1, &client);
}

static void completes_inside_catalog_submit(void)
{
    fixture.completes_inside = true;
    submit(RESV_OP_AUDIT, 1, &client);
}

static void completes_twice(void)
{
    struct resv_op *op = submit(RESV_OP_RESERVE, 1, &client);
    complete(op, RESV_GRANTED);
    complete(op, RESV_GRANTED);
}

static void completes_what_is_queued(void)
{
    fixture.busy = true;
    complete(submit(RESV_OP_RESERVE, 1, &client), RESV_GRANTED);
}

static void submits_twice(void)
{
    struct resv_op *op = submit(RESV_OP_RESERVE, 1, &client);
    dispatcher_submit(fixture.dispatcher, op, &client, op->done);
}

static void gives_back_what_is_submitted(void)
{
    dispatcher_give_back(fixture.dispatcher, submit(RESV_OP_RESERVE, 1, &client));
}

static void submits_without_done(void)
{
    dispatcher_submit(fixture.dispatcher, take(RESV_OP_RESERVE, 1), &client, NULL);
}

static void misuse(void **state)
{
    (void)state;
    expect_abort(completes_inside_submit);
    expect_abort(completes_inside_catalog_submit);
    expect_abort(completes_twice);
    expect_abort(completes_what_is_queued);
    expect_abort(submits_twice);
    expect_abort(gives_back_what_is_submitted);
    expect_abort(submits_without_done);
}

#define TEST(test)                                                                                 \
    cmocka_unit_test_setup_teardown(test, dispatch_fixture_setup, dispatch_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(random_schedules), TEST(misuse)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
