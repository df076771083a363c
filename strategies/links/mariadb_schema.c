/* Creates and migrates the schema, and the stored procedure, at start.
 *
 *   look --current--------------------------------------------> done
 *     '--> lock --> look again --> migrate … --> procedure --> unlock --> done
 *
 * The first look needs no lock: most starts find everything there. DDL commits by itself, so the
 * lock keeps processes apart that start at the same moment, and each statement may be repeated
 * after a crash. The procedure is not in the chain of migrations: a user who may not create it can
 * use everything else.
 */
#include "mariadb_schema.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "mariadb_steps.h"
#include "resvd/assert.h"

enum { EXIT_UNAVAILABLE = 69, EXIT_CONFIG = 78 };

#define LOCK_WAIT_S    20
#define DDL_TIMEOUT_MS 60000
#define NO_SUCH_TABLE  1146
#define NO_SUCH_COLUMN 1054
#define NAME_BYTES     256

struct schema {
    struct database_session *session;
    void (*done)(void *data, int exit_code, const char *message);
    void *data;
    int64_t wall_ms;
    struct mariadb_query query;
    bool locked;
    /* What was found. */
    char database[NAME_BYTES];
    char foreign[NAME_BYTES]; /* a table of a name of ours that is not ours; "" for none */
    bool procedure_there;
    int64_t procedure;  /* its version */
    int64_t version;    /* 0: nothing was migrated yet */
    int64_t lock_taken; /* GET_LOCK's answer */
    /* Where migrating has got to. */
    size_t statement;
    char message[1024];
    int exit_code;
};

static void look(struct schema *self);
static void unlock(struct schema *self);

/* --- queries ---------------------------------------------------------------------------------- */

__attribute__((format(printf, 5, 6))) static void
ask(struct schema *self, uint64_t timeout_ms, void (*done)(struct mariadb_query *),
    void (*result)(struct mariadb_query *, size_t, MYSQL_RES *, uint64_t), const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    RESV_ASSERT(length > 0);
    char *text = mariadb_session_text(self->session, (size_t)length + 1);
    RESV_ASSERT(text != NULL); /* a few kilobytes: every server takes them */
    va_start(arguments, format);
    vsnprintf(text, (size_t)length + 1, format, arguments);
    va_end(arguments);
    self->query = (struct mariadb_query){.text = text,
                                         .length = (size_t)length,
                                         .timeout_ms = timeout_ms,
                                         .data = self,
                                         .result = result,
                                         .done = done};
    mariadb_session_query(self->session, &self->query);
}

static void finish(struct schema *self)
{
    void (*done)(void *data, int exit_code, const char *message) = self->done;
    void *data = self->data;
    int exit_code = self->exit_code;
    char message[sizeof self->message];
    snprintf(message, sizeof message, "%s", self->message);
    free(self);
    done(data, exit_code, exit_code == 0 ? NULL : message);
}

/* The end, after the lock was let go. */
static void end(struct schema *self)
{
    if (self->locked)
        unlock(self);
    else
        finish(self);
}

static void end_by_error(struct schema *self, const struct mariadb_query *query)
{
    self->exit_code =
        mariadb_explain_start_error(mariadb_session_link(self->session), query->error,
                                    query->message, self->message, sizeof self->message);
    if (query->lost)
        finish(self);
    else
        end(self);
}

static void take_number(struct mariadb_query *query, size_t statement, MYSQL_RES *rows,
                        uint64_t affected_rows)
{
    (void)statement;
    (void)affected_rows;
    struct schema *self = query->data;
    MYSQL_ROW row = rows == NULL ? NULL : mysql_fetch_row(rows);
    self->lock_taken = row == NULL ? 0 : mariadb_column_integer(row[0]);
}

/* --- the lock --------------------------------------------------------------------------------- */

static void locked(struct mariadb_query *query)
{
    struct schema *self = query->data;
    if (query->error != 0) {
        end_by_error(self, query);
        return;
    }
    if (self->lock_taken != 1) {
        self->exit_code = EXIT_UNAVAILABLE;
        snprintf(self->message, sizeof self->message,
                 "another process has been changing the tables of database '%s' for %d s (a resvd "
                 "that starts, or a reset): try again when it has finished",
                 self->database, LOCK_WAIT_S);
        finish(self);
        return;
    }
    self->locked = true;
    look(self);
}

static void lock(struct schema *self)
{
    ask(self, (LOCK_WAIT_S + 5) * 1000, locked, take_number,
        "SELECT GET_LOCK(" MARIADB_SCHEMA_LOCK ", %d)", LOCK_WAIT_S);
}

static void unlocked(struct mariadb_query *query)
{
    finish(query->data); /* were it not let go, it ends with the session */
}

static void unlock(struct schema *self)
{
    ask(self, DDL_TIMEOUT_MS, unlocked, NULL, "SELECT RELEASE_LOCK(" MARIADB_SCHEMA_LOCK ")");
}

/* --- the procedure ---------------------------------------------------------------------------- */

static void procedure_created(struct mariadb_query *query)
{
    struct schema *self = query->data;
    struct database_link *link = mariadb_session_link(self->session);
    if (query->error == 0) {
        end(self);
        return;
    }
    if (query->lost) {
        end_by_error(self, query);
        return;
    }
    snprintf(self->message, sizeof self->message,
             "the stored procedure resvd_reserve could not be created in database '%s' (%s): GRANT "
             "CREATE ROUTINE, ALTER ROUTINE, EXECUTE ON %s.* to [database] user, or do without it "
             "(form = statements)",
             self->database, query->message, self->database);
    if (mariadb_link_config(link)->needs_procedure)
        self->exit_code = EXIT_CONFIG;
    else
        resv_log(mariadb_link_host(link), RESV_LOG_WARNING, "no stored procedure", "database",
                 self->database, "why", self->message, NULL);
    end(self);
}

/* MySQL has no CREATE OR REPLACE; MariaDB's leaves no moment without one. */
static void create_procedure(struct schema *self)
{
    if (mariadb_link_server_is_mariadb(mariadb_session_link(self->session)))
        ask(self, DDL_TIMEOUT_MS, procedure_created, NULL, "CREATE OR REPLACE PROCEDURE %s",
            mariadb_procedure_text);
    else
        ask(self, DDL_TIMEOUT_MS, procedure_created, NULL, "%sCREATE PROCEDURE %s",
            self->procedure_there ? "DROP PROCEDURE IF EXISTS resvd_reserve;" : "",
            mariadb_procedure_text);
}

static bool procedure_is_current(const struct schema *self)
{
    return self->procedure_there && self->procedure >= MARIADB_PROCEDURE_VERSION;
}

/* --- migrating -------------------------------------------------------------------------------- */

static void migrate(struct schema *self);

static void statement_done(struct mariadb_query *query)
{
    struct schema *self = query->data;
    if (query->error != 0) {
        end_by_error(self, query);
        return;
    }
    self->statement++;
    migrate(self);
}

static void recorded(struct mariadb_query *query)
{
    struct schema *self = query->data;
    if (query->error != 0) {
        end_by_error(self, query);
        return;
    }
    char version[24];
    snprintf(version, sizeof version, "%lld", (long long)++self->version);
    resv_log(mariadb_link_host(mariadb_session_link(self->session)), RESV_LOG_INFO,
             "schema migrated", "database", self->database, "version", version, NULL);
    self->statement = 0;
    migrate(self);
}

static void migrate(struct schema *self)
{
    if ((size_t)self->version == mariadb_migrations_count) {
        if (procedure_is_current(self))
            end(self);
        else
            create_procedure(self);
        return;
    }
    const struct mariadb_migration *migration = &mariadb_migrations[self->version];
    const char *statement = migration->statements[self->statement];
    if (statement != NULL)
        ask(self, DDL_TIMEOUT_MS, statement_done, NULL, "%s", statement);
    else
        ask(self, DDL_TIMEOUT_MS, recorded, NULL,
            "INSERT INTO schema_migrations (version, applied_at, description) "
            "VALUES (%lld, %lld, '%s')",
            (long long)self->version + 1, (long long)self->wall_ms, migration->description);
}

static void table_made(struct mariadb_query *query)
{
    struct schema *self = query->data;
    if (query->error != 0)
        end_by_error(self, query);
    else
        migrate(self);
}

/* --- looking ---------------------------------------------------------------------------------- */

static void copy_column(char target[NAME_BYTES], const char *column)
{
    snprintf(target, NAME_BYTES, "%s", column == NULL ? "" : column);
}

static void take_findings(struct mariadb_query *query, size_t statement, MYSQL_RES *rows,
                          uint64_t affected_rows)
{
    (void)affected_rows;
    struct schema *self = query->data;
    MYSQL_ROW row = rows == NULL ? NULL : mysql_fetch_row(rows);
    switch (statement) {
    case 0:
        copy_column(self->database, row == NULL ? NULL : row[0]);
        break;
    case 1:
        copy_column(self->foreign, row == NULL ? NULL : row[0]);
        break;
    case 2:
        self->procedure_there = row != NULL;
        long long number = 0;
        if (row != NULL && row[0] != NULL && sscanf(row[0], "resvd %lld", &number) == 1)
            self->procedure = number;
        break;
    case 3:
        self->version = row == NULL ? 0 : mariadb_column_integer(row[0]);
        break;
    }
}

/* False: with the line that says why this database is left alone. */
static bool is_ours(struct schema *self)
{
    if (self->version >= 1 && (size_t)self->version <= mariadb_migrations_count)
        return true;
    if (self->foreign[0] != '\0') {
        snprintf(self->message, sizeof self->message,
                 "database '%s' has a table '%s' that another program made, and was left as it is: "
                 "set [database] name to another database",
                 self->database, self->foreign);
        return false;
    }
    if (self->version == 0)
        return true;
    snprintf(self->message, sizeof self->message,
             "database '%s' has schema version %lld, this resvd knows up to %zu; it was left as it "
             "is: run the resvd that made it, or set [database] name to another database",
             self->database, (long long)self->version, mariadb_migrations_count);
    return false;
}

static void looked(struct mariadb_query *query)
{
    struct schema *self = query->data;
    bool missing = query->failed_statement == 3 &&
                   (query->error == NO_SUCH_TABLE || query->error == NO_SUCH_COLUMN);
    if (query->error != 0 && !missing) {
        end_by_error(self, query);
        return;
    }
    if (!is_ours(self)) {
        self->exit_code = EXIT_CONFIG;
        end(self);
        return;
    }
    bool current = (size_t)self->version == mariadb_migrations_count && procedure_is_current(self);
    if (current)
        end(self);
    else if (!self->locked)
        lock(self);
    else if (self->version == 0)
        ask(self, DDL_TIMEOUT_MS, table_made, NULL, "%s", mariadb_migrations_table);
    else
        migrate(self);
}

static void look(struct schema *self)
{
    self->version = 0;
    self->statement = 0;
    ask(self, DDL_TIMEOUT_MS, looked, take_findings,
        "SELECT DATABASE();"
        "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND "
        "TABLE_NAME IN (" MARIADB_TABLE_NAMES ") AND TABLE_COMMENT NOT LIKE '" MARIADB_TABLE_MARK
        "%%' LIMIT 1;"
        "SELECT ROUTINE_COMMENT FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = DATABASE() "
        "AND ROUTINE_NAME = 'resvd_reserve' AND ROUTINE_TYPE = 'PROCEDURE';"
        "SELECT COALESCE(MAX(version), 0) FROM schema_migrations");
}

void mariadb_schema_prepare(struct database_session *session, int64_t wall_ms,
                            void (*done)(void *data, int exit_code, const char *message),
                            void *data)
{
    struct schema *self = calloc(1, sizeof *self);
    if (self == NULL) {
        done(data, EXIT_UNAVAILABLE, "out of memory");
        return;
    }
    self->session = session;
    self->done = done;
    self->data = data;
    self->wall_ms = wall_ms;
    look(self);
}
