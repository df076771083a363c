/* Hashes for tables in memory and for marks; none of them keeps out who makes keys collide. */
#ifndef RESVD_HASH_H
#define RESVD_HASH_H

#include <stddef.h>
#include <stdint.h>

/* 32 bits: Fibonacci hashing. Ids that follow each other do not meet, neither by the lowest bits
 * nor by the highest. */
static inline uint32_t resv_hash_id(int64_t id)
{
    return (uint32_t)(((uint64_t)id * 0x9e3779b97f4a7c15U) >> 32);
}

/* FNV-1a. */
static inline uint64_t resv_hash_bytes(const char *bytes, size_t size)
{
    uint64_t hash = 0xcbf29ce484222325U;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)bytes[i]) * 0x100000001b3U;
    return hash;
}

#endif
