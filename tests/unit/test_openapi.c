/* The OpenAPI document against the table of routes and the table of problems. */
#include "routes_fixture.h"

#include <stdio.h>

#include "routes/documents.h"
#include "routes/problems.h"
#include "routes/router.h"

static cJSON *document;

static int parse_document(void **state)
{
    (void)state;
    document = cJSON_ParseWithLength(openapi_json, openapi_json_size);
    assert_non_null(document);
    return 0;
}

static int free_document(void **state)
{
    (void)state;
    cJSON_Delete(document);
    return 0;
}

static const cJSON *member(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static const char *method_member(enum http_method method)
{
    switch (method) {
    case METHOD_GET:
        return "get";
    case METHOD_POST:
        return "post";
    case METHOD_PUT:
        return "put";
    case METHOD_DELETE:
        return "delete";
    case METHOD_HEAD:
    case METHOD_OPTIONS:
    case METHOD_PATCH:
    case METHOD_TRACE:
    case METHOD_CONNECT:
    case METHOD_COUNT:
        break;
    }
    fail_msg("a route with method %d", (int)method);
    return NULL;
}

static const cJSON *operation_of(const struct route *route)
{
    const cJSON *path = member(member(document, "paths"), route->path);
    const cJSON *operation = member(path, method_member(route->method));
    if (operation == NULL)
        fail_msg("%s %s is not in the document", method_member(route->method), route->path);
    return operation;
}

static void test_every_route_is_described(void **state)
{
    (void)state;
    for (size_t i = 0; i < route_table_count; i++) {
        const struct route *route = &route_table[i];
        const cJSON *operation = operation_of(route);
        const cJSON *responses = member(operation, "responses");
        bool reads_json = (route->traits & ROUTE_READS_JSON) != 0;
        assert_true((member(operation, "requestBody") != NULL) == reads_json);
        assert_true((member(responses, "415") != NULL) == reads_json);
        bool wants_key = (route->traits & ROUTE_WITHOUT_KEY) == 0;
        assert_true((member(responses, "401") != NULL) == wants_key);
        assert_true((member(operation, "security") == NULL) == wants_key);
        bool needs_op = (route->traits & ROUTE_NEEDS_OP) != 0;
        assert_true((member(responses, "504") != NULL) == needs_op);
        if ((route->traits & ROUTE_NEEDS_RESET) != 0)
            assert_non_null(member(responses, "403"));
        if ((route->traits & (ROUTE_ASYNC_ONLY | ROUTE_STUDY)) != 0 || strchr(route->path, '{'))
            assert_non_null(member(responses, "404"));
        const char *const everywhere[] = {"400", "405", "408", "413", "414",
                                          "417", "431", "501", "503", "505"};
        for (size_t s = 0; s < sizeof(everywhere) / sizeof(everywhere[0]); s++)
            assert_non_null(member(responses, everywhere[s]));
    }
}

static void test_every_description_has_its_route(void **state)
{
    (void)state;
    size_t operations = 0;
    const cJSON *path;
    cJSON_ArrayForEach(path, member(document, "paths"))
    {
        const cJSON *servers = member(path, "servers");
        assert_true(cJSON_GetArraySize(servers) >= 1);
        const cJSON *operation;
        cJSON_ArrayForEach(operation, path)
        {
            if (strcmp(operation->string, "servers") == 0 ||
                strcmp(operation->string, "parameters") == 0)
                continue;
            operations++;
            bool found = false;
            for (size_t i = 0; i < route_table_count; i++) {
                const struct route *route = &route_table[i];
                if (strcmp(route->path, path->string) != 0 ||
                    strcmp(method_member(route->method), operation->string) != 0)
                    continue;
                found = true;
                int listeners =
                    ((route->traits & ROUTE_ON_API) != 0) + ((route->traits & ROUTE_ON_ADMIN) != 0);
                assert_int_equal(cJSON_GetArraySize(servers), listeners);
            }
            if (!found)
                fail_msg("%s %s has no route", operation->string, path->string);
        }
    }
    assert_int_equal(operations, route_table_count);
}

static void check_references(const cJSON *item)
{
    const char *prefix = "#/components/";
    const cJSON *child;
    cJSON_ArrayForEach(child, item)
    {
        if (child->string == NULL || strcmp(child->string, "$ref") != 0) {
            check_references(child);
            continue;
        }
        char kind[64];
        char name[64];
        assert_memory_equal(child->valuestring, prefix, strlen(prefix));
        assert_int_equal(sscanf(child->valuestring + strlen(prefix), "%63[^/]/%63s", kind, name),
                         2);
        if (member(member(member(document, "components"), kind), name) == NULL)
            fail_msg("%s leads nowhere", child->valuestring);
    }
}

static void test_references(void **state)
{
    (void)state;
    check_references(document);
}

/* The statuses of all problems that a route itself can give are described somewhere. */
static void test_every_problem_is_described(void **state)
{
    (void)state;
    for (enum problem problem = 0; problem < PROBLEM_COUNT; problem++) {
        char status[8];
        snprintf(status, sizeof(status), "%u", (unsigned)problems[problem].status);
        bool found = false;
        for (size_t i = 0; i < route_table_count; i++)
            found |= member(member(operation_of(&route_table[i]), "responses"), status) != NULL;
        if (!found)
            fail_msg("status %s is not described", status);
    }
}

/* Examples of problems say what the server would say. */
static void check_example(const cJSON *example)
{
    const char *type = member(example, "type")->valuestring;
    struct text slug = {type + strlen("/problems/"), strlen(type) - strlen("/problems/")};
    enum problem problem = problem_find(slug);
    if (problem == PROBLEM_COUNT)
        fail_msg("there is no problem %s", type);
    assert_string_equal(member(example, "title")->valuestring, problems[problem].title.data);
    assert_int_equal(member(example, "status")->valueint, problems[problem].status);
}

static void test_examples_of_problems(void **state)
{
    (void)state;
    size_t checked = 0;
    const cJSON *response;
    cJSON_ArrayForEach(response, member(member(document, "components"), "responses"))
    {
        const cJSON *media = member(member(response, "content"), "application/problem+json");
        assert_non_null(media);
        const cJSON *example = member(media, "example");
        const cJSON *one;
        if (example != NULL) {
            check_example(example);
            checked++;
        }
        cJSON_ArrayForEach(one, member(media, "examples"))
        {
            check_example(member(one, "value"));
            checked++;
        }
    }
    assert_true(checked > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_route_is_described),
        cmocka_unit_test(test_every_description_has_its_route),
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_every_problem_is_described),
        cmocka_unit_test(test_examples_of_problems),
    };
    return cmocka_run_group_tests(tests, parse_document, free_document);
}
