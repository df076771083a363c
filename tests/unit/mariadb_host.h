/* What all tests of the MariaDB link stand on: a real host with [database] that names the server of
 * tests/support/with_database.py, and a loop that is turned until something is true. */
#ifndef TESTS_MARIADB_HOST_H
#define TESTS_MARIADB_HOST_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "config/config.h"
#include "host/host.h"
#include "metrics/metrics.h"

struct mariadb_host {
    uv_loop_t loop;
    struct config *config;
    struct metrics *metrics;
    struct resv_host *host;
};

/* RESVD_TEST_DATABASE_<name>; without it the test fails and says so. */
const char *server_setting(const char *name);

/* False when out of memory. [database] host, port, user and name are set. */
bool mariadb_host_create(struct mariadb_host *self, const struct host_events *events);
/* Nothing may be open any more: what uv_loop_close says. */
int mariadb_host_destroy(struct mariadb_host *self);

/* "pool_max" of [database] and its text; fails the test when it is refused. */
void mariadb_host_setting(struct mariadb_host *self, const char *key, const char *text);

/* Turns the loop until *flag; fails the test after 20 s. */
void mariadb_host_run_until(struct mariadb_host *self, const bool *flag);
void mariadb_host_run_ms(struct mariadb_host *self, uint64_t milliseconds);

#endif
