/* Tests of strategies/links/kafka_producer.c on a real broker: every event is told of once, and
 * what is told is true, whatever becomes of the broker. */
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kafka_fixture.h"
#include "kafka_internal.h"

#define MANY 100000

static void test_many(void **state)
{
    (void)state;
    struct kafka_node node;
    struct test_events *events = test_events_create(MANY, 100);
    kafka_node_create(&node, false);
    kafka_node_open(&node);
    assert_int_equal(kafka_link_partition_count(node.link), TEST_PARTITIONS);
    assert_string_equal(kafka_link_topic(node.link), kafka_test_topic());
    uint64_t begin_ns = uv_hrtime();
    test_events_publish_all(events, &node, 60000);
    double seconds = (double)(uv_hrtime() - begin_ns) / 1e9;
    print_message("%d events published in %.3f s: %.0f/s\n", MANY, seconds, MANY / seconds);
    assert_int_equal(events->results[KAFKA_PERSISTED], MANY);
    assert_int_equal(kafka_room(node.link), node.link_config.events_max);
    assert_int_equal((int)kafka_node_metric(&node, "kafka_events_persisted_total"), MANY);
    assert_int_equal((int)kafka_node_metric(&node, "kafka_delivery_seconds_count"), MANY);
    kafka_node_close(&node);
    /* In order within each key: a later one is behind. */
    for (size_t i = 100; i < MANY; i++) {
        const struct kafka_event *earlier = &events->list[i - 100].event;
        const struct kafka_event *later = &events->list[i].event;
        assert_int_equal(earlier->partition, later->partition);
        assert_true(earlier->offset < later->offset || earlier->offset < 0 || later->offset < 0);
    }
    test_events_audit(events);
    test_events_free(events);
}

/* The partition of a key is that of Java's clients: the hashes are those of Kafka's own tests. */
static void test_partition_of_key(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        int32_t murmur2;
    } known[] = {{"21", -973932308},
                 {"foobar", -790332482},
                 {"a-little-bit-long-string", -985981536},
                 {"a-little-bit-longer-string", -1486304829},
                 {"abc", 479470107}};
    struct kafka_node node;
    kafka_node_create(&node, false);
    kafka_node_open(&node);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        struct test_events *events = test_events_create(1, 1);
        events->list[0].event.key = known[i].key;
        events->list[0].event.key_size = strlen(known[i].key);
        test_events_publish_all(events, &node, 10000);
        assert_int_equal(events->list[0].event.partition,
                         ((uint32_t)known[i].murmur2 & 0x7fffffff) % TEST_PARTITIONS);
        test_events_free(events);
    }
    kafka_node_close(&node);
}

/* It knows its brokers: else nothing would be sent to one that is paused now. */
static void be_connected(struct kafka_node *node)
{
    struct test_events *first = test_events_create(1, 1);
    first->list[0].event.payload = "marker"; /* which no audit counts */
    first->list[0].event.payload_size = 6;
    test_events_publish_all(first, node, 10000);
    assert_int_equal(first->results[KAFKA_PERSISTED], 1);
    test_events_free(first);
}

static void test_broker_killed(void **state)
{
    (void)state;
    struct kafka_node node;
    struct test_events *events = test_events_create(200000, 100);
    kafka_node_create(&node, false);
    kafka_node_set(&node, "timeout_ms", "2000");
    kafka_node_open(&node);
    while (events->done < 20000) {
        test_events_publish(events, &node);
        kafka_turn();
    }
    kafka_control("kill");
    uint64_t end_ns = uv_hrtime() + 6000000000ULL;
    while (uv_hrtime() < end_ns) {
        test_events_publish(events, &node);
        kafka_turn();
    }
    assert_false(kafka_link_is_up(node.link));
    assert_true(node.up_changes >= 1);
    kafka_control("start");
    test_events_publish_all(events, &node, 60000);
    assert_true(kafka_link_is_up(node.link));
    print_message("killed: %zu persisted, %zu not, %zu possibly\n",
                  events->results[KAFKA_PERSISTED], events->results[KAFKA_NOT_PERSISTED],
                  events->results[KAFKA_POSSIBLY_PERSISTED]);
    assert_true(events->results[KAFKA_PERSISTED] > 20000);
    assert_true(events->results[KAFKA_NOT_PERSISTED] > 0);
    kafka_node_close(&node);
    test_events_audit(events);
    test_events_free(events);
}

static void test_broker_paused(void **state)
{
    (void)state;
    struct kafka_node node;
    struct test_events *events = test_events_create(3000, 10);
    kafka_node_create(&node, false);
    kafka_node_set(&node, "timeout_ms", "1500");
    node.link_config.events_max = 1000;
    kafka_node_open(&node);
    be_connected(&node);
    kafka_control("pause");
    uint64_t begin_ns = uv_hrtime();
    test_events_publish(events, &node);
    assert_int_equal(events->published, 1000);
    assert_int_equal(kafka_room(node.link), 0);
    RUN_UNTIL(events->done == 1000, 10000);
    double seconds = (double)(uv_hrtime() - begin_ns) / 1e9;
    print_message("paused: all of 1000 ended after %.2f s; %zu not, %zu possibly\n", seconds,
                  events->results[KAFKA_NOT_PERSISTED], events->results[KAFKA_POSSIBLY_PERSISTED]);
    assert_true(seconds < 5);
    assert_int_equal(events->results[KAFKA_PERSISTED], 0);
    assert_true(events->results[KAFKA_POSSIBLY_PERSISTED] > 0);
    assert_int_equal(kafka_room(node.link), 1000);
    kafka_control("resume");
    while (events->results[KAFKA_PERSISTED] < 1000 && events->done < events->count) {
        test_events_publish(events, &node);
        kafka_turn();
    }
    assert_int_equal(events->results[KAFKA_PERSISTED] >= 1000, 1);
    RUN_UNTIL(events->done == events->published, 10000);
    kafka_node_close(&node);
    test_events_audit(events);
    test_events_free(events);
}

static void test_interrupt(void **state)
{
    (void)state;
    struct kafka_node node;
    struct test_events *events = test_events_create(1000, 10);
    kafka_node_create(&node, false);
    kafka_node_open(&node);
    be_connected(&node);
    kafka_control("pause");
    test_events_publish(events, &node);
    kafka_run_ms(500); /* some of it is sent */
    uint64_t begin_ns = uv_hrtime();
    kafka_link_interrupt(node.link);
    RUN_UNTIL(events->done == events->count, 5000);
    double seconds = (double)(uv_hrtime() - begin_ns) / 1e9;
    print_message("interrupted: ended after %.3f s; %zu not, %zu possibly\n", seconds,
                  events->results[KAFKA_NOT_PERSISTED], events->results[KAFKA_POSSIBLY_PERSISTED]);
    assert_true(seconds < 4); /* by itself it would end after 5 */
    assert_int_equal(events->results[KAFKA_PERSISTED], 0);
    assert_true(events->results[KAFKA_POSSIBLY_PERSISTED] > 0);
    /* It ends while the broker says nothing. */
    begin_ns = uv_hrtime();
    kafka_node_close(&node);
    assert_true(uv_hrtime() - begin_ns < 5000000000ULL);
    kafka_control("resume");
    test_events_audit(events);
    test_events_free(events);
}

static void test_fatal(void **state)
{
    (void)state;
    struct kafka_node node;
    struct test_events *events = test_events_create(20000, 10);
    kafka_node_create(&node, false);
    kafka_node_open(&node);
    kafka_run_ms(1100);
    test_events_publish(events, &node);
    assert_int_equal(rd_kafka_test_fatal_error(node.link->producer->handle,
                                               RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
                                               "by the test"),
                     RD_KAFKA_RESP_ERR_NO_ERROR);
    test_events_publish_all(events, &node, 20000);
    print_message("fatal: %zu persisted, %zu not, %zu possibly\n", events->results[KAFKA_PERSISTED],
                  events->results[KAFKA_NOT_PERSISTED], events->results[KAFKA_POSSIBLY_PERSISTED]);
    assert_int_equal((int)kafka_node_metric(&node, "kafka_producers_total"), 2);
    assert_true(events->results[KAFKA_PERSISTED] >= 10000);
    kafka_node_close(&node);
    test_events_audit(events);
    test_events_free(events);
}

int main(void)
{
    const struct CMUnitTest all[] = {
        KAFKA_TEST(test_many),          KAFKA_TEST(test_partition_of_key),
        KAFKA_TEST(test_broker_paused), KAFKA_TEST(test_interrupt),
        KAFKA_TEST(test_fatal),         KAFKA_TEST(test_broker_killed),
    };
    cmocka_set_test_filter(getenv("RESVD_TEST_FILTER")); /* by hand: one of them */
    return cmocka_run_group_tests(all, NULL, NULL);
}
