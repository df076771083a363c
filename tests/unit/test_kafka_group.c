/* Tests of strategies/links/kafka_consumer.c on a real broker: members of a group share the
 * partitions, come and go, and one that was away finds its partitions gone. */
#include <librdkafka/rdkafka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kafka_fixture.h"
#include "kafka_internal.h"

#define MANY 100000

/* Partitions that come make the shares of those that are there already smaller. */
static void test_shares_get_smaller(void **state)
{
    (void)state;
    struct test_events *events = test_events_fill(20000);
    struct kafka_node nodes[2];
    struct kafka_record record;
    for (size_t i = 0; i < 2; i++) {
        kafka_node_create(&nodes[i], true);
        kafka_node_set(&nodes[i], "heartbeat.interval.ms", "300");
        nodes[i].link_config.records_max = 600;
        nodes[i].idle = true;
        kafka_node_open(&nodes[i]);
        RUN_UNTIL(nodes[i].owned_count == TEST_PARTITIONS / (int)(i + 1), 20000);
    }
    RUN_UNTIL(nodes[0].owned_count == TEST_PARTITIONS / 2, 20000);
    kafka_run_ms(1500);
    kafka_node_close(&nodes[1]);
    RUN_UNTIL(nodes[0].owned_count == TEST_PARTITIONS, 20000);
    RUN_UNTIL(kafka_node_metric(&nodes[0], "kafka_records_held") >= 600, 10000);
    kafka_run_ms(1500);
    double held = kafka_node_metric(&nodes[0], "kafka_records_held");
    assert_true(held >= 600 && held <= 600 + TEST_PARTITIONS);
    /* What is passed makes room for those that came. */
    nodes[0].idle = false;
    for (int32_t i = 0; i < TEST_PARTITIONS; i++) {
        while (kafka_peek(nodes[0].link, i, &record, 1) == 1) {
            nodes[0].positions[i] = record.offset + 1;
            kafka_pass(nodes[0].link, i, record.offset + 1);
            nodes[0].taken++;
        }
    }
    RUN_UNTIL(nodes[0].taken == 20000, 10000);
    kafka_node_close(&nodes[0]);
    test_events_free(events);
}

/* Two, three, two again, one: nothing is left out, and each partition has one owner in the end. */
static void test_rebalances(void **state)
{
    (void)state;
    struct kafka_node nodes[3], writer;
    struct test_taken *taken = test_taken_create(MANY);
    struct test_events *events = test_events_create(MANY, 100);
    kafka_node_create(&writer, false);
    kafka_node_open(&writer);
    for (size_t i = 0; i < 3; i++) {
        kafka_node_create(&nodes[i], true);
        nodes[i].waits = true;
        kafka_node_set(&nodes[i], "heartbeat.interval.ms", "300");
        kafka_node_open(&nodes[i]);
        RUN_UNTIL(nodes[0].owned_count + (i > 0 ? nodes[1].owned_count : 0) +
                              (i > 1 ? nodes[2].owned_count : 0) ==
                          TEST_PARTITIONS &&
                      nodes[i].owned_count == TEST_PARTITIONS / (int)(i + 1),
                  20000);
    }
    /* Two owners never agree on one. */
    for (int32_t i = 0; i < TEST_PARTITIONS; i++)
        assert_int_equal(nodes[0].owned[i] + nodes[1].owned[i] + nodes[2].owned[i], 1);
    for (size_t i = 0; i < 3; i++) {
        nodes[i].waits = false;
        nodes[i].took = test_taken_note;
        nodes[i].data = taken;
        for (int32_t k = 0; k < TEST_PARTITIONS; k++) {
            if (nodes[i].owned[k])
                kafka_fetch_from(nodes[i].link, k, -1);
        }
    }
    size_t half = 0;
    while (events->done < events->count) {
        test_events_publish(events, &writer);
        kafka_turn();
        if (half == 0 && events->done > MANY / 2) {
            half = events->done;
            kafka_node_close(&nodes[2]); /* its partitions go on elsewhere, from the beginning */
        }
    }
    RUN_UNTIL(nodes[0].owned_count + nodes[1].owned_count == TEST_PARTITIONS, 20000);
    kafka_node_close(&nodes[1]);
    RUN_UNTIL(nodes[0].owned_count == TEST_PARTITIONS, 20000);
    size_t missing = 1;
    for (unsigned wait = 0; missing > 0 && wait < 100; wait++) {
        kafka_run_ms(100);
        missing = 0;
        for (size_t i = 0; i < MANY; i++)
            missing += taken->counts[i] == 0 ? 1 : 0;
    }
    assert_int_equal(missing, 0);
    assert_int_equal(nodes[0].assigned - nodes[0].revoked, TEST_PARTITIONS);
    kafka_node_close(&nodes[0]);
    kafka_node_close(&writer);
    test_taken_free(taken);
    test_events_free(events);
}

/* A loop that stands still for longer than max.poll.interval.ms is told that its partitions are
 * gone, and gets them again; one that turns but has nothing to do is not. */
static void test_poll_interval(void **state)
{
    (void)state;
    struct kafka_node node;
    kafka_node_create(&node, true);
    kafka_node_set(&node, "session.timeout.ms", "3000");
    kafka_node_set(&node, "heartbeat.interval.ms", "300");
    kafka_node_set(&node, "max.poll.interval.ms", "3000");
    kafka_node_open(&node);
    RUN_UNTIL(node.owned_count == TEST_PARTITIONS, 10000);
    kafka_run_ms(5000);
    assert_int_equal(node.revoked, 0);
    usleep(5000000);
    RUN_UNTIL(node.revoked == TEST_PARTITIONS, 5000);
    RUN_UNTIL(node.owned_count == TEST_PARTITIONS, 10000);
    assert_int_equal(node.assigned, 2 * TEST_PARTITIONS);
    kafka_node_close(&node);
}

/* Members that come and end at moments of all kinds, while the others join: none of it takes the
 * process with it, and who stays has all partitions in the end. */
static void test_close_while_joining(void **state)
{
    (void)state;
    struct kafka_node nodes[3];
    unsigned chance = (unsigned)getpid(), opened = 0;
    print_message("the order of chance is %u's\n", chance);
    for (size_t i = 0; i < 3; i++) {
        kafka_node_create(&nodes[i], true);
        kafka_node_start(&nodes[i]);
    }
    for (size_t round = 0; round < 90; round++) {
        struct kafka_node *node = &nodes[round % 3];
        chance = chance * 1103515245 + 12345;
        if (round % 2 == 0)
            RUN_UNTIL(node->ended, 20000);
        kafka_run_ms((chance >> 16) % 120);
        opened += node->opened ? 1 : 0;
        assert_false(node->failed);
        kafka_node_close(node);
        kafka_node_create(node, true);
        kafka_node_set(node, "heartbeat.interval.ms", "300");
        kafka_node_start(node);
    }
    assert_true(opened > 20);
    kafka_node_close(&nodes[1]);
    kafka_node_close(&nodes[2]);
    RUN_UNTIL(nodes[0].owned_count == TEST_PARTITIONS, 20000);
    kafka_node_close(&nodes[0]);
}

/* The zombie: another process, stopped for longer than its session. */
static int be_a_zombie(int said)
{
    struct kafka_node node;
    kafka_fixture_setup(NULL); /* another number: not this test's topic */
    kafka_node_create(&node, true);
    kafka_node_set(&node, "topic", getenv("TEST_TOPIC"));
    kafka_node_set(&node, "group.id", getenv("TEST_TOPIC"));
    kafka_node_set(&node, "session.timeout.ms", "1500");
    kafka_node_set(&node, "heartbeat.interval.ms", "300");
    kafka_node_open(&node);
    RUN_UNTIL(node.owned_count == TEST_PARTITIONS, 10000);
    assert_int_equal(write(said, "o", 1), 1);
    RUN_UNTIL(node.revoked == TEST_PARTITIONS, 20000);
    assert_int_equal(write(said, "r", 1), 1);
    kafka_node_close(&node);
    return 0;
}

static void test_zombie(void **state)
{
    (void)state;
    int pipes[2];
    char said = '\0';
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(setenv("TEST_TOPIC", kafka_test_topic(), 1), 0);
    char descriptor[16];
    snprintf(descriptor, sizeof descriptor, "%d", pipes[1]);
    pid_t child = fork();
    if (child == 0) {
        execl("/proc/self/exe", "test_kafka_group", "zombie", descriptor, (char *)NULL);
        _exit(1);
    }
    assert_int_equal(read(pipes[0], &said, 1), 1);
    assert_int_equal(said, 'o');
    struct kafka_node node;
    kafka_node_create(&node, true);
    kafka_node_set(&node, "group.id", kafka_test_topic());
    assert_int_equal(kill(child, SIGSTOP), 0);
    kafka_node_open(&node);
    RUN_UNTIL(node.owned_count == TEST_PARTITIONS, 20000);
    assert_int_equal(kill(child, SIGCONT), 0);
    assert_int_equal(read(pipes[0], &said, 1), 1);
    assert_int_equal(said, 'r');
    int status = 1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    kafka_node_close(&node);
    close(pipes[0]);
    close(pipes[1]);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "zombie") == 0)
        return be_a_zombie(atoi(argv[2]));
    const struct CMUnitTest all[] = {
        KAFKA_TEST(test_shares_get_smaller),
        KAFKA_TEST(test_rebalances),
        KAFKA_TEST(test_poll_interval),
        KAFKA_TEST(test_close_while_joining),
        KAFKA_TEST(test_zombie),
    };
    cmocka_set_test_filter(getenv("RESVD_TEST_FILTER")); /* by hand: one of them */
    return cmocka_run_group_tests(all, NULL, NULL);
}
