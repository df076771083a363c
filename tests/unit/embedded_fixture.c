/* The embedded strategy between a host and a link that only record. */
#include "embedded_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct sqlite_link the_link;

/* --- the link ----------------------------------------------------------------------------------
 */

const struct resv_metric_table sqlite_link_metrics;

struct sqlite_link *sqlite_link_create(struct resv_host *host,
                                       const struct sqlite_link_config *config,
                                       const struct sqlite_link_events *events)
{
    (void)host;
    assert_string_equal(config->file, "resvd.db");
    the_link = (struct sqlite_link){.events = *events, .writable = true};
    return &the_link;
}

void sqlite_link_start(struct sqlite_link *link)
{
    link->events.opened(link->events.data);
}

void sqlite_link_close(struct sqlite_link *link)
{
    if (link->batch != NULL) { /* finishes what it has */
        struct sqlite_batch *batch = link->batch;
        link->batch = NULL;
        batch->committed = true;
        batch->done(batch);
    }
    while (link->lookups_count > 0) {
        struct sqlite_lookups *lookups = link->lookups[--link->lookups_count];
        lookups->done(lookups);
    }
    link->events.closed(link->events.data);
}

void sqlite_link_interrupt(struct sqlite_link *link)
{
    link->interrupted = true;
}

bool sqlite_link_writable(const struct sqlite_link *link)
{
    return link->writable;
}

struct resv_catalog *sqlite_link_catalog(struct sqlite_link *link)
{
    (void)link;
    return NULL;
}

size_t sqlite_link_catalog_under_way(const struct sqlite_link *link)
{
    (void)link;
    return 0;
}

void sqlite_link_apply(struct sqlite_link *link, struct sqlite_batch *batch)
{
    assert_null(link->batch); /* one at a time */
    assert_true(batch->count > 0);
    link->batch = batch;
    link->batches++;
    for (size_t i = 0; i < batch->count; i++)
        batch->items[i].outcome =
            batch->items[i].kind == SQLITE_ITEM_RESERVE ? RESV_GRANTED : RESV_RELEASED;
}

void sqlite_link_look_up(struct sqlite_link *link, struct sqlite_lookups *lookups)
{
    assert_true(link->lookups_count < 2);
    assert_true(lookups->count > 0);
    link->lookups[link->lookups_count++] = lookups;
}

/* --- steps -------------------------------------------------------------------------------------
 */

int embedded_set_up(void **state)
{
    struct embedded_fixture *fixture = calloc(1, sizeof *fixture);
    fake_host_init(&fixture->host);
    fake_host_option(&fixture->host, "batch_max", "4");
    fake_host_option(&fixture->host, "queue_max", "10");
    assert_int_equal(resv_strategy_embedded.open(&fixture->host, &fixture->instance), 0);
    resv_strategy_embedded.start(fixture->instance);
    assert_int_equal(fixture->host.started, 1);
    *state = fixture;
    return 0;
}

int embedded_tear_down(void **state)
{
    struct embedded_fixture *fixture = *state;
    if (fixture->host.drained == 0) {
        resv_strategy_embedded.drain(fixture->instance, 0);
        fake_host_advance(&fixture->host, 0);
    }
    assert_int_equal(fixture->host.drained, 1);
    resv_strategy_embedded.close(fixture->instance);
    assert_int_equal(fixture->host.closed, 1);
    assert_null(fixture->host.deferred_first);
    assert_int_equal(fake_host_timers(&fixture->host), 0);
    for (size_t i = 0; i < fixture->ops_count; i++) {
        assert_int_not_equal(fixture->ops[i].state, RESV_OP_SUBMITTED);
        free(fixture->ops[i].strategy_private);
    }
    free(fixture);
    return 0;
}

static struct resv_op *new_op(struct embedded_fixture *fixture, enum resv_op_kind kind)
{
    assert_true(fixture->ops_count < OPS_MAX);
    struct resv_op *op = &fixture->ops[fixture->ops_count++];
    op->kind = kind;
    op->id.bytes[0] = (uint8_t)fixture->ops_count;
    op->strategy_private = calloc(1, resv_strategy_embedded.op_private_size);
    return op;
}

static bool submit(struct embedded_fixture *fixture, struct resv_op *op)
{
    op->state = RESV_OP_SUBMITTED;
    fixture->host.inside = true;
    bool taken = resv_strategy_embedded.submit(fixture->instance, op);
    fixture->host.inside = false;
    if (!taken)
        op->state = RESV_OP_QUEUED;
    return taken;
}

bool try_submit(struct embedded_fixture *fixture, struct resv_op **op)
{
    *op = new_op(fixture, RESV_OP_RESERVE);
    (*op)->concert_id = (*op)->member_id = (*op)->quantity = 1;
    return submit(fixture, *op);
}

struct resv_op *submit_reserve(struct embedded_fixture *fixture, int64_t concert_id,
                               int64_t member_id, int64_t quantity)
{
    struct resv_op *op = new_op(fixture, RESV_OP_RESERVE);
    op->concert_id = concert_id;
    op->member_id = member_id;
    op->quantity = quantity;
    assert_true(submit(fixture, op));
    return op;
}

struct resv_op *submit_keyed(struct embedded_fixture *fixture, int64_t concert_id,
                             int64_t member_id, int64_t quantity)
{
    struct resv_op *op = new_op(fixture, RESV_OP_RESERVE);
    op->keyed = true;
    op->concert_id = concert_id;
    op->member_id = member_id;
    op->quantity = quantity;
    assert_true(submit(fixture, op));
    return op;
}

struct resv_op *submit_kind(struct embedded_fixture *fixture, enum resv_op_kind kind)
{
    struct resv_op *op = new_op(fixture, kind);
    assert_true(submit(fixture, op));
    return op;
}

void flush(struct embedded_fixture *fixture)
{
    fake_host_flush(&fixture->host);
}

static void finish_batch(struct embedded_fixture *fixture)
{
    struct sqlite_batch *batch = the_link.batch;
    the_link.batch = NULL;
    batch->done(batch);
    flush(fixture);
}

void commit(struct embedded_fixture *fixture, int64_t concert_id, int64_t remaining)
{
    struct sqlite_batch *batch = the_link.batch;
    assert_non_null(batch);
    batch->committed = true;
    batch->concerts_count = concert_id != 0;
    batch->concerts[0] =
        (struct sqlite_concert_seats){.concert_id = concert_id, .remaining = remaining};
    finish_batch(fixture);
}

void commit_fails(struct embedded_fixture *fixture, enum resv_outcome outcome)
{
    struct sqlite_batch *batch = the_link.batch;
    assert_non_null(batch);
    batch->committed = false;
    batch->concerts_count = 0;
    for (size_t i = 0; i < batch->count; i++)
        batch->items[i].outcome = outcome;
    finish_batch(fixture);
}

static void finish_lookups(struct embedded_fixture *fixture)
{
    struct sqlite_lookups *lookups = the_link.lookups[0];
    the_link.lookups[0] = the_link.lookups[1];
    the_link.lookups_count--;
    lookups->done(lookups);
    flush(fixture);
}

void read_nothing(struct embedded_fixture *fixture, bool members_exist)
{
    assert_true(the_link.lookups_count > 0);
    for (size_t i = 0; i < the_link.lookups[0]->count; i++) {
        struct sqlite_lookup *item = &the_link.lookups[0]->items[i];
        item->member_exists = members_exist && item->member_id != 0;
    }
    finish_lookups(fixture);
}

void read_row(struct embedded_fixture *fixture, struct resv_reservation row)
{
    assert_true(the_link.lookups_count > 0);
    struct sqlite_lookup *item = &the_link.lookups[0]->items[0];
    assert_true(item->want_reservation);
    item->found = true;
    item->reservation = row;
    item->member_exists = true;
    finish_lookups(fixture);
}

void sell_out(struct embedded_fixture *fixture, int64_t concert_id)
{
    struct resv_op *last = submit_reserve(fixture, concert_id, 1, 1);
    flush(fixture);
    commit(fixture, concert_id, 0);
    assert_int_equal(last->outcome, RESV_GRANTED);
    assert_null(the_link.batch);
}
