/* Tests of how the Kafka link starts and ends on a real broker: what is said when it cannot, what
 * it makes of topics, and that it can be closed whenever one likes. */
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kafka_fixture.h"
#include "kafka_internal.h"

static void expect_failure(struct kafka_node *node, int exit_code, const char *words)
{
    assert_true(node->failed);
    if (node->exit_code != exit_code || strstr(node->message, words) == NULL)
        fail_msg("%d: %s", node->exit_code, node->message);
}

static void test_unreachable(void **state)
{
    (void)state;
    struct kafka_node node;
    kafka_node_create(&node, true);
    kafka_node_set(&node, "bootstrap.servers", "127.0.0.1:1");
    host_set_start_deadline(node.host, uv_hrtime() + 2000000000ULL);
    kafka_node_start(&node);
    uint64_t begin_ns = uv_hrtime();
    RUN_UNTIL(node.ended, 10000);
    assert_true(uv_hrtime() - begin_ns < 4000000000ULL);
    expect_failure(&node, 69, "Connection refused");
    expect_failure(&node, 69, "127.0.0.1:1 ([kafka] bootstrap.servers)");
    assert_false(kafka_link_is_up(node.link));
    assert_int_equal(kafka_room(node.link), 0);
    kafka_node_close(&node);
}

/* A broker that is only just coming up is waited for. */
static void test_comes_later(void **state)
{
    (void)state;
    struct kafka_node node;
    kafka_control("kill");
    kafka_node_create(&node, true);
    host_set_start_deadline(node.host, uv_hrtime() + 60000000000ULL);
    kafka_node_start(&node);
    kafka_run_ms(1000);
    assert_false(node.ended);
    kafka_control("start");
    RUN_UNTIL(node.ended, 60000);
    assert_true(node.opened);
    kafka_node_close(&node);
}

/* What librdkafka finds only when all is put together: before or at the start, never later. */
static void test_wrong_settings(void **state)
{
    (void)state;
    struct kafka_node node;
    kafka_node_create(&node, false);
    kafka_node_set(&node, "dead_letter_topic", kafka_test_topic());
    kafka_node_start(&node);
    assert_null(node.link);
    expect_failure(&node, 78, "[kafka] topic and dead_letter_topic are the same");
    kafka_node_close(&node);

    kafka_node_create(&node, false);
    kafka_node_set(&node, "security.protocol", "sasl_plaintext");
    kafka_node_set(&node, "sasl.mechanism", "BOGUS");
    kafka_node_start(&node);
    RUN_UNTIL(node.ended, 5000);
    expect_failure(&node, 78, "BOGUS");
    kafka_node_close(&node);

    kafka_node_create(&node, true);
    kafka_node_set(&node, "session.timeout.ms", "600000");
    kafka_node_start(&node);
    RUN_UNTIL(node.ended, 10000);
    expect_failure(&node, 78, "max.poll.interval.ms");
    kafka_node_close(&node);
}

static void set_login(struct kafka_node *node, const char *password)
{
    const char *servers = getenv("RESVD_TEST_KAFKA_SASL_SERVERS");
    assert_non_null(servers);
    kafka_node_set(node, "bootstrap.servers", servers);
    kafka_node_set(node, "security.protocol", "sasl_plaintext");
    kafka_node_set(node, "sasl.mechanism", "PLAIN");
    kafka_node_set(node, "sasl.username", "resvd");
    kafka_node_set(node, "sasl.password", password);
}

static void test_login(void **state)
{
    (void)state;
    struct kafka_node node;
    kafka_node_create(&node, true);
    set_login(&node, "let me in");
    kafka_node_open(&node);
    struct test_events *events = test_events_create(100, 10);
    test_events_publish_all(events, &node, 10000);
    assert_int_equal(events->results[KAFKA_PERSISTED], 100);
    RUN_UNTIL(node.taken == 100, 10000);
    kafka_node_close(&node);
    test_events_free(events);

    kafka_node_create(&node, true);
    set_login(&node, "hunter2");
    kafka_node_start(&node);
    uint64_t begin_ns = uv_hrtime();
    RUN_UNTIL(node.ended, 10000);
    assert_true(uv_hrtime() - begin_ns < 8000000000ULL); /* it has 20 s */
    expect_failure(&node, 78, "uthentication");
    assert_null(strstr(node.message, "hunter2"));
    kafka_node_close(&node);
}

static void test_topic_is_there(void **state)
{
    (void)state;
    struct kafka_node first, second;
    kafka_node_create(&first, false);
    kafka_node_create(&second, false);
    kafka_node_set(&second, "topic_partitions", "3");
    /* Both want to make it; the slower one takes it as it is. */
    kafka_node_start(&first);
    kafka_node_start(&second);
    RUN_UNTIL(first.ended && second.ended, 20000);
    assert_true(first.opened && second.opened);
    int32_t count = kafka_link_partition_count(first.link);
    assert_int_equal(kafka_link_partition_count(second.link), count);
    assert_true(count == 3 || count == TEST_PARTITIONS);
    kafka_node_close(&first);
    kafka_node_close(&second);
}

static void test_replication(void **state)
{
    (void)state;
    struct kafka_node node;
    kafka_node_create(&node, false);
    kafka_node_set(&node, "topic_replication", "3");
    host_set_start_deadline(node.host, uv_hrtime() + 8000000000ULL);
    kafka_node_start(&node);
    RUN_UNTIL(node.ended, 10000);
    expect_failure(&node, 78, "topic_replication");
    kafka_node_close(&node);
}

static const struct host_component *health_of(const struct kafka_node *node)
{
    size_t count = 0;
    const struct host_component *components = host_components(node->host, &count);
    assert_int_equal(count, 1);
    return components;
}

static void add_partitions(int count)
{
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    assert_int_equal(rd_kafka_conf_set(conf, "bootstrap.servers",
                                       getenv("RESVD_TEST_KAFKA_SERVERS"), why, sizeof why),
                     RD_KAFKA_CONF_OK);
    rd_kafka_t *handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    rd_kafka_NewPartitions_t *what =
        rd_kafka_NewPartitions_new(kafka_test_topic(), (size_t)count, why, sizeof why);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(handle);
    rd_kafka_CreatePartitions(handle, &what, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 10000);
    assert_non_null(event);
    assert_int_equal(rd_kafka_event_error(event), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewPartitions_destroy(what);
    rd_kafka_destroy(handle);
}

/* More partitions would spread the events of a key: said, and not done by this process. */
static void test_more_partitions(void **state)
{
    (void)state;
    struct kafka_node node;
    kafka_node_create(&node, true);
    kafka_node_set(&node, "topic.metadata.refresh.interval.ms", "500");
    kafka_node_open(&node);
    RUN_UNTIL(node.owned_count == TEST_PARTITIONS, 10000);
    assert_int_equal(health_of(&node)->state, RESV_HEALTH_UP);
    add_partitions(TEST_PARTITIONS * 2);
    RUN_UNTIL(health_of(&node)->state == RESV_HEALTH_DOWN, 10000);
    assert_non_null(strstr(health_of(&node)->detail, "another number of partitions than the 6"));
    struct test_events *events = test_events_create(500, 100);
    test_events_publish_all(events, &node, 10000);
    for (size_t i = 0; i < events->count; i++)
        assert_true(events->list[i].event.partition < TEST_PARTITIONS);
    RUN_UNTIL(node.owned_count == TEST_PARTITIONS && node.taken == 500, 20000);
    kafka_node_close(&node);
    test_events_free(events);
}

/* --- closing ------------------------------------------------------------------------------------
 */

static void test_close_any_time(void **state)
{
    (void)state;
    static const uint64_t moments_ms[] = {0, 1, 3, 10, 30, 60, 100, 150, 250, 400, 700, 1500};
    struct kafka_node node;
    for (size_t i = 0; i < sizeof moments_ms / sizeof moments_ms[0]; i++) {
        kafka_node_create(&node, true);
        kafka_node_start(&node);
        kafka_run_ms(moments_ms[i]);
        uint64_t begin_ns = uv_hrtime();
        kafka_node_close(&node);
        assert_true(uv_hrtime() - begin_ns < 8000000000ULL);
    }
    kafka_node_create(&node, true);
    kafka_node_make(&node);
    kafka_link_interrupt(node.link);
    kafka_node_close(&node);
    /* With no broker. */
    for (size_t i = 0; i < 4; i++) {
        kafka_node_create(&node, true);
        kafka_node_set(&node, "bootstrap.servers", "127.0.0.1:1");
        kafka_node_start(&node);
        kafka_run_ms(moments_ms[i * 3]);
        kafka_node_close(&node);
        assert_false(node.opened);
    }
}

/* With records in hand, that are passed only when Kafka cannot be told any more. */
static void open_with_records(struct kafka_node *node, const char *group)
{
    struct kafka_record record;
    kafka_node_create(node, true);
    kafka_node_set(node, "group.id", group);
    node->idle = true;
    kafka_node_open(node);
    for (int32_t i = 0; i < TEST_PARTITIONS; i++)
        RUN_UNTIL(kafka_peek(node->link, i, &record, 1) == 1, 20000);
}

static double close_seconds(struct kafka_node *node, uint64_t after_ms)
{
    struct kafka_record record;
    for (int32_t i = 0; i < TEST_PARTITIONS; i++) {
        if (kafka_peek(node->link, i, &record, 1) == 1)
            kafka_pass(node->link, i, record.offset + 1);
    }
    kafka_run_ms(after_ms);
    uint64_t begin_ns = uv_hrtime();
    kafka_node_close(node);
    return (double)(uv_hrtime() - begin_ns) / 1e9;
}

static void test_close_without_broker(void **state)
{
    (void)state;
    static const char *const groups[] = {"one", "two", "three", "four"};
    static const uint64_t after_ms[] = {0, 1300};
    struct test_events *events = test_events_fill(1000);
    struct kafka_node nodes[4];
    double paused[2], killed[2];
    for (size_t i = 0; i < 4; i++)
        open_with_records(&nodes[i], groups[i]);
    for (size_t i = 0; i < 2; i++) {
        RUN_UNTIL(kafka_link_is_up(nodes[i].link), 20000);
        kafka_control("pause");
        paused[i] = close_seconds(&nodes[i], after_ms[i]);
        kafka_control("resume");
        kafka_run_ms(2000);
    }
    for (size_t i = 0; i < 2; i++) {
        RUN_UNTIL(kafka_link_is_up(nodes[2 + i].link), 20000);
        kafka_control("kill");
        killed[i] = close_seconds(&nodes[2 + i], after_ms[i]);
        kafka_control("start");
        kafka_run_ms(2000);
    }
    print_message(
        "closed in %.2f and %.2f s with the broker paused, %.2f and %.2f s with it dead\n",
        paused[0], paused[1], killed[0], killed[1]);
    for (size_t i = 0; i < 2; i++)
        assert_true(paused[i] < 8 && killed[i] < 8); /* librdkafka gives leaving 5 s, commits 6 */
    test_events_free(events);
}

/* --- dead letters -------------------------------------------------------------------------------
 */

struct reading {
    struct kafka_letters letters;
    size_t count, ended, wrong;
    unsigned done;
    bool complete;
};

static void on_letter(struct kafka_letters *letters, const struct kafka_record *record)
{
    struct reading *reading = letters->data;
    char expected[32];
    int size = snprintf(expected, sizeof expected, "k%zu", reading->count % 10);
    if (record->offset != (int64_t)reading->count || record->key_size != (size_t)size ||
        memcmp(record->key, expected, record->key_size) != 0)
        reading->wrong++;
    reading->count++;
    reading->ended += record->payload_size == 0 ? 1 : 0;
}

static void on_read(struct kafka_letters *letters, bool complete)
{
    struct reading *reading = letters->data;
    reading->done++;
    reading->complete = complete;
}

static void read_letters(struct kafka_node *node, struct reading *reading)
{
    *reading = (struct reading){.letters = {.letter = on_letter, .done = on_read}};
    reading->letters.data = reading;
    kafka_read_letters(node->link, &reading->letters);
    assert_int_equal(reading->done, 0);
}

static void test_letters(void **state)
{
    (void)state;
    struct kafka_node node;
    struct reading readings[3];
    kafka_node_create(&node, false);
    kafka_node_set(&node, "timeout_ms", "3000");
    kafka_node_open(&node);
    read_letters(&node, &readings[0]);
    RUN_UNTIL(readings[0].done == 1, 10000);
    assert_true(readings[0].complete);
    assert_int_equal(readings[0].count, 0);

    struct test_events *events = test_events_create(1000, 10);
    for (size_t i = 0; i < events->count; i++) {
        events->list[i].event.target = KAFKA_DEAD_LETTERS;
        if (i >= 995)
            events->list[i].event.payload_size = 0;
    }
    test_events_publish_all(events, &node, 10000);
    assert_int_equal(events->results[KAFKA_PERSISTED], 1000);
    for (size_t i = 0; i < 3; i++)
        read_letters(&node, &readings[i]);
    RUN_UNTIL(readings[2].done == 1, 10000);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(readings[i].done, 1);
        assert_true(readings[i].complete);
        assert_int_equal(readings[i].count, 1000);
        assert_int_equal(readings[i].ended, 5);
        assert_int_equal(readings[i].wrong, 0);
    }
    kafka_control("pause");
    uint64_t begin_ns = uv_hrtime();
    read_letters(&node, &readings[0]);
    RUN_UNTIL(readings[0].done == 1, 10000);
    assert_false(readings[0].complete);
    assert_true(uv_hrtime() - begin_ns > 2900000000ULL);
    /* Interrupted, and closed in the middle. */
    read_letters(&node, &readings[0]);
    kafka_run_ms(20);
    kafka_link_interrupt(node.link);
    RUN_UNTIL(readings[0].done == 1, 2500); /* by itself it would end after 3 */
    assert_false(readings[0].complete);
    read_letters(&node, &readings[1]);
    read_letters(&node, &readings[2]);
    kafka_run_ms(20);
    kafka_node_close(&node);
    assert_int_equal(readings[1].done, 1);
    assert_int_equal(readings[2].done, 1);
    assert_false(readings[1].complete || readings[2].complete);
    kafka_control("resume");
    test_events_free(events);
}

int main(void)
{
    const struct CMUnitTest all[] = {
        KAFKA_TEST(test_unreachable), KAFKA_TEST(test_wrong_settings),
        KAFKA_TEST(test_login),       KAFKA_TEST(test_topic_is_there),
        KAFKA_TEST(test_replication), KAFKA_TEST(test_more_partitions),
        KAFKA_TEST(test_letters),     KAFKA_TEST(test_close_any_time),
        KAFKA_TEST(test_comes_later), KAFKA_TEST(test_close_without_broker),
    };
    cmocka_set_test_filter(getenv("RESVD_TEST_FILTER")); /* by hand: one of them */
    return cmocka_run_group_tests(all, NULL, NULL);
}
