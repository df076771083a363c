/* What a server must be to be used, and which of its settings may lose what it has committed. */
#include <stdio.h>
#include <string.h>

#include "mariadb_session_internal.h"

struct version {
    unsigned major, minor, patch;
};

/* Locks, CHECK constraints and SKIP LOCKED are as we need them from here on. */
static const struct version mariadb_least = {10, 6, 0};
static const struct version mysql_least = {8, 0, 19};

static bool is_older(struct version version, struct version least)
{
    if (version.major != least.major)
        return version.major < least.major;
    if (version.minor != least.minor)
        return version.minor < least.minor;
    return version.patch < least.patch;
}

/* One log line each time that what may be lost has changed. */
static void look_at_durability(struct database_link *link, const struct mariadb_attempt *attempt)
{
    char text[sizeof link->durability] = "";
    size_t used = 0;
    if (attempt->flush_log >= 0 && attempt->flush_log != 1)
        used += (size_t)snprintf(text, sizeof text,
                                 "innodb_flush_log_at_trx_commit=%ld (set it "
                                 "to 1)",
                                 attempt->flush_log);
    if (attempt->log_bin > 0 && attempt->sync_binlog >= 0 && attempt->sync_binlog != 1)
        snprintf(text + used, sizeof text - used, "%ssync_binlog=%ld with log_bin on (set it to 1)",
                 used > 0 ? "; " : "", attempt->sync_binlog);
    if (strcmp(text, link->durability) == 0)
        return;
    memcpy(link->durability, text, sizeof text);
    if (text[0] != '\0')
        resv_log(link->host, RESV_LOG_WARNING, "the database may lose what it has committed",
                 "server_setting", text, "when", "its machine loses power", NULL);
}

/* Servers take multiples of 1024. */
static uint64_t packet_for(uint64_t bytes)
{
    uint64_t packet = 1U << 20;
    while (packet < bytes)
        packet *= 2;
    return packet;
}

bool mariadb_server_check(struct database_link *link, const struct mariadb_attempt *attempt,
                          char *why, size_t why_size)
{
    struct version version = {0};
    bool is_mariadb = strstr(attempt->version, "MariaDB") != NULL;
    const struct version *least = is_mariadb ? &mariadb_least : &mysql_least;
    if (sscanf(attempt->version, "%u.%u.%u", &version.major, &version.minor, &version.patch) < 2) {
        snprintf(why, why_size, "its version '%s' is not one of MariaDB or MySQL",
                 attempt->version);
        return false;
    }
    if (is_older(version, *least)) {
        snprintf(why, why_size, "it is %s %u.%u.%u: resvd needs %u.%u.%u or newer",
                 is_mariadb ? "MariaDB" : "MySQL", version.major, version.minor, version.patch,
                 least->major, least->minor, least->patch);
        return false;
    }
    if (!attempt->innodb_found) {
        snprintf(why, why_size, "it has no InnoDB: start it without --skip-innodb");
        return false;
    }
    uint64_t needed_bytes = mariadb_steps_bytes_max(link->config.steps_max, link->config.rows_max);
    if (attempt->max_packet_bytes > 0 && attempt->max_packet_bytes < needed_bytes) {
        snprintf(why, why_size,
                 "its max_allowed_packet is %llu bytes, and %zu reservations in one statement may "
                 "need %llu: SET GLOBAL max_allowed_packet = %llu there, or lower "
                 "[strategy.grouped] group_max",
                 (unsigned long long)attempt->max_packet_bytes, link->config.rows_max,
                 (unsigned long long)needed_bytes, (unsigned long long)packet_for(needed_bytes));
        return false;
    }
    link->server_is_mariadb = is_mariadb;
    snprintf(link->version, sizeof link->version, "%s", attempt->version);
    look_at_durability(link, attempt);
    return true;
}
