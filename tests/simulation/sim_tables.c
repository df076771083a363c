/* The tables: what is committed, and what open transactions have changed. */
#include <stdlib.h>
#include <string.h>

#include "resvd/assert.h"
#include "sim_checker.h"
#include "sim_log.h"

struct sim_concert *tables_concert(struct sim_server *server, int64_t id)
{
    return id >= 1 && (uint64_t)id <= server->concert_count ? server->concerts[id - 1] : NULL;
}

struct sim_member *tables_member(struct sim_server *server, int64_t id)
{
    return id >= 1 && (uint64_t)id <= server->member_count ? server->members[id - 1] : NULL;
}

static struct sim_record **bucket_of(struct sim_server *server, const struct resv_id *id)
{
    uint64_t halves[2];
    memcpy(halves, id->bytes, sizeof halves);
    uint64_t hash = (halves[0] ^ (halves[1] * 31)) * 0x9e3779b97f4a7c15;
    return &server->buckets[(hash >> 40) % SIM_BUCKETS];
}

struct sim_record *tables_find(struct sim_server *server, const struct resv_id *id)
{
    struct sim_record *record = *bucket_of(server, id);
    while (record != NULL && memcmp(record->id.bytes, id->bytes, RESV_ID_SIZE) != 0)
        record = record->hash_next;
    return record;
}

struct sim_record *tables_record(struct sim_server *server, const struct resv_id *id)
{
    struct sim_record *record = tables_find(server, id);
    if (record != NULL)
        return record;
    record = calloc(1, sizeof *record);
    RESV_ASSERT(record != NULL);
    struct sim_record **bucket = bucket_of(server, id);
    record->id = *id;
    record->hash_next = *bucket;
    *bucket = record;
    return record;
}

bool tables_sees(const struct sim_connection *connection, const struct sim_record *record)
{
    return record->exists || (record->inserter == connection && record->inserter != NULL);
}

bool tables_sees_live(const struct sim_connection *connection, const struct sim_record *record)
{
    return tables_sees(connection, record) && (record->live || !record->exists) &&
           record->content.status == RESV_STATUS_CONFIRMED && record->canceller != connection;
}

int64_t tables_member_live(const struct sim_concert *concert, int64_t member_id)
{
    int64_t seats = 0;
    for (const struct sim_record *record = concert->rows; record != NULL;
         record = record->concert_next) {
        if (record->live && record->content.member_id == member_id)
            seats += record->content.quantity;
    }
    return seats;
}

/* --- in a transaction ------------------------------------------------------------------------- */

static void belongs(struct sim_connection *connection, struct sim_record *record)
{
    connection->wrote = true;
    for (struct sim_record *row = connection->rows; row != NULL; row = row->transaction_next) {
        if (row == record)
            return;
    }
    record->transaction_next = connection->rows;
    connection->rows = record;
}

void tables_insert(struct sim_connection *connection, struct sim_record *record,
                   const struct resv_reservation *content, uint64_t creator)
{
    RESV_ASSERT(!record->exists && record->inserter == NULL);
    record->inserter = connection;
    record->content = *content;
    record->creator = creator;
    record->transaction_next = connection->rows; /* a new row is on no list: no need to look */
    connection->rows = record;
    connection->wrote = true;
}

void tables_uninsert(struct sim_connection *connection, struct sim_record *record)
{
    RESV_ASSERT(record->inserter == connection);
    struct sim_record **link = &connection->rows;
    while (*link != record)
        link = &(*link)->transaction_next;
    *link = record->transaction_next;
    record->inserter = NULL;
    lock_let_go(connection, &record->lock);
}

void tables_cancel(struct sim_connection *connection, struct sim_record *record, uint64_t ender)
{
    RESV_ASSERT(record->canceller == NULL);
    record->canceller = connection;
    record->ender = ender;
    belongs(connection, record);
}

static void forget(struct sim_connection *connection)
{
    lock_stop_waiting(connection);
    connection->open = false;
    connection->wrote = false;
    connection->rows = NULL;
    free(connection->snapshot);
    connection->snapshot = NULL;
    for (struct sim_hold *hold = connection->holds; hold != NULL; hold = hold->next_of_connection) {
        struct sim_concert *concert = hold->lock->concert;
        if (hold->exclusive && concert != NULL) {
            concert->token = 0;
            concert->overwritten = false;
        }
    }
    lock_release_all(connection);
}

static void apply_row(struct sim_connection *connection, struct sim_record *record)
{
    struct sim_server *server = connection->server;
    struct sim_concert *concert = tables_concert(server, record->content.concert_id);
    if (record->inserter == connection) {
        record->inserter = NULL;
        record->exists = true;
        record->live = record->content.status == RESV_STATUS_CONFIRMED;
        record->created_ns = server->world->schedule.now_ns;
        record->created_at = connection->committed_at;
        record->concert_next = concert->rows;
        concert->rows = record;
        if (record->live)
            concert->live += record->content.quantity;
    }
    if (record->canceller == connection) {
        record->canceller = NULL;
        record->live = false;
        record->ended_ns = server->world->schedule.now_ns;
        record->ended_at = connection->committed_at;
        concert->live -= record->content.quantity;
    }
}

void tables_commit(struct sim_connection *connection)
{
    struct sim_world *world = connection->server->world;
    if (connection->wrote) {
        log_commit(connection);
        for (struct sim_record *row = connection->rows; row != NULL; row = row->transaction_next)
            apply_row(connection, row);
        for (struct sim_hold *hold = connection->holds; hold != NULL;
             hold = hold->next_of_connection) {
            struct sim_concert *concert = hold->lock->concert;
            if (hold->exclusive && concert != NULL) {
                concert->committed = concert->now;
                concert->fence = concert->fence_now;
            }
            struct sim_position *position = hold->lock->position;
            if (hold->exclusive && position != NULL) {
                position->exists = position->exists_now;
                position->next_offset = position->next_now;
            }
        }
        checker_committed(world->checker, connection);
    }
    forget(connection);
}

void tables_rollback(struct sim_connection *connection)
{
    for (struct sim_record *row = connection->rows; row != NULL; row = row->transaction_next) {
        if (row->inserter == connection)
            row->inserter = NULL;
        if (row->canceller == connection)
            row->canceller = NULL;
    }
    for (struct sim_hold *hold = connection->holds; hold != NULL; hold = hold->next_of_connection) {
        struct sim_concert *concert = hold->lock->concert;
        if (hold->exclusive && concert != NULL) {
            concert->now = concert->committed;
            concert->fence_now = concert->fence;
        }
        struct sim_position *position = hold->lock->position;
        if (hold->exclusive && position != NULL) {
            position->exists_now = position->exists;
            position->next_now = position->next_offset;
        }
    }
    forget(connection);
}

void tables_take_back(struct sim_server *server, struct sim_record *record, bool inserted,
                      bool cancelled)
{
    struct sim_concert *concert = tables_concert(server, record->content.concert_id);
    record->lost_ns = server->world->schedule.now_ns;
    if (cancelled) {
        record->live = true;
        record->ender = 0;
        concert->live += record->content.quantity;
    }
    if (inserted) {
        struct sim_record **link = &concert->rows;
        while (*link != record)
            link = &(*link)->concert_next;
        *link = record->concert_next;
        if (record->live)
            concert->live -= record->content.quantity;
        record->exists = false;
        record->live = false;
    }
}

/* --- what the catalog does -------------------------------------------------------------------- */

struct sim_concert *tables_add_concert(struct sim_server *server, const struct resv_concert *wanted)
{
    size_t count = server->concert_count + 1;
    server->concerts = realloc(server->concerts, count * sizeof server->concerts[0]);
    RESV_ASSERT(server->concerts != NULL);
    struct sim_concert *concert = calloc(1, sizeof *concert);
    RESV_ASSERT(concert != NULL);
    concert->lock.concert = concert;
    concert->committed = *wanted;
    concert->committed.id = (int64_t)count;
    concert->committed.sold = 0;
    concert->now = concert->committed;
    concert->fence = concert->fence_now = server->first_fence;
    concert->created_ns = server->world->schedule.now_ns;
    server->concerts[count - 1] = concert;
    server->concert_count = count;
    checker_concert_made(server->world->checker, concert);
    return concert;
}

void tables_add_member(struct sim_server *server)
{
    size_t count = server->member_count + 1;
    server->members = realloc(server->members, count * sizeof server->members[0]);
    RESV_ASSERT(server->members != NULL);
    server->members[count - 1] = calloc(1, sizeof *server->members[0]);
    RESV_ASSERT(server->members[count - 1] != NULL);
    server->members[count - 1]->created_ns = server->world->schedule.now_ns;
    server->member_count = count;
}

/* Nobody may have a lock. */
void tables_reset(struct sim_server *server)
{
    log_flush_all(server);
    for (size_t i = 0; i < SIM_BUCKETS; i++) {
        while (server->buckets[i] != NULL) {
            struct sim_record *record = server->buckets[i];
            RESV_ASSERT(record->lock.holds == NULL && record->lock.waiters == NULL);
            server->buckets[i] = record->hash_next;
            free(record);
        }
    }
    for (size_t i = 0; i < server->concert_count; i++) {
        RESV_ASSERT(server->concerts[i]->lock.holds == NULL);
        if (server->concerts[i]->fence >= server->first_fence)
            server->first_fence = server->concerts[i]->fence + 1;
        free(server->concerts[i]);
    }
    for (size_t i = 0; i < server->member_count; i++)
        free(server->members[i]);
    free(server->concerts);
    free(server->members);
    server->concerts = NULL;
    server->members = NULL;
    server->concert_count = 0;
    server->member_count = 0;
}
