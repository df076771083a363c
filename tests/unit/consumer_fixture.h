/* The async strategy with its consumer, between the fake host, a database link that only records
 * (database_fixture.h), and a Redis and a log of the test's own: calls and events wait until the
 * test says what became of them; records are what the test has put into the one partition. */
#ifndef TESTS_CONSUMER_FIXTURE_H
#define TESTS_CONSUMER_FIXTURE_H

#include "async/async.h"
#include "database_fixture.h"

#define LOG_CALLS_MAX   16
#define LOG_RECORDS_MAX 32
#define LOG_EVENTS_MAX  16

struct log_call {
    struct redis_call *call;
    size_t count;
    struct {
        char bytes[64];
        size_t size;
    } arguments[32];
};

struct redis_link {
    struct redis_link_events events;
    bool down;
    struct log_call calls[LOG_CALLS_MAX];
    size_t count;
    /* Of complete.lua there is one at most: it is answered "complete" at once, unless the test
     * wants to do that (complete_returns). */
    struct log_call complete;
    bool complete_waits;
    struct resv_host *host;
    struct resv_deferred soon;
};

struct log_event {
    struct kafka_event *event;
    char key[48];
    char payload[256];
};

struct kafka_link {
    struct kafka_link_events events;
    struct {
        int64_t offset;
        char payload[200];
    } records[LOG_RECORDS_MAX];
    size_t records_count;
    int64_t fetched_from; /* -2: never */
    int64_t passed;       /* -1: nothing */
    struct log_event waiting[LOG_EVENTS_MAX];
    size_t waiting_count;
    struct kafka_letters *letters; /* being read */
    unsigned ends_asked;
};

extern struct redis_link the_redis;
extern struct kafka_link the_kafka;
extern const struct resv_strategy resv_strategy_async;

/* Started in epoch 3, nothing assigned. */
int consumer_set_up(void **state);
int consumer_tear_down(void **state);

/* Partition 0 is ours and its position is this: fetched from there. */
void is_assigned(struct database_fixture *fixture, int64_t position);
/* The next records, beginning at this offset; a list closed by NULL. Then arrived, and the wait is
 * over. */
void arrive(struct database_fixture *fixture, int64_t offset, ...) __attribute__((sentinel));
/* "1 reserve <id n> 1 <member> <quantity> 1700 3 -" and the like; static, a few at a time. */
const char *reserve_of(uint8_t id, int64_t member_id, int64_t quantity);
const char *release_of(uint8_t id);
const char *barrier_of(int64_t concert_id);

/* The only call under way; of this script. */
struct log_call *the_call(const char *script);
/* It returns this text (NULL: none; "a|b": two), then these numbers, closed by INT64_MIN. Then a
 * flush. */
void call_returns(struct database_fixture *fixture, const char *script, const char *text, ...);
void complete_returns(struct database_fixture *fixture, int64_t code);
void complete_ends(struct database_fixture *fixture, enum redis_result result);
void call_ends(struct database_fixture *fixture, const char *script, enum redis_result result);
/* The first event that waits ends. */
void event_ends(struct database_fixture *fixture, enum kafka_result result);

/* Dead letters are being read: the next one; and the end. */
void letter_is(const char *key, const char *payload);
void letters_end(struct database_fixture *fixture, bool complete);

#endif
