/* The request parser's limits: exactly at each, one over it, and what kept memory costs. */
#include "parser_cases.h"

#include <stdio.h>

#include "http/limits.h"

#define END "GET /end HTTP/1.1\r\n" HOST "\r\n"

/* --- the request line ------------------------------------------------------------------------- */

/* `method`, a target of so many bytes that begins with `start`, and the rest of a good request. */
static void run_target(const char *name, const char *method, const char *start, size_t size,
                       const char *version, const char *expected)
{
    struct builder builder = {0};
    builder_text(&builder, method);
    builder_text(&builder, " ");
    builder_text(&builder, start);
    builder_repeat(&builder, 'a', size - strlen(start));
    builder_text(&builder, version);
    builder_text(&builder, "\r\n" HOST "\r\n" END);
    if (expected != NULL) {
        builder_expect(&builder, name, expected);
        return;
    }
    char *trace = same_trace(name, builder.data, builder.size);
    if (strncmp(trace, method, strlen(method)) != 0 ||
        strstr(trace, " keep\nGET /end keep\n") == NULL)
        fail_msg("%s: %.200s", name, trace);
    free(trace);
    free(builder.data);
}

static void targets(void **state)
{
    (void)state;
    static const char long_fault[] = "fault uri-too-long\n";
    static const char *const starts[] = {"/", "/?", "http://h/", "http://h:80?"};
    for (size_t i = 0; i < CASES_COUNT(starts); i++) {
        run_target(starts[i], "GET", starts[i], 8192, " HTTP/1.1", NULL);
        run_target(starts[i], "GET", starts[i], 8193, " HTTP/1.1", long_fault);
        run_target(starts[i], "OPTIONS", starts[i], 8193, " HTTP/1.0", long_fault);
    }
    run_target("far too long", "GET", "/", 20000, " HTTP/1.1", long_fault);
    run_target("without version", "GET", "/", 8193, "", long_fault);
    run_target("other version", "GET", "/", 8193, " HTTP/2.0", long_fault);
    run_target("unknown method", "FOO", "/", 8193, " HTTP/1.1", long_fault);
    run_target("unknown method, good target", "FOO", "/", 8192, " HTTP/1.1",
               "fault not-implemented\n");
    run_target("bad character, within", "GET", "/\"", 8192, " HTTP/1.1", "fault bad-request\n");
    run_target("control byte, far too long", "GET", "/\x01", 20000, " HTTP/1.1",
               "fault bad-request\n");
    run_target("control byte, just too long", "GET", "/\x7f", 8193, " HTTP/1.1",
               "fault bad-request\n");
    run_target("control byte behind a long target", "GET", "/", 8193, " HTTP/1.1\x01",
               "fault bad-request\n");
    run_target("bare CR, far too long", "GET", "/\r", 20000, " HTTP/1.1", "fault bad-request\n");
}

/* A method without end, with a CR, a control byte or nothing at each place around the limit. */
static void lines_without_end(void **state)
{
    (void)state;
    char expected[64];
    for (size_t before = 8266; before < 8278; before++) {
        static const char *const marks[] = {"\r", "\x01", "a", "\r\n"};
        for (size_t i = 0; i < CASES_COUNT(marks); i++) {
            struct builder builder = {0};
            builder_text(&builder, "GET /");
            builder_repeat(&builder, 'a', before - 5);
            builder_text(&builder, marks[i]);
            builder_repeat(&builder, 'a', 200);
            builder_text(&builder, "\r\n");
            snprintf(expected, sizeof(expected), "%s at %zu", marks[i], before);
            char *trace = same_trace(expected, builder.data, builder.size);
            assert_true(strcmp(trace, "fault uri-too-long\n") == 0 ||
                        strcmp(trace, "fault bad-request\n") == 0);
            free(trace);
            free(builder.data);
        }
    }
}

static void methods(void **state)
{
    (void)state;
    for (size_t size = 60; size < 70; size++) {
        struct builder builder = {0};
        builder_repeat(&builder, 'M', size);
        builder_text(&builder, " /a HTTP/1.1\r\n" HOST "\r\n");
        builder_expect(&builder, "long method", "fault not-implemented\n");
    }
    struct builder builder = {0};
    builder_repeat(&builder, 'M', 30000);
    builder_expect(&builder, "method without end", "fault not-implemented\n");
    builder_repeat(&builder, '(', 30000);
    builder_expect(&builder, "no method without end", "fault bad-request\n");
    builder_repeat(&builder, 'M', 100);
    builder_text(&builder, " /");
    builder_repeat(&builder, 'a', 9000);
    builder_expect(&builder, "long method, long target", "fault not-implemented\n");
}

/* --- fields and trailers -----------------------------------------------------------------------
 */

/* Fields of `bytes` bytes in all, CRLFs included. */
static void add_fields(struct builder *builder, size_t bytes)
{
    while (bytes > 0) {
        size_t line = bytes > 5000 ? 4000 : bytes;
        builder_text(builder, "Xy:");
        builder_repeat(builder, 'v', line - 5);
        builder_text(builder, "\r\n");
        bytes -= line;
    }
}

static void run_fields(const char *name, size_t head_bytes, size_t trailer_bytes, bool whole,
                       const char *expected)
{
    struct builder builder = {0};
    bool chunked = trailer_bytes != SIZE_MAX;
    builder_text(&builder, "POST /a HTTP/1.1\r\n" HOST);
    builder_text(&builder, chunked ? CHUNKED : "");
    add_fields(&builder, head_bytes - strlen(HOST) - (chunked ? strlen(CHUNKED) : 0));
    builder_text(&builder, "\r\n");
    if (chunked) {
        builder_text(&builder, "1\r\na\r\n0\r\n");
        add_fields(&builder, trailer_bytes);
        builder_text(&builder, whole ? "\r\n" : "");
    }
    if (whole)
        builder_text(&builder, END);
    builder_expect(&builder, name, expected);
}

static void field_bytes(void **state)
{
    (void)state;
    static const char fault[] = "fault header-fields-too-large\n";
    static const char good[] = "POST /a keep\nGET /end keep\n";
    static const char good_chunked[] = "POST /a body=1:a keep\nGET /end keep\n";
    run_fields("16383", 16383, SIZE_MAX, true, good);
    run_fields("16384", 16384, SIZE_MAX, true, good);
    run_fields("16385", 16385, SIZE_MAX, true, fault);
    run_fields("16386", 16386, SIZE_MAX, true, fault);
    run_fields("16387", 16387, SIZE_MAX, true, fault);
    run_fields("40000", 40000, SIZE_MAX, true, fault);
    run_fields("16384 before chunks", 16384, 0, true, good_chunked);
    run_fields("16384 with trailers", 16374, 10, true, good_chunked);
    run_fields("16385 with trailers", 16374, 11, true, fault);
    run_fields("16384 and an empty name", 16384, 5, true, fault);
    run_fields("trailers of 16 KiB", 100, 16284, true, good_chunked);
    run_fields("trailers over 16 KiB", 100, 16285, true, fault);
    run_fields("trailers without end", 100, 20000, false, fault);
}

/* A name, a value or a line of blanks that never ends. */
static void fields_without_end(void **state)
{
    (void)state;
    static const char *const starts[] = {
        "",       "X:",    "X: a", "Content-Length: 0", "Connection: ", "Transfer-Encoding: ",
        "Host: ", "X: a, "};
    for (size_t i = 0; i < CASES_COUNT(starts); i++) {
        struct builder builder = {0};
        builder_text(&builder, GET);
        builder_text(&builder, starts[i]);
        builder_repeat(&builder, i == 3 ? '0' : 'a', 17000);
        builder_expect(&builder, starts[i], "fault header-fields-too-large\n");
    }
}

static void run_field_count(size_t head, size_t trailers, const char *expected)
{
    struct builder builder = {0};
    builder_text(&builder, "POST /a HTTP/1.1\r\n" HOST CHUNKED);
    for (size_t i = 2; i < head; i++)
        builder_text(&builder, "x:\r\n");
    builder_text(&builder, "\r\n0\r\n");
    for (size_t i = 0; i < trailers; i++)
        builder_text(&builder, "x: y\r\n");
    builder_text(&builder, "\r\n" END);
    char name[64];
    snprintf(name, sizeof(name), "%zu fields, %zu trailers", head, trailers);
    builder_expect(&builder, name, expected);
}

static void field_counts(void **state)
{
    (void)state;
    static const char fault[] = "fault header-fields-too-large\n";
    static const char good[] = "POST /a keep\nGET /end keep\n";
    run_field_count(100, 0, good);
    run_field_count(101, 0, fault);
    run_field_count(99, 1, good);
    run_field_count(100, 1, fault);
    run_field_count(2, 98, good);
    run_field_count(2, 99, fault);
}

/* --- bodies ------------------------------------------------------------------------------------
 */

static void add_chunk(struct builder *builder, size_t size, const char *extension)
{
    char line[64];
    snprintf(line, sizeof(line), "%zx", size);
    builder_text(builder, line);
    builder_text(builder, extension);
    builder_text(builder, "\r\n");
    builder_repeat(builder, 'b', size);
    builder_text(builder, "\r\n");
}

/* What comes of a POST with a body of `size` bytes of 'b' and an END behind it. The caller frees.
 */
static char *good_trace(size_t size)
{
    struct builder builder = {0};
    char line[64];
    snprintf(line, sizeof(line), "POST /a body=%zu:", size);
    builder_text(&builder, line);
    builder_repeat(&builder, 'b', size);
    builder_text(&builder, " keep\nGET /end keep\n");
    return builder.data;
}

static void expect_body(struct builder *builder, const char *name, size_t size)
{
    char *expected = good_trace(size);
    builder_expect(builder, name, expected);
    free(expected);
}

static void bodies(void **state)
{
    (void)state;
    static const char fault[] = "fault content-too-large\n";
    struct builder builder = {0};
    builder_text(&builder, POST "Content-Length: 16384\r\n\r\n");
    builder_repeat(&builder, 'b', 16384);
    builder_text(&builder, END);
    expect_body(&builder, "16384 declared", 16384);
    builder_text(&builder, POST "Content-Length: 16385\r\n\r\n");
    builder_repeat(&builder, 'b', 16385);
    builder_expect(&builder, "16385 declared", fault);

    static const size_t chunk_sizes[] = {1, 7, 1000, 8192, 16383, 16384};
    for (size_t i = 0; i < CASES_COUNT(chunk_sizes); i++) {
        for (size_t over = 0; over < 2; over++) {
            builder_text(&builder, POST CHUNKED "\r\n");
            size_t left = 16384;
            while (left > 0) {
                size_t size = left < chunk_sizes[i] ? left : chunk_sizes[i];
                add_chunk(&builder, size, "");
                left -= size;
            }
            builder_text(&builder, over ? "1\r\n" : "0\r\n\r\n" END);
            if (over)
                builder_expect(&builder, "one over in chunks", fault);
            else
                expect_body(&builder, "16384 in chunks", 16384);
        }
    }
    builder_text(&builder, POST CHUNKED "\r\n");
    add_chunk(&builder, 10000, "");
    builder_text(&builder, "18f1\r\n"); /* 6,385 */
    builder_expect(&builder, "announced", fault);
}

/* `count` extensions of `bytes` bytes each, ';' included. */
static void run_extensions(const char *name, size_t count, const char *start, size_t bytes,
                           bool good)
{
    struct builder extension = {0};
    builder_text(&extension, start);
    builder_repeat(&extension, 'e', bytes - strlen(start));
    struct builder builder = {0};
    builder_text(&builder, POST CHUNKED "\r\n");
    for (size_t i = 0; i < count; i++) {
        builder_text(&builder, "1");
        builder_add(&builder, extension.data, extension.size);
        builder_text(&builder, "\r\nb\r\n");
    }
    builder_text(&builder, "0\r\n\r\n" END);
    if (good)
        expect_body(&builder, name, count);
    else
        builder_expect(&builder, name, "fault content-too-large\n");
    free(extension.data);
}

static void extensions(void **state)
{
    (void)state;
    run_extensions("one name of 16384", 1, ";", 16384, true);
    run_extensions("one name of 16385", 1, ";", 16385, false);
    run_extensions("name and value of 16384", 1, ";a=", 16384, true);
    run_extensions("name and value of 16385", 1, ";a=", 16385, false);
    run_extensions("two of 8192", 2, ";a=", 8192, true);
    run_extensions("three of 8192", 3, ";a=", 8192, false);
    run_extensions("1024 of 16", 1024, ";", 16, true);
    run_extensions("1025 of 16", 1025, ";", 16, false);
    run_extensions("many names", 256, ";a;b=c;d", 64, true);
    run_extensions("without end", 1, ";", 100000, false);
    /* Whatever comes first decides. */
    struct builder builder = {0};
    builder_text(&builder, POST CHUNKED "\r\n1;a=\"");
    builder_repeat(&builder, 'e', 10000);
    builder_text(&builder, "\x01");
    builder_repeat(&builder, 'e', 10000);
    builder_expect(&builder, "control byte, then too long", "fault bad-request\n");
    builder_text(&builder, POST CHUNKED "\r\n1;a=\"");
    builder_repeat(&builder, 'e', 17000);
    builder_text(&builder, "\x01");
    builder_expect(&builder, "too long, then control byte", "fault content-too-large\n");
    builder_text(&builder, POST CHUNKED "\r\n1;a=\"");
    builder_repeat(&builder, 'e', 17000);
    builder_text(&builder, "\\\x01\"\r\n");
    builder_expect(&builder, "too long, then escaped control byte", "fault content-too-large\n");
    builder_text(&builder, POST CHUNKED "\r\n1;a=\"");
    builder_repeat(&builder, 'e', 10000);
    builder_text(&builder, "\\\x01");
    builder_repeat(&builder, 'e', 10000);
    builder_text(&builder, "\"\r\n");
    builder_expect(&builder, "escaped control byte, then too long", "fault bad-request\n");
}

/* Zeros in front of a chunk's size cost nothing that is counted elsewhere. */
static void run_zeros(const char *name, size_t zeros, bool good)
{
    struct builder builder = {0};
    builder_text(&builder, POST CHUNKED "\r\n");
    builder_repeat(&builder, '0', zeros);
    builder_text(&builder, "1\r\nb\r\n0\r\n\r\n" END);
    if (good)
        expect_body(&builder, name, 1);
    else
        builder_expect(&builder, name, "fault content-too-large\n");
}

static void zeros(void **state)
{
    (void)state;
    run_zeros("many zeros", 10000, true);
    run_zeros("zeros up to the limit", HTTP_FRAMED_BODY_BYTES_MAX - 9 - 1, true);
    run_zeros("zeros to the limit", HTTP_FRAMED_BODY_BYTES_MAX - 9, true);
    run_zeros("zeros over the limit", HTTP_FRAMED_BODY_BYTES_MAX - 9 + 1, false);
    run_zeros("zeros without end", 400000, false);
}

/* --- memory -------------------------------------------------------------------------------------
 */

static void memory_is_bounded(void **state)
{
    (void)state;
    struct builder builder = {0};
    builder_text(&builder, "POST /");
    builder_repeat(&builder, 'p', 8000);
    builder_text(&builder, " HTTP/1.1\r\n" HOST "Content-Type: application/json\r\n");
    add_fields(&builder, 15000);
    builder_text(&builder, "Content-Length: 16384\r\n\r\n");
    builder_repeat(&builder, 'b', 16384);
    size_t single = 1;
    struct http_trace trace;
    http_trace_run(&trace, builder.data, builder.size, &single, 1, SIZE_MAX, NULL, NULL);
    assert_int_equal(trace.requests, 1);
    assert_true(trace.budget_peak_bytes <= 65536);
    free(trace.text);
    /* Whole in one read, nothing is kept at all. */
    single = SIZE_MAX;
    http_trace_run(&trace, builder.data, builder.size, &single, 1, 0, NULL, NULL);
    assert_int_equal(trace.requests, 1);
    free(trace.text);
    /* However small the budget: 503 or a whole request, and all of it given back (http_trace_run
     * sees to that). */
    for (size_t budget = 0; budget <= 65536; budget += 1000) {
        for (size_t piece = 7; piece < builder.size; piece = piece * 5 + 1) {
            http_trace_run(&trace, builder.data, builder.size, &piece, 1, budget, NULL, NULL);
            bool refused = trace.slug != NULL && strcmp(trace.slug, "unavailable") == 0;
            assert_true(refused ? trace.requests == 0 : trace.requests == 1);
            assert_true(budget >= trace.budget_peak_bytes);
            free(trace.text);
        }
    }
    free(builder.data);
}

/* Many requests one after the other on one parser: memory does not grow with them. */
static void memory_does_not_grow(void **state)
{
    (void)state;
    struct builder builder = {0};
    for (size_t i = 0; i < 300; i++)
        builder_text(&builder, POST "Content-Type: a/b\r\nIdempotency-Key: k\r\nX: y\r\n" CHUNKED
                                    "\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\nT: u\r\n\r\n");
    for (size_t piece = 1; piece < 200; piece = piece * 2 + 1) {
        struct http_trace trace;
        http_trace_run(&trace, builder.data, builder.size, &piece, 1, SIZE_MAX, NULL, NULL);
        assert_int_equal(trace.requests, 300);
        assert_null(trace.slug);
        assert_true(trace.budget_peak_bytes <= 512);
        free(trace.text);
    }
    free(builder.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(targets),
        cmocka_unit_test(lines_without_end),
        cmocka_unit_test(methods),
        cmocka_unit_test(field_bytes),
        cmocka_unit_test(fields_without_end),
        cmocka_unit_test(field_counts),
        cmocka_unit_test(bodies),
        cmocka_unit_test(extensions),
        cmocka_unit_test(zeros),
        cmocka_unit_test(memory_is_bounded),
        cmocka_unit_test(memory_does_not_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
