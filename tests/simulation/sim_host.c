/* The simulated host: clocks, timers, deferred calls, chance, options, words. */
#include "sim_host.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resvd/assert.h"

/* --- clocks and timers ------------------------------------------------------------------------ */

uint64_t resv_now_ns(struct resv_host *host)
{
    return host->world->schedule.now_ns + host->clock_ahead_ns;
}

int64_t resv_wall_ms(struct resv_host *host)
{
    return (int64_t)(host->world->schedule.now_ns / NS_PER_MS) + 1700000000000 +
           host->wall_ahead_ms;
}

uint64_t resv_host_start_deadline_ns(struct resv_host *host)
{
    return host->start_deadline_ns;
}

enum resv_role resv_host_role(struct resv_host *host)
{
    return host->role;
}

static void arm(struct resv_host *host)
{
    struct resv_timer *first = timer_heap_first(&host->timers);
    struct sim_schedule *schedule = &host->world->schedule;
    if (first == NULL) {
        schedule_cancel(schedule, &host->timers_due);
        return;
    }
    uint64_t now_ns = resv_now_ns(host);
    uint64_t wait_ns = first->due_ns > now_ns ? first->due_ns - now_ns : 0;
    /* The loop is a little late. */
    schedule_after(schedule, &host->timers_due,
                   wait_ns + chance_below(schedule->chance, NS_PER_MS));
}

static void timers_due(struct sim_event *event)
{
    struct resv_host *host = event->data;
    uint64_t now_ns = resv_now_ns(host);
    for (;;) {
        struct resv_timer *timer = timer_heap_first(&host->timers);
        if (timer == NULL || timer->due_ns > now_ns)
            break;
        timer_heap_remove(&host->timers, timer);
        timer->fired(timer);
    }
    arm(host);
}

void resv_timer_start(struct resv_host *host, struct resv_timer *timer, uint64_t delay_ms)
{
    if (timer->heap_index != 0)
        timer_heap_remove(&host->timers, timer);
    timer->due_ns = resv_now_ns(host) + delay_ms * NS_PER_MS + 1;
    timer_heap_insert(&host->timers, timer);
    if (timer_heap_first(&host->timers) == timer)
        arm(host);
}

void resv_timer_stop(struct resv_host *host, struct resv_timer *timer)
{
    if (timer->heap_index != 0)
        timer_heap_remove(&host->timers, timer);
}

/* --- deferred calls --------------------------------------------------------------------------- */

static void flush(struct sim_event *event)
{
    struct resv_host *host = event->data;
    struct resv_deferred *last_now = NULL; /* what they queue in turn comes in the next round */
    for (struct resv_deferred *each = host->deferred_first; each != NULL; each = each->next)
        last_now = each;
    while (last_now != NULL && host->deferred_first != NULL) {
        struct resv_deferred *deferred = host->deferred_first;
        host->deferred_first = deferred->next;
        if (host->deferred_first == NULL)
            host->deferred_last = &host->deferred_first;
        deferred->queued = false;
        bool was_last = deferred == last_now;
        deferred->run(deferred);
        if (was_last)
            break;
    }
    if (host->deferred_first != NULL)
        schedule_no_later(&host->world->schedule, &host->flush, 0);
}

void resv_defer(struct resv_host *host, struct resv_deferred *deferred)
{
    if (deferred->queued)
        return;
    deferred->queued = true;
    deferred->next = NULL;
    *host->deferred_last = deferred;
    host->deferred_last = &deferred->next;
    if (!schedule_has(&host->flush))
        schedule_after(&host->world->schedule, &host->flush,
                       chance_skewed(&host->world->chance, 500 * NS_PER_US));
}

void resv_defer_cancel(struct resv_host *host, struct resv_deferred *deferred)
{
    if (!deferred->queued)
        return;
    struct resv_deferred **link = &host->deferred_first;
    while (*link != deferred) {
        RESV_ASSERT(*link != NULL);
        link = &(*link)->next;
    }
    *link = deferred->next;
    if (deferred->next == NULL)
        host->deferred_last = link;
    deferred->queued = false;
}

/* --- chance and words ------------------------------------------------------------------------- */

void resv_random_bytes(struct resv_host *host, void *buffer, size_t size)
{
    uint8_t *bytes = buffer;
    while (size > 0) {
        uint64_t word = chance_next(&host->world->chance);
        size_t part = size < sizeof word ? size : sizeof word;
        memcpy(bytes, &word, part);
        bytes += part;
        size -= part;
    }
}

void resv_log(struct resv_host *host, enum resv_log_level level, const char *event, ...)
{
    (void)level;
    if (host->world->trace == SIM_TRACE_OFF)
        return;
    char line[256];
    size_t length = 0;
    va_list pairs;
    va_start(pairs, event);
    for (const char *key = va_arg(pairs, const char *); key != NULL && length < sizeof line;
         key = va_arg(pairs, const char *)) {
        int more = snprintf(line + length, sizeof line - length, " %s=%s", key,
                            va_arg(pairs, const char *));
        length += (size_t)more;
    }
    va_end(pairs);
    SIM_TRACE(host->world, host->who, "log: %s%s", event, length > 0 ? line : "");
}

void resv_host_health(struct resv_host *host, const char *component, enum resv_health_state state,
                      uint64_t latency_ns, const char *detail)
{
    (void)latency_ns;
    SIM_TRACE(host->world, host->who, "health: %s is %s (%s)", component,
              state == RESV_HEALTH_UP ? "up" : "not up", detail != NULL ? detail : "");
}

/* --- what the strategy says ------------------------------------------------------------------- */

void resv_host_started(struct resv_host *host)
{
    host->events.started(host->events.data);
}

void resv_host_start_failed(struct resv_host *host, int exit_code, const char *message)
{
    host->events.start_failed(host->events.data, exit_code, message);
}

void resv_host_ready_for_more(struct resv_host *host)
{
    host->events.ready_for_more(host->events.data);
}

void resv_host_drained(struct resv_host *host)
{
    host->events.drained(host->events.data);
}

void resv_host_closed(struct resv_host *host)
{
    host->events.closed(host->events.data);
}

void resv_op_complete(struct resv_host *host, struct resv_op *op, enum resv_outcome outcome)
{
    host->events.complete(host->events.data, op, outcome);
}

struct uv_loop_s *resv_host_loop(struct resv_host *host)
{
    (void)host;
    return NULL;
}

/* --- options and metrics ---------------------------------------------------------------------- */

static const char *setting_of(struct resv_host *host, const struct resv_option_table *table,
                              size_t index, enum resv_option_type type)
{
    RESV_ASSERT(index < table->count && table->options[index].type == type);
    const char *key = table->options[index].key;
    const char *text =
        strcmp(key, "form") == 0 ? host->form : scenario_setting(&host->world->scenario, key);
    return text != NULL ? text : table->options[index].default_text;
}

int64_t resv_option_integer(struct resv_host *host, const struct resv_option_table *table,
                            size_t index)
{
    const struct resv_option *option = &table->options[index];
    int64_t value = strtoll(setting_of(host, table, index, RESV_OPTION_INTEGER), NULL, 10);
    if (value < option->minimum)
        return option->minimum;
    return value > option->maximum ? option->maximum : value;
}

bool resv_option_boolean(struct resv_host *host, const struct resv_option_table *table,
                         size_t index)
{
    const char *text = setting_of(host, table, index, RESV_OPTION_BOOLEAN);
    return strcmp(text, "on") == 0 || strcmp(text, "true") == 0 || strcmp(text, "yes") == 0;
}

const char *resv_option_string(struct resv_host *host, const struct resv_option_table *table,
                               size_t index)
{
    return setting_of(host, table, index, RESV_OPTION_STRING);
}

size_t resv_option_choice(struct resv_host *host, const struct resv_option_table *table,
                          size_t index)
{
    const char *text = setting_of(host, table, index, RESV_OPTION_CHOICE);
    size_t choice = 0;
    while (strcmp(table->options[index].choices[choice], text) != 0) {
        choice++;
        RESV_ASSERT(table->options[index].choices[choice] != NULL);
    }
    return choice;
}

bool resv_option_property(struct resv_host *host, const struct resv_option_table *table,
                          size_t position, struct resv_property *property)
{
    (void)host;
    (void)position;
    (void)property;
    RESV_ASSERT(table->properties != NULL);
    return false;
}

void resv_metric_add(struct resv_host *host, const struct resv_metric_table *table, size_t index,
                     uint64_t amount)
{
    (void)host;
    (void)amount;
    RESV_ASSERT(index < table->count && table->metrics[index].type == RESV_METRIC_COUNTER);
}

void resv_metric_set(struct resv_host *host, const struct resv_metric_table *table, size_t index,
                     int64_t value)
{
    (void)host;
    (void)value;
    RESV_ASSERT(index < table->count && table->metrics[index].type == RESV_METRIC_GAUGE);
}

void resv_metric_observe(struct resv_host *host, const struct resv_metric_table *table,
                         size_t index, uint64_t value)
{
    (void)host;
    (void)value;
    RESV_ASSERT(index < table->count &&
                table->metrics[index].type >= RESV_METRIC_HISTOGRAM_SECONDS);
}

/* --- life ------------------------------------------------------------------------------------- */

struct sim_event sim_host_event(struct resv_host *host, void (*fire)(struct sim_event *event),
                                void *data)
{
    return (struct sim_event){.fire = fire, .data = data, .held_until_ns = &host->held_until_ns};
}

void sim_host_open(struct resv_host *host, struct sim_world *world, const char *who,
                   const struct sim_host_events *events)
{
    *host = (struct resv_host){.world = world, .events = *events};
    snprintf(host->who, sizeof host->who, "%s", who);
    host->clock_ahead_ns = chance_below(&world->chance, 1000 * NS_PER_S);
    host->start_deadline_ns = resv_now_ns(host) + 30 * NS_PER_S;
    host->timers_due = sim_host_event(host, timers_due, host);
    host->flush = sim_host_event(host, flush, host);
    host->deferred_last = &host->deferred_first;
}

void sim_host_close(struct resv_host *host)
{
    if (timer_heap_first(&host->timers) != NULL)
        world_violation(host->world, "%s: a timer is armed after close", host->who);
    if (host->deferred_first != NULL)
        world_violation(host->world, "%s: a deferred call is queued after close", host->who);
    if (host->link != NULL)
        world_violation(host->world, "%s: the link is there after close", host->who);
    if (host->redis_links != NULL)
        world_violation(host->world, "%s: a Redis link is there after close", host->who);
    if (host->kafka_link != NULL)
        world_violation(host->world, "%s: the Kafka link is there after close", host->who);
    schedule_cancel(&host->world->schedule, &host->timers_due);
    schedule_cancel(&host->world->schedule, &host->flush);
    timer_heap_free(&host->timers);
}
