/* The simulated Redis nodes held against the description that a real server is held against: the
 * same cases (tests/support/redis_cases.h), run on the simulated link; and what its crashes, its
 * clock and its connections do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "redis_case_kit.h"
#include "resvd/assert.h"
#include "sim_host.h"
#include "sim_redis_link.h"

#define CASES_MAX 100

struct fixture {
    struct sim_world world;
    struct resv_host host;
    struct redis_link *link;
    struct redis_cases cases;
    bool opened;
    bool closed;
    bool changed;
};

void world_violation(struct sim_world *world, const char *format, ...)
{
    (void)world;
    print_error("%s\n", format);
    fail();
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

static void node_changed(void *data, size_t node)
{
    (void)node;
    ((struct fixture *)data)->changed = true;
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

/* A simulated node knows every script. */
static void forget_scripts(void *data)
{
    run_for_ms(data, 1);
}

/* --- a world of its own for each case --------------------------------------------------------- */

static void set_up(struct fixture *fixture, uint64_t seed, enum redis_use use, size_t nodes,
                   enum nodes_keep keep)
{
    struct sim_world *world = &fixture->world;
    *fixture = (struct fixture){0};
    chance_seed(&world->chance, seed);
    world->schedule.chance = &world->chance;
    world->schedule.now_ns = 1000 * NS_PER_S;
    world->began_ns = world->schedule.now_ns;
    world->scenario = (struct sim_scenario){.network_max_us = 1000, .nodes_keep = keep};
    world->redis = redis_create(world, nodes);
    sim_host_open(&fixture->host, world, "cases", &(struct sim_host_events){.data = fixture});
    fixture->link =
        redis_link_create(&fixture->host,
                          &(struct redis_link_config){.use = use,
                                                      .scripts = redis_cases_scripts,
                                                      .calls_max = REDIS_CASES_CALLS_MAX,
                                                      .subscribes = true},
                          &(struct redis_link_events){.data = fixture,
                                                      .opened = opened,
                                                      .open_failed = open_failed,
                                                      .node_changed = node_changed,
                                                      .closed = closed});
    fixture->cases = (struct redis_cases){.link = fixture->link,
                                          .data = fixture,
                                          .run_until = run_until,
                                          .run_for_ms = run_for_ms,
                                          .forget_scripts = forget_scripts};
    redis_link_start(fixture->link);
    run_until(fixture, &fixture->opened);
}

static void tear_down(struct fixture *fixture)
{
    struct sim_world *world = &fixture->world;
    redis_link_close(fixture->link);
    if (!fixture->closed)
        run_until(fixture, &fixture->closed);
    while (schedule_turn(&world->schedule)) {
    }
    sim_host_close(&fixture->host);
    assert_true(redis_rests(world->redis));
    redis_free(world->redis);
    schedule_free(&world->schedule);
}

/* --- what only a simulated node does when it is told ------------------------------------------ */

/* Whether a key that was written so long before a crash is there afterwards. */
static bool survives(uint64_t seed, enum nodes_keep keep, uint64_t age_ms)
{
    struct fixture fixture;
    set_up(&fixture, seed, REDIS_STOCK, 0, keep);
    struct sim_redis_node *node = &fixture.world.redis->stock;
    struct case_name key = case_name(&fixture.cases);
    CASE_COMMAND(&fixture.cases, "SET", key.text, "kept", "PX", "60000");
    run_for_ms(&fixture, age_ms);
    char run_id[REDIS_RUN_ID_SIZE];
    strcpy(run_id, redis_link_run_id(fixture.link, 0));
    fixture.changed = false;
    node_crash(node);
    run_until(&fixture, &fixture.changed);
    assert_false(redis_link_node_is_up(fixture.link, 0));
    static struct case_call call;
    case_call_start(&fixture.cases, &call, &case_command, NULL,
                    (const char *const[]){"GET", key.text}, 2);
    case_call_finish(&fixture.cases, &call);
    assert_int_equal(call.result, REDIS_DOWN);
    fixture.changed = false;
    node_restart(node);
    run_until(&fixture, &fixture.changed);
    assert_true(redis_link_node_is_up(fixture.link, 0));
    assert_string_not_equal(run_id, redis_link_run_id(fixture.link, 0));
    bool there = CASE_COMMAND(&fixture.cases, "EXISTS", key.text)->integers[0] == 1;
    tear_down(&fixture);
    return there;
}

static void crash_keeps_what_it_must(void **state)
{
    (void)state;
    size_t fresh = 0;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        assert_false(survives(seed, NODES_KEEP_NOTHING, 5000));
        assert_true(survives(seed, NODES_KEEP_ALL, 0));
        assert_true(survives(seed, NODES_KEEP_UP_TO_A_SECOND, 1001));
        fresh += survives(seed, NODES_KEEP_UP_TO_A_SECOND, 500);
    }
    assert_in_range(fresh, 10, 40);
}

static void keys_end_by_the_nodes_own_clock(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, 1, REDIS_LOCKS, 1, NODES_KEEP_ALL);
    struct sim_redis_node *node = redis_node(fixture.world.redis, REDIS_LOCKS, 0);
    struct case_name key = case_name(&fixture.cases);
    CASE_COMMAND(&fixture.cases, "SET", key.text, "x", "PX", "10000");
    node_jump(node, -5000);
    assert_in_range(CASE_COMMAND(&fixture.cases, "PTTL", key.text)->integers[0], 14000, 15000);
    node_jump(node, 16000);
    case_is_nil(CASE_COMMAND(&fixture.cases, "GET", key.text));
    node->drift_per_million = 100000;
    CASE_COMMAND(&fixture.cases, "SET", key.text, "x", "PX", "10000");
    run_for_ms(&fixture, 5000);
    assert_in_range(CASE_COMMAND(&fixture.cases, "PTTL", key.text)->integers[0], 4400, 4520);
    tear_down(&fixture);
}

/* A node that stops for a while answers nothing; when it goes on, it does what has come. */
static void a_paused_node_catches_up(void **state)
{
    (void)state;
    static struct case_call call;
    struct fixture fixture;
    set_up(&fixture, 1, REDIS_LOCKS, 1, NODES_KEEP_ALL);
    struct sim_redis_node *node = redis_node(fixture.world.redis, REDIS_LOCKS, 0);
    struct case_name key = case_name(&fixture.cases);
    node->paused_until_ns = fixture.world.schedule.now_ns + 3 * NS_PER_S;
    case_call_start(&fixture.cases, &call, &case_command, NULL,
                    (const char *const[]){"INCRBY", key.text, "1"}, 3);
    case_call_finish(&fixture.cases, &call);
    assert_int_equal(call.result, REDIS_LOST);
    assert_true(node_is_paused(node));
    assert_true(redis_link_node_is_up(fixture.link, 0));
    run_for_ms(&fixture, 4000);
    case_is_text(CASE_COMMAND(&fixture.cases, "GET", key.text), "1");
    tear_down(&fixture);
}

static void each_node_has_its_own_keys(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, 1, REDIS_LOCKS, 3, NODES_KEEP_ALL);
    assert_int_equal(redis_link_node_count(fixture.link), 3);
    struct case_name key = case_name(&fixture.cases);
    case_is_integer(CASE_RUN(&fixture.cases, &case_take, key.text, "mine", "1000"), 1);
    assert_int_equal(redis_count_locks(fixture.world.redis), 1);
    node_crash(&fixture.world.redis->locks[1]);
    run_for_ms(&fixture, 10000);
    assert_int_equal(redis_count_locks(fixture.world.redis), 0);
    assert_true(redis_link_node_is_up(fixture.link, 0));
    assert_false(redis_link_node_is_up(fixture.link, 1));
    tear_down(&fixture);
}

static void refusals(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, 1, REDIS_LOCKS, 1, NODES_KEEP_ALL);
    struct redis_cases *cases = &fixture.cases;
    struct sim_redis_node *node = redis_node(fixture.world.redis, REDIS_LOCKS, 0);
    struct case_name key = case_name(cases);
    CASE_COMMAND(cases, "SET", key.text, "mine");
    node->refuses_until_ns = fixture.world.schedule.now_ns + NS_PER_S;
    node->refusal = NODE_OUT_OF_MEMORY;
    case_is_refused(CASE_COMMAND(cases, "SET", key.text, "x"), "OOM ");
    case_is_integer(CASE_RUN(cases, &case_let_go, key.text, "mine"), 1);
    node->refusal = NODE_READ_ONLY;
    case_is_refused(CASE_COMMAND(cases, "DEL", key.text), "READONLY ");
    case_is_nil(CASE_COMMAND(cases, "GET", key.text));
    node->refusal = NODE_BUSY;
    case_is_refused(CASE_COMMAND(cases, "GET", key.text), "BUSY ");
    run_for_ms(&fixture, 1000);
    case_is_text(CASE_COMMAND(cases, "SET", key.text, "x"), "OK");
    tear_down(&fixture);
}

/* With everything that can befall a connection, each call ends once and a counter is at least what
 * was answered, at most what was sent. */
static void calls_on_bad_connections(void **state)
{
    (void)state;
    static struct case_call calls[50];
    size_t lost = 0, executed = 0;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct fixture fixture;
        set_up(&fixture, seed, REDIS_LOCKS, 1, NODES_KEEP_ALL);
        struct sim_scenario *scenario = &fixture.world.scenario;
        scenario->request_lost = scenario->answer_lost = scenario->late = 150000;
        scenario->connect_fails = scenario->drops_on_timeout = 300000;
        struct case_name key = case_name(&fixture.cases);
        int64_t answered = 0, sent = 0, last = 0;
        for (size_t i = 0; i < 50; i++) {
            case_call_start(&fixture.cases, &calls[i], &case_command, NULL,
                            (const char *const[]){"INCRBY", key.text, "1"}, 3);
            run_for_ms(&fixture, chance_skewed(&fixture.world.chance, 100));
        }
        for (size_t i = 0; i < 50; i++) {
            case_call_finish(&fixture.cases, &calls[i]);
            answered += calls[i].result == REDIS_DONE;
            sent += calls[i].result != REDIS_DOWN;
            lost += calls[i].result == REDIS_LOST;
        }
        scenario_calm(scenario);
        run_for_ms(&fixture, 10000);
        struct case_call *call = CASE_COMMAND(&fixture.cases, "INCRBY", key.text, "0");
        last = call->integers[0];
        assert_in_range(last, answered, sent);
        executed += (size_t)(last - answered);
        tear_down(&fixture);
    }
    assert_true(lost > 1000);
    assert_in_range(executed, lost / 10, lost - lost / 10);
}

/* --- all -------------------------------------------------------------------------------------- */

static void run_case(void **state)
{
    const struct redis_case *each = *state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct fixture fixture;
        set_up(&fixture, seed, seed % 2 == 0 ? REDIS_STOCK : REDIS_LOCKS, 1, NODES_KEEP_ALL);
        each->run(&fixture.cases);
        tear_down(&fixture);
    }
}

int main(void)
{
    static struct CMUnitTest tests[CASES_MAX] = {
        cmocka_unit_test(crash_keeps_what_it_must),
        cmocka_unit_test(keys_end_by_the_nodes_own_clock),
        cmocka_unit_test(a_paused_node_catches_up),
        cmocka_unit_test(each_node_has_its_own_keys),
        cmocka_unit_test(refusals),
        cmocka_unit_test(calls_on_bad_connections),
    };
    size_t count = 6;
    for (size_t list = 0; redis_cases_all[list] != NULL; list++) {
        for (const struct redis_case *each = redis_cases_all[list]; each->name != NULL; each++) {
            RESV_ASSERT(count < CASES_MAX);
            tests[count++] = (struct CMUnitTest){.name = each->name,
                                                 .test_func = run_case,
                                                 .initial_state = (void *)(uintptr_t)each};
        }
    }
    return _cmocka_run_group_tests("simulated Redis", tests, count, NULL, NULL);
}
