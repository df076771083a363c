/* The Kafka link's options and metrics: the tables, and the settings read from them. */
#include <stdio.h>
#include <string.h>

#include "kafka_internal.h"

enum {
    OPTION_SERVERS,
    OPTION_TOPIC,
    OPTION_DEAD_LETTER_TOPIC,
    OPTION_TOPIC_PARTITIONS,
    OPTION_TOPIC_REPLICATION,
    OPTION_GROUP,
    OPTION_TIMEOUT_MS,
    OPTION_FETCH_BUFFER_KBYTES,
};

/* As Kafka has it. */
static bool is_topic_name(const char *text, char *why, size_t why_size)
{
    size_t size = strlen(text);
    bool dots = strcmp(text, ".") == 0 || strcmp(text, "..") == 0;
    size_t good = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
    if (size <= 249 && !dots && good == size)
        return true;
    snprintf(
        why, why_size,
        "a topic's name has at most 249 letters (a to z), digits, dots, dashes and underlines");
    return false;
}

#define NUMBER(option_key, standard, least, most, option_unit, option_help)                        \
    {                                                                                              \
        .key = (option_key), .type = RESV_OPTION_INTEGER, .default_text = (standard),              \
        .minimum = (least), .maximum = (most), .unit = (option_unit), .help = (option_help)        \
    }

static const struct resv_option options[] = {
    [OPTION_SERVERS] = {.key = "bootstrap.servers",
                        .type = RESV_OPTION_STRING,
                        .default_text = "127.0.0.1:9092",
                        .required = true,
                        .help = "brokers to ask first, host:port, with commas between them"},
    [OPTION_TOPIC] = {.key = "topic",
                      .type = RESV_OPTION_STRING,
                      .default_text = "resvd-events",
                      .required = true,
                      .help = "the event topic; made at the start if it is not there",
                      .check = is_topic_name},
    [OPTION_DEAD_LETTER_TOPIC] = {.key = "dead_letter_topic",
                                  .type = RESV_OPTION_STRING,
                                  .default_text = "resvd-dead-letters",
                                  .required = true,
                                  .help = "the topic of events that could not be applied; made at "
                                          "the start if it is not there, compacted",
                                  .check = is_topic_name},
    [OPTION_TOPIC_PARTITIONS] =
        NUMBER("topic_partitions", "12", 1, KAFKA_PARTITIONS_MAX, "partitions",
               "of the event topic when it is made: so many consumers can share the work; must "
               "not be changed later, or events of one concert overtake each other"),
    [OPTION_TOPIC_REPLICATION] =
        NUMBER("topic_replication", "0", 0, 32, "brokers",
               "that have each partition of the topics when they are made; 0: as the brokers have "
               "it by default"),
    [OPTION_GROUP] = {.key = "group.id",
                      .type = RESV_OPTION_STRING,
                      .default_text = "resvd",
                      .required = true,
                      .help = "the consumer group: its members share the partitions"},
    [OPTION_TIMEOUT_MS] = NUMBER("timeout_ms", "5000", 100, 600000, "ms",
                                 "longest wait until the brokers have an event, then it counts as "
                                 "not or possibly published; and for the list of dead letters"),
    [OPTION_FETCH_BUFFER_KBYTES] =
        NUMBER("fetch_buffer_kbytes", "65536", 1024, 2097151, "KiB",
               "of records that were fetched ahead, of all partitions together"),
};

const struct resv_option_table kafka_options = {
    .section = "kafka",
    .help = "Kafka, for strategies that keep their events there",
    .options = options,
    .count = sizeof options / sizeof options[0],
    .properties = &kafka_properties,
};

static const struct resv_metric metrics[] = {
    [KAFKA_METRIC_UP] = {.name = "kafka_up",
                         .type = RESV_METRIC_GAUGE,
                         .help = "1 while a broker is reachable"},
    [KAFKA_METRIC_UNDER_WAY] = {.name = "kafka_events_under_way",
                                .type = RESV_METRIC_GAUGE,
                                .help = "Events published whose fate is not known yet"},
    [KAFKA_METRIC_PERSISTED] = {.name = "kafka_events_persisted_total",
                                .type = RESV_METRIC_COUNTER,
                                .help = "Events that all replicas in sync have"},
    [KAFKA_METRIC_NOT_PERSISTED] = {.name = "kafka_events_not_persisted_total",
                                    .type = RESV_METRIC_COUNTER,
                                    .help = "Events that were not published"},
    [KAFKA_METRIC_POSSIBLY] = {.name = "kafka_events_possibly_persisted_total",
                               .type = RESV_METRIC_COUNTER,
                               .help = "Events that were sent, and nobody knows what became of "
                                       "them"},
    [KAFKA_METRIC_REPEATED] = {.name = "kafka_events_repeated_total",
                               .type = RESV_METRIC_COUNTER,
                               .help = "Events published once more, since nobody could say where "
                                       "in the log they are"},
    [KAFKA_METRIC_DELIVERY_SECONDS] = {.name = "kafka_delivery_seconds",
                                       .type = RESV_METRIC_HISTOGRAM_SECONDS,
                                       .help = "From an event's publishing until its fate was "
                                               "known"},
    [KAFKA_METRIC_PRODUCERS] = {.name = "kafka_producers_total",
                                .type = RESV_METRIC_COUNTER,
                                .help = "Producers made: one, and one after each fatal error"},
    [KAFKA_METRIC_ROUND_TRIP_SECONDS] = {.name = "kafka_broker_round_trip_seconds",
                                         .type = RESV_METRIC_HISTOGRAM_SECONDS,
                                         .help = "Requests of the producer: the mean of each "
                                                 "second and broker"},
    [KAFKA_METRIC_THROTTLE_SECONDS] = {.name = "kafka_throttle_seconds",
                                       .type = RESV_METRIC_HISTOGRAM_SECONDS,
                                       .help = "By how much brokers slowed the producer down: the "
                                               "mean of each second and broker that did"},
    [KAFKA_METRIC_PARTITIONS] = {.name = "kafka_partitions_assigned",
                                 .type = RESV_METRIC_GAUGE,
                                 .help = "Partitions that this process consumes"},
    [KAFKA_METRIC_REBALANCES] = {.name = "kafka_rebalances_total",
                                 .type = RESV_METRIC_COUNTER,
                                 .help = "Times that partitions came or went"},
    [KAFKA_METRIC_RECORDS] = {.name = "kafka_records_fetched_total",
                              .type = RESV_METRIC_COUNTER,
                              .help = "Records taken in"},
    [KAFKA_METRIC_HELD] = {.name = "kafka_records_held",
                           .type = RESV_METRIC_GAUGE,
                           .help = "Records taken in and not done with"},
    [KAFKA_METRIC_LAG_RECORDS] = {.name = "kafka_consumer_lag_records",
                                  .type = RESV_METRIC_GAUGE,
                                  .help = "Records in the partitions assigned that are not done "
                                          "with"},
    [KAFKA_METRIC_LAG_SECONDS] = {.name = "kafka_consumer_lag_seconds",
                                  .type = RESV_METRIC_GAUGE,
                                  .help = "Age of the oldest record that is held and not done "
                                          "with"},
    [KAFKA_METRIC_GAPS] = {.name = "kafka_gaps_total",
                           .type = RESV_METRIC_COUNTER,
                           .help = "Times that the records to go on with were not there any more"},
};

const struct resv_metric_table kafka_metrics = {
    .metrics = metrics,
    .count = sizeof metrics / sizeof metrics[0],
    .title = "Kafka",
};

void kafka_count(struct kafka_link *link, size_t metric, uint64_t amount)
{
    resv_metric_add(link->host, &kafka_metrics, metric, amount);
}

void kafka_gauge(struct kafka_link *link, size_t metric, int64_t value)
{
    resv_metric_set(link->host, &kafka_metrics, metric, value);
}

void kafka_observe_us(struct kafka_link *link, size_t metric, int64_t microseconds)
{
    uint64_t value = microseconds > 0 ? (uint64_t)microseconds : 0;
    resv_metric_observe(link->host, &kafka_metrics, metric, value * 1000);
}

/* --- reading ---------------------------------------------------------------------------------- */

static int64_t number(struct resv_host *host, size_t option)
{
    return resv_option_integer(host, &kafka_options, option);
}

static const char *text(struct resv_host *host, size_t option)
{
    return resv_option_string(host, &kafka_options, option);
}

void kafka_settings_read(struct resv_host *host, struct kafka_settings *settings)
{
    int64_t replication = number(host, OPTION_TOPIC_REPLICATION);
    *settings = (struct kafka_settings){
        .servers = text(host, OPTION_SERVERS),
        .topics = {[KAFKA_EVENTS] = text(host, OPTION_TOPIC),
                   [KAFKA_DEAD_LETTERS] = text(host, OPTION_DEAD_LETTER_TOPIC)},
        .group = text(host, OPTION_GROUP),
        .partitions = (int32_t)number(host, OPTION_TOPIC_PARTITIONS),
        .replication = replication == 0 ? -1 : (int32_t)replication,
        .timeout_ms = (int)number(host, OPTION_TIMEOUT_MS),
        .fetch_buffer_kbytes = number(host, OPTION_FETCH_BUFFER_KBYTES),
    };
}
