/* async's options and metrics. */
#include "async.h"

static const struct resv_option options[] = {
    [OPTION_BATCH_MAX] = {.key = "batch_max",
                          .type = RESV_OPTION_INTEGER,
                          .default_text = "2000",
                          .minimum = 1,
                          .maximum = ASYNC_BATCH_MAX,
                          .unit = "events",
                          .help = "most events that the consumer applies in one transaction; what "
                                  "has come beyond that is the next one's"},
    [OPTION_BATCH_WAIT_MS] = {.key = "batch_wait_ms",
                              .type = RESV_OPTION_INTEGER,
                              .default_text = "0",
                              .minimum = 0,
                              .maximum = 10000,
                              .unit = "ms",
                              .help = "how long the consumer, when it had nothing to do, waits "
                                      "behind the first event for more before it begins a "
                                      "transaction; 0: not at all. Below sweep_after_ms"},
    [OPTION_EVENTS_MAX] = {.key = "events_max",
                           .type = RESV_OPTION_INTEGER,
                           .default_text = "20000",
                           .minimum = 1,
                           .maximum = 1000000,
                           .unit = "events",
                           .help = "most events of requests that Kafka has not answered yet; what "
                                   "comes beyond that is 503 with Retry-After, and takes nothing"},
    [OPTION_SWEEP_AFTER_MS] = {.key = "sweep_after_ms",
                               .type = RESV_OPTION_INTEGER,
                               .default_text = "5000",
                               .minimum = 100,
                               .maximum = 600000,
                               .unit = "ms",
                               .help = "how often the consumer looks for what was left behind: a "
                                       "reservation that is pending while others, made so much "
                                       "later, have their rows is published again, as its event "
                                       "may not be in the log. Above batch_wait_ms"},
    [OPTION_CONCERTS_MAX] = {.key = "concerts_max",
                             .type = RESV_OPTION_INTEGER,
                             .default_text = "20000",
                             .minimum = 1,
                             .maximum = 1000000,
                             .unit = "concerts",
                             .help =
                                 "most concerts with reservations that wait for Redis at the same "
                                 "moment; those for further ones are 503 with Retry-After"},
    [OPTION_VECTOR_MAX] = {.key = "vector_max",
                           .type = RESV_OPTION_INTEGER,
                           .default_text = "500",
                           .minimum = 1,
                           .maximum = ASYNC_VECTOR_MAX,
                           .unit = "reservations",
                           .help = "most reservations of a concert that share one call of Redis; 1 "
                                   "gives each its own"},
};

const struct resv_option_table async_options = {
    .section = "strategy.async",
    .help = "Seats are taken in Redis, accepted when Kafka has the event, and written in batches",
    .options = options,
    .count = sizeof options / sizeof options[0],
};

#define COUNTER(NAME, HELP)                                                                        \
    {                                                                                              \
        .name = "async_" NAME "_total", .type = RESV_METRIC_COUNTER, .help = HELP                  \
    }

static const struct resv_metric metrics[] = {
    [METRIC_TAKEN_PER_CALL] = {.name = "async_taken_per_call",
                               .type = RESV_METRIC_HISTOGRAM_COUNT,
                               .help = "Reservations that shared one call of Redis"},
    [METRIC_ACCEPT_SECONDS] = {.name = "async_accept_seconds",
                               .type = RESV_METRIC_HISTOGRAM_SECONDS,
                               .help = "From seats taken in Redis until Kafka had the event"},
    [METRIC_ROW_SECONDS] = {.name = "async_row_seconds",
                            .type = RESV_METRIC_HISTOGRAM_SECONDS,
                            .help =
                                "From a reservation's event being made until its row was durable, "
                                "by the wall clocks of the two processes"},
    [METRIC_BATCH_EVENTS] = {.name = "async_batch_events",
                             .type = RESV_METRIC_HISTOGRAM_COUNT,
                             .help = "Events that were applied in one transaction"},
    [METRIC_BATCH_SECONDS] = {.name = "async_batch_seconds",
                              .type = RESV_METRIC_HISTOGRAM_SECONDS,
                              .help =
                                  "Transactions that applied events, from their first try until "
                                  "they were durable"},
    [METRIC_PLAIN] =
        COUNTER("batches_plain", "Batches of reservations applied as they stood, in one round "
                                 "trip"),
    [METRIC_CAREFUL] =
        COUNTER("batches_careful", "Batches of which each event was looked at, behind locks"),
    [METRIC_REJECTED] =
        COUNTER("rejected", "Accepted reservations that did not fit when they were "
                            "applied: Redis had lost data, or capacity was lowered"),
    [METRIC_DUPLICATES] = COUNTER("duplicates", "Events whose row was there already"),
    [METRIC_STALE] = COUNTER("stale", "Events from before a reset of the database, passed over"),
    [METRIC_DEAD_LETTERS] =
        COUNTER("dead_letters", "Events that could not be applied, and are among the dead letters"),
    [METRIC_SWEPT] =
        COUNTER("swept", "Events published again, as rows of later ones were there, and theirs "
                         "were not"),
    [METRIC_UNDONE] =
        COUNTER("undone", "Reservations whose seats went back, as Kafka did not take the "
                          "event"),
    [METRIC_GATES_CLOSED] =
        COUNTER("gate_closed", "Reservations that found their concert's gate closed, each "
                               "once"),
    [METRIC_GATES_OPENED] = COUNTER("gates_opened", "Concerts whose numbers in Redis were made "
                                                    "anew from the database"),
    [METRIC_SETTLES_IGNORED] =
        COUNTER("settles_ignored", "Settles that came behind a newer one, and changed no "
                                   "number"),
    [METRIC_PENDING_SEATS] = {.name = "async_pending_seats",
                              .type = RESV_METRIC_GAUGE,
                              .help = "Seats taken in Redis whose rows have not come, of all "
                                      "concerts, as of this process's last round of looking for "
                                      "what was left behind"},
};

const struct resv_metric_table async_metrics = {
    .metrics = metrics,
    .count = sizeof metrics / sizeof metrics[0],
};
