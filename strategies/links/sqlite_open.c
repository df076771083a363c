/* Opening the database: connections with their settings, creation, checks, migration. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "sqlite_internal.h"

/* After a crash a file up to this size is read whole and checked; larger ones would keep the sale
 * waiting (about 1 s a GB and more). */
#define QUICK_CHECK_BYTES_MAX (64LL << 20)
/* How long the writer's thread waits for the lock of somebody's sqlite3 shell or backup. */
#define BUSY_TIMEOUT_MS 250

int sqlite_file_connect(const struct sqlite_file *file, const struct sqlite_link_config *config,
                        bool writable, int64_t cache_bytes, sqlite3 **handle)
{
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW |
                (writable ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY);
    int error = sqlite3_open_v2(file->path, handle, flags, config->vfs_name);
    if (error == SQLITE_OK) {
        sqlite3_extended_result_codes(*handle, 1);
        sqlite3_busy_timeout(*handle, BUSY_TIMEOUT_MS);
        sqlite3_db_config(*handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        sqlite3_db_config(*handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
        sqlite3_db_config(*handle, SQLITE_DBCONFIG_ENABLE_FKEY, 1, NULL);
        char settings[256];
        /* Overwriting deleted rows with zeros (Debian's default) would only cost writes. */
        snprintf(settings, sizeof settings,
                 "PRAGMA cache_size = -%lld; PRAGMA synchronous = FULL; PRAGMA secure_delete = OFF;"
                 "PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = %lld;%s",
                 (long long)(cache_bytes / 1024), (long long)config->wal_max_bytes,
                 writable ? "" : "PRAGMA query_only = ON");
        error = sqlite3_exec(*handle, settings, NULL, NULL, NULL);
    }
    if (error != SQLITE_OK) {
        sqlite3_close(*handle);
        *handle = NULL;
    }
    return error;
}

/* False: another program's or a newer resvd's. *fresh: nothing is in it yet. */
static bool check_owner(sqlite3 *handle, const struct sqlite_file *file,
                        const struct sqlite_link_config *config, bool *fresh, int64_t *version,
                        struct sqlite_problem *problem)
{
    int64_t application_id = 0, pages = 0;
    int error = sqlite_query_integer(handle, "PRAGMA page_count", &pages);
    if (error == SQLITE_OK)
        error = sqlite_query_integer(handle, "PRAGMA application_id", &application_id);
    if (error == SQLITE_OK)
        error = sqlite_query_integer(handle, "PRAGMA user_version", version);
    if (error != SQLITE_OK) {
        sqlite_problem_from_error(problem, file, config, error, "reading its first page");
        return false;
    }
    *fresh = pages == 0;
    if (*fresh)
        return true;
    problem->exit_code = SQLITE_EXIT_CONFIG;
    if (application_id != SQLITE_APPLICATION_ID) {
        snprintf(problem->message, sizeof problem->message,
                 "%s is another program's database and was left as it is: move it away, or set %s "
                 "to another path",
                 file->path, config->setting);
        return false;
    }
    if (*version > sqlite_schema_latest() || *version < 1) {
        snprintf(problem->message, sizeof problem->message,
                 "%s has schema version %lld, this resvd knows up to %lld; the file was left as it "
                 "is: run the resvd that made it, or set %s to another path",
                 file->path, (long long)*version, (long long)sqlite_schema_latest(),
                 config->setting);
        return false;
    }
    return true;
}

/* The schema can be read; after a crash also all pages of a file that is not large. */
static int check_integrity(sqlite3 *handle, const struct sqlite_file *file)
{
    int64_t tables;
    int error = sqlite_query_integer(handle, "SELECT count(*) FROM sqlite_schema", &tables);
    if (error != SQLITE_OK || !file->unclean)
        return error;
    struct stat status;
    if (stat(file->path, &status) != 0 || status.st_size > QUICK_CHECK_BYTES_MAX)
        return SQLITE_OK;
    sqlite3_stmt *check = NULL;
    error = sqlite3_prepare_v2(handle, "PRAGMA quick_check(1)", -1, &check, NULL);
    if (error != SQLITE_OK)
        return error;
    error = sqlite3_step(check);
    bool sound =
        error == SQLITE_ROW && strcmp((const char *)sqlite3_column_text(check, 0), "ok") == 0;
    sqlite3_finalize(check);
    if (error != SQLITE_ROW && error != SQLITE_DONE)
        return error;
    return sound ? SQLITE_OK : SQLITE_CORRUPT;
}

/* The first transaction of a new file runs with a rollback journal: so its header says whose it is
 * from the first moment, and a crash leaves nothing or all. */
static int create_or_migrate(sqlite3 *handle, bool fresh, int64_t version, int64_t wall_ms)
{
    if (!fresh && version == sqlite_schema_latest())
        return SQLITE_OK;
    int error = sqlite3_exec(handle, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (error == SQLITE_OK && fresh) {
        char pragma[64];
        snprintf(pragma, sizeof pragma, "PRAGMA application_id = %d", SQLITE_APPLICATION_ID);
        error = sqlite3_exec(handle, pragma, NULL, NULL, NULL);
    }
    if (error == SQLITE_OK)
        error = sqlite_schema_migrate(handle, fresh ? 0 : version, wall_ms);
    if (error == SQLITE_OK)
        error = sqlite3_exec(handle, "COMMIT", NULL, NULL, NULL);
    if (error != SQLITE_OK)
        sqlite3_exec(handle, "ROLLBACK", NULL, NULL, NULL);
    return error;
}

static int use_write_ahead_log(sqlite3 *handle)
{
    sqlite3_stmt *pragma = NULL;
    int error = sqlite3_prepare_v2(handle, "PRAGMA journal_mode = WAL", -1, &pragma, NULL);
    if (error != SQLITE_OK)
        return error;
    error = sqlite3_step(pragma);
    bool done =
        error == SQLITE_ROW && strcmp((const char *)sqlite3_column_text(pragma, 0), "wal") == 0;
    sqlite3_finalize(pragma);
    if (error != SQLITE_ROW)
        return error == SQLITE_DONE ? SQLITE_ERROR : error;
    /* What a crash has left in the log is in the file, synced, before the first sale. */
    if (done)
        return sqlite3_wal_checkpoint_v2(handle, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    return SQLITE_PROTOCOL;
}

bool sqlite_file_prepare(const struct sqlite_file *file, const struct sqlite_link_config *config,
                         sqlite3 **handle, struct sqlite_problem *problem)
{
    bool fresh = false;
    int64_t version = 0;
    const char *doing = "opening";
    int error = sqlite_file_connect(file, config, true, config->cache_bytes, handle);
    if (error != SQLITE_OK) {
        sqlite_problem_from_error(problem, file, config, error, doing);
        return false;
    }
    /* Refused means untouched: closing must not move a log into the file either. */
    sqlite3_db_config(*handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    if (!check_owner(*handle, file, config, &fresh, &version, problem))
        goto failed;
    doing = "checking";
    error = check_integrity(*handle, file);
    if (error == SQLITE_OK) {
        doing = fresh ? "making the schema" : "migrating the schema";
        error = create_or_migrate(*handle, fresh, version, file->wall_ms);
    }
    if (error == SQLITE_OK) {
        doing = "emptying the write-ahead log";
        error = use_write_ahead_log(*handle);
    }
    if (error != SQLITE_OK) {
        sqlite_problem_from_error(problem, file, config, error, doing);
        goto failed;
    }
    sqlite3_db_config(*handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    return true;
failed:
    sqlite3_close(*handle);
    *handle = NULL;
    return false;
}
