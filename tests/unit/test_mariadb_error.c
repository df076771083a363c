/* Error numbers of MariaDB and MySQL: what each means for a run, and for the server's health. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "mariadb_session_internal.h"

static void assert_all(enum database_result result, const unsigned *errors, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (mariadb_result_of_error(errors[i]) != result)
            fail_msg("%u means %d, not %d", errors[i], (int)mariadb_result_of_error(errors[i]),
                     (int)result);
    }
}
#define ASSERT_ALL(result, ...)                                                                    \
    do {                                                                                           \
        const unsigned errors[] = {__VA_ARGS__};                                                   \
        assert_all(result, errors, sizeof errors / sizeof errors[0]);                              \
    } while (0)

static void test_what_both_servers_say(void **state)
{
    (void)state;
    ASSERT_ALL(DATABASE_DONE, 0);
    ASSERT_ALL(DATABASE_DUPLICATE, 1062, 1022);
    ASSERT_ALL(DATABASE_NO_PARENT, 1452, 1216);
    ASSERT_ALL(DATABASE_LOCK_WAIT, 1205);
    ASSERT_ALL(DATABASE_DEADLOCK, 1213, 1613, 1614);
}

static void test_what_only_mariadb_says(void **state)
{
    (void)state;
    ASSERT_ALL(DATABASE_REFUSED, 4025);  /* CONSTRAINT failed */
    ASSERT_ALL(DATABASE_DEADLOCK, 1020); /* snapshot isolation */
    ASSERT_ALL(DATABASE_LOST, 1927);     /* connection was killed */
}

static void test_what_only_mysql_says(void **state)
{
    (void)state;
    ASSERT_ALL(DATABASE_REFUSED, 3819);          /* check constraint is violated */
    ASSERT_ALL(DATABASE_LOCK_WAIT, 3572);        /* NOWAIT */
    ASSERT_ALL(DATABASE_LOST, 3168, 3169, 4031); /* not available, killed, inactive */
    ASSERT_ALL(DATABASE_DEADLOCK, 3101);         /* group replication rolled back */
}

static void test_the_connection_is_no_more(void **state)
{
    (void)state;
    ASSERT_ALL(DATABASE_LOST, 1053, 1077, 1079, 1152, 1158, 1159, 1160, 1161, 1184, 1317);
    ASSERT_ALL(DATABASE_LOST, 2000, 2003, 2006, 2013, 2014, 2026, 2055, 2059, 2999, 5013, 5026);
}

static void test_refused_and_nothing_taken(void **state)
{
    (void)state;
    ASSERT_ALL(DATABASE_FAILED, 1021, 1114, 1290, 1792, 1836); /* disk full, read-only */
    ASSERT_ALL(DATABASE_FAILED, 1044, 1045, 1142, 1227, 1370); /* a privilege */
    ASSERT_ALL(DATABASE_FAILED, 1, 1019, 1021, 1064, 1146, 1969, 3024, 3999, 4026, 65535);
}

static void test_which_errors_say_that_it_cannot_write(void **state)
{
    (void)state;
    static const unsigned refusals[] = {1021, 1114, 1290, 1792, 1836, 3675};
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
        assert_true(mariadb_error_refuses_writes(refusals[i]));
    static const unsigned others[] = {0, 1062, 1205, 1213, 1045, 2013, 4025};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_false(mariadb_error_refuses_writes(others[i]));
}

static void test_which_errors_say_that_it_is_crowded(void **state)
{
    (void)state;
    assert_true(mariadb_error_is_crowded(1040));
    assert_true(mariadb_error_is_crowded(1203));
    assert_true(mariadb_error_is_crowded(1226));
    assert_false(mariadb_error_is_crowded(1045));
    assert_false(mariadb_error_is_crowded(0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_both_servers_say),
        cmocka_unit_test(test_what_only_mariadb_says),
        cmocka_unit_test(test_what_only_mysql_says),
        cmocka_unit_test(test_the_connection_is_no_more),
        cmocka_unit_test(test_refused_and_nothing_taken),
        cmocka_unit_test(test_which_errors_say_that_it_cannot_write),
        cmocka_unit_test(test_which_errors_say_that_it_is_crowded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
