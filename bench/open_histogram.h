/* A histogram of microseconds, log-linear: exact below 256 us, within 0.8% up to 67 s. */
#ifndef RESVD_BENCH_OPEN_HISTOGRAM_H
#define RESVD_BENCH_OPEN_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#define OPEN_STEPS_OF_OCTAVE 128 /* buckets from one power of two to the next */
#define OPEN_EXACT_US        (2 * OPEN_STEPS_OF_OCTAVE)
#define OPEN_OCTAVES         18
#define OPEN_BUCKETS         (OPEN_EXACT_US + OPEN_OCTAVES * OPEN_STEPS_OF_OCTAVE)
#define OPEN_BUCKETED_US_MAX (((uint64_t)OPEN_EXACT_US << OPEN_OCTAVES) - 1) /* 67.1 s */
#define OPEN_CURVE_POINTS    60

struct open_histogram {
    uint64_t buckets[OPEN_BUCKETS];
    uint64_t count;
    uint64_t max_us; /* exact */
};

/* So much of all was at most so long. */
struct open_point {
    uint64_t us;
    uint64_t count;
};

/* What is beyond OPEN_BUCKETED_US_MAX is in the last bucket, and in max_us as it was. */
void open_histogram_add(struct open_histogram *histogram, uint64_t us);
/* The least bound that so many millionths of all do not exceed; 0 of nothing. */
uint64_t open_histogram_quantile(const struct open_histogram *histogram, uint64_t millionths);
/* The cumulative distribution, denser towards the tail; both numbers grow from point to point, the
 * last is max_us and all. Returns how many points there are, 0 of nothing. */
size_t open_histogram_curve(const struct open_histogram *histogram,
                            struct open_point points[OPEN_CURVE_POINTS]);

#endif
