/* Reservations over the routes: every outcome of every operation, keys, clients that go, the
 * study's forms, and what is counted. */
#include "routes_fixture.h"

#include <stdio.h>

#include "uuid.h"

#define ID   "0193531f-7c3a-7c51-a1f0-1f2f3c4d5e6f"
#define BODY "{\"concertId\":1,\"memberId\":7,\"quantity\":2}"

static void reserve_with_key(const char *body, const char *key)
{
    struct call_request request = fixture_request(METHOD_POST, "/api/reservations", body);
    if (key != NULL)
        request.idempotency_key = (struct text){key, strlen(key)};
    fixture_send_request(&request);
}

/* As a strategy does before it completes. */
static void fill_reservation(enum resv_status status)
{
    fixture.op.reservation =
        (struct resv_reservation){.concert_id = 1, .member_id = 7, .quantity = 2, .status = status};
}

static void expect_location(void)
{
    assert_true(fixture.call.answer.has_location);
    assert_memory_equal(&fixture.call.answer.location, &fixture.op.id, sizeof(struct resv_id));
}

static void expect_id_in_body(void)
{
    char id[UUID_TEXT_BYTES + 1] = "";
    uuid_format(&fixture.op.id, id);
    assert_string_equal(json_text("id"), id);
}

static void test_granted(void **state)
{
    (void)state;
    fixture_send(METHOD_POST, "/api/reservations", BODY);
    assert_int_equal(fixture.submitted, 1);
    assert_int_equal(fixture.op.kind, RESV_OP_RESERVE);
    assert_false(fixture.op.keyed);
    assert_int_equal(fixture.op.concert_id, 1);
    assert_int_equal(fixture.op.member_id, 7);
    assert_int_equal(fixture.op.quantity, 2);
    fill_reservation(RESV_STATUS_CONFIRMED);
    fixture_complete(RESV_GRANTED);
    expect_status(201, CONTENT_JSON);
    expect_location();
    expect_id_in_body();
    assert_false(fixture.call.answer.replay);
    assert_null(fixture.call.answer.heap);
    char id[UUID_TEXT_BYTES + 1] = "";
    char body[256];
    uuid_format(&fixture.op.id, id);
    snprintf(body, sizeof(body),
             "{\"id\":\"%s\",\"concertId\":1,\"memberId\":7,\"quantity\":2,"
             "\"status\":\"CONFIRMED\"}",
             id);
    expect_body(body);
}

static void test_largest_numbers(void **state)
{
    (void)state;
    fixture_send(METHOD_POST, "/api/reservations",
                 "{\"concertId\":9007199254740991,\"memberId\":9007199254740991,"
                 "\"quantity\":9007199254740991}");
    fixture.op.reservation = (struct resv_reservation){.concert_id = RESV_INTEGER_MAX,
                                                       .member_id = RESV_INTEGER_MAX,
                                                       .quantity = RESV_INTEGER_MAX,
                                                       .status = RESV_STATUS_CONFIRMED};
    fixture_complete(RESV_GRANTED);
    expect_status(201, CONTENT_JSON);
    assert_true(json_number("quantity") == 9007199254740991.0);
}

static void test_quantity_is_one_by_default(void **state)
{
    (void)state;
    fixture_send(METHOD_POST, "/api/reservations", "{\"concertId\":1,\"memberId\":7}");
    assert_int_equal(fixture.op.quantity, 1);
    fixture_complete(RESV_SOLD_OUT);
}

static void test_reserve_outcomes(void **state)
{
    (void)state;
    static const struct {
        enum resv_outcome outcome;
        unsigned status;
        const char *slug;
    } rows[] = {
        {RESV_SOLD_OUT, 409, "sold-out"},
        {RESV_LIMIT, 409, "member-limit"},
        {RESV_CONTENDED, 409, "contended"},
        {RESV_CANCELLED, 504, "timeout"},
        {RESV_UNAVAILABLE, 503, "unavailable"},
        {RESV_UNKNOWN, 500, "unknown-outcome"},
        {RESV_UNKNOWN_CONCERT, 404, "unknown-concert"},
        {RESV_UNKNOWN_MEMBER, 404, "unknown-member"},
        {RESV_KEY_REUSED, 422, "key-reused"},
        {RESV_NOT_FOUND, 404, "not-found"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fixture_send(METHOD_POST, "/api/reservations", BODY);
        fixture_complete(rows[i].outcome);
        expect_problem(rows[i].status, rows[i].slug);
        assert_false(fixture.call.answer.replay);
        if (rows[i].outcome == RESV_UNKNOWN)
            expect_location();
        else
            assert_false(fixture.call.answer.has_location);
        if (rows[i].outcome == RESV_UNKNOWN || rows[i].outcome == RESV_KEY_REUSED)
            expect_id_in_body();
        else
            assert_null(cJSON_GetObjectItemCaseSensitive(fixture.json, "id"));
        assert_null(cJSON_GetObjectItemCaseSensitive(fixture.json, "message"));
    }
    fixture_send(METHOD_POST, "/api/reservations", BODY);
    fill_reservation(RESV_STATUS_PENDING);
    fixture_complete(RESV_ACCEPTED);
    expect_status(202, CONTENT_JSON);
    expect_location();
    assert_string_equal(json_text("status"), "PENDING");
}

static void test_replay(void **state)
{
    (void)state;
    static const struct {
        enum resv_outcome outcome;
        enum resv_status reservation;
        unsigned status;
        const char *name;
    } rows[] = {
        {RESV_GRANTED, RESV_STATUS_CONFIRMED, 201, "CONFIRMED"},
        {RESV_GRANTED, RESV_STATUS_CANCELLED, 201, "CANCELLED"},
        {RESV_ACCEPTED, RESV_STATUS_REJECTED, 202, "REJECTED"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        reserve_with_key(BODY, "k");
        assert_true(fixture.op.keyed);
        fill_reservation(rows[i].reservation);
        fixture.op.reservation.replay = true;
        fixture_complete(rows[i].outcome);
        expect_status(rows[i].status, CONTENT_JSON);
        expect_location();
        assert_true(fixture.call.answer.replay);
        assert_string_equal(json_text("status"), rows[i].name);
    }
}

static void test_ids(void **state)
{
    (void)state;
    struct resv_id last = {{0}};
    for (int i = 0; i < 1000; i++) { /* over several helpings of random bytes */
        fixture_send(METHOD_POST, "/api/reservations", BODY);
        assert_int_equal(fixture.op.id.bytes[6] >> 4, 7);
        assert_true(memcmp(last.bytes, fixture.op.id.bytes, RESV_ID_SIZE) < 0);
        assert_memory_not_equal(last.bytes + 8, fixture.op.id.bytes + 8, 8); /* chance, each time */
        last = fixture.op.id;
        fixture_complete(RESV_SOLD_OUT);
    }
    assert_in_range(fixture.random_calls, 1, 20);
    struct resv_id expected;
    uuid_v5_of_key(7, TEXT("key-1"), &expected);
    reserve_with_key(BODY, "key-1");
    assert_memory_equal(&fixture.op.id, &expected, sizeof(expected));
    fixture_complete(RESV_SOLD_OUT);
    /* The same key of another member is another reservation. */
    reserve_with_key("{\"concertId\":1,\"memberId\":8}", "key-1");
    assert_memory_not_equal(&fixture.op.id, &expected, sizeof(expected));
    fixture_complete(RESV_SOLD_OUT);
}

static void test_key_in_progress(void **state)
{
    (void)state;
    fixture.keyed_under_way = true;
    reserve_with_key(BODY, "k");
    expect_problem(409, "in-progress");
    assert_int_equal(fixture.taken, 0);
    struct resv_id id;
    char text[UUID_TEXT_BYTES + 1] = "";
    uuid_v5_of_key(7, TEXT("k"), &id);
    uuid_format(&id, text);
    assert_string_equal(json_text("id"), text);
    reserve_with_key(BODY, NULL);
    assert_int_equal(fixture.submitted, 1);
    fixture_complete(RESV_SOLD_OUT);
}

static void test_key_syntax(void **state)
{
    (void)state;
    char longest[257];
    memset(longest, '~', sizeof(longest));
    longest[255] = '\0';
    const char *const good[] = {"!", "~", "8e03978e-40d5-43e8-bc93-6894a57f9324", "\"quoted\"",
                                longest};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        reserve_with_key(BODY, good[i]);
        fixture_complete(RESV_SOLD_OUT);
        expect_problem(409, "sold-out");
    }
    fixture.submitted = 0;
    longest[255] = '~';
    longest[256] = '\0';
    const char *const bad[] = {"", " ", "a b", "\t", "a\x7f", "\x80", "\xc3\xa9", longest};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        reserve_with_key(BODY, bad[i]);
        expect_problem(400, "invalid-idempotency-key");
    }
    assert_int_equal(fixture.submitted, 0);
}

static void test_lookup(void **state)
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
        {RESV_UNKNOWN, 503, "unavailable"}, /* a lookup changes nothing */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fixture_send(METHOD_GET, "/api/reservations/" ID, NULL);
        assert_int_equal(fixture.op.kind, RESV_OP_LOOKUP);
        fixture_complete(rows[i].outcome);
        expect_problem(rows[i].status, rows[i].slug);
        assert_false(fixture.call.answer.has_location);
    }
    static const char *const names[RESV_STATUS_COUNT] = {"PENDING",   "HELD",    "CONFIRMED",
                                                         "CANCELLED", "EXPIRED", "REJECTED"};
    for (enum resv_status status = 0; status < RESV_STATUS_COUNT; status++) {
        fixture_send(METHOD_HEAD, "/api/reservations/0193531F-7C3A-7C51-A1F0-1F2F3C4D5E6F", NULL);
        fill_reservation(status);
        fixture_complete(RESV_FOUND);
        expect_status(200, CONTENT_JSON);
        assert_string_equal(json_text("id"), ID);
        assert_string_equal(json_text("status"), names[status]);
        assert_false(fixture.call.answer.has_location);
    }
}

static void test_release(void **state)
{
    (void)state;
    static const struct {
        enum resv_outcome outcome;
        unsigned status;
        const char *slug;
    } rows[] = {
        {RESV_NOT_FOUND, 404, "not-found"},     {RESV_CANCELLED, 504, "timeout"},
        {RESV_UNAVAILABLE, 503, "unavailable"}, {RESV_CONTENDED, 409, "contended"},
        {RESV_UNKNOWN, 500, "unknown-outcome"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fixture_send(METHOD_DELETE, "/api/reservations/" ID, NULL);
        assert_int_equal(fixture.op.kind, RESV_OP_RELEASE);
        fixture_complete(rows[i].outcome);
        expect_problem(rows[i].status, rows[i].slug);
        assert_true(fixture.call.answer.has_location == (rows[i].outcome == RESV_UNKNOWN));
    }
    fixture_send(METHOD_DELETE, "/api/reservations/" ID, NULL);
    fixture_complete(RESV_RELEASED);
    expect_no_body(204);
    fixture_send(METHOD_DELETE, "/api/reservations/" ID, NULL);
    fixture_complete(RESV_RELEASE_ACCEPTED);
    expect_status(202, CONTENT_JSON);
    expect_body("{\"id\":\"" ID "\"}");
    expect_location();
}

static void test_ids_that_are_none(void **state)
{
    (void)state;
    static const char *const ids[] = {"1",        "x",    "0193531f7c3a7c51a1f01f2f3c4d5e6f",
                                      "{" ID "}", ID "0", "0193531f-7c3a-7c51-a1f0-1f2f3c4d5e6g"};
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        char target[128] = "/api/reservations/";
        strcat(target, ids[i]);
        fixture_send(METHOD_GET, target, NULL);
        expect_problem(404, "not-found");
        fixture_send(METHOD_DELETE, target, NULL);
        expect_problem(404, "not-found");
    }
    assert_int_equal(fixture.taken, 0);
}

static void test_client_gone(void **state)
{
    (void)state;
    fixture_send(METHOD_POST, "/api/reservations", BODY);
    routes_client_gone(fixture.routes, &fixture.call);
    assert_int_equal(fixture.clients_gone, 1);
    assert_null(fixture.call.op);
    fill_reservation(RESV_STATUS_CONFIRMED);
    fixture_complete(RESV_GRANTED);
    assert_int_equal(fixture.answered, 0);
    routes_client_gone(fixture.routes, &fixture.call); /* with nothing under way */
    assert_int_equal(fixture.clients_gone, 1);
    /* Its seat is sold all the same, and so is counted. */
    fixture_send(METHOD_GET, "/metrics", NULL);
    assert_non_null(
        strstr(fixture.call.answer.body,
               "resvd_reservations_total{strategy=\"scripted\",outcome=\"granted\"} 1\n"));
}

/* Nobody waits any longer than deadline and grace: UNKNOWN is told while it is still SUBMITTED. */
static void test_told_before_the_end(void **state)
{
    (void)state;
    fixture_send(METHOD_POST, "/api/reservations", BODY);
    fixture.op.outcome = RESV_UNKNOWN;
    fixture.op.done(&fixture.op);
    expect_problem(500, "unknown-outcome");
    expect_location();
}

static void test_async_path(void **state)
{
    (void)state;
    fixture_send(METHOD_POST, "/api/reservations/async", BODY);
    expect_problem(404, "async-only");
    assert_non_null(strstr(json_text("detail"), "async"));
    assert_int_equal(fixture.taken, 0);
    fixture.strategy.asynchronous = true;
    fixture_send(METHOD_POST, "/api/reservations/async", BODY);
    fill_reservation(RESV_STATUS_PENDING);
    fixture_complete(RESV_ACCEPTED);
    expect_status(202, CONTENT_JSON);
    expect_location();
    assert_null(cJSON_GetObjectItemCaseSensitive(fixture.json, "requestId"));
}

static void test_study_forms(void **state)
{
    (void)state;
    fixture.context.study_api = true;
    fixture.strategy.asynchronous = true;
    fixture_restart();
    fixture_send(METHOD_POST, "/api/reservations/async", BODY);
    fill_reservation(RESV_STATUS_PENDING);
    fixture_complete(RESV_ACCEPTED);
    expect_status(202, CONTENT_JSON);
    expect_id_in_body();
    assert_string_equal(json_text("requestId"), json_text("id"));
    fixture_send(METHOD_POST, "/api/reservations", BODY);
    fill_reservation(RESV_STATUS_PENDING);
    fixture_complete(RESV_ACCEPTED);
    assert_null(cJSON_GetObjectItemCaseSensitive(fixture.json, "requestId"));
    fixture_send(METHOD_GET, "/api/reservations/request/" ID, NULL);
    fill_reservation(RESV_STATUS_CONFIRMED);
    fixture_complete(RESV_FOUND);
    expect_status(200, CONTENT_JSON);
    expect_body("{\"requestId\":\"" ID "\",\"reservationId\":\"" ID
                "\",\"concertId\":1,\"memberId\":7,\"status\":\"CONFIRMED\"}");
    fixture_send(METHOD_GET, "/api/reservations/request/" ID, NULL);
    fixture_complete(RESV_NOT_FOUND);
    expect_problem(404, "not-found");
    assert_string_equal(json_text("error"), "not-found");
    assert_string_equal(json_text("message"), json_text("detail"));
    fixture_send(METHOD_GET, "/api/reservations/request/none", NULL);
    expect_problem(404, "not-found");
    fixture_send(METHOD_POST, "/api/reservations", BODY);
    fixture_complete(RESV_SOLD_OUT);
    expect_problem(409, "sold-out");
    assert_string_equal(json_text("error"), "sold-out");
    assert_string_equal(json_text("message"), json_text("detail"));
}

static void test_what_is_counted(void **state)
{
    (void)state;
    static const enum resv_outcome outcomes[] = {RESV_GRANTED, RESV_GRANTED, RESV_SOLD_OUT,
                                                 RESV_SOLD_OUT, RESV_SOLD_OUT};
    for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++) {
        fixture_send(METHOD_POST, "/api/reservations", BODY);
        fill_reservation(RESV_STATUS_CONFIRMED);
        fixture_complete(outcomes[i]);
    }
    reserve_with_key(BODY, "k");
    fill_reservation(RESV_STATUS_CONFIRMED);
    fixture.op.reservation.replay = true;
    fixture_complete(RESV_GRANTED);
    fixture_send(METHOD_GET, "/metrics", NULL);
    static const char *const lines[] = {
        "resvd_reservations_total{strategy=\"scripted\",outcome=\"granted\"} 2\n",
        "resvd_reservations_total{strategy=\"scripted\",outcome=\"replayed\"} 1\n",
        "resvd_reservations_total{strategy=\"scripted\",outcome=\"sold_out\"} 3\n",
        "resvd_http_requests_total{method=\"POST\",route=\"/api/reservations\",status=\"201\"} "
        "3\n",
        "resvd_http_requests_total{method=\"POST\",route=\"/api/reservations\",status=\"409\"} "
        "3\n",
        "resvd_http_request_duration_seconds_bucket{method=\"POST\",route=\"/api/"
        "reservations\",le=\"5e-05\"} 6\n",
        "resvd_http_request_duration_seconds_count{method=\"POST\",route=\"/api/"
        "reservations\"} 6\n",
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        if (strstr(fixture.call.answer.body, lines[i]) == NULL)
            fail_msg("no %s in\n%s", lines[i], fixture.call.answer.body);
    }
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(test_granted),
        ROW(test_largest_numbers),
        ROW(test_quantity_is_one_by_default),
        ROW(test_reserve_outcomes),
        ROW(test_replay),
        ROW(test_ids),
        ROW(test_key_in_progress),
        ROW(test_key_syntax),
        ROW(test_lookup),
        ROW(test_release),
        ROW(test_ids_that_are_none),
        ROW(test_client_gone),
        ROW(test_told_before_the_end),
        ROW(test_async_path),
        ROW(test_study_forms),
        ROW(test_what_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
