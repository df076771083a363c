/* Addresses to listen on, as they are written in the configuration. */
#ifndef RESVD_CONFIG_ADDRESS_H
#define RESVD_CONFIG_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADDRESS_HOST_BYTES_MAX 253 /* the longest name that DNS allows */
#define ADDRESS_PATH_BYTES_MAX 107 /* sun_path without its NUL */
#define ADDRESS_TEXT_SIZE      280 /* enough for address_format */
#define ADDRESS_LIST_MAX       16

enum address_kind { ADDRESS_TCP, ADDRESS_UNIX };

struct address {
    enum address_kind kind;
    char host[ADDRESS_HOST_BYTES_MAX + 1]; /* TCP: IPv4, IPv6 without brackets, or a host name */
    uint16_t port;                         /* TCP; 0: any free one */
    char path[ADDRESS_PATH_BYTES_MAX + 1]; /* UNIX: absolute */
};

/* Comma-separated: host:port, [IPv6]:port, unix:/path. Fills at most `capacity` and returns how
 * many there were. 0: `why` says which entry is wrong, and how to write it. */
size_t address_parse_list(const char *text, struct address *addresses, size_t capacity, char *why,
                          size_t why_size);

/* As in struct resv_option: checks a list of at most ADDRESS_LIST_MAX. */
bool address_check_list(const char *text, char *why, size_t why_size);

/* True when only this machine can reach it: 127.0.0.0/8, ::1, localhost, a unix socket. */
bool address_is_loopback(const struct address *address);

/* As it is written in the configuration. */
void address_format(const struct address *address, char *out, size_t out_size);

#endif
