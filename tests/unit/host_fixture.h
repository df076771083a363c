/* A real host on a real loop, closed clean after each test. */
#ifndef RESVD_TESTS_UNIT_HOST_FIXTURE_H
#define RESVD_TESTS_UNIT_HOST_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <uv.h>

#include "host/host.h"

struct host_fixture {
    uv_loop_t loop;
    struct resv_host *host;
    struct {
        unsigned started, start_failed, drained, closed, health_changed;
        int exit_code;
        const char *message;
    } events;
};
extern struct host_fixture host_fixture;

/* cmocka setup and teardown; the teardown fails when a handle is left. */
int host_fixture_setup(void **state);
int host_fixture_teardown(void **state);

/* One turn of the loop that does not wait. */
void host_turn(void);
/* Turns that wait, until *done or for 5 s. */
void host_run_until(const bool *done);
/* Turns the loop for so long. */
void host_run_ms(uint64_t duration_ms);

#endif
