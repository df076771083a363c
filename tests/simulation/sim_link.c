/* The simulated link: its life, two pools of sessions, and who waits for one. */
#include <stdlib.h>

#include "resvd/assert.h"
#include "sim_session.h"

enum option {
    OPTION_POOL_MIN,
    OPTION_POOL_MAX,
    OPTION_CATALOG_POOL,
    OPTION_POOL_WAIT_MS,
    OPTION_POOL_QUEUE_MAX,
    OPTION_STATEMENT_TIMEOUT_MS,
};

#define INTEGER(name, text)                                                                        \
    {                                                                                              \
        .key = name, .type = RESV_OPTION_INTEGER, .default_text = text, .minimum = 0,              \
        .maximum = 1000000                                                                         \
    }

static const struct resv_option options[] = {
    [OPTION_POOL_MIN] = INTEGER("pool_min", "1"),
    [OPTION_POOL_MAX] = INTEGER("pool_max", "8"),
    [OPTION_CATALOG_POOL] = INTEGER("catalog_pool", "2"),
    [OPTION_POOL_WAIT_MS] = INTEGER("pool_wait_ms", "1000"),
    [OPTION_POOL_QUEUE_MAX] = INTEGER("pool_queue_max", "1000"),
    [OPTION_STATEMENT_TIMEOUT_MS] = INTEGER("statement_timeout_ms", "5000"),
};

const struct resv_option_table database_options = {
    .section = "database", .options = options, .count = sizeof options / sizeof options[0]};

const struct resv_metric_table database_metrics = {.count = 0};

/* --- lines of waits --------------------------------------------------------------------------- */

static void line_append(struct wait_line *line, struct database_wait *wait)
{
    wait->next = NULL;
    wait->previous = line->last;
    if (line->last != NULL)
        line->last->next = wait;
    else
        line->first = wait;
    line->last = wait;
    line->count++;
}

static void line_prepend(struct wait_line *line, struct database_wait *wait)
{
    wait->next = line->first;
    wait->previous = NULL;
    if (line->first != NULL)
        line->first->previous = wait;
    else
        line->last = wait;
    line->first = wait;
    line->count++;
}

static void line_remove(struct wait_line *line, struct database_wait *wait)
{
    if (wait->previous != NULL)
        wait->previous->next = wait->next;
    else
        line->first = wait->next;
    if (wait->next != NULL)
        wait->next->previous = wait->previous;
    else
        line->last = wait->previous;
    line->count--;
}

static struct wait_line *line_of(struct database_link *link, const struct database_wait *wait)
{
    struct wait_line *lines[DATABASE_POOLS + DATABASE_REFUSALS];
    for (size_t i = 0; i < DATABASE_POOLS; i++)
        lines[i] = &link->lines[i];
    for (size_t i = 0; i < DATABASE_REFUSALS; i++)
        lines[DATABASE_POOLS + i] = &link->refusing[i];
    for (size_t i = 0; i < DATABASE_POOLS + DATABASE_REFUSALS; i++) {
        for (const struct database_wait *each = lines[i]->first; each != NULL; each = each->next) {
            if (each == wait)
                return lines[i];
        }
    }
    RESV_ASSERT(!"a wait is pending and in no line");
    return NULL;
}

void link_pump_soon(struct database_link *link)
{
    schedule_no_later(&link->world->schedule, &link->pump,
                      chance_below(&link->world->chance, 50 * NS_PER_US));
}

static void refuse_line(struct database_link *link, enum database_pool pool,
                        enum database_refusal refusal)
{
    while (link->lines[pool].first != NULL) {
        struct database_wait *wait = link->lines[pool].first;
        line_remove(&link->lines[pool], wait);
        line_append(&link->refusing[refusal], wait);
    }
    link_pump_soon(link);
}

/* --- up and down ------------------------------------------------------------------------------ */

void link_set_up(struct database_link *link, bool up)
{
    bool changed = link->up != up;
    link->up = up;
    if (!up) {
        refuse_line(link, DATABASE_SALES, DATABASE_DOWN);
        refuse_line(link, DATABASE_READS, DATABASE_DOWN);
        schedule_no_later(&link->world->schedule, &link->reconnect,
                          (50 + chance_below(&link->world->chance, 500)) * NS_PER_MS);
    }
    if (!changed)
        return;
    SIM_TRACE(link->world, link->host->who, "the database is %s", up ? "there" : "not there");
    if (link->opened && link->events.up_changed != NULL)
        link->events.up_changed(link->events.data);
}

/* Where the pool is full of sessions that nobody uses, one makes place for the try. */
static void make_place(struct database_link *link)
{
    struct database_session *session = link->sessions;
    if (link->session_counts[DATABASE_SALES] < link->session_max[DATABASE_SALES])
        return;
    while (session != NULL && (session->pool != DATABASE_SALES || session->state != SESSION_IDLE))
        session = session->next;
    if (session != NULL)
        session_free(session);
}

static void reconnect(struct sim_event *event)
{
    struct database_link *link = event->data;
    if (!link->up && !link->dead && link->opened)
        make_place(link);
    if (!link->up && !link->dead && link->opened &&
        link->session_counts[DATABASE_SALES] < link->session_max[DATABASE_SALES])
        session_connect(link, DATABASE_SALES);
    else if (!link->up)
        schedule_after(&link->world->schedule, &link->reconnect, 100 * NS_PER_MS);
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
    return link->world->scenario.lock_wait_ms;
}

/* --- pools ------------------------------------------------------------------------------------ */

static enum database_pool pool_of(const struct database_link *link, enum database_pool pool)
{
    return link->session_max[pool] == 0 ? DATABASE_SALES : pool;
}

/* One that is idle and not known to be lost; lost ones are cleared away. */
static struct database_session *idle_session(struct database_link *link, enum database_pool pool)
{
    struct database_session *session = link->sessions;
    while (session != NULL) {
        struct database_session *next = session->next;
        if (session->pool == pool && session->state == SESSION_IDLE) {
            if (!session->lost)
                return session;
            session_free(session);
            schedule_no_later(&link->world->schedule, &link->reconnect, 0);
        }
        session = next;
    }
    return NULL;
}

static struct database_session *hand_out(struct database_session *session)
{
    session->state = SESSION_USED;
    session->touched_count = 0;
    return session;
}

struct database_session *database_acquire(struct database_link *link, enum database_pool wanted)
{
    enum database_pool pool = pool_of(link, wanted);
    if (link->lines[pool].first != NULL || link->dead)
        return NULL;
    struct database_session *session = idle_session(link, pool);
    return session != NULL ? hand_out(session) : NULL;
}

void database_wait(struct database_link *link, struct database_wait *wait)
{
    RESV_ASSERT(!wait->pending);
    enum database_pool pool = pool_of(link, wait->pool);
    wait->pending = true;
    wait->since_ns = link->world->schedule.now_ns;
    if (!link->up || link->dead)
        line_append(&link->refusing[DATABASE_DOWN], wait);
    else if (wait->urgent)
        line_prepend(&link->lines[pool], wait);
    else if (link->lines[pool].count >= link->queue_max)
        line_append(&link->refusing[DATABASE_POOL_FULL], wait);
    else
        line_append(&link->lines[pool], wait);
    link_pump_soon(link);
    schedule_no_later(&link->world->schedule, &link->waited_out, link->wait_ms * NS_PER_MS);
}

void database_wait_cancel(struct database_link *link, struct database_wait *wait)
{
    if (!wait->pending)
        return;
    line_remove(line_of(link, wait), wait);
    wait->pending = false;
}

static void waited_out(struct sim_event *event)
{
    struct database_link *link = event->data;
    uint64_t now_ns = link->world->schedule.now_ns;
    uint64_t next_ns = UINT64_MAX;
    for (size_t pool = 0; pool < DATABASE_POOLS; pool++) {
        struct database_wait *wait;
        while ((wait = link->lines[pool].first) != NULL &&
               wait->since_ns + link->wait_ms * NS_PER_MS <= now_ns) {
            line_remove(&link->lines[pool], wait);
            line_append(&link->refusing[DATABASE_WAITED_OUT], wait);
            link_pump_soon(link);
        }
        if (wait != NULL && wait->since_ns + link->wait_ms * NS_PER_MS < next_ns)
            next_ns = wait->since_ns + link->wait_ms * NS_PER_MS;
    }
    if (next_ns != UINT64_MAX)
        schedule_after(&link->world->schedule, &link->waited_out, next_ns - now_ns);
}

static void serve_pool(struct database_link *link, enum database_pool pool)
{
    struct database_wait *wait;
    while ((wait = link->lines[pool].first) != NULL) {
        struct database_session *session = idle_session(link, pool);
        if (session == NULL)
            break;
        line_remove(&link->lines[pool], wait);
        wait->pending = false;
        wait->acquired(wait, hand_out(session));
    }
    size_t connecting = 0;
    for (struct database_session *each = link->sessions; each != NULL; each = each->next)
        connecting += each->pool == pool && each->state == SESSION_CONNECTING;
    if (link->lines[pool].count > connecting &&
        link->session_counts[pool] < link->session_max[pool] && !link->dead) {
        session_connect(link, pool);
        link_pump_soon(link);
    }
}

static const char *refusal_text(size_t refusal)
{
    static const char *const texts[DATABASE_REFUSALS] = {
        [DATABASE_DOWN] = "the database is not there",
        [DATABASE_POOL_FULL] = "too many wait",
        [DATABASE_WAITED_OUT] = "none came free in time",
    };
    return texts[refusal];
}

static void pump(struct sim_event *event)
{
    struct database_link *link = event->data;
    for (size_t refusal = 0; refusal < DATABASE_REFUSALS; refusal++) {
        struct wait_line line = link->refusing[refusal];
        for (size_t left = line.count; left > 0 && link->refusing[refusal].first != NULL; left--) {
            struct database_wait *wait = link->refusing[refusal].first;
            line_remove(&link->refusing[refusal], wait);
            wait->pending = false;
            SIM_TRACE(link->world, link->host->who, "no session: %s", refusal_text(refusal));
            wait->refused(wait, (enum database_refusal)refusal);
        }
        if (link->refusing[refusal].first != NULL)
            link_pump_soon(link);
    }
    serve_pool(link, DATABASE_SALES);
    serve_pool(link, DATABASE_READS);
}

void database_give_back(struct database_session *session)
{
    struct database_link *link = session->link;
    RESV_ASSERT(session->state == SESSION_USED && session->run == NULL);
    if (session->lost || session->in_transaction || link->dead) {
        if (session->in_transaction)
            SIM_TRACE(link->world, link->host->who, "closes a session in a transaction");
        session_free(session);
    } else {
        session->state = SESSION_IDLE;
    }
    link_pump_soon(link);
}

/* --- life ------------------------------------------------------------------------------------- */

static void start(struct sim_event *event)
{
    struct database_link *link = event->data;
    struct sim_schedule *schedule = &link->world->schedule;
    if (link->dead || resv_now_ns(link->host) > link->host->start_deadline_ns) {
        link->events.open_failed(link->events.data, 69, "the database cannot be reached");
        return;
    }
    if (!link->world->server->up) {
        schedule_after(schedule, &link->start,
                       (20 + chance_below(schedule->chance, 500)) * NS_PER_MS);
        return;
    }
    link->up = true;
    for (size_t i = 0; i < link->pool_min; i++)
        session_connect(link, DATABASE_SALES);
    link->opened = true;
    link->events.opened(link->events.data);
}

static void close_now(struct sim_event *event)
{
    struct database_link *link = event->data;
    struct sim_schedule *schedule = &link->world->schedule;
    while (link->sessions != NULL) {
        RESV_ASSERT(link->sessions->state != SESSION_USED);
        session_free(link->sessions);
    }
    struct sim_event *events[] = {&link->start, &link->pump, &link->waited_out, &link->reconnect};
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++)
        schedule_cancel(schedule, events[i]);
    void (*closed)(void *data) = link->events.closed;
    void *data = link->events.data;
    link->host->link = NULL;
    free(link);
    closed(data);
}

struct database_link *database_link_create(struct resv_host *host,
                                           const struct database_link_config *config,
                                           const struct database_link_events *events)
{
    struct database_link *link = calloc(1, sizeof *link);
    RESV_ASSERT(link != NULL && host->link == NULL);
    link->host = host;
    link->world = host->world;
    link->config = *config;
    link->events = *events;
    link->session_max[DATABASE_SALES] =
        (size_t)resv_option_integer(host, &database_options, OPTION_POOL_MAX);
    link->session_max[DATABASE_READS] =
        (size_t)resv_option_integer(host, &database_options, OPTION_CATALOG_POOL);
    link->pool_min = (size_t)resv_option_integer(host, &database_options, OPTION_POOL_MIN);
    if (link->pool_min > link->session_max[DATABASE_SALES])
        link->pool_min = link->session_max[DATABASE_SALES];
    link->queue_max = (size_t)resv_option_integer(host, &database_options, OPTION_POOL_QUEUE_MAX);
    link->wait_ms = (uint64_t)resv_option_integer(host, &database_options, OPTION_POOL_WAIT_MS);
    link->statement_timeout_ms =
        (uint64_t)resv_option_integer(host, &database_options, OPTION_STATEMENT_TIMEOUT_MS);
    link->start = sim_host_event(host, start, link);
    link->pump = sim_host_event(host, pump, link);
    link->waited_out = sim_host_event(host, waited_out, link);
    link->reconnect = sim_host_event(host, reconnect, link);
    link->close = sim_host_event(host, close_now, link);
    catalog_open(link);
    host->link = link;
    return link;
}

void database_link_start(struct database_link *link)
{
    schedule_after(&link->world->schedule, &link->start,
                   chance_below(&link->world->chance, 20 * NS_PER_MS));
}

void database_link_interrupt(struct database_link *link)
{
    for (struct database_session *session = link->sessions; session != NULL;
         session = session->next) {
        if (session->run != NULL)
            session_lose(session, chance_below(&link->world->chance, NS_PER_MS));
    }
    catalog_interrupt(link);
}

void link_die(struct database_link *link)
{
    link->dead = true;
    link->up = false;
    refuse_line(link, DATABASE_SALES, DATABASE_DOWN);
    refuse_line(link, DATABASE_READS, DATABASE_DOWN);
    for (struct database_session *session = link->sessions; session != NULL;
         session = session->next) {
        schedule_cancel(&link->world->schedule, &session->connected);
        if (session->connection != NULL) {
            server_client_gone(session->connection,
                               chance_skewed(&link->world->chance, 10 * NS_PER_S));
            session->connection = NULL;
        }
        if (session->run != NULL)
            session_lose(session, chance_below(&link->world->chance, NS_PER_MS));
    }
    catalog_interrupt(link);
}

/* Closing may be over at once or later. */
void database_link_close(struct database_link *link)
{
    RESV_ASSERT(!link->closing);
    link->closing = true;
    for (size_t i = 0; i < DATABASE_POOLS; i++)
        RESV_ASSERT(link->lines[i].first == NULL);
    for (size_t i = 0; i < DATABASE_REFUSALS; i++)
        RESV_ASSERT(link->refusing[i].first == NULL);
    for (struct database_session *session = link->sessions; session != NULL;
         session = session->next)
        RESV_ASSERT(session->state != SESSION_USED);
    catalog_interrupt(link);
    if (link->calls == NULL && chance_of(&link->world->chance, 500000))
        close_now(&link->close);
    else
        schedule_after(&link->world->schedule, &link->close, 2 * NS_PER_MS);
}
