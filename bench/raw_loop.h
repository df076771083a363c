/* What the raw loops have in common, whatever the store: rows as resvd writes them, and the time.
 *
 * A loop's own struct has a struct raw_loop in it. */
#ifndef RESVD_BENCH_RAW_LOOP_H
#define RESVD_BENCH_RAW_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#define RAW_LOOP_ID_BYTES 16

struct raw_loop {
    int64_t rows_per_transaction;
    int64_t first_member;
    int64_t members;
    uint64_t random_state; /* not 0 */
    uint64_t sequence;     /* rows so far */
};

struct raw_loop_times {
    uint64_t transactions;
    uint64_t elapsed_ns;
    uint64_t cpu_ns; /* of this process */
};

/* Seeded by the clock; the rest is 0. */
struct raw_loop raw_loop_new(void);
/* False: no integer, or not within these. */
bool raw_loop_read_integer(const char *text, int64_t minimum, int64_t maximum, int64_t *value);

int64_t raw_loop_wall_ms(void);
/* A UUIDv7 whose time part only grows, so rows are appended as with resvd's own. */
void raw_loop_next_id(struct raw_loop *loop, int64_t wall_ms, unsigned char id[RAW_LOOP_ID_BYTES]);
/* Of the row that is next. */
int64_t raw_loop_next_member(const struct raw_loop *loop);

/* One transaction after the other, until so many seconds are over; one at least. */
struct raw_loop_times raw_loop_run(double seconds, void (*transaction)(void *data), void *data);
/* One line of JSON. `more` is what else it has, each entry with a comma behind it. */
void raw_loop_print(const struct raw_loop_times *times, int64_t rows, const char *more,
                    int64_t sold_minus_rows);

#endif
