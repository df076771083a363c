/* The raw loop on one connection: what MariaDB gives when nothing else is done.
 *
 *   mariadb_loop SOCKET FORM ROWS_PER_TRANSACTION SECONDS FIRST_MEMBER MEMBERS CONCERTS
 *
 * The database `resvd` behind SOCKET is one that resvd has made, with concert 1 and the members in
 * it: so the work of a row is that of the strategies. FORM says how a transaction travels:
 *
 *   joined     one text: BEGIN, the conditional UPDATE, one INSERT of all rows, COMMIT
 *   text       BEGIN, SELECT … FOR UPDATE, UPDATE, INSERT, COMMIT, each a text of its own
 *   prepared   the same five, prepared; one row only
 *   insert     one text: BEGIN, one INSERT of all rows, COMMIT; nothing is sold
 *
 * Rows are of concert 1; with `insert` of the concerts 1 to CONCERTS in turn. Nobody contends, so
 * this is the most that transactions one behind the other can reach. Prints one line of JSON. */
#include <inttypes.h>
#include <mysql.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raw_loop.h"

#define ARGUMENTS    8
#define ROWS_MAX     10000
#define ROW_BYTES    160 /* of text, at most */
#define HEAD_BYTES   1024
#define CONCERTS_MAX 1000

enum form { JOINED, TEXT, PREPARED, INSERT_ONLY };

static const char *const form_names[] = {
    [JOINED] = "joined",
    [TEXT] = "text",
    [PREPARED] = "prepared",
    [INSERT_ONLY] = "insert",
};

enum statement { BEGIN, LOCK, SELL, INSERT, COMMIT, STATEMENT_COUNT };

static const char *const statement_sql[STATEMENT_COUNT] = {
    [BEGIN] = "START TRANSACTION",
    [LOCK] = "SELECT capacity, sold, member_limit FROM concerts WHERE id = 1 FOR UPDATE",
    [SELL] = "UPDATE concerts SET sold = sold + ? WHERE id = 1 AND sold + ? <= capacity",
    [INSERT] = ("INSERT INTO reservations "
                "(id, concert_id, member_id, quantity, status, created_at, updated_at) "
                "VALUES (?, 1, ?, 1, 2, ?, ?)"),
    [COMMIT] = "COMMIT",
};

struct loop {
    struct raw_loop raw;
    MYSQL *handle;
    MYSQL_STMT *prepared[STATEMENT_COUNT];
    enum form form;
    int64_t concerts;
    char *text;
    size_t text_size;
};

static void fail(const char *doing, const char *why)
{
    fprintf(stderr, "mariadb_loop: %s: %s\n", doing, why);
    exit(1);
}

static void check(struct loop *loop, int result, const char *doing)
{
    if (result != 0)
        fail(doing, mysql_error(loop->handle));
}

/* --- texts ------------------------------------------------------------------------------------ */

static size_t append_insert(struct loop *loop, size_t length)
{
    static const char digits[] = "0123456789abcdef";
    int64_t wall_ms = raw_loop_wall_ms();
    char *text = loop->text;
    length += (size_t)sprintf(text + length,
                              "INSERT INTO reservations (id, concert_id, member_id, quantity, "
                              "status, created_at, updated_at) VALUES ");
    for (int64_t i = 0; i < loop->raw.rows_per_transaction; i++) {
        unsigned char id[RAW_LOOP_ID_BYTES];
        int64_t member = raw_loop_next_member(&loop->raw);
        raw_loop_next_id(&loop->raw, wall_ms, id);
        length += (size_t)sprintf(text + length, "%s(x'", i == 0 ? "" : ",");
        for (int k = 0; k < RAW_LOOP_ID_BYTES; k++) {
            text[length++] = digits[id[k] >> 4];
            text[length++] = digits[id[k] & 15];
        }
        length +=
            (size_t)sprintf(text + length, "',%" PRId64 ",%" PRId64 ",1,2,%" PRId64 ",%" PRId64 ")",
                            1 + i % loop->concerts, member, wall_ms, wall_ms);
    }
    return length;
}

static size_t append_sell(const struct loop *loop, size_t length)
{
    return length + (size_t)sprintf(loop->text + length,
                                    "UPDATE concerts SET sold = sold + %" PRId64
                                    " WHERE id = 1 AND sold + %" PRId64 " <= capacity",
                                    loop->raw.rows_per_transaction, loop->raw.rows_per_transaction);
}

/* Sends the text and reads all of its results; how many rows its statements changed. */
static uint64_t query(struct loop *loop, const char *text, size_t length)
{
    uint64_t changed = 0;
    check(loop, mysql_real_query(loop->handle, text, (unsigned long)length), text);
    for (;;) {
        MYSQL_RES *rows = mysql_store_result(loop->handle);
        if (rows != NULL)
            mysql_free_result(rows);
        else if (mysql_field_count(loop->handle) == 0)
            changed += mysql_affected_rows(loop->handle);
        int more = mysql_next_result(loop->handle);
        if (more < 0)
            return changed;
        check(loop, more, text);
    }
}

static void joined_transaction(struct loop *loop)
{
    size_t length = (size_t)sprintf(loop->text, "START TRANSACTION;");
    length = append_sell(loop, length);
    loop->text[length++] = ';';
    length = append_insert(loop, length);
    length += (size_t)sprintf(loop->text + length, ";COMMIT");
    if (query(loop, loop->text, length) != 1 + (uint64_t)loop->raw.rows_per_transaction)
        fail("joined", "concert 1 is sold out or missing");
}

static void insert_transaction(struct loop *loop)
{
    size_t length = append_insert(loop, (size_t)sprintf(loop->text, "START TRANSACTION;"));
    length += (size_t)sprintf(loop->text + length, ";COMMIT");
    if (query(loop, loop->text, length) != (uint64_t)loop->raw.rows_per_transaction)
        fail("insert", "a concert or a member is missing");
}

static void text_transaction(struct loop *loop)
{
    query(loop, statement_sql[BEGIN], strlen(statement_sql[BEGIN]));
    query(loop, statement_sql[LOCK], strlen(statement_sql[LOCK]));
    if (query(loop, loop->text, append_sell(loop, 0)) != 1)
        fail("text", "concert 1 is sold out or missing");
    query(loop, loop->text, append_insert(loop, 0));
    query(loop, statement_sql[COMMIT], strlen(statement_sql[COMMIT]));
}

/* --- prepared --------------------------------------------------------------------------------- */

static void prepare(struct loop *loop)
{
    for (int i = 0; i < STATEMENT_COUNT; i++) {
        loop->prepared[i] = mysql_stmt_init(loop->handle);
        if (loop->prepared[i] == NULL)
            fail(statement_sql[i], "out of memory");
        if (mysql_stmt_prepare(loop->prepared[i], statement_sql[i],
                               (unsigned long)strlen(statement_sql[i])) != 0)
            fail(statement_sql[i], mysql_stmt_error(loop->prepared[i]));
    }
}

static void execute(struct loop *loop, enum statement which, MYSQL_BIND *values)
{
    MYSQL_STMT *statement = loop->prepared[which];
    if ((values != NULL && mysql_stmt_bind_param(statement, values)) ||
        mysql_stmt_execute(statement) != 0 || mysql_stmt_store_result(statement) != 0)
        fail(statement_sql[which], mysql_stmt_error(statement));
    mysql_stmt_free_result(statement);
}

static MYSQL_BIND bind_integer(int64_t *value)
{
    return (MYSQL_BIND){.buffer_type = MYSQL_TYPE_LONGLONG, .buffer = value};
}

static void prepared_transaction(struct loop *loop)
{
    int64_t wall_ms = raw_loop_wall_ms(), seats = 1, member = raw_loop_next_member(&loop->raw);
    unsigned char id[RAW_LOOP_ID_BYTES];
    unsigned long id_length = RAW_LOOP_ID_BYTES;
    raw_loop_next_id(&loop->raw, wall_ms, id);
    MYSQL_BIND sell[] = {bind_integer(&seats), bind_integer(&seats)};
    MYSQL_BIND insert[] = {
        {.buffer_type = MYSQL_TYPE_STRING,
         .buffer = id,
         .buffer_length = RAW_LOOP_ID_BYTES,
         .length = &id_length},
        bind_integer(&member),
        bind_integer(&wall_ms),
        bind_integer(&wall_ms),
    };
    execute(loop, BEGIN, NULL);
    execute(loop, LOCK, NULL);
    execute(loop, SELL, sell);
    if (mysql_stmt_affected_rows(loop->prepared[SELL]) != 1)
        fail("prepared", "concert 1 is sold out or missing");
    execute(loop, INSERT, insert);
    execute(loop, COMMIT, NULL);
}

/* --- the loop --------------------------------------------------------------------------------- */

static void transaction(void *data)
{
    struct loop *loop = data;
    switch (loop->form) {
    case JOINED:
        joined_transaction(loop);
        break;
    case TEXT:
        text_transaction(loop);
        break;
    case PREPARED:
        prepared_transaction(loop);
        break;
    case INSERT_ONLY:
        insert_transaction(loop);
        break;
    }
}

static int64_t query_integer(struct loop *loop, const char *sql)
{
    check(loop, mysql_real_query(loop->handle, sql, (unsigned long)strlen(sql)), sql);
    MYSQL_RES *rows = mysql_store_result(loop->handle);
    MYSQL_ROW row = rows == NULL ? NULL : mysql_fetch_row(rows);
    if (row == NULL || row[0] == NULL)
        fail(sql, "no result");
    int64_t value = strtoll(row[0], NULL, 10);
    mysql_free_result(rows);
    return value;
}

static void connect_to(struct loop *loop, const char *socket)
{
    loop->handle = mysql_init(NULL);
    if (loop->handle == NULL)
        fail("mysql_init", "out of memory");
    if (mysql_real_connect(loop->handle, NULL, "resvd", "", "resvd", 0, socket,
                           CLIENT_MULTI_STATEMENTS) == NULL)
        fail("connecting", mysql_error(loop->handle));
    query(loop, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", 54);
    if (loop->form == PREPARED)
        prepare(loop);
}

static bool read_arguments(struct loop *loop, int count, char **arguments, double *seconds)
{
    if (count != ARGUMENTS)
        return false;
    size_t forms = sizeof form_names / sizeof form_names[0], form = 0;
    while (form < forms && strcmp(arguments[2], form_names[form]) != 0)
        form++;
    loop->form = (enum form)form;
    *seconds = atof(arguments[4]);
    return form<forms && * seconds> 0 &&
           raw_loop_read_integer(arguments[3], 1, loop->form == PREPARED ? 1 : ROWS_MAX,
                                 &loop->raw.rows_per_transaction) &&
           raw_loop_read_integer(arguments[5], 1, INT64_MAX / 2, &loop->raw.first_member) &&
           raw_loop_read_integer(arguments[6], 1, INT64_MAX / 2, &loop->raw.members) &&
           raw_loop_read_integer(arguments[7], 1, loop->form == INSERT_ONLY ? CONCERTS_MAX : 1,
                                 &loop->concerts);
}

int main(int count, char **arguments)
{
    struct loop loop = {.raw = raw_loop_new()};
    double seconds;
    if (!read_arguments(&loop, count, arguments, &seconds)) {
        fprintf(stderr, "usage: mariadb_loop SOCKET joined|text|prepared|insert "
                        "ROWS_PER_TRANSACTION SECONDS FIRST_MEMBER MEMBERS CONCERTS\n");
        return 64;
    }
    loop.text = malloc(HEAD_BYTES + ROW_BYTES * (size_t)loop.raw.rows_per_transaction);
    if (loop.text == NULL)
        fail("malloc", "out of memory");
    connect_to(&loop, arguments[1]);
    int64_t rows_before = query_integer(&loop, "SELECT COUNT(*) FROM reservations");

    struct raw_loop_times times = raw_loop_run(seconds, transaction, &loop);

    int64_t rows = query_integer(&loop, "SELECT COUNT(*) FROM reservations") - rows_before;
    int64_t excess = query_integer(&loop, "SELECT sold - (SELECT COUNT(*) FROM reservations) "
                                          "FROM concerts WHERE id = 1");
    raw_loop_print(&times, rows, "", excess);
    for (int i = 0; i < STATEMENT_COUNT; i++)
        if (loop.prepared[i] != NULL)
            mysql_stmt_close(loop.prepared[i]);
    mysql_close(loop.handle);
    free(loop.text);
    return 0;
}
