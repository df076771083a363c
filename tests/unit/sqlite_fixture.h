/* A SQLite link on a real file and loop, with a host that only records, for its unit tests. */
#ifndef TESTS_SQLITE_FIXTURE_H
#define TESTS_SQLITE_FIXTURE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "sqlite.h"

struct resv_host {
    uv_loop_t loop;
    enum resv_health_state health;
    char detail[256];
    size_t ready_for_more;
};

struct fixture {
    struct resv_host host;
    char folder[64];
    char file[PATH_MAX];
    struct sqlite_link *link;
    struct sqlite_link_config config;
    bool opened;
    bool failed;
    bool closed;
    int exit_code;
    char message[PATH_MAX + 512];
    size_t writable_changes;
    size_t everything_changes;
    int64_t concert_changed;
    uint32_t next_id; /* of item_reserve */
};

/* cmocka set-up and tear-down: a new folder, nothing open; everything closed and deleted. */
int fixture_set_up(void **state);
int fixture_tear_down(void **state);

/* Starts a link on fixture->file with the fixture's config; returns whether it has opened. */
bool fixture_start(struct fixture *fixture);
/* Starts, asserts that it opened, and resets to 3 concerts of `capacity` and 10 members. */
void fixture_open(struct fixture *fixture, int64_t capacity);
/* Closes the link and the loop, and asserts that nothing was left in it; another may be started. */
void fixture_close(struct fixture *fixture);

/* Runs the loop until *flag; fails the test after 20 s. */
void fixture_run_until(struct fixture *fixture, const bool *flag);
void fixture_run_ms(struct fixture *fixture, uint64_t milliseconds);
/* Runs the loop until the host was told this health. */
void fixture_run_until_health(struct fixture *fixture, enum resv_health_state health);

/* An item with an id of its own, quantity 1; keyed is false. */
struct sqlite_item item_reserve(struct fixture *fixture, int64_t concert_id, int64_t member_id);
struct sqlite_item item_release(const struct sqlite_item *reserved);
/* Applies and waits; returns batch.committed. */
bool fixture_apply(struct fixture *fixture, struct sqlite_item *items, size_t count);
/* The same, and the concerts that the batch touched (at most 16). */
size_t fixture_apply_seats(struct fixture *fixture, struct sqlite_item *items, size_t count,
                           struct sqlite_concert_seats *seats);
void fixture_look_up(struct fixture *fixture, struct sqlite_lookup *items, size_t count);
/* Submits a catalog operation and waits. */
enum resv_outcome fixture_catalog(struct fixture *fixture, struct resv_op *op);

/* Updates a concert's member limit. */
void fixture_set_limit(struct fixture *fixture, int64_t concert_id, int64_t limit);
/* Seats of a concert sold, as CONCERT_GET says. */
int64_t fixture_sold(struct fixture *fixture, int64_t concert_id);
/* Asserts that the audit finds every concert consistent. */
void fixture_audit(struct fixture *fixture);
/* Runs SQL on the file with a connection of its own, while no link has it open; one integer. */
int64_t fixture_sql(struct fixture *fixture, const char *sql);

#endif
