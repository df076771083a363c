/* The Kafka link: one event topic and one topic of dead letters, in terms of events.
 *
 * What a strategy does with it: it publishes events and is told what became of each; and, where it
 * consumes, it is given partitions, says from which offset on it wants their records, looks at
 * them in order and says which it is done with.
 *
 *   kafka_publish --> [bounded queue] --> broker --> done(event): persisted, not, possibly
 *
 *   assigned --> kafka_fetch_from --> arrived --> kafka_peek, kafka_pass, … --> revoked
 *
 * Where records are read from is the strategy's own matter (it keeps its position with what it
 * writes): offsets that are committed to Kafka only tell others how far it is.
 *
 * A partition that is revoked may be in somebody else's hands before this process hears of it (it
 * was paused, or cut off): whoever writes because of a record must make sure by other means that it
 * has not been done already.
 *
 * Every function is called on the loop thread and none blocks. Callbacks come on the loop thread
 * and never from inside a call. Memory of events is the caller's and must stay in place until done.
 *
 * The same header is implemented by the simulation (tests/simulation/).
 */
#ifndef RESVD_LINKS_KAFKA_H
#define RESVD_LINKS_KAFKA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "resvd/host.h"
#include "resvd/metric.h"
#include "resvd/option.h"

struct kafka_link;

#define KAFKA_PARTITIONS_MAX 1024

/* --- the link ----------------------------------------------------------------------------------
 */

struct kafka_link_config {
    bool consumes;      /* takes part in the consumer group */
    size_t events_max;  /* published and not done */
    size_t payload_max; /* bytes of one event */
    size_t records_max; /* fetched and not passed, of all partitions together */
};

struct kafka_link_events {
    void *data;
    /* Exactly one of these two follows kafka_link_start. */
    void (*opened)(void *data);
    void (*open_failed)(void *data, int exit_code, const char *message);
    /* The brokers were lost, or are there again: see kafka_link_is_up. */
    void (*up_changed)(void *data);
    /* The partition is this process's from now on. Nothing of it is fetched before
     * kafka_fetch_from. */
    void (*assigned)(void *data, int32_t partition);
    /* It is not any more; what was fetched of it is gone, and what was peeked at is not valid any
     * more. kafka_pass on it does nothing. */
    void (*revoked)(void *data, int32_t partition);
    /* There is something to peek at, where there was nothing, or more than was peeked at. */
    void (*arrived)(void *data, int32_t partition);
    /* The offset asked for is not there: the partition begins with `first` and its next record will
     * be `end`. Events were lost (retention, or the topic was made anew). Nothing more of it comes
     * until kafka_fetch_from. */
    void (*gap)(void *data, int32_t partition, int64_t first, int64_t end);
    /* Where the partition began and ended when that was asked for, after kafka_find_end: all that
     * had been persisted before that call is below `end`. */
    void (*end)(void *data, int32_t partition, int64_t first, int64_t end);
    /* After kafka_link_close: all memory is freed. Comes from inside it when the link was never
     * started, and may at other times. Nothing else comes after kafka_link_close, but letters that
     * were asked for are done (not complete) before. */
    void (*closed)(void *data);
};

/* [kafka]; and the link's own metrics. The strategy lists both beside its own. */
extern const struct resv_option_table kafka_options;
extern const struct resv_metric_table kafka_metrics;

/* No I/O. Reads [kafka] through the host; copies config and events. NULL after
 * resv_host_start_failed was told why. */
struct kafka_link *kafka_link_create(struct resv_host *host, const struct kafka_link_config *config,
                                     const struct kafka_link_events *events);
/* Connects (retrying within the host's start time-out), creates the topics that are not there, and
 * checks them: what can lose events is a warning that names the setting. */
void kafka_link_start(struct kafka_link *link);
/* False while no broker is reachable. */
bool kafka_link_is_up(const struct kafka_link *link);
/* Partitions of the event topic, as at the start: events of one key are all on one of them. */
int32_t kafka_link_partition_count(const struct kafka_link *link);
/* The event topic's name; lives as long as the link. */
const char *kafka_link_topic(const struct kafka_link *link);
/* Events under way are given up, soon, as is true: what was sent is KAFKA_POSSIBLY_PERSISTED. So is
 * the reading of letters that is under way. */
void kafka_link_interrupt(struct kafka_link *link);
/* Leaves the group; no event may be under way. `closed` comes when every thread and handle is gone:
 * at once as a rule, after some 6 s where a broker has the connection and says nothing. */
void kafka_link_close(struct kafka_link *link);

/* --- events ------------------------------------------------------------------------------------
 */

enum kafka_target {
    KAFKA_EVENTS,
    KAFKA_DEAD_LETTERS, /* compacted: the last letter of each key counts, one without bytes ends it
                         */
};

enum kafka_result {
    KAFKA_PERSISTED,          /* on all replicas that are in sync, at .partition and .offset */
    KAFKA_NOT_PERSISTED,      /* is not in the log and will not be */
    KAFKA_POSSIBLY_PERSISTED, /* nobody knows; it may even come later */
};

struct kafka_event {
    /* The caller's. Key and payload are copied by kafka_publish. */
    enum kafka_target target;
    const char *key;
    size_t key_size;
    const char *payload;
    size_t payload_size;
    void *data;
    /* Once. The struct may be used again from inside. */
    void (*done)(struct kafka_event *event);
    /* Result. */
    enum kafka_result result;
    int32_t partition;
    int64_t offset;
    /* The link's. */
    struct kafka_event *next, *previous;
    bool repeated;
};

/* How many more events may be published now. */
size_t kafka_room(const struct kafka_link *link);
/* There must be room. */
void kafka_publish(struct kafka_link *link, struct kafka_event *event);

/* --- records -----------------------------------------------------------------------------------
 */

struct kafka_record {
    int64_t offset;
    int64_t timestamp_ms; /* of the broker's or the producer's wall clock */
    const char *key;
    size_t key_size;
    const char *payload;
    size_t payload_size;
};

/* Of a partition that is assigned. What was fetched before is dropped. -1: from the beginning. */
void kafka_fetch_from(struct kafka_link *link, int32_t partition, int64_t offset);
/* Of a partition that is assigned: `end` follows, once for all calls that came before the brokers
 * were asked; they are asked again until they answer, or until it is revoked. Does not disturb what
 * is fetched. */
void kafka_find_end(struct kafka_link *link, int32_t partition);
/* Fills records with what has been fetched, in order, from the first that was not passed; returns
 * how many, at most count. They stay valid until they are passed, fetched anew or revoked. */
size_t kafka_peek(struct kafka_link *link, int32_t partition, struct kafka_record *records,
                  size_t count);
/* Everything below next_offset is done with. Kafka hears of it now and then. */
void kafka_pass(struct kafka_link *link, int32_t partition, int64_t next_offset);

/* --- dead letters ------------------------------------------------------------------------------
 */

/* Reads the topic of dead letters from its beginning to its end, as it is now. */
struct kafka_letters {
    void *data;
    /* For each record, in order; payload_size 0 ends the letter of that key. */
    void (*letter)(struct kafka_letters *letters, const struct kafka_record *record);
    /* Once, last. False: it could not be read to the end within [kafka] timeout. */
    void (*done)(struct kafka_letters *letters, bool complete);
    /* The link's. */
    struct kafka_letters *next;
};

/* One after another when several are asked for. */
void kafka_read_letters(struct kafka_link *link, struct kafka_letters *letters);

#endif
