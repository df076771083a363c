/* UUIDv5 through libuuid. */
#include "uuid_sha1.h"

#include <uuid/uuid.h>

void uuid_sha1(const uint8_t name_space[16], const char *name, size_t size, uint8_t id[16])
{
    uuid_generate_sha1(id, name_space, name, size);
}
