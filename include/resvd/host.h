/* What a strategy and its links get from the process that hosts them.
 *
 * Every function here is called on the loop thread only, and never blocks. A strategy uses these
 * and its links, never libuv, sockets or the system clock: so the same object files run under the
 * simulated host, where one seed decides time, order and chance.
 */
#ifndef RESVD_HOST_H
#define RESVD_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct resv_host;
struct uv_loop_s;

/* --- clocks ------------------------------------------------------------------------------- */

/* Monotonic, nanoseconds, unrelated to the wall clock; for deadlines and durations. */
uint64_t resv_now_ns(struct resv_host *host);
/* Wall clock, milliseconds since 1970-01-01T00:00:00Z; may step. For stored times only. */
int64_t resv_wall_ms(struct resv_host *host);

/* --- timers --------------------------------------------------------------------------------
 * The caller owns the struct, zeroed before first use; it must stay in place while armed. A timer
 * fires once, on the loop thread, never from inside resv_timer_start. Starting an armed timer
 * moves it. Resolution 1 ms. */
struct resv_timer {
    void (*fired)(struct resv_timer *timer);
    void *data;
    uint64_t due_ns;   /* host's */
    size_t heap_index; /* host's: position + 1, 0 when not armed */
};
void resv_timer_start(struct resv_host *host, struct resv_timer *timer, uint64_t delay_ms);
void resv_timer_stop(struct resv_host *host, struct resv_timer *timer);

/* --- deferred calls ------------------------------------------------------------------------
 * Runs once at the flush point of this loop turn, before answers are written: the place to join
 * all that arrived in the turn. Queueing one that is queued does nothing. Caller owns it. */
struct resv_deferred {
    void (*run)(struct resv_deferred *deferred);
    void *data;
    struct resv_deferred *next; /* host's */
    bool queued;                /* host's */
};
void resv_defer(struct resv_host *host, struct resv_deferred *deferred);
/* Takes it off the queue if it is there. */
void resv_defer_cancel(struct resv_host *host, struct resv_deferred *deferred);

/* --- chance --------------------------------------------------------------------------------- */

/* Cryptographic quality in the real host, from the seed in the simulated one. */
void resv_random_bytes(struct resv_host *host, void *buffer, size_t size);

/* --- words ---------------------------------------------------------------------------------- */

enum resv_log_level { RESV_LOG_DEBUG, RESV_LOG_INFO, RESV_LOG_WARNING, RESV_LOG_ERROR };

/* One line a lifecycle event, none per request. `event` is a short fixed phrase; then pairs of
 * (const char *key, const char *value), closed by NULL. Values are copied. */
void resv_log(struct resv_host *host, enum resv_log_level level, const char *event, ...)
    __attribute__((sentinel));

/* --- health ---------------------------------------------------------------------------------
 * Each backend under a fixed name ("sqlite", "database", "lock-1"). The process is ready when the
 * strategy has said resv_host_started and no component is DOWN. MISSED: it is down, and the
 * strategy does without it for now (one of three lock nodes, the database behind a log). */
enum resv_health_state {
    RESV_HEALTH_STARTING,
    RESV_HEALTH_UP,
    RESV_HEALTH_MISSED,
    RESV_HEALTH_DOWN,
};
/* `component` is static text; at most 16 of them. `detail` is copied (1023 bytes at most) and may
 * be NULL. latency_ns is the last measured round trip, 0 when none was measured. */
void resv_host_health(struct resv_host *host, const char *component, enum resv_health_state state,
                      uint64_t latency_ns, const char *detail);

/* --- what a strategy tells its host ---------------------------------------------------------- */

/* start succeeded: warmed up, submit may be called. Once. */
void resv_host_started(struct resv_host *host);
/* start failed for good; the process exits with `exit_code` (69 unreachable, 78 configuration)
 * after printing `message`, which names the setting to change. */
void resv_host_start_failed(struct resv_host *host, int exit_code, const char *message);
/* When start must have succeeded, monotonic: a strategy that retries gives up before it with its
 * own words, which say more than the server's. */
uint64_t resv_host_start_deadline_ns(struct resv_host *host);
/* submit said busy before and would take an operation now. */
void resv_host_ready_for_more(struct resv_host *host);
/* drain has finished: nothing is under way any more. Once. */
void resv_host_drained(struct resv_host *host);
/* close has finished: every handle is closed, the instance may be freed. Once. */
void resv_host_closed(struct resv_host *host);

/* --- what this process is for -----------------------------------------------------------------
 * Several processes share the work of an asynchronous strategy; every other one always gets ALL. */
enum resv_role {
    RESV_ROLE_ALL,      /* both of the below */
    RESV_ROLE_API,      /* takes requests; applies nothing from the event log */
    RESV_ROLE_CONSUMER, /* applies the event log; gets only the admin listener's operations */
};
/* The same from open to close. */
enum resv_role resv_host_role(struct resv_host *host);

/* --- for links only --------------------------------------------------------------------------
 * The libuv loop; NULL under the simulated host, whose links are simulated too. */
struct uv_loop_s *resv_host_loop(struct resv_host *host);

#endif
