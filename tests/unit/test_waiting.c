/* Lines of concerts: who is next, whose turn it is, and how long an entry lives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/waiting.h"

enum { CONCERTS = 2, OPERATIONS = 6 };

/* As a strategy has it: something of its own behind the shared part. */
struct own_concert {
    struct waiting_concert waiting;
    int64_t own;
};

struct lines {
    struct waiting waiting;
    struct waiting_op states[OPERATIONS];
    struct resv_op ops[OPERATIONS];
};

static int open_lines(void **state)
{
    struct lines *lines = calloc(1, sizeof *lines);
    assert_non_null(lines);
    for (size_t i = 0; i < OPERATIONS; i++)
        lines->ops[i] = (struct resv_op){.strategy_private = &lines->states[i]};
    assert_true(waiting_open(&lines->waiting, CONCERTS, sizeof(struct own_concert)));
    *state = lines;
    return 0;
}

static int close_lines(void **state)
{
    struct lines *lines = *state;
    waiting_close(&lines->waiting);
    free(lines);
    return 0;
}

static bool add(struct lines *lines, size_t op, int64_t concert_id)
{
    lines->ops[op].concert_id = concert_id;
    return waiting_add(&lines->waiting, &lines->ops[op]);
}

static struct own_concert *concert_of(struct lines *lines, size_t op)
{
    return (struct own_concert *)lines->states[op].concert;
}

static void take(struct lines *lines, struct own_concert *concert, size_t op)
{
    assert_ptr_equal(waiting_take(&lines->waiting, &concert->waiting), &lines->ops[op]);
    assert_int_equal(lines->states[op].place, PLACE_GROUP);
}

static void expect_answer(struct lines *lines, size_t op, enum resv_outcome expected)
{
    enum resv_outcome outcome;
    assert_ptr_equal(waiting_take_answer(&lines->waiting, &outcome), &lines->ops[op]);
    assert_int_equal(outcome, expected);
    assert_int_equal(lines->states[op].place, PLACE_ELSEWHERE);
}

static void first_come_first_served(void **state)
{
    struct lines *lines = *state;
    assert_true(add(lines, 0, 7));
    assert_true(add(lines, 1, 8));
    assert_true(add(lines, 2, 7));
    assert_true(add(lines, 3, 7));
    struct own_concert *concert = concert_of(lines, 0);
    assert_int_equal(lines->waiting.count, 4);
    assert_int_equal(concert->waiting.line.count, 3);
    assert_ptr_equal(concert_of(lines, 3), concert);
    waiting_answer(&lines->waiting, &lines->ops[2], RESV_CANCELLED);
    take(lines, concert, 0);
    take(lines, concert, 3);
    assert_null(waiting_take(&lines->waiting, &concert->waiting));
    assert_int_equal(lines->waiting.count, 1);
    waiting_answer(&lines->waiting, &lines->ops[0], RESV_GRANTED);
    expect_answer(lines, 2, RESV_CANCELLED);
    expect_answer(lines, 0, RESV_GRANTED);
    enum resv_outcome outcome;
    assert_null(waiting_take_answer(&lines->waiting, &outcome));
}

static void all_are_answered(void **state)
{
    struct lines *lines = *state;
    assert_true(add(lines, 0, 7));
    assert_true(add(lines, 1, 8));
    assert_true(add(lines, 2, 7));
    take(lines, concert_of(lines, 0), 0);
    waiting_answer_all(&lines->waiting, RESV_UNAVAILABLE);
    assert_int_equal(lines->waiting.count, 0);
    assert_int_equal(lines->waiting.answers.count, 2);
    assert_int_equal(lines->states[0].place, PLACE_GROUP);
    assert_int_equal(lines->states[1].answer, RESV_UNAVAILABLE);
    assert_int_equal(lines->states[2].answer, RESV_UNAVAILABLE);
}

/* Empties the concert's line, as if a group had taken and answered all of it. */
static void empty(struct lines *lines, struct own_concert *concert)
{
    while (waiting_take(&lines->waiting, &concert->waiting) != NULL)
        continue;
}

/* No more than CONCERTS at once; `concert` is one of them. */
static void expect_kept(struct lines *lines, struct own_concert *concert, size_t op)
{
    waiting_let_go(&lines->waiting, &concert->waiting);
    assert_false(add(lines, op, 99));
    assert_int_equal(lines->states[op].place, PLACE_ELSEWHERE);
}

static void an_entry_lives_while_something_needs_it(void **state)
{
    struct lines *lines = *state;
    assert_true(add(lines, 0, 7));
    assert_true(add(lines, 1, 8));
    struct own_concert *concert = concert_of(lines, 0);
    concert->own = 5;
    assert_int_equal(concert_of(lines, 1)->waiting.entry.id, 8);
    expect_kept(lines, concert, 2); /* for who waits */
    empty(lines, concert);
    concert->waiting.entry.users = 1;
    expect_kept(lines, concert, 2);
    concert->waiting.entry.users = 0;
    waiting_set_ready(&lines->waiting, &concert->waiting);
    expect_kept(lines, concert, 2);
    assert_ptr_equal(waiting_take_ready(&lines->waiting), concert);
    waiting_let_go(&lines->waiting, &concert->waiting);
    /* It is another's now, and nothing is left of what it was. */
    assert_true(add(lines, 2, 99));
    assert_ptr_equal(concert_of(lines, 2), concert);
    assert_int_equal(concert->own, 0);
    assert_int_equal(concert->waiting.entry.id, 99);
}

static void what_a_strategy_keeps_is_found_again(void **state)
{
    struct lines *lines = *state;
    assert_true(add(lines, 0, 7));
    struct own_concert *concert = concert_of(lines, 0);
    concert->own = 5;
    concert->waiting.entry.users = 1;
    empty(lines, concert);
    waiting_let_go(&lines->waiting, &concert->waiting);
    assert_true(add(lines, 1, 7));
    assert_ptr_equal(concert_of(lines, 1), concert);
    assert_int_equal(concert->own, 5);
}

static void concerts_take_turns(void **state)
{
    struct lines *lines = *state;
    assert_true(add(lines, 0, 7));
    assert_true(add(lines, 1, 8));
    struct own_concert *first = concert_of(lines, 0), *second = concert_of(lines, 1);
    waiting_set_ready(&lines->waiting, &first->waiting);
    waiting_set_ready(&lines->waiting, &second->waiting);
    waiting_set_ready(&lines->waiting, &first->waiting); /* is in line already */
    assert_ptr_equal(waiting_take_ready(&lines->waiting), first);
    waiting_set_ready(&lines->waiting, &first->waiting);
    assert_ptr_equal(waiting_take_ready(&lines->waiting), second);
    assert_ptr_equal(waiting_take_ready(&lines->waiting), first);
    assert_null(waiting_take_ready(&lines->waiting));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(first_come_first_served, open_lines, close_lines),
        cmocka_unit_test_setup_teardown(all_are_answered, open_lines, close_lines),
        cmocka_unit_test_setup_teardown(an_entry_lives_while_something_needs_it, open_lines,
                                        close_lines),
        cmocka_unit_test_setup_teardown(what_a_strategy_keeps_is_found_again, open_lines,
                                        close_lines),
        cmocka_unit_test_setup_teardown(concerts_take_turns, open_lines, close_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
