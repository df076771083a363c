/* Redis cases: the link's own promises, on calls and on channels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "redis_case_kit.h"

/* --- calls ------------------------------------------------------------------------------------ */

static struct case_call calls[REDIS_CASES_CALLS_MAX + 10];

static void start_many(struct redis_cases *cases, const char *key, size_t count)
{
    for (size_t i = 0; i < count; i++)
        case_call_start(cases, &calls[i], &case_command, NULL,
                        (const char *const[]){"INCRBY", key, "1"}, 3);
}

static void in_order(struct redis_cases *cases)
{
    struct case_name key = case_name(cases);
    start_many(cases, key.text, REDIS_CASES_CALLS_MAX);
    for (size_t i = REDIS_CASES_CALLS_MAX; i > 0; i--) {
        case_call_finish(cases, &calls[i - 1]);
        case_is_integer(&calls[i - 1], (int64_t)i);
    }
}

static void no_more_than_may(struct redis_cases *cases)
{
    struct case_name key = case_name(cases);
    start_many(cases, key.text, REDIS_CASES_CALLS_MAX + 10);
    for (size_t i = 0; i < REDIS_CASES_CALLS_MAX + 10; i++) {
        case_call_finish(cases, &calls[i]);
        assert_int_equal(calls[i].result, i < REDIS_CASES_CALLS_MAX ? REDIS_DONE : REDIS_DOWN);
    }
    case_is_text(CASE_COMMAND(cases, "GET", key.text), "100");
}

struct chain {
    struct redis_cases *cases;
    struct redis_call call;
    struct redis_text words[3];
    int64_t last;
    bool done;
};

static void chain_goes_on(struct redis_call *call)
{
    struct chain *chain = call->data;
    assert_int_equal(call->result, REDIS_DONE);
    assert_int_equal(redis_reply_integer(call->reply, 0), chain->last + 1);
    chain->last++;
    if (chain->last == 10)
        chain->done = true;
    else
        redis_run(chain->cases->link, call);
}

/* The struct is used again from inside done. */
static void again_from_inside(struct redis_cases *cases)
{
    struct case_name key = case_name(cases);
    struct chain chain = {.cases = cases,
                          .words = {{"INCRBY", 6}, {key.text, strlen(key.text)}, {"1", 1}}};
    chain.call = (struct redis_call){.script = &case_command,
                                     .arguments = chain.words,
                                     .arguments_count = 3,
                                     .data = &chain,
                                     .done = chain_goes_on};
    redis_run(cases->link, &chain.call);
    cases->run_until(cases->data, &chain.done);
    case_is_text(CASE_COMMAND(cases, "GET", key.text), "10");
}

static void forgotten_scripts(struct redis_cases *cases)
{
    struct case_name key = case_name(cases);
    start_many(cases, key.text, 3);
    for (size_t i = 0; i < 3; i++)
        case_call_finish(cases, &calls[i]);
    cases->forget_scripts(cases->data);
    start_many(cases, key.text, 3);
    for (size_t i = 0; i < 3; i++) {
        case_call_finish(cases, &calls[i]);
        case_is_integer(&calls[i], (int64_t)i + 4);
    }
    cases->forget_scripts(cases->data);
    case_is_integer(CASE_RUN(cases, &case_take, case_name(cases).text, "mine", "1000"), 1);
    case_is_text(CASE_COMMAND(cases, "GET", key.text), "6");
}

static void is_there(struct redis_cases *cases)
{
    assert_int_equal(redis_link_node_count(cases->link), 1);
    assert_true(redis_link_node_is_up(cases->link, 0));
    const char *run_id = redis_link_run_id(cases->link, 0);
    assert_int_equal(strlen(run_id), REDIS_RUN_ID_SIZE - 1);
    assert_int_equal(strspn(run_id, "0123456789abcdef"), REDIS_RUN_ID_SIZE - 1);
}

/* --- channels --------------------------------------------------------------------------------- */

struct listener {
    struct redis_subscription subscription;
    size_t heard;
    bool listens;
};

static void listening(struct redis_subscription *subscription, size_t node)
{
    struct listener *listener = subscription->data;
    assert_int_equal(node, 0);
    listener->listens = true;
}

static void heard(struct redis_subscription *subscription, size_t node)
{
    struct listener *listener = subscription->data;
    assert_int_equal(node, 0);
    listener->heard++;
}

static void listen(struct redis_cases *cases, struct listener *listener, const char *channel)
{
    listener->listens = false;
    listener->heard = 0;
    listener->subscription =
        (struct redis_subscription){.data = listener, .listening = listening, .heard = heard};
    snprintf(listener->subscription.channel, sizeof listener->subscription.channel, "%s", channel);
    redis_subscribe(cases->link, &listener->subscription);
    assert_false(listener->listens);
    cases->run_until(cases->data, &listener->listens);
    assert_int_equal(listener->subscription.listens, 1);
}

static void messages(struct redis_cases *cases)
{
    struct case_name first = case_name(cases), second = case_name(cases);
    struct listener listeners[2];
    case_is_integer(CASE_COMMAND(cases, "PUBLISH", first.text, "x"), 0);
    listen(cases, &listeners[0], first.text);
    listen(cases, &listeners[1], second.text);
    case_is_integer(CASE_COMMAND(cases, "PUBLISH", first.text, "x"), 1);
    case_is_integer(CASE_COMMAND(cases, "PUBLISH", first.text, ""), 1);
    case_is_integer(CASE_COMMAND(cases, "PUBLISH", second.text, "y"), 1);
    cases->run_for_ms(cases->data, 300);
    assert_int_equal(listeners[0].heard, 2);
    assert_int_equal(listeners[1].heard, 1);
    redis_unsubscribe(cases->link, &listeners[0].subscription);
    redis_unsubscribe(cases->link, &listeners[0].subscription); /* nothing */
    cases->run_for_ms(cases->data, 300);
    case_is_integer(CASE_COMMAND(cases, "PUBLISH", first.text, "x"), 0);
    case_is_integer(CASE_COMMAND(cases, "PUBLISH", second.text, "y"), 1);
    cases->run_for_ms(cases->data, 300);
    assert_int_equal(listeners[0].heard, 2);
    assert_int_equal(listeners[1].heard, 2);
    redis_unsubscribe(cases->link, &listeners[1].subscription);
    cases->run_for_ms(cases->data, 300);
}

/* Whoever takes a channel again listens only when that is true. */
static void the_same_channel_again(struct redis_cases *cases)
{
    struct case_name channel = case_name(cases);
    struct listener listener;
    for (int round = 0; round < 5; round++) {
        listen(cases, &listener, channel.text);
        case_is_integer(CASE_COMMAND(cases, "PUBLISH", channel.text, "x"), 1);
        cases->run_for_ms(cases->data, 300);
        assert_int_equal(listener.heard, 1);
        redis_unsubscribe(cases->link, &listener.subscription);
    }
    cases->run_for_ms(cases->data, 300);
    case_is_integer(CASE_COMMAND(cases, "PUBLISH", channel.text, "x"), 0);
}

const struct redis_case redis_cases_link[] = {
    {"is_there", is_there},
    {"in_order", in_order},
    {"no_more_than_may", no_more_than_may},
    {"again_from_inside", again_from_inside},
    {"forgotten_scripts", forgotten_scripts},
    {"messages", messages},
    {"the_same_channel_again", the_same_channel_again},
    {0},
};
