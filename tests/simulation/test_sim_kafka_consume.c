/* The simulated Kafka held against strategies/links/kafka.h: records come in order and whole,
 * partitions come and go, dead letters are read. */
#include <stdio.h>
#include <string.h>

#include "test_sim_kafka_kit.h"

/* --- records ---------------------------------------------------------------------------------- */

static void records_in_order(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct fixture *fixture = set_up(seed);
        struct node *node = open_node(fixture, 0, true, 20);
        publish_many(fixture, node, 200, 10);
        RUN_UNTIL(fixture, fixture->taken == 200, 10000);
        assert_int_equal(fixture->taken_again, 0);
        int64_t end = 0;
        for (int32_t i = 0; i < PARTITIONS; i++)
            end += kafka_end(fixture->world.kafka, KAFKA_EVENTS, i);
        assert_int_equal(end, 200);
        /* Again, from the middle; what was fetched before is gone. */
        int32_t partition = fixture->items[0].event.partition;
        node->idle = true;
        node->next[partition] = 3;
        CALL(fixture, kafka_fetch_from(node->link, partition, 3));
        size_t arrivals = node->arrivals;
        RUN_UNTIL(fixture, node->arrivals > arrivals, 1000);
        struct kafka_record record;
        assert_int_equal(kafka_peek(node->link, partition, &record, 1), 1);
        assert_int_equal(record.offset, 3);
        CALL(fixture, kafka_fetch_from(node->link, partition, 5));
        assert_int_equal(kafka_peek(node->link, partition, &record, 1), 0);
        run_for_ms(fixture, 100);
        assert_int_equal(kafka_peek(node->link, partition, &record, 1), 1);
        assert_int_equal(record.offset, 5);
        tear_down(fixture);
    }
}

static size_t count_held(struct node *node)
{
    static struct kafka_record records[1000];
    size_t held = 0;
    for (int32_t i = 0; i < PARTITIONS; i++)
        held += kafka_peek(node->link, i, records, 1000);
    return held;
}

static void room_for_records(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct fixture *fixture = set_up(seed);
        struct node *node = open_node(fixture, 0, true, 40);
        RUN_UNTIL(fixture, node->owned[0] && node->owned[PARTITIONS - 1], 10000);
        node->idle = true;
        publish_many(fixture, node, 200, 0);
        run_for_ms(fixture, 2000);
        assert_in_range(count_held(node), 40, 40 + PARTITIONS);
        /* One that is passed makes room for another. */
        size_t arrivals = node->arrivals;
        for (int32_t i = 0; i < PARTITIONS; i++)
            CALL(fixture, kafka_pass(node->link, i, 1));
        RUN_UNTIL(fixture, node->arrivals > arrivals, 1000);
        node->idle = false;
        for (int32_t i = 0; i < PARTITIONS; i++) {
            node->next[i] = kafka_end(fixture->world.kafka, KAFKA_EVENTS, i) > 0 ? 1 : 0;
            take(node, i);
        }
        RUN_UNTIL(fixture, fixture->taken >= 200 - PARTITIONS, 5000);
        tear_down(fixture);
    }
}

static void gaps_and_poison(void **state)
{
    (void)state;
    struct fixture *fixture = set_up(1);
    struct sim_kafka *kafka = fixture->world.kafka;
    int32_t partition = kafka_partition_of(kafka, KAFKA_EVENTS, "1", 1);
    for (int i = 0; i < 10; i++)
        assert_int_equal(kafka_inject(kafka, KAFKA_EVENTS, partition, "1", 1, "poison", 6), i);
    kafka_remove_front(kafka, partition, 4);
    assert_int_equal(kafka_first(kafka, KAFKA_EVENTS, partition), 4);
    fixture->positions[partition] = 2;
    struct node *node = open_node(fixture, 0, true, 100);
    RUN_UNTIL(fixture, node->gaps == 1, 5000);
    assert_int_equal(node->gap_first, 4);
    assert_int_equal(node->gap_end, 10);
    kafka_inject(kafka, KAFKA_EVENTS, partition, "1", 1, "poison", 6);
    run_for_ms(fixture, 1000);
    assert_int_equal(fixture->taken, 0);
    node->next[partition] = -1;
    fixture->positions[partition] = -1;
    CALL(fixture, kafka_fetch_from(node->link, partition, -1));
    RUN_UNTIL(fixture, fixture->taken == 7, 1000);
    assert_int_equal(fixture->positions[partition], 11);
    /* Made anew: what it had read is not there any more. */
    kafka_make_anew(kafka);
    RUN_UNTIL(fixture, node->gaps >= 2, 1000);
    assert_int_equal(node->gap_end, 0);
    assert_int_equal(kafka_inject(kafka, KAFKA_EVENTS, partition, "1", 1, "poison", 6), 0);
    tear_down(fixture);
}

/* All that was persisted before somebody asked is below what he is told; and he is told once. */
static void where_a_partition_ends(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct fixture *fixture = set_up(seed);
        struct sim_kafka *kafka = fixture->world.kafka;
        struct node *node = open_node(fixture, 0, true, 100);
        RUN_UNTIL(fixture, node->owned[0], 10000);
        const struct item *item = publish(fixture, node, 1);
        int32_t partition = item->event.partition;
        for (unsigned i = 1; i <= 5; i++) {
            publish_many(fixture, node, 5, 0);
            run_for_ms(fixture, chance_below(&fixture->world.chance, 5));
            int64_t then = kafka_end(kafka, KAFKA_EVENTS, partition);
            CALL(fixture, kafka_find_end(node->link, partition));
            CALL(fixture, kafka_find_end(node->link, partition));
            RUN_UNTIL(fixture, node->ends == i, 1000);
            assert_int_equal(node->first, 0);
            assert_in_range(node->end, then, kafka_end(kafka, KAFKA_EVENTS, partition));
        }
        /* Not while nobody answers; and not when it is revoked meanwhile. */
        kafka_lose(kafka, 2 * NS_PER_S);
        CALL(fixture, kafka_find_end(node->link, partition));
        run_for_ms(fixture, 1900);
        assert_int_equal(node->ends, 5);
        RUN_UNTIL(fixture, node->ends == 6, 1000);
        kafka_lose(kafka, 2 * NS_PER_S);
        CALL(fixture, kafka_find_end(node->link, partition));
        kafka_rates(kafka)->zombie_max_ms = 1000;
        kafka_expel(node->link);
        run_for_ms(fixture, 10000);
        assert_int_equal(node->ends, 6);
        assert_true(node->revoked > 0);
        RUN_UNTIL(fixture, fixture->done == 26, 10000);
        tear_down(fixture);
    }
}

/* --- the group -------------------------------------------------------------------------------- */

/* Nobody has what another one has, when all have heard of everything; and all is taken. */
static void check_group(struct fixture *fixture, size_t nodes)
{
    struct sim_kafka *kafka = fixture->world.kafka;
    for (int32_t i = 0; i < PARTITIONS; i++) {
        size_t owners = 0;
        for (size_t k = 0; k < nodes; k++) {
            const struct node *node = &fixture->nodes[k];
            owners += node->owned[i];
            assert_int_equal(node->owned[i], kafka_owner(kafka, i) == node->link);
        }
        assert_int_equal(owners, 1);
        assert_int_equal(kafka_believers(kafka, i), 1);
        int64_t position = fixture->positions[i] < 0 ? 0 : fixture->positions[i];
        assert_int_equal(position, kafka_end(kafka, KAFKA_EVENTS, i));
    }
}

static void partitions_come_and_go(void **state)
{
    (void)state;
    size_t doubted = 0, revocations = 0, again = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct fixture *fixture = set_up(seed);
        for (size_t i = 0; i < NODES; i++)
            open_node(fixture, i, true, 50);
        kafka_rates(fixture->world.kafka)->revoked_late = seed % 2 == 0 ? 300000 : 0;
        kafka_rates(fixture->world.kafka)->session_ms = 2000;
        for (size_t i = 0; i < EVENTS; i++) {
            if (kafka_room(fixture->nodes[0].link) > 0)
                publish(fixture, &fixture->nodes[0], (int)(i % KEYS));
            run_for_ms(fixture, chance_below(&fixture->world.chance, 200));
            if (chance_of(&fixture->world.chance, 100000))
                befall(fixture);
            for (int32_t k = 0; k < PARTITIONS; k++)
                doubted += kafka_believers(fixture->world.kafka, k) > 1;
        }
        kafka_calm(fixture->world.kafka);
        run_for_ms(fixture, 40000);
        check_group(fixture, NODES);
        for (size_t i = 0; i < NODES; i++)
            revocations += fixture->nodes[i].revoked;
        again += fixture->taken_again;
        tear_down(fixture);
    }
    assert_true(doubted > 1000 && revocations > 1000 && again > 50);
}

static void one_that_leaves(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct fixture *fixture = set_up(seed);
        for (size_t i = 0; i < 2; i++)
            open_node(fixture, i, true, 50);
        run_for_ms(fixture, 10000);
        check_group(fixture, 2);
        close_node(&fixture->nodes[1]);
        memset(fixture->nodes[1].owned, 0, sizeof fixture->nodes[1].owned);
        RUN_UNTIL(fixture, kafka_believers(fixture->world.kafka, 0) == 1, 1000);
        run_for_ms(fixture, 1000); /* no session has to run out */
        check_group(fixture, 1);
        tear_down(fixture);
    }
}

/* --- letters ---------------------------------------------------------------------------------- */

static void letter(struct kafka_letters *letters, const struct kafka_record *record)
{
    struct node *node = called_back(letters->data);
    assert_in_range(record->key_size, 1, 7);
    node->letters += record->payload_size > 0;
    node->letters_ended += record->payload_size == 0;
}

static void letters_done(struct kafka_letters *letters, bool complete)
{
    struct node *node = letters->data;
    assert_false(node->fixture->calling);
    node->letters_done++;
    node->letters_complete += complete;
}

static void read_letters(struct node *node, size_t index)
{
    node->reading[index] =
        (struct kafka_letters){.data = node, .letter = letter, .done = letters_done};
    CALL(node->fixture, kafka_read_letters(node->link, &node->reading[index]));
}

static void send_letter(struct fixture *fixture, struct node *node, int number, bool ends)
{
    struct item *item = &fixture->items[fixture->published++];
    item->fixture = fixture;
    int size = snprintf(item->key, sizeof item->key, "0:%d", number);
    item->event = (struct kafka_event){.target = KAFKA_DEAD_LETTERS,
                                       .key = item->key,
                                       .key_size = (size_t)size,
                                       .payload = "why",
                                       .payload_size = ends ? 0 : 3,
                                       .data = item};
    item->event.done = event_done;
    CALL(fixture, kafka_publish(node->link, &item->event));
}

static void letters_are_read(void **state)
{
    (void)state;
    size_t kept = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct fixture *fixture = set_up(seed);
        struct node *node = open_node(fixture, 0, false, 0);
        read_letters(node, 0);
        RUN_UNTIL(fixture, node->letters_complete == 1, 1000);
        assert_int_equal(node->letters, 0);
        for (int i = 0; i < 40; i++)
            kafka_inject(fixture->world.kafka, KAFKA_DEAD_LETTERS, 0, "key", 3, "old", 3);
        for (int i = 0; i < 30; i++) {
            char key[8];
            int size = snprintf(key, sizeof key, "0:%d", i);
            kafka_inject(fixture->world.kafka, KAFKA_DEAD_LETTERS, 0, key, (size_t)size, "why", 3);
        }
        kafka_inject(fixture->world.kafka, KAFKA_DEAD_LETTERS, 0, "0:7", 3, NULL, 0);
        read_letters(node, 0);
        read_letters(node, 1);
        RUN_UNTIL(fixture, node->letters_done == 3, 1000);
        assert_int_equal(node->letters_complete, 3);
        assert_int_equal(node->letters_ended, 2);
        assert_in_range(node->letters, 2 * 30, 2 * 70);
        kept += node->letters;
        /* Not to the end: no broker; and the link goes. */
        kafka_lose(fixture->world.kafka, 10 * NS_PER_S);
        read_letters(node, 0);
        RUN_UNTIL(fixture, node->letters_done == 4, 6000);
        read_letters(node, 0);
        CALL(fixture, kafka_link_interrupt(node->link));
        RUN_UNTIL(fixture, node->letters_done == 5, 3);
        read_letters(node, 0);
        read_letters(node, 1);
        close_node(node);
        assert_int_equal(node->letters_done, 7);
        assert_int_equal(node->letters_complete, 3);
        tear_down(fixture);
    }
    assert_in_range(kept, 20 * 60 + 20, 20 * 140 - 20);
}

static size_t walked_letters;

static void walk_letter(void *data, int32_t partition, const struct kafka_record *record)
{
    (void)data;
    assert_in_range(partition, 0, 2);
    assert_in_range(record->offset, 0, 100);
    walked_letters++;
}

static void letters_are_sent(void **state)
{
    (void)state;
    struct fixture *fixture = set_up(1);
    struct node *node = open_node(fixture, 0, false, 0);
    for (size_t i = 0; i < NUMBERS; i++)
        fixture->in_log[i] = 1;
    for (int i = 0; i < 30; i++)
        send_letter(fixture, node, i, false);
    RUN_UNTIL(fixture, fixture->done == 30, 10000);
    for (int i = 0; i < 10; i++)
        send_letter(fixture, node, i, true);
    RUN_UNTIL(fixture, fixture->done == 40, 10000);
    assert_int_equal(fixture->results[KAFKA_PERSISTED], 40);
    walked_letters = 0;
    kafka_walk(fixture->world.kafka, KAFKA_DEAD_LETTERS, NULL, walk_letter);
    assert_int_equal(walked_letters, 40);
    read_letters(node, 0);
    RUN_UNTIL(fixture, node->letters_complete == 1, 1000);
    assert_int_equal(node->letters_ended, 10);
    assert_in_range(node->letters, 20, 30);
    tear_down(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_in_order),       cmocka_unit_test(room_for_records),
        cmocka_unit_test(gaps_and_poison),        cmocka_unit_test(where_a_partition_ends),
        cmocka_unit_test(partitions_come_and_go), cmocka_unit_test(one_that_leaves),
        cmocka_unit_test(letters_are_read),       cmocka_unit_test(letters_are_sent),
    };
    return cmocka_run_group_tests_name("simulated Kafka, records", tests, NULL, NULL);
}
