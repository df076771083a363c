/* [server]: the options of core itself. */
#ifndef RESVD_CONFIG_SERVER_OPTIONS_H
#define RESVD_CONFIG_SERVER_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"
#include "resvd/option.h"

/* Positions in server_options. */
enum server_option {
    SERVER_STRATEGY,
    SERVER_ROLE,
    SERVER_LISTEN,
    SERVER_ADMIN_LISTEN,
    SERVER_MAX_CONNECTIONS,
    SERVER_MAX_REQUESTS_PER_CONNECTION,
    SERVER_MAX_OPERATIONS,
    SERVER_REQUEST_TIMEOUT_MS,
    SERVER_IDLE_TIMEOUT_MS,
    SERVER_WRITE_TIMEOUT_MS,
    SERVER_OPERATION_TIMEOUT_MS,
    SERVER_OPERATION_GRACE_MS,
    SERVER_DRAIN_TIMEOUT_MS,
    SERVER_START_TIMEOUT_MS,
    SERVER_ANSWER_MEMORY_BYTES,
    SERVER_REQUEST_MEMORY_BYTES,
    SERVER_STUDY_API,
    SERVER_ALLOW_RESET,
    SERVER_AUTH,
    SERVER_API_KEYS,
    SERVER_LOG_FORMAT,
    SERVER_LOG_LEVEL,
};

/* Positions in the choices of SERVER_AUTH. Those of SERVER_LOG_FORMAT are enum log_format, those
 * of SERVER_LOG_LEVEL enum resv_log_level, those of SERVER_ROLE enum resv_role. */
enum server_auth { SERVER_AUTH_KEYS, SERVER_AUTH_OFF };

extern const struct resv_option_table server_options;

/* Whether listeners may be reachable from other machines: keys are asked for, or auth = off was
 * written out. The one place of that rule, for configured addresses and handed-over sockets. */
bool server_options_may_be_public(const struct config *config);

/* What one option alone cannot tell, to be called after config_finish without errors: a listener
 * that other machines can reach needs api_keys, or auth = off written out. Returns the number of
 * errors that it added to the config's. */
size_t server_options_check(struct config *config);
/* A role other than all is for asynchronous strategies. As server_options_check. */
size_t server_options_check_role(struct config *config, bool asynchronous, bool demo);

#endif
