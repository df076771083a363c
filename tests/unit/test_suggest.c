/* "did you mean": distances, and which candidate is offered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "config/suggest.h"

static void test_distance(void **state)
{
    (void)state;
    assert_int_equal(suggest_distance("", ""), 0);
    assert_int_equal(suggest_distance("", "abc"), 3);
    assert_int_equal(suggest_distance("abc", ""), 3);
    assert_int_equal(suggest_distance("ab", "ba"), 1);
    assert_int_equal(suggest_distance("ca", "abc"), 3); /* optimal string alignment */
    assert_int_equal(suggest_distance("kitten", "sitting"), 3);
    assert_int_equal(suggest_distance("LOG-level", "log_level"), 0);
    char longest[SUGGEST_WORD_BYTES_MAX + 2];
    memset(longest, 'x', sizeof longest);
    longest[SUGGEST_WORD_BYTES_MAX + 1] = '\0';
    assert_true(suggest_distance(longest, "x") == SIZE_MAX);
    longest[SUGGEST_WORD_BYTES_MAX] = '\0';
    assert_int_equal(suggest_distance(longest, "x"), SUGGEST_WORD_BYTES_MAX - 1);
    assert_int_equal(suggest_distance(longest, longest), 0);
}

static const char *closest(const char *word, const char *const *candidates)
{
    static struct suggestion suggestion;
    suggestion_begin(&suggestion, word);
    for (size_t i = 0; candidates[i] != NULL; i++) {
        suggestion_offer(&suggestion, candidates[i]);
    }
    return suggestion_best(&suggestion);
}

/* One mistake in three letters, two in seven, three in more; the nearest; the first of equals. */
static void test_closest(void **state)
{
    (void)state;
    static const char *const candidates[] = {"one", "listen", "lists", "max_connections", NULL};
    assert_string_equal(closest("ona", candidates), "one");
    assert_null(closest("axe", candidates));
    assert_string_equal(closest("lisxxn", candidates), "listen");
    assert_null(closest("lixxxn", candidates));
    assert_string_equal(closest("listes", candidates), "listen");
    assert_string_equal(closest("listss", candidates), "lists");
    assert_string_equal(closest("max_conections_xx", candidates) == NULL ? "" : "x", "");
    assert_string_equal(closest("max_conection_s", candidates), "max_connections");
    assert_string_equal(closest("MAX-CONNECTION", candidates), "max_connections");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distance),
        cmocka_unit_test(test_closest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
