/* The cJSON helpers for building answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "resvd/op.h"
#include "support/json_case.h"
#include "json/json_build.h"

static void test_build(void **state)
{
    (void)state;
    cJSON *object = cJSON_CreateObject();
    assert_true(json_build_add(object, "largest", json_build_integer(RESV_INTEGER_MAX)));
    assert_true(json_build_add(object, "round", json_build_integer(1000000000000000)));
    assert_true(json_build_add(object, "smallest", json_build_integer(INT64_MIN)));
    assert_true(json_build_add(object, "zero", json_build_integer(0)));
    assert_true(json_build_add(object, "startsAt", json_build_time(1795375800000)));
    assert_true(json_build_add(object, "never", json_build_time(INT64_MIN)));
    assert_true(json_build_add(object, "venue", json_build_text_or_null("")));
    assert_true(json_build_add(object, "title", json_build_text_or_null("\"\xc3\xa9\"\n\x01")));
    cJSON *list = cJSON_CreateArray();
    assert_true(json_build_add(list, NULL, json_build_integer(1)));
    assert_true(json_build_add(list, NULL, json_build_integer(-2)));
    assert_true(json_build_add(object, "list", list));
    size_t size = 0;
    char *text = json_build_print(object, &size);
    assert_string_equal(text, "{\"largest\":9007199254740991,\"round\":1000000000000000,"
                              "\"smallest\":-9223372036854775808,\"zero\":0,"
                              "\"startsAt\":\"2026-11-22T19:30:00Z\",\"never\":null,"
                              "\"venue\":null,\"title\":\"\\\"\xc3\xa9\\\"\\n\\u0001\","
                              "\"list\":[1,-2]}");
    assert_int_equal(size, strlen(text));
    json_case_accepted(text, size);
    free(text);
}

static void test_build_out_of_memory(void **state)
{
    (void)state;
    size_t size = 1;
    assert_false(json_build_add(NULL, "a", json_build_integer(1)));
    cJSON *object = cJSON_CreateObject();
    assert_false(json_build_add(object, "a", NULL));
    cJSON_Delete(object);
    assert_null(json_build_print(NULL, &size));
    assert_int_equal(size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_build),
        cmocka_unit_test(test_build_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
