/* The simulated database held against the description that the real one is held against: the same
 * cases (tests/support/database_cases.h), run on the simulated link. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "database_cases.h"
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
        &(struct database_link_config){.isolation = isolation, .rows_max = 10000, .catalog_max = 4},
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

static void run_case(void **state)
{
    const struct database_case *each = *state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        for (unsigned isolation = 0; isolation <= DATABASE_REPEATABLE_READ; isolation++) {
            struct fixture fixture;
            set_up(&fixture, seed, (enum database_isolation)isolation);
            struct database_cases cases = {.link = fixture.link,
                                           .isolation = (enum database_isolation)isolation,
                                           .data = &fixture,
                                           .run_until = run_until,
                                           .run_for_ms = run_for_ms,
                                           .catalog = catalog};
            each->run(&cases);
            tear_down(&fixture);
        }
    }
}

int main(void)
{
    static struct CMUnitTest tests[CASES_MAX];
    size_t count = 0;
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
