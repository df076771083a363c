/* The Redis link's inside: what its files share. Only these files see hiredis, of which they use
 * the reader of replies: connections, pipelines and subscriptions are our own, because hiredis' own
 * asynchronous ones allocate for every call and lose subscriptions.
 *
 *   redis_link.c         life of the link, interrupt, close
 *   redis_start.c        its start: a majority, or why not
 *   redis_health.c       health, in words
 *   redis_options.c      [redis]: the table, and the settings read from it
 *   redis_metrics.c      metrics of each node
 *   redis_address.c      addresses as they are written
 *   redis_node.c         one node: connecting, up, lost, and again
 *   redis_login.c        what is said on a new connection
 *   redis_check.c        what a server must be, and which of its settings lose data
 *   redis_calls.c        calls under way: pipeline, deadlines
 *   redis_answers.c      their answers; scripts that the server has forgotten
 *   redis_errors.c       error replies in our words
 *   redis_refusal.c      a node that answers, but refuses
 *   redis_channels.c     subscriptions by channel
 *   redis_listener.c     a node's second connection, which hears them
 *   redis_connect.c      the way to a server: name, addresses, deadline
 *   redis_connection.c   one connection: one write a turn, replies
 *   redis_tls.c          the same with TLS
 *   redis_command.c      commands to bytes
 *   redis_reply.c        bytes to replies, in bounded memory
 */
#ifndef RESVD_LINKS_REDIS_INTERNAL_H
#define RESVD_LINKS_REDIS_INTERNAL_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/un.h>
#include <uv.h>

#include "redis.h"

#define REDIS_EXIT_UNAVAILABLE 69
#define REDIS_EXIT_CONFIG      78
#define REDIS_NS_PER_MS        1000000ULL
#define REDIS_SCRIPTS_MAX      32
#define REDIS_SHA1_SIZE        41 /* with the closing NUL */
#define REDIS_WORDS_SIZE       512
#define REDIS_NODE_NAME_SIZE   300

/* --- settings (redis_options.c, redis_address.c) -----------------------------------------------
 */

struct redis_address {
    char host[254]; /* "" for a unix socket; IPv6 without brackets */
    uint16_t port;
    char path[sizeof((struct sockaddr_un *)NULL)->sun_path];
    char text[REDIS_NODE_NAME_SIZE]; /* as it is written */
};

/* Fills at most `capacity`; how many there are, or 0 with what is wrong in `why`. */
size_t redis_address_parse_list(const char *text, struct redis_address *addresses, size_t capacity,
                                char *why, size_t why_size);

enum redis_tls_mode { REDIS_TLS_OFF, REDIS_TLS_ON, REDIS_TLS_VERIFY_CA };

struct redis_settings {
    struct redis_address nodes[REDIS_NODES_MAX];
    size_t nodes_count;
    const char *user, *password, *key_prefix;
    enum redis_tls_mode tls;
    const char *tls_ca, *tls_cert, *tls_key, *tls_name;
    uint64_t connect_timeout_ms, timeout_ms, ping_interval_ms;
    uint64_t reconnect_min_ms, reconnect_max_ms;
};
/* False, and why: settings that do not fit together. */
bool redis_settings_read(struct resv_host *host, enum redis_use use,
                         struct redis_settings *settings, char *why, size_t why_size);

/* --- metrics (redis_metrics.c) -----------------------------------------------------------------
 */

enum redis_metric {
    REDIS_METRIC_UP,
    REDIS_METRIC_SECONDS,
    REDIS_METRIC_UNDER_WAY,
    REDIS_METRIC_RECONNECTS,
    REDIS_METRIC_LISTENER_UP,
    REDIS_METRIC_LISTENER_RECONNECTS,
    REDIS_METRIC_LOST,
    REDIS_METRIC_REFUSED,
};
/* Where it is in redis_metrics for the node. */
size_t redis_metric_of(enum redis_metric metric, size_t node);

/* --- commands (redis_command.c) ----------------------------------------------------------------
 */

/* Grows up to `maximum`; what does not fit makes it `failed`, and it is as it was. */
struct redis_buffer {
    char *bytes;
    size_t used, capacity, maximum;
    bool failed;
};
bool redis_buffer_put(struct redis_buffer *buffer, const void *bytes, size_t size);
void redis_buffer_free(struct redis_buffer *buffer);
/* A command is its count of words, then the words. */
void redis_put_command(struct redis_buffer *buffer, size_t words);
void redis_put_word(struct redis_buffer *buffer, const void *bytes, size_t size);
void redis_put_text(struct redis_buffer *buffer, const char *text);
void redis_put_number(struct redis_buffer *buffer, size_t number);

/* --- replies (redis_reply.c) -------------------------------------------------------------------
 */

enum redis_reply_kind {
    REDIS_KIND_NIL,
    REDIS_KIND_INTEGER,
    REDIS_KIND_TEXT, /* a bulk or a status */
    REDIS_KIND_ERROR,
    REDIS_KIND_LIST,
};
struct redis_reply {
    enum redis_reply_kind kind;
    int64_t integer;
    struct redis_text text; /* closed by NUL, too */
    struct redis_reply *elements;
    size_t count;
};

/* Bytes of one reply at most, as it comes and as it is kept: more is a broken server. */
#define REDIS_REPLY_BYTES_MAX ((size_t)256 << 10)
struct redis_reader;
struct redis_reader *redis_reader_create(void);
void redis_reader_free(struct redis_reader *reader);
/* False when it is out of memory. */
bool redis_reader_feed(struct redis_reader *reader, const char *bytes, size_t size);
/* The next reply, or NULL when there is none yet; it lives until the next call. False, and why,
 * when what came is no reply. */
bool redis_reader_next(struct redis_reader *reader, const struct redis_reply **reply, char *why,
                       size_t why_size);
bool redis_text_is(struct redis_text text, const char *expected);

/* --- connections (redis_connection.c, redis_connect.c) -----------------------------------------
 */

/* What a connection tells who opened it. After lost nothing more comes, and the connection is not
 * to be used any more; after redis_connection_close nothing comes at all. Never from inside
 * redis_connection_open. */
struct redis_connection_events {
    void *data;
    void (*connected)(void *data);
    void (*replied)(void *data, const struct redis_reply *reply);
    void (*flushes)(void *data); /* what was put since flushed_bytes leaves now; may be NULL */
    /* `exit_code` as of a start that fails by it. */
    void (*lost)(void *data, int exit_code, const char *why);
};

enum redis_connection_state {
    CONNECTION_RESOLVING,
    CONNECTION_CONNECTING,
    CONNECTION_HANDSHAKING, /* TLS */
    CONNECTION_OPEN,
};

struct redis_socket; /* one address's descriptor, watched */
struct redis_tls;    /* one connection's TLS */

struct redis_connection {
    struct redis_link *link;
    const struct redis_address *address;
    struct redis_connection_events events;
    enum redis_connection_state state;
    /* Kept in place while any of these is on the stack or under way; then freed. */
    unsigned pins;
    bool closed;

    struct redis_socket *socket;
    struct redis_tls *tls;
    uv_getaddrinfo_t resolve;
    bool resolving;
    struct resv_deferred begin;
    struct addrinfo *addresses, *next_address;
    struct resv_timer timer; /* until redis_connection_settled; of the address, then of all */
    uint64_t deadline_ns;
    char problem[REDIS_WORDS_SIZE]; /* of the last address */

    struct resv_deferred flush;
    bool flush_is_last; /* has let those pass that were in line behind it */
    struct redis_buffer output;
    size_t output_sent;     /* of output */
    uint64_t written_bytes; /* ever */
    uint64_t flushed_bytes; /* ever, whether or not the server took them */
    uint64_t flushed_ns;    /* when that was last */
    struct redis_reader *reader;
    uint64_t received_ns; /* when bytes came last, or it was connected */
    bool replied;         /* ever */
};

/* NULL when out of memory. `connected` or `lost` comes within the connect time-out. */
struct redis_connection *redis_connection_open(struct redis_link *link,
                                               const struct redis_address *address,
                                               const struct redis_connection_events *events);
/* Logged in: the connect time-out ends. */
void redis_connection_settled(struct redis_connection *connection);
/* Where commands are put; they leave at the flush point. */
struct redis_buffer *redis_connection_output(struct redis_connection *connection);
/* Bytes that were ever put into it: what ends there has left once written_bytes is as much. */
uint64_t redis_connection_put_bytes(const struct redis_connection *connection);
/* Reads what has come, as timers go before reading; true when something has, or it is lost. */
bool redis_connection_look(struct redis_connection *connection);
/* As if it had been lost; from everywhere. */
void redis_connection_fail(struct redis_connection *connection, int exit_code, const char *why);
void redis_connection_close(struct redis_connection *connection);

/* Between the two files. */
void redis_connect_start(struct redis_connection *connection);
void redis_connect_on_event(struct redis_connection *connection, int status);
void redis_connect_stop(struct redis_connection *connection);
void redis_connection_on_event(struct redis_socket *socket, int status, int events);
void redis_connection_established(struct redis_connection *connection);
void redis_connection_handshake(struct redis_connection *connection);
void redis_connection_unpin(struct redis_connection *connection);

struct redis_socket {
    uv_poll_t poll;
    struct redis_link *link;
    struct redis_connection *connection; /* NULL when it has let go of it */
    int descriptor;
    int watched; /* events */
};
/* Connects; NULL and errno. */
struct redis_socket *redis_socket_create(struct redis_connection *connection, int family,
                                         const struct sockaddr *address, socklen_t address_size);
/* `events` of UV_READABLE and UV_WRITABLE. */
bool redis_socket_watch(struct redis_socket *socket, int events);
void redis_socket_close(struct redis_socket *socket);

/* --- TLS (redis_tls.c) -------------------------------------------------------------------------
 */

struct redis_tls_context;
bool redis_tls_is_built_in(void);
/* NULL, and why: a file that cannot be read, … */
struct redis_tls_context *redis_tls_context_create(const struct redis_settings *settings, char *why,
                                                   size_t why_size);
void redis_tls_context_free(struct redis_tls_context *context);
/* `name`: what the certificate must be for; an address or a host name. NULL when out of memory. */
struct redis_tls *redis_tls_create(struct redis_tls_context *context, int descriptor,
                                   const char *name);
void redis_tls_free(struct redis_tls *tls);
enum redis_io {
    REDIS_IO_DONE,
    REDIS_IO_WANTS_READ,
    REDIS_IO_WANTS_WRITE,
    REDIS_IO_FAILED,  /* broken off: may go well another time */
    REDIS_IO_REFUSED, /* by us or by the server: a matter of settings */
};
enum redis_io redis_tls_handshake(struct redis_tls *tls, char *why, size_t why_size);
/* As recv and send: bytes, 0 at the end (recv), -1 with errno EAGAIN or another. */
ssize_t redis_tls_receive(struct redis_tls *tls, void *bytes, size_t size);
ssize_t redis_tls_send(struct redis_tls *tls, const void *bytes, size_t size);

/* --- nodes (redis_node.c, redis_login.c, redis_check.c) ----------------------------------------
 */

/* What a reply in the pipeline is the answer to. */
enum redis_entry_kind {
    ENTRY_CALL,
    ENTRY_PING,
    ENTRY_AUTH,
    ENTRY_SETNAME,
    ENTRY_INFO,
    ENTRY_CONFIG,
    ENTRY_LOAD, /* SCRIPT LOAD */
    ENTRY_PROBE_LOAD,
    ENTRY_PROBE,
};

struct redis_entry {
    enum redis_entry_kind kind;
    struct redis_call *call; /* NULL once it was told that it is lost */
    size_t script;
    unsigned tries;
    uint64_t made_ns;
    uint64_t ends_at;           /* byte of the connection's output */
    struct redis_buffer buffer; /* the command, for as long as it may have to be sent again */
};

/* Commands under way on a connection, in the order of their answers: a ring. */
struct redis_pipeline {
    struct redis_entry *entries;
    size_t capacity, first, count;
    size_t calls;               /* of them ENTRY_CALL, answered for or not */
    uint64_t longest_ms;        /* time-out of any since it was empty */
    struct resv_timer deadline; /* not later than the earliest due_ns */
};

/* What a server says of itself. */
struct redis_facts {
    char version[40];  /* "7.2.4" */
    char software[16]; /* "Redis", "Valkey" */
    char appendfsync[12];
    bool known; /* INFO was understood */
};

enum redis_node_state {
    NODE_WAITING, /* until the retry timer */
    NODE_CONNECTING,
    NODE_UP,
    NODE_STOPPED, /* the link is closing or has not started */
};

/* The second connection. */
struct redis_listener {
    struct redis_connection *connection;
    bool logged_in;
    unsigned login_left;      /* answers */
    uint64_t asked, answered; /* commands on this connection, but for the login's */
    uint64_t asked_ns;        /* when `asked` became more than `answered`, or was answered last */
    uint64_t ping;            /* number of the last PING; one at a time */
    uint64_t refused_ns;      /* when a subscription was refused last, since they were asked for */
    bool refused;             /* one was */
    bool hears;               /* every one that was asked for by the last PING */
    bool said_deaf;           /* and not yet that it hears again */
    bool was_there;
    char run_id[REDIS_RUN_ID_SIZE]; /* that it was opened for */
    unsigned failures;
    char said[REDIS_WORDS_SIZE];
    struct resv_timer retry;
};

#define REDIS_ERROR_KINDS 16 /* that are told apart, at most */

struct redis_refusal {
    unsigned calls;    /* that were refused, and none was done since; counted to what matters */
    uint64_t since_ns; /* the first of them */
    bool refuses;
    char words[REDIS_WORDS_SIZE]; /* of the last one */
};

struct redis_node {
    struct redis_link *link;
    size_t index;
    const struct redis_address *address;
    enum redis_node_state state;
    struct redis_connection *connection;
    struct redis_pipeline pipeline;
    struct redis_facts facts;
    struct redis_listener listener;
    struct redis_refusal refusal;
    struct resv_timer retry;
    unsigned failures;
    bool answered; /* has been up or has failed: counts at the start */
    bool was_up;
    bool loading[REDIS_SCRIPTS_MAX]; /* sent again because the server had forgotten it */
    uint64_t latency_ns;
    char run_id[REDIS_RUN_ID_SIZE];
    int exit_code; /* of `problem`; 0 when up */
    bool final;    /* waiting will not cure it */
    char problem[REDIS_WORDS_SIZE];
    char said[REDIS_WORDS_SIZE];   /* the problem that was logged last */
    char warned[REDIS_WORDS_SIZE]; /* the warning that was logged last */
    uint64_t error_said_ns[REDIS_ERROR_KINDS];
};

void redis_node_start(struct redis_node *node);
void redis_node_stop(struct redis_node *node);
/* Closes, tells all calls, tries again later. */
void redis_node_lose(struct redis_node *node, int exit_code, bool final, const char *why);
/* Silence and keepalive. */
void redis_node_tick(struct redis_node *node, uint64_t now_ns);
uint64_t redis_backoff_ms(struct redis_link *link, unsigned failures);

void redis_login_start(struct redis_node *node);
/* The answer to one of the login's commands; may lose the node, or make it up. */
void redis_login_answer(struct redis_node *node, enum redis_entry_kind kind, size_t script,
                        const struct redis_reply *reply);
/* AUTH and CLIENT SETNAME; how many answers will come. */
unsigned redis_login_put(struct redis_link *link, struct redis_buffer *output, const char *name);
void redis_put_load(struct redis_buffer *output, const struct redis_script *script);
void redis_node_is_up(struct redis_node *node);

/* From INFO. False, and why not, whether that is final and what exit code it means. */
bool redis_check_info(struct redis_node *node, const char *info, bool *final, int *exit_code,
                      char *why, size_t why_size);
/* Once all is known: a line for what may be lost. */
void redis_check_warn(struct redis_node *node, const char *info);

/* --- calls (redis_calls.c, redis_answers.c) ----------------------------------------------------
 */

bool redis_pipeline_create(struct redis_node *node, size_t calls_max);
void redis_pipeline_free(struct redis_pipeline *pipeline);
/* For a command that was put into the connection's output. */
void redis_pipeline_add(struct redis_node *node, enum redis_entry_kind kind, size_t script);
struct redis_entry *redis_pipeline_push(struct redis_pipeline *pipeline);
struct redis_entry *redis_pipeline_at(const struct redis_pipeline *pipeline, size_t position);
void redis_pipeline_pop(struct redis_pipeline *pipeline);
/* The connection is gone: what it had not sent is DOWN, the rest LOST. */
void redis_pipeline_give_up(struct redis_node *node, uint64_t written_bytes);
/* What was put since the connection's flushed_bytes leaves now: its time begins. */
void redis_pipeline_flushes(struct redis_node *node);
/* The calls under way are LOST, their answers will be swallowed. */
void redis_pipeline_interrupt(struct redis_node *node);
void redis_pipeline_show(struct redis_node *node);
void redis_call_finish(struct redis_node *node, struct redis_call *call, enum redis_result result,
                       const struct redis_reply *reply);
/* Calls that found their node down. */
void redis_calls_tell_down(struct redis_link *link);
/* Any reply on the node's connection. */
void redis_answer(struct redis_node *node, const struct redis_reply *reply);

/* --- errors (redis_errors.c) -------------------------------------------------------------------
 */

/* Logged once for each kind and minute, with the way out. */
void redis_error_say(struct redis_node *node, const char *where, const char *text);
/* The error, and the way out. */
void redis_error_explain(const char *text, char *words, size_t words_size);
bool redis_error_is_noperm(const char *text);
/* The node is a replica by now: connect again, it may be another machine's turn. */
bool redis_error_is_readonly(const char *text);
bool redis_error_is_noscript(const char *text);
/* Of the login: the words, and whether waiting helps. */
void redis_error_explain_login(struct redis_node *node, enum redis_entry_kind kind,
                               const char *text, bool *final, int *exit_code, char *words,
                               size_t words_size);

/* --- refusals (redis_refusal.c) ----------------------------------------------------------------
 */

/* A call of the first script, or a ping, was answered by this error; NULL: it was done. */
void redis_refusal_note(struct redis_node *node, const char *error);
/* On a new connection it is judged anew. */
void redis_refusal_forget(struct redis_node *node);
void redis_refusal_tick(struct redis_node *node, uint64_t now_ns);
/* Instead of a PING. */
void redis_refusal_probe(struct redis_node *node);
void redis_refusal_answer(struct redis_node *node, enum redis_entry_kind kind,
                          const struct redis_reply *reply);

/* --- subscriptions (redis_channels.c, redis_listener.c) ----------------------------------------
 */

struct redis_channels {
    struct redis_subscription **buckets;
    size_t buckets_count; /* a power of two */
    struct redis_subscription *first;
    size_t count;
};
bool redis_channels_create(struct redis_channels *channels);
void redis_channels_free(struct redis_channels *channels);
struct redis_subscription *redis_channels_find(const struct redis_channels *channels,
                                               struct redis_text channel);

void redis_listener_start(struct redis_node *node);
void redis_listener_stop(struct redis_node *node);
void redis_listener_tick(struct redis_node *node, uint64_t now_ns);
/* Asks for it where a connection is there. */
void redis_listener_subscribe(struct redis_node *node, struct redis_subscription *subscription);
void redis_listener_unsubscribe(struct redis_node *node,
                                const struct redis_subscription *subscription);

/* --- the link (redis_link.c, redis_start.c, redis_health.c) ------------------------------------
 */

enum redis_link_state { LINK_CREATED, LINK_STARTING, LINK_OPEN, LINK_FAILED, LINK_CLOSING };

struct redis_link {
    struct resv_host *host;
    struct redis_link_config config;
    struct redis_link_events events;
    struct redis_settings settings;
    enum redis_link_state state;
    struct redis_tls_context *tls;
    struct redis_node nodes[REDIS_NODES_MAX];
    size_t nodes_count;
    size_t scripts_count;
    char sha1[REDIS_SCRIPTS_MAX][REDIS_SHA1_SIZE]; /* "" until a server has said it */
    struct redis_channels channels;
    struct redis_call *down_first, *down_last; /* to be told at the flush point */
    bool interrupted;
    bool working; /* in on_work, which frees what was closed meanwhile */
    bool patient; /* starting, and what is not up may come yet */
    uint64_t started_ns, health_said_ns;
    struct resv_timer start_timer, tick;
    struct resv_deferred work;
    size_t uv_open; /* handles and requests of libuv */
    char read_buffer[(size_t)64 << 10];
};

/* redis_link.c's work at the flush point. */
void redis_link_schedule(struct redis_link *link);
bool redis_link_is_alive(const struct redis_link *link); /* started, not closing, not failed */
size_t redis_link_up_count(const struct redis_link *link);
size_t redis_link_majority(const struct redis_link *link);

void redis_start_begin(struct redis_link *link);
/* Opened, failed, or not yet. */
void redis_start_look(struct redis_link *link);
uint64_t redis_start_deadline_ns(const struct redis_link *link);

void redis_health_say(struct redis_link *link);

#endif
