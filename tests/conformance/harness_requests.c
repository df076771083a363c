/* The conformance harness as core drives a strategy: requests through the dispatcher. */
#include "harness_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "op/catalog_request.h"

#define CONCERTS_SOLD_MAX 32 /* more concerts than any test sells from; their ids are the first */

void make_id(struct harness *harness, struct resv_id *id)
{
    resv_random_bytes(harness->host, id->bytes, RESV_ID_SIZE);
    id->bytes[6] = (uint8_t)((id->bytes[6] & 0x0f) | 0x70);
    id->bytes[8] = (uint8_t)((id->bytes[8] & 0x3f) | 0x80);
}

static struct harness *harness_of_gone; /* cmocka runs one test at a time */

/* No audit shows that a release is still to be applied. */
static void remember_release(struct harness *harness, const struct resv_id *id)
{
    size_t size = (harness->released_count + 1) * sizeof harness->released[0];
    harness->released = realloc(harness->released, size);
    assert_non_null(harness->released);
    harness->released[harness->released_count++] = *id;
}

static void on_done(struct resv_op *op)
{
    struct request *request = op->client;
    if (request == NULL) {
        harness_of_gone->done_without_client++;
        return;
    }
    request->op = NULL;
    request->outcome = op->outcome;
    request->reservation = op->reservation;
    if (op->catalog != NULL) { /* the dispatcher frees what we leave there */
        request->catalog = *op->catalog;
        *op->catalog = (struct resv_catalog_request){0};
    }
    if (op->outcome == RESV_RELEASE_ACCEPTED)
        remember_release(request->harness, &op->id);
    request->completions++;
    assert_int_equal(request->completions, 1);
}

static struct resv_op *take(struct harness *harness, struct request *request,
                            enum resv_op_kind kind)
{
    struct resv_op *op = dispatcher_take(harness->dispatcher, kind);
    request->harness = harness_of_gone = harness;
    request->op = op;
    request->kind = kind;
    request->completions = 0;
    return op;
}

static void submit(struct harness *harness, struct request *request)
{
    dispatcher_submit(harness->dispatcher, request->op, request, on_done);
    assert_int_equal(request->completions, 0); /* never from inside */
}

bool request_reserve(struct harness *harness, struct request *request, const struct resv_id *key,
                     int64_t concert_id, int64_t member_id, int64_t quantity)
{
    struct resv_op *op = take(harness, request, RESV_OP_RESERVE);
    if (op == NULL)
        return false;
    if (key != NULL)
        op->id = *key;
    else
        make_id(harness, &op->id);
    op->keyed = key != NULL;
    op->concert_id = concert_id;
    op->member_id = member_id;
    op->quantity = quantity;
    request->id = op->id;
    submit(harness, request);
    return true;
}

bool request_of_id(struct harness *harness, struct request *request, enum resv_op_kind kind,
                   const struct resv_id *id)
{
    struct resv_op *op = take(harness, request, kind);
    if (op == NULL)
        return false;
    op->id = *id;
    request->id = *id;
    submit(harness, request);
    return true;
}

bool request_catalog(struct harness *harness, struct request *request, enum resv_op_kind kind,
                     int64_t concert_id, int64_t member_id)
{
    struct resv_op *op = take(harness, request, kind);
    if (op == NULL)
        return false;
    op->concert_id = concert_id;
    op->member_id = member_id;
    op->catalog = catalog_request_create();
    assert_non_null(op->catalog);
    *op->catalog = request->catalog;
    submit(harness, request);
    return true;
}

void request_free(struct request *request)
{
    free(request->catalog.concerts);
    free(request->catalog.members);
    free(request->catalog.audit);
    free(request->catalog.letters);
    request->catalog = (struct resv_catalog_request){0};
}

void request_client_gone(struct request *request)
{
    struct resv_op *op = request->op;
    if (op == NULL)
        return;
    request->op = NULL;
    dispatcher_client_gone(request->harness->dispatcher, op);
}

/* --- whole steps
 * ---------------------------------------------------------------------------------- */

enum resv_outcome reserve(struct harness *harness, struct request *request,
                          const struct resv_id *key, int64_t concert_id, int64_t member_id,
                          int64_t quantity)
{
    uint64_t give_up_ns = uv_hrtime() + WATCHDOG_MS * 1000000ULL;
    for (;;) {
        assert_true(request_reserve(harness, request, key, concert_id, member_id, quantity));
        harness_run_until_idle(harness);
        assert_int_equal(request->completions, 1);
        if (request->outcome != RESV_UNAVAILABLE || !harness_strategy()->asynchronous ||
            uv_hrtime() > give_up_ns)
            return request->outcome;
        uv_sleep(2);
    }
}

enum resv_outcome release(struct harness *harness, const struct resv_id *id)
{
    struct request request = {0};
    assert_true(request_of_id(harness, &request, RESV_OP_RELEASE, id));
    harness_run_until_idle(harness);
    assert_int_equal(request.completions, 1);
    return request.outcome;
}

enum resv_outcome look_up(struct harness *harness, const struct resv_id *id,
                          struct resv_reservation *reservation)
{
    struct request request = {0};
    assert_true(request_of_id(harness, &request, RESV_OP_LOOKUP, id));
    harness_run_until_idle(harness);
    assert_int_equal(request.completions, 1);
    if (reservation != NULL)
        *reservation = request.reservation;
    return request.outcome;
}

/* By asking for more than there is. */
static void open_gates(struct harness *harness, int64_t concerts, int64_t members, int64_t capacity)
{
    struct request request = {0};
    if (!harness_strategy()->asynchronous || members == 0 || capacity == RESV_INTEGER_MAX)
        return;
    for (int64_t id = 1; id <= concerts && id <= CONCERTS_SOLD_MAX; id++)
        assert_int_equal(reserve(harness, &request, NULL, id, 1, RESV_INTEGER_MAX), RESV_SOLD_OUT);
}

void reset(struct harness *harness, int64_t concerts, int64_t members, int64_t capacity)
{
    struct request request = {.catalog = {.reset_concerts = concerts,
                                          .reset_members = members,
                                          .reset_capacity = capacity}};
    assert_true(request_catalog(harness, &request, RESV_OP_RESET, 0, 0));
    harness_run_until_idle(harness);
    assert_int_equal(request.outcome, RESV_STORED);
    request_free(&request);
    open_gates(harness, concerts, members, capacity);
}

struct resv_concert get_concert(struct harness *harness, int64_t concert_id)
{
    struct request request = {0};
    assert_true(request_catalog(harness, &request, RESV_OP_CONCERT_GET, concert_id, 0));
    harness_run_until_idle(harness);
    assert_int_equal(request.outcome, RESV_FOUND);
    assert_non_null(request.catalog.concerts);
    struct resv_concert concert = request.catalog.concerts[0];
    assert_int_equal(concert.id, concert_id);
    request_free(&request);
    return concert;
}

enum resv_outcome reconcile(struct harness *harness, int64_t concert_id,
                            struct resv_audit_line *line)
{
    struct request request = {0};
    assert_true(request_catalog(harness, &request, RESV_OP_RECONCILE, concert_id, 0));
    harness_run_until_idle(harness);
    if (request.outcome == RESV_STORED) {
        assert_int_equal(request.catalog.audit_count, 1);
        *line = request.catalog.audit[0];
        assert_int_equal(line->concert_id, concert_id);
    }
    request_free(&request);
    return request.outcome;
}

enum resv_outcome update_concert(struct harness *harness, struct resv_concert *concert,
                                 unsigned fields)
{
    struct request request = {.catalog = {.count = 1, .fields = fields}};
    struct resv_audit_line line = {0};
    request.catalog.concerts = malloc(sizeof *concert);
    assert_non_null(request.catalog.concerts);
    request.catalog.concerts[0] = *concert;
    assert_true(request_catalog(harness, &request, RESV_OP_CONCERT_UPDATE, concert->id, 0));
    harness_run_until_idle(harness);
    if (request.outcome == RESV_STORED) {
        *concert = request.catalog.concerts[0];
        if (harness_strategy()->asynchronous && (fields & RESV_CONCERT_MEMBER_LIMIT) != 0)
            assert_int_equal(reconcile(harness, concert->id, &line), RESV_STORED);
    }
    request_free(&request);
    return request.outcome;
}

static void check_line(const struct resv_audit_line *line)
{
    const bool asynchronous = harness_strategy()->asynchronous;
    assert_true(asynchronous || (line->stock == -1 && line->pending == -1));
    assert_int_equal(line->stock >= 0, line->pending >= 0);
    if (!harness_strategy()->may_oversell && !asynchronous) {
        assert_int_equal(line->sold, line->live);
        assert_true(line->sold >= 0 && line->sold <= line->capacity);
    }
}

/* Of an asynchronous strategy, whose gate is closed: nobody knows what is pending there. */
static bool is_closed(const struct resv_audit_line *line)
{
    return harness_strategy()->asynchronous && line->stock < 0 &&
           line->concert_id <= CONCERTS_SOLD_MAX;
}

/* True: consistent, and nothing is pending. Else `closed` may be a concert whose gate is. */
static bool audit_once(struct harness *harness, int64_t concert_id, struct resv_audit_line *line,
                       int64_t *closed)
{
    struct request request = {0};
    assert_true(request_catalog(harness, &request, RESV_OP_AUDIT, 0, 0));
    harness_run_until_idle(harness);
    assert_int_equal(request.outcome, RESV_FOUND);
    bool consistent = request.catalog.audit_consistent;
    bool all_consistent = true;
    bool pending = false;
    bool found = false;
    *closed = 0;
    for (size_t i = 0; i < request.catalog.audit_count; i++) {
        const struct resv_audit_line *each = &request.catalog.audit[i];
        all_consistent = all_consistent && each->consistent;
        pending = pending || each->pending > 0 || is_closed(each);
        if (is_closed(each))
            *closed = each->concert_id;
        if (line != NULL && each->concert_id == concert_id) {
            *line = *each;
            found = true;
        }
        check_line(each);
    }
    assert_int_equal(consistent, all_consistent);
    assert_true(line == NULL || found);
    request_free(&request);
    return consistent && !pending;
}

static bool is_live(struct harness *harness, const struct resv_id *id)
{
    struct resv_reservation found = {0};
    return look_up(harness, id, &found) == RESV_FOUND &&
           (found.status == RESV_STATUS_PENDING || found.status == RESV_STATUS_CONFIRMED);
}

static void settle_releases(struct harness *harness, uint64_t give_up_ns)
{
    for (size_t i = 0; i < harness->released_count; i++) {
        while (is_live(harness, &harness->released[i])) {
            if (uv_hrtime() > give_up_ns)
                fail_msg("an accepted release is not applied");
            uv_sleep(1);
        }
    }
    harness->released_count = 0;
}

void settle(struct harness *harness)
{
    uint64_t give_up_ns = uv_hrtime() + WATCHDOG_MS * 1000000ULL;
    struct resv_audit_line line;
    int64_t closed;
    settle_releases(harness, give_up_ns);
    while (!audit_once(harness, 0, NULL, &closed)) {
        if (!harness_strategy()->asynchronous || uv_hrtime() > give_up_ns)
            fail_msg("the audit says inconsistent");
        if (closed != 0)
            assert_int_equal(reconcile(harness, closed, &line), RESV_STORED);
        else
            uv_sleep(5);
    }
}

struct resv_audit_line audit_of(struct harness *harness, int64_t concert_id)
{
    struct resv_audit_line line = {0};
    int64_t closed;
    settle(harness);
    audit_once(harness, concert_id, &line, &closed);
    return line;
}
