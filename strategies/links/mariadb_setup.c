/* A session's settings after its login, in one round trip, and what they show of the server.
 *
 * Whatever answers rest on is set here: the server's global defaults may be anything, and its own
 * checks (foreign keys above all) may be off there. What only one of both servers knows is in a
 * comment that only that one reads: MariaDB skips 50700 to 99999, MySQL skips M.
 *
 * The named lock lives as long as the session does on the server: END_SESSION waits for it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mariadb_session_internal.h"
#include "resvd/assert.h"
#include "resvd/hash.h"

#define NS_PER_MS 1000000ULL
/* A server forgets a client that has vanished without a word, and frees the locks it holds, after
 * this many pings that did not come; but not before that many seconds. */
#define WAIT_TIMEOUT_PINGS 4
#define WAIT_TIMEOUT_S_MIN 60
/* For DDL of others: a migration by another resvd must not hang every statement here. */
#define METADATA_WAIT_TIMEOUT_S 5

enum column {
    COLUMN_VERSION,
    COLUMN_LOCK,
    COLUMN_INNODB,
    COLUMN_PACKET,
    COLUMN_FLUSH_LOG,
    COLUMN_LOG_BIN,
    COLUMN_SYNC_BINLOG,
    COLUMN_IDENTITY,
    COLUMN_CONNECTION,
    COLUMN_COUNT,
};

static const char *isolation_name(enum database_isolation isolation)
{
    switch (isolation) {
    case DATABASE_READ_COMMITTED:
        return "READ COMMITTED";
    case DATABASE_REPEATABLE_READ:
        return "REPEATABLE READ";
    }
    return "READ COMMITTED";
}

/* What a server keeps when it is restarted, and no two have the same: a copy of a virtual machine
 * has the name, port and folder of the first, but another server_id if it replicates. */
#define IDENTITY                                                                                   \
    "/*!80000 @@server_uuid*/"                                                                     \
    "/*M!100600 CONCAT_WS('|',@@hostname,@@port,@@server_id,@@datadir)*/"

static size_t write_text(const struct database_session *session, char *text, size_t size)
{
    const struct database_link *link = session->link;
    char lock[MARIADB_LOCK_NAME_SIZE];
    mariadb_lock_name(&session->name, lock);
    /* As every server read before MariaDB 11.6.2 made it an error: what naive shows. */
    const char *snapshot = link->config.isolation == DATABASE_REPEATABLE_READ
                               ? "/*M!110602 ;SET SESSION innodb_snapshot_isolation=OFF*/"
                               : "";
    uint64_t wait_s = link->settings.ping_interval_ms * WAIT_TIMEOUT_PINGS / 1000;
    int length = snprintf(
        text, size,
        "SET NAMES utf8mb4;"
        "SET SESSION sql_mode='STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION',autocommit=1,"
        "time_zone='+00:00',innodb_lock_wait_timeout=%u,lock_wait_timeout=%u,wait_timeout=%llu,"
        "foreign_key_checks=1,unique_checks=1,sql_select_limit=18446744073709551615,"
        "completion_type=NO_CHAIN,sql_big_selects=1,sql_safe_updates=0"
        "/*!80000 ,max_execution_time=0*/"
        "/*M!100600 ,check_constraint_checks=1,max_statement_time=0*/;"
        "SET SESSION TRANSACTION ISOLATION LEVEL %s%s;"
        "SELECT VERSION(),GET_LOCK('%s',0),"
        "(SELECT SUPPORT FROM information_schema.ENGINES WHERE ENGINE='InnoDB'),"
        "@@max_allowed_packet,@@innodb_flush_log_at_trx_commit,@@log_bin,@@sync_binlog," IDENTITY
        ",CONNECTION_ID()",
        link->settings.lock_wait_timeout_s, METADATA_WAIT_TIMEOUT_S,
        (unsigned long long)(wait_s < WAIT_TIMEOUT_S_MIN ? WAIT_TIMEOUT_S_MIN : wait_s),
        isolation_name(link->config.isolation), snapshot, lock);
    RESV_ASSERT(length > 0 && (size_t)length < size);
    return (size_t)length;
}

/* Never 0. */
static uint64_t identity_of(const char *text)
{
    const uint64_t hash = text == NULL ? 0 : resv_hash_bytes(text, strlen(text));
    return hash == 0 ? 1 : hash;
}

static long number_of(const char *text)
{
    return text == NULL ? -1 : strtol(text, NULL, 10);
}

static void on_result(struct mariadb_query *query, size_t statement, MYSQL_RES *rows,
                      uint64_t affected_rows)
{
    (void)statement;
    (void)affected_rows;
    struct database_session *session = query->data;
    struct mariadb_attempt *attempt = session->attempt;
    MYSQL_ROW row = rows == NULL ? NULL : mysql_fetch_row(rows);
    if (row == NULL || mysql_num_fields(rows) != COLUMN_COUNT)
        return;
    snprintf(attempt->version, sizeof attempt->version, "%s",
             row[COLUMN_VERSION] == NULL ? "" : row[COLUMN_VERSION]);
    attempt->lock_taken = number_of(row[COLUMN_LOCK]) == 1;
    const char *innodb = row[COLUMN_INNODB];
    attempt->innodb_found =
        innodb != NULL && (strcmp(innodb, "DEFAULT") == 0 || strcmp(innodb, "YES") == 0);
    long packet = number_of(row[COLUMN_PACKET]);
    attempt->max_packet_bytes = packet > 0 ? (uint64_t)packet : 0;
    attempt->flush_log = number_of(row[COLUMN_FLUSH_LOG]);
    attempt->log_bin = number_of(row[COLUMN_LOG_BIN]);
    attempt->sync_binlog = number_of(row[COLUMN_SYNC_BINLOG]);
    session->name.server = identity_of(row[COLUMN_IDENTITY]);
    session->connection_id = number_of(row[COLUMN_CONNECTION]);
}

static void on_done(struct mariadb_query *query)
{
    struct database_session *session = query->data;
    struct mariadb_attempt *attempt = session->attempt;
    char why[sizeof attempt->message];
    if (attempt->abandon_error != 0) {
        mariadb_connect_failed(session, attempt->abandon_error, attempt->abandon_message);
    } else if (query->error != 0) {
        mariadb_connect_failed(session, query->error, query->message);
    } else if (!mariadb_server_check(session->link, attempt, why, sizeof why)) {
        mariadb_connect_failed(session, MARIADB_ERROR_SERVER, why);
    } else if (!attempt->lock_taken) {
        mariadb_connect_failed(session, MARIADB_ERROR_NAME_TAKEN,
                               "GET_LOCK did not give the session its lock");
    } else {
        if (attempt->max_packet_bytes > 0)
            session->text_max = attempt->max_packet_bytes - MARIADB_PACKET_RESERVE;
        session->link->latency_ns = resv_now_ns(session->link->host) - session->query_started_ns;
        mariadb_connect_succeeded(session);
    }
}

void mariadb_setup_start(struct database_session *session)
{
    struct mariadb_attempt *attempt = session->attempt;
    uint64_t now_ns = resv_now_ns(session->link->host);
    uint64_t left_ms =
        attempt->deadline_ns > now_ns ? (attempt->deadline_ns - now_ns) / NS_PER_MS : 0;
    attempt->flush_log = attempt->log_bin = attempt->sync_binlog = -1;
    attempt->query = (struct mariadb_query){
        .text = attempt->text,
        .length = write_text(session, attempt->text, sizeof attempt->text),
        .timeout_ms = left_ms + 1,
        .data = session,
        .result = on_result,
        .done = on_done,
    };
    mariadb_session_query(session, &attempt->query);
}
