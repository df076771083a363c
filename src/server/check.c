/* --check-config: what the strategy itself says about its settings. */
#include "server/check.h"

#include <stdio.h>
#include <uv.h>

#include "config/command_line.h"
#include "config/server_options.h"
#include "host/host.h"
#include "resvd/assert.h"
#include "server/server_metrics.h"

struct check {
    uv_loop_t loop;
    struct resv_host *host;
    int exit_code;
};

static void host_is_closed(void *data)
{
    (void)data;
}

static void say_failed(void *data, int exit_code, const char *message)
{
    struct check *check = data;
    fprintf(stderr, "resvd: %s\n", message);
    check->exit_code = exit_code;
}

static void strategy_is_closed(void *data)
{
    struct check *check = data;
    host_close(check->host, host_is_closed, check);
}

static void open_and_close(struct check *check, const struct resv_strategy *strategy)
{
    void *instance = NULL;
    if (strategy->open(check->host, &instance) == 0) {
        strategy->close(instance);
        return;
    }
    if (check->exit_code == EXIT_CODE_OK) /* it said nothing itself */
        say_failed(check, EXIT_CODE_FAILURE, "the strategy could not be opened");
    strategy_is_closed(check);
}

int server_check(const struct config *config, const struct resv_strategy *strategy)
{
    struct check check = {.exit_code = EXIT_CODE_OK};
    RESV_ASSERT(uv_loop_init(&check.loop) == 0);
    const struct host_config host_config = {
        .loop = &check.loop,
        .config = config,
        .metrics = metrics_create(),
        .events = {.start_failed = say_failed, .closed = strategy_is_closed, .data = &check},
        .role = (enum resv_role)config_choice(config, &server_options, SERVER_ROLE),
    };
    if (host_config.metrics != NULL &&
        server_metrics_register_strategy(host_config.metrics, strategy))
        check.host = host_create(&host_config);
    if (check.host != NULL)
        open_and_close(&check, strategy);
    else
        say_failed(&check, EXIT_CODE_FAILURE, "out of memory");
    uv_run(&check.loop, UV_RUN_DEFAULT);
    host_destroy(check.host);
    metrics_destroy(host_config.metrics);
    RESV_ASSERT(uv_loop_close(&check.loop) == 0);
    return check.exit_code;
}
