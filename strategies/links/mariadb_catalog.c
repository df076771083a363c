/* The catalog's way through sessions: queues, tasks, completion.
 *
 *   submit --> lane --(flush point)--> task --> session --> queries --> completed
 *                                       ^                     |
 *                                       '---- again, if nothing was taken
 *
 * All is begun at the flush point: what came in one loop turn is joined, and nothing completes from
 * inside submit.
 */
#include "mariadb_catalog.h"

#include <stdlib.h>

#include "resvd/assert.h"

/* --- lanes -------------------------------------------------------------------------------------
 */

static enum catalog_lane_name lane_of(enum resv_op_kind kind)
{
    switch (kind) {
    case RESV_OP_CONCERT_GET:
    case RESV_OP_MEMBER_GET:
    case RESV_OP_CONCERT_LIST:
        return CATALOG_READS;
    case RESV_OP_CONCERT_CREATE:
    case RESV_OP_CONCERT_UPDATE:
    case RESV_OP_MEMBER_CREATE:
        return CATALOG_WRITES;
    case RESV_OP_RESET:
    case RESV_OP_AUDIT:
        return CATALOG_SLOW;
    case RESV_OP_RESERVE:
    case RESV_OP_RELEASE:
    case RESV_OP_LOOKUP:
    case RESV_OP_DEAD_LETTER_LIST:
    case RESV_OP_DEAD_LETTER_RETRY:
    case RESV_OP_RECONCILE:
        break;
    }
    RESV_ASSERT(false); /* not a catalog operation */
    return CATALOG_READS;
}

static void push(struct catalog_lane *lane, struct resv_op *op)
{
    op->strategy_next = NULL;
    if (lane->last == NULL)
        lane->first = op;
    else
        lane->last->strategy_next = op;
    lane->last = op;
    lane->count++;
}

static struct resv_op *pop(struct catalog_lane *lane)
{
    struct resv_op *op = lane->first;
    lane->first = op->strategy_next;
    if (lane->first == NULL)
        lane->last = NULL;
    lane->count--;
    op->strategy_next = NULL;
    return op;
}

static bool is_get(const struct resv_op *op)
{
    return op->kind == RESV_OP_CONCERT_GET || op->kind == RESV_OP_MEMBER_GET;
}

/* --- completion --------------------------------------------------------------------------------
 */

/* What strategies remember may be wrong now. */
static void say_changed(const struct mariadb_catalog *catalog, const struct resv_op *op,
                        enum resv_outcome outcome)
{
    if (outcome != RESV_STORED && outcome != RESV_UNKNOWN)
        return;
    const struct database_link_events *events = mariadb_link_events(catalog->link);
    if (outcome == RESV_STORED && op->kind == RESV_OP_CONCERT_UPDATE)
        events->catalog_changed(events->data, op->concert_id);
    else if (outcome == RESV_STORED && op->kind == RESV_OP_CONCERT_CREATE)
        for (size_t i = 0; i < op->catalog->count; i++)
            events->catalog_changed(events->data, op->catalog->concerts[i].id);
    else
        events->catalog_changed(events->data, 0);
}

/* The last thing done to the catalog by whoever calls it: it may be destroyed behind it. */
static void complete(struct mariadb_catalog *catalog, struct resv_op *op, enum resv_outcome outcome)
{
    struct resv_host *host = mariadb_link_host(catalog->link);
    const struct database_link_events *events = mariadb_link_events(catalog->link);
    say_changed(catalog, op, outcome);
    catalog->under_way--;
    bool was_busy = catalog->was_busy;
    catalog->was_busy = false;
    if (events->catalog_answered != NULL)
        events->catalog_answered(events->data, op, outcome);
    else
        resv_op_complete(host, op, outcome);
    if (was_busy)
        resv_host_ready_for_more(host);
    events->catalog_done(events->data);
}

/* Completes a list of operations, each as it is, or all as `outcome`. */
static void complete_all(struct mariadb_catalog *catalog, struct resv_op *first, bool each,
                         enum resv_outcome outcome)
{
    while (first != NULL) {
        struct resv_op *op = first;
        first = op->strategy_next;
        op->strategy_next = NULL;
        complete(catalog, op, each ? catalog_get_outcome(op) : outcome);
    }
}

static void schedule(struct mariadb_catalog *catalog)
{
    resv_defer(mariadb_link_host(catalog->link), &catalog->pump);
}

void catalog_finish(struct catalog_task *task, enum resv_outcome outcome)
{
    struct mariadb_catalog *catalog = task->catalog;
    struct resv_op *first = task->first;
    bool each = first != NULL && is_get(first) && outcome == RESV_FOUND;
    task->first = NULL;
    task->active = false;
    if (task->session != NULL)
        database_give_back(task->session);
    task->session = NULL;
    schedule(catalog);
    complete_all(catalog, first, each, outcome);
}

/* --- queries -----------------------------------------------------------------------------------
 */

uint64_t catalog_timeout_ms(const struct catalog_task *task)
{
    return mariadb_link_statement_timeout_ms(task->catalog->link);
}

bool catalog_text(struct catalog_task *task, size_t size, struct mariadb_text *text)
{
    char *buffer = mariadb_session_text(task->session, size);
    if (buffer == NULL) {
        resv_log(mariadb_link_host(task->catalog->link), RESV_LOG_WARNING,
                 "catalog operation failed", "why",
                 "larger than the server's max_allowed_packet, or out of memory", NULL);
        catalog_finish(task, RESV_UNAVAILABLE);
        return false;
    }
    *text = (struct mariadb_text){.at = buffer, .begin = buffer, .end = buffer + size};
    return true;
}

void catalog_send(struct catalog_task *task, const struct mariadb_text *text, uint64_t timeout_ms,
                  void (*result)(struct mariadb_query *, size_t, MYSQL_RES *, uint64_t),
                  void (*done)(struct mariadb_query *))
{
    RESV_ASSERT(text->at <= text->end);
    task->query = (struct mariadb_query){
        .text = text->begin,
        .length = (size_t)(text->at - text->begin),
        .timeout_ms = timeout_ms,
        .data = task,
        .result = result,
        .done = done,
    };
    mariadb_session_query(task->session, &task->query);
}

/* --- tasks -------------------------------------------------------------------------------------
 */

static void begin(struct catalog_task *task)
{
    task->attempts++;
    task->short_of_memory = false;
    switch (task->first->kind) {
    case RESV_OP_CONCERT_GET:
    case RESV_OP_MEMBER_GET:
        catalog_get(task);
        return;
    case RESV_OP_CONCERT_LIST:
        catalog_list(task);
        return;
    case RESV_OP_CONCERT_CREATE:
    case RESV_OP_CONCERT_UPDATE:
    case RESV_OP_MEMBER_CREATE:
        catalog_write(task);
        return;
    case RESV_OP_RESET:
        catalog_reset(task);
        return;
    case RESV_OP_AUDIT:
        catalog_audit(task);
        return;
    case RESV_OP_RESERVE:
    case RESV_OP_RELEASE:
    case RESV_OP_LOOKUP:
    case RESV_OP_DEAD_LETTER_LIST:
    case RESV_OP_DEAD_LETTER_RETRY:
    case RESV_OP_RECONCILE:
        break;
    }
    RESV_ASSERT(false); /* lane_of knows no other */
}

/* The first in line, or all gets that are at the head of it. */
static void take_operations(struct catalog_task *task)
{
    struct catalog_lane *lane = &task->catalog->lanes[task->lane];
    task->first = pop(lane);
    struct resv_op *last = task->first;
    if (!is_get(last))
        return;
    for (size_t count = 1; count < CATALOG_GETS_MAX && lane->first != NULL && is_get(lane->first);
         count++) {
        last->strategy_next = pop(lane);
        last = last->strategy_next;
    }
}

static void has_session(struct catalog_task *task, struct database_session *session)
{
    struct catalog_lane *lane = &task->catalog->lanes[task->lane];
    task->session = session;
    task->waiting = false;
    if (task->first == NULL) {
        if (lane->first == NULL) { /* served by another, or interrupted */
            catalog_finish(task, RESV_UNAVAILABLE);
            return;
        }
        take_operations(task);
        schedule(task->catalog); /* for the rest */
    }
    begin(task);
}

static void acquired(struct database_wait *wait, struct database_session *session)
{
    has_session(wait->data, session);
}

/* No session: those that waited for it since its beginning are told, and those that came soon after
 * and have waited most of that time too. The others wait anew, at most half as long again. */
static void refused(struct database_wait *wait, enum database_refusal refusal)
{
    (void)refusal;
    struct catalog_task *task = wait->data;
    struct catalog_lane *lane = &task->catalog->lanes[task->lane];
    uint64_t now_ns = resv_now_ns(mariadb_link_host(task->catalog->link));
    uint64_t middle_ns = wait->since_ns + (now_ns - wait->since_ns) / 2;
    task->waiting = false;
    struct resv_op **end = &task->first;
    while (*end != NULL)
        end = &(*end)->strategy_next;
    while (lane->first != NULL && (task->waited_for > 0 || lane->first->created_ns <= middle_ns)) {
        if (task->waited_for > 0)
            task->waited_for--;
        *end = pop(lane);
        end = &(*end)->strategy_next;
    }
    catalog_finish(task, RESV_UNAVAILABLE);
}

static void want_session(struct catalog_task *task)
{
    struct database_link *link = task->catalog->link;
    struct database_session *session = database_acquire(link, DATABASE_READS);
    if (session != NULL) {
        has_session(task, session);
        return;
    }
    task->waiting = true;
    task->waited_for = task->first == NULL ? task->catalog->lanes[task->lane].count : 0;
    task->wait = (struct database_wait){
        .pool = DATABASE_READS, .data = task, .acquired = acquired, .refused = refused};
    database_wait(link, &task->wait);
}

void catalog_failed(struct catalog_task *task)
{
    struct mariadb_catalog *catalog = task->catalog;
    const struct mariadb_query *query = &task->query;
    bool may_help = query->lost;
    if (!query->lost && query->error != 0) {
        enum database_result result = mariadb_result_of_error(query->error);
        may_help = result == DATABASE_LOCK_WAIT || result == DATABASE_DEADLOCK;
    }
    if (may_help && task->attempts < CATALOG_ATTEMPTS_MAX && !catalog->interrupted) {
        database_give_back(task->session); /* closed, if a transaction is open on it */
        task->session = NULL;
        want_session(task);
        return;
    }
    if (task->lane != CATALOG_READS)
        resv_log(mariadb_link_host(catalog->link), RESV_LOG_WARNING, "catalog operation failed",
                 "why", query->message, NULL);
    catalog_finish(task, RESV_UNAVAILABLE);
}

/* --- the flush point ---------------------------------------------------------------------------
 */

static void give_up_waiting(struct mariadb_catalog *catalog)
{
    struct resv_op *first = NULL, **end = &first;
    for (size_t i = 0; i < CATALOG_TASKS; i++) {
        struct catalog_task *task = &catalog->tasks[i];
        if (!task->waiting)
            continue;
        database_wait_cancel(catalog->link, &task->wait);
        task->waiting = false;
        task->active = false;
        *end = task->first;
        task->first = NULL;
        while (*end != NULL)
            end = &(*end)->strategy_next;
    }
    for (size_t i = 0; i < CATALOG_LANES; i++) {
        while (catalog->lanes[i].first != NULL) {
            *end = pop(&catalog->lanes[i]);
            end = &(*end)->strategy_next;
        }
    }
    complete_all(catalog, first, false, RESV_UNAVAILABLE);
}

/* What is not a read may have all connections but one, which is the reads': each may wait long, for
 * a row or for others' schema lock. But one of them may always go on. */
static bool has_room(const struct mariadb_catalog *catalog, enum catalog_lane_name lane)
{
    size_t others = 0, connections = mariadb_link_reads_max(catalog->link);
    for (size_t i = 0; i < CATALOG_TASKS; i++)
        others += catalog->tasks[i].active && catalog->tasks[i].lane != CATALOG_READS;
    return lane == CATALOG_READS || others == 0 || others + 1 < connections;
}

/* At most one task of a lane waits: who waits takes all that has come until then. */
static struct catalog_task *next_task(struct mariadb_catalog *catalog, enum catalog_lane_name lane)
{
    struct catalog_task *idle = NULL;
    if (catalog->lanes[lane].first == NULL || !has_room(catalog, lane))
        return NULL;
    for (size_t i = 0; i < CATALOG_TASKS; i++) {
        struct catalog_task *task = &catalog->tasks[i];
        if (task->lane == lane && task->waiting && task->first == NULL)
            return NULL;
        if (task->lane == lane && !task->active)
            idle = task;
    }
    return idle;
}

static void pump(struct resv_deferred *deferred)
{
    struct mariadb_catalog *catalog = deferred->data;
    if (catalog->interrupted) {
        give_up_waiting(catalog);
        return;
    }
    const size_t first = catalog->begun_last;
    /* The lane that has begun last comes last: where there is room for one of two, they take turns.
     */
    for (size_t i = 1; i <= CATALOG_LANES; i++) {
        enum catalog_lane_name lane = (enum catalog_lane_name)((first + i) % CATALOG_LANES);
        struct catalog_task *task = next_task(catalog, lane);
        if (task == NULL)
            continue;
        if (lane != CATALOG_READS)
            catalog->begun_last = lane;
        task->active = true;
        task->attempts = 0;
        want_session(task); /* schedules again when more is in line */
    }
}

static bool submit(void *self, struct resv_op *op)
{
    struct mariadb_catalog *catalog = self;
    if (catalog->under_way == catalog->operations_max) {
        catalog->was_busy = true;
        return false;
    }
    catalog->under_way++;
    push(&catalog->lanes[lane_of(op->kind)], op);
    schedule(catalog);
    return true;
}

/* --- life --------------------------------------------------------------------------------------
 */

struct mariadb_catalog *mariadb_catalog_create(struct database_link *link, size_t operations_max)
{
    static const enum catalog_lane_name lanes[CATALOG_TASKS] = {CATALOG_READS, CATALOG_READS,
                                                                CATALOG_WRITES, CATALOG_SLOW};
    struct mariadb_catalog *catalog = calloc(1, sizeof *catalog);
    if (catalog == NULL)
        return NULL;
    catalog->seam = (struct resv_catalog){.self = catalog, .submit = submit};
    catalog->link = link;
    catalog->operations_max = operations_max;
    catalog->pump = (struct resv_deferred){.run = pump, .data = catalog};
    for (size_t i = 0; i < CATALOG_TASKS; i++)
        catalog->tasks[i] = (struct catalog_task){.catalog = catalog, .lane = lanes[i]};
    return catalog;
}

struct resv_catalog *mariadb_catalog_seam(struct mariadb_catalog *catalog)
{
    return &catalog->seam;
}

size_t mariadb_catalog_under_way(const struct mariadb_catalog *catalog)
{
    return catalog->under_way;
}

/* Queries under way are the sessions' business, which the link interrupts: they end as lost. */
void mariadb_catalog_interrupt(struct mariadb_catalog *catalog)
{
    catalog->interrupted = true;
    schedule(catalog);
}

void mariadb_catalog_destroy(struct mariadb_catalog *catalog)
{
    if (catalog == NULL)
        return;
    RESV_ASSERT(catalog->under_way == 0);
    resv_defer_cancel(mariadb_link_host(catalog->link), &catalog->pump);
    for (size_t i = 0; i < CATALOG_TASKS; i++) {
        if (catalog->tasks[i].waiting)
            database_wait_cancel(catalog->link, &catalog->tasks[i].wait);
    }
    free(catalog);
}
