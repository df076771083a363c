/* librdkafka's properties: which there are, which are ours to set, and a client's configuration.
 *
 * Three layers, later ones win: what librdkafka has by default, what is better here, what [kafka]
 * says. What the link's promises rest on (acks, idempotence, offsets) is not the user's: to set it
 * is an error that says why. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kafka_internal.h"
#include "resvd/assert.h"

#define NAMES_MAX     512
#define NAME_SIZE     64
#define MESSAGE_EXTRA 512 /* bytes around a payload: key, headers of record and batch */
/* One answer for so much, or for what comes in 50 ms, rather than one for each batch that is
 * produced: it spares broker and consumer most of their work, and makes larger transactions. A
 * partition that joins waits for the request under way, which is for the others. */
#define FETCH_BYTES_MIN 262144

/* --- which there are ---------------------------------------------------------------------------
 */

struct name {
    char text[NAME_SIZE];
    char scope; /* P: producers; C: consumers; *: both */
};

/* One line of librdkafka's own table: "name | P | range | default | importance | description".
 * What takes a pointer can be set by its C API only. */
static bool take_line(const char *line, struct name *name)
{
    size_t size = strcspn(line, " |");
    const char *bar = strchr(line, '|');
    if (size == 0 || size >= sizeof name->text || bar == NULL || line[0] == '-' ||
        strstr(line, "see dedicated API") != NULL || strncmp(line, "Property ", 9) == 0)
        return false;
    memcpy(name->text, line, size);
    name->text[size] = '\0';
    name->scope = bar[1 + strspn(bar + 1, " ")];
    return name->scope == 'P' || name->scope == 'C' || name->scope == '*';
}

/* Read once: the library's list does not change. */
static const struct name *names(size_t *count)
{
    static struct name list[NAMES_MAX];
    static size_t known;
    if (known == 0) {
        char *text = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&text, &size);
        RESV_ASSERT(out != NULL);
        rd_kafka_conf_properties_show(out);
        RESV_ASSERT(fclose(out) == 0);
        char *rest = text;
        for (char *line; (line = strsep(&rest, "\n")) != NULL && known < NAMES_MAX;)
            known += take_line(line, &list[known]) ? 1 : 0;
        free(text);
        RESV_ASSERT(known > 0);
    }
    *count = known;
    return list;
}

static const char *name_at(size_t index)
{
    size_t count = 0;
    const struct name *list = names(&count);
    return index < count ? list[index].text : NULL;
}

static char scope_of(const char *name)
{
    size_t count = 0;
    const struct name *list = names(&count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i].text, name) == 0)
            return list[i].scope;
    }
    return '*';
}

static bool is_secret(const char *name)
{
    static const char *const secrets[] = {"sasl.password", "ssl.key.password",
                                          "ssl.keystore.password", "sasl.oauthbearer.client.secret",
                                          "sasl.oauthbearer.config"};
    for (size_t i = 0; i < sizeof secrets / sizeof secrets[0]; i++) {
        if (strcmp(secrets[i], name) == 0)
            return true;
    }
    /* Keys and certificates have many lines: only from a file. */
    size_t size = strlen(name);
    return size > 4 && strcmp(name + size - 4, ".pem") == 0;
}

/* --- which are the user's -----------------------------------------------------------------------
 */

static const struct {
    const char *name, *why;
} ours[] = {
    {"metadata.broker.list", "is bootstrap.servers here"},
    {"enable.idempotence", "is always on: without it retries make duplicates"},
    {"acks", "is always all: an event counts as published when all replicas in sync have it"},
    {"request.required.acks",
     "is always all: an event counts as published when all replicas in sync have it"},
    {"max.in.flight.requests.per.connection",
     "is always 1 for the producer: the second request must not come before the first"},
    {"max.in.flight",
     "is always 1 for the producer: the second request must not come before the first"},
    {"message.timeout.ms", "is timeout_ms here"},
    {"delivery.timeout.ms", "is timeout_ms here"},
    {"partitioner", "is always murmur2: events of one concert are on one partition"},
    {"partitioner_cb", "is always murmur2: events of one concert are on one partition"},
    {"queue.buffering.max.messages", "follows from what the strategy may have under way"},
    {"queue.buffering.max.kbytes", "follows from what the strategy may have under way"},
    {"queued.max.messages.kbytes", "follows from fetch_buffer_kbytes"},
    {"queuing.strategy", "is always fifo"},
    {"delivery.report.only.error", "is always off"},
    {"transactional.id", "is not used: the database decides what counts"},
    {"enable.auto.commit", "is always off: offsets are kept with the rows in the database"},
    {"auto.commit.enable", "is always off: offsets are kept with the rows in the database"},
    {"enable.auto.offset.store", "is always off: offsets are kept with the rows in the database"},
    {"auto.offset.reset", "is always error: records that are gone must not be passed over"},
    {"enable.partition.eof", "is set where it is needed"},
    {"partition.assignment.strategy", "is always range"},
    {"group.protocol.type", "is always consumer"},
    {"allow.auto.create.topics", "is always off: resvd makes its topics itself"},
    {"statistics.interval.ms", "is always 1000: metrics rest on it"},
    {"enabled_events", "is the link's own matter"},
    {"log.queue", "is the link's own matter"},
    {"internal.termination.signal", "is the link's own matter"},
};

static bool check(const char *name, const char *text, char *why, size_t why_size)
{
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        if (strcmp(ours[i].name, name) == 0) {
            snprintf(why, why_size, "%s", ours[i].why);
            return false;
        }
    }
    char said[KAFKA_TEXT_SIZE] = "";
    rd_kafka_conf_t *scratch = rd_kafka_conf_new();
    rd_kafka_conf_res_t result = rd_kafka_conf_set(scratch, name, text, said, sizeof said);
    rd_kafka_conf_destroy(scratch);
    if (result == RD_KAFKA_CONF_OK)
        return true;
    snprintf(why, why_size, "%s", is_secret(name) ? "librdkafka does not take it" : said);
    return false;
}

const struct resv_property_table kafka_properties = {
    .help =
        "Besides these, any property of librdkafka by its own name, as in its CONFIGURATION.md: "
        "security.protocol, sasl.mechanism, sasl.username, sasl.password (or "
        "sasl.password_file), ssl.ca.location, compression.codec, linger.ms and so on; not "
        "those that what resvd promises rests on (acks, enable.idempotence, auto.offset.reset "
        "and the like)",
    .name = name_at,
    .is_secret = is_secret,
    .check = check,
};

/* --- a client's configuration -------------------------------------------------------------------
 */

static bool set(rd_kafka_conf_t *conf, const char *name, const char *text, char *why,
                size_t why_size)
{
    return rd_kafka_conf_set(conf, name, text, why, why_size) == RD_KAFKA_CONF_OK;
}

static bool set_number(rd_kafka_conf_t *conf, const char *name, int64_t number, char *why,
                       size_t why_size)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, number);
    return set(conf, name, text, why, why_size);
}

static int64_t clamp(int64_t value, int64_t least, int64_t most)
{
    return value < least ? least : value > most ? most : value;
}

static bool set_common(rd_kafka_conf_t *conf, const struct kafka_link *link,
                       enum kafka_client_kind kind, char *why, size_t why_size)
{
    static const char *const pairs[][2] = {
        {"client.id", "resvd"},
        {"log.queue", "true"},
        {"allow.auto.create.topics", "false"},
        {"socket.keepalive.enable", "true"},
        {"socket.nagle.disable", "true"},
        {"socket.timeout.ms", "10000"},
        {"socket.connection.setup.timeout.ms", "5000"},
        {"reconnect.backoff.ms", "50"},
        {"reconnect.backoff.max.ms", "1000"},
        /* More partitions than at the start are noticed. */
        {"topic.metadata.refresh.interval.ms", "30000"},
    };
    bool good = true;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0] && good; i++)
        good = set(conf, pairs[i][0], pairs[i][1], why, why_size);
    return good && set(conf, "bootstrap.servers", link->settings.servers, why, why_size) &&
           set_number(conf, "statistics.interval.ms", kind == KAFKA_LETTERS ? 0 : 1000, why,
                      why_size);
}

static bool set_producer(rd_kafka_conf_t *conf, const struct kafka_link *link, char *why,
                         size_t why_size)
{
    static const char *const pairs[][2] = {
        {"enable.idempotence", "true"},
        {"acks", "all"},
        {"partitioner", "murmur2"},
        /* See kafka_producer.c. More make it no faster: what waits goes in one request. */
        {"max.in.flight.requests.per.connection", "1"},
        /* Waits for more in one request, beside the way to the broker; at 1 ms that wait is what
         * answers take longest for, at 0.1 requests are too many. */
        {"linger.ms", "0.2"},
        {"compression.codec", "lz4"},
        {"retry.backoff.ms", "50"},
    };
    bool good = true;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0] && good; i++)
        good = set(conf, pairs[i][0], pairs[i][1], why, why_size);
    int64_t event_bytes = (int64_t)link->config.payload_max + MESSAGE_EXTRA;
    int64_t kbytes = (int64_t)link->config.events_max * event_bytes / 1024;
    /* Room beyond events_max is for those that a new producer has while the old one ends. */
    return good &&
           set_number(conf, "message.max.bytes", clamp(event_bytes, 1000000, 1000000000), why,
                      why_size) &&
           set_number(conf, "queue.buffering.max.messages",
                      clamp((int64_t)link->config.events_max, 1, 2000000000), why, why_size) &&
           set_number(conf, "queue.buffering.max.kbytes", clamp(kbytes, 1024, INT32_MAX), why,
                      why_size) &&
           set_number(conf, "message.timeout.ms", link->settings.timeout_ms, why, why_size) &&
           set_number(conf, "request.timeout.ms", clamp(link->settings.timeout_ms, 1, 30000), why,
                      why_size);
}

static bool set_consumer(rd_kafka_conf_t *conf, const struct kafka_link *link, char *why,
                         size_t why_size)
{
    static const char *const pairs[][2] = {
        {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"},
        {"auto.offset.reset", "error"},
        {"partition.assignment.strategy", "range"}, /* eager: see kafka_consumer.c */
        /* The least that brokers take by default. So long a commit waits for a coordinator that is
         * gone, and a consumer that ends for the commit. */
        {"session.timeout.ms", "6000"},
        {"heartbeat.interval.ms", "1000"},
        /* So long it waits for a commit's answer, where the broker says nothing. */
        {"socket.timeout.ms", "3000"},
        {"fetch.wait.max.ms", "50"}, /* see FETCH_BYTES_MIN */
        /* Pauses before a partition whose buffer was full is fetched again, too. */
        {"fetch.error.backoff.ms", "20"},
        {"queued.min.messages", "1000000"},
    };
    bool good = true;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0] && good; i++)
        good = set(conf, pairs[i][0], pairs[i][1], why, why_size);
    /* Of its own since 2.2. */
    if (good && scope_of("fetch.queue.backoff.ms") == 'C')
        good = set(conf, "fetch.queue.backoff.ms", "20", why, why_size);
    /* Each partition has a queue of its own, each with this bound. */
    int64_t partitions = link->partition_count > 0 ? link->partition_count : 1;
    int64_t kbytes = clamp(link->settings.fetch_buffer_kbytes / partitions, 64, 2097151);
    int64_t fetch_bytes = clamp(kbytes * 1024 / 2, 65536, 1048576);
    return good && set(conf, "group.id", link->settings.group, why, why_size) &&
           set_number(conf, "queued.max.messages.kbytes", kbytes, why, why_size) &&
           set_number(conf, "fetch.message.max.bytes", fetch_bytes, why, why_size) &&
           /* Not more than comes from one partition: a hot one would always wait. */
           set_number(conf, "fetch.min.bytes", clamp(FETCH_BYTES_MIN, 1, fetch_bytes), why,
                      why_size);
}

static bool set_letters(rd_kafka_conf_t *conf, const struct kafka_link *link, char *why,
                        size_t why_size)
{
    static const char *const pairs[][2] = {
        {"enable.auto.commit", "false"},        {"enable.auto.offset.store", "false"},
        {"auto.offset.reset", "earliest"},      {"enable.partition.eof", "true"},
        {"queued.max.messages.kbytes", "4096"}, {"fetch.wait.max.ms", "50"},
    };
    bool good = true;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0] && good; i++)
        good = set(conf, pairs[i][0], pairs[i][1], why, why_size);
    /* It never joins the group. */
    return good && set(conf, "group.id", link->settings.group, why, why_size);
}

static bool set_users(rd_kafka_conf_t *conf, const struct kafka_link *link,
                      enum kafka_client_kind kind, char *why, size_t why_size)
{
    struct resv_property property;
    for (size_t i = 0; resv_option_property(link->host, &kafka_options, i, &property); i++) {
        char scope = scope_of(property.name);
        if (scope != '*' && (scope == 'P') != (kind == KAFKA_PRODUCER))
            continue;
        if (!set(conf, property.name, property.text, why, why_size))
            return false;
    }
    return true;
}

rd_kafka_conf_t *kafka_conf_create(const struct kafka_link *link, enum kafka_client_kind kind,
                                   char *why, size_t why_size)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    bool good = set_common(conf, link, kind, why, why_size);
    switch (kind) {
    case KAFKA_PRODUCER:
        good = good && set_producer(conf, link, why, why_size);
        break;
    case KAFKA_CONSUMER:
        good = good && set_consumer(conf, link, why, why_size);
        break;
    case KAFKA_LETTERS:
        good = good && set_letters(conf, link, why, why_size);
        break;
    }
    if (!good || !set_users(conf, link, kind, why, why_size)) {
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
    int events = RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG |
                 RD_KAFKA_EVENT_STATS | RD_KAFKA_EVENT_REBALANCE | RD_KAFKA_EVENT_FETCH;
    rd_kafka_conf_set_events(conf, events);
    return conf;
}
