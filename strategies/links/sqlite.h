/* The SQLite link: one database file, three threads, and what resvd asks of them.
 *
 *   loop --inbox--> writer   batches of reservations and releases, catalog writes, checkpoints
 *        --inbox--> reader   point lookups: never behind the writer's fsync
 *        --inbox--> scanner  list and audit
 *   loop <--outbox-- all of them, through one uv_async_t
 *
 * All functions are called on the loop thread, none blocks, and all callbacks come on it, those of
 * one worker in the order in which it finished. Memory of a batch and of lookups is the caller's;
 * from hand-over to `done` it belongs to the worker.
 */
#ifndef RESVD_LINKS_SQLITE_H
#define RESVD_LINKS_SQLITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "resvd/catalog.h"
#include "resvd/host.h"
#include "resvd/metric.h"
#include "resvd/op.h"

struct sqlite_link;
struct sqlite_worker;

struct sqlite_link_config {
    const char *file;      /* path; valid until closed */
    const char *setting;   /* what start errors name: "[strategy.embedded] file"; as long */
    size_t batch_max;      /* items in one batch, 1..100,000 */
    size_t catalog_max;    /* catalog operations under way; more are refused as busy */
    int64_t cache_bytes;   /* page cache of the writer; the other two take a quarter each */
    int64_t wal_max_bytes; /* the writer checkpoints when the log has grown to this */
    const char *vfs_name;  /* for tests: the SQLite VFS to open the file with; NULL: the system's */
};

struct sqlite_link_events {
    void *data;
    /* Exactly one of these two follows sqlite_link_start. */
    void (*opened)(void *data);
    void (*open_failed)(void *data, int exit_code, const char *message);
    /* Batches would be refused from now on (or are taken again): see sqlite_link_writable. */
    void (*writable_changed)(void *data);
    /* A catalog write was done. concert_id 0: everything may be different, members too. Comes
     * before the operation completes, in order with the batches. */
    void (*catalog_changed)(void *data, int64_t concert_id);
    /* A catalog operation has completed. */
    void (*catalog_done)(void *data);
    /* After sqlite_link_close: all memory is freed. May come from inside it. */
    void (*closed)(void *data);
};

/* The link's own metrics; the strategy lists them beside its own. */
extern const struct resv_metric_table sqlite_link_metrics;

/* No I/O. Copies config and events. NULL when out of memory. */
struct sqlite_link *sqlite_link_create(struct resv_host *host,
                                       const struct sqlite_link_config *config,
                                       const struct sqlite_link_events *events);
/* Locks, checks and migrates the file on the writer thread. */
void sqlite_link_start(struct sqlite_link *link);
/* Finishes what is in the inboxes (their `done` still come), closes the file, frees the link.
 * Allowed in every state, once. */
void sqlite_link_close(struct sqlite_link *link);
/* Scans and catalog writes under way are given up as soon as they notice; they complete as
 * UNAVAILABLE. For a drain whose deadline has come. */
void sqlite_link_interrupt(struct sqlite_link *link);

/* False while nothing can be committed that would be certain to last (a sync failed and the log has
 * not been checkpointed since, or the file is damaged): batches come back UNAVAILABLE. */
bool sqlite_link_writable(const struct sqlite_link *link);

/* Concerts and members; completes operations itself. Busy when catalog_max are under way; says
 * resv_host_ready_for_more afterwards. */
struct resv_catalog *sqlite_link_catalog(struct sqlite_link *link);
size_t sqlite_link_catalog_under_way(const struct sqlite_link *link);

/* The head of everything that is handed to a worker; the link's own. */
struct sqlite_message {
    struct sqlite_message *next;
    void (*run)(struct sqlite_worker *worker, struct sqlite_message *message);
    void (*finished)(struct sqlite_link *link, struct sqlite_message *message);
};

/* --- batches: many reservations and releases, one transaction --------------------------------- */

enum sqlite_item_kind { SQLITE_ITEM_RESERVE, SQLITE_ITEM_RELEASE };

struct sqlite_item {
    enum sqlite_item_kind kind;
    bool keyed; /* RESERVE: a row with this id may exist and is then a replay */
    struct resv_id id;
    int64_t concert_id;
    int64_t member_id;
    int64_t quantity;
    void *user; /* the caller's */
    /* Result: GRANTED, SOLD_OUT, LIMIT, UNKNOWN_CONCERT, UNKNOWN_MEMBER, KEY_REUSED, RELEASED,
     * NOT_FOUND, UNAVAILABLE (nothing taken), UNKNOWN (the commit failed half way). */
    enum resv_outcome outcome;
    struct resv_reservation reservation; /* when GRANTED */
};

/* A concert that a batch has read, as it was when the batch was committed. */
struct sqlite_concert_seats {
    int64_t concert_id;
    int64_t remaining; /* capacity - sold */
};

struct sqlite_batch {
    struct sqlite_message message;
    void *data; /* the caller's */
    void (*done)(struct sqlite_batch *batch);
    int64_t wall_ms; /* created_at and updated_at of its rows */
    struct sqlite_item *items;
    size_t count; /* 1..batch_max */
    /* Result. `concerts` has room for batch_max; concerts_count is 0 unless committed. */
    struct sqlite_concert_seats *concerts;
    size_t concerts_count;
    bool committed;
    uint64_t commit_ns; /* from BEGIN until COMMIT had returned */
};

/* Items are applied in order; the first that fit win, and a seat released by one may be sold to a
 * later one of the same batch. */
void sqlite_link_apply(struct sqlite_link *link, struct sqlite_batch *batch);

/* --- lookups: committed facts ----------------------------------------------------------------- */

struct sqlite_lookup {
    bool want_reservation;
    struct resv_id id;
    int64_t member_id; /* 0: not asked for */
    void *user;        /* the caller's */
    /* Result. */
    bool failed; /* the file could not be read */
    bool found;
    struct resv_reservation reservation;
    bool member_exists;
};

/* All read from one snapshot, taken after the hand-over. */
struct sqlite_lookups {
    struct sqlite_message message;
    void *data; /* the caller's */
    void (*done)(struct sqlite_lookups *lookups);
    struct sqlite_lookup *items;
    size_t count;
};

void sqlite_link_look_up(struct sqlite_link *link, struct sqlite_lookups *lookups);

#endif
