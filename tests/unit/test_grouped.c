/* The grouped strategy: the three ways, and one that is bad among its neighbours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "grouped_fixture.h"

/* Has the strategy remember that the concert is sold out, and that member 9 exists. */
static void sell_out(struct grouped_fixture *fixture, int64_t concert_id)
{
    struct fake_concert *concert = &the_link.concerts[concert_id];
    concert->capacity = concert->sold;
    struct resv_op *op = reserve(fixture, concert_id, 9, 1);
    execute_all();
    assert_done(op, RESV_SOLD_OUT);
}

/* --- one that is bad, and its neighbours -------------------------------------------------------
 */

static void the_exact_first_win(void **state)
{
    struct grouped_fixture *fixture = *state;
    grouped_open(fixture);
    the_link.concerts[1].capacity = 5;
    const int64_t quantities[] = {2, 4, 2, 1, 1};
    struct resv_op *ops[5];
    for (size_t i = 0; i < 5; i++)
        ops[i] = reserve(fixture, 1, 1 + (int64_t)i, quantities[i]);
    flush();
    execute(0);
    assert_string_equal(run_of(0), "R"); /* all together did not fit */
    execute(0);
    assert_string_equal(run_of(0), "BLm");
    execute(0);
    assert_string_equal(run_of(0), "TIC");
    assert_under_way(ops[1]); /* sold out is true only with this COMMIT */
    execute(0);
    assert_granted(ops[0], false);
    assert_done(ops[1], RESV_SOLD_OUT);
    assert_granted(ops[2], false);
    assert_granted(ops[3], false);
    assert_done(ops[4], RESV_SOLD_OUT);
    assert_int_equal(the_link.concerts[1].sold, 5);
}

static void unknown_members_are_told_so(void **state)
{
    struct grouped_fixture *fixture = *state;
    grouped_open(fixture);
    struct resv_op *good = reserve(fixture, 1, 2, 1);
    struct resv_op *bad = reserve(fixture, 1, 77, 1);
    struct resv_op *also_good = reserve(fixture, 1, 3, 1);
    execute_all();
    assert_granted(good, false);
    assert_done(bad, RESV_UNKNOWN_MEMBER);
    assert_granted(also_good, false);
}

static void unknown_concert(void **state)
{
    struct grouped_fixture *fixture = *state;
    grouped_open(fixture);
    have_row(7, 1, 1, 2);
    struct resv_op *op = reserve(fixture, 8, 1, 1);
    struct resv_op *keyed = reserve_keyed(fixture, 8, 1, 2, 7);
    execute_all();
    assert_done(op, RESV_UNKNOWN_CONCERT);
    assert_done(keyed, RESV_KEY_REUSED);
    /* From now on a look is enough; until the concert is there. */
    op = reserve(fixture, 8, 1, 1);
    flush();
    assert_string_equal(run_of(0), "c");
    execute(0);
    assert_done(op, RESV_UNKNOWN_CONCERT);
    the_link.concerts[8] = (struct fake_concert){.exists = true, .capacity = 1};
    op = reserve(fixture, 8, 1, 1);
    execute_all();
    assert_granted(op, false);
}

static void a_key_again_is_answered_again(void **state)
{
    struct grouped_fixture *fixture = *state;
    grouped_open(fixture);
    have_row(7, 1, 3, 2);
    struct resv_op *before = reserve(fixture, 1, 1, 1);
    struct resv_op *again = reserve_keyed(fixture, 1, 3, 2, 7);
    struct resv_op *after = reserve_keyed(fixture, 1, 2, 1, 8);
    flush();
    execute(0);
    assert_string_equal(run_of(0), "R");
    execute(0);
    assert_string_equal(run_of(0), "BLim");
    execute(0);
    assert_string_equal(run_of(0), "TIC"); /* its own COMMIT is behind the row that was read */
    execute_all();
    assert_granted(before, false);
    assert_granted(again, true);
    assert_granted(after, false);
    assert_int_equal(the_link.concerts[1].sold, 4);
    struct resv_op *reused = reserve_keyed(fixture, 1, 3, 1, 7);
    execute_all();
    assert_done(reused, RESV_KEY_REUSED);
}

static void an_id_that_is_no_key_is_there_already(void **state)
{
    struct grouped_fixture *fixture = *state;
    grouped_open(fixture);
    struct resv_op *twice = make_op(fixture, 1, 1, 1);
    struct resv_op *other = make_op(fixture, 1, 2, 1);
    twice->id = (struct resv_id){.bytes = {[15] = 9}};
    have_row(9, 2, 1, 1);
    submit(fixture, twice);
    submit(fixture, other);
    execute_all();
    assert_done(twice, RESV_KEY_REUSED);
    assert_granted(other, false);
}

static void duplicate_of_a_concert_elsewhere(void **state)
{
    struct grouped_fixture *fixture = *state;
    fake_host_option(&the_host, "hold_ms", "10"); /* has the careful way taken */
    grouped_open(fixture);
    struct resv_op *keyed = reserve_keyed(fixture, 1, 1, 1, 7);
    struct resv_op *other = reserve(fixture, 1, 2, 1);
    flush();
    execute(0);
    have_row(7, 2, 1, 1); /* between reading and writing */
    pass_ms(10);
    assert_string_equal(run_of(0), "TIC");
    execute(0);
    assert_string_equal(run_of(0), "R");
    execute(0);
    assert_string_equal(run_of(0), "BLi"); /* every id; the members are known by now */
    execute_all();
    assert_done(keyed, RESV_KEY_REUSED);
    assert_granted(other, false);
}

static void endless_duplicates_are_contended(void **state)
{
    struct grouped_fixture *fixture = *state;
    fake_host_option(&the_host, "hold_ms", "10");
    grouped_open(fixture);
    struct resv_op *op = reserve_keyed(fixture, 1, 1, 1, 7);
    flush();
    for (int i = 0; i < 100 && op->state == RESV_OP_SUBMITTED; i++) {
        if (strcmp(run_of(0), "TIC") == 0)
            end_run(0, DATABASE_DUPLICATE, 1, false);
        else if (run_of(0)[0] != '\0')
            execute(0);
        else
            pass_ms(10);
    }
    assert_done(op, RESV_CONTENDED);
    assert_int_equal(the_link.concerts[1].sold, 0);
}

static void member_that_a_reset_took(void **state)
{
    struct grouped_fixture *fixture = *state;
    grouped_open(fixture);
    reserve(fixture, 1, 1, 1);
    reserve(fixture, 1, 2, 1);
    execute_all(); /* both are known to exist now */
    the_link.members[2] = false;
    struct resv_op *gone = reserve(fixture, 1, 2, 1);
    struct resv_op *there = reserve(fixture, 1, 1, 1);
    execute_all();
    assert_done(gone, RESV_UNKNOWN_MEMBER);
    assert_granted(there, false);
}

static void numbers_beyond_any_concert(void **state)
{
    struct grouped_fixture *fixture = *state;
    grouped_open(fixture);
    struct resv_op *huge[3];
    for (size_t i = 0; i < 3; i++)
        huge[i] = reserve(fixture, 1, 1, RESV_INTEGER_MAX);
    struct resv_op *small = reserve(fixture, 1, 1, 1);
    execute_all();
    for (size_t i = 0; i < 3; i++)
        assert_done(huge[i], RESV_SOLD_OUT);
    assert_granted(small, false);
}

/* --- the member's limit ------------------------------------------------------------------------
 */

static void limit_counts_the_group_and_what_was_before(void **state)
{
    struct grouped_fixture *fixture = *state;
    grouped_open(fixture);
    the_link.concerts[1].member_limit = 3;
    have_row(7, 1, 1, 2);
    struct resv_op *ops[] = {reserve(fixture, 1, 1, 1), reserve(fixture, 1, 1, 1),
                             reserve(fixture, 1, 2, 2), reserve(fixture, 1, 2, 2),
                             reserve(fixture, 1, 2, 1), reserve(fixture, 1, 3, 4)};
    flush();
    execute(0);
    execute(0);
    assert_string_equal(run_of(0), "BLm");
    execute(0);
    assert_string_equal(run_of(0), "s"); /* it has a limit: not known before */
    execute(0);
    execute(0);
    static const enum resv_outcome outcomes[] = {RESV_GRANTED, RESV_LIMIT,   RESV_GRANTED,
                                                 RESV_LIMIT,   RESV_GRANTED, RESV_LIMIT};
    for (size_t i = 0; i < 6; i++)
        assert_done(ops[i], outcomes[i]);
    struct resv_op *last = reserve(fixture, 1, 3, 1);
    flush();
    assert_string_equal(run_of(0), "BLs");
    execute_all();
    assert_granted(last, false);
}

/* --- sold out ----------------------------------------------------------------------------------
 */

static void sold_out_needs_one_look(void **state)
{
    struct grouped_fixture *fixture = *state;
    grouped_open(fixture);
    have_row(7, 1, 3, 2);
    sell_out(fixture, 1);
    struct resv_op *op = reserve(fixture, 1, 9, 1);
    struct resv_op *again = reserve_keyed(fixture, 1, 3, 2, 7);
    struct resv_op *nobody = reserve(fixture, 1, 77, 1);
    flush();
    assert_string_equal(run_of(0), "cim");
    execute(0);
    assert_string_equal(run_of(0), "D"); /* the row may not be on disk yet */
    assert_int_equal(again->state, RESV_OP_SUBMITTED);
    execute(0);
    assert_done(op, RESV_SOLD_OUT);
    assert_granted(again, true);
    assert_done(nobody, RESV_UNKNOWN_MEMBER);
    assert_string_equal(run_of(0), "");
}

/* A row that is the answer of nobody, or of another request, needs no disk. */
static void what_is_refused_waits_for_no_disk(void **state)
{
    struct grouped_fixture *fixture = *state;
    grouped_open(fixture);
    have_row(7, 1, 3, 2);
    sell_out(fixture, 1);
    struct resv_op *reused = reserve_keyed(fixture, 1, 3, 1, 7);
    struct resv_op *op = reserve(fixture, 1, 9, 1);
    flush();
    assert_string_equal(run_of(0), "cim");
    execute(0);
    assert_string_equal(run_of(0), "");
    assert_done(reused, RESV_KEY_REUSED);
    assert_done(op, RESV_SOLD_OUT);
}

/* Nobody of the group gets seats. */
static void only_answers_again(void **state)
{
    struct grouped_fixture *fixture = *state;
    grouped_open(fixture);
    have_row(7, 1, 3, 2);
    struct resv_op *again = reserve_keyed(fixture, 1, 3, 2, 7);
    flush();
    execute(0); /* a duplicate */
    execute(0);
    assert_string_equal(run_of(0), "BLim");
    execute(0);
    assert_string_equal(run_of(0), "RD");
    end_run(0, DATABASE_LOST, 1, false); /* nothing is in doubt: all of it again */
    assert_int_equal(again->state, RESV_OP_SUBMITTED);
    execute_all();
    assert_granted(again, true);
    again = reserve_keyed(fixture, 1, 3, 2, 7);
    flush();
    execute(0);
    execute(0);
    execute(0);
    assert_string_equal(run_of(0), "RD");
    end_run(0, DATABASE_FAILED, 1, false); /* the server takes no writes */
    execute_all();
    assert_done(again, RESV_UNAVAILABLE);
}

static void what_fits_after_all_goes_on(void **state)
{
    struct grouped_fixture *fixture = *state;
    grouped_open(fixture);
    sell_out(fixture, 1);
    the_link.concerts[1].capacity += 2; /* by another process: nobody told this one */
    struct resv_op *too_many = reserve(fixture, 1, 9, 3);
    struct resv_op *fits = reserve(fixture, 1, 9, 2);
    flush();
    assert_string_equal(run_of(0), "c");
    execute(0);
    assert_done(too_many, RESV_SOLD_OUT);
    assert_string_equal(run_of(0), "BL");
    execute_all();
    assert_granted(fits, false);
}

static void catalog_change_is_heeded(void **state)
{
    struct grouped_fixture *fixture = *state;
    grouped_open(fixture);
    sell_out(fixture, 1);
    the_link.concerts[1].capacity += 100;
    the_link.events.catalog_changed(the_link.events.data, 1);
    reserve(fixture, 1, 9, 2);
    flush();
    assert_string_equal(run_of(0), "BLIFC"); /* no look */
}

/* Else a concert made between the two would have rows and no seats taken. */
static void rows_go_before_seats(void **state)
{
    struct grouped_fixture *fixture = *state;
    grouped_open(fixture);
    struct resv_op *op = reserve(fixture, 5, 9, 2);
    flush();
    assert_string_equal(run_of(0), "BLIFC");
    const struct database_step *steps = the_link.sessions[0].run->steps;
    assert_int_equal(steps[2].insert.count, 1);
    assert_int_equal(steps[3].seats.seats, 2);
    the_link.concerts[5] = (struct fake_concert){.exists = true, .capacity = 10};
    execute_all();
    assert_granted(op, false);
}

static void last_seats_go_carefully_at_once(void **state)
{
    struct grouped_fixture *fixture = *state;
    grouped_open(fixture);
    the_link.concerts[1].capacity = 3;
    reserve(fixture, 1, 9, 1);
    reserve(fixture, 1, 9, 3);
    execute_all(); /* two are left, and that is remembered */
    struct resv_op *ops[] = {reserve(fixture, 1, 9, 1), reserve(fixture, 1, 9, 2),
                             reserve(fixture, 1, 9, 1)};
    flush();
    assert_string_equal(run_of(0), "BL");
    execute_all();
    assert_granted(ops[0], false);
    assert_done(ops[1], RESV_SOLD_OUT);
    assert_granted(ops[2], false);
}

#define GROUPED_TEST(name) cmocka_unit_test_setup_teardown(name, grouped_set_up, grouped_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        GROUPED_TEST(the_exact_first_win),
        GROUPED_TEST(unknown_members_are_told_so),
        GROUPED_TEST(unknown_concert),
        GROUPED_TEST(a_key_again_is_answered_again),
        GROUPED_TEST(an_id_that_is_no_key_is_there_already),
        GROUPED_TEST(duplicate_of_a_concert_elsewhere),
        GROUPED_TEST(endless_duplicates_are_contended),
        GROUPED_TEST(member_that_a_reset_took),
        GROUPED_TEST(numbers_beyond_any_concert),
        GROUPED_TEST(limit_counts_the_group_and_what_was_before),
        GROUPED_TEST(sold_out_needs_one_look),
        GROUPED_TEST(what_is_refused_waits_for_no_disk),
        GROUPED_TEST(only_answers_again),
        GROUPED_TEST(what_fits_after_all_goes_on),
        GROUPED_TEST(catalog_change_is_heeded),
        GROUPED_TEST(rows_go_before_seats),
        GROUPED_TEST(last_seats_go_carefully_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
