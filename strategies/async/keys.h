/* Names of a concert's keys in Redis: prefix, "{c:ID}", and what it is; and of those that all
 * concerts share, by which an id is found whatever concert it is of. */
#ifndef RESVD_ASYNC_KEYS_H
#define RESVD_ASYNC_KEYS_H

#include <stddef.h>
#include <stdint.h>

#include "redis.h"

/* KEY_GATE: run, epoch, stock, seats_pending, position, capacity, sold, limit; applied_ms
 * (created_ms of the newest event applied), swept_ms, builder (whoever makes the numbers anew)
 * and settled_to (how far others have settled since they began). The gate is open when there is
 * `run`, it is the server's, and `epoch` is the caller's; a hash without `run` is a closed gate.
 * Always: stock = capacity - sold - seats_pending, sold as of `position`. It may be below 0.
 *
 * KEY_MEMBERS, only while `limit` is above 0: "<member>" -> live seats, as of `position`, absolute;
 * "p<member>" -> seats pending. What a member has is the sum of both. Who puts into pending adds to
 * p<member>, who removes from it (undo, settle) takes away. */
enum async_key {
    KEY_GATE,
    KEY_PENDING, /* hash: id (16 bytes) -> event, and the mark (below) */
    KEY_MEMBERS, /* hash: see above */
    /* From here on: of all concerts together. */
    KEY_SETTLED, /* hash: ids with a key that left pending lately, their rows being durable -> "";
                  * and `since`, the wall clock in ms when it was begun */
    KEY_SETTLED_BEFORE, /* the same: one is of the last minute, the other of the one before */
    KEY_CONCERTS, /* hash: id (16 bytes) -> concert, while it is pending in that. Who removes an id
                   * from pending removes it here */
    KEY_COMPLETE, /* hash: see below */
    KEY_COUNT
};

/* KEY_COMPLETE: "<partition>" -> id of the server run under which all events that were in the
 * partition, when its owner first came to this Redis, have been applied; `run` -> the same of all
 * partitions; `token` -> random bytes, others each time that this comes true anew; "b<partition>"
 * -> random bytes of the owner that is about it (complete.lua).
 *
 * While `run` is the server's, whatever had been accepted before this Redis lost what it knew has
 * its row: so an id that is neither pending nor among the rows, looked for in this order, is
 * nobody's; and a key whose row was looked for since the process knows of `token` has none that is
 * neither pending nor settled. */

/* Closes the text of a pending event which somebody else than who took the seat publishes, too (a
 * repeat of the request, a release, the sweeper): it is written before that, and from then on the
 * seat is never given back for an event that the first publisher knows not to be in the log. */
#define KEYS_MARK '+'

/* The event's own size in a value of KEY_PENDING. */
static inline size_t keys_event_size(const char *value, size_t size)
{
    return size > 0 && value[size - 1] == KEYS_MARK ? size - 1 : size;
}

#define KEY_SIZE_MAX 96

struct async_keys {
    char texts[KEY_COUNT][KEY_SIZE_MAX];
    struct redis_text keys[KEY_COUNT]; /* into texts: in this order they are every script's KEYS */
};

/* The struct must stay in place. */
void keys_of_concert(struct async_keys *keys, const char *prefix, int64_t concert_id);

#endif
