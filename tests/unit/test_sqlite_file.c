/* The SQLite link's file: what is refused at start, and that it is left as it was. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "sqlite_fixture.h"

#define NOBODY 65534

static void assert_refused(struct fixture *fixture, int exit_code, const char *why)
{
    assert_false(fixture_start(fixture));
    if (strstr(fixture->message, why) == NULL)
        fail_msg("\"%s\" is not in: %s", why, fixture->message);
    assert_int_equal(fixture->exit_code, exit_code);
    assert_non_null(strstr(fixture->message, "[strategy.embedded] file"));
    assert_null(strchr(fixture->message, '\n'));
    assert_int_equal(fixture->host.health, RESV_HEALTH_DOWN);
    fixture_close(fixture);
}

static void write_file(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* The whole file; the caller frees it. */
static char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    char *bytes = malloc(1 << 20);
    *size = fread(bytes, 1, 1 << 20, file);
    fclose(file);
    return bytes;
}

static void assert_refused_untouched(struct fixture *fixture, int exit_code, const char *why)
{
    size_t before_size, after_size;
    char *before = read_file(fixture->file, &before_size);
    assert_refused(fixture, exit_code, why);
    char *after = read_file(fixture->file, &after_size);
    assert_int_equal(before_size, after_size);
    assert_memory_equal(before, after, before_size);
    free(before);
    free(after);
}

static void migrations_are_recorded(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, 1);
    fixture_close(fixture);
    assert_int_equal(fixture_sql(fixture, "SELECT count(*) FROM schema_migrations"),
                     fixture_sql(fixture, "PRAGMA user_version"));
    assert_int_equal(fixture_sql(fixture, "SELECT applied_at FROM schema_migrations"),
                     1700000000000);
    assert_int_equal(fixture_sql(fixture, "PRAGMA application_id"), 0x52535644);
    assert_true(fixture_start(fixture));
    fixture_close(fixture);
    assert_int_equal(fixture_sql(fixture, "SELECT count(*) FROM schema_migrations"), 1);
}

static void newer_schema_is_refused(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, 1);
    fixture_close(fixture);
    fixture_sql(fixture, "PRAGMA journal_mode = DELETE");
    fixture_sql(fixture, "PRAGMA user_version = 1000");
    assert_refused_untouched(fixture, 78, "has schema version 1000, this resvd knows up to 1");
}

/* Also when its log was left by a crash: that log is the newer resvd's to put away. */
static void newer_schema_keeps_its_log(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, 1);
    fixture_sql(fixture, "PRAGMA user_version = 1000");
    char command[3 * PATH_MAX];
    snprintf(command, sizeof command, "cd '%s' && mkdir c && cp seats.db seats.db-wal c/",
             fixture->folder);
    assert_int_equal(system(command), 0);
    fixture_close(fixture);
    snprintf(fixture->file, sizeof fixture->file, "%.60s/c/seats.db", fixture->folder);
    assert_refused_untouched(fixture, 78, "has schema version 1000");
    char log_path[PATH_MAX + 8];
    snprintf(log_path, sizeof log_path, "%s-wal", fixture->file);
    struct stat status;
    assert_int_equal(stat(log_path, &status), 0);
    assert_true(status.st_size > 4096);
}

static void foreign_database_is_refused(void **state)
{
    struct fixture *fixture = *state;
    fixture_sql(fixture, "CREATE TABLE somebody_elses (x)");
    assert_refused_untouched(fixture, 78, "another program's database");
}

static void not_a_database_is_refused(void **state)
{
    struct fixture *fixture = *state;
    static const char short_text[] = "my diary";
    write_file(fixture->file, short_text, sizeof short_text);
    assert_refused_untouched(fixture, 78, "is not a SQLite database");
    char *long_text = calloc(1, 50000);
    write_file(fixture->file, long_text, 50000);
    free(long_text);
    assert_refused_untouched(fixture, 78, "is not a SQLite database");
}

static void empty_file_is_taken(void **state)
{
    struct fixture *fixture = *state;
    write_file(fixture->file, "", 0);
    fixture_open(fixture, 1);
}

static void damaged_file_is_refused(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, 1);
    fixture_close(fixture);
    size_t size;
    char *bytes = read_file(fixture->file, &size);
    assert_true(size > 3 * 4096);
    char *damaged = malloc(size);
    /* The schema's page. */
    memcpy(damaged, bytes, size);
    memset(damaged + 100, 0x5a, 3900);
    write_file(fixture->file, damaged, size);
    assert_refused_untouched(fixture, 78, "is damaged");
    /* Cut off. */
    write_file(fixture->file, bytes, 4096);
    assert_refused_untouched(fixture, 78, "is damaged");
    free(damaged);
    free(bytes);
}

/* A page in the middle is noticed at start only when the last process did not close the file. */
static void damage_is_looked_for_after_a_crash(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, 1);
    fixture_close(fixture);
    int64_t page =
        fixture_sql(fixture, "SELECT rootpage FROM sqlite_schema WHERE name = 'members'");
    size_t size;
    char *bytes = read_file(fixture->file, &size);
    memset(bytes + (page - 1) * 4096, 0xff, 4096);
    write_file(fixture->file, bytes, size);
    free(bytes);
    char log_path[PATH_MAX + 8];
    snprintf(log_path, sizeof log_path, "%s-wal", fixture->file);
    write_file(log_path, "left by a crash, and torn", 25);
    assert_refused_untouched(fixture, 78, "is damaged");
}

static void a_crash_loses_nothing(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, 2);
    struct sqlite_item item = item_reserve(fixture, 1, 1);
    assert_true(fixture_apply(fixture, &item, 1));
    /* As kill -9 leaves it: file and log, nothing closed. */
    char command[3 * PATH_MAX];
    snprintf(command, sizeof command, "cd '%s' && mkdir c && cp seats.db seats.db-wal c/",
             fixture->folder);
    assert_int_equal(system(command), 0);
    fixture_close(fixture);
    snprintf(fixture->file, sizeof fixture->file, "%.60s/c/seats.db", fixture->folder);
    assert_true(fixture_start(fixture));
    struct sqlite_lookup lookup = {.want_reservation = true, .id = item.id};
    fixture_look_up(fixture, &lookup, 1);
    assert_true(lookup.found);
    fixture_audit(fixture);
}

static void second_resvd_is_refused(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, 1);
    struct fixture second = *fixture;
    char link_path[PATH_MAX];
    snprintf(link_path, sizeof link_path, "%.60s/other-name.db", fixture->folder);
    assert_int_equal(symlink("seats.db", link_path), 0);
    char expected[64];
    snprintf(expected, sizeof expected, "is in use by another resvd (pid %ld)", (long)getpid());
    assert_refused(&second, 69, expected);
    second.config.file = link_path; /* the same file under another name */
    assert_refused(&second, 69, expected);
    struct sqlite_item item = item_reserve(fixture, 1, 1);
    assert_true(fixture_apply(fixture, &item, 1));
    fixture_close(fixture);
    assert_true(fixture_start(fixture)); /* free again */
}

static void wrong_paths_are_refused(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.file = "";
    assert_refused(fixture, 78, "must be the path of a file");
    fixture->config.file = ":memory:";
    assert_refused(fixture, 78, "must be the path of a file");
    fixture->config.file = "/nonexistent/seats.db";
    assert_refused(fixture, 78, "folder /nonexistent: No such file or directory");
    fixture->config.file = "/etc/passwd/seats.db";
    assert_refused(fixture, 78, "Not a directory");
    fixture->config.file = "/proc/seats.db"; /* nobody can make files there, not even root */
    assert_refused(fixture, 78, "make its folder writable");
    fixture->config.file = fixture->folder;
    assert_refused(fixture, 78, "is not a regular file");
    char too_long[PATH_MAX];
    memset(too_long, 'a', sizeof too_long);
    too_long[sizeof too_long - 1] = '\0';
    fixture->config.file = too_long;
    assert_refused(fixture, 78, "too long");
}

/* As somebody who may not: root would be allowed everything. */
static void unwritable_ones_are_refused(void **state)
{
    struct fixture *fixture = *state;
    bool root = geteuid() == 0;
    fixture_open(fixture, 1);
    fixture_close(fixture);
    char lock_path[PATH_MAX + 8];
    snprintf(lock_path, sizeof lock_path, "%s-lock", fixture->file);
    assert_int_equal(chmod(fixture->file, 0444), 0);
    assert_int_equal(chmod(lock_path, 0666), 0);
    assert_int_equal(chmod(fixture->folder, 0777), 0);
    if (root)
        assert_int_equal(seteuid(NOBODY), 0);
    assert_refused_untouched(fixture, 78, "make it writable for resvd");
    fixture->config.file = "/usr/seats.db";
    assert_refused(fixture, 78, "make its folder writable for resvd");
    if (root)
        assert_int_equal(seteuid(0), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(migrations_are_recorded),    TEST(newer_schema_is_refused),
        TEST(newer_schema_keeps_its_log), TEST(foreign_database_is_refused),
        TEST(not_a_database_is_refused),  TEST(empty_file_is_taken),
        TEST(damaged_file_is_refused),    TEST(damage_is_looked_for_after_a_crash),
        TEST(a_crash_loses_nothing),      TEST(second_resvd_is_refused),
        TEST(wrong_paths_are_refused),    TEST(unwritable_ones_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
