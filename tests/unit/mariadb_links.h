/* One or more links on a real server, a real host and a real loop, each test on an empty database:
 * for schema, steps and catalog. (mariadb_fixture.h is for what connections do.)
 *
 * The server is tests/support/with_database.py's; without its variables a test fails and says so.
 */
#ifndef TESTS_MARIADB_LINKS_H
#define TESTS_MARIADB_LINKS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <mysql.h>
#include <stdbool.h>

#include "database.h"
#include "mariadb_host.h"
#include "support/database_cases.h"

#define FIXTURE_LINKS_MAX 4

struct fixture_link {
    struct database_link *link;
    bool opened, failed, closed;
    bool ended; /* either of opened and failed */
    int exit_code;
    char message[1024];
    size_t changes; /* catalog_changed, how often and the last */
    int64_t changed;
    size_t catalog_done;
};

struct fixture {
    struct mariadb_host real;
    struct database_link_config link_config; /* may be changed before fixture_start */
    struct fixture_link links[FIXTURE_LINKS_MAX];
    struct database_link *link; /* the first one's */
    MYSQL *root;
    const char *name;  /* of the database */
    char answer[2048]; /* of fixture_sql */
    size_t completed, ready_for_more;
};

/* cmocka set-up and tear-down: an empty database, nothing open; everything closed. */
int fixture_set_up(void **state);
int fixture_tear_down(void **state);

/* "pool_max" and its text; before fixture_start. */
void fixture_option(struct fixture *fixture, const char *name, const char *text);
/* Creates and starts link number `index`; fixture_wait_started tells whether it has opened. */
void fixture_start(struct fixture *fixture, size_t index);
bool fixture_wait_started(struct fixture *fixture, size_t index);
/* Both for the first one, asserting that it opens. */
void fixture_open(struct fixture *fixture);
void fixture_close(struct fixture *fixture, size_t index);

/* Runs the loop until *flag; fails the test after 20 s. */
void fixture_run_until(struct fixture *fixture, const bool *flag);
void fixture_run_ms(struct fixture *fixture, uint64_t milliseconds);

/* Another root's connection, in the test's database; mysql_close when done. */
MYSQL *fixture_connect_root(struct fixture *fixture);
/* The same of the user that the links are. */
MYSQL *fixture_connect_user(void);
/* As root, in the test's database; blocks. First column of the last row, "" for none. Fails the
 * test on an error. */
const char *fixture_sql(struct fixture *fixture, const char *sql);
int64_t fixture_integer(struct fixture *fixture, const char *sql);

/* Submits to a link's catalog; op->state is DONE once completed. */
void fixture_submit(struct fixture *fixture, size_t index, struct resv_op *op);
enum resv_outcome fixture_finish(struct fixture *fixture, struct resv_op *op);
/* Both, with the first link. */
enum resv_outcome fixture_catalog(struct fixture *fixture, struct resv_op *op);
enum resv_outcome fixture_reset(struct fixture *fixture, int64_t concerts, int64_t members,
                                int64_t capacity);

/* The database cases on the first link. */
struct database_cases fixture_cases(struct fixture *fixture);

#endif
