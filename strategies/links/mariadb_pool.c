/* The pools: sessions by state, the line of those who wait, growth and shrinking.
 *
 *   database_wait ──► line ──(flush point)──► idle session ──► acquired
 *                      │ pool_wait_ms passed, server down, line full
 *                      └──► refused
 *
 * A session that is given back is only taken from here at the flush point of the loop turn: so no
 * callback comes from inside a call, and the line stays first come, first served.
 */
#include <string.h>

#include "mariadb_session_internal.h"
#include "resvd/assert.h"

#define NS_PER_MS 1000000ULL
#define PING_TEXT "DO 1"

/* --- sessions ----------------------------------------------------------------------------------
 */

static void unlink_idle(struct database_session *session)
{
    struct mariadb_pool *pool = session->pool;
    if (session->previous != NULL)
        session->previous->next = session->next;
    else
        pool->idle_first = session->next;
    if (session->next != NULL)
        session->next->previous = session->previous;
    else
        pool->idle_last = session->previous;
    session->next = session->previous = NULL;
}

static void link_idle(struct database_session *session)
{
    struct mariadb_pool *pool = session->pool;
    session->previous = NULL;
    session->next = pool->idle_first;
    if (pool->idle_first != NULL)
        pool->idle_first->previous = session;
    else
        pool->idle_last = session;
    pool->idle_first = session;
}

/* From state to state; what is not here cannot be. */
static bool may_move(enum mariadb_session_state from, enum mariadb_session_state to)
{
    switch (from) {
    case SESSION_CONNECTING:
        return to == SESSION_IDLE || to == SESSION_TAKEN || to == SESSION_CLOSED;
    case SESSION_IDLE:
        return to == SESSION_TAKEN || to == SESSION_PINGING || to == SESSION_CLOSED;
    case SESSION_PINGING:
        return to == SESSION_IDLE || to == SESSION_CLOSED;
    case SESSION_TAKEN:
        return to == SESSION_IDLE || to == SESSION_LOST || to == SESSION_CLOSED;
    case SESSION_LOST:
        return to == SESSION_CLOSED;
    case SESSION_CLOSED:
        return false;
    }
    return false;
}

void mariadb_session_move(struct database_session *session, enum mariadb_session_state state)
{
    RESV_ASSERT(may_move(session->state, state));
    if (session->state == SESSION_IDLE)
        unlink_idle(session);
    session->pool->counts[session->state]--;
    if (session->state == SESSION_CONNECTING && state != SESSION_CLOSED)
        session->number = ++session->link->sessions_connected;
    session->state = state;
    if (state != SESSION_CLOSED)
        session->pool->counts[state]++;
    if (state == SESSION_IDLE)
        link_idle(session);
    if (state == SESSION_CLOSED) {
        session->next = session->link->closed;
        session->link->closed = session;
        mariadb_link_schedule(session->link);
    }
}

void mariadb_session_close(struct database_session *session)
{
    mariadb_session_disconnect(session);
    mariadb_session_move(session, SESSION_CLOSED);
}

size_t mariadb_pool_alive(const struct mariadb_pool *pool)
{
    return pool->counts[SESSION_IDLE] + pool->counts[SESSION_PINGING] + pool->counts[SESSION_TAKEN];
}

size_t mariadb_pool_size(const struct mariadb_pool *pool)
{
    return mariadb_pool_alive(pool) + pool->counts[SESSION_CONNECTING];
}

bool mariadb_pool_is_filled(const struct mariadb_pool *pool)
{
    return mariadb_pool_alive(pool) >= pool->minimum;
}

struct database_session *mariadb_pool_connect(struct mariadb_pool *pool)
{
    struct database_session *session = mariadb_session_create(pool);
    if (session == NULL)
        return NULL;
    pool->counts[SESSION_CONNECTING]++;
    mariadb_connect_start(session);
    return session;
}

void mariadb_pool_connected(struct database_session *session)
{
    struct database_link *link = session->link;
    resv_metric_add(link->host, &database_metrics, METRIC_CONNECTS, 1);
    session->used_ns = session->checked_ns = resv_now_ns(link->host);
    if (session == link->first)
        mariadb_session_move(session, SESSION_TAKEN);
    else
        mariadb_session_move(session, SESSION_IDLE);
    mariadb_link_connected(session);
    mariadb_link_schedule(link);
}

void mariadb_pool_connect_failed(struct database_session *session, unsigned error,
                                 const char *message)
{
    struct database_link *link = session->link;
    char text[256];
    strncpy(text, message, sizeof text - 1);
    text[sizeof text - 1] = '\0';
    if (session == link->first)
        link->first = NULL;
    mariadb_session_close(session);
    resv_metric_add(link->host, &database_metrics, METRIC_CONNECT_FAILURES, 1);
    mariadb_link_connect_failed(link, error, text);
    mariadb_link_schedule(link);
}

void mariadb_pool_lost(struct database_session *session)
{
    struct database_link *link = session->link;
    if (session->state == SESSION_IDLE || session->state == SESSION_PINGING)
        mariadb_session_close(session);
    mariadb_link_schedule(link);
}

/* --- taking and giving back --------------------------------------------------------------------
 */

static struct mariadb_pool *pool_of(struct database_link *link, enum database_pool pool)
{
    switch (pool) {
    case DATABASE_SALES:
        return &link->sales;
    case DATABASE_READS:
        return link->pools[link->pool_count - 1];
    }
    return &link->sales;
}

static struct database_session *take_idle(struct mariadb_pool *pool)
{
    struct database_session *session = pool->idle_first;
    mariadb_session_move(session, SESSION_TAKEN);
    return session;
}

struct database_session *database_acquire(struct database_link *link, enum database_pool which)
{
    struct mariadb_pool *pool = pool_of(link, which);
    if (link->state != LINK_OPEN || mariadb_pool_waiting(pool) > 0 || pool->idle_first == NULL ||
        mariadb_lost_is_due(link))
        return NULL;
    resv_metric_observe(link->host, &database_metrics, METRIC_WAIT_SECONDS, 0);
    struct database_session *session = take_idle(pool);
    mariadb_link_show(link);
    return session;
}

void database_give_back(struct database_session *session)
{
    struct database_link *link = session->link;
    RESV_ASSERT(session->query == NULL);
    RESV_ASSERT(session->state == SESSION_TAKEN || session->state == SESSION_LOST);
    if (session->state == SESSION_TAKEN && mariadb_session_is_clean(session) &&
        link->state != LINK_CLOSING) {
        session->used_ns = resv_now_ns(link->host);
        mariadb_session_move(session, SESSION_IDLE);
    } else {
        mariadb_session_close(session);
    }
    if (mariadb_pool_waiting(session->pool) > 0 || link->lost.count > 0)
        mariadb_link_schedule(link);
    mariadb_link_show(link);
}

/* --- the line ----------------------------------------------------------------------------------
 */

static void append_wait(struct mariadb_wait_list *list, struct database_wait *wait)
{
    wait->next = NULL;
    wait->previous = list->last;
    if (list->last != NULL)
        list->last->next = wait;
    else
        list->first = wait;
    list->last = wait;
    list->count++;
    wait->pending = true;
}

static void remove_wait(struct mariadb_wait_list *list, struct database_wait *wait)
{
    if (wait->previous != NULL)
        wait->previous->next = wait->next;
    else
        list->first = wait->next;
    if (wait->next != NULL)
        wait->next->previous = wait->previous;
    else
        list->last = wait->previous;
    wait->next = wait->previous = NULL;
    list->count--;
    wait->pending = false;
}

size_t mariadb_pool_waiting(const struct mariadb_pool *pool)
{
    return pool->urgent.count + pool->waits.count;
}

static struct mariadb_wait_list *list_of(struct mariadb_pool *pool,
                                         const struct database_wait *wait)
{
    if (wait->urgent)
        return &pool->urgent;
    return wait->since_ns == 0 ? &pool->overflow : &pool->waits;
}

/* At the latest when the first of a line has waited long enough; an armed timer is early at most.
 */
static void arm_wait_timer(struct mariadb_pool *pool)
{
    struct database_link *link = pool->link;
    if (mariadb_pool_waiting(pool) == 0 || pool->wait_timer.heap_index != 0)
        return;
    uint64_t since_ns = UINT64_MAX;
    if (pool->urgent.first != NULL)
        since_ns = pool->urgent.first->since_ns;
    if (pool->waits.first != NULL && pool->waits.first->since_ns < since_ns)
        since_ns = pool->waits.first->since_ns;
    uint64_t due_ns = since_ns + link->settings.pool_wait_ms * NS_PER_MS;
    uint64_t now_ns = resv_now_ns(link->host);
    resv_timer_start(link->host, &pool->wait_timer,
                     due_ns > now_ns ? (due_ns - now_ns) / NS_PER_MS + 1 : 0);
}

void database_wait(struct database_link *link, struct database_wait *wait)
{
    struct mariadb_pool *pool = pool_of(link, wait->pool);
    RESV_ASSERT(!wait->pending && wait->acquired != NULL && wait->refused != NULL);
    bool fits = wait->urgent || pool->waits.count < link->settings.pool_queue_max;
    wait->since_ns = fits ? resv_now_ns(link->host) : 0;
    append_wait(list_of(pool, wait), wait);
    arm_wait_timer(pool);
    mariadb_link_schedule(link);
    mariadb_link_show(link);
}

void database_wait_cancel(struct database_link *link, struct database_wait *wait)
{
    if (!wait->pending)
        return;
    struct mariadb_pool *pool = pool_of(link, wait->pool);
    remove_wait(list_of(pool, wait), wait);
    mariadb_link_show(link);
}

static void refuse(struct mariadb_pool *pool, struct mariadb_wait_list *list,
                   enum database_refusal refusal)
{
    struct database_wait *wait = list->first;
    enum mariadb_metric metric = METRIC_REFUSED_DOWN;
    switch (refusal) {
    case DATABASE_DOWN:
        break;
    case DATABASE_POOL_FULL:
        metric = METRIC_REFUSED_QUEUE_FULL;
        break;
    case DATABASE_WAITED_OUT:
        metric = METRIC_REFUSED_WAITED_OUT;
        break;
    }
    resv_metric_add(pool->link->host, &database_metrics, metric, 1);
    remove_wait(list, wait);
    wait->refused(wait, refusal);
}

/* As many as there are now: whoever gets in line from a callback has their turn next time. */
static void refuse_all(struct mariadb_pool *pool, struct mariadb_wait_list *list,
                       enum database_refusal refusal)
{
    for (size_t left = list->count; left > 0 && list->first != NULL; left--)
        refuse(pool, list, refusal);
}

static void on_wait_timer(struct resv_timer *timer)
{
    struct mariadb_pool *pool = timer->data;
    struct database_link *link = pool->link;
    uint64_t longest_ns = link->settings.pool_wait_ms * NS_PER_MS;
    uint64_t now_ns = resv_now_ns(link->host);
    struct mariadb_wait_list *lines[] = {&pool->urgent, &pool->waits};
    /* Of those who came before now: a callback may get in line again. */
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        while (lines[i]->first != NULL && lines[i]->first->since_ns + longest_ns <= now_ns)
            refuse(pool, lines[i], DATABASE_WAITED_OUT);
    }
    arm_wait_timer(pool);
    mariadb_link_show(link);
}

void mariadb_pool_serve(struct mariadb_pool *pool)
{
    struct database_link *link = pool->link;
    refuse_all(pool, &pool->overflow, DATABASE_POOL_FULL);
    if (!link->up) {
        refuse_all(pool, &pool->urgent, DATABASE_DOWN);
        refuse_all(pool, &pool->waits, DATABASE_DOWN);
    }
    while (link->state == LINK_OPEN && mariadb_pool_waiting(pool) > 0 && pool->idle_first != NULL) {
        struct mariadb_wait_list *line = pool->urgent.first != NULL ? &pool->urgent : &pool->waits;
        struct database_wait *wait = line->first;
        resv_metric_observe(link->host, &database_metrics, METRIC_WAIT_SECONDS,
                            resv_now_ns(link->host) - wait->since_ns);
        remove_wait(line, wait);
        wait->acquired(wait, take_idle(pool));
    }
    arm_wait_timer(pool);
}

/* --- growth, shrinking, pings -------------------------------------------------------------------
 */

void mariadb_pool_grow(struct mariadb_pool *pool)
{
    while (mariadb_pool_size(pool) < pool->maximum && mariadb_link_may_connect(pool->link)) {
        bool is_short = mariadb_pool_size(pool) < pool->minimum;
        bool is_waited_for = mariadb_pool_waiting(pool) > pool->counts[SESSION_CONNECTING];
        if ((!is_short && !is_waited_for) || mariadb_pool_connect(pool) == NULL)
            return;
    }
}

static void on_ping_done(struct mariadb_query *query)
{
    struct database_session *session = query->data;
    struct database_link *link = session->link;
    if (query->error != 0 || query->lost || link->state == LINK_CLOSING) {
        mariadb_session_close(session);
        mariadb_link_schedule(link);
        return;
    }
    link->latency_ns = resv_now_ns(link->host) - session->query_started_ns;
    mariadb_session_move(session, SESSION_IDLE);
    mariadb_link_say_health(link);
    if (mariadb_pool_waiting(session->pool) > 0 || link->lost.count > 0)
        mariadb_link_schedule(link);
}

static void ping(struct database_session *session)
{
    const struct mariadb_settings *settings = &session->link->settings;
    mariadb_session_move(session, SESSION_PINGING);
    memcpy(session->ping_text, PING_TEXT, sizeof PING_TEXT);
    session->ping = (struct mariadb_query){
        .text = session->ping_text,
        .length = sizeof PING_TEXT - 1,
        .timeout_ms = settings->connect_timeout_ms < settings->statement_timeout_ms
                          ? settings->connect_timeout_ms
                          : settings->statement_timeout_ms,
        .data = session,
        .done = on_ping_done,
    };
    mariadb_session_query(session, &session->ping);
}

void mariadb_pool_look_after(struct mariadb_pool *pool)
{
    const struct mariadb_settings *settings = &pool->link->settings;
    uint64_t now_ns = resv_now_ns(pool->link->host);
    struct database_session *session = pool->idle_last;
    while (session != NULL) {
        struct database_session *previous = session->previous; /* used later */
        if (mariadb_pool_size(pool) > pool->minimum &&
            now_ns - session->used_ns >= settings->idle_timeout_ms * NS_PER_MS)
            mariadb_session_close(session);
        else if (now_ns - session->checked_ns >= settings->ping_interval_ms * NS_PER_MS)
            ping(session);
        session = previous;
    }
}

void mariadb_pool_stop(struct mariadb_pool *pool)
{
    RESV_ASSERT(mariadb_pool_waiting(pool) == 0 && pool->overflow.count == 0);
    resv_timer_stop(pool->link->host, &pool->wait_timer);
    while (pool->idle_first != NULL)
        mariadb_session_close(pool->idle_first);
}

void mariadb_pool_init(struct mariadb_pool *pool, struct database_link *link, size_t minimum,
                       size_t maximum)
{
    *pool = (struct mariadb_pool){
        .link = link,
        .minimum = minimum,
        .maximum = maximum,
        .wait_timer = {.fired = on_wait_timer, .data = pool},
    };
}
