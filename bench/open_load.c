/* The clock of the load, and its phases. Every wait ends: opening after OPENING_S, sending after
 * the time that was asked for, waiting for answers after the grace. */
#include "open_load.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "open_answer.h"
#include "resvd/assert.h"

#define NS_PER_S   1000000000ULL
#define NS_PER_MS  1000000ULL
#define NS_PER_US  1000ULL
#define TICK_MS    50
#define OPENING_S  10
#define BODY_BYTES 96
/* What is due within so short a time goes together: it spares the sleep between, and is far below
 * what the results resolve. */
#define WAKE_LEAST_NS (50 * NS_PER_US)

static void pump(struct open_load *load);

__attribute__((format(printf, 2, 3))) static void set_failure(struct open_load *load,
                                                              const char *format, ...)
{
    va_list list;
    va_start(list, format);
    if (load->failure[0] == '\0')
        vsnprintf(load->failure, sizeof load->failure, format, list);
    va_end(list);
}

static uint64_t cpu_us(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

/* index < 2^32: its product with a second fits. */
static uint64_t planned_ns(const struct open_load *load, uint64_t index)
{
    return load->begun_ns + index * NS_PER_S / load->options->rate;
}

/* --- what has no answer --------------------------------------------------------------------- */

/* What never had an answer is not left out, or a server that answers only the quick ones would look
 * quick: it took at least until then. */
static void add_lower_bound(struct open_load *load, uint64_t due_ns, uint64_t until_ns)
{
    load->counts.lower_bounds++;
    open_histogram_add(&load->latency, (until_ns - due_ns) / NS_PER_US);
}

/* At the end: those that were sent waited until now, the others until sending ended. */
static void add_unanswered(struct open_load *load)
{
    const struct open_pool *pool = &load->pool;
    load->counts.unanswered = pool->in_state[OPEN_BUSY];
    for (size_t i = 0; i < pool->count; i++) {
        if (pool->connections[i].state == OPEN_BUSY)
            add_lower_bound(load, pool->connections[i].planned_ns, load->over_ns);
    }
    for (uint64_t index = load->next; index < load->counts.planned; index++)
        add_lower_bound(load, planned_ns(load, index), load->end_ns);
}

/* --- phases --------------------------------------------------------------------------------- */

/* The only writer of `phase`; it goes forwards only, and OVER is reached from everywhere. */
static void set_phase(struct open_load *load, enum open_phase phase)
{
    RESV_ASSERT(phase > load->phase);
    load->phase = phase;
    uint64_t now_ns = uv_hrtime();
    switch (phase) {
    case OPEN_OPENING:
        RESV_ASSERT(!"it begins there");
        break;
    case OPEN_RUNNING:
        load->cpu_begun_us = cpu_us();
        load->begun_ns = now_ns;
        load->end_ns = now_ns + load->options->load_ms * NS_PER_MS;
        break;
    case OPEN_GRACE:
        load->cpu_end_us = cpu_us();
        load->pool.reopens = false;
        uv_poll_stop(&load->wake); /* else it would fire on and on: nobody reads it */
        break;
    case OPEN_OVER:
        load->cpu_over_us = cpu_us();
        load->over_ns = now_ns;
        if (load->failure[0] == '\0') /* else there is no result, or no end of the sending */
            add_unanswered(load);
        open_pool_close(&load->pool);
        uv_close((uv_handle_t *)&load->tick, NULL);
        uv_close((uv_handle_t *)&load->wake, NULL);
        break;
    }
}

static void end_if_nothing_is_under_way(struct open_load *load)
{
    if (load->phase == OPEN_GRACE && load->pool.in_state[OPEN_BUSY] == 0)
        set_phase(load, OPEN_OVER);
}

static void begin_if_all_are_open(struct open_load *load)
{
    if (load->phase == OPEN_OPENING && load->pool.in_state[OPEN_FREE] == load->pool.count)
        set_phase(load, OPEN_RUNNING);
}

/* Deadlines that need no precision. */
static void on_tick(uv_timer_t *timer)
{
    struct open_load *load = timer->data;
    uint64_t now_ns = uv_hrtime();
    struct open_pool *pool = &load->pool;
    if (load->phase == OPEN_OPENING && now_ns - load->begun_ns > OPENING_S * NS_PER_S)
        set_failure(load,
                    "http://%s: %zu of %zu connections were open after %d s%s%s: is the server "
                    "running, and does it allow so many?",
                    load->options->authority, pool->in_state[OPEN_FREE], pool->count, OPENING_S,
                    pool->error[0] != '\0' ? "; " : "", pool->error);
    else if (load->phase == OPEN_OPENING && pool->connect_failures > 0)
        set_failure(load, "http://%s: %s: start the server, or correct --url",
                    load->options->authority, pool->error);
    if (load->failure[0] != '\0' ||
        (load->phase == OPEN_GRACE &&
         now_ns >= load->end_ns + load->options->grace_ms * NS_PER_MS)) {
        set_phase(load, OPEN_OVER);
        return;
    }
    open_pool_tick(pool);
    end_if_nothing_is_under_way(load); /* the last answer may have closed its connection */
}

/* --- when ----------------------------------------------------------------------------------- */

static void set_wake(struct open_load *load, uint64_t wake_ns)
{
    struct itimerspec setting = {.it_value = {.tv_sec = (time_t)(wake_ns / NS_PER_S),
                                              .tv_nsec = (long)(wake_ns % NS_PER_S)}};
    int error = timerfd_settime(load->wake_file, TFD_TIMER_ABSTIME, &setting, NULL);
    RESV_ASSERT(error == 0); /* the time is not 0, and its nanoseconds are less than a second */
    load->wake_ns = wake_ns;
}

/* The kernel's timer fires for what is due next, or at the end; one that fires before does no
 * harm. While all connections are busy it is their answers that let the next one go. */
static void wake_for_next(struct open_load *load, uint64_t now_ns)
{
    uint64_t wake_ns = load->end_ns;
    if (load->next < load->counts.planned && load->pool.free_first != NULL) {
        wake_ns = planned_ns(load, load->next);
        if (wake_ns < now_ns + WAKE_LEAST_NS)
            wake_ns = now_ns + WAKE_LEAST_NS;
    }
    if (load->wake_ns == 0 || load->wake_ns > wake_ns)
        set_wake(load, wake_ns);
}

static void on_wake(uv_poll_t *handle, int status, int events)
{
    struct open_load *load = handle->data;
    (void)status;
    (void)events;
    load->wake_ns = 0;
    pump(load);
}

/* --- requests ------------------------------------------------------------------------------- */

/* As bench/reserve.lua has it. All concerts get as many; a member's next turn is at another. */
static size_t write_request(const struct open_load *load, uint64_t index, char *request)
{
    const struct open_options *options = load->options;
    uint64_t turn = index / options->member_count;
    uint64_t place = index % options->member_count;
    uint64_t member = options->member_first + place;
    uint64_t concert = 1 + (place + turn) % options->concerts;
    char body[BODY_BYTES];
    int size = snprintf(body, sizeof body,
                        "{\"concertId\":%" PRIu64 ",\"memberId\":%" PRIu64 ",\"quantity\":1}",
                        concert, member);
    memcpy(request, load->head, load->head_size);
    int rest = snprintf(request + load->head_size, OPEN_REQUEST_BYTES - load->head_size,
                        "%d\r\n\r\n%s", size, body);
    return load->head_size + (size_t)rest;
}

static void make_head(struct open_load *load)
{
    int size = snprintf(load->head, sizeof load->head,
                        "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"
                        "Content-Length: ",
                        load->options->path, load->options->authority);
    RESV_ASSERT(size > 0 && (size_t)size + BODY_BYTES + 16 < OPEN_REQUEST_BYTES);
    load->head_size = (size_t)size;
}

static void send_next(struct open_load *load, struct open_connection *connection, uint64_t now_ns)
{
    uint64_t due_ns = planned_ns(load, load->next);
    uint64_t could_ns = due_ns > connection->since_ns ? due_ns : connection->since_ns;
    size_t size = write_request(load, load->next, connection->request);
    load->next++;
    open_histogram_add(&load->late, now_ns > could_ns ? (now_ns - could_ns) / NS_PER_US : 0);
    open_pool_send(connection, size, due_ns, now_ns);
}

/* Sends all that is due and has a connection; ends the sending when its time is over. */
static void pump(struct open_load *load)
{
    if (load->phase != OPEN_RUNNING)
        return;
    uint64_t now_ns = uv_hrtime();
    while (load->next < load->counts.planned && load->pool.free_first != NULL &&
           planned_ns(load, load->next) <= now_ns) {
        send_next(load, load->pool.free_first, now_ns);
        now_ns = uv_hrtime();
    }
    if (now_ns < load->end_ns) {
        wake_for_next(load, now_ns);
        return;
    }
    set_phase(load, OPEN_GRACE);
    end_if_nothing_is_under_way(load);
}

/* --- answers -------------------------------------------------------------------------------- */

static void keep_id(struct open_load *load, const struct open_connection *connection)
{
    uint8_t id[OPEN_ID_BYTES];
    if (!open_answer_id(connection->body, connection->body_size, id))
        load->counts.no_id++;
    else if (fwrite(id, sizeof id, 1, load->ids) != 1)
        set_failure(load, "%s: %s: give --ids a file on a disk with room", load->options->ids_path,
                    strerror(errno));
}

static void on_answered(void *data, struct open_connection *connection, unsigned status,
                        uint64_t now_ns)
{
    struct open_load *load = data;
    uint64_t latency_us = (now_ns - connection->planned_ns) / NS_PER_US;
    bool in_time = now_ns <= load->end_ns;
    load->counts.answered++;
    load->counts.statuses[status]++;
    load->counts.statuses_in_time[status] += in_time;
    open_histogram_add(&load->latency, latency_us);
    if (status == 201 || status == 202) {
        open_histogram_add(&load->accepted, latency_us);
        load->last_accepted_ns = now_ns;
        load->counts.sold_out_after = 0;
    }
    if (status / 100 == 2) {
        keep_id(load, connection);
    } else if (status == 409 && open_answer_is_sold_out(connection->body, connection->body_size)) {
        load->counts.sold_out++;
        load->counts.sold_out_in_time += in_time;
        load->counts.sold_out_after += in_time;
    }
}

/* It will never have an answer, so that it broke soon is no latency: it counts as if it had waited
 * until sending ended, at least. */
static void on_broken(void *data, const struct open_connection *connection)
{
    struct open_load *load = data;
    uint64_t now_ns = uv_hrtime();
    load->counts.broken++;
    add_lower_bound(load, connection->planned_ns, now_ns > load->end_ns ? now_ns : load->end_ns);
    end_if_nothing_is_under_way(load);
}

static void on_freed(void *data)
{
    struct open_load *load = data;
    begin_if_all_are_open(load);
    pump(load);
    end_if_nothing_is_under_way(load);
}

/* --- the whole ------------------------------------------------------------------------------ */

/* Files for all connections, as many as may be had. */
static bool raise_file_limit(struct open_load *load)
{
    struct rlimit limit;
    uint64_t needed = load->options->connections + 32;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed)
        return true;
    limit.rlim_cur = limit.rlim_max;
    if (limit.rlim_max >= needed && setrlimit(RLIMIT_NOFILE, &limit) == 0)
        return true;
    set_failure(load,
                "%" PRIu64 " connections need %" PRIu64 " open files, and %" PRIu64
                " are allowed: ulimit -n %" PRIu64 ", or fewer --connections",
                load->options->connections, needed, (uint64_t)limit.rlim_max, needed);
    return false;
}

static bool open_all(struct open_load *load)
{
    static const struct open_events events = {on_answered, on_broken, on_freed};
    if (!raise_file_limit(load))
        return false;
    load->ids = fopen(load->options->ids_path, "ab");
    if (load->ids == NULL) {
        set_failure(load, "%s: %s: give --ids a file that can be written", load->options->ids_path,
                    strerror(errno));
        return false;
    }
    load->wake_file = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    int error = load->wake_file < 0 ? -errno : uv_loop_init(&load->loop);
    if (error == 0)
        error = uv_poll_init(&load->loop, &load->wake, load->wake_file);
    if (error == 0)
        error = uv_poll_start(&load->wake, UV_READABLE, on_wake);
    if (error != 0) {
        set_failure(load, "the kernel gives no timer: %s", uv_strerror(error));
        return false;
    }
    load->wake.data = load;
    uv_timer_init(&load->loop, &load->tick);
    load->tick.data = load;
    uv_timer_start(&load->tick, on_tick, TICK_MS, TICK_MS);
    load->begun_ns = uv_hrtime();
    if (open_pool_start(&load->pool, &load->loop, &load->options->address,
                        load->options->connections, events, load))
        return true;
    set_failure(load, "there is no memory for %" PRIu64 " connections: give fewer",
                load->options->connections);
    return false;
}

bool open_load_run(struct open_load *load, const struct open_options *options)
{
    *load = (struct open_load){.options = options, .wake_file = -1};
    load->counts.planned = options->rate * options->load_ms / 1000;
    RESV_ASSERT(load->counts.planned <= UINT32_MAX); /* by the options' bounds */
    if (load->counts.planned == 0) {
        set_failure(load, "--rate and --seconds make 0 requests: give more of one");
        return false;
    }
    make_head(load);
    if (!open_all(load))
        return false; /* the program ends: nothing has to be closed */
    uv_run(&load->loop, UV_RUN_DEFAULT);
    int error = uv_loop_close(&load->loop);
    RESV_ASSERT(error == 0);
    open_pool_free(&load->pool);
    close(load->wake_file);
    if (fclose(load->ids) != 0)
        set_failure(load, "%s: %s: give --ids a file on a disk with room", options->ids_path,
                    strerror(errno));
    return load->failure[0] == '\0';
}
