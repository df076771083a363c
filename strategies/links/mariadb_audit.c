/* The audit: do the concerts' own counts agree with their rows?
 *
 * One statement, and so one snapshot, whatever the isolation. The sums come out of an index that
 * has all they need, in its order: no sorting, and no more memory on either side than one line a
 * concert. A row without a concert there cannot be: its foreign key.
 */
#include "mariadb_catalog.h"

#include <stdlib.h>

#include "resvd/assert.h"

#define AUDIT_TIMEOUT_MS (5 * 60 * 1000)

static void take_lines(struct mariadb_query *query, size_t statement, MYSQL_RES *rows,
                       uint64_t affected_rows)
{
    (void)statement;
    (void)affected_rows;
    struct catalog_task *task = query->data;
    struct resv_catalog_request *request = task->first->catalog;
    if (rows == NULL)
        return;
    size_t count = (size_t)mysql_num_rows(rows);
    struct resv_audit_line *lines = calloc(count == 0 ? 1 : count, sizeof *lines);
    if (lines == NULL) {
        task->short_of_memory = true;
        return;
    }
    bool consistent = true;
    for (size_t i = 0; i < count; i++) {
        MYSQL_ROW row = mysql_fetch_row(rows);
        RESV_ASSERT(row != NULL);
        struct resv_audit_line *line = &lines[i];
        *line = (struct resv_audit_line){
            .concert_id = mariadb_column_integer(row[0]),
            .capacity = mariadb_column_integer(row[1]),
            .sold = mariadb_column_integer(row[2]),
            .live = mariadb_column_integer(row[3]), /* NULL: no rows */
            .stock = -1,
            .pending = -1,
        };
        line->consistent =
            line->sold == line->live && line->sold >= 0 && line->sold <= line->capacity;
        consistent = consistent && line->consistent;
    }
    free(request->audit); /* of an attempt before */
    request->audit = lines;
    request->audit_count = count;
    request->audit_consistent = consistent;
}

static void audited(struct mariadb_query *query)
{
    struct catalog_task *task = query->data;
    if (query->lost || query->error != 0)
        catalog_failed(task);
    else
        catalog_finish(task, task->short_of_memory ? RESV_UNAVAILABLE : RESV_FOUND);
}

void catalog_audit(struct catalog_task *task)
{
    struct mariadb_text text;
    if (!catalog_text(task, 400, &text))
        return;
    MARIADB_ADD(&text,
                "SELECT concerts.id, concerts.capacity, concerts.sold, sums.live FROM concerts "
                "LEFT JOIN (SELECT concert_id, SUM(quantity) AS live FROM reservations "
                "WHERE status IN (1, 2) GROUP BY concert_id) AS sums "
                "ON sums.concert_id = concerts.id ORDER BY concerts.id");
    catalog_send(task, &text, AUDIT_TIMEOUT_MS, take_lines, audited);
}
