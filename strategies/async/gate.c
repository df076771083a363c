/* Closed gates: barriers are asked for, and who came to one may wait for a moment.
 *
 * A concert's gate is closed until somebody sells there for the first time, and after Redis has
 * lost its data. The barrier goes to the log; who consumes the concert's partition makes the
 * numbers anew when it comes to it, and opens the gate. That takes some ten milliseconds as a rule:
 * so a few wait for it here, and all others are told to come again.
 *
 * Invariants: a process asks for a concert at most once in ASK_AGAIN_MS; nobody waits longer
 * than GATE_WAIT_MS in all. */
#include <stdlib.h>

#include "barrier.h"

#define NS_PER_MS 1000000ULL

enum {
    ASKED_SLOTS = 4096, /* a power of two */
    ASK_AGAIN_MS = 200,
    GATE_WAIT_MS = 500,
    GATE_WAITS_MAX = 512,
    GATE_LOOK_MS = 10,
};

struct asked {
    int64_t concert_id;
    uint64_t again_ns; /* when it, or another that falls here, may be asked for; 0: at once */
};

struct gate {
    struct asked asked[ASKED_SLOTS];
    struct async_list waiting;
    struct resv_timer look;
};

/* --- barriers -----------------------------------------------------------------------------------
 */

void gate_ask(struct async *async, int64_t concert_id)
{
    const uint64_t mixed = (uint64_t)concert_id * 0x9e3779b97f4a7c15ULL;
    struct asked *asked = &async->gate->asked[(mixed >> 32) & (ASKED_SLOTS - 1)];
    const uint64_t now_ns = resv_now_ns(async->base.host);
    if (now_ns < asked->again_ns || async->base.abandoned || !kafka_link_is_up(async->kafka))
        return;
    if (barrier_publish(async, concert_id, NULL, NULL))
        *asked =
            (struct asked){.concert_id = concert_id, .again_ns = now_ns + ASK_AGAIN_MS * NS_PER_MS};
}

/* --- who waits ----------------------------------------------------------------------------------
 */

bool gate_wait(struct async *async, struct resv_op *op)
{
    struct gate *gate = async->gate;
    struct async_op *state = async_op_of(op);
    const uint64_t now_ns = resv_now_ns(async->base.host);
    if (state->gate_ns == 0)
        state->gate_ns = now_ns;
    if (async->base.abandoned || gate->waiting.count == GATE_WAITS_MAX ||
        now_ns - state->gate_ns >= GATE_WAIT_MS * NS_PER_MS)
        return false;
    if (gate->waiting.count == 0)
        resv_timer_start(async->base.host, &gate->look, GATE_LOOK_MS);
    front_move(op, ASYNC_AT_GATE);
    async_list_append(&gate->waiting, op);
    return true;
}

/* Those that are there now: who comes back to a closed gate waits for the next look. */
void gate_release_all(struct async *async)
{
    struct async_list *waiting = &async->gate->waiting;
    for (size_t left = waiting->count; left > 0; left--)
        front_try_again(async, async_list_take(waiting));
    if (waiting->count == 0)
        resv_timer_stop(async->base.host, &async->gate->look);
}

static void look(struct resv_timer *timer)
{
    struct async *async = timer->data;
    gate_release_all(async);
    if (async->gate->waiting.count > 0)
        resv_timer_start(async->base.host, timer, GATE_LOOK_MS);
}

bool gate_cancel(struct async *async, struct resv_op *op)
{
    if (async_op_of(op)->list != &async->gate->waiting)
        return false;
    async_list_remove(op);
    return true;
}

/* --- life ---------------------------------------------------------------------------------------
 */

bool gate_open(struct async *async)
{
    async->gate = calloc(1, sizeof *async->gate);
    if (async->gate == NULL)
        return false;
    async->gate->look = (struct resv_timer){.fired = look, .data = async};
    return true;
}

void gate_close(struct async *async)
{
    if (async->gate == NULL)
        return;
    resv_timer_stop(async->base.host, &async->gate->look);
    free(async->gate);
    async->gate = NULL;
}
