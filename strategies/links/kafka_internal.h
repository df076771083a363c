/* The Kafka link's inside: what its files share. Only these files see rdkafka.h.
 *
 *   kafka_options.c     [kafka] and metrics tables
 *   kafka_properties.c  librdkafka's properties: which there are, ours, and the user's
 *   kafka_link.c        life of the link, its one event descriptor, health, interrupt
 *   kafka_close.c       its end
 *   kafka_client.c      one librdkafka handle: its queues, what comes out of them, its end
 *   kafka_start.c       from nothing to opened
 *   kafka_topics.c      topics are made and checked
 *   kafka_producer.c    events out
 *   kafka_consumer.c    the group: partitions come and go, offsets are told
 *   kafka_records.c     what was fetched of each partition, and where it is fetched from
 *   kafka_edges.c       where a partition begins and ends
 *   kafka_letters.c     dead letters
 *   kafka_stats.c       librdkafka's statistics to metrics
 *   kafka_log.c         its words to our log
 *
 * Threads are librdkafka's own, and libuv's pool where a call of it would block. All else runs on
 * the loop: librdkafka writes to one eventfd when one of its queues is no longer empty.
 */
#ifndef RESVD_LINKS_KAFKA_INTERNAL_H
#define RESVD_LINKS_KAFKA_INTERNAL_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "kafka.h"

enum { KAFKA_EXIT_FAILURE = 1, KAFKA_EXIT_UNAVAILABLE = 69, KAFKA_EXIT_CONFIG = 78 };

#define KAFKA_COMPONENT "kafka"
#define KAFKA_TARGETS   2 /* enum kafka_target */
#define KAFKA_TEXT_SIZE 512
#define KAFKA_NS_PER_MS 1000000ULL

/* --- settings and metrics (kafka_options.c) ----------------------------------------------------
 */

struct kafka_settings {
    const char *servers;
    const char *topics[KAFKA_TARGETS];
    const char *group;
    int32_t partitions;
    int32_t replication; /* -1: the brokers' default */
    int timeout_ms;
    int64_t fetch_buffer_kbytes;
};

void kafka_settings_read(struct resv_host *host, struct kafka_settings *settings);

enum {
    KAFKA_METRIC_UP,
    KAFKA_METRIC_UNDER_WAY,
    KAFKA_METRIC_PERSISTED,
    KAFKA_METRIC_NOT_PERSISTED,
    KAFKA_METRIC_POSSIBLY,
    KAFKA_METRIC_REPEATED,
    KAFKA_METRIC_DELIVERY_SECONDS,
    KAFKA_METRIC_PRODUCERS,
    KAFKA_METRIC_ROUND_TRIP_SECONDS,
    KAFKA_METRIC_THROTTLE_SECONDS,
    KAFKA_METRIC_PARTITIONS,
    KAFKA_METRIC_REBALANCES,
    KAFKA_METRIC_RECORDS,
    KAFKA_METRIC_HELD,
    KAFKA_METRIC_LAG_RECORDS,
    KAFKA_METRIC_LAG_SECONDS,
    KAFKA_METRIC_GAPS,
};

void kafka_count(struct kafka_link *link, size_t metric, uint64_t amount);
void kafka_gauge(struct kafka_link *link, size_t metric, int64_t value);
void kafka_observe_us(struct kafka_link *link, size_t metric, int64_t microseconds);

/* --- properties (kafka_properties.c) ------------------------------------------------------------
 */

enum kafka_client_kind { KAFKA_PRODUCER, KAFKA_CONSUMER, KAFKA_LETTERS };

extern const struct resv_property_table kafka_properties;

/* The configuration of a client: ours, then the user's. NULL, and why. */
rd_kafka_conf_t *kafka_conf_create(const struct kafka_link *link, enum kafka_client_kind kind,
                                   char *why, size_t why_size);

/* --- clients (kafka_client.c) -------------------------------------------------------------------
 */

struct kafka_client {
    struct kafka_link *link;
    enum kafka_client_kind kind;
    rd_kafka_t *handle;
    rd_kafka_queue_t *main_queue;
    rd_kafka_queue_t *consumer_queue; /* NULL: a producer */
    rd_kafka_queue_t *close_queue;    /* while a consumer closes */
    rd_kafka_topic_t *topics[KAFKA_TARGETS];
    size_t under_way; /* events that it has; of a producer */
    bool retired;     /* a producer that takes no more events */
    bool destroying;
    uv_work_t work;
    struct kafka_client *next;
};

/* Threads start, and connect. NULL, and why. */
struct kafka_client *kafka_client_create(struct kafka_link *link, enum kafka_client_kind kind,
                                         char *why, size_t why_size);
/* Everything that its queues have, up to a bound; false when there may be more. */
bool kafka_client_serve(struct kafka_client *client);
/* librdkafka writes to the link's event descriptor when something comes; or does not any more. */
void kafka_client_watch(struct kafka_link *link, rd_kafka_queue_t *queue);
void kafka_client_unwatch(rd_kafka_queue_t *queue);
/* Ends it in the pool: its threads take a moment. It must have no events, and none of its messages
 * may be held. Once; then kafka_link_go_on. */
void kafka_client_destroy(struct kafka_client *client);

/* --- the link (kafka_link.c) --------------------------------------------------------------------
 */

enum kafka_state {
    KAFKA_CREATED,
    KAFKA_STARTING,
    KAFKA_FAILED,
    KAFKA_OPEN,
    KAFKA_CLOSING,
};

/* What a topic is like; by kafka_start.c. */
struct kafka_topic_facts {
    rd_kafka_resp_err_t error;
    int32_t partitions;
    int32_t replicas; /* of the partition that has the fewest */
};

enum kafka_start_step {
    KAFKA_START_LOOK,
    KAFKA_START_CREATE,
    KAFKA_START_CHECK,
};

struct kafka_start {
    enum kafka_start_step step;
    bool working; /* the pool asks for the facts */
    uv_work_t work;
    struct kafka_topic_facts facts[KAFKA_TARGETS];
    struct resv_timer retry;
    int exit_code; /* not 0: it could not even begin, and why */
    char said[KAFKA_TEXT_SIZE];
};

/* kafka_log.c: so many lines in so much time. */
struct kafka_log {
    uint64_t window_ns; /* began */
    unsigned lines;
    unsigned suppressed;
};

struct kafka_consumer;

struct kafka_link {
    struct resv_host *host;
    struct kafka_link_config config;
    struct kafka_link_events events;
    struct kafka_settings settings;
    enum kafka_state state;
    struct kafka_start start;
    struct kafka_log log;

    int event_descriptor; /* -1: not open */
    uv_poll_t poll;
    struct kafka_client *clients;
    unsigned works; /* in the pool, besides clients that end */
    struct resv_deferred go_on;
    struct resv_timer tick;

    int32_t partition_count;   /* of the event topic; at the start */
    int32_t letter_partitions; /* of the other one */
    bool up;
    bool up_told;
    bool changed_partitions;
    uint64_t round_trip_ns;      /* the last */
    char said[KAFKA_TEXT_SIZE];  /* librdkafka's last complaint */
    char stuck[KAFKA_TEXT_SIZE]; /* why the consumer will not go on; "" while it does */

    /* Publishing. */
    struct kafka_client *producer; /* NULL: for a moment, after a fatal error */
    uint64_t producer_made_ns;
    size_t under_way;
    size_t undelivered; /* since the last tick, and why the last of them */
    rd_kafka_resp_err_t undelivered_error;
    struct kafka_event *refused_first, **refused_last; /* not taken: to be told */

    struct kafka_consumer *consumer; /* NULL: does not consume, or not yet */

    struct kafka_letters *letters_first, **letters_last;
    struct kafka_client *letters_client; /* reads for the first */
    int32_t letters_open;                /* partitions whose end was not reached */
    struct resv_timer letters_deadline;

    uint64_t close_deadline_ns;
    bool poll_closing;
};

/* Soon, on the loop: whatever the state lets go on. */
void kafka_link_go_on(struct kafka_link *link);
void kafka_link_say_health(struct kafka_link *link);
void kafka_link_set_up(struct kafka_link *link, bool up);
/* RD_KAFKA_EVENT_ERROR of a client. */
void kafka_link_error(struct kafka_client *client, rd_kafka_resp_err_t error, const char *reason);
/* Before the poll handle is there nothing can be closed; 0, or libuv's error. */
int kafka_link_open_events(struct kafka_link *link);
/* Whatever has come, in all queues. */
void kafka_link_drain(struct kafka_link *link);
bool kafka_link_is_closing(const struct kafka_link *link);

/* kafka_close.c: from CLOSING to freed, as far as it goes now. */
void kafka_close_go_on(struct kafka_link *link);
/* Of which nothing is left, or was ever begun; then it is closed. */
void kafka_close_free(struct kafka_link *link);

/* --- start (kafka_start.c, kafka_topics.c) ------------------------------------------------------
 */

void kafka_start_init(struct kafka_link *link);
/* Again after a pause, or the start has failed for good where time is up. */
void kafka_start_try_again(struct kafka_link *link, int exit_code, const char *reason);
/* 78 and the like: trying again would not help. */
void kafka_start_fail(struct kafka_link *link, int exit_code, const char *message);
/* Topics are made, or were there. */
void kafka_start_look(struct kafka_link *link);
/* Nothing is left to be done. */
void kafka_start_finish(struct kafka_link *link);
/* An error by which login or authorization was refused. */
bool kafka_error_is_refusal(rd_kafka_resp_err_t error);

void kafka_topics_create(struct kafka_link *link);
void kafka_topics_check(struct kafka_link *link);
void kafka_topics_created(struct kafka_client *client, rd_kafka_event_t *event);
void kafka_topics_described(struct kafka_client *client, rd_kafka_event_t *event);

/* --- publishing (kafka_producer.c) --------------------------------------------------------------
 */

/* False: not possible now; why. */
bool kafka_producer_create(struct kafka_link *link, char *why, size_t why_size);
void kafka_producer_delivered(struct kafka_client *client, rd_kafka_event_t *event);
/* It will never take anything any more: another one takes its place. */
void kafka_producer_fatal(struct kafka_client *client);
/* Ends retired ones that have nothing left, makes a new one, tells of refused events. */
void kafka_producer_go_on(struct kafka_link *link);
/* One line about all that were not delivered since the last one. */
void kafka_producer_tick(struct kafka_link *link);
void kafka_producer_retire(struct kafka_client *client);

/* --- consuming (kafka_consumer.c, kafka_records.c, kafka_edges.c) --------------------------------
 */

struct kafka_held {
    rd_kafka_message_t *message;
    struct kafka_held *next;
};

/* Why the edges of a partition are asked for. */
enum kafka_edges_reason {
    KAFKA_EDGES_NONE,
    KAFKA_EDGES_BEGIN, /* it shall be fetched from its beginning */
    KAFKA_EDGES_GAP,   /* the offset asked for is not there */
};

struct kafka_partition {
    struct kafka_consumer *consumer;
    int32_t number;
    bool assigned;  /* by the group */
    bool in_client; /* librdkafka fetches it */
    bool requested; /* shall be fetched from next_offset: soon */
    bool limited;   /* there may be more in its queue, but no room for it here */
    bool begun;     /* a record was taken since kafka_fetch_from */
    unsigned tries; /* of requests, since kafka_fetch_from */
    rd_kafka_queue_t *queue;
    int64_t next_offset; /* of the record to be taken next; -1: not known */
    int64_t passed;      /* all below it is done with; -1: not known */
    int64_t committed;   /* what Kafka was told last; -1: nothing */
    struct kafka_held *first, *last;
    size_t held;
    /* The pool asks for the edges. */
    enum kafka_edges_reason edges_wanted;
    bool edges_asking;
    unsigned generation; /* of what was asked: an answer to an older one is not used */
    unsigned edges_generation;
    rd_kafka_resp_err_t edges_error;
    int64_t edges_first, edges_end;
    bool end_wanted; /* by kafka_find_end, since the brokers were asked last */
    bool end_asking; /* what is asked now is an answer to that */
};

struct kafka_consumer {
    struct kafka_link *link;
    struct kafka_client *client;
    struct kafka_partition *partitions; /* link->partition_count */
    int32_t assigned;                   /* how many */
    struct kafka_held *held;            /* all that there are */
    struct kafka_held *held_free;
    size_t held_count;  /* how many there are */
    size_t held_total;  /* by all partitions together */
    size_t common_left; /* of the room for all */
    bool requests;      /* a partition is requested */
    bool thorough;      /* the next time also queues that say that they are empty are looked at */
    uint64_t commit_ns;
    bool edges_wanted; /* of a partition, perhaps */
    bool edges_asking;
    uint64_t edges_again_ns; /* not before */
    uv_work_t edges_work;
    bool closing;
    rd_kafka_topic_partition_list_t *list; /* to be filled and cleared */
};

/* Joins the group. NULL, and why. */
struct kafka_consumer *kafka_consumer_create(struct kafka_link *link, char *why, size_t why_size);
void kafka_consumer_rebalance(struct kafka_client *client, rd_kafka_event_t *event);
/* Takes in what has come, as far as there is room. */
void kafka_consumer_go_on(struct kafka_consumer *consumer);
/* From time to time. */
void kafka_consumer_tick(struct kafka_consumer *consumer);
/* Leaves the group; false while that goes on. */
bool kafka_consumer_close(struct kafka_consumer *consumer);
/* Nothing of its client is held any more: it may be destroyed. */
void kafka_consumer_end(struct kafka_consumer *consumer);
void kafka_consumer_free(struct kafka_consumer *consumer);
/* Tells librdkafka of all partitions that are `in_client`, each from its next_offset on. */
void kafka_consumer_tell_client(struct kafka_consumer *consumer);
/* The consumer's list, empty. */
rd_kafka_topic_partition_list_t *kafka_consumer_list(struct kafka_consumer *consumer);

void kafka_records_drop(struct kafka_partition *partition);
/* Before a round of kafka_records_collect. */
void kafka_records_count_common(struct kafka_consumer *consumer);
/* Takes in what is in the partition's queue. */
void kafka_records_collect(struct kafka_partition *partition, bool thorough);
/* From next_offset on, soon. */
void kafka_records_request(struct kafka_partition *partition);
/* Tells librdkafka of all that were requested. */
void kafka_records_apply_requests(struct kafka_consumer *consumer);
void kafka_consumer_say_lag(struct kafka_consumer *consumer);

/* Asks where it begins and ends, soon; then goes on as the reason says. */
void kafka_edges_want(struct kafka_partition *partition, enum kafka_edges_reason reason);
void kafka_edges_go_on(struct kafka_consumer *consumer);

/* --- the rest -----------------------------------------------------------------------------------
 */

void kafka_letters_init(struct kafka_link *link);
void kafka_letters_go_on(struct kafka_link *link);
void kafka_letters_event(struct kafka_client *client, rd_kafka_event_t *event);
/* The one under way and all that wait have failed. */
void kafka_letters_abort(struct kafka_link *link);

void kafka_stats_take(struct kafka_client *client, const char *json);

void kafka_log_line(struct kafka_client *client, rd_kafka_event_t *event);
/* A line of our own, bounded in number as librdkafka's. */
void kafka_log_say(struct kafka_link *link, enum resv_log_level level, const char *event,
                   const char *detail);
void kafka_log_tick(struct kafka_link *link);

#endif
