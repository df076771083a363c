/* What the parts of the MariaDB link that know connections share: link, pools, sessions.
 *
 * Steps, schema and catalog do not see this; they stand on mariadb_internal.h alone.
 *
 *   wait ──► pool ──► session ──► libmariadb (a coroutine that says what it waits for) ──► socket
 *
 * A connection's way:  CONNECTING ──► IDLE ◄──► TAKEN ──► (lost) ──► CLOSED ──► freed
 *                          │            ▲│                              ▲
 *                          └─► CLOSED   └┴── PINGING ───────────────────┘
 */
#ifndef RESVD_LINKS_MARIADB_SESSION_INTERNAL_H
#define RESVD_LINKS_MARIADB_SESSION_INTERNAL_H

#include <stdatomic.h>

#include "mariadb_internal.h"

enum { MARIADB_EXIT_UNAVAILABLE = 69, MARIADB_EXIT_CONFIG = 78 };

/* --- settings and metrics (mariadb_options.c) --------------------------------------------------
 */

enum mariadb_ssl_mode { SSL_OFF, SSL_PREFERRED, SSL_REQUIRED, SSL_VERIFY_CA, SSL_VERIFY_IDENTITY };

struct mariadb_settings {
    const char *host;
    const char *socket; /* not empty: wins over host and port */
    const char *user;
    const char *password;
    const char *name;
    const char *ssl_ca;
    const char *ssl_cert;
    const char *ssl_key;
    unsigned port;
    enum mariadb_ssl_mode ssl_mode;
    bool get_server_public_key;
    size_t pool_min, pool_max, pool_queue_max, catalog_pool;
    uint64_t pool_wait_ms;
    uint64_t connect_timeout_ms;
    uint64_t statement_timeout_ms;
    uint64_t idle_timeout_ms;
    uint64_t ping_interval_ms;
    uint64_t reconnect_min_ms, reconnect_max_ms;
    unsigned lock_wait_timeout_s;
};

/* Reads [database]. False with a line that names the settings that do not fit together. */
bool mariadb_settings_read(struct resv_host *host, struct mariadb_settings *settings, char *why,
                           size_t why_size);

enum mariadb_metric {
    METRIC_ACTIVE,
    METRIC_IDLE,
    METRIC_PENDING,
    METRIC_MAX,
    METRIC_WAIT_SECONDS,
    METRIC_STATEMENT_SECONDS,
    METRIC_CONNECTS,
    METRIC_CONNECT_FAILURES,
    METRIC_LOST,
    METRIC_DEADLOCKS,
    METRIC_LOCK_WAITS,
    METRIC_LOST_ENDED,
    METRIC_REFUSED_DOWN,
    METRIC_REFUSED_QUEUE_FULL,
    METRIC_REFUSED_WAITED_OUT,
};

/* --- sessions (mariadb_session.c) --------------------------------------------------------------
 */

enum mariadb_session_state {
    SESSION_CONNECTING, /* address, login, settings */
    SESSION_IDLE,       /* in its pool's idle list */
    SESSION_PINGING,    /* idle, and the link itself asks: whether the server answers, or that it
                         * ends a lost session */
    SESSION_TAKEN,      /* somebody has it */
    SESSION_LOST,       /* somebody has it, but the connection is gone */
    SESSION_CLOSED,     /* in no pool any more; freed at the next flush point */
};

/* What libmariadb is doing for a session. */
enum mariadb_step { STEP_NONE, STEP_CONNECT, STEP_QUERY, STEP_STORE, STEP_NEXT };

/* A uv_poll_t on a duplicate of libmariadb's descriptor: so libmariadb may close its own whenever
 * it likes, and the number that libuv watches is never another file's. Freed by its close callback.
 */
struct mariadb_socket {
    uv_poll_t poll;
    struct database_session *session; /* NULL once closed */
    struct database_link *link;
    int descriptor;
    int events;
};

/* One way to the server, from the pool's wish to a session with its settings (mariadb_connect.c).
 */
struct mariadb_attempt {
    uint64_t deadline_ns;
    struct resv_deferred begin;
    uv_getaddrinfo_t resolve;
    struct addrinfo *addresses; /* what the name stands for */
    struct addrinfo *address;   /* the one that is tried */
    char numeric[64];           /* the same; libmariadb reads it until the login has ended */
    uv_work_t work;             /* TLS: its handshake blocks, so it has a thread */
    atomic_bool abandoned;      /* tells that thread */
    uint64_t thread_deadline_ns;
    bool resolving; /* else the thread's work, if pinned */
    bool tls;
    bool tls_missing; /* the server has none; nothing has been sent to it */
    bool greeted;     /* the server's greeting was looked at */
    bool connected;   /* that thread's result */
    unsigned abandon_error;
    char abandon_message[96];
    unsigned error;
    char message[256];
    char text[2048]; /* of the settings */
    struct mariadb_query query;
    char version[64];
    uint64_t max_packet_bytes;
    bool lock_taken;
    bool innodb_found;
    long flush_log, sync_binlog, log_bin; /* -1: not told */
};

struct database_session {
    struct database_link *link;
    struct mariadb_pool *pool;
    struct database_session *next, *previous;         /* idle list, or the link's list of closed */
    struct database_session *all_next, *all_previous; /* every session of the link */
    enum mariadb_session_state state;
    uint64_t number;                   /* 0 until it is connected */
    struct database_session_name name; /* .server is 0 until it was asked for it */
    int64_t connection_id;             /* its number on that server */
    uint64_t used_ns;                  /* when it became idle */
    uint64_t checked_ns;               /* when the server last answered */

    MYSQL mysql;
    bool mysql_open; /* between mysql_init and mysql_close */
    struct mariadb_socket *socket;
    bool lost;
    enum mariadb_step step;
    bool suspended; /* libmariadb waits for the socket */
    bool ready;     /* a step has finished inside the call that began it */
    bool abort;     /* to be given up at the flush point */
    int failed;     /* results of a step */
    MYSQL_RES *rows;
    MYSQL *connected;

    struct mariadb_query *query;
    size_t statement;
    uint64_t query_started_ns;
    uint64_t deadline_ns;       /* of the step; the timer may be armed for an earlier one */
    struct resv_timer deadline; /* left armed when a query is done: most are, long before */
    struct resv_deferred deferred;
    bool transaction_unknown; /* an error left open whether one is */

    unsigned pins;                   /* requests of libuv that know this session */
    struct mariadb_attempt *attempt; /* while CONNECTING */
    struct mariadb_query ping;
    char ping_text[8];
    char *text;
    size_t text_size;
    size_t text_max; /* the server's max_allowed_packet */
    max_align_t run[MARIADB_SESSION_RUN_BYTES / sizeof(max_align_t)];
};

/* Not connected, CONNECTING; NULL when out of memory. */
struct database_session *mariadb_session_create(struct mariadb_pool *pool);
/* Of a CLOSED session, at the flush point. */
void mariadb_session_free(struct database_session *session);
/* A MYSQL of its own, the socket of the last one closed. */
bool mariadb_session_renew(struct database_session *session);
/* Begins the login that mariadb_connect.c has prepared; ends in mariadb_connect_logged_in. */
void mariadb_session_log_in(struct database_session *session, const char *address,
                            uint64_t deadline_ns);
/* Closes the socket at once and unwinds libmariadb. A query under way ends as lost, from here. */
void mariadb_session_lose(struct database_session *session, unsigned error, const char *message);
/* Ends the connection: with a COM_QUIT where it is in order, else at once. No query is under way.
 */
void mariadb_session_disconnect(struct database_session *session);
/* The transaction, if any, is over. */
bool mariadb_session_is_clean(const struct database_session *session);

/* The step has finished; or the server has closed a connection that nobody uses. */
void mariadb_session_go_on(struct database_session *session);
void mariadb_session_ended(struct database_session *session);

/* --- libmariadb's calls (mariadb_coroutine.c) --------------------------------------------------
 */

/* Begins session->step; true when it has finished already, else mariadb_session_go_on follows. */
bool mariadb_coroutine_begin(struct database_session *session);
/* The same for a login, at a numeric address; NULL: by the unix socket. */
bool mariadb_coroutine_log_in(struct database_session *session, const char *address);
/* Shuts the socket and brings the step, if any, to its end: the coroutine's stack holds memory. */
void mariadb_coroutine_unwind(struct database_session *session);
/* Watches libmariadb's descriptor from now on; false when that cannot be. */
bool mariadb_session_watch(struct database_session *session);
void mariadb_session_unwatch(struct database_session *session);

/* --- connecting (mariadb_connect.c, mariadb_tls.c, mariadb_setup.c) ---------------------------
 */

/* Ends in mariadb_pool_connected or mariadb_pool_connect_failed, never from inside. */
void mariadb_connect_start(struct database_session *session);
/* The login has ended: session->connected says how. */
void mariadb_connect_logged_in(struct database_session *session);
/* Its time has passed, or it is not wanted any more: ends in mariadb_pool_connect_failed, maybe
 * from inside, maybe when a thread has seen it. */
void mariadb_connect_abandon(struct database_session *session, unsigned error, const char *message);
/* Connected, with its settings. */
void mariadb_connect_succeeded(struct database_session *session);
void mariadb_connect_failed(struct database_session *session, unsigned error, const char *message);
/* Options of libmariadb that all connections have. */
bool mariadb_connect_options(struct database_session *session);
/* Whether this connection is to use TLS if the server has it. */
bool mariadb_tls_wanted(const struct database_session *session);
void mariadb_tls_start(struct database_session *session);
/* Before each call of libmariadb for a connection with TLS. */
void mariadb_tls_forget_errors(void);
/* One address, with or without TLS. */
void mariadb_connect_try(struct database_session *session);
/* Logged in: the session's settings, in one round trip. */
void mariadb_setup_start(struct database_session *session);

/* --- pools (mariadb_pool.c) --------------------------------------------------------------------
 */

struct mariadb_wait_list {
    struct database_wait *first, *last;
    size_t count;
};

struct mariadb_pool {
    struct database_link *link;
    size_t minimum, maximum;
    struct database_session *idle_first, *idle_last; /* last used first */
    size_t counts[SESSION_CLOSED];                   /* sessions by state */
    struct mariadb_wait_list urgent;                 /* before all others, however many */
    struct mariadb_wait_list waits;
    struct mariadb_wait_list overflow; /* came when as many waited as may; since_ns is 0 */
    struct resv_timer wait_timer;      /* for the first of each line */
};

void mariadb_pool_init(struct mariadb_pool *pool, struct database_link *link, size_t minimum,
                       size_t maximum);
/* The only writer of a session's state. */
void mariadb_session_move(struct database_session *session, enum mariadb_session_state state);
/* Ends its connection; it is freed at the flush point. */
void mariadb_session_close(struct database_session *session);
size_t mariadb_pool_waiting(const struct mariadb_pool *pool); /* in line, urgent or not */
size_t mariadb_pool_size(const struct mariadb_pool *pool);    /* connections, and those to be */
size_t mariadb_pool_alive(const struct mariadb_pool *pool);   /* connections */
bool mariadb_pool_is_filled(const struct mariadb_pool *pool);
struct database_session *mariadb_pool_connect(struct mariadb_pool *pool);
void mariadb_pool_connected(struct database_session *session);
void mariadb_pool_connect_failed(struct database_session *session, unsigned error,
                                 const char *message);
/* A connection was lost that nobody asks: idle, or taken and without a query. */
void mariadb_pool_lost(struct database_session *session);
/* Waits that can be served or must be refused, connections to be made: at the flush point. */
void mariadb_pool_serve(struct mariadb_pool *pool);
void mariadb_pool_grow(struct mariadb_pool *pool);
/* Pings and closes what has been idle for long. */
void mariadb_pool_look_after(struct mariadb_pool *pool);
void mariadb_pool_stop(struct mariadb_pool *pool);

/* --- lost sessions (mariadb_lost.c) ------------------------------------------------------------
 */

struct mariadb_lost {
    struct database_session_name *names; /* the oldest first, but for those tried in vain */
    size_t count, capacity;
    struct database_session *session; /* that ends one of them now, or NULL */
    size_t at;                        /* which */
    bool dropped;                     /* that one is off the list, for want of room */
    bool waits;                       /* the last was not over: until mariadb_lost_try_again */
    size_t ended;                     /* since it was last said */
    struct database_run run;
    struct database_step step;
};

/* A TAKEN session is being lost, and a transaction may be open on it. */
void mariadb_lost_remember(struct database_session *session);
/* At the flush point, before others are served: ends one, if a session is free for it. */
void mariadb_lost_serve(struct database_link *link);
/* Whether that would do anything. */
bool mariadb_lost_is_due(const struct database_link *link);
/* With a tick, or a login. */
void mariadb_lost_try_again(struct database_link *link);

/* --- the link (mariadb_link.c, mariadb_start.c, mariadb_server.c)
 * -------------------------------------------------
 */

#define MARIADB_COMPONENT "database" /* of the host's health */

enum mariadb_link_state {
    LINK_CREATED,
    LINK_CONNECTING, /* start: the first session */
    LINK_PREPARING,  /* start: the schema, on that session */
    LINK_FILLING,    /* start: the pools' minimum */
    LINK_OPEN,
    LINK_FAILED,
    LINK_CLOSING,
};

struct database_link {
    struct resv_host *host;
    struct database_link_config config;
    struct database_link_events events;
    struct mariadb_settings settings;
    enum mariadb_link_state state;
    struct mariadb_pool sales, reads;
    struct mariadb_pool *pools[2]; /* both, or the one that both are */
    size_t pool_count;
    struct mariadb_catalog *catalog;
    struct database_session *sessions; /* all */
    struct database_session *closed;   /* to be freed */
    struct database_session *first;    /* start: the one that prepares the schema */
    struct mariadb_lost lost;
    uint64_t sessions_connected;   /* so far */
    size_t sockets_open;           /* poll handles that libuv knows */
    struct resv_deferred flush;    /* mariadb_link_work */
    struct resv_timer retry_timer; /* armed: no connection is tried before */
    struct resv_timer tick;
    unsigned failures; /* connections that failed one after the other */

    bool up;
    bool crowded;         /* the server takes no more connections */
    bool refuses_writes;  /* read-only, disk full: until a tick has passed without */
    uint64_t refused_ns;  /* when it last did */
    uint64_t latency_ns;  /* last round trip of a ping or login */
    uint64_t health_ns;   /* when it was last said */
    char problem[512];    /* why it is down, crowded or refuses writes */
    char said[512];       /* what was last logged of failed connections */
    char durability[256]; /* what was last said of settings that may lose a 201 */
    char version[64];     /* the server's */
    bool cannot_start;    /* for `problem`, a matter of configuration */
    bool server_is_mariadb;
    bool server_without_tls; /* ssl_mode = preferred has found none */
};

void mariadb_link_schedule(struct database_link *link);
/* A connection is there, or is not: start goes on, or the link goes up or down. */
void mariadb_link_connected(struct database_session *session);
void mariadb_link_connect_failed(struct database_link *link, unsigned error, const char *message);
/* Says why, once for each reason. */
void mariadb_link_log_failure(struct database_link *link, const char *text);
/* Nothing is tried for a while, this long at most. */
void mariadb_link_retry_later(struct database_link *link, uint64_t most_ms);
bool mariadb_link_is_starting(const struct database_link *link);
/* When a start must have ended, well or not; UINT64_MAX when there is none. */
uint64_t mariadb_start_deadline_ns(const struct database_link *link);
void mariadb_start_try_again(struct database_link *link, int exit_code, const char *text);
void mariadb_start_prepare(struct database_link *link);
/* At the flush point. */
void mariadb_start_go_on(struct database_link *link);
bool mariadb_link_may_connect(const struct database_link *link);
size_t mariadb_link_alive(const struct database_link *link);
/* A statement was answered with this error (0: none). */
void mariadb_link_note_error(struct database_link *link, unsigned error, const char *message);
void mariadb_link_say_health(struct database_link *link);
void mariadb_link_show(struct database_link *link);
/* What was found on a new connection; false with the line that says why it is no use. */
bool mariadb_server_check(struct database_link *link, const struct mariadb_attempt *attempt,
                          char *why, size_t why_size);

/* Numbers of our own, beside the client library's 2000 to 2999 and the servers'. */
enum mariadb_own_error {
    MARIADB_ERROR_TIMEOUT = 100000, /* not connected within connect_timeout_ms */
    MARIADB_ERROR_RESOLVE,          /* the host's name */
    MARIADB_ERROR_TLS_MISSING,      /* the server has no TLS, ssl_mode asks for it */
    MARIADB_ERROR_SERVER,           /* not one that can be used: too old, no InnoDB */
    MARIADB_ERROR_NAME_TAKEN,       /* GET_LOCK of a session's name failed */
    MARIADB_ERROR_CLOSING,
    MARIADB_ERROR_MEMORY,
};
bool mariadb_error_is_crowded(unsigned error);
bool mariadb_error_refuses_writes(unsigned error);

#endif
