/* The writer: what may be committed, what a failed commit means, and checkpoints.
 *
 *            a transaction fails before COMMIT         COMMIT fails, not by a full disk
 *   GOOD -----------------------------------> REFUSED        (from any state)
 *    ^ \<-- a transaction succeeds, or the probe --/               |
 *    |                                                             v
 *    +---- new connection, checkpoint (TRUNCATE), probe ------ UNTRUSTED
 *
 * When the sync of a commit fails, its frames are in the log but perhaps not on the disk, and the
 * kernel may have dropped the dirty pages: nobody knows whether recovery after a crash would find
 * the transaction. So its outcome is UNKNOWN, and nothing more is committed on top of that log.
 * The way out: TRUNCATE writes all that was committed before into the database file, syncs that,
 * and empties the log, and with it the doubtful frames.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resvd/assert.h"
#include "sqlite_internal.h"

#define RETRY_MS_MIN 100
#define RETRY_MS_MAX 5000
/* A log header and the header of one frame, as the file format says. */
#define WAL_HEADER_BYTES 32
#define WAL_FRAME_BYTES  24

static const char *const writer_sql[WRITE_STATEMENT_COUNT] = {
    [WRITE_BEGIN] = "BEGIN IMMEDIATE",
    [WRITE_COMMIT] = "COMMIT",
    [WRITE_ROLLBACK] = "ROLLBACK",
    [WRITE_CONCERT_SEATS] = "SELECT capacity, sold, member_limit FROM concerts WHERE id = ?1",
    /* The invariant of the whole store, once more where it is written: never oversold, and never
     * given back more than was sold. */
    [WRITE_CONCERT_SELL] = "UPDATE concerts SET sold = sold + ?2 "
                           "WHERE id = ?1 AND sold + ?2 BETWEEN 0 AND capacity",
    [WRITE_RESERVATION_GET] = SQLITE_RESERVATION_SELECT,
    [WRITE_RESERVATION_INSERT] =
        "INSERT INTO reservations "
        "(id, concert_id, member_id, quantity, status, created_at, updated_at) "
        "VALUES (?1, ?2, ?3, ?4, 2, ?5, ?5)",
    [WRITE_RESERVATION_CANCEL] = "UPDATE reservations SET status = 3, updated_at = ?2 "
                                 "WHERE id = ?1 AND status IN " SQLITE_LIVE_STATUSES,
    [WRITE_MEMBER_EXISTS] = "SELECT 1 FROM members WHERE id = ?1",
    [WRITE_MEMBER_SEATS_GET] =
        "SELECT seats FROM member_seats WHERE concert_id = ?1 AND member_id = ?2",
    [WRITE_MEMBER_SEATS_ADD] =
        "INSERT INTO member_seats (concert_id, member_id, seats) VALUES (?1, ?2, ?3) "
        "ON CONFLICT DO UPDATE SET seats = seats + ?3",
    [WRITE_MEMBER_SEATS_GIVE_BACK] = "UPDATE member_seats SET seats = seats - ?3 "
                                     "WHERE concert_id = ?1 AND member_id = ?2",
    /* Changes nothing, but goes the whole way to the disk. */
    [WRITE_PROBE] = "UPDATE schema_migrations SET description = description WHERE version = 1",
};

static void publish(struct sqlite_writer *writer)
{
    struct sqlite_writer_report report = {
        .state = writer->state,
        .checkpoints = writer->checkpoints,
        .checkpoint_ns = writer->checkpoint_ns,
    };
    memcpy(report.detail, writer->detail, sizeof report.detail);
    writer->checkpoint_ns = 0;
    sqlite_link_report(writer->worker.link, &report);
}

static void writer_becomes(struct sqlite_writer *writer, enum sqlite_writer_state state, int error,
                           const char *doing)
{
    /* What is worse stays until recovery has succeeded. */
    if (state == SQLITE_WRITER_REFUSED && writer->state > SQLITE_WRITER_REFUSED)
        return;
    if (writer->state == SQLITE_WRITER_DAMAGED)
        return;
    snprintf(writer->detail, sizeof writer->detail, "%.150s: %s (%s)", writer->file.path,
             sqlite3_errstr(error), doing);
    if (writer->retry_at_ns == 0) {
        writer->retry_ms = RETRY_MS_MIN;
        writer->retry_at_ns = sqlite_monotonic_ns() + writer->retry_ms * 1000000;
    }
    writer->state = state;
    publish(writer);
}

static void writer_is_good(struct sqlite_writer *writer)
{
    writer->retry_at_ns = 0;
    writer->detail[0] = '\0';
    writer->state = SQLITE_WRITER_GOOD;
    publish(writer);
}

static int after_commit(void *data, sqlite3 *handle, const char *database, int frames)
{
    (void)handle;
    (void)database;
    struct sqlite_writer *writer = data;
    writer->wal_bytes = WAL_HEADER_BYTES + (int64_t)frames * (writer->page_bytes + WAL_FRAME_BYTES);
    atomic_store_explicit(&writer->worker.link->wal_bytes, writer->wal_bytes, memory_order_relaxed);
    return SQLITE_OK;
}

static int prepare_connection(struct sqlite_writer *writer)
{
    sqlite3 *handle = writer->worker.handle;
    int error = sqlite_query_integer(handle, "PRAGMA page_size", &writer->page_bytes);
    if (error == SQLITE_OK)
        error = sqlite_statements_prepare(handle, writer_sql, writer->statements,
                                          WRITE_STATEMENT_COUNT);
    sqlite3_wal_hook(handle, after_commit, writer);
    return error;
}

static bool writer_open(struct sqlite_worker *worker, struct sqlite_problem *problem)
{
    struct sqlite_writer *writer = (struct sqlite_writer *)worker;
    const struct sqlite_link_config *config = &worker->link->config;
    if (!sqlite_file_claim(&writer->file, config, problem))
        return false;
    if (!sqlite_file_prepare(&writer->file, config, &worker->handle, problem))
        return false;
    int error = prepare_connection(writer);
    if (error != SQLITE_OK)
        sqlite_problem_from_error(problem, &writer->file, config, error, "reading the schema");
    return error == SQLITE_OK;
}

static void close_connection(struct sqlite_writer *writer)
{
    sqlite_statements_finalize(writer->statements, WRITE_STATEMENT_COUNT);
    /* The last connection to close checkpoints; what it cannot do, the next start does. */
    int error = sqlite3_close(writer->worker.handle);
    RESV_ASSERT(error != SQLITE_BUSY);
    writer->worker.handle = NULL;
}

static void writer_close(struct sqlite_worker *worker)
{
    struct sqlite_writer *writer = (struct sqlite_writer *)worker;
    close_connection(writer);
    sqlite_file_release(&writer->file);
}

/* --- transactions ----------------------------------------------------------------------------- */

int sqlite_writer_begin(struct sqlite_writer *writer)
{
    switch (writer->state) {
    case SQLITE_WRITER_GOOD:
    case SQLITE_WRITER_REFUSED:
        return sqlite_statement_run(writer->statements[WRITE_BEGIN]);
    case SQLITE_WRITER_UNTRUSTED:
    case SQLITE_WRITER_DAMAGED:
        return SQLITE_IOERR;
    }
    return SQLITE_IOERR;
}

static void roll_back(struct sqlite_writer *writer)
{
    /* After some errors SQLite has rolled back already. */
    if (!sqlite3_get_autocommit(writer->worker.handle))
        sqlite_statement_run(writer->statements[WRITE_ROLLBACK]);
}

/* What an error says about the file, when nothing of the transaction can have become durable. */
static enum sqlite_writer_state state_after(int error)
{
    switch (error & 0xff) {
    case SQLITE_FULL:
    case SQLITE_READONLY:
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_NOMEM:
    case SQLITE_CONSTRAINT: /* a row that somebody else has changed */
        return SQLITE_WRITER_REFUSED;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return SQLITE_WRITER_DAMAGED;
    default:
        return SQLITE_WRITER_UNTRUSTED;
    }
}

void sqlite_writer_failed(struct sqlite_writer *writer, int error)
{
    if (writer->worker.handle == NULL || writer->state > SQLITE_WRITER_REFUSED)
        return; /* nothing was begun */
    roll_back(writer);
    if ((error & 0xff) != SQLITE_INTERRUPT)
        writer_becomes(writer, state_after(error), error, "writing");
}

enum resv_outcome sqlite_writer_commit(struct sqlite_writer *writer)
{
    int error = sqlite_statement_run(writer->statements[WRITE_COMMIT]);
    if (error == SQLITE_OK) {
        if (writer->state != SQLITE_WRITER_GOOD)
            writer_is_good(writer);
        return RESV_GRANTED;
    }
    roll_back(writer);
    /* A full disk fails the write of a frame: without that frame the transaction is not whole, and
     * it cannot come back. A failed sync gives an I/O error instead, also when the disk is full. */
    if ((error & 0xff) == SQLITE_FULL || (error & 0xff) == SQLITE_READONLY) {
        writer_becomes(writer, SQLITE_WRITER_REFUSED, error, "committing");
        return RESV_UNAVAILABLE;
    }
    writer_becomes(writer, SQLITE_WRITER_UNTRUSTED, error, "committing");
    return RESV_UNKNOWN;
}

/* --- checkpoints ------------------------------------------------------------------------------ */

/* Moves the log into the file, so that the next transaction starts the log over. A scan under way
 * still needs the log: then what can be moved is, and it is tried again a quarter later. */
static void checkpoint(struct sqlite_writer *writer)
{
    int frames = 0, moved = 0;
    uint64_t started_ns = sqlite_monotonic_ns();
    int error = sqlite3_wal_checkpoint_v2(writer->worker.handle, "main", SQLITE_CHECKPOINT_PASSIVE,
                                          &frames, &moved);
    writer->checkpoint_ns = sqlite_monotonic_ns() - started_ns;
    writer->checkpoints++;
    if (error == SQLITE_OK && frames == moved)
        writer->checkpoint_tried_bytes = 0;
    else
        writer->checkpoint_tried_bytes = writer->wal_bytes;
    if (error != SQLITE_OK && (error & 0xff) != SQLITE_BUSY && (error & 0xff) != SQLITE_FULL) {
        /* A sync failed: perhaps the log's. */
        writer_becomes(writer, state_after(error), error, "checkpointing");
        return;
    }
    publish(writer);
}

/* --- recovery --------------------------------------------------------------------------------- */

/* A transaction that changes nothing, to see whether one can be committed. */
static bool probe(struct sqlite_writer *writer)
{
    int error = sqlite_writer_begin(writer);
    if (error == SQLITE_OK)
        error = sqlite_statement_run(writer->statements[WRITE_PROBE]);
    if (error == SQLITE_OK)
        return sqlite_writer_commit(writer) == RESV_GRANTED;
    sqlite_writer_failed(writer, error);
    return false;
}

static int reopen_and_empty_log(struct sqlite_writer *writer)
{
    close_connection(writer);
    const struct sqlite_link_config *config = &writer->worker.link->config;
    int error = sqlite_file_connect(&writer->file, config, true, config->cache_bytes,
                                    &writer->worker.handle);
    if (error == SQLITE_OK)
        error = prepare_connection(writer);
    if (error == SQLITE_OK)
        error = sqlite3_wal_checkpoint_v2(writer->worker.handle, "main", SQLITE_CHECKPOINT_TRUNCATE,
                                          NULL, NULL);
    return error;
}

static void recover(struct sqlite_writer *writer)
{
    if (writer->state == SQLITE_WRITER_UNTRUSTED) {
        int error = reopen_and_empty_log(writer);
        if (error == SQLITE_OK) {
            /* Nothing rests on the old log any more. Good is what a commit makes it. */
            writer->state = SQLITE_WRITER_REFUSED;
            writer->wal_bytes = 0;
        } else if (state_after(error) == SQLITE_WRITER_DAMAGED) {
            writer_becomes(writer, SQLITE_WRITER_DAMAGED, error, "recovering");
        }
    }
    /* On a full disk this may make room: a log that has been moved into the file starts over. */
    if (writer->state == SQLITE_WRITER_REFUSED && writer->wal_bytes > 0)
        checkpoint(writer);
    if (writer->state == SQLITE_WRITER_REFUSED && probe(writer))
        return;
    writer->retry_ms *= 2;
    if (writer->retry_ms > RETRY_MS_MAX)
        writer->retry_ms = RETRY_MS_MAX;
    writer->retry_at_ns = sqlite_monotonic_ns() + writer->retry_ms * 1000000;
}

/* --- upkeep ----------------------------------------------------------------------------------- */

static bool checkpoint_is_due(const struct sqlite_writer *writer)
{
    int64_t due_bytes = writer->worker.link->config.wal_max_bytes;
    if (writer->checkpoint_tried_bytes >= due_bytes)
        due_bytes = writer->checkpoint_tried_bytes + due_bytes / 4;
    return writer->wal_bytes >= due_bytes;
}

static uint64_t writer_maintain(struct sqlite_worker *worker)
{
    struct sqlite_writer *writer = (struct sqlite_writer *)worker;
    if (writer->state == SQLITE_WRITER_DAMAGED)
        return 0;
    if (writer->state == SQLITE_WRITER_GOOD) {
        if (writer->wal_bytes < writer->checkpoint_tried_bytes)
            writer->checkpoint_tried_bytes = 0; /* the log has started over */
        if (checkpoint_is_due(writer))
            checkpoint(writer);
    }
    if (writer->retry_at_ns == 0)
        return 0;
    if (sqlite_monotonic_ns() >= writer->retry_at_ns)
        recover(writer);
    if (writer->retry_at_ns == 0 || writer->state == SQLITE_WRITER_DAMAGED)
        return 0;
    uint64_t now_ns = sqlite_monotonic_ns();
    return writer->retry_at_ns > now_ns ? (writer->retry_at_ns - now_ns) / 1000000 + 1 : 1;
}

bool sqlite_writer_init(struct sqlite_writer *writer, struct sqlite_link *link)
{
    size_t batch_max = link->config.batch_max;
    size_t slots = 2;
    while (slots < 2 * batch_max)
        slots *= 2;
    writer->slots_mask = slots - 1;
    writer->concerts = calloc(batch_max, sizeof *writer->concerts);
    writer->slots = calloc(slots, sizeof *writer->slots);
    writer->file.lock_descriptor = -1;
    writer->worker.link = link;
    writer->worker.name = "resvd-writer";
    writer->worker.open = writer_open;
    writer->worker.maintain = writer_maintain;
    writer->worker.close = writer_close;
    return writer->concerts != NULL && writer->slots != NULL;
}

void sqlite_writer_destroy(struct sqlite_writer *writer)
{
    free(writer->concerts);
    free(writer->slots);
}
