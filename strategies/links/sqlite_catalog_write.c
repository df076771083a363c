/* The catalog's writing half, on the writer's thread: create, update, reset; each one transaction.
 */
#include <string.h>

#include "resvd/assert.h"
#include "sqlite_internal.h"

#define STEPS_BETWEEN_CHECKS 10000

static int prepare(struct sqlite_writer *writer, const char *sql, sqlite3_stmt **statement)
{
    *statement = NULL;
    return sqlite3_prepare_v2(writer->worker.handle, sql, -1, statement, NULL);
}

/* Runs one statement with up to two integers. */
static int run_sql(struct sqlite_writer *writer, const char *sql, int64_t first, int64_t second)
{
    sqlite3_stmt *statement;
    int error = prepare(writer, sql, &statement);
    if (error != SQLITE_OK)
        return error;
    int parameters = sqlite3_bind_parameter_count(statement);
    if (parameters >= 1)
        sqlite3_bind_int64(statement, 1, first);
    if (parameters >= 2)
        sqlite3_bind_int64(statement, 2, second);
    error = sqlite_statement_run(statement);
    sqlite3_finalize(statement);
    return error;
}

static void bind_starts_at(sqlite3_stmt *statement, int parameter, int64_t starts_at_ms)
{
    if (starts_at_ms == INT64_MIN)
        sqlite3_bind_null(statement, parameter);
    else
        sqlite3_bind_int64(statement, parameter, starts_at_ms);
}

static int create_concerts(struct sqlite_writer *writer, struct resv_catalog_request *request)
{
    sqlite3_stmt *insert;
    int error = prepare(writer,
                        "INSERT INTO concerts (title, venue, starts_at, capacity, member_limit) "
                        "VALUES (?1, ?2, ?3, ?4, ?5)",
                        &insert);
    for (size_t i = 0; error == SQLITE_OK && i < request->count; i++) {
        struct resv_concert *concert = &request->concerts[i];
        sqlite3_bind_text(insert, 1, concert->title, -1, SQLITE_STATIC);
        sqlite3_bind_text(insert, 2, concert->venue, -1, SQLITE_STATIC);
        bind_starts_at(insert, 3, concert->starts_at_ms);
        sqlite3_bind_int64(insert, 4, concert->capacity);
        sqlite3_bind_int64(insert, 5, concert->member_limit);
        error = sqlite_statement_run(insert);
        concert->id = sqlite3_last_insert_rowid(writer->worker.handle);
        concert->sold = 0;
    }
    sqlite3_finalize(insert);
    return error;
}

static int create_members(struct sqlite_writer *writer, struct resv_catalog_request *request)
{
    sqlite3_stmt *insert;
    int error = prepare(writer, "INSERT INTO members (name) VALUES (?1)", &insert);
    for (size_t i = 0; error == SQLITE_OK && i < request->count; i++) {
        struct resv_member *member = &request->members[i];
        sqlite3_bind_text(insert, 1, member->name, -1, SQLITE_STATIC);
        error = sqlite_statement_run(insert);
        member->id = sqlite3_last_insert_rowid(writer->worker.handle);
    }
    sqlite3_finalize(insert);
    return error;
}

/* --- update ----------------------------------------------------------------------------------- */

static int read_concert(struct sqlite_writer *writer, int64_t id, bool *found,
                        struct resv_concert *concert)
{
    sqlite3_stmt *query;
    int error =
        prepare(writer, "SELECT " SQLITE_CONCERT_COLUMNS " FROM concerts WHERE id = ?1", &query);
    if (error != SQLITE_OK)
        return error;
    sqlite3_bind_int64(query, 1, id);
    int result = sqlite3_step(query);
    *found = result == SQLITE_ROW;
    if (*found)
        sqlite_concert_from_row(query, concert);
    sqlite3_finalize(query);
    return result == SQLITE_ROW || result == SQLITE_DONE ? SQLITE_OK : result;
}

static void take_fields(struct resv_concert *concert, const struct resv_concert *wanted,
                        unsigned fields)
{
    if (fields & RESV_CONCERT_TITLE)
        memcpy(concert->title, wanted->title, sizeof concert->title);
    if (fields & RESV_CONCERT_VENUE)
        memcpy(concert->venue, wanted->venue, sizeof concert->venue);
    if (fields & RESV_CONCERT_STARTS_AT)
        concert->starts_at_ms = wanted->starts_at_ms;
    if (fields & RESV_CONCERT_CAPACITY)
        concert->capacity = wanted->capacity;
    if (fields & RESV_CONCERT_MEMBER_LIMIT)
        concert->member_limit = wanted->member_limit;
}

static int write_concert(struct sqlite_writer *writer, const struct resv_concert *concert)
{
    sqlite3_stmt *update;
    int error = prepare(writer,
                        "UPDATE concerts SET title = ?2, venue = ?3, starts_at = ?4, "
                        "capacity = ?5, member_limit = ?6 WHERE id = ?1",
                        &update);
    if (error != SQLITE_OK)
        return error;
    sqlite3_bind_int64(update, 1, concert->id);
    sqlite3_bind_text(update, 2, concert->title, -1, SQLITE_STATIC);
    sqlite3_bind_text(update, 3, concert->venue, -1, SQLITE_STATIC);
    bind_starts_at(update, 4, concert->starts_at_ms);
    sqlite3_bind_int64(update, 5, concert->capacity);
    sqlite3_bind_int64(update, 6, concert->member_limit);
    error = sqlite_statement_run(update);
    sqlite3_finalize(update);
    return error;
}

/* Seats of each member are kept only while there is a limit; a first limit counts them from the
 * rows, which reads all of them. */
static int change_limit(struct sqlite_writer *writer, int64_t concert_id, int64_t before,
                        int64_t after)
{
    if ((before == RESV_NO_MEMBER_LIMIT) == (after == RESV_NO_MEMBER_LIMIT))
        return SQLITE_OK;
    int error = run_sql(writer, "DELETE FROM member_seats WHERE concert_id = ?1", concert_id, 0);
    if (error != SQLITE_OK || after == RESV_NO_MEMBER_LIMIT)
        return error;
    return run_sql(writer,
                   "INSERT INTO member_seats (concert_id, member_id, seats) "
                   "SELECT concert_id, member_id, sum(quantity) FROM reservations "
                   "WHERE concert_id = ?1 AND status IN " SQLITE_LIVE_STATUSES
                   " GROUP BY member_id",
                   concert_id, 0);
}

/* *refusal is STORED when there is none. */
static int update_concert(struct sqlite_writer *writer, struct resv_op *op,
                          struct resv_concert *concert, enum resv_outcome *refusal)
{
    bool found;
    int error = read_concert(writer, op->concert_id, &found, concert);
    if (error != SQLITE_OK)
        return error;
    if (!found) {
        *refusal = RESV_NOT_FOUND;
        return SQLITE_OK;
    }
    int64_t limit_before = concert->member_limit;
    take_fields(concert, &op->catalog->concerts[0], op->catalog->fields);
    if (concert->capacity < concert->sold) {
        *refusal = RESV_CAPACITY_TOO_LOW;
        return SQLITE_OK;
    }
    error = write_concert(writer, concert);
    if (error == SQLITE_OK)
        error = change_limit(writer, concert->id, limit_before, concert->member_limit);
    return error;
}

/* --- reset ------------------------------------------------------------------------------------ */

static int reset(struct sqlite_writer *writer, const struct resv_catalog_request *request)
{
    static const char *const emptying[] = {
        "DELETE FROM member_seats", "DELETE FROM reservations",    "DELETE FROM members",
        "DELETE FROM concerts",     "DELETE FROM sqlite_sequence",
    };
    int error = SQLITE_OK;
    for (size_t i = 0; error == SQLITE_OK && i < sizeof emptying / sizeof emptying[0]; i++)
        error = run_sql(writer, emptying[i], 0, 0);
    if (error == SQLITE_OK && request->reset_concerts > 0)
        error = run_sql(writer,
                        "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL "
                        "SELECT i + 1 FROM n WHERE i < ?1) INSERT INTO concerts "
                        "(id, title, capacity) SELECT i, 'Concert ' || i, ?2 FROM n",
                        request->reset_concerts, request->reset_capacity);
    if (error == SQLITE_OK && request->reset_members > 0)
        error = run_sql(writer,
                        "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL "
                        "SELECT i + 1 FROM n WHERE i < ?1) INSERT INTO members (id, name) "
                        "SELECT i, 'Member ' || i FROM n",
                        request->reset_members, 0);
    return error;
}

/* --- all -------------------------------------------------------------------------------------- */

static int is_interrupted(void *data)
{
    struct sqlite_link *link = data;
    return atomic_load_explicit(&link->interrupted, memory_order_relaxed);
}

static int write_kind(struct sqlite_writer *writer, struct resv_op *op,
                      struct resv_concert *updated, enum resv_outcome *refusal)
{
    switch (op->kind) {
    case RESV_OP_CONCERT_CREATE:
        return create_concerts(writer, op->catalog);
    case RESV_OP_MEMBER_CREATE:
        return create_members(writer, op->catalog);
    case RESV_OP_CONCERT_UPDATE:
        return update_concert(writer, op, updated, refusal);
    case RESV_OP_RESET:
        return reset(writer, op->catalog);
    case RESV_OP_CONCERT_GET:
    case RESV_OP_CONCERT_LIST:
    case RESV_OP_MEMBER_GET:
    case RESV_OP_AUDIT:
    case RESV_OP_RESERVE:
    case RESV_OP_RELEASE:
    case RESV_OP_LOOKUP:
    case RESV_OP_DEAD_LETTER_LIST:
    case RESV_OP_DEAD_LETTER_RETRY:
    case RESV_OP_RECONCILE:
        break;
    }
    RESV_ASSERT(false); /* not a kind that the writer gets */
    return SQLITE_MISUSE;
}

enum resv_outcome sqlite_catalog_write(struct sqlite_writer *writer, struct resv_op *op)
{
    struct sqlite_link *link = writer->worker.link;
    sqlite3 *handle = writer->worker.handle;
    /* A reset empties all tables at once, so no reference can be left dangling; without the checks
     * SQLite drops whole tables of rows instead of looking at each. No-op inside a transaction. */
    bool unchecked = op->kind == RESV_OP_RESET && handle != NULL;
    if (unchecked)
        sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_FKEY, 0, NULL);
    struct resv_concert updated;
    enum resv_outcome refusal = RESV_STORED;
    int error = sqlite_writer_begin(writer);
    if (error == SQLITE_OK) {
        sqlite3_progress_handler(handle, STEPS_BETWEEN_CHECKS, is_interrupted, link);
        error = write_kind(writer, op, &updated, &refusal);
        sqlite3_progress_handler(handle, 0, NULL, NULL);
    }
    enum resv_outcome outcome = RESV_UNAVAILABLE;
    if (error != SQLITE_OK) {
        sqlite_writer_failed(writer, error);
    } else {
        outcome = sqlite_writer_commit(writer);
        if (outcome == RESV_GRANTED) {
            outcome = refusal;
            if (op->kind == RESV_OP_CONCERT_UPDATE && refusal == RESV_STORED)
                op->catalog->concerts[0] = updated;
        }
    }
    if (unchecked)
        sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_FKEY, 1, NULL);
    return outcome;
}
