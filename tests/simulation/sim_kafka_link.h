/* The inside of the simulated Kafka: what the brokers' files and the link's files share.
 *
 *   kafka_publish --> lane: [queued] --leave--> [flying] --arrive--> log
 *   done <------------- report <---------------------------------'    |
 *   arrived, gap <--- link_partition: [held] <--------- fetch --------'
 *
 * Events of a process (leave, report, due, fetch, revoke, …) do not happen while it is paused;
 * those of brokers (arrive, deal, heartbeat) do. */
#ifndef SIMULATION_KAFKA_LINK_H
#define SIMULATION_KAFKA_LINK_H

#include "sim_host.h"
#include "sim_kafka.h"

/* --- brokers ---------------------------------------------------------------------------------- */

struct sim_record {
    int64_t timestamp_ms;
    char *key, *payload;
    size_t key_size, payload_size;
};

/* One partition. */
struct sim_log {
    struct sim_record *records;
    size_t count, capacity;
    int64_t first; /* offset of records[0] */
    uint64_t leaderless_until_ns;
};

struct sim_topic {
    struct sim_log *logs;
    int32_t count;
};

/* One event on its way. It is freed when it is on no list of a lane and its fate is told. */
struct sim_sending {
    struct sim_sending *next;  /* on its lane */
    struct sim_lane *lane;     /* NULL: on no list of it */
    struct kafka_link *link;   /* as long as `event` */
    struct kafka_event *event; /* NULL: it is done */
    struct sim_sending *link_next, *link_previous;
    enum kafka_target target;
    int32_t partition;
    struct sim_record record;
    uint64_t leaves_ns, arrives_ns;
    bool sent;
    bool refused;
    bool again;   /* sent twice */
    bool decided; /* `result` is what will be told */
    enum kafka_result result;
    int64_t offset;
    struct sim_event report, due;
};

struct sending_list {
    struct sim_sending *first, *last;
};

/* From one producer to one partition, in order. Lives on while something flies. */
struct sim_lane {
    struct sim_lane *next;
    struct sim_kafka *kafka;
    struct kafka_link *link; /* NULL: it takes nothing more */
    enum kafka_target target;
    int32_t partition;
    struct sending_list queued, flying;
    uint64_t last_arrives_ns, last_report_ns;
    struct sim_event leave, arrive;
};

struct sim_member {
    struct sim_member *next;
    struct kafka_link *link; /* NULL: the process is gone, which the group does not know */
    uint64_t seen_ns;
    bool rejoined; /* since the partitions were called in */
};

struct sim_kafka {
    struct sim_world *world;
    struct sim_kafka_rates rates;
    struct sim_topic topics[SIM_KAFKA_TARGETS];
    uint64_t lost_until_ns, stalled_until_ns;
    struct kafka_link *links;
    struct sim_lane *lanes;
    void *data;
    void (*appended)(void *data, enum kafka_target target, int32_t partition,
                     const struct kafka_record *record);
    /* The group. */
    struct sim_member *members;
    struct sim_member **owners; /* by partition */
    bool dealing;               /* partitions are called in, and not yet dealt out */
    struct sim_event deal, heartbeat;
};

/* --- one link --------------------------------------------------------------------------------- */

struct sim_held {
    struct sim_held *next;
    int64_t offset;
    struct sim_record record;
};

struct link_partition {
    struct kafka_link *link;
    int32_t number;
    bool assigned;
    bool fetching;
    bool limited;        /* there is more, and no room */
    int64_t next_offset; /* -1: the beginning */
    struct sim_held *first, *last;
    size_t held;
    struct sim_event fetch;
    bool end_wanted; /* since brokers were asked last */
    int64_t begin, end;
    struct sim_event ask, answer; /* for its end */
};

struct kafka_link {
    struct kafka_link *next;
    struct resv_host *host;
    struct sim_kafka *kafka;
    struct kafka_link_config config;
    struct kafka_link_events events;
    bool opened;
    bool up;
    bool dead; /* the process has crashed: nothing goes out or comes in any more */
    bool closing;
    unsigned inside; /* callbacks */
    uint64_t timeout_ms;
    uint64_t cut_until_ns;
    struct sim_event start, notice, close;
    /* Publishing. */
    struct sim_sending *sendings; /* whose fate is not told */
    size_t under_way;
    uint64_t producer_back_ns;
    /* Consuming. */
    struct link_partition *partitions;
    size_t assigned, held;
    struct sim_member *member; /* NULL: the group does not count it in */
    struct sim_event join, revoke, assign;
    /* Letters: the first is being read. */
    struct kafka_letters *letters;
    bool letters_begun;
    int32_t letters_partition;
    int64_t letters_offset;
    int64_t *letters_ends;
    struct sim_event letters_work, letters_due;
};

/* sim_kafka_log.c */
bool kafka_works(const struct sim_kafka *kafka);   /* brokers do what has come */
bool kafka_reaches(const struct kafka_link *link); /* and it finds one */
/* As kafka_works, and the partition has a leader. */
bool kafka_leads(const struct sim_kafka *kafka, enum kafka_target target, int32_t partition);
uint64_t kafka_network_ns(const struct sim_kafka *kafka);
uint64_t kafka_late_ns(const struct sim_kafka *kafka);
struct sim_log *kafka_log(const struct sim_kafka *kafka, enum kafka_target target,
                          int32_t partition);
struct sim_record record_copy(const char *key, size_t key_size, const char *payload,
                              size_t payload_size);
void record_free(struct sim_record *record);
struct kafka_record record_view(const struct sim_record *record, int64_t offset);
/* The record is copied. Returns its offset. */
int64_t log_append(struct sim_kafka *kafka, enum kafka_target target, int32_t partition,
                   const struct sim_record *record);

/* sim_kafka_lanes.c */
void sending_start(struct kafka_link *link, struct kafka_event *event);
/* All that is under way is decided now, and told soon. */
void sendings_give_up(struct kafka_link *link);
/* The link's lanes take nothing more; the end of what flies is lost. */
void lanes_detach(struct kafka_link *link, bool loses);

/* sim_kafka_fetch.c */
void fetch_open(struct kafka_link *link);
void fetch_close(struct kafka_link *link);
void fetch_drop(struct link_partition *partition);
/* Something has changed in the log, or it is reached again. */
void fetch_wake(struct sim_kafka *kafka, int32_t partition);
void fetch_wake_limited(struct kafka_link *link);

/* sim_kafka_ends.c */
void ends_open(struct link_partition *partition);
void ends_drop(struct link_partition *partition);

/* sim_kafka_group.c */
void group_open(struct sim_kafka *kafka);
void group_link_open(struct kafka_link *link);
/* It leaves, or is just not there any more (crashed). */
void group_link_close(struct kafka_link *link, bool leaves);
void group_close(struct sim_kafka *kafka);

/* sim_kafka_letters.c */
void letters_open(struct kafka_link *link);
void letters_abort(struct kafka_link *link); /* each is told now */
void letters_hurry(struct kafka_link *link); /* soon */

#endif
