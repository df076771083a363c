/* The life of the MariaDB link: up and down, health, interrupt, close.
 *
 *   CREATED ──► CONNECTING ──► PREPARING ──► FILLING ──► OPEN ──► CLOSING ──► freed
 *                  ▲    │ lost     │            │
 *                  └────┴──────────┘            │   (again, until shortly before the start's end)
 *                       └──────────┴────────────┴──► FAILED ──► CLOSING
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mariadb_session_internal.h"
#include "resvd/assert.h"

#define NS_PER_MS    1000000ULL
#define CONNECTS_MAX 8 /* under way at once */
#define TICKS        4 /* in the shorter of ping_interval_ms and idle_timeout_ms */
#define TICK_MS_MIN  5

/* --- what the others ask -----------------------------------------------------------------------
 */

struct resv_host *mariadb_link_host(const struct database_link *link)
{
    return link->host;
}

const struct database_link_config *mariadb_link_config(const struct database_link *link)
{
    return &link->config;
}

const struct database_link_events *mariadb_link_events(const struct database_link *link)
{
    return &link->events;
}

uint64_t mariadb_link_statement_timeout_ms(const struct database_link *link)
{
    return link->settings.statement_timeout_ms;
}

size_t mariadb_link_reads_max(const struct database_link *link)
{
    return link->pools[link->pool_count - 1]->maximum;
}

bool mariadb_link_server_is_mariadb(const struct database_link *link)
{
    return link->server_is_mariadb;
}

uint64_t database_link_sessions_connected(const struct database_link *link)
{
    return link->sessions_connected;
}

bool database_link_is_up(const struct database_link *link)
{
    return link->up;
}

uint64_t database_link_lock_wait_ms(const struct database_link *link)
{
    return link->settings.lock_wait_timeout_s * 1000ULL;
}

struct resv_catalog *database_link_catalog(struct database_link *link)
{
    return mariadb_catalog_seam(link->catalog);
}

size_t database_link_catalog_under_way(const struct database_link *link)
{
    return mariadb_catalog_under_way(link->catalog);
}

size_t mariadb_link_alive(const struct database_link *link)
{
    size_t alive = 0;
    for (size_t i = 0; i < link->pool_count; i++)
        alive += mariadb_pool_alive(link->pools[i]);
    return alive;
}

static size_t in_state(const struct database_link *link, enum mariadb_session_state state)
{
    size_t count = 0;
    for (size_t i = 0; i < link->pool_count; i++)
        count += link->pools[i]->counts[state];
    return count;
}

bool mariadb_link_has_another(const struct database_link *link, int64_t connection_id,
                              const struct database_session_name *name)
{
    for (const struct database_session *session = link->sessions; session != NULL;
         session = session->all_next) {
        if (!session->lost && session->connection_id == connection_id &&
            session->name.server == name->server &&
            memcmp(session->name.bytes, name->bytes, sizeof name->bytes) != 0)
            return true;
    }
    return false;
}

/* --- what is shown -----------------------------------------------------------------------------
 */

void mariadb_link_show(struct database_link *link)
{
    struct resv_host *host = link->host;
    size_t pending = 0;
    for (size_t i = 0; i < link->pool_count; i++)
        pending += mariadb_pool_waiting(link->pools[i]);
    resv_metric_set(host, &database_metrics, METRIC_ACTIVE, (int64_t)in_state(link, SESSION_TAKEN));
    resv_metric_set(host, &database_metrics, METRIC_IDLE,
                    (int64_t)(in_state(link, SESSION_IDLE) + in_state(link, SESSION_PINGING)));
    resv_metric_set(host, &database_metrics, METRIC_PENDING, (int64_t)pending);
}

void mariadb_link_say_health(struct database_link *link)
{
    if (link->state != LINK_OPEN)
        return;
    char detail[256] = "";
    if (!link->up || link->refuses_writes)
        snprintf(detail, sizeof detail, "%.255s", link->problem);
    else if (link->crowded)
        snprintf(detail, sizeof detail, "works with %zu connections: %.200s",
                 mariadb_link_alive(link), link->problem);
    bool good = link->up && !link->refuses_writes;
    enum resv_health_state away = link->config.may_be_away ? RESV_HEALTH_MISSED : RESV_HEALTH_DOWN;
    resv_host_health(link->host, MARIADB_COMPONENT, good ? RESV_HEALTH_UP : away, link->latency_ns,
                     detail[0] == '\0' ? NULL : detail);
    link->health_ns = resv_now_ns(link->host);
}

void mariadb_link_note_error(struct database_link *link, unsigned error, const char *message)
{
    enum database_result result = mariadb_result_of_error(error);
    if (result == DATABASE_DEADLOCK)
        resv_metric_add(link->host, &database_metrics, METRIC_DEADLOCKS, 1);
    if (result == DATABASE_LOCK_WAIT)
        resv_metric_add(link->host, &database_metrics, METRIC_LOCK_WAITS, 1);
    if (!mariadb_error_refuses_writes(error))
        return;
    link->refused_ns = resv_now_ns(link->host);
    if (link->refuses_writes)
        return;
    link->refuses_writes = true;
    snprintf(link->problem, sizeof link->problem, "the server refuses to write: %s", message);
    mariadb_link_say_health(link);
}

static void set_up(struct database_link *link, bool up)
{
    if (link->up == up)
        return;
    link->up = up;
    if (!up)
        link->server_without_tls = false;
    mariadb_link_say_health(link);
    if (link->state == LINK_OPEN)
        link->events.up_changed(link->events.data);
}

/* --- up and down -------------------------------------------------------------------------------
 */

/* Full jitter: anything up to a limit that doubles with every failure. */
static uint64_t backoff_ms(struct database_link *link)
{
    uint64_t limit_ms = link->settings.reconnect_min_ms;
    for (unsigned i = 1; i < link->failures && limit_ms < link->settings.reconnect_max_ms; i++)
        limit_ms *= 2;
    if (limit_ms > link->settings.reconnect_max_ms)
        limit_ms = link->settings.reconnect_max_ms;
    uint64_t chance;
    resv_random_bytes(link->host, &chance, sizeof chance);
    return 1 + chance % limit_ms;
}

void mariadb_link_retry_later(struct database_link *link, uint64_t most_ms)
{
    uint64_t delay_ms = backoff_ms(link);
    if (link->retry_timer.heap_index == 0)
        resv_timer_start(link->host, &link->retry_timer, delay_ms < most_ms ? delay_ms : most_ms);
}

/* Once for each reason, not for each try. */
void mariadb_link_log_failure(struct database_link *link, const char *text)
{
    if (strcmp(link->said, text) == 0)
        return;
    snprintf(link->said, sizeof link->said, "%s", text);
    resv_log(link->host, RESV_LOG_WARNING, "database connection failed", "reason", text, "next",
             "tries again", NULL);
}

void mariadb_link_connected(struct database_session *session)
{
    struct database_link *link = session->link;
    link->failures = 0;
    link->said[0] = '\0';
    resv_timer_stop(link->host, &link->retry_timer);
    mariadb_lost_try_again(link);
    if (link->state == LINK_CONNECTING && session == link->first) {
        mariadb_start_prepare(link);
        return;
    }
    bool was_crowded = link->crowded;
    link->crowded = false;
    if (link->state != LINK_OPEN)
        return;
    if (was_crowded)
        mariadb_link_say_health(link);
    set_up(link, true);
}

void mariadb_link_connect_failed(struct database_link *link, unsigned error, const char *message)
{
    char text[sizeof link->problem];
    if (link->state == LINK_CLOSING || link->state == LINK_FAILED)
        return;
    int exit_code = mariadb_explain_start_error(link, error, message, text, sizeof text);
    link->failures++;
    link->crowded = mariadb_error_is_crowded(error);
    if (link->state == LINK_FILLING && link->crowded) {
        mariadb_link_log_failure(link, text); /* what there is must do: see mariadb_link_work */
        memcpy(link->problem, text, sizeof text);
        mariadb_link_retry_later(link, UINT64_MAX);
        return;
    }
    if (mariadb_link_is_starting(link)) {
        mariadb_start_try_again(link, exit_code, text);
        return;
    }
    mariadb_link_log_failure(link, text);
    memcpy(link->problem, text, sizeof text);
    if (mariadb_link_alive(link) == 0)
        set_up(link, false);
    mariadb_link_say_health(link);
    mariadb_link_retry_later(link, UINT64_MAX);
}

static void on_retry(struct resv_timer *timer)
{
    mariadb_link_schedule(timer->data);
}

static void on_tick(struct resv_timer *timer)
{
    struct database_link *link = timer->data;
    const struct mariadb_settings *settings = &link->settings;
    if (link->refuses_writes &&
        resv_now_ns(link->host) - link->refused_ns >= settings->ping_interval_ms * NS_PER_MS) {
        link->refuses_writes = false; /* until the next that is refused */
        mariadb_link_say_health(link);
    }
    mariadb_lost_try_again(link);
    for (size_t i = 0; i < link->pool_count; i++)
        mariadb_pool_look_after(link->pools[i]);
    mariadb_link_schedule(link);
    uint64_t shorter_ms = settings->ping_interval_ms < settings->idle_timeout_ms
                              ? settings->ping_interval_ms
                              : settings->idle_timeout_ms;
    uint64_t tick_ms = shorter_ms / TICKS;
    resv_timer_start(link->host, &link->tick, tick_ms < TICK_MS_MIN ? TICK_MS_MIN : tick_ms);
}

/* --- the flush point ---------------------------------------------------------------------------
 */

void mariadb_link_schedule(struct database_link *link)
{
    resv_defer(link->host, &link->flush);
}

/* After a failure only one at a time: the server may be on its knees. */
bool mariadb_link_may_connect(const struct database_link *link)
{
    size_t connecting = in_state(link, SESSION_CONNECTING);
    bool is_time = link->retry_timer.heap_index == 0;
    return (link->state == LINK_OPEN || link->state == LINK_FILLING) && is_time &&
           connecting < (link->failures == 0 ? CONNECTS_MAX : 1);
}

static void free_link(struct database_link *link)
{
    struct database_link_events events = link->events;
    resv_timer_stop(link->host, &link->retry_timer);
    resv_timer_stop(link->host, &link->tick);
    mariadb_catalog_destroy(link->catalog);
    free(link->lost.names);
    free(link);
    events.closed(events.data);
}

static void free_closed_sessions(struct database_link *link)
{
    while (link->closed != NULL) {
        struct database_session *session = link->closed;
        link->closed = session->next;
        mariadb_session_free(session);
    }
}

/* At the start, sales (who have the connection that made the schema) wait for the reads' first. */
static bool reads_have_none_yet(const struct database_link *link)
{
    return link->state == LINK_FILLING &&
           mariadb_pool_alive(link->pools[link->pool_count - 1]) == 0;
}

static void on_flush(struct resv_deferred *deferred)
{
    struct database_link *link = deferred->data;
    free_closed_sessions(link);
    if (link->state == LINK_CLOSING) {
        if (link->sessions == NULL && link->sockets_open == 0)
            free_link(link);
        return;
    }
    mariadb_lost_serve(link);
    /* The reads' few first: where the server gives not enough for all, both have some. */
    for (size_t i = link->pool_count; i > 0 && link->state != LINK_CLOSING; i--) {
        mariadb_pool_serve(link->pools[i - 1]);
        if (i == link->pool_count || !reads_have_none_yet(link))
            mariadb_pool_grow(link->pools[i - 1]);
    }
    if (mariadb_link_is_starting(link))
        mariadb_start_go_on(link);
    mariadb_link_show(link);
}

/* --- interrupt and close ------------------------------------------------------------------------
 */

void database_link_interrupt(struct database_link *link)
{
    for (struct database_session *session = link->sessions; session != NULL;
         session = session->all_next) {
        if (session->state == SESSION_TAKEN && session->query != NULL) {
            session->abort = true;
            resv_defer(link->host, &session->deferred);
        }
    }
    mariadb_catalog_interrupt(link->catalog);
}

void database_link_close(struct database_link *link)
{
    RESV_ASSERT(link->state != LINK_CLOSING);
    link->state = LINK_CLOSING;
    link->up = false;
    resv_timer_stop(link->host, &link->retry_timer);
    resv_timer_stop(link->host, &link->tick);
    for (size_t i = 0; i < link->pool_count; i++)
        mariadb_pool_stop(link->pools[i]);
    struct database_session *next;
    for (struct database_session *session = link->sessions; session != NULL; session = next) {
        next = session->all_next; /* sessions are only freed at the flush point */
        switch (session->state) {
        case SESSION_CONNECTING:
            mariadb_connect_abandon(session, MARIADB_ERROR_CLOSING, "closing");
            break;
        case SESSION_PINGING:
            mariadb_session_lose(session, MARIADB_ERROR_CLOSING, "closing");
            break;
        case SESSION_TAKEN:
        case SESSION_LOST: /* only the schema's can be left; its done gives it back */
            RESV_ASSERT(session == link->first);
            session->abort = true;
            resv_defer(link->host, &session->deferred);
            break;
        case SESSION_IDLE:
        case SESSION_CLOSED:
            break;
        }
    }
    mariadb_link_schedule(link);
}

/* --- create -------------------------------------------------------------------------------------
 */

struct database_link *database_link_create(struct resv_host *host,
                                           const struct database_link_config *config,
                                           const struct database_link_events *events)
{
    RESV_ASSERT(config->rows_max >= 1 && config->rows_max <= 10000 && config->catalog_max >= 1);
    struct mariadb_settings settings;
    char why[256];
    if (!mariadb_settings_read(host, &settings, why, sizeof why)) {
        resv_host_start_failed(host, MARIADB_EXIT_CONFIG, why);
        return NULL;
    }
    struct database_link *link = calloc(1, sizeof *link);
    if (link == NULL)
        goto failed;
    link->host = host;
    link->config = *config;
    if (link->config.steps_max == 0)
        link->config.steps_max = DATABASE_STEPS_FEW;
    link->events = *events;
    link->settings = settings;
    link->flush = (struct resv_deferred){.run = on_flush, .data = link};
    link->retry_timer = (struct resv_timer){.fired = on_retry, .data = link};
    link->tick = (struct resv_timer){.fired = on_tick, .data = link};
    mariadb_pool_init(&link->sales, link, settings.pool_min, settings.pool_max);
    mariadb_pool_init(&link->reads, link, settings.catalog_pool, settings.catalog_pool);
    link->pools[link->pool_count++] = &link->sales;
    if (settings.catalog_pool > 0)
        link->pools[link->pool_count++] = &link->reads;
    link->lost.capacity = settings.pool_max + settings.catalog_pool;
    link->lost.names = calloc(link->lost.capacity, sizeof link->lost.names[0]);
    link->catalog = mariadb_catalog_create(link, config->catalog_max);
    if (link->lost.names == NULL || link->catalog == NULL)
        goto failed;
    return link;
failed:
    if (link != NULL) {
        mariadb_catalog_destroy(link->catalog);
        free(link->lost.names);
    }
    free(link);
    resv_host_start_failed(host, 1, "out of memory: lower what the strategy and [database] hold");
    return NULL;
}
