/* The schema: numbered migrations, and how statuses are stored. */
#include "resvd/assert.h"
#include "sqlite_internal.h"

struct migration {
    const char *description;
    const char *sql;
};

/* Position + 1 is the version. Never change one that was released: add the next. Comments inside
 * CREATE TABLE stay in the file, for whoever opens it with the sqlite3 shell. */
static const struct migration migrations[] = {
    {
        .description = "concerts, members, reservations",
        .sql = "CREATE TABLE concerts (\n"
               "  id INTEGER PRIMARY KEY AUTOINCREMENT,\n"
               "  title TEXT NOT NULL,\n"
               "  venue TEXT NOT NULL DEFAULT '',\n"
               "  starts_at INTEGER, -- milliseconds since 1970 UTC, or NULL\n"
               "  capacity INTEGER NOT NULL, -- seats\n"
               "  sold INTEGER NOT NULL DEFAULT 0, -- seats of HELD and CONFIRMED reservations\n"
               "  member_limit INTEGER NOT NULL DEFAULT 0 CHECK (member_limit >= 0), -- 0: none\n"
               "  fence INTEGER NOT NULL DEFAULT 0,\n"
               "  CHECK (sold BETWEEN 0 AND capacity)\n"
               ") STRICT;\n"
               "CREATE TABLE members (\n"
               "  id INTEGER PRIMARY KEY AUTOINCREMENT,\n"
               "  name TEXT NOT NULL\n"
               ") STRICT;\n"
               "CREATE TABLE reservations (\n"
               "  id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16), -- a UUID\n"
               "  concert_id INTEGER NOT NULL REFERENCES concerts (id),\n"
               "  member_id INTEGER NOT NULL REFERENCES members (id),\n"
               "  quantity INTEGER NOT NULL CHECK (quantity > 0),\n"
               "  -- 1 HELD, 2 CONFIRMED, 3 CANCELLED, 4 EXPIRED, 5 REJECTED\n"
               "  status INTEGER NOT NULL CHECK (status BETWEEN 1 AND 5),\n"
               "  created_at INTEGER NOT NULL, -- milliseconds since 1970 UTC\n"
               "  updated_at INTEGER NOT NULL\n"
               ") STRICT, WITHOUT ROWID;\n"
               "-- Seats that a member has, kept only for concerts with a member_limit.\n"
               "CREATE TABLE member_seats (\n"
               "  concert_id INTEGER NOT NULL REFERENCES concerts (id),\n"
               "  member_id INTEGER NOT NULL REFERENCES members (id),\n"
               "  seats INTEGER NOT NULL CHECK (seats >= 0),\n"
               "  PRIMARY KEY (concert_id, member_id)\n"
               ") STRICT, WITHOUT ROWID;\n",
    },
};

int64_t sqlite_schema_latest(void)
{
    return (int64_t)(sizeof migrations / sizeof migrations[0]);
}

static int record_migration(sqlite3 *handle, int64_t version, int64_t wall_ms)
{
    sqlite3_stmt *insert = NULL;
    int error = sqlite3_prepare_v2(
        handle,
        "INSERT INTO schema_migrations (version, applied_at, description) VALUES (?1, ?2, ?3)", -1,
        &insert, NULL);
    if (error != SQLITE_OK)
        return error;
    sqlite3_bind_int64(insert, 1, version);
    sqlite3_bind_int64(insert, 2, wall_ms);
    sqlite3_bind_text(insert, 3, migrations[version - 1].description, -1, SQLITE_STATIC);
    error = sqlite_statement_run(insert);
    sqlite3_finalize(insert);
    if (error != SQLITE_OK)
        return error;
    char pragma[64];
    sqlite3_snprintf(sizeof pragma, pragma, "PRAGMA user_version = %lld", (long long)version);
    return sqlite3_exec(handle, pragma, NULL, NULL, NULL);
}

int sqlite_schema_migrate(sqlite3 *handle, int64_t from_version, int64_t wall_ms)
{
    RESV_ASSERT(from_version >= 0 && from_version <= sqlite_schema_latest());
    int error = SQLITE_OK;
    if (from_version == 0)
        error = sqlite3_exec(handle,
                             "CREATE TABLE schema_migrations (\n"
                             "  version INTEGER PRIMARY KEY,\n"
                             "  applied_at INTEGER NOT NULL, -- milliseconds since 1970 UTC\n"
                             "  description TEXT NOT NULL\n"
                             ") STRICT",
                             NULL, NULL, NULL);
    for (int64_t version = from_version + 1; version <= sqlite_schema_latest(); version++) {
        if (error == SQLITE_OK)
            error = sqlite3_exec(handle, migrations[version - 1].sql, NULL, NULL, NULL);
        if (error == SQLITE_OK)
            error = record_migration(handle, version, wall_ms);
    }
    return error;
}

int sqlite_reservation_from_row(sqlite3_stmt *row, struct resv_reservation *reservation)
{
    *reservation = (struct resv_reservation){
        .concert_id = sqlite3_column_int64(row, 0),
        .member_id = sqlite3_column_int64(row, 1),
        .quantity = sqlite3_column_int64(row, 2),
    };
    switch (sqlite3_column_int64(row, 3)) {
    case SQLITE_STORED_HELD:
        reservation->status = RESV_STATUS_HELD;
        return SQLITE_OK;
    case SQLITE_STORED_CONFIRMED:
        reservation->status = RESV_STATUS_CONFIRMED;
        return SQLITE_OK;
    case SQLITE_STORED_CANCELLED:
        reservation->status = RESV_STATUS_CANCELLED;
        return SQLITE_OK;
    case SQLITE_STORED_EXPIRED:
        reservation->status = RESV_STATUS_EXPIRED;
        return SQLITE_OK;
    case SQLITE_STORED_REJECTED:
        reservation->status = RESV_STATUS_REJECTED;
        return SQLITE_OK;
    default: /* the table's CHECK forbids it */
        return SQLITE_CORRUPT;
    }
}
