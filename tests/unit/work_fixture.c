/* One work between the fake host and a link that only records. */
#include "work_fixture.h"

#include <stdlib.h>

static void begin(struct work *work)
{
    struct work_fixture *fixture = work->data;
    assert_false(fixture->host.inside);
    assert_int_equal(fixture->gave_up, 0);
    fixture->begun++;
}

static void gave_up(struct work *work, enum resv_outcome outcome)
{
    struct work_fixture *fixture = work->data;
    assert_false(fixture->host.inside);
    fixture->gave_up++;
    fixture->outcome = outcome;
}

void owner_next(struct work *work, enum database_result result)
{
    struct work_fixture *fixture = work->data;
    fixture->nexts++;
    fixture->result = result;
}

static const struct work_owner with_retries = {
    .begin = begin, .gave_up = gave_up, .pool = DATABASE_SALES, .retries = true};
static const struct work_owner without_retries = {
    .begin = begin, .gave_up = gave_up, .pool = DATABASE_SALES, .retries = false};

void work_set_retries(struct work_fixture *fixture, bool retries)
{
    fixture->work.owner = retries ? &with_retries : &without_retries;
}

int work_set_up(void **state)
{
    struct work_fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    fake_host_init(&fixture->host);
    link_reset();
    fixture->work = (struct work){
        .host = &fixture->host,
        .link = &the_link,
        .owner = &with_retries,
        .counters = &fixture->counters,
        .data = fixture,
        .deadline_ns = fixture->host.now_ns + DEADLINE_MS * FAKE_NS_PER_MS,
        .doubt_ns = fixture->host.now_ns + DOUBT_MS * FAKE_NS_PER_MS,
    };
    *state = fixture;
    return 0;
}

int work_tear_down(void **state)
{
    struct work_fixture *fixture = *state;
    assert_int_equal(fixture->work.state, WORK_IDLE);
    assert_int_equal(the_link.held, 0);
    assert_int_equal(the_link.waits, 0);
    assert_int_equal(fake_host_timers(&fixture->host), 0);
    assert_null(fixture->host.deferred_first);
    free(fixture);
    return 0;
}

void start_work(struct work_fixture *fixture)
{
    fixture->host.inside = true;
    work_start(&fixture->work);
    fixture->host.inside = false;
    fake_host_flush(&fixture->host);
    assert_int_equal(fixture->begun, 1);
}

static size_t fill_steps(struct work_fixture *fixture, int first_kind, va_list kinds)
{
    size_t count = 0;
    for (int kind = first_kind; kind != END; kind = va_arg(kinds, int)) {
        assert_true(count < sizeof fixture->steps / sizeof fixture->steps[0]);
        fixture->steps[count++].kind = (enum database_step_kind)kind;
    }
    return count;
}

struct database_run *owner_runs(struct work_fixture *fixture, int first_kind, ...)
{
    va_list kinds;
    va_start(kinds, first_kind);
    size_t count = fill_steps(fixture, first_kind, kinds);
    va_end(kinds);
    work_run(&fixture->work, fixture->steps, count, owner_next);
    assert_int_equal(runs_under_way(), 1);
    return &fixture->work.run;
}

struct database_run *owner_tries(struct work_fixture *fixture, unsigned decides, int first_kind,
                                 ...)
{
    va_list kinds;
    va_start(kinds, first_kind);
    size_t count = fill_steps(fixture, first_kind, kinds);
    va_end(kinds);
    work_try(&fixture->work, fixture->steps, count, decides, owner_next);
    assert_int_equal(runs_under_way(), 1);
    return &fixture->work.run;
}

void machine_rolls_back(struct work_fixture *fixture)
{
    struct database_run *run = expect_run(DATABASE_ROLLBACK, END);
    assert_ptr_equal(session_of(run), &the_link.sessions[the_link.sessions_used - 1]);
    run_done(&fixture->host, run);
}

void until_next_attempt(struct work_fixture *fixture)
{
    unsigned begun = fixture->begun;
    for (unsigned ms = 0; fixture->begun == begun && runs_under_way() == 0; ms++) {
        assert_true(ms <= 100);
        assert_int_equal(the_link.held, 0); /* pauses without a session */
        fake_host_advance(&fixture->host, 1);
    }
}

void lose_commit(struct work_fixture *fixture)
{
    struct database_run *run = owner_runs(fixture, DATABASE_BEGIN, DATABASE_TAKE_SEATS,
                                          DATABASE_INSERT_RESERVATIONS, DATABASE_COMMIT, END);
    run_fails(&fixture->host, run, DATABASE_LOST, 3);
    assert_true(fixture->work.in_doubt);
}

struct database_run *expect_end_session(unsigned session)
{
    struct database_run *run = expect_run(DATABASE_END_SESSION, END);
    assert_int_equal(run->steps[0].end_session.bytes[0], session);
    return run;
}
