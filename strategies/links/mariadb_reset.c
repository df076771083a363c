/* The reset: new tables are filled beside the old ones, and one RENAME puts them in their place.
 *
 * RENAME TABLE of several tables happens as a whole or not at all, also when the server dies in it
 * (MariaDB 10.6, MySQL 8). It waits until no transaction uses the old tables. How many rows there
 * were does not matter; ids begin at 1 because the tables are new. A reset that dies leaves tables
 * named resvd_new_… or resvd_old_…; the next one drops them.
 *
 *   lock --> look --> build --> rename --> drop the old, unlock --> done
 *              '--------'---------'--- failed: unlock --> again, or UNAVAILABLE
 *
 * A fencing token from before a reset must be good for no concert after it, although the ids are
 * the same. So new concerts begin with a fence above all before: the column's DEFAULT, which is
 * good for those that are made later, too, and stays where there are none. Seats are sold on while
 * the new tables are filled: that is what FENCES_BETWEEN is for, more than can be in that time.
 *
 * An event from before a reset must not be applied after it, although positions go on, and ids are
 * the same: the epoch is one higher with the new tables, and not before.
 */
#include "mariadb_catalog.h"

#include <stdio.h>

#include "mariadb_schema.h"
#include "resvd/assert.h"

#define LOCK_WAIT_S      30
#define BUILD_TIMEOUT_MS (15 * 60 * 1000)
#define MEMBERS_AT_ONCE  100000
#define FENCES_BETWEEN   (INT64_C(1) << 32)
#define DIGITS(name)                                                                               \
    "(SELECT 0 d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 "     \
    "UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL "       \
    "SELECT 9) " name
#define HUNDRED_THOUSAND                                                                           \
    "(SELECT 1 + a.d + 10 * b.d + 100 * c.d + 1000 * e.d + 10000 * f.d AS i FROM " DIGITS(         \
        "a") ", " DIGITS("b") ", " DIGITS("c") ", " DIGITS("e") ", " DIGITS("f") ") AS numbers"

static bool has_failed(const struct mariadb_query *query)
{
    return query->lost || query->error != 0;
}

/* --- failing -----------------------------------------------------------------------------------
 */

/* The lock has been let go: what catalog_failed looks at is still the first failure. */
static void unlocked_after_failure(struct mariadb_query *query)
{
    struct catalog_task *task = query->data;
    query->lost = false;
    query->error = task->reset_error;
    memcpy(query->message, task->reset_message, sizeof query->message);
    catalog_failed(task);
}

/* Nothing was taken. */
static void fail(struct catalog_task *task)
{
    if (task->query.lost) { /* and so is the lock */
        catalog_failed(task);
        return;
    }
    task->reset_error = task->query.error;
    memcpy(task->reset_message, task->query.message, sizeof task->reset_message);
    struct mariadb_text text;
    if (!catalog_text(task, 100, &text))
        return;
    MARIADB_ADD(&text, "SELECT RELEASE_LOCK(" MARIADB_SCHEMA_LOCK ")");
    catalog_send(task, &text, catalog_timeout_ms(task), NULL, unlocked_after_failure);
}

/* --- dropping ----------------------------------------------------------------------------------
 */

#define DROP_TABLES(prefix)                                                                        \
    "DROP TABLE IF EXISTS " prefix "reservations, " prefix "concerts, " prefix "members, " prefix  \
    "database_epoch;"

/* The reset is done, whatever becomes of the old tables: the next one drops them. */
static void unlocked(struct mariadb_query *query)
{
    catalog_finish(query->data, RESV_STORED);
}

static void unlock(struct catalog_task *task)
{
    struct mariadb_text text;
    if (!catalog_text(task, 100, &text))
        return;
    MARIADB_ADD(&text, "SELECT RELEASE_LOCK(" MARIADB_SCHEMA_LOCK ")");
    catalog_send(task, &text, catalog_timeout_ms(task), NULL, unlocked);
}

static void dropped(struct mariadb_query *query)
{
    struct catalog_task *task = query->data;
    if (query->lost)
        catalog_finish(task, RESV_STORED);
    else
        unlock(task);
}

/* --- renaming ----------------------------------------------------------------------------------
 */

static void renamed(struct mariadb_query *query)
{
    struct catalog_task *task = query->data;
    if (query->lost) {
        catalog_finish(task, RESV_UNKNOWN);
        return;
    }
    if (query->error != 0) {
        fail(task);
        return;
    }
    struct mariadb_text text;
    if (!catalog_text(task, 400, &text))
        return;
    MARIADB_ADD(&text, DROP_TABLES("resvd_old_"));
    catalog_send(task, &text, BUILD_TIMEOUT_MS, NULL, dropped);
}

static void rename_tables(struct catalog_task *task)
{
    struct mariadb_text text;
    if (!catalog_text(task, 600, &text))
        return;
    MARIADB_ADD(&text, "RENAME TABLE concerts TO resvd_old_concerts, members TO resvd_old_members, "
                       "reservations TO resvd_old_reservations, "
                       "database_epoch TO resvd_old_database_epoch, "
                       "resvd_new_concerts TO concerts, resvd_new_members TO members, "
                       "resvd_new_reservations TO reservations, "
                       "resvd_new_database_epoch TO database_epoch");
    catalog_send(task, &text, BUILD_TIMEOUT_MS, NULL, renamed);
}

/* --- building ----------------------------------------------------------------------------------
 */

static void built(struct mariadb_query *query)
{
    struct catalog_task *task = query->data;
    if (has_failed(query))
        fail(task);
    else
        rename_tables(task);
}

static void add_concerts(struct mariadb_text *text, int64_t count, int64_t capacity)
{
    RESV_ASSERT(count <= MEMBERS_AT_ONCE);
    MARIADB_ADD(text, ";INSERT INTO resvd_new_concerts (id, title, capacity) "
                      "SELECT i, CONCAT('Concert ', i), ");
    mariadb_text_integer(text, capacity);
    MARIADB_ADD(text, " FROM " HUNDRED_THOUSAND " WHERE i <= ");
    mariadb_text_integer(text, count);
    MARIADB_ADD(text, " ORDER BY i");
}

static void add_members(struct mariadb_text *text, int64_t after, int64_t count)
{
    MARIADB_ADD(text, ";INSERT INTO resvd_new_members (id, name) SELECT ");
    mariadb_text_integer(text, after);
    MARIADB_ADD(text, " + i, CONCAT('Member ', ");
    mariadb_text_integer(text, after);
    MARIADB_ADD(text, " + i) FROM " HUNDRED_THOUSAND " WHERE i <= ");
    mariadb_text_integer(text, count);
    MARIADB_ADD(text, " ORDER BY i");
}

static void build(struct catalog_task *task)
{
    const struct resv_catalog_request *request = task->first->catalog;
    size_t parts = 2 + (size_t)(request->reset_members / MEMBERS_AT_ONCE);
    struct mariadb_text text;
    if (!catalog_text(task, 2400 + parts * 1500, &text))
        return;
    MARIADB_ADD(&text, DROP_TABLES("resvd_new_") DROP_TABLES("resvd_old_"));
    MARIADB_ADD(&text,
                "CREATE TABLE resvd_new_concerts LIKE concerts;"
                "CREATE TABLE resvd_new_members LIKE members;"
                "CREATE TABLE resvd_new_reservations LIKE reservations;"
                "CREATE TABLE resvd_new_database_epoch LIKE database_epoch;"
                "INSERT INTO resvd_new_database_epoch (id, epoch) "
                "SELECT 1, COALESCE(MAX(epoch), 0) + 1 FROM database_epoch;"
                "ALTER TABLE resvd_new_reservations " MARIADB_RESERVATIONS_PARENTS("resvd_new_"));
    MARIADB_ADD(&text, ";ALTER TABLE resvd_new_concerts ALTER COLUMN fence SET DEFAULT ");
    mariadb_text_integer(&text, task->highest_fence + FENCES_BETWEEN);
    if (request->reset_concerts > 0)
        add_concerts(&text, request->reset_concerts, request->reset_capacity);
    for (int64_t made = 0; made < request->reset_members; made += MEMBERS_AT_ONCE) {
        int64_t left = request->reset_members - made;
        add_members(&text, made, left < MEMBERS_AT_ONCE ? left : MEMBERS_AT_ONCE);
    }
    catalog_send(task, &text, BUILD_TIMEOUT_MS, NULL, built);
}

/* --- looking -----------------------------------------------------------------------------------
 */

static void take_fence(struct mariadb_query *query, size_t statement, MYSQL_RES *rows,
                       uint64_t affected_rows)
{
    (void)statement;
    (void)affected_rows;
    struct catalog_task *task = query->data;
    MYSQL_ROW row = rows == NULL ? NULL : mysql_fetch_row(rows);
    task->found = row != NULL;
    if (task->found)
        task->highest_fence = mariadb_column_integer(row[0]);
}

static void looked(struct mariadb_query *query)
{
    struct catalog_task *task = query->data;
    if (!has_failed(query) && task->found) {
        build(task);
        return;
    }
    if (!has_failed(query))
        snprintf(query->message, sizeof query->message,
                 "the server did not say which fence is the highest");
    fail(task);
}

static void look(struct catalog_task *task)
{
    struct mariadb_text text;
    if (!catalog_text(task, 400, &text))
        return;
    task->found = false;
    MARIADB_ADD(
        &text,
        "SELECT GREATEST(COALESCE((SELECT MAX(fence) FROM concerts), 0), "
        "COALESCE((SELECT CAST(COLUMN_DEFAULT AS SIGNED) FROM information_schema.COLUMNS WHERE "
        "TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'concerts' AND COLUMN_NAME = 'fence'), 0))");
    catalog_send(task, &text, BUILD_TIMEOUT_MS, take_fence, looked);
}

/* --- the lock ----------------------------------------------------------------------------------
 */

static void take_answer(struct mariadb_query *query, size_t statement, MYSQL_RES *rows,
                        uint64_t affected_rows)
{
    (void)statement;
    (void)affected_rows;
    struct catalog_task *task = query->data;
    MYSQL_ROW row = rows == NULL ? NULL : mysql_fetch_row(rows);
    task->found = row != NULL && mariadb_column_integer(row[0]) == 1;
}

static void locked(struct mariadb_query *query)
{
    struct catalog_task *task = query->data;
    if (!has_failed(query) && task->found) {
        look(task);
        return;
    }
    if (!has_failed(query))
        snprintf(query->message, sizeof query->message,
                 "another process has been changing the tables for %d s", LOCK_WAIT_S);
    catalog_failed(task);
}

static void lock(struct catalog_task *task)
{
    struct mariadb_text text;
    if (!catalog_text(task, 100, &text))
        return;
    task->found = false;
    MARIADB_ADD(&text, "SELECT GET_LOCK(" MARIADB_SCHEMA_LOCK ", ");
    mariadb_text_integer(&text, LOCK_WAIT_S);
    MARIADB_ADD(&text, ")");
    catalog_send(task, &text, catalog_timeout_ms(task) + LOCK_WAIT_S * 1000, take_answer, locked);
}

void catalog_reset(struct catalog_task *task)
{
    lock(task);
}
