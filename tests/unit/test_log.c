/* The log: the three forms, escaping, levels, what does not fit, and one write a line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"

#define TIME_SIZE 24 /* 2026-01-31T12:00:00.000Z */

/* stderr is one end of a datagram pair meanwhile: one datagram is one write. */
static int saved_stderr;
static int receiver;
static char line[16384];

static int set_up(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
    saved_stderr = dup(STDERR_FILENO);
    assert_true(saved_stderr >= 0);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    close(ends[1]);
    receiver = ends[0];
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_true(dup2(saved_stderr, STDERR_FILENO) >= 0);
    close(saved_stderr);
    close(receiver);
    return 0;
}

/* The next line, its time checked and replaced by T; "" when nothing was written. */
static const char *take_line(void)
{
    static const char form[] = "dddd-dd-ddTdd:dd:dd.dddZ";
    ssize_t size = recv(receiver, line, sizeof line - 1, MSG_DONTWAIT);
    if (size < 0) {
        assert_int_equal(errno, EAGAIN);
        return "";
    }
    line[size] = '\0';
    assert_int_equal(strlen(line), (size_t)size);
    char *time = strncmp(line, "time=", 5) == 0 ? line + 5 : line[0] == '{' ? line + 9 : line;
    for (size_t i = 0; i < TIME_SIZE; i++) {
        bool digit = time[i] >= '0' && time[i] <= '9';
        assert_true(form[i] == 'd' ? digit : time[i] == form[i]);
    }
    time[0] = 'T';
    memmove(time + 1, time + TIME_SIZE, strlen(time + TIME_SIZE) + 1);
    return line;
}

static void test_start_failure(void **state)
{
    (void)state;
    log_configure(LOG_FORMAT_JSON, RESV_LOG_ERROR);
    assert_int_equal(log_current_format(), LOG_FORMAT_JSON);
    log_start_failure("no \"way\"");
    assert_string_equal(take_line(), "{\"time\":\"T\",\"level\":\"error\",\"event\":\"start "
                                     "failed\",\"message\":\"no \\\"way\\\"\"}\n");
    static const enum log_format formats[] = {LOG_FORMAT_TEXT, LOG_FORMAT_LOGFMT};
    for (size_t i = 0; i < 2; i++) {
        log_configure(formats[i], RESV_LOG_ERROR);
        log_start_failure("no way");
        ssize_t size = recv(receiver, line, sizeof line, MSG_DONTWAIT);
        assert_int_equal(size, strlen("resvd: no way\n"));
        assert_memory_equal(line, "resvd: no way\n", (size_t)size);
    }
}

static void test_forms(void **state)
{
    (void)state;
    log_configure(LOG_FORMAT_TEXT, RESV_LOG_DEBUG);
    log_event(RESV_LOG_INFO, "server ready", "listen", "127.0.0.1:8080", "detail", "a b", NULL);
    assert_string_equal(take_line(), "T info server ready  listen=127.0.0.1:8080 detail=\"a b\"\n");
    log_event(RESV_LOG_INFO, "server ready", NULL);
    assert_string_equal(take_line(), "T info server ready\n");

    log_configure(LOG_FORMAT_LOGFMT, RESV_LOG_DEBUG);
    log_event(RESV_LOG_WARNING, "server ready", "listen", "127.0.0.1:8080", "empty", "", NULL);
    assert_string_equal(take_line(), "time=T level=warning event=\"server ready\" "
                                     "listen=127.0.0.1:8080 empty=\"\"\n");
    log_event(RESV_LOG_ERROR, "stopped", NULL);
    assert_string_equal(take_line(), "time=T level=error event=stopped\n");

    log_configure(LOG_FORMAT_JSON, RESV_LOG_DEBUG);
    log_event(RESV_LOG_DEBUG, "server ready", "listen", "127.0.0.1:8080", "n", "1", NULL);
    assert_string_equal(take_line(), "{\"time\":\"T\",\"level\":\"debug\",\"event\":\"server "
                                     "ready\",\"listen\":\"127.0.0.1:8080\",\"n\":\"1\"}\n");
}

/* stderr is no terminal here. */
static void test_auto(void **state)
{
    (void)state;
    log_configure(LOG_FORMAT_AUTO, RESV_LOG_INFO);
    log_event(RESV_LOG_INFO, "x", NULL);
    assert_string_equal(take_line(), "time=T level=info event=x\n");
}

static void test_levels(void **state)
{
    (void)state;
    for (int lowest = RESV_LOG_DEBUG; lowest <= RESV_LOG_ERROR; lowest++) {
        log_configure(LOG_FORMAT_TEXT, (enum resv_log_level)lowest);
        for (int level = RESV_LOG_DEBUG; level <= RESV_LOG_ERROR; level++) {
            log_event((enum resv_log_level)level, "x", NULL);
            assert_int_equal(take_line()[0] != '\0', level >= lowest);
        }
    }
}

static void test_escaping(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        const char *plain;  /* in text and logfmt */
        const char *quoted; /* in JSON */
    } cases[] = {
        {"a-b/c:d,e", "a-b/c:d,e", "\"a-b/c:d,e\""},
        {"a=b", "\"a=b\"", "\"a=b\""},
        {"a\"b\\c", "\"a\\\"b\\\\c\"", "\"a\\\"b\\\\c\""},
        {"a\nlevel=error", "\"a\\nlevel=error\"", "\"a\\nlevel=error\""},
        {"\r\t\x01\x1b[31m\x7f", "\"\\r\\t\\u0001\\u001b[31m\\u007f\"",
         "\"\\r\\t\\u0001\\u001b[31m\\u007f\""},
        {"\xc2\x9b"
         "31m",
         "\"\\u009b31m\"", "\"\\u009b31m\""},
        {"\xc2\xa0", "\"\xc2\xa0\"", "\"\xc2\xa0\""},
        {"K\xc3\xb6ln \xf0\x9f\x8e\xab", "\"K\xc3\xb6ln \xf0\x9f\x8e\xab\"",
         "\"K\xc3\xb6ln \xf0\x9f\x8e\xab\""},
        /* No UTF-8: lone continuation, overlong, surrogate, over U+10FFFF, cut at the end. */
        {"\x80", "\"\\ufffd\"", "\"\\ufffd\""},
        {"\xc0\xaf", "\"\\ufffd\\ufffd\"", "\"\\ufffd\\ufffd\""},
        {"\xe0\x80\xaf", "\"\\ufffd\\ufffd\\ufffd\"", "\"\\ufffd\\ufffd\\ufffd\""},
        {"\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"", "\"\\ufffd\\ufffd\\ufffd\""},
        {"\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"",
         "\"\\ufffd\\ufffd\\ufffd\\ufffd\""},
        {"a\xe2\x82", "\"a\\ufffd\\ufffd\"", "\"a\\ufffd\\ufffd\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char expected[256];
        log_configure(LOG_FORMAT_LOGFMT, RESV_LOG_INFO);
        log_event(RESV_LOG_INFO, "x", "k", cases[i].value, NULL);
        snprintf(expected, sizeof expected, "time=T level=info event=x k=%s\n", cases[i].plain);
        assert_string_equal(take_line(), expected);
        log_configure(LOG_FORMAT_JSON, RESV_LOG_INFO);
        log_event(RESV_LOG_INFO, "x", "k", cases[i].value, NULL);
        snprintf(expected, sizeof expected,
                 "{\"time\":\"T\",\"level\":\"info\",\"event\":\"x\",\"k\":%s}\n", cases[i].quoted);
        assert_string_equal(take_line(), expected);
    }
}

static void test_long_value_is_cut(void **state)
{
    (void)state;
    char value[4096];
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    memcpy(value + 2046, "\xe2\x82\xac", 3); /* the cut goes through this character */
    log_configure(LOG_FORMAT_JSON, RESV_LOG_INFO);
    log_event(RESV_LOG_INFO, "x", "k", value, "after", "1", NULL);
    const char *text = take_line();
    const char *end = "vv...\",\"after\":\"1\"}\n";
    assert_string_equal(text + strlen(text) - strlen(end), end);
    assert_int_equal(strlen(text),
                     strlen("{\"time\":\"T\",\"level\":\"info\",\"event\":\"x\",\"k\":\"\"}\n") +
                         2046 + strlen("...,\"after\":\"1\""));
}

static void test_full_line_stays_whole(void **state)
{
    (void)state;
    char value[2048];
    memset(value, 0x01, sizeof value - 1); /* six times as long when escaped */
    value[sizeof value - 1] = '\0';
    log_configure(LOG_FORMAT_JSON, RESV_LOG_INFO);
    log_event(RESV_LOG_INFO, "x", "a", "1", "b", value, "c", "3", NULL);
    assert_string_equal(take_line(), "{\"time\":\"T\",\"level\":\"info\",\"event\":\"x\","
                                     "\"a\":\"1\",\"truncated\":\"true\"}\n");
    log_configure(LOG_FORMAT_TEXT, RESV_LOG_INFO);
    log_event(RESV_LOG_INFO, "x", "a", "1", "b", value, "c", "3", NULL);
    assert_string_equal(take_line(), "T info x  a=1 truncated=true\n");
}

static void test_null_value(void **state)
{
    (void)state;
    log_configure(LOG_FORMAT_LOGFMT, RESV_LOG_INFO);
    log_event(RESV_LOG_INFO, "x", "k", (const char *)NULL, "l", "1", NULL);
    assert_string_equal(take_line(), "time=T level=info event=x k=\"\" l=1\n");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_forms),
        TEST(test_start_failure),
        TEST(test_auto),
        TEST(test_levels),
        TEST(test_escaping),
        TEST(test_long_value_is_cut),
        TEST(test_full_line_stays_whole),
        TEST(test_null_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
