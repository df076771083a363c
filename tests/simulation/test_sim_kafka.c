/* The simulated Kafka held against strategies/links/kafka.h: what is told of events is so, whatever
 * befalls brokers and processes. */
#include "test_sim_kafka_kit.h"

static void events_without_trouble(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct fixture *fixture = set_up(seed);
        struct node *node = open_node(fixture, 0, false, 0);
        publish_many(fixture, node, EVENTS, 0);
        assert_int_equal(kafka_room(node->link), 0);
        assert_int_equal(fixture->done, 0);
        RUN_UNTIL(fixture, fixture->done == EVENTS, 1000);
        assert_int_equal(kafka_room(node->link), EVENTS);
        assert_int_equal(fixture->results[KAFKA_PERSISTED], EVENTS);
        assert_int_equal(fixture->out_of_order, 0);
        for (size_t i = 0; i < EVENTS; i++)
            assert_int_equal(fixture->in_log[i], 1);
        check_fates(fixture);
        tear_down(fixture);
    }
}

static void events_with_trouble(void **state)
{
    (void)state;
    size_t results[3] = {0}, there = 0, twice = 0, later = 0, out_of_order = 0;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct fixture *fixture = set_up(seed);
        struct node *node = open_node(fixture, 0, false, 0);
        *kafka_rates(fixture->world.kafka) = (struct sim_kafka_rates){.timeout_ms = 1000,
                                                                      .refused = 30000,
                                                                      .lost = 30000,
                                                                      .late = 50000,
                                                                      .answer_lost = 100000,
                                                                      .reports_late = 50000,
                                                                      .repeated = 50000,
                                                                      .stays_queued = 20000};
        publish_many(fixture, node, EVENTS, 20);
        RUN_UNTIL(fixture, fixture->done == EVENTS, 30000);
        bool was_there[EVENTS];
        for (size_t i = 0; i < EVENTS; i++)
            was_there[i] = fixture->in_log[i] > 0;
        kafka_calm(fixture->world.kafka);
        run_for_ms(fixture, 20000);
        check_fates(fixture);
        out_of_order += fixture->out_of_order;
        for (size_t i = 0; i < EVENTS; i++) {
            bool possibly = fixture->items[i].event.result == KAFKA_POSSIBLY_PERSISTED;
            there += possibly && fixture->in_log[i] > 0;
            later += !was_there[i] && fixture->in_log[i] > 0;
            twice += fixture->in_log[i] > 1;
        }
        for (size_t i = 0; i < 3; i++)
            results[i] += fixture->results[i];
        tear_down(fixture);
    }
    assert_true(results[KAFKA_PERSISTED] > 10000);
    assert_true(results[KAFKA_NOT_PERSISTED] > 300);
    assert_true(results[KAFKA_POSSIBLY_PERSISTED] > 500);
    assert_in_range(there, 100, results[KAFKA_POSSIBLY_PERSISTED] - 100);
    assert_true(later > 10 && twice > 300 && out_of_order > 100);
}

static void brokers_go_and_come_back(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct fixture *fixture = set_up(seed);
        struct node *node = open_node(fixture, 0, false, 0);
        kafka_rates(fixture->world.kafka)->timeout_ms = 3000;
        kafka_lose(fixture->world.kafka, 10 * NS_PER_S);
        publish_many(fixture, node, 10, 0);
        RUN_UNTIL(fixture, node->up_changes == 1, 2000);
        assert_false(kafka_link_is_up(node->link));
        RUN_UNTIL(fixture, fixture->done == 10, 5000);
        assert_int_equal(fixture->results[KAFKA_NOT_PERSISTED], 10);
        run_for_ms(fixture, 4500);
        publish_many(fixture, node, 10, 0);
        RUN_UNTIL(fixture, fixture->done == 20, 5000);
        assert_int_equal(fixture->results[KAFKA_PERSISTED], 10);
        RUN_UNTIL(fixture, node->up_changes == 2, 2000);
        assert_true(kafka_link_is_up(node->link));
        /* One that answers nothing is not one that is gone. */
        kafka_stall(fixture->world.kafka, 2 * NS_PER_S);
        publish_many(fixture, node, 10, 0);
        run_for_ms(fixture, 1900);
        assert_int_equal(fixture->done, 20);
        RUN_UNTIL(fixture, fixture->done == 30, 1000);
        assert_int_equal(fixture->results[KAFKA_PERSISTED], 20);
        assert_int_equal(node->up_changes, 2);
        check_fates(fixture);
        tear_down(fixture);
    }
}

static void one_that_finds_no_broker(void **state)
{
    (void)state;
    struct fixture *fixture = set_up(1);
    kafka_lose(fixture->world.kafka, 3 * NS_PER_S);
    add_node(fixture, 0, true, 10);
    add_node(fixture, 1, true, 10);
    fixture->nodes[1].host.start_deadline_ns = fixture->world.schedule.now_ns + NS_PER_S;
    assert_int_equal(kafka_room(fixture->nodes[0].link), 0);
    RUN_UNTIL(fixture, fixture->nodes[1].failed, 2000);
    RUN_UNTIL(fixture, fixture->nodes[0].opened, 5000);
    assert_false(fixture->nodes[0].failed || fixture->nodes[1].opened);
    tear_down(fixture);
}

static void one_partition_without_a_leader(void **state)
{
    (void)state;
    struct fixture *fixture = set_up(1);
    struct node *node = open_node(fixture, 0, false, 0);
    const struct item *item = publish(fixture, node, 1);
    RUN_UNTIL(fixture, fixture->done == 1, 1000);
    kafka_lose_leader(fixture->world.kafka, item->event.partition, 2 * NS_PER_S);
    publish_many(fixture, node, 50, 0);
    run_for_ms(fixture, 1000);
    for (size_t i = 1; i <= 50; i++)
        assert_int_equal(fixture->items[i].done,
                         fixture->items[i].event.partition != item->event.partition);
    assert_in_range(fixture->done, 10, 45);
    RUN_UNTIL(fixture, fixture->done == 51, 2000);
    assert_int_equal(fixture->results[KAFKA_PERSISTED], 51);
    tear_down(fixture);
}

/* Everything under way ends at once; what was sent may be there. */
static void interrupts_and_failed_producers(void **state)
{
    (void)state;
    size_t results[3] = {0}, there = 0;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct fixture *fixture = set_up(seed);
        struct node *node = open_node(fixture, 0, false, 0);
        publish_many(fixture, node, 20, 1);
        run_for_ms(fixture, chance_below(&fixture->world.chance, 2));
        if (seed % 2 == 0) {
            CALL(fixture, kafka_link_interrupt(node->link));
            assert_true(kafka_room(node->link) > 0);
        } else {
            kafka_fail_producer(node->link);
            assert_int_equal(kafka_room(node->link), 0);
        }
        RUN_UNTIL(fixture, fixture->done == 20, 3);
        RUN_UNTIL(fixture, kafka_room(node->link) == EVENTS, 1300);
        check_fates(fixture);
        for (size_t i = 0; i < 20; i++)
            there += fixture->items[i].event.result == KAFKA_POSSIBLY_PERSISTED &&
                     fixture->in_log[i] > 0;
        publish_many(fixture, node, 1, 1);
        RUN_UNTIL(fixture, fixture->done == 21, 1000);
        for (size_t i = 0; i < 3; i++)
            results[i] += fixture->results[i];
        tear_down(fixture);
    }
    assert_true(results[KAFKA_NOT_PERSISTED] > 100);
    assert_in_range(there, 100, results[KAFKA_POSSIBLY_PERSISTED] - 50);
}

/* --- crashes ---------------------------------------------------------------------------------- */

static void a_process_that_dies(void **state)
{
    (void)state;
    size_t sent = 0, lost = 0;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct fixture *fixture = set_up(seed);
        struct node *node = open_node(fixture, 0, true, 100);
        struct node *other = open_node(fixture, 1, true, 100);
        run_for_ms(fixture, 8000);
        publish_many(fixture, node, 20, 3);
        kafka_link_die(node->link);
        assert_false(kafka_link_is_up(node->link));
        publish_many(fixture, node, 1, 0); /* is not sent any more */
        size_t arrivals = node->arrivals;
        RUN_UNTIL(fixture, fixture->done == 21, 3);
        close_node(node);
        run_for_ms(fixture, 1000);
        assert_int_equal(node->arrivals, arrivals);
        check_fates(fixture);
        assert_int_equal(fixture->in_log[20], 0);
        for (size_t i = 0; i < 20; i++) {
            bool possibly = fixture->items[i].event.result == KAFKA_POSSIBLY_PERSISTED;
            sent += possibly && fixture->in_log[i] > 0;
            lost += possibly && fixture->in_log[i] == 0;
        }
        /* The group finds it out in time. */
        run_for_ms(fixture, 15000);
        for (int32_t i = 0; i < PARTITIONS; i++) {
            assert_ptr_equal(kafka_owner(fixture->world.kafka, i), other->link);
            assert_int_equal(kafka_believers(fixture->world.kafka, i), 1);
        }
        tear_down(fixture);
    }
    assert_true(sent > 50 && lost > 50);
}

/* --- the same seed, the same story ------------------------------------------------------------ */

static uint64_t story(uint64_t seed)
{
    struct fixture *fixture = set_up(seed);
    for (size_t i = 0; i < NODES; i++)
        open_node(fixture, i, true, 50);
    kafka_rates(fixture->world.kafka)->late = 200000;
    for (size_t i = 0; i < 50; i++) {
        publish_many(fixture, &fixture->nodes[i % NODES], 1, 300);
        if (chance_of(&fixture->world.chance, 200000))
            befall(fixture);
    }
    uint64_t hash = fixture->world.schedule.hash;
    kafka_calm(fixture->world.kafka);
    run_for_ms(fixture, 40000);
    RUN_UNTIL(fixture, fixture->done == 50, 10000);
    tear_down(fixture);
    return hash;
}

static void seeds_decide(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++)
        assert_true(story(seed) == story(seed));
    assert_true(story(1) != story(2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_without_trouble),
        cmocka_unit_test(events_with_trouble),
        cmocka_unit_test(brokers_go_and_come_back),
        cmocka_unit_test(one_that_finds_no_broker),
        cmocka_unit_test(one_partition_without_a_leader),
        cmocka_unit_test(interrupts_and_failed_producers),
        cmocka_unit_test(a_process_that_dies),
        cmocka_unit_test(seeds_decide),
    };
    return cmocka_run_group_tests_name("simulated Kafka, events", tests, NULL, NULL);
}
