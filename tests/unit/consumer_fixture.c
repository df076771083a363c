/* The async strategy with its consumer between fakes. */
#include "consumer_fixture.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ID "00000000-0000-4000-8000-0000000000%02x"

struct redis_reply {
    const char *text;
    size_t texts;
    int64_t numbers[8];
    size_t count;
};

struct redis_link the_redis;
struct kafka_link the_kafka;

const struct resv_option_table redis_options;
const struct resv_metric_table redis_metrics;
const struct resv_option_table kafka_options;
const struct resv_metric_table kafka_metrics;

/* --- Redis --------------------------------------------------------------------------------------
 */

static void end_complete(enum redis_result result, int64_t code)
{
    struct redis_call *call = the_redis.complete.call;
    const struct redis_reply reply = {.numbers = {code}, .count = 1};
    assert_non_null(call);
    the_redis.complete.call = NULL;
    call->result = result;
    call->reply = result == REDIS_DONE ? &reply : NULL;
    call->done(call);
}

static void is_complete(struct resv_deferred *deferred)
{
    (void)deferred;
    end_complete(REDIS_DONE, 1);
}

void complete_returns(struct database_fixture *fixture, int64_t code)
{
    end_complete(REDIS_DONE, code);
    fake_host_flush(&fixture->host);
}

void complete_ends(struct database_fixture *fixture, enum redis_result result)
{
    end_complete(result, 0);
    fake_host_flush(&fixture->host);
}

struct redis_link *redis_link_create(struct resv_host *host, const struct redis_link_config *config,
                                     const struct redis_link_events *events)
{
    (void)config;
    the_redis = (struct redis_link){
        .events = *events, .host = host, .soon = {.run = is_complete, .data = &the_redis}};
    return &the_redis;
}

void redis_link_start(struct redis_link *link)
{
    link->events.opened(link->events.data);
}

bool redis_link_node_is_up(const struct redis_link *link, size_t node)
{
    return node == 0 && !link->down;
}

const char *redis_link_run_id(const struct redis_link *link, size_t node)
{
    (void)link;
    (void)node;
    return "R";
}

const char *redis_link_key_prefix(const struct redis_link *link)
{
    (void)link;
    return "t:";
}

void redis_link_interrupt(struct redis_link *link)
{
    (void)link;
}

void redis_link_close(struct redis_link *link)
{
    assert_int_equal(link->count, 0);
    assert_null(link->complete.call);
    link->events.closed(link->events.data);
}

void redis_run(struct redis_link *link, struct redis_call *call)
{
    const bool complete = strcmp(call->script->name, "complete") == 0;
    assert_true(link->count < LOG_CALLS_MAX && call->arguments_count <= 32);
    assert_true(!complete || link->complete.call == NULL);
    struct log_call *own = complete ? &link->complete : &link->calls[link->count++];
    if (complete && !link->complete_waits)
        resv_defer(link->host, &link->soon);
    *own = (struct log_call){.call = call, .count = call->arguments_count};
    for (size_t i = 0; i < call->arguments_count; i++) {
        assert_true(call->arguments[i].size < sizeof own->arguments[i].bytes);
        memcpy(own->arguments[i].bytes, call->arguments[i].bytes, call->arguments[i].size);
        own->arguments[i].size = call->arguments[i].size;
    }
}

size_t redis_reply_count(const struct redis_reply *reply)
{
    return reply->count;
}

int64_t redis_reply_integer(const struct redis_reply *reply, size_t index)
{
    const size_t first = reply->texts;
    return index < first || index >= reply->count ? INT64_MIN : reply->numbers[index - first];
}

struct redis_text redis_reply_text(const struct redis_reply *reply, size_t index)
{
    if (index >= reply->texts)
        return (struct redis_text){0};
    const char *text = index == 0 ? reply->text : strchr(reply->text, '|') + 1;
    return (struct redis_text){.bytes = text, .size = strcspn(text, "|")};
}

struct log_call *the_call(const char *script)
{
    assert_int_equal(the_redis.count, 1);
    assert_string_equal(the_redis.calls[0].call->script->name, script);
    return &the_redis.calls[0];
}

static void end_call(struct database_fixture *fixture, const char *script, enum redis_result result,
                     const struct redis_reply *reply)
{
    struct redis_call *call = the_call(script)->call;
    the_redis.count = 0;
    call->result = result;
    call->reply = reply;
    call->done(call);
    fake_host_flush(&fixture->host);
}

void call_returns(struct database_fixture *fixture, const char *script, const char *text, ...)
{
    struct redis_reply reply = {.text = text};
    reply.texts = text == NULL ? 0 : strchr(text, '|') == NULL ? 1 : 2;
    size_t count = 0;
    va_list numbers;
    va_start(numbers, text);
    for (int64_t number; (number = va_arg(numbers, int64_t)) != INT64_MIN;)
        reply.numbers[count++] = number;
    va_end(numbers);
    reply.count = count + reply.texts;
    end_call(fixture, script, REDIS_DONE, &reply);
}

void call_ends(struct database_fixture *fixture, const char *script, enum redis_result result)
{
    end_call(fixture, script, result, NULL);
}

/* --- the log ------------------------------------------------------------------------------------
 */

struct kafka_link *kafka_link_create(struct resv_host *host, const struct kafka_link_config *config,
                                     const struct kafka_link_events *events)
{
    (void)host;
    assert_true(config->consumes);
    the_kafka = (struct kafka_link){.events = *events, .fetched_from = -2, .passed = -1};
    return &the_kafka;
}

void kafka_link_start(struct kafka_link *link)
{
    link->events.opened(link->events.data);
}

bool kafka_link_is_up(const struct kafka_link *link)
{
    (void)link;
    return true;
}

int32_t kafka_link_partition_count(const struct kafka_link *link)
{
    (void)link;
    return 2;
}

const char *kafka_link_topic(const struct kafka_link *link)
{
    (void)link;
    return "events";
}

void kafka_link_interrupt(struct kafka_link *link)
{
    (void)link;
}

void kafka_link_close(struct kafka_link *link)
{
    assert_int_equal(link->waiting_count, 0);
    link->events.closed(link->events.data);
}

size_t kafka_room(const struct kafka_link *link)
{
    return LOG_EVENTS_MAX - link->waiting_count;
}

void kafka_publish(struct kafka_link *link, struct kafka_event *event)
{
    assert_true(link->waiting_count < LOG_EVENTS_MAX);
    struct log_event *own = &link->waiting[link->waiting_count++];
    assert_true(event->key_size < sizeof own->key && event->payload_size < sizeof own->payload);
    *own = (struct log_event){.event = event};
    memcpy(own->key, event->key, event->key_size);
    if (event->payload_size > 0)
        memcpy(own->payload, event->payload, event->payload_size);
}

void event_ends(struct database_fixture *fixture, enum kafka_result result)
{
    assert_true(the_kafka.waiting_count > 0);
    struct kafka_event *event = the_kafka.waiting[0].event;
    the_kafka.waiting_count--;
    memmove(&the_kafka.waiting[0], &the_kafka.waiting[1],
            the_kafka.waiting_count * sizeof the_kafka.waiting[0]);
    event->result = result;
    event->done(event);
    fake_host_flush(&fixture->host);
}

void kafka_fetch_from(struct kafka_link *link, int32_t partition, int64_t offset)
{
    assert_int_equal(partition, 0);
    link->fetched_from = offset;
    link->records_count = 0;
}

void kafka_find_end(struct kafka_link *link, int32_t partition)
{
    assert_int_equal(partition, 0);
    link->ends_asked++;
}

size_t kafka_peek(struct kafka_link *link, int32_t partition, struct kafka_record *records,
                  size_t count)
{
    assert_int_equal(partition, 0);
    size_t given = link->records_count < count ? link->records_count : count;
    for (size_t i = 0; i < given; i++)
        records[i] = (struct kafka_record){
            .offset = link->records[i].offset,
            .payload = link->records[i].payload,
            .payload_size = strlen(link->records[i].payload),
        };
    return given;
}

void kafka_pass(struct kafka_link *link, int32_t partition, int64_t next_offset)
{
    assert_int_equal(partition, 0);
    link->passed = next_offset;
    size_t passed = 0;
    while (passed < link->records_count && link->records[passed].offset < next_offset)
        passed++;
    link->records_count -= passed;
    memmove(&link->records[0], &link->records[passed],
            link->records_count * sizeof link->records[0]);
}

void kafka_read_letters(struct kafka_link *link, struct kafka_letters *letters)
{
    assert_null(link->letters);
    link->letters = letters;
}

void letter_is(const char *key, const char *payload)
{
    const struct kafka_record record = {
        .timestamp_ms = 1700,
        .key = key,
        .key_size = strlen(key),
        .payload = payload,
        .payload_size = strlen(payload),
    };
    the_kafka.letters->letter(the_kafka.letters, &record);
}

void letters_end(struct database_fixture *fixture, bool complete)
{
    struct kafka_letters *letters = the_kafka.letters;
    the_kafka.letters = NULL;
    letters->done(letters, complete);
    fake_host_flush(&fixture->host);
}

/* --- what comes ---------------------------------------------------------------------------------
 */

void arrive(struct database_fixture *fixture, int64_t offset, ...)
{
    va_list payloads;
    va_start(payloads, offset);
    for (const char *payload; (payload = va_arg(payloads, const char *)) != NULL; offset++) {
        assert_true(the_kafka.records_count < LOG_RECORDS_MAX);
        size_t at = the_kafka.records_count++;
        the_kafka.records[at].offset = offset;
        snprintf(the_kafka.records[at].payload, sizeof the_kafka.records[at].payload, "%s",
                 payload);
    }
    va_end(payloads);
    the_kafka.events.arrived(the_kafka.events.data, 0);
    fake_host_flush(&fixture->host);
    fake_host_advance(&fixture->host, 20);
}

static char texts[16][160];
static size_t texts_used;

static char *next_text(void)
{
    return texts[texts_used++ % 16];
}

const char *reserve_of(uint8_t id, int64_t member_id, int64_t quantity)
{
    char *text = next_text();
    snprintf(text, 160, "1 reserve " ID " 1 %" PRId64 " %" PRId64 " 1700 3 -", id, member_id,
             quantity);
    return text;
}

const char *release_of(uint8_t id)
{
    char *text = next_text();
    snprintf(text, 160, "1 release " ID " 1 - - 1700 3 -", id);
    return text;
}

const char *barrier_of(int64_t concert_id)
{
    char *text = next_text();
    snprintf(text, 160, "1 settle " ID " %" PRId64 " - - 1700 3 -", 0xff, concert_id);
    return text;
}

void is_assigned(struct database_fixture *fixture, int64_t position)
{
    the_kafka.events.assigned(the_kafka.events.data, 0);
    fake_host_flush(&fixture->host);
    struct database_run *run = expect_run(DATABASE_READ_POSITION, DATABASE_SYNC, END);
    assert_string_equal(run->steps[0].position.topic, "events");
    run->steps[0].position.found = position > 0;
    run->steps[0].position.next_offset = position;
    run->steps[0].position.epoch = 3;
    run_done(&fixture->host, run);
}

/* --- the strategy -------------------------------------------------------------------------------
 */

int consumer_set_up(void **state)
{
    struct database_fixture *fixture = calloc(1, sizeof *fixture);
    *state = fixture;
    if (fixture == NULL)
        return 1;
    fake_host_init(&fixture->host);
    fixture->host.role = RESV_ROLE_CONSUMER;
    link_reset();
    fixture->strategy = &resv_strategy_async;
    assert_int_equal(fixture->strategy->open(&fixture->host, &fixture->instance), 0);
    fixture->strategy->start(fixture->instance);
    fake_host_flush(&fixture->host);
    struct database_run *run = expect_run(DATABASE_READ_EPOCH, END);
    run->steps[0].epoch.epoch = 3;
    run_done(&fixture->host, run);
    assert_int_equal(fixture->host.started, 1);
    return 0;
}

int consumer_tear_down(void **state)
{
    struct database_fixture *fixture = *state;
    strategy_stop(fixture);
    free(fixture);
    return 0;
}
