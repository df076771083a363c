/* The embedded strategy between a host and a link that only record: the test says when time passes,
 * when the writer and the reader have finished, and what they found. */
#ifndef TESTS_EMBEDDED_FIXTURE_H
#define TESTS_EMBEDDED_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fake_host.h"
#include "resvd/strategy.h"
#include "sqlite.h"

extern const struct resv_strategy resv_strategy_embedded;

#define OPS_MAX 64

struct sqlite_link {
    struct sqlite_link_events events;
    bool writable;
    bool interrupted;
    struct sqlite_batch *batch;        /* at the writer; NULL: it is idle */
    struct sqlite_lookups *lookups[2]; /* at the reader, first come first */
    size_t lookups_count;
    size_t batches; /* so far */
};

struct embedded_fixture {
    struct resv_host host;
    void *instance;
    struct resv_op ops[OPS_MAX];
    size_t ops_count;
};

extern struct sqlite_link the_link;

/* Opened, started and ready. */
int embedded_set_up(void **state);
/* Drained (unless the test did) and closed. */
int embedded_tear_down(void **state);

/* Submits; asserts that it was taken. The operation stays in the fixture. */
struct resv_op *submit_reserve(struct embedded_fixture *fixture, int64_t concert_id,
                               int64_t member_id, int64_t quantity);
struct resv_op *submit_keyed(struct embedded_fixture *fixture, int64_t concert_id,
                             int64_t member_id, int64_t quantity);
struct resv_op *submit_kind(struct embedded_fixture *fixture, enum resv_op_kind kind);
/* Submits and gives what submit said. */
bool try_submit(struct embedded_fixture *fixture, struct resv_op **op);

/* The flush point of a loop turn. */
void flush(struct embedded_fixture *fixture);
/* The writer has committed its batch: all granted or released, `remaining` seats are left of
 * concert_id (0: no concert was touched). Then a flush. */
void commit(struct embedded_fixture *fixture, int64_t concert_id, int64_t remaining);
/* The writer's commit has failed: all items have this outcome. Then a flush. */
void commit_fails(struct embedded_fixture *fixture, enum resv_outcome outcome);
/* The reader has finished its first message: nothing found but that members exist or not. */
void read_nothing(struct embedded_fixture *fixture, bool members_exist);
/* The same, but the first item's row is there. */
void read_row(struct embedded_fixture *fixture, struct resv_reservation row);
/* Makes the concert sold out and member 1 known, by a batch. */
void sell_out(struct embedded_fixture *fixture, int64_t concert_id);

#endif
