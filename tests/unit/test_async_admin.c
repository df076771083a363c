/* The async strategy's sweep and what its admin operations do in Redis and in the log. */
#include <stdlib.h>
#include <string.h>

#include "consumer_fixture.h"

#define HOST(fixture) (&(fixture)->host)

static struct resv_catalog_request *the_request;

static void assert_argument(const struct log_call *call, size_t index, const char *text)
{
    assert_true(index < call->count);
    assert_string_equal(call->arguments[index].bytes, text);
}

/* In the fixture, which counts completions; its catalog part is freed in the tear-down. */
static struct resv_op *new_op(struct database_fixture *fixture, enum resv_op_kind kind)
{
    struct resv_op *op = &fixture->ops[fixture->ops_count++];
    *op = (struct resv_op){.kind = kind, .state = RESV_OP_SUBMITTED, .concert_id = 1};
    op->deadline_ns = resv_now_ns(HOST(fixture)) + 5000000000ULL;
    op->strategy_private = calloc(1, resv_strategy_async.op_private_size);
    the_request = op->catalog = calloc(1, sizeof *op->catalog);
    assert_non_null(op->strategy_private);
    assert_non_null(op->catalog);
    return op;
}

static void submit_op(struct database_fixture *fixture, struct resv_op *op)
{
    struct resv_catalog *catalog = resv_strategy_async.catalog(fixture->instance);
    fixture->host.inside = true;
    assert_true(catalog->submit(catalog->self, op));
    fixture->host.inside = false;
    fake_host_flush(HOST(fixture));
}

static int tear_down(void **state)
{
    int result = consumer_tear_down(state);
    if (the_request != NULL)
        free(the_request->audit);
    free(the_request);
    the_request = NULL;
    return result;
}

/* A page with this one concert: 100 seats, 5 sold. */
static void page_of_one(struct database_fixture *fixture)
{
    struct database_run *run = expect_run(DATABASE_READ_CONCERTS, END);
    run->steps[0].concert_page.count = 1;
    run->steps[0].concert_page.items[0] =
        (struct database_concert_step){.concert_id = 1, .found = true, .capacity = 100, .sold = 5};
    run_done(HOST(fixture), run);
}

/* --- the sweep ----------------------------------------------------------------------------------
 */

static void sweep_after_all_this_time(struct database_fixture *fixture)
{
    struct async *async = fixture->instance;
    fake_host_advance(HOST(fixture), async->sweep_after_ms);
    page_of_one(fixture);
    assert_argument(the_call("sweep"), 3, "0");
    assert_argument(the_call("sweep"), 5, "5");
    assert_argument(the_call("sweep"), 6, "100");
}

static void who_is_behind_gets_a_barrier(void **state)
{
    struct database_fixture *fixture = *state;
    sweep_after_all_this_time(fixture);
    call_returns(fixture, "sweep", "17", (int64_t)1, (int64_t)9, INT64_MIN);
    assert_argument(the_call("sweep"), 3, "17"); /* the next page */
    assert_int_equal(the_kafka.waiting_count, 0);
    call_returns(fixture, "sweep", "0", (int64_t)0, (int64_t)9, INT64_MIN);
    assert_int_equal(the_kafka.waiting_count, 1);
    assert_memory_equal(the_kafka.waiting[0].payload, "1 settle ", 9);
    assert_string_equal(the_kafka.waiting[0].key, "1");
    event_ends(fixture, KAFKA_PERSISTED);
    assert_int_equal(fake_host_metric(HOST(fixture), "async_pending_seats"), 9);
}

static void without_anything_nothing_is_published(void **state)
{
    struct database_fixture *fixture = *state;
    sweep_after_all_this_time(fixture);
    call_returns(fixture, "sweep", "0", (int64_t)0, (int64_t)0, INT64_MIN);
    assert_int_equal(the_kafka.waiting_count, 0);
    expect_no_run();
    sweep_after_all_this_time(fixture);
    call_ends(fixture, "sweep", REDIS_LOST); /* ends the round; the next one comes */
    sweep_after_all_this_time(fixture);
    call_returns(fixture, "sweep", "0", (int64_t)0, (int64_t)0, INT64_MIN);
}

/* --- the admin's operations ---------------------------------------------------------------------
 */

static void a_new_capacity_is_followed_by_a_barrier(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = new_op(fixture, RESV_OP_CONCERT_UPDATE);
    op->catalog->fields = RESV_CONCERT_CAPACITY;
    the_link.events.catalog_answered(the_link.events.data, op, RESV_STORED);
    assert_outcome(op, RESV_STORED);
    assert_int_equal(the_kafka.waiting_count, 1);
    event_ends(fixture, KAFKA_PERSISTED);
}

static void a_new_title_is_not(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = new_op(fixture, RESV_OP_CONCERT_UPDATE);
    op->catalog->fields = RESV_CONCERT_TITLE;
    the_link.events.catalog_answered(the_link.events.data, op, RESV_STORED);
    assert_outcome(op, RESV_STORED);
    assert_int_equal(the_kafka.waiting_count, 0);
}

static struct resv_op *audit_with(struct database_fixture *fixture, int64_t live)
{
    struct resv_op *op = new_op(fixture, RESV_OP_AUDIT);
    op->catalog->audit = calloc(1, sizeof *op->catalog->audit);
    op->catalog->audit_count = 1;
    op->catalog->audit_consistent = true;
    op->catalog->audit[0] = (struct resv_audit_line){.concert_id = 1,
                                                     .capacity = 100,
                                                     .sold = live,
                                                     .live = live,
                                                     .stock = -1,
                                                     .pending = -1,
                                                     .consistent = true};
    the_link.events.catalog_answered(the_link.events.data, op, RESV_FOUND);
    fake_host_flush(HOST(fixture));
    assert_under_way(op);
    assert_argument(the_call("numbers"), 0, "R");
    return op;
}

static void an_audit_without_a_gate_is_the_databases(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = audit_with(fixture, 5);
    call_returns(fixture, "numbers", NULL, INT64_MIN);
    assert_outcome(op, RESV_FOUND);
    assert_true(op->catalog->audit_consistent);
    assert_int_equal(op->catalog->audit[0].stock, -1);
}

static void read_line(struct database_fixture *fixture, int64_t sold, const char *numbers)
{
    struct database_run *run = expect_run(DATABASE_READ_CONCERT, END);
    fill_concert(&run->steps[0], 100, sold, RESV_NO_MEMBER_LIMIT);
    run_done(HOST(fixture), run);
    run = expect_run(DATABASE_READ_ALL_MEMBER_SEATS, END);
    run->steps[0].member_page.count = 1;
    run->steps[0].member_page.items[0].seats = sold;
    run_done(HOST(fixture), run);
    call_returns(fixture, "numbers", numbers, INT64_MIN);
}

static void audited_as(void **state, const char *numbers, int64_t stock, int64_t pending,
                       bool consistent)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = audit_with(fixture, 5);
    call_returns(fixture, "numbers", numbers, INT64_MIN);
    for (int ms = 0; !consistent && ms < 1000; ms += 500) {
        assert_under_way(op);
        read_line(fixture, 5, numbers);
        fake_host_advance(HOST(fixture), 500);
    }
    if (!consistent)
        read_line(fixture, 5, numbers);
    assert_outcome(op, RESV_FOUND);
    assert_int_equal(op->catalog->audit[0].stock, stock);
    assert_int_equal(op->catalog->audit[0].pending, pending);
    assert_int_equal(op->catalog->audit[0].consistent, consistent);
    assert_int_equal(op->catalog->audit_consistent, consistent);
}

static void an_audit_whose_numbers_agree(void **state)
{
    audited_as(state, "92|3", 92, 3, true);
}

static void an_audit_of_a_change_that_is_never_settled(void **state)
{
    audited_as(state, "91|3", 91, 3, false);
}

/* Its row came when the rows were read already: both are read again. */
static void an_audit_of_a_change_that_is_settled_meanwhile(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = audit_with(fixture, 5);
    call_returns(fixture, "numbers", "94|0", INT64_MIN);
    assert_under_way(op);
    read_line(fixture, 6, "94|0");
    assert_outcome(op, RESV_FOUND);
    assert_int_equal(op->catalog->audit[0].live, 6);
    assert_int_equal(op->catalog->audit[0].stock, 94);
    assert_true(op->catalog->audit[0].consistent);
    assert_true(op->catalog->audit_consistent);
}

/* What was read of it last is what is told. */
static void an_audit_of_a_concert_that_goes_away(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = audit_with(fixture, 5);
    call_returns(fixture, "numbers", "94|0", INT64_MIN);
    struct database_run *run = expect_run(DATABASE_READ_CONCERT, END);
    run->steps[0].concert.found = false;
    run_done(HOST(fixture), run);
    assert_outcome(op, RESV_FOUND);
    assert_int_equal(op->catalog->audit[0].stock, 94);
    assert_false(op->catalog->audit_consistent);
}

/* Capacity was lowered below what is sold and pending. */
static void an_audit_of_less_than_nothing(void **state)
{
    audited_as(state, "-4|99", 0, 99, true);
}

static void an_audit_of_pending_that_cannot_be(void **state)
{
    audited_as(state, "96|-1", 96, 0, false);
}

static void an_audit_without_redis_is_the_databases(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = audit_with(fixture, 5);
    call_ends(fixture, "numbers", REDIS_DOWN);
    assert_outcome(op, RESV_FOUND);
    assert_int_equal(op->catalog->audit[0].stock, -1);
    assert_int_equal(op->catalog->audit[0].pending, -1);
}

static void a_reconcile_is_told_when_the_gate_is_open(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = new_op(fixture, RESV_OP_RECONCILE);
    submit_op(fixture, op);
    struct database_run *run = expect_run(DATABASE_READ_CONCERT, END);
    fill_concert(&run->steps[0], 100, 5, RESV_NO_MEMBER_LIMIT);
    run_done(HOST(fixture), run);
    assert_argument(the_call("close"), 0, "gate");
    assert_int_equal(the_kafka.waiting_count, 0);
    call_returns(fixture, "close", NULL, (int64_t)1, INT64_MIN);
    event_ends(fixture, KAFKA_PERSISTED);
    fake_host_advance(HOST(fixture), 1);
    call_returns(fixture, "numbers", NULL, INT64_MIN); /* closed yet */
    expect_no_run();
    fake_host_advance(HOST(fixture), 20);
    call_returns(fixture, "numbers", "95|0", INT64_MIN);
    read_line(fixture, 5, NULL);
    assert_outcome(op, RESV_STORED);
    assert_int_equal(op->catalog->audit[0].live, 5);
    assert_true(op->catalog->audit[0].consistent);
}

/* Up to its barrier, which is persisted. */
static struct resv_op *reconciles(struct database_fixture *fixture)
{
    struct resv_op *op = new_op(fixture, RESV_OP_RECONCILE);
    submit_op(fixture, op);
    struct database_run *run = expect_run(DATABASE_READ_CONCERT, END);
    fill_concert(&run->steps[0], 100, 5, RESV_NO_MEMBER_LIMIT);
    run_done(HOST(fixture), run);
    call_returns(fixture, "close", NULL, (int64_t)1, INT64_MIN);
    event_ends(fixture, KAFKA_PERSISTED);
    fake_host_advance(HOST(fixture), 1);
    return op;
}

/* Nobody consumes. What comes of the barrier later finds nobody who waits for it. */
static void a_reconcile_ends_at_its_deadline(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = reconciles(fixture);
    op->deadline_ns = resv_now_ns(HOST(fixture)) + 30 * 1000000ULL;
    call_returns(fixture, "numbers", NULL, INT64_MIN);
    fake_host_advance(HOST(fixture), 20);
    call_returns(fixture, "numbers", NULL, INT64_MIN);
    assert_under_way(op);
    fake_host_advance(HOST(fixture), 20);
    call_returns(fixture, "numbers", NULL, INT64_MIN);
    assert_outcome(op, RESV_UNKNOWN);
    fake_host_advance(HOST(fixture), 100);
    assert_int_equal(the_redis.count, 0);
}

static void what_waited_past_its_deadline_is_not_begun(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *first = reconciles(fixture), *second = new_op(fixture, RESV_OP_RESET);
    struct resv_catalog_request *requests[] = {first->catalog, second->catalog};
    submit_op(fixture, second);
    second->deadline_ns = resv_now_ns(HOST(fixture));
    call_ends(fixture, "numbers", REDIS_LOST);
    first->deadline_ns = resv_now_ns(HOST(fixture));
    fake_host_advance(HOST(fixture), 20);
    call_ends(fixture, "numbers", REDIS_LOST);
    assert_outcome(first, RESV_UNKNOWN);
    fake_host_flush(HOST(fixture));
    assert_outcome(second, RESV_UNAVAILABLE);
    expect_no_run();
    free(requests[0]);
    the_request = requests[1];
}

static void nothing_to_reconcile(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = new_op(fixture, RESV_OP_RECONCILE);
    submit_op(fixture, op);
    run_done(HOST(fixture), expect_run(DATABASE_READ_CONCERT, END));
    assert_outcome(op, RESV_NOT_FOUND);
}

/* Redis cannot be told: nothing is reset. */
static void a_reset_begins_in_redis(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = new_op(fixture, RESV_OP_RESET);
    submit_op(fixture, op);
    page_of_one(fixture);
    assert_argument(the_call("close"), 0, "all");
    call_ends(fixture, "close", REDIS_DOWN);
    assert_outcome(op, RESV_UNAVAILABLE);
}

static bool store_is_busy;
static struct resv_op *store_has;

static bool store_submit(void *self, struct resv_op *op)
{
    (void)self;
    store_has = store_is_busy ? NULL : op;
    return !store_is_busy;
}

/* Gates are closed; the store's turn. */
static struct resv_op *reset_begun(struct database_fixture *fixture, bool busy)
{
    struct resv_op *op = new_op(fixture, RESV_OP_RESET);
    store_is_busy = busy;
    store_has = NULL;
    database_link_catalog(&the_link)->submit = store_submit;
    submit_op(fixture, op);
    page_of_one(fixture);
    call_returns(fixture, "close", NULL, (int64_t)1, INT64_MIN);
    fake_host_advance(HOST(fixture), 1);
    return op;
}

/* What was opened between the two is closed behind it, and only then it is told. */
static void a_reset_closes_gates_before_and_behind(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = reset_begun(fixture, false);
    assert_ptr_equal(store_has, op);
    the_link.events.catalog_answered(the_link.events.data, op, RESV_STORED);
    fake_host_flush(HOST(fixture));
    struct database_run *run = expect_run(DATABASE_READ_EPOCH, END);
    run->steps[0].epoch.epoch = 4;
    run_done(HOST(fixture), run);
    page_of_one(fixture);
    assert_argument(the_call("close"), 0, "all");
    call_ends(fixture, "close", REDIS_LOST); /* once more from the beginning */
    assert_under_way(op);
    fake_host_advance(HOST(fixture), 200);
    run_done(HOST(fixture), expect_run(DATABASE_READ_CONCERTS, END));
    assert_under_way(op); /* concert 1 is not there any more, but may have been opened again */
    assert_argument(the_call("close"), 0, "all");
    call_returns(fixture, "close", NULL, (int64_t)1, INT64_MIN);
    assert_outcome(op, RESV_STORED);
    assert_int_equal(((struct async *)fixture->instance)->epoch, 4);
}

static void a_reset_waits_for_a_busy_store(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = reset_begun(fixture, true);
    assert_under_way(op);
    store_is_busy = false;
    fake_host_advance(HOST(fixture), 50);
    assert_ptr_equal(store_has, op);
    the_link.events.catalog_answered(the_link.events.data, op, RESV_UNAVAILABLE);
    assert_outcome(op, RESV_UNAVAILABLE);
}

static void but_not_for_ever(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = reset_begun(fixture, true);
    op->deadline_ns = resv_now_ns(HOST(fixture)) + 60 * 1000000ULL;
    fake_host_advance(HOST(fixture), 50);
    assert_under_way(op);
    fake_host_advance(HOST(fixture), 50);
    assert_outcome(op, RESV_UNAVAILABLE);
}

static void letters_that_cannot_be_read(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = new_op(fixture, RESV_OP_DEAD_LETTER_LIST);
    op->catalog->limit = 10;
    submit_op(fixture, op);
    assert_under_way(op);
    letters_end(fixture, false);
    assert_outcome(op, RESV_UNAVAILABLE);
}

static void letters_are_listed_in_order(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = new_op(fixture, RESV_OP_DEAD_LETTER_LIST);
    op->catalog->limit = 1;
    submit_op(fixture, op);
    letter_is("0-12", "empty\nthe event");
    letter_is("0-9", "bad\n\001");
    letter_is("0-3", "gone\nx");
    letter_is("0-3", "");
    letters_end(fixture, true);
    assert_outcome(op, RESV_FOUND);
    assert_int_equal(op->catalog->letter_count, 1);
    assert_true(op->catalog->more);
    assert_string_equal(op->catalog->letters[0].id, "0-9");
    assert_string_equal(op->catalog->letters[0].reason, "bad");
    assert_string_equal(op->catalog->letters[0].event, "?");
    free(op->catalog->letters);
}

static void a_letter_leaves_when_its_event_is_durable(void **state)
{
    struct database_fixture *fixture = *state;
    struct resv_op *op = new_op(fixture, RESV_OP_DEAD_LETTER_RETRY);
    memcpy(op->catalog->letter_id, "0-9", 4);
    submit_op(fixture, op);
    char text[256] = "unknown member\n";
    strcat(text, reserve_of(1, 1, 1));
    letter_is("0-9", text);
    letters_end(fixture, true);
    assert_string_equal(the_kafka.waiting[0].payload, strchr(text, '\n') + 1);
    assert_string_equal(the_kafka.waiting[0].key, "1");
    event_ends(fixture, KAFKA_PERSISTED);
    assert_under_way(op);
    assert_int_equal(the_kafka.waiting[0].event->target, KAFKA_DEAD_LETTERS);
    assert_int_equal(the_kafka.waiting[0].event->payload_size, 0);
    assert_string_equal(the_kafka.waiting[0].key, "0-9");
    event_ends(fixture, KAFKA_PERSISTED);
    assert_outcome(op, RESV_STORED);
}

int main(void)
{
#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, consumer_set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(who_is_behind_gets_a_barrier),
        TEST(without_anything_nothing_is_published),
        TEST(a_new_capacity_is_followed_by_a_barrier),
        TEST(a_new_title_is_not),
        TEST(an_audit_without_a_gate_is_the_databases),
        TEST(an_audit_whose_numbers_agree),
        TEST(an_audit_of_a_change_that_is_never_settled),
        TEST(an_audit_of_a_change_that_is_settled_meanwhile),
        TEST(an_audit_of_a_concert_that_goes_away),
        TEST(an_audit_of_less_than_nothing),
        TEST(an_audit_of_pending_that_cannot_be),
        TEST(an_audit_without_redis_is_the_databases),
        TEST(a_reconcile_is_told_when_the_gate_is_open),
        TEST(a_reconcile_ends_at_its_deadline),
        TEST(what_waited_past_its_deadline_is_not_begun),
        TEST(nothing_to_reconcile),
        TEST(a_reset_begins_in_redis),
        TEST(a_reset_closes_gates_before_and_behind),
        TEST(a_reset_waits_for_a_busy_store),
        TEST(but_not_for_ever),
        TEST(letters_that_cannot_be_read),
        TEST(letters_are_listed_in_order),
        TEST(a_letter_leaves_when_its_event_is_durable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
