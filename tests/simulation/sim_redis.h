/* Simulated Redis nodes: independent servers that run the real scripts (Lua 5.1).
 *
 *   sim_redis_node.c      connections, packets, channels; crashes, what is kept, the node's clock
 *   sim_redis_keys.c      the key space: strings and hashes, expiry
 *   sim_redis_commands.c  what scripts may call, of keys and strings
 *   sim_redis_hashes.c    the same, of hashes
 *   sim_redis_script.c    Lua: redis.call, and values to replies and back
 *   sim_redis_reply.c     replies
 *   sim_redis_locks.c     what the checker knows of locks
 *
 * A script is executed at one instant of the node's clock; between two scripts everybody else may
 * get a turn. What a node keeps when it crashes is the scenario's. The client's end of a connection
 * is a pipe (sim_redis_link.h). */
#ifndef SIMULATION_REDIS_H
#define SIMULATION_REDIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "redis.h"
#include "sim_world.h"

/* --- texts and replies ------------------------------------------------------------------------ */

struct redis_text text_copy(const char *bytes, size_t size); /* to be freed by text_free */
void text_free(struct redis_text text);
bool text_equals(struct redis_text left, struct redis_text right);
/* As Redis takes a number: nothing before or behind it, no leading zero. */
bool text_to_integer(struct redis_text text, int64_t *number);

enum reply_kind { REPLY_NIL, REPLY_INTEGER, REPLY_TEXT, REPLY_STATUS, REPLY_ERROR, REPLY_LIST };

struct redis_reply {
    enum reply_kind kind;
    int64_t integer;
    struct redis_text text;
    struct redis_reply *items;
    size_t count;
};

void reply_free(struct redis_reply *reply); /* what it holds; it is nil then */
void reply_integer(struct redis_reply *reply, int64_t integer);
void reply_text(struct redis_reply *reply, enum reply_kind kind, const char *bytes, size_t size);
void reply_error(struct redis_reply *reply, const char *words);
void reply_list(struct redis_reply *reply, size_t count); /* of nils, to be filled */
/* For traces; valid until a few more calls. */
const char *reply_words(const struct redis_reply *reply);

/* --- the key space ---------------------------------------------------------------------------- */

enum key_type { KEY_STRING, KEY_HASH };

struct key_field {
    struct redis_text name;
    struct redis_text value;
    uint64_t number; /* from 1, as they came: what a cursor stands at */
};

struct sim_redis_key {
    struct sim_redis_key *next; /* in its bucket */
    struct redis_text name;
    enum key_type type;
    struct redis_text value;
    struct key_field *fields; /* in the order in which they came */
    size_t fields_count;
    size_t fields_capacity;
    uint64_t fields_added; /* ever */
    int64_t expires_ms;    /* by the node's clock; 0: never */
    const struct resv_host *writer;
};

#define KEYS_BUCKETS 64

struct sim_redis_keys {
    struct sim_redis_key *buckets[KEYS_BUCKETS];
};

/* NULL when it is not there, or no longer. */
struct sim_redis_key *keys_find(struct sim_redis_keys *keys, struct redis_text name,
                                int64_t now_ms);
struct sim_redis_key *keys_add(struct sim_redis_keys *keys, struct redis_text name,
                               enum key_type type);
void keys_remove(struct sim_redis_keys *keys, struct sim_redis_key *key);
void keys_clear(struct sim_redis_keys *keys);
void keys_copy(struct sim_redis_keys *keys, const struct sim_redis_keys *from);
struct key_field *key_field(struct sim_redis_key *key, struct redis_text name); /* or NULL */
struct key_field *key_add_field(struct sim_redis_key *key, struct redis_text name);
void key_remove_field(struct sim_redis_key *key, struct key_field *field);

/* --- nodes ------------------------------------------------------------------------------------ */

/* Somebody waits for a call: the client's, on one of its lists. */
struct redis_ticket {
    struct redis_call *call;
    struct sim_sent *sent; /* NULL: nothing will come back */
    struct redis_ticket *next, *previous;
    bool given_up;
};

/* One call as it travels: a copy of all that it points to. */
struct sim_sent {
    struct sim_sent *next; /* in its packet */
    const struct redis_script *script;
    const struct resv_host *host; /* whose call it is */
    struct redis_text *keys;
    size_t keys_count;
    struct redis_text *arguments;
    size_t arguments_count;
    struct redis_reply reply;
    struct redis_ticket *ticket; /* NULL: nobody waits for it any more */
};

enum sim_packet_kind { PACKET_CALLS, PACKET_SUBSCRIBE, PACKET_UNSUBSCRIBE };

struct sim_redis_packet {
    struct sim_redis_packet *next;
    enum sim_packet_kind kind;
    struct sim_sent *first, **last;
    size_t count;
    struct sim_sent *at; /* the next to be executed */
    size_t whole;        /* so many arrive; the connection ends behind them if that is not all */
    bool answer_lost;    /* executed, and the connection ends with the answer */
    char channel[REDIS_CHANNEL_SIZE_MAX];
    uint64_t subscription; /* which one of this channel */
    uint64_t arrives_ns;
};

struct sim_redis_packet *redis_packet_new(enum sim_packet_kind kind);
/* Tickets that it still has are told that nothing will come back. */
void redis_packet_free(struct sim_redis_packet *packet);

struct redis_pipe;

struct sim_redis_connection {
    struct sim_redis_node *node;
    struct sim_redis_connection *next;
    struct redis_pipe *pipe;          /* the client's end; NULL when it has gone */
    struct sim_redis_packet *packets; /* on their way or arrived, in order */
    struct sim_event work;            /* the next of them */
    uint64_t last_arrives_ns;
    char (*channels)[REDIS_CHANNEL_SIZE_MAX];
    size_t channels_count;
};

#define NODE_FORGETS_MAX 32

enum node_refusal { NODE_TAKES_ALL, NODE_OUT_OF_MEMORY, NODE_READ_ONLY, NODE_BUSY };

struct sim_redis_node {
    struct sim_world *world;
    char who[16]; /* for the trace: "lock 1", "stock" */
    bool up;
    uint64_t paused_until_ns;
    enum node_refusal refusal;
    uint64_t refuses_until_ns;
    char run_id[REDIS_RUN_ID_SIZE];
    int64_t drift_per_million; /* how much faster its clock goes */
    int64_t clock_ahead_ms;
    int64_t jumped_back_ms; /* in all */
    int64_t now_ms;         /* while a script runs */
    const struct resv_host *caller;
    struct sim_redis_keys keys;
    struct sim_redis_keys kept; /* what a crash would leave */
    bool script_wrote;          /* the one that runs: memory that is short does not stop it now */
    uint64_t forgot_ns[NODE_FORGETS_MAX]; /* when it lost what was written */
    size_t forgets;
    struct sim_event keep;
    struct sim_redis_connection *connections;
};

struct sim_redis {
    struct sim_world *world;
    struct sim_redis_node locks[REDIS_NODES_MAX];
    size_t locks_count;
    struct sim_redis_node stock;
};

struct sim_redis *redis_create(struct sim_world *world, size_t locks_count);
void redis_free(struct sim_redis *redis);
struct sim_redis_node *redis_node(struct sim_redis *redis, enum redis_use use, size_t index);
/* No connection is there any more. */
bool redis_rests(const struct sim_redis *redis);

/* sim_redis_locks.c: what the checker knows of locks. */
/* All is over: each key on a lock node has an end, and that is no later than a lease from now. */
void redis_check_locks(struct sim_redis *redis);
size_t redis_count_locks(struct sim_redis *redis);
/* A process writes seats of the concert: where nothing befell nodes that a lock does not survive,
 * it has the concert's lock on a majority of them. */
void redis_check_holder(struct sim_redis *redis, const struct resv_host *host, int64_t concert_id);
/* Somebody's lock of the concert on all nodes, for so long. */
void redis_plant_lock(struct sim_redis *redis, int64_t concert_id, uint64_t lease_ms);
void redis_remove_locks(struct sim_redis *redis);

int64_t node_clock_ms(const struct sim_redis_node *node);
bool node_is_paused(const struct sim_redis_node *node);
void node_crash(struct sim_redis_node *node);
void node_restart(struct sim_redis_node *node);
void node_empty(struct sim_redis_node *node); /* as by FLUSHALL */
/* At some time in between it has lost something that was written. */
bool node_forgot(const struct sim_redis_node *node, uint64_t from_ns, uint64_t to_ns);
void node_jump(struct sim_redis_node *node, int64_t ahead_ms);
void node_wrote(struct sim_redis_node *node);
/* The number of connections that it goes to. */
size_t node_publish(struct sim_redis_node *node, struct redis_text channel);

struct sim_redis_connection *node_connect(struct sim_redis_node *node, struct redis_pipe *pipe);
/* The packet is the connection's from now on. */
void node_send(struct sim_redis_connection *connection, struct sim_redis_packet *packet,
               uint64_t delay_ns);
/* The client's end is closed: what is on its way is executed nevertheless when `executed`. */
void node_client_gone(struct sim_redis_connection *connection, bool executed);
/* The connection ends now, for both. */
void node_cut(struct sim_redis_connection *connection);

/* sim_redis_pipe.c: what comes back. */
void pipe_answer(struct redis_pipe *pipe, struct sim_redis_packet *packet); /* its own now */
void pipe_message(struct redis_pipe *pipe, const char *channel);
void pipe_broken(struct redis_pipe *pipe);

/* --- scripts and commands --------------------------------------------------------------------- */

/* At one instant; fills the reply, REPLY_ERROR included. */
void script_run(struct sim_redis_node *node, struct sim_sent *sent);

struct command_call {
    struct sim_redis_node *node;
    const struct redis_text *arguments; /* [0] is the command */
    size_t count;
    struct redis_reply *reply;
};

struct command {
    const char *name;
    int words; /* the command included; so many at least when negative */
    bool writes;
    bool grows; /* refused when memory is short */
    void (*run)(struct command_call *call);
};

extern const struct command commands_of_hashes[]; /* ends with a name of NULL */

/* One command of a script; "is not simulated" is a violation. */
void command_run(struct command_call *call);
/* The key of arguments[1]; *wrong when it is of another type, and the reply says so. */
struct sim_redis_key *command_key(struct command_call *call, enum key_type type, bool *wrong);
/* The argument as a number; false when it is none, and the reply says so. */
bool command_integer(struct command_call *call, size_t index, int64_t *number);
struct redis_text integer_text(int64_t number, char buffer[static 24]);

#endif
