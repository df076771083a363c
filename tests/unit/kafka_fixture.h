/* Ends of Kafka, each with a link, a host and settings of its own, on one loop: what tests of the
 * Kafka link stand on. The broker is tests/support/with_kafka.py's, or the test's own mock.
 *
 * Topics and group are new ones for each test. */
#ifndef TESTS_KAFKA_FIXTURE_H
#define TESTS_KAFKA_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <uv.h>

#include "config/config.h"
#include "host/host.h"
#include "kafka.h"
#include "metrics/metrics.h"

#define TEST_PARTITIONS_MAX 64
#define TEST_PARTITIONS     6 /* of the event topic, unless a test says otherwise */

struct kafka_node {
    struct config *config;
    struct metrics *metrics;
    struct resv_host *host;
    struct kafka_link *link;
    struct kafka_link_config link_config; /* may be changed before kafka_node_start */

    bool opened, failed, ended, closed; /* ended: opened or failed */
    int exit_code;
    char message[1024];
    unsigned up_changes;

    bool owned[TEST_PARTITIONS_MAX];
    int owned_count;
    unsigned assigned, revoked, gaps;
    int32_t gap_partition;
    int64_t gap_first, gap_end;
    unsigned ends_found;
    int64_t ends[TEST_PARTITIONS_MAX];      /* as found last */
    int64_t positions[TEST_PARTITIONS_MAX]; /* where to go on; -1: from the beginning */
    bool waits;                             /* does not fetch what it is assigned */
    bool idle;                              /* takes nothing of what arrives */
    size_t arrivals;
    size_t taken; /* records passed */
    /* For each record taken; may be NULL. */
    void (*took)(struct kafka_node *node, int32_t partition, const struct kafka_record *record);
    void *data;
};

extern uv_loop_t kafka_loop;

/* cmocka; the teardown fails when anything is left on the loop. */
int kafka_fixture_setup(void **state);
int kafka_fixture_teardown(void **state);
#define KAFKA_TEST(function)                                                                       \
    cmocka_unit_test_setup_teardown(function, kafka_fixture_setup, kafka_fixture_teardown)

/* Instead of RESVD_TEST_KAFKA_SERVERS, from now on; NULL: that again. */
void kafka_servers(const char *servers);
/* "kill" and so on, as with_kafka.py has it. */
void kafka_control(const char *request);
/* This test's event topic. */
const char *kafka_test_topic(void);

/* With all settings; nothing connects. */
void kafka_node_create(struct kafka_node *node, bool consumes);
void kafka_node_set(struct kafka_node *node, const char *key, const char *text);
/* Makes the link, as kafka_node_start does before it begins. */
void kafka_node_make(struct kafka_node *node);
/* Only begins; kafka_node_open waits and fails the test unless it was opened. */
void kafka_node_start(struct kafka_node *node);
void kafka_node_open(struct kafka_node *node);
/* Until everything of it is closed. */
void kafka_node_close(struct kafka_node *node);
/* What /metrics says of it, or -1. */
double kafka_node_metric(struct kafka_node *node, const char *name);

/* Turns the loop until the condition holds; false after so long. */
#define RUN_UNTIL(condition, limit_ms)                                                             \
    do {                                                                                           \
        uint64_t run_end_ns = uv_hrtime() + (uint64_t)(limit_ms)*1000000ULL;                       \
        while (!(condition) && uv_hrtime() < run_end_ns)                                           \
            kafka_turn();                                                                          \
        assert_true(condition);                                                                    \
    } while (0)
/* One turn, which waits for some ms at most. */
void kafka_turn(void);
void kafka_run_ms(uint64_t milliseconds);

/* --- events -------------------------------------------------------------------------------------
 */

struct test_event {
    struct kafka_event event;
    char key[24];
    char payload[64];
    unsigned done;
    uint64_t done_ns;
    struct test_events *of;
};

struct test_events {
    struct test_event *list;
    size_t count;
    size_t published, done;
    size_t results[3]; /* by enum kafka_result */
};

/* Event i has key "k<i % keys>" and payload "<i>". */
struct test_events *test_events_create(size_t count, size_t keys);
void test_events_free(struct test_events *events);
/* As many as there is room for. */
void test_events_publish(struct test_events *events, struct kafka_node *node);
/* All, and until all are done. */
void test_events_publish_all(struct test_events *events, struct kafka_node *node,
                             uint64_t limit_ms);

/* So many with 100 keys, published. */
struct test_events *test_events_fill(size_t count);

/* What was taken, by number; checks that within a key a later one comes later. */
struct test_taken {
    unsigned *counts;
    size_t count;
    long last[100]; /* by key */
};

struct test_taken *test_taken_create(size_t count);
void test_taken_free(struct test_taken *taken);
/* For kafka_node.took, with one as its data. */
void test_taken_note(struct kafka_node *node, int32_t partition, const struct kafka_record *record);

/* How often each of them is in the log, by a node that reads all of it; in `counts`. */
void test_events_read_back(const struct test_events *events, unsigned *counts);
/* Fails where the log has something else than what was told of an event. */
void test_events_audit(const struct test_events *events);

#endif
