/* Logging in with TLS. libmariadb's handshake blocks and it verifies the name that it connects to
 * by: so a thread of libuv's pool logs in, by the host's name, with libmariadb's blocking calls;
 * then the loop takes the connection over.
 *
 * The thread ends by the attempt's deadline, or soon after it is abandoned: wherever libmariadb
 * waits it asks `wait_for_socket`, and reads of its own give up within seconds.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "mariadb_session_internal.h"

#define NS_PER_MS             1000000ULL
#define SLICE_MS              50 /* between looks at whether the attempt is abandoned */
#define GREETING_BYTES_MAX    512
#define COROUTINE_STACK_BYTES ((size_t)256 << 10)

/* Whose login this thread is at; libmariadb's callback is not told. */
static _Thread_local struct database_session *connecting;

/* OpenSSL keeps errors in a queue of the thread, libmariadb leaves them there, and a queue that is
 * not empty makes the next connection's "try again" an error: one that breaks would take others
 * along. We do not link OpenSSL ourselves, and libmariadb may be built on another library: so by
 * name. */
void mariadb_tls_forget_errors(void)
{
    static void (*clear)(void);
    static bool is_looked_up;
    if (!is_looked_up) { /* on the loop's thread, before there is a second one */
        void *found = dlsym(RTLD_DEFAULT, "ERR_clear_error");
        memcpy(&clear, &found, sizeof clear); /* as POSIX wants it, and ISO C does not */
        is_looked_up = true;
    }
    if (clear != NULL)
        clear();
}

static void set_read_timeout(int descriptor, long milliseconds)
{
    const struct timeval timeout = {.tv_sec = milliseconds / 1000,
                                    .tv_usec = milliseconds % 1000 * 1000};
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
}

/* As poll(): 1 ready, 0 out of time, -1 failed. */
static int wait_until_deadline(const struct mariadb_attempt *attempt, int descriptor, short events)
{
    struct pollfd entry = {.fd = descriptor, .events = events};
    while (!atomic_load(&attempt->abandoned) && uv_hrtime() < attempt->thread_deadline_ns) {
        int count = poll(&entry, 1, SLICE_MS);
        if (count != 0)
            return count > 0 ? 1 : -1;
    }
    return 0;
}

/* What a server says first: length (3 bytes), number (1), protocol (1), version and NUL, connection
 * (4), scramble (8), NUL, and the lower half of what it can do. */
enum greeting_offer {
    GREETING_INCOMPLETE,
    GREETING_WITHOUT_TLS,
    GREETING_WITH_TLS,
    GREETING_OTHER
};

static enum greeting_offer read_greeting(const unsigned char *bytes, size_t size)
{
    if (size < 5)
        return GREETING_INCOMPLETE;
    if (bytes[4] != PROTOCOL_VERSION)
        return GREETING_OTHER; /* an error: libmariadb reads it and sends nothing */
    const unsigned char *version_end = memchr(bytes + 5, '\0', size - 5);
    if (version_end == NULL)
        return size < GREETING_BYTES_MAX ? GREETING_INCOMPLETE : GREETING_WITHOUT_TLS;
    const unsigned char *abilities = version_end + 1 + 4 + 8 + 1;
    if (abilities + 2 > bytes + size)
        return GREETING_INCOMPLETE;
    unsigned flags = (unsigned)abilities[0] | (unsigned)abilities[1] << 8;
    return (flags & CLIENT_SSL) != 0 ? GREETING_WITH_TLS : GREETING_WITHOUT_TLS;
}

/* Before libmariadb answers a greeting that offers no TLS, it has to be stopped: but for
 * verify_identity it would go on without, and whoever is in between could ask for the password. */
static bool offers_tls(struct mariadb_attempt *attempt, int descriptor)
{
    unsigned char bytes[GREETING_BYTES_MAX];
    while (wait_until_deadline(attempt, descriptor, POLLIN) == 1) {
        ssize_t size = recv(descriptor, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);
        switch (size <= 0 ? GREETING_OTHER : read_greeting(bytes, (size_t)size)) {
        case GREETING_INCOMPLETE:
            usleep(1000);
            break;
        case GREETING_WITHOUT_TLS:
            attempt->tls_missing = true;
            return false;
        case GREETING_WITH_TLS:
        case GREETING_OTHER:
            attempt->greeted = true;
            return true;
        }
    }
    return false;
}

/* libmariadb's own poll(), and so also its first call: for the connection to be made. */
static int wait_for_socket(my_socket descriptor, my_bool is_read, int timeout_ms)
{
    (void)timeout_ms;
    struct mariadb_attempt *attempt = connecting->attempt;
    set_read_timeout((int)descriptor, SLICE_MS);
    int result = wait_until_deadline(attempt, (int)descriptor, is_read ? POLLIN : POLLOUT);
    if (result == 1 && !is_read && !attempt->greeted) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt((int)descriptor, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error != 0)
            return errno = error, -1;
        if (!offers_tls(attempt, (int)descriptor))
            return 0;
    }
    return result;
}

static void log_in(uv_work_t *work)
{
    struct database_session *session = work->data;
    struct mariadb_attempt *attempt = session->attempt;
    const struct mariadb_settings *settings = &session->link->settings;
    MYSQL *mysql = &session->mysql;
    connecting = session;
    mariadb_tls_forget_errors();
    attempt->connected =
        mysql_real_connect(mysql, settings->host, settings->user, settings->password,
                           settings->name, settings->port, NULL, CLIENT_MULTI_STATEMENTS) != NULL;
    connecting = NULL;
    if (!attempt->connected) {
        attempt->error = mysql_errno(mysql);
        snprintf(attempt->message, sizeof attempt->message, "%s", mysql_error(mysql));
    } else {
        attempt->tls_missing = mysql_get_ssl_cipher(mysql) == NULL;
    }
}

/* The loop's from now on: nothing blocks, libmariadb's calls become coroutines. */
static bool take_over(struct database_session *session)
{
    MYSQL *mysql = &session->mysql;
    const size_t stack_bytes = COROUTINE_STACK_BYTES;
    int descriptor = (int)mysql_get_socket(mysql);
    int flags = fcntl(descriptor, F_GETFL);
    set_read_timeout(descriptor, 0);
    return flags != -1 && fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) == 0 &&
           mysql_options(mysql, MARIADB_OPT_IO_WAIT, NULL) == 0 &&
           mysql_options(mysql, MYSQL_OPT_NONBLOCK, &stack_bytes) == 0;
}

static void on_logged_in(uv_work_t *work, int status)
{
    struct database_session *session = work->data;
    struct mariadb_attempt *attempt = session->attempt;
    session->pins--;
    if (status != 0 || atomic_load(&attempt->abandoned)) {
        mariadb_connect_failed(session, attempt->abandon_error, attempt->abandon_message);
        return;
    }
    if (attempt->tls_missing && session->link->settings.ssl_mode == SSL_PREFERRED) {
        session->link->server_without_tls = true;
        mariadb_connect_try(session);
        return;
    }
    if (attempt->tls_missing) {
        mariadb_connect_failed(session, MARIADB_ERROR_TLS_MISSING, "the server offers no TLS");
        return;
    }
    if (!attempt->connected && uv_hrtime() >= attempt->thread_deadline_ns)
        attempt->error = MARIADB_ERROR_TIMEOUT;
    if (attempt->connected && !take_over(session)) {
        mariadb_connect_failed(session, MARIADB_ERROR_MEMORY, "out of memory");
        return;
    }
    session->connected = attempt->connected ? &session->mysql : NULL;
    mariadb_connect_logged_in(session);
}

void mariadb_tls_start(struct database_session *session)
{
    const struct mariadb_settings *settings = &session->link->settings;
    struct mariadb_attempt *attempt = session->attempt;
    MYSQL *mysql = &session->mysql;
    const my_bool yes = 1;
    uint64_t now_ns = resv_now_ns(session->link->host);
    uint64_t left_ns = attempt->deadline_ns > now_ns ? attempt->deadline_ns - now_ns : 0;
    attempt->thread_deadline_ns = uv_hrtime() + left_ns;
    const unsigned seconds = (unsigned)(left_ns / (1000 * NS_PER_MS)) + 1;
    mysql_options(mysql, MYSQL_OPT_CONNECT_TIMEOUT, &seconds);
    mysql_optionsv(mysql, MARIADB_OPT_IO_WAIT, wait_for_socket);
    mysql_options(mysql, MYSQL_OPT_SSL_ENFORCE, &yes);
    if (settings->ssl_cert[0] != '\0') {
        mysql_options(mysql, MYSQL_OPT_SSL_CERT, settings->ssl_cert);
        mysql_options(mysql, MYSQL_OPT_SSL_KEY, settings->ssl_key);
    }
    if (settings->ssl_mode >= SSL_VERIFY_CA)
        mysql_options(mysql, MYSQL_OPT_SSL_CA, settings->ssl_ca);
    if (settings->ssl_mode == SSL_VERIFY_IDENTITY)
        mysql_options(mysql, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &yes);
    mariadb_tls_forget_errors();
    attempt->work.data = session;
    session->pins++;
    int error =
        uv_queue_work(resv_host_loop(session->link->host), &attempt->work, log_in, on_logged_in);
    if (error != 0)
        on_logged_in(&attempt->work, error);
}
