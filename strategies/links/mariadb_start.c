/* How the MariaDB link starts: the first session, the schema, the pools' minimum; trying again what
 * may go away, and giving up in time for words of its own. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mariadb_session_internal.h"
#include "resvd/assert.h"

#define NS_PER_MS 1000000ULL
/* Kept of the start's time for our own words, which say more than "did not start in time". */
#define START_MARGIN_MS 500

bool mariadb_link_is_starting(const struct database_link *link)
{
    return link->state == LINK_CONNECTING || link->state == LINK_PREPARING ||
           link->state == LINK_FILLING;
}

static void fail_start(struct database_link *link, int exit_code, const char *message)
{
    if (link->state == LINK_FAILED || link->state == LINK_CLOSING)
        return;
    link->state = LINK_FAILED;
    resv_timer_stop(link->host, &link->retry_timer);
    resv_timer_stop(link->host, &link->tick);
    resv_host_health(link->host, MARIADB_COMPONENT, RESV_HEALTH_DOWN, 0, message);
    link->events.open_failed(link->events.data, exit_code, message);
}

uint64_t mariadb_start_deadline_ns(const struct database_link *link)
{
    if (!mariadb_link_is_starting(link))
        return UINT64_MAX;
    uint64_t deadline_ns = resv_host_start_deadline_ns(link->host);
    return deadline_ns == UINT64_MAX ? UINT64_MAX : deadline_ns - START_MARGIN_MS * NS_PER_MS;
}

/* The reason of an earlier try says more than that the last was cut short. */
static void give_up(struct database_link *link, const char *text)
{
    char reason[sizeof link->said];
    snprintf(reason, sizeof reason, "%s", link->said[0] == '\0' ? text : link->said);
    fail_start(link, MARIADB_EXIT_UNAVAILABLE, reason);
}

void mariadb_start_try_again(struct database_link *link, int exit_code, const char *text)
{
    uint64_t deadline_ns = mariadb_start_deadline_ns(link);
    uint64_t now_ns = resv_now_ns(link->host);
    if (exit_code != MARIADB_EXIT_UNAVAILABLE) {
        fail_start(link, exit_code, text);
    } else if (now_ns >= deadline_ns) {
        give_up(link, text);
    } else {
        mariadb_link_log_failure(link, text);
        mariadb_link_retry_later(link, (deadline_ns - now_ns) / NS_PER_MS + 1);
    }
}

static void finish_start(struct database_link *link)
{
    link->state = LINK_OPEN;
    link->failures = 0;
    resv_timer_stop(link->host, &link->tick);
    resv_timer_start(link->host, &link->tick, 0);
    resv_log(link->host, RESV_LOG_INFO, "database opened", "server",
             link->server_is_mariadb ? "MariaDB" : "MySQL", "version", link->version, NULL);
    link->up = true;
    mariadb_link_say_health(link);
    link->events.opened(link->events.data);
}

static void begin_first(struct database_link *link)
{
    link->first = mariadb_pool_connect(&link->sales);
    if (link->first == NULL)
        fail_start(link, 1, "out of memory");
}

static void on_prepared(void *data, int exit_code, const char *message)
{
    struct database_link *link = data;
    struct database_session *session = link->first;
    link->first = NULL;
    char text[512] = "";
    if (exit_code != 0)
        snprintf(text, sizeof text, "%s", message);
    if (exit_code != 0) /* whatever it was in the middle of: not for others */
        mariadb_session_lose(session, MARIADB_ERROR_CLOSING, "the schema is not there");
    database_give_back(session);
    if (link->state == LINK_CLOSING) {
        mariadb_link_schedule(link);
        return;
    }
    if (link->state == LINK_FAILED)
        return;
    if (exit_code != 0) {
        link->failures++;
        link->state = LINK_CONNECTING;
        mariadb_start_try_again(link, exit_code, text);
        return;
    }
    link->state = LINK_FILLING;
    mariadb_link_schedule(link);
}

void mariadb_start_prepare(struct database_link *link)
{
    link->state = LINK_PREPARING;
    mariadb_schema_prepare(link->first, resv_wall_ms(link->host), on_prepared, link);
}

static void check_filled(struct database_link *link)
{
    bool filled = true;
    for (size_t i = 0; i < link->pool_count; i++)
        filled = filled && mariadb_pool_is_filled(link->pools[i]);
    bool enough = link->crowded && link->sales.idle_first != NULL &&
                  link->pools[link->pool_count - 1]->idle_first != NULL;
    if (filled || enough)
        finish_start(link);
}

void mariadb_start_go_on(struct database_link *link)
{
    bool is_free = link->first == NULL && link->retry_timer.heap_index == 0;
    if (link->state == LINK_CONNECTING && link->cannot_start)
        fail_start(link, MARIADB_EXIT_CONFIG, link->problem);
    else if (is_free && resv_now_ns(link->host) >= mariadb_start_deadline_ns(link))
        give_up(link, "no answer in time: see [database], or raise start_timeout_ms of [server]");
    else if (link->state == LINK_CONNECTING && is_free)
        begin_first(link);
    else if (link->state == LINK_FILLING)
        check_filled(link);
}

/* libmariadb names no file that it cannot read. */
static void check_files(struct database_link *link)
{
    const struct mariadb_settings *settings = &link->settings;
    if (settings->ssl_mode == SSL_OFF || settings->socket[0] != '\0')
        return;
    const struct {
        const char *key, *path;
    } files[] = {{"ssl_ca", settings->ssl_ca},
                 {"ssl_cert", settings->ssl_cert},
                 {"ssl_key", settings->ssl_key}};
    for (size_t i = 0; i < sizeof files / sizeof files[0] && !link->cannot_start; i++) {
        if (files[i].path[0] == '\0' || access(files[i].path, R_OK) == 0)
            continue;
        link->cannot_start = true;
        snprintf(link->problem, sizeof link->problem, "[database] %s: %s cannot be read: %s",
                 files[i].key, files[i].path, strerror(errno));
    }
}

void database_link_start(struct database_link *link)
{
    RESV_ASSERT(link->state == LINK_CREATED);
    resv_host_health(link->host, MARIADB_COMPONENT, RESV_HEALTH_STARTING, 0, NULL);
    resv_metric_set(link->host, &database_metrics, METRIC_MAX,
                    (int64_t)(link->settings.pool_max + link->settings.catalog_pool));
    link->state = LINK_CONNECTING;
    check_files(link);
    mariadb_link_schedule(link);
}
