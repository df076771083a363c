/* One session's way to the server: the host's addresses, one after the other, and the login.
 *
 *   name ──► uv_getaddrinfo ──► address ──► login ──► settings ──► mariadb_pool_connected
 *                                 ▲           │ no answer, refused
 *                                 └───────────┘ next address
 *
 * libmariadb is only given numeric addresses, so that it does not ask a resolver; where TLS is
 * wanted, mariadb_tls.c logs in instead. The whole way has one deadline; each address that is left
 * gets an equal share of what is left of it.
 */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <errmsg.h>

#include "mariadb_session_internal.h"
#include "resvd/assert.h"

#define NS_PER_MS 1000000ULL
/* Of libmariadb's coroutine, which loads plugins and encrypts passwords; pages are used as needed.
 */
#define COROUTINE_STACK_BYTES ((size_t)256 << 10)

/* Plugins that need no TLS: none shows the password to who listens. caching_sha2_password without
 * TLS encrypts it with a key that it takes from whoever answers: only for this machine itself. */
#define PLUGINS_SAFE  "mysql_native_password,client_ed25519,auth_socket,unix_socket"
#define PLUGINS_LOCAL PLUGINS_SAFE ",caching_sha2_password,sha256_password"

static bool is_loopback(const struct addrinfo *address)
{
    if (address->ai_family == AF_INET) {
        const struct sockaddr_in *internet = (const void *)address->ai_addr;
        return (ntohl(internet->sin_addr.s_addr) >> 24) == 127;
    }
    const struct sockaddr_in6 *internet = (const void *)address->ai_addr;
    return address->ai_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&internet->sin6_addr);
}

bool mariadb_tls_wanted(const struct database_session *session)
{
    const struct mariadb_settings *settings = &session->link->settings;
    if (settings->socket[0] != '\0')
        return false;
    switch (settings->ssl_mode) {
    case SSL_OFF:
        return false;
    case SSL_PREFERRED:
        return !session->link->server_without_tls && !is_loopback(session->attempt->address);
    case SSL_REQUIRED:
    case SSL_VERIFY_CA:
    case SSL_VERIFY_IDENTITY:
        return true;
    }
    return true;
}

bool mariadb_connect_options(struct database_session *session)
{
    MYSQL *mysql = &session->mysql;
    const struct mariadb_settings *settings = &session->link->settings;
    const struct mariadb_attempt *attempt = session->attempt;
    const size_t stack_bytes = COROUTINE_STACK_BYTES;
    const unsigned no = 0;
    const unsigned tcp = MYSQL_PROTOCOL_TCP;
    bool by_socket = settings->socket[0] != '\0';
    bool failed = mysql_options(mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4") != 0 ||
                  mysql_options(mysql, MYSQL_OPT_LOCAL_INFILE, &no) != 0;
    if (!attempt->tls) /* else when the thread is done with it */
        failed = failed || mysql_options(mysql, MYSQL_OPT_NONBLOCK, &stack_bytes) != 0;
    if (!by_socket) /* "localhost" too */
        failed = failed || mysql_options(mysql, MYSQL_OPT_PROTOCOL, &tcp) != 0;
    if (!attempt->tls) {
        bool local = by_socket || settings->get_server_public_key || is_loopback(attempt->address);
        failed = failed || mysql_options(mysql, MARIADB_OPT_RESTRICTED_AUTH,
                                         local ? PLUGINS_LOCAL : PLUGINS_SAFE) != 0;
    }
    mysql_options4(mysql, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", "resvd");
    return !failed;
}

/* --- its end -----------------------------------------------------------------------------------
 */

static void forget_addresses(struct mariadb_attempt *attempt)
{
    if (attempt->addresses != NULL)
        uv_freeaddrinfo(attempt->addresses);
    attempt->addresses = attempt->address = NULL;
}

void mariadb_connect_succeeded(struct database_session *session)
{
    forget_addresses(session->attempt);
    mariadb_pool_connected(session);
}

void mariadb_connect_failed(struct database_session *session, unsigned error, const char *message)
{
    forget_addresses(session->attempt);
    resv_defer_cancel(session->link->host, &session->attempt->begin);
    mariadb_pool_connect_failed(session, error, message);
}

void mariadb_connect_abandon(struct database_session *session, unsigned error, const char *message)
{
    struct mariadb_attempt *attempt = session->attempt;
    attempt->abandon_error = error;
    snprintf(attempt->abandon_message, sizeof attempt->abandon_message, "%s", message);
    if (session->pins > 0) {
        atomic_store(&attempt->abandoned, true);
        /* What runs already cannot be cancelled; it comes back by itself. */
        uv_cancel(attempt->resolving ? (uv_req_t *)&attempt->resolve : (uv_req_t *)&attempt->work);
        return;
    }
    if (session->query != NULL)
        mariadb_session_lose(session, CR_SERVER_LOST, message); /* its done says failed */
    else
        mariadb_connect_failed(session, error, message);
}

/* --- addresses ---------------------------------------------------------------------------------
 */

void mariadb_connect_try(struct database_session *session)
{
    struct mariadb_attempt *attempt = session->attempt;
    struct database_link *link = session->link;
    attempt->error = 0;
    attempt->tls = mariadb_tls_wanted(session);
    if (!mariadb_session_renew(session)) {
        mariadb_connect_failed(session, MARIADB_ERROR_MEMORY, "out of memory");
        return;
    }
    if (attempt->tls) {
        mariadb_tls_start(session);
        return;
    }
    size_t left = 1;
    if (attempt->address != NULL) {
        int error = getnameinfo(attempt->address->ai_addr, attempt->address->ai_addrlen,
                                attempt->numeric, sizeof attempt->numeric, NULL, 0, NI_NUMERICHOST);
        if (error != 0) {
            mariadb_connect_failed(session, MARIADB_ERROR_RESOLVE, gai_strerror(error));
            return;
        }
        for (struct addrinfo *next = attempt->address->ai_next; next != NULL; next = next->ai_next)
            left++;
    }
    uint64_t now_ns = resv_now_ns(link->host);
    uint64_t left_ns = attempt->deadline_ns > now_ns ? attempt->deadline_ns - now_ns : 0;
    mariadb_session_log_in(session, attempt->address == NULL ? NULL : attempt->numeric,
                           now_ns + left_ns / left);
}

/* Worth another address: nobody answered at this one. */
static bool is_about_address(unsigned error)
{
    return error == CR_CONNECTION_ERROR || error == CR_CONN_HOST_ERROR ||
           error == CR_IPSOCK_ERROR || error == CR_SERVER_LOST || error == MARIADB_ERROR_TIMEOUT;
}

void mariadb_connect_logged_in(struct database_session *session)
{
    struct mariadb_attempt *attempt = session->attempt;
    /* By a unix socket a whole login may go through without a wait: nothing was watched yet. */
    if (session->connected != NULL && session->socket == NULL && !mariadb_session_watch(session)) {
        mariadb_connect_failed(session, MARIADB_ERROR_MEMORY, "out of memory");
        return;
    }
    if (session->connected != NULL) {
        mariadb_setup_start(session);
        return;
    }
    if (attempt->error == 0) {
        attempt->error = mysql_errno(&session->mysql);
        snprintf(attempt->message, sizeof attempt->message, "%s", mysql_error(&session->mysql));
    } else if (attempt->error == MARIADB_ERROR_TIMEOUT) {
        snprintf(attempt->message, sizeof attempt->message, "no answer in time");
    }
    if (is_about_address(attempt->error) && !attempt->tls && attempt->address != NULL &&
        attempt->address->ai_next != NULL) {
        attempt->address = attempt->address->ai_next;
        mariadb_connect_try(session);
        return;
    }
    mariadb_connect_failed(session, attempt->error, attempt->message);
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *addresses)
{
    struct database_session *session = request->data;
    struct mariadb_attempt *attempt = session->attempt;
    session->pins--;
    attempt->resolving = false;
    attempt->addresses = attempt->address = addresses;
    if (atomic_load(&attempt->abandoned)) {
        mariadb_connect_failed(session, attempt->abandon_error, attempt->abandon_message);
    } else if (status != 0) {
        snprintf(attempt->message, sizeof attempt->message, "%s", uv_strerror(status));
        mariadb_connect_failed(session, MARIADB_ERROR_RESOLVE, attempt->message);
    } else if (resv_now_ns(session->link->host) >= attempt->deadline_ns) {
        mariadb_connect_failed(session, MARIADB_ERROR_TIMEOUT,
                               "the host's name was found too late");
    } else {
        mariadb_connect_try(session);
    }
}

static void start_later(struct resv_deferred *deferred);

void mariadb_connect_start(struct database_session *session)
{
    struct database_link *link = session->link;
    struct mariadb_attempt *attempt = session->attempt;
    uint64_t start_deadline_ns = mariadb_start_deadline_ns(link);
    attempt->deadline_ns = resv_now_ns(link->host) + link->settings.connect_timeout_ms * NS_PER_MS;
    if (attempt->deadline_ns > start_deadline_ns)
        attempt->deadline_ns = start_deadline_ns;
    attempt->begin = (struct resv_deferred){.run = start_later, .data = session};
    resv_defer(link->host, &attempt->begin);
}

static void start_later(struct resv_deferred *deferred)
{
    struct database_session *session = deferred->data;
    const struct mariadb_settings *settings = &session->link->settings;
    struct mariadb_attempt *attempt = session->attempt;
    if (settings->socket[0] != '\0') {
        mariadb_connect_try(session);
        return;
    }
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};
    char port[8];
    snprintf(port, sizeof port, "%u", settings->port);
    attempt->resolve.data = session;
    session->pins++;
    attempt->resolving = true;
    int error = uv_getaddrinfo(resv_host_loop(session->link->host), &attempt->resolve, on_resolved,
                               settings->host, port, &hints);
    if (error != 0)
        on_resolved(&attempt->resolve, error, NULL);
}
