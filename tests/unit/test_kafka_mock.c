/* Tests of the Kafka link on librdkafka's mock cluster, which answers what a real broker will not
 * when one likes: what became of an event is told as it is.
 *
 * The mock keeps what it answered an error to only where that is the error's meaning, so what is in
 * its log is not looked at here: test_kafka_publish.c does that on a real broker. */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kafka_fixture.h"
#include "kafka_internal.h"

#define PRODUCE 0 /* of Kafka's protocol: which request is answered so */
#define FETCH   1
#define OFFSETS 2
#define SYNC    14

struct mock {
    rd_kafka_t *handle;
    rd_kafka_mock_cluster_t *cluster;
    struct kafka_node node;
    struct test_events *events;
};

static void mock_create(struct mock *mock, bool consumes, size_t count)
{
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "3", why, sizeof why);
    mock->handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    assert_non_null(mock->handle);
    mock->cluster = rd_kafka_mock_cluster_new(mock->handle, 3);
    assert_non_null(mock->cluster);
    kafka_node_create(&mock->node, consumes);
    kafka_node_set(&mock->node, "bootstrap.servers",
                   rd_kafka_mock_cluster_bootstraps(mock->cluster));
    kafka_node_set(&mock->node, "dead_letter_topic", "letters");
    kafka_node_set(&mock->node, "timeout_ms", "2000");
    kafka_node_set(&mock->node, "topic.metadata.refresh.interval.ms", "300");
    /* What is published at once goes in one request: with one under way, another one may wait for
     * so long that it is not sent at all. */
    kafka_node_set(&mock->node, "linger.ms", "20");
    assert_int_equal(
        rd_kafka_mock_topic_create(mock->cluster, kafka_test_topic(), TEST_PARTITIONS, 3), 0);
    assert_int_equal(rd_kafka_mock_topic_create(mock->cluster, "letters", 1, 3), 0);
    mock->events = test_events_create(count, 1); /* one key: one broker */
}

static void mock_start(struct mock *mock, bool consumes, size_t count)
{
    mock_create(mock, consumes, count);
    kafka_node_open(&mock->node);
}

static void mock_end(struct mock *mock)
{
    kafka_node_close(&mock->node);
    test_events_free(mock->events);
    rd_kafka_mock_cluster_destroy(mock->cluster);
    rd_kafka_destroy(mock->handle);
}

/* So many of these requests are answered so. */
static void answer(struct mock *mock, int16_t request, rd_kafka_resp_err_t error, size_t times)
{
    rd_kafka_resp_err_t errors[200];
    assert_true(times <= 200);
    for (size_t i = 0; i < times; i++)
        errors[i] = error;
    rd_kafka_mock_push_request_errors_array(mock->cluster, request, times, errors);
}

static void expect_all(struct mock *mock, enum kafka_result result)
{
    test_events_publish_all(mock->events, &mock->node, 15000);
    if (mock->events->results[result] != mock->events->count)
        fail_msg("%zu persisted, %zu not, %zu possibly", mock->events->results[KAFKA_PERSISTED],
                 mock->events->results[KAFKA_NOT_PERSISTED],
                 mock->events->results[KAFKA_POSSIBLY_PERSISTED]);
}

static void test_tried_again(void **state)
{
    (void)state;
    static const rd_kafka_resp_err_t passing[] = {
        RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
        RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
    };
    for (size_t i = 0; i < sizeof passing / sizeof passing[0]; i++) {
        struct mock mock;
        mock_start(&mock, false, 50);
        answer(&mock, PRODUCE, passing[i], 3);
        expect_all(&mock, KAFKA_PERSISTED);
        mock_end(&mock);
    }
}

static void test_not_persisted(void **state)
{
    (void)state;
    static const rd_kafka_resp_err_t lasting[] = {
        RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
        RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
        RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,
        RD_KAFKA_RESP_ERR_INVALID_REQUIRED_ACKS,
    };
    for (size_t i = 0; i < sizeof lasting / sizeof lasting[0]; i++) {
        struct mock mock;
        mock_start(&mock, false, 1);
        answer(&mock, PRODUCE, lasting[i], 100);
        print_message("%s\n", rd_kafka_err2name(lasting[i]));
        expect_all(&mock, KAFKA_NOT_PERSISTED);
        /* It finds it well again, once it has looked: with another producer, or the topic's state.
         */
        rd_kafka_mock_clear_request_errors(mock.cluster, PRODUCE);
        kafka_run_ms(1000);
        RUN_UNTIL(kafka_room(mock.node.link) > 0, 5000);
        struct test_events *more = test_events_create(10, 1);
        test_events_publish_all(more, &mock.node, 10000);
        assert_int_equal(more->results[KAFKA_PERSISTED], 10);
        test_events_free(more);
        mock_end(&mock);
    }
}

/* Refused for as long as it takes: it was never in the log. */
static void test_not_enough_replicas(void **state)
{
    (void)state;
    struct mock mock;
    mock_start(&mock, false, 20);
    answer(&mock, PRODUCE, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, 200);
    expect_all(&mock, KAFKA_NOT_PERSISTED);
    mock_end(&mock);
}

/* Appended, and not replicated in time, or the broker stumbled over it (its disk is full): it may
 * be there. */
static void test_possibly_persisted(void **state)
{
    (void)state;
    static const rd_kafka_resp_err_t doubtful[] = {
        RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        RD_KAFKA_RESP_ERR_UNKNOWN,
    };
    for (size_t i = 0; i < sizeof doubtful / sizeof doubtful[0]; i++) {
        struct mock mock;
        mock_start(&mock, false, 20);
        answer(&mock, PRODUCE, doubtful[i], 200);
        print_message("%s\n", rd_kafka_err2name(doubtful[i]));
        expect_all(&mock, KAFKA_POSSIBLY_PERSISTED);
        mock_end(&mock);
    }
}

/* Several batches, in each direction some time on their way; the first request is answered so. What
 * is persisted is in the log: all of it, once. */
static void first_is_answered(rd_kafka_resp_err_t error, const char *batch, int repeated)
{
    struct mock mock;
    mock_create(&mock, true, 6);
    mock.node.took = test_taken_note;
    mock.node.data = test_taken_create(6);
    kafka_node_set(&mock.node, "batch.num.messages", batch);
    kafka_node_open(&mock.node);
    struct test_events *first = test_events_create(1, 1); /* connected: all are sent at once */
    test_events_publish_all(first, &mock.node, 10000);
    test_events_free(first);
    for (int32_t i = 1; i <= 3; i++)
        rd_kafka_mock_broker_set_rtt(mock.cluster, i, 50);
    answer(&mock, PRODUCE, error, 1);
    expect_all(&mock, KAFKA_PERSISTED);
    for (size_t i = 0; i < mock.events->count; i++)
        assert_true(mock.events->list[i].event.offset > 0);
    assert_int_equal((int)kafka_node_metric(&mock.node, "kafka_events_repeated_total"), repeated);
    for (int32_t i = 1; i <= 3; i++)
        rd_kafka_mock_broker_set_rtt(mock.cluster, i, 0);
    RUN_UNTIL(mock.node.taken == 1 + mock.events->count, 15000);
    const struct test_taken *taken = mock.node.data;
    for (size_t i = 0; i < mock.events->count; i++)
        assert_int_equal(taken->counts[i], i == 0 ? 2 : 1); /* the first was there before */
    test_taken_free(mock.node.data);
    mock_end(&mock);
}

/* The first is refused for a while, and what is sent behind it would be taken, as by a broker that
 * knows nothing of a producer: then librdkafka takes the first for persisted. */
static void test_overtaken(void **state)
{
    (void)state;
    first_is_answered(RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, "1", 0);
    first_is_answered(RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, "2", 0);
}

/* It is there already, and nobody says where; it is not: librdkafka takes it for persisted, and
 * makes up offsets. */
static void test_without_offset(void **state)
{
    (void)state;
    first_is_answered(RD_KAFKA_RESP_ERR_DUPLICATE_SEQUENCE_NUMBER, "1", 1);
    first_is_answered(RD_KAFKA_RESP_ERR_DUPLICATE_SEQUENCE_NUMBER, "3", 3);
}

/* The answer comes too late, or never. */
static void test_no_answer(void **state)
{
    (void)state;
    struct mock mock;
    mock_create(&mock, false, 20);
    /* Nor is any other request under way, which theirs would wait for. */
    kafka_node_set(&mock.node, "topic.metadata.refresh.interval.ms", "60000");
    kafka_node_open(&mock.node);
    /* Connected, or none of it would even be sent. */
    struct test_events *first = test_events_create(1, 1);
    test_events_publish_all(first, &mock.node, 10000);
    assert_int_equal(first->results[KAFKA_PERSISTED], 1);
    test_events_free(first);
    for (int32_t i = 1; i <= 3; i++)
        rd_kafka_mock_broker_set_rtt(mock.cluster, i, 8000);
    uint64_t begin_ns = uv_hrtime();
    expect_all(&mock, KAFKA_POSSIBLY_PERSISTED);
    double seconds = (double)(uv_hrtime() - begin_ns) / 1e9;
    assert_true(seconds > 1.5 && seconds < 6);
    for (int32_t i = 1; i <= 3; i++)
        rd_kafka_mock_broker_set_rtt(mock.cluster, i, 0);
    mock_end(&mock);
}

/* Errors after which an idempotent producer cannot go on: another one takes its place. */
static void test_fatal_answers(void **state)
{
    (void)state;
    static const rd_kafka_resp_err_t fatal[] = {
        RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
        RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID,
        RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH,
    };
    for (size_t i = 0; i < sizeof fatal / sizeof fatal[0]; i++) {
        struct mock mock;
        mock_start(&mock, false, 500);
        kafka_run_ms(1100); /* a producer lives for a second at least */
        answer(&mock, PRODUCE, fatal[i], 1);
        test_events_publish_all(mock.events, &mock.node, 15000);
        print_message("%s: %zu persisted, %zu not, %zu possibly; %.0f producers\n",
                      rd_kafka_err2name(fatal[i]), mock.events->results[KAFKA_PERSISTED],
                      mock.events->results[KAFKA_NOT_PERSISTED],
                      mock.events->results[KAFKA_POSSIBLY_PERSISTED],
                      kafka_node_metric(&mock.node, "kafka_producers_total"));
        struct test_events *more = test_events_create(10, 1);
        RUN_UNTIL(kafka_room(mock.node.link) > 0, 5000);
        test_events_publish_all(more, &mock.node, 10000);
        assert_int_equal(more->results[KAFKA_PERSISTED], 10);
        test_events_free(more);
        mock_end(&mock);
    }
}

/* One broker of three is gone: its partitions move. All three: down, and up again. */
static void test_brokers_down(void **state)
{
    (void)state;
    struct mock mock;
    mock_start(&mock, false, 2000);
    rd_kafka_mock_broker_set_down(mock.cluster, 1);
    for (int32_t i = 0; i < TEST_PARTITIONS; i++)
        rd_kafka_mock_partition_set_leader(mock.cluster, kafka_test_topic(), i, 2);
    expect_all(&mock, KAFKA_PERSISTED);
    assert_true(kafka_link_is_up(mock.node.link));
    rd_kafka_mock_broker_set_down(mock.cluster, 2);
    rd_kafka_mock_broker_set_down(mock.cluster, 3);
    RUN_UNTIL(!kafka_link_is_up(mock.node.link), 15000);
    for (int32_t i = 1; i <= 3; i++)
        rd_kafka_mock_broker_set_up(mock.cluster, i);
    RUN_UNTIL(kafka_link_is_up(mock.node.link), 15000);
    assert_int_equal(mock.node.up_changes, 2);
    mock_end(&mock);
}

/* Fetch requests that fail in passing: all records come, once. */
static void test_fetch_errors(void **state)
{
    (void)state;
    struct mock mock;
    rd_kafka_resp_err_t errors[] = {
        RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        RD_KAFKA_RESP_ERR_UNKNOWN,
        RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
        RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        RD_KAFKA_RESP_ERR_INVALID_MSG,
        RD_KAFKA_RESP_ERR__TRANSPORT,
    };
    mock_start(&mock, true, 1000);
    expect_all(&mock, KAFKA_PERSISTED);
    RUN_UNTIL(mock.node.taken == 1000, 15000);
    size_t count = sizeof errors / sizeof errors[0];
    rd_kafka_mock_push_request_errors_array(mock.cluster, FETCH, count, errors);
    struct test_events *more = test_events_create(1000, 1);
    test_events_publish_all(more, &mock.node, 10000);
    RUN_UNTIL(mock.node.taken == 2000, 15000);
    kafka_run_ms(500);
    assert_int_equal(mock.node.taken, 2000);
    assert_int_equal(mock.node.gaps, 0);
    test_events_free(more);
    mock_end(&mock);
}

/* A partition's end is asked for until it is told. */
static void test_end_not_told(void **state)
{
    (void)state;
    struct mock mock;
    mock_create(&mock, true, 1);
    mock.node.waits = true;
    kafka_node_open(&mock.node);
    RUN_UNTIL(mock.node.owned_count == TEST_PARTITIONS, 10000);
    answer(&mock, OFFSETS, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, 2);
    uint64_t begin_ns = uv_hrtime();
    kafka_find_end(mock.node.link, 3);
    RUN_UNTIL(mock.node.ends_found == 1, 10000);
    assert_true(uv_hrtime() - begin_ns >= 100000000ULL);
    assert_int_equal(mock.node.ends[3], 0);
    kafka_run_ms(300);
    assert_int_equal(mock.node.ends_found, 1);
    mock_end(&mock);
}

/* One request for a partition after the other, each before librdkafka is done with the last one:
 * once it did not survive that. */
static void test_requests_at_once(void **state)
{
    (void)state;
    struct mock mock;
    mock_start(&mock, true, 100);
    expect_all(&mock, KAFKA_PERSISTED);
    RUN_UNTIL(mock.node.taken == 100, 15000);
    mock.node.idle = true;
    for (int32_t i = 0; i < 2000; i++) {
        kafka_fetch_from(mock.node.link, i % TEST_PARTITIONS, 0);
        kafka_turn();
    }
    mock.node.idle = false;
    for (int32_t i = 0; i < TEST_PARTITIONS; i++) {
        mock.node.positions[i] = 0;
        kafka_fetch_from(mock.node.link, i, 0);
    }
    RUN_UNTIL(mock.node.taken == 200, 15000);
    mock_end(&mock);
}

/* Asked into the group, but never given its partitions: it can be closed all the same. */
static void test_close_while_joining(void **state)
{
    (void)state;
    static const rd_kafka_resp_err_t lasting[] = {
        RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS,
        RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
    };
    for (size_t i = 0; i < sizeof lasting / sizeof lasting[0]; i++) {
        struct mock mock;
        mock_create(&mock, true, 1);
        answer(&mock, SYNC, lasting[i], 200);
        kafka_node_open(&mock.node);
        kafka_run_ms(4500); /* the mock waits 3 s for more members first */
        assert_int_equal(mock.node.assigned, 0);
        mock_end(&mock);
    }
}

int main(void)
{
    const struct CMUnitTest all[] = {
        KAFKA_TEST(test_tried_again),         KAFKA_TEST(test_not_persisted),
        KAFKA_TEST(test_not_enough_replicas), KAFKA_TEST(test_possibly_persisted),
        KAFKA_TEST(test_overtaken),           KAFKA_TEST(test_without_offset),
        KAFKA_TEST(test_no_answer),           KAFKA_TEST(test_fatal_answers),
        KAFKA_TEST(test_brokers_down),        KAFKA_TEST(test_fetch_errors),
        KAFKA_TEST(test_end_not_told),        KAFKA_TEST(test_requests_at_once),
        KAFKA_TEST(test_close_while_joining),
    };
    kafka_servers("127.0.0.1:1");                        /* each test has its own */
    cmocka_set_test_filter(getenv("RESVD_TEST_FILTER")); /* by hand: one of them */
    return cmocka_run_group_tests(all, NULL, NULL);
}
