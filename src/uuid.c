/* Reservation ids: making them (version 7, and version 5 of a key), writing and reading them. */
#include "uuid.h"

#include <inttypes.h>
#include <stdio.h>

#include "resvd/assert.h"
#include "uuid_sha1.h"

#define TIMESTAMP_MS_MAX ((INT64_C(1) << 48) - 1)
#define SEQUENCE_MAX     0xFFF

/* 1b3d05b6-5080-4b76-8abf-0a6f65093bb6, drawn by lot once. Never to be changed: stored ids of
 * idempotency keys follow from it. */
static const uint8_t key_namespace[RESV_ID_SIZE] = {
    0x1b, 0x3d, 0x05, 0xb6, 0x50, 0x80, 0x4b, 0x76, 0x8a, 0xbf, 0x0a, 0x6f, 0x65, 0x09, 0x3b, 0xb6,
};

/* RFC 9562, 6.2 method 1: a sequence of 12 bits in rand_a. It begins at random in its lower half,
 * so that at least 2,048 ids fit in a millisecond; when they do not, the next one is borrowed. */
void uuid_v7(struct uuid_v7_state *state, int64_t wall_ms, const uint8_t random[10],
             struct resv_id *id)
{
    uint16_t sequence_start = (uint16_t)((random[8] & 0x07) << 8 | random[9]);
    if (wall_ms > TIMESTAMP_MS_MAX) {
        wall_ms = TIMESTAMP_MS_MAX;
    }
    if (wall_ms > state->last_ms) {
        state->last_ms = wall_ms;
        state->sequence = sequence_start;
    } else if (state->sequence < SEQUENCE_MAX) {
        state->sequence++;
    } else {
        state->last_ms++;
        state->sequence = sequence_start;
    }
    RESV_ASSERT(state->last_ms <= TIMESTAMP_MS_MAX);

    uint64_t timestamp_ms = (uint64_t)state->last_ms;
    for (int i = 0; i < 6; i++) {
        id->bytes[i] = (uint8_t)(timestamp_ms >> (40 - 8 * i));
    }
    id->bytes[6] = (uint8_t)(0x70 | state->sequence >> 8);
    id->bytes[7] = (uint8_t)state->sequence;
    memcpy(&id->bytes[8], random, 8);
    id->bytes[8] = (uint8_t)(0x80 | (id->bytes[8] & 0x3F));
}

void uuid_v5_of_key(int64_t member_id, struct text key, struct resv_id *id)
{
    RESV_ASSERT(key.size <= UUID_KEY_BYTES_MAX);
    char name[sizeof("-9223372036854775808:") + UUID_KEY_BYTES_MAX];
    size_t size = (size_t)snprintf(name, sizeof(name), "%" PRId64 ":", member_id);
    if (key.size > 0) {
        memcpy(name + size, key.data, key.size);
    }
    uuid_sha1(key_namespace, name, size + key.size, id->bytes);
}

/* A dash stands before these bytes. */
static bool dash_before(size_t byte)
{
    return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

/* Two digits a byte in one step: this is on the path of every answer, twice. */
#define ROW(high)                                                                                  \
    high "0" high "1" high "2" high "3" high "4" high "5" high "6" high "7" high "8" high "9" high \
         "a" high "b" high "c" high "d" high "e" high "f"
static const char digit_pairs[] = ROW("0") ROW("1") ROW("2") ROW("3") ROW("4") ROW("5") ROW("6")
    ROW("7") ROW("8") ROW("9") ROW("a") ROW("b") ROW("c") ROW("d") ROW("e") ROW("f");
#undef ROW

static inline void format_bytes(const uint8_t *bytes, size_t count, char *at)
{
    for (size_t i = 0; i < count; i++)
        memcpy(at + 2 * i, digit_pairs + 2 * (size_t)bytes[i], 2);
}

void uuid_format(const struct resv_id *id, char text[UUID_TEXT_BYTES])
{
    format_bytes(id->bytes, 4, text);
    format_bytes(id->bytes + 4, 2, text + 9);
    format_bytes(id->bytes + 6, 2, text + 14);
    format_bytes(id->bytes + 8, 2, text + 19);
    format_bytes(id->bytes + 10, 6, text + 24);
    text[8] = text[13] = text[18] = text[23] = '-';
}

/* 0..15, or -1. */
static int hexadecimal_digit(char character)
{
    if (character >= '0' && character <= '9') {
        return character - '0';
    }
    if (character >= 'a' && character <= 'f') {
        return character - 'a' + 10;
    }
    if (character >= 'A' && character <= 'F') {
        return character - 'A' + 10;
    }
    return -1;
}

bool uuid_parse(struct text text, struct resv_id *id)
{
    if (text.size != UUID_TEXT_BYTES) {
        return false;
    }
    struct resv_id parsed;
    const char *at = text.data;
    for (size_t i = 0; i < RESV_ID_SIZE; i++) {
        if (dash_before(i) && *at++ != '-') {
            return false;
        }
        int high = hexadecimal_digit(at[0]);
        int low = hexadecimal_digit(at[1]);
        if (high < 0 || low < 0) {
            return false;
        }
        parsed.bytes[i] = (uint8_t)(high << 4 | low);
        at += 2;
    }
    *id = parsed;
    return true;
}
