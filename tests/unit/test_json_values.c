/* What a parsed document holds: its tokens, exact integers, decoded strings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "support/json_case.h"
#include "json/json.h"

/* --- tokens ------------------------------------------------------------------------------- */

static void test_token_list(void **state)
{
    (void)state;
    struct text text = TEXT("{\"a\":[1,\"x\\n\"], \"b\" : {\"c\":null} }");
    assert_true(json_case_parse(text.data, text.size));
    static const struct json_token expected[] = {
        {JSON_OBJECT, 0, 34, 2, 9},  {JSON_STRING, 2, 1, 0, 2},  {JSON_ARRAY, 5, 9, 2, 5},
        {JSON_NUMBER, 6, 1, 0, 4},   {JSON_STRING, 9, 3, 1, 5},  {JSON_STRING, 17, 1, 0, 6},
        {JSON_OBJECT, 22, 10, 1, 9}, {JSON_STRING, 24, 1, 0, 8}, {JSON_NULL, 27, 4, 0, 9},
    };
    assert_int_equal(json_case.document.token_count, sizeof(expected) / sizeof(expected[0]));
    for (size_t i = 0; i < json_case.document.token_count; i++) {
        assert_int_equal(json_case.document.tokens[i].type, expected[i].type);
        assert_int_equal(json_case.document.tokens[i].start, expected[i].start);
        assert_int_equal(json_case.document.tokens[i].size, expected[i].size);
        assert_int_equal(json_case.document.tokens[i].count, expected[i].count);
        assert_int_equal(json_case.document.tokens[i].next, expected[i].next);
    }
}

static void test_too_many_values(void **state)
{
    (void)state;
    struct text text = TEXT("{\"a\":[1]}");
    struct json_token few[3];
    struct json_error error;
    for (size_t tokens_max = 0; tokens_max <= 3; tokens_max++) {
        struct json_document smaller = {.tokens = few, .tokens_max = tokens_max};
        assert_false(json_parse(&smaller, text.data, text.size, &error));
        assert_string_equal(error.what, "too many values");
    }
}

static void test_no_text(void **state)
{
    (void)state;
    struct json_document document = {.tokens = NULL, .tokens_max = 0};
    struct json_error error;
    assert_false(json_parse(&document, NULL, 0, &error));
    assert_string_equal(error.what, "empty text");
}

/* --- integers ----------------------------------------------------------------------------- */

static void test_integers(void **state)
{
    (void)state;
    static const struct {
        struct text text;
        int64_t value;
    } rows[] = {
        {ROW("0"), 0},
        {ROW("-0"), 0},
        {ROW("1"), 1},
        {ROW("-1"), -1},
        {ROW("1000"), 1000},
        {ROW("9007199254740991"), 9007199254740991},
        {ROW("-9007199254740991"), -9007199254740991},
        {ROW("1e2"), 100},
        {ROW("1E+2"), 100},
        {ROW("1.5e1"), 15},
        {ROW("1.0e0"), 1},
        {ROW("1.500e1"), 15},
        {ROW("0.015e3"), 15},
        {ROW("0.0e0"), 0},
        {ROW("0e99999999999999999999"), 0},
        {ROW("-0e-99999999999999999999"), 0},
        {ROW("10e-1"), 1},
        {ROW("1000000000000000000000000e-24"), 1},
        {ROW("0.000000000000000000000001e24"), 1},
        {ROW("9007199254740991e0"), 9007199254740991},
        {ROW("9.007199254740991e15"), 9007199254740991},
        {ROW("90071992547409910000000e-7"), 9007199254740991},
        {ROW("1e15"), 1000000000000000},
        {ROW("9e15"), 9000000000000000},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t value = -77;
        assert_true(json_case_parse(rows[i].text.data, rows[i].text.size));
        if (json_integer(&json_case.document, 0, &value) != JSON_INTEGER_OK ||
            value != rows[i].value) {
            fail_msg("%s", rows[i].text.data);
        }
    }
}

static void test_no_integers(void **state)
{
    (void)state;
    static const struct {
        struct text text;
        enum json_integer_state state;
    } rows[] = {
        {ROW("1.0"), JSON_INTEGER_FRACTION},
        {ROW("0.0"), JSON_INTEGER_FRACTION},
        {ROW("-0.0"), JSON_INTEGER_FRACTION},
        {ROW("1.5"), JSON_INTEGER_FRACTION},
        {ROW("1e-1"), JSON_INTEGER_FRACTION},
        {ROW("15e-1"), JSON_INTEGER_FRACTION},
        {ROW("1.55e1"), JSON_INTEGER_FRACTION},
        {ROW("1e-400"), JSON_INTEGER_FRACTION},
        {ROW("1e-99999999999999999999"), JSON_INTEGER_FRACTION},
        {ROW("9007199254740990.5"), JSON_INTEGER_FRACTION},
        {ROW("9007199254740990.5e0"), JSON_INTEGER_FRACTION},
        {ROW("9007199254740992"), JSON_INTEGER_TOO_LARGE},
        {ROW("-9007199254740992"), JSON_INTEGER_TOO_LARGE},
        {ROW("9007199254740993"), JSON_INTEGER_TOO_LARGE},
        {ROW("9999999999999999"), JSON_INTEGER_TOO_LARGE},
        {ROW("1e16"), JSON_INTEGER_TOO_LARGE},
        {ROW("9223372036854775807"), JSON_INTEGER_TOO_LARGE},
        {ROW("18446744073709551617"), JSON_INTEGER_TOO_LARGE},
        {ROW("100000000000000000000000000000001"), JSON_INTEGER_TOO_LARGE},
        {ROW("1e400"), JSON_INTEGER_TOO_LARGE},
        {ROW("1e99999999999999999999"), JSON_INTEGER_TOO_LARGE},
        {ROW("1e18446744073709551617"), JSON_INTEGER_TOO_LARGE},
        {ROW("\"1\""), JSON_INTEGER_NOT_A_NUMBER},
        {ROW("true"), JSON_INTEGER_NOT_A_NUMBER},
        {ROW("null"), JSON_INTEGER_NOT_A_NUMBER},
        {ROW("[1]"), JSON_INTEGER_NOT_A_NUMBER},
        {ROW("{}"), JSON_INTEGER_NOT_A_NUMBER},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t value = -77;
        assert_true(json_case_parse(rows[i].text.data, rows[i].text.size));
        if (json_integer(&json_case.document, 0, &value) != rows[i].state || value != -77) {
            fail_msg("%s", rows[i].text.data);
        }
    }
}

/* --- strings ------------------------------------------------------------------------------ */

static void test_strings(void **state)
{
    (void)state;
    static const struct {
        struct text text;
        struct text decoded;
    } rows[] = {
        {ROW("\"\""), ROW("")},
        {ROW("\"abc\""), ROW("abc")},
        {ROW("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), ROW("\"\\/\b\f\n\r\t")},
        {ROW("\"a\\u0000b\""), ROW("a\0b")},
        {ROW("\"\\u007f\\u0080\\u07ff\\u0800\\uFFFF\""),
         ROW("\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf")},
        {ROW("\"\\ud800\\udc00\\uDBFF\\uDFFF\""), ROW("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf")},
        {ROW("\"\\ud83D\\uDe00\xc3\xa9x\""), ROW("\xf0\x9f\x98\x80\xc3\xa9x")},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char buffer[32];
        memset(buffer, '#', sizeof(buffer));
        size_t size = rows[i].decoded.size;
        assert_true(json_case_parse(rows[i].text.data, rows[i].text.size));
        assert_int_equal(json_string(&json_case.document, 0, buffer, size), size);
        assert_memory_equal(buffer, rows[i].decoded.data, size);
        assert_int_equal(buffer[size], '#');
        assert_true(json_string_equal(&json_case.document, 0, rows[i].decoded));
        if (size > 0) {
            struct text shorter = {.data = rows[i].decoded.data, .size = size - 1};
            assert_true(json_string(&json_case.document, 0, buffer, size - 1) == SIZE_MAX);
            assert_false(json_string_equal(&json_case.document, 0, shorter));
        }
        buffer[size] = '#';
        assert_false(json_string_equal(&json_case.document, 0, (struct text){buffer, size + 1}));
    }
    assert_true(json_case_parse("\"\"", 2));
    assert_int_equal(json_string(&json_case.document, 0, NULL, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_token_list),  cmocka_unit_test(test_too_many_values),
        cmocka_unit_test(test_no_text),     cmocka_unit_test(test_integers),
        cmocka_unit_test(test_no_integers), cmocka_unit_test(test_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
