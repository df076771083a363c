/* What the kernel knows about this process, for the process_* metrics. */
#ifndef RESVD_METRICS_PROCESS_H
#define RESVD_METRICS_PROCESS_H

#include <stdint.h>

/* -1 where the kernel does not say. */
struct process_figures {
    double cpu_seconds;   /* user and system, all threads, since the start */
    double start_seconds; /* since 1970 */
    int64_t resident_bytes;
    int64_t virtual_bytes;
    int64_t open_fds;
    int64_t max_fds;
};
/* Reads a few small files in /proc: takes tens of microseconds, for scrapes only. */
void process_read(struct process_figures *figures);

#endif
