/* What an outcome means over HTTP: one table for all kinds of operations. */
#ifndef RESVD_ROUTES_OUTCOMES_H
#define RESVD_ROUTES_OUTCOMES_H

#include <stdbool.h>

#include "resvd/op.h"
#include "routes/call.h"
#include "routes/problems.h"

struct outcome_answer {
    uint16_t status;
    enum problem problem; /* PROBLEM_COUNT: none, it went well */
};
extern const struct outcome_answer outcome_answers[RESV_OUTCOME_COUNT];

/* True when the outcome is a problem, which has then been answered. False when it went well, with
 * the outcome of an operation of this kind: the status is in the table, the body is the route's. */
bool outcome_refuse(struct call *call, const struct resv_op *op);

#endif
