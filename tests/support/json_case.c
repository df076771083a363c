/* One text given to json_parse, as the unit tests do it. */
#include "support/json_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/json_differential.h"

#define TOKENS_MAX 20000

struct json_case json_case;

bool json_case_parse(const char *text, size_t size)
{
    static struct json_token tokens[TOKENS_MAX];
    static char *block;
    free(block);
    block = malloc(size + (size == 0));
    assert_non_null(block);
    memcpy(block, text, size);
    json_case.document = (struct json_document){.tokens = tokens, .tokens_max = TOKENS_MAX};
    json_case.error = (struct json_error){.what = "", .offset = SIZE_MAX};
    return json_parse(&json_case.document, block, size, &json_case.error);
}

void json_case_accepted(const char *text, size_t size)
{
    if (!json_case_parse(text, size)) {
        fail_msg("refused (%s at %zu): %.*s", json_case.error.what, json_case.error.offset,
                 (int)size, text);
    }
    const char *why = NULL;
    if (json_differential(text, size, &why) != JSON_VERDICT_ACCEPTED) {
        fail_msg("%s: %.*s", why, (int)size, text);
    }
}

void json_case_refused(const char *text, size_t size, const char *what, size_t offset)
{
    if (json_case_parse(text, size)) {
        fail_msg("accepted: %.*s", (int)size, text);
    }
    if (strcmp(json_case.error.what, what) != 0 || json_case.error.offset != offset) {
        fail_msg("refused with \"%s\" at %zu, not \"%s\" at %zu: %.*s", json_case.error.what,
                 json_case.error.offset, what, offset, (int)size, text);
    }
    assert_int_equal(json_case.document.token_count, 0);
}
