/* The schema on a real server: made once whoever starts, whole after every crash in its middle,
 * refused when it is another's or newer, and clear about what a user may not do. */
#include "mariadb_links.h"

#include <stdio.h>
#include <string.h>

#include "mariadb_schema.h"

#define LIMITED "limited" /* a user with few rights */

static void expect_tables(struct fixture *fixture)
{
    assert_int_equal(fixture_integer(fixture,
                                     "SELECT COUNT(*) FROM information_schema.TABLES WHERE "
                                     "TABLE_SCHEMA = DATABASE() AND TABLE_COMMENT LIKE 'resvd:%'"),
                     7);
    assert_int_equal(fixture_integer(fixture, "SELECT COUNT(*) FROM schema_migrations"),
                     mariadb_migrations_count);
}

static void expect_works(struct fixture *fixture)
{
    assert_int_equal(fixture_reset(fixture, 1, 1, 5), RESV_STORED);
    fixture_sql(fixture, "CALL resvd_reserve(1, 0x01, 1, 2, 5, 0)");
    assert_int_equal(fixture_integer(fixture, "SELECT sold FROM concerts"), 2);
}

static void made_and_found_again(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    expect_tables(fixture);
    expect_works(fixture);
    int64_t applied_at = fixture_integer(fixture, "SELECT MAX(applied_at) FROM schema_migrations");
    assert_true(applied_at > 1500000000000);
    fixture_close(fixture, 0);
    fixture_open(fixture);
    expect_tables(fixture);
    assert_int_equal(fixture_integer(fixture, "SELECT sold FROM concerts"), 2);
    assert_true(fixture_integer(fixture, "SELECT MAX(applied_at) FROM schema_migrations") ==
                applied_at);
}

static void several_start_at_once(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < FIXTURE_LINKS_MAX; i++)
        fixture_start(fixture, i);
    for (size_t i = 0; i < FIXTURE_LINKS_MAX; i++) {
        if (!fixture_wait_started(fixture, i))
            fail_msg("%zu: %s", i, fixture->links[i].message);
    }
    expect_tables(fixture);
    expect_works(fixture);
}

/* Executes up to so many statements; how many are left of those. */
static size_t migrate(struct fixture *fixture, size_t version, size_t done)
{
    const char *const *statements = mariadb_migrations[version].statements;
    for (; *statements != NULL && done > 0; statements++, done--)
        fixture_sql(fixture, *statements);
    return done;
}

/* What the versions before left, and a process that died after so many of this one's statements;
 * true when that was all of them. */
static bool crash(struct fixture *fixture, size_t version, size_t done)
{
    char sql[256];
    snprintf(sql, sizeof sql, "DROP DATABASE %s; CREATE DATABASE %s; USE %s", fixture->name,
             fixture->name, fixture->name);
    fixture_sql(fixture, sql);
    fixture_sql(fixture, mariadb_migrations_table);
    for (size_t before = 0; before < version; before++) {
        migrate(fixture, before, SIZE_MAX);
        snprintf(sql, sizeof sql, "INSERT INTO schema_migrations VALUES (%zu, 0, 'before')",
                 before + 1);
        fixture_sql(fixture, sql);
    }
    return migrate(fixture, version, done) > 0;
}

static void whole_after_a_crash_anywhere(void **state)
{
    struct fixture *fixture = *state;
    for (size_t version = 0; version < mariadb_migrations_count; version++) {
        bool is_whole = false;
        for (size_t done = 0; !is_whole; done++) {
            is_whole = crash(fixture, version, done);
            fixture_open(fixture);
            expect_tables(fixture);
            expect_works(fixture);
            fixture_close(fixture, 0);
        }
    }
}

/* A reset that died before its RENAME, and one after. */
static void leftovers_of_a_reset_are_harmless(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    assert_int_equal(fixture_reset(fixture, 2, 2, 5), RESV_STORED);
    static const char *const prefixes[] = {"resvd_new_", "resvd_old_"};
    for (size_t i = 0; i < 2; i++) {
        char sql[1024];
        snprintf(sql, sizeof sql,
                 "CREATE TABLE %sconcerts LIKE concerts; CREATE TABLE %smembers LIKE members;"
                 "CREATE TABLE %sreservations LIKE reservations; ALTER TABLE %sreservations "
                 "ADD FOREIGN KEY (concert_id) REFERENCES %sconcerts (id);"
                 "INSERT INTO %sconcerts (id, title, capacity) VALUES (1, 'left', 1);"
                 "CREATE TABLE %sdatabase_epoch LIKE database_epoch;"
                 "INSERT INTO %sdatabase_epoch (id, epoch) VALUES (1, 77)",
                 prefixes[i], prefixes[i], prefixes[i], prefixes[i], prefixes[i], prefixes[i],
                 prefixes[i], prefixes[i]);
        fixture_sql(fixture, sql);
    }
    fixture_close(fixture, 0);
    fixture_open(fixture);
    expect_works(fixture);
    assert_int_equal(fixture_integer(fixture, "SELECT epoch FROM database_epoch"), 2);
    assert_int_equal(fixture_integer(fixture,
                                     "SELECT COUNT(*) FROM information_schema.TABLES WHERE "
                                     "TABLE_SCHEMA = DATABASE()"),
                     7);
}

static void refused(struct fixture *fixture, int exit_code, const char *words, const char *setting)
{
    fixture_start(fixture, 0);
    assert_false(fixture_wait_started(fixture, 0));
    const struct fixture_link *link = &fixture->links[0];
    print_message("    %s\n", link->message);
    assert_int_equal(link->exit_code, exit_code);
    assert_non_null(strstr(link->message, words));
    assert_non_null(strstr(link->message, setting));
    assert_null(strchr(link->message, '\n'));
    fixture_close(fixture, 0);
}

static void newer_is_left_alone(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    fixture_close(fixture, 0);
    fixture_sql(fixture, "INSERT INTO schema_migrations VALUES (900, 0, 'of the future')");
    refused(fixture, 78, "schema version 900, this resvd knows up to", "[database] name");
    assert_int_equal(fixture_integer(fixture, "SELECT MAX(version) FROM schema_migrations"), 900);
}

static void tables_of_others_are_left_alone(void **state)
{
    struct fixture *fixture = *state;
    static const char *const tables[] = {
        "CREATE TABLE concerts (id INT)",
        "CREATE TABLE schema_migrations (version VARCHAR(200))",
        ("CREATE TABLE schema_migrations (version VARCHAR(200)); "
         "INSERT INTO schema_migrations VALUES ('20240101')"),
        "CREATE TABLE schema_migrations (number INT)",
    };
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        fixture_sql(fixture, tables[i]);
        refused(fixture, 78, "that another program made", "[database] name");
        assert_int_equal(fixture_integer(fixture,
                                         "SELECT COUNT(*) FROM information_schema.TABLES WHERE "
                                         "TABLE_SCHEMA = DATABASE()"),
                         1);
        fixture_sql(fixture, "DROP TABLE IF EXISTS concerts, schema_migrations");
    }
}

/* --- rights ------------------------------------------------------------------------------------
 */

static void limit_user(struct fixture *fixture, const char *rights)
{
    char sql[512];
    snprintf(sql, sizeof sql,
             "DROP USER IF EXISTS " LIMITED "@'%%'; CREATE USER " LIMITED "@'%%'; GRANT %s ON %s.* "
             "TO " LIMITED "@'%%'",
             rights, fixture->name);
    fixture_sql(fixture, sql);
    fixture_option(fixture, "user", LIMITED);
}

static void without_create_it_says_so(void **state)
{
    struct fixture *fixture = *state;
    limit_user(fixture, "SELECT, INSERT, UPDATE, DELETE");
    refused(fixture, 78, "CREATE", "[database] user");
}

static void procedure_is_optional(void **state)
{
    struct fixture *fixture = *state;
    limit_user(fixture, "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, REFERENCES");
    fixture_open(fixture); /* with a warning in the log */
    assert_int_equal(fixture_reset(fixture, 1, 1, 5), RESV_STORED);
    fixture_close(fixture, 0);
    fixture->link_config.needs_procedure = true;
    refused(fixture, 78, "CREATE ROUTINE", "[database] user");
    /* Made by somebody who may, and allowed: then it is enough to see it. */
    fixture->link_config.needs_procedure = false;
    fixture_option(fixture, "user", "resvd");
    fixture_open(fixture);
    fixture_close(fixture, 0);
    fixture->link_config.needs_procedure = true;
    limit_user(fixture, "SELECT, INSERT, UPDATE, EXECUTE");
    fixture_open(fixture);
}

static void old_procedure_is_replaced(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    fixture_close(fixture, 0);
    fixture_sql(fixture, "CREATE OR REPLACE PROCEDURE resvd_reserve() COMMENT 'resvd 0' SELECT 1");
    fixture_open(fixture);
    expect_works(fixture);
    fixture_close(fixture, 0);
    fixture_sql(fixture, "CREATE OR REPLACE PROCEDURE resvd_reserve() COMMENT 'resvd 99' SELECT 1");
    fixture_open(fixture);
    assert_string_equal(fixture_sql(fixture, "SELECT ROUTINE_COMMENT FROM "
                                             "information_schema.ROUTINES WHERE ROUTINE_SCHEMA = "
                                             "DATABASE()"),
                        "resvd 99"); /* a newer resvd's */
}

/* The lock is held by somebody for longer than a start waits. */
static void waits_for_the_lock(void **state)
{
    struct fixture *fixture = *state;
    MYSQL *other = fixture_connect_root(fixture);
    assert_int_equal(mysql_query(other, "DO GET_LOCK(" MARIADB_SCHEMA_LOCK ", 0)"), 0);
    fixture_start(fixture, 0);
    fixture_run_ms(fixture, 500);
    assert_false(fixture->links[0].ended);
    mysql_close(other);
    assert_true(fixture_wait_started(fixture, 0));
    expect_tables(fixture);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(made_and_found_again),         TEST(several_start_at_once),
        TEST(whole_after_a_crash_anywhere), TEST(leftovers_of_a_reset_are_harmless),
        TEST(newer_is_left_alone),          TEST(tables_of_others_are_left_alone),
        TEST(without_create_it_says_so),    TEST(procedure_is_optional),
        TEST(old_procedure_is_replaced),    TEST(waits_for_the_lock),
    };
    return cmocka_run_group_tests_name("mariadb schema", tests, NULL, NULL);
}
