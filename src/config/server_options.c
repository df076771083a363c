/* [server]: the options of core itself. */
#include "config/server_options.h"

#include <stdio.h>
#include <string.h>

#include "config/address.h"
#include "log.h"
#include "resvd/assert.h"
#include "resvd/host.h"

#define MINUTE_MS 60000
#define HOUR_MS   (60 * MINUTE_MS)
#define DAY_MS    (24 * HOUR_MS)
#define MEBIBYTE  (INT64_C(1) << 20)
#define TEBIBYTE  (INT64_C(1) << 40)

static const char *const role_choices[] = {
    [RESV_ROLE_ALL] = "all", [RESV_ROLE_API] = "api", [RESV_ROLE_CONSUMER] = "consumer", NULL};
static const char *const auth_choices[] = {
    [SERVER_AUTH_KEYS] = "keys", [SERVER_AUTH_OFF] = "off", NULL};
static const char *const log_format_choices[] = {[LOG_FORMAT_AUTO] = "auto",
                                                 [LOG_FORMAT_TEXT] = "text",
                                                 [LOG_FORMAT_LOGFMT] = "logfmt",
                                                 [LOG_FORMAT_JSON] = "json",
                                                 NULL};
static const char *const log_level_choices[] = {[RESV_LOG_DEBUG] = "debug",
                                                [RESV_LOG_INFO] = "info",
                                                [RESV_LOG_WARNING] = "warning",
                                                [RESV_LOG_ERROR] = "error",
                                                NULL};

/* Keys travel in a header: visible ASCII. Never repeats one. */
static bool check_api_keys(const char *text, char *why, size_t why_size)
{
    size_t number = 0;
    const char *at = text;
    while (*at != '\0') {
        at += strspn(at, ", \t\r\n");
        size_t size = strcspn(at, ", \t\r\n");
        if (size == 0) {
            break;
        }
        number++;
        if (size > 255) {
            snprintf(why, why_size, "key %zu of the list has more than 255 bytes", number);
            return false;
        }
        for (size_t i = 0; i < size; i++) {
            if (at[i] < 0x21 || at[i] > 0x7e) {
                snprintf(why, why_size, "key %zu of the list is not visible ASCII", number);
                return false;
            }
        }
        at += size;
    }
    if (number == 0) {
        snprintf(why, why_size, "there is no key in the list");
    }
    return number > 0;
}

static const struct resv_option options[] = {
    [SERVER_STRATEGY] = {.key = "strategy",
                         .type = RESV_OPTION_STRING,
                         .default_text = "embedded",
                         .required = true,
                         .help = "Which strategy sells the seats; --list-strategies shows those "
                                 "that this binary has"},
    [SERVER_ROLE] = {.key = "role",
                     .type = RESV_OPTION_CHOICE,
                     .default_text = "all",
                     .choices = role_choices,
                     .help = "What this process does for an asynchronous strategy: api takes "
                             "requests, consumer writes the rows and opens only admin_listen, all "
                             "does both"},
    [SERVER_LISTEN] = {.key = "listen",
                       .type = RESV_OPTION_STRING,
                       .default_text = "127.0.0.1:8080",
                       .required = true,
                       .check = address_check_list,
                       .help = "Where the API listens: a comma-separated list of host:port, "
                               "[IPv6]:port and unix:/path; port 0 takes any free one"},
    [SERVER_ADMIN_LISTEN] = {.key = "admin_listen",
                             .type = RESV_OPTION_STRING,
                             .default_text = "127.0.0.1:9090",
                             .required = true,
                             .check = address_check_list,
                             .help = "Where metrics, health and the admin API listen, written as "
                                     "in listen"},
    [SERVER_MAX_CONNECTIONS] = {.key = "max_connections",
                                .type = RESV_OPTION_INTEGER,
                                .default_text = "16384",
                                .minimum = 1,
                                .maximum = 1000000,
                                .unit = "connections",
                                .help = "Connections open at once; one more is answered 503 and "
                                        "closed"},
    [SERVER_MAX_REQUESTS_PER_CONNECTION] = {.key = "max_requests_per_connection",
                                            .type = RESV_OPTION_INTEGER,
                                            .default_text = "1000000",
                                            .minimum = 1,
                                            .maximum = 1000000000,
                                            .unit = "requests",
                                            .reloadable = true,
                                            .help = "After so many requests on one connection the "
                                                    "answer says close"},
    [SERVER_MAX_OPERATIONS] = {.key = "max_operations",
                               .type = RESV_OPTION_INTEGER,
                               .default_text = "16384",
                               .minimum = 1,
                               .maximum = 1000000,
                               .unit = "operations",
                               .help = "Operations waiting or under way at once; when all are "
                                       "taken, requests are answered 503"},
    [SERVER_REQUEST_TIMEOUT_MS] = {.key = "request_timeout_ms",
                                   .type = RESV_OPTION_INTEGER,
                                   .default_text = "10000",
                                   .minimum = 1,
                                   .maximum = HOUR_MS,
                                   .unit = "ms",
                                   .reloadable = true,
                                   .help = "A request must be whole, head and body, so long after "
                                           "its first byte, else it is answered 408"},
    [SERVER_IDLE_TIMEOUT_MS] = {.key = "idle_timeout_ms",
                                .type = RESV_OPTION_INTEGER,
                                .default_text = "75000",
                                .minimum = 1,
                                .maximum = DAY_MS,
                                .unit = "ms",
                                .reloadable = true,
                                .help = "A connection without a request is closed after so long"},
    [SERVER_WRITE_TIMEOUT_MS] = {.key = "write_timeout_ms",
                                 .type = RESV_OPTION_INTEGER,
                                 .default_text = "30000",
                                 .minimum = 1,
                                 .maximum = HOUR_MS,
                                 .unit = "ms",
                                 .reloadable = true,
                                 .help = "A client that takes no byte of its answer for so long is "
                                         "disconnected"},
    [SERVER_OPERATION_TIMEOUT_MS] = {.key = "operation_timeout_ms",
                                     .type = RESV_OPTION_INTEGER,
                                     .default_text = "5000",
                                     .minimum = 1,
                                     .maximum = HOUR_MS,
                                     .unit = "ms",
                                     .help = "An operation that is not done after so long is "
                                             "cancelled"},
    [SERVER_OPERATION_GRACE_MS] = {.key = "operation_grace_ms",
                                   .type = RESV_OPTION_INTEGER,
                                   .default_text = "1000",
                                   .minimum = 0,
                                   .maximum = HOUR_MS,
                                   .unit = "ms",
                                   .help = "How long to wait, after cancelling an operation, for "
                                           "its true outcome"},
    [SERVER_DRAIN_TIMEOUT_MS] = {.key = "drain_timeout_ms",
                                 .type = RESV_OPTION_INTEGER,
                                 .default_text = "10000",
                                 .minimum = 0,
                                 .maximum = HOUR_MS,
                                 .unit = "ms",
                                 .help = "How long TERM waits for what is under way"},
    [SERVER_START_TIMEOUT_MS] = {.key = "start_timeout_ms",
                                 .type = RESV_OPTION_INTEGER,
                                 .default_text = "30000",
                                 .minimum = 0,
                                 .maximum = HOUR_MS,
                                 .unit = "ms",
                                 .help = "How long to try to reach the servers that the strategy "
                                         "needs before giving up with exit code 69"},
    [SERVER_ANSWER_MEMORY_BYTES] = {.key = "answer_memory_bytes",
                                    .type = RESV_OPTION_INTEGER,
                                    .default_text = "67108864",
                                    .minimum = MEBIBYTE,
                                    .maximum = TEBIBYTE,
                                    .unit = "bytes",
                                    .help = "Memory that large or unsent answers may hold, all "
                                            "connections together"},
    [SERVER_REQUEST_MEMORY_BYTES] = {.key = "request_memory_bytes",
                                     .type = RESV_OPTION_INTEGER,
                                     .default_text = "67108864",
                                     .minimum = MEBIBYTE,
                                     .maximum = TEBIBYTE,
                                     .unit = "bytes",
                                     .help = "Memory that partly received requests may hold, all "
                                             "connections together"},
    [SERVER_STUDY_API] = {.key = "study_api",
                          .type = RESV_OPTION_BOOLEAN,
                          .default_text = "off",
                          .help = "Serve the source study's own paths under /api/test and "
                                  "/api/reservations/request too"},
    [SERVER_ALLOW_RESET] = {.key = "allow_reset",
                            .type = RESV_OPTION_BOOLEAN,
                            .default_text = "off",
                            .help = "Let the admin API delete everything and start anew"},
    [SERVER_AUTH] = {.key = "auth",
                     .type = RESV_OPTION_CHOICE,
                     .default_text = "keys",
                     .choices = auth_choices,
                     .help = "Who may call: holders of a key in api_keys (without any key only "
                             "this machine can be listened to), or off: everybody"},
    [SERVER_API_KEYS] = {.key = "api_keys",
                         .type = RESV_OPTION_STRING,
                         .default_text = "",
                         .secret = true,
                         .reloadable = true,
                         .check = check_api_keys,
                         .help = "Keys that callers may use, separated by commas; in "
                                 "api_keys_file also one a line"},
    [SERVER_LOG_FORMAT] = {.key = "log_format",
                           .type = RESV_OPTION_CHOICE,
                           .default_text = "auto",
                           .choices = log_format_choices,
                           .help = "How log lines look; auto is text on a terminal, logfmt "
                                   "otherwise"},
    [SERVER_LOG_LEVEL] = {.key = "log_level",
                          .type = RESV_OPTION_CHOICE,
                          .default_text = "info",
                          .choices = log_level_choices,
                          .reloadable = true,
                          .help = "What is not as important as this is not logged"},
};

const struct resv_option_table server_options = {
    .section = "server",
    .help = "The HTTP server: where it listens, its limits and deadlines, its log",
    .options = options,
    .count = sizeof options / sizeof options[0],
};

static size_t check_reachable(struct config *config, size_t index)
{
    struct address addresses[ADDRESS_LIST_MAX];
    char why[512];
    size_t count = address_parse_list(config_string(config, &server_options, index), addresses,
                                      ADDRESS_LIST_MAX, why, sizeof why);
    for (size_t i = 0; i < count; i++) {
        if (!address_is_loopback(&addresses[i])) {
            char text[ADDRESS_TEXT_SIZE];
            address_format(&addresses[i], text, sizeof text);
            config_add_error(config,
                             "[server] %s: other machines can reach %s, and no api_keys are "
                             "given\n    give api_keys or api_keys_file, or write out auth = off",
                             options[index].key, text);
            return 1;
        }
    }
    return 0;
}

bool server_options_may_be_public(const struct config *config)
{
    return config_choice(config, &server_options, SERVER_AUTH) == SERVER_AUTH_OFF ||
           config_string(config, &server_options, SERVER_API_KEYS)[0] != '\0';
}

size_t server_options_check(struct config *config)
{
    bool is_open = config_choice(config, &server_options, SERVER_AUTH) == SERVER_AUTH_OFF;
    bool has_keys = config_string(config, &server_options, SERVER_API_KEYS)[0] != '\0';
    bool gives_keys = config_is_set(config, &server_options, SERVER_API_KEYS);
    if (gives_keys && !has_keys) {
        config_add_error(config, "[server] api_keys: there is no key in it, and nobody wrote out "
                                 "that everybody may come\n    give a key, or auth = off without "
                                 "api_keys");
        return 1;
    }
    if (is_open && has_keys) {
        config_add_error(config, "[server] auth = off lets everybody in, but api_keys are given, "
                                 "too\n    remove one of the two");
        return 1;
    }
    if (server_options_may_be_public(config)) {
        return 0;
    }
    size_t errors = 0;
    if (config_choice(config, &server_options, SERVER_ROLE) != RESV_ROLE_CONSUMER) {
        errors += check_reachable(config, SERVER_LISTEN);
    }
    return errors + check_reachable(config, SERVER_ADMIN_LISTEN);
}

size_t server_options_check_role(struct config *config, bool asynchronous, bool demo)
{
    size_t role = config_choice(config, &server_options, SERVER_ROLE);
    if (role != RESV_ROLE_ALL && !asynchronous) {
        config_add_error(config,
                         "[server] role = %s: strategy '%s' has no work to share out, only an "
                         "asynchronous one has\n    leave role out, or choose such a strategy",
                         role_choices[role],
                         config_string(config, &server_options, SERVER_STRATEGY));
        return 1;
    }
    if (role == RESV_ROLE_CONSUMER && demo) {
        config_add_error(config,
                         "[server] role = consumer: there is no API to try --demo's "
                         "commands on\n    give --demo to a process with role = all or api");
        return 1;
    }
    return 0;
}
