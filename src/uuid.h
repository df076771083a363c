/* Reservation ids: UUIDv7 (RFC 9562) for new ones, UUIDv5 of (member, key) where a key is given. */
#ifndef RESVD_UUID_H
#define RESVD_UUID_H

#include <stdbool.h>
#include <stdint.h>

#include "resvd/op.h"
#include "text.h"

#define UUID_TEXT_BYTES    36
#define UUID_KEY_BYTES_MAX 255

/* Time-ordered within one process, also when the wall clock steps back: each id is greater than
 * the one before. Zeroed before first use. random: 10 bytes, fresh each time. */
struct uuid_v7_state {
    int64_t last_ms;
    uint16_t sequence; /* 12 bits, counts within a millisecond */
};
void uuid_v7(struct uuid_v7_state *state, int64_t wall_ms, const uint8_t random[10],
             struct resv_id *id);
/* Of (member, key) in resvd's own namespace; the name is "MEMBER:KEY", member in decimal. key: at
 * most UUID_KEY_BYTES_MAX bytes. */
void uuid_v5_of_key(int64_t member_id, struct text key, struct resv_id *id);
/* 36 lower-case characters, no NUL. */
void uuid_format(const struct resv_id *id, char text[UUID_TEXT_BYTES]);
/* Any case; exactly the 8-4-4-4-12 form. */
bool uuid_parse(struct text text, struct resv_id *id);

#endif
