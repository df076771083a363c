/* The MariaDB link's options and metrics: the tables, and the settings read from them. */
#include <stdio.h>
#include <sys/un.h>

#include "mariadb_session_internal.h"

enum {
    OPTION_HOST,
    OPTION_PORT,
    OPTION_SOCKET,
    OPTION_USER,
    OPTION_PASSWORD,
    OPTION_NAME,
    OPTION_SSL_MODE,
    OPTION_SSL_CA,
    OPTION_SSL_CERT,
    OPTION_SSL_KEY,
    OPTION_GET_SERVER_PUBLIC_KEY,
    OPTION_POOL_MIN,
    OPTION_POOL_MAX,
    OPTION_POOL_WAIT_MS,
    OPTION_POOL_QUEUE_MAX,
    OPTION_CATALOG_POOL,
    OPTION_CONNECT_TIMEOUT_MS,
    OPTION_STATEMENT_TIMEOUT_MS,
    OPTION_LOCK_WAIT_TIMEOUT_S,
    OPTION_IDLE_TIMEOUT_MS,
    OPTION_PING_INTERVAL_MS,
    OPTION_RECONNECT_MIN_MS,
    OPTION_RECONNECT_MAX_MS,
};

/* In the order of enum mariadb_ssl_mode. */
static const char *const ssl_modes[] = {"off",       "preferred",       "required",
                                        "verify_ca", "verify_identity", NULL};

#define TEXT(option_key, standard, option_help)                                                    \
    {                                                                                              \
        .key = (option_key), .type = RESV_OPTION_STRING, .default_text = (standard),               \
        .help = (option_help)                                                                      \
    }
#define NUMBER(option_key, standard, least, most, option_unit, option_help)                        \
    {                                                                                              \
        .key = (option_key), .type = RESV_OPTION_INTEGER, .default_text = (standard),              \
        .minimum = (least), .maximum = (most), .unit = (option_unit), .help = (option_help)        \
    }

static bool socket_fits(const char *text, char *why, size_t why_size)
{
    const size_t longest = sizeof((struct sockaddr_un *)NULL)->sun_path - 1;
    if (snprintf(NULL, 0, "%s", text) <= (int)longest)
        return true;
    snprintf(why, why_size, "a unix socket's path has %zu bytes at most", longest);
    return false;
}

static const struct resv_option options[] = {
    [OPTION_HOST] = {.key = "host",
                     .type = RESV_OPTION_STRING,
                     .default_text = "127.0.0.1",
                     .required = true,
                     .help = "the server's name or address; all addresses of a name are tried"},
    [OPTION_PORT] = NUMBER("port", "3306", 1, 65535, NULL, "the server's port"),
    [OPTION_SOCKET] = {.key = "socket",
                       .type = RESV_OPTION_STRING,
                       .default_text = "",
                       .help = "path of the server's unix socket; wins over host and port, and "
                               "needs no TLS",
                       .check = socket_fits},
    [OPTION_USER] = {.key = "user",
                     .type = RESV_OPTION_STRING,
                     .default_text = "resvd",
                     .required = true,
                     .help = "who logs in"},
    [OPTION_PASSWORD] = {.key = "password",
                         .type = RESV_OPTION_STRING,
                         .default_text = "",
                         .secret = true,
                         .help = "that user's password"},
    [OPTION_NAME] = {.key = "name",
                     .type = RESV_OPTION_STRING,
                     .default_text = "resvd",
                     .required = true,
                     .help = "the database; it must be there, its tables are made by resvd"},
    [OPTION_SSL_MODE] = {.key = "ssl_mode",
                         .type = RESV_OPTION_CHOICE,
                         .default_text = "preferred",
                         .choices = ssl_modes,
                         .help = "TLS: off; preferred (if the server has it, but not to this "
                                 "machine itself); required; verify_ca (and its certificate is of "
                                 "ssl_ca); verify_identity (and is for the host named)"},
    [OPTION_SSL_CA] = TEXT("ssl_ca", "",
                           "PEM file of the authorities that sign the server's certificate; the "
                           "system's are often in /etc/ssl/certs/ca-certificates.crt"),
    [OPTION_SSL_CERT] = TEXT("ssl_cert", "", "PEM file of a certificate for resvd itself"),
    [OPTION_SSL_KEY] = TEXT("ssl_key", "", "PEM file of that certificate's key"),
    [OPTION_GET_SERVER_PUBLIC_KEY] =
        {.key = "get_server_public_key",
         .type = RESV_OPTION_BOOLEAN,
         .default_text = "off",
         .help = "over TCP without TLS to another machine: let MySQL's caching_sha2_password ask "
                 "the server for the key that hides the password; whoever is in between could give "
                 "one of their own"},
    [OPTION_POOL_MIN] = NUMBER("pool_min", "2", 1, 1000, "connections", "kept open for sales"),
    [OPTION_POOL_MAX] =
        NUMBER("pool_max", "8", 1, 1000, "connections",
               "most for sales; more than 8 only add latency where all buy the same concert"),
    [OPTION_POOL_WAIT_MS] =
        NUMBER("pool_wait_ms", "2000", 1, 600000, "ms", "longest wait for a connection, then 503"),
    [OPTION_POOL_QUEUE_MAX] = NUMBER("pool_queue_max", "10000", 1, 1000000, "waits",
                                     "most that wait for a connection, then 503 at once"),
    [OPTION_CATALOG_POOL] =
        NUMBER("catalog_pool", "2", 0, 1000, "connections",
               "of their own for concerts, members and lookups, so that these do not wait behind "
               "sales; 0: they share the sales' ones"),
    [OPTION_CONNECT_TIMEOUT_MS] = NUMBER("connect_timeout_ms", "3000", 10, 600000, "ms",
                                         "from the host's name to a session that can be used"),
    [OPTION_STATEMENT_TIMEOUT_MS] =
        NUMBER("statement_timeout_ms", "4000", 10, 3600000, "ms",
               "longest wait for an answer; then the connection is closed and what it may have "
               "done is found out"),
    [OPTION_LOCK_WAIT_TIMEOUT_S] = NUMBER("lock_wait_timeout_s", "2", 1, 3600, "s",
                                          "longest wait of a statement for another's row lock"),
    [OPTION_IDLE_TIMEOUT_MS] = NUMBER("idle_timeout_ms", "60000", 10, 86400000, "ms",
                                      "connections above pool_min are closed when idle so long"),
    [OPTION_PING_INTERVAL_MS] = NUMBER("ping_interval_ms", "5000", 10, 3600000, "ms",
                                       "an idle connection is asked so often whether the server is "
                                       "there"),
    [OPTION_RECONNECT_MIN_MS] =
        NUMBER("reconnect_min_ms", "50", 1, 600000, "ms",
               "pause before the first try after a failed one; doubled by each, and by chance "
               "shorter"),
    [OPTION_RECONNECT_MAX_MS] =
        NUMBER("reconnect_max_ms", "2000", 1, 600000, "ms", "longest such pause"),
};

const struct resv_option_table database_options = {
    .section = "database",
    .help = "MariaDB or MySQL, for strategies that keep their rows there",
    .options = options,
    .count = sizeof options / sizeof options[0],
};

static const struct resv_metric metrics[] = {
    [METRIC_ACTIVE] = {.name = "db_connections_active",
                       .type = RESV_METRIC_GAUGE,
                       .help = "Connections that somebody has"},
    [METRIC_IDLE] = {.name = "db_connections_idle",
                     .type = RESV_METRIC_GAUGE,
                     .help = "Connections that are free"},
    [METRIC_PENDING] = {.name = "db_connections_pending",
                        .type = RESV_METRIC_GAUGE,
                        .help = "Waits for a connection"},
    [METRIC_MAX] = {.name = "db_connections_max",
                    .type = RESV_METRIC_GAUGE,
                    .help = "Most connections that may be open"},
    [METRIC_WAIT_SECONDS] = {.name = "db_connection_wait_seconds",
                             .type = RESV_METRIC_HISTOGRAM_SECONDS,
                             .help = "Wait until a connection was had"},
    [METRIC_STATEMENT_SECONDS] = {.name = "db_statement_seconds",
                                  .type = RESV_METRIC_HISTOGRAM_SECONDS,
                                  .help = "A round trip: statements sent in one write, answered"},
    [METRIC_CONNECTS] = {.name = "db_connects_total",
                         .type = RESV_METRIC_COUNTER,
                         .help = "Connections made"},
    [METRIC_CONNECT_FAILURES] = {.name = "db_connect_failures_total",
                                 .type = RESV_METRIC_COUNTER,
                                 .help = "Tries to connect that failed"},
    [METRIC_LOST] = {.name = "db_connections_lost_total",
                     .type = RESV_METRIC_COUNTER,
                     .help = "Connections that broke, were killed, or answered too late"},
    [METRIC_DEADLOCKS] = {.name = "db_deadlocks_total",
                          .type = RESV_METRIC_COUNTER,
                          .help = "Statements that the server ended for a deadlock"},
    [METRIC_LOCK_WAITS] = {.name = "db_lock_wait_timeouts_total",
                           .type = RESV_METRIC_COUNTER,
                           .help = "Statements that waited too long for a lock"},
    [METRIC_LOST_ENDED] = {.name = "db_lost_sessions_ended_total",
                           .type = RESV_METRIC_COUNTER,
                           .help = "Lost connections known to be over on the server: nothing of "
                                   "theirs is locked any more"},
    [METRIC_REFUSED_DOWN] = {.name = "db_waits_refused_down_total",
                             .type = RESV_METRIC_COUNTER,
                             .help = "Waits refused because the server cannot be reached"},
    [METRIC_REFUSED_QUEUE_FULL] = {.name = "db_waits_refused_queue_full_total",
                                   .type = RESV_METRIC_COUNTER,
                                   .help = "Waits refused because pool_queue_max waited"},
    [METRIC_REFUSED_WAITED_OUT] = {.name = "db_waits_refused_timeout_total",
                                   .type = RESV_METRIC_COUNTER,
                                   .help = "Waits that were pool_wait_ms long"},
};

const struct resv_metric_table database_metrics = {
    .metrics = metrics,
    .count = sizeof metrics / sizeof metrics[0],
    .title = "Connections to a database",
};

/* --- reading ---------------------------------------------------------------------------------- */

static int64_t number(struct resv_host *host, size_t option)
{
    return resv_option_integer(host, &database_options, option);
}

static const char *text(struct resv_host *host, size_t option)
{
    return resv_option_string(host, &database_options, option);
}

static bool fits_together(const struct mariadb_settings *settings, char *why, size_t why_size)
{
    const char *problem = NULL;
    if (settings->pool_min > settings->pool_max)
        problem = "pool_min is above pool_max: lower one or raise the other";
    else if (settings->reconnect_min_ms > settings->reconnect_max_ms)
        problem = "reconnect_min_ms is above reconnect_max_ms: lower one or raise the other";
    else if (settings->ssl_mode >= SSL_VERIFY_CA && settings->ssl_ca[0] == '\0' &&
             settings->socket[0] == '\0')
        problem = "ssl_mode = verify_ca and verify_identity need ssl_ca: the file of the "
                  "authorities that may sign the server's certificate";
    else if ((settings->ssl_cert[0] == '\0') != (settings->ssl_key[0] == '\0'))
        problem = "ssl_cert and ssl_key go together: set both or none";
    if (problem == NULL)
        return true;
    snprintf(why, why_size, "[database] %s", problem);
    return false;
}

bool mariadb_settings_read(struct resv_host *host, struct mariadb_settings *settings, char *why,
                           size_t why_size)
{
    *settings = (struct mariadb_settings){
        .host = text(host, OPTION_HOST),
        .socket = text(host, OPTION_SOCKET),
        .user = text(host, OPTION_USER),
        .password = text(host, OPTION_PASSWORD),
        .name = text(host, OPTION_NAME),
        .ssl_ca = text(host, OPTION_SSL_CA),
        .ssl_cert = text(host, OPTION_SSL_CERT),
        .ssl_key = text(host, OPTION_SSL_KEY),
        .port = (unsigned)number(host, OPTION_PORT),
        .ssl_mode =
            (enum mariadb_ssl_mode)resv_option_choice(host, &database_options, OPTION_SSL_MODE),
        .get_server_public_key =
            resv_option_boolean(host, &database_options, OPTION_GET_SERVER_PUBLIC_KEY),
        .pool_min = (size_t)number(host, OPTION_POOL_MIN),
        .pool_max = (size_t)number(host, OPTION_POOL_MAX),
        .pool_queue_max = (size_t)number(host, OPTION_POOL_QUEUE_MAX),
        .catalog_pool = (size_t)number(host, OPTION_CATALOG_POOL),
        .pool_wait_ms = (uint64_t)number(host, OPTION_POOL_WAIT_MS),
        .connect_timeout_ms = (uint64_t)number(host, OPTION_CONNECT_TIMEOUT_MS),
        .statement_timeout_ms = (uint64_t)number(host, OPTION_STATEMENT_TIMEOUT_MS),
        .idle_timeout_ms = (uint64_t)number(host, OPTION_IDLE_TIMEOUT_MS),
        .ping_interval_ms = (uint64_t)number(host, OPTION_PING_INTERVAL_MS),
        .reconnect_min_ms = (uint64_t)number(host, OPTION_RECONNECT_MIN_MS),
        .reconnect_max_ms = (uint64_t)number(host, OPTION_RECONNECT_MAX_MS),
        .lock_wait_timeout_s = (unsigned)number(host, OPTION_LOCK_WAIT_TIMEOUT_S),
    };
    return fits_together(settings, why, why_size);
}
