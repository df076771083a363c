/* What json_parse accepts and what it refuses, row by row, with the reason and the place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "support/json_case.h"
#include "json/json.h"

static void test_accepts(void **state)
{
    (void)state;
    static const struct text rows[] = {
        ROW("{}"),
        ROW("[]"),
        ROW(" \t\r\n{ } \t\r\n"),
        ROW("\"\""),
        ROW("0"),
        ROW("-0"),
        ROW("-1.5E-10"),
        ROW("1e400"),
        ROW("0.0e+00"),
        ROW("true"),
        ROW("false"),
        ROW("null"),
        ROW("{\"concertId\":1,\"memberId\":7,\"quantity\":1}"),
        ROW("{\"\":{\"\":[]},\" \":0}"),
        ROW("[1,[2,{\"a\":[]}],\"x\"]"),
        ROW("[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]"),
        ROW("{\"a\":{\"a\":{\"a\":[[[[[[[[[[[[[1]]]]]]]]]]]]]}}}"),
        /* The same key in different objects, and a value like a key. */
        ROW("[{\"a\":1},{\"a\":1}]"),
        ROW("{\"a\":{\"a\":1},\"b\":\"a\"}"),
        ROW("{\"a\":1,\"A\":1,\"a \":1,\"\\u0061\\u0061\":1,\"a\\u0000\":1}"),
        ROW("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\uabCD\""),
        ROW("\"\\u0000\""),
        ROW("\"\\ud800\\udc00\\uDBFF\\uDFFF\\ud7ff\\ue000\""),
        ROW("\"\x7f\xc2\x80\xdf\xbf\""),
        ROW("\"\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\""),
        ROW("\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\""),
        ROW("{\"\xe2\x82\xac\":1}"),
        /* U+FEFF is a mark only where a text begins. */
        ROW("\"\xef\xbb\xbf\""),
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        json_case_accepted(rows[i].data, rows[i].size);
    }
}

struct refusal {
    struct text text;
    const char *what;
    size_t offset;
};

static const char end_text[] = "the text ends too early";
static const char after_text[] = "bytes after the value";
static const char value_text[] = "value expected";
static const char digit_text[] = "digit expected in a number";
static const char utf8_text[] = "bad UTF-8";
static const char lone_text[] = "lone surrogate in a string";
static const char escape_text[] = "bad escape in a string";
static const char control_text[] = "control byte in a string";
static const char duplicate_text[] = "duplicate key";
static const char name_text[] = "name in double quotes expected";

static void assert_all_refused(const struct refusal *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        json_case_refused(rows[i].text.data, rows[i].text.size, rows[i].what, rows[i].offset);
    }
}

static void test_refuses_structure(void **state)
{
    (void)state;
    static const struct refusal rows[] = {
        {ROW(""), "empty text", 0},
        {ROW(" \n"), "empty text", 2},
        {ROW("\xef\xbb\xbf{}"), "byte order mark", 0},
        {ROW("\xef\xbb\xbf"), "byte order mark", 0},
        {ROW("\xef\xbb"), value_text, 0},
        {ROW("\xff\xfe{\0}\0"), value_text, 0},
        {ROW(" \xef\xbb\xbf{}"), value_text, 1},
        {ROW("{}x"), after_text, 2},
        {ROW("{} {}"), after_text, 3},
        {ROW("{},"), after_text, 2},
        {ROW("{}\0"), after_text, 2},
        {ROW("{}\xef\xbb\xbf"), after_text, 2},
        {ROW("1 2"), after_text, 2},
        {ROW("truex"), after_text, 4},
        {ROW("{}//"), after_text, 2},
        {ROW("\0"), value_text, 0},
        {ROW("\v1"), value_text, 0},
        {ROW("\xc2\xa0{}"), value_text, 0},
        {ROW("/**/{}"), value_text, 0},
        {ROW("{"), end_text, 1},
        {ROW("["), end_text, 1},
        {ROW("{\"a\""), end_text, 4},
        {ROW("{\"a\":"), end_text, 5},
        {ROW("{\"a\":1"), end_text, 6},
        {ROW("{\"a\":1,"), end_text, 7},
        {ROW("[1"), end_text, 2},
        {ROW("[1,"), end_text, 3},
        {ROW("}"), value_text, 0},
        {ROW("]"), value_text, 0},
        {ROW("[}"), value_text, 1},
        {ROW("{]"), name_text, 1},
        {ROW("[1}"), "comma or ] expected", 2},
        {ROW("{\"a\":1]"), "comma or } expected", 6},
        {ROW("[1 2]"), "comma or ] expected", 3},
        {ROW("[1,]"), value_text, 3},
        {ROW("[,1]"), value_text, 1},
        {ROW("[1,,2]"), value_text, 3},
        {ROW("{\"a\":1,}"), name_text, 7},
        {ROW("{,}"), name_text, 1},
        {ROW("{a:1}"), name_text, 1},
        {ROW("{'a':1}"), name_text, 1},
        {ROW("{1:1}"), name_text, 1},
        {ROW("{\"a\" 1}"), "colon expected", 5},
        {ROW("{\"a\"::1}"), value_text, 5},
        {ROW("{\"a\":}"), value_text, 5},
        {ROW("{\"a\":1 \"b\":2}"), "comma or } expected", 7},
        {ROW("tru"), value_text, 0},
        {ROW("True"), value_text, 0},
        {ROW("nul"), value_text, 0},
        {ROW("undefined"), value_text, 0},
        {ROW("NaN"), value_text, 0},
        {ROW("-Infinity"), digit_text, 1},
        {ROW("[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]"), "nested deeper than 16", 16},
        {ROW("{\"a\":[[[[[[[[[[[[[[[{}]]]]]]]]]]]]]]]}"), "nested deeper than 16", 20},
    };
    assert_all_refused(rows, sizeof(rows) / sizeof(rows[0]));
}

static void test_refuses_numbers(void **state)
{
    (void)state;
    static const struct refusal rows[] = {
        {ROW("+1"), value_text, 0},
        {ROW(".5"), value_text, 0},
        {ROW("-"), end_text, 1},
        {ROW("-a"), digit_text, 1},
        {ROW("- 1"), digit_text, 1},
        {ROW("--1"), digit_text, 1},
        {ROW("1."), end_text, 2},
        {ROW("[1.]"), digit_text, 3},
        {ROW("1.e1"), digit_text, 2},
        {ROW("-.5"), digit_text, 1},
        {ROW("1e"), end_text, 2},
        {ROW("1e+"), end_text, 3},
        {ROW("[1e-]"), digit_text, 4},
        {ROW("1e1.5"), after_text, 3},
        {ROW("0x10"), after_text, 1},
        {ROW("1_000"), after_text, 1},
        {ROW("1.2.3"), after_text, 3},
        {ROW("1e5e5"), after_text, 3},
        {ROW("\xd9\xa1"), value_text, 0},
        {ROW("01"), "number with a leading zero", 0},
        {ROW("-01"), "number with a leading zero", 1},
        {ROW("00"), "number with a leading zero", 0},
        {ROW("00.5"), "number with a leading zero", 0},
    };
    assert_all_refused(rows, sizeof(rows) / sizeof(rows[0]));
}

static void test_refuses_strings(void **state)
{
    (void)state;
    static const struct refusal rows[] = {
        {ROW("\""), end_text, 1},
        {ROW("\"a"), end_text, 2},
        {ROW("\"\\\""), end_text, 3},
        {ROW("\"\\"), escape_text, 1},
        {ROW("\"\\x41\""), escape_text, 1},
        {ROW("\"\\a\""), escape_text, 1},
        {ROW("\"\\'\""), escape_text, 1},
        {ROW("\"\\\0\""), escape_text, 1},
        {ROW("\"\\U0041\""), escape_text, 1},
        {ROW("\"\\u\""), escape_text, 1},
        {ROW("\"\\u004\""), escape_text, 1},
        {ROW("\"\\u00g0\""), escape_text, 1},
        {ROW("\"\\u 041\""), escape_text, 1},
        {ROW("\"\\u+041\""), escape_text, 1},
        {ROW("\"\\u004"), escape_text, 1},
        {ROW("\"\0\""), control_text, 1},
        {ROW("\"\x01\""), control_text, 1},
        {ROW("\"\x1f\""), control_text, 1},
        {ROW("\"\t\""), control_text, 1},
        {ROW("\"a\nb\""), control_text, 2},
        {ROW("{\"a\rb\":1}"), control_text, 3},
        {ROW("\"\\ud800\""), lone_text, 1},
        {ROW("\"\\udbffx\""), lone_text, 1},
        {ROW("\"\\udc00\""), lone_text, 1},
        {ROW("\"\\udfff\\ud800\""), lone_text, 1},
        {ROW("\"\\ud800\\ud800\""), lone_text, 1},
        {ROW("\"\\ud800\\n\""), lone_text, 1},
        {ROW("\"\\ud800\\u0041\""), lone_text, 1},
        {ROW("\"\\ud83d\\ude0\""), lone_text, 1},
        {ROW("\"\\ud83d\\ude00\\ude00\""), lone_text, 13},
        {ROW("{\"\\ud800\":1}"), lone_text, 2},
        {ROW("\"\x80\""), utf8_text, 1},
        {ROW("\"\xbf\""), utf8_text, 1},
        {ROW("\"\xc0\x80\""), utf8_text, 1},
        {ROW("\"\xc1\xbf\""), utf8_text, 1},
        {ROW("\"\xc2\""), utf8_text, 1},
        {ROW("\"\xc3\xa9\xa9\""), utf8_text, 3},
        {ROW("\"\xc2"), utf8_text, 1},
        {ROW("\"\xe0\x9f\xbf\""), utf8_text, 1},
        {ROW("\"\xe2\x82\""), utf8_text, 1},
        {ROW("\"\xe2\x82"), utf8_text, 1},
        {ROW("\"\xed\xa0\x80\""), utf8_text, 1},
        {ROW("\"\xed\xbf\xbf\""), utf8_text, 1},
        {ROW("\"\xed\xa0\xbd\xed\xb8\x80\""), utf8_text, 1},
        {ROW("\"\xf0\x8f\xbf\xbf\""), utf8_text, 1},
        {ROW("\"\xf0\x9f\x98\""), utf8_text, 1},
        {ROW("\"\xf0\x9f\x98"), utf8_text, 1},
        {ROW("\"\xf4\x90\x80\x80\""), utf8_text, 1},
        {ROW("\"\xf5\x80\x80\x80\""), utf8_text, 1},
        {ROW("\"\xf8\x88\x80\x80\x80\""), utf8_text, 1},
        {ROW("\"\xfe\""), utf8_text, 1},
        {ROW("\"\xff\""), utf8_text, 1},
        {ROW("{\"\xc0\x80\":1}"), utf8_text, 2},
    };
    assert_all_refused(rows, sizeof(rows) / sizeof(rows[0]));
}

static void test_refuses_duplicate_keys(void **state)
{
    (void)state;
    static const struct refusal rows[] = {
        {ROW("{\"a\":1,\"a\":1}"), duplicate_text, 7},
        {ROW("{\"\":1,\"\":1}"), duplicate_text, 6},
        {ROW("{\"a\":1,\"\\u0061\":1}"), duplicate_text, 7},
        {ROW("{\"\\u0061\":1,\"a\":1}"), duplicate_text, 12},
        {ROW("{\"\\u006A\":1,\"\\u006a\":1}"), duplicate_text, 12},
        {ROW("{\"/\":1,\"\\/\":1}"), duplicate_text, 7},
        {ROW("{\"\\n\":1,\"\\u000a\":1}"), duplicate_text, 8},
        {ROW("{\"\\u0000\":1,\"\\u0000\":1}"), duplicate_text, 12},
        {ROW("{\"\xc3\xa9\":1,\"\\u00e9\":1}"), duplicate_text, 8},
        {ROW("{\"\xe2\x82\xac\":1,\"\\u20ac\":1}"), duplicate_text, 9},
        {ROW("{\"\xf0\x9f\x98\x80\":1,\"\\ud83d\\ude00\":1}"), duplicate_text, 10},
        {ROW("{\"a\":{\"x\":[]},\"b\":[{}],\"a\":1}"), duplicate_text, 23},
        {ROW("[[{\"z\":{\"a\":1,\"a\":1}}]]"), duplicate_text, 14},
        {ROW("[[[[[[[[[[[[[[[{\"a\":1,\"\\u0061\":1}]]]]]]]]]]]]]]]"), duplicate_text, 22},
    };
    assert_all_refused(rows, sizeof(rows) / sizeof(rows[0]));
}

/* Every prefix of a document that ends in a bracket is refused, none is read behind. */
static void test_refuses_every_prefix(void **state)
{
    (void)state;
    struct text whole =
        TEXT("[{\"a\\u00e9\xc3\xa9\\ud83d\\ude00\":-1.5e+3},[true,false,null],\"\"]");
    json_case_accepted(whole.data, whole.size);
    for (size_t size = 0; size < whole.size; size++) {
        assert_false(json_case_parse(whole.data, size));
        assert_true(json_case.error.offset <= size);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts),
        cmocka_unit_test(test_refuses_structure),
        cmocka_unit_test(test_refuses_numbers),
        cmocka_unit_test(test_refuses_strings),
        cmocka_unit_test(test_refuses_duplicate_keys),
        cmocka_unit_test(test_refuses_every_prefix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
