/* The host on libuv: the order of a loop turn, timers that are moved while they fire, chance, and
 * what the strategy says. */
#include "host_fixture.h"

#include <unistd.h>

#include "log.h"

#define THINGS_MAX 8

/* What ran, in order, as letters. */
static char story[256];

static void tell(char letter)
{
    size_t size = strlen(story);
    assert_true(size + 1 < sizeof(story));
    story[size] = letter;
    story[size + 1] = '\0';
}

static int setup(void **state)
{
    story[0] = '\0';
    return host_fixture_setup(state);
}

/* --- deferred calls --------------------------------------------------------------------------- */

struct thing {
    struct resv_deferred deferred;
    struct resv_timer timer;
    char letter;
    struct thing *queues;  /* when it runs */
    struct thing *cancels; /* when it runs, before it queues */
    unsigned again;        /* how often it queues itself */
    uint64_t delay_ms;     /* timers: of what it queues */
    uint64_t fired_ns;
};
static struct thing things[THINGS_MAX];

static void run(struct resv_deferred *deferred)
{
    struct thing *thing = deferred->data;
    tell(thing->letter);
    if (thing->cancels != NULL)
        resv_defer_cancel(host_fixture.host, &thing->cancels->deferred);
    if (thing->queues != NULL)
        resv_defer(host_fixture.host, &thing->queues->deferred);
    if (thing->again > 0) {
        thing->again--;
        resv_defer(host_fixture.host, &thing->deferred);
    }
}

static void fired(struct resv_timer *timer)
{
    struct thing *thing = timer->data;
    tell(thing->letter);
    thing->fired_ns = resv_now_ns(host_fixture.host);
    if (thing->cancels != NULL)
        resv_timer_stop(host_fixture.host, &thing->cancels->timer);
    if (thing->queues != NULL)
        resv_timer_start(host_fixture.host, &thing->queues->timer, thing->delay_ms);
    if (thing->again > 0) {
        thing->again--;
        resv_timer_start(host_fixture.host, &thing->timer, thing->delay_ms);
    }
}

static void make_things(void)
{
    memset(things, 0, sizeof(things));
    for (size_t i = 0; i < THINGS_MAX; i++) {
        things[i].letter = (char)('a' + i);
        things[i].deferred = (struct resv_deferred){.run = run, .data = &things[i]};
        things[i].timer = (struct resv_timer){.fired = fired, .data = &things[i]};
    }
}

static void defer(size_t index)
{
    resv_defer(host_fixture.host, &things[index].deferred);
}

static void cancel(size_t index)
{
    resv_defer_cancel(host_fixture.host, &things[index].deferred);
}

static void flush(void *data)
{
    assert_ptr_equal(data, story);
    tell('|');
}

static void deferred_in_order(void **state)
{
    (void)state;
    make_things();
    host_on_flush(host_fixture.host, flush, story);
    defer(2);
    defer(0);
    defer(1);
    defer(2); /* queued already: keeps its place, runs once */
    assert_string_equal(story, "");
    host_turn();
    assert_string_equal(story, "cab|");
    host_turn();
    assert_string_equal(story, "cab||"); /* flush once a turn, with or without work */
    defer(2);
    host_turn();
    assert_string_equal(story, "cab||c|");
}

static void cancelled_while_queued(void **state)
{
    (void)state;
    make_things();
    cancel(0); /* was never queued */
    for (size_t i = 0; i < 5; i++)
        defer(i);
    cancel(0);
    cancel(2);
    cancel(4);
    cancel(4);
    defer(5); /* behind a last one that went */
    defer(0);
    host_turn();
    assert_string_equal(story, "bdfa");
    defer(1);
    cancel(1); /* the only one */
    defer(2);
    host_turn();
    assert_string_equal(story, "bdfac");
}

static void cancelled_by_another(void **state)
{
    (void)state;
    make_things();
    things[0].cancels = &things[1]; /* the next */
    things[2].cancels = &things[0]; /* ran already */
    things[3].cancels = &things[3]; /* itself, while it runs */
    things[3].queues = &things[3];
    for (size_t i = 0; i < 4; i++)
        defer(i);
    host_turn();
    assert_memory_equal(story, "acdddd", 6);
    cancel(3);
    story[0] = '\0';
    make_things();
    things[0].cancels = &things[1]; /* the last in the queue, and one comes behind it */
    things[0].queues = &things[2];
    defer(0);
    defer(1);
    host_turn();
    host_turn();
    assert_string_equal(story, "ac");
    defer(3);
    host_turn();
    assert_string_equal(story, "acd");
}

static void deferred_from_deferred(void **state)
{
    (void)state;
    make_things();
    host_on_flush(host_fixture.host, flush, story);
    things[0].queues = &things[2];
    things[2].queues = &things[3];
    defer(0);
    defer(1);
    host_turn();
    assert_string_equal(story, "abcd|"); /* joined in the same turn */
}

/* A chain without end must neither keep the turn from its flush nor the loop from waking. */
static void chain_without_end(void **state)
{
    (void)state;
    make_things();
    host_on_flush(host_fixture.host, flush, story);
    things[0].again = 20;
    defer(0);
    unsigned turns = 0;
    while (things[0].again > 0) {
        uv_run(&host_fixture.loop, UV_RUN_ONCE); /* would wait for ever if nothing kept it awake */
        assert_true(++turns < 21);
    }
    host_turn();
    assert_true(turns >= 2);
    assert_non_null(strstr(story, "a|a"));
    size_t runs = 0;
    for (const char *at = story; *at != '\0'; at++)
        runs += *at == 'a';
    assert_int_equal(runs, 21);
    assert_false(things[0].deferred.queued);
}

static void flush_and_defer(void *data)
{
    flush(data);
    if (things[0].again > 0) {
        things[0].again--;
        defer(1);
    }
}

static void deferred_from_flush(void **state)
{
    (void)state;
    make_things();
    host_on_flush(host_fixture.host, flush_and_defer, story);
    things[0].again = 2;
    for (unsigned i = 0; i < 3; i++)
        uv_run(&host_fixture.loop, UV_RUN_ONCE);
    assert_string_equal(story, "|b|b|"); /* next turn, and that does not wait */
}

/* --- timers ------------------------------------------------------------------------------------
 */

static void start(size_t index, uint64_t delay_ms)
{
    resv_timer_start(host_fixture.host, &things[index].timer, delay_ms);
}

static void timers_in_order(void **state)
{
    (void)state;
    make_things();
    uint64_t before_ns = resv_now_ns(host_fixture.host);
    start(0, 30);
    start(1, 10);
    start(2, 20);
    start(3, 0);
    assert_string_equal(story, ""); /* never from inside */
    host_run_ms(60);
    assert_string_equal(story, "dbca");
    assert_true(things[1].fired_ns - before_ns >= 10000000);
    assert_true(things[2].fired_ns - before_ns >= 20000000);
    assert_true(things[0].fired_ns - before_ns >= 30000000);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(things[i].timer.heap_index, 0);
}

static void timers_moved_and_stopped(void **state)
{
    (void)state;
    make_things();
    resv_timer_stop(host_fixture.host, &things[0].timer); /* was never started */
    start(0, 5);
    start(1, 10);
    start(2, 15);
    start(0, 20); /* later */
    start(2, 1);  /* earlier */
    resv_timer_stop(host_fixture.host, &things[1].timer);
    resv_timer_stop(host_fixture.host, &things[1].timer);
    host_run_ms(50);
    assert_string_equal(story, "ca");
    start(0, 2);
    resv_timer_stop(host_fixture.host, &things[0].timer); /* the only one that uv waits for */
    start(1, 4);
    host_run_ms(20);
    assert_string_equal(story, "cab");
}

static void timers_moved_while_firing(void **state)
{
    (void)state;
    make_things();
    things[0].cancels = &things[1]; /* due at the same time */
    things[2].queues = &things[3];  /* due too, moved away */
    things[2].delay_ms = 30;
    things[4].again = 3; /* starts itself */
    for (size_t i = 0; i < 5; i++)
        start(i, i == 0 ? 1 : 2);
    uint64_t over_ns = resv_now_ns(host_fixture.host) + 10000000;
    while (resv_now_ns(host_fixture.host) < over_ns) {
        /* so that all of them are due in one round */
    }
    host_turn();
    host_run_ms(15);
    assert_string_equal(story, "aceeee");
    host_run_ms(40);
    assert_string_equal(story, "aceeeed");
}

/* A timer that starts itself without delay leaves the loop its turn. */
static void timer_without_delay(void **state)
{
    (void)state;
    make_things();
    host_on_flush(host_fixture.host, flush, story);
    things[0].again = 3;
    start(0, 0);
    host_run_ms(30);
    const char *at = story;
    for (unsigned i = 0; i < 4; i++) {
        at = strchr(at, 'a');
        assert_non_null(at);
        assert_int_equal(at[1], '|');
        at++;
    }
    assert_null(strchr(at, 'a'));
}

static void many_timers(void **state)
{
    (void)state;
    static struct thing many[1000];
    memset(many, 0, sizeof(many));
    uint64_t seed = 3;
    for (size_t i = 0; i < 1000; i++) {
        many[i] = (struct thing){.letter = '\0'};
        many[i].timer = (struct resv_timer){.fired = fired, .data = &many[i]};
        seed = seed * 6364136223846793005ULL + 1;
        resv_timer_start(host_fixture.host, &many[i].timer, (seed >> 33) % 50);
    }
    host_run_ms(80);
    for (size_t i = 0; i < 1000; i++) {
        assert_true(many[i].fired_ns >= many[i].timer.due_ns);
        assert_int_equal(many[i].timer.heap_index, 0);
    }
}

/* --- chance ------------------------------------------------------------------------------------
 */

static int compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, 16);
}

static void random_bytes(void **state)
{
    (void)state;
    enum { COUNT = 4096 };
    static uint8_t ids[COUNT][16];
    static const uint8_t zeros[16];
    static uint8_t large[5000];
    for (size_t i = 0; i < COUNT; i++) { /* odd sizes between, so that the pool's end is met */
        resv_random_bytes(host_fixture.host, ids[i], 16);
        resv_random_bytes(host_fixture.host, large, i % 37);
        if (i % 512 == 0)
            resv_random_bytes(host_fixture.host, large, sizeof(large)); /* over the pool's size */
        if (i % 1000 == 0)
            resv_random_bytes(host_fixture.host, large, 4096); /* just it */
    }
    qsort(ids, COUNT, 16, compare_ids);
    for (size_t i = 0; i < COUNT; i++) {
        assert_memory_not_equal(ids[i], zeros, 16);
        if (i > 0)
            assert_memory_not_equal(ids[i], ids[i - 1], 16);
    }
    size_t zero_bytes = 0;
    for (size_t i = 0; i < sizeof(large); i++)
        zero_bytes += large[i] == 0;
    assert_true(zero_bytes < 100); /* about 20 of 5,000 */
    resv_random_bytes(host_fixture.host, large, 0);
}

/* --- words of the strategy ----------------------------------------------------------------------
 */

static void health(void **state)
{
    (void)state;
    size_t count = 9;
    host_components(host_fixture.host, &count);
    assert_int_equal(count, 0);
    resv_host_health(host_fixture.host, "redis-1", RESV_HEALTH_STARTING, 0, NULL);
    assert_int_equal(host_fixture.events.health_changed, 0);
    resv_host_health(host_fixture.host, "sqlite", RESV_HEALTH_UP, 17, "fine");
    assert_int_equal(host_fixture.events.health_changed, 1);
    resv_host_health(host_fixture.host, "sqlite", RESV_HEALTH_UP, 18, NULL);
    assert_int_equal(host_fixture.events.health_changed, 1);
    char detail[2000];
    memset(detail, 'x', sizeof(detail));
    detail[1999] = '\0';
    resv_host_health(host_fixture.host, "redis-1", RESV_HEALTH_DOWN, 0, detail);
    assert_int_equal(host_fixture.events.health_changed, 2);
    detail[0] = 'y'; /* it was copied */
    const struct host_component *components = host_components(host_fixture.host, &count);
    assert_int_equal(count, 2);
    assert_string_equal(components[0].name, "redis-1");
    assert_int_equal(components[0].state, RESV_HEALTH_DOWN);
    assert_int_equal(strlen(components[0].detail), HOST_COMPONENT_DETAIL_MAX - 1);
    assert_int_equal(components[0].detail[0], 'x');
    assert_string_equal(components[1].name, "sqlite");
    assert_int_equal(components[1].latency_ns, 18);
    assert_string_equal(components[1].detail, "");
    resv_host_health(host_fixture.host, "sqlite", RESV_HEALTH_MISSED, 0, "gone");
    assert_int_equal(host_fixture.events.health_changed, 3);
    assert_int_equal(components[1].state, RESV_HEALTH_MISSED);
    assert_string_equal(components[1].detail, "gone");
    resv_host_health(host_fixture.host, "sqlite", RESV_HEALTH_DOWN, 0, "gone");
    assert_int_equal(host_fixture.events.health_changed, 4);
}

/* What is printed for a change of state, at which level; nothing for the same state again. */
static void health_lines(void **state)
{
    (void)state;
    FILE *file = tmpfile();
    assert_non_null(file);
    fflush(stderr);
    int stderr_before = dup(STDERR_FILENO);
    assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
    log_configure(LOG_FORMAT_LOGFMT, RESV_LOG_INFO);
    resv_host_health(host_fixture.host, "lock-1", RESV_HEALTH_STARTING, 0, NULL);
    resv_host_health(host_fixture.host, "lock-1", RESV_HEALTH_MISSED, 0, "refused");
    resv_host_health(host_fixture.host, "lock-1", RESV_HEALTH_MISSED, 0, "refused");
    resv_host_health(host_fixture.host, "lock-1", RESV_HEALTH_DOWN, 0, "refused");
    resv_host_health(host_fixture.host, "lock-1", RESV_HEALTH_UP, 1, NULL);
    log_configure(LOG_FORMAT_AUTO, RESV_LOG_INFO);
    dup2(stderr_before, STDERR_FILENO);
    close(stderr_before);
    rewind(file);
    static const char *const wanted[] = {
        "event=\"backend down, going on without it\" component=lock-1 detail=refused\n",
        "event=\"backend down\" component=lock-1 detail=refused\n",
        "event=\"backend up\" component=lock-1\n",
    };
    static const char *const levels[] = {" level=warning ", " level=error ", " level=info "};
    char line[256];
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        assert_non_null(fgets(line, sizeof(line), file));
        assert_non_null(strstr(line, levels[i]));
        assert_non_null(strstr(line, wanted[i]));
    }
    assert_null(fgets(line, sizeof(line), file));
    fclose(file);
}

static void events(void **state)
{
    (void)state;
    resv_host_started(host_fixture.host);
    assert_int_equal(host_fixture.events.started, 1);
    resv_host_start_failed(host_fixture.host, 69, "no way");
    assert_int_equal(host_fixture.events.start_failed, 1);
    assert_int_equal(host_fixture.events.exit_code, 69);
    assert_string_equal(host_fixture.events.message, "no way");
    resv_host_drained(host_fixture.host);
    assert_int_equal(host_fixture.events.drained, 1);
    resv_host_closed(host_fixture.host);
    assert_int_equal(host_fixture.events.closed, 1);
    assert_ptr_equal(resv_host_loop(host_fixture.host), &host_fixture.loop);
}

static void clocks(void **state)
{
    (void)state;
    uint64_t last_ns = resv_now_ns(host_fixture.host);
    for (size_t i = 0; i < 1000; i++) {
        uint64_t now_ns = resv_now_ns(host_fixture.host);
        assert_true(now_ns >= last_ns);
        last_ns = now_ns;
    }
    int64_t wall_ms = resv_wall_ms(host_fixture.host);
    assert_true(wall_ms / 1000 - (int64_t)time(NULL) <= 1 &&
                (int64_t)time(NULL) - wall_ms / 1000 <= 1);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, host_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(deferred_in_order),
        TEST(cancelled_while_queued),
        TEST(cancelled_by_another),
        TEST(deferred_from_deferred),
        TEST(chain_without_end),
        TEST(deferred_from_flush),
        TEST(timers_in_order),
        TEST(timers_moved_and_stopped),
        TEST(timers_moved_while_firing),
        TEST(timer_without_delay),
        TEST(many_timers),
        TEST(random_bytes),
        TEST(health),
        TEST(health_lines),
        TEST(events),
        TEST(clocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
