/* Rendering heads: every status that can be answered, every field, and what HEAD, 204 and HTTP/1.0
 * make of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/render.h"
#include "routes/outcomes.h"
#include "routes/problems.h"

#define DATE "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"

static struct exchange exchange;

static void start(uint16_t status)
{
    memset(&exchange, 0, sizeof(exchange));
    exchange.call.answer.status = status;
}

static char *render(void)
{
    struct render_clock clock = {0};
    render_clock_update(&clock, 784111777999);
    char *head = malloc(RENDER_HEAD_BYTES_MAX + 1);
    assert_non_null(head);
    size_t size = render_head(&exchange, &clock, head);
    assert_true(size <= RENDER_HEAD_BYTES_MAX);
    head[size] = '\0';
    assert_int_equal(strlen(head), size);
    return head;
}

static void expect(const char *head)
{
    char *got = render();
    assert_string_equal(got, head);
    free(got);
}

static void plain(void **state)
{
    (void)state;
    start(200);
    expect("HTTP/1.1 200 OK\r\n" DATE "Content-Length: 0\r\n\r\n");
    exchange.call.answer.body_size = 1234567890123;
    expect("HTTP/1.1 200 OK\r\n" DATE "Content-Type: application/json\r\n"
           "Content-Length: 1234567890123\r\n\r\n");
    exchange.call.answer.body_size = 7;
    exchange.call.answer.content_type = CONTENT_PROBLEM;
    expect("HTTP/1.1 200 OK\r\n" DATE "Content-Type: application/problem+json\r\n"
           "Content-Length: 7\r\n\r\n");
    exchange.call.answer.content_type = CONTENT_TEXT;
    expect("HTTP/1.1 200 OK\r\n" DATE "Content-Type: text/plain; charset=utf-8\r\n"
           "Content-Length: 7\r\n\r\n");
    exchange.call.answer.content_type = CONTENT_METRICS;
    expect("HTTP/1.1 200 OK\r\n" DATE "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
           "Content-Length: 7\r\n\r\n");
    exchange.call.answer.content_type = CONTENT_OPENAPI;
    expect("HTTP/1.1 200 OK\r\n" DATE "Content-Type: application/json\r\n"
           "Content-Length: 7\r\n\r\n");
    assert_true(render_has_body(&exchange));
}

static void connection_field(void **state)
{
    (void)state;
    start(200);
    exchange.close_after = true;
    expect("HTTP/1.1 200 OK\r\n" DATE "Content-Length: 0\r\nConnection: close\r\n\r\n");
    exchange.http_1_0 = true;
    expect("HTTP/1.1 200 OK\r\n" DATE "Content-Length: 0\r\nConnection: close\r\n\r\n");
    exchange.close_after = false;
    expect("HTTP/1.1 200 OK\r\n" DATE "Content-Length: 0\r\nConnection: keep-alive\r\n\r\n");
}

static void head_only(void **state)
{
    (void)state;
    start(404);
    exchange.head_only = true;
    exchange.call.answer.body_size = 99;
    exchange.call.answer.content_type = CONTENT_PROBLEM;
    expect("HTTP/1.1 404 Not Found\r\n" DATE "Content-Type: application/problem+json\r\n"
           "Content-Length: 99\r\n\r\n");
    assert_false(render_has_body(&exchange));
}

static void no_content(void **state)
{
    (void)state;
    start(204);
    expect("HTTP/1.1 204 No Content\r\n" DATE "\r\n");
    assert_false(render_has_body(&exchange));
    exchange.call.answer.allow = 1U << METHOD_GET | 1U << METHOD_HEAD | 1U << METHOD_OPTIONS;
    expect("HTTP/1.1 204 No Content\r\n" DATE "Allow: GET, HEAD, OPTIONS\r\n\r\n");
}

static void interim(void **state)
{
    (void)state;
    start(0);
    exchange.interim = true;
    exchange.close_after = true;
    exchange.http_1_0 = true;
    expect("HTTP/1.1 100 Continue\r\n\r\n");
    assert_false(render_has_body(&exchange));
}

/* Everything at once, in its longest form, has room. */
static void all_fields(void **state)
{
    (void)state;
    start(431); /* the longest reason */
    struct answer *answer = &exchange.call.answer;
    answer->body_size = SIZE_MAX;
    answer->content_type = CONTENT_METRICS;
    answer->has_location = true;
    for (uint8_t i = 0; i < RESV_ID_SIZE; i++)
        answer->location.bytes[i] = (uint8_t)(i * 17);
    answer->replay = true;
    answer->www_authenticate = true;
    answer->retry_after_s = UINT16_MAX;
    answer->allow = (1U << METHOD_COUNT) - 1;
    exchange.http_1_0 = true;
    expect("HTTP/1.1 431 Request Header Fields Too Large\r\n" DATE
           "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
           "Content-Length: 18446744073709551615\r\n"
           "Location: /api/reservations/00112233-4455-6677-8899-aabbccddeeff\r\n"
           "Idempotent-Replay: true\r\nRetry-After: 65535\r\n"
           "Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH, TRACE, CONNECT\r\n"
           "WWW-Authenticate: Bearer\r\nConnection: keep-alive\r\n\r\n");
}

static void expect_status_is_known(uint16_t status)
{
    start(status);
    char *head = render(); /* aborts for a status that it does not know */
    assert_int_equal(strncmp(head, "HTTP/1.1 ", 9), 0);
    assert_int_equal(strtol(head + 9, NULL, 10), status);
    assert_true(head[12] == ' ' && head[13] >= 'A' && head[13] <= 'Z');
    free(head);
}

static void every_status_is_known(void **state)
{
    (void)state;
#define PROBLEM_STATUS(name, slug, status, ...) expect_status_is_known(status);
    PROBLEMS(PROBLEM_STATUS)
    for (size_t i = 0; i < RESV_OUTCOME_COUNT; i++)
        expect_status_is_known(outcome_answers[i].status);
}

static void expect_date(int64_t wall_ms, const char *date)
{
    struct render_clock clock = {0};
    render_clock_update(&clock, wall_ms);
    if (memcmp(clock.date, date, sizeof(clock.date)) != 0)
        fail_msg("%.*s instead of %s", (int)sizeof(clock.date), clock.date, date);
}

static void dates(void **state)
{
    (void)state;
    expect_date(0, "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n");
    expect_date(784111777000, "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
    expect_date(951782400000, "Date: Tue, 29 Feb 2000 00:00:00 GMT\r\n");
    expect_date(1798761599999, "Date: Thu, 31 Dec 2026 23:59:59 GMT\r\n");
    expect_date(253402300799000, "Date: Fri, 31 Dec 9999 23:59:59 GMT\r\n");
    struct render_clock clock = {0};
    render_clock_update(&clock, 784111777000);
    render_clock_update(&clock, 784111777999);
    assert_memory_equal(clock.date, DATE, sizeof(clock.date));
    render_clock_update(&clock, 784111778000);
    assert_memory_equal(clock.date, "Date: Sun, 06 Nov 1994 08:49:38 GMT\r\n", sizeof(clock.date));
    render_clock_update(&clock, 784111777000); /* the wall clock may step back */
    assert_memory_equal(clock.date, DATE, sizeof(clock.date));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain),     cmocka_unit_test(connection_field),
        cmocka_unit_test(head_only), cmocka_unit_test(no_content),
        cmocka_unit_test(interim),   cmocka_unit_test(all_fields),
        cmocka_unit_test(dates),     cmocka_unit_test(every_status_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
