/* What the catalog's files share: tasks, each of which serves one operation (or many reads) on one
 * session. */
#ifndef RESVD_LINKS_MARIADB_CATALOG_H
#define RESVD_LINKS_MARIADB_CATALOG_H

#include "mariadb_internal.h"
#include "mariadb_steps.h"
#include "mariadb_text_internal.h"
#include "resvd/catalog.h"

/* Operations queue by lane, so that none waits for a slower kind: but writes and slow ones together
 * leave one connection of the pool to the reads, and take turns where that is all that is left. */
enum catalog_lane_name {
    CATALOG_READS,  /* get, list: two at a time, gets that wait are joined */
    CATALOG_WRITES, /* create, update: one at a time */
    CATALOG_SLOW,   /* reset, audit: one at a time */
    CATALOG_LANES
};

enum { CATALOG_TASKS = 4, CATALOG_GETS_MAX = 200, CATALOG_ATTEMPTS_MAX = 3 };

struct catalog_lane {
    struct resv_op *first, *last; /* by op->strategy_next */
    size_t count;
};

struct catalog_task {
    struct mariadb_catalog *catalog;
    enum catalog_lane_name lane;
    bool active;       /* waits for a session, or has one */
    bool waiting;      /* for a session */
    size_t waited_for; /* operations that were in line when it began to wait */
    struct database_wait wait;
    struct database_session *session;
    struct resv_op *first; /* what it serves; NULL until it has its first session */
    unsigned attempts;
    struct mariadb_query query;
    /* Of the kinds. */
    bool short_of_memory;
    bool found;
    enum resv_outcome refusal; /* update: STORED when there is none */
    unsigned reset_error;      /* reset: why, while the lock is let go */
    char reset_message[256];
    int64_t highest_fence; /* reset: of all concerts there are, or may have been before the last */
    struct resv_concert before, after;
    int64_t first_id, id_step;
};

struct mariadb_catalog {
    struct resv_catalog seam;
    struct database_link *link;
    size_t operations_max;
    size_t under_way;
    bool was_busy;
    bool interrupted;
    enum catalog_lane_name begun_last; /* of those that are not reads */
    struct catalog_lane lanes[CATALOG_LANES];
    struct catalog_task tasks[CATALOG_TASKS];
    struct resv_deferred pump;
};

/* --- for the kinds (mariadb_catalog.c) ---------------------------------------------------------
 */

/* A text of at most so many bytes, on the task's session. False: none to be had, and the task was
 * ended as UNAVAILABLE. */
bool catalog_text(struct catalog_task *task, size_t size, struct mariadb_text *text);
/* Sends what was written since catalog_text. result may be NULL. */
void catalog_send(struct catalog_task *task, const struct mariadb_text *text, uint64_t timeout_ms,
                  void (*result)(struct mariadb_query *, size_t, MYSQL_RES *, uint64_t),
                  void (*done)(struct mariadb_query *));
uint64_t catalog_timeout_ms(const struct catalog_task *task);
/* The query has failed and nothing was taken: begins again on another session where that may help,
 * else ends as UNAVAILABLE. */
void catalog_failed(struct catalog_task *task);
/* Gives the session back and completes what the task serves; nothing of it may be used after. */
void catalog_finish(struct catalog_task *task, enum resv_outcome outcome);

/* --- the kinds ---------------------------------------------------------------------------------
 */

void catalog_get(struct catalog_task *task); /* all of task->first …, CONCERT_GET and MEMBER_GET */
/* What each of them completes with. */
enum resv_outcome catalog_get_outcome(const struct resv_op *op);
void catalog_list(struct catalog_task *task);
void catalog_write(struct catalog_task *task); /* create, update */
void catalog_reset(struct catalog_task *task);
void catalog_audit(struct catalog_task *task);

#define CATALOG_CONCERT_COLUMNS "id, title, venue, starts_at, capacity, sold, member_limit"
/* From a row of these columns. */
void catalog_read_concert(MYSQL_RES *rows, MYSQL_ROW row, struct resv_concert *concert);

#endif
