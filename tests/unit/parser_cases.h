/* What tests of the parser share: running bytes cut in every way, and what is expected of them. */
#ifndef RESVD_TESTS_UNIT_PARSER_CASES_H
#define RESVD_TESTS_UNIT_PARSER_CASES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/http_trace.h"

#define HOST    "Host: h\r\n"
#define GET     "GET /a HTTP/1.1\r\n"
#define POST    "POST /a HTTP/1.1\r\n" HOST
#define CHUNKED "Transfer-Encoding: chunked\r\n"

/* Bytes with a name; literals may hold NULs. */
struct parser_case {
    const char *name;
    const char *data;
    size_t size;
};
#define CASE(name, literal)                                                                        \
    {                                                                                              \
        name, literal, sizeof(literal) - 1                                                         \
    }
#define CASES_COUNT(cases) (sizeof(cases) / sizeof(cases[0]))

/* Whole, cut in two at every byte, and in single bytes, `data` must give exactly `text`. */
void expect_trace(const char *name, const char *data, size_t size, const char *text);
/* The same for "fault SLUG" as all that comes of each case. */
void expect_faults(const struct parser_case *cases, size_t count, const char *slug);
/* The same, with a request in front and behind of each case: the first is seen, the last is not. */
void expect_faults_between(const struct parser_case *cases, size_t count, const char *slug);

/* Long inputs are cut at some places only. The caller frees the result. */
char *same_trace(const char *name, const char *data, size_t size);

/* Text that grows. */
struct builder {
    char *data;
    size_t size;
};
void builder_add(struct builder *builder, const char *data, size_t size);
void builder_text(struct builder *builder, const char *text);
void builder_repeat(struct builder *builder, char byte, size_t count);
/* Runs what was built, expects the text and frees it. */
void builder_expect(struct builder *builder, const char *name, const char *text);

#endif
