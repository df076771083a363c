/* What the parts of the SQLite link share: connections, workers, the writer's state. */
#ifndef RESVD_LINKS_SQLITE_INTERNAL_H
#define RESVD_LINKS_SQLITE_INTERNAL_H

#include <limits.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "sqlite.h"

enum { SQLITE_EXIT_UNAVAILABLE = 69, SQLITE_EXIT_CONFIG = 78 };

/* Why the file cannot be used, in one line that names the file and the setting. */
struct sqlite_problem {
    int exit_code;
    char message[PATH_MAX + 512];
};

/* --- the file (sqlite_file.c, sqlite_schema.c) ------------------------------------------------ */

struct sqlite_file {
    char path[PATH_MAX]; /* absolute, symbolic links resolved */
    int lock_descriptor; /* -1 when not held */
    bool unclean;        /* the last process did not close it: a log is left */
    int64_t wall_ms;     /* when the link was started; for the record of migrations */
};

/* Resolves the path, takes the lock, looks at the file without changing it. */
bool sqlite_file_claim(struct sqlite_file *file, const struct sqlite_link_config *config,
                       struct sqlite_problem *problem);
void sqlite_file_release(struct sqlite_file *file);
/* Opens the writer's connection on a claimed file, creates or migrates it, empties its log. */
bool sqlite_file_prepare(const struct sqlite_file *file, const struct sqlite_link_config *config,
                         sqlite3 **handle, struct sqlite_problem *problem);
/* A connection with the settings that all share; SQLite's error code. */
int sqlite_file_connect(const struct sqlite_file *file, const struct sqlite_link_config *config,
                        bool writable, int64_t cache_bytes, sqlite3 **handle);
/* Puts "FILE: what went wrong (SQLite says …): what to do" for an error code of SQLite. */
void sqlite_problem_from_error(struct sqlite_problem *problem, const struct sqlite_file *file,
                               const struct sqlite_link_config *config, int error,
                               const char *doing);

#define SQLITE_APPLICATION_ID 0x52535644 /* "RSVD" */
int64_t sqlite_schema_latest(void);
/* Inside a transaction; SQLite's error code. */
int sqlite_schema_migrate(sqlite3 *handle, int64_t from_version, int64_t wall_ms);
/* The first column of the first row; SQLite's error code, SQLITE_NOTFOUND without a row. */
int sqlite_query_integer(sqlite3 *handle, const char *sql, int64_t *value);

/* --- statements ------------------------------------------------------------------------------- */

int sqlite_statements_prepare(sqlite3 *handle, const char *const *sql, sqlite3_stmt **statements,
                              size_t count);
void sqlite_statements_finalize(sqlite3_stmt **statements, size_t count);
/* Steps a statement that gives no rows and resets it; SQLITE_OK or the (extended) error. */
int sqlite_statement_run(sqlite3_stmt *statement);
/* Steps; SQLITE_ROW (not yet reset), or SQLITE_DONE or an error, both reset. */
int sqlite_statement_row(sqlite3_stmt *statement);

/* How a status is stored; never renumber. */
enum sqlite_stored_status {
    SQLITE_STORED_HELD = 1,
    SQLITE_STORED_CONFIRMED = 2,
    SQLITE_STORED_CANCELLED = 3,
    SQLITE_STORED_EXPIRED = 4,
    SQLITE_STORED_REJECTED = 5,
};
/* From the columns of SQLITE_RESERVATION_SELECT; SQLITE_OK, or SQLITE_CORRUPT for a status that no
 * version has written. */
int sqlite_reservation_from_row(sqlite3_stmt *row, struct resv_reservation *reservation);
#define SQLITE_RESERVATION_SELECT                                                                  \
    "SELECT concert_id, member_id, quantity, status FROM reservations WHERE id = ?1"
#define SQLITE_LIVE_STATUSES "(1, 2)" /* HELD, CONFIRMED */

/* --- workers (sqlite_worker.c) ---------------------------------------------------------------- */

/* A thread with its own connection and an inbox. */
struct sqlite_worker {
    struct sqlite_link *link;
    const char *name;
    /* On the worker's thread. `open` fills the problem when it returns false. `maintain` (may be
     * NULL) runs after each message and when its time has come; it gives the milliseconds until it
     * wants to run again, 0 for only after the next message. */
    bool (*open)(struct sqlite_worker *worker, struct sqlite_problem *problem);
    uint64_t (*maintain)(struct sqlite_worker *worker);
    void (*close)(struct sqlite_worker *worker);

    /* The worker thread's. */
    sqlite3 *handle;

    /* The loop's. */
    pthread_t thread;
    bool started;

    /* Under the mutex. */
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    struct sqlite_message *first, *last;
    bool stopping;

    /* Posted by the worker; read on the loop afterwards. */
    bool opened;
    struct sqlite_problem problem;
    struct sqlite_message opened_message;
    struct sqlite_message ended_message;
};

/* The host's clocks are the loop's; workers have this one. */
uint64_t sqlite_monotonic_ns(void);

bool sqlite_worker_init(struct sqlite_worker *worker);
void sqlite_worker_destroy(struct sqlite_worker *worker);
/* Starts the thread; `opened_message` or, when opening failed, that and `ended_message` follow.
 * 0 or an errno. */
int sqlite_worker_start(struct sqlite_worker *worker);
void sqlite_worker_post(struct sqlite_worker *worker, struct sqlite_message *message);
/* It finishes its inbox, closes, posts ended_message and returns. */
void sqlite_worker_stop(struct sqlite_worker *worker);

/* From a worker to the loop. */
void sqlite_link_finished(struct sqlite_link *link, struct sqlite_message *message);

/* --- the writer (sqlite_writer.c, sqlite_batch.c) --------------------------------------------- */

enum sqlite_writer_state {
    SQLITE_WRITER_GOOD,
    /* The last transaction failed before its commit (disk full, somebody else's lock): nothing was
     * taken, each next one is tried. */
    SQLITE_WRITER_REFUSED,
    /* A commit failed half way: its frames may come back after a crash. Nothing is committed until
     * a new connection has checkpointed and truncated the log. */
    SQLITE_WRITER_UNTRUSTED,
    /* The file is damaged: nothing is tried any more. */
    SQLITE_WRITER_DAMAGED,
};

enum sqlite_writer_statement {
    WRITE_BEGIN,
    WRITE_COMMIT,
    WRITE_ROLLBACK,
    WRITE_CONCERT_SEATS,
    WRITE_CONCERT_SELL,
    WRITE_RESERVATION_GET,
    WRITE_RESERVATION_INSERT,
    WRITE_RESERVATION_CANCEL,
    WRITE_MEMBER_EXISTS,
    WRITE_MEMBER_SEATS_GET,
    WRITE_MEMBER_SEATS_ADD,
    WRITE_MEMBER_SEATS_GIVE_BACK,
    WRITE_PROBE,
    WRITE_STATEMENT_COUNT
};

/* A concert within one batch: read once, written once. */
struct sqlite_batch_concert {
    int64_t id;
    bool exists;
    int64_t capacity;
    int64_t sold_before;
    int64_t sold;
    int64_t member_limit;
};

struct sqlite_batch_slot {
    uint32_t generation; /* of the batch that filled it */
    uint32_t index;
};

struct sqlite_writer {
    struct sqlite_worker worker;
    struct sqlite_file file;
    sqlite3_stmt *statements[WRITE_STATEMENT_COUNT];

    enum sqlite_writer_state state;
    char detail[256];
    uint64_t retry_ms;    /* the current backoff */
    uint64_t retry_at_ns; /* 0: none planned */

    int64_t wal_bytes;
    int64_t page_bytes;
    uint64_t checkpoints;
    uint64_t checkpoint_ns;
    int64_t checkpoint_tried_bytes; /* log size at the last checkpoint that could not finish */

    /* Concerts of the batch being applied, found by a hash of their id. */
    struct sqlite_batch_concert *concerts; /* batch_max */
    size_t concerts_count;
    struct sqlite_batch_slot *slots; /* a power of two, at least 2 * batch_max */
    size_t slots_mask;
    uint32_t generation;
};

bool sqlite_writer_init(struct sqlite_writer *writer, struct sqlite_link *link);
void sqlite_writer_destroy(struct sqlite_writer *writer);
/* BEGIN IMMEDIATE, when anything may be written at all; SQLite's error code. */
int sqlite_writer_begin(struct sqlite_writer *writer);
/* A statement failed before COMMIT: rolls back and notes what follows from it. */
void sqlite_writer_failed(struct sqlite_writer *writer, int error);
/* COMMIT. GRANTED: durable. UNAVAILABLE: certainly nothing was taken. UNKNOWN: not certain. */
enum resv_outcome sqlite_writer_commit(struct sqlite_writer *writer);
void sqlite_batch_run(struct sqlite_worker *worker, struct sqlite_message *message);

/* --- the readers (sqlite_reader.c) ------------------------------------------------------------ */

enum sqlite_reader_statement {
    READ_BEGIN,
    READ_END,
    READ_RESERVATION,
    READ_MEMBER_EXISTS,
    READ_CONCERT,
    READ_MEMBER,
    READ_CONCERTS,
    READ_LIVE_SEATS,
    READ_ALL_CONCERTS,
    READ_STATEMENT_COUNT
};

/* The reader and the scanner. */
struct sqlite_reader {
    struct sqlite_worker worker;
    sqlite3_stmt *statements[READ_STATEMENT_COUNT];
};

void sqlite_reader_init(struct sqlite_reader *reader, struct sqlite_link *link, const char *name);
void sqlite_lookups_run(struct sqlite_worker *worker, struct sqlite_message *message);

/* --- the catalog (sqlite_catalog.c, sqlite_catalog_write.c) ----------------------------------- */

struct sqlite_catalog_message {
    struct sqlite_message message;
    struct sqlite_link *link;
    struct resv_op *op;
    enum resv_outcome outcome;
    struct sqlite_catalog_message *next_free;
};

/* False: out of memory. */
bool sqlite_catalog_init(struct sqlite_link *link);
bool sqlite_catalog_submit(void *self, struct resv_op *op);
/* On the writer's thread. */
enum resv_outcome sqlite_catalog_write(struct sqlite_writer *writer, struct resv_op *op);
/* On the reader's and the scanner's. */
enum resv_outcome sqlite_catalog_read(struct sqlite_reader *reader, struct resv_op *op);
void sqlite_concert_from_row(sqlite3_stmt *row, struct resv_concert *concert);
#define SQLITE_CONCERT_COLUMNS "id, title, venue, starts_at, capacity, sold, member_limit"

/* --- the link (sqlite.c) ---------------------------------------------------------------------- */

enum sqlite_link_state {
    SQLITE_LINK_CREATED,
    SQLITE_LINK_STARTING,
    SQLITE_LINK_OPEN,
    SQLITE_LINK_FAILED,
    SQLITE_LINK_CLOSING,
};

/* What the writer tells the loop beside its messages. */
struct sqlite_writer_report {
    enum sqlite_writer_state state;
    char detail[256];
    uint64_t checkpoints;
    uint64_t checkpoint_ns; /* the last one; 0 when it has been reported */
};

struct sqlite_link {
    struct resv_host *host;
    struct sqlite_link_config config;
    struct sqlite_link_events events;
    enum sqlite_link_state state;
    bool async_open;
    uv_async_t async;
    size_t workers_opened;
    struct sqlite_writer writer;
    struct sqlite_reader reader;
    struct sqlite_reader scanner;
    atomic_bool interrupted;
    atomic_llong wal_bytes; /* after the last commit */

    /* Under the mutex. */
    pthread_mutex_t mutex;
    struct sqlite_message *first, *last;
    struct sqlite_writer_report report;

    /* The loop's copy. */
    struct sqlite_writer_report seen;
    uint64_t health_said_ns;

    struct resv_catalog catalog;
    struct sqlite_catalog_message *catalog_messages; /* catalog_max */
    struct sqlite_catalog_message *catalog_free;
    size_t catalog_under_way;
    bool catalog_was_busy;
};

/* On the writer's thread: makes its state known to the loop, before messages finished later. */
void sqlite_link_report(struct sqlite_link *link, const struct sqlite_writer_report *report);

#endif
