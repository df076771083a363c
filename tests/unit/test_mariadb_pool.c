/* The pools of the MariaDB link on a real server: the line, its limits, growth and shrinking. */
#include "mariadb_fixture.h"

#include <string.h>

static void test_opens_with_its_minimum(void **state)
{
    (void)state;
    setting("pool_min", "3");
    setting("pool_max", "5");
    setting("catalog_pool", "2");
    database_open();
    assert_true(database_link_is_up(the_database.link));
    assert_int_equal(health()->state, RESV_HEALTH_UP);
    assert_int_equal(metric("db_connections_idle"), 5);
    assert_int_equal(metric("db_connections_active"), 0);
    assert_int_equal(metric("db_connections_max"), 7);
    assert_int_equal(metric("db_connects_total"), 5);
    assert_int_equal(server("sql SELECT COUNT(*) FROM information_schema.PROCESSLIST "
                            "WHERE USER='resvd'"),
                     5);
}

static void test_acquires_what_is_idle(void **state)
{
    (void)state;
    setting("pool_min", "1");
    setting("pool_max", "1");
    database_open();
    struct database_session *session = database_acquire(the_database.link, DATABASE_SALES);
    assert_non_null(session);
    assert_null(database_acquire(the_database.link, DATABASE_SALES));
    assert_int_equal(metric("db_connections_active"), 1);
    database_give_back(session);
    assert_ptr_equal(database_acquire(the_database.link, DATABASE_SALES), session);
    database_give_back(session);
}

static void test_first_come_first_served(void **state)
{
    (void)state;
    setting("pool_min", "1");
    setting("pool_max", "1");
    database_open();
    struct database_session *session = get_session(DATABASE_SALES);
    struct test_wait waits[3];
    for (size_t i = 0; i < 3; i++)
        start_wait(&waits[i], DATABASE_SALES);
    assert_int_equal(metric("db_connections_pending"), 3);
    run_ms(10);
    assert_false(waits[0].answered);
    database_give_back(session);
    /* Somebody waits: the one who asks now does not get ahead. */
    assert_null(database_acquire(the_database.link, DATABASE_SALES));
    for (size_t i = 0; i < 3; i++) {
        wait_for(&waits[i]);
        assert_false(waits[i].refused);
        assert_int_equal(waits[i].turn, i + 2);
        database_give_back(waits[i].session);
    }
    assert_int_equal(metric("db_connections_pending"), 0);
    assert_int_equal(metric("db_connection_wait_seconds_count"), 4);
}

static void test_waits_have_an_end(void **state)
{
    (void)state;
    setting("pool_min", "1");
    setting("pool_max", "1");
    setting("pool_wait_ms", "60");
    database_open();
    struct database_session *session = get_session(DATABASE_SALES);
    struct test_wait first, second;
    uint64_t began_ns = uv_hrtime();
    start_wait(&first, DATABASE_SALES);
    run_ms(30);
    start_wait(&second, DATABASE_SALES);
    wait_for(&first);
    assert_in_range(uv_hrtime() - began_ns, 60000000, 2000000000);
    assert_true(first.refused);
    assert_int_equal(first.refusal, DATABASE_WAITED_OUT);
    wait_for(&second);
    assert_true(first.turn < second.turn);
    assert_in_range(uv_hrtime() - began_ns, 90000000, 2000000000);
    assert_int_equal(second.refusal, DATABASE_WAITED_OUT);
    assert_int_equal(metric("db_waits_refused_timeout_total"), 2);
    database_give_back(session);
}

static void test_line_is_bounded(void **state)
{
    (void)state;
    setting("pool_min", "1");
    setting("pool_max", "1");
    setting("pool_queue_max", "2");
    database_open();
    struct database_session *session = get_session(DATABASE_SALES);
    struct test_wait waits[3];
    for (size_t i = 0; i < 3; i++)
        start_wait(&waits[i], DATABASE_SALES);
    wait_for(&waits[2]);
    assert_true(waits[2].refused);
    assert_int_equal(waits[2].refusal, DATABASE_POOL_FULL);
    assert_false(waits[0].answered);
    assert_false(waits[1].answered);
    assert_int_equal(metric("db_waits_refused_queue_full_total"), 1);
    database_give_back(session);
    database_give_back(wait_for(&waits[0])->session);
    database_give_back(wait_for(&waits[1])->session);
}

static void test_leaves_the_line(void **state)
{
    (void)state;
    setting("pool_min", "1");
    setting("pool_max", "1");
    setting("pool_queue_max", "3");
    database_open();
    struct database_session *session = get_session(DATABASE_SALES);
    struct test_wait waits[4];
    for (size_t i = 0; i < 4; i++)
        start_wait(&waits[i], DATABASE_SALES);
    database_wait_cancel(the_database.link, &waits[1].wait);
    database_wait_cancel(the_database.link, &waits[3].wait); /* refused, but not told yet */
    database_wait_cancel(the_database.link, &waits[3].wait);
    database_give_back(session);
    database_give_back(wait_for(&waits[0])->session);
    database_give_back(wait_for(&waits[2])->session);
    run_ms(10);
    assert_false(waits[1].answered);
    assert_false(waits[3].answered);
}

static bool one_is_idle(void)
{
    return metric("db_connections_idle") == 1;
}

static bool server_has_one(void)
{
    return server("sql SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER='resvd'") ==
           1;
}

static void test_grows_and_shrinks(void **state)
{
    (void)state;
    setting("pool_min", "1");
    setting("pool_max", "4");
    setting("catalog_pool", "0");
    setting("idle_timeout_ms", "100");
    database_open();
    assert_int_equal(metric("db_connections_idle"), 1);
    struct database_session *sessions[4];
    for (size_t i = 0; i < 4; i++)
        sessions[i] = get_session(i % 2 == 0 ? DATABASE_SALES : DATABASE_READS);
    assert_int_equal(metric("db_connections_active"), 4);
    struct test_wait fifth;
    start_wait(&fifth, DATABASE_SALES);
    run_ms(100);
    assert_false(fifth.answered); /* pool_max */
    database_wait_cancel(the_database.link, &fifth.wait);
    for (size_t i = 0; i < 4; i++)
        database_give_back(sessions[i]);
    run_until_true(one_is_idle);
    run_until_true(server_has_one);
    run_ms(300);
    assert_true(one_is_idle() && server_has_one()); /* pool_min */
}

static void test_reads_have_their_own(void **state)
{
    (void)state;
    setting("pool_min", "1");
    setting("pool_max", "1");
    setting("catalog_pool", "1");
    database_open();
    struct database_session *sale = get_session(DATABASE_SALES);
    struct database_session *read = database_acquire(the_database.link, DATABASE_READS);
    assert_non_null(read);
    assert_null(database_acquire(the_database.link, DATABASE_READS));
    database_give_back(read);
    database_give_back(sale);
}

static void test_open_transactions_do_not_come_back(void **state)
{
    (void)state;
    setting("pool_min", "1");
    setting("pool_max", "1");
    database_open();
    struct database_session *session = get_session(DATABASE_SALES);
    long long connection = query_number(session, "SELECT CONNECTION_ID()");
    struct test_query query;
    run_query(&query, session, "BEGIN; SELECT 1; COMMIT");
    assert_int_equal(query.query.error, 0);
    assert_int_equal(query.results, 3);
    database_give_back(session);
    session = get_session(DATABASE_SALES);
    assert_int_equal(query_number(session, "SELECT CONNECTION_ID()"), connection);
    run_query(&query, session, "BEGIN; SELECT 1");
    database_give_back(session); /* the next must not be in this transaction */
    session = get_session(DATABASE_SALES);
    assert_int_not_equal(query_number(session, "SELECT CONNECTION_ID()"), connection);
    /* After an error nobody knows, until a ROLLBACK has succeeded. */
    connection = query_number(session, "SELECT CONNECTION_ID()");
    run_query(&query, session, "BEGIN; SELECT nonsense");
    assert_int_equal(query.query.error, 1054);
    assert_int_equal(query.query.failed_statement, 1);
    assert_int_equal(query.results, 1);
    run_query(&query, session, "ROLLBACK");
    database_give_back(session);
    session = get_session(DATABASE_SALES);
    assert_int_equal(query_number(session, "SELECT CONNECTION_ID()"), connection);
    database_give_back(session);
}

static void test_sessions_are_set_up(void **state)
{
    (void)state;
    setting("lock_wait_timeout_s", "3");
    database_open();
    struct database_session *session = get_session(DATABASE_SALES);
    struct database_session_name name = database_session_name(session);
    char text[MARIADB_LOCK_NAME_SIZE], statement[128];
    mariadb_lock_name(&name, text);
    snprintf(statement, sizeof statement, "SELECT IS_USED_LOCK('%s') = CONNECTION_ID()", text);
    assert_int_equal(query_number(session, statement), 1);
    assert_int_equal(query_number(session, "SELECT @@innodb_lock_wait_timeout"), 3);
    assert_int_equal(query_number(session, "SELECT @@autocommit"), 1);
    assert_int_equal(query_number(session, "SELECT @@tx_isolation = 'READ-COMMITTED'"), 1);
    assert_int_equal(query_number(session, "SELECT @@time_zone = '+00:00'"), 1);
    assert_int_equal(query_number(session, "SELECT @@character_set_client = 'utf8mb4'"), 1);
    assert_int_equal(query_number(session, "SELECT @@local_infile + 0 >= 0"), 1);
    database_give_back(session);
}

static const struct {
    const char *global, *usual, *session;
} globals[] = {
    {"check_constraint_checks=OFF", "check_constraint_checks=ON", "@@check_constraint_checks = 1"},
    {"foreign_key_checks=OFF", "foreign_key_checks=ON", "@@foreign_key_checks = 1"},
    {"unique_checks=OFF", "unique_checks=ON", "@@unique_checks = 1"},
    {"sql_select_limit=1", "sql_select_limit=DEFAULT", "@@sql_select_limit = ~0"},
    {"completion_type=CHAIN", "completion_type=NO_CHAIN", "@@completion_type = 'NO_CHAIN'"},
    {"sql_safe_updates=ON", "sql_safe_updates=OFF", "@@sql_safe_updates = 0"},
    {"max_statement_time=0.5", "max_statement_time=0", "@@max_statement_time = 0"},
    {"autocommit=OFF", "autocommit=ON", "@@autocommit = 1"},
    {"sql_mode=''", "sql_mode=DEFAULT", "@@sql_mode LIKE '%STRICT_ALL_TABLES%'"},
    {"time_zone='+05:00'", "time_zone=DEFAULT", "@@time_zone = '+00:00'"},
    {"tx_isolation='READ-UNCOMMITTED'", "tx_isolation=DEFAULT",
     "@@tx_isolation = 'READ-COMMITTED'"},
};

static void test_servers_defaults_do_not_matter(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof globals / sizeof globals[0]; i++)
        server("sql SET GLOBAL %s", globals[i].global);
    database_open();
    struct database_session *session = get_session(DATABASE_SALES);
    for (size_t i = 0; i < sizeof globals / sizeof globals[0]; i++) {
        char statement[128];
        snprintf(statement, sizeof statement, "SELECT %s", globals[i].session);
        if (query_number(session, statement) != 1)
            fail_msg("after SET GLOBAL %s it is not so that %s", globals[i].global,
                     globals[i].session);
        server("sql SET GLOBAL %s", globals[i].usual);
    }
    database_give_back(session);
}

static void test_text_ends_at_the_servers_packet(void **state)
{
    (void)state;
    server("sql SET GLOBAL max_allowed_packet=65536");
    database_open();
    struct database_session *session = get_session(DATABASE_SALES);
    char *text = mariadb_session_text(session, 40000); /* its double is not to be had */
    assert_non_null(text);
    memset(text, 'x', 40000);
    text = mariadb_session_text(session, 65536 - MARIADB_PACKET_RESERVE);
    assert_non_null(text);
    memset(text, 'x', 65536 - MARIADB_PACKET_RESERVE);
    assert_null(mariadb_session_text(session, 65536 - MARIADB_PACKET_RESERVE + 1));
    assert_non_null(mariadb_session_text(session, 100));
    database_give_back(session);
    server("sql SET GLOBAL max_allowed_packet=DEFAULT");
}

/* Before all others, and where the line is full; its own wait has an end too. */
static void test_urgent_goes_first(void **state)
{
    (void)state;
    setting("pool_min", "1");
    setting("pool_max", "1");
    setting("pool_queue_max", "2");
    database_open();
    struct database_session *session = get_session(DATABASE_SALES);
    struct test_wait waits[5];
    static const bool urgent[5] = {false, false, true, true, true};
    for (size_t i = 0; i < 5; i++) {
        if (urgent[i])
            start_urgent_wait(&waits[i], DATABASE_SALES);
        else
            start_wait(&waits[i], DATABASE_SALES);
    }
    assert_int_equal(metric("db_connections_pending"), 5);
    database_wait_cancel(the_database.link, &waits[3].wait);
    static const size_t order[] = {2, 4, 0, 1};
    for (size_t i = 0; i < 4; i++) {
        database_give_back(session);
        session = wait_for(&waits[order[i]])->session;
        assert_non_null(session);
        for (size_t later = i + 1; later < 4; later++)
            assert_false(waits[order[later]].answered);
    }
    database_give_back(session);
    assert_int_equal(metric("db_connections_pending"), 0);
}

static void test_urgent_waits_have_an_end(void **state)
{
    (void)state;
    setting("pool_min", "1");
    setting("pool_max", "1");
    setting("pool_wait_ms", "700");
    database_open();
    struct database_session *session = get_session(DATABASE_SALES);
    struct test_wait usual, urgent;
    start_wait(&usual, DATABASE_SALES);
    run_ms(500);
    start_urgent_wait(&urgent, DATABASE_SALES);
    wait_for(&usual); /* not kept by the one that came later and is before it */
    assert_int_equal(usual.refusal, DATABASE_WAITED_OUT);
    assert_false(urgent.answered);
    wait_for(&urgent);
    assert_int_equal(urgent.refusal, DATABASE_WAITED_OUT);
    database_give_back(session);
}

static void test_results_come_per_statement(void **state)
{
    (void)state;
    database_open();
    struct database_session *session = get_session(DATABASE_SALES);
    struct test_query query;
    run_query(&query, session,
              "SELECT 1; DO 2; SELECT 3 UNION SELECT 4; SELECT 5 FROM DUAL WHERE 1=0");
    assert_int_equal(query.query.error, 0);
    assert_false(query.query.lost);
    assert_int_equal(query.results, 4);
    assert_int_equal(query.rows, 3);
    assert_int_equal(query.number, 4);
    /* More than a socket takes at once, both ways. */
    static char text[1 << 20];
    struct mariadb_query *large = &query.query;
    query = (struct test_query){.query = query.query};
    memset(text, 'x', sizeof text);
    memcpy(text, "SELECT LENGTH('", 15);
    memcpy(text + sizeof text - 16, "'),REPEAT('y',1)", 16);
    text[sizeof text - 16] = '\'';
    memcpy(text + sizeof text - 15, ");SELECT 4/*xx*/", 15);
    large->text = text;
    large->length = sizeof text - 2;
    large->data = &query;
    memcpy(text + sizeof text - 16, "');SELECT 1234", 14);
    mariadb_session_query(session, large);
    finish_query(&query);
    assert_int_equal(large->error, 0);
    assert_int_equal(query.number, 1234);
    assert_int_equal(query_number(session, "SELECT LENGTH(REPEAT('x', 3000000)), REPEAT('x', "
                                           "3000000)"),
                     3000000);
    database_give_back(session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_opens_with_its_minimum, mariadb_set_up,
                                        mariadb_tear_down),
        cmocka_unit_test_setup_teardown(test_acquires_what_is_idle, mariadb_set_up,
                                        mariadb_tear_down),
        cmocka_unit_test_setup_teardown(test_first_come_first_served, mariadb_set_up,
                                        mariadb_tear_down),
        cmocka_unit_test_setup_teardown(test_waits_have_an_end, mariadb_set_up, mariadb_tear_down),
        cmocka_unit_test_setup_teardown(test_line_is_bounded, mariadb_set_up, mariadb_tear_down),
        cmocka_unit_test_setup_teardown(test_leaves_the_line, mariadb_set_up, mariadb_tear_down),
        cmocka_unit_test_setup_teardown(test_grows_and_shrinks, mariadb_set_up, mariadb_tear_down),
        cmocka_unit_test_setup_teardown(test_reads_have_their_own, mariadb_set_up,
                                        mariadb_tear_down),
        cmocka_unit_test_setup_teardown(test_open_transactions_do_not_come_back, mariadb_set_up,
                                        mariadb_tear_down),
        cmocka_unit_test_setup_teardown(test_sessions_are_set_up, mariadb_set_up,
                                        mariadb_tear_down),
        cmocka_unit_test_setup_teardown(test_servers_defaults_do_not_matter, mariadb_set_up,
                                        mariadb_tear_down),
        cmocka_unit_test_setup_teardown(test_text_ends_at_the_servers_packet, mariadb_set_up,
                                        mariadb_tear_down),
        cmocka_unit_test_setup_teardown(test_urgent_goes_first, mariadb_set_up, mariadb_tear_down),
        cmocka_unit_test_setup_teardown(test_urgent_waits_have_an_end, mariadb_set_up,
                                        mariadb_tear_down),
        cmocka_unit_test_setup_teardown(test_results_come_per_statement, mariadb_set_up,
                                        mariadb_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
