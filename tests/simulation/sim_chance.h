/* Chance from one seed: xoshiro256** filled by splitmix64 (Blackman and Vigna, public domain). */
#ifndef SIMULATION_CHANCE_H
#define SIMULATION_CHANCE_H

#include <stdbool.h>
#include <stdint.h>

struct sim_chance {
    uint64_t state[4];
};

static inline void chance_seed(struct sim_chance *chance, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        seed += 0x9e3779b97f4a7c15;
        uint64_t mixed = seed;
        mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
        mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
        chance->state[i] = mixed ^ (mixed >> 31);
    }
}

static inline uint64_t chance_next(struct sim_chance *chance)
{
    uint64_t *state = chance->state;
    uint64_t product = state[1] * 5;
    uint64_t result = ((product << 7) | (product >> 57)) * 9;
    uint64_t shifted = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = (state[3] << 45) | (state[3] >> 19);
    return result;
}

/* 0..limit-1; the bias does not matter here. */
static inline uint64_t chance_below(struct sim_chance *chance, uint64_t limit)
{
    return chance_next(chance) % limit;
}

/* Both included. */
static inline int64_t chance_between(struct sim_chance *chance, int64_t low, int64_t high)
{
    return low + (int64_t)chance_below(chance, (uint64_t)(high - low) + 1);
}

/* Draws nothing when the answer is certain: a schedule without a fault is not disturbed by it. */
static inline bool chance_of(struct sim_chance *chance, uint64_t per_million)
{
    return per_million > 0 && chance_below(chance, 1000000) < per_million;
}

/* Mostly short, now and then long: 0..limit-1. */
static inline uint64_t chance_skewed(struct sim_chance *chance, uint64_t limit)
{
    uint64_t bound = limit >> chance_below(chance, 8);
    return chance_below(chance, bound > 0 ? bound : 1);
}

#endif
