/* The catalog's short reads: gets, joined into one query, and pages of concerts. */
#include "mariadb_catalog.h"

#include <stdlib.h>

#include "resvd/assert.h"

/* --- rows --------------------------------------------------------------------------------------
 */

static void copy_text(char target[RESV_TEXT_BYTES_MAX + 1], const char *text, size_t size)
{
    if (size > RESV_TEXT_BYTES_MAX)
        size = RESV_TEXT_BYTES_MAX; /* somebody else's row: we store no longer ones */
    if (size > 0)
        memcpy(target, text, size);
    target[size] = '\0';
}

void catalog_read_concert(MYSQL_RES *rows, MYSQL_ROW row, struct resv_concert *concert)
{
    const unsigned long *lengths = mysql_fetch_lengths(rows);
    concert->id = mariadb_column_integer(row[0]);
    copy_text(concert->title, row[1], lengths[1]);
    copy_text(concert->venue, row[2], lengths[2]);
    concert->starts_at_ms = row[3] == NULL ? INT64_MIN : mariadb_column_integer(row[3]);
    concert->capacity = mariadb_column_integer(row[4]);
    concert->sold = mariadb_column_integer(row[5]);
    concert->member_limit = mariadb_column_integer(row[6]);
}

/* --- gets --------------------------------------------------------------------------------------
 */

/* False: out of memory. */
static bool give_concert(struct resv_op *op, const struct resv_concert *concert)
{
    struct resv_catalog_request *request = op->catalog;
    if (request->concerts == NULL)
        request->concerts = malloc(sizeof *request->concerts);
    if (request->concerts == NULL)
        return false;
    request->concerts[0] = *concert;
    request->count = 1;
    return true;
}

static bool give_member(struct resv_op *op, const struct resv_member *member)
{
    struct resv_catalog_request *request = op->catalog;
    if (request->members == NULL)
        request->members = malloc(sizeof *request->members);
    if (request->members == NULL)
        return false;
    request->members[0] = *member;
    request->count = 1;
    return true;
}

static void take_concert(struct catalog_task *task, const struct resv_concert *concert)
{
    for (struct resv_op *op = task->first; op != NULL; op = op->strategy_next) {
        if (op->kind == RESV_OP_CONCERT_GET && op->concert_id == concert->id &&
            !give_concert(op, concert))
            task->short_of_memory = true;
    }
}

static void take_member(struct catalog_task *task, const struct resv_member *member)
{
    for (struct resv_op *op = task->first; op != NULL; op = op->strategy_next) {
        if (op->kind == RESV_OP_MEMBER_GET && op->member_id == member->id &&
            !give_member(op, member))
            task->short_of_memory = true;
    }
}

static void take_rows(struct mariadb_query *query, size_t statement, MYSQL_RES *rows,
                      uint64_t affected_rows)
{
    (void)statement; /* told apart by their columns: one of the two may not have been asked */
    (void)affected_rows;
    struct catalog_task *task = query->data;
    if (rows == NULL)
        return;
    MYSQL_ROW row;
    while ((row = mysql_fetch_row(rows)) != NULL) {
        if (mysql_num_fields(rows) > 2) {
            struct resv_concert concert;
            catalog_read_concert(rows, row, &concert);
            take_concert(task, &concert);
        } else {
            struct resv_member member = {.id = mariadb_column_integer(row[0])};
            copy_text(member.name, row[1], mysql_fetch_lengths(rows)[1]);
            take_member(task, &member);
        }
    }
}

static void got(struct mariadb_query *query)
{
    struct catalog_task *task = query->data;
    if (query->lost || query->error != 0)
        catalog_failed(task);
    else
        catalog_finish(task, task->short_of_memory ? RESV_UNAVAILABLE : RESV_FOUND);
}

enum resv_outcome catalog_get_outcome(const struct resv_op *op)
{
    return op->catalog->count == 1 ? RESV_FOUND : RESV_NOT_FOUND;
}

static int64_t id_of(const struct resv_op *op)
{
    return op->kind == RESV_OP_CONCERT_GET ? op->concert_id : op->member_id;
}

/* The ids of one kind, in brackets; what was asked for twice in a row is there once. */
static bool add_ids(struct mariadb_text *text, const struct catalog_task *task,
                    enum resv_op_kind kind, const char *select, size_t select_size)
{
    const struct resv_op *last = NULL;
    for (const struct resv_op *op = task->first; op != NULL; op = op->strategy_next) {
        if (op->kind != kind || (last != NULL && id_of(op) == id_of(last)))
            continue;
        if (last == NULL)
            mariadb_text_add(text, select, select_size);
        else
            MARIADB_ADD(text, ",");
        mariadb_text_integer(text, id_of(op));
        last = op;
    }
    if (last != NULL)
        MARIADB_ADD(text, ")");
    return last != NULL;
}

void catalog_get(struct catalog_task *task)
{
    static const char concerts[] = "SELECT " CATALOG_CONCERT_COLUMNS " FROM concerts WHERE id IN (";
    static const char members[] = ";SELECT id, name FROM members WHERE id IN (";
    struct mariadb_text text;
    if (!catalog_text(task, 300 + CATALOG_GETS_MAX * (MARIADB_INTEGER_BYTES + 1), &text))
        return;
    for (struct resv_op *op = task->first; op != NULL; op = op->strategy_next)
        op->catalog->count = 0;
    bool first = add_ids(&text, task, RESV_OP_CONCERT_GET, concerts, sizeof concerts - 1);
    size_t skip = first ? 0 : 1; /* the semicolon */
    add_ids(&text, task, RESV_OP_MEMBER_GET, members + skip, sizeof members - 1 - skip);
    catalog_send(task, &text, catalog_timeout_ms(task), take_rows, got);
}

/* --- pages -------------------------------------------------------------------------------------
 */

static void take_page(struct mariadb_query *query, size_t statement, MYSQL_RES *rows,
                      uint64_t affected_rows)
{
    (void)statement;
    (void)affected_rows;
    struct catalog_task *task = query->data;
    struct resv_catalog_request *request = task->first->catalog;
    if (rows == NULL)
        return;
    size_t limit = (size_t)request->limit, found = (size_t)mysql_num_rows(rows);
    size_t count = found < limit ? found : limit;
    free(request->concerts); /* of an attempt before */
    request->concerts = calloc(count == 0 ? 1 : count, sizeof *request->concerts);
    if (request->concerts == NULL) {
        task->short_of_memory = true;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        MYSQL_ROW row = mysql_fetch_row(rows);
        RESV_ASSERT(row != NULL);
        catalog_read_concert(rows, row, &request->concerts[i]);
    }
    request->count = count;
    request->more = found > limit;
}

void catalog_list(struct catalog_task *task)
{
    const struct resv_catalog_request *request = task->first->catalog;
    RESV_ASSERT(request->limit >= 1 && request->limit <= 1000);
    struct mariadb_text text;
    if (!catalog_text(task, 300, &text))
        return;
    MARIADB_ADD(&text, "SELECT " CATALOG_CONCERT_COLUMNS " FROM concerts WHERE id > ");
    mariadb_text_integer(&text, request->after_id);
    MARIADB_ADD(&text, " ORDER BY id LIMIT ");
    mariadb_text_integer(&text, request->limit + 1);
    catalog_send(task, &text, catalog_timeout_ms(task), take_page, got);
}
