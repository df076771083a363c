/* Ends of Kafka on one loop, events with numbers, and the log read back. */
#include "kafka_fixture.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

uv_loop_t kafka_loop;
static const char *servers_given;
static char topic[64], letters_topic[64], group[64];
static unsigned tests;

static const char *environment(const char *name)
{
    char full[64];
    snprintf(full, sizeof full, "RESVD_TEST_KAFKA_%s", name);
    const char *value = getenv(full);
    if (value == NULL)
        fail_msg("%s is not set: run this test by tests/support/with_kafka.py", full);
    return value;
}

int kafka_fixture_setup(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    tests++;
    snprintf(topic, sizeof topic, "events-%d-%u", (int)getpid(), tests);
    snprintf(letters_topic, sizeof letters_topic, "letters-%d-%u", (int)getpid(), tests);
    snprintf(group, sizeof group, "group-%d-%u", (int)getpid(), tests);
    return uv_loop_init(&kafka_loop);
}

int kafka_fixture_teardown(void **state)
{
    (void)state;
    return uv_loop_close(&kafka_loop);
}

void kafka_servers(const char *servers)
{
    servers_given = servers;
}

const char *kafka_test_topic(void)
{
    return topic;
}

void kafka_control(const char *request)
{
    int descriptor = atoi(environment("CONTROL"));
    char reply[1024] = "";
    size_t size = 0;
    assert_true(dprintf(descriptor, "%s\n", request) > 0);
    while (size + 1 < sizeof reply && strchr(reply, '\n') == NULL) {
        ssize_t more = read(descriptor, reply + size, sizeof reply - 1 - size);
        assert_true(more > 0);
        size += (size_t)more;
        reply[size] = '\0';
    }
    if (strncmp(reply, "ok", 2) != 0)
        fail_msg("%s: %s", request, reply);
}

/* --- turning the loop ---------------------------------------------------------------------------
 */

static void woken(uv_timer_t *timer)
{
    (void)timer;
}

void kafka_turn(void)
{
    uv_timer_t timer;
    uv_timer_init(&kafka_loop, &timer);
    uv_update_time(&kafka_loop);
    uv_timer_start(&timer, woken, 2, 0);
    uv_run(&kafka_loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&kafka_loop, UV_RUN_NOWAIT);
}

void kafka_run_ms(uint64_t milliseconds)
{
    uint64_t end_ns = uv_hrtime() + milliseconds * 1000000ULL;
    while (uv_hrtime() < end_ns)
        kafka_turn();
}

/* --- nodes --------------------------------------------------------------------------------------
 */

static void on_opened(void *data)
{
    struct kafka_node *node = data;
    assert_false(node->ended);
    node->opened = node->ended = true;
}

static void on_open_failed(void *data, int exit_code, const char *message)
{
    struct kafka_node *node = data;
    assert_false(node->ended);
    node->failed = node->ended = true;
    node->exit_code = exit_code;
    snprintf(node->message, sizeof node->message, "%s", message);
}

static void on_up_changed(void *data)
{
    ((struct kafka_node *)data)->up_changes++;
}

static void on_assigned(void *data, int32_t partition)
{
    struct kafka_node *node = data;
    assert_false(node->owned[partition]);
    node->owned[partition] = true;
    node->owned_count++;
    node->assigned++;
    if (!node->waits)
        kafka_fetch_from(node->link, partition, node->positions[partition]);
}

static void on_revoked(void *data, int32_t partition)
{
    struct kafka_node *node = data;
    struct kafka_record record;
    assert_true(node->owned[partition]);
    assert_int_equal(kafka_peek(node->link, partition, &record, 1), 0);
    node->owned[partition] = false;
    node->owned_count--;
    node->revoked++;
}

static void on_arrived(void *data, int32_t partition)
{
    struct kafka_node *node = data;
    struct kafka_record records[100];
    assert_true(node->owned[partition]);
    node->arrivals++;
    for (size_t count; !node->idle && (count = kafka_peek(node->link, partition, records, 100));) {
        for (size_t i = 0; i < count; i++) {
            if (node->positions[partition] >= 0)
                assert_true(records[i].offset >= node->positions[partition]);
            node->positions[partition] = records[i].offset + 1;
            if (node->took != NULL)
                node->took(node, partition, &records[i]);
        }
        node->taken += count;
        kafka_pass(node->link, partition, node->positions[partition]);
    }
}

static void on_gap(void *data, int32_t partition, int64_t first, int64_t end)
{
    struct kafka_node *node = data;
    node->gaps++;
    node->gap_partition = partition;
    node->gap_first = first;
    node->gap_end = end;
}

static void on_end(void *data, int32_t partition, int64_t first, int64_t end)
{
    struct kafka_node *node = data;
    assert_true(first >= 0 && first <= end);
    node->ends_found++;
    node->ends[partition] = end;
}

static void on_closed(void *data)
{
    ((struct kafka_node *)data)->closed = true;
}

static void on_host_failed(void *data, int exit_code, const char *message)
{
    on_open_failed(data, exit_code, message);
}

void kafka_node_set(struct kafka_node *node, const char *key, const char *text)
{
    char name[128];
    snprintf(name, sizeof name, "kafka.%s", key);
    if (config_set_flag(node->config, name, text) != 0) {
        config_print_errors(node->config, stderr);
        fail_msg("[kafka] %s = %s", key, text);
    }
}

void kafka_node_create(struct kafka_node *node, bool consumes)
{
    static const struct resv_option_table *const tables[] = {&kafka_options, NULL};
    *node = (struct kafka_node){0};
    node->link_config = (struct kafka_link_config){
        .consumes = consumes, .events_max = 10000, .payload_max = 1000, .records_max = 10000};
    for (size_t i = 0; i < TEST_PARTITIONS_MAX; i++)
        node->positions[i] = -1;
    node->config = config_create(tables);
    node->metrics = metrics_create();
    assert_non_null(node->config);
    assert_non_null(node->metrics);
    assert_true(metrics_register(node->metrics, &kafka_metrics, NULL));
    const struct host_config config = {
        .loop = &kafka_loop,
        .config = node->config,
        .metrics = node->metrics,
        .events = {.start_failed = on_host_failed, .data = node},
    };
    node->host = host_create(&config);
    assert_non_null(node->host);
    host_set_start_deadline(node->host, uv_hrtime() + 20ULL * 1000000000ULL);
    char partitions[16];
    snprintf(partitions, sizeof partitions, "%d", TEST_PARTITIONS);
    kafka_node_set(node, "bootstrap.servers",
                   servers_given != NULL ? servers_given : environment("SERVERS"));
    kafka_node_set(node, "topic", topic);
    kafka_node_set(node, "dead_letter_topic", letters_topic);
    kafka_node_set(node, "topic_partitions", partitions);
    kafka_node_set(node, "group.id", group);
    kafka_node_set(node, "broker.address.family", "v4");
}

void kafka_node_make(struct kafka_node *node)
{
    const struct kafka_link_events events = {
        .data = node,
        .opened = on_opened,
        .open_failed = on_open_failed,
        .up_changed = on_up_changed,
        .assigned = on_assigned,
        .revoked = on_revoked,
        .arrived = on_arrived,
        .gap = on_gap,
        .end = on_end,
        .closed = on_closed,
    };
    node->link = kafka_link_create(node->host, &node->link_config, &events);
}

void kafka_node_start(struct kafka_node *node)
{
    kafka_node_make(node);
    if (node->link != NULL)
        kafka_link_start(node->link);
}

void kafka_node_open(struct kafka_node *node)
{
    kafka_node_start(node);
    RUN_UNTIL(node->ended, 25000);
    if (!node->opened)
        fail_msg("%d: %s", node->exit_code, node->message);
}

static void host_is_closed(void *data)
{
    *(bool *)data = true;
}

void kafka_node_close(struct kafka_node *node)
{
    bool host_closed = false;
    if (node->link != NULL) {
        kafka_link_close(node->link);
        RUN_UNTIL(node->closed, 20000);
    }
    host_close(node->host, host_is_closed, &host_closed);
    RUN_UNTIL(host_closed, 1000);
    host_destroy(node->host);
    metrics_destroy(node->metrics);
    config_destroy(node->config);
    node->link = NULL;
}

double kafka_node_metric(struct kafka_node *node, const char *name)
{
    size_t size = 0;
    char *text = metrics_render(node->metrics, &size);
    char *copy = strndup(text, size);
    char line[128];
    snprintf(line, sizeof line, "\nresvd_%s ", name);
    const char *found = strstr(copy, line);
    double value = found == NULL ? -1 : strtod(found + strlen(line), NULL);
    free(copy);
    free(text);
    return value;
}

/* --- events -------------------------------------------------------------------------------------
 */

static void on_done(struct kafka_event *event)
{
    struct test_event *test = event->data;
    test->done++;
    test->done_ns = uv_hrtime();
    assert_int_equal(test->done, 1);
    test->of->done++;
    test->of->results[event->result]++;
    assert_true(event->partition >= 0);
    assert_int_equal(event->offset >= 0, event->result == KAFKA_PERSISTED);
}

struct test_events *test_events_create(size_t count, size_t keys)
{
    struct test_events *events = calloc(1, sizeof *events);
    assert_non_null(events);
    events->list = calloc(count, sizeof *events->list);
    assert_non_null(events->list);
    events->count = count;
    for (size_t i = 0; i < count; i++) {
        struct test_event *test = &events->list[i];
        test->of = events;
        int key_size = snprintf(test->key, sizeof test->key, "k%zu", i % keys);
        int size = snprintf(test->payload, sizeof test->payload, "%zu", i);
        test->event = (struct kafka_event){.target = KAFKA_EVENTS,
                                           .key = test->key,
                                           .key_size = (size_t)key_size,
                                           .payload = test->payload,
                                           .payload_size = (size_t)size,
                                           .data = test,
                                           .done = on_done};
    }
    return events;
}

void test_events_free(struct test_events *events)
{
    free(events->list);
    free(events);
}

void test_events_publish(struct test_events *events, struct kafka_node *node)
{
    while (events->published < events->count && kafka_room(node->link) > 0)
        kafka_publish(node->link, &events->list[events->published++].event);
}

void test_events_publish_all(struct test_events *events, struct kafka_node *node, uint64_t limit_ms)
{
    uint64_t end_ns = uv_hrtime() + limit_ms * 1000000ULL;
    while (events->done < events->count && uv_hrtime() < end_ns) {
        test_events_publish(events, node);
        kafka_turn();
    }
    assert_int_equal(events->done, events->count);
}

struct test_events *test_events_fill(size_t count)
{
    struct kafka_node node;
    struct test_events *events = test_events_create(count, 100);
    kafka_node_create(&node, false);
    kafka_node_open(&node);
    test_events_publish_all(events, &node, 30000);
    assert_int_equal(events->results[KAFKA_PERSISTED], count);
    kafka_node_close(&node);
    return events;
}

struct test_taken *test_taken_create(size_t count)
{
    struct test_taken *taken = calloc(1, sizeof *taken);
    assert_non_null(taken);
    taken->counts = calloc(count, sizeof *taken->counts);
    assert_non_null(taken->counts);
    taken->count = count;
    for (size_t i = 0; i < 100; i++)
        taken->last[i] = -1;
    return taken;
}

void test_taken_free(struct test_taken *taken)
{
    free(taken->counts);
    free(taken);
}

void test_taken_note(struct kafka_node *node, int32_t partition, const struct kafka_record *record)
{
    struct test_taken *taken = node->data;
    char text[32];
    (void)partition;
    assert_true(record->payload_size < sizeof text);
    memcpy(text, record->payload, record->payload_size);
    text[record->payload_size] = '\0';
    long number = strtol(text, NULL, 10);
    assert_true(number >= 0 && (size_t)number < taken->count);
    if (taken->counts[number]++ == 0) {
        assert_true(number > taken->last[number % 100]);
        taken->last[number % 100] = number;
    }
    assert_true(record->timestamp_ms > 1600000000000);
}

/* --- the log read back --------------------------------------------------------------------------
 */

struct audit {
    const struct test_events *events;
    unsigned *counts;
};

static void count_record(struct kafka_node *node, int32_t partition,
                         const struct kafka_record *record)
{
    struct audit *audit = node->data;
    char text[64];
    assert_true(record->payload_size > 0 && record->payload_size < sizeof text);
    memcpy(text, record->payload, record->payload_size);
    text[record->payload_size] = '\0';
    char *end = NULL;
    size_t number = strtoull(text, &end, 10);
    if (*end != '\0')
        return; /* the marker behind all */
    assert_true(number < audit->events->count);
    const struct test_event *test = &audit->events->list[number];
    assert_int_equal(record->key_size, test->event.key_size);
    assert_memory_equal(record->key, test->key, record->key_size);
    audit->counts[number]++;
    if (test->event.result == KAFKA_PERSISTED && audit->counts[number] == 1) {
        assert_int_equal(test->event.partition, partition);
        if (!test->event.repeated)
            assert_int_equal(test->event.offset, record->offset);
    }
}

/* Every partition gets a marker, so that its end is known. */
static bool reached(const struct kafka_node *node, const struct test_events *markers)
{
    for (size_t i = 0; i < markers->count; i++) {
        const struct kafka_event *event = &markers->list[i].event;
        if (node->positions[event->partition] <= event->offset)
            return false;
    }
    return true;
}

void test_events_read_back(const struct test_events *events, unsigned *counts)
{
    struct kafka_node node;
    struct audit audit = {.events = events, .counts = counts};
    struct test_events *markers = test_events_create(200, 200);
    kafka_node_create(&node, true);
    kafka_node_set(&node, "group.id", "audit");
    node.took = count_record;
    node.data = &audit;
    kafka_node_open(&node);
    for (size_t i = 0; i < markers->count; i++) {
        markers->list[i].event.payload = "marker";
        markers->list[i].event.payload_size = 6;
    }
    test_events_publish_all(markers, &node, 20000);
    assert_int_equal(markers->results[KAFKA_PERSISTED], markers->count);
    RUN_UNTIL(reached(&node, markers), 30000);
    kafka_node_close(&node);
    test_events_free(markers);
}

void test_events_audit(const struct test_events *events)
{
    unsigned *counts = calloc(events->count, sizeof *counts);
    assert_non_null(counts);
    test_events_read_back(events, counts);
    for (size_t i = 0; i < events->count; i++) {
        const struct test_event *test = &events->list[i];
        bool is_there = counts[i] > 0;
        if (counts[i] > 1)
            fail_msg("event %zu is in the log %u times", i, counts[i]);
        if (test->done == 0)
            continue;
        if (test->event.result == KAFKA_PERSISTED && !is_there)
            fail_msg("event %zu was persisted and is not in the log", i);
        if (test->event.result == KAFKA_NOT_PERSISTED && is_there)
            fail_msg("event %zu was not persisted and is in the log", i);
    }
    free(counts);
}
