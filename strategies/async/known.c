/* What there is already: rows, concerts and members, in joined reads.
 *
 *   known_look --> [waiting] --flush point--> read: session --> run --> front_known of each
 *                      ^            (READS_MAX of them)           |
 *                      `------- what has come meanwhile ----------'
 *
 * Invariants: what is told of an operation was read after it came in; what a read takes is decided
 * when it has its session; and the epoch is read last, so that an event which is made because of a
 * row is not of an earlier one than the row. */
#include <stdlib.h>
#include <string.h>

#include "async.h"
#include "resvd/assert.h"

enum {
    READS_MAX = 3,
    OPERATIONS_MAX = 256, /* in one read */
    CONCERTS_MAX = 32,    /* different ones in one read */
    STEPS_MAX = 3 + CONCERTS_MAX,
};

struct look {
    struct resv_op *op;
    const struct database_reservation *row;      /* NULL: not asked */
    const struct database_member *member;        /* NULL: not asked */
    const struct database_concert_step *concert; /* NULL: not asked */
};

struct read {
    struct async *async;
    bool busy; /* waits for a session or runs */
    bool running;
    struct database_session *session;
    struct database_wait wait;
    struct database_run run;
    struct database_step steps[STEPS_MAX];
    size_t steps_count;
    struct look looks[OPERATIONS_MAX];
    size_t count;
    struct async_list ops; /* those of the looks, which are told when it has ended */
    struct database_reservation rows[OPERATIONS_MAX];
    size_t rows_count;
    struct database_member members[OPERATIONS_MAX];
    size_t members_count;
};

struct known {
    struct async_list waiting;
    struct resv_deferred flush;
    struct read reads[READS_MAX];
};

/* --- what is asked ------------------------------------------------------------------------------
 */

static int compare_rows(const void *a, const void *b)
{
    const struct database_reservation *one = a;
    const struct database_reservation *other = b;
    return memcmp(one->id.bytes, other->id.bytes, RESV_ID_SIZE);
}

static int compare_members(const void *a, const void *b)
{
    const struct database_member *one = a;
    const struct database_member *other = b;
    return (one->id > other->id) - (one->id < other->id);
}

static bool asks_for_row(const struct resv_op *op)
{
    return op->keyed || op->kind == RESV_OP_RELEASE;
}

/* Sorts, and drops what is there twice. */
static size_t sort_unique(void *items, size_t count, size_t size,
                          int (*compare)(const void *a, const void *b))
{
    char *bytes = items;
    size_t unique = 0;
    qsort(items, count, size, compare);
    for (size_t i = 0; i < count; i++) {
        if (unique > 0 && compare(bytes + (unique - 1) * size, bytes + i * size) == 0)
            continue;
        if (unique != i)
            memcpy(bytes + unique * size, bytes + i * size, size);
        unique++;
    }
    return unique;
}

/* False: this read has as many concerts as it takes. */
static bool add_concert(struct read *read, int64_t concert_id)
{
    for (size_t i = 0; i < read->steps_count; i++) {
        if (read->steps[i].concert.concert_id == concert_id)
            return true;
    }
    if (read->steps_count == CONCERTS_MAX)
        return false;
    read->steps[read->steps_count++] = (struct database_step){
        .kind = DATABASE_READ_CONCERT, .concert = {.concert_id = concert_id}};
    return true;
}

/* Takes from what waits; concerts become the first steps. */
static void collect(struct read *read)
{
    struct async_list *waiting = &read->async->known->waiting;
    read->count = read->steps_count = read->rows_count = read->members_count = 0;
    while (waiting->first != NULL && read->count < OPERATIONS_MAX) {
        struct resv_op *op = waiting->first;
        if (op->kind == RESV_OP_RESERVE) {
            if (!add_concert(read, op->concert_id))
                return;
            read->members[read->members_count++] = (struct database_member){.id = op->member_id};
        }
        if (asks_for_row(op))
            read->rows[read->rows_count++] = (struct database_reservation){.id = op->id};
        async_list_remove(op);
        async_list_append(&read->ops, op);
        read->looks[read->count++] = (struct look){.op = op};
    }
}

static void join(struct read *read)
{
    const size_t concerts = read->steps_count;
    read->rows_count =
        sort_unique(read->rows, read->rows_count, sizeof read->rows[0], compare_rows);
    read->members_count =
        sort_unique(read->members, read->members_count, sizeof read->members[0], compare_members);
    for (size_t i = 0; i < read->count; i++) {
        struct look *look = &read->looks[i];
        const struct database_reservation row = {.id = look->op->id};
        const struct database_member member = {.id = look->op->member_id};
        if (asks_for_row(look->op))
            look->row = bsearch(&row, read->rows, read->rows_count, sizeof row, compare_rows);
        if (look->op->kind != RESV_OP_RESERVE)
            continue;
        look->member =
            bsearch(&member, read->members, read->members_count, sizeof member, compare_members);
        for (size_t k = 0; k < concerts; k++) {
            if (read->steps[k].concert.concert_id == look->op->concert_id)
                look->concert = &read->steps[k].concert;
        }
    }
    if (read->rows_count > 0)
        read->steps[read->steps_count++] = (struct database_step){
            .kind = DATABASE_READ_RESERVATIONS,
            .reservations = {.items = read->rows, .count = read->rows_count}};
    if (read->members_count > 0)
        read->steps[read->steps_count++] = (struct database_step){
            .kind = DATABASE_READ_MEMBERS,
            .members = {.items = read->members, .count = read->members_count}};
    read->steps[read->steps_count++] = (struct database_step){.kind = DATABASE_READ_EPOCH};
}

/* --- what is told -------------------------------------------------------------------------------
 */

static void remember(struct async *async, const struct look *look)
{
    if (look->concert != NULL && look->concert->found)
        hints_put_concert(&async->hints,
                          &(struct concert_hint){
                              .concert_id = look->concert->concert_id,
                              .exists = true,
                              .remaining = look->concert->capacity - look->concert->sold,
                              .member_limit = look->concert->member_limit,
                              .fence = look->concert->fence,
                          });
    if (look->member != NULL && look->member->found)
        hints_put_member(&async->hints, look->member->id);
}

static void tell(struct async *async, const struct look *look, bool done)
{
    struct known_row known = {.read = done};
    if (done) {
        known.row_found = look->row != NULL && look->row->found;
        if (known.row_found)
            known.row = look->row->row;
        known.concert_found = look->concert != NULL && look->concert->found;
        known.member_found = look->member != NULL && look->member->found;
    }
    async_list_remove(look->op);
    front_known(async, look->op, &known);
}

static void end_read(struct read *read)
{
    struct async *async = read->async;
    struct database_session *session = read->session;
    read->session = NULL;
    read->busy = read->running = false;
    if (session != NULL)
        database_give_back(session);
    if (async->known->waiting.count > 0)
        resv_defer(async->base.host, &async->known->flush);
    async_idle_changed(async);
}

/* A connection may have died unnoticed while nobody used it: nothing was written, so once more. */
static bool read_again(struct async *async, struct resv_op *op)
{
    struct async_op *state = async_op_of(op);
    if (state->read_again || async->base.abandoned)
        return false;
    state->read_again = true;
    async_list_remove(op);
    async_list_append(&async->known->waiting, op);
    return true;
}

static void read_done(struct database_run *run)
{
    struct read *read = run->data;
    const bool done = run->result == DATABASE_DONE;
    const bool lost = run->result == DATABASE_LOST;
    for (size_t i = 0; done && i < read->count; i++)
        remember(read->async, &read->looks[i]);
    if (done) /* forgets what was remembered, if there was a reset since */
        async_learn_epoch(read->async, read->steps[read->steps_count - 1].epoch.epoch);
    for (size_t i = 0; i < read->count; i++) {
        if (!lost || !read_again(read->async, read->looks[i].op))
            tell(read->async, &read->looks[i], done);
    }
    end_read(read);
}

/* --- reads --------------------------------------------------------------------------------------
 */

static void refuse_waiting(struct async *async, size_t count)
{
    static const struct known_row nothing = {.read = false};
    for (; count > 0; count--) {
        struct resv_op *op = async_list_take(&async->known->waiting);
        if (op == NULL)
            return;
        front_known(async, op, &nothing);
    }
}

static void run_read(struct read *read)
{
    collect(read);
    if (read->count == 0) { /* cancelled, or another read has taken them */
        end_read(read);
        return;
    }
    join(read);
    read->run = (struct database_run){
        .steps = read->steps, .count = read->steps_count, .data = read, .done = read_done};
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
    refuse_waiting(read->async, OPERATIONS_MAX);
    end_read(read);
}

static void begin_read(struct read *read)
{
    struct database_link *link = read->async->base.link;
    read->busy = true;
    read->session = database_acquire(link, DATABASE_READS);
    if (read->session != NULL) {
        run_read(read);
        return;
    }
    read->wait = (struct database_wait){
        .pool = DATABASE_READS, .data = read, .acquired = acquired, .refused = refused};
    database_wait(link, &read->wait);
}

static void flush(struct resv_deferred *deferred)
{
    struct async *async = deferred->data;
    struct known *known = async->known;
    if (!database_link_is_up(async->base.link) || async->base.abandoned) {
        refuse_waiting(async, known->waiting.count);
        return;
    }
    for (size_t i = 0; i < READS_MAX && known->waiting.count > 0; i++) {
        struct read *read = &known->reads[i];
        if (!read->busy)
            begin_read(read);
        if (read->busy && !read->running)
            return; /* it takes them when it has its session */
    }
}

void known_look(struct async *async, struct resv_op *op)
{
    RESV_ASSERT(async_op_of(op)->place == ASYNC_LOOKING);
    async_list_append(&async->known->waiting, op);
    resv_defer(async->base.host, &async->known->flush);
}

bool known_cancel(struct async *async, struct resv_op *op)
{
    if (async_op_of(op)->list != &async->known->waiting)
        return false; /* being read, or asked for in Redis */
    async_list_remove(op);
    return true;
}

void known_refuse_all(struct async *async)
{
    refuse_waiting(async, async->known->waiting.count);
    for (size_t i = 0; i < READS_MAX; i++) {
        struct read *read = &async->known->reads[i];
        if (read->busy && !read->running) {
            database_wait_cancel(async->base.link, &read->wait);
            end_read(read);
        }
    }
}

bool known_is_quiet(const struct async *async)
{
    for (size_t i = 0; i < READS_MAX; i++) {
        if (async->known->reads[i].busy)
            return false;
    }
    return true;
}

bool known_open(struct async *async)
{
    struct known *known = async->known = calloc(1, sizeof *known);
    if (known == NULL)
        return false;
    known->flush = (struct resv_deferred){.run = flush, .data = async};
    for (size_t i = 0; i < READS_MAX; i++)
        known->reads[i].async = async;
    return true;
}

void known_close(struct async *async)
{
    if (async->known == NULL)
        return;
    resv_defer_cancel(async->base.host, &async->known->flush);
    free(async->known);
    async->known = NULL;
}
