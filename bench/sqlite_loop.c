/* The raw group-commit loop: what SQLite gives when nothing else is done.
 *
 *   sqlite_loop FILE ROWS_PER_TRANSACTION SECONDS CACHE_BYTES WAL_MAX_BYTES FIRST_MEMBER MEMBERS
 *
 * FILE is a database that resvd has made, with concert 1 and the members in it: so the schema, the
 * page size and the work per row are those of the strategy `embedded`. Each transaction reads the
 * concert, inserts its rows, updates the concert and commits (WAL, synchronous=FULL); the log is
 * moved into the file when it has grown to WAL_MAX_BYTES. Prints one line of JSON. */
#include <inttypes.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define ID_BYTES     16
#define ARGUMENTS    8
#define NS_PER_S     1000000000ULL
#define WAL_HEADER   32
#define FRAME_HEADER 24

enum statement { BEGIN, SEATS, INSERT, SELL, COMMIT, STATEMENT_COUNT };

static const char *const statement_sql[STATEMENT_COUNT] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [SEATS] = "SELECT capacity, sold, member_limit FROM concerts WHERE id = 1",
    [INSERT] = ("INSERT INTO reservations "
                "(id, concert_id, member_id, quantity, status, created_at, updated_at) "
                "VALUES (?1, 1, ?2, 1, 2, ?3, ?3)"),
    [SELL] = ("UPDATE concerts SET sold = sold + ?1 "
              "WHERE id = 1 AND sold + ?1 BETWEEN 0 AND capacity"),
    [COMMIT] = "COMMIT",
};

struct loop {
    sqlite3 *handle;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    int64_t rows_per_transaction;
    int64_t cache_bytes;
    int64_t wal_max_bytes;
    int64_t wal_bytes;
    int64_t page_bytes;
    int64_t first_member;
    int64_t members;
    uint64_t random_state;
    uint64_t sequence; /* rows so far */
};

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static void check(struct loop *loop, int result, const char *doing)
{
    if (result == SQLITE_OK || result == SQLITE_ROW || result == SQLITE_DONE)
        return;
    fprintf(stderr, "sqlite_loop: %s: %s\n", doing,
            loop->handle == NULL ? sqlite3_errstr(result) : sqlite3_errmsg(loop->handle));
    exit(1);
}

static void run(struct loop *loop, enum statement which)
{
    sqlite3_stmt *statement = loop->statements[which];
    int result = sqlite3_step(statement);
    check(loop, result, statement_sql[which]);
    check(loop, sqlite3_reset(statement), statement_sql[which]);
}

static int after_commit(void *data, sqlite3 *handle, const char *database, int frames)
{
    (void)handle;
    (void)database;
    struct loop *loop = data;
    loop->wal_bytes = WAL_HEADER + (int64_t)frames * (loop->page_bytes + FRAME_HEADER);
    return SQLITE_OK;
}

static int64_t query_integer(struct loop *loop, const char *sql)
{
    sqlite3_stmt *query = NULL;
    check(loop, sqlite3_prepare_v2(loop->handle, sql, -1, &query, NULL), sql);
    check(loop, sqlite3_step(query), sql);
    int64_t value = sqlite3_column_int64(query, 0);
    sqlite3_finalize(query);
    return value;
}

static void open_file(struct loop *loop, const char *path)
{
    check(loop,
          sqlite3_open_v2(path, &loop->handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL),
          path);
    /* The settings of the writer's connection in resvd. */
    sqlite3_db_config(loop->handle, SQLITE_DBCONFIG_ENABLE_FKEY, 1, NULL);
    char settings[256];
    snprintf(settings, sizeof settings,
             "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = OFF;"
             "PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -%" PRId64
             "; PRAGMA journal_size_limit = %" PRId64,
             loop->cache_bytes / 1024, loop->wal_max_bytes);
    check(loop, sqlite3_exec(loop->handle, settings, NULL, NULL, NULL), settings);
    loop->page_bytes = query_integer(loop, "PRAGMA page_size");
    sqlite3_wal_hook(loop->handle, after_commit, loop);
    for (int i = 0; i < STATEMENT_COUNT; i++)
        check(loop,
              sqlite3_prepare_v3(loop->handle, statement_sql[i], -1, SQLITE_PREPARE_PERSISTENT,
                                 &loop->statements[i], NULL),
              statement_sql[i]);
}

static uint64_t next_random(struct loop *loop)
{
    /* xorshift64*, https://doi.org/10.18637/jss.v008.i14 */
    loop->random_state ^= loop->random_state >> 12;
    loop->random_state ^= loop->random_state << 25;
    loop->random_state ^= loop->random_state >> 27;
    return loop->random_state * 0x2545f4914f6cdd1dULL;
}

/* A UUIDv7 whose time part only grows, so rows are appended as with resvd's own. */
static void next_id(struct loop *loop, int64_t wall_ms, unsigned char id[ID_BYTES])
{
    for (int i = 0; i < 6; i++)
        id[i] = (unsigned char)(wall_ms >> (40 - 8 * i));
    uint64_t sequence = loop->sequence++;
    for (int i = 0; i < 4; i++)
        id[6 + i] = (unsigned char)(sequence >> (24 - 8 * i));
    uint64_t chance = next_random(loop);
    memcpy(id + 10, &chance, 6);
    id[6] = (unsigned char)(0x70 | (id[6] & 0x0f));
    id[8] = (unsigned char)(0x80 | (id[8] & 0x3f));
}

static void transaction(struct loop *loop)
{
    int64_t wall_ms = (int64_t)(clock_ns(CLOCK_REALTIME) / 1000000);
    sqlite3_stmt *insert = loop->statements[INSERT];
    unsigned char id[ID_BYTES];
    run(loop, BEGIN);
    run(loop, SEATS);
    sqlite3_bind_int64(insert, 3, wall_ms);
    for (int64_t i = 0; i < loop->rows_per_transaction; i++) {
        next_id(loop, wall_ms, id);
        sqlite3_bind_blob(insert, 1, id, ID_BYTES, SQLITE_STATIC);
        int64_t member = loop->first_member + (int64_t)(loop->sequence % (uint64_t)loop->members);
        sqlite3_bind_int64(insert, 2, member);
        run(loop, INSERT);
    }
    sqlite3_bind_int64(loop->statements[SELL], 1, loop->rows_per_transaction);
    run(loop, SELL);
    if (sqlite3_changes(loop->handle) != 1) {
        fprintf(stderr, "sqlite_loop: concert 1 is sold out or missing\n");
        exit(1);
    }
    run(loop, COMMIT);
    if (loop->wal_bytes >= loop->wal_max_bytes) {
        check(
            loop,
            sqlite3_wal_checkpoint_v2(loop->handle, "main", SQLITE_CHECKPOINT_PASSIVE, NULL, NULL),
            "checkpoint");
        loop->wal_bytes = 0;
    }
}

static bool read_integer(const char *text, int64_t minimum, int64_t *value)
{
    char *end;
    *value = strtoll(text, &end, 10);
    return *text != '\0' && *end == '\0' && *value >= minimum;
}

int main(int count, char **arguments)
{
    struct loop loop = {.random_state = clock_ns(CLOCK_REALTIME) | 1};
    double seconds;
    if (count != ARGUMENTS || !read_integer(arguments[2], 1, &loop.rows_per_transaction) ||
        (seconds = atof(arguments[3])) <= 0 || !read_integer(arguments[4], 1, &loop.cache_bytes) ||
        !read_integer(arguments[5], 1, &loop.wal_max_bytes) ||
        !read_integer(arguments[6], 1, &loop.first_member) ||
        !read_integer(arguments[7], 1, &loop.members)) {
        fprintf(stderr, "usage: sqlite_loop FILE ROWS_PER_TRANSACTION SECONDS CACHE_BYTES "
                        "WAL_MAX_BYTES FIRST_MEMBER MEMBERS\n");
        return 64;
    }
    open_file(&loop, arguments[1]);
    int64_t rows_before = query_integer(&loop, "SELECT count(*) FROM reservations");

    uint64_t started_ns = clock_ns(CLOCK_MONOTONIC);
    uint64_t cpu_started_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    uint64_t transactions = 0, elapsed_ns;
    do {
        transaction(&loop);
        transactions++;
        elapsed_ns = clock_ns(CLOCK_MONOTONIC) - started_ns;
    } while ((double)elapsed_ns < seconds * (double)NS_PER_S);
    uint64_t cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_started_ns;

    int64_t rows = query_integer(&loop, "SELECT count(*) FROM reservations") - rows_before;
    int64_t excess = query_integer(&loop, "SELECT sold - (SELECT count(*) FROM reservations) "
                                          "FROM concerts WHERE id = 1");
    printf("{\"rows\":%" PRId64 ",\"transactions\":%" PRIu64
           ",\"seconds\":%.6f,\"cpu_seconds\":%.6f,\"page_bytes\":%" PRId64
           ",\"sold_minus_rows\":%" PRId64 "}\n",
           rows, transactions, (double)elapsed_ns / (double)NS_PER_S,
           (double)cpu_ns / (double)NS_PER_S, loop.page_bytes, excess);
    for (int i = 0; i < STATEMENT_COUNT; i++)
        sqlite3_finalize(loop.statements[i]);
    return sqlite3_close(loop.handle) == SQLITE_OK ? 0 : 1;
}
