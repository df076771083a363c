/* Tests of strategies/links/kafka_records.c and kafka_edges.c on a real broker: from any offset, in
 * order, once; what is not there; nobody takes what was fetched. */
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
    struct test_events *events = test_events_fill(MANY);
    struct test_taken *taken = test_taken_create(MANY);
    struct kafka_node node;
    kafka_node_create(&node, true);
    node.took = test_taken_note;
    node.data = taken;
    kafka_node_open(&node);
    RUN_UNTIL(node.owned_count == TEST_PARTITIONS, 10000);
    uint64_t begin_ns = uv_hrtime();
    RUN_UNTIL(node.taken == MANY, 30000);
    double seconds = (double)(uv_hrtime() - begin_ns) / 1e9;
    print_message("%d records taken in %.3f s: %.0f/s\n", MANY, seconds, MANY / seconds);
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(taken->counts[i], 1);
    /* As of the next statistics. */
    RUN_UNTIL((int)kafka_node_metric(&node, "kafka_consumer_lag_records") == 0, 10000);
    assert_int_equal((int)kafka_node_metric(&node, "kafka_partitions_assigned"), TEST_PARTITIONS);
    assert_int_equal((int)kafka_node_metric(&node, "kafka_records_fetched_total"), MANY);
    kafka_node_close(&node);
    test_taken_free(taken);
    test_events_free(events);
}

/* Time from publish to arrived, one at a time. */
static void test_latency(void **state)
{
    (void)state;
    struct kafka_node node;
    kafka_node_create(&node, true);
    kafka_node_open(&node);
    RUN_UNTIL(node.owned_count == TEST_PARTITIONS, 10000);
    kafka_run_ms(500);
    uint64_t total_ns = 0, done_ns = 0;
    for (size_t i = 0; i < 50; i++) {
        struct test_events *events = test_events_create(1, 1);
        events->list[0].key[1] = (char)('0' + i % 10);
        uint64_t begin_ns = uv_hrtime();
        test_events_publish(events, &node);
        RUN_UNTIL(node.taken == i + 1 && events->done == 1, 5000);
        total_ns += uv_hrtime() - begin_ns;
        done_ns += events->list[0].done_ns - begin_ns;
        test_events_free(events);
    }
    print_message("from publish to persisted %.2f ms, to arrived %.2f ms in the mean\n",
                  (double)done_ns / 50e6, (double)total_ns / 50e6);
    assert_true(total_ns / 50 < 300000000); /* fetch.wait.max.ms is 50; librdkafka's own is 500 */
    kafka_node_close(&node);
}

/* Fetched anew from anywhere while more comes: nothing is repeated or left out from there on. */
static void test_fetch_from(void **state)
{
    (void)state;
    struct test_events *events = test_events_fill(20000);
    struct kafka_node node;
    kafka_node_create(&node, true);
    kafka_node_set(&node, "topic_partitions", "1"); /* it is there already, with others */
    int64_t ends[TEST_PARTITIONS] = {0};
    for (size_t i = 0; i < events->count; i++)
        ends[events->list[i].event.partition]++;
    kafka_node_open(&node);
    RUN_UNTIL(node.owned_count == TEST_PARTITIONS, 10000);
    unsigned chance = 1;
    for (size_t round = 0; round < 60; round++) {
        chance = chance * 1103515245 + 12345;
        int32_t partition = (int32_t)(chance >> 16) % TEST_PARTITIONS;
        chance = chance * 1103515245 + 12345;
        int64_t offset = (int64_t)(chance >> 16) % ends[partition];
        node.positions[partition] = offset;
        kafka_fetch_from(node.link, partition, offset);
        struct kafka_record record;
        assert_int_equal(kafka_peek(node.link, partition, &record, 1), 0);
        node.idle = true;
        if (round % 3 != 0) /* else the next request comes before this one was answered */
            RUN_UNTIL(kafka_peek(node.link, partition, &record, 1) == 1, 5000);
        if (round % 3 != 0)
            assert_int_equal(record.offset, offset);
    }
    /* All the rest. */
    node.idle = false;
    for (int32_t i = 0; i < TEST_PARTITIONS; i++) {
        node.positions[i] = i % 2 == 0 ? -1 : 5;
        kafka_fetch_from(node.link, i, node.positions[i]);
    }
    size_t expected = 20000 - (TEST_PARTITIONS / 2) * 5;
    RUN_UNTIL(node.taken >= expected, 10000);
    kafka_run_ms(300);
    assert_int_equal(node.taken, expected);
    assert_int_equal(node.gaps, 0);
    kafka_node_close(&node);
    test_events_free(events);
}

/* Held records are bounded, each partition gets its share, and all come when they are taken. */
static void test_backpressure(void **state)
{
    (void)state;
    struct test_events *events = test_events_fill(20000);
    struct kafka_node node;
    kafka_node_create(&node, true);
    node.link_config.records_max = 1200;
    node.idle = true;
    kafka_node_open(&node);
    RUN_UNTIL(node.owned_count == TEST_PARTITIONS, 10000);
    RUN_UNTIL((int)kafka_node_metric(&node, "kafka_records_held") >= 1200, 10000);
    RUN_UNTIL(kafka_node_metric(&node, "kafka_consumer_lag_records") > 18000, 10000);
    kafka_run_ms(1500);
    static struct kafka_record records[20000];
    size_t held = 0;
    for (int32_t i = 0; i < TEST_PARTITIONS; i++) {
        size_t count = kafka_peek(node.link, i, records, 20000);
        assert_true(count >= 100);
        for (size_t k = 0; k < count; k++)
            assert_int_equal(records[k].offset, k);
        held += count;
    }
    assert_int_equal(held, 1200);
    assert_int_equal((int)kafka_node_metric(&node, "kafka_records_held"), 1200);
    assert_true(kafka_node_metric(&node, "kafka_consumer_lag_records") > 18000);
    /* One that is passed makes room for all. */
    size_t arrivals = node.arrivals;
    kafka_pass(node.link, 0, 100);
    RUN_UNTIL(node.arrivals > arrivals, 10000);
    /* Passing more than was peeked at, or less again, does no harm. */
    kafka_pass(node.link, 0, 50);
    node.idle = false;
    size_t taken = 100;
    for (int32_t i = 0; i < TEST_PARTITIONS; i++) {
        size_t count = kafka_peek(node.link, i, records, 20000);
        node.positions[i] = records[count - 1].offset + 1;
        kafka_pass(node.link, i, node.positions[i]);
        taken += count;
    }
    RUN_UNTIL(node.taken + taken == 20000, 10000);
    kafka_node_close(&node);
    test_events_free(events);
}

/* Records larger than what is fetched ahead, and than what is asked for at once. */
static void test_large_records(void **state)
{
    (void)state;
    struct kafka_node node;
    static char large[900000];
    struct test_events *events = test_events_create(30, 3);
    kafka_node_create(&node, true);
    kafka_node_set(&node, "fetch_buffer_kbytes", "1024");
    node.link_config.payload_max = sizeof large;
    node.link_config.events_max = 100;
    kafka_node_open(&node);
    for (size_t i = 0; i < events->count; i++) {
        for (size_t k = 0; k < sizeof large; k++)
            large[k] = (char)(k * 2654435761u >> 13); /* not to be compressed away */
        events->list[i].event.payload = large;
        events->list[i].event.payload_size = i % 2 == 0 ? sizeof large : 10;
    }
    test_events_publish_all(events, &node, 20000);
    assert_int_equal(events->results[KAFKA_PERSISTED], events->count);
    RUN_UNTIL(node.taken == events->count, 20000);
    kafka_node_close(&node);
    test_events_free(events);
}

static void delete_records(int32_t partition, int64_t before)
{
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    assert_int_equal(rd_kafka_conf_set(conf, "bootstrap.servers",
                                       getenv("RESVD_TEST_KAFKA_SERVERS"), why, sizeof why),
                     RD_KAFKA_CONF_OK);
    rd_kafka_t *handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, kafka_test_topic(), partition)->offset = before;
    rd_kafka_DeleteRecords_t *what = rd_kafka_DeleteRecords_new(list);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(handle);
    rd_kafka_DeleteRecords(handle, &what, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 10000);
    assert_non_null(event);
    assert_int_equal(rd_kafka_event_error(event), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_DeleteRecords_destroy(what);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(handle);
}

static void test_gap(void **state)
{
    (void)state;
    struct test_events *events = test_events_fill(6000);
    int32_t partition = events->list[0].event.partition;
    delete_records(partition, 100);
    struct kafka_node node;
    kafka_node_create(&node, true);
    for (size_t i = 0; i < TEST_PARTITIONS; i++)
        node.positions[i] = 0;
    node.positions[partition] = 50;
    kafka_node_open(&node);
    RUN_UNTIL(node.gaps == 1, 10000);
    assert_int_equal(node.gap_partition, partition);
    assert_int_equal(node.gap_first, 100);
    int64_t end = node.gap_end;
    assert_true(end > 100);
    kafka_run_ms(500);
    assert_int_equal(node.gaps, 1);
    assert_int_equal(node.positions[partition], 50);
    /* Behind the end, as where the topic was made anew. */
    node.positions[partition] = end + 1000;
    kafka_fetch_from(node.link, partition, end + 1000);
    RUN_UNTIL(node.gaps == 2, 10000);
    assert_int_equal(node.gap_first, 100);
    assert_int_equal(node.gap_end, end);
    assert_int_equal((int)kafka_node_metric(&node, "kafka_gaps_total"), 2);
    /* The very end is no gap; nor is the first. */
    kafka_fetch_from(node.link, partition, end);
    kafka_run_ms(300);
    node.positions[partition] = 100;
    kafka_fetch_from(node.link, partition, 100);
    RUN_UNTIL(node.positions[partition] == end, 5000);
    assert_int_equal(node.gaps, 2);
    /* From the beginning is where it begins now. */
    node.positions[partition] = -1;
    kafka_fetch_from(node.link, partition, -1);
    RUN_UNTIL(node.positions[partition] == end, 5000);
    assert_int_equal(node.gaps, 2);
    kafka_node_close(&node);
    test_events_free(events);
}

/* Its end is what was there when it was asked, however much is on its way to this process. */
static void test_end(void **state)
{
    (void)state;
    struct test_events *events = test_events_fill(5000);
    int64_t ends[TEST_PARTITIONS] = {0};
    for (size_t i = 0; i < events->count; i++)
        ends[events->list[i].event.partition]++;
    struct kafka_node node;
    kafka_node_create(&node, true);
    node.waits = true;
    kafka_node_open(&node);
    RUN_UNTIL(node.owned_count == TEST_PARTITIONS, 10000);
    for (int32_t i = 0; i < TEST_PARTITIONS; i++) {
        kafka_find_end(node.link, i); /* of what is not fetched yet */
        kafka_find_end(node.link, i);
    }
    RUN_UNTIL(node.ends_found == TEST_PARTITIONS, 5000);
    for (int32_t i = 0; i < TEST_PARTITIONS; i++)
        assert_int_equal(node.ends[i], ends[i]);
    for (int32_t i = 0; i < TEST_PARTITIONS; i++) {
        kafka_fetch_from(node.link, i, 0);
        kafka_find_end(node.link, i);
        kafka_fetch_from(node.link, i, -1); /* does not matter to it, nor it to that */
    }
    RUN_UNTIL(node.ends_found == 2 * TEST_PARTITIONS && node.taken == events->count, 10000);
    kafka_node_close(&node);
    test_events_free(events);
}

/* The broker goes and comes back: it goes on where it was. */
static void test_broker_restart(void **state)
{
    (void)state;
    struct kafka_node node;
    struct test_taken *taken = test_taken_create(MANY);
    struct test_events *events = test_events_create(2000, 100);
    kafka_node_create(&node, true);
    node.took = test_taken_note;
    node.data = taken;
    kafka_node_open(&node);
    RUN_UNTIL(node.owned_count == TEST_PARTITIONS, 10000);
    size_t published = 0;
    while (published < 1000)
        kafka_publish(node.link, &events->list[published++].event);
    RUN_UNTIL(events->done == 1000 && node.taken == 1000, 10000);
    kafka_control("kill");
    RUN_UNTIL(!kafka_link_is_up(node.link), 10000);
    kafka_control("start");
    RUN_UNTIL(kafka_link_is_up(node.link), 20000);
    while (published < 2000)
        kafka_publish(node.link, &events->list[published++].event);
    RUN_UNTIL(events->done == 2000, 20000);
    assert_int_equal(events->results[KAFKA_PERSISTED], 2000);
    RUN_UNTIL(node.taken >= 2000, 30000);
    for (size_t i = 0; i < 2000; i++)
        assert_int_equal(taken->counts[i], 1);
    kafka_node_close(&node);
    test_taken_free(taken);
    test_events_free(events);
}

int main(void)
{
    const struct CMUnitTest all[] = {
        KAFKA_TEST(test_many),         KAFKA_TEST(test_latency),        KAFKA_TEST(test_fetch_from),
        KAFKA_TEST(test_backpressure), KAFKA_TEST(test_large_records),  KAFKA_TEST(test_gap),
        KAFKA_TEST(test_end),          KAFKA_TEST(test_broker_restart),
    };
    cmocka_set_test_filter(getenv("RESVD_TEST_FILTER")); /* by hand: one of them */
    return cmocka_run_group_tests(all, NULL, NULL);
}
