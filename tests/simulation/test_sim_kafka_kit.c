/* The owners of links in the tests of the simulated Kafka. */
#include "test_sim_kafka_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void world_violation(struct sim_world *world, const char *format, ...)
{
    (void)world;
    print_error("%s\n", format);
    fail();
}

struct node *called_back(void *data)
{
    struct node *node = data;
    assert_false(node->fixture->calling);
    assert_true(node->host.held_until_ns <= node->fixture->world.schedule.now_ns);
    assert_false(node->closed);
    return node;
}

static void opened(void *data)
{
    called_back(data)->opened = true;
}

static void open_failed(void *data, int exit_code, const char *message)
{
    called_back(data)->failed = true;
    assert_int_equal(exit_code, 69);
    assert_non_null(message);
}

static void up_changed(void *data)
{
    called_back(data)->up_changes++;
}

static void assigned(void *data, int32_t partition)
{
    struct node *node = called_back(data);
    struct kafka_record record;
    assert_false(node->owned[partition]);
    assert_int_equal(kafka_peek(node->link, partition, &record, 1), 0);
    node->owned[partition] = true;
    node->next[partition] = node->fixture->positions[partition];
    CALL(node->fixture, kafka_fetch_from(node->link, partition, node->next[partition]));
}

static void revoked(void *data, int32_t partition)
{
    struct node *node = called_back(data);
    struct kafka_record record;
    assert_true(node->owned[partition]);
    node->owned[partition] = false;
    node->revoked++;
    assert_int_equal(kafka_peek(node->link, partition, &record, 1), 0);
    CALL(node->fixture, kafka_pass(node->link, partition, 1000000));
}

void take(struct node *node, int32_t partition)
{
    struct fixture *fixture = node->fixture;
    struct kafka_record records[5];
    size_t count;
    while ((count = kafka_peek(node->link, partition, records, 5)) > 0) {
        for (size_t i = 0; i < count; i++) {
            if (node->next[partition] < 0)
                node->next[partition] = records[i].offset;
            assert_int_equal(records[i].offset, node->next[partition]++);
            assert_int_equal(kafka_partition_of(fixture->world.kafka, KAFKA_EVENTS, records[i].key,
                                                records[i].key_size),
                             partition);
        }
        if (node->next[partition] > fixture->positions[partition]) {
            fixture->positions[partition] = node->next[partition];
            fixture->taken += count;
        } else {
            fixture->taken_again += count;
        }
        CALL(fixture, kafka_pass(node->link, partition, node->next[partition]));
    }
}

static void arrived(void *data, int32_t partition)
{
    struct node *node = called_back(data);
    struct kafka_record record;
    assert_true(node->owned[partition]);
    assert_int_equal(kafka_peek(node->link, partition, &record, 1), 1);
    node->arrivals++;
    if (!node->idle)
        take(node, partition);
}

static void gap(void *data, int32_t partition, int64_t first, int64_t end)
{
    struct node *node = called_back(data);
    assert_true(node->owned[partition]);
    node->gaps++;
    node->gap_first = first;
    node->gap_end = end;
}

static void end(void *data, int32_t partition, int64_t first, int64_t next)
{
    struct node *node = called_back(data);
    assert_true(node->owned[partition]);
    node->ends++;
    node->first = first;
    node->end = next;
}

static void closed(void *data)
{
    struct node *node = data;
    assert_false(node->closed);
    node->closed = true;
}

/* --- a world ---------------------------------------------------------------------------------- */

/* The log, as it is written: which events are in it, and in which order. */
static void appended(void *data, enum kafka_target target, int32_t partition,
                     const struct kafka_record *record)
{
    struct fixture *fixture = data;
    int key = 0, number = 0;
    char text[32] = "";
    if (target != KAFKA_EVENTS || record->payload_size == 0 || record->payload_size > 15)
        return;
    memcpy(text, record->payload, record->payload_size);
    if (sscanf(text, "%d/%d", &key, &number) != 2)
        return;
    assert_int_equal(record->offset, kafka_end(fixture->world.kafka, target, partition) - 1);
    fixture->in_log[number]++;
    if (fixture->in_log[number] == 1 && number < fixture->last_of_key[key])
        fixture->out_of_order++;
    if (number > fixture->last_of_key[key])
        fixture->last_of_key[key] = number;
}

void add_node(struct fixture *fixture, size_t index, bool consumes, size_t records_max)
{
    static const char *const names[NODES] = {"p1", "p2", "p3"};
    struct node *node = &fixture->nodes[index];
    *node = (struct node){.fixture = fixture};
    sim_host_open(&node->host, &fixture->world, names[index],
                  &(struct sim_host_events){.data = node});
    const struct kafka_link_config config = {
        .consumes = consumes, .events_max = EVENTS, .payload_max = 200, .records_max = records_max};
    const struct kafka_link_events events = {.data = node,
                                             .opened = opened,
                                             .open_failed = open_failed,
                                             .up_changed = up_changed,
                                             .assigned = assigned,
                                             .revoked = revoked,
                                             .arrived = arrived,
                                             .gap = gap,
                                             .end = end,
                                             .closed = closed};
    node->host.start_deadline_ns = resv_now_ns(&node->host) + 5 * NS_PER_S;
    CALL(fixture, node->link = kafka_link_create(&node->host, &config, &events));
    CALL(fixture, kafka_link_start(node->link));
}

struct fixture *set_up(uint64_t seed)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    struct sim_world *world = &fixture->world;
    chance_seed(&world->chance, seed);
    world->schedule.chance = &world->chance;
    world->schedule.now_ns = 1000 * NS_PER_S;
    world->began_ns = world->schedule.now_ns;
    world->scenario = (struct sim_scenario){.network_max_us = 2000};
    world->kafka = kafka_create(world, PARTITIONS);
    kafka_listen(world->kafka, fixture, appended);
    for (size_t i = 0; i < PARTITIONS; i++)
        fixture->positions[i] = -1;
    for (size_t i = 0; i < KEYS; i++)
        fixture->last_of_key[i] = -1;
    return fixture;
}

static void time_is_over(struct sim_event *event)
{
    *(bool *)event->data = true;
}

void run_for_ms(struct fixture *fixture, uint64_t milliseconds)
{
    bool over = false;
    struct sim_event event = {.fire = time_is_over, .data = &over};
    schedule_after(&fixture->world.schedule, &event, milliseconds * NS_PER_MS);
    while (!over)
        assert_true(schedule_turn(&fixture->world.schedule));
}

struct node *open_node(struct fixture *fixture, size_t index, bool consumes, size_t records_max)
{
    struct node *node = &fixture->nodes[index];
    add_node(fixture, index, consumes, records_max);
    RUN_UNTIL(fixture, node->opened, 1000);
    assert_true(kafka_link_is_up(node->link));
    assert_int_equal(kafka_link_partition_count(node->link), PARTITIONS);
    assert_int_equal(kafka_room(node->link), EVENTS);
    return node;
}

void close_node(struct node *node)
{
    kafka_link_close(node->link);
    RUN_UNTIL(node->fixture, node->closed, 1000);
    node->link = NULL;
    sim_host_close(&node->host);
}

void tear_down(struct fixture *fixture)
{
    struct sim_world *world = &fixture->world;
    for (size_t i = 0; i < NODES; i++) {
        if (fixture->nodes[i].link != NULL)
            close_node(&fixture->nodes[i]);
    }
    RUN_UNTIL(fixture, kafka_rests(world->kafka), 60000);
    kafka_free(world->kafka);
    assert_false(schedule_turn(&world->schedule));
    schedule_free(&world->schedule);
    free(fixture);
}

/* --- events ----------------------------------------------------------------------------------- */

void event_done(struct kafka_event *event)
{
    struct item *item = event->data;
    struct fixture *fixture = item->fixture;
    assert_false(fixture->calling);
    assert_int_equal(item->done++, 0);
    fixture->done++;
    fixture->results[event->result]++;
    int number = (int)(item - fixture->items);
    if (event->result == KAFKA_PERSISTED)
        assert_true(fixture->in_log[number] > 0);
    assert_int_equal(event->offset >= 0, event->result == KAFKA_PERSISTED);
    if (event->result != KAFKA_PERSISTED || event->target != KAFKA_EVENTS)
        return;
    const struct sim_log *log = kafka_log(fixture->world.kafka, KAFKA_EVENTS, event->partition);
    const struct sim_record *record = &log->records[event->offset - log->first];
    assert_int_equal(record->payload_size, strlen(item->payload));
    assert_memory_equal(record->payload, item->payload, record->payload_size);
}

struct item *publish(struct fixture *fixture, struct node *node, int key)
{
    struct item *item = &fixture->items[fixture->published];
    item->fixture = fixture;
    item->node = node;
    int key_size = snprintf(item->key, sizeof item->key, "%d", key);
    int size = snprintf(item->payload, sizeof item->payload, "%d/%zu", key, fixture->published++);
    char key_copy[8], payload_copy[16]; /* both are copied */
    memcpy(key_copy, item->key, sizeof key_copy);
    memcpy(payload_copy, item->payload, sizeof payload_copy);
    item->event = (struct kafka_event){.target = KAFKA_EVENTS,
                                       .key = key_copy,
                                       .key_size = (size_t)key_size,
                                       .payload = payload_copy,
                                       .payload_size = (size_t)size,
                                       .data = item,
                                       .done = event_done};
    CALL(fixture, kafka_publish(node->link, &item->event));
    memset(payload_copy, 'x', sizeof payload_copy);
    return item;
}

void publish_many(struct fixture *fixture, struct node *node, size_t count, uint64_t pause_ms)
{
    for (size_t i = 0; i < count; i++) {
        publish(fixture, node, (int)chance_below(&fixture->world.chance, KEYS));
        if (pause_ms > 0)
            run_for_ms(fixture, chance_skewed(&fixture->world.chance, pause_ms));
    }
}

void check_fates(const struct fixture *fixture)
{
    for (size_t i = 0; i < fixture->published; i++) {
        const struct item *item = &fixture->items[i];
        assert_int_equal(item->done, 1);
        if (item->event.result == KAFKA_PERSISTED)
            assert_true(fixture->in_log[i] > 0);
        else if (item->event.result == KAFKA_NOT_PERSISTED)
            assert_int_equal(fixture->in_log[i], 0);
    }
}

void befall(struct fixture *fixture)
{
    struct sim_chance *chance = &fixture->world.chance;
    struct node *node = &fixture->nodes[chance_below(chance, NODES)];
    uint64_t length_ns = chance_below(chance, 10) * NS_PER_S;
    switch (chance_below(chance, 6)) {
    case 0:
        kafka_rebalance(fixture->world.kafka);
        break;
    case 1:
        kafka_expel(node->link);
        break;
    case 2:
        kafka_cut(node->link, length_ns);
        break;
    case 3:
        node->host.held_until_ns = fixture->world.schedule.now_ns + length_ns;
        break;
    case 4:
        kafka_lose(fixture->world.kafka, length_ns / 3);
        break;
    default:
        break;
    }
}
