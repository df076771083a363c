/* END_SESSION against a client that only a real server can have: one whose process was stopped, or
 * whose socket is gone, with statements still to be executed. Whatever it had sent, nothing of it
 * may happen once END_SESSION is done. */
#include "mariadb_links.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "mariadb_internal.h"
#include "support/database_case_kit.h"

static struct database_session_name name = {
    .bytes = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0xff}};

#define INSERT "INSERT INTO reservations VALUES (0x01, 1, 1, 1, 2, 0, 0)"

/* A client with the session's lock, that runs these statements to their end. */
static MYSQL *connect_victim(const char *statements)
{
    MYSQL *victim = fixture_connect_user();
    char lock[MARIADB_LOCK_NAME_SIZE], sql[512];
    mariadb_lock_name(&name, lock);
    snprintf(sql, sizeof sql, "DO GET_LOCK('%s', 0);SET innodb_lock_wait_timeout = 30%s%s", lock,
             statements[0] == '\0' ? "" : ";", statements);
    assert_int_equal(mysql_query(victim, sql), 0);
    int more;
    do
        mysql_free_result(mysql_store_result(victim));
    while ((more = mysql_next_result(victim)) == 0);
    assert_int_equal(more, -1);
    return victim;
}

/* Sends and does not wait. */
static void send_only(MYSQL *victim, const char *statements)
{
    assert_int_equal(mysql_send_query(victim, statements, (unsigned long)strlen(statements)), 0);
}

static void wait_until_running(struct fixture *fixture, const char *like)
{
    char sql[256];
    snprintf(sql, sizeof sql,
             "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE '%s%%'", like);
    while (fixture_integer(fixture, sql) == 0)
        fixture_run_ms(fixture, 5);
}

/* END_SESSION until it is over; then nothing of the victim is there, now and later. */
static void end_and_expect_nothing(struct fixture *fixture, MYSQL *victim)
{
    struct database_cases cases = fixture_cases(fixture);
    struct database_session *session = case_acquire(&cases);
    enum database_result result;
    do {
        struct database_step step = step_end_session(name);
        result = case_step(&cases, session, &step);
    } while (result == DATABASE_LOCK_WAIT);
    assert_int_equal(result, DATABASE_DONE);
    struct database_reservation item = {.id = {.bytes = {1}}, .found = true};
    CASE_DONE(&cases, session, step_reservations(&item, 1),
              step_concert(DATABASE_LOCK_CONCERT, 1)); /* nobody has it any more */
    assert_false(item.found);
    database_give_back(session);
    fixture_run_ms(fixture, 300);
    case_expect_seats(&cases, 1, 0, 0);
    assert_int_equal(fixture_integer(fixture, "SELECT COUNT(*) FROM reservations"), 0);
    char lock[MARIADB_LOCK_NAME_SIZE], sql[128];
    mariadb_lock_name(&name, lock);
    snprintf(sql, sizeof sql, "SELECT IS_FREE_LOCK('%s')", lock);
    assert_int_equal(fixture_integer(fixture, sql), 1);
    mysql_close(victim);
}

static int open_link(void **state)
{
    if (fixture_set_up(state) != 0)
        return -1;
    fixture_open(*state);
    assert_int_equal(fixture_reset(*state, 1, 1, 10), RESV_STORED);
    struct database_cases cases = fixture_cases(*state);
    struct database_session *session = case_acquire(&cases);
    name.server = database_session_name(session).server;
    database_give_back(session);
    return 0;
}

static void stopped_in_its_transaction(void **state)
{
    struct fixture *fixture = *state;
    MYSQL *victim = connect_victim("BEGIN;UPDATE concerts SET sold = 1;" INSERT);
    end_and_expect_nothing(fixture, victim); /* its socket is open all the time */
}

static void gone_in_its_transaction(void **state)
{
    struct fixture *fixture = *state;
    MYSQL *victim = connect_victim("BEGIN;UPDATE concerts SET sold = 1;" INSERT);
    shutdown((int)mysql_get_socket(victim), SHUT_RDWR);
    end_and_expect_nothing(fixture, victim);
}

static void in_the_middle_of_its_packet(void **state)
{
    struct fixture *fixture = *state;
    MYSQL *victim = connect_victim("");
    send_only(victim, "BEGIN;UPDATE concerts SET sold = 1;" INSERT ";DO SLEEP(20);COMMIT");
    wait_until_running(fixture, "DO SLEEP");
    end_and_expect_nothing(fixture, victim);
}

static void waiting_for_a_row(void **state)
{
    struct fixture *fixture = *state;
    fixture_sql(fixture, "START TRANSACTION; SELECT id FROM concerts FOR UPDATE");
    MYSQL *victim = connect_victim("");
    send_only(victim, "BEGIN;UPDATE concerts SET sold = 1;" INSERT ";COMMIT");
    wait_until_running(fixture, "UPDATE concerts");
    shutdown((int)mysql_get_socket(victim), SHUT_RDWR);
    struct database_cases cases = fixture_cases(fixture);
    struct database_session *session = case_acquire(&cases);
    struct database_step step = step_end_session(name);
    assert_int_equal(case_step(&cases, session, &step), DATABASE_DONE);
    database_give_back(session);
    fixture_sql(fixture, "COMMIT"); /* the row is free now, and nobody comes for it */
    end_and_expect_nothing(fixture, victim);
}

/* The server has its COMMIT in the socket's buffer while it executes what was before it. */
static void with_a_second_packet_behind(void **state)
{
    struct fixture *fixture = *state;
    MYSQL *victim = connect_victim("BEGIN;UPDATE concerts SET sold = 1;" INSERT);
    send_only(victim, "DO SLEEP(20)");
    wait_until_running(fixture, "DO SLEEP");
    static const char commit[] = "\x07\x00\x00\x00\x03"
                                 "COMMIT";
    assert_int_equal(send((int)mysql_get_socket(victim), commit, sizeof commit - 1, MSG_NOSIGNAL),
                     sizeof commit - 1);
    end_and_expect_nothing(fixture, victim);
}

static void in_the_procedure(void **state)
{
    struct fixture *fixture = *state;
    MYSQL *victim = connect_victim("");
    send_only(victim, "CALL resvd_reserve(1, 0x01, 1, 1, 0, 20000)");
    wait_until_running(fixture, "DO SLEEP");
    end_and_expect_nothing(fixture, victim);
}

/* As long as somebody has the lock, it is not over: here another who waited for it. */
static void not_over_while_the_lock_is_held(void **state)
{
    struct fixture *fixture = *state;
    struct database_cases cases = fixture_cases(fixture);
    struct database_session *session = case_acquire(&cases);
    MYSQL *victim = connect_victim("");
    char lock[MARIADB_LOCK_NAME_SIZE], sql[128];
    mariadb_lock_name(&name, lock);
    snprintf(sql, sizeof sql, "SELECT GET_LOCK('%s', 10)", lock);
    MYSQL *next = fixture_connect_user();
    send_only(next, sql);
    wait_until_running(fixture, "SELECT GET_LOCK");
    struct database_step step = step_end_session(name);
    assert_int_equal(case_step(&cases, session, &step), DATABASE_LOCK_WAIT);
    mysql_close(next);
    mysql_close(victim);
    while (case_step(&cases, session, &step) != DATABASE_DONE)
        fixture_run_ms(fixture, 20);
    database_give_back(session);
}

/* After a failover another server says that nobody has the lock. */
static void another_server_cannot_tell(void **state)
{
    struct fixture *fixture = *state;
    struct database_cases cases = fixture_cases(fixture);
    struct database_session *session = case_acquire(&cases);
    MYSQL *victim = connect_victim("BEGIN;UPDATE concerts SET sold = 1;" INSERT);
    struct database_session_name elsewhere = name;
    assert_true(elsewhere.server != 0);
    elsewhere.server ^= 1;
    struct database_step steps[] = {step_end_session(elsewhere), step_of(DATABASE_BEGIN)};
    size_t failed_at;
    assert_int_equal(case_run(&cases, session, steps, 2, &failed_at), DATABASE_LOCK_WAIT);
    assert_int_equal(failed_at, 0);
    assert_false(mariadb_session_in_transaction(session));
    assert_int_equal(mysql_query(victim, "DO 1"), 0); /* lives */
    elsewhere.bytes[0]++;                             /* nor can it of one that it never had */
    steps[0] = step_end_session(elsewhere);
    assert_int_equal(case_run(&cases, session, steps, 2, NULL), DATABASE_LOCK_WAIT);
    database_give_back(session);
    end_and_expect_nothing(fixture, victim);
}

static void servers_stay_who_they_are(void **state)
{
    struct fixture *fixture = *state;
    fixture_start(fixture, 1);
    assert_true(fixture_wait_started(fixture, 1));
    struct database_session *session = database_acquire(fixture->links[1].link, DATABASE_SALES);
    assert_non_null(session);
    assert_true(database_session_name(session).server == name.server);
    database_give_back(session);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, open_link, fixture_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(stopped_in_its_transaction),      TEST(gone_in_its_transaction),
        TEST(in_the_middle_of_its_packet),     TEST(waiting_for_a_row),
        TEST(with_a_second_packet_behind),     TEST(in_the_procedure),
        TEST(not_over_while_the_lock_is_held), TEST(another_server_cannot_tell),
        TEST(servers_stay_who_they_are),
    };
    return cmocka_run_group_tests_name("mariadb end session", tests, NULL, NULL);
}
