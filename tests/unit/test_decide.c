/* Deciding a group: who gets seats, in which order refusals go, and a model that decides one by
 * one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/decide.h"

enum { REQUESTS = 12, MEMBERS = 4, KEYS = 4 };

struct case_of {
    struct decide_concert concert;
    struct resv_op ops[REQUESTS];
    struct request requests[REQUESTS];
    struct database_member members[MEMBERS];
    struct database_reservation rows[KEYS];
    size_t count;
};

static struct case_of make_case(int64_t remaining, int64_t member_limit)
{
    struct case_of made = {
        .concert = {.exists = true, .remaining = remaining, .member_limit = member_limit}};
    for (size_t i = 0; i < MEMBERS; i++)
        made.members[i] = (struct database_member){.id = (int64_t)i, .found = true};
    return made;
}

static struct request *add(struct case_of *group, size_t member, int64_t quantity)
{
    size_t at = group->count++;
    group->ops[at] = (struct resv_op){.kind = RESV_OP_RESERVE,
                                      .concert_id = 1,
                                      .member_id = (int64_t)member,
                                      .quantity = quantity};
    group->requests[at] =
        (struct request){.op = &group->ops[at], .member = &group->members[member]};
    return &group->requests[at];
}

static int64_t decide(struct case_of *group, size_t *takers)
{
    return decide_in_order(&group->concert, group->requests, group->count, takers);
}

static void expect(const struct case_of *group, const char *verdicts)
{
    static const char letters[] = {
        [VERDICT_ROW] = 'r',      [VERDICT_UNKNOWN_CONCERT] = 'c', [VERDICT_UNKNOWN_MEMBER] = 'm',
        [VERDICT_SOLD_OUT] = 's', [VERDICT_LIMIT] = 'l',           [VERDICT_TAKE] = 'T'};
    char text[REQUESTS + 1] = "";
    for (size_t i = 0; i < group->count; i++)
        text[i] = letters[group->requests[i].verdict];
    assert_string_equal(text, verdicts);
}

static void the_first_that_fit_win(void **state)
{
    (void)state;
    size_t takers;
    struct case_of group = make_case(5, RESV_NO_MEMBER_LIMIT);
    const int64_t quantities[] = {2, 4, 2, 1, 1, 1};
    for (size_t i = 0; i < 6; i++)
        add(&group, i % MEMBERS, quantities[i]);
    assert_int_equal(decide(&group, &takers), 5);
    assert_int_equal(takers, 3);
    assert_int_equal(group.concert.remaining, 0);
    expect(&group, "TsTTss");
}

static void largest_numbers(void **state)
{
    (void)state;
    size_t takers;
    struct case_of group = make_case(RESV_INTEGER_MAX, RESV_INTEGER_MAX);
    for (size_t i = 0; i < 3; i++)
        add(&group, 0, RESV_INTEGER_MAX);
    add(&group, 1, 1);
    assert_int_equal(decide(&group, &takers), RESV_INTEGER_MAX);
    expect(&group, "Tsss");
}

static void limit_counts_the_group(void **state)
{
    (void)state;
    size_t takers;
    struct case_of group = make_case(100, 4);
    group.members[1].seats = 3;
    add(&group, 0, 3);
    add(&group, 0, 2); /* too many with the one before */
    add(&group, 0, 1);
    add(&group, 1, 2);
    add(&group, 1, 1);
    add(&group, 1, 1);
    add(&group, 2, 5);
    assert_int_equal(decide(&group, &takers), 5);
    expect(&group, "TlTlTll");
}

static void sold_out_goes_before_the_limit(void **state)
{
    (void)state;
    size_t takers;
    struct case_of group = make_case(2, 1);
    add(&group, 0, 3);
    add(&group, 0, 2);
    add(&group, 0, 1);
    decide(&group, &takers);
    expect(&group, "slT");
}

static void refusals_go_in_their_order(void **state)
{
    (void)state;
    size_t takers;
    struct case_of group = make_case(0, 1);
    group.members[3].found = false;
    group.rows[0].found = true;
    add(&group, 3, 1)->found = &group.rows[0]; /* a row, whatever else */
    add(&group, 3, 1)->found = &group.rows[1]; /* read, and none there */
    add(&group, 0, 1);
    decide(&group, &takers);
    expect(&group, "rms");
    group.concert.exists = false;
    decide(&group, &takers);
    expect(&group, "rcc");
    assert_int_equal(takers, 0);
}

static void one_id_twice_takes_once(void **state)
{
    (void)state;
    size_t takers;
    struct case_of group = make_case(10, RESV_NO_MEMBER_LIMIT);
    add(&group, 0, 2)->found = &group.rows[0];
    add(&group, 0, 2)->found = &group.rows[0];
    add(&group, 1, 3)->found = &group.rows[0];
    assert_int_equal(decide(&group, &takers), 2);
    expect(&group, "Trr");
    assert_int_equal(group.rows[0].row.quantity, 2); /* what the others are compared with */
    assert_int_equal(group.rows[0].row.member_id, 0);
}

static void answered_requests_are_passed_over(void **state)
{
    (void)state;
    size_t takers;
    struct case_of group = make_case(1, RESV_NO_MEMBER_LIMIT);
    add(&group, 0, 1)->op = NULL;
    add(&group, 0, 1);
    assert_int_equal(decide(&group, &takers), 1);
    assert_int_equal(takers, 1);
    assert_int_equal(group.requests[1].verdict, VERDICT_TAKE);
}

static void alone_it_changes_nothing(void **state)
{
    (void)state;
    struct case_of group = make_case(1, 1);
    struct request *request = add(&group, 0, 1);
    struct case_of before = group;
    assert_int_equal(decide_one(&group.concert, request), VERDICT_TAKE);
    assert_memory_equal(&group, &before, sizeof group);
}

/* --- a model that knows nothing of groups ------------------------------------------------------
 * Each request for itself, on a store of its own that each grant changes. */

struct model {
    bool concert_exists;
    int64_t capacity, sold, member_limit;
    bool member_exists[MEMBERS];
    int64_t member_seats[MEMBERS];
    bool row_exists[KEYS];
};

static enum verdict model_reserve(struct model *model, size_t member, int64_t quantity, int key)
{
    if (key >= 0 && model->row_exists[key])
        return VERDICT_ROW;
    if (!model->concert_exists)
        return VERDICT_UNKNOWN_CONCERT;
    if (!model->member_exists[member])
        return VERDICT_UNKNOWN_MEMBER;
    if (model->sold + quantity > model->capacity)
        return VERDICT_SOLD_OUT;
    if (model->member_limit > 0 && model->member_seats[member] + quantity > model->member_limit)
        return VERDICT_LIMIT;
    model->sold += quantity;
    model->member_seats[member] += quantity;
    if (key >= 0)
        model->row_exists[key] = true;
    return VERDICT_TAKE;
}

static struct model random_model(void)
{
    struct model model = {.concert_exists = rand() % 10 > 0,
                          .capacity = rand() % 20,
                          .member_limit = rand() % 2 ? rand() % 6 : 0};
    model.sold = model.capacity > 0 ? rand() % (model.capacity + 1) : 0;
    for (size_t i = 0; i < MEMBERS; i++) {
        model.member_exists[i] = rand() % 5 > 0;
        model.member_seats[i] = rand() % 4;
    }
    for (size_t i = 0; i < KEYS; i++)
        model.row_exists[i] = rand() % 4 == 0;
    return model;
}

static void is_as_one_by_one(void **state)
{
    (void)state;
    srand(4);
    for (int round = 0; round < 100000; round++) {
        size_t takers, expected = 0;
        struct model model = random_model();
        const struct model before = model;
        struct case_of group =
            make_case(before.concert_exists ? model.capacity - model.sold : 0, model.member_limit);
        group.concert.exists = model.concert_exists;
        for (size_t i = 0; i < MEMBERS; i++) {
            group.members[i].found = model.member_exists[i];
            group.members[i].seats = model.member_seats[i];
        }
        for (size_t i = 0; i < KEYS; i++)
            group.rows[i].found = model.row_exists[i];
        enum verdict verdicts[REQUESTS];
        for (size_t i = 0; i < REQUESTS; i++) {
            const size_t member = (size_t)rand() % MEMBERS;
            const int64_t quantity = 1 + rand() % 5;
            const int key = rand() % 2 ? rand() % KEYS : -1;
            struct request *request = add(&group, member, quantity);
            if (key >= 0)
                request->found = &group.rows[key];
            verdicts[i] = model_reserve(&model, member, quantity, key);
            expected += verdicts[i] == VERDICT_TAKE;
        }
        const int64_t seats = decide(&group, &takers);
        assert_int_equal(seats, model.sold - before.sold);
        assert_int_equal(takers, expected);
        for (size_t i = 0; i < REQUESTS; i++)
            assert_int_equal(group.requests[i].verdict, verdicts[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_that_fit_win),
        cmocka_unit_test(largest_numbers),
        cmocka_unit_test(limit_counts_the_group),
        cmocka_unit_test(sold_out_goes_before_the_limit),
        cmocka_unit_test(refusals_go_in_their_order),
        cmocka_unit_test(one_id_twice_takes_once),
        cmocka_unit_test(answered_requests_are_passed_over),
        cmocka_unit_test(alone_it_changes_nothing),
        cmocka_unit_test(is_as_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
