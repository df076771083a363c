/* Bodies of POST and PUT: what is no JSON, and every field that can be wrong, all at once. */
#include "routes_fixture.h"

#include <stdio.h>

#define RESERVE "/api/reservations"

static void test_not_json(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "",
        " ",
        "{",
        "{}x",
        "{}{}",
        "{\"concertId\":1,}",
        "{'concertId':1}",
        "{\"concertId\":01}",
        "{\"concertId\":+1}",
        "{\"concertId\":1.}",
        "{\"concertId\":.5}",
        "{\"concertId\":NaN}",
        "{\"concertId\":1,\"concertId\":1}",
        "{\"concertId\":1,\"concert\\u0049d\":1}",
        "\xef\xbb\xbf{}",
        "{\"a\":\"\x01\"}",
        "{\"a\":\"\xff\"}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\\x\"}",
        "nul",
        "\"a",
        "[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]",
    };
    static const char *const targets[] = {RESERVE, "/admin/concerts", "/admin/members"};
    for (size_t t = 0; t < sizeof(targets) / sizeof(targets[0]); t++) {
        for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
            fixture_send(METHOD_POST, targets[t], bodies[i]);
            expect_problem(400, "malformed-json");
        }
    }
    fixture_send(METHOD_PUT, "/admin/concerts/1", "{");
    expect_problem(400, "malformed-json");
    assert_int_equal(fixture.taken, 0);
}

static void test_reserve_fields(void **state)
{
    (void)state;
    static const struct {
        const char *body, *fields;
    } rows[] = {
        {"[]", "body"},
        {"[{\"concertId\":1,\"memberId\":7}]", "body"},
        {"null", "body"},
        {"1", "body"},
        {"\"x\"", "body"},
        {"true", "body"},
        {"{}", "concertId memberId"},
        {"{\"memberId\":7}", "concertId"},
        {"{\"concertId\":1}", "memberId"},
        {"{\"concertId\":null,\"memberId\":7}", "concertId"},
        {"{\"concertId\":\"1\",\"memberId\":7}", "concertId"},
        {"{\"concertId\":true,\"memberId\":7}", "concertId"},
        {"{\"concertId\":[1],\"memberId\":7}", "concertId"},
        {"{\"concertId\":{\"concertId\":1},\"memberId\":7}", "concertId"},
        {"{\"concertId\":0,\"memberId\":7}", "concertId"},
        {"{\"concertId\":-0,\"memberId\":7}", "concertId"},
        {"{\"concertId\":-1,\"memberId\":7}", "concertId"},
        {"{\"concertId\":1.0,\"memberId\":7}", "concertId"},
        {"{\"concertId\":1.5,\"memberId\":7}", "concertId"},
        {"{\"concertId\":1e-1,\"memberId\":7}", "concertId"},
        {"{\"concertId\":9007199254740992,\"memberId\":7}", "concertId"},
        {"{\"concertId\":-9007199254740993,\"memberId\":7}", "concertId"},
        {"{\"concertId\":18446744073709551617,\"memberId\":7}", "concertId"},
        {"{\"concertId\":1e400,\"memberId\":7}", "concertId"},
        {"{\"concertId\":1,\"memberId\":7,\"quantity\":null}", "quantity"},
        {"{\"concertId\":1,\"memberId\":7,\"quantity\":0}", "quantity"},
        {"{\"concertId\":1,\"memberId\":7,\"id\":1}", "id"},
        {"{\"concertId\":1,\"memberId\":7,\"ConcertId\":1}", "ConcertId"},
        {"{\"concertId\":1,\"memberId\":7,\"\":1}", ""},
        {"{\"a\":{\"concertId\":1},\"concertId\":0,\"memberId\":[[]],\"quantity\":\"2\",\"z\":[]}",
         "a concertId memberId quantity z"},
        {"{\"quantity\":-1}", "quantity concertId memberId"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fixture_send(METHOD_POST, RESERVE, rows[i].body);
        expect_fields(rows[i].fields);
    }
    assert_int_equal(fixture.taken, 0);
}

static void test_reserve_fields_that_are_good(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        int64_t concert_id;
    } rows[] = {
        {" {\"memberId\":7,\r\n\t\"concertId\":12} ", 12},
        {"{\"concertId\":1.2e1,\"memberId\":7}", 12},
        {"{\"concertId\":1E2,\"memberId\":7}", 100},
        {"{\"concert\\u0049d\":3,\"memberId\":7}", 3},
        {"{\"concertId\":9007199254740991,\"memberId\":7}", RESV_INTEGER_MAX},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fixture_send(METHOD_POST, RESERVE, rows[i].body);
        assert_int_equal(fixture.call.op != NULL, 1);
        assert_int_equal(fixture.op.concert_id, rows[i].concert_id);
        assert_int_equal(fixture.op.member_id, 7);
        fixture_complete(RESV_SOLD_OUT);
    }
}

/* Names of unknown fields are shown as they are, but not without end, and never cut in two. */
static void test_long_names(void **state)
{
    (void)state;
    char body[1024];
    char name[600];
    for (size_t size = 120; size < 300; size++) {
        size_t used = 0;
        if (size % 2 == 1) /* so that the cut would go through the middle of a character */
            name[used++] = 'x';
        while (used < size) { /* two bytes a character */
            name[used++] = '\xc3';
            name[used++] = '\xa9';
        }
        name[used] = '\0';
        snprintf(body, sizeof(body), "{\"concertId\":1,\"memberId\":7,\"%s\":1}", name);
        fixture_send(METHOD_POST, RESERVE, body);
        expect_problem(422, "invalid-fields");
        const cJSON *errors = cJSON_GetObjectItemCaseSensitive(fixture.json, "errors");
        assert_int_equal(cJSON_GetArraySize(errors), 1);
        const char *shown = cJSON_GetObjectItemCaseSensitive(errors->child, "field")->valuestring;
        assert_int_equal(strlen(shown), used <= 128 ? used : 128 - size % 2);
        assert_memory_equal(shown, name, strlen(shown));
    }
}

static void test_very_many_errors(void **state)
{
    (void)state;
    char *body = malloc(16385);
    assert_non_null(body);
    size_t used = 0;
    body[used++] = '[';
    while (used + 4 < 16384) {
        memcpy(body + used, "{},", 3);
        used += 3;
    }
    memcpy(body + used - 1, "]", 2);
    fixture_send(METHOD_POST, "/admin/concerts", body);
    expect_problem(422, "invalid-fields");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(fixture.json, "errors")),
                     100);
    assert_non_null(strstr(json_text("detail"), "first 100"));
    /* As many values as a body can hold at all. */
    used = 0;
    body[used++] = '[';
    while (used + 2 < 16384) {
        body[used++] = '0';
        body[used++] = ',';
    }
    memcpy(body + used - 1, "]", 2);
    fixture_send(METHOD_POST, RESERVE, body);
    expect_fields("body");
    free(body);
}

static void test_concert_fields(void **state)
{
    (void)state;
    static const struct {
        const char *body, *fields;
    } rows[] = {
        {"{}", "title capacity"},
        {"[]", "body"},
        {"7", "body"},
        {"[7]", "[0]"},
        {"[{\"title\":\"a\",\"capacity\":1},[],{\"title\":\"a\",\"capacity\":0,\"x\":1}]",
         "[1] [2].capacity [2].x"},
        {"[{\"capacity\":1},{\"title\":\"a\"}]", "[0].title [1].capacity"},
        {"{\"title\":\"\",\"capacity\":1}", "title"},
        {"{\"title\":null,\"capacity\":1}", "title"},
        {"{\"title\":7,\"capacity\":1}", "title"},
        {"{\"title\":\"a\\u0000b\",\"capacity\":1}", "title"},
        {"{\"title\":\"a\\nb\",\"capacity\":1}", "title"},
        {"{\"title\":\"a\\u007fb\",\"capacity\":1}", "title"},
        {"{\"title\":\"a\\u0085b\",\"capacity\":1}", "title"},
        {"{\"title\":\"a\",\"capacity\":null}", "capacity"},
        {"{\"title\":\"a\",\"capacity\":0}", "capacity"},
        {"{\"title\":\"a\",\"capacity\":9007199254740992}", "capacity"},
        {"{\"title\":\"a\",\"capacity\":1,\"venue\":\"\"}", "venue"},
        {"{\"title\":\"a\",\"capacity\":1,\"venue\":1}", "venue"},
        {"{\"title\":\"a\",\"capacity\":1,\"memberLimit\":0}", "memberLimit"},
        {"{\"title\":\"a\",\"capacity\":1,\"startsAt\":0}", "startsAt"},
        {"{\"title\":\"a\",\"capacity\":1,\"startsAt\":\"2026-11-22\"}", "startsAt"},
        {"{\"title\":\"a\",\"capacity\":1,\"startsAt\":\"2026-02-29T00:00:00Z\"}", "startsAt"},
        {"{\"title\":\"a\",\"capacity\":1,\"startsAt\":\"2026-11-22T19:30:00\"}", "startsAt"},
        {"{\"title\":\"a\",\"capacity\":1,\"sold\":1,\"id\":1}", "sold id"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fixture_send(METHOD_POST, "/admin/concerts", rows[i].body);
        expect_fields(rows[i].fields);
    }
    assert_int_equal(fixture.taken, 0);
}

static void test_update_fields(void **state)
{
    (void)state;
    static const struct {
        const char *body, *fields;
    } rows[] = {
        {"{}", "body"},
        {"[]", "body"},
        {"[{\"capacity\":1}]", "body"},
        {"{\"capacity\":0,\"title\":null,\"x\":1}", "capacity title x"},
        {"{\"startsAt\":\"soon\"}", "startsAt"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fixture_send(METHOD_PUT, "/admin/concerts/1", rows[i].body);
        expect_fields(rows[i].fields);
    }
    assert_int_equal(fixture.taken, 0);
}

/* 200 bytes are the most, whatever they are written as. */
static void test_text_sizes(void **state)
{
    (void)state;
    char body[2048];
    for (int size = 198; size <= 202; size++) {
        char plain[256] = "";
        char escaped[1600] = "";
        memset(plain, 'a', (size_t)size);
        for (int i = 0; i < size; i++)
            strcat(escaped, "\\u0061");
        const char *const names[] = {plain, escaped};
        for (size_t i = 0; i < 2; i++) {
            snprintf(body, sizeof(body), "{\"name\":\"%s\"}", names[i]);
            fixture_send(METHOD_POST, "/admin/members", body);
            if (size > RESV_TEXT_BYTES_MAX) {
                expect_fields("name");
                continue;
            }
            assert_string_equal(fixture.op.catalog->members[0].name, plain);
            fixture_complete(RESV_UNAVAILABLE);
        }
    }
}

static void test_member_fields(void **state)
{
    (void)state;
    static const struct {
        const char *body, *fields;
    } rows[] = {
        {"{}", "name"},
        {"[]", "body"},
        {"[{\"name\":\"a\"},{\"name\":\"\"},{},\"x\"]", "[1].name [2].name [3]"},
        {"{\"name\":null}", "name"},
        {"{\"name\":\"a\",\"id\":7}", "id"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fixture_send(METHOD_POST, "/admin/members", rows[i].body);
        expect_fields(rows[i].fields);
    }
    assert_int_equal(fixture.taken, 0);
}

static void test_reset_fields(void **state)
{
    (void)state;
    static const struct {
        const char *body, *fields;
    } rows[] = {
        {"{}", "concerts capacity members"},
        {"[]", "body"},
        {"{\"concerts\":10001,\"capacity\":9007199254740992,\"members\":1000001}",
         "concerts capacity members"},
        {"{\"concerts\":0,\"capacity\":0,\"members\":0}", "concerts capacity members"},
        {"{\"concerts\":1,\"capacity\":1,\"members\":1,\"x\":1}", "x"},
    };
    fixture.context.allow_reset = true;
    fixture_restart();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fixture_send(METHOD_POST, "/admin/reset", rows[i].body);
        expect_fields(rows[i].fields);
    }
    assert_int_equal(fixture.taken, 0);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(test_not_json),      ROW(test_reserve_fields),   ROW(test_reserve_fields_that_are_good),
        ROW(test_long_names),    ROW(test_very_many_errors), ROW(test_concert_fields),
        ROW(test_update_fields), ROW(test_text_sizes),       ROW(test_member_fields),
        ROW(test_reset_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
