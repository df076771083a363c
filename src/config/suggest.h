/* "did you mean": the candidate that is nearest to a mistyped word. */
#ifndef RESVD_CONFIG_SUGGEST_H
#define RESVD_CONFIG_SUGGEST_H

#include <stddef.h>

#define SUGGEST_WORD_BYTES_MAX 95 /* longer words get no suggestion */

struct suggestion {
    const char *word;
    size_t distance_max; /* a candidate must be at most so far, or nearer than the best so far */
    char best[SUGGEST_WORD_BYTES_MAX + 1];
};

/* `word` must stay valid until the suggestion was read. */
void suggestion_begin(struct suggestion *suggestion, const char *word);
void suggestion_offer(struct suggestion *suggestion, const char *candidate);
/* NULL when no candidate is near. Of equally near ones, the first that was offered. */
const char *suggestion_best(const struct suggestion *suggestion);

/* Damerau-Levenshtein distance (optimal string alignment): insertions, deletions, replacements and
 * swaps of neighbours. Case, and - against _, do not count. SIZE_MAX when a word is too long. */
size_t suggest_distance(const char *left, const char *right);

#endif
