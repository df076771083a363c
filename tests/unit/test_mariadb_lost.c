/* Lost sessions of the MariaDB link that the server still has, with their locks: the link ends them
 * itself. */
#include "mariadb_fixture.h"
#include "mariadb_session_internal.h"

#include <stdio.h>

static bool two_were_lost(void)
{
    return metric("db_connections_lost_total") >= 2;
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

static bool one_was_ended(void)
{
    return metric("db_lost_sessions_ended_total") >= 1;
}

static bool two_were_ended(void)
{
    return metric("db_lost_sessions_ended_total") >= 2;
}

static void make_a_row(void)
{
    server("sql USE resvd; CREATE OR REPLACE TABLE loss_test (id INT PRIMARY KEY) ENGINE=InnoDB; "
           "INSERT INTO loss_test VALUES (1)");
}

/* A session that has the row, and whose answer does not come: the server keeps it. */
static struct database_session *stuck_session(void)
{
    struct database_session *session = get_session(DATABASE_SALES);
    struct test_query query;
    run_query(&query, session, "BEGIN; SELECT id FROM loss_test FOR UPDATE");
    assert_int_equal(query.query.error, 0);
    start_query(&query, session, "SELECT SLEEP(15)", 50);
    finish_query(&query);
    assert_true(query.query.lost);
    return session;
}

static void assert_row_is_free(void)
{
    struct database_session *session = get_session(DATABASE_SALES);
    struct test_query query;
    uint64_t began_ns = uv_hrtime();
    run_query(&query, session, "BEGIN; SELECT id FROM loss_test FOR UPDATE; ROLLBACK");
    assert_int_equal(query.query.error, 0);
    assert_in_range(uv_hrtime() - began_ns, 0, 5000000000); /* else for 15 s */
    database_give_back(session);
}

static void test_lost_sessions_are_ended(void **state)
{
    (void)state;
    small_pool();
    make_a_row();
    database_open();
    database_give_back(stuck_session());
    /* There is no other session: the next that logs in ends it before it serves anybody. */
    assert_row_is_free();
    assert_int_equal(metric("db_lost_sessions_ended_total"), 1);
    database_give_back(stuck_session());
}

static void test_lost_sessions_are_ended_by_who_is_idle(void **state)
{
    (void)state;
    small_pool();
    setting("pool_min", "2");
    setting("pool_max", "2");
    make_a_row();
    database_open();
    struct database_session *session = stuck_session(); /* not even given back */
    run_until_true(one_was_ended);
    assert_row_is_free();
    database_give_back(session);
}

static void test_what_was_ended_already_is_no_matter(void **state)
{
    (void)state;
    small_pool();
    make_a_row();
    database_open();
    for (unsigned i = 0; i < 2; i++) {
        struct database_session *session = get_session(DATABASE_SALES);
        struct test_query query;
        run_query(&query, session, "BEGIN; SELECT id FROM loss_test FOR UPDATE");
        server("sql KILL %lld", query_number(session, "SELECT CONNECTION_ID()"));
        run_until_lost(session);
        database_give_back(session);
        database_give_back(get_session(DATABASE_SALES));
    }
    run_until_true(two_were_ended);
    assert_row_is_free();
}

/* An idle one had no transaction: there is nothing to end. */
static void test_idle_ones_are_not_ended(void **state)
{
    (void)state;
    small_pool();
    setting("pool_min", "2");
    setting("pool_max", "2");
    database_open();
    server("sql KILL USER resvd@'127.0.0.1'");
    run_until_true(two_were_lost);
    database_give_back(get_session(DATABASE_SALES));
    assert_int_equal(metric("db_lost_sessions_ended_total"), 0);
}

/* Lost when the link is shut, or while one is being ended. */
static void test_shut_while_a_lost_one_is_ended(void **state)
{
    (void)state;
    small_pool();
    setting("pool_min", "2");
    setting("pool_max", "2");
    make_a_row();
    for (uint64_t ms = 0; ms < 4; ms++) {
        database_open();
        database_give_back(stuck_session());
        run_ms(ms);
        database_shut();
        server("sql KILL USER resvd@'127.0.0.1'");
    }
}

static void on_run_done(struct database_run *run)
{
    *(bool *)run->data = true;
}

/* Two may end the same session, the link and who is in doubt: neither takes the other, which has
 * the lost one's lock for a moment, for the lost one. */
static void test_who_ends_a_session_is_not_killed(void **state)
{
    (void)state;
    small_pool();
    setting("pool_max", "2");
    database_open();
    struct database_session *first = get_session(DATABASE_SALES);
    struct database_session *second = get_session(DATABASE_SALES);
    struct database_session_name name = database_session_name(first);
    name.bytes[0] ^= 1; /* one that is over */
    char lock[MARIADB_LOCK_NAME_SIZE], text[128];
    mariadb_lock_name(&name, lock);
    snprintf(text, sizeof text, "SELECT GET_LOCK('%s', 0)", lock);
    assert_int_equal(query_number(first, text), 1);
    static const enum database_result results[] = {DATABASE_LOCK_WAIT, DATABASE_DONE};
    for (size_t i = 0; i < 2; i++) {
        bool done = false;
        struct database_step step = {.kind = DATABASE_END_SESSION, .end_session = name};
        struct database_run run = {.steps = &step, .count = 1, .data = &done, .done = on_run_done};
        database_run(second, &run);
        run_until(&done);
        assert_int_equal(run.result, results[i]);
        snprintf(text, sizeof text, "SELECT RELEASE_LOCK('%s')", lock);
        assert_int_equal(query_number(first, text), i == 0 ? 1 : -1); /* alive */
    }
    database_give_back(first);
    database_give_back(second);
}

static bool nothing_is_left(void)
{
    return the_database.link->lost.count == 0;
}

/* More than there is room for: the oldest are left to the server. */
static void test_lost_list_is_bounded(void **state)
{
    (void)state;
    small_pool();
    setting("pool_max", "3");
    setting("pool_min", "3");
    database_open();
    for (unsigned i = 0; i < 3; i++) {
        struct database_session *sessions[3];
        for (size_t each = 0; each < 3; each++) {
            sessions[each] = get_session(DATABASE_SALES);
            struct test_query query;
            run_query(&query, sessions[each], "BEGIN");
        }
        server("sql KILL USER resvd@'127.0.0.1'");
        for (size_t each = 0; each < 3; each++)
            run_until_lost(sessions[each]);
        for (size_t each = 0; each < 3; each++)
            database_give_back(sessions[each]);
        assert_in_range(the_database.link->lost.count, 0, 3);
    }
    database_give_back(get_session(DATABASE_SALES));
    run_until_true(nothing_is_left);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, mariadb_set_up, mariadb_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_lost_sessions_are_ended),
        TEST(test_lost_sessions_are_ended_by_who_is_idle),
        TEST(test_what_was_ended_already_is_no_matter),
        TEST(test_idle_ones_are_not_ended),
        TEST(test_shut_while_a_lost_one_is_ended),
        TEST(test_who_ends_a_session_is_not_killed),
        TEST(test_lost_list_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
