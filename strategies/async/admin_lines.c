/* What a concert's numbers are, in the database and in Redis: the audit, and reconcile.
 *
 * Invariants: a reconcile is told when a gate is open whose numbers were begun behind its call of
 * close.lua; at the operation's deadline it is over, whatever comes of its barrier later. An audit
 * whose Redis is away says of it what it knows: nothing; of a closed gate too, since what is in it
 * counts no more. That a concert does not agree is said of what stays so for AGREE_MS, only: rows
 * and stock are not read at one moment, and a row is there before it is settled.
 */
#include <stdlib.h>
#include <string.h>

#include "admin.h"
#include "barrier.h"
#include "scripts.h"

#define NS_PER_MS 1000000ULL
#define LOOK_MS   20
#define AGREE_MS  1000

/* --- numbers
 * -----------------------------------------------------------------------------------------
 */

static void ask_numbers(struct admin *admin, int64_t concert_id,
                        void (*done)(struct redis_call *call))
{
    arguments_clear(&admin->arguments);
    arguments_add_run(&admin->arguments, admin->async);
    admin_call(admin, &async_numbers, concert_id, done);
}

/* INT64_MAX for what is no number. */
static int64_t number_of(struct redis_text text)
{
    char digits[24];
    if (text.bytes == NULL || text.size == 0 || text.size >= sizeof digits)
        return INT64_MAX;
    memcpy(digits, text.bytes, text.size);
    digits[text.size] = '\0';
    return strtoll(digits, NULL, 10);
}

/* Nothing when the gate is closed, or nobody knows. A capacity below what is sold and pending makes
 * a stock below 0, which is none. */
static void take_numbers(struct resv_audit_line *line, const struct redis_call *call)
{
    if (call->result != REDIS_DONE || redis_reply_count(call->reply) < 2)
        return;
    const int64_t stock = number_of(redis_reply_text(call->reply, 0));
    const int64_t pending = number_of(redis_reply_text(call->reply, 1));
    line->consistent = line->consistent && pending >= 0 && stock <= RESV_INTEGER_MAX &&
                       pending <= RESV_INTEGER_MAX &&
                       stock == line->capacity - line->live - pending;
    line->stock = stock > 0 ? stock : 0;
    line->pending = pending > 0 ? pending : 0;
}

/* --- one concert
 * -----------------------------------------------------------------------------------------
 */

static void read_line(struct resv_timer *timer);

static bool is_late(const struct admin *admin)
{
    return admin->abandoned || resv_now_ns(admin->async->base.host) >= admin->until_ns;
}

/* The line is what was read last, whether or not it agrees. */
static void numbers_of_line(struct redis_call *call)
{
    struct admin *admin = call->data;
    take_numbers(&admin->reading, call);
    admin->line = admin->reading;
    admin->has_line = true;
    if (admin->line.consistent || is_late(admin)) {
        admin->line_read(admin, RESV_FOUND);
        return;
    }
    admin->timer.fired = read_line;
    resv_timer_start(admin->async->base.host, &admin->timer, LOOK_MS);
}

static void read_live_seats(struct admin *admin, int64_t after_member_id);

static void live_seats_read(struct admin *admin, bool good)
{
    const struct database_member_page_step *page = &admin->step.member_page;
    if (!good) {
        admin->line_read(admin, RESV_UNKNOWN);
        return;
    }
    for (size_t i = 0; i < page->count; i++)
        admin->reading.live += page->items[i].seats;
    if (page->count < page->room) {
        admin->reading.consistent = admin->reading.sold == admin->reading.live;
        ask_numbers(admin, admin->reading.concert_id, numbers_of_line);
    } else if (admin->has_line && is_late(admin)) {
        admin->line_read(admin, RESV_FOUND);
    } else {
        read_live_seats(admin, page->items[page->count - 1].id);
    }
}

static void read_live_seats(struct admin *admin, int64_t after_member_id)
{
    admin->step = (struct database_step){
        .kind = DATABASE_READ_ALL_MEMBER_SEATS,
        .member_page = {.concert_id = admin->reading.concert_id,
                        .after_member_id = after_member_id,
                        .items = admin->members,
                        .room = admin_page_size(admin)},
    };
    admin_read_database(admin, live_seats_read);
}

static void concert_of_line_read(struct admin *admin, bool good)
{
    const struct database_concert_step *concert = &admin->step.concert;
    if (!good || !concert->found) {
        admin->line_read(admin, good ? RESV_NOT_FOUND : RESV_UNKNOWN);
        return;
    }
    admin->reading = (struct resv_audit_line){
        .concert_id = concert->concert_id,
        .capacity = concert->capacity,
        .sold = concert->sold,
        .stock = -1,
        .pending = -1,
    };
    read_live_seats(admin, 0);
}

static void read_concert(struct admin *admin, int64_t concert_id,
                         void (*read)(struct admin *admin, bool good))
{
    admin->step = (struct database_step){.kind = DATABASE_READ_CONCERT,
                                         .concert = {.concert_id = concert_id}};
    admin_read_database(admin, read);
}

/* Again until it agrees or it is until_ns; then line_read, with the last that was read wholly. */
static void read_line(struct resv_timer *timer)
{
    struct admin *admin = timer->data;
    read_concert(admin, admin->line.concert_id, concert_of_line_read);
}

static void until_agreed(struct admin *admin)
{
    admin->until_ns = resv_now_ns(admin->async->base.host) + AGREE_MS * NS_PER_MS;
}

/* --- audit
 * -----------------------------------------------------------------------------------------
 */

static void audit_next(struct admin *admin);

static void line_audited(struct admin *admin)
{
    struct resv_catalog_request *request = admin->op->catalog;
    const struct resv_audit_line *line = &request->audit[admin->at++];
    request->audit_consistent = request->audit_consistent && line->consistent;
    audit_next(admin);
}

static void line_read_again(struct admin *admin, enum resv_outcome outcome)
{
    if (outcome == RESV_FOUND)
        admin->op->catalog->audit[admin->at] = admin->line;
    line_audited(admin);
}

static void audited(struct redis_call *call)
{
    struct admin *admin = call->data;
    struct resv_audit_line *line = &admin->op->catalog->audit[admin->at];
    const bool rows_agree = line->consistent;
    take_numbers(line, call);
    if (call->result == REDIS_DOWN || call->result == REDIS_LOST) {
        admin_finish(admin, RESV_FOUND);
    } else if (rows_agree && !line->consistent && !admin->abandoned) {
        admin->line = *line;
        admin->has_line = true;
        admin->line_read = line_read_again;
        read_line(&admin->timer);
    } else {
        line_audited(admin);
    }
}

static void audit_next(struct admin *admin)
{
    const struct resv_catalog_request *request = admin->op->catalog;
    if (admin->at == request->audit_count || admin->abandoned)
        admin_finish(admin, RESV_FOUND);
    else
        ask_numbers(admin, request->audit[admin->at].concert_id, audited);
}

void admin_audit(struct admin *admin)
{
    admin->at = 0;
    until_agreed(admin);
    audit_next(admin);
}

/* --- reconcile
 * -------------------------------------------------------------------------------------
 */

static void reconciled(struct admin *admin, enum resv_outcome outcome)
{
    struct resv_catalog_request *request = admin->op->catalog;
    struct resv_audit_line *line = outcome == RESV_FOUND ? malloc(sizeof *line) : NULL;
    if (line == NULL) {
        admin_finish(admin, outcome == RESV_FOUND ? RESV_UNKNOWN : outcome);
        return;
    }
    *line = admin->line;
    free(request->audit);
    request->audit = line;
    request->audit_count = 1;
    request->audit_consistent = line->consistent;
    admin_finish(admin, RESV_STORED);
}

static void looked(struct redis_call *call)
{
    struct admin *admin = call->data;
    struct resv_host *host = admin->async->base.host;
    if (call->result == REDIS_DONE && redis_reply_count(call->reply) == 2) {
        admin->line.concert_id = admin->op->concert_id;
        admin->has_line = false;
        admin->line_read = reconciled;
        until_agreed(admin);
        read_line(&admin->timer);
    } else if (admin->abandoned || resv_now_ns(host) >= admin->op->deadline_ns) {
        admin_finish(admin, RESV_UNKNOWN);
    } else {
        resv_timer_start(host, &admin->timer, LOOK_MS);
    }
}

static void look(struct resv_timer *timer)
{
    struct admin *admin = timer->data;
    ask_numbers(admin, admin->op->concert_id, looked);
}

static void barrier_done(void *data, enum kafka_result result)
{
    struct admin *admin = data;
    if (result != KAFKA_PERSISTED) {
        admin_finish(admin, RESV_UNAVAILABLE); /* the next who wants to sell asks for another */
        return;
    }
    admin->timer.fired = look;
    resv_timer_start(admin->async->base.host, &admin->timer, 0);
}

static void gate_closed(struct redis_call *call)
{
    struct admin *admin = call->data;
    if (call->result != REDIS_DONE || admin->abandoned || !kafka_link_is_up(admin->async->kafka) ||
        !barrier_publish(admin->async, admin->op->concert_id, admin, barrier_done))
        admin_finish(admin, RESV_UNAVAILABLE);
}

static void concert_read_first(struct admin *admin, bool good)
{
    if (!good || !admin->step.concert.found) {
        admin_finish(admin, good ? RESV_NOT_FOUND : RESV_UNAVAILABLE);
        return;
    }
    arguments_clear(&admin->arguments);
    arguments_add_text(&admin->arguments, "gate");
    admin_call(admin, &async_close, admin->op->concert_id, gate_closed);
}

void admin_reconcile(struct admin *admin)
{
    read_concert(admin, admin->op->concert_id, concert_read_first);
}
