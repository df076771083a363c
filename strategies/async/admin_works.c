/* Reset: all concerts' keys in Redis go, then the database's rows, then what has come meanwhile.
 * And what admin works with: the database, and scripts.
 *
 * Invariant: a reset takes the keys of every concert that there was, and again of every one that
 * there is when it is done, and of those that there were: a gate from before it would sell for
 * events that are void, to a process that has not heard of it.
 */
#include <stdlib.h>
#include <string.h>

#include "admin.h"
#include "resvd/assert.h"
#include "scripts.h"

#define NS_PER_MS     1000000ULL
#define WORK_LIMIT_MS 10000
#define AGAIN_MS      200
#define PATIENCE_MS   10000

/* --- reading the database
 * --------------------------------------------------------------------------
 */

static void was_read(struct work *work, enum database_result result)
{
    struct admin *admin = work->data;
    RESV_ASSERT(result == DATABASE_DONE);
    work_finish(work);
    admin->works = false;
    admin->read(admin, !admin->abandoned);
}

static void begin(struct work *work)
{
    struct admin *admin = work->data;
    work_run(work, &admin->step, 1, was_read);
}

static void gave_up(struct work *work, enum resv_outcome outcome)
{
    struct admin *admin = work->data;
    (void)outcome;
    admin->works = false;
    admin->read(admin, false);
}

static const struct work_owner owner = {
    .begin = begin,
    .gave_up = gave_up,
    .pool = DATABASE_READS,
    .retries = true,
};

/* admin->step; then `read`. */
void admin_read_database(struct admin *admin, void (*read)(struct admin *admin, bool good))
{
    struct async *async = admin->async;
    const uint64_t until_ns = resv_now_ns(async->base.host) + WORK_LIMIT_MS * NS_PER_MS;
    admin->read = read;
    admin->works = true;
    admin->work = (struct work){
        .host = async->base.host,
        .link = async->base.link,
        .owner = &owner,
        .counters = &async->base.counters,
        .data = admin,
        .deadline_ns = until_ns,
        .doubt_ns = until_ns,
    };
    work_start(&admin->work);
}

size_t admin_page_size(const struct admin *admin)
{
    const size_t rows_max = admin->async->base.rows_max;
    return rows_max < ADMIN_PAGE ? rows_max : ADMIN_PAGE;
}

/* --- calls
 * -----------------------------------------------------------------------------------------
 */

void admin_call(struct admin *admin, const struct redis_script *script, int64_t concert_id,
                void (*done)(struct redis_call *call))
{
    admin->call.done = done;
    arguments_run(&admin->arguments, admin->async, &admin->call, script, concert_id);
}

/* --- reset
 * -----------------------------------------------------------------------------------------
 */

static void close_next(struct admin *admin);
static void read_page(struct admin *admin, int64_t after_concert_id);

/* Before the reset: which these are, for the walk behind it. False: out of memory. */
static bool remember(struct admin *admin)
{
    const struct database_concert_page_step *page = &admin->step.concert_page;
    while (admin->old_room < admin->old_count + page->count) {
        const size_t room = admin->old_room * 2 + page->room;
        int64_t *old = realloc(admin->old, room * sizeof *old);
        if (old == NULL)
            return false;
        admin->old = old;
        admin->old_room = room;
    }
    for (size_t i = 0; i < page->count; i++)
        admin->old[admin->old_count++] = page->items[i].concert_id;
    return true;
}

static void page_read(struct admin *admin, bool good)
{
    admin->at = 0;
    if (good && (admin->behind || remember(admin)))
        close_next(admin);
    else
        admin->walked(admin, false);
}

static void read_page(struct admin *admin, int64_t after_concert_id)
{
    admin->step = (struct database_step){
        .kind = DATABASE_READ_CONCERTS,
        .concert_page = {.after_concert_id = after_concert_id,
                         .items = admin->concerts,
                         .room = admin_page_size(admin)},
    };
    admin_read_database(admin, page_read);
}

static void closed_one(struct redis_call *call)
{
    struct admin *admin = call->data;
    if (call->result != REDIS_DONE || admin->abandoned) {
        admin->walked(admin, false);
        return;
    }
    admin->at++;
    close_next(admin);
}

static void closed_old(struct redis_call *call)
{
    struct admin *admin = call->data;
    if (call->result != REDIS_DONE || admin->abandoned) {
        admin->walked(admin, false);
        return;
    }
    admin->old_at++;
    close_next(admin);
}

static void close_next(struct admin *admin)
{
    const struct database_concert_page_step *page = &admin->step.concert_page;
    if (admin->at < page->count) {
        arguments_clear(&admin->arguments);
        arguments_add_text(&admin->arguments, "all");
        admin_call(admin, &async_close, admin->concerts[admin->at].concert_id, closed_one);
    } else if (page->count == page->room) {
        read_page(admin, admin->concerts[page->count - 1].concert_id);
    } else if (admin->behind && admin->old_at < admin->old_count) {
        arguments_clear(&admin->arguments);
        arguments_add_text(&admin->arguments, "all");
        admin_call(admin, &async_close, admin->old[admin->old_at], closed_old);
    } else {
        admin->walked(admin, true);
    }
}

static void walk(struct admin *admin, void (*walked)(struct admin *admin, bool good))
{
    admin->walked = walked;
    admin->old_at = 0;
    read_page(admin, 0);
}

static void walked_before(struct admin *admin, bool good)
{
    if (good)
        admin_pass_reset_on(admin);
    else
        admin_finish(admin, RESV_UNAVAILABLE); /* gates are closed, and open when asked for */
}

void admin_reset(struct admin *admin)
{
    admin->behind = false;
    admin->old_count = 0;
    walk(admin, walked_before);
}

static void walk_again(struct resv_timer *timer);

static void walked_behind(struct admin *admin, bool good)
{
    struct resv_host *host = admin->async->base.host;
    if (good) {
        admin_finish(admin, admin->outcome);
    } else if (admin->abandoned || resv_now_ns(host) >= admin->until_ns) {
        resv_log(host, RESV_LOG_ERROR, "reset, but Redis was not told", "do", "reset again", NULL);
        admin_finish(admin, RESV_UNKNOWN);
    } else {
        admin->timer.fired = walk_again;
        resv_timer_start(host, &admin->timer, AGAIN_MS);
    }
}

static void walk_again(struct resv_timer *timer)
{
    walk(timer->data, walked_behind);
}

static void epoch_read(struct admin *admin, bool good)
{
    if (good)
        async_learn_epoch(admin->async, admin->step.epoch.epoch);
    walk(admin, walked_behind);
}

void admin_was_reset(struct admin *admin, enum resv_outcome outcome)
{
    if (outcome != RESV_STORED && outcome != RESV_UNKNOWN) {
        admin_finish(admin, outcome);
        return;
    }
    admin->outcome = outcome;
    admin->behind = true;
    admin->until_ns = resv_now_ns(admin->async->base.host) + PATIENCE_MS * NS_PER_MS;
    admin->step = (struct database_step){.kind = DATABASE_READ_EPOCH};
    admin_read_database(admin, epoch_read);
}
