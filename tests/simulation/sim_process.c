/* A process's life, and the little of core that stands before a strategy: operations, their queue,
 * their deadlines. */
#include "sim_process.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resvd/assert.h"
#include "sim_kafka.h"
#include "sim_redis_link.h"
#include "sim_session.h"
#include "sim_variants.h"

/* --- the end of a request --------------------------------------------------------------------- */

static void trace_answer(const struct sim_task *task, enum resv_outcome outcome)
{
    const struct sim_request *request = task->request;
    SIM_TRACE(task->process->world, task->process->host.who, "request %" PRIu64 " %s %s: %s%s%s",
              request->serial, sim_kind_text(request->kind), sim_id_text(&request->id),
              sim_outcome_text(outcome), task->op->reservation.replay ? ", replay" : "",
              request->discarded ? " (nobody hears it)" : "");
}

static void free_catalog(struct resv_catalog_request *catalog)
{
    if (catalog == NULL)
        return;
    free(catalog->concerts);
    free(catalog->members);
    free(catalog->audit);
    free(catalog);
}

/* The operation's memory is gone at once: whoever touches it later is found out. */
static void finish(struct sim_task *task, enum resv_outcome outcome)
{
    struct sim_process *process = task->process;
    struct sim_world *world = process->world;
    task->request->discarded = process->crashed;
    trace_answer(task, outcome);
    checker_answered(world->checker, task->request, outcome);
    task->request->op = NULL;
    if (task->previous != NULL)
        task->previous->next = task->next;
    else
        process->tasks = task->next;
    if (task->next != NULL)
        task->next->previous = task->previous;
    process->task_count--;
    schedule_cancel(&world->schedule, &task->deadline);
    free_catalog(task->op->catalog);
    free(task->op->strategy_private);
    free(task->op);
    free(task);
}

static void unqueue(struct sim_task *task)
{
    struct sim_task **link = &task->process->queue;
    while (*link != task)
        link = &(*link)->queue_next;
    *link = task->queue_next;
    task->queued = false;
}

static void cancel_queued(struct sim_process *process)
{
    while (process->queue != NULL) {
        struct sim_task *task = process->queue;
        unqueue(task);
        finish(task, RESV_CANCELLED);
    }
}

static void completed(void *data, struct resv_op *op, enum resv_outcome outcome)
{
    struct sim_process *process = data;
    RESV_ASSERT(op->state == RESV_OP_SUBMITTED && process->submitting == NULL);
    struct sim_task *task = op->client;
    RESV_ASSERT(task->op == op && task->process == process);
    op->state = RESV_OP_DONE;
    finish(task, outcome);
}

/* --- its way in ------------------------------------------------------------------------------- */

static bool try_submit(struct sim_task *task)
{
    struct sim_process *process = task->process;
    const struct resv_strategy *strategy = process->strategy;
    bool taken;
    process->submitting = task->op;
    if (task->op->kind <= RESV_OP_LOOKUP) {
        taken = strategy->submit(process->instance, task->op);
    } else {
        struct resv_catalog *catalog = strategy->catalog(process->instance);
        taken = catalog->submit(catalog->self, task->op);
    }
    process->submitting = NULL;
    if (taken)
        task->op->state = RESV_OP_SUBMITTED;
    return taken;
}

static void pump(struct resv_deferred *deferred)
{
    struct sim_process *process = deferred->data;
    while (process->queue != NULL && process->stage == PROCESS_RUNNING) {
        struct sim_task *task = process->queue;
        if (!try_submit(task))
            break;
        unqueue(task);
    }
}

static void ready_for_more(void *data)
{
    struct sim_process *process = data;
    if (process->stage == PROCESS_RUNNING)
        resv_defer(&process->host, &process->pump);
}

static void deadline(struct sim_event *event)
{
    struct sim_task *task = event->data;
    struct sim_process *process = task->process;
    struct sim_world *world = process->world;
    if (task->queued) {
        unqueue(task);
        finish(task, RESV_CANCELLED);
        return;
    }
    if (task->cancelled || task->op->kind > RESV_OP_LOOKUP || process->stage >= PROCESS_CLOSING)
        return;
    bool gone = resv_now_ns(&process->host) < task->op->deadline_ns;
    SIM_TRACE(world, process->host.who, "request %" PRIu64 " is cancelled, %s",
              task->request->serial, gone ? "the client has gone" : "its deadline has come");
    task->cancelled = true;
    task->op->cancelled = true;
    process->strategy->cancel(process->instance, task->op,
                              gone ? RESV_CANCEL_CLIENT_GONE : RESV_CANCEL_DEADLINE);
}

static struct resv_op *make_op(struct sim_task *task)
{
    struct sim_process *process = task->process;
    const struct sim_request *request = task->request;
    size_t private_size = process->strategy->op_private_size;
    struct resv_op *op = calloc(1, sizeof *op);
    RESV_ASSERT(op != NULL);
    op->strategy_private = calloc(1, private_size > 0 ? private_size : 1);
    RESV_ASSERT(op->strategy_private != NULL);
    op->kind = request->kind;
    op->state = RESV_OP_QUEUED;
    op->keyed = request->keyed;
    op->id = request->id;
    op->concert_id = request->concert_id;
    op->member_id = request->member_id;
    op->quantity = request->quantity;
    op->created_ns = resv_now_ns(&process->host);
    op->deadline_ns = op->created_ns + process->world->scenario.deadline_ms * NS_PER_MS;
    op->client = task;
    return op;
}

void process_submit(struct sim_process *process, struct sim_request *request,
                    struct resv_catalog_request *catalog)
{
    struct sim_world *world = process->world;
    RESV_ASSERT(process_accepts(process));
    struct sim_task *task = calloc(1, sizeof *task);
    RESV_ASSERT(task != NULL);
    task->process = process;
    task->request = request;
    task->op = make_op(task);
    task->op->catalog = catalog;
    request->process = process;
    request->op = task->op;
    request->submitted_ns = world->schedule.now_ns;
    task->next = process->tasks;
    if (task->next != NULL)
        task->next->previous = task;
    process->tasks = task;
    process->task_count++;
    SIM_TRACE(world, process->host.who,
              "request %" PRIu64 " %s %s: %lld of concert %lld for member %lld%s", request->serial,
              sim_kind_text(request->kind), sim_id_text(&request->id), (long long)request->quantity,
              (long long)request->concert_id, (long long)request->member_id,
              request->keyed ? ", keyed" : "");
    uint64_t patience_ns = world->scenario.deadline_ms * NS_PER_MS;
    if (chance_of(&world->chance, world->scenario.gone))
        patience_ns = chance_skewed(&world->chance, patience_ns);
    else
        patience_ns += chance_below(&world->chance, 50 * NS_PER_MS);
    task->deadline = sim_host_event(&process->host, deadline, task);
    schedule_after(&world->schedule, &task->deadline, patience_ns);
    if (process->queue == NULL && try_submit(task))
        return;
    struct sim_task **last = &process->queue;
    while (*last != NULL)
        last = &(*last)->queue_next;
    *last = task;
    task->queued = true;
}

bool process_has_key(const struct sim_process *process, const struct resv_id *id)
{
    for (const struct sim_task *task = process->tasks; task != NULL; task = task->next) {
        if (task->op->kind == RESV_OP_RESERVE &&
            memcmp(task->op->id.bytes, id->bytes, RESV_ID_SIZE) == 0)
            return true;
    }
    return false;
}

static uint64_t request_of(void *data, const struct database_step *step, const struct resv_id *id)
{
    const struct sim_process *process = data;
    enum resv_op_kind kind =
        step->kind == DATABASE_CANCEL_RESERVATION ? RESV_OP_RELEASE : RESV_OP_RESERVE;
    size_t private_size = process->strategy->op_private_size;
    uint64_t found = 0;
    for (const struct sim_task *task = process->tasks; task != NULL; task = task->next) {
        if (task->op->kind != kind || task->op->state != RESV_OP_SUBMITTED ||
            memcmp(task->op->id.bytes, id->bytes, RESV_ID_SIZE) != 0)
            continue;
        found = task->request->serial;
        /* Releases of one id may be several: the step lies in the one that it is for. */
        uintptr_t private = (uintptr_t)task->op->strategy_private;
        if ((uintptr_t)step >= private && (uintptr_t)step < private + private_size)
            break;
    }
    return found;
}

/* --- life ------------------------------------------------------------------------------------- */

static void life(struct sim_event *event)
{
    struct sim_process *process = event->data;
    const struct resv_strategy *strategy = process->strategy;
    switch (process->stage) {
    case PROCESS_STARTING:
        break;
    case PROCESS_RUNNING:
        process->stage = PROCESS_DRAINING;
        cancel_queued(process);
        strategy->drain(process->instance, resv_now_ns(&process->host));
        break;
    case PROCESS_DRAINING: /* drained */
        process->stage = PROCESS_CLOSING;
        strategy->close(process->instance);
        break;
    case PROCESS_CLOSING:
        break;
    case PROCESS_CLOSED: /* the next one takes its place */
        if (!process->world->ending)
            process_start(process->world, process->host.role);
        break;
    }
}

static void started(void *data)
{
    struct sim_process *process = data;
    RESV_ASSERT(process->stage == PROCESS_STARTING);
    process->stage = PROCESS_RUNNING;
    SIM_TRACE(process->world, process->host.who, "is ready");
}

static void start_failed(void *data, int exit_code, const char *message)
{
    struct sim_process *process = data;
    RESV_ASSERT(process->stage == PROCESS_STARTING && exit_code == 69);
    SIM_TRACE(process->world, process->host.who, "cannot start: %s", message);
    process->stage = PROCESS_DRAINING;
    process->restart_ns = NS_PER_S;
    schedule_after(&process->world->schedule, &process->life, 0);
}

static void drained(void *data)
{
    struct sim_process *process = data;
    RESV_ASSERT(process->stage == PROCESS_DRAINING);
    SIM_TRACE(process->world, process->host.who, "is drained");
    for (const struct sim_task *task = process->tasks; task != NULL; task = task->next) {
        world_violation(process->world, "%s says drained while request %" PRIu64 " is under way",
                        process->host.who, task->request->serial);
    }
    schedule_after(&process->world->schedule, &process->life,
                   chance_below(&process->world->chance, NS_PER_MS));
}

static void closed(void *data)
{
    struct sim_process *process = data;
    struct sim_world *world = process->world;
    RESV_ASSERT(process->stage == PROCESS_CLOSING);
    process->stage = PROCESS_CLOSED;
    SIM_TRACE(world, process->host.who, "is closed");
    sim_host_close(&process->host);
    if (process->restart_ns > 0)
        schedule_after(&world->schedule, &process->life, process->restart_ns);
}

struct sim_process *process_start(struct sim_world *world, enum resv_role role)
{
    struct sim_process *process = calloc(1, sizeof *process);
    RESV_ASSERT(process != NULL);
    char who[16];
    snprintf(who, sizeof who, "p%zu", ++world->process_count);
    const struct sim_variant *variant = sim_variant_of_process(world);
    process->world = world;
    process->strategy = variant->strategy;
    process->next = world->processes;
    world->processes = process;
    const struct sim_host_events events = {.data = process,
                                           .started = started,
                                           .start_failed = start_failed,
                                           .ready_for_more = ready_for_more,
                                           .drained = drained,
                                           .closed = closed,
                                           .complete = completed,
                                           .request_of = request_of};
    sim_host_open(&process->host, world, who, &events);
    process->pump = (struct resv_deferred){.run = pump, .data = process};
    process->life = sim_host_event(&process->host, life, process);
    process->host.form = variant->form;
    process->host.role = role;
    SIM_TRACE(world, who, "starts as %s%s", variant->name,
              role == RESV_ROLE_ALL   ? ""
              : role == RESV_ROLE_API ? ", api only"
                                      : ", consumer only");
    RESV_ASSERT(process->strategy->open(&process->host, &process->instance) == 0);
    process->strategy->start(process->instance);
    return process;
}

/* What is left of it is taken down as for a drain whose time is up: it frees what it has, and none
 * of it reaches anybody. */
void process_crash(struct sim_process *process)
{
    struct sim_world *world = process->world;
    if (process->crashed || process->stage >= PROCESS_CLOSING)
        return;
    SIM_TRACE(world, process->host.who, "crashes with %zu requests under way", process->task_count);
    process->crashed = true;
    process->host.held_until_ns = 0;
    link_die(process->host.link);
    for (struct redis_link *link = process->host.redis_links; link != NULL; link = link->next)
        redis_link_die(link);
    if (process->host.kafka_link != NULL)
        kafka_link_die(process->host.kafka_link);
    if (process->stage == PROCESS_RUNNING)
        schedule_after(&world->schedule, &process->life, 0);
}

bool process_drain(struct sim_process *process, uint64_t deadline_ms)
{
    struct sim_world *world = process->world;
    if (process->stage != PROCESS_RUNNING || process->crashed)
        return false;
    SIM_TRACE(world, process->host.who, "drains within %" PRIu64 " ms, %zu requests under way",
              deadline_ms, process->task_count);
    process->stage = PROCESS_DRAINING;
    cancel_queued(process);
    process->strategy->drain(process->instance,
                             resv_now_ns(&process->host) + deadline_ms * NS_PER_MS);
    return true;
}

bool process_accepts(const struct sim_process *process)
{
    return process->stage == PROCESS_RUNNING && !process->crashed &&
           process->host.role != RESV_ROLE_CONSUMER;
}

bool processes_run(const struct sim_world *world)
{
    for (const struct sim_process *process = world->processes; process != NULL;
         process = process->next) {
        if (process->stage != PROCESS_RUNNING &&
            (process->stage != PROCESS_CLOSED || schedule_has(&process->life)))
            return false;
    }
    return true;
}

size_t processes_busy(const struct sim_world *world)
{
    size_t busy = 0;
    for (const struct sim_process *process = world->processes; process != NULL;
         process = process->next)
        busy += process->task_count;
    return busy;
}

bool processes_closed(const struct sim_world *world)
{
    for (const struct sim_process *process = world->processes; process != NULL;
         process = process->next) {
        if (process->stage != PROCESS_CLOSED)
            return false;
    }
    return true;
}

void process_free_all(struct sim_world *world)
{
    while (world->processes != NULL) {
        struct sim_process *process = world->processes;
        world->processes = process->next;
        schedule_cancel(&world->schedule, &process->life);
        free(process);
    }
}
