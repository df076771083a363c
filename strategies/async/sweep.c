/* What was left behind: now and then every concert is looked at, page by page.
 *
 *   wait --> page of concerts (database) --> each: sweep.lua --> events published again, barriers
 *    ^                                                                      |
 *    `---------------------------- no more concerts ------------------------'
 *
 * An event stays in pending when its publisher died, or was told that nobody knows what became of
 * it. Whichever process comes first sweeps a concert; that an event comes twice does no harm, its
 * id absorbs it. The same round closes all gates, for who has to (sweep_close_gates).
 *
 * Invariants: an event is marked in Redis before it is published again (keys.h); it is published
 * again only when later ones have been applied, so that a backlog is not doubled by the sweep; a
 * round ends when there is no room in the queue to Kafka, and what it leaves comes with the next.
 */
#include <stdlib.h>
#include <string.h>

#include "barrier.h"
#include "consumer.h"
#include "resvd/assert.h"
#include "resvd/crash_point.h"
#include "resvd/fault.h"
#include "scripts.h"

#define NS_PER_MS      1000000ULL
#define PAGE           200
#define EVENTS_A_CALL  100
#define WORK_LIMIT_MS  10000
#define CLOSE_PAUSE_MS 500

struct sweep {
    struct async *async;
    struct resv_timer timer; /* between rounds */
    bool under_way;          /* a round */
    bool closes;             /* the round closes gates */
    bool closing_asked;
    bool stopping;
    bool works; /* a work is under way */
    struct work work;
    struct database_step step;
    struct database_concert_step *concerts;
    size_t room;
    size_t at; /* in the page */
    int64_t seats_pending;
    char cursor[24];
    bool behind;
    struct redis_call call;
    struct arguments arguments;
};

static void start_round(struct sweep *sweep);
static void next_concert(struct sweep *sweep);

/* --- rounds --------------------------------------------------------------------------------------
 */

static void wait(struct sweep *sweep, uint64_t delay_ms)
{
    if (!sweep->stopping)
        resv_timer_start(sweep->async->base.host, &sweep->timer, delay_ms);
}

/* complete: every concert was looked at. */
static void end_round(struct sweep *sweep, bool complete)
{
    struct async *async = sweep->async;
    const bool closed = sweep->closes && complete;
    sweep->under_way = false;
    if (complete && !sweep->closes)
        resv_metric_set(async->base.host, &async_metrics, METRIC_PENDING_SEATS,
                        sweep->seats_pending);
    if (closed && !sweep->stopping) {
        sweep->closes = false;
        consumer_gates_closed(async);
    }
    const bool soon = sweep->closing_asked || (sweep->closes && !complete);
    wait(sweep, soon ? CLOSE_PAUSE_MS : async->sweep_after_ms);
    async_idle_changed(async);
}

static void fired(struct resv_timer *timer)
{
    struct sweep *sweep = timer->data;
    struct async *async = sweep->async;
    if (!database_link_is_up(async->base.link) || !async_node_is_up(async) ||
        !kafka_link_is_up(async->kafka)) {
        wait(sweep, sweep->closing_asked || sweep->closes ? CLOSE_PAUSE_MS : async->sweep_after_ms);
        return;
    }
    start_round(sweep);
}

/* --- a page of concerts --------------------------------------------------------------------------
 */

static void page_read(struct work *work, enum database_result result)
{
    struct sweep *sweep = work->data;
    RESV_ASSERT(result == DATABASE_DONE);
    work_finish(work);
    sweep->works = false;
    sweep->at = 0;
    next_concert(sweep);
}

static void begin(struct work *work)
{
    struct sweep *sweep = work->data;
    work_run(work, &sweep->step, 1, page_read);
}

static void gave_up(struct work *work, enum resv_outcome outcome)
{
    struct sweep *sweep = work->data;
    (void)outcome;
    sweep->works = false;
    end_round(sweep, false);
}

static const struct work_owner owner = {
    .begin = begin,
    .gave_up = gave_up,
    .pool = DATABASE_READS,
    .retries = true,
};

static void read_page(struct sweep *sweep, int64_t after_concert_id)
{
    struct async *async = sweep->async;
    const uint64_t now_ns = resv_now_ns(async->base.host);
    sweep->step = (struct database_step){
        .kind = DATABASE_READ_CONCERTS,
        .concert_page = {.after_concert_id = after_concert_id,
                         .items = sweep->concerts,
                         .room = sweep->room},
    };
    sweep->works = true;
    sweep->work = (struct work){
        .host = async->base.host,
        .link = async->base.link,
        .owner = &owner,
        .counters = &async->base.counters,
        .data = sweep,
        .deadline_ns = now_ns + WORK_LIMIT_MS * NS_PER_MS,
        .doubt_ns = now_ns + WORK_LIMIT_MS * NS_PER_MS,
    };
    work_start(&sweep->work);
}

static void start_round(struct sweep *sweep)
{
    sweep->under_way = true;
    sweep->closes |= sweep->closing_asked;
    sweep->closing_asked = false;
    sweep->seats_pending = 0;
    const size_t rows_max = sweep->async->base.rows_max;
    sweep->room = rows_max < PAGE ? rows_max : PAGE;
    read_page(sweep, 0);
}

/* --- a concert -----------------------------------------------------------------------------------
 */

static bool goes_on(const struct sweep *sweep, const struct redis_call *call)
{
    return call->result == REDIS_DONE && !sweep->stopping;
}

static void was_closed(struct redis_call *call)
{
    struct sweep *sweep = call->data;
    if (!goes_on(sweep, call)) {
        end_round(sweep, false);
        return;
    }
    sweep->at++;
    next_concert(sweep);
}

static void close_one(struct sweep *sweep, int64_t concert_id)
{
    arguments_clear(&sweep->arguments);
    arguments_add_text(&sweep->arguments, "gate");
    sweep->call.done = was_closed;
    arguments_run(&sweep->arguments, sweep->async, &sweep->call, &async_close, concert_id);
}

/* False: there is no room. */
static bool publish_again(struct sweep *sweep, const struct redis_reply *reply, int64_t concert_id)
{
    const size_t values = redis_reply_count(reply);
    if (values > 3)
        RESV_CRASH_POINT(sweeping);
    for (size_t i = 3; i < values; i++) {
        const struct redis_text text = redis_reply_text(reply, i);
        if (text.bytes == NULL)
            continue;
        if (!publish_text(sweep->async, concert_id, text.bytes,
                          keys_event_size(text.bytes, text.size), NULL, NULL))
            return false;
        resv_metric_add(sweep->async->base.host, &async_metrics, METRIC_SWEPT, 1);
    }
    return true;
}

static void sweep_one(struct sweep *sweep);

static void was_swept(struct redis_call *call)
{
    struct sweep *sweep = call->data;
    const int64_t concert_id = sweep->concerts[sweep->at].concert_id;
    struct redis_text cursor;
    if (!goes_on(sweep, call) || (cursor = redis_reply_text(call->reply, 0)).bytes == NULL ||
        cursor.size >= sizeof sweep->cursor || !publish_again(sweep, call->reply, concert_id)) {
        end_round(sweep, false);
        return;
    }
    if (strcmp(sweep->cursor, "0") == 0 && redis_reply_integer(call->reply, 2) > 0)
        sweep->seats_pending += redis_reply_integer(call->reply, 2);
    sweep->behind |= redis_reply_integer(call->reply, 1) == 1;
    memcpy(sweep->cursor, cursor.bytes, cursor.size);
    sweep->cursor[cursor.size] = '\0';
    if (strcmp(sweep->cursor, "0") != 0) {
        sweep_one(sweep);
        return;
    }
    if (sweep->behind && !barrier_publish(sweep->async, concert_id, NULL, NULL)) {
        end_round(sweep, false);
        return;
    }
    sweep->behind = false;
    sweep->at++;
    next_concert(sweep);
}

static void sweep_one(struct sweep *sweep)
{
    struct async *async = sweep->async;
    struct arguments *arguments = &sweep->arguments;
    const struct database_concert_step *concert = &sweep->concerts[sweep->at];
    arguments_clear(arguments);
    arguments_add_run(arguments, async);
    arguments_add_number(arguments, resv_wall_ms(async->base.host));
    arguments_add_number(arguments, (int64_t)async->sweep_after_ms);
    arguments_add_text(arguments, sweep->cursor);
    arguments_add_number(arguments, EVENTS_A_CALL);
    arguments_add_number(arguments, concert->sold);
    arguments_add_number(arguments, concert->capacity);
    arguments_add_number(arguments, concert->member_limit);
    if (RESV_FAULT(sweep_does_not_mark))
        arguments_add_text(arguments, "unmarked");
    sweep->call.done = was_swept;
    arguments_run(arguments, async, &sweep->call, &async_sweep, concert->concert_id);
}

static void next_concert(struct sweep *sweep)
{
    const struct database_concert_page_step *page = &sweep->step.concert_page;
    if (sweep->stopping) {
        end_round(sweep, false);
    } else if (sweep->at < page->count) {
        memcpy(sweep->cursor, "0", 2);
        sweep->behind = false;
        if (sweep->closes)
            close_one(sweep, sweep->concerts[sweep->at].concert_id);
        else
            sweep_one(sweep);
    } else if (page->count < page->room) {
        end_round(sweep, true);
    } else {
        read_page(sweep, sweep->concerts[page->count - 1].concert_id);
    }
}

/* --- life ----------------------------------------------------------------------------------------
 */

bool sweep_open(struct async *async)
{
    struct sweep *sweep = calloc(1, sizeof *sweep);
    async->consumer->sweep = sweep;
    if (sweep == NULL)
        return false;
    sweep->async = async;
    sweep->timer = (struct resv_timer){.fired = fired, .data = sweep};
    sweep->call.data = sweep;
    sweep->concerts = calloc(PAGE, sizeof *sweep->concerts);
    return sweep->concerts != NULL && arguments_create(&sweep->arguments, ARGUMENTS_FIXED);
}

void sweep_start(struct async *async)
{
    wait(async->consumer->sweep, async->sweep_after_ms);
}

void sweep_close_gates(struct async *async)
{
    struct sweep *sweep = async->consumer->sweep;
    sweep->closing_asked = true;
    if (!sweep->under_way)
        wait(sweep, 0);
}

void sweep_drain(struct async *async)
{
    struct sweep *sweep = async->consumer->sweep;
    sweep->stopping = true;
    resv_timer_stop(async->base.host, &sweep->timer);
}

void sweep_abandon(struct async *async)
{
    if (async->consumer->sweep->works)
        work_abandon(&async->consumer->sweep->work);
}

bool sweep_is_quiet(const struct async *async)
{
    return !async->consumer->sweep->under_way;
}

void sweep_close(struct async *async)
{
    struct sweep *sweep = async->consumer->sweep;
    if (sweep == NULL)
        return;
    RESV_ASSERT(!sweep->under_way);
    resv_timer_stop(async->base.host, &sweep->timer);
    arguments_destroy(&sweep->arguments);
    free(sweep->concerts);
    free(sweep);
    async->consumer->sweep = NULL;
}
