/* The one thing that is taken from libuuid, in a file of its own because libuuid's header has an
 * uuid_parse too. Internal to src/uuid.c. */
#ifndef RESVD_UUID_SHA1_H
#define RESVD_UUID_SHA1_H

#include <stddef.h>
#include <stdint.h>

/* UUIDv5 (RFC 9562, 5.5) of a name in a namespace. */
void uuid_sha1(const uint8_t name_space[16], const char *name, size_t size, uint8_t id[16]);

#endif
