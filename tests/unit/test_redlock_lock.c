/* The lock alone: majority, validity, extension, letting go, who else listens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "redlock/lock.h"
#include "redlock_redis.h"

#define LEASE_MS 1000
#define DRIFT_MS 12 /* a hundredth and 2 */

struct lock_fixture {
    struct resv_host host;
    struct lock_settings settings;
    struct lock lock;
    unsigned acquired, refused, idle, listening, heard;
    enum lock_refusal refusal;
    uint64_t retry_ms;
};

static void on_acquired(struct lock *lock)
{
    struct lock_fixture *fixture = lock->data;
    fixture->acquired++;
}

static void on_refused(struct lock *lock, enum lock_refusal refusal, uint64_t retry_ms)
{
    struct lock_fixture *fixture = lock->data;
    fixture->refused++;
    fixture->refusal = refusal;
    fixture->retry_ms = retry_ms;
}

static void on_idle(struct lock *lock)
{
    struct lock_fixture *fixture = lock->data;
    assert_true(lock_is_idle(lock));
    fixture->idle++;
}

static void on_listening(struct lock *lock, size_t node)
{
    struct lock_fixture *fixture = lock->data;
    (void)node;
    fixture->listening++;
}

static void on_heard(struct lock *lock, size_t node)
{
    struct lock_fixture *fixture = lock->data;
    (void)node;
    fixture->heard++;
}

static const struct lock_events events = {
    .acquired = on_acquired,
    .refused = on_refused,
    .idle = on_idle,
    .listening = on_listening,
    .heard = on_heard,
};

static int set_up(void **state)
{
    struct lock_fixture *fixture = calloc(1, sizeof *fixture);
    *state = fixture;
    fake_host_init(&fixture->host);
    return fixture == NULL;
}

static int tear_down(void **state)
{
    struct lock_fixture *fixture = *state;
    if (fixture->lock.state != LOCK_FREE)
        lock_release(&fixture->lock);
    lock_unlisten(&fixture->lock);
    redis_serves();
    assert_true(lock_is_idle(&fixture->lock));
    assert_int_equal(fake_host_timers(&fixture->host), 0);
    free(fixture);
    return 0;
}

static struct lock *open_lock(struct lock_fixture *fixture, size_t nodes)
{
    redis_reset(&fixture->host, nodes);
    fixture->settings = (struct lock_settings){
        .host = &fixture->host, .redis = &the_redis, .lease_ms = LEASE_MS, .node_timeout_ms = 50};
    lock_open(&fixture->lock, &fixture->settings, &events, fixture, 1);
    return &fixture->lock;
}

/* Held on all nodes. */
static struct lock *hold(struct lock_fixture *fixture, size_t nodes)
{
    struct lock *lock = open_lock(fixture, nodes);
    assert_true(lock_acquire(lock));
    redis_serves();
    assert_int_equal(fixture->acquired, 1);
    assert_int_equal(lock->state, LOCK_HELD);
    return lock;
}

/* --- majority, values, validity ---------------------------------------------------------------
 */

static void one_node_is_its_own_majority(void **state)
{
    struct lock_fixture *fixture = *state;
    struct lock *lock = open_lock(fixture, 1);
    assert_true(lock_acquire(lock));
    assert_int_equal(fixture->acquired, 0);
    assert_string_equal(the_redis.nodes[0].acquired_key, "test:{c:1}:lock");
    node_executes(0);
    assert_int_equal(fixture->acquired, 1);
    assert_true(lock_is_valid(lock, 0));
    lock_release(lock);
    assert_false(lock_is_valid(lock, 0));
    assert_true(node_has_lock(0));
    node_executes(0);
    assert_false(node_has_lock(0));
    assert_int_equal(fixture->idle, 1);
}

static void two_of_three_hold_it_and_the_third_comes_late(void **state)
{
    struct lock_fixture *fixture = *state;
    struct lock *lock = open_lock(fixture, 3);
    assert_true(lock_acquire(lock));
    node_executes(2);
    assert_int_equal(fixture->acquired, 0);
    node_executes(0);
    assert_int_equal(fixture->acquired, 1);
    node_executes(1); /* noted only */
    assert_int_equal(fixture->acquired, 1);
    lock_release(lock);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(calls_of(i), "r");
    redis_serves();
    for (size_t i = 0; i < 3; i++)
        assert_false(node_has_lock(i));
}

static void three_of_five(void **state)
{
    struct lock_fixture *fixture = *state;
    struct lock *lock = open_lock(fixture, 5);
    node_is_held(0, 700);
    node_is_held(1, 700);
    assert_true(lock_acquire(lock));
    for (size_t i = 0; i < 4; i++)
        node_executes(i);
    assert_int_equal(fixture->acquired, 0);
    assert_int_equal(fixture->refused, 0);
    node_executes(4);
    assert_int_equal(fixture->acquired, 1);
    lock_release(lock);
    assert_string_equal(calls_of(0), ""); /* nothing of ours is there */
    assert_string_equal(calls_of(4), "r");
}

static void held_by_another_is_certain_before_the_last_answer(void **state)
{
    struct lock_fixture *fixture = *state;
    struct lock *lock = open_lock(fixture, 3);
    node_is_held(0, 700);
    node_is_held(2, 300);
    assert_true(lock_acquire(lock));
    node_executes(0);
    assert_int_equal(fixture->refused, 0);
    node_executes(2);
    assert_int_equal(fixture->refused, 1);
    assert_int_equal(fixture->refusal, LOCK_HELD_BY_OTHER);
    assert_int_equal(fixture->retry_ms, 300);
    assert_int_equal(lock->state, LOCK_FREE);
    /* The third may grant it yet: it hears at once, behind what it was asked. */
    assert_string_equal(calls_of(1), "ar");
    redis_serves();
    assert_false(node_has_lock(1));
    assert_true(node_has_lock(0));
    assert_int_equal(fixture->idle, 1);
}

static void lost_grant_is_released(void **state)
{
    struct lock_fixture *fixture = *state;
    struct lock *lock = open_lock(fixture, 3);
    assert_true(lock_acquire(lock));
    node_loses(0, true);
    node_executes(1);
    node_executes(2);
    assert_int_equal(fixture->acquired, 1);
    assert_true(node_has_lock(0));
    lock_release(lock);
    assert_string_equal(calls_of(0), "r");
    redis_serves();
    assert_false(node_has_lock(0));
}

static void nodes_that_do_not_answer_are_no_majority(void **state)
{
    struct lock_fixture *fixture = *state;
    struct lock *lock = open_lock(fixture, 3);
    assert_true(lock_acquire(lock));
    node_loses(0, true);
    assert_int_equal(fixture->refused, 0);
    node_refuses(1);
    assert_int_equal(fixture->refused, 1);
    assert_int_equal(fixture->refusal, LOCK_NO_MAJORITY);
    assert_string_equal(calls_of(0), "r");
    assert_string_equal(calls_of(1), "r");
    assert_string_equal(calls_of(2), "ar");
    redis_serves();
    for (size_t i = 0; i < 3; i++)
        assert_false(node_has_lock(i));
}

static void one_silent_and_one_held_is_held(void **state)
{
    struct lock_fixture *fixture = *state;
    struct lock *lock = open_lock(fixture, 3);
    node_is_held(1, 400);
    assert_true(lock_acquire(lock));
    node_loses(0, false);
    node_executes(1);
    assert_int_equal(fixture->refused, 1);
    assert_int_equal(fixture->refusal, LOCK_HELD_BY_OTHER);
    assert_int_equal(fixture->retry_ms, 400);
}

static void majority_down_is_not_asked(void **state)
{
    struct lock_fixture *fixture = *state;
    struct lock *lock = open_lock(fixture, 3);
    node_is_up(0, false);
    assert_true(lock_majority_is_up(&fixture->settings));
    assert_true(lock_acquire(lock)); /* by the other two */
    assert_string_equal(calls_of(0), "");
    redis_serves();
    assert_int_equal(fixture->acquired, 1);
    lock_release(lock);
    redis_serves();
    node_is_up(2, false);
    assert_false(lock_majority_is_up(&fixture->settings));
    assert_false(lock_acquire(lock));
    assert_int_equal(lock->state, LOCK_FREE);
    assert_string_equal(calls_of(1), "");
}

/* A node that takes long for each answer is left out of what is beyond its part. */
static void slow_node_is_left_out(void **state)
{
    struct lock_fixture *fixture = *state;
    struct lock *lock = open_lock(fixture, 3);
    for (unsigned i = 1; i <= LOCK_GRANTS + 2; i++) {
        assert_true(lock_acquire(lock));
        node_executes(1);
        node_executes(2);
        assert_int_equal(fixture->acquired, i);
        lock_release(lock);
        node_executes(1);
        node_executes(2);
    }
    assert_string_equal(calls_of(0), "arararar");
    redis_serves();
    assert_false(node_has_lock(0));
    assert_true(lock_acquire(lock));
    assert_string_equal(calls_of(0), "a");
}

static void each_attempt_has_a_value_of_its_own(void **state)
{
    struct lock_fixture *fixture = *state;
    uint8_t first[20];
    struct lock *lock = hold(fixture, 3);
    assert_memory_equal(the_redis.nodes[0].value, the_redis.nodes[2].value, 20);
    memcpy(first, the_redis.nodes[0].value, 20);
    lock_release(lock);
    redis_serves();
    assert_true(lock_acquire(lock));
    redis_serves();
    assert_memory_not_equal(the_redis.nodes[0].value, first, 20);
}

static void release_leaves_the_lock_of_another(void **state)
{
    struct lock_fixture *fixture = *state;
    struct lock *lock = hold(fixture, 3);
    node_is_held(1, 500); /* after its lease was over there */
    lock_release(lock);
    redis_serves();
    assert_false(node_has_lock(0));
    assert_true(node_has_lock(1));
}

/* In one write, executed in order. */
static void next_attempt_goes_behind_the_release(void **state)
{
    struct lock_fixture *fixture = *state;
    struct lock *lock = hold(fixture, 3);
    lock_release(lock);
    assert_true(lock_acquire(lock));
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(calls_of(i), "ra");
    redis_serves();
    assert_int_equal(fixture->acquired, 2);
    assert_int_equal(fixture->idle, 0);
    assert_true(node_has_lock(0));
}

static void validity_counts_from_before_it_was_asked_for(void **state)
{
    struct lock_fixture *fixture = *state;
    struct lock *lock = open_lock(fixture, 1);
    assert_true(lock_acquire(lock));
    fake_host_advance(&fixture->host, 40);
    node_executes(0);
    assert_int_equal(fixture->acquired, 1);
    assert_true(lock_is_valid(lock, LEASE_MS - DRIFT_MS - 40));
    assert_false(lock_is_valid(lock, LEASE_MS - DRIFT_MS - 39));
}

static void granted_too_late_is_let_go(void **state)
{
    struct lock_fixture *fixture = *state;
    const uint64_t last_ms = LEASE_MS - DRIFT_MS - lock_budget_ms(LEASE_MS);
    struct lock *lock = open_lock(fixture, 1);
    assert_true(lock_acquire(lock));
    fake_host_advance(&fixture->host, last_ms);
    node_executes(0);
    assert_int_equal(fixture->acquired, 1); /* just in time */
    lock_release(lock);
    redis_serves();
    assert_true(lock_acquire(lock));
    fake_host_advance(&fixture->host, last_ms + 1);
    node_executes(0);
    assert_int_equal(fixture->acquired, 1);
    assert_int_equal(fixture->refused, 1);
    assert_int_equal(fixture->refusal, LOCK_TOO_LATE);
    assert_string_equal(calls_of(0), "r");
}

/* --- extension ----------------------------------------------------------------------------------
 */

static void extension_by_a_majority_moves_validity(void **state)
{
    struct lock_fixture *fixture = *state;
    struct lock *lock = hold(fixture, 3);
    const uint64_t until_ns = lock->valid_until_ns;
    fake_host_advance(&fixture->host, LEASE_MS / 3);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(calls_of(i), "e");
    node_executes(0);
    assert_int_equal(lock->valid_until_ns, until_ns);
    fake_host_advance(&fixture->host, 10);
    node_executes(1);
    /* From when the extension began, not from its answer. */
    assert_int_equal(lock->valid_until_ns - until_ns, LEASE_MS / 3 * FAKE_NS_PER_MS);
    assert_int_equal(lock->extensions, 1);
    fake_host_advance(&fixture->host, LEASE_MS / 3); /* node 2 has not answered the first yet */
    assert_string_equal(calls_of(0), "e");
    assert_string_equal(calls_of(2), "e");
    node_executes(2); /* of the first: counts for nothing */
    node_executes(0);
    assert_int_equal(lock->extensions, 1);
    node_executes(1);
    assert_int_equal(lock->extensions, 2);
}

static void extension_that_fails_lets_validity_end(void **state)
{
    struct lock_fixture *fixture = *state;
    struct lock *lock = hold(fixture, 3);
    node_is_held(0, 5000);
    node_is_held(1, 5000);
    fake_host_advance(&fixture->host, LEASE_MS / 3);
    redis_serves();
    assert_int_equal(lock->extensions, 0);
    fake_host_advance(&fixture->host, LEASE_MS / 3 * 2 - DRIFT_MS);
    assert_true(lock_is_valid(lock, 0));
    fake_host_advance(&fixture->host, 2);
    assert_false(lock_is_valid(lock, 0));
    assert_int_equal(lock->state, LOCK_HELD); /* until its holder lets go of it */
    redis_serves();
    /* What is over is not extended any more, even if it could be. */
    node_is_free(0);
    fake_host_advance(&fixture->host, LEASE_MS);
    assert_string_equal(calls_of(2), "");
    lock_release(lock);
    redis_serves();
    assert_true(node_has_lock(1));
    assert_false(node_has_lock(2));
}

static void extension_finds_out_about_a_lost_grant(void **state)
{
    struct lock_fixture *fixture = *state;
    struct lock *lock = open_lock(fixture, 3);
    assert_true(lock_acquire(lock));
    node_loses(0, true);
    node_executes(1);
    node_executes(2);
    fake_host_advance(&fixture->host, LEASE_MS / 3);
    node_executes(0);
    node_loses(1, false);
    node_executes(2); /* 0 and 2 are a majority */
    assert_int_equal(lock->extensions, 1);
}

static void answers_behind_the_release_change_nothing(void **state)
{
    struct lock_fixture *fixture = *state;
    struct lock *lock = hold(fixture, 1);
    fake_host_advance(&fixture->host, LEASE_MS / 3);
    lock_release(lock);
    assert_string_equal(calls_of(0), "er");
    redis_serves();
    assert_int_equal(lock->extensions, 0);
    assert_false(node_has_lock(0));
    assert_int_equal(fixture->idle, 1);
}

/* --- who listens --------------------------------------------------------------------------------
 */

static void release_tells_how_many_others_listen(void **state)
{
    struct lock_fixture *fixture = *state;
    struct lock *lock = hold(fixture, 3);
    the_redis.nodes[1].listeners = 2;
    lock_release(lock);
    redis_serves();
    assert_int_equal(lock->others, 2); /* the most that a node knows of */
    the_redis.nodes[1].listeners = 0;
    assert_true(lock_acquire(lock));
    redis_serves();
    lock_listen(lock);
    node_listens(0);
    node_listens(1);
    lock_release(lock);
    redis_serves();
    assert_int_equal(lock->others, 0); /* that was ourselves */
    assert_int_equal(fixture->heard, 0);
    node_publishes(0);
    assert_int_equal(fixture->heard, 1);
}

static void release_without_a_message_leaves_no_echo(void **state)
{
    struct lock_fixture *fixture = *state;
    struct lock *lock = hold(fixture, 3);
    lock_listen(lock);
    for (size_t i = 0; i < 3; i++)
        node_listens(i);
    assert_int_equal(fixture->listening, 3);
    node_is_held(0, 100); /* not ours any more: nothing is published */
    lock_release(lock);
    node_executes(0);
    node_loses(1, false);
    node_executes(2);
    assert_int_equal(fixture->heard, 0);
    for (size_t i = 0; i < 3; i++)
        node_publishes(i);
    assert_int_equal(fixture->heard, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(one_node_is_its_own_majority),
        TEST(two_of_three_hold_it_and_the_third_comes_late),
        TEST(three_of_five),
        TEST(held_by_another_is_certain_before_the_last_answer),
        TEST(lost_grant_is_released),
        TEST(nodes_that_do_not_answer_are_no_majority),
        TEST(one_silent_and_one_held_is_held),
        TEST(majority_down_is_not_asked),
        TEST(slow_node_is_left_out),
        TEST(each_attempt_has_a_value_of_its_own),
        TEST(release_leaves_the_lock_of_another),
        TEST(next_attempt_goes_behind_the_release),
        TEST(validity_counts_from_before_it_was_asked_for),
        TEST(granted_too_late_is_let_go),
        TEST(extension_by_a_majority_moves_validity),
        TEST(extension_that_fails_lets_validity_end),
        TEST(extension_finds_out_about_a_lost_grant),
        TEST(answers_behind_the_release_change_nothing),
        TEST(release_tells_how_many_others_listen),
        TEST(release_without_a_message_leaves_no_echo),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
