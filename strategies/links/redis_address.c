/* Addresses of Redis nodes, as they are written: host:port, [IPv6]:port, unix:/path, in a list. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "redis_internal.h"

static bool refuse(const char *entry, const char *what, char *why, size_t why_size)
{
    snprintf(why, why_size, "'%.80s' %s", entry, what);
    return false;
}

static bool parse_port(const char *text, uint16_t *port)
{
    size_t size = strlen(text);
    if (size == 0 || size > 5 || text[strspn(text, "0123456789")] != '\0' || text[0] == '0')
        return false;
    unsigned long value = strtoul(text, NULL, 10);
    *port = (uint16_t)value;
    return value <= UINT16_MAX;
}

/* What no name and no address has in it. */
static bool is_host(const char *host, bool bracketed)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    struct in_addr four;
    struct in6_addr six;
    char address[INET6_ADDRSTRLEN];
    if (bracketed) {
        size_t size = strcspn(host, "%"); /* without the zone */
        snprintf(address, sizeof address, "%.*s", (int)size, host);
        return size < sizeof address && inet_pton(AF_INET6, address, &six) == 1;
    }
    if (host[strspn(host, "0123456789.")] == '\0')
        return inet_pton(AF_INET, host, &four) == 1;
    return host[strspn(host, letters)] == '\0' && host[0] != '-' && host[0] != '.';
}

static bool parse_unix(const char *entry, struct redis_address *address, char *why, size_t why_size)
{
    const char *path = entry + strlen("unix:");
    if (path[0] != '/')
        return refuse(entry, "needs an absolute path: write unix:/path", why, why_size);
    if (strlen(path) >= sizeof address->path)
        return refuse(entry, "is too long: a socket's path has at most 107 bytes", why, why_size);
    memcpy(address->path, path, strlen(path) + 1);
    return true;
}

static bool parse_tcp(const char *entry, struct redis_address *address, char *why, size_t why_size)
{
    if (strstr(entry, "://") != NULL)
        return refuse(entry, "is a URL: write host:port, and the rest in [redis]", why, why_size);
    bool bracketed = entry[0] == '[';
    const char *host = bracketed ? entry + 1 : entry;
    const char *end = bracketed ? strchr(entry, ']') : strrchr(entry, ':');
    if (bracketed && end == NULL)
        return refuse(entry, "lacks a ']'", why, why_size);
    const char *colon = bracketed ? end + 1 : end;
    if (colon == NULL || *colon == '\0')
        return refuse(entry, "has no port: write host:port, [IPv6]:port or unix:/path", why,
                      why_size);
    size_t size = (size_t)(end - host);
    if (!bracketed && memchr(host, ':', size) != NULL)
        return refuse(entry, "is ambiguous: write an IPv6 address as [::1]:6379", why, why_size);
    if (*colon != ':' || !parse_port(colon + 1, &address->port))
        return refuse(entry, "has a bad port: it must be a number from 1 to 65535", why, why_size);
    if (size == 0)
        return refuse(entry, "has no host: write host:port", why, why_size);
    if (size >= sizeof address->host)
        return refuse(entry, "has too long a host name", why, why_size);
    memcpy(address->host, host, size);
    address->host[size] = '\0';
    if (!is_host(address->host, bracketed))
        return refuse(entry,
                      bracketed ? "has a bad IPv6 address" : "has a bad host name or address", why,
                      why_size);
    return true;
}

static bool is_same(const struct redis_address *a, const struct redis_address *b)
{
    return strcasecmp(a->host, b->host) == 0 && a->port == b->port && strcmp(a->path, b->path) == 0;
}

/* One entry, without white space around it. */
static bool parse_one(const char *text, size_t size, struct redis_address *address, char *why,
                      size_t why_size)
{
    while (size > 0 && (*text == ' ' || *text == '\t')) {
        text++;
        size--;
    }
    while (size > 0 && (text[size - 1] == ' ' || text[size - 1] == '\t'))
        size--;
    *address = (struct redis_address){0};
    if (size == 0) {
        snprintf(why, why_size, "an entry of the list is empty");
        return false;
    }
    if (size >= sizeof address->text) {
        snprintf(why, why_size, "'%.80s' is too long", text);
        return false;
    }
    memcpy(address->text, text, size);
    address->text[size] = '\0';
    return strncmp(address->text, "unix:", 5) == 0
               ? parse_unix(address->text, address, why, why_size)
               : parse_tcp(address->text, address, why, why_size);
}

size_t redis_address_parse_list(const char *text, struct redis_address *addresses, size_t capacity,
                                char *why, size_t why_size)
{
    size_t count = 0;
    for (const char *at = text; at != NULL; count++) {
        size_t size = strcspn(at, ",");
        if (count == capacity) {
            snprintf(why, why_size, "has more than %zu addresses", capacity);
            return 0;
        }
        if (!parse_one(at, size, &addresses[count], why, why_size))
            return 0;
        for (size_t i = 0; i < count; i++) {
            if (is_same(&addresses[i], &addresses[count])) {
                refuse(addresses[count].text, "is given twice", why, why_size);
                return 0;
            }
        }
        at = at[size] == ',' ? at + size + 1 : NULL;
    }
    return count;
}
