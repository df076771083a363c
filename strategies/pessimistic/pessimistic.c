/* The pessimistic strategy: one reservation, one transaction, the concert's row locked first.
 * Options, metrics and the seam; the transactions are in statements.c and procedure.c. */
#include "pessimistic.h"

#include "resvd/strategy.h"

enum { ROWS_MAX = 512 }; /* lookups that share a read */

/* --- options and metrics ----------------------------------------------------------------------
 */

enum option { OPTION_FORM, OPTION_HOLD_MS };

static const char *const forms[] = {
    [FORM_STATEMENTS] = "statements", [FORM_PROCEDURE] = "procedure", NULL};

static const struct resv_option options[] = {
    [OPTION_FORM] = {.key = "form",
                     .type = RESV_OPTION_CHOICE,
                     .default_text = "statements",
                     .choices = forms,
                     .help = "five plain statements, each a round trip, or one call of a stored "
                             "procedure that does the same"},
    [OPTION_HOLD_MS] = {.key = "hold_ms",
                        .type = RESV_OPTION_INTEGER,
                        .default_text = "0",
                        .minimum = 0,
                        .maximum = 60000,
                        .unit = "ms",
                        .help = "sleeps so long while it holds the lock: for experiments"},
};

static const struct resv_option_table option_table = {
    .section = "strategy.pessimistic",
    .help = "One reservation, one transaction, under a row lock",
    .options = options,
    .count = sizeof options / sizeof options[0],
};

static const struct resv_metric metrics[] = {
    [METRIC_TRANSACTION_SECONDS] = {.name = "pessimistic_transaction_seconds",
                                    .type = RESV_METRIC_HISTOGRAM_SECONDS,
                                    .help = "A granted reservation's transaction, from its begin "
                                            "until it was committed"},
    [METRIC_LOCK_SECONDS] = {.name = "pessimistic_lock_seconds",
                             .type = RESV_METRIC_HISTOGRAM_SECONDS,
                             .help = "SELECT … FOR UPDATE: the wait for the concert's row (not "
                                     "with form = procedure)"},
};

const struct resv_metric_table pessimistic_metrics = {
    .metrics = metrics,
    .count = sizeof metrics / sizeof metrics[0],
};

void pessimistic_begun(const struct resv_op *op)
{
    pessimistic_op_of(op)->begun_ns = resv_now_ns(base_op_of(op)->base->host);
}

void pessimistic_committed(const struct resv_op *op)
{
    struct resv_host *host = base_op_of(op)->base->host;
    resv_metric_observe(host, &pessimistic_metrics, METRIC_TRANSACTION_SECONDS,
                        resv_now_ns(host) - pessimistic_op_of(op)->begun_ns);
}

/* --- the seam ---------------------------------------------------------------------------------
 */

static int open_options(struct base *base)
{
    struct pessimistic *pessimistic = (struct pessimistic *)base;
    pessimistic->form =
        (enum pessimistic_form)resv_option_choice(base->host, &option_table, OPTION_FORM);
    pessimistic->hold_ms = (uint64_t)resv_option_integer(base->host, &option_table, OPTION_HOLD_MS);
    base->needs_procedure = pessimistic->form == FORM_PROCEDURE;
    return 0;
}

static void reserve(struct base *base, struct resv_op *op)
{
    const struct pessimistic *pessimistic = (const struct pessimistic *)base;
    switch (pessimistic->form) {
    case FORM_STATEMENTS:
        base_work_start(base, op, &pessimistic_statements);
        break;
    case FORM_PROCEDURE:
        base_work_start(base, op, &pessimistic_procedure);
        break;
    }
}

static const struct base_plan plan = {
    .isolation = DATABASE_READ_COMMITTED,
    .rows_max = ROWS_MAX,
    .size = sizeof(struct pessimistic),
    .retries = true,
    .open = open_options,
    .reserve = reserve,
};

static int open_instance(struct resv_host *host, void **instance)
{
    return base_open(host, &plan, instance);
}

static const struct resv_option_table *const option_tables[] = {&option_table, &database_options,
                                                                NULL};
static const struct resv_metric_table *const metric_tables[] = {&pessimistic_metrics, &base_metrics,
                                                                &database_metrics, NULL};

extern const struct resv_strategy resv_strategy_pessimistic;
const struct resv_strategy resv_strategy_pessimistic = {
    .name = "pessimistic",
    .summary = "the plain way on a database server: lock the concert's row, check, write, commit",
    .store = "MariaDB or MySQL",
    .option_tables = option_tables,
    .metric_tables = metric_tables,
    .op_private_size = sizeof(struct pessimistic_op),
    .open = open_instance,
    .start = base_start,
    .submit = base_submit,
    .catalog = base_catalog,
    .cancel = base_cancel,
    .drain = base_drain,
    .close = base_close,
};
