/* The raw group-commit loop: what SQLite gives when nothing else is done.
 *
 *   sqlite_loop FILE ROWS_PER_TRANSACTION SECONDS CACHE_BYTES WAL_MAX_BYTES FIRST_MEMBER MEMBERS
 *
 * FILE is a database that resvd has made, with concert 1 and the members in it: so the schema, the
 * page size and the work per row are those of the strategy `embedded`. Each transaction reads the
 * concert, inserts its rows, updates the concert and commits (WAL, synchronous=FULL); the log is
 * moved into the file when it has grown to WAL_MAX_BYTES. Prints one line of JSON. */
#include <inttypes.h>
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "raw_loop.h"

#define ARGUMENTS    8
#define WAL_HEADER   32
#define FRAME_HEADER 24

enum statement { BEGIN, SEATS, INSERT, SELL, COMMIT, STATEMENT_COUNT };

static const char *const statement_sql[STATEMENT_COUNT] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [SEATS] = "SELECT capacity, sold, member_limit FROM concerts WHERE id = 1",
    [INSERT] = ("INSERT INTO reservations "
                "(id, concert_id, member_id, quantity, status, created_at, updated_at) "
                "VALUES (?1, 1, ?2, 1, 2, ?3, ?3)"),
    [SELL] = ("UPDATE concerts SET sold = sold + ?1 "
              "WHERE id = 1 AND sold + ?1 BETWEEN 0 AND capacity"),
    [COMMIT] = "COMMIT",
};

struct loop {
    sqlite3 *handle;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    struct raw_loop raw;
    int64_t cache_bytes;
    int64_t wal_max_bytes;
    int64_t wal_bytes;
    int64_t page_bytes;
};

static void check(struct loop *loop, int result, const char *doing)
{
    if (result == SQLITE_OK || result == SQLITE_ROW || result == SQLITE_DONE)
        return;
    fprintf(stderr, "sqlite_loop: %s: %s\n", doing,
            loop->handle == NULL ? sqlite3_errstr(result) : sqlite3_errmsg(loop->handle));
    exit(1);
}

static void run(struct loop *loop, enum statement which)
{
    sqlite3_stmt *statement = loop->statements[which];
    int result = sqlite3_step(statement);
    check(loop, result, statement_sql[which]);
    check(loop, sqlite3_reset(statement), statement_sql[which]);
}

static int after_commit(void *data, sqlite3 *handle, const char *database, int frames)
{
    (void)handle;
    (void)database;
    struct loop *loop = data;
    loop->wal_bytes = WAL_HEADER + (int64_t)frames * (loop->page_bytes + FRAME_HEADER);
    return SQLITE_OK;
}

static int64_t query_integer(struct loop *loop, const char *sql)
{
    sqlite3_stmt *query = NULL;
    check(loop, sqlite3_prepare_v2(loop->handle, sql, -1, &query, NULL), sql);
    check(loop, sqlite3_step(query), sql);
    int64_t value = sqlite3_column_int64(query, 0);
    sqlite3_finalize(query);
    return value;
}

static void open_file(struct loop *loop, const char *path)
{
    check(loop,
          sqlite3_open_v2(path, &loop->handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL),
          path);
    /* The settings of the writer's connection in resvd. */
    sqlite3_db_config(loop->handle, SQLITE_DBCONFIG_ENABLE_FKEY, 1, NULL);
    char settings[256];
    snprintf(settings, sizeof settings,
             "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = OFF;"
             "PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -%" PRId64
             "; PRAGMA journal_size_limit = %" PRId64,
             loop->cache_bytes / 1024, loop->wal_max_bytes);
    check(loop, sqlite3_exec(loop->handle, settings, NULL, NULL, NULL), settings);
    loop->page_bytes = query_integer(loop, "PRAGMA page_size");
    sqlite3_wal_hook(loop->handle, after_commit, loop);
    for (int i = 0; i < STATEMENT_COUNT; i++)
        check(loop,
              sqlite3_prepare_v3(loop->handle, statement_sql[i], -1, SQLITE_PREPARE_PERSISTENT,
                                 &loop->statements[i], NULL),
              statement_sql[i]);
}

static void transaction(void *data)
{
    struct loop *loop = data;
    int64_t wall_ms = raw_loop_wall_ms();
    sqlite3_stmt *insert = loop->statements[INSERT];
    unsigned char id[RAW_LOOP_ID_BYTES];
    run(loop, BEGIN);
    run(loop, SEATS);
    sqlite3_bind_int64(insert, 3, wall_ms);
    for (int64_t i = 0; i < loop->raw.rows_per_transaction; i++) {
        raw_loop_next_id(&loop->raw, wall_ms, id);
        sqlite3_bind_blob(insert, 1, id, RAW_LOOP_ID_BYTES, SQLITE_STATIC);
        sqlite3_bind_int64(insert, 2, raw_loop_next_member(&loop->raw));
        run(loop, INSERT);
    }
    sqlite3_bind_int64(loop->statements[SELL], 1, loop->raw.rows_per_transaction);
    run(loop, SELL);
    if (sqlite3_changes(loop->handle) != 1) {
        fprintf(stderr, "sqlite_loop: concert 1 is sold out or missing\n");
        exit(1);
    }
    run(loop, COMMIT);
    if (loop->wal_bytes >= loop->wal_max_bytes) {
        check(
            loop,
            sqlite3_wal_checkpoint_v2(loop->handle, "main", SQLITE_CHECKPOINT_PASSIVE, NULL, NULL),
            "checkpoint");
        loop->wal_bytes = 0;
    }
}

int main(int count, char **arguments)
{
    struct loop loop = {.raw = raw_loop_new()};
    double seconds;
    if (count != ARGUMENTS ||
        !raw_loop_read_integer(arguments[2], 1, INT64_MAX, &loop.raw.rows_per_transaction) ||
        (seconds = atof(arguments[3])) <= 0 ||
        !raw_loop_read_integer(arguments[4], 1, INT64_MAX, &loop.cache_bytes) ||
        !raw_loop_read_integer(arguments[5], 1, INT64_MAX, &loop.wal_max_bytes) ||
        !raw_loop_read_integer(arguments[6], 1, INT64_MAX, &loop.raw.first_member) ||
        !raw_loop_read_integer(arguments[7], 1, INT64_MAX, &loop.raw.members)) {
        fprintf(stderr, "usage: sqlite_loop FILE ROWS_PER_TRANSACTION SECONDS CACHE_BYTES "
                        "WAL_MAX_BYTES FIRST_MEMBER MEMBERS\n");
        return 64;
    }
    open_file(&loop, arguments[1]);
    int64_t rows_before = query_integer(&loop, "SELECT count(*) FROM reservations");

    struct raw_loop_times times = raw_loop_run(seconds, transaction, &loop);

    int64_t rows = query_integer(&loop, "SELECT count(*) FROM reservations") - rows_before;
    int64_t excess = query_integer(&loop, "SELECT sold - (SELECT count(*) FROM reservations) "
                                          "FROM concerts WHERE id = 1");
    char page[64];
    snprintf(page, sizeof page, "\"page_bytes\":%" PRId64 ",", loop.page_bytes);
    raw_loop_print(&times, rows, page, excess);
    for (int i = 0; i < STATEMENT_COUNT; i++)
        sqlite3_finalize(loop.statements[i]);
    return sqlite3_close(loop.handle) == SQLITE_OK ? 0 : 1;
}
