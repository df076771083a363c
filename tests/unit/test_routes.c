/* Routing: which path and method on which listener, keys, media types, and what needs no store. */
#include "routes_fixture.h"

#include "routes/outcomes.h"
#include "routes/problems.h"
#include "routes/router.h"

#define ID   "0193531f-7c3a-7c51-a1f0-1f2f3c4d5e6f"
#define BODY "{\"concertId\":1,\"memberId\":7}"

#define BIT(method) (1u << METHOD_##method)

static const char *const bearer_keys[] = {"secret-1", "another key", NULL};

static void test_paths_that_are_not_there(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "/",
        "/api",
        "/api/",
        "/api/reservations/",
        ("/api/reservations/" ID "/"),
        "//api/concerts",
        "/api//concerts",
        "/api/concerts/1/2",
        "/API/concerts",
        "/api/concerts/../members/1",
        "/api%2Fconcerts",
        "/api/test/init",
        ("/api/reservations/request/" ID),
        "/admin",
        "/admin/dead-letters/x",
        "/admin/dead-letters//retry",
        "/livez/",
        "/problems",
        "/problems/",
        "/problems/no-such",
        "/a/b/c/d/e/f/g/h",
        "",
    };
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        fixture_send(METHOD_GET, paths[i], NULL);
        expect_problem(404, "not-found");
        fixture_send(METHOD_PATCH, paths[i], NULL);
        if (strcmp(paths[i], "/problems/no-such") == 0)
            expect_problem(405, "method-not-allowed");
        else
            expect_problem(404, "not-found");
    }
    assert_int_equal(fixture.taken, 0);
}

static void test_listeners_are_apart(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        bool on_api, on_admin;
    } rows[] = {
        {"/api/concerts", true, false}, {"/api/members/1", true, false},
        {"/livez", false, true},        {"/readyz", false, true},
        {"/metrics", false, true},      {"/admin/audit", false, true},
        {"/openapi.json", true, true},  {"/problems/sold-out", true, true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct call_request request = fixture_request(METHOD_OPTIONS, rows[i].path, NULL);
        request.listener = LISTENER_API;
        fixture_send_request(&request);
        assert_int_equal(fixture.call.answer.status, rows[i].on_api ? 204 : 404);
        request.listener = LISTENER_ADMIN;
        fixture_send_request(&request);
        assert_int_equal(fixture.call.answer.status, rows[i].on_admin ? 204 : 404);
    }
    /* The short way for the hottest path must not open it on the admin listener. */
    struct call_request request = fixture_request(METHOD_POST, "/api/reservations", BODY);
    request.listener = LISTENER_ADMIN;
    fixture_send_request(&request);
    expect_problem(404, "not-found");
}

static void test_methods(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        unsigned allow;
    } rows[] = {
        {"/api/reservations", BIT(POST)},
        {"/api/reservations/async", BIT(GET) | BIT(HEAD) | BIT(POST) | BIT(DELETE)},
        {"/api/reservations/" ID, BIT(GET) | BIT(HEAD) | BIT(DELETE)},
        {"/api/reservations/no-uuid", BIT(GET) | BIT(HEAD) | BIT(DELETE)},
        {"/api/concerts", BIT(GET) | BIT(HEAD)},
        {"/api/concerts/1", BIT(GET) | BIT(HEAD)},
        {"/api/members/1", BIT(GET) | BIT(HEAD)},
        {"/admin/concerts", BIT(POST)},
        {"/admin/concerts/1", BIT(PUT)},
        {"/admin/members", BIT(POST)},
        {"/admin/reset", BIT(POST)},
        {"/admin/audit", BIT(GET) | BIT(HEAD)},
        {"/admin/dead-letters", BIT(GET) | BIT(HEAD)},
        {"/admin/dead-letters/1/retry", BIT(POST)},
        {"/admin/concerts/1/reconcile", BIT(POST)},
        {"/livez", BIT(GET) | BIT(HEAD)},
        {"/readyz", BIT(GET) | BIT(HEAD)},
        {"/metrics", BIT(GET) | BIT(HEAD)},
        {"/openapi.json", BIT(GET) | BIT(HEAD)},
        {"/problems/sold-out", BIT(GET) | BIT(HEAD)},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        unsigned allow = rows[i].allow | BIT(OPTIONS);
        for (unsigned method = 0; method < METHOD_COUNT; method++) {
            if ((allow & (1u << method)) != 0 && method != METHOD_OPTIONS)
                continue;
            fixture_send((enum http_method)method, rows[i].path, NULL);
            if (method == METHOD_OPTIONS)
                expect_no_body(204);
            else
                expect_problem(405, "method-not-allowed");
            assert_int_equal(fixture.call.answer.allow, allow);
        }
    }
    assert_int_equal(fixture.taken, 0);
    fixture_send(METHOD_OPTIONS, "*", NULL);
    expect_no_body(204);
    assert_int_equal(fixture.call.answer.allow,
                     BIT(GET) | BIT(HEAD) | BIT(POST) | BIT(PUT) | BIT(DELETE) | BIT(OPTIONS));
    fixture_send(METHOD_GET, "*", NULL);
    expect_problem(404, "not-found");
}

static void test_percent_decoding(void **state)
{
    (void)state;
    fixture_send(METHOD_GET, "/api/%63oncerts/%31%32", NULL);
    assert_int_equal(fixture.op.concert_id, 12);
    fixture_complete(RESV_NOT_FOUND);
    fixture_send(METHOD_GET, "/api/concerts/1%2f2", NULL); /* a slash inside of the id */
    expect_problem(404, "not-found");
    fixture_send(METHOD_GET, "/api/concerts/1%00", NULL);
    expect_problem(404, "not-found");
    static const char *const bad[] = {"/api/concerts/%", "/api/concerts/%1", "/api/concerts/%g1",
                                      "/api/concerts/%1g", "/%"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        fixture_send(METHOD_GET, bad[i], NULL);
        expect_problem(400, "bad-request");
    }
}

static void test_long_path(void **state)
{
    (void)state;
    char *path = malloc(20000);
    assert_non_null(path);
    memset(path, 'a', 20000);
    path[0] = '/';
    static const size_t sizes[] = {8191, 8192, 8193, 19999};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct call_request request = fixture_request(METHOD_GET, "/", NULL);
        request.path = (struct text){path, sizes[i]};
        fixture_send_request(&request);
        expect_problem(404, "not-found");
    }
    free(path);
}

static void send_with_authorization(const char *target, const char *authorization)
{
    struct call_request request = fixture_request(METHOD_GET, target, NULL);
    if (authorization != NULL)
        request.authorization = (struct text){authorization, strlen(authorization)};
    fixture_send_request(&request);
}

static void test_keys(void **state)
{
    (void)state;
    static const char *const wrong[] = {NULL,
                                        "",
                                        "Bearer",
                                        "Bearer ",
                                        "Bearer x",
                                        "secret-1",
                                        "Basic secret-1",
                                        "Bearer secret-12",
                                        "Bearer secret-",
                                        "Bearersecret-1",
                                        "Bearer SECRET-1",
                                        "Bearer secret-1 "};
    fixture.context.api_keys = bearer_keys;
    fixture_restart();
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        send_with_authorization("/api/concerts", wrong[i]);
        expect_problem(401, "unauthorized");
    }
    /* Paths and methods are not told to strangers. */
    send_with_authorization("/api/nowhere", NULL);
    expect_problem(401, "unauthorized");
    fixture_send(METHOD_OPTIONS, "/api/concerts", NULL);
    expect_problem(401, "unauthorized");
    fixture_send(METHOD_POST, "/api/reservations", BODY);
    expect_problem(401, "unauthorized");
    send_with_authorization("/metrics", NULL);
    expect_problem(401, "unauthorized");
    assert_int_equal(fixture.taken, 0);
    static const char *const right[] = {"Bearer secret-1", "bearer secret-1", "BEARER  secret-1",
                                        "Bearer another key"};
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
        send_with_authorization("/api/concerts", right[i]);
        fixture_complete(RESV_UNAVAILABLE);
        expect_problem(503, "unavailable");
    }
    static const char *const open[] = {"/livez", "/readyz", "/openapi.json", "/problems/timeout"};
    for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++) {
        send_with_authorization(open[i], NULL);
        assert_int_equal(fixture.call.answer.status, 200);
    }
}

static void test_changed_keys(void **state)
{
    (void)state;
    static const char *const fresh[] = {"fresh", NULL};
    routes_set_api_keys(fixture.routes, fresh);
    send_with_authorization("/metrics", "Bearer secret-1");
    expect_problem(401, "unauthorized");
    send_with_authorization("/metrics", "Bearer fresh");
    expect_status(200, CONTENT_METRICS);
    static const char *const none[] = {"", NULL}; /* an empty key opens nothing */
    routes_set_api_keys(fixture.routes, none);
    send_with_authorization("/metrics", "Bearer ");
    expect_problem(401, "unauthorized");
}

static void test_media_types(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        bool good;
    } rows[] = {
        {"application/json", true},
        {"Application/JSON", true},
        {"application/json; charset=utf-8", true},
        {"application/json;charset=x", true},
        {"application/json \t; a=b", true},
        {"application/json ", true},
        {"", false},
        {"application/jso", false},
        {"application/jsonp", false},
        {"application/json5; charset=utf-8", false},
        {"application/problem+json", false},
        {"text/plain", false},
        {"text/json", false},
        {" application/json", false},
        {"application/json, text/plain", false},
    };
    static const struct {
        enum http_method method;
        const char *path;
    } targets[] = {{METHOD_POST, "/api/reservations"},
                   {METHOD_POST, "/admin/concerts"},
                   {METHOD_PUT, "/admin/concerts/1"},
                   {METHOD_POST, "/admin/members"}};
    for (size_t t = 0; t < sizeof(targets) / sizeof(targets[0]); t++) {
        struct call_request request = fixture_request(targets[t].method, targets[t].path, "");
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            request.content_type = (struct text){rows[i].type, strlen(rows[i].type)};
            fixture_send_request(&request);
            if (rows[i].good)
                expect_problem(400, "malformed-json");
            else
                expect_problem(415, "unsupported-media-type");
        }
        request.content_type = (struct text){NULL, 0};
        fixture_send_request(&request);
        expect_problem(415, "unsupported-media-type");
        request.content_type = TEXT("application/json");
        request.content_encoding = TEXT("gzip");
        fixture_send_request(&request);
        expect_problem(415, "unsupported-media-type");
        request.content_encoding = TEXT("");
        fixture_send_request(&request);
        expect_problem(415, "unsupported-media-type");
    }
}

static void test_repeated_header(void **state)
{
    (void)state;
    struct call_request request = fixture_request(METHOD_POST, "/api/reservations", BODY);
    request.header_repeated = true;
    fixture_send_request(&request);
    expect_problem(400, "repeated-header");
    assert_int_equal(fixture.taken, 0);
}

static bool refused_early(const struct call_request *request)
{
    fixture_send(METHOD_GET, "/livez", NULL); /* for a fresh call */
    fixture.answered = 0;
    cJSON_Delete(fixture.json);
    fixture.json = NULL;
    bool refused = routes_refuse_early(fixture.routes, &fixture.call, request);
    assert_int_equal(fixture.answered, refused ? 1 : 0);
    return refused;
}

static void test_early_refusal(void **state)
{
    (void)state;
    struct call_request request = fixture_request(METHOD_POST, "/api/reservations", BODY);
    request.body = (struct text){NULL, 0};
    assert_false(refused_early(&request));
    assert_int_equal(fixture.taken, 0);
    request.idempotency_key = TEXT("a b");
    assert_true(refused_early(&request));
    expect_problem(400, "invalid-idempotency-key");
    request.idempotency_key = (struct text){NULL, 0};
    request.content_encoding = TEXT("br");
    assert_true(refused_early(&request));
    expect_problem(415, "unsupported-media-type");
    request.method = METHOD_PUT;
    assert_true(refused_early(&request));
    expect_problem(405, "method-not-allowed");
    request.path = TEXT("/nowhere");
    assert_true(refused_early(&request));
    expect_problem(404, "not-found");
    request = fixture_request(METHOD_GET, "/livez", NULL);
    assert_false(refused_early(&request));
    request = fixture_request(METHOD_OPTIONS, "/livez", NULL);
    assert_false(refused_early(&request));
    routes_set_api_keys(fixture.routes, bearer_keys);
    request = fixture_request(METHOD_POST, "/api/reservations", BODY);
    assert_true(refused_early(&request));
    expect_problem(401, "unauthorized");
}

static void test_not_accepting(void **state)
{
    (void)state;
    static const struct {
        enum http_method method;
        const char *target;
        const char *body;
    } rows[] = {
        {METHOD_POST, "/api/reservations", BODY},
        {METHOD_GET, "/api/reservations/" ID, NULL},
        {METHOD_DELETE, "/api/reservations/" ID, NULL},
        {METHOD_GET, "/api/concerts", NULL},
        {METHOD_GET, "/api/concerts/1", NULL},
        {METHOD_GET, "/api/members/1", NULL},
        {METHOD_POST, "/admin/concerts", "[{\"title\":\"a\",\"capacity\":1}]"},
        {METHOD_PUT, "/admin/concerts/1", "{\"capacity\":1}"},
        {METHOD_POST, "/admin/members", "{\"name\":\"a\"}"},
        {METHOD_POST, "/admin/reset", "{\"concerts\":1,\"capacity\":1,\"members\":1}"},
        {METHOD_GET, "/admin/audit", NULL},
        {METHOD_POST, "/api/test/init", NULL},
        {METHOD_GET, ("/api/reservations/request/" ID), NULL},
    };
    fixture.context.study_api = true;
    fixture.context.allow_reset = true;
    fixture_restart();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fixture.accepting = false; /* starting, draining */
        fixture_send(rows[i].method, rows[i].target, rows[i].body);
        expect_problem(503, "unavailable");
        fixture.accepting = true;
        fixture.pool_empty = true; /* as many under way as there may be */
        fixture_send(rows[i].method, rows[i].target, rows[i].body);
        expect_problem(503, "unavailable");
        fixture.pool_empty = false;
    }
    assert_int_equal(fixture.taken, 0);
    fixture.accepting = false;
    fixture_send(METHOD_GET, "/livez", NULL);
    expect_status(200, CONTENT_JSON);
}

static void test_health(void **state)
{
    (void)state;
    fixture_send(METHOD_GET, "/livez", NULL);
    expect_status(200, CONTENT_JSON);
    fixture_send(METHOD_GET, "/readyz", NULL);
    expect_status(200, CONTENT_JSON);
    expect_body("{\"status\":\"ready\"}");
    fixture_send(METHOD_HEAD, "/readyz?verbose", NULL);
    expect_status(200, CONTENT_JSON);
    expect_body("{\"status\":\"ready\",\"components\":["
                "{\"name\":\"sqlite\",\"state\":\"up\",\"latencyUs\":412,\"detail\":null},"
                "{\"name\":\"redis-1\",\"state\":\"down\",\"latencyUs\":null,"
                "\"detail\":\"says \\\"no\\\"\"},"
                "{\"name\":\"lock-1\",\"state\":\"missed\",\"latencyUs\":null,\"detail\":null}]}");
    fixture.ready = false;
    fixture.not_ready_reason = "redis-1 is \"down\"";
    fixture_send(METHOD_GET, "/readyz", NULL);
    expect_problem(503, "unavailable");
    assert_string_equal(json_text("detail"), "redis-1 is \"down\"");
    fixture_send(METHOD_GET, "/readyz?verbose=1", NULL);
    expect_problem(503, "unavailable");
    const cJSON *listed = cJSON_GetObjectItemCaseSensitive(fixture.json, "components");
    assert_int_equal(cJSON_GetArraySize(listed), 3);
    fixture.not_ready_reason = NULL;
    fixture_send(METHOD_GET, "/readyz", NULL);
    expect_problem(503, "unavailable");
    fixture_send(METHOD_GET, "/livez", NULL);
    expect_status(200, CONTENT_JSON);
}

static void test_documents(void **state)
{
    (void)state;
    for (enum problem problem = 0; problem < PROBLEM_COUNT; problem++) {
        char target[128] = "/problems/";
        strcat(target, problems[problem].slug.data);
        fixture_send(METHOD_GET, target, NULL);
        expect_status(200, CONTENT_TEXT);
        assert_int_equal(fixture.call.answer.body_size, problems[problem].page.size);
        cJSON *body = cJSON_Parse(problems[problem].body.data);
        assert_int_equal(cJSON_GetObjectItemCaseSensitive(body, "status")->valueint,
                         problems[problem].status);
        cJSON_Delete(body);
        assert_int_equal(problem_find(problems[problem].slug), problem); /* none twice */
    }
    fixture_send(METHOD_GET, "/openapi.json", NULL);
    expect_status(200, CONTENT_OPENAPI);
    assert_string_equal(json_text("openapi"), "3.1.0");
}

static void test_every_outcome_has_an_answer(void **state)
{
    (void)state;
    for (size_t i = 0; i < RESV_OUTCOME_COUNT; i++) {
        assert_in_range(outcome_answers[i].status, 200, 599);
        assert_true((outcome_answers[i].status < 300) ==
                    (outcome_answers[i].problem == PROBLEM_COUNT));
        if (outcome_answers[i].problem < PROBLEM_COUNT)
            assert_int_equal(outcome_answers[i].status,
                             problems[outcome_answers[i].problem].status);
    }
}

static void remember_answered(struct call *call)
{
    assert_ptr_equal(call, &fixture.call);
    fixture.answered++;
}

/* As the HTTP layer does it: with a call that no route has ever seen. */
static void test_http_problems(void **state)
{
    (void)state;
    fixture_send(METHOD_GET, "/livez", NULL);
    memset(&fixture.call, 0xa5, sizeof(fixture.call));
    fixture.call.answered = remember_answered;
    fixture.answered = 0;
    routes_answer_problem(&fixture.call, "request-timeout", NULL);
    expect_status(408, CONTENT_PROBLEM);
    fixture.answered = 0;
    routes_answer_problem(&fixture.call, "too-many-connections", NULL);
    expect_status(503, CONTENT_PROBLEM);
    assert_true(fixture.call.answer.retry_after_s > 0);
    fixture.answered = 0;
    routes_answer_problem(&fixture.call, "bad-request", "a \"quoted\" detail");
    expect_status(400, CONTENT_PROBLEM);
    expect_body("{\"type\":\"/problems/bad-request\",\"title\":\"Bad request\",\"status\":400,"
                "\"detail\":\"a \\\"quoted\\\" detail\"}");
    fixture_send(METHOD_GET, "/metrics", NULL);
    expect_status(200, CONTENT_METRICS);
    assert_non_null(
        strstr(fixture.call.answer.body,
               "resvd_http_requests_total{method=\"any\",route=\"none\",status=\"408\"} 1\n"));
    assert_non_null(
        strstr(fixture.call.answer.body,
               "resvd_http_requests_total{method=\"GET\",route=\"/livez\",status=\"200\"} 1\n"));
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(test_paths_that_are_not_there),
        ROW(test_listeners_are_apart),
        ROW(test_methods),
        ROW(test_percent_decoding),
        ROW(test_long_path),
        ROW(test_keys),
        ROW(test_changed_keys),
        ROW(test_media_types),
        ROW(test_repeated_header),
        ROW(test_early_refusal),
        ROW(test_not_accepting),
        ROW(test_health),
        ROW(test_documents),
        ROW(test_every_outcome_has_an_answer),
        ROW(test_http_problems),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
