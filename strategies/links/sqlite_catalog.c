/* The catalog's reading half and its way through the workers: which one does what, completion. */
#include <stdlib.h>
#include <string.h>

#include "resvd/assert.h"
#include "sqlite_internal.h"

static void copy_text(char *target, sqlite3_stmt *row, int column)
{
    const unsigned char *text = sqlite3_column_text(row, column);
    size_t size = (size_t)sqlite3_column_bytes(row, column);
    if (size > RESV_TEXT_BYTES_MAX)
        size = RESV_TEXT_BYTES_MAX; /* somebody else's row: we store no longer ones */
    if (size > 0)
        memcpy(target, text, size);
    target[size] = '\0';
}

void sqlite_concert_from_row(sqlite3_stmt *row, struct resv_concert *concert)
{
    concert->id = sqlite3_column_int64(row, 0);
    copy_text(concert->title, row, 1);
    copy_text(concert->venue, row, 2);
    concert->starts_at_ms =
        sqlite3_column_type(row, 3) == SQLITE_NULL ? INT64_MIN : sqlite3_column_int64(row, 3);
    concert->capacity = sqlite3_column_int64(row, 4);
    concert->sold = sqlite3_column_int64(row, 5);
    concert->member_limit = sqlite3_column_int64(row, 6);
}

static enum resv_outcome get_concert(struct sqlite_reader *reader, struct resv_op *op)
{
    sqlite3_stmt *query = reader->statements[READ_CONCERT];
    sqlite3_bind_int64(query, 1, op->concert_id);
    int result = sqlite_statement_row(query);
    if (result != SQLITE_ROW)
        return result == SQLITE_DONE ? RESV_NOT_FOUND : RESV_UNAVAILABLE;
    if (op->catalog->concerts == NULL)
        op->catalog->concerts = calloc(1, sizeof *op->catalog->concerts);
    if (op->catalog->concerts != NULL) {
        sqlite_concert_from_row(query, op->catalog->concerts);
        op->catalog->count = 1;
    }
    sqlite3_reset(query);
    return op->catalog->concerts != NULL ? RESV_FOUND : RESV_UNAVAILABLE;
}

static enum resv_outcome get_member(struct sqlite_reader *reader, struct resv_op *op)
{
    sqlite3_stmt *query = reader->statements[READ_MEMBER];
    sqlite3_bind_int64(query, 1, op->member_id);
    int result = sqlite_statement_row(query);
    if (result != SQLITE_ROW)
        return result == SQLITE_DONE ? RESV_NOT_FOUND : RESV_UNAVAILABLE;
    if (op->catalog->members == NULL)
        op->catalog->members = calloc(1, sizeof *op->catalog->members);
    if (op->catalog->members != NULL) {
        op->catalog->members[0].id = sqlite3_column_int64(query, 0);
        copy_text(op->catalog->members[0].name, query, 1);
        op->catalog->count = 1;
    }
    sqlite3_reset(query);
    return op->catalog->members != NULL ? RESV_FOUND : RESV_UNAVAILABLE;
}

static enum resv_outcome list_concerts(struct sqlite_reader *reader, struct resv_op *op)
{
    struct resv_catalog_request *request = op->catalog;
    RESV_ASSERT(request->limit >= 1 && request->limit <= 1000);
    size_t limit = (size_t)request->limit;
    struct resv_concert *concerts = calloc(limit, sizeof *concerts);
    if (concerts == NULL)
        return RESV_UNAVAILABLE;
    sqlite3_stmt *query = reader->statements[READ_CONCERTS];
    sqlite3_bind_int64(query, 1, request->after_id);
    sqlite3_bind_int64(query, 2, request->limit + 1);
    size_t count = 0;
    int result = sqlite_statement_row(query);
    while (result == SQLITE_ROW && count < limit) {
        sqlite_concert_from_row(query, &concerts[count++]);
        result = sqlite_statement_row(query);
    }
    if (result == SQLITE_ROW)
        sqlite3_reset(query);
    if (result != SQLITE_ROW && result != SQLITE_DONE) {
        free(concerts);
        return RESV_UNAVAILABLE;
    }
    request->concerts = concerts;
    request->count = count;
    request->more = result == SQLITE_ROW;
    return RESV_FOUND;
}

/* --- audit ------------------------------------------------------------------------------------ */

static int read_audit_lines(struct sqlite_reader *reader, struct resv_audit_line **lines,
                            size_t *count)
{
    sqlite3_stmt *query = reader->statements[READ_ALL_CONCERTS];
    size_t room = 0;
    int result;
    while ((result = sqlite_statement_row(query)) == SQLITE_ROW) {
        if (*count == room) {
            room = room == 0 ? 64 : room * 2;
            struct resv_audit_line *larger = realloc(*lines, room * sizeof *larger);
            if (larger == NULL) {
                sqlite3_reset(query);
                return SQLITE_NOMEM;
            }
            *lines = larger;
        }
        (*lines)[(*count)++] = (struct resv_audit_line){
            .concert_id = sqlite3_column_int64(query, 0),
            .capacity = sqlite3_column_int64(query, 1),
            .sold = sqlite3_column_int64(query, 2),
            .stock = -1,
            .pending = -1,
        };
    }
    return result == SQLITE_DONE ? SQLITE_OK : result;
}

static struct resv_audit_line *find_line(struct resv_audit_line *lines, size_t count, int64_t id)
{
    /* Mostly ids are 1, 2, 3 … */
    if (id >= 1 && (uint64_t)id <= count && lines[id - 1].concert_id == id)
        return &lines[id - 1];
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (lines[middle].concert_id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && lines[low].concert_id == id ? &lines[low] : NULL;
}

/* Adds up all live rows: quicker here than sorted by SQLite for a GROUP BY. */
static int count_live_seats(struct sqlite_reader *reader, struct resv_audit_line *lines,
                            size_t count, bool *orphans)
{
    sqlite3_stmt *query = reader->statements[READ_LIVE_SEATS];
    struct resv_audit_line *line = NULL;
    int result;
    while ((result = sqlite_statement_row(query)) == SQLITE_ROW) {
        int64_t id = sqlite3_column_int64(query, 0);
        if (line == NULL || line->concert_id != id)
            line = find_line(lines, count, id);
        if (line == NULL)
            *orphans = true;
        else
            line->live += sqlite3_column_int64(query, 1);
    }
    return result == SQLITE_DONE ? SQLITE_OK : result;
}

static enum resv_outcome audit(struct sqlite_reader *reader, struct resv_op *op)
{
    struct resv_audit_line *lines = NULL;
    size_t count = 0;
    bool orphans = false;
    int error = sqlite_statement_run(reader->statements[READ_BEGIN]);
    if (error != SQLITE_OK)
        return RESV_UNAVAILABLE;
    error = read_audit_lines(reader, &lines, &count);
    if (error == SQLITE_OK)
        error = count_live_seats(reader, lines, count, &orphans);
    sqlite_statement_run(reader->statements[READ_END]);
    if (error != SQLITE_OK) {
        free(lines);
        return RESV_UNAVAILABLE;
    }
    bool consistent = !orphans;
    for (size_t i = 0; i < count; i++) {
        struct resv_audit_line *line = &lines[i];
        line->consistent =
            line->sold == line->live && line->sold >= 0 && line->sold <= line->capacity;
        consistent = consistent && line->consistent;
    }
    op->catalog->audit = lines;
    op->catalog->audit_count = count;
    op->catalog->audit_consistent = consistent;
    return RESV_FOUND;
}

enum resv_outcome sqlite_catalog_read(struct sqlite_reader *reader, struct resv_op *op)
{
    switch (op->kind) {
    case RESV_OP_CONCERT_GET:
        return get_concert(reader, op);
    case RESV_OP_MEMBER_GET:
        return get_member(reader, op);
    case RESV_OP_CONCERT_LIST:
        return list_concerts(reader, op);
    case RESV_OP_AUDIT:
        return audit(reader, op);
    case RESV_OP_CONCERT_CREATE:
    case RESV_OP_CONCERT_UPDATE:
    case RESV_OP_MEMBER_CREATE:
    case RESV_OP_RESET:
    case RESV_OP_RESERVE:
    case RESV_OP_RELEASE:
    case RESV_OP_LOOKUP:
    case RESV_OP_DEAD_LETTER_LIST:
    case RESV_OP_DEAD_LETTER_RETRY:
    case RESV_OP_RECONCILE:
        break;
    }
    RESV_ASSERT(false); /* not a kind that this worker gets */
    return RESV_UNAVAILABLE;
}

/* --- the way through the workers -------------------------------------------------------------- */

static void run_read(struct sqlite_worker *worker, struct sqlite_message *message)
{
    struct sqlite_catalog_message *catalog = (struct sqlite_catalog_message *)message;
    catalog->outcome = sqlite_catalog_read((struct sqlite_reader *)worker, catalog->op);
}

static void run_write(struct sqlite_worker *worker, struct sqlite_message *message)
{
    struct sqlite_catalog_message *catalog = (struct sqlite_catalog_message *)message;
    catalog->outcome = sqlite_catalog_write((struct sqlite_writer *)worker, catalog->op);
}

static bool changes_everything(const struct resv_op *op, enum resv_outcome outcome)
{
    return op->kind == RESV_OP_RESET || outcome == RESV_UNKNOWN;
}

static void catalog_finished(struct sqlite_link *link, struct sqlite_message *message)
{
    struct sqlite_catalog_message *catalog = (struct sqlite_catalog_message *)message;
    struct resv_op *op = catalog->op;
    enum resv_outcome outcome = catalog->outcome;
    catalog->op = NULL;
    catalog->next_free = link->catalog_free;
    link->catalog_free = catalog;
    link->catalog_under_way--;
    if (outcome == RESV_STORED || outcome == RESV_UNKNOWN) {
        if (changes_everything(op, outcome))
            link->events.catalog_changed(link->events.data, 0);
        else if (op->kind == RESV_OP_CONCERT_UPDATE)
            link->events.catalog_changed(link->events.data, op->concert_id);
    }
    resv_op_complete(link->host, op, outcome);
    if (link->catalog_was_busy) {
        link->catalog_was_busy = false;
        resv_host_ready_for_more(link->host);
    }
    link->events.catalog_done(link->events.data);
}

static struct sqlite_worker *worker_for(struct sqlite_link *link, enum resv_op_kind kind)
{
    switch (kind) {
    case RESV_OP_CONCERT_GET:
    case RESV_OP_MEMBER_GET:
        return &link->reader.worker;
    case RESV_OP_CONCERT_LIST:
    case RESV_OP_AUDIT:
        return &link->scanner.worker;
    case RESV_OP_CONCERT_CREATE:
    case RESV_OP_CONCERT_UPDATE:
    case RESV_OP_MEMBER_CREATE:
    case RESV_OP_RESET:
        return &link->writer.worker;
    case RESV_OP_RESERVE:
    case RESV_OP_RELEASE:
    case RESV_OP_LOOKUP:
    case RESV_OP_DEAD_LETTER_LIST:
    case RESV_OP_DEAD_LETTER_RETRY:
    case RESV_OP_RECONCILE:
        break;
    }
    RESV_ASSERT(false); /* not a catalog operation */
    return NULL;
}

bool sqlite_catalog_submit(void *self, struct resv_op *op)
{
    struct sqlite_link *link = self;
    struct sqlite_catalog_message *catalog = link->catalog_free;
    if (catalog == NULL || link->state != SQLITE_LINK_OPEN) {
        link->catalog_was_busy = true;
        return false;
    }
    struct sqlite_worker *worker = worker_for(link, op->kind);
    link->catalog_free = catalog->next_free;
    link->catalog_under_way++;
    catalog->op = op;
    catalog->message.run = worker == &link->writer.worker ? run_write : run_read;
    catalog->message.finished = catalog_finished;
    sqlite_worker_post(worker, &catalog->message);
    return true;
}

bool sqlite_catalog_init(struct sqlite_link *link)
{
    link->catalog = (struct resv_catalog){.self = link, .submit = sqlite_catalog_submit};
    link->catalog_messages = calloc(link->config.catalog_max, sizeof *link->catalog_messages);
    if (link->catalog_messages == NULL)
        return false;
    for (size_t i = 0; i < link->config.catalog_max; i++) {
        link->catalog_messages[i].next_free = link->catalog_free;
        link->catalog_free = &link->catalog_messages[i];
    }
    return true;
}
