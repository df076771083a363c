/* The naive strategy: no control at all. It exists to show what goes wrong without any; it refuses
 * to start without --i-know-this-oversells. Options and the seam. */
#include "naive.h"

#include "resvd/strategy.h"

enum { ROWS_MAX = 512 }; /* lookups that share a read */

enum option { OPTION_HOLD_MS };

static const struct resv_option options[] = {
    [OPTION_HOLD_MS] = {.key = "hold_ms",
                        .type = RESV_OPTION_INTEGER,
                        .default_text = "0",
                        .minimum = 0,
                        .maximum = 60000,
                        .unit = "ms",
                        .help = "sleeps so long between reading and writing: for experiments"},
};

static const struct resv_option_table option_table = {
    .section = "strategy.naive",
    .help = "Read, insert, write back: sells too much, by intention",
    .options = options,
    .count = sizeof options / sizeof options[0],
};

static int open_options(struct base *base)
{
    struct naive *naive = (struct naive *)base;
    naive->hold_ms = (uint64_t)resv_option_integer(base->host, &option_table, OPTION_HOLD_MS);
    return 0;
}

static void reserve(struct base *base, struct resv_op *op)
{
    base_work_start(base, op, &naive_transaction);
}

static const struct base_plan plan = {
    .isolation = DATABASE_REPEATABLE_READ,
    .rows_max = ROWS_MAX,
    .size = sizeof(struct naive),
    .retries = false,
    .open = open_options,
    .reserve = reserve,
};

static int open_instance(struct resv_host *host, void **instance)
{
    return base_open(host, &plan, instance);
}

static const struct resv_option_table *const option_tables[] = {&option_table, &database_options,
                                                                NULL};
static const struct resv_metric_table *const metric_tables[] = {&base_metrics, &database_metrics,
                                                                NULL};

extern const struct resv_strategy resv_strategy_naive;
const struct resv_strategy resv_strategy_naive = {
    .name = "naive",
    .summary = "read, insert, write back, no control: shows deadlocks and lost updates",
    .store = "MariaDB or MySQL",
    .may_oversell = true,
    .option_tables = option_tables,
    .metric_tables = metric_tables,
    .op_private_size = sizeof(struct base_op),
    .open = open_instance,
    .start = base_start,
    .submit = base_submit,
    .catalog = base_catalog,
    .cancel = base_cancel,
    .drain = base_drain,
    .close = base_close,
};
