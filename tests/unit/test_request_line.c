/* The request line and the Host field: what RFC 9112 and RFC 3986 allow, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/request_line.h"

/* A copy without anything behind it, so that a sanitizer sees a read over the end. */
static struct text exact(const char *data, size_t size)
{
    char *copy = malloc(size > 0 ? size : 1);
    assert_non_null(copy);
    memcpy(copy, data, size);
    return (struct text){copy, size};
}

static void free_exact(struct text text)
{
    free((void *)(uintptr_t)text.data);
}

static void expect_host(const char *host, size_t size, bool valid)
{
    struct text text = exact(host, size);
    if (host_is_valid(text) != valid)
        fail_msg("Host \"%.*s\" should%s be valid", (int)size, host, valid ? "" : " not");
    free_exact(text);
}

static const char *const good_hosts[] = {"h",
                                         "example.org",
                                         "example.org:",
                                         "example.org:0",
                                         "example.org:80",
                                         "example.org:65535",
                                         "example.org:00080",
                                         "127.0.0.1",
                                         "127.0.0.1:8080",
                                         "999.999.1",
                                         "EXAMPLE",
                                         "a_b",
                                         "a~b",
                                         "-",
                                         "%41",
                                         "%4a%4B:1",
                                         "a!$&'()*+,;=b",
                                         "[::1]",
                                         "[::1]:80",
                                         "[::]:",
                                         "[2001:db8::7]",
                                         "[::ffff:1.2.3.4]",
                                         "[v1.a]",
                                         "[vF.a:b]:80",
                                         "[V0a.!$&'()*+,;=:]"};
static const char *const bad_hosts[] = {"",
                                        " ",
                                        ":",
                                        ":80",
                                        "a b",
                                        "a:b",
                                        "a:80:80",
                                        "a:-1",
                                        "a:+1",
                                        "a:65536",
                                        "a:99999999999999999",
                                        "a:8 0",
                                        "a:80a",
                                        "a/b",
                                        "a?b",
                                        "a#b",
                                        "a@b",
                                        "a\\b",
                                        "a\"b",
                                        "a<b",
                                        "a^b",
                                        "a`b",
                                        "a{b}",
                                        "a|b",
                                        "%",
                                        "%4",
                                        "%zz",
                                        "a%4:80",
                                        "[",
                                        "]",
                                        "[]",
                                        "[]:80",
                                        "[::1",
                                        "::1",
                                        "[::1]a",
                                        "[::1]80",
                                        "[::1]]",
                                        "[[::1]]",
                                        "[1.2.3.4]",
                                        "[:::1]",
                                        "[::1%25eth0]",
                                        "[::1%eth0]",
                                        "[g::]",
                                        "[v1.]",
                                        "[v.a]",
                                        "[v1a]",
                                        "[vg.a]",
                                        "[v1.a/b]",
                                        "[v1.%41]",
                                        "[v]",
                                        "a[::1]",
                                        "http://a",
                                        "a,b ",
                                        "\xc3\xa4",
                                        "a\x7f",
                                        "a\tb"};

static void hosts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(good_hosts) / sizeof(good_hosts[0]); i++)
        expect_host(good_hosts[i], strlen(good_hosts[i]), true);
    for (size_t i = 0; i < sizeof(bad_hosts) / sizeof(bad_hosts[0]); i++)
        expect_host(bad_hosts[i], strlen(bad_hosts[i]), false);
    expect_host("a\0b", 3, false);
    expect_host("[::1\0]", 6, false);
    char brackets[200] = "[";
    memset(brackets + 1, '1', 150);
    strcpy(brackets + 150, "]");
    expect_host(brackets, strlen(brackets), false);
}

/* Any single byte: in a reg-name and behind one. */
static void host_bytes(void **state)
{
    (void)state;
    static const char in_name[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"
        "!$&'()*+,;=:";
    for (int byte = 0; byte < 256; byte++) {
        const char host[] = {'a', (char)byte};
        expect_host(host, 2, byte != 0 && strchr(in_name, byte) != NULL);
    }
}

static void expect_line(const char *line, size_t size, const char *slug, struct request_line *out)
{
    struct text text = exact(line, size);
    *out = (struct request_line){0};
    struct http_fault fault = request_line_parse(text, out);
    const char *got = fault.slug == NULL ? "good" : fault.slug;
    if (strcmp(got, slug) != 0)
        fail_msg("\"%.*s\": %s (%s), not %s", (int)size, line, got,
                 fault.detail == NULL ? "" : fault.detail, slug);
    free_exact(text);
}

static void expect_target(enum http_method method, const char *target, const char *path,
                          const char *query)
{
    char line[256] = "";
    strcat(strcat(strcat(strcat(line, http_method_name(method)), " "), target), " HTTP/1.0");
    struct text text = exact(line, strlen(line));
    struct request_line out;
    struct http_fault fault = request_line_parse(text, &out);
    if (fault.slug != NULL)
        fail_msg("%s: %s", target, fault.detail);
    assert_int_equal(out.method, method);
    assert_int_equal(out.version_minor, 0);
    if (!text_equal(out.path, (struct text){path, strlen(path)}))
        fail_msg("%s: path %.*s", target, (int)out.path.size, out.path.data);
    assert_true((out.query.data == NULL) == (query == NULL));
    if (query != NULL && !text_equal(out.query, (struct text){query, strlen(query)}))
        fail_msg("%s: query %.*s", target, (int)out.query.size, out.query.data);
    free_exact(text);
}

static void targets(void **state)
{
    (void)state;
    expect_target(METHOD_GET, "/", "/", NULL);
    expect_target(METHOD_POST, "/a/b", "/a/b", NULL);
    expect_target(METHOD_PUT, "//a//", "//a//", NULL);
    expect_target(METHOD_DELETE, "/a/../b/.", "/a/../b/.", NULL);
    expect_target(METHOD_GET, "/a?", "/a", "");
    expect_target(METHOD_GET, "/a?b", "/a", "b");
    expect_target(METHOD_GET, "/a?b?c=d/e", "/a", "b?c=d/e");
    expect_target(METHOD_GET, "/%41%2f%00", "/%41%2f%00", NULL);
    expect_target(METHOD_GET, "/:@!$&'()*+,;=-._~?:@!$&'()*+,;=-._~/?", "/:@!$&'()*+,;=-._~",
                  ":@!$&'()*+,;=-._~/?");
    expect_target(METHOD_HEAD, "http://h", "/", NULL);
    expect_target(METHOD_HEAD, "http://h/", "/", NULL);
    expect_target(METHOD_HEAD, "HTTPS://[::1]:80/a?b", "/a", "b");
    expect_target(METHOD_HEAD, "http://h?q", "/", "q");
    expect_target(METHOD_HEAD, "http://h:/a//b", "/a//b", NULL);
    expect_target(METHOD_OPTIONS, "*", "*", NULL);
    expect_target(METHOD_OPTIONS, "/a", "/a", NULL);
    expect_target(METHOD_PATCH, "/a", "/a", NULL);
    expect_target(METHOD_TRACE, "/a", "/a", NULL);
}

static void bad_targets(void **state)
{
    (void)state;
    static const char *const targets[] = {"a",
                                          "?",
                                          "?a",
                                          "*",
                                          "**",
                                          "*/",
                                          "h:80",
                                          "http:",
                                          "http:/",
                                          "http:/a",
                                          "http://",
                                          "http:///",
                                          "http://?",
                                          "http://u@h/",
                                          "http://u:p@h/",
                                          "http://h:x/",
                                          "http://[::1/",
                                          "httpx://h/",
                                          "ftp://h/",
                                          "http//h/",
                                          "/%",
                                          "/%1",
                                          "/%1g",
                                          "/%%41",
                                          "/a?%",
                                          "/a?%4",
                                          "/[",
                                          "/]",
                                          "/a?[",
                                          "/#",
                                          "/a#",
                                          "/a?#",
                                          "http://h#",
                                          "http://h/#"};
    struct request_line out;
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        char line[128] = "GET ";
        strcat(strcat(line, targets[i]), " HTTP/1.1");
        expect_line(line, strlen(line), "bad-request", &out);
    }
    expect_line("OPTIONS ** HTTP/1.1", 19, "bad-request", &out);
}

/* Each byte in a path and in a query is allowed by RFC 3986 or is refused. */
static void target_bytes(void **state)
{
    (void)state;
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"
        "!$&'()*+,;=:@/?";
    struct request_line out;
    for (int byte = 0; byte < 256; byte++) {
        if (byte == ' ')
            continue; /* cuts the line elsewhere */
        bool good = byte != 0 && strchr(allowed, byte) != NULL;
        for (size_t at = 5; at <= 8; at++) {
            char line[] = "GET /a?bc HTTP/1.1";
            if (line[at] == '?')
                continue;
            line[at] = (char)byte;
            expect_line(line, sizeof(line) - 1, good ? "good" : "bad-request", &out);
        }
    }
}

/* Each byte in a method is a token's or is refused; a token that is no method is unknown. */
static void method_bytes(void **state)
{
    (void)state;
    static const char tokens[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                 "!#$%&'*+-.^_`|~";
    struct request_line out;
    for (int byte = 0; byte < 256; byte++) {
        if (byte == ' ')
            continue;
        char line[] = "GXT / HTTP/1.1";
        line[1] = (char)byte;
        const char *slug = "bad-request";
        if (byte == 'E')
            slug = "good";
        else if (byte != 0 && strchr(tokens, byte) != NULL)
            slug = "not-implemented";
        expect_line(line, sizeof(line) - 1, slug, &out);
    }
}

static void versions(void **state)
{
    (void)state;
    struct request_line out;
    for (char major = '0'; major <= '9'; major++) {
        for (char minor = '0'; minor <= '9'; minor++) {
            char line[] = "GET / HTTP/x.x";
            line[11] = major;
            line[13] = minor;
            bool good = major == '1' && minor <= '1';
            expect_line(line, sizeof(line) - 1, good ? "good" : "http-version-not-supported", &out);
            if (good)
                assert_int_equal(out.version_minor, minor - '0');
        }
    }
    /* No part of a line is read where it is cut off. */
    static const char line[] = "GET /a HTTP/1.1";
    for (size_t size = 0; size < sizeof(line) - 1; size++) {
        bool no_version = size > strlen("GET ") && size <= strlen("GET /a");
        expect_line(line, size, no_version ? "http-version-not-supported" : "bad-request", &out);
    }
    expect_line("CONNECT h:1 HTTP/1.1", 20, "method-not-allowed", &out);
    expect_line("CONNECT [::1]:1 HTTP/1.1", 24, "method-not-allowed", &out);
    expect_line("CONNECT \" HTTP/1.1", 18, "bad-request", &out);
    expect_line("CONNECT h:1 HTTP/3.1", 20, "http-version-not-supported", &out);
}

static void bytes_without_end(void **state)
{
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        char bytes[] = "GET /x";
        bytes[5] = (char)byte;
        struct text text = exact(bytes, 6);
        assert_true((request_line_check_bytes(text).slug == NULL) == (byte >= 0x20 && byte < 0x7f));
        free_exact(text);
    }
    assert_null(request_line_check_bytes((struct text){"", 0}).slug);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts),        cmocka_unit_test(host_bytes),
        cmocka_unit_test(targets),      cmocka_unit_test(bad_targets),
        cmocka_unit_test(target_bytes), cmocka_unit_test(method_bytes),
        cmocka_unit_test(versions),     cmocka_unit_test(bytes_without_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
