/* The Redis link's options: the table, and the settings read from it. */
#include <stdio.h>
#include <string.h>

#include "redis_internal.h"
#include "resvd/assert.h"

enum {
    OPTION_STOCK,
    OPTION_LOCK_NODES,
    OPTION_USER,
    OPTION_PASSWORD,
    OPTION_TLS,
    OPTION_TLS_CA,
    OPTION_TLS_CERT,
    OPTION_TLS_KEY,
    OPTION_TLS_NAME,
    OPTION_KEY_PREFIX,
    OPTION_CONNECT_TIMEOUT_MS,
    OPTION_TIMEOUT_MS,
    OPTION_PING_INTERVAL_MS,
    OPTION_RECONNECT_MIN_MS,
    OPTION_RECONNECT_MAX_MS,
};

#define KEY_PREFIX_BYTES_MAX 32 /* leaves room in REDIS_CHANNEL_SIZE_MAX */

/* In the order of enum redis_tls_mode. */
static const char *const tls_modes[] = {"off", "on", "verify_ca", NULL};

static bool check_stock(const char *text, char *why, size_t why_size)
{
    struct redis_address address;
    if (redis_address_parse_list(text, &address, 1, why, why_size) == 1)
        return true;
    if (strchr(text, ',') != NULL)
        snprintf(why, why_size, "the stock is on one node: write one address");
    return false;
}

static bool check_lock_nodes(const char *text, char *why, size_t why_size)
{
    struct redis_address addresses[REDIS_NODES_MAX];
    size_t count = redis_address_parse_list(text, addresses, REDIS_NODES_MAX, why, why_size);
    if (count == 0 || count % 2 == 1)
        return count > 0;
    snprintf(why, why_size, "names %zu nodes: it must be 1, 3 or 5, of which most are a majority",
             count);
    return false;
}

static bool check_key_prefix(const char *text, char *why, size_t why_size)
{
    for (const char *at = text; *at != '\0'; at++) {
        if (*at <= ' ' || *at > '~' || strchr("{}*?[]\\", *at) != NULL) {
            snprintf(why, why_size,
                     "has a character that may not be in it: letters, digits and . : - _ are good");
            return false;
        }
    }
    if (strlen(text) <= KEY_PREFIX_BYTES_MAX)
        return true;
    snprintf(why, why_size, "is longer than %d bytes", KEY_PREFIX_BYTES_MAX);
    return false;
}

#define TEXT(option_key, standard, option_help)                                                    \
    {                                                                                              \
        .key = (option_key), .type = RESV_OPTION_STRING, .default_text = (standard),               \
        .help = (option_help)                                                                      \
    }
#define CHECKED(option_key, standard, option_check, option_help)                                   \
    {                                                                                              \
        .key = (option_key), .type = RESV_OPTION_STRING, .default_text = (standard),               \
        .required = true, .check = (option_check), .help = (option_help)                           \
    }
#define NUMBER(option_key, standard, least, most, option_help)                                     \
    {                                                                                              \
        .key = (option_key), .type = RESV_OPTION_INTEGER, .default_text = (standard),              \
        .minimum = (least), .maximum = (most), .unit = "ms", .help = (option_help)                 \
    }

static const struct resv_option options[] = {
    [OPTION_STOCK] = CHECKED("stock", "127.0.0.1:6379", check_stock,
                             "the node that keeps the stock, for strategies that have it in Redis: "
                             "host:port, [IPv6]:port or unix:/path"),
    [OPTION_LOCK_NODES] =
        CHECKED("lock_nodes", "127.0.0.1:6380,127.0.0.1:6381,127.0.0.1:6382", check_lock_nodes,
                "the nodes that keep locks, which must know nothing of each other: 1, 3 or 5, "
                "comma-separated, written as the stock is"),
    [OPTION_USER] = TEXT("user", "", "who logs in, on all nodes; empty: Redis' default user"),
    [OPTION_PASSWORD] = {.key = "password",
                         .type = RESV_OPTION_STRING,
                         .default_text = "",
                         .secret = true,
                         .help = "that user's password; empty: none is sent; read at the start "
                                 "only: a change needs a restart"},
    [OPTION_TLS] = {.key = "tls",
                    .type = RESV_OPTION_CHOICE,
                    .default_text = "off",
                    .choices = tls_modes,
                    .help = "TLS, but not by unix sockets: off; on (the certificate must be of "
                            "tls_ca and for the host named); verify_ca (for any host)"},
    [OPTION_TLS_CA] = TEXT("tls_ca", "",
                           "PEM file of the authorities that sign the servers' certificates; "
                           "empty: the system's"),
    [OPTION_TLS_CERT] = TEXT("tls_cert", "", "PEM file of a certificate for resvd itself"),
    [OPTION_TLS_KEY] = TEXT("tls_key", "", "PEM file of that certificate's key"),
    [OPTION_TLS_NAME] =
        TEXT("tls_name", "", "the name that all certificates are for; empty: each node's own host"),
    [OPTION_KEY_PREFIX] = CHECKED("key_prefix", "resvd:", check_key_prefix,
                                  "what all keys and channels begin with; another one for each "
                                  "installation that shares a Redis"),
    [OPTION_CONNECT_TIMEOUT_MS] = NUMBER("connect_timeout_ms", "2000", 10, 600000,
                                         "from the host's name to a connection that can be used"),
    [OPTION_TIMEOUT_MS] = NUMBER(
        "timeout_ms", "1000", 1, 600000,
        "longest wait for an answer, but for the strategy's calls where it has a time-out of "
        "its own for them; a connection that is silent for twice the longest time-out of "
        "what it was asked, and for a second at least, is made anew"),
    [OPTION_PING_INTERVAL_MS] =
        NUMBER("ping_interval_ms", "2000", 10, 3600000,
               "an idle connection is asked so often whether the server is there"),
    [OPTION_RECONNECT_MIN_MS] =
        NUMBER("reconnect_min_ms", "50", 1, 600000,
               "pause before the first try after a failed one; doubled by each, and by chance "
               "shorter"),
    [OPTION_RECONNECT_MAX_MS] = NUMBER("reconnect_max_ms", "2000", 1, 600000, "longest such pause"),
};

const struct resv_option_table redis_options = {
    .section = "redis",
    .help = "Redis or Valkey, for strategies that keep locks or the stock there",
    .options = options,
    .count = sizeof options / sizeof options[0],
};

/* --- reading ---------------------------------------------------------------------------------- */

static uint64_t number(struct resv_host *host, size_t option)
{
    return (uint64_t)resv_option_integer(host, &redis_options, option);
}

static const char *text(struct resv_host *host, size_t option)
{
    return resv_option_string(host, &redis_options, option);
}

static void add_problem(char *why, size_t why_size, const char *problem)
{
    size_t used = strlen(why);
    snprintf(why + used, why_size - used, "%s%s", used == 0 ? "[redis] " : "; ", problem);
}

/* Whoever has set them believes that they protect something. */
static void check_unused_tls(const struct redis_settings *settings, char *why, size_t why_size)
{
    const struct {
        const char *key, *value;
    } unused[] = {{"tls_ca", settings->tls_ca},
                  {"tls_cert", settings->tls_cert},
                  {"tls_key", settings->tls_key},
                  {"tls_name", settings->tls_name}};
    char keys[64] = "", problem[160];
    for (size_t i = 0; i < sizeof unused / sizeof unused[0]; i++) {
        size_t used = strlen(keys);
        if (unused[i].value[0] != '\0')
            snprintf(keys + used, sizeof keys - used, "%s%s", used > 0 ? ", " : "", unused[i].key);
    }
    if (keys[0] == '\0')
        return;
    snprintf(problem, sizeof problem,
             "tls = off, and %s set: set tls = on for them to count, or take them out", keys);
    add_problem(why, why_size, problem);
}

/* All that is wrong, so that it is corrected at once. */
static bool fits_together(const struct redis_settings *settings, char *why, size_t why_size)
{
    why[0] = '\0';
    if (settings->reconnect_min_ms > settings->reconnect_max_ms)
        add_problem(why, why_size,
                    "reconnect_min_ms is above reconnect_max_ms: lower one or raise the other");
    if ((settings->tls_cert[0] == '\0') != (settings->tls_key[0] == '\0'))
        add_problem(why, why_size, "tls_cert and tls_key go together: set both or none");
    if (settings->tls == REDIS_TLS_VERIFY_CA && settings->tls_ca[0] == '\0')
        add_problem(why, why_size,
                    "tls = verify_ca needs tls_ca: without it, whoever has a certificate of any "
                    "authority that the system trusts would be taken for the server");
    if (settings->tls == REDIS_TLS_OFF)
        check_unused_tls(settings, why, why_size);
    else if (!redis_tls_is_built_in())
        add_problem(why, why_size,
                    "tls: this resvd was built without OpenSSL: install its development package "
                    "(libssl-dev) and build again, or set tls = off and connect by a network that "
                    "nobody else reads");
    return why[0] == '\0';
}

bool redis_settings_read(struct resv_host *host, enum redis_use use,
                         struct redis_settings *settings, char *why, size_t why_size)
{
    *settings = (struct redis_settings){
        .user = text(host, OPTION_USER),
        .password = text(host, OPTION_PASSWORD),
        .key_prefix = text(host, OPTION_KEY_PREFIX),
        .tls = (enum redis_tls_mode)resv_option_choice(host, &redis_options, OPTION_TLS),
        .tls_ca = text(host, OPTION_TLS_CA),
        .tls_cert = text(host, OPTION_TLS_CERT),
        .tls_key = text(host, OPTION_TLS_KEY),
        .tls_name = text(host, OPTION_TLS_NAME),
        .connect_timeout_ms = number(host, OPTION_CONNECT_TIMEOUT_MS),
        .timeout_ms = number(host, OPTION_TIMEOUT_MS),
        .ping_interval_ms = number(host, OPTION_PING_INTERVAL_MS),
        .reconnect_min_ms = number(host, OPTION_RECONNECT_MIN_MS),
        .reconnect_max_ms = number(host, OPTION_RECONNECT_MAX_MS),
    };
    size_t option = use == REDIS_LOCKS ? OPTION_LOCK_NODES : OPTION_STOCK;
    settings->nodes_count = redis_address_parse_list(text(host, option), settings->nodes,
                                                     REDIS_NODES_MAX, why, why_size);
    RESV_ASSERT(settings->nodes_count > 0); /* it was checked when it was read */
    return fits_together(settings, why, why_size);
}
