/* A strategy that has nothing of its own but a list of the RESERVEs that it was given: what is seen
 * of it is what all strategies on a database share. */
#ifndef TESTS_BASE_FIXTURE_H
#define TESTS_BASE_FIXTURE_H

#include "common/base.h"
#include "database_fixture.h"

struct plain {
    struct base base;
    struct base_op_list reserves;
    unsigned abandoned, up_changed;
    int64_t concert_changed;
};

extern const struct resv_strategy plain_strategy;
extern unsigned plain_freed;  /* calls of the plan's free */
extern int plain_open_result; /* what the plan's open says */

/* A database_fixture with a started instance; rows_max is 4. */
int plain_set_up(void **state);
int plain_tear_down(void **state);
struct plain *plain_of(struct database_fixture *fixture);
/* All that were taken are granted. */
void complete_reserves(struct database_fixture *fixture);

#endif
