/* A SQLite link on a real file and loop, with a host that only records. */
#include "sqlite_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#define WAIT_MS_MAX 20000

/* --- the host --------------------------------------------------------------------------------- */

uint64_t resv_now_ns(struct resv_host *host)
{
    (void)host;
    return uv_hrtime();
}

int64_t resv_wall_ms(struct resv_host *host)
{
    (void)host;
    return 1700000000000;
}

void resv_log(struct resv_host *host, enum resv_log_level level, const char *event, ...)
{
    (void)host;
    (void)level;
    (void)event;
}

void resv_host_health(struct resv_host *host, const char *component, enum resv_health_state state,
                      uint64_t latency_ns, const char *detail)
{
    (void)latency_ns;
    assert_string_equal(component, "sqlite");
    host->health = state;
    snprintf(host->detail, sizeof host->detail, "%s", detail == NULL ? "" : detail);
}

struct uv_loop_s *resv_host_loop(struct resv_host *host)
{
    return &host->loop;
}

void resv_metric_add(struct resv_host *host, const struct resv_metric_table *table, size_t index,
                     uint64_t amount)
{
    (void)host;
    (void)amount;
    assert_true(index < table->count);
}

void resv_metric_set(struct resv_host *host, const struct resv_metric_table *table, size_t index,
                     int64_t value)
{
    resv_metric_add(host, table, index, (uint64_t)value);
}

void resv_metric_observe(struct resv_host *host, const struct resv_metric_table *table,
                         size_t index, uint64_t value)
{
    resv_metric_add(host, table, index, value);
}

void resv_host_ready_for_more(struct resv_host *host)
{
    host->ready_for_more++;
}

void resv_op_complete(struct resv_host *host, struct resv_op *op, enum resv_outcome outcome)
{
    (void)host;
    assert_int_equal(op->state, RESV_OP_SUBMITTED);
    op->state = RESV_OP_DONE;
    op->outcome = outcome;
}

/* --- the loop --------------------------------------------------------------------------------- */

static void too_long(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

void fixture_run_until(struct fixture *fixture, const bool *flag)
{
    bool late = false;
    uv_timer_t timer;
    uv_timer_init(&fixture->host.loop, &timer);
    timer.data = &late;
    uv_timer_start(&timer, too_long, WAIT_MS_MAX, 0);
    while (!*flag && !late)
        uv_run(&fixture->host.loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&fixture->host.loop, UV_RUN_NOWAIT);
    assert_false(late);
}

static void tick(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

void fixture_run_ms(struct fixture *fixture, uint64_t milliseconds)
{
    bool passed = false;
    uv_timer_t timer;
    uv_timer_init(&fixture->host.loop, &timer);
    timer.data = &passed;
    uv_timer_start(&timer, tick, milliseconds, 0);
    fixture_run_until(fixture, &passed);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&fixture->host.loop, UV_RUN_NOWAIT);
}

void fixture_run_until_health(struct fixture *fixture, enum resv_health_state health)
{
    for (int rounds = 0; fixture->host.health != health; rounds++) {
        fixture_run_ms(fixture, 5);
        assert_true(rounds < WAIT_MS_MAX / 5);
    }
}

/* --- the link --------------------------------------------------------------------------------- */

static void on_opened(void *data)
{
    ((struct fixture *)data)->opened = true;
}

static void on_failed(void *data, int exit_code, const char *message)
{
    struct fixture *fixture = data;
    fixture->failed = true;
    fixture->exit_code = exit_code;
    snprintf(fixture->message, sizeof fixture->message, "%s", message);
}

static void on_writable_changed(void *data)
{
    ((struct fixture *)data)->writable_changes++;
}

static void on_catalog_changed(void *data, int64_t concert_id)
{
    struct fixture *fixture = data;
    fixture->concert_changed = concert_id;
    if (concert_id == 0)
        fixture->everything_changes++;
}

static void on_catalog_done(void *data)
{
    (void)data;
}

static void on_closed(void *data)
{
    ((struct fixture *)data)->closed = true;
}

int fixture_set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    strcpy(fixture->folder, "/tmp/resvd-test-XXXXXX");
    if (mkdtemp(fixture->folder) == NULL)
        return -1;
    snprintf(fixture->file, sizeof fixture->file, "%s/seats.db", fixture->folder);
    fixture->config = (struct sqlite_link_config){
        .file = fixture->file,
        .setting = "[strategy.embedded] file",
        .batch_max = 1000,
        .catalog_max = 4,
        .cache_bytes = 4 << 20,
        .wal_max_bytes = 1 << 20,
    };
    *state = fixture;
    return 0;
}

int fixture_tear_down(void **state)
{
    struct fixture *fixture = *state;
    if (fixture->link != NULL)
        fixture_close(fixture);
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", fixture->folder);
    int result = system(command);
    free(fixture);
    return result;
}

bool fixture_start(struct fixture *fixture)
{
    const struct sqlite_link_events events = {
        .data = fixture,
        .opened = on_opened,
        .open_failed = on_failed,
        .writable_changed = on_writable_changed,
        .catalog_changed = on_catalog_changed,
        .catalog_done = on_catalog_done,
        .closed = on_closed,
    };
    fixture->opened = fixture->failed = fixture->closed = false;
    assert_int_equal(uv_loop_init(&fixture->host.loop), 0);
    fixture->link = sqlite_link_create(&fixture->host, &fixture->config, &events);
    assert_non_null(fixture->link);
    sqlite_link_start(fixture->link);
    while (!fixture->opened && !fixture->failed)
        uv_run(&fixture->host.loop, UV_RUN_ONCE);
    return fixture->opened;
}

void fixture_open(struct fixture *fixture, int64_t capacity)
{
    if (!fixture_start(fixture))
        fail_msg("did not open: %s", fixture->message);
    struct resv_catalog_request request = {
        .reset_concerts = 3, .reset_members = 10, .reset_capacity = capacity};
    struct resv_op reset = {.kind = RESV_OP_RESET, .catalog = &request};
    assert_int_equal(fixture_catalog(fixture, &reset), RESV_STORED);
}

void fixture_close(struct fixture *fixture)
{
    sqlite_link_close(fixture->link);
    fixture->link = NULL;
    fixture_run_until(fixture, &fixture->closed);
    assert_int_equal(uv_loop_close(&fixture->host.loop), 0);
}

/* --- batches, lookups, catalog ---------------------------------------------------------------- */

struct sqlite_item item_reserve(struct fixture *fixture, int64_t concert_id, int64_t member_id)
{
    struct sqlite_item item = {
        .kind = SQLITE_ITEM_RESERVE,
        .concert_id = concert_id,
        .member_id = member_id,
        .quantity = 1,
        .outcome = RESV_OUTCOME_COUNT,
    };
    item.id.bytes[0] = 0xab;
    uint32_t number = ++fixture->next_id; /* loops that wait for a state make many of them */
    memcpy(item.id.bytes + 12, &number, sizeof number);
    return item;
}

struct sqlite_item item_release(const struct sqlite_item *reserved)
{
    return (struct sqlite_item){
        .kind = SQLITE_ITEM_RELEASE, .id = reserved->id, .outcome = RESV_OUTCOME_COUNT};
}

static void batch_done(struct sqlite_batch *batch)
{
    *(bool *)batch->data = true;
}

size_t fixture_apply_seats(struct fixture *fixture, struct sqlite_item *items, size_t count,
                           struct sqlite_concert_seats *seats)
{
    bool done = false;
    struct sqlite_batch batch = {.data = &done,
                                 .done = batch_done,
                                 .wall_ms = 1700000000123,
                                 .items = items,
                                 .count = count,
                                 .concerts = seats};
    sqlite_link_apply(fixture->link, &batch);
    fixture_run_until(fixture, &done);
    return batch.committed ? batch.concerts_count : SIZE_MAX;
}

bool fixture_apply(struct fixture *fixture, struct sqlite_item *items, size_t count)
{
    struct sqlite_concert_seats *seats = calloc(count, sizeof *seats);
    size_t touched = fixture_apply_seats(fixture, items, count, seats);
    free(seats);
    return touched != SIZE_MAX;
}

static void lookups_done(struct sqlite_lookups *lookups)
{
    *(bool *)lookups->data = true;
}

void fixture_look_up(struct fixture *fixture, struct sqlite_lookup *items, size_t count)
{
    bool done = false;
    struct sqlite_lookups lookups = {
        .data = &done, .done = lookups_done, .items = items, .count = count};
    sqlite_link_look_up(fixture->link, &lookups);
    fixture_run_until(fixture, &done);
}

enum resv_outcome fixture_catalog(struct fixture *fixture, struct resv_op *op)
{
    struct resv_catalog *catalog = sqlite_link_catalog(fixture->link);
    op->state = RESV_OP_SUBMITTED;
    assert_true(catalog->submit(catalog->self, op));
    assert_int_equal(op->state, RESV_OP_SUBMITTED);
    while (op->state == RESV_OP_SUBMITTED)
        uv_run(&fixture->host.loop, UV_RUN_ONCE);
    return op->outcome;
}

void fixture_set_limit(struct fixture *fixture, int64_t concert_id, int64_t limit)
{
    struct resv_concert concert = {.member_limit = limit};
    struct resv_catalog_request request = {
        .concerts = &concert, .count = 1, .fields = RESV_CONCERT_MEMBER_LIMIT};
    struct resv_op update = {
        .kind = RESV_OP_CONCERT_UPDATE, .concert_id = concert_id, .catalog = &request};
    assert_int_equal(fixture_catalog(fixture, &update), RESV_STORED);
    assert_int_equal(concert.member_limit, limit);
    assert_int_equal(fixture->concert_changed, concert_id);
}

int64_t fixture_sold(struct fixture *fixture, int64_t concert_id)
{
    struct resv_catalog_request request = {0};
    struct resv_op get = {
        .kind = RESV_OP_CONCERT_GET, .concert_id = concert_id, .catalog = &request};
    assert_int_equal(fixture_catalog(fixture, &get), RESV_FOUND);
    int64_t sold = request.concerts[0].sold;
    free(request.concerts);
    return sold;
}

void fixture_audit(struct fixture *fixture)
{
    struct resv_catalog_request request = {0};
    struct resv_op op = {.kind = RESV_OP_AUDIT, .catalog = &request};
    assert_int_equal(fixture_catalog(fixture, &op), RESV_FOUND);
    for (size_t i = 0; i < request.audit_count; i++) {
        assert_true(request.audit[i].consistent);
        assert_int_equal(request.audit[i].sold, request.audit[i].live);
        assert_int_equal(request.audit[i].stock, -1);
        assert_int_equal(request.audit[i].pending, -1);
    }
    assert_true(request.audit_consistent);
    free(request.audit);
}

int64_t fixture_sql(struct fixture *fixture, const char *sql)
{
    sqlite3 *handle = NULL;
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_open(fixture->file, &handle), SQLITE_OK);
    if (sqlite3_prepare_v2(handle, sql, -1, &statement, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(handle));
    int64_t value = 0;
    if (sqlite3_step(statement) == SQLITE_ROW)
        value = sqlite3_column_int64(statement, 0);
    assert_int_equal(sqlite3_finalize(statement), SQLITE_OK);
    sqlite3_close(handle);
    return value;
}
