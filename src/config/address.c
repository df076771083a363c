/* Addresses to listen on, as they are written in the configuration. */
#include "config/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "config/notes.h"
#include "resvd/assert.h"

#define ENTRY_BYTES_MAX (ADDRESS_HOST_BYTES_MAX + 64)
#define QUOTED_SIZE     80

/* Says "'entry' what", and is false. */
static bool refuse(const char *entry, const char *what, char *why, size_t why_size)
{
    char quoted[QUOTED_SIZE];
    notes_quote(quoted, sizeof quoted, entry, strlen(entry));
    snprintf(why, why_size, "'%s' %s", quoted, what);
    return false;
}

static bool parse_port(const char *text, uint16_t *port)
{
    unsigned value = 0;
    size_t size = strlen(text);
    if (size == 0 || size > 5 || (size > 1 && text[0] == '0')) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        value = value * 10 + (unsigned)(text[i] - '0');
    }
    *port = (uint16_t)value;
    return value <= UINT16_MAX;
}

static bool is_alphanumeric(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* RFC 1123 labels; what consists of digits and dots only must be an IPv4 address. */
static bool is_host(const char *host)
{
    if (host[strspn(host, "0123456789.")] == '\0') {
        struct in_addr ignored;
        return inet_pton(AF_INET, host, &ignored) == 1;
    }
    size_t label_size = 0;
    for (const char *at = host; *at != '\0'; at++) {
        if (*at == '.') {
            if (label_size == 0 || at[-1] == '-') {
                return false;
            }
            label_size = 0;
            continue;
        }
        if (!is_alphanumeric(*at) && (*at != '-' || label_size == 0)) {
            return false;
        }
        if (++label_size > 63) {
            return false;
        }
    }
    return label_size == 0 || host[strlen(host) - 1] != '-';
}

/* With an optional zone: fe80::1%eth0. */
static bool is_ipv6(const char *host)
{
    char address[INET6_ADDRSTRLEN];
    size_t size = strcspn(host, "%");
    struct in6_addr ignored;
    if (size >= sizeof address) {
        return false;
    }
    memcpy(address, host, size);
    address[size] = '\0';
    if (host[size] == '%') {
        const char *zone = host + size + 1;
        size_t zone_size = 0;
        while (is_alphanumeric(zone[zone_size]) ||
               (zone[zone_size] != '\0' && strchr("_.-", zone[zone_size]) != NULL)) {
            zone_size++;
        }
        if (zone_size == 0 || zone_size > 15 || zone[zone_size] != '\0') {
            return false;
        }
    }
    return inet_pton(AF_INET6, address, &ignored) == 1;
}

static bool parse_unix(const char *entry, struct address *address, char *why, size_t why_size)
{
    const char *path = entry + strlen("unix:");
    if (path[0] != '/') {
        return refuse(entry, "needs an absolute path: write unix:/path", why, why_size);
    }
    if (strlen(path) > ADDRESS_PATH_BYTES_MAX) {
        return refuse(entry, "is too long: a socket's path has at most 107 bytes", why, why_size);
    }
    if (path[strlen(path) - 1] == '/') {
        return refuse(entry, "is a folder, not a socket's path", why, why_size);
    }
    address->kind = ADDRESS_UNIX;
    strcpy(address->path, path);
    return true;
}

static bool parse_tcp(const char *entry, struct address *address, char *why, size_t why_size)
{
    bool bracketed = entry[0] == '[';
    const char *host = bracketed ? entry + 1 : entry;
    const char *host_end = bracketed ? strchr(entry, ']') : strrchr(entry, ':');
    if (bracketed && host_end == NULL) {
        return refuse(entry, "lacks a ']'", why, why_size);
    }
    const char *colon = bracketed ? host_end + 1 : host_end;
    if (colon == NULL || *colon == '\0') {
        return refuse(entry, "has no port: write host:port, [IPv6]:port or unix:/path", why,
                      why_size);
    }
    size_t host_size = (size_t)(host_end - host);
    if (!bracketed && memchr(entry, ':', host_size) != NULL) {
        return refuse(entry, "is ambiguous: write an IPv6 address as [::1]:8080", why, why_size);
    }
    if (*colon != ':' || !parse_port(colon + 1, &address->port)) {
        return refuse(entry, "has a bad port: it must be a number from 0 to 65535", why, why_size);
    }
    if (host_size == 0) {
        return refuse(entry, "has no host: write 0.0.0.0 or [::] for all interfaces", why,
                      why_size);
    }
    if (host_size > ADDRESS_HOST_BYTES_MAX) {
        return refuse(entry, "has too long a host name", why, why_size);
    }
    address->kind = ADDRESS_TCP;
    memcpy(address->host, host, host_size);
    address->host[host_size] = '\0';
    if (bracketed && !is_ipv6(address->host)) {
        return refuse(entry, "has a bad IPv6 address", why, why_size);
    }
    if (!bracketed && !is_host(address->host)) {
        return refuse(entry, "has a bad host name or IPv4 address", why, why_size);
    }
    return true;
}

static bool parse_one(const char *entry, struct address *address, char *why, size_t why_size)
{
    *address = (struct address){0};
    return strncmp(entry, "unix:", 5) == 0 ? parse_unix(entry, address, why, why_size)
                                           : parse_tcp(entry, address, why, why_size);
}

static bool is_same(const struct address *a, const struct address *b)
{
    if (a->kind != b->kind) {
        return false;
    }
    /* Port 0 is another one each time. */
    return a->kind == ADDRESS_UNIX
               ? strcmp(a->path, b->path) == 0
               : a->port == b->port && a->port != 0 && strcasecmp(a->host, b->host) == 0;
}

/* Copies the entry that begins at `text` without white space around it, returns where the next
 * begins, or NULL behind the last. False in *fits when it is too long. */
static const char *take_entry(const char *text, char *entry, size_t entry_size, bool *fits)
{
    size_t size = strcspn(text, ",");
    const char *next = text[size] == ',' ? text + size + 1 : NULL;
    while (size > 0 && (*text == ' ' || *text == '\t')) {
        text++;
        size--;
    }
    while (size > 0 && (text[size - 1] == ' ' || text[size - 1] == '\t')) {
        size--;
    }
    *fits = size < entry_size;
    size = *fits ? size : entry_size - 1;
    memcpy(entry, text, size);
    entry[size] = '\0';
    return next;
}

size_t address_parse_list(const char *text, struct address *addresses, size_t capacity, char *why,
                          size_t why_size)
{
    size_t count = 0;
    const char *at = text;
    while (at != NULL) {
        char entry[ENTRY_BYTES_MAX + 1];
        bool fits = false;
        at = take_entry(at, entry, sizeof entry, &fits);
        if (!fits) {
            refuse(entry, "is too long", why, why_size);
            return 0;
        }
        if (entry[0] == '\0') {
            snprintf(why, why_size, "an entry of the list is empty");
            return 0;
        }
        if (count == capacity) {
            snprintf(why, why_size, "has more than %zu addresses", capacity);
            return 0;
        }
        if (!parse_one(entry, &addresses[count], why, why_size)) {
            return 0;
        }
        for (size_t i = 0; i < count; i++) {
            if (is_same(&addresses[i], &addresses[count])) {
                refuse(entry, "is given twice", why, why_size);
                return 0;
            }
        }
        count++;
    }
    return count;
}

bool address_check_list(const char *text, char *why, size_t why_size)
{
    struct address addresses[ADDRESS_LIST_MAX];
    return address_parse_list(text, addresses, ADDRESS_LIST_MAX, why, why_size) > 0;
}

bool address_is_loopback(const struct address *address)
{
    struct in_addr ipv4;
    struct in6_addr ipv6;
    if (address->kind == ADDRESS_UNIX || strcasecmp(address->host, "localhost") == 0) {
        return true;
    }
    if (inet_pton(AF_INET, address->host, &ipv4) == 1) {
        return ntohl(ipv4.s_addr) >> 24 == 127;
    }
    if (inet_pton(AF_INET6, address->host, &ipv6) == 1) {
        return IN6_IS_ADDR_LOOPBACK(&ipv6) ||
               (IN6_IS_ADDR_V4MAPPED(&ipv6) && ipv6.s6_addr[12] == 127);
    }
    return false;
}

void address_format(const struct address *address, char *out, size_t out_size)
{
    switch (address->kind) {
    case ADDRESS_UNIX:
        snprintf(out, out_size, "unix:%s", address->path);
        return;
    case ADDRESS_TCP:
        snprintf(out, out_size, strchr(address->host, ':') != NULL ? "[%s]:%u" : "%s:%u",
                 address->host, (unsigned)address->port);
        return;
    }
    RESV_ASSERT(false);
}
