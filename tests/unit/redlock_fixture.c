/* The redlock strategy between fakes. */
#include "redlock_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int redlock_set_up(void **state)
{
    struct database_fixture *fixture = calloc(1, sizeof *fixture);
    *state = fixture;
    if (fixture == NULL)
        return 1;
    fake_host_init(&fixture->host);
    link_reset();
    return 0;
}

void redlock_start(struct database_fixture *fixture, size_t nodes)
{
    redis_reset(&fixture->host, nodes);
    strategy_start(fixture, &resv_strategy_redlock);
}

void redlock_start_warm(struct database_fixture *fixture, size_t nodes)
{
    redlock_start(fixture, nodes);
    struct resv_op *op = reserve(fixture, 1);
    redis_serves();
    reads(fixture, "cm", 10, NO_LIMIT, 5);
    writes(fixture, 6, 1, 1);
    redis_serves();
    assert_outcome(op, RESV_GRANTED);
}

void redlock_stop(struct database_fixture *fixture)
{
    struct resv_host *host = &fixture->host;
    redis_serves();
    if (host->drained == 0)
        drain(fixture, 0);
    redis_serves();
    assert_int_equal(host->drained, 1);
    fixture->strategy->close(fixture->instance);
    redis_serves();
    assert_int_equal(host->closed, 1);
    assert_true(the_redis.closed);
    assert_null(host->deferred_first);
    assert_int_equal(fake_host_timers(host), 0);
    for (size_t i = 0; i < fixture->ops_count; i++) {
        assert_int_equal(fixture->ops[i].state, RESV_OP_DONE);
        free(fixture->ops[i].strategy_private);
    }
    assert_int_equal(host->completed, fixture->ops_count);
    fixture->instance = NULL;
}

int redlock_tear_down(void **state)
{
    struct database_fixture *fixture = *state;
    if (fixture->instance != NULL)
        redlock_stop(fixture);
    free(fixture);
    return 0;
}

struct resv_op *reserve(struct database_fixture *fixture, int64_t member_id)
{
    return submit_reserve(fixture, false, 1, member_id, 1);
}

struct resv_op *reserve_keyed(struct database_fixture *fixture, int64_t member_id)
{
    return submit_reserve(fixture, true, 1, member_id, 1);
}

static struct database_run *run_under_way(void)
{
    for (size_t i = 0; i < the_link.sessions_used; i++) {
        if (the_link.sessions[i].run != NULL)
            return the_link.sessions[i].run;
    }
    fail_msg("no run is under way");
    return NULL;
}

static char letter_of(enum database_step_kind kind)
{
    if (kind == DATABASE_READ_CONCERT)
        return 'c';
    if (kind == DATABASE_READ_RESERVATIONS)
        return 'i';
    if (kind == DATABASE_READ_MEMBERS)
        return 'm';
    return kind == DATABASE_READ_MEMBER_SEATS ? 's' : '?';
}

void reads(struct database_fixture *fixture, const char *letters, int64_t sold, int64_t limit,
           int64_t fence)
{
    struct database_run *run = run_under_way();
    char found[16] = "";
    for (size_t i = 0; i < run->count; i++) {
        struct database_step *step = &run->steps[i];
        found[i] = letter_of(step->kind);
        if (found[i] == 'c') {
            fill_concert(step, 100, sold, limit);
            step->concert.fence = fence;
        }
        for (size_t k = 0; found[i] == 'm' && k < step->members.count; k++)
            step->members.items[k].found = true;
    }
    assert_string_equal(found, letters);
    run_done(&fixture->host, run);
}

struct database_run *expect_write(int64_t token, int64_t seats, size_t rows)
{
    struct database_run *run = expect_run(DATABASE_BEGIN, DATABASE_TAKE_SEATS_OR_FAIL,
                                          DATABASE_INSERT_RESERVATIONS, DATABASE_COMMIT, END);
    assert_int_equal(run->steps[1].seats.concert_id, 1);
    assert_int_equal(run->steps[1].seats.token, token);
    assert_int_equal(run->steps[1].seats.seats, seats);
    assert_int_equal(run->steps[2].insert.count, rows);
    return run;
}

void writes(struct database_fixture *fixture, int64_t token, int64_t seats, size_t rows)
{
    run_done(&fixture->host, expect_write(token, seats, rows));
}

int64_t metric(const struct database_fixture *fixture, const char *name)
{
    char full[64];
    snprintf(full, sizeof full, "redlock_%s", name);
    return fake_host_metric(&fixture->host, full);
}
