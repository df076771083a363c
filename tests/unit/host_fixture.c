/* A real host on a real loop. */
#include "host_fixture.h"

struct host_fixture host_fixture;

static void started(void *data)
{
    assert_ptr_equal(data, &host_fixture);
    host_fixture.events.started++;
}

static void start_failed(void *data, int exit_code, const char *message)
{
    assert_ptr_equal(data, &host_fixture);
    host_fixture.events.start_failed++;
    host_fixture.events.exit_code = exit_code;
    host_fixture.events.message = message;
}

static void drained(void *data)
{
    assert_ptr_equal(data, &host_fixture);
    host_fixture.events.drained++;
}

static void closed(void *data)
{
    assert_ptr_equal(data, &host_fixture);
    host_fixture.events.closed++;
}

static void health_changed(void *data)
{
    assert_ptr_equal(data, &host_fixture);
    host_fixture.events.health_changed++;
}

int host_fixture_setup(void **state)
{
    (void)state;
    memset(&host_fixture, 0, sizeof(host_fixture));
    assert_int_equal(uv_loop_init(&host_fixture.loop), 0);
    struct host_config config = {
        .loop = &host_fixture.loop,
        .events = {.started = started,
                   .start_failed = start_failed,
                   .drained = drained,
                   .closed = closed,
                   .health_changed = health_changed,
                   .data = &host_fixture},
    };
    host_fixture.host = host_create(&config);
    assert_non_null(host_fixture.host);
    return 0;
}

static void host_is_closed(void *data)
{
    *(bool *)data = true;
}

int host_fixture_teardown(void **state)
{
    (void)state;
    bool done = false;
    host_close(host_fixture.host, host_is_closed, &done);
    assert_false(done); /* later, from the loop */
    uv_run(&host_fixture.loop, UV_RUN_DEFAULT);
    assert_true(done);
    host_destroy(host_fixture.host);
    assert_int_equal(uv_loop_close(&host_fixture.loop), 0);
    return 0;
}

void host_turn(void)
{
    uv_run(&host_fixture.loop, UV_RUN_NOWAIT);
}

void host_run_until(const bool *done)
{
    uint64_t give_up_ns = uv_hrtime() + 5000000000ULL;
    while (!*done) {
        assert_true(uv_hrtime() < give_up_ns);
        uv_run(&host_fixture.loop, UV_RUN_ONCE);
    }
}

static void time_is_over(struct resv_timer *timer)
{
    *(bool *)timer->data = true;
}

void host_run_ms(uint64_t duration_ms)
{
    bool done = false;
    struct resv_timer timer = {.fired = time_is_over, .data = &done};
    resv_timer_start(host_fixture.host, &timer, duration_ms);
    host_run_until(&done);
}
