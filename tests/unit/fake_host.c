/* A host that only records. */
#include "fake_host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void fake_host_init(struct resv_host *host)
{
    *host = (struct resv_host){.now_ns = 1000000 * FAKE_NS_PER_MS, .wall_ms = 1700000000000};
    host->deferred_last = &host->deferred_first;
}

/* --- time -------------------------------------------------------------------------------------
 */

uint64_t resv_now_ns(struct resv_host *host)
{
    return host->now_ns;
}

int64_t resv_wall_ms(struct resv_host *host)
{
    return host->wall_ms;
}

void resv_timer_start(struct resv_host *host, struct resv_timer *timer, uint64_t delay_ms)
{
    size_t place = timer->heap_index;
    if (place == 0) {
        while (place < FAKE_TIMERS_MAX && host->timers[place] != NULL)
            place++;
        assert_true(place < FAKE_TIMERS_MAX);
        timer->heap_index = ++place;
        host->timers[place - 1] = timer;
    }
    timer->due_ns = host->now_ns + delay_ms * FAKE_NS_PER_MS;
}

void resv_timer_stop(struct resv_host *host, struct resv_timer *timer)
{
    if (timer->heap_index != 0)
        host->timers[timer->heap_index - 1] = NULL;
    timer->heap_index = 0;
}

size_t fake_host_timers(const struct resv_host *host)
{
    size_t armed = 0;
    for (size_t i = 0; i < FAKE_TIMERS_MAX; i++)
        armed += host->timers[i] != NULL;
    return armed;
}

static struct resv_timer *first_timer(const struct resv_host *host)
{
    struct resv_timer *first = NULL;
    for (size_t i = 0; i < FAKE_TIMERS_MAX; i++) {
        struct resv_timer *timer = host->timers[i];
        if (timer != NULL && (first == NULL || timer->due_ns < first->due_ns))
            first = timer;
    }
    return first;
}

void fake_host_advance(struct resv_host *host, uint64_t ms)
{
    uint64_t until_ns = host->now_ns + ms * FAKE_NS_PER_MS;
    for (;;) {
        struct resv_timer *timer = first_timer(host);
        if (timer == NULL || timer->due_ns > until_ns)
            break;
        if (timer->due_ns > host->now_ns)
            host->now_ns = timer->due_ns;
        resv_timer_stop(host, timer);
        timer->fired(timer);
        fake_host_flush(host);
    }
    host->now_ns = until_ns;
    fake_host_flush(host);
}

void resv_defer(struct resv_host *host, struct resv_deferred *deferred)
{
    assert_int_equal(host->closed, 0);
    if (deferred->queued)
        return;
    deferred->queued = true;
    deferred->next = NULL;
    *host->deferred_last = deferred;
    host->deferred_last = &deferred->next;
}

static void unlink_deferred(struct resv_host *host, struct resv_deferred **link)
{
    struct resv_deferred *deferred = *link;
    *link = deferred->next;
    if (deferred->next == NULL)
        host->deferred_last = link;
    deferred->queued = false;
}

void resv_defer_cancel(struct resv_host *host, struct resv_deferred *deferred)
{
    for (struct resv_deferred **link = &host->deferred_first; *link != NULL;
         link = &(*link)->next) {
        if (*link == deferred) {
            unlink_deferred(host, link);
            return;
        }
    }
    assert_false(deferred->queued);
}

void fake_host_flush(struct resv_host *host)
{
    for (unsigned rounds = 0; host->deferred_first != NULL; rounds++) {
        assert_true(rounds < 10000); /* else something defers itself for ever */
        struct resv_deferred *deferred = host->deferred_first;
        unlink_deferred(host, &host->deferred_first);
        deferred->run(deferred);
    }
}

/* --- chance and words -------------------------------------------------------------------------
 */

void resv_random_bytes(struct resv_host *host, void *buffer, size_t size)
{
    uint8_t *bytes = buffer;
    host->chance++;
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(host->chance >> (i % 4 * 8));
}

void resv_log(struct resv_host *host, enum resv_log_level level, const char *event, ...)
{
    (void)host;
    (void)level;
    (void)event;
}

void resv_host_health(struct resv_host *host, const char *component, enum resv_health_state state,
                      uint64_t latency_ns, const char *detail)
{
    (void)host;
    (void)component;
    (void)state;
    (void)latency_ns;
    (void)detail;
}

/* --- what it is told --------------------------------------------------------------------------
 */

void resv_host_started(struct resv_host *host)
{
    host->started++;
}

uint64_t resv_host_start_deadline_ns(struct resv_host *host)
{
    return host->now_ns + 30000 * FAKE_NS_PER_MS;
}

void resv_host_start_failed(struct resv_host *host, int exit_code, const char *message)
{
    host->start_failed++;
    host->exit_code = exit_code;
    snprintf(host->message, sizeof host->message, "%s", message);
}

void resv_host_ready_for_more(struct resv_host *host)
{
    host->ready_for_more++;
}

void resv_host_drained(struct resv_host *host)
{
    assert_false(host->inside);
    host->drained++;
}

void resv_host_closed(struct resv_host *host)
{
    host->closed++;
}

void resv_op_complete(struct resv_host *host, struct resv_op *op, enum resv_outcome outcome)
{
    assert_false(host->inside);
    assert_int_equal(host->closed, 0);
    assert_int_equal(host->drained, 0);
    assert_int_equal(op->state, RESV_OP_SUBMITTED);
    op->state = RESV_OP_DONE;
    op->outcome = outcome;
    host->completed++;
}

enum resv_role resv_host_role(struct resv_host *host)
{
    return host->role;
}

/* --- options ----------------------------------------------------------------------------------
 */

void fake_host_option(struct resv_host *host, const char *key, const char *text)
{
    assert_true(host->options_count < FAKE_OPTIONS_MAX);
    host->options[host->options_count].key = key;
    host->options[host->options_count++].text = text;
}

static const char *option_text(struct resv_host *host, const struct resv_option_table *table,
                               size_t index, enum resv_option_type type)
{
    assert_true(index < table->count);
    const struct resv_option *option = &table->options[index];
    assert_int_equal(option->type, type);
    for (size_t i = 0; i < host->options_count; i++) {
        if (strcmp(host->options[i].key, option->key) == 0)
            return host->options[i].text;
    }
    return option->default_text;
}

int64_t resv_option_integer(struct resv_host *host, const struct resv_option_table *table,
                            size_t index)
{
    return strtoll(option_text(host, table, index, RESV_OPTION_INTEGER), NULL, 10);
}

bool resv_option_boolean(struct resv_host *host, const struct resv_option_table *table,
                         size_t index)
{
    return strcmp(option_text(host, table, index, RESV_OPTION_BOOLEAN), "on") == 0;
}

const char *resv_option_string(struct resv_host *host, const struct resv_option_table *table,
                               size_t index)
{
    return option_text(host, table, index, RESV_OPTION_STRING);
}

size_t resv_option_choice(struct resv_host *host, const struct resv_option_table *table,
                          size_t index)
{
    const char *text = option_text(host, table, index, RESV_OPTION_CHOICE);
    const char *const *choices = table->options[index].choices;
    size_t choice = 0;
    while (strcmp(choices[choice], text) != 0) {
        choice++;
        assert_non_null(choices[choice]);
    }
    return choice;
}

bool resv_option_property(struct resv_host *host, const struct resv_option_table *table,
                          size_t position, struct resv_property *property)
{
    (void)host;
    (void)property;
    assert_non_null(table->properties);
    (void)position;
    return false;
}

/* --- metrics ----------------------------------------------------------------------------------
 */

static size_t metric_place(struct resv_host *host, const struct resv_metric_table *table,
                           size_t index)
{
    assert_true(index < table->count);
    const char *name = table->metrics[index].name;
    for (size_t i = 0; i < host->metrics_count; i++) {
        if (strcmp(host->metrics[i].name, name) == 0)
            return i;
    }
    assert_true(host->metrics_count < FAKE_METRICS_MAX);
    host->metrics[host->metrics_count].name = name;
    return host->metrics_count++;
}

void resv_metric_add(struct resv_host *host, const struct resv_metric_table *table, size_t index,
                     uint64_t amount)
{
    size_t place = metric_place(host, table, index);
    assert_int_equal(table->metrics[index].type, RESV_METRIC_COUNTER);
    host->metrics[place].value += (int64_t)amount;
}

void resv_metric_set(struct resv_host *host, const struct resv_metric_table *table, size_t index,
                     int64_t value)
{
    size_t place = metric_place(host, table, index);
    assert_int_equal(table->metrics[index].type, RESV_METRIC_GAUGE);
    host->metrics[place].value = value;
}

void resv_metric_observe(struct resv_host *host, const struct resv_metric_table *table,
                         size_t index, uint64_t value)
{
    size_t place = metric_place(host, table, index);
    enum resv_metric_type type = table->metrics[index].type;
    assert_true(type == RESV_METRIC_HISTOGRAM_SECONDS || type == RESV_METRIC_HISTOGRAM_COUNT);
    host->metrics[place].value += (int64_t)value;
    host->metrics[place].count++;
}

int64_t fake_host_metric(const struct resv_host *host, const char *name)
{
    for (size_t i = 0; i < host->metrics_count; i++) {
        if (strcmp(host->metrics[i].name, name) == 0)
            return host->metrics[i].value;
    }
    return 0;
}
