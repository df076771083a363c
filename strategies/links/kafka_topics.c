/* The topics: those that are missing are made, and what can lose events is said.
 *
 * A topic that is there is not changed: the settings that it was given are its owner's. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kafka_internal.h"
#include "resvd/assert.h"

#define CREATE_MS     3000
#define CHECK_MS      1000
#define IN_SYNC_FROM  3 /* replicas: from so many on, two must have an event */
#define MESSAGE_EXTRA 512
#define HOUR_MS       3600000
#define WARNING_SIZE  512

static rd_kafka_AdminOptions_t *make_options(struct kafka_link *link, rd_kafka_admin_op_t what,
                                             int timeout_ms)
{
    char why[KAFKA_TEXT_SIZE];
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(link->producer->handle, what);
    RESV_ASSERT(options != NULL);
    RESV_ASSERT(rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, why, sizeof why) ==
                RD_KAFKA_RESP_ERR_NO_ERROR);
    return options;
}

/* --- making them --------------------------------------------------------------------------------
 */

static rd_kafka_NewTopic_t *new_topic(struct kafka_link *link, size_t target, char *why,
                                      size_t why_size)
{
    bool letters = target == KAFKA_DEAD_LETTERS;
    int replication = link->settings.replication;
    rd_kafka_NewTopic_t *topic =
        rd_kafka_NewTopic_new(link->settings.topics[target],
                              letters ? 1 : link->settings.partitions, replication, why, why_size);
    if (topic == NULL)
        return NULL;
    if (letters)
        rd_kafka_NewTopic_set_config(topic, "cleanup.policy", "compact");
    if (replication >= IN_SYNC_FROM)
        rd_kafka_NewTopic_set_config(topic, "min.insync.replicas", "2");
    return topic;
}

void kafka_topics_create(struct kafka_link *link)
{
    rd_kafka_NewTopic_t *topics[KAFKA_TARGETS];
    size_t count = 0;
    char why[KAFKA_TEXT_SIZE] = "";
    bool good = true;
    for (size_t i = 0; i < KAFKA_TARGETS && good; i++) {
        if (link->start.facts[i].error == RD_KAFKA_RESP_ERR_NO_ERROR)
            continue;
        topics[count] = new_topic(link, i, why, sizeof why);
        good = topics[count] != NULL;
        count += good ? 1 : 0;
    }
    if (good) {
        rd_kafka_AdminOptions_t *options =
            make_options(link, RD_KAFKA_ADMIN_OP_CREATETOPICS, CREATE_MS);
        rd_kafka_CreateTopics(link->producer->handle, topics, count, options,
                              link->producer->main_queue);
        rd_kafka_AdminOptions_destroy(options);
    }
    rd_kafka_NewTopic_destroy_array(topics, count);
    if (!good)
        kafka_start_fail(link, KAFKA_EXIT_CONFIG, why);
}

/* What trying again would not change. */
static bool is_final(rd_kafka_resp_err_t error)
{
    return kafka_error_is_refusal(error) || error == RD_KAFKA_RESP_ERR_POLICY_VIOLATION ||
           error == RD_KAFKA_RESP_ERR_INVALID_PARTITIONS ||
           error == RD_KAFKA_RESP_ERR_INVALID_CONFIG || error == RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION;
}

static void not_created(struct kafka_link *link, rd_kafka_resp_err_t error, const char *topic,
                        const char *said)
{
    char text[KAFKA_TEXT_SIZE];
    bool replication = error == RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR;
    snprintf(text, sizeof text, "topic '%s' cannot be made: %s%s", topic,
             said != NULL && said[0] != '\0' ? said : rd_kafka_err2str(error),
             replication ? " ([kafka] topic_replication)" : "");
    if (is_final(error))
        kafka_start_fail(link, KAFKA_EXIT_CONFIG, text);
    else /* too few brokers may be up yet */
        kafka_start_try_again(link, replication ? KAFKA_EXIT_CONFIG : KAFKA_EXIT_UNAVAILABLE, text);
}

void kafka_topics_created(struct kafka_client *client, rd_kafka_event_t *event)
{
    struct kafka_link *link = client->link;
    if (link->state != KAFKA_STARTING || link->start.step != KAFKA_START_CREATE)
        return;
    rd_kafka_resp_err_t error = rd_kafka_event_error(event);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        not_created(link, error, kafka_link_topic(link), rd_kafka_event_error_string(event));
        return;
    }
    size_t count = 0;
    const rd_kafka_topic_result_t **results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    for (size_t i = 0; i < count; i++) {
        const char *name = rd_kafka_topic_result_name(results[i]);
        error = rd_kafka_topic_result_error(results[i]);
        if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
            resv_log(link->host, RESV_LOG_INFO, "kafka topic made", "topic", name, NULL);
        } else if (error != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) { /* another resvd was faster */
            not_created(link, error, name, rd_kafka_topic_result_error_string(results[i]));
            return;
        }
    }
    link->start.step = KAFKA_START_LOOK;
    /* Brokers hear of it one after the other. */
    resv_timer_start(link->host, &link->start.retry, 50);
}

/* --- checking them ------------------------------------------------------------------------------
 */

void kafka_topics_check(struct kafka_link *link)
{
    rd_kafka_ConfigResource_t *resources[KAFKA_TARGETS];
    for (size_t i = 0; i < KAFKA_TARGETS; i++) {
        resources[i] =
            rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, link->settings.topics[i]);
        RESV_ASSERT(resources[i] != NULL);
    }
    rd_kafka_AdminOptions_t *options =
        make_options(link, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, CHECK_MS);
    rd_kafka_DescribeConfigs(link->producer->handle, resources, KAFKA_TARGETS, options,
                             link->producer->main_queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_ConfigResource_destroy_array(resources, KAFKA_TARGETS);
}

static void warn(struct kafka_link *link, size_t target, const char *setting, const char *value,
                 const char *meaning)
{
    resv_log(link->host, RESV_LOG_WARNING, "kafka topic can lose events", "topic",
             link->settings.topics[target], "setting", setting, "value", value, "meaning", meaning,
             NULL);
}

static void check_in_sync(struct kafka_link *link, size_t target, const char *value)
{
    int64_t replicas = link->start.facts[target].replicas;
    int64_t needed = strtoll(value, NULL, 10);
    char text[WARNING_SIZE];
    if (needed > replicas) {
        snprintf(text, sizeof text,
                 "the topic has %" PRId64 " replicas: nothing can be published until this is lower",
                 replicas);
    } else if (replicas == 1) {
        snprintf(text, sizeof text,
                 "the topic has 1 replica: what its broker's disk loses is lost");
    } else if (needed == 1) {
        snprintf(text, sizeof text,
                 "of %" PRId64 " replicas one is enough for acks=all: an event that only it has "
                 "is lost with it",
                 replicas);
    } else {
        return;
    }
    warn(link, target, "min.insync.replicas", value, text);
}

static void check_retention(struct kafka_link *link, size_t target, const char *name,
                            const char *value, bool is_time)
{
    char text[WARNING_SIZE];
    int64_t number = strtoll(value, NULL, 10);
    if (target != KAFKA_EVENTS || number < 0)
        return;
    if (is_time)
        snprintf(text, sizeof text,
                 "events are gone after %" PRId64 " hours, applied or not: consumers must not be "
                 "away longer",
                 number / HOUR_MS);
    else
        snprintf(text, sizeof text,
                 "when a partition has more, its oldest events are gone, applied or not");
    warn(link, target, name, value, text);
}

static void check_setting(struct kafka_link *link, size_t target, const char *name,
                          const char *value)
{
    if (strcmp(name, "min.insync.replicas") == 0)
        check_in_sync(link, target, value);
    else if (strcmp(name, "retention.ms") == 0)
        check_retention(link, target, name, value, true);
    else if (strcmp(name, "retention.bytes") == 0)
        check_retention(link, target, name, value, false);
    else if (strcmp(name, "unclean.leader.election.enable") == 0 && strcmp(value, "true") == 0)
        warn(link, target, name, value,
             "a replica that lacks events may become the leader: they are lost");
    else if (strcmp(name, "max.message.bytes") == 0 &&
             strtoll(value, NULL, 10) < (int64_t)link->config.payload_max + MESSAGE_EXTRA)
        warn(link, target, name, value, "the largest events do not fit");
    else if (strcmp(name, "cleanup.policy") == 0 && target == KAFKA_EVENTS &&
             strstr(value, "compact") != NULL)
        warn(link, target, name, value, "only the last event of each concert is kept");
    else if (strcmp(name, "cleanup.policy") == 0 && target == KAFKA_DEAD_LETTERS &&
             strstr(value, "delete") != NULL)
        warn(link, target, name, value, "dead letters are gone when they are old");
}

static void check_topic(struct kafka_link *link, const rd_kafka_ConfigResource_t *resource)
{
    size_t target = KAFKA_EVENTS;
    if (strcmp(rd_kafka_ConfigResource_name(resource), link->settings.topics[KAFKA_DEAD_LETTERS]) ==
        0)
        target = KAFKA_DEAD_LETTERS;
    rd_kafka_resp_err_t error = rd_kafka_ConfigResource_error(resource);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        resv_log(link->host, RESV_LOG_WARNING, "kafka topic cannot be checked", "topic",
                 link->settings.topics[target], "reason", rd_kafka_err2str(error), NULL);
        return;
    }
    size_t count = 0;
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resource, &count);
    for (size_t i = 0; i < count; i++) {
        const char *value = rd_kafka_ConfigEntry_value(entries[i]);
        if (value != NULL)
            check_setting(link, target, rd_kafka_ConfigEntry_name(entries[i]), value);
    }
}

static void check_partitions(struct kafka_link *link)
{
    if (link->partition_count == link->settings.partitions)
        return;
    char there[16], wanted[16];
    snprintf(there, sizeof there, "%d", (int)link->partition_count);
    snprintf(wanted, sizeof wanted, "%d", (int)link->settings.partitions);
    resv_log(link->host, RESV_LOG_INFO, "kafka topic has its own number of partitions", "topic",
             kafka_link_topic(link), "partitions", there, "topic_partitions", wanted, NULL);
}

void kafka_topics_described(struct kafka_client *client, rd_kafka_event_t *event)
{
    struct kafka_link *link = client->link;
    if (link->state != KAFKA_STARTING || link->start.step != KAFKA_START_CHECK)
        return;
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        /* It may not be allowed to look, and publish all the same. */
        resv_log(link->host, RESV_LOG_WARNING, "kafka topics cannot be checked", "reason",
                 rd_kafka_event_error_string(event), NULL);
    } else {
        size_t count = 0;
        const rd_kafka_ConfigResource_t **resources = rd_kafka_DescribeConfigs_result_resources(
            rd_kafka_event_DescribeConfigs_result(event), &count);
        for (size_t i = 0; i < count; i++)
            check_topic(link, resources[i]);
    }
    check_partitions(link);
    kafka_start_finish(link);
}
