/* The dispatcher: takes operations from the pool, queues, submits, times out and gives back.
 *
 *             take            submit: taken               complete
 *   [free] ---------> op ---> [queued] ---> [submitted] ----------> done() ---> [free]
 *                                 |    busy: stays   \                            ^
 *                                 |                   `--> [overdue] -------------'
 *                                 `-- client gone, deadline: done(CANCELLED) -----'
 *
 * There are two lanes, strategy and catalog, so that a busy strategy does not hold up reads. All
 * operations have the same time to live, so each list is in order of deadline by itself.
 */
#include "op/dispatch.h"

#include <stdlib.h>
#include <string.h>

#include "host/host.h"
#include "op/catalog_request.h"
#include "op/op_list.h"
#include "resvd/assert.h"

#define DEADLINE_TICK_MS 50
#define NS_PER_MS        1000000ULL

enum lane { LANE_STRATEGY, LANE_CATALOG, LANE_COUNT };

struct dispatcher {
    struct resv_host *host;
    struct dispatcher_config config;
    void *instance;
    bool accepting;

    struct resv_op *operations;
    char *private_memory;
    size_t private_size;
    struct op_list free;
    struct op_list queued[LANE_COUNT];
    struct op_list submitted[LANE_COUNT];
    struct op_list overdue; /* SUBMITTED, cancelled for their deadline, within or past grace */
    size_t taken;           /* taken from the pool but not yet submitted by the route */
    struct resv_op *submitting;

    struct resv_op **keyed; /* hash of keyed RESERVEs under way, by id */
    size_t keyed_mask;

    struct resv_deferred pump;
    struct resv_timer deadline_timer;
    void (*idle)(void *data);
    void *idle_data;
};

static enum lane lane_of(const struct resv_op *op)
{
    return op->kind <= RESV_OP_LOOKUP ? LANE_STRATEGY : LANE_CATALOG;
}

/* --- keyed operations under way -------------------------------------------------------------- */

static struct resv_op **keyed_bucket(struct dispatcher *dispatcher, const struct resv_id *id)
{
    uint64_t hash;
    memcpy(&hash, id->bytes, sizeof(hash)); /* UUIDv5: already evenly spread */
    return &dispatcher->keyed[hash & dispatcher->keyed_mask];
}

static bool is_keyed(const struct resv_op *op)
{
    return op->keyed && op->kind == RESV_OP_RESERVE;
}

static void keyed_insert(struct dispatcher *dispatcher, struct resv_op *op)
{
    struct resv_op **bucket = keyed_bucket(dispatcher, &op->id);
    op->hash_next = *bucket;
    *bucket = op;
}

static void keyed_remove(struct dispatcher *dispatcher, struct resv_op *op)
{
    struct resv_op **link = keyed_bucket(dispatcher, &op->id);
    while (*link != op) {
        RESV_ASSERT(*link != NULL);
        link = &(*link)->hash_next;
    }
    *link = op->hash_next;
}

struct resv_op *dispatcher_find_keyed(struct dispatcher *dispatcher, const struct resv_id *id)
{
    struct resv_op *op = *keyed_bucket(dispatcher, id);
    while (op != NULL && memcmp(op->id.bytes, id->bytes, RESV_ID_SIZE) != 0)
        op = op->hash_next;
    return op;
}

/* --- the one writer of an operation's state --------------------------------------------------- */

static void op_set_state(struct dispatcher *dispatcher, struct resv_op *op,
                         enum resv_op_state state)
{
    switch (state) {
    case RESV_OP_QUEUED:
        RESV_ASSERT(op->state == RESV_OP_FREE);
        op_list_append(&dispatcher->queued[lane_of(op)], op);
        if (is_keyed(op))
            keyed_insert(dispatcher, op);
        break;
    case RESV_OP_SUBMITTED:
        RESV_ASSERT(op->state == RESV_OP_QUEUED);
        op_list_remove(&dispatcher->queued[lane_of(op)], op);
        op_list_append(&dispatcher->submitted[lane_of(op)], op);
        break;
    case RESV_OP_DONE:
        RESV_ASSERT(op->state == RESV_OP_QUEUED || op->state == RESV_OP_SUBMITTED);
        if (op->state == RESV_OP_QUEUED)
            op_list_remove(&dispatcher->queued[lane_of(op)], op);
        else if (op->cancelled)
            op_list_remove(&dispatcher->overdue, op);
        else
            op_list_remove(&dispatcher->submitted[lane_of(op)], op);
        if (is_keyed(op))
            keyed_remove(dispatcher, op);
        break;
    case RESV_OP_FREE:
        RESV_ASSERT(op->state == RESV_OP_DONE);
        op_list_prepend(&dispatcher->free, op); /* the last one used is the one in the caches */
        break;
    }
    op->state = state;
}

static size_t under_way(const struct dispatcher *dispatcher)
{
    return dispatcher->config.operations_max - dispatcher->free.count - dispatcher->taken;
}

/* Tells the client, once. An operation that was overdue has told it UNKNOWN already. */
static void tell(struct resv_op *op, enum resv_outcome outcome)
{
    void (*done)(struct resv_op *) = op->done;
    if (done == NULL)
        return;
    op->outcome = outcome;
    op->done = NULL;
    done(op);
    op->client = NULL;
}

static void finish(struct dispatcher *dispatcher, struct resv_op *op, enum resv_outcome outcome)
{
    op_set_state(dispatcher, op, RESV_OP_DONE);
    tell(op, outcome);
    catalog_request_free(op->catalog);
    op->catalog = NULL;
    op_set_state(dispatcher, op, RESV_OP_FREE);
    if (dispatcher->idle != NULL && under_way(dispatcher) == 0) {
        void (*idle)(void *data) = dispatcher->idle;
        dispatcher->idle = NULL;
        idle(dispatcher->idle_data);
    }
}

/* --- submitting ------------------------------------------------------------------------------- */

static bool try_submit(struct dispatcher *dispatcher, struct resv_op *op)
{
    bool taken;
    dispatcher->submitting = op;
    if (lane_of(op) == LANE_STRATEGY) {
        taken = dispatcher->config.strategy->submit(dispatcher->instance, op);
    } else {
        struct resv_catalog *catalog = dispatcher->config.strategy->catalog(dispatcher->instance);
        taken = catalog->submit(catalog->self, op);
    }
    dispatcher->submitting = NULL;
    if (taken)
        op_set_state(dispatcher, op, RESV_OP_SUBMITTED);
    return taken;
}

static void pump_queued(struct resv_deferred *deferred)
{
    struct dispatcher *dispatcher = deferred->data;
    for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
        while (dispatcher->queued[lane].first != NULL) {
            if (!try_submit(dispatcher, dispatcher->queued[lane].first))
                break;
        }
    }
}

static void host_ready_for_more(void *data)
{
    struct dispatcher *dispatcher = data;
    resv_defer(dispatcher->host, &dispatcher->pump);
}

static void host_complete(void *data, struct resv_op *op, enum resv_outcome outcome)
{
    struct dispatcher *dispatcher = data;
    RESV_ASSERT(op->state == RESV_OP_SUBMITTED);
    RESV_ASSERT(op != dispatcher->submitting);
    finish(dispatcher, op, outcome);
}

/* --- deadlines -------------------------------------------------------------------------------- */

static void expire_queued(struct dispatcher *dispatcher, enum lane lane, uint64_t now_ns)
{
    struct op_list *list = &dispatcher->queued[lane];
    while (list->first != NULL && list->first->deadline_ns <= now_ns)
        finish(dispatcher, list->first, RESV_CANCELLED);
}

static void expire_submitted(struct dispatcher *dispatcher, enum lane lane, uint64_t now_ns)
{
    struct op_list *list = &dispatcher->submitted[lane];
    while (list->first != NULL && list->first->deadline_ns <= now_ns) {
        struct resv_op *op = list->first;
        op_list_remove(list, op);
        op->cancelled = true;
        op_list_append(&dispatcher->overdue, op);
        if (lane == LANE_STRATEGY)
            dispatcher->config.strategy->cancel(dispatcher->instance, op, RESV_CANCEL_DEADLINE);
    }
}

/* Past the grace time nobody waits any longer: the client hears UNKNOWN, which is true, and the
 * operation stays SUBMITTED until the strategy completes it. */
static void expire_overdue(struct dispatcher *dispatcher, uint64_t now_ns)
{
    uint64_t grace_ns = dispatcher->config.grace_ms * NS_PER_MS;
    for (struct resv_op *op = dispatcher->overdue.first; op != NULL; op = op->next) {
        if (op->deadline_ns + grace_ns > now_ns)
            break;
        tell(op, RESV_UNKNOWN);
    }
}

static void deadline_tick(struct resv_timer *timer)
{
    struct dispatcher *dispatcher = timer->data;
    uint64_t now_ns = resv_now_ns(dispatcher->host);
    for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
        expire_queued(dispatcher, lane, now_ns);
        expire_submitted(dispatcher, lane, now_ns);
    }
    expire_overdue(dispatcher, now_ns);
    if (under_way(dispatcher) > 0)
        resv_timer_start(dispatcher->host, timer, DEADLINE_TICK_MS);
}

/* --- what routes call --------------------------------------------------------------------------
 */

struct resv_op *dispatcher_take(struct dispatcher *dispatcher, enum resv_op_kind kind)
{
    struct resv_op *op = dispatcher->free.first;
    if (!dispatcher->accepting || op == NULL)
        return NULL;
    op_list_remove(&dispatcher->free, op);
    void *private = op->strategy_private;
    *op = (struct resv_op){.kind = kind, .strategy_private = private};
    if (dispatcher->private_size > 0)
        memset(private, 0, dispatcher->private_size);
    op->created_ns = host_turn_ns(dispatcher->host);
    op->deadline_ns = op->created_ns + dispatcher->config.deadline_ms * NS_PER_MS;
    dispatcher->taken++;
    return op;
}

void dispatcher_give_back(struct dispatcher *dispatcher, struct resv_op *op)
{
    RESV_ASSERT(op->state == RESV_OP_FREE && dispatcher->taken > 0);
    catalog_request_free(op->catalog);
    op->catalog = NULL;
    dispatcher->taken--;
    op_list_append(&dispatcher->free, op);
}

void dispatcher_submit(struct dispatcher *dispatcher, struct resv_op *op, void *client,
                       void (*done)(struct resv_op *op))
{
    RESV_ASSERT(done != NULL && dispatcher->taken > 0);
    dispatcher->taken--;
    op->client = client;
    op->done = done;
    op_set_state(dispatcher, op, RESV_OP_QUEUED);
    if (dispatcher->deadline_timer.heap_index == 0)
        resv_timer_start(dispatcher->host, &dispatcher->deadline_timer, DEADLINE_TICK_MS);
    /* Straight through when nobody is in front: the usual case. */
    if (dispatcher->queued[lane_of(op)].first == op)
        try_submit(dispatcher, op);
}

void dispatcher_client_gone(struct dispatcher *dispatcher, struct resv_op *op)
{
    op->client = NULL;
    if (op->state == RESV_OP_QUEUED)
        finish(dispatcher, op, RESV_CANCELLED);
}

void dispatcher_cancel_queued(struct dispatcher *dispatcher)
{
    for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
        while (dispatcher->queued[lane].first != NULL)
            finish(dispatcher, dispatcher->queued[lane].first, RESV_CANCELLED);
    }
}

struct dispatcher_depths dispatcher_depths(const struct dispatcher *dispatcher)
{
    return (struct dispatcher_depths){
        .operations_max = dispatcher->config.operations_max,
        .queued = dispatcher->queued[LANE_STRATEGY].count + dispatcher->queued[LANE_CATALOG].count,
        .submitted = dispatcher->submitted[LANE_STRATEGY].count +
                     dispatcher->submitted[LANE_CATALOG].count + dispatcher->overdue.count,
    };
}

void dispatcher_when_idle(struct dispatcher *dispatcher, void (*idle)(void *data), void *data)
{
    if (under_way(dispatcher) == 0) {
        idle(data);
        return;
    }
    dispatcher->idle = idle;
    dispatcher->idle_data = data;
}

/* --- life --------------------------------------------------------------------------------------
 */

static size_t private_size_of(const struct dispatcher_config *config)
{
    return (config->strategy->op_private_size + 15) & ~(size_t)15;
}

static size_t keyed_buckets_of(const struct dispatcher_config *config)
{
    size_t buckets = 64;
    while (buckets < config->operations_max)
        buckets *= 2;
    return buckets;
}

size_t dispatcher_memory_bytes(const struct dispatcher_config *config)
{
    return sizeof(struct dispatcher) +
           config->operations_max * (sizeof(struct resv_op) + private_size_of(config)) +
           keyed_buckets_of(config) * sizeof(struct resv_op *);
}

struct dispatcher *dispatcher_create(struct resv_host *host, const struct dispatcher_config *config)
{
    struct dispatcher *dispatcher = calloc(1, sizeof(*dispatcher));
    if (dispatcher == NULL)
        return NULL;
    dispatcher->host = host;
    dispatcher->config = *config;
    dispatcher->private_size = private_size_of(config);
    size_t buckets = keyed_buckets_of(config);
    dispatcher->keyed_mask = buckets - 1;
    dispatcher->keyed = calloc(buckets, sizeof(struct resv_op *));
    dispatcher->operations = calloc(config->operations_max, sizeof(struct resv_op));
    dispatcher->private_memory =
        calloc(config->operations_max, dispatcher->private_size > 0 ? dispatcher->private_size : 1);
    if (dispatcher->keyed == NULL || dispatcher->operations == NULL ||
        dispatcher->private_memory == NULL) {
        dispatcher_destroy(dispatcher);
        return NULL;
    }
    for (size_t i = 0; i < config->operations_max; i++) {
        struct resv_op *op = &dispatcher->operations[i];
        op->strategy_private = dispatcher->private_memory + i * dispatcher->private_size;
        op_list_append(&dispatcher->free, op);
    }
    dispatcher->pump = (struct resv_deferred){.run = pump_queued, .data = dispatcher};
    dispatcher->deadline_timer = (struct resv_timer){.fired = deadline_tick, .data = dispatcher};
    host_set_operations(host, &(struct host_operations){.complete = host_complete,
                                                        .ready_for_more = host_ready_for_more,
                                                        .data = dispatcher});
    return dispatcher;
}

void dispatcher_destroy(struct dispatcher *dispatcher)
{
    if (dispatcher == NULL)
        return;
    if (dispatcher->operations != NULL) {
        resv_timer_stop(dispatcher->host, &dispatcher->deadline_timer);
        resv_defer_cancel(dispatcher->host, &dispatcher->pump);
    }
    free(dispatcher->operations);
    free(dispatcher->private_memory);
    free(dispatcher->keyed);
    free(dispatcher);
}

void dispatcher_set_instance(struct dispatcher *dispatcher, void *instance)
{
    dispatcher->instance = instance;
}

void dispatcher_set_accepting(struct dispatcher *dispatcher, bool accepting)
{
    dispatcher->accepting = accepting;
}

bool dispatcher_accepting(const struct dispatcher *dispatcher)
{
    return dispatcher->accepting;
}
