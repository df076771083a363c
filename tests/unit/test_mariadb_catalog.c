/* The catalog on a real server: what the conformance suite does not see from above. */
#include "mariadb_links.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum resv_outcome create_concert(struct fixture *fixture, struct resv_concert *concert)
{
    struct resv_catalog_request request = {.concerts = concert, .count = 1};
    struct resv_op op = {.kind = RESV_OP_CONCERT_CREATE, .catalog = &request};
    return fixture_catalog(fixture, &op);
}

static enum resv_outcome get_concert(struct fixture *fixture, int64_t id,
                                     struct resv_concert *concert)
{
    struct resv_catalog_request request = {0};
    struct resv_op op = {.kind = RESV_OP_CONCERT_GET, .concert_id = id, .catalog = &request};
    enum resv_outcome outcome = fixture_catalog(fixture, &op);
    if (outcome == RESV_FOUND) {
        assert_int_equal(request.count, 1);
        *concert = request.concerts[0];
    }
    free(request.concerts);
    return outcome;
}

static enum resv_outcome update(struct fixture *fixture, int64_t id, struct resv_concert *concert,
                                unsigned fields)
{
    struct resv_catalog_request request = {.concerts = concert, .count = 1, .fields = fields};
    struct resv_op op = {.kind = RESV_OP_CONCERT_UPDATE, .concert_id = id, .catalog = &request};
    return fixture_catalog(fixture, &op);
}

/* --- texts, ids, changes -----------------------------------------------------------------------
 */

static void texts_come_back_as_they_went(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    static const char *const texts[] = {
        "'; DROP TABLE concerts; --",
        "\\",
        "\\'",
        "\"`%_\x01\t\n\r\x1a",
        "\xf0\x9f\x8e\xb6 \xc3\xa9",
        " blanks at both ends ",
        "0",
        "x",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct resv_concert concert = {.starts_at_ms = i % 2 == 0 ? INT64_MIN : (int64_t)i,
                                       .capacity = RESV_INTEGER_MAX,
                                       .member_limit = (int64_t)i},
                            found = {0};
        snprintf(concert.title, sizeof concert.title, "%s", texts[i]);
        snprintf(concert.venue, sizeof concert.venue, "%s", i == 0 ? "" : texts[i]);
        assert_int_equal(create_concert(fixture, &concert), RESV_STORED);
        assert_int_equal(concert.id, i + 1);
        assert_int_equal(get_concert(fixture, concert.id, &found), RESV_FOUND);
        assert_string_equal(found.title, concert.title);
        assert_string_equal(found.venue, concert.venue);
        assert_true(found.starts_at_ms == concert.starts_at_ms);
        assert_true(found.capacity == RESV_INTEGER_MAX && found.member_limit == (int64_t)i);
        concert.id = 0;
        concert.title[0] = '\0';
        assert_int_equal(update(fixture, (int64_t)i + 1, &concert, RESV_CONCERT_TITLE),
                         RESV_STORED);
        assert_string_equal(concert.title, "");
        assert_string_equal(concert.venue, found.venue);
        assert_int_equal(concert.id, i + 1);
    }
}

static void strategies_are_told_of_changes(void **state)
{
    struct fixture *fixture = *state;
    struct fixture_link *link = &fixture->links[0];
    fixture_open(fixture);
    assert_int_equal(fixture_reset(fixture, 2, 2, 5), RESV_STORED);
    assert_int_equal(link->changes, 1);
    assert_int_equal(link->changed, 0);
    struct resv_concert concert = {.title = "t", .capacity = 4, .starts_at_ms = INT64_MIN};
    assert_int_equal(create_concert(fixture, &concert), RESV_STORED);
    assert_int_equal(link->changes, 2);
    assert_int_equal(link->changed, 3);
    assert_int_equal(update(fixture, 2, &concert, RESV_CONCERT_CAPACITY), RESV_STORED);
    assert_int_equal(link->changes, 3);
    assert_int_equal(link->changed, 2);
    assert_int_equal(update(fixture, 9, &concert, RESV_CONCERT_CAPACITY), RESV_NOT_FOUND);
    fixture_sql(fixture, "UPDATE concerts SET sold = 3 WHERE id = 1");
    concert.capacity = 2;
    assert_int_equal(update(fixture, 1, &concert, RESV_CONCERT_CAPACITY), RESV_CAPACITY_TOO_LOW);
    assert_int_equal(link->changes, 3);
    assert_int_equal(link->catalog_done, 5);
    assert_int_equal(fixture_integer(fixture, "SELECT capacity FROM concerts WHERE id = 1"), 5);
}

static void ids_follow_the_servers_increment(void **state)
{
    struct fixture *fixture = *state;
    fixture_sql(fixture, "SET GLOBAL auto_increment_increment = 5");
    fixture_open(fixture);
    struct resv_member members[3] = {{.name = "a"}, {.name = "b"}, {.name = "c"}};
    struct resv_catalog_request request = {.members = members, .count = 3};
    struct resv_op op = {.kind = RESV_OP_MEMBER_CREATE, .catalog = &request};
    enum resv_outcome outcome = fixture_catalog(fixture, &op);
    fixture_sql(fixture, "SET GLOBAL auto_increment_increment = 1");
    assert_int_equal(outcome, RESV_STORED);
    for (size_t i = 0; i < 3; i++) {
        char sql[100];
        snprintf(sql, sizeof sql, "SELECT name FROM members WHERE id = %lld",
                 (long long)members[i].id);
        assert_string_equal(fixture_sql(fixture, sql), members[i].name);
    }
}

/* --- many at once ------------------------------------------------------------------------------
 */

static int64_t selects(struct fixture *fixture)
{
    return fixture_integer(fixture, "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS "
                                    "WHERE VARIABLE_NAME = 'Com_select'");
}

static void gets_at_the_same_moment_are_joined(void **state)
{
    enum { COUNT = 900 };
    struct fixture *fixture = *state;
    fixture_open(fixture);
    assert_int_equal(fixture_reset(fixture, 100, 100, 5), RESV_STORED);
    struct resv_op *ops = calloc(COUNT, sizeof *ops);
    struct resv_catalog_request *requests = calloc(COUNT, sizeof *requests);
    assert_true(ops != NULL && requests != NULL);
    int64_t before = selects(fixture);
    for (size_t i = 0; i < COUNT; i++) {
        int64_t id = (int64_t)(i % 150); /* 0 and what is above 100: not there */
        ops[i] = (struct resv_op){.kind = i % 3 == 0 ? RESV_OP_MEMBER_GET : RESV_OP_CONCERT_GET,
                                  .concert_id = id,
                                  .member_id = id,
                                  .catalog = &requests[i]};
        fixture_submit(fixture, 0, &ops[i]);
    }
    for (size_t i = 0; i < COUNT; i++) {
        int64_t id = (int64_t)(i % 150);
        bool there = id >= 1 && id <= 100;
        assert_int_equal(fixture_finish(fixture, &ops[i]), there ? RESV_FOUND : RESV_NOT_FOUND);
        if (there && i % 3 == 0)
            assert_int_equal(requests[i].members[0].id, id);
        else if (there)
            assert_int_equal(requests[i].concerts[0].id, id);
        free(requests[i].members);
        free(requests[i].concerts);
    }
    assert_true(selects(fixture) - before < 30);
    free(requests);
    free(ops);
}

static void more_than_its_maximum_is_busy(void **state)
{
    struct fixture *fixture = *state;
    fixture->link_config.catalog_max = 3;
    fixture_open(fixture);
    struct resv_op ops[4];
    struct resv_catalog_request requests[4] = {0};
    for (size_t i = 0; i < 4; i++)
        ops[i] =
            (struct resv_op){.kind = RESV_OP_CONCERT_GET, .concert_id = 1, .catalog = &requests[i]};
    for (size_t i = 0; i < 3; i++)
        fixture_submit(fixture, 0, &ops[i]);
    assert_int_equal(database_link_catalog_under_way(fixture->link), 3);
    struct resv_catalog *catalog = database_link_catalog(fixture->link);
    assert_false(catalog->submit(catalog->self, &ops[3]));
    assert_int_equal(fixture->ready_for_more, 0);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(fixture_finish(fixture, &ops[i]), RESV_NOT_FOUND);
    assert_true(fixture->ready_for_more >= 1);
    assert_int_equal(fixture_catalog(fixture, &ops[3]), RESV_NOT_FOUND);
}

/* --- audit -------------------------------------------------------------------------------------
 */

static void audit(struct fixture *fixture, struct resv_catalog_request *request)
{
    *request = (struct resv_catalog_request){0};
    struct resv_op op = {.kind = RESV_OP_AUDIT, .catalog = request};
    assert_int_equal(fixture_catalog(fixture, &op), RESV_FOUND);
}

static void audit_finds_what_does_not_agree(void **state)
{
    struct fixture *fixture = *state;
    struct resv_catalog_request request;
    fixture_open(fixture);
    audit(fixture, &request);
    assert_int_equal(request.audit_count, 0);
    assert_true(request.audit_consistent);
    free(request.audit);
    assert_int_equal(fixture_reset(fixture, 3, 1, 10), RESV_STORED);
    fixture_sql(fixture, "CALL resvd_reserve(1, 0x01, 1, 4, 0, 0); CALL resvd_reserve(2, 0x02, 1, "
                         "2, 0, 0); CALL resvd_reserve(1, 0x03, 1, 1, 0, 0);"
                         "UPDATE reservations SET status = 3 WHERE concert_id = 2;"
                         "UPDATE concerts SET sold = 1 WHERE id = 3");
    audit(fixture, &request);
    assert_int_equal(request.audit_count, 3);
    static const int64_t sold[] = {5, 2, 1}, live[] = {5, 0, 0};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(request.audit[i].concert_id, i + 1);
        assert_int_equal(request.audit[i].capacity, 10);
        assert_int_equal(request.audit[i].sold, sold[i]);
        assert_int_equal(request.audit[i].live, live[i]);
        assert_int_equal(request.audit[i].stock, -1);
        assert_int_equal(request.audit[i].consistent, i == 0);
    }
    assert_false(request.audit_consistent);
    free(request.audit);
}

static void reads_go_on_beside_an_audit(void **state)
{
    struct fixture *fixture = *state;
    fixture_option(fixture, "catalog_pool", "2");
    fixture_open(fixture);
    assert_int_equal(fixture_reset(fixture, 1, 1, 10), RESV_STORED);
    fixture_sql(fixture, "LOCK TABLES reservations WRITE");
    struct resv_catalog_request requests[2] = {0};
    struct resv_op audits[2];
    for (size_t i = 0; i < 2; i++) {
        audits[i] = (struct resv_op){.kind = RESV_OP_AUDIT, .catalog = &requests[i]};
        fixture_submit(fixture, 0, &audits[i]);
    }
    fixture_run_ms(fixture, 100);
    struct resv_concert concert;
    for (int i = 0; i < 20; i++)
        assert_int_equal(get_concert(fixture, 1, &concert), RESV_FOUND);
    assert_int_equal(audits[0].state, RESV_OP_SUBMITTED);
    fixture_sql(fixture, "UNLOCK TABLES");
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(fixture_finish(fixture, &audits[i]), RESV_FOUND);
        free(requests[i].audit);
    }
}

/* Both wait for others, for a row and for the schema's lock: not on all connections. */
static void reads_go_on_beside_a_write_and_a_reset(void **state)
{
    struct fixture *fixture = *state;
    fixture_option(fixture, "catalog_pool", "2");
    fixture_open(fixture);
    assert_int_equal(fixture_reset(fixture, 2, 1, 10), RESV_STORED);
    for (size_t order = 0; order < 2; order++) {
        fixture_sql(fixture,
                    "DO GET_LOCK(CONCAT('resvd-schema-', MD5(DATABASE())), 0);"
                    "START TRANSACTION; UPDATE concerts SET venue = 'elsewhere' WHERE id = 2");
        struct resv_concert changed = {.title = "new"}, concert;
        struct resv_catalog_request requests[] = {
            {.reset_concerts = 2, .reset_members = 1, .reset_capacity = 10},
            {.concerts = &changed, .count = 1, .fields = RESV_CONCERT_TITLE},
        };
        struct resv_op ops[] = {
            {.kind = RESV_OP_RESET, .catalog = &requests[0]},
            {.kind = RESV_OP_CONCERT_UPDATE, .concert_id = 2, .catalog = &requests[1]},
        };
        fixture_submit(fixture, 0, &ops[order]);
        fixture_submit(fixture, 0, &ops[1 - order]);
        fixture_run_ms(fixture, 50);
        uint64_t began_ns = uv_hrtime();
        for (int i = 0; i < 20; i++)
            assert_int_equal(get_concert(fixture, 1, &concert), RESV_FOUND);
        assert_in_range(uv_hrtime() - began_ns, 0, 1000000000);
        assert_int_equal(ops[0].state, RESV_OP_SUBMITTED);
        assert_int_equal(ops[1].state, RESV_OP_SUBMITTED);
        fixture_sql(fixture, "COMMIT; DO RELEASE_LOCK(CONCAT('resvd-schema-', MD5(DATABASE())))");
        assert_int_equal(fixture_finish(fixture, &ops[0]), RESV_STORED);
        assert_int_equal(fixture_finish(fixture, &ops[1]), RESV_STORED);
    }
}

static void interrupted_operations_end(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    assert_int_equal(fixture_reset(fixture, 1, 1, 10), RESV_STORED);
    fixture_sql(fixture, "LOCK TABLES reservations WRITE, concerts WRITE");
    struct resv_catalog_request requests[4] = {0};
    struct resv_op ops[4];
    for (size_t i = 0; i < 4; i++) {
        ops[i] = (struct resv_op){.kind = i < 2 ? RESV_OP_AUDIT : RESV_OP_CONCERT_GET,
                                  .concert_id = 1,
                                  .catalog = &requests[i]};
        fixture_submit(fixture, 0, &ops[i]);
        fixture_run_ms(fixture, 20);
    }
    database_link_interrupt(fixture->link);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(fixture_finish(fixture, &ops[i]), RESV_UNAVAILABLE);
    assert_int_equal(database_link_catalog_under_way(fixture->link), 0);
    fixture_sql(fixture, "UNLOCK TABLES");
}

/* --- reset -------------------------------------------------------------------------------------
 */

static void expect_reset_to(struct fixture *fixture, int64_t concerts, int64_t members)
{
    assert_int_equal(fixture_integer(fixture, "SELECT COUNT(*) FROM concerts"), concerts);
    assert_int_equal(fixture_integer(fixture, "SELECT COUNT(*) FROM members"), members);
    assert_int_equal(fixture_integer(fixture, "SELECT COUNT(*) FROM reservations"), 0);
    assert_int_equal(fixture_integer(fixture, "SELECT COALESCE(MAX(id), 0) FROM members"), members);
    assert_int_equal(fixture_integer(fixture, "SELECT COUNT(*) FROM information_schema.TABLES "
                                              "WHERE TABLE_SCHEMA = DATABASE()"),
                     7);
}

static void reset_makes_everything_anew(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    for (int round = 0; round < 3; round++) {
        assert_int_equal(fixture_reset(fixture, 10, 123456, 7), RESV_STORED);
        expect_reset_to(fixture, 10, 123456);
        assert_string_equal(fixture_sql(fixture, "SELECT title FROM concerts WHERE id = 10"),
                            "Concert 10");
        assert_string_equal(fixture_sql(fixture, "SELECT name FROM members WHERE id = 100001"),
                            "Member 100001");
        fixture_sql(fixture, "CALL resvd_reserve(10, 0x01, 123456, 7, 0, 0)");
        struct resv_concert concert = {.title = "n", .capacity = 1, .starts_at_ms = INT64_MIN};
        assert_int_equal(create_concert(fixture, &concert), RESV_STORED);
        assert_int_equal(concert.id, 11);
    }
    assert_int_equal(fixture_reset(fixture, 0, 0, 0), RESV_STORED);
    expect_reset_to(fixture, 0, 0);
    /* The keys are what they were: a row without parents is refused. */
    assert_int_equal(mysql_query(fixture->root,
                                 "INSERT INTO reservations VALUES (0x01, 1, 1, 1, 2, "
                                 "0, 0)"),
                     1);
    assert_int_equal(mysql_errno(fixture->root), 1452);
}

/* What they sell raises fences, which those of the new concerts are above nevertheless. */
static void reset_waits_for_transactions(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    assert_int_equal(fixture_reset(fixture, 2, 2, 5), RESV_STORED);
    int64_t fence = fixture_integer(fixture, "SELECT MAX(fence) FROM concerts") + 1000000;
    fixture_sql(fixture, "START TRANSACTION; UPDATE concerts SET sold = 1, fence = fence + 1000000 "
                         "WHERE id = 1");
    struct resv_catalog_request request = {
        .reset_concerts = 1, .reset_members = 1, .reset_capacity = 5};
    struct resv_op op = {.kind = RESV_OP_RESET, .catalog = &request};
    fixture_submit(fixture, 0, &op);
    fixture_run_ms(fixture, 500);
    assert_int_equal(op.state, RESV_OP_SUBMITTED);
    fixture_sql(fixture, "INSERT INTO reservations VALUES (0x01, 1, 1, 1, 2, 0, 0); COMMIT");
    assert_int_equal(fixture_finish(fixture, &op), RESV_STORED);
    expect_reset_to(fixture, 1, 1);
    assert_true(fixture_integer(fixture, "SELECT fence FROM concerts") > fence);
}

/* Lost in the RENAME: not known, and yet whole. */
static void lost_reset_is_unknown_and_whole(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    assert_int_equal(fixture_reset(fixture, 2, 2, 5), RESV_STORED);
    MYSQL *other = fixture_connect_root(fixture);
    assert_int_equal(mysql_query(other, "LOCK TABLES concerts READ"), 0);
    struct resv_catalog_request request = {
        .reset_concerts = 1, .reset_members = 1, .reset_capacity = 5};
    struct resv_op op = {.kind = RESV_OP_RESET, .catalog = &request};
    fixture_submit(fixture, 0, &op);
    int64_t id = 0;
    while (id == 0) {
        fixture_run_ms(fixture, 20);
        id = fixture_integer(fixture, "SELECT ID FROM information_schema.PROCESSLIST WHERE INFO "
                                      "LIKE 'RENAME TABLE%' LIMIT 1");
    }
    char sql[64];
    snprintf(sql, sizeof sql, "KILL %lld", (long long)id);
    fixture_sql(fixture, sql);
    size_t changes = fixture->links[0].changes;
    assert_int_equal(fixture_finish(fixture, &op), RESV_UNKNOWN);
    assert_int_equal(fixture->links[0].changes, changes + 1);
    assert_int_equal(fixture->links[0].changed, 0);
    mysql_close(other);
    assert_int_equal(fixture_integer(fixture, "SELECT COUNT(*) FROM concerts"), 2);
    assert_int_equal(fixture_integer(fixture, "SELECT COUNT(*) FROM members"), 2);
    assert_int_equal(fixture_reset(fixture, 3, 3, 5), RESV_STORED);
    expect_reset_to(fixture, 3, 3);
}

static void resets_of_two_processes_take_turns(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    fixture_start(fixture, 1);
    assert_true(fixture_wait_started(fixture, 1));
    for (int round = 0; round < 5; round++) {
        struct resv_catalog_request requests[2];
        struct resv_op ops[2];
        for (size_t i = 0; i < 2; i++) {
            requests[i] = (struct resv_catalog_request){.reset_concerts = 4 + (int64_t)i,
                                                        .reset_members = 4 + (int64_t)i,
                                                        .reset_capacity = 5};
            ops[i] = (struct resv_op){.kind = RESV_OP_RESET, .catalog = &requests[i]};
            fixture_submit(fixture, i, &ops[i]);
        }
        for (size_t i = 0; i < 2; i++)
            assert_int_equal(fixture_finish(fixture, &ops[i]), RESV_STORED);
        int64_t concerts = fixture_integer(fixture, "SELECT COUNT(*) FROM concerts");
        assert_in_range(concerts, 4, 5);
        expect_reset_to(fixture, concerts, concerts);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(texts_come_back_as_they_went),       TEST(strategies_are_told_of_changes),
        TEST(ids_follow_the_servers_increment),   TEST(gets_at_the_same_moment_are_joined),
        TEST(more_than_its_maximum_is_busy),      TEST(audit_finds_what_does_not_agree),
        TEST(reads_go_on_beside_an_audit),        TEST(reads_go_on_beside_a_write_and_a_reset),
        TEST(interrupted_operations_end),         TEST(reset_makes_everything_anew),
        TEST(reset_waits_for_transactions),       TEST(lost_reset_is_unknown_and_whole),
        TEST(resets_of_two_processes_take_turns),
    };
    return cmocka_run_group_tests_name("mariadb catalog", tests, NULL, NULL);
}
