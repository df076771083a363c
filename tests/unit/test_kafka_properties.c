/* Tests of strategies/links/kafka_properties.c: any property of librdkafka may stand in [kafka], in
 * the file and elsewhere; what is wrong is found at once; what the link's promises rest on is not
 * to be had. Needs no broker. */
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kafka_fixture.h"
#include "kafka_internal.h"

static struct config *read_file(const char *text, char **errors)
{
    static const struct resv_option_table *const tables[] = {&kafka_options, NULL};
    char path[] = "/tmp/resvd-test-kafka-XXXXXX";
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    assert_int_equal(write(descriptor, text, strlen(text)), (ssize_t)strlen(text));
    close(descriptor);
    struct config *config = config_create(tables);
    assert_non_null(config);
    config_read_file(config, path);
    config_finish(config);
    unlink(path);
    size_t size = 0;
    FILE *out = open_memstream(errors, &size);
    assert_non_null(out);
    config_print_errors(config, out);
    assert_int_equal(fclose(out), 0);
    return config;
}

static void expect_error(const char *text, const char *words)
{
    char *errors = NULL;
    struct config *config = read_file(text, &errors);
    if (strstr(errors, words) == NULL)
        fail_msg("'%s' is not in: %s", words, errors);
    free(errors);
    config_destroy(config);
}

static void test_good(void **state)
{
    (void)state;
    char *errors = NULL;
    struct config *config = read_file("[kafka]\n"
                                      "bootstrap.servers = a:9092,b:9092\n"
                                      "topic = sales.events_1-a\n"
                                      "security.protocol = sasl_ssl\n"
                                      "sasl.mechanism = SCRAM-SHA-512\n"
                                      "sasl.username = u\n"
                                      "sasl.password = p\n"
                                      "ssl.ca.location = /etc/ssl/certs\n"
                                      "compression.codec = zstd\n"
                                      "compression.level = 3\n"
                                      "linger.ms = 5\n"
                                      "fetch.wait.max.ms = 10\n"
                                      "debug = broker,topic\n",
                                      &errors);
    assert_string_equal(errors, "");
    struct resv_property property;
    size_t count = 0;
    while (config_property(config, &kafka_options, count, &property))
        count++;
    assert_int_equal(count, 10);
    free(errors);
    config_destroy(config);
}

static void test_wrong(void **state)
{
    (void)state;
    expect_error("[kafka]\nlinger.ms = soon\n", ":2: linger.ms: ");
    expect_error("[kafka]\nlinger.ms = 9999999\n", "outside allowed range 0..900000");
    expect_error("[kafka]\ncompression.codec = zip\n", "Invalid value \"zip\"");
    expect_error("[kafka]\nsasl.usernam = u\n", "did you mean 'sasl.username'?");
    expect_error("[kafka]\nbootstrap.server = a\n", "did you mean 'bootstrap.servers'?");
    expect_error("[kafka]\ntopic = a b\n", "a topic's name has at most 249 letters");
    expect_error("[kafka]\ntopic =\n", "must not be empty");
    /* What takes a pointer is no property to be written down. */
    expect_error("[kafka]\ndr_msg_cb = x\n", "unknown key 'dr_msg_cb'");
}

static void test_ours(void **state)
{
    (void)state;
    expect_error("[kafka]\nacks = 1\n", "acks: is always all");
    expect_error("[kafka]\nenable.idempotence = false\n", "is always on");
    expect_error("[kafka]\nauto.offset.reset = earliest\n", "is always error");
    expect_error("[kafka]\npartitioner = random\n", "is always murmur2");
    expect_error("[kafka]\nmetadata.broker.list = a\n", "is bootstrap.servers here");
    expect_error("[kafka]\nmessage.timeout.ms = 1\n", "is timeout_ms here");
}

static void test_secrets(void **state)
{
    (void)state;
    char *errors = NULL;
    struct config *config = read_file("[kafka]\n"
                                      "sasl.password = hunter2\n"
                                      "sasl.password = hunter2\n"
                                      "ssl.key.pem = hunter2\n"
                                      "ssl.key.pem_file = /tmp/hunter3\n",
                                      &errors);
    assert_non_null(strstr(errors, "duplicate key 'sasl.password'"));
    assert_non_null(strstr(errors, "'ssl.key.pem' and 'ssl.key.pem_file' exclude each other"));
    assert_null(strstr(errors, "hunter2"));
    free(errors);
    config_destroy(config);
}

/* Every name that is offered is one that librdkafka knows. */
static void test_names(void **state)
{
    (void)state;
    size_t count = 0;
    bool known = false;
    for (const char *name; (name = kafka_properties.name(count)) != NULL; count++) {
        char why[512];
        rd_kafka_conf_t *conf = rd_kafka_conf_new();
        assert_int_not_equal(rd_kafka_conf_set(conf, name, "", why, sizeof why),
                             RD_KAFKA_CONF_UNKNOWN);
        rd_kafka_conf_destroy(conf);
        known = known || strcmp(name, "ssl.keystore.password") == 0;
    }
    assert_true(known && count > 100);
    assert_true(kafka_properties.is_secret("sasl.password"));
    assert_true(kafka_properties.is_secret("ssl.key.pem"));
    assert_false(kafka_properties.is_secret("sasl.username"));
}

static const char *setting(rd_kafka_conf_t *conf, const char *name)
{
    static char text[256];
    size_t size = sizeof text;
    assert_int_equal(rd_kafka_conf_get(conf, name, text, &size), RD_KAFKA_CONF_OK);
    return text;
}

/* Ours, then the user's; each client takes what concerns it. */
static void test_layers(void **state)
{
    (void)state;
    struct kafka_node node;
    char why[256];
    assert_int_equal(setenv("RESVD_TEST_KAFKA_SERVERS", "127.0.0.1:1", 1), 0);
    kafka_node_create(&node, true);
    kafka_node_set(&node, "linger.ms", "7");
    kafka_node_set(&node, "fetch.wait.max.ms", "9");
    kafka_node_set(&node, "client.id", "mine");
    kafka_node_set(&node, "fetch_buffer_kbytes", "6144");
    struct kafka_link link = {.host = node.host,
                              .config = {.events_max = 5000, .payload_max = 1000},
                              .partition_count = 6};
    kafka_settings_read(node.host, &link.settings);
    rd_kafka_conf_t *producer = kafka_conf_create(&link, KAFKA_PRODUCER, why, sizeof why);
    rd_kafka_conf_t *consumer = kafka_conf_create(&link, KAFKA_CONSUMER, why, sizeof why);
    assert_string_equal(setting(producer, "queue.buffering.max.ms"), "7");
    assert_string_equal(setting(producer, "enable.idempotence"), "true");
    assert_string_equal(setting(producer, "compression.codec"), "lz4");
    assert_string_equal(setting(producer, "client.id"), "mine");
    assert_string_equal(setting(producer, "fetch.wait.max.ms"), "500");
    assert_string_equal(setting(producer, "queue.buffering.max.messages"), "5000");
    assert_string_equal(setting(consumer, "fetch.wait.max.ms"), "9");
    assert_string_equal(setting(consumer, "queued.max.messages.kbytes"), "1024");
    assert_string_equal(setting(consumer, "enable.auto.commit"), "false");
    assert_string_equal(setting(consumer, "client.id"), "mine");
    rd_kafka_conf_destroy(producer);
    rd_kafka_conf_destroy(consumer);
    kafka_node_close(&node);
}

/* After a failed open nobody runs the loop for it. */
static void test_never_started(void **state)
{
    (void)state;
    struct kafka_node node;
    kafka_node_create(&node, true);
    kafka_node_make(&node);
    assert_non_null(node.link);
    kafka_link_close(node.link);
    assert_true(node.closed);
    node.link = NULL;
    kafka_node_close(&node);
}

int main(void)
{
    const struct CMUnitTest all[] = {
        KAFKA_TEST(test_good),          KAFKA_TEST(test_wrong), KAFKA_TEST(test_ours),
        KAFKA_TEST(test_secrets),       KAFKA_TEST(test_names), KAFKA_TEST(test_layers),
        KAFKA_TEST(test_never_started),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}
