/* What redis.h and the scripts on it must do, as cases that every implementation runs: the real
 * link on a real server, and the simulated nodes. What differs between them would be a fault of the
 * simulation (or of this description).
 *
 * Each case uses keys and channels of its own, and leaves no call and no subscription. Cases assert
 * by cmocka.
 */
#ifndef TESTS_SUPPORT_REDIS_CASES_H
#define TESTS_SUPPORT_REDIS_CASES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "redis.h"

#define REDIS_CASES_CALLS_MAX 100

/* What the link must be made with, besides that and `subscribes`. */
extern const struct redis_script *const redis_cases_scripts[];

struct redis_cases {
    struct redis_link *link; /* open, of one node; the time-out of a call is 1 s or more */
    void *data;
    /* Turns the loop until *done; fails the test when that takes more than some 20 s. */
    void (*run_until)(void *data, const bool *done);
    /* Turns the loop for so long, whatever happens. */
    void (*run_for_ms)(void *data, uint64_t milliseconds);
    /* The server forgets all scripts (SCRIPT FLUSH). */
    void (*forget_scripts)(void *data);
    uint64_t names; /* the cases' own: given out */
};

struct redis_case {
    const char *name;
    void (*run)(struct redis_cases *cases);
};

/* All of them: lists that end with a name of NULL; the list of lists ends with NULL. */
extern const struct redis_case *const redis_cases_all[];

#endif
