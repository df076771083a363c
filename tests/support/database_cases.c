/* All database cases in one list. */
#include "database_case_kit.h"

const struct database_case *const database_cases_all[] = {
    database_cases_steps,
    database_cases_locks,
    database_cases_call,
    database_cases_fence,
    database_cases_events,
    database_cases_positions,
    NULL,
};
