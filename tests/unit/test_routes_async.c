/* What only an asynchronous strategy answers: 202, PENDING, dead letters, reconciling. */
#include "routes_fixture.h"

#include <stdio.h>

#define ID   "018f0000-0000-7000-8000-000000000001"
#define BODY "{\"concertId\":1,\"memberId\":7,\"quantity\":2}"

static int setup(void **state)
{
    fixture_setup(state);
    fixture.strategy.asynchronous = true;
    return 0;
}

/* --- reservations ---------------------------------------------------------------------------- */

static void fill_reservation(enum resv_status status, bool replay)
{
    fixture.op.reservation = (struct resv_reservation){
        .concert_id = 1, .member_id = 7, .quantity = 2, .status = status, .replay = replay};
}

static void reserve(const char *target, const char *key)
{
    struct call_request request = fixture_request(METHOD_POST, target, BODY);
    request.idempotency_key = (struct text){key, key != NULL ? strlen(key) : 0};
    fixture_send_request(&request);
}

static void test_accepted_and_again(void **state)
{
    (void)state;
    static const char *const targets[] = {"/api/reservations", "/api/reservations/async"};
    static const enum resv_status later[] = {RESV_STATUS_PENDING, RESV_STATUS_CONFIRMED,
                                             RESV_STATUS_CANCELLED, RESV_STATUS_REJECTED};
    struct resv_id id;
    for (size_t i = 0; i < 2; i++) {
        reserve(targets[i], "key");
        id = fixture.op.id;
        fill_reservation(RESV_STATUS_PENDING, false);
        fixture_complete(RESV_ACCEPTED);
        expect_status(202, CONTENT_JSON);
        assert_true(fixture.call.answer.has_location);
        assert_memory_equal(fixture.call.answer.location.bytes, id.bytes, RESV_ID_SIZE);
        assert_false(fixture.call.answer.replay);
        assert_string_equal(json_text("status"), "PENDING");
        for (size_t k = 0; k < sizeof(later) / sizeof(later[0]); k++) {
            reserve(targets[1 - i], "key");
            fill_reservation(later[k], true);
            fixture_complete(RESV_ACCEPTED);
            expect_status(202, CONTENT_JSON);
            assert_true(fixture.call.answer.has_location);
            assert_memory_equal(fixture.call.answer.location.bytes, id.bytes, RESV_ID_SIZE);
            assert_true(fixture.call.answer.replay);
            assert_string_equal(json_text("status"), resv_status_name(later[k]));
        }
    }
}

static void test_pending_is_found(void **state)
{
    (void)state;
    fixture_send(METHOD_GET, "/api/reservations/" ID, NULL);
    fill_reservation(RESV_STATUS_PENDING, false);
    fixture_complete(RESV_FOUND);
    expect_status(200, CONTENT_JSON);
    expect_body("{\"id\":\"" ID "\",\"concertId\":1,\"memberId\":7,\"quantity\":2,"
                "\"status\":\"PENDING\"}");
}

static void test_release(void **state)
{
    (void)state;
    fixture_send(METHOD_DELETE, "/api/reservations/" ID, NULL);
    fixture_complete(RESV_RELEASE_ACCEPTED);
    expect_status(202, CONTENT_JSON);
    expect_body("{\"id\":\"" ID "\"}");
    assert_true(fixture.call.answer.has_location);
    fixture_send(METHOD_DELETE, "/api/reservations/" ID, NULL);
    fixture_complete(RESV_RELEASED);
    expect_no_body(204);
    fixture_send(METHOD_DELETE, "/api/reservations/" ID, NULL);
    fixture_complete(RESV_UNKNOWN);
    expect_problem(500, "unknown-outcome");
    assert_true(fixture.call.answer.has_location);
}

/* --- what all three admin operations have in common ------------------------------------------ */

static const struct {
    enum http_method method;
    const char *target;
    enum resv_op_kind kind;
    const char *missing; /* detail of its 404 */
    bool reads;
} operations[] = {
    {METHOD_GET, "/admin/dead-letters", RESV_OP_DEAD_LETTER_LIST, NULL, true},
    {METHOD_HEAD, "/admin/dead-letters", RESV_OP_DEAD_LETTER_LIST, NULL, true},
    {METHOD_POST, "/admin/dead-letters/0-17/retry", RESV_OP_DEAD_LETTER_RETRY,
     "There is no dead letter with this id.", false},
    {METHOD_POST, "/admin/concerts/3/reconcile", RESV_OP_RECONCILE,
     "There is no concert with this id.", false},
};
#define OPERATIONS_COUNT (sizeof(operations) / sizeof(operations[0]))

static void test_outcomes_that_are_problems(void **state)
{
    (void)state;
    static const struct {
        enum resv_outcome outcome;
        unsigned status;
        const char *slug;
    } rows[] = {
        {RESV_NOT_FOUND, 404, "not-found"},
        {RESV_CANCELLED, 504, "timeout"},
        {RESV_UNAVAILABLE, 503, "unavailable"},
        {RESV_UNKNOWN, 500, "unknown-outcome"},
    };
    for (size_t o = 0; o < OPERATIONS_COUNT; o++) {
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            fixture_send(operations[o].method, operations[o].target, NULL);
            assert_int_equal(fixture.op.kind, operations[o].kind);
            fixture_complete(rows[i].outcome);
            if (rows[i].outcome == RESV_UNKNOWN && operations[o].reads)
                expect_problem(503, "unavailable");
            else
                expect_problem(rows[i].status, rows[i].slug);
            assert_false(fixture.call.answer.has_location);
            if (rows[i].outcome == RESV_NOT_FOUND && operations[o].missing != NULL)
                assert_string_equal(json_text("detail"), operations[o].missing);
        }
    }
}

static void test_not_taken(void **state)
{
    (void)state;
    for (size_t o = 0; o < OPERATIONS_COUNT; o++) {
        fixture.pool_empty = true;
        fixture_send(operations[o].method, operations[o].target, NULL);
        expect_problem(503, "unavailable");
        fixture.pool_empty = false;
        fixture.accepting = false;
        fixture_send(operations[o].method, operations[o].target, NULL);
        expect_problem(503, "unavailable");
        fixture.accepting = true;
        fixture.strategy.asynchronous = false; /* said before anything else */
        fixture_send(operations[o].method, operations[o].target, NULL);
        expect_problem(404, "async-only");
        fixture.strategy.asynchronous = true;
    }
    assert_int_equal(fixture.taken, 0);
}

static void test_client_gone(void **state)
{
    (void)state;
    for (size_t o = 0; o < OPERATIONS_COUNT; o++) {
        fixture_send(operations[o].method, operations[o].target, NULL);
        routes_client_gone(fixture.routes, &fixture.call);
        fixture_complete(RESV_UNAVAILABLE);
        assert_int_equal(fixture.answered, 0);
    }
}

static void test_methods(void **state)
{
    (void)state;
    const unsigned reads = 1u << METHOD_GET | 1u << METHOD_HEAD | 1u << METHOD_OPTIONS;
    const unsigned writes = 1u << METHOD_POST | 1u << METHOD_OPTIONS;
    for (size_t o = 0; o < OPERATIONS_COUNT; o++) {
        unsigned allow = operations[o].method == METHOD_POST ? writes : reads;
        fixture_send(METHOD_OPTIONS, operations[o].target, NULL);
        expect_no_body(204);
        assert_int_equal(fixture.call.answer.allow, allow);
        fixture_send(METHOD_PUT, operations[o].target, NULL);
        expect_problem(405, "method-not-allowed");
        assert_int_equal(fixture.call.answer.allow, allow);
    }
}

/* --- dead letters ---------------------------------------------------------------------------- */

static struct resv_dead_letter *give_letters(size_t count)
{
    fixture.op.catalog->letters = calloc(count, sizeof(struct resv_dead_letter));
    assert_non_null(fixture.op.catalog->letters);
    fixture.op.catalog->letter_count = count;
    return fixture.op.catalog->letters;
}

static void test_list(void **state)
{
    (void)state;
    fixture_send(METHOD_GET, "/admin/dead-letters", NULL);
    assert_int_equal(fixture.op.catalog->limit, 50);
    assert_string_equal(fixture.op.catalog->after, "");
    struct resv_dead_letter *letters = give_letters(2);
    letters[0] = (struct resv_dead_letter){.id = "0-0",
                                           .concert_id = 0,
                                           .failed_at_ms = INT64_MIN,
                                           .reason = "not an \"event\"",
                                           .event = "\xc3\xa9\\"};
    letters[1] = (struct resv_dead_letter){.id = "9007199254740991-9007199254740991",
                                           .concert_id = RESV_INTEGER_MAX,
                                           .failed_at_ms = 1795375800000,
                                           .reason = ""};
    memset(letters[1].event, 'x', RESV_DEAD_LETTER_EVENT_BYTES_MAX);
    memset(letters[1].reason, 'y', RESV_DEAD_LETTER_REASON_BYTES_MAX);
    fixture.op.catalog->more = true;
    fixture_complete(RESV_FOUND);
    expect_status(200, CONTENT_JSON);
    const cJSON *items = cJSON_GetObjectItemCaseSensitive(fixture.json, "items");
    assert_int_equal(cJSON_GetArraySize(items), 2);
    char *first = cJSON_PrintUnformatted(cJSON_GetArrayItem(items, 0));
    assert_string_equal(first, "{\"id\":\"0-0\",\"concertId\":null,\"failedAt\":null,"
                               "\"reason\":\"not an \\\"event\\\"\",\"event\":\"\xc3\xa9\\\\\"}");
    free(first);
    const cJSON *second = cJSON_GetArrayItem(items, 1);
    const char *event = cJSON_GetObjectItemCaseSensitive(second, "event")->valuestring;
    assert_int_equal(strlen(event), RESV_DEAD_LETTER_EVENT_BYTES_MAX);
    const char *failed_at = cJSON_GetObjectItemCaseSensitive(second, "failedAt")->valuestring;
    assert_string_equal(failed_at, "2026-11-22T19:30:00Z");
    char target[128];
    snprintf(target, sizeof(target), "/admin/dead-letters?cursor=%s&limit=1000",
             json_text("nextCursor"));
    fixture_send(METHOD_GET, target, NULL);
    assert_int_equal(fixture.op.catalog->limit, 1000);
    assert_string_equal(fixture.op.catalog->after, "9007199254740991-9007199254740991");
    fixture_complete(RESV_FOUND);
    expect_body("{\"items\":[],\"nextCursor\":null}");
    fixture_send(METHOD_GET, "/admin/dead-letters?limit=1&cursor=d1.0-17", NULL);
    assert_string_equal(fixture.op.catalog->after, "0-17");
    give_letters(1)[0] = (struct resv_dead_letter){.id = "1-2", .concert_id = 5, .reason = "r"};
    fixture_complete(RESV_FOUND);
    expect_body("{\"items\":[{\"id\":\"1-2\",\"concertId\":5,"
                "\"failedAt\":\"1970-01-01T00:00:00Z\",\"reason\":\"r\",\"event\":\"\"}],"
                "\"nextCursor\":null}");
}

static void test_list_queries_that_are_bad(void **state)
{
    (void)state;
    static const struct {
        const char *query, *fields;
    } rows[] = {
        {"limit=", "limit"},
        {"limit=0", "limit"},
        {"limit=1001", "limit"},
        {"limit=ten", "limit"},
        {"limit=1&limit=1", "limit"},
        {"cursor", "cursor"},
        {"cursor=", "cursor"},
        {"cursor=0-1", "cursor"},
        {"cursor=d1.", "cursor"},
        {"cursor=d1.1", "cursor"},
        {"cursor=d1.-1", "cursor"},
        {"cursor=d1.1-", "cursor"},
        {"cursor=d1.1--1", "cursor"},
        {"cursor=d1.01-1", "cursor"},
        {"cursor=d1.0-00", "cursor"},
        {"cursor=d1.0-1x", "cursor"},
        {"cursor=d1.0-1%00", "cursor"},
        {"cursor=d1.0-9007199254740992", "cursor"},
        {"cursor=d1.9007199254740992-0", "cursor"},
        {"cursor=d1.1111111111111111111111-1111111111111111111111", "cursor"},
        {"cursor=c1.00000000000001", "cursor"},
        {"cursor=d1.0-1&cursor=d1.0-1", "cursor"},
        {"cursor=x&limit=x", "limit cursor"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char target[160];
        snprintf(target, sizeof(target), "/admin/dead-letters?%s", rows[i].query);
        fixture_send(METHOD_GET, target, NULL);
        expect_fields(rows[i].fields);
    }
    assert_int_equal(fixture.taken, 0);
}

static void test_retry(void **state)
{
    (void)state;
    static const char *const ids[] = {"0-0", "0-17", "2147483647-9007199254740991",
                                      "9007199254740991-9007199254740991"};
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        char target[128];
        char body[128];
        snprintf(target, sizeof(target), "/admin/dead-letters/%s/retry", ids[i]);
        fixture_send(METHOD_POST, target, i % 2 == 0 ? NULL : "whatever it is");
        assert_string_equal(fixture.op.catalog->letter_id, ids[i]);
        fixture_complete(RESV_STORED);
        expect_status(202, CONTENT_JSON);
        assert_false(fixture.call.answer.has_location);
        snprintf(body, sizeof(body), "{\"id\":\"%s\"}", ids[i]);
        expect_body(body);
    }
}

static void test_ids_that_are_none(void **state)
{
    (void)state;
    static const char *const letters[] = {"0",
                                          "-",
                                          "0-",
                                          "-0",
                                          "00-0",
                                          "0-01",
                                          "1-1-1",
                                          "+1-1",
                                          "1-+1",
                                          "1- 1",
                                          "%30-1x",
                                          "a-b",
                                          "0x1-1",
                                          ID,
                                          "0-%201",
                                          "1.0-1",
                                          "null",
                                          "9007199254740992-1",
                                          "1-9007199254740992",
                                          "00000000000000000000000000000000000000000-1"};
    static const char *const concerts[] = {"0", "01", "-1", "x", "9007199254740992", "1.0", "%20"};
    char target[128];
    for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++) {
        snprintf(target, sizeof(target), "/admin/dead-letters/%s/retry", letters[i]);
        fixture_send(METHOD_POST, target, NULL);
        expect_problem(404, "not-found");
        assert_string_equal(json_text("detail"), "There is no dead letter with this id.");
    }
    for (size_t i = 0; i < sizeof(concerts) / sizeof(concerts[0]); i++) {
        snprintf(target, sizeof(target), "/admin/concerts/%s/reconcile", concerts[i]);
        fixture_send(METHOD_POST, target, NULL);
        expect_problem(404, "not-found");
        assert_string_equal(json_text("detail"), "There is no concert with this id.");
    }
    assert_int_equal(fixture.taken, 0);
}

/* --- reconciling ----------------------------------------------------------------------------- */

static void test_reconcile(void **state)
{
    (void)state;
    fixture_send(METHOD_POST, "/admin/concerts/9007199254740991/reconcile", NULL);
    assert_int_equal(fixture.op.concert_id, RESV_INTEGER_MAX);
    fixture.op.catalog->audit = malloc(sizeof(struct resv_audit_line));
    assert_non_null(fixture.op.catalog->audit);
    fixture.op.catalog->audit[0] = (struct resv_audit_line){RESV_INTEGER_MAX, 10, 3, 3, 5, 2, true};
    fixture.op.catalog->audit_count = 1;
    fixture_complete(RESV_STORED);
    expect_status(200, CONTENT_JSON);
    expect_body("{\"id\":9007199254740991,\"capacity\":10,\"sold\":3,\"live\":3,\"stock\":5,"
                "\"pending\":2,\"consistent\":true}");
}

static void test_what_is_counted(void **state)
{
    (void)state;
    fixture_send(METHOD_GET, "/admin/dead-letters", NULL);
    fixture_complete(RESV_FOUND);
    fixture_send(METHOD_POST, "/admin/dead-letters/0-1/retry", NULL);
    fixture_complete(RESV_STORED);
    fixture_send(METHOD_POST, "/admin/concerts/1/reconcile", NULL);
    fixture_complete(RESV_NOT_FOUND);
    fixture_send(METHOD_GET, "/metrics", NULL);
    static const char *const lines[] = {
        "resvd_http_requests_total{method=\"GET\",route=\"/admin/dead-letters\",status=\"200\"} "
        "1\n",
        "resvd_http_requests_total{method=\"POST\",route=\"/admin/dead-letters/{id}/retry\","
        "status=\"202\"} 1\n",
        "resvd_http_requests_total{method=\"POST\",route=\"/admin/concerts/{id}/reconcile\","
        "status=\"404\"} 1\n",
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        if (strstr(fixture.call.answer.body, lines[i]) == NULL)
            fail_msg("no line %s", lines[i]);
    }
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(test_accepted_and_again),
        ROW(test_pending_is_found),
        ROW(test_release),
        ROW(test_outcomes_that_are_problems),
        ROW(test_not_taken),
        ROW(test_client_gone),
        ROW(test_methods),
        ROW(test_list),
        ROW(test_list_queries_that_are_bad),
        ROW(test_retry),
        ROW(test_ids_that_are_none),
        ROW(test_reconcile),
        ROW(test_what_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
