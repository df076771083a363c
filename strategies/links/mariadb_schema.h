/* The schema's texts: tables by migration, and the stored procedure. */
#ifndef RESVD_LINKS_MARIADB_SCHEMA_H
#define RESVD_LINKS_MARIADB_SCHEMA_H

#include <stddef.h>

/* Whoever changes tables of this database holds it: migrations and resets of all processes.
 * Names of locks are the whole server's, so it has the database in it. An SQL expression. */
#define MARIADB_SCHEMA_LOCK "CONCAT('resvd-schema-', MD5(DATABASE()))"

/* Every table of ours has a comment that begins like this: how it is told from another's. */
#define MARIADB_TABLE_MARK "resvd:"
#define MARIADB_TABLE_NAMES                                                                        \
    "'schema_migrations', 'concerts', 'members', 'reservations', 'consumer_position', "            \
    "'database_epoch', 'durable_point'"

struct mariadb_migration {
    const char *description;       /* no quotes in it */
    const char *const *statements; /* ends with NULL; each may have been executed before */
};

/* Position + 1 is the version. */
extern const struct mariadb_migration mariadb_migrations[];
extern const size_t mariadb_migrations_count;
/* Of the record of them itself; before the first. */
extern const char mariadb_migrations_table[];

/* Of `reservations`, for ALTER TABLE: what CREATE TABLE … LIKE leaves out. */
#define MARIADB_RESERVATIONS_PARENTS(prefix)                                                       \
    "ADD FOREIGN KEY (concert_id) REFERENCES " prefix "concerts (id), "                            \
    "ADD FOREIGN KEY (member_id) REFERENCES " prefix "members (id)"

/* DATABASE_SYNC: a commit of its own that always writes, so its redo log, and with it all that was
 * written before, is flushed when it is answered (or not, where innodb_flush_log_at_trx_commit is
 * not 1). On one of a few rows, so that those who do it at once seldom wait for each other. */
#define MARIADB_SYNC_TEXT                                                                          \
    "INSERT INTO durable_point (id, number) VALUES (CONNECTION_ID() % 16, 1) "                     \
    "ON DUPLICATE KEY UPDATE number = number + 1"

/* resvd_reserve: from its name on, to be put behind CREATE PROCEDURE. */
extern const char mariadb_procedure_text[];
/* In its comment, "resvd N"; a change of the text is the next. */
#define MARIADB_PROCEDURE_VERSION 3

#endif
