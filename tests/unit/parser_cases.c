/* Running the parser over bytes cut in every way. */
#include "parser_cases.h"

#define BUDGET_BYTES   (1024 * 1024)
#define LENGTH_CUT_ALL 3000 /* longer inputs are cut at some places only */

static char *run(const char *data, size_t size, const size_t *sizes, size_t count)
{
    struct http_trace trace;
    http_trace_run(&trace, data, size, sizes, count, BUDGET_BYTES, NULL, NULL);
    return trace.text;
}

static void compare(const char *name, const char *cut, size_t at, char *text, const char *expected)
{
    if (strcmp(text, expected) != 0)
        fail_msg("%s, %s %zu:\n%.300s\n--- instead of ---\n%.300s", name, cut, at, text, expected);
    free(text);
}

char *same_trace(const char *name, const char *data, size_t size)
{
    char *whole = run(data, size, (size_t[]){SIZE_MAX}, 1);
    size_t step = size <= LENGTH_CUT_ALL ? 1 : size / 23;
    for (size_t at = 1; at < size; at += step)
        compare(name, "cut at", at, run(data, size, (size_t[]){at, SIZE_MAX}, 2), whole);
    for (size_t at = size < 16 ? 1 : size - 16; at < size; at++)
        compare(name, "cut at", at, run(data, size, (size_t[]){at, SIZE_MAX}, 2), whole);
    for (size_t piece = 1; piece <= 20000; piece = size <= LENGTH_CUT_ALL ? piece * 2 : piece * 27)
        compare(name, "in pieces of", piece, run(data, size, &piece, 1), whole);
    return whole;
}

void expect_trace(const char *name, const char *data, size_t size, const char *text)
{
    compare(name, "whole", size, run(data, size, (size_t[]){SIZE_MAX}, 1), text);
    free(same_trace(name, data, size));
}

void expect_faults(const struct parser_case *cases, size_t count, const char *slug)
{
    char text[128] = "fault ";
    strcat(strcat(text, slug), "\n");
    for (size_t i = 0; i < count; i++)
        expect_trace(cases[i].name, cases[i].data, cases[i].size, text);
}

void expect_faults_between(const struct parser_case *cases, size_t count, const char *slug)
{
    static const char before[] = "GET /before HTTP/1.1\r\n" HOST "\r\n";
    static const char after[] = "GET /after HTTP/1.1\r\n" HOST "\r\n";
    char text[128] = "GET /before keep\nfault ";
    strcat(strcat(text, slug), "\n");
    for (size_t i = 0; i < count; i++) {
        struct builder builder = {0};
        builder_text(&builder, before);
        builder_add(&builder, cases[i].data, cases[i].size);
        builder_text(&builder, after);
        builder_expect(&builder, cases[i].name, text);
    }
}

void builder_add(struct builder *builder, const char *data, size_t size)
{
    builder->data = realloc(builder->data, builder->size + size + 1);
    assert_non_null(builder->data);
    memcpy(builder->data + builder->size, data, size);
    builder->size += size;
    builder->data[builder->size] = '\0';
}

void builder_text(struct builder *builder, const char *text)
{
    builder_add(builder, text, strlen(text));
}

void builder_repeat(struct builder *builder, char byte, size_t count)
{
    char *bytes = malloc(count + 1);
    assert_non_null(bytes);
    memset(bytes, byte, count);
    builder_add(builder, bytes, count);
    free(bytes);
}

void builder_expect(struct builder *builder, const char *name, const char *text)
{
    expect_trace(name, builder->data, builder->size, text);
    free(builder->data);
    *builder = (struct builder){0};
}
