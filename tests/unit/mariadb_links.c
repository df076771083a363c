/* One or more links on a real server, a real host and a real loop. */
#include "mariadb_links.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- root --------------------------------------------------------------------------------------
 */

const char *fixture_sql(struct fixture *fixture, const char *sql)
{
    MYSQL *root = fixture->root;
    fixture->answer[0] = '\0';
    int error = mysql_query(root, sql);
    while (error == 0) {
        MYSQL_RES *rows = mysql_store_result(root);
        MYSQL_ROW row = rows == NULL ? NULL : mysql_fetch_row(rows);
        if (row != NULL)
            snprintf(fixture->answer, sizeof fixture->answer, "%s", row[0] == NULL ? "" : row[0]);
        mysql_free_result(rows);
        error = mysql_next_result(root);
    }
    if (error > 0)
        fail_msg("%s: %s", sql, mysql_error(root));
    return fixture->answer;
}

int64_t fixture_integer(struct fixture *fixture, const char *sql)
{
    return strtoll(fixture_sql(fixture, sql), NULL, 10);
}

static MYSQL *connect_root(const char *database)
{
    MYSQL *root = mysql_init(NULL);
    if (mysql_real_connect(root, NULL, "root", "", database, 0, server_setting("SOCKET"),
                           CLIENT_MULTI_STATEMENTS) == NULL)
        fail_msg("%s: %s", server_setting("SOCKET"), mysql_error(root));
    return root;
}

MYSQL *fixture_connect_root(struct fixture *fixture)
{
    return connect_root(fixture->name);
}

MYSQL *fixture_connect_user(void)
{
    MYSQL *user = mysql_init(NULL);
    if (mysql_real_connect(user, server_setting("HOST"), server_setting("USER"), "",
                           server_setting("NAME"), (unsigned)atoi(server_setting("PORT")), NULL,
                           CLIENT_MULTI_STATEMENTS) == NULL)
        fail_msg("%s: %s", server_setting("USER"), mysql_error(user));
    return user;
}

static void empty_database(struct fixture *fixture)
{
    char sql[512];
    snprintf(sql, sizeof sql, "DROP DATABASE IF EXISTS %s; CREATE DATABASE %s; USE %s",
             fixture->name, fixture->name, fixture->name);
    fixture_sql(fixture, sql);
}

/* --- the host ----------------------------------------------------------------------------------
 */

static void complete(void *data, struct resv_op *op, enum resv_outcome outcome)
{
    struct fixture *fixture = data;
    assert_int_equal(op->state, RESV_OP_SUBMITTED);
    op->state = RESV_OP_DONE;
    op->outcome = outcome;
    fixture->completed++;
}

static void ready_for_more(void *data)
{
    ((struct fixture *)data)->ready_for_more++;
}

static bool make_host(struct fixture *fixture)
{
    if (!mariadb_host_create(&fixture->real, &(struct host_events){0}))
        return false;
    host_set_start_deadline(fixture->real.host, uv_hrtime() + 10000000000ULL);
    struct host_operations operations = {
        .complete = complete, .ready_for_more = ready_for_more, .data = fixture};
    host_set_operations(fixture->real.host, &operations);
    return true;
}

void fixture_option(struct fixture *fixture, const char *name, const char *text)
{
    mariadb_host_setting(&fixture->real, name, text);
}

int fixture_set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    if (fixture == NULL || !make_host(fixture))
        return -1;
    fixture->name = server_setting("NAME");
    fixture->root = connect_root(NULL);
    empty_database(fixture);
    fixture_option(fixture, "pool_min", "1");
    fixture_option(fixture, "pool_max", "4");
    fixture_option(fixture, "lock_wait_timeout_s", "2");
    fixture->link_config = (struct database_link_config){.isolation = DATABASE_READ_COMMITTED,
                                                         .rows_max = 1000,
                                                         .steps_max = DATABASE_STEPS_MAX,
                                                         .catalog_max = 1000};
    *state = fixture;
    return 0;
}

int fixture_tear_down(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < FIXTURE_LINKS_MAX; i++) {
        if (fixture->links[i].link != NULL)
            fixture_close(fixture, i);
    }
    int busy = mariadb_host_destroy(&fixture->real);
    mysql_close(fixture->root);
    free(fixture);
    return busy;
}

/* --- the loop ----------------------------------------------------------------------------------
 */

void fixture_run_until(struct fixture *fixture, const bool *flag)
{
    mariadb_host_run_until(&fixture->real, flag);
}

void fixture_run_ms(struct fixture *fixture, uint64_t milliseconds)
{
    mariadb_host_run_ms(&fixture->real, milliseconds);
}

/* --- links -------------------------------------------------------------------------------------
 */

static void on_opened(void *data)
{
    struct fixture_link *self = data;
    assert_false(self->ended);
    self->opened = self->ended = true;
}

static void on_failed(void *data, int exit_code, const char *message)
{
    struct fixture_link *self = data;
    assert_false(self->ended);
    self->failed = self->ended = true;
    self->exit_code = exit_code;
    snprintf(self->message, sizeof self->message, "%s", message);
}

static void on_up_changed(void *data)
{
    (void)data;
}

static void on_catalog_changed(void *data, int64_t concert_id)
{
    struct fixture_link *self = data;
    self->changes++;
    self->changed = concert_id;
}

static void on_catalog_done(void *data)
{
    ((struct fixture_link *)data)->catalog_done++;
}

static void on_closed(void *data)
{
    ((struct fixture_link *)data)->closed = true;
}

void fixture_start(struct fixture *fixture, size_t index)
{
    struct fixture_link *self = &fixture->links[index];
    *self = (struct fixture_link){0};
    const struct database_link_events events = {
        .data = self,
        .opened = on_opened,
        .open_failed = on_failed,
        .up_changed = on_up_changed,
        .catalog_changed = on_catalog_changed,
        .catalog_done = on_catalog_done,
        .closed = on_closed,
    };
    self->link = database_link_create(fixture->real.host, &fixture->link_config, &events);
    assert_non_null(self->link);
    if (index == 0)
        fixture->link = self->link;
    database_link_start(self->link);
}

bool fixture_wait_started(struct fixture *fixture, size_t index)
{
    fixture_run_until(fixture, &fixture->links[index].ended);
    return fixture->links[index].opened;
}

void fixture_open(struct fixture *fixture)
{
    fixture_start(fixture, 0);
    if (!fixture_wait_started(fixture, 0))
        fail_msg("did not open: %s", fixture->links[0].message);
}

void fixture_close(struct fixture *fixture, size_t index)
{
    struct fixture_link *self = &fixture->links[index];
    struct database_link *link = self->link;
    self->link = NULL;
    database_link_close(link);
    fixture_run_until(fixture, &self->closed);
}

/* --- the catalog, the cases --------------------------------------------------------------------
 */

void fixture_submit(struct fixture *fixture, size_t index, struct resv_op *op)
{
    struct resv_catalog *catalog = database_link_catalog(fixture->links[index].link);
    op->state = RESV_OP_SUBMITTED;
    assert_true(catalog->submit(catalog->self, op));
    assert_int_equal(op->state, RESV_OP_SUBMITTED);
}

enum resv_outcome fixture_finish(struct fixture *fixture, struct resv_op *op)
{
    uint64_t give_up_ns = uv_hrtime() + 120000000000ULL; /* a large reset takes its time */
    while (op->state == RESV_OP_SUBMITTED) {
        assert_true(uv_hrtime() < give_up_ns);
        fixture_run_ms(fixture, 1);
    }
    return op->outcome;
}

enum resv_outcome fixture_catalog(struct fixture *fixture, struct resv_op *op)
{
    fixture_submit(fixture, 0, op);
    return fixture_finish(fixture, op);
}

enum resv_outcome fixture_reset(struct fixture *fixture, int64_t concerts, int64_t members,
                                int64_t capacity)
{
    struct resv_catalog_request request = {
        .reset_concerts = concerts, .reset_members = members, .reset_capacity = capacity};
    struct resv_op op = {.kind = RESV_OP_RESET, .catalog = &request};
    return fixture_catalog(fixture, &op);
}

static void cases_run_until(void *data, const bool *done)
{
    fixture_run_until(data, done);
}

static void cases_run_for_ms(void *data, uint64_t milliseconds)
{
    fixture_run_ms(data, milliseconds);
}

static enum resv_outcome cases_catalog(void *data, struct resv_op *op)
{
    return fixture_catalog(data, op);
}

struct database_cases fixture_cases(struct fixture *fixture)
{
    return (struct database_cases){
        .link = fixture->link,
        .isolation = fixture->link_config.isolation,
        .data = fixture,
        .run_until = cases_run_until,
        .run_for_ms = cases_run_for_ms,
        .catalog = cases_catalog,
    };
}
