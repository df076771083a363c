/* The MariaDB link when a connection or the server is lost, stalls, or takes no more. */
#include "mariadb_fixture.h"

#include <stdio.h>
#include <string.h>

static long long statements_before;

static bool is_up(void)
{
    return database_link_is_up(the_database.link);
}

static bool is_down(void)
{
    return !database_link_is_up(the_database.link);
}

static bool one_is_idle(void)
{
    return metric("db_connections_idle") == 1;
}

static bool one_was_lost(void)
{
    return metric("db_connections_lost_total") >= 1;
}

static bool two_were_lost(void)
{
    return metric("db_connections_lost_total") >= 2;
}

static bool two_tries_failed(void)
{
    return metric("db_connect_failures_total") >= 2;
}

static bool two_were_pinged(void)
{
    return metric("db_statement_seconds_count") >= statements_before + 2;
}

static bool it_is_well(void)
{
    return health()->state == RESV_HEALTH_UP;
}

static bool two_are_all(void)
{
    return strstr(health()->detail, "works with 2 connections") != NULL;
}

/* One connection in all, tries to reconnect soon. */
static void small_pool(void)
{
    setting("pool_min", "1");
    setting("pool_max", "1");
    setting("catalog_pool", "0");
    setting("reconnect_min_ms", "5");
    setting("reconnect_max_ms", "50");
}

static void assert_refused(enum database_refusal refusal)
{
    struct test_wait wait;
    start_wait(&wait, DATABASE_SALES);
    uint64_t began_ns = uv_hrtime();
    wait_for(&wait);
    assert_true(wait.refused);
    assert_int_equal(wait.refusal, refusal);
    if (refusal == DATABASE_DOWN)
        assert_in_range(uv_hrtime() - began_ns, 0, 1000000000); /* at once */
}

static void test_killed_while_idle(void **state)
{
    (void)state;
    small_pool();
    database_open();
    struct database_session *session = get_session(DATABASE_SALES);
    long long connection = query_number(session, "SELECT CONNECTION_ID()");
    database_give_back(session);
    server("sql KILL %lld", connection);
    run_until_true(one_was_lost);
    assert_int_equal(metric("db_connections_lost_total"), 1);
    assert_true(is_up());
    assert_int_equal(the_database.up_changes, 0);
    session = get_session(DATABASE_SALES); /* another one */
    assert_int_not_equal(query_number(session, "SELECT CONNECTION_ID()"), connection);
    database_give_back(session);
}

static void test_killed_while_taken(void **state)
{
    (void)state;
    small_pool();
    database_open();
    struct database_session *session = get_session(DATABASE_SALES);
    struct database_session_name name = database_session_name(session);
    server("sql KILL %lld", query_number(session, "SELECT CONNECTION_ID()"));
    run_until_lost(session);
    struct test_query query;
    run_query(&query, session, "SELECT 1");
    assert_true(query.query.lost);
    assert_int_equal(query.results, 0);
    assert_memory_equal(database_session_name(session).bytes, name.bytes, sizeof name.bytes);
    /* Its place was taken by another: the one that is lost counts no more. */
    struct database_session *other = get_session(DATABASE_SALES);
    assert_int_equal(query_number(other, "SELECT 7"), 7);
    assert_memory_not_equal(database_session_name(other).bytes, name.bytes, sizeof name.bytes);
    database_give_back(session);
    database_give_back(other);
}

static void test_killed_while_it_works(void **state)
{
    (void)state;
    small_pool();
    database_open();
    struct database_session *session = get_session(DATABASE_SALES);
    long long connection = query_number(session, "SELECT CONNECTION_ID()");
    struct test_query query;
    start_query(&query, session, "SELECT 1; SELECT SLEEP(30); SELECT 3", 20000);
    wait_until_executing(connection, "User sleep");
    server("sql KILL %lld", connection);
    finish_query(&query);
    assert_true(query.query.lost);
    assert_int_equal(query.results, 1);
    assert_int_equal(query.query.failed_statement, 1);
    database_give_back(session);
    session = get_session(DATABASE_SALES);
    assert_int_equal(query_number(session, "SELECT 7"), 7);
    database_give_back(session);
}

static void test_interrupted_statement_loses_its_session(void **state)
{
    (void)state;
    small_pool();
    database_open();
    struct database_session *session = get_session(DATABASE_SALES);
    long long connection = query_number(session, "SELECT CONNECTION_ID()");
    struct test_query query;
    start_query(&query, session,
                "SELECT COUNT(*) FROM information_schema.COLUMNS a, "
                "information_schema.COLUMNS b, information_schema.COLUMNS c",
                20000);
    wait_until_executing(connection, "");
    server("sql KILL QUERY %lld", connection);
    finish_query(&query);
    assert_int_equal(query.query.error, 1317);
    assert_true(query.query.lost);
    database_give_back(session);
}

static void test_answer_has_a_deadline(void **state)
{
    (void)state;
    small_pool();
    database_open();
    struct database_session *session = get_session(DATABASE_SALES);
    assert_int_equal(query_number(session, "SELECT 1"), 1); /* arms a later deadline first */
    struct test_query query;
    uint64_t began_ns = uv_hrtime();
    start_query(&query, session, "SELECT 1; SELECT SLEEP(5)", 500);
    finish_query(&query);
    assert_in_range(uv_hrtime() - began_ns, 500000000, 4000000000);
    assert_true(query.query.lost);
    assert_int_equal(query.results, 1);
    assert_non_null(strstr(query.query.message, "500 ms"));
    database_give_back(session);
    assert_int_equal(metric("db_connections_lost_total"), 1);
    assert_true(is_up());
}

static void test_interrupt_gives_up_what_runs(void **state)
{
    (void)state;
    small_pool();
    database_open();
    struct database_session *session = get_session(DATABASE_SALES);
    struct test_query query;
    start_query(&query, session, "SELECT SLEEP(5)", 10000);
    run_ms(20);
    database_link_interrupt(the_database.link);
    assert_false(query.done); /* never from inside */
    uint64_t began_ns = uv_hrtime();
    finish_query(&query);
    assert_in_range(uv_hrtime() - began_ns, 0, 2000000000);
    assert_true(query.query.lost);
    database_give_back(session);
}

static void test_server_killed_and_back(void **state)
{
    (void)state;
    small_pool();
    setting("catalog_pool", "1");
    database_open();
    struct database_session *session = get_session(DATABASE_SALES);
    struct test_query query;
    start_query(&query, session, "SELECT SLEEP(30)", 20000);
    struct test_wait waiting;
    start_wait(&waiting, DATABASE_SALES);
    run_ms(20);
    server("kill");
    finish_query(&query);
    assert_true(query.query.lost);
    database_give_back(session);
    run_until_true(is_down);
    assert_int_equal(the_database.up_changes, 1);
    assert_int_equal(health()->state, RESV_HEALTH_DOWN);
    assert_non_null(strstr(health()->detail, "127.0.0.1"));
    wait_for(&waiting);
    assert_int_equal(waiting.refusal, DATABASE_DOWN);
    assert_refused(DATABASE_DOWN);
    assert_null(database_acquire(the_database.link, DATABASE_READS));
    run_until_true(two_tries_failed);
    server("start");
    run_until_true(is_up);
    assert_int_equal(the_database.up_changes, 2);
    assert_int_equal(health()->state, RESV_HEALTH_UP);
    session = get_session(DATABASE_SALES);
    assert_int_equal(query_number(session, "SELECT 7"), 7);
    database_give_back(session);
    database_give_back(get_session(DATABASE_READS));
}

static void test_stalled_server_is_noticed_and_comes_back(void **state)
{
    (void)state;
    small_pool();
    setting("ping_interval_ms", "50");
    setting("connect_timeout_ms", "150");
    database_open();
    server("pause");
    uint64_t began_ns = uv_hrtime();
    run_until_true(is_down); /* the ping is not answered, nor is a new connection */
    assert_in_range(uv_hrtime() - began_ns, 100000000, 10000000000);
    assert_non_null(strstr(health()->detail, "150 ms"));
    assert_refused(DATABASE_DOWN);
    server("resume");
    run_until_true(is_up);
    struct database_session *session = get_session(DATABASE_SALES);
    assert_int_equal(query_number(session, "SELECT 7"), 7);
    database_give_back(session);
}

static void test_closes_while_the_server_stalls(void **state)
{
    (void)state;
    small_pool();
    setting("connect_timeout_ms", "60000");
    setting("ping_interval_ms", "60000");
    setting("pool_max", "2");
    database_open();
    struct database_session *session = get_session(DATABASE_SALES);
    server("pause");
    struct test_wait wait; /* makes it connect, to a server that does not answer */
    start_wait(&wait, DATABASE_SALES);
    run_ms(50);
    database_wait_cancel(the_database.link, &wait.wait);
    database_give_back(session);
    uint64_t began_ns = uv_hrtime();
    database_shut();
    assert_in_range(uv_hrtime() - began_ns, 0, 10000000000); /* it may connect for 60 s */
    server("resume");
}

static void test_idle_connections_are_pinged(void **state)
{
    (void)state;
    small_pool();
    setting("ping_interval_ms", "40");
    database_open();
    uint64_t began_ns = uv_hrtime();
    statements_before = metric("db_statement_seconds_count");
    run_ms(300);
    run_until_true(two_were_pinged);
    assert_in_range(metric("db_statement_seconds_count") - statements_before, 2,
                    1 + (uv_hrtime() - began_ns) / 40000000);
    assert_true(health()->latency_ns > 0);
    run_until_true(one_is_idle);
}

static void test_works_with_what_the_server_gives(void **state)
{
    (void)state;
    small_pool();
    setting("pool_max", "3");
    setting("pool_wait_ms", "20000");
    server("sql SET GLOBAL max_connections=10"); /* the least that there is */
    server("sql CREATE OR REPLACE USER crowd@'127.0.0.1'; GRANT ALL ON resvd.* TO "
           "crowd@'127.0.0.1' WITH MAX_USER_CONNECTIONS 2");
    setting("user", "crowd");
    database_open();
    struct database_session *first = get_session(DATABASE_SALES);
    struct database_session *second = get_session(DATABASE_SALES);
    struct test_wait third;
    start_wait(&third, DATABASE_SALES);
    run_until_true(two_are_all);
    assert_false(third.answered);
    assert_true(is_up());
    assert_int_equal(health()->state, RESV_HEALTH_UP);
    assert_non_null(strstr(health()->detail, "works with 2 connections"));
    assert_non_null(strstr(health()->detail, "pool_max"));
    database_give_back(first); /* one that it has serves the next */
    first = wait_for(&third)->session;
    assert_non_null(first);
    database_give_back(first);
    database_give_back(second);
    server("sql ALTER USER crowd@'127.0.0.1' WITH MAX_USER_CONNECTIONS 0");
    server("sql SET GLOBAL max_connections=500");
}

static void test_starts_with_what_the_server_gives(void **state)
{
    (void)state;
    server("sql CREATE OR REPLACE USER few@'127.0.0.1'; GRANT ALL ON resvd.* TO "
           "few@'127.0.0.1' WITH MAX_USER_CONNECTIONS 2");
    setting("user", "few"); /* of whom no connection is still on its way out */
    setting("pool_min", "4");
    setting("catalog_pool", "1");
    setting("reconnect_max_ms", "50");
    database_open();
    assert_non_null(strstr(health()->detail, "works with 2 connections"));
    database_give_back(get_session(DATABASE_SALES));
    database_give_back(get_session(DATABASE_READS));
    database_shut();
    /* One is not enough for both. */
    server("sql ALTER USER few@'127.0.0.1' WITH MAX_USER_CONNECTIONS 1");
    the_database.start_timeout_ms = 900;
    assert_false(database_start());
    assert_int_equal(the_database.exit_code, 69);
    assert_non_null(strstr(the_database.message, "max_connections"));
    assert_non_null(strstr(the_database.message, "catalog_pool"));
}

static void test_no_connection_at_all_is_down(void **state)
{
    (void)state;
    small_pool();
    server("sql CREATE OR REPLACE USER crowd@'127.0.0.1'; GRANT ALL ON resvd.* TO "
           "crowd@'127.0.0.1'");
    setting("user", "crowd");
    database_open();
    server("sql ALTER USER crowd@'127.0.0.1' ACCOUNT LOCK");
    struct database_session *session = get_session(DATABASE_SALES);
    server("sql KILL %lld", query_number(session, "SELECT CONNECTION_ID()"));
    run_ms(20);
    database_give_back(session);
    run_until_true(is_down);
    assert_non_null(strstr(health()->detail, "crowd"));
    server("sql ALTER USER crowd@'127.0.0.1' ACCOUNT UNLOCK");
    run_until_true(is_up);
}

static void test_errors_are_counted_and_shown(void **state)
{
    (void)state;
    small_pool();
    setting("pool_max", "2");
    setting("ping_interval_ms", "200");
    setting("lock_wait_timeout_s", "1");
    database_open();
    struct database_session *first = get_session(DATABASE_SALES);
    struct database_session *second = get_session(DATABASE_SALES);
    struct test_query query;
    run_query(&query, first,
              "CREATE OR REPLACE TABLE loss_test (id INT PRIMARY KEY, CHECK (id < "
              "9)) ENGINE=InnoDB; INSERT INTO loss_test VALUES (1), (2)");
    assert_int_equal(query.query.error, 0);
    run_query(&query, first, "INSERT INTO loss_test VALUES (1)");
    assert_int_equal(mariadb_result_of_error(query.query.error), DATABASE_DUPLICATE);
    run_query(&query, first, "INSERT INTO loss_test VALUES (10)");
    assert_int_equal(mariadb_result_of_error(query.query.error), DATABASE_REFUSED);
    run_query(&query, first, "BEGIN; SELECT id FROM loss_test WHERE id=1 FOR UPDATE");
    run_query(&query, second, "BEGIN; SELECT id FROM loss_test WHERE id=1 FOR UPDATE");
    assert_int_equal(mariadb_result_of_error(query.query.error), DATABASE_LOCK_WAIT);
    assert_int_equal(query.query.failed_statement, 1);
    assert_int_equal(metric("db_lock_wait_timeouts_total"), 1);
    run_query(&query, second, "SELECT id FROM loss_test WHERE id=2 FOR UPDATE");
    struct test_query one, other;
    start_query(&one, first, "SELECT id FROM loss_test WHERE id=2 FOR UPDATE", 0);
    run_ms(50);
    start_query(&other, second, "SELECT id FROM loss_test WHERE id=1 FOR UPDATE", 0);
    finish_query(&one);
    finish_query(&other);
    assert_int_equal(mariadb_result_of_error(one.query.error + other.query.error),
                     DATABASE_DEADLOCK);
    assert_int_equal(metric("db_deadlocks_total"), 1);
    run_query(&query, first, "ROLLBACK");
    run_query(&query, second, "ROLLBACK");
    server("sql SET GLOBAL read_only=1");
    run_query(&query, first, "DELETE FROM loss_test");
    assert_int_equal(mariadb_result_of_error(query.query.error), DATABASE_FAILED);
    assert_false(query.query.lost);
    assert_int_equal(health()->state, RESV_HEALTH_DOWN);
    assert_non_null(strstr(health()->detail, "read-only"));
    server("sql SET GLOBAL read_only=0");
    run_until_true(it_is_well);
    run_query(&query, first, "DROP TABLE loss_test");
    database_give_back(first);
    database_give_back(second);
}

static void test_many_come_and_go(void **state)
{
    (void)state;
    setting("pool_min", "1");
    setting("pool_max", "6");
    setting("reconnect_max_ms", "50");
    database_open();
    for (unsigned round = 0; round < 5; round++) {
        struct database_session *sessions[6];
        for (size_t i = 0; i < 6; i++)
            sessions[i] = get_session(DATABASE_SALES);
        server("sql KILL USER resvd@'127.0.0.1'");
        run_until_true(two_were_lost);
        for (size_t i = 0; i < 6; i++)
            database_give_back(sessions[i]);
    }
    struct database_session *session = get_session(DATABASE_SALES);
    database_give_back(session);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, mariadb_set_up, mariadb_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_killed_while_idle),
        TEST(test_killed_while_taken),
        TEST(test_killed_while_it_works),
        TEST(test_interrupted_statement_loses_its_session),
        TEST(test_answer_has_a_deadline),
        TEST(test_interrupt_gives_up_what_runs),
        TEST(test_server_killed_and_back),
        TEST(test_stalled_server_is_noticed_and_comes_back),
        TEST(test_closes_while_the_server_stalls),
        TEST(test_idle_connections_are_pinged),
        TEST(test_works_with_what_the_server_gives),
        TEST(test_starts_with_what_the_server_gives),
        TEST(test_no_connection_at_all_is_down),
        TEST(test_errors_are_counted_and_shown),
        TEST(test_many_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
