/* librdkafka's words to our log: so many in so much time, and how many more there were. */
#include <stdio.h>
#include <string.h>

#include "kafka_internal.h"

#define WINDOW_NS (10ULL * 1000000000ULL)
#define LINES_MAX 10 /* of one window */

/* False: this line is one too many. */
static bool may_say(struct kafka_link *link)
{
    struct kafka_log *log = &link->log;
    kafka_log_tick(link);
    if (log->lines >= LINES_MAX) {
        log->suppressed++;
        return false;
    }
    log->lines++;
    return true;
}

void kafka_log_tick(struct kafka_link *link)
{
    struct kafka_log *log = &link->log;
    uint64_t now_ns = resv_now_ns(link->host);
    if (log->lines > 0 && now_ns - log->window_ns < WINDOW_NS)
        return;
    if (log->suppressed > 0) {
        char count[16];
        snprintf(count, sizeof count, "%u", log->suppressed);
        resv_log(link->host, RESV_LOG_INFO, "kafka lines left out", "count", count, NULL);
    }
    *log = (struct kafka_log){.window_ns = now_ns};
}

void kafka_log_say(struct kafka_link *link, enum resv_log_level level, const char *event,
                   const char *detail)
{
    if (may_say(link))
        resv_log(link->host, level, event, "detail", detail, NULL);
}

/* librdkafka tries again for ever, so nothing that it logs is an error yet. Levels are syslog's. */
static enum resv_log_level level_of(int level)
{
    if (level <= 4)
        return RESV_LOG_WARNING;
    return level <= 6 ? RESV_LOG_INFO : RESV_LOG_DEBUG;
}

void kafka_log_line(struct kafka_client *client, rd_kafka_event_t *event)
{
    const char *facility = "";
    const char *text = "";
    int level = 7;
    if (rd_kafka_event_log(event, &facility, &text, &level) != 0)
        return;
    if (strcmp(facility, "FAIL") == 0 || strcmp(facility, "FATAL") == 0)
        return;                               /* comes as an error, too */
    if (level <= 6 && !may_say(client->link)) /* what [kafka] debug asks for has no bound */
        return;
    resv_log(client->link->host, level_of(level), "librdkafka", "about", facility, "detail", text,
             NULL);
}
