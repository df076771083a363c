/* What all tests of the MariaDB link stand on: a real host, and a loop. */
#include "mariadb_host.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "database.h"

#define WAIT_MS_MAX 20000

const char *server_setting(const char *name)
{
    char full[64];
    snprintf(full, sizeof full, "RESVD_TEST_DATABASE_%s", name);
    const char *value = getenv(full);
    if (value == NULL)
        fail_msg("%s is not set: run this test by tests/support/with_database.py", full);
    return value;
}

void mariadb_host_setting(struct mariadb_host *self, const char *key, const char *text)
{
    char name[64];
    snprintf(name, sizeof name, "database.%s", key);
    if (config_set_flag(self->config, name, text) != 0) {
        config_print_errors(self->config, stderr);
        fail_msg("[database] %s = %s", key, text);
    }
}

bool mariadb_host_create(struct mariadb_host *self, const struct host_events *events)
{
    static const struct resv_option_table *const tables[] = {&database_options, NULL};
    signal(SIGPIPE, SIG_IGN); /* as main() does */
    self->config = config_create(tables);
    self->metrics = metrics_create();
    if (self->config == NULL || self->metrics == NULL ||
        !metrics_register(self->metrics, &database_metrics, NULL) || uv_loop_init(&self->loop) != 0)
        return false;
    mariadb_host_setting(self, "host", server_setting("HOST"));
    mariadb_host_setting(self, "port", server_setting("PORT"));
    mariadb_host_setting(self, "user", server_setting("USER"));
    mariadb_host_setting(self, "name", server_setting("NAME"));
    const struct host_config config = {
        .loop = &self->loop, .config = self->config, .metrics = self->metrics, .events = *events};
    self->host = host_create(&config);
    return self->host != NULL;
}

static void host_is_closed(void *data)
{
    *(bool *)data = true;
}

int mariadb_host_destroy(struct mariadb_host *self)
{
    bool closed = false;
    host_close(self->host, host_is_closed, &closed);
    while (!closed)
        uv_run(&self->loop, UV_RUN_ONCE);
    host_destroy(self->host);
    metrics_destroy(self->metrics);
    config_destroy(self->config);
    return uv_loop_close(&self->loop);
}

static void set_flag(struct resv_timer *timer)
{
    *(bool *)timer->data = true;
}

static void wake(struct resv_timer *timer)
{
    resv_timer_start(timer->data, timer, 1);
}

/* A callback may come at the flush point, just before the loop waits: so it never waits long. */
void mariadb_host_run_until(struct mariadb_host *self, const bool *flag)
{
    bool late = false;
    struct resv_timer limit = {.fired = set_flag, .data = &late};
    struct resv_timer pulse = {.fired = wake, .data = self->host};
    resv_timer_start(self->host, &limit, WAIT_MS_MAX);
    resv_timer_start(self->host, &pulse, 1);
    while (!*flag && !late)
        uv_run(&self->loop, UV_RUN_ONCE);
    resv_timer_stop(self->host, &limit);
    resv_timer_stop(self->host, &pulse);
    assert_false(late);
}

void mariadb_host_run_ms(struct mariadb_host *self, uint64_t milliseconds)
{
    bool passed = false;
    struct resv_timer timer = {.fired = set_flag, .data = &passed};
    resv_timer_start(self->host, &timer, milliseconds);
    mariadb_host_run_until(self, &passed);
}
