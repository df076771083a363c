/* The catalog's writes but the reset: each one transaction, its COMMIT a round trip of its own.
 *
 * So it is known, for whatever goes wrong before it was sent, that nothing was taken; only a COMMIT
 * without an answer is UNKNOWN. Texts go as hex: no character of them can end a literal.
 */
#include "mariadb_catalog.h"

#include "resvd/assert.h"

#define TEXT_LITERAL_BYTES (16 + 2 * RESV_TEXT_BYTES_MAX)

/* --- the end -----------------------------------------------------------------------------------
 */

static void committed(struct mariadb_query *query)
{
    struct catalog_task *task = query->data;
    bool answered = !query->lost && query->error == 0;
    if (answered && task->first->kind == RESV_OP_CONCERT_UPDATE)
        task->first->catalog->concerts[0] = task->after;
    catalog_finish(task, answered ? RESV_STORED : RESV_UNKNOWN);
}

static void rolled_back(struct mariadb_query *query)
{
    struct catalog_task *task = query->data;
    catalog_finish(task, task->refusal);
}

static void end_transaction(struct catalog_task *task)
{
    struct mariadb_text text;
    if (!catalog_text(task, 16, &text))
        return;
    if (task->refusal == RESV_STORED)
        MARIADB_ADD(&text, "COMMIT");
    else
        MARIADB_ADD(&text, "ROLLBACK");
    catalog_send(task, &text, catalog_timeout_ms(task), NULL,
                 task->refusal == RESV_STORED ? committed : rolled_back);
}

/* --- text --------------------------------------------------------------------------------------
 */

static void add_words(struct mariadb_text *text, const char *words)
{
    size_t size = strlen(words);
    if (size == 0) {
        MARIADB_ADD(text, "''");
        return;
    }
    MARIADB_ADD(text, "_utf8mb4 ");
    mariadb_text_hex(text, (const uint8_t *)words, size);
}

static void add_starts_at(struct mariadb_text *text, int64_t starts_at_ms)
{
    if (starts_at_ms == INT64_MIN)
        MARIADB_ADD(text, "NULL");
    else
        mariadb_text_integer(text, starts_at_ms);
}

/* --- create ------------------------------------------------------------------------------------
 */

/* An INSERT whose number of rows is known gets its ids in a row, in every mode of AUTO_INCREMENT.
 */
#define FIRST_ID ";SELECT LAST_INSERT_ID(), @@SESSION.auto_increment_increment"

static void take_ids(struct mariadb_query *query, size_t statement, MYSQL_RES *rows,
                     uint64_t affected_rows)
{
    (void)statement;
    (void)affected_rows;
    struct catalog_task *task = query->data;
    MYSQL_ROW row = rows == NULL ? NULL : mysql_fetch_row(rows);
    if (row == NULL)
        return;
    task->first_id = mariadb_column_integer(row[0]);
    task->id_step = mariadb_column_integer(row[1]);
}

static void created(struct mariadb_query *query)
{
    struct catalog_task *task = query->data;
    if (query->lost || query->error != 0) {
        catalog_failed(task);
        return;
    }
    struct resv_op *op = task->first;
    struct resv_catalog_request *request = op->catalog;
    for (size_t i = 0; i < request->count; i++) {
        int64_t id = task->first_id + (int64_t)i * task->id_step;
        if (op->kind == RESV_OP_MEMBER_CREATE) {
            request->members[i].id = id;
        } else {
            request->concerts[i].id = id;
            request->concerts[i].sold = 0;
        }
    }
    end_transaction(task);
}

static void create_concerts(struct catalog_task *task, const struct resv_catalog_request *request)
{
    const size_t row_bytes = 2 * TEXT_LITERAL_BYTES + 3 * MARIADB_INTEGER_BYTES + 8;
    struct mariadb_text text;
    if (!catalog_text(task, 300 + request->count * row_bytes, &text))
        return;
    MARIADB_ADD(&text, "START TRANSACTION;INSERT INTO concerts (title, venue, starts_at, capacity, "
                       "member_limit) VALUES ");
    for (size_t i = 0; i < request->count; i++) {
        const struct resv_concert *concert = &request->concerts[i];
        if (i > 0)
            MARIADB_ADD(&text, ",");
        MARIADB_ADD(&text, "(");
        add_words(&text, concert->title);
        MARIADB_ADD(&text, ",");
        add_words(&text, concert->venue);
        MARIADB_ADD(&text, ",");
        add_starts_at(&text, concert->starts_at_ms);
        MARIADB_ADD(&text, ",");
        mariadb_text_integer(&text, concert->capacity);
        MARIADB_ADD(&text, ",");
        mariadb_text_integer(&text, concert->member_limit);
        MARIADB_ADD(&text, ")");
    }
    MARIADB_ADD(&text, FIRST_ID);
    catalog_send(task, &text, catalog_timeout_ms(task), take_ids, created);
}

static void create_members(struct catalog_task *task, const struct resv_catalog_request *request)
{
    struct mariadb_text text;
    if (!catalog_text(task, 300 + request->count * (TEXT_LITERAL_BYTES + 3), &text))
        return;
    MARIADB_ADD(&text, "START TRANSACTION;INSERT INTO members (name) VALUES ");
    for (size_t i = 0; i < request->count; i++) {
        if (i > 0)
            MARIADB_ADD(&text, ",");
        MARIADB_ADD(&text, "(");
        add_words(&text, request->members[i].name);
        MARIADB_ADD(&text, ")");
    }
    MARIADB_ADD(&text, FIRST_ID);
    catalog_send(task, &text, catalog_timeout_ms(task), take_ids, created);
}

/* --- update ------------------------------------------------------------------------------------
 */

/* The concert as it was, locked, and as it is after the UPDATE, which leaves it alone when the
 * capacity would be too low. */
static void take_concert(struct mariadb_query *query, size_t statement, MYSQL_RES *rows,
                         uint64_t affected_rows)
{
    (void)statement;
    (void)affected_rows;
    struct catalog_task *task = query->data;
    MYSQL_ROW row = rows == NULL ? NULL : mysql_fetch_row(rows);
    if (row == NULL)
        return;
    if (!task->found)
        catalog_read_concert(rows, row, &task->before);
    catalog_read_concert(rows, row, &task->after);
    task->found = true;
}

static void updated(struct mariadb_query *query)
{
    struct catalog_task *task = query->data;
    if (query->lost || query->error != 0) {
        catalog_failed(task);
        return;
    }
    const struct resv_catalog_request *request = task->first->catalog;
    if (!task->found)
        task->refusal = RESV_NOT_FOUND;
    else if ((request->fields & RESV_CONCERT_CAPACITY) != 0 &&
             request->concerts[0].capacity < task->before.sold)
        task->refusal = RESV_CAPACITY_TOO_LOW;
    end_transaction(task);
}

static void add_changes(struct mariadb_text *text, const struct resv_concert *concert,
                        unsigned fields)
{
    MARIADB_ADD(text, ";UPDATE concerts SET id = id");
    if (fields & RESV_CONCERT_TITLE) {
        MARIADB_ADD(text, ", title = ");
        add_words(text, concert->title);
    }
    if (fields & RESV_CONCERT_VENUE) {
        MARIADB_ADD(text, ", venue = ");
        add_words(text, concert->venue);
    }
    if (fields & RESV_CONCERT_STARTS_AT) {
        MARIADB_ADD(text, ", starts_at = ");
        add_starts_at(text, concert->starts_at_ms);
    }
    if (fields & RESV_CONCERT_CAPACITY) {
        MARIADB_ADD(text, ", capacity = ");
        mariadb_text_integer(text, concert->capacity);
    }
    if (fields & RESV_CONCERT_MEMBER_LIMIT) {
        MARIADB_ADD(text, ", member_limit = ");
        mariadb_text_integer(text, concert->member_limit);
    }
    /* Whether less can be sold than before is not looked at: one fence too many is harmless. */
    if (fields & (RESV_CONCERT_CAPACITY | RESV_CONCERT_MEMBER_LIMIT))
        MARIADB_ADD(text, ", fence = fence + 1");
}

static void add_select(struct mariadb_text *text, int64_t concert_id)
{
    MARIADB_ADD(text, "SELECT " CATALOG_CONCERT_COLUMNS " FROM concerts WHERE id = ");
    mariadb_text_integer(text, concert_id);
    MARIADB_ADD(text, " FOR UPDATE"); /* the second too: no older snapshot */
}

static void update_concert(struct catalog_task *task, const struct resv_op *op)
{
    const struct resv_concert *concert = &op->catalog->concerts[0];
    struct mariadb_text text;
    if (!catalog_text(task, 1000 + 2 * TEXT_LITERAL_BYTES, &text))
        return;
    MARIADB_ADD(&text, "START TRANSACTION;");
    add_select(&text, op->concert_id);
    add_changes(&text, concert, op->catalog->fields);
    MARIADB_ADD(&text, " WHERE id = ");
    mariadb_text_integer(&text, op->concert_id);
    if ((op->catalog->fields & RESV_CONCERT_CAPACITY) != 0) {
        MARIADB_ADD(&text, " AND sold <= ");
        mariadb_text_integer(&text, concert->capacity);
    }
    MARIADB_ADD(&text, ";");
    add_select(&text, op->concert_id);
    catalog_send(task, &text, catalog_timeout_ms(task), take_concert, updated);
}

/* --- all ---------------------------------------------------------------------------------------
 */

void catalog_write(struct catalog_task *task)
{
    struct resv_op *op = task->first;
    task->found = false;
    task->refusal = RESV_STORED;
    switch (op->kind) {
    case RESV_OP_CONCERT_CREATE:
        create_concerts(task, op->catalog);
        return;
    case RESV_OP_MEMBER_CREATE:
        create_members(task, op->catalog);
        return;
    case RESV_OP_CONCERT_UPDATE:
        update_concert(task, op);
        return;
    case RESV_OP_CONCERT_GET:
    case RESV_OP_CONCERT_LIST:
    case RESV_OP_MEMBER_GET:
    case RESV_OP_RESET:
    case RESV_OP_AUDIT:
    case RESV_OP_RESERVE:
    case RESV_OP_RELEASE:
    case RESV_OP_LOOKUP:
    case RESV_OP_DEAD_LETTER_LIST:
    case RESV_OP_DEAD_LETTER_RETRY:
    case RESV_OP_RECONCILE:
        break;
    }
    RESV_ASSERT(false); /* not a write */
}
