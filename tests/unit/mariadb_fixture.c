/* A MariaDB link on a real server and a real host. */
#include "mariadb_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WAIT_MS_MAX 20000 /* of run_until_true */

struct mariadb_fixture the_database;
static unsigned turns;

/* --- the server --------------------------------------------------------------------------------
 */

long long server(const char *format, ...)
{
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    assert_in_range(length, 1, sizeof line - 2);
    line[length] = '\n';
    int control = atoi(server_setting("CONTROL"));
    assert_int_equal(write(control, line, (size_t)length + 1), length + 1);
    size_t used = 0;
    do {
        ssize_t got = read(control, line + used, 1);
        assert_int_equal(got, 1);
    } while (line[used++] != '\n' && used < sizeof line - 1);
    line[used - 1] = '\0';
    if (strncmp(line, "ok", 2) != 0)
        fail_msg("the server's keeper: %s", line);
    return strtoll(line + 2, NULL, 10);
}

/* --- the loop ----------------------------------------------------------------------------------
 */

void run_until(const bool *flag)
{
    mariadb_host_run_until(&the_database.real, flag);
}

void run_ms(uint64_t milliseconds)
{
    mariadb_host_run_ms(&the_database.real, milliseconds);
}

void run_until_true(bool (*check)(void))
{
    for (unsigned i = 0; !check(); i++) {
        assert_true(i < WAIT_MS_MAX / 5);
        run_ms(5);
    }
}

/* --- the link ----------------------------------------------------------------------------------
 */

static void on_opened(void *data)
{
    struct mariadb_fixture *fixture = data;
    fixture->opened = fixture->ended = true;
}

static void on_open_failed(void *data, int exit_code, const char *message)
{
    struct mariadb_fixture *fixture = data;
    fixture->failed = fixture->ended = true;
    fixture->exit_code = exit_code;
    snprintf(fixture->message, sizeof fixture->message, "%s", message);
}

static void on_up_changed(void *data)
{
    ((struct mariadb_fixture *)data)->up_changes++;
}

static void on_catalog_changed(void *data, int64_t concert_id)
{
    (void)data;
    (void)concert_id;
}

static void on_catalog_done(void *data)
{
    (void)data;
}

static void on_closed(void *data)
{
    ((struct mariadb_fixture *)data)->closed = true;
}

int mariadb_set_up(void **state)
{
    (void)state;
    struct mariadb_fixture *fixture = &the_database;
    memset(fixture, 0, sizeof *fixture);
    fixture->start_timeout_ms = 15000;
    turns = 0;
    const struct host_events events = {.start_failed = on_open_failed, .data = fixture};
    return mariadb_host_create(&fixture->real, &events) ? 0 : -1;
}

int mariadb_tear_down(void **state)
{
    (void)state;
    if (the_database.link != NULL)
        database_shut();
    return mariadb_host_destroy(&the_database.real);
}

void setting(const char *key, const char *value)
{
    mariadb_host_setting(&the_database.real, key, value);
}

bool database_create(void)
{
    const struct database_link_config config = {
        .isolation = DATABASE_READ_COMMITTED, .rows_max = 100, .catalog_max = 4};
    const struct database_link_events events = {
        .data = &the_database,
        .opened = on_opened,
        .open_failed = on_open_failed,
        .up_changed = on_up_changed,
        .catalog_changed = on_catalog_changed,
        .catalog_done = on_catalog_done,
        .closed = on_closed,
    };
    the_database.opened = the_database.failed = the_database.ended = false;
    the_database.closed = false;
    the_database.link = database_link_create(the_database.real.host, &config, &events);
    return the_database.link != NULL;
}

bool database_start(void)
{
    assert_true(database_create());
    host_set_start_deadline(the_database.real.host, resv_now_ns(the_database.real.host) +
                                                        the_database.start_timeout_ms * 1000000);
    database_link_start(the_database.link);
    run_until(&the_database.ended);
    return the_database.opened;
}

void database_open(void)
{
    if (!database_start())
        fail_msg("it did not open: %s", the_database.message);
}

void database_shut(void)
{
    database_link_close(the_database.link);
    the_database.link = NULL;
    run_until(&the_database.closed);
}

/* --- waits and sessions --------------------------------------------------------------------------
 */

static void on_acquired(struct database_wait *wait, struct database_session *session)
{
    struct test_wait *test = wait->data;
    assert_false(test->answered);
    test->answered = true;
    test->session = session;
    test->turn = ++turns;
}

static void on_refused(struct database_wait *wait, enum database_refusal refusal)
{
    struct test_wait *test = wait->data;
    assert_false(test->answered);
    test->answered = test->refused = true;
    test->refusal = refusal;
    test->turn = ++turns;
}

static void begin_wait(struct test_wait *wait, enum database_pool pool, bool urgent)
{
    *wait = (struct test_wait){.wait = {.pool = pool,
                                        .urgent = urgent,
                                        .data = wait,
                                        .acquired = on_acquired,
                                        .refused = on_refused}};
    database_wait(the_database.link, &wait->wait);
    assert_false(wait->answered); /* never from inside */
}

void start_wait(struct test_wait *wait, enum database_pool pool)
{
    begin_wait(wait, pool, false);
}

void start_urgent_wait(struct test_wait *wait, enum database_pool pool)
{
    begin_wait(wait, pool, true);
}

struct test_wait *wait_for(struct test_wait *wait)
{
    run_until(&wait->answered);
    return wait;
}

struct database_session *get_session(enum database_pool pool)
{
    struct test_wait wait;
    start_wait(&wait, pool);
    wait_for(&wait);
    if (wait.refused)
        fail_msg("no session: refused for %d", (int)wait.refusal);
    return wait.session;
}

/* --- statements
 * ----------------------------------------------------------------------------------- */

static void on_result(struct mariadb_query *query, size_t statement, MYSQL_RES *rows,
                      uint64_t affected_rows)
{
    struct test_query *test = query->data;
    assert_false(test->done);
    assert_int_equal(statement, test->results);
    test->results++;
    test->affected = affected_rows;
    if (rows == NULL)
        return;
    for (MYSQL_ROW row = mysql_fetch_row(rows); row != NULL; row = mysql_fetch_row(rows)) {
        test->rows++;
        test->number = row[0] == NULL ? -1 : strtoll(row[0], NULL, 10);
    }
}

static void on_done(struct mariadb_query *query)
{
    struct test_query *test = query->data;
    assert_false(test->done);
    test->done = true;
}

void start_query(struct test_query *query, struct database_session *session, const char *text,
                 uint64_t timeout_ms)
{
    *query = (struct test_query){.query = {.data = query,
                                           .timeout_ms = timeout_ms == 0 ? 5000 : timeout_ms,
                                           .result = on_result,
                                           .done = on_done}};
    assert_true(strlen(text) < sizeof query->text);
    strcpy(query->text, text);
    query->query.text = query->text;
    query->query.length = strlen(text);
    mariadb_session_query(session, &query->query);
    assert_false(query->done); /* never from inside */
}

struct test_query *finish_query(struct test_query *query)
{
    run_until(&query->done);
    return query;
}

struct test_query *run_query(struct test_query *query, struct database_session *session,
                             const char *text)
{
    start_query(query, session, text, 0);
    return finish_query(query);
}

void run_until_lost(const struct database_session *session)
{
    for (unsigned i = 0; !mariadb_session_is_lost(session); i++) {
        assert_true(i < WAIT_MS_MAX / 5);
        run_ms(5);
    }
}

void wait_until_executing(long long connection, const char *state)
{
    for (unsigned i = 0; server("sql SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE "
                                "ID=%lld AND COMMAND='Query' AND STATE LIKE '%s%%'",
                                connection, state) == 0;
         i++) {
        assert_true(i < WAIT_MS_MAX / 5);
        run_ms(5);
    }
}

long long query_number(struct database_session *session, const char *text)
{
    struct test_query query;
    run_query(&query, session, text);
    if (query.query.error != 0)
        fail_msg("%s: %u %s", text, query.query.error, query.query.message);
    return query.number;
}

/* --- what the link shows
 * -------------------------------------------------------------------------- */

const struct host_component *health(void)
{
    size_t count = 0;
    const struct host_component *components = host_components(the_database.real.host, &count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(components[i].name, "database") == 0)
            return &components[i];
    }
    fail_msg("the link has not said how it is");
    return NULL;
}

long long metric(const char *name)
{
    size_t size = 0;
    char *text = metrics_render(the_database.real.metrics, &size);
    char wanted[96];
    snprintf(wanted, sizeof wanted, "\nresvd_%s ", name);
    const char *found = strstr(text, wanted);
    if (found == NULL)
        fail_msg("no metric %s", name);
    long long value = strtoll(found + strlen(wanted), NULL, 10);
    free(text);
    return value;
}
