/* Simulated Kafka brokers: two topics, a consumer group, and what befalls them.
 *
 *   sim_kafka_log.c    topics: records by partition and offset; what is reachable
 *   sim_kafka_lanes.c  events on their way from a link to a log, in order, and what becomes of them
 *   sim_kafka_group.c  who owns which partition, and who believes to
 *   sim_kafka_link.c   the link of one process: its life, what it publishes
 *   sim_kafka_fetch.c, sim_kafka_ends.c, sim_kafka_letters.c  what it reads
 *
 * All of their inside is in sim_kafka_link.h.
 *
 * What is in the log stays there and keeps its offset, whatever happens, unless the run asks for a
 * gap (kafka_remove_front, kafka_make_anew). Records of one link and partition come into the log in
 * the order in which they were published; only repetitions (`answer_lost`, `repeated`) break it. A
 * partition has
 * one owner at most, but any number of links that believe to be it: those that were not heard of
 * for session_ms are not asked. */
#ifndef SIMULATION_KAFKA_H
#define SIMULATION_KAFKA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kafka.h"
#include "sim_world.h"

#define SIM_KAFKA_TARGETS 2 /* enum kafka_target */

/* Set by the run, before or at any time; all zero is a Kafka without faults. Network delays are the
 * scenario's (network_max_us). */
struct sim_kafka_rates {
    uint64_t timeout_ms;    /* until an event's fate is told; 0: [kafka] timeout_ms */
    uint64_t session_ms;    /* a member that is not heard of for so long is out; 0: 6000 */
    uint64_t late_max_ms;   /* how late comes what is late; 0: 3000 */
    uint64_t zombie_max_ms; /* until a member that is out hears of it, at most; 0: 3000 */
    /* Per million of events. */
    uint64_t refused;      /* by the broker: NOT_PERSISTED */
    uint64_t lost;         /* it never comes into the log, and nobody knows: POSSIBLY_PERSISTED */
    uint64_t late;         /* sent again and again: comes late into the log, or after its report */
    uint64_t answer_lost;  /* the link sends it once more, in the log or not: PERSISTED, or
                            * POSSIBLY_PERSISTED */
    uint64_t reports_late; /* the report is */
    uint64_t repeated;     /* it comes into the log twice */
    uint64_t stays_queued; /* not sent for so long that it is given up, perhaps: NOT_PERSISTED */
    /* Per million of others. */
    uint64_t revoked_late; /* of revocations: the group goes on without this member */
    uint64_t letters_fail; /* of readings */
};

struct sim_kafka;

/* Two topics without a record; 1..KAFKA_PARTITIONS_MAX partitions of events. All rates are 0. It is
 * to be the world's (world->kafka) before a link is made. */
struct sim_kafka *kafka_create(struct sim_world *world, int32_t partitions);
void kafka_free(struct sim_kafka *kafka); /* or NULL */
struct sim_kafka_rates *kafka_rates(struct sim_kafka *kafka);
/* No more rates; brokers are there again, and everybody reaches them. */
void kafka_calm(struct sim_kafka *kafka);
/* No link is there any more, and nothing is on its way to a log. */
bool kafka_rests(const struct sim_kafka *kafka);

/* --- large faults ----------------------------------------------------------------------------- */

/* All brokers are gone for so long: links go down, nothing is sent. */
void kafka_lose(struct sim_kafka *kafka, uint64_t length_ns);
/* They answer nothing for so long, then do what has come. */
void kafka_stall(struct sim_kafka *kafka, uint64_t length_ns);
/* One partition of the events has no leader for so long. */
void kafka_lose_leader(struct sim_kafka *kafka, int32_t partition, uint64_t length_ns);
/* This process reaches no broker for so long. */
void kafka_cut(struct kafka_link *link, uint64_t length_ns);
/* Its producer has a fatal error: what was sent is POSSIBLY_PERSISTED, what was not is
 * NOT_PERSISTED, and there is no room for about a second. */
void kafka_fail_producer(struct kafka_link *link);
/* All partitions are dealt out anew. */
void kafka_rebalance(struct sim_kafka *kafka);
/* The group takes it for dead: its partitions go to others, and it hears of it up to zombie_max_ms
 * later (later still when it is paused). Nothing when it is no member. */
void kafka_expel(struct kafka_link *link);
/* The process has died: what has left may still come into the log, the rest does not. The group
 * finds it out after session_ms. */
void kafka_link_die(struct kafka_link *link);

/* --- the log ---------------------------------------------------------------------------------- */

int32_t kafka_partitions(const struct sim_kafka *kafka, enum kafka_target target);
int32_t kafka_partition_of(const struct sim_kafka *kafka, enum kafka_target target, const char *key,
                           size_t key_size);
/* The offsets of its first record and of the next one to come. */
int64_t kafka_first(const struct sim_kafka *kafka, enum kafka_target target, int32_t partition);
int64_t kafka_end(const struct sim_kafka *kafka, enum kafka_target target, int32_t partition);
/* All records that are there, by partition and offset. */
void kafka_walk(const struct sim_kafka *kafka, enum kafka_target target, void *data,
                void (*visit)(void *data, int32_t partition, const struct kafka_record *record));
/* From now on the run hears of each record as it comes into a log, injected ones included. NULL: of
 * none. */
void kafka_listen(struct sim_kafka *kafka, void *data,
                  void (*appended)(void *data, enum kafka_target target, int32_t partition,
                                   const struct kafka_record *record));
/* A record that no link has published. Returns its offset. */
int64_t kafka_inject(struct sim_kafka *kafka, enum kafka_target target, int32_t partition,
                     const char *key, size_t key_size, const char *payload, size_t payload_size);
/* Retention: the first `count` records of the partition of events (or all) are gone. */
void kafka_remove_front(struct sim_kafka *kafka, int32_t partition, size_t count);
/* The event topic is made anew: all records are gone, offsets begin with 0 again. */
void kafka_make_anew(struct sim_kafka *kafka);

/* --- the group -------------------------------------------------------------------------------- */

/* As the brokers have it; NULL: nobody's, for now. */
const struct kafka_link *kafka_owner(const struct sim_kafka *kafka, int32_t partition);
/* How many links of living processes believe that it is theirs. */
size_t kafka_believers(const struct sim_kafka *kafka, int32_t partition);

#endif
