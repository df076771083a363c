/* What the steps of database.h must do, as cases that every implementation of it runs: the real
 * link on a real server, and the simulated database. What differs between them would be a fault of
 * the simulation (or of this description).
 *
 * Each case begins with a reset through the catalog and leaves every session given back. Cases
 * assert by cmocka.
 */
#ifndef TESTS_SUPPORT_DATABASE_CASES_H
#define TESTS_SUPPORT_DATABASE_CASES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "database.h"

struct database_cases {
    struct database_link *link; /* open; at least 4 sessions in DATABASE_SALES, rows_max >= 500,
                                 * steps_max DATABASE_STEPS_MAX,
                                 * lock waits of 1 s to 3 s */
    enum database_isolation isolation; /* that the link was made with */
    void *data;
    /* Turns the loop until *done; fails the test when that takes more than some 20 s. */
    void (*run_until)(void *data, const bool *done);
    /* Turns the loop for so long, whatever happens. */
    void (*run_for_ms)(void *data, uint64_t milliseconds);
    /* Submits to the link's catalog, turns the loop until completed, returns the outcome. */
    enum resv_outcome (*catalog)(void *data, struct resv_op *op);
    uint64_t ids; /* the cases' own: numbers given out */
};

struct database_case {
    const char *name;
    void (*run)(struct database_cases *cases);
};

/* All of them: lists that end with a name of NULL; the list of lists ends with NULL. */
extern const struct database_case *const database_cases_all[];

#endif
