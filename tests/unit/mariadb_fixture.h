/* A MariaDB link on a real server and a real host, for its unit tests.
 *
 * The server is tests/support/with_database.py's; without its variables a test fails and says so.
 */
#ifndef TESTS_MARIADB_FIXTURE_H
#define TESTS_MARIADB_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mariadb_host.h"
#include "mariadb_internal.h"

#define WAITS_MAX 16

struct mariadb_fixture {
    struct mariadb_host real;
    struct database_link *link;
    /* What the link has said. */
    bool opened, failed, ended /* one of them */, closed;
    int exit_code;
    char message[1024];
    unsigned up_changes;
    uint64_t start_timeout_ms;
};
extern struct mariadb_fixture the_database;

/* cmocka set-up and tear-down: a host and a config that names the server, no link yet; all closed,
 * and nothing left in the loop. */
int mariadb_set_up(void **state);
int mariadb_tear_down(void **state);

/* A setting of [database], before database_create. */
void setting(const char *key, const char *value);
/* False when the link would not be made: see the_database.message. */
bool database_create(void);
/* Created and started; runs the loop until it is open or has failed; whether it is open. */
bool database_start(void);
/* The same, and asserts that it is. */
void database_open(void);
void database_shut(void);

/* Runs the loop until *flag, or until the check says true; fails the test after 20 s. */
void run_until(const bool *flag);
void run_until_true(bool (*check)(void));
void run_ms(uint64_t milliseconds);

/* --- waits and sessions --- */

struct test_wait {
    struct database_wait wait;
    struct database_session *session;
    bool answered, refused;
    enum database_refusal refusal;
    unsigned turn; /* which of all answers it was, from 1 */
};
void start_wait(struct test_wait *wait, enum database_pool pool);
void start_urgent_wait(struct test_wait *wait, enum database_pool pool);
/* Waits for it and asserts that a session came. */
struct database_session *get_session(enum database_pool pool);
struct test_wait *wait_for(struct test_wait *wait);

/* --- statements --- */

struct test_query {
    struct mariadb_query query;
    bool done;
    size_t results; /* statements that succeeded */
    size_t rows;    /* of all */
    long long number;
    uint64_t affected;
    char text[512];
};
/* Runs the loop until the link has noticed that. */
void run_until_lost(const struct database_session *session);
/* Waits until the server executes something on the connection, in this state of its own words ("":
 * any). */
void wait_until_executing(long long connection, const char *state);
/* Begins; timeout_ms 0: 5 s. */
void start_query(struct test_query *query, struct database_session *session, const char *text,
                 uint64_t timeout_ms);
/* Runs it to its end. */
struct test_query *finish_query(struct test_query *query);
struct test_query *run_query(struct test_query *query, struct database_session *session,
                             const char *text);
/* The first column of the last row; asserts success. */
long long query_number(struct database_session *session, const char *text);

/* --- the server --- */

/* Fails the test unless it is done; the number in the answer, else 0. */
long long server(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* --- what the link shows --- */

const struct host_component *health(void);
/* A sample of /metrics, "db_connections_idle"; histograms by their count. */
long long metric(const char *name);

#endif
