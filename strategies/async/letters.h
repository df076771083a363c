/* Dead letters: events that could not be applied, with the reason.
 *
 * A letter's key is "partition-offset" of the event in the log, its payload the reason, a newline,
 * and the event's bytes as far as there is room. A letter without bytes ends that of its key. */
#ifndef RESVD_ASYNC_LETTERS_H
#define RESVD_ASYNC_LETTERS_H

#include "batch.h"

#define LETTER_KEY_SIZE_MAX 42

/* "12-345" into two numbers; false: that is no key. */
bool letter_read_key(const char *key, size_t size, int64_t *partition, int64_t *offset);
void letter_write_key(char key[LETTER_KEY_SIZE_MAX], int64_t partition, int64_t offset);
/* The two parts of a payload; they point into it. */
void letter_read(const char *payload, size_t size, struct redis_text *reason,
                 struct redis_text *event);

/* --- letters_list.c: what the admin asks for -----------------------------------------------------
 */

/* Operations of both kinds; complete through base, later. */
void letters_list(struct async *async, struct resv_op *op);
void letters_retry(struct async *async, struct resv_op *op);

#endif
