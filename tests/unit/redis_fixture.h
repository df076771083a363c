/* A Redis link on real nodes and a real host, for its unit tests.
 *
 * The nodes are tests/support/with_redis.py's; without its variables a test fails and says so.
 */
#ifndef TESTS_REDIS_FIXTURE_H
#define TESTS_REDIS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/config.h"
#include "host/host.h"
#include "metrics/metrics.h"
#include "redis_internal.h"

struct redis_fixture {
    uv_loop_t loop;
    struct config *config;
    struct metrics *metrics;
    struct resv_host *host;
    struct redis_link *link;
    struct redis_link_config link_config; /* may be changed before link_create */
    uint64_t start_timeout_ms;
    /* What the link has said. */
    bool opened, failed, ended /* one of them */, closed;
    int exit_code;
    char message[1024];
    unsigned node_changes;
};
extern struct redis_fixture the_redis;

/* cmocka set-up and tear-down: a host and a config that names the nodes for locks, the first for
 * the stock; no link yet. The nodes are reset; all is closed, and nothing left in the loop. */
int redis_set_up(void **state);
int redis_tear_down(void **state);
/* The same without any node. */
int redis_set_up_alone(void **state);

/* RESVD_TEST_REDIS_<name>; without it the test fails and says so. */
const char *redis_server_setting(const char *name);
/* A setting of [redis], before link_create. */
void setting(const char *key, const char *text);
/* False when the link would not be made: see the_redis.message. */
bool link_create(void);
/* Created and started; runs the loop until it is open or has failed; whether it is open. */
bool link_start(void);
/* The same, and asserts that it is. */
void link_open(void);
void link_shut(void);

/* Runs the loop until *flag, or until the check says true; fails the test after 20 s. */
void run_until(const bool *flag);
void run_until_true(bool (*check)(void));
void run_ms(uint64_t milliseconds);

/* Fails the test unless it is done; what the node said. Lives until the next one. */
const char *nodes_do(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* --- calls --- */

extern const struct redis_script script_echo;  /* all arguments */
extern const struct redis_script script_add;   /* INCRBY KEYS[1] ARGV[1] */
extern const struct redis_script script_error; /* an error reply ARGV[1] */
extern const struct redis_script script_spin;  /* ARGV[1] rounds: slow */

struct test_call {
    struct redis_call call;
    bool done;
    unsigned turn; /* which of all answers it was, from 1 */
    int64_t integer;
    char text[512];
    size_t count;
};
/* One argument; key "" for none. */
void start_call(struct test_call *call, size_t node, const struct redis_script *script,
                const char *key, const char *argument, uint64_t timeout_ms);
struct test_call *finish_call(struct test_call *call);
struct test_call *run_call(struct test_call *call, size_t node, const struct redis_script *script,
                           const char *key, const char *argument);

/* --- what the link shows --- */

const struct host_component *health(const char *component);
/* A sample of /metrics with its labels; histograms by their count. */
long long metric(const char *name, size_t node);

#endif
