/* The tables, as numbered migrations; for MariaDB 10.6 and later and MySQL 8.0.16 and later.
 *
 * Never change a migration that was released: add the next. DDL commits by itself, so a process may
 * die between any two statements: each must be harmless when executed again. Constraints have no
 * names, so that tables can be renamed (a reset does).
 */
#include "mariadb_schema.h"

#define TABLE_OPTIONS(comment)                                                                     \
    " ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='" MARIADB_TABLE_MARK      \
    " " comment "'"

const char mariadb_migrations_table[] =
    "CREATE TABLE IF NOT EXISTS schema_migrations ("
    "version BIGINT NOT NULL PRIMARY KEY, "
    "applied_at BIGINT NOT NULL COMMENT 'milliseconds since 1970 UTC', "
    "description VARCHAR(200) NOT NULL)" TABLE_OPTIONS("versions of this schema");

static const char *const first_tables[] = {
    "CREATE TABLE IF NOT EXISTS concerts ("
    "id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, "
    "title VARCHAR(200) NOT NULL, "
    "venue VARCHAR(200) NOT NULL DEFAULT '' COMMENT 'empty: not given', "
    "starts_at BIGINT NULL COMMENT 'milliseconds since 1970 UTC', "
    "capacity BIGINT NOT NULL COMMENT 'seats', "
    "sold BIGINT NOT NULL DEFAULT 0 COMMENT 'seats of HELD and CONFIRMED reservations', "
    "member_limit BIGINT NOT NULL DEFAULT 0 COMMENT 'seats that one member may have; 0: no limit', "
    "fence BIGINT NOT NULL DEFAULT 0 COMMENT "
    "'higher after whatever lets less be sold; a reset lets it begin above all before', "
    "CHECK (sold BETWEEN 0 AND capacity), "
    "CHECK (member_limit >= 0))" TABLE_OPTIONS("what is sold"),

    "CREATE TABLE IF NOT EXISTS members ("
    "id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, "
    "name VARCHAR(200) NOT NULL)" TABLE_OPTIONS("who buys"),

    "CREATE TABLE IF NOT EXISTS reservations ("
    "id BINARY(16) NOT NULL PRIMARY KEY COMMENT 'a UUID', "
    "concert_id BIGINT NOT NULL, "
    "member_id BIGINT NOT NULL, "
    "quantity BIGINT NOT NULL COMMENT 'seats', "
    "status TINYINT NOT NULL COMMENT "
    "'1 HELD, 2 CONFIRMED, 3 CANCELLED, 4 EXPIRED, 5 REJECTED', "
    "created_at BIGINT NOT NULL COMMENT 'milliseconds since 1970 UTC', "
    "updated_at BIGINT NOT NULL COMMENT 'milliseconds since 1970 UTC', "
    "KEY live (concert_id, member_id, status, quantity), "
    "KEY member (member_id), "
    "FOREIGN KEY (concert_id) REFERENCES concerts (id), "
    "FOREIGN KEY (member_id) REFERENCES members (id), "
    "CHECK (quantity > 0), "
    "CHECK (status BETWEEN 1 AND 5))" TABLE_OPTIONS("who has which seats"),

    "CREATE TABLE IF NOT EXISTS consumer_position ("
    "topic VARCHAR(249) NOT NULL, "
    "partition_id INT NOT NULL, "
    "next_offset BIGINT NOT NULL COMMENT 'of the first event that is not applied yet', "
    "updated_at BIGINT NOT NULL COMMENT 'milliseconds since 1970 UTC', "
    "PRIMARY KEY (topic, partition_id))" TABLE_OPTIONS("how far events were applied"),

    /* Its rows come with their first use (MARIADB_SYNC_TEXT). */
    "CREATE TABLE IF NOT EXISTS durable_point ("
    "id TINYINT UNSIGNED NOT NULL PRIMARY KEY, "
    "number BIGINT NOT NULL COMMENT 'means nothing: it is written to have the log on "
    "disk')" TABLE_OPTIONS("writes that make what was read durable"),

    NULL,
};

static const char *const epoch_table[] = {
    /* A table of its own, so that a reset replaces it in one with the others. */
    "CREATE TABLE IF NOT EXISTS database_epoch ("
    "id TINYINT UNSIGNED NOT NULL PRIMARY KEY, "
    "epoch BIGINT NOT NULL, "
    "CHECK (id = 1))" TABLE_OPTIONS("how often this database has been reset"),
    "INSERT IGNORE INTO database_epoch (id, epoch) VALUES (1, 0)",

    NULL,
};

const struct mariadb_migration mariadb_migrations[] = {
    {"concerts, members, reservations, consumer_position, durable_point", first_tables},
    {"database_epoch", epoch_table},
};

const size_t mariadb_migrations_count = sizeof mariadb_migrations / sizeof mariadb_migrations[0];
