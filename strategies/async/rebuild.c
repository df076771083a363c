/* Makes a concert's numbers in Redis anew and opens its gate, behind a barrier.
 *
 *   clear --> page of pending --> which have rows? --> these leave pending --.
 *                   ^                                                       |
 *                   `-------------------------------------------------------+
 *                                                                           v
 *   open <-- concert, and the position, which is still ours <-- members, page by page
 *
 * It is the partition's batch that asks: everything before the barrier is applied, and the
 * partition applies nothing until this is over.
 *
 * Invariants: the gate is closed while its numbers are made, and opens only if nobody else has
 * begun since (rebuild.lua); what was read counts only if the position was this batch's afterwards:
 * then nothing was applied in between, and all of it is on disk, being from before this batch's
 * COMMIT; an id leaves pending only for a row that was read so. */
#include <stdlib.h>
#include <string.h>

#include "consumer.h"
#include "resvd/assert.h"
#include "resvd/crash_point.h"
#include "scripts.h"

#define NS_PER_MS     1000000ULL
#define PAGE          500
#define BUILDER_SIZE  16
#define WORK_LIMIT_MS 10000
#define STEPS         3

struct rebuild {
    struct batch *batch;
    int64_t concert_id;
    struct batch_concert *concert;
    char builder[BUILDER_SIZE];
    char cursor[24];
    bool works; /* a work is under way */
    struct work work;
    struct database_step steps[STEPS];
    size_t steps_count;
    void (*read)(struct rebuild *rebuild); /* what follows the work */
    struct redis_call call;
    struct database_reservation *ids; /* a page; HSCAN may give more than was asked for */
    size_t ids_count;
    struct database_member *members;
    int64_t after_member_id;
    struct arguments arguments;
};

bool rebuild_create(struct batch *batch)
{
    struct rebuild *rebuild = calloc(1, sizeof *rebuild);
    batch->rebuild = rebuild;
    if (rebuild == NULL)
        return false;
    rebuild->batch = batch;
    rebuild->ids = calloc(PAGE, sizeof *rebuild->ids);
    rebuild->members = calloc(PAGE, sizeof *rebuild->members);
    return rebuild->ids != NULL && rebuild->members != NULL &&
           arguments_create(&rebuild->arguments, ARGUMENTS_FIXED + 2 * PAGE);
}

void rebuild_destroy(struct batch *batch)
{
    struct rebuild *rebuild = batch->rebuild;
    if (rebuild == NULL)
        return;
    arguments_destroy(&rebuild->arguments);
    free(rebuild->ids);
    free(rebuild->members);
    free(rebuild);
    batch->rebuild = NULL;
}

/* Of one step of the database's, and room for four times what a scan is asked for. */
static size_t page_size(const struct rebuild *rebuild)
{
    const size_t rows_max = rebuild->batch->async->base.rows_max;
    return rows_max < PAGE ? rows_max : PAGE;
}

/* The gate stays closed: the next who wants to sell asks for another barrier. */
static void over(struct rebuild *rebuild, bool opened)
{
    settle_rebuilt(rebuild->batch, opened);
}

static bool goes_on(const struct rebuild *rebuild, const struct redis_call *call)
{
    return call->result == REDIS_DONE && !rebuild->batch->async->consumer->abandoned;
}

/* --- reading the database ------------------------------------------------------------------------
 */

static void work_gave_up(struct work *work, enum resv_outcome outcome)
{
    struct rebuild *rebuild = work->data;
    (void)outcome;
    rebuild->works = false;
    over(rebuild, false);
}

static void was_read(struct work *work, enum database_result result)
{
    struct rebuild *rebuild = work->data;
    RESV_ASSERT(result == DATABASE_DONE);
    work_finish(work);
    rebuild->works = false;
    const struct database_position_step *position =
        &rebuild->steps[rebuild->steps_count - 1].position;
    if (position->next_offset != rebuild->batch->applied_to ||
        position->epoch != rebuild->batch->epoch || rebuild->batch->async->consumer->abandoned) {
        over(rebuild, false);
        return;
    }
    rebuild->read(rebuild);
}

static void begin(struct work *work)
{
    struct rebuild *rebuild = work->data;
    work_run(work, rebuild->steps, rebuild->steps_count, was_read);
}

static const struct work_owner owner = {
    .begin = begin,
    .gave_up = work_gave_up,
    .pool = DATABASE_SALES,
    .retries = true,
};

/* The steps that are there, and the position behind them. */
static void read_database(struct rebuild *rebuild, void (*read)(struct rebuild *rebuild))
{
    struct async *async = rebuild->batch->async;
    const uint64_t now_ns = resv_now_ns(async->base.host);
    rebuild->steps[rebuild->steps_count++] = (struct database_step){
        .kind = DATABASE_READ_POSITION,
        .position = {.topic = kafka_link_topic(async->kafka),
                     .partition = rebuild->batch->partition_number},
    };
    rebuild->read = read;
    rebuild->works = true;
    rebuild->work = (struct work){
        .host = async->base.host,
        .link = async->base.link,
        .owner = &owner,
        .counters = &async->base.counters,
        .data = rebuild,
        .deadline_ns = now_ns + WORK_LIMIT_MS * NS_PER_MS,
        .doubt_ns = now_ns + WORK_LIMIT_MS * NS_PER_MS,
    };
    work_start(&rebuild->work);
}

/* --- calls ---------------------------------------------------------------------------------------
 */

static void call(struct rebuild *rebuild, const struct redis_script *script,
                 void (*done)(struct redis_call *call))
{
    rebuild->call.data = rebuild;
    rebuild->call.done = done;
    arguments_run(&rebuild->arguments, rebuild->batch->async, &rebuild->call, script,
                  rebuild->concert_id);
}

static void begin_arguments(struct rebuild *rebuild, const char *what)
{
    struct arguments *arguments = &rebuild->arguments;
    arguments_clear(arguments);
    if (what != NULL)
        arguments_add_text(arguments, what);
    arguments_add_run(arguments, rebuild->batch->async);
    arguments_add_number(arguments, rebuild->batch->epoch);
    if (what != NULL)
        arguments_add(arguments, rebuild->builder, BUILDER_SIZE);
}

/* --- open ----------------------------------------------------------------------------------------
 */

static void opened(struct redis_call *call)
{
    struct rebuild *rebuild = call->data;
    over(rebuild, goes_on(rebuild, call) && redis_reply_integer(call->reply, 0) == 1);
}

static void concert_read(struct rebuild *rebuild)
{
    struct async *async = rebuild->batch->async;
    const struct database_concert_step *concert = &rebuild->steps[0].concert;
    /* Its limit was set or taken away in between: a barrier for that is on its way. */
    if (!concert->found || (concert->member_limit == RESV_NO_MEMBER_LIMIT) !=
                               (rebuild->concert->seen.member_limit == RESV_NO_MEMBER_LIMIT)) {
        over(rebuild, false);
        return;
    }
    begin_arguments(rebuild, "open");
    arguments_add_number(&rebuild->arguments, rebuild->batch->applied_to);
    arguments_add_number(&rebuild->arguments, concert->capacity);
    arguments_add_number(&rebuild->arguments, concert->sold);
    arguments_add_number(&rebuild->arguments, concert->member_limit);
    arguments_add_number(&rebuild->arguments, resv_wall_ms(async->base.host));
    arguments_add(&rebuild->arguments, rebuild->batch->owner, BATCH_OWNER_SIZE);
    arguments_add_number(&rebuild->arguments, rebuild->batch->partition_number);
    RESV_CRASH_POINT(gate_opening);
    call(rebuild, &async_rebuild, opened);
}

static void read_concert(struct rebuild *rebuild)
{
    rebuild->steps[0] = (struct database_step){.kind = DATABASE_READ_CONCERT,
                                               .concert = {.concert_id = rebuild->concert_id}};
    rebuild->steps_count = 1;
    read_database(rebuild, concert_read);
}

/* --- members -------------------------------------------------------------------------------------
 */

static void read_members(struct rebuild *rebuild);

static void members_written(struct redis_call *call)
{
    struct rebuild *rebuild = call->data;
    if (!goes_on(rebuild, call) || redis_reply_integer(call->reply, 0) != 1)
        over(rebuild, false);
    else if (rebuild->steps[0].member_page.count < page_size(rebuild))
        read_concert(rebuild);
    else
        read_members(rebuild);
}

static void members_read(struct rebuild *rebuild)
{
    const struct database_member_page_step *page = &rebuild->steps[0].member_page;
    if (page->count == 0) {
        read_concert(rebuild);
        return;
    }
    begin_arguments(rebuild, "members");
    for (size_t i = 0; i < page->count; i++) {
        arguments_add_number(&rebuild->arguments, page->items[i].id);
        arguments_add_number(&rebuild->arguments, page->items[i].seats);
    }
    rebuild->after_member_id = page->items[page->count - 1].id;
    call(rebuild, &async_rebuild, members_written);
}

static void read_members(struct rebuild *rebuild)
{
    rebuild->steps[0] = (struct database_step){
        .kind = DATABASE_READ_ALL_MEMBER_SEATS,
        .member_page = {.concert_id = rebuild->concert_id,
                        .after_member_id = rebuild->after_member_id,
                        .items = rebuild->members,
                        .room = page_size(rebuild)},
    };
    rebuild->steps_count = 1;
    read_database(rebuild, members_read);
}

/* --- what is pending -----------------------------------------------------------------------------
 */

static void scan(struct rebuild *rebuild);

static void page_over(struct rebuild *rebuild)
{
    if (strcmp(rebuild->cursor, "0") != 0)
        scan(rebuild);
    else if (rebuild->concert->seen.member_limit != RESV_NO_MEMBER_LIMIT)
        read_members(rebuild);
    else
        read_concert(rebuild);
}

static void rows_left_pending(struct redis_call *call)
{
    struct rebuild *rebuild = call->data;
    if (!goes_on(rebuild, call))
        over(rebuild, false);
    else
        page_over(rebuild);
}

/* Behind a closed gate settle.lua takes ids out of pending, and no more. */
static void rows_read(struct rebuild *rebuild)
{
    struct arguments *arguments = &rebuild->arguments;
    int64_t count = 0;
    begin_arguments(rebuild, NULL);
    for (size_t i = 0; i < 5; i++) /* numbers of an open gate */
        arguments_add_number(arguments, 0);
    arguments_add_number(arguments, resv_wall_ms(rebuild->batch->async->base.host));
    arguments_add(arguments, rebuild->batch->owner, BATCH_OWNER_SIZE);
    const size_t count_at = arguments->count;
    arguments_add_number(arguments, 0);
    for (size_t i = 0; i < rebuild->ids_count; i++) {
        if (!rebuild->ids[i].found)
            continue;
        arguments_add(arguments, rebuild->ids[i].id.bytes, RESV_ID_SIZE);
        arguments_add(arguments, "k", 1); /* as it may: a repeat may wait at this gate */
        count++;
    }
    arguments_set_number(arguments, count_at, count);
    if (count > 0)
        call(rebuild, &async_settle, rows_left_pending);
    else
        page_over(rebuild);
}

static int compare_ids(const void *left, const void *right)
{
    const struct database_reservation *one = left, *other = right;
    return memcmp(one->id.bytes, other->id.bytes, RESV_ID_SIZE);
}

static void take_ids(struct rebuild *rebuild, const struct redis_reply *reply)
{
    const size_t values = redis_reply_count(reply);
    size_t count = 0, unique = 0;
    for (size_t i = 1; i < values; i++) {
        struct redis_text id = redis_reply_text(reply, i);
        if (id.bytes == NULL || id.size != RESV_ID_SIZE)
            continue;
        if (count == page_size(rebuild))
            break; /* not for four times what was asked for; what is passed over is swept later */
        rebuild->ids[count] = (struct database_reservation){.found = false};
        memcpy(rebuild->ids[count++].id.bytes, id.bytes, RESV_ID_SIZE);
    }
    rebuild->ids_count = 0;
    if (count == 0)
        return;
    qsort(rebuild->ids, count, sizeof *rebuild->ids, compare_ids);
    for (size_t i = 1; i < count; i++) {
        if (compare_ids(&rebuild->ids[i], &rebuild->ids[unique]) != 0)
            rebuild->ids[++unique] = rebuild->ids[i];
    }
    rebuild->ids_count = unique + 1;
}

static void scanned(struct redis_call *call)
{
    struct rebuild *rebuild = call->data;
    struct redis_text cursor;
    if (!goes_on(rebuild, call) || (cursor = redis_reply_text(call->reply, 0)).bytes == NULL ||
        cursor.size >= sizeof rebuild->cursor) {
        over(rebuild, false);
        return;
    }
    take_ids(rebuild, call->reply);
    memcpy(rebuild->cursor, cursor.bytes, cursor.size);
    rebuild->cursor[cursor.size] = '\0';
    if (rebuild->ids_count == 0) {
        page_over(rebuild);
        return;
    }
    rebuild->steps[0] = (struct database_step){
        .kind = DATABASE_READ_RESERVATIONS,
        .reservations = {.items = rebuild->ids, .count = rebuild->ids_count},
    };
    rebuild->steps_count = 1;
    read_database(rebuild, rows_read);
}

static void scan(struct rebuild *rebuild)
{
    arguments_clear(&rebuild->arguments);
    arguments_add_text(&rebuild->arguments, rebuild->cursor);
    arguments_add_number(&rebuild->arguments, (int64_t)(page_size(rebuild) / 4 + 1));
    call(rebuild, &async_scan, scanned);
}

/* --- clear ---------------------------------------------------------------------------------------
 */

static void cleared(struct redis_call *call)
{
    struct rebuild *rebuild = call->data;
    RESV_CRASH_POINT(gate_cleared);
    if (goes_on(rebuild, call) && redis_reply_integer(call->reply, 0) == 1)
        scan(rebuild);
    else
        over(rebuild, false);
}

void rebuild_start(struct batch *batch, size_t concert)
{
    struct rebuild *rebuild = batch->rebuild;
    rebuild->concert = &batch->concerts[concert];
    rebuild->concert_id = rebuild->concert->seen.concert_id;
    rebuild->after_member_id = 0;
    memcpy(rebuild->cursor, "0", 2);
    resv_random_bytes(batch->async->base.host, rebuild->builder, BUILDER_SIZE);
    begin_arguments(rebuild, "clear");
    arguments_add_number(&rebuild->arguments, batch->partition_number);
    call(rebuild, &async_rebuild, cleared);
}

void rebuild_abandon(struct batch *batch)
{
    if (batch->rebuild->works)
        work_abandon(&batch->rebuild->work);
}
