/* "did you mean": the candidate that is nearest to a mistyped word. */
#include "config/suggest.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

static int folded(char c)
{
    return c == '-' ? '_' : tolower((unsigned char)c);
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t suggest_distance(const char *left, const char *right)
{
    size_t left_size = strlen(left);
    size_t right_size = strlen(right);
    if (left_size > SUGGEST_WORD_BYTES_MAX || right_size > SUGGEST_WORD_BYTES_MAX) {
        return SIZE_MAX;
    }
    /* Three rows of the matrix are enough: this one, the one before, and the one before that. */
    size_t rows[3][SUGGEST_WORD_BYTES_MAX + 1];
    for (size_t j = 0; j <= right_size; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= left_size; i++) {
        size_t *row = rows[i % 3];
        const size_t *before = rows[(i - 1) % 3];
        const size_t *two_before = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= right_size; j++) {
            size_t cost = folded(left[i - 1]) == folded(right[j - 1]) ? 0 : 1;
            size_t best = smaller(before[j] + 1, row[j - 1] + 1);
            best = smaller(best, before[j - 1] + cost);
            if (i > 1 && j > 1 && folded(left[i - 1]) == folded(right[j - 2]) &&
                folded(left[i - 2]) == folded(right[j - 1])) {
                best = smaller(best, two_before[j - 2] + 1);
            }
            row[j] = best;
        }
    }
    return rows[left_size % 3][right_size];
}

void suggestion_begin(struct suggestion *suggestion, const char *word)
{
    size_t size = strlen(word);
    suggestion->word = word;
    /* A short word is near to almost everything. */
    suggestion->distance_max = size <= 3 ? 1 : size <= 7 ? 2 : 3;
    suggestion->best[0] = '\0';
}

void suggestion_offer(struct suggestion *suggestion, const char *candidate)
{
    size_t size = strlen(candidate);
    size_t word_size = strlen(suggestion->word);
    if ((size > word_size ? size - word_size : word_size - size) > suggestion->distance_max) {
        return; /* the cheap answer to most */
    }
    size_t distance = suggest_distance(suggestion->word, candidate);
    if (distance > suggestion->distance_max ||
        (distance == suggestion->distance_max && suggestion->best[0] != '\0')) {
        return;
    }
    suggestion->distance_max = distance;
    strcpy(suggestion->best, candidate); /* suggest_distance has checked the size */
}

const char *suggestion_best(const struct suggestion *suggestion)
{
    return suggestion->best[0] == '\0' ? NULL : suggestion->best;
}
