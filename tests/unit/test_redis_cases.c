/* Scripts, calls and channels on a real server: every Redis case, which the simulated nodes run
 * too (tests/simulation/test_sim_redis.c). */
#include "redis_fixture.h"

#include <stdlib.h>

#include "support/redis_case_kit.h"

static struct redis_cases cases;

static void until(void *data, const bool *done)
{
    (void)data;
    run_until(done);
}

static void for_ms(void *data, uint64_t milliseconds)
{
    (void)data;
    run_ms(milliseconds);
}

static void forget_scripts(void *data)
{
    (void)data;
    nodes_do("call 1 SCRIPT FLUSH");
}

static int open_all(void **state)
{
    if (redis_set_up(state) != 0)
        return -1;
    the_redis.link_config = (struct redis_link_config){.use = REDIS_STOCK,
                                                       .scripts = redis_cases_scripts,
                                                       .calls_max = REDIS_CASES_CALLS_MAX,
                                                       .subscribes = true};
    link_open();
    cases = (struct redis_cases){.link = the_redis.link,
                                 .run_until = until,
                                 .run_for_ms = for_ms,
                                 .forget_scripts = forget_scripts};
    return 0;
}

static void run_case(void **state)
{
    const struct redis_case *self = *state;
    self->run(&cases);
}

static size_t collect(struct CMUnitTest *tests)
{
    size_t count = 0;
    for (const struct redis_case *const *list = redis_cases_all; *list != NULL; list++) {
        for (const struct redis_case *one = *list; one->name != NULL; one++, count++) {
            if (tests != NULL)
                tests[count] = (struct CMUnitTest){.name = one->name,
                                                   .test_func = run_case,
                                                   .initial_state = (void *)(uintptr_t)one};
        }
    }
    return count;
}

int main(void)
{
    size_t count = collect(NULL);
    struct CMUnitTest *tests = calloc(count, sizeof *tests);
    if (tests == NULL)
        return 1;
    collect(tests);
    int failed = _cmocka_run_group_tests("Redis cases", tests, count, open_all, redis_tear_down);
    free(tests);
    return failed;
}
