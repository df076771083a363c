/* What the parts of the pessimistic strategy share. */
#ifndef RESVD_PESSIMISTIC_PESSIMISTIC_H
#define RESVD_PESSIMISTIC_PESSIMISTIC_H

#include <stdint.h>

#include "common/base.h"

enum pessimistic_form { FORM_STATEMENTS, FORM_PROCEDURE };

struct pessimistic {
    struct base base;
    enum pessimistic_form form;
    uint64_t hold_ms;
};

struct pessimistic_op {
    struct base_op base;
    uint64_t since_ns; /* the attempt's begin; then that of the wait for the lock */
    uint64_t begun_ns;
};

extern const struct resv_metric_table pessimistic_metrics;

enum pessimistic_metric {
    METRIC_TRANSACTION_SECONDS,
    METRIC_LOCK_SECONDS,
};

/* statements.c: BEGIN, SELECT … FOR UPDATE, UPDATE, INSERT, COMMIT. */
extern const struct work_owner pessimistic_statements;
/* procedure.c: one CALL. */
extern const struct work_owner pessimistic_procedure;

/* The attempt begins; it was committed. For the histogram. */
void pessimistic_begun(const struct resv_op *op);
void pessimistic_committed(const struct resv_op *op);

static inline struct pessimistic_op *pessimistic_op_of(const struct resv_op *op)
{
    return op->strategy_private;
}

static inline struct pessimistic *pessimistic_of(const struct resv_op *op)
{
    return (struct pessimistic *)base_op_of(op)->base;
}

#endif
