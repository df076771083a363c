/* How the Kafka link starts: connect, look at the topics, make those that are missing, check them,
 * join the group; trying again what may go away, and giving up in time for words of its own.
 *
 *   LOOK (metadata) ──► CREATE ──► LOOK ──► CHECK (settings) ──► opened
 *     ▲  not reachable    │
 *     └──────────┴────────┘
 *
 * Metadata is the one thing that librdkafka has no event for: it is asked for in the pool. */
#include <stdio.h>
#include <string.h>

#include "kafka_internal.h"
#include "resvd/assert.h"

#define RETRY_MS         200
#define METADATA_MS      1000
#define START_MARGIN_MS  500 /* kept of the start's time for our own words */
#define NAMED_TOPIC_SIZE 300

bool kafka_error_is_refusal(rd_kafka_resp_err_t error)
{
    static const rd_kafka_resp_err_t refusals[] = {
        RD_KAFKA_RESP_ERR__AUTHENTICATION,
        RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED,
        RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM,
        RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
        RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
        RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,
    };
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        if (refusals[i] == error)
            return true;
    }
    return false;
}

/* --- failing ------------------------------------------------------------------------------------
 */

void kafka_start_fail(struct kafka_link *link, int exit_code, const char *message)
{
    if (link->state != KAFKA_STARTING)
        return;
    link->state = KAFKA_FAILED;
    resv_timer_stop(link->host, &link->start.retry);
    char text[KAFKA_TEXT_SIZE * 2];
    snprintf(text, sizeof text, "Kafka at %s ([kafka] bootstrap.servers): %s",
             link->settings.servers, message);
    resv_host_health(link->host, KAFKA_COMPONENT, RESV_HEALTH_DOWN, 0, text);
    link->events.open_failed(link->events.data, exit_code, text);
}

static uint64_t deadline_ns(const struct kafka_link *link)
{
    uint64_t deadline = resv_host_start_deadline_ns(link->host);
    return deadline == UINT64_MAX ? deadline : deadline - START_MARGIN_MS * KAFKA_NS_PER_MS;
}

void kafka_start_try_again(struct kafka_link *link, int exit_code, const char *reason)
{
    if (link->state != KAFKA_STARTING)
        return;
    link->start.step = KAFKA_START_LOOK;
    if (resv_now_ns(link->host) >= deadline_ns(link)) {
        kafka_start_fail(link, exit_code, reason);
        return;
    }
    kafka_log_say(link, RESV_LOG_WARNING, "kafka cannot be used yet", reason);
    resv_timer_start(link->host, &link->start.retry, RETRY_MS);
}

/* --- looking at the topics ----------------------------------------------------------------------
 */

static void take_facts(const rd_kafka_metadata_t *metadata, struct kafka_topic_facts *facts)
{
    if (metadata->topic_cnt != 1) {
        facts->error = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
        return;
    }
    const rd_kafka_metadata_topic_t *topic = &metadata->topics[0];
    facts->error = topic->err;
    facts->partitions = topic->partition_cnt;
    for (int i = 0; i < topic->partition_cnt; i++) {
        const rd_kafka_metadata_partition_t *partition = &topic->partitions[i];
        if (i == 0 || partition->replica_cnt < facts->replicas)
            facts->replicas = partition->replica_cnt;
        if (partition->leader < 0 && facts->error == RD_KAFKA_RESP_ERR_NO_ERROR)
            facts->error = RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
    }
    if (facts->error == RD_KAFKA_RESP_ERR_NO_ERROR && facts->partitions == 0)
        facts->error = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
}

/* In the pool. The producer lives as long as works are under way. */
static void look(uv_work_t *work)
{
    struct kafka_link *link = work->data;
    for (size_t i = 0; i < KAFKA_TARGETS; i++) {
        struct kafka_topic_facts *facts = &link->start.facts[i];
        const rd_kafka_metadata_t *metadata = NULL;
        *facts = (struct kafka_topic_facts){0};
        facts->error = rd_kafka_metadata(link->producer->handle, 0, link->producer->topics[i],
                                         &metadata, METADATA_MS);
        if (facts->error != RD_KAFKA_RESP_ERR_NO_ERROR)
            return;
        take_facts(metadata, facts);
        rd_kafka_metadata_destroy(metadata);
    }
}

/* False: it has failed, or is tried again. */
static bool is_usable(struct kafka_link *link, size_t target, bool *missing)
{
    struct kafka_topic_facts *facts = &link->start.facts[target];
    char text[NAMED_TOPIC_SIZE + KAFKA_TEXT_SIZE];
    if (facts->error == RD_KAFKA_RESP_ERR_NO_ERROR)
        return true;
    if (facts->error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
        facts->error == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC) {
        *missing = true;
        return true;
    }
    bool unreachable = facts->error == RD_KAFKA_RESP_ERR__TRANSPORT ||
                       facts->error == RD_KAFKA_RESP_ERR__TIMED_OUT ||
                       facts->error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN;
    if (unreachable && link->said[0] != '\0') /* a connection's complaint says more */
        snprintf(text, sizeof text, "%s", link->said);
    else
        snprintf(text, sizeof text, "topic '%s': %s", link->settings.topics[target],
                 rd_kafka_err2str(facts->error));
    if (kafka_error_is_refusal(facts->error))
        kafka_start_fail(link, KAFKA_EXIT_CONFIG, text);
    else
        kafka_start_try_again(link, KAFKA_EXIT_UNAVAILABLE, text);
    return false;
}

static void go_on_after_look(struct kafka_link *link)
{
    bool missing = false;
    for (size_t i = 0; i < KAFKA_TARGETS; i++) {
        if (!is_usable(link, i, &missing))
            return;
    }
    if (missing) {
        link->start.step = KAFKA_START_CREATE;
        kafka_topics_create(link);
        return;
    }
    const struct kafka_topic_facts *facts = link->start.facts;
    if (facts[KAFKA_EVENTS].partitions > KAFKA_PARTITIONS_MAX) {
        char text[NAMED_TOPIC_SIZE + KAFKA_TEXT_SIZE];
        snprintf(text, sizeof text, "topic '%s' has %d partitions; resvd takes at most %d",
                 link->settings.topics[KAFKA_EVENTS], (int)facts[KAFKA_EVENTS].partitions,
                 KAFKA_PARTITIONS_MAX);
        kafka_start_fail(link, KAFKA_EXIT_CONFIG, text);
        return;
    }
    link->partition_count = facts[KAFKA_EVENTS].partitions;
    link->letter_partitions = facts[KAFKA_DEAD_LETTERS].partitions;
    link->start.step = KAFKA_START_CHECK;
    kafka_topics_check(link);
}

static void looked(uv_work_t *work, int status)
{
    struct kafka_link *link = work->data;
    RESV_ASSERT(status == 0 && link->works > 0);
    link->works--;
    link->start.working = false;
    if (link->state == KAFKA_STARTING)
        go_on_after_look(link);
    kafka_link_go_on(link);
}

void kafka_start_look(struct kafka_link *link)
{
    struct kafka_start *start = &link->start;
    if (link->state != KAFKA_STARTING || start->working)
        return;
    start->step = KAFKA_START_LOOK;
    start->working = true;
    start->work.data = link;
    link->works++;
    RESV_ASSERT(uv_queue_work(resv_host_loop(link->host), &start->work, look, looked) == 0);
}

static void on_retry(struct resv_timer *timer)
{
    struct kafka_link *link = timer->data;
    if (link->start.exit_code != 0)
        kafka_start_fail(link, link->start.exit_code, link->start.said);
    else
        kafka_start_look(link);
}

/* --- begin and end ------------------------------------------------------------------------------
 */

void kafka_start_init(struct kafka_link *link)
{
    link->start.retry = (struct resv_timer){.fired = on_retry, .data = link};
}

void kafka_start_finish(struct kafka_link *link)
{
    char why[KAFKA_TEXT_SIZE];
    if (link->config.consumes) {
        link->consumer = kafka_consumer_create(link, why, sizeof why);
        if (link->consumer == NULL) {
            kafka_start_fail(link, KAFKA_EXIT_CONFIG, why);
            return;
        }
    }
    char partitions[16];
    snprintf(partitions, sizeof partitions, "%d", (int)link->partition_count);
    resv_log(link->host, RESV_LOG_INFO, "kafka opened", "topic", kafka_link_topic(link),
             "partitions", partitions, "librdkafka", rd_kafka_version_str(), NULL);
    link->state = KAFKA_OPEN;
    link->up = link->up_told = true;
    kafka_gauge(link, KAFKA_METRIC_UP, 1);
    kafka_link_say_health(link);
    link->events.opened(link->events.data);
}

void kafka_link_start(struct kafka_link *link)
{
    RESV_ASSERT(link->state == KAFKA_CREATED);
    link->state = KAFKA_STARTING;
    resv_host_health(link->host, KAFKA_COMPONENT, RESV_HEALTH_STARTING, 0, NULL);
    kafka_gauge(link, KAFKA_METRIC_UP, 0);
    /* A failure is told of later, never from inside this call. */
    link->start.exit_code = 0;
    if (kafka_link_open_events(link) != 0) {
        link->start.exit_code = KAFKA_EXIT_FAILURE;
        snprintf(link->start.said, sizeof link->start.said, "no event descriptor can be had");
    } else if (!kafka_producer_create(link, link->start.said, sizeof link->start.said)) {
        link->start.exit_code = KAFKA_EXIT_CONFIG;
    }
    if (link->start.exit_code == 0)
        kafka_start_look(link);
    else
        resv_timer_start(link->host, &link->start.retry, 0);
}
