/* libmariadb's non-blocking calls on uv_poll.
 *
 * Each call runs as a coroutine: *_start or *_cont comes back with the events that it waits for, or
 * with 0 when the step has finished, which may be at once. libmariadb's own time-outs are not used:
 * each step has a deadline of ours, and a step that is given up is unwound.
 */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mariadb_session_internal.h"
#include "resvd/assert.h"

/* Each resumption of a coroutine whose socket is shut ends a read or a write; it has few. */
#define UNWIND_MAX 64

/* --- steps --------------------------------------------------------------------------------------
 */

static int start_step(struct database_session *session)
{
    MYSQL *mysql = &session->mysql;
    if (session->attempt->tls)
        mariadb_tls_forget_errors();
    switch (session->step) {
    case STEP_QUERY:
        return mysql_real_query_start(&session->failed, mysql, session->query->text,
                                      session->query->length);
    case STEP_STORE:
        return mysql_store_result_start(&session->rows, mysql);
    case STEP_NEXT:
        return mysql_next_result_start(&session->failed, mysql);
    case STEP_CONNECT: /* mariadb_coroutine_log_in */
    case STEP_NONE:
        break;
    }
    RESV_ASSERT(!"no step to begin");
    return 0;
}

static int continue_step(struct database_session *session, int events)
{
    MYSQL *mysql = &session->mysql;
    if (session->attempt->tls)
        mariadb_tls_forget_errors();
    switch (session->step) {
    case STEP_CONNECT:
        return mysql_real_connect_cont(&session->connected, mysql, events);
    case STEP_QUERY:
        return mysql_real_query_cont(&session->failed, mysql, events);
    case STEP_STORE:
        return mysql_store_result_cont(&session->rows, mysql, events);
    case STEP_NEXT:
        return mysql_next_result_cont(&session->failed, mysql, events);
    case STEP_NONE:
        break;
    }
    RESV_ASSERT(!"no step to continue");
    return 0;
}

/* --- the socket ----------------------------------------------------------------------------------
 */

static void socket_closed(uv_handle_t *handle)
{
    struct mariadb_socket *socket = handle->data;
    struct database_link *link = socket->link;
    free(socket);
    link->sockets_open--;
    mariadb_link_schedule(link);
}

void mariadb_session_unwatch(struct database_session *session)
{
    struct mariadb_socket *socket = session->socket;
    if (socket == NULL)
        return;
    session->socket = NULL;
    socket->session = NULL;
    uv_close((uv_handle_t *)&socket->poll, socket_closed);
    close(socket->descriptor); /* libuv has forgotten it by now */
}

static void on_poll(uv_poll_t *poll, int status, int events);

/* Readable is always watched: on an idle connection it means that the server has gone. */
static void watch(struct database_session *session, int waits_for)
{
    int events = UV_READABLE | ((waits_for & MYSQL_WAIT_WRITE) != 0 ? UV_WRITABLE : 0);
    struct mariadb_socket *socket = session->socket;
    if (socket == NULL || socket->events == events)
        return;
    socket->events = events;
    uv_poll_start(&socket->poll, events, on_poll);
}

bool mariadb_session_watch(struct database_session *session)
{
    struct database_link *link = session->link;
    RESV_ASSERT(session->socket == NULL);
    int descriptor = dup((int)mysql_get_socket(&session->mysql));
    struct mariadb_socket *socket = calloc(1, sizeof *socket);
    if (descriptor < 0 || socket == NULL)
        goto failed;
    if (uv_poll_init(resv_host_loop(link->host), &socket->poll, descriptor) != 0)
        goto failed;
    *socket = (struct mariadb_socket){
        .poll = socket->poll, .session = session, .link = link, .descriptor = descriptor};
    socket->poll.data = socket;
    session->socket = socket;
    link->sockets_open++;
    watch(session, 0);
    return true;
failed:
    free(socket);
    if (descriptor >= 0)
        close(descriptor);
    return false;
}

/* --- running -------------------------------------------------------------------------------------
 */

/* With the socket shut every read and write in the coroutine fails at once. */
void mariadb_coroutine_unwind(struct database_session *session)
{
    if (session->socket != NULL)
        shutdown(session->socket->descriptor, SHUT_RDWR);
    for (unsigned i = 0; session->suspended; i++) {
        RESV_ASSERT(i < UNWIND_MAX);
        session->suspended = continue_step(session, MYSQL_WAIT_TIMEOUT) != 0;
    }
    if (session->step == STEP_STORE && session->rows != NULL)
        mysql_free_result(session->rows);
    session->rows = NULL;
    session->step = STEP_NONE;
    session->ready = false;
}

/* What *_start or *_cont came back with. */
static bool is_finished(struct database_session *session, int waits_for)
{
    session->suspended = waits_for != 0;
    if (session->suspended)
        watch(session, waits_for);
    return !session->suspended;
}

bool mariadb_coroutine_begin(struct database_session *session)
{
    RESV_ASSERT(session->socket != NULL);
    return is_finished(session, start_step(session));
}

bool mariadb_coroutine_log_in(struct database_session *session, const char *address)
{
    const struct mariadb_settings *settings = &session->link->settings;
    bool by_socket = address == NULL;
    session->step = STEP_CONNECT;
    session->connected = NULL;
    int waits_for =
        mysql_real_connect_start(&session->connected, &session->mysql, by_socket ? NULL : address,
                                 settings->user, settings->password, settings->name, settings->port,
                                 by_socket ? settings->socket : NULL, CLIENT_MULTI_STATEMENTS);
    session->suspended = waits_for != 0;
    if (session->suspended && !mariadb_session_watch(session)) {
        mariadb_coroutine_unwind(session);
        session->attempt->error = MARIADB_ERROR_MEMORY;
        session->connected = NULL;
        session->step = STEP_CONNECT;
        waits_for = 0;
    }
    return is_finished(session, waits_for);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct mariadb_socket *socket = poll->data;
    struct database_session *session = socket->session;
    if (session == NULL)
        return;
    if (!session->suspended) {
        if (!session->ready && session->step == STEP_NONE)
            mariadb_session_ended(session); /* nothing was asked */
        return;
    }
    int happened = 0;
    if (status < 0 || (events & UV_READABLE) != 0)
        happened |= MYSQL_WAIT_READ;
    if (status < 0 || (events & UV_WRITABLE) != 0)
        happened |= MYSQL_WAIT_WRITE;
    if ((socket->events & UV_WRITABLE) != 0)
        watch(session, 0);
    if (is_finished(session, continue_step(session, happened)))
        mariadb_session_go_on(session);
}
