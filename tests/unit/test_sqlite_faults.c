/* The SQLite link on a disk that fails: what is said, what later commits rest on, recovery. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "sqlite_faulty_disk.h"
#include "sqlite_fixture.h"

#define OUTCOME(item, expected) assert_int_equal((item).outcome, (expected))

static int set_up(void **state)
{
    int result = fixture_set_up(state);
    ((struct fixture *)*state)->config.vfs_name = faulty_disk_name();
    return result;
}

static int tear_down(void **state)
{
    faulty_disk_name(); /* no faults */
    return fixture_tear_down(state);
}

static bool row_exists(struct fixture *fixture, const struct sqlite_item *item)
{
    struct sqlite_lookup lookup = {.want_reservation = true, .id = item->id};
    fixture_look_up(fixture, &lookup, 1);
    assert_false(lookup.failed);
    return lookup.found;
}

/* Copies file and log as a crash would leave them, and opens the copy with plain SQLite. */
static int64_t sql_after_crash(struct fixture *fixture, const char *sql)
{
    static const char *const suffixes[] = {"", "-wal"};
    struct fixture copy = *fixture;
    snprintf(copy.file, sizeof copy.file, "%.60s/crashed.db", fixture->folder);
    char command[3 * PATH_MAX];
    for (size_t i = 0; i < 2; i++) {
        snprintf(command, sizeof command, "cp '%s%s' '%s%s'", fixture->file, suffixes[i], copy.file,
                 suffixes[i]);
        assert_int_equal(system(command), 0);
    }
    int64_t value = fixture_sql(&copy, sql);
    assert_int_equal(fixture_sql(&copy, "SELECT count(*) FROM concerts WHERE sold <> "
                                        "(SELECT coalesce(sum(quantity), 0) FROM reservations "
                                        "WHERE concert_id = concerts.id AND status IN (1, 2))"),
                     0);
    snprintf(command, sizeof command, "rm -f '%s'*", copy.file);
    assert_int_equal(system(command), 0);
    return value;
}

static void failed_sync_is_unknown(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, 3);
    struct sqlite_item before = item_reserve(fixture, 1, 1);
    assert_true(fixture_apply(fixture, &before, 1));
    OUTCOME(before, RESV_GRANTED);

    atomic_store(&faulty_disk.fail_log_syncs, 1);
    atomic_store(&faulty_disk.fail_database_syncs, -1); /* no checkpoint succeeds */
    struct sqlite_item items[6] = {item_reserve(fixture, 1, 2), item_reserve(fixture, 1, 99),
                                   item_reserve(fixture, 7, 1), item_release(&before),
                                   item_reserve(fixture, 1, 3), item_reserve(fixture, 1, 4)};
    items[4].quantity = 2;
    assert_false(fixture_apply(fixture, items, 6));
    OUTCOME(items[0], RESV_UNKNOWN);
    OUTCOME(items[1], RESV_UNAVAILABLE);
    OUTCOME(items[2], RESV_UNAVAILABLE);
    OUTCOME(items[3], RESV_UNKNOWN);
    OUTCOME(items[4], RESV_UNKNOWN);
    OUTCOME(items[5], RESV_UNAVAILABLE); /* sold out only if the others were sold */
    assert_false(sqlite_link_writable(fixture->link));
    assert_int_equal(fixture->writable_changes, 1);
    assert_int_equal(fixture->host.health, RESV_HEALTH_DOWN);
    assert_non_null(strstr(fixture->host.detail, "seats.db"));

    /* Nobody has seen the doubtful transaction, and after a crash it may be there. */
    assert_false(row_exists(fixture, &items[0]));
    assert_int_equal(sql_after_crash(fixture, "SELECT sold FROM concerts WHERE id = 1"), 3);
}

static void nothing_rests_on_a_doubtful_log(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, 3);
    struct sqlite_item before = item_reserve(fixture, 1, 1);
    assert_true(fixture_apply(fixture, &before, 1));
    atomic_store(&faulty_disk.fail_log_syncs, 1);
    atomic_store(&faulty_disk.fail_database_syncs, 3);
    struct sqlite_item doubtful = item_reserve(fixture, 1, 2);
    assert_false(fixture_apply(fixture, &doubtful, 1));
    OUTCOME(doubtful, RESV_UNKNOWN);

    for (int i = 0; atomic_load(&faulty_disk.fail_database_syncs) > 0; i++) {
        struct sqlite_item refused = item_reserve(fixture, 1, 3);
        assert_false(fixture_apply(fixture, &refused, 1));
        OUTCOME(refused, RESV_UNAVAILABLE);
        assert_true(i < 1000000);
    }
    fixture_run_until_health(fixture, RESV_HEALTH_UP);
    assert_true(sqlite_link_writable(fixture->link));
    assert_int_equal(fixture->writable_changes, 2);
    assert_true(row_exists(fixture, &before));
    assert_false(row_exists(fixture, &doubtful));
    struct sqlite_item after[3] = {item_reserve(fixture, 1, 4), item_reserve(fixture, 1, 5),
                                   item_reserve(fixture, 1, 6)};
    assert_true(fixture_apply(fixture, after, 3));
    OUTCOME(after[0], RESV_GRANTED);
    OUTCOME(after[1], RESV_GRANTED);
    OUTCOME(after[2], RESV_SOLD_OUT);
    assert_int_equal(sql_after_crash(fixture, "SELECT count(*) FROM reservations"), 3);
    assert_int_equal(sql_after_crash(fixture, "SELECT count(*) FROM reservations "
                                              "WHERE member_id = 2"),
                     0);
    fixture_audit(fixture);
}

/* A reader that still uses the log keeps it from being emptied: then nothing is committed either.
 */
static void recovery_waits_for_readers(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, 3);
    struct sqlite_item before = item_reserve(fixture, 1, 1);
    assert_true(fixture_apply(fixture, &before, 1));
    sqlite3 *other;
    assert_int_equal(sqlite3_open(fixture->file, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN; SELECT * FROM concerts", NULL, NULL, NULL),
                     SQLITE_OK);
    atomic_store(&faulty_disk.fail_log_syncs, 1);
    struct sqlite_item doubtful = item_reserve(fixture, 1, 2);
    assert_false(fixture_apply(fixture, &doubtful, 1));
    OUTCOME(doubtful, RESV_UNKNOWN);
    fixture_run_ms(fixture, 1000);
    assert_int_equal(fixture->host.health, RESV_HEALTH_DOWN);
    assert_false(sqlite_link_writable(fixture->link));
    sqlite3_close(other);
    fixture_run_until_health(fixture, RESV_HEALTH_UP);
    assert_false(row_exists(fixture, &doubtful));
    assert_true(fixture_apply(fixture, &doubtful, 1));
    OUTCOME(doubtful, RESV_GRANTED);
    fixture_audit(fixture);
}

static void failed_log_write_is_unknown_and_heals(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, 3);
    atomic_store(&faulty_disk.fail_log_writes, 1);
    struct sqlite_item item = item_reserve(fixture, 1, 1);
    assert_false(fixture_apply(fixture, &item, 1));
    OUTCOME(item, RESV_UNKNOWN);
    fixture_run_until_health(fixture, RESV_HEALTH_UP);
    assert_true(fixture_apply(fixture, &item, 1));
    OUTCOME(item, RESV_GRANTED);
    assert_false(item.reservation.replay);
    fixture_audit(fixture);
}

static void full_disk_takes_nothing(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, 3);
    atomic_store(&faulty_disk.full, -1);
    struct sqlite_item items[2] = {item_reserve(fixture, 1, 1), item_reserve(fixture, 1, 2)};
    for (int i = 0; i < 3; i++) {
        assert_false(fixture_apply(fixture, items, 2));
        OUTCOME(items[0], RESV_UNAVAILABLE);
        OUTCOME(items[1], RESV_UNAVAILABLE);
        assert_true(sqlite_link_writable(fixture->link)); /* each is tried */
        assert_int_equal(fixture->host.health, RESV_HEALTH_DOWN);
        assert_non_null(strstr(fixture->host.detail, "full"));
        assert_false(row_exists(fixture, &items[0]));
    }
    struct resv_concert concert = {.title = "x", .capacity = 1};
    struct resv_catalog_request request = {.concerts = &concert, .count = 1};
    struct resv_op create = {.kind = RESV_OP_CONCERT_CREATE, .catalog = &request};
    assert_int_equal(fixture_catalog(fixture, &create), RESV_UNAVAILABLE);
    /* Space again: it recovers without traffic. */
    atomic_store(&faulty_disk.full, 0);
    fixture_run_until_health(fixture, RESV_HEALTH_UP);
    assert_true(fixture_apply(fixture, items, 2));
    OUTCOME(items[0], RESV_GRANTED);
    assert_int_equal(fixture->writable_changes, 0);
    fixture_audit(fixture);
}

static void full_disk_heals_by_traffic(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, 3);
    atomic_store(&faulty_disk.full, 1);
    struct sqlite_item item = item_reserve(fixture, 1, 1);
    assert_false(fixture_apply(fixture, &item, 1));
    OUTCOME(item, RESV_UNAVAILABLE);
    assert_true(fixture_apply(fixture, &item, 1));
    OUTCOME(item, RESV_GRANTED);
    assert_int_equal(fixture->host.health, RESV_HEALTH_UP);
}

static void failed_checkpoint_stops_and_heals(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.wal_max_bytes = 1 << 16;
    fixture_open(fixture, 1000);
    atomic_store(&faulty_disk.fail_database_syncs, 2);
    size_t granted = 0;
    for (int i = 0; i < 200 && fixture->writable_changes == 0; i++) {
        struct sqlite_item item = item_reserve(fixture, 1, 1);
        fixture_apply(fixture, &item, 1);
        granted += item.outcome == RESV_GRANTED;
        assert_true(item.outcome == RESV_GRANTED || item.outcome == RESV_UNAVAILABLE);
    }
    assert_int_equal(fixture->writable_changes, 1);
    fixture_run_until_health(fixture, RESV_HEALTH_UP);
    assert_int_equal(fixture_sold(fixture, 1), granted);
    fixture_audit(fixture);
}

static void damage_is_final(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, 3);
    struct sqlite_item item = item_reserve(fixture, 1, 1);
    assert_true(fixture_apply(fixture, &item, 1));
    /* Somebody writes nonsense: the count says that nothing was sold. */
    fixture_sql(fixture, "UPDATE concerts SET sold = 0 WHERE id = 1");
    struct sqlite_item release = item_release(&item);
    assert_false(fixture_apply(fixture, &release, 1));
    OUTCOME(release, RESV_UNAVAILABLE);
    assert_false(sqlite_link_writable(fixture->link));
    assert_int_equal(fixture->host.health, RESV_HEALTH_DOWN);
    assert_true(row_exists(fixture, &item));
    struct sqlite_item next = item_reserve(fixture, 2, 1);
    assert_false(fixture_apply(fixture, &next, 1));
    OUTCOME(next, RESV_UNAVAILABLE);
}

static void closes_while_the_disk_fails(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, 3);
    struct sqlite_item before = item_reserve(fixture, 1, 1);
    assert_true(fixture_apply(fixture, &before, 1));
    atomic_store(&faulty_disk.fail_log_syncs, -1);
    atomic_store(&faulty_disk.fail_database_syncs, -1);
    struct sqlite_item item = item_reserve(fixture, 1, 2);
    assert_false(fixture_apply(fixture, &item, 1));
    fixture_close(fixture);
    faulty_disk_name();
    assert_true(fixture_start(fixture));
    assert_true(row_exists(fixture, &before));
    fixture_audit(fixture);
}

static void full_disk_at_start(void **state)
{
    struct fixture *fixture = *state;
    atomic_store(&faulty_disk.full, -1);
    assert_false(fixture_start(fixture));
    assert_int_equal(fixture->exit_code, 69);
    assert_non_null(strstr(fixture->message, "the disk is full"));
    assert_non_null(strstr(fixture->message, "[strategy.embedded] file"));
    fixture_close(fixture);
    atomic_store(&faulty_disk.full, 0);
    assert_true(fixture_start(fixture)); /* what was left behind does not disturb */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(failed_sync_is_unknown),
        TEST(nothing_rests_on_a_doubtful_log),
        TEST(recovery_waits_for_readers),
        TEST(failed_log_write_is_unknown_and_heals),
        TEST(full_disk_takes_nothing),
        TEST(full_disk_heals_by_traffic),
        TEST(failed_checkpoint_stops_and_heals),
        TEST(damage_is_final),
        TEST(closes_while_the_disk_fails),
        TEST(full_disk_at_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
