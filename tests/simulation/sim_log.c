/* The log: a commit is seen by everybody at once, is on disk a while later, and its own session is
 * answered then. One writer brings to the disk all that was committed when it began.
 *
 *   durable <= flushing_to <= end      positions of commits, in their order
 *
 * A crash leaves what is on disk, and perhaps some of what was on its way there: always a beginning
 * of the rest. What is lost is taken back, the newest first, as if it had never been. */
#include "sim_log.h"

#include <inttypes.h>
#include <stdlib.h>

#include "resvd/assert.h"
#include "sim_checker.h"

struct row_change {
    struct sim_record *record;
    bool inserted;
    bool cancelled;
};

struct concert_change {
    struct sim_concert *concert;
    struct resv_concert before;
    int64_t fence_before;
};

struct position_change {
    struct sim_position *position;
    bool existed;
    int64_t offset_before;
};

/* One that is not on disk yet. */
struct sim_commit {
    struct sim_commit *older;
    uint64_t position;
    struct row_change *rows;
    size_t rows_count;
    struct concert_change *concerts;
    size_t concerts_count;
    struct position_change *positions;
    size_t positions_count;
};

static void free_commit(struct sim_commit *commit)
{
    free(commit->rows);
    free(commit->concerts);
    free(commit->positions);
    free(commit);
}

/* --- flushing --------------------------------------------------------------------------------- */

static void become_durable(struct sim_server *server, uint64_t position)
{
    struct sim_commit **link = &server->log.commits;
    server->log.durable = position;
    while (*link != NULL && (*link)->position > position)
        link = &(*link)->older;
    while (*link != NULL) {
        struct sim_commit *commit = *link;
        *link = commit->older;
        free_commit(commit);
    }
    for (struct sim_connection *each = server->connections; each != NULL; each = each->next) {
        if (each->flushing && each->committed_at <= position)
            server_wake(each);
    }
}

static void begin_flush(struct sim_server *server)
{
    struct sim_world *world = server->world;
    if (schedule_has(&server->log.flush) || server->log.durable == server->log.end)
        return;
    server->log.flushing_to = server->log.end;
    schedule_after(&world->schedule, &server->log.flush,
                   chance_skewed(&world->chance, world->scenario.flush_max_us * NS_PER_US));
}

static void flushed(struct sim_event *event)
{
    struct sim_server *server = event->data;
    SIM_TRACE(server->world, "db", "has commits up to %" PRIu64 " on disk",
              server->log.flushing_to);
    become_durable(server, server->log.flushing_to);
    begin_flush(server);
}

void log_open(struct sim_server *server)
{
    server->log.flush = (struct sim_event){
        .fire = flushed, .data = server, .held_until_ns = &server->stalled_until_ns};
}

void log_flush_all(struct sim_server *server)
{
    schedule_cancel(&server->world->schedule, &server->log.flush);
    become_durable(server, server->log.end);
}

bool log_is_durable(const struct sim_server *server, uint64_t position)
{
    return position <= server->log.durable;
}

/* --- committing ------------------------------------------------------------------------------- */

static void note_rows(struct sim_commit *commit, const struct sim_connection *connection)
{
    size_t count = 0;
    for (const struct sim_record *row = connection->rows; row != NULL; row = row->transaction_next)
        count++;
    commit->rows = calloc(count + 1, sizeof commit->rows[0]);
    RESV_ASSERT(commit->rows != NULL);
    for (struct sim_record *row = connection->rows; row != NULL; row = row->transaction_next)
        commit->rows[commit->rows_count++] =
            (struct row_change){.record = row,
                                .inserted = row->inserter == connection,
                                .cancelled = row->canceller == connection};
}

static void note_concerts(struct sim_commit *commit, const struct sim_connection *connection)
{
    size_t count = 0;
    for (const struct sim_hold *hold = connection->holds; hold != NULL;
         hold = hold->next_of_connection)
        count++;
    commit->concerts = calloc(count + 1, sizeof commit->concerts[0]);
    RESV_ASSERT(commit->concerts != NULL);
    for (const struct sim_hold *hold = connection->holds; hold != NULL;
         hold = hold->next_of_connection) {
        struct sim_concert *concert = hold->lock->concert;
        if (hold->exclusive && concert != NULL)
            commit->concerts[commit->concerts_count++] = (struct concert_change){
                .concert = concert, .before = concert->committed, .fence_before = concert->fence};
    }
}

static void note_positions(struct sim_commit *commit, const struct sim_connection *connection)
{
    size_t count = 0;
    for (const struct sim_hold *hold = connection->holds; hold != NULL;
         hold = hold->next_of_connection)
        count += hold->lock->position != NULL;
    commit->positions = calloc(count + 1, sizeof commit->positions[0]);
    RESV_ASSERT(commit->positions != NULL);
    for (const struct sim_hold *hold = connection->holds; hold != NULL;
         hold = hold->next_of_connection) {
        struct sim_position *position = hold->lock->position;
        if (position != NULL) /* nobody shares them */
            commit->positions[commit->positions_count++] =
                (struct position_change){.position = position,
                                         .existed = position->exists,
                                         .offset_before = position->next_offset};
    }
}

void log_commit(struct sim_connection *connection)
{
    struct sim_server *server = connection->server;
    struct sim_commit *commit = calloc(1, sizeof *commit);
    RESV_ASSERT(commit != NULL);
    commit->position = ++server->log.end;
    note_rows(commit, connection);
    note_concerts(commit, connection);
    note_positions(commit, connection);
    commit->older = server->log.commits;
    server->log.commits = commit;
    connection->committed_at = commit->position;
    begin_flush(server);
}

/* --- a crash ---------------------------------------------------------------------------------- */

static void take_back(struct sim_server *server, const struct sim_commit *commit)
{
    for (size_t i = 0; i < commit->concerts_count; i++) {
        struct sim_concert *concert = commit->concerts[i].concert;
        concert->committed = commit->concerts[i].before;
        concert->now = concert->committed;
        concert->fence = concert->fence_now = commit->concerts[i].fence_before;
    }
    for (size_t i = 0; i < commit->positions_count; i++) {
        const struct position_change *change = &commit->positions[i];
        change->position->exists = change->position->exists_now = change->existed;
        change->position->next_offset = change->position->next_now = change->offset_before;
    }
    for (size_t i = 0; i < commit->rows_count; i++) {
        const struct row_change *change = &commit->rows[i];
        tables_take_back(server, change->record, change->inserted, change->cancelled);
        if (change->inserted && server->world->checker != NULL)
            stock_check_lost(server->world, change->record);
    }
    for (size_t i = 0; i < commit->rows_count; i++) {
        const struct resv_reservation *row = &commit->rows[i].record->content;
        checker_lost(server->world->checker, tables_concert(server, row->concert_id),
                     row->member_id);
    }
    for (size_t i = 0; i < commit->concerts_count; i++)
        checker_lost(server->world->checker, commit->concerts[i].concert, 0);
}

void log_crash(struct sim_server *server)
{
    struct sim_world *world = server->world;
    uint64_t end = server->log.end;
    uint64_t kept =
        server->log.durable + chance_below(&world->chance, end - server->log.durable + 1);
    SIM_TRACE(world, "db", "has lost %" PRIu64 " commits that were seen", end - kept);
    while (server->log.commits != NULL && server->log.commits->position > kept) {
        struct sim_commit *commit = server->log.commits;
        server->log.commits = commit->older;
        take_back(server, commit);
        free_commit(commit);
    }
    server->log.end = kept;
    log_flush_all(server);
}
