/* The concerts that something is under way for: found by their ids, and in line for a turn. */
#ifndef RESVD_COMMON_CONCERTS_H
#define RESVD_COMMON_CONCERTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A strategy's own struct begins with it; the rest of that is zeroed when the entry is new. */
struct concert_entry {
    int64_t id;
    size_t users; /* the strategy's: it needs the entry; groups or calls under way, say */
    bool ready;   /* in line */
    struct concert_entry *ready_next;
    struct concert_entry *hash_next; /* or in the free list */
};

struct concerts {
    char *entries;
    size_t entries_count;
    size_t entry_size;
    struct concert_entry *free;
    struct concert_entry **buckets;
    size_t buckets_mask;
    struct concert_entry *ready_first, *ready_last;
};

/* entry_size: of the struct that begins with struct concert_entry. False: out of memory;
 * concerts_close all the same. */
bool concerts_open(struct concerts *concerts, size_t concerts_max, size_t entry_size);
void concerts_close(struct concerts *concerts);
/* Made where there is none; NULL: too many at once. */
struct concert_entry *concerts_find(struct concerts *concerts, int64_t id);
/* Each of entries_count, in use or not. */
struct concert_entry *concerts_at(const struct concerts *concerts, size_t index);
/* Puts it at the end of the line, unless it is in it. */
void concerts_set_ready(struct concerts *concerts, struct concert_entry *entry);
/* Takes the first off the line; NULL when there is none. */
struct concert_entry *concerts_take_ready(struct concerts *concerts);
/* Gives it back, unless it has users or is in line. */
void concerts_let_go(struct concerts *concerts, struct concert_entry *entry);

#endif
