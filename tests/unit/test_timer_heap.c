/* The timer heap: always the earliest first, whatever is put in, taken out and moved. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host/timer_heap.h"

#define TIMERS 500

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return *seed >> 33;
}

static void check(const struct timer_heap *heap)
{
    for (size_t i = 0; i < heap->count; i++) {
        assert_int_equal(heap->timers[i]->heap_index, i + 1);
        if (i > 0)
            assert_true(heap->timers[(i - 1) / 2]->due_ns <= heap->timers[i]->due_ns);
    }
}

static void empty(void **state)
{
    (void)state;
    struct timer_heap heap = {0};
    assert_null(timer_heap_first(&heap));
    struct resv_timer timer = {.due_ns = 5};
    timer_heap_insert(&heap, &timer);
    assert_ptr_equal(timer_heap_first(&heap), &timer);
    timer_heap_remove(&heap, &timer);
    assert_null(timer_heap_first(&heap));
    assert_int_equal(timer.heap_index, 0);
    timer_heap_free(&heap);
    timer_heap_free(&heap);
}

static void comes_out_in_order(void **state)
{
    (void)state;
    uint64_t seed = 7;
    for (unsigned range = 1; range < 10000; range *= 9) { /* with many equal ones, and few */
        struct timer_heap heap = {0};
        static struct resv_timer timers[TIMERS];
        memset(timers, 0, sizeof(timers));
        for (size_t i = 0; i < TIMERS; i++) {
            timers[i].due_ns = next_random(&seed) % range;
            timer_heap_insert(&heap, &timers[i]);
        }
        check(&heap);
        uint64_t last = 0;
        for (size_t i = 0; i < TIMERS; i++) {
            struct resv_timer *first = timer_heap_first(&heap);
            assert_true(first->due_ns >= last);
            last = first->due_ns;
            timer_heap_remove(&heap, first);
        }
        assert_int_equal(heap.count, 0);
        timer_heap_free(&heap);
    }
}

/* Against the plainest model: an array that is searched. */
static void random_inserts_and_removes(void **state)
{
    (void)state;
    uint64_t seed = 11;
    struct timer_heap heap = {0};
    static struct resv_timer timers[TIMERS];
    memset(timers, 0, sizeof(timers));
    for (size_t step = 0; step < 20000; step++) {
        struct resv_timer *timer = &timers[next_random(&seed) % TIMERS];
        if (timer->heap_index != 0) {
            timer_heap_remove(&heap, timer);
        } else {
            timer->due_ns = next_random(&seed) % 1000;
            timer_heap_insert(&heap, timer);
        }
        uint64_t least = UINT64_MAX;
        size_t count = 0;
        for (size_t i = 0; i < TIMERS; i++) {
            if (timers[i].heap_index == 0)
                continue;
            count++;
            if (timers[i].due_ns < least)
                least = timers[i].due_ns;
        }
        assert_int_equal(heap.count, count);
        if (count > 0)
            assert_int_equal(timer_heap_first(&heap)->due_ns, least);
        if (step % 97 == 0)
            check(&heap);
    }
    timer_heap_free(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty),
        cmocka_unit_test(comes_out_in_order),
        cmocka_unit_test(random_inserts_and_removes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
