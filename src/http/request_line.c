/* The request line and the Host that goes with it: RFC 9112 section 3, RFC 3986. */
#include "http/request_line.h"

#include <arpa/inet.h>

#include "http/limits.h"

enum byte_class {
    BYTE_TOKEN = 1,     /* RFC 9110 tchar */
    BYTE_TARGET = 2,    /* may stand in path and query */
    BYTE_AUTHORITY = 4, /* may stand in a reg-name or port */
    BYTE_HEX = 8,
    BYTE_BRACKET = 16, /* around an IPv6 address in the authority */
};

#define UNRESERVED (BYTE_TOKEN | BYTE_TARGET | BYTE_AUTHORITY)
#define SUB_DELIM  (BYTE_TARGET | BYTE_AUTHORITY)

#define U UNRESERVED
#define X (UNRESERVED | BYTE_HEX)
#define S SUB_DELIM
#define T BYTE_TOKEN

/* clang-format off */
static const uint8_t classes[256] = {
    ['0'] = X, ['1'] = X, ['2'] = X, ['3'] = X, ['4'] = X, ['5'] = X, ['6'] = X, ['7'] = X,
    ['8'] = X, ['9'] = X, ['A'] = X, ['B'] = X, ['C'] = X, ['D'] = X, ['E'] = X, ['F'] = X,
    ['a'] = X, ['b'] = X, ['c'] = X, ['d'] = X, ['e'] = X, ['f'] = X,
    ['G'] = U, ['H'] = U, ['I'] = U, ['J'] = U, ['K'] = U, ['L'] = U, ['M'] = U, ['N'] = U,
    ['O'] = U, ['P'] = U, ['Q'] = U, ['R'] = U, ['S'] = U, ['T'] = U, ['U'] = U, ['V'] = U,
    ['W'] = U, ['X'] = U, ['Y'] = U, ['Z'] = U, ['g'] = U, ['h'] = U, ['i'] = U, ['j'] = U,
    ['k'] = U, ['l'] = U, ['m'] = U, ['n'] = U, ['o'] = U, ['p'] = U, ['q'] = U, ['r'] = U,
    ['s'] = U, ['t'] = U, ['u'] = U, ['v'] = U, ['w'] = U, ['x'] = U, ['y'] = U, ['z'] = U,
    ['-'] = U, ['.'] = U, ['_'] = U, ['~'] = U,
    ['!'] = S | T, ['$'] = S | T, ['&'] = S | T, ['\''] = S | T, ['*'] = S | T, ['+'] = S | T,
    ['('] = S, [')'] = S, [','] = S, [';'] = S, ['='] = S,
    [':'] = BYTE_TARGET, ['@'] = BYTE_TARGET, ['/'] = BYTE_TARGET, ['?'] = BYTE_TARGET,
    ['%'] = S | T,
    ['['] = BYTE_BRACKET, [']'] = BYTE_BRACKET,
    ['#'] = T, ['^'] = T, ['`'] = T, ['|'] = T,
};
/* clang-format on */
#undef U
#undef X
#undef S
#undef T

static bool is_class(char byte, enum byte_class class)
{
    return (classes[(uint8_t)byte] & class) != 0;
}

/* Every byte of the class, and every '%' followed by two hexadecimal digits. */
static bool all_in_class(struct text text, enum byte_class class)
{
    unsigned all = class;
    unsigned percents = 0;
    for (size_t i = 0; i < text.size; i++) { /* no early exit: the usual text is good to its end */
        all &= classes[(uint8_t)text.data[i]];
        percents += text.data[i] == '%';
    }
    if (all == 0)
        return false;
    for (size_t i = 0; percents > 0 && class != BYTE_TOKEN && i < text.size; i++) {
        if (text.data[i] != '%')
            continue;
        if (i + 2 >= text.size || !is_class(text.data[i + 1], BYTE_HEX) ||
            !is_class(text.data[i + 2], BYTE_HEX))
            return false;
        i += 2;
    }
    return true;
}

static struct text prefix_until(struct text text, char byte)
{
    const char *at = text.size == 0 ? NULL : memchr(text.data, byte, text.size);
    return (struct text){text.data, at == NULL ? text.size : (size_t)(at - text.data)};
}

static struct text after(struct text text, size_t count)
{
    return (struct text){text.data + count, text.size - count};
}

static struct http_fault bad_request(const char *detail)
{
    return (struct http_fault){"bad-request", detail};
}

static const struct http_fault no_fault = {NULL, NULL};

/* --- Host ------------------------------------------------------------------------------------ */

static bool ip_literal_is_valid(struct text inside)
{
    char address[64];
    if (inside.size == 0 || inside.size >= sizeof(address))
        return false;
    if (inside.data[0] == 'v' || inside.data[0] == 'V') { /* IPvFuture */
        struct text version = prefix_until(after(inside, 1), '.');
        if (version.size == 0 || version.size + 2 >= inside.size)
            return false;
        struct text rest = after(inside, version.size + 2);
        for (size_t i = 0; i < rest.size; i++) {
            if (rest.data[i] == '%' ||
                (!is_class(rest.data[i], BYTE_AUTHORITY) && rest.data[i] != ':'))
                return false;
        }
        return all_in_class(version, BYTE_HEX);
    }
    memcpy(address, inside.data, inside.size);
    address[inside.size] = '\0';
    struct in6_addr parsed;
    return strlen(address) == inside.size && inet_pton(AF_INET6, address, &parsed) == 1;
}

static bool port_is_valid(struct text port)
{
    unsigned value = 0;
    for (size_t i = 0; i < port.size; i++) {
        if (port.data[i] < '0' || port.data[i] > '9')
            return false;
        value = value * 10 + (unsigned)(port.data[i] - '0');
        if (value > 65535)
            return false;
    }
    return true;
}

bool host_is_valid(struct text host)
{
    if (host.size == 0)
        return false;
    struct text rest;
    if (host.data[0] == '[') {
        struct text inside = prefix_until(after(host, 1), ']');
        if (inside.size + 2 > host.size || !ip_literal_is_valid(inside))
            return false;
        rest = after(host, inside.size + 2);
    } else {
        struct text name = prefix_until(host, ':');
        if (name.size == 0 || !all_in_class(name, BYTE_AUTHORITY))
            return false;
        rest = after(host, name.size);
    }
    return rest.size == 0 || (rest.data[0] == ':' && port_is_valid(after(rest, 1)));
}

/* --- the line --------------------------------------------------------------------------------- */

/* absolute-form: the part after the authority; data NULL when it is none of ours. */
static struct text after_authority(struct text target)
{
    static const struct text schemes[] = {{"http://", 7}, {"https://", 8}};
    for (size_t i = 0; i < 2; i++) {
        if (target.size <= schemes[i].size ||
            strncasecmp(target.data, schemes[i].data, schemes[i].size) != 0)
            continue;
        struct text rest = after(target, schemes[i].size);
        size_t size = 0;
        while (size < rest.size && rest.data[size] != '/' && rest.data[size] != '?')
            size++;
        if (!host_is_valid((struct text){rest.data, size}))
            return (struct text){NULL, 0};
        return after(rest, size);
    }
    return (struct text){NULL, 0};
}

static struct http_fault parse_target(struct text target, struct request_line *out)
{
    static const char not_allowed[] = "the request target has a character that is not allowed";
    if (target.size == 1 && target.data[0] == '*') {
        if (out->method != METHOD_OPTIONS)
            return bad_request("the target * is for OPTIONS only");
        out->path = target;
        out->query = (struct text){NULL, 0};
        return no_fault;
    }
    if (target.data[0] != '/') {
        target = after_authority(target);
        if (target.data == NULL)
            return bad_request("the request target is neither a path nor an http URL");
        if (target.size == 0)
            target = TEXT("/");
    }
    if (!all_in_class(target, BYTE_TARGET))
        return bad_request(not_allowed);
    out->path = prefix_until(target, '?');
    out->query = (struct text){NULL, 0};
    if (out->path.size < target.size)
        out->query = after(target, out->path.size + 1);
    if (out->path.size == 0)
        out->path = TEXT("/");
    return no_fault;
}

static struct http_fault parse_version(struct text version, struct request_line *out)
{
    if (version.size != 8 || memcmp(version.data, "HTTP/", 5) != 0 || version.data[6] != '.' ||
        version.data[5] < '0' || version.data[5] > '9' || version.data[7] < '0' ||
        version.data[7] > '9')
        return bad_request("the request line does not end in an HTTP version");
    if (version.data[5] != '1' || version.data[7] > '1')
        return (struct http_fault){"http-version-not-supported",
                                   "this server speaks HTTP/1.1 and HTTP/1.0"};
    out->version_minor = (uint8_t)(version.data[7] - '0');
    return no_fault;
}

static bool find_method(struct text name, enum http_method *method)
{
    for (enum http_method i = 0; i < METHOD_COUNT; i++) {
        const char *known = http_method_name(i);
        if (strlen(known) == name.size && memcmp(known, name.data, name.size) == 0) {
            *method = i;
            return true;
        }
    }
    return false;
}

/* For a method that is unknown and for CONNECT the target's form is not ours to judge, only its
 * bytes. */
static bool target_bytes_allowed(struct text target)
{
    bool allowed = true;
    for (size_t i = 0; i < target.size; i++)
        allowed &= (classes[(uint8_t)target.data[i]] & (BYTE_TARGET | BYTE_BRACKET)) != 0;
    return allowed;
}

struct http_fault request_line_parse(struct text line, struct request_line *out)
{
    struct text method = prefix_until(line, ' ');
    if (method.size == 0 || !all_in_class(method, BYTE_TOKEN))
        return bad_request("the request line does not start with a method");
    if (method.size == line.size)
        return bad_request("the request line has no target");
    struct text rest = after(line, method.size + 1);
    struct text target = prefix_until(rest, ' ');
    if (target.size == 0)
        return bad_request("the request line has no target");
    if (!target_bytes_allowed(target))
        return bad_request("the request target has a character that is not allowed");
    if (target.size > HTTP_TARGET_BYTES_MAX)
        return (struct http_fault){"uri-too-long", "the request target is over 8,192 bytes"};
    if (target.size == rest.size)
        return (struct http_fault){"http-version-not-supported",
                                   "HTTP/0.9 is not spoken here: the request line has no version"};
    struct http_fault fault = parse_version(after(rest, target.size + 1), out);
    if (fault.slug != NULL)
        return fault;
    if (!find_method(method, &out->method))
        return (struct http_fault){"not-implemented", "this server does not know the method"};
    if (out->method == METHOD_CONNECT)
        return (struct http_fault){"method-not-allowed", "this server is no proxy"};
    return parse_target(target, out);
}

struct http_fault request_line_check_bytes(struct text bytes)
{
    for (size_t i = 0; i < bytes.size; i++) {
        uint8_t byte = (uint8_t)bytes.data[i];
        if (byte < 0x20 || byte > 126)
            return bad_request("the request line has a byte that is not printable ASCII");
    }
    return no_fault;
}

struct http_fault request_line_too_long(struct text bytes)
{
    struct text method = prefix_until(bytes, ' ');
    if (!all_in_class(method, BYTE_TOKEN))
        return bad_request("the request line does not start with a method");
    if (method.size > HTTP_METHOD_BYTES_MAX)
        return (struct http_fault){"not-implemented", "this server does not know the method"};
    return (struct http_fault){"uri-too-long", "the request target is over 8,192 bytes"};
}
