/* librdkafka's statistics, a JSON text each second, to metrics; and what only they tell: that a
 * broker is reachable again, and that the topic got more partitions. */
#include <cjson/cJSON.h>
#include <string.h>

#include "kafka_internal.h"

/* avg of a window of the last second; -1 when nothing was measured. */
static int64_t average(const cJSON *owner, const char *name)
{
    const cJSON *window = cJSON_GetObjectItemCaseSensitive(owner, name);
    const cJSON *count = cJSON_GetObjectItemCaseSensitive(window, "cnt");
    const cJSON *mean = cJSON_GetObjectItemCaseSensitive(window, "avg");
    if (!cJSON_IsNumber(count) || !cJSON_IsNumber(mean) || count->valuedouble < 1)
        return -1;
    return (int64_t)mean->valuedouble;
}

static void take_broker(struct kafka_link *link, const cJSON *broker, bool *up)
{
    const cJSON *state = cJSON_GetObjectItemCaseSensitive(broker, "state");
    if (cJSON_IsString(state) && strcmp(state->valuestring, "UP") == 0)
        *up = true;
    int64_t round_trip_us = average(broker, "rtt");
    if (round_trip_us >= 0) {
        link->round_trip_ns = (uint64_t)round_trip_us * 1000;
        kafka_observe_us(link, KAFKA_METRIC_ROUND_TRIP_SECONDS, round_trip_us);
    }
    int64_t throttle_ms = average(broker, "throttle");
    if (throttle_ms > 0)
        kafka_observe_us(link, KAFKA_METRIC_THROTTLE_SECONDS, throttle_ms * 1000);
}

/* Partition -1 is where librdkafka keeps what has no partition yet. */
static void take_topic(struct kafka_link *link, const cJSON *topic)
{
    const cJSON *partitions = cJSON_GetObjectItemCaseSensitive(topic, "partitions");
    const cJSON *partition = NULL;
    int32_t count = 0;
    cJSON_ArrayForEach(partition, partitions)
    {
        count += strcmp(partition->string, "-1") == 0 ? 0 : 1;
    }
    if (count <= link->partition_count || link->changed_partitions)
        return;
    link->changed_partitions = true;
    kafka_link_say_health(link); /* which logs it */
}

void kafka_stats_take(struct kafka_client *client, const char *json)
{
    struct kafka_link *link = client->link;
    if (client != link->producer || link->state != KAFKA_OPEN)
        return;
    cJSON *statistics = cJSON_Parse(json);
    if (statistics == NULL)
        return;
    bool up = false;
    const cJSON *broker = NULL;
    cJSON_ArrayForEach(broker, cJSON_GetObjectItemCaseSensitive(statistics, "brokers"))
    {
        take_broker(link, broker, &up);
    }
    take_topic(link,
               cJSON_GetObjectItemCaseSensitive(
                   cJSON_GetObjectItemCaseSensitive(statistics, "topics"), kafka_link_topic(link)));
    cJSON_Delete(statistics);
    if (up)
        kafka_link_set_up(link, true);
    if (link->up)
        kafka_link_say_health(link); /* with the last round trip */
}
