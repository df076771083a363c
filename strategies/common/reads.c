/* Lookups that wait at the same moment are joined into one read.
 *
 *   [waiting] --flush point--> read: session --> run --> answers
 *                 ^            (READS_MAX of them)          |
 *                 `----- what has come meanwhile -----------'
 *
 * What a read takes is decided when it has its session: all that waits by then shares it. */
#include <stdlib.h>
#include <string.h>

#include "base_internal.h"
#include "resvd/assert.h"

#define READS_MAX   3   /* under way at once */
#define LOOKUPS_MAX 512 /* in one read */

struct lookup {
    struct resv_op *op;
    const struct database_reservation *item;
};

struct read {
    struct base *base;
    bool busy; /* waits for a session or runs */
    bool running;
    struct database_session *session;
    struct database_wait wait;
    struct database_run run;
    struct database_step step;
    struct database_reservation *items; /* sorted, unique */
    struct lookup *lookups;             /* sorted by id: equal ones share an item */
    size_t count;
};

struct base_reads {
    struct base_op_list waiting;
    size_t lookups_max;
    struct read reads[READS_MAX];
};

bool base_reads_create(struct base *base)
{
    struct base_reads *reads = base->reads = calloc(1, sizeof *reads);
    if (reads == NULL)
        return false;
    size_t rows_max = base->plan->rows_max;
    reads->lookups_max = rows_max < LOOKUPS_MAX ? rows_max : LOOKUPS_MAX;
    for (size_t i = 0; i < READS_MAX; i++) {
        struct read *read = &reads->reads[i];
        read->base = base;
        read->items = calloc(reads->lookups_max, sizeof *read->items);
        read->lookups = calloc(reads->lookups_max, sizeof *read->lookups);
        if (read->items == NULL || read->lookups == NULL)
            return false;
    }
    return true;
}

void base_reads_destroy(struct base *base)
{
    struct base_reads *reads = base->reads;
    if (reads == NULL)
        return;
    RESV_ASSERT(base_reads_idle(base) && reads->waiting.count == 0);
    for (size_t i = 0; i < READS_MAX; i++) {
        free(reads->reads[i].items);
        free(reads->reads[i].lookups);
    }
    free(reads);
}

bool base_reads_idle(const struct base *base)
{
    for (size_t i = 0; i < READS_MAX; i++) {
        if (base->reads->reads[i].busy)
            return false;
    }
    return true;
}

void base_reads_add(struct base *base, struct resv_op *op)
{
    base_list_append(&base->reads->waiting, op);
    base_schedule(base);
}

bool base_reads_cancel(struct base *base, struct resv_op *op)
{
    if (base_op_of(op)->list != &base->reads->waiting)
        return false; /* being read */
    base_list_remove(&base->reads->waiting, op);
    return true;
}

/* Up to as many as one read takes, those that have waited longest; from inside of anything. */
static void refuse_waiting(struct base *base, size_t count)
{
    struct base_op_list *waiting = &base->reads->waiting;
    for (; count > 0 && waiting->first != NULL; count--) {
        struct resv_op *op = waiting->first;
        base_list_remove(waiting, op);
        base_complete_soon(base, op, RESV_UNAVAILABLE);
    }
}

/* --- one read ---------------------------------------------------------------------------------
 */

static int compare_lookups(const void *a, const void *b)
{
    const struct lookup *one = a;
    const struct lookup *other = b;
    return memcmp(one->op->id.bytes, other->op->id.bytes, RESV_ID_SIZE);
}

static void end_read(struct read *read)
{
    struct database_session *session = read->session;
    read->session = NULL;
    read->busy = false;
    read->running = false;
    if (session != NULL)
        database_give_back(session);
    base_schedule(read->base);
}

static void answer(struct base *base, struct resv_op *op, const struct database_reservation *item,
                   bool read)
{
    enum resv_outcome outcome = RESV_NOT_FOUND;
    if (!read) {
        outcome = RESV_UNAVAILABLE;
    } else if (item->found) {
        op->reservation = item->row;
        op->reservation.replay = false;
        outcome = RESV_FOUND;
    } else if (base->plan->lookup_missed != NULL) {
        base->plan->lookup_missed(base, op);
        return;
    }
    base_complete(base, op, outcome);
}

static void read_done(struct database_run *run)
{
    struct read *read = run->data;
    bool done = run->result == DATABASE_DONE;
    for (size_t i = 0; i < read->count; i++)
        answer(read->base, read->lookups[i].op, read->lookups[i].item, done);
    end_read(read);
}

static void run_read(struct read *read)
{
    struct base_reads *reads = read->base->reads;
    read->count = 0;
    while (reads->waiting.first != NULL && read->count < reads->lookups_max) {
        struct resv_op *op = reads->waiting.first;
        base_list_remove(&reads->waiting, op);
        read->lookups[read->count++] = (struct lookup){.op = op};
    }
    if (read->count == 0) { /* cancelled, or another read has taken them */
        end_read(read);
        return;
    }
    qsort(read->lookups, read->count, sizeof read->lookups[0], compare_lookups);
    size_t items = 0;
    for (size_t i = 0; i < read->count; i++) {
        if (i == 0 || compare_lookups(&read->lookups[i - 1], &read->lookups[i]) != 0)
            read->items[items++] = (struct database_reservation){.id = read->lookups[i].op->id};
        read->lookups[i].item = &read->items[items - 1];
    }
    resv_metric_observe(read->base->host, &base_metrics, BASE_METRIC_LOOKUPS_JOINED, read->count);
    read->step = (struct database_step){.kind = DATABASE_READ_RESERVATIONS,
                                        .reservations = {.items = read->items, .count = items}};
    read->run =
        (struct database_run){.steps = &read->step, .count = 1, .data = read, .done = read_done};
    read->running = true;
    database_run(read->session, &read->run);
}

static void acquired(struct database_wait *wait, struct database_session *session)
{
    struct read *read = wait->data;
    read->session = session;
    run_read(read);
}

static void refused(struct database_wait *wait, enum database_refusal refusal)
{
    struct read *read = wait->data;
    (void)refusal;
    refuse_waiting(read->base, read->base->reads->lookups_max);
    end_read(read);
}

static void begin_read(struct read *read)
{
    read->busy = true;
    read->session = database_acquire(read->base->link, DATABASE_READS);
    if (read->session != NULL) {
        run_read(read);
        return;
    }
    read->wait = (struct database_wait){
        .pool = DATABASE_READS, .data = read, .acquired = acquired, .refused = refused};
    database_wait(read->base->link, &read->wait);
}

/* --- all of them ------------------------------------------------------------------------------
 */

void base_reads_flush(struct base *base)
{
    struct base_reads *reads = base->reads;
    if (!database_link_is_up(base->link) || base->abandoned) {
        refuse_waiting(base, reads->waiting.count);
        return;
    }
    size_t asking = 0; /* for a session: each will take a full read's worth */
    for (size_t i = 0; i < READS_MAX; i++)
        asking += reads->reads[i].busy && !reads->reads[i].running;
    for (size_t i = 0; i < READS_MAX; i++) {
        struct read *read = &reads->reads[i];
        if (reads->waiting.count <= asking * reads->lookups_max)
            return;
        if (read->busy)
            continue;
        begin_read(read);
        asking += read->busy && !read->running;
    }
}

void base_reads_abandon(struct base *base)
{
    refuse_waiting(base, base->reads->waiting.count);
    for (size_t i = 0; i < READS_MAX; i++) {
        struct read *read = &base->reads->reads[i];
        if (read->busy && !read->running) {
            database_wait_cancel(base->link, &read->wait);
            end_read(read);
        }
    }
}
