/* What the tests of the simulated Kafka stand on: a world with some links, whose owners check what
 * they are told, and events that know what became of them. */
#ifndef SIMULATION_TEST_SIM_KAFKA_KIT_H
#define SIMULATION_TEST_SIM_KAFKA_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sim_kafka_link.h"

#define NODES      3
#define PARTITIONS 4
#define EVENTS     200
#define KEYS       7
#define NUMBERS    1000 /* of all events of a test */

/* --- what the links' owners know -------------------------------------------------------------- */

struct fixture;

struct node {
    struct fixture *fixture;
    struct resv_host host;
    struct kafka_link *link;
    bool opened, failed, closed;
    unsigned up_changes, gaps, revoked;
    bool owned[PARTITIONS];
    bool idle;                /* takes nothing of what arrives */
    int64_t next[PARTITIONS]; /* to be looked at; -1: whichever comes */
    int64_t gap_first, gap_end;
    unsigned ends; /* told after kafka_find_end, and the last of them */
    int64_t first, end;
    size_t arrivals;
    size_t letters, letters_ended, letters_done, letters_complete;
    struct kafka_letters reading[2];
};

struct item {
    struct kafka_event event;
    struct fixture *fixture;
    struct node *node;
    char key[8];
    char payload[16];
    unsigned done;
};

struct fixture {
    struct sim_world world;
    struct node nodes[NODES];
    bool calling; /* a function of kafka.h: no callback comes from inside */
    struct item items[NUMBERS];
    size_t published, done;
    size_t results[3];
    unsigned in_log[NUMBERS];
    int32_t last_of_key[KEYS]; /* the highest number that is in the log */
    unsigned out_of_order;
    /* The group's, as a database would have it. */
    int64_t positions[PARTITIONS];
    size_t taken, taken_again;
};

#define CALL(fixture, call)                                                                        \
    do {                                                                                           \
        (fixture)->calling = true;                                                                 \
        call;                                                                                      \
        (fixture)->calling = false;                                                                \
    } while (0)

struct fixture *set_up(uint64_t seed);
/* All links are closed, and nothing is left. */
void tear_down(struct fixture *fixture);
void run_for_ms(struct fixture *fixture, uint64_t milliseconds);
#define RUN_UNTIL(fixture, condition, limit_ms)                                                    \
    do {                                                                                           \
        for (unsigned tries = 0; !(condition) && tries < (limit_ms); tries++)                      \
            run_for_ms((fixture), 1);                                                              \
        assert_true(condition);                                                                    \
    } while (0)

/* Makes and starts it. */
void add_node(struct fixture *fixture, size_t index, bool consumes, size_t records_max);
/* And waits until it is open. */
struct node *open_node(struct fixture *fixture, size_t index, bool consumes, size_t records_max);
void close_node(struct node *node);
/* In a callback: it may come now. */
struct node *called_back(void *data);
/* In order, without a hole; then they are done with, here and for the group. */
void take(struct node *node, int32_t partition);

/* Event i has the payload "<key>/<i>". */
struct item *publish(struct fixture *fixture, struct node *node, int key);
/* With pauses: so many events of all keys. */
void publish_many(struct fixture *fixture, struct node *node, size_t count, uint64_t pause_ms);
void event_done(struct kafka_event *event);
/* What was told is so, now that nothing more comes. */
void check_fates(const struct fixture *fixture);
/* Something of chance, perhaps. */
void befall(struct fixture *fixture);

#endif
