/* The async strategy's api side between the fake host, a Redis and a Kafka of the test's own, and a
 * database link that only records (database_fixture.h). Calls and events wait until the test says
 * what became of them. There is no consumer. */
#ifndef TESTS_ASYNC_FIXTURE_H
#define TESTS_ASYNC_FIXTURE_H

#include "async/async.h"
#include "database_fixture.h"

#define FAKE_CALLS_MAX     32
#define FAKE_ARGUMENTS_MAX 40
#define FAKE_EVENTS_MAX    64

struct fake_call {
    struct redis_call *call;
    char key[KEY_SIZE_MAX]; /* the first */
    size_t arguments_count;
    struct {
        char bytes[EVENT_SIZE_MAX];
        size_t size;
    } arguments[FAKE_ARGUMENTS_MAX];
};

struct redis_link {
    struct redis_link_events events;
    bool down, closed, interrupted;
    char run_id[REDIS_RUN_ID_SIZE];
    struct fake_call calls[FAKE_CALLS_MAX]; /* that wait, in order */
    size_t count;
};

struct fake_event {
    struct kafka_event *event;
    char key[24];
    char payload[EVENT_SIZE_MAX];
};

struct kafka_link {
    struct kafka_link_config config;
    struct kafka_link_events events;
    bool down, closed, interrupted;
    size_t room;
    struct fake_event waiting[FAKE_EVENTS_MAX];
    size_t count;
};

extern struct redis_link the_redis;
extern struct kafka_link the_kafka;
extern bool kafka_cannot_be_made;
extern const struct resv_strategy resv_strategy_async;

/* Started in epoch 3, Redis' run id "R". */
int async_set_up(void **state);
/* Nothing may be under way. */
int async_tear_down(void **state);
struct async *async_of(struct database_fixture *fixture);

/* A read of known.c for one RESERVE ends: its concert, perhaps its row, its member. */
void knows(struct database_fixture *fixture, bool concert, bool member);
/* Concert 1 and members 1 and 2 are remembered as existing. */
void remember(struct database_fixture *fixture);
/* RESERVE 2 seats of concert 1. */
struct resv_op *reserve(struct database_fixture *fixture, bool keyed, int64_t member_id);
/* The same by member 1 with a key; its row is not there. */
struct resv_op *reserve_keyed(struct database_fixture *fixture);
/* How Redis says that it is pending: the first operation's id has 100 as its first byte. */
#define PENDING_KEYED(CONTENT) "1 reserve 64000000-0000-0000-0000-000000000000 " CONTENT " 1700 3 k"

/* The first call that waits; fails when it is not of this script. */
struct fake_call *expect_call(const char *script);
/* It is done: a list of numbers and texts. N(7) is a number, T("x") a text. Then a flush. */
struct redis_reply_item {
    int64_t integer;
    const char *text;
};
#define N(NUMBER) ((struct redis_reply_item){.integer = (NUMBER)})
#define T(TEXT)   ((struct redis_reply_item){.text = (TEXT)})
#define call_says(fixture, script, ...)                                                            \
    call_says_items(fixture, script, (struct redis_reply_item[]){__VA_ARGS__},                     \
                    sizeof((struct redis_reply_item[]){__VA_ARGS__}) /                             \
                        sizeof(struct redis_reply_item))
void call_says_items(struct database_fixture *fixture, const char *script,
                     const struct redis_reply_item *items, size_t count);
void call_fails(struct database_fixture *fixture, const char *script, enum redis_result result);
void expect_no_call(void);

/* The first event that waits has this payload (but for its id and time, which are "*"). */
struct fake_event *expect_event(const char *payload);
void event_is(struct database_fixture *fixture, enum kafka_result result);
void expect_no_event(void);

/* Redis is another one. */
void redis_restarts(const char *run_id);

#endif
