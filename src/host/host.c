/* The host on libuv: timers, deferred calls, the flush point, chance, options, metrics, health.
 *
 * A loop turn:   uv timers -> [prepare: deferred calls, then flush] -> poll -> callbacks -> …
 *
 * Everything that arrives in one poll is seen by one round of deferred calls and leaves by one
 * flush: this is where joining comes from.
 */
#include "host/host.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <uv.h>

#include "host/timer_heap.h"
#include "log.h"
#include "resvd/assert.h"
#include "resvd/op.h"

#define RANDOM_POOL_BYTES 4096
#define NS_PER_MS         1000000ULL

struct resv_host {
    uv_loop_t *loop;
    const struct config *config;
    struct metrics *metrics;
    struct host_events events;
    enum resv_role role;
    struct host_operations operations;
    uint64_t start_deadline_ns;

    uv_prepare_t prepare;
    uv_timer_t timer;
    uv_idle_t idle; /* active only while deferred calls wait, so that poll does not block */
    struct timer_heap timers;
    bool firing; /* timers are being fired: rearm once at the end */
    unsigned open_handles;
    void (*closed)(void *data);
    void *closed_data;

    struct resv_deferred *deferred_first;
    struct resv_deferred **deferred_last;
    void (*flush)(void *data);
    void *flush_data;

    uint8_t random_pool[RANDOM_POOL_BYTES];
    size_t random_used;

    struct host_component components[HOST_COMPONENTS_MAX];
    size_t component_count;
};

/* --- clocks and timers ---------------------------------------------------------------------- */

uint64_t resv_now_ns(struct resv_host *host)
{
    (void)host;
    return uv_hrtime();
}

int64_t resv_wall_ms(struct resv_host *host)
{
    (void)host;
    struct timespec
        now; /* the coarse clock is a few ms behind at most, and needs no counter read */
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

uint64_t host_turn_ns(const struct resv_host *host)
{
    return uv_now(host->loop) * NS_PER_MS;
}

static void timer_due(uv_timer_t *handle);

static void rearm(struct resv_host *host, uint64_t wait_min_ms)
{
    if (host->firing)
        return;
    struct resv_timer *first = timer_heap_first(&host->timers);
    if (first == NULL) {
        uv_timer_stop(&host->timer);
        return;
    }
    uint64_t now_ns = uv_hrtime();
    uint64_t wait_ns = first->due_ns > now_ns ? first->due_ns - now_ns : 0;
    uint64_t wait_ms = (wait_ns + NS_PER_MS - 1) / NS_PER_MS;
    uv_update_time(host->loop);
    uv_timer_start(&host->timer, timer_due, wait_ms > wait_min_ms ? wait_ms : wait_min_ms, 0);
}

static void timer_due(uv_timer_t *handle)
{
    struct resv_host *host = handle->data;
    uint64_t now_ns = uv_hrtime();
    host->firing = true;
    for (;;) {
        struct resv_timer *timer = timer_heap_first(&host->timers);
        if (timer == NULL || timer->due_ns > now_ns)
            break;
        timer_heap_remove(&host->timers, timer);
        timer->fired(timer);
    }
    host->firing = false;
    /* libuv fires again in the same turn what is due at once: timers that start each other without
     * delay would keep the loop from everything else. */
    rearm(host, 1);
}

void resv_timer_start(struct resv_host *host, struct resv_timer *timer, uint64_t delay_ms)
{
    if (timer->heap_index != 0)
        timer_heap_remove(&host->timers, timer);
    /* At least 1 ns, so that a timer started by a firing timer waits for the next round. */
    timer->due_ns = uv_hrtime() + delay_ms * NS_PER_MS + 1;
    timer_heap_insert(&host->timers, timer);
    if (timer_heap_first(&host->timers) == timer)
        rearm(host, 0);
}

void resv_timer_stop(struct resv_host *host, struct resv_timer *timer)
{
    if (timer->heap_index != 0)
        timer_heap_remove(&host->timers, timer); /* a uv timer that is early finds nothing due */
}

/* --- deferred calls and the flush point ------------------------------------------------------ */

static void keep_turning(uv_idle_t *handle)
{
    (void)handle;
}

void resv_defer(struct resv_host *host, struct resv_deferred *deferred)
{
    if (deferred->queued)
        return;
    deferred->queued = true;
    deferred->next = NULL;
    *host->deferred_last = deferred;
    host->deferred_last = &deferred->next;
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

/* Runs what is queued now and what that queues in turn, but leaves off after a few rounds so that
 * the loop can read and write; the idle handle then keeps poll from waiting. */
static void run_deferred(struct resv_host *host)
{
    for (unsigned round = 0; round < 8 && host->deferred_first != NULL; round++) {
        struct resv_deferred marker = {.queued = true};
        *host->deferred_last = &marker;
        host->deferred_last = &marker.next;
        for (;;) {
            struct resv_deferred *deferred = host->deferred_first;
            host->deferred_first = deferred->next;
            if (host->deferred_first == NULL)
                host->deferred_last = &host->deferred_first;
            if (deferred == &marker)
                break;
            deferred->queued = false;
            deferred->run(deferred);
        }
    }
}

void host_flush(struct resv_host *host)
{
    run_deferred(host);
    if (host->flush != NULL)
        host->flush(host->flush_data);
}

static void turn_end(uv_prepare_t *handle)
{
    struct resv_host *host = handle->data;
    host_flush(host);
    if (host->deferred_first != NULL)
        uv_idle_start(&host->idle, keep_turning);
    else if (uv_is_active((uv_handle_t *)&host->idle))
        uv_idle_stop(&host->idle);
}

void host_on_flush(struct resv_host *host, void (*flush)(void *data), void *data)
{
    host->flush = flush;
    host->flush_data = data;
}

/* --- chance, words --------------------------------------------------------------------------- */

static void fill_random(void *buffer, size_t size)
{
    uint8_t *bytes = buffer;
    while (size > 0) {
        ssize_t got = getrandom(bytes, size, 0);
        if (got < 0) {
            RESV_ASSERT(errno == EINTR);
            continue;
        }
        bytes += got;
        size -= (size_t)got;
    }
}

void resv_random_bytes(struct resv_host *host, void *buffer, size_t size)
{
    if (size > RANDOM_POOL_BYTES) {
        fill_random(buffer, size);
        return;
    }
    if (host->random_used + size > RANDOM_POOL_BYTES) {
        fill_random(host->random_pool, RANDOM_POOL_BYTES);
        host->random_used = 0;
    }
    memcpy(buffer, host->random_pool + host->random_used, size);
    memset(host->random_pool + host->random_used, 0, size);
    host->random_used += size;
}

void resv_log(struct resv_host *host, enum resv_log_level level, const char *event, ...)
{
    (void)host;
    va_list pairs;
    va_start(pairs, event);
    log_event_list(level, event, pairs);
    va_end(pairs);
}

/* --- options and metrics --------------------------------------------------------------------- */

int64_t resv_option_integer(struct resv_host *host, const struct resv_option_table *table,
                            size_t index)
{
    return config_integer(host->config, table, index);
}

bool resv_option_boolean(struct resv_host *host, const struct resv_option_table *table,
                         size_t index)
{
    return config_boolean(host->config, table, index);
}

const char *resv_option_string(struct resv_host *host, const struct resv_option_table *table,
                               size_t index)
{
    return config_string(host->config, table, index);
}

size_t resv_option_choice(struct resv_host *host, const struct resv_option_table *table,
                          size_t index)
{
    return config_choice(host->config, table, index);
}

bool resv_option_property(struct resv_host *host, const struct resv_option_table *table,
                          size_t position, struct resv_property *property)
{
    return config_property(host->config, table, position, property);
}

void resv_metric_add(struct resv_host *host, const struct resv_metric_table *table, size_t index,
                     uint64_t amount)
{
    metrics_add(host->metrics, table, index, amount);
}

void resv_metric_set(struct resv_host *host, const struct resv_metric_table *table, size_t index,
                     int64_t value)
{
    metrics_set(host->metrics, table, index, value);
}

void resv_metric_observe(struct resv_host *host, const struct resv_metric_table *table,
                         size_t index, uint64_t value)
{
    metrics_observe(host->metrics, table, index, value);
}

/* --- health and what the strategy says -------------------------------------------------------- */

static struct host_component *find_component(struct resv_host *host, const char *name)
{
    for (size_t i = 0; i < host->component_count; i++) {
        if (strcmp(host->components[i].name, name) == 0)
            return &host->components[i];
    }
    RESV_ASSERT(host->component_count < HOST_COMPONENTS_MAX);
    struct host_component *component = &host->components[host->component_count++];
    *component = (struct host_component){.name = name, .state = RESV_HEALTH_STARTING};
    return component;
}

void resv_host_health(struct resv_host *host, const char *component_name,
                      enum resv_health_state state, uint64_t latency_ns, const char *detail)
{
    struct host_component *component = find_component(host, component_name);
    bool changed = component->state != state;
    component->state = state;
    component->latency_ns = latency_ns;
    size_t size = detail == NULL ? 0 : strnlen(detail, HOST_COMPONENT_DETAIL_MAX - 1);
    if (size > 0)
        memcpy(component->detail, detail, size);
    component->detail[size] = '\0';
    if (!changed)
        return;
    switch (state) {
    case RESV_HEALTH_STARTING:
        break;
    case RESV_HEALTH_UP:
        log_event(RESV_LOG_INFO, "backend up", "component", component_name, NULL);
        break;
    case RESV_HEALTH_MISSED:
        log_event(RESV_LOG_WARNING, "backend down, going on without it", "component",
                  component_name, "detail", component->detail, NULL);
        break;
    case RESV_HEALTH_DOWN:
        log_event(RESV_LOG_ERROR, "backend down", "component", component_name, "detail",
                  component->detail, NULL);
        break;
    }
    if (host->events.health_changed != NULL)
        host->events.health_changed(host->events.data);
}

const struct host_component *host_components(const struct resv_host *host, size_t *count)
{
    *count = host->component_count;
    return host->components;
}

void resv_host_started(struct resv_host *host)
{
    if (host->events.started != NULL)
        host->events.started(host->events.data);
}

void host_set_start_deadline(struct resv_host *host, uint64_t deadline_ns)
{
    host->start_deadline_ns = deadline_ns;
}

uint64_t resv_host_start_deadline_ns(struct resv_host *host)
{
    return host->start_deadline_ns;
}

void resv_host_start_failed(struct resv_host *host, int exit_code, const char *message)
{
    if (host->events.start_failed != NULL)
        host->events.start_failed(host->events.data, exit_code, message);
}

void resv_host_drained(struct resv_host *host)
{
    if (host->events.drained != NULL)
        host->events.drained(host->events.data);
}

void resv_host_closed(struct resv_host *host)
{
    if (host->events.closed != NULL)
        host->events.closed(host->events.data);
}

void host_set_operations(struct resv_host *host, const struct host_operations *operations)
{
    host->operations = *operations;
}

void resv_host_ready_for_more(struct resv_host *host)
{
    host->operations.ready_for_more(host->operations.data);
}

void resv_op_complete(struct resv_host *host, struct resv_op *op, enum resv_outcome outcome)
{
    host->operations.complete(host->operations.data, op, outcome);
}

enum resv_role resv_host_role(struct resv_host *host)
{
    return host->role;
}

struct uv_loop_s *resv_host_loop(struct resv_host *host)
{
    return host->loop;
}

/* --- life ------------------------------------------------------------------------------------ */

struct resv_host *host_create(const struct host_config *config)
{
    struct resv_host *host = calloc(1, sizeof(*host));
    if (host == NULL)
        return NULL;
    host->loop = config->loop;
    host->config = config->config;
    host->start_deadline_ns = UINT64_MAX;
    host->metrics = config->metrics;
    host->events = config->events;
    host->role = config->role;
    host->random_used = RANDOM_POOL_BYTES;
    host->deferred_last = &host->deferred_first;
    uv_prepare_init(host->loop, &host->prepare);
    uv_timer_init(host->loop, &host->timer);
    uv_idle_init(host->loop, &host->idle);
    host->prepare.data = host->timer.data = host->idle.data = host;
    host->open_handles = 3;
    uv_prepare_start(&host->prepare, turn_end);
    return host;
}

static void handle_closed(uv_handle_t *handle)
{
    struct resv_host *host = handle->data;
    if (--host->open_handles == 0 && host->closed != NULL)
        host->closed(host->closed_data);
}

void host_close(struct resv_host *host, void (*closed)(void *data), void *data)
{
    host->closed = closed;
    host->closed_data = data;
    uv_close((uv_handle_t *)&host->prepare, handle_closed);
    uv_close((uv_handle_t *)&host->timer, handle_closed);
    uv_close((uv_handle_t *)&host->idle, handle_closed);
}

void host_destroy(struct resv_host *host)
{
    if (host == NULL)
        return;
    RESV_ASSERT(host->open_handles == 0);
    timer_heap_free(&host->timers);
    free(host);
}
