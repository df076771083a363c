/* DATABASE_SYNC on a real server: the redo log is on disk behind it, the stored procedure does the
 * same before it tells of a row that was there, and it is refused where writes are. */
#include "mariadb_links.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/database_case_kit.h"

static int64_t log_position(struct fixture *fixture, const char *which)
{
    char sql[128];
    snprintf(sql, sizeof sql,
             "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS "
             "WHERE VARIABLE_NAME = 'INNODB_LSN_%s'",
             which);
    return fixture_integer(fixture, sql);
}

static int64_t writes(struct fixture *fixture)
{
    return fixture_integer(fixture, "SELECT COALESCE(SUM(number), 0) FROM durable_point");
}

static int open_link(void **state)
{
    if (fixture_set_up(state) != 0)
        return -1;
    fixture_open(*state);
    assert_int_equal(fixture_reset(*state, 1, 1, 100), RESV_STORED);
    return 0;
}

/* What an open transaction has written is in the log's buffer, as is a COMMIT that others see and
 * that nobody has flushed. */
static void log_is_flushed(void **state)
{
    struct fixture *fixture = *state;
    struct database_cases cases = fixture_cases(fixture);
    struct database_session *writer = case_acquire(&cases), *session = case_acquire(&cases);
    size_t behind = 0;
    for (int64_t round = 0; round < 10; round++) {
        CASE_DONE(&cases, writer, step_of(DATABASE_BEGIN), step_seats(DATABASE_TAKE_SEATS, 1, 1));
        int64_t written = log_position(fixture, "CURRENT");
        behind += log_position(fixture, "FLUSHED") < written;
        CASE_DONE(&cases, session, step_of(DATABASE_SYNC));
        assert_true(log_position(fixture, "FLUSHED") >= written);
        CASE_DONE(&cases, writer, step_of(DATABASE_ROLLBACK));
    }
    assert_true(behind > 0); /* it was not on disk anyway: the server flushes once a second, too */
    database_give_back(session);
    database_give_back(writer);
    assert_int_equal(writes(fixture), 10);
}

static void procedure_does_it_for_a_row_that_was_there(void **state)
{
    struct fixture *fixture = *state;
    struct database_cases cases = fixture_cases(fixture);
    struct database_session *session = case_acquire(&cases);
    struct database_row row = case_row(&cases, 1), unknown = case_row(&cases, 9);
    CASE_DONE(&cases, session, step_call(1, row));
    CASE_DONE(&cases, session, step_call(1, unknown)); /* a refusal */
    assert_int_equal(writes(fixture), 0);
    CASE_DONE(&cases, session, step_call(1, row));
    assert_int_equal(writes(fixture), 1);
    database_give_back(session);
    case_expect_seats(&cases, 1, 1, 1);
}

static void refused_where_nothing_can_be_written(void **state)
{
    struct fixture *fixture = *state;
    struct database_cases cases = fixture_cases(fixture);
    struct database_session *session = case_acquire(&cases);
    struct database_step sync = step_of(DATABASE_SYNC);
    fixture_sql(fixture, "SET GLOBAL read_only = 1");
    enum database_result result = case_step(&cases, session, &sync);
    fixture_sql(fixture, "SET GLOBAL read_only = 0");
    assert_int_equal(result, DATABASE_FAILED);
    CASE_DONE(&cases, session, step_of(DATABASE_SYNC));
    database_give_back(session);
}

/* The last of the steps would commit by itself what the others took: an error of the program. */
static void expect_abort(struct database_session *session, struct database_step *steps,
                         size_t count)
{
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        fclose(stderr); /* what the assertion says is not news */
        signal(SIGABRT, SIG_DFL);
        struct case_run run;
        case_start(&run, session, steps, count);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void never_in_a_transaction(void **state)
{
    struct fixture *fixture = *state;
    struct database_cases cases = fixture_cases(fixture);
    struct database_session *session = case_acquire(&cases);
    struct database_step steps[] = {step_of(DATABASE_BEGIN), step_of(DATABASE_SYNC)};
    expect_abort(session, steps, 2);
    CASE_DONE(&cases, session, step_of(DATABASE_BEGIN));
    expect_abort(session, &steps[1], 1);
    CASE_DONE(&cases, session, step_of(DATABASE_ROLLBACK), step_of(DATABASE_SYNC));
    database_give_back(session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_link, fixture_tear_down)
        TEST(log_is_flushed),
        TEST(procedure_does_it_for_a_row_that_was_there),
        TEST(refused_where_nothing_can_be_written),
        TEST(never_in_a_transaction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
