/* The bounds of the buckets, and finding the one for a value. */
#include "metrics/histogram.h"

#include <stdbool.h>

#include "resvd/assert.h"

#define MICROSECONDS 1000ULL
#define MILLISECONDS 1000000ULL
#define SECONDS      1000000000ULL

static const uint64_t seconds_bounds[] = {
    50 * MICROSECONDS,  100 * MICROSECONDS,  250 * MICROSECONDS,  500 * MICROSECONDS,
    1 * MILLISECONDS,   2500 * MICROSECONDS, 5 * MILLISECONDS,    10 * MILLISECONDS,
    25 * MILLISECONDS,  50 * MILLISECONDS,   100 * MILLISECONDS,  250 * MILLISECONDS,
    500 * MILLISECONDS, 1 * SECONDS,         2500 * MILLISECONDS, 5 * SECONDS,
    10 * SECONDS,
};
static const char *const seconds_names[] = {
    "5e-05", "0.0001", "0.00025", "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025",
    "0.05",  "0.1",    "0.25",    "0.5",    "1",     "2.5",    "5",     "10",
};
static const uint64_t count_bounds[] = {1,   2,   5,    10,   20,   50,   100,
                                        200, 500, 1000, 2000, 5000, 10000};
static const char *const count_names[] = {"1",   "2",   "5",    "10",   "20",   "50",   "100",
                                          "200", "500", "1000", "2000", "5000", "10000"};

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))
_Static_assert(COUNT_OF(seconds_bounds) == COUNT_OF(seconds_names), "a name for each bound");
_Static_assert(COUNT_OF(count_bounds) == COUNT_OF(count_names), "a name for each bound");
_Static_assert(COUNT_OF(seconds_bounds) + 1 <= HISTOGRAM_BUCKETS_MAX, "+Inf needs one too");
_Static_assert(COUNT_OF(count_bounds) + 1 <= HISTOGRAM_BUCKETS_MAX, "+Inf needs one too");

static const struct histogram_scale seconds_scale = {seconds_bounds, seconds_names,
                                                     COUNT_OF(seconds_bounds)};
static const struct histogram_scale count_scale = {count_bounds, count_names,
                                                   COUNT_OF(count_bounds)};

const struct histogram_scale *histogram_scale(enum resv_metric_type type)
{
    switch (type) {
    case RESV_METRIC_COUNTER:
    case RESV_METRIC_GAUGE:
        return NULL;
    case RESV_METRIC_HISTOGRAM_SECONDS:
        return &seconds_scale;
    case RESV_METRIC_HISTOGRAM_COUNT:
        return &count_scale;
    }
    RESV_ASSERT(false && "a metric type");
    return NULL;
}

/* The first bucket whose bound is not below the value, by halving without branches that depend on
 * data: five steps at most. */
static size_t find_bucket(const struct histogram_scale *scale, uint64_t value)
{
    const uint64_t *base = scale->bounds;
    size_t count = scale->bounds_count;
    while (count > 1) {
        size_t half = count / 2;
        base = base[half - 1] < value ? base + half : base;
        count -= half;
    }
    return (size_t)(base - scale->bounds) + (*base < value);
}

void histogram_observe(struct histogram *histogram, const struct histogram_scale *scale,
                       uint64_t value)
{
    histogram->buckets[find_bucket(scale, value)]++;
    histogram->sum += value;
}
