/* Calls and channels of the simulated Redis link. Invariant: a call that is under way has one
 * ticket, on its pipe's list or on the link's list of those that are refused. */
#include <stdlib.h>
#include <string.h>

#include "resvd/assert.h"
#include "sim_redis_link.h"

/* --- the end of a call ------------------------------------------------------------------------ */

static void append(struct redis_pipe *pipe, struct redis_ticket *ticket)
{
    ticket->previous = pipe->tickets_last;
    if (pipe->tickets_last != NULL)
        pipe->tickets_last->next = ticket;
    else
        pipe->tickets = ticket;
    pipe->tickets_last = ticket;
    pipe->tickets_count++;
}

static void take_off(struct redis_pipe *pipe, struct redis_ticket *ticket)
{
    if (ticket->previous != NULL)
        ticket->previous->next = ticket->next;
    else
        pipe->tickets = ticket->next;
    if (ticket->next != NULL)
        ticket->next->previous = ticket->previous;
    else
        pipe->tickets_last = ticket->previous;
    pipe->tickets_count--;
}

/* The ticket is on no list any more. */
static void end_call(struct redis_link *link, struct redis_ticket *ticket, enum redis_result result,
                     const struct redis_reply *reply)
{
    static const char *const words[] = {[REDIS_DONE] = "an answer",
                                        [REDIS_REFUSED] = "REFUSED",
                                        [REDIS_DOWN] = "DOWN",
                                        [REDIS_LOST] = "LOST"};
    struct redis_call *call = ticket->call;
    if (ticket->sent != NULL)
        ticket->sent->ticket = NULL;
    free(ticket);
    SIM_TRACE(link->world, link->host->who, "gets %s for %s on node %zu%s%s", words[result],
              call->script->name, call->node + 1, reply != NULL ? ": " : "",
              reply != NULL ? reply_words(reply) : "");
    call->pending = false;
    call->result = result;
    call->reply = reply;
    link->inside++;
    call->done(call);
    link->inside--;
}

static void lose(struct redis_pipe *pipe, struct redis_ticket *ticket)
{
    take_off(pipe, ticket);
    end_call(pipe->link, ticket, REDIS_LOST, NULL);
}

void redis_calls_lost(struct redis_pipe *pipe)
{
    while (pipe->tickets != NULL)
        lose(pipe, pipe->tickets);
}

void redis_calls_answered(struct redis_link *link, struct sim_redis_packet *packet)
{
    for (struct sim_sent *sent = packet->first; sent != NULL; sent = sent->next) {
        struct redis_ticket *ticket = sent->ticket;
        if (ticket == NULL)
            continue; /* timed out before */
        take_off(&link->calls[ticket->call->node], ticket);
        end_call(link, ticket, sent->reply.kind == REPLY_ERROR ? REDIS_REFUSED : REDIS_DONE,
                 &sent->reply);
    }
}

static void refuse(struct sim_event *event)
{
    struct redis_link *link = event->data;
    struct redis_ticket *tickets = link->refused; /* newest first */
    struct redis_ticket *in_order = NULL;
    link->refused = NULL;
    while (tickets != NULL) {
        struct redis_ticket *ticket = tickets;
        tickets = ticket->next;
        ticket->next = in_order;
        in_order = ticket;
    }
    while (in_order != NULL) {
        struct redis_ticket *ticket = in_order;
        in_order = ticket->next;
        end_call(link, ticket, REDIS_DOWN, NULL);
    }
}

/* --- time-outs -------------------------------------------------------------------------------- */

static struct redis_ticket *any_due(struct redis_pipe *pipe, uint64_t *next_ns)
{
    uint64_t now_ns = pipe->link->world->schedule.now_ns;
    for (struct redis_ticket *ticket = pipe->tickets; ticket != NULL; ticket = ticket->next) {
        if (ticket->call->due_ns <= now_ns)
            return ticket;
        if (ticket->call->due_ns < *next_ns)
            *next_ns = ticket->call->due_ns;
    }
    return NULL;
}

static void timeouts(struct sim_event *event)
{
    struct redis_link *link = event->data;
    struct sim_world *world = link->world;
    uint64_t next_ns = UINT64_MAX;
    for (size_t i = 0; i < link->nodes_count; i++) {
        struct redis_pipe *pipe = &link->calls[i];
        struct redis_ticket *ticket;
        bool timed_out = false;
        while ((ticket = any_due(pipe, &next_ns)) != NULL) {
            timed_out = true;
            lose(pipe, ticket);
        }
        /* What answers too late, or not at all, may be a connection that is dead. */
        if (timed_out && pipe->state == PIPE_UP && !link->dead &&
            chance_of(&world->chance, world->scenario.drops_on_timeout))
            pipe_lose(pipe);
    }
    if (next_ns != UINT64_MAX)
        schedule_no_later(&world->schedule, &link->timeouts, next_ns - world->schedule.now_ns);
}

/* Those that were under way when it was asked for. */
static void interrupt(struct sim_event *event)
{
    struct redis_link *link = event->data;
    for (size_t i = 0; i < link->nodes_count; i++) {
        struct redis_pipe *pipe = &link->calls[i];
        for (struct redis_ticket *ticket = pipe->tickets; ticket != NULL;) {
            struct redis_ticket *given_up = ticket->given_up ? ticket : NULL;
            ticket = ticket->next;
            if (given_up == NULL)
                continue;
            lose(pipe, given_up);
            ticket = pipe->tickets; /* from inside, others may have come or gone */
        }
    }
}

void redis_link_interrupt(struct redis_link *link)
{
    for (size_t i = 0; i < link->nodes_count; i++) {
        for (struct redis_ticket *ticket = link->calls[i].tickets; ticket != NULL;
             ticket = ticket->next)
            ticket->given_up = true;
    }
    schedule_no_later(&link->world->schedule, &link->interrupt,
                      chance_below(&link->world->chance, NS_PER_MS));
}

/* --- calls ------------------------------------------------------------------------------------ */

static struct redis_text *copy_texts(const struct redis_text *texts, size_t count)
{
    struct redis_text *copies = calloc(count + 1, sizeof *copies);
    RESV_ASSERT(copies != NULL);
    for (size_t i = 0; i < count; i++)
        copies[i] = text_copy(texts[i].bytes, texts[i].size);
    return copies;
}

static void add_to_batch(struct redis_pipe *pipe, struct redis_ticket *ticket)
{
    const struct redis_call *call = ticket->call;
    struct sim_sent *sent = calloc(1, sizeof *sent);
    RESV_ASSERT(sent != NULL);
    if (pipe->batch == NULL)
        pipe->batch = redis_packet_new(PACKET_CALLS);
    sent->script = call->script;
    sent->host = pipe->link->host;
    sent->keys = copy_texts(call->keys, call->keys_count);
    sent->keys_count = call->keys_count;
    sent->arguments = copy_texts(call->arguments, call->arguments_count);
    sent->arguments_count = call->arguments_count;
    sent->ticket = ticket;
    ticket->sent = sent;
    *pipe->batch->last = sent;
    pipe->batch->last = &sent->next;
    pipe->batch->count++;
}

#ifndef RESVD_FAULTS /* one put back may have a script of its own */
static bool is_listed(const struct redis_link *link, const struct redis_script *script)
{
    const struct redis_script *const *each = link->config.scripts;
    while (*each != NULL && *each != script)
        each++;
    return *each != NULL;
}
#endif

void redis_run(struct redis_link *link, struct redis_call *call)
{
    struct sim_schedule *schedule = &link->world->schedule;
    RESV_ASSERT(!call->pending && !link->closing && call->node < link->nodes_count);
#ifndef RESVD_FAULTS
    RESV_ASSERT(is_listed(link, call->script));
#endif
    uint64_t timeout_ms = call->timeout_ms > 0 ? call->timeout_ms : link->timeout_ms;
    struct redis_pipe *pipe = &link->calls[call->node];
    struct redis_ticket *ticket = calloc(1, sizeof *ticket);
    RESV_ASSERT(ticket != NULL);
    ticket->call = call;
    call->pending = true;
    call->reply = NULL;
    call->due_ns = schedule->now_ns + timeout_ms * NS_PER_MS;
    if (link->dead || pipe->state != PIPE_UP || pipe->tickets_count >= link->config.calls_max) {
        ticket->next = link->refused;
        link->refused = ticket;
        schedule_no_later(schedule, &link->refuse, chance_below(schedule->chance, 200 * NS_PER_US));
        return;
    }
    append(pipe, ticket);
    add_to_batch(pipe, ticket);
    resv_defer(link->host, &link->flush);
    schedule_no_later(schedule, &link->timeouts, timeout_ms * NS_PER_MS);
}

static void flush(struct resv_deferred *deferred)
{
    struct redis_link *link = deferred->data;
    for (size_t i = 0; i < link->nodes_count; i++)
        pipe_flush(&link->calls[i]);
}

/* --- channels --------------------------------------------------------------------------------- */

static struct redis_listener **find_listener(struct redis_link *link, const char *channel)
{
    struct redis_listener **place = &link->listeners;
    while (*place != NULL && strcmp((*place)->subscription->channel, channel) != 0)
        place = &(*place)->next;
    return place;
}

void redis_subscribe(struct redis_link *link, struct redis_subscription *subscription)
{
    RESV_ASSERT(link->config.subscribes && !subscription->pending);
    RESV_ASSERT(memchr(subscription->channel, '\0', REDIS_CHANNEL_SIZE_MAX) != NULL);
    struct redis_listener **place = find_listener(link, subscription->channel);
    RESV_ASSERT(*place == NULL);
    struct redis_listener *listener = calloc(1, sizeof *listener);
    RESV_ASSERT(listener != NULL);
    listener->subscription = subscription;
    listener->number = ++link->subscriptions;
    *place = listener;
    subscription->pending = true;
    subscription->listens = 0;
    for (size_t i = 0; i < link->nodes_count; i++)
        pipe_subscribe(&link->hears[i], listener);
}

void redis_unsubscribe(struct redis_link *link, struct redis_subscription *subscription)
{
    if (!subscription->pending)
        return;
    struct redis_listener **place = find_listener(link, subscription->channel);
    struct redis_listener *listener = *place;
    RESV_ASSERT(listener != NULL && listener->subscription == subscription);
    *place = listener->next;
    free(listener);
    subscription->pending = false;
    subscription->listens = 0;
    for (size_t i = 0; i < link->nodes_count; i++)
        pipe_unsubscribe(&link->hears[i], subscription->channel);
}

void redis_heard(struct redis_link *link, size_t node, const char *channel)
{
    const struct redis_listener *listener = *find_listener(link, channel);
    if (listener == NULL || link->dead)
        return;
    SIM_TRACE(link->world, link->host->who, "hears %s of node %zu", channel, node + 1);
    listener->subscription->heard(listener->subscription, node);
}

void redis_listening(struct redis_link *link, size_t node, const char *channel, uint64_t number)
{
    const struct redis_listener *listener = *find_listener(link, channel);
    if (listener == NULL || listener->number != number || link->dead)
        return;
    SIM_TRACE(link->world, link->host->who, "listens to %s of node %zu", channel, node + 1);
    listener->subscription->listens |= 1U << node;
    listener->subscription->listening(listener->subscription, node);
}

void redis_calls_open(struct redis_link *link)
{
    link->flush = (struct resv_deferred){.run = flush, .data = link};
    link->refuse = sim_host_event(link->host, refuse, link);
    link->timeouts = sim_host_event(link->host, timeouts, link);
    link->interrupt = sim_host_event(link->host, interrupt, link);
}

void redis_calls_close(struct redis_link *link)
{
    struct sim_schedule *schedule = &link->world->schedule;
    resv_defer_cancel(link->host, &link->flush);
    schedule_cancel(schedule, &link->refuse);
    schedule_cancel(schedule, &link->timeouts);
    schedule_cancel(schedule, &link->interrupt);
}
