/* Buckets: each of the first is one microsecond; then each octave is divided into as many equal
 * steps, so that a bucket is never wider than a 128th of what is in it. */
#include "open_histogram.h"

#define MILLION 1000000U

/* Where the curve has its points: every 2.5%, and the tail. */
static const uint32_t curve_millionths[] = {
    1000,   10000,  25000,  50000,  75000,  100000, 125000, 150000, 175000, 200000, 225000, 250000,
    275000, 300000, 325000, 350000, 375000, 400000, 425000, 450000, 475000, 500000, 525000, 550000,
    575000, 600000, 625000, 650000, 675000, 700000, 725000, 750000, 775000, 800000, 825000, 850000,
    875000, 900000, 910000, 920000, 930000, 940000, 950000, 960000, 970000, 980000, 985000, 990000,
    992500, 995000, 997500, 999000, 999500, 999900, 999990, MILLION};
#define CURVE_SHARES (sizeof curve_millionths / sizeof curve_millionths[0])
_Static_assert(CURVE_SHARES <= OPEN_CURVE_POINTS, "a point for each share");

static size_t bucket_of(uint64_t us)
{
    if (us < OPEN_EXACT_US)
        return (size_t)us;
    if (us > OPEN_BUCKETED_US_MAX)
        us = OPEN_BUCKETED_US_MAX;
    unsigned octave = 63 - (unsigned)__builtin_clzll(us) - 7; /* 1 for 256 to 511 us */
    return OPEN_EXACT_US + (octave - 1) * OPEN_STEPS_OF_OCTAVE + (us >> octave) -
           OPEN_STEPS_OF_OCTAVE;
}

/* The longest that falls into it. */
static uint64_t bound_of(size_t bucket)
{
    if (bucket < OPEN_EXACT_US)
        return bucket;
    size_t octave = (bucket - OPEN_EXACT_US) / OPEN_STEPS_OF_OCTAVE + 1;
    uint64_t step = (bucket - OPEN_EXACT_US) % OPEN_STEPS_OF_OCTAVE + OPEN_STEPS_OF_OCTAVE;
    return ((step + 1) << octave) - 1;
}

void open_histogram_add(struct open_histogram *histogram, uint64_t us)
{
    histogram->buckets[bucket_of(us)]++;
    histogram->count++;
    if (us > histogram->max_us)
        histogram->max_us = us;
}

/* How many are among the first so many millionths; at least one. */
static uint64_t rank_of(uint64_t count, uint64_t millionths)
{
    uint64_t rank = (count * millionths + MILLION - 1) / MILLION;
    return rank > 0 ? rank : 1;
}

/* Goes on from a bucket, below and with which are `point->count`, to the one that has the rank. */
static size_t walk_to(const struct open_histogram *histogram, size_t bucket, uint64_t rank,
                      struct open_point *point)
{
    while (point->count < rank)
        point->count += histogram->buckets[bucket++];
    point->us = bound_of(bucket - 1);
    /* Nothing is beyond the longest; and the last bucket's bound says nothing of what it holds. */
    if (point->us > histogram->max_us || point->count == histogram->count)
        point->us = histogram->max_us;
    return bucket;
}

uint64_t open_histogram_quantile(const struct open_histogram *histogram, uint64_t millionths)
{
    struct open_point point = {0};
    if (histogram->count > 0)
        walk_to(histogram, 0, rank_of(histogram->count, millionths), &point);
    return point.us;
}

size_t open_histogram_curve(const struct open_histogram *histogram,
                            struct open_point points[OPEN_CURVE_POINTS])
{
    struct open_point point = {0};
    size_t bucket = 0;
    size_t count = 0;
    for (size_t i = 0; i < CURVE_SHARES && histogram->count > 0; i++) {
        uint64_t rank = rank_of(histogram->count, curve_millionths[i]);
        if (rank <= point.count)
            continue; /* the point before has it already */
        bucket = walk_to(histogram, bucket, rank, &point);
        points[count++] = point;
    }
    return count;
}
