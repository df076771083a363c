/* The async strategy's api side between fakes. */
#include "async_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct redis_reply {
    const struct redis_reply_item *items;
    size_t count;
};

struct redis_link the_redis;
struct kafka_link the_kafka;
bool kafka_cannot_be_made;

const struct resv_option_table redis_options;
const struct resv_metric_table redis_metrics;
const struct resv_option_table kafka_options;
const struct resv_metric_table kafka_metrics;

/* --- Redis --------------------------------------------------------------------------------------
 */

struct redis_link *redis_link_create(struct resv_host *host, const struct redis_link_config *config,
                                     const struct redis_link_events *events)
{
    (void)host;
    assert_int_equal(config->use, REDIS_STOCK);
    the_redis = (struct redis_link){.events = *events};
    return &the_redis;
}

void redis_link_start(struct redis_link *link)
{
    snprintf(link->run_id, sizeof link->run_id, "R");
    link->events.opened(link->events.data);
}

bool redis_link_node_is_up(const struct redis_link *link, size_t node)
{
    assert_int_equal(node, 0);
    return !link->down;
}

const char *redis_link_run_id(const struct redis_link *link, size_t node)
{
    assert_int_equal(node, 0);
    return link->run_id;
}

const char *redis_link_key_prefix(const struct redis_link *link)
{
    (void)link;
    return "t:";
}

void redis_link_interrupt(struct redis_link *link)
{
    link->interrupted = true;
}

void redis_link_close(struct redis_link *link)
{
    assert_int_equal(link->count, 0);
    assert_false(link->closed);
    link->closed = true;
    link->events.closed(link->events.data);
}

void redis_run(struct redis_link *link, struct redis_call *call)
{
    assert_true(link->count < FAKE_CALLS_MAX);
    assert_true(call->arguments_count <= FAKE_ARGUMENTS_MAX);
    struct fake_call *fake = &link->calls[link->count++];
    *fake = (struct fake_call){.call = call, .arguments_count = call->arguments_count};
    memcpy(fake->key, call->keys[0].bytes, call->keys[0].size);
    for (size_t i = 0; i < call->arguments_count; i++) {
        assert_true(call->arguments[i].size < EVENT_SIZE_MAX);
        memcpy(fake->arguments[i].bytes, call->arguments[i].bytes, call->arguments[i].size);
        fake->arguments[i].size = call->arguments[i].size;
    }
    call->keys = NULL; /* are the caller's again */
    call->arguments = NULL;
}

size_t redis_reply_count(const struct redis_reply *reply)
{
    return reply->count;
}

int64_t redis_reply_integer(const struct redis_reply *reply, size_t index)
{
    if (index >= reply->count || reply->items[index].text != NULL)
        return INT64_MIN;
    return reply->items[index].integer;
}

struct redis_text redis_reply_text(const struct redis_reply *reply, size_t index)
{
    if (index >= reply->count || reply->items[index].text == NULL)
        return (struct redis_text){0};
    const char *text = reply->items[index].text;
    return (struct redis_text){.bytes = text, .size = strlen(text)};
}

struct fake_call *expect_call(const char *script)
{
    assert_true(the_redis.count > 0);
    assert_string_equal(the_redis.calls[0].call->script->name, script);
    return &the_redis.calls[0];
}

static void end_call(struct database_fixture *fixture, const char *script, enum redis_result result,
                     const struct redis_reply *reply)
{
    struct redis_call *call = expect_call(script)->call;
    the_redis.count--;
    memmove(&the_redis.calls[0], &the_redis.calls[1], the_redis.count * sizeof the_redis.calls[0]);
    call->result = result;
    call->reply = reply;
    call->done(call);
    fake_host_flush(&fixture->host);
}

void call_says_items(struct database_fixture *fixture, const char *script,
                     const struct redis_reply_item *items, size_t count)
{
    end_call(fixture, script, REDIS_DONE, &(struct redis_reply){.items = items, .count = count});
}

void call_fails(struct database_fixture *fixture, const char *script, enum redis_result result)
{
    const struct redis_reply_item why = T("OOM");
    const struct redis_reply reply = {.items = &why, .count = 1};
    end_call(fixture, script, result, result == REDIS_REFUSED ? &reply : NULL);
}

void expect_no_call(void)
{
    assert_int_equal(the_redis.count, 0);
}

void redis_restarts(const char *run_id)
{
    the_redis.down = true;
    the_redis.events.node_changed(the_redis.events.data, 0);
    snprintf(the_redis.run_id, sizeof the_redis.run_id, "%s", run_id);
    the_redis.down = false;
    the_redis.events.node_changed(the_redis.events.data, 0);
}

/* --- Kafka --------------------------------------------------------------------------------------
 */

struct kafka_link *kafka_link_create(struct resv_host *host, const struct kafka_link_config *config,
                                     const struct kafka_link_events *events)
{
    if (kafka_cannot_be_made) {
        resv_host_start_failed(host, 78, "[kafka] is wrong");
        return NULL;
    }
    the_kafka = (struct kafka_link){.config = *config, .events = *events, .room = 1000};
    return &the_kafka;
}

void kafka_link_start(struct kafka_link *link)
{
    link->events.opened(link->events.data);
}

bool kafka_link_is_up(const struct kafka_link *link)
{
    return !link->down;
}

void kafka_link_interrupt(struct kafka_link *link)
{
    link->interrupted = true;
}

void kafka_link_close(struct kafka_link *link)
{
    assert_int_equal(link->count, 0);
    assert_false(link->closed);
    link->closed = true;
    link->events.closed(link->events.data);
}

size_t kafka_room(const struct kafka_link *link)
{
    return link->room - link->count;
}

void kafka_publish(struct kafka_link *link, struct kafka_event *event)
{
    assert_true(link->count < link->room && link->count < FAKE_EVENTS_MAX);
    assert_true(event->payload_size < EVENT_SIZE_MAX && event->key_size < 24);
    struct fake_event *fake = &link->waiting[link->count++];
    *fake = (struct fake_event){.event = event};
    memcpy(fake->key, event->key, event->key_size);
    memcpy(fake->payload, event->payload, event->payload_size);
}

/* '*' stands for one field. */
static bool matches(const char *text, const char *pattern)
{
    while (*pattern != '\0') {
        if (*pattern == '*') {
            text += strcspn(text, " ");
            pattern++;
        } else if (*text++ != *pattern++) {
            return false;
        }
    }
    return *text == '\0';
}

struct fake_event *expect_event(const char *payload)
{
    assert_true(the_kafka.count > 0);
    if (!matches(the_kafka.waiting[0].payload, payload))
        fail_msg("'%s' is not '%s'", the_kafka.waiting[0].payload, payload);
    return &the_kafka.waiting[0];
}

void event_is(struct database_fixture *fixture, enum kafka_result result)
{
    assert_true(the_kafka.count > 0);
    struct kafka_event *event = the_kafka.waiting[0].event;
    the_kafka.count--;
    memmove(&the_kafka.waiting[0], &the_kafka.waiting[1],
            the_kafka.count * sizeof the_kafka.waiting[0]);
    event->result = result;
    event->done(event);
    fake_host_flush(&fixture->host);
}

void expect_no_event(void)
{
    assert_int_equal(the_kafka.count, 0);
}

/* --- what there is not --------------------------------------------------------------------------
 */

static struct admin {
    int unused;
} the_admin;
static struct resv_catalog the_catalog;

bool admin_open(struct async *async)
{
    async->admin = &the_admin;
    return true;
}

void admin_close(struct async *async)
{
    async->admin = NULL;
}

struct resv_catalog *admin_catalog(void *instance)
{
    (void)instance;
    return &the_catalog;
}

bool admin_is_quiet(const struct async *async)
{
    return async->admin == &the_admin;
}

void admin_abandon(struct async *async)
{
    assert_ptr_equal(async->admin, &the_admin);
}

/* The role is api, and no catalog operation comes: none of these is called. */
#define NEVER fail_msg("there is no consumer")

void admin_answered(struct async *async, struct resv_op *op, enum resv_outcome outcome)
{
    (void)async;
    (void)op;
    (void)outcome;
    NEVER;
}

bool consumer_open(struct async *async)
{
    (void)async;
    NEVER;
    return false;
}

void consumer_close(struct async *async)
{
    (void)async;
    NEVER;
}

bool consumer_is_quiet(const struct async *async)
{
    (void)async;
    NEVER;
    return true;
}

void consumer_drain(struct async *async)
{
    (void)async;
    NEVER;
}

void consumer_abandon(struct async *async)
{
    (void)async;
    NEVER;
}

bool consumer_started(struct async *async)
{
    (void)async;
    NEVER;
    return false;
}

void consumer_assigned(void *data, int32_t partition)
{
    (void)data;
    (void)partition;
    NEVER;
}

void consumer_revoked(void *data, int32_t partition)
{
    consumer_assigned(data, partition);
}

void consumer_arrived(void *data, int32_t partition)
{
    consumer_assigned(data, partition);
}

void consumer_gap(void *data, int32_t partition, int64_t first, int64_t end)
{
    (void)first;
    (void)end;
    consumer_assigned(data, partition);
}

void consumer_redis_is_up(struct async *async)
{
    (void)async;
    NEVER;
}

void consumer_end(void *data, int32_t partition, int64_t first, int64_t end)
{
    consumer_gap(data, partition, first, end);
}

/* --- the strategy -------------------------------------------------------------------------------
 */

struct async *async_of(struct database_fixture *fixture)
{
    return fixture->instance;
}

int async_set_up(void **state)
{
    struct database_fixture *fixture = calloc(1, sizeof *fixture);
    *state = fixture;
    if (fixture == NULL)
        return 1;
    fake_host_init(&fixture->host);
    fixture->host.role = RESV_ROLE_API;
    link_reset();
    fixture->strategy = &resv_strategy_async;
    assert_int_equal(fixture->strategy->open(&fixture->host, &fixture->instance), 0);
    fixture->strategy->start(fixture->instance);
    fake_host_flush(&fixture->host);
    assert_int_equal(fixture->host.started, 0);
    struct database_run *run = expect_run(DATABASE_READ_EPOCH, END);
    run->steps[0].epoch.epoch = 3;
    run_done(&fixture->host, run);
    assert_int_equal(fixture->host.started, 1);
    assert_false(the_kafka.config.consumes);
    return 0;
}

int async_tear_down(void **state)
{
    struct database_fixture *fixture = *state;
    strategy_stop(fixture);
    assert_true(the_redis.closed && the_kafka.closed && the_link.closed);
    free(fixture);
    return 0;
}

void knows(struct database_fixture *fixture, bool concert, bool member)
{
    struct database_run *run = NULL;
    for (size_t i = 0; run == NULL && i < the_link.sessions_used; i++)
        run = the_link.sessions[i].run;
    assert_non_null(run);
    for (size_t i = 0; i < run->count; i++) {
        struct database_step *step = &run->steps[i];
        if (step->kind == DATABASE_READ_CONCERT && concert)
            fill_concert(step, 100, 0, 0);
        for (size_t k = 0; step->kind == DATABASE_READ_MEMBERS && k < step->members.count; k++)
            step->members.items[k].found = member;
    }
    assert_int_equal(run->steps[run->count - 1].kind, DATABASE_READ_EPOCH);
    run->steps[run->count - 1].epoch.epoch = async_of(fixture)->epoch;
    run_done(&fixture->host, run);
}

void remember(struct database_fixture *fixture)
{
    hints_put_concert(&async_of(fixture)->hints,
                      &(struct concert_hint){.concert_id = 1, .exists = true});
    hints_put_member(&async_of(fixture)->hints, 1);
    hints_put_member(&async_of(fixture)->hints, 2);
}

struct resv_op *reserve(struct database_fixture *fixture, bool keyed, int64_t member_id)
{
    return submit_reserve(fixture, keyed, 1, member_id, 2);
}

struct resv_op *reserve_keyed(struct database_fixture *fixture)
{
    struct resv_op *op = reserve(fixture, true, 1);
    expect_run(DATABASE_READ_CONCERT, DATABASE_READ_RESERVATIONS, DATABASE_READ_MEMBERS,
               DATABASE_READ_EPOCH, END);
    knows(fixture, true, true);
    return op;
}
