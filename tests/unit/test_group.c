/* A group: what it asks for, what it makes of the answers, and what it writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/group.h"

enum { REQUESTS = 40, CONCERT = 3 };

struct ground {
    struct group group;
    struct hints hints;
    struct resv_op ops[REQUESTS];
};

static int make_group(void **state)
{
    struct ground *ground = calloc(1, sizeof *ground);
    assert_non_null(ground);
    assert_true(group_allocate(&ground->group, &ground->hints, REQUESTS));
    ground->group.concert_id = CONCERT;
    *state = ground;
    return 0;
}

static int free_group(void **state)
{
    struct ground *ground = *state;
    group_free(&ground->group);
    free(ground);
    return 0;
}

/* `id` is the last byte of its id. */
static struct request *add(struct ground *ground, uint8_t id, int64_t member_id, int64_t quantity)
{
    struct group *group = &ground->group;
    struct resv_op *op = &ground->ops[group->count];
    *op = (struct resv_op){.kind = RESV_OP_RESERVE,
                           .concert_id = CONCERT,
                           .member_id = member_id,
                           .quantity = quantity};
    op->id.bytes[RESV_ID_SIZE - 1] = id;
    group->requests[group->count] = (struct request){.op = op};
    return &group->requests[group->count++];
}

static void asks_for_each_once_and_in_order(void **state)
{
    struct ground *ground = *state;
    struct group *group = &ground->group;
    hints_put_member(&ground->hints, 5);
    for (size_t i = 0; i < REQUESTS; i++) {
        struct request *request = add(ground, (uint8_t)(i * 7 % 10), (int64_t)(i * 3 % 8 + 1), 1);
        request->op->keyed = i % 2 == 0;
    }
    group->requests[11].op = NULL;
    group_prepare_reads(group, true);
    assert_int_equal(group->reservations_count, 10);
    assert_int_equal(group->members_count, 8);
    assert_int_equal(group->strangers_count, 7); /* all but 5 */
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(group->reservations[i].id.bytes[RESV_ID_SIZE - 1], i);
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(group->members[i].id, i + 1);
        assert_int_equal(group->members[i].found, i + 1 == 5);
    }
    for (size_t i = 0; i < REQUESTS; i++) {
        const struct request *request = &group->requests[i];
        if (request->op == NULL)
            continue;
        assert_int_equal(request->member->id, request->op->member_id);
        assert_memory_equal(request->found->id.bytes, request->op->id.bytes, RESV_ID_SIZE);
    }
    group_prepare_reads(group, false); /* only of those with a key: the even ones */
    assert_int_equal(group->reservations_count, 5);
    assert_non_null(group->requests[0].found);
    assert_null(group->requests[1].found);
}

static void strangers_are_remembered(void **state)
{
    struct ground *ground = *state;
    struct group *group = &ground->group;
    for (int64_t member_id = 1; member_id <= 3; member_id++)
        add(ground, (uint8_t)member_id, member_id, 1);
    hints_put_member(&ground->hints, 1);
    group_prepare_reads(group, false);
    assert_int_equal(group->strangers_count, 2);
    group->strangers[1].found = true; /* 3 is there, 2 is not */
    group_note_strangers(group);
    assert_true(group->requests[0].member->found);
    assert_false(group->requests[1].member->found);
    assert_true(group->requests[2].member->found);
    assert_false(hints_know_member(&ground->hints, 2));
    assert_true(hints_know_member(&ground->hints, 3));
}

/* Else a batch of many members would ask for some of them again and again. */
static void members_in_a_row_are_all_remembered(void **state)
{
    struct hints *hints = &((struct ground *)*state)->hints;
    for (int64_t first = 1; first <= 1000000; first *= 1000) {
        hints_drop_all(hints);
        for (int64_t member_id = first; member_id < first + 20000; member_id++)
            hints_put_member(hints, member_id);
        for (int64_t member_id = first; member_id < first + 20000; member_id++)
            assert_true(hints_know_member(hints, member_id));
    }
}

static void the_concert_is_noted_and_remembered(void **state)
{
    struct ground *ground = *state;
    struct group *group = &ground->group;
    group->steps[2].concert = (struct database_concert_step){.concert_id = CONCERT,
                                                             .found = true,
                                                             .capacity = 100,
                                                             .sold = 40,
                                                             .member_limit = 4,
                                                             .fence = 9};
    group->concert_step = &group->steps[2];
    group_note_concert(group);
    assert_true(group->seen.exists);
    assert_int_equal(group->seen.remaining, 60);
    assert_int_equal(group->seen.member_limit, 4);
    assert_int_equal(group->seen.fence, 9);
    const struct concert_hint *hint = hints_find_concert(&ground->hints, CONCERT);
    assert_non_null(hint);
    assert_true(hint->exists);
    assert_int_equal(hint->remaining, 60);
    assert_int_equal(hint->member_limit, 4);
    assert_int_equal(hint->fence, 9);

    hints_take_seats(&ground->hints, CONCERT, 10);
    hints_set_fence(&ground->hints, CONCERT, 10, 3);
    assert_int_equal(hint->remaining, 50);
    assert_int_equal(hint->fence, 10);
    assert_int_equal(hint->sessions, 3);
    /* Another concert has taken its place: that one's fence is left alone. */
    int64_t other = CONCERT;
    do
        hints_put_concert(&ground->hints, &(struct concert_hint){.concert_id = ++other});
    while (hints_find_concert(&ground->hints, CONCERT) != NULL);
    hints_set_fence(&ground->hints, CONCERT, 77, 3);
    assert_int_equal(hints_find_concert(&ground->hints, other)->fence, 0);

    group->steps[2].concert.found = false;
    group_note_concert(group);
    assert_false(group->seen.exists);
    assert_int_equal(group->seen.remaining, 0);
    assert_int_equal(group->seen.fence, 0);
    assert_false(hints_find_concert(&ground->hints, CONCERT)->exists);
}

static void sums_end_at_the_largest_number(void **state)
{
    struct ground *ground = *state;
    struct group *group = &ground->group;
    int64_t smallest;
    add(ground, 1, 1, 4);
    add(ground, 2, 1, 3);
    add(ground, 3, 1, 1);
    assert_int_equal(group_size(group), 3);
    assert_int_equal(group_sum_of_seats(group, &smallest), 8);
    assert_int_equal(smallest, 1);
    group->requests[2].op = NULL;
    assert_int_equal(group_size(group), 2);
    assert_int_equal(group_sum_of_seats(group, &smallest), 7);
    assert_int_equal(smallest, 3);
    add(ground, 4, 1, RESV_INTEGER_MAX);
    add(ground, 5, 1, RESV_INTEGER_MAX);
    assert_int_equal(group_sum_of_seats(group, &smallest), RESV_INTEGER_MAX);
}

static void rows_are_of_those_that_take(void **state)
{
    struct ground *ground = *state;
    struct group *group = &ground->group;
    const enum verdict verdicts[] = {VERDICT_TAKE, VERDICT_SOLD_OUT, VERDICT_TAKE, VERDICT_TAKE};
    for (size_t i = 0; i < 4; i++)
        add(ground, (uint8_t)i, (int64_t)i + 1, (int64_t)i + 1)->verdict = verdicts[i];
    group->requests[2].op = NULL;
    group_fill_rows(group);
    assert_int_equal(group->rows_count, 2);
    assert_int_equal(group->seats, 1 + 4);
    assert_int_equal(group->rows[1].member_id, 4);
    assert_int_equal(group->requests[0].outcome, RESV_GRANTED);
    assert_false(group->requests[1].sending);

    /* Nothing was lost: the rows were never written, so none of them can be found. */
    group_settle_rows(group);
    assert_false(group->requests[0].sent || group->requests[0].sending);
    /* The answer of the COMMIT was lost: from then on they may be there. */
    group_fill_rows(group);
    group->work.commits_lost = 1;
    group_settle_rows(group);
    assert_true(group->requests[0].sent && group->requests[3].sent);
    assert_false(group->requests[1].sent);
    group_settle_rows(group);
    assert_true(group->requests[0].sent);
}

static void only_rows_that_grant_are_promises(void **state)
{
    struct ground *ground = *state;
    struct group *group = &ground->group;
    struct request *request = add(ground, 1, 1, 2);
    request->op->keyed = true;
    group_prepare_reads(group, false);
    request->found->found = true;
    request->found->row = (struct resv_reservation){
        .concert_id = CONCERT, .member_id = 1, .quantity = 2, .status = RESV_STATUS_CONFIRMED};
    request->verdict = VERDICT_ROW;
    group_fill_outcome(request);
    assert_int_equal(request->outcome, RESV_GRANTED);
    assert_true(group_promises_rows(group));
    request->found->row.quantity = 1; /* the key was for something else */
    group_fill_outcome(request);
    assert_int_equal(request->outcome, RESV_KEY_REUSED);
    assert_false(group_promises_rows(group));
    request->verdict = VERDICT_LIMIT;
    group_fill_outcome(request);
    assert_int_equal(request->outcome, RESV_LIMIT);
    assert_false(group_promises_rows(group));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(asks_for_each_once_and_in_order, make_group, free_group),
        cmocka_unit_test_setup_teardown(strangers_are_remembered, make_group, free_group),
        cmocka_unit_test_setup_teardown(members_in_a_row_are_all_remembered, make_group,
                                        free_group),
        cmocka_unit_test_setup_teardown(the_concert_is_noted_and_remembered, make_group,
                                        free_group),
        cmocka_unit_test_setup_teardown(sums_end_at_the_largest_number, make_group, free_group),
        cmocka_unit_test_setup_teardown(rows_are_of_those_that_take, make_group, free_group),
        cmocka_unit_test_setup_teardown(only_rows_that_grant_are_promises, make_group, free_group),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
