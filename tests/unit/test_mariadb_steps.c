/* Steps on a real server: every database case, under both isolations. */
#include "mariadb_links.h"

#include <stdlib.h>

static struct fixture *fixture; /* one for all cases under one isolation */

static int open_all(enum database_isolation isolation)
{
    void *state = NULL;
    int failed = fixture_set_up(&state);
    if (failed != 0)
        return failed;
    fixture = state;
    fixture->link_config.isolation = isolation;
    fixture_open(fixture);
    return 0;
}

static int open_read_committed(void **state)
{
    (void)state;
    return open_all(DATABASE_READ_COMMITTED);
}

static int open_repeatable_read(void **state)
{
    (void)state;
    return open_all(DATABASE_REPEATABLE_READ);
}

static int close_all(void **state)
{
    (void)state;
    return fixture_tear_down((void **)&fixture);
}

static void run_case(void **state)
{
    const struct database_case *self = *state;
    struct database_cases cases = fixture_cases(fixture);
    self->run(&cases);
}

static size_t collect(struct CMUnitTest *tests)
{
    size_t count = 0;
    for (const struct database_case *const *list = database_cases_all; *list != NULL; list++) {
        for (const struct database_case *one = *list; one->name != NULL; one++, count++) {
            if (tests != NULL)
                tests[count] = (struct CMUnitTest){
                    .name = one->name, .test_func = run_case, .initial_state = (void *)one};
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
    int failed =
        _cmocka_run_group_tests("read committed", tests, count, open_read_committed, close_all);
    failed +=
        _cmocka_run_group_tests("repeatable read", tests, count, open_repeatable_read, close_all);
    free(tests);
    return failed;
}
