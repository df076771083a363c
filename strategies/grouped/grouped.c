/* grouped: requests that wait for one concert share one transaction.
 *
 * This file: the seam's functions, and the tables of options and metrics.
 *
 * Invariant: whatever the way, a reservation is granted when the transaction with its row and its
 * seats has been committed, and only then. */
#include "grouped.h"

#include <errno.h>

static const struct resv_option options[] = {
    [OPTION_GROUP_MAX] = {.key = "group_max",
                          .type = RESV_OPTION_INTEGER,
                          .default_text = "500",
                          .minimum = 1,
                          .maximum = GROUP_REQUESTS_MAX,
                          .unit = "operations",
                          .help = "most reservations that share one transaction"},
    [OPTION_GROUPS_PER_CONCERT] = {.key = "groups_per_concert",
                                   .type = RESV_OPTION_INTEGER,
                                   .default_text = "1",
                                   .minimum = 1,
                                   .maximum = 8,
                                   .unit = "transactions",
                                   .help = "most transactions at a time for one concert; they "
                                           "wait for each other at its row"},
    [OPTION_GROUPS_MAX] = {.key = "groups_max",
                           .type = RESV_OPTION_INTEGER,
                           .default_text = "64",
                           .minimum = 1,
                           .maximum = 1024,
                           .unit = "transactions",
                           .help = "most transactions at a time, waiting for a connection or "
                                   "under way"},
    [OPTION_CONCERTS_MAX] = {.key = "concerts_max",
                             .type = RESV_OPTION_INTEGER,
                             .default_text = "20000",
                             .minimum = 1,
                             .maximum = 1000000,
                             .unit = "concerts",
                             .help = "most concerts that are waited for at the same moment"},
    [OPTION_HOLD_MS] = {.key = "hold_ms",
                        .type = RESV_OPTION_INTEGER,
                        .default_text = "0",
                        .minimum = 0,
                        .maximum = 60000,
                        .unit = "ms",
                        .help = "for experiments: how long a transaction keeps the concert locked "
                                "before it writes"},
};

const struct resv_option_table grouped_options = {
    .section = "strategy.grouped",
    .help = "Requests that wait for one concert share one transaction",
    .options = options,
    .count = sizeof options / sizeof options[0],
};

static const struct resv_metric metrics[] = {
    [METRIC_GROUP_OPERATIONS] = {.name = "grouped_group_operations",
                                 .type = RESV_METRIC_HISTOGRAM_COUNT,
                                 .help = "Reservations that shared a transaction"},
    [METRIC_TRANSACTION_SECONDS] = {.name = "grouped_transaction_seconds",
                                    .type = RESV_METRIC_HISTOGRAM_SECONDS,
                                    .help = "A group, from its connection until it was answered"},
    [METRIC_WAITING_OPERATIONS] = {.name = "grouped_waiting_operations",
                                   .type = RESV_METRIC_GAUGE,
                                   .help = "Reservations that wait for their concert's next group"},
    [METRIC_PLAIN] = {.name = "grouped_plain_total",
                      .type = RESV_METRIC_COUNTER,
                      .help = "Groups sent in one round trip"},
    [METRIC_LOOK] = {.name = "grouped_look_total",
                     .type = RESV_METRIC_COUNTER,
                     .help = "Looks without a lock at a concert remembered as sold out"},
    [METRIC_CAREFUL] = {.name = "grouped_careful_total",
                        .type = RESV_METRIC_COUNTER,
                        .help = "Groups decided one by one behind the concert's lock"},
};

const struct resv_metric_table grouped_metrics = {
    .metrics = metrics,
    .count = sizeof metrics / sizeof metrics[0],
};

/* --- what base asks for -------------------------------------------------------------------------
 */

static int open_groups(struct base *base)
{
    struct grouped *grouped = (struct grouped *)base;
    struct resv_host *host = base->host;
    grouped->group_max = (size_t)resv_option_integer(host, &grouped_options, OPTION_GROUP_MAX);
    if (grouped->group_max > base->rows_max)
        base->rows_max = grouped->group_max;
    grouped->groups_per_concert =
        (size_t)resv_option_integer(host, &grouped_options, OPTION_GROUPS_PER_CONCERT);
    grouped->groups_count = (size_t)resv_option_integer(host, &grouped_options, OPTION_GROUPS_MAX);
    grouped->hold_ms = (uint64_t)resv_option_integer(host, &grouped_options, OPTION_HOLD_MS);
    grouped->flush = (struct resv_deferred){.run = grouped_flush, .data = grouped};
    size_t concerts_max = (size_t)resv_option_integer(host, &grouped_options, OPTION_CONCERTS_MAX);
    if (waiting_open(&grouped->waiting, concerts_max, sizeof(struct grouped_concert)) &&
        grouped_open_groups(grouped))
        return 0;
    resv_host_start_failed(
        host, 1, "out of memory: lower [strategy.grouped] group_max, groups_max or concerts_max");
    return -ENOMEM;
}

static void free_groups(struct base *base)
{
    struct grouped *grouped = (struct grouped *)base;
    resv_defer_cancel(base->host, &grouped->flush);
    grouped_close_groups(grouped);
    waiting_close(&grouped->waiting);
}

static void reserve(struct base *base, struct resv_op *op)
{
    grouped_add((struct grouped *)base, op);
}

static void cancel(struct base *base, struct resv_op *op)
{
    grouped_cancel((struct grouped *)base, op);
}

static void abandon(struct base *base)
{
    grouped_abandon((struct grouped *)base);
}

static void catalog_changed(struct base *base, int64_t concert_id)
{
    struct grouped *grouped = (struct grouped *)base;
    if (concert_id != 0)
        hints_drop_concert(&grouped->hints, concert_id);
    else
        hints_drop_all(&grouped->hints);
}

static void up_changed(struct base *base)
{
    if (!database_link_is_up(base->link))
        grouped_refuse_waiting((struct grouped *)base, RESV_UNAVAILABLE);
}

static const struct base_plan plan = {
    .isolation = DATABASE_READ_COMMITTED,
    .rows_max = 512, /* of lookups; as many as a group has, when that is more */
    .size = sizeof(struct grouped),
    .retries = true,
    .open = open_groups,
    .free = free_groups,
    .reserve = reserve,
    .cancel = cancel,
    .abandon = abandon,
    .catalog_changed = catalog_changed,
    .up_changed = up_changed,
};

/* --- the seam -----------------------------------------------------------------------------------
 */

static int grouped_open(struct resv_host *host, void **instance)
{
    return base_open(host, &plan, instance);
}

static const struct resv_option_table *const option_tables[] = {&grouped_options, &database_options,
                                                                NULL};
static const struct resv_metric_table *const metric_tables[] = {&grouped_metrics, &base_metrics,
                                                                &database_metrics, NULL};

extern const struct resv_strategy resv_strategy_grouped;
const struct resv_strategy resv_strategy_grouped = {
    .name = "grouped",
    .summary = "the quickest on a database: requests waiting for one concert share a transaction",
    .store = "MariaDB or MySQL",
    .option_tables = option_tables,
    .metric_tables = metric_tables,
    .op_private_size = sizeof(struct waiting_op),
    .open = grouped_open,
    .start = base_start,
    .submit = base_submit,
    .catalog = base_catalog,
    .cancel = base_cancel,
    .drain = base_drain,
    .close = base_close,
};
