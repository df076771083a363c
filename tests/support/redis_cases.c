/* All Redis cases in one list. */
#include "redis_case_kit.h"

const struct redis_case *const redis_cases_all[] = {
    redis_cases_commands, redis_cases_hashes, redis_cases_values, redis_cases_link, NULL,
};
