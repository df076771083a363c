/* The MariaDB/MySQL link's inside: what its files share. Only these files see mysql.h.
 *
 *   mariadb_session_internal.h  what the files down to mariadb_error.c share besides
 *   mariadb_link.c        life of the link, events, health
 *   mariadb_start.c       its start
 *   mariadb_server.c      what a server must be
 *   mariadb_explain.c     why it could not start, in one line
 *   mariadb_options.c     [database] and metrics tables
 *   mariadb_pool.c        two pools of sessions, waits, growth and shrinking
 *   mariadb_lost.c        lost sessions are ended on the server
 *   mariadb_connect.c     one session's way to the server: address, login
 *   mariadb_tls.c         the same with TLS
 *   mariadb_setup.c       the session's settings
 *   mariadb_session.c     one connection: queries, deadlines, loss
 *   mariadb_coroutine.c   libmariadb's non-blocking calls on uv_poll
 *   mariadb_error.c       error numbers of MariaDB and MySQL in our terms (no I/O: unit-tested)
 *   mariadb_steps.c …     steps to SQL text and results back
 *   mariadb_schema.c      numbered migrations, the stored procedure
 *   mariadb_catalog*.c    concerts, members, audit, reset
 */
#ifndef RESVD_LINKS_MARIADB_INTERNAL_H
#define RESVD_LINKS_MARIADB_INTERNAL_H

#include <mysql.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "database.h"

/* --- queries (mariadb_session.c) ---------------------------------------------------------------
 */

/* One text of one or more statements, sent in one write; the server stops at the first that fails.
 * At most one under way on a session. All memory is the caller's until done. */
struct mariadb_query {
    char *text;
    size_t length; /* bytes */
    uint64_t timeout_ms;
    void *data;
    /* For each statement that succeeded, in order. `rows` is a stored result (freed by the session
     * after the call) or NULL for a statement without one. May be NULL. */
    void (*result)(struct mariadb_query *query, size_t statement, MYSQL_RES *rows,
                   uint64_t affected_rows);
    /* Last, never from inside mariadb_session_query. */
    void (*done)(struct mariadb_query *query);
    /* How it ended. */
    bool lost;               /* connection gone or timed out: the session is dead */
    unsigned error;          /* the server's error number; 0 for none */
    char message[256];       /* the server's or the client library's words; "" for none */
    size_t failed_statement; /* without an error: how many there were */
};

void mariadb_session_query(struct database_session *session, struct mariadb_query *query);
bool mariadb_session_is_lost(const struct database_session *session);
/* As the server's last answer has it; false where that is not known. */
bool mariadb_session_in_transaction(const struct database_session *session);
struct database_link *mariadb_session_link(const struct database_session *session);

/* A buffer that belongs to the session and lives as long: for the text of its queries; grows up to
 * the server's max_allowed_packet. NULL when it cannot. */
char *mariadb_session_text(struct database_session *session, size_t bytes);

#define MARIADB_PACKET_RESERVE 1024 /* bytes of max_allowed_packet that are left alone */
/* What max_allowed_packet must be at least, so that every run of so many steps, with so many rows
 * in them, fits (mariadb_steps_text.c). */
uint64_t mariadb_steps_bytes_max(size_t steps, size_t rows);

/* Room for what mariadb_steps.c keeps of the run under way on a session: zeroed when the session is
 * made, aligned for anything, as long-lived as the session. */
#define MARIADB_SESSION_RUN_BYTES 1024
void *mariadb_session_run(struct database_session *session);

/* The named lock that a session holds on the server for as long as it lives there: "resvd-" and 32
 * hexadecimal digits. Needs no escaping (mariadb_steps_text.c). */
#define MARIADB_LOCK_NAME_SIZE 39
void mariadb_lock_name(const struct database_session_name *name, char text[MARIADB_LOCK_NAME_SIZE]);

/* Whether a live session of the same link has this CONNECTION_ID() on the server of `name`, and is
 * not the one that is named. */
bool mariadb_link_has_another(const struct database_link *link, int64_t connection_id,
                              const struct database_session_name *name);

/* --- errors (mariadb_error.c) ------------------------------------------------------------------
 */

/* DUPLICATE, NO_PARENT, REFUSED, LOCK_WAIT, DEADLOCK, LOST (the server is going away, the
 * connection was killed) or FAILED; the same for MariaDB and MySQL. */
enum database_result mariadb_result_of_error(unsigned error);
/* The one line for a start that failed for this error: names the setting to change; and the exit
 * code (78 configuration, 69 may go away: try again). The password never appears. */
int mariadb_explain_start_error(const struct database_link *link, unsigned error,
                                const char *server_message, char *text, size_t text_size);

/* --- schema (mariadb_schema.c) -----------------------------------------------------------------
 */

/* Creates or migrates on this session, under a named lock so that several processes may start at
 * once; then done(data, 0, NULL), or an exit code and the line that says what to do. */
void mariadb_schema_prepare(struct database_session *session, int64_t wall_ms,
                            void (*done)(void *data, int exit_code, const char *message),
                            void *data);

/* --- the catalog (mariadb_catalog.c) -----------------------------------------------------------
 */

struct mariadb_catalog;
struct mariadb_catalog *mariadb_catalog_create(struct database_link *link, size_t operations_max);
struct resv_catalog *mariadb_catalog_seam(struct mariadb_catalog *catalog);
size_t mariadb_catalog_under_way(const struct mariadb_catalog *catalog);
/* Under-way operations complete as UNAVAILABLE (or UNKNOWN where a COMMIT was sent). */
void mariadb_catalog_interrupt(struct mariadb_catalog *catalog);
void mariadb_catalog_destroy(struct mariadb_catalog *catalog);

/* --- what the catalog and steps need of the link -----------------------------------------------
 */

struct resv_host *mariadb_link_host(const struct database_link *link);
const struct database_link_config *mariadb_link_config(const struct database_link *link);
const struct database_link_events *mariadb_link_events(const struct database_link *link);
size_t mariadb_link_reads_max(const struct database_link *link); /* connections of DATABASE_READS */
uint64_t mariadb_link_statement_timeout_ms(const struct database_link *link);
bool mariadb_link_server_is_mariadb(const struct database_link *link); /* else MySQL */

#endif
