/* The reader and the scanner: connections that only read, and lookups of reservations and members.
 */
#include "sqlite_internal.h"

/* Steps of SQLite's machine between two looks at whether a scan has been given up. */
#define STEPS_BETWEEN_CHECKS 10000

static const char *const reader_sql[READ_STATEMENT_COUNT] = {
    [READ_BEGIN] = "BEGIN",
    [READ_END] = "COMMIT",
    [READ_RESERVATION] = SQLITE_RESERVATION_SELECT,
    [READ_MEMBER_EXISTS] = "SELECT 1 FROM members WHERE id = ?1",
    [READ_CONCERT] = "SELECT " SQLITE_CONCERT_COLUMNS " FROM concerts WHERE id = ?1",
    [READ_MEMBER] = "SELECT id, name FROM members WHERE id = ?1",
    [READ_CONCERTS] =
        "SELECT " SQLITE_CONCERT_COLUMNS " FROM concerts WHERE id > ?1 ORDER BY id LIMIT ?2",
    [READ_ALL_CONCERTS] = "SELECT id, capacity, sold FROM concerts ORDER BY id",
    [READ_LIVE_SEATS] =
        ("SELECT concert_id, quantity FROM reservations WHERE status IN " SQLITE_LIVE_STATUSES),
};

static int is_interrupted(void *data)
{
    struct sqlite_link *link = data;
    return atomic_load_explicit(&link->interrupted, memory_order_relaxed);
}

static bool reader_open(struct sqlite_worker *worker, struct sqlite_problem *problem)
{
    struct sqlite_reader *reader = (struct sqlite_reader *)worker;
    struct sqlite_link *link = worker->link;
    /* The writer has opened the file before, so its path stands. */
    const struct sqlite_file *file = &link->writer.file;
    int error = sqlite_file_connect(file, &link->config, false, link->config.cache_bytes / 4,
                                    &worker->handle);
    if (error == SQLITE_OK)
        error = sqlite_statements_prepare(worker->handle, reader_sql, reader->statements,
                                          READ_STATEMENT_COUNT);
    if (error != SQLITE_OK) {
        sqlite_problem_from_error(problem, file, &link->config, error, "opening for reading");
        return false;
    }
    sqlite3_progress_handler(worker->handle, STEPS_BETWEEN_CHECKS, is_interrupted, link);
    return true;
}

static void reader_close(struct sqlite_worker *worker)
{
    struct sqlite_reader *reader = (struct sqlite_reader *)worker;
    sqlite_statements_finalize(reader->statements, READ_STATEMENT_COUNT);
    sqlite3_close(worker->handle);
    worker->handle = NULL;
}

void sqlite_reader_init(struct sqlite_reader *reader, struct sqlite_link *link, const char *name)
{
    reader->worker.link = link;
    reader->worker.name = name;
    reader->worker.open = reader_open;
    reader->worker.close = reader_close;
}

static int look_up(struct sqlite_reader *reader, struct sqlite_lookup *item)
{
    int result = SQLITE_OK;
    if (item->want_reservation) {
        sqlite3_stmt *query = reader->statements[READ_RESERVATION];
        sqlite3_bind_blob(query, 1, item->id.bytes, RESV_ID_SIZE, SQLITE_STATIC);
        result = sqlite_statement_row(query);
        item->found = result == SQLITE_ROW;
        if (item->found) {
            result = sqlite_reservation_from_row(query, &item->reservation);
            sqlite3_reset(query);
            if (result != SQLITE_OK)
                return result;
        } else if (result != SQLITE_DONE) {
            return result;
        }
    }
    if (item->member_id != 0) {
        sqlite3_stmt *query = reader->statements[READ_MEMBER_EXISTS];
        sqlite3_bind_int64(query, 1, item->member_id);
        result = sqlite_statement_row(query);
        item->member_exists = result == SQLITE_ROW;
        if (item->member_exists)
            sqlite3_reset(query);
        else if (result != SQLITE_DONE)
            return result;
    }
    return SQLITE_OK;
}

void sqlite_lookups_run(struct sqlite_worker *worker, struct sqlite_message *message)
{
    struct sqlite_reader *reader = (struct sqlite_reader *)worker;
    struct sqlite_lookups *lookups = (struct sqlite_lookups *)message;
    /* One transaction for all: one snapshot, and the locks are taken once. */
    int begun = sqlite_statement_run(reader->statements[READ_BEGIN]);
    for (size_t i = 0; i < lookups->count; i++) {
        struct sqlite_lookup *item = &lookups->items[i];
        item->found = false;
        item->member_exists = false;
        item->failed = begun != SQLITE_OK || look_up(reader, item) != SQLITE_OK;
    }
    if (begun == SQLITE_OK)
        sqlite_statement_run(reader->statements[READ_END]);
}
