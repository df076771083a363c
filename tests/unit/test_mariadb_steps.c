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

static struct database_step step_events(const struct database_event_row *rows, size_t count)
{
    return (struct database_step){.kind = DATABASE_INSERT_EVENTS,
                                  .events = {.rows = rows, .count = count}};
}

static void events_are_stored_with_their_times(void **state)
{
    struct fixture *own = *state;
    struct database_cases cases = fixture_cases(own);
    struct database_event_row rows[2];
    for (int64_t i = 0; i < 2; i++)
        rows[i] = (struct database_event_row){.id = case_id(&cases),
                                              .concert_id = 2 - i,
                                              .member_id = 1,
                                              .quantity = 1 + i,
                                              .created_ms = CASE_WALL_MS + i,
                                              .status = i == 0 ? RESV_STATUS_CONFIRMED
                                                               : RESV_STATUS_REJECTED};
    struct database_session *session = case_acquire(&cases);
    CASE_DONE(&cases, session, step_events(rows, 2), step_move(4, case_epoch(&cases), 0, 2));
    database_give_back(session);
    assert_string_equal(
        fixture_sql(own, "SELECT GROUP_CONCAT(CONCAT_WS(' ', concert_id, quantity, status, "
                         "created_at, updated_at) ORDER BY id) FROM reservations"),
        "2 1 2 1700000000123 1700000000123,1 2 5 1700000000124 1700000000124");
    assert_string_equal(fixture_sql(own, "SELECT CONCAT_WS(' ', topic, partition_id, next_offset, "
                                         "updated_at) FROM consumer_position"),
                        CASE_TOPIC " 4 2 1700000000123");
}

/* Whoever has moved a position is before the reset, or has done nothing: as it has used all tables,
 * or meets the reset on its way to them. */
static void reset_waits_for_who_moved_a_position(void **state)
{
    struct fixture *own = *state;
    struct database_cases cases = fixture_cases(own);
    for (int32_t met = 0; met < 2; met++) {
        assert_int_equal(fixture_reset(own, 2, 1, 2), RESV_STORED);
        int64_t epoch = case_epoch(&cases);
        struct database_row row = case_row(&cases, 1);
        struct database_step steps[] = {
            step_of(DATABASE_BEGIN), step_move(met, epoch, 0, 1), step_insert(1, &row, 1),
            step_seats(DATABASE_TAKE_SEATS, 1, 1), step_of(DATABASE_COMMIT)};
        size_t before = met ? 2 : 4;
        struct database_session *session = case_acquire(&cases);
        assert_int_equal(case_run(&cases, session, steps, before, NULL), DATABASE_DONE);
        struct resv_catalog_request request = {
            .reset_concerts = 2, .reset_members = 1, .reset_capacity = 2};
        struct resv_op op = {.kind = RESV_OP_RESET, .catalog = &request};
        fixture_submit(own, 0, &op);
        fixture_run_ms(own, 500);
        assert_int_not_equal(op.state, RESV_OP_DONE);
        enum database_result result = case_run(&cases, session, &steps[before], 5 - before, NULL);
        assert_true(result == DATABASE_DONE || (met && result == DATABASE_DEADLOCK));
        CASE_DONE(&cases, session, step_of(DATABASE_COMMIT)); /* nothing of a victim is left */
        database_give_back(session);
        assert_int_equal(fixture_finish(own, &op), RESV_STORED);
        assert_int_equal(fixture_integer(own, "SELECT COUNT(*) FROM reservations"), 0);
        assert_int_equal(fixture_integer(own, "SELECT SUM(sold) FROM concerts"), 0);
        assert_true(case_epoch(&cases) == epoch + 1);
        assert_true(case_read_position(&cases, met).next_offset == (result == DATABASE_DONE));
    }
}

/* A page costs what it answers, however much there is behind it. */
static void pages_read_no_more_than_they_answer(void **state)
{
    enum { ROWS = 1000 };
    struct fixture *own = *state;
    struct database_cases cases = fixture_cases(own);
    assert_int_equal(fixture_reset(own, ROWS, ROWS, 9), RESV_STORED);
    fixture_sql(own,
                "INSERT INTO reservations (id, concert_id, member_id, quantity, status, "
                "created_at, updated_at) SELECT UNHEX(MD5(id)), 1, id, 1, 2, 0, 0 FROM members");
    struct database_member members[10];
    struct database_concert_step concerts[10];
    struct database_step pages[] = {
        {.kind = DATABASE_READ_ALL_MEMBER_SEATS,
         .member_page = {.concert_id = 1, .after_member_id = 5, .items = members, .room = 10}},
        {.kind = DATABASE_READ_CONCERTS,
         .concert_page = {.after_concert_id = 5, .items = concerts, .room = 10}}};
    struct database_session *session = case_acquire(&cases);
    for (size_t i = 0; i < 2; i++) {
        static const char reads[] = "SELECT SUM(VARIABLE_VALUE) FROM information_schema."
                                    "GLOBAL_STATUS WHERE VARIABLE_NAME LIKE 'HANDLER_READ_%' "
                                    "AND VARIABLE_NAME NOT LIKE '%_RND%'";
        int64_t before = fixture_integer(own, reads);
        assert_int_equal(case_step(&cases, session, &pages[i]), DATABASE_DONE);
        int64_t read = fixture_integer(own, reads) - before;
        assert_in_range(read, 10, 40);
    }
    database_give_back(session);
    assert_int_equal(pages[0].member_page.count, 10);
    assert_true(members[9].id == 15 && concerts[9].concert_id == 15);
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
        OWN(oversell_is_refused_without_a_check), OWN(call_without_a_row_is_no_grant),
        OWN(events_are_stored_with_their_times),  OWN(reset_waits_for_who_moved_a_position),
        OWN(pages_read_no_more_than_they_answer),
    };
    failed += cmocka_run_group_tests_name("mariadb steps", own, NULL, NULL);
    return failed;
}
