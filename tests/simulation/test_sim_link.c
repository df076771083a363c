/* The simulated database held against the description that the real one is held against: the same
 * cases (tests/support/database_cases.h), run on the simulated link; and what its crashes lose. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "database_case_kit.h"
#include "resvd/assert.h"
#include "sim_host.h"
#include "sim_server.h"
#include "sim_session.h"

#define CASES_MAX 200

struct fixture {
    struct sim_world world;
    struct resv_host host;
    struct database_link *link;
    bool opened;
    bool closed;
    bool completed;
    enum resv_outcome outcome;
};

void world_violation(struct sim_world *world, const char *format, ...)
{
    (void)world;
    print_error("%s\n", format);
    fail();
}

static void complete(void *data, struct resv_op *op, enum resv_outcome outcome)
{
    struct fixture *fixture = data;
    (void)op;
    fixture->completed = true;
    fixture->outcome = outcome;
}

static void opened(void *data)
{
    ((struct fixture *)data)->opened = true;
}

static void open_failed(void *data, int exit_code, const char *message)
{
    (void)data;
    fail_msg("%d %s", exit_code, message);
}

static void closed(void *data)
{
    ((struct fixture *)data)->closed = true;
}

/* --- what the cases ask for ------------------------------------------------------------------- */

static void run_until(void *data, const bool *done)
{
    struct fixture *fixture = data;
    uint64_t end_ns = fixture->world.schedule.now_ns + 20 * NS_PER_S;
    while (!*done) {
        assert_true(schedule_turn(&fixture->world.schedule));
        assert_true(fixture->world.schedule.now_ns < end_ns);
    }
}

static void time_is_over(struct sim_event *event)
{
    *(bool *)event->data = true;
}

static void run_for_ms(void *data, uint64_t milliseconds)
{
    struct fixture *fixture = data;
    bool over = false;
    struct sim_event event = {.fire = time_is_over, .data = &over};
    schedule_after(&fixture->world.schedule, &event, milliseconds * NS_PER_MS);
    run_until(fixture, &over);
}

static enum resv_outcome catalog(void *data, struct resv_op *op)
{
    struct fixture *fixture = data;
    struct resv_catalog *seam = database_link_catalog(fixture->link);
    fixture->completed = false;
    assert_true(seam->submit(seam->self, op));
    run_until(fixture, &fixture->completed);
    return fixture->outcome;
}

/* --- a world of its own for each case --------------------------------------------------------- */

static void add_setting(struct sim_scenario *scenario, const char *key, const char *text)
{
    struct sim_setting *setting = &scenario->settings[scenario->settings_count++];
    setting->key = key;
    snprintf(setting->text, sizeof setting->text, "%s", text);
}

static void set_up(struct fixture *fixture, uint64_t seed, enum database_isolation isolation)
{
    struct sim_world *world = &fixture->world;
    *fixture = (struct fixture){0};
    chance_seed(&world->chance, seed);
    world->schedule.chance = &world->chance;
    world->schedule.now_ns = 1000 * NS_PER_S;
    world->scenario = (struct sim_scenario){
        .step_max_us = 1000, .network_max_us = 1000, .lock_wait_ms = 1500, .end_wait_ms = 1500};
    add_setting(&world->scenario, "pool_min", "1");
    add_setting(&world->scenario, "pool_max", "8");
    add_setting(&world->scenario, "statement_timeout_ms", "15000");
    world->server = server_create(world);
    sim_host_open(&fixture->host, world, "cases",
                  &(struct sim_host_events){.data = fixture, .complete = complete});
    fixture->link = database_link_create(
        &fixture->host,
        &(struct database_link_config){.isolation = isolation,
                                       .rows_max = 10000,
                                       .steps_max = DATABASE_STEPS_MAX,
                                       .catalog_max = 4},
        &(struct database_link_events){
            .data = fixture, .opened = opened, .open_failed = open_failed, .closed = closed});
    database_link_start(fixture->link);
    run_until(fixture, &fixture->opened);
}

static void tear_down(struct fixture *fixture)
{
    struct sim_world *world = &fixture->world;
    database_link_close(fixture->link);
    if (!fixture->closed)
        run_until(fixture, &fixture->closed);
    while (schedule_turn(&world->schedule)) {
    }
    sim_host_close(&fixture->host);
    server_free(world->server);
    schedule_free(&world->schedule);
}

static struct database_cases cases_of(struct fixture *fixture, enum database_isolation isolation)
{
    return (struct database_cases){.link = fixture->link,
                                   .isolation = isolation,
                                   .data = fixture,
                                   .run_until = run_until,
                                   .run_for_ms = run_for_ms,
                                   .catalog = catalog};
}

/* --- what only a simulated server does when it is told ---------------------------------------- */

/* Somebody else has read the row of a COMMIT that has no answer yet; then the server dies. Whether
 * the row is there afterwards. */
static bool is_there_after_a_crash(uint64_t seed, bool synced)
{
    struct fixture fixture;
    set_up(&fixture, seed, DATABASE_READ_COMMITTED);
    struct database_cases cases = cases_of(&fixture, DATABASE_READ_COMMITTED);
    case_reset(&cases, 1, 1, 10);
    int64_t fence = case_read_concert(&cases, 1).fence;
    fixture.world.scenario.flush_max_us = 1000000;
    struct database_session *writer = case_acquire(&cases), *reader = case_acquire(&cases);
    struct database_row row = case_row(&cases, 1);
    CASE_DONE(&cases, writer, step_of(DATABASE_BEGIN), step_seats(DATABASE_TAKE_SEATS, 1, 1),
              step_insert(1, &row, 1));
    struct database_step commit = step_of(DATABASE_COMMIT);
    struct case_run run;
    case_start(&run, writer, &commit, 1);
    struct database_reservation item = {.id = row.id};
    while (!item.found)
        CASE_DONE(&cases, reader, step_reservations(&item, 1));
    if (synced)
        CASE_DONE(&cases, reader, step_of(DATABASE_SYNC));
    bool answered = run.done;
    server_crash(fixture.world.server);
    fixture.world.server->up = true;
    if (case_finish(&cases, &run) == DATABASE_DONE)
        answered = true; /* on its way when the server died */
    database_give_back(writer);
    database_give_back(reader);
    run_for_ms(&fixture, 1000); /* lost connections are noticed */
    bool found = case_read_reservation(&cases, row.id).found;
    case_expect_seats(&cases, 1, found ? 1 : 0, found ? 1 : 0);
    assert_true(case_read_concert(&cases, 1).fence == fence + (found ? 1 : 0));
    assert_true(found || !answered);
    tear_down(&fixture);
    return found;
}

static void crash_loses_what_was_only_seen(void **state)
{
    (void)state;
    size_t found = 0;
    for (uint64_t seed = 1; seed <= 100; seed++)
        found += is_there_after_a_crash(seed, false);
    assert_in_range(found, 10, 90);
}

static void crash_loses_nothing_behind_a_sync(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++)
        assert_true(is_there_after_a_crash(seed, true));
}

static void never_a_sync_in_a_transaction(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, 1, DATABASE_READ_COMMITTED);
    struct database_cases cases = cases_of(&fixture, DATABASE_READ_COMMITTED);
    struct database_session *session = case_acquire(&cases);
    CASE_DONE(&cases, session, step_of(DATABASE_BEGIN));
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        fclose(stderr); /* what the assertion says is not news */
        signal(SIGABRT, SIG_DFL);
        struct database_step sync = step_of(DATABASE_SYNC);
        case_step(&cases, session, &sync);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    CASE_DONE(&cases, session, step_of(DATABASE_ROLLBACK), step_of(DATABASE_SYNC));
    database_give_back(session);
    tear_down(&fixture);
}

/* --- all -------------------------------------------------------------------------------------- */

static void run_case(void **state)
{
    const struct database_case *each = *state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        for (unsigned isolation = 0; isolation <= DATABASE_REPEATABLE_READ; isolation++) {
            struct fixture fixture;
            set_up(&fixture, seed, (enum database_isolation)isolation);
            struct database_cases cases = cases_of(&fixture, (enum database_isolation)isolation);
            each->run(&cases);
            tear_down(&fixture);
        }
    }
}

int main(void)
{
    static struct CMUnitTest tests[CASES_MAX] = {
        cmocka_unit_test(crash_loses_what_was_only_seen),
        cmocka_unit_test(crash_loses_nothing_behind_a_sync),
        cmocka_unit_test(never_a_sync_in_a_transaction),
    };
    size_t count = 3;
    for (size_t list = 0; database_cases_all[list] != NULL; list++) {
        for (const struct database_case *each = database_cases_all[list]; each->name != NULL;
             each++) {
            RESV_ASSERT(count < CASES_MAX);
            tests[count++] = (struct CMUnitTest){.name = each->name,
                                                 .test_func = run_case,
                                                 .initial_state = (void *)(uintptr_t)each};
        }
    }
    return _cmocka_run_group_tests("simulated link", tests, count, NULL, NULL);
}
