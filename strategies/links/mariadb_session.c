/* One connection: queries and their results, deadlines, loss.
 *
 *   mariadb_session_query ──► QUERY ──► STORE (if there are rows) ──► NEXT ──► … ──► done
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <errmsg.h>
#include <mysqld_error.h>

#include "mariadb_session_internal.h"
#include "resvd/assert.h"

#define NS_PER_MS      1000000ULL
#define TEXT_BYTES_MIN 4096
#define TEXT_BYTES_MAX (1U << 20) /* until the server has said what it takes */

struct database_link *mariadb_session_link(const struct database_session *session)
{
    return session->link;
}

bool mariadb_session_is_lost(const struct database_session *session)
{
    return session->lost;
}

void *mariadb_session_run(struct database_session *session)
{
    return session->run;
}

char *mariadb_session_text(struct database_session *session, size_t bytes)
{
    if (bytes > session->text_max)
        return NULL;
    if (bytes <= session->text_size)
        return session->text;
    size_t size = session->text_size == 0 ? TEXT_BYTES_MIN : session->text_size;
    while (size < bytes)
        size *= 2;
    if (size > session->text_max)
        size = session->text_max;
    char *text = realloc(session->text, size);
    if (text == NULL)
        return NULL;
    session->text = text;
    session->text_size = size;
    return text;
}

/* --- the end of a query ------------------------------------------------------------------------
 */

static void finish(struct database_session *session, unsigned error, const char *message)
{
    struct database_link *link = session->link;
    struct mariadb_query *query = session->query;
    session->query = NULL;
    session->step = STEP_NONE;
    query->error = error;
    query->failed_statement = session->statement;
    snprintf(query->message, sizeof query->message, "%s", message);
    if (error != 0)
        session->transaction_unknown = mariadb_result_of_error(error) != DATABASE_DEADLOCK;
    if (error != 0 && mariadb_result_of_error(error) == DATABASE_LOST)
        mariadb_session_lose(session, error, message);
    query->lost = session->lost;
    uint64_t now_ns = resv_now_ns(link->host);
    if (!query->lost)
        session->checked_ns = now_ns;
    resv_metric_observe(link->host, &database_metrics, METRIC_STATEMENT_SECONDS,
                        now_ns - session->query_started_ns);
    if (error != 0 || link->refuses_writes)
        mariadb_link_note_error(link, error, query->message);
    query->done(query); /* may begin the next, or give the session back */
}

static void fail(struct database_session *session)
{
    /* Copied: losing the session frees libmariadb's. */
    char message[256];
    snprintf(message, sizeof message, "%s", mysql_error(&session->mysql));
    unsigned error = mysql_errno(&session->mysql);
    finish(session, error == 0 ? CR_UNKNOWN_ERROR : error, message);
}

static void deliver(struct database_session *session, MYSQL_RES *rows)
{
    struct mariadb_query *query = session->query;
    session->transaction_unknown = false; /* the server's answer says whether one is open */
    if (query->result != NULL)
        query->result(query, session->statement, rows, mysql_affected_rows(&session->mysql));
    if (rows != NULL)
        mysql_free_result(rows);
    session->statement++;
}

/* A step has finished: gives the next one, STEP_NONE when the query is done, well or not. */
static enum mariadb_step after_step(struct database_session *session)
{
    MYSQL *mysql = &session->mysql;
    switch (session->step) {
    case STEP_QUERY:
    case STEP_NEXT:
        if (session->failed != 0) {
            fail(session);
            return STEP_NONE;
        }
        if (mysql_field_count(mysql) > 0)
            return STEP_STORE;
        deliver(session, NULL);
        break;
    case STEP_STORE:
        if (session->rows == NULL) {
            fail(session);
            return STEP_NONE;
        }
        MYSQL_RES *rows = session->rows;
        session->rows = NULL;
        deliver(session, rows);
        break;
    case STEP_CONNECT:
    case STEP_NONE:
        RESV_ASSERT(!"not a query's step");
    }
    if (mysql_more_results(mysql))
        return STEP_NEXT;
    finish(session, 0, "");
    return STEP_NONE;
}

void mariadb_session_go_on(struct database_session *session)
{
    do {
        if (session->step == STEP_CONNECT) {
            session->step = STEP_NONE;
            mariadb_connect_logged_in(session);
            return;
        }
        enum mariadb_step next = after_step(session);
        if (next == STEP_NONE)
            return; /* another query may have begun by now */
        session->step = next;
    } while (mariadb_coroutine_begin(session));
}

/* --- the loop ----------------------------------------------------------------------------------
 */

void mariadb_session_ended(struct database_session *session)
{
    mariadb_session_lose(session, CR_SERVER_LOST, "the server has closed the connection");
    mariadb_pool_lost(session);
}

static void set_deadline(struct database_session *session, uint64_t deadline_ns, uint64_t now_ns)
{
    session->deadline_ns = deadline_ns;
    if (session->deadline.heap_index != 0 && session->deadline.due_ns <= deadline_ns)
        return; /* it fires early and is armed again then */
    uint64_t left_ms = deadline_ns > now_ns ? (deadline_ns - now_ns) / NS_PER_MS + 1 : 0;
    resv_timer_start(session->link->host, &session->deadline, left_ms);
}

static void on_deadline(struct resv_timer *timer)
{
    struct database_session *session = timer->data;
    if (session->step == STEP_NONE)
        return;
    uint64_t now_ns = resv_now_ns(session->link->host);
    if (now_ns < session->deadline_ns) {
        set_deadline(session, session->deadline_ns, now_ns);
        return;
    }
    if (session->step == STEP_CONNECT) {
        mariadb_coroutine_unwind(session);
        mariadb_session_unwatch(session);
        session->attempt->error = MARIADB_ERROR_TIMEOUT;
        session->connected = NULL;
        mariadb_connect_logged_in(session);
        return;
    }
    char message[96];
    snprintf(message, sizeof message, "no answer within %llu ms",
             (unsigned long long)session->query->timeout_ms);
    mariadb_session_lose(session, CR_SERVER_LOST, message);
}

static void on_flush(struct resv_deferred *deferred)
{
    struct database_session *session = deferred->data;
    if (session->abort) {
        session->abort = false;
        if (session->query != NULL || session->link->state == LINK_CLOSING)
            mariadb_session_lose(session, CR_SERVER_LOST, "given up");
    } else if (session->query != NULL && session->lost) {
        finish(session, CR_SERVER_LOST, "the connection was lost before");
    } else if (session->ready) {
        session->ready = false;
        mariadb_session_go_on(session);
    }
}

/* A step has finished inside the call that began it: what follows must not come from there. */
static void finish_later(struct database_session *session)
{
    session->ready = true;
    resv_defer(session->link->host, &session->deferred);
}

void mariadb_session_query(struct database_session *session, struct mariadb_query *query)
{
    RESV_ASSERT(session->query == NULL && session->step == STEP_NONE);
    RESV_ASSERT(query->timeout_ms > 0 && query->done != NULL);
    uint64_t now_ns = resv_now_ns(session->link->host);
    query->lost = false;
    query->error = 0;
    query->message[0] = '\0';
    query->failed_statement = 0;
    session->query = query;
    session->statement = 0;
    session->query_started_ns = now_ns;
    if (session->lost) {
        resv_defer(session->link->host, &session->deferred);
        return;
    }
    set_deadline(session, now_ns + query->timeout_ms * NS_PER_MS, now_ns);
    session->step = STEP_QUERY;
    if (mariadb_coroutine_begin(session))
        finish_later(session);
}

void mariadb_session_log_in(struct database_session *session, const char *address,
                            uint64_t deadline_ns)
{
    set_deadline(session, deadline_ns, resv_now_ns(session->link->host));
    if (mariadb_coroutine_log_in(session, address))
        finish_later(session);
}

/* --- its end ------------------------------------------------------------------------------------
 */

void mariadb_session_lose(struct database_session *session, unsigned error, const char *message)
{
    if (session->lost)
        return;
    /* The server may not know it yet, and keep a transaction open for it. */
    if (session->state == SESSION_TAKEN &&
        (session->query != NULL || !mariadb_session_is_clean(session)))
        mariadb_lost_remember(session);
    session->lost = true;
    mariadb_coroutine_unwind(session);
    mariadb_session_unwatch(session);
    if (session->state == SESSION_TAKEN)
        mariadb_session_move(session, SESSION_LOST);
    if (session->link->state != LINK_CLOSING)
        resv_metric_add(session->link->host, &database_metrics, METRIC_LOST, 1);
    if (session->query != NULL)
        finish(session, error, message);
}

void mariadb_session_disconnect(struct database_session *session)
{
    RESV_ASSERT(session->query == NULL);
    if (session->suspended || session->step != STEP_NONE || session->state == SESSION_CONNECTING)
        mariadb_coroutine_unwind(session);
    if (session->mysql_open)
        mysql_close(&session->mysql); /* COM_QUIT into an empty buffer, nothing is awaited */
    session->mysql_open = false;
    mariadb_session_unwatch(session);
}

bool mariadb_session_renew(struct database_session *session)
{
    mariadb_session_disconnect(session);
    session->mysql_open = mysql_init(&session->mysql) != NULL;
    return session->mysql_open && mariadb_connect_options(session);
}

bool mariadb_session_is_clean(const struct database_session *session)
{
    return !session->lost && !session->transaction_unknown &&
           (session->mysql.server_status & SERVER_STATUS_IN_TRANS) == 0;
}

bool mariadb_session_in_transaction(const struct database_session *session)
{
    return !session->lost && !session->transaction_unknown &&
           (session->mysql.server_status & SERVER_STATUS_IN_TRANS) != 0;
}

struct database_session_name database_session_name(const struct database_session *session)
{
    return session->name;
}

uint64_t database_session_number(const struct database_session *session)
{
    return session->number;
}

struct database_session *mariadb_session_create(struct mariadb_pool *pool)
{
    struct database_link *link = pool->link;
    struct database_session *session = calloc(1, sizeof *session);
    if (session == NULL)
        return NULL;
    session->attempt = calloc(1, sizeof *session->attempt);
    if (session->attempt == NULL) {
        free(session);
        return NULL;
    }
    session->link = link;
    session->pool = pool;
    session->state = SESSION_CONNECTING;
    session->text_max = TEXT_BYTES_MAX;
    session->deadline = (struct resv_timer){.fired = on_deadline, .data = session};
    session->deferred = (struct resv_deferred){.run = on_flush, .data = session};
    resv_random_bytes(link->host, session->name.bytes, sizeof session->name.bytes);
    session->all_next = link->sessions;
    if (link->sessions != NULL)
        link->sessions->all_previous = session;
    link->sessions = session;
    return session;
}

void mariadb_session_free(struct database_session *session)
{
    struct database_link *link = session->link;
    RESV_ASSERT(session->state == SESSION_CLOSED && session->pins == 0);
    RESV_ASSERT(session->query == NULL && session->socket == NULL && !session->mysql_open);
    resv_timer_stop(link->host, &session->deadline);
    resv_defer_cancel(link->host, &session->deferred);
    if (session->all_previous != NULL)
        session->all_previous->all_next = session->all_next;
    else
        link->sessions = session->all_next;
    if (session->all_next != NULL)
        session->all_next->all_previous = session->all_previous;
    free(session->attempt);
    free(session->text);
    free(session);
}
