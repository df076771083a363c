/* Small helpers over SQLite's statements: prepare a table of them, run one, ask for one number. */
#include "sqlite_internal.h"

int sqlite_statements_prepare(sqlite3 *handle, const char *const *sql, sqlite3_stmt **statements,
                              size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int error =
            sqlite3_prepare_v3(handle, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &statements[i], NULL);
        if (error != SQLITE_OK)
            return error;
    }
    return SQLITE_OK;
}

void sqlite_statements_finalize(sqlite3_stmt **statements, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        sqlite3_finalize(statements[i]);
        statements[i] = NULL;
    }
}

int sqlite_statement_row(sqlite3_stmt *statement)
{
    int result = sqlite3_step(statement);
    if (result != SQLITE_ROW)
        sqlite3_reset(statement);
    return result;
}

int sqlite_statement_run(sqlite3_stmt *statement)
{
    int result = sqlite3_step(statement);
    sqlite3_reset(statement);
    return result == SQLITE_DONE || result == SQLITE_ROW ? SQLITE_OK : result;
}

int sqlite_query_integer(sqlite3 *handle, const char *sql, int64_t *value)
{
    sqlite3_stmt *query = NULL;
    int error = sqlite3_prepare_v2(handle, sql, -1, &query, NULL);
    if (error != SQLITE_OK)
        return error;
    int result = sqlite3_step(query);
    if (result == SQLITE_ROW)
        *value = sqlite3_column_int64(query, 0);
    sqlite3_finalize(query);
    if (result == SQLITE_ROW)
        return SQLITE_OK;
    return result == SQLITE_DONE ? SQLITE_NOTFOUND : result;
}
