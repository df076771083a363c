/* The catalog, as this strategy has it: the database's, and what belongs to it in Redis and Kafka.
 *
 *   create, update  database, then a barrier: gates open before anybody asks, changes are settled
 *   audit           database, then each concert's numbers in Redis
 *   reset           all concerts' keys go, database, and again what has come meanwhile
 *   reconcile       the gate is closed, a barrier, and when it is open again: what the numbers are
 *   dead letters    letters_list.c
 *
 * Invariants: audits, resets and reconciles are one at a time, in their order; a reset is told when
 * no gate from before it is left; every operation completes once, through base. */
#include "admin.h"

#include <stdlib.h>
#include <string.h>

#include "barrier.h"
#include "letters.h"
#include "resvd/assert.h"
#include "resvd/crash_point.h"
#include "scripts.h"

enum { BARRIERS_MAX = 64, AGAIN_MS = 50 };

/* --- one at a time -------------------------------------------------------------------------------
 */

static void begin(struct admin *admin)
{
    const enum resv_op_kind kind = admin->op->kind;
    const uint64_t now_ns = resv_now_ns(admin->async->base.host);
    if (kind != RESV_OP_AUDIT && now_ns >= admin->op->deadline_ns) {
        admin_finish(admin, RESV_UNAVAILABLE); /* others took so long: nothing was begun */
    } else if (kind == RESV_OP_AUDIT) {
        admin_audit(admin);
    } else if (kind == RESV_OP_RESET) {
        admin_reset(admin);
    } else {
        RESV_ASSERT(kind == RESV_OP_RECONCILE);
        admin_reconcile(admin);
    }
}

static void soon(struct resv_deferred *deferred)
{
    struct admin *admin = deferred->data;
    if (admin->op != NULL || admin->first == NULL)
        return;
    admin->op = admin->first;
    admin->first = admin->op->strategy_next;
    if (admin->first == NULL)
        admin->last = NULL;
    admin->op->strategy_next = NULL;
    begin(admin);
}

static void queue(struct admin *admin, struct resv_op *op)
{
    op->strategy_next = NULL;
    if (admin->last == NULL)
        admin->first = op;
    else
        admin->last->strategy_next = op;
    admin->last = op;
    resv_defer(admin->async->base.host, &admin->soon);
}

void admin_finish(struct admin *admin, enum resv_outcome outcome)
{
    struct resv_op *op = admin->op;
    admin->op = NULL;
    resv_defer(admin->async->base.host, &admin->soon);
    base_complete(&admin->async->base, op, outcome);
}

/* --- the store's
 * -----------------------------------------------------------------------------------
 */

static bool pass_on(struct async *async, struct resv_op *op)
{
    struct resv_catalog *catalog = database_link_catalog(async->base.link);
    return catalog->submit(catalog->self, op);
}

/* The operation is base's again when it is answered. */
static void pass_reset_on(struct resv_timer *timer)
{
    struct admin *admin = timer->data;
    admin->passed = true;
    admin->async->base.under_way--;
    if (!admin->abandoned && pass_on(admin->async, admin->op))
        return;
    admin->passed = false;
    admin->async->base.under_way++;
    /* Gates are closed, and open when asked for. */
    if (admin->abandoned || resv_now_ns(admin->async->base.host) >= admin->op->deadline_ns)
        admin_finish(admin, RESV_UNAVAILABLE);
    else
        resv_timer_start(admin->async->base.host, timer, AGAIN_MS);
}

void admin_pass_reset_on(struct admin *admin)
{
    admin->timer.fired = pass_reset_on;
    resv_timer_start(admin->async->base.host, &admin->timer, 0);
}

/* A barrier that finds no room is no harm: the sweep sees numbers that are not the database's, and
 * a gate that nobody has opened is opened when somebody asks. */
static void stored(struct async *async, const struct resv_op *op)
{
    const struct resv_catalog_request *request = op->catalog;
    if (op->kind == RESV_OP_CONCERT_UPDATE) {
        if ((request->fields & (RESV_CONCERT_CAPACITY | RESV_CONCERT_MEMBER_LIMIT)) != 0)
            barrier_publish(async, op->concert_id, NULL, NULL);
        return;
    }
    for (size_t i = 0; i < request->count && i < BARRIERS_MAX; i++) {
        if (!barrier_publish(async, request->concerts[i].id, NULL, NULL))
            return;
    }
}

void admin_answered(struct async *async, struct resv_op *op, enum resv_outcome outcome)
{
    struct admin *admin = async->admin;
    const bool writes = op->kind == RESV_OP_CONCERT_UPDATE || op->kind == RESV_OP_CONCERT_CREATE;
    if (op->kind == RESV_OP_RESET) {
        RESV_ASSERT(admin->op == op && admin->passed);
        admin->passed = false;
        admin_was_reset(admin, outcome);
        return;
    }
    if (op->kind == RESV_OP_AUDIT && outcome == RESV_FOUND && !admin->abandoned) {
        queue(admin, op);
        return;
    }
    if (writes && outcome == RESV_STORED)
        RESV_CRASH_POINT(catalog_stored);
    if (writes && outcome == RESV_STORED && kafka_link_is_up(async->kafka))
        stored(async, op);
    base_complete(&async->base, op, outcome);
}

/* --- the seam
 * --------------------------------------------------------------------------------------
 */

static bool submit(void *self, struct resv_op *op)
{
    struct async *async = self;
    const bool letters =
        op->kind == RESV_OP_DEAD_LETTER_LIST || op->kind == RESV_OP_DEAD_LETTER_RETRY;
    if (!letters && op->kind != RESV_OP_RESET && op->kind != RESV_OP_RECONCILE)
        return pass_on(async, op);
    base_op_of(op)->base = &async->base;
    async->base.under_way++;
    if (op->kind == RESV_OP_DEAD_LETTER_LIST)
        letters_list(async, op);
    else if (letters)
        letters_retry(async, op);
    else
        queue(async->admin, op);
    return true;
}

struct resv_catalog *admin_catalog(void *instance)
{
    struct async *async = instance;
    return &async->admin->seam;
}

/* --- life
 * ------------------------------------------------------------------------------------------
 */

bool admin_open(struct async *async)
{
    struct admin *admin = calloc(1, sizeof *admin);
    async->admin = admin;
    if (admin == NULL)
        return false;
    admin->async = async;
    admin->seam = (struct resv_catalog){.self = async, .submit = submit};
    admin->soon = (struct resv_deferred){.run = soon, .data = admin};
    admin->timer = (struct resv_timer){.data = admin};
    admin->call.data = admin;
    admin->concerts = calloc(ADMIN_PAGE, sizeof *admin->concerts);
    admin->members = calloc(ADMIN_PAGE, sizeof *admin->members);
    return admin->concerts != NULL && admin->members != NULL &&
           arguments_create(&admin->arguments, 4);
}

bool admin_is_quiet(const struct async *async)
{
    return async->admin->op == NULL && async->admin->first == NULL;
}

void admin_abandon(struct async *async)
{
    struct admin *admin = async->admin;
    admin->abandoned = true;
    if (admin->works)
        work_abandon(&admin->work);
}

void admin_close(struct async *async)
{
    struct admin *admin = async->admin;
    if (admin == NULL)
        return;
    resv_defer_cancel(async->base.host, &admin->soon);
    resv_timer_stop(async->base.host, &admin->timer);
    arguments_destroy(&admin->arguments);
    free(admin->concerts);
    free(admin->members);
    free(admin->old);
    free(admin);
    async->admin = NULL;
}
