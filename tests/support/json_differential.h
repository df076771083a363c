/* What json_parse accepts, held against cJSON and against its own contract. For the unit test and
 * the fuzzer. */
#ifndef RESVD_TESTS_SUPPORT_JSON_DIFFERENTIAL_H
#define RESVD_TESTS_SUPPORT_JSON_DIFFERENTIAL_H

#include <stddef.h>

#define JSON_DIFFERENTIAL_TOKENS_MAX 20000
#define JSON_DIFFERENTIAL_TEXT_MAX   20000

enum json_verdict {
    JSON_VERDICT_REFUSED,
    JSON_VERDICT_ACCEPTED,
    JSON_VERDICT_WRONG, /* *why says what; static */
};

/* size: at most JSON_DIFFERENTIAL_TEXT_MAX. */
enum json_verdict json_differential(const char *text, size_t size, const char **why);

#endif
