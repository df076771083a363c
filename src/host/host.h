/* The host on libuv: makes a struct resv_host for the seam, and what core itself needs of it. */
#ifndef RESVD_HOST_HOST_H
#define RESVD_HOST_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "metrics/metrics.h"
#include "resvd/host.h"
#include "resvd/op.h"

#define HOST_COMPONENTS_MAX       16
#define HOST_COMPONENT_DETAIL_MAX 1024

/* What the strategy said, passed on to whoever runs it; each may be NULL. */
struct host_events {
    void (*started)(void *data);
    void (*start_failed)(void *data, int exit_code, const char *message);
    void (*drained)(void *data);
    void (*closed)(void *data);
    void (*health_changed)(void *data);
    void *data;
};

struct host_config {
    struct uv_loop_s *loop;
    const struct config *config;
    struct metrics *metrics;
    struct host_events events;
    enum resv_role role;
};

/* NULL when out of memory. All three objects must outlive the host. */
struct resv_host *host_create(const struct host_config *config);
/* Closes the host's own handles; `closed` comes later, from the loop; then host_destroy. */
void host_close(struct resv_host *host, void (*closed)(void *data), void *data);
void host_destroy(struct resv_host *host);

/* The flush point of the loop turn: called once a turn, after all deferred calls, just before the
 * loop waits. For the HTTP layer, which writes its answers there. One at most. */
void host_on_flush(struct resv_host *host, void (*flush)(void *data), void *data);

/* Flushes within the turn, from a callback of the loop: for whoever has gathered so much that the
 * other side would wait for nothing. */
void host_flush(struct resv_host *host);

/* resv_now_ns as of the start of this loop turn, to the millisecond: for deadlines on hot paths. */
uint64_t host_turn_ns(const struct resv_host *host);

/* What resv_host_start_deadline_ns says; UINT64_MAX until set. */
void host_set_start_deadline(struct resv_host *host, uint64_t deadline_ns);

/* The dispatcher behind this host: told of completions and of readiness for more. Set once. */
struct host_operations {
    void (*complete)(void *data, struct resv_op *op, enum resv_outcome outcome);
    void (*ready_for_more)(void *data);
    void *data;
};
void host_set_operations(struct resv_host *host, const struct host_operations *operations);

struct host_component {
    const char *name;
    enum resv_health_state state;
    uint64_t latency_ns;
    char detail[HOST_COMPONENT_DETAIL_MAX];
};
/* Components in the order in which they first spoke. */
const struct host_component *host_components(const struct resv_host *host, size_t *count);

#endif
