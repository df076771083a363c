/* Concerts, members, reset and audit over the routes: requests, results, every outcome. */
#include "routes_fixture.h"

#include <stdio.h>

static const struct {
    enum http_method method;
    const char *target;
    const char *body;
    enum resv_op_kind kind;
    bool reads;
} operations[] = {
    {METHOD_GET, "/api/concerts/1", NULL, RESV_OP_CONCERT_GET, true},
    {METHOD_GET, "/api/concerts", NULL, RESV_OP_CONCERT_LIST, true},
    {METHOD_GET, "/api/members/1", NULL, RESV_OP_MEMBER_GET, true},
    {METHOD_POST, "/admin/concerts", "{\"title\":\"a\",\"capacity\":1}", RESV_OP_CONCERT_CREATE,
     false},
    {METHOD_PUT, "/admin/concerts/1", "{\"capacity\":1}", RESV_OP_CONCERT_UPDATE, false},
    {METHOD_POST, "/admin/members", "[{\"name\":\"a\"}]", RESV_OP_MEMBER_CREATE, false},
    {METHOD_POST, "/admin/reset", "{\"concerts\":1,\"capacity\":1,\"members\":1}", RESV_OP_RESET,
     false},
    {METHOD_POST, "/api/test/init", NULL, RESV_OP_RESET, false},
    {METHOD_GET, "/admin/audit", NULL, RESV_OP_AUDIT, true},
};
#define OPERATIONS_COUNT (sizeof(operations) / sizeof(operations[0]))

static void allow_everything(void)
{
    fixture.context.study_api = true;
    fixture.context.allow_reset = true;
    fixture_restart();
}

static void test_outcomes_that_are_problems(void **state)
{
    (void)state;
    static const struct {
        enum resv_outcome outcome;
        unsigned status;
        const char *slug;
    } rows[] = {
        {RESV_NOT_FOUND, 404, "not-found"},     {RESV_CANCELLED, 504, "timeout"},
        {RESV_UNAVAILABLE, 503, "unavailable"}, {RESV_CAPACITY_TOO_LOW, 409, "capacity-too-low"},
        {RESV_UNKNOWN, 500, "unknown-outcome"},
    };
    allow_everything();
    for (size_t o = 0; o < OPERATIONS_COUNT; o++) {
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            fixture_send(operations[o].method, operations[o].target, operations[o].body);
            assert_int_equal(fixture.op.kind, operations[o].kind);
            fixture_complete(rows[i].outcome);
            if (rows[i].outcome == RESV_UNKNOWN && operations[o].reads)
                expect_problem(503, "unavailable");
            else
                expect_problem(rows[i].status, rows[i].slug);
            assert_false(fixture.call.answer.has_location);
        }
    }
}

/* The request is freed whether somebody waits for the result or not. */
static void test_client_gone(void **state)
{
    (void)state;
    allow_everything();
    for (size_t o = 0; o < OPERATIONS_COUNT; o++) {
        fixture_send(operations[o].method, operations[o].target, operations[o].body);
        routes_client_gone(fixture.routes, &fixture.call);
        fixture_complete(RESV_UNAVAILABLE);
        assert_int_equal(fixture.answered, 0);
    }
}

/* The store may still be writing: what it writes to is then left to the dispatcher. */
static void test_told_before_the_end(void **state)
{
    (void)state;
    fixture_send(METHOD_POST, "/admin/members", "{\"name\":\"a\"}");
    fixture.op.outcome = RESV_UNKNOWN;
    fixture.op.done(&fixture.op);
    expect_problem(500, "unknown-outcome");
    assert_non_null(fixture.op.catalog);
    free(fixture.op.catalog->members);
    free(fixture.op.catalog);
}

static void fill_concert(struct resv_concert *concert, int64_t id, bool whole)
{
    *concert = (struct resv_concert){
        .id = id, .title = "T\"1\"", .starts_at_ms = INT64_MIN, .capacity = 10, .sold = 3};
    if (!whole)
        return;
    strcpy(concert->venue, "Town hall");
    concert->starts_at_ms = 1795375800000;
    concert->member_limit = 4;
    concert->capacity = RESV_INTEGER_MAX;
}

#define WHOLE(id)                                                                                  \
    "{\"id\":" id ",\"title\":\"T\\\"1\\\"\",\"venue\":\"Town hall\","                             \
    "\"startsAt\":\"2026-11-22T19:30:00Z\",\"capacity\":9007199254740991,\"sold\":3,"              \
    "\"available\":9007199254740988,\"memberLimit\":4}"
#define BARE(id)                                                                                   \
    "{\"id\":" id ",\"title\":\"T\\\"1\\\"\",\"venue\":null,\"startsAt\":null,"                    \
    "\"capacity\":10,\"sold\":3,\"available\":7,\"memberLimit\":null}"

static void give_concerts(size_t count)
{
    fixture.op.catalog->concerts = calloc(count, sizeof(struct resv_concert));
    assert_non_null(fixture.op.catalog->concerts);
    fixture.op.catalog->count = count;
}

static void test_concert_get(void **state)
{
    (void)state;
    fixture_send(METHOD_GET, "/api/concerts/9007199254740991", NULL);
    assert_int_equal(fixture.op.concert_id, RESV_INTEGER_MAX);
    give_concerts(1);
    fill_concert(&fixture.op.catalog->concerts[0], 9, true);
    fixture_complete(RESV_FOUND);
    expect_status(200, CONTENT_JSON);
    expect_body(WHOLE("9"));
    fixture_send(METHOD_HEAD, "/api/concerts/1", NULL);
    give_concerts(1);
    fill_concert(&fixture.op.catalog->concerts[0], 1, false);
    fixture.op.catalog->concerts[0].sold = 12; /* oversold: nothing is available, not -2 */
    fixture_complete(RESV_FOUND);
    expect_status(200, CONTENT_JSON);
    assert_int_equal((int)json_number("available"), 0);
}

static void test_numbers_that_are_none(void **state)
{
    (void)state;
    static const char *const ids[] = {"0",
                                      "01",
                                      "-1",
                                      "+1",
                                      "1.0",
                                      "1e1",
                                      "x",
                                      "1x",
                                      "0x1",
                                      "9007199254740992",
                                      "99999999999999999999",
                                      "%20",
                                      "1%20",
                                      "null"};
    fixture.accepting = true;
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        char target[64];
        snprintf(target, sizeof(target), "/api/concerts/%s", ids[i]);
        fixture_send(METHOD_GET, target, NULL);
        expect_problem(404, "not-found");
        snprintf(target, sizeof(target), "/api/members/%s", ids[i]);
        fixture_send(METHOD_GET, target, NULL);
        expect_problem(404, "not-found");
        snprintf(target, sizeof(target), "/admin/concerts/%s", ids[i]);
        fixture_send(METHOD_PUT, target, "{\"capacity\":1}");
        expect_problem(404, "not-found");
    }
    assert_int_equal(fixture.taken, 0);
}

static void test_concert_list(void **state)
{
    (void)state;
    fixture_send(METHOD_GET, "/api/concerts", NULL);
    assert_int_equal(fixture.op.catalog->limit, 50);
    assert_int_equal(fixture.op.catalog->after_id, 0);
    give_concerts(2);
    fill_concert(&fixture.op.catalog->concerts[0], 1, false);
    fill_concert(&fixture.op.catalog->concerts[1], 900719925474099, true);
    fixture.op.catalog->more = true;
    fixture_complete(RESV_FOUND);
    expect_status(200, CONTENT_JSON);
    char target[128];
    snprintf(target, sizeof(target), "/api/concerts?limit=1000&cursor=%s", json_text("nextCursor"));
    fixture_send(METHOD_GET, target, NULL);
    assert_int_equal(fixture.op.catalog->limit, 1000);
    assert_int_equal(fixture.op.catalog->after_id, 900719925474099);
    fixture_complete(RESV_FOUND);
    expect_body("{\"items\":[],\"nextCursor\":null}");
    fixture_send(METHOD_GET, "/api/concerts?x=1&limi%74=3&lim%69t=%37&", NULL);
    assert_int_equal(fixture.op.catalog->limit, 50); /* names are taken as they are written */
    fixture_complete(RESV_FOUND);
    fixture_send(METHOD_GET, "/api/concerts?&&limit=%31%30", NULL);
    assert_int_equal(fixture.op.catalog->limit, 10);
    give_concerts(1);
    fill_concert(&fixture.op.catalog->concerts[0], 7, false);
    fixture_complete(RESV_FOUND);
    expect_body("{\"items\":[" BARE("7") "],\"nextCursor\":null}");
}

static void test_list_queries_that_are_bad(void **state)
{
    (void)state;
    static const struct {
        const char *query, *fields;
    } rows[] = {
        {"limit", "limit"},
        {"limit=", "limit"},
        {"limit=0", "limit"},
        {"limit=1001", "limit"},
        {"limit=-1", "limit"},
        {"limit=1.0", "limit"},
        {"limit=01", "limit"},
        {"limit=ten", "limit"},
        {"limit=+1", "limit"},
        {"limit=1&limit=1", "limit"},
        {"limit=%", "limit"},
        {"limit=1%0", "limit"},
        {"limit=111111111111111111111111111111111111111111", "limit"},
        {"cursor", "cursor"},
        {"cursor=", "cursor"},
        {"cursor=1", "cursor"},
        {"cursor=c1.0000000000000", "cursor"},
        {"cursor=c1.000000000000000", "cursor"},
        {"cursor=c1.0000000000000A", "cursor"},
        {"cursor=c1.0000000000000g", "cursor"},
        {"cursor=c1.ffffffffffffff", "cursor"},
        {"cursor=c2.00000000000001", "cursor"},
        {"cursor=c1.00000000000001&cursor=c1.00000000000001", "cursor"},
        {"cursor=x&limit=x", "limit cursor"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char target[160];
        snprintf(target, sizeof(target), "/api/concerts?%s", rows[i].query);
        fixture_send(METHOD_GET, target, NULL);
        expect_fields(rows[i].fields);
    }
    assert_int_equal(fixture.taken, 0);
}

static void test_member_get(void **state)
{
    (void)state;
    fixture_send(METHOD_GET, "/api/members/7", NULL);
    assert_int_equal(fixture.op.member_id, 7);
    fixture.op.catalog->members = calloc(1, sizeof(struct resv_member));
    assert_non_null(fixture.op.catalog->members);
    fixture.op.catalog->members[0] = (struct resv_member){.id = 7, .name = "Zo\xc3\xab"};
    fixture_complete(RESV_FOUND);
    expect_status(200, CONTENT_JSON);
    expect_body("{\"id\":7,\"name\":\"Zo\xc3\xab\"}");
}

static void test_concert_create(void **state)
{
    (void)state;
    fixture_send(METHOD_POST, "/admin/concerts",
                 "{\"title\":\"T\\\"1\\\"\",\"venue\":\"Town hall\",\"memberLimit\":4,"
                 "\"startsAt\":\"2026-11-22T20:30:00+01:00\",\"capacity\":9007199254740991}");
    assert_int_equal(fixture.op.catalog->count, 1);
    fixture.op.catalog->concerts[0].id = 5;
    fixture.op.catalog->concerts[0].sold = 3;
    fixture_complete(RESV_STORED);
    expect_status(201, CONTENT_JSON);
    expect_body(WHOLE("5"));
    /* Many; null stands for what is not given. */
    fixture_send(METHOD_POST, "/admin/concerts",
                 "[{\"title\":\"T\\\"1\\\"\",\"capacity\":10},{\"capacity\":10,\"venue\":null,"
                 "\"title\":\"T\\u00221\\\"\",\"startsAt\":null,\"memberLimit\":null}]");
    assert_int_equal(fixture.op.catalog->count, 2);
    for (int i = 0; i < 2; i++) {
        fixture.op.catalog->concerts[i].id = i + 1;
        fixture.op.catalog->concerts[i].sold = 3;
    }
    fixture_complete(RESV_STORED);
    expect_status(201, CONTENT_JSON);
    expect_body("[" BARE("1") "," BARE("2") "]");
    /* One in an array comes back in an array. */
    fixture_send(METHOD_POST, "/admin/concerts", "[{\"title\":\"a\",\"capacity\":1}]");
    fixture_complete(RESV_STORED);
    assert_true(cJSON_IsArray(fixture.json));
}

static void test_concert_update(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        unsigned fields;
    } rows[] = {
        {"{\"title\":\"b\"}", RESV_CONCERT_TITLE},
        {"{\"venue\":null}", RESV_CONCERT_VENUE},
        {"{\"startsAt\":\"1970-01-01T00:00:00Z\"}", RESV_CONCERT_STARTS_AT},
        {"{\"capacity\":5}", RESV_CONCERT_CAPACITY},
        {"{\"memberLimit\":2}", RESV_CONCERT_MEMBER_LIMIT},
        {"{\"memberLimit\":null,\"capacity\":5,\"startsAt\":null,\"venue\":\"v\",\"title\":\"b\"}",
         31},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fixture_send(METHOD_PUT, "/admin/concerts/3", rows[i].body);
        assert_int_equal(fixture.op.concert_id, 3);
        assert_int_equal(fixture.op.catalog->fields, rows[i].fields);
        fill_concert(&fixture.op.catalog->concerts[0], 3, true);
        fixture_complete(RESV_STORED);
        expect_status(200, CONTENT_JSON);
        expect_body(WHOLE("3"));
    }
    fixture_send(METHOD_PUT, "/admin/concerts/3", rows[5].body);
    const struct resv_concert *concert = &fixture.op.catalog->concerts[0];
    assert_string_equal(concert->title, "b");
    assert_string_equal(concert->venue, "v");
    assert_true(concert->starts_at_ms == INT64_MIN);
    assert_int_equal(concert->member_limit, RESV_NO_MEMBER_LIMIT);
    fixture_complete(RESV_NOT_FOUND);
}

static void test_member_create(void **state)
{
    (void)state;
    fixture_send(METHOD_POST, "/admin/members", "{\"name\":\"Ada\"}");
    fixture.op.catalog->members[0].id = 1;
    fixture_complete(RESV_STORED);
    expect_status(201, CONTENT_JSON);
    expect_body("{\"id\":1,\"name\":\"Ada\"}");
    fixture_send(METHOD_POST, "/admin/members", "[{\"name\":\"Ada\"},{\"name\":\"Bo\"}]");
    fixture.op.catalog->members[0].id = 1;
    fixture.op.catalog->members[1].id = 2;
    fixture_complete(RESV_STORED);
    expect_body("[{\"id\":1,\"name\":\"Ada\"},{\"id\":2,\"name\":\"Bo\"}]");
}

static void test_reset(void **state)
{
    (void)state;
    const char *body = "{\"concerts\":10000,\"capacity\":100000,\"members\":1000000}";
    fixture_send(METHOD_POST, "/admin/reset", body);
    expect_problem(403, "forbidden");
    assert_int_equal(fixture.taken, 0);
    allow_everything();
    fixture_send(METHOD_POST, "/admin/reset", body);
    assert_int_equal(fixture.op.catalog->reset_concerts, 10000);
    assert_int_equal(fixture.op.catalog->reset_capacity, 100000);
    assert_int_equal(fixture.op.catalog->reset_members, 1000000);
    fixture_complete(RESV_STORED);
    expect_status(200, CONTENT_JSON);
    expect_body(body);
}

static void test_study_init(void **state)
{
    (void)state;
    fixture.context.study_api = true;
    fixture_restart();
    fixture_send(METHOD_POST, "/api/test/init", NULL);
    expect_problem(403, "forbidden");
    allow_everything();
    static const char *const bodies[] = {NULL, "", "not json at all"};
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct call_request request = fixture_request(METHOD_POST, "/api/test/init", bodies[i]);
        request.content_type = (struct text){NULL, 0};
        fixture_send_request(&request);
        assert_int_equal(fixture.op.catalog->reset_concerts, 10);
        assert_int_equal(fixture.op.catalog->reset_capacity, 100000);
        assert_int_equal(fixture.op.catalog->reset_members, 200);
        fixture_complete(RESV_STORED);
        expect_status(201, CONTENT_JSON);
        assert_int_equal((int)json_number("concertCount"), 10);
        assert_int_equal((int)json_number("memberCount"), 200);
        const cJSON *ids = cJSON_GetObjectItemCaseSensitive(fixture.json, "memberIds");
        assert_int_equal(cJSON_GetArraySize(ids), 200);
        assert_int_equal(cJSON_GetArrayItem(ids, 0)->valueint, 1);
        assert_int_equal(cJSON_GetArrayItem(ids, 199)->valueint, 200);
        ids = cJSON_GetObjectItemCaseSensitive(fixture.json, "concertIds");
        assert_int_equal(cJSON_GetArraySize(ids), 10);
    }
}

static void test_audit(void **state)
{
    (void)state;
    fixture_send(METHOD_GET, "/admin/audit", NULL);
    struct resv_audit_line *lines = calloc(2, sizeof(*lines));
    assert_non_null(lines);
    lines[0] = (struct resv_audit_line){1, 10, 3, 3, -1, -1, true};
    lines[1] = (struct resv_audit_line){2, 10, 3, 2, 7, 0, false};
    fixture.op.catalog->audit = lines;
    fixture.op.catalog->audit_count = 2;
    fixture_complete(RESV_FOUND);
    expect_status(200, CONTENT_JSON);
    expect_body("{\"consistent\":false,\"concerts\":["
                "{\"id\":1,\"capacity\":10,\"sold\":3,\"live\":3,\"consistent\":true},"
                "{\"id\":2,\"capacity\":10,\"sold\":3,\"live\":2,\"stock\":7,\"pending\":0,"
                "\"consistent\":false}]}");
}

static void test_async_only(void **state)
{
    (void)state;
    static const struct {
        enum http_method method;
        const char *target;
    } rows[] = {{METHOD_GET, "/admin/dead-letters"},
                {METHOD_POST, "/admin/dead-letters/1/retry"},
                {METHOD_POST, "/admin/concerts/1/reconcile"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fixture_send(rows[i].method, rows[i].target, NULL);
        expect_problem(404, "async-only");
        assert_non_null(strstr(json_text("detail"), "async"));
    }
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(test_outcomes_that_are_problems),
        ROW(test_client_gone),
        ROW(test_told_before_the_end),
        ROW(test_concert_get),
        ROW(test_numbers_that_are_none),
        ROW(test_concert_list),
        ROW(test_list_queries_that_are_bad),
        ROW(test_member_get),
        ROW(test_concert_create),
        ROW(test_concert_update),
        ROW(test_member_create),
        ROW(test_reset),
        ROW(test_study_init),
        ROW(test_audit),
        ROW(test_async_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
