/* The concerts that something is under way for.
 *
 * Invariants: an entry is in its id's bucket, or in the free list; the line holds each that is
 * ready, once, and who is put into it comes behind all others, so that none starves. All memory is
 * allocated at the start. */
#include "common/concerts.h"

#include <stdlib.h>
#include <string.h>

#include "resvd/assert.h"
#include "resvd/hash.h"

struct concert_entry *concerts_at(const struct concerts *concerts, size_t index)
{
    return (struct concert_entry *)(void *)(concerts->entries + index * concerts->entry_size);
}

bool concerts_open(struct concerts *concerts, size_t concerts_max, size_t entry_size)
{
    size_t buckets = 1;
    while (buckets < concerts_max)
        buckets *= 2;
    RESV_ASSERT(entry_size >= sizeof(struct concert_entry));
    *concerts = (struct concerts){
        .entries_count = concerts_max, .entry_size = entry_size, .buckets_mask = buckets - 1};
    concerts->entries = calloc(concerts_max, entry_size);
    concerts->buckets = calloc(buckets, sizeof *concerts->buckets);
    if (concerts->entries == NULL || concerts->buckets == NULL)
        return false;
    for (size_t i = concerts_max; i-- > 0;) {
        concerts_at(concerts, i)->hash_next = concerts->free;
        concerts->free = concerts_at(concerts, i);
    }
    return true;
}

void concerts_close(struct concerts *concerts)
{
    free(concerts->entries);
    free(concerts->buckets);
    *concerts = (struct concerts){0};
}

static struct concert_entry **bucket_of(const struct concerts *concerts, int64_t id)
{
    return &concerts->buckets[resv_hash_id(id) & concerts->buckets_mask];
}

struct concert_entry *concerts_find(struct concerts *concerts, int64_t id)
{
    struct concert_entry **bucket = bucket_of(concerts, id);
    for (struct concert_entry *entry = *bucket; entry != NULL; entry = entry->hash_next) {
        if (entry->id == id)
            return entry;
    }
    struct concert_entry *entry = concerts->free;
    if (entry == NULL)
        return NULL;
    concerts->free = entry->hash_next;
    memset(entry, 0, concerts->entry_size);
    entry->id = id;
    entry->hash_next = *bucket;
    *bucket = entry;
    return entry;
}

void concerts_let_go(struct concerts *concerts, struct concert_entry *entry)
{
    if (entry->users > 0 || entry->ready)
        return;
    struct concert_entry **link = bucket_of(concerts, entry->id);
    while (*link != entry) {
        RESV_ASSERT(*link != NULL);
        link = &(*link)->hash_next;
    }
    *link = entry->hash_next;
    entry->hash_next = concerts->free;
    concerts->free = entry;
}

void concerts_set_ready(struct concerts *concerts, struct concert_entry *entry)
{
    if (entry->ready)
        return;
    entry->ready = true;
    entry->ready_next = NULL;
    if (concerts->ready_first == NULL)
        concerts->ready_first = entry;
    else
        concerts->ready_last->ready_next = entry;
    concerts->ready_last = entry;
}

struct concert_entry *concerts_take_ready(struct concerts *concerts)
{
    struct concert_entry *entry = concerts->ready_first;
    if (entry == NULL)
        return NULL;
    concerts->ready_first = entry->ready_next;
    entry->ready = false;
    return entry;
}
