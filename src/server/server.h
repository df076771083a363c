/* The server: one process's life from configuration to exit code. */
#ifndef RESVD_SERVER_SERVER_H
#define RESVD_SERVER_SERVER_H

#include <stdbool.h>

#include "config/config.h"
#include "resvd/strategy.h"

struct server_start {
    struct config *config; /* finished, without errors; the caller's */
    const struct resv_strategy *strategy;
    bool demo; /* fill an empty catalog and print curl lines */
    /* HUP: reads all sources again. NULL when there were errors, which it has printed; else the
     * server frees it. */
    struct config *(*read_again)(void *data);
    void *data;
};

/* Runs until a signal ends it or the start fails; returns the exit code. */
int server_run(const struct server_start *start);

#endif
