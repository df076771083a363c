/* What the raw loops have in common: see raw_loop.h. */
#include "raw_loop.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NS_PER_S 1000000000ULL

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

struct raw_loop raw_loop_new(void)
{
    return (struct raw_loop){.random_state = clock_ns(CLOCK_REALTIME) | 1};
}

bool raw_loop_read_integer(const char *text, int64_t minimum, int64_t maximum, int64_t *value)
{
    char *end;
    *value = strtoll(text, &end, 10);
    return *text != '\0' && *end == '\0' && *value >= minimum && *value <= maximum;
}

/* --- rows ------------------------------------------------------------------------------------- */

int64_t raw_loop_wall_ms(void)
{
    return (int64_t)(clock_ns(CLOCK_REALTIME) / 1000000);
}

static uint64_t next_random(struct raw_loop *loop)
{
    /* xorshift64*, https://doi.org/10.18637/jss.v008.i14 */
    loop->random_state ^= loop->random_state >> 12;
    loop->random_state ^= loop->random_state << 25;
    loop->random_state ^= loop->random_state >> 27;
    return loop->random_state * 0x2545f4914f6cdd1dULL;
}

void raw_loop_next_id(struct raw_loop *loop, int64_t wall_ms, unsigned char id[RAW_LOOP_ID_BYTES])
{
    for (int i = 0; i < 6; i++)
        id[i] = (unsigned char)(wall_ms >> (40 - 8 * i));
    uint64_t sequence = loop->sequence++;
    for (int i = 0; i < 4; i++)
        id[6 + i] = (unsigned char)(sequence >> (24 - 8 * i));
    uint64_t chance = next_random(loop);
    memcpy(id + 10, &chance, 6);
    id[6] = (unsigned char)(0x70 | (id[6] & 0x0f));
    id[8] = (unsigned char)(0x80 | (id[8] & 0x3f));
}

int64_t raw_loop_next_member(const struct raw_loop *loop)
{
    return loop->first_member + (int64_t)(loop->sequence % (uint64_t)loop->members);
}

/* --- the loop --------------------------------------------------------------------------------- */

struct raw_loop_times raw_loop_run(double seconds, void (*transaction)(void *data), void *data)
{
    struct raw_loop_times times = {0};
    uint64_t started_ns = clock_ns(CLOCK_MONOTONIC);
    uint64_t cpu_started_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    do {
        transaction(data);
        times.transactions++;
        times.elapsed_ns = clock_ns(CLOCK_MONOTONIC) - started_ns;
    } while ((double)times.elapsed_ns < seconds * (double)NS_PER_S);
    times.cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_started_ns;
    return times;
}

void raw_loop_print(const struct raw_loop_times *times, int64_t rows, const char *more,
                    int64_t sold_minus_rows)
{
    printf("{\"rows\":%" PRId64 ",\"transactions\":%" PRIu64
           ",\"seconds\":%.6f,\"cpu_seconds\":%.6f,%s\"sold_minus_rows\":%" PRId64 "}\n",
           rows, times->transactions, (double)times->elapsed_ns / (double)NS_PER_S,
           (double)times->cpu_ns / (double)NS_PER_S, more, sold_minus_rows);
}
