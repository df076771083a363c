/* Events as they stand in the log: one line of text, readable by any tool for Kafka.
 *
 *   1 reserve <uuid> <concert> <member> <quantity> <created_ms> <epoch> <k|->
 *   1 release <uuid> <concert> - - <created_ms> <epoch> -
 *   1 settle <uuid> <concert> - - <created_ms> <epoch> -
 *
 * The first field is the version of this form. `k`: the reservation's id follows from an
 * Idempotency-Key. `epoch`: how often the database had been reset when the event was made; events
 * of an earlier one are void. `settle` takes nothing: it is a barrier, behind which the concert's
 * numbers in Redis are made anew. The same text is the value in Redis' hash of what is pending. */
#ifndef RESVD_ASYNC_EVENT_H
#define RESVD_ASYNC_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "resvd/op.h"

/* 2 + 8 + 37 + 5 numbers of at most 17 + "k" and the closing NUL, rounded up. */
#define EVENT_SIZE_MAX 160

enum event_kind { EVENT_RESERVE, EVENT_RELEASE, EVENT_SETTLE };

struct event {
    enum event_kind kind;
    struct resv_id id;
    int64_t concert_id;
    int64_t member_id; /* RESERVE, else 0 */
    int64_t quantity;  /* RESERVE, else 0 */
    int64_t created_ms;
    int64_t epoch;
    bool keyed;
};

/* Decimal digits of a number from 0 on, 19 at most, without a closing NUL; what is behind them. */
char *event_put_number(char *at, int64_t number);
/* Bytes written, without the closing NUL. */
size_t event_write(const struct event *event, char text[EVENT_SIZE_MAX]);
/* NULL when it is good, else what is wrong with it, static: "the id is no UUID". Takes exactly
 * what event_write makes. */
const char *event_read(const char *text, size_t size, struct event *event);

#endif
