/* What is in the body of an answer to a reservation: its id, or whether nothing was left. */
#ifndef RESVD_BENCH_OPEN_ANSWER_H
#define RESVD_BENCH_OPEN_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OPEN_ID_BYTES 16

/* The object's own member "id", which must be a UUID in its usual text. False: there is none (one
 * that is deeper, or in a text, is none). */
bool open_answer_id(const char *body, size_t size, uint8_t id[OPEN_ID_BYTES]);
/* Whether it is the problem that says that fewer seats are left than were asked for; the other
 * problems with the same status say that nothing was tried. */
bool open_answer_is_sold_out(const char *body, size_t size);

#endif
