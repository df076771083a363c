/* Steps on a real server: every database case, under both isolations; and what only it can have. */
#include "mariadb_links.h"

#include <stdio.h>
#include <stdlib.h>

#include "support/database_case_kit.h"

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

/* --- what only a real server can have ----------------------------------------------------------
 */

static int open_own(void **state)
{
    if (fixture_set_up(state) != 0)
        return -1;
    fixture_open(*state);
    assert_int_equal(fixture_reset(*state, 2, 1, 2), RESV_STORED);
    return 0;
}

/* The table's CHECKs are somebody else's to switch off, or to drop. */
static void oversell_is_refused_without_a_check(void **state)
{
    struct fixture *own = *state;
    struct database_cases cases = fixture_cases(own);
    fixture_sql(own, "ALTER TABLE concerts DROP CONSTRAINT CONSTRAINT_1, DROP CONSTRAINT "
                     "CONSTRAINT_2; UPDATE concerts SET member_limit = 1 WHERE id = 2");
    struct database_session *session = case_acquire(&cases);
    for (int64_t concert = 1; concert <= 2; concert++) {
        struct database_row row = case_row(&cases, 1);
        struct database_step steps[] = {
            step_of(DATABASE_BEGIN),
            step_seats(DATABASE_TAKE_SEATS_OR_FAIL, concert, concert == 1 ? 3 : 1),
            step_insert(concert, &row, 1), step_of(DATABASE_COMMIT)};
        size_t failed_at;
        assert_int_equal(case_run(&cases, session, steps, 4, &failed_at), DATABASE_REFUSED);
        assert_int_equal(failed_at, 1);
        CASE_DONE(&cases, session, step_of(DATABASE_COMMIT));
    }
    CASE_DONE(&cases, session, step_seats(DATABASE_TAKE_SEATS_OR_FAIL, 1, 2));
    database_give_back(session);
    assert_int_equal(fixture_integer(own, "SELECT COUNT(*) FROM reservations"), 0);
    assert_int_equal(fixture_integer(own, "SELECT sold FROM concerts WHERE id = 1"), 2);
    assert_int_equal(fixture_integer(own, "SELECT sold FROM concerts WHERE id = 2"), 0);
}

static void call_without_a_row_is_no_grant(void **state)
{
    struct fixture *own = *state;
    struct database_cases cases = fixture_cases(own);
    static const char *const bodies[] = {"BEGIN END", "SELECT 99", "SELECT 0 WHERE 1 = 0"};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        char sql[256];
        snprintf(sql, sizeof sql,
                 "CREATE OR REPLACE PROCEDURE resvd_reserve(a BIGINT, b BINARY(16), c BIGINT, "
                 "d BIGINT, e BIGINT, f BIGINT) %s",
                 bodies[i]);
        fixture_sql(own, sql);
        struct database_session *session = case_acquire(&cases);
        struct database_step call = {.kind = DATABASE_CALL_RESERVE,
                                     .call = {.concert_id = 1, .row = case_row(&cases, 1)}};
        assert_int_equal(case_step(&cases, session, &call), DATABASE_LOST);
        database_give_back(session);
    }
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
#define OWN(test) cmocka_unit_test_setup_teardown(test, open_own, fixture_tear_down)
    const struct CMUnitTest own[] = {
        OWN(oversell_is_refused_without_a_check),
        OWN(call_without_a_row_is_no_grant),
    };
    failed += cmocka_run_group_tests_name("mariadb steps", own, NULL, NULL);
    return failed;
}
