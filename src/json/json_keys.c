/* Duplicate keys: compared as they decode, "a" being the same as "\u0061".
 *
 * Few keys are compared pair by pair. Many are merge-sorted as a list threaded through the key
 * tokens' own `next` and `count` (whose true values are known), so that a hostile object costs
 * n log n comparisons whatever its keys are, with no memory, no limit and no secret hash seed.
 */
#include "json/json_keys.h"

#include <string.h>

#include "json/json_bytes.h"

/* Up to here pairs are cheaper than sorting. */
#define PAIRWISE_KEYS_MAX 16

/* One list of 2^i keys each; counts are 32 bits wide. */
#define LISTS_MAX 32

static int compare_decoded(const char *text, const struct json_token *a, const struct json_token *b)
{
    struct json_bytes bytes_a, bytes_b;
    json_bytes_start(&bytes_a, text, a);
    json_bytes_start(&bytes_b, text, b);
    for (;;) {
        int byte_a = json_bytes_next(&bytes_a);
        int byte_b = json_bytes_next(&bytes_b);
        if (byte_a != byte_b) {
            return byte_a < byte_b ? -1 : 1;
        }
        if (byte_a < 0) {
            return 0;
        }
    }
}

static bool equal(const char *text, const struct json_token *a, const struct json_token *b)
{
    if ((a->count | b->count) == 0) {
        return a->size == b->size && memcmp(text + a->start, text + b->start, a->size) == 0;
    }
    return compare_decoded(text, a, b) == 0;
}

static uint32_t duplicate_by_pairs(const struct json_document *document, uint32_t object)
{
    const struct json_token *tokens = document->tokens;
    uint32_t end = tokens[object].next;
    for (uint32_t key = object + 1; key < end; key = tokens[key + 1].next) {
        for (uint32_t earlier = object + 1; earlier < key; earlier = tokens[earlier + 1].next) {
            if (equal(document->text, &tokens[earlier], &tokens[key])) {
                return key;
            }
        }
    }
    return 0;
}

/* FNV-1a of the decoded bytes in the upper 31 bits; the lowest stays the mark for escapes. The
 * hash only saves comparing bytes: keys made to collide are still sorted by their bytes. */
static uint32_t hash_and_escaped(const char *text, const struct json_token *key)
{
    uint32_t hash = 2166136261U;
    if (key->count == 0) {
        const unsigned char *bytes = (const unsigned char *)text + key->start;
        for (uint32_t i = 0; i < key->size; i++) {
            hash = (hash ^ bytes[i]) * 16777619U;
        }
    } else {
        struct json_bytes bytes;
        json_bytes_start(&bytes, text, key);
        for (int byte = json_bytes_next(&bytes); byte >= 0; byte = json_bytes_next(&bytes)) {
            hash = (hash ^ (uint32_t)byte) * 16777619U;
        }
    }
    return (hash & ~1U) | key->count;
}

/* Of keys whose count is hash_and_escaped. */
static int compare_hashed(const char *text, const struct json_token *a, const struct json_token *b)
{
    if (a->count >> 1 != b->count >> 1) {
        return a->count >> 1 < b->count >> 1 ? -1 : 1;
    }
    if (((a->count | b->count) & 1) != 0) {
        return compare_decoded(text, a, b);
    }
    uint32_t shorter = a->size < b->size ? a->size : b->size;
    int order = memcmp(text + a->start, text + b->start, shorter);
    if (order != 0) {
        return order;
    }
    return a->size < b->size ? -1 : a->size > b->size;
}

/* Both lists end with 0; what is equal keeps its order, left first. */
static uint32_t merge(const struct json_document *document, uint32_t left, uint32_t right)
{
    struct json_token *tokens = document->tokens;
    uint32_t head = 0;
    uint32_t *link = &head;
    while (left != 0 && right != 0) {
        bool take_left = compare_hashed(document->text, &tokens[left], &tokens[right]) <= 0;
        uint32_t *taken = take_left ? &left : &right;
        *link = *taken;
        link = &tokens[*taken].next;
        *taken = *link;
    }
    *link = left != 0 ? left : right;
    return head;
}

/* The keys as one sorted list through `next`. */
static uint32_t sort_keys(const struct json_document *document, uint32_t object)
{
    struct json_token *tokens = document->tokens;
    uint32_t lists[LISTS_MAX] = {0};
    uint32_t end = tokens[object].next;
    uint32_t following;
    for (uint32_t key = object + 1; key < end; key = following) {
        following = tokens[key + 1].next;
        tokens[key].count = hash_and_escaped(document->text, &tokens[key]);
        tokens[key].next = 0;
        uint32_t list = key;
        unsigned i = 0;
        for (; i < LISTS_MAX - 1 && lists[i] != 0; i++) {
            list = merge(document, lists[i], list);
            lists[i] = 0;
        }
        lists[i] = lists[i] == 0 ? list : merge(document, lists[i], list);
    }
    uint32_t sorted = 0;
    for (unsigned i = 0; i < LISTS_MAX; i++) {
        sorted = merge(document, lists[i], sorted);
    }
    return sorted;
}

static uint32_t duplicate_by_sorting(const struct json_document *document, uint32_t object)
{
    struct json_token *tokens = document->tokens;
    uint32_t key = sort_keys(document, object);
    while (key != 0) {
        uint32_t following = tokens[key].next;
        if (following != 0 &&
            compare_hashed(document->text, &tokens[key], &tokens[following]) == 0) {
            return following;
        }
        tokens[key].next = key + 1;
        tokens[key].count &= 1;
        key = following;
    }
    return 0;
}

uint32_t json_keys_duplicate(const struct json_document *document, uint32_t object)
{
    if (document->tokens[object].count <= PAIRWISE_KEYS_MAX) {
        return duplicate_by_pairs(document, object);
    }
    return duplicate_by_sorting(document, object);
}
