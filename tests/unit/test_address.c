/* Addresses to listen on: what is taken, and every refusal's exact words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "config/address.h"

static struct address addresses[ADDRESS_LIST_MAX];
static char why[512];

static size_t parse(const char *text)
{
    memset(addresses, 0x5a, sizeof addresses);
    why[0] = '\0';
    return address_parse_list(text, addresses, ADDRESS_LIST_MAX, why, sizeof why);
}

static void test_list(void **state)
{
    (void)state;
    assert_int_equal(parse(" 127.0.0.1:8080 ,[::1]:0,\tunix:/run/a b:c , example.com:65535"), 4);
    assert_int_equal(addresses[0].kind, ADDRESS_TCP);
    assert_string_equal(addresses[0].host, "127.0.0.1");
    assert_int_equal(addresses[0].port, 8080);
    assert_string_equal(addresses[1].host, "::1");
    assert_int_equal(addresses[1].port, 0);
    assert_int_equal(addresses[2].kind, ADDRESS_UNIX);
    assert_string_equal(addresses[2].path, "/run/a b:c");
    assert_string_equal(addresses[2].host, "");
    assert_string_equal(addresses[3].host, "example.com");
    assert_int_equal(addresses[3].port, 65535);
}

static void test_good(void **state)
{
    (void)state;
    static const char *const good[] = {
        "0.0.0.0:1", "[::]:1",  "[fe80::1%eth0]:1", "[::ffff:1.2.3.4]:1",      "a:1",
        "a-b.c.:1",  "1a.2b:1", "xn--bcher-kva:1",  "127.0.0.1:0,127.0.0.1:0",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(parse(good[i]) > 0);
        assert_true(address_check_list(good[i], why, sizeof why));
    }
}

static void test_bad(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *why;
    } bad[] = {
        {"", "an entry of the list is empty"},
        {"a:1,", "an entry of the list is empty"},
        {",a:1", "an entry of the list is empty"},
        {"a:1, ,b:1", "an entry of the list is empty"},
        {"8080", "'8080' has no port: write host:port, [IPv6]:port or unix:/path"},
        {"[::1]", "'[::1]' has no port: write host:port, [IPv6]:port or unix:/path"},
        {"[::1:80", "'[::1:80' lacks a ']'"},
        {"::1:80", "'::1:80' is ambiguous: write an IPv6 address as [::1]:8080"},
        {":80", "':80' has no host: write 0.0.0.0 or [::] for all interfaces"},
        {"[]:80", "'[]:80' has no host: write 0.0.0.0 or [::] for all interfaces"},
        {"a:", "'a:' has a bad port: it must be a number from 0 to 65535"},
        {"a:65536", "'a:65536' has a bad port: it must be a number from 0 to 65535"},
        {"a:080", "'a:080' has a bad port: it must be a number from 0 to 65535"},
        {"a:+80", "'a:+80' has a bad port: it must be a number from 0 to 65535"},
        {"a:8 0", "'a:8 0' has a bad port: it must be a number from 0 to 65535"},
        {"a:http", "'a:http' has a bad port: it must be a number from 0 to 65535"},
        {"[::1]x:80", "'[::1]x:80' has a bad port: it must be a number from 0 to 65535"},
        {"[::1]80", "'[::1]80' has a bad port: it must be a number from 0 to 65535"},
        {"256.0.0.1:80", "'256.0.0.1:80' has a bad host name or IPv4 address"},
        {"127.1:80", "'127.1:80' has a bad host name or IPv4 address"},
        {"1.2.3.4.:80", "'1.2.3.4.:80' has a bad host name or IPv4 address"},
        {"a..b:80", "'a..b:80' has a bad host name or IPv4 address"},
        {"-a:80", "'-a:80' has a bad host name or IPv4 address"},
        {"a-:80", "'a-:80' has a bad host name or IPv4 address"},
        {"a-.b:80", "'a-.b:80' has a bad host name or IPv4 address"},
        {"a_b:80", "'a_b:80' has a bad host name or IPv4 address"},
        {"*:80", "'*:80' has a bad host name or IPv4 address"},
        {"http://a:80", "'http://a:80' is ambiguous: write an IPv6 address as [::1]:8080"},
        {"[1.2.3.4]:80", "'[1.2.3.4]:80' has a bad IPv6 address"},
        {"[::1%]:80", "'[::1%]:80' has a bad IPv6 address"},
        {"[::1%a/b]:80", "'[::1%a/b]:80' has a bad IPv6 address"},
        {"[::g]:80", "'[::g]:80' has a bad IPv6 address"},
        {"unix:", "'unix:' needs an absolute path: write unix:/path"},
        {"unix:a", "'unix:a' needs an absolute path: write unix:/path"},
        {"unix:/run/", "'unix:/run/' is a folder, not a socket's path"},
        {"a:1,b:1,A:1", "'A:1' is given twice"},
        {"unix:/a,unix:/a", "'unix:/a' is given twice"},
        {"a:1,b:1,c:1,d:1,e:1,f:1,g:1,h:1,i:1,j:1,k:1,l:1,m:1,n:1,o:1,p:1,q:1",
         "has more than 16 addresses"},
        {"a\x1b[:1", "'a\\x1b[:1' has a bad host name or IPv4 address"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(parse(bad[i].text), 0);
        assert_string_equal(why, bad[i].why);
        assert_false(address_check_list(bad[i].text, why, sizeof why));
    }
}

/* A list of exactly 16, a path of exactly 107 bytes, a name of exactly 253, and one more each. */
static void test_limits(void **state)
{
    (void)state;
    assert_int_equal(parse("a:1,b:1,c:1,d:1,e:1,f:1,g:1,h:1,i:1,j:1,k:1,l:1,m:1,n:1,o:1,p:1"), 16);

    char text[512] = "unix:/";
    memset(text + 6, 'p', 106);
    assert_int_equal(parse(text), 1);
    assert_int_equal(strlen(addresses[0].path), ADDRESS_PATH_BYTES_MAX);
    text[6 + 106] = 'p';
    assert_int_equal(parse(text), 0);
    assert_non_null(strstr(why, "...' is too long: a socket's path has at most 107 bytes"));

    memset(text, 0, sizeof text);
    for (size_t i = 0; i < 253; i++) {
        text[i] = i % 64 == 63 ? '.' : 'h';
    }
    strcpy(text + 253, ":65535");
    assert_int_equal(parse(text), 1);
    assert_int_equal(strlen(addresses[0].host), 253);
    char formatted[ADDRESS_TEXT_SIZE];
    address_format(&addresses[0], formatted, sizeof formatted);
    assert_string_equal(formatted, text);
    strcpy(text + 253, "h:65535");
    assert_int_equal(parse(text), 0);
    assert_non_null(strstr(why, "...' has too long a host name"));

    memset(text, 'h', 64); /* a label has at most 63 */
    strcpy(text + 64, ":1");
    assert_int_equal(parse(text), 0);
    assert_int_equal(parse(text + 1), 1);

    memset(text, 'h', sizeof text - 1);
    assert_int_equal(parse(text), 0);
    assert_non_null(strstr(why, "...' is too long"));
}

static void test_loopback(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool loopback;
    } cases[] = {
        {"127.0.0.1:1", true}, {"127.255.255.255:1", true},    {"128.0.0.1:1", false},
        {"0.0.0.0:1", false},  {"10.127.0.1:1", false},        {"[::1]:1", true},
        {"[::]:1", false},     {"[::ffff:127.0.0.1]:1", true}, {"[::ffff:10.0.0.1]:1", false},
        {"LocalHost:1", true}, {"localhost.example:1", false}, {"unix:/a", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(parse(cases[i].text), 1);
        assert_int_equal(address_is_loopback(&addresses[0]), cases[i].loopback);
    }
}

static void test_format(void **state)
{
    (void)state;
    static const char *const texts[] = {"127.0.0.1:80", "[fe80::1%eth0]:0", "unix:/run/r.sock"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char formatted[ADDRESS_TEXT_SIZE];
        assert_int_equal(parse(texts[i]), 1);
        address_format(&addresses[0], formatted, sizeof formatted);
        assert_string_equal(formatted, texts[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),     cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),      cmocka_unit_test(test_limits),
        cmocka_unit_test(test_loopback), cmocka_unit_test(test_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
