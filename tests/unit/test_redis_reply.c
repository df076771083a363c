/* What needs no server: bytes to replies, commands to bytes, addresses and other settings. */
#include "redis_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- replies -------------------------------------------------------------------------------------
 */

static void append(char *out, size_t size, const struct redis_reply *reply)
{
    size_t used = strlen(out);
    switch (reply->kind) {
    case REDIS_KIND_NIL:
        snprintf(out + used, size - used, "nil ");
        return;
    case REDIS_KIND_INTEGER:
        snprintf(out + used, size - used, "%lld ", (long long)reply->integer);
        return;
    case REDIS_KIND_TEXT:
        snprintf(out + used, size - used, "'%s' ", reply->text.bytes);
        return;
    case REDIS_KIND_ERROR:
        snprintf(out + used, size - used, "!%s ", reply->text.bytes);
        return;
    case REDIS_KIND_LIST:
        snprintf(out + used, size - used, "[ ");
        for (size_t i = 0; i < reply->count; i++)
            append(out, size, &reply->elements[i]);
        used = strlen(out);
        snprintf(out + used, size - used, "] ");
        return;
    }
}

/* All of it in pieces of so many bytes, as text; "?" at an error. */
static const char *read_in_pieces(const char *bytes, size_t size, size_t piece)
{
    static char out[4096];
    struct redis_reader *reader = redis_reader_create();
    char why[128];
    out[0] = '\0';
    assert_non_null(reader);
    for (size_t at = 0; at < size; at += piece) {
        const struct redis_reply *reply = NULL;
        assert_true(redis_reader_feed(reader, bytes + at, at + piece > size ? size - at : piece));
        do {
            if (!redis_reader_next(reader, &reply, why, sizeof why)) {
                strcat(out, "?");
                redis_reader_free(reader);
                return out;
            }
            if (reply != NULL)
                append(out, sizeof out, reply);
        } while (reply != NULL);
    }
    redis_reader_free(reader);
    return out;
}

static void test_replies_in_pieces_of_every_size(void **state)
{
    (void)state;
    static const char bytes[] =
        "+OK\r\n:-5\r\n$-1\r\n*-1\r\n*0\r\n-ERR no\r\n$5\r\na\r\nbc\r\n"
        "*4\r\n:1\r\n*2\r\n+in\r\n$0\r\n\r\n$3\r\nxyz\r\n*1\r\n-E\r\n+end\r\n";
    static const char expected[] =
        "'OK' -5 nil nil [ ] !ERR no 'a\r\nbc' [ 1 [ 'in' '' ] 'xyz' [ !E ] ] 'end' ";
    for (size_t piece = 1; piece < sizeof bytes; piece++)
        assert_string_equal(read_in_pieces(bytes, sizeof bytes - 1, piece), expected);
}

static void test_what_is_no_reply(void **state)
{
    (void)state;
    static const char *const wrong[] = {"x\r\n", "*-7\r\n", "$-7\r\n", ":1a\r\n", "$a\r\n", "\r\n"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const char *text = read_in_pieces(wrong[i], strlen(wrong[i]), 1);
        if (strcmp(text, "?") != 0)
            fail_msg("%zu: %s", i, text);
    }
}

static void test_a_reply_has_a_largest_size(void **state)
{
    (void)state;
    char header[32];
    for (int more = -64; more <= 64; more += 128) {
        size_t length = REDIS_REPLY_BYTES_MAX - sizeof(struct redis_reply) + (size_t)more;
        struct redis_reader *reader = redis_reader_create();
        const struct redis_reply *reply = NULL;
        char why[128] = "";
        char *body = malloc(length + 2);
        assert_non_null(body);
        memset(body, 'x', length);
        memcpy(body + length, "\r\n", 2);
        snprintf(header, sizeof header, "$%zu\r\n", length);
        for (unsigned i = 0; i < 3; i++) { /* the block is empty again after each */
            assert_true(redis_reader_feed(reader, header, strlen(header)));
            assert_true(redis_reader_feed(reader, body, length + 2));
            bool good = redis_reader_next(reader, &reply, why, sizeof why);
            assert_int_equal(good, more < 0);
            if (!good)
                break;
            assert_int_equal(reply->text.size, length);
        }
        assert_int_equal(strstr(why, "256 KiB") != NULL, more > 0);
        free(body);
        redis_reader_free(reader);
    }
}

/* --- commands ------------------------------------------------------------------------------------
 */

static void test_commands(void **state)
{
    (void)state;
    struct redis_buffer buffer = {.maximum = 1000};
    redis_put_command(&buffer, 3);
    redis_put_text(&buffer, "SET");
    redis_put_word(&buffer, "a\0b", 3);
    redis_put_number(&buffer, 1234567890123ULL);
    assert_false(buffer.failed);
    static const char expected[] = "*3\r\n$3\r\nSET\r\n$3\r\na\0b\r\n$13\r\n1234567890123\r\n";
    assert_int_equal(buffer.used, sizeof expected - 1);
    assert_memory_equal(buffer.bytes, expected, sizeof expected - 1);
    char big[1001];
    memset(big, 'x', sizeof big);
    size_t used = buffer.used;
    assert_false(redis_buffer_put(&buffer, big, sizeof big));
    assert_true(buffer.failed);
    assert_int_equal(buffer.used, used);
    redis_buffer_free(&buffer);
}

/* --- settings ------------------------------------------------------------------------------------
 */

static const struct resv_option *option(const char *key)
{
    for (size_t i = 0; i < redis_options.count; i++) {
        if (strcmp(redis_options.options[i].key, key) == 0)
            return &redis_options.options[i];
    }
    fail_msg("no option %s", key);
    return NULL;
}

static void expect_verdict(const char *key, const char *text, const char *words)
{
    char why[256] = "";
    bool good = option(key)->check(text, why, sizeof why);
    if (good != (words == NULL) || (words != NULL && strstr(why, words) == NULL))
        fail_msg("%s = %s: %s", key, text, good ? "accepted" : why);
}

static void test_addresses(void **state)
{
    (void)state;
    static const char *const good[] = {
        "127.0.0.1:6379", "redis:1",          "redis-1.example.com:65535", "[::1]:6379",
        " a:1 ",          "[fe80::1%eth0]:7", "unix:/run/redis.sock",      "my_redis:1"};
    static const char *const bad[][2] = {
        {"127.0.0.1", "has no port"},       {"a:", "has a bad port"},
        {"a:0", "has a bad port"},          {"a:65536", "has a bad port"},
        {"a:1x", "has a bad port"},         {":6379", "has no host"},
        {"::1:6379", "is ambiguous"},       {"[::1]", "has no port"},
        {"[::1:6379", "lacks a ']'"},       {"[x]:1", "has a bad IPv6 address"},
        {"1.2.3:1", "has a bad host name"}, {"a b:1", "has a bad host name"},
        {"unix:redis", "absolute path"},    {"a:1,b:2", "on one node"},
        {"redis://a:1", "is a URL"},
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        expect_verdict("stock", good[i], NULL);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        expect_verdict("stock", bad[i][0], bad[i][1]);
}

static void test_lock_nodes(void **state)
{
    (void)state;
    expect_verdict("lock_nodes", "a:1", NULL);
    expect_verdict("lock_nodes", "a:1, b:1 ,unix:/c", NULL);
    expect_verdict("lock_nodes", "a:1,a:2,a:3,a:4,a:5", NULL);
    expect_verdict("lock_nodes", "a:1,b:1", "names 2 nodes: it must be 1, 3 or 5");
    expect_verdict("lock_nodes", "a:1,a:2,a:3,a:4", "names 4 nodes: it must be 1, 3 or 5");
    expect_verdict("lock_nodes", "a:1,a:2,a:3,a:4,a:5,a:6", "more than 5");
    expect_verdict("lock_nodes", "a:1,b:2,A:1", "is given twice");
    expect_verdict("lock_nodes", "unix:/a,unix:/b,unix:/a", "is given twice");
    expect_verdict("lock_nodes", "a:1,,b:1", "an entry of the list is empty");
    expect_verdict("lock_nodes", "a:1,b:1,", "an entry of the list is empty");
}

static void test_key_prefix(void **state)
{
    (void)state;
    expect_verdict("key_prefix", "resvd-2:", NULL);
    expect_verdict("key_prefix", "a b", "may not be in it");
    expect_verdict("key_prefix", "a{b}", "may not be in it");
    expect_verdict("key_prefix", "t\303\251:", "may not be in it");
    expect_verdict("key_prefix", "123456789012345678901234567890123", "longer than 32");
}

static void expect_misfit(const char *words)
{
    the_redis.ended = false;
    assert_false(link_create());
    assert_int_equal(the_redis.exit_code, 78);
    if (strstr(the_redis.message, words) == NULL)
        fail_msg("%s", the_redis.message);
}

static void test_settings_that_do_not_fit_together(void **state)
{
    (void)state;
    setting("reconnect_min_ms", "500");
    setting("reconnect_max_ms", "499");
    expect_misfit("[redis] reconnect_min_ms is above reconnect_max_ms");
    setting("reconnect_max_ms", "500");
    setting("tls_cert", "/a");
    expect_misfit("tls_cert and tls_key go together");
    setting("tls_cert", "");
    setting("tls", "verify_ca");
    expect_misfit("verify_ca needs tls_ca");
    if (!redis_tls_is_built_in()) {
        setting("tls", "on");
        expect_misfit("built without OpenSSL");
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, redis_set_up_alone, redis_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_replies_in_pieces_of_every_size),
        TEST(test_what_is_no_reply),
        TEST(test_a_reply_has_a_largest_size),
        TEST(test_commands),
        TEST(test_addresses),
        TEST(test_lock_nodes),
        TEST(test_key_prefix),
        TEST(test_settings_that_do_not_fit_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
